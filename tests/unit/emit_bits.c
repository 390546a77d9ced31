/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * engine/dbt/emit_bits: run with and without BMI2, it picks the bits it should and touches no flag.
 */
#include "unit/test.h"

#include <string.h>
#include <sys/mman.h>

#include <Zydis/Zydis.h>

#include "base/bytes.h"
#include "engine/dbt/emit.h"
#include "engine/dbt/map.h"

enum { CODE_SIZE = 4096, SLOT = 3, VALUES = 200 };

static const uint64_t masks[] = {0x0000fffffffff000,
                                 0xfff,
                                 0xffff,
                                 0,
                                 1,
                                 UINT64_C(1) << 63,
                                 UINT64_MAX,
                                 ~UINT64_C(0x200),
                                 0x8d5,
                                 63,
                                 ~UINT64_C(0xfff),
                                 UINT64_C(0x8000000000000001)};

static uint64_t seed = 20261126;

static uint64_t next(void)
{
    seed += 0x9e3779b97f4a7c15;
    uint64_t z = seed;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint64_t extract(uint64_t from, uint64_t mask)
{
    uint64_t to = 0;
    for (unsigned bit = 0; mask; mask &= mask - 1, bit++)
        to |= (from >> __builtin_ctzll(mask) & 1) << bit;
    return to;
}

static uint64_t deposit(uint64_t from, uint64_t mask)
{
    uint64_t to = 0;
    for (unsigned bit = 0; mask; mask &= mask - 1, bit++)
        to |= (from >> bit & 1) << __builtin_ctzll(mask);
    return to;
}

/* What is tested, on rax, with a mask or a number. */
enum what { PEXT, PDEP, KEEP, ANY, LOW, ROTATE };

static uint64_t expected(enum what what, uint64_t value, uint64_t mask, unsigned number)
{
    switch (what) {
    case PEXT:
        return extract(value, mask);
    case PDEP:
        return deposit(value, mask);
    case KEEP:
        return value & mask;
    case ANY:
        return (value & mask) != 0;
    case LOW:
        return value & ~UINT64_C(0) >> (64 - number);
    default:
        return value >> number | value << (64 - number);
    }
}

struct code {
    uint8_t *memory;
    uint64_t slots[8]; /* rsp points behind them */
};

/* uint64_t f(uint64_t *rsp, uint64_t value) */
static void compile(struct code *code, enum what what, unsigned number, bool bmi2)
{
    struct emit e;
    struct emit_mem mask = emit_at(H_RSP, -8 * SLOT);
    assert_int_equal(mprotect(code->memory, CODE_SIZE, PROT_READ | PROT_WRITE), 0);
    emit_init(&e, code->memory, CODE_SIZE);
    if (!bmi2)
        e.masks = code->slots + ARRAY_LEN(code->slots);
    emit_mov(&e, H_R9, H_RSP);
    emit_mov(&e, H_RSP, H_RDI);
    emit_mov(&e, H_R8, H_RSI);
    const uint8_t *begin = e.at;
    switch (what) {
    case PEXT:
        emit_pext(&e, H_RAX, H_R8, mask);
        break;
    case PDEP:
        emit_pdep(&e, H_RAX, H_R8, mask);
        break;
    case KEEP:
        emit_mov(&e, H_RAX, H_R8);
        emit_keep(&e, H_RAX, mask);
        break;
    case ANY:
        emit_any(&e, H_RAX, H_R8, mask);
        break;
    case LOW:
        emit_mov(&e, H_RAX, H_R8);
        emit_keep_low(&e, H_RAX, number, H_RDX);
        break;
    case ROTATE:
        emit_rorx(&e, H_RAX, H_R8, number);
        break;
    }
    const uint8_t *end = e.at;
    emit_byte(&e, 0x0f); /* EMMS */
    emit_byte(&e, 0x77);
    emit_mov(&e, H_RSP, H_R9);
    emit_byte(&e, 0xc3);
    assert_false(e.full);
    assert_int_equal(mprotect(code->memory, CODE_SIZE, PROT_READ | PROT_EXEC), 0);
    ZydisDecoder decoder;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (const uint8_t *at = begin; at < end; at += insn.length) {
        assert_true(ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder, at, (size_t)(end - at), &insn, operands)));
        assert_true(!insn.cpu_flags || (!insn.cpu_flags->modified && !insn.cpu_flags->undefined &&
                                        !insn.cpu_flags->set_0 && !insn.cpu_flags->set_1));
        if (!bmi2)
            assert_int_not_equal(insn.meta.isa_set, ZYDIS_ISA_SET_BMI2);
    }
}

static void run(struct code *code, enum what what, uint64_t mask, unsigned number, bool bmi2)
{
    uint64_t *rsp = code->slots + ARRAY_LEN(code->slots);
    code->slots[ARRAY_LEN(code->slots) - SLOT] = mask;
    compile(code, what, number, bmi2);
    uint64_t (*go)(uint64_t *, uint64_t) = (uint64_t(*)(uint64_t *, uint64_t))(void *)code->memory;
    for (unsigned i = 0; i < VALUES; i++) {
        uint64_t value = i ? next() >> (next() & 63) : UINT64_MAX;
        uint64_t got = go(rsp, value), right = expected(what, value, mask, number);
        if (what == ANY)
            got = got != 0;
        if (got != right)
            fail_msg("%d of %llx by %llx, %u: %llx instead of %llx", what,
                     (unsigned long long)value, (unsigned long long)mask, number,
                     (unsigned long long)got, (unsigned long long)right);
    }
}

static void all(bool bmi2)
{
    struct code code;
    code.memory = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(code.memory, MAP_FAILED);
    for (unsigned i = 0; i < ARRAY_LEN(masks) + 50; i++) {
        uint64_t mask = i < ARRAY_LEN(masks) ? masks[i] : next() & next();
        for (enum what what = PEXT; what <= ANY; what++)
            run(&code, what, mask, 0, bmi2);
    }
    for (unsigned number = 1; number <= 64; number++)
        run(&code, LOW, 0, number, bmi2);
    for (unsigned number = 1; number <= 63; number++)
        run(&code, ROTATE, 0, number, bmi2);
    munmap(code.memory, CODE_SIZE);
}

static void with_bmi2(void **state)
{
    (void)state;
    if (!__builtin_cpu_supports("bmi2"))
        skip();
    all(true);
}

static void without_bmi2(void **state)
{
    (void)state;
    all(false);
}

/* FRAME_JUMP_MASK may be 0 when the code is made, and later. */
static void the_jump_mask_may_be_0(void **state)
{
    (void)state;
    struct code code;
    uint64_t *rsp = code.slots + ARRAY_LEN(code.slots), *slot = rsp - SLOT;
    code.memory = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(code.memory, MAP_FAILED);
    uint64_t (*go)(uint64_t *, uint64_t) = (uint64_t(*)(uint64_t *, uint64_t))(void *)code.memory;
    for (unsigned made_with = 0; made_with < 2; made_with++) {
        *slot = made_with ? JUMP_INDEX_BITS : 0;
        compile(&code, PEXT, 0, false);
        *slot = 0;
        assert_int_equal(go(rsp, 0x123456789), 0);
        *slot = JUMP_INDEX_BITS;
        assert_int_equal(go(rsp, 0x123456789), map_slot(0x123456789));
    }
    munmap(code.memory, CODE_SIZE);
}

/* What an instruction takes at most is part of what access.c reckons with. */
static void pext_has_its_room(void **state)
{
    (void)state;
    uint64_t slots[64];
    for (unsigned i = 0; i < ARRAY_LEN(masks); i++)
        for (int slot = 1; slot < 40; slot += 30) {
            uint8_t with[64], without[64];
            struct emit a, b;
            uint64_t low = masks[i] ? masks[i] >> __builtin_ctzll(masks[i]) : 0;
            if (low & (low + 1))
                continue; /* not in one run */
            slots[ARRAY_LEN(slots) - (size_t)slot] = masks[i];
            emit_init(&a, with, sizeof(with));
            emit_init(&b, without, sizeof(without));
            b.masks = slots + ARRAY_LEN(slots);
            emit_pext(&a, H_RCX, H_R15, emit_at(H_RSP, -8 * slot));
            emit_pext(&b, H_RCX, H_R15, emit_at(H_RSP, -8 * slot));
            assert_true(b.at - b.start <= a.at - a.start + EMIT_MORE);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_bmi2),
        cmocka_unit_test(without_bmi2),
        cmocka_unit_test(the_jump_mask_may_be_0),
        cmocka_unit_test(pext_has_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
