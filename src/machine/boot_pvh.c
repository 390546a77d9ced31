/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PVH: an ELF kernel entered in 32-bit protected mode with ebx at a struct hvm_start_info. Xen,
 * docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h, version 1.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/bytes.h"
#include "base/error.h"
#include "machine/boot_file.h"

#define START_INFO_MAGIC 0x336ec578u
#define MAP_ENTRIES      128
#define MAP_ENTRY_SIZE   24

/* Offsets in struct hvm_start_info and struct hvm_modlist_entry. */
enum {
    INFO_MAGIC = 0,
    INFO_VERSION = 4,
    INFO_MODULES = 12,
    INFO_MODLIST = 16,
    INFO_CMDLINE = 24,
    INFO_RSDP = 32,
    INFO_MEMMAP = 40,
    INFO_MEMMAP_ENTRIES = 48,
    INFO_SIZE = 56,
    MODULE_ADDRESS = 0,
    MODULE_LENGTH = 8,
    MODULE_SIZE = 32,
};

static int add_initrd(struct boot_image *image, const char *path, struct boot_info *info,
                      uint8_t *start, struct error *err)
{
    uint32_t address, size;
    uint8_t *module;
    int ret =
        boot_add_initrd(image, path, boot_high_end(image), image->memory_end, &address, &size, err);
    if (ret < 0)
        return ret;
    uint32_t list = boot_info_take(info, MODULE_SIZE, &module);
    if (!list)
        return boot_info_full(err);
    store_le64(module + MODULE_ADDRESS, address);
    store_le64(module + MODULE_LENGTH, size);
    store_le32(start + INFO_MODULES, 1);
    store_le64(start + INFO_MODLIST, list);
    return 0;
}

static int add_info(struct boot_image *image, const struct boot_source *source, struct error *err)
{
    struct boot_info info;
    uint8_t *start, *map;
    int ret = boot_info_start(&info, image, err);
    if (ret < 0)
        return ret;
    uint32_t at = boot_info_take(&info, INFO_SIZE, &start);
    uint32_t map_at = boot_info_take(&info, MAP_ENTRIES * MAP_ENTRY_SIZE, &map);
    uint32_t command = boot_info_string(&info, source->append);
    if (!command)
        return boot_info_full(err);
    store_le32(start + INFO_MAGIC, START_INFO_MAGIC);
    store_le32(start + INFO_VERSION, 1);
    store_le64(start + INFO_CMDLINE, command);
    store_le64(start + INFO_MEMMAP, map_at);
    if (source->initrd)
        ret = add_initrd(image, source->initrd, &info, start, err);
    image->ebx = at;
    image->map_at = map_at;
    image->map_max = MAP_ENTRIES;
    image->count_at = at + INFO_MEMMAP_ENTRIES;
    image->rsdp_at = at + INFO_RSDP;
    return ret < 0 ? ret : boot_info_finish(&info, image, err);
}

int boot_pvh_load(struct boot_image *image, const struct boot_source *source, struct error *err)
{
    struct boot_elf elf;
    int ret = boot_elf_load(image, source, &elf, err);
    if (ret < 0)
        return ret;
    if (!elf.has_pvh_entry)
        return error_set(err, ENOEXEC,
                         "an ELF file that is no multiboot kernel and has no entry for PVH; of "
                         "Linux, give bzImage (vmlinuz), or build with CONFIG_PVH=y");
    if (elf.pvh_entry > UINT32_MAX)
        return error_set(err, ENOEXEC, "its PVH entry %#" PRIx64 " lies above 4 GiB",
                         elf.pvh_entry);
    image->mode = BOOT_PROTECTED;
    image->entry = (uint32_t)elf.pvh_entry;
    return add_info(image, source, err);
}
