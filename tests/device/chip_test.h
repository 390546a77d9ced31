/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the tests of the ISA chips share: ports, a manual clock and wires that are watched.
 */
#ifndef TESTS_DEVICE_CHIP_TEST_H
#define TESTS_DEVICE_CHIP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/irq.h"
#include "event/timer.h"
#include "mem/io.h"

struct wire {
    bool level;
    unsigned rises;
};

struct bench {
    struct pio *pio;
    struct timers timers;
    struct wire wire[4];
};

static inline void wire_set(void *opaque, int n, bool level)
{
    struct wire *wire = (struct wire *)opaque + n;
    if (level && !wire->level)
        wire->rises++;
    wire->level = level;
}

static inline struct irq bench_wire(struct bench *bench, int n)
{
    return (struct irq){wire_set, bench->wire, n};
}

static inline void bench_init(struct bench *bench)
{
    *bench = (struct bench){0};
    assert_int_equal(pio_create(&bench->pio, NULL), 0);
    timers_init(&bench->timers, true);
}

static inline void bench_fini(struct bench *bench)
{
    timers_fini(&bench->timers);
    pio_destroy(bench->pio);
}

static inline uint8_t in8(struct bench *bench, uint16_t port)
{
    return (uint8_t)pio_read(bench->pio, port, 1);
}

static inline void out8(struct bench *bench, uint16_t port, uint8_t value)
{
    pio_write(bench->pio, port, value, 1);
}

/* A hostile guest in small: random bytes to every port of a range, some time passing. */
static inline void scribble(struct bench *bench, uint16_t first, uint16_t count, unsigned times)
{
    uint32_t seed = 12345;
    for (unsigned i = 0; i < times; i++) {
        seed = seed * 1664525 + 1013904223;
        uint16_t port = (uint16_t)(first + (seed >> 8) % count);
        if (seed >> 30 == 0)
            in8(bench, port);
        else
            out8(bench, port, (uint8_t)(seed >> 16));
        if (seed >> 26 == 1)
            timers_advance(&bench->timers, seed >> 10 & 0xfffff);
    }
}

#endif
