/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The moves between vector registers and memory that programs are full of, in C: a stub would cost
 * more than the move. Registers are reg (the vector register) and rm (the other one, of either
 * kind); a legacy move leaves the register above bit 127 alone, a VEX one clears it.
 */
#include "engine/interp/vector.h"

#include "x86/hostunit.h"

#define INLINE static inline __attribute__((always_inline))

/* Reads `size` bytes into the register at byte `at`; clears up to byte `clear`. */
INLINE const struct op *load(struct vcpu *cpu, const struct op *op, enum vector_kind kind,
                             unsigned size, unsigned at, unsigned clear)
{
    uint8_t buffer[32];
    vector_check(cpu, op, kind);
    gva_t addr = vector_linear(cpu, op, size, false);
    vector_check_alignment(cpu, op, addr);
    const void *from = vector_source(cpu, op, addr, size, buffer);
    uint8_t *to = cpu->fpu.zmm[op->reg];
    memcpy(to + at, from, size);
    if (clear > size)
        memset(to + size, 0, clear - size);
    return op + 1;
}

INLINE const struct op *store(struct vcpu *cpu, const struct op *op, enum vector_kind kind,
                              unsigned size, unsigned at)
{
    vector_check(cpu, op, kind);
    gva_t addr = vector_linear(cpu, op, size, true);
    vector_check_alignment(cpu, op, addr);
    vector_store(cpu, op, addr, cpu->fpu.zmm[op->reg] + at, size);
    return op + 1;
}

INLINE const struct op *copy(struct vcpu *cpu, const struct op *op, enum vector_kind kind,
                             unsigned size, unsigned clear)
{
    uint8_t value[32];
    vector_check(cpu, op, kind);
    uint8_t *to = cpu->fpu.zmm[op->reg];
    memcpy(value, cpu->fpu.zmm[op->rm], size);
    memcpy(to, value, size);
    if (clear > size)
        memset(to + size, 0, clear - size);
    return op + 1;
}

INLINE const struct op *from_gpr(struct vcpu *cpu, const struct op *op, enum vector_kind kind,
                                 unsigned size, unsigned clear)
{
    vector_check(cpu, op, kind);
    uint8_t *to = cpu->fpu.zmm[op->reg];
    store_le64(to, size == 8 ? cpu->gpr[op->rm] : (uint32_t)cpu->gpr[op->rm]);
    memset(to + 8, 0, clear - 8);
    return op + 1;
}

INLINE const struct op *to_gpr(struct vcpu *cpu, const struct op *op, enum vector_kind kind,
                               unsigned size)
{
    vector_check(cpu, op, kind);
    const uint8_t *from = cpu->fpu.zmm[op->reg];
    cpu->gpr[op->rm] = size == 8 ? load_le64(from) : load_le32(from);
    return op + 1;
}

#define MOVE(name, expression)                                          \
    static const struct op *name(struct vcpu *cpu, const struct op *op) \
    {                                                                   \
        return expression;                                              \
    }
MOVE(sse_load16, load(cpu, op, KIND_SSE, 16, 0, 0))
MOVE(sse_load8_clear, load(cpu, op, KIND_SSE, 8, 0, 16))
MOVE(sse_load4_clear, load(cpu, op, KIND_SSE, 4, 0, 16))
MOVE(sse_load8_low, load(cpu, op, KIND_SSE, 8, 0, 0))
MOVE(sse_load8_high, load(cpu, op, KIND_SSE, 8, 8, 0))
MOVE(sse_store16, store(cpu, op, KIND_SSE, 16, 0))
MOVE(sse_store8, store(cpu, op, KIND_SSE, 8, 0))
MOVE(sse_store4, store(cpu, op, KIND_SSE, 4, 0))
MOVE(sse_store8_high, store(cpu, op, KIND_SSE, 8, 8))
MOVE(sse_copy16, copy(cpu, op, KIND_SSE, 16, 0))
MOVE(sse_copy8, copy(cpu, op, KIND_SSE, 8, 0))
MOVE(sse_copy8_clear, copy(cpu, op, KIND_SSE, 8, 16))
MOVE(sse_copy4, copy(cpu, op, KIND_SSE, 4, 0))
MOVE(sse_from_gpr8, from_gpr(cpu, op, KIND_SSE, 8, 16))
MOVE(sse_from_gpr4, from_gpr(cpu, op, KIND_SSE, 4, 16))
MOVE(sse_to_gpr8, to_gpr(cpu, op, KIND_SSE, 8))
MOVE(sse_to_gpr4, to_gpr(cpu, op, KIND_SSE, 4))
MOVE(avx_load32, load(cpu, op, KIND_AVX, 32, 0, 64))
MOVE(avx_load16, load(cpu, op, KIND_AVX, 16, 0, 64))
MOVE(avx_load8, load(cpu, op, KIND_AVX, 8, 0, 64))
MOVE(avx_load4, load(cpu, op, KIND_AVX, 4, 0, 64))
MOVE(avx_store32, store(cpu, op, KIND_AVX, 32, 0))
MOVE(avx_store16, store(cpu, op, KIND_AVX, 16, 0))
MOVE(avx_store8, store(cpu, op, KIND_AVX, 8, 0))
MOVE(avx_store4, store(cpu, op, KIND_AVX, 4, 0))
MOVE(avx_copy32, copy(cpu, op, KIND_AVX, 32, 64))
MOVE(avx_copy16, copy(cpu, op, KIND_AVX, 16, 64))
MOVE(avx_copy8, copy(cpu, op, KIND_AVX, 8, 64))
MOVE(avx_from_gpr8, from_gpr(cpu, op, KIND_AVX, 8, 64))
MOVE(avx_from_gpr4, from_gpr(cpu, op, KIND_AVX, 4, 64))
MOVE(avx_to_gpr8, to_gpr(cpu, op, KIND_AVX, 8))
MOVE(avx_to_gpr4, to_gpr(cpu, op, KIND_AVX, 4))

/* What an instruction does with each form of its operand; NULL: not ours. */
struct move {
    uint16_t mnemonic;
    bool aligned;
    op_fn load, store, copy;
};

static const struct move moves[] = {
    {ZYDIS_MNEMONIC_MOVAPS, true, sse_load16, sse_store16, sse_copy16},
    {ZYDIS_MNEMONIC_MOVAPD, true, sse_load16, sse_store16, sse_copy16},
    {ZYDIS_MNEMONIC_MOVDQA, true, sse_load16, sse_store16, sse_copy16},
    {ZYDIS_MNEMONIC_MOVUPS, false, sse_load16, sse_store16, sse_copy16},
    {ZYDIS_MNEMONIC_MOVUPD, false, sse_load16, sse_store16, sse_copy16},
    {ZYDIS_MNEMONIC_MOVDQU, false, sse_load16, sse_store16, sse_copy16},
    {ZYDIS_MNEMONIC_LDDQU, false, sse_load16, NULL, NULL},
    {ZYDIS_MNEMONIC_MOVNTDQA, true, sse_load16, NULL, NULL},
    {ZYDIS_MNEMONIC_MOVNTDQ, true, NULL, sse_store16, NULL},
    {ZYDIS_MNEMONIC_MOVNTPS, true, NULL, sse_store16, NULL},
    {ZYDIS_MNEMONIC_MOVNTPD, true, NULL, sse_store16, NULL},
    {ZYDIS_MNEMONIC_MOVSS, false, sse_load4_clear, sse_store4, sse_copy4},
    {ZYDIS_MNEMONIC_MOVSD, false, sse_load8_clear, sse_store8, sse_copy8},
    {ZYDIS_MNEMONIC_MOVQ, false, sse_load8_clear, sse_store8, sse_copy8_clear},
    {ZYDIS_MNEMONIC_MOVD, false, sse_load4_clear, sse_store4, NULL},
    {ZYDIS_MNEMONIC_MOVLPS, false, sse_load8_low, sse_store8, NULL},
    {ZYDIS_MNEMONIC_MOVLPD, false, sse_load8_low, sse_store8, NULL},
    {ZYDIS_MNEMONIC_MOVHPS, false, sse_load8_high, sse_store8_high, NULL},
    {ZYDIS_MNEMONIC_MOVHPD, false, sse_load8_high, sse_store8_high, NULL},
    {ZYDIS_MNEMONIC_VMOVSS, false, avx_load4, avx_store4, NULL},
    {ZYDIS_MNEMONIC_VMOVSD, false, avx_load8, avx_store8, NULL},
    {ZYDIS_MNEMONIC_VMOVQ, false, avx_load8, avx_store8, avx_copy8},
    {ZYDIS_MNEMONIC_VMOVD, false, avx_load4, avx_store4, NULL},
};

/* VEX moves of a whole register, 16 or 32 bytes. */
static const struct move whole_moves[] = {
    {ZYDIS_MNEMONIC_VMOVAPS, true, avx_load16, avx_store16, avx_copy16},
    {ZYDIS_MNEMONIC_VMOVAPD, true, avx_load16, avx_store16, avx_copy16},
    {ZYDIS_MNEMONIC_VMOVDQA, true, avx_load16, avx_store16, avx_copy16},
    {ZYDIS_MNEMONIC_VMOVUPS, false, avx_load16, avx_store16, avx_copy16},
    {ZYDIS_MNEMONIC_VMOVUPD, false, avx_load16, avx_store16, avx_copy16},
    {ZYDIS_MNEMONIC_VMOVDQU, false, avx_load16, avx_store16, avx_copy16},
};

static const struct move *find(const struct move *table, size_t count, ZydisMnemonic mnemonic)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].mnemonic == mnemonic)
            return &table[i];
    return NULL;
}

static bool is_class(const ZydisDecodedOperand *operand, ZydisRegisterClass class)
{
    return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(operand->reg.value) == class;
}

static bool is_vector(const ZydisDecodedOperand *operand)
{
    return is_class(operand, ZYDIS_REGCLASS_XMM) || is_class(operand, ZYDIS_REGCLASS_YMM);
}

static bool is_gpr(const ZydisDecodedOperand *operand)
{
    return is_class(operand, ZYDIS_REGCLASS_GPR32) || is_class(operand, ZYDIS_REGCLASS_GPR64);
}

/* MOVD, MOVQ with a general register. */
static bool decode_gpr_move(const struct decoded *d, struct op *op, bool vex)
{
    const ZydisDecodedOperand *to = &d->operands[0], *from = &d->operands[1];
    bool wide = (is_gpr(to) ? to->size : from->size) == 64;
    if (is_gpr(from)) {
        op->reg = vector_register(to);
        op->rm = vector_register(from);
        op->fn =
            vex ? (wide ? avx_from_gpr8 : avx_from_gpr4) : (wide ? sse_from_gpr8 : sse_from_gpr4);
    } else {
        op->reg = vector_register(from);
        op->rm = vector_register(to);
        op->fn = vex ? (wide ? avx_to_gpr8 : avx_to_gpr4) : (wide ? sse_to_gpr8 : sse_to_gpr4);
    }
    return true;
}

static op_fn wider(op_fn fn)
{
    return fn == avx_load16 ? avx_load32 : fn == avx_store16 ? avx_store32 : avx_copy32;
}

bool decode_vector_move(const struct decoded *d, struct op *op)
{
    bool vex = d->insn->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    if (d->insn->operand_count_visible != 2 || (!vex && d->insn->encoding != 0))
        return false;
    const ZydisDecodedOperand *to = &d->operands[0], *from = &d->operands[1];
    const struct move *move = find(moves, ARRAY_LEN(moves), d->insn->mnemonic);
    bool whole = false;
    if (!move) {
        move = find(whole_moves, ARRAY_LEN(whole_moves), d->insn->mnemonic);
        whole = true;
    }
    if (!move)
        return false;
    if ((is_gpr(to) && is_vector(from)) || (is_vector(to) && is_gpr(from)))
        return !whole && decode_gpr_move(d, op, vex);
    op_fn fn;
    if (is_vector(to) && from->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        fn = move->load;
        op->reg = vector_register(to);
    } else if (to->type == ZYDIS_OPERAND_TYPE_MEMORY && is_vector(from)) {
        fn = move->store;
        op->reg = vector_register(from);
    } else if (is_vector(to) && is_vector(from)) {
        fn = move->copy;
        op->reg = vector_register(to);
        op->rm = vector_register(from);
    } else {
        return false;
    }
    if (!fn)
        return false;
    bool ymm = whole && (is_class(to, ZYDIS_REGCLASS_YMM) || is_class(from, ZYDIS_REGCLASS_YMM));
    op->fn = ymm ? wider(fn) : fn;
    if (move->aligned)
        op->extra16 |= ymm ? VEC_ALIGN32 : VEC_ALIGN16;
    return true;
}
