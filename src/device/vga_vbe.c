/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The Bochs display interface: sixteen-bit registers behind an index. How it is used: resolution
 * and depth are written while it is off, then VBE_ENABLE; a line of the screen is VIRTUAL_WIDTH
 * pixels, and X and Y say which part of the memory is seen.
 *
 * While a mode is on its registers always make one that fits the memory: whatever is written is
 * brought into bounds at once, and reads show it.
 */
#include "device/vga_internal.h"

enum { MAX_WIDTH = 16000, MAX_HEIGHT = 12000, MAX_BPP = 32, ID_FIRST = 0xb0c0, ID_LAST = 0xb0c5 };

static unsigned bytes_per_pixel(unsigned bpp)
{
    return bpp == 15 ? 2 : bpp / 8;
}

unsigned vga_vbe_pitch(const struct vga *vga)
{
    unsigned width = vga->vbe[VBE_VIRTUAL_WIDTH], bpp = vga->vbe[VBE_BPP];
    return bpp == 4 ? width / 8 : width * bytes_per_pixel(bpp);
}

static bool known_depth(unsigned bpp)
{
    return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

static uint16_t clamp(unsigned value, unsigned least, unsigned most)
{
    return (uint16_t)(value < least ? least : value > most ? most : value);
}

/* Brings the registers of a mode that is on into bounds. */
static void fit(struct vga *vga)
{
    uint16_t *r = vga->vbe;
    if (!known_depth(r[VBE_BPP]))
        r[VBE_BPP] = 8;
    bool planar = r[VBE_BPP] == 4;
    unsigned mask = planar ? ~7u : ~0u; /* a byte of a plane is eight pixels */
    r[VBE_WIDTH] = clamp(r[VBE_WIDTH] & mask, planar ? 8 : 1, MAX_WIDTH);
    r[VBE_VIRTUAL_WIDTH] = clamp(r[VBE_VIRTUAL_WIDTH] & mask, r[VBE_WIDTH], MAX_WIDTH);
    unsigned lines = (unsigned)((planar ? VGA_MEMORY / 4 : VGA_MEMORY) / vga_vbe_pitch(vga));
    r[VBE_HEIGHT] = clamp(r[VBE_HEIGHT], 1, (unsigned)min_u64(lines, MAX_HEIGHT));
    r[VBE_VIRTUAL_HEIGHT] = clamp(lines, 1, UINT16_MAX);
    r[VBE_X] = clamp(r[VBE_X], 0, r[VBE_VIRTUAL_WIDTH] - r[VBE_WIDTH]);
    r[VBE_Y] = clamp(r[VBE_Y], 0, r[VBE_VIRTUAL_HEIGHT] - r[VBE_HEIGHT]);
}

static void clear_screen(struct vga *vga)
{
    uint64_t size = (uint64_t)vga_vbe_pitch(vga) * vga->vbe[VBE_HEIGHT];
    if (vga->vbe[VBE_BPP] == 4)
        size *= 4;
    for (uint64_t at = 0; at < size; at += PAGE_SIZE)
        memset(ram_host(vga->vram, at >> PAGE_SHIFT), 0, min_u64(size - at, PAGE_SIZE));
    mem_ram_written(vga->mem, vga->vram, 0, size);
}

static void enable(struct vga *vga, uint16_t value)
{
    bool was_on = vga_vbe_on(vga);
    vga->vbe[VBE_ENABLE] = value;
    if (was_on || !vga_vbe_on(vga))
        return;
    vga->vbe[VBE_VIRTUAL_WIDTH] = 0; /* as wide as the screen */
    vga->vbe[VBE_X] = vga->vbe[VBE_Y] = 0;
    vga->vbe[VBE_BANK] = 0;
    fit(vga);
    if (!(value & VBE_NO_CLEAR))
        clear_screen(vga);
}

uint16_t vga_vbe_read(const struct vga *vga, unsigned index)
{
    if (index >= VGA_VBE)
        return 0;
    if (vga->vbe[VBE_ENABLE] & VBE_CAPABILITIES) {
        switch (index) {
        case VBE_WIDTH:
            return MAX_WIDTH;
        case VBE_HEIGHT:
            return MAX_HEIGHT;
        case VBE_BPP:
            return MAX_BPP;
        default:
            break;
        }
    }
    return vga->vbe[index];
}

void vga_vbe_write(struct vga *vga, unsigned index, uint16_t value)
{
    switch (index) {
    case VBE_ID:
        if (value >= ID_FIRST && value <= ID_LAST)
            vga->vbe[VBE_ID] = value;
        break;
    case VBE_ENABLE:
        enable(vga, value);
        break;
    case VBE_BANK: /* in planar modes, of 64 Ki of all planes */
        vga->vbe[VBE_BANK] = value & (VGA_MEMORY / KIB(64) - 1);
        break;
    case VBE_WIDTH:
    case VBE_HEIGHT:
    case VBE_BPP:
    case VBE_VIRTUAL_WIDTH:
    case VBE_X:
    case VBE_Y:
        vga->vbe[index] = value;
        if (vga_vbe_on(vga))
            fit(vga);
        break;
    default:
        break; /* the others are read-only or not there */
    }
    vga_window_update(vga);
}

void vga_vbe_reset(struct vga *vga)
{
    vga->vbe_index = 0;
    memset(vga->vbe, 0, sizeof(vga->vbe));
    vga->vbe[VBE_ID] = ID_LAST;
    vga->vbe[VBE_MEMORY] = VGA_MEMORY / KIB(64);
}

void vga_vbe_loaded(struct vga *vga)
{
    vga->vbe[VBE_ID] = clamp(vga->vbe[VBE_ID], ID_FIRST, ID_LAST);
    vga->vbe[VBE_BANK] &= VGA_MEMORY / KIB(64) - 1;
    vga->vbe[VBE_MEMORY] = VGA_MEMORY / KIB(64);
    if (vga_vbe_on(vga))
        fit(vga);
}
