// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The shadow map for programs that rewrite.py has rewritten: 2^36 entries of 8 bytes that are all
 * zero, at %gs.
 */
#define _GNU_SOURCE
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

__attribute__((constructor)) static void make_map(void)
{
    void *map =
        mmap(NULL, (size_t)1 << 39, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        perror("the shadow map");
        exit(1);
    }
    _writegsbase_u64((uint64_t)(uintptr_t)map);
}
