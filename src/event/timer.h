/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Timers on guest time: a heap of deadlines. In a VM the main loop runs what is due (event/loop.h);
 * in a device test the test moves a manual clock with timers_advance().
 *
 * All under the VM lock. Callbacks run on the main loop's thread, under the VM lock.
 */
#ifndef EVENT_TIMER_H
#define EVENT_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/clock.h"

typedef void (*timer_fn)(void *opaque);

struct timers;

struct timer {
    struct timers *timers;
    timer_fn fn;
    void *opaque;
    int64_t deadline; /* ns of guest time; meaningful while armed */
    size_t slot;      /* private: place in the heap or the due list; 0: not armed */
    uint64_t order;   /* private: of arming, so that equal deadlines run first come first served */
};

struct timers {
    struct clock clock;
    struct timer **heap;
    size_t count;
    struct timer **due; /* what timers_run is about to run; NULL: cancelled meanwhile */
    size_t due_count;
    size_t room; /* of heap and of due */
    uint64_t order;
    bool running; /* inside timers_run */
    /* Called when the first deadline changes, so that the loop can rearm; may be NULL. */
    void (*changed)(void *opaque);
    void *changed_opaque;
};

/* manual: the clock moves by timers_advance only, and starts running at 0. */
void timers_init(struct timers *timers, bool manual);
void timers_fini(struct timers *timers);

/* Guest time now, ns. From any thread. */
int64_t timers_now(const struct timers *timers);

/* The first deadline, or INT64_MAX. */
int64_t timers_next(const struct timers *timers);

/* Runs every timer due at clock_now(). A callback may arm, cancel and re-arm any timer; a timer
 * re-armed in the past runs once more in the next call and not in this one, so that a guest that
 * programs a period of 0 cannot hold the loop. */
void timers_run(struct timers *timers);

/* The clock was started, stopped or set: the loop looks at it anew. */
void timers_kick(struct timers *timers);

/* Tests: moves the manual clock forward deadline by deadline, running each at its own time. */
void timers_advance(struct timers *timers, int64_t ns);

void timer_init(struct timer *timer, struct timers *timers, timer_fn fn, void *opaque);

/* Arms (or re-arms) for a time in ns of guest time. A time in the past is due at once. */
void timer_set(struct timer *timer, int64_t deadline_ns);

/* Idempotent. After it the callback does not run. */
void timer_cancel(struct timer *timer);

static inline bool timer_armed(const struct timer *timer)
{
    return timer->slot != 0;
}

#endif
