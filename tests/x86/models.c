/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A feature that -cpu masks is not there: its instructions are #UD, its bits of CR4 and its MSRs
 * #GP, and all of them work on the model that has it.
 */
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
    {"cmov", "\xda\xc1", 2},     /* FCMOVB */
    {"cmov", "\xdb\xf1", 2},     /* FCOMI */
    {"cmov", "\x0f\x1f\x00", 3}, /* NOP of several bytes: since the Pentium Pro */
    {"clflush", "\x0f\xae\x3b", 3},
    {"mmx", "\x0f\xef\xc1", 3},
    {"fxsr", "\x0f\xae\x03", 3},
    {"sse", "\x0f\x58\xc1", 3},
    {"sse", "\x0f\xae\x1b", 3}, /* STMXCSR */
    {"sse2", "\x66\x0f\x58\xc1", 4},
    {"sse2", "\x0f\xae\xf0", 3}, /* MFENCE */
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
    long_enter(&l, 0);
    l.b->cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
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
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bits); i++) {
        char without[64];
        snprintf(without, sizeof(without), "max,-%s", bits[i].feature);
        assert_int_equal(set_bit(without, bits[i].bits), VEC_GP);
        assert_int_equal(set_bit("max", bits[i].bits), -1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions),
        cmocka_unit_test(turn_into_older_ones),
        cmocka_unit_test(control_bits),
        cmocka_unit_test(registers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
