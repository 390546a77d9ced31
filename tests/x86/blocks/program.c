/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Blocks from random numbers. Half of the instructions are any that decode, half are of the kinds
 * that real code is made of and that let a block go on: so faults are frequent and not at once.
 */
#include "blocks.h"

#include <string.h>

ZydisMachineMode program_machine_mode(const struct program *p)
{
    switch (p->mode) {
    case LONG64:
        return ZYDIS_MACHINE_MODE_LONG_64;
    case COMPAT32:
    case LEGACY32:
        return ZYDIS_MACHINE_MODE_LEGACY_32;
    default:
        return ZYDIS_MACHINE_MODE_LEGACY_16;
    }
}

static bool narrow(const struct program *p)
{
    return program_narrow(p);
}

bool program_decode(const struct program *p, const uint8_t *bytes, unsigned length,
                    ZydisDecodedInstruction *insn, ZydisDecodedOperand *operands)
{
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, program_machine_mode(p),
                     p->mode == LONG64 ? ZYDIS_STACK_WIDTH_64
                     : narrow(p)       ? ZYDIS_STACK_WIDTH_16
                                       : ZYDIS_STACK_WIDTH_32);
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, length, insn, operands));
}

static void add(struct instruction *i, unsigned byte)
{
    instruction_add(i, byte);
}

static void add_bytes(struct instruction *i, uint64_t value, unsigned size)
{
    store_le(i->bytes + i->length, value, size);
    i->length += (uint8_t)size;
}

/* Any instruction */

bool program_unpredictable(const ZydisDecodedInstruction *insn)
{
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
    case ZYDIS_MNEMONIC_RDPMC:
    case ZYDIS_MNEMONIC_RDMSR:
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED:
        return true;
    default:
        return false;
    }
}

/* Branches that would lead into the midst of others are made elsewhere. */
static bool unwanted(const ZydisDecodedInstruction *insn)
{
    return program_unpredictable(insn) || insn->meta.category == ZYDIS_CATEGORY_COND_BR ||
           (insn->meta.category == ZYDIS_CATEGORY_UNCOND_BR && insn->raw.imm[0].is_relative) ||
           (insn->meta.category == ZYDIS_CATEGORY_CALL && insn->raw.imm[0].is_relative);
}

static uint64_t at_first(const struct program *p, ZydisRegister reg)
{
    ZydisRegisterClass class = ZydisRegisterGetClass(reg);
    if (class != ZYDIS_REGCLASS_GPR64 && class != ZYDIS_REGCLASS_GPR32)
        return UINT64_MAX;
    return p->gpr[ZydisRegisterGetId(reg)];
}

/* Does it lead into the data pages, as long as nothing changes it? */
static bool is_pointer(const struct program *p, ZydisRegister reg)
{
    uint64_t value = at_first(p, reg);
    return (value >= DATA && value < DATA + 0x10000) ||
           ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_GPR16;
}

static bool is_index(const struct program *p, ZydisRegister reg)
{
    return reg == ZYDIS_REGISTER_NONE || at_first(p, reg) < PROGRAM_INDEX_LIMIT;
}

uint32_t program_data_address(struct rng *rng)
{
    uint64_t r = rng_next(rng);
    switch (r % 8) {
    case 0: /* across pages, and into those that fault */
        return DATA + (uint32_t)(1 + (r >> 8) % 6) * 0x1000 - (uint32_t)(r >> 16) % 16;
    case 1:
        return STACK + (uint32_t)(r >> 8) % 0x800;
    default:
        return DATA + (uint32_t)(r >> 8) % 0x2f00;
    }
}

/* Its memory operand, if it has one, shall mostly be in reach. */
static bool aim(struct rng *rng, const struct program *p, struct instruction *i,
                const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands)
{
    for (unsigned k = 0; k < insn->operand_count_visible; k++) {
        const ZydisDecodedOperand *o = &operands[k];
        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY)
            continue;
        if (o->mem.base == ZYDIS_REGISTER_RIP) {
            i->fix = FIX_RELATIVE;
            i->fix_at = insn->raw.disp.offset;
            i->fix_size = 4;
            i->target = program_data_address(rng);
            return true;
        }
        unsigned size = insn->raw.disp.size / 8;
        if (size > 1) {
            uint32_t value = o->mem.base == ZYDIS_REGISTER_NONE
                                 ? program_data_address(rng)
                                 : (uint32_t)rng_below(rng, 0x400) - 0x200;
            store_le(i->bytes + insn->raw.disp.offset, value, size > 4 ? 4 : size);
            if (size > 4)
                store_le32(i->bytes + insn->raw.disp.offset + 4, 0);
        }
        if (o->mem.base != ZYDIS_REGISTER_NONE && !is_pointer(p, o->mem.base))
            return one_in(rng, 32);
        return is_index(p, o->mem.index) || one_in(rng, 32);
    }
    return true;
}

static bool any_instruction(struct rng *rng, const struct program *p, struct instruction *i)
{
    static const uint8_t prefixes[] = {0x66, 0x66, 0x66, 0xf2, 0xf3, 0xf3,
                                       0x67, 0x2e, 0x36, 0x64, 0x65, 0xf0};
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    uint64_t r = rng_next(rng);
    memset(i, 0, sizeof(*i));
    if (r % 4 == 0)
        add(i, prefixes[(r >> 8) % ARRAY_LEN(prefixes)]);
    unsigned kind = (r >> 16) % 16;
    bool wide = p->mode == LONG64;
    if (wide && (r >> 20) % 2 && kind < 12)
        add(i, 0x40 | (r >> 24 & 15));
    if (kind < 6) {
        add(i, (unsigned)(r >> 32) & 0xff);
    } else if (kind < 10) {
        add(i, 0x0f);
        add(i, (unsigned)(r >> 32) & 0xff);
    } else if (kind < 12) {
        add(i, 0x0f);
        add(i, kind == 10 ? 0x38 : 0x3a);
        add(i, (unsigned)(r >> 32) & 0xff);
    } else if (kind < 14) {
        add(i, 0xd8 | (r >> 32 & 7));
    } else {
        add(i, 0xc4);
        add(i, (unsigned)(r >> 24 & 0xe0) | (1 + (r >> 40) % 3) | (wide ? 0 : 0xc0));
        add(i, (unsigned)(r >> 48 & 0xff) | (r >> 44 & 1 ? 0x78 : 0));
        add(i, (unsigned)(r >> 32) & 0xff);
    }
    while (i->length < 15)
        add(i, (unsigned)rng_next(rng) & 0xff);
    if (!program_decode(p, i->bytes, i->length, &insn, operands) || unwanted(&insn))
        return false;
    bool reachable = aim(rng, p, i, &insn, operands);
    memset(i->bytes + insn.length, 0, sizeof(i->bytes) - insn.length);
    i->length = insn.length;
    return reachable;
}

/* Instructions of ordinary code */

/* The prefixes of an operand size of 1, 2, 4 or 8 bytes; returns the opcode's low bit. */
static unsigned add_size(struct rng *rng, const struct program *p, struct instruction *i,
                         unsigned rex)
{
    unsigned size = (unsigned)rng_below(rng, p->mode == LONG64 ? 4 : 3);
    if ((size == 1) != narrow(p) && size != 0 && size != 3)
        add(i, 0x66);
    if (p->mode == LONG64 && (size == 3 || rex))
        add(i, 0x40 | (size == 3 ? 8 : 0) | rex);
    return size != 0;
}

static void add_modrm_memory(struct rng *rng, const struct program *p, struct instruction *i,
                             unsigned reg)
{
    static const uint8_t bases[] = {RBX, RBP, RSI, RDI};
    unsigned rm = narrow(p) ? (unsigned)rng_below(rng, 8) : bases[rng_below(rng, 4)];
    add(i, 0x40 | reg << 3 | rm);
    add(i, (unsigned)rng_next(rng) & 0xff);
}

/* ALU, moves, shifts and unary, on registers and memory. */
static void arithmetic(struct rng *rng, const struct program *p, struct instruction *i)
{
    static const uint8_t opcodes[] = {0x00, 0x02, 0x08, 0x0a, 0x10, 0x12, 0x18, 0x1a, 0x20,
                                      0x22, 0x28, 0x2a, 0x30, 0x32, 0x38, 0x3a, 0x84, 0x86,
                                      0x88, 0x8a, 0xd0, 0xd2, 0xc0, 0xf6, 0xfe, 0x80};
    uint64_t r = rng_next(rng);
    unsigned opcode = opcodes[r % ARRAY_LEN(opcodes)], reg = (unsigned)(r >> 8) & 7;
    unsigned width = add_size(rng, p, i, (unsigned)(r >> 12) & (one_in(rng, 2) ? 5 : 0));
    add(i, opcode | width);
    if (opcode == 0xfe)
        reg &= 1;
    if (r >> 16 & 1)
        add_modrm_memory(rng, p, i, reg);
    else
        add(i, 0xc0 | reg << 3 | (r >> 20 & 7));
    bool test = opcode == 0xf6 && reg < 2;
    if (opcode == 0x80 || test || opcode == 0xc0) {
        unsigned size = opcode == 0xc0 || !width ? 1 : 4;
        if (size == 4 && (i->bytes[0] == 0x66) != narrow(p))
            size = 2;
        add_bytes(i, rng_next(rng), size);
    }
}

static void load_immediate(struct rng *rng, const struct program *p, struct instruction *i)
{
    /* Not the stack pointer, seldom a pointer. */
    static const uint8_t regs[] = {RAX, RCX, RDX, RAX, RCX, RDX, RBX, RSI, RDI, RBP};
    unsigned reg = regs[rng_below(rng, ARRAY_LEN(regs))];
    add(i, 0xb8 | reg);
    uint32_t value = reg == RBX || reg >= RBP ? program_data_address(rng)
                                              : (uint32_t)(rng_next(rng) >> rng_below(rng, 33));
    add_bytes(i, value, narrow(p) ? 2 : 4);
}

static void stack(struct rng *rng, const struct program *p, struct instruction *i)
{
    static const uint8_t regs[] = {RAX, RCX, RDX, RBX, RBP, RSI, RDI};
    unsigned reg = regs[rng_below(rng, ARRAY_LEN(regs))];
    (void)p;
    switch (rng_below(rng, 6)) {
    case 0:
        add(i, 0x9c); /* pushf */
        break;
    case 1:
        add(i, 0x68); /* push imm */
        add_bytes(i, rng_next(rng), narrow(p) ? 2 : 4);
        break;
    case 2:
    case 3:
        add(i, 0x50 | reg);
        break;
    default:
        add(i, 0x58 | (reg > RDX ? reg & 3 & ~1u : reg));
    }
}

static void string(struct rng *rng, const struct program *p, struct instruction *i)
{
    static const uint8_t opcodes[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
    uint64_t r = rng_next(rng);
    if (r & 3) {
        /* push imm8; pop rcx: few enough */
        add(i, 0x6a);
        add(i, (unsigned)(r >> 8) & 31);
        add(i, 0x59);
        add(i, r & 4 ? 0xf3 : 0xf2);
    }
    if (p->mode == LONG64 && r & 0x80000)
        add(i, 0x48);
    add(i, opcodes[(r >> 24) % ARRAY_LEN(opcodes)]);
}

static void vector(struct rng *rng, const struct program *p, struct instruction *i)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf2, 0xf3};
    static const uint8_t opcodes[] = {0x10, 0x11, 0x28, 0x51, 0x54, 0x57, 0x58, 0x59, 0x5a, 0x5c,
                                      0x5d, 0x5e, 0x6f, 0x7f, 0xef, 0xfe, 0x2a, 0x2d, 0x2e, 0xd6};
    uint64_t r = rng_next(rng);
    if (prefixes[r & 3])
        add(i, prefixes[r & 3]);
    add(i, 0x0f);
    add(i, opcodes[(r >> 8) % ARRAY_LEN(opcodes)]);
    if (r >> 16 & 1)
        add_modrm_memory(rng, p, i, (unsigned)(r >> 17) & 7);
    else
        add(i, 0xc0 | (r >> 17 & 63));
}

static void condition(struct rng *rng, const struct program *p, struct instruction *i)
{
    uint64_t r = rng_next(rng);
    add(i, 0x0f);
    add(i, (r & 0x100 ? 0x90 : 0x40) | (r & 15));
    if (r & 0x200)
        add_modrm_memory(rng, p, i, (unsigned)(r >> 10) & 7);
    else
        add(i, 0xc0 | (r >> 10 & 0x1f) | (r & 0x100 ? 0 : r >> 10 & 0x20));
}

/* To another instruction, backwards only by LOOP: so few blocks have no end. */
static void branch(struct rng *rng, const struct program *p, struct instruction *i, unsigned at)
{
    uint64_t r = rng_next(rng);
    i->fix = FIX_BRANCH;
    i->fix_size = narrow(p) ? 2 : 4;
    unsigned ahead = BLOCK_INSTRUCTIONS - at;
    i->target = at + 1 + (uint32_t)(r >> 8) % ahead;
    switch (r % 8) {
    case 0:
        add(i, 0xe8); /* call */
        break;
    case 1:
        add(i, 0xe9);
        break;
    case 2: /* push imm8; pop rcx ... loop back */
        add(i, r >> 40 & 1 ? 0xe2 : 0xe3);
        i->fix_size = 1;
        if (i->bytes[0] == 0xe2) {
            i->target = at - (uint32_t)(r >> 16) % (at < 8 ? at + 1 : 8);
            break;
        }
        i->target = at + 1 + (uint32_t)(r >> 16) % (ahead < 6 ? ahead : 6);
        break;
    case 3:
    case 4:
        add(i, 0x70 | (r >> 32 & 15));
        i->fix_size = 1;
        i->target = at + 1 + (uint32_t)(r >> 16) % (ahead < 6 ? ahead : 6);
        break;
    default:
        add(i, 0x0f);
        add(i, 0x80 | (r >> 32 & 15));
    }
    i->fix_at = i->length;
    add_bytes(i, 0, i->fix_size);
}

/* A store of a byte or of four into an instruction near by, by its own address or another. */
static void modify(struct rng *rng, const struct program *p, struct instruction *i, unsigned at)
{
    static const uint8_t simple[] = {0x90, 0xf8, 0xfc, 0xf5, 0x40, 0x41, 0x42, 0x98, 0x99, 0xcc};
    uint64_t r = rng_next(rng);
    bool byte = r & 1;
    add(i, byte ? 0xc6 : 0xc7);
    if (p->mode == LONG64) {
        add(i, 0x04);
        add(i, 0x25);
    } else {
        add(i, narrow(p) ? 0x06 : 0x05);
    }
    i->fix = FIX_CODE;
    i->fix_at = i->length;
    i->fix_size = narrow(p) ? 2 : 4;
    i->within = r >> 8 & 3 ? 0 : (r >> 10) % 4;
    i->by = narrow(p) || r >> 16 & 1 ? BY_ALIAS : BY_CODE;
    int way = (int)((r >> 20) % 8) - 2;
    i->target = (uint32_t)((int)at + way < 0 ? 0 : (int)at + way);
    add_bytes(i, 0, i->fix_size);
    for (unsigned k = 0; k < (byte ? 1 : narrow(p) ? 2 : 4); k++)
        add(i, simple[rng_below(rng, ARRAY_LEN(simple))]);
}

static void one_instruction(struct rng *rng, const struct program *p, struct instruction *i,
                            unsigned at)
{
    uint64_t r = rng_next(rng);
    unsigned kind = (unsigned)r % 24;
    if (kind < 5)
        for (unsigned tries = 0; tries < 200; tries++)
            if (any_instruction(rng, p, i))
                return;
    if (kind >= 16)
        for (unsigned tries = 0; tries < 200; tries++)
            if (operands_instruction(rng, p, i))
                return;
    memset(i, 0, sizeof(*i));
    switch (kind) {
    case 5:
        operands_control(rng, p, i, at);
        break;
    case 6:
    case 7:
        branch(rng, p, i, at);
        break;
    case 8:
        modify(rng, p, i, at);
        break;
    case 9:
        stack(rng, p, i);
        break;
    case 10:
        load_immediate(rng, p, i);
        break;
    case 11:
        string(rng, p, i);
        break;
    case 12:
        vector(rng, p, i);
        break;
    case 13:
        condition(rng, p, i);
        break;
    default:
        arithmetic(rng, p, i);
    }
}

/* Behind what leaves flags undefined comes a comparison, which defines all of them: engines need
 * not agree in what is undefined. */
static void define_flags(struct rng *rng, const struct program *p, struct instruction *i)
{
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (!program_decode(p, i->bytes, i->length, &insn, operands) || insn.length != i->length ||
        !program_undefined_flags(&insn))
        return;
    add(i, 0x3c); /* cmp al, imm8 */
    add(i, (unsigned)rng_next(rng) & 0xff);
}

void program_any_instruction(struct rng *rng, const struct program *p, struct instruction *i)
{
    while (!(one_in(rng, 2) ? any_instruction(rng, p, i) : operands_instruction(rng, p, i)))
        ;
    define_flags(rng, p, i);
}

static void state(struct rng *rng, struct program *p)
{
    static const uint8_t pointers[] = {RBX, RBP, RSI, RDI};
    for (unsigned r = 0; r < 16; r++) {
        uint64_t value = rng_next(rng) >> rng_below(rng, 64);
        p->gpr[r] = p->mode == LONG64 ? value : r < 8 ? (uint32_t)value : 0;
    }
    uint32_t base = narrow(p) ? DATA : 0;
    for (unsigned i = 0; i < ARRAY_LEN(pointers); i++)
        if (!one_in(rng, 16))
            p->gpr[pointers[i]] = program_data_address(rng) - base;
    p->gpr[RCX] = one_in(rng, 2) ? rng_below(rng, 16) : p->gpr[RCX];
    p->gpr[RSP] = STACK + (uint32_t)rng_below(rng, 0x100) * 8 - base;
    if (one_in(rng, 8))
        p->gpr[RSP] = program_data_address(rng) - base;
    if (p->mode == LONG64)
        for (unsigned r = R8; r <= R15; r++)
            if (!one_in(rng, 4))
                p->gpr[r] = one_in(rng, 3) ? rng_below(rng, PROGRAM_INDEX_LIMIT)
                                           : program_data_address(rng);
    p->flags = (rng_next(rng) & (FLAGS_ARITH | (one_in(rng, 8) ? FLAG_DF : 0))) | 2;
    p->cr0 = one_in(rng, 4) ? 0 : CR0_WP;
    if (p->user && one_in(rng, 16)) {
        p->cr0 |= CR0_AM;
        p->flags |= FLAG_AC;
    }
    if (p->user)
        p->flags |= FLAG_IF;
    if (one_in(rng, 64))
        p->cr0 |= one_in(rng, 2) ? CR0_TS : CR0_EM;
    if (!p->user && one_in(rng, 16)) {
        p->cr4 |= CR4_SMAP;
        if (!one_in(rng, 4))
            p->flags |= FLAG_AC;
    }
    if (one_in(rng, 64))
        p->flags |= FLAG_TF;
}

void program_generate(struct program *p, uint64_t seed, uint64_t number)
{
    struct rng rng = {.state = seed * 0x9e3779b97f4a7c15};
    rng.state = rng_next(&rng) + number * 0xd1342543de82ef95;
    memset(p, 0, sizeof(*p));
    static const uint8_t modes[] = {LONG64,   LONG64,   LONG64,   COMPAT32,
                                    LEGACY32, LEGACY32, COMPAT16, LEGACY16};
    p->mode = (enum block_mode)modes[rng_below(&rng, ARRAY_LEN(modes))];
    p->user = one_in(&rng, 2);
    p->seed = rng_next(&rng);
    p->entry = CODE + (uint32_t)rng_below(&rng, 0x2e00);
    if (one_in(&rng, 2)) /* from one page to the next */
        p->entry =
            CODE + 0x1000 * (1 + (uint32_t)rng_below(&rng, 2)) - (uint32_t)rng_below(&rng, 120);
    state(&rng, p);
    if (!narrow(p) && one_in(&rng, 4)) {
        flow_generate(p, &rng);
        return;
    }
    p->hot = 1;
    p->count = 1 + (unsigned)rng_below(&rng, BLOCK_INSTRUCTIONS);
    for (unsigned i = 0; i < p->count; i++) {
        one_instruction(&rng, p, &p->insn[i], i);
        define_flags(&rng, p, &p->insn[i]);
    }
}

/* The manual's word on shifts and rotates depends on the count. */
uint64_t program_undefined_flags(const ZydisDecodedInstruction *insn)
{
    uint64_t undefined = insn->cpu_flags ? insn->cpu_flags->undefined : 0;
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
        return undefined | FLAG_OF;
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
        return undefined | FLAG_OF | FLAG_AF;
    default:
        return undefined;
    }
}

uint32_t program_addresses(const struct program *p, uint32_t at[INSTRUCTIONS])
{
    uint32_t next = p->entry;
    for (unsigned i = 0; i < INSTRUCTIONS; i++) {
        if (i < p->count && p->insn[i].place > next)
            next = p->insn[i].place;
        at[i] = next;
        next += i < p->count ? p->insn[i].length : 0;
    }
    return next;
}

uint32_t program_mapped(uint32_t at, enum mapping by)
{
    static const uint32_t starts[] = {
        [BY_CODE] = CODE, [BY_ALIAS] = ALIAS, [BY_SHUFFLED] = SHUFFLED};
    return at - CODE + starts[by];
}

static uint32_t fixed(const struct program *p, const struct instruction *i, uint32_t target,
                      uint32_t end)
{
    uint32_t distance = target - end;
    switch (i->fix) {
    case FIX_BRANCH:
        return i->fix_size == 1 && (int32_t)distance != (int8_t)distance ? 0 : distance;
    case FIX_CODE:
        return program_mapped(target, i->by) + i->within - (narrow(p) ? DATA : 0);
    default: /* FIX_RELATIVE */
        return i->target - end;
    }
}

unsigned program_layout(const struct program *p, uint8_t *bytes, unsigned size)
{
    uint32_t at[INSTRUCTIONS], next = program_addresses(p, at);
    memset(bytes, 0xcc, size);
    for (unsigned i = 0; i < p->count; i++) {
        const struct instruction *insn = &p->insn[i];
        uint8_t *to = bytes + (at[i] - p->entry);
        if (!insn->length || at[i] - p->entry + insn->length > size)
            continue;
        memcpy(to, insn->bytes, insn->length);
        uint32_t target = insn->target < INSTRUCTIONS ? at[insn->target] : next;
        if (insn->fix != FIX_NONE)
            store_le(to + insn->fix_at, fixed(p, insn, target, at[i] + insn->length),
                     insn->fix_size);
    }
    return (unsigned)min_u64(next - p->entry, size);
}

static void print_instruction(const struct program *p, const uint8_t *bytes, unsigned from,
                              unsigned count, unsigned length, FILE *out)
{
    for (unsigned done = from; done < from + count && done < length;) {
        ZydisDisassembledInstruction shown;
        uint32_t at = p->entry + done - (narrow(p) ? CODE : 0);
        if (!ZYAN_SUCCESS(ZydisDisassembleIntel(program_machine_mode(p), at, bytes + done,
                                                length - done, &shown))) {
            fprintf(out, "  %6x  (%02x)\n", at, bytes[done]);
            done++;
            continue;
        }
        fprintf(out, "  %6x  ", at);
        for (unsigned i = 0; i < 15; i++)
            if (i < shown.info.length)
                fprintf(out, "%02x", bytes[done + i]);
            else
                fputs("  ", out);
        fprintf(out, "  %s\n", shown.text);
        done += shown.info.length;
    }
}

void program_print(const struct program *p, FILE *out)
{
    static const char *const modes[BLOCK_MODES] = {"64-bit", "compat 32-bit", "compat 16-bit",
                                                   "32-bit", "16-bit"};
    uint8_t bytes[CODE_PAGES * PAGE_SIZE];
    uint32_t at[INSTRUCTIONS];
    unsigned length = program_layout(p, bytes, sizeof(bytes));
    program_addresses(p, at);
    fprintf(out, "  %s, %s, flags %llx, hot after %u\n", modes[p->mode],
            p->user ? "user" : "supervisor", (unsigned long long)p->flags, p->hot);
    for (unsigned r = 0; r < 16; r++)
        if (p->gpr[r])
            fprintf(out, "  r%u=%llx", r, (unsigned long long)p->gpr[r]);
    fputc('\n', out);
    for (unsigned i = 0; i < p->count; i++)
        print_instruction(p, bytes, at[i] - p->entry, p->insn[i].length, length, out);
}
