/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PIIX3 IDE controller: the PCI function (82371SB datasheet, section 2.3) around two channels
 * (ide_channel.c). BAR 4 holds the bus-master registers of both, 8 bytes each. The chip works in
 * legacy mode only: interrupts are wires to IRQ 14 and 15, not INTx.
 */
#include "device/ide.h"

#include "base/bytes.h"
#include "device/ide_drive.h"

enum {
    VENDOR_INTEL = 0x8086,
    DEVICE_PIIX3_IDE = 0x7010,
    CLASS_IDE_BUS_MASTER = 0x010180,
    CONFIG_IDETIM = 0x40, /* a word a channel; bit 15: decode enable */
    CONFIG_SIDETIM = 0x44,
    BUS_MASTER_BAR = 4,
    BUS_MASTER_BYTES = 16,
};

bool ide_channel_decoded(const struct ide_channel *channel)
{
    const uint8_t *config = channel->ide->pci.config;
    return (config[PCI_COMMAND] & PCI_COMMAND_IO) &&
           (config[CONFIG_IDETIM + 2 * channel->index + 1] & 0x80);
}

static uint64_t bus_master_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ide *ide = opaque;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        unsigned at = (unsigned)(offset + i) % BUS_MASTER_BYTES;
        value |= (uint64_t)bmdma_read(&ide->channels[at / 8].bmdma, at % 8) << (8 * i);
    }
    return value;
}

static void bus_master_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct ide *ide = opaque;
    for (unsigned i = 0; i < size; i++) {
        unsigned at = (unsigned)(offset + i) % BUS_MASTER_BYTES;
        struct ide_channel *channel = &ide->channels[at / 8];
        if (bmdma_write(&channel->bmdma, at % 8, (uint8_t)(value >> (8 * i))))
            ide_channel_run_dma(channel);
    }
}

static const struct io_ops bus_master_ops = {
    .read = bus_master_read, .write = bus_master_write, .min_size = 1, .max_size = 4};

static void ide_reset(struct device *device)
{
    struct ide *ide = (struct ide *)device;
    pci_device_reset(&ide->pci);
    /* Fast back-to-back capable, medium DEVSEL timing. */
    store_le16(ide->pci.config + PCI_STATUS, 0x0280);
    memset(ide->pci.config + CONFIG_IDETIM, 0, CONFIG_SIDETIM + 1 - CONFIG_IDETIM);
    for (unsigned i = 0; i < 2; i++)
        ide_channel_reset(&ide->channels[i]);
}

static void ide_fini(struct device *device)
{
    struct ide *ide = (struct ide *)device;
    for (unsigned i = 0; i < 2; i++) {
        ide_channel_stop(&ide->channels[i]);
        pio_remove(ide->pio, &ide->channels[i].command_ports);
        pio_remove(ide->pio, &ide->channels[i].control_ports);
    }
}

static const struct state_field fields[] = {
    STATE_SUB(struct ide, pci, &pci_device_state),
    STATE_SUB_ARRAY(struct ide, channels, &ide_channel_state),
};

static const struct state_table state = STATE_TABLE("piix3-ide", 1, fields, NULL);

static const struct device_type type = {
    .name = "piix3-ide", .state = &state, .reset = ide_reset, .fini = ide_fini};

int ide_init(struct ide *ide, struct pci_bus *bus, uint8_t devfn, struct pio *pio, struct irq irq14,
             struct irq irq15)
{
    memset(ide, 0, sizeof(*ide));
    ide->pci.device.type = &type;
    ide->pio = pio;
    pci_device_init(&ide->pci, bus, devfn, VENDOR_INTEL, DEVICE_PIIX3_IDE, CLASS_IDE_BUS_MASTER, 0,
                    0);
    memset(ide->pci.writable + CONFIG_IDETIM, 0xff, CONFIG_SIDETIM + 1 - CONFIG_IDETIM);
    ide->pci.bars[BUS_MASTER_BAR].ports.name = "piix3-ide-bus-master";
    ide->pci.bars[BUS_MASTER_BAR].ports.ops = &bus_master_ops;
    ide->pci.bars[BUS_MASTER_BAR].ports.opaque = ide;
    pci_add_bar(&ide->pci, BUS_MASTER_BAR, BUS_MASTER_BYTES, true);
    ide_channel_init(&ide->channels[0], ide, 0, irq14);
    ide_channel_init(&ide->channels[1], ide, 1, irq15);
    for (unsigned i = 0; i < 2; i++) {
        int ret = ide_channel_add_ports(&ide->channels[i]);
        if (ret < 0)
            return ret;
    }
    ide_reset(&ide->pci.device);
    return 0;
}

static struct ide_drive *drive_at(struct ide *ide, unsigned index)
{
    return &ide->channels[index / 2 % 2].drives[index % 2];
}

/* The geometry a partition table was made for, from where its first used entry ends; a table made
 * elsewhere would be misread under another one. False if it tells nothing. */
static bool partition_geometry(struct block *block, uint64_t sectors, struct ide_geometry *geometry)
{
    uint8_t sector[SECTOR_SIZE];
    if (sectors == 0 || block_read_now(block, 0, sector, 1) < 0 || sector[510] != 0x55 ||
        sector[511] != 0xaa)
        return false;
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *entry = sector + 0x1be + 16 * i;
        unsigned heads = entry[5] + 1u, track_sectors = entry[6] & 63;
        if (load_le32(entry + 12) == 0 || entry[5] == 0 || track_sectors == 0)
            continue;
        uint64_t cylinders = sectors / (heads * track_sectors);
        if (cylinders < 1 || cylinders > 16383)
            continue;
        *geometry = (struct ide_geometry){
            .cylinders = (uint16_t)cylinders,
            /* 256 heads do not fit; nothing but "more than 16" is made of them. */
            .heads = (uint8_t)min_u64(heads, 255),
            .sectors = (uint8_t)track_sectors,
        };
        return true;
    }
    return false;
}

/* How SeaBIOS is told to translate, by the rules its users know from QEMU. */
static uint8_t translation(const struct ide_drive *drive)
{
    if (drive->cylinders <= 1024 && drive->heads <= 16)
        return 0;
    return drive->cylinders * drive->heads <= 131072 ? 2 : 1;
}

void ide_attach_disk(struct ide *ide, unsigned index, struct block *block)
{
    struct ide_drive *drive = drive_at(ide, index);
    struct ide_geometry table;
    uint64_t sectors = block_sectors(block);
    drive->protocol = &ata_protocol;
    drive->kind = IDE_DISK;
    drive->block = block;
    drive->sectors = sectors;
    drive->heads = 16;
    drive->track_sectors = 63;
    drive->cylinders = (uint16_t)max_u64(2, min_u64(16383, sectors / (16 * 63)));
    if (partition_geometry(block, sectors, &table) && table.heads <= 16) {
        drive->cylinders = table.cylinders;
        drive->heads = table.heads;
        drive->track_sectors = table.sectors;
    }
    drive->protocol->power_on(drive);
    ide_drive_reset(drive);
}

void ide_attach_cd(struct ide *ide, unsigned index, struct block *block)
{
    struct ide_drive *drive = drive_at(ide, index);
    drive->protocol = &atapi_protocol;
    drive->kind = IDE_CD;
    drive->block = block;
    drive->sectors = block ? block_sectors(block) / 4 : 0;
    drive->protocol->power_on(drive);
    ide_drive_reset(drive);
}

bool ide_get_geometry(const struct ide *ide, unsigned index, struct ide_geometry *geometry)
{
    if (index > 3)
        return false;
    const struct ide_drive *drive = &ide->channels[index / 2].drives[index % 2];
    if (drive->kind != IDE_DISK)
        return false;
    *geometry = (struct ide_geometry){
        .cylinders = drive->cylinders,
        .heads = drive->heads,
        .sectors = drive->track_sectors,
        .translation = translation(drive),
    };
    return true;
}
