/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest RAM from a memfd. Nothing here grows with the size of the RAM but with what is touched of
 * it: the memfd, the flags and the table of host addresses are all mapped without being reserved,
 * and the table is filled a host page of it (512 guest pages) at a time.
 */
#include "mem/ram.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"

enum { TABLE_CHUNK = PAGE_SIZE / sizeof(uint8_t *) };

static uint64_t limit_of(int resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur;
}

static int too_large(const char *name, uint64_t size, struct error *err)
{
    struct sysinfo info = {0};
    sysinfo(&info);
    char why[128];
    if (limit_of(RLIMIT_AS) != UINT64_MAX)
        snprintf(why, sizeof(why),
                 "the address space of a process is limited to %llu MiB "
                 "(ulimit -v)",
                 (unsigned long long)(limit_of(RLIMIT_AS) >> 20));
    else
        snprintf(why, sizeof(why), "the address space of a process on this host is 128 TiB");
    return error_set(err, ENOMEM,
                     "cannot map %llu MiB for '%s': %s; the host has %llu MiB of memory: ask for "
                     "less with -m",
                     (unsigned long long)(size >> 20), name, why,
                     (unsigned long long)((uint64_t)info.totalram * info.mem_unit >> 20));
}

static void *map_table(uint64_t size)
{
    void *table = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return table == MAP_FAILED ? NULL : table;
}

static uint64_t table_size(const struct ram *ram)
{
    return round_up(ram->size >> PAGE_SHIFT, TABLE_CHUNK) * sizeof(uint8_t *);
}

static int map_all(struct ram *ram, struct error *err)
{
    ram->fd = memfd_create(ram->name, MFD_CLOEXEC);
    if (ram->fd < 0)
        return error_set(err, errno, "cannot create memory for '%s': memfd_create: %s%s", ram->name,
                         strerror(errno),
                         errno == EPERM || errno == ENOSYS || errno == EACCES
                             ? "; does a security policy (seccomp) forbid it?"
                             : "");
    /* Past this limit ftruncate would end the process with SIGXFSZ. */
    if (ram->size > limit_of(RLIMIT_FSIZE))
        return error_set(err, EFBIG,
                         "cannot map %llu MiB for '%s': the limit on the size of files (ulimit -f) "
                         "is %llu MiB: raise it, or ask for less with -m",
                         (unsigned long long)(ram->size >> 20), ram->name,
                         (unsigned long long)(limit_of(RLIMIT_FSIZE) >> 20));
    if (ram->size > INT64_MAX || ftruncate(ram->fd, (off_t)ram->size))
        return too_large(ram->name, ram->size, err);
    void *mapping =
        mmap(NULL, ram->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, ram->fd, 0);
    if (mapping == MAP_FAILED)
        return too_large(ram->name, ram->size, err);
    ram->mapping = mapping;
    ram->mapping_size = ram->size;
    madvise(mapping, ram->size, MADV_DONTDUMP);
    ram->page_table = map_table(table_size(ram));
    ram->flags = map_table(ram->size >> PAGE_SHIFT);
    if (!ram->page_table || !ram->flags)
        return too_large(ram->name, ram->size, err);
    return 0;
}

int ram_create(struct ram **ram_out, const char *name, uint64_t size, struct error *err)
{
    if (!size)
        return error_set(err, EINVAL, "cannot map '%s': its size is 0", name);
    if (size > UINT64_MAX - PAGE_SIZE)
        return too_large(name, size, err);
    struct ram *ram = calloc(1, sizeof(*ram));
    if (!ram)
        return error_set(err, ENOMEM, "out of memory for '%s'", name);
    snprintf(ram->name, sizeof(ram->name), "%s", name);
    ram->size = round_up(size, PAGE_SIZE);
    int rc = map_all(ram, err);
    if (rc) {
        ram_destroy(ram);
        return rc;
    }
    *ram_out = ram;
    return 0;
}

void ram_destroy(struct ram *ram)
{
    if (!ram)
        return;
    if (ram->mapping)
        munmap(ram->mapping, ram->mapping_size);
    if (ram->page_table)
        munmap(ram->page_table, table_size(ram));
    if (ram->flags)
        munmap((void *)ram->flags, ram->size >> PAGE_SHIFT);
    if (ram->fd >= 0)
        close(ram->fd);
    free(ram);
}

/* Several threads may fill one chunk at once: they write the same. */
uint8_t *ram_host_first(const struct ram *ram, uint64_t page)
{
    uint64_t first = round_down(page, TABLE_CHUNK);
    for (uint64_t i = 0; i < TABLE_CHUNK && first + i < ram->size >> PAGE_SHIFT; i++)
        __atomic_store_n(&ram->page_table[first + i], ram->mapping + ((first + i) << PAGE_SHIFT),
                         __ATOMIC_RELAXED);
    return ram->mapping + (page << PAGE_SHIFT);
}

static bool inside(const struct ram *ram, uint64_t offset, uint64_t length)
{
    return offset <= ram->size && length <= ram->size - offset;
}

static uint64_t piece(uint64_t offset, uint64_t length)
{
    return min_u64(PAGE_SIZE - (offset & (PAGE_SIZE - 1)), length);
}

bool ram_copy_in(struct ram *ram, uint64_t offset, const void *from, uint64_t length)
{
    if (!inside(ram, offset, length))
        return false;
    const uint8_t *at = from;
    while (length) {
        uint64_t n = piece(offset, length);
        memcpy(ram_host(ram, offset >> PAGE_SHIFT) + (offset & (PAGE_SIZE - 1)), at, n);
        ram_set_flags(ram, offset >> PAGE_SHIFT, RAM_DIRTY_ALL);
        at += n;
        offset += n;
        length -= n;
    }
    return true;
}

bool ram_copy_out(const struct ram *ram, uint64_t offset, void *to, uint64_t length)
{
    if (!inside(ram, offset, length))
        return false;
    uint8_t *at = to;
    while (length) {
        uint64_t n = piece(offset, length);
        memcpy(at, ram_host(ram, offset >> PAGE_SHIFT) + (offset & (PAGE_SIZE - 1)), n);
        at += n;
        offset += n;
        length -= n;
    }
    return true;
}

bool ram_fetch_flag(struct ram *ram, enum ram_flag flag, uint64_t first, uint64_t count,
                    uint64_t *bitmap)
{
    uint64_t pages = ram->size >> PAGE_SHIFT;
    bool any = false;
    memset(bitmap, 0, round_up(count, 64) / 8);
    for (uint64_t i = 0; i < count && first < pages && i < pages - first; i++) {
        if (!(ram_get_flags(ram, first + i) & flag))
            continue;
        ram_clear_flags(ram, first + i, flag);
        bitmap[i / 64] |= UINT64_C(1) << (i % 64);
        any = true;
    }
    return any;
}
