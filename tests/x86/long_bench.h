/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A processor on a bench that stands in 64-bit mode under an engine: the first 2 MiB mapped one to
 * one for both levels, an IDT whose every vector ends in a HLT of its own, segments for levels 0
 * and 3. Runs a few bytes and says how they ended. Or in 32-bit protected mode without paging, for
 * processors that have no other.
 */
#ifndef TESTS_X86_LONG_BENCH_H
#define TESTS_X86_LONG_BENCH_H

#include "unit/cpu_bench.h"

#include "engine/interp/interp.h"

enum {
    LONG_CODE = 0x10000,
    LONG_DATA = 0x20000,
    LONG_STACK = 0x30000,
    LONG_HANDLERS = 0x40000, /* a HLT for each vector */
    LONG_RETURN = 0x41000,   /* a HLT that far transfers may go to */
    LONG_FLAT_IDT = 0x42000, /* of 32-bit gates */
    LONG_TABLES = 0x100000,
    LONG_CS = 0x08,
    LONG_DS = 0x10,
    LONG_USER_CS = 0x1b,
    LONG_USER_DS = 0x23,
    LONG_TR = 0x28,
    LONG_FLAT_CS = 0x38,
    LONG_FINE = -1, /* ran to the end */
};

struct long_bench {
    struct bench *b;
    struct engine *engine;
    const struct engine_type *type;
    struct pio *pio;
};

static inline void long_segment(struct vcpu *cpu, int seg, unsigned selector, uint32_t access)
{
    cpu->seg[seg] =
        (struct segment){.selector = (uint16_t)selector, .access = access, .limit = ~0u};
}

/* To level 0 or 3 at LONG_CODE, with registers of no meaning and flags clear. */
static inline void long_enter(struct long_bench *l, unsigned cpl)
{
    struct vcpu *cpu = l->b->cpu;
    uint32_t dpl = cpl << 5;
    cpu->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_MP;
    cpu->cr3 = LONG_TABLES;
    cpu->efer = EFER_LMA | EFER_LME | EFER_NXE | EFER_SCE;
    long_segment(cpu, SEG_CS, cpl ? LONG_USER_CS : LONG_CS, 0xa09b | dpl);
    for (int i = 0; i <= SEG_GS; i++)
        if (i != SEG_CS)
            long_segment(cpu, i, cpl ? LONG_USER_DS : LONG_DS, 0xc093 | dpl);
    cpu->seg[SEG_TR] = (struct segment){
        .selector = LONG_TR, .access = SEG_P | 0xb, .limit = 0x67, .base = BENCH_TSS};
    cpu->seg[SEG_LDTR] = (struct segment){.access = SEG_UNUSABLE};
    cpu->gdtr = (struct table_register){.base = BENCH_GDT, .limit = 0xfff};
    cpu->idtr = (struct table_register){.base = BENCH_IDT, .limit = 0xfff};
    cpu->cpl = (uint8_t)cpl;
    cpu->rip = LONG_CODE;
    cpu->halted = false;
    cpu->fault_vector = -1;
    cpu->fpu.xcr0 = 7;
    cpu->fpu.mxcsr = MXCSR_RESET;
    fpu_init(&cpu->fpu);
    for (unsigned i = 0; i < 16; i++)
        cpu->gpr[i] = 0;
    cpu->gpr[RSP] = LONG_STACK;
    cpu->gpr[RBX] = LONG_DATA;
    cpu_set_rflags(cpu, 2);
    cpu_update_mode(cpu);
    tlb_flush(cpu);
}

/* To level 0 of 32-bit protected mode. */
static inline void flat_enter(struct long_bench *l)
{
    struct vcpu *cpu = l->b->cpu;
    long_enter(l, 0);
    cpu->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_MP;
    cpu->cr4 = 0;
    cpu->efer = 0;
    long_segment(cpu, SEG_CS, LONG_FLAT_CS, 0xc09b);
    cpu->idtr.base = LONG_FLAT_IDT;
    cpu_update_mode(cpu);
    tlb_flush(cpu);
}

static inline void long_tables(struct long_bench *l)
{
    struct bench *b = l->b;
    bench_poke(b, LONG_TABLES, (LONG_TABLES + 0x1000) | 7, 8);
    bench_poke(b, LONG_TABLES + 0x1000, (LONG_TABLES + 0x2000) | 7, 8);
    bench_poke(b, LONG_TABLES + 0x2000, 0xe7, 8);
    bench_poke(b, BENCH_GDT, 0, 8);
    bench_poke(b, BENCH_GDT + LONG_CS, 0x00af9b000000ffff, 8);
    bench_poke(b, BENCH_GDT + LONG_DS, 0x00cf93000000ffff, 8);
    bench_poke(b, BENCH_GDT + (LONG_USER_CS & ~7), 0x00affb000000ffff, 8);
    bench_poke(b, BENCH_GDT + (LONG_USER_DS & ~7), 0x00cff3000000ffff, 8);
    bench_poke(b, BENCH_GDT + LONG_FLAT_CS, 0x00cf9b000000ffff, 8);
    bench_descriptor(b, LONG_TR, BENCH_TSS, 0x67, SEG_P | 0xb);
    bench_poke(b, BENCH_GDT + LONG_TR + 8, 0, 8);
    bench_poke(b, BENCH_TSS + 4, 0x50000, 8); /* RSP0 */
    bench_poke(b, BENCH_TSS + 0x66, 0x68, 2); /* no I/O permission map */
    for (unsigned v = 0; v < 256; v++) {
        bench_gate(b, BENCH_IDT + v * 16, LONG_CS, LONG_HANDLERS + v, v == 0x80 ? 0xee : 0x8e, 0,
                   true);
        bench_gate(b, LONG_FLAT_IDT + v * 8, LONG_FLAT_CS, LONG_HANDLERS + v, 0x8e, 0, false);
        bench_poke(b, LONG_HANDLERS + v, 0xf4, 1);
    }
    bench_poke(b, LONG_RETURN, 0xf4, 1);
}

static inline void long_new(struct long_bench *l, const char *model, const struct engine_type *type)
{
    struct error err;
    l->b = bench_new(model);
    l->type = type;
    assert_int_equal(pio_create(&l->b->world.pio, &err), 0);
    assert_int_equal(type->create(&l->engine, l->b->world.mem, &err), 0);
    assert_int_equal(type->vcpu_attach(l->engine, l->b->cpu, &err), 0);
    long_tables(l);
    l->b->cpu->cr4 = CR4_PAE;
}

static inline void long_free(struct long_bench *l)
{
    l->type->vcpu_detach(l->engine, l->b->cpu);
    l->type->destroy(l->engine);
    pio_destroy(l->b->world.pio);
    bench_free(l->b);
}

/* Runs the bytes from where long_enter has put the processor: the vector of the fault, or
 * LONG_FINE. At level 3 the end is told by INT 80h. */
static inline int long_run(struct long_bench *l, const uint8_t *bytes, unsigned length)
{
    struct vcpu *cpu = l->b->cpu;
    uint8_t code[64];
    assert_true(length + 2 <= sizeof(code));
    memcpy(code, bytes, length);
    memcpy(code + length, "\xcd\x80", 2);
    assert_true(mem_write(l->b->world.mem, LONG_CODE, code, length + 2));
    l->type->sync_in(l->engine, cpu);
    assert_int_equal(l->type->vcpu_run(l->engine, cpu), VCPU_EXIT_HALTED);
    l->type->sync_out(l->engine, cpu);
    if (cpu->rip - 1 == LONG_HANDLERS + 0x80 || cpu->rip - 1 == LONG_RETURN)
        return LONG_FINE;
    if (cpu->rip <= LONG_HANDLERS || cpu->rip > LONG_HANDLERS + 256)
        return LONG_FINE; /* a HLT of the bytes themselves */
    return (int)(cpu->rip - 1 - LONG_HANDLERS);
}

#endif
