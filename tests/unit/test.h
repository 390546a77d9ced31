/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the unit tests share: cmocka with the headers it wants before it, and a seeded stream of
 * pseudo-random numbers (xorshift64*), so that every run scribbles the same.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline uint64_t test_random(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(2685821657736338717);
}

#endif
