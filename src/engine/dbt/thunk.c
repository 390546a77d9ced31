/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ways into translated code and out of it. `enter` is a C function that loads the guest's
 * registers and jumps; `leave`, called by translated code, puts them back and returns from enter.
 */
#include "engine/dbt/internal.h"

#include <stddef.h>

static const unsigned saved[] = {H_RBX, H_RBP, H_R12, H_R13, H_R14, H_R15};

/* Guest registers that live in host registers, but rax (which the flags go through) and rcx. */
static const struct {
    unsigned guest, host;
} kept[] = {
    {RCX, HOST_GUEST_RCX}, {RDX, H_RDX}, {RBX, H_RBX},
    {RSP, HOST_GUEST_RSP}, {RBP, H_RBP}, {RSI, H_RSI},
    {RDI, H_RDI},          {R8, H_R8},   {R9, H_R9},
    {R10, H_R10},          {R11, H_R11}, {R12, H_R12},
};

static void push(struct emit *e, unsigned reg)
{
    emit_insn(e, &(struct emit_insn){.opcode = 0x50, .opcode_register = true, .rm = (uint8_t)reg});
}

static void pop(struct emit *e, unsigned reg)
{
    emit_insn(e, &(struct emit_insn){.opcode = 0x58, .opcode_register = true, .rm = (uint8_t)reg});
}

/* 0F AE /2 loads, /3 stores. */
static void mxcsr(struct emit *e, unsigned operation, struct emit_mem at)
{
    emit_insn(e, &(struct emit_insn){.map = 1,
                                     .opcode = 0xae,
                                     .has_modrm = true,
                                     .memory = true,
                                     .reg = (uint8_t)operation,
                                     .mem = at});
}

/* MOVDQU, VMOVDQU, VMOVDQU64: all vector registers of this width; KMOVQ for the masks. */
static void vectors(struct emit *e, unsigned bytes, bool load)
{
    unsigned count = bytes == 64 ? 32 : 16;
    struct emit_insn move = {.encoding = bytes == 64   ? EMIT_EVEX
                                         : bytes == 32 ? EMIT_VEX
                                                       : EMIT_LEGACY,
                             .map = 1,
                             .opcode = load ? 0x6f : 0x7f,
                             .has_modrm = true,
                             .memory = true,
                             .repeat = 0xf3,
                             .pp = 2,
                             .w = bytes == 64,
                             .l = bytes == 64 ? 2 : 1};
    for (unsigned i = 0; i < count; i++) {
        move.reg = (uint8_t)i;
        move.mem = emit_at(H_RSP, FROM_GPR(fpu.zmm) + 64 * (int32_t)i);
        emit_insn(e, &move);
    }
    if (bytes != 64)
        return;
    struct emit_insn mask = {.encoding = EMIT_VEX,
                             .map = 1,
                             .opcode = load ? 0x90 : 0x91,
                             .w = true,
                             .has_modrm = true,
                             .memory = true};
    for (unsigned i = 0; i < 8; i++) {
        mask.reg = (uint8_t)i;
        mask.mem = emit_at(H_RSP, FROM_GPR(fpu.opmask) + 8 * (int32_t)i);
        emit_insn(e, &mask);
    }
}

static void bytes_of(struct emit *e, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        emit_byte(e, bytes[i]);
}

/* je to where FRAME_VECTORS is 0; changes flags */
static uint8_t *unless_vectors(struct emit *e)
{
    emit_insn(e, &(struct emit_insn){.opcode = 0x83, /* CMP */
                                     .has_modrm = true,
                                     .memory = true,
                                     .reg = 7,
                                     .mem = frame_mem(FRAME_VECTORS),
                                     .imm_length = 1});
    return emit_jcc32(e, 4);
}

static void load_vectors(struct emit *e, unsigned vector_bytes)
{
    vectors(e, vector_bytes, true);
    mxcsr(e, 2, emit_at(H_RSP, FROM_GPR(fpu.mxcsr)));
}

/* Called by translated code; touches no flag. */
static void make_load_vectors(struct emit *e, unsigned vector_bytes)
{
    pop(e, DELTA);
    load_vectors(e, vector_bytes);
    emit_insn(e, &(struct emit_insn){.opcode = 0xc7, /* MOV */
                                     .w = true,
                                     .has_modrm = true,
                                     .memory = true,
                                     .mem = frame_mem(FRAME_VECTORS),
                                     .imm_length = 4,
                                     .imm = {1}});
    emit_insn(e, &(struct emit_insn){.opcode = 0xff, .has_modrm = true, .reg = 4, .rm = DELTA});
}

static void make_enter(struct emit *e, unsigned vector_bytes)
{
    for (unsigned i = 0; i < ARRAY_LEN(saved); i++)
        push(e, saved[i]);
    emit_store(e, emit_at(H_RDI, -8 * FRAME_HOST_RSP), H_RSP);
    emit_mov(e, H_RSP, H_RDI);
    uint8_t *without = unless_vectors(e);
    load_vectors(e, vector_bytes);
    emit_here32(e, without);
    emit_load_sized(e, H_RAX, emit_at(H_RSP, FROM_GPR(cc)), 4);
    bytes_of(e, (const uint8_t[]){0x04, 0x7f, 0x9e}, 3); /* add al, 127 (OF); sahf */
    for (unsigned i = 0; i < ARRAY_LEN(kept); i++)
        emit_load(e, kept[i].host, home_mem(kept[i].guest));
    emit_load(e, SCRATCH, frame_mem(FRAME_SCRATCH));
    emit_load(e, DELTA, frame_mem(FRAME_DELTA));
    emit_load(e, H_RAX, home_mem(RAX));
    emit_jmp_mem(e, frame_mem(FRAME_TARGET));
}

/* Returns where a fault comes in: the info is set already. */
static uint8_t *make_leave(struct emit *e, unsigned vector_bytes)
{
    /* pop [FRAME_INFO]; rsp counts as already popped in the address */
    emit_insn(e,
              &(struct emit_insn){
                  .opcode = 0x8f, .has_modrm = true, .memory = true, .mem = frame_mem(FRAME_INFO)});
    uint8_t *fault = e->at;
    emit_store(e, frame_mem(FRAME_SCRATCH), SCRATCH);
    emit_store(e, frame_mem(FRAME_DELTA), DELTA);
    emit_store(e, home_mem(RAX), H_RAX);
    /* lahf; seto al; movzx eax, ax */
    bytes_of(e, (const uint8_t[]){0x9f, 0x0f, 0x90, 0xc0, 0x0f, 0xb7, 0xc0}, 7);
    emit_store_sized(e, emit_at(H_RSP, FROM_GPR(cc)), H_RAX, 4);
    for (unsigned i = 0; i < ARRAY_LEN(kept); i++)
        emit_store(e, home_mem(kept[i].guest), kept[i].host);
    uint8_t *without = unless_vectors(e);
    mxcsr(e, 3, emit_at(H_RSP, FROM_GPR(fpu.mxcsr)));
    vectors(e, vector_bytes, false);
    if (vector_bytes > 16)
        bytes_of(e, (const uint8_t[]){0xc5, 0xf8, 0x77}, 3); /* vzeroupper */
    mxcsr(e, 2, frame_mem(FRAME_HOST_MXCSR));
    emit_here32(e, without);
    if (e->masks)
        bytes_of(e, (const uint8_t[]){0x0f, 0x77}, 2); /* emms */
    emit_load(e, H_RSP, frame_mem(FRAME_HOST_RSP));
    for (unsigned i = ARRAY_LEN(saved); i-- > 0;)
        pop(e, saved[i]);
    emit_byte(e, 0xc3);
    return fault;
}

static void align(struct emit *e)
{
    while ((e->at - e->start) & 15)
        emit_byte(e, 0xcc);
}

void thunks_make(struct dbt_vcpu *d)
{
    struct code_memory *code = &d->code;
    struct emit e;
    dbt_emit_init(d, &e, code->write, code->size);
    d->enter = code->run;
    make_enter(&e, d->vector_bytes);
    align(&e);
    uint8_t *leave = e.at;
    uint8_t *fault = make_leave(&e, d->vector_bytes);
    align(&e);
    uint8_t *nowhere = e.at;
    emit_call_to(&e, leave);
    emit_byte(&e, EXIT_INDIRECT);
    emit_byte(&e, 0);
    emit_u16(&e, 0);
    emit_u16(&e, 0);
    emit_u32(&e, 0);
    align(&e);
    uint8_t *load = e.at;
    make_load_vectors(&e, d->vector_bytes);
    align(&e);
    uint8_t *look_up = e.at;
    control_look_up(&e);
    align(&e);
    uint8_t *second = e.at;
    control_look_up_second(&e);
    align(&e);
    d->look_up = code->run + (look_up - code->write);
    d->look_up_second = code->run + (second - code->write);
    d->load_vectors = code->run + (load - code->write);
    d->leave = code->run + (leave - code->write);
    d->leave_fault = code->run + (fault - code->write);
    d->leave_nowhere = code->run + (nowhere - code->write);
    code->fixed = (size_t)(e.at - code->write);
    code_clear(code);
    for (unsigned i = 0; i < MAP_COUNT; i++)
        if (d->maps[i].entries)
            map_set_no_code(&d->maps[i], d->leave_nowhere);
}
