/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ATA disks: the commands of ATA/ATAPI-6 (T13/1410D, chapter 8) that a PC's firmware and operating
 * systems use. Model "TRAPEZE HARDDISK".
 *
 * Data moves in chunks of up to the buffer's size. Reading: the image fills a chunk, the guest
 * takes it by DRQ blocks (PIO) or the bus master does. Writing: the other way round, and the
 * command ends when the last chunk is in the image (and flushed, if the write cache is off or the
 * command says FUA). When the image reports an error, the chunk is gone through again in the
 * smallest steps, so that what is good gets through and the address of what is bad is told.
 */
#include "device/ide_drive.h"

#include "base/bytes.h"

enum { LBA28_SECTORS = 0x0fffffff, MULTIPLE_MAX = 16 };

enum transfer_flag {
    WRITE = 0x01, /* otherwise it reads */
    DMA = 0x02,
    EXT = 0x04,      /* 48-bit address, 16-bit count */
    MULTIPLE = 0x08, /* DRQ blocks of SET MULTIPLE's size */
    VERIFY = 0x10,   /* reads and gives the guest nothing */
    FUA = 0x20,
};

struct transfer {
    uint8_t opcode, flags;
};

static const struct transfer transfers[] = {
    {0x20, 0},
    {0x21, 0},
    {0x24, EXT},
    {0x25, EXT | DMA},
    {0x29, EXT | MULTIPLE},
    {0x30, WRITE},
    {0x31, WRITE},
    {0x34, WRITE | EXT},
    {0x35, WRITE | EXT | DMA},
    {0x39, WRITE | EXT | MULTIPLE},
    {0x3d, WRITE | EXT | DMA | FUA},
    {0x40, VERIFY},
    {0x41, VERIFY},
    {0x42, VERIFY | EXT},
    {0xc4, MULTIPLE},
    {0xc5, WRITE | MULTIPLE},
    {0xc8, DMA},
    {0xc9, DMA},
    {0xca, WRITE | DMA},
    {0xcb, WRITE | DMA},
    {0xce, WRITE | EXT | MULTIPLE | FUA},
};

/* Other commands by name. */
enum {
    READ_NATIVE_MAX_EXT = 0x27,
    SEEK = 0x70,
    INITIALIZE_PARAMETERS = 0x91,
    SET_MULTIPLE = 0xc6,
    FLUSH_CACHE = 0xe7,
    FLUSH_CACHE_EXT = 0xea,
    IDENTIFY = 0xec,
    SET_FEATURES = 0xef,
    READ_NATIVE_MAX = 0xf8,
};

static const struct transfer *find_transfer(uint8_t opcode)
{
    for (size_t i = 0; i < ARRAY_LEN(transfers); i++)
        if (transfers[i].opcode == opcode)
            return &transfers[i];
    return NULL;
}

static void complete(struct ide_drive *drive)
{
    ide_complete(drive, STATUS_DRDY | STATUS_DSC, 0);
}

static void abort_command(struct ide_drive *drive)
{
    ide_complete(drive, STATUS_DRDY | STATUS_DSC | STATUS_ERR, ERROR_ABRT);
}

/* --- Addresses --- */

static void store_address(struct ide_drive *drive, uint64_t lba, bool ext)
{
    uint64_t low = lba;
    if (!ext && !(drive->device & DEVICE_LBA)) {
        uint64_t track = lba / drive->current_track_sectors;
        uint64_t cylinder = track / drive->current_heads;
        low = lba % drive->current_track_sectors + 1;
        low |= (cylinder & 0xffff) << 8;
        low |= track % drive->current_heads << 24;
    }
    drive->task[TASK_LOW] = (uint8_t)low;
    drive->task[TASK_MID] = (uint8_t)(low >> 8);
    drive->task[TASK_HIGH] = (uint8_t)(low >> 16);
    if (ext) {
        drive->previous[TASK_LOW] = (uint8_t)(low >> 24);
        drive->previous[TASK_MID] = (uint8_t)(low >> 32);
        drive->previous[TASK_HIGH] = (uint8_t)(low >> 40);
    } else {
        drive->device = (uint8_t)((drive->device & 0xf0) | (low >> 24 & 0x0f));
    }
}

/* The address in the registers; false for a sector number of 0. */
static bool load_address(const struct ide_drive *drive, bool ext, uint64_t *lba)
{
    uint64_t low = drive->task[TASK_LOW] | (uint64_t)drive->task[TASK_MID] << 8 |
                   (uint64_t)drive->task[TASK_HIGH] << 16;
    uint64_t head = drive->device & 0x0f;
    *lba = low | head << 24;
    if (ext) {
        *lba = low | (uint64_t)drive->previous[TASK_LOW] << 24 |
               (uint64_t)drive->previous[TASK_MID] << 32 |
               (uint64_t)drive->previous[TASK_HIGH] << 40;
    } else if (!(drive->device & DEVICE_LBA)) {
        uint64_t sector = low & 0xff;
        if (sector == 0 || sector > drive->current_track_sectors || head >= drive->current_heads)
            return false;
        *lba =
            ((low >> 8) * drive->current_heads + head) * drive->current_track_sectors + sector - 1;
    }
    return true;
}

static uint32_t load_count(const struct ide_drive *drive, bool ext)
{
    uint32_t count = drive->task[TASK_COUNT];
    if (ext)
        count |= (uint32_t)drive->previous[TASK_COUNT] << 8;
    return count ? count : ext ? 0x10000 : 0x100;
}

/* --- Reading, writing, verifying --- */

static void fail_at(struct ide_drive *drive, uint64_t lba, bool ext, uint8_t error)
{
    store_address(drive, lba, ext);
    ide_complete(drive, STATUS_DRDY | STATUS_DSC | STATUS_ERR, error);
}

/* Sectors of a DRQ block, in PIO. */
static uint32_t block_sectors_of(const struct ide_drive *drive, uint8_t flags)
{
    return (flags & MULTIPLE) && drive->multiple ? drive->multiple : 1;
}

/* The next DRQ block of the chunk, or the whole of it by DMA. In PIO each block but the first of a
 * write is told by an interrupt. */
static void move_block(struct ide_drive *drive, uint8_t flags, bool first)
{
    bool write = flags & WRITE;
    if (flags & DMA) {
        ide_transfer(drive, write ? IDE_DMA_OUT : IDE_DMA_IN, drive->filled);
        return;
    }
    uint32_t bytes = block_sectors_of(drive, flags) * SECTOR_SIZE;
    uint32_t limit = (uint32_t)min_u64(drive->filled, drive->position + bytes);
    ide_transfer(drive, write ? IDE_PIO_OUT : IDE_PIO_IN, limit);
    if (!write || !first)
        ide_interrupt(drive);
}

static void read_chunk(struct ide_drive *drive, uint8_t flags)
{
    uint32_t most = IDE_BUFFER_SECTORS;
    if (drive->careful)
        most = flags & (DMA | VERIFY) ? 1 : block_sectors_of(drive, flags);
    uint32_t count = (uint32_t)min_u64(drive->remaining, most);
    drive->position = 0;
    drive->filled = count * SECTOR_SIZE;
    ide_io(drive, BLOCK_READ, drive->lba, count, 0);
}

static void write_chunk(struct ide_drive *drive)
{
    drive->careful = false;
    drive->position = 0;
    drive->filled = (uint32_t)min_u64(drive->remaining, IDE_BUFFER_SECTORS) * SECTOR_SIZE;
}

/* The command has moved all it should. */
static void end_command(struct ide_drive *drive, const struct transfer *transfer)
{
    bool quiet = !(transfer->flags & (WRITE | DMA | VERIFY));
    store_address(drive, drive->lba - 1, transfer->flags & EXT);
    drive->task[TASK_COUNT] = 0;
    /* After the last block of PIO data-in there is no interrupt. */
    if (quiet)
        drive->status = STATUS_DRDY | STATUS_DSC;
    else
        complete(drive);
}

static void chunk_done(struct ide_drive *drive)
{
    uint32_t sectors = drive->filled / SECTOR_SIZE;
    drive->lba += sectors;
    drive->remaining -= (uint32_t)min_u64(sectors, drive->remaining);
}

static void start_transfer(struct ide_drive *drive, uint8_t flags)
{
    bool ext = flags & EXT;
    drive->remaining = load_count(drive, ext);
    drive->careful = false;
    if ((flags & MULTIPLE) && drive->multiple == 0) {
        abort_command(drive);
        return;
    }
    if (!load_address(drive, ext, &drive->lba)) {
        ide_complete(drive, STATUS_DRDY | STATUS_DSC | STATUS_ERR, ERROR_IDNF);
        return;
    }
    if (drive->lba >= drive->sectors || drive->remaining > drive->sectors - drive->lba) {
        /* The first address that is not there. */
        fail_at(drive, max_u64(drive->lba, drive->sectors), ext, ERROR_IDNF);
        return;
    }
    if (!(flags & WRITE)) {
        read_chunk(drive, flags);
    } else if (block_read_only(drive->block)) {
        abort_command(drive);
    } else {
        write_chunk(drive);
        move_block(drive, flags, true);
    }
}

/* Read data is in the buffer, or is not. */
static void read_done(struct ide_drive *drive, const struct transfer *transfer, int result)
{
    uint8_t flags = transfer->flags;
    if (result < 0 && !drive->careful) {
        drive->careful = true;
        read_chunk(drive, flags);
    } else if (result < 0) {
        fail_at(drive, drive->lba, flags & EXT, ERROR_UNC);
    } else if (!(flags & VERIFY)) {
        move_block(drive, flags, false);
    } else {
        chunk_done(drive);
        if (drive->remaining)
            read_chunk(drive, flags);
        else
            end_command(drive, transfer);
    }
}

static void write_done(struct ide_drive *drive, const struct transfer *transfer, int result)
{
    uint8_t flags = transfer->flags;
    uint32_t written = drive->io_offset + drive->io_count * SECTOR_SIZE;
    if (result < 0 && drive->careful) {
        fail_at(drive, drive->io_sector, flags & EXT, ERROR_UNC);
    } else if (result < 0 || written < drive->filled) {
        /* One by one: from the beginning of the chunk, or after the one just written. */
        uint32_t offset = result < 0 ? 0 : written;
        drive->careful = true;
        ide_io(drive, BLOCK_WRITE, drive->lba + offset / SECTOR_SIZE, 1, offset);
    } else {
        chunk_done(drive);
        if (drive->remaining) {
            write_chunk(drive);
            move_block(drive, flags, false);
        } else if ((flags & FUA) || !drive->write_cache) {
            ide_io(drive, BLOCK_FLUSH, 0, 0, 0);
        } else {
            end_command(drive, transfer);
        }
    }
}

static void flush_done(struct ide_drive *drive, const struct transfer *transfer, int result)
{
    if (result < 0)
        abort_command(drive);
    else if (transfer)
        end_command(drive, transfer);
    else
        complete(drive);
}

static void ata_io_done(struct ide_drive *drive, int result)
{
    const struct transfer *transfer = find_transfer(drive->command);
    if (drive->io_op == BLOCK_FLUSH)
        flush_done(drive, transfer, result);
    else if (!transfer)
        abort_command(drive);
    else if (drive->io_op == BLOCK_WRITE)
        write_done(drive, transfer, result);
    else
        read_done(drive, transfer, result);
}

static void ata_data_done(struct ide_drive *drive)
{
    const struct transfer *transfer = find_transfer(drive->command);
    if (!transfer) {
        /* IDENTIFY: that was all. */
        drive->status = STATUS_DRDY | STATUS_DSC;
    } else if (drive->position < drive->filled) {
        move_block(drive, transfer->flags, false);
    } else if (transfer->flags & WRITE) {
        ide_io(drive, BLOCK_WRITE, drive->lba, drive->filled / SECTOR_SIZE, 0);
    } else {
        chunk_done(drive);
        if (drive->remaining)
            read_chunk(drive, transfer->flags);
        else
            end_command(drive, transfer);
    }
}

/* --- The other commands --- */

static void put(uint8_t *words, unsigned word, uint64_t value)
{
    store_le16(words + 2 * word, (uint16_t)value);
}

/* Capacities and geometry. */
static void identify_size(const struct ide_drive *drive, uint8_t *words)
{
    uint32_t current =
        (uint32_t)drive->current_cylinders * drive->current_heads * drive->current_track_sectors;
    put(words, 1, drive->cylinders);
    put(words, 3, drive->heads);
    put(words, 6, drive->track_sectors);
    put(words, 54, drive->current_cylinders);
    put(words, 55, drive->current_heads);
    put(words, 56, drive->current_track_sectors);
    store_le32(words + 2 * 57, current);
    store_le32(words + 2 * 60, (uint32_t)min_u64(drive->sectors, LBA28_SECTORS));
    store_le64(words + 2 * 100, drive->sectors);
}

static void identify(struct ide_drive *drive)
{
    uint8_t *words = drive->buffer;
    memset(words, 0, SECTOR_SIZE);
    put(words, 0, 0x0040); /* fixed disk */
    identify_size(drive, words);
    ide_identify_names(drive, words, "TRAPEZE HARDDISK");
    ide_identify_modes(drive, words);
    put(words, 47, 0x8000 | MULTIPLE_MAX);
    put(words, 48, 1);      /* 32-bit data port */
    put(words, 49, 0x0f00); /* DMA, LBA, IORDY and that it may be disabled */
    put(words, 50, 0x4000);
    put(words, 59, drive->multiple ? 0x0100 | drive->multiple : 0);
    put(words, 80, 0x0078); /* ATA-3 to ATA/ATAPI-6 */
    /* Supported: power management, write cache, look-ahead; LBA48, FLUSH CACHE (EXT); FUA. */
    put(words, 82, 0x0068);
    put(words, 83, 0x4000 | 0x3400);
    put(words, 84, 0x4040);
    /* Of them, enabled. */
    put(words, 85, 0x0008 | drive->write_cache << 5 | drive->look_ahead << 6);
    put(words, 86, 0x3400);
    put(words, 87, 0x4040);
    /* Hardware reset: 80-wire cable, passed, number by jumper. */
    put(words, 93, drive->index & 1 ? 0x6300 : 0x600b);
    words[510] = 0xa5;
    uint8_t sum = 0;
    for (unsigned i = 0; i < 511; i++)
        sum = (uint8_t)(sum + words[i]);
    words[511] = (uint8_t)-sum;
    drive->position = 0;
    drive->filled = SECTOR_SIZE;
    ide_transfer(drive, IDE_PIO_IN, SECTOR_SIZE);
    ide_interrupt(drive);
}

static void initialize_parameters(struct ide_drive *drive)
{
    uint8_t track_sectors = drive->task[TASK_COUNT];
    uint8_t heads = (uint8_t)((drive->device & 0x0f) + 1);
    if (track_sectors == 0) {
        abort_command(drive);
        return;
    }
    drive->current_heads = heads;
    drive->current_track_sectors = track_sectors;
    drive->current_cylinders =
        (uint16_t)min_u64(16383, drive->sectors / ((uint32_t)heads * track_sectors));
    complete(drive);
}

static void set_multiple(struct ide_drive *drive)
{
    uint8_t count = drive->task[TASK_COUNT];
    if (count > MULTIPLE_MAX || (count & (count - 1))) {
        abort_command(drive);
        return;
    }
    drive->multiple = count;
    complete(drive);
}

static void set_features(struct ide_drive *drive)
{
    switch (drive->task[TASK_FEATURES]) {
    case 0x02:
        drive->write_cache = true;
        break;
    case 0x82:
        /* What is in the cache goes out; later writes flush themselves. */
        drive->write_cache = false;
        ide_io(drive, BLOCK_FLUSH, 0, 0, 0);
        return;
    case 0x03:
        if (!ide_set_transfer_mode(drive, drive->task[TASK_COUNT])) {
            abort_command(drive);
            return;
        }
        break;
    case 0x55:
        drive->look_ahead = false;
        break;
    case 0xaa:
        drive->look_ahead = true;
        break;
    case 0x66: /* keep settings over a soft reset, or not: they are kept */
    case 0xcc:
        break;
    default:
        abort_command(drive);
        return;
    }
    complete(drive);
}

static void read_native_max(struct ide_drive *drive, bool ext)
{
    uint64_t last = drive->sectors ? drive->sectors - 1 : 0;
    store_address(drive, ext ? last : min_u64(last, LBA28_SECTORS - 1), ext);
    complete(drive);
}

static void seek(struct ide_drive *drive)
{
    uint64_t lba;
    if (load_address(drive, false, &lba) && lba < drive->sectors)
        complete(drive);
    else
        ide_complete(drive, STATUS_DRDY | STATUS_DSC | STATUS_ERR, ERROR_IDNF);
}

static void ata_command(struct ide_drive *drive, uint8_t opcode)
{
    const struct transfer *transfer = find_transfer(opcode);
    drive->status = STATUS_DRDY | STATUS_DSC;
    if (transfer) {
        start_transfer(drive, transfer->flags);
        return;
    }
    switch (opcode) {
    case 0x10 ... 0x1f: /* RECALIBRATE */
    case 0x94:          /* STANDBY IMMEDIATE, IDLE IMMEDIATE, STANDBY, IDLE, SLEEP, old and new */
    case 0x95:
    case 0x96:
    case 0x97:
    case 0x99:
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3:
    case 0xe6:
        complete(drive);
        break;
    case 0x98: /* CHECK POWER MODE: always active */
    case 0xe5:
        drive->task[TASK_COUNT] = 0xff;
        complete(drive);
        break;
    case SEEK:
        seek(drive);
        break;
    case READ_NATIVE_MAX:
        read_native_max(drive, false);
        break;
    case READ_NATIVE_MAX_EXT:
        read_native_max(drive, true);
        break;
    case INITIALIZE_PARAMETERS:
        initialize_parameters(drive);
        break;
    case SET_MULTIPLE:
        set_multiple(drive);
        break;
    case FLUSH_CACHE:
    case FLUSH_CACHE_EXT:
        ide_io(drive, BLOCK_FLUSH, 0, 0, 0);
        break;
    case IDENTIFY:
        identify(drive);
        break;
    case SET_FEATURES:
        set_features(drive);
        break;
    default: /* SMART, IDENTIFY PACKET DEVICE, security: not there */
        abort_command(drive);
        break;
    }
}

static void ata_signature(struct ide_drive *drive)
{
    drive->task[TASK_COUNT] = 1;
    drive->task[TASK_LOW] = 1;
    drive->status = STATUS_DRDY | STATUS_DSC;
}

static void ata_power_on(struct ide_drive *drive)
{
    drive->multiple = MULTIPLE_MAX;
    drive->current_cylinders = drive->cylinders;
    drive->current_heads = drive->heads;
    drive->current_track_sectors = drive->track_sectors;
    drive->mwdma_mode = 0;
    drive->udma_mode = 0;
    drive->write_cache = true;
    drive->look_ahead = true;
}

const struct ide_protocol ata_protocol = {
    .command = ata_command,
    .data_done = ata_data_done,
    .io_done = ata_io_done,
    .signature = ata_signature,
    .power_on = ata_power_on,
};
