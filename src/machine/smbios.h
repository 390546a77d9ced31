/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The SMBIOS tables (DMTF DSP0134, version 2.8) that inventories of the guest read: system,
 * chassis, processors, memory. They go through fw_cfg as etc/smbios/smbios-tables and, the entry
 * point, etc/smbios/smbios-anchor; the firmware puts them into memory, sets the entry point's
 * address and adds a type 0 about itself (SeaBIOS does when there is none). Set-up time.
 */
#ifndef MACHINE_SMBIOS_H
#define MACHINE_SMBIOS_H

#include <stdint.h>

struct error;
struct fw_cfg;

struct smbios_board {
    const char *product; /* of the system: what the board is */
    uint8_t uuid[16];    /* in the order of its text; zeros: not set */
    unsigned sockets;    /* processor packages, 1..255 */
    unsigned cores;      /* of a package */
    uint64_t ram_below_4g, ram_above_4g;
};

/* Adds the two files. -EINVAL for a board that cannot be, -ENOMEM. */
int smbios_tables_add(struct fw_cfg *fw, const struct smbios_board *board, struct error *err);

#endif
