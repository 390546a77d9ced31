/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Joins a stream, the line editor and the commands. Everything a client sends is answered before
 * the next of it is read; what it does not read the chardev queues up to its limit.
 */
#include "monitor/monitor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chardev/chardev.h"
#include "monitor/hmp.h"
#include "monitor/readline.h"

enum { READ_AT_ONCE = 4096, OUT_ROOM = 4096 };

struct monitor {
    struct chardev *chardev;
    struct chardev_frontend frontend;
    int handle;
    bool greet; /* somebody came who has not been told who we are */
    struct hmp hmp;
    struct readline readline;
    char out[OUT_ROOM]; /* said, not yet written */
    size_t out_length;
};

static void flush(struct monitor *monitor)
{
    size_t length = monitor->out_length;
    monitor->out_length = 0;
    if (length)
        chardev_write(monitor->chardev, monitor->handle, monitor->out, length);
}

/* As a terminal wants it: \n becomes \r\n. */
static void say(void *opaque, const char *bytes, size_t length)
{
    struct monitor *monitor = opaque;
    for (size_t i = 0; i < length; i++) {
        if (monitor->out_length + 2 > OUT_ROOM)
            flush(monitor);
        if (bytes[i] == '\n')
            monitor->out[monitor->out_length++] = '\r';
        monitor->out[monitor->out_length++] = bytes[i];
    }
}

static void say_text(struct monitor *monitor, const char *text)
{
    say(monitor, text, strlen(text));
}

static void execute(struct monitor *monitor, const char *line)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) {
        say_text(monitor, "out of memory\n");
        return;
    }
    hmp_execute(&monitor->hmp, line, out);
    if (fclose(out) == 0)
        say(monitor, text, size);
    else
        say_text(monitor, "out of memory\n");
    free(text);
}

static void on_line(void *opaque, const char *line)
{
    struct monitor *monitor = opaque;
    if (line)
        execute(monitor, line);
    else
        say_text(monitor, "line too long\n");
    if (!monitor->hmp.quit)
        readline_prompt(&monitor->readline);
}

static size_t on_complete(void *opaque, const char *line, const char **matches, size_t max)
{
    (void)opaque;
    return hmp_complete(line, matches, max);
}

static size_t can_read(void *opaque)
{
    (void)opaque;
    return READ_AT_ONCE;
}

static void on_read(void *opaque, const uint8_t *bytes, size_t length)
{
    struct monitor *monitor = opaque;
    for (size_t i = 0; i < length && !monitor->hmp.quit; i++)
        readline_byte(&monitor->readline, bytes[i]);
    flush(monitor);
}

static void on_event(void *opaque, enum chardev_event event)
{
    struct monitor *monitor = opaque;
    switch (event) {
    case CHARDEV_OPENED:
        monitor->greet = true;
        break;
    case CHARDEV_FOCUS_IN:
        if (monitor->greet)
            say_text(monitor,
                     "Trapeze " TRAPEZE_VERSION " monitor - type 'help' for more information\n");
        monitor->greet = false;
        readline_prompt(&monitor->readline);
        flush(monitor);
        break;
    case CHARDEV_FOCUS_OUT: /* what was typed of a line is forgotten, as in QEMU */
        readline_clear(&monitor->readline);
        say_text(monitor, "\n");
        flush(monitor);
        break;
    case CHARDEV_CLOSED:
        readline_clear(&monitor->readline);
        monitor->out_length = 0;
        break;
    case CHARDEV_BREAK:
        break;
    }
}

int monitor_create(struct monitor **out, struct vm *vm, struct chardev *chardev, struct error *err)
{
    struct monitor *monitor = calloc(1, sizeof(*monitor));
    if (!monitor)
        return error_set(err, ENOMEM, "out of memory");
    monitor->chardev = chardev;
    hmp_init(&monitor->hmp, vm);
    const struct readline_user user = {say, on_line, on_complete, monitor};
    readline_init(&monitor->readline, "(qemu) ", &user);
    monitor->frontend = (struct chardev_frontend){can_read, on_read, on_event, monitor};
    int ret = chardev_attach(chardev, &monitor->frontend);
    if (ret < 0) {
        monitor_destroy(monitor);
        return error_set(err, -ret,
                         "cannot use chardev %s for the monitor: %s; give it one of its own",
                         chardev_label(chardev), strerror(-ret));
    }
    monitor->handle = ret;
    *out = monitor;
    return 0;
}

void monitor_destroy(struct monitor *monitor)
{
    if (!monitor)
        return;
    readline_fini(&monitor->readline);
    hmp_fini(&monitor->hmp);
    free(monitor);
}
