/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An IDE channel: the command and control block ports, selection, INTRQ, resets, and the ways data
 * takes between a drive's buffer, the data port, the bus master and the image (ATA/ATAPI-6,
 * chapters 7 and 9). What commands mean is in ata.c and atapi.c.
 *
 * Both drives latch what is written to the registers; the selected one answers. An absent drive 1
 * is answered for by drive 0, with a status of 0; a channel without drives reads as 0, as pulled
 * down.
 */
#include "device/ide_drive.h"

#include <errno.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"

enum { REG_DATA = 0, REG_ERROR = 1, REG_DEVICE = 6, REG_STATUS = 7 };

static struct ide_drive *selected_drive(struct ide_channel *channel)
{
    return &channel->drives[channel->selected];
}

static void update_line(struct ide_channel *channel)
{
    bool level = selected_drive(channel)->intrq && !(channel->control & CONTROL_NIEN);
    if (level == channel->line)
        return;
    channel->line = level;
    if (level)
        channel->bmdma.status |= BMDMA_INTERRUPT;
    irq_set(&channel->irq, level);
}

void ide_interrupt(struct ide_drive *drive)
{
    drive->intrq = true;
    update_line(drive->channel);
}

void ide_complete(struct ide_drive *drive, uint8_t status, uint8_t error)
{
    drive->phase = IDE_IDLE;
    drive->status = status;
    drive->error = error;
    ide_interrupt(drive);
}

static void move_dma(struct ide_drive *drive)
{
    struct ide_channel *channel = drive->channel;
    drive->position += (uint32_t)bmdma_transfer(
        &channel->bmdma, &channel->ide->pci, drive->buffer + drive->position,
        drive->limit - drive->position, drive->phase == IDE_DMA_IN);
}

/* The DRQ block is through. */
static void end_transfer(struct ide_drive *drive)
{
    drive->phase = IDE_IDLE;
    drive->status &= (uint8_t)~STATUS_DRQ;
    drive->protocol->data_done(drive);
}

static void run_dma(struct ide_drive *drive)
{
    move_dma(drive);
    if (drive->position == drive->limit)
        end_transfer(drive);
}

void ide_channel_run_dma(struct ide_channel *channel)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ide_drive *drive = &channel->drives[i];
        if (drive->phase == IDE_DMA_IN || drive->phase == IDE_DMA_OUT)
            run_dma(drive);
    }
}

void ide_transfer(struct ide_drive *drive, enum ide_phase phase, uint32_t limit)
{
    drive->phase = (uint8_t)phase;
    drive->limit = limit;
    drive->status = STATUS_DRDY | STATUS_DSC | STATUS_DRQ;
    if (phase == IDE_DMA_IN || phase == IDE_DMA_OUT)
        run_dma(drive);
}

static void io_done(struct block_request *request, int result)
{
    struct ide_drive *drive = request->opaque;
    drive->io_active = false;
    drive->phase = IDE_IDLE;
    drive->status = STATUS_DRDY | STATUS_DSC;
    if (result < 0)
        log_limited(LOG_GUEST_ERRORS, "ide: drive %u: I/O error %d at sector %llu", drive->index,
                    -result, (unsigned long long)drive->io_sector);
    drive->protocol->io_done(drive, result);
}

static void submit_io(struct ide_drive *drive)
{
    drive->request = (struct block_request){
        .op = (enum block_op)drive->io_op,
        .sector = drive->io_sector,
        .sectors = drive->io_count,
        .buffer = drive->buffer + drive->io_offset,
        .done = io_done,
        .opaque = drive,
    };
    block_submit(drive->block, &drive->request);
}

void ide_io(struct ide_drive *drive, enum block_op op, uint64_t sector, uint32_t count,
            uint32_t offset)
{
    drive->phase = IDE_BUSY;
    drive->status = STATUS_BSY;
    drive->io_active = true;
    drive->io_op = (uint8_t)op;
    drive->io_sector = sector;
    drive->io_count = count;
    drive->io_offset = offset;
    submit_io(drive);
}

void ide_drive_stop(struct ide_drive *drive)
{
    block_cancel(&drive->request);
    drive->io_active = false;
    drive->phase = IDE_IDLE;
    drive->position = 0;
    drive->limit = 0;
    drive->filled = 0;
    drive->packet_expected = false;
}

void ide_drive_reset(struct ide_drive *drive)
{
    ide_drive_stop(drive);
    memset(drive->task, 0, sizeof(drive->task));
    memset(drive->previous, 0, sizeof(drive->previous));
    drive->device = DEVICE_ONES;
    drive->error = 1; /* diagnostic code: passed */
    drive->intrq = false;
    drive->status = 0;
    if (drive->protocol)
        drive->protocol->signature(drive);
}

/* --- The ports --- */

static uint32_t read_data(struct ide_drive *drive, unsigned size)
{
    if (drive->phase != IDE_PIO_IN)
        return 0;
    uint32_t n = (uint32_t)min_u64(size, drive->limit - drive->position);
    uint32_t value = (uint32_t)load_le(drive->buffer + drive->position, n);
    drive->position += n;
    if (drive->position == drive->limit)
        end_transfer(drive);
    return value;
}

static void write_data(struct ide_drive *drive, uint32_t value, unsigned size)
{
    if (drive->phase != IDE_PIO_OUT)
        return;
    uint32_t n = (uint32_t)min_u64(size, drive->limit - drive->position);
    store_le(drive->buffer + drive->position, value, n);
    drive->position += n;
    if (drive->position == drive->limit)
        end_transfer(drive);
}

static bool channel_empty(const struct ide_channel *channel)
{
    return channel->drives[0].kind == IDE_NONE && channel->drives[1].kind == IDE_NONE;
}

static uint8_t read_status(struct ide_channel *channel)
{
    if (channel->control & CONTROL_SRST)
        return channel_empty(channel) ? 0 : STATUS_BSY;
    return selected_drive(channel)->status;
}

static uint8_t read_register(struct ide_channel *channel, unsigned reg)
{
    struct ide_drive *drive = selected_drive(channel);
    if (channel_empty(channel))
        return 0;
    if (reg == REG_STATUS) {
        uint8_t status = read_status(channel);
        drive->intrq = false;
        update_line(channel);
        return status;
    }
    if (drive->kind == IDE_NONE) {
        if (channel->selected == 0)
            return 0;
        drive = &channel->drives[0];
    }
    if (reg == REG_ERROR)
        return channel->control & CONTROL_HOB ? drive->previous[TASK_FEATURES] : drive->error;
    if (reg == REG_DEVICE)
        return drive->device;
    return channel->control & CONTROL_HOB ? drive->previous[reg - 1] : drive->task[reg - 1];
}

/* Both drives run it whichever is selected; drive 0 reports for both. */
static void execute_diagnostic(struct ide_channel *channel)
{
    for (unsigned i = 0; i < 2; i++)
        ide_drive_reset(&channel->drives[i]);
    channel->selected = 0;
    ide_interrupt(&channel->drives[channel->drives[0].kind == IDE_NONE]);
    update_line(channel);
}

static void write_command(struct ide_channel *channel, uint8_t opcode)
{
    struct ide_drive *drive = selected_drive(channel);
    if (channel_empty(channel))
        return;
    bool reset = opcode == COMMAND_DEVICE_RESET && drive->kind == IDE_CD;
    if ((drive->status & (STATUS_BSY | STATUS_DRQ)) && !reset)
        return;
    drive->intrq = false;
    update_line(channel);
    if (opcode == COMMAND_DIAGNOSTIC) {
        execute_diagnostic(channel);
    } else if (reset) {
        /* The selection stays (ATA/ATAPI-6, 8.7); no interrupt. */
        uint8_t device = drive->device & DEVICE_DEV;
        ide_drive_reset(drive);
        drive->device |= device;
    } else if (drive->kind != IDE_NONE) {
        drive->command = opcode;
        drive->error = 0;
        drive->protocol->command(drive, opcode);
    }
}

static void write_register(struct ide_channel *channel, unsigned reg, uint8_t value)
{
    if (channel->control & CONTROL_SRST)
        return;
    channel->control &= (uint8_t)~CONTROL_HOB;
    if (reg == REG_STATUS) {
        write_command(channel, value);
        return;
    }
    if (selected_drive(channel)->status & STATUS_BSY)
        return;
    for (unsigned i = 0; i < 2; i++) {
        struct ide_drive *drive = &channel->drives[i];
        if (reg == REG_DEVICE) {
            drive->device = value | DEVICE_ONES;
        } else {
            drive->previous[reg - 1] = drive->task[reg - 1];
            drive->task[reg - 1] = value;
        }
    }
    if (reg == REG_DEVICE) {
        channel->selected = !!(value & DEVICE_DEV);
        update_line(channel);
    }
}

static uint64_t command_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ide_channel *channel = opaque;
    uint32_t value = 0;
    if (!ide_channel_decoded(channel))
        return UINT64_MAX;
    if (offset == REG_DATA)
        return read_data(selected_drive(channel), size);
    for (unsigned i = 0; i < size && offset + i <= REG_STATUS; i++)
        value |= (uint32_t)read_register(channel, (unsigned)offset + i) << (8 * i);
    return value;
}

static void command_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct ide_channel *channel = opaque;
    if (!ide_channel_decoded(channel))
        return;
    if (offset == REG_DATA) {
        write_data(selected_drive(channel), (uint32_t)value, size);
        return;
    }
    for (unsigned i = 0; i < size && offset + i <= REG_STATUS; i++)
        write_register(channel, (unsigned)offset + i, (uint8_t)(value >> (8 * i)));
}

static const struct io_ops command_ops = {
    .read = command_read, .write = command_write, .min_size = 1, .max_size = 4};

static uint64_t control_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ide_channel *channel = opaque;
    (void)offset;
    (void)size;
    return ide_channel_decoded(channel) ? read_status(channel) : UINT64_MAX;
}

static void control_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct ide_channel *channel = opaque;
    (void)offset;
    (void)size;
    if (!ide_channel_decoded(channel))
        return;
    bool was = channel->control & CONTROL_SRST;
    channel->control = value & (CONTROL_NIEN | CONTROL_SRST | CONTROL_HOB);
    if (!was && (value & CONTROL_SRST)) {
        channel->selected = 0;
        for (unsigned i = 0; i < 2; i++)
            ide_drive_reset(&channel->drives[i]);
    }
    update_line(channel);
}

static const struct io_ops control_ops = {
    .read = control_read, .write = control_write, .min_size = 1, .max_size = 1};

/* --- Birth, reset, state --- */

void ide_channel_init(struct ide_channel *channel, struct ide *ide, unsigned index, struct irq irq)
{
    static const uint16_t command_base[2] = {0x1f0, 0x170};
    static const uint16_t control_base[2] = {0x3f6, 0x376};
    static const char *const names[2] = {"ide0", "ide1"};
    channel->ide = ide;
    channel->index = index;
    channel->irq = irq;
    for (unsigned i = 0; i < 2; i++) {
        channel->drives[i].channel = channel;
        channel->drives[i].index = index * 2 + i;
    }
    channel->command_ports = (struct pio_range){.name = names[index],
                                                .first = command_base[index],
                                                .count = 8,
                                                .ops = &command_ops,
                                                .opaque = channel};
    channel->control_ports = (struct pio_range){.name = names[index],
                                                .first = control_base[index],
                                                .count = 1,
                                                .ops = &control_ops,
                                                .opaque = channel};
}

int ide_channel_add_ports(struct ide_channel *channel)
{
    int ret = pio_add(channel->ide->pio, &channel->command_ports);
    return ret < 0 ? ret : pio_add(channel->ide->pio, &channel->control_ports);
}

void ide_channel_stop(struct ide_channel *channel)
{
    for (unsigned i = 0; i < 2; i++)
        ide_drive_stop(&channel->drives[i]);
}

void ide_channel_reset(struct ide_channel *channel)
{
    channel->selected = 0;
    channel->control = 0;
    bmdma_reset(&channel->bmdma);
    for (unsigned i = 0; i < 2; i++) {
        struct ide_drive *drive = &channel->drives[i];
        if (drive->protocol)
            drive->protocol->power_on(drive);
        ide_drive_reset(drive);
    }
    update_line(channel);
}

static bool drive_state_is_sane(const struct ide_drive *drive)
{
    if (drive->phase > IDE_DMA_OUT || drive->limit > IDE_BUFFER_BYTES ||
        drive->filled > IDE_BUFFER_BYTES || drive->multiple > 16 ||
        (drive->multiple & (drive->multiple - 1)))
        return false;
    /* What goes on from here takes filled - position for what is left. */
    if (drive->position > drive->filled)
        return false;
    if (drive->phase >= IDE_PIO_IN &&
        (drive->position >= drive->limit || drive->limit > drive->filled))
        return false;
    if ((drive->phase != IDE_IDLE || drive->io_active) && drive->kind == IDE_NONE)
        return false;
    if (drive->kind == IDE_DISK && !(drive->current_heads && drive->current_track_sectors))
        return false;
    if (!drive->block && drive->remaining)
        return false;
    if (drive->io_active != (drive->phase == IDE_BUSY))
        return false;
    return !drive->io_active ||
           (drive->block && drive->io_op <= BLOCK_FLUSH && drive->io_offset <= IDE_BUFFER_BYTES &&
            drive->io_count <= (IDE_BUFFER_BYTES - drive->io_offset) / SECTOR_SIZE);
}

static int drive_loaded(void *object, struct error *err)
{
    struct ide_drive *drive = object;
    block_cancel(&drive->request);
    if (!drive_state_is_sane(drive))
        return error_set(err, EINVAL, "IDE drive %u cannot be in the state that was saved",
                         drive->index);
    if (drive->io_active)
        submit_io(drive);
    return 0;
}

static const struct state_field drive_fields[] = {
    STATE_ARRAY(struct ide_drive, task),
    STATE_ARRAY(struct ide_drive, previous),
    STATE_FIELD(struct ide_drive, device),
    STATE_FIELD(struct ide_drive, error),
    STATE_FIELD(struct ide_drive, status),
    STATE_FIELD(struct ide_drive, intrq),
    STATE_FIELD(struct ide_drive, command),
    STATE_FIELD(struct ide_drive, phase),
    STATE_FIELD(struct ide_drive, lba),
    STATE_FIELD(struct ide_drive, remaining),
    STATE_FIELD(struct ide_drive, filled),
    STATE_FIELD(struct ide_drive, position),
    STATE_FIELD(struct ide_drive, limit),
    STATE_FIELD(struct ide_drive, careful),
    STATE_FIELD(struct ide_drive, io_active),
    STATE_FIELD(struct ide_drive, io_op),
    STATE_FIELD(struct ide_drive, io_sector),
    STATE_FIELD(struct ide_drive, io_count),
    STATE_FIELD(struct ide_drive, io_offset),
    STATE_FIELD(struct ide_drive, byte_limit),
    STATE_FIELD(struct ide_drive, packet_dma),
    STATE_FIELD(struct ide_drive, packet_expected),
    STATE_BLOB(struct ide_drive, packet),
    STATE_FIELD(struct ide_drive, multiple),
    STATE_FIELD(struct ide_drive, current_cylinders),
    STATE_FIELD(struct ide_drive, current_heads),
    STATE_FIELD(struct ide_drive, current_track_sectors),
    STATE_FIELD(struct ide_drive, mwdma_mode),
    STATE_FIELD(struct ide_drive, udma_mode),
    STATE_FIELD(struct ide_drive, write_cache),
    STATE_FIELD(struct ide_drive, look_ahead),
    STATE_FIELD(struct ide_drive, sense_key),
    STATE_FIELD(struct ide_drive, sense_asc),
    STATE_FIELD(struct ide_drive, sense_ascq),
    STATE_FIELD(struct ide_drive, attention_asc),
    STATE_FIELD(struct ide_drive, attention_ascq),
    STATE_FIELD(struct ide_drive, media_event),
    STATE_FIELD(struct ide_drive, tray_open),
    STATE_FIELD(struct ide_drive, tray_locked),
    STATE_BLOB(struct ide_drive, buffer),
};

static const struct state_table drive_state =
    STATE_TABLE("ide-drive", 1, drive_fields, drive_loaded);

static int channel_loaded(void *object, struct error *err)
{
    struct ide_channel *channel = object;
    (void)err;
    channel->selected &= 1;
    irq_set(&channel->irq, channel->line);
    return 0;
}

static const struct state_field channel_fields[] = {
    STATE_SUB_ARRAY(struct ide_channel, drives, &drive_state),
    STATE_SUB(struct ide_channel, bmdma, &bmdma_state),
    STATE_FIELD(struct ide_channel, selected),
    STATE_FIELD(struct ide_channel, control),
    STATE_FIELD(struct ide_channel, line),
};

const struct state_table ide_channel_state =
    STATE_TABLE("ide-channel", 1, channel_fields, channel_loaded);
