/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A feature that -cpu masks is not there: its instructions are #UD, its bits of CR4 and its MSRs
 * #GP, and all of them work on the model that has it.
 */
#include "cpu/model_internal.h"
#include "x86/long_bench.h"

#include <stdio.h>

struct sample {
    const char *feature;
    const char *bytes; /* RBX points to 64-byte aligned memory */
    unsigned length;
};

static const struct sample samples[] = {
    {"tsc", "\x0f\x31", 2},
    {"cx8", "\x0f\xc7\x0b", 3},
    {"cmov", "\x0f\x44\xc1", 3},
    {"cmov", "\xda\xc1", 2},         /* FCMOVB */
    {"cmov", "\xdb\xf1", 2},         /* FCOMI */
    {"cmov", "\x0f\x1f\x00", 3},     /* NOP of several bytes: since the Pentium Pro */
    {"cmov", "\x0f\x18\x0b", 3},     /* PREFETCHNTA: one of those NOPs before it was that */
    {"cmov", "\xf3\x0f\x1e\xfa", 4}, /* ENDBR64: likewise */
    {"clflush", "\x0f\xae\x3b", 3},
    {"mmx", "\x0f\xef\xc1", 3},
    {"mmx", "\x31\xc9\x0f\x33", 4}, /* RDPMC, with no bit of its own */
    {"fxsr", "\x0f\xae\x03", 3},
    {"sse", "\x0f\x58\xc1", 3},
    {"sse", "\x0f\xae\x1b", 3}, /* STMXCSR */
    {"sse", "\x0f\xae\xf8", 3}, /* SFENCE */
    {"sse", "\x0f\xe0\xc1", 3}, /* PAVGB, PSHUFW, PMOVMSKB, PINSRW, MOVNTQ: on MMX registers */
    {"sse", "\x0f\x70\xc1\x00", 4},
    {"sse", "\x0f\xd7\xc1", 3},
    {"sse", "\x0f\xc4\xc1\x00", 4},
    {"sse", "\x0f\xe7\x0b", 3},
    {"sse", "\x0f\xc5\xc1\x00",
     4}, /* PEXTRW, and PMINUB, PMAXUB, PAVGW, PMULHUW, PMINSW, PMAXSW, PSADBW */
    {"sse", "\x0f\xda\xc1", 3},
    {"sse", "\x0f\xde\xc1", 3},
    {"sse", "\x0f\xe3\xc1", 3},
    {"sse", "\x0f\xe4\xc1", 3},
    {"sse", "\x0f\xea\xc1", 3},
    {"sse", "\x0f\xee\xc1", 3},
    {"sse", "\x0f\xf6\xc1", 3},
    {"sse", "\x0f\xf7\xc1", 3}, /* MASKMOVQ, to [DI] */
    {"sse2", "\x66\x0f\x58\xc1", 4},
    {"sse2", "\x0f\xae\xf0", 3}, /* MFENCE */
    {"sse2", "\x0f\xae\xe8", 3}, /* LFENCE */
    {"sse2", "\x0f\xd4\xc1", 3}, /* PADDQ, PMULUDQ: on MMX registers */
    {"sse2", "\x0f\xf4\xc1", 3},
    {"sse2", "\x0f\xc3\x0b", 3}, /* MOVNTI */
    {"sse2", "\x66\x0f\x6f\xc1", 4},
    {"pni", "\xf2\x0f\xd0\xc1", 4},
    {"pni", "\xdf\x0b", 2}, /* FISTTP */
    {"pclmulqdq", "\x66\x0f\x3a\x44\xc1\x00", 6},
    {"monitor", "\x0f\x01\xc8", 3},
    {"ssse3", "\x66\x0f\x38\x1c\xc1", 5},
    {"fma", "\xc4\xe2\x71\x98\xc2", 5},
    {"cx16", "\x48\x0f\xc7\x0b", 4},
    {"sse4.1", "\x66\x0f\x38\x10\xc1", 5},
    {"sse4.2", "\x66\x0f\x38\x37\xc1", 5},
    {"sse4.2", "\xf2\x0f\x38\xf1\xc1", 5}, /* CRC32 */
    {"movbe", "\x0f\x38\xf0\x03", 4},
    {"popcnt", "\xf3\x0f\xb8\xc1", 4},
    {"aes", "\x66\x0f\x38\xdc\xc1", 5},
    {"aes", "\xc4\xe2\x71\xdc\xc1", 5},
    {"xsave", "\x0f\x01\xd0", 3},
    {"xsave", "\x0f\xae\x23", 3},
    {"avx", "\xc5\xf0\x58\xc1", 4},
    {"f16c", "\xc4\xe2\x79\x13\xc1", 5},
    {"rdrand", "\x0f\xc7\xf0", 3},
    {"fsgsbase", "\xf3\x0f\xae\xc0", 4},
    {"bmi1", "\xc4\xe2\x70\xf2\xc1", 5},
    {"avx2", "\xc5\xf5\xfc\xc1", 4},
    {"bmi2", "\xc4\xe2\x73\xf5\xc1", 5},
    {"invpcid", "\x66\x0f\x38\x82\x03", 5},
    {"rdseed", "\x0f\xc7\xf8", 3},
    {"adx", "\x66\x0f\x38\xf6\xc1", 5},
    {"smap", "\x0f\x01\xca", 3},
    {"clflushopt", "\x66\x0f\xae\x3b", 4},
    {"clwb", "\x66\x0f\xae\x33", 4},
    {"sha-ni", "\x0f\x38\xc8\xc1", 4},
    {"gfni", "\x66\x0f\x38\xcf\xc1", 5},
    {"vaes", "\xc4\xe2\x75\xdc\xc1", 5},
    {"vpclmulqdq", "\xc4\xe3\x75\x44\xc1\x00", 6},
    {"rdpid", "\xf3\x0f\xc7\xf8", 4},
    {"serialize", "\x0f\x01\xe8", 3},
    {"avx-vnni", "\xc4\xe2\x71\x50\xc1", 5},
    {"avx512f", "\x62\xf1\x74\x48\x58\xc1", 6},
    {"avx512vl", "\x62\xf1\x74\x08\x58\xc1", 6},
    {"avx512bw", "\x62\xf1\x75\x48\xfc\xc1", 6},
    {"avx512dq", "\x62\xf1\x74\x48\x54\xc1", 6},
    {"avx512cd", "\x62\xf2\x7d\x48\xc4\xc1", 6},
    {"avx512bw", "\xc4\xe1\xf8\x90\xca", 5}, /* KMOVQ */
    {"avx512f", "\xc5\xf8\x90\xca", 4},      /* KMOVW */
    {"avx512vbmi", "\x62\xf2\x75\x48\x8d\xc1", 6},
    {"avx512vnni", "\x62\xf2\x75\x48\x50\xc1", 6},
    {"syscall", "\x0f\x05", 2},
    {"sep", "\x0f\x34", 2},
    {"rdtscp", "\x0f\x01\xf9", 3},
    {"lahf-lm", "\x9f", 1},
    {"msr", "\xb9\x10\x00\x00\x00\x0f\x32", 7},
    {"xsaveopt", "\x0f\xae\x33", 3},
    {"xsavec", "\x0f\xc7\x23", 3},
};

static int run_sample(const struct sample *s, const char *model)
{
    struct long_bench l;
    long_new(&l, model, &interp_engine);
    if (cpu_model_has(l.b->cpu->model, CPU_LM))
        long_enter(&l, 0);
    else
        flat_enter(&l);
    l.b->cpu->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
    l.b->cpu->fpu.xcr0 |= XSTATE_AVX512;
    l.b->cpu->lstar = l.b->cpu->sysenter_eip = LONG_RETURN;
    l.b->cpu->star = (uint64_t)LONG_CS << 32;
    l.b->cpu->sysenter_cs = LONG_CS;
    int vector = long_run(&l, (const uint8_t *)s->bytes, s->length);
    long_free(&l);
    return vector;
}

static void instructions(void **state)
{
    struct cpu_model max;
    struct error err;
    (void)state;
    unsigned tried = 0;
    for (unsigned i = 0; i < ARRAY_LEN(samples); i++) {
        const struct sample *s = &samples[i];
        char with[64], without[64];
        /* What SYSENTER does differs by maker. */
        snprintf(with, sizeof(with), "max,vendor=%s,+%s",
                 strcmp(s->feature, "sep") ? "AuthenticAMD" : "GenuineIntel", s->feature);
        snprintf(without, sizeof(without), "max,-%s", s->feature);
        assert_int_equal(cpu_model_create(&max, with, &err), 0);
        char *missing = cpu_model_warnings(&max);
        bool there = !*missing;
        free(missing);
        if (!there) {
            print_message("# this host has no %s\n", s->feature);
            continue;
        }
        int vector = run_sample(s, with);
        if (vector != LONG_FINE)
            print_message("# sample %u of %s: vector %d where it is there\n", i, s->feature,
                          vector);
        assert_int_equal(vector, LONG_FINE);
        vector = run_sample(s, without);
        if (vector != VEC_UD)
            print_message("# sample %u of %s: vector %d without it\n", i, s->feature, vector);
        assert_int_equal(vector, VEC_UD);
        tried++;
    }
    assert_true(tried > 40);
}

/* What models of -cpu stand for, in the words of the samples: the instructions that came with the
 * processor it is named after, or that QEMU's model of that name has. */
static const struct named_model {
    const char *name, *features;
} named_models[] = {
    {"486", ""},
    {"pentium", "tsc cx8 msr mmx"},
    {"pentium2", "tsc cx8 msr mmx cmov sep fxsr"},
    {"pentium3", "tsc cx8 msr mmx cmov sep fxsr sse"},
    {"athlon", "tsc cx8 msr mmx cmov sep fxsr sse sse2"},
    {"qemu32", "tsc cx8 msr mmx cmov sep fxsr sse sse2 pni"},
    {"kvm32", "tsc cx8 msr mmx cmov sep fxsr sse sse2 pni clflush"},
    {"coreduo", "tsc cx8 msr mmx cmov sep fxsr sse sse2 pni clflush"},
    {"n270", "tsc cx8 msr mmx cmov sep fxsr sse sse2 pni clflush ssse3 movbe"},
    {"core2duo", "tsc cx8 msr mmx cmov sep fxsr sse sse2 pni clflush ssse3 cx16 syscall lahf-lm"},
    {"qemu64", "tsc cx8 msr mmx cmov fxsr sse sse2 pni clflush cx16 syscall lahf-lm"},
    {"kvm64", "tsc cx8 msr mmx cmov sep fxsr sse sse2 pni clflush cx16 syscall"},
    {"phenom", "tsc cx8 msr mmx cmov fxsr sse sse2 pni clflush cx16 syscall lahf-lm popcnt rdtscp"},
    {"Nehalem", "tsc cx8 msr mmx cmov sep fxsr sse sse2 pni clflush cx16 syscall lahf-lm ssse3 "
                "sse4.1 sse4.2 popcnt"},
    {"Haswell", "tsc cx8 msr mmx cmov sep fxsr sse sse2 pni clflush cx16 syscall lahf-lm ssse3 "
                "sse4.1 sse4.2 popcnt aes pclmulqdq xsave xsaveopt avx rdtscp f16c rdrand fsgsbase "
                "fma movbe bmi1 bmi2 avx2 invpcid"},
    {"EPYC", "tsc cx8 msr mmx cmov fxsr sse sse2 pni clflush cx16 syscall lahf-lm ssse3 sse4.1 "
             "sse4.2 popcnt aes pclmulqdq xsave xsaveopt xsavec avx rdtscp f16c rdrand fsgsbase "
             "fma movbe bmi1 bmi2 avx2 rdseed adx smap clflushopt sha-ni"},
    {"x86-64-v1", "tsc cx8 msr mmx cmov sep fxsr sse sse2 clflush syscall"},
    {"x86-64-v2", "tsc cx8 msr mmx cmov sep fxsr sse sse2 clflush syscall pni ssse3 cx16 sse4.1 "
                  "sse4.2 popcnt lahf-lm"},
    {"x86-64-v3", "tsc cx8 msr mmx cmov sep fxsr sse sse2 clflush syscall pni ssse3 cx16 sse4.1 "
                  "sse4.2 popcnt lahf-lm fma movbe xsave avx f16c bmi1 bmi2 avx2"},
    {"x86-64-v4", "tsc cx8 msr mmx cmov sep fxsr sse sse2 clflush syscall pni ssse3 cx16 sse4.1 "
                  "sse4.2 popcnt lahf-lm fma movbe xsave avx f16c bmi1 bmi2 avx2 avx512f avx512vl "
                  "avx512bw avx512dq avx512cd"},
};

static bool in_list(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *p = list; (p = strstr(p, word)); p += length)
        if ((p == list || p[-1] == ' ') && (!p[length] || p[length] == ' '))
            return true;
    return false;
}

/* 32-bit code has these bytes for something else. */
static bool is_for_64_bits(const struct sample *s)
{
    return in_list("cx16 lahf-lm", s->feature);
}

static bool host_has(const struct cpu_model *max, const char *feature)
{
    uint32_t mask[FEAT_WORDS];
    assert_true(feature_find(feature, strlen(feature), mask));
    for (unsigned i = 0; i < FEAT_WORDS; i++)
        if (mask[i] & ~max->features[i])
            return false;
    return true;
}

static void as_on_that_model(void **state)
{
    struct cpu_model max;
    struct error err;
    (void)state;
    assert_int_equal(cpu_model_create(&max, "max,+monitor", &err), 0);
    for (unsigned m = 0; m < ARRAY_LEN(named_models); m++) {
        const struct named_model *named = &named_models[m];
        struct cpu_model model;
        assert_int_equal(cpu_model_create(&model, named->name, &err), 0);
        bool wide = cpu_model_has(&model, CPU_LM);
        for (unsigned i = 0; i < ARRAY_LEN(samples); i++) {
            const struct sample *s = &samples[i];
            if (!wide && is_for_64_bits(s))
                continue;
            bool there = in_list(named->features, s->feature);
            if (there && !host_has(&max, s->feature))
                continue; /* and every model is without it */
            int vector = run_sample(s, named->name);
            if (vector != (there ? LONG_FINE : VEC_UD)) {
                print_message("# %s: sample %u of %s: vector %d\n", named->name, i, s->feature,
                              vector);
                fail();
            }
        }
    }
}

/* F3 was an ignored prefix of BSF and BSR before it made TZCNT and LZCNT of them; compilers write
 * "rep bsf" for every processor. A source of 0: BSF sets ZF, TZCNT sets CF instead. */
static void turn_into_older_ones(void **state)
{
    static const struct {
        const char *model, *bytes;
        uint64_t flag;
    } cases[] = {
        {"max,+bmi1", "\xf3\x0f\xbc\xc1", FLAG_CF},
        {"max,-bmi1", "\xf3\x0f\xbc\xc1", FLAG_ZF},
        {"max,+lzcnt", "\xf3\x0f\xbd\xc1", FLAG_CF},
        {"max,-lzcnt", "\xf3\x0f\xbd\xc1", FLAG_ZF},
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct long_bench l;
        long_new(&l, cases[i].model, &interp_engine);
        long_enter(&l, 0);
        l.b->cpu->gpr[RCX] = 0;
        assert_int_equal(long_run(&l, (const uint8_t *)cases[i].bytes, 4), LONG_FINE);
        assert_int_equal(cpu_rflags(l.b->cpu) & (FLAG_CF | FLAG_ZF), cases[i].flag);
        long_free(&l);
    }
}

/* The vector that setting the bit of CR4 raises, or -1. */
static int set_bit(const char *model, uint32_t bit)
{
    struct long_bench l;
    long_new(&l, model, &interp_engine);
    long_enter(&l, 0);
    int vector = FAULT_OF(l.b->cpu, cpu_write_cr(l.b->cpu, 4, CR4_PAE | bit));
    long_free(&l);
    return vector;
}

/* What the guest's system must have switched on, and what it may have switched off: the vector a
 * sample then raises. AMD APM 2 and SDM 2A 2.4, 2.8. */
static void enabled_by_the_system(void **state)
{
    enum { X87 = 1, SSE = 2, AVX = 4, OPMASK = 0x20, UPPER = 0x40, HIGH = 0x80 };
    enum { ALL = X87 | SSE | AVX | OPMASK | UPPER | HIGH, FXSR = CR4_OSFXSR, XSAVE = CR4_OSXSAVE };
    static const struct {
        const char *bytes;
        unsigned length, cr0, cr4, xcr0;
        int vector;
    } cases[] = {
        /* x87 and MMX */
        {"\xd9\xe8", 2, 0, 0, 1, LONG_FINE},
        {"\xd9\xe8", 2, CR0_EM, 0, 1, VEC_NM},
        {"\xd9\xe8", 2, CR0_TS, 0, 1, VEC_NM},
        {"\x0f\xef\xc1", 3, 0, 0, 1, LONG_FINE},
        {"\x0f\xef\xc1", 3, CR0_EM, 0, 1, VEC_UD},
        {"\x0f\xef\xc1", 3, CR0_TS, 0, 1, VEC_NM},
        {"\x0f\xae\x03", 3, 0, 0, 1, LONG_FINE}, /* FXSAVE */
        {"\x0f\xae\x03", 3, CR0_EM, 0, 1, VEC_NM},
        /* SSE; of those on MMX registers the first of them and the later ones */
        {"\x0f\x58\xc1", 3, 0, FXSR, 1, LONG_FINE},
        {"\x0f\x58\xc1", 3, 0, 0, 1, VEC_UD},
        {"\x0f\x58\xc1", 3, CR0_EM, FXSR, 1, VEC_UD},
        {"\x0f\x58\xc1", 3, CR0_TS, FXSR, 1, VEC_NM},
        {"\x0f\x58\xc1", 3, CR0_EM | CR0_TS, FXSR, 1, VEC_UD},
        {"\x0f\x70\xc1\x00", 4, 0, 0, 1, LONG_FINE},
        {"\x0f\xd4\xc1", 3, 0, 0, 1, LONG_FINE},
        {"\x0f\xae\x1b", 3, 0, 0, 1, VEC_UD},                 /* STMXCSR */
        {"\x0f\xae\xf0", 3, CR0_EM, 0, 1, LONG_FINE},         /* MFENCE */
        {"\xf2\x0f\x38\xf1\xc1", 5, CR0_EM, 0, 1, LONG_FINE}, /* CRC32 */
        /* XSAVE */
        {"\x0f\xae\x23", 3, 0, XSAVE, 1, LONG_FINE},
        {"\x0f\xae\x23", 3, 0, 0, 1, VEC_UD},
        {"\x0f\xae\x23", 3, CR0_TS, XSAVE, 1, VEC_NM},
        {"\x0f\x01\xd0", 3, CR0_TS, XSAVE, 1, LONG_FINE}, /* XGETBV */
        {"\x0f\x01\xd0", 3, 0, 0, 1, VEC_UD},
        /* AVX: not asked for OSFXSR, nor EM */
        {"\xc5\xf0\x58\xc1", 4, 0, XSAVE, X87 | SSE | AVX, LONG_FINE},
        {"\xc5\xf0\x58\xc1", 4, CR0_EM, XSAVE, X87 | SSE | AVX, LONG_FINE},
        {"\xc5\xf0\x58\xc1", 4, 0, FXSR, X87 | SSE | AVX, VEC_UD},
        {"\xc5\xf0\x58\xc1", 4, 0, FXSR | XSAVE, X87 | SSE, VEC_UD},
        {"\xc5\xf0\x58\xc1", 4, 0, FXSR | XSAVE, X87, VEC_UD},
        {"\xc5\xf0\x58\xc1", 4, CR0_TS, XSAVE, X87 | SSE | AVX, VEC_NM},
        {"\xc5\xf0\x58\xc1", 4, CR0_TS, XSAVE, X87 | SSE, VEC_UD},
        {"\xc4\xe2\x70\xf2\xc1", 5, CR0_TS | CR0_EM, 0, 1, LONG_FINE}, /* ANDN: VEX, no vectors */
        /* AVX-512 */
        {"\x62\xf1\x74\x48\x58\xc1", 6, 0, XSAVE, ALL, LONG_FINE},
        {"\x62\xf1\x74\x48\x58\xc1", 6, CR0_TS, XSAVE, ALL, VEC_NM},
        {"\x62\xf1\x74\x48\x58\xc1", 6, 0, 0, ALL, VEC_UD},
        {"\x62\xf1\x74\x48\x58\xc1", 6, 0, XSAVE, X87 | SSE | AVX, VEC_UD},
        {"\x62\xf1\x74\x48\x58\xc1", 6, 0, XSAVE, ALL & ~HIGH, VEC_UD},
        {"\x62\xf1\x74\x08\x58\xc1", 6, 0, XSAVE, ALL & ~UPPER, VEC_UD},
        {"\xc5\xf8\x90\xca", 4, 0, XSAVE, ALL, LONG_FINE}, /* KMOVW */
        {"\xc5\xf8\x90\xca", 4, 0, XSAVE, ALL & ~OPMASK, VEC_UD},
        {"\xc5\xf8\x90\xca", 4, CR0_TS, XSAVE, ALL, VEC_NM},
    };
    struct cpu_model max;
    struct error err;
    (void)state;
    assert_int_equal(cpu_model_create(&max, "max", &err), 0);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct long_bench l;
        bool wide = cases[i].bytes[0] == 0x62 || cases[i].xcr0 & OPMASK;
        bool vex = (uint8_t)cases[i].bytes[0] == 0xc5 || (uint8_t)cases[i].bytes[0] == 0xc4;
        if ((wide && !cpu_model_has(&max, CPU_AVX512F)) || (vex && !cpu_model_has(&max, CPU_AVX)))
            continue;
        long_new(&l, "max", &interp_engine);
        long_enter(&l, 0);
        l.b->cpu->cr0 |= cases[i].cr0;
        l.b->cpu->cr4 = CR4_PAE | cases[i].cr4;
        l.b->cpu->fpu.xcr0 = cases[i].xcr0;
        cpu_update_mode(l.b->cpu);
        int vector = long_run(&l, (const uint8_t *)cases[i].bytes, cases[i].length);
        if (vector != cases[i].vector) {
            print_message("# case %u: vector %d, not %d\n", i, vector, cases[i].vector);
            fail();
        }
        long_free(&l);
    }
}

static void control_bits(void **state)
{
    static const struct {
        const char *feature;
        uint32_t bits;
    } bits[] = {
        {"vme", CR4_VME},       {"vme", CR4_PVI},     {"tsc", CR4_TSD},
        {"de", CR4_DE},         {"pse", CR4_PSE},     {"mce", CR4_MCE},
        {"pge", CR4_PGE},       {"fxsr", CR4_OSFXSR}, {"sse", CR4_OSXMMEXCPT},
        {"umip", CR4_UMIP},     {"pcid", CR4_PCIDE},  {"fsgsbase", CR4_FSGSBASE},
        {"xsave", CR4_OSXSAVE}, {"smep", CR4_SMEP},   {"smap", CR4_SMAP},
        {"mmx", CR4_PCE},
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bits); i++) {
        char without[64];
        snprintf(without, sizeof(without), "max,-%s", bits[i].feature);
        assert_int_equal(set_bit(without, bits[i].bits), VEC_GP);
        assert_int_equal(set_bit("max", bits[i].bits), -1);
    }
}

/* A read through one entry of the page tables: a directory entry of 32-bit paging for 4 MiB at
 * 4 MiB, or an entry for 1 GiB at 1 GiB of 4-level paging. */
static int read_through(const char *model, uint64_t entry)
{
    struct long_bench l;
    long_new(&l, model, &interp_engine);
    struct vcpu *cpu = l.b->cpu;
    bool wide = cpu_model_has(cpu->model, CPU_LM);
    int vector;
    if (wide) {
        bench_poke(l.b, LONG_TABLES + 0x1000 + 8, entry, 8);
        long_enter(&l, 0);
        if (!cpu_model_has(cpu->model, CPU_NX))
            cpu->efer &= ~(uint64_t)EFER_NXE;
        vector = long_run(&l, (const uint8_t *)"\xa0\x00\x00\x00\x40\x00\x00\x00\x00", 9);
    } else {
        bench_poke(l.b, LONG_TABLES, 0x83, 4);
        bench_poke(l.b, LONG_TABLES + 4, entry, 4);
        flat_enter(&l);
        cpu->cr0 |= CR0_PG;
        cpu->cr4 = CR4_PSE;
        vector = long_run(&l, (const uint8_t *)"\xa0\x00\x00\x40\x00", 5);
    }
    if (vector == VEC_PF)
        assert_int_equal(bench_peek(l.b, LONG_STACK - (wide ? 48 : 16), 4), 9); /* reserved bit */
    long_free(&l);
    return vector;
}

static void page_tables(void **state)
{
    static const struct {
        const char *model;
        uint64_t entry;
        int vector;
    } entries[] = {
        {"486", 0x83, LONG_FINE},
        {"486", 0x2083, VEC_PF}, /* bit 32 of the address */
        {"486", 0x1083, VEC_PF}, /* PAT */
        {"qemu32", 0x1083, LONG_FINE},
        {"qemu32", 0x2083, VEC_PF},
        {"pentium2", 0x2083, LONG_FINE},
        {"pentium2", 0x1e083, LONG_FINE},
        {"pentium2", 0x20083, VEC_PF}, /* bit 36 */
        {"pentium2,-pse36", 0x2083, VEC_PF},
        {"pentium2", 0x200083, VEC_PF},
        {"max", 0x83, LONG_FINE},
        {"max,-pdpe1gb", 0x83, VEC_PF},
        {"qemu64", 0x83, VEC_PF},
        {"max", 0x8000000000000083, LONG_FINE},
        {"max,-nx", 0x8000000000000083, VEC_PF},
        {"max", 1ull << 39 | 0x83, LONG_FINE},
        {"max,phys-bits=39", 1ull << 39 | 0x83, VEC_PF},
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(entries); i++) {
        int vector = read_through(entries[i].model, entries[i].entry);
        if (vector != entries[i].vector) {
            print_message("# entry %u: vector %d, not %d\n", i, vector, entries[i].vector);
            fail();
        }
    }
}

static void registers(void **state)
{
    static const struct {
        const char *without;
        uint32_t msr;
    } msrs[] = {
        {"-apic", 0x1b},       {"-tsc", 0x10},
        {"-tsc-adjust", 0x3b}, {"-spec-ctrl,-stibp,-ssbd,-ibrs,-amd-stibp,-amd-ssbd", 0x48},
        {"-mtrr", 0xfe},       {"-mtrr", 0x200},
        {"-mtrr", 0x2ff},      {"-arch-capabilities", 0x10a},
        {"-sep", 0x174},       {"-mca", 0x179},
        {"-pat", 0x277},       {"-syscall,-nx", 0xc0000080},
        {"-lm", 0xc0000100},   {"-rdtscp,-rdpid", 0xc0000103},
        {"-kvmclock", 0x12},   {"kvm=off", 0x4b564d01},
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(msrs); i++) {
        char without[128];
        uint64_t value;
        snprintf(without, sizeof(without), "max,%s", msrs[i].without);
        struct bench *b = bench_new("max");
        assert_true(cpu_read_msr(b->cpu, msrs[i].msr, &value));
        bench_free(b);
        b = bench_new(without);
        assert_false(cpu_read_msr(b->cpu, msrs[i].msr, &value));
        assert_false(cpu_write_msr(b->cpu, msrs[i].msr, 0));
        bench_free(b);
    }
}

/* Registers that are there, and bits of them that are not. */
static void register_bits(void **state)
{
    static const struct {
        const char *without;
        uint32_t msr;
        uint64_t bits;
    } rows[] = {
        {"-syscall", 0xc0000080, EFER_SCE},  {"-lm", 0xc0000080, EFER_LME},
        {"-nx", 0xc0000080, EFER_NXE},       {"-fxsr-opt", 0xc0000080, EFER_FFXSR},
        {"-spec-ctrl,-ibrs", 0x48, 1},       {"-stibp,-amd-stibp,-spec-ctrl", 0x48, 2},
        {"-ssbd,-amd-ssbd", 0x48, 4},        {"phys-bits=39", 0x200, 1ull << 39},
        {"phys-bits=39", 0x201, 1ull << 39},
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        char without[64];
        snprintf(without, sizeof(without), "max,%s", rows[i].without);
        struct bench *b = bench_new("max");
        assert_true(cpu_write_msr(b->cpu, rows[i].msr, rows[i].bits));
        bench_free(b);
        b = bench_new(without);
        assert_true(cpu_write_msr(b->cpu, rows[i].msr, 0));
        assert_false(cpu_write_msr(b->cpu, rows[i].msr, rows[i].bits));
        bench_free(b);
    }
}

/* Those that system software of AMD's processors, and Hygon's, reads without asking CPUID. */
static void makers_registers(void **state)
{
    static const struct {
        const char *model;
        bool there;
    } models[] = {{"EPYC", true}, {"Dhyana", true}, {"Nehalem", false}};
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(models); i++) {
        struct bench *b = bench_new(models[i].model);
        uint64_t value;
        assert_int_equal(cpu_read_msr(b->cpu, 0xc0010015, &value), models[i].there); /* HWCR */
        bench_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions),
        cmocka_unit_test(as_on_that_model),
        cmocka_unit_test(turn_into_older_ones),
        cmocka_unit_test(enabled_by_the_system),
        cmocka_unit_test(control_bits),
        cmocka_unit_test(page_tables),
        cmocka_unit_test(registers),
        cmocka_unit_test(register_bits),
        cmocka_unit_test(makers_registers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
