/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cpu/descriptor.h"

uint64_t system_load(struct vcpu *cpu, gva_t addr, unsigned size)
{
    return tlb_load(cpu, address_wrap(cpu, addr), size, tlb_system_mmu(cpu));
}

void system_store(struct vcpu *cpu, gva_t addr, uint64_t value, unsigned size)
{
    tlb_store(cpu, address_wrap(cpu, addr), value, size, tlb_system_mmu(cpu));
}

static bool table_of(const struct vcpu *cpu, uint16_t selector, uint64_t *base, uint32_t *limit)
{
    if (!(selector & 4)) {
        *base = cpu->gdtr.base;
        *limit = cpu->gdtr.limit;
        return true;
    }
    const struct segment *ldt = &cpu->seg[SEG_LDTR];
    *base = ldt->base;
    *limit = ldt->limit;
    return !(ldt->access & SEG_UNUSABLE);
}

static void unpack(struct descriptor *d)
{
    uint32_t high = (uint32_t)(d->raw >> 32);
    d->access = high >> 8 & 0xf0ff;
    d->base = (d->raw >> 16 & 0xffffff) | (high & 0xff000000u);
    d->limit = (uint32_t)(d->raw & 0xffff) | (high & 0xf0000);
    if (d->access & SEG_G)
        d->limit = d->limit << 12 | 0xfff;
}

bool descriptor_read(struct vcpu *cpu, uint16_t selector, struct descriptor *d)
{
    uint64_t base;
    uint32_t limit;
    if (!table_of(cpu, selector, &base, &limit) || (selector | 7u) > limit)
        return false;
    *d = (struct descriptor){.selector = selector,
                             .addr = address_wrap(cpu, base + (selector & 0xfff8))};
    d->raw = system_load(cpu, d->addr, 8);
    unpack(d);
    return true;
}

void descriptor_fetch(struct vcpu *cpu, uint16_t selector, int vector, struct descriptor *d)
{
    if (!descriptor_read(cpu, selector, d))
        raise_selector(cpu, vector, selector);
}

bool descriptor_read_upper(struct vcpu *cpu, struct descriptor *d, uint64_t *upper)
{
    uint64_t base;
    uint32_t limit;
    if (!table_of(cpu, d->selector, &base, &limit) || (d->selector | 7u) + 8 > limit)
        return false;
    *upper = system_load(cpu, d->addr + 8, 8);
    d->base |= *upper << 32;
    return !(*upper >> 40 & 0x1f);
}

void descriptor_set_type(struct vcpu *cpu, struct descriptor *d, unsigned bits)
{
    if ((d->access & bits) == bits)
        return;
    d->access |= bits;
    gva_t addr = address_wrap(cpu, d->addr + 5);
    uint8_t *host = tlb_host(cpu, addr, ACCESS_WRITE, tlb_system_mmu(cpu));
    if (host)
        __atomic_fetch_or(host, (uint8_t)bits, __ATOMIC_SEQ_CST);
    else
        system_store(cpu, addr, (uint8_t)d->access, 1);
}

void descriptor_clear_busy(struct vcpu *cpu, uint16_t selector)
{
    gva_t addr = address_wrap(cpu, cpu->gdtr.base + (selector & 0xfff8) + 5);
    uint8_t *host = tlb_host(cpu, addr, ACCESS_WRITE, tlb_system_mmu(cpu));
    if (host)
        __atomic_fetch_and(host, (uint8_t)~2, __ATOMIC_SEQ_CST);
    else
        system_store(cpu, addr, system_load(cpu, addr, 1) & ~2ull, 1);
}

void segment_set(struct vcpu *cpu, enum segment_register seg, uint16_t selector,
                 struct descriptor *d)
{
    if (d->access & SEG_S)
        descriptor_set_type(cpu, d, TYPE_ACCESSED);
    cpu->seg[seg] = (struct segment){
        .selector = selector, .access = d->access, .limit = d->limit, .base = d->base};
}

void segment_set_null(struct vcpu *cpu, enum segment_register seg, uint16_t selector)
{
    /* SS keeps a DPL equal to CPL (64-bit mode runs with a null SS). */
    uint32_t dpl = seg == SEG_SS ? (uint32_t)(selector & 3) << 5 : 0;
    cpu->seg[seg] = (struct segment){.selector = selector, .access = SEG_UNUSABLE | dpl};
}

void segment_set_v86(struct vcpu *cpu, enum segment_register seg, uint16_t selector)
{
    cpu->seg[seg] = (struct segment){.selector = selector,
                                     .access = SEG_P | SEG_S | 3 << 5 | 3,
                                     .limit = 0xffff,
                                     .base = (uint64_t)selector << 4};
}

void segment_enter_code(struct vcpu *cpu, uint16_t selector, unsigned cpl, struct descriptor *d,
                        uint64_t rip)
{
    if (d) {
        segment_set(cpu, SEG_CS, (uint16_t)((selector & 0xfffc) | cpl), d);
        cpu->cpl = (uint8_t)cpl;
    } else {
        cpu->seg[SEG_CS].selector = selector;
        cpu->seg[SEG_CS].base = (uint64_t)selector << 4;
    }
    cpu->rip = rip;
    cpu_update_mode(cpu);
}

uint64_t descriptor_check_rip(struct vcpu *cpu, const struct descriptor *d, uint64_t rip)
{
    bool wide = cpu_long_mode(cpu) && d->access & SEG_L;
    if (!wide)
        rip = (uint32_t)rip;
    if (wide ? !address_canonical(rip) : rip > d->limit)
        cpu_raise_gp(cpu, 0);
    return rip;
}

void segment_drop_inner(struct vcpu *cpu)
{
    static const uint8_t data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    for (unsigned i = 0; i < ARRAY_LEN(data); i++) {
        const struct segment *seg = &cpu->seg[data[i]];
        if (seg->access & SEG_UNUSABLE) {
            /* A null selector's RPL goes too, as the processor does. */
            cpu->seg[data[i]].selector = 0;
            continue;
        }
        if ((seg->access >> 5 & 3) < cpu->cpl && !access_conforming_code(seg->access))
            segment_set_null(cpu, data[i], 0);
    }
}

bool segment_within(const struct segment *seg, uint64_t offset, unsigned size)
{
    uint64_t last = offset + size - 1;
    bool expand_down =
        (seg->access & (SEG_S | TYPE_CODE | TYPE_EXPAND_DOWN)) == (SEG_S | TYPE_EXPAND_DOWN);
    if (!expand_down)
        return last <= seg->limit;
    return offset > seg->limit && last <= (seg->access & SEG_DB ? 0xffffffffu : 0xffffu);
}

static uint64_t width_mask(unsigned width)
{
    return width == 8 ? UINT64_MAX : width == 4 ? 0xffffffffu : 0xffff;
}

struct stack stack_current(struct vcpu *cpu)
{
    return (struct stack){.cpu = cpu,
                          .ss = cpu->seg[SEG_SS],
                          .sp = cpu->gpr[RSP],
                          .mask = width_mask(cpu_stack_width(cpu)),
                          .mmu = cpu->mmu};
}

struct stack stack_inner(struct vcpu *cpu, const struct segment *ss, uint64_t sp, unsigned cpl,
                         bool wide)
{
    struct stack stack = {.cpu = cpu, .ss = *ss, .sp = sp, .error = ss->selector & 0xfffc};
    stack.mask = width_mask(wide ? 8 : ss->access & SEG_DB ? 4 : 2);
    if (cpl == 3)
        stack.mmu = MMU_USER;
    else
        stack.mmu = cpu->cpl < 3 ? cpu->mmu : tlb_system_mmu(cpu);
    return stack;
}

static gva_t stack_address(const struct stack *stack, unsigned size)
{
    uint64_t sp = stack->sp & stack->mask;
    if (stack->mask == UINT64_MAX) {
        if (!address_canonical(sp) || !address_canonical(sp + size - 1))
            cpu_raise(stack->cpu, VEC_SS, stack->error);
        return sp;
    }
    if (!segment_within(&stack->ss, sp, size))
        cpu_raise(stack->cpu, VEC_SS, stack->error);
    return (uint32_t)(stack->ss.base + sp);
}

void stack_push(struct stack *stack, uint64_t value, unsigned size)
{
    stack->sp = (stack->sp & ~stack->mask) | ((stack->sp - size) & stack->mask);
    gva_t addr = stack_address(stack, size);
    tlb_store(stack->cpu, addr, value, size, stack->mmu);
}

uint64_t stack_pop(struct stack *stack, unsigned size)
{
    uint64_t value = tlb_load(stack->cpu, stack_address(stack, size), size, stack->mmu);
    stack->sp = (stack->sp & ~stack->mask) | ((stack->sp + size) & stack->mask);
    return value;
}

void stack_push_selector(struct stack *stack, uint16_t selector, unsigned size)
{
    stack->sp = (stack->sp & ~stack->mask) | ((stack->sp - size) & stack->mask);
    tlb_store(stack->cpu, stack_address(stack, 2), selector, 2, stack->mmu);
}

uint16_t stack_pop_selector(struct stack *stack, unsigned size)
{
    uint64_t value = tlb_load(stack->cpu, stack_address(stack, 2), 2, stack->mmu);
    stack->sp = (stack->sp & ~stack->mask) | ((stack->sp + size) & stack->mask);
    return (uint16_t)value;
}

void stack_commit(const struct stack *stack)
{
    uint64_t *rsp = &stack->cpu->gpr[RSP];
    if (stack->mask == 0xffff)
        *rsp = (*rsp & ~0xffffull) | (stack->sp & 0xffff);
    else
        *rsp = stack->sp & stack->mask;
}

void stack_set_pointer(struct vcpu *cpu, uint64_t sp)
{
    struct stack stack = {.cpu = cpu, .sp = sp, .mask = width_mask(cpu_stack_width(cpu))};
    stack_commit(&stack);
}

void stack_from_tss(struct vcpu *cpu, unsigned level, struct descriptor *ss, uint64_t *sp)
{
    const struct segment *tr = &cpu->seg[SEG_TR];
    unsigned width = tr->access & 8 ? 4 : 2;
    unsigned offset = width + level * width * 2;
    if (tr->access & SEG_UNUSABLE || offset + width + 1 > tr->limit)
        raise_selector(cpu, VEC_TS, tr->selector);
    *sp = system_load(cpu, tr->base + offset, width);
    uint16_t selector = (uint16_t)system_load(cpu, tr->base + offset + width, 2);
    if (selector_null(selector))
        raise_selector(cpu, VEC_TS, selector);
    descriptor_fetch(cpu, selector, VEC_TS, ss);
    if ((selector & 3u) != level || descriptor_dpl(ss) != level ||
        !access_writable_data(ss->access))
        raise_selector(cpu, VEC_TS, selector);
    if (!descriptor_present(ss))
        raise_selector(cpu, VEC_SS, selector);
}

uint64_t stack_from_tss64(struct vcpu *cpu, unsigned level, unsigned ist)
{
    const struct segment *tr = &cpu->seg[SEG_TR];
    unsigned offset = ist ? 28 + ist * 8 : 4 + level * 8;
    if (tr->access & SEG_UNUSABLE || offset + 7 > tr->limit)
        raise_selector(cpu, VEC_TS, tr->selector);
    return system_load(cpu, tr->base + offset, 8);
}
