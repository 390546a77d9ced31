/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs one MMX, SSE, AVX or AVX-512 instruction on the host's own unit.
 *
 * The instruction is brought into a normal form: 64-bit encoding, prefixes that do not matter
 * dropped, its memory operand replaced by [rdi], its general registers by rax and rcx. Vector
 * registers keep their numbers. The normal form is compiled, once, to a stub of a few
 * instructions: load the registers it reads from struct fpu_state, run it, store what it writes.
 * What goes beyond the registers is the caller's: the memory access, MXCSR, exceptions, CPUID.
 *
 * Stubs live in a code cache of fixed size, mapped twice (written through one mapping, run through
 * the other), and are found again by their normal form, so that a guest cannot grow it. When it
 * is full, hostunit_get says so and hostunit_scratch compiles for one run at a time.
 *
 * A hostunit belongs to one thread.
 */
#ifndef X86_HOSTUNIT_H
#define X86_HOSTUNIT_H

#include <stdbool.h>
#include <stdint.h>

#include <Zydis/Zydis.h>

#include "x86/fpu.h"

struct error;
struct hostunit;

/* The stub. `mem` is the memory operand (aligned as the instruction asks; ignored without one), of
 * the operand's size. `gpr` are the 16 general registers. Flags the instruction writes go to *cc:
 * CF PF AF ZF SF in bits 8-15 (as LAHF puts them in AH), OF in bit 0. */
typedef void (*hostunit_fn)(void *mem, struct fpu_state *fpu, uint64_t *gpr, uint32_t *cc);

enum { HOSTUNIT_NO_GPR = 0xff };

/* The normal form, also the key of the cache. */
struct hostunit_insn {
    uint8_t bytes[8];
    uint8_t length;
    uint8_t gpr_reg, gpr_rm; /* the guest's registers that rax and rcx stand for */
    uint8_t unused[5];       /* zero */
};

/* Its normal form; false if it is not of the kind that stubs are made for: legacy SSE and MMX, VEX,
 * EVEX (with what its mask, broadcast and rounding bits say). The caller has excluded what is not a
 * plain computation (see vector.c: implicit memory, state management, masked access), and what the
 * host's CPU lacks. */
bool hostunit_normalise(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
                        const uint8_t *bytes, bool code64, struct hostunit_insn *normal);

/* size: bytes of code cache. -ENOMEM, or what mapping executable memory failed with. */
int hostunit_create(struct hostunit **unit, size_t size, struct error *err);
void hostunit_destroy(struct hostunit *unit);

/* The stub, compiled if need be; valid as long as the unit. NULL: the cache is full. */
hostunit_fn hostunit_get(struct hostunit *unit, const struct hostunit_insn *normal);

/* The stub, valid until the next call of this function. NULL if the normal form is no instruction,
 * which does not happen to what came from hostunit_normalise. */
hostunit_fn hostunit_scratch(struct hostunit *unit, const struct hostunit_insn *normal);

/* CPUID words of the host, cut to the x87-to-AVX-512 features that this unit can run here (the
 * operating system's XCR0 included): for the CPU models. */
struct hostunit_features {
    uint32_t leaf1_edx, leaf1_ecx, leaf7_ebx, leaf7_ecx, leaf7_edx, leaf7_1_eax;
};
void hostunit_features(struct hostunit_features *features);

#endif
