/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Motorola MC146818 real-time clock with 128 bytes of CMOS memory. Datasheet: MC146818A. The clock
 * goes by guest time. Under the VM lock. Ports 0x70-0x71, and 0x72-0x73 which repeat them, as on a
 * PIIX3 whose upper bank is off; conventions of init: pic.h.
 */
#ifndef DEVICE_RTC_H
#define DEVICE_RTC_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/device.h"
#include "bus/irq.h"
#include "event/timer.h"
#include "mem/io.h"

struct error;

#define RTC_CMOS 128

struct rtc {
    struct device device;
    /* 0-9 and 0x32 are brought up to date from the clock when read; while the clock is stopped
     * (register B's SET, or the divider in reset) they are the time. */
    uint8_t cmos[RTC_CMOS];
    uint8_t index;
    bool nmi_masked;       /* bit 7 of the index port */
    int64_t base_seconds;  /* since 1970-01-01 in whatever zone the guest's clock shows ... */
    int64_t base_ns;       /* ... at this guest time, where a second began */
    int64_t flags_ns;      /* up to when register C's flags are worked out */
    int64_t weekday_shift; /* what the guest wrote minus what the date says, 0..6 */
    struct timer update_timer, periodic_timer;
    struct irq irq;
    struct pio *pio;
    struct pio_range ports;
};

/* The clock starts at base_seconds (rtc_base_seconds). irq is IRQ 8, a level until register C is
 * read. */
int rtc_init(struct rtc *rtc, struct pio *pio, struct timers *timers, int64_t base_seconds,
             struct irq irq);

/* What -rtc base= means: "utc" (or NULL), "localtime", "2006-06-17T16:01:21" or "2006-06-17".
 * -EINVAL naming the allowed forms. */
int rtc_base_seconds(const char *base, int64_t *seconds, struct error *err);

/* For boards: CMOS bytes that firmware reads (memory size, boot order). index 0x0e..0x7f. */
void rtc_set_cmos(struct rtc *rtc, uint8_t index, uint8_t value);
uint8_t rtc_get_cmos(const struct rtc *rtc, uint8_t index);

#endif
