/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -cpu: models, features, refusals that name the nearest.
 */
#include "cpu_bench.h"

#include <cpuid.h>
#include <stdio.h>

static void defaults(void **state)
{
    struct cpu_model model;
    struct error err;
    (void)state;
    assert_int_equal(cpu_model_create(&model, NULL, &err), 0);
    assert_string_equal(model.name, "max");
    assert_true(cpu_model_has(&model, CPU_LM));
    assert_true(cpu_model_has(&model, CPU_SSE2));
    assert_true(cpu_model_has(&model, CPU_HYPERVISOR));
    assert_false(cpu_model_has(&model, CPU_MONITOR));
    assert_int_equal(model.physical_bits, 40);
    assert_int_equal(cpu_model_create(&model, "486", &err), 0);
    assert_false(cpu_model_has(&model, CPU_TSC));
    assert_int_equal(cpu_model_create(&model, "qemu32", &err), 0);
    assert_false(cpu_model_has(&model, CPU_LM));
    assert_true(cpu_model_has(&model, CPU_PAE));
}

static void features(void **state)
{
    struct cpu_model model;
    struct error err;
    (void)state;
    assert_int_equal(cpu_model_create(&model, "qemu64,+smep,-lahf-lm,fsgsbase=on,nx=off", &err), 0);
    assert_true(cpu_model_has(&model, CPU_SMEP));
    assert_true(cpu_model_has(&model, CPU_FSGSBASE));
    assert_false(cpu_model_has(&model, CPU_LAHF64));
    assert_false(cpu_model_has(&model, CPU_NX));
    assert_int_equal(cpu_model_create(&model, "max,-sse2,phys-bits=36", &err), 0);
    assert_false(cpu_model_has(&model, CPU_SSE3)); /* rests on SSE2 */
    assert_false(cpu_model_has(&model, CPU_AVX));
    assert_int_equal(model.physical_bits, 36);
    assert_int_equal(cpu_model_create(&model, "max,+monitor", &err), 0);
    assert_true(cpu_model_has(&model, CPU_MONITOR));
}

static void refused(const char *spec, const char *says)
{
    struct cpu_model model;
    struct error err;
    assert_true(cpu_model_create(&model, spec, &err) < 0);
    assert_non_null(strstr(err.text, says));
}

static void refusals(void **state)
{
    (void)state;
    refused("qemu6", "'qemu64'");
    refused("max,+fsgsbas", "'fsgsbase'");
    refused("max,smep=maybe", "on or off");
    refused("max,phys-bits=99", "32 to 48");
    refused("max,+thiswordismuchtoolongtobethenameofanyfeaturewhatsoever", "nearest");
}

static void leaves(void **state)
{
    struct bench *b = bench_new("max");
    (void)state;
    struct cpuid_result r = cpu_cpuid(b->cpu, 0, 0);
    assert_memory_equal(&r.ebx, "Auth", 4);
    assert_memory_equal(&r.edx, "enti", 4);
    assert_memory_equal(&r.ecx, "cAMD", 4);
    r = cpu_cpuid(b->cpu, 1, 0);
    assert_int_equal(r.eax, 0x663);
    r = cpu_cpuid(b->cpu, 0x80000001, 0);
    assert_true(r.edx & 1 << 29);
    assert_true(r.edx & 1 << 8); /* CX8, repeated */
    r = cpu_cpuid(b->cpu, 0x80000007, 0);
    assert_true(r.edx & 1 << 8);
    r = cpu_cpuid(b->cpu, 0x80000008, 0);
    assert_int_equal(r.eax & 0xffff, 48 << 8 | 40);
    r = cpu_cpuid(b->cpu, 0x80000002, 0);
    assert_memory_equal(&r.eax, "Trap", 4);
    r = cpu_cpuid(b->cpu, 0x8fffffff, 0);
    assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
    bench_free(b);
    b = bench_new("qemu64");
    r = cpu_cpuid(b->cpu, 1, 0);
    assert_int_equal(r.eax, 0x00060fb1);
    bench_free(b);
}

static void warnings(void **state)
{
    struct cpu_model model;
    struct error err;
    (void)state;
    assert_int_equal(cpu_model_create(&model, "qemu64,+sgx", &err), 0);
    char *text = cpu_model_warnings(&model);
    assert_non_null(strstr(text, "CPUID.07H:EBX.sgx [bit 2]\n"));
    free(text);
    assert_int_equal(cpu_model_create(&model, "qemu64,+sgx,check=off", &err), 0);
    text = cpu_model_warnings(&model);
    assert_string_equal(text, "");
    free(text);
    /* SVM is in qemu64; nobody asked for it. */
    assert_int_equal(cpu_model_create(&model, "qemu64,enforce", &err), 0);
    refused("qemu64,+sgx,enforce", "sgx");
    refused("qemu64,enforce,+svm", "svm");
    /* What rests on something that is not there is said when it was asked for. */
    assert_int_equal(cpu_model_create(&model, "486,+fxsr-opt,+avx", &err), 0);
    assert_false(cpu_model_has(&model, CPU_AVX));
    text = cpu_model_warnings(&model);
    assert_non_null(strstr(text, ".avx [bit 28]"));
    free(text);
}

/* Every entry stands, has all its leaves, and is found by each of its names. */
static void all_models(void **state)
{
    char *text = cpu_model_help();
    unsigned count = 0;
    (void)state;
    for (char *line = strstr(text, "x86 "); line && !strncmp(line, "x86 ", 4);
         line = strchr(line, '\n') + 1) {
        char name[64];
        struct cpu_model model;
        struct error err;
        assert_int_equal(sscanf(line, "x86 %63s", name), 1);
        assert_int_equal(cpu_model_create(&model, name, &err), 0);
        assert_string_equal(model.name, name);
        bool base = !strcmp(name, "base");
        assert_int_equal(strlen(model.vendor), base ? 0 : 12);
        assert_true(base || cpu_model_has(&model, CPU_FPU) || !strcmp(name, "host"));
        assert_true(cpu_model_has(&model, CPU_HYPERVISOR));
        count++;
    }
    free(text);
    assert_in_range(count, 130, 150);
}

/* The levels of the psABI, where the host has the vector unit. */
static void levels(void **state)
{
    struct cpu_model model, max;
    struct error err;
    (void)state;
    assert_int_equal(cpu_model_create(&max, "max", &err), 0);
    assert_int_equal(cpu_model_create(&model, "x86-64-v1", &err), 0);
    assert_true(cpu_model_has(&model, CPU_SSE2) && cpu_model_has(&model, CPU_LM));
    assert_false(cpu_model_has(&model, CPU_SSE3));
    assert_int_equal(cpu_model_create(&model, "x86-64-v2", &err), 0);
    assert_true(cpu_model_has(&model, CPU_CX16) && cpu_model_has(&model, CPU_POPCNT));
    assert_false(cpu_model_has(&model, CPU_MOVBE));
    assert_int_equal(cpu_model_create(&model, "x86-64-v3", &err), 0);
    assert_true(cpu_model_has(&model, CPU_BMI2) && cpu_model_has(&model, CPU_ABM));
    assert_int_equal(cpu_model_has(&model, CPU_AVX2), cpu_model_has(&max, CPU_AVX2));
    assert_false(cpu_model_has(&model, CPU_AVX512F));
}

static void host(void **state)
{
    struct cpu_model model, max;
    struct error err;
    uint32_t a, b, c, d;
    (void)state;
    assert_int_equal(cpu_model_create(&model, "host", &err), 0);
    assert_int_equal(cpu_model_create(&max, "max,+monitor", &err), 0);
    __cpuid(0, a, b, c, d);
    assert_memory_equal(model.vendor, &b, 4);
    assert_memory_equal(model.vendor + 4, &d, 4);
    assert_memory_equal(model.vendor + 8, &c, 4);
    __cpuid(1, a, b, c, d);
    assert_int_equal(model.stepping, a & 15);
    assert_int_equal(model.features[FEAT_1_EDX] & ~(d | 1u << 9), 0);
    assert_int_equal(model.features[FEAT_1_ECX] & ~(c | 1u << 31), 0);
    assert_int_equal(model.features[FEAT_7_EBX] & ~max.features[FEAT_7_EBX], 0);
}

/* The sizes of XSAVE, and which components XCR0 takes together. */
static void components(void **state)
{
    struct bench *b = bench_new("x86-64-v3,+avx512f");
    struct vcpu *cpu = b->cpu;
    (void)state;
    if (!cpu_model_has(&b->model, CPU_AVX512F)) {
        bench_free(b);
        print_message("# this host has no AVX-512 (F, BW, DQ and VL)\n");
        skip();
    }
    cpu->cr4 |= CR4_OSXSAVE;
    assert_int_equal(cpu_cpuid(cpu, 0xd, 0).eax, 0xe7);
    assert_int_equal(cpu_cpuid(cpu, 0xd, 0).ebx, 576);
    assert_int_equal(cpu_cpuid(cpu, 0xd, 0).ecx, 2688);
    assert_int_equal(cpu_cpuid(cpu, 0xd, 7).eax, 1024);
    assert_int_equal(cpu_cpuid(cpu, 0xd, 7).ebx, 1664);
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_xsetbv(cpu, 0, 0x27));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_xsetbv(cpu, 0, 0xe3));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_xsetbv(cpu, 0, 0xe1));
    ASSERT_FINE(cpu, cpu_xsetbv(cpu, 0, 0xe7));
    assert_int_equal(cpu_cpuid(cpu, 0xd, 0).ebx, 2688);
    bench_free(b);
    b = bench_new("x86-64-v3");
    b->cpu->cr4 |= CR4_OSXSAVE;
    ASSERT_FAULT(b->cpu, VEC_GP, 0, cpu_xsetbv(b->cpu, 0, 0xe7));
    bench_free(b);
}

/* IBRS_ALL says that IBRS may be set once for all: not without the register to set it in. */
static void capabilities(void **state)
{
    struct bench *b = bench_new("max");
    uint64_t value;
    (void)state;
    assert_true(cpu_read_msr(b->cpu, 0x10a, &value));
    assert_int_equal(value & 7, 3); /* RDCL_NO and IBRS_ALL, not RSBA */
    bench_free(b);
    b = bench_new("max,-spec-ctrl");
    assert_true(cpu_read_msr(b->cpu, 0x10a, &value));
    assert_int_equal(value & 7, 1);
    bench_free(b);
}

/* MSRs that are not there. */
static void unknown_msrs(void **state)
{
    struct bench *b = bench_new("max");
    uint64_t value = 1;
    (void)state;
    assert_false(cpu_read_msr(b->cpu, 0x12345, &value));
    assert_false(cpu_write_msr(b->cpu, 0x12345, 1));
    bench_free(b);
    b = bench_new("max,ignore-msrs=on");
    value = 1;
    assert_true(cpu_read_msr(b->cpu, 0x12345, &value));
    assert_int_equal(value, 0);
    assert_true(cpu_write_msr(b->cpu, 0x12345, 1));
    /* One that is there still refuses a value that it cannot hold. */
    assert_false(cpu_write_msr(b->cpu, 0xc0000080, 1ull << 40));
    assert_false(cpu_write_msr(b->cpu, 0x277, 0xffffffffffffffff));
    bench_free(b);
}

static void help(void **state)
{
    char *text = cpu_model_help();
    (void)state;
    assert_non_null(strstr(text, "x86 qemu64"));
    assert_non_null(strstr(text, "fsgsbase"));
    const char *first = strstr(text, " kvmclock"); /* two bits, one name */
    assert_non_null(first);
    assert_memory_equal(strstr(first + 9, "kvmclock"), "kvmclock-stable-bit", 19);
    assert_non_null(strstr(text, "ignore-msrs=on"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),   cmocka_unit_test(features),
        cmocka_unit_test(refusals),   cmocka_unit_test(leaves),
        cmocka_unit_test(help),       cmocka_unit_test(warnings),
        cmocka_unit_test(all_models), cmocka_unit_test(levels),
        cmocka_unit_test(host),       cmocka_unit_test(unknown_msrs),
        cmocka_unit_test(components), cmocka_unit_test(capabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
