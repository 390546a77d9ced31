/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which features our engines run: what is C, on any host; what runs on the host's own vector unit,
 * as far as the host has it.
 */
#include "cpu/model_internal.h"

#include <string.h>

#include "base/bytes.h"
#include "x86/hostunit.h"

#define BIT(feature) (1u << ((feature) % 32))

/* In C. Bits that promise no more than speed or the absence of a flaw are kept as promises. */
static const uint32_t own[FEAT_WORDS] = {
    [FEAT_1_EDX] = BIT(CPU_FPU) | BIT(CPU_VME) | BIT(CPU_DE) | BIT(CPU_PSE) | BIT(CPU_TSC) |
                   BIT(CPU_MSR) | BIT(CPU_PAE) | BIT(CPU_MCE) | BIT(CPU_CX8) | BIT(CPU_APIC) |
                   BIT(CPU_SEP) | BIT(CPU_MTRR) | BIT(CPU_PGE) | BIT(CPU_MCA) | BIT(CPU_CMOV) |
                   BIT(CPU_PAT) | BIT(CPU_PSE36) | BIT(CPU_CLFLUSH) | BIT(CPU_MMX) | BIT(CPU_FXSR) |
                   BIT(CPU_SSE) | BIT(CPU_SSE2) | BIT(CPU_SS) | BIT(CPU_HT),
    [FEAT_1_ECX] = BIT(CPU_MONITOR) | BIT(CPU_CX16) | BIT(CPU_PCID) | BIT(CPU_X2APIC) |
                   BIT(CPU_MOVBE) | BIT(CPU_POPCNT) | BIT(CPU_TSC_DEADLINE) | BIT(CPU_RDRAND) |
                   1u << 31 /* hypervisor */,
    [FEAT_7_EBX] = BIT(CPU_FSGSBASE) | BIT(CPU_TSC_ADJUST) | BIT(CPU_BMI1) | BIT(CPU_SMEP) |
                   BIT(CPU_BMI2) | BIT(CPU_ERMS) | BIT(CPU_INVPCID) | BIT(CPU_RDSEED) |
                   BIT(CPU_ADX) | BIT(CPU_SMAP) | BIT(CPU_CLFLUSHOPT) | BIT(CPU_CLWB),
    [FEAT_7_ECX] = BIT(CPU_UMIP) | BIT(CPU_RDPID) | BIT(CPU_CLDEMOTE),
    [FEAT_7_EDX] = BIT(CPU_SPEC_CTRL) | BIT(CPU_ARCH_CAPABILITIES) | BIT(CPU_FSRM) |
                   BIT(CPU_MD_CLEAR) | BIT(CPU_SERIALIZE) | BIT(CPU_STIBP) | 1u << 31 /* ssbd */,
    [FEAT_8_1_EDX] = BIT(CPU_SYSCALL) | BIT(CPU_NX) | BIT(CPU_MMXEXT) | BIT(CPU_FFXSR) |
                     BIT(CPU_PDPE1GB) | BIT(CPU_RDTSCP) | BIT(CPU_LM),
    [FEAT_8_1_ECX] = BIT(CPU_LAHF64) | BIT(CPU_CMP_LEGACY) | BIT(CPU_ABM) | BIT(CPU_PREFETCHW) |
                     BIT(CPU_OSVW) | BIT(CPU_TOPOEXT),
    [FEAT_8_7_EDX] = BIT(CPU_INVTSC),
    [FEAT_8_8_EBX] = BIT(CPU_XSAVEERPTR) | BIT(CPU_WBNOINVD) | BIT(CPU_IBPB) | BIT(CPU_IBRS) |
                     BIT(CPU_AMD_STIBP) | BIT(CPU_AMD_SSBD) | BIT(CPU_AMD_NO_SSB),
    [FEAT_D_1_EAX] = BIT(CPU_XSAVEOPT) | BIT(CPU_XSAVEC) | BIT(CPU_XGETBV1) | BIT(CPU_XSAVES),
    [FEAT_6_EAX] = BIT(CPU_ARAT),
    [FEAT_KVM] = BIT(CPU_KVMCLOCK_OLD) | BIT(CPU_KVMCLOCK) | BIT(CPU_KVM_NOPIODELAY) |
                 BIT(CPU_KVMCLOCK_STABLE),
    /* An interpreter does not speculate: RDCL_NO, IBRS_ALL, SKIP_L1DFL, SSB_NO, MDS_NO,
     * PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO.
     */
    [FEAT_ARCH_CAP] =
        0x1b | 1 << 5 | 1 << 6 | 1 << 8 | 7 << 13 | 1 << 20 | 1 << 24 | 1 << 26 | 1 << 27,
};

/* MONITOR: idling by MWAIT would keep the host's processor busy. SVM and ACPI's thermal registers
 * are in models by the way; as under KVM, nobody is told that they are not here. */
const uint32_t features_not_by_default[FEAT_WORDS] = {
    [FEAT_1_EDX] = 1 << 22, /* acpi */
    [FEAT_1_ECX] = BIT(CPU_MONITOR),
    [FEAT_8_1_ECX] = 1 << 2, /* svm */
    [FEAT_8_A_EDX] = ~0u,
};

void features_possible(uint32_t *words)
{
    struct hostunit_features host;
    hostunit_features(&host);
    memcpy(words, own, sizeof(own));
    words[FEAT_1_EDX] |= host.leaf1_edx;
    words[FEAT_1_ECX] |= host.leaf1_ecx;
    words[FEAT_7_EBX] |= host.leaf7_ebx;
    words[FEAT_7_ECX] |= host.leaf7_ecx;
    words[FEAT_7_EDX] |= host.leaf7_edx;
    words[FEAT_7_1_EAX] |= host.leaf7_1_eax;
}

void features_mend(uint32_t *words)
{
    static const uint16_t needs[][2] = {
        {CPU_SSE, CPU_FXSR},
        {CPU_SSE2, CPU_SSE},
        {CPU_SSE3, CPU_SSE2},
        {CPU_SSSE3, CPU_SSE3},
        {CPU_SSE41, CPU_SSSE3},
        {CPU_SSE42, CPU_SSE41},
        {CPU_AES, CPU_SSE2},
        {CPU_PCLMUL, CPU_SSE2},
        {CPU_SHA, CPU_SSSE3},
        {CPU_AVX, CPU_XSAVE},
        {CPU_AVX, CPU_SSE42},
        {CPU_AVX2, CPU_AVX},
        {CPU_FMA, CPU_AVX},
        {CPU_F16C, CPU_AVX},
        {CPU_XSAVEOPT, CPU_XSAVE},
        {CPU_XSAVEC, CPU_XSAVE},
        {CPU_XGETBV1, CPU_XSAVE},
        {CPU_VAES, CPU_AVX},
        {CPU_VPCLMULQDQ, CPU_AVX},
        {CPU_GFNI, CPU_SSE2},
        {CPU_LM, CPU_PAE},
        {CPU_NX, CPU_PAE},
        {CPU_LM, CPU_MSR},
        {CPU_SYSCALL, CPU_MSR},
        {CPU_X2APIC, CPU_APIC},
        {CPU_TSC_DEADLINE, CPU_APIC},
        {CPU_PDPE1GB, CPU_LM},
        {CPU_PCID, CPU_LM},
        {CPU_MMXEXT, CPU_SSE},
        {CPU_AVX_VNNI, CPU_AVX2},
        {CPU_AVX512F, CPU_AVX2},
        {CPU_AVX512F, CPU_FMA},
        {CPU_AVX512DQ, CPU_AVX512F},
        {CPU_AVX512IFMA, CPU_AVX512F},
        {CPU_AVX512CD, CPU_AVX512F},
        {CPU_AVX512BW, CPU_AVX512F},
        {CPU_AVX512VL, CPU_AVX512F},
        {CPU_AVX512VBMI, CPU_AVX512BW},
        {CPU_AVX512VBMI2, CPU_AVX512BW},
        {CPU_AVX512BITALG, CPU_AVX512BW},
        {CPU_AVX512VNNI, CPU_AVX512F},
        {CPU_AVX512VPOPCNTDQ, CPU_AVX512F},
        {CPU_AVX512VP2INTERSECT, CPU_AVX512F},
        {CPU_AVX512BF16, CPU_AVX512BW},
        {CPU_AVX512FP16, CPU_AVX512BW},
        {CPU_XSAVES, CPU_XSAVEC},
        {FEATURE(FEAT_ARCH_CAP, 1), CPU_SPEC_CTRL}, /* IBRS_ALL */
        {CPU_KVMCLOCK_OLD, CPU_MSR},
        {CPU_KVMCLOCK, CPU_MSR},
        {CPU_KVMCLOCK_STABLE, CPU_KVMCLOCK},
    };
    for (unsigned i = 0; i < ARRAY_LEN(needs); i++)
        if (!(words[needs[i][1] / 32] & BIT(needs[i][1])))
            words[needs[i][0] / 32] &= ~BIT(needs[i][0]);
    if (!(words[FEAT_7_EDX] & BIT(CPU_ARCH_CAPABILITIES)))
        words[FEAT_ARCH_CAP] = 0;
}
