/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Host machine code: writes x86-64 instructions into a buffer. SDM volume 2, chapter 2.
 *
 * A struct emit writes through one mapping of code memory; addresses inside it are distances, so
 * that the code may run through another mapping. When the buffer is full nothing more is written
 * and `full` is set: the caller looks once, at the end.
 */
#ifndef ENGINE_DBT_EMIT_H
#define ENGINE_DBT_EMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum host_register {
    H_RAX,
    H_RCX,
    H_RDX,
    H_RBX,
    H_RSP,
    H_RBP,
    H_RSI,
    H_RDI,
    H_R8,
    H_R9,
    H_R10,
    H_R11,
    H_R12,
    H_R13,
    H_R14,
    H_R15,
    H_NONE = 0xff
};

struct emit {
    uint8_t *start, *at, *limit;
    bool full;
    const uint64_t *masks; /* NULL: BMI2 may be used. Else what rsp will point at, for emit_pext and
                              its kind to see what their masks are */
};

/* A memory operand: base + (index << shift) + disp; gs: in that segment. */
struct emit_mem {
    uint8_t base, index; /* H_NONE: none */
    uint8_t shift;
    bool gs;
    int32_t disp;
};

enum emit_encoding { EMIT_LEGACY, EMIT_VEX, EMIT_EVEX };

/* One instruction in the terms of the encoding. */
struct emit_insn {
    enum emit_encoding encoding;
    uint8_t map; /* 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A; EVEX also 5 and 6 */
    uint8_t opcode;
    bool w;
    bool has_modrm;
    bool opcode_register; /* the low three bits of the opcode are register `rm` */
    bool memory;          /* ModRM names `mem`, else register rm */
    uint8_t reg, rm;      /* 0-31 */
    struct emit_mem mem;
    uint8_t imm_length;
    uint8_t imm[8];
    /* legacy */
    bool prefix66, lock;
    uint8_t repeat; /* 0, F2 or F3 */
    bool byte_rex;  /* SPL, BPL, SIL, DIL are meant, which takes a REX prefix */
    /* VEX, EVEX */
    uint8_t vvvv, l, pp;
    uint8_t aaa; /* EVEX, as are the next two */
    bool z, b;
};

void emit_init(struct emit *e, uint8_t *buffer, size_t size);
void emit_byte(struct emit *e, uint8_t value);
void emit_u16(struct emit *e, uint16_t value);
void emit_u32(struct emit *e, uint32_t value);
void emit_u64(struct emit *e, uint64_t value);
void emit_insn(struct emit *e, const struct emit_insn *insn);

static inline struct emit_mem emit_at(unsigned base, int32_t disp)
{
    return (struct emit_mem){.base = (uint8_t)base, .index = H_NONE, .disp = disp};
}

/* 64-bit forms; none of these touches the flags. */
void emit_mov(struct emit *e, unsigned to, unsigned from);
void emit_mov32(struct emit *e, unsigned to, unsigned from); /* clears the upper half */
void emit_load(struct emit *e, unsigned to, struct emit_mem from);
void emit_store(struct emit *e, struct emit_mem to, unsigned from);
void emit_store_sized(struct emit *e, struct emit_mem to, unsigned from, unsigned size);
void emit_load_sized(struct emit *e, unsigned to, struct emit_mem from, unsigned size);
void emit_lea(struct emit *e, unsigned to, struct emit_mem from);
void emit_lea_rip(struct emit *e, unsigned to, int32_t ahead); /* of the end of this instruction */
void emit_lea32(struct emit *e, unsigned to, struct emit_mem from);
void emit_mov_imm(struct emit *e, unsigned to, uint64_t value);

/* emit_bits.c: neither do these. Without BMI2 they take more room, and mm0 to mm2. A mask lies at a
 * distance from rsp and keeps its value, or, if its ones begin at bit 0, may also be 0. */
enum { EMIT_MORE = 14 }; /* bytes that an emit_pext takes more without BMI2 */
void emit_pext(struct emit *e, unsigned to, unsigned from, struct emit_mem mask);
void emit_pdep(struct emit *e, unsigned to, unsigned from, struct emit_mem mask);
void emit_keep(struct emit *e, unsigned reg, struct emit_mem mask); /* reg &= mask */
/* to is 0 if from has none of the mask's bits, and else something. The mask of these two may lie
 * anywhere. */
void emit_any(struct emit *e, unsigned to, unsigned from, struct emit_mem mask);
/* The lowest bits, 1 to 64, are kept, the others become 0; scratch is lost. */
void emit_keep_low(struct emit *e, unsigned reg, unsigned count, unsigned scratch);
void emit_rorx(struct emit *e, unsigned to, unsigned from, unsigned count); /* 1 to 63 */

/* Branches. The distance is filled in by emit_here: forward to where the code stands by then. */
uint8_t *emit_jrcxz(struct emit *e);                /* 8-bit distance */
uint8_t *emit_jmp8(struct emit *e);                 /* 8-bit distance */
void emit_here8(struct emit *e, uint8_t *distance); /* sets full when it does not reach */
uint8_t *emit_jmp32(struct emit *e);
uint8_t *emit_jcc32(struct emit *e, unsigned condition);
void emit_here32(struct emit *e, uint8_t *distance);
void emit_here32_at(struct emit *e, uint8_t *distance, const uint8_t *target);
void emit_jmp_to(struct emit *e, const uint8_t *target); /* target in the same mapping */
void emit_call_to(struct emit *e, const uint8_t *target);
void emit_jmp_mem(struct emit *e, struct emit_mem target);

#endif
