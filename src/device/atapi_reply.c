/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a CD drive says of itself and of its disc (MMC-3, chapter 6; SPC-2): IDENTIFY PACKET DEVICE,
 * INQUIRY, capacity, table of contents, mode pages, configuration, events. Every disc is one data
 * track from sector 0 on; up to 80 minutes it calls itself a CD, beyond that a DVD.
 */
#include "device/atapi.h"

#include "base/bytes.h"

enum packet_opcode {
    INQUIRY = 0x12,
    MODE_SENSE_6 = 0x1a,
    READ_CAPACITY = 0x25,
    READ_TOC = 0x43,
    GET_CONFIGURATION = 0x46,
    GET_EVENT_STATUS = 0x4a,
    READ_DISC_INFORMATION = 0x51,
    MODE_SENSE_10 = 0x5a,
    MECHANISM_STATUS = 0xbd,
};

enum { CD_MAX_SECTORS = 80 * 60 * 75, PROFILE_CD_ROM = 0x0008, PROFILE_DVD_ROM = 0x0010 };

enum { LEAD_OUT = 0xaa };

static void fail_without_disc(struct ide_drive *drive)
{
    atapi_fail(drive, drive->tray_open ? SENSE_TRAY_OPEN : SENSE_NO_DISC);
}

void atapi_identify(struct ide_drive *drive)
{
    uint8_t *words = drive->buffer;
    memset(words, 0, SECTOR_SIZE);
    /* Packet device, CD, removable, DRQ 50 us after PACKET, packets of 12 bytes. */
    store_le16(words, 0x85c0);
    ide_identify_names(drive, words, "TRAPEZE DVD-ROM");
    ide_identify_modes(drive, words);
    store_le16(words + 2 * 48, 1);
    store_le16(words + 2 * 49, 0x0f00); /* DMA, LBA, IORDY and that it may be disabled */
    store_le16(words + 2 * 71, 30);     /* us from PACKET to bus release, and of SERVICE */
    store_le16(words + 2 * 72, 30);
    store_le16(words + 2 * 80, 0x0078); /* ATA-3 to ATA/ATAPI-6 */
    /* PACKET, power management, DEVICE RESET: there, and enabled. */
    store_le16(words + 2 * 82, 0x0218);
    store_le16(words + 2 * 83, 0x4000);
    store_le16(words + 2 * 84, 0x4000);
    store_le16(words + 2 * 85, 0x0218);
    store_le16(words + 2 * 87, 0x4000);
    store_le16(words + 2 * 93, drive->index & 1 ? 0x6300 : 0x600b);
}

static void put_text(uint8_t *at, const char *text, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(*text ? *text++ : ' ');
}

static void inquiry(struct ide_drive *drive)
{
    uint8_t *reply = drive->buffer;
    if (drive->packet[1] & 3) {
        atapi_fail(drive, SENSE_BAD_FIELD); /* no vital product data */
        return;
    }
    memset(reply, 0, 36);
    reply[0] = 0x05; /* CD/DVD */
    reply[1] = 0x80; /* removable */
    reply[3] = 0x21; /* ATAPI, response format 1 */
    reply[4] = 36 - 5;
    put_text(reply + 8, "TRAPEZE", 8);
    put_text(reply + 16, "DVD-ROM", 16);
    put_text(reply + 32, TRAPEZE_VERSION, 4);
    atapi_reply(drive, 36, atapi_load16(drive->packet + 3));
}

static void read_capacity(struct ide_drive *drive)
{
    if (!atapi_has_disc(drive) || drive->sectors == 0) {
        fail_without_disc(drive);
        return;
    }
    atapi_store32(drive->buffer, (uint32_t)min_u64(drive->sectors - 1, UINT32_MAX));
    atapi_store32(drive->buffer + 4, CD_SECTOR_BYTES);
    atapi_reply(drive, 8, 8);
}

/* A sector's place, as a number or as minute, second, frame. */
static void put_address(uint8_t *at, uint64_t lba, bool msf)
{
    if (!msf) {
        atapi_store32(at, (uint32_t)min_u64(lba, UINT32_MAX));
        return;
    }
    uint64_t frames = lba + 150;
    at[0] = 0;
    at[1] = (uint8_t)min_u64(frames / (75 * 60), 255);
    at[2] = (uint8_t)(frames / 75 % 60);
    at[3] = (uint8_t)(frames % 75);
}

static void put_track(uint8_t *at, uint8_t track, uint64_t lba, bool msf)
{
    at[0] = 0;
    at[1] = 0x14; /* a data track, copy-protected */
    at[2] = track;
    at[3] = 0;
    put_address(at + 4, lba, msf);
}

static void read_toc(struct ide_drive *drive)
{
    uint8_t *reply = drive->buffer;
    bool msf = drive->packet[1] & 2;
    unsigned format = drive->packet[2] & 15;
    unsigned start = drive->packet[6];
    uint32_t length = 4;
    if (format == 0)
        format = drive->packet[9] >> 6; /* where SFF-8020 had it */
    if (!atapi_has_disc(drive)) {
        fail_without_disc(drive);
        return;
    }
    if (format > 1 || (format == 0 && start > 1 && start != LEAD_OUT)) {
        atapi_fail(drive, SENSE_BAD_FIELD);
        return;
    }
    reply[2] = 1; /* first and last track, or session */
    reply[3] = 1;
    if (format == 1 || start <= 1) {
        put_track(reply + length, 1, 0, msf);
        length += 8;
    }
    if (format == 0) {
        put_track(reply + length, LEAD_OUT, drive->sectors, msf);
        length += 8;
    }
    atapi_store16(reply, length - 2);
    atapi_reply(drive, length, atapi_load16(drive->packet + 7));
}

/* --- Mode pages --- */

static uint32_t put_error_recovery(uint8_t *page)
{
    static const uint8_t bytes[] = {0x01, 6, 0, 5, 0, 0, 0, 0};
    memcpy(page, bytes, sizeof(bytes));
    return sizeof(bytes);
}

static uint32_t put_audio_control(uint8_t *page)
{
    static const uint8_t bytes[16] = {0x0e, 14, 0x04};
    memcpy(page, bytes, sizeof(bytes));
    return sizeof(bytes);
}

static uint32_t put_capabilities(const struct ide_drive *drive, uint8_t *page)
{
    memset(page, 0, 20);
    page[0] = 0x2a;
    page[1] = 18;
    page[2] = 0x3b; /* reads CD-R, CD-RW, DVD-ROM, DVD-R and "method 2" */
    page[4] = 0x70; /* mode 2 forms 1 and 2, multisession */
    page[6] = (uint8_t)(0x29 | (drive->tray_locked ? 2 : 0)); /* tray, ejects, can be locked */
    atapi_store16(page + 8, 706 * 4);                         /* KB/s at most */
    atapi_store16(page + 12, 512);                            /* KB of buffer */
    atapi_store16(page + 14, 706 * 4);                        /* KB/s now */
    return 20;
}

static void mode_sense(struct ide_drive *drive, uint32_t header, uint32_t allowed)
{
    uint8_t *reply = drive->buffer;
    unsigned page = drive->packet[2] & 0x3f, control = drive->packet[2] >> 6;
    uint32_t length = header;
    if (control == 3) {
        atapi_fail(drive, SENSE_NOT_SAVED);
        return;
    }
    memset(reply, 0, header);
    if (page == 0x01 || page == 0x3f)
        length += put_error_recovery(reply + length);
    if (page == 0x0e || page == 0x3f)
        length += put_audio_control(reply + length);
    if (page == 0x2a || page == 0x3f)
        length += put_capabilities(drive, reply + length);
    if (length == header) {
        atapi_fail(drive, SENSE_BAD_FIELD);
        return;
    }
    uint8_t medium = 0x01; /* a data disc */
    if (drive->tray_open)
        medium = 0x71;
    else if (!drive->block)
        medium = 0x70;
    if (header == 8) {
        atapi_store16(reply, length - 2);
        reply[2] = medium;
    } else {
        reply[0] = (uint8_t)(length - 1);
        reply[1] = medium;
    }
    atapi_reply(drive, length, allowed);
}

/* --- Configuration, events, the rest --- */

static uint32_t put_feature(uint8_t *at, unsigned code, uint8_t flags, unsigned bytes)
{
    memset(at, 0, 4 + bytes);
    atapi_store16(at, code);
    at[2] = flags; /* version << 2, persistent 2, current 1 */
    at[3] = (uint8_t)bytes;
    return 4 + bytes;
}

static unsigned current_profile(const struct ide_drive *drive)
{
    if (!atapi_has_disc(drive))
        return 0;
    return drive->sectors > CD_MAX_SECTORS ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
}

/* Is the feature asked for? Requests are: all from a number on, those of them that are current, or
 * one. */
static bool feature_wanted(const struct ide_drive *drive, unsigned code, bool current)
{
    unsigned start = atapi_load16(drive->packet + 2);
    switch (drive->packet[1] & 3) {
    case 0:
        return code >= start;
    case 1:
        return code >= start && current;
    default:
        return code == start;
    }
}

static void get_configuration(struct ide_drive *drive)
{
    uint8_t *reply = drive->buffer;
    unsigned profile = current_profile(drive);
    uint32_t length = 8;
    if ((drive->packet[1] & 3) == 3) {
        atapi_fail(drive, SENSE_BAD_FIELD);
        return;
    }
    memset(reply, 0, length);
    atapi_store16(reply + 6, profile);
    if (feature_wanted(drive, 0, true)) {
        uint8_t *at = reply + length;
        length += put_feature(at, 0, 3, 8);
        atapi_store16(at + 4, PROFILE_DVD_ROM);
        at[6] = profile == PROFILE_DVD_ROM;
        atapi_store16(at + 8, PROFILE_CD_ROM);
        at[10] = profile == PROFILE_CD_ROM;
    }
    if (feature_wanted(drive, 1, true)) { /* core: ATAPI */
        uint8_t *at = reply + length;
        length += put_feature(at, 1, 0x0b, 8);
        atapi_store32(at + 4, 2);
        at[8] = 1; /* events may be asked for */
    }
    if (feature_wanted(drive, 3, true)) { /* removable: tray, ejects, locks */
        uint8_t *at = reply + length;
        length += put_feature(at, 3, 3, 4);
        at[4] = 0x29;
    }
    if (feature_wanted(drive, 0x10, profile != 0)) { /* random readable */
        uint8_t *at = reply + length;
        length += put_feature(at, 0x10, profile != 0, 8);
        atapi_store32(at + 4, CD_SECTOR_BYTES);
        atapi_store16(at + 8, 1);
    }
    atapi_store32(reply, length - 4);
    atapi_reply(drive, length, atapi_load16(drive->packet + 7));
}

static void get_event_status(struct ide_drive *drive)
{
    enum { CLASS_MEDIA = 4 };
    uint8_t *reply = drive->buffer;
    if (!(drive->packet[1] & 1)) {
        atapi_fail(drive, SENSE_BAD_FIELD); /* only polling */
        return;
    }
    memset(reply, 0, 8);
    reply[3] = 1 << CLASS_MEDIA;
    if (drive->packet[4] & (1 << CLASS_MEDIA)) {
        atapi_store16(reply, 6);
        reply[2] = CLASS_MEDIA;
        reply[4] = drive->media_event;
        reply[5] = (uint8_t)(drive->tray_open | (atapi_has_disc(drive) ? 2 : 0));
        drive->media_event = MEDIA_EVENT_NONE;
        atapi_reply(drive, 8, atapi_load16(drive->packet + 7));
    } else {
        atapi_store16(reply, 2);
        reply[2] = 0x80; /* nothing of what was asked for */
        atapi_reply(drive, 4, atapi_load16(drive->packet + 7));
    }
}

static void read_disc_information(struct ide_drive *drive)
{
    uint8_t *reply = drive->buffer;
    if (!atapi_has_disc(drive)) {
        fail_without_disc(drive);
        return;
    }
    if (drive->packet[1] & 7) {
        atapi_fail(drive, SENSE_BAD_FIELD);
        return;
    }
    memset(reply, 0, 34);
    atapi_store16(reply, 32);
    reply[2] = 0x0e; /* last session complete, disc finalised */
    reply[3] = 1;    /* first track, sessions, first and last track of the last session */
    reply[4] = 1;
    reply[5] = 1;
    reply[6] = 1;
    reply[7] = 0x20; /* unrestricted use */
    atapi_reply(drive, 34, atapi_load16(drive->packet + 7));
}

static void mechanism_status(struct ide_drive *drive)
{
    uint8_t *reply = drive->buffer;
    memset(reply, 0, 8);
    reply[1] = drive->tray_open ? 0x10 : 0;
    reply[5] = 1; /* one slot, without a table */
    atapi_reply(drive, 8, atapi_load16(drive->packet + 8));
}

bool atapi_describe(struct ide_drive *drive)
{
    switch (drive->packet[0]) {
    case INQUIRY:
        inquiry(drive);
        return true;
    case MODE_SENSE_6:
        mode_sense(drive, 4, drive->packet[4]);
        return true;
    case MODE_SENSE_10:
        mode_sense(drive, 8, atapi_load16(drive->packet + 7));
        return true;
    case READ_CAPACITY:
        read_capacity(drive);
        return true;
    case READ_TOC:
        read_toc(drive);
        return true;
    case GET_CONFIGURATION:
        get_configuration(drive);
        return true;
    case GET_EVENT_STATUS:
        get_event_status(drive);
        return true;
    case READ_DISC_INFORMATION:
        read_disc_information(drive);
        return true;
    case MECHANISM_STATUS:
        mechanism_status(drive);
        return true;
    default:
        return false;
    }
}
