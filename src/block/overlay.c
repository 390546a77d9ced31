/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The overlay of -snapshot: sectors that were written live in a temporary file at their own offset
 * (a sparse file without a name, so it is gone with us), all others come from the image below. A
 * bitmap says which is which.
 */
#include "block/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "block/block.h"

struct overlay {
    struct block_image image;
    struct block_image *base;
    int fd;
    _Atomic uint8_t *written; /* one bit a sector; pages of it come into being as they are set */
    size_t bitmap_bytes;
};

static bool is_written(const struct overlay *overlay, uint64_t sector)
{
    return atomic_load(&overlay->written[sector / 8]) >> (sector % 8) & 1;
}

static int overlay_read(struct block_image *image, uint64_t offset, void *to, size_t length)
{
    struct overlay *overlay = (struct overlay *)image;
    uint8_t *at = to;
    while (length > 0) {
        uint64_t sector = offset / SECTOR_SIZE;
        bool ours = is_written(overlay, sector);
        size_t run = SECTOR_SIZE;
        while (run < length && is_written(overlay, sector + run / SECTOR_SIZE) == ours)
            run += SECTOR_SIZE;
        int ret = ours ? format_read_at(overlay->fd, offset, at, run)
                       : overlay->base->format->read(overlay->base, offset, at, run);
        if (ret < 0)
            return ret;
        at += run;
        offset += run;
        length -= run;
    }
    return 0;
}

static int overlay_write(struct block_image *image, uint64_t offset, const void *from,
                         size_t length)
{
    struct overlay *overlay = (struct overlay *)image;
    int ret = format_write_at(overlay->fd, offset, from, length);
    if (ret < 0)
        return ret;
    uint64_t end = (offset + length) / SECTOR_SIZE;
    for (uint64_t sector = offset / SECTOR_SIZE; sector < end; sector++)
        atomic_fetch_or(&overlay->written[sector / 8], (uint8_t)(1u << (sector % 8)));
    return 0;
}

/* What will be forgotten need not reach the platter. */
static int overlay_flush(struct block_image *image)
{
    (void)image;
    return 0;
}

static void overlay_close(struct block_image *image)
{
    struct overlay *overlay = (struct overlay *)image;
    munmap((void *)overlay->written, overlay->bitmap_bytes);
    close(overlay->fd);
    overlay->base->format->close(overlay->base);
    free(overlay);
}

static const struct block_format overlay_format = {
    .name = "overlay",
    .read = overlay_read,
    .write = overlay_write,
    .flush = overlay_flush,
    .close = overlay_close,
};

/* An unnamed file in $TMPDIR or /var/tmp: /tmp is memory on many hosts. */
static int open_temporary(struct error *err)
{
    const char *folder = getenv("TMPDIR");
    if (!folder || !*folder)
        folder = "/var/tmp";
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    /* A file system that has no O_TMPFILE: make one with a name and take the name away. */
    char path[4096];
    if ((size_t)snprintf(path, sizeof(path), "%s/trapeze-snapshot-XXXXXX", folder) < sizeof(path)) {
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0) {
            unlink(path);
            return fd;
        }
    } else {
        errno = ENAMETOOLONG;
    }
    return error_set(err, errno,
                     "cannot make the temporary file for -snapshot in '%s': %s; set TMPDIR to a "
                     "folder that can be written",
                     folder, strerror(errno));
}

int overlay_open(struct block_image **image, struct block_image *base, struct error *err)
{
    struct overlay *overlay = calloc(1, sizeof(*overlay));
    if (!overlay)
        return error_set(err, ENOMEM, "cannot make the overlay of -snapshot: out of memory");
    overlay->image.format = &overlay_format;
    overlay->image.sectors = base->sectors;
    overlay->base = base;
    overlay->bitmap_bytes = base->sectors / 8 + 1;
    void *bitmap = mmap(NULL, overlay->bitmap_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bitmap == MAP_FAILED) {
        free(overlay);
        return error_set(err, ENOMEM,
                         "cannot make the overlay of -snapshot: the image is too large for it");
    }
    overlay->written = bitmap;
    overlay->fd = open_temporary(err);
    if (overlay->fd < 0) {
        int ret = overlay->fd;
        munmap(bitmap, overlay->bitmap_bytes);
        free(overlay);
        return ret;
    }
    *image = &overlay->image;
    return 0;
}
