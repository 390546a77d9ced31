/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The screen. The modes of the IBM VGA are drawn as the chip does it, one line after the other: the
 * CRTC counts memory addresses and the rows of a character, each place in the planes becomes eight
 * or nine dots (four pixels where there are 256 colours), and the attribute controller shifts the
 * line for smooth scrolling. What blinks is shown. The modes of the Bochs interface are arrays of
 * pixels.
 */
#include "device/vga_internal.h"

enum {
    COLUMNS_MAX = 256 + 2, /* one more for panning, and room */
    CRTC_DOUBLE = 1 << 7,  /* of CRTC_MAX_SCAN: each row is two lines */
    CRTC_CURSOR_OFF = 1 << 5,
    CRTC_DWORD = 1 << 6, /* of CRTC_UNDERLINE */
    CRTC_ROW_0 = 1 << 0, /* of CRTC_MODE, low: row counter's bit 0 takes the place of A13 */
    CRTC_ROW_1 = 1 << 1, /* and bit 1 that of A14 */
    CRTC_LINES_BY_2 = 1 << 2,
    CRTC_BYTE = 1 << 6,
    GC_TEXT_OFF = 1 << 0, /* of GC_MISC */
    AC_LINE_GRAPHICS = 1 << 2,
    AC_BLINK = 1 << 3,
    AC_PAN_SPLIT = 1 << 5, /* the lower part of a split screen is not panned */
    AC_SELECT_45 = 1 << 7,
    BLANK_WIDTH = 640,
    BLANK_HEIGHT = 480,
};

struct screen;
typedef void (*column_fn)(const struct screen *screen, unsigned column, uint32_t *out);

/* A legacy mode, and where drawing it has come to. */
struct screen {
    const struct vga *vga;
    uint32_t dac[256];
    uint32_t colours[16]; /* through the attribute controller */
    column_fn draw_column;
    unsigned columns, dots; /* pixels a column */
    unsigned repeat;        /* dots a pixel */
    unsigned lines, line_repeat;
    unsigned address;  /* of the first column, without panning */
    unsigned byte_pan; /* columns */
    unsigned pan;      /* pixels */
    unsigned row;      /* of the character */
    uint32_t line[COLUMNS_MAX * 9];
};

/* Six bits become eight so that pictures are the same as QEMU's: the lowest bit is repeated. */
static uint32_t component(const struct vga *vga, uint8_t value)
{
    if (vga->vbe[VBE_ENABLE] & VBE_8BIT_DAC)
        return value;
    return (value & 0x3fu) << 2 | (value & 1u) * 3;
}

/* What the DAC makes of each value of a pixel. */
static void load_dac(const struct vga *vga, uint32_t *dac)
{
    for (unsigned i = 0; i < 256; i++) {
        const uint8_t *colour = vga->palette + 3 * (i & vga->dac_mask);
        dac[i] = component(vga, colour[0]) << 16 | component(vga, colour[1]) << 8 |
                 component(vga, colour[2]);
    }
}

/* What the attribute controller makes of four bits. */
static void load_colours(const struct vga *vga, const uint32_t *dac, uint32_t *colours)
{
    const uint8_t *ac = vga->attribute;
    for (unsigned i = 0; i < 16; i++) {
        unsigned value = ac[i & ac[AC_PLANES]] & 0x3f, select = ac[AC_COLOUR_SELECT];
        if (ac[AC_MODE] & AC_SELECT_45)
            value = (value & 0x0f) | (select & 0x0f) << 4;
        else
            value |= (select & 0x0c) << 4;
        colours[i] = dac[value];
    }
}

/* Legacy modes */

/* The place in the planes that a count of the CRTC points at. The two substitutions are those of
 * CGA and Hercules memory; which bit of the count ends in A13 depends on how far it is shifted. */
static uint32_t place(const struct screen *s, unsigned count)
{
    const uint8_t *crtc = s->vga->crtc;
    unsigned a13 = crtc[CRTC_UNDERLINE] & CRTC_DWORD ? 11 : crtc[CRTC_MODE] & CRTC_BYTE ? 13 : 12;
    if (!(crtc[CRTC_MODE] & CRTC_ROW_0))
        count = (count & ~(1u << a13)) | (s->row & 1) << a13;
    if (!(crtc[CRTC_MODE] & CRTC_ROW_1))
        count = (count & ~(2u << a13)) | (s->row >> 1 & 1) << (a13 + 1);
    return count & 0xffff;
}

static uint32_t planes_at(const struct screen *s, unsigned column)
{
    return *vga_dword(s->vga, place(s, s->address + s->byte_pan + column));
}

/* Where in plane 2 a font begins; `select` is three bits of SEQ_FONT. */
static uint32_t font_base(unsigned select)
{
    return (select & 3) << 14 | (select & 4) << 11;
}

static uint32_t font_of(const struct vga *vga, uint8_t attribute)
{
    uint8_t fonts = vga->sequencer[SEQ_FONT];
    if (attribute & 8)
        return font_base((fonts >> 2 & 3) | (fonts >> 3 & 4));
    return font_base((fonts & 3) | (fonts >> 2 & 4));
}

static bool cursor_at(const struct screen *s, unsigned column)
{
    const uint8_t *crtc = s->vga->crtc;
    unsigned skew = crtc[CRTC_CURSOR_END] >> 5 & 3;
    unsigned at = (unsigned)(crtc[CRTC_CURSOR] << 8 | crtc[CRTC_CURSOR + 1]) + skew;
    return !(crtc[CRTC_CURSOR_START] & CRTC_CURSOR_OFF) &&
           ((s->address + s->byte_pan + column - at) & 0xffff) == 0 &&
           s->row >= (crtc[CRTC_CURSOR_START] & 31u) && s->row <= (crtc[CRTC_CURSOR_END] & 31u);
}

static void text_column(const struct screen *s, unsigned column, uint32_t *out)
{
    const struct vga *vga = s->vga;
    uint8_t mode = vga->attribute[AC_MODE];
    uint32_t cell = planes_at(s, column);
    uint8_t character = (uint8_t)cell, attribute = (uint8_t)(cell >> 8);
    uint32_t glyph = *vga_dword(vga, font_of(vga, attribute) + character * 32u + s->row);
    unsigned bits = (glyph >> 16 & 0xff) << 1; /* the ninth dot below */
    if ((mode & AC_LINE_GRAPHICS) && (character & 0xe0) == 0xc0)
        bits |= bits >> 1 & 1;
    bool underlined = (attribute & 0x77) == 1 && s->row == (vga->crtc[CRTC_UNDERLINE] & 31u);
    if (underlined || cursor_at(s, column))
        bits = 0x1ff;
    uint32_t front = s->colours[attribute & 15];
    uint32_t back = s->colours[attribute >> 4 & (mode & AC_BLINK ? 7 : 15)];
    for (unsigned i = 0; i < s->dots; i++)
        out[i] = bits >> (8 - i) & 1 ? front : back;
}

static void planar_column(const struct screen *s, unsigned column, uint32_t *out)
{
    uint32_t planes = planes_at(s, column);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t bits = planes >> (7 - i);
        out[i] = s->colours[(bits & 1) | (bits >> 7 & 2) | (bits >> 14 & 4) | (bits >> 21 & 8)];
    }
}

/* Two bits a pixel: planes 0 and 2 make the first four, 1 and 3 the others. */
static void interleaved_column(const struct screen *s, unsigned column, uint32_t *out)
{
    uint32_t planes = planes_at(s, column);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t bits = planes >> (i / 4 * 8) >> (6 - i % 4 * 2);
        out[i] = s->colours[(bits & 3) | (bits >> 14 & 12)];
    }
}

static void bytes_column(const struct screen *s, unsigned column, uint32_t *out)
{
    uint32_t planes = planes_at(s, column);
    for (unsigned i = 0; i < 4; i++)
        out[i] = s->dac[planes >> (8 * i) & 0xff];
}

static void set_up(struct screen *s, const struct vga *vga)
{
    uint8_t clocking = vga->sequencer[SEQ_CLOCKING], mode = vga->graphics[GC_MODE];
    s->vga = vga;
    s->columns = vga->crtc[CRTC_DISPLAY_END] + 1u;
    s->dots = 8;
    s->repeat = clocking & CLOCKING_HALF ? 2 : 1;
    s->lines = vga_vertical_end(vga) + 1;
    s->line_repeat = vga->crtc[CRTC_MODE] & CRTC_LINES_BY_2 ? 2 : 1;
    if (!(vga->graphics[GC_MISC] & GC_TEXT_OFF)) {
        s->draw_column = text_column;
        s->dots = clocking & CLOCKING_8_DOTS ? 8 : 9;
    } else if (mode & MODE_256) {
        s->draw_column = bytes_column;
        s->dots = 4;
        s->repeat *= 2;
    } else if (mode & MODE_INTERLEAVED) {
        s->draw_column = interleaved_column;
    } else {
        s->draw_column = planar_column;
    }
}

/* Pixels by which the line moves to the left. With nine dots, 8 is none and 0 is one. */
static unsigned panning(const struct screen *s)
{
    unsigned value = s->vga->attribute[AC_PANNING] & 15;
    if (s->dots == 9)
        return value >= 8 ? 0 : value + 1;
    return s->dots == 4 ? (value & 7) / 2 : value & 7;
}

static void draw_line(struct screen *s, uint32_t *out)
{
    for (unsigned column = 0; column <= s->columns; column++)
        s->draw_column(s, column, s->line + column * s->dots);
    for (unsigned x = 0; x < s->columns * s->dots; x++)
        for (unsigned i = 0; i < s->repeat; i++)
            *out++ = s->line[s->pan + x];
}

/* The row counter after a line has been drawn; the next row of characters where it begins anew. */
static void next_row(struct screen *s, unsigned *doubled)
{
    const uint8_t *crtc = s->vga->crtc;
    if ((crtc[CRTC_MAX_SCAN] & CRTC_DOUBLE) && (*doubled ^= 1))
        return;
    if (s->row != (crtc[CRTC_MAX_SCAN] & 31u)) {
        s->row = (s->row + 1) & 31;
        return;
    }
    s->row = 0;
    s->address += crtc[CRTC_OFFSET] * 2u;
}

/* After the line compare matched: from the beginning of the memory. */
static void split(struct screen *s)
{
    s->address = 0;
    s->row = 0;
    if (s->vga->attribute[AC_MODE] & AC_PAN_SPLIT)
        s->pan = s->byte_pan = 0;
}

static void draw_legacy(struct screen *s, struct surface *surface)
{
    const uint8_t *crtc = s->vga->crtc;
    unsigned compare = vga_line_compare(s->vga), doubled = 0;
    load_dac(s->vga, s->dac);
    load_colours(s->vga, s->dac, s->colours);
    s->address = (unsigned)(crtc[CRTC_START] << 8 | crtc[CRTC_START + 1]);
    s->row = crtc[CRTC_PRESET_ROW] & 31;
    s->byte_pan = crtc[CRTC_PRESET_ROW] >> 5 & 3;
    s->pan = panning(s);
    uint32_t *out = surface->pixels;
    for (unsigned y = 0; y < s->lines; y++) {
        for (unsigned i = 0; i < s->line_repeat; i++, out += surface->width)
            draw_line(s, out);
        if (y == compare) {
            split(s);
            doubled = 0;
        } else {
            next_row(s, &doubled);
        }
    }
}

/* Modes of the Bochs interface */

/* Low bits become eight, so that the brightest is white. */
static uint32_t five(uint32_t v)
{
    return (v & 31) << 3 | (v & 31) >> 2;
}

static uint32_t six(uint32_t v)
{
    return (v & 63) << 2 | (v & 63) >> 4;
}

/* A line of pixels from bytes, by depth. */
static void convert(unsigned bpp, const uint32_t *dac, const uint8_t *from, unsigned width,
                    uint32_t *out)
{
    for (unsigned x = 0; x < width; x++) {
        uint32_t v;
        switch (bpp) {
        case 8:
            out[x] = dac[from[x]];
            break;
        case 15:
            v = load_le16(from + 2 * x);
            out[x] = five(v >> 10) << 16 | five(v >> 5) << 8 | five(v);
            break;
        case 16:
            v = load_le16(from + 2 * x);
            out[x] = five(v >> 11) << 16 | six(v >> 5) << 8 | five(v);
            break;
        case 24:
            out[x] = from[3 * x] | (uint32_t)from[3 * x + 1] << 8 | (uint32_t)from[3 * x + 2] << 16;
            break;
        default:
            out[x] = load_le32(from + 4 * x) & 0xffffff;
            break;
        }
    }
}

static void draw_vbe_planar(const struct vga *vga, const uint32_t *dac, struct surface *surface)
{
    uint32_t colours[16];
    load_colours(vga, dac, colours);
    uint32_t *out = surface->pixels;
    for (unsigned y = 0; y < surface->height; y++) {
        unsigned line = (vga->vbe[VBE_Y] + y) * vga_vbe_pitch(vga);
        for (unsigned x = 0; x < surface->width; x++) {
            unsigned at = vga->vbe[VBE_X] + x;
            uint32_t bits = *vga_dword(vga, line + at / 8) >> (7 - at % 8);
            *out++ = colours[(bits & 1) | (bits >> 7 & 2) | (bits >> 14 & 4) | (bits >> 21 & 8)];
        }
    }
}

static void draw_vbe(const struct vga *vga, struct surface *surface)
{
    enum { PIECE = 1024 };
    uint32_t dac[256];
    uint8_t bytes[4 * PIECE];
    load_dac(vga, dac);
    unsigned bpp = vga->vbe[VBE_BPP], each = bpp == 15 ? 2 : bpp / 8;
    if (bpp == 4) {
        draw_vbe_planar(vga, dac, surface);
        return;
    }
    for (unsigned y = 0; y < surface->height; y++) {
        uint64_t at = (uint64_t)(vga->vbe[VBE_Y] + y) * vga_vbe_pitch(vga) + vga->vbe[VBE_X] * each;
        uint32_t *out = surface->pixels + (size_t)y * surface->width;
        for (unsigned x = 0; x < surface->width; x += PIECE) {
            unsigned width = (unsigned)min_u64(PIECE, surface->width - x);
            ram_copy_out(vga->vram, at + x * each, bytes, width * each);
            convert(bpp, dac, bytes, width, out + x);
        }
    }
}

static bool is_blank(const struct vga *vga)
{
    return !(vga->attribute_index & AC_SCREEN_ON) || (vga->sequencer[SEQ_CLOCKING] & CLOCKING_OFF);
}

/* No BIOS has programmed the CRTC yet. */
static bool is_untouched(const struct vga *vga)
{
    return vga->crtc[CRTC_DISPLAY_END] == 0 && vga_vertical_end(vga) == 0;
}

void vga_draw(void *opaque, struct surface *surface)
{
    const struct vga *vga = opaque;
    if (vga_vbe_on(vga)) {
        if (surface_resize(surface, vga->vbe[VBE_WIDTH], vga->vbe[VBE_HEIGHT]) == 0 &&
            !is_blank(vga))
            draw_vbe(vga, surface);
        return;
    }
    if (is_untouched(vga)) {
        surface_resize(surface, BLANK_WIDTH, BLANK_HEIGHT);
        return;
    }
    struct screen screen;
    set_up(&screen, vga);
    unsigned width = screen.columns * screen.dots * screen.repeat;
    if (surface_resize(surface, width, screen.lines * screen.line_repeat) == 0 && !is_blank(vga))
        draw_legacy(&screen, surface);
}
