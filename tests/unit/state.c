/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * state/: what is saved comes back, and hostile streams change nothing and break nothing.
 */
#include "unit/test.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "state/state.h"

struct channel {
    uint16_t count;
    bool gate;
};

struct chip {
    uint8_t mode;
    bool on;
    uint32_t registers[4];
    uint64_t deadline;
    bool flags[3];
    uint8_t memory[100];
    struct channel channels[3];
    struct channel spare;
    int loads;     /* not state */
    uint32_t twin; /* not state: derived from registers[0] */
};

static int channel_loaded(void *object, struct error *err)
{
    struct channel *channel = object;
    if (channel->count == 0xdead)
        return error_set(err, EINVAL, "a dead channel");
    return 0;
}

static int chip_loaded(void *object, struct error *err)
{
    struct chip *chip = object;
    chip->loads++;
    chip->twin = chip->registers[0];
    if (chip->mode > 5)
        return error_set(err, EINVAL, "mode %u", chip->mode);
    return 0;
}

static const struct state_field channel_fields[] = {
    STATE_FIELD(struct channel, count),
    STATE_FIELD(struct channel, gate),
};
static const struct state_table channel_table =
    STATE_TABLE("channel", 1, channel_fields, channel_loaded);

static const struct state_field chip_fields[] = {
    STATE_FIELD(struct chip, mode),
    STATE_FIELD(struct chip, on),
    STATE_ARRAY(struct chip, registers),
    STATE_FIELD(struct chip, deadline),
    STATE_ARRAY(struct chip, flags),
    STATE_BLOB(struct chip, memory),
    STATE_SUB_ARRAY(struct chip, channels, &channel_table),
    STATE_SUB(struct chip, spare, &channel_table),
};
static const struct state_table chip_table = STATE_TABLE("chip", 2, chip_fields, chip_loaded);

static struct chip example(void)
{
    struct chip chip;
    memset(&chip, 0, sizeof(chip));
    chip.mode = 3;
    chip.on = true;
    for (int i = 0; i < 4; i++)
        chip.registers[i] = 0x11111111u * (unsigned)i + 5;
    chip.deadline = 0x0123456789abcdef;
    chip.flags[1] = true;
    for (int i = 0; i < 100; i++)
        chip.memory[i] = (uint8_t)(i * 3);
    for (int i = 0; i < 3; i++)
        chip.channels[i] = (struct channel){(uint16_t)(i + 100), i == 1};
    chip.spare.count = 9;
    return chip;
}

static struct state_buffer saved(const struct state_table *table, const void *object)
{
    struct state_buffer out = {0};
    assert_int_equal(state_save(table, object, &out), 0);
    return out;
}

static void a_round_trip_brings_all_back(void **state)
{
    (void)state;
    struct chip chip = example(), other;
    struct state_buffer out = saved(&chip_table, &chip);
    memset(&other, 0, sizeof(other));
    size_t used = 0;
    assert_int_equal(state_load(&chip_table, &other, out.data, out.length, &used, NULL), 0);
    assert_int_equal(used, out.length);
    assert_int_equal(other.loads, 1);
    assert_int_equal(other.twin, chip.registers[0]);
    struct state_buffer again = saved(&chip_table, &other);
    assert_int_equal(again.length, out.length);
    assert_memory_equal(again.data, out.data, out.length);
    assert_int_equal(other.deadline, chip.deadline);
    assert_int_equal(other.channels[2].count, 102);
    free(out.data);
    free(again.data);
}

static void objects_follow_each_other(void **state)
{
    (void)state;
    struct chip one = example(), two = example(), other = example();
    two.mode = 1;
    struct state_buffer out = saved(&chip_table, &one);
    size_t first = out.length, used;
    assert_int_equal(state_save(&chip_table, &two, &out), 0);
    assert_int_equal(state_load(&chip_table, &other, out.data, out.length, &used, NULL), 0);
    assert_int_equal(used, first);
    assert_int_equal(
        state_load(&chip_table, &other, out.data + used, out.length - used, &used, NULL), 0);
    assert_int_equal(other.mode, 1);
    free(out.data);
}

static void unknown_fields_are_skipped_and_missing_ones_kept(void **state)
{
    (void)state;
    static const struct state_field fields[] = {
        {"from_the_future", STATE_UINT, 0, 8, 2, NULL},
        STATE_FIELD(struct chip, mode),
        {"inner_future", STATE_STRUCT, offsetof(struct chip, spare), sizeof(struct channel), 1,
         &channel_table},
    };
    static const struct state_table table = STATE_TABLE("chip", 1, fields, NULL);
    struct chip chip = example(), other = example();
    chip.mode = 5;
    other.registers[2] = 77;
    struct state_buffer out = saved(&table, &chip);
    assert_int_equal(state_load(&chip_table, &other, out.data, out.length, NULL, NULL), 0);
    assert_int_equal(other.mode, 5);
    assert_int_equal(other.registers[2], 77);
    free(out.data);
}

static void load_must_fail(const struct state_table *written_by, const struct chip *bad, int error,
                           const char *word)
{
    struct chip other = example();
    struct state_buffer out = saved(written_by, bad);
    struct error err = {""};
    assert_int_equal(state_load(&chip_table, &other, out.data, out.length, NULL, &err), error);
    assert_non_null(strstr(err.text, word));
    struct chip as_it_was = example();
    as_it_was.loads = other.loads;
    as_it_was.twin = other.loads ? as_it_was.registers[0] : 0;
    assert_memory_equal(&other, &as_it_was, sizeof(other));
    free(out.data);
}

static void misfits_are_refused_and_leave_the_object_alone(void **state)
{
    (void)state;
    struct chip bad = example();
    static const struct state_table newer = STATE_TABLE("chip", 3, chip_fields, NULL);
    load_must_fail(&newer, &bad, -ENOTSUP, "version 3");
    static const struct state_table other = STATE_TABLE("chop", 2, chip_fields, NULL);
    load_must_fail(&other, &bad, -EINVAL, "'chop'");
    static const struct state_field wide[] = {{"mode", STATE_UINT, 0, 4, 1, NULL}};
    static const struct state_table wider = STATE_TABLE("chip", 2, wide, NULL);
    load_must_fail(&wider, &bad, -EINVAL, "'mode'");
    static const struct state_field few[] = {
        {"registers", STATE_UINT, offsetof(struct chip, registers), 4, 3, NULL}};
    static const struct state_table fewer = STATE_TABLE("chip", 2, few, NULL);
    load_must_fail(&fewer, &bad, -EINVAL, "'registers'");
    static const struct state_field not_bool[] = {
        {"on", STATE_UINT, offsetof(struct chip, memory) + 1, 1, 1, NULL}};
    static const struct state_table not_bools = STATE_TABLE("chip", 2, not_bool, NULL);
    load_must_fail(&not_bools, &bad, -EINVAL, "'on' is 3");

    /* Refused by `loaded`, outer and inner, after all was stored. */
    bad.mode = 6;
    bad.registers[0] = 1234;
    load_must_fail(&chip_table, &bad, -EINVAL, "mode 6");
    bad = example();
    bad.channels[1].count = 0xdead;
    bad.deadline = 1;
    load_must_fail(&chip_table, &bad, -EINVAL, "dead channel");
}

/* Every prefix is refused. Each copy has its exact size, so that ASan sees a byte read too many. */
static void every_cut_is_seen(void **state)
{
    (void)state;
    struct chip chip = example(), other = example();
    struct state_buffer out = saved(&chip_table, &chip);
    for (size_t length = 0; length < out.length; length++) {
        uint8_t *cut = malloc(length ? length : 1);
        memcpy(cut, out.data, length);
        assert_true(state_load(&chip_table, &other, cut, length, NULL, NULL) < 0);
        free(cut);
    }
    free(out.data);
}

static void damaged_streams_break_nothing(void **state)
{
    (void)state;
    struct chip chip = example();
    struct state_buffer out = saved(&chip_table, &chip);
    uint64_t seed = 42;
    unsigned accepted = 0;
    for (int round = 0; round < 100000; round++) {
        size_t length = out.length;
        if (test_random(&seed) % 4 == 0)
            length = test_random(&seed) % out.length;
        uint8_t *copy = malloc(length ? length : 1);
        memcpy(copy, out.data, length);
        for (uint64_t n = test_random(&seed) % 8; length && n > 0; n--) {
            static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};
            uint64_t value = test_random(&seed);
            copy[test_random(&seed) % length] =
                value & 0x100 ? edges[value % sizeof(edges)] : (uint8_t)value;
        }
        struct chip other = example(), before = other;
        size_t used = 0;
        int rc = state_load(&chip_table, &other, copy, length, &used, NULL);
        if (rc == 0) {
            accepted++;
            assert_true(used <= length && other.mode <= 5);
            assert_true(*(uint8_t *)&other.on <= 1 && *(uint8_t *)&other.spare.gate <= 1);
        } else {
            before.loads = other.loads;
            before.twin = other.twin;
            assert_memory_equal(&other, &before, sizeof(other));
        }
        free(copy);
    }
    assert_true(accepted > 1000 && accepted < 99000);
    free(out.data);
}

static void people_can_read_it(void **state)
{
    (void)state;
    struct chip chip = example();
    char *text = state_describe(&chip_table, &chip);
    assert_non_null(strstr(text, "mode=0x3\n"));
    assert_non_null(strstr(text, "on=0x1\n"));
    assert_non_null(strstr(text, "registers=0x5 0x11111116 0x22222227 0x33333338\n"));
    assert_non_null(strstr(text, "memory=000306"));
    assert_non_null(strstr(text, "... (100 bytes)\n"));
    assert_non_null(strstr(text, "channels[1].gate=0x1\n"));
    assert_non_null(strstr(text, "spare.count=0x9\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_trip_brings_all_back),
        cmocka_unit_test(objects_follow_each_other),
        cmocka_unit_test(unknown_fields_are_skipped_and_missing_ones_kept),
        cmocka_unit_test(misfits_are_refused_and_leave_the_object_alone),
        cmocka_unit_test(every_cut_is_seen),
        cmocka_unit_test(damaged_streams_break_nothing),
        cmocka_unit_test(people_can_read_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
