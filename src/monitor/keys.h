/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Types on the guest's keyboard: keys go down together, stay for a while of guest time and come up
 * in reverse. What is asked meanwhile waits its turn, so that `sendkey shift-a` and `sendkey b`
 * right after it are "Ab". Under the VM lock.
 */
#ifndef MONITOR_KEYS_H
#define MONITOR_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/timer.h"

struct error;
struct input;

enum { KEYS_QUEUE = 1024, KEYS_AT_ONCE = 16, KEYS_HOLD_MS = 100 };

struct key_event {
    uint16_t code; /* evdev */
    bool down;
    int64_t wait; /* ns of guest time before the next */
};

struct key_typist {
    struct input *input;
    struct timer timer; /* armed: the next event, if any, is not due yet */
    struct key_event queue[KEYS_QUEUE];
    size_t first, count;
};

void keys_init(struct key_typist *typist, struct timers *timers, struct input *input);
void keys_fini(struct key_typist *typist); /* what waits is forgotten */

/* 1 to KEYS_AT_ONCE keys, hold_ms 0 to INT32_MAX. -ENOBUFS when too much waits already. */
int keys_type(struct key_typist *typist, const uint16_t *codes, size_t count, int64_t hold_ms,
              struct error *err);

/* "ctrl-alt-f1", "shift-0x1e", "<": the keys' evdev codes. Returns how many, or -EINVAL. */
int keys_parse(const char *text, uint16_t codes[KEYS_AT_ONCE], struct error *err);

#endif
