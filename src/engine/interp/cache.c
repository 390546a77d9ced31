/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The code cache: decoded blocks by page of RAM, whatever its guest-physical addresses are (the map
 * may show a page at several; a write by any of them counts). A page that holds any is marked
 * RAM_CODE, so that every writer says so; a write into one of its 64-byte pieces that were decoded
 * drops all the page's blocks. Blocks point only to blocks of their own page, so they go together.
 * A dropped block may be the one that runs: its ops are turned into op_resync, and its memory is
 * freed later.
 */
#include "engine/interp/internal.h"

#include <stdlib.h>

/* Where the host has the page; where nothing holds memory, its address, made odd. */
static uint64_t page_key(struct interp_vcpu *in, gpa_t gpa)
{
    const struct mem_range *range = cpu_range(in->cpu, gpa);
    if (!range->region || range->kind == MEM_IO)
        return (gpa & PAGE_MASK) | 1;
    return (uintptr_t)mem_host(range, gpa & PAGE_MASK);
}

static unsigned page_bucket(uint64_t key)
{
    uint64_t page = key >> PAGE_SHIFT;
    return (unsigned)(page ^ page >> 12) & (CODE_BUCKETS - 1);
}

static struct code_page **page_find(struct interp_vcpu *in, gpa_t gpa)
{
    uint64_t key = page_key(in, gpa);
    struct code_page **at = &in->pages[page_bucket(key)];
    while (*at && (*at)->key != key)
        at = &(*at)->next;
    return at;
}

static uint16_t block_key(unsigned offset, uint32_t mode)
{
    return (uint16_t)(0x8000 | (mode & CODE_SIZE) << 12 | offset);
}

/* Where the key is, or the free place for it. The page has room. */
static unsigned key_slot(const struct code_page *page, uint16_t key)
{
    unsigned slot = (key ^ key >> 5) & (page->limit - 1);
    while (page->keys[slot] && page->keys[slot] != key)
        slot = (slot + 1) & (page->limit - 1);
    return slot;
}

struct block *cache_find(struct interp_vcpu *in, gpa_t gpa, uint32_t mode)
{
    const struct code_page *page = *page_find(in, gpa);
    if (!page || !page->limit)
        return NULL;
    return page->blocks[key_slot(page, block_key((unsigned)(gpa & (PAGE_SIZE - 1)), mode))];
}

/* Room for one more. */
static bool page_grow(struct interp_vcpu *in, struct code_page *page)
{
    if (page->count * 2 < page->limit)
        return true;
    struct code_page larger = *page;
    larger.limit = page->limit ? page->limit * 2 : 16;
    larger.keys = calloc(larger.limit, sizeof(uint16_t));
    larger.blocks = calloc(larger.limit, sizeof(struct block *));
    if (!larger.keys || !larger.blocks) {
        free(larger.keys);
        free(larger.blocks);
        return false;
    }
    for (unsigned i = 0; i < page->limit; i++)
        if (page->keys[i]) {
            unsigned slot = key_slot(&larger, page->keys[i]);
            larger.keys[slot] = page->keys[i];
            larger.blocks[slot] = page->blocks[i];
        }
    in->code_bytes += (larger.limit - page->limit) * (sizeof(uint16_t) + sizeof(struct block *));
    free(page->keys);
    free(page->blocks);
    *page = larger;
    return true;
}

static size_t block_size(const struct block *block)
{
    return sizeof(*block) + block->op_count * sizeof(struct op);
}

static uint64_t chunk_mask(unsigned first, unsigned last)
{
    uint64_t from = ~0ull << (first / 64);
    uint64_t to = ~0ull >> (63 - last / 64);
    return from & to;
}

void cache_insert(struct interp_vcpu *in, gpa_t gpa, struct block *block)
{
    struct code_page **at = page_find(in, gpa);
    if (!*at) {
        struct code_page *page = calloc(1, sizeof(*page));
        if (!page) {
            /* Runs once, uncached: freed with the dead. */
            block->next = in->dead;
            in->dead = block;
            return;
        }
        page->key = page_key(in, gpa);
        page->gpa = gpa & PAGE_MASK;
        *at = page;
        in->code_bytes += sizeof(*page);
        in->statistics.pages_made++;
        const struct mem_range *range = mem_find(in->cpu->view, gpa);
        if (range->region && range->kind == MEM_RAM) {
            ram_set_flags(range->ram, mem_ram_page(range, gpa), RAM_CODE);
            tlb_forget_writes(in->cpu, gpa);
        }
    }
    struct code_page *page = *at;
    if (!page_grow(in, page)) {
        block->next = in->dead;
        in->dead = block;
        return;
    }
    unsigned slot = key_slot(page, block_key(block->offset, block->mode));
    page->count += !page->keys[slot];
    page->keys[slot] = block_key(block->offset, block->mode);
    page->blocks[slot] = block;
    block->page = page;
    page->chunks |= chunk_mask(block->offset, block->offset + block->seen - 1u);
    in->code_bytes += block_size(block);
    in->statistics.blocks_made++;
}

/* What ops of a dropped block become: back to the run loop, at their own address. */
static const struct op *op_resync(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    return NULL;
}

static void drop(struct interp_vcpu *in, struct code_page **at)
{
    struct code_page *page = *at;
    *at = page->next;
    for (unsigned i = 0; i < page->limit; i++) {
        struct block *block = page->blocks[i];
        if (!block)
            continue;
        if (block->translations)
            in->block_dropped(in->cpu, block);
        for (unsigned k = 0; k < block->op_count; k++)
            block->ops[k].fn = op_resync;
        in->code_bytes -= block_size(block);
        block->next = in->dead;
        in->dead = block;
    }
    in->code_bytes -= page->limit * (sizeof(uint16_t) + sizeof(struct block *));
    /* The flag stays while other vcpus may have code of the page: a needless call, no more. */
    if (!in->interp->vcpus->next) {
        const struct mem_range *range = mem_find(in->cpu->view, page->gpa);
        if (range->region && range->kind == MEM_RAM)
            ram_clear_flags(range->ram, mem_ram_page(range, page->gpa), RAM_CODE);
    }
    in->code_bytes -= sizeof(*page);
    in->statistics.pages_dropped++;
    free(page->targets);
    free(page->keys);
    free(page->blocks);
    free(page);
    in->cpu->exec_gen++; /* the jump cache may point to the dead */
}

void cache_drop_page(struct interp_vcpu *in, gpa_t gpa)
{
    struct code_page **at = page_find(in, gpa);
    if (*at)
        drop(in, at);
}

void cache_drop_all(struct interp_vcpu *in)
{
    for (unsigned i = 0; i < CODE_BUCKETS; i++)
        while (in->pages[i])
            drop(in, &in->pages[i]);
    in->statistics.flushes++;
}

void cache_free_dead(struct interp_vcpu *in)
{
    while (in->dead) {
        struct block *next = in->dead->next;
        free(in->dead);
        in->dead = next;
    }
}

/* Hands a written page to the other vcpus' threads. */
static void tell_others(struct interp_vcpu *in, gpa_t gpa)
{
    for (struct interp_vcpu *other = in->interp->vcpus; other; other = other->next) {
        if (other == in)
            continue;
        pthread_mutex_lock(&other->pending_lock);
        if (other->pending_count < PENDING_MAX)
            other->pending[other->pending_count] = gpa;
        if (other->pending_count <= PENDING_MAX)
            other->pending_count++;
        pthread_mutex_unlock(&other->pending_lock);
        cpu_request(other->cpu, VCPU_REQ_CODE);
    }
}

void cache_written(struct vcpu *cpu, gpa_t gpa, unsigned length)
{
    struct interp_vcpu *in = interp_vcpu(cpu);
    tell_others(in, gpa);
    struct code_page **at = page_find(in, gpa);
    if (!*at)
        return;
    unsigned first = (unsigned)(gpa & (PAGE_SIZE - 1));
    unsigned last = first + length - 1 < PAGE_SIZE ? first + length - 1 : PAGE_SIZE - 1;
    if ((*at)->chunks & chunk_mask(first, last))
        drop(in, at);
    else
        in->statistics.chunk_misses++;
}

/* Is the page at gpa another one in `next`? */
static bool moves(const struct vcpu *cpu, const struct mem_view *next, gpa_t gpa)
{
    const struct mem_range *a = mem_find(cpu->view, gpa), *b = mem_find(next, gpa);
    return a->region != b->region || a->kind != b->kind || a->ram != b->ram ||
           a->ram_offset - a->first != b->ram_offset - b->first;
}

void cache_moving(struct vcpu *cpu, const struct mem_view *next)
{
    struct interp_vcpu *in = interp_vcpu(cpu);
    if (cpu->view == next)
        return;
    for (unsigned i = 0; i < CODE_BUCKETS; i++)
        for (struct code_page **at = &in->pages[i]; *at;) {
            if (moves(cpu, next, (*at)->gpa))
                drop(in, at);
            else
                at = &(*at)->next;
        }
}
