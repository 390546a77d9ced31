/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Far jumps, calls and returns: SDM 2A JMP, CALL, RET; 3A 5.8. The order of the checks is the
 * manual's.
 */
#include "cpu/segment.h"

#include "cpu/descriptor.h"

static uint64_t cut(uint64_t value, unsigned size)
{
    return size == 8 ? value : size == 4 ? (uint32_t)value : (uint16_t)value;
}

static bool real_or_v86(const struct vcpu *cpu)
{
    return !cpu_protected(cpu) || cpu_v86(cpu);
}

/* A code descriptor that claims to be 64-bit and 32-bit at once. */
static void check_code_size(struct vcpu *cpu, const struct descriptor *d)
{
    if (cpu_long_mode(cpu) && (d->access & (SEG_L | SEG_DB)) == (SEG_L | SEG_DB))
        raise_selector(cpu, VEC_GP, d->selector);
}

/* The checks of a direct jump or call to a code segment. */
static void check_direct_code(struct vcpu *cpu, const struct descriptor *d)
{
    unsigned rpl = d->selector & 3, dpl = descriptor_dpl(d);
    check_code_size(cpu, d);
    if (d->access & TYPE_CONFORMING ? dpl > cpu->cpl : rpl > cpu->cpl || dpl != cpu->cpl)
        raise_selector(cpu, VEC_GP, d->selector);
    if (!descriptor_present(d))
        raise_selector(cpu, VEC_NP, d->selector);
}

/* A gate's own checks: privilege and presence. */
static void check_gate(struct vcpu *cpu, const struct descriptor *gate)
{
    unsigned dpl = descriptor_dpl(gate);
    if (dpl < cpu->cpl || dpl < (gate->selector & 3u))
        raise_selector(cpu, VEC_GP, gate->selector);
    if (!descriptor_present(gate))
        raise_selector(cpu, VEC_NP, gate->selector);
}

/* What a call gate points at: the code descriptor, checked for a jump (which cannot change the
 * level) or a call; the offset is returned. */
static uint64_t gate_target(struct vcpu *cpu, struct descriptor *gate, bool call,
                            struct descriptor *code)
{
    uint64_t upper = 0;
    bool wide = cpu_long_mode(cpu);
    if (wide && !descriptor_read_upper(cpu, gate, &upper))
        raise_selector(cpu, VEC_GP, gate->selector);
    uint16_t selector = (uint16_t)(gate->raw >> 16);
    if (selector_null(selector))
        cpu_raise_gp(cpu, 0);
    descriptor_fetch(cpu, selector, VEC_GP, code);
    if (!access_code(code->access))
        raise_selector(cpu, VEC_GP, selector);
    unsigned dpl = descriptor_dpl(code);
    bool inner_only = call || code->access & TYPE_CONFORMING;
    if (inner_only ? dpl > cpu->cpl : dpl != cpu->cpl)
        raise_selector(cpu, VEC_GP, selector);
    if (wide && (code->access & (SEG_L | SEG_DB)) != SEG_L)
        raise_selector(cpu, VEC_GP, selector);
    if (!descriptor_present(code))
        raise_selector(cpu, VEC_NP, selector);
    uint64_t offset = (gate->raw & 0xffff) | (gate->raw >> 48 << 16);
    if (wide)
        return offset | upper << 32;
    return descriptor_type(gate) == SYS_CALL16 ? offset & 0xffff : offset;
}

void task_check(struct vcpu *cpu, uint16_t selector, int vector)
{
    struct descriptor tss;
    if (selector & 4)
        raise_selector(cpu, vector, selector);
    descriptor_fetch(cpu, selector, vector, &tss);
    unsigned type = descriptor_type(&tss);
    if (tss.access & SEG_S || (type != SYS_TSS16 && type != SYS_TSS32))
        raise_selector(cpu, vector, selector);
    if (!descriptor_present(&tss))
        raise_selector(cpu, VEC_NP, selector);
}

static void to_task(struct vcpu *cpu, const struct descriptor *d, enum task_switch how,
                    uint64_t next_rip)
{
    uint16_t tss = d->selector;
    unsigned dpl = descriptor_dpl(d);
    if (descriptor_type(d) == SYS_TASK_GATE) {
        check_gate(cpu, d);
        tss = (uint16_t)(d->raw >> 16);
    } else if (dpl < cpu->cpl || dpl < (d->selector & 3u)) {
        raise_selector(cpu, VEC_GP, d->selector);
    }
    task_check(cpu, tss, VEC_GP);
    cpu_task_switch(cpu, tss, how, next_rip, false, 0);
}

/* Is d a system descriptor that leads to a task? */
static bool leads_to_task(const struct vcpu *cpu, const struct descriptor *d)
{
    unsigned type = descriptor_type(d);
    if (cpu_long_mode(cpu))
        return false;
    return type == SYS_TASK_GATE || type == SYS_TSS16 || type == SYS_TSS32;
}

static bool is_call_gate(const struct vcpu *cpu, const struct descriptor *d)
{
    unsigned type = descriptor_type(d);
    return type == SYS_CALL32 || (type == SYS_CALL16 && !cpu_long_mode(cpu));
}

void cpu_far_jump(struct vcpu *cpu, uint16_t selector, uint64_t offset, unsigned opsize,
                  uint64_t next_rip)
{
    offset = cut(offset, opsize);
    if (real_or_v86(cpu)) {
        if (offset > cpu->seg[SEG_CS].limit)
            cpu_raise_gp(cpu, 0);
        segment_enter_code(cpu, selector, 0, NULL, offset);
        return;
    }
    if (selector_null(selector))
        cpu_raise_gp(cpu, 0);
    struct descriptor d;
    descriptor_fetch(cpu, selector, VEC_GP, &d);
    if (access_code(d.access)) {
        check_direct_code(cpu, &d);
        offset = descriptor_check_rip(cpu, &d, offset);
        segment_enter_code(cpu, selector, cpu->cpl, &d, offset);
        return;
    }
    if (d.access & SEG_S)
        raise_selector(cpu, VEC_GP, selector);
    if (leads_to_task(cpu, &d)) {
        to_task(cpu, &d, TASK_JMP, next_rip);
        return;
    }
    if (!is_call_gate(cpu, &d))
        raise_selector(cpu, VEC_GP, selector);
    check_gate(cpu, &d);
    struct descriptor code;
    offset = gate_target(cpu, &d, false, &code);
    offset = descriptor_check_rip(cpu, &code, offset);
    segment_enter_code(cpu, code.selector, cpu->cpl, &code, offset);
}

/* The stack of a call at the same level between 64-bit and compatibility mode: processors take it
 * for what it is in the mode they go to. */
static struct stack stack_towards(struct vcpu *cpu, const struct descriptor *code)
{
    struct stack stack = stack_current(cpu);
    if (!cpu_long_mode(cpu))
        return stack;
    if (code->access & SEG_L)
        stack.mask = UINT64_MAX;
    else if (cpu_code64(cpu))
        stack.mask = stack.ss.access & SEG_DB ? 0xffffffff : 0xffff;
    return stack;
}

static void push_return(struct vcpu *cpu, struct stack *stack, unsigned size, uint64_t next_rip)
{
    stack_push(stack, cpu->seg[SEG_CS].selector, size);
    stack_push(stack, next_rip, size);
}

/* Copies the parameters a call gate asks for from the caller's stack. */
static void copy_parameters(struct vcpu *cpu, struct stack *to, unsigned count, unsigned size)
{
    uint64_t words[31];
    struct stack from = stack_current(cpu);
    for (unsigned i = 0; i < count; i++)
        words[i] = stack_pop(&from, size);
    while (count--)
        stack_push(to, words[count], size);
}

static void call_inner(struct vcpu *cpu, const struct descriptor *gate, struct descriptor *code,
                       uint64_t offset, uint64_t next_rip)
{
    unsigned level = descriptor_dpl(code);
    bool wide = cpu_long_mode(cpu);
    unsigned size = wide ? 8 : descriptor_type(gate) == SYS_CALL16 ? 2 : 4;
    struct descriptor ss = {0};
    struct segment segment;
    uint64_t sp;
    if (wide) {
        sp = stack_from_tss64(cpu, level, 0);
        segment = (struct segment){.selector = (uint16_t)level};
    } else {
        stack_from_tss(cpu, level, &ss, &sp);
        segment = (struct segment){ss.selector, ss.access, ss.limit, ss.base};
    }
    struct stack stack = stack_inner(cpu, &segment, sp, level, wide);
    stack_push(&stack, cpu->seg[SEG_SS].selector, size);
    stack_push(&stack, cpu->gpr[RSP], size);
    if (!wide)
        copy_parameters(cpu, &stack, gate->raw >> 32 & 31, size);
    push_return(cpu, &stack, size, next_rip);
    offset = descriptor_check_rip(cpu, code, offset);
    if (wide) {
        descriptor_set_type(cpu, code, TYPE_ACCESSED);
        segment_set_null(cpu, SEG_SS, (uint16_t)level);
    } else {
        descriptor_set_type(cpu, code, TYPE_ACCESSED);
        segment_set(cpu, SEG_SS, ss.selector, &ss);
    }
    stack_commit(&stack);
    segment_enter_code(cpu, code->selector, level, code, offset);
}

static void call_gate(struct vcpu *cpu, struct descriptor *gate, uint64_t next_rip)
{
    check_gate(cpu, gate);
    struct descriptor code;
    uint64_t offset = gate_target(cpu, gate, true, &code);
    if (!(code.access & TYPE_CONFORMING) && descriptor_dpl(&code) < cpu->cpl) {
        call_inner(cpu, gate, &code, offset, next_rip);
        return;
    }
    unsigned size = cpu_long_mode(cpu) ? 8 : descriptor_type(gate) == SYS_CALL16 ? 2 : 4;
    struct stack stack = stack_current(cpu);
    if (cpu_long_mode(cpu))
        stack.mask = UINT64_MAX; /* from compatibility mode too: the target is 64-bit */
    push_return(cpu, &stack, size, next_rip);
    offset = descriptor_check_rip(cpu, &code, offset);
    descriptor_set_type(cpu, &code, TYPE_ACCESSED);
    stack_commit(&stack);
    segment_enter_code(cpu, code.selector, cpu->cpl, &code, offset);
}

void cpu_far_call(struct vcpu *cpu, uint16_t selector, uint64_t offset, unsigned opsize,
                  uint64_t next_rip)
{
    offset = cut(offset, opsize);
    if (real_or_v86(cpu)) {
        struct stack stack = stack_current(cpu);
        push_return(cpu, &stack, opsize, next_rip);
        if (offset > cpu->seg[SEG_CS].limit)
            cpu_raise_gp(cpu, 0);
        stack_commit(&stack);
        segment_enter_code(cpu, selector, 0, NULL, offset);
        return;
    }
    if (selector_null(selector))
        cpu_raise_gp(cpu, 0);
    struct descriptor d;
    descriptor_fetch(cpu, selector, VEC_GP, &d);
    if (access_code(d.access)) {
        check_direct_code(cpu, &d);
        struct stack stack = stack_towards(cpu, &d);
        push_return(cpu, &stack, opsize, next_rip);
        offset = descriptor_check_rip(cpu, &d, offset);
        descriptor_set_type(cpu, &d, TYPE_ACCESSED);
        stack_commit(&stack);
        segment_enter_code(cpu, selector, cpu->cpl, &d, offset);
        return;
    }
    if (d.access & SEG_S)
        raise_selector(cpu, VEC_GP, selector);
    if (leads_to_task(cpu, &d))
        to_task(cpu, &d, TASK_CALL, next_rip);
    else if (is_call_gate(cpu, &d))
        call_gate(cpu, &d, next_rip);
    else
        raise_selector(cpu, VEC_GP, selector);
}

static void return_real(struct vcpu *cpu, unsigned opsize, uint16_t pop_bytes)
{
    struct stack stack = stack_current(cpu);
    uint64_t rip = stack_pop(&stack, opsize);
    uint16_t selector = stack_pop_selector(&stack, opsize);
    if (rip > cpu->seg[SEG_CS].limit)
        cpu_raise_gp(cpu, 0);
    stack.sp += pop_bytes;
    stack_commit(&stack);
    segment_enter_code(cpu, selector, 0, NULL, rip);
}

void return_check_code(struct vcpu *cpu, uint16_t selector, struct descriptor *d)
{
    unsigned rpl = selector & 3;
    if (selector_null(selector))
        cpu_raise_gp(cpu, 0);
    descriptor_fetch(cpu, selector, VEC_GP, d);
    if (!access_code(d->access) || rpl < cpu->cpl)
        raise_selector(cpu, VEC_GP, selector);
    unsigned dpl = descriptor_dpl(d);
    if (d->access & TYPE_CONFORMING ? dpl > rpl : dpl != rpl)
        raise_selector(cpu, VEC_GP, selector);
    check_code_size(cpu, d);
    if (!descriptor_present(d))
        raise_selector(cpu, VEC_NP, selector);
}

bool return_check_stack(struct vcpu *cpu, uint16_t selector, const struct descriptor *code,
                        struct descriptor *ss)
{
    unsigned rpl = code->selector & 3;
    if (selector_null(selector)) {
        /* Only to 64-bit code, and not to level 3. */
        if (!cpu_long_mode(cpu) || !(code->access & SEG_L) || rpl == 3 || (selector & 3u) != rpl)
            cpu_raise_gp(cpu, 0);
        return false;
    }
    descriptor_fetch(cpu, selector, VEC_GP, ss);
    if ((selector & 3u) != rpl || !access_writable_data(ss->access) || descriptor_dpl(ss) != rpl)
        raise_selector(cpu, VEC_GP, selector);
    if (!descriptor_present(ss))
        raise_selector(cpu, VEC_SS, selector);
    return true;
}

void return_enter(struct vcpu *cpu, struct descriptor *code, uint16_t ss_selector,
                  struct descriptor *ss, uint64_t rip, uint64_t sp)
{
    unsigned level = code->selector & 3;
    bool outer = level != cpu->cpl;
    descriptor_set_type(cpu, code, TYPE_ACCESSED);
    if (ss)
        segment_set(cpu, SEG_SS, ss_selector, ss);
    else
        segment_set_null(cpu, SEG_SS, ss_selector);
    segment_enter_code(cpu, code->selector, level, code, rip);
    stack_set_pointer(cpu, sp);
    if (outer)
        segment_drop_inner(cpu);
}

void cpu_far_return(struct vcpu *cpu, unsigned opsize, uint16_t pop_bytes)
{
    if (real_or_v86(cpu)) {
        return_real(cpu, opsize, pop_bytes);
        return;
    }
    struct stack stack = stack_current(cpu);
    uint64_t rip = stack_pop(&stack, opsize);
    uint16_t selector = stack_pop_selector(&stack, opsize);
    struct descriptor code, ss;
    return_check_code(cpu, selector, &code);
    if ((selector & 3u) == cpu->cpl) {
        /* How far is as wide as the stack was, the sum as wide as the stack will be. */
        uint64_t distance = (2 * opsize + pop_bytes) & stack.mask;
        if (cpu_long_mode(cpu) && code.access & SEG_L)
            stack.mask = UINT64_MAX; /* as stack_towards */
        uint64_t sp = cpu->gpr[RSP];
        stack.sp = (sp & ~stack.mask) | ((sp + distance) & stack.mask);
        rip = descriptor_check_rip(cpu, &code, rip);
        descriptor_set_type(cpu, &code, TYPE_ACCESSED);
        stack_commit(&stack);
        segment_enter_code(cpu, selector, cpu->cpl, &code, rip);
        return;
    }
    stack.sp = (stack.sp & ~stack.mask) | ((stack.sp + pop_bytes) & stack.mask);
    uint64_t sp = stack_pop(&stack, opsize);
    uint16_t ss_selector = stack_pop_selector(&stack, opsize);
    bool usable = return_check_stack(cpu, ss_selector, &code, &ss);
    rip = descriptor_check_rip(cpu, &code, rip);
    return_enter(cpu, &code, ss_selector, usable ? &ss : NULL, rip, sp + pop_bytes);
}
