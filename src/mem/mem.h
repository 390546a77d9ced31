/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The guest-physical address space: regions of RAM, ROM and MMIO with priorities, flattened into a
 * view that is searched. Devices reach guest memory through mem_read and mem_write only.
 *
 * Changing the map and every access through `struct mem` happens under the VM lock. A view is
 * immutable and counted, so a vCPU holds the one it runs on and looks things up without the lock.
 */
#ifndef MEM_MEM_H
#define MEM_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem/io.h"
#include "mem/ram.h"

typedef uint64_t gpa_t; /* guest-physical address */
typedef uint64_t gva_t; /* guest-virtual (linear) address */

enum mem_kind {
    MEM_RAM, /* reads and writes go to `ram` */
    MEM_ROM, /* reads come from `ram`, writes are dropped */
    MEM_IO,  /* `ops` answers */
};

/* Part of the address space; the struct is its owner's and stays where it is. Fill in, mem_add. */
struct mem_region {
    const char *name;
    enum mem_kind kind;
    bool enabled;
    bool smm_only; /* there for a processor in system management mode, and for nobody else */
    int priority;  /* higher hides lower; among equals the later added hides the earlier */
    gpa_t base;
    uint64_t size;
    struct ram *ram;          /* MEM_RAM, MEM_ROM */
    uint64_t ram_offset;      /* of base, in ram */
    const struct io_ops *ops; /* MEM_IO */
    void *opaque;
    struct mem_region *next; /* private to mem.c */
};

/* One run of addresses with one owner. region is NULL where nothing answers: reads give all ones.
 */
struct mem_range {
    gpa_t first, last; /* inclusive */
    const struct mem_region *region;
    /* Copied from region when the view was made. */
    enum mem_kind kind;
    struct ram *ram;
    uint64_t ram_offset; /* of `first` */
    uint64_t io_offset;  /* of `first`, in region */
};

struct mem_view {
    _Atomic unsigned references;
    size_t count;
    struct mem_range ranges[]; /* ascending, without gaps, from 0 to UINT64_MAX */
};

/* Who wants to know of changes: engines. Called under the VM lock on the thread that changes. */
struct mem_listener {
    void (*map_changed)(void *opaque);
    /* A device wrote [gpa, gpa+length), one page at most, where RAM_CODE is set. */
    void (*code_written)(void *opaque, gpa_t gpa, uint64_t length);
    /* Dirty flags were cleared: cached write permission must go. */
    void (*dirty_cleared)(void *opaque);
    void *opaque;
    struct mem_listener *next; /* private to mem.c */
};

struct mem;

int mem_create(struct mem **mem, struct error *err);
void mem_destroy(struct mem *mem);

/* Map changes take effect at once, unless between begin and commit (then all at commit). */
void mem_begin(struct mem *mem);
void mem_commit(struct mem *mem);
void mem_add(struct mem *mem, struct mem_region *region);
void mem_remove(struct mem *mem, struct mem_region *region);
void mem_set_enabled(struct mem *mem, struct mem_region *region, bool enabled);
void mem_move(struct mem *mem, struct mem_region *region, gpa_t base);
void mem_set_kind(struct mem *mem, struct mem_region *region, enum mem_kind kind);
void mem_set_smm_only(struct mem *mem, struct mem_region *region, bool smm_only);

void mem_listen(struct mem *mem, struct mem_listener *listener);
void mem_unlisten(struct mem *mem, struct mem_listener *listener);

/* The view as of now, or the one of system management mode, which has the regions that are smm_only
 * too; every ref needs its unref. Under the VM lock; unref from any thread. Accesses through
 * `struct mem` go by the ordinary view: MMIO is the same in both. */
struct mem_view *mem_view_ref(struct mem *mem);
struct mem_view *mem_view_ref_smm(struct mem *mem);
void mem_view_unref(struct mem_view *view);

/* The range that holds gpa; never NULL. */
const struct mem_range *mem_find(const struct mem_view *view, gpa_t gpa);

/* Host address of gpa in a RAM or ROM range. */
static inline uint8_t *mem_host(const struct mem_range *range, gpa_t gpa)
{
    uint64_t offset = range->ram_offset + (gpa - range->first);
    return ram_host(range->ram, offset >> PAGE_SHIFT) + (offset & (PAGE_SIZE - 1));
}

/* Page number of gpa in range->ram. */
static inline uint64_t mem_ram_page(const struct mem_range *range, gpa_t gpa)
{
    return (range->ram_offset + (gpa - range->first)) >> PAGE_SHIFT;
}

/* One load or store by a processor or a small DMA: 1, 2, 4 or 8 bytes, any alignment, any kind of
 * memory. Under the VM lock. */
uint64_t mem_load(struct mem *mem, gpa_t gpa, unsigned size);
void mem_store(struct mem *mem, gpa_t gpa, uint64_t value, unsigned size);

/* MMIO reached from within MMIO (a device's DMA aimed at a device) goes to another device than
 * those already at work and three deep at most; beyond that nobody answers. */

/* Device access to guest memory, any length, any address; goes through MMIO too, in pieces of up to
 * 8 bytes. False if any of it lay where nothing answers (reads give all ones there). Marks pages
 * dirty and tells engines about code. Under the VM lock. */
bool mem_read(struct mem *mem, gpa_t gpa, void *to, uint64_t length);
bool mem_write(struct mem *mem, gpa_t gpa, const void *from, uint64_t length);

/* As mem_write, but into ROM too: for loading firmware and resetting it. */
bool mem_write_rom(struct mem *mem, gpa_t gpa, const void *from, uint64_t length);

/* A device wrote [offset, offset+length) of a RAM it owns through host addresses: marks pages dirty
 * and tells engines about code, wherever the map shows it. The range must lie inside. */
void mem_ram_written(struct mem *mem, struct ram *ram, uint64_t offset, uint64_t length);

/* For a device that owns video memory: which of its pages were written since last asked. bitmap
 * has (count+63)/64 words, all of them overwritten. True if any. */
bool mem_dirty_fetch(struct mem *mem, struct ram *ram, enum ram_flag flag, uint64_t first,
                     uint64_t count, uint64_t *bitmap);

/* For `info mtree`: the enabled regions in order of address, or with `flat` who answers where. The
 * caller frees; NULL when memory is out. */
char *mem_describe(const struct mem *mem, bool flat);

#endif
