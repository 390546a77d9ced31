// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Workloads in which the kernel works too, and two that are hard for translators: code that
 * rewrites itself and atomic increments.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

/* One processor for all that follows, as the guest has it. */
static void *one_processor(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int cpu = sched_getcpu();
    CPU_SET(cpu < 0 ? 0 : (unsigned int)cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
    return NULL;
}

static uint64_t getpid_run(void *data, uint64_t rounds)
{
    (void)data;
    uint64_t good = 0;
    for (uint64_t i = 0; i < rounds; i++)
        good += syscall(SYS_getpid) > 0;
    return good;
}

/* First writes to pages; a round is 256 of them. */
static uint64_t faults_run(void *data, uint64_t rounds)
{
    (void)data;
    const size_t size = 256 * 4096;
    uint64_t touched = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        uint8_t *pages =
            mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED)
            work_refuse("no memory");
        madvise(pages, size, MADV_NOHUGEPAGE);
        for (size_t at = 0; at < size; at += 4096) {
            touched += pages[at] == 0;
            pages[at] = 1;
        }
        munmap(pages, size);
    }
    return touched;
}

static uint64_t pingpong_run(void *data, uint64_t rounds)
{
    (void)data;
    int there[2], back[2];
    if (pipe(there) || pipe(back))
        work_refuse("no pipes");
    pid_t other = fork();
    uint8_t byte = 0;
    if (!other) {
        close(there[1]);
        while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
            ;
        _exit(0);
    }
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        byte = (uint8_t)i;
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            work_refuse("a pipe broke");
        sum += byte;
    }
    close(there[1]);
    waitpid(other, NULL, 0);
    return sum;
}

static uint64_t fork_run(void *data, uint64_t rounds)
{
    (void)data;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        pid_t child = fork();
        if (!child)
            _exit((int)(i & 63));
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child)
            work_refuse("fork failed");
        sum += (uint64_t)WEXITSTATUS(status);
    }
    return sum;
}

static uint64_t exec_run(void *data, uint64_t rounds)
{
    (void)data;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        pid_t child = vfork();
        if (!child) {
            execl(work_self(), "driver", "exit", "5", (char *)NULL);
            _exit(9);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 5)
            work_refuse("the program did not start");
        sum += (uint64_t)WEXITSTATUS(status);
    }
    return sum;
}

/* lea eax, [rdi + NUMBER]; ret, with a new number before each call. */
static void *rewrite_prepare(void)
{
    static const uint8_t code[] = {0x8d, 0x87, 0, 0, 0, 0, 0xc3};
    uint8_t *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        work_refuse("no memory that is writable and executable");
    memcpy(page + 64, code, sizeof(code));
    return page + 64;
}

static uint64_t rewrite_run(void *data, uint64_t rounds)
{
    uint8_t *code = data;
    uint32_t (*function)(uint32_t) = (uint32_t(*)(uint32_t))(uintptr_t)data;
    uint32_t sum = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        uint32_t number = (uint32_t)i * 3;
        memcpy(code + 2, &number, sizeof(number));
        __asm__ volatile("" ::: "memory");
        sum = function(sum);
    }
    return sum;
}

static void *atomic_prepare(void)
{
    return work_memory(4096);
}

static uint64_t atomic_run(void *data, uint64_t rounds)
{
    uint64_t *counter = data;
    for (uint64_t i = 0; i < rounds; i++) {
        __atomic_fetch_add(counter, i, __ATOMIC_SEQ_CST);
        uint64_t old = __atomic_load_n(counter + 8, __ATOMIC_SEQ_CST);
        __atomic_compare_exchange_n(counter + 8, &old, old ^ i, 0, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
    }
    return counter[0] ^ counter[8];
}

const struct work work_kernel[] = {
    {"getpid", NULL, getpid_run},
    {"faults", NULL, faults_run},
    {"pingpong", one_processor, pingpong_run},
    {"fork", one_processor, fork_run},
    {"exec", one_processor, exec_run},
    {"rewrite", rewrite_prepare, rewrite_run},
    {"atomic", atomic_prepare, atomic_run},
    {NULL, NULL, NULL},
};
