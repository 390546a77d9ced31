/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The main loop of a VM and the VM lock.
 *
 * One thread runs the loop. Devices, boards and monitors live under the VM lock: the loop holds it
 * while it calls back and lets go of it while it sleeps; a vCPU thread takes it for the time of a
 * device access. So device code never locks anything. The lock is not recursive.
 */
#ifndef EVENT_LOOP_H
#define EVENT_LOOP_H

#include <pthread.h>
#include <stdbool.h>

#include "event/timer.h"

struct error;
struct loop;
struct watch;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

typedef void (*loop_fn)(void *opaque);
typedef void (*watch_fn)(void *opaque, unsigned ready); /* ready: LOOP_READ | LOOP_WRITE */

/* timers may be NULL; they are run by the loop and must outlive it. */
int loop_create(struct loop **loop, struct timers *timers, struct error *err);
void loop_destroy(struct loop *loop);

/* Runs until loop_quit; takes the lock itself. The caller is the main thread. */
void loop_run(struct loop *loop);

/* From any thread, with or without the lock. */
void loop_quit(struct loop *loop);

/* Have fn run soon on the loop's thread under the lock, in order of posting. From any thread. */
void loop_post(struct loop *loop, loop_fn fn, void *opaque);

/* Watch a file descriptor. `events` is what to wait for and may be 0; change it with watch_set.
 * Level-triggered. The descriptor stays the caller's. Under the lock; NULL when memory is out or
 * the descriptor cannot be polled (a regular file: always ready, read it directly). */
struct watch *watch_create(struct loop *loop, int fd, unsigned events, watch_fn fn, void *opaque);
void watch_set(struct watch *watch, unsigned events);
void watch_destroy(struct watch *watch); /* NULL is fine; from inside its own callback too */

/* Signals (SIGTERM, SIGINT ...) arrive as callbacks on the loop's thread under the lock. */
int loop_on_signal(struct loop *loop, int signo, loop_fn fn, void *opaque);
/* Takes such a callback away; under the lock. None there: nothing happens. */
void loop_off_signal(struct loop *loop, int signo, loop_fn fn, void *opaque);

void loop_lock(struct loop *loop);
void loop_unlock(struct loop *loop);

/* Waits on a condition with the lock, which is let go of meanwhile: pthread_cond_wait. */
void loop_wait(struct loop *loop, pthread_cond_t *condition);

#endif
