/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * i440FX and PIIX3: configuration mechanism #1, shadow RAM, SMRAM, interrupt routing, port 0xcf9.
 */
#include "unit/test.h"

#include "device/i440fx.h"
#include "device/piix3.h"

static struct mem *mem;
static struct pio *pio;
static struct ram *ram, *rom;
static struct pci_bus bus;
static struct i440fx host;
static struct piix3 isa;
static struct mem_region low, bios;
static bool irq_level[16];
static unsigned resets;

static void irq(void *opaque, int n, bool level)
{
    (void)opaque;
    irq_level[n] = level;
}

static void reset_machine(void *opaque)
{
    (void)opaque;
    resets++;
}

static int set_up(void **state)
{
    (void)state;
    resets = 0;
    memset(irq_level, 0, sizeof(irq_level));
    assert_int_equal(mem_create(&mem, NULL), 0);
    assert_int_equal(pio_create(&pio, NULL), 0);
    assert_int_equal(ram_create(&ram, "ram", MIB(2), NULL), 0);
    assert_int_equal(ram_create(&rom, "bios", KIB(128), NULL), 0);
    pci_bus_init(&bus, mem, pio);
    low = (struct mem_region){
        .name = "low", .kind = MEM_RAM, .enabled = true, .size = 0xa0000, .ram = ram};
    bios = (struct mem_region){.name = "bios",
                               .kind = MEM_ROM,
                               .enabled = true,
                               .priority = 1,
                               .base = 0xe0000,
                               .size = KIB(128),
                               .ram = rom};
    mem_add(mem, &low);
    mem_add(mem, &bios);
    struct irq wires[16];
    for (int i = 0; i < 16; i++)
        wires[i] = (struct irq){irq, NULL, i};
    assert_int_equal(i440fx_init(&host, &bus, mem, pio, ram), 0);
    piix3_init(&isa, &bus, PCI_DEVFN(1, 0), &host, wires, reset_machine, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    isa.pci.device.type->fini(&isa.pci.device);
    host.pci.device.type->fini(&host.pci.device);
    mem_remove(mem, &bios);
    mem_remove(mem, &low);
    pio_destroy(pio);
    mem_destroy(mem);
    ram_destroy(rom);
    ram_destroy(ram);
    return 0;
}

static void point(unsigned devfn, unsigned reg)
{
    pio_write(pio, 0xcf8, 0x80000000u | devfn << 8 | (reg & 0xfc), 4);
}

static uint32_t get(unsigned devfn, unsigned reg, unsigned size)
{
    point(devfn, reg);
    return pio_read(pio, (uint16_t)(0xcfc + (reg & 3)), size);
}

static void set(unsigned devfn, unsigned reg, uint32_t value, unsigned size)
{
    point(devfn, reg);
    pio_write(pio, (uint16_t)(0xcfc + (reg & 3)), value, size);
}

static void test_mechanism(void **state)
{
    (void)state;
    assert_int_equal(get(0, 0, 4), 0x12378086);
    assert_int_equal(get(0, 2, 2), 0x1237);
    assert_int_equal(get(0, 8, 4), 0x06000002);
    assert_int_equal(get(0, 0x2c, 4), 0x11001af4);
    assert_int_equal(get(8, 0, 4), 0x70008086);
    assert_int_equal(get(8, 0xe, 1), 0x80);
    assert_int_equal(get(16, 0, 4), 0xffffffff);
    /* How Linux looks for the mechanism: a byte at 0xcfb is not the address register. */
    pio_write(pio, 0xcfb, 1, 1);
    pio_write(pio, 0xcf8, 0x80000000, 4);
    assert_int_equal(pio_read(pio, 0xcf8, 4), 0x80000000);
    /* Off, another bus, and across the end of the dword. */
    pio_write(pio, 0xcf8, 0, 4);
    assert_int_equal(pio_read(pio, 0xcfc, 4), 0xffffffff);
    pio_write(pio, 0xcf8, 0x80010000, 4);
    assert_int_equal(pio_read(pio, 0xcfc, 4), 0xffffffff);
    point(0, 0);
    assert_int_equal(pio_read(pio, 0xcfe, 4) & 0xffff, 0x1237);
}

static void test_shadow(void **state)
{
    (void)state;
    uint8_t byte = 0x11;
    assert_true(mem_write_rom(mem, 0xf0000, &byte, 1));
    ram_copy_in(ram, 0xf0000, "\x22", 1);
    assert_int_equal(mem_load(mem, 0xf0000, 1), 0x11);
    assert_int_equal(mem_load(mem, 0xc0000, 1), 0xff); /* nothing there */
    /* RAM for reads and writes, then read-only. */
    set(0, 0x59, 0x30, 1);
    assert_int_equal(mem_load(mem, 0xf0000, 1), 0x22);
    mem_store(mem, 0xfffff, 0x33, 1);
    set(0, 0x59, 0x10, 1);
    mem_store(mem, 0xfffff, 0x44, 1);
    assert_int_equal(mem_load(mem, 0xfffff, 1), 0x33);
    set(0, 0x59, 0x00, 1);
    assert_int_equal(mem_load(mem, 0xf0000, 1), 0x11);
    /* Each 16 KiB segment apart. */
    for (unsigned i = 0; i < 12; i++) {
        gpa_t base = 0xc0000 + i * 0x4000;
        set(0, 0x5a + i / 2, i % 2 ? 0x30 : 0x03, 1);
        mem_store(mem, base, 0x50 + i, 1);
        mem_store(mem, base + 0x3fff, 0x70 + i, 1);
        set(0, 0x5a + i / 2, 0, 1);
        uint8_t first, last;
        ram_copy_out(ram, base, &first, 1);
        ram_copy_out(ram, base + 0x3fff, &last, 1);
        assert_int_equal(first, 0x50 + i);
        assert_int_equal(last, 0x70 + i);
        assert_int_not_equal(mem_load(mem, base, 1), 0x50 + i);
    }
    set(0, 0x5a, 0x33, 1);
    host.pci.device.type->reset(&host.pci.device);
    assert_int_equal(mem_load(mem, 0xc0000, 1), 0xff);
}

/* What a processor in system management mode finds at gpa: a byte of RAM, or -1 for anything else.
 */
static int smm_byte(gpa_t gpa)
{
    struct mem_view *view = mem_view_ref_smm(mem);
    const struct mem_range *range = mem_find(view, gpa);
    int byte = range->region && range->kind == MEM_RAM ? *mem_host(range, gpa) : -1;
    mem_view_unref(view);
    return byte;
}

static void test_smram(void **state)
{
    (void)state;
    assert_int_equal(smm_byte(0xa0000), -1);
    assert_int_equal(get(0, 0x72, 1), 0x02);
    set(0, 0x72, 0x4a, 1);
    mem_store(mem, 0xa0000, 0x5a, 1);
    assert_int_equal(mem_load(mem, 0xa0000, 1), 0x5a);
    assert_int_equal(smm_byte(0xa0000), 0x5a);
    mem_store(mem, 0xbffff, 0x3c, 1);
    /* Shut but for system management mode; and G_SMRAME off: shut for all. */
    set(0, 0x72, 0x0a, 1);
    assert_int_equal(mem_load(mem, 0xa0000, 1), 0xff);
    assert_int_equal(smm_byte(0xa0000), 0x5a);
    assert_int_equal(smm_byte(0xbffff), 0x3c);
    assert_int_equal(smm_byte(0xc0000), -1);
    set(0, 0x72, 0x42, 1);
    assert_int_equal(mem_load(mem, 0xa0000, 1), 0xff);
    assert_int_equal(smm_byte(0xa0000), -1);
    /* D_CLS undoes D_OPEN. */
    set(0, 0x72, 0x6a, 1);
    assert_int_equal(mem_load(mem, 0xa0000, 1), 0xff);
    assert_int_equal(smm_byte(0xa0000), 0x5a);
    /* The lock holds until reset. */
    set(0, 0x72, 0x5a, 1);
    assert_int_equal(get(0, 0x72, 1), 0x1a);
    set(0, 0x72, 0x4a, 1);
    assert_int_equal(get(0, 0x72, 1), 0x1a);
    assert_int_equal(mem_load(mem, 0xa0000, 1), 0xff);
    assert_int_equal(smm_byte(0xa0000), 0x5a);
    host.pci.device.type->reset(&host.pci.device);
    set(0, 0x72, 0x4a, 1);
    assert_int_equal(mem_load(mem, 0xa0000, 1), 0x5a);
}

static void test_routing(void **state)
{
    (void)state;
    assert_int_equal(get(8, 0x60, 4), 0x80808080);
    irq_set(&bus.pirq[0], true);
    set(8, 0x60, 10, 1);
    assert_true(irq_level[10]);
    set(8, 0x61, 10, 1);
    irq_set(&bus.pirq[1], true);
    irq_set(&bus.pirq[0], false);
    assert_true(irq_level[10]); /* shared: the other still asks */
    set(8, 0x61, 11, 1);
    assert_false(irq_level[10]);
    assert_true(irq_level[11]);
    set(8, 0x61, 0x8b, 1);
    assert_false(irq_level[11]);
    set(8, 0x61, 8, 1); /* the clock's: reserved */
    assert_false(irq_level[8]);
}

static void test_reset_control(void **state)
{
    (void)state;
    pio_write(pio, 0xcf9, 2, 1);
    assert_int_equal(pio_read(pio, 0xcf9, 1), 2);
    assert_int_equal(resets, 0);
    pio_write(pio, 0xcf9, 6, 1);
    assert_int_equal(resets, 1);
    assert_int_equal(pio_read(pio, 0xcf9, 1), 2);
    pio_write(pio, 0xcf8, 0x80000600, 4); /* the address register, not a reset */
    assert_int_equal(resets, 1);
}

static void test_scribble(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        uint64_t r = test_random(&seed);
        set(r & 8, r >> 8 & 0xff, (uint32_t)(r >> 16), 1u << (r >> 60) % 3);
        mem_store(mem, r >> 40 & 0xfffff, r, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mechanism, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shadow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_smram, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_routing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reset_control, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scribble, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
