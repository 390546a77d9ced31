/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Hardware task switches with 16- and 32-bit TSS: SDM 3A chapter 7. Up to the point where the new
 * task's registers are there, faults belong to the old task; afterwards to the new one.
 */
#include "cpu/segment.h"

#include "cpu/control.h"
#include "cpu/descriptor.h"

/* Where things lie in a TSS; entries of `width` bytes each. */
struct tss_layout {
    unsigned width, size;
    unsigned ip, flags, gpr, segments, segment_count, ldt;
};
static const struct tss_layout layout16 = {2, 0x2c, 0x0e, 0x10, 0x12, 0x22, 4, 0x2a};
static const struct tss_layout layout32 = {4, 0x68, 0x20, 0x24, 0x28, 0x48, 6, 0x60};
enum { TSS32_CR3 = 0x1c, TSS32_TRAP = 0x64, DR6_BT = 1 << 15 };

/* What a TSS holds. */
struct task {
    uint64_t ip, flags, gpr[8];
    uint16_t segments[6]; /* as enum segment_register: ES CS SS DS FS GS */
    uint16_t ldt;
    uint64_t cr3;
    bool trap;
};

static const struct tss_layout *layout_of(uint32_t access)
{
    return access & 8 ? &layout32 : &layout16;
}

static void task_load(struct vcpu *cpu, gva_t base, const struct tss_layout *at, struct task *task)
{
    *task = (struct task){0};
    task->ip = system_load(cpu, base + at->ip, at->width);
    task->flags = system_load(cpu, base + at->flags, at->width);
    for (unsigned i = 0; i < 8; i++)
        task->gpr[i] = system_load(cpu, base + at->gpr + i * at->width, at->width);
    for (unsigned i = 0; i < at->segment_count; i++)
        task->segments[i] = (uint16_t)system_load(cpu, base + at->segments + i * at->width, 2);
    task->ldt = (uint16_t)system_load(cpu, base + at->ldt, 2);
    if (at == &layout32) {
        task->cr3 = system_load(cpu, base + TSS32_CR3, 4);
        task->trap = system_load(cpu, base + TSS32_TRAP, 2) & 1;
    }
}

static void task_save(struct vcpu *cpu, const struct tss_layout *at, uint64_t ip, uint64_t flags)
{
    gva_t base = cpu->seg[SEG_TR].base;
    system_store(cpu, base + at->ip, ip, at->width);
    system_store(cpu, base + at->flags, flags, at->width);
    for (unsigned i = 0; i < 8; i++)
        system_store(cpu, base + at->gpr + i * at->width, cpu->gpr[i], at->width);
    for (unsigned i = 0; i < at->segment_count; i++)
        system_store(cpu, base + at->segments + i * at->width, cpu->seg[i].selector, 2);
}

/* Raises what writes to [addr, addr+length) would. */
static void check_write(struct vcpu *cpu, gva_t addr, unsigned length)
{
    tlb_check_write(cpu, address_wrap(cpu, addr), length, tlb_system_mmu(cpu));
}

static void load_ldt(struct vcpu *cpu, uint16_t selector)
{
    segment_set_null(cpu, SEG_LDTR, selector);
    if (selector_null(selector))
        return;
    struct descriptor d;
    if (selector & 4 || !descriptor_read(cpu, selector, &d) || d.access & SEG_S ||
        descriptor_type(&d) != SYS_LDT || !descriptor_present(&d))
        raise_selector(cpu, VEC_TS, selector);
    segment_set(cpu, SEG_LDTR, selector, &d);
}

static void load_code(struct vcpu *cpu, uint16_t selector)
{
    struct descriptor d;
    unsigned rpl = selector & 3;
    if (selector_null(selector) || !descriptor_read(cpu, selector, &d) || !access_code(d.access))
        raise_selector(cpu, VEC_TS, selector);
    unsigned dpl = descriptor_dpl(&d);
    if (d.access & TYPE_CONFORMING ? dpl > rpl : dpl != rpl)
        raise_selector(cpu, VEC_TS, selector);
    if (!descriptor_present(&d))
        raise_selector(cpu, VEC_NP, selector);
    segment_set(cpu, SEG_CS, selector, &d);
}

static void load_stack(struct vcpu *cpu, uint16_t selector)
{
    struct descriptor d;
    if (selector_null(selector) || !descriptor_read(cpu, selector, &d) ||
        !access_writable_data(d.access) || descriptor_dpl(&d) != cpu->cpl ||
        (selector & 3u) != cpu->cpl)
        raise_selector(cpu, VEC_TS, selector);
    if (!descriptor_present(&d))
        raise_selector(cpu, VEC_SS, selector);
    segment_set(cpu, SEG_SS, selector, &d);
}

static void load_data(struct vcpu *cpu, enum segment_register seg, uint16_t selector)
{
    struct descriptor d;
    if (selector_null(selector))
        return;
    descriptor_fetch(cpu, selector, VEC_TS, &d);
    unsigned dpl = descriptor_dpl(&d);
    if (!(d.access & SEG_S) || (d.access & (TYPE_CODE | TYPE_WRITABLE)) == TYPE_CODE)
        raise_selector(cpu, VEC_TS, selector);
    if (!access_conforming_code(d.access) && (dpl < cpu->cpl || dpl < (selector & 3u)))
        raise_selector(cpu, VEC_TS, selector);
    if (!descriptor_present(&d))
        raise_selector(cpu, VEC_NP, selector);
    segment_set(cpu, seg, selector, &d);
}

/* Registers of the new task, all but the hidden parts of its segments. */
static void enter_task(struct vcpu *cpu, const struct task *task, bool wide)
{
    if (wide && cpu->cr0 & CR0_PG)
        cpu_load_cr3(cpu, task->cr3);
    cpu->rip = task->ip;
    for (unsigned i = 0; i < 8; i++)
        cpu->gpr[i] = wide ? task->gpr[i] : (cpu->gpr[i] & 0xffff0000u) | task->gpr[i];
    bool v86 = task->flags & FLAG_VM;
    for (unsigned i = 0; i < 6; i++) {
        if (v86)
            segment_set_v86(cpu, i, task->segments[i]);
        else
            segment_set_null(cpu, i, task->segments[i]);
    }
    cpu->cpl = v86 ? 3 : task->segments[SEG_CS] & 3;
    cpu_set_rflags(cpu, task->flags);
    cpu->cr0 |= CR0_TS;
    cpu->dr[7] &= ~0x155ull; /* the local breakpoints */
    cpu_update_watch(cpu);
    if (task->trap) {
        cpu->pending_db |= DR6_BT;
        cpu_request(cpu, VCPU_REQ_DEBUG);
    }
    cpu_update_mode(cpu);
}

/* In the new task's name: the hidden parts. */
static void load_segments(struct vcpu *cpu, const struct task *task)
{
    load_ldt(cpu, task->ldt);
    if (!(task->flags & FLAG_VM)) {
        load_code(cpu, task->segments[SEG_CS]);
        cpu_update_mode(cpu);
        load_stack(cpu, task->segments[SEG_SS]);
        load_data(cpu, SEG_ES, task->segments[SEG_ES]);
        load_data(cpu, SEG_DS, task->segments[SEG_DS]);
        load_data(cpu, SEG_FS, task->segments[SEG_FS]);
        load_data(cpu, SEG_GS, task->segments[SEG_GS]);
    }
    cpu_update_mode(cpu);
}

void cpu_task_switch(struct vcpu *cpu, uint16_t selector, enum task_switch how, uint64_t next_rip,
                     bool has_error, uint32_t error)
{
    struct descriptor tss;
    struct task task;
    descriptor_fetch(cpu, selector, how == TASK_IRET ? VEC_TS : VEC_GP, &tss);
    const struct tss_layout *at = layout_of(tss.access);
    const struct tss_layout *old_at = layout_of(cpu->seg[SEG_TR].access);
    if (tss.limit < at->size - 1)
        raise_selector(cpu, VEC_TS, selector);
    bool nested = how == TASK_CALL || how == TASK_INT;
    uint16_t old = cpu->seg[SEG_TR].selector;
    uint64_t old_flags = cpu_rflags(cpu);
    if (how == TASK_IRET)
        old_flags &= ~(uint64_t)FLAG_NT;

    /* Whatever page fault there is comes now. */
    task_load(cpu, tss.base, at, &task);
    check_write(cpu, cpu->seg[SEG_TR].base, old_at->size);
    check_write(cpu, tss.addr, 8);
    check_write(cpu, cpu->gdtr.base + (old & 0xfff8), 8);
    if (nested)
        check_write(cpu, tss.base, 2);

    if (!nested)
        descriptor_clear_busy(cpu, old);
    task_save(cpu, old_at, next_rip, old_flags);
    if (nested) {
        system_store(cpu, tss.base, old, 2);
        task.flags |= FLAG_NT;
    }
    descriptor_set_type(cpu, &tss, 2);
    segment_set(cpu, SEG_TR, selector, &tss);

    enter_task(cpu, &task, at == &layout32);
    load_segments(cpu, &task);
    if (has_error)
        cpu_push(cpu, error, at->width);
    if (cpu->rip > cpu->seg[SEG_CS].limit)
        cpu_raise_gp(cpu, 0);
}
