/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The SMBus host controller of the PIIX4's power management function (82371AB datasheet, section
 * 7.3), on a bus without devices: every transaction ends at once with "device error", as when no
 * address answers. Completion is seen by polling only, no interrupt is raised, and the slave
 * registers never see a master. Under the VM lock.
 */
#ifndef DEVICE_SMBUS_H
#define DEVICE_SMBUS_H

#include <stdint.h>

#include "mem/io.h"
#include "state/state.h"

#define SMBUS_PORTS 16
#define SMBUS_BLOCK 32

struct smbus {
    uint8_t status;  /* SMBHSTSTS */
    uint8_t control; /* SMBHSTCNT */
    uint8_t command, address, data0, data1;
    uint8_t block[SMBUS_BLOCK]; /* SMBBLKDAT, one byte an access ... */
    uint8_t block_index;        /* ... at this place */
    uint8_t slave_control, slave_command;
    uint16_t slave_event;
    struct pio *pio;
    struct pio_range ports;
};

void smbus_init(struct smbus *smbus, struct pio *pio);
void smbus_reset(struct smbus *smbus);

/* Moves the registers to 16 ports at base, or takes them away if base is 0. */
void smbus_map(struct smbus *smbus, uint16_t base);

/* For the table of the function that holds the controller; it maps the ports itself. */
extern const struct state_table smbus_state;

#endif
