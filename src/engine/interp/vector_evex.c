/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AVX-512: EVEX instructions and those on mask registers, by the host's unit. Ours is the memory
 * operand: the mask says which of its elements are touched at all, and only those may fault. The
 * whole operand is handed to the host when it can be; else the selected elements are fetched into a
 * buffer, or stored from one. Gathers and scatters are in C.
 * References: SDM 2A 2.7 (EVEX), 2.8 (exception classes), 2C (instructions).
 *
 * Beside what vector.c puts into an op: extra8 is the mask's number, log2 of the memory's element
 * and CONTIGUOUS; extra16 holds how many bits of the mask count.
 */
#include "engine/interp/vector.h"

enum {
    MASK_NUMBER = 7,
    ELEMENT_SHIFT = 3,
    ELEMENT_BITS = 7,
    CONTIGUOUS = 1 << 6,
};

static unsigned element_size(const struct op *op)
{
    return 1u << (op->extra8 >> ELEMENT_SHIFT & ELEMENT_BITS);
}

static bool is_masked(const struct op *op)
{
    return op->extra8 & MASK_NUMBER;
}

/* Which elements in memory are touched, a bit each. More mask bits than elements: each element is
 * used again for every so many bits, as broadcasts do. */
static uint64_t touched(const struct vcpu *cpu, const struct op *op)
{
    unsigned bits = (op->extra16 >> VEC_COUNT_SHIFT) + 1u;
    uint64_t mask = cpu->fpu.opmask[op->extra8 & MASK_NUMBER];
    unsigned elements = op->size / element_size(op);
    if (bits < 64)
        mask &= (1ull << bits) - 1;
    if (op->extra8 & CONTIGUOUS) {
        unsigned count = (unsigned)__builtin_popcountll(mask);
        return count == 64 ? UINT64_MAX : (1ull << count) - 1;
    }
    if (elements >= bits)
        return mask;
    uint64_t folded = 0;
    for (unsigned i = 0; i < bits; i += elements)
        folded |= mask >> i;
    return folded & ((1ull << elements) - 1);
}

static gva_t element_linear(struct vcpu *cpu, const struct op *op, uint64_t offset, unsigned size,
                            bool write)
{
    if (op->address_size == 4)
        offset = (uint32_t)offset;
    else if (op->address_size == 2)
        offset = (uint16_t)offset;
    return cpu_linear(cpu, (enum segment_register)op->seg, offset, size, write);
}

static void load_element(struct vcpu *cpu, const struct op *op, uint64_t offset, unsigned size,
                         uint8_t *to)
{
    uint8_t buffer[64];
    gva_t addr = element_linear(cpu, op, offset, size, false);
    memcpy(to, vector_source(cpu, op, addr, size, buffer), size);
}

/* The operand in the guest's memory, if all of it may be touched without further questions. */
static void *whole_operand(struct vcpu *cpu, const struct op *op, enum access_type type)
{
    uint64_t ea = op_offset(cpu, op);
    if (!(op->extra16 & VEC_FLAT64) || (ea + (1ull << 47)) >> 48)
        return NULL;
    const struct tlb_entry *entry = &cpu->tlb[cpu->mmu][tlb_slot(ea)];
    return tlb_hit(cpu, entry, ea, op->size, type) ? (void *)(uintptr_t)(ea + entry->delta) : NULL;
}

/* Where no element is selected, processors do not mind. */
static void check_masked_alignment(struct vcpu *cpu, const struct op *op)
{
    if (!touched(cpu, op))
        return;
    bool based = !(op->extra16 & VEC_CODE64) || op->seg == SEG_FS || op->seg == SEG_GS;
    vector_check_alignment(cpu, op, op_offset(cpu, op) + (based ? cpu->seg[op->seg].base : 0));
}

/* The selected elements, zeros for the others. */
static void fetch_touched(struct vcpu *cpu, const struct op *op, uint8_t *buffer)
{
    unsigned size = element_size(op);
    uint64_t select = touched(cpu, op), base = op_offset(cpu, op);
    op_sync(cpu, op);
    memset(buffer, 0, 64);
    for (unsigned i = 0; i * size < op->size; i++)
        if (select >> i & 1)
            load_element(cpu, op, base + i * size, size, buffer + i * size);
}

static const struct op *load(struct vcpu *cpu, const struct op *op, enum vector_fp fp)
{
    uint8_t buffer[64] __attribute__((aligned(64)));
    void *mem;
    vector_check(cpu, op, KIND_AVX512);
    if (is_masked(op)) {
        check_masked_alignment(cpu, op);
        mem = whole_operand(cpu, op, ACCESS_READ);
        if (!mem) {
            fetch_touched(cpu, op, buffer);
            mem = buffer;
        }
    } else {
        gva_t addr = vector_linear(cpu, op, op->size, false);
        vector_check_alignment(cpu, op, addr);
        mem = vector_source(cpu, op, addr, op->size, buffer);
    }
    vector_run(cpu, op, mem, fp);
    return op + 1;
}

/* All selected elements are checked before the first is stored. */
static void store_touched(struct vcpu *cpu, const struct op *op, enum vector_fp fp)
{
    uint8_t buffer[64] __attribute__((aligned(64)));
    unsigned size = element_size(op);
    uint64_t select = touched(cpu, op), base = op_offset(cpu, op);
    /* Exceptions of the computation come before those of the store, and leave no trace if one of
     * those comes. */
    uint32_t before = cpu->fpu.mxcsr;
    vector_run(cpu, op, buffer, fp);
    uint32_t after = cpu->fpu.mxcsr;
    cpu->fpu.mxcsr = before;
    op_sync(cpu, op);
    if (op->extra16 & VEC_WHOLE)
        tlb_check_write(cpu, element_linear(cpu, op, base, op->size, true), op->size, cpu->mmu);
    for (unsigned i = 0; i * size < op->size; i++) {
        if (!(select >> i & 1))
            continue;
        gva_t addr = element_linear(cpu, op, base + i * size, size, true);
        if (!vector_target(cpu, addr, size))
            tlb_check_write(cpu, addr, size, cpu->mmu);
    }
    for (unsigned i = 0; i * size < op->size; i++)
        if (select >> i & 1)
            vector_store(cpu, op, element_linear(cpu, op, base + i * size, size, true),
                         buffer + i * size, size);
    cpu->fpu.mxcsr = after;
}

static const struct op *store(struct vcpu *cpu, const struct op *op, enum vector_fp fp)
{
    uint8_t buffer[64] __attribute__((aligned(64)));
    vector_check(cpu, op, KIND_AVX512);
    if (is_masked(op)) {
        check_masked_alignment(cpu, op);
        void *mem = whole_operand(cpu, op, ACCESS_WRITE);
        if (mem)
            vector_run(cpu, op, mem, fp);
        else
            store_touched(cpu, op, fp);
        return op + 1;
    }
    gva_t addr = vector_linear(cpu, op, op->size, true);
    vector_check_alignment(cpu, op, addr);
    vector_run(cpu, op, buffer, fp);
    vector_store(cpu, op, addr, buffer, op->size);
    return op + 1;
}

static inline const struct op *compute(struct vcpu *cpu, const struct op *op, enum vector_fp fp)
{
    vector_check(cpu, op, KIND_AVX512);
    vector_run(cpu, op, NULL, fp);
    return op + 1;
}

#define EVEX_HANDLER(name, function, fp)                                \
    static const struct op *name(struct vcpu *cpu, const struct op *op) \
    {                                                                   \
        return function(cpu, op, fp);                                   \
    }
EVEX_HANDLER(compute_plain, compute, FP_NONE)
EVEX_HANDLER(compute_quiet, compute, FP_QUIET)
EVEX_HANDLER(compute_raising, compute, FP_RAISING)
EVEX_HANDLER(load_plain, load, FP_NONE)
EVEX_HANDLER(load_quiet, load, FP_QUIET)
EVEX_HANDLER(load_raising, load, FP_RAISING)
EVEX_HANDLER(store_plain, store, FP_NONE)
EVEX_HANDLER(store_quiet, store, FP_QUIET)
EVEX_HANDLER(store_raising, store, FP_RAISING)

static const op_fn handlers[3][3] = {
    {compute_plain, compute_quiet, compute_raising},
    {load_plain, load_quiet, load_raising},
    {store_plain, store_quiet, store_raising},
};

/* Gather and scatter: elements of op->size bytes at base + index << shift + disp; reg is the data
 * register, reg3 the index register with elements of `imm` bytes, rm the mask, extra8 how many.
 * Each element that is done clears its bit of the mask, so that a fault resumes. */

static uint64_t indexed(const struct vcpu *cpu, const struct op *op, unsigned i)
{
    const uint8_t *index = cpu->fpu.zmm[op->reg3];
    uint64_t offset = op->imm == 4 ? (uint64_t)(int64_t)(int32_t)load_le32(index + i * 4u)
                                   : load_le64(index + i * 8u);
    return cpu->gpr[op->base] + (offset << op->shift) + (uint64_t)(int64_t)op->disp;
}

static const struct op *do_gather(struct vcpu *cpu, const struct op *op)
{
    vector_check(cpu, op, KIND_AVX512);
    op_sync(cpu, op);
    uint8_t *data = cpu->fpu.zmm[op->reg];
    uint64_t *mask = &cpu->fpu.opmask[op->rm];
    for (unsigned i = 0; i < op->extra8; i++) {
        if (*mask >> i & 1)
            load_element(cpu, op, indexed(cpu, op, i), op->size, data + i * op->size);
        *mask &= ~(1ull << i);
    }
    *mask = 0;
    memset(data + op->extra8 * op->size, 0, 64u - op->extra8 * op->size);
    return op + 1;
}

static const struct op *do_scatter(struct vcpu *cpu, const struct op *op)
{
    vector_check(cpu, op, KIND_AVX512);
    op_sync(cpu, op);
    const uint8_t *data = cpu->fpu.zmm[op->reg];
    uint64_t *mask = &cpu->fpu.opmask[op->rm];
    for (unsigned i = 0; i < op->extra8; i++) {
        if (*mask >> i & 1)
            vector_store(cpu, op, element_linear(cpu, op, indexed(cpu, op, i), op->size, true),
                         data + i * op->size, op->size);
        *mask &= ~(1ull << i);
    }
    *mask = 0;
    return op + 1;
}

/* Decoding */

static bool decode_indexed(const struct decoded *d, struct op *op, bool scatter)
{
    const ZydisDecodedOperand *memory = &d->operands[scatter ? 0 : 2],
                              *data = &d->operands[scatter ? 2 : 0];
    ZydisRegister index = memory->mem.index;
    op->size = (uint8_t)(memory->size / 8);
    /* Even opcodes have indices of four bytes. */
    op->imm = d->insn->opcode & 1 ? 8 : 4;
    unsigned widest = op->size > op->imm ? op->size : (unsigned)op->imm;
    op->extra8 = (uint8_t)(d->insn->avx.vector_length / 8 / widest);
    op->reg = vector_register(data);
    op->rm = vector_register(&d->operands[1]);
    op->reg3 = (uint8_t)ZydisRegisterGetId(index) & 31;
    op->index = GPR_ZERO;
    op->shift = (uint8_t)__builtin_ctz(memory->mem.scale | 8u);
    op->fn = scatter ? do_scatter : do_gather;
    if (!op->rm || (!scatter && op->reg == op->reg3))
        op->fn = vector_undefined;
    return true;
}

/* Approximations and VFPCLASS look at DAZ and raise nothing. */
static bool is_quiet(const ZydisDecodedInstruction *insn)
{
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_VRCP14PD:
    case ZYDIS_MNEMONIC_VRCP14PS:
    case ZYDIS_MNEMONIC_VRCP14SD:
    case ZYDIS_MNEMONIC_VRCP14SS:
    case ZYDIS_MNEMONIC_VRSQRT14PD:
    case ZYDIS_MNEMONIC_VRSQRT14PS:
    case ZYDIS_MNEMONIC_VRSQRT14SD:
    case ZYDIS_MNEMONIC_VRSQRT14SS:
    case ZYDIS_MNEMONIC_VFPCLASSPD:
    case ZYDIS_MNEMONIC_VFPCLASSPS:
    case ZYDIS_MNEMONIC_VFPCLASSSD:
    case ZYDIS_MNEMONIC_VFPCLASSSS:
        return true;
    default:
        return false;
    }
}

/* In the manual a mask suppresses faults for these, where bytes are selected and quadwords read;
 * the processor (Sapphire Rapids) reads them whole. */
static bool is_whole(const ZydisDecodedInstruction *insn)
{
    return insn->mnemonic == ZYDIS_MNEMONIC_VGF2P8AFFINEQB ||
           insn->mnemonic == ZYDIS_MNEMONIC_VGF2P8AFFINEINVQB ||
           insn->mnemonic == ZYDIS_MNEMONIC_VDBPSADBW ||
           insn->mnemonic == ZYDIS_MNEMONIC_VCVTNE2PS2BF16;
}

/* Its exceptions of floating point, and whether a mask keeps elements in memory from being touched:
 * SDM 2A 2.8. */
struct traits {
    enum vector_fp fp;
    bool whole;   /* all of the operand is touched, whatever the mask */
    bool aligned; /* #GP if the operand is not aligned to its size */
    bool scalar;
};

static struct traits traits_of(const ZydisDecodedInstruction *insn)
{
    struct traits t = {0};
    switch (insn->meta.exception_class) {
    case ZYDIS_EXCEPTION_CLASS_E1NF:
        t.whole = true;
        t.aligned = true;
        break;
    case ZYDIS_EXCEPTION_CLASS_E1:
        t.aligned = true;
        break;
    case ZYDIS_EXCEPTION_CLASS_E2:
    case ZYDIS_EXCEPTION_CLASS_E11:
        t.fp = FP_RAISING;
        break;
    case ZYDIS_EXCEPTION_CLASS_E3:
        t.fp = FP_RAISING;
        t.scalar = true;
        break;
    case ZYDIS_EXCEPTION_CLASS_E10:
        t.scalar = true;
        break;
    case ZYDIS_EXCEPTION_CLASS_E2NF:
    case ZYDIS_EXCEPTION_CLASS_E3NF:
    case ZYDIS_EXCEPTION_CLASS_E11NF:
        t.fp = FP_RAISING;
        t.whole = true;
        break;
    case ZYDIS_EXCEPTION_CLASS_E4NF:
    case ZYDIS_EXCEPTION_CLASS_E5NF:
    case ZYDIS_EXCEPTION_CLASS_E6NF:
    case ZYDIS_EXCEPTION_CLASS_E9NF:
    case ZYDIS_EXCEPTION_CLASS_E10NF:
        t.whole = true;
        break;
    default:
        break;
    }
    if (is_quiet(insn))
        t.fp = FP_QUIET;
    t.whole |= is_whole(insn);
    return t;
}

static bool is_contiguous(const ZydisDecodedInstruction *insn)
{
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_VCOMPRESSPS:
    case ZYDIS_MNEMONIC_VCOMPRESSPD:
    case ZYDIS_MNEMONIC_VPCOMPRESSB:
    case ZYDIS_MNEMONIC_VPCOMPRESSW:
    case ZYDIS_MNEMONIC_VPCOMPRESSD:
    case ZYDIS_MNEMONIC_VPCOMPRESSQ:
    case ZYDIS_MNEMONIC_VEXPANDPS:
    case ZYDIS_MNEMONIC_VEXPANDPD:
    case ZYDIS_MNEMONIC_VPEXPANDB:
    case ZYDIS_MNEMONIC_VPEXPANDW:
    case ZYDIS_MNEMONIC_VPEXPANDD:
    case ZYDIS_MNEMONIC_VPEXPANDQ:
        return true;
    default:
        return false;
    }
}

static bool is_vector_register(const ZydisDecodedOperand *operand)
{
    if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return false;
    ZydisRegisterClass class = ZydisRegisterGetClass(operand->reg.value);
    return class == ZYDIS_REGCLASS_XMM || class == ZYDIS_REGCLASS_YMM ||
           class == ZYDIS_REGCLASS_ZMM;
}

/* How many bits of the mask count: a vector of the widest elements there are, in memory or in the
 * register that goes with it. */
static unsigned mask_bits(const struct decoded *d, const ZydisDecodedOperand *memory)
{
    unsigned widest = 0;
    for (unsigned i = 0; i < d->insn->operand_count_visible && !widest; i++)
        if (is_vector_register(&d->operands[i]))
            widest = d->operands[i].element_size;
    bool broadcast = d->insn->avx.broadcast.mode != ZYDIS_BROADCAST_MODE_INVALID;
    bool to_mask = d->operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                   ZydisRegisterGetClass(d->operands[0].reg.value) == ZYDIS_REGCLASS_MASK;
    if (!widest && !broadcast)
        return memory->element_count;
    if (!widest || (!to_mask && memory->element_size > widest))
        widest = memory->element_size;
    unsigned bits = d->insn->avx.vector_length / widest;
    if (!broadcast && !to_mask && memory->element_count < bits)
        bits = memory->element_count;
    return bits < 64 ? bits : 64;
}

static void decode_mask(const struct decoded *d, struct op *op, const ZydisDecodedOperand *memory,
                        bool scalar)
{
    bool broadcast = d->insn->avx.broadcast.mode != ZYDIS_BROADCAST_MODE_INVALID;
    /* The classes of scalars hold a few that are none. */
    scalar &= memory->element_count == 1 && !broadcast;
    unsigned bits = scalar ? 1 : mask_bits(d, memory);
    unsigned size = broadcast ? memory->element_size / 8u : op->size / bits;
    unsigned log = (unsigned)__builtin_ctz(size | 64);
    op->extra8 = (uint8_t)(d->insn->raw.evex.aaa | log << ELEMENT_SHIFT |
                           (is_contiguous(d->insn) ? CONTIGUOUS : 0));
    op->extra16 |= (uint16_t)((bits - 1) << VEC_COUNT_SHIFT);
}

/* A computation on registers and at most one memory operand. */
static bool decode_computation(const struct decoded *d, struct op *op)
{
    if (!vector_compile(d, op))
        return false;
    struct traits t = traits_of(d->insn);
    bool masked = d->insn->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX && d->insn->raw.evex.aaa;
    op->fn = handlers[0][t.fp];
    for (unsigned i = 0; i < d->insn->operand_count_visible; i++) {
        const ZydisDecodedOperand *memory = &d->operands[i];
        if (memory->type != ZYDIS_OPERAND_TYPE_MEMORY)
            continue;
        bool written = memory->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
        op->size = (uint8_t)(memory->size / 8);
        if (t.aligned)
            op->extra16 |= op->size == 64   ? VEC_ALIGN64
                           : op->size == 32 ? VEC_ALIGN32
                           : op->size == 16 ? VEC_ALIGN16
                                            : 0;
        if (masked && (written || !t.whole))
            decode_mask(d, op, memory, t.scalar);
        if (t.whole)
            op->extra16 |= VEC_WHOLE;
        op->fn = handlers[written ? 2 : 1][t.fp];
    }
    return true;
}

static bool has_mask_register(const struct decoded *d)
{
    for (unsigned i = 0; i < d->insn->operand_count_visible; i++)
        if (d->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ZydisRegisterGetClass(d->operands[i].reg.value) == ZYDIS_REGCLASS_MASK)
            return true;
    return false;
}

bool decode_vector_evex(const struct decoded *d, struct op *op)
{
    const ZydisDecodedInstruction *insn = d->insn;
    bool evex = insn->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
    if (!evex && (insn->encoding != ZYDIS_INSTRUCTION_ENCODING_VEX || !has_mask_register(d)))
        return false;
    op->extra8 = 0;
    if (evex && insn->meta.exception_class == ZYDIS_EXCEPTION_CLASS_E12)
        return decode_indexed(d, op, d->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY);
    return decode_computation(d, op);
}
