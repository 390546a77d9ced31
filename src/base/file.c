/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

static int check(const char *what, const char *path, const struct stat *st, uint64_t max,
                 struct error *err)
{
    if (S_ISDIR(st->st_mode))
        return error_set(err, EISDIR, "%s %s is a directory", what, path);
    if (!S_ISREG(st->st_mode))
        return error_set(err, EINVAL, "%s %s is not a regular file", what, path);
    if (st->st_size == 0)
        return error_set(err, EINVAL, "%s %s is empty", what, path);
    if ((uint64_t)st->st_size > max)
        return error_set(err, EFBIG, "%s %s is too large: %" PRIu64 " bytes of at most %" PRIu64,
                         what, path, (uint64_t)st->st_size, max);
    return 0;
}

static int read_open(int fd, const char *what, const char *path, uint64_t max, uint8_t **bytes,
                     uint64_t *size, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_set(err, errno, "cannot look at %s %s: %s", what, path, strerror(errno));
    int ret = check(what, path, &st, max, err);
    if (ret < 0)
        return ret;
    uint64_t want = (uint64_t)st.st_size, have = 0;
    uint8_t *buffer = malloc(want + 1);
    if (!buffer)
        return error_set(err, ENOMEM, "no memory for %s %s of %" PRIu64 " bytes", what, path, want);
    while (have < want) {
        ssize_t got = read(fd, buffer + have, want - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            int why = got < 0 ? errno : EIO;
            free(buffer);
            return error_set(err, why, "cannot read %s %s: %s", what, path,
                             got < 0 ? strerror(why) : "it became shorter meanwhile");
        }
        have += (uint64_t)got;
    }
    buffer[want] = 0;
    *bytes = buffer;
    *size = want;
    return 0;
}

int file_read(const char *what, const char *path, uint64_t max, uint8_t **bytes, uint64_t *size,
              struct error *err)
{
    /* O_NONBLOCK: a FIFO without a writer must not hold us; regular files ignore it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_set(err, errno, "cannot open %s %s: %s", what, path, strerror(errno));
    int ret = read_open(fd, what, path, max, bytes, size, err);
    close(fd);
    return ret;
}

enum { NAME_TRIES = 100 };

/* A new file beside file->path. */
static int open_beside(struct new_file *file)
{
    for (int i = 0; i < NAME_TRIES; i++) {
        if (asprintf(&file->temporary, "%s.%d-%d.tmp", file->path, (int)getpid(), i) < 0) {
            file->temporary = NULL;
            return -ENOMEM;
        }
        file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file->fd >= 0)
            return 0;
        int why = errno;
        free(file->temporary);
        file->temporary = NULL;
        if (why != EEXIST)
            return -why;
    }
    return -EEXIST;
}

int new_file_open(struct new_file *file, const char *what, const char *path, struct error *err)
{
    *file = (struct new_file){.fd = -1, .what = what};
    struct stat old;
    bool exists = stat(path, &old) == 0;
    /* Taking the name of a device, a FIFO or a directory would do away with it. */
    if (exists && !S_ISREG(old.st_mode))
        return error_set(err, S_ISDIR(old.st_mode) ? EISDIR : EINVAL,
                         "cannot write %s %s: it is there and not a regular file; name another",
                         what, path);
    file->path = exists ? realpath(path, NULL) : strdup(path);
    int ret = file->path ? open_beside(file) : -errno;
    if (ret < 0) {
        free(file->path);
        return error_set(err, -ret, "cannot create %s %s: %s", what, path, strerror(-ret));
    }
    if (exists) /* where who may read it cannot be kept, the umask decides */
        (void)!fchmod(file->fd, old.st_mode & 0777);
    return 0;
}

int new_file_write(struct new_file *file, const void *bytes, uint64_t length)
{
    const uint8_t *at = bytes;
    while (length) {
        ssize_t wrote = write(file->fd, at, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -errno;
        at += wrote;
        length -= (uint64_t)wrote;
    }
    return 0;
}

int new_file_close(struct new_file *file, int result, struct error *err)
{
    int ret = result < 0 ? result : 0;
    if (close(file->fd) < 0 && ret == 0)
        ret = -errno;
    if (ret == 0 && rename(file->temporary, file->path) < 0)
        ret = -errno;
    if (ret < 0) {
        unlink(file->temporary);
        error_set(err, -ret, "cannot write %s %s: %s", file->what, file->path, strerror(-ret));
    }
    free(file->path);
    free(file->temporary);
    return ret;
}
