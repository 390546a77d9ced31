/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest time over CLOCK_MONOTONIC. Writers are under the VM lock; readers hold no lock, so running
 * and offset_ns, which belong together, are read under a sequence count.
 */
#include "event/clock.h"

#include <time.h>

static int64_t host_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* Odd while the pair is being changed. */
static void change(struct clock *clock, bool running, int64_t offset_ns)
{
    unsigned sequence = atomic_load_explicit(&clock->sequence, memory_order_relaxed);
    atomic_store_explicit(&clock->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&clock->running, running, memory_order_relaxed);
    atomic_store_explicit(&clock->offset_ns, offset_ns, memory_order_relaxed);
    atomic_store_explicit(&clock->sequence, sequence + 2, memory_order_release);
}

void clock_init(struct clock *clock, bool manual)
{
    clock->manual = manual;
    atomic_init(&clock->running, false);
    atomic_init(&clock->offset_ns, 0);
    atomic_init(&clock->sequence, 0);
}

int64_t clock_now(const struct clock *clock)
{
    for (;;) {
        unsigned before = atomic_load_explicit(&clock->sequence, memory_order_acquire);
        bool running = atomic_load_explicit(&clock->running, memory_order_relaxed);
        int64_t offset = atomic_load_explicit(&clock->offset_ns, memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        unsigned after = atomic_load_explicit(&clock->sequence, memory_order_relaxed);
        if (before == after && !(before & 1))
            return running && !clock->manual ? host_now() + offset : offset;
    }
}

void clock_start(struct clock *clock)
{
    if (!clock->running)
        change(clock, true, clock->manual ? clock->offset_ns : clock->offset_ns - host_now());
}

void clock_stop(struct clock *clock)
{
    if (clock->running)
        change(clock, false, clock_now(clock));
}

void clock_set(struct clock *clock, int64_t now_ns)
{
    bool follows_host = clock->running && !clock->manual;
    change(clock, clock->running, follows_host ? now_ns - host_now() : now_ns);
}
