/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The standard VGA of virtual machines, "-vga std": an IBM VGA (IBM PS/2 Hardware Interface
 * Technical Reference, "Video Subsystem") with 16 MiB of memory and the Bochs display interface
 * ("VBE dispi") for modes of up to 32 bits a pixel. As a PCI function it is 1234:1111 of QEMU's
 * docs/specs/standard-vga: BAR 0 is the video memory, BAR 2 has the registers once more, the
 * expansion ROM is the video BIOS.
 *
 * The legacy ports and the window at 0xa0000 answer whatever PCI_COMMAND says: there is one VGA on
 * this board, and kernels that size BARs switch decoding off under their own console.
 *
 * All under the VM lock. The video memory is guest RAM: processors write to it without the lock
 * while it is drawn.
 */
#ifndef DEVICE_VGA_H
#define DEVICE_VGA_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/pci.h"
#include "display/surface.h"
#include "event/timer.h"
#include "mem/io.h"
#include "mem/mem.h"

struct error;

#define VGA_MEMORY MIB(16)

/* What the registers that matter are called; those without a name here are plain storage. */
enum { VGA_SEQUENCER = 5, VGA_GRAPHICS = 9, VGA_CRTC = 25, VGA_ATTRIBUTE = 21, VGA_VBE = 11 };

struct vga {
    struct pci_device pci; /* first */
    struct mem *mem;
    struct pio *pio;
    struct timers *timers;
    /* The video memory. Bytes 4n..4n+3 are what the planes 0..3 hold at n, so that the chained
     * modes are linear. Its contents are not in the field table: it is saved as RAM is. */
    struct ram *vram;
    struct ram *rom;
    struct mem_region window; /* 0xa0000-0xbffff, as the write and read modes have it */
    struct mem_region plain;  /* its first 64 KiB as RAM, where the modes change nothing */
    struct pio_range mono_ports, ports, vbe_ports;
    struct display_source display;

    uint8_t misc, feature;
    uint8_t sequencer_index, sequencer[VGA_SEQUENCER];
    uint8_t graphics_index, graphics[VGA_GRAPHICS];
    uint8_t crtc_index, crtc[VGA_CRTC];
    uint8_t attribute_index, attribute[VGA_ATTRIBUTE]; /* index: with bit 5, the screen is on */
    bool attribute_data; /* the flip-flop: what is written next is data */
    uint32_t latch;      /* a byte a plane */

    uint8_t dac_mask, dac_read_index, dac_write_index;
    uint8_t dac_component; /* 0..2: red, green, blue is next */
    bool dac_reading;
    uint8_t dac_written[3];
    uint8_t palette[768]; /* as written: 6 bits each, or 8 */

    uint16_t vbe_index;
    uint16_t vbe[VGA_VBE];
};

/* Puts the adapter on the bus, its ports and its window into place. rom (the video BIOS, with
 * rom_size bytes, up to 16 MiB) is copied; rom_size 0: none. Negative errno and a sentence;
 * nothing is left behind then except the bus's pointer to the device. */
int vga_init(struct vga *vga, struct pci_bus *bus, unsigned devfn, struct mem *mem, struct pio *pio,
             struct timers *timers, const uint8_t *rom, uint64_t rom_size, struct error *err);

#endif
