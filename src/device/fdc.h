/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The floppy disk controller of a PC: Intel 82077AA (datasheet 290166) in its PC-AT mode, with up
 * to two drives, DMA channel 2. Ports 0x3f2-0x3f5 and 0x3f7.
 *
 * Nothing turns: sectors are found at once, and seeks take a moment, as drivers expect that an
 * interrupt does not come before the instruction that asked for it has ended. Sectors have 512
 * bytes and the numbers 1 to n of the medium's format; others are not found.
 *
 * Left out: READ TRACK, deleted data marks, SCAN and RELATIVE SEEK, which the log says; they are
 * answered as invalid commands.
 *
 * All under the VM lock. Disk I/O runs elsewhere (block/block.h) and ends on the loop.
 */
#ifndef DEVICE_FDC_H
#define DEVICE_FDC_H

#include <stdbool.h>
#include <stdint.h>

#include "block/block.h"
#include "bus/device.h"
#include "bus/irq.h"
#include "device/dma.h"
#include "event/timer.h"
#include "mem/io.h"

enum {
    FDC_DRIVES = 2,
    FDC_SECTORS_MAX = 36, /* on one side of a track */
    FDC_PARAMETERS = 9,   /* with the command byte, at most */
    FDC_RESULTS = 10,
};

/* A kind of medium. */
struct fdc_format {
    uint8_t tracks, heads, sectors;
    uint8_t type; /* of the drive made for it, as in CMOS byte 0x10: 1 360K, 2 1.2M, 3 720K,
                   * 4 1.44M, 5 2.88M */
};

struct fdc_drive {
    struct block *block; /* NULL: no disk in it */
    struct fdc_format format;
    bool present;
    uint8_t track;  /* where the heads are */
    uint8_t target; /* where they will be when the seek ends */
    bool changed;   /* the disk change line */
};

/* What the controller waits for. */
enum fdc_phase {
    FDC_COMMAND, /* bytes of a command */
    FDC_DELAY,   /* the timer: READ ID */
    FDC_BUSY,    /* the image */
    FDC_PIO_IN,  /* the guest to read the data port, without DMA */
    FDC_PIO_OUT, /* the guest to write the data port, without DMA */
    FDC_RESULT,  /* the guest to read the result */
};

struct fdc {
    struct device device;
    struct fdc_drive drives[FDC_DRIVES];

    /* Registers. */
    uint8_t dor;  /* digital output: drive, reset, interrupt gate, motors */
    uint8_t tape; /* drive select for tapes, just memory */
    uint8_t rate; /* 0: 500, 1: 300, 2: 250 Kb/s, 3: 1 Mb/s */
    uint8_t specify[2], configure[2], perpendicular;
    bool lock;

    /* The command in progress. */
    uint8_t phase; /* enum fdc_phase */
    uint8_t fifo[FDC_RESULTS];
    uint8_t length, position; /* of the command's bytes, or the result's */
    uint8_t head, sector;     /* of the next transfer */
    uint8_t chunk;            /* sectors in the buffer */
    uint16_t filled, moved;   /* bytes of data in the buffer, or wanted there; done of them */
    bool terminal;            /* DMA reached its end */
    bool io_write;            /* in FDC_BUSY */

    /* Interrupts. */
    bool interrupt;      /* pending; the line is gated by the DOR */
    uint8_t seeking;     /* bit: drive */
    uint8_t sought;      /* bit: drive whose end of seek was not yet told by SENSE INTERRUPT */
    uint8_t after_reset; /* drives still to be told after a reset, of four */
    bool reset_ended;    /* its interrupt is to come */
    int64_t deadline;    /* of the timer, 0: none */

    uint8_t buffer[FDC_SECTORS_MAX * SECTOR_SIZE];

    /* What it is made of. */
    struct block_request request;
    struct timer timer;
    struct dma *dma;
    struct irq irq;
    struct pio *pio;
    struct pio_range ports, control_port;
};

int fdc_init(struct fdc *fdc, struct pio *pio, struct timers *timers, struct dma *dma,
             struct irq irq);

/* index: 0 (A:) or 1 (B:). block NULL: a drive for 1.44M disks without one. The block stays the
 * caller's and must outlive the controller. Before the first reset. -EINVAL: an image larger than
 * any disk. An image of no disk's size is taken for the start of a 1.44M or a 2.88M disk, the rest
 * of which cannot be read. */
int fdc_attach(struct fdc *fdc, unsigned index, struct block *block);

/* As in CMOS byte 0x10; 0: there is no such drive. */
uint8_t fdc_drive_type(const struct fdc *fdc, unsigned index);

#endif
