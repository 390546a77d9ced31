/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The small grammar under QEMU's options: sizes, switches, key=value lists, and the words an error
 * message is made of.
 */
#include "config/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/keyval.h"

static int unit_shift(char letter)
{
    static const char letters[] = "bkmgtpe";
    const char *at = letter ? strchr(letters, tolower((unsigned char)letter)) : NULL;
    return at ? (int)(at - letters) * 10 : -1;
}

static int bad_size(struct error *err, const char *text)
{
    return error_set(err, EINVAL,
                     "'%s' is not a size; write a number with an optional suffix of k, M, G or T",
                     text);
}

/* The digits after the point, as a fraction of 2^32. Digits that no longer matter are skipped. */
static uint64_t parse_fraction(const char **text)
{
    uint64_t numerator = 0, denominator = 1;
    for (; isdigit((unsigned char)**text); (*text)++) {
        if (denominator < 1000000000) {
            numerator = numerator * 10 + (uint64_t)(**text - '0');
            denominator *= 10;
        }
    }
    return (numerator << 32) / denominator;
}

int config_parse_size(const char *text, uint64_t default_unit, uint64_t *bytes, struct error *err)
{
    if (!isdigit((unsigned char)text[0]))
        return bad_size(err, text);
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    if (hex && !isxdigit((unsigned char)text[2]))
        return bad_size(err, text);
    char *end;
    errno = 0;
    unsigned long long whole = strtoull(text, &end, hex ? 16 : 10);
    bool overflow = errno == ERANGE;
    uint64_t fraction = 0;
    const char *rest = end;
    if (!hex && *rest == '.') {
        rest++;
        fraction = parse_fraction(&rest);
    }
    uint64_t unit = default_unit;
    if (*rest) {
        int shift = unit_shift(*rest);
        if (shift < 0 || rest[1])
            return bad_size(err, text);
        unit = (uint64_t)1 << shift;
    }
    /* Only what is below one unit can be lost here: unit is at most 2^60 and fraction 2^32. */
    unsigned __int128 total =
        (unsigned __int128)whole * unit + (((unsigned __int128)fraction * unit) >> 32);
    if (overflow || total > INT64_MAX)
        return error_set(err, ERANGE, "'%s' is too large a size", text);
    *bytes = (uint64_t)total;
    return 0;
}

int config_split(const char *text,
                 int (*fn)(void *opaque, const char *key, const char *value, struct error *err),
                 void *opaque, struct error *err)
{
    return keyval_split(text, NULL, fn, opaque, err);
}

#define NEAREST_MAX 31

/* Levenshtein's distance with swapped neighbours counted once; words up to NEAREST_MAX long. */
static unsigned edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned row[3][NEAREST_MAX + 1];
    for (size_t j = 0; j <= b_length; j++)
        row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        unsigned *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[a_length % 3][b_length];
}

const char *config_nearest(const char *word, const char *const *candidates)
{
    size_t length = strlen(word);
    if (length == 0 || length > NEAREST_MAX)
        return NULL;
    const char *nearest = NULL;
    unsigned best = (unsigned)(length + 2) / 3; /* more than a third wrong is another word */
    for (; *candidates; candidates++) {
        size_t other = strlen(*candidates);
        if (other > NEAREST_MAX)
            continue;
        unsigned distance = edit_distance(word, length, *candidates, other);
        if (distance < best || (distance == best && !nearest)) {
            best = distance;
            nearest = *candidates;
        }
    }
    return nearest;
}

int option_unfit(struct error *err, const char *what, const char *word, const char *const *allowed)
{
    char list[320] = "";
    size_t used = 0;
    for (const char *const *at = allowed; *at && used < sizeof(list); at++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
                                 at == allowed ? "" : ", ", *at);
    const char *near = config_nearest(word, allowed);
    if (near)
        return error_set(err, EINVAL, "%s '%.60s' is not known; did you mean '%s'? (allowed: %s)",
                         what, word, near, list);
    return error_set(err, EINVAL, "%s '%.60s' is not known or not supported; allowed: %s", what,
                     word, list);
}

struct key_search {
    const struct option_key *keys;
    void *opaque;
};

static int set_key(void *opaque, const char *key, const char *value, struct error *err)
{
    struct key_search *search = opaque;
    const char *names[32];
    size_t count = 0;
    for (const struct option_key *at = search->keys; at->name; at++) {
        if (strcmp(key, at->name) == 0) {
            if (!value && !at->is_switch)
                return error_set(err, EINVAL, "%s needs a value: %s=...", key, key);
            return at->set(search->opaque, value ? value : "on", err);
        }
        if (count < ARRAY_LEN(names) - 1)
            names[count++] = at->name;
    }
    names[count] = NULL;
    return option_unfit(err, "parameter", key, names);
}

int option_apply_keys(const char *option, const char *text, const char *implied,
                      const struct option_key *keys, void *opaque, struct error *err)
{
    struct key_search search = {keys, opaque};
    int ret = keyval_split(text, implied, set_key, &search, err);
    if (ret < 0)
        error_prefix(err, "%s", option);
    return ret;
}

bool option_is(const char *text, const char *const *allowed)
{
    for (; *allowed; allowed++)
        if (strcmp(text, *allowed) == 0)
            return true;
    return false;
}

bool option_is_help(const char *text)
{
    return strcmp(text, "help") == 0 || strcmp(text, "?") == 0;
}

int option_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *value,
                  struct error *err)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = 0;
    if (isdigit((unsigned char)text[0]))
        number = strtoull(text, &end, 0);
    if (!end || *end || errno == ERANGE || number < min || number > max)
        return error_set(err, EINVAL, "%s=%.60s: allowed: a number from %" PRIu64 " to %" PRIu64,
                         name, text, min, max);
    *value = number;
    return 0;
}

int option_id(const char *name, const char *text, struct error *err)
{
    bool good = isalpha((unsigned char)text[0]) && strlen(text) < 64;
    for (const char *at = text; *at; at++)
        good = good && (isalnum((unsigned char)*at) || strchr("-._", *at));
    if (good)
        return 0;
    return error_set(err, EINVAL,
                     "%s=%.60s: allowed: a letter, then up to 62 letters, digits, '-', '.', '_'",
                     name, text);
}

int option_string(char **slot, const char *text, struct error *err)
{
    char *copy = strdup(text);
    if (!copy)
        return error_set(err, ENOMEM, "no memory for an option's value");
    free(*slot);
    *slot = copy;
    return 0;
}

int option_path(char **slot, const char *text, struct error *err)
{
    if (!*text)
        return error_set(err, EINVAL, "the file name is empty");
    return option_string(slot, text, err);
}

void *option_grow(void **array, size_t *count, size_t size, struct error *err)
{
    char *grown = reallocarray(*array, *count + 1, size);
    if (!grown) {
        error_set(err, ENOMEM, "no memory for the options");
        return NULL;
    }
    *array = grown;
    char *element = grown + *count * size;
    memset(element, 0, size);
    (*count)++;
    return element;
}

int option_append(char ***list, size_t *count, const char *text, struct error *err)
{
    char *copy = strdup(text);
    char **slot = copy ? option_grow((void **)list, count, sizeof(char *), err) : NULL;
    if (!slot) {
        free(copy);
        return error_set(err, ENOMEM, "no memory for the options");
    }
    *slot = copy;
    return 0;
}
