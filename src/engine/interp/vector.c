/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MMX, SSE and AVX by the host's own unit (x86/hostunit.h): decides which instructions the CPU
 * model has, fetches and stores the memory operand, keeps MXCSR and its exceptions.
 * References: Intel SDM volume 1 chapters 9 to 14, volume 2A 2.4-2.7 (exception classes).
 *
 * An op that runs a stub: data is the stub (NULL: the cache was full; imm, reg, rm, reg3 and
 * next[1] then say what to compile), size the bytes of the memory operand.
 */
#include "engine/interp/vector.h"

#include <immintrin.h>

#include "cpu/model.h"
#include "x86/hostunit.h"

/* Availability */

_Noreturn void vector_unavailable(struct vcpu *cpu, const struct op *op, enum vector_kind kind)
{
    op_sync(cpu, op);
    bool undefined;
    switch (kind) {
    case KIND_SSE:
        undefined = cpu->cr0 & CR0_EM || !(cpu->cr4 & CR4_OSFXSR);
        break;
    case KIND_AVX:
        undefined = !(cpu->cr0 & CR0_TS) || !(cpu->cr0 & CR0_PE) || cpu->rflags & FLAG_VM ||
                    !(cpu->cr4 & CR4_OSXSAVE) || (cpu->fpu.xcr0 & 6) != 6;
        break;
    case KIND_AVX512:
        undefined = !(cpu->cr0 & CR0_TS) || !(cpu->cr0 & CR0_PE) || cpu->rflags & FLAG_VM ||
                    !(cpu->cr4 & CR4_OSXSAVE) ||
                    (cpu->fpu.xcr0 & XSTATE_FOR_AVX512) != XSTATE_FOR_AVX512;
        break;
    default:
        undefined = cpu->cr0 & CR0_EM;
        break;
    }
    cpu_raise(cpu, undefined ? VEC_UD : VEC_NM, 0);
}

const struct op *vector_undefined(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_raise_ud(cpu);
}

static const struct op *do_nothing(struct vcpu *cpu, const struct op *op)
{
    (void)cpu;
    return op + 1;
}

/* Running a stub */

static hostunit_fn scratch_stub(const struct op *op)
{
    struct hostunit_insn normal = {.length = op->reg3, .gpr_reg = op->reg, .gpr_rm = op->rm};
    memcpy(normal.bytes, &op->imm, sizeof(normal.bytes));
    return hostunit_scratch((struct hostunit *)((uintptr_t)op->data - 1), &normal);
}

static inline hostunit_fn stub_of(const struct op *op)
{
    /* The stub, or where none was to be had the hostunit, made odd. */
    if (__builtin_expect((uintptr_t)op->data & 1, 0))
        return scratch_stub(op);
    return (hostunit_fn)(uintptr_t)op->data;
}

enum { MXCSR_UM = 1 << 11, MXCSR_FTZ = 1 << 15 };

/* Runs it with all exceptions masked; the flags that came up. */
static uint32_t run_masked(struct vcpu *cpu, hostunit_fn stub, void *mem, uint32_t control)
{
    _mm_setcsr((control & ~(uint32_t)FPU_EXCEPTIONS) | MXCSR_RESET);
    stub(mem, &cpu->fpu, cpu->gpr, &cpu->cc);
    return _mm_getcsr() & FPU_EXCEPTIONS;
}

/* With an exception unmasked: all is put back when it comes. */
static __attribute__((noinline)) void run_unmasked(struct vcpu *cpu, const struct op *op, void *mem)
{
    struct fpu_state fpu = cpu->fpu;
    uint64_t gpr[16];
    memcpy(gpr, cpu->gpr, sizeof(gpr));
    uint32_t cc = cpu->cc, host = _mm_getcsr();
    hostunit_fn stub = stub_of(op);
    uint32_t tiny = 0;
    if (!(fpu.mxcsr & MXCSR_UM)) {
        /* Unmasked underflow comes of exact tiny results too: flushing to zero tells of them. */
        tiny = run_masked(cpu, stub, mem, fpu.mxcsr | MXCSR_FTZ) & FPU_UE;
        cpu->fpu = fpu;
        memcpy(cpu->gpr, gpr, sizeof(gpr));
    }
    uint32_t raised = run_masked(cpu, stub, mem, fpu.mxcsr) | tiny;
    _mm_setcsr(host);
    uint32_t unmasked = raised & ~(fpu.mxcsr >> 7);
    if (!unmasked) {
        cpu->fpu.mxcsr |= raised;
        return;
    }
    /* Exceptions of the operands come before those of the result, and hide them. */
    if (unmasked & (FPU_IE | FPU_DE | FPU_ZE))
        raised &= FPU_IE | FPU_DE | FPU_ZE;
    else if (unmasked & (FPU_OE | FPU_UE))
        raised &= ~(uint32_t)FPU_PE; /* no result was made, so none that is inexact */
    cpu->fpu = fpu;
    memcpy(cpu->gpr, gpr, sizeof(gpr));
    cpu->cc = cc;
    cpu->fpu.mxcsr |= raised;
    op_sync(cpu, op);
    cpu_raise(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? VEC_XM : VEC_UD, 0);
}

/* Writing MXCSR is dear. Where the guest rounds as the host does, which is nearly always, it is
 * enough that no flag is up in the host's that is not up in the guest's. */
static inline void run_raising(struct vcpu *cpu, const struct op *op, void *mem)
{
    uint32_t guest = cpu->fpu.mxcsr, host = _mm_getcsr();
    if (__builtin_expect((guest & MXCSR_RESET) != MXCSR_RESET, 0)) {
        run_unmasked(cpu, op, mem);
        return;
    }
    hostunit_fn stub = stub_of(op);
    bool same = ((guest ^ host) & ~(uint32_t)FPU_EXCEPTIONS) == 0;
    if (!same || host & ~guest)
        _mm_setcsr(guest & ~(uint32_t)FPU_EXCEPTIONS);
    stub(mem, &cpu->fpu, cpu->gpr, &cpu->cc);
    uint32_t raised = _mm_getcsr() & FPU_EXCEPTIONS;
    if (!same)
        _mm_setcsr(host);
    cpu->fpu.mxcsr = guest | raised;
}

static inline void run_plain(struct vcpu *cpu, const struct op *op, void *mem)
{
    stub_of(op)(mem, &cpu->fpu, cpu->gpr, &cpu->cc);
}

static void run_quiet(struct vcpu *cpu, const struct op *op, void *mem)
{
    uint32_t host = _mm_getcsr();
    cpu->fpu.mxcsr |= run_masked(cpu, stub_of(op), mem, cpu->fpu.mxcsr);
    _mm_setcsr(host);
}

void vector_run(struct vcpu *cpu, const struct op *op, void *mem, enum vector_fp fp)
{
    if (fp == FP_RAISING)
        run_raising(cpu, op, mem);
    else if (fp == FP_QUIET)
        run_quiet(cpu, op, mem);
    else
        run_plain(cpu, op, mem);
}

static inline void finish_mmx(struct vcpu *cpu, const struct op *op)
{
    unsigned dest = op->extra16 >> VEC_MMX_DEST_SHIFT;
    vector_enter_mmx(&cpu->fpu);
    if (dest < 8)
        store_le16(&cpu->fpu.st[dest][8], 0xffff);
}

enum memory_use { MEMORY_NONE, MEMORY_LOAD, MEMORY_STORE };

static inline __attribute__((always_inline)) const struct op *run(struct vcpu *cpu,
                                                                  const struct op *op,
                                                                  enum vector_kind kind,
                                                                  enum memory_use use, bool raising)
{
    uint8_t buffer[64] __attribute__((aligned(64)));
    gva_t addr = 0;
    void *mem = NULL;
    vector_check(cpu, op, kind);
    if (use != MEMORY_NONE) {
        addr = vector_linear(cpu, op, op->size, use == MEMORY_STORE);
        vector_check_alignment(cpu, op, addr);
        mem = buffer;
    }
    if (use == MEMORY_LOAD)
        mem = vector_source(cpu, op, addr, op->size, buffer);
    if (raising)
        run_raising(cpu, op, mem);
    else
        run_plain(cpu, op, mem);
    if (use == MEMORY_STORE)
        vector_store(cpu, op, addr, buffer, op->size);
    if (kind == KIND_MMX)
        finish_mmx(cpu, op);
    return op + 1;
}

#define RUN_HANDLER(name, kind, use, raising)                           \
    static const struct op *name(struct vcpu *cpu, const struct op *op) \
    {                                                                   \
        return run(cpu, op, kind, use, raising);                        \
    }
RUN_HANDLER(sse_plain, KIND_SSE, MEMORY_NONE, false)
RUN_HANDLER(sse_plain_load, KIND_SSE, MEMORY_LOAD, false)
RUN_HANDLER(sse_plain_store, KIND_SSE, MEMORY_STORE, false)
RUN_HANDLER(sse_raising, KIND_SSE, MEMORY_NONE, true)
RUN_HANDLER(sse_raising_load, KIND_SSE, MEMORY_LOAD, true)
RUN_HANDLER(sse_raising_store, KIND_SSE, MEMORY_STORE, true)
RUN_HANDLER(avx_plain, KIND_AVX, MEMORY_NONE, false)
RUN_HANDLER(avx_plain_load, KIND_AVX, MEMORY_LOAD, false)
RUN_HANDLER(avx_plain_store, KIND_AVX, MEMORY_STORE, false)
RUN_HANDLER(avx_raising, KIND_AVX, MEMORY_NONE, true)
RUN_HANDLER(avx_raising_load, KIND_AVX, MEMORY_LOAD, true)
RUN_HANDLER(avx_raising_store, KIND_AVX, MEMORY_STORE, true)
RUN_HANDLER(mmx_plain, KIND_MMX, MEMORY_NONE, false)
RUN_HANDLER(mmx_plain_load, KIND_MMX, MEMORY_LOAD, false)
RUN_HANDLER(mmx_plain_store, KIND_MMX, MEMORY_STORE, false)
RUN_HANDLER(mmx_raising, KIND_MMX, MEMORY_NONE, true)
RUN_HANDLER(mmx_raising_load, KIND_MMX, MEMORY_LOAD, true)

static const op_fn handlers[3][3][2] = {
    [KIND_SSE] = {{sse_plain, sse_raising},
                  {sse_plain_load, sse_raising_load},
                  {sse_plain_store, sse_raising_store}},
    [KIND_AVX] = {{avx_plain, avx_raising},
                  {avx_plain_load, avx_raising_load},
                  {avx_plain_store, avx_raising_store}},
    [KIND_MMX] = {{mmx_plain, mmx_raising},
                  {mmx_plain_load, mmx_raising_load},
                  {mmx_plain_store, mmx_plain_store}},
};

/* Instructions in C */

static const struct op *do_emms(struct vcpu *cpu, const struct op *op)
{
    vector_check(cpu, op, KIND_MMX);
    cpu->fpu.ftw = 0xffff;
    cpu->fpu.fsw &= (uint16_t)~FPU_TOP;
    return op + 1;
}

/* VZEROUPPER, VZEROALL: `reg` bytes of each register stay. Eight registers outside 64-bit code. */
static const struct op *do_vzero(struct vcpu *cpu, const struct op *op)
{
    vector_check(cpu, op, KIND_AVX);
    unsigned count = op->extra16 & VEC_CODE64 ? 16 : 8;
    for (unsigned i = 0; i < count; i++)
        memset(cpu->fpu.zmm[i] + op->reg, 0, 64 - op->reg);
    return op + 1;
}

static const struct op *do_mfence(struct vcpu *cpu, const struct op *op)
{
    (void)cpu;
    _mm_mfence();
    return op + 1;
}

static const struct op *do_movnti(struct vcpu *cpu, const struct op *op)
{
    gva_t addr = vector_linear(cpu, op, op->size, true);
    vector_store(cpu, op, addr, &cpu->gpr[op->reg], op->size);
    return op + 1;
}

/* Decoding */

/* Can it raise floating-point exceptions? */
static bool is_raising(const ZydisDecodedInstruction *insn)
{
    switch (insn->meta.exception_class) {
    case ZYDIS_EXCEPTION_CLASS_SSE2:
    case ZYDIS_EXCEPTION_CLASS_SSE3:
    case ZYDIS_EXCEPTION_CLASS_AVX2:
    case ZYDIS_EXCEPTION_CLASS_AVX3:
    case ZYDIS_EXCEPTION_CLASS_AVX11:
        return true;
    default:
        break;
    }
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_CVTPI2PS:
    case ZYDIS_MNEMONIC_CVTPI2PD:
    case ZYDIS_MNEMONIC_CVTPS2PI:
    case ZYDIS_MNEMONIC_CVTTPS2PI:
    case ZYDIS_MNEMONIC_CVTPD2PI:
    case ZYDIS_MNEMONIC_CVTTPD2PI:
        return true;
    default:
        return false;
    }
}

/* Legacy instructions with a 16-byte operand want it aligned, but for those made not to. */
static uint16_t alignment(const ZydisDecodedInstruction *insn, unsigned size)
{
    if (insn->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
        if (insn->meta.exception_class == ZYDIS_EXCEPTION_CLASS_AVX11)
            return VEC_UNALIGNED; /* SDM 2A 2.4.9 */
        if (insn->meta.exception_class != ZYDIS_EXCEPTION_CLASS_AVX1)
            return 0;
        return size == 32 ? VEC_ALIGN32 : size == 16 ? VEC_ALIGN16 : 0;
    }
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU:
    case ZYDIS_MNEMONIC_PCMPESTRI:
    case ZYDIS_MNEMONIC_PCMPESTRM:
    case ZYDIS_MNEMONIC_PCMPISTRI:
    case ZYDIS_MNEMONIC_PCMPISTRM:
        return 0;
    default:
        return size == 16 ? VEC_ALIGN16 : 0;
    }
}

static void set_common_flags(const struct decoded *d, struct op *op)
{
    op->extra16 = 0;
    if (d->code64) {
        op->extra16 |= VEC_CODE64;
        if (op->seg != SEG_FS && op->seg != SEG_GS)
            op->extra16 |= VEC_FLAT64;
        if (d->insn->attributes & ZYDIS_ATTRIB_HAS_REX && d->insn->raw.rex.W)
            op->extra16 |= VEC_REX_W;
    }
}

/* What is not a computation. */
static bool decode_special(const struct decoded *d, struct op *op)
{
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_EMMS:
        op->fn = do_emms;
        return true;
    case ZYDIS_MNEMONIC_VZEROUPPER:
        op->reg = 16;
        op->fn = do_vzero;
        return true;
    case ZYDIS_MNEMONIC_VZEROALL:
        op->reg = 0;
        op->fn = do_vzero;
        return true;
    case ZYDIS_MNEMONIC_MFENCE:
        op->fn = do_mfence;
        return true;
    case ZYDIS_MNEMONIC_LFENCE:
    case ZYDIS_MNEMONIC_SFENCE:
        op->fn = do_nothing;
        return true;
    case ZYDIS_MNEMONIC_MOVNTI:
        op->reg = vector_register(&d->operands[1]);
        op->size = (uint8_t)(d->operands[1].size / 8);
        op->fn = do_movnti;
        return true;
    default:
        break;
    }
    if (d->insn->meta.isa_set == ZYDIS_ISA_SET_SSE_PREFETCH ||
        d->insn->meta.isa_set == ZYDIS_ISA_SET_PREFETCH_NOP) {
        op->fn = do_nothing;
        return true;
    }
    return false;
}

/* MMX registers: the one written, or 8; *any: is there one at all. */
static unsigned mmx_registers(const struct decoded *d, bool *any)
{
    unsigned dest = 8;
    *any = false;
    for (unsigned i = 0; i < d->insn->operand_count; i++) {
        const ZydisDecodedOperand *operand = &d->operands[i];
        if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER ||
            ZydisRegisterGetClass(operand->reg.value) != ZYDIS_REGCLASS_MMX)
            continue;
        *any = true;
        if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
            dest = vector_register(operand);
    }
    return dest;
}

bool vector_compile(const struct decoded *d, struct op *op)
{
    struct hostunit_insn normal;
    if (!hostunit_normalise(d->insn, d->operands, d->bytes, d->code64, &normal))
        return false;
    memcpy(&op->imm, normal.bytes, sizeof(normal.bytes));
    op->reg = normal.gpr_reg;
    op->rm = normal.gpr_rm;
    op->reg3 = normal.length;
    hostunit_fn stub = hostunit_get(d->unit, &normal);
    op->data = (const void *)(stub ? (uintptr_t)stub : (uintptr_t)d->unit + 1);
    return stub || hostunit_scratch(d->unit, &normal);
}

static bool decode_stub(const struct decoded *d, struct op *op)
{
    if (d->insn->mnemonic == ZYDIS_MNEMONIC_CRC32 || !vector_compile(d, op))
        return false; /* CRC32 is integer work */
    enum memory_use use = MEMORY_NONE;
    for (unsigned i = 0; i < d->insn->operand_count_visible; i++)
        if (d->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            use = d->operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE ? MEMORY_STORE
                                                                           : MEMORY_LOAD;
            op->size = (uint8_t)(d->operands[i].size / 8);
            op->extra16 |= alignment(d->insn, op->size);
        }
    bool mmx;
    op->extra16 |= (uint16_t)(mmx_registers(d, &mmx) << VEC_MMX_DEST_SHIFT);
    enum vector_kind kind = mmx                                                   ? KIND_MMX
                            : d->insn->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX ? KIND_AVX
                                                                                  : KIND_SSE;
    op->fn = handlers[kind][use][is_raising(d->insn)];
    return true;
}

bool decode_vector(const struct decoded *d, struct op *op, bool *ends)
{
    set_common_flags(d, op);
    if (decode_x87(d, op) || decode_xstate(d, op))
        return true;
    (void)ends;
    if (!decode_is_vector(d))
        return false;
    if (decode_vector_evex(d, op))
        return true;
    if (decode_special(d, op) || decode_vector_masked(d, op) || decode_vector_move(d, op))
        return true;
    return decode_stub(d, op);
}
