/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device/pit.h"

#include "chip_test.h"
#include "device/pcspk.h"

struct fixture {
    struct bench b;
    struct pit pit;
    struct pcspk spk;
};

static int setup(void **state)
{
    static struct fixture f;
    bench_init(&f.b);
    assert_int_equal(pit_init(&f.pit, f.b.pio, &f.b.timers, bench_wire(&f.b, 0)), 0);
    assert_int_equal(pcspk_init(&f.spk, f.b.pio, &f.b.timers, &f.pit), 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->spk.device.type->fini(&f->spk.device);
    f->pit.device.type->fini(&f->pit.device);
    bench_fini(&f->b);
    return 0;
}

/* Moves to the middle of the given tick of the 1.193182 MHz clock. */
static void to_tick(struct fixture *f, int64_t tick)
{
    int64_t ns = (int64_t)mul_div((uint64_t)tick * 2 + 1, NS_PER_SECOND, 2 * PIT_HZ);
    timers_advance(&f->b.timers, ns - timers_now(&f->b.timers));
}

static void program(struct fixture *f, unsigned n, uint8_t control, uint16_t count)
{
    out8(&f->b, 0x43, (uint8_t)(n << 6 | 0x30 | control));
    out8(&f->b, (uint16_t)(0x40 + n), count & 0xff);
    out8(&f->b, (uint16_t)(0x40 + n), (uint8_t)(count >> 8));
}

static uint16_t count_of(struct fixture *f, unsigned n)
{
    out8(&f->b, 0x43, (uint8_t)(n << 6));
    uint8_t low = in8(&f->b, (uint16_t)(0x40 + n));
    return (uint16_t)(in8(&f->b, (uint16_t)(0x40 + n)) << 8 | low);
}

static uint8_t status_of(struct fixture *f, unsigned n)
{
    out8(&f->b, 0x43, (uint8_t)(0xe0 | 2 << n));
    return in8(&f->b, (uint16_t)(0x40 + n));
}

static void mode0(void **state)
{
    struct fixture *f = *state;
    to_tick(f, 100);
    program(f, 0, 0 << 1, 10);
    assert_false(f->b.wire[0].level);
    assert_int_equal(status_of(f, 0), 0x70); /* null count: loaded at the next clock */
    to_tick(f, 101);
    assert_int_equal(status_of(f, 0), 0x30);
    assert_int_equal(count_of(f, 0), 10);
    to_tick(f, 105);
    assert_int_equal(count_of(f, 0), 6);
    to_tick(f, 110);
    assert_false(f->b.wire[0].level);
    to_tick(f, 111);
    assert_true(f->b.wire[0].level);
    assert_int_equal(status_of(f, 0), 0xb0);
    to_tick(f, 112);
    assert_int_equal(count_of(f, 0), 0xffff);
    /* The first byte of a new count stops it. */
    out8(&f->b, 0x40, 4);
    assert_false(f->b.wire[0].level);
    to_tick(f, 150);
    assert_false(f->b.wire[0].level);
    out8(&f->b, 0x40, 0);
    to_tick(f, 155);
    assert_true(f->b.wire[0].level);
    assert_int_equal(f->b.wire[0].rises, 3); /* one of power-on's square wave */
}

static void mode2_rate(void **state)
{
    struct fixture *f = *state;
    to_tick(f, 100);
    program(f, 0, 2 << 1, 1193);
    unsigned before = f->b.wire[0].rises;
    to_tick(f, 101 + 1193 * 1000);
    assert_int_equal(f->b.wire[0].rises - before, 1000);
    assert_int_equal(count_of(f, 0), 1193);
    to_tick(f, 101 + 1193 * 1000 + 1192);
    assert_int_equal(count_of(f, 0), 1);
    assert_int_equal(status_of(f, 0), 0x34); /* low for the last clock */
    to_tick(f, 101 + 1193 * 1001);
    assert_int_equal(status_of(f, 0), 0xb4);
}

static void mode2_new_count_waits(void **state)
{
    struct fixture *f = *state;
    to_tick(f, 100);
    program(f, 0, 2 << 1, 1000);
    to_tick(f, 601);
    out8(&f->b, 0x40, 100);
    out8(&f->b, 0x40, 0);
    assert_int_equal(count_of(f, 0), 500);
    assert_int_equal(status_of(f, 0) & 0x40, 0x40);
    unsigned before = f->b.wire[0].rises;
    to_tick(f, 1101);
    assert_int_equal(f->b.wire[0].rises - before, 1);
    assert_int_equal(count_of(f, 0), 100);
    assert_int_equal(status_of(f, 0) & 0x40, 0);
    to_tick(f, 1201);
    assert_int_equal(f->b.wire[0].rises - before, 2);
}

static void mode3_square(void **state)
{
    struct fixture *f = *state;
    to_tick(f, 100);
    program(f, 2, 3 << 1, 11);
    out8(&f->b, 0x61, 1);
    /* The gate's rise loads at tick 101: 6 high, 5 low. */
    for (int i = 0; i < 22; i++) {
        to_tick(f, 101 + i);
        assert_int_equal(!!(in8(&f->b, 0x61) & 0x20), i % 11 < 6);
        assert_int_equal(count_of(f, 2), 10 - 2 * (i % 11 < 6 ? i % 11 : i % 11 - 6));
    }
    /* A new count is taken at the end of the half period that runs. */
    out8(&f->b, 0x42, 4);
    out8(&f->b, 0x42, 0);
    static const bool expect[] = {1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1};
    for (int i = 0; i < 12; i++) {
        to_tick(f, 124 + i);
        assert_int_equal(pit_out2(&f->pit), expect[i]);
    }
    /* Gate low: OUT high at once. */
    out8(&f->b, 0x61, 0);
    to_tick(f, 142);
    assert_true(pit_out2(&f->pit));
}

static void mode3_irq(void **state)
{
    struct fixture *f = *state;
    program(f, 0, 3 << 1, 1000);
    unsigned before = f->b.wire[0].rises;
    to_tick(f, 1 + 1000 * 50);
    assert_int_equal(f->b.wire[0].rises - before, 50);
    to_tick(f, 1 + 1000 * 50 + 100);
    out8(&f->b, 0x40, 200); /* taken at +500, in the low half of 100 */
    out8(&f->b, 0x40, 0);
    to_tick(f, 1 + 1000 * 50 + 599);
    assert_int_equal(f->b.wire[0].rises - before, 50);
    to_tick(f, 1 + 1000 * 50 + 600);
    assert_int_equal(f->b.wire[0].rises - before, 51);
    to_tick(f, 1 + 1000 * 50 + 800);
    assert_int_equal(f->b.wire[0].rises - before, 52);
}

static void mode1_one_shot(void **state)
{
    struct fixture *f = *state;
    program(f, 2, 1 << 1, 5);
    assert_true(pit_out2(&f->pit));
    to_tick(f, 50);
    assert_true(pit_out2(&f->pit));
    out8(&f->b, 0x61, 1);
    for (int i = 51; i < 56; i++) {
        to_tick(f, i);
        assert_false(pit_out2(&f->pit));
    }
    to_tick(f, 56);
    assert_true(pit_out2(&f->pit));
}

static void mode4_one_shot_irq(void **state)
{
    struct fixture *f = *state;
    to_tick(f, 100);
    program(f, 0, 4 << 1, 500); /* as Linux's one-shot clock event */
    unsigned before = f->b.wire[0].rises;
    to_tick(f, 601);
    assert_int_equal(status_of(f, 0), 0x38); /* low for this one clock */
    assert_int_equal(f->b.wire[0].rises, before);
    to_tick(f, 602);
    assert_int_equal(status_of(f, 0), 0xb8);
    assert_int_equal(f->b.wire[0].rises, before + 1);
    to_tick(f, 200000);
    assert_int_equal(f->b.wire[0].rises, before + 1);
}

static void mode5_hardware_strobe(void **state)
{
    struct fixture *f = *state;
    program(f, 2, 5 << 1, 3);
    to_tick(f, 10);
    out8(&f->b, 0x61, 1);
    to_tick(f, 13);
    assert_true(pit_out2(&f->pit));
    to_tick(f, 14);
    assert_false(pit_out2(&f->pit));
    to_tick(f, 15);
    assert_true(pit_out2(&f->pit));
}

static void gate_holds_mode0(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x61, 1);
    program(f, 2, 0, 100);
    to_tick(f, 41);
    out8(&f->b, 0x61, 0);
    assert_int_equal(count_of(f, 2), 60);
    to_tick(f, 1000);
    assert_int_equal(count_of(f, 2), 60);
    out8(&f->b, 0x61, 1);
    to_tick(f, 1059);
    assert_int_equal(in8(&f->b, 0x61) & 0x20, 0);
    to_tick(f, 1060);
    assert_int_equal(in8(&f->b, 0x61) & 0x23, 0x21);
}

static void bcd(void **state)
{
    struct fixture *f = *state;
    program(f, 0, 2 << 1 | 1, 0x1000);
    to_tick(f, 2);
    assert_int_equal(count_of(f, 0), 0x0999);
    program(f, 0, 0 << 1 | 1, 0);
    to_tick(f, 3 + 10000);
    assert_int_equal(count_of(f, 0), 0);
    assert_true(f->b.wire[0].level);
    to_tick(f, 4 + 10000);
    assert_int_equal(count_of(f, 0), 0x9999);
}

static void latches(void **state)
{
    struct fixture *f = *state;
    program(f, 0, 2 << 1, 0);
    to_tick(f, 1);
    assert_int_equal(count_of(f, 0), 0); /* 65536 */
    to_tick(f, 0x102);
    out8(&f->b, 0x43, 0xc2); /* read back count and status of counter 0 */
    to_tick(f, 0x900);
    out8(&f->b, 0x43, 0x00); /* ignored: latched already */
    assert_int_equal(in8(&f->b, 0x40), 0xb4);
    assert_int_equal(in8(&f->b, 0x40), 0xff);
    assert_int_equal(in8(&f->b, 0x40), 0xfe);
    to_tick(f, 0x1001);
    assert_int_equal(in8(&f->b, 0x40), 0x00);
    assert_int_equal(in8(&f->b, 0x40), 0xf0);
    /* One byte at a time. */
    out8(&f->b, 0x43, 0x24);
    out8(&f->b, 0x40, 0x12);
    to_tick(f, 0x1002);
    assert_int_equal(in8(&f->b, 0x40), 0x12);
}

/* Tiny periods lose edges instead of holding the loop; a count of 1 stands still. */
static void tiny_periods_are_bounded(void **state)
{
    struct fixture *f = *state;
    for (unsigned mode = 2; mode <= 3; mode++) {
        for (uint16_t count = 1; count < 4; count++) {
            program(f, 0, (uint8_t)(mode << 1), count);
            unsigned before = f->b.wire[0].rises;
            timers_advance(&f->b.timers, NS_PER_SECOND / 10);
            if (count == 1)
                assert_int_equal(f->b.wire[0].rises, before);
            else
                assert_in_range(f->b.wire[0].rises - before, 4000, 5001);
        }
    }
}

static void refresh_toggles(void **state)
{
    struct fixture *f = *state;
    unsigned toggles = 0;
    uint8_t last = in8(&f->b, 0x61) & 0x10;
    for (int i = 0; i < 1000; i++) {
        timers_advance(&f->b.timers, 1000);
        uint8_t now = in8(&f->b, 0x61) & 0x10;
        toggles += now != last;
        last = now;
    }
    assert_in_range(toggles, 65, 67);
    out8(&f->b, 0x61, 0xff);
    assert_int_equal(in8(&f->b, 0x61) & 0xcf, 3);
}

static void hostile(void **state)
{
    struct fixture *f = *state;
    scribble(&f->b, 0x40, 4, 20000);
    scribble(&f->b, 0x40, 0x22, 20000);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(mode0),
        CASE(mode2_rate),
        CASE(mode2_new_count_waits),
        CASE(mode3_square),
        CASE(mode3_irq),
        CASE(mode1_one_shot),
        CASE(mode4_one_shot_irq),
        CASE(mode5_hardware_strobe),
        CASE(gate_holds_mode0),
        CASE(bcd),
        CASE(latches),
        CASE(tiny_periods_are_bounded),
        CASE(refresh_toggles),
        CASE(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
