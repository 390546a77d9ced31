/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The line is a fake chardev: bytes sent are kept, bytes to receive are offered as a real one
 * would, no more than can_read asks for.
 */
#include "device/uart.h"

#include "chip_test.h"

struct chardev {
    const struct chardev_frontend *frontend;
    uint8_t sent[64];
    size_t sent_count;
    const uint8_t *input;
    size_t input_left;
    bool busy;
};

int chardev_attach(struct chardev *chardev, const struct chardev_frontend *frontend)
{
    chardev->frontend = frontend;
    return 0;
}

void chardev_write(struct chardev *chardev, int handle, const void *bytes, size_t length)
{
    assert_int_equal(handle, 0);
    for (size_t i = 0; i < length; i++)
        chardev->sent[chardev->sent_count++ % sizeof(chardev->sent)] = ((const uint8_t *)bytes)[i];
}

void chardev_accept_input(struct chardev *chardev)
{
    const struct chardev_frontend *f = chardev->frontend;
    if (chardev->busy)
        return;
    chardev->busy = true;
    size_t room;
    while (chardev->input_left && (room = f->can_read(f->opaque))) {
        size_t n = room < chardev->input_left ? room : chardev->input_left;
        f->read(f->opaque, chardev->input, n);
        chardev->input += n;
        chardev->input_left -= n;
    }
    chardev->busy = false;
}

struct fixture {
    struct bench b;
    struct chardev line;
    struct uart uart;
};

enum { DATA = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

static int setup(void **state)
{
    static struct fixture f;
    bench_init(&f.b);
    f.line = (struct chardev){0};
    assert_int_equal(uart_init(&f.uart, f.b.pio, DATA, &f.b.timers, &f.line, bench_wire(&f.b, 0)),
                     0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->uart.device.type->fini(&f->uart.device);
    bench_fini(&f->b);
    return 0;
}

static void offer(struct fixture *f, const char *text)
{
    f->line.input = (const uint8_t *)text;
    f->line.input_left = strlen(text);
    chardev_accept_input(&f->line);
}

static void reset_values(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(in8(&f->b, IER), 0);
    assert_int_equal(in8(&f->b, IIR), 0x01);
    assert_int_equal(in8(&f->b, LSR), 0x60);
    assert_int_equal(in8(&f->b, MSR), 0xb0);
    out8(&f->b, IER, 0xff);
    assert_int_equal(in8(&f->b, IER), 0x0f);
    out8(&f->b, SCR, 0x5a);
    assert_int_equal(in8(&f->b, SCR), 0x5a);
    out8(&f->b, LCR, 0x83);
    out8(&f->b, DATA, 0x34);
    out8(&f->b, IER, 0x12);
    assert_int_equal(in8(&f->b, DATA), 0x34);
    assert_int_equal(in8(&f->b, IER), 0x12);
    out8(&f->b, LCR, 0x03);
    assert_int_equal(in8(&f->b, IER), 0x0f);
    assert_int_equal(f->line.sent_count, 0);
}

static void sends(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, DATA, 'h');
    out8(&f->b, DATA, 'i');
    assert_int_equal(f->line.sent_count, 2);
    assert_memory_equal(f->line.sent, "hi", 2);
}

/* As Linux's serial8250_THRE_test: enabling the interrupt must raise it, each time. */
static void transmitter_interrupt(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        out8(&f->b, IER, 2);
        assert_true(f->b.wire[0].level);
        assert_int_equal(in8(&f->b, IIR), 0x02);
        assert_int_equal(in8(&f->b, IIR), 0x01); /* reading it was the acknowledge */
        assert_false(f->b.wire[0].level);
        out8(&f->b, DATA, 'x');
        assert_true(f->b.wire[0].level);
        out8(&f->b, IER, 0);
        assert_false(f->b.wire[0].level);
    }
    unsigned rises = f->b.wire[0].rises;
    out8(&f->b, IER, 2);
    out8(&f->b, DATA, 'y'); /* falls and rises again: an edge for the 8259 */
    assert_int_equal(f->b.wire[0].rises, rises + 2);
}

static void receives_without_fifo(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, IER, 1);
    offer(f, "abc");
    assert_int_equal(f->line.input_left, 2); /* the rest is held, not lost */
    assert_true(f->b.wire[0].level);
    assert_int_equal(in8(&f->b, IIR), 0x04);
    assert_int_equal(in8(&f->b, LSR), 0x61);
    assert_int_equal(in8(&f->b, DATA), 'a');
    assert_int_equal(in8(&f->b, DATA), 'b');
    assert_int_equal(in8(&f->b, DATA), 'c');
    assert_false(f->b.wire[0].level);
    assert_int_equal(in8(&f->b, LSR), 0x60);
    assert_int_equal(in8(&f->b, DATA), 'c');
}

static void fifo_trigger_and_timeout(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, LCR, 0x83);
    out8(&f->b, DATA, 1);
    out8(&f->b, IER, 0);
    out8(&f->b, LCR, 0x03);
    out8(&f->b, FCR, 0x81); /* 8 bytes */
    out8(&f->b, IER, 1);
    assert_int_equal(in8(&f->b, IIR), 0xc1);
    offer(f, "1234567");
    assert_false(f->b.wire[0].level);
    timers_advance(&f->b.timers, 346000); /* 40 bits at 115200 take 347 us */
    assert_false(f->b.wire[0].level);
    timers_advance(&f->b.timers, 2000);
    assert_true(f->b.wire[0].level);
    assert_int_equal(in8(&f->b, IIR), 0xcc);
    assert_int_equal(in8(&f->b, DATA), '1');
    assert_false(f->b.wire[0].level);
    offer(f, "8a");
    assert_true(f->b.wire[0].level);
    assert_int_equal(in8(&f->b, IIR), 0xc4);
    for (const char *p = "2345678a"; *p; p++)
        assert_int_equal(in8(&f->b, DATA), *p);
    assert_false(f->b.wire[0].level);
    timers_advance(&f->b.timers, NS_PER_SECOND);
    assert_false(f->b.wire[0].level);
    offer(f, "xyz");
    out8(&f->b, FCR, 0x83); /* clear */
    assert_int_equal(in8(&f->b, LSR), 0x60);
    timers_advance(&f->b.timers, NS_PER_SECOND);
    assert_false(f->b.wire[0].level);
}

static void input_is_held_at_16(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, FCR, 0x01);
    offer(f, "0123456789abcdefgh");
    assert_int_equal(f->line.input_left, 2);
    for (const char *p = "0123456789abcdefgh"; *p; p++)
        assert_int_equal(in8(&f->b, DATA), *p);
    assert_int_equal(in8(&f->b, LSR), 0x60);
}

static void loop_back(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, MCR, 0x1a); /* Linux's autoconfig: RTS and OUT2 come back as CTS and DCD */
    assert_int_equal(in8(&f->b, MSR) & 0xf0, 0x90);
    out8(&f->b, MCR, 0x15);
    assert_int_equal(in8(&f->b, MSR), 0x60 | 0x0b);
    out8(&f->b, IER, 8);
    out8(&f->b, MCR, 0x11); /* RI's trailing edge */
    assert_true(f->b.wire[0].level);
    assert_int_equal(in8(&f->b, IIR), 0x00);
    assert_int_equal(in8(&f->b, MSR), 0x24);
    assert_false(f->b.wire[0].level);
    out8(&f->b, DATA, 0x55);
    assert_int_equal(f->line.sent_count, 0);
    offer(f, "z"); /* the line is disconnected */
    assert_int_equal(in8(&f->b, DATA), 0x55);
    assert_int_equal(in8(&f->b, LSR), 0x60);
    out8(&f->b, LCR, 0x43);
    assert_int_equal(in8(&f->b, LSR), 0x71);
    assert_int_equal(in8(&f->b, LSR), 0x61);
    assert_int_equal(in8(&f->b, DATA), 0);
    out8(&f->b, MCR, 0);
    assert_int_equal(in8(&f->b, DATA), 'z');
}

static void overrun(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, MCR, 0x10);
    out8(&f->b, IER, 4);
    out8(&f->b, DATA, 1);
    out8(&f->b, DATA, 2);
    assert_true(f->b.wire[0].level);
    assert_int_equal(in8(&f->b, IIR), 0x06);
    assert_int_equal(in8(&f->b, LSR), 0x63);
    assert_false(f->b.wire[0].level);
    assert_int_equal(in8(&f->b, DATA), 2); /* the holding register takes the new one */
    out8(&f->b, FCR, 1);
    for (uint8_t i = 0; i < 17; i++)
        out8(&f->b, DATA, i);
    assert_int_equal(in8(&f->b, LSR), 0x63);
    for (uint8_t i = 0; i < 16; i++)
        assert_int_equal(in8(&f->b, DATA), i);
    assert_int_equal(in8(&f->b, LSR), 0x60);
}

static void breaks(void **state)
{
    struct fixture *f = *state;
    const struct chardev_frontend *front = f->line.frontend;
    out8(&f->b, FCR, 1);
    offer(f, "a");
    front->event(front->opaque, CHARDEV_BREAK);
    assert_int_equal(in8(&f->b, LSR), 0xe1); /* an error in the FIFO, not on top */
    assert_int_equal(in8(&f->b, DATA), 'a');
    assert_int_equal(in8(&f->b, LSR), 0xf1);
    assert_int_equal(in8(&f->b, LSR), 0x61);
    assert_int_equal(in8(&f->b, DATA), 0);
}

static void priorities(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, MCR, 0x10);
    out8(&f->b, DATA, 1);
    out8(&f->b, DATA, 2);
    out8(&f->b, IER, 0x0f);
    assert_int_equal(in8(&f->b, IIR), 0x06);
    in8(&f->b, LSR);
    assert_int_equal(in8(&f->b, IIR), 0x04);
    in8(&f->b, DATA);
    assert_int_equal(in8(&f->b, IIR), 0x02);
    assert_int_equal(in8(&f->b, IIR), 0x00);
    in8(&f->b, MSR);
    assert_int_equal(in8(&f->b, IIR), 0x01);
    assert_false(f->b.wire[0].level);
}

static void without_a_line(void **state)
{
    struct fixture *f = *state;
    struct uart second;
    assert_int_equal(uart_init(&second, f->b.pio, 0x2f8, &f->b.timers, NULL, bench_wire(&f->b, 1)),
                     0);
    out8(&f->b, 0x2f8, 'x');
    assert_int_equal(in8(&f->b, 0x2fd), 0x60);
    scribble(&f->b, 0x2f8, 8, 50000);
    second.device.type->fini(&second.device);
    scribble(&f->b, 0x3f8, 8, 50000);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(reset_values),
        CASE(sends),
        CASE(transmitter_interrupt),
        CASE(receives_without_fifo),
        CASE(fifo_trigger_and_timeout),
        CASE(input_is_held_at_16),
        CASE(loop_back),
        CASE(overrun),
        CASE(breaks),
        CASE(priorities),
        CASE(without_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
