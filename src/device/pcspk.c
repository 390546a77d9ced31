/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port 0x61. How it is used: kernels gate counter 2 by bit 0 and wait for its output in bit 5 to
 * calibrate the TSC; boot loaders count the toggles of bit 4 as a clock of 15 us.
 */
#include "device/pcspk.h"

enum { GATE = 1, WRITABLE = 3, REFRESH = 0x10, OUT2 = 0x20 };

/* The refresh request comes every 15.085 us (18 ticks of the PIT) and toggles bit 4. */
#define REFRESH_NS 15085

static uint64_t pcspk_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset;
    (void)size;
    struct pcspk *spk = opaque;
    uint8_t value = spk->control;
    if (timers_now(spk->timers) / REFRESH_NS & 1)
        value |= REFRESH;
    if (pit_out2(spk->pit))
        value |= OUT2;
    return value;
}

static void pcspk_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)offset;
    (void)size;
    struct pcspk *spk = opaque;
    spk->control = value & WRITABLE;
    pit_set_gate2(spk->pit, spk->control & GATE);
}

static const struct io_ops pcspk_ops = {pcspk_read, pcspk_write, 1, 1};

static const struct state_field pcspk_fields[] = {STATE_FIELD(struct pcspk, control)};
static const struct state_table pcspk_state = STATE_TABLE("pcspk", 1, pcspk_fields, NULL);

static void pcspk_reset(struct device *device)
{
    struct pcspk *spk = (struct pcspk *)device;
    spk->control = 0;
    pit_set_gate2(spk->pit, false);
}

static void pcspk_fini(struct device *device)
{
    struct pcspk *spk = (struct pcspk *)device;
    pio_remove(spk->pio, &spk->port);
}

static const struct device_type pcspk_type = {"isa-pcspk", &pcspk_state, pcspk_reset, pcspk_fini};

int pcspk_init(struct pcspk *spk, struct pio *pio, struct timers *timers, struct pit *pit)
{
    *spk =
        (struct pcspk){.device = {.type = &pcspk_type}, .pit = pit, .timers = timers, .pio = pio};
    spk->port = (struct pio_range){"pcspk", 0x61, 1, &pcspk_ops, spk};
    int r = pio_add(pio, &spk->port);
    if (r < 0)
        return r;
    pcspk_reset(&spk->device);
    return 0;
}
