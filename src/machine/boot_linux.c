/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Linux's bzImage (and zImage) by its 16-bit entry, which asks the firmware for the memory map, the
 * screen and so on by itself. Linux, Documentation/arch/x86/boot.rst ("the boot protocol"), whose
 * names for the header's fields these are.
 *
 * In memory: set-up code at 0x10000 with its heap and stack up to 0x1e000, command line at 0x20000,
 * kernel at 1 MiB, initrd as high as the kernel allows. Before protocol 2.02 and for zImage: set-up
 * at 0x90000 and the command line above it, zImage's kernel at 0x10000.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "machine/boot_file.h"

/* Offsets of the fields, which are in the set-up code's first two sectors. */
enum {
    CMD_LINE_MAGIC = 0x20,
    CMD_LINE_OFFSET = 0x22,
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4,
    VID_MODE = 0x1fa,
    BOOT_FLAG = 0x1fe,
    HEADER = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    HEAP_END_PTR = 0x224,
    CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c,
    CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
    HEADER_END = 0x264,
};

#define LOADED_HIGH  0x01
#define CAN_USE_HEAP 0x80
#define LOADER_OTHER 0xff /* "undefined": no number was given to us */
#define CMD_LINE_OLD 0xa33f
#define SECTOR       512u
#define SETUP_MAX    64 /* sectors: the real-mode part is 32 KiB at most */
#define ZIMAGE_MAX   0x80000u

/* Where the parts go. */
struct linux_layout {
    uint16_t version;
    bool high;
    uint32_t setup_size;
    uint32_t setup_at;
    uint32_t heap_end; /* offset in the set-up's segment */
    uint32_t command_at, command_max;
    uint32_t kernel_at, kernel_size;
};

bool boot_linux_probe(const struct boot_source *source)
{
    return source->size >= HEADER_END && load_le16(source->kernel + BOOT_FLAG) == 0xaa55 &&
           memcmp(source->kernel + HEADER, "HdrS", 4) == 0;
}

static int check_sizes(struct linux_layout *layout, const struct boot_source *source,
                       struct error *err)
{
    const uint8_t *header = source->kernel;
    unsigned sectors = header[SETUP_SECTS] ? header[SETUP_SECTS] : 4;
    layout->version = load_le16(header + VERSION);
    if (layout->version < 0x200)
        return error_set(err, ENOEXEC, "boot protocol %u.%02u is not supported, from 2.00 on is",
                         layout->version >> 8, layout->version & 0xff);
    if (sectors > SETUP_MAX)
        return error_set(err, ENOEXEC, "%u sectors of set-up code; %d is the most", sectors,
                         SETUP_MAX);
    layout->setup_size = (sectors + 1) * SECTOR;
    if (source->size <= layout->setup_size)
        return error_set(err, ENOEXEC,
                         "cut off: %" PRIu64 " bytes do not go past its set-up code of %" PRIu32,
                         source->size, layout->setup_size);
    uint64_t rest = source->size - layout->setup_size;
    /* syssize has 32 bits since 2.04; a signature may follow what it counts. */
    uint64_t counted = (uint64_t)load_le32(header + SYSSIZE) * 16;
    if (layout->version >= 0x204) {
        /* The last 16 bytes need not be whole. */
        if (counted > round_up(rest, 16))
            return error_set(err, ENOEXEC,
                             "cut off: its header says %" PRIu64 " bytes, there are %" PRIu64,
                             counted + layout->setup_size, source->size);
        if (counted > 0)
            rest = min_u64(rest, counted);
    }
    layout->kernel_size = (uint32_t)rest;
    return 0;
}

static int lay_out(struct linux_layout *layout, const struct boot_source *source, struct error *err)
{
    int ret = check_sizes(layout, source, err);
    if (ret < 0)
        return ret;
    layout->high = source->kernel[LOADFLAGS] & LOADED_HIGH;
    if (layout->high && layout->version >= 0x202) {
        layout->setup_at = 0x10000;
        layout->heap_end = 0xe000;
        layout->command_at = 0x20000;
        layout->command_max = 0xffff;
    } else {
        layout->setup_at = 0x90000;
        layout->heap_end = 0x9000;
        layout->command_at = 0x99000;
        layout->command_max = 0xfff;
    }
    /* What the kernel says it takes, without the final zero; before 2.06 that was 255. */
    uint32_t limit = layout->version >= 0x206 ? load_le32(source->kernel + CMDLINE_SIZE) : 255;
    if (limit)
        layout->command_max = (uint32_t)min_u64(layout->command_max, limit);
    layout->kernel_at = layout->high ? BOOT_HIGH : 0x10000;
    if (!layout->high && layout->kernel_size > ZIMAGE_MAX)
        return error_set(err, ENOEXEC, "a zImage of %" PRIu32 " bytes; 512 KiB is the most",
                         layout->kernel_size);
    return 0;
}

/* The kernel's end in memory, unpacked: nothing else may lie below. */
static int find_floor(const struct boot_image *image, const struct linux_layout *layout,
                      const struct boot_source *source, uint64_t *floor, struct error *err)
{
    *floor = BOOT_HIGH + (layout->high ? layout->kernel_size : 0);
    if (layout->version < 0x20a)
        return 0;
    uint64_t wanted = load_le64(source->kernel + PREF_ADDRESS);
    uint64_t room = load_le32(source->kernel + INIT_SIZE);
    if (wanted > image->memory_end || room > image->memory_end - wanted)
        return error_set(err, ENOMEM,
                         "it unpacks itself to %" PRIu64 " KiB at %#" PRIx64
                         ", past guest memory's end at %#" PRIx64 "; raise -m",
                         room >> 10, wanted, image->memory_end);
    *floor = max_u64(*floor, wanted + room);
    return 0;
}

/* "vga=" is for the loader: a number, or normal, ext, ask. The command line keeps it. */
static uint16_t video_mode(const char *command)
{
    const char *at = command;
    while ((at = strstr(at, "vga=")) && at != command && at[-1] != ' ')
        at += 4;
    if (!at)
        return 0xffff;
    at += 4;
    if (strncmp(at, "ext", 3) == 0)
        return 0xfffe;
    if (strncmp(at, "ask", 3) == 0)
        return 0xfffd;
    char *end;
    unsigned long number = strtoul(at, &end, 0);
    return end != at && number <= 0xffff ? (uint16_t)number : 0xffff;
}

static void fill_header(uint8_t *setup, const struct linux_layout *layout, const char *command)
{
    setup[TYPE_OF_LOADER] = LOADER_OTHER;
    if (layout->version >= 0x201) {
        setup[LOADFLAGS] |= CAN_USE_HEAP;
        store_le16(setup + HEAP_END_PTR, (uint16_t)(layout->heap_end - 0x200));
    }
    if (layout->version >= 0x202) {
        store_le32(setup + CMD_LINE_PTR, layout->command_at);
    } else {
        store_le16(setup + CMD_LINE_MAGIC, CMD_LINE_OLD);
        store_le16(setup + CMD_LINE_OFFSET, (uint16_t)(layout->command_at - layout->setup_at));
    }
    if (strstr(command, "vga="))
        store_le16(setup + VID_MODE, video_mode(command));
}

static int add_initrd(struct boot_image *image, const struct linux_layout *layout,
                      const struct boot_source *source, uint8_t *setup, struct error *err)
{
    uint64_t floor, last = 0x37ffffff;
    int ret = find_floor(image, layout, source, &floor, err);
    if (ret < 0 || !source->initrd)
        return ret;
    if (layout->version >= 0x203)
        last = load_le32(source->kernel + INITRD_ADDR_MAX);
    uint32_t address, size;
    ret = boot_add_initrd(image, source->initrd, floor, last + 1, &address, &size, err);
    if (ret < 0)
        return ret;
    store_le32(setup + RAMDISK_IMAGE, address);
    store_le32(setup + RAMDISK_SIZE, size);
    return 0;
}

static int add_command_line(struct boot_image *image, const struct linux_layout *layout,
                            const char *command, struct error *err)
{
    size_t length = strlen(command);
    if (length > layout->command_max)
        return error_set(err, E2BIG, "-append has %zu bytes; this kernel takes %" PRIu32, length,
                         layout->command_max);
    uint8_t *copy = boot_alloc(image, length + 1, err);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, command, length);
    return boot_add(image, "command line", layout->command_at, copy, length + 1, err);
}

int boot_linux_load(struct boot_image *image, const struct boot_source *source, struct error *err)
{
    struct linux_layout layout = {0};
    int ret = lay_out(&layout, source, err);
    if (ret < 0)
        return ret;
    uint8_t *setup = boot_alloc(image, layout.setup_size, err);
    if (!setup)
        return -ENOMEM;
    memcpy(setup, source->kernel, layout.setup_size);
    fill_header(setup, &layout, source->append);
    ret = boot_add(image, "kernel", layout.kernel_at, source->kernel + layout.setup_size,
                   layout.kernel_size, err);
    if (ret == 0)
        ret = add_initrd(image, &layout, source, setup, err);
    if (ret == 0)
        ret = boot_add(image, "set-up code", layout.setup_at, setup, layout.setup_size, err);
    if (ret == 0)
        ret = add_command_line(image, &layout, source->append, err);
    image->mode = BOOT_REAL;
    image->ebx = layout.setup_at >> 4;
    image->entry = image->ebx + 0x20;
    image->eax = layout.heap_end;
    return ret;
}
