/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control and debug registers, MSRs, CPUID's mirrors and kvmclock.
 */
#include <time.h>

#include "cpu_bench.h"

static void cr0_rules(void **state)
{
    struct bench *b = bench_new("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 0, CR0_PG));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 0, CR0_NW));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 0, 1ull << 32));
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 0, CR0_PE | CR0_WP | 1 << 17));
    assert_int_equal(cpu->cr0, CR0_PE | CR0_WP | CR0_ET);
    ASSERT_FINE(cpu, cpu_lmsw(cpu, CR0_TS));
    assert_int_equal(cpu->cr0, CR0_PE | CR0_WP | CR0_ET | CR0_TS);
    ASSERT_FAULT(cpu, VEC_UD, 0, cpu_read_cr(cpu, 1));
    ASSERT_FAULT(cpu, VEC_UD, 0, cpu_write_cr(cpu, 5, 0));
    cpu->cpl = 3;
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_read_cr(cpu, 0));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 3, 0));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_lmsw(cpu, 0));
    bench_free(b);
}

static void long_mode(void **state)
{
    struct bench *b = bench_new("max");
    struct vcpu *cpu = b->cpu;
    uint64_t efer;
    (void)state;
    bench_poke(b, 0x10000, 0x11007, 8);
    bench_poke(b, 0x11000, 0x87, 8);
    assert_true(cpu_write_msr(cpu, 0xc0000080, EFER_LME | EFER_NXE));
    assert_false(cpu_write_msr(cpu, 0xc0000080, 1 << 1));
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 3, 0x10000));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 0, CR0_PE | CR0_PG)); /* no PAE */
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 4, CR4_PAE));
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 0, CR0_PE | CR0_PG));
    assert_true(cpu_read_msr(cpu, 0xc0000080, &efer));
    assert_int_equal(efer, EFER_LME | EFER_LMA | EFER_NXE);
    assert_false(cpu_write_msr(cpu, 0xc0000080, 0)); /* LME with paging on */
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 4, 0));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 3, 1ull << 40));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 3, 1ull << 63)); /* without PCIDE */
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 4, CR4_PAE | CR4_PCIDE));
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 3, 1ull << 63 | 0x10005));
    assert_int_equal(cpu->cr3, 0x10005);
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 0, CR0_PE)); /* with PCIDE */
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 4, CR4_PAE));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 4, CR4_PAE | CR4_PCIDE)); /* CR3 low bits */
    cpu->seg[SEG_CS].access |= SEG_L;
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 0, CR0_PE)); /* in 64-bit code */
    cpu->seg[SEG_CS].access &= ~(uint32_t)SEG_L;
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 0, CR0_PE));
    assert_false(cpu->efer & EFER_LMA);
    bench_free(b);
}

static void pae(void **state)
{
    struct bench *b = bench_new("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    bench_poke(b, 0x20020, 0x21001, 8);
    bench_poke(b, 0x20028, 0x22003, 8); /* a reserved bit */
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 4, CR4_PAE));
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 3, 0x20020));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 0, CR0_PE | CR0_PG));
    assert_false(cpu->cr0 & CR0_PG);
    bench_poke(b, 0x20028, 0x22001, 8);
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 0, CR0_PE | CR0_PG));
    assert_int_equal(cpu->pdpte[1], 0x22001);
    bench_poke(b, 0x20028, 0x23001, 8);
    assert_int_equal(cpu->pdpte[1], 0x22001); /* kept until CR3 is loaded */
    bench_poke(b, 0x21000, 0x87, 8);
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 3, 0x20020));
    assert_int_equal(cpu->pdpte[1], 0x23001);
    assert_int_equal(b->locked, 0);
    bench_free(b);
}

static void cr4_and_cr8(void **state)
{
    struct bench *b = bench_new("qemu64");
    struct vcpu *cpu = b->cpu;
    (void)state;
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 4, CR4_SMEP));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 4, CR4_LA57));
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 4, CR4_OSFXSR | CR4_PGE));
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 8, 7));
    ASSERT_FINE(cpu, assert_int_equal(cpu_read_cr(cpu, 8), 7));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_cr(cpu, 8, 16));
    assert_int_equal(b->locked, 0);
    bench_free(b);
}

static void debug_registers(void **state)
{
    struct bench *b = bench_new("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    ASSERT_FINE(cpu, cpu_write_dr(cpu, 7, 0xffffffff & ~(1u << 13)));
    ASSERT_FINE(cpu, assert_int_equal(cpu_read_dr(cpu, 5), 0xffff0fff)); /* alias of 7 */
    ASSERT_FINE(cpu, cpu_write_dr(cpu, 6, 0));
    assert_int_equal(cpu->dr[6], 0xffff0ff0);
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_write_dr(cpu, 7, 1ull << 32));
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 4, CR4_DE));
    ASSERT_FAULT(cpu, VEC_UD, 0, cpu_read_dr(cpu, 4));
    ASSERT_FINE(cpu, cpu_write_dr(cpu, 7, 1 << 13));
    assert_int_equal(FAULT_OF(cpu, cpu_read_dr(cpu, 0)), VEC_DB);
    assert_int_equal(cpu->dr[6], 0xffff2ff0);
    bench_free(b);
}

static void msrs(void **state)
{
    struct bench *b = bench_new("max");
    struct vcpu *cpu = b->cpu;
    uint64_t value;
    (void)state;
    assert_false(cpu_write_msr(cpu, 0x277, 2)); /* no such memory type */
    assert_true(cpu_write_msr(cpu, 0x277, 0x0007010600070106));
    assert_true(cpu_read_msr(cpu, 0x277, &value));
    assert_int_equal(value, 0x0007010600070106);
    assert_false(cpu_write_msr(cpu, 0xc0000100, 0x0000800000000000));
    assert_true(cpu_write_msr(cpu, 0xc0000101, 0xffff888000000000));
    assert_int_equal(cpu->seg[SEG_GS].base, 0xffff888000000000);
    assert_true(cpu_write_msr(cpu, 0x200, 0x80000006));
    assert_false(cpu_write_msr(cpu, 0x200, 0x80000002));
    assert_false(cpu_write_msr(cpu, 0x201, 1ull << 40));
    assert_true(cpu_write_msr(cpu, 0x250, 0x0606060606060606));
    assert_false(cpu_write_msr(cpu, 0x250, 0x0206060606060606));
    assert_true(cpu_write_msr(cpu, 0x2ff, 0xc06));
    assert_true(cpu_read_msr(cpu, 0xfe, &value));
    assert_int_equal(value & 0xff, 8);
    assert_false(cpu_write_msr(cpu, 0xfe, 0));
    assert_false(cpu_read_msr(cpu, 0x12345678, &value));
    assert_true(cpu_read_msr(cpu, 0x1b, &value));
    assert_int_equal(value, 0xfee00900);
    assert_true(cpu_write_msr(cpu, 0x3b, 1000)); /* TSC_ADJUST moves the TSC */
    assert_true(cpu_write_msr(cpu, 0x10, 0));
    assert_true(cpu_read_msr(cpu, 0x10, &value));
    assert_in_range(value, 0, 1ull << 34);
    assert_true(cpu_read_msr(cpu, 0xc0010010, &value)); /* SYSCFG: AMD's */
    assert_int_equal(b->locked, 0);
    bench_free(b);

    b = bench_new("pentium");
    assert_false(cpu_read_msr(b->cpu, 0xc0000080, &value));
    assert_false(cpu_read_msr(b->cpu, 0x277, &value));
    assert_false(cpu_read_msr(b->cpu, 0xc0010010, &value));
    bench_free(b);
}

static int64_t monotonic(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Guest nanoseconds by the page, as the guest computes them. */
static int64_t page_clock(struct bench *b, uint64_t at)
{
    uint64_t delta = cpu_tsc(b->cpu) - bench_peek(b, at + 8, 8);
    int shift = (int8_t)bench_peek(b, at + 28, 1);
    delta = shift < 0 ? delta >> -shift : delta << shift;
    return (int64_t)(bench_peek(b, at + 16, 8) +
                     (uint64_t)((unsigned __int128)delta * bench_peek(b, at + 24, 4) >> 32));
}

static void kvmclock(void **state)
{
    struct bench *b = bench_new("max");
    struct vcpu *cpu = b->cpu;
    uint64_t value;
    (void)state;
    b->now = 5000000000;
    struct cpuid_result r = cpu_cpuid(cpu, 0x40000000, 0);
    assert_memory_equal(&r.ebx, "KVMKVMKVM\0\0\0", 12);
    assert_true(cpu_write_msr(cpu, 0x4b564d01, 0x30001));
    assert_int_equal(bench_peek(b, 0x30000, 4) & 1, 0);
    assert_int_equal(bench_peek(b, 0x30000 + 16, 8), 5000000000);
    assert_true(cpu_read_msr(cpu, 0x4b564d01, &value));
    assert_int_equal(value, 0x30001);
    /* The rate: within a part in a thousand of the host's clock. */
    int64_t real = monotonic(), guest = page_clock(b, 0x30000);
    struct timespec nap = {.tv_nsec = 50000000};
    nanosleep(&nap, NULL);
    real = monotonic() - real;
    guest = page_clock(b, 0x30000) - guest;
    assert_in_range(guest, real - real / 1000 - 100000, real + real / 1000 + 100000);

    assert_true(cpu_write_msr(cpu, 0x4b564d00, 0x31000));
    assert_in_range(bench_peek(b, 0x31004, 4), time(NULL) - 8, time(NULL) - 4);
    bench_free(b);

    b = bench_new("max,-kvmclock");
    assert_false(cpu_write_msr(b->cpu, 0x4b564d01, 0x30001));
    r = cpu_cpuid(b->cpu, 0x40000000, 0);
    assert_memory_equal(&r.ebx, "KVMKVMKVM\0\0\0", 12);
    assert_int_equal(cpu_cpuid(b->cpu, 0x40000001, 0).eax & 9, 0);
    bench_free(b);
    b = bench_new("max,kvm=off");
    assert_false(cpu_write_msr(b->cpu, 0x4b564d01, 0x30001));
    r = cpu_cpuid(b->cpu, 0x40000000, 0);
    assert_memory_equal(&r.ebx, "TrapezeTrapz", 12);
    bench_free(b);
}

static void mirrors(void **state)
{
    struct bench *b = bench_new("max");
    struct vcpu *cpu = b->cpu;
    (void)state;
    assert_false(cpu_cpuid(cpu, 1, 0).ecx >> 27 & 1);
    assert_true(cpu_cpuid(cpu, 1, 0).edx >> 9 & 1);
    b->apic_base = 0xfee00000;
    assert_false(cpu_cpuid(cpu, 1, 0).edx >> 9 & 1);
    ASSERT_FAULT(cpu, VEC_UD, 0, cpu_xsetbv(cpu, 0, 1));
    ASSERT_FINE(cpu, cpu_write_cr(cpu, 4, CR4_OSXSAVE));
    assert_true(cpu_cpuid(cpu, 1, 0).ecx >> 27 & 1);
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_xsetbv(cpu, 0, 0));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_xsetbv(cpu, 0, 5));
    ASSERT_FAULT(cpu, VEC_GP, 0, cpu_xsetbv(cpu, 1, 1));
    ASSERT_FINE(cpu, cpu_xsetbv(cpu, 0, 3));
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cr0_rules),   cmocka_unit_test(long_mode),       cmocka_unit_test(pae),
        cmocka_unit_test(cr4_and_cr8), cmocka_unit_test(debug_registers), cmocka_unit_test(msrs),
        cmocka_unit_test(kvmclock),    cmocka_unit_test(mirrors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
