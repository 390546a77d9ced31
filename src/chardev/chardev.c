/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The front ends' side: opening by option string, events, and input on its way.
 *
 * Input is read ahead into a buffer for each front end, so that the end of a connection and the
 * keys of a mux are seen while a guest does not read. Events are what the front end has not been
 * told yet, found by comparing; so they need no queue.
 */
#include "chardev/chardev.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chardev/internal.h"
#include "event/loop.h"

/* Input */

static bool reads(const struct front *front)
{
    return front->frontend && front->frontend->read;
}

bool chardev_has_reader(const struct chardev *chardev)
{
    for (unsigned i = 0; i < chardev->front_count; i++)
        if (reads(&chardev->fronts[i]))
            return true;
    return false;
}

/* The least of all, since a key of the mux may move the focus between two bytes. */
size_t chardev_room(const struct chardev *chardev)
{
    size_t most = 0;
    for (unsigned i = 0; i < CHARDEV_FRONTS; i++)
        if (chardev->fronts[i].count > most)
            most = chardev->fronts[i].count;
    return CHARDEV_INPUT - most;
}

/* A front end for output only loses what comes. */
void chardev_put(struct front *front, const uint8_t *bytes, size_t length)
{
    if (front->frontend && !front->frontend->read)
        return;
    if (length > CHARDEV_INPUT - front->count)
        length = CHARDEV_INPUT - front->count;
    if (front->first + front->count + length > CHARDEV_INPUT) {
        memmove(front->input, front->input + front->first, front->count);
        front->first = 0;
    }
    memcpy(front->input + front->first + front->count, bytes, length);
    front->count += length;
}

static void deliver_to(struct front *front)
{
    const struct chardev_frontend *to = front->frontend;
    if (!reads(front) || !front->greeted || front->busy)
        return;
    front->busy = true;
    while (front->count) {
        size_t length = to->can_read ? to->can_read(to->opaque) : front->count;
        if (!length)
            break;
        if (length > front->count)
            length = front->count;
        const uint8_t *bytes = front->input + front->first;
        front->first += length;
        front->count -= length;
        to->read(to->opaque, bytes, length);
    }
    front->busy = false;
}

static void deliver(struct chardev *chardev)
{
    for (unsigned i = 0; i < chardev->front_count; i++)
        deliver_to(&chardev->fronts[i]);
    if (chardev->ops->resume)
        chardev->ops->resume(chardev);
}

void chardev_input(struct chardev *chardev, const uint8_t *bytes, size_t length)
{
    chardev_tell(chardev);
    if (chardev->mux.on)
        mux_input(chardev, bytes, length);
    else
        chardev_put(&chardev->fronts[0], bytes, length);
    deliver(chardev);
}

void chardev_accept_input(struct chardev *chardev)
{
    deliver(chardev);
}

/* Events */

static void send_event(const struct front *front, enum chardev_event event)
{
    if (front->frontend->event)
        front->frontend->event(front->frontend->opaque, event);
}

static void tell_open(const struct chardev *chardev, struct front *front)
{
    front->greeted = true;
    if (front->open == chardev->open)
        return;
    front->open = chardev->open;
    if (!front->open)
        front->focus = false;
    send_event(front, front->open ? CHARDEV_OPENED : CHARDEV_CLOSED);
}

void chardev_tell(struct chardev *chardev)
{
    always_set(chardev->news, false);
    const struct front *focus = &chardev->fronts[chardev->focus];
    for (unsigned i = 0; i < chardev->front_count; i++) {
        struct front *front = &chardev->fronts[i];
        tell_open(chardev, front);
        if (front->focus && front != focus) {
            front->focus = false;
            send_event(front, CHARDEV_FOCUS_OUT);
        }
    }
    struct front *front = &chardev->fronts[chardev->focus];
    if (front->frontend && front->open && !front->focus) {
        front->focus = true;
        send_event(front, CHARDEV_FOCUS_IN);
    }
}

void chardev_set_open(struct chardev *chardev, bool open)
{
    chardev->open = open;
    chardev_tell(chardev);
}

static void bring_news(void *opaque, unsigned ready)
{
    (void)ready;
    struct chardev *chardev = opaque;
    chardev_tell(chardev);
    deliver(chardev);
}

/* Opening */

void chardev_name(struct chardev *chardev, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(chardev->filename, sizeof(chardev->filename), format, args);
    va_end(args);
}

static int open_spec(struct chardev **out, struct loop *loop, const char *label,
                     const struct spec *spec, struct error *err)
{
    struct chardev *chardev = calloc(1, spec->ops->size);
    if (!chardev)
        return error_set(err, ENOMEM, "out of memory");
    chardev->ops = spec->ops;
    chardev->loop = loop;
    chardev->label = strdup(label);
    chardev->mux.on = spec_switch(spec, "mux", false);
    chardev->news = always_create(loop, bring_news, chardev);
    chardev_name(chardev, "%s", spec->ops->name);
    int ret = 0;
    if (!chardev->label || !chardev->news)
        ret = error_set(err, ENOMEM, "out of memory or file descriptors (ulimit -n)");
    if (ret == 0)
        ret = spec->ops->open(chardev, spec, err);
    if (ret < 0) {
        chardev_close(chardev);
        return ret;
    }
    *out = chardev;
    return 0;
}

int chardev_open(struct chardev **chardev, struct loop *loop, const char *label, const char *text,
                 struct error *err)
{
    struct spec spec;
    int ret = spec_parse(&spec, text, err);
    if (ret == 0)
        ret = open_spec(chardev, loop, label, &spec, err);
    spec_fini(&spec);
    if (ret < 0)
        error_prefix(err, "-chardev id=%.60s", label);
    return ret;
}

int chardev_open_short(struct chardev **chardev, struct loop *loop, const char *label,
                       const char *text, struct error *err)
{
    struct spec spec;
    int ret = spec_parse_short(&spec, text, err);
    if (ret == 0)
        ret = open_spec(chardev, loop, label, &spec, err);
    spec_fini(&spec);
    if (ret < 0)
        error_prefix(err, "%.60s", label);
    return ret;
}

void chardev_close(struct chardev *chardev)
{
    if (!chardev)
        return;
    chardev->ops->close(chardev);
    always_destroy(chardev->news);
    free(chardev->label);
    free(chardev);
}

const char *chardev_label(const struct chardev *chardev)
{
    return chardev->label;
}

const char *chardev_filename(const struct chardev *chardev)
{
    return chardev->filename;
}

int chardev_attach(struct chardev *chardev, const struct chardev_frontend *frontend)
{
    unsigned index = chardev->front_count;
    if (index == (chardev->mux.on ? CHARDEV_FRONTS : 1))
        return -EBUSY;
    chardev->fronts[index].frontend = frontend;
    chardev->front_count++;
    if (frontend->read && !reads(&chardev->fronts[chardev->focus]))
        chardev->focus = index;
    always_set(chardev->news, true);
    return (int)index;
}

void chardev_write(struct chardev *chardev, int handle, const void *bytes, size_t length)
{
    (void)handle; /* a mux shows what any of its front ends prints */
    if (chardev->mux.on)
        mux_write(chardev, bytes, length);
    else
        chardev->ops->write(chardev, bytes, length);
}

bool chardev_is_mux(const struct chardev *chardev)
{
    return chardev->mux.on;
}

void chardev_set_mux_hooks(struct chardev *chardev, const struct chardev_mux_hooks *hooks)
{
    chardev->mux.hooks = *hooks;
}
