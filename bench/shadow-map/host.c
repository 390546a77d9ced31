// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the host charges for the things a translator's memory could be made of: faults, mappings of
 * single pages, guard pages; and whether guard pages in two mappings of one memory do what the
 * design needs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13, for files 6.15 */
#endif

#define PAGE  4096L
#define SIZE  (64L << 20)
#define PAGES 10000

static double start;

static void begin(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    start = (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void end(const char *what, long count)
{
    double before = start;
    begin();
    printf("%-44s %8.0f ns\n", what, (start - before) / (double)count);
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Skips the two bytes of the load in faults(). */
static void skip(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void faults(void)
{
    struct sigaction action = {.sa_sigaction = skip, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    begin();
    for (int i = 0; i < PAGES; i++)
        __asm__ volatile(".byte 0x8b, 0x08" ::"a"(16L) : "rcx", "memory"); /* mov ecx, [rax] */
    end("SIGSEGV and back", PAGES);
    begin();
    for (int i = 0; i < PAGES; i++)
        syscall(SYS_getppid);
    end("a system call", PAGES);
}

static char *map_all(int fd, int protection)
{
    char *memory = mmap(NULL, SIZE, protection, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        fail("mmap");
    return memory;
}

static void mappings(int fd)
{
    memset(map_all(fd, PROT_READ | PROT_WRITE), 1, SIZE);
    char *place =
        mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED)
        fail("mmap");
    begin();
    for (long i = 0; i < PAGES; i++) {
        if (mmap(place + i * PAGE, (size_t)PAGE, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd,
                 i * 7919 % (SIZE / PAGE) * PAGE) == MAP_FAILED)
            fail("mmap");
    }
    end("mapping one page of a memfd", PAGES);
    begin();
    for (long i = 0; i < PAGES; i++)
        mprotect(place + i * PAGE, (size_t)PAGE, PROT_READ);
    end("mprotect of one", PAGES);
    begin();
    munmap(place, PAGES * PAGE);
    end("munmap of all, each", PAGES);
}

static sigjmp_buf back;

static void jump(int signal)
{
    siglongjmp(back, signal);
}

static void expect_fault(const char *what, volatile char *at)
{
    if (sigsetjmp(back, 1)) {
        printf("%-44s faults, as it should\n", what);
        return;
    }
    *(volatile long *)at = 1;
    printf("%-44s DOES NOT FAULT\n", what);
}

/* Two mappings, the odd pages of one and the even pages of the other guarded: an access that runs
 * over a page's end hits a guard page in both, all others hit memory in one of them. */
static void guards(int fd)
{
    char *even = map_all(fd, PROT_READ | PROT_WRITE), *odd = map_all(fd, PROT_READ | PROT_WRITE);
    begin();
    for (long at = PAGE; at < SIZE; at += 2 * PAGE) {
        if (madvise(even + at, (size_t)PAGE, MADV_GUARD_INSTALL)) {
            printf("no guard pages here: %s\n", strerror(errno));
            return;
        }
    }
    end("a guard page", SIZE / PAGE / 2);
    static struct iovec pages[1024];
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    begin();
    for (long at = 0; at < SIZE;) {
        size_t count = 0;
        for (; count < 1024 && at < SIZE; count++, at += 2 * PAGE)
            pages[count] = (struct iovec){odd + at, (size_t)PAGE};
        if (syscall(SYS_process_madvise, self, pages, count, MADV_GUARD_INSTALL, 0) < 0) {
            printf("no guard pages in batches: %s\n", strerror(errno));
            return;
        }
    }
    end("a guard page, 1024 at once", SIZE / PAGE / 2);
    struct sigaction action = {.sa_handler = jump, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    even[100] = 7;
    odd[PAGE + 100] = 9;
    char *plain = map_all(fd, PROT_READ);
    printf("%-44s %s\n", "what one mapping writes another reads",
           plain[100] == 7 && plain[PAGE + 100] == 9 ? "yes" : "NO");
    expect_fault("a write over an even page's end", even + PAGE - 4);
    expect_fault("a write over an odd page's end", odd + 2 * PAGE - 4);
    expect_fault("a write to an even page of the odd mapping", odd);
}

int main(void)
{
    int fd = memfd_create("memory", 0);
    if (fd < 0 || ftruncate(fd, SIZE))
        fail("memfd_create");
    faults();
    mappings(fd);
    guards(fd);
    return 0;
}
