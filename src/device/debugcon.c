/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The debug console. How it is used: OUT of a character to port 0xe9 (Bochs) or 0x402 (SeaBIOS).
 */
#include "device/debugcon.h"

enum { PRESENT = 0xe9 };

static uint64_t debugcon_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque;
    (void)offset;
    (void)size;
    return PRESENT;
}

static void debugcon_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)offset;
    (void)size;
    struct debugcon *d = opaque;
    uint8_t byte = (uint8_t)value;
    if (d->chardev)
        chardev_write(d->chardev, d->handle, &byte, 1);
}

static const struct io_ops debugcon_ops = {debugcon_read, debugcon_write, 1, 1};

/* It has no registers. */
static const struct state_table debugcon_state = {.name = "debugcon", .version = 1};

static void debugcon_fini(struct device *device)
{
    struct debugcon *d = (struct debugcon *)device;
    for (int i = 0; i < 2; i++)
        if (d->ports[i].count)
            pio_remove(d->pio, &d->ports[i]);
}

static const struct device_type debugcon_type = {"isa-debugcon", &debugcon_state, NULL,
                                                 debugcon_fini};

int debugcon_init(struct debugcon *debugcon, struct pio *pio, uint16_t first, uint16_t second,
                  struct chardev *chardev)
{
    const uint16_t ports[2] = {first, second};
    *debugcon = (struct debugcon){.device = {.type = &debugcon_type}, .pio = pio};
    int r = 0;
    for (int i = 0; i < 2 && r >= 0; i++) {
        if (!ports[i])
            continue;
        debugcon->ports[i] = (struct pio_range){"debugcon", ports[i], 1, &debugcon_ops, debugcon};
        r = pio_add(pio, &debugcon->ports[i]);
    }
    if (r >= 0 && chardev) {
        r = chardev_attach(chardev, &debugcon->frontend);
        debugcon->chardev = chardev;
        debugcon->handle = r;
    }
    if (r >= 0)
        return 0;
    debugcon_fini(&debugcon->device);
    return r;
}
