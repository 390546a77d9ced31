/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every sensitive instruction of `trapeze sensitive`, in user mode of a guest under each engine:
 * what it learns is the guest's own state, and what the manual calls privileged faults in the
 * guest. And on the host: the privileged ones trap, and the table can be printed.
 */
#include "sensitive/sensitive.h"

#include "x86/long_bench.h"

#include <stdio.h>

static const struct engine_type *const engines[] = {&interp_engine};

enum { TSC_AUX = 0x1234 };

/* What RAX must hold in the guest that enter() makes. */
static const struct answer {
    const char *name;
    uint64_t value;
} answers[] = {
    {"SGDT", BENCH_GDT},
    {"SIDT", BENCH_IDT},
    {"SLDT", 0},
    {"STR", LONG_TR},
    {"SMSW", CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_MP},
    {"PUSHF", 2},
    {"POPF", 2}, /* IF was clear, and stays so */
    {"LAR", 0xaffb00},
    {"LSL", 0xffffffff},
    {"VERR", 1},
    {"VERW", 1},
    {"PUSH sreg", LONG_USER_DS},
    {"POP sreg", LONG_USER_DS},
    {"MOV r,sreg", LONG_USER_CS},
    {"MOV sreg,r", LONG_USER_DS},
    {"CALL far", LONG_USER_CS},
    {"JMP far", LONG_USER_CS},
    {"RET far", LONG_USER_CS},
    {"IRET", 2},
    {"CPUID", 0x756e6547},
    {"XGETBV", 7},
    {"RDTSCP", TSC_AUX},
    {"RDPID", TSC_AUX},
};

/* Those whose fault in user mode is #UD; the others' is #GP. */
static bool is_undefined(const char *name)
{
    static const char *const names[] = {"CLAC", "STAC", "MONITOR", "MWAIT", "RSM"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

static int run(struct long_bench *l, const struct sensitive_instruction *insn, uint32_t more_cr4)
{
    struct vcpu *cpu = l->b->cpu;
    cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE | more_cr4;
    cpu->tsc_aux = TSC_AUX;
    long_enter(l, 3);
    return long_run(l, (const uint8_t *)insn->code, insn->length);
}

static void fails(const struct sensitive_instruction *insn, int vector, uint64_t value)
{
    print_message("# %s: vector %d, value %llx\n", insn->name, vector, (unsigned long long)value);
    fail();
}

static void check_answer(const struct sensitive_instruction *insn, uint64_t value)
{
    for (unsigned i = 0; i < ARRAY_LEN(answers); i++)
        if (!strcmp(answers[i].name, insn->name) && answers[i].value == value)
            return;
    if (strcmp(insn->name, "RDTSC") != 0)
        fails(insn, LONG_FINE, value);
}

/* A guest without UMIP and TSD: what is not privileged runs. */
static void the_guests_own(void **state)
{
    (void)state;
    for (unsigned e = 0; e < ARRAY_LEN(engines); e++) {
        struct long_bench l;
        long_new(&l, "max,vendor=GenuineIntel", engines[e]);
        for (unsigned i = 0; i < sensitive_count; i++) {
            const struct sensitive_instruction *insn = &sensitive_instructions[i];
            bool faults = insn->privilege == PRIVILEGE_LEVEL0 ||
                          insn->privilege == PRIVILEGE_IOPL || insn->privilege == PRIVILEGE_PCE ||
                          !strcmp(insn->name, "INT n");
            int vector = run(&l, insn, 0);
            int expected = !faults ? LONG_FINE : is_undefined(insn->name) ? VEC_UD : VEC_GP;
            if (vector != expected)
                fails(insn, vector, l.b->cpu->gpr[RAX]);
            if (!faults)
                check_answer(insn, l.b->cpu->gpr[RAX]);
        }
        long_free(&l);
    }
}

/* With UMIP and TSD, those fault too. */
static void guarded(void **state)
{
    (void)state;
    for (unsigned e = 0; e < ARRAY_LEN(engines); e++) {
        struct long_bench l;
        long_new(&l, "max", engines[e]);
        unsigned count = 0;
        for (unsigned i = 0; i < sensitive_count; i++) {
            const struct sensitive_instruction *insn = &sensitive_instructions[i];
            if (insn->privilege != PRIVILEGE_UMIP && insn->privilege != PRIVILEGE_TSD)
                continue;
            int vector = run(&l, insn, CR4_UMIP | CR4_TSD);
            if (vector != VEC_GP)
                fails(insn, vector, l.b->cpu->gpr[RAX]);
            count++;
        }
        assert_int_equal(count, 7);
        long_free(&l);
    }
}

static void on_this_host(void **state)
{
    unsigned seventeen = 0;
    (void)state;
    for (unsigned i = 0; i < sensitive_count; i++) {
        const struct sensitive_instruction *insn = &sensitive_instructions[i];
        struct sensitive_outcome outcome;
        assert_int_equal(sensitive_try(insn, &outcome), 0);
        if (insn->privilege == PRIVILEGE_LEVEL0 && !outcome.signal)
            fails(insn, LONG_FINE, outcome.value);
        seventeen += insn->robin_irvine;
    }
    assert_int_equal(seventeen, 19); /* rows */
}

static void printed(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    (void)state;
    assert_non_null(out);
    assert_int_equal(sensitive_print(out), 0);
    fclose(out);
    for (unsigned i = 0; i < sensitive_count; i++)
        assert_non_null(strstr(text, sensitive_instructions[i].name));
    /* MOV from CS shows the level on every x86. */
    assert_non_null(strstr(text, "Verdict: this host's instruction set is not virtualizable"));
    assert_non_null(strstr(text, "interp"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guests_own),
        cmocka_unit_test(guarded),
        cmocka_unit_test(on_this_host),
        cmocka_unit_test(printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
