/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * isa-debug-exit. How it is used: a test guest writes its result to port 0x501 (or where the user
 * put it) and is gone. Reading gives 0.
 */
#include "device/debug_exit.h"

static uint64_t debug_exit_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque;
    (void)offset;
    (void)size;
    return 0;
}

static void debug_exit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)offset;
    (void)size;
    struct debug_exit *d = opaque;
    d->exit(d->opaque, (int)((value << 1 | 1) & 0xff));
}

static const struct io_ops debug_exit_ops = {debug_exit_read, debug_exit_write, 1, 4};

/* It has no registers. */
static const struct state_table debug_exit_state = {.name = "debug-exit", .version = 1};

static void debug_exit_fini(struct device *device)
{
    struct debug_exit *d = (struct debug_exit *)device;
    pio_remove(d->pio, &d->ports);
}

static const struct device_type debug_exit_type = {"isa-debug-exit", &debug_exit_state, NULL,
                                                   debug_exit_fini};

int debug_exit_init(struct debug_exit *debug_exit, struct pio *pio, uint16_t base, uint16_t count,
                    void (*exit)(void *opaque, int code), void *opaque)
{
    *debug_exit = (struct debug_exit){
        .device = {.type = &debug_exit_type}, .exit = exit, .opaque = opaque, .pio = pio};
    debug_exit->ports = (struct pio_range){"debug-exit", base, count, &debug_exit_ops, debug_exit};
    return pio_add(pio, &debug_exit->ports);
}
