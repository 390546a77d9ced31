/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the parts of the interpreter that do x87, MMX, SSE and AVX share: vector.c (decoding,
 * computation on the host's unit), vector_move.c (moves in C), vector_masked.c (access element by
 * element), x87.c, xstate.c (FXSAVE, XSAVE).
 */
#ifndef ENGINE_INTERP_VECTOR_H
#define ENGINE_INTERP_VECTOR_H

#include "engine/interp/interp.h"

/* Bits of op->extra16 for all of these. */
enum vector_flags {
    VEC_FLAT64 = 1 << 0, /* memory operand in 64-bit code, segment base 0 */
    VEC_CODE64 = 1 << 1,
    VEC_REX_W = 1 << 2,
    VEC_ALIGN16 = 1 << 3, /* #GP if the operand is not aligned so */
    VEC_ALIGN32 = 1 << 4,
    VEC_ALIGN64 = 1 << 5,
    VEC_WHOLE = 1 << 6,     /* EVEX: all of the operand must be writable, whatever the mask */
    VEC_UNALIGNED = 1 << 7, /* no #AC, whatever EFLAGS.AC says */
    VEC_COUNT_SHIFT = 8,    /* 8..14: EVEX: bits of the mask that count, less one */
    VEC_MMX_DEST_SHIFT = 8, /* 8..11: the MMX register written, 8: none */
};

/* What must hold before the instruction may run at all (SDM 2A 2.5 and 3A 2.5): the cheap tests
 * are here, the faults in vector.c. */
enum vector_kind { KIND_SSE, KIND_AVX, KIND_MMX, KIND_AVX512 };

enum { XSTATE_FOR_AVX512 = XSTATE_SSE | XSTATE_AVX | XSTATE_AVX512 };

_Noreturn void vector_unavailable(struct vcpu *cpu, const struct op *op, enum vector_kind kind);

/* MMX and x87: reports a pending unmasked x87 exception (#MF, or FERR#). */
void x87_pending(struct vcpu *cpu, const struct op *op);

static inline void vector_check(struct vcpu *cpu, const struct op *op, enum vector_kind kind)
{
    bool ok;
    switch (kind) {
    case KIND_SSE:
        ok = !(cpu->cr0 & (CR0_EM | CR0_TS)) && cpu->cr4 & CR4_OSFXSR;
        break;
    case KIND_AVX:
        ok = !(cpu->cr0 & CR0_TS) && cpu->cr0 & CR0_PE && !(cpu->rflags & FLAG_VM) &&
             cpu->cr4 & CR4_OSXSAVE &&
             (cpu->fpu.xcr0 & (XSTATE_SSE | XSTATE_AVX)) == (XSTATE_SSE | XSTATE_AVX);
        break;
    case KIND_AVX512:
        ok = !(cpu->cr0 & CR0_TS) && cpu->cr0 & CR0_PE && !(cpu->rflags & FLAG_VM) &&
             cpu->cr4 & CR4_OSXSAVE && (cpu->fpu.xcr0 & XSTATE_FOR_AVX512) == XSTATE_FOR_AVX512;
        break;
    default:
        ok = !(cpu->cr0 & (CR0_EM | CR0_TS)) && !(cpu->fpu.fsw & FPU_ES);
        break;
    }
    if (__builtin_expect(!ok, 0)) {
        if (kind == KIND_MMX && !(cpu->cr0 & (CR0_EM | CR0_TS)))
            x87_pending(cpu, op);
        else
            vector_unavailable(cpu, op, kind);
    }
}

static inline void vector_check_alignment(struct vcpu *cpu, const struct op *op, gva_t addr)
{
    unsigned mask = op->extra16 & VEC_ALIGN16   ? 15
                    : op->extra16 & VEC_ALIGN32 ? 31
                    : op->extra16 & VEC_ALIGN64 ? 63
                                                : 0;
    if (__builtin_expect(addr & mask, 0)) {
        op_sync(cpu, op);
        cpu_raise_gp(cpu, 0);
    }
}

/* Linear address of the memory operand. */
static inline gva_t vector_linear(struct vcpu *cpu, const struct op *op, unsigned size, bool write)
{
    if (op->extra16 & VEC_FLAT64) {
        uint64_t ea = op_offset(cpu, op);
        if (__builtin_expect((ea + (1ull << 47)) >> 48 == 0, 1))
            return ea;
        vector_check_alignment(cpu, op, ea); /* comes before what #SS might be */
    } else if (op->seg == SEG_SS && !cpu_code64(cpu)) {
        uint64_t base = cpu->seg[SEG_SS].base;
        vector_check_alignment(cpu, op, base + op_offset(cpu, op)); /* before its limit, too */
    }
    return op_linear(cpu, op, size, write);
}

/* For the slow way: what misses the fast one may have to be checked for alignment. */
static inline unsigned vector_mmu(const struct vcpu *cpu, const struct op *op)
{
    return cpu->mmu == MMU_USER_ALIGN && op->extra16 & VEC_UNALIGNED ? MMU_USER : cpu->mmu;
}

/* The operand at addr: in the guest's memory where that can be, else copied to buffer. */
static inline void *vector_source(struct vcpu *cpu, const struct op *op, gva_t addr, unsigned size,
                                  void *buffer)
{
    const struct tlb_entry *entry = &cpu->tlb[cpu->mmu][tlb_slot(addr)];
    if (__builtin_expect(tlb_hit(cpu, entry, addr, size, ACCESS_READ), 1))
        return (void *)(uintptr_t)(addr + entry->delta);
    op_sync(cpu, op);
    tlb_read(cpu, addr, buffer, size, vector_mmu(cpu, op));
    return buffer;
}

/* Where to store the operand: guest memory, or NULL: then tlb_write it. */
static inline void *vector_target(struct vcpu *cpu, gva_t addr, unsigned size)
{
    const struct tlb_entry *entry = &cpu->tlb[cpu->mmu][tlb_slot(addr)];
    if (__builtin_expect(tlb_hit(cpu, entry, addr, size, ACCESS_WRITE), 1))
        return (void *)(uintptr_t)(addr + entry->delta);
    return NULL;
}

static inline void vector_store(struct vcpu *cpu, const struct op *op, gva_t addr, const void *from,
                                unsigned size)
{
    void *to = vector_target(cpu, addr, size);
    if (__builtin_expect(to != NULL, 1)) {
        memcpy(to, from, size);
        return;
    }
    op_sync(cpu, op);
    tlb_write(cpu, addr, from, size, vector_mmu(cpu, op));
}

/* An MMX instruction has run: TOP 0, all registers in use. */
static inline void vector_enter_mmx(struct fpu_state *fpu)
{
    fpu->fsw &= (uint16_t)~FPU_TOP;
    fpu->ftw = 0;
}

/* What an instruction has to do with MXCSR: nothing; it obeys it but never traps; or it may raise
 * #XM. */
enum vector_fp { FP_NONE, FP_QUIET, FP_RAISING };

/* vector.c: runs op's stub. */
void vector_run(struct vcpu *cpu, const struct op *op, void *mem, enum vector_fp fp);

/* vector.c: makes the stub. False: not an instruction for one. */
bool vector_compile(const struct decoded *d, struct op *op);

/* vector_evex.c: EVEX, and VEX on mask registers. */
bool decode_vector_evex(const struct decoded *d, struct op *op);

/* #UD */
const struct op *vector_undefined(struct vcpu *cpu, const struct op *op);

/* Each takes the instructions that are its own and returns true. Called by decode_vector, after the
 * checks of the CPU model except for x87 and xstate, which have their own. */
bool decode_x87(const struct decoded *d, struct op *op);
bool decode_xstate(const struct decoded *d, struct op *op);
bool decode_vector_move(const struct decoded *d, struct op *op);
bool decode_vector_masked(const struct decoded *d, struct op *op);

/* Number of an operand's register. */
static inline uint8_t vector_register(const ZydisDecodedOperand *operand)
{
    return (uint8_t)ZydisRegisterGetId(operand->reg.value) & 31;
}

#endif
