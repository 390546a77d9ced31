/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The small items for the firmware, byte by byte as SeaBIOS reads them.
 */
#include "unit/fw_cfg_bench.h"

#include "base/bytes.h"
#include "machine/fw_items.h"

static const struct fw_cfg_item *file(const char *name, uint32_t length)
{
    const struct fw_cfg_item *item = fw_cfg_find_file(&fw, name);
    assert_non_null(item);
    assert_int_equal(item->length, length);
    return item;
}

static void check_ram(const uint8_t *entry, uint64_t start, uint64_t length)
{
    assert_int_equal(load_le64(entry), start);
    assert_int_equal(load_le64(entry + 8), length);
    assert_int_equal(load_le32(entry + 16), 1);
}

static void test_ram_ranges(void **state)
{
    (void)state;
    assert_int_equal(fw_items_add(&fw, MIB(128), 0, 1, NULL), 0);
    check_ram(file("etc/e820", 20)->data, 0, MIB(128));
    assert_int_equal(fw_items_add(&fw, GIB(3), GIB(5), 1, NULL), 0);
    check_ram(file("etc/e820", 40)->data, 0, GIB(3));
    check_ram(file("etc/e820", 40)->data + 20, GIB(4), GIB(5));
}

static void test_sleep_states(void **state)
{
    (void)state;
    assert_int_equal(fw_items_add(&fw, MIB(128), 0, 1, NULL), 0);
    const uint8_t *states = file("etc/system-states", 6)->data;
    assert_true(states[0] & 0x80);
    assert_false(states[3] & 0x80); /* no S3 */
    assert_int_equal(states[4], 0x82);
    assert_int_equal(states[5], 0x80);
}

static void test_numbers(void **state)
{
    (void)state;
    assert_int_equal(fw_items_add(&fw, MIB(128), 0, 4, NULL), 0);
    assert_int_equal(load_le32(file("etc/boot-fail-wait", 4)->data), UINT32_MAX);
    const struct fw_cfg_item *numa = &fw.items[FW_CFG_NUMA];
    assert_int_equal(numa->length, 8 * 5);
    for (uint32_t i = 0; i < numa->length; i++)
        assert_int_equal(numa->data[i], 0);
    pio_write(pio, 0x510, FW_CFG_IRQ0_OVERRIDE, 2);
    assert_int_equal(pio_read(pio, 0x511, 1), 1);
    assert_int_equal(pio_read(pio, 0x511, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ram_ranges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sleep_states, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_numbers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
