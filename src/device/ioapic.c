/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel 82093AA I/O APIC, datasheet 290566-001, chapter 3.
 *
 * A level-triggered entry that a local APIC took has its remote IRR set until the end of interrupt
 * comes back; a pin that still asks then is delivered again.
 */
#include "device/ioapic.h"

#include "base/log.h"

enum {
    MMIO_SELECT = 0x00,
    MMIO_WINDOW = 0x10,
    MMIO_EOI = 0x40,

    REG_ID = 0,
    REG_VERSION = 1,
    REG_ARBITRATION = 2,
    REG_REDIRECTION = 0x10,

    VERSION = 0x20,

    ENTRY_LOGICAL = 1 << 11,
    ENTRY_STATUS = 1 << 12, /* read-only: delivery is immediate, so 0 */
    ENTRY_REMOTE_IRR = 1 << 14,
    ENTRY_LEVEL = 1 << 15,
    ENTRY_MASKED = 1 << 16,
};
#define ENTRY_WRITABLE UINT64_C(0xff0000000001afff)

/* Delivers what pin n asks, if it may now. */
static void service(struct ioapic *ioapic, unsigned n)
{
    uint64_t entry = ioapic->redirection[n];
    bool level = entry & ENTRY_LEVEL;
    if (!(ioapic->irr >> n & 1) || (entry & ENTRY_MASKED) || (level && (entry & ENTRY_REMOTE_IRR)))
        return;
    enum lapic_mode mode = entry >> 8 & 7;
    if (!level)
        ioapic->irr &= ~(1u << n);
    if (mode == LAPIC_SIPI || mode == 3) {
        log_limited(LOG_GUEST_ERRORS, "ioapic: pin %u has reserved delivery mode %d", n, (int)mode);
        return;
    }
    bool vectored = mode == LAPIC_FIXED || mode == LAPIC_LOWEST;
    unsigned taken = lapic_deliver(ioapic->lapic, (uint32_t)(entry >> 56), false,
                                   entry & ENTRY_LOGICAL, mode, (uint8_t)entry, level && vectored);
    if (level && vectored && taken)
        ioapic->redirection[n] |= ENTRY_REMOTE_IRR;
}

void ioapic_set_irq(void *opaque, int n, bool level)
{
    struct ioapic *ioapic = opaque;
    if (n < 0 || n >= IOAPIC_PINS)
        return;
    uint32_t bit = 1u << n;
    uint64_t entry = ioapic->redirection[n];
    bool rise = level && !(ioapic->lines & bit);
    ioapic->lines = level ? ioapic->lines | bit : ioapic->lines & ~bit;
    if (entry & ENTRY_LEVEL)
        ioapic->irr = level ? ioapic->irr | bit : ioapic->irr & ~bit;
    else if (rise && !(entry & ENTRY_MASKED)) /* an edge on a masked pin is lost */
        ioapic->irr |= bit;
    service(ioapic, (unsigned)n);
}

static void end_of_interrupt(void *opaque, uint8_t vector)
{
    struct ioapic *ioapic = opaque;
    for (unsigned n = 0; n < IOAPIC_PINS; n++) {
        uint64_t *entry = &ioapic->redirection[n];
        if (!(*entry & ENTRY_REMOTE_IRR) || (uint8_t)*entry != vector)
            continue;
        *entry &= ~(uint64_t)ENTRY_REMOTE_IRR;
        service(ioapic, n);
    }
}

static void write_entry(struct ioapic *ioapic, unsigned n, uint64_t value)
{
    uint64_t *entry = &ioapic->redirection[n];
    uint32_t bit = 1u << n;
    bool was_level = *entry & ENTRY_LEVEL;
    *entry = (value & ENTRY_WRITABLE) | (*entry & ENTRY_REMOTE_IRR);
    if (!(*entry & ENTRY_LEVEL)) {
        *entry &= ~(uint64_t)ENTRY_REMOTE_IRR; /* how software clears it without an EOI register */
        if (was_level)
            ioapic->irr &= ~bit;
    } else {
        ioapic->irr = (ioapic->irr & ~bit) | (ioapic->lines & bit);
    }
    service(ioapic, n);
}

static uint32_t read_window(const struct ioapic *ioapic)
{
    unsigned reg = ioapic->select;
    if (reg == REG_ID || reg == REG_ARBITRATION)
        return ioapic->id;
    if (reg == REG_VERSION)
        return VERSION | (IOAPIC_PINS - 1) << 16;
    if (reg >= REG_REDIRECTION && reg < REG_REDIRECTION + 2 * IOAPIC_PINS) {
        uint64_t entry = ioapic->redirection[(reg - REG_REDIRECTION) / 2];
        return (uint32_t)(reg & 1 ? entry >> 32 : entry);
    }
    return 0;
}

static void write_window(struct ioapic *ioapic, uint32_t value)
{
    unsigned reg = ioapic->select;
    if (reg == REG_ID) {
        ioapic->id = value & 0x0f000000;
    } else if (reg >= REG_REDIRECTION && reg < REG_REDIRECTION + 2 * IOAPIC_PINS) {
        unsigned n = (reg - REG_REDIRECTION) / 2;
        uint64_t entry = ioapic->redirection[n];
        if (reg & 1)
            entry = (uint32_t)entry | (uint64_t)value << 32;
        else
            entry = (entry & ~(uint64_t)UINT32_MAX) | value;
        write_entry(ioapic, n, entry);
    } else {
        log_limited(LOG_GUEST_ERRORS, "ioapic: write to register %#x", reg);
    }
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ioapic *ioapic = opaque;
    (void)size;
    if (offset == MMIO_SELECT)
        return ioapic->select;
    return offset == MMIO_WINDOW ? read_window(ioapic) : 0;
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct ioapic *ioapic = opaque;
    (void)size;
    if (offset == MMIO_SELECT)
        ioapic->select = (uint8_t)value;
    else if (offset == MMIO_WINDOW)
        write_window(ioapic, (uint32_t)value);
    else if (offset == MMIO_EOI)
        end_of_interrupt(ioapic, (uint8_t)value);
}

/* Byte writes of the index are common enough in old guests. */
static const struct io_ops ops = {mmio_read, mmio_write, 1, 4};

static void reset(struct device *device)
{
    struct ioapic *ioapic = (struct ioapic *)device;
    ioapic->id = 0;
    ioapic->select = 0;
    ioapic->irr = 0;
    for (unsigned n = 0; n < IOAPIC_PINS; n++)
        ioapic->redirection[n] = ENTRY_MASKED;
}

static void fini(struct device *device)
{
    struct ioapic *ioapic = (struct ioapic *)device;
    mem_remove(ioapic->mem, &ioapic->region);
    ioapic->lapic->eoi = NULL;
}

static int loaded(void *object, struct error *err)
{
    (void)err;
    struct ioapic *ioapic = object;
    ioapic->lines &= (1u << IOAPIC_PINS) - 1;
    ioapic->irr &= (1u << IOAPIC_PINS) - 1;
    for (unsigned n = 0; n < IOAPIC_PINS; n++)
        ioapic->redirection[n] &= ENTRY_WRITABLE | ENTRY_REMOTE_IRR;
    return 0;
}

static const struct state_field fields[] = {
    STATE_FIELD(struct ioapic, id),          STATE_FIELD(struct ioapic, select),
    STATE_FIELD(struct ioapic, lines),       STATE_FIELD(struct ioapic, irr),
    STATE_ARRAY(struct ioapic, redirection),
};
static const struct state_table table = STATE_TABLE("ioapic", 1, fields, loaded);

static const struct device_type type = {
    .name = "ioapic", .state = &table, .reset = reset, .fini = fini};

void ioapic_init(struct ioapic *ioapic, struct mem *mem, struct lapic *lapic)
{
    memset(ioapic, 0, sizeof(*ioapic));
    ioapic->device.type = &type;
    ioapic->mem = mem;
    ioapic->lapic = lapic;
    lapic->eoi = end_of_interrupt;
    lapic->eoi_opaque = ioapic;
    ioapic->region = (struct mem_region){
        .name = "ioapic",
        .kind = MEM_IO,
        .enabled = true,
        .priority = 1,
        .base = IOAPIC_BASE,
        .size = PAGE_SIZE,
        .ops = &ops,
        .opaque = ioapic,
    };
    mem_add(mem, &ioapic->region);
    reset(&ioapic->device);
}
