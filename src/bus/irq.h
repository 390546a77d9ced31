/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A wire. What drives it holds a struct irq; what it ends in gave the function. A wire that is not
 * connected (fn NULL) is fine to drive. Under the VM lock.
 */
#ifndef BUS_IRQ_H
#define BUS_IRQ_H

#include <stdbool.h>
#include <stddef.h>

typedef void (*irq_fn)(void *opaque, int n, bool level);

struct irq {
    irq_fn fn;
    void *opaque;
    int n;
};

static inline void irq_set(const struct irq *irq, bool level)
{
    if (irq->fn)
        irq->fn(irq->opaque, irq->n, level);
}

static inline void irq_pulse(const struct irq *irq)
{
    irq_set(irq, true);
    irq_set(irq, false);
}

#endif
