/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel 82371SB (PIIX3), function 0: the PCI-to-ISA bridge (datasheet 290550): routes the four PCI
 * interrupt lines to ISA interrupts, and resets the machine through port 0xcf9. The edge/level
 * registers are the interrupt controllers', the IDE and power functions devices of their own.
 *
 * All under the VM lock.
 */
#ifndef DEVICE_PIIX3_H
#define DEVICE_PIIX3_H

#include "bus/irq.h"
#include "bus/pci.h"

struct i440fx;

/* What the guest asks by port 0xcf9. */
typedef void (*piix3_reset_fn)(void *opaque);

struct piix3 {
    struct pci_device pci; /* first */
    struct irq isa_irq[16];
    struct i440fx *host;
    piix3_reset_fn reset_machine;
    void *reset_opaque;
    uint8_t reset_control; /* 0xcf9: bit 1, hard or soft; bit 2 reads as 0 */
    bool pirq_level[4];
    uint16_t irq_level; /* what isa_irq was last set to, by PIRQs alone */
};

/* Puts the bridge at devfn (a multifunction slot) and takes the bus's four PIRQ wires. isa_irq is
 * copied: 16 wires that go to the interrupt controllers, of which 3-7, 9-12, 14, 15 can be driven.
 * A PIRQ shares its ISA interrupt with other PIRQs, not with ISA devices. */
void piix3_init(struct piix3 *bridge, struct pci_bus *bus, uint8_t devfn, struct i440fx *host,
                const struct irq isa_irq[16], piix3_reset_fn reset_machine, void *opaque);

#endif
