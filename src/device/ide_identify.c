/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What disks and CD drives have in common in their identification and their transfer modes
 * (ATA/ATAPI-6, 8.15, 8.16, 8.46.7). The host must never be given a mode the drive does not list.
 */
#include "device/ide_drive.h"

#include <stdio.h>

#include "base/bytes.h"

enum { MWDMA_MODES = 0x07, UDMA_MODES = 0x3f, PIO_MODE_MAX = 4 };

void ide_identify_string(uint8_t *words, const char *text, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        words[i ^ 1] = (uint8_t)(*text ? *text++ : ' ');
}

void ide_identify_names(const struct ide_drive *drive, uint8_t *words, const char *model)
{
    char serial[21];
    snprintf(serial, sizeof(serial), "TZ%05u", drive->index + 1);
    ide_identify_string(words + 2 * 10, serial, 20);
    ide_identify_string(words + 2 * 23, TRAPEZE_VERSION, 8);
    ide_identify_string(words + 2 * 27, model, 40);
}

void ide_identify_modes(const struct ide_drive *drive, uint8_t *words)
{
    store_le16(words + 2 * 53, 7); /* words 54-58, 64-70 and 88 mean something */
    store_le16(words + 2 * 63, (uint16_t)(MWDMA_MODES | drive->mwdma_mode << 8));
    store_le16(words + 2 * 64, 0x0003); /* PIO modes 3 and 4 */
    for (unsigned word = 65; word <= 68; word++)
        store_le16(words + 2 * word, 120); /* ns a cycle */
    store_le16(words + 2 * 88, (uint16_t)(UDMA_MODES | drive->udma_mode << 8));
}

bool ide_set_transfer_mode(struct ide_drive *drive, uint8_t mode)
{
    unsigned number = mode & 7;
    switch (mode >> 3) {
    case 0: /* PIO default */
        return number <= 1;
    case 1: /* PIO by flow control */
        return number <= PIO_MODE_MAX;
    case 4:
        if (!(MWDMA_MODES >> number & 1))
            return false;
        drive->mwdma_mode = (uint8_t)(1 << number);
        drive->udma_mode = 0;
        return true;
    case 8:
        if (!(UDMA_MODES >> number & 1))
            return false;
        drive->udma_mode = (uint8_t)(1 << number);
        drive->mwdma_mode = 0;
        return true;
    default:
        return false;
    }
}
