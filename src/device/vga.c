/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The PCI function around the VGA, its places in the guest's address spaces, its life.
 */
#include "device/vga.h"

#include <errno.h>

#include "base/error.h"
#include "device/vga_internal.h"

enum {
    VENDOR_BOCHS = 0x1234,
    DEVICE_STDVGA = 0x1111,
    CLASS_VGA = 0x030000,
    REVISION = 2,
    /* By these, drivers know a virtual machine's from Bochs's own. */
    SUBSYSTEM_VENDOR = 0x1af4,
    SUBSYSTEM = 0x1100,

    MEMORY_BAR = 0,
    MMIO_BAR = 2,
    ROM_BAR = 6,
    MMIO_BYTES = 4096,
    MMIO_PORTS = 0x400, /* 0x3c0-0x3df */
    MMIO_PORTS_END = 0x420,
    MMIO_VBE = 0x500,
    MMIO_VBE_END = MMIO_VBE + 2 * VGA_VBE,

    WINDOW = 0xa0000,
    WINDOW_BYTES = 0x20000,
    PLAIN_BYTES = 0x10000,
    VBE_PORTS = 0x1ce,
};

#define ROM_MAX MIB(16)

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return vga_port_read(opaque, 0x3c0 + (unsigned)offset);
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    vga_port_write(opaque, 0x3c0 + (unsigned)offset, (uint8_t)value);
}

static uint64_t mono_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return vga_port_read(opaque, 0x3b0 + (unsigned)offset);
}

static void mono_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    vga_port_write(opaque, 0x3b0 + (unsigned)offset, (uint8_t)value);
}

/* 0x1ce is the index, 0x1cf the data of Bochs, 0x1d0 the same where words must be aligned. */
static uint64_t vbe_ports_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    struct vga *vga = opaque;
    return offset == 0 ? vga->vbe_index : vga_vbe_read(vga, vga->vbe_index);
}

static void vbe_ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    struct vga *vga = opaque;
    if (offset == 0)
        vga->vbe_index = (uint16_t)value;
    else if (offset < 3)
        vga_vbe_write(vga, vga->vbe_index, (uint16_t)value);
}

static uint8_t mmio_byte(struct vga *vga, uint64_t offset)
{
    if (offset >= MMIO_PORTS && offset < MMIO_PORTS_END)
        return vga_port_read(vga, 0x3c0 + (unsigned)(offset - MMIO_PORTS));
    if (offset >= MMIO_VBE && offset < MMIO_VBE_END)
        return (uint8_t)(vga_vbe_read(vga, (unsigned)(offset - MMIO_VBE) / 2) >> (offset & 1) * 8);
    return 0xff;
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)mmio_byte(opaque, offset + i) << (8 * i);
    return value;
}

/* The VBE registers take words only. */
static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct vga *vga = opaque;
    if (offset >= MMIO_VBE && offset < MMIO_VBE_END) {
        if (size == 2 && !(offset & 1))
            vga_vbe_write(vga, (unsigned)(offset - MMIO_VBE) / 2, (uint16_t)value);
        return;
    }
    for (unsigned i = 0; i < size; i++)
        if (offset + i >= MMIO_PORTS && offset + i < MMIO_PORTS_END)
            vga_port_write(vga, 0x3c0 + (unsigned)(offset + i - MMIO_PORTS),
                           (uint8_t)(value >> (8 * i)));
}

static const struct io_ops ports_ops = {ports_read, ports_write, 1, 1};
static const struct io_ops mono_ops = {mono_read, mono_write, 1, 1};
static const struct io_ops vbe_ports_ops = {vbe_ports_read, vbe_ports_write, 2, 2};
static const struct io_ops mmio_ops = {mmio_read, mmio_write, 1, 2};

/* The memory keeps what was in it. */
static void vga_reset(struct device *device)
{
    struct vga *vga = (struct vga *)device;
    pci_device_reset(&vga->pci);
    vga_ports_reset(vga);
    vga_vbe_reset(vga);
    vga_window_update(vga);
}

static void vga_fini(struct device *device)
{
    struct vga *vga = (struct vga *)device;
    pio_remove(vga->pio, &vga->mono_ports);
    pio_remove(vga->pio, &vga->ports);
    pio_remove(vga->pio, &vga->vbe_ports);
    mem_begin(vga->mem);
    mem_remove(vga->mem, &vga->plain);
    mem_remove(vga->mem, &vga->window);
    for (unsigned i = 0; i < ARRAY_LEN(vga->pci.bars); i++)
        if (vga->pci.bars[i].size)
            mem_remove(vga->mem, &vga->pci.bars[i].region);
    mem_commit(vga->mem);
    ram_destroy(vga->vram);
    ram_destroy(vga->rom);
    vga->vram = vga->rom = NULL;
}

static int vga_loaded(void *object, struct error *err)
{
    (void)err;
    struct vga *vga = object;
    vga_ports_loaded(vga);
    vga_vbe_loaded(vga);
    vga_window_update(vga);
    return 0;
}

static const struct state_field fields[] = {
    STATE_SUB(struct vga, pci, &pci_device_state),
    STATE_FIELD(struct vga, misc),
    STATE_FIELD(struct vga, feature),
    STATE_FIELD(struct vga, sequencer_index),
    STATE_ARRAY(struct vga, sequencer),
    STATE_FIELD(struct vga, graphics_index),
    STATE_ARRAY(struct vga, graphics),
    STATE_FIELD(struct vga, crtc_index),
    STATE_ARRAY(struct vga, crtc),
    STATE_FIELD(struct vga, attribute_index),
    STATE_ARRAY(struct vga, attribute),
    STATE_FIELD(struct vga, attribute_data),
    STATE_FIELD(struct vga, latch),
    STATE_FIELD(struct vga, dac_mask),
    STATE_FIELD(struct vga, dac_read_index),
    STATE_FIELD(struct vga, dac_write_index),
    STATE_FIELD(struct vga, dac_component),
    STATE_FIELD(struct vga, dac_reading),
    STATE_ARRAY(struct vga, dac_written),
    STATE_BLOB(struct vga, palette),
    STATE_FIELD(struct vga, vbe_index),
    STATE_ARRAY(struct vga, vbe),
};
static const struct state_table state = STATE_TABLE("vga", 1, fields, vga_loaded);

static const struct device_type type = {"VGA", &state, vga_reset, vga_fini};

/* A BAR is a power of two; what lies behind the image is zeros. */
static int make_rom(struct vga *vga, const uint8_t *bytes, uint64_t size, struct error *err)
{
    if (size > ROM_MAX)
        return error_set(err, EFBIG, "the video BIOS is too large: %llu bytes of at most %llu",
                         (unsigned long long)size, (unsigned long long)ROM_MAX);
    uint64_t room = PAGE_SIZE;
    while (room < size)
        room *= 2;
    int ret = ram_create(&vga->rom, "vga.rom", room, err);
    if (ret < 0)
        return ret;
    ram_copy_in(vga->rom, 0, bytes, size);
    return 0;
}

static void add_bars(struct vga *vga)
{
    struct pci_device *pci = &vga->pci;
    pci->bars[MEMORY_BAR].prefetch = true;
    pci->bars[MEMORY_BAR].region =
        (struct mem_region){.name = "vga.vram", .kind = MEM_RAM, .ram = vga->vram};
    pci_add_bar(pci, MEMORY_BAR, VGA_MEMORY, false);
    pci->bars[MMIO_BAR].region =
        (struct mem_region){.name = "vga.mmio", .kind = MEM_IO, .ops = &mmio_ops, .opaque = vga};
    pci_add_bar(pci, MMIO_BAR, MMIO_BYTES, false);
    if (!vga->rom)
        return;
    pci->bars[ROM_BAR].region =
        (struct mem_region){.name = "vga.rom", .kind = MEM_ROM, .ram = vga->rom};
    pci_add_bar(pci, ROM_BAR, vga->rom->size, false);
}

static void add_window(struct vga *vga)
{
    vga->window = (struct mem_region){.name = "vga.window",
                                      .kind = MEM_IO,
                                      .enabled = true,
                                      .base = WINDOW,
                                      .size = WINDOW_BYTES,
                                      .ops = &vga_window_ops,
                                      .opaque = vga};
    vga->plain = (struct mem_region){.name = "vga.plain",
                                     .kind = MEM_RAM,
                                     .priority = 1, /* over the window */
                                     .base = WINDOW,
                                     .size = PLAIN_BYTES,
                                     .ram = vga->vram};
    mem_add(vga->mem, &vga->window);
    mem_add(vga->mem, &vga->plain);
}

static int add_ports(struct vga *vga)
{
    vga->mono_ports = (struct pio_range){"vga.mono", 0x3b0, 12, &mono_ops, vga};
    vga->ports = (struct pio_range){"vga", 0x3c0, 32, &ports_ops, vga};
    vga->vbe_ports = (struct pio_range){"vga.vbe", VBE_PORTS, 4, &vbe_ports_ops, vga};
    int ret = pio_add(vga->pio, &vga->mono_ports);
    if (ret == 0)
        ret = pio_add(vga->pio, &vga->ports);
    if (ret == 0)
        ret = pio_add(vga->pio, &vga->vbe_ports);
    return ret;
}

int vga_init(struct vga *vga, struct pci_bus *bus, unsigned devfn, struct mem *mem, struct pio *pio,
             struct timers *timers, const uint8_t *rom, uint64_t rom_size, struct error *err)
{
    *vga = (struct vga){.mem = mem, .pio = pio, .timers = timers, .display = {vga_draw, vga}};
    vga->pci.device.type = &type;
    int ret = ram_create(&vga->vram, "vga.vram", VGA_MEMORY, err);
    if (ret == 0 && rom_size)
        ret = make_rom(vga, rom, rom_size, err);
    if (ret < 0) {
        ram_destroy(vga->vram);
        return ret;
    }
    mem_begin(mem);
    pci_device_init(&vga->pci, bus, (uint8_t)devfn, VENDOR_BOCHS, DEVICE_STDVGA, CLASS_VGA,
                    REVISION, 0);
    store_le16(vga->pci.config + PCI_SUBSYSTEM_VENDOR_ID, SUBSYSTEM_VENDOR);
    store_le16(vga->pci.config + PCI_SUBSYSTEM_ID, SUBSYSTEM);
    add_bars(vga);
    add_window(vga);
    mem_commit(mem);
    ret = add_ports(vga);
    if (ret < 0) {
        vga_fini(&vga->pci.device);
        return error_set(err, -ret, "cannot set up the VGA's ports: %s", strerror(-ret));
    }
    vga_reset(&vga->pci.device);
    return 0;
}
