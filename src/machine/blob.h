/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bytes that grow while a table is written. A lack of memory is remembered: what comes after does
 * nothing, and who finishes the table looks at `failed` once. Set-up time.
 */
#ifndef MACHINE_BLOB_H
#define MACHINE_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blob {
    uint8_t *bytes;
    size_t length;
    size_t capacity;
    bool failed;
};

void blob_add(struct blob *blob, const void *bytes, size_t length);
/* A little-endian number of 1 to 8 bytes. */
void blob_add_le(struct blob *blob, uint64_t value, unsigned size);
void blob_add_zeros(struct blob *blob, size_t length);
/* With its NUL. */
void blob_add_string(struct blob *blob, const char *text);
/* Zeros up to a multiple of a power of two. */
void blob_align(struct blob *blob, size_t power_of_two);
/* A number over bytes that are there. Does nothing after a failure. */
void blob_set_le(struct blob *blob, size_t at, uint64_t value, unsigned size);
void blob_free(struct blob *blob);

#endif
