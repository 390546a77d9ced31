/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sensitive/sensitive.h"

#include <cpuid.h>
#include <signal.h>
#include <string.h>

/* How each engine of ours treats them. */
static const char *const engines[][2] = {
    {"interp",
     "runs none of them: each is done in C on the guest's own registers and tables, with the\n"
     "           guest's own level, and faults in the guest where the manual says so"},
    {"dbt", "not there yet"},
    {"kvm", "not there yet"},
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
    if (outcome->signal)
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

int sensitive_print(FILE *out)
{
    bool silent[128] = {0};
    print_host(out);
    fprintf(out, "%-12s %-11s %-42s %s\n", "instruction", "privileged", "in user mode on this host",
            "sensitive because it");
    for (unsigned i = 0; i < sensitive_count && i < 128; i++) {
        const struct sensitive_instruction *insn = &sensitive_instructions[i];
        struct sensitive_outcome outcome;
        char name[32], text[64];
        fflush(out);
        int ret = sensitive_try(insn, &outcome);
        if (ret < 0)
            return ret;
        outcome_text(insn, &outcome, text, sizeof(text));
        silent[i] = !outcome.signal && !sensitive_answered_by_kernel(insn, &outcome);
        snprintf(name, sizeof(name), "%s%s", insn->name, insn->robin_irvine ? " *" : "");
        fprintf(out, "%-12s %-11s %-42s %s\n", name, privilege_text(insn->privilege), text,
                insn->why);
    }
    fprintf(out, "\n* one of the seventeen of Robin and Irvine (MOV, and PUSH and POP of segments, "
                 "in rows of "
                 "their own)\n\nOur engines:\n");
    for (unsigned i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
        fprintf(out, "  %-8s %s\n", engines[i][0], engines[i][1]);
    print_verdict(out, silent);
    return 0;
}
