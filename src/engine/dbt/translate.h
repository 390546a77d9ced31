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
    STUBS = 160,
    STUB_REACH = 127, /* of a JRCXZ */
    STUB_SIZE = 5,    /* of a jump to one */
    JUMP_ROOM = 90,   /* of a look-up in the jump table */
    STUB_ROOM = 40,   /* what is mostly emitted between two calls of stub_jumps, at most */
    STUB_ROOM_MAX = 66,
    TRACE_BLOCKS = 8, /* of the interpreter's, that one translation goes through */
    TRACE_INSNS = 120,
};

/* Code out of line, in cold memory, that a branch of hot code leads to. */
enum stub_kind {
    STUB_EXIT,
    STUB_LOAD_VECTORS, /* calls that; goes on at `back` */
    STUB_FAR,          /* a direct branch to a place off the page */
    STUB_FAR_MISS,     /* it is not tied in this epoch */
    STUB_SECOND,       /* the jump table's slot has another's key */
};
struct stub {
    uint8_t
        *from; /* distance field of the branch: 1 byte of a JRCXZ until it has its jump, then 4 */
    uint8_t *back; /* where code goes on; NULL: it does not */
    enum stub_kind what;
    enum exit_kind kind;
    bool near; /* `from` is 1 byte still */
    bool write;
    uint16_t insn, branch, count; /* as in struct exit_info */
    int32_t extra;                /* the same; FAR: the page offset to go to */
    uint8_t *epoch;               /* FAR_MISS: where it is compared */
    uint8_t undo;                 /* FAR */
    int16_t disp;                 /* MISS: from the address to the operand */
    bool has_address;             /* the guest address is not in SCRATCH yet: */
    struct emit_mem address;
};

struct tr {
    struct dbt_vcpu *d;
    struct block *head; /* the first block */
    struct emit e;      /* hot code */
    struct emit cold;   /* stubs */
    uint32_t variant;
    bool code64;
    /* In the writable mapping, as e is. */
    const uint8_t *leave, *load_vectors, *look_up, *look_up_second;
    uint16_t insn;   /* page offset of the instruction at work */
    uint16_t next;   /* of the one to go on with; may be PAGE_SIZE */
    uint16_t length; /* of the one at work */

    /* What DELTA holds: the entry for the page of [delta_base + delta_disp]. */
    unsigned delta_base; /* guest register, or GPR_ZERO: nothing */
    int32_t delta_disp;

    struct stub stubs[STUBS];
    unsigned stub_count;
    unsigned first_near, near_count; /* of those that have no jump yet */
    unsigned room;                   /* STUB_ROOM, or STUB_ROOM_MAX if that was too little */
    struct block *trace[TRACE_BLOCKS];
    unsigned block_count;
    bool loops;     /* has a branch back to its start */
    bool poll_here; /* the poll entry is in hot code */
    uint16_t place; /* number of the page */
    struct site sites[TRACE_INSNS + 2];
    unsigned site_count, copied;
    unsigned done;    /* instructions that ran if control leaves here */
    uint16_t highest; /* page offset of an instruction so far */
    uint16_t epoch;
    uint16_t pad;    /* see struct translation */
    uint16_t pad_to; /* page offset that the call returns to */
    bool vectors;    /* FRAME_VECTORS is known to be 1 */
    enum care care;  /* for the instruction at work */
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

/* stub.c */
/* A stub that the JRCXZ just emitted leads to. */
struct stub *stub_near(struct tr *tr, uint8_t *from, enum exit_kind kind);
/* One that a branch with a distance of 4 bytes leads to. */
struct stub *stub_far(struct tr *tr, uint8_t *from, enum exit_kind kind);
/* Gives those their jumps that would be out of their JRCXZ's reach `room` bytes on. */
void stub_jumps(struct tr *tr, unsigned room);
/* The end: all jumps, where no code runs into, and all stubs. */
void stub_finish(struct tr *tr);

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
/* Stubs of these kinds. */
void control_far(struct tr *tr, const struct stub *stub);
void control_far_miss(struct tr *tr, const struct stub *stub);
void control_second(struct tr *tr, const struct stub *stub);
/* reg = the rip of the first byte of this page */
void control_page(struct tr *tr, struct emit *e, unsigned reg);
/* Pushes what is in FRAME_VALUE. */
void control_push_value(struct tr *tr);

/* string.c */
enum control string_instruction(struct tr *tr, const struct decoded *d);

/* privileged.c, bits.c, level.c */
enum control privileged_instruction(struct tr *tr, const struct decoded *d);
enum control bit_instruction(struct tr *tr, const struct decoded *d);
enum control level_instruction(struct tr *tr, const struct decoded *d);

#endif
