/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Formats: Linux' tools/perf/Documentation/jit-interface.txt and jitdump-specification.txt.
 */
#include "engine/dbt/perf.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

enum { JIT_CODE_LOAD = 0, ELF_X86_64 = 62 };

struct jit_header {
    uint32_t magic, version, total_size, elf_machine, pad, pid;
    uint64_t timestamp, flags;
};
struct jit_load {
    uint32_t id, total_size;
    uint64_t timestamp;
    uint32_t pid, tid;
    uint64_t vma, code_addr, code_size, code_index;
};

struct perf {
    pthread_mutex_t mutex;
    FILE *map, *dump;
    void *marker; /* perf record takes note of the mapping, and so of the file */
    uint64_t count;
};

static uint64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* A file of our own: what another user put there is not written to. */
static FILE *create(const char *path, struct error *err)
{
    unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w+");
    if (!file) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        error_set(err, why, "cannot create %s: %s", path, strerror(why));
    }
    return file;
}

static int begin_dump(struct perf *perf, const char *path, struct error *err)
{
    perf->dump = create(path, err);
    if (!perf->dump)
        return -EIO;
    const struct jit_header header = {.magic = 0x4a695444,
                                      .version = 1,
                                      .total_size = sizeof(header),
                                      .elf_machine = ELF_X86_64,
                                      .pid = (uint32_t)getpid(),
                                      .timestamp = now()};
    fwrite(&header, sizeof(header), 1, perf->dump);
    fflush(perf->dump);
    perf->marker = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_EXEC, MAP_PRIVATE,
                        fileno(perf->dump), 0);
    if (perf->marker != MAP_FAILED)
        return 0;
    perf->marker = NULL;
    return error_set(err, errno,
                     "cannot map %s for perf to notice: %s; is it on a file system "
                     "without execution?",
                     path, strerror(errno));
}

int perf_open(struct perf **out, bool map, bool dump, struct error *err)
{
    char path[64];
    struct perf *perf = calloc(1, sizeof(*perf));
    if (!perf)
        return error_set(err, ENOMEM, "cannot write for perf: out of memory");
    pthread_mutex_init(&perf->mutex, NULL);
    int rc = 0;
    if (map) {
        snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
        perf->map = create(path, err);
        rc = perf->map ? 0 : -EIO;
    }
    if (dump && rc == 0) {
        snprintf(path, sizeof(path), "jit-%d.dump", (int)getpid());
        rc = begin_dump(perf, path, err);
    }
    if (rc) {
        perf_close(perf);
        return rc;
    }
    *out = perf;
    return 0;
}

void perf_close(struct perf *perf)
{
    if (!perf)
        return;
    if (perf->map)
        fclose(perf->map);
    if (perf->dump)
        fclose(perf->dump);
    if (perf->marker)
        munmap(perf->marker, (size_t)sysconf(_SC_PAGESIZE));
    pthread_mutex_destroy(&perf->mutex);
    free(perf);
}

static void dump_code(struct perf *perf, const char *name, const void *code, size_t size)
{
    struct jit_load load = {.id = JIT_CODE_LOAD,
                            .timestamp = now(),
                            .pid = (uint32_t)getpid(),
                            .tid = (uint32_t)syscall(SYS_gettid),
                            .vma = (uintptr_t)code,
                            .code_addr = (uintptr_t)code,
                            .code_size = size,
                            .code_index = perf->count++};
    load.total_size = (uint32_t)(sizeof(load) + strlen(name) + 1 + size);
    fwrite(&load, sizeof(load), 1, perf->dump);
    fwrite(name, strlen(name) + 1, 1, perf->dump);
    fwrite(code, size, 1, perf->dump);
}

void perf_note(struct perf *perf, const char *name, const void *code, size_t size)
{
    pthread_mutex_lock(&perf->mutex);
    if (perf->map)
        fprintf(perf->map, "%llx %zx %s\n", (unsigned long long)(uintptr_t)code, size, name);
    if (perf->dump)
        dump_code(perf, name, code, size);
    pthread_mutex_unlock(&perf->mutex);
}
