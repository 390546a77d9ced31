/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
