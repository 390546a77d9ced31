/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A watch that is ready whenever it is on: an eventfd that is never read.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "chardev/internal.h"
#include "event/loop.h"

struct always {
    int fd;
    struct watch *watch;
};

struct always *always_create(struct loop *loop, void (*fn)(void *opaque, unsigned ready),
                             void *opaque)
{
    struct always *always = calloc(1, sizeof(*always));
    if (!always)
        return NULL;
    always->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (always->fd >= 0)
        always->watch = watch_create(loop, always->fd, 0, fn, opaque);
    if (always->watch)
        return always;
    always_destroy(always);
    return NULL;
}

void always_set(struct always *always, bool on)
{
    watch_set(always->watch, on ? LOOP_READ : 0);
}

void always_destroy(struct always *always)
{
    if (!always)
        return;
    watch_destroy(always->watch);
    if (always->fd >= 0)
        close(always->fd);
    free(always);
}
