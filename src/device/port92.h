/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port 0x92, "system control port A" of the PS/2: gate of address line 20 and a fast reset. Intel
 * 290550 (PIIX3). Under the VM lock; conventions of init: pic.h.
 */
#ifndef DEVICE_PORT92_H
#define DEVICE_PORT92_H

#include <stdint.h>

#include "bus/device.h"
#include "bus/irq.h"
#include "mem/io.h"

struct port92 {
    struct device device;
    uint8_t control; /* bit 0: reset, bit 1: A20 */
    struct irq a20, reset_out;
    struct pio *pio;
    struct pio_range port;
};

/* a20: a level, true lets address line 20 through; the board ORs it with the keyboard
 * controller's. reset is pulsed when bit 0 goes from 0 to 1. */
int port92_init(struct port92 *port92, struct pio *pio, struct irq a20, struct irq reset);

#endif
