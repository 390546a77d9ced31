// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs the bench's jobs one after the other, in a guest as its first process or on the host:
 *
 *     driver FILE          the jobs of FILE, marks on standard output
 *     driver exit N        ends with status N, for the workload that starts programs
 *     (process 1)          the jobs of /bench/jobs, marks on port 0xe9
 *
 * A job is a line of words between tabs:
 *
 *     NAME work ROUNDS             the small workload of that name (work.h)
 *     NAME run PROGRAM ARGUMENT... a program; it writes to standard output, or to /tmp/out itself
 *     PATH text BYTES              no workload: makes a file of words
 *
 * Marks: "<NAME" when a workload starts, "|NAME" when it has ended, then
 * ">NAME NANOSECONDS CPU RESULT": the time by CLOCK_MONOTONIC, what of it a processor was at work,
 * and a checksum of what came out. "?NAME WHY" when it could not run; "=end" is last. Whoever reads
 * them takes the time by its own clock, which no guest can bend.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "work.h"

#define OUT       "/tmp/out"
#define MAX_WORDS 32

static bool in_guest;
static const char *self = "/bench/driver";
static const char *running = "?";

__attribute__((format(printf, 1, 2))) static void mark(const char *format, ...)
{
    char text[256];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(text, sizeof(text) - 1, format, list);
    va_end(list);
    if (length > (int)sizeof(text) - 2)
        length = (int)sizeof(text) - 2;
    text[length++] = '\n';
    if (!in_guest) {
        if (write(1, text, (size_t)length) != length)
            exit(1);
        return;
    }
    for (int i = 0; i < length; i++)
        outb((unsigned char)text[i], 0xe9);
}

const char *work_self(void)
{
    return self;
}

void work_refuse(const char *why)
{
    mark("?%s %s", running, why);
    _exit(0);
}

void *work_memory(uint64_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        work_refuse("no memory");
    return memory;
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* Processor time of this process and the children it has waited for. */
static uint64_t processor_time(void)
{
    uint64_t total = 0;
    const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    for (int i = 0; i < 2; i++) {
        struct rusage usage;
        getrusage(whose[i], &usage);
        total += (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
                 (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
    }
    return total;
}

static const struct work *find_work(const char *name)
{
    const struct work *lists[] = {work_compute, work_kernel};
    for (int i = 0; i < 2; i++) {
        for (const struct work *work = lists[i]; work->name; work++) {
            if (!strcmp(work->name, name))
                return work;
        }
    }
    return NULL;
}

/* In a process of its own, so that each begins with the same memory. */
static void do_work(const char *name, uint64_t rounds)
{
    pid_t child = fork();
    if (child) {
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
            WEXITSTATUS(status))
            mark("?%s its process died, status %d", name, status);
        return;
    }
    const struct work *work = find_work(name);
    if (!work)
        work_refuse("no such workload in the driver");
    void *data = work->prepare ? work->prepare() : NULL;
    mark("<%s", name);
    uint64_t start = now(), processor = processor_time();
    uint64_t result = work->run(data, rounds);
    uint64_t time = now() - start;
    processor = processor_time() - processor;
    mark("|%s", name);
    mark(">%s %" PRIu64 " %" PRIu64 " %016" PRIx64, name, time, processor, result);
    _exit(0);
}

/* FNV-1a of a file. */
static uint64_t checksum(const char *path)
{
    uint64_t sum = 14695981039346656037u;
    FILE *file = fopen(path, "r");
    char block[65536];
    size_t got;
    while (file && (got = fread(block, 1, sizeof(block), file)) > 0) {
        for (size_t i = 0; i < got; i++)
            sum = (sum ^ (uint8_t)block[i]) * 1099511628211u;
    }
    if (file)
        fclose(file);
    return sum;
}

static void do_run(const char *name, char **words)
{
    mark("<%s", name);
    uint64_t start = now(), processor = processor_time();
    pid_t child = vfork();
    if (!child) {
        int out = open(OUT, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (out >= 0)
            dup2(out, 1);
        execvp(words[0], words);
        _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    uint64_t time = now() - start;
    processor = processor_time() - processor;
    mark("|%s", name);
    if (child < 0 || status)
        mark("?%s %s ended with status %#x", name, words[0], status);
    else
        mark(">%s %" PRIu64 " %" PRIu64 " %016" PRIx64, name, time, processor, checksum(OUT));
    unlink(OUT);
}

/* Words of unequal frequency, as gzip finds them in English or in a program's source. */
static void make_text(const char *path, uint64_t size)
{
    static const char often[] = "etaoinshrdlucmfwypvbgkqjxz";
    FILE *file = fopen(path, "w");
    if (!file)
        return;
    uint64_t seed = 11;
    for (uint64_t at = 0; at < size;) {
        char word[24];
        size_t length = 0;
        /* Its number, small ones more often; its letters follow from that. */
        uint64_t number = (uint64_t)(work_random(&seed) & 0xffff) * (work_random(&seed) & 0xffff);
        number = number * (work_random(&seed) & 0xffff) >> 34;
        uint64_t letters = number * 2654435761u + 12345;
        size_t wanted = 2 + (number > 64) + (number > 600) + (letters & 3) + 2 * (letters >> 2 & 1);
        while (length < wanted) {
            uint32_t first = work_random(&letters) & 255;
            word[length++] = often[first * (work_random(&letters) & 255) * 26 >> 16];
        }
        uint32_t end = work_random(&seed) % 16;
        word[length++] = end > 1 ? ' ' : end == 1 ? ',' : '.';
        if (end < 2)
            word[length++] = work_random(&seed) & 3 ? ' ' : '\n';
        if (length > size - at)
            length = size - at;
        fwrite(word, 1, length, file);
        at += length;
    }
    fclose(file);
}

static void do_line(char *line)
{
    char *words[MAX_WORDS + 1];
    int count = 0;
    for (char *word = strtok(line, "\t\n"); word && count < MAX_WORDS; word = strtok(NULL, "\t\n"))
        words[count++] = word;
    words[count] = NULL;
    if (count < 3)
        return;
    running = words[0];
    if (!strcmp(words[1], "work"))
        do_work(words[0], strtoull(words[2], NULL, 10));
    else if (!strcmp(words[1], "run"))
        do_run(words[0], words + 2);
    else if (!strcmp(words[1], "text"))
        make_text(words[0], strtoull(words[2], NULL, 10));
    /* The reader looks at the machine's memory between two workloads. */
    if (in_guest)
        usleep(50000);
}

static void be_first_process(void)
{
    in_guest = true;
    mkdir("/tmp", 0777);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    mount("proc", "/proc", "proc", 0, NULL);
    int console = open("/dev/console", O_RDWR);
    for (int fd = 0; console >= 0 && fd < 3; fd++)
        dup2(console, fd);
    if (iopl(3)) {
        perror("bench: no access to ports");
        return;
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "exit"))
        return atoi(argv[2]);
    if (getpid() == 1)
        be_first_process();
    else
        self = argv[0];
    const char *path = argc == 2 && !in_guest ? argv[1] : "/bench/jobs";
    FILE *jobs = fopen(path, "r");
    if (!jobs) {
        perror(path);
        return 1;
    }
    setenv("PATH", "/bin:/usr/bin", 1);
    setenv("LC_ALL", "C", 1);
    char line[4096];
    while (fgets(line, sizeof(line), jobs))
        do_line(line);
    fclose(jobs);
    mark("=end");
    if (!in_guest)
        return 0;
    for (;;)
        pause();
}
