/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Between a channel (ide_channel.c) and the two kinds of drives on it (ata.c, atapi.c). Private to
 * them. Under the VM lock.
 */
#ifndef DEVICE_IDE_DRIVE_H
#define DEVICE_IDE_DRIVE_H

#include "device/ide.h"

enum ide_status {
    STATUS_ERR = 0x01,
    STATUS_DRQ = 0x08,
    STATUS_DSC = 0x10,
    STATUS_DRDY = 0x40,
    STATUS_BSY = 0x80,
};

enum ide_error { ERROR_ABRT = 0x04, ERROR_IDNF = 0x10, ERROR_UNC = 0x40 };

enum ide_control { CONTROL_NIEN = 0x02, CONTROL_SRST = 0x04, CONTROL_HOB = 0x80 };

enum { DEVICE_DEV = 0x10, DEVICE_LBA = 0x40, DEVICE_ONES = 0xa0 };

/* What both kinds of drive answer alike. */
enum {
    COMMAND_DEVICE_RESET = 0x08,
    COMMAND_DIAGNOSTIC = 0x90,
};

/* What tells a disk from a CD drive. */
struct ide_protocol {
    /* A command was written (not EXECUTE DEVICE DIAGNOSTIC). */
    void (*command)(struct ide_drive *drive, uint8_t opcode);
    /* position has reached limit; the phase is IDE_IDLE. */
    void (*data_done)(struct ide_drive *drive);
    /* What ide_io began has ended: 0 or a negative errno. */
    void (*io_done)(struct ide_drive *drive, int result);
    /* The registers as any reset leaves them: signature and status. */
    void (*signature)(struct ide_drive *drive);
    /* Settings as power-on leaves them. */
    void (*power_on)(struct ide_drive *drive);
};

extern const struct ide_protocol ata_protocol;
extern const struct ide_protocol atapi_protocol;

/* Raises INTRQ. */
void ide_interrupt(struct ide_drive *drive);

/* Ends the command: status, no phase, and INTRQ. */
void ide_complete(struct ide_drive *drive, uint8_t status, uint8_t error);

/* Moves buffer[position..limit) in the given phase: sets DRQ; data_done follows. By DMA it may
 * follow at once, so this is the last thing a caller does. */
void ide_transfer(struct ide_drive *drive, enum ide_phase phase, uint32_t limit);

/* Works on the image: BSY until io_done. Sector and count in units of 512 bytes. */
void ide_io(struct ide_drive *drive, enum block_op op, uint64_t sector, uint32_t count,
            uint32_t offset);

/* Drops what is in progress: after it nothing of the drive is in flight. */
void ide_drive_stop(struct ide_drive *drive);

/* SRST, DEVICE RESET and the second half of power-on. */
void ide_drive_reset(struct ide_drive *drive);

/* Text into IDENTIFY words: two characters a word, the first in the high byte, padded by blanks. */
void ide_identify_string(uint8_t *words, const char *text, unsigned bytes);

/* Serial number into words 10..19, firmware into 23..26, model into 27..46. */
void ide_identify_names(const struct ide_drive *drive, uint8_t *words, const char *model);

/* Transfer modes into words 53, 62..68 and 88. */
void ide_identify_modes(const struct ide_drive *drive, uint8_t *words);

/* SET FEATURES 03h. False if there is no such mode. */
bool ide_set_transfer_mode(struct ide_drive *drive, uint8_t mode);

/* Channels: for ide.c. */
void ide_channel_init(struct ide_channel *channel, struct ide *ide, unsigned index, struct irq irq);
int ide_channel_add_ports(struct ide_channel *channel);
void ide_channel_reset(struct ide_channel *channel);
void ide_channel_stop(struct ide_channel *channel);
/* The bus master was started: a drive may have waited for it. */
void ide_channel_run_dma(struct ide_channel *channel);
bool ide_channel_decoded(const struct ide_channel *channel);

extern const struct state_table ide_channel_state;

#endif
