/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The address space: regions are flattened into a view at each change, and accesses search the
 * view. Flattening is quadratic in the number of regions, of which a PC has a few dozen.
 */
#include "mem/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"

enum { IO_DEPTH_MAX = 3 };

struct mem {
    struct mem_region *regions; /* latest first */
    struct mem_view *view, *smm_view;
    struct mem_listener *listeners;
    unsigned changing; /* depth of mem_begin */
    bool changed;
    /* Whose ops are at work, innermost last. */
    const struct mem_region *busy[IO_DEPTH_MAX];
    unsigned io_depth;
};

static uint64_t last_of(const struct mem_region *region)
{
    uint64_t last = region->base + (region->size - 1);
    return last < region->base ? UINT64_MAX : last;
}

static int compare_addresses(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Is the region part of the view of system management mode, or of the ordinary one? */
static bool seen(const struct mem_region *region, bool smm)
{
    return region->enabled && region->size && (smm || !region->smm_only);
}

/* Where the owner of the address space may change: sorted, the first is 0. */
static size_t edges_of(const struct mem *mem, uint64_t *edges)
{
    size_t count = 0;
    edges[count++] = 0;
    for (const struct mem_region *region = mem->regions; region; region = region->next) {
        if (!region->enabled || !region->size) /* an edge too many does no harm */
            continue;
        edges[count++] = region->base;
        if (last_of(region) != UINT64_MAX)
            edges[count++] = last_of(region) + 1;
    }
    qsort(edges, count, sizeof(*edges), compare_addresses);
    return count;
}

/* The region that answers at gpa: regions are latest first, so the first of a priority wins. */
static const struct mem_region *top_at(const struct mem *mem, gpa_t gpa, bool smm)
{
    const struct mem_region *top = NULL;
    for (const struct mem_region *region = mem->regions; region; region = region->next)
        if (seen(region, smm) && region->base <= gpa && gpa <= last_of(region) &&
            (!top || region->priority > top->priority))
            top = region;
    return top;
}

static struct mem_range range_at(const struct mem_region *region, gpa_t first)
{
    struct mem_range range = {.first = first, .last = UINT64_MAX, .region = region};
    if (!region) {
        range.kind = MEM_IO;
        return range;
    }
    range.kind = region->kind;
    if (region->kind == MEM_IO) {
        range.io_offset = first - region->base;
    } else {
        range.ram = region->ram;
        range.ram_offset = region->ram_offset + (first - region->base);
    }
    return range;
}

static struct mem_view *flatten(const struct mem *mem, bool smm)
{
    size_t regions = 0;
    for (const struct mem_region *region = mem->regions; region; region = region->next)
        regions++;
    uint64_t *edges = malloc((2 * regions + 1) * sizeof(*edges));
    struct mem_view *view = malloc(sizeof(*view) + (2 * regions + 1) * sizeof(struct mem_range));
    if (!edges || !view) {
        free(edges);
        free(view);
        return NULL;
    }
    atomic_init(&view->references, 1);
    view->count = 0;
    size_t count = edges_of(mem, edges);
    for (size_t i = 0; i < count; i++) {
        if (i && edges[i] == edges[i - 1])
            continue;
        const struct mem_region *top = top_at(mem, edges[i], smm);
        struct mem_range *previous = view->count ? &view->ranges[view->count - 1] : NULL;
        if (previous && previous->region == top)
            continue;
        if (previous)
            previous->last = edges[i] - 1;
        view->ranges[view->count++] = range_at(top, edges[i]);
    }
    free(edges);
    return view;
}

static bool same_view(const struct mem_view *a, const struct mem_view *b)
{
    if (!a || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct mem_range *x = &a->ranges[i], *y = &b->ranges[i];
        if (x->first != y->first || x->region != y->region || x->kind != y->kind ||
            x->ram != y->ram || x->ram_offset != y->ram_offset || x->io_offset != y->io_offset)
            return false;
    }
    return true;
}

/* Puts a new view in the place of *at, unless they are the same. Takes `view`. */
static bool replace_view(struct mem_view **at, struct mem_view *view)
{
    if (same_view(*at, view)) {
        mem_view_unref(view);
        return false;
    }
    mem_view_unref(*at);
    *at = view;
    return true;
}

static void update(struct mem *mem)
{
    mem->changed = true;
    if (mem->changing)
        return;
    struct mem_view *view = flatten(mem, false), *smm_view = flatten(mem, true);
    if (!view || !smm_view) {
        /* The old map stays in force and the next change tries again. */
        log_warn("out of memory for the map of the guest's address space");
        free(view);
        free(smm_view);
        return;
    }
    mem->changed = false;
    bool changed = replace_view(&mem->view, view);
    changed |= replace_view(&mem->smm_view, smm_view);
    for (struct mem_listener *l = mem->listeners, *next; l && changed; l = next) {
        next = l->next;
        if (l->map_changed)
            l->map_changed(l->opaque);
    }
}

int mem_create(struct mem **mem_out, struct error *err)
{
    struct mem *mem = calloc(1, sizeof(*mem));
    if (mem)
        update(mem);
    if (!mem || !mem->view) {
        free(mem);
        return error_set(err, ENOMEM, "out of memory for the guest's address space");
    }
    *mem_out = mem;
    return 0;
}

void mem_destroy(struct mem *mem)
{
    if (!mem)
        return;
    mem_view_unref(mem->view);
    mem_view_unref(mem->smm_view);
    free(mem);
}

void mem_begin(struct mem *mem)
{
    mem->changing++;
}

void mem_commit(struct mem *mem)
{
    assert(mem->changing);
    if (!--mem->changing && mem->changed)
        update(mem);
}

void mem_add(struct mem *mem, struct mem_region *region)
{
    assert(region->kind == MEM_IO ? region->ops != NULL
                                  : region->ram && region->ram_offset <= region->ram->size &&
                                        region->size <= region->ram->size - region->ram_offset);
    region->next = mem->regions;
    mem->regions = region;
    update(mem);
}

void mem_remove(struct mem *mem, struct mem_region *region)
{
    for (struct mem_region **at = &mem->regions; *at; at = &(*at)->next) {
        if (*at != region)
            continue;
        *at = region->next;
        region->next = NULL;
        update(mem);
        return;
    }
}

void mem_set_enabled(struct mem *mem, struct mem_region *region, bool enabled)
{
    if (region->enabled == enabled)
        return;
    region->enabled = enabled;
    update(mem);
}

void mem_move(struct mem *mem, struct mem_region *region, gpa_t base)
{
    if (region->base == base)
        return;
    region->base = base;
    update(mem);
}

void mem_set_kind(struct mem *mem, struct mem_region *region, enum mem_kind kind)
{
    if (region->kind == kind)
        return;
    assert(kind == MEM_IO ? region->ops != NULL : region->ram != NULL);
    region->kind = kind;
    update(mem);
}

void mem_set_smm_only(struct mem *mem, struct mem_region *region, bool smm_only)
{
    if (region->smm_only == smm_only)
        return;
    region->smm_only = smm_only;
    update(mem);
}

void mem_listen(struct mem *mem, struct mem_listener *listener)
{
    listener->next = mem->listeners;
    mem->listeners = listener;
}

void mem_unlisten(struct mem *mem, struct mem_listener *listener)
{
    for (struct mem_listener **at = &mem->listeners; *at; at = &(*at)->next) {
        if (*at == listener) {
            *at = listener->next;
            return;
        }
    }
}

static struct mem_view *view_ref(struct mem_view *view)
{
    atomic_fetch_add_explicit(&view->references, 1, memory_order_relaxed);
    return view;
}

struct mem_view *mem_view_ref(struct mem *mem)
{
    return view_ref(mem->view);
}

struct mem_view *mem_view_ref_smm(struct mem *mem)
{
    return view_ref(mem->smm_view);
}

void mem_view_unref(struct mem_view *view)
{
    if (view && atomic_fetch_sub_explicit(&view->references, 1, memory_order_acq_rel) == 1)
        free(view);
}

const struct mem_range *mem_find(const struct mem_view *view, gpa_t gpa)
{
    size_t low = 0, high = view->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (view->ranges[middle].first <= gpa)
            low = middle;
        else
            high = middle;
    }
    return &view->ranges[low];
}

/* May ops of this region be called now? A device whose DMA ends in its own registers must not be
 * entered again half-way, and no chain of devices may eat the stack. */
static bool enter_io(struct mem *mem, const struct mem_region *region)
{
    bool refused = mem->io_depth == IO_DEPTH_MAX;
    for (unsigned i = 0; i < mem->io_depth; i++)
        refused |=
            mem->busy[i] == region || (region->opaque && mem->busy[i]->opaque == region->opaque);
    if (refused) {
        log_limited(LOG_GUEST_ERRORS, "mem: '%s' is reached from within its own access: refused",
                    region->name ? region->name : "?");
        return false;
    }
    mem->busy[mem->io_depth++] = region;
    return true;
}

/* One access that lies in one range which is not RAM or ROM. False when nobody answers. The view
 * may be gone when the device comes back, so nothing of range is looked at after. */
static bool io_load(struct mem *mem, const struct mem_range *range, gpa_t gpa, uint64_t *value,
                    unsigned size)
{
    const struct mem_region *region = range->region;
    *value = UINT64_MAX;
    if (!region) {
        log_limited(LOG_IO, "mem: read of %u bytes from 0x%llx: nobody there", size,
                    (unsigned long long)gpa);
        return false;
    }
    if (!enter_io(mem, region))
        return false;
    *value = io_read(region->ops, region->opaque, range->io_offset + (gpa - range->first), size);
    mem->io_depth--;
    return true;
}

static bool io_store(struct mem *mem, const struct mem_range *range, gpa_t gpa, uint64_t value,
                     unsigned size)
{
    const struct mem_region *region = range->region;
    if (!region) {
        log_limited(LOG_IO, "mem: write of 0x%llx, %u bytes, to 0x%llx: nobody there",
                    (unsigned long long)value, size, (unsigned long long)gpa);
        return false;
    }
    if (!enter_io(mem, region))
        return false;
    io_write(region->ops, region->opaque, range->io_offset + (gpa - range->first), value, size);
    mem->io_depth--;
    return true;
}

/* The page of gpa was written: [gpa, gpa+length) lies in it. The fence orders the data before the
 * look at the flags: an engine sets RAM_CODE before it reads the code, so one of us sees the other.
 */
static void written(struct mem *mem, const struct mem_range *range, gpa_t gpa, uint64_t length)
{
    uint64_t page = mem_ram_page(range, gpa);
    struct ram *ram = range->ram;
    atomic_thread_fence(memory_order_seq_cst);
    ram_set_flags(ram, page, RAM_DIRTY_ALL);
    if (!(ram_get_flags(ram, page) & RAM_CODE))
        return;
    for (struct mem_listener *l = mem->listeners; l; l = l->next)
        if (l->code_written)
            l->code_written(l->opaque, gpa, length);
}

/* How much of [gpa, gpa+length) lies in gpa's range and, for RAM and ROM, in its page. */
static uint64_t piece(const struct mem_range *range, gpa_t gpa, uint64_t length)
{
    uint64_t n = length;
    if (range->last - gpa < n)
        n = range->last - gpa + 1;
    if (range->kind != MEM_IO) {
        uint64_t offset = range->ram_offset + (gpa - range->first);
        n = min_u64(n, PAGE_SIZE - (offset & (PAGE_SIZE - 1)));
    }
    return n;
}

/* The widest natural access at gpa that fits in n bytes. */
static unsigned natural(gpa_t gpa, uint64_t n)
{
    unsigned size = 8;
    while (size > n || (gpa & (size - 1)))
        size /= 2;
    return size;
}

bool mem_read(struct mem *mem, gpa_t gpa, void *to, uint64_t length)
{
    uint8_t *at = to;
    bool answered = true;
    while (length) {
        const struct mem_range *range = mem_find(mem->view, gpa);
        uint64_t n = piece(range, gpa, length);
        if (range->kind != MEM_IO) {
            memcpy(at, mem_host(range, gpa), n);
        } else if (!range->region) {
            memset(at, 0xff, n);
            answered = false;
        } else {
            uint64_t value;
            n = natural(gpa, n);
            answered &= io_load(mem, range, gpa, &value, (unsigned)n);
            store_le(at, value, (unsigned)n);
        }
        at += n;
        gpa += n;
        length -= n;
        if (!gpa && length) { /* past the end of the address space */
            memset(at, 0xff, length);
            return false;
        }
    }
    return answered;
}

static bool write_all(struct mem *mem, gpa_t gpa, const void *from, uint64_t length, bool to_rom)
{
    const uint8_t *at = from;
    bool answered = true;
    while (length) {
        const struct mem_range *range = mem_find(mem->view, gpa);
        uint64_t n = piece(range, gpa, length);
        if (range->kind == MEM_RAM || (range->kind == MEM_ROM && to_rom)) {
            memcpy(mem_host(range, gpa), at, n);
            written(mem, range, gpa, n);
        } else if (range->kind == MEM_IO && !range->region) {
            answered = false;
        } else if (range->kind == MEM_IO) {
            n = natural(gpa, n);
            answered &= io_store(mem, range, gpa, load_le(at, (unsigned)n), (unsigned)n);
        }
        at += n;
        gpa += n;
        length -= n;
        if (!gpa && length)
            return false;
    }
    return answered;
}

bool mem_write(struct mem *mem, gpa_t gpa, const void *from, uint64_t length)
{
    return write_all(mem, gpa, from, length, false);
}

bool mem_write_rom(struct mem *mem, gpa_t gpa, const void *from, uint64_t length)
{
    return write_all(mem, gpa, from, length, true);
}

uint64_t mem_load(struct mem *mem, gpa_t gpa, unsigned size)
{
    const struct mem_range *range = mem_find(mem->view, gpa);
    uint64_t value = 0;
    if (piece(range, gpa, size) < size) {
        mem_read(mem, gpa, &value, size);
        return value;
    }
    if (range->kind == MEM_IO) {
        io_load(mem, range, gpa, &value, size);
        return size == 8 ? value : value & ((UINT64_C(1) << (size * 8)) - 1);
    }
    const uint8_t *host = mem_host(range, gpa);
    switch (size) { /* whole, not byte by byte: another processor may be writing */
    case 1:
        return *host;
    case 2:
        return load_le16(host);
    case 4:
        return load_le32(host);
    default:
        return load_le64(host);
    }
}

void mem_store(struct mem *mem, gpa_t gpa, uint64_t value, unsigned size)
{
    const struct mem_range *range = mem_find(mem->view, gpa);
    if (piece(range, gpa, size) < size) {
        mem_write(mem, gpa, &value, size);
        return;
    }
    if (range->kind == MEM_IO) {
        io_store(mem, range, gpa, value, size);
        return;
    }
    if (range->kind == MEM_ROM)
        return;
    uint8_t *host = mem_host(range, gpa);
    switch (size) {
    case 1:
        *host = (uint8_t)value;
        break;
    case 2:
        store_le16(host, (uint16_t)value);
        break;
    case 4:
        store_le32(host, (uint32_t)value);
        break;
    default:
        store_le64(host, value);
        break;
    }
    written(mem, range, gpa, size);
}

/* Tells the engines of a page of ram at each address that shows it. */
static void code_written(struct mem *mem, const struct ram *ram, uint64_t offset, uint64_t length)
{
    /* A listener may cause a change of the map. */
    struct mem_view *view = mem_view_ref(mem);
    for (size_t i = 0; i < view->count; i++) {
        const struct mem_range *range = &view->ranges[i];
        if (range->kind == MEM_IO || range->ram != ram)
            continue;
        uint64_t from = max_u64(offset, range->ram_offset);
        uint64_t to =
            min_u64(offset + length - 1, range->ram_offset + (range->last - range->first));
        for (struct mem_listener *l = mem->listeners; l && from <= to; l = l->next)
            if (l->code_written)
                l->code_written(l->opaque, range->first + (from - range->ram_offset),
                                to - from + 1);
    }
    mem_view_unref(view);
}

void mem_ram_written(struct mem *mem, struct ram *ram, uint64_t offset, uint64_t length)
{
    atomic_thread_fence(memory_order_seq_cst); /* as in written() */
    while (length) {
        uint64_t page = offset >> PAGE_SHIFT;
        uint64_t n = min_u64(length, PAGE_SIZE - (offset & (PAGE_SIZE - 1)));
        ram_set_flags(ram, page, RAM_DIRTY_ALL);
        if (ram_get_flags(ram, page) & RAM_CODE)
            code_written(mem, ram, offset, n);
        offset += n;
        length -= n;
    }
}

bool mem_dirty_fetch(struct mem *mem, struct ram *ram, enum ram_flag flag, uint64_t first,
                     uint64_t count, uint64_t *bitmap)
{
    if (!ram_fetch_flag(ram, flag, first, count, bitmap))
        return false;
    for (struct mem_listener *l = mem->listeners; l; l = l->next)
        if (l->dirty_cleared)
            l->dirty_cleared(l->opaque);
    return true;
}

static int compare_regions(const void *a, const void *b)
{
    const struct mem_region *x = *(const struct mem_region *const *)a;
    const struct mem_region *y = *(const struct mem_region *const *)b;
    if (x->base != y->base)
        return x->base < y->base ? -1 : 1;
    return (x->priority < y->priority) - (x->priority > y->priority);
}

static void describe_range(FILE *out, const struct mem_region *region, gpa_t first, gpa_t last,
                           uint64_t offset)
{
    static const char *const kinds[] = {"ram", "rom", "i/o"};
    fprintf(out, "    %016llx-%016llx (prio %d, %s): %s", (unsigned long long)first,
            (unsigned long long)last, region->priority, kinds[region->kind],
            region->name ? region->name : "?");
    if (offset)
        fprintf(out, " @%016llx", (unsigned long long)offset);
    fputc('\n', out);
}

static void describe_regions(FILE *out, const struct mem *mem)
{
    size_t count = 0;
    for (const struct mem_region *region = mem->regions; region; region = region->next)
        count += region->enabled && region->size;
    const struct mem_region **sorted = malloc((count + 1) * sizeof(*sorted));
    if (!sorted)
        return;
    count = 0;
    for (const struct mem_region *region = mem->regions; region; region = region->next)
        if (region->enabled && region->size)
            sorted[count++] = region;
    qsort(sorted, count, sizeof(*sorted), compare_regions);
    for (size_t i = 0; i < count; i++)
        describe_range(out, sorted[i], sorted[i]->base, last_of(sorted[i]),
                       sorted[i]->kind == MEM_IO ? 0 : sorted[i]->ram_offset);
    free(sorted);
}

char *mem_describe(const struct mem *mem, bool flat)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "address-space: memory\n  %016llx-%016llx (prio 0, i/o): system\n", 0ull, ~0ull);
    if (!flat)
        describe_regions(out, mem);
    for (size_t i = 0; flat && i < mem->view->count; i++) {
        const struct mem_range *range = &mem->view->ranges[i];
        if (range->region)
            describe_range(out, range->region, range->first, range->last,
                           range->kind == MEM_IO ? range->io_offset : range->ram_offset);
    }
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
