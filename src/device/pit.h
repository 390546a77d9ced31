/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel 8254 programmable interval timer: three 16-bit counters at 1.193182 MHz. Counter 0 drives
 * IRQ 0, counter 1 was the DRAM refresh, counter 2 the speaker (pcspk.h). Datasheet: Intel 231164.
 * All under the VM lock. Ports 0x40-0x43; conventions of init: pic.h.
 */
#ifndef DEVICE_PIT_H
#define DEVICE_PIT_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/device.h"
#include "bus/irq.h"
#include "event/timer.h"
#include "mem/io.h"

#define PIT_HZ 1193182

/* One counter. Nothing counts: what it would show is worked out from the time since `base`. */
struct pit_counter {
    uint8_t mode;   /* 0..5 */
    uint8_t access; /* 1 low byte, 2 high byte, 3 low then high */
    bool bcd;
    bool gate;
    bool write_high, read_high; /* the second byte of access 3 is next */
    uint8_t write_low;          /* its first byte */
    uint16_t count_register;    /* as the guest wrote it */
    bool null_count;            /* count_register is not yet in the counting element */
    bool started;               /* the counting element was loaded since the mode was set */
    bool held;                  /* the gate (or half a written count) stops counting */
    uint32_t initial;           /* what the counting element was loaded with, 1..65536 */
    int64_t base;               /* tick at which it held `initial` */
    int64_t held_at;            /* ticks counted since base while held */
    int64_t due;                /* modes 2, 3: tick that takes count_register */
    bool count_latched, status_latched;
    uint16_t latched_count;
    uint8_t latched_status;
};

struct pit {
    struct device device;
    struct pit_counter counter[3];
    struct timer timer; /* next rising edge of counter 0's output */
    struct irq irq0;
    struct pio *pio;
    struct pio_range ports;
};

int pit_init(struct pit *pit, struct pio *pio, struct timers *timers, struct irq irq0);

/* Counter 2, for port 0x61: its GATE input and its OUT pin now. */
void pit_set_gate2(struct pit *pit, bool level);
bool pit_out2(struct pit *pit);

#endif
