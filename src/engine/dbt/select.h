/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which guest instructions run on the host as they are, and what must be replaced in them:
 * general registers by the host registers they live in, the memory operand by an address of ours.
 */
#ifndef ENGINE_DBT_SELECT_H
#define ENGINE_DBT_SELECT_H

#include "engine/dbt/emit.h"
#include "engine/interp/interp.h"

/* A guest memory operand. */
struct guest_mem {
    uint8_t base, index; /* guest register, GPR_RIP as base, GPR_ZERO: none */
    uint8_t shift;
    uint8_t segment;      /* enum segment_register */
    uint8_t address_size; /* bytes */
    int64_t disp;
    uint16_t size; /* bytes */
    bool write;
};

enum register_place { PLACE_REG, PLACE_RM, PLACE_VVVV };
struct guest_register {
    uint8_t guest; /* 0-15 */
    uint8_t place;
    uint8_t size;
    bool high; /* AH, CH, DH, BH */
    bool read, write;
};

/* The instruction as it will run, with holes. */
struct plan {
    struct emit_insn out;
    bool has_mem;
    struct guest_mem mem;
    struct guest_register registers[3];
    uint8_t count;
    bool any_high;
    bool needs_rcx;   /* reads rcx beside its operands */
    bool writes_rcx;  /* beside them */
    uint16_t written; /* guest registers written, implicit ones too: bit mask */
};

/* False: not an instruction that can be copied (or not one that it pays to). */
bool select_copy(const struct decoded *d, struct plan *plan);

/* Fills in mem from the instruction's explicit memory operand. False: it has none, or none of the
 * plain kind. */
bool select_memory(const struct decoded *d, struct guest_mem *mem);

#endif
