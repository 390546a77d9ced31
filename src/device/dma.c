/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The 8237A pair. How it is used: a driver masks a channel, clears the flip-flop, writes address
 * and count as two bytes each, the page, the mode, and unmasks; the device then asks for transfers
 * until the terminal count.
 *
 * Left out: memory-to-memory transfers and software requests, which the log says; timing and
 * priority bits of the command register have no meaning here.
 */
#include "device/dma.h"

#include "base/log.h"

enum { COMMAND_MEMORY_TO_MEMORY = 1, COMMAND_DISABLE = 4 };
enum { MODE_AUTOINIT = 0x10, MODE_DECREMENT = 0x20 };
enum { MODE_CASCADE = 3 };

/* Where the page registers of channels 0..7 are, from port 0x80; 4 is the refresh page. */
static const uint8_t page_of_channel[8] = {7, 3, 1, 2, 15, 11, 9, 10};

static uint8_t take_byte(struct dma_chip *chip, uint16_t value)
{
    uint8_t byte = chip->high_byte ? value >> 8 : value & 0xff;
    chip->high_byte = !chip->high_byte;
    return byte;
}

static void put_byte(struct dma_chip *chip, uint16_t *base, uint16_t *current, uint8_t byte)
{
    *base = chip->high_byte ? (uint16_t)(byte << 8) | (*base & 0xff) : (*base & 0xff00) | byte;
    *current = *base;
    chip->high_byte = !chip->high_byte;
}

static void master_clear(struct dma_chip *chip)
{
    chip->command = chip->request = chip->terminal = chip->temporary = 0;
    chip->mask = 0x0f;
    chip->high_byte = false;
}

static void write_bit(uint8_t *bits, uint8_t value)
{
    uint8_t bit = (uint8_t)(1u << (value & 3));
    *bits = value & 4 ? *bits | bit : *bits & ~bit;
}

static void write_control(struct dma_chip *chip, unsigned reg, uint8_t value)
{
    switch (reg) {
    case 8:
        chip->command = value;
        if (value & COMMAND_MEMORY_TO_MEMORY)
            log_limited(LOG_UNIMP, "dma: memory-to-memory transfers are not supported");
        break;
    case 9:
        write_bit(&chip->request, value);
        if (value & 4)
            log_limited(LOG_UNIMP, "dma: software requests are not supported");
        break;
    case 10:
        write_bit(&chip->mask, value);
        break;
    case 11:
        chip->channel[value & 3].mode = value & 0xfc;
        break;
    case 12:
        chip->high_byte = false;
        break;
    case 13:
        master_clear(chip);
        break;
    case 14:
        chip->mask = 0;
        break;
    default:
        chip->mask = value & 0x0f;
        break;
    }
}

static void chip_write(struct dma_chip *chip, unsigned reg, uint8_t value)
{
    if (reg >= 8) {
        write_control(chip, reg, value);
        return;
    }
    struct dma_channel *c = &chip->channel[reg >> 1];
    if (reg & 1)
        put_byte(chip, &c->base_count, &c->count, value);
    else
        put_byte(chip, &c->base_address, &c->address, value);
}

static uint8_t chip_read(struct dma_chip *chip, unsigned reg)
{
    if (reg < 8) {
        const struct dma_channel *c = &chip->channel[reg >> 1];
        return take_byte(chip, reg & 1 ? c->count : c->address);
    }
    uint8_t status = chip->terminal | (uint8_t)(chip->waiting << 4);
    switch (reg) {
    case 8:
        chip->terminal = 0;
        return status;
    case 13:
        return chip->temporary;
    case 15: /* the mask, as later chips have it */
        return chip->mask | 0xf0;
    default: /* write only */
        return 0xff;
    }
}

static uint64_t bytes_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return chip_read(opaque, (unsigned)offset);
}

static void bytes_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    chip_write(opaque, (unsigned)offset, (uint8_t)value);
}

/* The second chip's registers are two ports apart. */
static uint64_t words_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return chip_read(opaque, (unsigned)offset >> 1);
}

static void words_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    chip_write(opaque, (unsigned)offset >> 1, (uint8_t)value);
}

static uint64_t page_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    const struct dma *dma = opaque;
    return dma->page[offset];
}

static void page_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    struct dma *dma = opaque;
    dma->page[offset] = (uint8_t)value;
}

static const struct io_ops bytes_ops = {bytes_read, bytes_write, 1, 1};
static const struct io_ops words_ops = {words_read, words_write, 1, 1};
static const struct io_ops page_ops = {page_read, page_write, 1, 1};

enum dma_direction dma_direction(const struct dma *dma, unsigned channel)
{
    channel &= 7;
    return dma->chip[channel >> 2].channel[channel & 3].mode >> 2 & 3;
}

void dma_request(struct dma *dma, unsigned channel, bool level)
{
    channel &= 7;
    struct dma_chip *chip = &dma->chip[channel >> 2];
    uint8_t bit = (uint8_t)(1u << (channel & 3));
    chip->waiting = level ? chip->waiting | bit : chip->waiting & ~bit;
}

static bool may_run(const struct dma *dma, unsigned channel)
{
    const struct dma_chip *chip = &dma->chip[channel >> 2], *joint = &dma->chip[1];
    if (channel == 4 || !dma->mem || (chip->command & COMMAND_DISABLE) ||
        (chip->mask >> (channel & 3) & 1))
        return false;
    /* The first chip's requests go through channel 4. */
    return channel >= 4 || !((joint->command & COMMAND_DISABLE) || (joint->mask & 1));
}

static gpa_t channel_gpa(const struct dma *dma, unsigned channel)
{
    const struct dma_channel *c = &dma->chip[channel >> 2].channel[channel & 3];
    gpa_t page = dma->page[page_of_channel[channel]];
    if (channel < 4)
        return page << 16 | c->address;
    return (page & 0xfe) << 16 | (gpa_t)c->address << 1;
}

/* One transfer cycle: a byte, or a word. */
static void move_unit(struct dma *dma, unsigned channel, uint8_t *buffer)
{
    struct dma_channel *c = &dma->chip[channel >> 2].channel[channel & 3];
    uint64_t unit = channel < 4 ? 1 : 2;
    enum dma_direction direction = c->mode >> 2 & 3;
    if (direction == DMA_TO_MEMORY)
        mem_write(dma->mem, channel_gpa(dma, channel), buffer, unit);
    else if (direction == DMA_FROM_MEMORY)
        mem_read(dma->mem, channel_gpa(dma, channel), buffer, unit);
    /* The address wraps inside its page. */
    c->address += c->mode & MODE_DECREMENT ? -1 : 1;
    c->count--;
}

size_t dma_transfer(struct dma *dma, unsigned channel, void *buffer, size_t length, bool *terminal)
{
    channel &= 7;
    struct dma_chip *chip = &dma->chip[channel >> 2];
    struct dma_channel *c = &chip->channel[channel & 3];
    size_t unit = channel < 4 ? 1 : 2, moved = 0;
    bool ended = false;
    if (may_run(dma, channel) && c->mode >> 6 != MODE_CASCADE) {
        while (!ended && length - moved >= unit) {
            ended = c->count == 0;
            move_unit(dma, channel, (uint8_t *)buffer + moved);
            moved += unit;
        }
    }
    if (ended) {
        uint8_t bit = (uint8_t)(1u << (channel & 3));
        chip->terminal |= bit;
        chip->request &= ~bit;
        if (c->mode & MODE_AUTOINIT) {
            c->address = c->base_address;
            c->count = c->base_count;
        } else {
            chip->mask |= bit;
        }
    }
    if (terminal)
        *terminal = ended;
    return moved;
}

static const struct state_field channel_fields[] = {
    STATE_FIELD(struct dma_channel, base_address), STATE_FIELD(struct dma_channel, base_count),
    STATE_FIELD(struct dma_channel, address),      STATE_FIELD(struct dma_channel, count),
    STATE_FIELD(struct dma_channel, mode),
};
static const struct state_table channel_state = STATE_TABLE("dma-channel", 1, channel_fields, NULL);

static const struct state_field chip_fields[] = {
    STATE_SUB_ARRAY(struct dma_chip, channel, &channel_state),
    STATE_FIELD(struct dma_chip, command),
    STATE_FIELD(struct dma_chip, mask),
    STATE_FIELD(struct dma_chip, request),
    STATE_FIELD(struct dma_chip, terminal),
    STATE_FIELD(struct dma_chip, waiting),
    STATE_FIELD(struct dma_chip, high_byte),
    STATE_FIELD(struct dma_chip, temporary),
};
static const struct state_table chip_state = STATE_TABLE("dma-chip", 1, chip_fields, NULL);

static const struct state_field dma_fields[] = {
    STATE_SUB_ARRAY(struct dma, chip, &chip_state),
    STATE_BLOB(struct dma, page),
};
static const struct state_table dma_state = STATE_TABLE("dma", 1, dma_fields, NULL);

static void dma_reset(struct device *device)
{
    struct dma *dma = (struct dma *)device;
    for (int i = 0; i < 2; i++) {
        memset(dma->chip[i].channel, 0, sizeof(dma->chip[i].channel));
        master_clear(&dma->chip[i]);
    }
    memset(dma->page, 0, sizeof(dma->page));
}

static void dma_fini(struct device *device)
{
    struct dma *dma = (struct dma *)device;
    pio_remove(dma->pio, &dma->chip[0].ports);
    pio_remove(dma->pio, &dma->chip[1].ports);
    pio_remove(dma->pio, &dma->page_ports);
}

static const struct device_type dma_type = {"i8237", &dma_state, dma_reset, dma_fini};

int dma_init(struct dma *dma, struct pio *pio, struct mem *mem)
{
    *dma = (struct dma){.device = {.type = &dma_type}, .mem = mem, .pio = pio};
    dma->chip[0].ports = (struct pio_range){"dma1", 0x00, 16, &bytes_ops, &dma->chip[0]};
    dma->chip[1].ports = (struct pio_range){"dma2", 0xc0, 32, &words_ops, &dma->chip[1]};
    dma->page_ports = (struct pio_range){"dma-page", 0x80, 16, &page_ops, dma};
    int r = pio_add(pio, &dma->chip[0].ports);
    if (r >= 0)
        r = pio_add(pio, &dma->chip[1].ports);
    if (r >= 0)
        r = pio_add(pio, &dma->page_ports);
    if (r < 0)
        return r;
    dma_reset(&dma->device);
    return 0;
}
