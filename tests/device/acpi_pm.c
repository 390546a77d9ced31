/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The PIIX4's power management function: scripts of what firmware and kernels do to its registers.
 */
#include "device/acpi_pm.h"

#include <stdlib.h>

#include "chip_test.h"
#include "mem/mem.h"
#include "unit/test.h"

enum { DEVFN = PCI_DEVFN(1, 3), BASE = 0x600, SMBUS = 0x700 };

struct fixture {
    struct bench b;
    struct mem *mem;
    struct pci_bus bus;
    struct acpi_pm pm;
    unsigned shutdowns, suspends, wakes;
};

static void shutdown(void *opaque)
{
    ((struct fixture *)opaque)->shutdowns++;
}

static void suspend(void *opaque)
{
    ((struct fixture *)opaque)->suspends++;
}

static void wake(void *opaque)
{
    ((struct fixture *)opaque)->wakes++;
}

static void build(struct fixture *f)
{
    *f = (struct fixture){0};
    bench_init(&f->b);
    assert_int_equal(mem_create(&f->mem, NULL), 0);
    pci_bus_init(&f->bus, f->mem, f->b.pio);
    struct acpi_pm_host host = {shutdown, suspend, wake, f};
    assert_int_equal(acpi_pm_init(&f->pm, &f->bus, DEVFN, &f->b.timers, bench_wire(&f->b, 0),
                                  bench_wire(&f->b, 1), &host),
                     0);
}

static void demolish(struct fixture *f)
{
    f->pm.pci.device.type->fini(&f->pm.pci.device);
    mem_destroy(f->mem);
    bench_fini(&f->b);
}

static void set(struct fixture *f, unsigned reg, uint32_t value, unsigned size)
{
    pci_config_write(&f->bus, DEVFN, reg, value, size);
}

static uint32_t get(struct fixture *f, unsigned reg, unsigned size)
{
    return pci_config_read(&f->bus, DEVFN, reg, size);
}

static uint32_t in(struct fixture *f, unsigned port, unsigned size)
{
    return pio_read(f->b.pio, (uint16_t)port, size);
}

static void out(struct fixture *f, unsigned port, uint32_t value, unsigned size)
{
    pio_write(f->b.pio, (uint16_t)port, value, size);
}

/* As SeaBIOS does. */
static void program(struct fixture *f)
{
    set(f, 0x3c, 9, 1);
    set(f, 0x40, BASE | 1, 4);
    set(f, 0x80, 1, 1);
    set(f, 0x90, SMBUS | 1, 4);
    set(f, 0xd2, 9, 1);
}

static int setup(void **state)
{
    static struct fixture f;
    build(&f);
    program(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    demolish(*state);
    return 0;
}

static bool sci(const struct fixture *f)
{
    return f->b.wire[0].level;
}

static void to_tick(struct fixture *f, int64_t tick)
{
    int64_t ns = (int64_t)mul_div((uint64_t)tick * 2 + 1, NS_PER_SECOND, 2 * ACPI_PM_TIMER_HZ);
    timers_advance(&f->b.timers, ns - timers_now(&f->b.timers));
}

static void reset(struct fixture *f)
{
    f->pm.pci.device.type->reset(&f->pm.pci.device);
}

static void identity(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(get(f, 0, 4), 0x71138086);
    assert_int_equal(get(f, 8, 4), 0x06800003);
    assert_int_equal(get(f, 0x3c, 2), 0x0109);
}

static void blocks_move(void **state)
{
    struct fixture *f = *state;
    out(f, BASE + 2, 0xffff, 2);
    assert_int_equal(in(f, BASE + 2, 2), 0x0521);
    assert_int_equal(get(f, 0x40, 4), BASE | 1);
    set(f, 0x40, 0xffffffff, 4);
    assert_int_equal(get(f, 0x40, 4), 0xffc1);
    assert_int_equal(in(f, BASE + 2, 2), 0xffff);
    assert_int_equal(in(f, 0xffc2, 2), 0x0521);
    set(f, 0x41, 0xb0, 1);
    assert_int_equal(in(f, 0xb0c2, 2), 0x0521);
    set(f, 0x80, 0, 1);
    assert_int_equal(in(f, 0xb0c2, 2), 0xffff);
    set(f, 0x80, 0xff, 1);
    assert_int_equal(get(f, 0x80, 1), 1);
    assert_int_equal(in(f, 0xb0c2, 2), 0x0521);
    set(f, 0x40, 0, 4);
    assert_int_equal(in(f, 2, 2), 0xffff);
    program(f);
    assert_int_equal(in(f, BASE + 2, 2), 0x0521);
    assert_int_equal(in(f, SMBUS, 1), 0);
    set(f, 0xd2, 8, 1);
    assert_int_equal(in(f, SMBUS, 1), 0xff);
    /* Power-on: nowhere. */
    reset(f);
    assert_int_equal(in(f, BASE, 4), 0xffffffff);
    assert_int_equal(get(f, 0x40, 4), 1);
    program(f);
    assert_int_equal(in(f, BASE, 4), 0);
}

static void pm_timer(void **state)
{
    struct fixture *f = *state;
    to_tick(f, 1000);
    assert_int_equal(in(f, BASE + 8, 4), 1000);
    to_tick(f, 0x123456);
    assert_int_equal(in(f, BASE + 8, 4), 0x123456);
    assert_int_equal(in(f, BASE + 8, 1), 0x56);
    assert_int_equal(in(f, BASE + 9, 2), 0x1234);
    assert_int_equal(in(f, BASE + 11, 1), 0);
    out(f, BASE + 8, 0, 4);
    assert_int_equal(in(f, BASE + 8, 4), 0x123456);
    to_tick(f, 0x1000000);
    assert_int_equal(in(f, BASE + 8, 4), 0);
    timers_advance(&f->b.timers, 3600 * NS_PER_SECOND);
    assert_int_equal(in(f, BASE + 8, 4), (0x1000000 + ACPI_PM_TIMER_HZ * INT64_C(3600)) & 0xffffff);
}

static void overflow_status(void **state)
{
    struct fixture *f = *state;
    to_tick(f, 0x7fffff);
    assert_int_equal(in(f, BASE, 2), 0);
    to_tick(f, 0x800000);
    assert_int_equal(in(f, BASE, 2), 1);
    out(f, BASE, 1, 2);
    assert_int_equal(in(f, BASE, 2), 0);
    to_tick(f, 0xffffff);
    assert_int_equal(in(f, BASE, 2), 0);
    to_tick(f, 0x1000000);
    assert_int_equal(in(f, BASE, 1), 1);
    assert_false(sci(f));
    /* It is late to clear the first after a second has come: both are one bit. */
    to_tick(f, 0x2000000);
    out(f, BASE, 1, 1);
    assert_int_equal(in(f, BASE, 1), 0);
}

static void overflow_interrupts(void **state)
{
    struct fixture *f = *state;
    out(f, 0xb2, 0xf1, 1);
    out(f, BASE + 2, 1, 2);
    to_tick(f, 0x7fffff);
    assert_false(sci(f));
    to_tick(f, 0x800000);
    assert_true(sci(f));
    out(f, BASE, 1, 2);
    assert_false(sci(f));
    for (int i = 2; i < 10; i++) {
        to_tick(f, INT64_C(0x800000) * i - 1);
        assert_false(sci(f));
        to_tick(f, INT64_C(0x800000) * i);
        assert_true(sci(f));
        out(f, BASE, 1, 1);
    }
    assert_int_equal(f->b.wire[0].rises, 9);
    /* Missed while it was not enabled: tells at once. */
    out(f, BASE + 2, 0, 2);
    to_tick(f, 0x800000 * INT64_C(20));
    assert_false(sci(f));
    out(f, BASE + 2, 1, 1);
    assert_true(sci(f));
}

static void acpi_handover(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(in(f, BASE + 4, 2), 0);
    out(f, 0xb3, 0x77, 1);
    out(f, 0xb2, 0xf1, 1);
    assert_int_equal(in(f, 0xb2, 2), 0x77f1);
    assert_int_equal(in(f, BASE + 4, 2), 1);
    acpi_pm_power_button(&f->pm);
    out(f, BASE + 2, 0x100, 2);
    assert_true(sci(f));
    out(f, 0xb2, 0xf0, 1);
    assert_int_equal(in(f, BASE + 4, 2), 0);
    assert_false(sci(f));
    out(f, 0xb2, 0x42, 1); /* no other command is known */
    assert_int_equal(in(f, BASE + 4, 2), 0);
    out(f, BASE + 4, 1, 1);
    assert_true(sci(f));
    reset(f);
    assert_false(sci(f));
    assert_int_equal(in(f, 0xb2, 2), 0);
}

/* As SeaBIOS sets it up; an SMI is a pulse. */
static void apm_smi(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(get(f, 0x58, 4) >> 25 & 1, 0);
    out(f, 0xb2, 0, 1);
    out(f, 0xb3, 1, 1);
    assert_int_equal(f->b.wire[1].rises, 0);
    assert_int_equal(in(f, BASE + 0x18, 2), 0);
    set(f, 0x58, get(f, 0x58, 4) | 1u << 25, 4);
    out(f, 0xb3, 1, 1); /* the status port makes none */
    assert_int_equal(f->b.wire[1].rises, 0);
    out(f, 0xb2, 0x55, 1);
    assert_int_equal(f->b.wire[1].rises, 1);
    assert_false(f->b.wire[1].level);
    assert_int_equal(in(f, 0xb2, 2), 0x0155);
    assert_int_equal(in(f, BASE + 0x18, 2), 0x20);
    out(f, BASE + 0x18, 0xffdf, 2);
    assert_int_equal(in(f, BASE + 0x18, 2), 0x20);
    out(f, BASE + 0x18, 0x20, 1);
    assert_int_equal(in(f, BASE + 0x18, 2), 0);
    out(f, 0xb2, 0xf1, 1); /* this one acts, too */
    assert_int_equal(f->b.wire[1].rises, 2);
    assert_int_equal(in(f, BASE + 4, 2), 1);
    set(f, 0x58, 0, 4);
    out(f, 0xb2, 0xf0, 1);
    assert_int_equal(f->b.wire[1].rises, 2);
    set(f, 0x58, 1u << 25, 4);
    reset(f);
    assert_int_equal(get(f, 0x58, 4), 0);
    assert_int_equal(in(f, 0xb2, 2), 0);
    program(f);
    assert_int_equal(in(f, BASE + 0x18, 2), 0);
}

static void power_button(void **state)
{
    struct fixture *f = *state;
    out(f, 0xb2, 0xf1, 1);
    out(f, BASE + 3, 1, 1);
    assert_int_equal(in(f, BASE, 2), 0);
    acpi_pm_power_button(&f->pm);
    assert_true(sci(f));
    assert_int_equal(in(f, BASE, 4), 0x01000100);
    out(f, BASE, 0xfeff, 2);
    assert_true(sci(f));
    out(f, BASE, 0x100, 2);
    assert_false(sci(f));
    assert_int_equal(in(f, BASE, 2), 0);
    /* Two at once in one dword: status cleared, events off. */
    acpi_pm_power_button(&f->pm);
    out(f, BASE, 0x00000100, 4);
    assert_int_equal(in(f, BASE, 4), 0);
    assert_int_equal(f->wakes, 0);
}

static void gpe(void **state)
{
    struct fixture *f = *state;
    out(f, BASE + 4, 1, 2);
    assert_int_equal(in(f, 0xafe0, 4), 0);
    acpi_pm_gpe(&f->pm, 1);
    acpi_pm_gpe(&f->pm, 9);
    assert_false(sci(f));
    out(f, 0xafe3, 0x02, 1);
    assert_true(sci(f));
    assert_int_equal(in(f, 0xafe0, 4), 0x02000202);
    out(f, 0xafe1, 0xff, 1);
    assert_false(sci(f));
    out(f, 0xafe2, 0xff, 1);
    assert_true(sci(f));
    out(f, 0xafe0, 0x02, 1);
    assert_false(sci(f));
    assert_int_equal(in(f, 0xafe0, 4), 0x02ff0000);
}

static void sleep_types(void **state)
{
    struct fixture *f = *state;
    out(f, BASE + 4, 0x0001, 2); /* as Linux: SLP_TYP first, then SLP_EN with it */
    out(f, BASE + 4, 0x1c01, 2);
    assert_int_equal(in(f, BASE + 4, 2), 0x1c01);
    out(f, BASE + 4, 0x3c01, 2); /* reserved */
    assert_int_equal(f->shutdowns + f->suspends, 0);
    out(f, BASE + 4, 0x2001, 2);
    assert_int_equal(f->shutdowns, 1);
    assert_int_equal(in(f, BASE + 4, 2), 1); /* SLP_EN reads as 0 */
    out(f, BASE + 5, 0x28, 1);               /* S4, by a byte */
    assert_int_equal(f->shutdowns, 2);
    out(f, BASE + 4, 0x20, 1); /* the low byte has no SLP_EN */
    assert_int_equal(f->shutdowns, 2);
    assert_int_equal(f->suspends, 0);
}

static void suspend_and_wake(void **state)
{
    struct fixture *f = *state;
    assert_false(acpi_pm_wake(&f->pm));
    out(f, BASE + 4, 0x2401, 2);
    out(f, BASE + 4, 0x2401, 2); /* another processor, before it stops */
    assert_int_equal(f->suspends, 1);
    acpi_pm_power_button(&f->pm);
    assert_int_equal(f->wakes, 1);
    reset(f); /* what the board does then */
    program(f);
    assert_int_equal(in(f, BASE, 2), 0x8100);
    out(f, BASE, 0x8000, 2);
    assert_int_equal(in(f, BASE, 2), 0x0100);
    assert_false(acpi_pm_wake(&f->pm));
    reset(f);
    program(f);
    assert_int_equal(in(f, BASE, 2), 0);
    /* Reset instead of waking up. */
    out(f, BASE + 4, 0x2401, 2);
    assert_int_equal(f->suspends, 2);
    reset(f);
    program(f);
    assert_int_equal(in(f, BASE, 2), 0);
    assert_false(acpi_pm_wake(&f->pm));
    assert_int_equal(f->wakes, 1);
    /* A board that can do nothing of it. */
    f->pm.host = (struct acpi_pm_host){0};
    out(f, BASE + 4, 0x2401, 2);
    out(f, BASE + 4, 0x2001, 2);
    assert_false(acpi_pm_wake(&f->pm));
}

static void smbus(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(in(f, SMBUS, 1), 0);
    out(f, SMBUS + 4, 0xa1, 1);
    out(f, SMBUS + 3, 0x10, 1);
    out(f, SMBUS + 2, 0x48, 1); /* start, byte data */
    assert_int_equal(in(f, SMBUS, 1), 0x04);
    assert_int_equal(in(f, SMBUS + 2, 1), 0x08);
    assert_int_equal(in(f, SMBUS + 4, 1), 0xa1);
    assert_int_equal(in(f, SMBUS + 3, 1), 0x10);
    out(f, SMBUS, 0xff, 1);
    assert_int_equal(in(f, SMBUS, 1), 0);
    out(f, SMBUS + 2, 0x42, 1);
    assert_int_equal(in(f, SMBUS, 1), 0x10);
    /* The block: 32 bytes, rewound by reading the control register. */
    in(f, SMBUS + 2, 1);
    for (unsigned i = 0; i < 40; i++)
        out(f, SMBUS + 7, i, 1);
    in(f, SMBUS + 2, 1);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(in(f, SMBUS + 7, 1), i % 32 < 8 ? i % 32 + 32 : i % 32);
    assert_false(sci(f));
}

static void scribble_all(struct fixture *f, uint64_t *seed, unsigned times)
{
    static const uint16_t bases[] = {BASE, SMBUS, 0xafe0, 0xb0};
    for (unsigned i = 0; i < times; i++) {
        uint64_t r = test_random(seed);
        unsigned size = 1u << (r >> 8 & 0xff) % 3;
        if ((r & 15) == 0) {
            set(f, r >> 16 & 0xff, (uint32_t)(r >> 32), size);
        } else if ((r & 15) == 1) {
            program(f);
        } else if ((r & 15) == 2) {
            timers_advance(&f->b.timers, (int64_t)(r >> 32));
        } else if ((r & 15) == 3) {
            acpi_pm_power_button(&f->pm);
            acpi_pm_gpe(&f->pm, (unsigned)(r >> 32));
        } else if ((r & 15) == 4) {
            acpi_pm_wake(&f->pm);
            reset(f);
        } else {
            unsigned port = bases[r >> 16 & 3] + (r >> 24 & 0x3f);
            in(f, port, size);
            out(f, port, (uint32_t)(r >> 32), size);
        }
        bool event = (f->pm.status & f->pm.enable & 0x521) || (f->pm.gpe_status & f->pm.gpe_enable);
        assert_int_equal(sci(f), event && (f->pm.control & 1));
    }
}

static void hostile(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 7;
    scribble_all(f, &seed, 20000);
}

static const struct state_table *table(struct fixture *f)
{
    return f->pm.pci.device.type->state;
}

static void goes_on_alike(void **state)
{
    (void)state;
    static struct fixture a, b;
    build(&a);
    build(&b);
    program(&a);
    to_tick(&a, 0x12345);
    out(&a, 0xb2, 0xf1, 1);
    out(&a, BASE + 2, 1, 2);
    out(&a, BASE + 5, 0x24, 1);
    out(&a, SMBUS + 5, 0x99, 1);
    set(&a, 0x58, 1u << 25, 4);
    out(&a, 0xb2, 0x42, 1);
    acpi_pm_gpe(&a.pm, 4);
    timers_advance(&b.b.timers, timers_now(&a.b.timers));
    struct state_buffer out = {0}, again = {0};
    assert_int_equal(state_save(table(&a), &a.pm, &out), 0);
    size_t used = 0;
    assert_int_equal(state_load(table(&b), &b.pm, out.data, out.length, &used, NULL), 0);
    assert_int_equal(used, out.length);
    assert_int_equal(state_save(table(&b), &b.pm, &again), 0);
    assert_int_equal(out.length, again.length);
    assert_memory_equal(out.data, again.data, out.length);
    free(out.data);
    free(again.data);
    assert_int_equal(in(&b, BASE + 2, 4), 0x04010001);
    assert_int_equal(in(&b, 0xafe0, 1), 0x10);
    assert_int_equal(in(&b, SMBUS + 5, 1), 0x99);
    assert_int_equal(in(&b, BASE + 0x18, 1), 0x20);
    pio_write(b.b.pio, 0xb2, 1, 1);
    assert_int_equal(b.b.wire[1].rises, 1);
    assert_false(sci(&b));
    to_tick(&b, 0x7fffff);
    assert_false(sci(&b));
    to_tick(&b, 0x800000);
    assert_true(sci(&b));
    acpi_pm_power_button(&b.pm);
    assert_int_equal(b.wakes, 1);
    demolish(&a);
    demolish(&b);
}

static void damaged_streams(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 3;
    struct state_buffer out = {0};
    assert_int_equal(state_save(table(f), &f->pm, &out), 0);
    for (int round = 0; round < 500; round++) {
        size_t used;
        uint64_t r = test_random(&seed);
        out.data[(r >> 8) % out.length] = (uint8_t)r;
        state_load(table(f), &f->pm, out.data, out.length, &used, NULL);
        scribble_all(f, &seed, 30);
    }
    free(out.data);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(identity),
        CASE(blocks_move),
        CASE(pm_timer),
        CASE(overflow_status),
        CASE(overflow_interrupts),
        CASE(acpi_handover),
        CASE(apm_smi),
        CASE(power_button),
        CASE(gpe),
        CASE(sleep_types),
        CASE(suspend_and_wake),
        CASE(smbus),
        CASE(hostile),
        cmocka_unit_test(goes_on_alike),
        CASE(damaged_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
