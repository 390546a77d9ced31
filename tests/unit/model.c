/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -cpu: models, features, refusals that name the nearest.
 */
#include "cpu_bench.h"

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
    refused("qemu46", "'qemu64'");
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

static void help(void **state)
{
    char *text = cpu_model_help();
    (void)state;
    assert_non_null(strstr(text, "x86 qemu64"));
    assert_non_null(strstr(text, "fsgsbase"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults), cmocka_unit_test(features), cmocka_unit_test(refusals),
        cmocka_unit_test(leaves),   cmocka_unit_test(help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
