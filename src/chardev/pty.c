/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pty: the master of a pseudo-terminal; somebody opens the slave, whose name is said on stderr.
 *
 * That nobody has the slave open shows as a hang-up of the master, which stays ready all the time.
 * So then it is not watched but looked at by a timer.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "chardev/internal.h"
#include "event/loop.h"

enum { LOOK_EVERY_MS = 200 };

struct pty {
    struct chardev chardev;
    struct stream stream;
    int master, timer; /* value + 1; 0: none */
    struct watch *ticks;
};

static void wait_for_somebody(struct pty *pty, bool wait)
{
    struct itimerspec time = {0};
    if (wait)
        time.it_value.tv_nsec = time.it_interval.tv_nsec = LOOK_EVERY_MS * 1000000;
    timerfd_settime(pty->timer - 1, 0, &time, NULL);
}

static void left(struct chardev *chardev)
{
    struct pty *pty = (struct pty *)chardev;
    stream_stop(&pty->stream);
    wait_for_somebody(pty, true);
    chardev_set_open(chardev, false);
}

static void look(void *opaque, unsigned ready)
{
    (void)ready;
    struct pty *pty = opaque;
    uint64_t ticks;
    if (read(pty->timer - 1, &ticks, sizeof(ticks)) < 0 || pty->stream.chardev)
        return;
    struct pollfd master = {.fd = pty->master - 1};
    if (poll(&master, 1, 0) < 0 || (master.revents & POLLHUP))
        return;
    if (stream_start(&pty->stream, &pty->chardev, pty->master - 1, pty->master - 1, left, NULL) < 0)
        return; /* no memory: the next tick tries again */
    wait_for_somebody(pty, false);
    chardev_set_open(&pty->chardev, true);
}

/* The slave is opened once to make it raw; its closing is what makes the master hang up. */
static int make_raw(const char *name)
{
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return -errno;
    struct termios raw;
    int ret = tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    if (ret == 0)
        ret = tcsetattr(slave, TCSANOW, &raw);
    ret = ret < 0 ? -errno : 0;
    close(slave);
    return ret;
}

static int pty_open(struct chardev *chardev, const struct spec *spec, struct error *err)
{
    (void)spec;
    struct pty *pty = (struct pty *)chardev;
    char name[128];
    pty->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK) + 1;
    if (!pty->master || grantpt(pty->master - 1) < 0 || unlockpt(pty->master - 1) < 0)
        return error_set(err, errno, "pty: cannot open a pseudo-terminal: %s", strerror(errno));
    int ret = ptsname_r(pty->master - 1, name, sizeof(name));
    ret = ret ? -ret : make_raw(name);
    if (ret < 0)
        return error_set(err, -ret, "pty: cannot set up the pseudo-terminal: %s", strerror(-ret));
    pty->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK) + 1;
    if (pty->timer)
        pty->ticks = watch_create(chardev->loop, pty->timer - 1, LOOP_READ, look, pty);
    if (!pty->ticks)
        return error_set(err, ENOMEM, "pty: out of memory or file descriptors (ulimit -n)");
    wait_for_somebody(pty, true);
    chardev_name(chardev, "pty:%s", name);
    log_info("char device redirected to %s (label %s)", name, chardev->label);
    return 0;
}

static void pty_close(struct chardev *chardev)
{
    struct pty *pty = (struct pty *)chardev;
    stream_stop(&pty->stream);
    watch_destroy(pty->ticks);
    if (pty->timer)
        close(pty->timer - 1);
    if (pty->master)
        close(pty->master - 1);
}

static void pty_write(struct chardev *chardev, const uint8_t *bytes, size_t length)
{
    stream_write(&((struct pty *)chardev)->stream, bytes, length);
}

static void pty_resume(struct chardev *chardev)
{
    stream_resume(&((struct pty *)chardev)->stream);
}

static const struct spec_key pty_keys[] = {{NULL, false}};

const struct chardev_ops chardev_pty = {
    .name = "pty",
    .size = sizeof(struct pty),
    .keys = pty_keys,
    .open = pty_open,
    .close = pty_close,
    .write = pty_write,
    .resume = pty_resume,
};
