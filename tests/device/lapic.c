/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Local APICs and the I/O APIC, four processors without a processor: priorities, the timer's three
 * modes, messages, the virtual wire, x2APIC, level-triggered interrupts, hostile values.
 */
#include "unit/test.h"

#include <string.h>

#include "device/ioapic.h"
#include "device/lapic.h"

enum {
    CPUS = 4,
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    TMR = 0x180,
    IRR = 0x200,
    ESR = 0x280,
    ICR = 0x300,
    ICR_HIGH = 0x310,
    LVT_TIMER = 0x320,
    LVT_LINT0 = 0x350,
    LVT_LINT1 = 0x360,
    LVT_ERROR = 0x370,
    INITIAL = 0x380,
    CURRENT = 0x390,
    DIVIDE = 0x3e0,
    MASKED = 1 << 16,
    PERIODIC = 1 << 17,
    TSC = 1 << 18,
    BY_ONE = 0xb,
};

static struct mem *mem;
static struct timers timers;
static struct lapic lapic;
static struct ioapic ioapic;
static int current;
static bool line[CPUS];
static unsigned nmis[CPUS], inits[CPUS], sipis[CPUS], smis[CPUS];
static uint8_t sipi_vector;

static void intr(void *opaque, unsigned n, bool level)
{
    (void)opaque;
    assert_int_not_equal(line[n], level);
    line[n] = level;
}

static void nmi(void *opaque, unsigned n)
{
    (void)opaque;
    nmis[n]++;
}

static void smi(void *opaque, unsigned n)
{
    (void)opaque;
    smis[n]++;
}

static void init(void *opaque, unsigned n)
{
    (void)opaque;
    inits[n]++;
}

static void sipi(void *opaque, unsigned n, uint8_t vector)
{
    (void)opaque;
    sipis[n]++;
    sipi_vector = vector;
}

static int get_current(void *opaque)
{
    (void)opaque;
    return current;
}

/* A TSC of 2 GHz. */
static int64_t tsc_time(void *opaque, unsigned n, uint64_t tsc)
{
    (void)opaque;
    (void)n;
    return tsc / 2 > INT64_MAX ? INT64_MAX : (int64_t)(tsc / 2);
}

static void set(unsigned reg, uint32_t value)
{
    mem_store(mem, LAPIC_BASE + reg, value, 4);
}

static uint32_t get(unsigned reg)
{
    return (uint32_t)mem_load(mem, LAPIC_BASE + reg, 4);
}

static int set_up(void **state)
{
    (void)state;
    memset(line, 0, sizeof(line));
    memset(nmis, 0, sizeof(nmis));
    memset(inits, 0, sizeof(inits));
    memset(sipis, 0, sizeof(sipis));
    memset(smis, 0, sizeof(smis));
    assert_int_equal(mem_create(&mem, NULL), 0);
    timers_init(&timers, true);
    const struct lapic_wires wires = {.intr = intr,
                                      .nmi = nmi,
                                      .smi = smi,
                                      .init = init,
                                      .sipi = sipi,
                                      .current = get_current,
                                      .tsc_time = tsc_time};
    lapic_init(&lapic, mem, &timers, CPUS, &wires);
    ioapic_init(&ioapic, mem, &lapic);
    for (current = CPUS - 1; current > 0; current--)
        set(SVR, 0x1ff);
    set(SVR, 0x1ff);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ioapic.device.type->fini(&ioapic.device);
    lapic.device.type->fini(&lapic.device);
    timers_fini(&timers);
    mem_destroy(mem);
    return 0;
}

static void fixed(uint32_t dest, uint8_t vector)
{
    lapic_deliver(&lapic, dest, false, false, LAPIC_FIXED, vector, false);
}

static void test_registers(void **state)
{
    (void)state;
    assert_int_equal(get(VERSION), 0x50014);
    assert_int_equal(get(ID), 0);
    assert_int_equal(get(DFR), 0xffffffff);
    assert_int_equal(get(LVT_LINT0), 0x700); /* the virtual wire */
    assert_int_equal(get(LVT_TIMER), MASKED);
    current = 3;
    assert_int_equal(get(ID), 3u << 24);
    assert_int_equal(get(LVT_LINT0), MASKED);
    set(DFR, 0);
    assert_int_equal(get(DFR), 0x0fffffff);
    set(LDR, 0x12345678);
    assert_int_equal(get(LDR), 0x12000000);
    current = 0;
    /* Software disable masks all, and keeps masked. */
    set(SVR, 0xff);
    assert_int_equal(get(LVT_LINT0), MASKED | 0x700);
    set(LVT_LINT1, 0x400);
    assert_int_equal(get(LVT_LINT1), MASKED | 0x400);
    fixed(0, 0x40);
    assert_false(line[0]);
    /* A register that is not there. */
    set(SVR, 0x1ff);
    (void)get(0x3f0);
    set(ESR, 0);
    assert_int_equal(get(ESR), 0x80);
    set(ESR, 0);
    assert_int_equal(get(ESR), 0);
}

static void test_priorities(void **state)
{
    (void)state;
    fixed(0, 0x41);
    fixed(0, 0x62);
    assert_true(line[0]);
    assert_int_equal(get(IRR + 0x20), 2);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x62);
    assert_int_equal(get(PPR), 0x60);
    assert_false(line[0]);
    fixed(0, 0x63); /* the same class waits */
    assert_false(line[0]);
    fixed(0, 0x71); /* a higher one nests */
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x71);
    set(EOI, 0);
    assert_false(line[0]);
    set(EOI, 0);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x63);
    set(EOI, 0);
    assert_true(line[0]);
    lapic_cr8_write(&lapic, 0, 4);
    assert_int_equal(get(TPR), 0x40);
    assert_false(line[0]);
    assert_int_equal(lapic_acknowledge(&lapic, 0), -1);
    set(TPR, 0x3f);
    assert_int_equal(lapic_cr8_read(&lapic, 0), 3);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x41);
    set(EOI, 0);
    set(EOI, 0); /* one too many */
    assert_int_equal(get(PPR), 0x3f);
}

static void test_illegal_vectors(void **state)
{
    (void)state;
    set(LVT_ERROR, 0x30);
    fixed(0, 5);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x30);
    set(EOI, 0);
    set(ICR, 0x4003);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x30);
    set(EOI, 0);
    set(ESR, 0);
    assert_int_equal(get(ESR), 0x60);
    set(LVT_ERROR, 3); /* the error vector itself */
    fixed(0, 5);
    assert_false(line[0]);
}

static void test_one_shot(void **state)
{
    (void)state;
    set(DIVIDE, BY_ONE);
    set(LVT_TIMER, 0x50);
    set(INITIAL, 1000);
    timers_advance(&timers, 400);
    assert_int_equal(get(CURRENT), 600);
    timers_advance(&timers, 599);
    assert_false(line[0]);
    timers_advance(&timers, 1);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x50);
    set(EOI, 0);
    assert_int_equal(get(CURRENT), 0);
    timers_advance(&timers, 100000);
    assert_false(line[0]);
    set(DIVIDE, 3); /* by 16 */
    set(INITIAL, 1000);
    timers_advance(&timers, 8000);
    assert_int_equal(get(CURRENT), 500);
    set(INITIAL, 0);
    timers_advance(&timers, 100000);
    assert_false(line[0]);
    /* Masked: counts, tells nobody; unmasked too late. */
    set(LVT_TIMER, MASKED | 0x50);
    set(INITIAL, 1000);
    timers_advance(&timers, 16000);
    set(LVT_TIMER, 0x50);
    timers_advance(&timers, 100000);
    assert_false(line[0]);
}

static unsigned count_interrupts(int64_t ns)
{
    unsigned count = 0;
    for (int64_t t = 0; t < ns; t += 1000) {
        timers_advance(&timers, 1000);
        if (lapic_acknowledge(&lapic, 0) >= 0) {
            count++;
            set(EOI, 0);
        }
    }
    return count;
}

static void test_periodic(void **state)
{
    (void)state;
    set(DIVIDE, BY_ONE);
    set(LVT_TIMER, PERIODIC | 0x50);
    set(INITIAL, 100000);
    assert_int_equal(count_interrupts(10000000), 100);
    timers_advance(&timers, 30000);
    assert_int_equal(get(CURRENT), 70000);
    /* The shortest period: bounded, and the count stays on its grid. */
    set(INITIAL, 1);
    assert_in_range(count_interrupts(10000000), 400, 501);
    assert_in_range(get(CURRENT), 0, 1);
    set(INITIAL, 7000);
    assert_in_range(count_interrupts(2100000), 90, 105);
    assert_int_equal(get(CURRENT), 7000);
    timers_advance(&timers, 3000);
    assert_int_equal(get(CURRENT), 4000);
}

static void test_tsc_deadline(void **state)
{
    (void)state;
    uint64_t value;
    assert_true(lapic_msr_write(&lapic, 0, 0x6e0, 5000)); /* wrong mode: ignored */
    assert_true(lapic_msr_read(&lapic, 0, 0x6e0, &value));
    assert_int_equal(value, 0);
    set(LVT_TIMER, TSC | 0x51);
    assert_true(lapic_msr_write(&lapic, 0, 0x6e0, 5000));
    timers_advance(&timers, 2499);
    assert_false(line[0]);
    timers_advance(&timers, 1);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x51);
    set(EOI, 0);
    lapic_msr_read(&lapic, 0, 0x6e0, &value);
    assert_int_equal(value, 0);
    lapic_msr_write(&lapic, 0, 0x6e0, UINT64_MAX);
    set(INITIAL, 50); /* ignored */
    timers_advance(&timers, 100000);
    assert_false(line[0]);
    set(LVT_TIMER, 0x51); /* leaving the mode disarms */
    lapic_msr_read(&lapic, 0, 0x6e0, &value);
    assert_int_equal(value, 0);
}

static void test_virtual_wire(void **state)
{
    (void)state;
    lapic_set_lint0(&lapic, 0, true);
    assert_true(line[0]);
    assert_false(line[1]);
    assert_int_equal(lapic_acknowledge(&lapic, 0), -1);
    assert_true(lapic_takes_extint(&lapic, 0));
    assert_false(lapic_takes_extint(&lapic, 1));
    set(LVT_LINT0, MASKED | 0x700);
    assert_false(line[0]);
    set(LVT_LINT0, 0x8700); /* as SeaBIOS sets it */
    assert_true(line[0]);
    lapic_set_lint0(&lapic, 0, false);
    assert_false(line[0]);
    /* Fixed, edge: Linux's timer of last resort. */
    set(LVT_LINT0, 0x35);
    lapic_set_lint0(&lapic, 0, true);
    lapic_set_lint0(&lapic, 0, false);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x35);
    set(EOI, 0);
    /* NMI on LINT1. */
    lapic_set_lint1(&lapic, 0, true);
    assert_int_equal(nmis[0], 0);
    set(LVT_LINT1, 0x400);
    lapic_set_lint1(&lapic, 0, true);
    assert_int_equal(nmis[0], 1);
    assert_int_equal(nmis[1], 0);
    /* The APIC off: LINT0 is the processor's INTR pin. */
    uint64_t base;
    lapic_msr_read(&lapic, 0, 0x1b, &base);
    assert_int_equal(base, 0xfee00900);
    assert_true(lapic_msr_write(&lapic, 0, 0x1b, 0xfee00100));
    lapic_set_lint0(&lapic, 0, true);
    assert_true(line[0]);
    assert_true(lapic_takes_extint(&lapic, 0));
}

static void test_messages(void **state)
{
    (void)state;
    set(ICR_HIGH, 2u << 24); /* physical */
    set(ICR, 0x4045);
    assert_true(line[2] && !line[0] && !line[1] && !line[3]);
    assert_int_equal(lapic_acknowledge(&lapic, 2), 0x45);
    for (current = 0; current < CPUS; current++)
        set(LDR, 1u << (24 + current)); /* flat */
    current = 0;
    set(ICR_HIGH, 0xau << 24);
    set(ICR, 0x4846);
    assert_true(line[1] && line[3] && !line[0] && !line[2]);
    assert_int_equal(lapic_acknowledge(&lapic, 1), 0x46);
    assert_int_equal(lapic_acknowledge(&lapic, 3), 0x46);
    /* Lowest priority among 1, 3 (busy with 0x46) and 0. */
    set(ICR_HIGH, 0xbu << 24);
    set(ICR, 0x4957);
    assert_true(line[0] && !line[1] && !line[3]);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x57);
    /* Shorthands. */
    set(ICR, 0x40000 | 0x81);
    assert_true(line[0] && !line[1]);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x81);
    set(ICR, 0xc0000 | 0x91);
    assert_true(!line[0] && line[1] && line[2] && line[3]);
    set(ICR, 0x80000 | 0xa1);
    for (unsigned i = 0; i < CPUS; i++)
        assert_int_equal(lapic_acknowledge(&lapic, i), 0xa1);
    /* NMI, SMI, INIT with its de-assert, SIPI. */
    set(ICR_HIGH, 1u << 24);
    set(ICR, 0x4400);
    set(ICR, 0x4200);
    set(ICR, 0xc500);
    set(ICR, 0x8500);
    set(ICR, 0x4699);
    assert_int_equal(nmis[1], 1);
    assert_int_equal(smis[1], 1);
    assert_int_equal(inits[1], 1);
    assert_int_equal(sipis[1], 1);
    assert_int_equal(sipi_vector, 0x99);
    current = 1;
    assert_int_equal(get(SVR), 0xff);
    assert_int_equal(get(ISR + 0x40), 0);
    assert_int_equal(get(ID), 1u << 24);
    current = 0;
    set(ICR, 0xc0000 | 0x4500);
    assert_int_equal(inits[0], 0);
    assert_int_equal(inits[3], 1);
    /* Cluster model. */
    for (current = 0; current < CPUS; current++) {
        set(SVR, 0x1ff);
        set(DFR, 0);
        set(LDR, ((unsigned)current / 2 + 1) << 28 | (1u + (unsigned)current % 2) << 24);
    }
    current = 0;
    set(ICR_HIGH, 0x23u << 24);
    set(ICR, 0x48b1);
    assert_true(line[2] && line[3] && !line[1]);
}

static void test_x2apic(void **state)
{
    (void)state;
    uint64_t value;
    assert_false(lapic_msr_read(&lapic, 1, 0x802, &value));
    assert_false(lapic_msr_write(&lapic, 1, 0x1b, 0xfee00400)); /* x2APIC without enable */
    assert_false(lapic_msr_write(&lapic, 1, 0x1b, 0xfee00801)); /* reserved bit */
    assert_true(lapic_msr_write(&lapic, 1, 0x1b, 0xfee00c00));
    assert_true(lapic_msr_read(&lapic, 1, 0x802, &value));
    assert_int_equal(value, 1);
    assert_true(lapic_msr_read(&lapic, 1, 0x80d, &value));
    assert_int_equal(value, 2);
    assert_false(lapic_msr_read(&lapic, 1, 0x80e, &value));
    assert_false(lapic_msr_read(&lapic, 1, 0x80b, &value));
    assert_false(lapic_msr_write(&lapic, 1, 0x80b, 1));
    assert_false(lapic_msr_write(&lapic, 1, 0x802, 1));
    assert_false(lapic_msr_write(&lapic, 1, 0x808, 0x100));
    assert_true(lapic_msr_write(&lapic, 1, 0x808, 0x20));
    assert_int_equal(lapic_cr8_read(&lapic, 1), 2);
    assert_true(lapic_msr_write(&lapic, 1, 0x83f, 0x61)); /* self */
    assert_int_equal(lapic_acknowledge(&lapic, 1), 0x61);
    assert_true(lapic_msr_write(&lapic, 1, 0x80b, 0));
    assert_true(lapic_msr_write(&lapic, 1, 0x830, 3ull << 32 | 0x4062));
    assert_int_equal(lapic_acknowledge(&lapic, 3), 0x62);
    assert_true(lapic_msr_write(&lapic, 1, 0x830, 0xffffffffull << 32 | 0x4063));
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x63);
    current = 1;
    assert_int_equal(get(ID), 0xffffffff); /* no MMIO in this mode */
    current = 0;
    assert_false(lapic_msr_write(&lapic, 1, 0x1b, 0xfee00800)); /* not back to xAPIC */
    assert_true(lapic_msr_write(&lapic, 1, 0x1b, 0xfee00000));
    assert_false(lapic_msr_write(&lapic, 1, 0x1b, 0xfee00c00)); /* not from off */
    assert_true(lapic_msr_write(&lapic, 1, 0x1b, 0xfee00800));
}

static void io_set(unsigned reg, uint32_t value)
{
    mem_store(mem, IOAPIC_BASE, reg, 4);
    mem_store(mem, IOAPIC_BASE + 0x10, value, 4);
}

static uint32_t io_get(unsigned reg)
{
    mem_store(mem, IOAPIC_BASE, reg, 4);
    return (uint32_t)mem_load(mem, IOAPIC_BASE + 0x10, 4);
}

static void test_ioapic(void **state)
{
    (void)state;
    assert_int_equal(io_get(1), 0x170020);
    assert_int_equal(io_get(0x10), MASKED);
    io_set(0, 0xffffffff);
    assert_int_equal(io_get(0), 0x0f000000);
    /* Edge. */
    ioapic_set_irq(&ioapic, 4, true); /* masked: lost */
    io_set(0x18, 0x34);
    assert_false(line[0]);
    ioapic_set_irq(&ioapic, 4, false);
    ioapic_set_irq(&ioapic, 4, true);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x34);
    set(EOI, 0);
    assert_false(line[0]);
    /* Level: comes again until the line falls. */
    io_set(0x22, 0x8059);
    ioapic_set_irq(&ioapic, 9, true);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x59);
    assert_int_equal(io_get(0x22), 0xc059);
    assert_int_equal(get(TMR + 0x20), 1 << 25);
    set(EOI, 0);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x59);
    ioapic_set_irq(&ioapic, 9, false);
    set(EOI, 0);
    assert_false(line[0]);
    assert_int_equal(io_get(0x22), 0x8059);
    /* Masked while asserted, then unmasked. */
    io_set(0x22, MASKED | 0x8059);
    ioapic_set_irq(&ioapic, 9, true);
    assert_false(line[0]);
    io_set(0x22, 0x8059);
    assert_int_equal(lapic_acknowledge(&lapic, 0), 0x59);
    /* Remote IRR goes by the EOI register, or by a turn through edge. */
    ioapic_set_irq(&ioapic, 9, false);
    mem_store(mem, IOAPIC_BASE + 0x40, 0x59, 4);
    assert_int_equal(io_get(0x22), 0x8059);
    set(EOI, 0);
    /* To processor 3. */
    io_set(0x2b, 3u << 24);
    io_set(0x2a, 0x71);
    ioapic_set_irq(&ioapic, 13, true);
    assert_int_equal(lapic_acknowledge(&lapic, 3), 0x71);
    ioapic_set_irq(&ioapic, 24, true);
    ioapic_set_irq(&ioapic, -1, true);
    assert_int_equal(io_get(0xff), 0);
}

static void test_scribble(void **state)
{
    (void)state;
    uint64_t seed = 7, value;
    for (int i = 0; i < 100000; i++) {
        uint64_t r = test_random(&seed);
        unsigned reg = (unsigned)(r >> 8 & 0x3f);
        current = (int)(r >> 16 & 3);
        switch (r & 7) {
        case 0:
            (void)get(reg << 4);
            break;
        case 1:
            mem_store(mem, LAPIC_BASE + (r >> 20 & 0xfff), r >> 32, 1u << (r >> 60 & 3));
            break;
        case 2:
            io_set(reg, (uint32_t)(r >> 32));
            break;
        case 3:
            ioapic_set_irq(&ioapic, (int)(r >> 20 & 31), r >> 19 & 1);
            break;
        case 4:
            lapic_acknowledge(&lapic, (unsigned)current);
            break;
        case 5:
            lapic_msr_write(&lapic, (unsigned)current, 0x800 + reg, r >> 32);
            lapic_msr_read(&lapic, (unsigned)current, 0x800 + reg, &value);
            break;
        case 6:
            if ((r >> 20 & 15) == 0)
                lapic_msr_write(&lapic, (unsigned)current, 0x1b, 0xfee00000 | (r >> 24 & 3) << 10);
            lapic_msr_write(&lapic, (unsigned)current, 0x6e0, r);
            lapic_set_lint0(&lapic, 0, r >> 40 & 1);
            break;
        default:
            set(reg << 4, (uint32_t)(r >> 32));
            timers_advance(&timers, (int64_t)(r >> 40 & 0xffff));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_registers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_priorities, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_illegal_vectors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_shot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_periodic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tsc_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_virtual_wire, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_x2apic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ioapic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scribble, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
