/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * System instructions: control and debug registers, MSRs, CPUID, time, processor state, and those
 * that do nothing here. Far transfers and segment loads are in system_far.c, descriptor tables in
 * system_table.c, ports in system_io.c, flags in system_flags.c. What an instruction does is cpu/'s
 * business; handlers fetch its operands and check where it may be used.
 */
#include "engine/interp/system.h"

#include <sys/random.h>

#include "cpu/control.h"
#include "cpu/descriptor.h"
#include "cpu/model.h"
#include "cpu/smm.h"

static bool operand_prefix(const struct decoded *d)
{
    return d->insn->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE;
}

unsigned system_size(const struct decoded *d)
{
    if (d->insn->raw.rex.W)
        return 8;
    return (d->code_size == 16) == operand_prefix(d) ? 4 : 2;
}

unsigned system_stack_size(const struct decoded *d)
{
    if (d->code64)
        return operand_prefix(d) && d->insn->operand_width == 16 ? 2 : 8; /* REX.W prevails */
    return system_size(d);
}

bool system_is_register(const struct decoded *d)
{
    return d->insn->raw.modrm.mod == 3;
}

uint8_t system_reg(const struct decoded *d)
{
    return (uint8_t)(d->insn->raw.modrm.reg | d->insn->raw.rex.R << 3);
}

uint8_t system_rm(const struct decoded *d)
{
    return (uint8_t)(d->insn->raw.modrm.rm | d->insn->raw.rex.B << 3);
}

void system_set_register(struct vcpu *cpu, unsigned reg, uint64_t value, unsigned size)
{
    if (size == 2)
        cpu->gpr[reg] = (cpu->gpr[reg] & ~0xffffull) | (value & 0xffff);
    else
        cpu->gpr[reg] = size == 4 ? (uint32_t)value : value;
}

const struct op *op_system_undefined(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_raise_ud(cpu);
}

void system_check_cpl0(struct vcpu *cpu)
{
    if (cpu->cpl)
        cpu_raise_gp(cpu, 0);
}

static const struct op *op_nothing(struct vcpu *cpu, const struct op *op)
{
    (void)cpu;
    return op + 1;
}

static const struct op *op_read_cr(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    system_set_register(cpu, op->rm, cpu_read_cr(cpu, op->reg), op->size);
    return op + 1;
}

static const struct op *op_write_cr(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    uint64_t value = cpu->gpr[op->rm];
    cpu_write_cr(cpu, op->reg, op->size == 4 ? (uint32_t)value : value);
    return op_leave(cpu, op);
}

static const struct op *op_read_dr(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    system_set_register(cpu, op->rm, cpu_read_dr(cpu, op->reg), op->size);
    return op + 1;
}

static const struct op *op_write_dr(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    uint64_t value = cpu->gpr[op->rm];
    cpu_write_dr(cpu, op->reg, op->size == 4 ? (uint32_t)value : value);
    return op_leave(cpu, op);
}

static const struct op *op_clts(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    system_check_cpl0(cpu);
    cpu->cr0 &= ~(uint64_t)CR0_TS;
    cpu_update_mode(cpu);
    return op_leave(cpu, op);
}

static const struct op *op_invlpg(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    /* An address, not an access: no limit is checked. */
    uint64_t base = cpu_code64(cpu) && op->seg < SEG_FS ? 0 : cpu->seg[op->seg].base;
    cpu_invlpg(cpu, address_wrap(cpu, base + op_offset(cpu, op)));
    return op_leave(cpu, op);
}

static const struct op *op_invpcid(struct vcpu *cpu, const struct op *op)
{
    uint8_t bytes[16];
    op_sync(cpu, op);
    system_check_cpl0(cpu);
    gva_t addr = op_linear(cpu, op, 16, false);
    tlb_read(cpu, addr, bytes, sizeof(bytes), cpu->mmu);
    uint64_t type = cpu->gpr[op->reg], pcid = load_le64(bytes), page = load_le64(bytes + 8);
    if (!cpu_code64(cpu))
        type = (uint32_t)type;
    bool bad = type > 3 || pcid >> 12 || (type < 2 && pcid && !(cpu->cr4 & CR4_PCIDE)) ||
               (type == 0 && !address_canonical(page));
    if (bad)
        cpu_raise_gp(cpu, 0);
    switch (type) {
    case 0: /* also elsewhere: nobody minds */
        tlb_flush_page(cpu, page);
        break;
    case 1:
        tlb_flush_pcid(cpu, (uint16_t)pcid);
        break;
    case 2:
        tlb_flush(cpu);
        break;
    default:
        tlb_flush_pcids(cpu);
    }
    return op_leave(cpu, op);
}

/* WBINVD, INVD: caches are none of ours. */
static const struct op *op_wbinvd(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    system_check_cpl0(cpu);
    return op + 1;
}

static const struct op *op_hlt(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    system_check_cpl0(cpu);
    cpu->halted = true;
    return op_leave(cpu, op);
}

static const struct op *op_rsm(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_leave_smm(cpu);
    return NULL;
}

static const struct op *op_monitor(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    if (cpu->cpl)
        cpu_raise_ud(cpu);
    if ((uint32_t)cpu->gpr[RCX])
        cpu_raise_gp(cpu, 0);
    return op + 1;
}

/* Whatever was monitored may have been written: MWAIT may always return at once. */
static const struct op *op_mwait(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    if (cpu->cpl)
        cpu_raise_ud(cpu);
    return op_leave(cpu, op);
}

static const struct op *op_rdmsr(struct vcpu *cpu, const struct op *op)
{
    uint64_t value;
    op_sync(cpu, op);
    system_check_cpl0(cpu);
    if (!cpu_read_msr(cpu, (uint32_t)cpu->gpr[RCX], &value))
        cpu_raise_gp(cpu, 0);
    cpu->gpr[RAX] = (uint32_t)value;
    cpu->gpr[RDX] = value >> 32;
    return op + 1;
}

static uint64_t edx_eax(const struct vcpu *cpu)
{
    return (uint32_t)cpu->gpr[RAX] | cpu->gpr[RDX] << 32;
}

static const struct op *op_wrmsr(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    system_check_cpl0(cpu);
    if (!cpu_write_msr(cpu, (uint32_t)cpu->gpr[RCX], edx_eax(cpu)))
        cpu_raise_gp(cpu, 0);
    return op_leave(cpu, op);
}

static void read_tsc(struct vcpu *cpu)
{
    if (cpu->cr4 & CR4_TSD && cpu->cpl)
        cpu_raise_gp(cpu, 0);
    uint64_t tsc = cpu_tsc(cpu);
    cpu->gpr[RAX] = (uint32_t)tsc;
    cpu->gpr[RDX] = tsc >> 32;
}

static const struct op *op_rdtsc(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    read_tsc(cpu);
    return op + 1;
}

static const struct op *op_rdtscp(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    read_tsc(cpu);
    cpu->gpr[RCX] = (uint32_t)cpu->tsc_aux;
    return op + 1;
}

/* Four counters that do not count. */
static const struct op *op_rdpmc(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    if ((cpu->cpl && !(cpu->cr4 & CR4_PCE)) || (uint32_t)cpu->gpr[RCX] > 3)
        cpu_raise_gp(cpu, 0);
    cpu->gpr[RAX] = cpu->gpr[RDX] = 0;
    return op + 1;
}

static const struct op *op_cpuid(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    struct cpuid_result r = cpu_cpuid(cpu, (uint32_t)cpu->gpr[RAX], (uint32_t)cpu->gpr[RCX]);
    cpu->gpr[RAX] = r.eax;
    cpu->gpr[RBX] = r.ebx;
    cpu->gpr[RCX] = r.ecx;
    cpu->gpr[RDX] = r.edx;
    return op + 1;
}

static const struct op *op_xgetbv(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    if (!(cpu->cr4 & CR4_OSXSAVE))
        cpu_raise_ud(cpu);
    /* Index 1 asks which components are in use: all may be. */
    uint32_t index = (uint32_t)cpu->gpr[RCX];
    if (index > cpu_model_has(cpu->model, CPU_XGETBV1))
        cpu_raise_gp(cpu, 0);
    cpu->gpr[RAX] = (uint32_t)cpu->fpu.xcr0;
    cpu->gpr[RDX] = cpu->fpu.xcr0 >> 32;
    return op + 1;
}

static const struct op *op_xsetbv(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_xsetbv(cpu, (uint32_t)cpu->gpr[RCX], edx_eax(cpu));
    return op_leave(cpu, op);
}

static const struct op *op_swapgs(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    system_check_cpl0(cpu);
    uint64_t base = cpu->seg[SEG_GS].base;
    cpu->seg[SEG_GS].base = cpu->kernel_gs_base;
    cpu->kernel_gs_base = base;
    return op + 1;
}

/* extra8: the segment. */
static const struct op *op_read_base(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    if (!(cpu->cr4 & CR4_FSGSBASE))
        cpu_raise_ud(cpu);
    system_set_register(cpu, op->rm, cpu->seg[op->extra8].base, op->size);
    return op + 1;
}

static const struct op *op_write_base(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    if (!(cpu->cr4 & CR4_FSGSBASE))
        cpu_raise_ud(cpu);
    uint64_t base = op->size == 8 ? cpu->gpr[op->rm] : (uint32_t)cpu->gpr[op->rm];
    if (!address_canonical(base))
        cpu_raise_gp(cpu, 0);
    cpu->seg[op->extra8].base = base;
    return op + 1;
}

static const struct op *op_rdpid(struct vcpu *cpu, const struct op *op)
{
    cpu->gpr[op->rm] = (uint32_t)cpu->tsc_aux;
    return op + 1;
}

/* There are no caches to flush, but the line must be one that can be read (SDM 2A, CLFLUSH). */
static const struct op *op_flush_line(struct vcpu *cpu, const struct op *op)
{
    (void)tlb_load(cpu, op_linear(cpu, op, 1, false), 1, cpu->mmu);
    return op + 1;
}

static const struct op *op_random(struct vcpu *cpu, const struct op *op)
{
    uint64_t value = 0;
    bool ok = getrandom(&value, sizeof(value), GRND_NONBLOCK) == (ssize_t)sizeof(value);
    system_set_register(cpu, op->rm, ok ? value : 0, op->size);
    cpu->cc = cpu_flags_to_cc(ok ? FLAG_CF : 0);
    return op + 1;
}

/* A handler, and the feature it takes: without it, #UD. 0: always there (FPU, bit 0 of word 0, is
 * never asked for here). */
struct simple {
    uint16_t mnemonic;
    uint16_t feature;
    bool ends;
    op_fn fn;
};

static const struct simple simple[] = {
    {ZYDIS_MNEMONIC_CLTS, 0, true, op_clts},
    {ZYDIS_MNEMONIC_INVLPG, 0, true, op_invlpg},
    {ZYDIS_MNEMONIC_INVPCID, CPU_INVPCID, true, op_invpcid},
    {ZYDIS_MNEMONIC_WBINVD, 0, false, op_wbinvd},
    {ZYDIS_MNEMONIC_INVD, 0, false, op_wbinvd},
    {ZYDIS_MNEMONIC_SERIALIZE, CPU_SERIALIZE, false, op_nothing},
    {ZYDIS_MNEMONIC_HLT, 0, true, op_hlt},
    {ZYDIS_MNEMONIC_MONITOR, CPU_MONITOR, false, op_monitor},
    {ZYDIS_MNEMONIC_MWAIT, CPU_MONITOR, true, op_mwait},
    {ZYDIS_MNEMONIC_RDMSR, CPU_MSR, false, op_rdmsr},
    {ZYDIS_MNEMONIC_WRMSR, CPU_MSR, true, op_wrmsr},
    {ZYDIS_MNEMONIC_RDTSC, CPU_TSC, false, op_rdtsc},
    {ZYDIS_MNEMONIC_RDTSCP, CPU_RDTSCP, false, op_rdtscp},
    {ZYDIS_MNEMONIC_RDPMC, CPU_MMX, false, op_rdpmc},
    {ZYDIS_MNEMONIC_CPUID, 0, false, op_cpuid},
    {ZYDIS_MNEMONIC_XGETBV, CPU_XSAVE, false, op_xgetbv},
    {ZYDIS_MNEMONIC_XSETBV, CPU_XSAVE, true, op_xsetbv},
    {ZYDIS_MNEMONIC_SWAPGS, CPU_LM, false, op_swapgs},
    {ZYDIS_MNEMONIC_RDFSBASE, CPU_FSGSBASE, false, op_read_base},
    {ZYDIS_MNEMONIC_RDGSBASE, CPU_FSGSBASE, false, op_read_base},
    {ZYDIS_MNEMONIC_WRFSBASE, CPU_FSGSBASE, false, op_write_base},
    {ZYDIS_MNEMONIC_WRGSBASE, CPU_FSGSBASE, false, op_write_base},
    {ZYDIS_MNEMONIC_RDPID, CPU_RDPID, false, op_rdpid},
    {ZYDIS_MNEMONIC_RDRAND, CPU_RDRAND, false, op_random},
    {ZYDIS_MNEMONIC_RDSEED, CPU_RDSEED, false, op_random},
    {ZYDIS_MNEMONIC_NOP, 0, false, op_nothing},
    {ZYDIS_MNEMONIC_PAUSE, 0, false, op_nothing},
    {ZYDIS_MNEMONIC_PREFETCH, 0, false, op_nothing},
    {ZYDIS_MNEMONIC_PREFETCHW, 0, false, op_nothing},
    {ZYDIS_MNEMONIC_PREFETCHWT1, 0, false, op_nothing},
    {ZYDIS_MNEMONIC_PREFETCHNTA, 0, false, op_nothing},
    {ZYDIS_MNEMONIC_PREFETCHT0, 0, false, op_nothing},
    {ZYDIS_MNEMONIC_PREFETCHT1, 0, false, op_nothing},
    {ZYDIS_MNEMONIC_PREFETCHT2, 0, false, op_nothing},
    {ZYDIS_MNEMONIC_CLFLUSH, CPU_CLFLUSH, false, op_flush_line},
    {ZYDIS_MNEMONIC_CLFLUSHOPT, CPU_CLFLUSHOPT, false, op_flush_line},
    {ZYDIS_MNEMONIC_CLWB, CPU_CLWB, false, op_flush_line},
    {ZYDIS_MNEMONIC_CLDEMOTE, 0, false, op_nothing},
    {ZYDIS_MNEMONIC_LFENCE, CPU_SSE2, false, op_nothing},
    {ZYDIS_MNEMONIC_MFENCE, CPU_SSE2, false, op_nothing},
    {ZYDIS_MNEMONIC_SFENCE, CPU_SSE, false, op_nothing},
    {ZYDIS_MNEMONIC_UD0, 0, true, op_system_undefined},
    {ZYDIS_MNEMONIC_UD1, 0, true, op_system_undefined},
    {ZYDIS_MNEMONIC_UD2, 0, true, op_system_undefined},
    {ZYDIS_MNEMONIC_RSM, 0, true, op_rsm},
};

static bool decode_simple(const struct decoded *d, struct op *op, bool *ends)
{
    for (unsigned i = 0; i < ARRAY_LEN(simple); i++) {
        const struct simple *s = &simple[i];
        if (s->mnemonic != d->insn->mnemonic)
            continue;
        bool there = !s->feature || cpu_model_has(d->cpu->model, (enum cpu_feature)s->feature);
        op->fn = there ? s->fn : op_system_undefined;
        *ends = s->ends || !there;
        op->reg = system_reg(d);
        op->rm = system_rm(d);
        op->size = (uint8_t)system_size(d);
        bool gs = s->mnemonic == ZYDIS_MNEMONIC_RDGSBASE || s->mnemonic == ZYDIS_MNEMONIC_WRGSBASE;
        op->extra8 = gs ? SEG_GS : SEG_FS;
        if (op->fn == op_read_base || op->fn == op_write_base)
            op->size = d->insn->raw.rex.W ? 8 : 4; /* 66h is ignored */
        return true;
    }
    return false;
}

/* MOV with a control or debug register: 0F 20 to 0F 23. */
static bool decode_control(const struct decoded *d, struct op *op, bool *ends)
{
    static const op_fn handlers[] = {op_read_cr, op_read_dr, op_write_cr, op_write_dr};
    const ZydisDecodedInstruction *insn = d->insn;
    bool ours = insn->opcode_map == ZYDIS_OPCODE_MAP_0F && insn->opcode >= 0x20 &&
                insn->opcode <= 0x23 && insn->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
    if (!ours)
        return false;
    op->fn = handlers[insn->opcode - 0x20];
    op->reg = system_reg(d);
    op->rm = system_rm(d);
    op->size = d->code64 ? 8 : 4;
    *ends = insn->opcode >= 0x22;
    return true;
}

bool decode_system(const struct decoded *d, struct op *op, bool *ends)
{
    return decode_control(d, op, ends) || decode_system_far(d, op, ends) ||
           decode_system_flags(d, op, ends) || decode_system_io(d, op, ends) ||
           decode_system_table(d, op, ends) || decode_simple(d, op, ends);
}
