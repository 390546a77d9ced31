/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * display/input: names and scancodes of keys, and the way of events to their sinks.
 */
#include "unit/test.h"

#include <linux/input-event-codes.h>
#include <stdio.h>
#include <string.h>

#include "device/ps2_keys.h"
#include "display/input.h"

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int code;
    } keys[] = {
        {"a", KEY_A},
        {"0", KEY_0},
        {"9", KEY_9},
        {"ret", KEY_ENTER},
        {"spc", KEY_SPACE},
        {"kp_enter", KEY_KPENTER},
        {"f1", KEY_F1},
        {"f12", KEY_F12},
        {"ctrl", KEY_LEFTCTRL},
        {"less", KEY_102ND},
        {"sysrq", KEY_SYSRQ},
        {"print", KEY_SYSRQ},
        {"pause", KEY_PAUSE},
        {"meta_l", KEY_LEFTMETA},
        {"grave_accent", KEY_GRAVE},
        {"asterisk", KEY_KPASTERISK},
        {"kp_multiply", KEY_KPASTERISK},
        {"delete", KEY_DELETE},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        assert_int_equal(input_key_code(keys[i].name), keys[i].code);
    static const char *const none[] = {"", "A", "retu", "unmapped", "f25", "kp_10", "-", " a"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_int_equal(input_key_code(none[i]), -1);
}

/* Every key has a name that leads back to it. */
static void names_return(void **state)
{
    (void)state;
    unsigned named = 0;
    for (unsigned code = 0; code < 0x300; code++) {
        const char *name = input_key_name(code);
        if (!name)
            continue;
        named++;
        assert_int_equal(input_key_code(name), code);
    }
    assert_in_range(named, 120, 160);
    assert_string_equal(input_key_name(KEY_ENTER), "ret");
    assert_null(input_key_name(0));
    assert_null(input_key_name(~0u));
}

/* The keyboard's own table says the same: what it sends, in set 1, is the number that names it. */
static void scancodes_match_the_keyboard(void **state)
{
    (void)state;
    unsigned seen = 0;
    for (unsigned code = 1; code < 0x300; code++) {
        const struct ps2_key *key = ps2_key(code);
        if (!key->set2 || key->set2 >= 0xf0 || !input_key_name(code))
            continue;
        char number[8];
        snprintf(number, sizeof(number), "0x%x",
                 (unsigned)(ps2_translate(key->set2) | (key->extended ? 0x80 : 0)));
        if (input_key_code(number) != (int)code)
            fail_msg("%s is evdev %d, not %u (%s)", number, input_key_code(number), code,
                     input_key_name(code));
        seen++;
    }
    assert_in_range(seen, 110, 160);
}

static void odd_scancodes(void **state)
{
    (void)state;
    assert_int_equal(input_key_code("0x1c"), KEY_ENTER);
    assert_int_equal(input_key_code("0X1C"), KEY_ENTER);
    assert_int_equal(input_key_code("0x9c"), KEY_KPENTER);
    assert_int_equal(input_key_code("0xc6"), KEY_PAUSE);
    assert_int_equal(input_key_code("0xb7"), KEY_SYSRQ);
    static const char *const none[] = {"0x",   "0x0",  "0x1cz", "0xg",
                                       "0x55", "0xff", "0x11c", "0x100000000000000001c"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_int_equal(input_key_code(none[i]), -1);
}

static char said[256];

static void say_key(void *opaque, unsigned code, bool down)
{
    snprintf(said, sizeof(said), "%s key %u %d", (const char *)opaque, code, down);
}

static void say_move(void *opaque, int dx, int dy, int dz)
{
    snprintf(said, sizeof(said), "%s move %d %d %d", (const char *)opaque, dx, dy, dz);
}

static void say_buttons(void *opaque, unsigned mask)
{
    snprintf(said, sizeof(said), "%s buttons %u", (const char *)opaque, mask);
}

static void sinks(void **state)
{
    (void)state;
    struct input input = {0};
    said[0] = 0;
    input_key(&input, KEY_A, true); /* nobody there */
    input_move(&input, 1, 2, 3);
    input_buttons(&input, POINTER_LEFT);
    assert_string_equal(said, "");
    static char one[] = "one", two[] = "two";
    const struct keyboard_sink keyboard = {say_key, one};
    const struct pointer_sink pointer = {say_move, say_buttons, two};
    input.keyboard = &keyboard;
    input.pointer = &pointer;
    input_key(&input, KEY_A, true);
    assert_string_equal(said, "one key 30 1");
    input_move(&input, -1, 2, -3);
    assert_string_equal(said, "two move -1 2 -3");
    input_buttons(&input, POINTER_LEFT | POINTER_MIDDLE);
    assert_string_equal(said, "two buttons 5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(names_return),
        cmocka_unit_test(scancodes_match_the_keyboard),
        cmocka_unit_test(odd_scancodes),
        cmocka_unit_test(sinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
