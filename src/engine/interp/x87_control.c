/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * x87 control: FNINIT, FNCLEX, the control, status and tag words, the environment and the whole
 * state in memory. Reference: Intel SDM volume 1, 8.1.10 (layouts of the environment).
 */
#include "engine/interp/x87.h"

enum { FSAVE_REGISTERS = 80 };

/* The instructions that do not wait for exceptions still want the unit to be there. */
static void begin_no_wait(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    if (cpu->cr0 & (CR0_EM | CR0_TS))
        cpu_raise(cpu, VEC_NM, 0);
}

static const struct op *do_fwait(struct vcpu *cpu, const struct op *op)
{
    if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) {
        op_sync(cpu, op);
        cpu_raise(cpu, VEC_NM, 0);
    }
    x87_pending(cpu, op);
    return op + 1;
}

static const struct op *do_fnop(struct vcpu *cpu, const struct op *op)
{
    x87_begin(cpu, op);
    return op + 1;
}

/* FENI, FDISI, FSETPM of old: nothing, without waiting. */
static const struct op *do_nothing(struct vcpu *cpu, const struct op *op)
{
    begin_no_wait(cpu, op);
    return op + 1;
}

static const struct op *do_fninit(struct vcpu *cpu, const struct op *op)
{
    uint16_t old = cpu->fpu.fsw;
    begin_no_wait(cpu, op);
    fpu_init(&cpu->fpu);
    x87_lower_ferr(cpu, old);
    return op + 1;
}

static const struct op *do_fnclex(struct vcpu *cpu, const struct op *op)
{
    uint16_t old = cpu->fpu.fsw;
    begin_no_wait(cpu, op);
    cpu->fpu.fsw &= (uint16_t) ~(FPU_EXCEPTIONS | FPU_SF | FPU_ES | FPU_B);
    x87_lower_ferr(cpu, old);
    return op + 1;
}

static void set_fcw(struct fpu_state *fpu, uint16_t value)
{
    fpu->fcw = (value & 0x1f3f) | 0x40;
    fpu_summarise(fpu);
}

static const struct op *do_fldcw(struct vcpu *cpu, const struct op *op)
{
    uint16_t old = cpu->fpu.fsw;
    x87_begin(cpu, op);
    gva_t addr = op_linear(cpu, op, 2, false);
    set_fcw(&cpu->fpu, (uint16_t)tlb_load(cpu, addr, 2, cpu->mmu));
    x87_lower_ferr(cpu, old);
    return op + 1;
}

static const struct op *do_fnstcw(struct vcpu *cpu, const struct op *op)
{
    begin_no_wait(cpu, op);
    tlb_store(cpu, op_linear(cpu, op, 2, true), cpu->fpu.fcw, 2, cpu->mmu);
    return op + 1;
}

static const struct op *do_fnstsw(struct vcpu *cpu, const struct op *op)
{
    begin_no_wait(cpu, op);
    tlb_store(cpu, op_linear(cpu, op, 2, true), cpu->fpu.fsw, 2, cpu->mmu);
    return op + 1;
}

static const struct op *do_fnstsw_ax(struct vcpu *cpu, const struct op *op)
{
    begin_no_wait(cpu, op);
    store_le16(&cpu->gpr[RAX], cpu->fpu.fsw);
    return op + 1;
}

static const struct op *do_ffree(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    x87_begin(cpu, op);
    fpu->ftw |= (uint16_t)(FPU_TAG_EMPTY << (((fpu_top(fpu) + op->rm) & 7) * 2));
    fpu->fsw &= (uint16_t)~FPU_C1;
    if (op->reg) { /* FFREEP pops too */
        fpu->ftw |= (uint16_t)(FPU_TAG_EMPTY << (fpu_top(fpu) * 2));
        fpu_set_top(fpu, fpu_top(fpu) + 1);
    }
    return op + 1;
}

/* FINCSTP, FDECSTP: reg is what to add. */
static const struct op *do_turn(struct vcpu *cpu, const struct op *op)
{
    x87_begin(cpu, op);
    fpu_set_top(&cpu->fpu, fpu_top(&cpu->fpu) + op->reg);
    cpu->fpu.fsw &= (uint16_t)~FPU_C1;
    return op + 1;
}

/* The environment */

static bool real_format(const struct vcpu *cpu)
{
    return !cpu_protected(cpu) || cpu_v86(cpu);
}

static unsigned environment_size(const struct op *op)
{
    return op->size == 2 ? 14 : 28;
}

static void put_environment(const struct vcpu *cpu, const struct op *op, uint8_t *to)
{
    const struct fpu_state *fpu = &cpu->fpu;
    unsigned step = op->size == 2 ? 2 : 4;
    uint32_t ip = (uint32_t)fpu->fip, dp = (uint32_t)fpu->fdp;
    uint32_t words[7] = {fpu->fcw, fpu->fsw, fpu_full_tags(fpu)};
    if (real_format(cpu)) {
        ip += (uint32_t)fpu->fcs << 4;
        dp += (uint32_t)fpu->fds << 4;
        words[3] = ip & 0xffff;
        words[5] = dp & 0xffff;
        words[4] = step == 2 ? (ip >> 4 & 0xf000) | fpu->fop : (ip >> 4 & 0xffff000) | fpu->fop;
        words[6] = step == 2 ? dp >> 4 & 0xf000 : dp >> 4 & 0xffff000;
    } else {
        words[3] = ip;
        words[4] = step == 2 ? fpu->fcs : fpu->fcs | (uint32_t)fpu->fop << 16;
        words[5] = dp;
        words[6] = fpu->fds;
    }
    for (unsigned i = 0; i < 7; i++) {
        if (step == 2)
            store_le16(to + i * 2, (uint16_t)words[i]);
        else /* the upper halves of 16-bit fields are ones */
            store_le32(to + i * 4, i < 3 || (i == 6 && !real_format(cpu)) ||
                                           ((i == 3 || i == 5) && real_format(cpu))
                                       ? words[i] | 0xffff0000
                                       : words[i]);
    }
}

static void get_environment(struct vcpu *cpu, const struct op *op, const uint8_t *from)
{
    struct fpu_state *fpu = &cpu->fpu;
    unsigned step = op->size == 2 ? 2 : 4;
    uint32_t words[7];
    for (unsigned i = 0; i < 7; i++)
        words[i] = (uint32_t)load_le(from + i * step, step);
    fpu->fsw = (uint16_t)words[1];
    fpu->ftw = (uint16_t)words[2];
    /* Only empty or not matters to us; the classes are computed when stored. */
    fpu_set_short_tags(fpu, fpu_short_tags(fpu));
    if (real_format(cpu)) {
        fpu->fip = (words[3] & 0xffff) | (words[4] & (step == 2 ? 0xf000 : 0xffff000)) << 4;
        fpu->fdp = (words[5] & 0xffff) | (words[6] & (step == 2 ? 0xf000 : 0xffff000)) << 4;
        fpu->fop = words[4] & 0x7ff;
        fpu->fcs = fpu->fds = 0;
    } else {
        fpu->fip = words[3];
        fpu->fdp = words[5];
        fpu->fcs = (uint16_t)words[4];
        fpu->fds = (uint16_t)words[6];
        fpu->fop = step == 2 ? 0 : words[4] >> 16 & 0x7ff;
    }
    set_fcw(fpu, (uint16_t)words[0]);
}

static const struct op *do_fnstenv(struct vcpu *cpu, const struct op *op)
{
    uint8_t bytes[28];
    unsigned size = environment_size(op);
    begin_no_wait(cpu, op);
    put_environment(cpu, op, bytes);
    gva_t addr = op_linear(cpu, op, size, true);
    tlb_check_alignment(cpu, addr, size / 7, cpu->mmu);
    tlb_write(cpu, addr, bytes, size, cpu->mmu);
    cpu->fpu.fcw |= FPU_EXCEPTIONS;
    fpu_summarise(&cpu->fpu);
    return op + 1;
}

static const struct op *do_fldenv(struct vcpu *cpu, const struct op *op)
{
    uint8_t bytes[28];
    unsigned size = environment_size(op);
    uint16_t old = cpu->fpu.fsw;
    x87_begin(cpu, op);
    gva_t addr = op_linear(cpu, op, size, false);
    tlb_check_alignment(cpu, addr, size / 7, cpu->mmu);
    tlb_read(cpu, addr, bytes, size, cpu->mmu);
    get_environment(cpu, op, bytes);
    x87_lower_ferr(cpu, old);
    return op + 1;
}

static const struct op *do_fnsave(struct vcpu *cpu, const struct op *op)
{
    uint8_t bytes[28 + FSAVE_REGISTERS];
    unsigned size = environment_size(op);
    uint16_t old = cpu->fpu.fsw;
    begin_no_wait(cpu, op);
    put_environment(cpu, op, bytes);
    for (unsigned i = 0; i < 8; i++)
        memcpy(bytes + size + i * 10, x87_st(&cpu->fpu, i), 10);
    gva_t addr = op_linear(cpu, op, size + FSAVE_REGISTERS, true);
    tlb_check_alignment(cpu, addr, size / 7, cpu->mmu);
    tlb_write(cpu, addr, bytes, size + FSAVE_REGISTERS, cpu->mmu);
    fpu_init(&cpu->fpu);
    x87_lower_ferr(cpu, old);
    return op + 1;
}

static const struct op *do_frstor(struct vcpu *cpu, const struct op *op)
{
    uint8_t bytes[28 + FSAVE_REGISTERS];
    unsigned size = environment_size(op);
    uint16_t old = cpu->fpu.fsw;
    x87_begin(cpu, op);
    gva_t addr = op_linear(cpu, op, size + FSAVE_REGISTERS, false);
    tlb_check_alignment(cpu, addr, size / 7, cpu->mmu);
    tlb_read(cpu, addr, bytes, size + FSAVE_REGISTERS, cpu->mmu);
    get_environment(cpu, op, bytes);
    for (unsigned i = 0; i < 8; i++)
        memcpy(x87_st(&cpu->fpu, i), bytes + size + i * 10, 10);
    x87_lower_ferr(cpu, old);
    return op + 1;
}

/* Decoding */

static bool set(struct op *op, op_fn fn, unsigned reg)
{
    op->fn = fn;
    op->reg = (uint8_t)reg;
    return true;
}

static bool decode_register(struct op *op, unsigned key)
{
    switch (key << 3 | op->rm) {
    case (1 << 3 | 2) << 3 | 0: /* D9 D0 */
        return set(op, do_fnop, 0);
    case (1 << 3 | 6) << 3 | 6: /* D9 F6 */
        return set(op, do_turn, 7);
    case (1 << 3 | 6) << 3 | 7: /* D9 F7 */
        return set(op, do_turn, 1);
    case (3 << 3 | 4) << 3 | 2: /* DB E2 */
        return set(op, do_fnclex, 0);
    case (3 << 3 | 4) << 3 | 3: /* DB E3 */
        return set(op, do_fninit, 0);
    case (3 << 3 | 4) << 3 | 0: /* DB E0, E1, E4 */
    case (3 << 3 | 4) << 3 | 1:
    case (3 << 3 | 4) << 3 | 4:
        return set(op, do_nothing, 0);
    case (7 << 3 | 4) << 3 | 0: /* DF E0 */
        return set(op, do_fnstsw_ax, 0);
    default:
        break;
    }
    if (key == (5 << 3 | 0) || key == (7 << 3 | 0)) /* DD C0+i, DF C0+i */
        return set(op, do_ffree, key >> 3 == 7);
    return false;
}

bool decode_x87_control(const struct decoded *d, struct op *op, unsigned key)
{
    if (d->insn->mnemonic == ZYDIS_MNEMONIC_FWAIT)
        return set(op, do_fwait, 0);
    if (d->insn->raw.modrm.mod == 3)
        return decode_register(op, key);
    switch (key) {
    case 1 << 3 | 4:
        op->size = d->insn->operand_width == 16 ? 2 : 4;
        return set(op, do_fldenv, 0);
    case 1 << 3 | 5:
        return set(op, do_fldcw, 0);
    case 1 << 3 | 6:
        op->size = d->insn->operand_width == 16 ? 2 : 4;
        return set(op, do_fnstenv, 0);
    case 1 << 3 | 7:
        return set(op, do_fnstcw, 0);
    case 5 << 3 | 4:
        op->size = d->insn->operand_width == 16 ? 2 : 4;
        return set(op, do_frstor, 0);
    case 5 << 3 | 6:
        op->size = d->insn->operand_width == 16 ? 2 : 4;
        return set(op, do_fnsave, 0);
    case 5 << 3 | 7:
        return set(op, do_fnstsw, 0);
    default:
        return false;
    }
}
