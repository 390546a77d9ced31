/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The code cache: decoded blocks by page of RAM, whatever its guest-physical addresses are (the map
 * may show a page at several; a write by any of them counts). A page that holds any is marked
 * RAM_CODE, so that every writer says so; a write into one of its 64-byte pieces that were decoded
 * drops all the page's blocks. Blocks point only to blocks of their own page, so they go together.
 * A dropped block may be the one that runs: its ops are turned into op_resync, and its memory is
 * freed later.
 *
 * Ops are much larger than blocks. Beside the translator most are needed only while a block is
 * cold, and most blocks that ever run do so a few times and never again. So a block that was
 * about to be translated gives its ops back, and what is left is kept in a queue: the oldest block
 * goes, unless it has been run since it came to the queue's end last.
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

static unsigned key_home(const struct code_page *page, uint16_t key)
{
    return (key ^ key >> 5) & (page->limit - 1);
}

/* Where the key is, or the free place for it. The page has room. */
static unsigned key_slot(const struct code_page *page, uint16_t key)
{
    unsigned slot = key_home(page, key);
    while (page->keys[slot] && page->keys[slot] != key)
        slot = (slot + 1) & (page->limit - 1);
    return slot;
}

struct block *cache_find(struct interp_vcpu *in, gpa_t gpa, uint32_t mode)
{
    const struct code_page *page = *page_find(in, gpa);
    return page ? cache_on_page(page, (unsigned)(gpa & (PAGE_SIZE - 1)), mode) : NULL;
}

struct block *cache_on_page(const struct code_page *page, unsigned offset, uint32_t mode)
{
    return page->limit ? page->blocks[key_slot(page, block_key(offset, mode))] : NULL;
}

/* Room for one more. */
static bool page_grow(struct interp_vcpu *in, struct code_page *page)
{
    if (page->count * 4 < page->limit * 3)
        return true;
    struct code_page larger = *page;
    larger.limit = page->limit ? page->limit * 2 : 8;
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
    return block->has_ops ? sizeof(*block) + block->op_count * sizeof(struct op)
                          : offsetof(struct block, before);
}

enum { POOL_CHUNK = 32 * 1024 };

static struct block *pool_get(struct block_pool *pool)
{
    const size_t size = offsetof(struct block, before);
    if (!pool->free) {
        uint8_t *chunk = malloc(POOL_CHUNK);
        if (!chunk)
            return NULL;
        memcpy(chunk, &pool->chunks, sizeof(void *));
        pool->chunks = chunk;
        for (size_t at = sizeof(void *); at + size <= POOL_CHUNK; at += size) {
            struct block *block = (struct block *)(void *)(chunk + at);
            block->next = pool->free;
            pool->free = block;
        }
    }
    struct block *block = pool->free;
    pool->free = block->next;
    return block;
}

static void block_free(struct interp_vcpu *in, struct block *block)
{
    if (block->has_ops) {
        free(block);
    } else {
        block->next = in->pool.free;
        in->pool.free = block;
    }
}

static void queue_add(struct interp_vcpu *in, struct block *block)
{
    block->next = NULL;
    block->before = in->queue_last;
    *(in->queue_last ? &in->queue_last->next : &in->queue_first) = block;
    in->queue_last = block;
    in->queue_bytes += block_size(block);
    block->queued = true;
}

static void queue_remove(struct interp_vcpu *in, struct block *block)
{
    if (!block->queued)
        return;
    *(block->before ? &block->before->next : &in->queue_first) = block->next;
    *(block->next ? &block->next->before : &in->queue_last) = block->before;
    in->queue_bytes -= block_size(block);
    block->queued = false;
}

static uint8_t *heat_of(struct interp_vcpu *in, const struct block *block)
{
    uint64_t hash = ((block->page->key | block->offset) + block->mode) * 0x9e3779b97f4a7c15;
    return &in->heat[hash >> 48 & (HEAT_SLOTS - 1)];
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
    block->heat = *heat_of(in, block);
    in->code_bytes += block_size(block);
    queue_add(in, block);
    in->statistics.blocks_made++;
}

/* What ops of a dropped block become: back to the run loop, at their own address. */
static const struct op *op_resync(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    return NULL;
}

/* It may be the one that runs. */
static void resync(struct interp_vcpu *in, struct block *block)
{
    struct op *ops = NULL;
    if (block->has_ops)
        ops = block->ops;
    else if (in->anew_block == block)
        ops = in->anew;
    for (unsigned k = 0; ops && k < block->op_count; k++)
        ops[k].fn = op_resync;
}

/* The block is in no page any more. */
static void bury(struct interp_vcpu *in, struct block *block)
{
    queue_remove(in, block);
    in->code_bytes -= block_size(block);
    block->next = in->dead;
    in->dead = block;
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
        resync(in, block);
        bury(in, block);
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
    free(page->care);
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
        if (in->anew_block == in->dead)
            in->anew_block = NULL;
        block_free(in, in->dead);
        in->dead = next;
    }
}

void cache_destroy(struct interp_vcpu *in)
{
    cache_drop_all(in);
    cache_free_dead(in);
    while (in->pool.chunks) {
        void *chunk = in->pool.chunks;
        memcpy(&in->pool.chunks, chunk, sizeof(chunk));
        free(chunk);
    }
    in->pool.free = NULL;
}

struct block *cache_give_back(struct interp_vcpu *in, struct block *block)
{
    if (!block->has_ops || !block->page)
        return block;
    queue_remove(in, block);
    /* The first op of one that crosses has the bytes it hangs on: the translator's too. */
    if (block_crosses(block))
        return block;
    struct block *bare = pool_get(&in->pool);
    if (!bare)
        return block;
    memcpy(bare, block, offsetof(struct block, before));
    bare->has_ops = false;
    bare->page->blocks[key_slot(bare->page, block_key(bare->offset, bare->mode))] = bare;
    if (block->cached_gen == in->cpu->exec_gen) {
        if (block->cached_more)
            in->cpu->exec_gen++;
        else if (in->jumps[block->cached_slot].block == block)
            in->jumps[block->cached_slot].block = bare;
    }
    in->code_bytes -= block_size(block) - block_size(bare);
    in->statistics.ops_given_back++;
    free(block);
    return bare;
}

const struct op *cache_ops(struct interp_vcpu *in, struct block *block, gva_t linear)
{
    if (block->has_ops)
        return block->ops;
    if (in->anew_block == block)
        return in->anew;
    gpa_t gpa = block->page->gpa | block->offset;
    struct block *anew = decode_block(in, linear, gpa);
    if (!anew)
        return NULL;
    bool same = anew->op_count == block->op_count && anew->count == block->count &&
                anew->bytes == block->bytes && !block_crosses(anew);
    if (same) {
        in->anew_block = block;
        memcpy(in->anew, anew->ops, anew->op_count * sizeof(struct op));
        in->statistics.ops_made_anew++;
    } else {
        cache_drop_page(in, gpa);
    }
    free(anew);
    return same ? in->anew : NULL;
}

static struct code_page **page_link(struct interp_vcpu *in, const struct code_page *page)
{
    struct code_page **at = &in->pages[page_bucket(page->key)];
    while (*at != page)
        at = &(*at)->next;
    return at;
}

/* Takes the block out of its page's table: what was put further on because of it moves up. */
static void drop_block(struct interp_vcpu *in, struct block *block)
{
    struct code_page *page = block->page;
    unsigned mask = page->limit - 1, hole = key_slot(page, block_key(block->offset, block->mode));
    for (unsigned slot = (hole + 1) & mask; page->keys[slot]; slot = (slot + 1) & mask) {
        unsigned home = key_home(page, page->keys[slot]);
        if (((slot - home) & mask) < ((slot - hole) & mask))
            continue;
        page->keys[hole] = page->keys[slot];
        page->blocks[hole] = page->blocks[slot];
        hole = slot;
    }
    page->keys[hole] = 0;
    page->blocks[hole] = NULL;
    page->count--;
    *heat_of(in, block) = (uint8_t)min_u64(block->heat, UINT8_MAX);
    bury(in, block);
    in->statistics.cold_dropped++;
    if (page->count == 0)
        drop(in, page_link(in, page));
}

void cache_drop_bare(struct interp_vcpu *in)
{
    for (unsigned i = 0; i < CODE_BUCKETS; i++)
        for (struct code_page *page = in->pages[i], *next; page; page = next) {
            next = page->next;
            for (unsigned slot = 0, left = page->count; left && slot < page->limit;) {
                struct block *block = page->blocks[slot];
                left -= block != NULL;
                if (!block || block->has_ops || block->translations) {
                    slot++;
                    continue;
                }
                in->statistics.bare_dropped++;
                drop_block(in, block); /* may move another here, or free the page */
            }
        }
    in->cpu->exec_gen++;
}

void cache_drop_cold(struct interp_vcpu *in)
{
    const struct block *last = in->queue_last;
    for (bool end = false; !end && in->queue_bytes > OPS_LIMIT / 8 * 7;) {
        struct block *block = in->queue_first;
        end = block == last;
        if (block->used || block->translations) {
            block->used = false;
            queue_remove(in, block);
            queue_add(in, block);
        } else {
            drop_block(in, block);
        }
    }
    in->cpu->exec_gen++; /* the jump cache may point to the dead */
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
