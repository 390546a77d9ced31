/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/keyval.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Copies the item at *cursor without its doubled commas and moves *cursor past it and its comma. */
static void take_item(const char **cursor, char *item)
{
    const char *from = *cursor;
    while (*from) {
        if (*from == ',') {
            if (from[1] != ',') {
                from++;
                break;
            }
            from++;
        }
        *item++ = *from++;
    }
    *item = '\0';
    *cursor = from;
}

/* An item's own "=" stands before any comma, so looking at the raw text would find the same. */
static int give_item(char *item, const char *implied,
                     int (*fn)(void *opaque, const char *key, const char *value, struct error *err),
                     void *opaque, struct error *err)
{
    char *equals = strchr(item, '=');
    if (!equals && implied)
        return fn(opaque, implied, item, err);
    if (!equals)
        return fn(opaque, item, NULL, err);
    *equals = '\0';
    return fn(opaque, item, equals + 1, err);
}

int keyval_split(const char *text, const char *implied,
                 int (*fn)(void *opaque, const char *key, const char *value, struct error *err),
                 void *opaque, struct error *err)
{
    char *item = malloc(strlen(text) + 1);
    if (!item)
        return error_set(err, ENOMEM, "no memory for an option's value");
    int ret = 0;
    for (const char *cursor = text; *cursor && ret == 0; implied = NULL) {
        take_item(&cursor, item);
        ret = give_item(item, implied, fn, opaque, err);
    }
    free(item);
    return ret;
}

static bool is_one_of(const char *text, const char *const *words)
{
    while (*words && strcmp(text, *words) != 0)
        words++;
    return *words;
}

int keyval_switch(const char *name, const char *text, bool *value, struct error *err)
{
    static const char *const on[] = {"on", "yes", "true", "y", NULL};
    static const char *const off[] = {"off", "no", "false", "n", NULL};
    if (!is_one_of(text, on) && !is_one_of(text, off))
        return error_set(err, EINVAL, "%s=%.60s: allowed: on, off", name, text);
    *value = is_one_of(text, on);
    return 0;
}
