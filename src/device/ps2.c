/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The queues that the keyboard and the mouse share.
 */
#include "device/ps2.h"

bool ps2_queue_empty(const struct ps2_queue *queue)
{
    return !queue->reply_count && !queue->event_count;
}

uint8_t ps2_queue_take(struct ps2_queue *queue)
{
    if (queue->reply_count) {
        queue->last = queue->reply[queue->reply_first];
        queue->reply_first = (queue->reply_first + 1) % PS2_REPLIES;
        queue->reply_count--;
    } else if (queue->event_count) {
        queue->last = queue->event[queue->event_first];
        queue->event_first = (queue->event_first + 1) % PS2_EVENTS;
        queue->event_count--;
    }
    return queue->last;
}

void ps2_queue_clear(struct ps2_queue *queue)
{
    queue->event_first = queue->event_count = 0;
    queue->reply_first = queue->reply_count = 0;
}

void ps2_reply(struct ps2_queue *queue, uint8_t byte)
{
    if (queue->reply_count == PS2_REPLIES)
        return; /* the longest answer has 5 bytes and commands clear the last one's */
    queue->reply[(queue->reply_first + queue->reply_count++) % PS2_REPLIES] = byte;
}

unsigned ps2_queue_room(const struct ps2_queue *queue)
{
    return PS2_EVENTS - queue->event_count;
}

void ps2_event(struct ps2_queue *queue, uint8_t byte)
{
    if (queue->event_count < PS2_EVENTS)
        queue->event[(queue->event_first + queue->event_count++) % PS2_EVENTS] = byte;
}

void ps2_queue_check(struct ps2_queue *queue)
{
    queue->event_first %= PS2_EVENTS;
    queue->reply_first %= PS2_REPLIES;
    if (queue->event_count > PS2_EVENTS)
        queue->event_count = PS2_EVENTS;
    if (queue->reply_count > PS2_REPLIES)
        queue->reply_count = PS2_REPLIES;
}

static const struct state_field queue_fields[] = {
    STATE_ARRAY(struct ps2_queue, event),       STATE_FIELD(struct ps2_queue, event_first),
    STATE_FIELD(struct ps2_queue, event_count), STATE_ARRAY(struct ps2_queue, reply),
    STATE_FIELD(struct ps2_queue, reply_first), STATE_FIELD(struct ps2_queue, reply_count),
    STATE_FIELD(struct ps2_queue, last),
};
const struct state_table ps2_queue_state = STATE_TABLE("ps2-queue", 1, queue_fields, NULL);
