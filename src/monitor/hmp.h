/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lines of QEMU's human monitor protocol: finds the command, reads its arguments, runs it. Knows
 * nothing of streams or editing. Under the VM lock.
 */
#ifndef MONITOR_HMP_H
#define MONITOR_HMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "monitor/commands.h"
#include "monitor/keys.h"

struct error;
struct vm;

struct hmp {
    struct vm *vm;
    struct key_typist typist;
    char default_letter; /* of x, xp and print: the last used */
    unsigned default_size;
    bool quit; /* `quit` was said: no more lines */
};

enum hmp_kind {
    HMP_NONE,
    HMP_WORD,      /* up to a blank, or in double quotes with C's escapes */
    HMP_FILE,      /* the same, a file name */
    HMP_REST,      /* all that is left */
    HMP_NUMBER,    /* an expression */
    HMP_FORMAT,    /* /COUNT LETTER SIZE, behind the name; always there, with defaults */
    HMP_FLAG,      /* -X, before or behind the others */
    HMP_FLAG_WORD, /* -X WORD */
};

struct hmp_param {
    enum hmp_kind kind;
    const char *name;
    bool optional;
    char flag; /* HMP_FLAG, HMP_FLAG_WORD: the letter */
};

/* What one parameter got. */
struct hmp_arg {
    bool given;
    const char *text;
    uint64_t number;
    struct dump_format format;
};

enum { HMP_PARAMS = 4 };

struct hmp_command {
    const char *name, *alias; /* alias may be NULL */
    struct hmp_param params[HMP_PARAMS];
    const char *usage; /* the arguments, for people */
    const char *help;
    /* The arguments are in the order of params. Exactly one of run and sub. */
    int (*run)(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err);
    const struct hmp_command *sub; /* subcommands, ended by a name of NULL */
    bool frozen;                   /* the processors stand still meanwhile; $registers are known */
};

/* hmp_table.c */
extern const struct hmp_command hmp_commands[]; /* ended by a name of NULL */

void hmp_init(struct hmp *hmp, struct vm *vm);
void hmp_fini(struct hmp *hmp);

/* One line without its end. What it says goes to out, with \n. */
void hmp_execute(struct hmp *hmp, const char *line, FILE *out);

/* `help` and `info` alone: the commands of a table that text names, or all. */
void hmp_help(const char *text, FILE *out);

/* The commands that the last word of line could become: their names into matches, up to max. */
size_t hmp_complete(const char *line, const char **matches, size_t max);

#endif
