/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PCI: configuration space, base address registers, interrupt pins; PCI Local Bus
 * Specification 3.0. One bus of 32 slots with 8 functions each, reached by configuration mechanism
 * #1 (ports 0xcf8 and 0xcfc) through the host bridge. Under the VM lock.
 */
#ifndef BUS_PCI_H
#define BUS_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/device.h"
#include "bus/irq.h"
#include "mem/mem.h"

enum pci_register {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS_PROG = 0x09,
    PCI_CLASS_DEVICE = 0x0a, /* 16 bits: subclass, class */
    PCI_CACHE_LINE = 0x0c,
    PCI_LATENCY = 0x0d,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_ROM = 0x30,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
};

enum {
    PCI_COMMAND_IO = 1,
    PCI_COMMAND_MEMORY = 2,
    PCI_COMMAND_MASTER = 4,
    PCI_COMMAND_INTX_OFF = 0x400
};

#define PCI_DEVFN(slot, function) ((uint8_t)((slot) << 3 | (function)))

struct pci_bus;
struct pci_device;

/* A base address register; index 6 is the expansion ROM. Memory BARs are mapped into the address
 * space, I/O BARs into the ports, as the guest programs them and PCI_COMMAND allows. */
struct pci_bar {
    uint64_t size; /* 0: not there; a power of two */
    bool io;
    bool wide; /* a 64-bit memory BAR: takes this slot and the next */
    bool prefetch;
    bool mapped;
    struct mem_region region; /* memory: kind, ram or ops, opaque are the device's to set */
    struct pio_range ports;   /* I/O: ops, opaque are the device's to set */
};

struct pci_device {
    struct device device; /* first */
    struct pci_bus *bus;
    uint8_t devfn;
    uint8_t config[256];
    uint8_t writable[256];     /* which bits the guest may write */
    uint8_t clear_on_one[256]; /* which bits writing 1 clears (status) */
    struct pci_bar bars[7];
    uint8_t pin;      /* as given to pci_device_init */
    bool intx_level;  /* what the device says */
    bool intx_driven; /* what the bus sees: PCI_COMMAND_INTX_OFF hides it */
    /* Called after the guest wrote [offset, offset+size) and the generic part is done; may be NULL.
     */
    void (*config_written)(struct pci_device *device, unsigned offset, unsigned size);
};

struct pci_bus {
    struct mem *mem;
    struct pio *pio;
    struct pci_device *devices[256]; /* by devfn */
    int pirq_count[4];               /* devices asserting each of INTA..INTD after swizzling */
    struct irq pirq[4];              /* to the interrupt router (PIIX3) */
};

void pci_bus_init(struct pci_bus *bus, struct mem *mem, struct pio *pio);

/* Puts a device on the bus. Fills the header: ids, class (24 bits: class, subclass, interface),
 * revision, and pin (0 none, 1..4 INTA..INTD). BARs are added afterwards. */
void pci_device_init(struct pci_device *device, struct pci_bus *bus, uint8_t devfn, uint16_t vendor,
                     uint16_t id, uint32_t class_code, uint8_t revision, uint8_t pin);

/* BARs lie under RAM and the board's fixed chips (priority 0 and up) where they overlap, so that a
 * guest cannot take those away, not even for the moment of sizing a BAR. */
#define PCI_BAR_PRIORITY (-1)

/* Declares a BAR after the device has filled bars[index]'s region or ports, wide and prefetch.
 * size: a power of two; memory 16 bytes to 2 GiB (wide: any), ports 4 to 32 Ki, ROM from 2 KiB.
 * A region priority of 0 becomes PCI_BAR_PRIORITY. A BAR programmed to 0, or to an end beyond the
 * register's reach (as while being sized), is not mapped. */
void pci_add_bar(struct pci_device *device, unsigned index, uint64_t size, bool io);

/* Header registers to their reset values, BARs unmapped, INTx released: a device calls it first
 * in its own reset. */
void pci_device_reset(struct pci_device *device);

/* Which of the bus's four wires (0: PIRQA) pin 1..4 of a device ends in: the wiring of PIIX boards,
 * which firmware takes for granted and the ACPI _PRT must repeat. Slot 1's INTA is PIRQA. */
unsigned pci_pirq(uint8_t devfn, uint8_t pin);

/* The device's interrupt pin. */
void pci_set_intx(struct pci_device *device, bool level);

/* Configuration accesses; size 1, 2, 4 and naturally inside the dword. No device: all ones. */
uint32_t pci_config_read(struct pci_bus *bus, uint8_t devfn, unsigned offset, unsigned size);
void pci_config_write(struct pci_bus *bus, uint8_t devfn, unsigned offset, uint32_t value,
                      unsigned size);

/* Bus-master access: nothing happens and false if PCI_COMMAND_MASTER is off. */
bool pci_dma_read(struct pci_device *device, gpa_t gpa, void *to, uint64_t length);
bool pci_dma_write(struct pci_device *device, gpa_t gpa, const void *from, uint64_t length);

/* State tables of PCI devices include this one by STATE_SUB; its `loaded` remaps the BARs. */
extern const struct state_table pci_device_state;

#endif
