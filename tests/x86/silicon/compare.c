/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Judges. What the manual leaves undefined is not compared: the host may be of another kind than
 * the one the interpreter's results were last seen to equal.
 */
#include "case.h"

#include <cpuid.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static bool touches_memory(const struct insn *insn)
{
    for (unsigned i = 0; i < insn->insn.operand_count; i++)
        if (insn->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
            return true;
    return false;
}

static void put_memory(const struct input *input, uint8_t *data)
{
    memset(data, 0, DATA_SIZE);
    for (unsigned i = 0; i < input->patches; i++) {
        unsigned at = input->patch[i].address - DATA, room = DATA_SIZE - at;
        memcpy(data + at, input->patch[i].bytes, room < PATCH_SIZE ? room : PATCH_SIZE);
    }
}

static bool host_is_intel(void)
{
    static int known = -1;
    if (known < 0) {
        unsigned a, b, c, d;
        __cpuid(0, a, b, c, d);
        known = b == signature_INTEL_ebx;
    }
    return known;
}

static bool has_error_code(int vector)
{
    return vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) || vector == VEC_AC;
}

/* Of shifts and rotates: by 1, an immediate or CL, their last operand. */
static unsigned shift_count(const struct input *input, const struct insn *insn)
{
    unsigned mask = insn->insn.operand_width == 64 ? 63 : 31;
    if (!insn->insn.operand_count_visible)
        return 1;
    const ZydisDecodedOperand *last = &insn->operands[insn->insn.operand_count_visible - 1];
    if (last->type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
        return (unsigned)last->imm.value.u & mask;
    return (unsigned)input->gpr[RCX] & mask;
}

/* Flags to compare. */
static uint64_t defined_flags(const struct input *input, const struct insn *insn)
{
    uint64_t defined = FLAGS_ARITH | FLAG_DF | FLAG_IF | FLAG_IOPL | FLAG_NT | FLAG_AC | FLAG_ID;
    if (insn->insn.cpu_flags)
        defined &= ~(uint64_t)insn->insn.cpu_flags->undefined;
    unsigned count = shift_count(input, insn);
    switch (insn->insn.mnemonic) {
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
        if (count >= insn->insn.operand_width)
            defined &= ~(uint64_t)FLAG_CF;
        if (count != 1)
            defined &= ~(uint64_t)FLAG_OF;
        break;
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
        if (count != 1)
            defined &= ~(uint64_t)FLAG_OF;
        break;
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
        if (count != 1)
            defined &= ~(uint64_t)FLAG_OF;
        if (count > insn->insn.operand_width)
            defined &= ~(uint64_t)FLAGS_ARITH;
        break;
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV:
        defined &= ~(uint64_t)FLAGS_ARITH;
        break;
    default:
        break;
    }
    return defined;
}

/* The destination's contents are undefined. */
static bool undefined_result(const struct input *input, const struct insn *insn,
                             const struct outcome *native)
{
    switch (insn->insn.mnemonic) {
    case ZYDIS_MNEMONIC_BSF:
    case ZYDIS_MNEMONIC_BSR:
        return native->flags & FLAG_ZF;
    case ZYDIS_MNEMONIC_BSWAP:
        return insn->insn.operand_width == 16;
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD: {
        const ZydisDecodedOperand *operand = &insn->operands[2];
        uint64_t count =
            operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? operand->imm.value.u : input->gpr[RCX];
        return insn->insn.operand_width == 16 && (count & 31) > 16;
    }
    default:
        return false;
    }
}

/* Bits of a general register that both sides must have alike: not those that differ by what the
 * instruction is. The time, random numbers, the processor's number; of XCR0 what the guest has. */
static uint64_t compared_bits(const struct insn *insn, unsigned reg)
{
    const uint64_t upper = 0xffffffff00000000;
    switch (insn->insn.mnemonic) {
    case ZYDIS_MNEMONIC_RDTSC:
        return reg == RAX || reg == RDX ? upper : ~0ull;
    case ZYDIS_MNEMONIC_RDTSCP:
        return reg == RAX || reg == RDX || reg == RCX ? upper : ~0ull;
    case ZYDIS_MNEMONIC_XGETBV:
        return reg == RAX ? upper | 7 : ~0ull;
    case ZYDIS_MNEMONIC_RDPID:
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED:
        if (((unsigned)ZydisRegisterGetId(insn->operands[0].reg.value) & 15) != reg)
            return ~0ull;
        return insn->operands[0].size == 16 ? ~0xffffull
               : insn->operands[0].size == 32 || insn->insn.mnemonic == ZYDIS_MNEMONIC_RDPID ? upper
                                                                                             : 0;
    default:
        return ~0ull;
    }
}

/* No random number was ready: the guest always has one. */
static bool no_number(const struct insn *insn, const struct outcome *native)
{
    return (insn->insn.mnemonic == ZYDIS_MNEMONIC_RDRAND ||
            insn->insn.mnemonic == ZYDIS_MNEMONIC_RDSEED) &&
           native->vector == -1 && !(native->flags & FLAG_CF);
}

/* Accesses of many parts: how far one came before its fault is the processor's own. */
static bool partial_access(const struct insn *insn)
{
    switch (insn->insn.meta.category) {
    case ZYDIS_CATEGORY_XSAVE:
    case ZYDIS_CATEGORY_XSAVEOPT:
        return true;
    default:
        break;
    }
    if (insn->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
        return true;
    switch (insn->insn.mnemonic) {
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_PUSHA:
    case ZYDIS_MNEMONIC_PUSHAD:
    case ZYDIS_MNEMONIC_POPA:
    case ZYDIS_MNEMONIC_POPAD:
    case ZYDIS_MNEMONIC_ENTER:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_FBSTP:
    case ZYDIS_MNEMONIC_FBLD:
    case ZYDIS_MNEMONIC_FSTP: /* of 80 bits */
    case ZYDIS_MNEMONIC_FLD:
    case ZYDIS_MNEMONIC_CALL: /* to nowhere: the return address may be there already */
    case ZYDIS_MNEMONIC_MASKMOVQ:
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVPS:
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
        return true;
    default:
        return false;
    }
}

/* A fault of what comes after it does not count. */
static bool is_done(const struct input *input, const struct outcome *outcome)
{
    return outcome->vector == -1 || outcome->rip != input_ip(input) ||
           outcome->sel[SEG_CS] != input->sel[SEG_CS];
}

static bool has_mmx(const struct insn *insn)
{
    for (unsigned i = 0; i < insn->insn.operand_count; i++)
        if (insn->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ZydisRegisterGetClass(insn->operands[i].reg.value) == ZYDIS_REGCLASS_MMX)
            return true;
    return false;
}

/* Faults that the manual allows to be there or not, or one before the other. */
static bool either_fault(const struct input *input, const struct insn *insn,
                         const struct outcome *a, const struct outcome *b)
{
    /* Which part faults first, and whether it is its page or its segment that does. */
    if (partial_access(insn) && !is_done(input, a) && !is_done(input, b) && a->vector == VEC_PF &&
        (b->vector == VEC_GP || b->vector == VEC_SS))
        return true;
    /* How much is read of what cannot be an instruction, at the end of the segment. */
    if (insn->bad_lock && a->vector == VEC_GP && b->vector == VEC_UD)
        return true;
    switch (insn->insn.mnemonic) {
    case ZYDIS_MNEMONIC_MASKMOVQ: /* with a mask of zeros */
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
        /* And #AC of which of its parts. */
        return !is_done(input, a) && (is_done(input, b) || a->vector == VEC_AC);
    case ZYDIS_MNEMONIC_INSB: /* of no elements */
    case ZYDIS_MNEMONIC_INSW:
    case ZYDIS_MNEMONIC_INSD:
    case ZYDIS_MNEMONIC_OUTSB:
    case ZYDIS_MNEMONIC_OUTSW:
    case ZYDIS_MNEMONIC_OUTSD:
        return !host_is_intel() && !input->gpr[RCX];
    case ZYDIS_MNEMONIC_XSAVE: /* over more components than the guest has */
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64:
        if (a->vector == VEC_PF && !is_done(input, a))
            return true;
        /* fall through */
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
    case ZYDIS_MNEMONIC_FXSAVE: /* SDM 2A: #AC or #GP when it is not aligned to 16 */
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
        return a->vector == VEC_AC && b->vector == VEC_GP;
    case ZYDIS_MNEMONIC_VCVTPS2PH: /* of its arithmetic or of its store */
        return a->vector == VEC_XM && b->vector == VEC_GP;
    case ZYDIS_MNEMONIC_RET: /* which of its parts is read first, of those that leave the segment */
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
        if (partial_access(insn) && !is_done(input, a) && !is_done(input, b))
            return b->vector == VEC_AC || b->vector == VEC_PF || b->vector == VEC_SS;
        return false;
    default:
        /* Which of two faults comes first is as Intel's processors have it. */
        return !host_is_intel() && a->vector != -1 && b->vector != -1;
    }
}

/* REP with 32-bit addresses that does nothing: some clear the upper halves. */
static bool nothing_repeated(const struct input *input, const struct insn *insn,
                             const struct outcome *outcome)
{
    return insn->insn.meta.category == ZYDIS_CATEGORY_STRINGOP && insn->insn.address_width == 32 &&
           ((uint32_t)input->gpr[RCX] == 0 || !is_done(input, outcome));
}

struct judge {
    FILE *report;
    bool same;
};

static __attribute__((format(printf, 2, 3))) void differ(struct judge *judge, const char *format,
                                                         ...)
{
    judge->same = false;
    if (!judge->report)
        return;
    va_list list;
    va_start(list, format);
    fputs("  ", judge->report);
    vfprintf(judge->report, format, list);
    fputc('\n', judge->report);
    va_end(list);
}

static void compare_number(struct judge *judge, const char *what, uint64_t before, uint64_t native,
                           uint64_t guest)
{
    if (native != guest)
        differ(judge, "%s was %" PRIx64 ", native %" PRIx64 ", interpreted %" PRIx64, what, before,
               native, guest);
}

static void compare_bytes(struct judge *judge, const char *what, unsigned number,
                          const uint8_t *native, const uint8_t *guest, unsigned size)
{
    if (memcmp(native, guest, size) == 0)
        return;
    char a[2 * 64 + 1], b[2 * 64 + 1];
    for (unsigned i = 0; i < size; i++) {
        snprintf(a + 2 * i, 3, "%02x", native[i]);
        snprintf(b + 2 * i, 3, "%02x", guest[i]);
    }
    differ(judge, "%s%u\n    native      %s\n    interpreted %s", what, number, a, b);
}

/* Of a vector register: a gather that faults may have cleared above its operands, or not yet. */
static unsigned compared_bytes(const struct insn *insn, const struct outcome *outcome,
                               const struct input *input, unsigned reg)
{
    if (insn->insn.meta.isa_set != ZYDIS_ISA_SET_AVX2GATHER || is_done(input, outcome))
        return 32;
    for (unsigned i = 0; i < 3; i += 2)
        if (insn->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            (unsigned)ZydisRegisterGetId(insn->operands[i].reg.value) == reg)
            return insn->operands[i].size / 8;
    return 32;
}

static void compare_unit(struct judge *judge, const struct input *input, const struct insn *insn,
                         const struct outcome *a, const struct outcome *b)
{
    const struct unit_state *x = &a->unit, *y = &b->unit, *was = &input->unit;
    uint16_t status = 0xffff;
    if (insn->insn.fpu_flags)
        status &= (uint16_t) ~((insn->insn.fpu_flags->undefined & 7) << 8 |
                               (insn->insn.fpu_flags->undefined & 8) << 11);
    uint32_t mxcsr = ~0u;
    /* Whether a result that is not made is inexact. */
    if (a->vector == VEC_XM && x->mxcsr & (FPU_OE | FPU_UE))
        mxcsr &= ~(uint32_t)FPU_PE;
    /* Of several steps: how much of the first is told when the second traps. */
    if (a->vector == VEC_XM &&
        (insn->insn.mnemonic == ZYDIS_MNEMONIC_DPPS || insn->insn.mnemonic == ZYDIS_MNEMONIC_DPPD ||
         insn->insn.mnemonic == ZYDIS_MNEMONIC_VDPPS ||
         insn->insn.mnemonic == ZYDIS_MNEMONIC_VDPPD))
        mxcsr &= ~(uint32_t)FPU_EXCEPTIONS;
    /* Its store comes last, and may fault. */
    if (insn->insn.mnemonic == ZYDIS_MNEMONIC_VCVTPS2PH && !is_done(input, a))
        mxcsr &= ~(uint32_t)FPU_EXCEPTIONS;
    compare_number(judge, "mxcsr", was->mxcsr, x->mxcsr & mxcsr, y->mxcsr & mxcsr);
    for (unsigned i = 0; i < 16; i++)
        compare_bytes(judge, "ymm", i, x->ymm[i], y->ymm[i], compared_bytes(insn, a, input, i));
    if (has_mmx(insn) && !is_done(input, a))
        return; /* TOP may be 0 already */
    compare_number(judge, "fcw", was->fcw, x->fcw, y->fcw);
    compare_number(judge, "fsw", was->fsw, x->fsw & status, y->fsw & status);
    compare_number(judge, "ftw", was->ftw, x->ftw, y->ftw);
    /* Processors differ in when they keep these up to date, but not with an exception pending. */
    if (insn->insn.meta.category == ZYDIS_CATEGORY_X87_ALU && a->vector == -1 && x->fsw & FPU_ES &&
        !(was->fsw & FPU_ES))
        compare_number(judge, "fip", was->fip, x->fip, y->fip);
    for (unsigned i = 0; i < 8; i++)
        compare_bytes(judge, "st", i, x->st[i], y->st[i], 10);
}

static void compare_memory(struct judge *judge)
{
    const uint8_t *native = native_data(), *guest = guest_data();
    if (memcmp(native, guest, DATA_SIZE) == 0)
        return;
    unsigned shown = 0;
    for (unsigned at = 0; at < DATA_SIZE && shown < 8; at += 8)
        if (memcmp(native + at, guest + at, 8) != 0) {
            differ(judge, "memory at %x: native %016" PRIx64 ", interpreted %016" PRIx64, DATA + at,
                   load_le64(native + at), load_le64(guest + at));
            shown++;
        }
}

static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

static bool writes_register(const struct insn *insn, ZydisRegister reg)
{
    for (unsigned i = 0; i < insn->insn.operand_count; i++)
        if (insn->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            insn->operands[i].reg.value == reg &&
            insn->operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
            return true;
    return false;
}

static void compare_segments(struct judge *judge, const struct input *input,
                             const struct insn *insn, const struct outcome *a,
                             const struct outcome *b)
{
    static const char *const segment_names[6] = {"es", "cs", "ss", "ds", "fs", "gs"};
    for (unsigned seg = 0; seg < 6; seg++)
        /* The kernel's IRET clears the privilege level of a null selector. */
        if (a->sel[seg] > 3 || b->sel[seg] > 3)
            compare_number(judge, segment_names[seg], input->sel[seg], a->sel[seg], b->sel[seg]);
    /* A null selector clears the base or leaves it: AMD's and Intel's manuals differ. */
    if (a->sel[SEG_FS] > 3 || !writes_register(insn, ZYDIS_REGISTER_FS))
        compare_number(judge, "FS base", code64(input) ? FS_BASE : 0, a->fs_base, b->fs_base);
    if (a->sel[SEG_GS] > 3 || !writes_register(insn, ZYDIS_REGISTER_GS))
        compare_number(judge, "GS base", code64(input) ? GS_BASE : 0, a->gs_base, b->gs_base);
}

static void compare(struct judge *judge, const struct input *input, const struct insn *insn,
                    const struct outcome *a, const struct outcome *b)
{
    if ((a->vector != b->vector || is_done(input, a) != is_done(input, b)) &&
        either_fault(input, insn, a, b))
        return;
    if (no_number(insn, a))
        return;
    if (a->vector != b->vector) {
        differ(judge,
               "exception: native %d (error %x, cr2 %" PRIx64 ", rip %" PRIx64
               "), interpreted %d (error %x, cr2 %" PRIx64 ", rip %" PRIx64 ")",
               a->vector, a->error, a->cr2, a->rip, b->vector, b->error, b->cr2, b->rip);
        return;
    }
    compare_number(judge, "rip", input_ip(input), a->rip, b->rip);
    compare_segments(judge, input, insn, a, b);
    if (a->vector == VEC_PF) {
        /* For the kernel's half Linux says "present" without looking. */
        uint32_t mask = a->cr2 >> 63 ? ~1u : ~0u;
        if (!partial_access(insn)) {
            compare_number(judge, "cr2", 0, a->cr2, b->cr2);
            compare_number(judge, "#PF error", 0, a->error & mask, b->error & mask);
        }
    } else if (has_error_code(a->vector)) {
        compare_number(judge, "error", 0, a->error, b->error);
    }
    bool undefined = is_done(input, a) && undefined_result(input, insn, a);
    bool popa =
        insn->insn.mnemonic == ZYDIS_MNEMONIC_POPA || insn->insn.mnemonic == ZYDIS_MNEMONIC_POPAD;
    for (unsigned r = 0; r < 16; r++) {
        uint64_t mask = code64(input) || r >= 8 ? ~0ull : 0xffffffff;
        /* SDM 1, 3.4.1.1: after a change from 64-bit to compatibility mode. */
        struct segment code = segments_load(a->sel[SEG_CS]);
        if (r < 8 && segment_bits(&code) != 64)
            mask = 0xffffffff;
        if (is_done(input, a))
            mask &= compared_bits(insn, r);
        if (popa && !is_done(input, a) && r != RSP)
            continue;
        if (nothing_repeated(input, insn, a) && (r == RCX || r == RSI || r == RDI))
            mask = 0xffffffff;
        if (undefined && insn->operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            (ZydisRegisterGetId(insn->operands[0].reg.value) & 15) == (int)r)
            continue;
        compare_number(judge, names[r], input->gpr[r], a->gpr[r] & mask, b->gpr[r] & mask);
    }
    uint64_t flags = is_done(input, a)
                         ? defined_flags(input, insn)
                         : FLAGS_ARITH | FLAG_DF | FLAG_IF | FLAG_IOPL | FLAG_NT | FLAG_AC;
    compare_number(judge, "flags", input->flags, a->flags & flags, b->flags & flags);
    compare_unit(judge, input, insn, a, b);
    if (touches_memory(insn) && (is_done(input, a) || !partial_access(insn)) &&
        !(undefined && insn->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY))
        compare_memory(judge);
}

bool case_agrees(const struct input *input, const struct insn *insn, FILE *report)
{
    static struct outcome native, guest;
    struct judge judge = {.report = report, .same = true};
    if (touches_memory(insn)) {
        put_memory(input, native_data());
        put_memory(input, guest_data());
    }
    native_run(input, &native);
    guest_run(input, &guest);
    compare(&judge, input, insn, &native, &guest);
    return judge.same;
}

/* Minimising */

static bool still_wrong(const struct input *input, const struct insn *insn)
{
    struct insn again;
    return case_decode(input, &again) && operands_safe(input, insn) &&
           !case_agrees(input, insn, NULL);
}

static void try_default(struct input *input, const struct insn *insn, void *part,
                        const void *standard, size_t size)
{
    uint8_t kept[sizeof(struct patch)];
    memcpy(kept, part, size);
    memcpy(part, standard, size);
    case_summarise(input);
    if (!still_wrong(input, insn))
        memcpy(part, kept, size);
    case_summarise(input);
}

void case_minimise(struct input *input, const struct insn *insn)
{
    struct input plain;
    case_default(&plain);
    for (unsigned i = input->patches; i-- > 0;) {
        struct input without = *input;
        memmove(&without.patch[i], &without.patch[i + 1],
                (PATCHES - 1 - i) * sizeof(without.patch[0]));
        without.patches--;
        if (still_wrong(&without, insn))
            *input = without;
    }
    for (unsigned r = 0; r < 16; r++) {
        try_default(input, insn, &input->gpr[r], &plain.gpr[r], 8);
        try_default(input, insn, input->unit.ymm[r], plain.unit.ymm[r], 32);
    }
    for (unsigned i = 0; i < 8; i++)
        try_default(input, insn, input->unit.st[i], plain.unit.st[i], 10);
    try_default(input, insn, &input->flags, &plain.flags, 8);
    try_default(input, insn, &input->unit.fcw, &plain.unit.fcw, 2);
    try_default(input, insn, &input->unit.fsw, &plain.unit.fsw, 2);
    try_default(input, insn, &input->unit.ftw, &plain.unit.ftw, 1);
    try_default(input, insn, &input->unit.mxcsr, &plain.unit.mxcsr, 4);
}
