/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * FERR# to interrupt 13 and back by port 0xf0.
 */
#include "chip_test.h"

#include "device/ferr.h"

static bool irq13;

static void set_irq13(void *opaque, int n, bool level)
{
    (void)opaque;
    (void)n;
    irq13 = level;
}

static void test_ferr(void **state)
{
    (void)state;
    struct ferr ferr;
    struct pio *pio;
    assert_int_equal(pio_create(&pio, NULL), 0);
    assert_int_equal(ferr_init(&ferr, pio, (struct irq){set_irq13, NULL, 0}), 0);
    irq13 = true;
    ferr.device.type->reset(&ferr.device);
    assert_false(irq13);
    ferr_set(&ferr, true);
    assert_true(irq13);
    pio_write(pio, 0xf0, 0, 1);
    assert_false(irq13);
    ferr_set(&ferr, true); /* the same error still */
    assert_false(irq13);
    ferr_set(&ferr, false);
    ferr_set(&ferr, true);
    assert_true(irq13);
    ferr_set(&ferr, false); /* FNCLEX without port 0xf0 */
    assert_false(irq13);
    assert_int_equal(pio_read(pio, 0xf0, 1), 0xff);
    ferr.device.type->fini(&ferr.device);
    pio_destroy(pio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ferr)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
