/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The tagged stream. Little-endian; one object is
 *
 *     name       byte of length, then that many bytes
 *     version    u32
 *     length     u32, of all the fields that follow
 *     fields     each: name as above, u8 kind, u32 size of an element, u32 count, u32 length, data
 *
 * where the data of a STATE_STRUCT field are `count` objects, one after the other.
 *
 * Loading goes over the stream twice: once to check everything, writing nothing, and once to store.
 * Should a `loaded` function then refuse, the object gets back what it was from a saved copy.
 */
#include "state/state.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { DESCRIBED_BYTES = 64 };

static int put(struct state_buffer *out, const void *data, size_t length)
{
    if (out->room - out->length < length) {
        size_t room = out->room ? out->room : 256;
        while (room - out->length < length)
            room *= 2;
        uint8_t *grown = realloc(out->data, room);
        if (!grown)
            return -ENOMEM;
        out->data = grown;
        out->room = room;
    }
    if (length)
        memcpy(out->data + out->length, data, length);
    out->length += length;
    return 0;
}

static int put_u32(struct state_buffer *out, uint32_t value)
{
    uint8_t bytes[4];
    store_le32(bytes, value);
    return put(out, bytes, sizeof(bytes));
}

static int put_name(struct state_buffer *out, const char *name)
{
    size_t length = strlen(name);
    assert(length <= UINT8_MAX);
    uint8_t byte = (uint8_t)length;
    int rc = put(out, &byte, 1);
    return rc ? rc : put(out, name, length);
}

/* In the stream a bool is a number of one byte. */
static uint8_t stream_kind(enum state_kind kind)
{
    return (uint8_t)(kind == STATE_BOOL ? STATE_UINT : kind);
}

static int save_data(const struct state_field *field, const uint8_t *at, struct state_buffer *out)
{
    if (field->kind != STATE_STRUCT)
        return put(out, at, (size_t)field->size * field->count);
    for (uint32_t i = 0; i < field->count; i++) {
        int rc = state_save(field->sub, at + (size_t)i * field->size, out);
        if (rc)
            return rc;
    }
    return 0;
}

static int save_field(const struct state_field *field, const uint8_t *object,
                      struct state_buffer *out)
{
    uint8_t kind = stream_kind(field->kind);
    int rc = put_name(out, field->name);
    if (!rc)
        rc = put(out, &kind, 1);
    if (!rc)
        rc = put_u32(out, field->size);
    if (!rc)
        rc = put_u32(out, field->count);
    size_t length_at = out->length;
    if (!rc)
        rc = put_u32(out, 0);
    if (!rc)
        rc = save_data(field, object + field->offset, out);
    if (!rc)
        store_le32(out->data + length_at, (uint32_t)(out->length - length_at - 4));
    return rc;
}

int state_save(const struct state_table *table, const void *object, struct state_buffer *out)
{
    size_t start = out->length;
    int rc = put_name(out, table->name);
    if (!rc)
        rc = put_u32(out, table->version);
    size_t length_at = out->length;
    if (!rc)
        rc = put_u32(out, 0);
    for (size_t i = 0; !rc && i < table->field_count; i++)
        rc = save_field(&table->fields[i], object, out);
    if (rc)
        out->length = start;
    else
        store_le32(out->data + length_at, (uint32_t)(out->length - length_at - 4));
    return rc;
}

/* What is left of the stream. Every take_ checks it. */
struct reader {
    const uint8_t *at;
    size_t left;
};

static bool take(struct reader *in, size_t length, struct reader *part)
{
    if (in->left < length)
        return false;
    *part = (struct reader){in->at, length};
    in->at += length;
    in->left -= length;
    return true;
}

static bool take_u8(struct reader *in, uint8_t *value)
{
    struct reader part;
    if (!take(in, 1, &part))
        return false;
    *value = *part.at;
    return true;
}

static bool take_u32(struct reader *in, uint32_t *value)
{
    struct reader part;
    if (!take(in, 4, &part))
        return false;
    *value = load_le32(part.at);
    return true;
}

static bool take_name(struct reader *in, struct reader *name)
{
    uint8_t length;
    return take_u8(in, &length) && take(in, length, name);
}

static bool name_is(const struct reader *name, const char *want)
{
    return strlen(want) == name->left && !memcmp(want, name->at, name->left);
}

static int truncated(const struct state_table *table, struct error *err)
{
    return error_set(err, EINVAL, "the saved state of '%s' is cut off or damaged", table->name);
}

static int load_object(const struct state_table *table, uint8_t *object, bool store,
                       struct reader *in, struct error *err);

static int load_data(const struct state_table *table, const struct state_field *field, uint8_t *at,
                     bool store, struct reader *data, struct error *err)
{
    if (field->kind == STATE_STRUCT) {
        for (uint32_t i = 0; i < field->count; i++) {
            int rc = load_object(field->sub, at + (size_t)i * field->size, store, data, err);
            if (rc)
                return rc;
        }
        return data->left ? truncated(table, err) : 0;
    }
    if (data->left != (size_t)field->size * field->count)
        return truncated(table, err);
    for (size_t i = 0; field->kind == STATE_BOOL && i < data->left; i++)
        if (data->at[i] > 1)
            return error_set(err, EINVAL, "the saved state of '%s': '%s' is %u, neither 0 nor 1",
                             table->name, field->name, data->at[i]);
    if (store)
        memcpy(at, data->at, data->left);
    return 0;
}

static int load_field(const struct state_table *table, uint8_t *object, bool store,
                      struct reader *in, struct error *err)
{
    struct reader name, data;
    uint8_t kind;
    uint32_t size, count, length;
    if (!take_name(in, &name) || !take_u8(in, &kind) || !take_u32(in, &size) ||
        !take_u32(in, &count) || !take_u32(in, &length) || !take(in, length, &data))
        return truncated(table, err);
    const struct state_field *field = table->fields;
    const struct state_field *end = field + table->field_count;
    while (field < end && !name_is(&name, field->name))
        field++;
    if (field == end)
        return 0;
    /* The size of a struct is how it was compiled; what it holds is checked field by field. */
    if (kind != stream_kind(field->kind) || count != field->count ||
        (field->kind != STATE_STRUCT && size != field->size))
        return error_set(err, EINVAL, "the saved state of '%s': '%s' has another shape here",
                         table->name, field->name);
    return load_data(table, field, object + field->offset, store, &data, err);
}

/* The depth of the recursion is that of our own tables: unknown fields are stepped over whole. */
static int load_object(const struct state_table *table, uint8_t *object, bool store,
                       struct reader *in, struct error *err)
{
    struct reader name, fields;
    uint32_t version, length;
    if (!take_name(in, &name) || !take_u32(in, &version) || !take_u32(in, &length) ||
        !take(in, length, &fields))
        return truncated(table, err);
    if (!name_is(&name, table->name))
        return error_set(err, EINVAL, "the saved state of '%s' was expected, but '%.*s' is there",
                         table->name, (int)(name.left < 64 ? name.left : 64),
                         (const char *)name.at);
    if (version > table->version)
        return error_set(err, ENOTSUP,
                         "the saved state of '%s' is of version %u, this program knows up to %u: "
                         "load it with the program that saved it, or a newer one",
                         table->name, version, table->version);
    while (fields.left) {
        int rc = load_field(table, object, store, &fields, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* Inner objects first. */
static int tell_loaded(const struct state_table *table, uint8_t *object, struct error *err)
{
    for (size_t i = 0; i < table->field_count; i++) {
        const struct state_field *field = &table->fields[i];
        for (uint32_t n = 0; field->kind == STATE_STRUCT && n < field->count; n++) {
            int rc = tell_loaded(field->sub, object + field->offset + (size_t)n * field->size, err);
            if (rc)
                return rc;
        }
    }
    return table->loaded ? table->loaded(object, err) : 0;
}

int state_load(const struct state_table *table, void *object, const uint8_t *data, size_t length,
               size_t *used, struct error *err)
{
    struct reader in = {data, length};
    int rc = load_object(table, object, false, &in, err);
    if (rc)
        return rc;
    size_t taken = length - in.left;

    struct state_buffer before = {0};
    if (state_save(table, object, &before)) {
        free(before.data);
        return error_set(err, ENOMEM, "out of memory for the saved state of '%s'", table->name);
    }
    in = (struct reader){data, length};
    load_object(table, object, true, &in, err);
    rc = tell_loaded(table, object, err);
    if (rc) {
        in = (struct reader){before.data, before.length};
        load_object(table, object, true, &in, NULL);
        tell_loaded(table, object, NULL);
    } else if (used) {
        *used = taken;
    }
    free(before.data);
    return rc;
}

static void describe(FILE *out, const char *prefix, const struct state_table *table,
                     const uint8_t *object);

static void describe_numbers(FILE *out, const struct state_field *field, const uint8_t *at)
{
    for (uint32_t i = 0; i < field->count; i++, at += field->size) {
        fputs(i ? " " : "", out);
        if (field->size <= 8)
            fprintf(out, "0x%llx", (unsigned long long)load_le(at, field->size));
        for (uint32_t n = field->size; field->size > 8 && n > 0; n--)
            fprintf(out, "%02x", at[n - 1]);
    }
}

static void describe_bytes(FILE *out, const struct state_field *field, const uint8_t *at)
{
    size_t length = (size_t)field->size * field->count;
    for (size_t i = 0; i < length && i < DESCRIBED_BYTES; i++)
        fprintf(out, "%02x", at[i]);
    if (length > DESCRIBED_BYTES)
        fprintf(out, "... (%zu bytes)", length);
}

static void describe_structs(FILE *out, const char *prefix, const struct state_field *field,
                             const uint8_t *at)
{
    for (uint32_t i = 0; i < field->count; i++, at += field->size) {
        char inner[256];
        if (field->count > 1)
            snprintf(inner, sizeof(inner), "%s%s[%u].", prefix, field->name, i);
        else
            snprintf(inner, sizeof(inner), "%s%s.", prefix, field->name);
        describe(out, inner, field->sub, at);
    }
}

static void describe(FILE *out, const char *prefix, const struct state_table *table,
                     const uint8_t *object)
{
    for (size_t i = 0; i < table->field_count; i++) {
        const struct state_field *field = &table->fields[i];
        const uint8_t *at = object + field->offset;
        if (field->kind == STATE_STRUCT) {
            describe_structs(out, prefix, field, at);
            continue;
        }
        fprintf(out, "%s%s=", prefix, field->name);
        if (field->kind == STATE_BYTES)
            describe_bytes(out, field, at);
        else
            describe_numbers(out, field, at);
        fputc('\n', out);
    }
}

char *state_describe(const struct state_table *table, const void *object)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    describe(out, "", table, object);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}
