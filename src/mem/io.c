/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Access widths, and the port space: a table of 64 Ki owners that reads stay simple with, rebuilt
 * where a range comes or goes from the list of ranges in order of registration.
 */
#include "mem/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"

enum { PORTS = 0x10000 };

static unsigned min_size(const struct io_ops *ops)
{
    return ops->min_size ? ops->min_size : 1;
}

static unsigned max_size(const struct io_ops *ops)
{
    unsigned max = ops->max_size ? ops->max_size : 4;
    return max < min_size(ops) ? min_size(ops) : max;
}

static uint64_t ones(unsigned size)
{
    return size >= 8 ? UINT64_MAX : (UINT64_C(1) << (size * 8)) - 1;
}

/* size < the device's least: its bytes are cut out of one or, across a boundary, two reads. */
static uint64_t read_narrow(const struct io_ops *ops, void *opaque, uint64_t offset, unsigned size)
{
    unsigned min = min_size(ops);
    uint64_t start = offset & ~(uint64_t)(min - 1);
    unsigned skip = (unsigned)(offset - start);
    uint64_t value = (ops->read(opaque, start, min) & ones(min)) >> (skip * 8);
    if (skip + size > min)
        value |= ops->read(opaque, start + min, min) << ((min - skip) * 8);
    return value;
}

uint64_t io_read(const struct io_ops *ops, void *opaque, uint64_t offset, unsigned size)
{
    if (!ops->read)
        return ones(size);
    unsigned max = max_size(ops);
    uint64_t value = 0;
    if (size < min_size(ops)) {
        value = read_narrow(ops, opaque, offset, size);
    } else if (size <= max) {
        value = ops->read(opaque, offset, size);
    } else {
        for (unsigned done = 0; done < size; done += max)
            value |= (ops->read(opaque, offset + done, max) & ones(max)) << (done * 8);
    }
    return value & ones(size);
}

void io_write(const struct io_ops *ops, void *opaque, uint64_t offset, uint64_t value,
              unsigned size)
{
    if (!ops->write)
        return;
    unsigned max = max_size(ops);
    value &= ones(size);
    if (size < min_size(ops)) {
        log_limited(LOG_GUEST_ERRORS,
                    "io: a write of %u bytes at offset 0x%llx is narrower than the device takes",
                    size, (unsigned long long)offset);
    } else if (size <= max) {
        ops->write(opaque, offset, value, size);
    } else {
        for (unsigned done = 0; done < size; done += max)
            ops->write(opaque, offset + done, (value >> (done * 8)) & ones(max), max);
    }
}

/* first and count as they were when the range was added. */
struct pio_entry {
    struct pio_range *range;
    uint32_t first, count;
};

struct pio {
    struct pio_entry *entries; /* in order of registration */
    size_t count, room;
    struct pio_range *owner[PORTS];
};

int pio_create(struct pio **pio, struct error *err)
{
    *pio = calloc(1, sizeof(**pio));
    if (!*pio)
        return error_set(err, ENOMEM, "out of memory for the port space");
    return 0;
}

void pio_destroy(struct pio *pio)
{
    if (!pio)
        return;
    free(pio->entries);
    free(pio);
}

int pio_add(struct pio *pio, struct pio_range *range)
{
    if (!range->count || (uint32_t)range->first + range->count > PORTS)
        return -EINVAL;
    for (size_t i = 0; i < pio->count; i++)
        if (pio->entries[i].range == range)
            return -EEXIST;
    if (pio->count == pio->room) {
        size_t room = pio->room ? pio->room * 2 : 64;
        struct pio_entry *entries = realloc(pio->entries, room * sizeof(*entries));
        if (!entries)
            return -ENOMEM;
        pio->entries = entries;
        pio->room = room;
    }
    pio->entries[pio->count++] = (struct pio_entry){range, range->first, range->count};
    for (uint32_t port = range->first; port < (uint32_t)range->first + range->count; port++)
        pio->owner[port] = range;
    return 0;
}

void pio_remove(struct pio *pio, struct pio_range *range)
{
    size_t at = 0;
    while (at < pio->count && pio->entries[at].range != range)
        at++;
    if (at == pio->count)
        return;
    uint32_t first = pio->entries[at].first, end = first + pio->entries[at].count;
    memmove(&pio->entries[at], &pio->entries[at + 1],
            (pio->count - at - 1) * sizeof(*pio->entries));
    pio->count--;

    memset(&pio->owner[first], 0, (end - first) * sizeof(pio->owner[0]));
    for (size_t i = 0; i < pio->count; i++) {
        const struct pio_entry *entry = &pio->entries[i];
        uint32_t from = entry->first > first ? entry->first : first;
        uint32_t to = entry->first + entry->count < end ? entry->first + entry->count : end;
        for (uint32_t port = from; port < to; port++)
            pio->owner[port] = entry->range;
    }
}

/* Does one range own all of [port, port+size)? */
static bool undivided(const struct pio *pio, uint16_t port, unsigned size)
{
    if ((uint32_t)port + size > PORTS)
        return false;
    for (unsigned i = 1; i < size; i++)
        if (pio->owner[port + i] != pio->owner[port])
            return false;
    return true;
}

uint32_t pio_read(struct pio *pio, uint16_t port, unsigned size)
{
    if (!undivided(pio, port, size)) {
        uint32_t value = 0;
        for (unsigned i = 0; i < size; i++)
            value |= pio_read(pio, (uint16_t)(port + i), 1) << (i * 8);
        return value;
    }
    const struct pio_range *range = pio->owner[port];
    if (!range) {
        log_limited(LOG_IO, "pio: read of %u bytes from port 0x%04x: nobody there", size, port);
        return (uint32_t)ones(size);
    }
    return (uint32_t)io_read(range->ops, range->opaque, (uint64_t)(port - range->first), size);
}

void pio_write(struct pio *pio, uint16_t port, uint32_t value, unsigned size)
{
    if (!undivided(pio, port, size)) {
        for (unsigned i = 0; i < size; i++)
            pio_write(pio, (uint16_t)(port + i), (value >> (i * 8)) & 0xff, 1);
        return;
    }
    const struct pio_range *range = pio->owner[port];
    if (!range) {
        log_limited(LOG_IO, "pio: write of 0x%x, %u bytes, to port 0x%04x: nobody there", value,
                    size, port);
        return;
    }
    io_write(range->ops, range->opaque, (uint64_t)(port - range->first), value, size);
}

void pio_walk(struct pio *pio,
              void (*fn)(void *opaque, uint16_t first, uint32_t count, const char *name),
              void *opaque)
{
    for (uint32_t first = 0, end; first < PORTS; first = end) {
        const struct pio_range *range = pio->owner[first];
        for (end = first + 1; end < PORTS && pio->owner[end] == range;)
            end++;
        if (range)
            fn(opaque, (uint16_t)first, end - first, range->name);
    }
}
