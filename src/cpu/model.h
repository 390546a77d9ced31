/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * CPU models: what CPUID answers and which instructions exist. Immutable after cpu_model_create.
 */
#ifndef CPU_MODEL_H
#define CPU_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/* The CPUID words that hold features. */
enum feature_word {
    FEAT_1_EDX,
    FEAT_1_ECX,
    FEAT_7_EBX,
    FEAT_7_ECX,
    FEAT_7_EDX,
    FEAT_8_1_EDX,
    FEAT_8_1_ECX,
    FEAT_D_1_EAX,
    FEAT_6_EAX,
    FEAT_8_7_EDX,
    FEAT_7_1_EAX,
    FEAT_8_8_EBX,
    FEAT_8_A_EDX,
    FEAT_KVM,      /* 40000001h EAX */
    FEAT_ARCH_CAP, /* the low half of MSR 10Ah */
    FEAT_OTHER,    /* known by name only: no bits of CPUID, never there */
    FEAT_WORDS
};
/* A feature: word * 32 + bit. */
#define FEATURE(word, bit) ((word)*32 + (bit))
enum cpu_feature {
    CPU_FPU = FEATURE(FEAT_1_EDX, 0),
    CPU_VME = FEATURE(FEAT_1_EDX, 1),
    CPU_DE = FEATURE(FEAT_1_EDX, 2),
    CPU_PSE = FEATURE(FEAT_1_EDX, 3),
    CPU_TSC = FEATURE(FEAT_1_EDX, 4),
    CPU_MSR = FEATURE(FEAT_1_EDX, 5),
    CPU_PAE = FEATURE(FEAT_1_EDX, 6),
    CPU_MCE = FEATURE(FEAT_1_EDX, 7),
    CPU_CX8 = FEATURE(FEAT_1_EDX, 8),
    CPU_APIC = FEATURE(FEAT_1_EDX, 9),
    CPU_SEP = FEATURE(FEAT_1_EDX, 11),
    CPU_MTRR = FEATURE(FEAT_1_EDX, 12),
    CPU_PGE = FEATURE(FEAT_1_EDX, 13),
    CPU_MCA = FEATURE(FEAT_1_EDX, 14),
    CPU_CMOV = FEATURE(FEAT_1_EDX, 15),
    CPU_PAT = FEATURE(FEAT_1_EDX, 16),
    CPU_PSE36 = FEATURE(FEAT_1_EDX, 17),
    CPU_CLFLUSH = FEATURE(FEAT_1_EDX, 19),
    CPU_MMX = FEATURE(FEAT_1_EDX, 23),
    CPU_FXSR = FEATURE(FEAT_1_EDX, 24),
    CPU_SSE = FEATURE(FEAT_1_EDX, 25),
    CPU_SSE2 = FEATURE(FEAT_1_EDX, 26),
    CPU_SSE3 = FEATURE(FEAT_1_ECX, 0),
    CPU_PCLMUL = FEATURE(FEAT_1_ECX, 1),
    CPU_MONITOR = FEATURE(FEAT_1_ECX, 3),
    CPU_SSSE3 = FEATURE(FEAT_1_ECX, 9),
    CPU_FMA = FEATURE(FEAT_1_ECX, 12),
    CPU_CX16 = FEATURE(FEAT_1_ECX, 13),
    CPU_PCID = FEATURE(FEAT_1_ECX, 17),
    CPU_SSE41 = FEATURE(FEAT_1_ECX, 19),
    CPU_SSE42 = FEATURE(FEAT_1_ECX, 20),
    CPU_X2APIC = FEATURE(FEAT_1_ECX, 21),
    CPU_MOVBE = FEATURE(FEAT_1_ECX, 22),
    CPU_POPCNT = FEATURE(FEAT_1_ECX, 23),
    CPU_TSC_DEADLINE = FEATURE(FEAT_1_ECX, 24),
    CPU_AES = FEATURE(FEAT_1_ECX, 25),
    CPU_XSAVE = FEATURE(FEAT_1_ECX, 26),
    CPU_AVX = FEATURE(FEAT_1_ECX, 28),
    CPU_F16C = FEATURE(FEAT_1_ECX, 29),
    CPU_RDRAND = FEATURE(FEAT_1_ECX, 30),
    CPU_HYPERVISOR = FEATURE(FEAT_1_ECX, 31),
    CPU_FSGSBASE = FEATURE(FEAT_7_EBX, 0),
    CPU_TSC_ADJUST = FEATURE(FEAT_7_EBX, 1),
    CPU_BMI1 = FEATURE(FEAT_7_EBX, 3),
    CPU_AVX2 = FEATURE(FEAT_7_EBX, 5),
    CPU_SMEP = FEATURE(FEAT_7_EBX, 7),
    CPU_BMI2 = FEATURE(FEAT_7_EBX, 8),
    CPU_ERMS = FEATURE(FEAT_7_EBX, 9),
    CPU_INVPCID = FEATURE(FEAT_7_EBX, 10),
    CPU_AVX512F = FEATURE(FEAT_7_EBX, 16),
    CPU_RDSEED = FEATURE(FEAT_7_EBX, 18),
    CPU_ADX = FEATURE(FEAT_7_EBX, 19),
    CPU_SMAP = FEATURE(FEAT_7_EBX, 20),
    CPU_CLFLUSHOPT = FEATURE(FEAT_7_EBX, 23),
    CPU_CLWB = FEATURE(FEAT_7_EBX, 24),
    CPU_SHA = FEATURE(FEAT_7_EBX, 29),
    CPU_UMIP = FEATURE(FEAT_7_ECX, 2),
    CPU_GFNI = FEATURE(FEAT_7_ECX, 8),
    CPU_VAES = FEATURE(FEAT_7_ECX, 9),
    CPU_VPCLMULQDQ = FEATURE(FEAT_7_ECX, 10),
    CPU_RDPID = FEATURE(FEAT_7_ECX, 22),
    CPU_SPEC_CTRL = FEATURE(FEAT_7_EDX, 26),
    CPU_ARCH_CAPABILITIES = FEATURE(FEAT_7_EDX, 29),
    CPU_SYSCALL = FEATURE(FEAT_8_1_EDX, 11),
    CPU_NX = FEATURE(FEAT_8_1_EDX, 20),
    CPU_FFXSR = FEATURE(FEAT_8_1_EDX, 25),
    CPU_PDPE1GB = FEATURE(FEAT_8_1_EDX, 26),
    CPU_RDTSCP = FEATURE(FEAT_8_1_EDX, 27),
    CPU_LM = FEATURE(FEAT_8_1_EDX, 29),
    CPU_LAHF64 = FEATURE(FEAT_8_1_ECX, 0),
    CPU_ABM = FEATURE(FEAT_8_1_ECX, 5),
    CPU_PREFETCHW = FEATURE(FEAT_8_1_ECX, 8),
    CPU_XSAVEOPT = FEATURE(FEAT_D_1_EAX, 0),
    CPU_XSAVEC = FEATURE(FEAT_D_1_EAX, 1),
    CPU_XGETBV1 = FEATURE(FEAT_D_1_EAX, 2),
    CPU_XSAVES = FEATURE(FEAT_D_1_EAX, 3),
    CPU_ARAT = FEATURE(FEAT_6_EAX, 2),
    CPU_INVTSC = FEATURE(FEAT_8_7_EDX, 8),
    CPU_SS = FEATURE(FEAT_1_EDX, 27),
    CPU_HT = FEATURE(FEAT_1_EDX, 28),
    CPU_AVX512IFMA = FEATURE(FEAT_7_EBX, 21),
    CPU_AVX512DQ = FEATURE(FEAT_7_EBX, 17),
    CPU_AVX512CD = FEATURE(FEAT_7_EBX, 28),
    CPU_AVX512BW = FEATURE(FEAT_7_EBX, 30),
    CPU_AVX512VL = FEATURE(FEAT_7_EBX, 31),
    CPU_AVX512VBMI = FEATURE(FEAT_7_ECX, 1),
    CPU_AVX512VBMI2 = FEATURE(FEAT_7_ECX, 6),
    CPU_AVX512VNNI = FEATURE(FEAT_7_ECX, 11),
    CPU_AVX512BITALG = FEATURE(FEAT_7_ECX, 12),
    CPU_AVX512VPOPCNTDQ = FEATURE(FEAT_7_ECX, 14),
    CPU_CLDEMOTE = FEATURE(FEAT_7_ECX, 25),
    CPU_FSRM = FEATURE(FEAT_7_EDX, 4),
    CPU_AVX512VP2INTERSECT = FEATURE(FEAT_7_EDX, 8),
    CPU_MD_CLEAR = FEATURE(FEAT_7_EDX, 10),
    CPU_SERIALIZE = FEATURE(FEAT_7_EDX, 14),
    CPU_AVX512FP16 = FEATURE(FEAT_7_EDX, 23),
    CPU_STIBP = FEATURE(FEAT_7_EDX, 27),
    CPU_SSBD = FEATURE(FEAT_7_EDX, 31),
    CPU_AVX_VNNI = FEATURE(FEAT_7_1_EAX, 4),
    CPU_AVX512BF16 = FEATURE(FEAT_7_1_EAX, 5),
    CPU_MMXEXT = FEATURE(FEAT_8_1_EDX, 22),
    CPU_CMP_LEGACY = FEATURE(FEAT_8_1_ECX, 1),
    CPU_OSVW = FEATURE(FEAT_8_1_ECX, 9),
    CPU_TOPOEXT = FEATURE(FEAT_8_1_ECX, 22),
    CPU_XSAVEERPTR = FEATURE(FEAT_8_8_EBX, 2),
    CPU_WBNOINVD = FEATURE(FEAT_8_8_EBX, 9),
    CPU_IBPB = FEATURE(FEAT_8_8_EBX, 12),
    CPU_IBRS = FEATURE(FEAT_8_8_EBX, 14),
    CPU_AMD_STIBP = FEATURE(FEAT_8_8_EBX, 15),
    CPU_AMD_SSBD = FEATURE(FEAT_8_8_EBX, 24),
    CPU_AMD_NO_SSB = FEATURE(FEAT_8_8_EBX, 26),
    CPU_KVMCLOCK_OLD = FEATURE(FEAT_KVM, 0),
    CPU_KVM_NOPIODELAY = FEATURE(FEAT_KVM, 1),
    CPU_KVMCLOCK = FEATURE(FEAT_KVM, 3),
    CPU_KVMCLOCK_STABLE = FEATURE(FEAT_KVM, 24),
};

/* Which caches leaves 2, 4, 80000005h, 80000006h and 8000001Dh tell of. */
enum cpu_caches { CACHES_PLAIN, CACHES_EPYC, CACHES_EPYC_ROME, CACHES_EPYC_MILAN };

struct cpu_model {
    char name[32];
    char vendor[13];
    char brand[49];
    unsigned family, model, stepping;
    uint32_t max_leaf, max_extended_leaf;
    uint32_t features[FEAT_WORDS];
    uint32_t missing[FEAT_WORDS]; /* asked for, by the model or by hand, and not to be had here */
    unsigned physical_bits;       /* guest-physical address width: 32..48 */
    enum cpu_caches caches;
    bool kvm;         /* the leaves of KVM are shown */
    bool check;       /* cpu_model_warnings has something to say of `missing` */
    bool ignore_msrs; /* MSRs that are not there read 0 and may be written, rather than #GP */
    /* One moment on the host's TSC and on CLOCK_MONOTONIC_RAW, to measure the TSC against. */
    uint64_t epoch_tsc;
    int64_t epoch_ns;
};

/* From -cpu's argument: "max", "qemu64,-sse3,+avx,check=off". NULL: the default, "max". Features of
 * the model that our engines do not have are left out and noted in `missing`; with "enforce" that
 * is an error. So is an unknown name: the message says the nearest. */
int cpu_model_create(struct cpu_model *model, const char *spec, struct error *err);

/* What is missing, a line each, ready to be printed, as QEMU says it ("" when nothing is, or
 * check=off); the caller frees. */
char *cpu_model_warnings(const struct cpu_model *model);

/* For `-cpu help`; the caller frees. */
char *cpu_model_help(void);

static inline bool cpu_model_has(const struct cpu_model *model, enum cpu_feature feature)
{
    return model->features[feature / 32] >> (feature % 32) & 1;
}

#endif
