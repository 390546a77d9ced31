/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NEG NOT, ADCX ADOX: run on the host's own adder,
 * which so leaves its own flags.
 */
#include "engine/interp/integer.h"

/* name_size(cpu, x, y): the result; flags into cpu->cc. `before` prepares the carry. */
#define ALU_SIZE(name, insn, size, mod, before)                             \
    INLINE uint64_t name##_##size(struct vcpu *cpu, uint64_t x, uint64_t y) \
    {                                                                       \
        uint32_t cc = cpu->cc;                                              \
        __asm__(before insn " %" mod "[y], %" mod "[x]\n\t" FLAGS_OUT       \
                : [x] "+r"(x), "+&a"(cc)                                    \
                : [y] "r"(y)                                                \
                : "cc");                                                    \
        cpu->cc = (uint16_t)cc;                                             \
        return x;                                                           \
    }
#define ALU_ALL(name, insn, before)          \
    ALU_SIZE(name, insn "b", 1, "b", before) \
    ALU_SIZE(name, insn "w", 2, "w", before) \
    ALU_SIZE(name, insn "l", 4, "k", before) \
    ALU_SIZE(name, insn "q", 8, "q", before)

/* CF is bit 8 of cc. */
#define CARRY_IN "btl $8, %%eax\n\t"

ALU_ALL(add, "add", "")
ALU_ALL(or, "or", "")
ALU_ALL(adc, "adc", CARRY_IN)
ALU_ALL(sbb, "sbb", CARRY_IN)
ALU_ALL(and, "and", "")
ALU_ALL(sub, "sub", "")
ALU_ALL(xor, "xor", "")
ALU_ALL(cmp, "cmp", "")
ALU_ALL(test, "test", "")

#define UNARY_SIZE(name, insn, size, mod, before)                                            \
    INLINE uint64_t name##_##size(struct vcpu *cpu, uint64_t x)                              \
    {                                                                                        \
        uint32_t cc = cpu->cc;                                                               \
        __asm__(before insn " %" mod "[x]\n\t" FLAGS_OUT : [x] "+r"(x), "+&a"(cc) : : "cc"); \
        cpu->cc = (uint16_t)cc;                                                              \
        return x;                                                                            \
    }
#define UNARY_ALL(name, insn, before)          \
    UNARY_SIZE(name, insn "b", 1, "b", before) \
    UNARY_SIZE(name, insn "w", 2, "w", before) \
    UNARY_SIZE(name, insn "l", 4, "k", before) \
    UNARY_SIZE(name, insn "q", 8, "q", before)

UNARY_ALL(inc, "inc", CARRY_IN)
UNARY_ALL(dec, "dec", CARRY_IN)
UNARY_ALL(neg, "neg", "")

#define NOT_SIZE(size)                                       \
    INLINE uint64_t not_##size(struct vcpu *cpu, uint64_t x) \
    {                                                        \
        (void)cpu;                                           \
        return ~x;                                           \
    }
NOT_SIZE(1)
NOT_SIZE(2)
NOT_SIZE(4)
NOT_SIZE(8)

/* Handlers that write their destination, in five forms. */
#define WRITERS(name, size)                                                              \
    static const struct op *name##_rr_##size(struct vcpu *cpu, const struct op *op)      \
    {                                                                                    \
        uint64_t x = reg_get(cpu, op->rm, size);                                         \
        reg_set(cpu, op->rm, name##_##size(cpu, x, reg_get(cpu, op->reg, size)), size);  \
        return op + 1;                                                                   \
    }                                                                                    \
    static const struct op *name##_rm_##size(struct vcpu *cpu, const struct op *op)      \
    {                                                                                    \
        uint64_t y = op_load(cpu, op, size);                                             \
        reg_set(cpu, op->reg, name##_##size(cpu, reg_get(cpu, op->reg, size), y), size); \
        return op + 1;                                                                   \
    }                                                                                    \
    static const struct op *name##_mr_##size(struct vcpu *cpu, const struct op *op)      \
    {                                                                                    \
        struct rmw rmw;                                                                  \
        uint64_t x = rmw_begin(cpu, op, size, &rmw);                                     \
        x = name##_##size(cpu, x, reg_get(cpu, op->reg, size));                          \
        rmw_end(cpu, op, &rmw, x, size);                                                 \
        return op + 1;                                                                   \
    }                                                                                    \
    static const struct op *name##_ri_##size(struct vcpu *cpu, const struct op *op)      \
    {                                                                                    \
        uint64_t x = reg_get(cpu, op->rm, size);                                         \
        reg_set(cpu, op->rm, name##_##size(cpu, x, op->imm), size);                      \
        return op + 1;                                                                   \
    }                                                                                    \
    static const struct op *name##_mi_##size(struct vcpu *cpu, const struct op *op)      \
    {                                                                                    \
        struct rmw rmw;                                                                  \
        uint64_t x = rmw_begin(cpu, op, size, &rmw);                                     \
        rmw_end(cpu, op, &rmw, name##_##size(cpu, x, op->imm), size);                    \
        return op + 1;                                                                   \
    }

/* And those that only leave flags. */
#define COMPARERS(name, size)                                                        \
    static const struct op *name##_rr_##size(struct vcpu *cpu, const struct op *op)  \
    {                                                                                \
        name##_##size(cpu, reg_get(cpu, op->rm, size), reg_get(cpu, op->reg, size)); \
        return op + 1;                                                               \
    }                                                                                \
    static const struct op *name##_rm_##size(struct vcpu *cpu, const struct op *op)  \
    {                                                                                \
        uint64_t y = op_load(cpu, op, size);                                         \
        name##_##size(cpu, reg_get(cpu, op->reg, size), y);                          \
        return op + 1;                                                               \
    }                                                                                \
    static const struct op *name##_mr_##size(struct vcpu *cpu, const struct op *op)  \
    {                                                                                \
        uint64_t x = op_load(cpu, op, size);                                         \
        name##_##size(cpu, x, reg_get(cpu, op->reg, size));                          \
        return op + 1;                                                               \
    }                                                                                \
    static const struct op *name##_ri_##size(struct vcpu *cpu, const struct op *op)  \
    {                                                                                \
        name##_##size(cpu, reg_get(cpu, op->rm, size), op->imm);                     \
        return op + 1;                                                               \
    }                                                                                \
    static const struct op *name##_mi_##size(struct vcpu *cpu, const struct op *op)  \
    {                                                                                \
        name##_##size(cpu, op_load(cpu, op, size), op->imm);                         \
        return op + 1;                                                               \
    }

#define UNARIES(name, size)                                                         \
    static const struct op *name##_r_##size(struct vcpu *cpu, const struct op *op)  \
    {                                                                               \
        reg_set(cpu, op->rm, name##_##size(cpu, reg_get(cpu, op->rm, size)), size); \
        return op + 1;                                                              \
    }                                                                               \
    static const struct op *name##_m_##size(struct vcpu *cpu, const struct op *op)  \
    {                                                                               \
        struct rmw rmw;                                                             \
        uint64_t x = rmw_begin(cpu, op, size, &rmw);                                \
        rmw_end(cpu, op, &rmw, name##_##size(cpu, x), size);                        \
        return op + 1;                                                              \
    }

#define SIZES(make, name) make(name, 1) make(name, 2) make(name, 4) make(name, 8)
SIZES(WRITERS, add)
SIZES(WRITERS, or)
SIZES(WRITERS, adc)
SIZES(WRITERS, sbb)
SIZES(WRITERS, and)
SIZES(WRITERS, sub)
SIZES(WRITERS, xor)
SIZES(COMPARERS, cmp)
SIZES(COMPARERS, test)
SIZES(UNARIES, inc)
SIZES(UNARIES, dec)
SIZES(UNARIES, neg)
SIZES(UNARIES, not )

#define FORMS(name, form)                                                          \
    {                                                                              \
        name##_##form##_1, name##_##form##_2, name##_##form##_4, name##_##form##_8 \
    }
#define BINARY(name)                                                                        \
    {                                                                                       \
        FORMS(name, rr), FORMS(name, rm), FORMS(name, mr), FORMS(name, ri), FORMS(name, mi) \
    }
#define UNARY(name)                    \
    {                                  \
        FORMS(name, r), FORMS(name, m) \
    }

/* By enum form, then size. */
struct binary {
    ZydisMnemonic mnemonic;
    op_fn fns[5][4];
};
static const struct binary binaries[] = {
    {ZYDIS_MNEMONIC_ADD, BINARY(add)},   {ZYDIS_MNEMONIC_OR, BINARY(or)},
    {ZYDIS_MNEMONIC_ADC, BINARY(adc)},   {ZYDIS_MNEMONIC_SBB, BINARY(sbb)},
    {ZYDIS_MNEMONIC_AND, BINARY(and)},   {ZYDIS_MNEMONIC_SUB, BINARY(sub)},
    {ZYDIS_MNEMONIC_XOR, BINARY(xor)},   {ZYDIS_MNEMONIC_CMP, BINARY(cmp)},
    {ZYDIS_MNEMONIC_TEST, BINARY(test)},
};
struct unary {
    ZydisMnemonic mnemonic;
    op_fn fns[2][4];
};
static const struct unary unaries[] = {
    {ZYDIS_MNEMONIC_INC, UNARY(inc)},
    {ZYDIS_MNEMONIC_DEC, UNARY(dec)},
    {ZYDIS_MNEMONIC_NEG, UNARY(neg)},
    {ZYDIS_MNEMONIC_NOT, UNARY(not )},
};

/* ADCX and ADOX add through one flag and leave the others. flag: its bit in cc. */
INLINE const struct op *add_through(struct vcpu *cpu, const struct op *op, uint64_t y,
                                    unsigned size, unsigned flag)
{
    unsigned __int128 sum =
        (unsigned __int128)reg_get(cpu, op->reg, size) + y + (cpu->cc >> flag & 1);
    cpu->cc = (cpu->cc & ~(1u << flag)) | (uint32_t)(sum >> (8 * size) & 1) << flag;
    reg_set(cpu, op->reg, (uint64_t)sum, size);
    return op + 1;
}
#define ADD_THROUGH(name, flag, size)                                               \
    static const struct op *name##_rr_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                               \
        return add_through(cpu, op, reg_get(cpu, op->rm, size), size, flag);        \
    }                                                                               \
    static const struct op *name##_rm_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                               \
        return add_through(cpu, op, op_load(cpu, op, size), size, flag);            \
    }
ADD_THROUGH(adcx, 8, 4)
ADD_THROUGH(adcx, 8, 8)
ADD_THROUGH(adox, 0, 4)
ADD_THROUGH(adox, 0, 8)

static bool decode_adx(const struct decoded *d, struct op *op, bool *ends)
{
    static const op_fn fns[2][2][2] = {{{adcx_rr_4, adcx_rr_8}, {adcx_rm_4, adcx_rm_8}},
                                       {{adox_rr_4, adox_rr_8}, {adox_rm_4, adox_rm_8}}};
    if (!decode_needs(d, op, CPU_ADX, ends))
        return true;
    bool memory = d->operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
    op->reg = (uint8_t)decode_gpr(&d->operands[0]);
    if (!memory)
        op->rm = (uint8_t)decode_gpr(&d->operands[1]);
    op->fn = fns[d->insn->mnemonic == ZYDIS_MNEMONIC_ADOX][memory][d->operands[0].size == 64];
    return true;
}

bool decode_alu(const struct decoded *d, struct op *op, bool *ends)
{
    ZydisMnemonic mnemonic = d->insn->mnemonic;
    for (unsigned i = 0; i < ARRAY_LEN(binaries); i++)
        if (binaries[i].mnemonic == mnemonic) {
            enum form form = decode_form(d, op);
            op->fn = binaries[i].fns[form][size_index(d->operands[0].size / 8)];
            return true;
        }
    for (unsigned i = 0; i < ARRAY_LEN(unaries); i++)
        if (unaries[i].mnemonic == mnemonic) {
            enum form form = decode_form(d, op);
            op->fn = unaries[i].fns[form == FORM_M][size_index(d->operands[0].size / 8)];
            return true;
        }
    if (mnemonic == ZYDIS_MNEMONIC_ADCX || mnemonic == ZYDIS_MNEMONIC_ADOX)
        return decode_adx(d, op, ends);
    return false;
}
