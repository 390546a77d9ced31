/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ISA chips' field tables: a chip in the middle of its work is saved, loaded into a fresh one,
 * and the fresh one goes on alike; damaged streams do no harm.
 */
#include <linux/input-event-codes.h>
#include <stdlib.h>

#include "chip_test.h"
#include "device/dma.h"
#include "device/i8042.h"
#include "device/pcspk.h"
#include "device/pic.h"
#include "device/pit.h"
#include "device/port92.h"
#include "device/rtc.h"
#include "device/uart.h"

enum { CHIPS = 8 };

/* No chip here has a line: these are not called. */
int chardev_attach(struct chardev *chardev, const struct chardev_frontend *frontend)
{
    (void)chardev;
    (void)frontend;
    return -1;
}

void chardev_write(struct chardev *chardev, int handle, const void *bytes, size_t length)
{
    (void)chardev;
    (void)handle;
    (void)bytes;
    (void)length;
}

void chardev_accept_input(struct chardev *chardev)
{
    (void)chardev;
}

struct machine {
    struct bench b;
    struct pic pic;
    struct pit pit;
    struct pcspk spk;
    struct uart uart;
    struct rtc rtc;
    struct dma dma;
    struct i8042 kbc;
    struct port92 port92;
    struct device *chip[CHIPS];
};

static void build(struct machine *m)
{
    struct bench *b = &m->b;
    struct irq none = {0};
    bench_init(b);
    assert_int_equal(pic_init(&m->pic, b->pio, bench_wire(b, 0)), 0);
    assert_int_equal(pit_init(&m->pit, b->pio, &b->timers, bench_wire(b, 1)), 0);
    assert_int_equal(pcspk_init(&m->spk, b->pio, &b->timers, &m->pit), 0);
    assert_int_equal(uart_init(&m->uart, b->pio, 0x3f8, &b->timers, NULL, bench_wire(b, 2)), 0);
    assert_int_equal(rtc_init(&m->rtc, b->pio, &b->timers, 1000000, none), 0);
    assert_int_equal(dma_init(&m->dma, b->pio, NULL), 0);
    assert_int_equal(i8042_init(&m->kbc, b->pio, bench_wire(b, 3), none, none, none), 0);
    assert_int_equal(port92_init(&m->port92, b->pio, none, none), 0);
    struct device *chips[CHIPS] = {
        &m->pic.device, &m->pit.device, &m->spk.device, &m->uart.device,
        &m->rtc.device, &m->dma.device, &m->kbc.device, &m->port92.device,
    };
    memcpy(m->chip, chips, sizeof(chips));
}

static void demolish(struct machine *m)
{
    for (int i = 0; i < CHIPS; i++)
        m->chip[i]->type->fini(m->chip[i]);
    bench_fini(&m->b);
}

static void work(struct machine *m)
{
    timers_advance(&m->b.timers, 123456789);
    out8(&m->b, 0x43, 0x34);
    out8(&m->b, 0x40, 0x00);
    out8(&m->b, 0x40, 0x10);
    out8(&m->b, 0x61, 0x03);
    out8(&m->b, 0x3fc, 0x10);
    out8(&m->b, 0x3f9, 0x01);
    out8(&m->b, 0x3f8, 0x42);
    out8(&m->b, 0x70, 0x0b);
    out8(&m->b, 0x71, 0x42);
    out8(&m->b, 0x04, 0x99);
    out8(&m->b, 0x64, 0xd1);
    m->kbc.keyboard.sink.key(&m->kbc.keyboard, KEY_UP, true);
    out8(&m->b, 0x92, 0x02);
    pic_set_irq(&m->pic, 5, true);
    timers_advance(&m->b.timers, 1234567);
}

static void save(struct machine *m, int i, struct state_buffer *out)
{
    *out = (struct state_buffer){0};
    assert_int_equal(state_save(m->chip[i]->type->state, m->chip[i], out), 0);
}

static void goes_on_alike(void **state)
{
    (void)state;
    static struct machine a, b;
    build(&a);
    build(&b);
    work(&a);
    timers_advance(&b.b.timers, timers_now(&a.b.timers));
    for (int i = 0; i < CHIPS; i++) {
        struct state_buffer out, again;
        size_t used = 0;
        save(&a, i, &out);
        assert_int_equal(
            state_load(b.chip[i]->type->state, b.chip[i], out.data, out.length, &used, NULL), 0);
        assert_int_equal(used, out.length);
        save(&b, i, &again);
        assert_int_equal(out.length, again.length);
        assert_memory_equal(out.data, again.data, out.length);
        free(out.data);
        free(again.data);
    }
    for (int i = 0; i < 4; i++)
        a.b.wire[i].rises = b.b.wire[i].rises = 0;
    timers_advance(&a.b.timers, 50000000);
    timers_advance(&b.b.timers, 50000000);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(a.b.wire[i].level, b.b.wire[i].level);
        assert_int_equal(a.b.wire[i].rises, b.b.wire[i].rises);
    }
    assert_int_equal(in8(&b.b, 0x3f8), 0x42);
    assert_int_equal(in8(&b.b, 0x60), 0xe0);
    demolish(&a);
    demolish(&b);
}

static void damaged_streams(void **state)
{
    (void)state;
    static struct machine m;
    build(&m);
    work(&m);
    uint32_t seed = 1;
    for (int i = 0; i < CHIPS; i++) {
        struct state_buffer out;
        save(&m, i, &out);
        for (int round = 0; round < 300; round++) {
            size_t used;
            seed = seed * 1664525 + 1013904223;
            out.data[(seed >> 8) % out.length] = (uint8_t)(seed >> 24);
            state_load(m.chip[i]->type->state, m.chip[i], out.data, out.length, &used, NULL);
            scribble(&m.b, 0x20, 0x90, 20);
            pic_acknowledge(&m.pic);
            m.kbc.keyboard.sink.key(&m.kbc.keyboard, KEY_UP, round & 1);
            m.kbc.mouse.sink.move(&m.kbc.mouse, 3, 3, 3);
            timers_advance(&m.b.timers, 1000000);
        }
        free(out.data);
    }
    demolish(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on_alike),
        cmocka_unit_test(damaged_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
