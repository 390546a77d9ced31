/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Segments, far transfers, tasks and the delivery of exceptions, against SDM 2A and 3A: what is
 * pushed where, which fault comes with which error code, and that a fault leaves things alone.
 */
#include "cpu_bench.h"

/* Selectors of the bench's GDT. */
enum {
    CODE0 = 0x08,
    DATA0 = 0x10,
    CODE3 = 0x1b,
    DATA3 = 0x23,
    TSS = 0x28,
    CONFORMING = 0x30,
    LDT = 0x38,
    GATE = 0x40,
    TSS2 = 0x48,
    TASK_GATE = 0x50,
    CODE64 = 0x58,
    DOWN = 0x60,
    ABSENT = 0x68,
    READONLY = 0x70,
    EXECONLY = 0x78,
    CODE64_3 = 0x83,
    TSS64 = 0x90,
    CODE16 = 0xa0,
    DATA16 = 0xa8,
    BEYOND = 0x100,
};
enum { FLAT = SEG_G | SEG_DB, STACK0 = 0x8000, IST1 = 0x9008 };

static void build_tables(struct bench *b)
{
    bench_descriptor(b, CODE0, 0, 0xfffff, FLAT | 0x9a);
    bench_descriptor(b, DATA0, 0, 0xfffff, FLAT | 0x92);
    bench_descriptor(b, CODE3, 0, 0xfffff, FLAT | 0xfa);
    bench_descriptor(b, DATA3, 0, 0xfffff, FLAT | 0xf2);
    bench_descriptor(b, TSS, BENCH_TSS, 0xff, 0x89);
    bench_descriptor(b, CONFORMING, 0, 0xfffff, FLAT | 0x9e);
    bench_descriptor(b, LDT, 0x5000, 0xf, 0x82);
    bench_gate(b, BENCH_GDT + GATE, CODE0, 0x1234, 0xec, 2, false);
    bench_descriptor(b, TSS2, BENCH_TSS2, 0x67, 0x89);
    bench_gate(b, BENCH_GDT + TASK_GATE, TSS2, 0, 0xe5, 0, false);
    bench_descriptor(b, CODE64, 0, 0, SEG_L | 0x9a);
    bench_descriptor(b, DOWN, 0x10000, 0xfff, SEG_DB | 0x96);
    bench_descriptor(b, ABSENT, 0, 0xfffff, FLAT | 0x12);
    bench_descriptor(b, READONLY, 0, 0xfffff, FLAT | 0x90);
    bench_descriptor(b, EXECONLY, 0, 0xfffff, FLAT | 0x98);
    bench_descriptor(b, CODE64_3, 0, 0, SEG_L | 0xfa);
    bench_descriptor(b, TSS64, BENCH_TSS, 0xff, 0x89);
    bench_descriptor(b, CODE16, 0, 0xffff, 0x9a);
    bench_descriptor(b, DATA16, 0, 0xffff, 0x92);
    b->cpu->gdtr = (struct table_register){BENCH_GDT, 0xff};
    b->cpu->idtr = (struct table_register){BENCH_IDT, 0x7ff};
    /* SS0:ESP0 of the 32-bit TSS; no I/O bitmap. */
    bench_poke(b, BENCH_TSS + 4, STACK0, 4);
    bench_poke(b, BENCH_TSS + 8, DATA0, 2);
    bench_poke(b, BENCH_TSS + 0x66, 0x68, 2);
}

static struct bench *protected_bench(const char *model)
{
    struct bench *b = bench_new(model);
    struct vcpu *cpu = b->cpu;
    build_tables(b);
    ASSERT_FINE(cpu, {
        cpu_write_cr(cpu, 0, CR0_PE);
        cpu_far_jump(cpu, CODE0, 0x100, 4, 0);
        cpu_load_segment(cpu, SEG_SS, DATA0);
        cpu_load_segment(cpu, SEG_DS, DATA0);
        cpu_load_segment(cpu, SEG_ES, DATA0);
        cpu_ltr(cpu, TSS);
    });
    cpu->gpr[RSP] = 0x7000;
    return b;
}

/* To level 3 by IRET, with its stack at 0x6000. */
static void to_user(struct bench *b, uint64_t flags)
{
    struct vcpu *cpu = b->cpu;
    ASSERT_FINE(cpu, {
        cpu_push(cpu, DATA3, 4);
        cpu_push(cpu, 0x6000, 4);
        cpu_push(cpu, flags, 4);
        cpu_push(cpu, CODE3, 4);
        cpu_push(cpu, 0x400, 4);
        cpu_iret(cpu, 4, 0);
    });
    assert_int_equal(cpu->cpl, 3);
    assert_int_equal(cpu->gpr[RSP], 0x6000);
}

/* Page tables that map the first GiB to itself, for user and kernel, and long mode on. */
static struct bench *long_bench(const char *model)
{
    struct bench *b = protected_bench(model);
    struct vcpu *cpu = b->cpu;
    bench_poke(b, 0x10000, 0x11007, 8);
    bench_poke(b, 0x11000, 0x12007, 8);
    bench_poke(b, 0x12000, 0x87, 8);
    bench_poke(b, 0x12008, 0x200087, 8);
    bench_poke(b, BENCH_TSS + 4, STACK0, 8);
    bench_poke(b, BENCH_TSS + 0x24, IST1, 8);
    ASSERT_FINE(cpu, {
        cpu_write_cr(cpu, 4, CR4_PAE);
        cpu_write_cr(cpu, 3, 0x10000);
        assert_true(cpu_write_msr(cpu, 0xc0000080, EFER_LME | EFER_SCE));
        cpu_write_cr(cpu, 0, CR0_PE | CR0_PG);
        assert_true(cpu_long_mode(cpu));
        assert_false(cpu_code64(cpu));
        cpu_far_jump(cpu, CODE64, 0x200, 4, 0);
        cpu_ltr(cpu, TSS64);
    });
    assert_true(cpu_code64(cpu));
    return b;
}

static void user_long(struct bench *b)
{
    struct vcpu *cpu = b->cpu;
    ASSERT_FINE(cpu, {
        cpu_push(cpu, DATA3, 8);
        cpu_push(cpu, 0x6000, 8);
        cpu_push(cpu, FLAG_IF | 2, 8);
        cpu_push(cpu, CODE64_3, 8);
        cpu_push(cpu, 0x400, 8);
        cpu_iret(cpu, 8, 0);
    });
    assert_int_equal(cpu->cpl, 3);
}

static void data_segments(void **state)
{
    struct bench *b = protected_bench("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    ASSERT_FINE(cpu, cpu_load_segment(cpu, SEG_DS, DATA0));
    assert_int_equal(cpu->seg[SEG_DS].limit, 0xffffffff);
    /* Accessed is set in memory. */
    assert_int_equal(bench_peek(b, BENCH_GDT + DATA0 + 5, 1), 0x93);
    ASSERT_FAULT(cpu, VEC_NP, ABSENT, cpu_load_segment(cpu, SEG_DS, ABSENT));
    ASSERT_FAULT(cpu, VEC_GP, EXECONLY, cpu_load_segment(cpu, SEG_DS, EXECONLY));
    ASSERT_FAULT(cpu, VEC_GP, TSS, cpu_load_segment(cpu, SEG_ES, TSS));
    ASSERT_FAULT(cpu, VEC_GP, BEYOND, cpu_load_segment(cpu, SEG_ES, BEYOND));
    ASSERT_FAULT(cpu, VEC_GP, 0xc, cpu_load_segment(cpu, SEG_ES, 0xc)); /* no LDT */
    assert_int_equal(cpu->seg[SEG_DS].selector, DATA0);
    ASSERT_FINE(cpu, cpu_load_segment(cpu, SEG_FS, 3)); /* null */
    assert_true(cpu->seg[SEG_FS].access & SEG_UNUSABLE);

    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_load_segment(cpu, SEG_SS, 0));
    ASSERT_FAULT(cpu, VEC_GP, DATA3 & ~3, cpu_load_segment(cpu, SEG_SS, DATA3));
    ASSERT_FAULT(cpu, VEC_GP, READONLY, cpu_load_segment(cpu, SEG_SS, READONLY));
    bench_descriptor(b, ABSENT, 0, 0xfffff, FLAT | 0x12);
    ASSERT_FAULT(cpu, VEC_SS, ABSENT, cpu_load_segment(cpu, SEG_SS, ABSENT));

    ASSERT_FINE(cpu, cpu_lldt(cpu, LDT));
    bench_poke(b, 0x5008, bench_peek(b, BENCH_GDT + DATA0, 8), 8);
    ASSERT_FINE(cpu, cpu_load_segment(cpu, SEG_GS, 0xc));
    ASSERT_FAULT(cpu, VEC_GP, 0x14, cpu_load_segment(cpu, SEG_GS, 0x14));

    to_user(b, 2);
    ASSERT_FAULT(cpu, VEC_GP, DATA0, cpu_load_segment(cpu, SEG_DS, DATA0));
    ASSERT_FINE(cpu, cpu_load_segment(cpu, SEG_DS, CONFORMING));
    ASSERT_FINE(cpu, cpu_load_segment(cpu, SEG_DS, DATA3));
    bench_free(b);
}

static void linear_addresses(void **state)
{
    struct bench *b = protected_bench("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    ASSERT_FINE(cpu, cpu_load_segment(cpu, SEG_DS, DOWN));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_linear(cpu, SEG_DS, 0xfff, 1, false));
    ASSERT_FINE(cpu, assert_int_equal(cpu_linear(cpu, SEG_DS, 0x1000, 1, true), 0x11000));
    ASSERT_FINE(cpu, cpu_load_segment(cpu, SEG_DS, READONLY));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_linear(cpu, SEG_DS, 0, 4, true));
    ASSERT_FINE(cpu, cpu_linear(cpu, SEG_DS, 0, 4, false));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_linear(cpu, SEG_DS, 0xffffffff, 2, false));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_linear(cpu, SEG_CS, 0, 1, true));
    ASSERT_FINE(cpu, cpu_load_segment(cpu, SEG_DS, 0));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_linear(cpu, SEG_DS, 0, 1, false));
    ASSERT_FINE(cpu, cpu_load_segment(cpu, SEG_SS, DATA16));
    ASSERT_FAULT(cpu, VEC_SS, 0, cpu_linear(cpu, SEG_SS, 0xffff, 2, false));
    ASSERT_FINE(cpu, {
        cpu->gpr[RSP] = 0xabcd0000;
        cpu_push(cpu, 0x1234, 2);
    });
    assert_int_equal(cpu->gpr[RSP], 0xabcdfffe); /* a 16-bit stack wraps in SP alone */
    bench_free(b);

    b = long_bench("max");
    cpu = b->cpu;
    cpu->seg[SEG_FS].base = 0x1000;
    ASSERT_FINE(cpu, assert_int_equal(cpu_linear(cpu, SEG_FS, 4, 1, true), 0x1004));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_linear(cpu, SEG_DS, 0x800000000000, 1, false));
    ASSERT_FAULT(cpu, VEC_SS, 0, cpu_linear(cpu, SEG_SS, 0x7fffffffffff, 2, false));
    bench_free(b);
}

static void real_mode(void **state)
{
    struct bench *b = bench_new("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    cpu->idtr = (struct table_register){0, 0x3ff};
    bench_poke(b, 0x21 * 4, 0x12345678, 4);
    ASSERT_FINE(cpu, {
        cpu_far_jump(cpu, 0x100, 0x20, 2, 0);
        cpu_load_segment(cpu, SEG_SS, 0x200);
    });
    cpu->gpr[RSP] = 0x100;
    cpu_set_rflags(cpu, FLAG_IF | FLAG_TF | FLAG_CF);
    ASSERT_FINE(cpu, cpu_software_interrupt(cpu, 0x21, EVENT_SOFTWARE, 0x22));
    assert_int_equal(cpu->seg[SEG_CS].base, 0x12340);
    assert_int_equal(cpu->rip, 0x5678);
    assert_int_equal(cpu->gpr[RSP], 0xfa);
    assert_int_equal(bench_peek(b, 0x20fa, 2), 0x22);
    assert_int_equal(bench_peek(b, 0x20fc, 2), 0x100);
    assert_int_equal(bench_peek(b, 0x20fe, 2), FLAG_IF | FLAG_TF | FLAG_CF | 2);
    assert_int_equal(cpu_rflags(cpu), FLAG_CF | 2);
    cpu->nmi_blocked = true;
    ASSERT_FINE(cpu, cpu_iret(cpu, 2, 0));
    assert_int_equal(cpu->seg[SEG_CS].selector, 0x100);
    assert_int_equal(cpu->rip, 0x22);
    assert_int_equal(cpu_rflags(cpu), FLAG_IF | FLAG_TF | FLAG_CF | 2);
    assert_false(cpu->nmi_blocked);

    /* Beyond the table: #GP (13, outside too), #DF, shutdown. */
    cpu->idtr.limit = 3;
    assert_false(cpu_deliver(cpu, EVENT_EXTERNAL, 0x30, 0));
    cpu->idtr.limit = 0x3ff;
    bench_poke(b, VEC_UD * 4, 0x00001000, 4);
    assert_true(cpu_deliver(cpu, EVENT_EXCEPTION, VEC_UD, 0));
    assert_int_equal(cpu->rip, 0x1000);
    bench_free(b);
}

static void protected_frames(void **state)
{
    struct bench *b = protected_bench("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    bench_gate(b, BENCH_IDT + VEC_PF * 8, CODE0, 0x5000, 0x8e, 0, false);
    bench_gate(b, BENCH_IDT + 0x80 * 8, CODE0, 0x6000, 0xef, 0, false);
    bench_gate(b, BENCH_IDT + 0x81 * 8, CODE0, 0x6000, 0x8f, 0, false);
    bench_gate(b, BENCH_IDT + 0x82 * 8, CODE0, 0x6000, 0x6f, 0, false);
    bench_gate(b, BENCH_IDT + 0x83 * 8, CODE0, 0x6000, 0xe6, 0, false);

    /* The same level: flags (with RF), CS, EIP, error. */
    cpu_set_rflags(cpu, FLAG_IF | FLAG_NT);
    cpu->rip = 0x123;
    assert_true(cpu_deliver(cpu, EVENT_EXCEPTION, VEC_PF, 6));
    assert_int_equal(cpu->gpr[RSP], 0x7000 - 16);
    assert_int_equal(bench_peek(b, 0x6ff0, 4), 6);
    assert_int_equal(bench_peek(b, 0x6ff4, 4), 0x123);
    assert_int_equal(bench_peek(b, 0x6ff8, 4), CODE0);
    assert_int_equal(bench_peek(b, 0x6ffc, 4), FLAG_IF | FLAG_NT | FLAG_RF | 2);
    assert_int_equal(cpu_rflags(cpu), 2);
    assert_int_equal(cpu->rip, 0x5000);

    /* From level 3 through a trap gate: the stack of the TSS. */
    cpu->gpr[RSP] = 0x7000;
    to_user(b, FLAG_IF | 2);
    ASSERT_FAULT(cpu, VEC_GP, 0x81 * 8 + 2,
                 cpu_software_interrupt(cpu, 0x81, EVENT_SOFTWARE, 0x402));
    ASSERT_FAULT(cpu, VEC_NP, 0x82 * 8 + 2,
                 cpu_software_interrupt(cpu, 0x82, EVENT_SOFTWARE, 0x402));
    ASSERT_FINE(cpu, cpu_software_interrupt(cpu, 0x80, EVENT_SOFTWARE, 0x402));
    assert_int_equal(cpu->cpl, 0);
    assert_int_equal(cpu->seg[SEG_SS].selector, DATA0);
    assert_int_equal(cpu->gpr[RSP], STACK0 - 20);
    assert_int_equal(bench_peek(b, STACK0 - 20, 4), 0x402);
    assert_int_equal(bench_peek(b, STACK0 - 16, 4), CODE3);
    assert_int_equal(bench_peek(b, STACK0 - 12, 4), FLAG_IF | 2);
    assert_int_equal(bench_peek(b, STACK0 - 8, 4), 0x6000);
    assert_int_equal(bench_peek(b, STACK0 - 4, 4), DATA3);
    assert_true(cpu->rflags & FLAG_IF); /* a trap gate leaves it */
    ASSERT_FINE(cpu, cpu_iret(cpu, 4, 0));
    assert_int_equal(cpu->cpl, 3);
    /* DS was level 0's: null now. */
    assert_int_equal(cpu->seg[SEG_DS].selector, 0);

    /* A 16-bit gate pushes words. */
    ASSERT_FINE(cpu, cpu_software_interrupt(cpu, 0x83, EVENT_SOFTWARE, 0x402));
    assert_int_equal(cpu->gpr[RSP], STACK0 - 10);
    bench_free(b);
}

static void double_faults(void **state)
{
    struct bench *b = protected_bench("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    /* Nothing for #GP, so #NP while #GP is delivered: double fault, error 0. */
    bench_gate(b, BENCH_IDT + VEC_GP * 8, CODE0, 0x5000, 0x0e, 0, false);
    bench_gate(b, BENCH_IDT + VEC_DF * 8, CODE0, 0x8000, 0x8e, 0, false);
    cpu->rip = 0x77;
    assert_true(cpu_deliver(cpu, EVENT_EXCEPTION, VEC_GP, 0x18));
    assert_int_equal(cpu->rip, 0x8000);
    assert_int_equal(bench_peek(b, cpu->gpr[RSP], 4), 0);
    assert_int_equal(bench_peek(b, cpu->gpr[RSP] + 4, 4), 0x77);

    /* A benign one first: the second is taken as it is, with EXT. */
    bench_gate(b, BENCH_IDT + VEC_NP * 8, CODE0, 0x9000, 0x8e, 0, false);
    bench_gate(b, BENCH_IDT + 0x40 * 8, CODE0, 0x5000, 0x0e, 0, false);
    assert_true(cpu_deliver(cpu, EVENT_EXTERNAL, 0x40, 0));
    assert_int_equal(cpu->rip, 0x9000);
    assert_int_equal(bench_peek(b, cpu->gpr[RSP], 4), 0x40 * 8 + 3);

    /* And without a double fault handler: shutdown. */
    bench_gate(b, BENCH_IDT + VEC_DF * 8, CODE0, 0x8000, 0x0e, 0, false);
    assert_false(cpu_deliver(cpu, EVENT_EXCEPTION, VEC_GP, 0));

    /* NMI blocks NMIs; #DB clears GD. */
    bench_gate(b, BENCH_IDT + 2 * 8, CODE0, 0xa000, 0x8e, 0, false);
    bench_gate(b, BENCH_IDT + 1 * 8, CODE0, 0xa000, 0x8e, 0, false);
    assert_true(cpu_deliver(cpu, EVENT_NMI, 2, 0));
    assert_true(cpu->nmi_blocked);
    cpu->dr[7] |= 1 << 13;
    assert_true(cpu_deliver(cpu, EVENT_EXCEPTION, VEC_DB, 0));
    assert_int_equal(cpu->dr[7], 0x400);
    bench_free(b);
}

static void enter_v86(struct bench *b, uint64_t flags)
{
    struct vcpu *cpu = b->cpu;
    cpu->gpr[RSP] = 0x7000;
    ASSERT_FINE(cpu, {
        cpu_push(cpu, 0x444, 4); /* GS FS DS ES SS */
        cpu_push(cpu, 0x333, 4);
        cpu_push(cpu, 0x222, 4);
        cpu_push(cpu, 0x111, 4);
        cpu_push(cpu, 0x800, 4);
        cpu_push(cpu, 0x200, 4);
        cpu_push(cpu, flags | FLAG_VM, 4);
        cpu_push(cpu, 0x900, 4);
        cpu_push(cpu, 0x50, 4);
        cpu_iret(cpu, 4, 0);
    });
    assert_true(cpu_v86(cpu));
}

static void virtual_8086(void **state)
{
    struct bench *b = protected_bench("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    bench_gate(b, BENCH_IDT + VEC_GP * 8, CODE0, 0x5000, 0x8e, 0, false);
    enter_v86(b, FLAG_IF | 2);
    assert_int_equal(cpu->cpl, 3);
    assert_int_equal(cpu->seg[SEG_CS].base, 0x9000);
    assert_int_equal(cpu->seg[SEG_DS].base, 0x2220);
    assert_int_equal(cpu->seg[SEG_SS].limit, 0xffff);

    /* IOPL 0: INT n is #GP(0), which finds its way out with the nine words. */
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_software_interrupt(cpu, 0x21, EVENT_SOFTWARE, 0x52));
    assert_true(cpu_deliver(cpu, EVENT_EXCEPTION, VEC_GP, 0));
    assert_int_equal(cpu->cpl, 0);
    assert_false(cpu_v86(cpu));
    assert_int_equal(cpu->gpr[RSP], STACK0 - 40);
    assert_int_equal(bench_peek(b, STACK0 - 40, 4), 0);
    assert_int_equal(bench_peek(b, STACK0 - 36, 4), 0x50);
    assert_int_equal(bench_peek(b, STACK0 - 32, 4), 0x900);
    assert_int_equal(bench_peek(b, STACK0 - 28, 4), FLAG_VM | FLAG_IF | FLAG_RF | 2);
    assert_int_equal(bench_peek(b, STACK0 - 24, 4), 0x200);
    assert_int_equal(bench_peek(b, STACK0 - 20, 4), 0x800);
    assert_int_equal(bench_peek(b, STACK0 - 16, 4), 0x111);
    assert_int_equal(bench_peek(b, STACK0 - 4, 4), 0x444);
    assert_true(cpu->seg[SEG_DS].access & SEG_UNUSABLE);

    /* VME: redirected to the program's own vector, VIF for IF. */
    bench_poke(b, BENCH_TSS + 0x66, 0x88, 2);
    bench_poke(b, 0x21 * 4, 0x0a000010, 4);
    enter_v86(b, FLAG_IF | FLAG_VIF | 2);
    cpu->cr4 |= CR4_VME;
    ASSERT_FINE(cpu, cpu_software_interrupt(cpu, 0x21, EVENT_SOFTWARE, 0x52));
    assert_true(cpu_v86(cpu));
    assert_int_equal(cpu->seg[SEG_CS].base, 0xa000);
    assert_int_equal(cpu->rip, 0x10);
    assert_int_equal(bench_peek(b, 0x81fe, 2), FLAG_IF | FLAG_IOPL | 2);
    assert_false(cpu->rflags & FLAG_VIF);
    assert_true(cpu->rflags & FLAG_IF);
    ASSERT_FINE(cpu, cpu_iret(cpu, 2, 0));
    assert_true(cpu->rflags & FLAG_VIF);
    assert_int_equal(cpu->rip, 0x52);
    bench_free(b);
}

static void long_mode_frames(void **state)
{
    struct bench *b = long_bench("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    bench_gate(b, BENCH_IDT + VEC_PF * 16, CODE64, 0x5000, 0x8e, 0, true);
    bench_gate(b, BENCH_IDT + 0x40 * 16, CODE64, 0x6000, 0x8e, 1, true);
    bench_gate(b, BENCH_IDT + 0x41 * 16, CODE0, 0x6000, 0x8e, 0, true);
    bench_gate(b, BENCH_IDT + VEC_GP * 16, CODE64, 0x7000, 0x8e, 0, true);

    /* The same level: RSP is aligned, SS:RSP always pushed. */
    cpu->gpr[RSP] = 0x7009;
    cpu->rip = 0x321;
    assert_true(cpu_deliver(cpu, EVENT_EXCEPTION, VEC_PF, 2));
    assert_int_equal(cpu->gpr[RSP], 0x7000 - 48);
    assert_int_equal(bench_peek(b, 0x6fd0, 8), 2);
    assert_int_equal(bench_peek(b, 0x6fd8, 8), 0x321);
    assert_int_equal(bench_peek(b, 0x6fe0, 8), CODE64);
    assert_int_equal(bench_peek(b, 0x6ff0, 8), 0x7009);
    assert_int_equal(bench_peek(b, 0x6ff8, 8), DATA0);
    ASSERT_FINE(cpu, {
        (void)cpu_pop(cpu, 8);
        cpu_iret(cpu, 8, 0);
    });
    assert_int_equal(cpu->gpr[RSP], 0x7009);
    assert_int_equal(cpu->rip, 0x321);

    cpu->gpr[RSP] = 0x7000;
    user_long(b);
    assert_true(cpu_deliver(cpu, EVENT_EXTERNAL, 0x40, 0)); /* IST 1 */
    assert_int_equal(cpu->gpr[RSP], (IST1 & ~15) - 40);
    assert_int_equal(cpu->seg[SEG_SS].selector, 0);
    assert_int_equal(cpu->cpl, 0);
    assert_int_equal(bench_peek(b, 0x9000 - 8, 8), DATA3);
    assert_int_equal(bench_peek(b, 0x9000 - 24, 8), FLAG_IF | 2);
    assert_false(cpu->rflags & FLAG_IF);
    ASSERT_FINE(cpu, cpu_iret(cpu, 8, 0));
    assert_int_equal(cpu->cpl, 3);
    assert_int_equal(cpu->gpr[RSP], 0x6000);

    /* A gate to 32-bit code is #GP of that selector, from outside: EXT. */
    assert_true(cpu_deliver(cpu, EVENT_EXTERNAL, 0x41, 0));
    assert_int_equal(cpu->rip, 0x7000);
    assert_int_equal(cpu->gpr[RSP], STACK0 - 48);
    assert_int_equal(bench_peek(b, STACK0 - 48, 8), CODE0 | 1);

    /* IRET to a rip that is not canonical; NT. */
    uint64_t rsp = cpu->gpr[RSP];
    ASSERT_FINE(cpu, {
        cpu_push(cpu, DATA0, 8);
        cpu_push(cpu, 0x6000, 8);
        cpu_push(cpu, 2, 8);
        cpu_push(cpu, CODE64, 8);
        cpu_push(cpu, 0x8000000000000000, 8);
    });
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_iret(cpu, 8, 0));
    assert_int_equal(cpu->gpr[RSP], rsp - 40);
    cpu_set_rflags(cpu, FLAG_NT);
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_iret(cpu, 8, 0));
    bench_free(b);
}

static void page_faults_in_delivery(void **state)
{
    struct bench *b = long_bench("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    bench_gate(b, BENCH_IDT + VEC_PF * 16, CODE64, 0x5000, 0x8e, 1, true);
    bench_gate(b, BENCH_IDT + VEC_UD * 16, CODE64, 0x6000, 0x8e, 0, true);
    bench_gate(b, BENCH_IDT + VEC_DF * 16, CODE64, 0x7000, 0x8e, 1, true);
    /* #UD on a stack that is not there: #PF is taken in its place, on its IST. */
    cpu->gpr[RSP] = 0x40000000;
    cpu->rip = 0x99;
    assert_true(cpu_deliver(cpu, EVENT_EXCEPTION, VEC_UD, 0));
    assert_int_equal(cpu->rip, 0x5000);
    assert_int_equal(cpu->cr2, 0x3ffffff8);
    assert_int_equal(bench_peek(b, cpu->gpr[RSP], 8), 2); /* a write, not present */
    assert_int_equal(bench_peek(b, cpu->gpr[RSP] + 32, 8), 0x40000000);
    /* #PF on such a stack: double fault. */
    bench_gate(b, BENCH_IDT + VEC_PF * 16, CODE64, 0x5000, 0x8e, 0, true);
    cpu->gpr[RSP] = 0x40000000;
    assert_true(cpu_deliver(cpu, EVENT_EXCEPTION, VEC_PF, 0));
    assert_int_equal(cpu->rip, 0x7000);
    bench_free(b);
}

static void far_transfers(void **state)
{
    struct bench *b = protected_bench("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_far_jump(cpu, 0, 0, 4, 0));
    ASSERT_FAULT(cpu, VEC_GP, DATA0, cpu_far_jump(cpu, DATA0, 0, 4, 0));
    ASSERT_FAULT(cpu, VEC_GP, CODE3 & ~3, cpu_far_jump(cpu, CODE3, 0, 4, 0));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_far_jump(cpu, CODE16, 0x10000, 4, 0));
    ASSERT_FINE(cpu, cpu_far_jump(cpu, CONFORMING, 0x55, 4, 0));
    ASSERT_FINE(cpu, cpu_far_call(cpu, CODE0, 0x66, 4, 0x5a));
    assert_int_equal(cpu->gpr[RSP], 0x7000 - 8);
    assert_int_equal(bench_peek(b, 0x6ff8, 4), 0x5a);
    assert_int_equal(bench_peek(b, 0x6ffc, 4), CONFORMING);
    ASSERT_FINE(cpu, cpu_far_return(cpu, 4, 0));
    assert_int_equal(cpu->rip, 0x5a);
    assert_int_equal(cpu->gpr[RSP], 0x7000);

    /* Through the call gate, with two parameters, and back. */
    to_user(b, 2);
    ASSERT_FINE(cpu, cpu_load_segment(cpu, SEG_DS, DATA3));
    ASSERT_FINE(cpu, {
        cpu_push(cpu, 0xaaaa, 4);
        cpu_push(cpu, 0xbbbb, 4);
        cpu_far_call(cpu, GATE | 3, 0, 4, 0x407);
    });
    assert_int_equal(cpu->cpl, 0);
    assert_int_equal(cpu->rip, 0x1234);
    assert_int_equal(cpu->seg[SEG_CS].selector, CODE0);
    assert_int_equal(cpu->gpr[RSP], STACK0 - 24);
    assert_int_equal(bench_peek(b, STACK0 - 24, 4), 0x407);
    assert_int_equal(bench_peek(b, STACK0 - 20, 4), CODE3);
    assert_int_equal(bench_peek(b, STACK0 - 16, 4), 0xbbbb);
    assert_int_equal(bench_peek(b, STACK0 - 12, 4), 0xaaaa);
    assert_int_equal(bench_peek(b, STACK0 - 8, 4), 0x6000 - 8);
    ASSERT_FINE(cpu, cpu_far_return(cpu, 4, 8));
    assert_int_equal(cpu->cpl, 3);
    assert_int_equal(cpu->gpr[RSP], 0x6000);
    assert_int_equal(cpu->rip, 0x407);
    assert_int_equal(cpu->seg[SEG_DS].selector, DATA3);
    /* A gate of level 0, from level 3. */
    bench_gate(b, BENCH_GDT + GATE, CODE0, 0x1234, 0x8c, 0, false);
    ASSERT_FAULT(cpu, VEC_GP, GATE, cpu_far_call(cpu, GATE, 0, 4, 0x407));
    /* Back to an inner level there is no way. */
    ASSERT_FINE(cpu, {
        cpu_push(cpu, CODE0, 4);
        cpu_push(cpu, 0, 4);
    });
    ASSERT_FAULT(cpu, VEC_GP, CODE0, cpu_far_return(cpu, 4, 0));
    bench_free(b);
}

static void tasks(void **state)
{
    struct bench *b = protected_bench("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    bench_poke(b, BENCH_TSS2 + 0x20, 0x777, 4);
    bench_poke(b, BENCH_TSS2 + 0x24, FLAG_IF | 2, 4);
    bench_poke(b, BENCH_TSS2 + 0x28, 0xcafe, 4);
    bench_poke(b, BENCH_TSS2 + 0x38, 0x6800, 4);
    bench_poke(b, BENCH_TSS2 + 0x48, DATA0, 2);
    bench_poke(b, BENCH_TSS2 + 0x4c, CODE0, 2);
    bench_poke(b, BENCH_TSS2 + 0x50, DATA0, 2);
    bench_poke(b, BENCH_TSS2 + 0x54, DATA0, 2);
    cpu->gpr[RAX] = 0xbeef;
    cpu_set_rflags(cpu, FLAG_CF);
    ASSERT_FINE(cpu, cpu_far_call(cpu, TASK_GATE, 0, 4, 0x188));
    assert_int_equal(cpu->rip, 0x777);
    assert_int_equal(cpu->gpr[RAX], 0xcafe);
    assert_int_equal(cpu->gpr[RSP], 0x6800);
    assert_int_equal(cpu->seg[SEG_TR].selector, TSS2);
    assert_int_equal(bench_peek(b, BENCH_TSS2, 2), TSS); /* back link */
    assert_true(cpu->rflags & FLAG_NT);
    assert_true(cpu->cr0 & CR0_TS);
    assert_int_equal(bench_peek(b, BENCH_GDT + TSS2 + 5, 1), 0x8b);
    assert_int_equal(bench_peek(b, BENCH_GDT + TSS + 5, 1), 0x8b);
    assert_int_equal(bench_peek(b, BENCH_TSS + 0x20, 4), 0x188);
    assert_int_equal(bench_peek(b, BENCH_TSS + 0x28, 4), 0xbeef);
    /* A busy task is no target. */
    ASSERT_FAULT(cpu, VEC_GP, TSS, cpu_far_jump(cpu, TSS, 0, 4, 0));

    ASSERT_FINE(cpu, cpu_iret(cpu, 4, 0x780));
    assert_int_equal(cpu->rip, 0x188);
    assert_int_equal(cpu->gpr[RAX], 0xbeef);
    assert_true(cpu_rflags(cpu) & FLAG_CF);
    assert_int_equal(bench_peek(b, BENCH_GDT + TSS2 + 5, 1), 0x89);
    assert_int_equal(bench_peek(b, BENCH_TSS2 + 0x20, 4), 0x780);
    assert_false(bench_peek(b, BENCH_TSS2 + 0x24, 4) & FLAG_NT);

    /* As a fault handler: the error code is pushed on the new stack. */
    bench_gate(b, BENCH_IDT + VEC_DF * 8, TSS2, 0, 0x85, 0, false);
    cpu->rip = 0x190;
    assert_true(cpu_deliver(cpu, EVENT_EXCEPTION, VEC_DF, 0));
    assert_int_equal(cpu->seg[SEG_TR].selector, TSS2);
    assert_int_equal(bench_peek(b, BENCH_TSS + 0x20, 4), 0x190);
    assert_int_equal(cpu->gpr[RSP], 0x6800 - 4);

    /* A bad SS in the new task is #TS in the new task. */
    ASSERT_FINE(cpu, cpu_iret(cpu, 4, 0x777));
    bench_poke(b, BENCH_TSS2 + 0x50, READONLY, 2);
    ASSERT_FAULT(cpu, VEC_TS, READONLY, cpu_far_jump(cpu, TSS2, 0, 4, 0x188));
    assert_int_equal(cpu->seg[SEG_TR].selector, TSS2);
    assert_int_equal(cpu->rip, 0x777);
    assert_int_equal(bench_peek(b, BENCH_GDT + TSS + 5, 1), 0x89);
    bench_free(b);
}

static void port_permission(void **state)
{
    struct bench *b = protected_bench("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    ASSERT_FINE(cpu, cpu_check_io(cpu, 0x80, 4));
    bench_poke(b, BENCH_TSS + 0x68 + 0x10, 0xfffe, 2); /* port 0x80 is free */
    to_user(b, 2);
    ASSERT_FINE(cpu, cpu_check_io(cpu, 0x80, 1));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_check_io(cpu, 0x80, 2));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_check_io(cpu, 0x1000, 1)); /* beyond the TSS */
    cpu_set_rflags(cpu, FLAG_IOPL);
    ASSERT_FINE(cpu, cpu_check_io(cpu, 0x1000, 4));
    bench_free(b);
}

static void fast_calls(void **state)
{
    struct bench *b = long_bench("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    assert_true(cpu_write_msr(cpu, 0xc0000081, 0x0023000800000000));
    assert_true(cpu_write_msr(cpu, 0xc0000082, 0xffff800000001000));
    assert_true(cpu_write_msr(cpu, 0xc0000084, FLAG_IF | FLAG_DF));
    assert_false(cpu_write_msr(cpu, 0xc0000082, 0x0000800000000000));
    user_long(b);
    cpu_set_rflags(cpu, FLAG_IF | FLAG_DF | FLAG_CF);
    ASSERT_FINE(cpu, cpu_syscall(cpu, 0x402));
    assert_int_equal(cpu->rip, 0xffff800000001000);
    assert_int_equal(cpu->gpr[RCX], 0x402);
    assert_int_equal(cpu->gpr[R11], FLAG_IF | FLAG_DF | FLAG_CF | 2);
    assert_int_equal(cpu_rflags(cpu), FLAG_CF | 2);
    assert_int_equal(cpu->seg[SEG_CS].selector, 8);
    assert_int_equal(cpu->seg[SEG_SS].selector, 0x10);
    assert_int_equal(cpu->cpl, 0);
    ASSERT_FINE(cpu, cpu_sysret(cpu, 8));
    assert_int_equal(cpu->seg[SEG_CS].selector, 0x33);
    assert_int_equal(cpu->seg[SEG_SS].selector, 0x2b);
    assert_int_equal(cpu->rip, 0x402);
    assert_true(cpu_code64(cpu));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_sysret(cpu, 8));
    ASSERT_FAULT(cpu, VEC_UD, 0, cpu_sysenter(cpu)); /* AMD: not in long mode */
    bench_free(b);

    b = protected_bench("qemu32");
    cpu = b->cpu;
    assert_true(cpu_write_msr(cpu, 0x175, 0x7777));
    assert_true(cpu_write_msr(cpu, 0x176, 0x1111));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_sysenter(cpu));
    assert_true(cpu_write_msr(cpu, 0x174, CODE0));
    to_user(b, FLAG_IF | 2);
    ASSERT_FINE(cpu, cpu_sysenter(cpu));
    assert_int_equal(cpu->rip, 0x1111);
    assert_int_equal(cpu->gpr[RSP], 0x7777);
    assert_false(cpu->rflags & FLAG_IF);
    cpu->gpr[RDX] = 0x2222;
    cpu->gpr[RCX] = 0x3333;
    ASSERT_FINE(cpu, cpu_sysexit(cpu, 4));
    assert_int_equal(cpu->seg[SEG_CS].selector, CODE3);
    assert_int_equal(cpu->seg[SEG_SS].selector, DATA3);
    assert_int_equal(cpu->gpr[RSP], 0x3333);
    bench_free(b);
}

static void questions(void **state)
{
    struct bench *b = protected_bench("max");
    struct vcpu *cpu = b->cpu;
    uint32_t value = 0;
    (void)state;
    assert_true(cpu_lar(cpu, DATA3, &value));
    assert_int_equal(value, 0xcff200); /* not accessed yet */
    assert_true(cpu_lsl(cpu, TSS2, &value));
    assert_int_equal(value, 0x67);
    assert_true(cpu_lar(cpu, GATE, &value));
    assert_false(cpu_lsl(cpu, GATE, &value));
    assert_false(cpu_lar(cpu, BEYOND, &value));
    assert_false(cpu_lar(cpu, 0, &value));
    assert_true(cpu_verify(cpu, READONLY, false));
    assert_false(cpu_verify(cpu, READONLY, true));
    assert_false(cpu_verify(cpu, EXECONLY, false));
    ASSERT_FAULT(cpu, VEC_GP, TSS, cpu_ltr(cpu, TSS)); /* busy */
    ASSERT_FAULT(cpu, VEC_GP, DATA0, cpu_lldt(cpu, DATA0));
    to_user(b, 2);
    assert_false(cpu_lar(cpu, DATA0, &value));
    assert_true(cpu_lar(cpu, CONFORMING, &value));
    assert_false(cpu_verify(cpu, DATA0, true));
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_segments),    cmocka_unit_test(linear_addresses),
        cmocka_unit_test(real_mode),        cmocka_unit_test(protected_frames),
        cmocka_unit_test(double_faults),    cmocka_unit_test(virtual_8086),
        cmocka_unit_test(long_mode_frames), cmocka_unit_test(page_faults_in_delivery),
        cmocka_unit_test(far_transfers),    cmocka_unit_test(tasks),
        cmocka_unit_test(port_permission),  cmocka_unit_test(fast_calls),
        cmocka_unit_test(questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
