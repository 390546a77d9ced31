/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The models of -cpu. Names of models and features are QEMU's; a model offers of its namesake's
 * features those that our engines run.
 */
#include "cpu/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/error.h"
#include "x86/hostunit.h"

struct feature_name {
    const char *name;
    uint16_t feature;
};

static const struct feature_name feature_names[] = {
    {"fpu", CPU_FPU},
    {"vme", CPU_VME},
    {"de", CPU_DE},
    {"pse", CPU_PSE},
    {"tsc", CPU_TSC},
    {"msr", CPU_MSR},
    {"pae", CPU_PAE},
    {"mce", CPU_MCE},
    {"cx8", CPU_CX8},
    {"apic", CPU_APIC},
    {"sep", CPU_SEP},
    {"mtrr", CPU_MTRR},
    {"pge", CPU_PGE},
    {"mca", CPU_MCA},
    {"cmov", CPU_CMOV},
    {"pat", CPU_PAT},
    {"pse36", CPU_PSE36},
    {"clflush", CPU_CLFLUSH},
    {"mmx", CPU_MMX},
    {"fxsr", CPU_FXSR},
    {"sse", CPU_SSE},
    {"sse2", CPU_SSE2},
    {"pni", CPU_SSE3},
    {"sse3", CPU_SSE3},
    {"pclmulqdq", CPU_PCLMUL},
    {"pclmuldq", CPU_PCLMUL},
    {"monitor", CPU_MONITOR},
    {"ssse3", CPU_SSSE3},
    {"fma", CPU_FMA},
    {"cx16", CPU_CX16},
    {"pcid", CPU_PCID},
    {"sse4.1", CPU_SSE41},
    {"sse4-1", CPU_SSE41},
    {"sse4_1", CPU_SSE41},
    {"sse4.2", CPU_SSE42},
    {"sse4-2", CPU_SSE42},
    {"sse4_2", CPU_SSE42},
    {"x2apic", CPU_X2APIC},
    {"movbe", CPU_MOVBE},
    {"popcnt", CPU_POPCNT},
    {"tsc-deadline", CPU_TSC_DEADLINE},
    {"aes", CPU_AES},
    {"xsave", CPU_XSAVE},
    {"avx", CPU_AVX},
    {"f16c", CPU_F16C},
    {"rdrand", CPU_RDRAND},
    {"hypervisor", CPU_HYPERVISOR},
    {"fsgsbase", CPU_FSGSBASE},
    {"tsc-adjust", CPU_TSC_ADJUST},
    {"bmi1", CPU_BMI1},
    {"avx2", CPU_AVX2},
    {"smep", CPU_SMEP},
    {"bmi2", CPU_BMI2},
    {"erms", CPU_ERMS},
    {"invpcid", CPU_INVPCID},
    {"rdseed", CPU_RDSEED},
    {"adx", CPU_ADX},
    {"smap", CPU_SMAP},
    {"clflushopt", CPU_CLFLUSHOPT},
    {"clwb", CPU_CLWB},
    {"sha-ni", CPU_SHA},
    {"umip", CPU_UMIP},
    {"gfni", CPU_GFNI},
    {"vaes", CPU_VAES},
    {"vpclmulqdq", CPU_VPCLMULQDQ},
    {"rdpid", CPU_RDPID},
    {"spec-ctrl", CPU_SPEC_CTRL},
    {"arch-capabilities", CPU_ARCH_CAPABILITIES},
    {"syscall", CPU_SYSCALL},
    {"nx", CPU_NX},
    {"fxsr-opt", CPU_FFXSR},
    {"fxsr_opt", CPU_FFXSR},
    {"pdpe1gb", CPU_PDPE1GB},
    {"rdtscp", CPU_RDTSCP},
    {"lm", CPU_LM},
    {"lahf-lm", CPU_LAHF64},
    {"lahf_lm", CPU_LAHF64},
    {"abm", CPU_ABM},
    {"lzcnt", CPU_ABM},
    {"3dnowprefetch", CPU_PREFETCHW},
    {"xsaveopt", CPU_XSAVEOPT},
    {"xsavec", CPU_XSAVEC},
    {"xgetbv1", CPU_XGETBV1},
    {"arat", CPU_ARAT},
    {"invtsc", CPU_INVTSC},
};

#define BIT(feature) (1u << ((feature) % 32))

/* Sets of features that models are made of. */
enum {
    EDX_486 = BIT(CPU_FPU) | BIT(CPU_VME) | BIT(CPU_PSE),
    EDX_PENTIUM = EDX_486 | BIT(CPU_DE) | BIT(CPU_TSC) | BIT(CPU_MSR) | BIT(CPU_MCE) |
                  BIT(CPU_CX8) | BIT(CPU_MMX) | BIT(CPU_APIC),
    EDX_PC = EDX_PENTIUM | BIT(CPU_PAE) | BIT(CPU_SEP) | BIT(CPU_MTRR) | BIT(CPU_PGE) |
             BIT(CPU_MCA) | BIT(CPU_CMOV) | BIT(CPU_PAT) | BIT(CPU_PSE36) | BIT(CPU_CLFLUSH) |
             BIT(CPU_FXSR) | BIT(CPU_SSE) | BIT(CPU_SSE2),
    ECX_V2 = BIT(CPU_SSE3) | BIT(CPU_SSSE3) | BIT(CPU_SSE41) | BIT(CPU_SSE42) | BIT(CPU_CX16) |
             BIT(CPU_POPCNT),
    EXT_64 = BIT(CPU_SYSCALL) | BIT(CPU_NX) | BIT(CPU_LM),
};
#define ECX_HYPERVISOR (1u << 31)

/* What the integer side of our engines runs. The vector side says for itself what it can. */
static const uint32_t can_run[FEAT_WORDS] = {
    [FEAT_1_EDX] = EDX_PC,
    [FEAT_1_ECX] = BIT(CPU_MONITOR) | BIT(CPU_CX16) | BIT(CPU_PCID) | BIT(CPU_X2APIC) |
                   BIT(CPU_MOVBE) | BIT(CPU_POPCNT) | BIT(CPU_TSC_DEADLINE) | BIT(CPU_RDRAND) |
                   ECX_HYPERVISOR,
    [FEAT_7_EBX] = BIT(CPU_FSGSBASE) | BIT(CPU_TSC_ADJUST) | BIT(CPU_BMI1) | BIT(CPU_SMEP) |
                   BIT(CPU_BMI2) | BIT(CPU_ERMS) | BIT(CPU_INVPCID) | BIT(CPU_RDSEED) |
                   BIT(CPU_ADX) | BIT(CPU_SMAP) | BIT(CPU_CLFLUSHOPT) | BIT(CPU_CLWB),
    [FEAT_7_ECX] = BIT(CPU_UMIP) | BIT(CPU_RDPID),
    [FEAT_7_EDX] = BIT(CPU_SPEC_CTRL) | BIT(CPU_ARCH_CAPABILITIES),
    [FEAT_8_1_EDX] = EXT_64 | BIT(CPU_PDPE1GB) | BIT(CPU_RDTSCP) | BIT(CPU_FFXSR),
    [FEAT_8_1_ECX] = BIT(CPU_LAHF64) | BIT(CPU_ABM) | BIT(CPU_PREFETCHW),
    [FEAT_D_1_EAX] = BIT(CPU_XSAVEOPT) | BIT(CPU_XSAVEC) | BIT(CPU_XGETBV1),
    [FEAT_6_EAX] = BIT(CPU_ARAT),
    [FEAT_8_7_EDX] = BIT(CPU_INVTSC),
};

/* Runs, but "max" leaves it out: idling by MWAIT would keep the host's processor busy. */
static const uint32_t not_by_default[FEAT_WORDS] = {[FEAT_1_ECX] = BIT(CPU_MONITOR)};

struct known_model {
    const char *name, *vendor, *brand;
    uint8_t family, model, stepping;
    uint32_t leaf, extended_leaf;
    uint32_t edx, ecx, ext_edx, ext_ecx; /* leaf 1 and 80000001h; all zero: everything there is */
    const char *summary;
};

static const char brand[] = "Trapeze Virtual CPU";
static const struct known_model models[] = {
    {"max", "AuthenticAMD", brand, 6, 6, 3, 0x16, 0x80000021, 0, 0, 0, 0,
     "everything that can be run here (default)"},
    {"host", "AuthenticAMD", brand, 6, 6, 3, 0x16, 0x80000021, 0, 0, 0, 0, "the same as max"},
    {"qemu64", "AuthenticAMD", brand, 15, 107, 1, 0xd, 0x8000000a, EDX_PC,
     BIT(CPU_SSE3) | BIT(CPU_CX16) | ECX_HYPERVISOR, EXT_64, BIT(CPU_LAHF64),
     "a plain 64-bit processor"},
    {"qemu32", "GenuineIntel", brand, 6, 6, 3, 4, 0x80000004, EDX_PC,
     BIT(CPU_SSE3) | ECX_HYPERVISOR, 0, 0, "a plain 32-bit processor"},
    {"kvm64", "GenuineIntel", "Common KVM processor", 15, 6, 1, 0xd, 0x80000008, EDX_PC,
     BIT(CPU_SSE3) | BIT(CPU_CX16) | ECX_HYPERVISOR, EXT_64, 0, "a plain 64-bit Pentium 4"},
    {"486", "GenuineIntel", "", 4, 8, 0, 1, 0, EDX_486, 0, 0, 0, "80486"},
    {"pentium", "GenuineIntel", "", 5, 4, 3, 1, 0, EDX_PENTIUM, 0, 0, 0, "Pentium MMX"},
    {"core2duo", "GenuineIntel", "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz", 6, 15, 11, 10,
     0x80000008, EDX_PC, BIT(CPU_SSE3) | BIT(CPU_SSSE3) | BIT(CPU_CX16) | ECX_HYPERVISOR, EXT_64,
     BIT(CPU_LAHF64), "Core 2 Duo"},
    {"Nehalem", "GenuineIntel", "Intel Core i7 9xx (Nehalem Class Core i7)", 6, 26, 3, 11,
     0x80000008, EDX_PC, ECX_V2 | ECX_HYPERVISOR, EXT_64, BIT(CPU_LAHF64),
     "Core i7 of 2008: x86-64-v2"},
};

/* What vector.c and the host's unit offer. */
static void add_vector_features(uint32_t *features)
{
    struct hostunit_features host;
    hostunit_features(&host);
    features[FEAT_1_EDX] |= host.leaf1_edx;
    features[FEAT_1_ECX] |= host.leaf1_ecx;
    features[FEAT_7_EBX] |= host.leaf7_ebx;
    features[FEAT_7_ECX] |= host.leaf7_ecx;
}

static void everything(uint32_t *features)
{
    memcpy(features, can_run, sizeof(can_run));
    add_vector_features(features);
}

/* Steps from one word to the other: insertions, deletions, replacements. */
static unsigned distance(const char *a, const char *b)
{
    enum { LONGEST = 32 };
    unsigned row[LONGEST + 1];
    size_t length = strlen(b);
    if (length > LONGEST || strlen(a) > LONGEST)
        return LONGEST;
    for (unsigned j = 0; j <= length; j++)
        row[j] = j;
    for (unsigned i = 0; a[i]; i++) {
        unsigned diagonal = row[0];
        row[0] = i + 1;
        for (unsigned j = 0; j < length; j++) {
            unsigned replace = diagonal + (a[i] != b[j]);
            unsigned other = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = replace < other ? replace : other;
        }
    }
    return row[length];
}

static const struct known_model *find_model(const char *name, const char **nearest)
{
    unsigned best = UINT32_MAX;
    for (unsigned i = 0; i < ARRAY_LEN(models); i++) {
        unsigned d = distance(name, models[i].name);
        if (!strcmp(name, models[i].name))
            return &models[i];
        if (d < best) {
            best = d;
            *nearest = models[i].name;
        }
    }
    return NULL;
}

static const struct feature_name *find_feature(const char *name, const char **nearest)
{
    unsigned best = UINT32_MAX;
    for (unsigned i = 0; i < ARRAY_LEN(feature_names); i++) {
        unsigned d = distance(name, feature_names[i].name);
        if (!d)
            return &feature_names[i];
        if (d < best) {
            best = d;
            *nearest = feature_names[i].name;
        }
    }
    return NULL;
}

static int set_feature(struct cpu_model *model, const char *name, bool on, struct error *err)
{
    uint32_t possible[FEAT_WORDS];
    const char *nearest = "";
    if (!strcmp(name, "kvmclock") || !strcmp(name, "kvm")) {
        model->kvm = on;
        return 0;
    }
    const struct feature_name *f = find_feature(name, &nearest);
    if (!f)
        return error_set(err, EINVAL,
                         "-cpu: there is no feature '%s'; the nearest is '%s' (see -cpu help)",
                         name, nearest);
    unsigned word = f->feature / 32;
    uint32_t bit = 1u << (f->feature % 32);
    everything(possible);
    if (on && !(possible[word] & bit))
        return error_set(err, ENOTSUP, "-cpu: feature '%s' cannot be run here; leave it out", name);
    if (on)
        model->features[word] |= bit;
    else
        model->features[word] &= ~bit;
    return 0;
}

/* One item after the model's name: +feature, -feature, feature, feature=on|off. */
static int apply_item(struct cpu_model *model, char *item, struct error *err)
{
    bool on = true;
    char *value = strchr(item, '=');
    if (*item == '+' || *item == '-') {
        on = *item == '+';
        return set_feature(model, item + 1, on, err);
    }
    if (value) {
        *value++ = 0;
        if (!strcmp(item, "phys-bits")) {
            char *end;
            unsigned long bits = strtoul(value, &end, 10);
            if (*end || bits < 32 || bits > 48)
                return error_set(err, EINVAL, "-cpu: phys-bits must be 32 to 48, not '%s'", value);
            model->physical_bits = (unsigned)bits;
            return 0;
        }
        on = !strcmp(value, "on") || !strcmp(value, "yes") || !strcmp(value, "true");
        if (!on && strcmp(value, "off") != 0 && strcmp(value, "no") != 0 &&
            strcmp(value, "false") != 0)
            return error_set(err, EINVAL, "-cpu: '%s' must be on or off, not '%s'", item, value);
    }
    return set_feature(model, item, on, err);
}

/* Features that others rest on: without the base they go too. */
static void mend(struct cpu_model *model)
{
    static const uint16_t needs[][2] = {
        {CPU_SSE, CPU_FXSR},       {CPU_SSE2, CPU_SSE},
        {CPU_SSE3, CPU_SSE2},      {CPU_SSSE3, CPU_SSE3},
        {CPU_SSE41, CPU_SSSE3},    {CPU_SSE42, CPU_SSE41},
        {CPU_AES, CPU_SSE2},       {CPU_PCLMUL, CPU_SSE2},
        {CPU_SHA, CPU_SSSE3},      {CPU_AVX, CPU_XSAVE},
        {CPU_AVX, CPU_SSE42},      {CPU_AVX2, CPU_AVX},
        {CPU_FMA, CPU_AVX},        {CPU_F16C, CPU_AVX},
        {CPU_XSAVEOPT, CPU_XSAVE}, {CPU_XSAVEC, CPU_XSAVE},
        {CPU_XGETBV1, CPU_XSAVE},  {CPU_VAES, CPU_AVX},
        {CPU_VPCLMULQDQ, CPU_AVX}, {CPU_GFNI, CPU_SSE2},
        {CPU_LM, CPU_PAE},         {CPU_NX, CPU_PAE},
        {CPU_LM, CPU_MSR},         {CPU_SYSCALL, CPU_MSR},
        {CPU_X2APIC, CPU_APIC},    {CPU_TSC_DEADLINE, CPU_APIC},
        {CPU_PDPE1GB, CPU_LM},     {CPU_PCID, CPU_LM},
    };
    for (unsigned i = 0; i < ARRAY_LEN(needs); i++)
        if (!cpu_model_has(model, (enum cpu_feature)needs[i][1]))
            model->features[needs[i][0] / 32] &= ~(1u << (needs[i][0] % 32));
    if (!cpu_model_has(model, CPU_MSR) || !cpu_model_has(model, CPU_HYPERVISOR))
        model->kvm = false;
}

static void fill(struct cpu_model *model, const struct known_model *known)
{
    uint32_t possible[FEAT_WORDS];
    everything(possible);
    *model = (struct cpu_model){.family = known->family,
                                .model = known->model,
                                .stepping = known->stepping,
                                .max_leaf = known->leaf,
                                .max_extended_leaf = known->extended_leaf,
                                .physical_bits = known->ext_edx || !known->edx ? 40 : 36};
    snprintf(model->name, sizeof(model->name), "%s", known->name);
    snprintf(model->vendor, sizeof(model->vendor), "%s", known->vendor);
    snprintf(model->brand, sizeof(model->brand), "%s", known->brand);
    if (!known->edx) {
        for (unsigned i = 0; i < FEAT_WORDS; i++)
            model->features[i] = possible[i] & ~not_by_default[i];
    } else {
        model->features[FEAT_1_EDX] = known->edx & possible[FEAT_1_EDX];
        model->features[FEAT_1_ECX] = known->ecx & possible[FEAT_1_ECX];
        model->features[FEAT_8_1_EDX] = known->ext_edx & possible[FEAT_8_1_EDX];
        model->features[FEAT_8_1_ECX] = known->ext_ecx & possible[FEAT_8_1_ECX];
        if (known->leaf >= 6)
            model->features[FEAT_6_EAX] = BIT(CPU_ARAT);
    }
    model->kvm = true;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    model->epoch_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    model->epoch_tsc = __builtin_ia32_rdtsc();
}

int cpu_model_create(struct cpu_model *model, const char *spec, struct error *err)
{
    const char *nearest = "";
    char *copy = strdup(spec && *spec ? spec : "max");
    if (!copy)
        return error_set(err, ENOMEM, "-cpu: out of memory");
    char *rest = copy;
    char *name = strsep(&rest, ",");
    int result = 0;
    const struct known_model *known = find_model(name, &nearest);
    if (!known)
        result = error_set(err, EINVAL,
                           "-cpu: there is no model '%s'; the nearest is '%s' (see -cpu help)",
                           name, nearest);
    else
        fill(model, known);
    char *item;
    while (!result && (item = strsep(&rest, ",")))
        if (*item)
            result = apply_item(model, item, err);
    free(copy);
    if (!result)
        mend(model);
    return result;
}

char *cpu_model_help(void)
{
    uint32_t possible[FEAT_WORDS];
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    everything(possible);
    fprintf(out, "Available CPUs:\n");
    for (unsigned i = 0; i < ARRAY_LEN(models); i++)
        fprintf(out, "x86 %-12s %s\n", models[i].name, models[i].summary);
    fprintf(out, "\nFeatures that can be run here (+name or -name after the model):\n");
    unsigned column = 0;
    for (unsigned i = 0; i < ARRAY_LEN(feature_names); i++) {
        const struct feature_name *f = &feature_names[i];
        if (!(possible[f->feature / 32] & 1u << (f->feature % 32)))
            continue;
        if (column + strlen(f->name) > 74) {
            fprintf(out, "\n");
            column = 0;
        }
        column += (unsigned)fprintf(out, "  %s", f->name);
    }
    fprintf(out, "\n");
    fclose(out);
    return text;
}
