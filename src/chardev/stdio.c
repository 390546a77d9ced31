/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * stdio: the terminal the program was started in, or whatever its input and output are.
 *
 * The terminal is raw while it is open, so each key reaches the guest. O_NONBLOCK is a flag of the
 * open file, which we share with the shell and with our own stderr; so terminals and pipes are
 * opened once more for ourselves by way of /proc/self/fd, and only where that fails is the flag
 * set, until the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"
#include "chardev/internal.h"
#include "event/loop.h"

/* Standard input or output. */
struct end {
    int fd;        /* to be used */
    bool reopened; /* it is our own */
    int flags;     /* to be put back, if changed */
    bool changed;
};

struct stdio {
    struct chardev chardev;
    struct stream stream;
    bool taken; /* it is ours, not another's */
    struct end in, out;
    bool is_terminal, signals;
    struct termios before;
};

static bool is_pty_master(int fd)
{
    int number;
    return ioctl(fd, TIOCGPTN, &number) == 0; /* opening one again makes another terminal */
}

static void open_end(struct end *end, int fd, int mode)
{
    *end = (struct end){.fd = fd};
    struct stat st;
    if (fstat(fd, &st) < 0 || (!S_ISFIFO(st.st_mode) && !isatty(fd)))
        return;
    char name[32];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    int own = is_pty_master(fd) ? -1 : open(name, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own >= 0) {
        end->fd = own;
        end->reopened = true;
        return;
    }
    end->flags = fcntl(fd, F_GETFL);
    end->changed = end->flags >= 0 && !(end->flags & O_NONBLOCK) &&
                   fcntl(fd, F_SETFL, end->flags | O_NONBLOCK) == 0;
}

static void close_end(struct end *end, int fd)
{
    if (end->reopened)
        close(end->fd);
    if (end->changed)
        fcntl(fd, F_SETFL, end->flags);
}

/* Input byte for byte; output keeps its newlines made into CR LF, as guests' consoles and our own
 * messages share it. */
static void make_raw(struct stdio *stdio)
{
    struct termios raw = stdio->before;
    raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_oflag |= OPOST;
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!stdio->signals)
        raw.c_lflag &= ~(tcflag_t)ISIG;
    raw.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    raw.c_cflag |= CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

/* After Ctrl-Z the shell has put its own mode back. In the background the terminal is not ours to
 * set; there comes another SIGCONT with fg. */
static void continued(void *opaque)
{
    if (tcgetpgrp(STDIN_FILENO) == getpgrp())
        make_raw(opaque);
}

/* Close-on-exec of descriptor 0, which no program starts with, says that a chardev has it: the
 * mark belongs to the process, as standard input does. Where a descriptor was closed from the
 * start, another file of ours has its number by now, with the mark too. */
static int take(struct stdio *stdio, struct error *err)
{
    int in = fcntl(STDIN_FILENO, F_GETFD), out = fcntl(STDOUT_FILENO, F_GETFD);
    if (in < 0 || out < 0 || (in | out) & FD_CLOEXEC)
        return error_set(err, EBUSY,
                         "stdio is in use by another character device (or closed); to share it "
                         "use -serial mon:stdio, or -chardev stdio,mux=on,id=ID and chardev:ID");
    fcntl(STDIN_FILENO, F_SETFD, in | FD_CLOEXEC);
    stdio->taken = true;
    return 0;
}

static int stdio_open(struct chardev *chardev, const struct spec *spec, struct error *err)
{
    struct stdio *stdio = (struct stdio *)chardev;
    int ret = take(stdio, err);
    if (ret < 0)
        return ret;
    open_end(&stdio->in, STDIN_FILENO, O_RDONLY);
    open_end(&stdio->out, STDOUT_FILENO, O_WRONLY);
    ret = stream_start(&stdio->stream, chardev, stdio->in.fd, stdio->out.fd, NULL, err);
    if (ret < 0)
        return ret;
    chardev->open = true;
    stdio->signals = spec_switch(spec, "signal", true);
    stdio->is_terminal = tcgetattr(STDIN_FILENO, &stdio->before) == 0;
    if (stdio->is_terminal) {
        make_raw(stdio);
        ret = loop_on_signal(chardev->loop, SIGCONT, continued, stdio);
        if (ret < 0)
            return error_set(err, -ret, "stdio: cannot watch for SIGCONT: %s", strerror(-ret));
    }
    return 0;
}

static void stdio_close(struct chardev *chardev)
{
    struct stdio *stdio = (struct stdio *)chardev;
    if (!stdio->taken)
        return;
    stream_stop(&stdio->stream);
    if (stdio->is_terminal) {
        loop_off_signal(chardev->loop, SIGCONT, continued, stdio);
        tcsetattr(STDIN_FILENO, TCSANOW, &stdio->before);
    }
    close_end(&stdio->in, STDIN_FILENO);
    close_end(&stdio->out, STDOUT_FILENO);
    fcntl(STDIN_FILENO, F_SETFD, 0);
}

static void stdio_write(struct chardev *chardev, const uint8_t *bytes, size_t length)
{
    stream_write(&((struct stdio *)chardev)->stream, bytes, length);
}

static void stdio_resume(struct chardev *chardev)
{
    stream_resume(&((struct stdio *)chardev)->stream);
}

static const struct spec_key stdio_keys[] = {{"signal", true}, {NULL, false}};

const struct chardev_ops chardev_stdio = {
    .name = "stdio",
    .size = sizeof(struct stdio),
    .keys = stdio_keys,
    .open = stdio_open,
    .close = stdio_close,
    .write = stdio_write,
    .resume = stdio_resume,
};
