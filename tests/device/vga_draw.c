/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The VGA by the pixels it draws.
 */
#include "vga_bench.h"

static void blank_screens(void **state)
{
    struct fixture *f = *state;
    draw(f, 640, 480); /* before any BIOS */
    set_mode(f, &text_mode);
    set_planes(f, 0, 0x1fdb);
    for (uint32_t row = 0; row < 16; row++)
        set_planes(f, 0xdb * 32 + row, 0xff0000);
    draw(f, 720, 400);
    assert_int_equal(pixel(f, 0, 0), colour(15));
    in8(&f->b, 0x3da);
    out8(&f->b, 0x3c0, 0x00);
    draw(f, 720, 400);
    assert_int_equal(pixel(f, 0, 0), 0);
    out8(&f->b, 0x3c0, 0x00);
    in8(&f->b, 0x3da);
    out8(&f->b, 0x3c0, 0x20);
    draw(f, 720, 400);
    assert_int_equal(pixel(f, 0, 0), colour(15));
    set(f, 0x3c4, 1, 0x20);
    draw(f, 720, 400);
    assert_int_equal(pixel(f, 0, 0), 0);
}

/* What the font has for a character: bits of its own in each row, also in the second font. */
static uint8_t glyph(unsigned font, unsigned character, unsigned row)
{
    return (uint8_t)(character * 37 + row * 11 + font * 101);
}

static void load_fonts(struct fixture *f)
{
    set(f, 0x3c4, 2, 0x4);
    set(f, 0x3c4, 4, 0x6);
    set(f, 0x3ce, 5, 0x0);
    set(f, 0x3ce, 6, 0x4);
    for (unsigned font = 0; font < 8; font++)
        for (unsigned c = 0; c < 256; c++)
            for (unsigned row = 0; row < 32; row++)
                poke(f, font * 0x2000 + c * 32 + row, glyph(font, c, row));
    set(f, 0x3c4, 2, 0x3);
    set(f, 0x3c4, 4, 0x2);
    set(f, 0x3ce, 5, 0x10);
    set(f, 0x3ce, 6, 0xe);
}

/* The dots of one cell, worked out apart from the code under test. */
static void assert_cell(struct fixture *f, unsigned column, unsigned line, unsigned dots,
                        unsigned font, uint8_t c, uint8_t attribute, unsigned first_line,
                        unsigned lines)
{
    for (unsigned row = first_line; row < first_line + lines; row++)
        for (unsigned x = 0; x < dots; x++) {
            bool on = x < 8 ? glyph(font, c, row) >> (7 - x) & 1
                            : c >= 0xc0 && c <= 0xdf && (glyph(font, c, row) & 1);
            uint32_t expected = colour(on ? attribute & 15 : attribute >> 4);
            uint32_t seen = pixel(f, column * dots + x, line + row - first_line);
            if (seen != expected)
                fail_msg("column %u row %u dot %u: %06x, not %06x", column, row, x, seen, expected);
        }
}

static void text(void **state)
{
    struct fixture *f = *state;
    set_mode(f, &text_mode);
    load_fonts(f);
    set(f, 0x3d4, 0x0a, 0x20); /* no cursor */
    set_attribute(f, 0x10, 0x04);
    in8(&f->b, 0x3da);
    out8(&f->b, 0x3c0, 0x20);
    for (unsigned i = 0; i < 2000; i++)
        mem_store(f->mem, 0xb8000 + 2 * i, i * 0x1f3 & 0xffff, 2);
    draw(f, 720, 400);
    for (unsigned i = 0; i < 2000; i++) {
        uint16_t cell = (uint16_t)(i * 0x1f3);
        assert_cell(f, i % 80, i / 80 * 16, 9, 0, (uint8_t)cell, (uint8_t)(cell >> 8), 0, 16);
    }
    /* Eight dots, another start. */
    set(f, 0x3c4, 1, 0x01);
    set(f, 0x3d4, 0x0d, 80);
    set_attribute(f, 0x33, 0);
    draw(f, 640, 400);
    for (unsigned i = 80; i < 2000; i++) {
        uint16_t cell = (uint16_t)(i * 0x1f3);
        assert_cell(f, i % 80, (i / 80 - 1) * 16, 8, 0, (uint8_t)cell, (uint8_t)(cell >> 8), 0, 16);
    }
    /* Forty columns: each dot twice. */
    set(f, 0x3c4, 1, 0x09);
    set(f, 0x3d4, 0x11, 0x00);
    set(f, 0x3d4, 0x01, 39);
    draw(f, 640, 400);
    uint16_t cell = 81 * 0x1f3;
    for (unsigned x = 0; x < 16; x++)
        assert_int_equal(
            pixel(f, 16 + x, 3),
            colour(glyph(0, cell & 0xff, 3) >> (7 - x / 2) & 1 ? cell >> 8 & 15 : cell >> 12 & 15));
}

static void text_fonts_and_blink(void **state)
{
    struct fixture *f = *state;
    set_mode(f, &text_mode);
    load_fonts(f);
    set(f, 0x3d4, 0x0a, 0x20);
    mem_store(f->mem, 0xb8000, 0x9741, 2);
    mem_store(f->mem, 0xb8002, 0x1f41, 2);
    /* The eight fonts are at 0, 16, 32, 48, then 8, 24, 40, 56 KiB. */
    for (unsigned n = 0; n < 8; n++) {
        unsigned a = n, b = 7 - n;
        set(f, 0x3c4, 3, (uint8_t)((a & 3) << 2 | (a & 4) << 3 | (b & 3) | (b & 4) << 2));
        draw(f, 720, 400);
        assert_cell(f, 0, 0, 9, (b & 3) * 2 + b / 4, 0x41, 0x17, 0, 16); /* blinks: shown */
        assert_cell(f, 1, 0, 9, (a & 3) * 2 + a / 4, 0x41, 0x1f, 0, 16);
    }
    set_attribute(f, 0x30, 0x00); /* no blinking: a bright background */
    draw(f, 720, 400);
    assert_cell(f, 0, 0, 9, 0, 0x41, 0x97, 0, 16);
}

static void cursor_and_underline(void **state)
{
    struct fixture *f = *state;
    set_mode(f, &text_mode);
    load_fonts(f);
    for (unsigned i = 0; i < 4; i++)
        mem_store(f->mem, 0xb8000 + 2 * i, 0x2700, 2);
    set(f, 0x3d4, 0x0f, 2);
    draw(f, 720, 400);
    assert_cell(f, 1, 0, 9, 0, 0, 0x27, 0, 16);
    assert_cell(f, 2, 0, 9, 0, 0, 0x27, 0, 13);
    assert_cell(f, 2, 15, 9, 0, 0, 0x27, 15, 1);
    for (unsigned x = 18; x < 27; x++) {
        assert_int_equal(pixel(f, x, 13), colour(7));
        assert_int_equal(pixel(f, x, 14), colour(7));
    }
    set(f, 0x3d4, 0x0b, 0x0c); /* ends before it begins */
    draw(f, 720, 400);
    assert_cell(f, 2, 0, 9, 0, 0, 0x27, 0, 16);

    set(f, 0x3d4, 0x14, 12);
    mem_store(f->mem, 0xb8000, 0x0100, 2);
    draw(f, 720, 400);
    assert_cell(f, 0, 0, 9, 0, 0, 0x01, 0, 12);
    for (unsigned x = 0; x < 9; x++)
        assert_int_equal(pixel(f, x, 12), colour(1));
    assert_cell(f, 0, 13, 9, 0, 0, 0x01, 13, 3);
    assert_cell(f, 1, 0, 9, 0, 0, 0x27, 0, 16);
}

static void text_scrolls_smoothly(void **state)
{
    struct fixture *f = *state;
    set_mode(f, &text_mode);
    load_fonts(f);
    set(f, 0x3d4, 0x0a, 0x20);
    for (unsigned i = 0; i < 4000; i++)
        mem_store(f->mem, 0xb8000 + 2 * i, 0x0700 | (i * 7 & 0xff), 2);
    draw(f, 720, 400);
    static uint32_t whole[720 * 400];
    memcpy(whole, f->surface.pixels, sizeof(whole));
    set(f, 0x3d4, 0x08, 3);    /* three lines up */
    set_attribute(f, 0x33, 4); /* five dots to the left */
    draw(f, 720, 400);
    for (unsigned y = 0; y < 397; y++)
        for (unsigned x = 0; x < 715; x++)
            assert_int_equal(pixel(f, x, y), whole[(y + 3) * 720 + x + 5]);
    assert_cell(f, 0, 13, 9, 0, 80 * 7 & 0xff, 0x07, 0, 0);
    /* A split screen: the lower part is from the start of the memory, and not panned. */
    set_attribute(f, 0x30, 0x2c);
    set(f, 0x3d4, 0x0c, 2000 >> 8);
    set(f, 0x3d4, 0x0d, 2000 & 0xff);
    set(f, 0x3d4, 0x11, 0);
    set(f, 0x3d4, 0x07, 0x0f); /* line compare 299 */
    set(f, 0x3d4, 0x09, 0x0f);
    set(f, 0x3d4, 0x07, 0x1f);
    set(f, 0x3d4, 0x18, 299 - 256);
    draw(f, 720, 400);
    for (unsigned y = 300; y < 400; y++)
        for (unsigned x = 0; x < 720; x++)
            assert_int_equal(pixel(f, x, y), whole[(y - 300) * 720 + x]);
    assert_int_not_equal(
        memcmp(f->surface.pixels + 299 * 720, whole + 299 * 720, 720 * sizeof(whole[0])), 0);
}

static void mode_13h_and_x(void **state)
{
    struct fixture *f = *state;
    set_mode(f, &mode_13h);
    for (uint32_t i = 0; i < 64000; i++)
        poke(f, i, (uint8_t)(i * 13 + i / 320));
    draw(f, 640, 400);
    for (unsigned y = 0; y < 400; y++)
        for (unsigned x = 0; x < 640; x++) {
            unsigned i = y / 2 * 320 + x / 2;
            assert_int_equal(pixel(f, x, y), colour((uint8_t)(i * 13 + i / 320)));
        }
    out8(&f->b, 0x3c6, 0x0f);
    draw(f, 640, 400);
    assert_int_equal(pixel(f, 2, 0), colour(13));
    assert_int_equal(pixel(f, 4, 0), colour(26 & 15));
    out8(&f->b, 0x3c6, 0xff);

    /* Mode X: the same picture from planes, moved by six pixels, page at 0x4000. */
    set(f, 0x3c4, 4, 0x06);
    set(f, 0x3d4, 0x14, 0x00);
    set(f, 0x3d4, 0x17, 0xe3);
    set(f, 0x3d4, 0x0c, 0x40);
    set_attribute(f, 0x33, 4); /* two pixels, and one byte above */
    for (unsigned plane = 0; plane < 4; plane++) {
        set(f, 0x3c4, 2, (uint8_t)(1 << plane));
        for (uint32_t i = 0; i < 16000; i++)
            poke(f, 0x4000 + i, (uint8_t)((4 * i + plane) % 251));
    }
    set(f, 0x3d4, 0x08, 0x20);
    draw(f, 640, 400);
    for (unsigned y = 0; y < 400; y++)
        for (unsigned x = 0; x < 640; x++) {
            unsigned i = y / 2 * 320 + x / 2 + 6;
            if (i < 64000)
                assert_int_equal(pixel(f, x, y), colour((uint8_t)(i % 251)));
        }
}

static void planar_and_its_palette(void **state)
{
    struct fixture *f = *state;
    set_mode(f, &planar_mode);
    for (unsigned i = 0; i < 16; i++)
        set_attribute(f, (uint8_t)i, (uint8_t)(0x3f - i));
    in8(&f->b, 0x3da);
    out8(&f->b, 0x3c0, 0x20);
    set(f, 0x3ce, 5, 2);
    for (unsigned y = 0; y < 480; y++)
        for (unsigned x = 0; x < 640; x++) {
            if (y % 60 && x % 64 > 8)
                continue;
            set(f, 0x3ce, 8, (uint8_t)(0x80 >> x % 8));
            peek(f, y * 80 + x / 8);
            poke(f, y * 80 + x / 8, (uint8_t)((x * 3 + y) & 15));
        }
    draw(f, 640, 480);
    for (unsigned y = 0; y < 480; y++)
        for (unsigned x = 0; x < 640; x++) {
            bool drawn = !(y % 60 && x % 64 > 8);
            unsigned value = drawn ? (x * 3 + y) & 15 : 0;
            assert_int_equal(pixel(f, x, y), colour(0x3f - value));
        }
    set_attribute(f, 0x32, 0x5); /* two planes only */
    draw(f, 640, 480);
    assert_int_equal(pixel(f, 5, 0), colour(0x3f - (15 & 5)));
    set_attribute(f, 0x34, 0x0b); /* bits 6 and 7 of the colour; then 4 to 7 */
    draw(f, 640, 480);
    assert_int_equal(pixel(f, 5, 0), colour(0x80 | (0x3f - (15 & 5))));
    set_attribute(f, 0x30, 0x81);
    draw(f, 640, 480);
    assert_int_equal(pixel(f, 5, 0), colour(0xb0 | (15 - (15 & 5))));
    set_attribute(f, 0x33, 3);
    draw(f, 640, 480);
    assert_int_equal(pixel(f, 2, 0), colour(0xb0 | (15 - (15 & 5))));
    assert_true(f->surface.width == 640);
}

static void cga(void **state)
{
    struct fixture *f = *state;
    set_mode(f, &cga_mode);
    for (uint32_t i = 0; i < 0x4000; i++)
        mem_store(f->mem, 0xb8000 + i, (uint8_t)(i * 57 + (i >> 8)), 1);
    draw(f, 640, 400);
    for (unsigned y = 0; y < 400; y++)
        for (unsigned x = 0; x < 640; x++) {
            unsigned line = y / 2, column = x / 2;
            uint32_t i = (line & 1) * 0x2000 + line / 2 * 80 + column / 4;
            uint8_t byte = (uint8_t)(i * 57 + (i >> 8));
            assert_int_equal(pixel(f, x, y), colour(byte >> (6 - column % 4 * 2) & 3));
        }
    /* 640x200 in two colours: one plane, byte addresses. */
    set(f, 0x3c4, 1, 0x01);
    set(f, 0x3c4, 2, 0x01);
    set(f, 0x3c4, 4, 0x06);
    set(f, 0x3ce, 5, 0x00);
    set(f, 0x3ce, 6, 0x0d);
    set(f, 0x3d4, 0x11, 0);
    set(f, 0x3d4, 0x01, 79);
    set(f, 0x3d4, 0x13, 0x28);
    set(f, 0x3d4, 0x17, 0xc2);
    set_attribute(f, 0x32, 1);
    for (uint32_t i = 0; i < 0x4000; i++)
        mem_store(f->mem, 0xb8000 + i, (uint8_t)(i * 91 + (i >> 8)), 1);
    draw(f, 640, 400);
    for (unsigned y = 0; y < 400; y++)
        for (unsigned x = 0; x < 640; x++) {
            unsigned line = y / 2;
            uint32_t i = (line & 1) * 0x2000 + line / 2 * 80 + x / 8;
            uint8_t byte = (uint8_t)(i * 91 + (i >> 8));
            assert_int_equal(pixel(f, x, y), colour(byte >> (7 - x % 8) & 1));
        }
}

static void vbe_depths(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint16_t bpp;
        uint32_t value, shown;
    } depths[] = {
        {8, 0x9b, 0},
        {15, 0x7fff, 0xffffff},
        {15, 0x0b25, 0x10ce29},
        {16, 0xffff, 0xffffff},
        {16, 0x5a0b, 0x5a415a},
        {24, 0xaabbcc, 0xaabbcc},
        {32, 0x12aabbcc, 0xaabbcc},
    };
    for (size_t i = 0; i < ARRAY_LEN(depths); i++) {
        unsigned bpp = depths[i].bpp, each = (bpp + 7) / 8;
        set_mode_vbe(f, 1100, 300, (uint16_t)bpp, 0x40);
        set_dac(f);
        set_vbe(f, VBE_VIRTUAL_WIDTH, 1204);
        set_vbe(f, VBE_X, 101);
        set_vbe(f, VBE_Y, 17);
        uint64_t at = LFB + ((17 + 299) * 1204 + 101 + 1099) * each;
        mem_write(f->mem, at, &depths[i].value, each);
        draw(f, 1100, 300);
        assert_int_equal(pixel(f, 1099, 299), bpp == 8 ? colour(0x9b) : depths[i].shown);
        assert_int_equal(pixel(f, 1098, 299), bpp == 8 ? colour(0) : 0);
        at = LFB + (17 * 1204 + 101) * each;
        mem_write(f->mem, at, &depths[i].value, each);
        draw(f, 1100, 300);
        assert_int_equal(pixel(f, 0, 0), bpp == 8 ? colour(0x9b) : depths[i].shown);
    }
    /* Eight bits in the DAC. */
    set_mode_vbe(f, 320, 200, 8, 0x20);
    out8(&f->b, 0x3c8, 0);
    out8(&f->b, 0x3c9, 0x81);
    out8(&f->b, 0x3c9, 0xfe);
    out8(&f->b, 0x3c9, 0x03);
    out8(&f->b, 0x3c7, 0);
    assert_int_equal(in8(&f->b, 0x3c9), 0x81);
    draw(f, 320, 200);
    assert_int_equal(pixel(f, 5, 5), 0x81fe03);
    /* Sixteen colours: planes. */
    set_mode(f, &planar_mode);
    set_mode_vbe(f, 800, 600, 4, 0);
    set_vbe(f, VBE_VIRTUAL_WIDTH, 1024);
    set_vbe(f, VBE_X, 3);
    set_vbe(f, VBE_Y, 2);
    poke(f, (2 + 20) * 128 + 1, 0x80); /* pixel 8, and so 5 on the screen */
    draw(f, 800, 600);
    assert_int_equal(pixel(f, 5, 20), colour(15));
    assert_int_equal(pixel(f, 4, 20), colour(0));
    assert_int_equal(pixel(f, 6, 20), colour(0));
}

/* The extremes of every mode, drawn once. */
static void hostile_extremes(void **state)
{
    struct fixture *f = *state;
    static const struct mode *const modes[] = {&text_mode, &planar_mode, &mode_13h, &cga_mode};
    for (unsigned i = 0; i < 4; i++) {
        set_mode(f, modes[i]);
        set(f, 0x3d4, 0x11, 0);
        for (uint8_t reg = 0; reg < 25; reg++)
            if (reg != 0x11)
                set(f, 0x3d4, reg, 0xff);
        set(f, 0x3c4, 1, get(f, 0x3c4, 1) | 8);
        set_attribute(f, 0x33, 0x07);
        f->vga.display.draw(f->vga.display.opaque, &f->surface);
        assert_int_equal(f->surface.height, 2048);
    }
    static const uint16_t bpp[] = {4, 8, 15, 16, 24, 32};
    for (unsigned i = 0; i < 6; i++) {
        set_mode_vbe(f, 16000, 12000, bpp[i], 0);
        set_vbe(f, VBE_X, 0xffff);
        set_vbe(f, VBE_Y, 0xffff);
        f->vga.display.draw(f->vga.display.opaque, &f->surface);
        assert_int_equal(f->surface.width, 16000);
        set_mode_vbe(f, 8, 12000, bpp[i], 0);
        set_vbe(f, VBE_VIRTUAL_WIDTH, 0xffff);
        set_vbe(f, VBE_X, 0xffff);
        set_vbe(f, VBE_Y, 0xffff);
        f->vga.display.draw(f->vga.display.opaque, &f->surface);
        assert_true(f->surface.height < 12000);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(blank_screens),
        CASE(text),
        CASE(text_fonts_and_blink),
        CASE(cursor_and_underline),
        CASE(text_scrolls_smoothly),
        CASE(mode_13h_and_x),
        CASE(planar_and_its_palette),
        CASE(cga),
        CASE(vbe_depths),
        CASE(hostile_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
