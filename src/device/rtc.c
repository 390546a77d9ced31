/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The MC146818. How it is used: index to port 0x70, data through 0x71. Readers of the time wait for
 * UIP in register A to be clear; writers stop the clock by SET in register B. Interrupts are
 * acknowledged by reading register C.
 *
 * The flags PF, AF and UF rise whether or not their interrupt is enabled. They are worked out when
 * somebody looks; timers run only for enabled interrupts.
 */
#include "device/rtc.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/error.h"

enum {
    SECONDS,
    SECONDS_ALARM,
    MINUTES,
    MINUTES_ALARM,
    HOURS,
    HOURS_ALARM,
    WEEKDAY,
    DAY,
    MONTH,
    YEAR,
    REG_A,
    REG_B,
    REG_C,
    REG_D,
    CENTURY = 0x32
};
enum { A_UIP = 0x80, A_DIVIDER = 0x70, A_RATE = 0x0f };
enum {
    B_SET = 0x80,
    B_PIE = 0x40,
    B_AIE = 0x20,
    B_UIE = 0x10,
    B_SQWE = 8,
    B_BINARY = 4,
    B_24H = 2
};
enum { C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10 };
enum { D_VRT = 0x80 };
enum { HOUR_PM = 0x80, ALARM_ANY = 0xc0 };

/* UIP rises 244 us before an update cycle of 1984 us at 32.768 kHz. */
#define UPDATE_NS     (244000 + 1984000)
#define DAY_SECONDS   86400
#define DIVIDER_HZ    32768
#define YEAR_9999_END INT64_C(253402300799)

struct calendar {
    int64_t year;
    unsigned month, day, weekday; /* 1..12, 1..31, 0 = Sunday */
    unsigned hour, minute, second;
};

/* Days since 1970-01-01 in the Gregorian calendar; month 1..12, any day. Years begin in March
 * here, so that the leap day is the last one. */
static int64_t days_of_date(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    unsigned m = month <= 2 ? month + 9 : month - 3;
    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static void calendar_of_seconds(struct calendar *c, int64_t seconds)
{
    if (seconds < 0 || seconds > YEAR_9999_END)
        seconds = 0;
    int64_t days = seconds / DAY_SECONDS;
    unsigned rest = (unsigned)(seconds % DAY_SECONDS);
    c->hour = rest / 3600;
    c->minute = rest / 60 % 60;
    c->second = rest % 60;
    c->weekday = (unsigned)((days + 4) % 7); /* 1970 began on a Thursday */
    c->year = 1970 + days / 366;
    while (days_of_date(c->year + 1, 1, 1) <= days)
        c->year++;
    c->month = 1;
    while (c->month < 12 && days_of_date(c->year, c->month + 1, 1) <= days)
        c->month++;
    c->day = (unsigned)(days - days_of_date(c->year, c->month, 1)) + 1;
}

static int64_t now_ns(const struct rtc *rtc)
{
    return timers_now(rtc->update_timer.timers);
}

static bool divider_runs(const struct rtc *rtc)
{
    return (rtc->cmos[REG_A] & A_DIVIDER) <= 0x20;
}

static bool clock_runs(const struct rtc *rtc)
{
    return !(rtc->cmos[REG_B] & B_SET) && divider_runs(rtc);
}

static uint8_t encode(const struct rtc *rtc, unsigned value)
{
    if (rtc->cmos[REG_B] & B_BINARY)
        return (uint8_t)value;
    return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

static unsigned decode(const struct rtc *rtc, uint8_t value)
{
    if (rtc->cmos[REG_B] & B_BINARY)
        return value;
    return (value >> 4) * 10u + (value & 15);
}

static uint8_t encode_hour(const struct rtc *rtc, unsigned hour)
{
    if (rtc->cmos[REG_B] & B_24H)
        return encode(rtc, hour);
    return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const struct rtc *rtc, uint8_t value)
{
    if (rtc->cmos[REG_B] & B_24H)
        return decode(rtc, value);
    return decode(rtc, value & 0x7f) % 12 + (value & HOUR_PM ? 12 : 0);
}

/* Whole seconds of the running clock at a guest time. */
static int64_t seconds_at(const struct rtc *rtc, int64_t ns)
{
    int64_t since = ns - rtc->base_ns;
    int64_t whole = since / NS_PER_SECOND;
    if (since < 0 && since % NS_PER_SECOND)
        whole--; /* the half second after the divider was released */
    return rtc->base_seconds + whole;
}

/* Guest time at which the clock comes to show `seconds`. */
static int64_t ns_of_seconds(const struct rtc *rtc, int64_t seconds)
{
    return rtc->base_ns + (seconds - rtc->base_seconds) * NS_PER_SECOND;
}

static void registers_from_clock(struct rtc *rtc)
{
    if (!clock_runs(rtc))
        return;
    struct calendar c;
    calendar_of_seconds(&c, seconds_at(rtc, now_ns(rtc)));
    rtc->cmos[SECONDS] = encode(rtc, c.second);
    rtc->cmos[MINUTES] = encode(rtc, c.minute);
    rtc->cmos[HOURS] = encode_hour(rtc, c.hour);
    rtc->cmos[WEEKDAY] = encode(rtc, (unsigned)((c.weekday + rtc->weekday_shift) % 7) + 1);
    rtc->cmos[DAY] = encode(rtc, c.day);
    rtc->cmos[MONTH] = encode(rtc, c.month);
    rtc->cmos[YEAR] = encode(rtc, (unsigned)(c.year % 100));
    rtc->cmos[CENTURY] = encode(rtc, (unsigned)(c.year / 100));
}

/* The guest set the registers: the clock goes on from them, at `into` ns of the second. What is
 * not a date (month 0, day 45) becomes the date it would be by counting. */
static void clock_from_registers(struct rtc *rtc, int64_t into)
{
    int64_t year =
        (decode(rtc, rtc->cmos[CENTURY]) * (int64_t)100) + decode(rtc, rtc->cmos[YEAR]) % 100;
    unsigned month = decode(rtc, rtc->cmos[MONTH]);
    month = month < 1 ? 1 : month > 12 ? 12 : month;
    if (year < 1970)
        year += year < 100 ? 2000 : 0;
    int64_t days = days_of_date(year, month, decode(rtc, rtc->cmos[DAY]));
    int64_t seconds = days * DAY_SECONDS + decode_hour(rtc, rtc->cmos[HOURS]) * 3600 +
                      decode(rtc, rtc->cmos[MINUTES]) * 60 + decode(rtc, rtc->cmos[SECONDS]);
    if (seconds < 0 || seconds > YEAR_9999_END)
        seconds = 0;
    rtc->base_seconds = seconds;
    rtc->base_ns = now_ns(rtc) - into;
    unsigned weekday = (decode(rtc, rtc->cmos[WEEKDAY]) + 6) % 7;
    rtc->weekday_shift = (weekday + 7 - (seconds / DAY_SECONDS + 4) % 7) % 7;
}

/* Ticks of the 32.768 kHz divider between periodic interrupts; 0: none. */
static unsigned periodic_ticks(const struct rtc *rtc)
{
    unsigned rate = rtc->cmos[REG_A] & A_RATE;
    if (!rate || !divider_runs(rtc))
        return 0;
    return 1u << (rate <= 2 ? rate + 6 : rate - 1);
}

static int64_t divider_at(int64_t ns)
{
    return (int64_t)mul_div((uint64_t)ns, DIVIDER_HZ, NS_PER_SECOND);
}

static bool alarm_matches(uint8_t alarm, uint8_t value)
{
    return alarm >= ALARM_ANY || alarm == value;
}

/* Seconds until the clock next shows the alarm time, 1..86400, or 0: no such time. */
static unsigned seconds_to_alarm(const struct rtc *rtc, int64_t from)
{
    const uint8_t *alarm = rtc->cmos;
    unsigned first = (unsigned)((from + 1) % DAY_SECONDS); /* of the day */
    for (unsigned h = 0; h <= 24; h++) {
        unsigned hour = (first / 3600 + h) % 24;
        if (!alarm_matches(alarm[HOURS_ALARM], encode_hour(rtc, hour)))
            continue;
        for (unsigned minute = h ? 0 : first / 60 % 60; minute < 60; minute++) {
            if (!alarm_matches(alarm[MINUTES_ALARM], encode(rtc, minute)))
                continue;
            bool at_start = !h && minute == first / 60 % 60;
            for (unsigned second = at_start ? first % 60 : 0; second < 60; second++) {
                if (!alarm_matches(alarm[SECONDS_ALARM], encode(rtc, second)))
                    continue;
                unsigned day = hour * 3600 + minute * 60 + second;
                return (day + DAY_SECONDS - first) % DAY_SECONDS + 1;
            }
            if (!at_start)
                return 0; /* a whole minute without a match: no second ever matches */
        }
    }
    return 0;
}

/* Raises the flags of what happened since they were last worked out. */
static void update_flags(struct rtc *rtc)
{
    int64_t now = now_ns(rtc), then = rtc->flags_ns;
    if (now <= then)
        return;
    rtc->flags_ns = now;
    unsigned period = periodic_ticks(rtc);
    if (period && divider_at(now) / period != divider_at(then) / period)
        rtc->cmos[REG_C] |= C_PF;
    if (!clock_runs(rtc))
        return;
    int64_t from = seconds_at(rtc, then), to = seconds_at(rtc, now);
    if (to <= from)
        return;
    rtc->cmos[REG_C] |= C_UF;
    unsigned wait = seconds_to_alarm(rtc, from);
    if (wait && from + wait <= to)
        rtc->cmos[REG_C] |= C_AF;
}

static void update_irq(struct rtc *rtc)
{
    uint8_t *c = &rtc->cmos[REG_C];
    bool active = *c & rtc->cmos[REG_B] & (C_PF | C_AF | C_UF); /* same places as PIE, AIE, UIE */
    *c = active ? *c | C_IRQF : *c & ~C_IRQF;
    irq_set(&rtc->irq, active);
}

static void arm(struct rtc *rtc)
{
    int64_t now = now_ns(rtc);
    uint8_t b = rtc->cmos[REG_B];
    unsigned period = periodic_ticks(rtc);
    timer_cancel(&rtc->update_timer);
    timer_cancel(&rtc->periodic_timer);
    if ((b & B_PIE) && period) {
        uint64_t next = ((uint64_t)divider_at(now) / period + 1) * period;
        timer_set(&rtc->periodic_timer, (int64_t)mul_div(next, NS_PER_SECOND, DIVIDER_HZ) + 1);
    }
    if (!clock_runs(rtc) || !(b & (B_UIE | B_AIE)))
        return;
    int64_t seconds = seconds_at(rtc, now);
    unsigned wait = b & B_UIE ? 1 : seconds_to_alarm(rtc, seconds);
    if (wait)
        timer_set(&rtc->update_timer, ns_of_seconds(rtc, seconds + wait));
}

static void timer_due(void *opaque)
{
    struct rtc *rtc = opaque;
    update_flags(rtc);
    update_irq(rtc);
    arm(rtc);
}

static bool is_time(uint8_t index)
{
    return index == CENTURY || (index <= YEAR && index != SECONDS_ALARM && index != MINUTES_ALARM &&
                                index != HOURS_ALARM);
}

static void write_time(struct rtc *rtc, uint8_t index, uint8_t value)
{
    registers_from_clock(rtc);
    rtc->cmos[index] = value;
    if (!clock_runs(rtc))
        return;
    int64_t since = now_ns(rtc) - rtc->base_ns;
    clock_from_registers(rtc, since >= 0 ? since % NS_PER_SECOND : 0);
}

static void write_a(struct rtc *rtc, uint8_t value)
{
    registers_from_clock(rtc);
    bool ran = divider_runs(rtc);
    rtc->cmos[REG_A] = value & ~A_UIP;
    /* The first update comes half a second after the divider's reset ends. */
    if (!ran && divider_runs(rtc))
        clock_from_registers(rtc, NS_PER_SECOND / 2);
}

static void write_b(struct rtc *rtc, uint8_t value)
{
    registers_from_clock(rtc);
    uint8_t old = rtc->cmos[REG_B];
    if (value & B_SET)
        value &= ~B_UIE;
    int64_t since = now_ns(rtc) - rtc->base_ns;
    rtc->cmos[REG_B] = value;
    if ((old & B_SET) && clock_runs(rtc))
        clock_from_registers(rtc, since >= 0 ? since % NS_PER_SECOND : 0);
}

static void write_data(struct rtc *rtc, uint8_t index, uint8_t value)
{
    update_flags(rtc);
    if (is_time(index))
        write_time(rtc, index, value);
    else if (index == REG_A)
        write_a(rtc, value);
    else if (index == REG_B)
        write_b(rtc, value);
    else if (index != REG_C && index != REG_D)
        rtc->cmos[index] = value;
    if (index <= REG_D || index == CENTURY) {
        update_irq(rtc);
        arm(rtc);
    }
}

static uint8_t read_a(const struct rtc *rtc)
{
    int64_t since = now_ns(rtc) - rtc->base_ns;
    int64_t into = since >= 0 ? since % NS_PER_SECOND : since + NS_PER_SECOND;
    bool updating = clock_runs(rtc) && into >= NS_PER_SECOND - UPDATE_NS;
    return rtc->cmos[REG_A] | (updating ? A_UIP : 0);
}

static uint8_t read_c(struct rtc *rtc)
{
    update_flags(rtc);
    update_irq(rtc);
    uint8_t value = rtc->cmos[REG_C];
    rtc->cmos[REG_C] = 0;
    update_irq(rtc);
    return value;
}

static uint64_t rtc_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    struct rtc *rtc = opaque;
    if (!(offset & 1))
        return 0xff; /* the index cannot be read */
    if (rtc->index == REG_A)
        return read_a(rtc);
    if (rtc->index == REG_C)
        return read_c(rtc);
    if (is_time(rtc->index))
        registers_from_clock(rtc);
    return rtc->cmos[rtc->index];
}

static void rtc_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    struct rtc *rtc = opaque;
    if (offset & 1) {
        write_data(rtc, rtc->index, (uint8_t)value);
        return;
    }
    rtc->index = value & 0x7f;
    rtc->nmi_masked = value & 0x80;
}

static const struct io_ops rtc_ops = {rtc_read, rtc_write, 1, 1};

void rtc_set_cmos(struct rtc *rtc, uint8_t index, uint8_t value)
{
    if (index > REG_D && index < RTC_CMOS)
        rtc->cmos[index] = value;
}

uint8_t rtc_get_cmos(const struct rtc *rtc, uint8_t index)
{
    return rtc->cmos[index % RTC_CMOS];
}

int rtc_base_seconds(const char *base, int64_t *seconds, struct error *err)
{
    time_t now = time(NULL);
    struct tm tm = {0};
    if (!base || !strcmp(base, "utc")) {
        *seconds = now;
        return 0;
    }
    if (!strcmp(base, "localtime")) {
        localtime_r(&now, &tm);
        *seconds = timegm(&tm);
        return 0;
    }
    const char *end = strptime(base, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end || *end) {
        tm = (struct tm){0};
        end = strptime(base, "%Y-%m-%d", &tm);
    }
    *seconds = timegm(&tm);
    if (!end || *end || *seconds < 0 || *seconds > YEAR_9999_END)
        return error_set(err, EINVAL,
                         "-rtc base=%s: expected utc, localtime, or a date like 2006-06-17 or "
                         "2006-06-17T16:01:21, from 1970 on",
                         base);
    return 0;
}

static int rtc_loaded(void *object, struct error *err)
{
    struct rtc *rtc = object;
    int64_t now = now_ns(rtc);
    rtc->index &= 0x7f;
    if (rtc->base_ns > now + NS_PER_SECOND || rtc->base_ns < -NS_PER_SECOND ||
        rtc->base_seconds < 0 || rtc->base_seconds > YEAR_9999_END || rtc->weekday_shift < 0 ||
        rtc->weekday_shift > 6)
        return error_set(err, EINVAL, "the saved state of the rtc has an impossible time");
    if (rtc->flags_ns < 0 || rtc->flags_ns > now)
        rtc->flags_ns = now;
    update_irq(rtc);
    arm(rtc);
    return 0;
}

static const struct state_field rtc_fields[] = {
    STATE_BLOB(struct rtc, cmos),           STATE_FIELD(struct rtc, index),
    STATE_FIELD(struct rtc, nmi_masked),    STATE_FIELD(struct rtc, base_seconds),
    STATE_FIELD(struct rtc, base_ns),       STATE_FIELD(struct rtc, flags_ns),
    STATE_FIELD(struct rtc, weekday_shift),
};
static const struct state_table rtc_state = STATE_TABLE("rtc", 1, rtc_fields, rtc_loaded);

/* A battery keeps time and memory; the RESET pin stops interrupts only. */
static void rtc_reset(struct device *device)
{
    struct rtc *rtc = (struct rtc *)device;
    update_flags(rtc);
    rtc->cmos[REG_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    rtc->cmos[REG_C] = 0;
    rtc->index = 0;
    rtc->nmi_masked = false;
    update_irq(rtc);
    arm(rtc);
}

static void rtc_fini(struct device *device)
{
    struct rtc *rtc = (struct rtc *)device;
    timer_cancel(&rtc->update_timer);
    timer_cancel(&rtc->periodic_timer);
    pio_remove(rtc->pio, &rtc->ports);
}

static const struct device_type rtc_type = {"mc146818rtc", &rtc_state, rtc_reset, rtc_fini};

int rtc_init(struct rtc *rtc, struct pio *pio, struct timers *timers, int64_t base_seconds,
             struct irq irq)
{
    *rtc = (struct rtc){.device = {.type = &rtc_type}, .irq = irq, .pio = pio};
    timer_init(&rtc->update_timer, timers, timer_due, rtc);
    timer_init(&rtc->periodic_timer, timers, timer_due, rtc);
    rtc->ports = (struct pio_range){"rtc", 0x70, 4, &rtc_ops, rtc};
    int r = pio_add(pio, &rtc->ports);
    if (r < 0)
        return r;
    rtc->cmos[REG_A] = 0x26; /* 32.768 kHz, 1024 Hz: what every BIOS programs */
    rtc->cmos[REG_B] = B_24H;
    rtc->cmos[REG_D] = D_VRT;
    rtc->base_seconds = base_seconds;
    rtc->base_ns = rtc->flags_ns = now_ns(rtc);
    rtc_reset(&rtc->device);
    registers_from_clock(rtc);
    return 0;
}
