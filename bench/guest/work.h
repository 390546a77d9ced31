/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The small workloads of the bench. Each is a fixed amount of work, given as a number of rounds,
 * and gives back a number made of all its results: it must be the same wherever the workload runs.
 */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <stdint.h>

struct work {
    const char *name;
    void *(*prepare)(
        void); /* memory and its contents, before the clock starts; NULL: none needed */
    uint64_t (*run)(void *data, uint64_t rounds);
};

/* What user mode does without the kernel, and with it; each list ends with a name of NULL. */
extern const struct work work_compute[];
extern const struct work work_kernel[];

/* The program's own file, for the workload that starts programs. */
const char *work_self(void);

/* A cheap sequence of numbers, the same everywhere. */
static inline uint32_t work_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

/* size bytes, cleared and touched; ends the program where there are none. */
void *work_memory(uint64_t size);

/* Says why this workload cannot run here, and ends its process. */
_Noreturn void work_refuse(const char *why);

#endif
