/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A VGA on a bench: ports, a bus and memory, the register values of well-known modes, the planes
 * behind the chip's back. No processor.
 */
#ifndef TESTS_DEVICE_VGA_BENCH_H
#define TESTS_DEVICE_VGA_BENCH_H

#include <stdlib.h>
#include <string.h>

#include "chip_test.h"

#include "base/bytes.h"
#include "base/error.h"
#include "device/vga.h"

enum {
    DEVFN = PCI_DEVFN(2, 0),
    WINDOW = 0xa0000,
    LFB = 0xe0000000,
    MMIO = 0xf0000000,
    ROM = 0xf1000000,
    ROM_BYTES = 5000,

    VBE_WIDTH = 1,
    VBE_HEIGHT,
    VBE_BPP,
    VBE_ENABLE,
    VBE_BANK,
    VBE_VIRTUAL_WIDTH,
    VBE_VIRTUAL_HEIGHT,
    VBE_X,
    VBE_Y,
};

struct fixture {
    struct bench b;
    struct mem *mem;
    struct pci_bus bus;
    struct vga vga;
    struct surface surface;
};

static inline void build(struct fixture *f)
{
    uint8_t rom[ROM_BYTES];
    for (unsigned i = 0; i < sizeof(rom); i++)
        rom[i] = (uint8_t)(i * 7);
    memset(f, 0, sizeof(*f));
    bench_init(&f->b);
    assert_int_equal(mem_create(&f->mem, NULL), 0);
    pci_bus_init(&f->bus, f->mem, f->b.pio);
    assert_int_equal(
        vga_init(&f->vga, &f->bus, DEVFN, f->mem, f->b.pio, &f->b.timers, rom, sizeof(rom), NULL),
        0);
    pci_config_write(&f->bus, DEVFN, PCI_BAR0, LFB, 4);
    pci_config_write(&f->bus, DEVFN, PCI_BAR0 + 8, MMIO, 4);
    pci_config_write(&f->bus, DEVFN, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY, 2);
}

static inline void demolish(struct fixture *f)
{
    surface_fini(&f->surface);
    f->vga.pci.device.type->fini(&f->vga.pci.device);
    mem_destroy(f->mem);
    bench_fini(&f->b);
}

static inline int setup(void **state)
{
    static struct fixture f;
    build(&f);
    *state = &f;
    return 0;
}

static inline int teardown(void **state)
{
    demolish(*state);
    return 0;
}

/* An indexed register: index and datum in one word, as programs do. */
static inline void set(struct fixture *f, uint16_t port, uint8_t index, uint8_t value)
{
    pio_write(f->b.pio, port, (uint32_t)value << 8 | index, 2);
}

static inline uint8_t get(struct fixture *f, uint16_t port, uint8_t index)
{
    out8(&f->b, port, index);
    return in8(&f->b, port + 1);
}

static inline void set_attribute(struct fixture *f, uint8_t index, uint8_t value)
{
    in8(&f->b, 0x3da);
    out8(&f->b, 0x3c0, index);
    out8(&f->b, 0x3c0, value);
}

static inline void set_vbe(struct fixture *f, uint16_t index, uint16_t value)
{
    pio_write(f->b.pio, 0x1ce, index, 2);
    pio_write(f->b.pio, 0x1cf, value, 2);
}

static inline uint16_t get_vbe(struct fixture *f, uint16_t index)
{
    pio_write(f->b.pio, 0x1ce, index, 2);
    return (uint16_t)pio_read(f->b.pio, 0x1d0, 2);
}

static inline void set_mode_vbe(struct fixture *f, uint16_t width, uint16_t height, uint16_t bpp,
                                uint16_t flags)
{
    set_vbe(f, VBE_ENABLE, 0);
    set_vbe(f, VBE_WIDTH, width);
    set_vbe(f, VBE_HEIGHT, height);
    set_vbe(f, VBE_BPP, bpp);
    set_vbe(f, VBE_ENABLE, flags | 1);
    set_attribute(f, 0x20, 0);
}

/* A colour a register: 0x010203 for 1 in the palette. */
static inline void set_dac(struct fixture *f)
{
    out8(&f->b, 0x3c8, 0);
    for (unsigned i = 0; i < 256; i++) {
        out8(&f->b, 0x3c9, (uint8_t)(i & 0x3f));
        out8(&f->b, 0x3c9, (uint8_t)(i >> 2));
        out8(&f->b, 0x3c9, (uint8_t)(63 - (i & 0x3f)));
    }
}

static inline uint32_t six(unsigned v)
{
    return (v & 63) << 2 | (v & 1) * 3;
}

static inline uint32_t colour(unsigned i)
{
    return six(i) << 16 | six(i >> 2) << 8 | six(63 - (i & 63));
}

/* The registers of a mode, in the order they are numbered. */
struct mode {
    uint8_t misc;
    uint8_t sequencer[5], crtc[25], graphics[9], attribute[21];
};

#define PALETTE 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15

/* IBM's tables: 80x25 text, 640x480 in 16 colours, 320x200 in 256 and in 4. */
static const struct mode text_mode = {0x67,
                                      {0x03, 0x00, 0x03, 0x00, 0x02},
                                      {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00,
                                       0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
                                       0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff},
                                      {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff},
                                      {PALETTE, 0x0c, 0x00, 0x0f, 0x08, 0x00}};
static const struct mode planar_mode = {0xe3,
                                        {0x03, 0x01, 0x0f, 0x00, 0x06},
                                        {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00,
                                         0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xea, 0x8c,
                                         0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff},
                                        {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0f, 0xff},
                                        {PALETTE, 0x01, 0x00, 0x0f, 0x00, 0x00}};
static const struct mode mode_13h = {0x63,
                                     {0x03, 0x01, 0x0f, 0x00, 0x0e},
                                     {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00,
                                      0x41, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
                                      0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff},
                                     {0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0f, 0xff},
                                     {PALETTE, 0x41, 0x00, 0x0f, 0x00, 0x00}};
static const struct mode cga_mode = {0x63,
                                     {0x03, 0x09, 0x03, 0x00, 0x02},
                                     {0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00,
                                      0xc1, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
                                      0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff},
                                     {0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x0f, 0x00, 0xff},
                                     {PALETTE, 0x01, 0x00, 0x03, 0x00, 0x00}};

static inline void set_mode(struct fixture *f, const struct mode *mode)
{
    out8(&f->b, 0x3c2, mode->misc);
    for (uint8_t i = 0; i < 5; i++)
        set(f, 0x3c4, i, mode->sequencer[i]);
    set(f, 0x3d4, 0x11, 0);
    for (uint8_t i = 0; i < 25; i++)
        set(f, 0x3d4, i, mode->crtc[i]);
    for (uint8_t i = 0; i < 9; i++)
        set(f, 0x3ce, i, mode->graphics[i]);
    for (uint8_t i = 0; i < 21; i++)
        set_attribute(f, i, mode->attribute[i]);
    in8(&f->b, 0x3da);
    out8(&f->b, 0x3c0, 0x20);
    set_dac(f);
}

static inline void poke(struct fixture *f, uint32_t at, uint8_t value)
{
    mem_store(f->mem, WINDOW + at, value, 1);
}

static inline uint8_t peek(struct fixture *f, uint32_t at)
{
    return (uint8_t)mem_load(f->mem, WINDOW + at, 1);
}

/* The planes at n, behind the chip's back. */
static inline uint32_t planes(struct fixture *f, uint32_t n)
{
    uint32_t value;
    assert_true(ram_copy_out(f->vga.vram, n * 4, &value, 4));
    return value;
}

static inline void set_planes(struct fixture *f, uint32_t n, uint32_t value)
{
    assert_true(ram_copy_in(f->vga.vram, n * 4, &value, 4));
}

static inline void draw(struct fixture *f, unsigned width, unsigned height)
{
    f->vga.display.draw(f->vga.display.opaque, &f->surface);
    assert_int_equal(f->surface.width, width);
    assert_int_equal(f->surface.height, height);
}

static inline uint32_t pixel(struct fixture *f, unsigned x, unsigned y)
{
    assert_true(x < f->surface.width && y < f->surface.height);
    return f->surface.pixels[y * f->surface.width + x];
}

#endif
