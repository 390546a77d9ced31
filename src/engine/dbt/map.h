/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The shadow map: guest page -> where its bytes are in this process, as translated code reads it.
 *
 * A map is one sparse array in memory, reserved and not touched: an entry of 8 bytes for each of
 * the 2^36 pages of a canonical guest address, found by bits 12 to 47. The entry is 0 (ask the slow
 * path) or host address - guest address. Below entry 0 lies the jump table: where code for a guest
 * instruction pointer is. So one base register (gs) leads to all that depends on the address space
 * and the privilege that code runs with. One thread uses a map.
 *
 * Isolation rests on this: a sum of any 64-bit guest address and an entry of its page's number is
 * an address inside the page that the entry names, or it is not canonical and faults.
 */
#ifndef ENGINE_DBT_MAP_H
#define ENGINE_DBT_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/mem.h"

struct error;

#define MAP_PAGE_BITS UINT64_C(0x0000fffffffff000) /* the bits of an address that index a map */

enum {
    JUMP_BITS_DBT = 16,
    JUMP_ENTRIES = 1 << JUMP_BITS_DBT,
    JUMP_SHIFT = 2,
    JUMP_SECOND = 8, /* bits that rip is turned by for the second place */
    JUMP_PAGES = 4096,
    JUMP_GROUP = 64, /* entries that are cleared at once */
    JUMP_GROUPS = JUMP_ENTRIES / JUMP_GROUP,
    /* Where the jump table is, from entry 0: addresses of instructions, negated, and of code. */
    JUMP_KEYS = -(JUMP_ENTRIES * 8),
    JUMP_CODE = -(JUMP_ENTRIES * 16),
    /* Below it, 8 bytes each: MAP_EPOCH, and where the pages of code are, by their numbers from 1
     * on: the guest's rip of the first byte. The same in all maps of a processor. */
    PLACES = 1 << 16,
    MAP_PLACES = JUMP_CODE - PLACES * 8,
    MAP_EPOCH = MAP_PLACES,
};
/* Bits of an instruction pointer that index the jump table: an entry for 4 bytes of code, so that a
 * line of the cache serves 32. It lies where these say, or where those JUMP_SECOND bits up say. */
#define JUMP_INDEX_BITS ((uint64_t)(JUMP_ENTRIES - 1) << JUMP_SHIFT)

struct map {
    uint64_t *entries; /* what gs holds */
    uint8_t *area;     /* private to map.c, as all below */
    uint32_t *leaves;  /* pages of the array that have entries, each once */
    unsigned leaf_count;
    uint8_t *leaf_known; /* a bit for each page of the array; sparse itself */
    uint64_t *local;     /* indices of the entries that are not global */
    unsigned local_count;
    bool has_global; /* entries of other kinds, perhaps */
    /* The jump table: for which variant of code is it, must it be cleared before it is used (code
     * reads the two as one number: level.c), does it have entries, are some of pages that are not
     * global. */
    _Alignas(8) uint32_t jump_variant;
    uint32_t jumps_stale;
    bool jumps_used, jumps_local;
    /* What is tied to other pages holds for an epoch: until a jump is taken out of the table.
     * Different in all maps that share a counter. filling: the one in which the table was last
     * cleared; place_fillings: that in which it last had to do with a page of code. */
    uint32_t epoch, filling, *counter, own_counter;
    uint32_t *place_fillings;
    uint64_t jump_groups[JUMP_GROUPS / 64]; /* a bit for each group with an entry */
    uint64_t jump_pages[JUMP_PAGES / 64];   /* a bit for each page with an entry, by its number */
};

/* -ENOMEM: no address space. */
int map_create(struct map *map, struct error *err);
void map_destroy(struct map *map);

static inline uint64_t map_index(gva_t addr)
{
    return (addr & MAP_PAGE_BITS) >> PAGE_SHIFT;
}

/* False: the entry cannot be made (the distance happens to be 0). global: map_clear_local leaves
 * it.
 */
bool map_set(struct map *map, gva_t addr, const void *host_page, bool global);
/* Also takes jumps to that page out of the table. */
void map_forget(struct map *map, gva_t addr);
void map_clear(struct map *map);
void map_clear_local(struct map *map);

/* Where the jump table's entry 0 leads, which is never set. It is used when a look-up starts and
 * FRAME_JUMP_MASK becomes 0 in its midst. */
void map_set_no_code(struct map *map, const void *code);
void map_set_jump(struct map *map, uint64_t rip, gva_t linear, const void *code, bool global);
/* Where a look-up begins. */
static inline uint64_t map_slot(uint64_t rip)
{
    return (rip & JUMP_INDEX_BITS) >> JUMP_SHIFT;
}
/* Where it goes on when the first slot has another's key. */
static inline uint64_t map_second_slot(uint64_t rip)
{
    return map_slot(rip >> JUMP_SECOND);
}
/* Where rip leads; NULL: nowhere. */
const void *map_find_jump(const struct map *map, uint64_t rip);
/* What leads from rip to `from` leads to `to`. */
void map_move_jump(struct map *map, uint64_t rip, const void *from, const void *to);
/* False: the jump table has nothing for the page of linear. */
bool map_knows_jumps(const struct map *map, gva_t linear);
void map_clear_jumps(struct map *map);
static inline uint64_t *map_place(struct map *map, unsigned number)
{
    return &map->entries[MAP_PLACES / 8 + (int64_t)number];
}

/* Clears the jump table if it does not hold any more, or not for this variant of code. */
static inline void map_use(struct map *map, uint32_t variant)
{
    if (__builtin_expect(map->jumps_stale || map->jump_variant != variant, 0)) {
        map_clear_jumps(map);
        map->jump_variant = variant;
    }
}

#endif
