/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/interp/access.h"

/* A segment that starts at 0, ends at 4 GiB and may be read and written: nothing to check. */
static bool flat(const struct segment *seg)
{
    return seg->base == 0 && seg->limit == 0xffffffff &&
           (seg->access & (SEG_UNUSABLE | SEG_P | SEG_S | 0xe)) == (SEG_P | SEG_S | 2);
}

gva_t op_segment_address(struct vcpu *cpu, const struct op *op, unsigned segment, uint64_t ea,
                         unsigned size, bool write)
{
    if (op->address_size == 4)
        ea = (uint32_t)ea;
    else if (op->address_size == 2)
        ea = (uint16_t)ea;
    const struct segment *seg = &cpu->seg[segment];
    if ((cpu->code_mode & CODE_SIZE) == CODE_64) {
        if (segment == SEG_FS || segment == SEG_GS)
            ea += seg->base;
        return ea;
    }
    if (flat(seg) && ea + size <= 0x100000000ull)
        return ea;
    op_sync(cpu, op);
    return cpu_linear(cpu, (enum segment_register)segment, ea, size, write);
}

gva_t op_address_slow(struct vcpu *cpu, const struct op *op, uint64_t ea, unsigned size, bool write)
{
    return op_segment_address(cpu, op, op->seg, ea, size, write);
}

/* A non-canonical address through the stack segment is #SS, not the #GP that the TLB would raise.
 */
static void check(struct vcpu *cpu, const struct op *op, gva_t addr, unsigned size, bool stack)
{
    gva_t last = addr + size - 1;
    op_sync(cpu, op);
    if ((cpu->code_mode & CODE_SIZE) == CODE_64 &&
        ((uint64_t)((int64_t)(addr << 16) >> 16) != addr ||
         (uint64_t)((int64_t)(last << 16) >> 16) != last))
        cpu_raise(cpu, stack ? VEC_SS : VEC_GP, 0);
}

uint64_t op_load_slow(struct vcpu *cpu, const struct op *op, gva_t addr, unsigned size)
{
    check(cpu, op, addr, size, op->seg == SEG_SS);
    return tlb_load_slow(cpu, addr, size, cpu->mmu);
}

void op_store_slow(struct vcpu *cpu, const struct op *op, gva_t addr, uint64_t value, unsigned size)
{
    check(cpu, op, addr, size, op->seg == SEG_SS);
    tlb_store_slow(cpu, addr, value, size, cpu->mmu);
}

uint64_t op_rmw_slow(struct vcpu *cpu, const struct op *op, gva_t addr, unsigned size)
{
    check(cpu, op, addr, size, op->seg == SEG_SS);
    tlb_check_write(cpu, addr, size, cpu->mmu);
    return tlb_load_slow(cpu, addr, size, cpu->mmu);
}

void op_push_slow(struct vcpu *cpu, const struct op *op, uint64_t value, unsigned size)
{
    op_sync(cpu, op);
    cpu_push(cpu, value, size);
}

uint64_t op_pop_slow(struct vcpu *cpu, const struct op *op, unsigned size)
{
    op_sync(cpu, op);
    return cpu_pop(cpu, size);
}
