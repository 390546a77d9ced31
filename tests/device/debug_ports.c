/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The small ports: 0x92, the debug console and isa-debug-exit.
 */
#include <errno.h>

#include "chip_test.h"
#include "device/debug_exit.h"
#include "device/debugcon.h"
#include "device/port92.h"

struct chardev {
    char text[16];
    size_t length;
};

int chardev_attach(struct chardev *chardev, const struct chardev_frontend *frontend)
{
    (void)chardev;
    assert_null(frontend->read);
    return 3;
}

void chardev_write(struct chardev *chardev, int handle, const void *bytes, size_t length)
{
    assert_int_equal(handle, 3);
    assert_int_equal(length, 1);
    chardev->text[chardev->length++ % sizeof(chardev->text)] = *(const char *)bytes;
}

static void port92(void **state)
{
    (void)state;
    struct bench b;
    struct port92 p;
    bench_init(&b);
    assert_int_equal(port92_init(&p, b.pio, bench_wire(&b, 0), bench_wire(&b, 1)), 0);
    assert_int_equal(in8(&b, 0x92), 0);
    out8(&b, 0x92, 0xfe);
    assert_int_equal(in8(&b, 0x92), 2);
    assert_true(b.wire[0].level);
    out8(&b, 0x92, 0x03);
    out8(&b, 0x92, 0x03);
    assert_int_equal(b.wire[1].rises, 1);
    out8(&b, 0x92, 0x00);
    assert_false(b.wire[0].level);
    out8(&b, 0x92, 0x02);
    p.device.type->reset(&p.device);
    assert_false(b.wire[0].level);
    p.device.type->fini(&p.device);
    assert_int_equal(in8(&b, 0x92), 0xff);
    bench_fini(&b);
}

static void debugcon(void **state)
{
    (void)state;
    struct bench b;
    struct debugcon d;
    struct chardev out = {.length = 0};
    bench_init(&b);
    assert_int_equal(debugcon_init(&d, b.pio, 0x402, 0xe9, &out), 0);
    assert_int_equal(in8(&b, 0x402), 0xe9);
    assert_int_equal(in8(&b, 0xe9), 0xe9);
    out8(&b, 0x402, 'o');
    out8(&b, 0xe9, 'k');
    assert_string_equal(out.text, "ok");
    d.device.type->fini(&d.device);
    assert_int_equal(in8(&b, 0x402), 0xff);
    assert_int_equal(debugcon_init(&d, b.pio, 0xe9, 0, NULL), 0);
    out8(&b, 0xe9, 'x');
    assert_int_equal(out.length, 2);
    d.device.type->fini(&d.device);
    bench_fini(&b);
}

static void note_code(void *opaque, int code)
{
    *(int *)opaque = code;
}

static void debug_exit(void **state)
{
    (void)state;
    struct bench b;
    struct debug_exit d;
    int code = -1;
    bench_init(&b);
    assert_int_equal(debug_exit_init(&d, b.pio, 0xf4, 4, note_code, &code), 0);
    assert_int_equal(in8(&b, 0xf4), 0);
    pio_write(b.pio, 0xf4, 0x10, 4);
    assert_int_equal(code, 33);
    out8(&b, 0xf4, 0);
    assert_int_equal(code, 1);
    pio_write(b.pio, 0xf4, 0xffffffff, 4);
    assert_int_equal(code, 255);
    d.device.type->fini(&d.device);
    assert_int_equal(debug_exit_init(&d, b.pio, 0xffff, 2, note_code, &code), -EINVAL);
    bench_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port92),
        cmocka_unit_test(debugcon),
        cmocka_unit_test(debug_exit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
