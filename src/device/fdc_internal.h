/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Between fdc.c, the registers and simple commands, and fdc_transfer.c, those that move data.
 */
#ifndef DEVICE_FDC_INTERNAL_H
#define DEVICE_FDC_INTERNAL_H

#include "device/fdc.h"

/* Status registers 0 to 2, section 5.2.1 of the datasheet: what is not normal. */
enum {
    ST0_SEEK_END = 0x20,
    ST0_EQUIPMENT = 0x10,
    ST0_HEAD = 0x04,
    ST0_ABNORMAL = 0x40,
    ST0_INVALID = 0x80,
    ST0_POLLING = 0xc0,
    ST1_END_OF_CYLINDER = 0x80,
    ST1_DATA = 0x20,
    ST1_OVERRUN = 0x10,
    ST1_NO_DATA = 0x04,
    ST1_WRITE_PROTECTED = 0x02,
    ST1_NO_MARK = 0x01,
    ST2_DATA = 0x20,
    ST2_WRONG_CYLINDER = 0x10,
};

/* Command codes without their modifier bits. */
enum {
    CMD_SPECIFY = 0x03,
    CMD_SENSE_DRIVE = 0x04,
    CMD_WRITE = 0x05,
    CMD_READ = 0x06,
    CMD_RECALIBRATE = 0x07,
    CMD_SENSE_INTERRUPT = 0x08,
    CMD_READ_ID = 0x0a,
    CMD_FORMAT = 0x0d,
    CMD_DUMPREG = 0x0e,
    CMD_SEEK = 0x0f,
    CMD_VERSION = 0x10,
    CMD_PERPENDICULAR = 0x12,
    CMD_CONFIGURE = 0x13,
    CMD_LOCK = 0x14,
    CMD_VERIFY = 0x16,
    CMD_CODE = 0x1f,
    MULTI_TRACK = 0x80,
};

/* READ, WRITE, VERIFY, FORMAT with all their bytes in the fifo. */
void fdc_transfer_start(struct fdc *fdc);
/* READ ID, when its time has come. */
void fdc_read_id(struct fdc *fdc);
/* The data port without DMA. */
uint8_t fdc_pio_read(struct fdc *fdc);
void fdc_pio_write(struct fdc *fdc, uint8_t value);
/* To the image: the chunk that the fields describe. */
void fdc_submit(struct fdc *fdc);

/* The drive that the command in the fifo is for, or NULL. */
struct fdc_drive *fdc_drive(struct fdc *fdc);
/* What every command for a drive has in ST0: its number and the head. */
uint8_t fdc_status0(const struct fdc *fdc);
/* To the result phase with `length` bytes in the fifo; the interrupt of an execution phase. */
void fdc_result(struct fdc *fdc, uint8_t length, bool interrupt);
void fdc_set_interrupt(struct fdc *fdc, bool level);
bool fdc_uses_dma(const struct fdc *fdc);

#endif
