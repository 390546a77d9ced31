/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port 0x61, "system control port B": the gate of PIT counter 2, the speaker's data bit, the
 * refresh clock and counter 2's output. Nobody hears the speaker yet. Intel 290550 (PIIX3), NMI
 * status and control. Under the VM lock; conventions of init: pic.h.
 */
#ifndef DEVICE_PCSPK_H
#define DEVICE_PCSPK_H

#include <stdint.h>

#include "bus/device.h"
#include "device/pit.h"
#include "event/timer.h"
#include "mem/io.h"

struct pcspk {
    struct device device;
    uint8_t control; /* bit 0: gate of counter 2, bit 1: speaker data */
    struct pit *pit;
    struct timers *timers;
    struct pio *pio;
    struct pio_range port;
};

/* pit must outlive it, and come before it in the board's list so that reset sets the gate last. */
int pcspk_init(struct pcspk *spk, struct pio *pio, struct timers *timers, struct pit *pit);

#endif
