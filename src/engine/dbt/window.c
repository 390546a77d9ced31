/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/dbt/window.h"

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
};

struct window {
    struct window *next;
    struct ram *ram;
    uint8_t *area;
    uint64_t area_size;
    uint8_t *views[VIEWS];
    uint8_t *chunks; /* bit: view n of this chunk has its guards */
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

void windows_create(struct windows *windows, bool without)
{
    memset(windows, 0, sizeof(*windows));
    windows->guarded = !without && window_guards();
}

static void window_free(struct window *window)
{
    if (window->area)
        munmap(window->area, window->area_size);
    free(window->chunks);
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

static struct window *window_make(struct windows *windows, struct ram *ram)
{
    struct window *window = calloc(1, sizeof(*window));
    if (!window)
        return NULL;
    unsigned views = windows->guarded ? VIEWS : 2;
    window->ram = ram;
    window->area_size = views * (ram->size + MARGIN) + MARGIN;
    window->chunks = calloc(ram->size / PAGE_SIZE / CHUNK + 1, 1);
    void *area = mmap(NULL, window->area_size, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED || !window->chunks) {
        window_free(window);
        return NULL;
    }
    window->area = area;
    for (unsigned i = 0; i < views; i++) {
        uint8_t *at = window->area + MARGIN + i * (ram->size + MARGIN);
        int protection = i & VIEW_WRITABLE ? PROT_READ | PROT_WRITE : PROT_READ;
        if (mmap(at, ram->size, protection, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, ram->fd, 0) ==
            MAP_FAILED) {
            window_free(window);
            return NULL;
        }
        window->views[i] = at;
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

uint8_t *window_page(struct windows *windows, struct ram *ram, uint64_t page, bool writable)
{
    struct window *window = windows->list;
    while (window && window->ram != ram)
        window = window->next;
    if (!window)
        window = window_make(windows, ram);
    if (!window)
        return NULL;
    unsigned view = writable ? VIEW_WRITABLE : 0;
    if (windows->guarded) {
        view |= page & 1 ? VIEW_ODD : 0;
        uint8_t *chunk = &window->chunks[page / CHUNK];
        if (!(*chunk & 1u << view)) {
            if (!install_guards(window, view, page / CHUNK))
                return NULL;
            *chunk |= (uint8_t)(1u << view);
        }
    }
    return window->views[view] + page * PAGE_SIZE;
}

const struct ram *window_find(const struct windows *windows, const void *host, uint64_t *page)
{
    for (const struct window *window = windows->list; window; window = window->next)
        for (unsigned i = 0; i < VIEWS; i++) {
            uint64_t offset = (uint64_t)((uintptr_t)host - (uintptr_t)window->views[i]);
            if (!window->views[i] || offset >= window->ram->size)
                continue;
            *page = offset >> PAGE_SHIFT;
            return window->ram;
        }
    return NULL;
}
