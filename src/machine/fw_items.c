/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine/fw_items.h"

#include "base/bytes.h"
#include "device/fw_cfg.h"

enum {
    CPUS_MAX = 255,
    E820_RAM = 1,
    E820_ENTRY = 20,
    STATE_ON = 0x80, /* etc/system-states: with the sleep type in the low bits */
};

static uint8_t *add_e820(uint8_t *entry, uint64_t start, uint64_t length)
{
    store_le64(entry, start);
    store_le64(entry + 8, length);
    store_le32(entry + 16, E820_RAM);
    return entry + E820_ENTRY;
}

/* One node that has everything: no nodes, and for each processor node 0. */
static int add_numa(struct fw_cfg *fw, unsigned cpus, struct error *err)
{
    static const uint8_t zeros[8 * (1 + CPUS_MAX)];
    return fw_cfg_add_bytes(fw, FW_CFG_NUMA, zeros, 8 * (1 + min_u64(cpus, CPUS_MAX)), err);
}

int fw_items_add(struct fw_cfg *fw, uint64_t ram_below_4g, uint64_t ram_above_4g, unsigned cpus,
                 struct error *err)
{
    uint8_t e820[2 * E820_ENTRY];
    uint8_t *end = add_e820(e820, 0, ram_below_4g);
    if (ram_above_4g)
        end = add_e820(end, GIB(4), ram_above_4g);
    /* By S number, as dsdt.asl has them: S0, S4 and S5 are there, S3 is not. */
    static const uint8_t states[6] = {STATE_ON, 0, 0, 1, STATE_ON | 2, STATE_ON};
    /* For ever: "No bootable device." stays on the screen and the machine does not restart. */
    static const uint8_t boot_fail_wait[4] = {0xff, 0xff, 0xff, 0xff};
    int ret;
    if ((ret = fw_cfg_add_file(fw, "etc/e820", e820, (size_t)(end - e820), err)) < 0 ||
        (ret = fw_cfg_add_file(fw, "etc/system-states", states, sizeof(states), err)) < 0 ||
        (ret = fw_cfg_add_file(fw, "etc/boot-fail-wait", boot_fail_wait, sizeof(boot_fail_wait),
                               err)) < 0 ||
        (ret = fw_cfg_add_i32(fw, FW_CFG_IRQ0_OVERRIDE, 1, err)) < 0)
        return ret;
    return add_numa(fw, cpus, err);
}
