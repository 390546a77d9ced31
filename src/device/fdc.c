/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The 82077AA: registers, phases, interrupts and the commands that move no data. How it is used: a
 * driver turns the motor on in the DOR, writes a command byte by byte as the main status register
 * asks for it, waits for the interrupt and reads the result. Section numbers are of the datasheet.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "device/fdc_internal.h"

/* Digital output register. */
enum { DOR_DRIVE = 0x03, DOR_RUN = 0x04, DOR_GATE = 0x08 };
/* Main status register. */
enum { MSR_BUSY = 0x10, MSR_NO_DMA = 0x20, MSR_TO_CPU = 0x40, MSR_READY = 0x80 };
enum { DSR_RESET = 0x80, RATE = 0x03, DIR_CHANGED = 0x80 };
enum { SPECIFY_NO_DMA = 0x01 };
enum { CONFIGURE_FIFO = 0x2f, CONFIGURE_DEFAULT = 0x20 }; /* what LOCK keeps; no FIFO */
enum { ST3_WRITE_PROTECTED = 0x40, ST3_READY = 0x20, ST3_TRACK_0 = 0x10, ST3_TWO_SIDED = 0x08 };
enum { PORT_DOR, PORT_TAPE, PORT_STATUS, PORT_DATA };

#define DELAY_NS 200000 /* of a seek, READ ID and the interrupt after a reset */

/* Interrupts and time */

static void update_line(struct fdc *fdc)
{
    irq_set(&fdc->irq, fdc->interrupt && (fdc->dor & DOR_GATE));
}

void fdc_set_interrupt(struct fdc *fdc, bool level)
{
    fdc->interrupt = level;
    update_line(fdc);
}

static void start_delay(struct fdc *fdc)
{
    fdc->deadline = timers_now(fdc->timer.timers) + DELAY_NS;
    timer_set(&fdc->timer, fdc->deadline);
}

static void delay_ended(void *opaque)
{
    struct fdc *fdc = opaque;
    fdc->deadline = 0;
    if (fdc->reset_ended) {
        fdc->reset_ended = false;
        fdc->after_reset = 4;
        fdc_set_interrupt(fdc, true);
    }
    for (unsigned i = 0; i < FDC_DRIVES; i++) {
        struct fdc_drive *drive = &fdc->drives[i];
        if (!(fdc->seeking >> i & 1))
            continue;
        /* A step of the heads is what takes the change line back, when there is a disk. */
        if (drive->block && drive->present)
            drive->changed = false;
        drive->track = drive->target;
        fdc_set_interrupt(fdc, true);
    }
    fdc->sought |= fdc->seeking;
    fdc->seeking = 0;
    if (fdc->phase == FDC_DELAY)
        fdc_read_id(fdc);
}

/* Reset by the DOR or the DSR (section 4.2): the drives stay as they are. */
static void soft_reset(struct fdc *fdc)
{
    block_cancel(&fdc->request);
    timer_cancel(&fdc->timer);
    fdc->deadline = 0;
    fdc->phase = FDC_COMMAND;
    fdc->length = fdc->position = 0;
    fdc->seeking = fdc->sought = fdc->after_reset = 0;
    fdc->reset_ended = false;
    fdc->perpendicular &= 0x3c; /* GAP and WGATE end */
    if (!fdc->lock) {
        fdc->configure[0] = CONFIGURE_DEFAULT;
        fdc->configure[1] = 0;
    } else {
        fdc->configure[0] &= CONFIGURE_FIFO;
    }
    fdc_set_interrupt(fdc, false);
}

static void reset_ends(struct fdc *fdc)
{
    fdc->reset_ended = true;
    start_delay(fdc);
}

/* What commands share */

struct fdc_drive *fdc_drive(struct fdc *fdc)
{
    unsigned index = fdc->fifo[1] & 3;
    return index < FDC_DRIVES && fdc->drives[index].present ? &fdc->drives[index] : NULL;
}

uint8_t fdc_status0(const struct fdc *fdc)
{
    return fdc->fifo[1] & 7;
}

bool fdc_uses_dma(const struct fdc *fdc)
{
    return !(fdc->specify[1] & SPECIFY_NO_DMA);
}

static void command_phase(struct fdc *fdc)
{
    fdc->phase = FDC_COMMAND;
    fdc->length = fdc->position = 0;
}

void fdc_result(struct fdc *fdc, uint8_t length, bool interrupt)
{
    fdc->phase = FDC_RESULT;
    fdc->length = length;
    fdc->position = 0;
    if (interrupt)
        fdc_set_interrupt(fdc, true);
}

static void result_byte(struct fdc *fdc, uint8_t value)
{
    fdc->fifo[0] = value;
    fdc_result(fdc, 1, false);
}

/* The simple commands, section 5.2 */

static void invalid(struct fdc *fdc)
{
    result_byte(fdc, ST0_INVALID);
}

static void specify(struct fdc *fdc)
{
    memcpy(fdc->specify, fdc->fifo + 1, sizeof(fdc->specify));
    command_phase(fdc);
}

static void sense_drive(struct fdc *fdc)
{
    const struct fdc_drive *drive = fdc_drive(fdc);
    uint8_t status = fdc_status0(fdc) | ST3_READY | ST3_TWO_SIDED;
    if (drive && drive->track == 0)
        status |= ST3_TRACK_0;
    if (drive && drive->block && block_read_only(drive->block))
        status |= ST3_WRITE_PROTECTED;
    result_byte(fdc, status);
}

/* Seeks of several drives may overlap; the number is that of the drive. */
static void move_heads(struct fdc *fdc, uint8_t track)
{
    unsigned index = fdc->fifo[1] & 3;
    if (index < FDC_DRIVES) {
        fdc->drives[index].target = track;
        fdc->seeking |= (uint8_t)(1u << index);
        start_delay(fdc);
    }
    command_phase(fdc);
}

static void recalibrate(struct fdc *fdc)
{
    move_heads(fdc, 0);
}

static void seek(struct fdc *fdc)
{
    move_heads(fdc, fdc->fifo[2]);
}

static void sense_interrupt(struct fdc *fdc)
{
    uint8_t status, track = 0;
    if (fdc->after_reset) {
        unsigned index = 4u - fdc->after_reset--;
        status = (uint8_t)(ST0_POLLING | index);
        if (index < FDC_DRIVES)
            track = fdc->drives[index].track;
    } else if (fdc->sought) {
        unsigned index = fdc->sought & 1 ? 0 : 1;
        const struct fdc_drive *drive = &fdc->drives[index];
        fdc->sought &= (uint8_t) ~(1u << index);
        status = (uint8_t)(ST0_SEEK_END | index);
        track = drive->track;
        if (!drive->present && track == 0) /* the signal of track 0 never came */
            status |= ST0_ABNORMAL | ST0_EQUIPMENT;
    } else {
        invalid(fdc);
        return;
    }
    fdc_set_interrupt(fdc, fdc->sought != 0);
    fdc->fifo[0] = status;
    fdc->fifo[1] = track;
    fdc_result(fdc, 2, false);
}

static void read_id(struct fdc *fdc)
{
    fdc->phase = FDC_DELAY;
    start_delay(fdc);
}

static void dump_registers(struct fdc *fdc)
{
    uint8_t end = fdc->sector;
    uint8_t *out = fdc->fifo;
    memset(out, 0, FDC_RESULTS);
    for (unsigned i = 0; i < FDC_DRIVES; i++)
        out[i] = fdc->drives[i].track;
    out[4] = fdc->specify[0];
    out[5] = fdc->specify[1];
    out[6] = end;
    out[7] = (uint8_t)(fdc->lock << 7 | fdc->perpendicular);
    out[8] = fdc->configure[0];
    out[9] = fdc->configure[1];
    fdc_result(fdc, 10, false);
}

static void version(struct fdc *fdc)
{
    result_byte(fdc, 0x90); /* with CONFIGURE and a FIFO */
}

static void perpendicular(struct fdc *fdc)
{
    uint8_t value = fdc->fifo[1];
    uint8_t kept = value & 0x80 ? 0 : fdc->perpendicular & 0x3c; /* OW: the drives' bits too */
    fdc->perpendicular = kept | (value & (value & 0x80 ? 0x3f : 0x03));
    command_phase(fdc);
}

static void configure(struct fdc *fdc)
{
    fdc->configure[0] = fdc->fifo[2] & 0x7f;
    fdc->configure[1] = fdc->fifo[3];
    command_phase(fdc);
}

static void lock(struct fdc *fdc)
{
    fdc->lock = fdc->fifo[0] & MULTI_TRACK;
    result_byte(fdc, (uint8_t)(fdc->lock << 4));
}

/* modifiers: bits of the command byte that may be set (MT, MFM, SK). length: with the command. */
struct command {
    uint8_t modifiers, length;
    void (*run)(struct fdc *fdc);
};

static const struct command commands[CMD_CODE + 1] = {
    [CMD_SPECIFY] = {0x00, 3, specify},
    [CMD_SENSE_DRIVE] = {0x00, 2, sense_drive},
    [CMD_WRITE] = {0xc0, 9, fdc_transfer_start},
    [CMD_READ] = {0xe0, 9, fdc_transfer_start},
    [CMD_RECALIBRATE] = {0x00, 2, recalibrate},
    [CMD_SENSE_INTERRUPT] = {0x00, 1, sense_interrupt},
    [CMD_READ_ID] = {0x40, 2, read_id},
    [CMD_FORMAT] = {0x40, 6, fdc_transfer_start},
    [CMD_DUMPREG] = {0x00, 1, dump_registers},
    [CMD_SEEK] = {0x00, 3, seek},
    [CMD_VERSION] = {0x00, 1, version},
    [CMD_PERPENDICULAR] = {0x00, 2, perpendicular},
    [CMD_CONFIGURE] = {0x00, 4, configure},
    [CMD_LOCK] = {0x80, 1, lock},
    [CMD_VERIFY] = {0xe0, 9, fdc_transfer_start},
};

/* NULL: invalid. */
static const struct command *find_command(uint8_t byte)
{
    const struct command *command = &commands[byte & CMD_CODE];
    return command->run && !(byte & ~CMD_CODE & ~command->modifiers) ? command : NULL;
}

static void command_byte(struct fdc *fdc, uint8_t value)
{
    if (fdc->length == 0 && !find_command(value)) {
        log_limited(LOG_GUEST_ERRORS, "fdc: command 0x%02x is invalid, or not supported", value);
        invalid(fdc);
        return;
    }
    fdc->fifo[fdc->length++] = value;
    const struct command *command = find_command(fdc->fifo[0]);
    if (fdc->length == command->length)
        command->run(fdc);
}

/* Registers, section 2 */

static void write_dor(struct fdc *fdc, uint8_t value)
{
    uint8_t before = fdc->dor;
    fdc->dor = value;
    if (!(value & DOR_RUN))
        soft_reset(fdc);
    else if (!(before & DOR_RUN))
        reset_ends(fdc);
    update_line(fdc);
}

static uint8_t main_status(const struct fdc *fdc)
{
    uint8_t status = fdc->seeking;
    if (!(fdc->dor & DOR_RUN))
        return 0;
    switch (fdc->phase) {
    case FDC_COMMAND:
        return status | MSR_READY | (fdc->length ? MSR_BUSY : 0);
    case FDC_PIO_IN:
        return status | MSR_READY | MSR_TO_CPU | MSR_NO_DMA | MSR_BUSY;
    case FDC_PIO_OUT:
        return status | MSR_READY | MSR_NO_DMA | MSR_BUSY;
    case FDC_RESULT:
        return status | MSR_READY | MSR_TO_CPU | MSR_BUSY;
    default:
        return status | MSR_BUSY;
    }
}

static uint8_t read_data(struct fdc *fdc)
{
    if (fdc->phase == FDC_PIO_IN)
        return fdc_pio_read(fdc);
    if (fdc->phase != FDC_RESULT)
        return 0;
    uint8_t value = fdc->fifo[fdc->position++];
    /* Ends of seeks keep the line up until they are told. */
    if (fdc->position == 1 && !fdc->sought && !fdc->after_reset)
        fdc_set_interrupt(fdc, false);
    if (fdc->position == fdc->length)
        command_phase(fdc);
    return value;
}

static void write_data(struct fdc *fdc, uint8_t value)
{
    if (!(fdc->dor & DOR_RUN))
        return;
    if (fdc->phase == FDC_PIO_OUT)
        fdc_pio_write(fdc, value);
    else if (fdc->phase == FDC_COMMAND)
        command_byte(fdc, value);
}

static void write_rate_select(struct fdc *fdc, uint8_t value)
{
    fdc->rate = value & RATE;
    if (value & DSR_RESET) { /* ends by itself */
        soft_reset(fdc);
        if (fdc->dor & DOR_RUN)
            reset_ends(fdc);
    }
}

static uint64_t fdc_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    struct fdc *fdc = opaque;
    switch (offset) {
    case PORT_DOR:
        return fdc->dor;
    case PORT_TAPE:
        return fdc->tape | 0xfc;
    case PORT_STATUS:
        return main_status(fdc);
    default:
        return read_data(fdc);
    }
}

static void fdc_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    struct fdc *fdc = opaque;
    switch (offset) {
    case PORT_DOR:
        write_dor(fdc, (uint8_t)value);
        break;
    case PORT_TAPE:
        fdc->tape = value & 3;
        break;
    case PORT_STATUS:
        write_rate_select(fdc, (uint8_t)value);
        break;
    default:
        write_data(fdc, (uint8_t)value);
        break;
    }
}

/* Digital input, section 2.1.7: the change line of the selected drive. */
static uint64_t control_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset;
    (void)size;
    const struct fdc *fdc = opaque;
    unsigned index = fdc->dor & DOR_DRIVE;
    bool changed = index < FDC_DRIVES && fdc->drives[index].present && fdc->drives[index].changed;
    return changed ? DIR_CHANGED | 0x7f : 0x7f;
}

static void control_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)offset;
    (void)size;
    struct fdc *fdc = opaque;
    fdc->rate = value & RATE;
}

static const struct io_ops fdc_ops = {fdc_read, fdc_write, 1, 1};
static const struct io_ops control_ops = {control_read, control_write, 1, 1};

/* State */

static bool state_is_sane(struct fdc *fdc)
{
    bool in_command = fdc->phase != FDC_COMMAND && fdc->phase != FDC_RESULT;
    const struct command *command = find_command(fdc->fifo[0]);
    if (fdc->phase > FDC_RESULT || fdc->length > FDC_RESULTS || fdc->chunk > FDC_SECTORS_MAX ||
        fdc->filled > sizeof(fdc->buffer) || fdc->moved > fdc->filled || fdc->after_reset > 4 ||
        fdc->seeking >> FDC_DRIVES || fdc->sought >> FDC_DRIVES || fdc->rate > 3 || fdc->head > 1)
        return false;
    if (fdc->phase == FDC_RESULT)
        return fdc->position < fdc->length;
    if (fdc->phase == FDC_COMMAND)
        return fdc->length == 0 || (command && fdc->length < command->length);
    if (in_command && !command)
        return false;
    if (fdc->phase == FDC_DELAY)
        return (fdc->fifo[0] & CMD_CODE) == CMD_READ_ID && fdc->deadline;
    const struct fdc_drive *drive = fdc_drive(fdc);
    if (!drive || !drive->block || command->run != fdc_transfer_start)
        return false;
    if (fdc->phase == FDC_BUSY)
        return fdc->chunk > 0 && fdc->sector > 0 &&
               fdc->sector - 1 + fdc->chunk <= drive->format.sectors &&
               drive->track < drive->format.tracks && fdc->head < drive->format.heads;
    return fdc->moved < fdc->filled;
}

static int fdc_loaded(void *object, struct error *err)
{
    struct fdc *fdc = object;
    block_cancel(&fdc->request);
    timer_cancel(&fdc->timer);
    if (!state_is_sane(fdc))
        return error_set(err, EINVAL,
                         "the floppy controller cannot be in the state that was saved");
    if (fdc->deadline)
        timer_set(&fdc->timer, fdc->deadline);
    update_line(fdc);
    if (fdc->phase == FDC_BUSY)
        fdc_submit(fdc);
    return 0;
}

static const struct state_field drive_fields[] = {
    STATE_FIELD(struct fdc_drive, track),
    STATE_FIELD(struct fdc_drive, target),
    STATE_FIELD(struct fdc_drive, changed),
};
static const struct state_table drive_state = STATE_TABLE("fdc-drive", 1, drive_fields, NULL);

static const struct state_field fdc_fields[] = {
    STATE_SUB_ARRAY(struct fdc, drives, &drive_state),
    STATE_FIELD(struct fdc, dor),
    STATE_FIELD(struct fdc, tape),
    STATE_FIELD(struct fdc, rate),
    STATE_BLOB(struct fdc, specify),
    STATE_BLOB(struct fdc, configure),
    STATE_FIELD(struct fdc, perpendicular),
    STATE_FIELD(struct fdc, lock),
    STATE_FIELD(struct fdc, phase),
    STATE_BLOB(struct fdc, fifo),
    STATE_FIELD(struct fdc, length),
    STATE_FIELD(struct fdc, position),
    STATE_FIELD(struct fdc, head),
    STATE_FIELD(struct fdc, sector),
    STATE_FIELD(struct fdc, chunk),
    STATE_FIELD(struct fdc, filled),
    STATE_FIELD(struct fdc, moved),
    STATE_FIELD(struct fdc, terminal),
    STATE_FIELD(struct fdc, io_write),
    STATE_FIELD(struct fdc, interrupt),
    STATE_FIELD(struct fdc, seeking),
    STATE_FIELD(struct fdc, sought),
    STATE_FIELD(struct fdc, after_reset),
    STATE_FIELD(struct fdc, reset_ended),
    STATE_FIELD(struct fdc, deadline),
    STATE_BLOB(struct fdc, buffer),
};
static const struct state_table fdc_state = STATE_TABLE("fdc", 1, fdc_fields, fdc_loaded);

/* Life */

static void fdc_reset(struct device *device)
{
    struct fdc *fdc = (struct fdc *)device;
    fdc->lock = false;
    fdc->dor = fdc->tape = fdc->perpendicular = 0;
    fdc->rate = 2;
    fdc->head = fdc->sector = fdc->chunk = 0;
    fdc->filled = fdc->moved = 0;
    fdc->terminal = fdc->io_write = false;
    memset(fdc->specify, 0, sizeof(fdc->specify));
    memset(fdc->fifo, 0, sizeof(fdc->fifo));
    memset(fdc->buffer, 0, sizeof(fdc->buffer));
    soft_reset(fdc);
    for (unsigned i = 0; i < FDC_DRIVES; i++) {
        fdc->drives[i].track = fdc->drives[i].target = 0;
        fdc->drives[i].changed = true;
    }
}

static void fdc_fini(struct device *device)
{
    struct fdc *fdc = (struct fdc *)device;
    block_cancel(&fdc->request);
    timer_cancel(&fdc->timer);
    pio_remove(fdc->pio, &fdc->ports);
    pio_remove(fdc->pio, &fdc->control_port);
}

static const struct device_type fdc_type = {"isa-fdc", &fdc_state, fdc_reset, fdc_fini};

int fdc_init(struct fdc *fdc, struct pio *pio, struct timers *timers, struct dma *dma,
             struct irq irq)
{
    *fdc = (struct fdc){.device = {.type = &fdc_type}, .dma = dma, .irq = irq, .pio = pio};
    timer_init(&fdc->timer, timers, delay_ended, fdc);
    fdc->ports = (struct pio_range){"fdc", 0x3f2, 4, &fdc_ops, fdc};
    fdc->control_port = (struct pio_range){"fdc-control", 0x3f7, 1, &control_ops, fdc};
    int r = pio_add(pio, &fdc->ports);
    if (r >= 0)
        r = pio_add(pio, &fdc->control_port);
    if (r < 0)
        return r;
    fdc_reset(&fdc->device);
    return 0;
}

/* The formats there are, by size. 1.68M and 1.72M are how Microsoft and Linux stretched 1.44M. */
static const struct fdc_format formats[] = {
    {40, 1, 8, 1},  {40, 1, 9, 1},  {40, 2, 8, 1},  {40, 2, 9, 1},  {80, 2, 9, 3},
    {80, 2, 15, 2}, {80, 2, 18, 4}, {80, 2, 21, 4}, {82, 2, 21, 4}, {80, 2, 36, 5},
};

static uint64_t format_size(const struct fdc_format *format)
{
    return (uint64_t)format->tracks * format->heads * format->sectors;
}

int fdc_attach(struct fdc *fdc, unsigned index, struct block *block)
{
    static const struct fdc_format common = {80, 2, 18, 4}, largest = {80, 2, 36, 5};
    struct fdc_drive *drive = &fdc->drives[index];
    uint64_t size = block ? block_sectors(block) : 0;
    if (size > format_size(&largest))
        return -EINVAL;
    *drive = (struct fdc_drive){.present = true, .block = block, .changed = true};
    drive->format = size > format_size(&common) ? largest : common;
    for (unsigned i = 0; i < ARRAY_LEN(formats); i++)
        if (format_size(&formats[i]) == size)
            drive->format = formats[i];
    return 0;
}

uint8_t fdc_drive_type(const struct fdc *fdc, unsigned index)
{
    return fdc->drives[index].present ? fdc->drives[index].format.type : 0;
}
