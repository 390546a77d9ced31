/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QEMU's "isa-debug-exit": a write of V ends the VM's process with status V << 1 | 1, for test
 * guests. Under the VM lock; conventions of init: pic.h.
 */
#ifndef DEVICE_DEBUG_EXIT_H
#define DEVICE_DEBUG_EXIT_H

#include <stdint.h>

#include "bus/device.h"
#include "mem/io.h"

struct debug_exit {
    struct device device;
    void (*exit)(void *opaque, int code);
    void *opaque;
    struct pio *pio;
    struct pio_range ports;
};

/* exit is called with the status, of which a process has 8 bits: 1..255, odd. -EINVAL when the
 * ports run past 0xffff or there are none. */
int debug_exit_init(struct debug_exit *debug_exit, struct pio *pio, uint16_t base, uint16_t count,
                    void (*exit)(void *opaque, int code), void *opaque);

#endif
