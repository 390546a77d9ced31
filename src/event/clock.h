/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest time. A clock counts nanoseconds of guest life: it follows the host's monotonic clock and
 * stands still while the VM is paused. A manual clock, for tests, moves only when told.
 *
 * clock_now() from any thread; the others under the VM lock (event/loop.h).
 */
#ifndef EVENT_CLOCK_H
#define EVENT_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NS_PER_SECOND 1000000000ll

struct clock {
    bool manual;
    _Atomic bool running;
    _Atomic int64_t offset_ns; /* running: now = host monotonic + offset; stopped: now = offset */
    atomic_uint sequence;      /* odd while the two above change together */
};

/* A clock that stands at 0, stopped. */
void clock_init(struct clock *clock, bool manual);

/* Guest nanoseconds since clock_init. Never negative, never backwards. */
int64_t clock_now(const struct clock *clock);

void clock_start(struct clock *clock);
void clock_stop(struct clock *clock);

/* Sets a stopped or manual clock (tests; later a restored snapshot). */
void clock_set(struct clock *clock, int64_t now_ns);

/* a * b / c in 128 bits, for converting between tick rates. c must not be 0. */
static inline uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)((unsigned __int128)a * b / c);
}

#endif
