/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel 82371SB (PIIX3) ISA bridge, datasheet 290550-002, section 2.2: PIRQRC[A:D] and the reset
 * control register. Timings, X-bus chip selects and DMA distribution are plain storage.
 */
#include "device/piix3.h"

#include "device/i440fx.h"

enum {
    REG_PIRQ = 0x60, /* four of them: bit 7 off, bits 0-3 the ISA interrupt */
    PIRQ_OFF = 0x80,

    RESET_HARD = 1 << 1,
    RESET_CPU = 1 << 2,

    ROUTABLE = 0xdef8, /* ISA interrupts 3-7, 9-12, 14, 15 */
};

static void update_irqs(struct piix3 *bridge)
{
    uint16_t levels = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t route = bridge->pci.config[REG_PIRQ + i];
        if (bridge->pirq_level[i] && !(route & PIRQ_OFF))
            levels |= (uint16_t)(1u << (route & 15));
    }
    levels &= ROUTABLE;
    uint16_t changed = levels ^ bridge->irq_level;
    bridge->irq_level = levels;
    for (unsigned irq = 0; irq < 16; irq++)
        if (changed >> irq & 1)
            irq_set(&bridge->isa_irq[irq], levels >> irq & 1);
}

static void pirq_changed(void *opaque, int n, bool level)
{
    struct piix3 *bridge = opaque;
    bridge->pirq_level[n & 3] = level;
    update_irqs(bridge);
}

static void config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
    if (offset < REG_PIRQ + 4 && REG_PIRQ < offset + size)
        update_irqs((struct piix3 *)pci);
}

static uint64_t reset_control_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix3 *bridge = opaque;
    (void)offset;
    (void)size;
    return bridge->reset_control;
}

/* Hard and soft reset are the same here: the whole machine. */
static void reset_control_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct piix3 *bridge = opaque;
    (void)offset;
    (void)size;
    bridge->reset_control = value & RESET_HARD;
    if ((value & RESET_CPU) && bridge->reset_machine)
        bridge->reset_machine(bridge->reset_opaque);
}

static const struct io_ops reset_control_ops = {reset_control_read, reset_control_write, 1, 1};

static void reset(struct device *device)
{
    struct piix3 *bridge = (struct piix3 *)device;
    struct pci_device *pci = &bridge->pci;
    pci_device_reset(pci);
    store_le16(&pci->config[PCI_COMMAND], PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    store_le16(&pci->config[PCI_STATUS], 0x0200); /* medium DEVSEL */
    pci->config[0x4c] = 0x4d;                     /* ISA I/O recovery */
    store_le16(&pci->config[0x4e], 0x0003);       /* X-bus chip selects */
    memset(&pci->config[REG_PIRQ], PIRQ_OFF, 4);
    pci->config[0x69] = 0x02; /* top of memory: 1 MiB */
    pci->config[0x70] = 0x80; /* motherboard IRQ off */
    pci->config[0x76] = 0x0c;
    pci->config[0x77] = 0x0c; /* motherboard DMA off */
    pci->config[0xa0] = 0x08; /* SMI control */
    bridge->reset_control = 0;
    update_irqs(bridge);
}

static void fini(struct device *device)
{
    struct piix3 *bridge = (struct piix3 *)device;
    i440fx_set_reset_control(bridge->host, NULL, NULL);
}

static int loaded(void *object, struct error *err)
{
    (void)err;
    update_irqs(object);
    return 0;
}

static const struct state_field fields[] = {
    STATE_SUB(struct piix3, pci, &pci_device_state),
    STATE_FIELD(struct piix3, reset_control),
    STATE_ARRAY(struct piix3, pirq_level),
};
static const struct state_table table = STATE_TABLE("piix3", 1, fields, loaded);

static const struct device_type type = {
    .name = "PIIX3", .state = &table, .reset = reset, .fini = fini};

void piix3_init(struct piix3 *bridge, struct pci_bus *bus, uint8_t devfn, struct i440fx *host,
                const struct irq isa_irq[16], piix3_reset_fn reset_machine, void *opaque)
{
    memset(bridge, 0, sizeof(*bridge));
    memcpy(bridge->isa_irq, isa_irq, sizeof(bridge->isa_irq));
    bridge->host = host;
    bridge->reset_machine = reset_machine;
    bridge->reset_opaque = opaque;
    struct pci_device *pci = &bridge->pci;
    pci->device.type = &type;
    pci_device_init(pci, bus, devfn, 0x8086, 0x7000, 0x060100, 0, 0);
    pci->config[PCI_HEADER_TYPE] |= 0x80; /* multifunction */
    pci->config_written = config_written;
    pci->writable[0x4c] = 0xff;
    pci->writable[0x4e] = 0xff;
    pci->writable[0x4f] = 0xff;
    memset(&pci->writable[REG_PIRQ], 0x8f, 4);
    static const uint8_t storage[] = {0x69, 0x6a, 0x70, 0x76, 0x77, 0x78, 0x79,
                                      0x82, 0xa0, 0xa2, 0xa3, 0xa4, 0xa8};
    for (size_t i = 0; i < ARRAY_LEN(storage); i++)
        pci->writable[storage[i]] = 0xff;
    for (int i = 0; i < 4; i++)
        bus->pirq[i] = (struct irq){pirq_changed, bridge, i};
    i440fx_set_reset_control(host, &reset_control_ops, bridge);
    reset(&pci->device);
}
