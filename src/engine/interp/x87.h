/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * x87 inside the interpreter: the register stack and exceptions (x87.c), arithmetic on the host's
 * unit (x87_host.c), control, environment and save instructions (x87_control.c), decoding
 * (x87_decode.c).
 */
#ifndef ENGINE_INTERP_X87_H
#define ENGINE_INTERP_X87_H

#include "engine/interp/vector.h"

/* What an instruction did on the host: its status word (flags that were up before may be in it
 * again), run with the guest's control word. Values are 80-bit, in place. Nothing of the host's
 * state stays changed but its sticky flags. */

/* op 0-7 as in D8 /op: add, mul, com, comp, sub, subr, div, divr; a = a op b. */
uint16_t x87_host_arithmetic(const struct fpu_state *fpu, unsigned op, void *a, const void *b);

/* The memory operand's type, as the opcodes D8, DA, DC, DE have it. */
enum x87_type { X87_F32, X87_I32, X87_F64, X87_I16, X87_I64, X87_BCD };
uint16_t x87_host_arithmetic_memory(const struct fpu_state *fpu, unsigned op, void *a,
                                    enum x87_type type, const void *b);

uint16_t x87_host_load(const struct fpu_state *fpu, void *a, enum x87_type type, const void *from);
uint16_t x87_host_store(const struct fpu_state *fpu, const void *a, enum x87_type type, void *to,
                        bool truncate);

/* Condition codes in the result. */
uint16_t x87_host_compare(const struct fpu_state *fpu, const void *a, const void *b, bool quiet);

/* D9 E0 to D9 FF by the low five bits: those that replace ST0 (FCHS, FABS, FTST, FXAM, F2XM1,
 * FSQRT, FRNDINT, FSIN, FCOS), load a constant (E8-EE), work on ST0 and ST1 (FPREM, FPREM1, FSCALE:
 * result in a; FPATAN, FYL2X, FYL2XP1: result in b), or push (FPTAN, FXTRACT, FSINCOS: a below, b
 * above; *pushed says whether). */
uint16_t x87_host_unary(const struct fpu_state *fpu, unsigned op, void *a);
uint16_t x87_host_binary(const struct fpu_state *fpu, unsigned op, void *a, void *b);
uint16_t x87_host_push(const struct fpu_state *fpu, unsigned op, void *a, void *b, bool *pushed);

/* Handlers of x87.c. An op's fields: reg says which of a kind, rm is i of ST(i), extra8 holds enum
 * x87_form, imm the opcode as FOP records it. */
enum x87_handler {
    X87_ARITHMETIC,
    X87_ARITHMETIC_MEMORY,
    X87_COMPARE_FLAGS,
    X87_UNARY,
    X87_CONSTANT,
    X87_BINARY,
    X87_PUSHING,
    X87_LOAD_MEMORY,
    X87_LOAD80,
    X87_LOAD_REGISTER,
    X87_STORE_MEMORY,
    X87_STORE80,
    X87_STORE_REGISTER,
    X87_EXCHANGE,
    X87_CONDITIONAL_MOVE,
    X87_STORE_QUIETLY,
    X87_HANDLERS
};
extern const op_fn x87_handlers[X87_HANDLERS];

enum x87_form {
    FORM_POP = 1 << 0,
    FORM_POP2 = 1 << 1,
    FORM_TO_STI = 1 << 2, /* the result goes to ST(i) */
    FORM_QUIET = 1 << 3,  /* FUCOM */
    FORM_TRUNCATE = 1 << 4,
    FORM_TYPE_SHIFT = 5, /* enum x87_type of the memory operand */
};

/* Before an instruction that waits: availability, pending exceptions; records where it is. */
void x87_begin(struct vcpu *cpu, const struct op *op);

static inline uint8_t *x87_st(struct fpu_state *fpu, unsigned i)
{
    return fpu->st[(fpu_top(fpu) + i) & 7];
}

/* Takes FERR# back after exceptions were cleared. */
void x87_lower_ferr(struct vcpu *cpu, uint16_t old_fsw);

/* key is (opcode & 7) << 3 | modrm.reg */
bool decode_x87_control(const struct decoded *d, struct op *op, unsigned key);

#endif
