/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device/pic.h"

#include <stdlib.h>

#include "chip_test.h"

struct fixture {
    struct bench b;
    struct pic pic;
};

static int setup(void **state)
{
    static struct fixture f;
    bench_init(&f.b);
    assert_int_equal(pic_init(&f.pic, f.b.pio, bench_wire(&f.b, 0)), 0);
    /* As every PC's firmware does: vectors 0x20 and 0x28, all unmasked. */
    out8(&f.b, 0x20, 0x11);
    out8(&f.b, 0x21, 0x20);
    out8(&f.b, 0x21, 0x04);
    out8(&f.b, 0x21, 0x01);
    out8(&f.b, 0xa0, 0x11);
    out8(&f.b, 0xa1, 0x28);
    out8(&f.b, 0xa1, 0x02);
    out8(&f.b, 0xa1, 0x01);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->pic.device.type->fini(&f->pic.device);
    bench_fini(&f->b);
    return 0;
}

static void pulse(struct fixture *f, int n)
{
    pic_set_irq(&f->pic, n, true);
    pic_set_irq(&f->pic, n, false);
}

static void priorities_and_eoi(void **state)
{
    struct fixture *f = *state;
    pulse(f, 4);
    assert_true(f->b.wire[0].level);
    assert_int_equal(pic_acknowledge(&f->pic), 0x24);
    assert_false(f->b.wire[0].level);
    pulse(f, 5); /* lower: waits */
    assert_false(f->b.wire[0].level);
    pulse(f, 1); /* higher: nests */
    assert_true(f->b.wire[0].level);
    assert_int_equal(pic_acknowledge(&f->pic), 0x21);
    out8(&f->b, 0x20, 0x0b);
    assert_int_equal(in8(&f->b, 0x20), 0x12);
    out8(&f->b, 0x20, 0x0a);
    assert_int_equal(in8(&f->b, 0x20), 0x20);
    out8(&f->b, 0x20, 0x20);
    assert_false(f->b.wire[0].level);
    out8(&f->b, 0x20, 0x64); /* specific EOI of IR4 */
    assert_true(f->b.wire[0].level);
    assert_int_equal(pic_acknowledge(&f->pic), 0x25);
}

static void masks(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x21, 0xfb); /* Linux's probe for a PIC */
    assert_int_equal(in8(&f->b, 0x21), 0xfb);
    pulse(f, 0);
    assert_false(f->b.wire[0].level);
    out8(&f->b, 0x21, 0);
    assert_true(f->b.wire[0].level);
    out8(&f->b, 0x21, 0xff);
    assert_false(f->b.wire[0].level);
    assert_int_equal(pic_acknowledge(&f->pic), 0x27); /* spurious, no ISR bit */
    out8(&f->b, 0x20, 0x0b);
    assert_int_equal(in8(&f->b, 0x20), 0);
}

static void cascade(void **state)
{
    struct fixture *f = *state;
    pulse(f, 12);
    assert_int_equal(pic_acknowledge(&f->pic), 0x2c);
    pulse(f, 8); /* higher on the same slave: blocked by the master's IR2 in plain nesting */
    assert_false(f->b.wire[0].level);
    out8(&f->b, 0xa0, 0x20);
    assert_false(f->b.wire[0].level);
    out8(&f->b, 0x20, 0x20);
    assert_true(f->b.wire[0].level);
    assert_int_equal(pic_acknowledge(&f->pic), 0x28);
    out8(&f->b, 0xa0, 0x20);
    out8(&f->b, 0x20, 0x20);
    pic_set_irq(&f->pic, 2, true); /* not a pin of the board */
    assert_false(f->b.wire[0].level);
}

static void cascade_keeps_edges_under_aeoi(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0xa0, 0x11);
    out8(&f->b, 0xa1, 0x28);
    out8(&f->b, 0xa1, 0x02);
    out8(&f->b, 0xa1, 0x03); /* the slave ends interrupts by itself */
    pulse(f, 9);
    pulse(f, 10);
    assert_int_equal(pic_acknowledge(&f->pic), 0x29);
    out8(&f->b, 0x20, 0x20);
    assert_true(f->b.wire[0].level);
    assert_int_equal(pic_acknowledge(&f->pic), 0x2a);
}

static void special_fully_nested(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x20, 0x11);
    out8(&f->b, 0x21, 0x20);
    out8(&f->b, 0x21, 0x04);
    out8(&f->b, 0x21, 0x11);
    pulse(f, 12);
    assert_int_equal(pic_acknowledge(&f->pic), 0x2c);
    pulse(f, 8);
    assert_true(f->b.wire[0].level);
    assert_int_equal(pic_acknowledge(&f->pic), 0x28);
}

static void level_triggered(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x4d0, 0xff);
    out8(&f->b, 0x4d1, 0xff);
    assert_int_equal(in8(&f->b, 0x4d0), 0xf8);
    assert_int_equal(in8(&f->b, 0x4d1), 0xde);
    pic_set_irq(&f->pic, 11, true);
    assert_int_equal(pic_acknowledge(&f->pic), 0x2b);
    out8(&f->b, 0xa0, 0x20);
    out8(&f->b, 0x20, 0x20);
    assert_true(f->b.wire[0].level); /* still asserted: again */
    pic_set_irq(&f->pic, 11, false);
    /* The slave's request fell, the master latched it: spurious IR15. */
    assert_int_equal(pic_acknowledge(&f->pic), 0x2f);
    out8(&f->b, 0xa0, 0x0b);
    assert_int_equal(in8(&f->b, 0xa0), 0);
    out8(&f->b, 0x20, 0x20);
    assert_false(f->b.wire[0].level);
}

static void rotation(void **state)
{
    struct fixture *f = *state;
    pulse(f, 3);
    pulse(f, 4);
    assert_int_equal(pic_acknowledge(&f->pic), 0x23);
    pulse(f, 3);
    out8(&f->b, 0x20, 0xa0); /* rotate on EOI: IR3 is now the lowest */
    assert_int_equal(pic_acknowledge(&f->pic), 0x24);
    out8(&f->b, 0x20, 0x20);
    assert_int_equal(pic_acknowledge(&f->pic), 0x23);
    out8(&f->b, 0x20, 0xe3); /* specific */
    out8(&f->b, 0x20, 0xc5); /* set priority: IR5 lowest */
    assert_int_equal(f->pic.chip[0].highest, 6);
    pulse(f, 0);
    pulse(f, 6);
    assert_int_equal(pic_acknowledge(&f->pic), 0x26);
}

static void rotation_in_auto_eoi(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x20, 0x11);
    out8(&f->b, 0x21, 0x20);
    out8(&f->b, 0x21, 0x04);
    out8(&f->b, 0x21, 0x03);
    out8(&f->b, 0x20, 0x80);
    pulse(f, 0);
    pulse(f, 1);
    assert_int_equal(pic_acknowledge(&f->pic), 0x20);
    pulse(f, 0);
    assert_int_equal(pic_acknowledge(&f->pic), 0x21);
    assert_int_equal(pic_acknowledge(&f->pic), 0x20);
    assert_int_equal(f->pic.chip[0].isr, 0);
}

static void special_mask(void **state)
{
    struct fixture *f = *state;
    pulse(f, 1);
    assert_int_equal(pic_acknowledge(&f->pic), 0x21);
    out8(&f->b, 0x21, 0x02);
    out8(&f->b, 0x20, 0x68);
    pulse(f, 6);
    assert_true(f->b.wire[0].level);
    assert_int_equal(pic_acknowledge(&f->pic), 0x26);
    out8(&f->b, 0x20, 0x20); /* ends IR6: IR1 is masked and out of reach */
    assert_int_equal(f->pic.chip[0].isr, 0x02);
    out8(&f->b, 0x20, 0x48);
    assert_false(f->pic.chip[0].special_mask);
}

static void poll(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x20, 0x0c);
    assert_int_equal(in8(&f->b, 0x20), 0);
    pulse(f, 5);
    out8(&f->b, 0x20, 0x0c);
    assert_int_equal(in8(&f->b, 0x20), 0x85);
    assert_int_equal(f->pic.chip[0].isr, 0x20);
    assert_false(f->b.wire[0].level);
}

static void describe(void **state)
{
    struct fixture *f = *state;
    out8(&f->b, 0x21, 0xb8);
    out8(&f->b, 0x4d1, 0x0c);
    char *text = pic_describe(&f->pic);
    assert_string_equal(text,
                        "pic1: irr=00 imr=00 isr=00 hprio=0 irq_base=28 rr_sel=0 elcr=0c fnm=0\n"
                        "pic0: irr=00 imr=b8 isr=00 hprio=0 irq_base=20 rr_sel=0 elcr=00 fnm=0\n");
    free(text);
}

static void hostile(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 1000; i++) {
        scribble(&f->b, 0x20, 2, 7);
        scribble(&f->b, 0xa0, 2, 5);
        pic_set_irq(&f->pic, i % 16, i & 32);
        assert_in_range(pic_acknowledge(&f->pic), 0, 255);
    }
}

/* A stream may hold what no ICW2 can: vectors stay within 0..255. */
static void loaded_base(void **state)
{
    struct fixture *f = *state;
    struct device *device = &f->pic.device;
    struct state_buffer out = {0};
    f->pic.chip[0].base = f->pic.chip[1].base = 0xff;
    assert_int_equal(state_save(device->type->state, device, &out), 0);
    assert_int_equal(state_load(device->type->state, device, out.data, out.length, NULL, NULL), 0);
    free(out.data);
    pulse(f, 15);
    assert_int_equal(pic_acknowledge(&f->pic), 0xff);
    pulse(f, 0);
    assert_int_equal(pic_acknowledge(&f->pic), 0xf8);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(priorities_and_eoi),
        CASE(masks),
        CASE(cascade),
        CASE(cascade_keeps_edges_under_aeoi),
        CASE(special_fully_nested),
        CASE(level_triggered),
        CASE(rotation),
        CASE(rotation_in_auto_eoi),
        CASE(special_mask),
        CASE(poll),
        CASE(describe),
        CASE(hostile),
        CASE(loaded_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
