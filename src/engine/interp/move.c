/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MOV MOVZX MOVSX LEA CMOVcc SETcc, sign extensions, XLAT.
 */
#include "engine/interp/integer.h"

#define MOV_SIZE(size)                                                                    \
    static const struct op *mov_rr_##size(struct vcpu *cpu, const struct op *op)          \
    {                                                                                     \
        reg_set(cpu, op->rm, reg_get(cpu, op->reg, size), size);                          \
        return op + 1;                                                                    \
    }                                                                                     \
    static const struct op *mov_rm_##size(struct vcpu *cpu, const struct op *op)          \
    {                                                                                     \
        reg_set(cpu, op->reg, op_load(cpu, op, size), size);                              \
        return op + 1;                                                                    \
    }                                                                                     \
    static const struct op *mov_mr_##size(struct vcpu *cpu, const struct op *op)          \
    {                                                                                     \
        op_store(cpu, op, reg_get(cpu, op->reg, size), size);                             \
        return op + 1;                                                                    \
    }                                                                                     \
    static const struct op *mov_ri_##size(struct vcpu *cpu, const struct op *op)          \
    {                                                                                     \
        reg_set(cpu, op->rm, op->imm, size);                                              \
        return op + 1;                                                                    \
    }                                                                                     \
    static const struct op *mov_mi_##size(struct vcpu *cpu, const struct op *op)          \
    {                                                                                     \
        op_store(cpu, op, op->imm, size);                                                 \
        return op + 1;                                                                    \
    }                                                                                     \
    /* MOV with a 64-bit offset: the address is imm, plus FS or GS. */                    \
    static const struct op *mov_from_offset_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                                     \
        uint64_t addr = op->imm + (op->seg >= SEG_FS ? cpu->seg[op->seg].base : 0);       \
        reg_set(cpu, RAX, op_load_at(cpu, op, addr, size), size);                         \
        return op + 1;                                                                    \
    }                                                                                     \
    static const struct op *mov_to_offset_##size(struct vcpu *cpu, const struct op *op)   \
    {                                                                                     \
        uint64_t addr = op->imm + (op->seg >= SEG_FS ? cpu->seg[op->seg].base : 0);       \
        op_store_at(cpu, op, addr, reg_get(cpu, RAX, size), size);                        \
        return op + 1;                                                                    \
    }
MOV_SIZE(1)
MOV_SIZE(2)
MOV_SIZE(4)
MOV_SIZE(8)

#define FORMS(name, form)                                                          \
    {                                                                              \
        name##_##form##_1, name##_##form##_2, name##_##form##_4, name##_##form##_8 \
    }
static const op_fn movs[5][4] = {FORMS(mov, rr), FORMS(mov, rm), FORMS(mov, mr), FORMS(mov, ri),
                                 FORMS(mov, mi)};
static const op_fn mov_offsets[2][4] = {FORMS(mov, from_offset), FORMS(mov, to_offset)};

static bool decode_mov(const struct decoded *d, struct op *op)
{
    const ZydisDecodedOperand *a = &d->operands[0], *b = &d->operands[1];
    /* Control, debug and segment registers are the system part's. */
    for (int i = 0; i < 2; i++)
        if (d->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
            ZydisRegisterClass class = ZydisRegisterGetClass(d->operands[i].reg.value);
            if (class == ZYDIS_REGCLASS_SEGMENT || class == ZYDIS_REGCLASS_CONTROL ||
                class == ZYDIS_REGCLASS_DEBUG || class == ZYDIS_REGCLASS_TEST)
                return false;
        }
    enum form form = decode_form(d, op);
    unsigned size = size_index(a->size / 8);
    op->fn = movs[form][size];
    uint8_t opcode = d->insn->opcode;
    bool offset_form =
        d->insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && opcode >= 0xa0 && opcode <= 0xa3;
    if (offset_form && d->code64 && op->address_size == 8) {
        const ZydisDecodedOperand *mem = form == FORM_RM ? b : a;
        op->imm = (uint64_t)mem->mem.disp.value;
        op->fn = mov_offsets[form == FORM_MR][size];
    }
    return true;
}

/* MOVZX, MOVSX, MOVSXD: from, to. */
#define EXTEND(name, from, to, type)                                                      \
    static const struct op *name##_r_##from##_##to(struct vcpu *cpu, const struct op *op) \
    {                                                                                     \
        reg_set(cpu, op->reg, (uint64_t)(type)reg_get(cpu, op->rm, from), to);            \
        return op + 1;                                                                    \
    }                                                                                     \
    static const struct op *name##_m_##from##_##to(struct vcpu *cpu, const struct op *op) \
    {                                                                                     \
        reg_set(cpu, op->reg, (uint64_t)(type)op_load(cpu, op, from), to);                \
        return op + 1;                                                                    \
    }
EXTEND(movzx, 1, 2, uint8_t)
EXTEND(movzx, 1, 4, uint8_t)
EXTEND(movzx, 1, 8, uint8_t)
EXTEND(movzx, 2, 2, uint16_t)
EXTEND(movzx, 2, 4, uint16_t)
EXTEND(movzx, 2, 8, uint16_t)
EXTEND(movsx, 1, 2, int8_t)
EXTEND(movsx, 1, 4, int8_t)
EXTEND(movsx, 1, 8, int8_t)
EXTEND(movsx, 2, 2, int16_t)
EXTEND(movsx, 2, 4, int16_t)
EXTEND(movsx, 2, 8, int16_t)
EXTEND(movsx, 4, 2, int32_t)
EXTEND(movsx, 4, 4, int32_t)
EXTEND(movsx, 4, 8, int32_t)

static void decode_extend(const struct decoded *d, struct op *op, bool sign)
{
#define TO(name, kind, from)                                                               \
    {                                                                                      \
        name##_##kind##_##from##_2, name##_##kind##_##from##_4, name##_##kind##_##from##_8 \
    }
    static const op_fn zero[2][2][3] = {{TO(movzx, r, 1), TO(movzx, r, 2)},
                                        {TO(movzx, m, 1), TO(movzx, m, 2)}};
    static const op_fn extend[2][3][3] = {{TO(movsx, r, 1), TO(movsx, r, 2), TO(movsx, r, 4)},
                                          {TO(movsx, m, 1), TO(movsx, m, 2), TO(movsx, m, 4)}};
    bool memory = d->operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
    unsigned from = size_index(d->operands[1].size / 8),
             to = size_index(d->operands[0].size / 8) - 1;
    if (from > to + 1)
        from = to + 1; /* MOVSXD r16: reads no more than it keeps (SDM 2B, MOVSXD) */
    op->reg = (uint8_t)decode_gpr(&d->operands[0]);
    if (!memory)
        op->rm = (uint8_t)decode_gpr(&d->operands[1]);
    op->fn = sign ? extend[memory][from][to] : zero[memory][from][to];
}

#define LEA_SIZE(size)                                                        \
    static const struct op *lea_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                         \
        reg_set(cpu, op->reg, op_offset(cpu, op), size);                      \
        return op + 1;                                                        \
    }
LEA_SIZE(2)
LEA_SIZE(4)
LEA_SIZE(8)
static const struct op *lea_direct(struct vcpu *cpu, const struct op *op)
{
    cpu->gpr[op->reg] =
        cpu->gpr[op->base] + (cpu->gpr[op->index] << op->shift) + (uint64_t)(int64_t)op->disp;
    return op + 1;
}

/* CMOVcc, SETcc: extra8 is the condition. A 32-bit CMOV clears the upper half either way. */
#define CMOV_SIZE(size)                                                          \
    static const struct op *cmov_r_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                            \
        unsigned from = cond_test(cpu->cc, op->extra8) ? op->rm : op->reg;       \
        reg_set(cpu, op->reg, reg_get(cpu, from, size), size);                   \
        return op + 1;                                                           \
    }                                                                            \
    static const struct op *cmov_m_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                            \
        uint64_t y = op_load(cpu, op, size);                                     \
        if (!cond_test(cpu->cc, op->extra8))                                     \
            y = reg_get(cpu, op->reg, size);                                     \
        reg_set(cpu, op->reg, y, size);                                          \
        return op + 1;                                                           \
    }
CMOV_SIZE(2)
CMOV_SIZE(4)
CMOV_SIZE(8)

static const struct op *setcc_r(struct vcpu *cpu, const struct op *op)
{
    reg_set(cpu, op->rm, cond_test(cpu->cc, op->extra8), 1);
    return op + 1;
}
static const struct op *setcc_m(struct vcpu *cpu, const struct op *op)
{
    op_store(cpu, op, cond_test(cpu->cc, op->extra8), 1);
    return op + 1;
}

static bool decode_conditional(const struct decoded *d, struct op *op, bool *ends)
{
    static const op_fn cmovs[2][3] = {{cmov_r_2, cmov_r_4, cmov_r_8},
                                      {cmov_m_2, cmov_m_4, cmov_m_8}};
    if (d->insn->opcode_map != ZYDIS_OPCODE_MAP_0F ||
        d->insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return false;
    uint8_t opcode = d->insn->opcode;
    op->extra8 = opcode & 15;
    if ((opcode & 0xf0) == 0x40) {
        if (!decode_needs(d, op, CPU_CMOV, ends))
            return true;
        bool memory = d->operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
        op->reg = (uint8_t)decode_gpr(&d->operands[0]);
        if (!memory)
            op->rm = (uint8_t)decode_gpr(&d->operands[1]);
        op->fn = cmovs[memory][size_index(d->operands[0].size / 8) - 1];
        return true;
    }
    if ((opcode & 0xf0) == 0x90) {
        bool memory = d->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
        if (!memory)
            op->rm = (uint8_t)decode_gpr(&d->operands[0]);
        op->fn = memory ? setcc_m : setcc_r;
        return true;
    }
    op->extra8 = 0;
    return false;
}

static const struct op *cbw(struct vcpu *cpu, const struct op *op)
{
    reg_set(cpu, RAX, (uint64_t)(int8_t)cpu->gpr[RAX], 2);
    return op + 1;
}
static const struct op *cwde(struct vcpu *cpu, const struct op *op)
{
    reg_set(cpu, RAX, (uint64_t)(int16_t)cpu->gpr[RAX], 4);
    return op + 1;
}
static const struct op *cdqe(struct vcpu *cpu, const struct op *op)
{
    cpu->gpr[RAX] = (uint64_t)(int32_t)cpu->gpr[RAX];
    return op + 1;
}
static const struct op *cwd(struct vcpu *cpu, const struct op *op)
{
    reg_set(cpu, RDX, cpu->gpr[RAX] & 0x8000 ? 0xffff : 0, 2);
    return op + 1;
}
static const struct op *cdq(struct vcpu *cpu, const struct op *op)
{
    cpu->gpr[RDX] = cpu->gpr[RAX] & 0x80000000u ? 0xffffffffu : 0;
    return op + 1;
}
static const struct op *cqo(struct vcpu *cpu, const struct op *op)
{
    cpu->gpr[RDX] = (uint64_t)((int64_t)cpu->gpr[RAX] >> 63);
    return op + 1;
}

static const struct op *xlat(struct vcpu *cpu, const struct op *op)
{
    uint64_t ea = cpu->gpr[RBX] + (uint8_t)cpu->gpr[RAX];
    gva_t addr = op->direct ? ea : op_address_slow(cpu, op, ea, 1, false);
    reg_set(cpu, RAX, op_load_at(cpu, op, addr, 1), 1);
    return op + 1;
}

bool decode_move(const struct decoded *d, struct op *op, bool *ends)
{
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
        return decode_mov(d, op);
    case ZYDIS_MNEMONIC_MOVNTI:
        if (decode_needs(d, op, CPU_SSE2, ends))
            op->fn = movs[decode_form(d, op)][size_index(d->operands[0].size / 8)];
        return true;
    case ZYDIS_MNEMONIC_MOVZX:
        decode_extend(d, op, false);
        return true;
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
        decode_extend(d, op, true);
        return true;
    case ZYDIS_MNEMONIC_LEA:
        op->reg = (uint8_t)decode_gpr(&d->operands[0]);
        op->fn = d->operands[0].size == 64   ? (op->address_size == 8 ? lea_direct : lea_8)
                 : d->operands[0].size == 32 ? lea_4
                                             : lea_2;
        return true;
    case ZYDIS_MNEMONIC_CBW:
        op->fn = cbw;
        return true;
    case ZYDIS_MNEMONIC_CWDE:
        op->fn = cwde;
        return true;
    case ZYDIS_MNEMONIC_CDQE:
        op->fn = cdqe;
        return true;
    case ZYDIS_MNEMONIC_CWD:
        op->fn = cwd;
        return true;
    case ZYDIS_MNEMONIC_CDQ:
        op->fn = cdq;
        return true;
    case ZYDIS_MNEMONIC_CQO:
        op->fn = cqo;
        return true;
    case ZYDIS_MNEMONIC_XLAT:
        op->fn = xlat;
        return true;
    default:
        return decode_conditional(d, op, ends);
    }
}
