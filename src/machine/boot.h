/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -kernel, -initrd, -append: bzImage, multiboot 1 and PVH kernels, started after the firmware by an
 * option ROM of ours that gets everything through fw_cfg. Set-up time, any thread.
 */
#ifndef MACHINE_BOOT_H
#define MACHINE_BOOT_H

#include <stdint.h>

struct config;
struct error;

/* Three files for fw_cfg: the option ROM, the firmware's boot order that puts it first, and what it
 * is to do. Added under their names, they make the kernel start; nothing else is needed. They need
 * fw_cfg's DMA interface. */
#define BOOT_FILES 3

struct boot_file {
    const char *name;
    uint8_t *data;
    uint32_t length;
};

struct boot_files {
    struct boot_file file[BOOT_FILES];
};

/* Reads the kernel and its initrd. low_memory: bytes of RAM from address 0 to the hole below 4 GiB.
 * Missing, truncated, unreadable, unknown or too large files: a negative errno and a sentence that
 * names the sizes. */
int boot_prepare(struct boot_files *files, const struct config *config, uint64_t low_memory,
                 struct error *err);
/* Frees the data, after fw_cfg has taken its copy. */
void boot_files_free(struct boot_files *files);

#endif
