/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The bus-master half of a PIIX IDE channel ("Programming Interface for Bus Master IDE Controller"
 * 1.0). The drive asks it to move its data; it gathers or scatters by the guest's table.
 *
 * Descriptor: 32 bits of address, 16 of byte count (0 is 64 KiB), a last word whose top bit ends
 * the table. Bit 0 of address and count is taken as 0. The table cannot leave the 64 KiB it begins
 * in: the pointer wraps there. A table without an end is bounded by the drive's data, since every
 * descriptor moves two bytes at least.
 */
#include "device/bmdma.h"

#include "base/bytes.h"
#include "base/log.h"

enum { DESCRIPTOR_BYTES = 8, REGION_MAX = 0x10000 };

void bmdma_reset(struct bmdma *bmdma)
{
    *bmdma = (struct bmdma){0};
}

uint8_t bmdma_read(const struct bmdma *bmdma, unsigned offset)
{
    switch (offset) {
    case 0:
        return bmdma->command;
    case 2:
        return bmdma->status;
    case 4:
    case 5:
    case 6:
    case 7:
        return (uint8_t)(bmdma->table >> (8 * (offset - 4)));
    default:
        return 0xff;
    }
}

static bool write_command(struct bmdma *bmdma, uint8_t value)
{
    bool was = bmdma->command & BMDMA_START;
    bool is = value & BMDMA_START;
    bmdma->command = value & (BMDMA_START | BMDMA_TO_MEMORY);
    if (was && !is)
        bmdma->status &= (uint8_t)~BMDMA_ACTIVE;
    if (was || !is)
        return false;
    bmdma->status |= BMDMA_ACTIVE;
    bmdma->next = bmdma->table;
    bmdma->left = 0;
    bmdma->last = false;
    return true;
}

bool bmdma_write(struct bmdma *bmdma, unsigned offset, uint8_t value)
{
    const uint8_t capable = BMDMA_CAPABLE_0 | BMDMA_CAPABLE_1;
    switch (offset) {
    case 0:
        return write_command(bmdma, value);
    case 2:
        bmdma->status &= (uint8_t) ~(value & (BMDMA_ERROR | BMDMA_INTERRUPT));
        bmdma->status = (uint8_t)((bmdma->status & ~capable) | (value & capable));
        return false;
    case 4:
    case 5:
    case 6:
    case 7: {
        unsigned shift = 8 * (offset - 4);
        bmdma->table &= ~((uint32_t)0xff << shift);
        bmdma->table |= (uint32_t)value << shift & ~(uint32_t)3;
        return false;
    }
    default:
        return false;
    }
}

static void stop_with_error(struct bmdma *bmdma)
{
    log_limited(LOG_GUEST_ERRORS, "ide: bus-master transfer where nothing answers, table 0x%x",
                bmdma->table);
    bmdma->status = (uint8_t)((bmdma->status & ~BMDMA_ACTIVE) | BMDMA_ERROR);
}

static bool fetch_descriptor(struct bmdma *bmdma, struct pci_device *pci)
{
    uint8_t bytes[DESCRIPTOR_BYTES];
    if (!pci_dma_read(pci, bmdma->next, bytes, sizeof(bytes)))
        return false;
    bmdma->address = load_le32(bytes) & ~(uint32_t)1;
    bmdma->left = load_le16(bytes + 4) & 0xfffe;
    if (bmdma->left == 0)
        bmdma->left = REGION_MAX;
    bmdma->last = bytes[7] & 0x80;
    bmdma->next = (bmdma->next & 0xffff0000) | ((bmdma->next + DESCRIPTOR_BYTES) & 0xffff);
    return true;
}

size_t bmdma_transfer(struct bmdma *bmdma, struct pci_device *pci, void *buffer, size_t length,
                      bool to_memory)
{
    uint8_t *at = buffer;
    size_t moved = 0;
    if (to_memory != !!(bmdma->command & BMDMA_TO_MEMORY))
        return 0;
    while (moved < length && (bmdma->status & BMDMA_ACTIVE)) {
        if (bmdma->left == 0 && !fetch_descriptor(bmdma, pci)) {
            stop_with_error(bmdma);
            break;
        }
        uint32_t run = (uint32_t)min_u64(bmdma->left, length - moved);
        bool answered = to_memory ? pci_dma_write(pci, bmdma->address, at + moved, run)
                                  : pci_dma_read(pci, bmdma->address, at + moved, run);
        if (!answered) {
            stop_with_error(bmdma);
            break;
        }
        moved += run;
        bmdma->address += run;
        bmdma->left -= run;
        if (bmdma->left == 0 && bmdma->last)
            bmdma->status &= (uint8_t)~BMDMA_ACTIVE;
    }
    return moved;
}

static const struct state_field fields[] = {
    STATE_FIELD(struct bmdma, command), STATE_FIELD(struct bmdma, status),
    STATE_FIELD(struct bmdma, table),   STATE_FIELD(struct bmdma, next),
    STATE_FIELD(struct bmdma, address), STATE_FIELD(struct bmdma, left),
    STATE_FIELD(struct bmdma, last),
};

const struct state_table bmdma_state = STATE_TABLE("bmdma", 1, fields, NULL);
