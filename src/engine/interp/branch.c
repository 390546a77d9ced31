/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Near JMP CALL RET, Jcc, LOOP, JCXZ. Far transfers are the system part's.
 */
#include "engine/interp/integer.h"

/* A rip made by a branch of this operand size. */
INLINE uint64_t cut(const struct op *op, uint64_t rip)
{
    if (__builtin_expect(op->size == 8, 1))
        return rip;
    return op->size == 4 ? (uint32_t)rip : (uint16_t)rip;
}

/* Direct branches: disp is the target's distance from the next instruction. */
INLINE uint64_t target(const struct vcpu *cpu, const struct op *op)
{
    return cut(op, op_next_rip(cpu, op) + (uint64_t)(int64_t)op->disp);
}
INLINE const struct op *taken(struct vcpu *cpu, const struct op *op)
{
    return go_direct(cpu, op, 0, target(cpu, op));
}
INLINE const struct op *not_taken(struct vcpu *cpu, const struct op *op)
{
    return go_direct(cpu, op, 1, rip_wrap(cpu, op_next_rip(cpu, op)));
}

static const struct op *jmp(struct vcpu *cpu, const struct op *op)
{
    return taken(cpu, op);
}

#define JCC(n)                                                              \
    static const struct op *jcc_##n(struct vcpu *cpu, const struct op *op)  \
    {                                                                       \
        return cond_test(cpu->cc, n) ? taken(cpu, op) : not_taken(cpu, op); \
    }
JCC(0)
JCC(1)
JCC(2)
JCC(3)
JCC(4)
JCC(5)
JCC(6)
JCC(7)
JCC(8)
JCC(9)
JCC(10)
JCC(11)
JCC(12)
JCC(13)
JCC(14)
JCC(15)
static const op_fn jccs[16] = {jcc_0, jcc_1, jcc_2,  jcc_3,  jcc_4,  jcc_5,  jcc_6,  jcc_7,
                               jcc_8, jcc_9, jcc_10, jcc_11, jcc_12, jcc_13, jcc_14, jcc_15};

static uint64_t counter(const struct vcpu *cpu, const struct op *op)
{
    uint64_t rcx = cpu->gpr[RCX];
    return op->address_size == 8 ? rcx : op->address_size == 4 ? (uint32_t)rcx : (uint16_t)rcx;
}

static const struct op *jcxz(struct vcpu *cpu, const struct op *op)
{
    return counter(cpu, op) == 0 ? taken(cpu, op) : not_taken(cpu, op);
}

/* extra8: 0 LOOP, 1 LOOPE, 2 LOOPNE. */
static const struct op *loop(struct vcpu *cpu, const struct op *op)
{
    bool zf = cpu->cc >> 14 & 1;
    bool go = counter(cpu, op) != 1 && (op->extra8 == 0 || zf == (op->extra8 == 1));
    if (go) /* a fault leaves the counter as it was */
        go_check(cpu, op, target(cpu, op), cpu->gpr[RSP]);
    reg_set(cpu, RCX, cpu->gpr[RCX] - 1, op->address_size);
    return go ? taken(cpu, op) : not_taken(cpu, op);
}

#define NEAR_SIZE(size)                                                                          \
    static const struct op *call_##size(struct vcpu *cpu, const struct op *op)                   \
    {                                                                                            \
        uint64_t rsp = cpu->gpr[RSP];                                                            \
        op_push(cpu, op, op_next_rip(cpu, op), size);                                            \
        go_check(cpu, op, target(cpu, op), rsp);                                                 \
        return taken(cpu, op);                                                                   \
    }                                                                                            \
    static const struct op *call_r_##size(struct vcpu *cpu, const struct op *op)                 \
    {                                                                                            \
        uint64_t target = reg_get(cpu, op->rm, size);                                            \
        uint64_t rsp = cpu->gpr[RSP];                                                            \
        op_push(cpu, op, op_next_rip(cpu, op), size);                                            \
        return go_to(cpu, op, target, rsp);                                                      \
    }                                                                                            \
    static const struct op *call_m_##size(struct vcpu *cpu, const struct op *op)                 \
    {                                                                                            \
        uint64_t target = op_load(cpu, op, size);                                                \
        uint64_t rsp = cpu->gpr[RSP];                                                            \
        op_push(cpu, op, op_next_rip(cpu, op), size);                                            \
        return go_to(cpu, op, target, rsp);                                                      \
    }                                                                                            \
    static const struct op *jmp_r_##size(struct vcpu *cpu, const struct op *op)                  \
    {                                                                                            \
        return go_to(cpu, op, reg_get(cpu, op->rm, size), cpu->gpr[RSP]);                        \
    }                                                                                            \
    static const struct op *jmp_m_##size(struct vcpu *cpu, const struct op *op)                  \
    {                                                                                            \
        return go_to(cpu, op, op_load(cpu, op, size), cpu->gpr[RSP]);                            \
    }                                                                                            \
    static const struct op *ret_##size(struct vcpu *cpu, const struct op *op)                    \
    {                                                                                            \
        uint64_t rsp = cpu->gpr[RSP], target = op_pop(cpu, op, size);                            \
        if (op->imm) {                                                                           \
            unsigned width = (cpu->code_mode & CODE_SIZE) == CODE_64 ? 8 : cpu_stack_width(cpu); \
            reg_set(cpu, RSP, cpu->gpr[RSP] + op->imm, width);                                   \
        }                                                                                        \
        return go_to(cpu, op, target, rsp);                                                      \
    }
NEAR_SIZE(2)
NEAR_SIZE(4)
NEAR_SIZE(8)

#define BY_SIZE(name)                \
    {                                \
        name##_2, name##_4, name##_8 \
    }
static const op_fn calls[3][3] = {BY_SIZE(call), BY_SIZE(call_r), BY_SIZE(call_m)};
static const op_fn jmps[3][3] = {{jmp, jmp, jmp}, BY_SIZE(jmp_r), BY_SIZE(jmp_m)};
static const op_fn rets[3] = BY_SIZE(ret);

/* Row 0 relative, 1 register, 2 memory. */
static unsigned target_kind(const struct decoded *d, struct op *op)
{
    const ZydisDecodedOperand *a = &d->operands[0];
    if (a->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        op->disp = (int32_t)a->imm.value.s;
        return 0;
    }
    if (a->type == ZYDIS_OPERAND_TYPE_MEMORY)
        return 2;
    op->rm = (uint8_t)decode_gpr(a);
    return 1;
}

/* Condition of a Jcc, or -1. */
static int condition(const struct decoded *d)
{
    uint8_t opcode = d->insn->opcode;
    bool one_byte = d->insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (opcode & 0xf0) == 0x70;
    bool two_byte = d->insn->opcode_map == ZYDIS_OPCODE_MAP_0F && (opcode & 0xf0) == 0x80 &&
                    d->insn->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
    return one_byte || two_byte ? opcode & 15 : -1;
}

bool decode_branch(const struct decoded *d, struct op *op, bool *ends)
{
    if (d->insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
        return false;
    uint8_t size = d->code64 ? 8 : (uint8_t)(d->insn->operand_width / 8);
    int row = condition(d);
    if (row >= 0) {
        target_kind(d, op);
        op->fn = jccs[row];
        op->size = size;
        *ends = true;
        return true;
    }
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_JMP:
        op->fn = jmps[target_kind(d, op)][size_index(size) - 1];
        break;
    case ZYDIS_MNEMONIC_CALL:
        op->fn = calls[target_kind(d, op)][size_index(size) - 1];
        break;
    case ZYDIS_MNEMONIC_RET:
        op->imm = 0;
        if (d->operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
            op->imm = (uint16_t)d->operands[0].imm.value.u;
        op->fn = rets[size_index(size) - 1];
        break;
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ:
        target_kind(d, op);
        op->fn = jcxz;
        break;
    case ZYDIS_MNEMONIC_LOOP:
    case ZYDIS_MNEMONIC_LOOPE:
    case ZYDIS_MNEMONIC_LOOPNE:
        target_kind(d, op);
        op->extra8 = d->insn->mnemonic == ZYDIS_MNEMONIC_LOOP    ? 0
                     : d->insn->mnemonic == ZYDIS_MNEMONIC_LOOPE ? 1
                                                                 : 2;
        op->fn = loop;
        break;
    default:
        return false;
    }
    op->size = size;
    *ends = true;
    return true;
}
