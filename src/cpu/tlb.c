/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cpu/tlb.h"

#include "cpu/control.h"
#include "cpu/exception.h"
#include "cpu/paging.h"

static uint64_t tag_of(const struct vcpu *cpu, gva_t addr)
{
    return (addr & PAGE_MASK) | cpu->tlb_gen;
}

static bool canonical(gva_t addr)
{
    return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

/* In 32-bit modes addresses wrap at 4 GiB. */
static gva_t wrap(const struct vcpu *cpu, gva_t addr)
{
    return cpu->efer & EFER_LMA ? addr : (uint32_t)addr;
}

static void check_canonical(struct vcpu *cpu, gva_t addr)
{
    if (cpu->efer & EFER_LMA && !canonical(addr))
        cpu_raise_gp(cpu, 0);
}

/* #AC: SDM 3A 6.15. */
void tlb_check_alignment(struct vcpu *cpu, gva_t addr, unsigned alignment, unsigned mmu)
{
    if (mmu == MMU_USER_ALIGN && addr & (alignment - 1))
        cpu_raise(cpu, VEC_AC, 0);
}

/* Of operands of 2, 4 and 8 bytes, before the page is looked at. */
static void check_alignment(struct vcpu *cpu, gva_t addr, unsigned size, unsigned mmu)
{
    if ((size & (size - 1)) == 0 && size <= 8)
        tlb_check_alignment(cpu, addr, size, mmu);
}

/* Gives the fast path what it may do without us. */
static void set_fast(struct vcpu *cpu, gva_t addr, unsigned mmu, const struct tlb_slow *slow,
                     const struct mem_range *range)
{
    struct tlb_entry *entry = &cpu->tlb[mmu][tlb_slot(addr)];
    uint64_t tag = tag_of(cpu, addr);
    entry->tag[ACCESS_READ] = entry->tag[ACCESS_WRITE] = entry->tag[ACCESS_EXEC] = 0;
    if (slow->io || (cpu->watching && cpu_watched_page(cpu, addr)))
        return;
    entry->delta = (uintptr_t)mem_host(range, slow->gpa) - (uintptr_t)(addr & PAGE_MASK);
    if (slow->allowed & 1 << ACCESS_EXEC)
        entry->tag[ACCESS_EXEC] = tag;
    if (mmu == MMU_USER_ALIGN)
        return;
    if (slow->allowed & 1 << ACCESS_READ)
        entry->tag[ACCESS_READ] = tag;
    uint8_t flags = ram_get_flags(range->ram, mem_ram_page(range, slow->gpa));
    bool unwatched = (flags & (RAM_DIRTY_ALL | RAM_CODE)) == RAM_DIRTY_ALL;
    if (slow->allowed & 1 << ACCESS_WRITE && !slow->rom && unwatched && !cpu->journal)
        entry->tag[ACCESS_WRITE] = tag;
}

/* The slow entry for an access that the page tables allow, filled when needed; NULL and the error
 * code of #PF if they do not. */
static struct tlb_slow *find(struct vcpu *cpu, gva_t addr, enum access_type type, unsigned mmu,
                             uint32_t *error)
{
    struct tlb_slow *slow = &cpu->tlb_slow[mmu][tlb_slot(addr)];
    if (slow->tag == tag_of(cpu, addr) && slow->allowed & 1 << type)
        return slow;
    struct page_walk walk;
    if (!page_walk(cpu, addr, type, mmu, true, &walk)) {
        *error = walk.error;
        return NULL;
    }
    const struct mem_range *range = cpu_range(cpu, walk.gpa);
    gpa_t page = walk.gpa & PAGE_MASK;
    if (walk.shift > PAGE_SHIFT) {
        gva_t first = round_down(addr, 1ull << walk.shift);
        gva_t last = first + ((1ull << walk.shift) - 1);
        if (first < cpu->large_first)
            cpu->large_first = first;
        if (last > cpu->large_last)
            cpu->large_last = last;
    }
    slow->tag = tag_of(cpu, addr);
    slow->gpa = page;
    slow->allowed = walk.allowed;
    slow->global = walk.global;
    /* A page with more than one owner goes byte by byte through the address space. */
    bool whole = range->first <= page && range->last >= page + (PAGE_SIZE - 1);
    slow->io = !range->region || range->kind == MEM_IO || !whole;
    slow->rom = range->kind == MEM_ROM;
    set_fast(cpu, addr, mmu, slow, range);
    return slow;
}

/* The same; raises #PF, and #GP for what is not canonical. */
static struct tlb_slow *lookup(struct vcpu *cpu, gva_t addr, enum access_type type, unsigned mmu)
{
    struct tlb_slow *slow = &cpu->tlb_slow[mmu][tlb_slot(addr)];
    if (slow->tag == tag_of(cpu, addr) && slow->allowed & 1 << type)
        return slow;
    check_canonical(cpu, addr);
    uint32_t error;
    slow = find(cpu, addr, type, mmu, &error);
    if (!slow)
        cpu_raise_pf(cpu, addr, error);
    return slow;
}

const struct tlb_slow *tlb_find(struct vcpu *cpu, gva_t addr, enum access_type type, unsigned mmu)
{
    uint32_t error;
    return find(cpu, addr, type, mmu, &error);
}

static uint64_t io_load(struct vcpu *cpu, gpa_t gpa, unsigned size)
{
    if (cpu->journal)
        cpu->journal->io = true;
    cpu->world->lock(cpu->world->opaque);
    uint64_t value = mem_load(cpu->world->mem, gpa, size);
    cpu->world->unlock(cpu->world->opaque);
    return value;
}

static void io_store(struct vcpu *cpu, gpa_t gpa, uint64_t value, unsigned size)
{
    if (cpu->journal)
        cpu->journal->io = true;
    cpu->world->lock(cpu->world->opaque);
    mem_store(cpu->world->mem, gpa, value, size);
    cpu->world->unlock(cpu->world->opaque);
}

/* RAM at gpa, of which length bytes within a page are about to be written: the host address. */
static uint8_t *changed_ram(struct vcpu *cpu, const struct mem_range *range, gpa_t gpa,
                            unsigned length)
{
    uint64_t page = mem_ram_page(range, gpa);
    if (ram_get_flags(range->ram, page) & RAM_CODE) {
        const struct vcpu_code_hook *hook = cpu->engine_data;
        if (hook)
            hook->written(cpu, gpa, length);
    }
    ram_set_flags(range->ram, page, RAM_DIRTY_ALL);
    return mem_host(range, gpa);
}

static void note_store(struct store_journal *journal, uint8_t *host, unsigned length)
{
    if (journal->count == JOURNAL_STORES || length > 64) {
        journal->io = true;
        return;
    }
    journal->stores[journal->count].host = host;
    journal->stores[journal->count].length = length;
    memcpy(journal->stores[journal->count++].old, host, length);
}

/* Prepares RAM at gpa for a store of length bytes within a page; the host address, or NULL for ROM.
 */
static uint8_t *begin_store(struct vcpu *cpu, gva_t addr, unsigned mmu, struct tlb_slow *slow,
                            unsigned length)
{
    if (slow->rom)
        return NULL;
    gpa_t gpa = slow->gpa | (addr & (PAGE_SIZE - 1));
    const struct mem_range *range = cpu_range(cpu, gpa);
    uint8_t *host = changed_ram(cpu, range, gpa, length);
    set_fast(cpu, addr, mmu, slow, range);
    if (cpu->journal)
        note_store(cpu->journal, host, length);
    return host;
}

static uint64_t load_in_page(struct vcpu *cpu, gva_t addr, unsigned size, unsigned mmu)
{
    struct tlb_slow *slow = lookup(cpu, addr, ACCESS_READ, mmu);
    gpa_t gpa = slow->gpa | (addr & (PAGE_SIZE - 1));
    if (slow->io)
        return io_load(cpu, gpa, size);
    return load_le(mem_host(cpu_range(cpu, gpa), gpa), size);
}

/* The access has been checked for write. */
static void store_in_page(struct vcpu *cpu, gva_t addr, uint64_t value, unsigned size, unsigned mmu)
{
    struct tlb_slow *slow = lookup(cpu, addr, ACCESS_WRITE, mmu);
    if (slow->io) {
        io_store(cpu, slow->gpa | (addr & (PAGE_SIZE - 1)), value, size);
        return;
    }
    uint8_t *host = begin_store(cpu, addr, mmu, slow, size);
    if (!host)
        return;
    switch (size) { /* whole, so that another processor never sees half a store */
    case 1:
        *host = (uint8_t)value;
        break;
    case 2:
        store_le16(host, (uint16_t)value);
        break;
    case 4:
        store_le32(host, (uint32_t)value);
        break;
    case 8:
        store_le64(host, value);
        break;
    default:
        store_le(host, value, size);
    }
}

/* Bytes of [addr, addr+size) that lie in addr's page. */
static unsigned in_page(gva_t addr, unsigned size)
{
    unsigned room = PAGE_SIZE - (unsigned)(addr & (PAGE_SIZE - 1));
    return size < room ? size : room;
}

uint64_t tlb_load_slow(struct vcpu *cpu, gva_t addr, unsigned size, unsigned mmu)
{
    if (in_page(addr, size) == size) {
        check_alignment(cpu, addr, size, mmu);
        uint64_t value = load_in_page(cpu, addr, size, mmu);
        if (cpu->watching)
            cpu_watch(cpu, addr, size, false);
        return value;
    }
    uint8_t bytes[8] = {0};
    tlb_read(cpu, addr, bytes, size, mmu);
    return load_le64(bytes);
}

void tlb_store_slow(struct vcpu *cpu, gva_t addr, uint64_t value, unsigned size, unsigned mmu)
{
    if (in_page(addr, size) == size) {
        check_alignment(cpu, addr, size, mmu);
        store_in_page(cpu, addr, value, size, mmu);
        if (cpu->watching)
            cpu_watch(cpu, addr, size, true);
        return;
    }
    uint8_t bytes[8];
    store_le64(bytes, value);
    tlb_write(cpu, addr, bytes, size, mmu);
}

uint8_t *tlb_host(struct vcpu *cpu, gva_t addr, enum access_type type, unsigned mmu)
{
    struct tlb_entry *entry = &cpu->tlb[mmu][tlb_slot(addr)];
    if (entry->tag[type] == tag_of(cpu, addr))
        return (uint8_t *)(uintptr_t)(addr + entry->delta);
    struct tlb_slow *slow = lookup(cpu, addr, type, mmu);
    if (slow->io)
        return NULL;
    if (type == ACCESS_WRITE)
        return begin_store(cpu, addr, mmu, slow, in_page(addr, 64));
    gpa_t gpa = slow->gpa | (addr & (PAGE_SIZE - 1));
    return mem_host(cpu_range(cpu, gpa), gpa);
}

gpa_t tlb_exec(struct vcpu *cpu, gva_t addr)
{
    struct tlb_slow *slow = lookup(cpu, addr, ACCESS_EXEC, cpu->cpl == 3 ? MMU_USER : MMU_KERNEL);
    return slow->gpa | (addr & (PAGE_SIZE - 1));
}

void tlb_read(struct vcpu *cpu, gva_t addr, void *to, unsigned length, unsigned mmu)
{
    uint8_t *out = to;
    gva_t start = addr;
    unsigned whole = length;
    check_alignment(cpu, addr, length, mmu);
    /* Every page is looked up before device memory is read: a read there may have effects. */
    for (unsigned done = 0; done < length;) {
        gva_t at = wrap(cpu, addr + done);
        lookup(cpu, at, ACCESS_READ, mmu);
        done += in_page(at, length - done);
    }
    while (length) {
        unsigned n = in_page(addr, length);
        struct tlb_slow *slow = lookup(cpu, addr, ACCESS_READ, mmu);
        gpa_t gpa = slow->gpa | (addr & (PAGE_SIZE - 1));
        if (!slow->io) {
            memcpy(out, mem_host(cpu_range(cpu, gpa), gpa), n);
        } else {
            for (unsigned i = 0; i < n;) {
                unsigned piece = n - i >= 8 ? 8 : n - i >= 4 ? 4 : n - i >= 2 ? 2 : 1;
                store_le(out + i, io_load(cpu, gpa + i, piece), piece);
                i += piece;
            }
        }
        addr = wrap(cpu, addr + n);
        out += n;
        length -= n;
    }
    if (cpu->watching)
        cpu_watch(cpu, start, whole, false);
}

void tlb_check_write(struct vcpu *cpu, gva_t addr, unsigned length, unsigned mmu)
{
    check_alignment(cpu, addr, length, mmu);
    while (length) {
        unsigned n = in_page(addr, length);
        lookup(cpu, addr, ACCESS_WRITE, mmu);
        addr = wrap(cpu, addr + n);
        length -= n;
    }
}

void tlb_write(struct vcpu *cpu, gva_t addr, const void *from, unsigned length, unsigned mmu)
{
    const uint8_t *in = from;
    gva_t start = addr;
    unsigned whole = length;
    check_alignment(cpu, addr, length, mmu);
    if (in_page(addr, length) != length)
        tlb_check_write(cpu, addr, length, mmu);
    while (length) {
        unsigned n = in_page(addr, length);
        struct tlb_slow *slow = lookup(cpu, addr, ACCESS_WRITE, mmu);
        if (!slow->io) {
            uint8_t *host = begin_store(cpu, addr, mmu, slow, n);
            if (host)
                memcpy(host, in, n);
        } else {
            gpa_t gpa = slow->gpa | (addr & (PAGE_SIZE - 1));
            for (unsigned i = 0; i < n;) {
                unsigned piece = n - i >= 8 ? 8 : n - i >= 4 ? 4 : n - i >= 2 ? 2 : 1;
                io_store(cpu, gpa + i, load_le(in + i, piece), piece);
                i += piece;
            }
        }
        addr = wrap(cpu, addr + n);
        in += n;
        length -= n;
    }
    if (cpu->watching)
        cpu_watch(cpu, start, whole, true);
}

/* How much of [gpa, gpa+length) lies in gpa's page and in one range; of MMIO, as much as is one
 * access. */
static unsigned physical_piece(const struct mem_range *range, gpa_t gpa, unsigned length)
{
    unsigned n = in_page(gpa, length);
    if (range->last - gpa < n)
        n = (unsigned)(range->last - gpa) + 1;
    if (range->region && range->kind != MEM_IO)
        return n;
    return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

void cpu_physical_read(struct vcpu *cpu, gpa_t gpa, void *to, unsigned length)
{
    uint8_t *out = to;
    gpa_t a20 = atomic_load_explicit(&cpu->world->a20_mask, memory_order_relaxed);
    for (unsigned done = 0; done < length;) {
        gpa_t at = (gpa + done) & a20;
        const struct mem_range *range = cpu_range(cpu, at);
        unsigned n = physical_piece(range, at, length - done);
        if (range->region && range->kind != MEM_IO)
            memcpy(out + done, mem_host(range, at), n);
        else
            store_le(out + done, io_load(cpu, at, n), n);
        done += n;
    }
}

void cpu_physical_write(struct vcpu *cpu, gpa_t gpa, const void *from, unsigned length)
{
    const uint8_t *in = from;
    gpa_t a20 = atomic_load_explicit(&cpu->world->a20_mask, memory_order_relaxed);
    for (unsigned done = 0; done < length;) {
        gpa_t at = (gpa + done) & a20;
        const struct mem_range *range = cpu_range(cpu, at);
        unsigned n = physical_piece(range, at, length - done);
        if (!range->region || range->kind == MEM_IO)
            io_store(cpu, at, load_le(in + done, n), n);
        else if (range->kind == MEM_RAM)
            memcpy(changed_ram(cpu, range, at, n), in + done, n);
        done += n;
    }
}

static const struct vcpu_code_hook *hook_of(const struct vcpu *cpu)
{
    return cpu->engine_data;
}

static uint32_t new_gen(struct vcpu *cpu)
{
    if (++cpu->tlb_gen_last < PAGE_SIZE)
        return cpu->tlb_gen_last;
    /* From 1 on again, with nothing kept under the old numbers. */
    memset(cpu->tlb, 0, sizeof(cpu->tlb));
    memset(cpu->tlb_slow, 0, sizeof(cpu->tlb_slow));
    for (unsigned i = 0; i < TLB_SPACES; i++)
        cpu->spaces[i].gen = i + 1;
    cpu->tlb_gen = cpu->space + 1u;
    cpu->tlb_gen_last = TLB_SPACES + 1;
    return cpu->tlb_gen_last;
}

/* Spaces that do not run. */
static void drop_others(struct vcpu *cpu)
{
    for (unsigned i = 0; i < TLB_SPACES; i++)
        cpu->spaces[i].used = i == cpu->space;
}

static bool alone(const struct vcpu *cpu)
{
    for (unsigned i = 0; i < TLB_SPACES; i++)
        if (cpu->spaces[i].used && i != cpu->space)
            return false;
    return true;
}

static void flush(struct vcpu *cpu, bool global)
{
    if (global) {
        drop_others(cpu);
        cpu->spaces[cpu->space].pcid = cpu->cr4 & CR4_PCIDE ? cpu->cr3 & 0xfff : 0;
    }
    if (hook_of(cpu) && hook_of(cpu)->flushed)
        hook_of(cpu)->flushed(cpu, global);
    cpu->exec_gen++;
    if (alone(cpu)) {
        cpu->large_first = UINT64_MAX;
        cpu->large_last = 0;
    }
    cpu->tlb_gen = new_gen(cpu);
}

void tlb_flush(struct vcpu *cpu)
{
    flush(cpu, true);
}

void tlb_flush_local(struct vcpu *cpu)
{
    flush(cpu, false);
}

/* The space of a PCID; TLB_SPACES: none. */
static unsigned find_space(const struct vcpu *cpu, uint16_t pcid)
{
    unsigned i = 0;
    while (i < TLB_SPACES && !(cpu->spaces[i].used && cpu->spaces[i].pcid == pcid))
        i++;
    return i;
}

static unsigned take_space(struct vcpu *cpu, uint16_t pcid)
{
    unsigned i = 0;
    while (i < TLB_SPACES && cpu->spaces[i].used)
        i++;
    if (i == TLB_SPACES) {
        i = cpu->space_evict;
        if (i == cpu->space)
            i = (i + 1) % TLB_SPACES;
        cpu->space_evict = (uint8_t)((i + 1) % TLB_SPACES);
    }
    cpu->spaces[i].used = true;
    cpu->spaces[i].pcid = pcid;
    return i;
}

void tlb_switch(struct vcpu *cpu, uint16_t pcid, bool keep)
{
    unsigned next = find_space(cpu, pcid);
    if (next == cpu->space) {
        if (!keep)
            tlb_flush_local(cpu);
        return;
    }
    cpu->spaces[cpu->space].gen = cpu->tlb_gen;
    if (next == TLB_SPACES) {
        next = take_space(cpu, pcid);
        keep = false;
    }
    cpu->space = (uint8_t)next;
    cpu->tlb_gen = keep ? cpu->spaces[next].gen : new_gen(cpu);
    cpu->exec_gen++;
    if (hook_of(cpu) && hook_of(cpu)->switched)
        hook_of(cpu)->switched(cpu, keep);
}

void tlb_flush_pcid(struct vcpu *cpu, uint16_t pcid)
{
    unsigned i = find_space(cpu, pcid);
    if (i == cpu->space)
        tlb_flush_local(cpu);
    else if (i < TLB_SPACES)
        cpu->spaces[i].used = false;
}

void tlb_flush_pcids(struct vcpu *cpu)
{
    drop_others(cpu);
    tlb_flush_local(cpu);
}

void tlb_flush_page(struct vcpu *cpu, gva_t addr)
{
    /* A large page lies in many slots: everything goes. */
    if (addr >= cpu->large_first && addr <= cpu->large_last) {
        tlb_flush(cpu);
        return;
    }
    if (hook_of(cpu) && hook_of(cpu)->flushed_page)
        hook_of(cpu)->flushed_page(cpu, addr);
    cpu->exec_gen++;
    unsigned slot = tlb_slot(addr);
    for (unsigned mmu = 0; mmu < MMU_COUNT; mmu++) {
        cpu->tlb_slow[mmu][slot].tag = 0;
        memset(cpu->tlb[mmu][slot].tag, 0, sizeof(cpu->tlb[mmu][slot].tag));
    }
}

void tlb_forget_writes(struct vcpu *cpu, gpa_t gpa)
{
    if (hook_of(cpu) && hook_of(cpu)->forget_writes)
        hook_of(cpu)->forget_writes(cpu, gpa);
    const struct mem_range *range = cpu_range(cpu, gpa);
    if (!range->region || range->kind == MEM_IO)
        return;
    uintptr_t host = (uintptr_t)mem_host(range, gpa & PAGE_MASK);
    for (unsigned mmu = 0; mmu < MMU_COUNT; mmu++)
        for (unsigned i = 0; i < TLB_ENTRIES; i++) {
            struct tlb_entry *entry = &cpu->tlb[mmu][i];
            uint64_t tag = entry->tag[ACCESS_WRITE];
            if (tag && (tag & PAGE_MASK) + entry->delta == host)
                entry->tag[ACCESS_WRITE] = 0;
        }
}
