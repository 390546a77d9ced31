/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Engine against engine: a block of up to 30 instructions with branches, faults, operands across
 * pages and stores into its own code, run from one seeded state by two engines in two machines
 * alike; whatever the processor and memory hold afterwards must agree.
 *
 * One in six is a program of many blocks instead, which run often and change where they lead.
 *
 * program.c makes the block from a seed and a number, flow.c such a program, machine.c runs it,
 * main.c compares, makes a disagreeing block small and is the program.
 *
 * Linear addresses (physical memory is RAM_SIZE bytes; code pages are not neighbours in it):
 *   CODE   three pages of code, writable; at SHUFFLED once more in another order
 *   DATA   64 KiB that a 16-bit data segment spans: pages that may be written, one that may not,
 *          one that is not there, one of the supervisor's, the stack, and at ALIAS the code again
 */
#ifndef TESTS_X86_BLOCKS_BLOCKS_H
#define TESTS_X86_BLOCKS_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <Zydis/Zydis.h>

#include "base/bytes.h"
#include "cpu/engine.h"

enum {
    RAM_SIZE = 0x40000,
    PAGE_TABLES = 0x1000, /* physical; */
    PAGE_TABLES_END = 0x7000,
    PT = PAGE_TABLES + 0x3000,
    PT32 = PAGE_TABLES + 0x5000,
    CODE_RAM = 0x30000, /* frames of the code pages, two apart */
    CODE = 0x10000,
    CODE_PAGES = 3,
    SHUFFLED = 0x14000,
    SHUFFLED_PAGES = 5,
    DATA = 0x20000,
    DATA_READ_ONLY = DATA + 0x3000,
    DATA_ABSENT = DATA + 0x4000,
    DATA_SUPERVISOR = DATA + 0x5000,
    TABLE = DATA + 0x6000, /* pointers to code for flow.c, 8 bytes each */
    TABLE_ENTRIES = 256,
    STACK = DATA + 0x9000,
    STACK_END = DATA + 0xa000,
    ALIAS = DATA + 0xc000,
    KERNEL_STACK = 0xc000,
    MORE_TABLES = 0x38000, /* three pages, for also_at */
    ALSO_PAGES = 2,
    HANDLERS = 0xa000,       /* a HLT for each vector, but */
    RETURNING_VECTOR = 0x80, /* an IRET, where p->flow */
    BLOCK_INSTRUCTIONS = 30,
    INSTRUCTIONS = 160, /* of flow.c */
    INSTRUCTION_BYTES = 20,
    PROGRAM_INDEX_LIMIT = 0x100, /* registers that begin below it serve as indices */
};

enum block_mode { LONG64, COMPAT32, COMPAT16, LEGACY32, LEGACY16, BLOCK_MODES };

/* Random numbers: each block has its own, from the seed and its number. */
struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
    rng->state += 0x9e3779b97f4a7c15;
    uint64_t z = rng->state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
    return rng_next(rng) % n;
}

static inline bool one_in(struct rng *rng, unsigned n)
{
    return rng_next(rng) % n == 0;
}

/* What of an instruction's bytes depends on where it and its target lie. */
enum fix {
    FIX_NONE,
    FIX_BRANCH,   /* relative, to the instruction `target` */
    FIX_CODE,     /* absolute, into the instruction `target` */
    FIX_RELATIVE, /* relative to rip, to the address `target` */
};

/* Where code is reached. */
enum mapping { BY_CODE, BY_ALIAS, BY_SHUFFLED };

struct instruction {
    uint8_t bytes[INSTRUCTION_BYTES]; /* and perhaps one more behind it */
    uint8_t length;                   /* 0: removed */
    uint8_t fix;                      /* enum fix */
    uint8_t fix_at, fix_size;
    uint8_t within; /* FIX_CODE: bytes into the target */
    uint8_t by;     /* FIX_CODE: enum mapping */
    uint32_t target;
    bool starts;    /* a piece of flow.c */
    uint32_t place; /* linear address that it has, or a higher one if that is taken; 0: any */
};

struct program {
    enum block_mode mode;
    bool user, flow, unpaged; /* unpaged: LEGACY32 only */
    uint64_t fs_base;         /* LONG64; 0: DATA */
    /* LONG64: the first data pages once more, from this page on, which is in the upper part of the
     * lower half of addresses; 0: nowhere. */
    uint64_t also_at;
    unsigned hot;   /* the translator's dbt_hot */
    uint32_t entry; /* linear */
    uint64_t gpr[16], flags, cr0, cr4;
    uint64_t seed; /* of the data pages and the vector registers */
    unsigned count;
    struct instruction insn[INSTRUCTIONS];
};

void program_generate(struct program *p, uint64_t seed, uint64_t number);
/* Where each instruction is, linear; returns where the last one ends. */
uint32_t program_addresses(const struct program *p, uint32_t at[INSTRUCTIONS]);
/* The address that an instruction at `at` has there. */
uint32_t program_mapped(uint32_t at, enum mapping by);
/* The bytes from p->entry on, with everything fixed, and INT3 between; returns how many. */
unsigned program_layout(const struct program *p, uint8_t *bytes, unsigned size);
void program_print(const struct program *p, FILE *out);
ZydisMachineMode program_machine_mode(const struct program *p);
bool program_decode(const struct program *p, const uint8_t *bytes, unsigned length,
                    ZydisDecodedInstruction *insn, ZydisDecodedOperand *operands);
uint32_t program_data_address(struct rng *rng); /* linear */
/* Does it give another answer each time? */
bool program_unpredictable(const ZydisDecodedInstruction *insn);
/* The flags that the instruction may leave undefined. */
uint64_t program_undefined_flags(const ZydisDecodedInstruction *insn);

static inline bool program_narrow(const struct program *p)
{
    return p->mode == COMPAT16 || p->mode == LEGACY16;
}

static inline void instruction_add(struct instruction *i, unsigned byte)
{
    i->bytes[i->length++] = (uint8_t)byte;
}

/* Any one that does not lead elsewhere, with its flags defined. */
void program_any_instruction(struct rng *rng, const struct program *p, struct instruction *i);

/* flow.c */
void flow_generate(struct program *p, struct rng *rng);

/* operands.c. operands_instruction: false: it did not become an instruction, try again. */
bool operands_instruction(struct rng *rng, const struct program *p, struct instruction *i);
void operands_control(struct rng *rng, const struct program *p, struct instruction *i, unsigned at);

/* machine.c */
struct machine;
enum outcome { OUTCOME_HALTED, OUTCOME_TRIPLE_FAULT, OUTCOME_ENDLESS };
struct machine *machine_new(const struct engine_type *type, const char *properties); /* or NULL */
void machine_free(struct machine *m);
/* patient: a block has seconds rather than milliseconds to end. */
enum outcome machine_run(struct machine *m, const struct program *p, bool patient);
const struct vcpu *machine_cpu(const struct machine *m);
const uint8_t *machine_ram(const struct machine *m); /* RAM_SIZE bytes */
struct ram *machine_ram_object(const struct machine *m);
/* Are page tables others than the program began with? */
bool machine_tables_written(const struct machine *m);
/* Engines with a fault built in, for the self-test. */
extern const struct engine_type stale_engine, wrong_engine;
/* The translator with every block of it compared as it runs. Switches that on for good: machines
 * of the translator that are made later compare as well. */
extern const struct engine_type lockstep_engine;

/* Memory and registers as the program finds them, by steps of machine_run. */
struct vcpu *machine_prepare(struct machine *m, const struct program *p);
bool machine_byte(const struct machine *m, uint64_t linear, uint8_t *byte); /* false: no page */

/* trace.c, on a machine of the interpreter: does the program depend on undefined flags? */
bool trace_undecided(struct machine *m, const struct program *p);

#endif
