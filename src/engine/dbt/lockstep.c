/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -d lockstep: every block is run by the interpreter first, its stores are taken back, then the
 * translation runs and must leave the same registers and memory. What reaches a device or faults is
 * the interpreter's alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/dbt/internal.h"
#include "engine/dbt/listing.h"

static void take(const struct vcpu *cpu, struct machine_state *s)
{
    memcpy(s->gpr, cpu->gpr, sizeof(s->gpr));
    s->cc = cpu->cc & 0xd501; /* LAHF leaves a 1 between */
    s->rip = cpu->rip;
    s->rflags = cpu->rflags;
    s->icount = cpu->icount;
    s->mmu = cpu->mmu;
    s->code_mode = cpu->code_mode;
    s->cpl = cpu->cpl;
    memcpy(s->seg, cpu->seg, sizeof(s->seg));
    s->kernel_gs_base = cpu->kernel_gs_base;
    s->fpu = cpu->fpu;
}

static void put(struct vcpu *cpu, const struct machine_state *s)
{
    memcpy(cpu->gpr, s->gpr, sizeof(s->gpr));
    cpu->cc = s->cc;
    cpu->rip = s->rip;
    cpu->rflags = s->rflags;
    cpu->icount = s->icount;
    cpu->mmu = s->mmu;
    cpu->code_mode = s->code_mode;
    cpu->cpl = s->cpl;
    memcpy(cpu->seg, s->seg, sizeof(s->seg));
    cpu->kernel_gs_base = s->kernel_gs_base;
    cpu->fpu = s->fpu;
}

static void undo(struct store_journal *journal)
{
    while (journal->count) {
        journal->count--;
        memcpy(journal->stores[journal->count].host, journal->stores[journal->count].old,
               journal->stores[journal->count].length);
    }
}

/* Runs `count` instructions of t, or fewer if a branch leads away from it: *ran. False: something
 * else happened than that. */
static bool step(struct vcpu *cpu, const struct translation *t, unsigned count, unsigned *ran)
{
    uint64_t page = cpu->rip & PAGE_MASK;
    cpu->journal->count = 0;
    cpu->journal->io = false;
    for (*ran = 0; *ran < count && cpu->rip == page + t->sites[*ran].guest; ++*ran) {
        run_careful(cpu);
        /* RF: a REP stopped half way, for an interrupt. */
        if (cpu->journal->io || cpu->pending_db || cpu->halted || cpu->rflags & FLAG_RF ||
            (cpu->shadow && (cpu->shadow == 2 || *ran + 1 == count)))
            return false;
    }
    return true;
}

bool lockstep_before(struct dbt_vcpu *d, const struct translation *t)
{
    struct vcpu *cpu = d->cpu;
    struct lockstep *lock = d->lockstep;
    uint32_t exec_gen = cpu->exec_gen;
    lock->active = false;
    take(cpu, &lock->before);
    if (!step(cpu, t, t->copied, &lock->ran) || cpu->exec_gen != exec_gen)
        return false;
    take(cpu, &lock->expected);
    lock->count = cpu->journal->count;
    for (unsigned i = 0; i < lock->count; i++)
        memcpy(lock->stored[i], cpu->journal->stores[i].host, cpu->journal->stores[i].length);
    undo(cpu->journal);
    put(cpu, &lock->before);
    lock->active = true;
    lock->t = t;
    return true;
}

static void print_state(const char *name, const struct machine_state *s)
{
    static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    fprintf(stderr, "%s: rip %016llx cc %08x mxcsr %08x rflags %llx cpl %u mmu %u\n", name,
            (unsigned long long)s->rip, s->cc, s->fpu.mxcsr, (unsigned long long)s->rflags, s->cpl,
            s->mmu);
    for (unsigned i = 0; i < 16; i++)
        fprintf(stderr, "%4s %016llx%s", names[i], (unsigned long long)s->gpr[i],
                i % 4 == 3 ? "\n" : " ");
}

/* The guest instruction at a page offset of t. One that runs over the page's end is a block of its
 * own, whose first op keeps the bytes of the second page. */
static bool guest_insn(const struct dbt_vcpu *d, const struct translation *t, unsigned at,
                       ZydisDecodedInstruction *insn, ZydisDecodedOperand *operands)
{
    uint8_t bytes[32];
    return decode_bytes(d->in, t->variant & CODE_SIZE, bytes, block_code(d, t->block, at, bytes),
                        insn, operands);
}

/* OF is defined behind shifts and rotates by one only; Zydis says so of some. */
static bool rotates(const ZydisDecodedInstruction *insn)
{
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
        return true;
    default:
        return false;
    }
}

/* The flags that the first `executed` instructions leave undefined, as in RFLAGS. */
static uint64_t undefined_flags(const struct dbt_vcpu *d, const struct translation *t,
                                unsigned executed)
{
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    uint64_t undefined = 0;
    for (unsigned i = 0; i < executed && i < t->site_count; i++) {
        unsigned at = t->sites[i].guest;
        if (!guest_insn(d, t, at, &insn, operands) || !insn.cpu_flags)
            continue;
        const ZydisAccessedFlags *flags = insn.cpu_flags;
        if (rotates(&insn)) {
            undefined |= flags->undefined | FLAG_OF;
            continue;
        }
        undefined &= ~(uint64_t)(flags->modified | flags->set_0 | flags->set_1);
        undefined |= flags->undefined;
    }
    return undefined;
}

/* Member by member: there is room between them. */
static bool same_segments(const struct machine_state *a, const struct machine_state *b)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct segment *x = &a->seg[i], *y = &b->seg[i];
        if (x->selector != y->selector || x->access != y->access || x->limit != y->limit ||
            x->base != y->base)
            return false;
    }
    return a->mmu == b->mmu && a->code_mode == b->code_mode && a->cpl == b->cpl;
}

static bool same(const struct machine_state *a, const struct machine_state *b, unsigned width)
{
    if (memcmp(a->gpr, b->gpr, 16 * 8) != 0 || a->cc != b->cc || a->rip != b->rip ||
        a->fpu.mxcsr != b->fpu.mxcsr || a->rflags != b->rflags ||
        a->kernel_gs_base != b->kernel_gs_base || !same_segments(a, b))
        return false;
    unsigned count = width == 64 ? 32 : 16;
    for (unsigned i = 0; i < count; i++)
        if (memcmp(a->fpu.zmm[i], b->fpu.zmm[i], width) != 0)
            return false;
    return width != 64 || memcmp(a->fpu.opmask, b->fpu.opmask, sizeof(a->fpu.opmask)) == 0;
}

static void differ(struct dbt_vcpu *d, const struct machine_state *got, const char *what)
{
    struct lockstep *lock = d->lockstep;
    log_info("lockstep: %s differ after %llu blocks", what, (unsigned long long)lock->blocks);
    print_state("before", &lock->before);
    print_state("interpreter", &lock->expected);
    print_state("translator", got);
    for (unsigned i = 0; i < 16; i++)
        if (memcmp(got->fpu.zmm[i], lock->expected.fpu.zmm[i], 64) != 0)
            fprintf(stderr, "vector register %u\n", i);
    listing_host(stderr, d, lock->t, 0);
    abort();
}

/* Accessed and dirty bits: page walks of either run may set them in an entry that the block wrote.
 */
static bool same_store(const uint8_t *a, const uint8_t *b, unsigned length)
{
    enum { ACCESSED_DIRTY = 0x60 };
    return ((a[0] ^ b[0]) & ~ACCESSED_DIRTY) == 0 && memcmp(a + 1, b + 1, length - 1) == 0;
}

/* cpu holds the translation's state; cpu->rip is set. `executed` of its instructions ran. */
void lockstep_after(struct dbt_vcpu *d, unsigned executed)
{
    struct vcpu *cpu = d->cpu;
    struct lockstep *lock = d->lockstep;
    if (!lock->active)
        return;
    lock->active = false;
    lock->blocks++;
    struct machine_state got;
    take(cpu, &got);
    unsigned count = lock->count;
    uint8_t(*stored)[64] = lock->translated;
    for (unsigned i = 0; i < count; i++)
        memcpy(stored[i], cpu->journal->stores[i].host, cpu->journal->stores[i].length);
    if (executed != lock->ran) {
        /* It stopped early, where the interpreter did not: again up to there. */
        cpu->journal->count = count;
        undo(cpu->journal);
        put(cpu, &lock->before);
        unsigned ran;
        bool stepped = step(cpu, lock->t, executed, &ran);
        if (!stepped && cpu->rflags & FLAG_RF)
            return; /* and goes on from there */
        if (!stepped || ran != executed)
            differ(d, &got, "ways");
        take(cpu, &lock->expected);
        for (unsigned i = 0; i < cpu->journal->count; i++)
            memcpy(lock->stored[i], cpu->journal->stores[i].host, cpu->journal->stores[i].length);
        count = cpu->journal->count;
    }
    if (got.cc != lock->expected.cc) {
        uint32_t mask = ~cpu_flags_to_cc(undefined_flags(d, lock->t, executed));
        if (((got.cc ^ lock->expected.cc) & mask) == 0)
            lock->expected.cc = got.cc;
    }
    if (!same(&got, &lock->expected, d->vector_bytes))
        differ(d, &got, "registers");
    for (unsigned i = 0; i < count; i++)
        if (!same_store(stored[i], lock->stored[i], cpu->journal->stores[i].length))
            differ(d, &got, "stores");
    cpu->icount = lock->expected.icount;
}

bool lockstep_create(struct dbt_vcpu *d)
{
    d->lockstep = calloc(1, sizeof(*d->lockstep));
    d->cpu->journal = calloc(1, sizeof(*d->cpu->journal));
    return d->lockstep && d->cpu->journal;
}

void lockstep_destroy(struct dbt_vcpu *d)
{
    free(d->lockstep);
    free(d->cpu->journal);
    d->cpu->journal = NULL;
}
