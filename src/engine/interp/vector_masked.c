/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Vector instructions that touch memory element by element, and only the elements a mask selects:
 * VMASKMOV, VPMASKMOV, MASKMOVQ, MASKMOVDQU, the AVX2 gathers. In C, because a fault of one element
 * must not come from the host. reg is the data register, rm the mask, size the element's bytes,
 * extra8 the number of elements.
 */
#include "engine/interp/vector.h"

enum { ELEMENTS_MAX = 32 };

static bool selected(const struct vcpu *cpu, const struct op *op, unsigned element)
{
    return cpu->fpu.zmm[op->rm][element * op->size + op->size - 1u] >> 7;
}

static gva_t element_address(struct vcpu *cpu, const struct op *op, uint64_t offset, unsigned size,
                             bool write)
{
    if (op->address_size == 4)
        offset = (uint32_t)offset;
    else if (op->address_size == 2)
        offset = (uint16_t)offset;
    return cpu_linear(cpu, (enum segment_register)op->seg, offset, size, write);
}

static void load_element(struct vcpu *cpu, const struct op *op, uint64_t offset, uint8_t *to)
{
    uint8_t buffer[8];
    gva_t addr = element_address(cpu, op, offset, op->size, false);
    memcpy(to, vector_source(cpu, op, addr, op->size, buffer), op->size);
}

static const struct op *do_masked_load(struct vcpu *cpu, const struct op *op)
{
    uint8_t value[64] = {0};
    vector_check(cpu, op, KIND_AVX);
    op_sync(cpu, op);
    uint64_t base = op_offset(cpu, op);
    for (unsigned i = 0; i < op->extra8; i++) {
        unsigned at = i * op->size;
        if (selected(cpu, op, i))
            load_element(cpu, op, base + at, value + at);
    }
    memcpy(cpu->fpu.zmm[op->reg], value, sizeof(value));
    return op + 1;
}

/* All elements are checked before the first is stored. */
static void store_selected(struct vcpu *cpu, const struct op *op, uint64_t base,
                           const uint8_t *from, const bool *select)
{
    for (unsigned i = 0; i < op->extra8; i++) {
        if (!select[i])
            continue;
        gva_t addr = element_address(cpu, op, base + i * op->size, op->size, true);
        if (!vector_target(cpu, addr, op->size))
            tlb_check_write(cpu, addr, op->size, vector_mmu(cpu, op));
    }
    for (unsigned i = 0; i < op->extra8; i++)
        if (select[i])
            vector_store(cpu, op, element_address(cpu, op, base + i * op->size, op->size, true),
                         from + i * op->size, op->size);
}

static const struct op *do_masked_store(struct vcpu *cpu, const struct op *op)
{
    bool select[ELEMENTS_MAX];
    vector_check(cpu, op, KIND_AVX);
    op_sync(cpu, op);
    for (unsigned i = 0; i < op->extra8; i++)
        select[i] = selected(cpu, op, i);
    store_selected(cpu, op, op_offset(cpu, op), cpu->fpu.zmm[op->reg], select);
    return op + 1;
}

static const struct op *maskmov(struct vcpu *cpu, const struct op *op, enum vector_kind kind,
                                const uint8_t *data, const uint8_t *mask)
{
    bool select[ELEMENTS_MAX];
    vector_check(cpu, op, kind);
    op_sync(cpu, op);
    for (unsigned i = 0; i < op->extra8; i++)
        select[i] = mask[i] >> 7;
    store_selected(cpu, op, cpu->gpr[RDI], data, select);
    if (kind == KIND_MMX)
        vector_enter_mmx(&cpu->fpu);
    return op + 1;
}

static const struct op *do_maskmovdqu(struct vcpu *cpu, const struct op *op)
{
    return maskmov(cpu, op, KIND_SSE, cpu->fpu.zmm[op->reg], cpu->fpu.zmm[op->rm]);
}

static const struct op *do_vmaskmovdqu(struct vcpu *cpu, const struct op *op)
{
    return maskmov(cpu, op, KIND_AVX, cpu->fpu.zmm[op->reg], cpu->fpu.zmm[op->rm]);
}

static const struct op *do_maskmovq(struct vcpu *cpu, const struct op *op)
{
    return maskmov(cpu, op, KIND_MMX, cpu->fpu.st[op->reg], cpu->fpu.st[op->rm]);
}

/* Gather: elements of op->size bytes at base + index << shift + disp, indices of `imm` bytes from
 * register reg3. Each element that has been read is committed with its mask, so that a fault
 * resumes. */
static const struct op *do_gather(struct vcpu *cpu, const struct op *op)
{
    vector_check(cpu, op, KIND_AVX);
    op_sync(cpu, op);
    uint8_t *data = cpu->fpu.zmm[op->reg], *mask = cpu->fpu.zmm[op->rm];
    const uint8_t *index = cpu->fpu.zmm[op->reg3];
    unsigned size = op->size;
    /* The mask is all or nothing before the first element is read (SDM 2C, VGATHERDPS). */
    unsigned length = op->extra8 * (size > op->imm ? size : (unsigned)op->imm);
    for (unsigned i = 0; i < length / size; i++)
        memset(mask + i * size, selected(cpu, op, i) ? 0xff : 0, size);
    memset(mask + length, 0, 64 - length);
    for (unsigned i = 0; i < op->extra8; i++) {
        if (selected(cpu, op, i)) {
            uint64_t offset = op->imm == 4 ? (uint64_t)(int64_t)(int32_t)load_le32(index + i * 4u)
                                           : load_le64(index + i * 8u);
            offset = cpu->gpr[op->base] + (offset << op->shift) + (uint64_t)(int64_t)op->disp;
            load_element(cpu, op, offset, data + i * size);
        }
        memset(mask + i * size, 0, size);
    }
    memset(mask, 0, 64);
    memset(data + op->extra8 * size, 0, 64 - op->extra8 * size);
    return op + 1;
}

static bool decode_gather(const struct decoded *d, struct op *op, unsigned element, unsigned index)
{
    const ZydisDecodedOperand *memory = &d->operands[1], *mask = &d->operands[2];
    if (memory->type != ZYDIS_OPERAND_TYPE_MEMORY || mask->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return false;
    unsigned length = d->insn->raw.vex.L ? 32 : 16;
    op->size = (uint8_t)element;
    op->imm = index;
    op->extra8 = (uint8_t)(length / (element > index ? element : index));
    op->reg = vector_register(&d->operands[0]);
    op->rm = vector_register(mask);
    op->reg3 = (uint8_t)ZydisRegisterGetId(memory->mem.index) & 31;
    op->index = GPR_ZERO;
    op->shift = (uint8_t)__builtin_ctz(memory->mem.scale | 8u);
    op->extra16 |= VEC_UNALIGNED; /* SDM 2A 2.4.10 */
    op->fn = do_gather;
    if (op->reg == op->rm || op->reg == op->reg3 || op->rm == op->reg3)
        op->fn = vector_undefined;
    return true;
}

static bool decode_masked_move(const struct decoded *d, struct op *op, unsigned element)
{
    bool to_memory = d->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
    op->size = (uint8_t)element;
    op->extra16 |= VEC_UNALIGNED; /* SDM 2C, VMASKMOV */
    op->extra8 = (uint8_t)((d->insn->raw.vex.L ? 32 : 16) / element);
    op->rm = vector_register(&d->operands[1]);
    op->reg = vector_register(&d->operands[to_memory ? 2 : 0]);
    op->fn = to_memory ? do_masked_store : do_masked_load;
    return true;
}

/* The byte-wise ones; their memory operand is implied: [rdi], with the segment of the prefix. */
static bool decode_maskmov(const struct decoded *d, struct op *op, op_fn fn, unsigned count)
{
    op->size = 1;
    op->extra8 = (uint8_t)count;
    op->reg = vector_register(&d->operands[0]);
    op->rm = vector_register(&d->operands[1]);
    op->address_size = (uint8_t)(d->insn->address_width / 8);
    op->seg = SEG_DS;
    if (d->insn->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS)
        op->seg = SEG_FS;
    else if (d->insn->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS)
        op->seg = SEG_GS;
    else if (d->insn->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_ES)
        op->seg = SEG_ES;
    else if (d->insn->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_CS)
        op->seg = SEG_CS;
    else if (d->insn->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_SS)
        op->seg = SEG_SS;
    op->fn = fn;
    return true;
}

bool decode_vector_masked(const struct decoded *d, struct op *op)
{
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_VMASKMOVPS:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
        return decode_masked_move(d, op, 4);
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
        return decode_masked_move(d, op, 8);
    case ZYDIS_MNEMONIC_MASKMOVQ:
        return decode_maskmov(d, op, do_maskmovq, 8);
    case ZYDIS_MNEMONIC_MASKMOVDQU:
        return decode_maskmov(d, op, do_maskmovdqu, 16);
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
        return decode_maskmov(d, op, do_vmaskmovdqu, 16);
    case ZYDIS_MNEMONIC_VGATHERDPS:
    case ZYDIS_MNEMONIC_VPGATHERDD:
        return decode_gather(d, op, 4, 4);
    case ZYDIS_MNEMONIC_VGATHERQPS:
    case ZYDIS_MNEMONIC_VPGATHERQD:
        return decode_gather(d, op, 4, 8);
    case ZYDIS_MNEMONIC_VGATHERDPD:
    case ZYDIS_MNEMONIC_VPGATHERDQ:
        return decode_gather(d, op, 8, 4);
    case ZYDIS_MNEMONIC_VGATHERQPD:
    case ZYDIS_MNEMONIC_VPGATHERQQ:
        return decode_gather(d, op, 8, 8);
    default:
        return false;
    }
}
