/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Raw images: a regular file or a block device, byte for byte the disk.
 *
 * The file is never mapped, so a file that is cut under us is an error of one request and not a
 * SIGBUS. Nothing is cached here: a write that completed is the kernel's, and survives our death;
 * a flush is fdatasync(2).
 */
#include "block/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "block/block.h"

struct raw {
    struct block_image image;
    int fd;
    bool regular;
    /* Bytes that must be there. Not a multiple of a sector until the last sector is written. */
    _Atomic uint64_t length;
};

int format_read_at(int fd, uint64_t offset, void *to, size_t length)
{
    uint8_t *at = to;
    while (length > 0) {
        ssize_t n = pread(fd, at, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO;
        at += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

int format_write_at(int fd, uint64_t offset, const void *from, size_t length)
{
    const uint8_t *at = from;
    while (length > 0) {
        ssize_t n = pwrite(fd, at, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO;
        at += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

static int raw_read(struct block_image *image, uint64_t offset, void *to, size_t length)
{
    struct raw *raw = (struct raw *)image;
    uint64_t there = atomic_load(&raw->length);
    uint64_t inside = offset < there ? min_u64(length, there - offset) : 0;
    memset((uint8_t *)to + inside, 0, length - inside);
    return format_read_at(raw->fd, offset, to, inside);
}

/* A write into a file that was cut would fill the gap with zeros, which the guest would then read
 * as its data: refuse it instead. */
static bool raw_was_cut(struct raw *raw)
{
    struct stat st;
    if (!raw->regular)
        return false;
    return fstat(raw->fd, &st) < 0 || (uint64_t)st.st_size < atomic_load(&raw->length);
}

static int raw_write(struct block_image *image, uint64_t offset, const void *from, size_t length)
{
    struct raw *raw = (struct raw *)image;
    if (raw_was_cut(raw))
        return -EIO;
    int ret = format_write_at(raw->fd, offset, from, length);
    /* The write of a half last sector makes it whole. */
    if (ret == 0 && offset + length > atomic_load(&raw->length))
        atomic_store(&raw->length, raw->image.sectors * SECTOR_SIZE);
    return ret;
}

static int raw_flush(struct block_image *image)
{
    struct raw *raw = (struct raw *)image;
    return fdatasync(raw->fd) < 0 ? -errno : 0;
}

static void raw_close(struct block_image *image)
{
    struct raw *raw = (struct raw *)image;
    close(raw->fd);
    free(raw);
}

static const struct block_format raw_format = {
    .name = "raw",
    .read = raw_read,
    .write = raw_write,
    .flush = raw_flush,
    .close = raw_close,
};

/* Bytes on which QEMU's processes hold their locks on an image, so that it and we keep out of each
 * other's way: one that reads holds a read lock on LOCK_READER and LOCK_NO_WRITERS, one that writes
 * holds one on LOCK_WRITER too. Our writers hold a write lock on all of them. */
enum { LOCK_READER = 100, LOCK_WRITER = 101, LOCK_NO_WRITERS = 201, LOCK_LAST = 299 };

/* True if somebody else is in the way. A file system without locks is nobody in the way. */
static bool lock_refused(int fd, int command, short type, off_t first, off_t last)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = first, .l_len = last - first + 1};
    if (fcntl(fd, command, &lock) < 0)
        return errno == EAGAIN || errno == EACCES;
    return command == F_OFD_GETLK && lock.l_type != F_UNLCK;
}

static int raw_lock(int fd, const char *path, bool read_only, struct error *err)
{
    bool refused;
    if (read_only)
        refused = lock_refused(fd, F_OFD_SETLK, F_RDLCK, LOCK_READER, LOCK_READER) ||
                  lock_refused(fd, F_OFD_SETLK, F_RDLCK, LOCK_NO_WRITERS, LOCK_NO_WRITERS) ||
                  lock_refused(fd, F_OFD_GETLK, F_WRLCK, LOCK_WRITER, LOCK_WRITER);
    else
        refused = lock_refused(fd, F_OFD_SETLK, F_WRLCK, LOCK_READER, LOCK_LAST);
    if (!refused)
        return 0;
    return error_set(err, EBUSY,
                     "cannot open the image '%s': it is in use: another process (or another drive "
                     "of this one) %s; "
                     "end that, or open it in both with readonly=on or -snapshot",
                     path, read_only ? "writes to it" : "has it open");
}

static int open_file(const char *path, bool read_only, struct error *err)
{
    /* O_NONBLOCK: a FIFO must not keep us. It means nothing for files and block devices. */
    int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = open(path, flags | (read_only ? O_RDONLY : O_RDWR));
    if (fd >= 0)
        return fd;
    int error = errno;
    if (error == EISDIR)
        return error_set(err, EISDIR, "cannot open the image '%s': it is a directory, not a file",
                         path);
    if (!read_only && (error == EACCES || error == EROFS || error == EPERM)) {
        fd = open(path, flags | O_RDONLY);
        if (fd >= 0) {
            close(fd);
            return error_set(err, error,
                             "cannot open the image '%s' for writing: %s; it can be read: use "
                             "-drive file=...,readonly=on, or -snapshot to throw writes away",
                             path, strerror(error));
        }
    }
    return error_set(err, error, "cannot open the image '%s': %s", path, strerror(error));
}

/* The length in bytes of what is open, if it is of a kind that can be a disk. */
static int file_length(int fd, const char *path, struct stat *st, uint64_t *length,
                       struct error *err)
{
    if (fstat(fd, st) < 0)
        return error_set(err, errno, "cannot look at the image '%s': %s", path, strerror(errno));
    if (S_ISDIR(st->st_mode))
        return error_set(err, EISDIR, "cannot open the image '%s': it is a directory, not a file",
                         path);
    if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
        return error_set(err, EINVAL,
                         "cannot open the image '%s': it is neither a file nor a block device",
                         path);
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0)
        return error_set(err, errno, "cannot find the length of the image '%s': %s", path,
                         strerror(errno));
    *length = (uint64_t)end;
    return 0;
}

int raw_open(struct block_image **image, const char *path, bool read_only, struct error *err)
{
    int fd = open_file(path, read_only, err);
    if (fd < 0)
        return fd;
    struct stat st;
    uint64_t length = 0;
    int ret = file_length(fd, path, &st, &length, err);
    if (ret == 0)
        ret = raw_lock(fd, path, read_only, err);
    struct raw *raw = ret == 0 ? calloc(1, sizeof(*raw)) : NULL;
    if (ret == 0 && !raw)
        ret = error_set(err, ENOMEM, "cannot open the image '%s': out of memory", path);
    if (ret < 0) {
        close(fd);
        return ret;
    }
    raw->image.format = &raw_format;
    raw->image.sectors = length / SECTOR_SIZE + (length % SECTOR_SIZE != 0);
    raw->fd = fd;
    raw->regular = S_ISREG(st.st_mode);
    atomic_init(&raw->length, length);
    *image = &raw->image;
    return 0;
}
