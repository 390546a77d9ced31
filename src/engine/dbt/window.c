/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/dbt/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"

/* Linux 6.13; for shared memory 6.15. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum {
    MARGIN = 1 << 16,  /* reserved around each view, bytes */
    CHUNK = 64,        /* pages that get their guards at once */
    VIEW_WRITABLE = 1, /* view number: bit 0 writable, bit 1 odd */
    VIEW_ODD = 2,
    VIEWS = 4,
    MAPS_DEFAULT = 65530, /* vm.max_map_count */
};

struct window {
    struct window *next;
    struct ram *ram;
    uint8_t *area;
    uint64_t area_size;
    uint8_t *views[VIEWS];
    uint8_t *chunks; /* with guard pages. Bit n: view n of this chunk has its guards */
    uint8_t *open;   /* without. Bits of each view of two, writable or not: the page is open */
};

bool window_guards(void)
{
    bool there = false;
    int fd = memfd_create("trapeze-guard-test", MFD_CLOEXEC);
    if (fd < 0)
        return false;
    if (ftruncate(fd, PAGE_SIZE) == 0) {
        void *page = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED) {
            there = madvise(page, PAGE_SIZE, MADV_GUARD_INSTALL) == 0;
            munmap(page, PAGE_SIZE);
        }
    }
    close(fd);
    return there;
}

/* An open page is a mapping, and what lies closed behind it another. A quarter is left for the
 * rest of the process. */
static unsigned open_limit(void)
{
    unsigned long maps = MAPS_DEFAULT;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    if (file) {
        if (fscanf(file, "%lu", &maps) != 1)
            maps = MAPS_DEFAULT;
        fclose(file);
    }
    return (unsigned)min_u64(maps, 1 << 20) * 3 / 8;
}

void windows_create(struct windows *windows, bool without)
{
    memset(windows, 0, sizeof(*windows));
    windows->guarded = !without && window_guards();
    windows->limit = windows->guarded ? 0 : open_limit();
}

static void window_free(struct window *window)
{
    if (window->area)
        munmap(window->area, window->area_size);
    free(window->chunks);
    free(window->open);
    free(window);
}

void windows_destroy(struct windows *windows)
{
    while (windows->list) {
        struct window *window = windows->list;
        windows->list = window->next;
        window_free(window);
    }
}

static unsigned view_of(uint64_t page, bool writable)
{
    return (writable ? VIEW_WRITABLE : 0) | (page & 1 ? VIEW_ODD : 0);
}

/* Puts a view in its place, over what is there. */
static bool map_view(const struct windows *windows, struct window *window, unsigned view)
{
    struct ram *ram = window->ram;
    uint8_t *at = window->area + MARGIN + view * (ram->size + MARGIN);
    int protection = view & VIEW_WRITABLE ? PROT_READ | PROT_WRITE : PROT_READ;
    if (!windows->guarded)
        protection = PROT_NONE;
    if (mmap(at, ram->size, protection, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, ram->fd, 0) ==
        MAP_FAILED)
        return false;
    window->views[view] = at;
    return true;
}

static bool alloc_notes(const struct windows *windows, struct window *window)
{
    uint64_t pages = window->ram->size / PAGE_SIZE;
    if (windows->guarded)
        window->chunks = calloc(pages / CHUNK + 1, 1);
    else
        window->open = calloc(pages / 4 + 1, 1);
    return window->chunks || window->open;
}

static struct window *window_make(struct windows *windows, struct ram *ram)
{
    struct window *window = calloc(1, sizeof(*window));
    if (!window)
        return NULL;
    window->ram = ram;
    window->area_size = VIEWS * (ram->size + MARGIN) + MARGIN;
    void *area = mmap(NULL, window->area_size, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    window->area = area == MAP_FAILED ? NULL : area;
    bool good = window->area && alloc_notes(windows, window);
    for (unsigned i = 0; i < VIEWS && good; i++)
        good = map_view(windows, window, i);
    if (!good) {
        window_free(window);
        return NULL;
    }
    window->next = windows->list;
    windows->list = window;
    return window;
}

/* Guards on the other parity's pages of a chunk, and on the page behind it. */
static bool install_guards(struct window *window, unsigned view, uint64_t chunk)
{
    uint64_t pages = window->ram->size / PAGE_SIZE;
    uint64_t first = chunk * CHUNK, last = min_u64(first + CHUNK, pages - 1);
    if (first)
        first--;
    for (uint64_t page = first; page <= last; page++)
        if ((page & 1) != (view & VIEW_ODD ? 1 : 0) &&
            madvise(window->views[view] + page * PAGE_SIZE, PAGE_SIZE, MADV_GUARD_INSTALL) != 0)
            return false;
    return true;
}

static bool guard_page(struct window *window, uint64_t page, unsigned view)
{
    uint8_t *chunk = &window->chunks[page / CHUNK];
    if (*chunk & 1u << view)
        return true;
    if (!install_guards(window, view, page / CHUNK))
        return false;
    *chunk |= (uint8_t)(1u << view);
    return true;
}

static bool open_page(struct windows *windows, struct window *window, uint64_t page, unsigned view)
{
    uint8_t bit = (uint8_t)(1u << ((page & 3) * 2 + (view & VIEW_WRITABLE)));
    if (window->open[page / 4] & bit)
        return true;
    int protection = view & VIEW_WRITABLE ? PROT_READ | PROT_WRITE : PROT_READ;
    if (windows->open == windows->limit ||
        mprotect(window->views[view] + page * PAGE_SIZE, PAGE_SIZE, protection) != 0) {
        windows->full = windows->open != 0;
        return false;
    }
    window->open[page / 4] |= bit;
    windows->open++;
    return true;
}

static struct window *find(const struct windows *windows, const struct ram *ram)
{
    struct window *window = windows->list;
    while (window && window->ram != ram)
        window = window->next;
    return window;
}

uint8_t *window_page(struct windows *windows, struct ram *ram, uint64_t page, bool writable)
{
    struct window *window = find(windows, ram);
    if (!window)
        window = window_make(windows, ram);
    if (!window)
        return NULL;
    unsigned view = view_of(page, writable);
    bool shown =
        windows->guarded ? guard_page(window, page, view) : open_page(windows, window, page, view);
    return shown ? window->views[view] + page * PAGE_SIZE : NULL;
}

uint8_t *window_address(const struct windows *windows, const struct ram *ram, uint64_t page,
                        bool writable)
{
    const struct window *window = find(windows, ram);
    return window ? window->views[view_of(page, writable)] + page * PAGE_SIZE : NULL;
}

void windows_close(struct windows *windows)
{
    windows->full = false;
    if (windows->guarded)
        return;
    for (struct window *window = windows->list; window; window = window->next) {
        memset(window->open, 0, window->ram->size / PAGE_SIZE / 4 + 1);
        for (unsigned i = 0; i < VIEWS; i++)
            map_view(windows, window, i);
    }
    windows->open = 0;
}

const struct ram *window_find(const struct windows *windows, const void *host, uint64_t *page)
{
    for (const struct window *window = windows->list; window; window = window->next)
        for (unsigned i = 0; i < VIEWS; i++) {
            uint64_t offset = (uint64_t)((uintptr_t)host - (uintptr_t)window->views[i]);
            if (offset >= window->ram->size)
                continue;
            *page = offset >> PAGE_SHIFT;
            return (*page & 1) == (i & VIEW_ODD ? 1 : 0) ? window->ram : NULL;
        }
    return NULL;
}
