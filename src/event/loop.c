/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The loop over libevent. libevent sleeps and dispatches without the VM lock; each callback takes
 * it here before it goes on to the owner.
 *
 * Between libevent's decision to call back and the lock, another thread may have destroyed or
 * changed the watch: so a callback looks again once it has the lock, and the memory of a destroyed
 * watch is given back by the loop's own thread between two rounds, when no callback is on its way.
 * For the same reason nobody may wait for a running callback while holding the lock:
 * event_del_noblock, never event_del.
 */
#include "event/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

struct watch {
    struct loop *loop;
    struct event *readable, *writable;
    unsigned events;
    bool dead;
    watch_fn fn;
    void *opaque;
    struct watch *next_dead;
};

struct signal_handler {
    struct loop *loop;
    struct event *event;
    int signo;
    bool dead;
    loop_fn fn;
    void *opaque;
    struct signal_handler *next;
};

struct post {
    loop_fn fn;
    void *opaque;
    struct post *next;
};

struct loop {
    struct event_base *base;
    pthread_mutex_t lock; /* the VM lock */
    pthread_t thread;     /* that runs the loop, while in_loop */
    atomic_bool in_loop;
    atomic_bool quit;

    struct timers *timers;
    struct event *deadline;
    int64_t armed_for;       /* guest time `deadline` is set for; INT64_MAX: not set */
    unsigned armed_sequence; /* of the clock then: a clock that was set needs another wait */

    pthread_mutex_t post_lock;
    struct post *posts, **posts_end;
    struct event *posted;

    struct watch *dead;
    struct signal_handler *signals;
};

void loop_lock(struct loop *loop)
{
    int rc = pthread_mutex_lock(&loop->lock);
    if (rc) {
        log_warn("the VM lock was taken twice by one thread");
        abort();
    }
}

void loop_unlock(struct loop *loop)
{
    int rc = pthread_mutex_unlock(&loop->lock);
    if (rc) {
        log_warn("the VM lock was let go of by a thread that did not hold it");
        abort();
    }
}

void loop_wait(struct loop *loop, pthread_cond_t *condition)
{
    pthread_cond_wait(condition, &loop->lock);
}

/* Sets the libevent timer for the first deadline. Under the lock. A timer set too early is left
 * alone: it costs one empty round, and guests move deadlines far more often than they expire. */
static void rearm(struct loop *loop)
{
    int64_t next = loop->timers->clock.running ? timers_next(loop->timers) : INT64_MAX;
    unsigned sequence = loop->timers->clock.sequence;
    if (next >= loop->armed_for && (sequence == loop->armed_sequence || next == INT64_MAX))
        return;
    int64_t wait_ns = next - timers_now(loop->timers);
    int64_t wait_us = wait_ns <= 0 ? 0 : (wait_ns + 999) / 1000;
    struct timeval wait = {.tv_sec = wait_us / 1000000, .tv_usec = wait_us % 1000000};
    loop->armed_for = next;
    loop->armed_sequence = sequence;
    event_add(loop->deadline, &wait);
}

static void timers_changed(void *opaque)
{
    struct loop *loop = opaque;
    /* The loop's own thread looks after each round anyway. */
    if (atomic_load(&loop->in_loop) && pthread_equal(loop->thread, pthread_self()))
        return;
    rearm(loop);
}

static void deadline_reached(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    struct loop *loop = opaque;
    loop_lock(loop);
    loop->armed_for = INT64_MAX;
    if (loop->timers->clock.running)
        timers_run(loop->timers);
    loop_unlock(loop);
}

static void run_posts(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    struct loop *loop = opaque;
    pthread_mutex_lock(&loop->post_lock);
    struct post *post = loop->posts;
    loop->posts = NULL;
    loop->posts_end = &loop->posts;
    pthread_mutex_unlock(&loop->post_lock);

    while (post) {
        struct post *next = post->next;
        loop_lock(loop);
        post->fn(post->opaque);
        loop_unlock(loop);
        free(post);
        post = next;
    }
}

static bool prepare_events(struct loop *loop)
{
    struct event_config *config = event_config_new();
    if (!config)
        return false;
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    if (!loop->base)
        return false;
    loop->deadline = event_new(loop->base, -1, 0, deadline_reached, loop);
    loop->posted = event_new(loop->base, -1, 0, run_posts, loop);
    return loop->deadline && loop->posted;
}

int loop_create(struct loop **loop_out, struct timers *timers, struct error *err)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (!loop)
        return error_set(err, ENOMEM, "out of memory for the main loop");
    loop->posts_end = &loop->posts;
    loop->armed_for = INT64_MAX;
    pthread_mutex_init(&loop->post_lock, NULL);
    pthread_mutexattr_t checked;
    pthread_mutexattr_init(&checked);
    pthread_mutexattr_settype(&checked, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&loop->lock, &checked);
    pthread_mutexattr_destroy(&checked);

    if (evthread_use_pthreads() || !prepare_events(loop)) {
        loop_destroy(loop);
        return error_set(err, EIO,
                         "cannot start the main loop: libevent finds no way to poll (is the limit "
                         "on open files, ulimit -n, reached?)");
    }
    loop->timers = timers;
    if (timers) {
        timers->changed = timers_changed;
        timers->changed_opaque = loop;
    }
    *loop_out = loop;
    return 0;
}

static void free_dead(struct loop *loop)
{
    while (loop->dead) {
        struct watch *watch = loop->dead;
        loop->dead = watch->next_dead;
        event_free(watch->readable);
        event_free(watch->writable);
        free(watch);
    }
    for (struct signal_handler **at = &loop->signals; *at;) {
        struct signal_handler *handler = *at;
        if (!handler->dead) {
            at = &handler->next;
            continue;
        }
        *at = handler->next;
        event_free(handler->event);
        free(handler);
    }
}

void loop_destroy(struct loop *loop)
{
    if (!loop)
        return;
    if (loop->timers) {
        loop->timers->changed = NULL;
        loop->timers->changed_opaque = NULL;
    }
    free_dead(loop);
    while (loop->signals) {
        struct signal_handler *handler = loop->signals;
        loop->signals = handler->next;
        event_free(handler->event);
        free(handler);
    }
    while (loop->posts) {
        struct post *post = loop->posts;
        loop->posts = post->next;
        free(post);
    }
    if (loop->deadline)
        event_free(loop->deadline);
    if (loop->posted)
        event_free(loop->posted);
    if (loop->base)
        event_base_free(loop->base);
    pthread_mutex_destroy(&loop->post_lock);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

void loop_run(struct loop *loop)
{
    loop->thread = pthread_self();
    atomic_store(&loop->in_loop, true);
    while (!atomic_load(&loop->quit)) {
        loop_lock(loop);
        free_dead(loop);
        if (loop->timers)
            rearm(loop);
        loop_unlock(loop);
        event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
    }
    atomic_store(&loop->quit, false);
    atomic_store(&loop->in_loop, false);
}

void loop_quit(struct loop *loop)
{
    atomic_store(&loop->quit, true);
    event_active(loop->posted, EV_TIMEOUT, 0);
}

void loop_post(struct loop *loop, loop_fn fn, void *opaque)
{
    struct post *post = malloc(sizeof(*post));
    if (!post) {
        /* Whoever posts counts on the call (a finished disk request): losing it hangs the guest. */
        log_warn("out of memory for the main loop");
        abort();
    }
    *post = (struct post){.fn = fn, .opaque = opaque};
    pthread_mutex_lock(&loop->post_lock);
    bool first = !loop->posts;
    *loop->posts_end = post;
    loop->posts_end = &post->next;
    pthread_mutex_unlock(&loop->post_lock);
    if (first)
        event_active(loop->posted, EV_TIMEOUT, 0);
}

static void watch_ready(struct watch *watch, unsigned ready)
{
    struct loop *loop = watch->loop;
    loop_lock(loop);
    if (!watch->dead && (watch->events & ready))
        watch->fn(watch->opaque, ready);
    loop_unlock(loop);
}

static void watch_readable(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    watch_ready(opaque, LOOP_READ);
}

static void watch_writable(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    watch_ready(opaque, LOOP_WRITE);
}

/* Regular files and /dev/null cannot be polled. Asked of the kernel here, because libevent would
 * print its own warning. */
static bool can_be_polled(int fd)
{
    int probe = epoll_create1(EPOLL_CLOEXEC);
    if (probe < 0)
        return false;
    struct epoll_event event = {0};
    bool ok = epoll_ctl(probe, EPOLL_CTL_ADD, fd, &event) == 0;
    close(probe);
    return ok;
}

struct watch *watch_create(struct loop *loop, int fd, unsigned events, watch_fn fn, void *opaque)
{
    if (!can_be_polled(fd))
        return NULL;
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return NULL;
    *watch = (struct watch){.loop = loop, .fn = fn, .opaque = opaque};
    watch->readable = event_new(loop->base, fd, EV_READ | EV_PERSIST, watch_readable, watch);
    watch->writable = event_new(loop->base, fd, EV_WRITE | EV_PERSIST, watch_writable, watch);
    if (!watch->readable || !watch->writable) {
        if (watch->readable)
            event_free(watch->readable);
        if (watch->writable)
            event_free(watch->writable);
        free(watch);
        return NULL;
    }
    watch_set(watch, events);
    return watch;
}

static void watch_switch(struct event *event, bool was, bool is)
{
    if (is && !was)
        event_add(event, NULL);
    else if (was && !is)
        event_del_noblock(event);
}

void watch_set(struct watch *watch, unsigned events)
{
    unsigned old = watch->events;
    watch->events = events;
    watch_switch(watch->readable, old & LOOP_READ, events & LOOP_READ);
    watch_switch(watch->writable, old & LOOP_WRITE, events & LOOP_WRITE);
}

void watch_destroy(struct watch *watch)
{
    if (!watch)
        return;
    watch_set(watch, 0);
    watch->dead = true;
    watch->next_dead = watch->loop->dead;
    watch->loop->dead = watch;
}

static void signal_arrived(evutil_socket_t signo, short what, void *opaque)
{
    (void)signo;
    (void)what;
    struct signal_handler *handler = opaque;
    loop_lock(handler->loop);
    if (!handler->dead)
        handler->fn(handler->opaque);
    loop_unlock(handler->loop);
}

int loop_on_signal(struct loop *loop, int signo, loop_fn fn, void *opaque)
{
    struct signal_handler *handler = calloc(1, sizeof(*handler));
    if (!handler)
        return -ENOMEM;
    *handler = (struct signal_handler){.loop = loop, .signo = signo, .fn = fn, .opaque = opaque};
    handler->event = evsignal_new(loop->base, signo, signal_arrived, handler);
    if (!handler->event || event_add(handler->event, NULL)) {
        if (handler->event)
            event_free(handler->event);
        free(handler);
        return -EINVAL;
    }
    handler->next = loop->signals;
    loop->signals = handler;
    return 0;
}

void loop_off_signal(struct loop *loop, int signo, loop_fn fn, void *opaque)
{
    for (struct signal_handler *at = loop->signals; at; at = at->next) {
        if (at->dead || at->signo != signo || at->fn != fn || at->opaque != opaque)
            continue;
        event_del_noblock(at->event);
        at->dead = true;
        return;
    }
}
