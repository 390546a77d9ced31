/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A fw_cfg on a bench, for tests of what the board puts into it.
 */
#ifndef TESTS_UNIT_FW_CFG_BENCH_H
#define TESTS_UNIT_FW_CFG_BENCH_H

#include "unit/test.h"

#include "device/fw_cfg.h"

static struct mem *mem;
static struct pio *pio;
static struct fw_cfg fw;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(mem_create(&mem, NULL), 0);
    assert_int_equal(pio_create(&pio, NULL), 0);
    assert_int_equal(fw_cfg_init(&fw, pio, mem, NULL), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fw.device.type->fini(&fw.device);
    pio_destroy(pio);
    mem_destroy(mem);
    return 0;
}

#endif
