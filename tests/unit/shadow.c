/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * engine/dbt/map and window: what isolates translated code from the rest of the process.
 */
#include "unit/test.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "engine/dbt/map.h"
#include "engine/dbt/window.h"

enum { PAGES = 200 }; /* of the RAM: more than get their guards at once */

/* Windows over a small RAM. */
struct views {
    struct windows windows;
    struct ram *ram;
    int pipe[2];
};

static void views_open(struct views *v, bool without)
{
    struct error err;
    windows_create(&v->windows, without);
    assert_int_equal(ram_create(&v->ram, "views", PAGES * PAGE_SIZE, &err), 0);
    assert_int_equal(pipe(v->pipe), 0);
}

static void views_close(struct views *v)
{
    windows_destroy(&v->windows);
    ram_destroy(v->ram);
    close(v->pipe[0]);
    close(v->pipe[1]);
}

/* By the kernel, which says EFAULT where a program would be stopped. */
static bool readable(const struct views *v, const uint8_t *at)
{
    uint8_t byte;
    if (write(v->pipe[1], at, 1) != 1) {
        assert_int_equal(errno, EFAULT);
        return false;
    }
    assert_int_equal(read(v->pipe[0], &byte, 1), 1);
    return true;
}

static bool writable(const struct views *v, uint8_t *at)
{
    uint8_t byte = 0;
    assert_int_equal(write(v->pipe[1], &byte, 1), 1);
    if (read(v->pipe[0], at, 1) == 1)
        return true;
    assert_int_equal(errno, EFAULT);
    assert_int_equal(read(v->pipe[0], &byte, 1), 1);
    return false;
}

/* With guard pages, and as without. */
static void a_page_lies_between_guards_in(bool without)
{
    struct views v;
    views_open(&v, without);
    static const uint64_t pages[] = {0, 1, 2, 62, 63, 64, 65, 127, 128, PAGES - 2, PAGES - 1};
    for (unsigned kind = 0; kind < 2; kind++)
        for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
            uint8_t *page = window_page(&v.windows, v.ram, pages[i], kind);
            assert_non_null(page);
            assert_true(readable(&v, page));
            assert_true(readable(&v, page + PAGE_SIZE - 1));
            assert_false(readable(&v, page - 1));
            assert_false(readable(&v, page - PAGE_SIZE));
            assert_false(readable(&v, page + PAGE_SIZE));
            assert_false(readable(&v, page + 2 * PAGE_SIZE - 1));
            assert_int_equal(writable(&v, page), kind);
            assert_int_equal(writable(&v, page + PAGE_SIZE - 1), kind);
            assert_false(writable(&v, page - 1));
            assert_false(writable(&v, page + PAGE_SIZE));
        }
    views_close(&v);
}

static void a_page_lies_between_guards(void **state)
{
    (void)state;
    if (!window_guards())
        skip(); /* this kernel has none for shared memory */
    a_page_lies_between_guards_in(false);
}

static void an_open_page_lies_between_closed_ones(void **state)
{
    (void)state;
    a_page_lies_between_guards_in(true);
}

static void all_views_show_the_same_in(bool without)
{
    struct views v;
    views_open(&v, without);
    for (uint64_t i = 0; i < PAGES; i++) {
        uint8_t *to_write = window_page(&v.windows, v.ram, i, true);
        const uint8_t *to_read = window_page(&v.windows, v.ram, i, false);
        assert_non_null(to_write);
        assert_non_null(to_read);
        assert_ptr_not_equal(to_write, to_read);
        store_le64(to_write + 8, i * 3 + 1);
        assert_int_equal(load_le64(to_read + 8), i * 3 + 1);
        assert_int_equal(load_le64(ram_host(v.ram, i) + 8), i * 3 + 1);
        store_le64(ram_host(v.ram, i) + 16, ~i);
        assert_int_equal(load_le64(to_read + 16), ~i);
        assert_int_equal(load_le64(to_write + 16), ~i);
        assert_ptr_equal(window_page(&v.windows, v.ram, i, true), to_write);
        assert_ptr_equal(window_address(&v.windows, v.ram, i, true), to_write);
        assert_ptr_equal(window_address(&v.windows, v.ram, i, false), to_read);
        uint64_t page = 0;
        assert_ptr_equal(window_find(&v.windows, to_write + 5, &page), v.ram);
        assert_int_equal(page, i);
        assert_ptr_equal(window_find(&v.windows, to_read + PAGE_SIZE - 1, &page), v.ram);
        assert_int_equal(page, i);
        assert_null(window_find(&v.windows, to_write - 1, &page));
        assert_null(window_find(&v.windows, to_read + PAGE_SIZE, &page));
    }
    uint64_t page;
    assert_null(window_find(&v.windows, &v, &page));
    assert_null(window_find(&v.windows, ram_host(v.ram, 0), &page));
    views_close(&v);
}

static void all_views_show_the_same(void **state)
{
    (void)state;
    all_views_show_the_same_in(false);
    all_views_show_the_same_in(true);
}

/* No more pages are open than there may be, and all of them can be had in turn. */
static void pages_are_closed_and_opened_again(void **state)
{
    (void)state;
    enum { LIMIT = 10, ROUNDS = 3 };
    struct views v;
    views_open(&v, true);
    assert_true(v.windows.limit > LIMIT);
    v.windows.limit = LIMIT;
    uint8_t *first = window_page(&v.windows, v.ram, 0, true);
    *first = 0x5a;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (uint64_t i = round ? 0 : 1; i < LIMIT; i++)
            assert_non_null(window_page(&v.windows, v.ram, i, true));
        assert_false(v.windows.full);
        assert_non_null(window_page(&v.windows, v.ram, 3, true)); /* is open */
        assert_null(window_page(&v.windows, v.ram, 3, false));
        assert_true(v.windows.full);
        assert_true(readable(&v, first));
        windows_close(&v.windows);
        assert_false(v.windows.full);
        for (unsigned i = 0; i < LIMIT; i++)
            assert_false(readable(&v, window_address(&v.windows, v.ram, i, true)));
    }
    assert_ptr_equal(window_page(&v.windows, v.ram, 0, true), first);
    assert_int_equal(*first, 0x5a);
    views_close(&v);
}

static const uint64_t host = UINT64_C(0x00007f1234567000); /* of nobody */

static uint64_t entry(const struct map *map, gva_t addr)
{
    return map->entries[map_index(addr)];
}

static void entries_lead_to_their_page_only(void **state)
{
    (void)state;
    struct map map;
    struct error err;
    assert_int_equal(map_create(&map, &err), 0);
    static const gva_t addresses[] = {0,
                                      0x1000,
                                      0x7ffffffff000,
                                      0xffff800000000000,
                                      0xffffffff81000000,
                                      0xfffffffffffff000,
                                      0xffffe000};
    for (unsigned i = 0; i < ARRAY_LEN(addresses); i++) {
        gva_t addr = addresses[i];
        assert_int_equal(entry(&map, addr), 0);
        assert_true(map_set(&map, addr + 0x123, (const void *)(uintptr_t)host, i & 1));
        assert_int_equal(entry(&map, addr) + addr, host);
        /* With the same page number and other high bits the sum is never one of the process. */
        for (uint64_t high = 1; high < 1 << 16; high++) {
            gva_t other = (addr ^ high << 48) + 0x678;
            assert_int_equal(map_index(other), map_index(addr));
            uint64_t sum = other + entry(&map, other);
            bool canonical = (uint64_t)((int64_t)(sum << 16) >> 16) == sum;
            assert_false(canonical);
        }
    }
    map_destroy(&map);
}

static void a_distance_of_0_is_refused(void **state)
{
    (void)state;
    struct map map;
    struct error err;
    assert_int_equal(map_create(&map, &err), 0);
    assert_false(map_set(&map, host + 5, (const void *)(uintptr_t)host, false));
    assert_int_equal(entry(&map, host), 0);
    map_destroy(&map);
}

static void entries_are_forgotten(void **state)
{
    (void)state;
    struct map map;
    struct error err;
    const void *page = (const void *)(uintptr_t)host;
    assert_int_equal(map_create(&map, &err), 0);
    map_forget(&map, 0x123456789000); /* where nothing is */
    map_set(&map, 0x1000, page, false);
    map_set(&map, 0x2000, page, true);
    map_set(&map, 0xffffffff80000000, page, true);
    map_forget(&map, 0x1fff);
    assert_int_equal(entry(&map, 0x1000), 0);
    assert_int_not_equal(entry(&map, 0x2000), 0);
    map_set(&map, 0x1000, page, false);
    map_clear_local(&map);
    assert_int_equal(entry(&map, 0x1000), 0);
    assert_int_not_equal(entry(&map, 0x2000), 0);
    assert_int_not_equal(entry(&map, 0xffffffff80000000), 0);
    map_clear(&map);
    assert_int_equal(entry(&map, 0x2000), 0);
    assert_int_equal(entry(&map, 0xffffffff80000000), 0);
    map_destroy(&map);
}

/* More than the map keeps lists of: all are gone afterwards, or were gone before. */
static void any_number_of_entries_is_cleared(void **state)
{
    (void)state;
    struct map map;
    struct error err;
    const void *page = (const void *)(uintptr_t)host;
    enum { MANY = 20000 };
    assert_int_equal(map_create(&map, &err), 0);
    for (unsigned local = 0; local < 2; local++) {
        for (uint64_t i = 0; i < MANY; i++) {
            assert_true(map_set(&map, i << 21, page, !local));
            assert_int_equal(entry(&map, i << 21) + (i << 21), host);
        }
        if (local)
            map_clear_local(&map);
        else
            map_clear(&map);
        for (uint64_t i = 0; i < MANY; i++)
            assert_int_equal(entry(&map, i << 21), 0);
    }
    map_destroy(&map);
}

/* Of the pages of the map that hold the entries of the first `leaves` times 2 MiB. */
static unsigned resident(const struct map *map, unsigned leaves)
{
    unsigned count = 0;
    for (unsigned i = 0; i < leaves; i++) {
        unsigned char there = 0;
        assert_int_equal(mincore(map->entries + i * PAGE_SIZE / 8, PAGE_SIZE, &there), 0);
        count += there & 1;
    }
    return count;
}

/* A map that is empty after many address spaces takes no memory. One with global entries keeps
 * them. */
static void empty_leaves_are_given_back(void **state)
{
    enum { LEAVES = 300 };
    const void *page = (const void *)(uintptr_t)host;
    struct map map;
    struct error err;
    (void)state;
    assert_int_equal(map_create(&map, &err), 0);
    for (unsigned global = 0; global < 2; global++) {
        for (uint64_t i = 0; i < LEAVES; i++)
            assert_true(map_set(&map, i << 21, page, global && i == 7));
        assert_int_equal(resident(&map, LEAVES), LEAVES);
        map_clear_local(&map);
        assert_int_equal(resident(&map, LEAVES), global ? LEAVES : 0);
        for (uint64_t i = 0; i < LEAVES; i++)
            assert_int_equal(entry(&map, i << 21) != 0, global && i == 7);
    }
    map_clear(&map);
    map_clear_local(&map); /* the global one is gone */
    assert_int_equal(entry(&map, 7 << 21), 0);
    assert_true(resident(&map, LEAVES) <= 1);
    map_destroy(&map);
}

/* As control.c looks up: key + rip is 0 for the rip that was set, and for no other. */
static uint64_t key(const struct map *map, uint64_t slot)
{
    return map->entries[JUMP_KEYS / 8 + (int64_t)slot];
}

static bool jumps(const struct map *map, uint64_t rip)
{
    return key(map, map_slot(rip)) + rip == 0 || key(map, map_second_slot(rip)) + rip == 0;
}

static void empty_jump_keys_match_nothing(void **state)
{
    (void)state;
    struct map map;
    struct error err;
    assert_int_equal(map_create(&map, &err), 0);
    for (unsigned pass = 0; pass < 2; pass++) {
        for (uint64_t slot = 0; slot < JUMP_ENTRIES; slot++) {
            static const uint64_t highs[] = {0, UINT64_MAX << 20, UINT64_C(0x7fff) << 20};
            for (unsigned i = 0; i < ARRAY_LEN(highs); i++) {
                uint64_t rip = (highs[i] & ~JUMP_INDEX_BITS) | slot << JUMP_SHIFT;
                assert_false(jumps(&map, rip));
            }
            /* Whatever looks here as in its second slot, in any of its bits. */
            uint64_t rip = -key(&map, slot);
            assert_true(map_slot(rip) != slot && map_second_slot(rip) != slot);
        }
        for (uint64_t slot = 0; slot < JUMP_ENTRIES; slot++)
            map_set_jump(&map, (slot << JUMP_SHIFT) + 0x7000000000, slot, &map, slot & 1);
        map_clear_jumps(&map);
    }
    map_destroy(&map);
}

/* One page's, from first and second places, and no other's. */
static void jumps_to_a_page_are_forgotten(void **state)
{
    (void)state;
    struct map map;
    struct error err;
    const uint64_t page = 0xffffffff81233000, other = 0x7f0081233000, near = page + PAGE_SIZE;
    assert_int_equal(map_create(&map, &err), 0);
    map_use(&map, 1);
    for (uint64_t i = 0; i < PAGE_SIZE; i += 3) {
        map_set_jump(&map, other + i, other + i, &map, true); /* in the same places */
        map_set_jump(&map, page + i, page + i, &map, true);
        map_set_jump(&map, near + i, near + i, &map, true);
    }
    unsigned found = 0, kept = 0, left = 0;
    for (uint64_t i = 0; i < PAGE_SIZE; i++) {
        found += jumps(&map, page + i);
        kept += jumps(&map, other + i) + jumps(&map, near + i);
    }
    assert_true(found > 100 && kept > 100);
    map_forget(&map, page + 0x123);
    map_use(&map, 1);
    for (uint64_t i = 0; i < PAGE_SIZE; i++) {
        assert_false(jumps(&map, page + i));
        left += jumps(&map, other + i) + jumps(&map, near + i);
    }
    assert_int_equal(left, kept);
    map_forget(&map, other);
    map_forget(&map, near);
    for (uint64_t slot = 0; slot < JUMP_ENTRIES; slot++)
        assert_true((-key(&map, slot) & PAGE_MASK) != other);
    map_destroy(&map);
}

static void jumps_are_found_and_forgotten(void **state)
{
    (void)state;
    struct map map;
    struct error err;
    const uint64_t rip = 0xffffffff81234567;
    assert_int_equal(map_create(&map, &err), 0);
    map_use(&map, 1);
    map_set_jump(&map, rip, rip, &state, true);
    assert_true(jumps(&map, rip));
    assert_int_equal(map.entries[JUMP_CODE / 8 + (int64_t)map_slot(rip)], (uintptr_t)&state);
    assert_false(jumps(&map, rip ^ UINT64_C(1) << 40));
    map_use(&map, 1);
    assert_true(jumps(&map, rip));
    map_clear_local(&map); /* it is global */
    map_use(&map, 1);
    assert_true(jumps(&map, rip));
    map_forget(&map, rip); /* its page goes elsewhere */
    map_use(&map, 1);
    assert_false(jumps(&map, rip));
    map_set_jump(&map, rip, rip, &state, false);
    map_clear_local(&map);
    map_use(&map, 1);
    assert_false(jumps(&map, rip));
    map_set_jump(&map, rip, rip, &state, true);
    map_use(&map, 2); /* code of another variant */
    assert_false(jumps(&map, rip));
    /* The slot that a look-up finds while it is stopped is never anybody's. */
    const uint64_t nowhere = 0xffffffff08000000;
    map_set_jump(&map, nowhere, nowhere, &state, true);
    assert_false(jumps(&map, nowhere));
    /* Two that have the first slot in common have both a place, and the later ones follow. */
    map_set_jump(&map, 0x11b9b0, 0x11b9b0, &state, true);
    map_set_jump(&map, 0x19b9b0, 0x19b9b0, &map, true);
    assert_true(jumps(&map, 0x11b9b0) && jumps(&map, 0x19b9b0));
    map_move_jump(&map, 0x19b9b0, &map, &state);
    assert_int_equal(map.entries[JUMP_CODE / 8 + (int64_t)map_second_slot(0x19b9b0)],
                     (uintptr_t)&state);
    map_destroy(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_lies_between_guards),
        cmocka_unit_test(all_views_show_the_same),
        cmocka_unit_test(an_open_page_lies_between_closed_ones),
        cmocka_unit_test(pages_are_closed_and_opened_again),
        cmocka_unit_test(entries_lead_to_their_page_only),
        cmocka_unit_test(a_distance_of_0_is_refused),
        cmocka_unit_test(entries_are_forgotten),
        cmocka_unit_test(any_number_of_entries_is_cleared),
        cmocka_unit_test(empty_leaves_are_given_back),
        cmocka_unit_test(empty_jump_keys_match_nothing),
        cmocka_unit_test(jumps_to_a_page_are_forgotten),
        cmocka_unit_test(jumps_are_found_and_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
