/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The 8254. How it is used: a control word to port 0x43 chooses a counter and its mode; one or two
 * bytes to port 0x40+n are the count. Timekeepers latch (or read back) the count and read it.
 *
 * Time is an absolute count of 1.193182 MHz ticks, derived from guest time. A count written at tick
 * w is in the counting element at w + 1, as the datasheet's diagrams show.
 */
#include "device/pit.h"

/* The most often that counter 0 calls the loop: faster ones lose edges, as a slow processor would.
 */
#define SHORTEST_NS 20000

enum { STATUS_OUT = 0x80, STATUS_NULL = 0x40 };

static int64_t ticks_of_ns(int64_t ns)
{
    return (int64_t)mul_div((uint64_t)ns, PIT_HZ, NS_PER_SECOND);
}

/* The first ns that belongs to this tick. */
static int64_t ns_of_ticks(int64_t ticks)
{
    return (int64_t)mul_div((uint64_t)ticks, NS_PER_SECOND, PIT_HZ) + 1;
}

static int64_t tick_now(const struct pit *pit)
{
    return ticks_of_ns(timers_now(pit->timer.timers));
}

static bool is_periodic(const struct pit_counter *c)
{
    return c->mode == 2 || c->mode == 3;
}

static bool is_triggered(const struct pit_counter *c)
{
    return c->mode == 1 || c->mode == 5;
}

/* What the count register means: 1..65536, or 1..10000 in BCD (digits above 9 weigh as they are).
 */
static uint32_t count_of_register(const struct pit_counter *c)
{
    uint32_t value = c->count_register;
    if (!c->bcd)
        return value ? value : 65536;
    uint32_t decimal =
        (value >> 12) * 1000 + (value >> 8 & 15) * 100 + (value >> 4 & 15) * 10 + (value & 15);
    return decimal ? decimal : 10000;
}

static uint16_t register_of_count(const struct pit_counter *c, int64_t count)
{
    if (!c->bcd)
        return (uint16_t)count;
    int64_t wrapped = count % 10000;
    uint32_t v = (uint32_t)(wrapped < 0 ? wrapped + 10000 : wrapped);
    return (uint16_t)(v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10);
}

/* Ticks counted since the counting element was loaded; negative: it will be at the next tick. */
static int64_t elapsed(const struct pit_counter *c, int64_t now)
{
    return c->held ? c->held_at : now - c->base;
}

/* The long half of mode 3: the one in which OUT is high. */
static uint32_t high_half(const struct pit_counter *c)
{
    return (c->initial + 1) / 2;
}

static void load(struct pit_counter *c, int64_t base)
{
    c->initial = count_of_register(c);
    c->base = base;
    c->null_count = false;
    c->started = true;
    c->held_at = 0;
}

/* A count written while mode 2 or 3 runs is taken at the end of the period, or half period. */
static void take_pending(struct pit_counter *c, int64_t now)
{
    if (!c->null_count || !c->started || c->held || !is_periodic(c))
        return;
    int64_t due = c->due;
    if (now < due)
        return;
    if (c->mode == 2) {
        load(c, due);
        return;
    }
    bool was_high = (due - 1 - c->base) % c->initial < high_half(c);
    load(c, due);
    if (was_high) /* the low half comes next: pretend that its high half is over */
        c->base -= high_half(c);
}

/* The first tick after `now` (not before the first load) at which mode 2 or 3 reloads its counting
 * element. */
static int64_t next_reload(const struct pit_counter *c, int64_t now)
{
    int64_t in_period = elapsed(c, now) % c->initial;
    if (c->mode == 3 && in_period < high_half(c))
        return now + high_half(c) - in_period;
    return now + c->initial - in_period;
}

static bool output_at(const struct pit_counter *c, int64_t now)
{
    int64_t e = elapsed(c, now);
    switch (c->mode) {
    case 0:
        return c->started && e >= c->initial;
    case 1:
        return !c->started || e < 0 || e >= c->initial;
    case 2:
        return !c->started || c->held || e < 0 || e % c->initial != c->initial - 1;
    case 3:
        return !c->started || c->held || e < 0 || e % c->initial < high_half(c);
    default:
        return !c->started || e != c->initial;
    }
}

static uint16_t count_at(const struct pit_counter *c, int64_t now)
{
    int64_t e = elapsed(c, now);
    if (!c->started || e < 0)
        return c->count_register;
    if (c->mode == 2)
        return register_of_count(c, c->initial - e % c->initial);
    if (c->mode == 3) {
        int64_t in_period = e % c->initial;
        if (in_period >= high_half(c))
            in_period -= high_half(c);
        return register_of_count(c, (int64_t)(c->initial & ~1u) - 2 * in_period);
    }
    return register_of_count(c, c->initial - e);
}

static void arm(struct pit *pit)
{
    const struct pit_counter *c = &pit->counter[0];
    int64_t ns = timers_now(pit->timer.timers), now = ticks_of_ns(ns);
    timer_cancel(&pit->timer);
    if (!c->started || c->held)
        return;
    int64_t e = elapsed(c, now);
    if (is_periodic(c)) {
        /* A count of 1 is forbidden here and OUT does not move. */
        if (c->initial == 1)
            return;
        int64_t edge = now + (e < 0 ? c->initial - e : c->initial - e % c->initial);
        /* A count that waits for the end of a half period may bring the edge nearer: look then. */
        if (c->null_count && c->due < edge && c->due > now)
            edge = c->due;
        int64_t deadline = ns_of_ticks(edge);
        if (c->initial < ticks_of_ns(SHORTEST_NS) && deadline < ns + SHORTEST_NS)
            deadline = ns + SHORTEST_NS;
        timer_set(&pit->timer, deadline);
        return;
    }
    int64_t rise = c->mode == 4 || c->mode == 5 ? (int64_t)c->initial + 1 : (int64_t)c->initial;
    if (e < rise)
        timer_set(&pit->timer, ns_of_ticks(c->base + rise));
}

/* Counter 0's output rose: the line falls first, for in modes 2 to 5 nobody told it of the low
 * time. */
static void rising_edge(void *opaque)
{
    struct pit *pit = opaque;
    struct pit_counter *c = &pit->counter[0];
    int64_t now = tick_now(pit);
    bool half_only = c->null_count && c->mode == 3;
    take_pending(c, now);
    if (!half_only || output_at(c, now)) {
        irq_set(&pit->irq0, false);
        irq_set(&pit->irq0, true);
    }
    arm(pit);
}

static void counter_changed(struct pit *pit, unsigned n, int64_t now)
{
    if (n != 0)
        return;
    irq_set(&pit->irq0, output_at(&pit->counter[0], now));
    arm(pit);
}

static void write_control(struct pit *pit, unsigned n, uint8_t value, int64_t now)
{
    struct pit_counter *c = &pit->counter[n];
    uint8_t mode = value >> 1 & 7;
    c->mode = mode > 5 ? mode - 4 : mode; /* 6 and 7 are 2 and 3 */
    c->access = value >> 4 & 3;
    c->bcd = value & 1;
    c->write_high = c->read_high = false;
    c->count_latched = c->status_latched = false;
    c->null_count = true;
    c->started = false;
    c->held = !c->gate && !is_triggered(c);
    c->held_at = 0;
    counter_changed(pit, n, now);
}

static void latch_count(struct pit_counter *c, int64_t now)
{
    if (c->count_latched)
        return;
    c->latched_count = count_at(c, now);
    c->count_latched = true;
}

static void latch_status(struct pit_counter *c, int64_t now)
{
    if (c->status_latched)
        return;
    bool null = c->null_count || (c->started && elapsed(c, now) < 0);
    c->latched_status = (uint8_t)((output_at(c, now) ? STATUS_OUT : 0) | (null ? STATUS_NULL : 0) |
                                  c->access << 4 | c->mode << 1 | c->bcd);
    c->status_latched = true;
}

static void read_back(struct pit *pit, uint8_t value, int64_t now)
{
    for (unsigned n = 0; n < 3; n++) {
        struct pit_counter *c = &pit->counter[n];
        if (!(value >> (n + 1) & 1))
            continue;
        if (!(value & 0x20))
            latch_count(c, now);
        if (!(value & 0x10))
            latch_status(c, now);
    }
}

/* A whole count has arrived. */
static void new_count(struct pit *pit, unsigned n, uint16_t value, int64_t now)
{
    struct pit_counter *c = &pit->counter[n];
    c->count_register = value;
    if (is_triggered(c)) {
        c->null_count = true; /* until the gate rises */
        return;
    }
    if (is_periodic(c) && c->started && (c->held || elapsed(c, now) >= 0)) {
        if (!c->null_count && !c->held)
            c->due = next_reload(c, now);
        c->null_count = true; /* until the period ends, or the gate rises */
        if (n == 0)
            arm(pit);
        return;
    }
    c->held = !c->gate;
    load(c, now + 1);
    counter_changed(pit, n, now);
}

static void write_count(struct pit *pit, unsigned n, uint8_t value, int64_t now)
{
    struct pit_counter *c = &pit->counter[n];
    switch (c->access) {
    case 1:
        new_count(pit, n, value, now);
        break;
    case 2:
        new_count(pit, n, (uint16_t)(value << 8), now);
        break;
    default:
        if (c->write_high) {
            c->write_high = false;
            new_count(pit, n, (uint16_t)(value << 8 | c->write_low), now);
            break;
        }
        c->write_low = value;
        c->write_high = true;
        if (c->mode == 0) { /* the first byte stops the count and OUT is low at once */
            c->started = false;
            counter_changed(pit, n, now);
        }
        break;
    }
}

static void pit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    struct pit *pit = opaque;
    int64_t now = tick_now(pit);
    for (int i = 0; i < 3; i++)
        take_pending(&pit->counter[i], now);
    if (offset < 3)
        write_count(pit, (unsigned)offset, (uint8_t)value, now);
    else if ((value >> 6 & 3) == 3)
        read_back(pit, (uint8_t)value, now);
    else if (value & 0x30)
        write_control(pit, value >> 6 & 3, (uint8_t)value, now);
    else
        latch_count(&pit->counter[value >> 6 & 3], now);
}

static uint64_t pit_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    struct pit *pit = opaque;
    if (offset == 3)
        return 0xff; /* the control word cannot be read */
    struct pit_counter *c = &pit->counter[offset];
    int64_t now = tick_now(pit);
    take_pending(c, now);
    if (c->status_latched) {
        c->status_latched = false;
        return c->latched_status;
    }
    uint16_t count = c->count_latched ? c->latched_count : count_at(c, now);
    if (c->access == 3 && !c->read_high) {
        c->read_high = true;
        return count & 0xff;
    }
    c->read_high = false;
    c->count_latched = false;
    return c->access == 1 ? count & 0xff : count >> 8;
}

static const struct io_ops pit_ops = {pit_read, pit_write, 1, 1};

void pit_set_gate2(struct pit *pit, bool level)
{
    struct pit_counter *c = &pit->counter[2];
    int64_t now = tick_now(pit);
    if (c->gate == level)
        return;
    take_pending(c, now);
    c->gate = level;
    if (is_triggered(c)) {
        if (level)
            load(c, now + 1);
    } else if (!level) {
        c->held_at = c->started ? elapsed(c, now) : 0;
        c->held = true;
    } else {
        c->held = false;
        if (is_periodic(c) && c->started)
            load(c, now + 1);
        else
            c->base = now - (c->held_at > 0 ? c->held_at : 0);
    }
}

bool pit_out2(struct pit *pit)
{
    int64_t now = tick_now(pit);
    take_pending(&pit->counter[2], now);
    return output_at(&pit->counter[2], now);
}

static const struct state_field counter_fields[] = {
    STATE_FIELD(struct pit_counter, mode),
    STATE_FIELD(struct pit_counter, access),
    STATE_FIELD(struct pit_counter, bcd),
    STATE_FIELD(struct pit_counter, gate),
    STATE_FIELD(struct pit_counter, write_high),
    STATE_FIELD(struct pit_counter, read_high),
    STATE_FIELD(struct pit_counter, write_low),
    STATE_FIELD(struct pit_counter, count_register),
    STATE_FIELD(struct pit_counter, null_count),
    STATE_FIELD(struct pit_counter, started),
    STATE_FIELD(struct pit_counter, held),
    STATE_FIELD(struct pit_counter, initial),
    STATE_FIELD(struct pit_counter, base),
    STATE_FIELD(struct pit_counter, held_at),
    STATE_FIELD(struct pit_counter, due),
    STATE_FIELD(struct pit_counter, count_latched),
    STATE_FIELD(struct pit_counter, status_latched),
    STATE_FIELD(struct pit_counter, latched_count),
    STATE_FIELD(struct pit_counter, latched_status),
};
static const struct state_table counter_state = STATE_TABLE("pit-counter", 1, counter_fields, NULL);

static int pit_loaded(void *object, struct error *err)
{
    (void)err;
    struct pit *pit = object;
    int64_t now = tick_now(pit);
    for (int i = 0; i < 3; i++) {
        struct pit_counter *c = &pit->counter[i];
        c->mode = c->mode > 5 ? 0 : c->mode;
        c->access &= 3;
        if (c->initial == 0 || c->initial > 65536)
            c->initial = 65536;
        /* Out of any run of ours: count from now. */
        if (c->base > now + 1 || c->base < -(int64_t)65536 || c->held_at < -1 ||
            c->held_at > now + 65536 || c->due < 0 || c->due > now + 65536)
            load(c, now);
    }
    arm(pit);
    return 0;
}

static const struct state_field pit_fields[] = {
    STATE_SUB_ARRAY(struct pit, counter, &counter_state),
};
static const struct state_table pit_state = STATE_TABLE("pit", 1, pit_fields, pit_loaded);

/* The datasheet leaves power-on undefined; PCs come up with the slowest square wave. */
static void pit_reset(struct device *device)
{
    struct pit *pit = (struct pit *)device;
    int64_t now = tick_now(pit);
    for (unsigned n = 0; n < 3; n++) {
        struct pit_counter *c = &pit->counter[n];
        *c = (struct pit_counter){.mode = 3, .access = 3, .gate = n != 2, .held = n == 2};
        load(c, now);
    }
    counter_changed(pit, 0, now);
}

static void pit_fini(struct device *device)
{
    struct pit *pit = (struct pit *)device;
    timer_cancel(&pit->timer);
    pio_remove(pit->pio, &pit->ports);
}

static const struct device_type pit_type = {"i8254", &pit_state, pit_reset, pit_fini};

int pit_init(struct pit *pit, struct pio *pio, struct timers *timers, struct irq irq0)
{
    *pit = (struct pit){.device = {.type = &pit_type}, .irq0 = irq0, .pio = pio};
    timer_init(&pit->timer, timers, rising_edge, pit);
    pit->ports = (struct pio_range){"pit", 0x40, 4, &pit_ops, pit};
    int r = pio_add(pio, &pit->ports);
    if (r < 0)
        return r;
    pit_reset(&pit->device);
    return 0;
}
