/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two 8259A. How they are used: the BIOS writes ICW1..4, drivers mask and unmask by OCW1 (A0=1) and
 * end interrupts by OCW2 (A0=0); the processor's acknowledge comes in by pic_acknowledge().
 *
 * Left out, because no PC can see it: the 8080 call mode, buffered mode, cascades other than IR2,
 * and ICW1's LTIM (the PIIX3 ignores it in favour of ELCR).
 */
#include "device/pic.h"

#include <stdio.h>
#include <stdlib.h>

enum { CASCADE = 2 };

/* How far IR n is from the top: 0 is the highest priority. */
static unsigned rank(const struct pic_chip *chip, unsigned n)
{
    return (n - chip->highest) & 7;
}

/* The IR of highest priority among bits, or -1. */
static int first_of(const struct pic_chip *chip, uint8_t bits)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = (chip->highest + i) & 7;
        if (bits >> n & 1)
            return (int)n;
    }
    return -1;
}

/* The IR that the chip would signal now, or -1. */
static int requested(const struct pic_chip *chip)
{
    int n = first_of(chip, chip->irr & ~chip->imr);
    if (n < 0)
        return -1;
    uint8_t blocking = chip->isr;
    if (chip->special_mask)
        blocking &= ~chip->imr;
    /* Special fully nested mode lets the slave interrupt its own service. */
    if (chip->nested && chip->master)
        blocking &= ~(1u << CASCADE);
    int serving = first_of(chip, blocking);
    if (serving >= 0 && rank(chip, (unsigned)serving) <= rank(chip, (unsigned)n))
        return -1;
    return n;
}

static void set_output(struct pic_chip *chip, bool level)
{
    chip->output = level;
    irq_set(&chip->out, level);
}

static void update(struct pic_chip *chip)
{
    set_output(chip, requested(chip) >= 0);
}

static void set_line(struct pic_chip *chip, unsigned n, bool level)
{
    uint8_t bit = (uint8_t)(1u << n);
    bool was = chip->lines & bit;
    chip->lines = level ? chip->lines | bit : chip->lines & ~bit;
    if (chip->elcr & bit)
        chip->irr = level ? chip->irr | bit : chip->irr & ~bit;
    else if (level && !was)
        chip->irr |= bit;
    update(chip);
}

/* The slave's INT pin ends here. */
static void cascade(void *opaque, int n, bool level)
{
    set_line(opaque, (unsigned)n, level);
}

void pic_set_irq(void *opaque, int n, bool level)
{
    struct pic *pic = opaque;
    if (n == CASCADE || n < 0 || n > 15)
        return;
    set_line(&pic->chip[n >> 3], (unsigned)n & 7, level);
}

static void begin_service(struct pic_chip *chip, unsigned n)
{
    uint8_t bit = (uint8_t)(1u << n);
    if (!(chip->elcr & bit))
        chip->irr &= ~bit;
    if (!chip->auto_eoi)
        chip->isr |= bit;
    else if (chip->rotate_on_auto_eoi)
        chip->highest = (n + 1) & 7;
    /* INT falls with every INTA, so that the master sees an edge for the next request. */
    set_output(chip, false);
    update(chip);
}

int pic_acknowledge(struct pic *pic)
{
    struct pic_chip *master = &pic->chip[0], *slave = &pic->chip[1];
    int n = requested(master);
    if (n < 0)
        return master->base + 7;
    if (n != CASCADE || master->single) {
        begin_service(master, (unsigned)n);
        return master->base + n;
    }
    /* The master first: the slave's next edge must find its request already in service. */
    begin_service(master, CASCADE);
    n = requested(slave);
    if (n < 0)
        return slave->base + 7;
    begin_service(slave, (unsigned)n);
    return slave->base + n;
}

static void write_icw1(struct pic_chip *chip, uint8_t value)
{
    chip->irr = chip->lines & chip->elcr; /* an edge must come anew */
    chip->imr = 0;
    chip->isr = 0;
    chip->highest = 0;
    chip->special_mask = chip->poll = chip->read_isr = false;
    chip->rotate_on_auto_eoi = chip->auto_eoi = chip->nested = false;
    chip->single = value & 2;
    chip->wants_icw4 = value & 1;
    chip->expects = 2;
    update(chip);
}

static void end_of_interrupt(struct pic_chip *chip, int n, bool rotate)
{
    if (n < 0)
        return;
    chip->isr &= ~(1u << n);
    if (rotate)
        chip->highest = ((unsigned)n + 1) & 7;
}

static void write_ocw2(struct pic_chip *chip, uint8_t value)
{
    int level = value & 7;
    /* A masked in-service bit is out of reach of a non-specific EOI in special mask mode. */
    uint8_t visible = chip->special_mask ? chip->isr & ~chip->imr : chip->isr;
    switch (value >> 5) {
    case 0: /* rotate in automatic EOI mode: clear, set */
    case 4:
        chip->rotate_on_auto_eoi = value & 0x80;
        break;
    case 1: /* non-specific EOI */
    case 5:
        end_of_interrupt(chip, first_of(chip, visible), value & 0x80);
        break;
    case 3: /* specific EOI */
    case 7:
        end_of_interrupt(chip, level, value & 0x80);
        break;
    case 6: /* set priority: `level` becomes the lowest */
        chip->highest = (level + 1) & 7;
        break;
    default: /* no operation */
        break;
    }
    update(chip);
}

static void write_ocw3(struct pic_chip *chip, uint8_t value)
{
    if (value & 4)
        chip->poll = true;
    if (value & 2)
        chip->read_isr = value & 1;
    if (value & 0x40)
        chip->special_mask = value & 0x20;
    update(chip);
}

static void write_data(struct pic_chip *chip, uint8_t value)
{
    switch (chip->expects) {
    case 2:
        chip->base = value & 0xf8;
        chip->expects = !chip->single ? 3 : chip->wants_icw4 ? 4 : 0;
        break;
    case 3:
        chip->expects = chip->wants_icw4 ? 4 : 0;
        break;
    case 4:
        chip->nested = value & 0x10;
        chip->auto_eoi = value & 2;
        chip->expects = 0;
        break;
    default:
        chip->imr = value;
        break;
    }
    update(chip);
}

static void pic_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    struct pic_chip *chip = opaque;
    if (offset == 1)
        write_data(chip, (uint8_t)value);
    else if (value & 0x10)
        write_icw1(chip, (uint8_t)value);
    else if (value & 0x08)
        write_ocw3(chip, (uint8_t)value);
    else
        write_ocw2(chip, (uint8_t)value);
}

static uint64_t pic_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    struct pic_chip *chip = opaque;
    if (chip->poll) { /* the read after a poll command is the acknowledge */
        chip->poll = false;
        int n = requested(chip);
        if (n < 0)
            return 0;
        begin_service(chip, (unsigned)n);
        return 0x80 | (unsigned)n;
    }
    if (offset == 1)
        return chip->imr;
    return chip->read_isr ? chip->isr : chip->irr;
}

static void elcr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)offset;
    (void)size;
    struct pic_chip *chip = opaque;
    chip->elcr = (uint8_t)value & chip->elcr_writable;
    chip->irr = (chip->irr & ~chip->elcr) | (chip->lines & chip->elcr);
    update(chip);
}

static uint64_t elcr_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset;
    (void)size;
    const struct pic_chip *chip = opaque;
    return chip->elcr;
}

static const struct io_ops pic_ops = {pic_read, pic_write, 1, 1};
static const struct io_ops elcr_ops = {elcr_read, elcr_write, 1, 1};

static const struct state_field chip_fields[] = {
    STATE_FIELD(struct pic_chip, lines),
    STATE_FIELD(struct pic_chip, irr),
    STATE_FIELD(struct pic_chip, imr),
    STATE_FIELD(struct pic_chip, isr),
    STATE_FIELD(struct pic_chip, elcr),
    STATE_FIELD(struct pic_chip, base),
    STATE_FIELD(struct pic_chip, highest),
    STATE_FIELD(struct pic_chip, expects),
    STATE_FIELD(struct pic_chip, single),
    STATE_FIELD(struct pic_chip, wants_icw4),
    STATE_FIELD(struct pic_chip, auto_eoi),
    STATE_FIELD(struct pic_chip, nested),
    STATE_FIELD(struct pic_chip, rotate_on_auto_eoi),
    STATE_FIELD(struct pic_chip, special_mask),
    STATE_FIELD(struct pic_chip, poll),
    STATE_FIELD(struct pic_chip, read_isr),
    STATE_FIELD(struct pic_chip, output),
};
static const struct state_table chip_state = STATE_TABLE("pic-chip", 1, chip_fields, NULL);

static int pic_loaded(void *object, struct error *err)
{
    (void)err;
    struct pic *pic = object;
    for (int i = 0; i < 2; i++) {
        pic->chip[i].highest &= 7;
        pic->chip[i].base &= 0xf8; /* so that no vector passes 255 */
        pic->chip[i].elcr &= pic->chip[i].elcr_writable;
    }
    irq_set(&pic->chip[0].out, pic->chip[0].output);
    return 0;
}

static const struct state_field pic_fields[] = {STATE_SUB_ARRAY(struct pic, chip, &chip_state)};
static const struct state_table pic_state = STATE_TABLE("pic", 1, pic_fields, pic_loaded);

/* The lines belong to who drives them and stay as they are. */
static void pic_reset(struct device *device)
{
    struct pic *pic = (struct pic *)device;
    for (int i = 1; i >= 0; i--) {
        struct pic_chip *chip = &pic->chip[i];
        chip->elcr = 0;
        chip->base = 0;
        write_icw1(chip, 0x10);
        chip->expects = 0;
    }
}

static void pic_fini(struct device *device)
{
    struct pic *pic = (struct pic *)device;
    for (int i = 0; i < 2; i++) {
        pio_remove(pic->pio, &pic->chip[i].ports);
        pio_remove(pic->pio, &pic->chip[i].elcr_port);
    }
}

static const struct device_type pic_type = {"i8259", &pic_state, pic_reset, pic_fini};

int pic_init(struct pic *pic, struct pio *pio, struct irq intr)
{
    *pic = (struct pic){.device = {.type = &pic_type}, .pio = pio};
    struct pic_chip *master = &pic->chip[0], *slave = &pic->chip[1];
    master->master = true;
    master->elcr_writable = 0xf8; /* timer, keyboard and cascade are always edges */
    slave->elcr_writable = 0xde;  /* so are the RTC and the FPU */
    master->out = intr;
    slave->out = (struct irq){cascade, master, CASCADE};
    master->ports = (struct pio_range){"pic", 0x20, 2, &pic_ops, master};
    slave->ports = (struct pio_range){"pic", 0xa0, 2, &pic_ops, slave};
    master->elcr_port = (struct pio_range){"elcr", 0x4d0, 1, &elcr_ops, master};
    slave->elcr_port = (struct pio_range){"elcr", 0x4d1, 1, &elcr_ops, slave};
    for (int i = 0; i < 2; i++) {
        int r = pio_add(pio, &pic->chip[i].ports);
        if (r < 0)
            return r;
        r = pio_add(pio, &pic->chip[i].elcr_port);
        if (r < 0)
            return r;
    }
    pic_reset(&pic->device);
    return 0;
}

char *pic_describe(const struct pic *pic)
{
    char lines[2][128];
    for (int i = 0; i < 2; i++) {
        const struct pic_chip *chip = &pic->chip[i];
        snprintf(lines[i], sizeof(lines[i]),
                 "pic%d: irr=%02x imr=%02x isr=%02x hprio=%d irq_base=%02x rr_sel=%d elcr=%02x "
                 "fnm=%d\n",
                 i, chip->irr, chip->imr, chip->isr, chip->highest, chip->base, chip->read_isr,
                 chip->elcr, chip->nested);
    }
    char *text = NULL;
    return asprintf(&text, "%s%s", lines[1], lines[0]) < 0 ? NULL : text;
}
