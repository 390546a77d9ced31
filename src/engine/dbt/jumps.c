/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who leads to a translation: branches tied to it on its own page, and the jump tables of the
 * address spaces. A return goes through the table as well, but by the host's RET, which predicts
 * that it goes back to behind the last CALL. So a translated CALL is a host CALL, and the host
 * address behind it, the call's pad, is what the table leads to from the guest's return address.
 * A pad is a jump to the from_jump entry of what comes after the call.
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
    jumps_put(d, t->code + t->from_jump, d->leave_nowhere);
    if (t->pad)
        jumps_put(d, t->code + t->pad, d->leave_nowhere);
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
    target->code = (uint32_t)(t->code + t->from_jump - d->code.run);
    if (target->pad)
        jumps_put(d, d->code.run + target->pad, t->code + t->from_jump);
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
    map_set_jump(map, cpu->rip, linear, target ? entry_of(d, target) : t->code + t->from_jump,
                 global);
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
