/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files of chardev/ share. A backend embeds struct chardev as its first member and is a
 * table of functions; chardev.c stands between it and the front ends. Private to chardev/. All
 * under the VM lock.
 */
#ifndef CHARDEV_INTERNAL_H
#define CHARDEV_INTERNAL_H

#include "chardev/chardev.h"

struct watch;

enum {
    CHARDEV_FRONTS = 4,             /* of a mux */
    CHARDEV_INPUT = 4096,           /* bytes read ahead for one front end */
    CHARDEV_QUEUE_MAX = 1024 * 1024 /* bytes waiting for a slow peer */
};

/* spec.c: a parsed option string */

struct spec_key {
    const char *name;
    bool is_switch;
};

struct spec {
    const struct chardev_ops *ops;
    struct {
        const char *key; /* static */
        char *value;
    } items[12];
    size_t count;
};

/* Both leave the spec to be freed by spec_fini, also on failure. */
int spec_parse(struct spec *spec, const char *text, struct error *err);
int spec_parse_short(struct spec *spec, const char *text, struct error *err);
void spec_fini(struct spec *spec);

const char *spec_get(const struct spec *spec, const char *key); /* NULL: not given */
bool spec_switch(const struct spec *spec, const char *key, bool otherwise);
/* spec_get of a key that must be there and not empty; NULL and err if it is not. */
const char *spec_need(const struct spec *spec, const char *key, struct error *err);

/* Backends */

struct chardev_ops {
    const char *name;            /* as -chardev has it */
    size_t size;                 /* of the struct that embeds the chardev */
    const struct spec_key *keys; /* ended by one without a name; mux is known to all */
    /* The chardev is zeroed but for its fields in struct chardev. On failure close follows. */
    int (*open)(struct chardev *chardev, const struct spec *spec, struct error *err);
    void (*close)(struct chardev *chardev);
    void (*write)(struct chardev *chardev, const uint8_t *bytes, size_t length);
    void (*resume)(struct chardev *chardev); /* chardev_room may have grown; NULL: no input */
};

extern const struct chardev_ops chardev_file, chardev_null, chardev_pipe, chardev_pty,
    chardev_ringbuf, chardev_socket, chardev_stdio;

/* One front end and what is on its way to it. */
struct front {
    const struct chardev_frontend *frontend; /* NULL: nobody yet; input waits for the first */
    uint8_t input[CHARDEV_INPUT];
    size_t first, count;
    bool greeted;     /* has had its first events: input may follow */
    bool open, focus; /* as it was told */
    bool busy;        /* inside its read */
};

struct mux {
    bool on;
    bool escaped; /* the last byte was Ctrl-A */
    bool stamps, line_begun;
    int64_t stamps_since; /* ns of CLOCK_MONOTONIC */
    struct chardev_mux_hooks hooks;
};

struct chardev {
    const struct chardev_ops *ops;
    struct loop *loop;
    char *label;
    char filename[192];
    bool open; /* somebody is there */
    struct front fronts[CHARDEV_FRONTS];
    unsigned front_count, focus;
    struct mux mux;
    struct always *news; /* tells the front ends, from the loop */
};

/* chardev.c, for backends. In callbacks of the loop only, but for chardev_room and chardev_name. */
size_t chardev_room(const struct chardev *chardev); /* bytes chardev_input takes now */
void chardev_input(struct chardev *chardev, const uint8_t *bytes, size_t length);
void chardev_set_open(struct chardev *chardev, bool open);
bool chardev_has_reader(const struct chardev *chardev);
__attribute__((format(printf, 2, 3))) void chardev_name(struct chardev *chardev, const char *format,
                                                        ...);

/* chardev.c, for mux.c */
void chardev_put(struct front *front, const uint8_t *bytes, size_t length);
void chardev_tell(struct chardev *chardev);

/* mux.c */
void mux_input(struct chardev *chardev, const uint8_t *bytes, size_t length);
void mux_write(struct chardev *chardev, const uint8_t *bytes, size_t length);

/* always.c: a watch that is always ready while it is on, for what the loop shall do soon. */
struct always;
struct always *always_create(struct loop *loop, void (*fn)(void *opaque, unsigned ready),
                             void *opaque); /* off; NULL when descriptors or memory are out */
void always_set(struct always *always, bool on);
void always_destroy(struct always *always); /* NULL is fine */

/* stream.c: descriptors read into the front end and written from a queue */
struct stream {
    struct chardev *chardev; /* NULL: not started */
    int in, out;             /* the owner's; -1: none. Not blocking, or regular files */
    bool in_socket, out_socket;
    struct watch *reading, *writing;
    struct always *reading_file; /* in place of reading: the descriptor cannot be polled */
    bool in_ended, out_broken, warned;
    uint8_t *queue;
    size_t queue_first, queue_count, queue_size;
    void (*ended)(struct chardev *chardev); /* nothing more will come; may stop the stream */
};

int stream_start(struct stream *stream, struct chardev *chardev, int in, int out,
                 void (*ended)(struct chardev *chardev), struct error *err);
void stream_stop(struct stream *stream); /* what is queued is tried once more; never blocks */
void stream_write(struct stream *stream, const uint8_t *bytes, size_t length);
void stream_resume(struct stream *stream);

#endif
