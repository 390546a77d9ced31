/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/dbt/emit.h"

#include <string.h>

void emit_init(struct emit *e, uint8_t *buffer, size_t size)
{
    *e = (struct emit){.start = buffer, .at = buffer, .limit = buffer + size};
}

static void put(struct emit *e, const void *bytes, size_t length)
{
    if ((size_t)(e->limit - e->at) < length) {
        e->full = true;
        return;
    }
    memcpy(e->at, bytes, length);
    e->at += length;
}

void emit_byte(struct emit *e, uint8_t value)
{
    put(e, &value, 1);
}

void emit_u16(struct emit *e, uint16_t value)
{
    put(e, &value, 2);
}

void emit_u32(struct emit *e, uint32_t value)
{
    put(e, &value, 4);
}

void emit_u64(struct emit *e, uint64_t value)
{
    put(e, &value, 8);
}

/* ModRM, SIB, displacement. EVEX scales 8-bit displacements: it gets none. */
static void put_modrm(struct emit *e, const struct emit_insn *i)
{
    unsigned reg = (i->reg & 7u) << 3;
    if (!i->memory) {
        emit_byte(e, (uint8_t)(0xc0 | reg | (i->rm & 7)));
        return;
    }
    const struct emit_mem *m = &i->mem;
    unsigned index = m->index == H_NONE ? 4 : m->index & 7u;
    if (m->base == H_NONE) {
        emit_byte(e, (uint8_t)(reg | 4));
        emit_byte(e, (uint8_t)(m->shift << 6 | index << 3 | 5));
        emit_u32(e, (uint32_t)m->disp);
        return;
    }
    unsigned mod;
    if (m->disp == 0 && (m->base & 7) != 5)
        mod = 0;
    else if (m->disp == (int8_t)m->disp && i->encoding != EMIT_EVEX)
        mod = 1;
    else
        mod = 2;
    bool sib = m->index != H_NONE || (m->base & 7) == 4;
    emit_byte(e, (uint8_t)(mod << 6 | reg | (sib ? 4 : m->base & 7u)));
    if (sib)
        emit_byte(e, (uint8_t)(m->shift << 6 | index << 3 | (m->base & 7)));
    if (mod == 1)
        emit_byte(e, (uint8_t)m->disp);
    else if (mod == 2)
        emit_u32(e, (uint32_t)m->disp);
}

/* The fourth bit of each register number, as bits R X B. */
static unsigned high_bits(const struct emit_insn *i)
{
    unsigned bits = (i->reg >> 3 & 1) << 2;
    if (!i->has_modrm)
        return i->opcode_register ? i->rm >> 3 & 1 : 0;
    if (!i->memory)
        return bits | (i->rm >> 3 & 1);
    if (i->mem.index != H_NONE)
        bits |= (i->mem.index >> 3 & 1) << 1;
    if (i->mem.base != H_NONE)
        bits |= i->mem.base >> 3 & 1;
    return bits;
}

static void put_legacy(struct emit *e, const struct emit_insn *i)
{
    if (i->lock)
        emit_byte(e, 0xf0);
    if (i->prefix66)
        emit_byte(e, 0x66);
    if (i->repeat)
        emit_byte(e, i->repeat);
    unsigned rex = high_bits(i) | (i->w ? 8 : 0);
    if (rex || i->byte_rex)
        emit_byte(e, (uint8_t)(0x40 | rex));
    if (i->map)
        emit_byte(e, 0x0f);
    if (i->map == 2)
        emit_byte(e, 0x38);
    else if (i->map == 3)
        emit_byte(e, 0x3a);
    emit_byte(e, (uint8_t)(i->opcode | (i->opcode_register ? i->rm & 7 : 0)));
}

static void put_vex(struct emit *e, const struct emit_insn *i)
{
    emit_byte(e, 0xc4);
    emit_byte(e, (uint8_t)((~high_bits(i) & 7) << 5 | i->map));
    emit_byte(e, (uint8_t)((i->w ? 0x80 : 0) | (~i->vvvv & 15) << 3 | (i->l & 1) << 2 | i->pp));
    emit_byte(e, i->opcode);
}

static void put_evex(struct emit *e, const struct emit_insn *i)
{
    unsigned rxb = high_bits(i);
    if (!i->memory)
        rxb |= (i->rm >> 4 & 1) << 1; /* X is the register's fifth bit */
    emit_byte(e, 0x62);
    emit_byte(e, (uint8_t)((~rxb & 7) << 5 | (~i->reg >> 4 & 1) << 4 | i->map));
    emit_byte(e, (uint8_t)((i->w ? 0x80 : 0) | (~i->vvvv & 15) << 3 | 4 | i->pp));
    emit_byte(e, (uint8_t)((i->z ? 0x80 : 0) | (i->l & 3) << 5 | (i->b ? 0x10 : 0) |
                           (~i->vvvv >> 4 & 1) << 3 | (i->aaa & 7)));
    emit_byte(e, i->opcode);
}

void emit_insn(struct emit *e, const struct emit_insn *i)
{
    if (i->memory && i->mem.gs)
        emit_byte(e, 0x65);
    switch (i->encoding) {
    case EMIT_LEGACY:
        put_legacy(e, i);
        break;
    case EMIT_VEX:
        put_vex(e, i);
        break;
    case EMIT_EVEX:
        put_evex(e, i);
        break;
    }
    if (i->has_modrm)
        put_modrm(e, i);
    put(e, i->imm, i->imm_length);
}

static void register_memory(struct emit *e, unsigned opcode, bool w, unsigned reg,
                            struct emit_mem mem)
{
    emit_insn(e, &(struct emit_insn){.opcode = (uint8_t)opcode,
                                     .w = w,
                                     .has_modrm = true,
                                     .memory = true,
                                     .reg = (uint8_t)reg,
                                     .mem = mem});
}

void emit_mov(struct emit *e, unsigned to, unsigned from)
{
    emit_insn(
        e,
        &(struct emit_insn){
            .opcode = 0x8b, .w = true, .has_modrm = true, .reg = (uint8_t)to, .rm = (uint8_t)from});
}

void emit_mov32(struct emit *e, unsigned to, unsigned from)
{
    emit_insn(e, &(struct emit_insn){
                     .opcode = 0x8b, .has_modrm = true, .reg = (uint8_t)to, .rm = (uint8_t)from});
}

void emit_load(struct emit *e, unsigned to, struct emit_mem from)
{
    register_memory(e, 0x8b, true, to, from);
}

void emit_store(struct emit *e, struct emit_mem to, unsigned from)
{
    register_memory(e, 0x89, true, from, to);
}

void emit_store_sized(struct emit *e, struct emit_mem to, unsigned from, unsigned size)
{
    emit_insn(e, &(struct emit_insn){.opcode = size == 1 ? 0x88 : 0x89,
                                     .w = size == 8,
                                     .prefix66 = size == 2,
                                     .byte_rex = size == 1,
                                     .has_modrm = true,
                                     .memory = true,
                                     .reg = (uint8_t)from,
                                     .mem = to});
}

void emit_load_sized(struct emit *e, unsigned to, struct emit_mem from, unsigned size)
{
    struct emit_insn i = {.opcode = 0x8b,
                          .w = size == 8,
                          .has_modrm = true,
                          .memory = true,
                          .reg = (uint8_t)to,
                          .mem = from};
    if (size < 4) { /* MOVZX */
        i.map = 1;
        i.opcode = size == 1 ? 0xb6 : 0xb7;
    }
    emit_insn(e, &i);
}

void emit_lea(struct emit *e, unsigned to, struct emit_mem from)
{
    register_memory(e, 0x8d, true, to, from);
}

void emit_lea_rip(struct emit *e, unsigned to, int32_t ahead)
{
    emit_byte(e, to >= 8 ? 0x4c : 0x48);
    emit_byte(e, 0x8d);
    emit_byte(e, (uint8_t)(5 | (to & 7) << 3));
    emit_u32(e, (uint32_t)ahead);
}

void emit_lea32(struct emit *e, unsigned to, struct emit_mem from)
{
    register_memory(e, 0x8d, false, to, from);
}

void emit_mov_imm(struct emit *e, unsigned to, uint64_t value)
{
    struct emit_insn i = {.opcode_register = true, .rm = (uint8_t)to, .opcode = 0xb8};
    if (value <= UINT32_MAX) {
        i.imm_length = 4;
    } else {
        i.w = true;
        i.imm_length = 8;
    }
    memcpy(i.imm, &value, 8);
    emit_insn(e, &i);
}

static uint8_t *branch8(struct emit *e, uint8_t opcode)
{
    emit_byte(e, opcode);
    emit_byte(e, 0);
    return e->at - 1;
}

uint8_t *emit_jrcxz(struct emit *e)
{
    return branch8(e, 0xe3);
}

uint8_t *emit_jmp8(struct emit *e)
{
    return branch8(e, 0xeb);
}

void emit_here8(struct emit *e, uint8_t *distance)
{
    ptrdiff_t d = e->at - (distance + 1);
    if (e->full)
        return;
    if (d > 127)
        e->full = true;
    else
        *distance = (uint8_t)d;
}

uint8_t *emit_jmp32(struct emit *e)
{
    emit_byte(e, 0xe9);
    emit_u32(e, 0);
    return e->at - 4;
}

uint8_t *emit_jcc32(struct emit *e, unsigned condition)
{
    emit_byte(e, 0x0f);
    emit_byte(e, (uint8_t)(0x80 | condition));
    emit_u32(e, 0);
    return e->at - 4;
}

void emit_here32_at(struct emit *e, uint8_t *distance, const uint8_t *target)
{
    int32_t d = (int32_t)(target - (distance + 4));
    if (!e->full)
        memcpy(distance, &d, 4);
}

void emit_here32(struct emit *e, uint8_t *distance)
{
    emit_here32_at(e, distance, e->at);
}

static void to_target(struct emit *e, uint8_t opcode, const uint8_t *target)
{
    emit_byte(e, opcode);
    emit_u32(e, (uint32_t)(target - (e->at + 4)));
}

void emit_jmp_to(struct emit *e, const uint8_t *target)
{
    to_target(e, 0xe9, target);
}

void emit_call_to(struct emit *e, const uint8_t *target)
{
    to_target(e, 0xe8, target);
}

void emit_jmp_mem(struct emit *e, struct emit_mem target)
{
    register_memory(e, 0xff, false, 4, target);
}
