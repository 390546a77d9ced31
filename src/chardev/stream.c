/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Descriptors and the loop: reads while the front end has room, writes at once what goes and queues
 * the rest.
 *
 * A regular file (or /dev/null) cannot be polled. As input it is taken for always ready; as output
 * it takes everything at once, or fails and may work again later, as when a disk was full.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "chardev/internal.h"
#include "event/loop.h"

enum { QUEUE_FIRST_SIZE = 4096 };

static bool is_socket(int fd)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Reading */

void stream_resume(struct stream *stream)
{
    if (!stream->chardev || stream->in < 0)
        return;
    /* Even without room when the peer is gone for writing: its end is to be seen. */
    bool on = !stream->in_ended && (chardev_room(stream->chardev) > 0 || stream->out_broken);
    if (stream->reading_file) /* and nobody to read a file is no reason to run through it */
        always_set(stream->reading_file, on && chardev_has_reader(stream->chardev));
    else
        watch_set(stream->reading, on ? LOOP_READ : 0);
}

static void readable(void *opaque, unsigned ready)
{
    (void)ready;
    struct stream *stream = opaque;
    uint8_t bytes[CHARDEV_INPUT];
    size_t room = chardev_room(stream->chardev);
    size_t wanted = room ? room : sizeof(bytes); /* no room: the peer is broken, see above */
    ssize_t n = stream->in_socket ? recv(stream->in, bytes, wanted, MSG_DONTWAIT)
                                  : read(stream->in, bytes, wanted);
    if (n > 0 && room) {
        chardev_input(stream->chardev, bytes, (size_t)n);
    } else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        stream->in_ended = true;
        stream_resume(stream);
        if (stream->ended)
            stream->ended(stream->chardev);
    }
}

/* Writing */

static void warn_once(struct stream *stream, const char *what, int errnum)
{
    if (!stream->warned)
        log_warn("%s (%s): %s%s%s; what is written there is lost", stream->chardev->label,
                 stream->chardev->filename, what, errnum ? ": " : "",
                 errnum ? strerror(errnum) : "");
    stream->warned = true;
}

static void drop_queue(struct stream *stream)
{
    free(stream->queue);
    stream->queue = NULL;
    stream->queue_first = stream->queue_count = stream->queue_size = 0;
}

/* How many bytes went; what failed for good is noted and counts as gone. */
static size_t write_now(struct stream *stream, const uint8_t *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t n = stream->out_socket ? send(stream->out, bytes + done, length - done,
                                              MSG_NOSIGNAL | MSG_DONTWAIT)
                                       : write(stream->out, bytes + done, length - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN && stream->writing) {
            return done;
        } else {
            if (stream->writing)
                stream->out_broken = true;
            /* A peer that leaves is no news where its end is waited for. */
            if (!stream->ended)
                warn_once(stream, "cannot write", n < 0 ? errno : EIO);
            return length;
        }
    }
    return done;
}

static bool grow_queue(struct stream *stream, size_t needed)
{
    size_t size = stream->queue_size ? stream->queue_size : QUEUE_FIRST_SIZE;
    while (size < needed)
        size *= 2;
    if (size == stream->queue_size)
        return true;
    uint8_t *grown = realloc(stream->queue, size);
    if (!grown)
        return false;
    stream->queue = grown;
    stream->queue_size = size;
    return true;
}

static void enqueue(struct stream *stream, const uint8_t *bytes, size_t length)
{
    size_t room = CHARDEV_QUEUE_MAX - stream->queue_count;
    if (length > room) {
        warn_once(stream, "the other end does not read", 0);
        length = room;
    }
    if (stream->queue && stream->queue_first + stream->queue_count + length > stream->queue_size) {
        memmove(stream->queue, stream->queue + stream->queue_first, stream->queue_count);
        stream->queue_first = 0;
    }
    if (!length || !grow_queue(stream, stream->queue_count + length))
        return;
    memcpy(stream->queue + stream->queue_first + stream->queue_count, bytes, length);
    stream->queue_count += length;
}

static void flush(struct stream *stream)
{
    size_t done = write_now(stream, stream->queue + stream->queue_first, stream->queue_count);
    stream->queue_first += done;
    stream->queue_count -= done;
    if (!stream->queue_count || stream->out_broken)
        drop_queue(stream);
}

static void set_writing(struct stream *stream)
{
    if (stream->writing)
        watch_set(stream->writing, stream->queue_count ? LOOP_WRITE : 0);
    if (stream->out_broken)
        stream_resume(stream);
}

static void writable(void *opaque, unsigned ready)
{
    (void)ready;
    struct stream *stream = opaque;
    flush(stream);
    set_writing(stream);
}

void stream_write(struct stream *stream, const uint8_t *bytes, size_t length)
{
    if (!stream->chardev || stream->out < 0 || stream->out_broken)
        return;
    size_t done = stream->queue_count ? 0 : write_now(stream, bytes, length);
    if (done < length)
        enqueue(stream, bytes + done, length - done);
    set_writing(stream);
}

/* Life */

int stream_start(struct stream *stream, struct chardev *chardev, int in, int out,
                 void (*ended)(struct chardev *chardev), struct error *err)
{
    *stream = (struct stream){.chardev = chardev,
                              .in = in,
                              .out = out,
                              .in_socket = is_socket(in),
                              .out_socket = is_socket(out),
                              .ended = ended};
    if (in >= 0)
        stream->reading = watch_create(chardev->loop, in, 0, readable, stream);
    if (in >= 0 && !stream->reading)
        stream->reading_file = always_create(chardev->loop, readable, stream);
    if (in >= 0 && !stream->reading && !stream->reading_file) {
        stream->chardev = NULL;
        return error_set(err, ENOMEM, "out of memory or file descriptors (ulimit -n)");
    }
    if (out >= 0)
        stream->writing = watch_create(chardev->loop, out, 0, writable, stream);
    stream_resume(stream);
    return 0;
}

void stream_stop(struct stream *stream)
{
    if (!stream->chardev)
        return;
    if (stream->queue_count && !stream->out_broken)
        flush(stream);
    watch_destroy(stream->reading);
    watch_destroy(stream->writing);
    always_destroy(stream->reading_file);
    drop_queue(stream);
    *stream = (struct stream){.in = -1, .out = -1};
}
