/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The C side of the shadow maps: what a miss puts into them, and what takes it out again.
 */
#include "engine/dbt/internal.h"

#include <string.h>

#include "base/error.h"
#include "cpu/exception.h"

/* Which entries lead to a page through its writable view, so that they can be found when code is
 * seen on it. Slots are never freed but all at once, and hold only part of the page's hash: an
 * entry too many that is taken out does no harm. */
enum { WRITABLE_BITS = 16, WRITABLE_SLOTS = 1 << WRITABLE_BITS, WRITABLE_PROBES = 8 };
struct writable {
    uint64_t slots[WRITABLE_SLOTS]; /* 0: free; else bit 63, SLOT_TAG, map, page number */
};

#define SLOT_USED (UINT64_C(1) << 63)
#define SLOT_TAG  (((UINT64_C(1) << 23) - 1) << 40) /* of the hash of the host's page */
#define SLOT_PAGE ((UINT64_C(1) << 36) - 1)         /* of the guest's address */
enum { SLOT_MAP_SHIFT = 36, SLOT_MAPS = 16 };

size_t dbt_writable_size(void)
{
    return sizeof(struct writable);
}

static uint64_t hash_of(const uint8_t *host)
{
    return (uint64_t)((uintptr_t)host >> PAGE_SHIFT) * UINT64_C(0x9e3779b97f4a7c15);
}

static unsigned slot_of(uint64_t hash)
{
    return (unsigned)(hash >> (64 - WRITABLE_BITS));
}

/* The hash's bits below those of the slot. */
static uint64_t tag_of(uint64_t hash)
{
    return SLOT_USED | (hash << 15 & SLOT_TAG);
}

static void note_writable(struct dbt_vcpu *d, const uint8_t *host, unsigned map, gva_t addr)
{
    _Static_assert((int)MAP_COUNT <= (int)SLOT_MAPS, "four bits");
    uint64_t hash = hash_of(host);
    uint64_t value = tag_of(hash) | (uint64_t)map << SLOT_MAP_SHIFT | map_index(addr);
    for (unsigned i = 0; i < WRITABLE_PROBES; i++) {
        uint64_t *slot = &d->writable->slots[(slot_of(hash) + i) & (WRITABLE_SLOTS - 1)];
        if (*slot == value)
            return;
        if (!*slot) {
            *slot = value;
            return;
        }
    }
    d->writable_lost = true;
}

static void clear_maps(struct dbt_vcpu *d)
{
    for (unsigned i = 0; i < MAP_COUNT; i++)
        if (d->maps[i].entries)
            map_clear(&d->maps[i]);
    if (d->writable_lost) {
        memset(d->writable, 0, sizeof(*d->writable));
        d->writable_lost = false;
    }
}

void dbt_new_epoch(struct dbt_vcpu *d)
{
    /* Code has it as a displacement, negated. */
    uint64_t *epoch = frame(d->cpu, FRAME_CROSS_EPOCH);
    *epoch = *epoch == INT32_MAX ? 1 : *epoch + 1;
}

void dbt_note_crossing(struct dbt_vcpu *d, gva_t addr)
{
    unsigned page = (unsigned)(addr >> PAGE_SHIFT) & (JUMP_PAGES - 1);
    d->cross_pages[page / 64] |= UINT64_C(1) << (page & 63);
}

void dbt_flushed(struct vcpu *cpu, bool global)
{
    struct dbt_vcpu *d = dbt_vcpu(cpu);
    d->statistics.flushes++;
    dbt_new_epoch(d);
    if (global) {
        clear_maps(d);
        return;
    }
    map_clear_local(d->user);
    map_clear_local(&d->maps[MMU_KERNEL]);
    map_clear_local(&d->maps[MMU_KERNEL_SMAP]);
}

/* The map of level 3 for a space; if it cannot be had, that of space 0. */
static struct map *space_map(struct dbt_vcpu *d, unsigned space)
{
    struct map *map = &d->maps[space ? MMU_COUNT + space - 1 : MMU_USER];
    struct error err;
    if (map->entries)
        return map;
    if (d->spaces_share || map_create(map, &err)) {
        d->spaces_share = true;
        return &d->maps[MMU_USER];
    }
    map_set_no_code(map, d->leave_nowhere);
    jumps_adopt(d, map);
    return map;
}

/* What of the user's memory the inner levels have reached is not kept. */
void dbt_switched(struct vcpu *cpu, bool keep)
{
    struct dbt_vcpu *d = dbt_vcpu(cpu);
    dbt_new_epoch(d);
    d->user = space_map(d, cpu->space);
    if (!keep || (d->spaces_share && d->user == &d->maps[MMU_USER])) {
        d->statistics.flushes++;
        map_clear_local(d->user);
    }
    map_clear_local(&d->maps[MMU_KERNEL]);
    map_clear_local(&d->maps[MMU_KERNEL_SMAP]);
}

void dbt_flushed_page(struct vcpu *cpu, gva_t addr)
{
    struct dbt_vcpu *d = dbt_vcpu(cpu);
    d->statistics.page_flushes++;
    unsigned page = (unsigned)(addr >> PAGE_SHIFT) & (JUMP_PAGES - 1);
    if (d->cross_pages[page / 64] >> (page & 63) & 1)
        dbt_new_epoch(d);
    for (unsigned i = 0; i < MAP_COUNT; i++)
        if (d->maps[i].entries)
            map_forget(&d->maps[i], addr);
}

void dbt_forget_writes(struct vcpu *cpu, gpa_t gpa)
{
    struct dbt_vcpu *d = dbt_vcpu(cpu);
    const struct mem_range *range = mem_find(cpu->view, gpa);
    if (d->writable_lost || !range->region || range->kind == MEM_IO) {
        clear_maps(d);
        return;
    }
    const uint8_t *host =
        window_address(&d->dbt->windows, range->ram, mem_ram_page(range, gpa), true);
    if (!host)
        return;
    uint64_t hash = hash_of(host);
    for (unsigned i = 0; i < WRITABLE_PROBES; i++) {
        uint64_t slot = d->writable->slots[(slot_of(hash) + i) & (WRITABLE_SLOTS - 1)];
        if (!slot)
            return;
        if ((slot & (SLOT_USED | SLOT_TAG)) == tag_of(hash))
            map_forget(&d->maps[slot >> SLOT_MAP_SHIFT & (SLOT_MAPS - 1)], (slot & SLOT_PAGE)
                                                                               << PAGE_SHIFT);
    }
}

static bool canonical(gva_t addr)
{
    return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

/* As window_page. What entries lead to may have to go for it: all processors stand still then,
 * which as there is one they do. */
static const uint8_t *page_for(struct dbt_vcpu *d, struct ram *ram, uint64_t page, bool writable)
{
    struct windows *windows = &d->dbt->windows;
    const uint8_t *host = window_page(windows, ram, page, writable);
    if (host || !windows->full)
        return host;
    clear_maps(d);
    windows_close(windows);
    d->statistics.closed++;
    return window_page(windows, ram, page, writable);
}

bool dbt_fill(struct dbt_vcpu *d, gva_t addr, bool write)
{
    struct vcpu *cpu = d->cpu;
    if (cpu->watching || (cpu_long_mode(cpu) && !canonical(addr)))
        return false;
    const struct tlb_slow *slow = tlb_find(cpu, addr, write ? ACCESS_WRITE : ACCESS_READ, cpu->mmu);
    if (!slow || slow->io || (write && slow->rom))
        return false;
    const struct mem_range *range = cpu_range(cpu, slow->gpa);
    uint64_t page = mem_ram_page(range, slow->gpa);
    uint8_t flags = ram_get_flags(range->ram, page);
    if (write && !(flags & RAM_CODE)) {
        ram_set_flags(range->ram, page, RAM_DIRTY_ALL);
        flags |= RAM_DIRTY_ALL;
    }
    bool writable = slow->allowed & 1 << ACCESS_WRITE && !slow->rom &&
                    (flags & (RAM_DIRTY_ALL | RAM_CODE)) == RAM_DIRTY_ALL;
    if (write && !writable)
        return false;
    const uint8_t *host = page_for(d, range->ram, page, writable);
    struct map *map = dbt_map(d);
    if (!host || !map_set(map, addr, host, slow->global))
        return false;
    if (writable)
        note_writable(d, host, (unsigned)(map - d->maps), addr);
    d->statistics.fills++;
    return true;
}

void dbt_forget_operand(struct dbt_vcpu *d)
{
    struct vcpu *cpu = d->cpu;
    const struct op *op = run_op(cpu);
    if (!op)
        return;
    gva_t addr = op_offset(cpu, op);
    if (!op->direct)
        addr += cpu->seg[op->seg].base;
    /* A stack operand is told by where rsp is: what is pushed lies below. */
    for (int i = -1; i <= 1; i++) {
        gva_t at = addr + (gva_t)(int64_t)(i * 64);
        map_forget(dbt_map(d), (cpu->code_mode & CODE_SIZE) == CODE_64 ? at : (uint32_t)at);
    }
}

bool dbt_can_write(const struct dbt_vcpu *d, const void *host)
{
    uint64_t page;
    const struct ram *ram = window_find(&d->dbt->windows, host, &page);
    return ram && !(ram_get_flags(ram, page) & RAM_CODE);
}
