/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sensitive/sensitive.h"

#include <cpuid.h>
#include <signal.h>
#include <string.h>

/* A column each. */
static const char *const engines[SENSITIVE_ENGINES] = {
    [SENSITIVE_INTERP] = "interp", [SENSITIVE_DBT] = "dbt"};

static const struct {
    const char *word, *meaning;
} ways[WAY_COUNT] = {
    [WAY_ANSWERED] = {"answered", "done in C on the guest's own registers and tables"},
    [WAY_CHECKED] = {"checked", "the same, once the guest's own level, IOPL and CR4 allow it; it\n"
                                "            faults in the guest otherwise, as the manual says"},
    [WAY_REWRITTEN] = {"rewritten",
                       "host code of ours instead, on the guest's own state, where the\n"
                       "            guest's level allows it for certain; checked otherwise"},
    [WAY_ABSENT] = {"absent", "#UD in the guest: no CPU model has it"},
};

static const char *privilege_text(enum sensitive_privilege privilege)
{
    switch (privilege) {
    case PRIVILEGE_LEVEL0:
        return "yes";
    case PRIVILEGE_IOPL:
        return "by IOPL";
    case PRIVILEGE_UMIP:
        return "by UMIP";
    case PRIVILEGE_TSD:
        return "by CR4.TSD";
    case PRIVILEGE_PCE:
        return "by CR4.PCE";
    default:
        return "no";
    }
}

static const char *exception_text(int vector)
{
    switch (vector) {
    case 6:
        return "#UD";
    case 11:
        return "#NP";
    case 12:
        return "#SS";
    case 13:
        return "#GP";
    case 14:
        return "#PF";
    default:
        return "fault";
    }
}

static void outcome_text(const struct sensitive_instruction *insn,
                         const struct sensitive_outcome *outcome, char *text, size_t size)
{
    if (outcome->signal && outcome->strayed)
        snprintf(text, size, "runs, and is lost in the kernel");
    else if (outcome->signal)
        snprintf(text, size, "%s (SIG%s)", exception_text(outcome->vector),
                 sigabbrev_np(outcome->signal));
    else if (sensitive_answered_by_kernel(insn, outcome))
        snprintf(text, size, "traps; the kernel says %llx", (unsigned long long)outcome->value);
    else if (insn->privilege == PRIVILEGE_LEVEL0 || insn->privilege == PRIVILEGE_IOPL)
        snprintf(text, size, "runs");
    else
        snprintf(text, size, "runs: %llx", (unsigned long long)outcome->value);
}

static void print_host(FILE *out)
{
    char brand[49] = "";
    uint32_t a, b, c, d;
    for (uint32_t i = 0; i < 3; i++)
        if (__get_cpuid(0x80000002 + i, &a, &b, &c, &d)) {
            const uint32_t words[] = {a, b, c, d};
            memcpy(brand + i * 16, words, sizeof(words));
        }
    bool umip = __get_cpuid_count(7, 0, &a, &b, &c, &d) && c >> 2 & 1;
    fprintf(out, "This host: %s, %s UMIP.\n\n", brand, umip ? "with" : "without");
}

/* What is left untrapped, and what follows. */
static void print_verdict(FILE *out, const bool *silent)
{
    unsigned count = 0, theirs = 0, column = 0;
    for (unsigned i = 0; i < sensitive_count; i++) {
        count += silent[i];
        theirs += silent[i] && sensitive_instructions[i].robin_irvine;
    }
    if (!count) {
        fprintf(out,
                "\nEvery sensitive instruction traps in user mode here: this instruction set is "
                "virtualizable\nby trap-and-emulate.\n");
        return;
    }
    fprintf(
        out,
        "\n%u sensitive instructions do not trap in user mode here (%u of the rows marked *):\n ",
        count, theirs);
    for (unsigned i = 0; i < sensitive_count; i++) {
        if (!silent[i])
            continue;
        if (column > 70) {
            fprintf(out, "\n ");
            column = 0;
        }
        column += (unsigned)fprintf(out, " %s;", sensitive_instructions[i].name);
    }
    fprintf(out,
            "\n\nVerdict: this host's instruction set is not virtualizable by trap-and-emulate.\n");
}

/* insn NULL: the head of the table. */
static void print_row(FILE *out, const char *name, const char *privilege, const char *outcome,
                      const struct sensitive_instruction *insn, const char *why)
{
    fprintf(out, "%-13s %-10s %-39s ", name, privilege, outcome);
    for (unsigned e = 0; e < SENSITIVE_ENGINES; e++)
        fprintf(out, "%-9s ", insn ? ways[insn->ways[e]].word : engines[e]);
    fprintf(out, "%s\n", why);
}

static void print_legend(FILE *out)
{
    fprintf(out,
            "\n* one of the seventeen of Robin and Irvine (MOV, and PUSH and POP of segments, in "
            "rows of\n  their own)\n\nNo engine runs one of them on the host in the guest's "
            "name. What becomes of it in a guest:\n");
    for (unsigned i = 0; i < WAY_COUNT; i++)
        fprintf(out, "  %-9s %s\n", ways[i].word, ways[i].meaning);
}

int sensitive_print(FILE *out)
{
    bool silent[SENSITIVE_MOST] = {0};
    print_host(out);
    print_row(out, "instruction", "privileged", "in user mode on this host", NULL,
              "sensitive because it");
    for (unsigned i = 0; i < sensitive_count; i++) {
        const struct sensitive_instruction *insn = &sensitive_instructions[i];
        struct sensitive_outcome outcome;
        char name[32], text[64];
        fflush(out);
        int ret = sensitive_try(insn, &outcome);
        if (ret < 0)
            return ret;
        outcome_text(insn, &outcome, text, sizeof(text));
        silent[i] = sensitive_is_silent(insn, &outcome);
        snprintf(name, sizeof(name), "%s%s", insn->name, insn->robin_irvine ? " *" : "");
        print_row(out, name, privilege_text(insn->privilege), text, insn, insn->why);
    }
    print_legend(out);
    print_verdict(out, silent);
    return 0;
}
