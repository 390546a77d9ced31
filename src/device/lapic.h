/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The local APICs of all processors and the bus between them: Intel SDM volume 3A, chapter 11
 * ("Advanced Programmable Interrupt Controller"). xAPIC by MMIO at 0xfee00000, x2APIC by MSRs.
 *
 * Interrupts come in by lapic_deliver (I/O APIC, inter-processor), lapic_set_lint0 (the 8259A's
 * INTR) and the timer; they go out as the level of each processor's interrupt line. The timer
 * counts a bus of 1 GHz. All under the VM lock.
 */
#ifndef DEVICE_LAPIC_H
#define DEVICE_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/device.h"
#include "event/timer.h"
#include "mem/mem.h"

enum {
    LAPIC_MAX = 64, /* processors */
    LAPIC_LVTS = 6, /* timer, thermal, performance, LINT0, LINT1, error */
    LAPIC_BASE = 0xfee00000,
};

/* How an interrupt message is delivered (SDM 11.6.1). */
enum lapic_mode {
    LAPIC_FIXED = 0,
    LAPIC_LOWEST = 1,
    LAPIC_SMI = 2,
    LAPIC_NMI = 4,
    LAPIC_INIT = 5,
    LAPIC_SIPI = 6,
    LAPIC_EXTINT = 7,
};

/* What the APICs ask of the board. n is a processor's index. intr, current are needed; others may
 * be NULL. */
struct lapic_wires {
    void *opaque;
    void (*intr)(void *opaque, unsigned n, bool level); /* called on changes */
    void (*nmi)(void *opaque, unsigned n);
    void (*smi)(void *opaque, unsigned n);
    void (*init)(void *opaque, unsigned n); /* the APIC itself is reset already */
    void (*sipi)(void *opaque, unsigned n, uint8_t vector);
    int (*current)(void *opaque); /* whose MMIO access this is; -1: a device's */
    /* Guest time (ns) at which the processor's TSC reaches this value; INT64_MAX when that is too
     * far; a time past when it was. NULL: no TSC-deadline timer. */
    int64_t (*tsc_time)(void *opaque, unsigned n, uint64_t tsc);
};

struct lapic;

/* One processor's. */
struct lapic_cpu {
    uint64_t base; /* IA32_APIC_BASE */
    uint32_t id;   /* in xAPIC mode, bits 24-31 */
    uint32_t ldr, dfr, svr;
    uint32_t esr;    /* as read */
    uint32_t errors; /* since ESR was last written */
    uint32_t icr[2];
    uint32_t lvt[LAPIC_LVTS];
    uint32_t irr[8], isr[8], tmr[8]; /* vector v: bit v % 32 of word v / 32 */
    uint8_t tpr;
    uint32_t initial_count, divide;
    int64_t timer_start;   /* guest ns at which initial_count was written */
    uint64_t tsc_deadline; /* 0: not armed */
    bool lint0;            /* the pin's level */

    /* Not state. */
    bool intr; /* as last told to the board */
    struct timer timer;
    struct lapic *lapic;
    unsigned index;
};

struct lapic {
    struct device device; /* first */
    struct mem *mem;
    struct mem_region region;
    struct lapic_wires wires;
    /* End of a level-triggered interrupt: the I/O APIC listens. */
    void (*eoi)(void *opaque, uint8_t vector);
    void *eoi_opaque;
    unsigned count;
    struct lapic_cpu cpu[LAPIC_MAX];
};

/* count is 1..LAPIC_MAX; maps the registers. */
void lapic_init(struct lapic *lapic, struct mem *mem, struct timers *timers, unsigned count,
                const struct lapic_wires *wires);

/* ---- Interrupts in ---- */

/* A message on the APIC bus. dest is an APIC id, or a set of processors when logical; wide: 32
 * bits of it count (x2APIC), else 8, all ones of either being everybody. Returns how many
 * processors took it. ExtINT messages are not supported (the 8259A is on LINT0). */
unsigned lapic_deliver(struct lapic *lapic, uint32_t dest, bool wide, bool logical,
                       enum lapic_mode mode, uint8_t vector, bool level_triggered);

/* irq_fn: the 8259A's INTR line, on LINT0 of all. n is ignored. */
void lapic_set_lint0(void *opaque, int n, bool level);

/* irq_fn: the board's NMI, on LINT1 of all: the rising edge. */
void lapic_set_lint1(void *opaque, int n, bool level);

/* ---- What a processor does ---- */

/* Takes the highest interrupt: its vector goes from requested to in-service. -1: the APIC has
 * none; then, if lapic_takes_extint, the 8259A is asked. */
int lapic_acknowledge(struct lapic *lapic, unsigned n);
/* Is the 8259A asking, and its line let through to processor n? */
bool lapic_takes_extint(const struct lapic *lapic, unsigned n);

uint64_t lapic_cr8_read(const struct lapic *lapic, unsigned n);
void lapic_cr8_write(struct lapic *lapic, unsigned n, uint64_t value);

/* MSRs 0x1b (IA32_APIC_BASE), 0x6e0 (IA32_TSC_DEADLINE), 0x800-0x8ff. False: #GP. */
bool lapic_msr_read(struct lapic *lapic, unsigned n, uint32_t msr, uint64_t *value);
bool lapic_msr_write(struct lapic *lapic, unsigned n, uint32_t msr, uint64_t value);

/* A processor got INIT by another way than the bus (the board's INIT# line). */
void lapic_cpu_init(struct lapic *lapic, unsigned n);

#endif
