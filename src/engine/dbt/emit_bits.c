/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bits picked out of a register and put back, without touching a flag: PEXT, PDEP and RORX, or, on
 * a host where these are missing or slow, MMX instructions. Those are the only others on integers
 * that leave the flags alone, every x86-64 has them, and the registers are free: the guest's x87
 * and MMX registers are in memory while translated code runs. `leave` ends with EMMS (thunk.c).
 */
#include "engine/dbt/emit.h"
#include "engine/dbt/map.h"

#include <string.h>

/* PEXT and PDEP: prefix F3 and F2. */
static void bmi(struct emit *e, unsigned prefix, unsigned to, unsigned from, struct emit_mem mask)
{
    emit_insn(e, &(struct emit_insn){.encoding = EMIT_VEX,
                                     .map = 2,
                                     .pp = (uint8_t)prefix,
                                     .opcode = 0xf5,
                                     .w = true,
                                     .has_modrm = true,
                                     .memory = true,
                                     .reg = (uint8_t)to,
                                     .vvvv = (uint8_t)from,
                                     .mem = mask});
}

static void mmx(struct emit *e, unsigned opcode, unsigned reg, unsigned rm)
{
    emit_insn(e, &(struct emit_insn){.map = 1,
                                     .opcode = (uint8_t)opcode,
                                     .has_modrm = true,
                                     .reg = (uint8_t)reg,
                                     .rm = (uint8_t)rm});
}

/* MOVQ between an MMX and a general register */
static void mmx_general(struct emit *e, unsigned opcode, unsigned mm, unsigned reg)
{
    emit_insn(e, &(struct emit_insn){.map = 1,
                                     .opcode = (uint8_t)opcode,
                                     .w = true,
                                     .has_modrm = true,
                                     .reg = (uint8_t)mm,
                                     .rm = (uint8_t)reg});
}

static void mmx_take(struct emit *e, unsigned mm, unsigned reg)
{
    mmx_general(e, 0x6e, mm, reg);
}

static void mmx_give(struct emit *e, unsigned reg, unsigned mm)
{
    mmx_general(e, 0x7e, mm, reg);
}

static void mmx_move(struct emit *e, unsigned to, unsigned from)
{
    mmx(e, 0x6f, to, from);
}

static void mmx_or(struct emit *e, unsigned to, unsigned from)
{
    mmx(e, 0xeb, to, from);
}

static void mmx_and(struct emit *e, unsigned mm, struct emit_mem mask)
{
    emit_insn(e, &(struct emit_insn){.map = 1,
                                     .opcode = 0xdb,
                                     .has_modrm = true,
                                     .memory = true,
                                     .reg = (uint8_t)mm,
                                     .mem = mask});
}

enum { RIGHT = 2, LEFT = 6 };
static void mmx_shift(struct emit *e, unsigned direction, unsigned mm, unsigned count)
{
    if (count)
        emit_insn(e, &(struct emit_insn){.map = 1,
                                         .opcode = 0x73,
                                         .has_modrm = true,
                                         .reg = (uint8_t)direction,
                                         .rm = (uint8_t)mm,
                                         .imm_length = 1,
                                         .imm = {(uint8_t)count}});
}

/* mm1 = `length` bits of mm0 from bit `from` on, at bit `to` */
static void mmx_piece(struct emit *e, unsigned from, unsigned to, unsigned length)
{
    mmx_move(e, 1, 0);
    mmx_shift(e, LEFT, 1, 64 - from - length);
    mmx_shift(e, RIGHT, 1, 64 - length);
    mmx_shift(e, LEFT, 1, to);
}

static unsigned ones(uint64_t value)
{
    return ~value ? (unsigned)__builtin_ctzll(~value) : 64;
}

/* Each run of ones in the mask: from there together, or the other way round. */
static void move_runs(struct emit *e, unsigned to, unsigned from, uint64_t mask, bool deposit)
{
    unsigned packed = 0;
    mmx_take(e, 0, from);
    mmx(e, 0xef, 2, 2); /* PXOR: 0 */
    while (mask) {
        unsigned at = (unsigned)__builtin_ctzll(mask), length = ones(mask >> at);
        mmx_piece(e, deposit ? packed : at, deposit ? at : packed, length);
        mmx_or(e, 2, 1);
        packed += length;
        mask &= ~((~UINT64_C(0) >> (64 - length)) << at);
    }
    mmx_give(e, to, 2);
}

static uint64_t value_of(const struct emit *e, struct emit_mem mask)
{
    uint64_t value;
    memcpy(&value, (const uint8_t *)e->masks + mask.disp, sizeof(value));
    return value;
}

void emit_pext(struct emit *e, unsigned to, unsigned from, struct emit_mem mask)
{
    if (!e->masks) {
        bmi(e, 2, to, from, mask);
        return;
    }
    uint64_t value = value_of(e, mask);
    if (!value) /* FRAME_JUMP_MASK at times */
        value = JUMP_INDEX_BITS;
    unsigned low = value ? (unsigned)__builtin_ctzll(value) : 0;
    if ((value >> low) & ((value >> low) + 1)) {
        move_runs(e, to, from, value, false);
        return;
    }
    /* In one run. */
    mmx_take(e, 0, from);
    mmx_and(e, 0, mask);
    mmx_shift(e, RIGHT, 0, low);
    mmx_give(e, to, 0);
}

void emit_pdep(struct emit *e, unsigned to, unsigned from, struct emit_mem mask)
{
    if (e->masks)
        move_runs(e, to, from, value_of(e, mask), true);
    else
        bmi(e, 3, to, from, mask);
}

void emit_keep(struct emit *e, unsigned reg, struct emit_mem mask)
{
    emit_any(e, reg, reg, mask);
    if (!e->masks)
        bmi(e, 3, reg, reg, mask);
}

void emit_any(struct emit *e, unsigned to, unsigned from, struct emit_mem mask)
{
    if (!e->masks) {
        bmi(e, 2, to, from, mask);
        return;
    }
    mmx_take(e, 0, from);
    mmx_and(e, 0, mask);
    mmx_give(e, to, 0);
}

void emit_keep_low(struct emit *e, unsigned reg, unsigned count, unsigned scratch)
{
    if (e->masks) {
        mmx_take(e, 0, reg);
        mmx_shift(e, LEFT, 0, 64 - count);
        mmx_shift(e, RIGHT, 0, 64 - count);
        mmx_give(e, reg, 0);
        return;
    }
    emit_mov_imm(e, scratch, ~UINT64_C(0) >> (64 - count));
    emit_insn(e, &(struct emit_insn){.encoding = EMIT_VEX,
                                     .map = 2,
                                     .pp = 2,
                                     .opcode = 0xf5, /* PEXT */
                                     .w = true,
                                     .has_modrm = true,
                                     .reg = (uint8_t)reg,
                                     .vvvv = (uint8_t)reg,
                                     .rm = (uint8_t)scratch});
}

void emit_rorx(struct emit *e, unsigned to, unsigned from, unsigned count)
{
    if (e->masks) {
        mmx_take(e, 0, from);
        mmx_move(e, 1, 0);
        mmx_shift(e, RIGHT, 0, count);
        mmx_shift(e, LEFT, 1, 64 - count);
        mmx_or(e, 0, 1);
        mmx_give(e, to, 0);
        return;
    }
    emit_insn(e, &(struct emit_insn){.encoding = EMIT_VEX,
                                     .map = 3,
                                     .pp = 3,
                                     .opcode = 0xf0,
                                     .w = true,
                                     .has_modrm = true,
                                     .reg = (uint8_t)to,
                                     .rm = (uint8_t)from,
                                     .imm_length = 1,
                                     .imm = {(uint8_t)count}});
}
