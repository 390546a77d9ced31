/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files of integer instructions share: which operands an instruction has, and flags.
 *
 * Handlers of one instruction differ by operand size and form only. They are made by macros, one
 * function each, because the compiler must see the size as a constant.
 */
#ifndef ENGINE_INTERP_INTEGER_H
#define ENGINE_INTERP_INTEGER_H

#include "cpu/model.h"
#include "engine/interp/access.h"

/* Destination, source: R register, M memory, I immediate. RR and RI have the destination in op->rm
 * and the source in op->reg; RM has the register in op->reg; MR too. */
enum form { FORM_RR, FORM_RM, FORM_MR, FORM_RI, FORM_MI, FORM_R, FORM_M, FORM_OTHER };

/* The form of the first two visible operands; fills op->rm, op->reg and op->imm. */
enum form decode_form(const struct decoded *d, struct op *op);

/* Slot of a general register operand in op->rm and the like (byte offset for byte registers). */
unsigned decode_gpr(const ZydisDecodedOperand *operand);

/* enum segment_register of a Zydis segment register; none is SEG_DS. */
uint8_t decode_segment(ZydisRegister reg);

/* Sets the flags of CMP x, y of this size. */
void flags_compare(struct vcpu *cpu, uint64_t x, uint64_t y, unsigned size);

/* 0..3 for operand sizes of 1, 2, 4, 8 bytes: index into tables of handlers. */
static inline unsigned size_index(unsigned bytes)
{
    return (unsigned)__builtin_ctz(bytes);
}

/* Does the model have it? If not, the handler becomes #UD and this is false. */
bool decode_needs(const struct decoded *d, struct op *op, enum cpu_feature feature, bool *ends);

/* The parts; each is asked in turn. */
bool decode_alu(const struct decoded *d, struct op *op, bool *ends);
bool decode_shift(const struct decoded *d, struct op *op, bool *ends);
bool decode_multiply(const struct decoded *d, struct op *op, bool *ends);
bool decode_bits(const struct decoded *d, struct op *op, bool *ends);
bool decode_move(const struct decoded *d, struct op *op, bool *ends);
bool decode_exchange(const struct decoded *d, struct op *op, bool *ends);
bool decode_stack(const struct decoded *d, struct op *op, bool *ends);
bool decode_branch(const struct decoded *d, struct op *op, bool *ends);
bool decode_string(const struct decoded *d, struct op *op, bool *ends);
bool decode_flags(const struct decoded *d, struct op *op, bool *ends);

/* The host's flags after the instruction before, into eax in the form of cpu->cc; and back. */
#define FLAGS_OUT "lahf\n\tseto %%al\n\t"
#define FLAGS_IN  "sahf\n\t"

#endif
