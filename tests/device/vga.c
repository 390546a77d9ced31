/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The VGA by its registers, as a BIOS or a game would use it, a hostile guest, saving and loading.
 */
#include "vga_bench.h"

/* PCI */

static void header_and_bars(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pci_config_read(&f->bus, DEVFN, 0, 4), 0x11111234);
    assert_int_equal(pci_config_read(&f->bus, DEVFN, 8, 4), 0x03000002);
    assert_int_equal(pci_config_read(&f->bus, DEVFN, 0x2c, 4), 0x11001af4);
    pci_config_write(&f->bus, DEVFN, PCI_BAR0, UINT32_MAX, 4);
    assert_int_equal(pci_config_read(&f->bus, DEVFN, PCI_BAR0, 4), 0xff000008);
    pci_config_write(&f->bus, DEVFN, PCI_BAR0 + 8, UINT32_MAX, 4);
    assert_int_equal(pci_config_read(&f->bus, DEVFN, PCI_BAR0 + 8, 4), 0xfffff000);
    assert_int_equal(pci_config_read(&f->bus, DEVFN, PCI_INTERRUPT_PIN, 1), 0);

    pci_config_write(&f->bus, DEVFN, PCI_ROM, ROM | 1, 4);
    assert_int_equal(pci_config_read(&f->bus, DEVFN, PCI_ROM, 4), ROM | 1);
    assert_int_equal(mem_load(f->mem, ROM + 4999, 1), (uint8_t)(4999 * 7));
    mem_store(f->mem, ROM, 1, 1);
    assert_int_equal(mem_load(f->mem, ROM, 1), 0);
    assert_int_equal(mem_load(f->mem, ROM + 8191, 1), 0); /* the rest of the BAR */
    pci_config_write(&f->bus, DEVFN, PCI_ROM, UINT32_MAX, 4);
    assert_int_equal(pci_config_read(&f->bus, DEVFN, PCI_ROM, 4), 0xffffe001);
}

static void memory_bar_is_ram(void **state)
{
    struct fixture *f = *state;
    mem_store(f->mem, LFB + MIB(16) - 4, 0x12345678, 4);
    assert_int_equal(planes(f, MIB(4) - 1), 0x12345678);
    assert_int_equal(mem_load(f->mem, LFB + MIB(16), 1), 0xff);
}

static void registers_in_mmio(void **state)
{
    struct fixture *f = *state;
    mem_store(f->mem, MMIO + 0x500 + 2 * VBE_WIDTH, 640, 2);
    assert_int_equal(get_vbe(f, VBE_WIDTH), 640);
    assert_int_equal(mem_load(f->mem, MMIO + 0x500, 2), 0xb0c5);
    assert_int_equal(mem_load(f->mem, MMIO + 0x502, 1), 640 & 0xff);
    assert_int_equal(mem_load(f->mem, MMIO + 0x503, 1), 640 >> 8);
    mem_store(f->mem, MMIO + 0x502, 1, 1); /* only words */
    assert_int_equal(get_vbe(f, VBE_WIDTH), 640);
    mem_store(f->mem, MMIO + 0x400 + 2, 0xe3, 1);
    assert_int_equal(in8(&f->b, 0x3cc), 0xe3);
    mem_store(f->mem, MMIO + 0x414, 0x420c, 2); /* CRTC register 0x0c by one word */
    assert_int_equal(get(f, 0x3d4, 0x0c), 0x42);
    assert_int_equal(mem_load(f->mem, MMIO + 0x515, 4), 0xffffff01); /* the end of them */
    assert_int_equal(mem_load(f->mem, MMIO, 4), 0xffffffff);
}

/* Registers */

static void registers_keep_what_they_have(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x3c2, 0xff);
    assert_int_equal(in8(&f->b, 0x3cc), 0xef);
    static const uint8_t sequencer[8] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0};
    for (uint8_t i = 0; i < 8; i++) {
        set(f, 0x3c4, i, 0xff);
        assert_int_equal(get(f, 0x3c4, i), sequencer[i]);
    }
    static const uint8_t graphics[9] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};
    for (uint8_t i = 0; i < 9; i++) {
        set(f, 0x3ce, i, 0xff);
        assert_int_equal(get(f, 0x3ce, i), graphics[i]);
    }
    assert_int_equal(get(f, 0x3ce, 9), 0);
    for (uint8_t i = 0; i < 21; i++) {
        set_attribute(f, i, 0xff);
        in8(&f->b, 0x3da);
        out8(&f->b, 0x3c0, i);
        static const uint8_t upper[] = {0xef, 0xff, 0x3f, 0x0f, 0x0f};
        assert_int_equal(in8(&f->b, 0x3c1), i < 16 ? 0x3f : upper[i - 16]);
    }
    assert_int_equal(get(f, 0x3d4, 0x19), 0);
    out8(&f->b, 0x3da, 0xff);
    assert_int_equal(in8(&f->b, 0x3ca), 0x03);
    assert_int_equal(in8(&f->b, 0x3c2), 0x10);
}

static void colour_and_mono_ports(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x3c2, 0x00);
    set(f, 0x3b4, 0x0e, 0x11);
    set(f, 0x3d4, 0x0e, 0x22);
    assert_int_equal(get(f, 0x3b4, 0x0e), 0x11);
    assert_int_equal(get(f, 0x3d4, 0x0e), 0xff);
    assert_int_equal(in8(&f->b, 0x3da), 0xff);
    out8(&f->b, 0x3c2, 0x01);
    assert_int_equal(get(f, 0x3d4, 0x0e), 0x11);
    assert_int_equal(get(f, 0x3b4, 0x0e), 0xff);
}

static void attribute_flip_flop(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x3c2, 0x01);
    in8(&f->b, 0x3da);
    out8(&f->b, 0x3c0, 0x05);
    out8(&f->b, 0x3c0, 0x2a);
    out8(&f->b, 0x3c0, 0x26); /* an index again */
    assert_int_equal(in8(&f->b, 0x3c0), 0x26);
    in8(&f->b, 0x3ba); /* not there: no reset */
    out8(&f->b, 0x3c0, 0x15);
    assert_int_equal(in8(&f->b, 0x3c1), 0x15);
    out8(&f->b, 0x3c0, 0x05);
    assert_int_equal(in8(&f->b, 0x3c1), 0x2a);
    in8(&f->b, 0x3da);
    out8(&f->b, 0x3c0, 0x06); /* an index, though a datum was due */
    assert_int_equal(in8(&f->b, 0x3c1), 0x15);
}

static void crtc_protection(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x3c2, 0x01);
    set(f, 0x3d4, 0x00, 0x5f);
    set(f, 0x3d4, 0x07, 0x0f);
    set(f, 0x3d4, 0x11, 0x80);
    set(f, 0x3d4, 0x00, 0x11);
    set(f, 0x3d4, 0x07, 0xf0);
    set(f, 0x3d4, 0x08, 0x33);
    assert_int_equal(get(f, 0x3d4, 0x00), 0x5f);
    assert_int_equal(get(f, 0x3d4, 0x07), 0x1f); /* bit 4 is not protected */
    assert_int_equal(get(f, 0x3d4, 0x08), 0x33);
    set(f, 0x3d4, 0x11, 0x00);
    set(f, 0x3d4, 0x00, 0x11);
    assert_int_equal(get(f, 0x3d4, 0x00), 0x11);
}

static void dac_counts_by_three(void **state)
{
    struct fixture *f = *state;
    struct bench *b = &f->b;
    out8(b, 0x3c8, 255);
    assert_int_equal(in8(b, 0x3c7), 0);
    for (uint8_t i = 1; i <= 6; i++)
        out8(b, 0x3c9, i);
    assert_int_equal(in8(b, 0x3c8), 1); /* went round */
    out8(b, 0x3c9, 0x3f);               /* a third of a colour: has no effect */
    out8(b, 0x3c7, 255);
    assert_int_equal(in8(b, 0x3c7), 3);
    for (uint8_t i = 1; i <= 6; i++)
        assert_int_equal(in8(b, 0x3c9), i);
    assert_int_equal(in8(b, 0x3c9), 0);
    out8(b, 0x3c8, 7);
    out8(b, 0x3c9, 0xff);
    out8(b, 0x3c9, 0xc1);
    out8(b, 0x3c9, 0x40);
    out8(b, 0x3c7, 7);
    assert_int_equal(in8(b, 0x3c9), 0x3f); /* six bits */
    assert_int_equal(in8(b, 0x3c9), 0x01);
    assert_int_equal(in8(b, 0x3c9), 0x00);
    assert_int_equal(in8(b, 0x3c6), 0xff);
    out8(b, 0x3c6, 0x0f);
    assert_int_equal(in8(b, 0x3c6), 0x0f);
}

/* Every way to wait for the retrace ends, whatever the CRTC holds. */
static void retrace_comes_and_goes(void **state)
{
    struct fixture *f = *state;
    uint32_t seed = 1;
    for (int round = 0; round < 50; round++) {
        if (round == 1)
            set_mode(f, &text_mode);
        for (uint8_t i = 0; round > 1 && i < 25; i++) {
            seed = seed * 1664525 + 1013904223;
            out8(&f->b, 0x3c2, (uint8_t)(seed >> 8) | 1);
            set(f, 0x3c4, 1, (uint8_t)(seed >> 16));
            set(f, 0x3d4, 0x11, 0);
            set(f, 0x3d4, i, (uint8_t)(seed >> 24));
        }
        out8(&f->b, 0x3c2, f->vga.misc | 1);
        unsigned rises = 0, blank = 0, shown = 0;
        uint8_t last = in8(&f->b, 0x3da);
        for (int i = 0; i < 40000; i++) {
            timers_advance(&f->b.timers, 10007);
            uint8_t now = in8(&f->b, 0x3da);
            assert_int_equal(now & ~9, 0);
            rises += now & ~last & 8 ? 1 : 0;
            blank += now & 1;
            shown += !(now & 1);
            assert_false((now & 9) == 8); /* no retrace without blank */
            last = now;
        }
        assert_true(rises > 0 && blank > 0 && shown > 0);
        if (round == 1) /* 70 Hz */
            assert_in_range(rises, 27, 29);
    }
}

/* Memory */

static void window_maps(void **state)
{
    struct fixture *f = *state;
    set_mode(f, &planar_mode);
    set_planes(f, 5, 0x44332211);
    static const uint32_t first[] = {0, 0, 0x10000, 0x18000},
                          size[] = {0x20000, 0x10000, 0x8000, 0x8000};
    for (uint8_t map = 0; map < 4; map++) {
        set(f, 0x3ce, 6, (uint8_t)(map << 2 | 1));
        assert_int_equal(peek(f, first[map] + 5), 0x11);
        if (first[map])
            assert_int_equal(peek(f, first[map] - 1), 0xff);
        set_planes(f, (size[map] - 1) & 0xffff, 0x55);
        assert_int_equal(peek(f, first[map] + size[map] - 1), 0x55);
        if (first[map] + size[map] < 0x20000)
            assert_int_equal(peek(f, first[map] + size[map]), 0xff);
    }
    out8(&f->b, 0x3c2, 0xe1); /* RAM off */
    assert_int_equal(peek(f, 0x18005), 0xff);
    poke(f, 0x18005, 0);
    assert_int_equal(planes(f, 5), 0x44332211);
}

static void write_mode_0(void **state)
{
    struct fixture *f = *state;
    set_mode(f, &planar_mode);
    poke(f, 0, 0xa5);
    assert_int_equal(planes(f, 0), 0xa5a5a5a5);
    set(f, 0x3c4, 2, 0x5);
    poke(f, 0, 0x3c);
    assert_int_equal(planes(f, 0), 0xa53ca53c);
    set(f, 0x3c4, 2, 0xf);

    set(f, 0x3ce, 0, 0x2); /* set/reset: 0010 in planes 0 and 1 */
    set(f, 0x3ce, 1, 0x3);
    poke(f, 1, 0x81);
    assert_int_equal(planes(f, 1), 0x8181ff00);

    set(f, 0x3ce, 1, 0);
    set(f, 0x3ce, 3, 0x03); /* rotate by 3 */
    poke(f, 2, 0x0b);
    assert_int_equal(planes(f, 2), 0x61616161);

    set(f, 0x3ce, 3, 0);
    set(f, 0x3ce, 8, 0xf0); /* the low half comes from the latches */
    set_planes(f, 3, 0x44332211);
    assert_int_equal(peek(f, 3), 0x11);
    poke(f, 4, 0xab);
    assert_int_equal(planes(f, 4), 0xa4a3a2a1);

    static const uint32_t function[] = {0xaaaaaaaa, 0x00222200, 0xeebbbbaa, 0xee9999aa};
    set(f, 0x3ce, 8, 0xff);
    for (uint8_t i = 0; i < 4; i++) {
        set(f, 0x3ce, 3, (uint8_t)(i << 3));
        set_planes(f, 5, 0x44333300);
        peek(f, 5);
        poke(f, 6, 0xaa);
        assert_int_equal(planes(f, 6), function[i]);
    }
}

static void write_modes_1_to_3(void **state)
{
    struct fixture *f = *state;
    set_mode(f, &planar_mode);
    set_planes(f, 0, 0x44332211);
    set(f, 0x3ce, 5, 1); /* the latches as they are, whatever the bit mask */
    set(f, 0x3ce, 8, 0x0f);
    set(f, 0x3ce, 4, 2);
    assert_int_equal(peek(f, 0), 0x33);
    poke(f, 9, 0xee);
    assert_int_equal(planes(f, 9), 0x44332211);

    set(f, 0x3ce, 5, 2); /* a colour, under the bit mask */
    poke(f, 10, 0x16);
    assert_int_equal(planes(f, 10), 0x403f2f10);

    set(f, 0x3ce, 5, 3); /* set/reset where data and mask say */
    set(f, 0x3ce, 0, 0x9);
    set(f, 0x3ce, 8, 0x3c);
    set(f, 0x3ce, 3, 4); /* rotated */
    poke(f, 11, 0xff);
    assert_int_equal(planes(f, 11), 0x7c03023d);
    poke(f, 12, 0x01); /* 0x10 after rotation */
    assert_int_equal(planes(f, 12), 0x54232211);
}

static void read_modes(void **state)
{
    struct fixture *f = *state;
    set_mode(f, &planar_mode);
    set_planes(f, 100, 0x0ff0cc55);
    static const uint8_t plane[] = {0x55, 0xcc, 0xf0, 0x0f};
    for (uint8_t i = 0; i < 4; i++) {
        set(f, 0x3ce, 4, i);
        assert_int_equal(peek(f, 100), plane[i]);
    }
    set(f, 0x3ce, 5, 8);
    for (uint8_t wanted = 0; wanted < 16; wanted++) {
        for (uint8_t care = 0; care < 16; care++) {
            uint8_t expected = 0;
            for (int bit = 0; bit < 8; bit++) {
                unsigned seen = 0;
                for (unsigned i = 0; i < 4; i++)
                    seen |= (plane[i] >> bit & 1u) << i;
                expected |= (uint8_t)((((seen ^ wanted) & care) == 0) << bit);
            }
            set(f, 0x3ce, 2, wanted);
            set(f, 0x3ce, 7, care);
            assert_int_equal(peek(f, 100), expected);
        }
    }
}

static void odd_even(void **state)
{
    struct fixture *f = *state;
    set_mode(f, &text_mode);
    mem_store(f->mem, 0xb8000, 0x1f42, 2);
    mem_store(f->mem, 0xb8f9e, 0x2e43, 2);
    assert_int_equal(planes(f, 0) & 0xffff, 0x1f42);
    assert_int_equal(planes(f, 1999) & 0xffff, 0x2e43);
    assert_int_equal(mem_load(f->mem, 0xb8000, 2), 0x1f42);
    set(f, 0x3ce, 4, 2); /* planes 2 and 3 */
    set_planes(f, 0, 0x77661f42);
    assert_int_equal(mem_load(f->mem, 0xb8000, 2), 0x7766);
    set(f, 0x3c4, 2, 0x1); /* attributes are protected */
    mem_store(f->mem, 0xb8000, 0xffff, 2);
    assert_int_equal(planes(f, 0), 0x77661fff);
}

static void chain_4_is_plain_memory(void **state)
{
    struct fixture *f = *state;
    set_mode(f, &mode_13h);
    assert_true(f->vga.plain.enabled);
    poke(f, 0, 0x11);
    poke(f, 3, 0x44);
    mem_store(f->mem, WINDOW + 0xfffc, 0x12345678, 4);
    assert_int_equal(planes(f, 0), 0x44000011);
    assert_int_equal(planes(f, 0x3fff), 0x12345678);
    assert_int_equal(mem_load(f->mem, LFB + 0xfffc, 4), 0x12345678);
    assert_int_equal(peek(f, 0x10000), 0xff);

    set(f, 0x3c4, 2, 0xd); /* the map mask counts: not plain */
    assert_false(f->vga.plain.enabled);
    mem_store(f->mem, WINDOW + 0xfffc, 0xaabbccdd, 4);
    assert_int_equal(planes(f, 0x3fff), 0xaabb56dd);
    assert_int_equal(mem_load(f->mem, WINDOW + 0xfffc, 4), 0xaabb56dd);
    set(f, 0x3c4, 2, 0xf);
    assert_true(f->vga.plain.enabled);
    set(f, 0x3ce, 8, 0x0f);
    assert_false(f->vga.plain.enabled);
    peek(f, 0xfffc); /* bb dd.. in the latches of that place */
    poke(f, 0xfffd, 0x99);
    assert_int_equal(planes(f, 0x3fff), 0xaabb59dd);
    set(f, 0x3ce, 8, 0xff);
    set(f, 0x3c4, 4, 0x06); /* mode X: planes */
    assert_false(f->vga.plain.enabled);
    set(f, 0x3c4, 2, 0x2);
    poke(f, 0x3fff, 0x77);
    assert_int_equal(planes(f, 0x3fff), 0xaabb77dd);
}

/* VBE */

static void vbe_limits(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(get_vbe(f, 0), 0xb0c5);
    set_vbe(f, 0, 0xb0c2);
    assert_int_equal(get_vbe(f, 0), 0xb0c2);
    set_vbe(f, 0, 0xb0c6);
    assert_int_equal(get_vbe(f, 0), 0xb0c2);
    assert_int_equal(get_vbe(f, 10), 256);
    assert_int_equal(get_vbe(f, 11), 0);
    assert_int_equal(get_vbe(f, 0xffff), 0);
    set_vbe(f, 0xffff, 1);

    set_vbe(f, VBE_ENABLE, 2);
    assert_int_equal(get_vbe(f, VBE_WIDTH), 16000);
    assert_int_equal(get_vbe(f, VBE_HEIGHT), 12000);
    assert_int_equal(get_vbe(f, VBE_BPP), 32);

    set_mode_vbe(f, 1024, 768, 32, 0x40);
    assert_int_equal(get_vbe(f, VBE_VIRTUAL_WIDTH), 1024);
    assert_int_equal(get_vbe(f, VBE_VIRTUAL_HEIGHT), 4096);
    set_vbe(f, VBE_VIRTUAL_WIDTH, 1280);
    assert_int_equal(get_vbe(f, VBE_VIRTUAL_WIDTH), 1280);
    set_vbe(f, VBE_VIRTUAL_WIDTH, 3);
    assert_int_equal(get_vbe(f, VBE_VIRTUAL_WIDTH), 1024);
    set_vbe(f, VBE_Y, 5000);
    assert_int_equal(get_vbe(f, VBE_Y), 4096 - 768);
    set_vbe(f, VBE_X, 1);
    assert_int_equal(get_vbe(f, VBE_X), 0);

    set_mode_vbe(f, 65535, 65535, 32, 0);
    assert_int_equal(get_vbe(f, VBE_WIDTH), 16000);
    assert_int_equal(get_vbe(f, VBE_HEIGHT), MIB(16) / 64000);
    set_mode_vbe(f, 0, 0, 7, 0);
    assert_int_equal(get_vbe(f, VBE_WIDTH), 1);
    assert_int_equal(get_vbe(f, VBE_HEIGHT), 1);
    assert_int_equal(get_vbe(f, VBE_BPP), 8);
    set_mode_vbe(f, 1366, 768, 24, 0);
    assert_int_equal(get_vbe(f, VBE_WIDTH), 1366);
    set_mode_vbe(f, 805, 600, 4, 0);
    assert_int_equal(get_vbe(f, VBE_WIDTH), 800);
}

static void vbe_clears_unless_told(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < 640 * 480 / 4 + 1; i++)
        set_planes(f, i, 0x01010101);
    set_mode_vbe(f, 640, 480, 8, 0x80);
    assert_int_equal(planes(f, 0), 0x01010101);
    set_mode_vbe(f, 640, 480, 8, 0);
    assert_int_equal(planes(f, 0), 0);
    assert_int_equal(planes(f, 640 * 480 / 4 - 1), 0);
    assert_int_equal(planes(f, 640 * 480 / 4), 0x01010101);
    set_planes(f, 0, 5);
    set_vbe(f, VBE_ENABLE, 0x41); /* it is on already */
    assert_int_equal(planes(f, 0), 5);
}

static void vbe_banks(void **state)
{
    struct fixture *f = *state;
    set_mode_vbe(f, 1024, 768, 16, 0);
    assert_true(f->vga.plain.enabled);
    set_vbe(f, VBE_BANK, 255);
    mem_store(f->mem, WINDOW + 0xfffc, 0xcafebabe, 4);
    assert_int_equal(planes(f, MIB(4) - 1), 0xcafebabe);
    assert_int_equal(mem_load(f->mem, LFB + MIB(16) - 4, 4), 0xcafebabe);
    set_vbe(f, VBE_BANK, 256 + 3);
    assert_int_equal(get_vbe(f, VBE_BANK), 3);
    mem_store(f->mem, WINDOW, 0x01020304, 4);
    assert_int_equal(planes(f, 3 * 0x4000), 0x01020304);
    assert_int_equal(peek(f, 0x18000), 0xff);

    set_mode_vbe(f, 1024, 768, 4, 0);
    assert_false(f->vga.plain.enabled);
    assert_int_equal(get_vbe(f, VBE_BANK), 0);
    set_vbe(f, VBE_BANK, 1);
    set(f, 0x3c4, 2, 0x4);
    set(f, 0x3ce, 8, 0xff);
    poke(f, 2, 0x5a);
    assert_int_equal(planes(f, 0x10002), 0x005a0000);
    set_vbe(f, VBE_BANK, 255); /* beyond the planes: wraps, harms nothing */
    poke(f, 0xffff, 0x11);
    assert_int_equal(planes(f, 0x3fffff), 0xca11babe);
}

/* Life */

static void reset_keeps_the_memory(void **state)
{
    struct fixture *f = *state;
    set_mode_vbe(f, 640, 480, 32, 0);
    set_planes(f, 77, 0xdeadbeef);
    f->vga.pci.device.type->reset(&f->vga.pci.device);
    assert_int_equal(planes(f, 77), 0xdeadbeef);
    assert_false(f->vga.plain.enabled);
    assert_int_equal(get_vbe(f, VBE_ENABLE), 0);
    assert_int_equal(mem_load(f->mem, LFB, 1), 0xff);
    draw(f, 640, 480);
    assert_int_equal(pixel(f, 77, 0), 0);
}

static void a_rom_that_is_too_large(void **state)
{
    struct fixture *f = *state;
    static struct vga other;
    struct error err;
    uint8_t byte = 0;
    assert_true(vga_init(&other, &f->bus, PCI_DEVFN(3, 0), f->mem, f->b.pio, &f->b.timers, &byte,
                         MIB(16) + 1, &err) < 0);
    assert_non_null(strstr(err.text, "too large"));
    /* And none at all. */
    assert_int_equal(
        vga_init(&other, &f->bus, PCI_DEVFN(3, 0), f->mem, f->b.pio, &f->b.timers, NULL, 0, &err),
        0);
    pci_config_write(&f->bus, PCI_DEVFN(3, 0), PCI_ROM, UINT32_MAX, 4);
    assert_int_equal(pci_config_read(&f->bus, PCI_DEVFN(3, 0), PCI_ROM, 4), 0);
    other.pci.device.type->fini(&other.pci.device);
}

static uint32_t next(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* One thing that a hostile guest may do. */
static void scramble(struct fixture *f, uint32_t *seed)
{
    uint32_t r = next(seed), value = next(seed);
    switch (r % 8) {
    case 0:
        set(f, 0x3d4, r >> 8 & 31, (uint8_t)value);
        break;
    case 1:
        set(f, r & 0x100 ? 0x3c4 : 0x3ce, r >> 16 & 15, (uint8_t)value);
        break;
    case 2:
        set_attribute(f, r >> 8 & 63, (uint8_t)value);
        break;
    case 3:
        set_vbe(f, r >> 8 & 15, (uint16_t)(r & 0x80000 ? value : value & 0x7ff));
        break;
    case 4:
        mem_store(f->mem, WINDOW + (r >> 8 & 0x1ffff), value, 1u << (r >> 30));
        break;
    case 5:
        mem_load(f->mem, WINDOW + (r >> 8 & 0x1ffff), 1u << (r >> 30));
        break;
    case 6:
        pio_write(f->b.pio, (uint16_t)(0x3b0 + (r >> 8 & 63)), value, 1u << (r >> 30) % 3);
        break;
    default:
        mem_store(f->mem, MMIO + (r >> 8 & 0xfff), value, 1u << (r >> 30));
        break;
    }
}

/* Sizes are kept small most of the time: it is the drawing that takes long. */
static void hostile_registers(void **state)
{
    struct fixture *f = *state;
    uint32_t seed = 4711;
    for (uint32_t i = 0; i < 0x100000; i++)
        set_planes(f, i, next(&seed));
    for (unsigned i = 0; i < 100000; i++) {
        scramble(f, &seed);
        if (i % 500 == 0) {
            f->vga.display.draw(f->vga.display.opaque, &f->surface);
            assert_true(f->surface.width > 0 && f->surface.height > 0);
            timers_advance(&f->b.timers, 12345678);
        }
        if (i % 20000 == 0)
            f->vga.pci.device.type->reset(&f->vga.pci.device);
        if (i % 20000 < 2) {
            pci_config_write(&f->bus, DEVFN, PCI_BAR0 + 8, MMIO, 4);
            pci_config_write(&f->bus, DEVFN, PCI_COMMAND, 3, 2);
        }
    }
}

static void saved_and_loaded(void **state)
{
    struct fixture *a = *state;
    static struct fixture b;
    build(&b);
    const struct state_table *table = a->vga.pci.device.type->state;
    uint32_t seed = 99;
    for (unsigned round = 0; round < 30; round++) {
        for (unsigned i = 0; i < 300; i++)
            scramble(a, &seed);
        struct state_buffer out = {0}, again = {0};
        size_t used;
        assert_int_equal(state_save(table, &a->vga, &out), 0);
        assert_int_equal(state_load(table, &b.vga, out.data, out.length, &used, NULL), 0);
        assert_int_equal(used, out.length);
        assert_int_equal(state_save(table, &b.vga, &again), 0);
        assert_int_equal(again.length, out.length);
        assert_memory_equal(again.data, out.data, out.length);
        assert_int_equal(a->vga.plain.enabled, b.vga.plain.enabled);
        if (a->vga.plain.enabled)
            assert_int_equal(a->vga.plain.ram_offset, b.vga.plain.ram_offset);
        /* RAM is saved by others. */
        static uint8_t memory[MIB(16)];
        ram_copy_out(a->vga.vram, 0, memory, sizeof(memory));
        ram_copy_in(b.vga.vram, 0, memory, sizeof(memory));
        a->vga.display.draw(a->vga.display.opaque, &a->surface);
        b.vga.display.draw(b.vga.display.opaque, &b.surface);
        assert_int_equal(a->surface.width, b.surface.width);
        assert_int_equal(a->surface.height, b.surface.height);
        assert_memory_equal(a->surface.pixels, b.surface.pixels,
                            (size_t)a->surface.width * a->surface.height * 4);
        free(out.data);
        free(again.data);
    }
    demolish(&b);
}

static void damaged_streams(void **state)
{
    struct fixture *f = *state;
    const struct state_table *table = f->vga.pci.device.type->state;
    uint32_t seed = 5;
    set_mode_vbe(f, 800, 600, 16, 0);
    struct state_buffer out = {0};
    assert_int_equal(state_save(table, &f->vga, &out), 0);
    for (unsigned round = 0; round < 400; round++) {
        size_t used;
        for (unsigned i = 0; i < 5; i++)
            out.data[next(&seed) % out.length] = (uint8_t)next(&seed);
        if (round % 50 == 0) {
            free(out.data);
            out = (struct state_buffer){0};
            assert_int_equal(state_save(table, &f->vga, &out), 0);
        }
        state_load(table, &f->vga, out.data, out.length, &used, NULL);
        for (unsigned i = 0; i < 20; i++)
            scramble(f, &seed);
        if (round % 10 == 0)
            f->vga.display.draw(f->vga.display.opaque, &f->surface);
    }
    free(out.data);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(header_and_bars),
        CASE(memory_bar_is_ram),
        CASE(registers_in_mmio),
        CASE(registers_keep_what_they_have),
        CASE(colour_and_mono_ports),
        CASE(attribute_flip_flop),
        CASE(crtc_protection),
        CASE(dac_counts_by_three),
        CASE(retrace_comes_and_goes),
        CASE(window_maps),
        CASE(write_mode_0),
        CASE(write_modes_1_to_3),
        CASE(read_modes),
        CASE(odd_even),
        CASE(chain_4_is_plain_memory),
        CASE(vbe_limits),
        CASE(vbe_clears_unless_told),
        CASE(vbe_banks),
        CASE(reset_keeps_the_memory),
        CASE(a_rom_that_is_too_large),
        CASE(hostile_registers),
        CASE(saved_and_loaded),
        CASE(damaged_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
