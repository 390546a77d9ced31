/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every sensitive instruction of `trapeze sensitive`, in user mode of a guest under each engine:
 * what it learns is the guest's own state, and what the manual calls privileged faults in the
 * guest. And on the host: the privileged ones trap, and the table can be printed.
 */
#include "sensitive/sensitive.h"

#include "x86/long_bench.h"

#include "base/error.h"
#include "engine/dbt/dbt.h"

#include <stdio.h>

static const struct engine_type *const engines[SENSITIVE_ENGINES] = {
    [SENSITIVE_INTERP] = &interp_engine, [SENSITIVE_DBT] = &dbt_engine};

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
    {"LGS and kin", LONG_USER_DS},
    {"IRET", 2},
    {"SYSCALL", 39}, /* untouched: it is at LSTAR */
    {"SYSENTER", 20},
    {"CPUID", 0x756e6547},
    {"XGETBV", 7},
    {"RDTSCP", TSC_AUX},
    {"RDPID", TSC_AUX},
};

/* And at level 0, those that show something. */
static const struct answer answers_at_0[] = {
    {"MOV r,CRn", CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_MP},
    {"MOV r,CR8", 0},
    {"MOV r,DRn", 0x400},
    {"RDMSR", 0xfee00900},
    {"IN", 0xff}, /* nobody at the port */
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

static void enter(struct long_bench *l, unsigned level, uint32_t more_cr4)
{
    struct vcpu *cpu = l->b->cpu;
    cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE | more_cr4;
    cpu->tsc_aux = TSC_AUX;
    cpu->lstar = cpu->sysenter_eip = LONG_RETURN;
    cpu->star = (uint64_t)LONG_CS << 32;
    cpu->sysenter_cs = LONG_CS;
    long_enter(l, level);
}

static int run(struct long_bench *l, const struct sensitive_instruction *insn, unsigned level,
               uint32_t more_cr4)
{
    enter(l, level, more_cr4);
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

/* Every instruction under every engine, with what the engine says it makes of it. */
static void each(void (*check)(struct long_bench *l, const struct sensitive_instruction *insn,
                               enum sensitive_way way))
{
    for (unsigned e = 0; e < ARRAY_LEN(engines); e++) {
        struct long_bench l;
        struct error why;
        if (engines[e]->usable && engines[e]->usable(&why)) {
            print_message("# %s not tried: %s\n", engines[e]->name, why.text);
            continue;
        }
        long_new(&l, "max,+monitor,vendor=GenuineIntel", engines[e]);
        for (unsigned i = 0; i < sensitive_count; i++)
            check(&l, &sensitive_instructions[i], sensitive_instructions[i].ways[e]);
        long_free(&l);
    }
}

/* A guest without UMIP and TSD: what is not privileged runs. */
static void check_level_3(struct long_bench *l, const struct sensitive_instruction *insn,
                          enum sensitive_way way)
{
    bool faults = insn->privilege == PRIVILEGE_LEVEL0 || insn->privilege == PRIVILEGE_IOPL ||
                  insn->privilege == PRIVILEGE_PCE || !strcmp(insn->name, "INT n");
    int vector = run(l, insn, 3, 0);
    int expected = way == WAY_ABSENT          ? VEC_UD
                   : !faults                  ? LONG_FINE
                   : is_undefined(insn->name) ? VEC_UD
                                              : VEC_GP;
    if (vector != expected)
        fails(insn, vector, l->b->cpu->gpr[RAX]);
    if (vector == LONG_FINE)
        check_answer(insn, l->b->cpu->gpr[RAX]);
}

static void the_guests_own(void **state)
{
    (void)state;
    each(check_level_3);
}

/* What the operands of some must be at level 0, where they do what they do. SYSRET goes to RCX,
 * SYSEXIT to RDX: a HLT, which is then in level 3. */
static void prepare_level_0(struct long_bench *l, const char *name)
{
    struct vcpu *cpu = l->b->cpu;
    bool idt = !strcmp(name, "LIDT"), table = idt || !strcmp(name, "LGDT");
    bench_poke(l->b, LONG_STACK, table ? 0xfff : 0, 2);
    bench_poke(l->b, LONG_STACK + 2, idt ? BENCH_IDT : table ? BENCH_GDT : 0, 8);
    cpu->gpr[RAX] = !strcmp(name, "MOV CRn,r") ? LONG_TABLES : 0;
    cpu->gpr[RCX] = cpu->gpr[RDX] = LONG_RETURN;
}

/* A guest's kernel: all that levels guard works, on what is the guest's. */
static void check_level_0(struct long_bench *l, const struct sensitive_instruction *insn,
                          enum sensitive_way way)
{
    struct vcpu *cpu = l->b->cpu;
    int expected = LONG_FINE;
    if (way == WAY_ANSWERED)
        return; /* of no level */
    if (way == WAY_ABSENT || !strcmp(insn->name, "RSM"))
        expected = VEC_UD;
    else if (!strcmp(insn->name, "LTR") || !strcmp(insn->name, "SYSRET") ||
             !strcmp(insn->name, "SYSEXIT"))
        expected = VEC_GP; /* a null selector; HLT at level 3 */
    enter(l, 0, 0);
    prepare_level_0(l, insn->name);
    int vector = long_run(l, (const uint8_t *)insn->code, insn->length);
    if (vector != expected)
        fails(insn, vector, cpu->gpr[RAX]);
    for (unsigned i = 0; i < ARRAY_LEN(answers_at_0); i++)
        if (!strcmp(answers_at_0[i].name, insn->name) &&
            (uint32_t)cpu->gpr[RAX] != answers_at_0[i].value)
            fails(insn, vector, cpu->gpr[RAX]);
}

static void at_level_0(void **state)
{
    (void)state;
    each(check_level_0);
}

/* With UMIP and TSD, those fault too. */
static void check_guarded(struct long_bench *l, const struct sensitive_instruction *insn,
                          enum sensitive_way way)
{
    if ((insn->privilege != PRIVILEGE_UMIP && insn->privilege != PRIVILEGE_TSD) ||
        way == WAY_ABSENT)
        return;
    int vector = run(l, insn, 3, CR4_UMIP | CR4_TSD);
    if (vector != VEC_GP)
        fails(insn, vector, l->b->cpu->gpr[RAX]);
}

static void guarded(void **state)
{
    unsigned count = 0;
    (void)state;
    each(check_guarded);
    for (unsigned i = 0; i < sensitive_count; i++)
        count += sensitive_instructions[i].privilege == PRIVILEGE_UMIP;
    assert_int_equal(count, 5);
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
        if (insn->privilege == PRIVILEGE_LEVEL0 && outcome.strayed)
            fails(insn, outcome.vector, outcome.value);
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
    /* A row each, with what each engine makes of it. */
    static const char *const words[WAY_COUNT] = {[WAY_ANSWERED] = " answered ",
                                                 [WAY_CHECKED] = " checked ",
                                                 [WAY_REWRITTEN] = " rewritten ",
                                                 [WAY_ABSENT] = " absent "};
    for (unsigned i = 0; i < sensitive_count; i++) {
        const struct sensitive_instruction *insn = &sensitive_instructions[i];
        char start[40];
        snprintf(start, sizeof(start), "\n%s ", insn->name);
        char *row = strstr(text, start);
        assert_non_null(row);
        char *line = strndup(row + 1, strcspn(row + 1, "\n"));
        for (unsigned e = 0; e < SENSITIVE_ENGINES; e++)
            assert_non_null(strstr(line, words[insn->ways[e]]));
        assert_non_null(strstr(line, insn->why));
        free(line);
    }
    /* MOV from CS shows the level on every x86. */
    assert_non_null(strstr(text, "Verdict: this host's instruction set is not virtualizable"));
    assert_non_null(strstr(text, "interp"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guests_own), cmocka_unit_test(at_level_0), cmocka_unit_test(guarded),
        cmocka_unit_test(on_this_host),   cmocka_unit_test(printed),
    };
    dbt_hot = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
