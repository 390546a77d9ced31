/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PCI configuration space of type 0 headers (PCI Local Bus Specification 3.0, chapter 6), mapping
 * of base address registers and the interrupt pins.
 */
#include "bus/pci.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"

enum { BAR_COUNT = 6, ROM_INDEX = 6, HEADER_SIZE = 0x40 };

enum {
    STATUS_INTX = 0x08,        /* 6.2.3: the pin, whatever PCI_COMMAND_INTX_OFF says */
    STATUS_CLEARABLE = 0xf900, /* error bits */
    COMMAND_WRITABLE = 0x0547, /* I/O, memory, master, parity, SERR#, INTx off */
};

void pci_bus_init(struct pci_bus *bus, struct mem *mem, struct pio *pio)
{
    memset(bus, 0, sizeof(*bus));
    bus->mem = mem;
    bus->pio = pio;
}

void pci_device_init(struct pci_device *device, struct pci_bus *bus, uint8_t devfn, uint16_t vendor,
                     uint16_t id, uint32_t class_code, uint8_t revision, uint8_t pin)
{
    assert(!bus->devices[devfn] && pin <= 4);
    device->bus = bus;
    device->devfn = devfn;
    device->pin = pin;
    bus->devices[devfn] = device;

    uint8_t *config = device->config;
    store_le16(config + PCI_VENDOR_ID, vendor);
    store_le16(config + PCI_DEVICE_ID, id);
    config[PCI_REVISION] = revision;
    config[PCI_CLASS_PROG] = (uint8_t)class_code;
    store_le16(config + PCI_CLASS_DEVICE, (uint16_t)(class_code >> 8));
    config[PCI_INTERRUPT_PIN] = pin;

    store_le16(device->writable + PCI_COMMAND, COMMAND_WRITABLE);
    store_le16(device->clear_on_one + PCI_STATUS, STATUS_CLEARABLE);
    device->writable[PCI_CACHE_LINE] = 0xff;
    device->writable[PCI_LATENCY] = 0xff;
    device->writable[PCI_INTERRUPT_LINE] = 0xff;
}

static unsigned bar_offset(unsigned index)
{
    return index == ROM_INDEX ? PCI_ROM : PCI_BAR0 + 4 * index;
}

/* The bits of the register that say what it is and cannot be written. */
static uint32_t bar_type(const struct pci_device *device, unsigned index)
{
    const struct pci_bar *bar = &device->bars[index];
    if (index == ROM_INDEX)
        return 0;
    return bar->io ? 1 : (uint32_t)bar->wide << 2 | (uint32_t)bar->prefetch << 3;
}

void pci_add_bar(struct pci_device *device, unsigned index, uint64_t size, bool io)
{
    struct pci_bar *bar = &device->bars[index];
    unsigned offset = bar_offset(index);
    assert(index <= ROM_INDEX && size && !(size & (size - 1)) && !bar->size);
    assert(!bar->wide || (!io && index < BAR_COUNT - 1 && !device->bars[index + 1].size));
    assert(io ? size >= 4 && size <= 0x8000 && index < BAR_COUNT : size >= 16);
    assert(io || bar->wide || size <= GIB(2));
    assert(index != ROM_INDEX || size >= KIB(2));
    bar->size = size;
    bar->io = io;

    uint64_t writable = ~(size - 1);
    if (index == ROM_INDEX)
        writable |= 1; /* 6.2.5.2: the enable bit */
    store_le32(device->writable + offset, (uint32_t)writable);
    store_le32(device->config + offset, bar_type(device, index));
    if (bar->wide)
        store_le32(device->writable + offset + 4, (uint32_t)(writable >> 32));
    if (io)
        return;
    bar->region.size = size;
    bar->region.enabled = false;
    if (!bar->region.priority)
        bar->region.priority = PCI_BAR_PRIORITY;
    mem_add(device->bus->mem, &bar->region);
}

/* Where the guest wants the BAR. False when it is to be unmapped: decoding is off, the register was
 * never programmed, or it holds the all-ones of sizing (the end lies beyond what the BAR can
 * address). */
static bool bar_wanted(const struct pci_device *device, unsigned index, uint64_t *base)
{
    const struct pci_bar *bar = &device->bars[index];
    uint16_t command = load_le16(device->config + PCI_COMMAND);
    if (!bar->size || !(command & (bar->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
        return false;
    const uint8_t *reg = device->config + bar_offset(index);
    if (index == ROM_INDEX && !(*reg & 1))
        return false;
    *base = (bar->wide ? load_le64(reg) : load_le32(reg)) & ~(bar->size - 1);
    uint64_t end = bar->io ? 0x10000 : bar->wide ? UINT64_MAX : UINT32_MAX;
    return *base && *base < end && bar->size - 1 < end - *base;
}

static void map_io(struct pci_device *device, struct pci_bar *bar, bool wanted, uint64_t base)
{
    if (bar->mapped && wanted && bar->ports.first == base)
        return;
    if (bar->mapped)
        pio_remove(device->bus->pio, &bar->ports);
    bar->mapped = false;
    if (!wanted)
        return;
    bar->ports.first = (uint16_t)base;
    bar->ports.count = (uint16_t)bar->size;
    int rc = pio_add(device->bus->pio, &bar->ports);
    bar->mapped = rc == 0;
    if (rc)
        log_warn("pci: cannot map ports 0x%llx of device %02x: error %d", (unsigned long long)base,
                 device->devfn, -rc);
}

static void map_bar(struct pci_device *device, unsigned index)
{
    struct pci_bar *bar = &device->bars[index];
    uint64_t base = 0;
    bool wanted = bar_wanted(device, index, &base);
    if (bar->io) {
        map_io(device, bar, wanted, base);
    } else if (bar->size) {
        if (wanted)
            mem_move(device->bus->mem, &bar->region, base);
        mem_set_enabled(device->bus->mem, &bar->region, wanted);
        bar->mapped = wanted;
    }
}

static void map_bars(struct pci_device *device)
{
    mem_begin(device->bus->mem);
    for (unsigned i = 0; i <= ROM_INDEX; i++)
        map_bar(device, i);
    mem_commit(device->bus->mem);
}

unsigned pci_pirq(uint8_t devfn, uint8_t pin)
{
    return (unsigned)(pin - 1 + (devfn >> 3) - 1) & 3;
}

/* Brings the wire in line with the pin's level and the command register. */
static void drive_intx(struct pci_device *device)
{
    uint16_t command = load_le16(device->config + PCI_COMMAND);
    bool level = device->intx_level && !(command & PCI_COMMAND_INTX_OFF);
    if (level == device->intx_driven)
        return;
    device->intx_driven = level;
    unsigned pirq = pci_pirq(device->devfn, device->pin);
    int *count = &device->bus->pirq_count[pirq];
    *count += level ? 1 : -1;
    if (*count == (level ? 1 : 0))
        irq_set(&device->bus->pirq[pirq], level);
}

void pci_set_intx(struct pci_device *device, bool level)
{
    if (!device->pin)
        return;
    device->intx_level = level;
    if (level)
        device->config[PCI_STATUS] |= STATUS_INTX;
    else
        device->config[PCI_STATUS] &= (uint8_t)~STATUS_INTX;
    drive_intx(device);
}

void pci_device_reset(struct pci_device *device)
{
    pci_set_intx(device, false);
    for (unsigned i = 0; i < HEADER_SIZE; i++)
        device->config[i] &= (uint8_t) ~(device->writable[i] | device->clear_on_one[i]);
    map_bars(device);
}

static bool inside_dword(unsigned offset, unsigned size)
{
    return offset < 256 && (size == 1 || size == 2 || size == 4) && (offset & 3) + size <= 4;
}

uint32_t pci_config_read(struct pci_bus *bus, uint8_t devfn, unsigned offset, unsigned size)
{
    const struct pci_device *device = bus->devices[devfn];
    if (!device || !inside_dword(offset, size))
        return size >= 4 ? UINT32_MAX : (UINT32_C(1) << (size * 8)) - 1;
    return (uint32_t)load_le(device->config + offset, size);
}

static bool overlaps(unsigned offset, unsigned size, unsigned first, unsigned end)
{
    return offset < end && offset + size > first;
}

void pci_config_write(struct pci_bus *bus, uint8_t devfn, unsigned offset, uint32_t value,
                      unsigned size)
{
    struct pci_device *device = bus->devices[devfn];
    if (!device || !inside_dword(offset, size))
        return;
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(value >> (i * 8));
        uint8_t writable = device->writable[offset + i];
        uint8_t *at = &device->config[offset + i];
        *at &= (uint8_t) ~(byte & device->clear_on_one[offset + i]);
        *at = (uint8_t)((*at & ~writable) | (byte & writable));
    }
    bool command = overlaps(offset, size, PCI_COMMAND, PCI_COMMAND + 2);
    if (command)
        drive_intx(device);
    if (command || overlaps(offset, size, PCI_BAR0, PCI_BAR0 + 4 * BAR_COUNT) ||
        overlaps(offset, size, PCI_ROM, PCI_ROM + 4))
        map_bars(device);
    if (device->config_written)
        device->config_written(device, offset, size);
}

static bool is_master(const struct pci_device *device)
{
    return device->config[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

bool pci_dma_read(struct pci_device *device, gpa_t gpa, void *to, uint64_t length)
{
    return is_master(device) && mem_read(device->bus->mem, gpa, to, length);
}

bool pci_dma_write(struct pci_device *device, gpa_t gpa, const void *from, uint64_t length)
{
    return is_master(device) && mem_write(device->bus->mem, gpa, from, length);
}

/* What kind of registers a device has is how it is built, whatever the stream says. */
static int pci_loaded(void *object, struct error *err)
{
    (void)err;
    struct pci_device *device = object;
    device->config[PCI_INTERRUPT_PIN] = device->pin;
    for (unsigned i = 0; i <= ROM_INDEX; i++) {
        if (!device->bars[i].size)
            continue;
        uint8_t *reg = device->config + bar_offset(i);
        uint32_t writable = load_le32(device->writable + bar_offset(i));
        store_le32(reg, (load_le32(reg) & writable) | bar_type(device, i));
    }
    pci_set_intx(device, device->intx_level && device->pin);
    map_bars(device);
    return 0;
}

static const struct state_field pci_fields[] = {
    STATE_BLOB(struct pci_device, config),
    STATE_FIELD(struct pci_device, intx_level),
};

const struct state_table pci_device_state = STATE_TABLE("pci-device", 1, pci_fields, pci_loaded);
