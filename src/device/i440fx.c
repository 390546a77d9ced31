/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel 82441FX PCI and memory controller (PMC), datasheet 290549-001. Sections 3.1 (I/O mapped
 * registers), 3.2.17 (PAM), 3.2.20 (SMRAM).
 *
 * DRAM timing, row boundary and error registers are plain storage or not there: nothing that runs
 * on this board can see the difference.
 */
#include "device/i440fx.h"

#include "base/log.h"

enum {
    REG_PAM0 = 0x59,
    REG_PAM6 = 0x5f,
    REG_SMRAM = 0x72,

    PAM_READ = 1,
    PAM_WRITE = 2,

    SMRAM_OPEN = 1 << 6,
    SMRAM_CLOSED = 1 << 5,
    SMRAM_LOCK = 1 << 4,
    SMRAM_ENABLE = 1 << 3,
    SMRAM_SEGMENT_A = 2, /* C_BASE_SEG: 0xa0000, hard-wired */

    CONFIG_ENABLE = 31, /* bit of 0xcf8 */
};

/* Segment 0 is the BIOS area, in the high half of PAM0; the other twelve are 16 KiB each, two a
 * register from PAM1 on, the low half first. */
static unsigned pam_attribute(const struct i440fx *bridge, unsigned segment)
{
    if (segment == 0)
        return bridge->pci.config[REG_PAM0] >> 4 & 3;
    unsigned index = segment - 1;
    return bridge->pci.config[REG_PAM0 + 1 + index / 2] >> (index % 2 * 4) & 3;
}

static gpa_t pam_base(unsigned segment)
{
    return segment == 0 ? 0xf0000 : 0xc0000 + (segment - 1) * 0x4000;
}

static uint64_t pam_size(unsigned segment)
{
    return segment == 0 ? 0x10000 : 0x4000;
}

/* Reads and writes can be sent to RAM or to PCI apart. "Write only" (reads from ROM, writes to the
 * RAM beneath) has no region kind; firmware for this board copies with both on, so it counts as
 * PCI. */
static void update_pam(struct i440fx *bridge)
{
    for (unsigned i = 0; i < I440FX_PAM_SEGMENTS; i++) {
        struct mem_region *region = &bridge->pam[i];
        if (region->size == 0)
            continue;
        unsigned attribute = pam_attribute(bridge, i);
        if (attribute == PAM_WRITE)
            log_limited(LOG_UNIMP, "i440fx: write-only shadow RAM at %#llx",
                        (unsigned long long)region->base);
        enum mem_kind kind = (attribute & PAM_WRITE) ? MEM_RAM : MEM_ROM;
        bool enabled = attribute & PAM_READ;
        if (enabled && region->kind != kind)
            mem_set_kind(bridge->mem, region, kind);
        if (enabled != region->enabled)
            mem_set_enabled(bridge->mem, region, enabled);
    }
}

/* Section 3.2.20. D_CLS shuts data accesses out of system management mode's view too, so that its
 * code can draw on the screen; here a view is the same for code and data, and there it only closes
 * what D_OPEN opens. */
static void update_smram(struct i440fx *bridge)
{
    uint8_t value = bridge->pci.config[REG_SMRAM];
    bool open = (value & SMRAM_OPEN) && !(value & SMRAM_CLOSED);
    if ((value & SMRAM_ENABLE) && (value & SMRAM_CLOSED))
        log_limited(LOG_UNIMP, "i440fx: SMRAM closed to data");
    if (!bridge->smram.size)
        return;
    mem_set_smm_only(bridge->mem, &bridge->smram, !open);
    mem_set_enabled(bridge->mem, &bridge->smram, value & SMRAM_ENABLE);
}

static void update_map(struct i440fx *bridge)
{
    mem_begin(bridge->mem);
    update_pam(bridge);
    update_smram(bridge);
    mem_commit(bridge->mem);
}

static void config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
    struct i440fx *bridge = (struct i440fx *)pci;
    if (offset <= REG_SMRAM && REG_SMRAM < offset + size && !bridge->smram_locked &&
        (pci->config[REG_SMRAM] & SMRAM_LOCK)) {
        bridge->smram_locked = true;
        pci->config[REG_SMRAM] &= (uint8_t)~SMRAM_OPEN;
        pci->writable[REG_SMRAM] = 0;
    }
    bool pam = offset <= REG_PAM6 && REG_PAM0 < offset + size;
    bool smram = offset <= REG_SMRAM && REG_SMRAM < offset + size;
    if (pam || smram)
        update_map(bridge);
}

/* Only dword accesses reach the address register; others go on to the ports beneath, of which
 * 0xcf9 is the one that exists. */
static uint64_t address_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i440fx *bridge = opaque;
    if (offset == 0 && size == 4)
        return bridge->config_address;
    if (offset == 1 && size == 1 && bridge->reset_control)
        return bridge->reset_control->read(bridge->reset_control_opaque, 0, 1);
    return UINT64_MAX;
}

static void address_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i440fx *bridge = opaque;
    if (offset == 0 && size == 4)
        bridge->config_address = (uint32_t)value & 0x80fffffc;
    else if (offset == 1 && size == 1 && bridge->reset_control)
        bridge->reset_control->write(bridge->reset_control_opaque, 0, value, 1);
}

static bool data_target(const struct i440fx *bridge, uint64_t port, unsigned size, uint8_t *devfn,
                        unsigned *offset)
{
    uint32_t address = bridge->config_address;
    if (!(address >> CONFIG_ENABLE) || (address >> 16 & 0xff) != 0 || port + size > 4)
        return false;
    *devfn = (uint8_t)(address >> 8);
    *offset = (address & 0xfc) + (unsigned)port;
    return true;
}

static uint64_t data_read(void *opaque, uint64_t port, unsigned size)
{
    struct i440fx *bridge = opaque;
    uint8_t devfn;
    unsigned offset;
    if (!data_target(bridge, port, size, &devfn, &offset))
        return UINT64_MAX;
    return pci_config_read(bridge->pci.bus, devfn, offset, size);
}

static void data_write(void *opaque, uint64_t port, uint64_t value, unsigned size)
{
    struct i440fx *bridge = opaque;
    uint8_t devfn;
    unsigned offset;
    if (data_target(bridge, port, size, &devfn, &offset))
        pci_config_write(bridge->pci.bus, devfn, offset, (uint32_t)value, size);
}

static const struct io_ops address_ops = {address_read, address_write, 1, 4};
static const struct io_ops data_ops = {data_read, data_write, 1, 4};

static void reset(struct device *device)
{
    struct i440fx *bridge = (struct i440fx *)device;
    struct pci_device *pci = &bridge->pci;
    pci_device_reset(pci);
    store_le16(&pci->config[PCI_COMMAND], PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    store_le16(&pci->config[PCI_STATUS], 0x0280); /* fast back-to-back, medium DEVSEL */
    memset(&pci->config[REG_PAM0], 0, REG_PAM6 - REG_PAM0 + 1);
    pci->config[REG_SMRAM] = SMRAM_SEGMENT_A;
    pci->writable[REG_SMRAM] = SMRAM_OPEN | SMRAM_CLOSED | SMRAM_LOCK | SMRAM_ENABLE;
    bridge->smram_locked = false;
    bridge->config_address = 0;
    update_map(bridge);
}

static void fini(struct device *device)
{
    struct i440fx *bridge = (struct i440fx *)device;
    pio_remove(bridge->pio, &bridge->data_ports);
    pio_remove(bridge->pio, &bridge->address_ports);
    for (unsigned i = 0; i < I440FX_PAM_SEGMENTS; i++)
        if (bridge->pam[i].size)
            mem_remove(bridge->mem, &bridge->pam[i]);
    if (bridge->smram.size)
        mem_remove(bridge->mem, &bridge->smram);
}

static int loaded(void *object, struct error *err)
{
    (void)err;
    struct i440fx *bridge = object;
    bridge->pci.writable[REG_SMRAM] =
        bridge->smram_locked ? 0 : SMRAM_OPEN | SMRAM_CLOSED | SMRAM_LOCK | SMRAM_ENABLE;
    update_map(bridge);
    return 0;
}

static const struct state_field fields[] = {
    STATE_SUB(struct i440fx, pci, &pci_device_state),
    STATE_FIELD(struct i440fx, config_address),
    STATE_FIELD(struct i440fx, smram_locked),
};
static const struct state_table table = STATE_TABLE("i440fx", 1, fields, loaded);

static const struct device_type type = {
    .name = "i440FX", .state = &table, .reset = reset, .fini = fini};

static void add_region(struct i440fx *bridge, struct mem_region *region, const char *name,
                       struct ram *ram, gpa_t base, uint64_t size)
{
    if (base + size > ram->size)
        return; /* size stays 0: never mapped */
    *region = (struct mem_region){
        .name = name,
        .kind = MEM_RAM,
        .priority = I440FX_PRIORITY,
        .base = base,
        .size = size,
        .ram = ram,
        .ram_offset = base,
    };
    mem_add(bridge->mem, region);
}

int i440fx_init(struct i440fx *bridge, struct pci_bus *bus, struct mem *mem, struct pio *pio,
                struct ram *ram)
{
    memset(bridge, 0, sizeof(*bridge));
    bridge->mem = mem;
    bridge->pio = pio;
    struct pci_device *pci = &bridge->pci;
    pci->device.type = &type;
    pci_device_init(pci, bus, PCI_DEVFN(0, 0), 0x8086, 0x1237, 0x060000, 2, 0);
    /* Firmware knows the virtual board by these (SeaBIOS: src/fw/paravirt.c). */
    store_le16(&pci->config[PCI_SUBSYSTEM_VENDOR_ID], 0x1af4);
    store_le16(&pci->config[PCI_SUBSYSTEM_ID], 0x1100);
    pci->writable[REG_PAM0] = 0x70; /* the low half is reserved */
    memset(&pci->writable[REG_PAM0 + 1], 0x77, REG_PAM6 - REG_PAM0);
    pci->config_written = config_written;

    for (unsigned i = 0; i < I440FX_PAM_SEGMENTS; i++)
        add_region(bridge, &bridge->pam[i], "pam", ram, pam_base(i), pam_size(i));
    add_region(bridge, &bridge->smram, "smram", ram, 0xa0000, 0x20000);

    bridge->address_ports = (struct pio_range){"pci-conf-idx", 0xcf8, 4, &address_ops, bridge};
    bridge->data_ports = (struct pio_range){"pci-conf-data", 0xcfc, 4, &data_ops, bridge};
    int rc = pio_add(pio, &bridge->address_ports);
    if (rc == 0)
        rc = pio_add(pio, &bridge->data_ports);
    reset(&pci->device);
    return rc;
}

void i440fx_set_reset_control(struct i440fx *bridge, const struct io_ops *ops, void *opaque)
{
    bridge->reset_control = ops;
    bridge->reset_control_opaque = opaque;
}
