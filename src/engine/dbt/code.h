/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory for translated code: mapped twice, written through one mapping and run through the other,
 * so that no page is ever writable and executable at once. Its first half is for code that runs,
 * the second for what is hardly ever run, so that the first is dense. Both are filled from the
 * bottom, and given back whole. One thread uses it.
 */
#ifndef ENGINE_DBT_CODE_H
#define ENGINE_DBT_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct translation;

struct code_memory {
    uint8_t *write, *run;
    size_t size, used, fixed;  /* bytes; the first `fixed` are never given back */
    size_t cold;               /* used of the second half */
    struct translation **list; /* by address, ascending */
    size_t count, limit;
    uint8_t *notes; /* what the translations are in: `size` bytes, filled from the bottom too */
    size_t notes_used;
};

int code_create(struct code_memory *code, size_t size, struct error *err);
void code_destroy(struct code_memory *code);

static inline uint8_t *code_writable(const struct code_memory *code, const uint8_t *run)
{
    return code->write + (run - code->run);
}
static inline bool code_has(const struct code_memory *code, const void *run)
{
    return (uintptr_t)run - (uintptr_t)code->run < code->size;
}

/* Is there no room for another `hot` and `cold` bytes? */
bool code_full(const struct code_memory *code, size_t hot, size_t cold);

/* Zeroed room for what is to be known of a translation, until code_clear. NULL: there is none. */
void *code_note(struct code_memory *code, size_t bytes);

/* Takes note of a translation whose code was written at the ends; used and cold grow. */
bool code_add(struct code_memory *code, struct translation *translation);

/* The translation that holds the address; NULL if none. From a signal handler too. */
struct translation *code_find(const struct code_memory *code, const void *run);

/* Frees all translations. */
void code_clear(struct code_memory *code);

#endif
