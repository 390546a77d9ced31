/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The log: warnings to the user on stderr, and the categories of `-d` to stderr or the file of
 * `-D`.
 *
 * The log is the one thing that belongs to the process and not to a VM, so its sink is the one
 * mutable file-scope state in the tree. Any thread may log; lines are written whole.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/* Categories that -d switches on, one bit each. */
enum log_category {
    LOG_INT = 1 << 0,          /* interrupts and exceptions the guest takes */
    LOG_CPU_RESET = 1 << 1,    /* processor state at reset and triple fault */
    LOG_GUEST_ERRORS = 1 << 2, /* the guest does what the datasheet forbids */
    LOG_UNIMP = 1 << 3,        /* the guest uses what is not there */
    LOG_IN_ASM = 1 << 4,       /* guest code as it is translated */
    LOG_PAGE = 1 << 6,         /* TLB flushes, paging mode changes */
    LOG_LOCKSTEP = 1 << 8,     /* the translator beside the interpreter; stops where they differ */
    LOG_IO = 1 << 7,           /* port and MMIO access nobody answers */
    LOG_OUT_ASM = 1 << 9,      /* what guest code is translated to */
    LOG_PROFILE = 1 << 10,     /* count what translations run, for `info jit` */
};

/* Turns "int,guest_errors" into a mask and switches those on; "help" is the caller's business.
 * Negative errno and a sentence naming the allowed items when one is unknown. */
int log_enable(const char *items, struct error *err);

/* The items of -d, one a line with what they mean, for `-d help`. The caller frees it. */
char *log_help(void);

/* Sends what the categories print to a file instead of stderr. */
int log_to_file(const char *path, struct error *err);

/* Is any of these categories on? Cheap enough for a hot path. */
bool log_on(unsigned categories);

/* One line (a newline is added) if a category is on. */
__attribute__((format(printf, 2, 3))) void log_print(unsigned category, const char *format, ...);

/* What a hostile guest can provoke at will: as log_print, but no more than 100 lines a second a
 * category; what is left out is counted and said. */
__attribute__((format(printf, 2, 3))) void log_limited(unsigned category, const char *format, ...);

/* "trapeze: warning: ..." on stderr, always. For the user, about the host's side. */
__attribute__((format(printf, 1, 2))) void log_warn(const char *format, ...);

/* "trapeze: ..." on stderr, always. */
__attribute__((format(printf, 1, 2))) void log_info(const char *format, ...);

#endif
