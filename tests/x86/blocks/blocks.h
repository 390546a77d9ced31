/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Engine against engine: a block of up to 30 instructions with branches, faults, operands across
 * pages and stores into its own code, run from one seeded state by two engines in two machines
 * alike; whatever the processor and memory hold afterwards must agree.
 *
 * program.c makes the block from a seed and a number, machine.c runs it, main.c compares, makes a
 * disagreeing block small and is the program.
 *
 * Linear addresses (physical memory is RAM_SIZE bytes; code pages are not neighbours in it):
 *   CODE   three pages of code, writable
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
    CODE = 0x10000,
    CODE_PAGES = 3,
    DATA = 0x20000,
    DATA_READ_ONLY = DATA + 0x3000,
    DATA_ABSENT = DATA + 0x4000,
    DATA_SUPERVISOR = DATA + 0x5000,
    STACK = DATA + 0x9000,
    ALIAS = DATA + 0xc000,
    KERNEL_STACK = 0xc000,
    HANDLERS = 0xa000, /* a HLT for each vector */
    INSTRUCTIONS = 30,
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

struct instruction {
    uint8_t bytes[16];
    uint8_t length; /* 0: removed */
    uint8_t fix;    /* enum fix */
    uint8_t fix_at, fix_size;
    uint8_t within; /* FIX_CODE: bytes into the target */
    bool by_alias;
    uint32_t target;
};

struct program {
    enum block_mode mode;
    bool user;
    uint32_t entry; /* linear */
    uint64_t gpr[16], flags, cr0;
    uint64_t seed; /* of the data pages and the vector registers */
    unsigned count;
    struct instruction insn[INSTRUCTIONS];
};

void program_generate(struct program *p, uint64_t seed, uint64_t number);
/* The bytes from p->entry on, with everything fixed; returns how many. */
unsigned program_layout(const struct program *p, uint8_t *bytes, unsigned size);
void program_print(const struct program *p, FILE *out);
ZydisMachineMode program_machine_mode(const struct program *p);

/* machine.c */
struct machine;
enum outcome { OUTCOME_HALTED, OUTCOME_TRIPLE_FAULT, OUTCOME_ENDLESS };
struct machine *machine_new(const struct engine_type *type);
void machine_free(struct machine *m);
/* patient: a block has seconds rather than milliseconds to end. */
enum outcome machine_run(struct machine *m, const struct program *p, bool patient);
const struct vcpu *machine_cpu(const struct machine *m);
const uint8_t *machine_ram(const struct machine *m); /* RAM_SIZE bytes */
/* Engines with a fault built in, for the self-test. */
extern const struct engine_type stale_engine, wrong_engine;

#endif
