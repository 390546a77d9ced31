/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What an image format is to block.c: blocking reads and writes of bytes, called from several
 * worker threads at once. Private to block/.
 */
#ifndef BLOCK_FORMAT_H
#define BLOCK_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block_image;
struct error;

/* offset and length are multiples of SECTOR_SIZE, within the image. 0 or a negative errno. Any
 * thread; requests that overlap have no order. */
struct block_format {
    const char *name;
    int (*read)(struct block_image *image, uint64_t offset, void *to, size_t length);
    int (*write)(struct block_image *image, uint64_t offset, const void *from, size_t length);
    int (*flush)(struct block_image *image);
    void (*close)(struct block_image *image); /* frees it; nothing is in flight */
};

/* An open image; each format's struct begins with one. */
struct block_image {
    const struct block_format *format;
    uint64_t sectors;
};

/* A plain file or a block device. On success the lock is taken. */
int raw_open(struct block_image **image, const char *path, bool read_only, struct error *err);

/* Copy-on-write over `base` (which it owns from then on) in an unlinked temporary file. On failure
 * base is still the caller's. */
int overlay_open(struct block_image **image, struct block_image *base, struct error *err);

/* pread and pwrite until all is done. A file that ends early: -EIO. */
int format_read_at(int fd, uint64_t offset, void *to, size_t length);
int format_write_at(int fd, uint64_t offset, const void *from, size_t length);

/* The name of the format the first sector looks like; "raw" if none. */
const char *format_probe(const uint8_t *sector);

#endif
