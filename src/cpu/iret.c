/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * IRET in all modes: SDM 2A IRET, 3B 20 (virtual-8086 mode).
 */
#include "cpu/segment.h"

#include "cpu/descriptor.h"

static const uint64_t FLAGS_USER = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;

/* RFLAGS with the bits of mask taken from image. */
static void set_flags(struct vcpu *cpu, uint64_t image, uint64_t mask)
{
    cpu_set_rflags(cpu, (cpu_rflags(cpu) & ~mask) | (image & mask));
}

/* What level may change by IRET with this operand size. */
static uint64_t flags_mask(const struct vcpu *cpu, unsigned opsize)
{
    uint64_t mask = FLAGS_USER;
    if (opsize != 2)
        mask |= FLAG_RF | FLAG_AC | FLAG_ID;
    if (cpu->cpl <= (cpu->rflags >> 12 & 3))
        mask |= FLAG_IF;
    if (cpu->cpl == 0) {
        mask |= FLAG_IOPL;
        if (opsize != 2)
            mask |= FLAG_VIF | FLAG_VIP;
    }
    return mask;
}

static void iret_real(struct vcpu *cpu, unsigned opsize)
{
    struct stack stack = stack_current(cpu);
    uint64_t rip = stack_pop(&stack, opsize);
    uint16_t selector = stack_pop_selector(&stack, opsize);
    uint64_t flags = stack_pop(&stack, opsize);
    if (rip > cpu->seg[SEG_CS].limit)
        cpu_raise_gp(cpu, 0);
    uint64_t mask = FLAGS_USER | FLAG_IF | FLAG_IOPL;
    if (opsize != 2)
        mask |= FLAG_RF | FLAG_AC | FLAG_ID;
    stack_commit(&stack);
    set_flags(cpu, flags, mask);
    segment_enter_code(cpu, selector, 0, NULL, rip);
}

static void iret_v86(struct vcpu *cpu, unsigned opsize)
{
    bool iopl3 = (cpu->rflags & FLAG_IOPL) == FLAG_IOPL;
    if (!iopl3 && !(cpu->cr4 & CR4_VME && opsize == 2))
        cpu_raise_gp(cpu, 0);
    struct stack stack = stack_current(cpu);
    uint64_t rip = stack_pop(&stack, opsize);
    uint16_t selector = stack_pop_selector(&stack, opsize);
    uint64_t flags = stack_pop(&stack, opsize);
    uint64_t mask = FLAGS_USER;
    if (iopl3) {
        mask |= FLAG_IF;
        if (opsize != 2)
            mask |= FLAG_RF | FLAG_AC | FLAG_ID;
    } else {
        if (flags & FLAG_TF || (flags & FLAG_IF && cpu->rflags & FLAG_VIP))
            cpu_raise_gp(cpu, 0);
        mask |= FLAG_VIF;
        flags = (flags & ~(uint64_t)FLAG_VIF) | (flags & FLAG_IF ? FLAG_VIF : 0);
    }
    if (rip > cpu->seg[SEG_CS].limit)
        cpu_raise_gp(cpu, 0);
    stack_commit(&stack);
    set_flags(cpu, flags, mask);
    segment_enter_code(cpu, selector, 3, NULL, rip);
}

/* NT is set: back to the task that called this one. */
static void iret_task(struct vcpu *cpu, uint64_t next_rip)
{
    const struct segment *tr = &cpu->seg[SEG_TR];
    uint16_t selector = (uint16_t)system_load(cpu, tr->base, 2);
    struct descriptor tss;
    if (selector & 4)
        raise_selector(cpu, VEC_TS, selector);
    descriptor_fetch(cpu, selector, VEC_TS, &tss);
    unsigned type = descriptor_type(&tss);
    if (tss.access & SEG_S || (type != SYS_TSS16_BUSY && type != SYS_TSS32_BUSY))
        raise_selector(cpu, VEC_TS, selector);
    if (!descriptor_present(&tss))
        raise_selector(cpu, VEC_NP, selector);
    cpu_task_switch(cpu, selector, TASK_IRET, next_rip, false, 0);
}

/* From level 0 to virtual-8086 mode; CS:EIP and EFLAGS are popped already. */
static void iret_to_v86(struct vcpu *cpu, struct stack *stack, uint64_t rip, uint16_t cs,
                        uint64_t flags)
{
    static const uint8_t order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    uint16_t selectors[ARRAY_LEN(order)];
    uint64_t sp = stack_pop(stack, 4);
    for (unsigned i = 0; i < ARRAY_LEN(order); i++)
        selectors[i] = stack_pop_selector(stack, 4);
    if (rip > 0xffff)
        cpu_raise_gp(cpu, 0);
    for (unsigned i = 0; i < ARRAY_LEN(order); i++)
        segment_set_v86(cpu, order[i], selectors[i]);
    segment_set_v86(cpu, SEG_CS, cs);
    cpu->gpr[RSP] = (uint32_t)sp;
    cpu->rip = rip;
    cpu->cpl = 3;
    cpu_set_rflags(cpu, flags);
    cpu_update_mode(cpu);
}

static void iret_protected(struct vcpu *cpu, unsigned opsize)
{
    struct stack stack = stack_current(cpu);
    uint64_t rip = stack_pop(&stack, opsize);
    uint16_t selector = stack_pop_selector(&stack, opsize);
    uint64_t flags = stack_pop(&stack, opsize);
    if (flags & FLAG_VM && opsize == 4 && cpu->cpl == 0 && !cpu_long_mode(cpu)) {
        iret_to_v86(cpu, &stack, rip, selector, flags);
        return;
    }
    struct descriptor code, ss;
    return_check_code(cpu, selector, &code);
    uint64_t mask = flags_mask(cpu, opsize);
    if ((selector & 3u) == cpu->cpl && !cpu_code64(cpu)) {
        rip = descriptor_check_rip(cpu, &code, rip);
        descriptor_set_type(cpu, &code, TYPE_ACCESSED);
        stack_commit(&stack);
        set_flags(cpu, flags, mask);
        segment_enter_code(cpu, selector, cpu->cpl, &code, rip);
        return;
    }
    uint64_t sp = stack_pop(&stack, opsize);
    uint16_t ss_selector = stack_pop_selector(&stack, opsize);
    bool usable = return_check_stack(cpu, ss_selector, &code, &ss);
    rip = descriptor_check_rip(cpu, &code, rip);
    return_enter(cpu, &code, ss_selector, usable ? &ss : NULL, rip, sp);
    set_flags(cpu, flags, mask);
}

void cpu_iret(struct vcpu *cpu, unsigned opsize, uint64_t next_rip)
{
    cpu->nmi_blocked = false; /* even if it faults: SDM 3A 6.7.1 */
    if (!cpu_protected(cpu)) {
        iret_real(cpu, opsize);
    } else if (cpu_v86(cpu)) {
        iret_v86(cpu, opsize);
    } else if (cpu->rflags & FLAG_NT) {
        if (cpu_long_mode(cpu))
            cpu_raise_gp(cpu, 0);
        iret_task(cpu, next_rip);
    } else {
        iret_protected(cpu, opsize);
    }
}
