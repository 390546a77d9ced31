/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine/firmware.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "config/config.h"

#define FIRMWARE_MAX  MIB(16) /* above it in the map lie the APICs */
#define FIRMWARE_UNIT KIB(64)
#define LOW_MAX       KIB(128)

static const char *const default_dirs[] = {"/usr/share/seabios", "/usr/share/qemu"};

/* The path of name in dir if there is such a file; NULL if not. The caller frees it. */
static char *look_in(const char *dir, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return NULL;
    if (access(path, F_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static char *find(const struct config *config, const char *name)
{
    char *path = NULL;
    for (size_t i = 0; i < config->library_dir_count && !path; i++)
        path = look_in(config->library_dirs[i], name);
    for (size_t i = 0; i < ARRAY_LEN(default_dirs) && !path; i++)
        path = look_in(default_dirs[i], name);
    return path;
}

int firmware_read_rom(const struct config *config, const char *name, uint64_t max, uint8_t **bytes,
                      uint64_t *size, struct error *err)
{
    char *path = find(config, name);
    if (!path)
        return error_set(err, ENOENT,
                         "there is no %s in /usr/share/seabios, /usr/share/qemu or a directory of "
                         "-L: install the package seabios, or name a directory with -L",
                         name);
    int ret = file_read("ROM", path, max, bytes, size, err);
    free(path);
    return ret;
}

/* -bios: a path as it is, else a name in the directories. */
static int read_firmware(const struct config *config, uint8_t **bytes, uint64_t *size,
                         struct error *err)
{
    if (config->bios && (strchr(config->bios, '/') || access(config->bios, F_OK) == 0))
        return file_read("firmware", config->bios, FIRMWARE_MAX, bytes, size, err);
    return firmware_read_rom(config, config->bios ? config->bios : FIRMWARE_DEFAULT, FIRMWARE_MAX,
                             bytes, size, err);
}

static void fill_region(struct mem_region *region, const char *name, struct ram *ram, gpa_t end,
                        uint64_t size)
{
    *region = (struct mem_region){
        .name = name,
        .kind = MEM_ROM,
        .enabled = true,
        .priority = 1,
        .base = end - size,
        .size = size,
        .ram = ram,
        .ram_offset = ram->size - size,
    };
}

int firmware_load(struct firmware *firmware, const struct config *config, struct error *err)
{
    uint8_t *bytes;
    uint64_t size;
    memset(firmware, 0, sizeof(*firmware));
    int ret = read_firmware(config, &bytes, &size, err);
    if (ret < 0)
        return ret;
    if (size % FIRMWARE_UNIT != 0)
        ret = error_set(err, EINVAL, "firmware %s: its size, %" PRIu64 ", is no multiple of 64 KiB",
                        config->bios ? config->bios : FIRMWARE_DEFAULT, size);
    if (ret == 0)
        ret = ram_create(&firmware->ram, "firmware", size, err);
    if (ret == 0) {
        ram_copy_in(firmware->ram, 0, bytes, size);
        fill_region(&firmware->high, "firmware", firmware->ram, GIB(4), size);
        fill_region(&firmware->low, "firmware below 1M", firmware->ram, MIB(1),
                    min_u64(size, LOW_MAX));
    }
    free(bytes);
    return ret;
}

void firmware_unload(struct firmware *firmware)
{
    if (firmware->ram)
        ram_destroy(firmware->ram);
    memset(firmware, 0, sizeof(*firmware));
}
