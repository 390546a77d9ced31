/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device/i8042.h"

#include <linux/input-event-codes.h>

#include "chip_test.h"
#include "device/ps2_keys.h"

struct fixture {
    struct bench b;
    struct i8042 kbc;
};

enum { IRQ1, IRQ12, A20, RESET };

static int setup(void **state)
{
    static struct fixture f;
    bench_init(&f.b);
    assert_int_equal(i8042_init(&f.kbc, f.b.pio, bench_wire(&f.b, IRQ1), bench_wire(&f.b, IRQ12),
                                bench_wire(&f.b, A20), bench_wire(&f.b, RESET)),
                     0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->kbc.device.type->fini(&f->kbc.device);
    bench_fini(&f->b);
    return 0;
}

static void key(struct fixture *f, unsigned code, bool down)
{
    f->kbc.keyboard.sink.key(f->kbc.keyboard.sink.opaque, code, down);
}

/* What comes out of port 0x60 until the output buffer is empty, and on which side (status bit 5).
 */
static void expect(struct fixture *f, bool aux, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        assert_int_equal(in8(&f->b, 0x64) & 0x21, aux ? 0x21 : 0x01);
        assert_int_equal(in8(&f->b, 0x60), (uint8_t)bytes[i]);
    }
    assert_int_equal(in8(&f->b, 0x64) & 0x01, 0);
}
#define EXPECT(f, aux, bytes) expect(f, aux, bytes, sizeof(bytes) - 1)

static void keyboard(struct fixture *f, uint8_t byte)
{
    out8(&f->b, 0x60, byte);
}

static void mouse(struct fixture *f, uint8_t byte)
{
    out8(&f->b, 0x64, 0xd4);
    out8(&f->b, 0x60, byte);
}

static void command_byte(struct fixture *f, uint8_t value)
{
    out8(&f->b, 0x64, 0x60);
    out8(&f->b, 0x60, value);
}

/* The order of Linux's drivers/input/serio/i8042.c. */
static void linux_probe(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x64, 0x20);
    EXPECT(f, false, "\x47");
    out8(&f->b, 0x64, 0xaa);
    assert_int_equal(in8(&f->b, 0x64), 0x1d);
    EXPECT(f, false, "\x55");
    command_byte(f, 0x74);
    out8(&f->b, 0x64, 0xd3);
    out8(&f->b, 0x60, 0x5a);
    EXPECT(f, true, "\x5a");
    /* No active multiplexer: bytes come back as they are. */
    out8(&f->b, 0x64, 0xd3);
    out8(&f->b, 0x60, 0xa4);
    EXPECT(f, true, "\xa4");
    out8(&f->b, 0x64, 0xa7);
    out8(&f->b, 0x64, 0x20);
    EXPECT(f, false, "\x74");
    out8(&f->b, 0x64, 0xa8);
    out8(&f->b, 0x64, 0x20);
    EXPECT(f, false, "\x54");
    /* The interrupt test. */
    command_byte(f, 0x56);
    out8(&f->b, 0x64, 0xd3);
    out8(&f->b, 0x60, 0xa5);
    assert_true(f->b.wire[IRQ12].level);
    assert_false(f->b.wire[IRQ1].level);
    EXPECT(f, true, "\xa5");
    assert_false(f->b.wire[IRQ12].level);
    out8(&f->b, 0x64, 0xa9);
    EXPECT(f, false, "\x00");
    out8(&f->b, 0x64, 0xab);
    EXPECT(f, false, "\x00");
}

/* The order of SeaBIOS's ps2port.c. */
static void seabios_init(void **state)
{
    struct fixture *f = *state;
    command_byte(f, 0x30);
    keyboard(f, 0xff);
    EXPECT(f, false, "\xfa\xaa");
    keyboard(f, 0xf5);
    EXPECT(f, false, "\xfa");
    keyboard(f, 0xf0);
    EXPECT(f, false, "\xfa");
    keyboard(f, 0x02);
    EXPECT(f, false, "\xfa");
    key(f, KEY_A, true); /* not scanning */
    EXPECT(f, false, "");
    command_byte(f, 0x61);
    keyboard(f, 0xf4);
    assert_true(f->b.wire[IRQ1].level);
    EXPECT(f, false, "\xfa");
    key(f, KEY_A, true);
    assert_true(f->b.wire[IRQ1].level);
    EXPECT(f, false, "\x1e");
    key(f, KEY_A, false);
    EXPECT(f, false, "\x9e");
}

static void translated_codes(void **state)
{
    struct fixture *f = *state;
    /* evdev numbers are set 1 codes up to F12, but for a few that PCs number otherwise. */
    for (unsigned code = KEY_ESC; code <= KEY_F12; code++) {
        if (code == 84 || code == KEY_ZENKAKUHANKAKU)
            continue;
        char make = (char)code, brk = (char)(code | 0x80);
        key(f, code, true);
        expect(f, false, &make, 1);
        key(f, code, false);
        expect(f, false, &brk, 1);
    }
    key(f, KEY_UP, true);
    key(f, KEY_UP, false);
    EXPECT(f, false, "\xe0\x48\xe0\xc8");
    key(f, KEY_LEFTMETA, true);
    key(f, KEY_LEFTMETA, false);
    EXPECT(f, false, "\xe0\x5b\xe0\xdb");
    key(f, KEY_PAUSE, true);
    key(f, KEY_PAUSE, false);
    EXPECT(f, false, "\xe1\x1d\x45\xe1\x9d\xc5");
    key(f, KEY_SYSRQ, true);
    key(f, KEY_SYSRQ, false);
    EXPECT(f, false, "\xe0\x2a\xe0\x37\xe0\xb7\xe0\xaa");
    key(f, KEY_LEFTALT, true);
    key(f, KEY_SYSRQ, true);
    key(f, KEY_SYSRQ, false);
    key(f, KEY_LEFTALT, false);
    EXPECT(f, false, "\x38\x54\xd4\xb8");
    key(f, KEY_RIGHTCTRL, true);
    key(f, KEY_PAUSE, true);
    EXPECT(f, false, "\xe0\x1d\xe0\x46\xe0\xc6");
    key(f, 0xffff, true);
    key(f, 0, true);
    EXPECT(f, false, "");
}

static void scan_code_sets(void **state)
{
    struct fixture *f = *state;
    command_byte(f, 0x07); /* no translation */
    key(f, KEY_DELETE, true);
    key(f, KEY_DELETE, false);
    EXPECT(f, false, "\xe0\x71\xe0\xf0\x71");
    keyboard(f, 0xf0);
    keyboard(f, 0x01);
    EXPECT(f, false, "\xfa\xfa");
    key(f, KEY_DELETE, true);
    key(f, KEY_DELETE, false);
    EXPECT(f, false, "\xe0\x53\xe0\xd3");
    keyboard(f, 0xf0);
    keyboard(f, 0x03);
    EXPECT(f, false, "\xfa\xfa");
    key(f, KEY_DELETE, true);
    key(f, KEY_DELETE, false);
    key(f, KEY_F1, true);
    EXPECT(f, false, "\x64\xf0\x64\x07");
    keyboard(f, 0xf0);
    keyboard(f, 0x00);
    EXPECT(f, false, "\xfa\xfa\x03");
    keyboard(f, 0xf0);
    keyboard(f, 0x04);
    EXPECT(f, false, "\xfa\xfe");
}

static void keyboard_commands(void **state)
{
    struct fixture *f = *state;
    keyboard(f, 0xed);
    EXPECT(f, false, "\xfa");
    keyboard(f, 0x05);
    EXPECT(f, false, "\xfa");
    assert_int_equal(f->kbc.keyboard.leds, 5);
    keyboard(f, 0xf2);
    EXPECT(f, false, "\xfa\xab\x41"); /* 83, translated */
    keyboard(f, 0xfe);
    EXPECT(f, false, "\x41");
    keyboard(f, 0xee);
    EXPECT(f, false, "\xee");
    keyboard(f, 0x12);
    EXPECT(f, false, "\xfe");
    keyboard(f, 0xf3);
    keyboard(f, 0xf4); /* a command instead of the argument */
    EXPECT(f, false, "\xfa\xfa");
    /* Answers go before keys that wait. */
    key(f, KEY_A, true);
    key(f, KEY_B, true);
    keyboard(f, 0xee);
    EXPECT(f, false, "\x1e\xee\x30");
}

static void keyboard_queue_is_bounded(void **state)
{
    struct fixture *f = *state;
    key(f, KEY_LEFTSHIFT, true);
    for (int i = 0; i < 1000; i++)
        key(f, KEY_UP, true);
    key(f, KEY_LEFTSHIFT, false);
    unsigned count = 0;
    uint8_t last = 0;
    while (in8(&f->b, 0x64) & 1) {
        last = in8(&f->b, 0x60);
        count++;
    }
    assert_in_range(count, 16, PS2_EVENTS + 1);
    assert_int_equal(last, 0xaa); /* the release came through */
}

static void disables(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x64, 0xad);
    key(f, KEY_A, true);
    EXPECT(f, false, "");
    out8(&f->b, 0x64, 0xae);
    EXPECT(f, false, "\x1e");
    out8(&f->b, 0x64, 0xad);
    keyboard(f, 0xee); /* sending opens the interface */
    EXPECT(f, false, "\xee");
}

static void each_byte_is_an_edge(void **state)
{
    struct fixture *f = *state;
    key(f, KEY_UP, true);
    assert_int_equal(f->b.wire[IRQ1].rises, 1);
    in8(&f->b, 0x60);
    assert_int_equal(f->b.wire[IRQ1].rises, 2);
    in8(&f->b, 0x60);
    assert_false(f->b.wire[IRQ1].level);
}

static void a20_and_reset(void **state)
{
    struct fixture *f = *state;
    assert_true(f->b.wire[A20].level);
    out8(&f->b, 0x64, 0xdd);
    assert_false(f->b.wire[A20].level);
    out8(&f->b, 0x64, 0xdf);
    assert_true(f->b.wire[A20].level);
    out8(&f->b, 0x64, 0xd1);
    out8(&f->b, 0x60, 0xdd);
    assert_false(f->b.wire[A20].level);
    out8(&f->b, 0x64, 0xd0);
    EXPECT(f, false, "\x01");
    out8(&f->b, 0x64, 0xff);
    assert_int_equal(f->b.wire[RESET].rises, 0);
    out8(&f->b, 0x64, 0xfe);
    assert_int_equal(f->b.wire[RESET].rises, 1);
    out8(&f->b, 0x64, 0xd1);
    out8(&f->b, 0x60, 0x02);
    assert_int_equal(f->b.wire[RESET].rises, 2);
    out8(&f->b, 0x64, 0xdd);
    f->kbc.device.type->reset(&f->kbc.device);
    assert_true(f->b.wire[A20].level);
}

static void controller_memory(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x64, 0x7f);
    out8(&f->b, 0x60, 0x77);
    out8(&f->b, 0x64, 0x3f);
    EXPECT(f, false, "\x77");
    out8(&f->b, 0x64, 0xd2);
    out8(&f->b, 0x60, 0xf0); /* not translated */
    EXPECT(f, false, "\xf0");
    for (int i = 0; i < 100; i++)
        out8(&f->b, 0x64, 0xaa); /* nobody reads */
    EXPECT(f, false, "\x55\x55\x55\x55\x55");
}

static void mouse_reset_and_id(void **state)
{
    struct fixture *f = *state;
    mouse(f, 0xff);
    assert_true(f->b.wire[IRQ12].level);
    EXPECT(f, true, "\xfa\xaa\x00");
    mouse(f, 0xf2);
    EXPECT(f, true, "\xfa\x00");
    mouse(f, 0xe9);
    EXPECT(f, true, "\xfa\x00\x02\x64");
    static const uint8_t knock[] = {200, 100, 80};
    for (int i = 0; i < 3; i++) {
        mouse(f, 0xf3);
        mouse(f, knock[i]);
        EXPECT(f, true, "\xfa\xfa");
    }
    mouse(f, 0xf2);
    EXPECT(f, true, "\xfa\x03");
    mouse(f, 0x13);
    EXPECT(f, true, "\xfe");
}

static void move(struct fixture *f, int dx, int dy, int dz)
{
    f->kbc.mouse.sink.move(f->kbc.mouse.sink.opaque, dx, dy, dz);
}

static void buttons(struct fixture *f, unsigned mask)
{
    f->kbc.mouse.sink.buttons(f->kbc.mouse.sink.opaque, mask);
}

static void mouse_stream(void **state)
{
    struct fixture *f = *state;
    move(f, 5, 5, 0);
    EXPECT(f, true, ""); /* not reporting */
    mouse(f, 0xf4);
    EXPECT(f, true, "\xfa");
    move(f, 5, 3, 0);
    EXPECT(f, true, "\x28\x05\xfd");
    move(f, -1, 0, 0);
    in8(&f->b, 0x60);
    move(f, 100, 0, 0); /* adds up behind the packet under way */
    move(f, 100, 0, 0);
    EXPECT(f, true, "\xff\x00\x08\x7f\x00\x08\x49\x00");
    buttons(f, POINTER_LEFT);
    buttons(f, POINTER_LEFT | POINTER_MIDDLE);
    buttons(f, POINTER_RIGHT);
    EXPECT(f, true, "\x09\x00\x00\x0d\x00\x00\x0a\x00\x00");
    mouse(f, 0xe9);
    EXPECT(f, true, "\xfa\x21\x02\x64");
    for (int i = 0; i < 1000; i++) {
        move(f, INT32_MAX, INT32_MIN, INT32_MIN);
        buttons(f, (unsigned)i & 7);
    }
    unsigned count = 0;
    while (in8(&f->b, 0x64) & 1) {
        in8(&f->b, 0x60);
        count++;
    }
    assert_in_range(count, 60, 1000);
}

static void mouse_wheel(void **state)
{
    struct fixture *f = *state;
    static const uint8_t knock[] = {200, 100, 80};
    for (int i = 0; i < 3; i++) {
        mouse(f, 0xf3);
        mouse(f, knock[i]);
    }
    mouse(f, 0xf4);
    EXPECT(f, true, "\xfa\xfa"); /* answers nobody read went with the next command */
    move(f, 0, 0, 1);
    EXPECT(f, true, "\x08\x00\x00\xff");
    move(f, 0, 0, -9);
    EXPECT(f, true, "\x08\x00\x00\x07\x08\x00\x00\x02");
}

static void mouse_remote_and_wrap(void **state)
{
    struct fixture *f = *state;
    mouse(f, 0xf0);
    EXPECT(f, true, "\xfa");
    move(f, 4, 0, 0);
    EXPECT(f, true, "");
    mouse(f, 0xeb);
    EXPECT(f, true, "\xfa\x08\x04\x00");
    mouse(f, 0xee);
    EXPECT(f, true, "\xfa");
    mouse(f, 0xf4);
    mouse(f, 0xec);
    EXPECT(f, true, "\xf4\xfa");
    mouse(f, 0xea);
    mouse(f, 0xe7);
    mouse(f, 0xf4);
    while (in8(&f->b, 0x64) & 1)
        in8(&f->b, 0x60);
    move(f, 4, -7, 0);
    EXPECT(f, true, "\x08\x06\x0e");
}

static void hostile(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2000; i++) {
        scribble(&f->b, 0x60, 5, 50);
        key(f, (unsigned)i % 300, i & 1);
        move(f, i, -i, i % 3);
        buttons(f, (unsigned)i & 7);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(linux_probe),       CASE(seabios_init),          CASE(translated_codes),
        CASE(scan_code_sets),    CASE(keyboard_commands),     CASE(keyboard_queue_is_bounded),
        CASE(disables),          CASE(each_byte_is_an_edge),  CASE(a20_and_reset),
        CASE(controller_memory), CASE(mouse_reset_and_id),    CASE(mouse_stream),
        CASE(mouse_wheel),       CASE(mouse_remote_and_wrap), CASE(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
