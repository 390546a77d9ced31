/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * x86-blocks: random blocks of instructions by two engines.
 *
 *   x86-blocks                                 the test: both self-tests, a fixed seed, each engine
 *   x86-blocks SEED COUNT [A B]                compares COUNT blocks
 *   x86-blocks case SEED NUMBER [A B]          one block, as a mismatch prints it
 *
 * A and B are names of engines; without them the reference runs beside itself, which must agree
 * too: in two machines that have had other blocks before, nothing may be left over from those.
 */
#include "blocks.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/dbt/dbt.h"
#include "engine/interp/interp.h"

static const struct engine_type *const engines[] = {&interp_engine, &dbt_engine, &lockstep_engine,
                                                    &stale_engine, &wrong_engine};

struct pair {
    struct machine *a, *b;
    const char *name_a, *name_b;
    uint64_t halted, shut_down, endless, undecided;
    uint64_t flows, flow_length; /* programs of flow.c, their instructions */
};

/* "dbt", "dbt,bmi2=off": as -accel has it */
static struct machine *machine_with(const char *engine)
{
    size_t length = strcspn(engine, ",");
    for (unsigned i = 0; i < ARRAY_LEN(engines); i++)
        if (strlen(engines[i]->name) == length && strncmp(engines[i]->name, engine, length) == 0)
            return machine_new(engines[i], engine[length] ? engine + length + 1 : NULL);
    fprintf(stderr, "x86-blocks: no engine is called %s\n", engine);
    exit(2);
}

static struct pair pair_new(const char *a, const char *b)
{
    return (struct pair){.a = machine_with(a), .b = machine_with(b), .name_a = a, .name_b = b};
}

static void pair_free(struct pair *pair)
{
    machine_free(pair->a);
    machine_free(pair->b);
}

/* Comparing */

struct judge {
    FILE *report; /* or NULL */
    bool same;
};

static void compare(struct judge *j, const char *what, unsigned number, const void *a,
                    const void *b, size_t size)
{
    if (memcmp(a, b, size) == 0)
        return;
    j->same = false;
    if (!j->report)
        return;
    fprintf(j->report, "  %s%u:", what, number);
    for (unsigned side = 0; side < 2; side++) {
        const uint8_t *bytes = side ? b : a;
        fputs(side ? " / " : " ", j->report);
        for (size_t i = size; i-- > 0;)
            fprintf(j->report, "%02x", bytes[i]);
    }
    fputc('\n', j->report);
}

static void compare_number(struct judge *j, const char *what, uint64_t a, uint64_t b)
{
    if (a == b)
        return;
    j->same = false;
    if (j->report)
        fprintf(j->report, "  %s: %" PRIx64 " / %" PRIx64 "\n", what, a, b);
}

static void compare_unit(struct judge *j, const struct fpu_state *a, const struct fpu_state *b)
{
    compare_number(j, "fcw", a->fcw, b->fcw);
    compare_number(j, "fsw", a->fsw, b->fsw);
    compare_number(j, "ftw", fpu_short_tags(a), fpu_short_tags(b));
    compare_number(j, "fop", a->fop, b->fop);
    compare_number(j, "fip", a->fip, b->fip);
    compare_number(j, "fdp", a->fdp, b->fdp);
    /* Whether PE comes with an unmasked overflow or underflow is the processor's choice. */
    uint32_t pe = a->mxcsr & ~(a->mxcsr >> 7) & (FPU_OE | FPU_UE) ? FPU_PE : 0;
    compare_number(j, "mxcsr", a->mxcsr | pe, b->mxcsr | pe);
    compare_number(j, "xcr0", a->xcr0, b->xcr0);
    for (unsigned i = 0; i < 8; i++)
        compare(j, "physical st", i, a->st[i], b->st[i], 10);
    for (unsigned i = 0; i < 32; i++)
        compare(j, "zmm", i, a->zmm[i], b->zmm[i], 64);
    for (unsigned i = 0; i < 8; i++)
        compare(j, "k", i, &a->opmask[i], &b->opmask[i], 8);
}

static void compare_system(struct judge *j, const struct vcpu *a, const struct vcpu *b)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct segment *x = &a->seg[i], *y = &b->seg[i];
        if (x->selector != y->selector || x->access != y->access || x->limit != y->limit ||
            x->base != y->base) {
            j->same = false;
            if (j->report)
                fprintf(j->report, "  segment %u: %x %x %x %" PRIx64 " / %x %x %x %" PRIx64 "\n", i,
                        x->selector, x->access, x->limit, x->base, y->selector, y->access, y->limit,
                        y->base);
        }
    }
    for (unsigned i = 0; i < 8; i++)
        compare(j, "dr", i, &a->dr[i], &b->dr[i], 8);
    compare_number(j, "cr0", a->cr0, b->cr0);
    compare_number(j, "cr2", a->cr2, b->cr2);
    compare_number(j, "cr3", a->cr3, b->cr3);
    compare_number(j, "cr4", a->cr4, b->cr4);
    compare_number(j, "efer", a->efer, b->efer);
    compare_number(j, "cpl", a->cpl, b->cpl);
    compare_number(j, "gdt", a->gdtr.base ^ a->gdtr.limit, b->gdtr.base ^ b->gdtr.limit);
    compare_number(j, "idt", a->idtr.base ^ a->idtr.limit, b->idtr.base ^ b->idtr.limit);
    compare_number(j, "kernel_gs_base", a->kernel_gs_base, b->kernel_gs_base);
    compare_number(j, "lstar", a->lstar ^ a->star ^ a->sfmask, b->lstar ^ b->star ^ b->sfmask);
    compare_number(j, "tsc_aux", a->tsc_aux, b->tsc_aux);
    compare_number(j, "nmi_blocked", a->nmi_blocked, b->nmi_blocked);
}

static void compare_memory(struct judge *j, const uint8_t *a, const uint8_t *b)
{
    unsigned shown = 0;
    if (memcmp(a, b, RAM_SIZE) == 0)
        return;
    for (unsigned at = 0; at < RAM_SIZE && shown < 16; at += 8)
        if (memcmp(a + at, b + at, 8) != 0) {
            /* Either may have looked up a branch's target, or an operand that then turned out not
             * to be aligned: A and D bits too many, which an operating system takes for spurious.
             */
            uint64_t x = load_le64(a + at), y = load_le64(b + at), spurious = 0;
            if (at >= PAGE_TABLES && at < PAGE_TABLES_END)
                spurious = (x ^ y) & (UINT64_C(0x2000000020) | (y & UINT64_C(0x4000000040)));
            compare_number(j, "memory", x | spurious, y | spurious);
            if (j->report)
                fprintf(j->report, "    at physical %x\n", at);
            shown++;
        }
}

static void describe_end(FILE *out, const struct machine *m, const char *name)
{
    const struct vcpu *cpu = machine_cpu(m);
    uint64_t vector = cpu->rip - 1 - HANDLERS;
    if (vector > 255) {
        fprintf(out, "  %s stopped at %" PRIx64 ", level %u\n", name, cpu->rip, cpu->cpl);
        return;
    }
    fprintf(out, "  %s took exception %" PRIu64 "; its stack:", name, vector);
    uint64_t sp = cpu->gpr[RSP];
    unsigned size = cpu_code64(cpu) ? 8 : 4;
    for (unsigned i = 0; i < 6 && sp + size <= RAM_SIZE; i++, sp += size)
        fprintf(out, " %" PRIx64, load_le(machine_ram(m) + sp, size));
    fputc('\n', out);
}

/* Runs both. A block without an end is not compared. */
static bool agrees(struct pair *pair, const struct program *p, FILE *report)
{
    struct judge j = {.report = report, .same = true};
    uint64_t before = machine_cpu(pair->a)->icount;
    enum outcome a = machine_run(pair->a, p, false), b = machine_run(pair->b, p, false);
    if (a == OUTCOME_ENDLESS && b == OUTCOME_ENDLESS) {
        pair->endless++;
        return true;
    }
    if (a == OUTCOME_ENDLESS) /* a slow one, or the host is busy */
        a = machine_run(pair->a, p, true);
    if (b == OUTCOME_ENDLESS)
        b = machine_run(pair->b, p, true);
    pair->halted += a == OUTCOME_HALTED;
    pair->flows += p->flow;
    pair->flow_length += p->flow ? machine_cpu(pair->a)->icount - before : 0;
    pair->shut_down += a == OUTCOME_TRIPLE_FAULT;
    compare_number(&j, "end (0: halted, 1: shut down, 2: without end)", a, b);
    const struct vcpu *x = machine_cpu(pair->a), *y = machine_cpu(pair->b);
    compare_number(&j, "rip", x->rip, y->rip);
    compare_number(&j, "flags", cpu_rflags(x), cpu_rflags(y));
    for (unsigned i = 0; i < 16; i++)
        compare(&j, "r", i, &x->gpr[i], &y->gpr[i], 8);
    compare_unit(&j, &x->fpu, &y->fpu);
    compare_system(&j, x, y);
    compare_memory(&j, machine_ram(pair->a), machine_ram(pair->b));
    if (report && !j.same && a != OUTCOME_ENDLESS && b != OUTCOME_ENDLESS) {
        describe_end(report, pair->a, pair->name_a);
        describe_end(report, pair->b, pair->name_b);
    }
    return j.same;
}

/* Agrees, or need not. */
static bool fine(struct pair *pair, const struct program *p)
{
    if (agrees(pair, p, NULL))
        return true;
    if (!trace_undecided(pair->a, p))
        return false;
    pair->undecided++;
    return true;
}

/* Makes a disagreeing block small: without the instructions, and with the registers 0, that the
 * difference does not need. */
static void shrink(struct pair *pair, struct program *p)
{
    bool smaller = true;
    while (smaller) {
        smaller = false;
        for (unsigned i = p->count; i-- > 0;) {
            uint8_t length = p->insn[i].length;
            if (!length)
                continue;
            p->insn[i].length = 0;
            if (fine(pair, p))
                p->insn[i].length = length;
            else
                smaller = true;
        }
    }
    for (unsigned r = 0; r < 16; r++) {
        uint64_t value = p->gpr[r];
        p->gpr[r] = 0;
        if (fine(pair, p))
            p->gpr[r] = value;
    }
    uint64_t flags = p->flags;
    p->flags = 2;
    if (fine(pair, p))
        p->flags = flags;
}

static unsigned remaining(const struct program *p)
{
    unsigned n = 0;
    for (unsigned i = 0; i < p->count; i++)
        n += p->insn[i].length != 0;
    return n;
}

static void report(struct pair *pair, struct program *p, uint64_t seed, uint64_t number)
{
    shrink(pair, p);
    printf("# x86-blocks case %" PRIu64 " %" PRIu64 " %s %s\n", seed, number, pair->name_a,
           pair->name_b);
    program_print(p, stdout);
    agrees(pair, p, stdout);
    fflush(stdout);
}

enum { SHOWN = 20 };

/* The block at work: for who looks after a crash, or an abort of lockstep. */
static volatile uint64_t running;

static void on_abort(int number)
{
    (void)number;
    char text[64];
    int length = snprintf(text, sizeof(text), "x86-blocks: it was block %llu\n",
                          (unsigned long long)running);
    if (write(2, text, (size_t)length) < 0)
        _exit(3);
}

static uint64_t compare_many(struct pair *pair, uint64_t seed, uint64_t count)
{
    uint64_t wrong = 0;
    struct program p;
    for (uint64_t number = 0; number < count; number++) {
        program_generate(&p, seed, number);
        running = number;
        if (!fine(pair, &p) && wrong++ < SHOWN)
            report(pair, &p, seed, number);
    }
    printf("# seed %" PRIu64 ", %s and %s: %" PRIu64 " blocks, %" PRIu64
           " of branches with %" PRIu64 " instructions each, %" PRIu64 " shut down, %" PRIu64
           " without end, %" PRIu64 " not decided by the manual; %" PRIu64 " differ\n",
           seed, pair->name_a, pair->name_b, count, pair->flows,
           pair->flow_length / (pair->flows + !pair->flows), pair->shut_down, pair->endless,
           pair->undecided, wrong);
    return wrong;
}

/* A faulty engine must be found, and its block made small. */
static bool finds(const char *faulty, unsigned instructions)
{
    enum { SEED = 1, ENOUGH = 20000 };
    struct pair pair = pair_new("interp", faulty);
    struct program p;
    bool found = false;
    for (uint64_t number = 0; number < ENOUGH && !found; number++) {
        program_generate(&p, SEED, number);
        if (p.flow || agrees(&pair, &p, NULL))
            continue;
        shrink(&pair, &p);
        found = !agrees(&pair, &p, NULL) && remaining(&p) <= instructions;
        if (!found) {
            printf("# not made small: block %" PRIu64 "\n", number);
            program_print(&p, stdout);
        }
    }
    pair_free(&pair);
    return found;
}

static void ok(bool good, unsigned number, const char *what, bool *all)
{
    printf("%s %u - %s\n", good ? "ok" : "not ok", number, what);
    fflush(stdout);
    *all &= good;
}

/* One pair of engines in `make test`. */
static bool agree_on(uint64_t seed, uint64_t count, const char *b)
{
    struct pair pair = pair_new("interp", b);
    bool good = compare_many(&pair, seed, count) == 0 && pair.endless < count / 20 &&
                pair.halted > count / 2 && pair.undecided < count / 200;
    pair_free(&pair);
    return good;
}

static int run_test(uint64_t seed, uint64_t count)
{
    /* lockstep last: it stays on. On hosts with less, a few are enough. */
    static const struct {
        const char *engine;
        unsigned share;
    } others[] = {{"interp", 1},
                  {"dbt", 1},
                  {"dbt,guard-pages=off", 5},
                  {"dbt,bmi2=off", 5},
                  {"dbt,fsgsbase=off", 20},
                  {"lockstep", 1}};
    bool good = true;
    struct error err;
    bool usable = !dbt_engine.usable(&err);
    printf("1..%zu\n", 2 + ARRAY_LEN(others));
    ok(finds("stale", 4), 1, "an engine that misses stores into code is found", &good);
    ok(finds("wrong", 1), 2, "an engine that loses a flag is found", &good);
    for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
        char what[80];
        snprintf(what, sizeof(what), "random blocks by %s", others[i].engine);
        if (i && !usable)
            printf("ok %u - %s # SKIP %s\n", 3 + i, what, err.text);
        else
            ok(agree_on(seed + i, count / others[i].share, others[i].engine), 3 + i, what, &good);
    }
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    signal(SIGABRT, on_abort);
    bool one = argc > 1 && strcmp(argv[1], "case") == 0;
    char **args = argv + one + 1;
    int left = argc - one - 1;
    if (left != 0 && left != 2 && left != 4) {
        fputs("usage: x86-blocks [case] SEED COUNT-OR-NUMBER [ENGINE ENGINE]\n", stderr);
        return 2;
    }
    uint64_t seed = left ? strtoull(args[0], NULL, 0) : 20261125;
    uint64_t number = left ? strtoull(args[1], NULL, 0) : 5000;
    const char *a = left == 4 ? args[2] : "interp", *b = left == 4 ? args[3] : "interp";
    if (!left)
        return run_test(seed, number);
    struct pair pair = pair_new(a, b);
    bool good;
    if (one) {
        struct program p;
        program_generate(&p, seed, number);
        program_print(&p, stdout);
        good = agrees(&pair, &p, stdout) || fine(&pair, &p);
        if (!good)
            report(&pair, &p, seed, number);
        puts(good ? "agrees" : "differs");
    } else {
        good = compare_many(&pair, seed, number) == 0;
    }
    pair_free(&pair);
    return good ? 0 : 1;
}
