/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Windows: the views of guest RAM that translated code reaches it through.
 *
 * Each struct ram is mapped four times: writable and read-only, and each of those *even* and *odd*.
 * In the even view every odd page is a guard page, in the odd view every even page. A page is shown
 * through the view of its own parity, so an access that runs over its end lands on a guard, faults,
 * and is done right by the slow path. Guards are put in as pages come into use. Around a view lie
 * reserved pages, so what runs over its ends faults too.
 *
 * On a kernel without guard pages for shared memory (before 6.15) there are two views, and
 * `guarded` is false: translated code compares addresses instead.
 */
#ifndef ENGINE_DBT_WINDOW_H
#define ENGINE_DBT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/ram.h"

struct window;

struct windows {
    struct window *list; /* private to window.c */
    bool guarded;
};

/* Does the host have guard pages for shared memory? */
bool window_guards(void);

/* `without`: does not use them, though the host may have them. */
void windows_create(struct windows *windows, bool without);
void windows_destroy(struct windows *windows);

/* The host address of a page of ram (page < size / PAGE_SIZE), to read or also to write. NULL: it
 * could not be mapped. */
uint8_t *window_page(struct windows *windows, struct ram *ram, uint64_t page, bool writable);

/* The RAM and its page that a host address in a view shows; NULL: it is in none. */
const struct ram *window_find(const struct windows *windows, const void *host, uint64_t *page);

#endif
