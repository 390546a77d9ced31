/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The 82077AA's commands with data: READ, WRITE, VERIFY, FORMAT TRACK and READ ID (sections 5.1 and
 * 5.2 of the datasheet). What is left of a track's side goes through the buffer at once, as far as
 * the command's last sector (EOT): from the image and then to the guest, or the other way.
 */
#include <string.h>

#include "base/log.h"
#include "device/fdc_internal.h"

/* Bytes of a command that moves data. FORMAT has the filler in the place of R's. */
enum { P_CYLINDER = 2, P_HEAD, P_SECTOR, P_SIZE, P_EOT, P_GAP, P_LENGTH };
enum { F_SIZE = 2, F_COUNT = 3, F_FILLER = 5 };
enum { VERIFY_COUNT = 0x80, CONFIGURE_SEEK = 0x40 };
enum { SIZE_512 = 2, DMA_CHANNEL = 2, ID_BYTES = 4 };

static unsigned code(const struct fdc *fdc)
{
    return fdc->fifo[0] & CMD_CODE;
}

static bool to_disk(const struct fdc *fdc)
{
    return code(fdc) == CMD_WRITE || code(fdc) == CMD_FORMAT;
}

/* The result of all of them: three status bytes and a sector's identification. */
static void finish(struct fdc *fdc, uint8_t st0, uint8_t st1, uint8_t st2,
                   const uint8_t id[ID_BYTES])
{
    uint8_t out[7] = {(uint8_t)(st0 | (fdc_status0(fdc) & 3) | fdc->head << 2), st1, st2};
    memcpy(out + 3, id, ID_BYTES);
    memcpy(fdc->fifo, out, sizeof(out));
    fdc_result(fdc, sizeof(out), true);
}

static void fail(struct fdc *fdc, uint8_t st1, uint8_t st2)
{
    const uint8_t id[ID_BYTES] = {fdc->fifo[P_CYLINDER], fdc->head, fdc->sector, SIZE_512};
    finish(fdc, ST0_ABNORMAL, st1, st2, id);
}

/* The identification after the last sector, section 5.2.3 ("result phase table"): the next one, in
 * the next cylinder when the last was the cylinder's. */
static void succeed(struct fdc *fdc)
{
    bool multi = fdc->fifo[0] & MULTI_TRACK;
    uint8_t id[ID_BYTES] = {fdc->fifo[P_CYLINDER], fdc->head, fdc->sector, SIZE_512};
    if (fdc->sector > fdc->fifo[P_EOT]) {
        id[2] = 1;
        if (!multi || fdc->head)
            id[0]++;
        if (multi)
            id[1] ^= 1;
    }
    finish(fdc, 0, 0, 0, id);
}

/* Data at the wrong rate is noise. 40 tracks of 250 Kb/s turn faster in a drive for 1.2M. */
static bool rate_fits(const struct fdc *fdc, const struct fdc_drive *drive)
{
    static const uint8_t rates[] = {
        [1] = 1 << 1 | 1 << 2, [2] = 1 << 0, [3] = 1 << 2, [4] = 1 << 0, [5] = 1 << 3};
    return rates[drive->format.type] >> fdc->rate & 1;
}

/* The side has a format that can be read. */
static bool readable(const struct fdc *fdc, const struct fdc_drive *drive)
{
    return drive && drive->block && rate_fits(fdc, drive) && (fdc->fifo[0] & 0x40) && /* MFM */
           drive->track < drive->format.tracks && fdc->head < drive->format.heads;
}

void fdc_read_id(struct fdc *fdc)
{
    const struct fdc_drive *drive = fdc_drive(fdc);
    fdc->head = fdc->fifo[1] >> 2 & 1;
    if (readable(fdc, drive)) {
        const uint8_t id[ID_BYTES] = {drive->track, fdc->head, 1, SIZE_512};
        finish(fdc, 0, 0, 0, id);
    } else {
        const uint8_t id[ID_BYTES] = {0};
        finish(fdc, ST0_ABNORMAL, ST1_NO_MARK, 0, id);
    }
}

/* The first sector of the chunk in the image. */
static uint64_t chunk_sector(const struct fdc *fdc, const struct fdc_drive *drive)
{
    const struct fdc_format *format = &drive->format;
    return ((uint64_t)drive->track * format->heads + fdc->head) * format->sectors + fdc->sector - 1;
}

/* How many sectors from `sector` to `last` there are on this side, in the image too; at least one
 * or none. */
static uint8_t sectors_there(const struct fdc *fdc, const struct fdc_drive *drive, unsigned last)
{
    last = last < drive->format.sectors ? last : drive->format.sectors;
    if (fdc->sector == 0 || fdc->sector > last)
        return 0;
    uint64_t first = chunk_sector(fdc, drive), end = block_sectors(drive->block);
    if (first >= end)
        return 0;
    return (uint8_t)min_u64(last - fdc->sector + 1u, end - first);
}

static void next_chunk(struct fdc *fdc);

static void chunk_done(struct fdc *fdc)
{
    fdc->sector += fdc->chunk;
    fdc->chunk = 0;
    if (code(fdc) == CMD_FORMAT || fdc->terminal) {
        succeed(fdc);
        return;
    }
    if (fdc->sector <= fdc->fifo[P_EOT]) {
        next_chunk(fdc);
        return;
    }
    if ((fdc->fifo[0] & MULTI_TRACK) && fdc->head == 0) {
        fdc->head = 1;
        fdc->sector = 1;
        fdc->fifo[P_HEAD] = 1;
        next_chunk(fdc);
        return;
    }
    if (code(fdc) == CMD_VERIFY) {
        succeed(fdc);
        return;
    }
    /* The end came without the DMA controller's word. */
    fdc->sector = fdc->fifo[P_EOT];
    fail(fdc, ST1_END_OF_CYLINDER, 0);
}

/* The chunk is in the buffer: to the guest with it. */
static void give(struct fdc *fdc)
{
    if (code(fdc) == CMD_VERIFY) {
        chunk_done(fdc);
        return;
    }
    if (!fdc_uses_dma(fdc)) {
        fdc->phase = FDC_PIO_IN;
        fdc_set_interrupt(fdc, true);
        return;
    }
    size_t moved = dma_transfer(fdc->dma, DMA_CHANNEL, fdc->buffer, fdc->filled, &fdc->terminal);
    if (fdc->terminal)
        fdc->chunk = (uint8_t)((moved + SECTOR_SIZE - 1) / SECTOR_SIZE);
    if (moved < fdc->filled && !fdc->terminal)
        fail(fdc, ST1_OVERRUN, 0);
    else
        chunk_done(fdc);
}

static void image_done(struct block_request *request, int result)
{
    struct fdc *fdc = request->opaque;
    if (result < 0) {
        log_limited(LOG_GUEST_ERRORS, "fdc: %s of %u sectors at %u in %s failed: %s",
                    fdc->io_write ? "writing" : "reading", request->sectors,
                    (unsigned)request->sector, block_path(fdc_drive(fdc)->block),
                    strerror(-result));
        fail(fdc, ST1_DATA, ST2_DATA);
    } else if (fdc->io_write) {
        chunk_done(fdc);
    } else {
        fdc->filled = (uint16_t)(fdc->chunk * SECTOR_SIZE);
        fdc->moved = 0;
        give(fdc);
    }
}

void fdc_submit(struct fdc *fdc)
{
    const struct fdc_drive *drive = fdc_drive(fdc);
    fdc->phase = FDC_BUSY;
    fdc->request.op = fdc->io_write ? BLOCK_WRITE : BLOCK_READ;
    fdc->request.sector = chunk_sector(fdc, drive);
    fdc->request.sectors = fdc->chunk;
    fdc->request.buffer = fdc->buffer;
    fdc->request.done = image_done;
    fdc->request.opaque = fdc;
    block_submit(drive->block, &fdc->request);
}

/* FORMAT TRACK: the guest's bytes are the identifications; the disk's layout is that of the image,
 * so only sectors that are in it can be made. */
static void format_chunk(struct fdc *fdc)
{
    const struct fdc_drive *drive = fdc_drive(fdc);
    unsigned last = 0;
    for (unsigned at = 0; at + ID_BYTES <= fdc->filled; at += ID_BYTES) {
        const uint8_t *id = fdc->buffer + at;
        if (id[0] != drive->track || id[1] != fdc->head || id[2] == 0 || id[3] != SIZE_512) {
            fail(fdc, ST1_NO_DATA, 0);
            return;
        }
        last = id[2] > last ? id[2] : last;
    }
    fdc->sector = 1;
    fdc->chunk = sectors_there(fdc, drive, last);
    if (fdc->chunk < last || last == 0) {
        fail(fdc, ST1_NO_DATA, 0);
        return;
    }
    memset(fdc->buffer, fdc->fifo[F_FILLER], (size_t)fdc->chunk * SECTOR_SIZE);
    fdc_submit(fdc);
}

/* The guest's bytes are in the buffer, `moved` of them: to the image. */
static void put(struct fdc *fdc)
{
    if (code(fdc) == CMD_FORMAT) {
        if (fdc->moved < fdc->filled)
            fail(fdc, ST1_OVERRUN, 0);
        else
            format_chunk(fdc);
        return;
    }
    if (fdc->moved < fdc->filled && !fdc->terminal) {
        fail(fdc, ST1_OVERRUN, 0);
        return;
    }
    /* The rest of a sector that the DMA controller ended early is zeros. */
    memset(fdc->buffer + fdc->moved, 0, fdc->filled - fdc->moved);
    fdc->chunk = (uint8_t)((fdc->moved + SECTOR_SIZE - 1) / SECTOR_SIZE);
    if (fdc->chunk == 0)
        fail(fdc, ST1_OVERRUN, 0);
    else
        fdc_submit(fdc);
}

/* Asks the guest for `filled` bytes. */
static void take(struct fdc *fdc, uint16_t length)
{
    fdc->filled = length;
    fdc->moved = 0;
    if (!fdc_uses_dma(fdc)) {
        fdc->phase = FDC_PIO_OUT;
        fdc_set_interrupt(fdc, true);
        return;
    }
    fdc->moved = (uint16_t)dma_transfer(fdc->dma, DMA_CHANNEL, fdc->buffer, length, &fdc->terminal);
    put(fdc);
}

static void next_chunk(struct fdc *fdc)
{
    const struct fdc_drive *drive = fdc_drive(fdc);
    unsigned last = fdc->fifo[P_EOT];
    if (fdc->head >= drive->format.heads) {
        fail(fdc, ST1_NO_MARK, 0);
        return;
    }
    fdc->chunk = sectors_there(fdc, drive, last);
    if (fdc->chunk == 0)
        fail(fdc, ST1_NO_DATA, 0);
    else if (to_disk(fdc))
        take(fdc, (uint16_t)(fdc->chunk * SECTOR_SIZE));
    else
        fdc_submit(fdc);
}

void fdc_transfer_start(struct fdc *fdc)
{
    struct fdc_drive *drive = fdc_drive(fdc);
    bool format = code(fdc) == CMD_FORMAT;
    fdc->head = fdc->fifo[1] >> 2 & 1;
    fdc->sector = format ? 1 : fdc->fifo[P_SECTOR];
    fdc->terminal = false;
    fdc->io_write = to_disk(fdc);
    if (drive && !format && (fdc->configure[0] & CONFIGURE_SEEK))
        drive->track = drive->target = fdc->fifo[P_CYLINDER];
    if (!readable(fdc, drive)) {
        fail(fdc, ST1_NO_MARK, 0);
    } else if (fdc->io_write && block_read_only(drive->block)) {
        fail(fdc, ST1_WRITE_PROTECTED, 0);
    } else if (format) {
        unsigned count = min_u64(fdc->fifo[F_COUNT], drive->format.sectors);
        if (count == 0 || count < fdc->fifo[F_COUNT] || fdc->fifo[F_SIZE] != SIZE_512)
            fail(fdc, ST1_NO_DATA, 0);
        else
            take(fdc, (uint16_t)(count * ID_BYTES));
    } else if (fdc->fifo[P_CYLINDER] != drive->track) {
        fail(fdc, ST1_NO_DATA, ST2_WRONG_CYLINDER);
    } else if (fdc->fifo[P_HEAD] != fdc->head || fdc->fifo[P_SIZE] != SIZE_512) {
        fail(fdc, ST1_NO_DATA, 0);
    } else {
        /* VERIFY may have a count of sectors instead of an end: on this side only. */
        if (code(fdc) == CMD_VERIFY && (fdc->fifo[1] & VERIFY_COUNT) && fdc->fifo[P_LENGTH]) {
            fdc->fifo[0] &= (uint8_t)~MULTI_TRACK;
            fdc->fifo[P_EOT] = (uint8_t)min_u64(fdc->sector + fdc->fifo[P_LENGTH] - 1u, 0xff);
        }
        next_chunk(fdc);
    }
}

uint8_t fdc_pio_read(struct fdc *fdc)
{
    uint8_t value = fdc->buffer[fdc->moved++];
    if (fdc->moved == fdc->filled) {
        fdc_set_interrupt(fdc, false);
        chunk_done(fdc);
    }
    return value;
}

void fdc_pio_write(struct fdc *fdc, uint8_t value)
{
    fdc->buffer[fdc->moved++] = value;
    if (fdc->moved == fdc->filled) {
        fdc_set_interrupt(fdc, false);
        put(fdc);
    }
}
