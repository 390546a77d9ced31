/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mem/io: access widths and the port space.
 */
#include "unit/test.h"

#include <errno.h>
#include <string.h>

#include "mem/io.h"

/* A device of bytes where offset n holds base + n; it notes what it is asked. */
struct probe {
    uint8_t base;
    unsigned reads, writes;
    struct {
        uint64_t offset, value;
        unsigned size;
    } calls[16];
};

static uint64_t probe_read(void *opaque, uint64_t offset, unsigned size)
{
    struct probe *probe = opaque;
    if (probe->reads < 16) {
        probe->calls[probe->reads].offset = offset;
        probe->calls[probe->reads].size = size;
    }
    probe->reads++;
    uint64_t value = UINT64_MAX; /* bits above the size are to be ignored */
    for (unsigned i = size; i > 0; i--)
        value = value << 8 | (uint8_t)(probe->base + offset + i - 1);
    return value;
}

static void probe_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct probe *probe = opaque;
    if (probe->writes < 16) {
        probe->calls[probe->writes].offset = offset;
        probe->calls[probe->writes].value = value;
        probe->calls[probe->writes].size = size;
    }
    probe->writes++;
}

static const struct io_ops bytes_only = {probe_read, probe_write, 1, 1};
static const struct io_ops words_only = {probe_read, probe_write, 4, 4};
static const struct io_ops up_to_four = {probe_read, probe_write, 0, 0};
static const struct io_ops up_to_eight = {probe_read, probe_write, 1, 8};

static void wide_accesses_are_split(void **state)
{
    (void)state;
    struct probe probe = {0};
    assert_int_equal(io_read(&bytes_only, &probe, 8, 4), 0x0b0a0908);
    assert_int_equal(probe.reads, 4);
    assert_int_equal(probe.calls[3].offset, 11);
    assert_int_equal(probe.calls[3].size, 1);
    probe = (struct probe){0};
    assert_int_equal(io_read(&up_to_four, &probe, 8, 8), 0x0f0e0d0c0b0a0908);
    assert_int_equal(probe.reads, 2);
    probe = (struct probe){0};
    assert_int_equal(io_read(&up_to_eight, &probe, 8, 8), 0x0f0e0d0c0b0a0908);
    assert_int_equal(probe.reads, 1);
    probe = (struct probe){0};
    assert_int_equal(io_read(&up_to_four, &probe, 3, 2), 0x0403);
    assert_int_equal(probe.reads, 1);

    probe = (struct probe){0};
    io_write(&up_to_four, &probe, 16, 0x1122334455667788, 8);
    assert_int_equal(probe.writes, 2);
    assert_int_equal(probe.calls[0].value, 0x55667788);
    assert_int_equal(probe.calls[1].value, 0x11223344);
    assert_int_equal(probe.calls[1].offset, 20);
    probe = (struct probe){0};
    io_write(&bytes_only, &probe, 0, 0xffffaabb, 2);
    assert_int_equal(probe.writes, 2);
    assert_int_equal(probe.calls[1].value, 0xaa);
}

static void narrow_reads_are_cut_out_and_narrow_writes_dropped(void **state)
{
    (void)state;
    struct probe probe = {0};
    assert_int_equal(io_read(&words_only, &probe, 0x12, 1), 0x12);
    assert_int_equal(probe.calls[0].offset, 0x10);
    assert_int_equal(probe.calls[0].size, 4);
    assert_int_equal(io_read(&words_only, &probe, 0x12, 2), 0x1312);
    assert_int_equal(probe.reads, 2);
    assert_int_equal(io_read(&words_only, &probe, 0x13, 2), 0x1413); /* two words */
    assert_int_equal(probe.reads, 4);
    io_write(&words_only, &probe, 0x10, 1, 2);
    assert_int_equal(probe.writes, 0);
    io_write(&words_only, &probe, 0x10, 1, 8);
    assert_int_equal(probe.writes, 2);
}

static void missing_functions_are_fine(void **state)
{
    (void)state;
    static const struct io_ops none = {0};
    assert_int_equal(io_read(&none, NULL, 0, 8), UINT64_MAX);
    assert_int_equal(io_read(&none, NULL, 0, 2), 0xffff);
    io_write(&none, NULL, 0, 0, 4);
}

static struct pio *pio;

static int setup(void **state)
{
    (void)state;
    return pio_create(&pio, NULL);
}

static int teardown(void **state)
{
    (void)state;
    pio_destroy(pio);
    return 0;
}

static void ports_nobody_has_float_high(void **state)
{
    (void)state;
    assert_int_equal(pio_read(pio, 0x80, 1), 0xff);
    assert_int_equal(pio_read(pio, 0x80, 2), 0xffff);
    assert_int_equal(pio_read(pio, 0xffff, 4), 0xffffffff);
    pio_write(pio, 0xffff, 0, 4);
}

static void bad_ranges_are_refused(void **state)
{
    (void)state;
    struct pio_range empty = {"empty", 0x10, 0, &up_to_four, NULL};
    struct pio_range past = {"past", 0xfff0, 0x11, &up_to_four, NULL};
    struct pio_range last = {"last", 0xfff0, 0x10, &up_to_four, NULL};
    assert_int_equal(pio_add(pio, &empty), -EINVAL);
    assert_int_equal(pio_add(pio, &past), -EINVAL);
    assert_int_equal(pio_add(pio, &last), 0);
    assert_int_equal(pio_add(pio, &last), -EEXIST);
    pio_remove(pio, &past); /* never added: nothing happens */
}

static void accesses_across_owners_are_split_by_bytes(void **state)
{
    (void)state;
    struct probe low = {.base = 0x10}, high = {.base = 0x80};
    struct pio_range a = {"low", 0x100, 4, &up_to_four, &low};
    struct pio_range b = {"high", 0x104, 4, &up_to_four, &high};
    pio_add(pio, &a);
    pio_add(pio, &b);
    assert_int_equal(pio_read(pio, 0x100, 4), 0x13121110);
    assert_int_equal(low.reads, 1);
    assert_int_equal(pio_read(pio, 0x102, 4), 0x81801312);
    assert_int_equal(low.reads, 3);
    assert_int_equal(high.reads, 2);
    assert_int_equal(pio_read(pio, 0x106, 4), 0xffff8382);
    pio_write(pio, 0x102, 0x44332211, 4);
    assert_int_equal(low.writes, 2);
    assert_int_equal(high.writes, 2);
    assert_int_equal(high.calls[1].offset, 1);
    assert_int_equal(high.calls[1].value, 0x44);
}

static void the_last_port_wraps_to_the_first(void **state)
{
    (void)state;
    struct probe first = {.base = 0x10}, last = {.base = 0x80};
    struct pio_range a = {"first", 0, 4, &up_to_four, &first};
    struct pio_range b = {"last", 0xfffc, 4, &up_to_four, &last};
    pio_add(pio, &a);
    pio_add(pio, &b);
    assert_int_equal(pio_read(pio, 0xfffe, 4), 0x11108382);
    pio_write(pio, 0xffff, 0x2211, 2);
    assert_int_equal(last.calls[0].offset, 3);
    assert_int_equal(first.calls[0].value, 0x22);
}

struct walk {
    unsigned count;
    uint16_t first[8];
    uint32_t length[8];
    const char *name[8];
};

static void walked(void *opaque, uint16_t first, uint32_t count, const char *name)
{
    struct walk *walk = opaque;
    assert_true(walk->count < 8);
    walk->first[walk->count] = first;
    walk->length[walk->count] = count;
    walk->name[walk->count++] = name;
}

static void later_ranges_hide_earlier_ones_until_removed(void **state)
{
    (void)state;
    struct probe probes[3] = {{.base = 0x00}, {.base = 0x40}, {.base = 0x80}};
    struct pio_range ranges[3] = {
        {"a", 0x200, 16, &up_to_four, &probes[0]},
        {"b", 0x204, 8, &up_to_four, &probes[1]},
        {"c", 0x208, 2, &up_to_four, &probes[2]},
    };
    for (int i = 0; i < 3; i++)
        assert_int_equal(pio_add(pio, &ranges[i]), 0);
    struct walk walk = {0};
    pio_walk(pio, walked, &walk);
    assert_int_equal(walk.count, 5); /* a b c b a */
    static const uint16_t first[] = {0x200, 0x204, 0x208, 0x20a, 0x20c};
    assert_memory_equal(walk.first, first, sizeof(first));
    assert_string_equal(walk.name[2], "c");
    assert_int_equal(walk.length[2], 2);

    assert_int_equal(pio_read(pio, 0x208, 1), 0x80);
    ranges[1].first = 0x300; /* what the owner does to it meanwhile does not matter */
    pio_remove(pio, &ranges[1]);
    assert_int_equal(pio_read(pio, 0x208, 1), 0x80);
    assert_int_equal(pio_read(pio, 0x204, 1), 0x04);
    pio_remove(pio, &ranges[2]);
    assert_int_equal(pio_read(pio, 0x208, 1), 0x08);
    pio_remove(pio, &ranges[0]);
    assert_int_equal(pio_read(pio, 0x208, 1), 0xff);
}

static struct pio_range vanishing;

static void remove_myself(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)offset;
    (void)value;
    (void)size;
    ++*(int *)opaque;
    pio_remove(pio, &vanishing);
}

static void a_range_may_go_while_it_is_written(void **state)
{
    (void)state;
    static const struct io_ops ops = {NULL, remove_myself, 1, 4};
    int calls = 0;
    vanishing = (struct pio_range){"vanishing", 0x10, 2, &ops, &calls};
    pio_add(pio, &vanishing);
    pio_write(pio, 0x10, 0, 4); /* by bytes: the second finds nobody */
    assert_int_equal(calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_accesses_are_split),
        cmocka_unit_test(narrow_reads_are_cut_out_and_narrow_writes_dropped),
        cmocka_unit_test(missing_functions_are_fine),
        cmocka_unit_test_setup_teardown(ports_nobody_has_float_high, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_ranges_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(accesses_across_owners_are_split_by_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_port_wraps_to_the_first, setup, teardown),
        cmocka_unit_test_setup_teardown(later_ranges_hide_earlier_ones_until_removed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_range_may_go_while_it_is_written, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
