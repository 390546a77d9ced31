/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two Intel 8237A DMA controllers and the PC's page registers. Channels 0-3 move bytes, 5-7 words;
 * channel 4 joins the two. Datasheet: Intel 231466 (8237A). Under the VM lock. Ports 0x00-0x0f,
 * 0x80-0x8f, 0xc0-0xdf; conventions of init: pic.h.
 */
#ifndef DEVICE_DMA_H
#define DEVICE_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/device.h"
#include "mem/io.h"
#include "mem/mem.h"

struct dma_channel {
    uint16_t base_address, base_count;
    uint16_t address, count; /* count is one less than what is left */
    uint8_t mode;            /* bits 2-7 as written: transfer, autoinit, decrement, mode */
};

struct dma_chip {
    struct dma_channel channel[4];
    uint8_t command, mask, request;
    uint8_t terminal; /* channels that reached terminal count since the status was read */
    uint8_t waiting;  /* DREQ lines */
    bool high_byte;   /* the flip-flop */
    uint8_t temporary;
    struct pio_range ports;
};

struct dma {
    struct device device;
    struct dma_chip chip[2]; /* channels 0-3, channels 4-7 */
    uint8_t page[16];        /* ports 0x80-0x8f: address bits 16-23; some are just memory */
    struct mem *mem;
    struct pio *pio;
    struct pio_range page_ports;
};

/* Which way a channel was programmed to move, seen from memory. */
enum dma_direction { DMA_VERIFY, DMA_TO_MEMORY, DMA_FROM_MEMORY, DMA_ILLEGAL };

/* mem may be NULL if no device will transfer. */
int dma_init(struct dma *dma, struct pio *pio, struct mem *mem);

enum dma_direction dma_direction(const struct dma *dma, unsigned channel);

/* A device's DREQ line as the status register shows it. */
void dma_request(struct dma *dma, unsigned channel, bool level);

/* Moves up to `length` bytes (words on 5-7: an odd byte stays) between the device's buffer and
 * memory the way the guest programmed the channel; how many were moved. Fewer, or 0, when the
 * channel is masked, disabled or at its terminal count, which *terminal tells (may be NULL). */
size_t dma_transfer(struct dma *dma, unsigned channel, void *buffer, size_t length, bool *terminal);

#endif
