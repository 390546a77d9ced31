/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Instructions chosen for their operands: every register as base, index and operand, every kind of
 * address, prefixes that go with them; and calls and returns of all kinds. What is encoded here at
 * random and does not decode is thrown away.
 */
#include "blocks.h"

#include <string.h>

/* ModRM and what belongs to it. */
struct rm {
    uint8_t bytes[6];
    uint8_t length;
    uint8_t reg;     /* 0-7 of ModRM; */
    uint8_t r, x, b; /* further bits of reg, index, base or rm */
    bool memory, fs; /* fs: the address is small, for a segment with a base */
    bool relative;   /* to rip */
};

static void rm_add32(struct rm *rm, uint32_t value)
{
    store_le32(rm->bytes + rm->length, value);
    rm->length += 4;
}

static unsigned register_count(const struct program *p)
{
    return p->mode == LONG64 ? 16 : 8;
}

/* A register whose first value is in [from, to); any when there seems to be none. */
static unsigned register_in(struct rng *rng, const struct program *p, uint64_t from, uint64_t to)
{
    unsigned reg = 0;
    for (unsigned tries = 0; tries < 40; tries++) {
        reg = (unsigned)rng_below(rng, register_count(p));
        if (p->gpr[reg] >= from && p->gpr[reg] < to)
            break;
    }
    return reg;
}

static void rm_narrow(struct rng *rng, struct rm *rm)
{
    unsigned form = (unsigned)rng_below(rng, 8);
    rm->bytes[0] = (uint8_t)(0x40 | rm->reg << 3 | form);
    rm->bytes[1] = (uint8_t)rng_next(rng);
    rm->length = 2;
}

static void rm_memory(struct rng *rng, const struct program *p, struct rm *rm)
{
    uint64_t r = rng_next(rng);
    rm->memory = true;
    if (program_narrow(p)) {
        rm_narrow(rng, rm);
        return;
    }
    rm->length = 1;
    if (r % 8 == 0) { /* relative to rip, or absolute */
        rm->bytes[0] = (uint8_t)(rm->reg << 3 | 5);
        rm->relative = p->mode == LONG64;
        rm_add32(rm, program_data_address(rng));
        return;
    }
    if (r % 8 == 1) {
        rm->fs = p->mode == LONG64 && r >> 8 & 1;
        rm->bytes[0] = (uint8_t)(rm->reg << 3 | 4);
        rm->bytes[rm->length++] = 0x25;
        rm_add32(rm, rm->fs ? (uint32_t)(r >> 16) % 0x1ff8 : program_data_address(rng));
        return;
    }
    unsigned base = register_in(rng, p, DATA, DATA + 0x10000), index = 4, scale = 0;
    if (r >> 8 & 1) {
        index = register_in(rng, p, 0, PROGRAM_INDEX_LIMIT);
        scale = (unsigned)(r >> 12) & 3;
    }
    unsigned mod = (unsigned)(r >> 16) % 3;
    if (mod == 0 && (base & 7) == 5)
        mod = 1;
    bool sib = index != 4 || (base & 7) == 4 || one_in(rng, 16);
    rm->b = (uint8_t)(base >> 3);
    rm->bytes[0] = (uint8_t)(mod << 6 | rm->reg << 3 | (sib ? 4 : base & 7));
    if (sib) {
        rm->x = (uint8_t)(index >> 3);
        rm->bytes[rm->length++] = (uint8_t)(scale << 6 | (index & 7) << 3 | (base & 7));
    }
    if (mod == 1)
        rm->bytes[rm->length++] = (uint8_t)(r >> 24);
    else if (mod == 2)
        rm_add32(rm, (uint32_t)(r >> 24) % 0x400 - 0x200);
}

/* `reg` of 8 and more is any. */
static struct rm random_rm(struct rng *rng, const struct program *p, unsigned reg, bool memory)
{
    uint64_t r = rng_next(rng);
    bool wide = p->mode == LONG64;
    struct rm rm = {.reg = (uint8_t)(reg < 8 ? reg : r & 7),
                    .r = wide && reg >= 8 ? r >> 3 & 1 : 0};
    if (memory) {
        rm_memory(rng, p, &rm);
        return rm;
    }
    rm.b = wide ? r >> 4 & 1 : 0;
    rm.x = wide ? r >> 5 & 1 : 0; /* EVEX */
    rm.bytes[0] = (uint8_t)(0xc0 | rm.reg << 3 | (r >> 8 & 7));
    rm.length = 1;
    return rm;
}

/* Appends it, an immediate perhaps, and sees whether that is an instruction. */
static bool finish(struct rng *rng, const struct program *p, struct instruction *i,
                   const struct rm *rm)
{
    unsigned at = i->length;
    if (at + rm->length > 15)
        return false;
    memcpy(i->bytes + at, rm->bytes, rm->length);
    i->length = (uint8_t)(at + rm->length);
    if (rm->relative) {
        i->fix = FIX_RELATIVE;
        i->fix_at = (uint8_t)(at + 1);
        i->fix_size = 4;
        i->target = load_le32(rm->bytes + 1);
    }
    while (i->length < 15)
        instruction_add(i, (unsigned)rng_next(rng) & 0xff);
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (!program_decode(p, i->bytes, i->length, &insn, operands) || insn.length < at + rm->length)
        return false;
    memset(i->bytes + insn.length, 0, sizeof(i->bytes) - insn.length);
    i->length = insn.length;
    return true;
}

/* What comes before the opcode. */
static void add_prefixes(struct rng *rng, const struct program *p, struct instruction *i,
                         const struct rm *rm, uint8_t mandatory, bool may_lock)
{
    uint64_t r = rng_next(rng);
    bool wide = p->mode == LONG64;
    if (rm->memory && rm->fs)
        instruction_add(i, r & 1 ? 0x64 : 0x65);
    else if (rm->memory && !wide && r % 16 == 0)
        instruction_add(i, "\x26\x2e\x36\x3e\x64\x65"[(r >> 8) % 6]);
    if (rm->memory && wide && (r >> 16) % 8 == 0)
        instruction_add(i, 0x67);
    if (rm->memory && may_lock && (r >> 20) % 4 == 0)
        instruction_add(i, 0xf0);
    if (mandatory != 0x66 && (r >> 24) % 5 == 0)
        instruction_add(i, 0x66);
    if (mandatory)
        instruction_add(i, mandatory);
    unsigned rex = rm->r << 2 | (rm->memory ? rm->x << 1 : 0) | rm->b | (r >> 32 & 8);
    if (wide && (rex || r >> 40 & 1))
        instruction_add(i, 0x40 | rex);
}

struct form {
    uint8_t map, opcode;
    uint8_t count; /* opcodes from there */
    uint8_t regs;  /* values of ModRM.reg: bit mask; 0: any */
    uint8_t prefix;
    bool lock;
};
static const struct form forms[] = {
    {0, 0x00, 4, 0, 0, true},     {0, 0x08, 4, 0, 0, true},     {0, 0x10, 4, 0, 0, true},
    {0, 0x18, 4, 0, 0, true},     {0, 0x20, 4, 0, 0, true},     {0, 0x28, 4, 0, 0, true},
    {0, 0x30, 4, 0, 0, true},     {0, 0x38, 4, 0, 0, false},    {0, 0x80, 2, 0, 0, true},
    {0, 0x83, 1, 0, 0, true},     {0, 0x84, 2, 0, 0, false},    {0, 0x86, 2, 0, 0, true},
    {0, 0x88, 4, 0, 0, false},    {0, 0x8d, 1, 0, 0, false},    {0, 0xc0, 2, 0, 0, false},
    {0, 0xd0, 4, 0, 0, false},    {0, 0xd2, 2, 0, 0, false},    {0, 0xf6, 2, 0, 0, true},
    {0, 0xfe, 2, 0x03, 0, true},  {0, 0xff, 1, 0x40, 0, false}, {0, 0x8f, 1, 0x01, 0, false},
    {0, 0xc6, 2, 0x01, 0, false}, {0, 0x63, 1, 0, 0, false},    {0, 0x69, 1, 0, 0, false},
    {0, 0x6b, 1, 0, 0, false},    {1, 0x40, 16, 0, 0, false},   {1, 0x90, 16, 0, 0, false},
    {1, 0xa3, 3, 0, 0, true},     {1, 0xab, 3, 0, 0, true},     {1, 0xaf, 5, 0, 0, true},
    {1, 0xb3, 1, 0, 0, true},     {1, 0xb6, 2, 0, 0, false},    {1, 0xba, 1, 0xf0, 0, true},
    {1, 0xbb, 3, 0, 0, true},     {1, 0xbe, 2, 0, 0, false},    {1, 0xbc, 2, 0, 0xf3, false},
    {1, 0xb8, 1, 0, 0xf3, false}, {1, 0xc0, 2, 0, 0, true},     {1, 0xc3, 1, 0, 0, false},
    {1, 0xc7, 1, 0x02, 0, true},  {2, 0xf0, 2, 0, 0, false},    {2, 0xf0, 2, 0, 0xf2, false},
    {2, 0xf6, 1, 0, 0x66, false}, {2, 0xf6, 1, 0, 0xf3, false}, {1, 0xb0, 2, 0, 0, true},
    {1, 0xa4, 2, 0, 0, false},    {1, 0xac, 2, 0, 0, false},
};

static bool general(struct rng *rng, const struct program *p, struct instruction *i)
{
    uint64_t r = rng_next(rng);
    const struct form *form = &forms[r % ARRAY_LEN(forms)];
    unsigned reg = 8;
    if (form->regs)
        do
            reg = (unsigned)rng_below(rng, 8);
        while (!(form->regs >> reg & 1));
    struct rm rm = random_rm(rng, p, reg, r >> 8 & 1);
    add_prefixes(rng, p, i, &rm, form->prefix, form->lock);
    if (form->map)
        instruction_add(i, 0x0f);
    if (form->map == 2)
        instruction_add(i, 0x38);
    instruction_add(i, form->opcode + (unsigned)(r >> 16) % form->count);
    return finish(rng, p, i, &rm);
}

/* AH, CH, DH, BH: no REX prefix. */
static bool high_bytes(struct rng *rng, const struct program *p, struct instruction *i)
{
    static const uint8_t opcodes[] = {0x00, 0x02, 0x0a, 0x10, 0x1a, 0x22, 0x28, 0x32, 0x38, 0x3a,
                                      0x80, 0x84, 0x86, 0x88, 0x8a, 0xc0, 0xd0, 0xd2, 0xf6, 0xfe};
    uint64_t r = rng_next(rng);
    unsigned opcode = opcodes[r % ARRAY_LEN(opcodes)];
    bool unary = opcode == 0x80 || opcode >= 0xc0;
    unsigned high = 4 + (r >> 8 & 3), other = r >> 10 & 7;
    if (!unary && r >> 16 & 1) {
        struct rm rm = random_rm(rng, p, high, true);
        if (rm.x || rm.b)
            return false;
        if (r >> 20 & 1) {
            instruction_add(i, 0x0f);
            opcode = r >> 21 & 1 ? 0xb0 : 0xc0; /* cmpxchg, xadd */
        }
        instruction_add(i, opcode);
        return finish(rng, p, i, &rm);
    }
    bool swap = r >> 24 & 1;
    unsigned reg = swap && !unary ? other : high, rm_reg = swap && !unary ? high : other;
    if (unary) {
        reg = opcode == 0xfe ? other & 1 : other;
        rm_reg = high;
    } else if (r >> 25 & 3) {
        static const uint8_t extends[] = {0xb6, 0xbe, 0xb0, 0xc0};
        instruction_add(i, 0x0f);
        opcode = extends[(r >> 27) & 3];
        rm_reg = high;
        reg = other;
    }
    struct rm rm = {.bytes = {(uint8_t)(0xc0 | reg << 3 | rm_reg)}, .length = 1};
    instruction_add(i, opcode);
    return finish(rng, p, i, &rm);
}

static bool vex(struct rng *rng, const struct program *p, struct instruction *i, bool evex)
{
    /* General registers by VEX. */
    static const uint8_t general_forms[][3] = {
        {2, 0xf2, 0}, {2, 0xf3, 0}, {2, 0xf5, 0}, {2, 0xf5, 2}, {2, 0xf5, 3}, {2, 0xf6, 3},
        {2, 0xf7, 0}, {2, 0xf7, 1}, {2, 0xf7, 2}, {2, 0xf7, 3}, {3, 0xf0, 3}};
    uint64_t r = rng_next(rng), s = rng_next(rng);
    bool wide = p->mode == LONG64;
    struct rm rm = random_rm(rng, p, 8, r & 1);
    unsigned map = 1 + (unsigned)(r >> 8) % 3, opcode = (unsigned)(r >> 16) & 0xff,
             pp = r >> 24 & 3;
    unsigned vvvv = s & 15, l = s >> 4 & 1;
    if (!evex && r >> 32 & 1) {
        const uint8_t *form = general_forms[(r >> 40) % ARRAY_LEN(general_forms)];
        map = form[0];
        opcode = form[1];
        pp = form[2];
        l = 0;
    } else if (s >> 8 & 1) {
        vvvv = 0; /* many have none */
    }
    if (!wide)
        vvvv &= 7;
    if (rm.memory && rm.fs)
        instruction_add(i, s >> 9 & 1 ? 0x64 : 0x65);
    if (rm.memory && wide && (s >> 10) % 8 == 0)
        instruction_add(i, 0x67);
    unsigned rxb = rm.r << 2 | (rm.memory || evex ? rm.x << 1 : 0) | rm.b;
    unsigned w = (unsigned)(s >> 16) & 1;
    if (evex) {
        unsigned high_reg = wide ? (unsigned)(s >> 17) & 1 : 0,
                 high_v = wide && vvvv ? s >> 18 & 1 : 0;
        unsigned aaa = s >> 20 & 1 ? (unsigned)(s >> 21) & 7 : 0,
                 z = aaa ? (unsigned)(s >> 24) & 1 : 0;
        unsigned b = (s >> 25) % 4 == 0, ll = (unsigned)(s >> 28) % 3;
        instruction_add(i, 0x62);
        instruction_add(i, (~rxb & 7) << 5 | (high_reg ^ 1) << 4 | map);
        instruction_add(i, w << 7 | (~vvvv & 15) << 3 | 4 | pp);
        instruction_add(i, z << 7 | ll << 5 | b << 4 | (high_v ^ 1) << 3 | aaa);
    } else {
        instruction_add(i, 0xc4);
        instruction_add(i, (~rxb & 7) << 5 | map);
        instruction_add(i, w << 7 | (~vvvv & 15) << 3 | l << 2 | pp);
    }
    instruction_add(i, opcode);
    return finish(rng, p, i, &rm);
}

static void add_code_address(struct instruction *i, struct rng *rng)
{
    i->fix = FIX_CODE;
    i->fix_at = i->length;
    i->fix_size = 4;
    i->by = one_in(rng, 4) ? BY_ALIAS : BY_CODE;
    for (unsigned k = 0; k < 4; k++)
        instruction_add(i, 0);
}

void operands_control(struct rng *rng, const struct program *p, struct instruction *i, unsigned at)
{
    uint64_t r = rng_next(rng);
    unsigned ahead = BLOCK_INSTRUCTIONS - at;
    unsigned reg = (unsigned)(r >> 8) & 7;
    bool wide = p->mode == LONG64, rex = wide && r >> 11 & 1;
    memset(i, 0, sizeof(*i));
    i->target = at + 1 + (uint32_t)(r >> 16) % ahead;
    if (reg == RSP)
        reg = RAX;
    switch (program_narrow(p) ? 5 + r % 5 : r % 10) {
    case 0:
    case 1: /* mov reg, place; call or jmp reg */
        if (rex)
            instruction_add(i, 0x41);
        instruction_add(i, 0xb8 | reg);
        add_code_address(i, rng);
        if (rex)
            instruction_add(i, 0x41);
        instruction_add(i, 0xff);
        instruction_add(i, (r & 0x1000 ? 0xd0 : 0xe0) | reg);
        break;
    case 2: /* push place; ret */
        instruction_add(i, 0x68);
        add_code_address(i, rng);
        instruction_add(i, r & 0x1000 ? 0xc3 : 0xc2);
        if (!(r & 0x1000)) {
            instruction_add(i, (unsigned)(r >> 32) & 0x18);
            instruction_add(i, 0);
        }
        break;
    case 3:
    case 4: /* push place; call or jmp [rsp] */
        instruction_add(i, 0x68);
        add_code_address(i, rng);
        instruction_add(i, 0xff);
        instruction_add(i, r & 0x1000 ? 0x14 : 0x24);
        instruction_add(i, 0x24);
        break;
    case 5:
        instruction_add(i, 0xc8); /* enter */
        instruction_add(i, (unsigned)(r >> 32) & 0x38);
        instruction_add(i, 0);
        instruction_add(i, (r >> 40) % 8 ? 0 : (unsigned)(r >> 44) & 3);
        break;
    case 6:
        instruction_add(i, 0xc9); /* leave */
        break;
    default:
        if ((r >> 32) % 8 == 0)
            instruction_add(i, 0x66);
        if (rex)
            instruction_add(i, 0x41);
        instruction_add(i, (r >> 40 & 1 ? 0x50 : 0x58) | ((r >> 41) % 8 ? reg : RSP));
    }
}

/* What of the processor's own state kernels read and change all the time. */
static bool system_instruction(struct rng *rng, const struct program *p, struct instruction *i)
{
    static const uint8_t controls[] = {0, 2, 3, 4};
    uint64_t r = rng_next(rng);
    bool wide = p->mode == LONG64;
    unsigned rex = wide ? (unsigned)(r >> 8) & 9 : 0, rm = (unsigned)(r >> 16) & 7;
    switch (r % 8) {
    case 0: /* clac, stac */
    case 1:
        instruction_add(i, 0x0f);
        instruction_add(i, 0x01);
        instruction_add(i, 0xca | (r >> 24 & 1));
        break;
    case 2: /* rdfsbase and its kin */
        instruction_add(i, 0xf3);
        if (rex)
            instruction_add(i, 0x40 | rex);
        instruction_add(i, 0x0f);
        instruction_add(i, 0xae);
        instruction_add(i, 0xc0 | (r >> 24 & 3) << 3 | rm);
        break;
    case 3: /* mov reg, sreg */
        if (r >> 32 & 1)
            instruction_add(i, 0x66);
        if (rex)
            instruction_add(i, 0x40 | rex);
        instruction_add(i, 0x8c);
        instruction_add(i, 0xc0 | (r >> 24) % 6 << 3 | rm);
        break;
    case 4: /* mov reg, cr */
        if (rex)
            instruction_add(i, 0x40 | rex);
        instruction_add(i, 0x0f);
        instruction_add(i, 0x20);
        instruction_add(i, 0xc0 | controls[r >> 24 & 3] << 3 | rm);
        break;
    case 5: /* syscall, serialize */
        instruction_add(i, 0x0f);
        instruction_add(i, r >> 24 & 1 ? 0x05 : 0x01);
        if (!(r >> 24 & 1))
            instruction_add(i, 0xe8);
        break;
    case 6: /* mov ecx, place; mov r11d, flags; sysret */
        if (!wide)
            return false;
        instruction_add(i, 0xb9);
        add_code_address(i, rng);
        instruction_add(i, 0x41);
        instruction_add(i, 0xbb);
        for (unsigned k = 0; k < 4; k++)
            instruction_add(i, k || one_in(rng, 4) ? (unsigned)rng_next(rng) & 0xff & (r >> 32)
                                                   : 0x02);
        if (r >> 25 & 7)
            instruction_add(i, 0x48);
        instruction_add(i, 0x0f);
        instruction_add(i, 0x07);
        break;
    default: /* push flags; popf */
        instruction_add(i, 0x68);
        instruction_add(i, (unsigned)(r >> 16) & 0xff);
        instruction_add(i, (unsigned)(r >> 24) & (r >> 40 & 7 ? 0x0a : 0x7f));
        for (unsigned k = program_narrow(p) ? 2 : 0; k < 2; k++)
            instruction_add(i, k || r >> 44 & 1 ? 0 : (unsigned)(r >> 32) & 0x24);
        instruction_add(i, 0x9d);
    }
    return true;
}

bool operands_instruction(struct rng *rng, const struct program *p, struct instruction *i)
{
    memset(i, 0, sizeof(*i));
    switch (rng_below(rng, 9)) {
    case 0:
        return high_bytes(rng, p, i);
    case 1:
        return vex(rng, p, i, false);
    case 2:
        return vex(rng, p, i, true);
    case 3:
        return system_instruction(rng, p, i);
    default:
        return general(rng, p, i);
    }
}
