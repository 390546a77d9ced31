/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * XCHG XADD CMPXCHG CMPXCHG8B CMPXCHG16B. Vcpus of the interpreter take turns, so LOCK needs
 * nothing here beyond the check that Zydis makes of where it may stand.
 */
#include "engine/interp/integer.h"

#define EXCHANGE_SIZE(size, insn, mod)                                              \
    INLINE uint64_t add_##size(struct vcpu *cpu, uint64_t x, uint64_t y)            \
    {                                                                               \
        uint32_t cc = cpu->cc;                                                      \
        __asm__("add" insn " %" mod "[y], %" mod "[x]\n\t" FLAGS_OUT                \
                : [x] "+r"(x), "+&a"(cc)                                            \
                : [y] "r"(y)                                                        \
                : "cc");                                                            \
        cpu->cc = (uint16_t)cc;                                                     \
        return x;                                                                   \
    }                                                                               \
    static const struct op *xchg_r_##size(struct vcpu *cpu, const struct op *op)    \
    {                                                                               \
        uint64_t x = reg_get(cpu, op->rm, size), y = reg_get(cpu, op->reg, size);   \
        reg_set(cpu, op->rm, y, size);                                              \
        reg_set(cpu, op->reg, x, size);                                             \
        return op + 1;                                                              \
    }                                                                               \
    static const struct op *xchg_m_##size(struct vcpu *cpu, const struct op *op)    \
    {                                                                               \
        struct rmw rmw;                                                             \
        uint64_t x = rmw_begin(cpu, op, size, &rmw);                                \
        rmw_end(cpu, op, &rmw, reg_get(cpu, op->reg, size), size);                  \
        reg_set(cpu, op->reg, x, size);                                             \
        return op + 1;                                                              \
    }                                                                               \
    static const struct op *xadd_r_##size(struct vcpu *cpu, const struct op *op)    \
    {                                                                               \
        uint64_t x = reg_get(cpu, op->rm, size), y = reg_get(cpu, op->reg, size);   \
        uint64_t sum = add_##size(cpu, x, y);                                       \
        reg_set(cpu, op->reg, x, size);                                             \
        reg_set(cpu, op->rm, sum, size);                                            \
        return op + 1;                                                              \
    }                                                                               \
    static const struct op *xadd_m_##size(struct vcpu *cpu, const struct op *op)    \
    {                                                                               \
        struct rmw rmw;                                                             \
        uint64_t x = rmw_begin(cpu, op, size, &rmw);                                \
        uint64_t sum = add_##size(cpu, x, reg_get(cpu, op->reg, size));             \
        rmw_end(cpu, op, &rmw, sum, size);                                          \
        reg_set(cpu, op->reg, x, size);                                             \
        return op + 1;                                                              \
    }                                                                               \
    static const struct op *cmpxchg_r_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                               \
        uint64_t x = reg_get(cpu, op->rm, size), a = reg_get(cpu, RAX, size);       \
        flags_compare(cpu, a, x, size);                                             \
        if (a == x)                                                                 \
            reg_set(cpu, op->rm, reg_get(cpu, op->reg, size), size);                \
        else                                                                        \
            reg_set(cpu, RAX, x, size);                                             \
        return op + 1;                                                              \
    }                                                                               \
    static const struct op *cmpxchg_m_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                               \
        struct rmw rmw;                                                             \
        uint64_t x = rmw_begin(cpu, op, size, &rmw), a = reg_get(cpu, RAX, size);   \
        flags_compare(cpu, a, x, size);                                             \
        rmw_end(cpu, op, &rmw, a == x ? reg_get(cpu, op->reg, size) : x, size);     \
        if (a != x)                                                                 \
            reg_set(cpu, RAX, x, size);                                             \
        return op + 1;                                                              \
    }
EXCHANGE_SIZE(1, "b", "b")
EXCHANGE_SIZE(2, "w", "w")
EXCHANGE_SIZE(4, "l", "k")
EXCHANGE_SIZE(8, "q", "q")

enum { CC_ZF = 1 << 14 };

/* Two halves of `half` bytes each: EDX:EAX against memory, ECX:EBX into it. */
INLINE const struct op *cmpxchg_pair(struct vcpu *cpu, const struct op *op, unsigned half)
{
    gva_t addr = op_address(cpu, op, 2 * half, true);
    op_sync(cpu, op);
    if (half == 8 && addr & 15)
        cpu_raise_gp(cpu, 0);
    addr = op_linear(cpu, op, 2 * half, true); /* #SS or #GP if it is not canonical */
    tlb_check_write(cpu, addr, 2 * half, cpu->mmu);
    uint8_t memory[16], expected[16], wanted[16];
    tlb_read(cpu, addr, memory, 2 * half, cpu->mmu);
    store_le(expected, cpu->gpr[RAX], half);
    store_le(expected + half, cpu->gpr[RDX], half);
    store_le(wanted, cpu->gpr[RBX], half);
    store_le(wanted + half, cpu->gpr[RCX], half);
    bool equal = memcmp(memory, expected, 2 * half) == 0;
    tlb_write(cpu, addr, equal ? wanted : memory, 2 * half, cpu->mmu);
    if (equal) {
        cpu->cc |= CC_ZF;
    } else {
        cpu->cc &= ~(uint32_t)CC_ZF;
        cpu->gpr[RAX] = load_le(memory, half);
        cpu->gpr[RDX] = load_le(memory + half, half);
    }
    return op + 1;
}
static const struct op *cmpxchg8b(struct vcpu *cpu, const struct op *op)
{
    return cmpxchg_pair(cpu, op, 4);
}
static const struct op *cmpxchg16b(struct vcpu *cpu, const struct op *op)
{
    return cmpxchg_pair(cpu, op, 8);
}

bool decode_exchange(const struct decoded *d, struct op *op, bool *ends)
{
#define FORMS(name)                                        \
    {                                                      \
        {name##_r_1, name##_r_2, name##_r_4, name##_r_8},  \
        {                                                  \
            name##_m_1, name##_m_2, name##_m_4, name##_m_8 \
        }                                                  \
    }
    static const op_fn fns[3][2][4] = {FORMS(xchg), FORMS(xadd), FORMS(cmpxchg)};
    unsigned row;
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_XCHG:
        row = 0;
        break;
    case ZYDIS_MNEMONIC_XADD:
        row = 1;
        break;
    case ZYDIS_MNEMONIC_CMPXCHG:
        row = 2;
        break;
    case ZYDIS_MNEMONIC_CMPXCHG8B:
        if (decode_needs(d, op, CPU_CX8, ends))
            op->fn = cmpxchg8b;
        return true;
    case ZYDIS_MNEMONIC_CMPXCHG16B:
        if (decode_needs(d, op, CPU_CX16, ends))
            op->fn = cmpxchg16b;
        return true;
    default:
        return false;
    }
    enum form form = decode_form(d, op);
    /* XCHG may name its memory operand second: it is the same both ways. */
    op->fn = fns[row][form != FORM_RR][size_index(d->operands[0].size / 8)];
    return true;
}
