/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * IGNNE#, which the write to port 0xf0 asserts too, is not modelled: the interpreter reports an x87
 * error once and does not hold the next instruction back.
 */
#include "device/ferr.h"

static void update(struct ferr *ferr, bool raised)
{
    ferr->raised = raised;
    irq_set(&ferr->irq, raised);
}

void ferr_set(struct ferr *ferr, bool level)
{
    if (level == ferr->asserted)
        return;
    ferr->asserted = level;
    update(ferr, level);
}

static uint64_t read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque;
    (void)offset;
    (void)size;
    return 0xff;
}

static void write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)offset;
    (void)value;
    (void)size;
    update(opaque, false);
}

static const struct io_ops ops = {read, write, 1, 1};

static void reset(struct device *device)
{
    struct ferr *ferr = (struct ferr *)device;
    ferr->asserted = false;
    update(ferr, false);
}

static void fini(struct device *device)
{
    struct ferr *ferr = (struct ferr *)device;
    pio_remove(ferr->pio, &ferr->port);
}

static int loaded(void *object, struct error *err)
{
    (void)err;
    struct ferr *ferr = object;
    update(ferr, ferr->raised);
    return 0;
}

static const struct state_field fields[] = {
    STATE_FIELD(struct ferr, asserted),
    STATE_FIELD(struct ferr, raised),
};
static const struct state_table table = STATE_TABLE("ferr", 1, fields, loaded);

static const struct device_type type = {
    .name = "ferr", .state = &table, .reset = reset, .fini = fini};

int ferr_init(struct ferr *ferr, struct pio *pio, struct irq irq13)
{
    *ferr = (struct ferr){
        .device = {.type = &type},
        .pio = pio,
        .irq = irq13,
        .port = {.name = "ferr", .first = 0xf0, .count = 1, .ops = &ops, .opaque = ferr},
    };
    return pio_add(pio, &ferr->port);
}
