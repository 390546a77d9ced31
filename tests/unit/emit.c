/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * engine/dbt/emit: what it writes, decoded again by Zydis, has the operands that were asked for.
 */
#include "unit/test.h"

#include <string.h>

#include <Zydis/Zydis.h>

#include "base/bytes.h"
#include "engine/dbt/emit.h"

enum { ROUNDS = 200000 };

static uint64_t seed = 20261125;

static uint64_t next(void)
{
    seed += 0x9e3779b97f4a7c15;
    uint64_t z = seed;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

struct shown {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

/* Exactly `length` bytes are one instruction. */
static void decode(struct shown *shown, const uint8_t *bytes, size_t length)
{
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder, bytes, length, &shown->insn, shown->operands)) ||
        shown->insn.length != length) {
        for (size_t i = 0; i < length; i++)
            print_message("%02x ", bytes[i]);
        fail_msg("is no instruction of %zu bytes", length);
    }
}

static unsigned number_of(const ZydisDecodedOperand *operand)
{
    ZydisRegister reg = operand->reg.value;
    if (ZydisRegisterGetClass(reg) != ZYDIS_REGCLASS_GPR8)
        return (unsigned)ZydisRegisterGetId(reg);
    if (reg >= ZYDIS_REGISTER_SPL)
        return (unsigned)(reg - ZYDIS_REGISTER_SPL) + 4;
    return (unsigned)(reg - ZYDIS_REGISTER_AL); /* AH and such are 4 to 7, as encoded */
}

static unsigned number_or_none(ZydisRegister reg)
{
    return reg == ZYDIS_REGISTER_NONE ? H_NONE : (unsigned)ZydisRegisterGetId(reg);
}

static void check_memory(const struct emit_mem *mem, const ZydisDecodedOperand *operand)
{
    const ZydisDecodedOperandMem *m = &operand->mem;
    assert_int_equal(number_or_none(m->base), mem->base);
    assert_int_equal(number_or_none(m->index), mem->index);
    if (mem->index != H_NONE)
        assert_int_equal(m->scale, 1 << mem->shift);
    assert_int_equal(m->disp.has_displacement ? m->disp.value : 0, mem->disp);
    assert_int_equal(m->segment == ZYDIS_REGISTER_GS, mem->gs);
}

static struct emit_mem random_mem(void)
{
    uint64_t r = next();
    struct emit_mem mem = {.base = H_NONE, .index = H_NONE, .gs = (r & 7) == 0};
    if (r >> 8 & 7)
        mem.base = r >> 16 & 15;
    if (r >> 20 & 1) {
        mem.index = r >> 24 & 15;
        mem.shift = r >> 28 & 3;
        if (mem.index == H_RSP)
            mem.index = H_NONE;
    }
    if (mem.index == H_NONE)
        mem.shift = 0;
    static const int32_t edges[] = {0, 1, -1, 127, 128, -128, -129, INT32_MAX, INT32_MIN};
    mem.disp = r >> 32 & 1 ? edges[(r >> 40) % ARRAY_LEN(edges)] : (int32_t)(next() >> 32);
    return mem;
}

/* An instruction of each shape; the rest of it is made at random. */
struct shape {
    struct emit_insn insn;
    ZydisMnemonic mnemonic;
    bool digit; /* ModRM.reg belongs to the opcode */
    bool memory_only, register_only;
    bool vvvv, widths; /* widths: W and 66h are free */
    unsigned bytes;    /* of the immediate; 4: as the operand size wants it */
};
static const struct shape shapes[] = {
    {{.opcode = 0x8b, .has_modrm = true}, ZYDIS_MNEMONIC_MOV, .widths = true},
    {{.opcode = 0x8a, .has_modrm = true}, ZYDIS_MNEMONIC_MOV},
    {{.opcode = 0x88, .has_modrm = true}, ZYDIS_MNEMONIC_MOV},
    {{.opcode = 0x01, .has_modrm = true, .lock = true},
     ZYDIS_MNEMONIC_ADD,
     .memory_only = true,
     .widths = true},
    {{.opcode = 0x81, .has_modrm = true, .reg = 5},
     ZYDIS_MNEMONIC_SUB,
     .digit = true,
     .widths = true,
     .bytes = 4},
    {{.opcode = 0xc1, .has_modrm = true, .reg = 4},
     ZYDIS_MNEMONIC_SHL,
     .digit = true,
     .widths = true,
     .bytes = 1},
    {{.opcode = 0x50, .opcode_register = true}, ZYDIS_MNEMONIC_PUSH, .register_only = true},
    {{.map = 1, .opcode = 0xc8, .opcode_register = true, .w = true},
     ZYDIS_MNEMONIC_BSWAP,
     .register_only = true},
    {{.map = 1, .opcode = 0xaf, .has_modrm = true}, ZYDIS_MNEMONIC_IMUL, .widths = true},
    {{.map = 1, .opcode = 0xb8, .has_modrm = true, .repeat = 0xf3},
     ZYDIS_MNEMONIC_POPCNT,
     .widths = true},
    {{.map = 2, .opcode = 0xf0, .has_modrm = true},
     ZYDIS_MNEMONIC_MOVBE,
     .memory_only = true,
     .widths = true},
    {{.map = 3, .opcode = 0x0f, .has_modrm = true, .prefix66 = true},
     ZYDIS_MNEMONIC_PALIGNR,
     .bytes = 1},
    {{.map = 1, .opcode = 0x58, .has_modrm = true, .repeat = 0xf2}, ZYDIS_MNEMONIC_ADDSD},
    {{.encoding = EMIT_VEX, .map = 1, .opcode = 0x58, .has_modrm = true},
     ZYDIS_MNEMONIC_VADDPS,
     .vvvv = true},
    {{.encoding = EMIT_VEX, .map = 1, .opcode = 0x6f, .has_modrm = true, .pp = 1},
     ZYDIS_MNEMONIC_VMOVDQA},
    {{.encoding = EMIT_VEX, .map = 2, .opcode = 0xf7, .has_modrm = true, .pp = 1},
     ZYDIS_MNEMONIC_SHLX,
     .vvvv = true},
    {{.encoding = EMIT_VEX, .map = 3, .opcode = 0x06, .has_modrm = true, .pp = 1, .l = 1},
     ZYDIS_MNEMONIC_VPERM2F128,
     .vvvv = true,
     .bytes = 1},
    {{.encoding = EMIT_EVEX, .map = 1, .opcode = 0x58, .has_modrm = true},
     ZYDIS_MNEMONIC_VADDPS,
     .vvvv = true},
    {{.encoding = EMIT_EVEX, .map = 1, .opcode = 0x6f, .has_modrm = true, .pp = 1, .w = true},
     ZYDIS_MNEMONIC_VMOVDQA64},
    {{.encoding = EMIT_EVEX, .map = 3, .opcode = 0x25, .has_modrm = true, .pp = 1},
     ZYDIS_MNEMONIC_VPTERNLOGD,
     .vvvv = true,
     .bytes = 1},
};

static struct emit_insn random_insn(const struct shape *shape)
{
    struct emit_insn insn = shape->insn;
    uint64_t r = next();
    unsigned registers = insn.encoding == EMIT_EVEX ? 32 : 16;
    if (!shape->digit)
        insn.reg = (uint8_t)(r % registers);
    if (shape->vvvv)
        insn.vvvv = (uint8_t)((r >> 8) % registers);
    insn.memory = !shape->register_only && (shape->memory_only || r >> 16 & 1);
    if (insn.memory)
        insn.mem = random_mem();
    else
        insn.rm = (uint8_t)((r >> 20) % registers);
    if (shape->mnemonic == ZYDIS_MNEMONIC_SHLX) /* general registers */
        insn.vvvv &= 15;
    if (shape->widths) {
        insn.w = r >> 28 & 1;
        insn.prefix66 = r >> 29 & 1;
    }
    if (insn.encoding == EMIT_LEGACY && !insn.w && !insn.prefix66)
        insn.byte_rex = r >> 30 & 1;
    if (insn.encoding == EMIT_VEX && insn.map == 1)
        insn.l = r >> 31 & 1;
    if (insn.encoding == EMIT_EVEX) {
        insn.l = (uint8_t)((r >> 32) % 3);
        insn.aaa = r >> 36 & 7;
        insn.z =
            insn.aaa && r >> 40 & 1 && !(insn.memory && shape->mnemonic == ZYDIS_MNEMONIC_INVALID);
        insn.b = insn.memory && shape->mnemonic != ZYDIS_MNEMONIC_VMOVDQA64 && r >> 44 & 1;
    }
    insn.imm_length = (uint8_t)shape->bytes;
    if (shape->bytes == 4 && insn.prefix66 && !insn.w)
        insn.imm_length = 2;
    store_le64(insn.imm, next());
    return insn;
}

static void check_operands(const struct shape *shape, const struct emit_insn *insn,
                           const struct shown *shown)
{
    bool memory = false, immediate = false;
    for (unsigned i = 0; i < shown->insn.operand_count_visible; i++) {
        const ZydisDecodedOperand *o = &shown->operands[i];
        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            memory = true;
            check_memory(&insn->mem, o);
        } else if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            immediate = true;
            assert_memory_equal(&(uint64_t){o->imm.value.u}, insn->imm, insn->imm_length);
        } else if (o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG) {
            assert_int_equal(number_of(o), insn->reg);
        } else if (o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM ||
                   o->encoding == ZYDIS_OPERAND_ENCODING_OPCODE) {
            assert_int_equal(number_of(o), insn->rm);
        } else if (o->encoding == ZYDIS_OPERAND_ENCODING_NDSNDD) {
            assert_int_equal(number_of(o), insn->vvvv);
        } else if (o->encoding == ZYDIS_OPERAND_ENCODING_MASK) {
            assert_int_equal(number_of(o), insn->aaa);
        }
    }
    assert_int_equal(memory, insn->memory);
    assert_int_equal(immediate, shape->bytes != 0);
}

static void instructions_decode_to_what_was_asked_for(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const struct shape *shape = &shapes[round % ARRAY_LEN(shapes)];
        struct emit_insn insn = random_insn(shape);
        uint8_t buffer[32];
        struct emit e;
        struct shown shown;
        emit_init(&e, buffer, sizeof(buffer));
        emit_insn(&e, &insn);
        assert_false(e.full);
        decode(&shown, buffer, (size_t)(e.at - e.start));
        assert_int_equal(shown.insn.mnemonic, shape->mnemonic);
        check_operands(shape, &insn, &shown);
        assert_int_equal(!!(shown.insn.attributes & ZYDIS_ATTRIB_HAS_LOCK), insn.lock);
        if (insn.encoding == EMIT_LEGACY)
            assert_int_equal(shown.insn.raw.rex.W, insn.w);
        else
            assert_int_equal(shown.insn.avx.vector_length, shape->mnemonic == ZYDIS_MNEMONIC_SHLX
                                                               ? shown.insn.avx.vector_length
                                                               : 128u << insn.l);
        if (insn.encoding == EMIT_EVEX)
            assert_int_equal(shown.insn.avx.broadcast.mode != ZYDIS_BROADCAST_MODE_INVALID, insn.b);
        if (insn.byte_rex)
            assert_true(shown.insn.attributes & ZYDIS_ATTRIB_HAS_REX);
    }
}

/* Of two operands, the first written; size in bits. */
static void check_move(const struct emit *e, ZydisMnemonic mnemonic, unsigned to, unsigned size)
{
    struct shown shown;
    decode(&shown, e->start, (size_t)(e->at - e->start));
    assert_int_equal(shown.insn.mnemonic, mnemonic);
    assert_int_equal(number_of(&shown.operands[0]), to);
    assert_int_equal(shown.operands[0].size, size);
}

static void helpers_move_what_they_say(void **state)
{
    (void)state;
    uint8_t buffer[32];
    struct shown shown;
    struct emit e;
    for (unsigned round = 0; round < 20000; round++) {
        unsigned to = next() & 15, from = next() & 15;
        struct emit_mem mem = random_mem();
        emit_init(&e, buffer, sizeof(buffer));
        emit_mov(&e, to, from);
        check_move(&e, ZYDIS_MNEMONIC_MOV, to, 64);
        emit_init(&e, buffer, sizeof(buffer));
        emit_mov32(&e, to, from);
        check_move(&e, ZYDIS_MNEMONIC_MOV, to, 32);
        emit_init(&e, buffer, sizeof(buffer));
        emit_lea32(&e, to, mem);
        check_move(&e, ZYDIS_MNEMONIC_LEA, to, 32);
        for (unsigned size = 1; size <= 8; size *= 2) {
            emit_init(&e, buffer, sizeof(buffer));
            emit_load_sized(&e, to, mem, size);
            check_move(&e, size < 4 ? ZYDIS_MNEMONIC_MOVZX : ZYDIS_MNEMONIC_MOV, to,
                       size == 8 ? 64 : 32);
            emit_init(&e, buffer, sizeof(buffer));
            emit_store_sized(&e, mem, from, size);
            decode(&shown, e.start, (size_t)(e.at - e.start));
            assert_int_equal(shown.insn.mnemonic, ZYDIS_MNEMONIC_MOV);
            assert_int_equal(shown.operands[0].size, size * 8);
            check_memory(&mem, &shown.operands[0]);
            assert_int_equal(number_of(&shown.operands[1]), from);
        }
        uint64_t value = next() >> (next() & 63);
        emit_init(&e, buffer, sizeof(buffer));
        emit_mov_imm(&e, to, value);
        decode(&shown, e.start, (size_t)(e.at - e.start));
        assert_int_equal(number_of(&shown.operands[0]), to);
        uint64_t mask = shown.operands[0].size == 32 ? UINT32_MAX : UINT64_MAX; /* zero-extended */
        assert_int_equal(shown.operands[1].imm.value.u & mask, value);
        emit_init(&e, buffer, sizeof(buffer));
        emit_pext(&e, to, from, mem);
        check_move(&e, ZYDIS_MNEMONIC_PEXT, to, 64);
    }
}

static int64_t target_of(const uint8_t *at)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    assert_true(ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, at, 16, &insn, operands)));
    return insn.length + operands[0].imm.value.s;
}

static void branches_lead_there(void **state)
{
    (void)state;
    uint8_t buffer[512];
    struct emit e;
    for (unsigned gap = 0; gap < 200; gap++) {
        emit_init(&e, buffer, sizeof(buffer));
        uint8_t *near = emit_jrcxz(&e);
        for (unsigned i = 0; i < gap; i++)
            emit_byte(&e, 0x90);
        emit_here8(&e, near);
        assert_int_equal(e.full, gap > 127); /* beyond a byte's reach it is said */
        if (!e.full)
            assert_int_equal(target_of(buffer), 2 + gap);

        emit_init(&e, buffer, sizeof(buffer));
        uint8_t *far = emit_jcc32(&e, gap & 15);
        for (unsigned i = 0; i < gap; i++)
            emit_byte(&e, 0x90);
        emit_here32(&e, far);
        assert_int_equal(target_of(buffer), 6 + gap);
        const uint8_t *back = e.at;
        emit_call_to(&e, buffer + gap);
        assert_int_equal(back - buffer + target_of(back), gap);
        back = e.at;
        emit_jmp_to(&e, buffer);
        assert_int_equal(back - buffer + target_of(back), 0);
    }
}

static void nothing_is_written_beyond_the_end(void **state)
{
    (void)state;
    uint8_t buffer[64];
    for (unsigned size = 0; size < 40; size++) {
        struct emit e;
        memset(buffer, 0xee, sizeof(buffer));
        emit_init(&e, buffer, size);
        for (unsigned i = 0; i < 8; i++)
            emit_mov_imm(&e, i, UINT64_MAX);
        emit_here8(&e, emit_jrcxz(&e));
        emit_here32(&e, emit_jmp32(&e));
        assert_true(e.full);
        for (unsigned i = size; i < sizeof(buffer); i++)
            assert_int_equal(buffer[i], 0xee);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions_decode_to_what_was_asked_for),
        cmocka_unit_test(helpers_move_what_they_say),
        cmocka_unit_test(branches_lead_there),
        cmocka_unit_test(nothing_is_written_beyond_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
