/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The window at 0xa0000: how an address becomes planes and a place in them, and what the graphics
 * controller does to data on its way (IBM PS/2 Hardware Interface Technical Reference, "Video
 * Memory Addressing", "Graphics Controller").
 *
 * All addressing ends in four bytes side by side, one a plane (vga.h). Odd/even takes the plane
 * from bit 0 of the address, chain 4 from bits 0 and 1. A real VGA leaves those bits in the address
 * too and so uses every second or fourth place; here they are squeezed out, and drawing matches, as
 * guests only see when they change modes over one picture.
 */
#include "device/vga_internal.h"

#define WINDOW_BANK  0x10000u
#define LEGACY_PLANE 0x10000u /* bytes a plane of the 256 KiB an IBM VGA has */

/* Where an access goes. */
struct target {
    uint32_t dword;  /* place in the planes */
    unsigned plane;  /* that reads take, in read mode 0 */
    unsigned planes; /* bits: that writes may reach */
};

/* GC_MISC bits 2 and 3. */
static bool in_map(unsigned map, uint64_t *offset)
{
    static const struct {
        uint32_t first, size;
    } maps[] = {{0, 0x20000}, {0, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000}};
    if (*offset < maps[map].first || *offset - maps[map].first >= maps[map].size)
        return false;
    *offset -= maps[map].first;
    return true;
}

/* The address in the memory that the window shows at offset; false where it shows none. */
static bool decode(const struct vga *vga, uint64_t offset, uint32_t *address)
{
    if (vga_vbe_on(vga)) {
        *address = vga->vbe[VBE_BANK] * WINDOW_BANK + (uint32_t)offset;
        return offset < WINDOW_BANK;
    }
    bool shown = (vga->misc & MISC_RAM) && in_map(vga->graphics[GC_MISC] >> 2 & 3, &offset);
    *address = (uint32_t)offset;
    return shown;
}

static struct target find(const struct vga *vga, uint32_t address, bool write)
{
    struct target t = {address, vga->graphics[GC_READ_MAP] & 3u, vga->sequencer[SEQ_MAP_MASK]};
    bool odd_even = write ? !(vga->sequencer[SEQ_MEMORY] & MEMORY_NOT_ODD_EVEN)
                          : vga->graphics[GC_MODE] & MODE_ODD_EVEN;
    if (!vga_vbe_on(vga) && (vga->sequencer[SEQ_MEMORY] & MEMORY_CHAIN_4)) {
        t.plane = address & 3;
        t.planes &= 1u << t.plane;
        t.dword = address >> 2;
    } else if (!vga_vbe_on(vga) && odd_even) {
        t.plane = (t.plane & 2) | (address & 1);
        t.planes &= address & 1 ? 10 : 5;
        t.dword = address >> 1;
    }
    if (!vga_vbe_on(vga))
        t.dword &= LEGACY_PLANE - 1;
    return t;
}

/* Read mode 1: which of the eight pixels have the colour asked for. */
static uint8_t compare(const struct vga *vga)
{
    uint32_t differ =
        (vga->latch ^ vga_planes(vga->graphics[GC_COMPARE])) & vga_planes(vga->graphics[GC_CARE]);
    differ |= differ >> 16;
    return (uint8_t) ~(differ | differ >> 8);
}

static uint64_t window_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    struct vga *vga = opaque;
    uint32_t address;
    if (!decode(vga, offset, &address))
        return 0xff;
    if (vga_vbe_linear(vga))
        return (uint8_t)(*vga_dword(vga, address >> 2) >> (8 * (address & 3)));
    struct target t = find(vga, address, false);
    vga->latch = *vga_dword(vga, t.dword);
    if (vga->graphics[GC_MODE] & MODE_READ_COMPARE)
        return compare(vga);
    return (uint8_t)(vga->latch >> (8 * t.plane));
}

static uint8_t rotated(const struct vga *vga, uint8_t value)
{
    unsigned by = vga->graphics[GC_ROTATE] & 7;
    return (uint8_t)(value >> by | value << (8 - by));
}

static uint32_t combine(const struct vga *vga, uint32_t value)
{
    switch (vga->graphics[GC_ROTATE] >> 3 & 3) {
    case 1:
        return value & vga->latch;
    case 2:
        return value | vga->latch;
    case 3:
        return value ^ vga->latch;
    default:
        return value;
    }
}

/* What the graphics controller makes of a byte from the processor: a byte for each plane. */
static uint32_t processed(const struct vga *vga, uint8_t value)
{
    const uint8_t *gc = vga->graphics;
    uint8_t bits = gc[GC_BIT_MASK];
    uint32_t set = vga_planes(gc[GC_SET_RESET]), data;
    switch (gc[GC_MODE] & MODE_WRITE) {
    case 0: {
        uint32_t enabled = vga_planes(gc[GC_SET_RESET_ENABLE]);
        data = (rotated(vga, value) * 0x01010101u & ~enabled) | (set & enabled);
        break;
    }
    case 1:
        return vga->latch;
    case 2:
        data = vga_planes(value);
        break;
    default:
        bits &= rotated(vga, value);
        data = set;
        break;
    }
    uint32_t mask = bits * 0x01010101u;
    return (combine(vga, data) & mask) | (vga->latch & ~mask);
}

static void window_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    struct vga *vga = opaque;
    uint32_t address;
    if (!decode(vga, offset, &address))
        return;
    struct target t = {address >> 2, 0, 1u << (address & 3)};
    uint32_t data = (uint8_t)value * 0x01010101u;
    if (!vga_vbe_linear(vga)) {
        t = find(vga, address, true);
        data = processed(vga, (uint8_t)value);
    }
    uint32_t mask = vga_planes(t.planes);
    if (!mask)
        return;
    uint32_t *at = vga_dword(vga, t.dword);
    *at = (*at & ~mask) | (data & mask);
    mem_ram_written(vga->mem, vga->vram, t.dword * 4 & (VGA_MEMORY - 1), 4);
}

const struct io_ops vga_window_ops = {window_read, window_write, 1, 1};

/* Is the first half of the window the same as memory from its first byte (or the bank) on? */
static bool is_plain(const struct vga *vga)
{
    const uint8_t *gc = vga->graphics;
    if (vga_vbe_on(vga))
        return vga_vbe_linear(vga);
    return (vga->misc & MISC_RAM) && (gc[GC_MISC] >> 2 & 3) == 1 &&
           (vga->sequencer[SEQ_MEMORY] & MEMORY_CHAIN_4) && vga->sequencer[SEQ_MAP_MASK] == 15 &&
           !(gc[GC_MODE] & (MODE_WRITE | MODE_READ_COMPARE)) && gc[GC_ROTATE] == 0 &&
           gc[GC_SET_RESET_ENABLE] == 0 && gc[GC_BIT_MASK] == 0xff;
}

void vga_window_update(struct vga *vga)
{
    bool plain = is_plain(vga);
    uint64_t bank = vga_vbe_on(vga) ? vga->vbe[VBE_BANK] * (uint64_t)WINDOW_BANK : 0;
    if (plain == vga->plain.enabled && (!plain || bank == vga->plain.ram_offset))
        return;
    mem_begin(vga->mem);
    mem_remove(vga->mem, &vga->plain);
    vga->plain.enabled = plain;
    vga->plain.ram_offset = bank;
    mem_add(vga->mem, &vga->plain);
    mem_commit(vga->mem);
}
