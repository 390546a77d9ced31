/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel 82441FX, the host bridge of the i440FX chipset (datasheet 290549): PCI configuration
 * mechanism #1 at ports 0xcf8 and 0xcfc, the PAM registers that switch 0xc0000-0xfffff between
 * the PCI bus (ROMs) and RAM, and SMRAM: the RAM at 0xa0000 for processors in system management
 * mode.
 *
 * The board maps RAM at 0-0x9ffff and from 1 MiB on. What lies between belongs to the PCI bus
 * (the VGA window, ROMs: regions of a priority below I440FX_PRIORITY) until the guest programs
 * this chip to put RAM over it.
 *
 * All under the VM lock.
 */
#ifndef DEVICE_I440FX_H
#define DEVICE_I440FX_H

#include "bus/pci.h"
#include "mem/io.h"
#include "mem/mem.h"

#define I440FX_PRIORITY     10 /* of the RAM that PAM and SMRAM put over the PCI bus */
#define I440FX_PAM_SEGMENTS 13

struct i440fx {
    struct pci_device pci; /* first */
    struct mem *mem;
    struct mem_region pam[I440FX_PAM_SEGMENTS];
    struct mem_region smram;
    struct pio_range address_ports, data_ports;
    struct pio *pio;
    uint32_t config_address; /* 0xcf8 */
    bool smram_locked;       /* D_LCK was set: register 0x72 stays as it is until reset */
    /* The byte at 0xcf9, which lies under the dword register: the south bridge's. */
    const struct io_ops *reset_control;
    void *reset_control_opaque;
};

/* Puts the bridge at 00.0 of the bus and registers ports and (disabled) regions. ram is the
 * guest's memory; its byte n is guest-physical n below 1 MiB. Segments past its end are never
 * mapped. Negative errno of pio_add. */
int i440fx_init(struct i440fx *bridge, struct pci_bus *bus, struct mem *mem, struct pio *pio,
                struct ram *ram);

/* Who answers byte accesses to port 0xcf9 (offset 0 of ops); ops NULL: nobody. */
void i440fx_set_reset_control(struct i440fx *bridge, const struct io_ops *ops, void *opaque);

#endif
