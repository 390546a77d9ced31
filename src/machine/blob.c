/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine/blob.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"

static bool make_room(struct blob *blob, size_t length)
{
    if (blob->failed)
        return false;
    if (length <= blob->capacity - blob->length)
        return true;
    size_t capacity = 2 * (blob->capacity + length);
    uint8_t *bytes = realloc(blob->bytes, capacity);
    if (!bytes) {
        blob->failed = true;
        return false;
    }
    blob->bytes = bytes;
    blob->capacity = capacity;
    return true;
}

void blob_add(struct blob *blob, const void *bytes, size_t length)
{
    if (length == 0 || !make_room(blob, length))
        return;
    memcpy(blob->bytes + blob->length, bytes, length);
    blob->length += length;
}

void blob_add_le(struct blob *blob, uint64_t value, unsigned size)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    blob_add(blob, bytes, size);
}

void blob_add_zeros(struct blob *blob, size_t length)
{
    if (length == 0 || !make_room(blob, length))
        return;
    memset(blob->bytes + blob->length, 0, length);
    blob->length += length;
}

void blob_add_string(struct blob *blob, const char *text)
{
    blob_add(blob, text, strlen(text) + 1);
}

void blob_align(struct blob *blob, size_t power_of_two)
{
    blob_add_zeros(blob, (size_t)round_up(blob->length, power_of_two) - blob->length);
}

void blob_set_le(struct blob *blob, size_t at, uint64_t value, unsigned size)
{
    if (blob->failed)
        return;
    assert(at <= blob->length && size <= blob->length - at);
    store_le(blob->bytes + at, value, size);
}

void blob_free(struct blob *blob)
{
    free(blob->bytes);
    *blob = (struct blob){0};
}
