/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who leads to a translation: branches tied to it, and the jump tables of the address spaces. A
 * return goes through the table as well, but by the host's RET, which predicts that it goes back to
 * behind the last CALL. So a translated CALL is a host CALL, and the host address behind it, the
 * call's pad, is what the table leads to from the guest's return address. A pad is a jump to what
 * comes after the call.
 *
 * Where code is. Translations belong to pages of RAM and serve all address spaces. When code needs
 * its own rip it takes that of its page from the table of places, by the page's number. So a page
 * can be in one place at a time: when it is entered elsewhere its place is changed (jumps_place),
 * and tables that had to do with it are cleared first. Branches on a page are tied for as long as
 * the page's code lives. A branch to another page is tied for an epoch of a map, which ends when
 * the map's jump table is cleared: until then both pages are where they were.
 */
#include "engine/dbt/internal.h"

#include <stdlib.h>
#include <string.h>

void jumps_put(struct dbt_vcpu *d, uint8_t *at, const uint8_t *to)
{
    uint8_t *write = code_writable(&d->code, at);
    int32_t distance = (int32_t)(to - (at + 5));
    write[0] = 0xe9;
    memcpy(write + 1, &distance, 4);
}

void jumps_retire(struct dbt_vcpu *d, struct translation *t)
{
    t->block = NULL;
    /* Other pages may be tied to it: it says that they came here. No code is in the midst of so
     * few bytes at the start: the first way out that comes back lies behind them. */
    uint8_t *body = t->code + t->body, *write = code_writable(&d->code, body);
    struct exit_info info = {.kind = EXIT_DEAD, .insn = t->offset, .place = t->place};
    int32_t distance = (int32_t)(d->leave - (body + 5));
    write[0] = 0xe8;
    memcpy(write + 1, &distance, 4);
    memcpy(write + 5, &info, offsetof(struct exit_info, extra));
    if (t->pad)
        jumps_put(d, t->code + t->pad, d->leave_nowhere);
}

bool jumps_number(struct dbt_vcpu *d, struct code_page *page)
{
    if (page->place)
        return true;
    if (d->place_count + 1 == PLACES)
        return false;
    page->place = (uint16_t)++d->place_count;
    return true;
}

void jumps_adopt(struct dbt_vcpu *d, struct map *map)
{
    map->counter = &d->epochs;
    map->jumps_stale = true;
    if (d->place_count)
        memcpy(map_place(map, 1), map_place(&d->maps[MMU_USER], 1), d->place_count * 8);
}

void jumps_place(struct dbt_vcpu *d, struct map *map, uint32_t variant, const struct translation *t,
                 uint64_t first)
{
    unsigned number = t->place;
    if (*map_place(map, number) != first)
        for (unsigned i = 0; i < MAP_COUNT; i++) {
            struct map *other = &d->maps[i];
            if (!other->entries)
                continue;
            other->jumps_stale |= other->place_fillings[number] == other->filling;
            *map_place(other, number) = first;
        }
    map_use(map, variant);
    map->place_fillings[number] = map->filling;
}

enum { FAR_TIES = 2 }; /* of a branch that is tied to another page again and again */

void jumps_tie_far(struct dbt_vcpu *d, struct map *map, const struct exit_info *info,
                   const struct translation *t)
{
    struct translation *from = code_find(&d->code, info);
    if (!from || !from->block || !t->block)
        return;
    struct exit_info *own = (void *)code_writable(&d->code, (const uint8_t *)info);
    uint8_t *epoch = (uint8_t *)(uintptr_t)info + info->extra;
    if (own->branch == FAR_TIES) {
        /* Look-ups, which follow the info, from now on. */
        jumps_put(d, epoch + FAR_MISS, (const uint8_t *)info + INFO_FAR);
        return;
    }
    own->branch++;
    if (from->place == t->place)
        return; /* the page has another place now, and the branch would lead elsewhere */
    map->place_fillings[from->place] = map->filling;
    int32_t value = -(int32_t)map->epoch;
    memcpy(code_writable(&d->code, epoch), &value, 4);
    jumps_put(d, epoch + FAR_HIT, t->code + t->body);
    d->statistics.links++;
}

void jumps_tie(struct dbt_vcpu *d, const struct exit_info *info, const struct translation *t)
{
    const struct translation *from = code_find(&d->code, info);
    if (!from || !from->block || !t->block || from->block->page != t->block->page)
        return;
    /* Whatever goes round in circles goes back somewhere, and polls there. */
    bool back = t->block->offset <= info->branch;
    uint8_t *branch = (uint8_t *)(uintptr_t)info + info->extra;
    int32_t distance = (int32_t)(t->code + (back ? t->poll : t->body) - (branch + 4));
    memcpy(code_writable(&d->code, branch), &distance, 4);
    d->statistics.links++;
}

/* The page's entry for a place in it; NULL: none. */
static struct jump_target *find(const struct code_page *page, unsigned offset, uint32_t variant)
{
    struct jump_targets *list = page->targets;
    for (unsigned i = 0; list && i < list->count; i++)
        if (list->targets[i].offset == offset && list->targets[i].variant == variant)
            return &list->targets[i];
    return NULL;
}

/* The same, made if there is none yet. NULL: no memory. */
static struct jump_target *target_of(struct code_page *page, unsigned offset, uint32_t variant)
{
    struct jump_targets *list = page->targets;
    struct jump_target *found = find(page, offset, variant);
    if (found)
        return found;
    if (!list || list->count == list->limit) {
        unsigned limit = list ? list->limit * 2 : 8;
        struct jump_targets *more = realloc(list, sizeof(*list) + limit * sizeof(list->targets[0]));
        if (!more)
            return NULL;
        more->count = list ? more->count : 0;
        more->limit = limit;
        page->targets = list = more;
    }
    struct jump_target *target = &list->targets[list->count++];
    *target = (struct jump_target){.offset = (uint16_t)offset, .variant = (uint16_t)variant};
    return target;
}

/* Where the jump table shall lead. */
static const uint8_t *entry_of(struct dbt_vcpu *d, const struct jump_target *target)
{
    if (!target->code)
        return NULL;
    return d->code.run + (target->pad ? target->pad : target->code);
}

/* What is known of the place `t` begins at, with its pad leading to t. */
static struct jump_target *note(struct dbt_vcpu *d, struct translation *t)
{
    struct jump_target *target = target_of(t->block->page, t->block->offset, t->variant);
    if (!target)
        return NULL;
    t->is_target = true;
    target->code = (uint32_t)(t->code + t->body - d->code.run);
    if (target->pad)
        jumps_put(d, d->code.run + target->pad, t->code + t->body);
    return target;
}

void jumps_set(struct dbt_vcpu *d, struct map *map, struct translation *t)
{
    struct vcpu *cpu = d->cpu;
    gva_t linear = rip_wrap(cpu, cpu->rip + cpu->seg[SEG_CS].base);
    const struct tlb_slow *slow = tlb_find(cpu, linear, ACCESS_EXEC, cpu->mmu);
    bool global = slow && slow->global;
    struct jump_target *target = note(d, t);
    const struct jump_targets *list = t->block->page->targets;
    if (target && !map_knows_jumps(map, linear))
        for (unsigned i = 0; i < list->count; i++)
            if (list->targets[i].variant == t->variant && list->targets[i].code)
                map_set_jump(map, (cpu->rip & PAGE_MASK) + list->targets[i].offset, linear,
                             entry_of(d, &list->targets[i]), global);
    map_set_jump(map, cpu->rip, linear, target ? entry_of(d, target) : t->code + t->body, global);
}

const uint8_t *jumps_find_pad(const struct dbt_vcpu *d, const struct block *block, unsigned offset,
                              uint32_t variant)
{
    const struct jump_target *target = find(block->page, offset, variant);
    return target && target->pad && !d->lockstep ? d->code.run + target->pad : NULL;
}

void jumps_pad(struct dbt_vcpu *d, struct translation *t, unsigned offset)
{
    struct jump_target *target = target_of(t->block->page, offset, t->variant);
    if (!target)
        return;
    target->pad = (uint32_t)(t->code + t->pad - d->code.run);
    if (!target->code)
        return;
    jumps_put(d, t->code + t->pad, d->code.run + target->code);
    map_move_jump(dbt_map(d), (d->cpu->rip & PAGE_MASK) + offset, d->code.run + target->code,
                  entry_of(d, target));
}
