/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Registers and memory operands for the interpreter's handlers. Sizes are constants at each call,
 * so that each handler has only its own case left.
 */
#ifndef ENGINE_INTERP_ACCESS_H
#define ENGINE_INTERP_ACCESS_H

#include "engine/interp/internal.h"

#define INLINE static inline __attribute__((always_inline))

/* Register operands: byte registers by byte offset, others by number (interp.h). */
INLINE uint64_t reg_get(struct vcpu *cpu, unsigned reg, unsigned size)
{
    switch (size) {
    case 1:
        return *op_reg8(cpu, (uint8_t)reg);
    case 2:
        return (uint16_t)cpu->gpr[reg];
    case 4:
        return (uint32_t)cpu->gpr[reg];
    default:
        return cpu->gpr[reg];
    }
}

INLINE void reg_set(struct vcpu *cpu, unsigned reg, uint64_t value, unsigned size)
{
    switch (size) {
    case 1:
        *op_reg8(cpu, (uint8_t)reg) = (uint8_t)value;
        break;
    case 2:
        store_le16(&cpu->gpr[reg], (uint16_t)value);
        break;
    case 4:
        cpu->gpr[reg] = (uint32_t)value;
        break;
    default:
        cpu->gpr[reg] = value;
    }
}

/* access.c: what the fast paths below leave. */
gva_t op_address_slow(struct vcpu *cpu, const struct op *op, uint64_t ea, unsigned size,
                      bool write);
/* Offset `ea` (cut here to the address size) in a segment, as op_address does it. */
gva_t op_segment_address(struct vcpu *cpu, const struct op *op, unsigned segment, uint64_t ea,
                         unsigned size, bool write);
uint64_t op_load_slow(struct vcpu *cpu, const struct op *op, gva_t addr, unsigned size);
void op_store_slow(struct vcpu *cpu, const struct op *op, gva_t addr, uint64_t value,
                   unsigned size);
uint64_t op_rmw_slow(struct vcpu *cpu, const struct op *op, gva_t addr, unsigned size);

/* The parts of the memory operand's address, before they are cut to the address size. */
INLINE uint64_t op_sum(const struct vcpu *cpu, const struct op *op)
{
    return cpu->gpr[op->base] + (cpu->gpr[op->index] << op->shift) + (uint64_t)(int64_t)op->disp;
}

/* Linear address of the memory operand. */
INLINE gva_t op_address(struct vcpu *cpu, const struct op *op, unsigned size, bool write)
{
    uint64_t ea = op_sum(cpu, op);
    if (__builtin_expect(op->direct, 1))
        return ea;
    return op_address_slow(cpu, op, ea, size, write);
}

INLINE uint64_t host_load(const void *host, unsigned size)
{
    switch (size) {
    case 1:
        return *(const uint8_t *)host;
    case 2:
        return load_le16(host);
    case 4:
        return load_le32(host);
    default:
        return load_le64(host);
    }
}

INLINE void host_store(void *host, uint64_t value, unsigned size)
{
    switch (size) {
    case 1:
        *(uint8_t *)host = (uint8_t)value;
        break;
    case 2:
        store_le16(host, (uint16_t)value);
        break;
    case 4:
        store_le32(host, (uint32_t)value);
        break;
    default:
        store_le64(host, value);
    }
}

INLINE uint64_t op_load_at(struct vcpu *cpu, const struct op *op, gva_t addr, unsigned size)
{
    const struct tlb_entry *entry = &cpu->tlb[cpu->mmu][tlb_slot(addr)];
    if (__builtin_expect(tlb_hit(cpu, entry, addr, size, ACCESS_READ), 1))
        return host_load((const void *)(uintptr_t)(addr + entry->delta), size);
    return op_load_slow(cpu, op, addr, size);
}

INLINE void op_store_at(struct vcpu *cpu, const struct op *op, gva_t addr, uint64_t value,
                        unsigned size)
{
    const struct tlb_entry *entry = &cpu->tlb[cpu->mmu][tlb_slot(addr)];
    if (__builtin_expect(tlb_hit(cpu, entry, addr, size, ACCESS_WRITE), 1))
        host_store((void *)(uintptr_t)(addr + entry->delta), value, size);
    else
        op_store_slow(cpu, op, addr, value, size);
}

INLINE uint64_t op_load(struct vcpu *cpu, const struct op *op, unsigned size)
{
    return op_load_at(cpu, op, op_address(cpu, op, size, false), size);
}

INLINE void op_store(struct vcpu *cpu, const struct op *op, uint64_t value, unsigned size)
{
    op_store_at(cpu, op, op_address(cpu, op, size, true), value, size);
}

/* Read, modify, write: begin checks that the page may be written, then reads. host is NULL when the
 * end must go the slow way. */
struct rmw {
    gva_t addr;
    void *host;
};

INLINE uint64_t rmw_begin(struct vcpu *cpu, const struct op *op, unsigned size, struct rmw *rmw)
{
    rmw->addr = op_address(cpu, op, size, true);
    const struct tlb_entry *entry = &cpu->tlb[cpu->mmu][tlb_slot(rmw->addr)];
    if (__builtin_expect(tlb_hit(cpu, entry, rmw->addr, size, ACCESS_WRITE), 1)) {
        rmw->host = (void *)(uintptr_t)(rmw->addr + entry->delta);
        return host_load(rmw->host, size);
    }
    rmw->host = NULL;
    return op_rmw_slow(cpu, op, rmw->addr, size);
}

INLINE void rmw_end(struct vcpu *cpu, const struct op *op, const struct rmw *rmw, uint64_t value,
                    unsigned size)
{
    if (__builtin_expect(rmw->host != NULL, 1))
        host_store(rmw->host, value, size);
    else
        op_store_slow(cpu, op, rmw->addr, value, size);
}

/* The stack. Faults leave RSP alone. */
void op_push_slow(struct vcpu *cpu, const struct op *op, uint64_t value, unsigned size);
uint64_t op_pop_slow(struct vcpu *cpu, const struct op *op, unsigned size);

/* A 32-bit stack segment from 0 to 4 GiB: ESP is the linear address. */
INLINE bool stack_flat(const struct vcpu *cpu)
{
    const struct segment *ss = &cpu->seg[SEG_SS];
    return ss->base == 0 && ss->limit == 0xffffffff &&
           (ss->access & (SEG_UNUSABLE | SEG_DB | SEG_P | SEG_S | 0xe)) ==
               (SEG_DB | SEG_P | SEG_S | 2);
}

/* Where the stack goes on at sp, if that needs no segment's checks and the TLB has it; else NULL.
 */
INLINE void *stack_host(struct vcpu *cpu, uint64_t sp, unsigned size, enum access_type type)
{
    bool code64 = (cpu->code_mode & CODE_SIZE) == CODE_64;
    if (!__builtin_expect(code64, 1) && (!stack_flat(cpu) || sp > UINT32_MAX))
        return NULL;
    const struct tlb_entry *entry = &cpu->tlb[cpu->mmu][tlb_slot(sp)];
    if (__builtin_expect(tlb_hit(cpu, entry, sp, size, type), 1))
        return (void *)(uintptr_t)(sp + entry->delta);
    return NULL;
}

INLINE void op_push(struct vcpu *cpu, const struct op *op, uint64_t value, unsigned size)
{
    uint64_t sp = cpu->gpr[RSP] - size;
    void *host = stack_host(cpu, sp, size, ACCESS_WRITE);
    if (__builtin_expect(host != NULL, 1)) {
        host_store(host, value, size);
        cpu->gpr[RSP] = sp;
        return;
    }
    op_push_slow(cpu, op, value, size);
}

INLINE uint64_t op_pop(struct vcpu *cpu, const struct op *op, unsigned size)
{
    uint64_t sp = cpu->gpr[RSP];
    const void *host = stack_host(cpu, sp, size, ACCESS_READ);
    if (__builtin_expect(host != NULL, 1)) {
        cpu->gpr[RSP] = (cpu->code_mode & CODE_SIZE) == CODE_64 ? sp + size : (uint32_t)(sp + size);
        return host_load(host, size);
    }
    return op_pop_slow(cpu, op, size);
}

/* Condition codes as in Jcc's low 4 bits, from cpu->cc. */
INLINE bool cond_test(uint32_t cc, unsigned condition)
{
    enum { CF = 1 << 8, PF = 1 << 10, ZF = 1 << 14, SF = 1 << 15, OF = 1 };
    bool sf_ne_of = (cc >> 15 & 1) != (cc & OF);
    bool result;
    switch (condition >> 1) {
    case 0:
        result = cc & OF;
        break;
    case 1:
        result = cc & CF;
        break;
    case 2:
        result = cc & ZF;
        break;
    case 3:
        result = cc & (CF | ZF);
        break;
    case 4:
        result = cc & SF;
        break;
    case 5:
        result = cc & PF;
        break;
    case 6:
        result = sf_ne_of;
        break;
    default:
        result = sf_ne_of || cc & ZF;
    }
    return result != (condition & 1);
}

#endif
