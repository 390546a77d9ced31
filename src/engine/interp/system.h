/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files of system instructions share: how their handlers are filled in.
 */
#ifndef ENGINE_INTERP_SYSTEM_H
#define ENGINE_INTERP_SYSTEM_H

#include "engine/interp/interp.h"

/* Operand size of instructions that take 2, 4 or (REX.W) 8, and of those that take 8 in 64-bit mode
 * unless there is a 66h prefix (stack operations). */
unsigned system_size(const struct decoded *d);
unsigned system_stack_size(const struct decoded *d);

/* ModRM says register? Its fields with REX. */
bool system_is_register(const struct decoded *d);
uint8_t system_reg(const struct decoded *d);
uint8_t system_rm(const struct decoded *d);

/* A general register as destination of `size` bytes: 4 clears the upper half, 2 keeps it. */
void system_set_register(struct vcpu *cpu, unsigned reg, uint64_t value, unsigned size);

const struct op *op_system_undefined(struct vcpu *cpu, const struct op *op);
void system_check_cpl0(struct vcpu *cpu);

/* The rest of decode_system, by subject. */
bool decode_system_far(const struct decoded *d, struct op *op, bool *ends);   /* system_far.c */
bool decode_system_table(const struct decoded *d, struct op *op, bool *ends); /* system_table.c */
bool decode_system_io(const struct decoded *d, struct op *op, bool *ends);    /* system_io.c */
bool decode_system_flags(const struct decoded *d, struct op *op, bool *ends); /* system_flags.c */

#endif
