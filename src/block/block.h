/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Disk images as a run of 512-byte sectors, read and written asynchronously. Formats are behind it
 * (raw now, qcow2 later), and the snapshot overlay of -snapshot.
 *
 * All under the VM lock; completions run on the main loop's thread under the VM lock, never from
 * inside the submitting call. Worker threads do the I/O on host buffers.
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct loop;
struct block;

#define SECTOR_SIZE 512u

struct block_options {
    const char *path;
    const char *format; /* "raw", or NULL: probed; a probed raw image says so once, as in QEMU */
    bool read_only;
    bool snapshot; /* writes go to a temporary overlay and are forgotten */
};

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH };

/* One request. The struct and the buffer are the caller's and stay until done is called.
 * result: 0 or a negative errno. */
struct block_request {
    enum block_op op;
    uint64_t sector;
    uint32_t sectors;
    void *buffer;
    void (*done)(struct block_request *request, int result);
    void *opaque;
    /* private to block/: all zero before the first use */
    struct block *block; /* while it is in flight */
    struct block_request *next;
    int result;
};

/* Opens an image. A directory, a missing or unreadable file, an unknown format: a clear error. A
 * file that can only be read, opened for writing, is an error that names readonly=on. A length that
 * is no multiple of 512 is padded with zeros on reading. Takes a lock on the file (advisory, OFD)
 * so that two writers are refused with a message naming the file. */
int block_open(struct block **block, struct loop *loop, const struct block_options *options,
               struct error *err);

/* Waits for what is in flight, flushes, closes. Completions not delivered by then never are. NULL
 * is fine. */
void block_close(struct block *block);

uint64_t block_sectors(const struct block *block);
bool block_read_only(const struct block *block);
const char *block_path(const struct block *block);

/* Requests complete in any order; a flush completes when all writes that completed before it was
 * submitted are on stable storage. Out of range: -EINVAL; a file that shrank: reads past its end
 * give -EIO. */
void block_submit(struct block *block, struct block_request *request);

/* Takes a request back, for a reset: one that waits is forgotten, one that runs is waited for. done
 * is not called after it, and the struct and the buffer are the caller's again. A request that is
 * not in flight is fine. */
void block_cancel(struct block_request *request);

/* Reads at once, for set-up (partition tables, geometry): 0 or a negative errno. It waits for the
 * disk, so not for what a guest does at will. */
int block_read_now(struct block *block, uint64_t sector, void *buffer, uint32_t sectors);

/* Waits, letting the loop run no callbacks, until nothing is in flight; completions that became
 * ready are delivered by the loop afterwards. For pause and close. */
void block_drain(struct block *block);

/* Cumulative counters for `info blockstats`. */
struct block_stats {
    uint64_t read_ops, write_ops, flush_ops, read_bytes, write_bytes;
};
struct block_stats block_get_stats(const struct block *block);

#endif
