/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * IA-PC HPET specification 1.0a, chapter 2. How it is used: the counter is a clock for whoever
 * reads it; a kernel sets a comparator a little ahead of it (one-shot), or, under VAL_SET, where a
 * row of interrupts begins and then how far they are apart (periodic).
 *
 * Nothing counts. Time is in ticks of 10 ns of guest time; the counter is that plus an offset, and
 * each comparator knows the tick of its next match. What has passed is caught up with before any
 * register access that could tell the difference, and by a timer where there is an interrupt to
 * send.
 */
#include "device/hpet.h"

#include "base/log.h"

/* The most often that a periodic comparator calls the loop: faster ones lose interrupts, as a slow
 * processor would. */
#define SHORTEST_NS 20000

#define NEVER     INT64_MAX
#define LAST_TICK (INT64_MAX / HPET_TICK_NS)

enum {
    REG_CAPABILITIES = 0x000,
    REG_CONFIG = 0x010,
    REG_STATUS = 0x020,
    REG_COUNTER = 0x0f0,
    REG_COMPARATORS = 0x100, /* 0x20 bytes each */
    COMPARATOR_CONFIG = 0x00,
    COMPARATOR_VALUE = 0x08,

    FS_A_TICK = HPET_TICK_NS * 1000000,

    CONFIG_ENABLE = 1 << 0,
    CONFIG_LEGACY = 1 << 1,

    TIMER_LEVEL = 1 << 1,
    TIMER_INTERRUPT = 1 << 2,
    TIMER_PERIODIC = 1 << 3,
    TIMER_CAN_PERIODIC = 1 << 4,
    TIMER_CAN_64 = 1 << 5,
    TIMER_VALUE_SET = 1 << 6, /* until the next write of the comparator */
    TIMER_32 = 1 << 8,
    TIMER_ROUTE_SHIFT = 9,
    TIMER_ROUTE = 31 << TIMER_ROUTE_SHIFT,
    TIMER_WRITABLE =
        TIMER_LEVEL | TIMER_INTERRUPT | TIMER_PERIODIC | TIMER_VALUE_SET | TIMER_32 | TIMER_ROUTE,

    ROUTES = 0xff0104, /* I/O APIC pins 2, 8, 16 to 23 */
    LINE_IRQ0 = 24,
    LINE_IRQ8 = 25,
    LINES = 26,
};

static int64_t tick_now(const struct hpet *hpet)
{
    return timers_now(hpet->timer.timers) / HPET_TICK_NS;
}

static bool runs(const struct hpet *hpet)
{
    return hpet->config & CONFIG_ENABLE;
}

static uint64_t counter_at(const struct hpet *hpet, int64_t tick)
{
    return runs(hpet) ? (uint64_t)tick + hpet->offset : hpet->counter;
}

static uint64_t width(const struct hpet_comparator *c)
{
    return c->config & TIMER_32 ? UINT32_MAX : UINT64_MAX;
}

static bool is_periodic(const struct hpet_comparator *c)
{
    return (c->config & TIMER_PERIODIC) && c->period;
}

/* Looks for the first match at `from` or later. A 32-bit comparator matches each time that the low
 * half comes round. */
static void schedule(const struct hpet *hpet, struct hpet_comparator *c, int64_t from)
{
    c->due = NEVER;
    if (!runs(hpet))
        return;
    uint64_t distance = (c->comparator - counter_at(hpet, from)) & width(c);
    if (distance <= (uint64_t)(LAST_TICK - from))
        c->due = from + (int64_t)distance;
}

static void schedule_all(struct hpet *hpet, int64_t from)
{
    for (unsigned n = 0; n < HPET_COMPARATORS; n++)
        schedule(hpet, &hpet->comparator[n], from);
}

/* 2.3.5: it takes both bits. */
static bool is_legacy(const struct hpet *hpet)
{
    return runs(hpet) && (hpet->config & CONFIG_LEGACY);
}

/* The line of a comparator as a bit; 0: none. */
static uint32_t line_of(const struct hpet *hpet, unsigned n)
{
    if (n < 2 && is_legacy(hpet))
        return n == 0 ? 1u << LINE_IRQ0 : 1u << LINE_IRQ8;
    unsigned route = hpet->comparator[n].config >> TIMER_ROUTE_SHIFT & 31;
    return ROUTES & 1u << route;
}

static const struct irq *wire(const struct hpet *hpet, unsigned line)
{
    if (line == LINE_IRQ0)
        return &hpet->wires.irq0;
    return line == LINE_IRQ8 ? &hpet->wires.irq8 : &hpet->wires.pin[line];
}

static void pulse(const struct hpet *hpet, uint32_t line)
{
    for (unsigned i = 0; i < LINES; i++)
        if (line >> i & 1)
            irq_pulse(wire(hpet, i));
}

/* Levels, and who owns the legacy inputs: never two at once. */
static void update_lines(struct hpet *hpet)
{
    bool legacy = is_legacy(hpet), tell = legacy != hpet->legacy && hpet->wires.legacy;
    uint32_t lines = 0;
    for (unsigned n = 0; n < HPET_COMPARATORS; n++) {
        uint64_t config = hpet->comparator[n].config;
        if (runs(hpet) && (config & TIMER_LEVEL) && (config & TIMER_INTERRUPT) &&
            (hpet->status >> n & 1))
            lines |= line_of(hpet, n);
    }
    uint32_t changed = lines ^ hpet->lines;
    hpet->legacy = legacy;
    hpet->lines = lines;
    if (tell && legacy)
        hpet->wires.legacy(hpet->wires.opaque, true);
    for (unsigned i = 0; i < LINES; i++)
        if (changed >> i & 1)
            irq_set(wire(hpet, i), lines >> i & 1);
    if (tell && !legacy)
        hpet->wires.legacy(hpet->wires.opaque, false);
}

/* Status is set by level-triggered comparators only, and whether they may interrupt or not. An edge
 * is lost in a pin that another comparator holds. */
static void match(struct hpet *hpet, unsigned n)
{
    uint64_t config = hpet->comparator[n].config;
    if (config & TIMER_LEVEL)
        hpet->status |= UINT64_C(1) << n;
    else if (config & TIMER_INTERRUPT)
        pulse(hpet, line_of(hpet, n) & ~hpet->lines);
}

/* Several matches of one comparator become one. */
static void catch_up(struct hpet *hpet, int64_t now)
{
    for (unsigned n = 0; n < HPET_COMPARATORS; n++) {
        struct hpet_comparator *c = &hpet->comparator[n];
        if (now < c->due)
            continue;
        if (is_periodic(c)) {
            uint64_t matches = (uint64_t)(now - c->due) / c->period + 1;
            c->comparator = (c->comparator + matches * c->period) & width(c);
        }
        schedule(hpet, c, now + 1);
        match(hpet, n);
    }
}

/* Arms for the first match that is news. */
static void arm(struct hpet *hpet)
{
    int64_t now = timers_now(hpet->timer.timers), first = NEVER;
    for (unsigned n = 0; n < HPET_COMPARATORS; n++) {
        const struct hpet_comparator *c = &hpet->comparator[n];
        bool pending = (c->config & TIMER_LEVEL) && (hpet->status >> n & 1);
        if (c->due == NEVER || !(c->config & TIMER_INTERRUPT) || pending)
            continue;
        int64_t deadline = c->due * HPET_TICK_NS;
        if (is_periodic(c) && c->period < SHORTEST_NS / HPET_TICK_NS &&
            deadline < now + SHORTEST_NS)
            deadline = now + SHORTEST_NS;
        if (deadline < first)
            first = deadline;
    }
    if (first == NEVER)
        timer_cancel(&hpet->timer);
    else
        timer_set(&hpet->timer, first);
}

static void timer_due(void *opaque)
{
    struct hpet *hpet = opaque;
    catch_up(hpet, tick_now(hpet));
    update_lines(hpet);
    arm(hpet);
}

/* Registers are 64 bits, and `mask` says which of them an access writes. */

static uint64_t with_bits(uint64_t old, uint64_t value, uint64_t mask)
{
    return (old & ~mask) | (value & mask);
}

static void write_config(struct hpet *hpet, uint64_t value, int64_t now)
{
    bool ran = runs(hpet);
    uint64_t counter = counter_at(hpet, now);
    hpet->config = value & (CONFIG_ENABLE | CONFIG_LEGACY);
    if (runs(hpet) == ran)
        return;
    hpet->counter = counter;
    hpet->offset = counter - (uint64_t)now;
    schedule_all(hpet, now);
}

static void write_counter(struct hpet *hpet, uint64_t value, int64_t now)
{
    if (runs(hpet))
        log_limited(LOG_GUEST_ERRORS, "hpet: the counter is written while it runs");
    hpet->counter = value;
    hpet->offset = value - (uint64_t)now;
    schedule_all(hpet, now);
}

static void write_comparator_config(struct hpet *hpet, struct hpet_comparator *c, uint64_t value,
                                    int64_t now)
{
    uint64_t old = c->config;
    value &= TIMER_WRITABLE;
    if (!(ROUTES >> (value >> TIMER_ROUTE_SHIFT & 31) & 1)) /* 2.3.8: does not read back */
        value = with_bits(value, old, TIMER_ROUTE);
    c->config = value;
    c->comparator &= width(c);
    c->period &= width(c);
    if ((old ^ value) & (TIMER_32 | TIMER_PERIODIC))
        schedule(hpet, c, now);
}

/* A row of interrupts is begun by two writes, and a virtual processor can stand still before either
 * for longer than the row's first periods. The chip would go silent until the counter comes round;
 * the row goes on from where it would be by now instead. */
static void write_period(struct hpet *hpet, struct hpet_comparator *c, uint64_t value, int64_t now)
{
    if (c->fresh)
        c->comparator = c->period; /* matches until now took the starting point for a period */
    c->fresh = false;
    c->period = value & width(c);
    uint64_t behind = (counter_at(hpet, now) - c->comparator) & width(c);
    if (runs(hpet) && c->period && behind && behind <= width(c) / 2)
        c->comparator = (c->comparator + ((behind - 1) / c->period + 1) * c->period) & width(c);
}

/* 2.3.9: with VAL_SET the value is where the row begins, and the period as well. */
static void write_comparator(struct hpet *hpet, struct hpet_comparator *c, uint64_t value,
                             uint64_t mask, int64_t now)
{
    bool periodic = c->config & TIMER_PERIODIC;
    if (periodic && !(c->config & TIMER_VALUE_SET)) {
        write_period(hpet, c, with_bits(c->period, value, mask), now);
    } else {
        c->comparator = with_bits(c->comparator, value, mask) & width(c);
        if (periodic)
            c->period = with_bits(c->period, value, mask) & width(c);
        c->fresh = periodic;
        c->config &= ~(uint64_t)TIMER_VALUE_SET;
    }
    schedule(hpet, c, now);
}

static void write_register(struct hpet *hpet, unsigned reg, uint64_t value, uint64_t mask)
{
    int64_t now = tick_now(hpet);
    catch_up(hpet, now);
    if (reg >= REG_COMPARATORS && reg < REG_COMPARATORS + 0x20 * HPET_COMPARATORS) {
        struct hpet_comparator *c = &hpet->comparator[(reg - REG_COMPARATORS) / 0x20];
        if (reg % 0x20 == COMPARATOR_CONFIG)
            write_comparator_config(hpet, c, with_bits(c->config, value, mask), now);
        else if (reg % 0x20 == COMPARATOR_VALUE)
            write_comparator(hpet, c, value, mask, now);
    } else if (reg == REG_CONFIG) {
        write_config(hpet, with_bits(hpet->config, value, mask), now);
    } else if (reg == REG_STATUS) {
        hpet->status &= ~(value & mask);
    } else if (reg == REG_COUNTER) {
        write_counter(hpet, with_bits(counter_at(hpet, now), value, mask), now);
    }
    update_lines(hpet);
    arm(hpet);
}

static uint64_t read_register(struct hpet *hpet, unsigned reg)
{
    if (reg == REG_COUNTER) /* a clock: often */
        return counter_at(hpet, tick_now(hpet));
    if (reg == REG_CAPABILITIES)
        return (uint64_t)FS_A_TICK << 32 | HPET_BLOCK_ID;
    if (reg == REG_CONFIG)
        return hpet->config;
    timer_due(hpet);
    if (reg == REG_STATUS)
        return hpet->status;
    if (reg < REG_COMPARATORS || reg >= REG_COMPARATORS + 0x20 * HPET_COMPARATORS)
        return 0;
    const struct hpet_comparator *c = &hpet->comparator[(reg - REG_COMPARATORS) / 0x20];
    if (reg % 0x20 == COMPARATOR_CONFIG)
        return c->config | TIMER_CAN_PERIODIC | TIMER_CAN_64 | (uint64_t)ROUTES << 32;
    return reg % 0x20 == COMPARATOR_VALUE ? c->comparator : 0;
}

/* 2.2: software has to align its accesses. */
static bool is_aligned(uint64_t offset, unsigned size)
{
    if (!(offset & 3) && (offset & 7) + size <= 8)
        return true;
    log_limited(LOG_GUEST_ERRORS, "hpet: %u bytes at offset 0x%llx are not aligned", size,
                (unsigned long long)offset);
    return false;
}

static uint64_t hpet_read(void *opaque, uint64_t offset, unsigned size)
{
    if (!is_aligned(offset, size))
        return 0;
    return read_register(opaque, (unsigned)offset & ~7u) >> (8 * (offset & 4));
}

static void hpet_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (!is_aligned(offset, size))
        return;
    unsigned shift = 8 * (offset & 4);
    uint64_t mask = size == 8 ? UINT64_MAX : (uint64_t)UINT32_MAX << shift;
    write_register(opaque, (unsigned)offset & ~7u, value << shift, mask);
}

static const struct io_ops hpet_ops = {hpet_read, hpet_write, 4, 8};

static void reset(struct device *device)
{
    struct hpet *hpet = (struct hpet *)device;
    hpet->config = hpet->status = hpet->counter = hpet->offset = 0;
    for (unsigned n = 0; n < HPET_COMPARATORS; n++)
        hpet->comparator[n] = (struct hpet_comparator){.comparator = UINT64_MAX, .due = NEVER};
    update_lines(hpet);
    arm(hpet);
}

static void fini(struct device *device)
{
    struct hpet *hpet = (struct hpet *)device;
    timer_cancel(&hpet->timer);
    mem_remove(hpet->mem, &hpet->region);
}

static const struct state_field comparator_fields[] = {
    STATE_FIELD(struct hpet_comparator, config), STATE_FIELD(struct hpet_comparator, comparator),
    STATE_FIELD(struct hpet_comparator, period), STATE_FIELD(struct hpet_comparator, fresh),
    STATE_FIELD(struct hpet_comparator, due),
};
static const struct state_table comparator_state =
    STATE_TABLE("hpet-comparator", 1, comparator_fields, NULL);

/* A match that is still to come follows from the registers; one that has passed may not have been
 * told yet and is kept. */
static int loaded(void *object, struct error *err)
{
    (void)err;
    struct hpet *hpet = object;
    int64_t now = tick_now(hpet);
    hpet->config &= CONFIG_ENABLE | CONFIG_LEGACY;
    hpet->status &= (1u << HPET_COMPARATORS) - 1;
    for (unsigned n = 0; n < HPET_COMPARATORS; n++) {
        struct hpet_comparator *c = &hpet->comparator[n];
        c->config &= TIMER_WRITABLE;
        c->comparator &= width(c);
        c->period &= width(c);
        if (!runs(hpet) || c->due < 0 || c->due > now)
            schedule(hpet, c, now + 1);
    }
    update_lines(hpet);
    arm(hpet);
    return 0;
}

static const struct state_field fields[] = {
    STATE_FIELD(struct hpet, config),
    STATE_FIELD(struct hpet, status),
    STATE_FIELD(struct hpet, counter),
    STATE_FIELD(struct hpet, offset),
    STATE_SUB_ARRAY(struct hpet, comparator, &comparator_state),
};
static const struct state_table table = STATE_TABLE("hpet", 1, fields, loaded);

static const struct device_type type = {
    .name = "hpet", .state = &table, .reset = reset, .fini = fini};

void hpet_init(struct hpet *hpet, struct mem *mem, struct timers *timers,
               const struct hpet_wires *wires)
{
    memset(hpet, 0, sizeof(*hpet));
    hpet->device.type = &type;
    hpet->mem = mem;
    hpet->wires = *wires;
    timer_init(&hpet->timer, timers, timer_due, hpet);
    hpet->region = (struct mem_region){
        .name = "hpet",
        .kind = MEM_IO,
        .enabled = true,
        .priority = 1,
        .base = HPET_BASE,
        .size = HPET_SIZE,
        .ops = &hpet_ops,
        .opaque = hpet,
    };
    mem_add(mem, &hpet->region);
    reset(&hpet->device);
}
