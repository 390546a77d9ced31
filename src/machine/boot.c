/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine/boot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "config/config.h"
#include "machine/boot_file.h"

#define KERNEL_MAX   GIB(1)
#define ZEROS_MAX    MIB(128)
#define ROM_UNIT     512u
#define ROM_NAME     "genroms/trapeze-kernel.rom"
#define BOOT_ORDER   "/rom@" ROM_NAME
#define PNP_SIZE     32
#define PNP_CHECKSUM 9

/* rom/kernel_boot.S */
extern const uint8_t boot_rom_start[], boot_rom_end[], boot_rom_pnp[];

/* Segments */

static bool in_bounds(const struct boot_image *image, uint64_t address, uint64_t length)
{
    if (address >= BOOT_LOW_START && address < BOOT_LOW_END)
        return length <= BOOT_LOW_END - address;
    return address >= BOOT_HIGH && address < image->memory_end &&
           length <= image->memory_end - address;
}

static int add_piece(struct boot_image *image, const char *what, uint64_t address,
                     const uint8_t *data, uint64_t length, struct error *err)
{
    if (!in_bounds(image, address, length))
        return error_set(err, EINVAL,
                         "%s: %" PRIu64 " bytes at %#" PRIx64
                         " do not fit in guest memory, usable from 1 MiB to %#" PRIx64
                         "; a larger -m may help",
                         what, length, address, image->memory_end);
    if (image->segment_count == BOOT_SEGMENTS_MAX)
        return error_set(err, EINVAL, "%s: more than %d pieces to load", what, BOOT_SEGMENTS_MAX);
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct boot_segment *other = &image->segments[i];
        if (address < (uint64_t)other->address + other->length && other->address < address + length)
            return error_set(err, EINVAL,
                             "%s: %" PRIu64 " bytes at %#" PRIx64
                             " overlap what is loaded at %#" PRIx32,
                             what, length, address, other->address);
    }
    image->segments[image->segment_count++] =
        (struct boot_segment){(uint32_t)address, (uint32_t)length, data};
    return 0;
}

int boot_add(struct boot_image *image, const char *what, uint64_t address, const uint8_t *data,
             uint64_t length, struct error *err)
{
    /* One fw_cfg descriptor gives so many zeros at most. */
    for (; !data && length > ZEROS_MAX && in_bounds(image, address, length); length -= ZEROS_MAX) {
        int ret = add_piece(image, what, address, NULL, ZEROS_MAX, err);
        if (ret < 0)
            return ret;
        address += ZEROS_MAX;
    }
    return length ? add_piece(image, what, address, data, length, err) : 0;
}

uint64_t boot_high_end(const struct boot_image *image)
{
    uint64_t end = BOOT_HIGH;
    for (size_t i = 0; i < image->segment_count; i++)
        end = max_u64(end, (uint64_t)image->segments[i].address + image->segments[i].length);
    return end;
}

static int own(struct boot_image *image, void *block, struct error *err)
{
    if (image->owned_count == BOOT_OWNED_MAX) {
        free(block);
        return error_set(err, EINVAL, "too many modules");
    }
    image->owned[image->owned_count++] = block;
    return 0;
}

void *boot_alloc(struct boot_image *image, size_t size, struct error *err)
{
    void *block = calloc(1, size);
    if (!block) {
        error_set(err, ENOMEM, "no memory to load the kernel");
        return NULL;
    }
    return own(image, block, err) < 0 ? NULL : block;
}

int boot_read(struct boot_image *image, const char *what, const char *path, const uint8_t **bytes,
              uint64_t *size, struct error *err)
{
    uint8_t *block;
    int ret = file_read(what, path, image->memory_end, &block, size, err);
    if (ret == -EFBIG)
        error_prefix(err, "larger than guest memory, raise -m");
    if (ret < 0)
        return ret;
    *bytes = block;
    return own(image, block, err);
}

int boot_add_initrd(struct boot_image *image, const char *path, uint64_t floor, uint64_t end,
                    uint32_t *address, uint32_t *size, struct error *err)
{
    const uint8_t *bytes;
    uint64_t length;
    int ret = boot_read(image, "initrd", path, &bytes, &length, err);
    if (ret < 0)
        return ret;
    end = min_u64(end, image->memory_end);
    uint64_t at = length <= end ? round_down(end - length, 4096) : 0;
    if (at < floor)
        return error_set(err, EFBIG,
                         "initrd %s of %" PRIu64 " KiB does not fit in guest memory: the kernel "
                         "leaves %" PRIu64 " KiB, from %#" PRIx64 " to %#" PRIx64 "; raise -m",
                         path, (length + 1023) >> 10, end > floor ? (end - floor) >> 10 : 0, floor,
                         end);
    *address = (uint32_t)at;
    *size = (uint32_t)length;
    return boot_add(image, "initrd", at, bytes, length, err);
}

/* What multiboot and PVH kernels are told */

int boot_info_start(struct boot_info *info, struct boot_image *image, struct error *err)
{
    info->used = 0;
    info->bytes = boot_alloc(image, BOOT_INFO_SIZE, err);
    return info->bytes ? 0 : -ENOMEM;
}

uint32_t boot_info_take(struct boot_info *info, size_t size, uint8_t **at)
{
    if (size > BOOT_INFO_SIZE - info->used)
        return 0;
    uint32_t offset = info->used;
    info->used = (uint32_t)min_u64(round_up(offset + size, 8), BOOT_INFO_SIZE);
    *at = info->bytes + offset;
    return BOOT_INFO + offset;
}

uint32_t boot_info_string(struct boot_info *info, const char *text)
{
    uint8_t *at;
    size_t size = strlen(text) + 1;
    uint32_t address = boot_info_take(info, size, &at);
    if (address)
        memcpy(at, text, size);
    return address;
}

int boot_info_full(struct error *err)
{
    return error_set(err, E2BIG,
                     "-append and the module names are too long together: there are %u KiB",
                     BOOT_INFO_SIZE >> 10);
}

int boot_info_finish(struct boot_info *info, struct boot_image *image, struct error *err)
{
    return boot_add(image, "boot information", BOOT_INFO, info->bytes, info->used, err);
}

/* The files */

static int load(struct boot_image *image, const struct boot_source *source, struct error *err)
{
    if (boot_linux_probe(source))
        return boot_linux_load(image, source, err);
    if (boot_multiboot_probe(source))
        return boot_multiboot_load(image, source, err);
    if (boot_elf_probe(source))
        return boot_pvh_load(image, source, err);
    return error_set(err, ENOEXEC,
                     "it is no kernel known here: neither a Linux bzImage of boot protocol 2.00 or "
                     "later, nor multiboot 1, nor an ELF file for PVH; or it is cut off");
}

static void put_header(uint8_t *to, const struct boot_image *image)
{
    const uint32_t words[] = {
        BOOT_MAGIC,      image->mode,     image->entry,   image->eax,
        image->ebx,      image->map_at,   image->map_max, image->count_at,
        image->bytes_at, image->upper_at, image->rsdp_at, (uint32_t)image->segment_count,
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        store_le32(to + i * 4, words[i]);
}

static int write_plan(struct boot_file *file, const struct boot_image *image, struct error *err)
{
    uint64_t table = BOOT_HEADER_SIZE, length = table + image->segment_count * 8;
    uint64_t data = length;
    for (size_t i = 0; i < image->segment_count; i++)
        length += image->segments[i].data ? image->segments[i].length : 0;
    if (length > UINT32_MAX)
        return error_set(err, EFBIG, "kernel and initrd are %" PRIu64 " bytes, 4 GiB is the most",
                         length);
    uint8_t *bytes = calloc(1, length);
    if (!bytes)
        return error_set(err, ENOMEM, "no memory for kernel and initrd of %" PRIu64 " bytes",
                         length);
    put_header(bytes, image);
    for (int zeros = 0; zeros < 2; zeros++) { /* those without bytes come last */
        for (size_t i = 0; i < image->segment_count; i++) {
            const struct boot_segment *segment = &image->segments[i];
            if ((segment->data == NULL) != zeros)
                continue;
            store_le32(bytes + table, segment->address);
            store_le32(bytes + table + 4, segment->length);
            table += 8;
            if (segment->data) {
                memcpy(bytes + data, segment->data, segment->length);
                data += segment->length;
            }
        }
    }
    *file = (struct boot_file){"etc/trapeze/boot", bytes, (uint32_t)length};
    return 0;
}

static uint8_t checksum(const uint8_t *bytes, size_t length)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return (uint8_t)-sum;
}

/* The ROM with its length in byte 2 and the checksums that make its bytes, and those of its Plug
 * and Play header, add up to 0. */
static int write_rom(struct boot_file *file, struct error *err)
{
    size_t code = (size_t)(boot_rom_end - boot_rom_start);
    size_t pnp = (size_t)(boot_rom_pnp - boot_rom_start);
    size_t length = round_up(code + 1, ROM_UNIT);
    uint8_t *bytes = calloc(1, length);
    if (!bytes)
        return error_set(err, ENOMEM, "no memory for the option ROM");
    memcpy(bytes, boot_rom_start, code);
    bytes[2] = (uint8_t)(length / ROM_UNIT);
    bytes[pnp + PNP_CHECKSUM] = checksum(bytes + pnp, PNP_SIZE);
    bytes[length - 1] = checksum(bytes, length);
    *file = (struct boot_file){ROM_NAME, bytes, (uint32_t)length};
    return 0;
}

static int write_order(struct boot_file *file, struct error *err)
{
    char *order = strdup(BOOT_ORDER);
    if (!order)
        return error_set(err, ENOMEM, "no memory for the boot order");
    *file = (struct boot_file){"bootorder", (uint8_t *)order, sizeof(BOOT_ORDER)};
    return 0;
}

static int write_files(struct boot_files *files, const struct boot_image *image, struct error *err)
{
    int ret = write_rom(&files->file[0], err);
    if (ret == 0)
        ret = write_order(&files->file[1], err);
    if (ret == 0)
        ret = write_plan(&files->file[2], image, err);
    if (ret < 0)
        boot_files_free(files);
    return ret;
}

int boot_prepare(struct boot_files *files, const struct config *config, uint64_t low_memory,
                 struct error *err)
{
    uint8_t *kernel;
    struct boot_source source = {
        .path = config->kernel,
        .initrd = config->initrd,
        .append = config->append ? config->append : "",
    };
    memset(files, 0, sizeof(*files));
    int ret = file_read("kernel", config->kernel, KERNEL_MAX, &kernel, &source.size, err);
    if (ret < 0)
        return ret;
    struct boot_image *image = calloc(1, sizeof(*image));
    if (!image) {
        free(kernel);
        return error_set(err, ENOMEM, "no memory to load the kernel");
    }
    source.kernel = kernel;
    low_memory = min_u64(low_memory, GIB(4) - 4096);
    image->memory_end = low_memory > BOOT_FIRMWARE_RESERVE ? low_memory - BOOT_FIRMWARE_RESERVE : 0;
    ret = load(image, &source, err);
    if (ret < 0)
        error_prefix(err, "kernel %s", config->kernel);
    else
        ret = write_files(files, image, err);
    for (size_t i = 0; i < image->owned_count; i++)
        free(image->owned[i]);
    free(image);
    free(kernel);
    return ret;
}

void boot_files_free(struct boot_files *files)
{
    for (size_t i = 0; i < BOOT_FILES; i++)
        free(files->file[i].data);
    memset(files, 0, sizeof(*files));
}
