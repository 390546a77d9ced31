/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/dbt/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/error.h"

enum {
    ENTRIES_PER_LEAF = PAGE_SIZE / 8,
    LEAVES_MAX = 1024, /* beyond that the map is given back whole: 4 MiB */
    LEAVES_KEEP = 32,  /* more than these are given back when they are empty */
    LOCAL_MAX = 4096,
};

static const uint64_t map_bytes = 8ull << 36;
static const uint64_t jump_bytes = -(int64_t)MAP_PLACES;
static const uint64_t known_bytes = (8ull << 36) / PAGE_SIZE / 8;

static void *reserve(uint64_t size)
{
    void *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED)
        return NULL;
    madvise(area, size, MADV_NOHUGEPAGE);
    madvise(area, size, MADV_DONTDUMP);
    return area;
}

int map_create(struct map *map, struct error *err)
{
    memset(map, 0, sizeof(*map));
    map->area = reserve(jump_bytes + map_bytes);
    map->leaf_known = reserve(known_bytes);
    map->leaves = malloc(LEAVES_MAX * sizeof(uint32_t));
    map->local = malloc(LOCAL_MAX * sizeof(uint64_t));
    map->place_fillings = calloc(PLACES, sizeof(uint32_t));
    map->counter = &map->own_counter;
    if (!map->area || !map->leaf_known || !map->leaves || !map->local || !map->place_fillings) {
        map_destroy(map);
        return error_set(err, ENOMEM,
                         "cannot reserve 512 GiB of address space for the shadow map: is there a "
                         "limit (ulimit -v)?");
    }
    map->entries = (uint64_t *)(void *)(map->area + jump_bytes);
    map->jumps_used = true;
    memset(map->jump_groups, 0xff, sizeof(map->jump_groups));
    map_clear_jumps(map);
    return 0;
}

void map_destroy(struct map *map)
{
    if (map->area)
        munmap(map->area, jump_bytes + map_bytes);
    if (map->leaf_known)
        munmap(map->leaf_known, known_bytes);
    free(map->leaves);
    free(map->local);
    free(map->place_fillings);
    memset(map, 0, sizeof(*map));
}

bool map_set(struct map *map, gva_t addr, const void *host_page, bool global)
{
    uint64_t index = map_index(addr);
    uint64_t delta = (uintptr_t)host_page - (addr & PAGE_MASK);
    if (delta == 0)
        return false;
    uint64_t leaf = index / ENTRIES_PER_LEAF;
    uint8_t bit = (uint8_t)(1u << (leaf & 7));
    if (!(map->leaf_known[leaf / 8] & bit)) {
        if (map->leaf_count == LEAVES_MAX)
            map_clear(map);
        map->leaf_known[leaf / 8] |= bit;
        map->leaves[map->leaf_count++] = (uint32_t)leaf;
    }
    map->entries[index] = delta;
    if (!global) {
        /* One more than fits: map_clear_local clears all. */
        if (map->local_count < LOCAL_MAX)
            map->local[map->local_count] = index;
        if (map->local_count <= LOCAL_MAX)
            map->local_count++;
    } else {
        map->has_global = true;
    }
    return true;
}

static unsigned jump_page(gva_t addr)
{
    return (unsigned)(addr >> PAGE_SHIFT) & (JUMP_PAGES - 1);
}

static void give_back(struct map *map)
{
    madvise(map->entries, map_bytes, MADV_DONTNEED);
    madvise(map->leaf_known, known_bytes, MADV_DONTNEED);
    map->leaf_count = 0;
}

void map_clear(struct map *map)
{
    map->jumps_stale = true;
    map->local_count = 0;
    map->has_global = false;
    if (map->leaf_count == LEAVES_MAX) {
        give_back(map); /* many: their memory too */
        return;
    }
    for (unsigned i = 0; i < map->leaf_count; i++)
        memset(map->entries + (uint64_t)map->leaves[i] * ENTRIES_PER_LEAF, 0, PAGE_SIZE);
}

void map_clear_local(struct map *map)
{
    if (map->local_count > LOCAL_MAX) {
        map_clear(map);
        return;
    }
    for (unsigned i = 0; i < map->local_count; i++)
        map->entries[map->local[i]] = 0;
    map->local_count = 0;
    if (map->jumps_local)
        map->jumps_stale = true;
    /* Processes that come and go, each at addresses of its own. */
    if (!map->has_global && map->leaf_count > LEAVES_KEEP)
        give_back(map);
}

void map_set_no_code(struct map *map, const void *code)
{
    uint64_t *codes = map->entries + JUMP_CODE / 8;
    codes[0] = (uintptr_t)code;
}

bool map_knows_jumps(const struct map *map, gva_t linear)
{
    unsigned page = jump_page(linear);
    return map->jump_pages[page / 64] >> (page & 63) & 1;
}

/* It matches nothing that looks here, neither as its first slot nor as its second: each differs in
 * its highest bits. */
static uint64_t no_key(uint64_t slot)
{
    uint64_t other = ~slot & (JUMP_ENTRIES - 1);
    return -((other | (other & ~UINT64_C(0) << JUMP_SECOND) << JUMP_SECOND) << JUMP_SHIFT);
}

/* The slot that has the key of rip; 0: none. */
static uint64_t find_jump(const struct map *map, uint64_t rip)
{
    const uint64_t *keys = map->entries + JUMP_KEYS / 8;
    uint64_t first = map_slot(rip), second = map_second_slot(rip);
    if (keys[first] == -rip)
        return first;
    return keys[second] == -rip ? second : 0;
}

/* Where to put rip, which is in neither slot. */
static uint64_t free_slot(const struct map *map, uint64_t rip)
{
    const uint64_t *keys = map->entries + JUMP_KEYS / 8;
    uint64_t first = map_slot(rip), second = map_second_slot(rip);
    if (first == 0 ||
        (keys[first] != no_key(first) && second != 0 && keys[second] == no_key(second)))
        return second;
    return first;
}

static void new_epoch(struct map *map)
{
    map->epoch = ++*map->counter;
    map->entries[MAP_EPOCH / 8] = map->epoch;
}

/* Takes the jumps to addr's page out of the table, from wherever they may lie in it. */
static void forget_jumps(struct map *map, gva_t addr)
{
    uint64_t *keys = map->entries + JUMP_KEYS / 8;
    gva_t page = addr & PAGE_MASK;
    uint64_t first = map_slot(page), second = map_second_slot(page);
    uint64_t end = first + (PAGE_SIZE >> JUMP_SHIFT);
    for (uint64_t group = first / JUMP_GROUP; group < end / JUMP_GROUP; group++)
        if (map->jump_groups[group / 64] >> (group & 63) & 1)
            for (uint64_t i = group * JUMP_GROUP; i < (group + 1) * JUMP_GROUP; i++)
                if ((-keys[i] & PAGE_MASK) == page)
                    keys[i] = no_key(i);
    for (uint64_t i = second; i < second + (PAGE_SIZE >> (JUMP_SECOND + JUMP_SHIFT)); i++)
        if ((-keys[i] & PAGE_MASK) == page)
            keys[i] = no_key(i);
    new_epoch(map); /* ties led there too */
}

void map_forget(struct map *map, gva_t addr)
{
    uint64_t index = map_index(addr);
    uint64_t leaf = index / ENTRIES_PER_LEAF;
    if (map->leaf_known[leaf / 8] & 1u << (leaf & 7))
        map->entries[index] = 0;
    unsigned page = jump_page(addr);
    if (map->jump_pages[page / 64] >> (page & 63) & 1)
        forget_jumps(map, addr);
}

void map_set_jump(struct map *map, uint64_t rip, gva_t linear, const void *code, bool global)
{
    uint64_t *keys = map->entries + JUMP_KEYS / 8;
    uint64_t *codes = map->entries + JUMP_CODE / 8;
    uint64_t slot = find_jump(map, rip);
    if (!slot)
        slot = free_slot(map, rip);
    if (!slot)
        return; /* the one that a look-up finds while FRAME_JUMP_MASK is 0 */
    keys[slot] = -rip;
    codes[slot] = (uintptr_t)code;
    map->jump_groups[slot / JUMP_GROUP / 64] |= UINT64_C(1) << (slot / JUMP_GROUP & 63);
    unsigned page = jump_page(linear);
    map->jump_pages[page / 64] |= UINT64_C(1) << (page & 63);
    map->jumps_used = true;
    map->jumps_local |= !global;
}

const void *map_find_jump(const struct map *map, uint64_t rip)
{
    uint64_t slot = find_jump(map, rip);
    return slot ? (const void *)(uintptr_t)map->entries[JUMP_CODE / 8 + (int64_t)slot] : NULL;
}

void map_move_jump(struct map *map, uint64_t rip, const void *from, const void *to)
{
    uint64_t *codes = map->entries + JUMP_CODE / 8;
    uint64_t slot = find_jump(map, rip);
    if (slot && codes[slot] == (uintptr_t)from)
        codes[slot] = (uintptr_t)to;
}

void map_clear_jumps(struct map *map)
{
    map->jumps_stale = false;
    new_epoch(map);
    map->filling = map->epoch;
    if (!map->jumps_used)
        return;
    uint64_t *keys = map->entries + JUMP_KEYS / 8;
    for (uint64_t group = 0; group < JUMP_GROUPS; group++)
        if (map->jump_groups[group / 64] >> (group & 63) & 1)
            for (uint64_t i = group * JUMP_GROUP; i < (group + 1) * JUMP_GROUP; i++)
                keys[i] = no_key(i);
    memset(map->jump_groups, 0, sizeof(map->jump_groups));
    memset(map->jump_pages, 0, sizeof(map->jump_pages));
    map->jumps_used = map->jumps_local = false;
}
