/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Descriptor tables and what asks about descriptors: LGDT to STR, LAR, LSL, VERR, VERW, ARPL, and
 * the machine status word.
 */
#include "cpu/control.h"
#include "cpu/descriptor.h"
#include "engine/interp/system.h"

/* CR4.UMIP keeps programs from reading system registers. */
static void check_umip(struct vcpu *cpu)
{
    if (cpu->cr4 & CR4_UMIP && cpu->cpl)
        cpu_raise_gp(cpu, 0);
}

/* Not in real and virtual-8086 mode. */
static void check_protected(struct vcpu *cpu)
{
    if (!cpu_protected(cpu) || cpu_v86(cpu))
        cpu_raise_ud(cpu);
}

/* The 16-bit operand: register or memory. */
static uint16_t load_word(struct vcpu *cpu, const struct op *op)
{
    if (op->extra8)
        return (uint16_t)cpu->gpr[op->rm];
    return (uint16_t)tlb_load(cpu, op_linear(cpu, op, 2, false), 2, cpu->mmu);
}

/* To a register of op->size, or 16 bits of memory. */
static void store_word(struct vcpu *cpu, const struct op *op, uint64_t value)
{
    if (op->extra8)
        system_set_register(cpu, op->rm, value, op->size);
    else
        tlb_store(cpu, op_linear(cpu, op, 2, true), value & 0xffff, 2, cpu->mmu);
}

static void set_zf(struct vcpu *cpu, bool on)
{
    uint32_t zf = cpu_flags_to_cc(FLAG_ZF);
    cpu->cc = on ? cpu->cc | zf : cpu->cc & ~zf;
}

static const struct op *store_table(struct vcpu *cpu, const struct op *op,
                                    const struct table_register *table)
{
    uint8_t bytes[10];
    unsigned length = cpu_code64(cpu) ? 10 : 6;
    op_sync(cpu, op);
    check_umip(cpu);
    store_le16(bytes, table->limit);
    store_le64(bytes + 2, table->base);
    gva_t addr = op_linear(cpu, op, length, true);
    tlb_check_alignment(cpu, addr, 4, cpu->mmu);
    tlb_write(cpu, addr, bytes, length, cpu->mmu);
    return op + 1;
}

static const struct op *op_sgdt(struct vcpu *cpu, const struct op *op)
{
    return store_table(cpu, op, &cpu->gdtr);
}

static const struct op *op_sidt(struct vcpu *cpu, const struct op *op)
{
    return store_table(cpu, op, &cpu->idtr);
}

static const struct op *load_table(struct vcpu *cpu, const struct op *op,
                                   struct table_register *table)
{
    uint8_t bytes[10] = {0};
    unsigned length = cpu_code64(cpu) ? 10 : 6;
    op_sync(cpu, op);
    system_check_cpl0(cpu);
    tlb_read(cpu, op_linear(cpu, op, length, false), bytes, length, cpu->mmu);
    uint64_t base = load_le64(bytes + 2);
    if (length == 6)
        base = op->size == 2 ? base & 0xffffff : (uint32_t)base;
    if (!address_canonical(base))
        cpu_raise_gp(cpu, 0);
    *table = (struct table_register){.base = base, .limit = load_le16(bytes)};
    return op + 1;
}

static const struct op *op_lgdt(struct vcpu *cpu, const struct op *op)
{
    return load_table(cpu, op, &cpu->gdtr);
}

static const struct op *op_lidt(struct vcpu *cpu, const struct op *op)
{
    return load_table(cpu, op, &cpu->idtr);
}

static const struct op *op_sldt(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    check_protected(cpu);
    check_umip(cpu);
    store_word(cpu, op, cpu->seg[SEG_LDTR].selector);
    return op + 1;
}

static const struct op *op_str(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    check_protected(cpu);
    check_umip(cpu);
    store_word(cpu, op, cpu->seg[SEG_TR].selector);
    return op + 1;
}

static const struct op *op_smsw(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    check_umip(cpu);
    store_word(cpu, op, cpu->cr0);
    return op + 1;
}

static const struct op *op_lmsw(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    system_check_cpl0(cpu);
    cpu_lmsw(cpu, load_word(cpu, op));
    return op_leave(cpu, op);
}

static const struct op *op_lldt(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    check_protected(cpu);
    system_check_cpl0(cpu);
    cpu_lldt(cpu, load_word(cpu, op));
    return op + 1;
}

static const struct op *op_ltr(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    check_protected(cpu);
    system_check_cpl0(cpu);
    cpu_ltr(cpu, load_word(cpu, op));
    return op + 1;
}

static const struct op *op_verr(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    check_protected(cpu);
    set_zf(cpu, cpu_verify(cpu, load_word(cpu, op), false));
    return op + 1;
}

static const struct op *op_verw(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    check_protected(cpu);
    set_zf(cpu, cpu_verify(cpu, load_word(cpu, op), true));
    return op + 1;
}

static const struct op *op_lar(struct vcpu *cpu, const struct op *op)
{
    uint32_t value;
    op_sync(cpu, op);
    check_protected(cpu);
    bool ok = cpu_lar(cpu, load_word(cpu, op), &value);
    if (ok)
        system_set_register(cpu, op->reg, value, op->size);
    set_zf(cpu, ok);
    return op + 1;
}

static const struct op *op_lsl(struct vcpu *cpu, const struct op *op)
{
    uint32_t value;
    op_sync(cpu, op);
    check_protected(cpu);
    bool ok = cpu_lsl(cpu, load_word(cpu, op), &value);
    if (ok)
        system_set_register(cpu, op->reg, value, op->size);
    set_zf(cpu, ok);
    return op + 1;
}

static const struct op *op_arpl(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    check_protected(cpu);
    uint16_t rpl = cpu->gpr[op->reg] & 3;
    gva_t addr = 0;
    uint16_t selector;
    if (op->extra8) {
        selector = (uint16_t)cpu->gpr[op->rm];
    } else {
        addr = op_linear(cpu, op, 2, false);
        selector = (uint16_t)tlb_load(cpu, addr, 2, cpu->mmu);
    }
    bool raise = (selector & 3) < rpl;
    if (raise) {
        selector = (uint16_t)((selector & ~3) | rpl);
        if (op->extra8)
            system_set_register(cpu, op->rm, selector, 2);
        else
            tlb_store(cpu, op_linear(cpu, op, 2, true), selector, 2, cpu->mmu);
    }
    set_zf(cpu, raise);
    return op + 1;
}

bool decode_system_table(const struct decoded *d, struct op *op, bool *ends)
{
    static const struct {
        uint16_t mnemonic;
        op_fn fn;
    } handlers[] = {
        {ZYDIS_MNEMONIC_SGDT, op_sgdt}, {ZYDIS_MNEMONIC_SIDT, op_sidt},
        {ZYDIS_MNEMONIC_LGDT, op_lgdt}, {ZYDIS_MNEMONIC_LIDT, op_lidt},
        {ZYDIS_MNEMONIC_SLDT, op_sldt}, {ZYDIS_MNEMONIC_STR, op_str},
        {ZYDIS_MNEMONIC_SMSW, op_smsw}, {ZYDIS_MNEMONIC_LMSW, op_lmsw},
        {ZYDIS_MNEMONIC_LLDT, op_lldt}, {ZYDIS_MNEMONIC_LTR, op_ltr},
        {ZYDIS_MNEMONIC_VERR, op_verr}, {ZYDIS_MNEMONIC_VERW, op_verw},
        {ZYDIS_MNEMONIC_LAR, op_lar},   {ZYDIS_MNEMONIC_LSL, op_lsl},
        {ZYDIS_MNEMONIC_ARPL, op_arpl},
    };
    for (unsigned i = 0; i < ARRAY_LEN(handlers); i++) {
        if (handlers[i].mnemonic != d->insn->mnemonic)
            continue;
        op->fn = handlers[i].fn;
        op->reg = system_reg(d);
        op->rm = system_rm(d);
        op->extra8 = system_is_register(d);
        op->size = (uint8_t)system_size(d);
        *ends = d->insn->mnemonic == ZYDIS_MNEMONIC_LMSW;
        return true;
    }
    return false;
}
