/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What hangs on the keyboard controller's two ports: the 102-key keyboard and a mouse with a wheel.
 * IBM PS/2 Hardware Interface Technical Reference; Microsoft's IntelliMouse extension. Parts of
 * i8042.h rather than devices of their own. Under the VM lock.
 */
#ifndef DEVICE_PS2_H
#define DEVICE_PS2_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/irq.h"
#include "display/input.h"
#include "state/state.h"

enum { PS2_EVENTS = 64, PS2_REPLIES = 8 };

/* Bytes on their way to the controller: answers to commands go before events. */
struct ps2_queue {
    uint8_t event[PS2_EVENTS];
    uint8_t event_first, event_count;
    uint8_t reply[PS2_REPLIES];
    uint8_t reply_first, reply_count;
    uint8_t last; /* what "resend" repeats */
};

bool ps2_queue_empty(const struct ps2_queue *queue);
/* The next byte; the queue must not be empty. */
uint8_t ps2_queue_take(struct ps2_queue *queue);

struct ps2_keyboard {
    struct ps2_queue queue;
    uint8_t command; /* the one that waits for its argument; 0: none */
    uint8_t set;     /* scan code set 1..3 */
    uint8_t leds, rate;
    bool scanning;
    uint8_t modifiers; /* which of Ctrl, Shift, Alt are down: Pause and PrintScreen ask */
    struct irq ready;  /* told true whenever there may be something to take */
    struct keyboard_sink sink;
};

void ps2_keyboard_init(struct ps2_keyboard *keyboard, struct irq ready);
void ps2_keyboard_reset(struct ps2_keyboard *keyboard);
/* A byte from the controller. */
void ps2_keyboard_write(struct ps2_keyboard *keyboard, uint8_t byte);

struct ps2_mouse {
    struct ps2_queue queue;
    uint8_t command;
    uint8_t type; /* 0: three buttons, 3: IntelliMouse */
    uint8_t resolution, rate;
    uint8_t knock[2]; /* the last two sample rates set: 200, 100, 80 opens the wheel */
    bool remote, wrap, reporting, scaling;
    uint8_t buttons, reported_buttons; /* left 1, right 2, middle 4 */
    int32_t dx, dy, dz; /* motion not yet reported; y upwards, z towards the user; state as uint */
    struct irq ready;
    struct pointer_sink sink;
};

void ps2_mouse_init(struct ps2_mouse *mouse, struct irq ready);
void ps2_mouse_reset(struct ps2_mouse *mouse);
void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t byte);
/* The controller has taken a byte: pending motion may follow. */
void ps2_mouse_taken(struct ps2_mouse *mouse);

extern const struct state_table ps2_keyboard_state, ps2_mouse_state;

/* For ps2*.c: the queues' inner side. */
void ps2_queue_clear(struct ps2_queue *queue);
/* A new command's first answer byte drops what was left of the last; the rest append. */
void ps2_reply(struct ps2_queue *queue, uint8_t byte);
unsigned ps2_queue_room(const struct ps2_queue *queue);
/* There must be room. */
void ps2_event(struct ps2_queue *queue, uint8_t byte);
/* After a load: indexes into range. */
void ps2_queue_check(struct ps2_queue *queue);
extern const struct state_table ps2_queue_state;

#endif
