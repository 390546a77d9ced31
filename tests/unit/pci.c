/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * bus/pci: headers, sizing and mapping of BARs, interrupt wires, hostile configuration writes.
 */
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "bus/pci.h"

enum { DEVFN = PCI_DEVFN(3, 0), BAR4 = PCI_BAR0 + 16 };

static struct mem *mem;
static struct pio *pio;
static struct ram *rom;
static struct pci_bus bus;
static struct pci_device card, other;
static int wires[4], edges[4], writes;

static uint64_t whoami(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return (uintptr_t)opaque << 4 | (offset & 15);
}

static const struct io_ops ops = {whoami, NULL, 1, 4};

static void wire(void *opaque, int n, bool level)
{
    (void)opaque;
    wires[n] = level;
    edges[n]++;
}

static void config_written(struct pci_device *device, unsigned offset, unsigned size)
{
    assert_ptr_equal(device, &card);
    assert_true(offset + size <= 256);
    writes++;
}

/* A card with 4 KiB of MMIO (BAR 0), 32 ports (BAR 1), 1 GiB of 64-bit MMIO (BAR 4 and 5) and a
 * ROM of 64 KiB. */
static void make_card(void)
{
    pci_device_init(&card, &bus, DEVFN, 0x1234, 0x5678, 0x020001, 9, 1);
    card.config_written = config_written;
    card.bars[0].region = (struct mem_region){.name = "bar0", .ops = &ops, .opaque = (void *)1};
    card.bars[0].region.kind = MEM_IO;
    card.bars[1].ports = (struct pio_range){.name = "bar1", .ops = &ops, .opaque = (void *)2};
    card.bars[4].region = (struct mem_region){.name = "bar4", .ops = &ops, .opaque = (void *)4};
    card.bars[4].region.kind = MEM_IO;
    card.bars[4].wide = true;
    card.bars[4].prefetch = true;
    card.bars[6].region = (struct mem_region){.name = "rom", .kind = MEM_ROM, .ram = rom};
    pci_add_bar(&card, 0, 4096, false);
    pci_add_bar(&card, 1, 32, true);
    pci_add_bar(&card, 4, GIB(1), false);
    pci_add_bar(&card, 6, 0x10000, false);
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(mem_create(&mem, NULL), 0);
    assert_int_equal(pio_create(&pio, NULL), 0);
    assert_int_equal(ram_create(&rom, "rom", 0x10000, NULL), 0);
    memset(&card, 0, sizeof(card));
    memset(&other, 0, sizeof(other));
    memset(wires, 0, sizeof(wires));
    memset(edges, 0, sizeof(edges));
    writes = 0;
    pci_bus_init(&bus, mem, pio);
    for (int i = 0; i < 4; i++)
        bus.pirq[i] = (struct irq){wire, NULL, i};
    make_card();
    pci_device_init(&other, &bus, PCI_DEVFN(7, 0), 0x1234, 0x1111, 0x030000, 0, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mem_destroy(mem);
    pio_destroy(pio);
    ram_destroy(rom);
    return 0;
}

static uint32_t get(unsigned offset, unsigned size)
{
    return pci_config_read(&bus, DEVFN, offset, size);
}

static void set(unsigned offset, uint32_t value, unsigned size)
{
    pci_config_write(&bus, DEVFN, offset, value, size);
}

static void the_header_says_what_it_is(void **state)
{
    (void)state;
    assert_int_equal(get(0, 4), 0x56781234);
    assert_int_equal(get(8, 4), 0x02000109);
    assert_int_equal(get(PCI_INTERRUPT_PIN, 1), 1);
    set(0, 0, 4);
    set(8, 0, 4);
    set(PCI_INTERRUPT_PIN, 0, 1);
    assert_int_equal(get(0, 4), 0x56781234);
    assert_int_equal(get(8, 4), 0x02000109);
    assert_int_equal(get(PCI_INTERRUPT_PIN, 1), 1);
    set(PCI_INTERRUPT_LINE, 11, 1);
    assert_int_equal(get(PCI_INTERRUPT_LINE, 1), 11);
    assert_int_equal(writes, 4);
    assert_int_equal(pci_config_read(&bus, PCI_DEVFN(31, 7), 0, 4), 0xffffffff);
    assert_int_equal(pci_config_read(&bus, PCI_DEVFN(31, 7), 0, 2), 0xffff);
    assert_int_equal(get(3, 2), 0xffff); /* not inside a dword */
    assert_int_equal(get(256, 1), 0xff);
    set(254, 0, 4);
    assert_int_equal(writes, 4);
}

static void errors_are_cleared_by_ones(void **state)
{
    (void)state;
    card.config[PCI_STATUS + 1] |= 0xb8; /* as a device would set them */
    assert_int_equal(get(PCI_STATUS, 2), 0xb800);
    set(PCI_STATUS, 0, 2);
    assert_int_equal(get(PCI_STATUS, 2), 0xb800);
    set(PCI_STATUS, 0x2000, 2);
    assert_int_equal(get(PCI_STATUS, 2), 0x9800);
}

static void sizing_gives_the_sizes(void **state)
{
    (void)state;
    for (unsigned offset = PCI_BAR0; offset < PCI_BAR0 + 24; offset += 4)
        set(offset, 0xffffffff, 4);
    set(PCI_ROM, 0xfffff800, 4);
    assert_int_equal(get(PCI_BAR0, 4), 0xfffff000);
    assert_int_equal(get(PCI_BAR0 + 4, 4), 0xffffffe1);
    assert_int_equal(get(PCI_BAR0 + 8, 4), 0);
    assert_int_equal(get(BAR4, 4), 0xc000000c);
    assert_int_equal(get(BAR4 + 4, 4), 0xffffffff);
    assert_int_equal(get(PCI_ROM, 4), 0xffff0000);
    set(PCI_BAR0, 0, 4);
    assert_int_equal(get(PCI_BAR0, 4), 0);
    set(PCI_BAR0 + 4, 0, 4);
    assert_int_equal(get(PCI_BAR0 + 4, 4), 1);
}

static void bars_answer_where_they_are_put(void **state)
{
    (void)state;
    set(PCI_BAR0, 0xfebf0000, 4);
    set(PCI_BAR0 + 4, 0xc000, 4);
    set(BAR4 + 4, 0x12, 4);
    set(BAR4, 0x40000000, 4);
    set(PCI_ROM, 0xfec00001, 4);
    assert_int_equal(mem_load(mem, 0xfebf0003, 1), 0xff); /* decoding is off */
    assert_int_equal(pio_read(pio, 0xc003, 1), 0xff);

    set(PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    assert_int_equal(mem_load(mem, 0xfebf0003, 1), 0x13);
    assert_int_equal(mem_load(mem, 0x1240000005, 1), 0x45);
    assert_int_equal(mem_load(mem, 0xfec00000, 1), 0); /* ROM */
    assert_int_equal(pio_read(pio, 0xc003, 1), 0xff);
    set(PCI_COMMAND, PCI_COMMAND_IO, 2);
    assert_int_equal(mem_load(mem, 0xfebf0003, 1), 0xff);
    assert_int_equal(mem_load(mem, 0xfec00000, 1), 0xff);
    assert_int_equal(pio_read(pio, 0xc01f, 1), 0x2f);
    assert_int_equal(pio_read(pio, 0xc020, 1), 0xff);

    set(PCI_BAR0 + 4, 0xd000, 2); /* moves while decoding */
    assert_int_equal(pio_read(pio, 0xc003, 1), 0xff);
    assert_int_equal(pio_read(pio, 0xd003, 1), 0x23);
    set(PCI_BAR0 + 4, 0xffffffff, 4); /* sizing while decoding */
    assert_int_equal(pio_read(pio, 0xffe3, 1), 0xff);
    set(PCI_BAR0 + 4, 0x10000, 4);
    assert_int_equal(pio_read(pio, 3, 1), 0xff);
    set(PCI_BAR0 + 4, 0, 4);
    assert_int_equal(pio_read(pio, 3, 1), 0xff);
    set(PCI_COMMAND, 3, 1);
    set(PCI_ROM, 0xfec00000, 4); /* disabled by its own bit */
    assert_int_equal(mem_load(mem, 0xfec00000, 1), 0xff);
    set(PCI_BAR0, 0xffffffff, 4);
    assert_int_equal(mem_load(mem, 0xfffff000, 1), 0xff);
}

static void bars_hide_under_fixed_chips(void **state)
{
    (void)state;
    struct mem_region fixed = {.name = "fixed",
                               .kind = MEM_IO,
                               .enabled = true,
                               .base = 0xfee00000,
                               .size = 0x1000,
                               .ops = &ops,
                               .opaque = (void *)9};
    mem_add(mem, &fixed);
    set(PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    set(BAR4, 0xc0000000, 4); /* 0xc0000000 .. 0xffffffff */
    assert_int_equal(mem_load(mem, 0xfee00001, 1), 0x91);
    assert_int_equal(mem_load(mem, 0xfee01001, 1), 0x41);
    mem_remove(mem, &fixed);
}

static void reset_unmaps(void **state)
{
    (void)state;
    set(PCI_COMMAND, 7, 2);
    set(PCI_BAR0, 0xfebf0000, 4);
    set(PCI_INTERRUPT_LINE, 5, 1);
    pci_set_intx(&card, true);
    pci_device_reset(&card);
    assert_int_equal(get(PCI_COMMAND, 2), 0);
    assert_int_equal(get(PCI_STATUS, 2), 0);
    assert_int_equal(get(PCI_BAR0 + 4, 4), 1);
    assert_int_equal(get(BAR4, 4), 0xc);
    assert_int_equal(get(PCI_INTERRUPT_LINE, 1), 0);
    assert_int_equal(get(0, 4), 0x56781234);
    assert_int_equal(mem_load(mem, 0xfebf0000, 1), 0xff);
    assert_int_equal(wires[2], 0);
}

static void pins_share_wires(void **state)
{
    (void)state;
    /* As firmware takes it for PIIX boards: slot 1's pins are A, B, C, D; the next slots shift. */
    assert_int_equal(pci_pirq(PCI_DEVFN(1, 0), 1), 0);
    assert_int_equal(pci_pirq(PCI_DEVFN(1, 3), 4), 3);
    assert_int_equal(pci_pirq(PCI_DEVFN(2, 0), 1), 1);
    assert_int_equal(pci_pirq(PCI_DEVFN(4, 0), 2), 0);
    assert_int_equal(pci_pirq(PCI_DEVFN(0, 0), 1), 3);

    pci_set_intx(&card, true); /* slots 3 and 7 meet on PIRQC */
    pci_set_intx(&card, true);
    pci_set_intx(&other, true);
    assert_int_equal(wires[2], 1);
    assert_int_equal(edges[2], 1);
    assert_int_equal(bus.pirq_count[2], 2);
    assert_int_equal(get(PCI_STATUS, 2) & 8, 8);
    pci_set_intx(&card, false);
    assert_int_equal(wires[2], 1);
    pci_set_intx(&other, false);
    assert_int_equal(wires[2], 0);
    assert_int_equal(edges[2], 2);

    pci_set_intx(&card, true);
    set(PCI_COMMAND, PCI_COMMAND_INTX_OFF, 2);
    assert_int_equal(wires[2], 0);
    assert_int_equal(get(PCI_STATUS, 2) & 8, 8); /* pending all the same */
    set(PCI_COMMAND, 0, 2);
    assert_int_equal(wires[2], 1);
}

static void only_masters_reach_memory(void **state)
{
    (void)state;
    struct ram *ram;
    assert_int_equal(ram_create(&ram, "ram", 4096, NULL), 0);
    struct mem_region region = {
        .name = "ram", .kind = MEM_RAM, .enabled = true, .size = 4096, .ram = ram};
    mem_add(mem, &region);
    uint32_t value = 0x12345678;
    assert_false(pci_dma_write(&card, 0x10, &value, 4));
    assert_int_equal(mem_load(mem, 0x10, 4), 0);
    set(PCI_COMMAND, PCI_COMMAND_MASTER, 2);
    assert_true(pci_dma_write(&card, 0x10, &value, 4));
    value = 0;
    assert_true(pci_dma_read(&card, 0x10, &value, 4));
    assert_int_equal(value, 0x12345678);
    mem_remove(mem, &region);
    ram_destroy(ram);
}

static void a_load_remaps_and_drives(void **state)
{
    (void)state;
    set(PCI_BAR0, 0xfebf0000, 4);
    set(PCI_BAR0 + 4, 0xc000, 4);
    set(PCI_COMMAND, 3, 2);
    pci_set_intx(&card, true);
    struct state_buffer out = {0};
    assert_int_equal(state_save(&pci_device_state, &card, &out), 0);
    pci_device_reset(&card);
    assert_int_equal(wires[2], 0);
    assert_int_equal(state_load(&pci_device_state, &card, out.data, out.length, NULL, NULL), 0);
    assert_int_equal(wires[2], 1);
    assert_int_equal(mem_load(mem, 0xfebf0003, 1), 0x13);
    assert_int_equal(pio_read(pio, 0xc003, 1), 0x23);
    assert_int_equal(bus.pirq_count[2], 1);
    free(out.data);
}

/* What must hold whatever the guest wrote. */
static void check_card(void)
{
    assert_int_equal(get(0, 4), 0x56781234);
    assert_int_equal(get(PCI_BAR0, 4) & 0xfff, 0);
    assert_int_equal(get(PCI_BAR0 + 4, 4) & 0x1f, 1);
    assert_int_equal(get(BAR4, 4) & 0x3fffffff, 0xc);
    struct mem_view *view = mem_view_ref(mem);
    gpa_t base = (get(PCI_BAR0, 4));
    bool mapped = (get(PCI_COMMAND, 2) & PCI_COMMAND_MEMORY) && base && base != 0xfffff000;
    assert_int_equal(mapped, card.bars[0].mapped);
    if (mapped && !card.bars[4].mapped && !card.bars[6].mapped)
        assert_ptr_equal(mem_find(view, base)->region, &card.bars[0].region);
    mem_view_unref(view);
    uint32_t port = get(PCI_BAR0 + 4, 4) & ~1u;
    mapped = (get(PCI_COMMAND, 2) & PCI_COMMAND_IO) && port && port + 32 <= 0x10000;
    assert_int_equal(mapped, card.bars[1].mapped);
    if (mapped)
        assert_int_equal(pio_read(pio, (uint16_t)port, 1), 0x20);
}

static void a_million_hostile_accesses(void **state)
{
    (void)state;
    uint64_t seed = 2024;
    for (int i = 0; i < 1000000; i++) {
        uint64_t r = test_random(&seed);
        unsigned offset = (unsigned)(r >> 8) & (r & 0x80 ? 0x3f : 0x1ff);
        unsigned size = (unsigned[]){1, 2, 4, 4, 3, 8}[(r >> 20) % 6];
        uint32_t value = (uint32_t)(r >> 32);
        if (r & 1)
            value &= 0xffff;
        uint8_t devfn = r & 2 ? DEVFN : (uint8_t)(r >> 24);
        if (r & 4)
            pci_config_read(&bus, devfn, offset, size);
        else
            pci_config_write(&bus, devfn, offset, value, size);
        if (r & 8)
            pci_set_intx(r & 16 ? &card : &other, r & 32);
        if (i % 64 == 0)
            check_card();
    }
    assert_true(writes > 50000);
    assert_int_equal(bus.pirq_count[2], card.intx_driven + other.intx_driven);
    assert_int_equal(wires[2], bus.pirq_count[2] > 0);
    pci_device_reset(&card);
    pci_device_reset(&other);
    assert_int_equal(bus.pirq_count[2], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_header_says_what_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_are_cleared_by_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(sizing_gives_the_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(bars_answer_where_they_are_put, setup, teardown),
        cmocka_unit_test_setup_teardown(bars_hide_under_fixed_chips, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_unmaps, setup, teardown),
        cmocka_unit_test_setup_teardown(pins_share_wires, setup, teardown),
        cmocka_unit_test_setup_teardown(only_masters_reach_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(a_load_remaps_and_drives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_million_hostile_accesses, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
