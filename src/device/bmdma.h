/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One channel of a bus-master IDE controller: three registers and the walk through the table of
 * physical region descriptors ("Programming Interface for Bus Master IDE Controller" 1.0; 82371SB
 * datasheet, section 2.7). Under the VM lock.
 */
#ifndef DEVICE_BMDMA_H
#define DEVICE_BMDMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/pci.h"
#include "state/state.h"

enum bmdma_command { BMDMA_START = 0x01, BMDMA_TO_MEMORY = 0x08 };
enum bmdma_status {
    BMDMA_ACTIVE = 0x01,
    BMDMA_ERROR = 0x02,
    BMDMA_INTERRUPT = 0x04,
    BMDMA_CAPABLE_0 = 0x20, /* software's notes; the chip does not look at them */
    BMDMA_CAPABLE_1 = 0x40,
};

struct bmdma {
    uint8_t command;
    uint8_t status;
    uint32_t table;   /* the register: where descriptors begin */
    uint32_t next;    /* where the next descriptor is read */
    uint32_t address; /* of what is left of the current region */
    uint32_t left;    /* bytes of the current region */
    bool last;        /* the current region is the last one */
};

void bmdma_reset(struct bmdma *bmdma);

/* Registers by bytes: offset 0..7 in the channel's block. */
uint8_t bmdma_read(const struct bmdma *bmdma, unsigned offset);

/* True if this write started the engine: the drive may have been waiting for it. */
bool bmdma_write(struct bmdma *bmdma, unsigned offset, uint8_t value);

/* Moves up to length bytes between the drive's buffer and guest memory, and says how many. Fewer
 * when the engine is not started for this direction, when the table ends (the engine stops, without
 * an error bit), or when the bus does not answer (it stops with the error bit). */
size_t bmdma_transfer(struct bmdma *bmdma, struct pci_device *pci, void *buffer, size_t length,
                      bool to_memory);

extern const struct state_table bmdma_state;

#endif
