/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control and debug registers, paging mode changes: SDM 3A 2.5, 4.1, 17.2. MSRs are in msr.c, CPUID
 * in cpuid.c. The TLB is flushed more often than the manual asks, never less.
 */
#include "cpu/control.h"

#include "base/log.h"
#include "cpu/descriptor.h"
#include "cpu/model.h"

enum { DR6_BD = 1 << 13, DR7_GD = 1 << 13 };

static void check_cpl0(struct vcpu *cpu)
{
    if (cpu->cpl)
        cpu_raise_gp(cpu, 0);
}

static uint64_t physical_beyond(const struct vcpu *cpu)
{
    return ~((1ull << cpu->model->physical_bits) - 1);
}

/* PAE paging keeps four entries in the processor. False if one that is present has reserved bits.
 */
static bool read_pdptes(struct vcpu *cpu, uint64_t cr3)
{
    uint64_t entries[4];
    cpu_physical_read(cpu, cr3 & 0xffffffe0u, entries, sizeof(entries));
    for (unsigned i = 0; i < 4; i++)
        if (entries[i] & 1 && entries[i] & (physical_beyond(cpu) | 0x1e6))
            return false;
    memcpy(cpu->pdpte, entries, sizeof(entries));
    return true;
}

static void load_pdptes(struct vcpu *cpu, uint64_t cr3)
{
    if (!read_pdptes(cpu, cr3))
        cpu_raise_gp(cpu, 0);
}

static bool pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return cr0 & CR0_PG && cr4 & CR4_PAE && !(efer & EFER_LMA);
}

static void write_cr0(struct vcpu *cpu, uint64_t value)
{
    uint64_t efer = cpu->efer;
    if (value >> 32 || (value & CR0_PG && !(value & CR0_PE)) ||
        (value & CR0_NW && !(value & CR0_CD)))
        cpu_raise_gp(cpu, 0);
    value = (value & CR0_WRITABLE) | CR0_ET;
    uint64_t changed = value ^ cpu->cr0;
    if (changed & CR0_PG) {
        if (value & CR0_PG && efer & EFER_LME) {
            if (!(cpu->cr4 & CR4_PAE) || cpu->seg[SEG_CS].access & SEG_L)
                cpu_raise_gp(cpu, 0);
            efer |= EFER_LMA;
        } else if (!(value & CR0_PG)) {
            if (cpu_code64(cpu) || cpu->cr4 & CR4_PCIDE)
                cpu_raise_gp(cpu, 0);
            efer &= ~(uint64_t)EFER_LMA;
        }
    }
    if (changed & (CR0_PG | CR0_CD | CR0_NW) && pae_paging(value, cpu->cr4, efer))
        load_pdptes(cpu, cpu->cr3);
    cpu->cr0 = value;
    cpu->efer = efer;
    if (changed & CR0_PE && !(value & CR0_PE))
        cpu->cpl = 0;
    if (changed & (CR0_PG | CR0_PE | CR0_WP)) {
        if (log_on(LOG_PAGE))
            log_print(LOG_PAGE, "CR0 update: CR0=0x%08x", (unsigned)value);
        tlb_flush(cpu);
    }
    cpu_update_mode(cpu);
}

bool cpu_reload_pdptes(struct vcpu *cpu)
{
    return !pae_paging(cpu->cr0, cpu->cr4, cpu->efer) || read_pdptes(cpu, cpu->cr3);
}

void cpu_load_cr3(struct vcpu *cpu, uint64_t value)
{
    if (pae_paging(cpu->cr0, cpu->cr4, cpu->efer))
        load_pdptes(cpu, value);
    cpu->cr3 = value;
    tlb_flush_local(cpu);
}

static void write_cr3(struct vcpu *cpu, uint64_t value)
{
    if (!cpu_long_mode(cpu)) {
        cpu_load_cr3(cpu, (uint32_t)value);
        return;
    }
    bool pcids = cpu->cr4 & CR4_PCIDE, keep = value >> 63;
    if (pcids)
        value &= ~(1ull << 63);
    if (value & physical_beyond(cpu))
        cpu_raise_gp(cpu, 0);
    if (!pcids) {
        cpu_load_cr3(cpu, value);
        return;
    }
    cpu->cr3 = value;
    tlb_switch(cpu, value & 0xfff, keep);
}

uint64_t cpu_cr4_allowed(const struct vcpu *cpu)
{
    static const struct {
        uint16_t feature;
        uint32_t bits;
    } map[] = {
        {CPU_VME, CR4_VME | CR4_PVI}, {CPU_TSC, CR4_TSD},           {CPU_DE, CR4_DE},
        {CPU_PSE, CR4_PSE},           {CPU_PAE, CR4_PAE},           {CPU_MCE, CR4_MCE},
        {CPU_PGE, CR4_PGE},           {CPU_FXSR, CR4_OSFXSR},       {CPU_SSE, CR4_OSXMMEXCPT},
        {CPU_UMIP, CR4_UMIP},         {CPU_FSGSBASE, CR4_FSGSBASE}, {CPU_PCID, CR4_PCIDE},
        {CPU_XSAVE, CR4_OSXSAVE},     {CPU_SMEP, CR4_SMEP},         {CPU_SMAP, CR4_SMAP},
        {CPU_MMX, CR4_PCE}, /* has no bit of its own: the Pentium with MMX was the first */
    };
    uint64_t allowed = 0;
    for (unsigned i = 0; i < ARRAY_LEN(map); i++)
        if (cpu_model_has(cpu->model, (enum cpu_feature)map[i].feature))
            allowed |= map[i].bits;
    return allowed;
}

static void write_cr4(struct vcpu *cpu, uint64_t value)
{
    uint64_t changed = value ^ cpu->cr4;
    if (value & ~cpu_cr4_allowed(cpu))
        cpu_raise_gp(cpu, 0);
    if (cpu_long_mode(cpu) && !(value & CR4_PAE))
        cpu_raise_gp(cpu, 0);
    if (changed & value & CR4_PCIDE && (!cpu_long_mode(cpu) || cpu->cr3 & 0xfff))
        cpu_raise_gp(cpu, 0);
    uint64_t paging = CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP;
    if (changed & paging && pae_paging(cpu->cr0, value, cpu->efer))
        load_pdptes(cpu, cpu->cr3);
    cpu->cr4 = value;
    if (changed & paging)
        tlb_flush(cpu);
    cpu_update_mode(cpu);
}

uint64_t cpu_read_cr(struct vcpu *cpu, unsigned n)
{
    if (n == 1 || (n > 4 && n != 8))
        cpu_raise_ud(cpu);
    check_cpl0(cpu);
    switch (n) {
    case 0:
        return cpu->cr0;
    case 2:
        return cpu->cr2;
    case 3:
        return cpu->cr3;
    case 4:
        return cpu->cr4;
    default:
        break;
    }
    if (!cpu->world->cr8_read)
        return 0;
    cpu->world->lock(cpu->world->opaque);
    uint64_t value = cpu->world->cr8_read(cpu->world->board, cpu->index);
    cpu->world->unlock(cpu->world->opaque);
    return value;
}

static void write_cr8(struct vcpu *cpu, uint64_t value)
{
    if (value > 15)
        cpu_raise_gp(cpu, 0);
    if (!cpu->world->cr8_write)
        return;
    cpu->world->lock(cpu->world->opaque);
    cpu->world->cr8_write(cpu->world->board, cpu->index, value);
    cpu->world->unlock(cpu->world->opaque);
}

void cpu_write_cr(struct vcpu *cpu, unsigned n, uint64_t value)
{
    if (n == 1 || (n > 4 && n != 8))
        cpu_raise_ud(cpu);
    check_cpl0(cpu);
    switch (n) {
    case 0:
        write_cr0(cpu, value);
        break;
    case 2:
        cpu->cr2 = value;
        break;
    case 3:
        write_cr3(cpu, value);
        break;
    case 4:
        write_cr4(cpu, value);
        break;
    default:
        write_cr8(cpu, value);
    }
}

/* The checks MOV to and from DRn share; 4 and 5 become 6 and 7. */
static unsigned check_dr(struct vcpu *cpu, unsigned n)
{
    if (n > 7)
        cpu_raise_ud(cpu);
    if (n == 4 || n == 5) {
        if (cpu->cr4 & CR4_DE)
            cpu_raise_ud(cpu);
        n += 2;
    }
    check_cpl0(cpu);
    if (cpu->dr[7] & DR7_GD) {
        cpu->rflags |= FLAG_RF; /* a fault, and so its image has it: SDM 3B 17.3.1.1 */
        cpu_raise_db(cpu, DR6_BD);
    }
    return n;
}

uint64_t cpu_read_dr(struct vcpu *cpu, unsigned n)
{
    return cpu->dr[check_dr(cpu, n)];
}

void cpu_write_dr(struct vcpu *cpu, unsigned n, uint64_t value)
{
    n = check_dr(cpu, n);
    if (n >= 6 && value >> 32)
        cpu_raise_gp(cpu, 0);
    if (n == 6)
        value = DR6_FIXED | (value & DR6_WRITABLE);
    else if (n == 7)
        value = DR7_FIXED | (value & DR7_WRITABLE);
    cpu->dr[n] = value;
    cpu_update_watch(cpu);
}

/* The linear addresses of breakpoint i: LEN in DR7 bits 18-19 + 4i, 10 meaning eight bytes; the
 * address counts without its low bits (SDM 3B 17.2.5). */
static void breakpoint_range(const struct vcpu *cpu, unsigned i, gva_t *first, gva_t *last)
{
    static const uint8_t sizes[] = {1, 2, 8, 4};
    unsigned size = sizes[cpu->dr[7] >> (18 + 4 * i) & 3];
    *first = round_down(cpu->dr[i], size);
    *last = *first + size - 1;
}

/* Is breakpoint i on, and what does it wait for: R/W 0 execution, 1 writes, 2 ports, 3 accesses.
 */
static bool breakpoint_on(const struct vcpu *cpu, unsigned i, unsigned *kind)
{
    *kind = cpu->dr[7] >> (16 + 4 * i) & 3;
    return cpu->dr[7] & 3u << (2 * i);
}

void cpu_update_watch(struct vcpu *cpu)
{
    bool before = cpu->watching;
    unsigned kind;
    cpu->watching = false;
    for (unsigned i = 0; i < 4; i++)
        if (breakpoint_on(cpu, i, &kind) && kind & 1)
            cpu->watching = true;
    if (before || cpu->watching)
        tlb_flush(cpu);
}

bool cpu_watched_page(const struct vcpu *cpu, gva_t addr)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned kind;
        if (breakpoint_on(cpu, i, &kind) && kind & 1 && (cpu->dr[i] ^ addr) < PAGE_SIZE)
            return true;
    }
    return false;
}

static uint32_t breakpoints_hit(const struct vcpu *cpu, uint64_t addr, unsigned size,
                                unsigned kinds)
{
    uint32_t hit = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned kind;
        gva_t first, last;
        if (!breakpoint_on(cpu, i, &kind) || !(kinds & 1u << kind))
            continue;
        breakpoint_range(cpu, i, &first, &last);
        if (addr <= last && addr + size - 1 >= first)
            hit |= 1u << i;
    }
    return hit;
}

void cpu_watch(struct vcpu *cpu, gva_t addr, unsigned size, bool write)
{
    cpu->pending_db |= breakpoints_hit(cpu, addr, size, write ? 1 << 1 | 1 << 3 : 1 << 3);
}

void cpu_watch_port(struct vcpu *cpu, uint16_t port, unsigned size)
{
    if (cpu->dr[7] & 0xff && cpu->cr4 & CR4_DE)
        cpu->pending_db |= breakpoints_hit(cpu, port, size, 1 << 2);
}

void cpu_lmsw(struct vcpu *cpu, uint16_t value)
{
    check_cpl0(cpu);
    uint64_t keep = cpu->cr0 & ~(uint64_t)(CR0_MP | CR0_EM | CR0_TS);
    write_cr0(cpu, keep | (value & 15)); /* sets PE, does not clear it */
}

void cpu_invlpg(struct vcpu *cpu, gva_t addr)
{
    check_cpl0(cpu);
    if (cpu_code64(cpu) && !address_canonical(addr))
        return;
    tlb_flush_page(cpu, addr);
}

void cpu_xsetbv(struct vcpu *cpu, uint32_t index, uint64_t value)
{
    if (!(cpu->cr4 & CR4_OSXSAVE))
        cpu_raise_ud(cpu);
    check_cpl0(cpu);
    uint64_t allowed = XSTATE_X87 | XSTATE_SSE, wide = value & XSTATE_AVX512;
    if (cpu_model_has(cpu->model, CPU_AVX))
        allowed |= XSTATE_AVX;
    if (cpu_model_has(cpu->model, CPU_AVX512F))
        allowed |= XSTATE_AVX512;
    bool bad = index != 0 || !(value & XSTATE_X87) || value & ~allowed ||
               (value & XSTATE_AVX && !(value & XSTATE_SSE)) ||
               (wide && (wide != XSTATE_AVX512 || !(value & XSTATE_AVX)));
    if (bad)
        cpu_raise_gp(cpu, 0);
    cpu->fpu.xcr0 = value;
}

uint32_t cpu_port_in(struct vcpu *cpu, uint16_t port, unsigned size)
{
    cpu->world->lock(cpu->world->opaque);
    uint32_t value = pio_read(cpu->world->pio, port, size);
    cpu->world->unlock(cpu->world->opaque);
    return value;
}

void cpu_port_out(struct vcpu *cpu, uint16_t port, uint32_t value, unsigned size)
{
    cpu->world->lock(cpu->world->opaque);
    pio_write(cpu->world->pio, port, value, size);
    cpu->world->unlock(cpu->world->opaque);
}
