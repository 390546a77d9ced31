/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside the translator.
 *
 * Registers while translated code runs. Most guest registers live in the host register of the same
 * name. Host rsp points at cpu->gpr: what lies below it is cpu->frame (slots FRAME_*), what lies
 * above are the homes of the guest registers that have no host register. rcx and r15 are scratch,
 * gs holds a shadow map. Arithmetic flags are in the host's flags; MXCSR and the vector registers
 * are the guest's. x87 state stays in cpu->fpu: the interpreter does those instructions, and
 * emit_bits.c may use the host's MMX registers.
 *
 *     guest rax rdx rbx rbp rsi rdi r8-r12   the same
 *     guest rcx                              r13
 *     guest rsp                              r14
 *     guest r13 r14 r15                      cpu->gpr
 */
#ifndef ENGINE_DBT_INTERNAL_H
#define ENGINE_DBT_INTERNAL_H

#include <stddef.h>

#include <Zydis/Zydis.h>

#include "cpu/engine.h"
#include "engine/dbt/code.h"
#include "engine/dbt/emit.h"
#include "engine/dbt/host.h"
#include "engine/dbt/map.h"
#include "engine/dbt/window.h"
#include "engine/interp/internal.h"

enum {
    SCRATCH = H_R15, /* mostly: the guest address of an access */
    DELTA = H_RCX,   /* mostly: what the shadow map says of it */
    HOST_GUEST_RCX = H_R13,
    HOST_GUEST_RSP = H_R14,
};

/* Slots of cpu->frame, as distances below rsp in 8 bytes. */
enum frame_slot {
    FRAME_RETURN = 1, /* where CALL leaves its return address */
    FRAME_HOST_RSP,   /* the C side's */
    /* FRAME_POLL       0: leave at the next block that polls
     * FRAME_JUMP_MASK  JUMP_INDEX_BITS, or 0: every look-up of a jump misses */
    FRAME_PAGE_MASK = FRAME_JUMP_MASK + 1, /* MAP_PAGE_BITS */
    FRAME_FS_BASE,
    FRAME_GS_BASE,
    FRAME_SCRATCH, /* r15 and rcx while C runs */
    FRAME_DELTA,
    FRAME_INFO,        /* struct exit_info: why translated code was left */
    FRAME_TARGET,      /* where to enter */
    FRAME_VALUE,       /* kept over a look-up; the host's rip of a fault */
    FRAME_HOST_MXCSR,  /* what C code wants: no exceptions, round to nearest */
    FRAME_OFFSET_MASK, /* of the offset in a page */
    FRAME_SIGN_MASK,   /* of the sign bit */
    FRAME_VECTORS,     /* 1: the host's vector registers and MXCSR are the guest's */
    FRAME_NOT_IF,      /* masks: all but FLAG_IF */
    FRAME_ARITH,       /* FLAGS_ARITH */
    FRAME_OTHER_FLAGS, /* all of RFLAGS that PUSHF shows, but these and bit 1 */
    FRAME_REQUESTS,    /* what STI could let in */
    FRAME_BIT_NUMBER,  /* 63: a bit in 8 bytes */
    FRAME_BIT_NUMBER_32,
    FRAME_BIT_NUMBER_16,
    FRAME_NOT_COUNT, /* of what may lie in one page: all bits but those up to PAGE_SIZE */
    FRAME_STRING_TO, /* string.c */
    FRAME_STRING_FROM,
    FRAME_NOT_AC, /* all but FLAG_AC */
    FRAME_FLAG_OF,
    FRAME_SYSRET_RARE, /* flags that code is not translated for */
    FRAME_SYSRET_KEEP, /* flags of r11 that go to cpu->rflags */
    FRAME_HIGH_BITS,   /* of an address that is not the user's */
    FRAME_CR4_FSGSBASE,
    FRAME_CROSS_EPOCH, /* changes when a page may have moved that an instruction runs on to */
};
static inline uint64_t *frame(struct vcpu *cpu, unsigned slot)
{
    return &cpu->frame[VCPU_FRAME - slot];
}
static inline struct emit_mem frame_mem(unsigned slot)
{
    return emit_at(H_RSP, -8 * (int32_t)slot);
}
/* A field of struct vcpu as translated code reaches it. */
#define FROM_GPR(field) ((int32_t)(offsetof(struct vcpu, field) - offsetof(struct vcpu, gpr)))
static inline struct emit_mem vcpu_mem(int32_t from_gpr)
{
    return emit_at(H_RSP, from_gpr);
}
static inline struct emit_mem home_mem(unsigned guest)
{
    return emit_at(H_RSP, 8 * (int32_t)guest);
}

/* Why translated code was left. It follows the CALL in the code; `insn` is the page offset of the
 * guest instruction that did not run, or of the one to go on with. */
enum exit_kind {
    EXIT_DIRECT,   /* to a place on the same page that is not tied yet */
    EXIT_FAR,      /* to one on another page, tied in another epoch if at all */
    EXIT_DEAD,     /* the translation at `insn` is no more */
    EXIT_INDIRECT, /* to the rip in FRAME_SCRATCH, by the branch at `insn` */
    EXIT_INTERPRET,
    EXIT_POLL,
    EXIT_MISS, /* no entry in the shadow map for the address in FRAME_SCRATCH; code goes on behind
                  the info */
    EXIT_CROSSING, /* the instruction runs on to a page that may not be what it was */
    EXIT_FAULT,    /* a signal: FRAME_VALUE has the host's rip */
};
struct exit_info {
    uint8_t kind;
    uint8_t write; /* MISS: is it for a write. DIRECT, FAR, INDIRECT: how many instructions ran */
    uint16_t insn;
    uint16_t place;  /* number of the page */
    int32_t extra;   /* DIRECT, FAR: distance from here to the branch's (FAR: epoch's) 4 bytes;
                        INDIRECT: what to add to guest rsp to undo the branch;
                        INTERPRET: the instruction's ZydisMnemonic, 0 for none in particular;
                        MISS: 16 bits only: distance from the address in FRAME_SCRATCH to the
                        operand. Only there for these. */
    uint16_t branch; /* DIRECT only: page offset of the branch. FAR: how often it was tied */
    int32_t target;  /* FAR: distance from the page's start */
    uint8_t undo;    /* FAR: as INDIRECT's extra */
} __attribute__((packed));
enum { INFO_MISS = 8, INFO_FAR = 17 }; /* its size */

/* How an instruction's operand is looked up: the more often it faulted, the more it takes. */
enum care {
    CARE_BASE,  /* the page of its base register */
    CARE_EXACT, /* its own page */
    CARE_ENDS,  /* that, and is all of it there: without the help of guard pages */
    CARE_AVOID, /* the interpreter does it */
};
/* The instructions of a page that need more than CARE_BASE. */
struct care_list {
    unsigned count, limit;
    struct {
        uint16_t offset;
        uint8_t care;
    } insns[];
};

/* Code of one block for one variant. */
struct site {
    uint32_t host : 14;  /* distance from code */
    uint32_t guest : 12; /* page offset of the instruction */
    uint32_t faults : 2;
    uint32_t care : 2;   /* enum care that it was translated with */
    uint32_t string : 2; /* the kind that string_fault takes, if a REP of the host stands for it */
};
struct translation {
    struct translation *next; /* other variants of the block */
    struct block *block;      /* NULL: dropped */
    uint8_t *code, *cold;     /* as they run */
    uint16_t size, cold_size;
    uint16_t variant;
    bool is_target; /* in its page's list */
    /* Entries: distances from code. */
    int32_t poll;
    uint16_t body;
    uint16_t place;  /* number of its page */
    uint16_t offset; /* in the page */
    uint16_t pad;    /* of the call at its end: distance from code; 0: none */
    uint16_t epoch;  /* distance from code of the number that FRAME_CROSS_EPOCH is compared with */
    uint16_t copied; /* instructions it runs: the rest of the block is interpreted */
    uint16_t site_count;
    struct site sites[];
};

/* The places of a page that jumps from elsewhere led to, or that calls return to. */
struct jump_target {
    uint16_t offset; /* in the page */
    uint16_t variant;
    /* Distances from the start of code memory, 0: none. Of the translation's body; of
     * the last pad of a call that returns here. */
    uint32_t code, pad;
};
struct jump_targets {
    unsigned count, limit;
    struct jump_target targets[];
};

/* What code depends on beside its bytes. CODE_SIZE and CODE_USER bits, then: */
enum variant {
    VARIANT_SSE = 1 << 3,
    VARIANT_AVX = 1 << 4,
    VARIANT_AVX512 = 1 << 5,
    VARIANT_FS = 1 << 6, /* 32-bit code: the segment has no limit and may be written */
    VARIANT_GS = 1 << 7,
    VARIANT_SMAP = 1 << 8,
};

struct dbt_statistics {
    uint64_t blocks, bytes, enters, interpreted_blocks, interpreted_insns, misses, fills, faults,
        links, lookups, flushes, page_flushes, code_flushes, retranslated, failed, other_state,
        crossing, closed;
    uint64_t stops[ZYDIS_MNEMONIC_MAX_VALUE + 1]; /* instructions interpreted, by what they are */
};

/* lockstep.c */
struct machine_state {
    uint64_t gpr[GPR_SLOTS];
    uint64_t rip, rflags, icount, kernel_gs_base;
    struct segment seg[SEG_COUNT];
    uint32_t cc, mmu, code_mode;
    uint8_t cpl;
    struct fpu_state fpu;
};
struct lockstep {
    bool active;
    uint64_t blocks;
    const struct translation *t;
    struct machine_state before, expected;
    unsigned ran; /* instructions of t, by the interpreter */
    unsigned count;
    uint8_t stored[JOURNAL_STORES][64], translated[JOURNAL_STORES][64];
};

/* What SYSCALL or SYSRET in 64-bit code leaves, as the MSRs are (level.c). */
struct level_change {
    uint64_t open; /* 0: the interpreter does it */
    struct segment cs, ss;
    uint64_t target; /* SYSCALL */
    uint64_t flags;  /* SYSCALL: those of RFLAGS that stay */
};

/* Maps: one for each enum mmu_index, that of MMU_USER for space 0; behind them those of level 3 in
 * the other spaces, made when first used. */
enum { MAP_COUNT = MMU_COUNT + TLB_SPACES - 1 };

struct profile;
struct perf;

struct dbt_vcpu {
    struct dbt *dbt;
    struct lockstep *lockstep; /* NULL: off */
    struct profile *profile;   /* the same */
    struct vcpu *cpu;
    struct interp_vcpu *in;
    struct code_memory code;
    struct map maps[MAP_COUNT];
    struct map *user;  /* of level 3 in the space that runs: one of these */
    bool spaces_share; /* not each space could have its own */
    void *gs;          /* what the host's gs holds */
    struct level_change syscall, sysret;
    uint64_t level_msrs[4]; /* what they were made of */
    /* Thunks: code shared by all translations. */
    uint8_t *enter;       /* void enter(uint64_t *gpr) */
    uint8_t *leave;       /* CALLed by translated code */
    uint8_t *leave_fault; /* jumped to by the signal handler */
    uint8_t *leave_nowhere;
    uint32_t epochs;       /* the maps' counter */
    unsigned place_count;  /* numbers given to pages */
    uint8_t *load_vectors; /* CALLed by code that is about to use them */
    /* Jumped to: on to the rip in SCRATCH by the jump table; to what FRAME_VALUE says if it has
     * none. The second does not look at the first slot. */
    uint8_t *look_up, *look_up_second;
    unsigned string_kind;  /* of the last fault, if it was in a REP; else 0 */
    const void *read_only; /* the host address of the last fault, if it was a write to a view that
                              is only for reading */
    unsigned vector_bytes; /* width of the registers that enter and leave move now */
    struct writable *writable;
    uint64_t cross_pages[JUMP_PAGES / 64]; /* a bit for each page that instructions run on to */
    bool writable_lost;
    struct dbt_statistics statistics;
};

struct dbt {
    struct engine engine;
    struct engine *interp;
    struct mem *mem;
    struct host host;
    bool perfmap, jitdump;
    struct perf *perf; /* NULL: off */
    bool begun;        /* the host is as it will be, and `windows` is made for it */
    struct windows windows;
    unsigned processors;
    struct dbt_vcpu *vcpus[64];
};

/* translate.c: NULL when the block cannot be translated or code memory is full (`full`). */
struct translation *translate(struct dbt_vcpu *d, struct block *block, uint32_t variant,
                              bool *full);
struct translation *translation_find(const struct block *block, uint32_t variant);
/* The page's note of an instruction; false: no memory for a change. */
enum care care_of(const struct code_page *page, unsigned offset);
bool care_set(struct code_page *page, unsigned offset, enum care care);

/* The code of an instruction of the block at page offset `at`, as it was when the block was made:
 * copied to bytes (32 of them) if it runs over the page's end. Returns how many bytes there are; 0:
 * the page is gone. */
unsigned block_code(const struct dbt_vcpu *d, const struct block *block, unsigned at,
                    uint8_t *bytes);

/* jumps.c */
/* From the 4 bytes of a far branch's epoch: to the jump that is taken when it is another, to the
 * one when it is this. */
enum { FAR_MISS = 4 + 2, FAR_HIT = FAR_MISS + 5 };
/* Overwrites 5 bytes of code that nobody is in the midst of with a jump. */
void jumps_put(struct dbt_vcpu *d, uint8_t *at, const uint8_t *to);
/* Nobody enters t any more: who comes here is led away. */
void jumps_retire(struct dbt_vcpu *d, struct translation *t);
/* The branch whose exit was taken goes straight to t from now on. */
void jumps_tie(struct dbt_vcpu *d, const struct exit_info *info, const struct translation *t);
/* The same for a branch to another page. It may have been tied so often that it is not again. */
void jumps_tie_far(struct dbt_vcpu *d, struct map *map, const struct exit_info *info,
                   const struct translation *t);
/* The page gets its number. False: there are none left. */
bool jumps_number(struct dbt_vcpu *d, struct code_page *page);
/* The map is new: it shall know what the others do. */
void jumps_adopt(struct dbt_vcpu *d, struct map *map);
/* Code of t's page is about to run in the map, with its first byte at rip `first`: makes that known
 * to code. What was tied while it was elsewhere holds no more. */
void jumps_place(struct dbt_vcpu *d, struct map *map, uint32_t variant, const struct translation *t,
                 uint64_t first);
/* The jump table leads from cpu->rip to t from now on. For the first of a page, so do the others
 * that jumps led to before, in whatever address space: a new one is soon at home. */
void jumps_set(struct dbt_vcpu *d, struct map *map, struct translation *t);
/* The pad of a call that returns to a page offset of the block's page; NULL: none yet, or each
 * translation shall have its own. */
const uint8_t *jumps_find_pad(const struct dbt_vcpu *d, const struct block *block, unsigned offset,
                              uint32_t variant);
/* t is new and ends with a call that returns to page offset `offset`. cpu->rip is on its page. */
void jumps_pad(struct dbt_vcpu *d, struct translation *t, unsigned offset);

/* control.c: the code of d->look_up and d->look_up_second */
void control_look_up(struct emit *e);
void control_look_up_second(struct emit *e);

/* thunk.c */
/* The thunks for d->vector_bytes; drops all translations (flush_code comes before). */
void thunks_make(struct dbt_vcpu *d);

/* lockstep.c. before: the interpreter has run the block and it can be undone: true, and the
 * translation is to run from the same state; false: it has run, go on from cpu->rip. Raises. */
bool lockstep_create(struct dbt_vcpu *d);
void lockstep_destroy(struct dbt_vcpu *d);
bool lockstep_before(struct dbt_vcpu *d, const struct translation *t);
void lockstep_after(struct dbt_vcpu *d, unsigned executed);

/* string.c: a REP was broken off: rsi, rdi and rcx become the guest's. */
void string_fault(struct vcpu *cpu, unsigned kind);

/* level.c: d->syscall and d->sysret as the MSRs are now. */
void level_prepare(struct dbt_vcpu *d);

/* signal.c */
int signals_install(void);
bool signals_bind(struct dbt_vcpu *d); /* faults of this thread are d's. False: no memory */

/* memory.c */
/* The page at this linear address holds the end of an instruction: epochs change when it moves. */
void dbt_note_crossing(struct dbt_vcpu *d, gva_t addr);
void dbt_new_epoch(struct dbt_vcpu *d);
/* On the C side of a miss. False: the interpreter shall do the instruction. */
bool dbt_fill(struct dbt_vcpu *d, gva_t addr, bool write);
/* Will the page be writable when its entry is made again? It lies in a view. */
bool dbt_can_write(const struct dbt_vcpu *d, const void *host);
/* The instruction at cpu->rip faulted: what the maps say of its operand's pages is looked up anew.
 */
void dbt_forget_operand(struct dbt_vcpu *d);
size_t dbt_writable_size(void);
void dbt_forget_writes(struct vcpu *cpu, gpa_t gpa);
void dbt_flushed(struct vcpu *cpu, bool global);
void dbt_flushed_page(struct vcpu *cpu, gva_t addr);
void dbt_switched(struct vcpu *cpu, bool keep);

/* The map of ordinary accesses now. */
static inline struct map *dbt_map(struct dbt_vcpu *d)
{
    return d->cpu->mmu == MMU_USER ? d->user : &d->maps[d->cpu->mmu];
}

/* As emit_init, for code that is entered with rsp at d->cpu->gpr. */
static inline void dbt_emit_init(const struct dbt_vcpu *d, struct emit *e, uint8_t *buffer,
                                 size_t size)
{
    emit_init(e, buffer, size);
    e->masks = d->dbt->host.bmi2 ? NULL : d->cpu->gpr;
}

static inline struct dbt_vcpu *dbt_vcpu(const struct vcpu *cpu)
{
    return interp_vcpu(cpu)->outer;
}

#endif
