/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the parts of translation share: translate.c (the block), access.c (memory operands),
 * copy.c (instructions that run as they are), control.c (branches, calls, stack).
 */
#ifndef ENGINE_DBT_TRANSLATE_H
#define ENGINE_DBT_TRANSLATE_H

#include "engine/dbt/internal.h"
#include "engine/dbt/select.h"

enum {
    STUBS = 32,
    STUB_REACH = 127, /* of a JRCXZ */
    STUB_SIZE = 24,   /* at most */
    JUMP_ROOM = 90,   /* of a look-up in the jump table */
    STUB_ROOM = 66,   /* what is emitted between two calls of access_stubs, at most */
    EXITS = 8,
};

/* Code out of line that a JRCXZ leads to. */
struct stub {
    uint8_t *from; /* distance field of the JRCXZ; */
    uint8_t *back; /* where code goes on; NULL: it does not */
    enum exit_kind kind;
    bool load_vectors; /* calls that and no exit */
    bool write;
    uint16_t insn;
    bool has_address; /* the guest address is not in SCRATCH yet: */
    struct emit_mem address;
};

/* A direct branch to a place on the page, to be tied when first used. */
struct direct_exit {
    uint8_t *branch; /* its distance field */
    uint16_t target; /* page offset */
};

struct tr {
    struct dbt_vcpu *d;
    struct block *block;
    struct emit e;
    uint32_t variant;
    bool code64;
    const uint8_t *leave, *load_vectors; /* in the writable mapping, as e is */
    uint16_t insn;                       /* page offset of the instruction at work */
    uint16_t next;                       /* of the one behind it; may be PAGE_SIZE */

    /* What DELTA holds: the entry for the page of [delta_base + delta_disp]. */
    unsigned delta_base; /* guest register, or GPR_ZERO: nothing */
    int32_t delta_disp;

    struct stub stubs[STUBS];
    unsigned stub_count;
    struct direct_exit exits[EXITS];
    unsigned exit_count;
    struct site sites[BLOCK_OPS + 2];
    unsigned site_count, copied;
    uint16_t epoch;
    bool vectors; /* FRAME_VECTORS is known to be 1 */
    bool careful; /* the instruction at work has faulted often: no reuse, compare offsets */
};

static inline unsigned host_of(unsigned guest)
{
    return guest == RCX ? HOST_GUEST_RCX : guest == RSP ? HOST_GUEST_RSP : guest;
}
static inline bool at_home(unsigned guest)
{
    return guest >= R13 && guest <= R15;
}

/* access.c */

/* The instruction at work ends on the next page: leaves unless its `count` bytes there (8 at most)
 * are still what they were. */
void access_check_second_page(struct tr *tr, const uint8_t *bytes, unsigned count);

/* Emits the address and the look-up of a guest memory operand; returns where to access it. Uses
 * SCRATCH and DELTA. The instruction must not have changed any guest register yet. */
struct emit_mem access_memory(struct tr *tr, const struct guest_mem *mem);
/* The same for the linear address in SCRATCH. */
struct emit_mem access_at_scratch(struct tr *tr, unsigned size, bool write);
/* SCRATCH = the operand's linear address (for LEA: without its segment). */
void access_address(struct tr *tr, const struct guest_mem *mem, bool with_segment);
/* Can the translator reach the operand's segment? */
bool access_allowed(const struct tr *tr, const struct guest_mem *mem);
/* DELTA = the entry for the page of [base]; nothing is known of it afterwards. */
void access_look_up(struct tr *tr, const struct guest_mem *mem);
/* DELTA is used for something else, or the register changed. */
void access_forget(struct tr *tr);
void access_changed(struct tr *tr, uint16_t registers);
/* The guest register has been added `by` to. */
void access_moved(struct tr *tr, unsigned guest, int32_t by);
/* Emits the stubs that would be out of their JRCXZ's reach `room` bytes on, with a jump over them.
 */
void access_stubs(struct tr *tr, unsigned room);
/* All of them, where no code runs into. */
void access_last_stubs(struct tr *tr);
struct stub *access_stub(struct tr *tr, enum exit_kind kind);

/* copy.c: false: not one to be copied. */
bool copy_instruction(struct tr *tr, const struct decoded *d);

/* control.c: NOT_MINE, DONE, or ENDS: control does not go on to the next instruction. */
enum control { CONTROL_NOT_MINE, CONTROL_DONE, CONTROL_ENDS };
enum control control_instruction(struct tr *tr, const struct decoded *d);
/* On to page offset `target`, which may lie off the page. */
void control_go(struct tr *tr, int32_t target);
/* To the guest rip in SCRATCH, in the map that gs holds. */
void control_go_to_scratch(struct tr *tr);
/* Leaves to have the instruction at work interpreted. */
void control_interpret(struct tr *tr, ZydisMnemonic what);
void control_finish(struct tr *tr);
/* Pushes what is in FRAME_VALUE. */
void control_push_value(struct tr *tr);

/* string.c */
enum control string_instruction(struct tr *tr, const struct decoded *d);

/* privileged.c, bits.c, level.c */
enum control privileged_instruction(struct tr *tr, const struct decoded *d);
enum control bit_instruction(struct tr *tr, const struct decoded *d);
enum control level_instruction(struct tr *tr, const struct decoded *d);

#endif
