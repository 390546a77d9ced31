/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PUSH POP PUSHA POPA ENTER LEAVE.
 */
#include "engine/interp/integer.h"

#define STACK_SIZE(size)                                                                         \
    static const struct op *push_r_##size(struct vcpu *cpu, const struct op *op)                 \
    {                                                                                            \
        op_push(cpu, op, reg_get(cpu, op->rm, size), size);                                      \
        return op + 1;                                                                           \
    }                                                                                            \
    static const struct op *push_i_##size(struct vcpu *cpu, const struct op *op)                 \
    {                                                                                            \
        op_push(cpu, op, op->imm, size);                                                         \
        return op + 1;                                                                           \
    }                                                                                            \
    static const struct op *push_m_##size(struct vcpu *cpu, const struct op *op)                 \
    {                                                                                            \
        op_push(cpu, op, op_load(cpu, op, size), size);                                          \
        return op + 1;                                                                           \
    }                                                                                            \
    static const struct op *pop_r_##size(struct vcpu *cpu, const struct op *op)                  \
    {                                                                                            \
        reg_set(cpu, op->rm, op_pop(cpu, op, size), size);                                       \
        return op + 1;                                                                           \
    }                                                                                            \
    /* The address is made with the stack pointer as it is after the pop, and a fault leaves it  \
     * as it was. */                                                                             \
    static const struct op *pop_m_##size(struct vcpu *cpu, const struct op *op)                  \
    {                                                                                            \
        uint64_t before = cpu->gpr[RSP];                                                         \
        uint64_t value = op_pop(cpu, op, size);                                                  \
        uint64_t after = cpu->gpr[RSP];                                                          \
        uint64_t ea = op_sum(cpu, op);                                                           \
        cpu->gpr[RSP] = before;                                                                  \
        gva_t addr = op->direct ? ea : op_address_slow(cpu, op, ea, size, true);                 \
        op_store_at(cpu, op, addr, value, size);                                                 \
        cpu->gpr[RSP] = after;                                                                   \
        return op + 1;                                                                           \
    }                                                                                            \
    static const struct op *leave_##size(struct vcpu *cpu, const struct op *op)                  \
    {                                                                                            \
        uint64_t before = cpu->gpr[RSP];                                                         \
        unsigned width = cpu_stack_width(cpu);                                                   \
        uint64_t frame = width == 8   ? cpu->gpr[RBP]                                            \
                         : width == 4 ? (uint32_t)cpu->gpr[RBP]                                  \
                                      : (before & ~0xffffull) | (uint16_t)cpu->gpr[RBP];         \
        op_sync(cpu, op);                                                                        \
        gva_t addr = cpu_linear(cpu, SEG_SS, width == 2 ? (uint16_t)frame : frame, size, false); \
        uint64_t value = op_load_at(cpu, op, addr, size);                                        \
        uint64_t sp = frame + size;                                                              \
        reg_set(cpu, RSP, sp, width);                                                            \
        reg_set(cpu, RBP, value, size);                                                          \
        return op + 1;                                                                           \
    }
STACK_SIZE(2)
STACK_SIZE(4)
STACK_SIZE(8)

static const struct op *leave_64(struct vcpu *cpu, const struct op *op)
{
    uint64_t frame = cpu->gpr[RBP];
    cpu->gpr[RBP] = op_load_at(cpu, op, frame, 8);
    cpu->gpr[RSP] = frame + 8;
    return op + 1;
}

/* All pushes are checked before the first is made. */
static const struct op *pusha(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    unsigned size = op->size;
    uint64_t before = cpu->gpr[RSP];
    uint8_t bytes[32];
    for (unsigned i = 0; i < 8; i++)
        store_le(bytes + i * size, i == 7 - RSP ? before : cpu->gpr[7 - i], size);
    unsigned width = cpu_stack_width(cpu);
    uint64_t sp = before - 8 * size;
    uint64_t masked = width == 2 ? (uint16_t)sp : (uint32_t)sp;
    gva_t addr = cpu_linear(cpu, SEG_SS, masked, 8 * size, true);
    tlb_check_alignment(cpu, addr, size, cpu->mmu);
    tlb_write(cpu, addr, bytes, 8 * size, cpu->mmu);
    reg_set(cpu, RSP, sp, width);
    return op + 1;
}

static const struct op *popa(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    unsigned size = op->size, width = cpu_stack_width(cpu);
    uint8_t bytes[32];
    uint64_t masked = width == 2 ? (uint16_t)cpu->gpr[RSP] : (uint32_t)cpu->gpr[RSP];
    gva_t addr = cpu_linear(cpu, SEG_SS, masked, 8 * size, false);
    tlb_check_alignment(cpu, addr, size, cpu->mmu);
    tlb_read(cpu, addr, bytes, 8 * size, cpu->mmu);
    for (unsigned i = 0; i < 8; i++)
        if (7 - i != RSP)
            reg_set(cpu, 7 - i, load_le(bytes + i * size, size), size);
    reg_set(cpu, RSP, cpu->gpr[RSP] + 8 * size, width);
    return op + 1;
}

static uint64_t stack_offset(uint64_t value, unsigned width)
{
    return width == 8 ? value : width == 4 ? (uint32_t)value : (uint16_t)value;
}

/* SDM 2A, ENTER: extra16 is the frame size, extra8 the nesting level. */
static const struct op *enter(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    unsigned size = op->size, width = cpu_stack_width(cpu), level = op->extra8 & 31;
    uint64_t rsp = cpu->gpr[RSP], rbp = cpu->gpr[RBP];
    cpu_push(cpu, rbp, size);
    uint64_t frame = cpu->gpr[RSP], pointer = rbp, sp = frame;
    cpu->gpr[RSP] = rsp; /* faults from here on leave it as it was */
    /* One by one: what is read may be what was just pushed. */
    for (unsigned i = 1; i <= level; i++) {
        uint64_t link = frame;
        if (i < level) {
            pointer -= size;
            uint64_t from = stack_offset(pointer, width);
            link = tlb_load(cpu, cpu_linear(cpu, SEG_SS, from, size, false), size, cpu->mmu);
        }
        sp -= size;
        gva_t to = cpu_linear(cpu, SEG_SS, stack_offset(sp, width), size, true);
        tlb_store(cpu, to, link, size, cpu->mmu);
    }
    uint64_t new_rbp = frame;
    sp -= op->extra16;
    uint64_t at = stack_offset(sp, width);
    tlb_check_write(cpu, cpu_linear(cpu, SEG_SS, at, size, true), size, cpu->mmu);
    reg_set(cpu, RSP, sp, width);
    reg_set(cpu, RBP, new_rbp, size);
    return op + 1;
}

static unsigned three(unsigned size)
{
    return size == 8 ? 2 : size == 4 ? 1 : 0;
}

bool decode_stack(const struct decoded *d, struct op *op, bool *ends)
{
    static const op_fn pushes[3][3] = {{push_r_2, push_r_4, push_r_8},
                                       {push_m_2, push_m_4, push_m_8},
                                       {push_i_2, push_i_4, push_i_8}};
    static const op_fn pops[2][3] = {{pop_r_2, pop_r_4, pop_r_8}, {pop_m_2, pop_m_4, pop_m_8}};
    static const op_fn leaves[3] = {leave_2, leave_4, leave_8};
    (void)ends;
    const ZydisDecodedOperand *a = &d->operands[0];
    bool memory = a->type == ZYDIS_OPERAND_TYPE_MEMORY;
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_PUSH:
        if (a->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            op->imm = a->imm.is_signed ? (uint64_t)a->imm.value.s : a->imm.value.u;
            op->fn = pushes[2][three(op->size)];
            return true;
        }
        if (!memory) {
            if (ZydisRegisterGetClass(a->reg.value) == ZYDIS_REGCLASS_SEGMENT)
                return false;
            op->rm = (uint8_t)decode_gpr(a);
        }
        op->fn = pushes[memory][three(op->size)];
        return true;
    case ZYDIS_MNEMONIC_POP:
        if (!memory) {
            if (ZydisRegisterGetClass(a->reg.value) == ZYDIS_REGCLASS_SEGMENT)
                return false;
            op->rm = (uint8_t)decode_gpr(a);
        }
        op->fn = pops[memory][three(op->size)];
        return true;
    case ZYDIS_MNEMONIC_PUSHA:
    case ZYDIS_MNEMONIC_PUSHAD:
        op->size = d->insn->mnemonic == ZYDIS_MNEMONIC_PUSHA ? 2 : 4;
        op->fn = pusha;
        return true;
    case ZYDIS_MNEMONIC_POPA:
    case ZYDIS_MNEMONIC_POPAD:
        op->size = d->insn->mnemonic == ZYDIS_MNEMONIC_POPA ? 2 : 4;
        op->fn = popa;
        return true;
    case ZYDIS_MNEMONIC_LEAVE:
        op->fn = d->code64 && op->size == 8 ? leave_64 : leaves[three(op->size)];
        return true;
    case ZYDIS_MNEMONIC_ENTER:
        op->extra16 = (uint16_t)d->operands[0].imm.value.u;
        op->extra8 = (uint8_t)d->operands[1].imm.value.u;
        op->fn = enter;
        return true;
    default:
        return false;
    }
}
