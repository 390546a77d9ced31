/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The HPET: scripts of what kernels do to its registers, on a clock moved by hand.
 */
#include "device/hpet.h"

#include <stdlib.h>

#include "chip_test.h"
#include "unit/test.h"

enum {
    CONFIG = 0x10,
    STATUS = 0x20,
    COUNTER = 0xf0,
    IRQ0 = 24,
    IRQ8 = 25,

    LEVEL = 2,
    ENABLE = 4,
    PERIODIC = 8,
    VALUE_SET = 0x40,
    MODE32 = 0x100,
};

struct fixture {
    struct timers timers;
    struct mem *mem;
    struct hpet hpet;
    struct wire wire[26];
    bool legacy;
    unsigned legacy_calls;
};

static void legacy_changed(void *opaque, bool on)
{
    struct fixture *f = opaque;
    f->legacy = on;
    f->legacy_calls++;
}

static void build(struct fixture *f)
{
    *f = (struct fixture){0};
    timers_init(&f->timers, true);
    assert_int_equal(mem_create(&f->mem, NULL), 0);
    struct hpet_wires wires = {.legacy = legacy_changed, .opaque = f};
    for (int i = 0; i < HPET_PINS; i++)
        wires.pin[i] = (struct irq){wire_set, f->wire, i};
    wires.irq0 = (struct irq){wire_set, f->wire, IRQ0};
    wires.irq8 = (struct irq){wire_set, f->wire, IRQ8};
    hpet_init(&f->hpet, f->mem, &f->timers, &wires);
}

static void demolish(struct fixture *f)
{
    f->hpet.device.type->fini(&f->hpet.device);
    mem_destroy(f->mem);
    timers_fini(&f->timers);
}

static int setup(void **state)
{
    static struct fixture f;
    build(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    demolish(*state);
    return 0;
}

static uint64_t get(struct fixture *f, unsigned reg, unsigned size)
{
    return mem_load(f->mem, HPET_BASE + reg, size);
}

static void set(struct fixture *f, unsigned reg, uint64_t value, unsigned size)
{
    mem_store(f->mem, HPET_BASE + reg, value, size);
}

static unsigned config_of(unsigned n)
{
    return 0x100 + 0x20 * n;
}

static unsigned value_of(unsigned n)
{
    return 0x108 + 0x20 * n;
}

static unsigned route(unsigned pin)
{
    return pin << 9;
}

static void ticks(struct fixture *f, int64_t count)
{
    timers_advance(&f->timers, count * HPET_TICK_NS);
}

static void registers(void **state)
{
    struct fixture *f = *state;
    assert_true(get(f, 0, 8) == UINT64_C(0x009896808086a201));
    assert_int_equal(get(f, 0, 4), HPET_BLOCK_ID);
    assert_int_equal(get(f, 4, 4), 10000000); /* fs */
    assert_true(get(f, config_of(0), 8) == UINT64_C(0x00ff010400000030));
    assert_int_equal(get(f, config_of(2) + 4, 4), 0x00ff0104);
    assert_true(get(f, value_of(1), 8) == UINT64_MAX);
    assert_int_equal(get(f, config_of(3), 8), 0);
    /* What cannot be does not read back: FSB, pins that are not there. */
    set(f, config_of(1), route(16) | 0xc1ffu, 4);
    assert_int_equal(get(f, config_of(1), 4), route(16) | 0x17e);
    set(f, config_of(1), route(5), 4);
    assert_int_equal(get(f, config_of(1), 4), route(16) | 0x30);
    set(f, config_of(1), route(24), 4);
    assert_int_equal(get(f, config_of(1), 4), route(16) | 0x30);
    set(f, config_of(1) + 4, 0xffffffff, 4);
    assert_int_equal(get(f, config_of(1) + 4, 4), 0x00ff0104);
    set(f, CONFIG, UINT64_MAX, 8);
    assert_int_equal(get(f, CONFIG, 8), 3);
    set(f, 0, 0, 8);
    assert_int_equal(get(f, 0, 4), HPET_BLOCK_ID);
}

static void widths(void **state)
{
    struct fixture *f = *state;
    set(f, COUNTER, UINT64_C(0x1122334455667788), 8);
    assert_int_equal(get(f, COUNTER, 4), 0x55667788);
    assert_int_equal(get(f, COUNTER + 4, 4), 0x11223344);
    assert_int_equal(get(f, COUNTER + 5, 1), 0x33);
    set(f, COUNTER + 4, 0xaabbccdd, 4);
    assert_true(get(f, COUNTER, 8) == UINT64_C(0xaabbccdd55667788));
    set(f, COUNTER, 1, 4);
    assert_true(get(f, COUNTER, 8) == UINT64_C(0xaabbccdd00000001));
    set(f, COUNTER, 0, 2); /* narrow or unaligned: not for us */
    set(f, COUNTER + 2, 0, 4);
    set(f, COUNTER + 4, 0, 8);
    set(f, COUNTER - 4, UINT64_C(0xffffffff00000000), 8);
    assert_true(get(f, COUNTER, 8) == UINT64_C(0xaabbccdd00000001));
    assert_int_equal(get(f, COUNTER + 2, 4), 0);
    assert_int_equal(get(f, COUNTER + 4, 8), 0);
}

static void counter(void **state)
{
    struct fixture *f = *state;
    ticks(f, 1000);
    assert_int_equal(get(f, COUNTER, 8), 0);
    set(f, CONFIG, 1, 4);
    timers_advance(&f->timers, 12345);
    assert_int_equal(get(f, COUNTER, 8), 1234);
    set(f, CONFIG, 0, 4);
    ticks(f, 500);
    assert_int_equal(get(f, COUNTER, 8), 1234);
    set(f, COUNTER, UINT64_C(0xfffffffffffffff0), 8);
    set(f, CONFIG, 1, 4);
    ticks(f, 0x20);
    assert_int_equal(get(f, COUNTER, 8), 0x10);
    f->hpet.device.type->reset(&f->hpet.device);
    assert_int_equal(get(f, COUNTER, 8), 0);
    assert_int_equal(get(f, CONFIG, 4), 0);
}

/* As Linux's one-shot clock event: edge, 32 bits, by legacy replacement. */
static void one_shot_legacy(void **state)
{
    struct fixture *f = *state;
    set(f, CONFIG, 3, 4);
    assert_true(f->legacy);
    set(f, config_of(0), ENABLE | MODE32, 4);
    for (unsigned i = 1; i < 10; i++) {
        uint32_t now = (uint32_t)get(f, COUNTER, 4);
        set(f, value_of(0), now + 1000, 4);
        ticks(f, 999);
        assert_int_equal(f->wire[IRQ0].rises, i - 1);
        ticks(f, 1);
        assert_int_equal(f->wire[IRQ0].rises, i);
        ticks(f, 5000);
        assert_int_equal(f->wire[IRQ0].rises, i);
    }
    assert_int_equal(get(f, STATUS, 4), 0);
    /* Comparator 1 is the RTC's, comparator 2 goes where it is sent. */
    set(f, config_of(1), ENABLE | route(17), 4);
    set(f, value_of(1), get(f, COUNTER, 8) + 10, 8);
    set(f, config_of(2), ENABLE | route(18), 4);
    set(f, value_of(2), get(f, COUNTER, 8) + 10, 8);
    ticks(f, 10);
    assert_int_equal(f->wire[IRQ8].rises, 1);
    assert_int_equal(f->wire[17].rises, 0);
    assert_int_equal(f->wire[18].rises, 1);
    /* A comparator that the counter has passed waits for it to come round: 32 bits do. */
    set(f, value_of(0), get(f, COUNTER, 4) - 5, 4);
    ticks(f, INT64_C(0x100000000) - 6);
    assert_int_equal(f->wire[IRQ0].rises, 9);
    ticks(f, 1);
    assert_int_equal(f->wire[IRQ0].rises, 10);
    ticks(f, INT64_C(0x100000000));
    assert_int_equal(f->wire[IRQ0].rises, 11);
    assert_int_equal(f->wire[18].rises, 1);
}

static void legacy_gate(void **state)
{
    struct fixture *f = *state;
    set(f, CONFIG, 2, 4); /* takes both bits */
    assert_int_equal(f->legacy_calls, 0);
    set(f, CONFIG, 3, 4);
    assert_true(f->legacy);
    set(f, config_of(0), ENABLE | LEVEL | route(20), 4);
    set(f, value_of(0), get(f, COUNTER, 8) + 10, 8);
    ticks(f, 10);
    assert_true(f->wire[IRQ0].level);
    set(f, CONFIG, 1, 4); /* the level goes on at its pin */
    assert_false(f->legacy);
    assert_false(f->wire[IRQ0].level);
    assert_true(f->wire[20].level);
    set(f, CONFIG, 3, 4);
    assert_true(f->wire[IRQ0].level);
    assert_false(f->wire[20].level);
    f->hpet.device.type->reset(&f->hpet.device);
    assert_false(f->legacy);
    assert_false(f->wire[IRQ0].level);
    assert_int_equal(f->legacy_calls, 4);
}

static void level(void **state)
{
    struct fixture *f = *state;
    set(f, CONFIG, 1, 4);
    set(f, config_of(2), ENABLE | LEVEL | route(23), 4);
    set(f, value_of(2), 100, 8);
    ticks(f, 99);
    assert_false(f->wire[23].level);
    ticks(f, 1);
    assert_true(f->wire[23].level);
    assert_int_equal(get(f, STATUS, 4), 4);
    set(f, STATUS, 3, 4);
    assert_true(f->wire[23].level);
    /* Halted: no interrupt, but status stays. */
    set(f, CONFIG, 0, 4);
    assert_false(f->wire[23].level);
    assert_int_equal(get(f, STATUS, 4), 4);
    set(f, CONFIG, 1, 4);
    assert_true(f->wire[23].level);
    set(f, STATUS, 4, 4);
    assert_false(f->wire[23].level);
    assert_int_equal(get(f, STATUS, 4), 0);
    /* Status without an interrupt, told when that is allowed. */
    set(f, config_of(2), LEVEL | route(23), 4);
    set(f, value_of(2), get(f, COUNTER, 8) + 10, 8);
    ticks(f, 11);
    assert_int_equal(get(f, STATUS, 4), 4);
    assert_false(f->wire[23].level);
    set(f, config_of(2), LEVEL | ENABLE | route(23), 4);
    assert_true(f->wire[23].level);
    /* Two on one pin; an edge does not make it fall. */
    set(f, config_of(1), ENABLE | route(23), 4);
    set(f, value_of(1), get(f, COUNTER, 8) + 10, 8);
    ticks(f, 10);
    assert_true(f->wire[23].level);
}

/* As Linux's periodic clock event. */
static void periodic(void **state)
{
    struct fixture *f = *state;
    set(f, CONFIG, 3, 4);
    ticks(f, 5000);
    set(f, config_of(0), ENABLE | PERIODIC | VALUE_SET | MODE32, 4);
    uint32_t start = (uint32_t)get(f, COUNTER, 4) + 400000;
    set(f, value_of(0), start, 4);
    assert_int_equal(get(f, config_of(0), 4) & VALUE_SET, 0);
    ticks(f, 100);
    set(f, value_of(0), 400000, 4);
    assert_int_equal(get(f, value_of(0), 4), start);
    ticks(f, 400000 - 101);
    assert_int_equal(f->wire[IRQ0].rises, 0);
    ticks(f, 1);
    assert_int_equal(f->wire[IRQ0].rises, 1);
    assert_int_equal(get(f, value_of(0), 4), start + 400000);
    ticks(f, 400000 * 1000);
    assert_int_equal(f->wire[IRQ0].rises, 1001);
    /* On through the counter's low half coming round, more than once. */
    timers_advance(&f->timers, 100 * NS_PER_SECOND);
    assert_int_equal(f->wire[IRQ0].rises, 1001 + 100 * 250);
    set(f, config_of(0), MODE32 | PERIODIC, 4);
    ticks(f, 4000000);
    assert_int_equal(f->wire[IRQ0].rises, 1001 + 100 * 250);
}

/* One write of the value while the counter stands: where the row begins, and the period. */
static void periodic_by_one_write(void **state)
{
    struct fixture *f = *state;
    set(f, config_of(2), ENABLE | PERIODIC | VALUE_SET | route(16), 4);
    set(f, value_of(2), 3000, 8);
    set(f, CONFIG, 1, 4);
    ticks(f, 2999);
    assert_int_equal(f->wire[16].rises, 0);
    ticks(f, 1 + 9 * 3000);
    assert_int_equal(f->wire[16].rises, 10);
    /* Halted and moved. */
    set(f, CONFIG, 0, 4);
    ticks(f, 100000);
    assert_int_equal(f->wire[16].rises, 10);
    set(f, CONFIG, 1, 4);
    ticks(f, 2999);
    assert_int_equal(f->wire[16].rises, 10);
    ticks(f, 1);
    assert_int_equal(f->wire[16].rises, 11);
}

/* The writer stood still for longer than the row's first periods. */
static void periodic_begun_late(void **state)
{
    struct fixture *f = *state;
    for (int before_first = 0; before_first < 2; before_first++) {
        f->hpet.device.type->reset(&f->hpet.device);
        set(f, CONFIG, 1, 4);
        ticks(f, 1000000);
        set(f, config_of(0), ENABLE | PERIODIC | VALUE_SET | MODE32 | route(16), 4);
        if (before_first)
            ticks(f, 14000);
        set(f, value_of(0), 1004000, 4);
        if (!before_first)
            ticks(f, 14000);
        set(f, value_of(0), 4000, 4);
        unsigned before = f->wire[16].rises;
        assert_int_equal(get(f, value_of(0), 4), 1016000);
        ticks(f, 1999);
        assert_int_equal(f->wire[16].rises, before);
        ticks(f, 1);
        assert_int_equal(f->wire[16].rises, before + 1);
        ticks(f, 4000);
        assert_int_equal(f->wire[16].rises, before + 2);
    }
}

/* The loop comes late: one interrupt, and the row goes on in step. */
static void late_loop(void **state)
{
    struct fixture *f = *state;
    set(f, config_of(0), ENABLE | PERIODIC | VALUE_SET | route(16), 4);
    set(f, value_of(0), 5000, 8);
    set(f, CONFIG, 1, 4);
    clock_set(&f->timers.clock, (5000 * 7 + 123) * HPET_TICK_NS);
    assert_int_equal(get(f, value_of(0), 8), 5000 * 8);
    assert_int_equal(f->wire[16].rises, 1);
    timers_run(&f->timers);
    assert_int_equal(f->wire[16].rises, 1);
    ticks(f, 5000 - 123);
    assert_int_equal(f->wire[16].rises, 2);
}

static void tiny_periods_are_bounded(void **state)
{
    struct fixture *f = *state;
    for (unsigned mode = 0; mode <= MODE32; mode += MODE32) {
        for (unsigned period = 0; period < 4; period++) {
            f->hpet.device.type->reset(&f->hpet.device);
            set(f, config_of(0), ENABLE | PERIODIC | VALUE_SET | mode | route(16), 4);
            set(f, value_of(0), 1, 8);
            set(f, value_of(0), period, 8);
            set(f, CONFIG, 1, 4);
            unsigned before = f->wire[16].rises;
            timers_advance(&f->timers, NS_PER_SECOND / 10);
            if (period == 0)
                assert_int_equal(f->wire[16].rises - before, 1);
            else
                assert_in_range(f->wire[16].rises - before, 4990, 5001);
        }
    }
    /* Level: it waits for the guest. */
    set(f, config_of(0), ENABLE | PERIODIC | LEVEL | route(16), 4);
    unsigned before = f->wire[16].rises;
    timers_advance(&f->timers, NS_PER_SECOND / 10);
    assert_int_equal(f->wire[16].rises - before, 1);
    assert_false(timer_armed(&f->hpet.timer));
}

static void far_away(void **state)
{
    struct fixture *f = *state;
    set(f, config_of(0), ENABLE | route(16), 4);
    set(f, CONFIG, 1, 4);
    set(f, value_of(0), UINT64_MAX, 8);
    assert_false(timer_armed(&f->hpet.timer));
    set(f, value_of(0), (uint64_t)INT64_MAX / 10, 8);
    timers_advance(&f->timers, NS_PER_SECOND * 3600);
    assert_int_equal(f->wire[16].rises, 0);
    set(f, COUNTER, (uint64_t)INT64_MAX / 10 - 50, 8); /* while it runs: follows */
    ticks(f, 49);
    assert_int_equal(f->wire[16].rises, 0);
    ticks(f, 1);
    assert_int_equal(f->wire[16].rises, 1);
}

static void scribble_all(struct fixture *f, uint64_t *seed, unsigned times)
{
    static const unsigned bits[] = {4, 14, 33, 64};
    for (unsigned i = 0; i < times; i++) {
        uint64_t r = test_random(seed), value = test_random(seed);
        unsigned width = bits[r >> 60 & 3], size = r >> 50 & 1 ? 4 : 8;
        unsigned reg = r >> 20 & 7 ? (unsigned)(r >> 24) & 0x17c : (unsigned)(r >> 24) & 0x3ff;
        if (r >> 40 & 1)
            reg = r >> 41 & 1 ? CONFIG : value_of(r >> 42 & 1);
        value = width == 64 ? value : value & ((UINT64_C(1) << width) - 1);
        if (reg + size > HPET_SIZE)
            reg = 0;
        if ((r & 7) == 0)
            timers_advance(&f->timers, (int64_t)(value & 0xfffff));
        else if ((r & 7) == 1)
            get(f, reg, size);
        else
            set(f, reg, value, size);
        assert_true(f->legacy == (get(f, CONFIG, 4) == 3));
    }
}

static void hostile(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 11;
    scribble_all(f, &seed, 30000);
}

static void goes_on_alike(void **state)
{
    (void)state;
    static struct fixture a, b;
    build(&a);
    build(&b);
    ticks(&a, 777);
    set(&a, CONFIG, 3, 4);
    set(&a, config_of(0), ENABLE | PERIODIC | VALUE_SET | MODE32, 4);
    set(&a, value_of(0), 30000, 4);
    set(&a, value_of(0), 4000, 4);
    set(&a, config_of(1), ENABLE | LEVEL, 4);
    set(&a, value_of(1), 35000, 8);
    set(&a, config_of(2), ENABLE | LEVEL | route(19), 4);
    set(&a, value_of(2), 60000, 8);
    ticks(&a, 43000);
    timers_advance(&b.timers, timers_now(&a.timers));
    /* A match that the loop has not seen yet is told by the other machine. */
    clock_set(&a.timers.clock, timers_now(&a.timers) + 40000);
    clock_set(&b.timers.clock, timers_now(&a.timers));
    struct state_buffer out = {0};
    const struct state_table *table = a.hpet.device.type->state;
    assert_int_equal(state_save(table, &a.hpet, &out), 0);
    size_t used = 0;
    assert_int_equal(state_load(table, &b.hpet, out.data, out.length, &used, NULL), 0);
    assert_int_equal(used, out.length);
    free(out.data);
    assert_true(b.legacy);
    assert_true(b.wire[IRQ8].level);
    a.wire[IRQ0].rises = 0;
    ticks(&a, 30000);
    ticks(&b, 30000);
    assert_int_equal(a.wire[IRQ0].rises, 8);
    for (int i = 0; i < 26; i++) {
        assert_int_equal(a.wire[i].level, b.wire[i].level);
        assert_int_equal(a.wire[i].rises, b.wire[i].rises);
    }
    assert_true(b.wire[19].level);
    struct state_buffer left = {0}, right = {0};
    assert_int_equal(state_save(table, &a.hpet, &left), 0);
    assert_int_equal(state_save(table, &b.hpet, &right), 0);
    assert_int_equal(left.length, right.length);
    assert_memory_equal(left.data, right.data, left.length);
    free(left.data);
    free(right.data);
    demolish(&a);
    demolish(&b);
}

static void damaged_streams(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 5;
    struct state_buffer out = {0};
    const struct state_table *table = f->hpet.device.type->state;
    set(f, CONFIG, 3, 4);
    set(f, config_of(0), ENABLE | PERIODIC | VALUE_SET, 4);
    set(f, value_of(0), 300, 4);
    assert_int_equal(state_save(table, &f->hpet, &out), 0);
    for (int round = 0; round < 1000; round++) {
        size_t used;
        uint64_t r = test_random(&seed), at = (r >> 8) % out.length;
        uint8_t kept = out.data[at];
        out.data[at] = (uint8_t)r;
        state_load(table, &f->hpet, out.data, out.length, &used, NULL);
        ticks(f, 2500);
        scribble_all(f, &seed, 10);
        if (round & 1)
            out.data[at] = kept;
    }
    free(out.data);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(registers),
        CASE(widths),
        CASE(counter),
        CASE(one_shot_legacy),
        CASE(legacy_gate),
        CASE(level),
        CASE(periodic),
        CASE(periodic_by_one_write),
        CASE(periodic_begun_late),
        CASE(late_loop),
        CASE(tiny_periods_are_bounded),
        CASE(far_away),
        CASE(hostile),
        cmocka_unit_test(goes_on_alike),
        CASE(damaged_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
