/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A piece of guest RAM (or ROM, or video memory): pages of 4 KiB, each with a host address of its
 * own. Nobody may assume that neighbours in the guest are neighbours in the host: pages will be
 * shared between machines and cloned. Memory comes from a memfd and is allocated as it is touched.
 *
 * Page flags are atomic; everything else is set up before a vCPU runs.
 */
#ifndef MEM_RAM_H
#define MEM_RAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096u
#define PAGE_MASK  (~(uint64_t)4095)

enum ram_flag {
    RAM_CODE = 1 << 0,          /* an engine keeps translations of this page: tell it of writes */
    RAM_DIRTY_DISPLAY = 1 << 1, /* written since the display looked */
    RAM_DIRTY_MIGRATE = 1 << 2, /* written since migration looked */
};
#define RAM_DIRTY_ALL (RAM_DIRTY_DISPLAY | RAM_DIRTY_MIGRATE)

struct ram {
    char name[32];
    uint64_t size;          /* bytes, a multiple of PAGE_SIZE */
    uint8_t **page_table;   /* host address of each page, NULL until first asked: use ram_host */
    _Atomic uint8_t *flags; /* enum ram_flag, of each page */
    int fd;                 /* the memfd behind it */
    uint8_t *mapping;       /* private to ram.c */
    uint64_t mapping_size;  /* private to ram.c */
};

/* size is rounded up to a page. -EINVAL for 0, -ENOMEM with the host's limit named. */
int ram_create(struct ram **ram, const char *name, uint64_t size, struct error *err);
void ram_destroy(struct ram *ram);

/* Host address of a page (page < size / PAGE_SIZE), never NULL. From any thread. */
uint8_t *ram_host_first(const struct ram *ram, uint64_t page); /* private to ram_host */
static inline uint8_t *ram_host(const struct ram *ram, uint64_t page)
{
    uint8_t *host = __atomic_load_n(&ram->page_table[page], __ATOMIC_RELAXED);
    return __builtin_expect(host != NULL, 1) ? host : ram_host_first(ram, page);
}

/* Copies between host memory and [offset, offset+length), page by page. The range must lie inside:
 * false and nothing done if it does not. ram_copy_in sets dirty flags; it is for set-up and
 * devices' own video memory. It does not tell an engine (mem_write does). */
bool ram_copy_in(struct ram *ram, uint64_t offset, const void *from, uint64_t length);
bool ram_copy_out(const struct ram *ram, uint64_t offset, void *to, uint64_t length);

/* The pages whose flag is set among [first, first+count) as bits of bitmap (bit 0 = first; all of
 * its (count+63)/64 words are overwritten); clears the flag. True if any. Callers then flush write
 * permission from the engines (mem_dirty_fetch does all of it). */
bool ram_fetch_flag(struct ram *ram, enum ram_flag flag, uint64_t first, uint64_t count,
                    uint64_t *bitmap);

static inline void ram_set_flags(struct ram *ram, uint64_t page, uint8_t flags)
{
    _Atomic uint8_t *at = &ram->flags[page];
    if ((atomic_load_explicit(at, memory_order_relaxed) & flags) != flags)
        atomic_fetch_or_explicit(at, flags, memory_order_relaxed);
}

static inline void ram_clear_flags(struct ram *ram, uint64_t page, uint8_t flags)
{
    atomic_fetch_and_explicit(&ram->flags[page], (uint8_t)~flags, memory_order_relaxed);
}

static inline uint8_t ram_get_flags(const struct ram *ram, uint64_t page)
{
    return atomic_load_explicit(&ram->flags[page], memory_order_relaxed);
}

#endif
