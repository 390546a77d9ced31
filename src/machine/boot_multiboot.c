/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Multiboot Specification 0.6.96: a header in the file's first 8 KiB, an ELF file or the header's
 * own addresses ("a.out kludge"), modules from -initrd in QEMU's grammar: "file args,file args",
 * where ",," is a comma.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "machine/boot_file.h"

#define HEADER_MAGIC  0x1badb002u
#define LOADER_MAGIC  0x2badb002u /* in eax */
#define SEARCH_LENGTH 8192u

/* The header's flags and, at offsets, its fields. */
#define WANTS_VIDEO      (1u << 2)
#define MUSTS            0xffffu /* what a loader must understand or refuse */
#define KNOWN_MUSTS      0x7u    /* page alignment, memory, video */
#define HAS_ADDRESSES    (1u << 16)
#define HEADER_SIZE      12u
#define HEADER_SIZE_LONG 32u

/* The information's flags and offsets. */
#define INFO_HAS_MEMORY  (1u << 0)
#define INFO_HAS_COMMAND (1u << 2)
#define INFO_HAS_MODULES (1u << 3)
#define INFO_HAS_MAP     (1u << 6)
#define INFO_HAS_LOADER  (1u << 9)
enum {
    INFO_FLAGS = 0,
    INFO_MEM_LOWER = 4,
    INFO_MEM_UPPER = 8,
    INFO_CMDLINE = 16,
    INFO_MODS_COUNT = 20,
    INFO_MODS_ADDR = 24,
    INFO_MMAP_LENGTH = 44,
    INFO_MMAP_ADDR = 48,
    INFO_LOADER_NAME = 64,
    INFO_SIZE = 120,
    MODULE_START = 0,
    MODULE_END = 4,
    MODULE_STRING = 8,
    MODULE_SIZE = 16,
};

#define MODULES_MAX    16
#define MAP_ENTRIES    128
#define MAP_ENTRY_SIZE 24 /* "size" and the firmware's 20 bytes */
#define LOWER_KIB      639

/* The header's offset, or -1. */
static int64_t find_header(const struct boot_source *source)
{
    uint64_t end = min_u64(source->size, SEARCH_LENGTH);
    for (uint64_t at = 0; at + HEADER_SIZE <= end; at += 4) {
        const uint8_t *header = source->kernel + at;
        if (load_le32(header) == HEADER_MAGIC &&
            load_le32(header) + load_le32(header + 4) + load_le32(header + 8) == 0)
            return (int64_t)at;
    }
    return -1;
}

bool boot_multiboot_probe(const struct boot_source *source)
{
    return find_header(source) >= 0;
}

/* Loads by the header's addresses, all 32-bit numbers from the file. */
static int load_by_addresses(struct boot_image *image, const struct boot_source *source,
                             uint64_t header_at, struct error *err)
{
    const uint8_t *header = source->kernel + header_at;
    if (header_at + HEADER_SIZE_LONG > source->size)
        return error_set(err, ENOEXEC, "cut off inside its multiboot header");
    uint32_t header_address = load_le32(header + 12), load_address = load_le32(header + 16);
    uint32_t load_end = load_le32(header + 20), bss_end = load_le32(header + 24);
    image->entry = load_le32(header + 28);
    /* A load address of all ones: the file from its beginning. */
    if (load_address == UINT32_MAX && header_address >= header_at)
        load_address = header_address - (uint32_t)header_at;
    if (header_address < load_address || header_address - load_address > header_at)
        return error_set(err, ENOEXEC, "its multiboot load address %#" PRIx32 " is wrong",
                         load_address);
    uint64_t from = header_at - (header_address - load_address), length = source->size - from;
    if (load_end != 0) {
        if (load_end < load_address || load_end - load_address > length)
            return error_set(err, ENOEXEC,
                             "cut off, or its multiboot load end %#" PRIx32 " is wrong", load_end);
        length = load_end - load_address;
    }
    int ret = boot_add(image, "kernel", load_address, source->kernel + from, length, err);
    if (ret < 0 || bss_end == 0)
        return ret;
    uint64_t loaded_end = load_address + length;
    if (bss_end < loaded_end)
        return error_set(err, ENOEXEC, "its multiboot bss end %#" PRIx32 " is wrong", bss_end);
    return boot_add(image, "kernel's zeros", loaded_end, NULL, bss_end - loaded_end, err);
}

static int load_elf(struct boot_image *image, const struct boot_source *source, struct error *err)
{
    struct boot_elf elf;
    if (!boot_elf_probe(source))
        return error_set(err, ENOEXEC, "multiboot, but neither ELF nor with addresses to load at");
    int ret = boot_elf_load(image, source, &elf, err);
    if (ret < 0)
        return ret;
    if (elf.entry > UINT32_MAX)
        return error_set(err, ENOEXEC, "its entry %#" PRIx64 " lies above 4 GiB", elf.entry);
    image->entry = (uint32_t)elf.entry;
    return 0;
}

/* One module: "file args". The string it gets is all of that. */
static int add_module(struct boot_image *image, struct boot_info *info, const char *item,
                      uint8_t *entry, struct error *err)
{
    const uint8_t *bytes;
    uint64_t size;
    size_t path_length = strcspn(item, " ");
    char *path = strndup(item, path_length);
    if (!path)
        return error_set(err, ENOMEM, "no memory for a module's name");
    int ret = boot_read(image, "module", path, &bytes, &size, err);
    free(path);
    if (ret < 0)
        return ret;
    uint64_t at = round_up(boot_high_end(image), 4096);
    ret = boot_add(image, "module", at, bytes, size, err);
    if (ret < 0)
        return ret;
    uint32_t string = boot_info_string(info, item);
    if (!string)
        return boot_info_full(err);
    store_le32(entry + MODULE_START, (uint32_t)at);
    store_le32(entry + MODULE_END, (uint32_t)(at + size));
    store_le32(entry + MODULE_STRING, string);
    return 0;
}

/* Cuts the next item off *rest, undoubling commas. NULL at the end. */
static char *next_item(char **rest)
{
    char *item = *rest, *from = item, *to = item;
    if (!*item)
        return NULL;
    while (*from && (*from != ',' || from[1] == ',')) {
        from += *from == ',';
        *to++ = *from++;
    }
    *rest = *from ? from + 1 : from;
    *to = '\0';
    return item;
}

static int add_modules(struct boot_image *image, struct boot_info *info, const char *initrd,
                       uint8_t *start, struct error *err)
{
    uint8_t *table;
    uint32_t table_at = boot_info_take(info, MODULES_MAX * MODULE_SIZE, &table);
    char *list = strdup(initrd), *rest = list;
    if (!list || !table_at) {
        free(list);
        return error_set(err, ENOMEM, "no memory for the modules' names");
    }
    int ret = 0;
    uint32_t count = 0;
    for (char *item = next_item(&rest); item && ret == 0; item = next_item(&rest)) {
        if (count == MODULES_MAX)
            ret = error_set(err, EINVAL, "more than %d modules", MODULES_MAX);
        else
            ret = add_module(image, info, item, table + count++ * MODULE_SIZE, err);
    }
    free(list);
    store_le32(start + INFO_MODS_COUNT, count);
    store_le32(start + INFO_MODS_ADDR, table_at);
    return ret;
}

/* The kernel's own name comes first in its command line, as with other loaders. */
static uint32_t put_command_line(struct boot_info *info, const struct boot_source *source)
{
    uint8_t *at;
    size_t path = strlen(source->path), append = strlen(source->append);
    uint32_t address = boot_info_take(info, path + 1 + append + 1, &at);
    if (!address)
        return 0;
    memcpy(at, source->path, path);
    if (append) {
        at[path] = ' ';
        memcpy(at + path + 1, source->append, append);
    }
    return address;
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
    uint32_t loader = boot_info_string(&info, "Trapeze");
    uint32_t command = put_command_line(&info, source);
    if (!command)
        return boot_info_full(err);
    for (unsigned i = 0; i < MAP_ENTRIES; i++) /* the size of an entry does not count itself */
        store_le32(map + i * MAP_ENTRY_SIZE, MAP_ENTRY_SIZE - 4);
    store_le32(start + INFO_FLAGS, INFO_HAS_MEMORY | INFO_HAS_COMMAND | INFO_HAS_MODULES |
                                       INFO_HAS_MAP | INFO_HAS_LOADER);
    store_le32(start + INFO_MEM_LOWER, LOWER_KIB);
    store_le32(start + INFO_CMDLINE, command);
    store_le32(start + INFO_MMAP_ADDR, map_at);
    store_le32(start + INFO_LOADER_NAME, loader);
    ret = add_modules(image, &info, source->initrd ? source->initrd : "", start, err);
    image->ebx = at;
    image->map_at = map_at + 4;
    image->map_max = MAP_ENTRIES;
    image->bytes_at = at + INFO_MMAP_LENGTH;
    image->upper_at = at + INFO_MEM_UPPER;
    return ret < 0 ? ret : boot_info_finish(&info, image, err);
}

int boot_multiboot_load(struct boot_image *image, const struct boot_source *source,
                        struct error *err)
{
    uint64_t header_at = (uint64_t)find_header(source);
    uint32_t flags = load_le32(source->kernel + header_at + 4);
    if (flags & MUSTS & ~KNOWN_MUSTS)
        return error_set(err, ENOEXEC,
                         "its multiboot header asks for what is not known (flags %#x)",
                         (unsigned)(flags & MUSTS & ~KNOWN_MUSTS));
    if (flags & WANTS_VIDEO)
        log_warn("kernel %s asks for a video mode by multiboot; it is started in text mode",
                 source->path);
    int ret = flags & HAS_ADDRESSES ? load_by_addresses(image, source, header_at, err)
                                    : load_elf(image, source, err);
    if (ret < 0)
        return ret;
    image->mode = BOOT_PROTECTED;
    image->eax = LOADER_MAGIC;
    return add_info(image, source, err);
}
