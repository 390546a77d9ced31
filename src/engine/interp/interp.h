/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The interpreter: emulates each instruction, decoded once. It is the reference the other engines
 * are checked against.
 *
 * Guest code is decoded into blocks: arrays of struct op that end with a change of control flow,
 * kept by guest-physical page (cache.c). An op names its handler; the handler does the instruction
 * and returns the op to do next: op + 1, the first op of another block, or NULL to go back to the
 * run loop, which continues at cpu->rip (run.c).
 *
 * While a block runs, the instruction pointer is not kept in cpu->rip: it is cpu->gpr[GPR_RIP]
 * (where the block began) + op->offset. Whatever may fault or looks at rip calls op_sync first. A
 * handler commits nothing before its last fault is past.
 */
#ifndef ENGINE_INTERP_INTERP_H
#define ENGINE_INTERP_INTERP_H

#include <Zydis/Zydis.h>

#include "cpu/engine.h"
#include "cpu/exception.h"
#include "cpu/segment.h"
#include "cpu/tlb.h"

extern const struct engine_type interp_engine;

struct op;
struct block;
typedef const struct op *(*op_fn)(struct vcpu *cpu, const struct op *op);

enum op_flags {
    OP_LOCK = 1 << 0,
    OP_REP = 1 << 1,   /* F3 */
    OP_REPNE = 1 << 2, /* F2 */
};

struct op {
    op_fn fn;
    uint16_t offset; /* of the instruction from its block's start */
    uint8_t length;  /* of the instruction, bytes */
    uint8_t size;    /* operand size, bytes */
    /* Registers: index into gpr[], or for byte registers the byte's offset in gpr[] (AH is 1). */
    uint8_t reg, rm, reg3;
    uint8_t flags; /* enum op_flags */
    /* The memory operand: gpr[base] + (gpr[index] << shift) + disp, in segment `seg`. */
    uint8_t base, index, shift, seg;
    int32_t disp;
    uint8_t address_size; /* 2, 4, 8 */
    bool direct;          /* 64-bit address without a segment base: linear as it is */
    uint8_t extra8;
    uint16_t extra16;
    union {
        struct {
            uint64_t imm;     /* sign-extended; or the handler's own */
            const void *data; /* the handler's own, lives as long as the block */
        };
        struct block *next[2]; /* direct branches: taken, not taken; NULL until first used */
    };
};

/* What the decoder hands to the parts that fill in an op. */
struct decoded {
    const ZydisDecodedInstruction *insn;
    const ZydisDecodedOperand *operands; /* visible and hidden: insn->operand_count */
    const uint8_t *bytes;                /* insn->length of them */
    bool code64;
    uint8_t code_size;      /* 16, 32, 64 */
    const struct vcpu *cpu; /* for the model's features; nothing else may be looked at */
    struct hostunit *unit;  /* the engine's, one a vcpu: code cache of decode_vector */
};

/* Each fills op (whose length, offset, flags, memory operand and size are set already) and returns
 * true if the instruction is theirs. *ends says that control does not simply go on to the next. */
bool decode_integer(const struct decoded *d, struct op *op, bool *ends); /* integer.c etc. */
bool decode_system(const struct decoded *d, struct op *op, bool *ends);  /* system.c */
bool decode_vector(const struct decoded *d, struct op *op, bool *ends);  /* vector.c: x87 to AVX */

/* features.c: has the CPU model what the instruction takes? Is it one of decode_vector's, beyond
 * the x87? */
bool decode_is_there(const struct decoded *d);
bool decode_is_vector(const struct decoded *d);

static inline void op_sync(struct vcpu *cpu, const struct op *op)
{
    cpu->rip = cpu->gpr[GPR_RIP] + op->offset;
}

/* The address of the next instruction (wrapped to the code size by whoever stores it in rip). */
static inline uint64_t op_next_rip(const struct vcpu *cpu, const struct op *op)
{
    return cpu->gpr[GPR_RIP] + op->offset + op->length;
}

/* For handlers that change modes, rip or anything the block depends on: continue at the next
 * instruction, but through the run loop. */
static inline const struct op *op_leave(struct vcpu *cpu, const struct op *op)
{
    cpu->rip = op_next_rip(cpu, op);
    return NULL;
}

static inline uint8_t *op_reg8(struct vcpu *cpu, uint8_t byte_offset)
{
    return (uint8_t *)cpu->gpr + byte_offset;
}

/* Offset of the memory operand in its segment, cut to the address size. */
static inline uint64_t op_offset(const struct vcpu *cpu, const struct op *op)
{
    uint64_t ea =
        cpu->gpr[op->base] + (cpu->gpr[op->index] << op->shift) + (uint64_t)(int64_t)op->disp;
    if (op->address_size == 8)
        return ea;
    return op->address_size == 4 ? (uint32_t)ea : (uint16_t)ea;
}

/* Linear address of the memory operand for an access of `size` bytes, segment checks done. Syncs
 * rip. For handlers that are not in a hurry. */
static inline gva_t op_linear(struct vcpu *cpu, const struct op *op, unsigned size, bool write)
{
    op_sync(cpu, op);
    return cpu_linear(cpu, (enum segment_register)op->seg, op_offset(cpu, op), size, write);
}

#endif
