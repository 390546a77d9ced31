/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fw_cfg: selector and data ports, the directory, DMA with honest and with hostile descriptors.
 */
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>

#include "device/fw_cfg.h"

enum { DESCRIPTOR = 0x1000, TARGET = 0x2000, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };

static struct mem *mem;
static struct pio *pio;
static struct ram *ram;
static struct mem_region low;
static struct fw_cfg fw;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(mem_create(&mem, NULL), 0);
    assert_int_equal(pio_create(&pio, NULL), 0);
    assert_int_equal(ram_create(&ram, "ram", MIB(1), NULL), 0);
    low = (struct mem_region){
        .name = "low", .kind = MEM_RAM, .enabled = true, .size = MIB(1), .ram = ram};
    mem_add(mem, &low);
    assert_int_equal(fw_cfg_init(&fw, pio, mem, NULL), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fw.device.type->fini(&fw.device);
    mem_remove(mem, &low);
    pio_destroy(pio);
    mem_destroy(mem);
    ram_destroy(ram);
    return 0;
}

static void pick(unsigned key)
{
    pio_write(pio, 0x510, key, 2);
}

static uint64_t take(unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)pio_read(pio, 0x511, 1) << (8 * i);
    return value;
}

static uint32_t dma(uint32_t control, uint32_t length, uint64_t address)
{
    uint8_t descriptor[16];
    store_le32(descriptor, swap32(control));
    store_le32(descriptor + 4, swap32(length));
    store_le64(descriptor + 8, swap64(address));
    assert_true(mem_write(mem, DESCRIPTOR, descriptor, sizeof(descriptor)));
    pio_write(pio, 0x514, 0, 4);
    pio_write(pio, 0x518, swap32(DESCRIPTOR), 4);
    return swap32((uint32_t)mem_load(mem, DESCRIPTOR, 4));
}

static void test_detection(void **state)
{
    (void)state;
    pick(FW_CFG_SIGNATURE);
    assert_int_equal(take(4), 0x554d4551);
    assert_int_equal(take(1), 0); /* past the end */
    pick(FW_CFG_ID);
    assert_int_equal(take(4), 3);
    assert_int_equal(pio_read(pio, 0x514, 4), 0x554d4551);
    assert_int_equal(pio_read(pio, 0x518, 4), 0x47464320);
    pick(0x7777);
    assert_int_equal(take(4), 0);
}

static void test_items(void **state)
{
    (void)state;
    assert_int_equal(fw_cfg_add_i16(&fw, FW_CFG_NB_CPUS, 0x1234, NULL), 0);
    assert_int_equal(fw_cfg_add_i64(&fw, FW_CFG_RAM_SIZE, 0x1122334455667788, NULL), 0);
    assert_int_equal(fw_cfg_add_i32(&fw, FW_CFG_HPET, 5, NULL), 0);
    assert_int_equal(fw_cfg_add_string(&fw, FW_CFG_CMDLINE_DATA, "hi", NULL), 0);
    pick(FW_CFG_NB_CPUS);
    assert_int_equal(take(2), 0x1234);
    pick(FW_CFG_RAM_SIZE);
    assert_true(take(8) == 0x1122334455667788);
    pick(FW_CFG_HPET);
    assert_int_equal(take(4), 5);
    pick(FW_CFG_CMDLINE_DATA);
    assert_int_equal(take(3), 'h' | 'i' << 8);
    assert_int_equal(fw_cfg_add_i16(&fw, 0x5000, 0, NULL), -EINVAL);
    assert_int_equal(fw_cfg_add_i16(&fw, 0x8008, 0, NULL), -EINVAL);
}

static void test_files(void **state)
{
    (void)state;
    assert_int_equal(fw_cfg_add_file(&fw, "etc/one", "1", 1, NULL), 0);
    assert_int_equal(fw_cfg_add_file(&fw, "etc/two", "22", 2, NULL), 0);
    assert_int_equal(fw_cfg_add_file(&fw, "etc/one", "333", 3, NULL), 0); /* replaces */
    pick(FW_CFG_FILE_DIR);
    assert_int_equal(swap32((uint32_t)take(4)), 2);
    uint8_t entry[64];
    for (unsigned i = 0; i < 64; i++)
        entry[i] = (uint8_t)take(1);
    assert_int_equal(swap32(load_le32(entry)), 3);
    assert_int_equal(swap16(load_le16(entry + 4)), FW_CFG_FILE_FIRST);
    assert_string_equal((char *)entry + 8, "etc/one");
    pick(FW_CFG_FILE_FIRST);
    assert_int_equal(take(3), 0x333333);
    assert_int_equal(fw_cfg_find_file(&fw, "etc/two")->length, 2);
    assert_null(fw_cfg_find_file(&fw, "etc/three"));

    char name[80];
    for (unsigned i = 2; i < FW_CFG_FILES; i++) {
        snprintf(name, sizeof(name), "file%u", i);
        assert_int_equal(fw_cfg_add_file(&fw, name, NULL, 0, NULL), 0);
    }
    assert_int_equal(fw_cfg_add_file(&fw, "more", NULL, 0, NULL), -ENOSPC);
    memset(name, 'x', 56);
    name[56] = 0;
    assert_int_equal(fw_cfg_add_file(&fw, name, NULL, 0, NULL), -EINVAL);
}

static void test_dma(void **state)
{
    (void)state;
    assert_int_equal(fw_cfg_add_file(&fw, "f", "abcdefgh", 8, NULL), 0);
    uint32_t select = (uint32_t)FW_CFG_FILE_FIRST << 16 | SELECT;
    assert_int_equal(dma(select | READ, 4, TARGET), 0);
    assert_int_equal(mem_load(mem, TARGET, 4), load_le32("abcd"));
    assert_int_equal(dma(SKIP, 2, 0), 0);
    mem_store(mem, TARGET + 2, 0xffff, 2);
    assert_int_equal(dma(READ, 4, TARGET), 0);
    assert_int_equal(mem_load(mem, TARGET, 4), load_le32("gh\0\0"));
    assert_int_equal(dma(select, 0, 0), 0);
    assert_int_equal(take(1), 'a');
}

static void test_hostile_dma(void **state)
{
    (void)state;
    assert_int_equal(fw_cfg_add_file(&fw, "f", "abcdefgh", 8, NULL), 0);
    uint32_t select = (uint32_t)FW_CFG_FILE_FIRST << 16 | SELECT;
    assert_int_equal(dma(select | WRITE, 4, TARGET), 1);
    assert_int_equal(dma(select | READ, 4, MIB(16)), 1); /* no memory there */
    assert_int_equal(dma(select | READ, 4, UINT64_MAX - 1), 1);
    assert_int_equal(dma(select | READ, UINT32_MAX, 0x8000), 1);
    assert_int_equal(dma(select | SKIP, UINT32_MAX, 0), 0);
    assert_int_equal(dma(SKIP, UINT32_MAX, 0), 0);
    assert_int_equal(take(1), 0);
    /* The data over the descriptor itself. */
    assert_int_equal(dma(select | READ, 8, DESCRIPTOR), 0);
    assert_int_equal(mem_load(mem, DESCRIPTOR + 4, 4), load_le32("efgh"));
    /* A descriptor that is nowhere, or half there; odd sizes and offsets. */
    pio_write(pio, 0x514, 0xffffffff, 4);
    pio_write(pio, 0x518, 0xffffffff, 4);
    pio_write(pio, 0x518, swap32(MIB(1) - 8), 4);
    pio_write(pio, 0x516, 0x12345678, 4);
    pio_write(pio, 0x518, 0x12, 1);
    assert_int_equal(dma(select | READ, 4, TARGET), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_detection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_items, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dma, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_dma, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
