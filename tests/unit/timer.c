/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * event/clock and event/timer.
 */
#include "unit/test.h"

#include <string.h>

#include "base/bytes.h"
#include "event/timer.h"

struct trace {
    struct timers timers;
    struct timer timer[64];
    struct ticket {
        struct trace *trace;
        int n;
    } tickets[64];
    int order[4096];
    int64_t when[4096];
    int count;
    int64_t period; /* timer 0 re-arms itself */
    int cancels;    /* timer 0 cancels this one, if not 0 */
};

static void fired(void *opaque)
{
    struct ticket *ticket = opaque;
    struct trace *trace = ticket->trace;
    if (trace->count < 4096) {
        trace->order[trace->count] = ticket->n;
        trace->when[trace->count] = timers_now(&trace->timers);
    }
    trace->count++;
    if (ticket->n == 0 && trace->period >= 0)
        timer_set(&trace->timer[0], timers_now(&trace->timers) + trace->period);
    if (ticket->n == 0 && trace->cancels)
        timer_cancel(&trace->timer[trace->cancels]);
}

static struct trace trace;

static int setup(void **state)
{
    memset(&trace, 0, sizeof(trace));
    timers_init(&trace.timers, true);
    trace.period = -1;
    for (int i = 0; i < 64; i++) {
        trace.tickets[i] = (struct ticket){&trace, i};
        timer_init(&trace.timer[i], &trace.timers, fired, &trace.tickets[i]);
    }
    *state = &trace;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    timers_fini(&trace.timers);
    return 0;
}

static void deadlines_run_in_order_each_at_its_time(void **state)
{
    (void)state;
    static const int64_t at[] = {500, 100, 300, 100, 200};
    for (int i = 0; i < 5; i++)
        timer_set(&trace.timer[i], at[i]);
    assert_int_equal(timers_next(&trace.timers), 100);
    timers_advance(&trace.timers, 99);
    assert_int_equal(trace.count, 0);
    timers_advance(&trace.timers, 301);
    static const int order[] = {1, 3, 4, 2}; /* equal deadlines: first armed, first run */
    static const int64_t when[] = {100, 100, 200, 300};
    assert_int_equal(trace.count, 4);
    assert_memory_equal(trace.order, order, sizeof(order));
    assert_memory_equal(trace.when, when, sizeof(when));
    assert_int_equal(timers_now(&trace.timers), 400);
    assert_true(timer_armed(&trace.timer[0]));
    assert_false(timer_armed(&trace.timer[1]));
    timer_cancel(&trace.timer[0]);
    timer_cancel(&trace.timer[0]);
    assert_int_equal(timers_next(&trace.timers), INT64_MAX);
    timers_advance(&trace.timers, 1000);
    assert_int_equal(trace.count, 4);
}

static void a_period_is_kept(void **state)
{
    (void)state;
    trace.period = 10;
    timer_set(&trace.timer[0], 10);
    timers_advance(&trace.timers, 1000);
    assert_int_equal(trace.count, 100);
    assert_int_equal(trace.when[99], 1000);
}

static void a_period_of_zero_holds_nobody(void **state)
{
    (void)state;
    trace.period = 0;
    timer_set(&trace.timer[0], 0);
    timer_set(&trace.timer[1], 0);
    timers_run(&trace.timers);
    assert_int_equal(trace.count, 2); /* both once, the re-armed one not again */
    timers_run(&trace.timers);
    assert_int_equal(trace.count, 3);
    timers_advance(&trace.timers, 1000000); /* comes back */
    assert_int_equal(timers_now(&trace.timers), 1000000);
}

static void a_callback_cancels_one_that_is_due_too(void **state)
{
    (void)state;
    trace.cancels = 2;
    timer_set(&trace.timer[0], 10);
    timer_set(&trace.timer[2], 10);
    timer_set(&trace.timer[3], 10);
    timers_advance(&trace.timers, 10);
    assert_int_equal(trace.count, 2);
    assert_int_equal(trace.order[1], 3);
    assert_false(timer_armed(&trace.timer[2]));
}

static void chaos_keeps_the_heap(void **state)
{
    (void)state;
    uint64_t seed = 7;
    int64_t model[64];
    for (int i = 0; i < 64; i++)
        model[i] = INT64_MAX;
    for (int round = 0; round < 100000; round++) {
        unsigned n = test_random(&seed) % 64;
        if (test_random(&seed) % 3) {
            model[n] = (int64_t)(test_random(&seed) % 100000) + timers_now(&trace.timers) + 1;
            timer_set(&trace.timer[n], model[n]);
        } else {
            model[n] = INT64_MAX;
            timer_cancel(&trace.timer[n]);
        }
        int64_t first = INT64_MAX;
        for (int i = 0; i < 64; i++)
            first = model[i] < first ? model[i] : first;
        assert_int_equal(timers_next(&trace.timers), first);
        if (first != INT64_MAX && test_random(&seed) % 4 == 0) {
            trace.count = 0;
            timers_advance(&trace.timers, first - timers_now(&trace.timers));
            for (int i = 0; i < trace.count; i++) {
                assert_int_equal(model[trace.order[i]], first);
                model[trace.order[i]] = INT64_MAX;
            }
        }
    }
}

static void count_call(void *opaque)
{
    ++*(int *)opaque;
}

static void a_new_first_deadline_is_told(void **state)
{
    (void)state;
    int calls = 0;
    trace.timers.changed = count_call;
    trace.timers.changed_opaque = &calls;
    timer_set(&trace.timer[0], 100);
    assert_int_equal(calls, 1);
    timer_set(&trace.timer[1], 200);
    assert_int_equal(calls, 1);
    timer_cancel(&trace.timer[0]);
    assert_int_equal(calls, 2);
}

static void the_clock_stands_while_stopped(void **state)
{
    (void)state;
    struct clock clock;
    clock_init(&clock, false);
    assert_int_equal(clock_now(&clock), 0);
    clock_start(&clock);
    int64_t before = clock_now(&clock);
    int64_t after = clock_now(&clock);
    assert_true(before >= 0 && after >= before);
    clock_stop(&clock);
    int64_t stopped = clock_now(&clock);
    assert_true(stopped >= after);
    assert_int_equal(clock_now(&clock), stopped);
    clock_set(&clock, 5000000000);
    assert_int_equal(clock_now(&clock), 5000000000);
    clock_start(&clock);
    assert_true(clock_now(&clock) >= 5000000000);
    clock_set(&clock, 9000000000);
    assert_true(clock_now(&clock) >= 9000000000);
    assert_int_equal(mul_div(UINT64_MAX, 1193182, 1193182), UINT64_MAX);
    assert_int_equal(mul_div(1000000000, 1193182, 1000000000), 1193182);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(deadlines_run_in_order_each_at_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_period_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_period_of_zero_holds_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(a_callback_cancels_one_that_is_due_too, setup, teardown),
        cmocka_unit_test_setup_teardown(chaos_keeps_the_heap, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_first_deadline_is_told, setup, teardown),
        cmocka_unit_test(the_clock_stands_while_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
