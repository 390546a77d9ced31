/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A byte stream to the outside: stdio, file, pipe, pty, socket (unix, TCP on the loopback), null,
 * ringbuf; any of them shared by several as a mux. A device or a monitor is its front end. All
 * under the VM lock.
 */
#ifndef CHARDEV_CHARDEV_H
#define CHARDEV_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct loop;
struct chardev;

/* In the life of a front end: OPENED, FOCUS_IN, then FOCUS_OUT and FOCUS_IN in turn, CLOSED, and
 * from the beginning again. Without a mux FOCUS_IN comes right behind OPENED and FOCUS_OUT never.
 * A monitor greets when OPENED, but keeps what it prints until FOCUS_IN, when it shows its prompt.
 * They come from the loop, never from inside chardev_attach; CLOSED takes the focus silently. */
enum chardev_event {
    CHARDEV_OPENED, /* somebody connected; soon after attaching for those that are always open */
    CHARDEV_CLOSED,
    CHARDEV_BREAK,
    CHARDEV_FOCUS_IN,  /* what is typed comes to this front end from now on */
    CHARDEV_FOCUS_OUT, /* and now to another one of the mux */
};

/* What a front end gives. can_read: how many bytes it takes now (0: the stream is held until
 * chardev_accept_input). Any may be NULL; without read it is a front end for output only. They may
 * call anything here but chardev_close. Lives as long as the chardev. */
struct chardev_frontend {
    size_t (*can_read)(void *opaque);
    void (*read)(void *opaque, const uint8_t *bytes, size_t length);
    void (*event)(void *opaque, enum chardev_event event);
    void *opaque;
};

/* Opens from QEMU's -chardev argument without the id ("socket,path=/tmp/x,server=on,wait=off",
 * "stdio,mux=on,signal=off", "pty", "file,path=log", "pipe,path=p", "ringbuf,size=65536", "null").
 * A socket that serves waits here for its client unless wait=off, and one that does not connects
 * here. TCP elsewhere than on the loopback is refused. Unknown types and keys: an error naming
 * those allowed. label names it in messages and `info chardev`. */
int chardev_open(struct chardev **chardev, struct loop *loop, const char *label, const char *spec,
                 struct error *err);
/* The short form, as -serial and -monitor take it: "stdio", "unix:PATH,server,nowait",
 * "tcp:127.0.0.1:4444,server,nowait", "file:log", "pipe:p", "pty", "null"; "mon:" before any makes
 * it a mux, and of stdio one without signals. "none" and "chardev:ID" are the caller's. */
int chardev_open_short(struct chardev **chardev, struct loop *loop, const char *label,
                       const char *spec, struct error *err);
/* NULL is fine; restores the terminal, removes the socket's path. Front ends get no more calls. */
void chardev_close(struct chardev *chardev);

const char *chardev_label(const struct chardev *chardev);
/* As `info chardev` shows it: "pty:/dev/pts/3"; it changes when somebody connects. */
const char *chardev_filename(const struct chardev *chardev);

/* Connects a front end. A mux takes up to 4; others one (-EBUSY). Returns a handle ≥ 0 for the
 * other calls: the mux's front-end number, else 0. The first one with a read has the focus. */
int chardev_attach(struct chardev *chardev, const struct chardev_frontend *frontend);

/* Writes bytes. What a slow peer does not take is queued up to 1 MiB, then dropped, oldest kept,
 * with one log line; with nobody connected it is dropped silently. Never blocks, but for regular
 * files. */
void chardev_write(struct chardev *chardev, int handle, const void *bytes, size_t length);

/* The front end can take input again; it may get some before this returns. */
void chardev_accept_input(struct chardev *chardev);

/* What mux's Ctrl-A keys ask of the VM: set by vm/. x: quit; b goes to the front end as a break; h
 * prints help; c moves the focus to the next front end with a read; t puts the time before each
 * line; s, which saves a disk in QEMU, says that it is not supported; Ctrl-A Ctrl-A sends one. */
struct chardev_mux_hooks {
    void (*quit)(void *opaque);
    void *opaque;
};
void chardev_set_mux_hooks(struct chardev *chardev, const struct chardev_mux_hooks *hooks);
bool chardev_is_mux(const struct chardev *chardev);

/* ringbuf: takes up to length of the oldest bytes out; returns how many. -EINVAL for other types.
 * Writing is as chardev_write by a front end: the oldest bytes give way. */
long chardev_ringbuf_read(struct chardev *chardev, uint8_t *bytes, size_t length);
int chardev_ringbuf_write(struct chardev *chardev, const uint8_t *bytes, size_t length);

#endif
