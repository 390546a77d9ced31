/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Cases from random numbers. Bytes are made by the shape of the encoding, and taken if Zydis
 * decodes them; then every access to memory is aimed (operands.c).
 */
#include "case.h"

#include <string.h>

uint64_t rng_next(struct rng *rng)
{
    rng->state += 0x9e3779b97f4a7c15;
    uint64_t z = rng->state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Values */

uint64_t random_value(struct rng *rng)
{
    static const uint64_t edges[] = {0,          1,          2,         0x7f,       0x80,
                                     0xff,       0x7fff,     0x8000,    0xffff,     0x7fffffff,
                                     0x80000000, 0xffffffff, INT64_MAX, 1ull << 63, UINT64_MAX,
                                     0x3f800000, 0x7fc00000, 0x99,      0x9a,       0x10};
    uint64_t r = rng_next(rng);
    switch (r % 4) {
    case 0:
        return edges[(r >> 8) % ARRAY_LEN(edges)];
    case 1:
        return r >> 56;
    case 2:
        return rng_next(rng) >> (r >> 8) % 64;
    default:
        return rng_next(rng);
    }
}

/* Numbers of every kind: whole and packed floating-point, the odd ones often. */
void random_bytes(struct rng *rng, uint8_t *to, unsigned size)
{
    static const uint64_t doubles[] = {0,
                                       1ull << 63,
                                       0x3ff0000000000000,
                                       0xbff0000000000000,
                                       0x7ff0000000000000,
                                       0xfff8000000000000,
                                       0x7ff0000000000001,
                                       1,
                                       0x000fffffffffffff,
                                       0x7fefffffffffffff,
                                       0x4330000000000001,
                                       0x41dfffffffc00000};
    static const uint32_t singles[] = {0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000,
                                       0xffc00000, 0x7f800001, 1,          0x007fffff, 0x7f7fffff,
                                       0x4b000001, 0x4effffff, 0xcf000000, 0x3c003c00, 0x7c0003ff};
    for (unsigned at = 0; at < size; at += 8) {
        uint64_t r = rng_next(rng), value;
        switch (r % 8) {
        case 0:
        case 1:
            value = doubles[(r >> 8) % ARRAY_LEN(doubles)];
            break;
        case 2:
        case 3:
            value = (uint64_t)singles[(r >> 8) % ARRAY_LEN(singles)] |
                    (uint64_t)singles[(r >> 16) % ARRAY_LEN(singles)] << 32;
            break;
        case 4: { /* ordinary numbers, so that not all is over- and underflow */
            float a = (float)(int32_t)rng_next(rng) / 65536, b = (float)(int8_t)(r >> 8);
            memcpy(&value, &a, 4);
            memcpy((uint8_t *)&value + 4, &b, 4);
            break;
        }
        case 5: {
            double a = (double)(int64_t)rng_next(rng) / (double)(1ull << (r >> 8) % 63);
            memcpy(&value, &a, 8);
            break;
        }
        case 6:
            value = random_value(rng);
            break;
        default:
            value = rng_next(rng);
        }
        memcpy(to + at, &value, size - at < 8 ? size - at : 8);
    }
}

static void random_extended(struct rng *rng, uint8_t *to)
{
    uint64_t r = rng_next(rng);
    store_le64(to, rng_next(rng));
    store_le16(to + 8, (uint16_t)(r >> 16));
    switch (r % 10) {
    case 0: /* zero */
        store_le64(to, 0);
        store_le16(to + 8, (r >> 16) & 0x8000);
        break;
    case 1: /* infinity and NaN */
        store_le64(to, 1ull << 63 | (r & 0x100 ? rng_next(rng) : 0));
        store_le16(to + 8, (uint16_t)(r >> 16) | 0x7fff);
        break;
    case 2: /* denormal */
        store_le16(to + 8, (r >> 16) & 0x8000);
        break;
    case 3: { /* a small whole number */
        long double v = (long double)(int)(r >> 8 & 63) - 32;
        memcpy(to, &v, 10);
        break;
    }
    case 4: /* anything, unnormal too */
        break;
    case 5: { /* about the limits of the integers */
        long double v = (long double)(int64_t)random_value(rng);
        memcpy(to, &v, 10);
        break;
    }
    default:
        to[7] |= 0x80;
        store_le16(to + 8, ((r >> 16) & 0x8000) | (0x3fff - 40 + (r >> 32) % 80));
        break;
    }
}

static void random_unit(struct rng *rng, struct unit_state *unit)
{
    uint64_t r = rng_next(rng);
    unit->fcw = r & 1 ? 0x37f : (uint16_t)((r & 0xf00) | 0x7f);
    if ((r >> 12 & 3) == 0)
        unit->fcw = (uint16_t)((unit->fcw & ~0x3f) | (r >> 16 & 0x3f));
    unit->fsw = (uint16_t)(r >> 24) & 0x7f7f;
    if ((r >> 40 & 7) != 0) /* seldom a pending exception: nothing but #MF comes of it */
        unit->fsw &= (uint16_t)(unit->fcw | ~0x3f);
    unit->ftw = (uint8_t)(rng_next(rng) | rng_next(rng));
    unit->mxcsr = MXCSR_RESET;
    if (r >> 44 & 1)
        unit->mxcsr |= (uint32_t)(r >> 45) & 0xe07f;
    if ((r >> 61 & 3) == 0)
        unit->mxcsr &= (uint32_t)rng_next(rng) | 0xe03f;
    for (unsigned i = 0; i < 8; i++)
        random_extended(rng, unit->st[i]);
    for (unsigned i = 0; i < 16; i++)
        random_bytes(rng, unit->ymm[i], 32);
}

/* Bytes */

static void add(struct input *input, unsigned byte)
{
    input->bytes[input->length++] = (uint8_t)byte;
}

static void add_prefixes(struct rng *rng, struct input *input)
{
    static const uint8_t prefixes[] = {0x66, 0x66, 0x66, 0xf2, 0xf2, 0xf3, 0xf3, 0x67,
                                       0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0xf0, 0xf0};
    uint64_t r = rng_next(rng);
    unsigned count = r % 8 < 4 ? 0 : r % 8 < 7 ? 1 : 1 + (r >> 8) % 4;
    for (unsigned i = 0; i < count; i++)
        add(input, prefixes[(r >> (16 + 4 * i)) % ARRAY_LEN(prefixes)]);
}

static void add_vex(struct rng *rng, struct input *input)
{
    uint64_t r = rng_next(rng);
    unsigned vvvv = r & 3 ? 0 : 0x78; /* unused: all ones */
    if (!(r & 12)) {
        add(input, 0xc5);
        add(input, (unsigned)(r >> 8 & 0xff) | vvvv | (code64(input) ? 0 : 0xc0));
        return;
    }
    add(input, 0xc4);
    add(input, (unsigned)(r >> 8 & 0xe0) | (1 + (r >> 16) % 3) | (code64(input) ? 0 : 0xc0));
    add(input, (unsigned)(r >> 24 & 0xff) | vvvv);
}

/* What is seldom met otherwise: segments and far branches, and what is particular to user mode. */
static unsigned special_opcode(struct rng *rng)
{
    static const uint16_t opcodes[] = {
        0x8e,   0x8e,   0x8e,   0x8c,   0x06,   0x07,   0x0e,   0x16,   0x17,   0x1e,   0x1f,
        0x0fa0, 0x0fa1, 0x0fa8, 0x0fa9, 0xc4,   0xc5,   0x0fb2, 0x0fb4, 0x0fb5, 0xff,   0xff,
        0xff,   0x9a,   0xea,   0xca,   0xcb,   0xcf,   0xcf,   0x0f02, 0x0f03, 0x0f00, 0xcc,
        0xcd,   0xce,   0xf1,   0x62,   0x0f01, 0x0f31, 0x0fc7, 0x0fae, 0x9c,   0x9d,   0xc8,
        0xc9,   0x60,   0x61,   0xe3,   0xe2,   0xe8,   0xe9,   0xeb};
    return opcodes[rng_next(rng) % ARRAY_LEN(opcodes)];
}

static void random_instruction(struct rng *rng, struct input *input)
{
    input->length = 0;
    uint64_t r = rng_next(rng);
    if (one_in(rng, 16)) {
        unsigned opcode = special_opcode(rng);
        add_prefixes(rng, input);
        if (code64(input) && r >> 16 & 1)
            add(input, 0x40 | (r >> 17 & 15));
        if (opcode > 0xff)
            add(input, opcode >> 8);
        add(input, opcode & 0xff);
        while (input->length < 15)
            add(input, (unsigned)rng_next(rng) & 0xff);
        return;
    }
    unsigned kind = r % 16;
    if (kind < 4) {
        if (one_in(rng, 32))
            add_prefixes(rng, input);
        add_vex(rng, input);
        add(input, (unsigned)(r >> 8) & 0xff);
    } else {
        add_prefixes(rng, input);
        if (code64(input) && r >> 16 & 1)
            add(input, 0x40 | (r >> 17 & 15));
        if (kind < 6) {
            add(input, 0xd8 | (r >> 24 & 7));
        } else if (kind < 9) {
            add(input, (unsigned)(r >> 24) & 0xff);
        } else {
            add(input, 0x0f);
            if (kind == 12 || kind == 13)
                add(input, 0x38);
            else if (kind == 14)
                add(input, 0x3a);
            add(input, (unsigned)(r >> 24) & 0xff);
        }
    }
    unsigned modrm = (unsigned)(r >> 32) & 0xff;
    add(input, r >> 40 & 3 ? modrm : modrm | 0xc0);
    while (input->length < 15)
        add(input, (unsigned)random_value(rng) & 0xff);
}

static bool is_prefix(unsigned byte, bool rex)
{
    return byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e ||
           (byte >= 0x64 && byte <= 0x67) || byte == 0xf0 || byte == 0xf2 || byte == 0xf3 ||
           (rex && (byte & 0xf0) == 0x40);
}

/* Zydis 4.0 takes [disp32 + index] with a 67h prefix and REX.B for [r13d + index]. */
static void correct_base(struct insn *insn)
{
    const ZydisDecodedInstruction *i = &insn->insn;
    if (!(i->attributes & ZYDIS_ATTRIB_HAS_SIB) || i->raw.modrm.mod != 0 || i->raw.sib.base != 5)
        return;
    for (unsigned k = 0; k < i->operand_count; k++) {
        ZydisDecodedOperandMem *mem = &insn->operands[k].mem;
        if (insn->operands[k].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            mem->base == ZYDIS_REGISTER_R13D) {
            mem->base = ZYDIS_REGISTER_NONE;
            mem->disp.value = i->raw.disp.value;
        }
    }
}

bool case_decode(const struct input *input, struct insn *insn)
{
    static ZydisDecoder decoders[5];
    static bool ready;
    if (!ready) {
        ZydisDecoderInit(&decoders[0], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        ZydisDecoderInit(&decoders[1], ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
        ZydisDecoderInit(&decoders[2], ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_16);
        ZydisDecoderInit(&decoders[3], ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_STACK_WIDTH_32);
        ZydisDecoderInit(&decoders[4], ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_STACK_WIDTH_16);
        /* NOPs where the extension is missing: as the guest sees them. */
        for (unsigned i = 0; i < ARRAY_LEN(decoders); i++) {
            ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
            ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
            ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
        }
        ready = true;
    }
    unsigned which = code64(input) ? 0 : (input->bits == 32 ? 1 : 3) + (stack_bits(input) == 16);
    ZydisDecoder *decoder = &decoders[which];
    insn->bad_lock = false;
    ZyanStatus status =
        ZydisDecoderDecodeFull(decoder, input->bytes, input->length, &insn->insn, insn->operands);
    if (status == ZYDIS_STATUS_ILLEGAL_LOCK) {
        uint8_t bytes[16];
        insn->bad_lock = true;
        memcpy(bytes, input->bytes, sizeof(bytes));
        for (unsigned i = 0; i < 15 && is_prefix(bytes[i], code64(input)); i++)
            if (bytes[i] == 0xf0)
                bytes[i] = 0x3e; /* a redundant prefix in its place */
        status = ZydisDecoderDecodeFull(decoder, bytes, input->length, &insn->insn, insn->operands);
    }
    if (!ZYAN_SUCCESS(status))
        return false;
    correct_base(insn);
    return true;
}

static void random_place(struct rng *rng, struct input *input)
{
    uint64_t r = rng_next(rng);
    uint32_t room = segments_code_room(input);
    if (r % 16 == 0) /* runs over the end of the code, or just not */
        input->rip = CODE + room - input->length + (r >> 8) % 4;
    else if (r % 16 == 1) /* from one page to the next */
        input->rip = CODE + CODE_SIZE_BYTES / 2 - (r >> 8) % 16;
    else
        input->rip = CODE + (uint32_t)(r >> 8) % (room - 64);
    if (input->rip >= CODE + room)
        input->rip = CODE + room - 1;
    if (input->rip + input->length > CODE + CODE_SIZE_BYTES)
        input->rip = CODE + CODE_SIZE_BYTES - input->length;
}

static bool try(struct rng *rng, struct input *input, struct insn *insn)
{
    memset(input, 0, sizeof(*input));
    static const uint8_t sizes[] = {64, 64, 64, 64, 64, 64, 32, 32, 32, 16};
    input->bits = sizes[rng_next(rng) % ARRAY_LEN(sizes)];
    segments_random(rng, input);
    random_instruction(rng, input);
    if (!case_decode(input, insn))
        return false;
    if (case_excluded(insn))
        return false;
    input->length = insn->insn.length;
    memset(input->bytes + input->length, 0, sizeof(input->bytes) - input->length);
    for (unsigned r = 0; r < (code64(input) ? 16 : 8); r++)
        input->gpr[r] = random_value(rng);
    if (!code64(input))
        for (unsigned r = 0; r < 8; r++)
            input->gpr[r] = (uint32_t)input->gpr[r];
    input->flags = (rng_next(rng) & (FLAGS_ARITH | (one_in(rng, 4) ? FLAG_DF : 0))) | FLAG_IF | 2;
    if (one_in(rng, 16))
        input->flags |= FLAG_AC;
    random_unit(rng, &input->unit);
    case_summarise(input);
    random_place(rng, input);
    return aim_operands(rng, input, insn);
}

void generate_case(struct input *input, struct insn *insn, uint64_t seed, uint64_t number)
{
    struct rng rng = {.state = seed * 0x9e3779b97f4a7c15};
    rng.state = rng_next(&rng) + number * 0xd1342543de82ef95;
    rng.state = rng_next(&rng);
    while (!try(&rng, input, insn))
        ;
}
