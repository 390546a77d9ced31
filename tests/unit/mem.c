/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mem/ram and mem/mem: pages, flattening, device access, notifications.
 */
#include "unit/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/bytes.h"
#include "base/error.h"
#include "mem/mem.h"

static void ram_is_lazy_and_its_ends_work(void **state)
{
    (void)state;
    struct ram *ram;
    struct error err = {""};
    assert_int_equal(ram_create(&ram, "huge", GIB(64), &err), 0);
    uint64_t pages = GIB(64) / PAGE_SIZE;
    ram_host(ram, pages - 1)[4095] = 7;
    ram_host(ram, 0)[0] = 8;
    assert_ptr_equal(ram_host(ram, pages - 1), ram_host(ram, pages - 1));
    uint8_t byte;
    assert_true(ram_copy_out(ram, GIB(64) - 1, &byte, 1));
    assert_int_equal(byte, 7);
    ram_set_flags(ram, pages - 1, RAM_CODE);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    assert_true(usage.ru_maxrss < 512 * 1024); /* KiB; ASan's own is in it */
    ram_destroy(ram);
    ram_destroy(NULL);
}

static void impossible_sizes_are_explained(void **state)
{
    (void)state;
    struct ram *ram;
    struct error err = {""};
    assert_int_equal(ram_create(&ram, "ram", 0, &err), -EINVAL);
    assert_int_equal(ram_create(&ram, "ram", UINT64_C(1) << 50, &err), -ENOMEM);
    assert_non_null(strstr(err.text, "the host has"));
    assert_int_equal(ram_create(&ram, "ram", UINT64_MAX, &err), -ENOMEM);
    assert_int_equal(ram_create(&ram, "ram", UINT64_MAX - PAGE_SIZE, &err), -ENOMEM);
    assert_int_equal(ram_create(&ram, "ram", UINT64_C(1) << 63, &err), -ENOMEM);
}

static void a_limit_on_files_ends_no_process(void **state)
{
    (void)state;
    struct rlimit old, small = {1 << 20, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    struct ram *ram;
    struct error err = {""};
    int rc = ram_create(&ram, "ram", MIB(2), &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(rc, -EFBIG);
    assert_non_null(strstr(err.text, "ulimit -f"));
}

static void copies_stay_inside_and_flags_are_fetched_once(void **state)
{
    (void)state;
    struct ram *ram;
    assert_int_equal(ram_create(&ram, "small", 100 * PAGE_SIZE - 5, NULL), 0);
    assert_int_equal(ram->size, 100 * PAGE_SIZE);
    uint8_t data[2 * PAGE_SIZE + 10], back[sizeof(data)];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    assert_true(ram_copy_in(ram, 70 * PAGE_SIZE - 5, data, sizeof(data)));
    assert_true(ram_copy_out(ram, 70 * PAGE_SIZE - 5, back, sizeof(back)));
    assert_memory_equal(data, back, sizeof(data));
    assert_false(ram_copy_in(ram, 100 * PAGE_SIZE - 1, data, 2));
    assert_false(ram_copy_in(ram, UINT64_MAX, data, 2));
    assert_false(ram_copy_out(ram, 0, back, UINT64_MAX));
    assert_true(ram_copy_in(ram, 100 * PAGE_SIZE, data, 0));

    uint64_t bitmap[2] = {UINT64_MAX, UINT64_MAX};
    assert_true(ram_fetch_flag(ram, RAM_DIRTY_DISPLAY, 5, 95, bitmap));
    assert_int_equal(bitmap[0], 0);
    assert_int_equal(bitmap[1], UINT64_C(15)); /* pages 69..72: bits 64..67 */
    assert_false(ram_fetch_flag(ram, RAM_DIRTY_DISPLAY, 5, 95, bitmap));
    assert_int_equal(bitmap[1], 0);
    assert_true(ram_fetch_flag(ram, RAM_DIRTY_MIGRATE, 69, 1, bitmap));
    assert_int_equal(bitmap[0], 1);
    ram_destroy(ram);
}

/* A device that remembers and can be told to reach into memory itself. */
struct device {
    unsigned reads, writes, last_size;
    uint64_t last_offset, last_value;
    gpa_t dma_to; /* where a write is passed on to, if not 0 */
    bool dma_answered;
};

static struct mem *mem;
static struct ram *ram, *rom;
static struct mem_region ram_region, rom_region;
static unsigned maps, codes, cleared;
static gpa_t code_at[8];
static uint64_t code_length[8];

static uint64_t device_read(void *opaque, uint64_t offset, unsigned size)
{
    struct device *device = opaque;
    device->reads++;
    device->last_offset = offset;
    device->last_size = size;
    return 0xd0d1d2d3d4d5d6d7 + offset;
}

static void device_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct device *device = opaque;
    device->writes++;
    device->last_offset = offset;
    device->last_value = value;
    device->last_size = size;
    if (device->dma_to)
        device->dma_answered = mem_write(mem, device->dma_to, &value, 4);
}

static const struct io_ops device_ops = {device_read, device_write, 1, 8};

static void on_map(void *opaque)
{
    (void)opaque;
    maps++;
}

static void on_code(void *opaque, gpa_t gpa, uint64_t length)
{
    (void)opaque;
    if (codes < 8) {
        code_at[codes] = gpa;
        code_length[codes] = length;
    }
    codes++;
}

static void on_cleared(void *opaque)
{
    (void)opaque;
    cleared++;
}

static struct mem_listener listener = {on_map, on_code, on_cleared, NULL, NULL};

/* RAM at [0, 64 KiB), ROM at [0x20000, 0x21000). */
static int setup(void **state)
{
    (void)state;
    assert_int_equal(mem_create(&mem, NULL), 0);
    assert_int_equal(ram_create(&ram, "ram", 0x10000, NULL), 0);
    assert_int_equal(ram_create(&rom, "rom", 0x1000, NULL), 0);
    ram_region = (struct mem_region){
        .name = "ram", .kind = MEM_RAM, .enabled = true, .size = 0x10000, .ram = ram};
    rom_region = (struct mem_region){.name = "rom",
                                     .kind = MEM_ROM,
                                     .enabled = true,
                                     .base = 0x20000,
                                     .size = 0x1000,
                                     .ram = rom};
    mem_add(mem, &ram_region);
    mem_add(mem, &rom_region);
    maps = codes = cleared = 0;
    mem_listen(mem, &listener);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mem_unlisten(mem, &listener);
    mem_destroy(mem);
    ram_destroy(ram);
    ram_destroy(rom);
    return 0;
}

static struct mem_region io_region(const char *name, gpa_t base, uint64_t size, int priority,
                                   void *opaque)
{
    return (struct mem_region){.name = name,
                               .kind = MEM_IO,
                               .enabled = true,
                               .priority = priority,
                               .base = base,
                               .size = size,
                               .ops = &device_ops,
                               .opaque = opaque};
}

static const char *owner_of(gpa_t gpa)
{
    struct mem_view *view = mem_view_ref(mem);
    const struct mem_range *range = mem_find(view, gpa);
    assert_true(range->first <= gpa && gpa <= range->last);
    const char *name = range->region ? range->region->name : "-";
    mem_view_unref(view);
    return name;
}

static void priorities_and_order_decide(void **state)
{
    (void)state;
    struct device device = {0};
    struct mem_region low = io_region("low", 0x8000, 0x10000, -1, &device);
    struct mem_region high = io_region("high", 0x4000, 0x1000, 1, &device);
    struct mem_region same = io_region("same", 0xf000, 0x2000, 0, &device);
    mem_add(mem, &high);
    mem_add(mem, &low);
    mem_add(mem, &same);
    assert_string_equal(owner_of(0x3fff), "ram");
    assert_string_equal(owner_of(0x4000), "high");
    assert_string_equal(owner_of(0x4fff), "high");
    assert_string_equal(owner_of(0x5000), "ram");
    assert_string_equal(owner_of(0xefff), "ram");
    assert_string_equal(owner_of(0xf000), "same"); /* later added, equal priority */
    assert_string_equal(owner_of(0x10fff), "same");
    assert_string_equal(owner_of(0x11000), "low");
    assert_string_equal(owner_of(0x17fff), "low");
    assert_string_equal(owner_of(0x18000), "-");
    assert_string_equal(owner_of(UINT64_MAX), "-");

    mem_load(mem, 0x11008, 4);
    assert_int_equal(device.last_offset, 0x9008); /* of the region, not of the visible part */
    struct mem_view *view = mem_view_ref(mem);
    const struct mem_range *range = mem_find(view, 0x6000);
    assert_int_equal(range->ram_offset, 0x5000);
    assert_ptr_equal(mem_host(range, 0x6001), ram_host(ram, 6) + 1);
    assert_int_equal(mem_ram_page(range, 0x6001), 6);
    gpa_t next = 0; /* no gaps */
    for (size_t i = 0; i < view->count; i++) {
        assert_int_equal(view->ranges[i].first, next);
        next = view->ranges[i].last + 1;
    }
    assert_int_equal(next, 0);
    mem_view_unref(view);
}

static void changes_are_told_once_and_only_when_there_are_any(void **state)
{
    (void)state;
    struct device device = {0};
    struct mem_region bar = io_region("bar", 0x30000, 0x1000, -1, &device);
    mem_add(mem, &bar);
    assert_int_equal(maps, 1);
    mem_move(mem, &bar, 0x30000);
    mem_set_enabled(mem, &bar, true);
    assert_int_equal(maps, 1);
    mem_move(mem, &bar, 0x1000); /* wholly under RAM */
    assert_int_equal(maps, 2);
    mem_set_enabled(mem, &bar, false); /* nothing visible changes */
    assert_int_equal(maps, 2);
    mem_begin(mem);
    mem_begin(mem);
    mem_set_enabled(mem, &bar, true);
    mem_move(mem, &bar, 0x40000);
    mem_commit(mem);
    assert_string_equal(owner_of(0x40000), "-");
    mem_commit(mem);
    assert_int_equal(maps, 3);
    assert_string_equal(owner_of(0x40000), "bar");
    mem_remove(mem, &bar);
    assert_string_equal(owner_of(0x40000), "-");
    mem_remove(mem, &bar);
    assert_int_equal(maps, 4);
}

static void an_old_view_stays_as_it_was(void **state)
{
    (void)state;
    struct mem_view *view = mem_view_ref(mem);
    mem_remove(mem, &rom_region);
    assert_ptr_equal(mem_find(view, 0x20000)->region, &rom_region);
    assert_string_equal(owner_of(0x20000), "-");
    mem_view_unref(view);
}

static void loads_and_stores_cross_pages_and_owners(void **state)
{
    (void)state;
    for (unsigned size = 1; size <= 8; size *= 2) {
        uint64_t value = 0x8877665544332211 & (size == 8 ? UINT64_MAX : (1ull << size * 8) - 1);
        for (gpa_t gpa = 0xff0; gpa < 0x1010; gpa++) {
            mem_store(mem, gpa, value, size);
            assert_int_equal(mem_load(mem, gpa, size), value);
        }
    }
    mem_store(mem, 0xfffe, 0x44332211, 4); /* half of it beyond RAM */
    assert_int_equal(mem_load(mem, 0xfffe, 4), 0xffff2211);
    assert_int_equal(mem_load(mem, 0x50000, 1), 0xff);
    assert_int_equal(mem_load(mem, 0x50000, 8), UINT64_MAX);
    assert_int_equal(mem_load(mem, UINT64_MAX, 8), UINT64_MAX);
    mem_store(mem, UINT64_MAX - 2, 0, 8);
}

static void rom_drops_writes_but_can_be_loaded(void **state)
{
    (void)state;
    assert_true(mem_write_rom(mem, 0x20ffc, "ABCD", 4));
    assert_int_equal(mem_load(mem, 0x20ffc, 4), 0x44434241);
    mem_store(mem, 0x20ffc, 0, 4);
    assert_true(mem_write(mem, 0x20ffc, "wxyz", 4));
    assert_int_equal(mem_load(mem, 0x20ffc, 4), 0x44434241);
    mem_set_kind(mem, &rom_region, MEM_RAM); /* as PAM registers do */
    assert_int_equal(maps, 1);
    mem_store(mem, 0x20ffc, 1, 4);
    assert_int_equal(mem_load(mem, 0x20ffc, 4), 1);
}

static void system_management_mode_sees_more(void **state)
{
    (void)state;
    struct mem_region region = {.name = "smram",
                                .kind = MEM_RAM,
                                .enabled = true,
                                .smm_only = true,
                                .priority = 1,
                                .base = 0x2000,
                                .size = 0x1000,
                                .ram = ram,
                                .ram_offset = 0x8000};
    mem_add(mem, &region);
    assert_int_equal(maps, 1);
    assert_string_equal(owner_of(0x2000), "ram");
    struct mem_view *view = mem_view_ref_smm(mem);
    assert_ptr_equal(mem_find(view, 0x2fff)->region, &region);
    assert_ptr_equal(mem_find(view, 0x3000)->region, &ram_region);
    mem_set_smm_only(mem, &region, false);
    assert_int_equal(maps, 2);
    assert_string_equal(owner_of(0x2000), "smram");
    mem_set_smm_only(mem, &region, false);
    assert_int_equal(maps, 2);
    mem_set_smm_only(mem, &region, true);
    mem_set_enabled(mem, &region, false);
    assert_int_equal(maps, 4);
    assert_ptr_equal(mem_find(view, 0x2000)->region, &region); /* an old view */
    mem_view_unref(view);
    view = mem_view_ref_smm(mem);
    assert_ptr_equal(mem_find(view, 0x2000)->region, &ram_region);
    mem_view_unref(view);
    mem_remove(mem, &region);
    assert_int_equal(maps, 4);
}

static void device_access_crosses_everything(void **state)
{
    (void)state;
    struct device device = {0};
    struct mem_region io = io_region("io", 0x10000, 0x10000, 0, &device);
    mem_add(mem, &io);
    uint8_t out[0x20], in[0x20];
    memset(out, 0x5a, sizeof(out));
    assert_true(mem_write(mem, 0xfff8, out, 16)); /* RAM, then MMIO */
    assert_int_equal(device.writes, 1);
    assert_int_equal(device.last_size, 8);
    assert_int_equal(device.last_value, 0x5a5a5a5a5a5a5a5a);
    assert_int_equal(mem_load(mem, 0xfff8, 8), 0x5a5a5a5a5a5a5a5a);

    device = (struct device){0};
    assert_true(mem_read(mem, 0x10003, in, 7)); /* 1, 4, 2 */
    assert_int_equal(device.reads, 3);
    assert_int_equal(device.last_offset, 8);
    assert_int_equal(device.last_size, 2);
    assert_int_equal(in[0], 0xda);
    device = (struct device){0};
    assert_true(mem_read(mem, 0x1fffc, in, 8)); /* MMIO, then ROM */
    assert_int_equal(device.reads, 1);
    assert_int_equal(device.last_size, 4);
    assert_int_equal(in[4], 0);

    assert_false(mem_read(mem, 0x20ff0, in, 0x20)); /* ROM, then nobody */
    assert_int_equal(in[0xf], 0);
    assert_int_equal(in[0x10], 0xff);
    assert_false(mem_write(mem, 0x20ff0, out, 0x20));
    assert_false(mem_read(mem, UINT64_MAX - 3, in, 8));
    assert_int_equal(in[7], 0xff);
    assert_false(mem_write(mem, UINT64_MAX - 3, out, 8));
    assert_int_equal(mem_load(mem, 0, 8), 0); /* did not wrap */
    assert_true(mem_read(mem, 0x50000, in, 0));
}

static void writes_are_dirty_and_code_is_told(void **state)
{
    (void)state;
    uint64_t bitmap[1];
    uint8_t data[3 * PAGE_SIZE] = {1};
    ram_set_flags(ram, 2, RAM_CODE);
    ram_set_flags(ram, 4, RAM_CODE);
    assert_true(mem_write(mem, 0x1ff0, data, 0x2010)); /* pages 1, 2, 3 */
    assert_int_equal(codes, 1);
    assert_int_equal(code_at[0], 0x2000);
    assert_int_equal(code_length[0], 0x1000);
    mem_store(mem, 0x4ffe, 0, 2);
    mem_store(mem, 0x4ffe, 0, 4); /* runs into page 5, which has no code */
    assert_int_equal(codes, 3);
    assert_int_equal(code_at[1], 0x4ffe);
    assert_int_equal(code_length[1], 2);
    assert_int_equal(code_length[2], 2);
    assert_true(ram_get_flags(ram, 2) & RAM_CODE); /* the engine clears it, not we */

    assert_true(mem_dirty_fetch(mem, ram, RAM_DIRTY_DISPLAY, 0, 16, bitmap));
    assert_int_equal(bitmap[0], 0x3e);
    assert_int_equal(cleared, 1);
    assert_false(mem_dirty_fetch(mem, ram, RAM_DIRTY_DISPLAY, 0, 16, bitmap));
    assert_int_equal(cleared, 1);
    mem_load(mem, 0x6000, 4);
    mem_read(mem, 0x6000, data, 100);
    assert_int_equal(ram_get_flags(ram, 6), 0);
}

/* A device that owns a RAM writes to it; the engine hears of every address that shows it. */
static void code_in_video_memory_is_told_at_each_address(void **state)
{
    (void)state;
    struct mem_region alias = {.name = "alias",
                               .kind = MEM_RAM,
                               .enabled = true,
                               .base = 0x40000,
                               .size = 0x1800,
                               .ram = ram,
                               .ram_offset = 0x2800};
    uint64_t bitmap[1];
    mem_add(mem, &alias);
    ram_fetch_flag(ram, RAM_DIRTY_DISPLAY, 0, 16, bitmap);
    mem_ram_written(mem, ram, 0x1ffe, 4);
    assert_int_equal(codes, 0);
    assert_true(ram_fetch_flag(ram, RAM_DIRTY_DISPLAY, 0, 16, bitmap));
    assert_int_equal(bitmap[0], 6);
    ram_set_flags(ram, 2, RAM_CODE);
    mem_ram_written(mem, ram, 0x27f0, 0x20); /* half of it is in the alias */
    assert_int_equal(codes, 2);
    assert_int_equal(code_at[0], 0x27f0);
    assert_int_equal(code_length[0], 0x20);
    assert_int_equal(code_at[1], 0x40000);
    assert_int_equal(code_length[1], 0x10);
    mem_ram_written(mem, ram, 0x2000, 4); /* none of it */
    assert_int_equal(codes, 3);
    assert_int_equal(code_at[2], 0x2000);
    mem_ram_written(mem, ram, 0x1000, 0); /* nothing */
    assert_int_equal(codes, 3);
    mem_remove(mem, &alias);
}

static void devices_cannot_chase_each_other(void **state)
{
    (void)state;
    struct device device[5] = {0};
    struct mem_region io[5];
    for (unsigned i = 0; i < 5; i++) {
        io[i] = io_region("io", 0x30000 + i * 0x1000, 0x1000, 0, &device[i]);
        device[i].dma_to = 0x30000 + (i + 1) % 5 * 0x1000;
        mem_add(mem, &io[i]);
    }
    mem_store(mem, 0x30000, 1, 4);
    assert_int_equal(device[0].writes + device[1].writes + device[2].writes, 3);
    assert_int_equal(device[3].writes, 0);
    assert_false(device[2].dma_answered);
    assert_true(device[1].dma_answered);
    device[0] = (struct device){.dma_to = 0x30010}; /* into itself */
    mem_store(mem, 0x30000, 1, 4);
    assert_int_equal(device[0].writes, 1);
    assert_false(device[0].dma_answered);
    device[0].dma_to = 0x100; /* the way is free again, and RAM always is */
    mem_store(mem, 0x30000, 0x77, 4);
    assert_true(device[0].dma_answered);
    assert_int_equal(mem_load(mem, 0x100, 1), 0x77);
}

/* Random maps against the rule itself, address by address. */
static void maps_are_described(void **state)
{
    (void)state;
    struct device device = {0};
    struct mem_region high = io_region("high", 0x4000, 0x1000, 1, &device);
    struct mem_region off = io_region("off", 0x5000, 0x1000, 1, &device);
    off.enabled = false;
    mem_add(mem, &high);
    mem_add(mem, &off);
    static const char head[] = "address-space: memory\n"
                               "  0000000000000000-ffffffffffffffff (prio 0, i/o): system\n";
    char *text = mem_describe(mem, false);
    assert_memory_equal(text, head, sizeof(head) - 1);
    assert_string_equal(text + sizeof(head) - 1,
                        "    0000000000000000-000000000000ffff (prio 0, ram): ram\n"
                        "    0000000000004000-0000000000004fff (prio 1, i/o): high\n"
                        "    0000000000020000-0000000000020fff (prio 0, rom): rom\n");
    free(text);
    text = mem_describe(mem, true);
    assert_memory_equal(text, head, sizeof(head) - 1);
    assert_string_equal(text + sizeof(head) - 1,
                        "    0000000000000000-0000000000003fff (prio 0, ram): ram\n"
                        "    0000000000004000-0000000000004fff (prio 1, i/o): high\n"
                        "    0000000000005000-000000000000ffff (prio 0, ram): ram "
                        "@0000000000005000\n"
                        "    0000000000020000-0000000000020fff (prio 0, rom): rom\n");
    free(text);
}

static void random_maps_follow_the_rule(void **state)
{
    (void)state;
    enum { REGIONS = 12, SPACE = 256 };
    struct mem_region regions[REGIONS];
    int added[REGIONS];
    uint64_t seed = 99;
    struct mem *space;
    assert_int_equal(mem_create(&space, NULL), 0);
    for (int i = 0; i < REGIONS; i++) {
        regions[i] = io_region("r", 0, 1, (int)(test_random(&seed) % 3), NULL);
        added[i] = i;
        mem_add(space, &regions[i]);
    }
    for (int round = 0; round < 3000; round++) {
        unsigned n = test_random(&seed) % REGIONS;
        mem_remove(space, &regions[n]);
        for (int i = 0; i < REGIONS; i++)
            added[i] -= added[i] > added[n];
        added[n] = REGIONS - 1;
        regions[n].base = test_random(&seed) % SPACE - 16;
        regions[n].size = test_random(&seed) % 64;
        regions[n].enabled = test_random(&seed) % 4;
        mem_add(space, &regions[n]);
        struct mem_view *view = mem_view_ref(space);
        for (uint64_t at = -16; at != SPACE + 64; at++) {
            const struct mem_region *want = NULL;
            int best = -1;
            for (int i = 0; i < REGIONS; i++) {
                bool in = regions[i].enabled && regions[i].size && at >= regions[i].base &&
                          at - regions[i].base < regions[i].size;
                int rank = regions[i].priority * REGIONS + added[i];
                if (in && rank > best) {
                    best = rank;
                    want = &regions[i];
                }
            }
            if (mem_find(view, at)->region != want)
                fail_msg("round %d, address %llx", round, (unsigned long long)at);
        }
        mem_view_unref(view);
    }
    mem_destroy(space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ram_is_lazy_and_its_ends_work),
        cmocka_unit_test(impossible_sizes_are_explained),
        cmocka_unit_test(a_limit_on_files_ends_no_process),
        cmocka_unit_test(copies_stay_inside_and_flags_are_fetched_once),
        cmocka_unit_test_setup_teardown(priorities_and_order_decide, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_are_told_once_and_only_when_there_are_any, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_old_view_stays_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(loads_and_stores_cross_pages_and_owners, setup, teardown),
        cmocka_unit_test_setup_teardown(rom_drops_writes_but_can_be_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(system_management_mode_sees_more, setup, teardown),
        cmocka_unit_test_setup_teardown(device_access_crosses_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_are_dirty_and_code_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(code_in_video_memory_is_told_at_each_address, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(devices_cannot_chase_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(maps_are_described, setup, teardown),
        cmocka_unit_test(random_maps_follow_the_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
