/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How a device answers a load or a store, and the port space.
 *
 * A device gets offsets into its region, never addresses. Accesses arrive in sizes from min to max
 * only: a wider access is split into max-sized ones at ascending offsets, a narrower one is made of
 * a min-sized read (the asked bytes are cut out) or, for a write, passed at its own size to a
 * device whose min is 1 and dropped with a log line otherwise. All under the VM lock.
 */
#ifndef MEM_IO_H
#define MEM_IO_H

#include <stdbool.h>
#include <stdint.h>

struct error;

struct io_ops {
    /* size is 1, 2, 4 or 8. Bits above size*8 of what read returns are ignored. */
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
    void (*write)(void *opaque, uint64_t offset, uint64_t value, unsigned size);
    uint8_t min_size, max_size; /* 0: min 1, max 4 */
};

/* Applies the width rules above; offset and size as the guest asked. */
uint64_t io_read(const struct io_ops *ops, void *opaque, uint64_t offset, unsigned size);
void io_write(const struct io_ops *ops, void *opaque, uint64_t offset, uint64_t value,
              unsigned size);

/* The 64 KiB of port space. A range registered later hides earlier ones where they overlap, until
 * it is removed. Ports nobody has read as all ones and ignore writes. */
struct pio;

struct pio_range {
    const char *name;
    uint16_t first;
    uint16_t count;
    const struct io_ops *ops;
    void *opaque;
};

int pio_create(struct pio **pio, struct error *err);
void pio_destroy(struct pio *pio);

/* The pio_range is the caller's and must stay until pio_remove. first+count may not pass 0x10000.
 */
int pio_add(struct pio *pio, struct pio_range *range);
void pio_remove(struct pio *pio, struct pio_range *range);

/* size 1, 2 or 4. An access that starts in one range and runs past its end is split by bytes, and
 * one that runs past port 0xffff wraps to 0. */
uint32_t pio_read(struct pio *pio, uint16_t port, unsigned size);
void pio_write(struct pio *pio, uint16_t port, uint32_t value, unsigned size);

/* For `info mtree`: calls back for each run of ports with one owner, ascending. */
void pio_walk(struct pio *pio,
              void (*fn)(void *opaque, uint16_t first, uint32_t count, const char *name),
              void *opaque);

#endif
