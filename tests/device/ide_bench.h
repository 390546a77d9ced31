/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A controller on a bench: memory, ports, a bus, a loop and images of known content, driven by
 * registers as firmware would. No processor.
 */
#ifndef TESTS_DEVICE_IDE_BENCH_H
#define TESTS_DEVICE_IDE_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "device/ide.h"
#include "event/loop.h"
#include "mem/mem.h"

enum {
    BENCH_RAM = 8 << 20,
    BENCH_DEVFN = PCI_DEVFN(1, 1),
    BENCH_BAR = 0xc000,
    PRIMARY = 0x1f0,
    SECONDARY = 0x170,
    REG_ERROR = 1,
    REG_FEATURES = 1,
    REG_COUNT = 2,
    REG_LOW = 3,
    REG_MID = 4,
    REG_HIGH = 5,
    REG_DEVICE = 6,
    REG_STATUS = 7,
    REG_CONTROL = 0x206,
    ERR = 0x01,
    DRQ = 0x08,
    DSC = 0x10,
    DRDY = 0x40,
    BSY = 0x80,
};

struct ide_bench {
    struct loop *loop;
    struct mem *mem;
    struct pio *pio;
    struct ram *ram;
    struct mem_region region;
    struct pci_bus bus;
    struct device_list devices;
    struct ide *ide;
    struct block *blocks[4];
    char path[4][64];
    bool level[2];
    unsigned interrupts[2];
};

static inline void bench_irq(void *opaque, int n, bool level)
{
    struct ide_bench *bench = opaque;
    if (level && !bench->level[n])
        bench->interrupts[n]++;
    bench->level[n] = level;
}

/* What byte i of an image is. */
static inline uint8_t bench_pattern(uint64_t i)
{
    uint64_t x = (i / 8 + 1) * 0x9e3779b97f4a7c15ull;
    return (uint8_t)(x >> (8 * (i % 8)));
}

static inline uint32_t bench_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static inline struct ide_bench *bench_create(void)
{
    struct ide_bench *bench = calloc(1, sizeof(*bench));
    assert_int_equal(loop_create(&bench->loop, NULL, NULL), 0);
    assert_int_equal(mem_create(&bench->mem, NULL), 0);
    assert_int_equal(pio_create(&bench->pio, NULL), 0);
    assert_int_equal(ram_create(&bench->ram, "ram", BENCH_RAM, NULL), 0);
    bench->region = (struct mem_region){
        .name = "ram", .kind = MEM_RAM, .enabled = true, .size = BENCH_RAM, .ram = bench->ram};
    mem_add(bench->mem, &bench->region);
    pci_bus_init(&bench->bus, bench->mem, bench->pio);
    bench->ide = calloc(1, sizeof(*bench->ide));
    struct irq irq[2] = {{bench_irq, bench, 0}, {bench_irq, bench, 1}};
    assert_int_equal(ide_init(bench->ide, &bench->bus, BENCH_DEVFN, bench->pio, irq[0], irq[1]), 0);
    device_add(&bench->devices, &bench->ide->pci.device);
    return bench;
}

/* An image of so many bytes of the pattern. */
static inline struct block *bench_image(struct ide_bench *bench, unsigned index, size_t bytes,
                                        bool read_only)
{
    strcpy(bench->path[index], "/tmp/trapeze-ide-XXXXXX");
    int fd = mkstemp(bench->path[index]);
    assert_true(fd >= 0);
    uint8_t *content = malloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        content[i] = bench_pattern(i);
    assert_int_equal(write(fd, content, bytes), bytes);
    close(fd);
    free(content);
    struct block_options options = {
        .path = bench->path[index], .format = "raw", .read_only = read_only};
    struct error err;
    if (block_open(&bench->blocks[index], bench->loop, &options, &err) < 0)
        fail_msg("%s", err.text);
    return bench->blocks[index];
}

/* What firmware does: decode both channels, the bus master at its ports, mastering on. */
static inline void bench_enable(struct ide_bench *bench)
{
    device_reset_all(&bench->devices);
    pci_config_write(&bench->bus, BENCH_DEVFN, 0x40, 0x80008000, 4);
    pci_config_write(&bench->bus, BENCH_DEVFN, PCI_BAR0 + 16, BENCH_BAR, 4);
    pci_config_write(&bench->bus, BENCH_DEVFN, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER, 2);
}

static inline void bench_destroy(struct ide_bench *bench)
{
    device_fini_all(&bench->devices);
    for (int i = 0; i < 4; i++) {
        block_close(bench->blocks[i]);
        if (bench->path[i][0])
            unlink(bench->path[i]);
    }
    mem_destroy(bench->mem);
    pio_destroy(bench->pio);
    ram_destroy(bench->ram);
    loop_destroy(bench->loop);
    free(bench->ide);
    free(bench);
}

static inline void bench_quit(void *opaque)
{
    loop_quit(opaque);
}

static inline bool bench_busy(const struct ide_bench *bench)
{
    for (int i = 0; i < 4; i++)
        if (bench->ide->channels[i / 2].drives[i % 2].io_active)
            return true;
    return false;
}

static inline void bench_pump(struct ide_bench *bench)
{
    loop_post(bench->loop, bench_quit, bench->loop);
    loop_run(bench->loop);
}

/* Until no drive works on its image. */
static inline void bench_settle(struct ide_bench *bench)
{
    while (bench_busy(bench)) {
        for (int i = 0; i < 4; i++)
            if (bench->blocks[i])
                block_drain(bench->blocks[i]);
        bench_pump(bench);
    }
}

static inline uint8_t in8(struct ide_bench *bench, unsigned port)
{
    return (uint8_t)pio_read(bench->pio, (uint16_t)port, 1);
}

static inline void out8(struct ide_bench *bench, unsigned port, uint32_t value)
{
    pio_write(bench->pio, (uint16_t)port, value, 1);
}

static inline void out32(struct ide_bench *bench, unsigned port, uint32_t value)
{
    pio_write(bench->pio, (uint16_t)port, value, 4);
}

/* A 28-bit command; device: 0xe0 or 0xf0 for LBA. */
static inline void ata28(struct ide_bench *bench, unsigned base, uint8_t device, uint32_t lba,
                         uint8_t count, uint8_t opcode)
{
    out8(bench, base + REG_DEVICE, device | (lba >> 24 & 15));
    out8(bench, base + REG_COUNT, count);
    out8(bench, base + REG_LOW, lba);
    out8(bench, base + REG_MID, lba >> 8);
    out8(bench, base + REG_HIGH, lba >> 16);
    out8(bench, base + REG_STATUS, opcode);
}

static inline void ata48(struct ide_bench *bench, unsigned base, uint8_t device, uint64_t lba,
                         uint16_t count, uint8_t opcode)
{
    out8(bench, base + REG_DEVICE, device);
    out8(bench, base + REG_COUNT, count >> 8);
    out8(bench, base + REG_LOW, (uint32_t)(lba >> 24));
    out8(bench, base + REG_MID, (uint32_t)(lba >> 32));
    out8(bench, base + REG_HIGH, (uint32_t)(lba >> 40));
    out8(bench, base + REG_COUNT, count);
    out8(bench, base + REG_LOW, (uint32_t)lba);
    out8(bench, base + REG_MID, (uint32_t)(lba >> 8));
    out8(bench, base + REG_HIGH, (uint32_t)(lba >> 16));
    out8(bench, base + REG_STATUS, opcode);
}

static inline void read_words(struct ide_bench *bench, unsigned base, void *to, size_t bytes)
{
    uint8_t *at = to;
    for (size_t i = 0; i < bytes; i += 2)
        store_le16(at + i, (uint16_t)pio_read(bench->pio, (uint16_t)base, 2));
}

static inline void write_words(struct ide_bench *bench, unsigned base, const void *from,
                               size_t bytes)
{
    const uint8_t *at = from;
    for (size_t i = 0; i < bytes; i += 2)
        pio_write(bench->pio, (uint16_t)base, load_le16(at + i), 2);
}

static inline void put_descriptor(struct ide_bench *bench, uint32_t at, uint32_t address,
                                  uint32_t bytes, bool last)
{
    uint8_t descriptor[8];
    store_le32(descriptor, address);
    store_le32(descriptor + 4, (bytes & 0xffff) | (last ? 0x80000000u : 0));
    assert_true(mem_write(bench->mem, at, descriptor, sizeof(descriptor)));
}

/* Loads the table and starts the engine of a channel. */
static inline void start_dma(struct ide_bench *bench, unsigned channel, uint32_t table,
                             bool to_memory)
{
    unsigned bar = BENCH_BAR + 8 * channel;
    out32(bench, bar + 4, table);
    out8(bench, bar + 2, 6);
    out8(bench, bar, to_memory ? 8 : 0);
    out8(bench, bar, to_memory ? 9 : 1);
}

static inline uint8_t bus_master_status(struct ide_bench *bench, unsigned channel)
{
    return in8(bench, BENCH_BAR + 8 * channel + 2);
}

static inline void assert_pattern(const uint8_t *data, uint64_t first, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i] != bench_pattern(first + i))
            fail_msg("byte %zu is %02x, not %02x", i, data[i], bench_pattern(first + i));
}

#endif
