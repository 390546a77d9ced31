/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Against silicon: one instruction on one state, run by the processor this test runs on, in user
 * mode, and by the interpreter; what comes out must agree.
 *
 * generate.c makes a case from a seed and a number, operands.c aims its memory operands at the
 * sandbox, segments.c has the descriptors, native.c and guest.c run it, compare.c judges, text.c
 * writes a case as a line that can be replayed and reads it back, main.c is the program.
 *
 * Both sides see the same linear addresses: two pages of code and after them nothing; three pages
 * of data, the last read-only, with nothing before and after. The rest of the sandbox's 2 MiB is
 * not mapped. The code pages are full of INT3, so that wherever control goes it stops there.
 */
#ifndef TESTS_X86_SILICON_CASE_H
#define TESTS_X86_SILICON_CASE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <Zydis/Zydis.h>

#include "base/bytes.h"
#include "cpu/engine.h"

enum { USER_CS32 = 0x23, USER_DS = 0x2b, USER_CS64 = 0x33 }; /* Linux's selectors */

enum {
    SANDBOX = 0x10000000,
    SANDBOX_SIZE = 0x200000,
    CODE = SANDBOX + 0x40000,
    CODE_SIZE_BYTES = 0x2000,
    DATA = SANDBOX + 0x100000,
    DATA_WRITABLE = 0x2000,
    DATA_SIZE = 0x3000,
    FS_BASE = DATA + 0x800, /* in 64-bit code; otherwise they come with their selectors */
    GS_BASE = DATA,
    CODE_SEGMENT = CODE - 0x1000, /* of 64 KiB, all of it in the sandbox */
    DATA_SEGMENT = DATA - 0x8000,
    LOCAL_LIMIT = 13 * 8 - 1, /* of the local descriptor table */
    STACK_TOP = 0x30000000,   /* bits 31-16 of the stack pointer with a 16-bit stack */
    PATCHES = 4,
    PATCH_SIZE = 64,
};

/* Bytes put into the data pages, which are zero otherwise. */
struct patch {
    uint32_t address;
    uint8_t bytes[PATCH_SIZE];
};

/* The state of the x87 and vector registers. st[0] is ST(0). */
struct unit_state {
    uint16_t fcw, fsw;
    uint16_t fop;
    uint8_t ftw; /* abridged: 1 is in use */
    uint32_t mxcsr;
    uint64_t fip, fdp;
    uint8_t st[8][10];
    uint8_t ymm[16][32];
};

struct input {
    uint8_t bits; /* of the code segment: 16, 32, 64 */
    uint8_t length;
    uint8_t bytes[16];
    uint32_t rip;    /* linear: the code segment's base is added already */
    uint16_t sel[6]; /* by enum segment_register */
    uint64_t gpr[16];
    uint64_t flags;
    struct unit_state unit;
    unsigned patches;
    struct patch patch[PATCHES];
};

/* What came of it. vector is -1 when the instruction was done and control stopped at rip. */
struct outcome {
    int vector;
    uint32_t error;
    uint64_t cr2, rip, flags; /* rip: the offset */
    uint16_t sel[6];
    uint64_t fs_base, gs_base;
    uint64_t gpr[16];
    struct unit_state unit;
};

/* The instruction of an input, decoded. */
struct insn {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    bool bad_lock; /* a LOCK prefix where none may be: #UD, decoded as if it were not there */
};

/* Random numbers: each case has its own, from the seed and its number. */
struct rng {
    uint64_t state;
};
uint64_t rng_next(struct rng *rng);
static inline bool one_in(struct rng *rng, unsigned n)
{
    return rng_next(rng) % n == 0;
}

/* generate.c */
void generate_case(struct input *input, struct insn *insn, uint64_t seed, uint64_t number);
bool case_decode(const struct input *input, struct insn *insn);
uint64_t random_value(struct rng *rng);
void random_bytes(struct rng *rng, uint8_t *to, unsigned size); /* that make interesting numbers */

/* Why an instruction is not compared, or NULL. */
const char *case_excluded(const struct insn *insn);
void print_excluded(FILE *out);

/* operands.c: gives the registers and the displacement values that bring every memory access into
 * the sandbox or to where surely nothing is; false if that did not work out. */
bool aim_operands(struct rng *rng, struct input *input, struct insn *insn);
bool operands_safe(const struct input *input, const struct insn *insn);

/* segments.c */
bool segments_install(void); /* the local table, natively; false when Linux will not */
void segments_random(struct rng *rng, struct input *input);
void segments_default(struct input *input);
uint64_t segments_descriptor(unsigned selector); /* of both tables, 0 where nothing is */
struct segment segments_load(uint16_t selector); /* unusable if null or not present */
bool segment_is_code(const struct segment *s);
unsigned segment_bits(const struct segment *s); /* of code */
unsigned segments_code_room(const struct input *input);
uint16_t choose_selector(struct rng *rng);
uint16_t choose_code_selector(struct rng *rng);

static inline bool code64(const struct input *input)
{
    return input->bits == 64;
}

/* The bits of the stack pointer that push and pop use. */
static inline unsigned stack_bits(const struct input *input)
{
    if (code64(input))
        return 64;
    struct segment s = segments_load(input->sel[SEG_SS]);
    return s.access & SEG_DB ? 32 : 16;
}

/* The instruction's offset in its code segment. */
static inline uint32_t input_ip(const struct input *input)
{
    return input->rip - (uint32_t)segments_load(input->sel[SEG_CS]).base;
}

/* native.c: false, with the reason in *why, when this host cannot. */
bool native_create(const char **why);
uint8_t *native_data(void); /* DATA_SIZE bytes, writable */
void native_run(const struct input *input, struct outcome *outcome);

/* guest.c */
void host_vendor(char vendor[13]); /* as CPUID has it, with its NUL */
void guest_create(const struct engine_type *type);
uint8_t *guest_data(void);
void guest_run(const struct input *input, struct outcome *outcome);

/* compare.c: runs both; true if they agree. Otherwise `report`, if not NULL, hears why. */
bool case_agrees(const struct input *input, const struct insn *insn, FILE *report);

/* Makes every register and patch of a disagreeing case that does not matter its default. */
void case_minimise(struct input *input, const struct insn *insn);

/* text.c */
void case_default(struct input *input);
void case_summarise(struct input *input); /* FSW.ES and B as they follow from flags and masks */
void case_print(const struct input *input, FILE *out);
bool case_parse(struct input *input, const char *line);

/* regressions.c: lines of case_print. */
extern const char *const regressions[];
extern const unsigned regression_count;

#endif
