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
    CPU_ARAT = FEATURE(FEAT_6_EAX, 2),
    CPU_INVTSC = FEATURE(FEAT_8_7_EDX, 8),
};

struct cpu_model {
    char name[32];
    char vendor[13];
    char brand[49];
    unsigned family, model, stepping;
    uint32_t max_leaf, max_extended_leaf;
    uint32_t features[FEAT_WORDS];
    unsigned physical_bits; /* guest-physical address width: 32..48 */
    bool kvm;               /* the kvmclock leaves and MSRs are offered */
    /* One moment on the host's TSC and on CLOCK_MONOTONIC_RAW, to measure the TSC against. */
    uint64_t epoch_tsc;
    int64_t epoch_ns;
};

/* From -cpu's argument: "max", "qemu64,-sse3,+avx", "help" is the caller's. Only what an engine
 * here can run is offered: an unknown name or feature, or one we cannot run, is an error that names
 * the nearest. NULL: the default, "max". */
int cpu_model_create(struct cpu_model *model, const char *spec, struct error *err);

/* For `-cpu help`; the caller frees. */
char *cpu_model_help(void);

static inline bool cpu_model_has(const struct cpu_model *model, enum cpu_feature feature)
{
    return model->features[feature / 32] >> (feature % 32) & 1;
}

#endif
