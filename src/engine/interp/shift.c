/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ROL ROR RCL RCR SHL SHR SAR, SHLD SHRD, and BMI2's SHLX SHRX SARX RORX.
 */
#include "engine/interp/integer.h"

/* A count of 0 (after masking) changes nothing, flags included. */
#define SHIFT_SIZE(name, insn, size, mod)                                                        \
    INLINE uint64_t name##_##size(struct vcpu *cpu, uint64_t x, uint64_t y)                      \
    {                                                                                            \
        uint8_t count = y & (size == 8 ? 63 : 31);                                               \
        if (count == 0)                                                                          \
            return x;                                                                            \
        uint32_t cc = cpu->cc;                                                                   \
        /* Rotates keep all flags but CF and OF: SAHF brings the old ones, and OF by the add. */ \
        __asm__("addb $127, %%al\n\t" FLAGS_IN insn " %%cl, %" mod "[x]\n\t" FLAGS_OUT           \
                : [x] "+r"(x), "+&a"(cc)                                                         \
                : "c"(count)                                                                     \
                : "cc");                                                                         \
        cpu->cc = (uint16_t)cc;                                                                  \
        return x;                                                                                \
    }
#define SHIFT_ALL(name, insn)          \
    SHIFT_SIZE(name, insn "b", 1, "b") \
    SHIFT_SIZE(name, insn "w", 2, "w") \
    SHIFT_SIZE(name, insn "l", 4, "k") \
    SHIFT_SIZE(name, insn "q", 8, "q")

SHIFT_ALL(rol, "rol")
SHIFT_ALL(ror, "ror")
SHIFT_ALL(rcl, "rcl")
SHIFT_ALL(rcr, "rcr")
SHIFT_ALL(shl, "shl")
SHIFT_ALL(shr, "shr")
SHIFT_ALL(sar, "sar")

/* By immediate or by CL. */
#define SHIFTERS(name, size)                                                        \
    static const struct op *name##_ri_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                               \
        uint64_t x = reg_get(cpu, op->rm, size);                                    \
        reg_set(cpu, op->rm, name##_##size(cpu, x, op->imm), size);                 \
        return op + 1;                                                              \
    }                                                                               \
    static const struct op *name##_mi_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                               \
        struct rmw rmw;                                                             \
        uint64_t x = rmw_begin(cpu, op, size, &rmw);                                \
        rmw_end(cpu, op, &rmw, name##_##size(cpu, x, op->imm), size);               \
        return op + 1;                                                              \
    }                                                                               \
    static const struct op *name##_rr_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                               \
        uint64_t x = reg_get(cpu, op->rm, size);                                    \
        reg_set(cpu, op->rm, name##_##size(cpu, x, cpu->gpr[RCX]), size);           \
        return op + 1;                                                              \
    }                                                                               \
    static const struct op *name##_mr_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                               \
        struct rmw rmw;                                                             \
        uint64_t x = rmw_begin(cpu, op, size, &rmw);                                \
        rmw_end(cpu, op, &rmw, name##_##size(cpu, x, cpu->gpr[RCX]), size);         \
        return op + 1;                                                              \
    }
#define SIZES(make, name) make(name, 1) make(name, 2) make(name, 4) make(name, 8)
SIZES(SHIFTERS, rol)
SIZES(SHIFTERS, ror)
SIZES(SHIFTERS, rcl)
SIZES(SHIFTERS, rcr)
SIZES(SHIFTERS, shl)
SIZES(SHIFTERS, shr)
SIZES(SHIFTERS, sar)

#define FORMS(name, form)                                                          \
    {                                                                              \
        name##_##form##_1, name##_##form##_2, name##_##form##_4, name##_##form##_8 \
    }
#define SHIFT(name)                                                        \
    {                                                                      \
        FORMS(name, rr), FORMS(name, mr), FORMS(name, ri), FORMS(name, mi) \
    }
struct shift {
    ZydisMnemonic mnemonic;
    op_fn fns[4][4];
};
static const struct shift shifts[] = {
    {ZYDIS_MNEMONIC_ROL, SHIFT(rol)}, {ZYDIS_MNEMONIC_ROR, SHIFT(ror)},
    {ZYDIS_MNEMONIC_RCL, SHIFT(rcl)}, {ZYDIS_MNEMONIC_RCR, SHIFT(rcr)},
    {ZYDIS_MNEMONIC_SHL, SHIFT(shl)}, {ZYDIS_MNEMONIC_SHR, SHIFT(shr)},
    {ZYDIS_MNEMONIC_SAR, SHIFT(sar)},
};

/* SHLD, SHRD: 16-bit counts over 16 are undefined; the host decides. */
#define DOUBLE_SIZE(name, insn, size, mod)                                                 \
    INLINE uint64_t name##_##size(struct vcpu *cpu, uint64_t x, uint64_t y, uint8_t count) \
    {                                                                                      \
        count &= size == 8 ? 63 : 31;                                                      \
        if (count == 0)                                                                    \
            return x;                                                                      \
        uint32_t cc = cpu->cc;                                                             \
        __asm__("addb $127, %%al\n\t" FLAGS_IN insn " %%cl, %" mod "[y], %" mod            \
                "[x]\n\t" FLAGS_OUT                                                        \
                : [x] "+r"(x), "+&a"(cc)                                                   \
                : [y] "r"(y), "c"(count)                                                   \
                : "cc");                                                                   \
        cpu->cc = (uint16_t)cc;                                                            \
        return x;                                                                          \
    }                                                                                      \
    static const struct op *name##_r_##size(struct vcpu *cpu, const struct op *op)         \
    {                                                                                      \
        uint8_t count = op->extra8 ? (uint8_t)cpu->gpr[RCX] : (uint8_t)op->imm;            \
        uint64_t x = reg_get(cpu, op->rm, size);                                           \
        uint64_t y = reg_get(cpu, op->reg, size);                                          \
        reg_set(cpu, op->rm, name##_##size(cpu, x, y, count), size);                       \
        return op + 1;                                                                     \
    }                                                                                      \
    static const struct op *name##_m_##size(struct vcpu *cpu, const struct op *op)         \
    {                                                                                      \
        uint8_t count = op->extra8 ? (uint8_t)cpu->gpr[RCX] : (uint8_t)op->imm;            \
        struct rmw rmw;                                                                    \
        uint64_t x = rmw_begin(cpu, op, size, &rmw);                                       \
        uint64_t y = reg_get(cpu, op->reg, size);                                          \
        rmw_end(cpu, op, &rmw, name##_##size(cpu, x, y, count), size);                     \
        return op + 1;                                                                     \
    }
DOUBLE_SIZE(shld, "shldw", 2, "w")
DOUBLE_SIZE(shld, "shldl", 4, "k")
DOUBLE_SIZE(shld, "shldq", 8, "q")
DOUBLE_SIZE(shrd, "shrdw", 2, "w")
DOUBLE_SIZE(shrd, "shrdl", 4, "k")
DOUBLE_SIZE(shrd, "shrdq", 8, "q")

static void decode_double(const struct decoded *d, struct op *op)
{
    static const op_fn fns[2][2][3] = {
        {{shld_r_2, shld_r_4, shld_r_8}, {shld_m_2, shld_m_4, shld_m_8}},
        {{shrd_r_2, shrd_r_4, shrd_r_8}, {shrd_m_2, shrd_m_4, shrd_m_8}}};
    enum form form = decode_form(d, op);
    op->extra8 = d->operands[2].type == ZYDIS_OPERAND_TYPE_REGISTER;
    op->imm = d->operands[2].imm.value.u;
    op->fn = fns[d->insn->mnemonic == ZYDIS_MNEMONIC_SHRD][form == FORM_MR]
                [size_index(d->operands[0].size / 8) - 1];
}

/* BMI2: three operands, no flags. reg = destination, rm = source, reg3 = count. */
enum { SHLX, SHRX, SARX, RORX };
INLINE const struct op *shift_x(struct vcpu *cpu, const struct op *op, uint64_t x, unsigned size)
{
    unsigned mask = size * 8 - 1;
    unsigned count = (op->extra8 == RORX ? (unsigned)op->imm : (unsigned)cpu->gpr[op->reg3]) & mask;
    uint64_t result;
    switch (op->extra8) {
    case SHLX:
        result = x << count;
        break;
    case SHRX:
        result = x >> count;
        break;
    case SARX:
        result = size == 8 ? (uint64_t)((int64_t)x >> count) : (uint32_t)((int32_t)x >> count);
        break;
    default:
        result = count ? x >> count | x << (size * 8 - count) : x;
    }
    reg_set(cpu, op->reg, result, size);
    return op + 1;
}
#define SHIFT_X(size)                                                               \
    static const struct op *shift_x_r_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                               \
        return shift_x(cpu, op, reg_get(cpu, op->rm, size), size);                  \
    }                                                                               \
    static const struct op *shift_x_m_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                               \
        return shift_x(cpu, op, op_load(cpu, op, size), size);                      \
    }
SHIFT_X(4)
SHIFT_X(8)

static bool decode_shift_x(const struct decoded *d, struct op *op, bool *ends, uint8_t what)
{
    if (!decode_needs(d, op, CPU_BMI2, ends))
        return true;
    bool memory = d->operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
    op->extra8 = what;
    op->reg = (uint8_t)decode_gpr(&d->operands[0]);
    if (!memory)
        op->rm = (uint8_t)decode_gpr(&d->operands[1]);
    if (what == RORX)
        op->imm = d->operands[2].imm.value.u;
    else
        op->reg3 = (uint8_t)decode_gpr(&d->operands[2]);
    if (d->operands[0].size == 64)
        op->fn = memory ? shift_x_m_8 : shift_x_r_8;
    else
        op->fn = memory ? shift_x_m_4 : shift_x_r_4;
    return true;
}

bool decode_shift(const struct decoded *d, struct op *op, bool *ends)
{
    ZydisMnemonic mnemonic = d->insn->mnemonic;
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
        decode_double(d, op);
        return true;
    case ZYDIS_MNEMONIC_SHLX:
        return decode_shift_x(d, op, ends, SHLX);
    case ZYDIS_MNEMONIC_SHRX:
        return decode_shift_x(d, op, ends, SHRX);
    case ZYDIS_MNEMONIC_SARX:
        return decode_shift_x(d, op, ends, SARX);
    case ZYDIS_MNEMONIC_RORX:
        return decode_shift_x(d, op, ends, RORX);
    default:
        break;
    }
    for (unsigned i = 0; i < ARRAY_LEN(shifts); i++)
        if (shifts[i].mnemonic == mnemonic) {
            enum form form = decode_form(d, op);
            unsigned row = form == FORM_RR ? 0 : form == FORM_MR ? 1 : form == FORM_RI ? 2 : 3;
            op->fn = shifts[i].fns[row][size_index(d->operands[0].size / 8)];
            return true;
        }
    return false;
}
