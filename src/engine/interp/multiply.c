/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MUL IMUL MULX DIV IDIV. Flags that the manual leaves undefined are the host's: the old ones go
 * in, for processors that keep them.
 */
#include "engine/interp/integer.h"

/* rdx:rax = rax * y, as MUL and IMUL do it at each size. AX for bytes. */
#define MUL_SIZE(name, insn, size, mod)                                               \
    INLINE void name##_##size(struct vcpu *cpu, uint64_t y)                           \
    {                                                                                 \
        uint64_t cc = cpu->cc, low = cpu->gpr[RAX], high = 0;                         \
        __asm__("addb $127, %%al\n\t" FLAGS_IN "movq %[low], %%rax\n\t" insn " %" mod \
                "[y]\n\tmovq %%rax, %[low]\n\t" FLAGS_OUT                             \
                : "+&a"(cc), "+&d"(high), [low] "+&r"(low)                            \
                : [y] "r"(y)                                                          \
                : "cc");                                                              \
        cpu->cc = (uint16_t)cc;                                                       \
        if (size == 1) {                                                              \
            reg_set(cpu, RAX, low, 2);                                                \
        } else {                                                                      \
            reg_set(cpu, RAX, low, size);                                             \
            reg_set(cpu, RDX, high, size);                                            \
        }                                                                             \
    }                                                                                 \
    static const struct op *name##_r_##size(struct vcpu *cpu, const struct op *op)    \
    {                                                                                 \
        name##_##size(cpu, reg_get(cpu, op->rm, size));                               \
        return op + 1;                                                                \
    }                                                                                 \
    static const struct op *name##_m_##size(struct vcpu *cpu, const struct op *op)    \
    {                                                                                 \
        name##_##size(cpu, op_load(cpu, op, size));                                   \
        return op + 1;                                                                \
    }
#define MUL_ALL(name, insn)          \
    MUL_SIZE(name, insn "b", 1, "b") \
    MUL_SIZE(name, insn "w", 2, "w") \
    MUL_SIZE(name, insn "l", 4, "k") \
    MUL_SIZE(name, insn "q", 8, "q")
MUL_ALL(mul, "mul")
MUL_ALL(imul, "imul")

/* Two and three operands: reg = rm * (reg or imm). extra8: there is an immediate. */
#define IMUL_SIZE(size, insn, mod)                                                            \
    INLINE const struct op *imul_to_##size(struct vcpu *cpu, const struct op *op, uint64_t x) \
    {                                                                                         \
        uint64_t y = op->extra8 ? op->imm : reg_get(cpu, op->reg, size);                      \
        uint32_t cc = cpu->cc;                                                                \
        __asm__("addb $127, %%al\n\t" FLAGS_IN insn " %" mod "[y], %" mod "[x]\n\t" FLAGS_OUT \
                : [x] "+r"(x), "+&a"(cc)                                                      \
                : [y] "r"(y)                                                                  \
                : "cc");                                                                      \
        cpu->cc = (uint16_t)cc;                                                               \
        reg_set(cpu, op->reg, x, size);                                                       \
        return op + 1;                                                                        \
    }                                                                                         \
    static const struct op *imul_rr_##size(struct vcpu *cpu, const struct op *op)             \
    {                                                                                         \
        return imul_to_##size(cpu, op, reg_get(cpu, op->rm, size));                           \
    }                                                                                         \
    static const struct op *imul_rm_##size(struct vcpu *cpu, const struct op *op)             \
    {                                                                                         \
        return imul_to_##size(cpu, op, op_load(cpu, op, size));                               \
    }
IMUL_SIZE(2, "imulw", "w")
IMUL_SIZE(4, "imull", "k")
IMUL_SIZE(8, "imulq", "q")

static void divide_error(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_raise(cpu, VEC_DE, 0);
}

INLINE const struct op *divide(struct vcpu *cpu, const struct op *op, uint64_t y, unsigned size)
{
    unsigned bits = size * 8;
    uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
    unsigned __int128 x;
    if (size == 1)
        x = (uint16_t)cpu->gpr[RAX];
    else
        x = (unsigned __int128)(cpu->gpr[RDX] & mask) << bits | (cpu->gpr[RAX] & mask);
    if (y == 0 || x >> bits >= y)
        divide_error(cpu, op);
    uint64_t quotient, rest;
    if (size == 8) {
        uint64_t low = (uint64_t)x, high = (uint64_t)(x >> 64);
        __asm__("divq %[y]" : "+a"(low), "+d"(high) : [y] "r"(y) : "cc");
        quotient = low;
        rest = high;
    } else {
        quotient = (uint64_t)x / y;
        rest = (uint64_t)x % y;
    }
    if (size == 1) {
        reg_set(cpu, RAX, (quotient & 0xff) | (rest & 0xff) << 8, 2);
    } else {
        reg_set(cpu, RAX, quotient, size);
        reg_set(cpu, RDX, rest, size);
    }
    return op + 1;
}

INLINE const struct op *divide_signed(struct vcpu *cpu, const struct op *op, uint64_t raw,
                                      unsigned size)
{
    unsigned bits = size * 8;
    int64_t y = (int64_t)(raw << (64 - bits)) >> (64 - bits);
    __int128 x;
    if (size == 1)
        x = (int16_t)cpu->gpr[RAX];
    else if (size == 8)
        x = (__int128)((unsigned __int128)cpu->gpr[RDX] << 64 | cpu->gpr[RAX]);
    else if (size == 4)
        x = (int64_t)(cpu->gpr[RDX] << 32 | (uint32_t)cpu->gpr[RAX]);
    else
        x = (int32_t)((uint32_t)cpu->gpr[RDX] << 16 | (uint16_t)cpu->gpr[RAX]);
    if (y == 0)
        divide_error(cpu, op);
    /* By magnitudes: the most negative dividend has no positive twin in its own type. */
    unsigned __int128 ux = x < 0 ? -(unsigned __int128)x : (unsigned __int128)x;
    uint64_t uy = y < 0 ? -(uint64_t)y : (uint64_t)y;
    unsigned __int128 quotient, rest;
    if (ux >> 64 == 0) {
        quotient = (uint64_t)ux / uy;
        rest = (uint64_t)ux % uy;
    } else {
        quotient = ux / uy;
        rest = ux % uy;
    }
    bool negative = (x < 0) != (y < 0);
    unsigned __int128 limit = (unsigned __int128)1 << (bits - 1);
    if (quotient > limit || (quotient == limit && !negative))
        divide_error(cpu, op);
    uint64_t q = negative ? -(uint64_t)quotient : (uint64_t)quotient;
    uint64_t r = x < 0 ? -(uint64_t)rest : (uint64_t)rest;
    if (size == 1) {
        reg_set(cpu, RAX, (q & 0xff) | (r & 0xff) << 8, 2);
    } else {
        reg_set(cpu, RAX, q, size);
        reg_set(cpu, RDX, r, size);
    }
    return op + 1;
}

#define DIV_SIZE(size)                                                           \
    static const struct op *div_r_##size(struct vcpu *cpu, const struct op *op)  \
    {                                                                            \
        return divide(cpu, op, reg_get(cpu, op->rm, size), size);                \
    }                                                                            \
    static const struct op *div_m_##size(struct vcpu *cpu, const struct op *op)  \
    {                                                                            \
        return divide(cpu, op, op_load(cpu, op, size), size);                    \
    }                                                                            \
    static const struct op *idiv_r_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                            \
        return divide_signed(cpu, op, reg_get(cpu, op->rm, size), size);         \
    }                                                                            \
    static const struct op *idiv_m_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                            \
        return divide_signed(cpu, op, op_load(cpu, op, size), size);             \
    }
DIV_SIZE(1)
DIV_SIZE(2)
DIV_SIZE(4)
DIV_SIZE(8)

/* MULX: reg (high) and reg3 (low) = rdx * source. The high half wins when both are one register. */
INLINE const struct op *mulx(struct vcpu *cpu, const struct op *op, uint64_t y, unsigned size)
{
    unsigned __int128 product = (unsigned __int128)reg_get(cpu, RDX, size) * y;
    reg_set(cpu, op->reg3, (uint64_t)product, size);
    reg_set(cpu, op->reg, (uint64_t)(product >> (8 * size)), size);
    return op + 1;
}
#define MULX_SIZE(size)                                                          \
    static const struct op *mulx_r_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                            \
        return mulx(cpu, op, reg_get(cpu, op->rm, size), size);                  \
    }                                                                            \
    static const struct op *mulx_m_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                            \
        return mulx(cpu, op, op_load(cpu, op, size), size);                      \
    }
MULX_SIZE(4)
MULX_SIZE(8)

static bool decode_mulx(const struct decoded *d, struct op *op, bool *ends)
{
    if (!decode_needs(d, op, CPU_BMI2, ends))
        return true;
    bool memory = d->operands[2].type == ZYDIS_OPERAND_TYPE_MEMORY;
    op->reg = (uint8_t)decode_gpr(&d->operands[0]);
    op->reg3 = (uint8_t)decode_gpr(&d->operands[1]);
    if (!memory)
        op->rm = (uint8_t)decode_gpr(&d->operands[2]);
    if (d->operands[0].size == 64)
        op->fn = memory ? mulx_m_8 : mulx_r_8;
    else
        op->fn = memory ? mulx_m_4 : mulx_r_4;
    return true;
}

/* IMUL with a destination of its own. */
static void decode_imul(const struct decoded *d, struct op *op)
{
    static const op_fn fns[2][3] = {{imul_rr_2, imul_rr_4, imul_rr_8},
                                    {imul_rm_2, imul_rm_4, imul_rm_8}};
    bool memory = d->operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
    op->reg = (uint8_t)decode_gpr(&d->operands[0]);
    if (!memory)
        op->rm = (uint8_t)decode_gpr(&d->operands[1]);
    if (d->insn->operand_count_visible > 2 && d->operands[2].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        op->extra8 = 1;
        op->imm = d->operands[2].imm.value.u;
    }
    op->fn = fns[memory][size_index(d->operands[0].size / 8) - 1];
}

bool decode_multiply(const struct decoded *d, struct op *op, bool *ends)
{
#define FORMS(name)                                        \
    {                                                      \
        {name##_r_1, name##_r_2, name##_r_4, name##_r_8},  \
        {                                                  \
            name##_m_1, name##_m_2, name##_m_4, name##_m_8 \
        }                                                  \
    }
    static const op_fn fns[4][2][4] = {FORMS(mul), FORMS(imul), FORMS(div), FORMS(idiv)};
    unsigned row;
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_MUL:
        row = 0;
        break;
    case ZYDIS_MNEMONIC_IMUL:
        if (d->insn->opcode != 0xf6 && d->insn->opcode != 0xf7) {
            decode_imul(d, op);
            return true;
        }
        row = 1;
        break;
    case ZYDIS_MNEMONIC_DIV:
        row = 2;
        break;
    case ZYDIS_MNEMONIC_IDIV:
        row = 3;
        break;
    case ZYDIS_MNEMONIC_MULX:
        return decode_mulx(d, op, ends);
    default:
        return false;
    }
    bool memory = d->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
    if (!memory)
        op->rm = (uint8_t)decode_gpr(&d->operands[0]);
    op->fn = fns[row][memory][size_index(d->operands[0].size / 8)];
    return true;
}
