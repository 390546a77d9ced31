/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Linear memory as the processor sees it: page walk, TLB, loads and stores. Faults do not return:
 * they leave by cpu_raise (cpu/exception.h), so a caller commits no register before its last
 * access. Segmentation is the caller's business. On the vcpu's thread, without the VM lock (MMIO
 * takes it).
 */
#ifndef CPU_TLB_H
#define CPU_TLB_H

#include "cpu/vcpu.h"

enum access_type { ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC };

/* Slow paths: page crossings, misses, MMIO. mmu is an enum mmu_index. */
uint64_t tlb_load_slow(struct vcpu *cpu, gva_t addr, unsigned size, unsigned mmu);
void tlb_store_slow(struct vcpu *cpu, gva_t addr, uint64_t value, unsigned size, unsigned mmu);

/* Host address of [addr, addr+size) within one page for this access, or NULL when it is MMIO or
 * ROM being written. Raises #PF. Marks accessed, dirty and tells the engine about code. */
uint8_t *tlb_host(struct vcpu *cpu, gva_t addr, enum access_type type, unsigned mmu);

/* Any length and alignment, across pages, MMIO included: for operands wider than 8 bytes, and for
 * all that must not be half done: tlb_write checks every page for write before it stores a byte. */
void tlb_read(struct vcpu *cpu, gva_t addr, void *to, unsigned length, unsigned mmu);
void tlb_write(struct vcpu *cpu, gva_t addr, const void *from, unsigned length, unsigned mmu);

/* Raises #AC if alignment is checked and addr is not a multiple of alignment (a power of two): for
 * operands of several parts. Loads and stores of 2, 4 and 8 bytes check themselves. */
void tlb_check_alignment(struct vcpu *cpu, gva_t addr, unsigned alignment, unsigned mmu);

/* Raises #PF now if a write of [addr, addr+length) would. */
void tlb_check_write(struct vcpu *cpu, gva_t addr, unsigned length, unsigned mmu);

/* Guest-physical memory as this processor sees it, in system management mode too: whole tables that
 * it reads and writes for itself without paging. Takes the VM lock for MMIO. */
void cpu_physical_read(struct vcpu *cpu, gpa_t gpa, void *to, unsigned length);
void cpu_physical_write(struct vcpu *cpu, gpa_t gpa, const void *from, unsigned length);

/* Everything; one page (INVLPG). */
void tlb_flush(struct vcpu *cpu);
/* What the space that runs has but for global pages (this TLB forgets those too). */
void tlb_flush_local(struct vcpu *cpu);
/* In all spaces. */
void tlb_flush_page(struct vcpu *cpu, gva_t addr);

/* PCIDs. Another space runs from now on; keep: what was known of it still holds. */
void tlb_switch(struct vcpu *cpu, uint16_t pcid, bool keep);
/* All but global pages of one, of all. */
void tlb_flush_pcid(struct vcpu *cpu, uint16_t pcid);
void tlb_flush_pcids(struct vcpu *cpu);

/* Drops write permission that was cached for the RAM page at gpa, by whichever of its addresses, so
 * that the next write is seen. */
void tlb_forget_writes(struct vcpu *cpu, gpa_t gpa);

/* Walk without side effects, for monitors: the guest-physical address of addr, or false. */
bool cpu_translate(const struct vcpu *cpu, gva_t addr, gpa_t *gpa);

/* Guest-physical address for executing at addr; raises #PF. */
gpa_t tlb_exec(struct vcpu *cpu, gva_t addr);

/* mem_find on the processor's view: most addresses lie where the one before did. */
static inline const struct mem_range *cpu_range(struct vcpu *cpu, gpa_t gpa)
{
    const struct mem_range *range = cpu->range;
    if (!range || gpa < range->first || gpa > range->last)
        cpu->range = range = mem_find(cpu->view, gpa);
    return range;
}

/* The mmu for what the processor reads for itself (descriptor tables, TSS, exception frames of
 * inner levels): supervisor whatever CPL is, and EFLAGS.AC does not lift SMAP. */
static inline unsigned tlb_system_mmu(const struct vcpu *cpu)
{
    return cpu->cr4 & CR4_SMAP ? MMU_KERNEL_SMAP : MMU_KERNEL;
}

/* Accesses of level 3? */
static inline bool mmu_user(unsigned mmu)
{
    return mmu == MMU_USER || mmu == MMU_USER_ALIGN;
}

/* The page of addr for one access, walked (and marked) if need be; NULL if that faults: nothing is
 * raised. addr is canonical. Valid until the next access. */
const struct tlb_slow *tlb_find(struct vcpu *cpu, gva_t addr, enum access_type type, unsigned mmu);

/* What the engine must know of code it has decoded: engine_data's first member. */
struct vcpu_code_hook {
    /* A store is about to change a page with RAM_CODE set: drop what is in [gpa, gpa+length). */
    void (*written)(struct vcpu *cpu, gpa_t gpa, unsigned length);
    /* cpu->view is about to become next: drop what will lie elsewhere. */
    void (*moving)(struct vcpu *cpu, const struct mem_view *next);
    /* For an engine with tables of its own beside the TLB; NULL without. What the TLB forgets: */
    void (*flushed)(struct vcpu *cpu, bool global);
    void (*flushed_page)(struct vcpu *cpu, gva_t addr);
    /* cpu->space runs now, of which is known what was before, or nothing. */
    void (*switched)(struct vcpu *cpu, bool keep);
    void (*forget_writes)(struct vcpu *cpu, gpa_t gpa);
};

/* What stores overwrote, for an engine that checks another against this one: as long as a vcpu has
 * one, no store goes the fast way. String instructions tell too little. `io`: a device was reached,
 * or there was no room: this cannot be undone. */
enum { JOURNAL_STORES = 512 };
struct store_journal {
    unsigned count;
    bool io;
    struct {
        uint8_t *host;
        unsigned length;
        uint8_t old[64];
    } stores[JOURNAL_STORES];
};

/* Direct-mapped slot. */
static inline unsigned tlb_slot(gva_t addr)
{
    return (unsigned)(addr >> PAGE_SHIFT) & (TLB_ENTRIES - 1);
}

static inline bool tlb_hit(const struct vcpu *cpu, const struct tlb_entry *entry, gva_t addr,
                           unsigned size, enum access_type type)
{
    return entry->tag[type] == ((addr & PAGE_MASK) | cpu->tlb_gen) &&
           (addr & (PAGE_SIZE - 1)) <= PAGE_SIZE - size;
}

/* size 1, 2, 4, 8: a constant at each call. */
static inline uint64_t tlb_load(struct vcpu *cpu, gva_t addr, unsigned size, unsigned mmu)
{
    const struct tlb_entry *entry = &cpu->tlb[mmu][tlb_slot(addr)];
    if (__builtin_expect(tlb_hit(cpu, entry, addr, size, ACCESS_READ), 1)) {
        const void *host = (const void *)(uintptr_t)(addr + entry->delta);
        switch (size) {
        case 1:
            return *(const uint8_t *)host;
        case 2:
            return load_le16(host);
        case 4:
            return load_le32(host);
        default:
            return load_le64(host);
        }
    }
    return tlb_load_slow(cpu, addr, size, mmu);
}

static inline void tlb_store(struct vcpu *cpu, gva_t addr, uint64_t value, unsigned size,
                             unsigned mmu)
{
    const struct tlb_entry *entry = &cpu->tlb[mmu][tlb_slot(addr)];
    if (__builtin_expect(tlb_hit(cpu, entry, addr, size, ACCESS_WRITE), 1)) {
        void *host = (void *)(uintptr_t)(addr + entry->delta);
        switch (size) {
        case 1:
            *(uint8_t *)host = (uint8_t)value;
            return;
        case 2:
            store_le16(host, (uint16_t)value);
            return;
        case 4:
            store_le32(host, (uint32_t)value);
            return;
        default:
            store_le64(host, value);
            return;
        }
    }
    tlb_store_slow(cpu, addr, value, size, mmu);
}

#endif
