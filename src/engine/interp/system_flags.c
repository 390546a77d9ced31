/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Flags that are not arithmetic: CLI, STI, PUSHF, POPF with the rules of virtual-8086 mode and its
 * extensions (SDM 3B 20.3), CLAC, STAC.
 */
#include "cpu/descriptor.h"
#include "cpu/model.h"
#include "engine/interp/system.h"

static unsigned iopl(const struct vcpu *cpu)
{
    return cpu->rflags >> 12 & 3;
}

/* CLI and STI act on VIF instead of IF: VME in virtual-8086 mode, PVI at level 3. */
static bool virtual_interrupts(const struct vcpu *cpu)
{
    if (cpu_v86(cpu))
        return cpu->cr4 & CR4_VME;
    return cpu->cpl == 3 && cpu->cr4 & CR4_PVI;
}

/* In V86 mode CPL is 3, so that the one comparison serves all modes. */
static const struct op *op_cli(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    if (cpu->cpl <= iopl(cpu))
        cpu->rflags &= ~(uint64_t)FLAG_IF;
    else if (virtual_interrupts(cpu))
        cpu->rflags &= ~(uint64_t)FLAG_VIF;
    else
        cpu_raise_gp(cpu, 0);
    return op + 1;
}

static const struct op *op_sti(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    if (cpu->cpl <= iopl(cpu)) {
        if (!(cpu->rflags & FLAG_IF))
            cpu->shadow = 1;
        cpu->rflags |= FLAG_IF;
    } else if (virtual_interrupts(cpu) && !(cpu->rflags & FLAG_VIP)) {
        cpu->rflags |= FLAG_VIF;
    } else {
        cpu_raise_gp(cpu, 0);
    }
    return op_leave(cpu, op);
}

/* PUSHF and POPF in V86 mode below IOPL 3: only 16 bits, only with VME. */
static bool virtual_flags(struct vcpu *cpu, const struct op *op)
{
    if (!cpu_v86(cpu) || iopl(cpu) == 3)
        return false;
    if (!(cpu->cr4 & CR4_VME) || op->size != 2)
        cpu_raise_gp(cpu, 0);
    return true;
}

static const struct op *op_pushf(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    uint64_t flags = cpu_rflags(cpu) & ~(uint64_t)(FLAG_VM | FLAG_RF);
    if (virtual_flags(cpu, op)) {
        flags = (flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL;
        if (flags & FLAG_VIF)
            flags |= FLAG_IF;
    }
    cpu_push(cpu, flags, op->size);
    return op + 1;
}

static const struct op *op_popf(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    uint64_t mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT | FLAG_RF;
    bool virtual = virtual_flags(cpu, op);
    struct stack stack = stack_current(cpu);
    uint64_t flags = stack_pop(&stack, op->size) & ~(uint64_t)FLAG_RF;
    if (virtual) {
        if (flags & FLAG_TF || (flags & FLAG_IF && cpu->rflags & FLAG_VIP))
            cpu_raise_gp(cpu, 0);
        mask |= FLAG_VIF;
        flags = (flags & ~(uint64_t)FLAG_VIF) | (flags & FLAG_IF ? FLAG_VIF : 0);
    } else {
        if (op->size != 2)
            mask |= FLAG_AC | FLAG_ID;
        if (cpu->cpl <= iopl(cpu))
            mask |= FLAG_IF;
        if (cpu->cpl == 0)
            mask |= FLAG_IOPL;
    }
    uint64_t before = cpu->rflags;
    stack_commit(&stack);
    cpu_set_rflags(cpu, (cpu_rflags(cpu) & ~mask) | (flags & mask));
    /* Out to the run loop if an interrupt may be due now, or a trap. */
    if (cpu->rflags & ~before & (FLAG_IF | FLAG_TF))
        return op_leave(cpu, op);
    return op + 1;
}

static const struct op *op_clac(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    if (cpu->cpl)
        cpu_raise_ud(cpu);
    cpu_set_rflags(cpu, cpu_rflags(cpu) & ~(uint64_t)FLAG_AC);
    return op + 1;
}

static const struct op *op_stac(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    if (cpu->cpl)
        cpu_raise_ud(cpu);
    cpu_set_rflags(cpu, cpu_rflags(cpu) | FLAG_AC);
    return op + 1;
}

bool decode_system_flags(const struct decoded *d, struct op *op, bool *ends)
{
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_CLI:
        op->fn = op_cli;
        return true;
    case ZYDIS_MNEMONIC_STI:
        op->fn = op_sti;
        *ends = true;
        return true;
    case ZYDIS_MNEMONIC_PUSHF:
    case ZYDIS_MNEMONIC_PUSHFD:
    case ZYDIS_MNEMONIC_PUSHFQ:
        op->fn = op_pushf;
        op->size = (uint8_t)system_stack_size(d);
        return true;
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPFQ:
        op->fn = op_popf;
        op->size = (uint8_t)system_stack_size(d);
        return true;
    case ZYDIS_MNEMONIC_CLAC:
    case ZYDIS_MNEMONIC_STAC:
        op->fn = d->insn->mnemonic == ZYDIS_MNEMONIC_CLAC ? op_clac : op_stac;
        if (!cpu_model_has(d->cpu->model, CPU_SMAP)) {
            op->fn = op_system_undefined;
            *ends = true;
        }
        return true;
    default:
        return false;
    }
}
