/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names of CPUID's feature bits, as QEMU's -cpu spells them. SDM 2A CPUID, AMD APM 3 appendix E,
 * Linux Documentation/virt/kvm/x86/cpuid.rst.
 */
#include "cpu/model_internal.h"

#include <string.h>

#include "base/bytes.h"

const struct feature_word_name feature_words[FEAT_WORDS] = {
    [FEAT_1_EDX] = {"CPUID.01H:EDX",
                    {"fpu",  "vme",   "de",   "pse",     "tsc",  "msr", "pae",  "mce",
                     "cx8",  "apic",  NULL,   "sep",     "mtrr", "pge", "mca",  "cmov",
                     "pat",  "pse36", "pn",   "clflush", NULL,   "ds",  "acpi", "mmx",
                     "fxsr", "sse",   "sse2", "ss",      "ht",   "tm",  "ia64", "pbe"}},
    [FEAT_1_ECX] = {"CPUID.01H:ECX",
                    {"pni",    "pclmulqdq", "dtes64", "monitor",      "ds-cpl", "vmx",    "smx",
                     "est",    "tm2",       "ssse3",  "cid",          NULL,     "fma",    "cx16",
                     "xtpr",   "pdcm",      NULL,     "pcid",         "dca",    "sse4.1", "sse4.2",
                     "x2apic", "movbe",     "popcnt", "tsc-deadline", "aes",    "xsave",  NULL,
                     "avx",    "f16c",      "rdrand", "hypervisor"}},
    [FEAT_7_EBX] = {"CPUID.07H:EBX",
                    {"fsgsbase", "tsc-adjust", "sgx",      "bmi1",       "hle",      "avx2",
                     NULL,       "smep",       "bmi2",     "erms",       "invpcid",  "rtm",
                     NULL,       NULL,         "mpx",      NULL,         "avx512f",  "avx512dq",
                     "rdseed",   "adx",        "smap",     "avx512ifma", "pcommit",  "clflushopt",
                     "clwb",     "intel-pt",   "avx512pf", "avx512er",   "avx512cd", "sha-ni",
                     "avx512bw", "avx512vl"}},
    [FEAT_7_ECX] = {"CPUID.07H:ECX",
                    {NULL,         "avx512vbmi",  "umip",         "pku",       NULL,
                     "waitpkg",    "avx512vbmi2", NULL,           "gfni",      "vaes",
                     "vpclmulqdq", "avx512vnni",  "avx512bitalg", NULL,        "avx512-vpopcntdq",
                     NULL,         "la57",        NULL,           NULL,        NULL,
                     NULL,         NULL,          "rdpid",        NULL,        "bus-lock-detect",
                     "cldemote",   NULL,          "movdiri",      "movdir64b", NULL,
                     "sgxlc",      "pks"}},
    [FEAT_7_EDX] = {"CPUID.07H:EDX",
                    {NULL,
                     NULL,
                     "avx512-4vnniw",
                     "avx512-4fmaps",
                     "fsrm",
                     NULL,
                     NULL,
                     NULL,
                     "avx512-vp2intersect",
                     NULL,
                     "md-clear",
                     NULL,
                     NULL,
                     NULL,
                     "serialize",
                     NULL,
                     "tsx-ldtrk",
                     NULL,
                     NULL,
                     "arch-lbr",
                     NULL,
                     NULL,
                     "amx-bf16",
                     "avx512-fp16",
                     "amx-tile",
                     "amx-int8",
                     "spec-ctrl",
                     "stibp",
                     NULL,
                     "arch-capabilities",
                     "core-capability",
                     "ssbd"}},
    [FEAT_7_1_EAX] = {"CPUID.07H:EAX", {[4] = "avx-vnni", [5] = "avx512-bf16"}},
    [FEAT_8_1_EDX] = {"CPUID.80000001H:EDX",
                      {[11] = "syscall",
                       [20] = "nx",
                       [22] = "mmxext",
                       [25] = "fxsr-opt",
                       [26] = "pdpe1gb",
                       [27] = "rdtscp",
                       [29] = "lm",
                       [30] = "3dnowext",
                       [31] = "3dnow"}},
    [FEAT_8_1_ECX] = {"CPUID.80000001H:ECX", {"lahf-lm",   "cmp-legacy",  "svm",
                                              "extapic",   "cr8legacy",   "abm",
                                              "sse4a",     "misalignsse", "3dnowprefetch",
                                              "osvw",      "ibs",         "xop",
                                              "skinit",    "wdt",         NULL,
                                              "lwp",       "fma4",        "tce",
                                              NULL,        "nodeid-msr",  NULL,
                                              "tbm",       "topoext",     "perfctr-core",
                                              "perfctr-nb"}},
    [FEAT_8_7_EDX] = {"CPUID.80000007H:EDX", {[8] = "invtsc"}},
    [FEAT_8_8_EBX] = {"CPUID.80000008H:EBX",
                      {[0] = "clzero",
                       [2] = "xsaveerptr",
                       [9] = "wbnoinvd",
                       [12] = "ibpb",
                       [14] = "ibrs",
                       [15] = "amd-stibp",
                       [24] = "amd-ssbd",
                       [25] = "virt-ssbd",
                       [26] = "amd-no-ssb"}},
    [FEAT_8_A_EDX] = {"CPUID.8000000AH:EDX",
                      {"npt", "lbrv", "svm-lock", "nrip-save", "tsc-scale", "vmcb-clean",
                       "flushbyasid", "decodeassists", NULL, NULL, "pause-filter", NULL,
                       "pfthreshold", "avic", NULL, "v-vmsave-vmload",
                       "vgif", [28] = "svme-addr-chk"}},
    [FEAT_D_1_EAX] = {"CPUID.0DH:EAX", {"xsaveopt", "xsavec", "xgetbv1", "xsaves", "xfd"}},
    [FEAT_6_EAX] = {"CPUID.06H:EAX", {[2] = "arat"}},
    [FEAT_KVM] = {"CPUID.40000001H:EAX",
                  {"kvmclock", "kvm-nopiodelay", "kvm-mmu", "kvmclock", "kvm-asyncpf",
                   "kvm-steal-time", "kvm-pv-eoi", "kvm-pv-unhalt", NULL, "kvm-pv-tlb-flush", NULL,
                   "kvm-pv-ipi", "kvm-poll-control", "kvm-pv-sched-yield", "kvm-asyncpf-int",
                   "kvm-msi-ext-dest-id", [24] = "kvmclock-stable-bit"}},
    [FEAT_ARCH_CAP] = {"MSR(10AH)",
                       {"rdctl-no", "ibrs-all", "rsba", "skip-l1dfl-vmentry", "ssb-no", "mds-no",
                        "pschange-mc-no", "tsx-ctrl", "taa-no"}},
    [FEAT_OTHER] = {"another leaf",
                    {"split-lock-detect",
                     "intel-pt-lip",
                     "sgx1",
                     "sgx2",
                     "sgx-debug",
                     "sgx-mode64",
                     "sgx-provisionkey",
                     "sgx-tokenkey",
                     "sgx-kss",
                     "sgx-exinfo",
                     "xstore",
                     "xstore-en",
                     "xcrypt",
                     "xcrypt-en",
                     "ace2",
                     "ace2-en",
                     "phe",
                     "phe-en",
                     "pmm",
                     "pmm-en",
                     "full-width-write",
                     "kvm-hint-dedicated"}},
};

/* Second names of the same bits. */
static const struct feature_alias {
    const char *name, *meant;
} aliases[] = {
    {"sse3", "pni"},
    {"pclmuldq", "pclmulqdq"},
    {"sse4-1", "sse4.1"},
    {"sse4-2", "sse4.2"},
    {"xd", "nx"},
    {"ffxsr", "fxsr-opt"},
    {"i64", "lm"},
    {"lzcnt", "abm"},
    {"avx512vpopcntdq", "avx512-vpopcntdq"},
};

bool feature_find(const char *name, size_t length, uint32_t *mask)
{
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
        if (strlen(aliases[i].name) == length && !memcmp(aliases[i].name, name, length)) {
            name = aliases[i].meant;
            length = strlen(name);
            break;
        }
    memset(mask, 0, FEAT_WORDS * sizeof(*mask));
    for (unsigned word = 0; word < FEAT_WORDS; word++)
        for (unsigned bit = 0; bit < 32; bit++) {
            const char *n = feature_words[word].bits[bit];
            if (!n || strlen(n) != length || memcmp(n, name, length) != 0)
                continue;
            mask[word] |= 1u << bit;
            found = true;
        }
    return found;
}

const char *feature_nearest(const char *name)
{
    const char *nearest = "";
    unsigned best = UINT32_MAX;
    for (unsigned i = 0; i < FEAT_WORDS * 32; i++) {
        const char *candidate = feature_words[i / 32].bits[i % 32];
        unsigned d = candidate ? name_distance(name, candidate) : UINT32_MAX;
        if (d < best) {
            best = d;
            nearest = candidate;
        }
    }
    return nearest;
}

/* Steps from one word to the other: insertions, deletions, replacements. */
unsigned name_distance(const char *a, const char *b)
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
