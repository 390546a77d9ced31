/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * x86's sensitive instructions (Popek and Goldberg, CACM 17(7), 1974): those that show or change
 * the state of the real machine, which a virtual one must answer for. That not all of them trap in
 * user mode is why an x86 cannot be virtualized by trap-and-emulate alone (Robin and Irvine, USENIX
 * Security 2000, name seventeen).
 */
#ifndef SENSITIVE_SENSITIVE_H
#define SENSITIVE_SENSITIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What the manual (SDM 2) says of its privilege. */
enum sensitive_privilege {
    PRIVILEGE_NONE,
    PRIVILEGE_LEVEL0,
    PRIVILEGE_IOPL, /* or the I/O permission map */
    PRIVILEGE_UMIP, /* level 0 if CR4.UMIP is set */
    PRIVILEGE_TSD,  /* level 0 if CR4.TSD is set */
    PRIVILEGE_PCE,  /* level 0 unless CR4.PCE is set */
};

/* What an engine makes of one in a guest. */
enum sensitive_way {
    WAY_ANSWERED,  /* done in C, on the guest's own registers and tables */
    WAY_CHECKED,   /* so too, after the guest's own level, IOPL and CR4 were asked: or it faults */
    WAY_REWRITTEN, /* host code of ours instead, on the guest's own state, where its level allows it
                      for certain; else as above */
    WAY_ABSENT,    /* #UD: no CPU model has it */
    WAY_COUNT
};
/* The engines that there are, each with a column. */
enum sensitive_engine { SENSITIVE_INTERP, SENSITIVE_DBT, SENSITIVE_ENGINES };

/* An instruction, and 64-bit code of level 3 that tries it: no operands outside its stack, RAX is
 * what it has learned, the end is fallen through. */
struct sensitive_instruction {
    const char *name;
    bool robin_irvine;
    enum sensitive_privilege privilege;
    const char *why;  /* what it shows or changes */
    const char *code; /* `length` bytes */
    unsigned length;
    uint8_t ways[SENSITIVE_ENGINES]; /* enum sensitive_way */
};
enum { SENSITIVE_MOST = 128 };
extern const struct sensitive_instruction sensitive_instructions[];
extern const unsigned sensitive_count;

/* What became of it on this host, in user mode. */
struct sensitive_outcome {
    int signal;     /* 0: it ran to its end */
    int vector;     /* of the exception behind the signal, -1: not told */
    bool strayed;   /* the signal came of code elsewhere: it ran, and led there */
    uint64_t value; /* RAX at the end */
};

/* Runs it in a child process. Negative errno if there can be none. */
int sensitive_try(const struct sensitive_instruction *insn, struct sensitive_outcome *outcome);

/* Did it take effect in user mode with no trap? */
bool sensitive_is_silent(const struct sensitive_instruction *insn,
                         const struct sensitive_outcome *outcome);

/* Did it trap, though it came to its end: the kernel answers SGDT and its kin in the processor's
 * stead under UMIP (Linux arch/x86/kernel/umip.c). */
bool sensitive_answered_by_kernel(const struct sensitive_instruction *insn,
                                  const struct sensitive_outcome *outcome);

/* `trapeze sensitive`: the table, each tried here, and the verdict. 0, or negative errno. */
int sensitive_print(FILE *out);

#endif
