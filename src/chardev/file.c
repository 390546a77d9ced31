/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * file: output into a file. pipe: a pair of FIFOs, path.in and path.out, or one thing for both.
 * null: nothing either way.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "chardev/internal.h"

/* file and pipe */
struct file {
    struct chardev chardev;
    struct stream stream;
    int fds[2]; /* value + 1; 0: none */
};

static int keep(struct file *file, int which, int fd)
{
    file->fds[which] = fd + 1;
    return fd;
}

static void file_close(struct chardev *chardev)
{
    struct file *file = (struct file *)chardev;
    stream_stop(&file->stream);
    for (int i = 0; i < 2; i++)
        if (file->fds[i])
            close(file->fds[i] - 1);
}

static void file_write(struct chardev *chardev, const uint8_t *bytes, size_t length)
{
    stream_write(&((struct file *)chardev)->stream, bytes, length);
}

static void file_resume(struct chardev *chardev)
{
    stream_resume(&((struct file *)chardev)->stream);
}

/* Not blocking for the sake of FIFOs and terminals, where a queue takes over. */
static int file_open(struct chardev *chardev, const struct spec *spec, struct error *err)
{
    struct file *file = (struct file *)chardev;
    const char *path = spec_need(spec, "path", err);
    if (!path)
        return -EINVAL;
    int how = spec_switch(spec, "append", false) ? O_APPEND : O_TRUNC;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | how, 0666);
    if (fd < 0 && errno == ENXIO)
        return error_set(err, ENXIO,
                         "cannot write to '%s': it is a FIFO and nobody reads it; "
                         "start the reader first",
                         path);
    if (fd < 0)
        return error_set(err, errno, "cannot write to '%s': %s", path, strerror(errno));
    chardev->open = true;
    return stream_start(&file->stream, chardev, -1, keep(file, 0, fd), NULL, err);
}

static const struct spec_key file_keys[] = {{"path", false}, {"append", true}, {NULL, false}};

const struct chardev_ops chardev_file = {
    .name = "file",
    .size = sizeof(struct file),
    .keys = file_keys,
    .open = file_open,
    .close = file_close,
    .write = file_write,
};

static int open_end(const char *path, const char *suffix)
{
    char *name;
    if (asprintf(&name, "%s%s", path, suffix) < 0)
        return -1;
    int fd = open(name, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int saved = errno;
    free(name);
    errno = saved;
    return fd;
}

/* Both ends are opened for reading and writing: so neither open waits for the peer, and its coming
 * and going is no end of file. */
static int pipe_open(struct chardev *chardev, const struct spec *spec, struct error *err)
{
    struct file *file = (struct file *)chardev;
    const char *path = spec_need(spec, "path", err);
    if (!path)
        return -EINVAL;
    int in = keep(file, 0, open_end(path, ".in"));
    int out = keep(file, 1, open_end(path, ".out"));
    if (in < 0 && out < 0) {
        in = out = keep(file, 0, open_end(path, ""));
        if (in < 0)
            return error_set(err, errno,
                             "cannot open '%s': %s; make FIFOs first: mkfifo %s.in %s.out", path,
                             strerror(errno), path, path);
    } else if (in < 0 || out < 0) {
        return error_set(err, ENOENT, "of '%s.in' and '%s.out' only one can be opened", path, path);
    }
    chardev->open = true;
    return stream_start(&file->stream, chardev, in, out, NULL, err);
}

static const struct spec_key pipe_keys[] = {{"path", false}, {NULL, false}};

const struct chardev_ops chardev_pipe = {
    .name = "pipe",
    .size = sizeof(struct file),
    .keys = pipe_keys,
    .open = pipe_open,
    .close = file_close,
    .write = file_write,
    .resume = file_resume,
};

static int null_open(struct chardev *chardev, const struct spec *spec, struct error *err)
{
    (void)spec;
    (void)err;
    chardev->open = true;
    return 0;
}

static void null_close(struct chardev *chardev)
{
    (void)chardev;
}

static void null_write(struct chardev *chardev, const uint8_t *bytes, size_t length)
{
    (void)chardev;
    (void)bytes;
    (void)length;
}

static const struct spec_key null_keys[] = {{NULL, false}};

const struct chardev_ops chardev_null = {
    .name = "null",
    .size = sizeof(struct chardev),
    .keys = null_keys,
    .open = null_open,
    .close = null_close,
    .write = null_write,
};
