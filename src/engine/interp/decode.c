/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From guest bytes to blocks of ops. Zydis decodes; what an instruction does is found by the
 * decode_* of the parts (integer, system, vector).
 */
#include "engine/interp/internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "engine/interp/integer.h"

enum { INSN_MAX = 15 };

static const struct op *op_undefined(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_raise_ud(cpu);
}

/* Longer than 15 bytes. */
static const struct op *op_too_long(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_raise_gp(cpu, 0);
}

/* The end of a block that was cut: on to the next. */
static const struct op *op_continue(struct vcpu *cpu, const struct op *op)
{
    return go_direct(cpu, op, 1, rip_wrap(cpu, cpu->gpr[GPR_RIP] + op->offset));
}

/* First op of a block whose instruction runs over the page's end: imm holds the bytes expected on
 * the second page, extra8 how many. */
static const struct op *op_check_second_page(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    gva_t linear = cpu->rip;
    if ((cpu->code_mode & CODE_SIZE) != CODE_64) {
        linear = (uint32_t)(linear + cpu->seg[SEG_CS].base);
        if (cpu->rip + op[1].length - 1 > cpu->seg[SEG_CS].limit)
            cpu_raise_gp(cpu, 0);
    }
    gva_t second = (linear & PAGE_MASK) + PAGE_SIZE;
    if (!(cpu->efer & EFER_LMA))
        second = (uint32_t)second;
    gpa_t gpa = tlb_exec(cpu, second);
    const struct mem_range *range = mem_find(cpu->view, gpa);
    uint8_t now[16] = {0};
    if (range->region && range->kind != MEM_IO)
        memcpy(now, mem_host(range, gpa), op->extra8);
    if (memcmp(now, op->data, op->extra8) == 0)
        return op + 1;
    cache_drop_page(interp_vcpu(cpu), tlb_exec(cpu, linear));
    return NULL;
}

static unsigned gpr_number(ZydisRegister reg, unsigned size)
{
    int id = ZydisRegisterGetId(reg);
    if (size != 1)
        return (unsigned)id;
    /* Byte registers: AL CL DL BL AH CH DH BH SPL BPL SIL DIL R8B ... */
    switch (reg) {
    case ZYDIS_REGISTER_AH:
    case ZYDIS_REGISTER_CH:
    case ZYDIS_REGISTER_DH:
    case ZYDIS_REGISTER_BH:
        return (unsigned)(reg - ZYDIS_REGISTER_AH) * 8 + 1;
    case ZYDIS_REGISTER_AL:
    case ZYDIS_REGISTER_CL:
    case ZYDIS_REGISTER_DL:
    case ZYDIS_REGISTER_BL:
        return (unsigned)(reg - ZYDIS_REGISTER_AL) * 8;
    default:
        return (unsigned)(reg - ZYDIS_REGISTER_SPL + 4) * 8;
    }
}

unsigned decode_gpr(const ZydisDecodedOperand *operand)
{
    return gpr_number(operand->reg.value, operand->size / 8);
}

static uint8_t address_register(ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_NONE)
        return GPR_ZERO;
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
        return GPR_RIP;
    ZydisRegisterClass class = ZydisRegisterGetClass(reg);
    if (class != ZYDIS_REGCLASS_GPR16 && class != ZYDIS_REGCLASS_GPR32 &&
        class != ZYDIS_REGCLASS_GPR64)
        return GPR_ZERO; /* a vector index: gathers are the vector part's own */
    return (uint8_t)ZydisRegisterGetId(reg);
}

uint8_t decode_segment(ZydisRegister reg)
{
    switch (reg) {
    case ZYDIS_REGISTER_ES:
        return SEG_ES;
    case ZYDIS_REGISTER_CS:
        return SEG_CS;
    case ZYDIS_REGISTER_SS:
        return SEG_SS;
    case ZYDIS_REGISTER_FS:
        return SEG_FS;
    case ZYDIS_REGISTER_GS:
        return SEG_GS;
    default:
        return SEG_DS;
    }
}

/* The memory operand, from the first operand that is one. */
static void fill_memory(const struct decoded *d, struct op *op)
{
    op->base = op->index = GPR_ZERO;
    op->seg = SEG_SS;
    op->address_size = (uint8_t)(d->insn->address_width / 8);
    for (unsigned i = 0; i < d->insn->operand_count; i++) {
        const ZydisDecodedOperand *operand = &d->operands[i];
        if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY)
            continue;
        op->base = address_register(operand->mem.base);
        op->index = address_register(operand->mem.index);
        op->shift = operand->mem.scale ? (uint8_t)__builtin_ctz(operand->mem.scale) : 0;
        if (operand->mem.disp.has_displacement)
            op->disp = (int32_t)operand->mem.disp.value;
        if (op->base == GPR_RIP &&
            __builtin_add_overflow(op->disp, op->offset + op->length, &op->disp))
            op->index = GPR_4G;
        op->seg = decode_segment(operand->mem.segment);
        break;
    }
    op->direct = d->code64 && op->address_size == 8 && op->seg != SEG_FS && op->seg != SEG_GS;
}

/* BMI's outside of 64-bit mode: real and V86 mode have no VEX. Their handlers use no data. */
static const struct op *op_vex(struct vcpu *cpu, const struct op *op)
{
    if (!cpu_protected(cpu) || cpu_v86(cpu))
        return op_undefined(cpu, op);
    return ((op_fn)(uintptr_t)op->data)(cpu, op);
}

/* Can this op's displacement be told in 32 bits? MOV AL, moffs64 cannot: its part has its own form.
 */
static void fill(const struct decoded *d, struct op *op, bool *ends)
{
    op->length = d->insn->length;
    op->size = (uint8_t)(d->insn->operand_width / 8);
    if (d->insn->attributes & ZYDIS_ATTRIB_HAS_LOCK)
        op->flags |= OP_LOCK;
    if (d->insn->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE))
        op->flags |= OP_REP;
    if (d->insn->attributes & ZYDIS_ATTRIB_HAS_REPNE)
        op->flags |= OP_REPNE;
    fill_memory(d, op);
    *ends = false;
    if (!decode_is_there(d)) {
        op->fn = op_undefined;
        *ends = true;
        return;
    }
    if (decode_integer(d, op, ends)) {
        if (d->insn->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX && !d->code64) {
            op->data = (const void *)(uintptr_t)op->fn;
            op->fn = op_vex;
        }
        return;
    }
    if (decode_system(d, op, ends) || decode_vector(d, op, ends))
        return;
    log_limited(LOG_UNIMP, "interp: no handler for %s", ZydisMnemonicGetString(d->insn->mnemonic));
    op->fn = op_undefined;
    *ends = true;
}

/* The bytes at [linear, +15), as many as can be fetched: from this page and, only if `second`, the
 * next one (raising its #PF). Returns how many. */
static unsigned fetch(struct vcpu *cpu, gva_t linear, const uint8_t *host, uint8_t *bytes,
                      bool second)
{
    unsigned room = PAGE_SIZE - (unsigned)(linear & (PAGE_SIZE - 1));
    unsigned n = room < INSN_MAX ? room : INSN_MAX;
    memcpy(bytes, host, n);
    if (n == INSN_MAX || !second)
        return n;
    gva_t next = linear + n;
    if (!(cpu->efer & EFER_LMA))
        next = (uint32_t)next;
    gpa_t gpa = tlb_exec(cpu, next);
    const struct mem_range *range = mem_find(cpu->view, gpa);
    if (range->region && range->kind != MEM_IO)
        memcpy(bytes + n, mem_host(range, gpa), INSN_MAX - n);
    else
        memset(bytes + n, 0xff, INSN_MAX - n);
    return INSN_MAX;
}

struct builder {
    struct interp_vcpu *in;
    ZydisDecoder *decoder;
    unsigned mode;
    unsigned count; /* of ops */
    unsigned bad;   /* bytes looked at beyond a last instruction that cannot be decoded */
    struct op *ops; /* BLOCK_OPS + 2 */
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

/* VEX encodings of Knights Corner, which nothing else has. */
static bool is_foreign(const ZydisDecodedInstruction *insn)
{
    switch (insn->meta.isa_set) {
    case ZYDIS_ISA_SET_KNCE:
    case ZYDIS_ISA_SET_KNCJKBR:
    case ZYDIS_ISA_SET_KNCSTREAM:
    case ZYDIS_ISA_SET_KNCV:
    case ZYDIS_ISA_SET_KNC_MISC:
    case ZYDIS_ISA_SET_KNC_PF_HINT:
        return true;
    default:
        return false;
    }
}

/* With 32-bit addresses Zydis 4.0 takes a SIB byte without base for one with R13D when REX.B is
 * set: mod 0, base 5 is a displacement alone, whatever REX.B says (SDM 2A 2.2.1.2). */
static void correct_operands(const ZydisDecodedInstruction *insn, ZydisDecodedOperand *operands)
{
    if (insn->address_width != 32 || insn->raw.modrm.mod != 0 || insn->raw.modrm.rm != 4 ||
        insn->raw.sib.base != 5 || !(insn->attributes & ZYDIS_ATTRIB_HAS_SIB))
        return;
    for (unsigned i = 0; i < insn->operand_count; i++) {
        ZydisDecodedOperandMem *mem = &operands[i].mem;
        if (operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY || mem->base != ZYDIS_REGISTER_R13D)
            continue;
        mem->base = ZYDIS_REGISTER_NONE;
        mem->disp.has_displacement = ZYAN_TRUE;
        mem->disp.value = insn->raw.disp.value;
    }
}

bool decode_bytes(const struct interp_vcpu *in, unsigned mode, const uint8_t *bytes,
                  unsigned available, ZydisDecodedInstruction *insn, ZydisDecodedOperand *operands)
{
    const ZydisDecoder *decoder = &in->interp->decoders[mode];
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, bytes, available, insn, operands)) ||
        is_foreign(insn))
        return false;
    correct_operands(insn, operands);
    return true;
}

enum step { STEP_OK, STEP_CROSSES, STEP_BAD };

static enum step decode_one(struct builder *b, const uint8_t *bytes, unsigned available,
                            unsigned offset, bool *ends)
{
    ZyanStatus status = ZydisDecoderDecodeFull(b->decoder, bytes, available, &b->insn, b->operands);
    if (status == ZYDIS_STATUS_NO_MORE_DATA && available < INSN_MAX)
        return STEP_CROSSES;
    struct op *op = &b->ops[b->count];
    memset(op, 0, sizeof(*op));
    op->offset = (uint16_t)offset;
    if (!ZYAN_SUCCESS(status) || is_foreign(&b->insn)) {
        bool too_long =
            status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || status == ZYDIS_STATUS_NO_MORE_DATA;
        op->fn = too_long ? op_too_long : op_undefined;
        /* With a LOCK that may not be there all of it is read. */
        op->length = status == ZYDIS_STATUS_ILLEGAL_LOCK ? b->insn.length : 1;
        *ends = true;
        b->count++;
        b->bad = available - op->length;
        return STEP_BAD;
    }
    correct_operands(&b->insn, b->operands);
    static const uint8_t code_sizes[3] = {16, 32, 64};
    struct decoded d = {.insn = &b->insn,
                        .operands = b->operands,
                        .bytes = bytes,
                        .code64 = b->mode == CODE_64,
                        .code_size = code_sizes[b->mode],
                        .cpu = b->in->cpu,
                        .unit = b->in->unit};
    fill(&d, op, ends);
    b->count++;
    return STEP_OK;
}

static void add_plain(struct builder *b, op_fn fn, unsigned offset)
{
    struct op *op = &b->ops[b->count++];
    memset(op, 0, sizeof(*op));
    op->fn = fn;
    op->offset = (uint16_t)offset;
}

static struct block *finish(struct builder *b, gpa_t gpa, unsigned bytes, unsigned count,
                            const uint8_t *second)
{
    size_t size = sizeof(struct block) + b->count * sizeof(struct op);
    struct block *block = malloc(size + (second ? 16 : 0));
    if (!block)
        return NULL;
    unsigned offset = (unsigned)(gpa & (PAGE_SIZE - 1));
    *block = (struct block){.offset = (uint16_t)offset,
                            .bytes = (uint16_t)bytes,
                            .seen = (uint16_t)min_u64(bytes + b->bad, PAGE_SIZE - offset),
                            .count = (uint8_t)count,
                            .mode = (uint8_t)b->mode,
                            .op_count = (uint8_t)b->count,
                            .has_ops = true};
    memcpy(block->ops, b->ops, b->count * sizeof(struct op));
    if (second) {
        uint8_t *kept = (uint8_t *)block + size;
        memcpy(kept, second, 16);
        block->ops[0].data = kept;
    }
    return block;
}

static struct block *decode_crossing(struct builder *b, gva_t linear, gpa_t gpa,
                                     const uint8_t *host)
{
    uint8_t bytes[INSN_MAX + 17] = {0};
    unsigned room = PAGE_SIZE - (unsigned)(linear & (PAGE_SIZE - 1));
    unsigned available = fetch(b->in->cpu, linear, host, bytes, true);
    bool ends = false;
    b->count = 0;
    add_plain(b, op_check_second_page, 0);
    decode_one(b, bytes, available, 0, &ends);
    /* The check compares what was fetched, also when it made no instruction. */
    unsigned length = b->ops[1].length;
    b->ops[0].extra8 = (uint8_t)(length > room ? length - room : INSN_MAX - room);
    if (!ends)
        add_plain(b, op_continue, b->ops[1].length);
    return finish(b, gpa, room, 1, bytes + room);
}

static void begin(struct builder *b, struct interp_vcpu *in, struct op *ops)
{
    b->in = in;
    b->mode = in->cpu->code_mode & CODE_SIZE;
    b->decoder = &in->interp->decoders[b->mode];
    b->count = b->bad = 0;
    b->ops = ops;
}

bool decode_step(struct interp_vcpu *in, const uint8_t *bytes, unsigned available, struct op *op)
{
    struct builder b;
    bool ends = false;
    begin(&b, in, op);
    return decode_one(&b, bytes, available, 0, &ends) == STEP_OK;
}

struct block *decode_block(struct interp_vcpu *in, gva_t linear, gpa_t gpa)
{
    struct vcpu *cpu = in->cpu;
    static const uint8_t nothing[PAGE_SIZE] __attribute__((aligned(4096))) = {0};
    struct op ops[BLOCK_OPS + 2];
    struct builder b;
    begin(&b, in, ops);
    const struct mem_range *range = mem_find(cpu->view, gpa);
    uint8_t open_bus[PAGE_SIZE];
    const uint8_t *page = nothing;
    if (range->region && range->kind != MEM_IO) {
        page = mem_host(range, gpa & PAGE_MASK);
    } else {
        /* Nothing that holds code answers here: what reads see is all ones, an invalid opcode. */
        memset(open_bus, 0xff, sizeof(open_bus));
        page = open_bus;
    }
    unsigned start = (unsigned)(gpa & (PAGE_SIZE - 1));
    unsigned at = start, count = 0;
    bool ends = false;
    while (!ends && count < BLOCK_OPS && at < PAGE_SIZE) {
        uint8_t bytes[INSN_MAX];
        unsigned available = fetch(cpu, at, page + at, bytes, false);
        enum step step = decode_one(&b, bytes, available, at - start, &ends);
        if (step == STEP_CROSSES) {
            if (count == 0)
                return decode_crossing(&b, linear, gpa, page + at);
            break;
        }
        at += b.ops[b.count - 1].length;
        count++;
    }
    if (!ends)
        add_plain(&b, op_continue, at - start);
    return finish(&b, gpa, at - start, count, NULL);
}
