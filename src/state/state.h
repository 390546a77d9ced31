/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Field tables: what a chip *is*, as data. Snapshot, migration, `info` and tests read them, so a
 * device is not finished without one. The stream is tagged by field name: a reader skips what it
 * does not know and keeps the default of what is missing.
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct error;
struct state_table;

enum state_kind {
    STATE_UINT,   /* unsigned, `size` bytes, host order */
    STATE_BYTES,  /* `size` bytes as they are */
    STATE_STRUCT, /* described by `sub`, `size` bytes each */
    STATE_BOOL,   /* a bool: loads as 0 or 1 or not at all */
};

struct state_field {
    const char *name;
    enum state_kind kind;
    uint32_t offset; /* in the struct */
    uint32_t size;   /* of one element */
    uint32_t count;  /* elements; 1 if not an array */
    const struct state_table *sub;
};

struct state_table {
    const char *name;
    unsigned version;
    const struct state_field *fields;
    size_t field_count;
    /* Called after a load, to derive what is not state (timers, lines). May be NULL. Negative
     * errno when the loaded values cannot be. */
    int (*loaded)(void *object, struct error *err);
};

/* bool members are told apart, so that no stream can make one that is neither true nor false. */
#define STATE_KIND(lvalue) _Generic((lvalue), bool : STATE_BOOL, default : STATE_UINT)
#define STATE_FIELD(type, member)                                         \
    {                                                                     \
#member, STATE_KIND(((type *)0)->member), offsetof(type, member), \
            sizeof(((type *)0)->member), 1, NULL                          \
    }
#define STATE_ARRAY(type, member)                                                \
    {                                                                            \
#member, STATE_KIND(((type *)0)->member[0]), offsetof(type, member),     \
            sizeof(((type *)0)->member[0]), ARRAY_LEN(((type *)0)->member), NULL \
    }
#define STATE_BLOB(type, member)                                                           \
    {                                                                                      \
#member, STATE_BYTES, offsetof(type, member), sizeof(((type *)0)->member), 1, NULL \
    }
#define STATE_SUB(type, member, table)                                                       \
    {                                                                                        \
#member, STATE_STRUCT, offsetof(type, member), sizeof(((type *)0)->member), 1, table \
    }
#define STATE_SUB_ARRAY(type, member, table)                                           \
    {                                                                                  \
#member, STATE_STRUCT, offsetof(type, member), sizeof(((type *)0)->member[0]), \
            ARRAY_LEN(((type *)0)->member), table                                      \
    }
/* The whole table, from an array of fields. */
#define STATE_TABLE(name_, version_, fields_, loaded_)                                            \
    {                                                                                             \
        .name = name_, .version = version_, .fields = fields_, .field_count = ARRAY_LEN(fields_), \
        .loaded = loaded_                                                                         \
    }

/* A growing byte buffer that a stream is written to. Zero-initialise; free(data) when done. */
struct state_buffer {
    uint8_t *data;
    size_t length, room;
};

/* Appends object's fields. -ENOMEM or 0. */
int state_save(const struct state_table *table, const void *object, struct state_buffer *out);

/* Reads one object back from data; *used is how many bytes it took. The stream is hostile: bounds,
 * names and sizes are checked. On error the object is as it was. */
int state_load(const struct state_table *table, void *object, const uint8_t *data, size_t length,
               size_t *used, struct error *err);

/* "name=value" lines for people; the caller frees. */
char *state_describe(const struct state_table *table, const void *object);

#endif
