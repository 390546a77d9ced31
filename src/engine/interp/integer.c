/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/interp/integer.h"

enum form decode_form(const struct decoded *d, struct op *op)
{
    unsigned count = d->insn->operand_count_visible;
    const ZydisDecodedOperand *a = &d->operands[0], *b = &d->operands[1];
    if (count == 0)
        return FORM_OTHER;
    bool reg = a->type == ZYDIS_OPERAND_TYPE_REGISTER;
    bool mem = a->type == ZYDIS_OPERAND_TYPE_MEMORY;
    if (!reg && !mem)
        return FORM_OTHER;
    if (reg)
        op->rm = (uint8_t)decode_gpr(a);
    if (count == 1)
        return reg ? FORM_R : FORM_M;
    switch (b->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
        op->reg = (uint8_t)decode_gpr(b);
        return reg ? FORM_RR : FORM_MR;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        op->reg = op->rm;
        return FORM_RM;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        op->imm = b->imm.value.u;
        return reg ? FORM_RI : FORM_MI;
    default:
        return FORM_OTHER;
    }
}

static const struct op *op_missing(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_raise_ud(cpu);
}

bool decode_needs(const struct decoded *d, struct op *op, enum cpu_feature feature, bool *ends)
{
    if (cpu_model_has(d->cpu->model, feature))
        return true;
    op->fn = op_missing;
    *ends = true;
    return false;
}

void flags_compare(struct vcpu *cpu, uint64_t x, uint64_t y, unsigned size)
{
    uint32_t cc;
    switch (size) {
    case 1:
        __asm__("cmpb %b[y], %b[x]\n\t" FLAGS_OUT : "=&a"(cc) : [x] "r"(x), [y] "r"(y) : "cc");
        break;
    case 2:
        __asm__("cmpw %w[y], %w[x]\n\t" FLAGS_OUT : "=&a"(cc) : [x] "r"(x), [y] "r"(y) : "cc");
        break;
    case 4:
        __asm__("cmpl %k[y], %k[x]\n\t" FLAGS_OUT : "=&a"(cc) : [x] "r"(x), [y] "r"(y) : "cc");
        break;
    default:
        __asm__("cmpq %[y], %[x]\n\t" FLAGS_OUT : "=&a"(cc) : [x] "r"(x), [y] "r"(y) : "cc");
    }
    cpu->cc = (uint16_t)cc;
}

bool decode_integer(const struct decoded *d, struct op *op, bool *ends)
{
    return decode_move(d, op, ends) || decode_alu(d, op, ends) || decode_branch(d, op, ends) ||
           decode_stack(d, op, ends) || decode_shift(d, op, ends) || decode_multiply(d, op, ends) ||
           decode_bits(d, op, ends) || decode_exchange(d, op, ends) || decode_string(d, op, ends) ||
           decode_flags(d, op, ends);
}
