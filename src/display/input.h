/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keys and pointers from people to devices. Keys are named as QEMU's QKeyCode ("a", "ret", "ctrl",
 * "kp_enter", "f1"). Devices register as sinks; the latest keyboard and the latest pointer get the
 * events. Under the VM lock.
 */
#ifndef DISPLAY_INPUT_H
#define DISPLAY_INPUT_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/* Key numbers are Linux evdev codes (linux/input-event-codes.h). */
struct keyboard_sink {
    void (*key)(void *opaque, unsigned evdev_code, bool down);
    void *opaque;
};

enum { POINTER_LEFT = 1, POINTER_RIGHT = 2, POINTER_MIDDLE = 4 };
struct pointer_sink {
    void (*move)(void *opaque, int dx, int dy, int dz);
    void (*buttons)(void *opaque, unsigned mask); /* all that are down now */
    void *opaque;
};

struct input {
    const struct keyboard_sink *keyboard;
    const struct pointer_sink *pointer;
};

/* evdev code of a QKeyCode name, of "0x1c" (a set-1 scancode, as HMP's sendkey takes), or -1. */
int input_key_code(const char *name);
/* The name, or NULL. */
const char *input_key_name(unsigned evdev_code);

void input_key(struct input *input, unsigned evdev_code, bool down);
void input_move(struct input *input, int dx, int dy, int dz);
void input_buttons(struct input *input, unsigned mask);

#endif
