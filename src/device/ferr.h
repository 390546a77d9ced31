/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The PC's way of telling x87 errors: the processor's FERR# raises interrupt 13, and a write to
 * port 0xf0 (PIIX3 datasheet 290550, "Coprocessor error register") takes it back. Used by guests
 * that leave CR0.NE off. All under the VM lock.
 */
#ifndef DEVICE_FERR_H
#define DEVICE_FERR_H

#include "bus/device.h"
#include "bus/irq.h"
#include "mem/io.h"

struct ferr {
    struct device device;
    bool asserted; /* FERR# as the processor drives it */
    bool raised;   /* interrupt 13 */
    struct pio *pio;
    struct pio_range port;
    struct irq irq;
};

int ferr_init(struct ferr *ferr, struct pio *pio, struct irq irq13);
void ferr_set(struct ferr *ferr, bool level);

#endif
