/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The IDE controller of the PIIX3 (82371SB datasheet, function 1): two channels at the legacy ports
 * with up to two drives each, and bus-master DMA. Drives follow ATA/ATAPI-6 (T13/1410D), CD drives
 * MMC-3 inside it.
 *
 * As the chip comes out of reset it decodes nothing: firmware (or a board that boots without any)
 * sets PCI_COMMAND_IO and the decode-enable bits, 0x8000 in the words at 0x40 and 0x42 of
 * configuration space.
 *
 * All under the VM lock. Disk I/O runs elsewhere (block/block.h) and ends on the loop.
 */
#ifndef DEVICE_IDE_H
#define DEVICE_IDE_H

#include <stdbool.h>
#include <stdint.h>

#include "block/block.h"
#include "bus/irq.h"
#include "bus/pci.h"
#include "device/bmdma.h"
#include "mem/io.h"

enum {
    IDE_BUFFER_SECTORS = 256,
    IDE_BUFFER_BYTES = IDE_BUFFER_SECTORS * 512,
    IDE_PACKET_BYTES = 12,
};

enum ide_kind { IDE_NONE, IDE_DISK, IDE_CD };

/* What a drive waits for. */
enum ide_phase {
    IDE_IDLE,    /* a command */
    IDE_BUSY,    /* the image */
    IDE_PIO_IN,  /* the guest to read the data port */
    IDE_PIO_OUT, /* the guest to write the data port */
    IDE_DMA_IN,  /* the bus master to take data to memory */
    IDE_DMA_OUT, /* the bus master to bring data */
};

/* Command block registers by port offset - 1. */
enum ide_task { TASK_FEATURES, TASK_COUNT, TASK_LOW, TASK_MID, TASK_HIGH, TASK_REGISTERS };

struct ide_channel;
struct ide_protocol;

struct ide_drive {
    /* What it is made of. */
    struct ide_channel *channel;
    const struct ide_protocol *protocol;
    enum ide_kind kind;
    struct block *block; /* NULL: no drive, or a CD drive without a disc */
    unsigned index;      /* 0..3 on the controller */
    uint64_t sectors;    /* of 512 bytes (disk), of 2048 (CD) */
    uint16_t cylinders;  /* the geometry it has from power-on */
    uint8_t heads, track_sectors;
    struct block_request request;

    /* The task file. */
    uint8_t task[TASK_REGISTERS];
    uint8_t previous[TASK_REGISTERS]; /* what was in it before: the high-order bytes of LBA48 */
    uint8_t device, error, status;
    bool intrq;

    /* The command in progress. */
    uint8_t command;
    uint8_t phase;        /* enum ide_phase */
    uint64_t lba;         /* of the first sector not done */
    uint32_t remaining;   /* sectors from there on */
    uint32_t filled;      /* bytes of data in the buffer, or wanted there */
    uint32_t position;    /* next byte the guest or the bus master moves */
    uint32_t limit;       /* where this DRQ block ends */
    bool careful;         /* the image gave an error: go on in small steps to find where */
    bool io_active;       /* the image works on the following */
    uint8_t io_op;        /* enum block_op */
    uint64_t io_sector;   /* of 512 bytes */
    uint32_t io_count;    /* likewise */
    uint32_t io_offset;   /* in the buffer, bytes */
    uint16_t byte_limit;  /* ATAPI: largest DRQ block */
    bool packet_dma;      /* ATAPI: data goes by DMA */
    bool packet_expected; /* ATAPI: the data going out is the command packet */
    uint8_t packet[IDE_PACKET_BYTES];

    /* Settings. */
    uint8_t multiple; /* sectors a block of READ/WRITE MULTIPLE; 0: off */
    uint16_t current_cylinders;
    uint8_t current_heads, current_track_sectors;
    uint8_t mwdma_mode, udma_mode; /* bit of the mode set by SET FEATURES; 0: none */
    bool write_cache, look_ahead;

    /* CD drive. */
    uint8_t sense_key, sense_asc, sense_ascq;
    uint8_t attention_asc, attention_ascq; /* a unit attention to be told; asc 0: none */
    uint8_t media_event;
    bool tray_open, tray_locked;

    uint8_t buffer[IDE_BUFFER_BYTES];
};

struct ide_channel {
    struct ide *ide;
    unsigned index;
    struct ide_drive drives[2];
    struct bmdma bmdma;
    uint8_t selected; /* 0 or 1 */
    uint8_t control;  /* the device control register */
    bool line;        /* what irq was last set to */
    struct irq irq;
    struct pio_range command_ports, control_ports;
};

struct ide {
    struct pci_device pci; /* first */
    struct pio *pio;
    struct ide_channel channels[2];
};

/* Puts the controller on the bus and its legacy ports into the port space. */
int ide_init(struct ide *ide, struct pci_bus *bus, uint8_t devfn, struct pio *pio, struct irq irq14,
             struct irq irq15);

/* index: 0..3 (primary master, primary slave, ...). The block stays the caller's and must outlive
 * the controller. Before the first reset. */
void ide_attach_disk(struct ide *ide, unsigned index, struct block *block);
/* block NULL: no disc in the drive. */
void ide_attach_cd(struct ide *ide, unsigned index, struct block *block);

/* How a BIOS is to see a disk by cylinders, heads and sectors. */
struct ide_geometry {
    uint16_t cylinders;
    uint8_t heads, sectors;
    uint8_t translation; /* as in CMOS byte 0x39: 0 none, 1 LBA, 2 large */
};

/* False if there is no disk at that index. */
bool ide_get_geometry(const struct ide *ide, unsigned index, struct ide_geometry *geometry);

#endif
