/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Loading segment registers and reaching memory through them. Far transfers are in far.c, task
 * switches in task.c, fast system calls in syscall.c.
 */
#include "cpu/segment.h"

#include "cpu/control.h"
#include "cpu/descriptor.h"

void cpu_load_segment_real(struct vcpu *cpu, enum segment_register seg, uint16_t selector)
{
    struct segment *s = &cpu->seg[seg];
    if (s->access & SEG_UNUSABLE) /* null since protected mode: usable again */
        *s = (struct segment){.access = SEG_P | SEG_S | 3, .limit = 0xffff};
    s->selector = selector;
    s->base = (uint64_t)selector << 4;
}

static void load_stack_segment(struct vcpu *cpu, uint16_t selector)
{
    unsigned rpl = selector & 3;
    if (selector_null(selector)) {
        if (!cpu_code64(cpu) || cpu->cpl == 3 || rpl != cpu->cpl)
            cpu_raise_gp(cpu, 0);
        segment_set_null(cpu, SEG_SS, selector);
        cpu_update_mode(cpu);
        return;
    }
    struct descriptor d;
    descriptor_fetch(cpu, selector, VEC_GP, &d);
    if (rpl != cpu->cpl || !access_writable_data(d.access) || descriptor_dpl(&d) != cpu->cpl)
        raise_selector(cpu, VEC_GP, selector);
    if (!descriptor_present(&d))
        raise_selector(cpu, VEC_SS, selector);
    segment_set(cpu, SEG_SS, selector, &d);
    cpu_update_mode(cpu);
}

/* Code that cannot be read, or a system descriptor: no data segment. */
static bool access_readable(uint32_t access)
{
    return access & SEG_S && (access & (TYPE_CODE | TYPE_WRITABLE)) != TYPE_CODE;
}

void cpu_load_segment(struct vcpu *cpu, enum segment_register seg, uint16_t selector)
{
    if (!cpu_protected(cpu) || cpu_v86(cpu)) {
        cpu_load_segment_real(cpu, seg, selector);
        return;
    }
    if (seg == SEG_SS) {
        load_stack_segment(cpu, selector);
        return;
    }
    if (selector_null(selector)) {
        segment_set_null(cpu, seg, selector);
        return;
    }
    struct descriptor d;
    descriptor_fetch(cpu, selector, VEC_GP, &d);
    if (!access_readable(d.access))
        raise_selector(cpu, VEC_GP, selector);
    unsigned rpl = selector & 3, dpl = descriptor_dpl(&d);
    if (!access_conforming_code(d.access) && (rpl > dpl || cpu->cpl > dpl))
        raise_selector(cpu, VEC_GP, selector);
    if (!descriptor_present(&d))
        raise_selector(cpu, VEC_NP, selector);
    segment_set(cpu, seg, selector, &d);
}

static _Noreturn void raise_segment(struct vcpu *cpu, enum segment_register seg)
{
    cpu_raise(cpu, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
}

gva_t cpu_linear(struct vcpu *cpu, enum segment_register seg, uint64_t offset, unsigned size,
                 bool write)
{
    const struct segment *s = &cpu->seg[seg];
    if (cpu_code64(cpu)) {
        gva_t addr = offset + (seg >= SEG_FS ? s->base : 0);
        if (!address_canonical(addr) || !address_canonical(addr + size - 1))
            raise_segment(cpu, seg);
        return addr;
    }
    offset = (uint32_t)offset;
    if (cpu_protected(cpu) && !cpu_v86(cpu)) {
        if (s->access & SEG_UNUSABLE)
            raise_segment(cpu, seg);
        if (write ? !access_writable_data(s->access) : !access_readable(s->access))
            raise_segment(cpu, seg);
    }
    if (!segment_within(s, offset, size))
        raise_segment(cpu, seg);
    return (uint32_t)(s->base + offset);
}

unsigned cpu_stack_width(const struct vcpu *cpu)
{
    if (cpu_code64(cpu))
        return 8;
    return cpu->seg[SEG_SS].access & SEG_DB ? 4 : 2;
}

void cpu_push(struct vcpu *cpu, uint64_t value, unsigned size)
{
    struct stack stack = stack_current(cpu);
    stack_push(&stack, value, size);
    stack_commit(&stack);
}

uint64_t cpu_pop(struct vcpu *cpu, unsigned size)
{
    struct stack stack = stack_current(cpu);
    uint64_t value = stack_pop(&stack, size);
    stack_commit(&stack);
    return value;
}

void cpu_lldt(struct vcpu *cpu, uint16_t selector)
{
    if (cpu->cpl)
        cpu_raise_gp(cpu, 0);
    if (selector_null(selector)) {
        segment_set_null(cpu, SEG_LDTR, selector);
        return;
    }
    struct descriptor d;
    if (selector & 4)
        raise_selector(cpu, VEC_GP, selector);
    descriptor_fetch(cpu, selector, VEC_GP, &d);
    if (d.access & SEG_S || descriptor_type(&d) != SYS_LDT)
        raise_selector(cpu, VEC_GP, selector);
    uint64_t upper;
    if (cpu_long_mode(cpu) && !descriptor_read_upper(cpu, &d, &upper))
        raise_selector(cpu, VEC_GP, selector);
    if (!descriptor_present(&d))
        raise_selector(cpu, VEC_NP, selector);
    if (!address_canonical(d.base))
        raise_selector(cpu, VEC_GP, selector);
    segment_set(cpu, SEG_LDTR, selector, &d);
}

void cpu_ltr(struct vcpu *cpu, uint16_t selector)
{
    if (cpu->cpl)
        cpu_raise_gp(cpu, 0);
    if (selector_null(selector))
        cpu_raise_gp(cpu, 0);
    struct descriptor d;
    if (selector & 4)
        raise_selector(cpu, VEC_GP, selector);
    descriptor_fetch(cpu, selector, VEC_GP, &d);
    unsigned type = descriptor_type(&d);
    bool tss = type == SYS_TSS32 || (type == SYS_TSS16 && !cpu_long_mode(cpu));
    if (d.access & SEG_S || !tss)
        raise_selector(cpu, VEC_GP, selector);
    uint64_t upper;
    if (cpu_long_mode(cpu) && !descriptor_read_upper(cpu, &d, &upper))
        raise_selector(cpu, VEC_GP, selector);
    if (!descriptor_present(&d))
        raise_selector(cpu, VEC_NP, selector);
    if (!address_canonical(d.base))
        raise_selector(cpu, VEC_GP, selector);
    descriptor_set_type(cpu, &d, 2); /* busy */
    segment_set(cpu, SEG_TR, selector, &d);
}

/* Which system descriptors LAR (and LSL) can see. */
static bool system_visible(const struct vcpu *cpu, unsigned type, bool limit)
{
    switch (type) {
    case SYS_TSS16:
    case SYS_TSS16_BUSY:
        return !cpu_long_mode(cpu);
    case SYS_LDT:
    case SYS_TSS32:
    case SYS_TSS32_BUSY:
        return true;
    case SYS_CALL16:
    case SYS_TASK_GATE:
        return !limit && !cpu_long_mode(cpu);
    case SYS_CALL32:
        return !limit;
    default:
        return false;
    }
}

/* The privilege rules of LAR, LSL, VERR and VERW. */
static bool visible(struct vcpu *cpu, uint16_t selector, struct descriptor *d)
{
    if (selector_null(selector) || !descriptor_read(cpu, selector, d))
        return false;
    unsigned dpl = descriptor_dpl(d);
    return access_conforming_code(d->access) || (dpl >= cpu->cpl && dpl >= (selector & 3u));
}

static bool visible_any(struct vcpu *cpu, uint16_t selector, bool limit, struct descriptor *d)
{
    if (!visible(cpu, selector, d))
        return false;
    uint64_t upper;
    if (d->access & SEG_S)
        return true;
    if (!system_visible(cpu, descriptor_type(d), limit))
        return false;
    return !cpu_long_mode(cpu) || descriptor_read_upper(cpu, d, &upper);
}

bool cpu_lar(struct vcpu *cpu, uint16_t selector, uint32_t *value)
{
    struct descriptor d;
    if (!visible_any(cpu, selector, false, &d))
        return false;
    /* Bits 16 to 19 are undefined in the manual; processors leave the limit in them. */
    *value = (uint32_t)(d.raw >> 32) & 0x00ffff00;
    return true;
}

bool cpu_lsl(struct vcpu *cpu, uint16_t selector, uint32_t *value)
{
    struct descriptor d;
    if (!visible_any(cpu, selector, true, &d))
        return false;
    *value = d.limit;
    return true;
}

bool cpu_verify(struct vcpu *cpu, uint16_t selector, bool write)
{
    struct descriptor d;
    if (!visible(cpu, selector, &d))
        return false;
    return write ? access_writable_data(d.access) : access_readable(d.access);
}

void cpu_check_io(struct vcpu *cpu, uint16_t port, unsigned size)
{
    if (!cpu_protected(cpu))
        return;
    if (!cpu_v86(cpu) && cpu->cpl <= (cpu->rflags >> 12 & 3))
        return;
    const struct segment *tr = &cpu->seg[SEG_TR];
    /* Only a 32- or 64-bit TSS has a bitmap. */
    if (tr->access & SEG_UNUSABLE || !(tr->access & 8) || tr->limit < 103)
        cpu_raise_gp(cpu, 0);
    uint32_t at = (uint32_t)system_load(cpu, tr->base + 0x66, 2) + port / 8;
    if (at + 1 > tr->limit)
        cpu_raise_gp(cpu, 0);
    uint32_t bits = (uint32_t)system_load(cpu, tr->base + at, 2) >> (port & 7);
    if (bits & ((1u << size) - 1))
        cpu_raise_gp(cpu, 0);
}
