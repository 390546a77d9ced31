/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel 8259A programmable interrupt controllers, two of them cascaded through IR2 as in every PC,
 * with the PIIX3's edge/level control registers. Datasheet: Intel 231468 (8259A); Intel 290550
 * (PIIX3) for ELCR. All under the VM lock.
 *
 * Convention of the ISA chips in this folder: X_init(struct X *, struct pio *, ..., struct irq ...)
 * registers the chip's own port ranges (fixed by the PC, or given as an argument where a PC has a
 * choice), leaves the chip as power-on does, and returns 0 or the negative errno of pio_add. fini
 * takes the ports back.
 */
#ifndef DEVICE_PIC_H
#define DEVICE_PIC_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/device.h"
#include "bus/irq.h"
#include "mem/io.h"

/* One 8259A. Bit n is IRn. */
struct pic_chip {
    uint8_t lines; /* levels on the IR pins now */
    uint8_t irr, imr, isr;
    uint8_t elcr;            /* 1: level-triggered */
    uint8_t elcr_writable;   /* not state */
    uint8_t base;            /* ICW2: vector of IR0 */
    uint8_t highest;         /* the IR with the highest priority (rotation) */
    uint8_t expects;         /* the ICW that comes next, 2..4; 0: initialised */
    bool single, wants_icw4; /* ICW1 */
    bool auto_eoi, nested;   /* ICW4: AEOI, special fully nested mode */
    bool rotate_on_auto_eoi; /* OCW2 */
    bool special_mask;       /* OCW3 */
    bool poll, read_isr;     /* OCW3: what the next read of A0=0 gives */
    bool master;             /* not state */
    bool output;             /* INT pin */
    struct pio_range ports, elcr_port;
    struct irq out;
};

struct pic {
    struct device device;
    struct pic_chip chip[2]; /* master, slave */
    struct pio *pio;
};

/* Ports 0x20-0x21, 0xa0-0xa1, 0x4d0-0x4d1. intr is the master's INT pin: a level. */
int pic_init(struct pic *pic, struct pio *pio, struct irq intr);

/* An irq_fn: opaque is the struct pic, n 0..15. n = 2 is the cascade and is ignored. An edge stays
 * latched until it is acknowledged, even if the line falls earlier (the 8259A proper would give a
 * spurious IR7 then: guests on a machine that pauses cannot hold lines for a fixed time). */
void pic_set_irq(void *opaque, int n, bool level);

/* The two INTA cycles: the vector to take. If nothing is asked any more, the vector of IR7 of the
 * chip that was asked, without an in-service bit (spurious). */
int pic_acknowledge(struct pic *pic);

/* `info pic`: one line a chip, slave first; the caller frees; NULL when memory is out. */
char *pic_describe(const struct pic *pic);

#endif
