/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which x87 instruction has which handler: by the low three bits of the opcode (D8 to DF) and by
 * ModRM. Reference: Intel SDM volume 2 appendix A.5.
 */
#include "engine/interp/x87.h"

#include "cpu/model.h"

static bool set(struct op *op, enum x87_handler handler, unsigned reg, unsigned form)
{
    op->fn = x87_handlers[handler];
    op->reg = (uint8_t)reg;
    op->extra8 = (uint8_t)form;
    return true;
}

static bool decode_memory(struct op *op, unsigned opcode, unsigned reg)
{
    static const uint8_t types[4] = {X87_F32, X87_I32, X87_F64, X87_I16};
    unsigned type = types[opcode >> 1] << FORM_TYPE_SHIFT;
    if (!(opcode & 1))
        return set(op, X87_ARITHMETIC_MEMORY, reg, type | (reg == 3 ? FORM_POP : 0));
    switch (reg) {
    case 0:
        return set(op, X87_LOAD_MEMORY, 0, type);
    case 1:
        if (opcode == 5)
            type = X87_I64 << FORM_TYPE_SHIFT;
        return opcode != 1 && set(op, X87_STORE_MEMORY, 0, type | FORM_TRUNCATE | FORM_POP);
    case 2:
        return set(op, X87_STORE_MEMORY, 0, type);
    case 3:
        return set(op, X87_STORE_MEMORY, 0, type | FORM_POP);
    default:
        break;
    }
    switch (opcode << 3 | reg) {
    case 3 << 3 | 5:
        return set(op, X87_LOAD80, 0, 0);
    case 3 << 3 | 7:
        return set(op, X87_STORE80, 0, 0);
    case 7 << 3 | 4:
        return set(op, X87_LOAD_MEMORY, 0, X87_BCD << FORM_TYPE_SHIFT);
    case 7 << 3 | 5:
        return set(op, X87_LOAD_MEMORY, 0, X87_I64 << FORM_TYPE_SHIFT);
    case 7 << 3 | 6:
        return set(op, X87_STORE_MEMORY, 0, X87_BCD << FORM_TYPE_SHIFT | FORM_POP);
    case 7 << 3 | 7:
        return set(op, X87_STORE_MEMORY, 0, X87_I64 << FORM_TYPE_SHIFT | FORM_POP);
    default:
        return false;
    }
}

/* D9 E0-FF by the low five bits. */
static bool decode_d9(struct op *op, unsigned low)
{
    switch (low) {
    case 0x00:
    case 0x01:
    case 0x04:
    case 0x05:
    case 0x10:
    case 0x1a:
    case 0x1c:
    case 0x1e:
    case 0x1f:
        return set(op, X87_UNARY, low, 0);
    case 0x08:
    case 0x09:
    case 0x0a:
    case 0x0b:
    case 0x0c:
    case 0x0d:
    case 0x0e:
        return set(op, X87_CONSTANT, low, 0);
    case 0x11:
    case 0x13:
    case 0x19:
        return set(op, X87_BINARY, low, FORM_POP);
    case 0x15:
    case 0x18:
    case 0x1d:
        return set(op, X87_BINARY, low, 0);
    case 0x12:
    case 0x14:
    case 0x1b:
        return set(op, X87_PUSHING, low, 0);
    default:
        return false;
    }
}

static bool decode_register(struct op *op, unsigned opcode, unsigned reg)
{
    unsigned i = op->rm;
    switch (opcode) {
    case 0:
        return set(op, X87_ARITHMETIC, reg, reg == 3 ? FORM_POP : 0);
    case 1:
        if (reg == 0)
            return set(op, X87_LOAD_REGISTER, 0, 0);
        if (reg == 1)
            return set(op, X87_EXCHANGE, 0, 0);
        if (reg == 3)
            return set(op, X87_STORE_QUIETLY, 0, 0);
        return reg >= 4 && decode_d9(op, (reg - 4) << 3 | i);
    case 2:
        if (reg < 4)
            return set(op, X87_CONDITIONAL_MOVE, reg, 0);
        return reg == 5 && i == 1 && set(op, X87_ARITHMETIC, 2, FORM_QUIET | FORM_POP2);
    case 3:
        if (reg < 4)
            return set(op, X87_CONDITIONAL_MOVE, reg + 4, 0);
        return (reg == 5 || reg == 6) && set(op, X87_COMPARE_FLAGS, 0, reg == 5 ? FORM_QUIET : 0);
    case 4:
        if (reg == 2 || reg == 3)
            return set(op, X87_ARITHMETIC, reg, reg == 3 ? FORM_POP : 0);
        return set(op, X87_ARITHMETIC, reg, FORM_TO_STI);
    case 5:
        if (reg == 1)
            return set(op, X87_EXCHANGE, 0, 0);
        if (reg == 2 || reg == 3)
            return set(op, X87_STORE_REGISTER, 0, reg == 3 ? FORM_POP : 0);
        return (reg == 4 || reg == 5) &&
               set(op, X87_ARITHMETIC, 2, FORM_QUIET | (reg == 5 ? FORM_POP : 0));
    case 6:
        if (reg == 2)
            return set(op, X87_ARITHMETIC, 2, FORM_POP);
        if (reg == 3)
            return i == 1 && set(op, X87_ARITHMETIC, 2, FORM_POP2);
        return set(op, X87_ARITHMETIC, reg, FORM_TO_STI | FORM_POP);
    default:
        if (reg == 1)
            return set(op, X87_EXCHANGE, 0, 0);
        if (reg == 2 || reg == 3)
            return set(op, X87_STORE_REGISTER, 0, FORM_POP);
        return (reg == 5 || reg == 6) &&
               set(op, X87_COMPARE_FLAGS, 0, FORM_POP | (reg == 5 ? FORM_QUIET : 0));
    }
}

bool decode_x87(const struct decoded *d, struct op *op)
{
    const ZydisDecodedInstruction *insn = d->insn;
    bool wait = insn->mnemonic == ZYDIS_MNEMONIC_FWAIT;
    if (insn->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT || (!wait && (insn->opcode & 0xf8) != 0xd8))
        return false;
    if (insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return false;
    if (!cpu_model_has(d->cpu->model, CPU_FPU)) {
        op->fn = vector_undefined;
        return true;
    }
    unsigned opcode = insn->opcode & 7, reg = insn->raw.modrm.reg;
    unsigned modrm = insn->raw.modrm.mod << 6 | reg << 3 | insn->raw.modrm.rm;
    op->imm = (opcode << 8 | modrm) & 0x7ff;
    op->rm = insn->raw.modrm.rm;
    if (decode_x87_control(d, op, opcode << 3 | reg))
        return true;
    bool known = insn->raw.modrm.mod == 3 ? decode_register(op, opcode, reg)
                                          : decode_memory(op, opcode, reg);
    if (!known)
        op->fn = vector_undefined;
    return true;
}
