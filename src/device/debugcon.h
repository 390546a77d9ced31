/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The debug console of Bochs and QEMU ("isa-debugcon"): what is written to the port goes to a
 * chardev; reading gives 0xe9, by which SeaBIOS knows it. Under the VM lock; conventions of init:
 * pic.h.
 */
#ifndef DEVICE_DEBUGCON_H
#define DEVICE_DEBUGCON_H

#include <stdint.h>

#include "bus/device.h"
#include "chardev/chardev.h"
#include "mem/io.h"

struct debugcon {
    struct device device;
    struct chardev *chardev;
    struct chardev_frontend frontend;
    int handle;
    struct pio *pio;
    struct pio_range ports[2];
};

/* At one or two ports (0xe9, 0x402; second 0: one). chardev may be NULL: the guest finds it and
 * what it writes is lost. Returns the errno of chardev_attach too. */
int debugcon_init(struct debugcon *debugcon, struct pio *pio, uint16_t first, uint16_t second,
                  struct chardev *chardev);

#endif
