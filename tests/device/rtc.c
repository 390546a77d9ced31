/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device/rtc.h"

#include <errno.h>

#include "base/error.h"
#include "chip_test.h"

#define SECOND NS_PER_SECOND

struct fixture {
    struct bench b;
    struct rtc rtc;
};

static int setup(void **state)
{
    static struct fixture f;
    bench_init(&f.b);
    int64_t base;
    /* A Saturday, with a leap day to come. */
    assert_int_equal(rtc_base_seconds("2004-02-28T23:59:57", &base, NULL), 0);
    assert_int_equal(rtc_init(&f.rtc, f.b.pio, &f.b.timers, base, bench_wire(&f.b, 0)), 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->rtc.device.type->fini(&f->rtc.device);
    bench_fini(&f->b);
    return 0;
}

static uint8_t get(struct fixture *f, uint8_t index)
{
    out8(&f->b, 0x70, index);
    return in8(&f->b, 0x71);
}

static void set(struct fixture *f, uint8_t index, uint8_t value)
{
    out8(&f->b, 0x70, index);
    out8(&f->b, 0x71, value);
}

static void assert_time(struct fixture *f, uint64_t yymmdd_hhmmss)
{
    assert_int_equal(get(f, 9), yymmdd_hhmmss >> 40 & 0xff);
    assert_int_equal(get(f, 8), yymmdd_hhmmss >> 32 & 0xff);
    assert_int_equal(get(f, 7), yymmdd_hhmmss >> 24 & 0xff);
    assert_int_equal(get(f, 4), yymmdd_hhmmss >> 16 & 0xff);
    assert_int_equal(get(f, 2), yymmdd_hhmmss >> 8 & 0xff);
    assert_int_equal(get(f, 0), yymmdd_hhmmss & 0xff);
}

static void counts(void **state)
{
    struct fixture *f = *state;
    assert_time(f, 0x040228235957);
    assert_int_equal(get(f, 6), 7);
    assert_int_equal(get(f, 0x32), 0x20);
    timers_advance(&f->b.timers, 3 * SECOND);
    assert_time(f, 0x040229000000);
    assert_int_equal(get(f, 6), 1);
    timers_advance(&f->b.timers, 86400 * SECOND);
    assert_time(f, 0x040301000000);
}

static void formats(void **state)
{
    struct fixture *f = *state;
    set(f, 11, 0x04); /* binary, 12 hours */
    assert_time(f, 0x04021c8b3b39);
    set(f, 11, 0x00);
    assert_time(f, 0x040228915957); /* 11 PM */
    timers_advance(&f->b.timers, 3 * SECOND);
    assert_time(f, 0x040229120000); /* 12 AM is midnight */
    timers_advance(&f->b.timers, 12 * 3600 * SECOND);
    assert_time(f, 0x040229920000);
}

static void set_the_time(void **state)
{
    struct fixture *f = *state;
    timers_advance(&f->b.timers, SECOND / 4);
    set(f, 11, 0x82);
    timers_advance(&f->b.timers, 10 * SECOND);
    assert_time(f, 0x040228235957); /* stands */
    set(f, 0x32, 0x19);
    set(f, 9, 0x99);
    set(f, 8, 0x12);
    set(f, 7, 0x31);
    set(f, 6, 0x03); /* not what the date says, but kept */
    set(f, 4, 0x23);
    set(f, 2, 0x59);
    set(f, 0, 0x59);
    set(f, 11, 0x02);
    timers_advance(&f->b.timers, SECOND / 2);
    assert_time(f, 0x991231235959);
    timers_advance(&f->b.timers, SECOND / 4);
    assert_time(f, 0x000101000000);
    assert_int_equal(get(f, 0x32), 0x20);
    assert_int_equal(get(f, 6), 4);
}

static void update_in_progress(void **state)
{
    struct fixture *f = *state;
    timers_advance(&f->b.timers, SECOND - 3000000);
    assert_int_equal(get(f, 10), 0x26);
    timers_advance(&f->b.timers, 2000000);
    assert_int_equal(get(f, 10), 0xa6);
    timers_advance(&f->b.timers, 1000000);
    assert_int_equal(get(f, 10), 0x26);
    assert_int_equal(get(f, 0), 0x58);
}

static void divider_reset_starts_half_a_second_early(void **state)
{
    struct fixture *f = *state;
    timers_advance(&f->b.timers, SECOND / 10);
    set(f, 10, 0x76);
    timers_advance(&f->b.timers, 7 * SECOND);
    assert_int_equal(get(f, 0), 0x57);
    set(f, 10, 0x26);
    timers_advance(&f->b.timers, SECOND / 2 - 1);
    assert_int_equal(get(f, 0), 0x57);
    timers_advance(&f->b.timers, 1);
    assert_int_equal(get(f, 0), 0x58);
}

static void periodic(void **state)
{
    struct fixture *f = *state;
    static const unsigned hertz[16] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
                                       256, 128, 64,  32,   16,   8,    4,    2};
    for (uint8_t rate = 0; rate < 16; rate++) {
        set(f, 10, 0x20 | rate);
        get(f, 12);
        set(f, 11, 0x42);
        unsigned count = 0;
        for (unsigned i = 0; i < 32768; i++) { /* a second in steps of the divider */
            timers_advance(&f->b.timers, i % 64 ? 30517 : 30550);
            if (f->b.wire[0].level) {
                assert_int_equal(get(f, 12) & 0xc0, 0xc0);
                assert_false(f->b.wire[0].level);
                count++;
            }
        }
        set(f, 11, 0x02);
        assert_in_range(count, hertz[rate] - !!rate, hertz[rate] + !!rate);
    }
}

static void flags_without_interrupts(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(get(f, 12), 0);
    timers_advance(&f->b.timers, 2 * SECOND);
    assert_int_equal(get(f, 12), 0x50);
    assert_int_equal(get(f, 12), 0);
    assert_int_equal(f->b.wire[0].rises, 0);
    timers_advance(&f->b.timers, SECOND);
    set(f, 11, 0x12); /* UF is up already: at once */
    assert_true(f->b.wire[0].level);
    assert_int_equal(get(f, 12), 0xf0); /* midnight is alarm time too */
    timers_advance(&f->b.timers, 3 * SECOND);
    assert_int_equal(f->b.wire[0].rises, 2);
    assert_int_equal(get(f, 12), 0xd0);
}

static void update_ends(void **state)
{
    struct fixture *f = *state;
    set(f, 11, 0x12);
    for (int i = 0; i < 10; i++) {
        timers_advance(&f->b.timers, SECOND);
        assert_true(f->b.wire[0].level);
        assert_int_equal(get(f, 12) & 0x90, 0x90);
    }
    assert_int_equal(f->b.wire[0].rises, 10);
    set(f, 11, 0x92);
    assert_int_equal(get(f, 11), 0x82); /* SET clears UIE */
}

static void alarms(void **state)
{
    struct fixture *f = *state;
    set(f, 1, 0x30);
    set(f, 3, 0x00);
    set(f, 5, 0x07);
    set(f, 11, 0x22);
    timers_advance(&f->b.timers, (3 + 7 * 3600 + 30) * SECOND - 1);
    assert_false(f->b.wire[0].level);
    timers_advance(&f->b.timers, 1);
    assert_true(f->b.wire[0].level);
    assert_int_equal(get(f, 12) & 0xa0, 0xa0);
    timers_advance(&f->b.timers, 86400 * SECOND - 1);
    assert_false(f->b.wire[0].level);
    timers_advance(&f->b.timers, 1);
    assert_true(f->b.wire[0].level);
    get(f, 12);
    set(f, 5, 0xff); /* every hour, every minute */
    set(f, 3, 0xc0);
    f->b.wire[0].rises = 0;
    for (int i = 0; i < 61; i++) {
        timers_advance(&f->b.timers, 60 * SECOND);
        assert_int_equal(get(f, 12) & 0xa0, 0xa0);
    }
    assert_int_equal(f->b.wire[0].rises, 61);
    set(f, 1, 0x75); /* never */
    timers_advance(&f->b.timers, 100000 * SECOND);
    assert_int_equal(f->b.wire[0].rises, 61);
}

static void ports_and_memory(void **state)
{
    struct fixture *f = *state;
    rtc_set_cmos(&f->rtc, 0x34, 0xab);
    rtc_set_cmos(&f->rtc, 11, 0xff); /* not a board's business */
    assert_int_equal(get(f, 0x34), 0xab);
    assert_int_equal(get(f, 11), 0x02);
    out8(&f->b, 0x70, 0xb4);
    assert_true(f->rtc.nmi_masked);
    assert_int_equal(in8(&f->b, 0x71), 0xab);
    assert_int_equal(in8(&f->b, 0x70), 0xff);
    assert_int_equal(in8(&f->b, 0x73), 0xab);
    set(f, 13, 0);
    assert_int_equal(get(f, 13), 0x80);
    f->rtc.device.type->reset(&f->rtc.device);
    assert_int_equal(get(f, 0x34), 0xab);
    assert_time(f, 0x040228235957);
}

static void bases(void **state)
{
    (void)state;
    struct error err;
    int64_t s;
    assert_int_equal(rtc_base_seconds("1970-01-02", &s, &err), 0);
    assert_int_equal(s, 86400);
    assert_int_equal(rtc_base_seconds(NULL, &s, &err), 0);
    assert_true(s > 1600000000);
    assert_int_equal(rtc_base_seconds("localtime", &s, &err), 0);
    assert_int_equal(rtc_base_seconds("tomorrow", &s, &err), -EINVAL);
    assert_int_equal(rtc_base_seconds("2006-06-17x", &s, &err), -EINVAL);
    assert_int_equal(rtc_base_seconds("", &s, &err), -EINVAL);
}

static void hostile(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++) {
        scribble(&f->b, 0x70, 4, 400);
        f->rtc.index = (uint8_t)(i % 14);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(counts),
        CASE(formats),
        CASE(set_the_time),
        CASE(update_in_progress),
        CASE(divider_reset_starts_half_a_second_early),
        CASE(periodic),
        CASE(flags_without_interrupts),
        CASE(update_ends),
        CASE(alarms),
        CASE(ports_and_memory),
        CASE(bases),
        CASE(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
