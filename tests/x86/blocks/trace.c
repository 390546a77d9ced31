/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two engines may differ where the manual leaves flags undefined. The generator defines them again
 * behind its instructions, but code that changes itself becomes anything. So a disagreeing program
 * is run once more in steps, to see whether it came to depend on an undefined flag, or on the time.
 */
#include "blocks.h"

#include "engine/interp/internal.h"

enum { STEPS = 200000 };

struct trace {
    uint64_t undefined;
    uint64_t next; /* what is undefined once the instruction at work is done */
    unsigned steps;
    bool undecided, ended;
};

/* Does it give another answer each time? Or leave flags of MXCSR open where it faults: how much of
 * a first step is told when a second one traps, and whether that of a store that faults is. */
static bool open_ended(const struct vcpu *cpu, const ZydisDecodedInstruction *insn)
{
    if (program_unpredictable(insn))
        return true;
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_DPPD:
    case ZYDIS_MNEMONIC_DPPS:
    case ZYDIS_MNEMONIC_VDPPD:
    case ZYDIS_MNEMONIC_VDPPS:
        return (~cpu->fpu.mxcsr & MXCSR_RESET) != 0;
    case ZYDIS_MNEMONIC_VCVTPS2PH:
        return true;
    default:
        return false;
    }
}

static void look(struct trace *t, const struct machine *m, const struct vcpu *cpu)
{
    uint8_t bytes[15];
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    t->next = t->undefined;
    gva_t linear = cpu->seg[SEG_CS].base + cpu->rip;
    if (linear >= HANDLERS && linear < HANDLERS + 256)
        t->undecided |= t->undefined != 0; /* it is in the frame */
    if (linear >= PAGE_TABLES && linear < PAGE_TABLES_END)
        t->undecided = true; /* accessed bits run as code */
    unsigned length = 0;
    while (length < sizeof(bytes) && machine_byte(m, linear + length, &bytes[length]))
        length++;
    if (!decode_bytes(interp_vcpu(cpu), cpu->code_mode & CODE_SIZE, bytes, length, &insn, operands))
        return;
    t->undecided |= open_ended(cpu, &insn);
    const ZydisAccessedFlags *flags = insn.cpu_flags;
    if (!flags)
        return;
    t->undecided |= (flags->tested & t->undefined) != 0;
    uint64_t undefined = program_undefined_flags(&insn);
    /* Shifts by 0 and strings of length 0 change none. */
    if (insn.meta.category != ZYDIS_CATEGORY_SHIFT && insn.meta.category != ZYDIS_CATEGORY_ROTATE &&
        insn.meta.category != ZYDIS_CATEGORY_STRINGOP && (flags->undefined || !undefined))
        t->next &= ~(uint64_t)(flags->modified | flags->set_0 | flags->set_1);
    t->next |= undefined;
}

static void step(struct trace *t, struct machine *m, struct vcpu *cpu)
{
    struct interp_vcpu *in = interp_vcpu(cpu);
    enum vcpu_exit why;
    switch (run_between(in, &why)) {
    case RUN_LEAVE:
        t->ended = true;
        return;
    case RUN_AGAIN:
        return;
    default:
        look(t, m, cpu);
        run_careful(cpu); /* raises without changing flags */
        t->undefined = t->next;
    }
}

bool trace_undecided(struct machine *m, const struct program *p)
{
    static struct trace t; /* not in a register, for setjmp */
    struct vcpu *cpu = machine_prepare(m, p);
    t = (struct trace){0};
    if (setjmp(cpu->fault_exit) && !run_deliver_fault(cpu))
        t.ended = true;
    while (t.steps++ < STEPS && !t.undecided && !t.ended)
        step(&t, m, cpu);
    /* Programs of flow.c tell the processor of what they write there; after other writes it may
     * know the old entries or not. */
    bool stale = !p->flow && machine_tables_written(m);
    return t.undecided || t.undefined || stale || !t.ended;
}
