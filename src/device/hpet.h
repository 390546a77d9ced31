/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * High precision event timers: IA-PC HPET specification 1.0a. One 64-bit counter of 100 MHz and
 * three comparators, each one-shot or periodic, 32 or 64 bits, level or edge, to pins of the I/O
 * APIC; comparators 0 and 1 can stand in for the PIT's IRQ 0 and the RTC's IRQ 8 (legacy
 * replacement). No FSB delivery. 1 KiB at 0xfed00000, by aligned accesses of 4 or 8 bytes.
 *
 * All under the VM lock.
 */
#ifndef DEVICE_HPET_H
#define DEVICE_HPET_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/device.h"
#include "bus/irq.h"
#include "event/timer.h"
#include "mem/mem.h"

#define HPET_BASE        UINT64_C(0xfed00000)
#define HPET_SIZE        1024
#define HPET_COMPARATORS 3
#define HPET_PINS        24
#define HPET_TICK_NS     10
/* The low half of the register at 0, as the ACPI table HPET repeats it ("event timer block id"):
 * Intel, legacy replacement, 64 bits, three comparators, revision 1. */
#define HPET_BLOCK_ID UINT32_C(0x8086a201)

/* Where interrupts go: pin[n] is the I/O APIC's pin n, of which 2, 8 and 16 to 23 can be driven;
 * irq0 and irq8 are the inputs that the PIT and the RTC share with this device under legacy
 * replacement. legacy (or NULL) is called when that begins and ends: from true to false the board
 * keeps the PIT's and the RTC's outputs from those inputs. */
struct hpet_wires {
    struct irq pin[HPET_PINS];
    struct irq irq0, irq8;
    void (*legacy)(void *opaque, bool on);
    void *opaque;
};

struct hpet_comparator {
    uint64_t config; /* the bits a guest may write */
    uint64_t comparator;
    uint64_t period; /* what was last written to the comparator register */
    bool fresh;      /* the last such write set `comparator` too (VAL_SET) */
    int64_t due;     /* tick of guest time of the next match; INT64_MAX: none */
};

struct hpet {
    struct device device;
    uint64_t config;  /* GEN_CONF */
    uint64_t status;  /* GINTR_STA */
    uint64_t counter; /* while it stands */
    uint64_t offset;  /* while it runs: counter minus ticks of guest time */
    struct hpet_comparator comparator[HPET_COMPARATORS];
    struct timer timer; /* the first match that interrupts */
    uint32_t lines;     /* driven now, a bit each: pins, irq0, irq8 */
    bool legacy;        /* what the board was told last */
    struct hpet_wires wires;
    struct mem *mem;
    struct mem_region region;
};

/* wires is copied. */
void hpet_init(struct hpet *hpet, struct mem *mem, struct timers *timers,
               const struct hpet_wires *wires);

#endif
