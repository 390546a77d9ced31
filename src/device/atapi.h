/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside a CD drive: what moves packets and data (atapi.c) and what answers questions about drive
 * and disc (atapi_reply.c). Private to them. Under the VM lock.
 */
#ifndef DEVICE_ATAPI_H
#define DEVICE_ATAPI_H

#include "device/ide_drive.h"

enum { CD_SECTOR_BYTES = 2048 };

/* Sense: key << 16 | additional code << 8 | its qualifier (MMC-3, annex E). */
enum atapi_sense {
    SENSE_NONE = 0,
    SENSE_NO_DISC = 0x023a01,
    SENSE_TRAY_OPEN = 0x023a02,
    SENSE_READ_ERROR = 0x031100,
    SENSE_BAD_OPCODE = 0x052000,
    SENSE_BAD_ADDRESS = 0x052100,
    SENSE_BAD_FIELD = 0x052400,
    SENSE_NOT_SAVED = 0x053900,
    SENSE_LOCKED = 0x055302,
    SENSE_ATTENTION = 0x060000, /* with the code of what happened */
};

enum atapi_media_event { MEDIA_EVENT_NONE = 0, MEDIA_EVENT_NEW = 2, MEDIA_EVENT_REMOVED = 3 };

static inline bool atapi_has_disc(const struct ide_drive *drive)
{
    return drive->block && !drive->tray_open;
}

/* Ends the command well, with the data in buffer[0..length) cut to what the packet allows, or with
 * CHECK CONDITION. */
void atapi_reply(struct ide_drive *drive, uint32_t length, uint32_t allowed);
void atapi_fail(struct ide_drive *drive, enum atapi_sense sense);

/* Commands that only describe: false if drive->packet holds none of them. They end by atapi_reply
 * or atapi_fail. */
bool atapi_describe(struct ide_drive *drive);

/* IDENTIFY PACKET DEVICE: 512 bytes into the buffer. */
void atapi_identify(struct ide_drive *drive);

/* Big-endian, as packets have it. */
static inline uint32_t atapi_load16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t atapi_load32(const uint8_t *p)
{
    return atapi_load16(p) << 16 | atapi_load16(p + 2);
}

static inline void atapi_store16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static inline void atapi_store32(uint8_t *p, uint32_t value)
{
    atapi_store16(p, value >> 16);
    atapi_store16(p + 2, value);
}

#endif
