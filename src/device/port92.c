/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port 0x92. How it is used: firmware and kernels set bit 1 to open A20; the way back from the
 * 286's protected mode was bit 0.
 */
#include "device/port92.h"

enum { RESET = 1, A20 = 2, WRITABLE = 3 };

static uint64_t port92_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset;
    (void)size;
    const struct port92 *p = opaque;
    return p->control;
}

static void port92_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)offset;
    (void)size;
    struct port92 *p = opaque;
    bool resets = value & ~p->control & RESET;
    p->control = value & WRITABLE;
    irq_set(&p->a20, p->control & A20);
    if (resets)
        irq_pulse(&p->reset_out);
}

static const struct io_ops port92_ops = {port92_read, port92_write, 1, 1};

static int port92_loaded(void *object, struct error *err)
{
    (void)err;
    struct port92 *p = object;
    p->control &= WRITABLE;
    irq_set(&p->a20, p->control & A20);
    return 0;
}

static const struct state_field port92_fields[] = {STATE_FIELD(struct port92, control)};
static const struct state_table port92_state =
    STATE_TABLE("port92", 1, port92_fields, port92_loaded);

static void port92_reset(struct device *device)
{
    struct port92 *p = (struct port92 *)device;
    p->control = 0;
    irq_set(&p->a20, false);
}

static void port92_fini(struct device *device)
{
    struct port92 *p = (struct port92 *)device;
    pio_remove(p->pio, &p->port);
}

static const struct device_type port92_type = {"port92", &port92_state, port92_reset, port92_fini};

int port92_init(struct port92 *port92, struct pio *pio, struct irq a20, struct irq reset)
{
    *port92 = (struct port92){
        .device = {.type = &port92_type}, .a20 = a20, .reset_out = reset, .pio = pio};
    port92->port = (struct pio_range){"port92", 0x92, 1, &port92_ops, port92};
    int r = pio_add(pio, &port92->port);
    if (r < 0)
        return r;
    port92_reset(&port92->device);
    return 0;
}
