/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The SMBIOS tables: the entry point, the walk over all structures, what they say of processors and
 * memory.
 */
#include "unit/fw_cfg_bench.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "machine/smbios.h"

static struct smbios_board some_board(void)
{
    struct smbios_board board = {
        .product = "Some board",
        .sockets = 2,
        .cores = 3,
        .ram_below_4g = GIB(3),
        .ram_above_4g = GIB(14),
    };
    return board;
}

static uint8_t sum(const uint8_t *bytes, size_t length)
{
    uint8_t total = 0;
    while (length--)
        total = (uint8_t)(total + *bytes++);
    return total;
}

/* Walks the structures as the specification tells readers to (6.1.2): formatted part, strings, two
 * zeros. Calls look for each. Checks the entry point's counts on the way. */
typedef void (*look_fn)(const uint8_t *structure, void *opaque);

static void walk(const struct smbios_board *board, look_fn look, void *opaque)
{
    struct error err = {""};
    assert_int_equal(smbios_tables_add(&fw, board, &err), 0);
    const struct fw_cfg_item *entry = fw_cfg_find_file(&fw, "etc/smbios/smbios-anchor");
    const struct fw_cfg_item *tables = fw_cfg_find_file(&fw, "etc/smbios/smbios-tables");
    assert_non_null(entry);
    assert_non_null(tables);
    assert_int_equal(entry->length, 0x1f);
    assert_memory_equal(entry->data, "_SM_", 4);
    assert_memory_equal(entry->data + 0x10, "_DMI_", 5);
    assert_int_equal(entry->data[5], 0x1f);
    assert_int_equal(entry->data[6], 2);
    assert_int_equal(entry->data[7], 8);
    assert_int_equal(sum(entry->data, 0x1f), 0);
    assert_int_equal(sum(entry->data + 0x10, 0x0f), 0);
    assert_int_equal(load_le16(entry->data + 0x16), tables->length);

    uint32_t at = 0, count = 0, largest = 0;
    bool handles[0x10000] = {0}, ended = false;
    while (at < tables->length) {
        const uint8_t *s = tables->data + at;
        assert_false(ended);
        assert_true(tables->length - at >= 6 && s[1] >= 4 && s[1] + 2u <= tables->length - at);
        uint16_t handle = load_le16(s + 2);
        assert_false(handles[handle]);
        handles[handle] = true;
        uint32_t end = at + s[1];
        while (tables->data[end] || tables->data[end + 1]) {
            end++;
            assert_true(end + 1 < tables->length);
        }
        if (look)
            look(s, opaque);
        largest = end + 2 - at > largest ? end + 2 - at : largest;
        ended = s[0] == 127;
        count++;
        at = end + 2;
    }
    assert_true(ended);
    assert_int_equal(load_le16(entry->data + 0x1c), count);
    assert_int_equal(load_le16(entry->data + 8), largest);
}

/* String number n of a structure. */
static const char *text(const uint8_t *structure, unsigned n)
{
    assert_true(n > 0);
    const char *at = (const char *)structure + structure[1];
    while (--n)
        at += strlen(at) + 1;
    assert_true(*at);
    return at;
}

struct seen {
    unsigned types[128];
    uint64_t module_mib, range_bytes, array_bytes, last_range_end;
    unsigned array_modules;
};

static void note(const uint8_t *s, void *opaque)
{
    static const uint8_t lengths[128] = {[1] = 0x1b,  [3] = 0x16,  [4] = 0x2a,  [16] = 0x17,
                                         [17] = 0x28, [19] = 0x1f, [32] = 0x0b, [127] = 4};
    struct seen *seen = opaque;
    assert_true(s[0] < 128 && lengths[s[0]]);
    assert_int_equal(s[1], lengths[s[0]]);
    seen->types[s[0]]++;
    if (s[0] == 1) {
        assert_string_equal(text(s, s[4]), "Trapeze");
        assert_string_equal(text(s, s[5]), "Some board");
    } else if (s[0] == 4) {
        assert_string_equal(text(s, s[4]), s[2] ? "CPU 1" : "CPU 0");
        assert_int_equal(s[0x18], 0x41);
        assert_int_equal(s[0x23], 3);
    } else if (s[0] == 16) {
        uint32_t kib = load_le32(s + 7);
        seen->array_bytes = kib == 0x80000000 ? load_le64(s + 15) : (uint64_t)kib << 10;
        seen->array_modules = load_le16(s + 13);
    } else if (s[0] == 17) {
        assert_int_equal(load_le16(s + 4), 0x1000);
        uint16_t size = load_le16(s + 12);
        seen->module_mib += size == 0x7fff ? load_le32(s + 28) : size;
    } else if (s[0] == 19) {
        assert_int_equal(load_le16(s + 12), 0x1000);
        uint64_t start = (uint64_t)load_le32(s + 4) << 10;
        uint64_t end = (((uint64_t)load_le32(s + 8) + 1) << 10) - 1;
        if (load_le32(s + 4) == UINT32_MAX) {
            start = load_le64(s + 15);
            end = load_le64(s + 23);
        }
        seen->range_bytes += end - start + 1;
        seen->last_range_end = end;
    }
}

static void test_structures(void **state)
{
    (void)state;
    struct seen seen = {{0}};
    struct smbios_board board = some_board();
    walk(&board, note, &seen);
    assert_int_equal(seen.types[0], 0); /* the firmware's */
    assert_int_equal(seen.types[1], 1);
    assert_int_equal(seen.types[3], 1);
    assert_int_equal(seen.types[4], 2);
    assert_int_equal(seen.types[16], 1);
    assert_int_equal(seen.types[17], 2);
    assert_int_equal(seen.array_modules, 2);
    assert_int_equal(seen.types[19], 2);
    assert_int_equal(seen.types[32], 1);
    assert_int_equal(seen.types[127], 1);
    assert_int_equal(seen.array_bytes, GIB(17));
    assert_int_equal(seen.module_mib, GIB(17) >> 20);
    assert_int_equal(seen.range_bytes, GIB(17));
    assert_int_equal(seen.last_range_end, GIB(18) - 1);
}

static void check_memory(uint64_t below, uint64_t above)
{
    struct seen seen = {{0}};
    struct smbios_board board = some_board();
    board.ram_below_4g = below;
    board.ram_above_4g = above;
    walk(&board, note, &seen);
    assert_int_equal(seen.array_bytes, below + above);
    assert_int_equal(seen.range_bytes, below + above);
    assert_int_equal(seen.module_mib, round_up(below + above, MIB(1)) >> 20);
    assert_int_equal(seen.array_modules, seen.types[17]);
    assert_true(seen.types[17] <= 64);
    assert_int_equal(seen.types[19], above ? 2 : 1);
}

static void test_sizes_of_memory(void **state)
{
    (void)state;
    check_memory(KIB(512), 0);
    check_memory(MIB(1), 0);
    check_memory(GIB(3), 0);
    check_memory(GIB(3), MIB(1));
    check_memory(GIB(3), GIB(13));
    check_memory(GIB(3), GIB(13) + MIB(1));
    check_memory(GIB(3), GIB(2045)); /* 2 TiB: past 31 bits of KiB */
    check_memory(GIB(3), GIB(4093)); /* past 32 bits of KiB */
    check_memory(GIB(3), GIB(60000));
}

static void note_uuid(const uint8_t *s, void *opaque)
{
    if (s[0] == 1)
        memcpy(opaque, s + 8, 16);
}

static void test_uuid_has_its_byte_order(void **state)
{
    (void)state;
    struct smbios_board board = some_board();
    uint8_t uuid[16];
    walk(&board, note_uuid, uuid);
    static const uint8_t none[16];
    assert_memory_equal(uuid, none, 16);
    for (int i = 0; i < 16; i++)
        board.uuid[i] = (uint8_t)i;
    walk(&board, note_uuid, uuid);
    static const uint8_t wanted[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    assert_memory_equal(uuid, wanted, 16);
}

static void test_most_processors(void **state)
{
    (void)state;
    struct smbios_board board = some_board();
    board.sockets = 255;
    walk(&board, NULL, NULL);
}

static void test_bad_boards(void **state)
{
    (void)state;
    struct error err;
    struct smbios_board board = some_board();
    board.sockets = 0;
    assert_int_equal(smbios_tables_add(&fw, &board, &err), -EINVAL);
    board.sockets = 256;
    assert_int_equal(smbios_tables_add(&fw, &board, &err), -EINVAL);
    board = some_board();
    board.cores = 256;
    assert_int_equal(smbios_tables_add(&fw, &board, &err), -EINVAL);
    board = some_board();
    board.ram_above_4g = UINT64_MAX;
    assert_int_equal(smbios_tables_add(&fw, &board, &err), -EINVAL);
    board.ram_below_4g = board.ram_above_4g = 0;
    assert_int_equal(smbios_tables_add(&fw, &board, &err), -EINVAL);
    assert_null(fw_cfg_find_file(&fw, "etc/smbios/smbios-anchor"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_structures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sizes_of_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_uuid_has_its_byte_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_most_processors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_boards, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
