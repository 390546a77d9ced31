/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * event/loop: posts from threads, watches, timers, signals, the lock.
 */
#include "unit/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "event/loop.h"

static struct loop *loop;
static struct timers timers;

static int setup(void **state)
{
    (void)state;
    timers_init(&timers, false);
    return loop_create(&loop, &timers, NULL);
}

static int teardown(void **state)
{
    (void)state;
    loop_destroy(loop);
    timers_fini(&timers);
    return 0;
}

enum { THREADS = 4, POSTS = 5000 };

struct poster {
    pthread_t thread;
    int next; /* post expected next from this thread */
    bool disordered;
};

struct numbered {
    struct poster *poster;
    int n;
};

static int posted;

/* Without the lock, the sum of four threads and the loop would come out short. */
static int under_lock;

static void take_post(void *opaque)
{
    struct numbered *numbered = opaque;
    struct poster *poster = numbered->poster;
    poster->disordered |= numbered->n != poster->next++;
    free(numbered);
    under_lock++;
    if (++posted == THREADS * POSTS)
        loop_quit(loop);
}

static void *post_many(void *opaque)
{
    for (int i = 0; i < POSTS; i++) {
        struct numbered *numbered = malloc(sizeof(*numbered));
        *numbered = (struct numbered){opaque, i};
        if (i % 2) {
            loop_lock(loop);
            under_lock++;
            loop_post(loop, take_post, numbered);
            loop_unlock(loop);
        } else {
            loop_post(loop, take_post, numbered);
        }
    }
    return NULL;
}

static void posts_arrive_in_order_from_threads(void **state)
{
    (void)state;
    struct poster posters[THREADS] = {0};
    posted = 0;
    under_lock = 0;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&posters[i].thread, NULL, post_many, &posters[i]);
    loop_run(loop);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(posters[i].thread, NULL);
        assert_false(posters[i].disordered);
        assert_int_equal(posters[i].next, POSTS);
    }
    assert_int_equal(under_lock, THREADS * POSTS + THREADS * POSTS / 2);
}

static void *quit_from_thread(void *opaque)
{
    loop_quit(opaque);
    return NULL;
}

static void quit_is_never_lost(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, quit_from_thread, loop);
        loop_run(loop);
        pthread_join(thread, NULL);
    }
}

struct pipe_end {
    int fd[2];
    struct watch *watch;
    int calls;
    char got[64];
    size_t length;
};

static void readable(void *opaque, unsigned ready)
{
    struct pipe_end *end = opaque;
    assert_int_equal(ready, LOOP_READ);
    end->calls++;
    /* One byte a call: level-triggered, it is called again for the rest. */
    assert_int_equal(read(end->fd[0], end->got + end->length++, 1), 1);
    if (end->length < 5)
        return;
    watch_destroy(end->watch); /* from inside its own callback, with bytes left to read */
    loop_quit(loop);
}

static void a_watch_is_level_triggered(void **state)
{
    (void)state;
    struct pipe_end end = {0};
    assert_int_equal(pipe(end.fd), 0);
    loop_lock(loop);
    end.watch = watch_create(loop, end.fd[0], 0, readable, &end);
    assert_non_null(end.watch);
    loop_unlock(loop);
    assert_int_equal(write(end.fd[1], "hello, world", 12), 12);
    loop_lock(loop);
    watch_set(end.watch, LOOP_READ);
    loop_unlock(loop);
    loop_run(loop);
    assert_memory_equal(end.got, "hello", 5);
    assert_int_equal(end.calls, 5);
    close(end.fd[0]);
    close(end.fd[1]);
}

static void quit(void *opaque)
{
    loop_quit(opaque);
}

static void writable(void *opaque, unsigned ready)
{
    struct pipe_end *end = opaque;
    assert_int_equal(ready, LOOP_WRITE);
    if (++end->calls == 3) {
        watch_set(end->watch, 0);
        loop_quit(loop);
    }
}

static void write_readiness_stops_when_told(void **state)
{
    (void)state;
    struct pipe_end end = {0};
    assert_int_equal(pipe(end.fd), 0);
    end.watch = watch_create(loop, end.fd[1], LOOP_WRITE, writable, &end);
    loop_run(loop);
    loop_post(loop, quit, loop);
    loop_run(loop);
    assert_int_equal(end.calls, 3);
    watch_destroy(end.watch);
    watch_destroy(NULL);
    close(end.fd[0]);
    close(end.fd[1]);
}

static void unpollable_descriptors_are_refused(void **state)
{
    (void)state;
    struct pipe_end end;
    char path[] = "/tmp/trapeze-loop-XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    assert_null(watch_create(loop, fd, LOOP_READ, readable, &end));
    assert_null(watch_create(loop, fd, 0, readable, &end));
    close(fd);
    assert_null(watch_create(loop, fd, LOOP_READ, readable, &end));
    fd = open("/dev/null", O_RDONLY);
    assert_null(watch_create(loop, fd, LOOP_READ, readable, &end));
    close(fd);
}

/* A thread destroys and makes a watch that is always ready while the loop calls it. */
struct churn {
    int fd[2];
    struct watch *watch;
    long calls;
    bool called_dead;
};

static void churned(void *opaque, unsigned ready)
{
    (void)ready;
    struct churn *churn = opaque;
    churn->called_dead |= !churn->watch;
    churn->calls++;
}

static void *churn_watches(void *opaque)
{
    struct churn *churn = opaque;
    for (int i = 0; i < 3000; i++) {
        loop_lock(loop);
        churn->watch = watch_create(loop, churn->fd[1], LOOP_WRITE, churned, churn);
        loop_unlock(loop);
        loop_lock(loop);
        watch_destroy(churn->watch);
        churn->watch = NULL;
        loop_unlock(loop);
    }
    loop_quit(loop);
    return NULL;
}

static void watches_may_go_while_the_loop_calls_them(void **state)
{
    (void)state;
    struct churn churn = {0};
    assert_int_equal(pipe(churn.fd), 0);
    pthread_t thread;
    pthread_create(&thread, NULL, churn_watches, &churn);
    loop_run(loop);
    pthread_join(thread, NULL);
    assert_false(churn.called_dead);
    close(churn.fd[0]);
    close(churn.fd[1]);
}

static struct timer ticker;
static int ticks;
static int64_t last_tick;

static void tick(void *opaque)
{
    (void)opaque;
    assert_true(timers_now(&timers) >= ticker.deadline);
    last_tick = timers_now(&timers);
    if (++ticks == 10)
        loop_quit(loop);
    else
        timer_set(&ticker, ticker.deadline + 1000000);
}

static void the_loop_runs_timers(void **state)
{
    (void)state;
    ticks = 0;
    timer_init(&ticker, &timers, tick, NULL);
    clock_start(&timers.clock);
    int64_t start = timers_now(&timers);
    timer_set(&ticker, start + 1000000);
    loop_run(loop);
    assert_int_equal(ticks, 10);
    assert_true(last_tick >= start + 10000000);
}

static void *arm_from_thread(void *opaque)
{
    (void)opaque;
    loop_lock(loop);
    timer_set(&ticker, timers_now(&timers) + 1000000);
    loop_unlock(loop);
    return NULL;
}

static void a_timer_armed_by_a_thread_wakes_the_loop(void **state)
{
    (void)state;
    ticks = 9;
    timer_init(&ticker, &timers, tick, NULL);
    struct timer far;
    timer_init(&far, &timers, tick, NULL);
    clock_start(&timers.clock);
    timer_set(&far, timers_now(&timers) + 3600 * NS_PER_SECOND);
    pthread_t thread;
    pthread_create(&thread, NULL, arm_from_thread, NULL);
    loop_run(loop);
    pthread_join(thread, NULL);
    timer_cancel(&far);
    assert_int_equal(ticks, 10);
}

static void start_clock(void *opaque)
{
    (void)opaque;
    assert_int_equal(ticks, 9);
    clock_start(&timers.clock);
}

static void timers_wait_while_the_clock_stands(void **state)
{
    (void)state;
    ticks = 9;
    timer_init(&ticker, &timers, tick, NULL);
    clock_set(&timers.clock, 1000);
    timer_set(&ticker, 500); /* due, but nothing runs in a paused machine */
    loop_post(loop, quit, loop);
    loop_run(loop);
    assert_int_equal(ticks, 9);
    loop_post(loop, start_clock, NULL);
    loop_run(loop);
    assert_int_equal(ticks, 10);
}

static void on_signal(void *opaque)
{
    *(bool *)opaque = true;
    loop_quit(loop);
}

static void signals_become_callbacks(void **state)
{
    (void)state;
    bool seen = false;
    assert_int_equal(loop_on_signal(loop, SIGUSR1, on_signal, &seen), 0);
    kill(getpid(), SIGUSR1);
    loop_run(loop);
    assert_true(seen);
}

static void take_away(void *opaque)
{
    *(int *)opaque += 1;
    loop_off_signal(loop, SIGUSR1, take_away, opaque);
}

static void signal_callbacks_can_be_taken_away(void **state)
{
    (void)state;
    int away = 0, self = 0;
    bool seen = false;
    loop_off_signal(loop, SIGUSR1, take_away, &away);
    assert_int_equal(loop_on_signal(loop, SIGUSR1, on_signal, &seen), 0);
    assert_int_equal(loop_on_signal(loop, SIGUSR1, take_away, &away), 0);
    assert_int_equal(loop_on_signal(loop, SIGUSR1, take_away, &self), 0);
    loop_lock(loop);
    loop_off_signal(loop, SIGUSR1, take_away, &away);
    loop_unlock(loop);
    for (int i = 0; i < 2; i++) {
        seen = false;
        kill(getpid(), SIGUSR1);
        loop_run(loop);
        assert_true(seen);
    }
    assert_int_equal(away, 0);
    assert_int_equal(self, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(posts_arrive_in_order_from_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(quit_is_never_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(a_watch_is_level_triggered, setup, teardown),
        cmocka_unit_test_setup_teardown(write_readiness_stops_when_told, setup, teardown),
        cmocka_unit_test_setup_teardown(unpollable_descriptors_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(watches_may_go_while_the_loop_calls_them, setup, teardown),
        cmocka_unit_test_setup_teardown(the_loop_runs_timers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_timer_armed_by_a_thread_wakes_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(timers_wait_while_the_clock_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(signals_become_callbacks, setup, teardown),
        cmocka_unit_test_setup_teardown(signal_callbacks_can_be_taken_away, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
