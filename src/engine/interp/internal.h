/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside the interpreter: blocks, the code cache, and how control passes from block to block. Each
 * vcpu has a cache of its own, so nothing here is shared between vcpu threads but `pending`.
 */
#ifndef ENGINE_INTERP_INTERNAL_H
#define ENGINE_INTERP_INTERNAL_H

#include <pthread.h>

#include "engine/interp/interp.h"
#include "x86/hostunit.h"

enum {
    BLOCK_OPS = 64,         /* at most, in a block */
    CODE_BUCKETS = 1 << 12, /* code pages are hashed into these */
    JUMP_BITS = 14,
    JUMP_SLOTS = 1 << JUMP_BITS,
    PENDING_MAX = 64,
    STEP_SLOTS = 1 << 10,
    HEAT_SLOTS = 1 << 16,
};

/* What the code cache may take before it starts afresh. */
#define CODE_LIMIT MIB(48)

/* What blocks with ops may take of it where the translator runs what is hot: those that have
 * not been run for longest go first. */
#define OPS_LIMIT MIB(2)

/* Address space for a vcpu's vector stubs: some 100,000 different instructions. */
#define VECTOR_CODE_SIZE MIB(8)

struct code_page;

/* A run of instructions on one page, entered at its start. An instruction that runs over the end of
 * its page is a block of its own, with a first op that compares the bytes on the second page. */
struct block {
    struct block *next; /* in the queue of those with ops, or in the list of the dead */
    struct code_page *page;
    uint16_t offset; /* in the page */
    uint16_t bytes;  /* on this page */
    uint16_t seen; /* bytes on this page that decoding looked at: all that an undecodable end had */
    uint8_t count; /* instructions */
    uint8_t mode;  /* CODE_SIZE bits of code_mode */
    uint8_t op_count;
    bool queued;
    bool used;    /* run since it came into the queue */
    bool has_ops; /* if not, cache_ops makes them anew */
    /* The translator's: how often it ran here, and what became of it. */
    uint16_t heat;
    struct translation *translations;
    /* There only if has_ops; without, it is in a place of struct block_pool: */
    struct block *before; /* in the queue */
    /* Where the jump cache has it, if cached_gen is exec_gen; cached_more: elsewhere too. */
    uint32_t cached_gen;
    uint16_t cached_slot;
    bool cached_more;
    struct op ops[];
};

/* Places for blocks without ops, all of one size: close together, and what is freed of blocks with
 * ops is of one piece again. */
struct block_pool {
    struct block *free; /* by `next` */
    void *chunks;       /* each begins with a pointer to the next */
};

struct code_page {
    struct code_page *next;       /* in the bucket */
    uint64_t key;                 /* of the page of RAM */
    gpa_t gpa;                    /* where it was first run */
    struct jump_targets *targets; /* the translator's, from malloc, both */
    struct care_list *care;
    uint16_t place;  /* the translator's number for it; 0: none */
    uint64_t chunks; /* which 64-byte pieces of the page hold decoded code */
    /* Its blocks, hashed by offset and mode, with room for as many again; a key of 0: free. */
    unsigned count, limit; /* a power of two */
    uint16_t *keys;
    struct block **blocks;
};

struct jump {
    uint64_t linear;
    uint32_t exec_gen;
    uint32_t mode;
    struct block *block;
};

/* An instruction run by itself, decoded. It holds wherever the same bytes are in the same mode. */
struct step_op {
    struct op op;
    uint8_t bytes[15], mode;
};

struct interp_statistics {
    uint64_t blocks_made, pages_made, pages_dropped, chunk_misses, flushes, faults, interrupts,
        steps_made, ops_given_back, ops_made_anew, cold_dropped, bare_dropped;
};

struct interp_vcpu {
    struct vcpu_code_hook hook; /* first: cpu/tlb.h */
    struct vcpu *cpu;
    struct interp *interp;
    struct hostunit *unit;    /* vector instructions */
    struct interp_vcpu *next; /* in the engine's list */

    struct code_page *pages[CODE_BUCKETS];
    size_t code_bytes, queue_bytes;         /* queue_bytes: part of them */
    struct block *queue_first, *queue_last; /* blocks with ops, oldest first: see cache.c */
    struct block *dead; /* dropped, perhaps still running: freed between blocks */
    struct block_pool pool;
    uint8_t heat[HEAT_SLOTS]; /* of blocks that were dropped as cold, by a hash */
    struct jump jumps[JUMP_SLOTS];

    /* Code written by others (devices, other vcpus), to be dropped by this thread. */
    pthread_mutex_t pending_lock;
    gpa_t pending[PENDING_MAX];
    unsigned pending_count; /* > PENDING_MAX: too many, drop all */

    struct op step_ops[4]; /* for single steps */
    /* The ops of a block that had given them back and runs again. */
    const struct block *anew_block;
    struct op anew[BLOCK_OPS + 2];
    bool in_step; /* no block runs, but perhaps the instruction at step_rip: it counts */
    uint64_t step_rip;
    struct step_op steps[STEP_SLOTS]; /* by a hash of the address */

    /* For the translator, which uses this interpreter; else NULL. */
    void *outer;
    void (*block_dropped)(struct vcpu *cpu, struct block *block);
    struct interp_statistics statistics;
};

struct interp {
    struct engine engine;
    struct mem *mem;
    struct mem_listener listener;
    struct interp_vcpu *vcpus;
    ZydisDecoder decoders[3]; /* by CODE_16, CODE_32, CODE_64 */
};

static inline struct interp_vcpu *interp_vcpu(const struct vcpu *cpu)
{
    return cpu->engine_data;
}

/* decode.c: makes the block at linear (= CS base + rip) whose first byte is at gpa. Raises #PF when
 * the first instruction runs on to a page that is not there. NULL: out of memory. */
struct block *decode_block(struct interp_vcpu *in, gva_t linear, gpa_t gpa);
/* One instruction, of which `available` bytes are there (15 at most). False: it cannot be decoded
 * from these alone. */
bool decode_step(struct interp_vcpu *in, const uint8_t *bytes, unsigned available, struct op *op);

/* cache.c */
struct block *cache_find(struct interp_vcpu *in, gpa_t gpa, uint32_t mode);
struct block *cache_on_page(const struct code_page *page, unsigned offset, uint32_t mode);
void cache_insert(struct interp_vcpu *in, gpa_t gpa, struct block *block);
/* The ops of the block at linear, valid until the next block runs. NULL: its code is not what it
 * was (it is dropped), or out of memory. */
const struct op *cache_ops(struct interp_vcpu *in, struct block *block, gva_t linear);
/* The block is not expected to run here soon, and does not run now: its ops are freed, unless the
 * translator needs them. It has no translations. Returns where it is now. */
struct block *cache_give_back(struct interp_vcpu *in, struct block *block);
/* Frees what has not been run for longest, down to below OPS_LIMIT. Nothing links to it. */
void cache_drop_cold(struct interp_vcpu *in);
/* Frees blocks that have neither ops nor translations. Nothing links to them, none of them runs. */
void cache_drop_bare(struct interp_vcpu *in);
void cache_drop_page(struct interp_vcpu *in, gpa_t gpa);
void cache_drop_all(struct interp_vcpu *in);
void cache_free_dead(struct interp_vcpu *in);
/* Everything, at the end. */
void cache_destroy(struct interp_vcpu *in);
/* The hooks of struct vcpu_code_hook. */
void cache_written(struct vcpu *cpu, gpa_t gpa, unsigned length);
void cache_moving(struct vcpu *cpu, const struct mem_view *next);

/* run.c: the block at cpu->rip, from the jump cache, the code cache or the decoder. Raises. */
struct block *run_lookup(struct vcpu *cpu);

/* Goes to rip through run_lookup and ties op's `way` to the block there, if it is on op's page. */
const struct op *go_link(struct vcpu *cpu, const struct op *op, unsigned way, uint64_t rip);

/* The op of the instruction at cpu->rip, valid until the next is asked for; NULL: it runs over a
 * page's end, or cannot be decoded. Raises. */
const struct op *run_op(struct vcpu *cpu);

/* The parts of the run loop, for an engine that has a loop of its own. run_between does what is due
 * between blocks; then run_block or run_careful (one instruction, with all that surrounds it) may
 * follow. run_deliver_fault belongs behind the setjmp of cpu->fault_exit; false: triple fault. */
enum run_next { RUN_LEAVE, RUN_AGAIN, RUN_CAREFUL, RUN_BLOCK };
enum run_next run_between(struct interp_vcpu *in, enum vcpu_exit *why);
void run_heed(struct vcpu *cpu); /* IF may have changed since run_between */
void run_careful(struct vcpu *cpu);
void run_block(struct vcpu *cpu);
bool run_deliver_fault(struct vcpu *cpu);

/* decode.c: decodes one instruction in a mode (CODE_16...) as blocks are decoded. False: none. */
bool decode_bytes(const struct interp_vcpu *in, unsigned mode, const uint8_t *bytes,
                  unsigned available, ZydisDecodedInstruction *insn, ZydisDecodedOperand *operands);

/* A block of one instruction that runs over its page's end. */
static inline bool block_crosses(const struct block *block)
{
    return block->has_ops && block->op_count > 1 && block->ops[0].length == 0;
}

/* Cuts rip to the width of code that runs. */
static inline uint64_t rip_wrap(const struct vcpu *cpu, uint64_t rip)
{
    return (cpu->code_mode & CODE_SIZE) == CODE_64 ? rip : (uint32_t)rip;
}

static inline unsigned jump_slot(uint64_t linear)
{
    return (unsigned)(linear ^ linear >> JUMP_BITS) & (JUMP_SLOTS - 1);
}

/* Is there something to do between blocks? An interrupt that cannot be taken is not: a guest that
 * has interrupts off for long would crawl. What lets it be taken (STI, POPF, IRET, ...) goes back
 * to the run loop, which sets `heeded` anew. */
static inline bool attention(const struct vcpu *cpu)
{
    return (atomic_load_explicit(&cpu->request, memory_order_relaxed) & cpu->heeded) != 0;
}

/* The same between the pieces of one instruction, where the translator has no business. */
static inline bool attention_within(const struct vcpu *cpu)
{
    return (atomic_load_explicit(&cpu->request, memory_order_relaxed) & cpu->heeded &
            ~(uint32_t)VCPU_REQ_ENGINE) != 0;
}

static inline const struct op *block_enter(struct vcpu *cpu, const struct block *block,
                                           uint64_t rip)
{
    cpu->gpr[GPR_RIP] = rip;
    cpu->icount += block->count;
    return block->ops;
}

/* Does a block that starts at rip lie inside the code segment? */
static inline bool block_fits(const struct vcpu *cpu, const struct block *block, uint64_t rip)
{
    return (cpu->code_mode & CODE_SIZE) == CODE_64 ||
           rip + block->bytes - 1 <= cpu->seg[SEG_CS].limit;
}

/* No place for code: beyond the limit, or not canonical. */
static inline bool rip_outside(const struct vcpu *cpu, uint64_t rip)
{
    if ((cpu->code_mode & CODE_SIZE) == CODE_64)
        return (uint64_t)((int64_t)(rip << 16) >> 16) != rip;
    return rip > cpu->seg[SEG_CS].limit;
}

/* A branch to such a place faults itself, with the stack pointer as it was. */
static inline void go_check(struct vcpu *cpu, const struct op *op, uint64_t rip, uint64_t rsp)
{
    if (__builtin_expect(!rip_outside(cpu, rip), 1))
        return;
    cpu->gpr[RSP] = rsp;
    op_sync(cpu, op);
    cpu_raise_gp(cpu, 0);
}

/* A branch goes to rip, anywhere: through the jump cache or the run loop. rsp: as it was before. */
static inline const struct op *go_to(struct vcpu *cpu, const struct op *op, uint64_t rip,
                                     uint64_t rsp)
{
    uint64_t linear = rip;
    if ((cpu->code_mode & CODE_SIZE) != CODE_64)
        linear = (uint32_t)(rip + cpu->seg[SEG_CS].base);
    const struct jump *jump = &interp_vcpu(cpu)->jumps[jump_slot(linear)];
    if (jump->linear == linear && jump->exec_gen == cpu->exec_gen && jump->mode == cpu->code_mode &&
        !attention(cpu) && block_fits(cpu, jump->block, rip))
        return block_enter(cpu, jump->block, rip);
    go_check(cpu, op, rip, rsp);
    cpu->rip = rip;
    return NULL;
}

/* A direct branch: way 0 taken, 1 not taken. Ties itself to targets on its own page. */
static inline const struct op *go_direct(struct vcpu *cpu, const struct op *op, unsigned way,
                                         uint64_t rip)
{
    const struct block *next = op->next[way];
    if (__builtin_expect(next && !attention(cpu) && block_fits(cpu, next, rip), 1))
        return block_enter(cpu, next, rip);
    return go_link(cpu, op, way, rip);
}

#endif
