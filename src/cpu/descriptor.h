/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Descriptors and stacks, as far transfers, exceptions and task switches use them: what segment.c,
 * far.c, iret.c, exception.c and task.c share. SDM 3A chapters 3, 5 and 6.
 */
#ifndef CPU_DESCRIPTOR_H
#define CPU_DESCRIPTOR_H

#include "cpu/exception.h"
#include "cpu/segment.h"
#include "cpu/tlb.h"

/* Types of system descriptors (S = 0). */
enum system_type {
    SYS_TSS16 = 1,
    SYS_LDT = 2,
    SYS_TSS16_BUSY = 3,
    SYS_CALL16 = 4,
    SYS_TASK_GATE = 5,
    SYS_INT16 = 6,
    SYS_TRAP16 = 7,
    SYS_TSS32 = 9,
    SYS_TSS32_BUSY = 11,
    SYS_CALL32 = 12,
    SYS_INT32 = 14,
    SYS_TRAP32 = 15,
};
/* Bits of the type of code and data descriptors (S = 1). */
enum {
    TYPE_ACCESSED = 1,
    TYPE_WRITABLE = 2, /* data; code: readable */
    TYPE_EXPAND_DOWN = 4,
    TYPE_CONFORMING = 4,
    TYPE_CODE = 8,
};

/* A descriptor as it lies in a table: raw, and unpacked as a segment would have it. Gates use only
 * raw and access. */
struct descriptor {
    uint16_t selector;
    gva_t addr; /* of the descriptor */
    uint64_t raw;
    uint32_t access;
    uint32_t limit;
    uint64_t base;
};

static inline bool selector_null(uint16_t selector)
{
    return !(selector & 0xfffc);
}

static inline unsigned descriptor_dpl(const struct descriptor *d)
{
    return d->access >> 5 & 3;
}

static inline unsigned descriptor_type(const struct descriptor *d)
{
    return d->access & SEG_TYPE;
}

static inline bool descriptor_present(const struct descriptor *d)
{
    return d->access & SEG_P;
}

static inline bool access_code(uint32_t access)
{
    return (access & (SEG_S | TYPE_CODE)) == (SEG_S | TYPE_CODE);
}

static inline bool access_conforming_code(uint32_t access)
{
    uint32_t bits = SEG_S | TYPE_CODE | TYPE_CONFORMING;
    return (access & bits) == bits;
}

static inline bool access_writable_data(uint32_t access)
{
    return (access & (SEG_S | TYPE_CODE | TYPE_WRITABLE)) == (SEG_S | TYPE_WRITABLE);
}

static inline bool address_canonical(gva_t addr)
{
    return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

/* Addresses outside long mode are 32 bits wide. */
static inline gva_t address_wrap(const struct vcpu *cpu, gva_t addr)
{
    return cpu_long_mode(cpu) ? addr : (uint32_t)addr;
}

/* Reads the selector's descriptor from the GDT or LDT; false if it lies outside the table. #PF. */
bool descriptor_read(struct vcpu *cpu, uint16_t selector, struct descriptor *d);
/* The same, raising `vector` with the selector when it lies outside. */
void descriptor_fetch(struct vcpu *cpu, uint16_t selector, int vector, struct descriptor *d);
/* Long mode: the upper half of a 16-byte system descriptor; completes base. False: outside the
 * table, or its type field is not zero. */
bool descriptor_read_upper(struct vcpu *cpu, struct descriptor *d, uint64_t *upper);
/* Sets bits of the type in memory and in *d, atomically, if they are not set: accessed, busy. */
void descriptor_set_type(struct vcpu *cpu, struct descriptor *d, unsigned bits);
void descriptor_clear_busy(struct vcpu *cpu, uint16_t selector);

/* The hidden part from *d; with `selector` as the visible part. Marks the descriptor accessed. */
void segment_set(struct vcpu *cpu, enum segment_register seg, uint16_t selector,
                 struct descriptor *d);
void segment_set_null(struct vcpu *cpu, enum segment_register seg, uint16_t selector);
/* CS (with RPL = cpl) and CPL, rip; cpu_update_mode. d NULL: real and V86 mode. */
void segment_enter_code(struct vcpu *cpu, uint16_t selector, unsigned cpl, struct descriptor *d,
                        uint64_t rip);
/* rip as the code segment d has it: 32 bits but in 64-bit code. #GP(0) if it is no place in d. */
uint64_t descriptor_check_rip(struct vcpu *cpu, const struct descriptor *d, uint64_t rip);
/* Data segments that the new CPL may not see become null (outer returns). */
void segment_drop_inner(struct vcpu *cpu);
/* ES, DS, FS, GS or SS as virtual-8086 mode has them. */
void segment_set_v86(struct vcpu *cpu, enum segment_register seg, uint16_t selector);
/* May [offset, offset+size) be reached in seg, by limit alone? */
bool segment_within(const struct segment *seg, uint64_t offset, unsigned size);

/* A stack that is being pushed to or popped from; nothing is committed until stack_commit. */
struct stack {
    struct vcpu *cpu;
    struct segment ss;
    uint64_t sp;
    uint64_t mask; /* of sp: 16, 32 or 64 bits */
    unsigned mmu;
    uint32_t error; /* of #SS */
};
/* The stack as it is now. */
struct stack stack_current(struct vcpu *cpu);
/* The stack that a far transfer to level cpl switches to. wide: 64-bit. */
struct stack stack_inner(struct vcpu *cpu, const struct segment *ss, uint64_t sp, unsigned cpl,
                         bool wide);
void stack_push(struct stack *stack, uint64_t value, unsigned size);
uint64_t stack_pop(struct stack *stack, unsigned size);
/* A selector in a slot of `size` bytes: only its two bytes are touched. */
void stack_push_selector(struct stack *stack, uint16_t selector, unsigned size);
uint16_t stack_pop_selector(struct stack *stack, unsigned size);
void stack_commit(const struct stack *stack);
/* RSP becomes sp, as wide as SS and the code segment have it. */
void stack_set_pointer(struct vcpu *cpu, uint64_t sp);

/* SS:SP of an inner level from the TSS, with every check; *ss is the descriptor to load. */
void stack_from_tss(struct vcpu *cpu, unsigned level, struct descriptor *ss, uint64_t *sp);
/* RSP from the 64-bit TSS: ist 1..7, or 0 for the level's. */
uint64_t stack_from_tss64(struct vcpu *cpu, unsigned level, unsigned ist);

/* A system structure: descriptor tables, TSS. */
uint64_t system_load(struct vcpu *cpu, gva_t addr, unsigned size);
void system_store(struct vcpu *cpu, gva_t addr, uint64_t value, unsigned size);

/* What RET and IRET share (far.c): the checks of the CS popped; those of the SS popped (false: a
 * null SS that is allowed); and the way into an outer level, or to any with a new stack (ss NULL:
 * null). return_enter commits; its faults come first. */
void return_check_code(struct vcpu *cpu, uint16_t selector, struct descriptor *d);
bool return_check_stack(struct vcpu *cpu, uint16_t selector, const struct descriptor *code,
                        struct descriptor *ss);
void return_enter(struct vcpu *cpu, struct descriptor *code, uint16_t ss_selector,
                  struct descriptor *ss, uint64_t rip, uint64_t sp);

/* The checks of a TSS selector as target of a jump, call or task gate: vector is raised. */
void task_check(struct vcpu *cpu, uint16_t selector, int vector);

static inline _Noreturn void raise_selector(struct vcpu *cpu, int vector, uint16_t selector)
{
    cpu_raise(cpu, vector, selector & 0xfffc);
}

#endif
