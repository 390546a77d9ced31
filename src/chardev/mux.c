/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One stream for several front ends. How it is used: Ctrl-A and a letter is for us, everything else
 * goes to the front end that has the focus. The letters and what they do are QEMU's.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "chardev/internal.h"

enum { ESCAPE = 1 }; /* Ctrl-A */

static void print(struct chardev *chardev, const char *text)
{
    chardev->ops->write(chardev, (const uint8_t *)text, strlen(text));
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void print_help(struct chardev *chardev)
{
    print(chardev, "\r\n"
                   "C-a h    print this help\r\n"
                   "C-a x    end the machine\r\n"
                   "C-a s    not supported (saves a disk in QEMU)\r\n"
                   "C-a t    times before lines, on and off\r\n"
                   "C-a b    send a break (magic SysRq)\r\n"
                   "C-a c    switch between the serial line and the monitor\r\n"
                   "C-a C-a  send C-a\r\n");
}

/* One that cannot read is passed over: what is typed would be lost. */
static void move_focus(struct chardev *chardev)
{
    unsigned next = chardev->focus;
    for (unsigned i = 0; i < chardev->front_count; i++) {
        next = (next + 1) % chardev->front_count;
        if (chardev->fronts[next].frontend->read)
            break;
    }
    if (next == chardev->focus || !chardev->fronts[next].frontend->read)
        return;
    chardev->focus = next;
    chardev_tell(chardev);
}

static void send_break(struct chardev *chardev)
{
    const struct chardev_frontend *to = chardev->fronts[chardev->focus].frontend;
    if (to && to->event)
        to->event(to->opaque, CHARDEV_BREAK);
}

static void toggle_stamps(struct mux *mux)
{
    mux->stamps = !mux->stamps;
    mux->stamps_since = now_ns();
    mux->line_begun = false;
}

static void obey(struct chardev *chardev, uint8_t key)
{
    struct mux *mux = &chardev->mux;
    switch (key) {
    case 'h':
    case '?':
        print_help(chardev);
        break;
    case 'x':
        print(chardev, "trapeze: terminated\r\n");
        if (mux->hooks.quit)
            mux->hooks.quit(mux->hooks.opaque);
        break;
    case 's':
        print(chardev, "\r\nC-a s is not supported: what -snapshot keeps is not written back\r\n");
        break;
    case 'b':
        send_break(chardev);
        break;
    case 'c':
        move_focus(chardev);
        break;
    case 't':
        toggle_stamps(mux);
        break;
    default: /* nothing, as in QEMU */
        break;
    }
}

void mux_input(struct chardev *chardev, const uint8_t *bytes, size_t length)
{
    struct mux *mux = &chardev->mux;
    for (size_t i = 0; i < length; i++) {
        bool escaped = mux->escaped;
        mux->escaped = !escaped && bytes[i] == ESCAPE;
        if (escaped && bytes[i] != ESCAPE)
            obey(chardev, bytes[i]);
        else if (!mux->escaped)
            chardev_put(&chardev->fronts[chardev->focus], &bytes[i], 1);
    }
}

static void write_stamp(struct chardev *chardev)
{
    int64_t ms = (now_ns() - chardev->mux.stamps_since) / 1000000;
    char text[48];
    snprintf(text, sizeof(text), "[%02d:%02d:%02d.%03d] ", (int)(ms / 3600000),
             (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), (int)(ms % 1000));
    print(chardev, text);
}

void mux_write(struct chardev *chardev, const uint8_t *bytes, size_t length)
{
    struct mux *mux = &chardev->mux;
    if (!mux->stamps) {
        chardev->ops->write(chardev, bytes, length);
        return;
    }
    while (length) {
        const uint8_t *newline = memchr(bytes, '\n', length);
        size_t part = newline ? (size_t)(newline - bytes) + 1 : length;
        if (!mux->line_begun)
            write_stamp(chardev);
        chardev->ops->write(chardev, bytes, part);
        mux->line_begun = !newline;
        bytes += part;
        length -= part;
    }
}
