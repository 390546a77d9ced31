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
 * On a kernel without guard pages for shared memory (before 6.15) views begin closed and each page
 * that comes into use is opened with mprotect. To the kernel it is then a mapping of its own, and
 * it allows a process a number of those only (vm.max_map_count): when they are used up all pages
 * are closed, and those still needed are opened again.
 */
#ifndef ENGINE_DBT_WINDOW_H
#define ENGINE_DBT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/ram.h"

struct window;

struct windows {
    struct window *list;  /* private to window.c, as all but `full` */
    bool guarded;         /* with guard pages, else page by page: */
    unsigned open, limit; /* pages */
    bool full;            /* no page could be opened: windows_close helps */
};

/* Does the host have guard pages for shared memory? */
bool window_guards(void);

/* `without`: does not use them, though the host may have them. */
void windows_create(struct windows *windows, bool without);
void windows_destroy(struct windows *windows);

/* The host address of a page of ram (page < size / PAGE_SIZE), to read or also to write. NULL: it
 * could not be mapped, or not now (`full`). */
uint8_t *window_page(struct windows *windows, struct ram *ram, uint64_t page, bool writable);

/* The address that window_page gave or would give; NULL: it was not asked for any page of ram. */
uint8_t *window_address(const struct windows *windows, const struct ram *ram, uint64_t page,
                        bool writable);

/* Takes back all that window_page gave: nobody may hold any of it. */
void windows_close(struct windows *windows);

/* The RAM and its page that a host address in a view shows; NULL: it is in none, or between the
 * pages that its view shows. */
const struct ram *window_find(const struct windows *windows, const void *host, uint64_t *page);

#endif
