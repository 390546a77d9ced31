/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel 82093AA I/O APIC (datasheet 290566): 24 interrupt pins, a redirection entry each, at
 * 0xfec00000. Version 0x20, so with the EOI register of its successors. All under the VM lock.
 */
#ifndef DEVICE_IOAPIC_H
#define DEVICE_IOAPIC_H

#include "bus/device.h"
#include "device/lapic.h"
#include "mem/mem.h"

enum { IOAPIC_PINS = 24, IOAPIC_BASE = 0xfec00000 };

struct ioapic {
    struct device device; /* first */
    struct mem *mem;
    struct mem_region region;
    struct lapic *lapic;
    uint32_t id; /* bits 24-27 */
    uint8_t select;
    uint32_t lines; /* levels of the pins; what they mean, not their polarity */
    uint32_t irr;   /* requests not yet delivered */
    uint64_t redirection[IOAPIC_PINS];
};

/* Maps the registers and listens to the local APICs' end of interrupt. */
void ioapic_init(struct ioapic *ioapic, struct mem *mem, struct lapic *lapic);

/* irq_fn: pin n, 0..23. true is asserted, whatever polarity the guest programs. */
void ioapic_set_irq(void *opaque, int n, bool level);

#endif
