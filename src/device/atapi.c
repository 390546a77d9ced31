/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ATAPI CD drives: the PACKET command and its data (ATA/ATAPI-6, 8.23 and 9.8), unit attention and
 * sense, reading, the tray. Commands in the packet are those of MMC-3; the ones that only describe
 * drive or disc are in atapi_reply.c. A drive without a disc answers "not ready, medium not
 * present".
 *
 * PIO data goes in DRQ blocks of at most the byte count the host put into the cylinder registers;
 * the drive puts there how many there are. Before each the interrupt reason (in the sector count
 * register) says what is to come.
 */
#include "device/atapi.h"

#include "base/bytes.h"

enum interrupt_reason { REASON_COMMAND = 1, REASON_TO_HOST = 2, REASON_DONE = 3 };

enum { FEATURE_DMA = 0x01, FEATURE_OVERLAP = 0x02 };

enum ata_opcode {
    PACKET = 0xa0,
    IDENTIFY_PACKET = 0xa1,
    CHECK_POWER = 0xe5,
    SET_FEATURES = 0xef,
};

enum packet_opcode {
    TEST_UNIT_READY = 0x00,
    REQUEST_SENSE = 0x03,
    INQUIRY = 0x12,
    START_STOP = 0x1b,
    PREVENT_ALLOW = 0x1e,
    READ_10 = 0x28,
    SEEK_10 = 0x2b,
    GET_CONFIGURATION = 0x46,
    GET_EVENT_STATUS = 0x4a,
    READ_12 = 0xa8,
    SET_CD_SPEED = 0xbb,
    READ_CD = 0xbe,
};

enum { SENSE_BYTES = 18, ATTENTION_RESET = 0x29, ATTENTION_NEW_DISC = 0x28 };

static void succeed(struct ide_drive *drive)
{
    drive->task[TASK_COUNT] = REASON_DONE;
    ide_complete(drive, STATUS_DRDY | STATUS_DSC, 0);
}

void atapi_fail(struct ide_drive *drive, enum atapi_sense sense)
{
    drive->sense_key = (uint8_t)(sense >> 16);
    drive->sense_asc = (uint8_t)(sense >> 8);
    drive->sense_ascq = (uint8_t)sense;
    drive->remaining = 0;
    drive->task[TASK_COUNT] = REASON_DONE;
    ide_complete(drive, STATUS_DRDY | STATUS_DSC | STATUS_ERR,
                 (uint8_t)(drive->sense_key << 4 | ERROR_ABRT));
}

/* --- Data to the host --- */

static void send_block(struct ide_drive *drive)
{
    if (drive->packet_dma) {
        ide_transfer(drive, IDE_DMA_IN, drive->filled);
        return;
    }
    uint32_t left = drive->filled - drive->position;
    uint32_t most = drive->byte_limit;
    /* An odd limit may be met by the last block only; 0 and ffffh cannot be meant. */
    if (most == 0 || most == 0xffff)
        most = 0xfffe;
    if (left > most && most > 1)
        most &= ~1u;
    uint32_t bytes = (uint32_t)min_u64(left, most);
    drive->task[TASK_COUNT] = REASON_TO_HOST;
    drive->task[TASK_MID] = (uint8_t)bytes;
    drive->task[TASK_HIGH] = (uint8_t)(bytes >> 8);
    ide_transfer(drive, IDE_PIO_IN, drive->position + bytes);
    ide_interrupt(drive);
}

void atapi_reply(struct ide_drive *drive, uint32_t length, uint32_t allowed)
{
    drive->remaining = 0;
    drive->position = 0;
    drive->filled = (uint32_t)min_u64(length, allowed);
    if (drive->filled == 0)
        succeed(drive);
    else
        send_block(drive);
}

static void read_chunk(struct ide_drive *drive)
{
    uint32_t most = IDE_BUFFER_BYTES / CD_SECTOR_BYTES;
    uint32_t count = (uint32_t)min_u64(drive->remaining, drive->careful ? 1 : most);
    drive->position = 0;
    drive->filled = count * CD_SECTOR_BYTES;
    ide_io(drive, BLOCK_READ, drive->lba * 4, count * 4, 0);
}

static void atapi_io_done(struct ide_drive *drive, int result)
{
    if (result < 0 && !drive->careful) {
        /* Sector by sector, so that what is good gets through. */
        drive->careful = true;
        read_chunk(drive);
    } else if (result < 0) {
        atapi_fail(drive, SENSE_READ_ERROR);
    } else {
        uint32_t count = drive->filled / CD_SECTOR_BYTES;
        drive->lba += count;
        drive->remaining -= (uint32_t)min_u64(count, drive->remaining);
        send_block(drive);
    }
}

static void read_sectors(struct ide_drive *drive, uint64_t lba, uint32_t count)
{
    if (lba > drive->sectors || count > drive->sectors - lba) {
        atapi_fail(drive, SENSE_BAD_ADDRESS);
        return;
    }
    drive->lba = lba;
    drive->remaining = count;
    drive->careful = false;
    if (count == 0)
        succeed(drive);
    else
        read_chunk(drive);
}

/* --- Packets --- */

static void request_sense(struct ide_drive *drive)
{
    uint8_t *reply = drive->buffer;
    if (drive->sense_key == 0 && drive->attention_asc) {
        drive->sense_key = SENSE_ATTENTION >> 16;
        drive->sense_asc = drive->attention_asc;
        drive->sense_ascq = drive->attention_ascq;
        drive->attention_asc = 0;
    }
    memset(reply, 0, SENSE_BYTES);
    reply[0] = 0x70; /* of this command, fixed format */
    reply[2] = drive->sense_key;
    reply[7] = SENSE_BYTES - 8;
    reply[12] = drive->sense_asc;
    reply[13] = drive->sense_ascq;
    drive->sense_key = drive->sense_asc = drive->sense_ascq = 0;
    atapi_reply(drive, SENSE_BYTES, drive->packet[4]);
}

static void start_stop(struct ide_drive *drive)
{
    bool load_eject = drive->packet[4] & 2, start = drive->packet[4] & 1;
    if (load_eject && !start && drive->tray_locked) {
        atapi_fail(drive, SENSE_LOCKED);
        return;
    }
    if (load_eject && start == drive->tray_open) {
        drive->tray_open = !start;
        drive->media_event = start ? MEDIA_EVENT_NEW : MEDIA_EVENT_REMOVED;
        if (start && drive->block)
            drive->attention_asc = ATTENTION_NEW_DISC;
    }
    succeed(drive);
}

/* READ CD of 2048-byte sectors; nothing else is on the discs there are. */
static void read_cd(struct ide_drive *drive)
{
    const uint8_t *packet = drive->packet;
    uint32_t count = (uint32_t)packet[6] << 16 | atapi_load16(packet + 7);
    if (packet[9] & 0xf8 & ~0x10)
        atapi_fail(drive, SENSE_BAD_FIELD);
    else
        read_sectors(drive, atapi_load32(packet + 2), packet[9] & 0x10 ? count : 0);
}

static bool needs_disc(uint8_t opcode)
{
    return opcode == TEST_UNIT_READY || opcode == READ_10 || opcode == READ_12 ||
           opcode == READ_CD || opcode == SEEK_10;
}

static void execute(struct ide_drive *drive)
{
    const uint8_t *packet = drive->packet;
    switch (packet[0]) {
    case TEST_UNIT_READY:
    case SET_CD_SPEED:
        succeed(drive);
        break;
    case REQUEST_SENSE:
        request_sense(drive);
        break;
    case START_STOP:
        start_stop(drive);
        break;
    case PREVENT_ALLOW:
        drive->tray_locked = packet[4] & 1;
        succeed(drive);
        break;
    case SEEK_10:
        if (atapi_load32(packet + 2) < drive->sectors)
            succeed(drive);
        else
            atapi_fail(drive, SENSE_BAD_ADDRESS);
        break;
    case READ_10:
        read_sectors(drive, atapi_load32(packet + 2), atapi_load16(packet + 7));
        break;
    case READ_12:
        read_sectors(drive, atapi_load32(packet + 2), atapi_load32(packet + 6));
        break;
    case READ_CD:
        read_cd(drive);
        break;
    default:
        if (!atapi_describe(drive))
            atapi_fail(drive, SENSE_BAD_OPCODE);
        break;
    }
}

/* A unit attention goes before all commands but those that ask what is the matter. */
static void packet_arrived(struct ide_drive *drive)
{
    memcpy(drive->packet, drive->buffer, sizeof(drive->packet));
    uint8_t opcode = drive->packet[0];
    if (opcode != REQUEST_SENSE)
        drive->sense_key = drive->sense_asc = drive->sense_ascq = 0;
    bool asks = opcode == REQUEST_SENSE || opcode == INQUIRY || opcode == GET_CONFIGURATION ||
                opcode == GET_EVENT_STATUS;
    if (drive->attention_asc && !asks) {
        unsigned codes = (unsigned)drive->attention_asc << 8 | drive->attention_ascq;
        drive->attention_asc = 0;
        atapi_fail(drive, (enum atapi_sense)(SENSE_ATTENTION | codes));
    } else if (needs_disc(opcode) && !atapi_has_disc(drive)) {
        atapi_fail(drive, drive->tray_open ? SENSE_TRAY_OPEN : SENSE_NO_DISC);
    } else {
        execute(drive);
    }
}

static void atapi_data_done(struct ide_drive *drive)
{
    if (drive->packet_expected) {
        drive->packet_expected = false;
        packet_arrived(drive);
    } else if (drive->command == IDENTIFY_PACKET) {
        drive->status = STATUS_DRDY | STATUS_DSC;
    } else if (drive->position < drive->filled) {
        send_block(drive);
    } else if (drive->remaining) {
        read_chunk(drive);
    } else {
        succeed(drive);
    }
}

/* --- ATA commands --- */

static void abort_command(struct ide_drive *drive)
{
    ide_complete(drive, STATUS_DRDY | STATUS_DSC | STATUS_ERR, ERROR_ABRT);
}

/* By which hosts know a packet device. */
static void store_signature(struct ide_drive *drive)
{
    drive->task[TASK_COUNT] = 1;
    drive->task[TASK_LOW] = 1;
    drive->task[TASK_MID] = 0x14;
    drive->task[TASK_HIGH] = 0xeb;
}

static void start_packet(struct ide_drive *drive)
{
    if (drive->task[TASK_FEATURES] & FEATURE_OVERLAP) {
        abort_command(drive);
        return;
    }
    drive->packet_dma = drive->task[TASK_FEATURES] & FEATURE_DMA;
    drive->byte_limit = (uint16_t)(drive->task[TASK_MID] | drive->task[TASK_HIGH] << 8);
    drive->packet_expected = true;
    drive->remaining = 0;
    drive->position = 0;
    drive->filled = IDE_PACKET_BYTES;
    drive->task[TASK_COUNT] = REASON_COMMAND;
    ide_transfer(drive, IDE_PIO_OUT, IDE_PACKET_BYTES); /* without an interrupt */
}

static void atapi_command(struct ide_drive *drive, uint8_t opcode)
{
    drive->status = STATUS_DRDY | STATUS_DSC;
    switch (opcode) {
    case PACKET:
        start_packet(drive);
        break;
    case IDENTIFY_PACKET:
        atapi_identify(drive);
        drive->position = 0;
        drive->filled = SECTOR_SIZE;
        ide_transfer(drive, IDE_PIO_IN, SECTOR_SIZE);
        ide_interrupt(drive);
        break;
    case 0x94: /* STANDBY IMMEDIATE, IDLE IMMEDIATE, STANDBY, IDLE, SLEEP, old and new */
    case 0x95:
    case 0x96:
    case 0x97:
    case 0x99:
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3:
    case 0xe6:
        ide_complete(drive, STATUS_DRDY | STATUS_DSC, 0);
        break;
    case 0x98: /* CHECK POWER MODE: always active */
    case CHECK_POWER:
        drive->task[TASK_COUNT] = 0xff;
        ide_complete(drive, STATUS_DRDY | STATUS_DSC, 0);
        break;
    case SET_FEATURES:
        if (drive->task[TASK_FEATURES] == 0x03 &&
            ide_set_transfer_mode(drive, drive->task[TASK_COUNT]))
            ide_complete(drive, STATUS_DRDY | STATUS_DSC, 0);
        else
            abort_command(drive);
        break;
    case 0x20: /* READ SECTORS */
    case 0xec: /* IDENTIFY DEVICE */
        store_signature(drive);
        abort_command(drive);
        break;
    default:
        abort_command(drive);
        break;
    }
}

static void atapi_signature(struct ide_drive *drive)
{
    store_signature(drive);
    drive->status = 0; /* a packet device is not "ready" until its first command */
}

static void atapi_power_on(struct ide_drive *drive)
{
    drive->mwdma_mode = 0;
    drive->udma_mode = 0;
    drive->sense_key = drive->sense_asc = drive->sense_ascq = 0;
    drive->attention_asc = ATTENTION_RESET;
    drive->attention_ascq = 0;
    drive->media_event = MEDIA_EVENT_NONE;
    drive->tray_open = false;
    drive->tray_locked = false;
}

const struct ide_protocol atapi_protocol = {
    .command = atapi_command,
    .data_done = atapi_data_done,
    .io_done = atapi_io_done,
    .signature = atapi_signature,
    .power_on = atapi_power_on,
};
