/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A loop run by hand, a temporary folder, front ends that write down what they get, and stderr in a
 * file. Tests wait for what must come, without a time limit.
 */
#ifndef TESTS_UNIT_CHARDEV_BENCH_H
#define TESTS_UNIT_CHARDEV_BENCH_H

#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "chardev/chardev.h"
#include "event/loop.h"

struct recorder {
    struct chardev_frontend frontend;
    size_t room; /* what can_read says, less with each byte */
    char got[16384];
    size_t length;
    char events[64]; /* O opened, C closed, B break, i focus in, o focus out */
};

static struct bench {
    struct loop *loop;
    char folder[32];
    char path[64]; /* of path_in */
    struct recorder a, b, c, d;
    int saved[3]; /* descriptors 0 to 2 */
    struct error err;
} bench;

static inline size_t recorder_can_read(void *opaque)
{
    return ((struct recorder *)opaque)->room;
}

static inline void recorder_read(void *opaque, const uint8_t *bytes, size_t length)
{
    struct recorder *recorder = opaque;
    assert_true(length > 0 && length <= recorder->room);
    assert_true(recorder->length + length < sizeof(recorder->got));
    recorder->room -= length;
    memcpy(recorder->got + recorder->length, bytes, length);
    recorder->length += length;
}

static inline void recorder_event(void *opaque, enum chardev_event event)
{
    struct recorder *recorder = opaque;
    size_t at = strlen(recorder->events);
    assert_true(at < sizeof(recorder->events) - 1);
    recorder->events[at] = "OCBio"[event];
}

static inline void recorder_reset(struct recorder *recorder)
{
    *recorder = (struct recorder){
        .frontend = {recorder_can_read, recorder_read, recorder_event, recorder}, .room = SIZE_MAX};
}

static inline const char *path_in(const char *name)
{
    snprintf(bench.path, sizeof(bench.path), "%s/%s", bench.folder, name);
    return bench.path;
}

/* stderr goes to the file "log" of the folder. */
static inline int bench_setup(void **state)
{
    (void)state;
    for (int fd = 0; fd < 3; fd++)
        bench.saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    strcpy(bench.folder, "/tmp/chardev-XXXXXX");
    if (!mkdtemp(bench.folder) || loop_create(&bench.loop, NULL, &bench.err) < 0)
        return -1;
    int log = open(path_in("log"), O_RDWR | O_CREAT | O_APPEND, 0600);
    fflush(stderr);
    dup2(log, 2);
    close(log);
    recorder_reset(&bench.a);
    recorder_reset(&bench.b);
    recorder_reset(&bench.c);
    recorder_reset(&bench.d);
    return 0;
}

static inline int bench_teardown(void **state)
{
    (void)state;
    for (int fd = 0; fd < 3; fd++) {
        dup2(bench.saved[fd], fd);
        close(bench.saved[fd]);
    }
    loop_destroy(bench.loop);
    char command[64];
    snprintf(command, sizeof(command), "rm -r %s", bench.folder);
    return system(command);
}

static inline void quit_loop(void *opaque)
{
    loop_quit(opaque);
}

/* One round of the loop. */
static inline void pump(void)
{
    loop_post(bench.loop, quit_loop, bench.loop);
    loop_run(bench.loop);
}

static inline void pump_many(void)
{
    for (int i = 0; i < 20; i++)
        pump();
}

#define UNTIL(condition)   \
    while (!(condition)) { \
        pump();            \
        usleep(200);       \
    }

/* How often text stands in the file. */
static inline int count_in(const char *name, const char *text)
{
    static char content[65536];
    int fd = open(path_in(name), O_RDONLY);
    ssize_t n = read(fd, content, sizeof(content) - 1);
    close(fd);
    content[n < 0 ? 0 : n] = '\0';
    int count = 0;
    for (const char *at = content; (at = strstr(at, text)); at++)
        count++;
    return count;
}

static inline bool has_got(const struct recorder *recorder, const char *text)
{
    return recorder->length == strlen(text) && memcmp(recorder->got, text, recorder->length) == 0;
}

static inline struct chardev *open_named(const char *format, const char *name)
{
    char spec[256];
    snprintf(spec, sizeof(spec), format, path_in(name));
    struct chardev *chardev = NULL;
    if (chardev_open(&chardev, bench.loop, "id", spec, &bench.err) < 0)
        fail_msg("%s: %s", spec, bench.err.text);
    return chardev;
}

static inline void write_text(struct chardev *chardev, int handle, const char *text)
{
    chardev_write(chardev, handle, text, strlen(text));
}

static inline void send_text(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Reads text from fd, which does not block, while the loop runs. */
static inline void expect_text(int fd, const char *text)
{
    char got[512] = "";
    size_t length = 0;
    assert_true(strlen(text) < sizeof(got));
    while (length < strlen(text)) {
        pump();
        ssize_t n = read(fd, got + length, strlen(text) - length);
        if (n > 0)
            length += (size_t)n;
    }
    assert_string_equal(got, text);
}

#endif
