/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files of the VGA share: vga.c (the PCI function, life), vga_ports.c (registers),
 * vga_memory.c (the window at 0xa0000), vga_vbe.c (the Bochs display interface), vga_draw.c (the
 * screen). For nobody else.
 */
#ifndef DEVICE_VGA_INTERNAL_H
#define DEVICE_VGA_INTERNAL_H

#include "base/bytes.h"
#include "device/vga.h"

enum {
    MISC_COLOUR = 1 << 0, /* the CRTC is at 0x3d4, not 0x3b4 */
    MISC_RAM = 1 << 1,    /* the window answers */

    SEQ_CLOCKING = 1,
    SEQ_MAP_MASK = 2,
    SEQ_FONT = 3,
    SEQ_MEMORY = 4,
    CLOCKING_8_DOTS = 1 << 0,
    CLOCKING_HALF = 1 << 3, /* each dot lasts two clocks */
    CLOCKING_OFF = 1 << 5,
    MEMORY_NOT_ODD_EVEN = 1 << 2,
    MEMORY_CHAIN_4 = 1 << 3,

    GC_SET_RESET = 0,
    GC_SET_RESET_ENABLE = 1,
    GC_COMPARE = 2,
    GC_ROTATE = 3, /* and the function */
    GC_READ_MAP = 4,
    GC_MODE = 5,
    GC_MISC = 6,
    GC_CARE = 7,
    GC_BIT_MASK = 8,
    MODE_WRITE = 3,
    MODE_READ_COMPARE = 1 << 3,
    MODE_ODD_EVEN = 1 << 4,
    MODE_INTERLEAVED = 1 << 5, /* CGA's four colours */
    MODE_256 = 1 << 6,

    CRTC_DISPLAY_END = 1,
    CRTC_OVERFLOW = 7,
    CRTC_PRESET_ROW = 8,
    CRTC_MAX_SCAN = 9,
    CRTC_CURSOR_START = 10,
    CRTC_CURSOR_END = 11,
    CRTC_START = 12,
    CRTC_CURSOR = 14,
    CRTC_RETRACE_START = 16,
    CRTC_RETRACE_END = 17,
    CRTC_VERTICAL_END = 18,
    CRTC_OFFSET = 19,
    CRTC_UNDERLINE = 20,
    CRTC_MODE = 23,
    CRTC_LINE_COMPARE = 24,

    AC_MODE = 16,
    AC_PLANES = 18,
    AC_PANNING = 19,
    AC_COLOUR_SELECT = 20,
    AC_SCREEN_ON = 1 << 5, /* of the index */

    VBE_ID = 0,
    VBE_WIDTH = 1,
    VBE_HEIGHT = 2,
    VBE_BPP = 3,
    VBE_ENABLE = 4,
    VBE_BANK = 5,
    VBE_VIRTUAL_WIDTH = 6,
    VBE_VIRTUAL_HEIGHT = 7,
    VBE_X = 8,
    VBE_Y = 9,
    VBE_MEMORY = 10,
    VBE_ENABLED = 1 << 0,
    VBE_CAPABILITIES = 1 << 1,
    VBE_8BIT_DAC = 1 << 5,
    VBE_NO_CLEAR = 1 << 7,
};

/* Four planes' bytes: all ones in those whose bit is set. */
static inline uint32_t vga_planes(unsigned bits)
{
    return ((bits & 15) * 0x00204081 & 0x01010101) * 0xff;
}

/* The four planes at n, wherever n points. */
static inline uint32_t *vga_dword(const struct vga *vga, uint32_t n)
{
    uint32_t byte = n * 4 & (uint32_t)(VGA_MEMORY - 1);
    return (uint32_t *)(ram_host(vga->vram, byte >> PAGE_SHIFT) + (byte & (PAGE_SIZE - 1)));
}

static inline bool vga_vbe_on(const struct vga *vga)
{
    return vga->vbe[VBE_ENABLE] & VBE_ENABLED;
}

/* A VBE mode without planes: the window shows a bank of plain memory. */
static inline bool vga_vbe_linear(const struct vga *vga)
{
    return vga_vbe_on(vga) && vga->vbe[VBE_BPP] != 4;
}

/* The displayed lines, less one, and the line that ends the upper part of a split screen: 10 bits
 * each, from three registers. */
static inline unsigned vga_vertical_end(const struct vga *vga)
{
    const uint8_t *crtc = vga->crtc;
    return crtc[CRTC_VERTICAL_END] | (crtc[CRTC_OVERFLOW] & 0x02u) << 7 |
           (crtc[CRTC_OVERFLOW] & 0x40u) << 3;
}

static inline unsigned vga_line_compare(const struct vga *vga)
{
    const uint8_t *crtc = vga->crtc;
    return crtc[CRTC_LINE_COMPARE] | (crtc[CRTC_OVERFLOW] & 0x10u) << 4 |
           (crtc[CRTC_MAX_SCAN] & 0x40u) << 3;
}

/* vga_ports.c: ports 0x3b0-0x3df, by address, byte-wise. */
uint8_t vga_port_read(struct vga *vga, unsigned port);
void vga_port_write(struct vga *vga, unsigned port, uint8_t value);
void vga_ports_reset(struct vga *vga);
/* Bits that no register has, as a stream may bring them, are taken away. */
void vga_ports_loaded(struct vga *vga);

/* vga_memory.c */
extern const struct io_ops vga_window_ops;
/* To be called after any change of a register that decides what the window shows. */
void vga_window_update(struct vga *vga);

/* vga_vbe.c */
uint16_t vga_vbe_read(const struct vga *vga, unsigned index);
void vga_vbe_write(struct vga *vga, unsigned index, uint16_t value);
void vga_vbe_reset(struct vga *vga);
void vga_vbe_loaded(struct vga *vga);
/* Bytes from one line of the mode that is on to the next. Planar: in one plane. */
unsigned vga_vbe_pitch(const struct vga *vga);

/* vga_draw.c */
void vga_draw(void *opaque, struct surface *surface);

#endif
