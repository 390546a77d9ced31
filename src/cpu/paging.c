/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cpu/paging.h"

#include "cpu/model.h"

enum {
    PTE_P = 1 << 0,
    PTE_W = 1 << 1,
    PTE_U = 1 << 2,
    PTE_A = 1 << 5,
    PTE_D = 1 << 6,
    PTE_PS = 1 << 7,
    PTE_G = 1 << 8,
};
#define PTE_NX 0x8000000000000000ull

enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16 };

/* One entry of a paging structure, and where it lies. */
struct entry {
    uint64_t value;
    gpa_t gpa;
    unsigned size; /* 4 or 8 */
};

static uint64_t entry_host_load(struct vcpu *cpu, gpa_t gpa, unsigned size)
{
    const struct mem_range *range = cpu_range(cpu, gpa);
    /* Paging structures in device memory: hardware would read it; nobody means to. Not present. */
    if (!range->region || range->kind == MEM_IO)
        return 0;
    const uint8_t *host = mem_host(range, gpa);
    return size == 8 ? __atomic_load_n((const uint64_t *)(const void *)host, __ATOMIC_RELAXED)
                     : __atomic_load_n((const uint32_t *)(const void *)host, __ATOMIC_RELAXED);
}

static struct entry entry_load(struct vcpu *cpu, gpa_t table, unsigned index, unsigned size)
{
    struct entry e = {.size = size};
    e.gpa = (table + (uint64_t)index * size) &
            atomic_load_explicit(&cpu->world->a20_mask, memory_order_relaxed);
    e.value = entry_host_load(cpu, e.gpa, size);
    return e;
}

/* Sets bits in an entry, atomically; false if the entry changed since it was read (walk again). */
static bool entry_mark(struct vcpu *cpu, struct entry *e, uint64_t bits)
{
    if ((e->value & bits) == bits)
        return true;
    const struct mem_range *range = cpu_range(cpu, e->gpa);
    if (!range->region || range->kind != MEM_RAM)
        return true;
    uint8_t *host = mem_host(range, e->gpa);
    uint64_t page = mem_ram_page(range, e->gpa);
    if (ram_get_flags(range->ram, page) & RAM_CODE) {
        const struct vcpu_code_hook *hook = cpu->engine_data;
        if (hook)
            hook->written(cpu, e->gpa, e->size);
    }
    ram_set_flags(range->ram, page, RAM_DIRTY_ALL);
    uint64_t wanted = e->value | bits;
    bool done;
    if (e->size == 8) {
        uint64_t expected = e->value;
        done = __atomic_compare_exchange_n((uint64_t *)(void *)host, &expected, wanted, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    } else {
        uint32_t expected = (uint32_t)e->value;
        done = __atomic_compare_exchange_n((uint32_t *)(void *)host, &expected, (uint32_t)wanted,
                                           false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }
    if (done)
        e->value = wanted;
    return done;
}

/* What a walk has gathered on its way down. */
struct path {
    struct entry entries[4];
    unsigned count;
    bool writable, user, nx;
    gpa_t frame;
    unsigned shift; /* of the page: 12, 21, 22, 30 */
};

enum outcome { WALK_OK, WALK_NOT_PRESENT, WALK_RESERVED };

static uint64_t reserved_high(const struct vcpu *cpu)
{
    uint64_t beyond = ~((1ull << cpu->model->physical_bits) - 1) & 0x000fffffffffffffull;
    return cpu->efer & EFER_NXE ? beyond : beyond | PTE_NX;
}

static void path_add(struct path *path, struct entry e)
{
    path->entries[path->count++] = e;
    path->writable &= (e.value & PTE_W) != 0;
    path->user &= (e.value & PTE_U) != 0;
    if (e.size == 8)
        path->nx |= (e.value & PTE_NX) != 0;
}

#define FRAME_MASK 0x000ffffffffff000ull

/* The levels that 4-level and PAE paging share: from `level` (4: PML4 ... 1: page table) down. */
static enum outcome walk_wide(struct vcpu *cpu, gva_t addr, gpa_t table, unsigned level,
                              struct path *path)
{
    uint64_t reserved = reserved_high(cpu);
    if (!(cpu->efer & EFER_LMA))
        reserved |= 0x7ff0000000000000ull;
    for (;; level--) {
        unsigned shift = 12 + 9 * (level - 1);
        struct entry e = entry_load(cpu, table, addr >> shift & 511, 8);
        if (!(e.value & PTE_P))
            return WALK_NOT_PRESENT;
        uint64_t bad = reserved;
        bool leaf = level == 1;
        if (e.value & PTE_PS && level > 1) {
            if (level == 4 || (level == 3 && !cpu_model_has(cpu->model, CPU_PDPE1GB)))
                return WALK_RESERVED;
            leaf = true;
            bad |= ((1ull << shift) - 1) & ~0x1fffull; /* bit 12 is PAT */
        }
        if (e.value & bad)
            return WALK_RESERVED;
        path_add(path, e);
        if (leaf) {
            path->frame = e.value & FRAME_MASK & ~((1ull << shift) - 1);
            path->shift = shift;
            return WALK_OK;
        }
        table = e.value & FRAME_MASK;
    }
}

static enum outcome walk_pae(struct vcpu *cpu, gva_t addr, struct path *path)
{
    uint64_t pdpte = cpu->pdpte[addr >> 30 & 3];
    if (!(pdpte & PTE_P))
        return WALK_NOT_PRESENT;
    return walk_wide(cpu, addr, pdpte & FRAME_MASK, 2, path);
}

/* The bits of an entry for 4 MiB that must be clear: SDM 3A 4.3, 4.1.4 (PSE-36). */
static uint32_t reserved_4mib(const struct vcpu *cpu)
{
    unsigned width = 32;
    if (cpu_model_has(cpu->model, CPU_PSE36))
        width = (unsigned)min_u64(cpu->model->physical_bits, 40);
    uint32_t reserved = (1u << 22) - (1u << (width - 32 + 13));
    return cpu_model_has(cpu->model, CPU_PAT) ? reserved : reserved | 1u << 12;
}

static enum outcome walk_32(struct vcpu *cpu, gva_t addr, struct path *path)
{
    struct entry e = entry_load(cpu, cpu->cr3 & 0xfffff000u, addr >> 22 & 1023, 4);
    if (!(e.value & PTE_P))
        return WALK_NOT_PRESENT;
    path_add(path, e);
    if (e.value & PTE_PS && cpu->cr4 & CR4_PSE) {
        if (e.value & reserved_4mib(cpu))
            return WALK_RESERVED;
        path->frame = (e.value & 0xffc00000u) | (e.value & 0x1fe000u) << 19;
        path->shift = 22;
        return WALK_OK;
    }
    e = entry_load(cpu, e.value & 0xfffff000u, addr >> 12 & 1023, 4);
    if (!(e.value & PTE_P))
        return WALK_NOT_PRESENT;
    path_add(path, e);
    path->frame = e.value & 0xfffff000u;
    path->shift = 12;
    return WALK_OK;
}

/* Which accesses the gathered rights allow, as 1 << enum access_type. */
static uint8_t rights(const struct vcpu *cpu, const struct path *path, unsigned mmu)
{
    uint8_t allowed = 0;
    bool nx = path->nx && cpu->efer & EFER_NXE;
    if (mmu_user(mmu)) {
        if (!path->user)
            return 0;
        allowed = 1 << ACCESS_READ;
        if (path->writable)
            allowed |= 1 << ACCESS_WRITE;
        if (!nx)
            allowed |= 1 << ACCESS_EXEC;
        return allowed;
    }
    if (!(path->user && mmu == MMU_KERNEL_SMAP)) {
        allowed = 1 << ACCESS_READ;
        if (path->writable || !(cpu->cr0 & CR0_WP))
            allowed |= 1 << ACCESS_WRITE;
    }
    if (!nx && !(path->user && cpu->cr4 & CR4_SMEP))
        allowed |= 1 << ACCESS_EXEC;
    return allowed;
}

static bool mark_path(struct vcpu *cpu, struct path *path, bool write)
{
    for (unsigned i = 0; i < path->count; i++) {
        bool leaf = i + 1 == path->count;
        if (!entry_mark(cpu, &path->entries[i], leaf && write ? PTE_A | PTE_D : PTE_A))
            return false;
    }
    return true;
}

bool page_walk(struct vcpu *cpu, gva_t addr, enum access_type type, unsigned mmu, bool mark,
               struct page_walk *walk)
{
    uint64_t a20 = atomic_load_explicit(&cpu->world->a20_mask, memory_order_relaxed);
    if (!(cpu->cr0 & CR0_PG)) {
        walk->gpa = addr & a20;
        walk->allowed = 7;
        walk->global = false;
        walk->shift = PAGE_SHIFT;
        return true;
    }
    for (;;) {
        struct path path = {.writable = true, .user = true};
        enum outcome outcome;
        if (cpu->efer & EFER_LMA)
            outcome = walk_wide(cpu, addr, cpu->cr3 & FRAME_MASK, 4, &path);
        else if (cpu->cr4 & CR4_PAE)
            outcome = walk_pae(cpu, addr, &path);
        else
            outcome = walk_32(cpu, addr, &path);

        uint8_t allowed = outcome == WALK_OK ? rights(cpu, &path, mmu) : 0;
        if (!(allowed & 1 << type)) {
            walk->error = outcome == WALK_NOT_PRESENT ? 0 : PF_P;
            if (outcome == WALK_RESERVED)
                walk->error |= PF_RSVD;
            if (type == ACCESS_WRITE)
                walk->error |= PF_W;
            if (mmu_user(mmu))
                walk->error |= PF_U;
            bool fetch_told = cpu->cr4 & CR4_SMEP || (cpu->efer & EFER_NXE && cpu->cr4 & CR4_PAE);
            if (type == ACCESS_EXEC && fetch_told)
                walk->error |= PF_I;
            return false;
        }
        if (mark && !mark_path(cpu, &path, type == ACCESS_WRITE))
            continue;
        const struct entry *leaf = &path.entries[path.count - 1];
        if (mark && !(leaf->value & PTE_D))
            allowed &= (uint8_t) ~(1 << ACCESS_WRITE);
        walk->allowed = allowed;
        walk->shift = (uint8_t)path.shift;
        walk->global = leaf->value & PTE_G && cpu->cr4 & CR4_PGE;
        walk->gpa = (path.frame | (addr & ((1ull << path.shift) - 1))) & a20;
        return true;
    }
}

bool cpu_translate(const struct vcpu *cpu, gva_t addr, gpa_t *gpa)
{
    struct page_walk walk;
    /* Without marking, the walk does not write to *cpu. */
    if (!page_walk((struct vcpu *)(uintptr_t)cpu, addr, ACCESS_READ, MMU_KERNEL, false, &walk))
        return false;
    *gpa = walk.gpa;
    return true;
}
