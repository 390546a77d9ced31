/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ringbuf: keeps the last bytes written in memory, for a monitor to read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "chardev/internal.h"

enum { DEFAULT_SIZE = 65536, SIZE_LIMIT = 1 << 30 };

struct ringbuf {
    struct chardev chardev;
    uint8_t *bytes;
    size_t size; /* a power of two */
    uint64_t written, taken;
};

/* QEMU takes only powers of two as well. */
static int parse_size(const char *text, size_t *size, struct error *err)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 0);
    if (text[0] < '0' || text[0] > '9' || *end || errno || !number || number > SIZE_LIMIT ||
        (number & (number - 1)))
        return error_set(err, EINVAL, "ringbuf: size=%.40s: allowed: a power of two up to %d", text,
                         SIZE_LIMIT);
    *size = (size_t)number;
    return 0;
}

static int ringbuf_open(struct chardev *chardev, const struct spec *spec, struct error *err)
{
    struct ringbuf *ring = (struct ringbuf *)chardev;
    const char *size = spec_get(spec, "size");
    ring->size = DEFAULT_SIZE;
    int ret = size ? parse_size(size, &ring->size, err) : 0;
    if (ret < 0)
        return ret;
    ring->bytes = malloc(ring->size);
    if (!ring->bytes)
        return error_set(err, ENOMEM, "ringbuf: no memory for %zu bytes", ring->size);
    chardev->open = true;
    return 0;
}

static void ringbuf_close(struct chardev *chardev)
{
    free(((struct ringbuf *)chardev)->bytes);
}

static void ringbuf_write(struct chardev *chardev, const uint8_t *bytes, size_t length)
{
    struct ringbuf *ring = (struct ringbuf *)chardev;
    for (size_t i = 0; i < length; i++)
        ring->bytes[ring->written++ & (ring->size - 1)] = bytes[i];
    if (ring->written - ring->taken > ring->size)
        ring->taken = ring->written - ring->size;
}

static const struct spec_key ringbuf_keys[] = {{"size", false}, {NULL, false}};

const struct chardev_ops chardev_ringbuf = {
    .name = "ringbuf",
    .size = sizeof(struct ringbuf),
    .keys = ringbuf_keys,
    .open = ringbuf_open,
    .close = ringbuf_close,
    .write = ringbuf_write,
};

long chardev_ringbuf_read(struct chardev *chardev, uint8_t *bytes, size_t length)
{
    struct ringbuf *ring = (struct ringbuf *)chardev;
    if (chardev->ops != &chardev_ringbuf)
        return -EINVAL;
    size_t n = (size_t)min_u64(length, ring->written - ring->taken);
    for (size_t i = 0; i < n; i++)
        bytes[i] = ring->bytes[ring->taken++ & (ring->size - 1)];
    return (long)n;
}

int chardev_ringbuf_write(struct chardev *chardev, const uint8_t *bytes, size_t length)
{
    if (chardev->ops != &chardev_ringbuf)
        return -EINVAL;
    ringbuf_write(chardev, bytes, length);
    return 0;
}
