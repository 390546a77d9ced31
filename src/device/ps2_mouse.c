/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The mouse. How it is used: drivers reset it (FF: FA AA 00), knock for the wheel by the sample
 * rates 200, 100, 80, and enable reporting (F4); packets of 3 or 4 bytes follow. Motion adds up
 * until the last packet is taken, so a slow guest gets fewer and longer ones; a change of buttons
 * always gets its own while there is room.
 */
#include "device/ps2.h"

#include "base/log.h"

enum { ACK = 0xfa, RESEND = 0xfe, BAT_PASSED = 0xaa };
enum { LONGEST = 127, KEPT = 1 << 14 };

/* n within -limit..limit, taken out of *n. */
static int take_up_to(int32_t *n, int limit)
{
    int taken = *n > limit ? limit : *n < -limit ? -limit : *n;
    *n -= taken;
    return taken;
}

/* 2:1 scaling of stream mode. */
static int scaled(int n)
{
    static const uint8_t small[] = {0, 1, 1, 3, 6, 9};
    int size = n < 0 ? -n : n;
    int result = size < 6 ? small[size] : 2 * size;
    return n < 0 ? -result : result;
}

typedef void (*put_fn)(struct ps2_queue *queue, uint8_t byte);

static void put_packet(struct ps2_mouse *m, put_fn put, bool scale)
{
    int dx = take_up_to(&m->dx, LONGEST), dy = take_up_to(&m->dy, LONGEST);
    if (scale) {
        dx = scaled(dx);
        dy = scaled(dy);
    }
    put(&m->queue, (uint8_t)(8 | (m->buttons & 7) | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0)));
    put(&m->queue, (uint8_t)dx);
    put(&m->queue, (uint8_t)dy);
    if (m->type == 3)
        put(&m->queue, (uint8_t)take_up_to(&m->dz, 7));
    else
        m->dz = 0;
    m->reported_buttons = m->buttons;
}

static bool something_new(const struct ps2_mouse *m)
{
    return m->dx || m->dy || (m->dz && m->type == 3) || m->buttons != m->reported_buttons;
}

static void report(struct ps2_mouse *m)
{
    if (!m->reporting || m->remote || m->wrap || !something_new(m))
        return;
    bool urgent = m->buttons != m->reported_buttons;
    if ((m->queue.event_count && !urgent) || ps2_queue_room(&m->queue) < 4)
        return;
    put_packet(m, ps2_event, m->scaling);
    irq_set(&m->ready, true);
}

void ps2_mouse_taken(struct ps2_mouse *m)
{
    if (!m->queue.event_count)
        report(m);
}

static int32_t add_bounded(int32_t sum, int n)
{
    int64_t wide = (int64_t)sum + n;
    return (int32_t)(wide > KEPT ? KEPT : wide < -KEPT ? -KEPT : wide);
}

static void mouse_move(void *opaque, int dx, int dy, int dz)
{
    struct ps2_mouse *m = opaque;
    if (!m->reporting && !m->remote)
        return;
    m->dx = add_bounded(m->dx, dx);
    m->dy = add_bounded(m->dy, dy == INT32_MIN ? INT32_MAX : -dy);
    m->dz = add_bounded(m->dz, dz == INT32_MIN ? INT32_MAX : -dz);
    report(m);
}

static void mouse_buttons(void *opaque, unsigned mask)
{
    struct ps2_mouse *m = opaque;
    m->buttons = (mask & POINTER_LEFT ? 1 : 0) | (mask & POINTER_RIGHT ? 2 : 0) |
                 (mask & POINTER_MIDDLE ? 4 : 0);
    report(m);
}

static void forget_motion(struct ps2_mouse *m)
{
    m->dx = m->dy = m->dz = 0;
    m->queue.event_count = 0;
}

static void set_defaults(struct ps2_mouse *m)
{
    m->rate = 100;
    m->resolution = 2;
    m->scaling = m->remote = m->wrap = m->reporting = false;
    forget_motion(m);
}

static void set_rate(struct ps2_mouse *m, uint8_t rate)
{
    if (m->knock[0] == 200 && m->knock[1] == 100 && rate == 80)
        m->type = 3;
    m->knock[0] = m->knock[1];
    m->knock[1] = rate;
    m->rate = rate;
}

static void put_status(struct ps2_mouse *m)
{
    /* Unlike in packets, right is bit 0, middle 1, left 2. */
    ps2_reply(&m->queue, (uint8_t)((m->remote ? 0x40 : 0) | (m->reporting ? 0x20 : 0) |
                                   (m->scaling ? 0x10 : 0) | (m->buttons & 1) << 2 |
                                   (m->buttons & 4) >> 1 | (m->buttons & 2) >> 1));
    ps2_reply(&m->queue, m->resolution);
    ps2_reply(&m->queue, m->rate);
}

static void run_command(struct ps2_mouse *m, uint8_t byte)
{
    switch (byte) {
    case 0xe6:
    case 0xe7:
        m->scaling = byte & 1;
        break;
    case 0xe8:
    case 0xf3:
        m->command = byte;
        break;
    case 0xe9:
        put_status(m);
        break;
    case 0xea:
        m->remote = false;
        break;
    case 0xeb: /* read data: a packet now */
        put_packet(m, ps2_reply, false);
        break;
    case 0xec:
        m->wrap = false;
        break;
    case 0xee:
        m->wrap = true;
        break;
    case 0xf0:
        m->remote = true;
        break;
    case 0xf2:
        ps2_reply(&m->queue, m->type);
        break;
    case 0xf4:
        m->reporting = true;
        break;
    case 0xf5:
        m->reporting = false;
        break;
    case 0xf6:
        set_defaults(m);
        break;
    default: /* 0xff */
        set_defaults(m);
        m->type = 0;
        m->knock[0] = m->knock[1] = 0;
        ps2_reply(&m->queue, BAT_PASSED);
        ps2_reply(&m->queue, m->type);
        break;
    }
}

static bool is_command(uint8_t byte)
{
    return (byte >= 0xe6 && byte != 0xed && byte != 0xef && byte != 0xf1 && byte <= 0xf6) ||
           byte == 0xff;
}

static void write_command(struct ps2_mouse *m, uint8_t byte)
{
    if (m->wrap && byte != 0xec && byte != 0xff) {
        ps2_reply(&m->queue, byte);
        return;
    }
    if (byte == 0xfe) {
        ps2_reply(&m->queue, m->queue.last);
        return;
    }
    if (!is_command(byte)) {
        log_limited(LOG_GUEST_ERRORS, "ps2 mouse: unknown command %02x", byte);
        ps2_reply(&m->queue, RESEND);
        return;
    }
    m->queue.event_count = 0; /* a command ends the packet that was being sent */
    ps2_reply(&m->queue, ACK);
    run_command(m, byte);
}

void ps2_mouse_write(struct ps2_mouse *m, uint8_t byte)
{
    uint8_t command = m->command;
    m->command = 0;
    m->queue.reply_count = 0;
    if (command) {
        ps2_reply(&m->queue, ACK);
        if (command == 0xe8)
            m->resolution = byte & 3;
        else
            set_rate(m, byte);
    } else {
        write_command(m, byte);
    }
    irq_set(&m->ready, true);
}

void ps2_mouse_reset(struct ps2_mouse *m)
{
    ps2_queue_clear(&m->queue);
    m->queue.last = 0;
    m->command = 0;
    m->type = 0;
    m->knock[0] = m->knock[1] = 0;
    m->buttons = m->reported_buttons = 0;
    set_defaults(m);
}

void ps2_mouse_init(struct ps2_mouse *m, struct irq ready)
{
    *m = (struct ps2_mouse){.ready = ready, .sink = {mouse_move, mouse_buttons, m}};
    ps2_mouse_reset(m);
}

static int mouse_loaded(void *object, struct error *err)
{
    (void)err;
    struct ps2_mouse *m = object;
    ps2_queue_check(&m->queue);
    m->type = m->type == 3 ? 3 : 0;
    m->dx = add_bounded(m->dx, 0);
    m->dy = add_bounded(m->dy, 0);
    m->dz = add_bounded(m->dz, 0);
    return 0;
}

static const struct state_field mouse_fields[] = {
    STATE_SUB(struct ps2_mouse, queue, &ps2_queue_state),
    STATE_FIELD(struct ps2_mouse, command),
    STATE_FIELD(struct ps2_mouse, type),
    STATE_FIELD(struct ps2_mouse, resolution),
    STATE_FIELD(struct ps2_mouse, rate),
    STATE_ARRAY(struct ps2_mouse, knock),
    STATE_FIELD(struct ps2_mouse, remote),
    STATE_FIELD(struct ps2_mouse, wrap),
    STATE_FIELD(struct ps2_mouse, reporting),
    STATE_FIELD(struct ps2_mouse, scaling),
    STATE_FIELD(struct ps2_mouse, buttons),
    STATE_FIELD(struct ps2_mouse, reported_buttons),
    STATE_FIELD(struct ps2_mouse, dx),
    STATE_FIELD(struct ps2_mouse, dy),
    STATE_FIELD(struct ps2_mouse, dz),
};
const struct state_table ps2_mouse_state = STATE_TABLE("ps2-mouse", 1, mouse_fields, mouse_loaded);
