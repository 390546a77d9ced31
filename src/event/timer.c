/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A binary heap of deadlines. timers_run first moves all that is due out of the heap into a list
 * and then runs the list, so that what callbacks arm waits for the next call.
 */
#include "event/timer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* In struct timer's slot: the rest is a place in the due list. */
#define SLOT_DUE ((size_t)1 << (sizeof(size_t) * 8 - 1))

/* timers_advance: how often timers may re-arm in the past before the clock is pushed on. */
enum { ROUNDS_AT_ONE_TIME = 1000, PUSH_NS = 1000 };

void timers_init(struct timers *timers, bool manual)
{
    memset(timers, 0, sizeof(*timers));
    clock_init(&timers->clock, manual);
    if (manual)
        clock_start(&timers->clock);
}

void timers_fini(struct timers *timers)
{
    for (size_t i = 0; i < timers->count; i++)
        timers->heap[i]->slot = 0;
    free(timers->heap);
    free(timers->due);
    timers->heap = NULL;
    timers->due = NULL;
    timers->count = 0;
    timers->room = 0;
}

int64_t timers_now(const struct timers *timers)
{
    return clock_now(&timers->clock);
}

int64_t timers_next(const struct timers *timers)
{
    return timers->count ? timers->heap[0]->deadline : INT64_MAX;
}

static bool earlier(const struct timer *a, const struct timer *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
}

static void put(struct timers *timers, size_t i, struct timer *timer)
{
    timers->heap[i] = timer;
    timer->slot = i + 1;
}

void timers_kick(struct timers *timers)
{
    if (timers->changed)
        timers->changed(timers->changed_opaque);
}

/* Moves the timer at i towards the root or the leaves until the heap is one again. */
static void settle(struct timers *timers, size_t i)
{
    struct timer *timer = timers->heap[i];
    while (i > 0 && earlier(timer, timers->heap[(i - 1) / 2])) {
        put(timers, i, timers->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && earlier(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!earlier(timers->heap[child], timer))
            break;
        put(timers, i, timers->heap[child]);
        i = child;
    }
    put(timers, i, timer);
}

/* Takes the timer out of the heap or the due list. */
static void take_out(struct timer *timer)
{
    struct timers *timers = timer->timers;
    if (timer->slot & SLOT_DUE) {
        timers->due[timer->slot & ~SLOT_DUE] = NULL;
    } else if (timer->slot) {
        size_t i = timer->slot - 1;
        struct timer *last = timers->heap[--timers->count];
        if (last != timer) {
            put(timers, i, last);
            settle(timers, i);
        }
    }
    timer->slot = 0;
}

/* The number of timers is the number of devices, never the guest's choice: without memory for a few
 * hundred bytes there is no way on. */
static void grow(struct timers *timers)
{
    size_t room = timers->room ? timers->room * 2 : 32;
    struct timer **heap = realloc(timers->heap, room * sizeof(*heap));
    if (heap)
        timers->heap = heap;
    struct timer **due = realloc(timers->due, room * sizeof(*due));
    if (due)
        timers->due = due;
    if (!heap || !due) {
        log_warn("out of memory for timers");
        abort();
    }
    timers->room = room;
}

static void tell_if_changed(struct timers *timers, int64_t before)
{
    if (timers->changed && timers_next(timers) != before)
        timers->changed(timers->changed_opaque);
}

static void run_due(struct timers *timers)
{
    for (size_t i = 0; i < timers->due_count; i++) {
        struct timer *timer = timers->due[i];
        if (!timer)
            continue;
        timer->slot = 0;
        timer->fn(timer->opaque);
    }
    timers->due_count = 0;
}

void timers_run(struct timers *timers)
{
    if (timers->running)
        return;
    int64_t now = timers_now(timers);
    int64_t before = timers_next(timers);
    timers->running = true;
    while (timers->count && timers->heap[0]->deadline <= now) {
        struct timer *timer = timers->heap[0];
        take_out(timer);
        timer->slot = SLOT_DUE | timers->due_count;
        timers->due[timers->due_count++] = timer;
    }
    run_due(timers);
    timers->running = false;
    tell_if_changed(timers, before);
}

void timers_advance(struct timers *timers, int64_t ns)
{
    assert(timers->clock.manual && ns >= 0);
    int64_t target = timers_now(timers) + ns;
    unsigned rounds = 0;
    for (int64_t next; (next = timers_next(timers)) <= target;) {
        int64_t now = timers_now(timers);
        rounds = next <= now ? rounds + 1 : 0;
        if (rounds > ROUNDS_AT_ONE_TIME)
            next = now + PUSH_NS;
        if (next > target)
            break;
        if (next > now)
            clock_set(&timers->clock, next);
        timers_run(timers);
    }
    clock_set(&timers->clock, target);
}

void timer_init(struct timer *timer, struct timers *timers, timer_fn fn, void *opaque)
{
    *timer = (struct timer){.timers = timers, .fn = fn, .opaque = opaque};
}

void timer_set(struct timer *timer, int64_t deadline_ns)
{
    struct timers *timers = timer->timers;
    int64_t before = timers_next(timers);
    take_out(timer);
    /* The due list needs room for what was in the heap as well as for what is in it now. */
    if (timers->count == timers->room)
        grow(timers);
    timer->deadline = deadline_ns;
    timer->order = timers->order++;
    put(timers, timers->count++, timer);
    settle(timers, timers->count - 1);
    if (!timers->running)
        tell_if_changed(timers, before);
}

void timer_cancel(struct timer *timer)
{
    if (!timer->slot)
        return;
    struct timers *timers = timer->timers;
    int64_t before = timers_next(timers);
    take_out(timer);
    if (!timers->running)
        tell_if_changed(timers, before);
}
