/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files of the board "pc" share: pc.c (memory, chips, what firmware is told) and pc_irq.c
 * (wires).
 */
#ifndef MACHINE_PC_INTERNAL_H
#define MACHINE_PC_INTERNAL_H

#include "bus/pci.h"
#include "device/acpi_pm.h"
#include "device/debug_exit.h"
#include "device/debugcon.h"
#include "device/dma.h"
#include "device/fdc.h"
#include "device/ferr.h"
#include "device/fw_cfg.h"
#include "device/hpet.h"
#include "device/i440fx.h"
#include "device/i8042.h"
#include "device/ide.h"
#include "device/ioapic.h"
#include "device/lapic.h"
#include "device/pcspk.h"
#include "device/pic.h"
#include "device/piix3.h"
#include "device/pit.h"
#include "device/port92.h"
#include "device/rtc.h"
#include "device/uart.h"
#include "device/vga.h"
#include "machine/firmware.h"
#include "machine/pc.h"

/* An interrupt line is driven from two sides: by an ISA chip, and by the PIIX3's PCI routing or,
 * lines 0 and 8, the HPET. */
enum { SERIALS = 4, IRQ_LINES = 16, IRQ_SECOND = 16 };

struct pc {
    struct machine machine; /* first */
    const struct config *config;
    struct machine_host host;
    struct vcpu **vcpus;
    unsigned vcpu_count;
    struct vcpu_world *world;
    struct mem *mem;
    struct timers *timers;

    struct mem_region low_ram, main_ram, high_ram;
    struct firmware firmware;

    struct irq isa_irq[IRQ_LINES], pci_irq[IRQ_LINES];
    uint32_t irq_levels; /* bit n: line n from the ISA chip, bit IRQ_SECOND + n: the other side */
    uint32_t hpet_pins;  /* of the I/O APIC, as the HPET drives them */
    bool hpet_legacy;    /* lines 0 and 8 are the HPET's alone */
    uint64_t tsc_khz;    /* 0: not asked for yet */
    bool a20_keyboard, a20_port92;

    struct pci_bus bus;
    struct i440fx i440fx;
    struct piix3 piix3;
    struct ide ide;
    struct vga vga;
    struct pic pic;
    struct lapic lapic;
    struct ioapic ioapic;
    struct ferr ferr;
    struct hpet hpet;
    struct acpi_pm pm;
    struct pit pit;
    struct pcspk pcspk;
    struct rtc rtc;
    struct dma dma;
    struct fdc fdc;
    struct i8042 i8042;
    struct port92 port92;
    struct uart uarts[SERIALS];
    struct debugcon debugcon;
    struct debug_exit debug_exit;
    struct fw_cfg fw_cfg;
};

/* Adds a chip to the board. */
void pc_add(struct pc *pc, struct device *device);

/* pc_irq.c: the lines, and what drives them and is driven by them before all other chips: the APICs
 * and what the processors ask of the board; the HPET, if configured. */
void pc_build_irqs(struct pc *pc, const struct machine_parts *parts);

/* Other wires that chips are given. */
struct irq pc_a20_keyboard(struct pc *pc);
struct irq pc_a20_port92(struct pc *pc);
struct irq pc_reset_line(struct pc *pc);
struct irq pc_smi(struct pc *pc);
/* opaque: the board */
void pc_reset_by_chip(void *opaque);

#endif
