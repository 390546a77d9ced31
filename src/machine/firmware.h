/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Firmware and option ROMs: found on the host, as in QEMU, and the system firmware made ready to be
 * mapped. Set-up time, under the VM lock.
 */
#ifndef MACHINE_FIRMWARE_H
#define MACHINE_FIRMWARE_H

#include <stdint.h>

#include "mem/mem.h"

struct config;
struct error;

/* Debian's package `seabios` has it. */
#define FIRMWARE_DEFAULT "bios-256k.bin"

/* The firmware's bytes and the two places a PC shows them at: ending at 4 GiB, and its last 128 KiB
 * ending at 1 MiB. Both regions are ROM, enabled, of priority 1; the owner may change that and
 * adds them with mem_add. The chipset's shadowing (PAM) covers `low` with RAM of higher priority.
 */
struct firmware {
    struct ram *ram;
    struct mem_region high;
    struct mem_region low;
};

/* Loads what -bios names, or FIRMWARE_DEFAULT: a multiple of 64 KiB, 16 MiB at most. */
int firmware_load(struct firmware *firmware, const struct config *config, struct error *err);
/* After its regions were removed. Also fine on a struct of zeros. */
void firmware_unload(struct firmware *firmware);

/* Reads a ROM image by file name ("vgabios-stdvga.bin") from the directories of -L, then
 * /usr/share/seabios and /usr/share/qemu. The caller frees *bytes. */
int firmware_read_rom(const struct config *config, const char *name, uint64_t max, uint8_t **bytes,
                      uint64_t *size, struct error *err);

#endif
