/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The small fw_cfg items that tell SeaBIOS of the board: where RAM is, sleep states, interrupts,
 * what to do when nothing boots. Set-up time.
 */
#ifndef MACHINE_FW_ITEMS_H
#define MACHINE_FW_ITEMS_H

#include <stdint.h>

struct error;
struct fw_cfg;

/* Bytes of RAM from 0 and from 4 GiB on. -ENOMEM, -ENOSPC. */
int fw_items_add(struct fw_cfg *fw, uint64_t ram_below_4g, uint64_t ram_above_4g, unsigned cpus,
                 struct error *err);

#endif
