/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The keyboard. How it is used: drivers reset it (FF), choose a scan code set (F0), set LEDs (ED)
 * and repeat rate (F3) and enable scanning (F4); every byte is answered by FA. Keys come in through
 * the sink as evdev codes and leave as scan codes, whole sequences or nothing.
 *
 * Held keys do not repeat by themselves: whoever feeds the sink repeats. Set 3's key types (F7 to
 * FD) are accepted and ignored: every key is make, break.
 */
#include "device/ps2.h"

#include <linux/input-event-codes.h>
#include <string.h>

#include "base/log.h"
#include "device/ps2_keys.h"

enum { ACK = 0xfa, RESEND = 0xfe, BAT_PASSED = 0xaa };
enum { MOD_CTRL = 0x03, MOD_SHIFT = 0x0c, MOD_ALT = 0x30 };

/* Room kept for releases, so that a flood of presses leaves no key stuck. */
enum { RELEASE_RESERVE = 24 };

/* A sequence of scan codes being put together, in set 2. */
struct sequence {
    uint8_t bytes[8];
    unsigned length;
};

static void add_code(struct sequence *s, bool extended, uint8_t code, bool down)
{
    if (extended)
        s->bytes[s->length++] = 0xe0;
    if (!down)
        s->bytes[s->length++] = 0xf0;
    s->bytes[s->length++] = code;
}

static void add_pause(struct sequence *s, bool ctrl, bool down)
{
    static const uint8_t pause[] = {0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77};
    if (!down)
        return; /* it makes and breaks when pressed */
    if (ctrl) {
        add_code(s, true, 0x7e, true);
        add_code(s, true, 0x7e, false);
        return;
    }
    memcpy(s->bytes, pause, sizeof(pause));
    s->length = sizeof(pause);
}

static void add_print_screen(struct sequence *s, uint8_t modifiers, bool down)
{
    if (modifiers & MOD_ALT) {
        add_code(s, false, 0x84, down);
    } else if (modifiers & (MOD_CTRL | MOD_SHIFT)) {
        add_code(s, true, 0x7c, down);
    } else if (down) { /* with a shift of its own around it */
        add_code(s, true, 0x12, true);
        add_code(s, true, 0x7c, true);
    } else {
        add_code(s, true, 0x7c, false);
        add_code(s, true, 0x12, false);
    }
}

/* Set 1 is what the controller would make of set 2. */
static void to_set1(struct sequence *s)
{
    unsigned length = 0;
    uint8_t released = 0;
    for (unsigned i = 0; i < s->length; i++) {
        if (s->bytes[i] == 0xf0) {
            released = 0x80;
            continue;
        }
        s->bytes[length++] = ps2_translate(s->bytes[i]) | released;
        released = 0;
    }
    s->length = length;
}

static void make_sequence(const struct ps2_keyboard *k, struct sequence *s, unsigned code,
                          bool down)
{
    const struct ps2_key *key = ps2_key(code);
    if (k->set == 3) {
        uint8_t set3 = code == KEY_SYSRQ ? 0x57 : code == KEY_PAUSE ? 0x62 : key->set3;
        if (set3)
            add_code(s, false, set3, down);
        return;
    }
    if (code == KEY_PAUSE)
        add_pause(s, k->modifiers & MOD_CTRL, down);
    else if (code == KEY_SYSRQ)
        add_print_screen(s, k->modifiers, down);
    else if (key->set2)
        add_code(s, key->extended, key->set2, down);
    if (k->set == 1)
        to_set1(s);
}

static uint8_t modifier_of(unsigned code)
{
    switch (code) {
    case KEY_LEFTCTRL:
        return 0x01;
    case KEY_RIGHTCTRL:
        return 0x02;
    case KEY_LEFTSHIFT:
        return 0x04;
    case KEY_RIGHTSHIFT:
        return 0x08;
    case KEY_LEFTALT:
        return 0x10;
    case KEY_RIGHTALT:
        return 0x20;
    default:
        return 0;
    }
}

static void keyboard_key(void *opaque, unsigned evdev_code, bool down)
{
    struct ps2_keyboard *k = opaque;
    uint8_t modifier = modifier_of(evdev_code);
    k->modifiers = down ? k->modifiers | modifier : k->modifiers & ~modifier;
    if (!k->scanning)
        return;
    struct sequence s = {.length = 0};
    make_sequence(k, &s, evdev_code, down);
    if (!s.length || s.length + (down ? RELEASE_RESERVE : 0) > ps2_queue_room(&k->queue))
        return;
    for (unsigned i = 0; i < s.length; i++)
        ps2_event(&k->queue, s.bytes[i]);
    irq_set(&k->ready, true);
}

static void set_defaults(struct ps2_keyboard *k)
{
    k->set = 2;
    k->rate = 0x2b; /* 10.9 characters a second after half a second */
    k->queue.event_count = 0;
}

static void write_argument(struct ps2_keyboard *k, uint8_t command, uint8_t value)
{
    ps2_reply(&k->queue, ACK);
    switch (command) {
    case 0xed:
        k->leds = value & 7;
        break;
    case 0xf3:
        k->rate = value & 0x7f;
        break;
    case 0xf0:
        if (value == 0)
            ps2_reply(&k->queue, k->set);
        else
            k->set = value;
        break;
    default: /* 0xfb to 0xfd: a key's type */
        break;
    }
}

static void write_command(struct ps2_keyboard *k, uint8_t byte)
{
    uint8_t repeat = k->queue.last;
    switch (byte) {
    case 0xee: /* echo */
        ps2_reply(&k->queue, 0xee);
        return;
    case 0xfe:
        ps2_reply(&k->queue, repeat);
        return;
    default:
        break;
    }
    if (byte < 0xed || byte == 0xef || byte == 0xf1) {
        log_limited(LOG_GUEST_ERRORS, "ps2 keyboard: unknown command %02x", byte);
        ps2_reply(&k->queue, RESEND);
        return;
    }
    ps2_reply(&k->queue, ACK);
    switch (byte) {
    case 0xed:
    case 0xf0:
    case 0xf3:
    case 0xfb:
    case 0xfc:
    case 0xfd:
        k->command = byte;
        break;
    case 0xf2: /* identify: a 101- or 102-key keyboard */
        ps2_reply(&k->queue, 0xab);
        ps2_reply(&k->queue, 0x83);
        break;
    case 0xf4:
        k->queue.event_count = 0;
        k->scanning = true;
        break;
    case 0xf5:
        set_defaults(k);
        k->scanning = false;
        break;
    case 0xf6:
        set_defaults(k);
        break;
    case 0xff:
        set_defaults(k);
        k->scanning = true;
        k->leds = 0;
        ps2_reply(&k->queue, BAT_PASSED);
        break;
    default: /* 0xf7 to 0xfa: types of all keys */
        break;
    }
}

void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t byte)
{
    uint8_t command = k->command;
    k->command = 0;
    k->queue.reply_count = 0;
    bool is_argument = command && (byte < 0x80 || command >= 0xfb);
    if (is_argument && command == 0xf0 && byte > 3)
        ps2_reply(&k->queue, RESEND);
    else if (is_argument)
        write_argument(k, command, byte);
    else /* a command in place of an argument starts over */
        write_command(k, byte);
    irq_set(&k->ready, true);
}

void ps2_keyboard_reset(struct ps2_keyboard *k)
{
    ps2_queue_clear(&k->queue);
    k->queue.last = 0;
    k->command = 0;
    k->leds = 0;
    k->modifiers = 0;
    set_defaults(k);
    k->scanning = true;
}

void ps2_keyboard_init(struct ps2_keyboard *k, struct irq ready)
{
    *k = (struct ps2_keyboard){.ready = ready, .sink = {keyboard_key, k}};
    ps2_keyboard_reset(k);
}

static int keyboard_loaded(void *object, struct error *err)
{
    (void)err;
    struct ps2_keyboard *k = object;
    ps2_queue_check(&k->queue);
    if (k->set < 1 || k->set > 3)
        k->set = 2;
    return 0;
}

static const struct state_field keyboard_fields[] = {
    STATE_SUB(struct ps2_keyboard, queue, &ps2_queue_state),
    STATE_FIELD(struct ps2_keyboard, command),
    STATE_FIELD(struct ps2_keyboard, set),
    STATE_FIELD(struct ps2_keyboard, leds),
    STATE_FIELD(struct ps2_keyboard, rate),
    STATE_FIELD(struct ps2_keyboard, scanning),
    STATE_FIELD(struct ps2_keyboard, modifiers),
};
const struct state_table ps2_keyboard_state =
    STATE_TABLE("ps2-keyboard", 1, keyboard_fields, keyboard_loaded);
