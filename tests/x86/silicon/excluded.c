/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which instructions are not compared, and why.
 */
#include "case.h"

#include <cpuid.h>

struct reason {
    uint16_t what; /* ZydisMnemonic, ZydisISASet */
    const char *why;
};

static const char kernels[] = "the kernel decides what user mode gets";
static const char vendors_differ[] = "AMD's manual has it otherwise than Intel's";
static const char in_kernel[] = "is a call into the kernel or the hypervisor";
static const char not_offered[] = "the guest's processor does not have it, the host may";

static const struct reason mnemonics[] = {
    {ZYDIS_MNEMONIC_RDPMC, kernels},
    {ZYDIS_MNEMONIC_CPUID, "answers for the model, not for the host"},
    {ZYDIS_MNEMONIC_SGDT, kernels}, /* CR4.UMIP, and Linux then emulates them */
    {ZYDIS_MNEMONIC_SIDT, kernels},
    {ZYDIS_MNEMONIC_SLDT, kernels},
    {ZYDIS_MNEMONIC_STR, kernels},
    {ZYDIS_MNEMONIC_SMSW, kernels},
    {ZYDIS_MNEMONIC_SYSCALL, in_kernel},
    {ZYDIS_MNEMONIC_SYSENTER, in_kernel},
    {ZYDIS_MNEMONIC_VMCALL, in_kernel},
    {ZYDIS_MNEMONIC_VMMCALL, in_kernel},
    {ZYDIS_MNEMONIC_MONITOR, kernels},
    {ZYDIS_MNEMONIC_MWAIT, kernels},
};

/* Extensions that are not compared at all. */
static const struct reason isa_sets[] = {
    {ZYDIS_ISA_SET_AMD, not_offered},
    {ZYDIS_ISA_SET_AMD3DNOW, not_offered},
    {ZYDIS_ISA_SET_AMD_INVLPGB, not_offered},
    {ZYDIS_ISA_SET_AMX_BF16, not_offered},
    {ZYDIS_ISA_SET_AMX_INT8, not_offered},
    {ZYDIS_ISA_SET_AMX_TILE, not_offered},
    {ZYDIS_ISA_SET_AVX512BW_KOP, not_offered},
    {ZYDIS_ISA_SET_AVX512DQ_KOP, not_offered},
    {ZYDIS_ISA_SET_AVX512F_KOP, not_offered},
    {ZYDIS_ISA_SET_AVX_VNNI, not_offered},
    {ZYDIS_ISA_SET_CET, not_offered},
    {ZYDIS_ISA_SET_CLDEMOTE, not_offered},
    {ZYDIS_ISA_SET_CLZERO, not_offered},
    {ZYDIS_ISA_SET_ENQCMD, not_offered},
    {ZYDIS_ISA_SET_FMA4, not_offered},
    {ZYDIS_ISA_SET_HRESET, not_offered},
    {ZYDIS_ISA_SET_KEYLOCKER, not_offered},
    {ZYDIS_ISA_SET_KEYLOCKER_WIDE, not_offered},
    {ZYDIS_ISA_SET_LWP, not_offered},
    {ZYDIS_ISA_SET_MCOMMIT, not_offered},
    {ZYDIS_ISA_SET_MONITORX, not_offered},
    {ZYDIS_ISA_SET_MOVDIR, not_offered},
    {ZYDIS_ISA_SET_MPX, not_offered},
    {ZYDIS_ISA_SET_PADLOCK_ACE, not_offered},
    {ZYDIS_ISA_SET_PADLOCK_PHE, not_offered},
    {ZYDIS_ISA_SET_PADLOCK_PMM, not_offered},
    {ZYDIS_ISA_SET_PADLOCK_RNG, not_offered},
    {ZYDIS_ISA_SET_PCONFIG, not_offered},
    {ZYDIS_ISA_SET_PKU, not_offered},
    {ZYDIS_ISA_SET_PT, not_offered},
    {ZYDIS_ISA_SET_RDPRU, not_offered},
    {ZYDIS_ISA_SET_RTM, not_offered},
    {ZYDIS_ISA_SET_SERIALIZE, not_offered},
    {ZYDIS_ISA_SET_SGX, not_offered},
    {ZYDIS_ISA_SET_SGX_ENCLV, not_offered},
    {ZYDIS_ISA_SET_SMX, not_offered},
    {ZYDIS_ISA_SET_SNP, not_offered},
    {ZYDIS_ISA_SET_SSE4A, not_offered},
    {ZYDIS_ISA_SET_SVM, not_offered},
    {ZYDIS_ISA_SET_TBM, not_offered},
    {ZYDIS_ISA_SET_TDX, in_kernel},
    {ZYDIS_ISA_SET_TSX_LDTRK, not_offered},
    {ZYDIS_ISA_SET_UINTR, not_offered},
    {ZYDIS_ISA_SET_VMFUNC, not_offered},
    {ZYDIS_ISA_SET_VTX, not_offered},
    {ZYDIS_ISA_SET_WAITPKG, not_offered},
    {ZYDIS_ISA_SET_XOP, not_offered},
    {ZYDIS_ISA_SET_XSAVES, not_offered},
};

static const char *find(const struct reason *table, unsigned count, unsigned what)
{
    for (unsigned i = 0; i < count; i++)
        if (table[i].what == what)
            return table[i].why;
    return NULL;
}

static bool host_is_amd(void)
{
    static int known = -1;
    if (known < 0) {
        unsigned a, b, c, d;
        __cpuid(0, a, b, c, d);
        known = b == signature_AMD_ebx;
    }
    return known;
}

const char *case_excluded(const struct insn *insn)
{
    const ZydisDecodedInstruction *i = &insn->insn;
    if (i->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
        i->encoding != ZYDIS_INSTRUCTION_ENCODING_VEX)
        return not_offered;
    const char *why = find(mnemonics, ARRAY_LEN(mnemonics), i->mnemonic);
    if (!why)
        why = find(isa_sets, ARRAY_LEN(isa_sets), i->meta.isa_set);
    if (!why && i->mnemonic == ZYDIS_MNEMONIC_INT && insn->operands[0].imm.value.u == 0x80)
        why = in_kernel;
    /* AMD's cut the target to 16 bits, and take an immediate of that size. */
    if (!why && host_is_amd() && i->machine_mode == ZYDIS_MACHINE_MODE_LONG_64 &&
        i->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE &&
        i->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE)
        why = vendors_differ;
    return why;
}

void print_excluded(FILE *out)
{
    for (unsigned i = 0; i < ARRAY_LEN(mnemonics); i++)
        fprintf(out, "%-24s %s\n", ZydisMnemonicGetString(mnemonics[i].what), mnemonics[i].why);
    for (unsigned i = 0; i < ARRAY_LEN(isa_sets); i++)
        fprintf(out, "%-24s %s\n", ZydisISASetGetString(isa_sets[i].what), isa_sets[i].why);
    fprintf(out, "%-24s %s\n", "INT 80h", in_kernel);
    fprintf(out, "%-24s %s\n", "near branches with 66h in 64-bit code, on AMD", vendors_differ);
    fprintf(out,
            "What is compared in part, and why: defined_flags and what follows in compare.c\n");
    fprintf(out, "%-24s %s\n", "EVEX, XOP and such", not_offered);
}
