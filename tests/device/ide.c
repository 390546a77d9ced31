/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PIIX3 IDE and ATA disks by their registers: PIO, DMA, errors, resets, descriptor tables a guest
 * should not write, and a seeded scribbler over all of it.
 */
#include "device/ide_bench.h"

enum { DISK_SECTORS = 4096, TABLE = 0x1000, DATA = 0x100000 };

static int set_up(void **state)
{
    struct ide_bench *bench = bench_create();
    ide_attach_disk(bench->ide, 0, bench_image(bench, 0, DISK_SECTORS * 512, false));
    bench_enable(bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    bench_destroy(*state);
    return 0;
}

/* The command ended well, and interrupted. */
static void assert_done(struct ide_bench *bench)
{
    bench_settle(bench);
    assert_true(bench->level[0]);
    assert_int_equal(in8(bench, PRIMARY + REG_CONTROL), DRDY | DSC);
    assert_int_equal(in8(bench, PRIMARY + REG_STATUS), DRDY | DSC);
    assert_false(bench->level[0]);
}

static void assert_failed(struct ide_bench *bench, uint8_t error)
{
    bench_settle(bench);
    assert_true(bench->level[0]);
    assert_int_equal(in8(bench, PRIMARY + REG_STATUS), DRDY | DSC | ERR);
    assert_int_equal(in8(bench, PRIMARY + REG_ERROR), error);
}

/* Takes DRQ blocks by PIO as they come, each with its interrupt. */
static void take_blocks(struct ide_bench *bench, uint8_t *to, unsigned blocks, unsigned bytes)
{
    for (unsigned i = 0; i < blocks; i++) {
        bench_settle(bench);
        assert_true(bench->level[0]);
        assert_int_equal(in8(bench, PRIMARY + REG_STATUS), DRDY | DSC | DRQ);
        assert_false(bench->level[0]);
        read_words(bench, PRIMARY, to + i * bytes, bytes);
    }
    assert_int_equal(in8(bench, PRIMARY + REG_CONTROL), DRDY | DSC);
    assert_false(bench->level[0]);
}

static void on_the_bus(void **state)
{
    struct ide_bench *bench = *state;
    struct pci_bus *bus = &bench->bus;
    assert_int_equal(pci_config_read(bus, BENCH_DEVFN, 0, 4), 0x70108086);
    assert_int_equal(pci_config_read(bus, BENCH_DEVFN, 8, 4) >> 8, 0x010180);
    assert_int_equal(pci_config_read(bus, BENCH_DEVFN, PCI_INTERRUPT_PIN, 1), 0);
    assert_int_equal(pci_config_read(bus, BENCH_DEVFN, PCI_BAR0 + 16, 4), BENCH_BAR | 1);
    /* Channels answer only when both I/O decode and their own enable bit are on. */
    assert_int_equal(in8(bench, PRIMARY + REG_STATUS), DRDY | DSC);
    pci_config_write(bus, BENCH_DEVFN, 0x40, 0, 2);
    assert_int_equal(in8(bench, PRIMARY + REG_STATUS), 0xff);
    assert_int_equal(in8(bench, SECONDARY + REG_STATUS), 0);
    pci_config_write(bus, BENCH_DEVFN, 0x40, 0x8000, 2);
    pci_config_write(bus, BENCH_DEVFN, PCI_COMMAND, 0, 2);
    assert_int_equal(in8(bench, PRIMARY + REG_STATUS), 0xff);
    assert_int_equal(in8(bench, BENCH_BAR), 0xff);
}

static void registers_and_selection(void **state)
{
    struct ide_bench *bench = *state;
    out8(bench, PRIMARY + REG_COUNT, 0x55);
    out8(bench, PRIMARY + REG_LOW, 0xaa);
    assert_int_equal(in8(bench, PRIMARY + REG_COUNT), 0x55);
    assert_int_equal(in8(bench, PRIMARY + REG_LOW), 0xaa);
    out8(bench, PRIMARY + REG_COUNT, 0x66);
    out8(bench, PRIMARY + REG_CONTROL, 0x80); /* HOB */
    assert_int_equal(in8(bench, PRIMARY + REG_COUNT), 0x55);
    out8(bench, PRIMARY + REG_LOW, 0xab);
    assert_int_equal(in8(bench, PRIMARY + REG_COUNT), 0x66);
    /* Device 1 is not there: device 0 answers for it, with status 0. */
    out8(bench, PRIMARY + REG_DEVICE, 0xb0);
    assert_int_equal(in8(bench, PRIMARY + REG_DEVICE), 0xb0);
    assert_int_equal(in8(bench, PRIMARY + REG_COUNT), 0x66);
    assert_int_equal(in8(bench, PRIMARY + REG_STATUS), 0);
    out8(bench, PRIMARY + REG_STATUS, 0xec);
    assert_int_equal(in8(bench, PRIMARY + REG_STATUS), 0);
    assert_int_equal(bench->interrupts[0], 0);
    /* The other channel is empty. */
    out8(bench, SECONDARY + REG_COUNT, 0x55);
    assert_int_equal(in8(bench, SECONDARY + REG_COUNT), 0);
    assert_int_equal(in8(bench, SECONDARY + REG_STATUS), 0);
    assert_int_equal(in8(bench, SECONDARY + REG_CONTROL), 0);
}

static void identifies_itself(void **state)
{
    struct ide_bench *bench = *state;
    uint8_t words[512], sum = 0;
    ata28(bench, PRIMARY, 0xa0, 0, 0, 0xec);
    take_blocks(bench, words, 1, 512);
    assert_memory_equal(words + 54, "RTPAZE EAHDRIDKS", 16);
    assert_memory_equal(words + 20, "ZT0000 1", 6);
    assert_int_equal(load_le16(words), 0x0040);
    assert_int_equal(load_le16(words + 2), 4); /* 4096 / (16 * 63) */
    assert_int_equal(load_le16(words + 6), 16);
    assert_int_equal(load_le16(words + 12), 63);
    assert_int_equal(load_le32(words + 120), DISK_SECTORS);
    assert_int_equal(load_le64(words + 200), DISK_SECTORS);
    assert_true(load_le16(words + 166) & 0x0400);
    for (int i = 0; i < 512; i++)
        sum = (uint8_t)(sum + words[i]);
    assert_int_equal(sum, 0);
    /* MWDMA 2 set, then reported. */
    out8(bench, PRIMARY + REG_FEATURES, 3);
    ata28(bench, PRIMARY, 0xa0, 0, 0x22, 0xef);
    assert_done(bench);
    ata28(bench, PRIMARY, 0xa0, 0, 0, 0xec);
    take_blocks(bench, words, 1, 512);
    assert_int_equal(load_le16(words + 126), 0x0407);
    out8(bench, PRIMARY + REG_FEATURES, 3);
    ata28(bench, PRIMARY, 0xa0, 0, 0x47, 0xef); /* UDMA 7 */
    assert_failed(bench, 4);
}

static void pio_reads(void **state)
{
    struct ide_bench *bench = *state;
    static uint8_t data[300 * 512];
    ata28(bench, PRIMARY, 0xe0, 100, 3, 0x20);
    assert_int_equal(in8(bench, PRIMARY + REG_CONTROL), BSY);
    take_blocks(bench, data, 3, 512);
    assert_pattern(data, 100 * 512, 3 * 512);
    assert_int_equal(bench->interrupts[0], 3);
    assert_int_equal(in8(bench, PRIMARY + REG_COUNT), 0);
    assert_int_equal(in8(bench, PRIMARY + REG_LOW), 102);
    /* Count 0 is 256. */
    ata28(bench, PRIMARY, 0xe0, 7, 0, 0x20);
    take_blocks(bench, data, 256, 512);
    assert_pattern(data, 7 * 512, 256 * 512);
    /* 48 bits, and more than the buffer holds. */
    ata48(bench, PRIMARY, 0xe0, 500, 300, 0x24);
    take_blocks(bench, data, 300, 512);
    assert_pattern(data, 500 * 512, 300 * 512);
    /* By doublewords and bytes. */
    ata28(bench, PRIMARY, 0xe0, 9, 1, 0x20);
    bench_settle(bench);
    for (int i = 0; i < 508; i += 4)
        store_le32(data + i, pio_read(bench->pio, PRIMARY, 4));
    for (int i = 508; i < 512; i++)
        data[i] = in8(bench, PRIMARY);
    assert_pattern(data, 9 * 512, 512);
    assert_int_equal(in8(bench, PRIMARY), 0);
}

static void cylinders_heads_sectors(void **state)
{
    struct ide_bench *bench = *state;
    uint8_t data[512];
    /* Cylinder 2, head 3, sector 4 of 16 heads and 63 sectors. */
    unsigned lba = (2 * 16 + 3) * 63 + 4 - 1;
    ata28(bench, PRIMARY, 0xa3, 2 << 8 | 4, 1, 0x20);
    take_blocks(bench, data, 1, 512);
    assert_pattern(data, lba * 512, 512);
    assert_int_equal(in8(bench, PRIMARY + REG_LOW), 4);
    assert_int_equal(in8(bench, PRIMARY + REG_MID), 2);
    assert_int_equal(in8(bench, PRIMARY + REG_DEVICE), 0xa3);
    ata28(bench, PRIMARY, 0xa3, 0, 17, 0x91); /* 4 heads of 17 sectors */
    assert_done(bench);
    ata28(bench, PRIMARY, 0xa3, 2 << 8 | 4, 1, 0x20);
    take_blocks(bench, data, 1, 512);
    assert_pattern(data, ((2 * 4 + 3) * 17 + 3) * 512, 512);
    ata28(bench, PRIMARY, 0xa0, 0, 1, 0x20); /* there is no sector 0 */
    assert_failed(bench, 0x10);
    ata28(bench, PRIMARY, 0xa0, 0, 0, 0x91);
    assert_failed(bench, 4);
}

static void pio_writes(void **state)
{
    struct ide_bench *bench = *state;
    static uint8_t data[300 * 512], got[300 * 512];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = bench_pattern(i + 12345);
    ata48(bench, PRIMARY, 0xe0, 1000, 300, 0x34);
    assert_false(bench->level[0]); /* not for the first block */
    for (int i = 0; i < 300; i++) {
        bench_settle(bench);
        assert_int_equal(bench->level[0], i > 0);
        assert_int_equal(in8(bench, PRIMARY + REG_STATUS), DRDY | DSC | DRQ);
        write_words(bench, PRIMARY, data + i * 512, 512);
    }
    assert_done(bench);
    assert_int_equal(block_read_now(bench->blocks[0], 1000, got, 300), 0);
    assert_memory_equal(got, data, sizeof(data));
    ata28(bench, PRIMARY, 0xe0, 0, 0, 0xe7);
    assert_int_equal(in8(bench, PRIMARY + REG_CONTROL), BSY);
    assert_done(bench);
    assert_int_equal(block_get_stats(bench->blocks[0]).flush_ops, 1);
    /* Without a write cache every write is flushed. */
    out8(bench, PRIMARY + REG_FEATURES, 0x82);
    ata28(bench, PRIMARY, 0xe0, 0, 0, 0xef);
    assert_done(bench);
    ata28(bench, PRIMARY, 0xe0, 5, 1, 0x30);
    write_words(bench, PRIMARY, data, 512);
    assert_done(bench);
    assert_int_equal(block_get_stats(bench->blocks[0]).flush_ops, 3);
}

static void multiple_blocks(void **state)
{
    struct ide_bench *bench = *state;
    static uint8_t data[32 * 512], got[32 * 512];
    ata28(bench, PRIMARY, 0xe0, 0, 3, 0xc6);
    assert_failed(bench, 4);
    ata28(bench, PRIMARY, 0xe0, 0, 8, 0xc6);
    assert_done(bench);
    bench->interrupts[0] = 0;
    ata28(bench, PRIMARY, 0xe0, 20, 20, 0xc4);
    for (int i = 0; i < 3; i++) {
        bench_settle(bench);
        assert_int_equal(in8(bench, PRIMARY + REG_STATUS), DRDY | DSC | DRQ);
        read_words(bench, PRIMARY, data + i * 8 * 512, i < 2 ? 8 * 512 : 4 * 512);
    }
    assert_int_equal(in8(bench, PRIMARY + REG_STATUS), DRDY | DSC);
    assert_int_equal(bench->interrupts[0], 3);
    assert_pattern(data, 20 * 512, 20 * 512);
    ata48(bench, PRIMARY, 0xe0, 60, 10, 0xce); /* WRITE MULTIPLE FUA EXT */
    write_words(bench, PRIMARY, data, 8 * 512);
    assert_int_equal(in8(bench, PRIMARY + REG_STATUS), DRDY | DSC | DRQ);
    write_words(bench, PRIMARY, data + 8 * 512, 2 * 512);
    assert_done(bench);
    assert_int_equal(block_get_stats(bench->blocks[0]).flush_ops, 1);
    assert_int_equal(block_read_now(bench->blocks[0], 60, got, 10), 0);
    assert_memory_equal(got, data, 10 * 512);
    ata28(bench, PRIMARY, 0xe0, 0, 0, 0xc6); /* off */
    assert_done(bench);
    ata28(bench, PRIMARY, 0xe0, 20, 20, 0xc4);
    assert_failed(bench, 4);
}

static void small_commands(void **state)
{
    struct ide_bench *bench = *state;
    ata28(bench, PRIMARY, 0xe0, 0, 0, 0xe5);
    assert_done(bench);
    assert_int_equal(in8(bench, PRIMARY + REG_COUNT), 0xff);
    ata28(bench, PRIMARY, 0xe0, 0, 0, 0xf8);
    assert_done(bench);
    assert_int_equal(in8(bench, PRIMARY + REG_MID), (DISK_SECTORS - 1) >> 8);
    ata48(bench, PRIMARY, 0xe0, 0, 0, 0x27);
    assert_done(bench);
    assert_int_equal(in8(bench, PRIMARY + REG_LOW), (DISK_SECTORS - 1) & 0xff);
    static const uint8_t accepted[] = {0x10, 0x94, 0x95, 0xe0, 0xe1, 0xe2, 0xe3, 0xea};
    for (size_t i = 0; i < sizeof(accepted); i++) {
        ata28(bench, PRIMARY, 0xe0, 0, 0, accepted[i]);
        assert_done(bench);
    }
    static const uint8_t aborted[] = {0x00, 0x08, 0xa0, 0xa1, 0xb0, 0xf5, 0xff};
    for (size_t i = 0; i < sizeof(aborted); i++) {
        ata28(bench, PRIMARY, 0xe0, 0, 0, aborted[i]);
        assert_failed(bench, 4);
    }
    ata28(bench, PRIMARY, 0xe0, 10, 200, 0x40);
    assert_done(bench);
    ata28(bench, PRIMARY, 0xe0, DISK_SECTORS, 0, 0x70);
    assert_failed(bench, 0x10);
    /* nIEN: all but the wire. */
    out8(bench, PRIMARY + REG_CONTROL, 2);
    bench->interrupts[0] = 0;
    ata28(bench, PRIMARY, 0xe0, 0, 0, 0xe5);
    assert_int_equal(bench->interrupts[0], 0);
    out8(bench, PRIMARY + REG_CONTROL, 0);
    assert_int_equal(bench->interrupts[0], 1);
}

static void out_of_range(void **state)
{
    struct ide_bench *bench = *state;
    ata28(bench, PRIMARY, 0xe0, DISK_SECTORS - 1, 1, 0x20);
    bench_settle(bench);
    uint8_t data[512];
    take_blocks(bench, data, 1, 512);
    ata28(bench, PRIMARY, 0xe0, DISK_SECTORS - 1, 2, 0x20);
    assert_failed(bench, 0x10);
    assert_int_equal(in8(bench, PRIMARY + REG_MID), DISK_SECTORS >> 8);
    ata48(bench, PRIMARY, 0xe0, 0xffffffffffffull, 0, 0x24);
    assert_failed(bench, 0x10);
    ata48(bench, PRIMARY, 0xe0, 0, 0, 0x35); /* 65536 sectors */
    assert_failed(bench, 0x10);
    ata28(bench, PRIMARY, 0xef, 0xffffff, 1, 0x30);
    assert_failed(bench, 0x10);
}

static void dma_both_ways(void **state)
{
    struct ide_bench *bench = *state;
    static uint8_t data[1000 * 512], got[1000 * 512];
    /* Regions of 64 KiB (0), of 2 bytes, and the rest; 512000 bytes in all. */
    uint32_t at = TABLE, address = DATA, left = sizeof(data);
    for (int i = 0; left > 0; i++) {
        uint32_t bytes = i % 2 ? 2 + (uint32_t)i * 2 : 0x10000;
        if (bytes > left)
            bytes = left;
        put_descriptor(bench, at, address, bytes, bytes == left);
        at += 8;
        address += bytes;
        left -= bytes;
    }
    ata48(bench, PRIMARY, 0xe0, 50, 1000, 0x25);
    bench_settle(bench); /* the drive waits for the engine */
    assert_int_equal(in8(bench, PRIMARY + REG_CONTROL), DRDY | DSC | DRQ);
    start_dma(bench, 0, TABLE, true);
    bench_settle(bench);
    assert_int_equal(bus_master_status(bench, 0), 4);
    assert_done(bench);
    out8(bench, BENCH_BAR, 0);
    out8(bench, BENCH_BAR + 2, 4);
    assert_int_equal(bus_master_status(bench, 0), 0);
    assert_true(mem_read(bench->mem, DATA, data, sizeof(data)));
    assert_pattern(data, 50 * 512, sizeof(data));
    assert_int_equal(bench->interrupts[0], 1);

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = bench_pattern(i * 7);
    assert_true(mem_write(bench->mem, DATA, data, sizeof(data)));
    ata48(bench, PRIMARY, 0xe0, 2000, 1000, 0x35);
    start_dma(bench, 0, TABLE, false);
    assert_done(bench);
    assert_int_equal(bus_master_status(bench, 0), 4);
    assert_int_equal(block_read_now(bench->blocks[0], 2000, got, 1000), 0);
    assert_memory_equal(got, data, sizeof(data));
    out8(bench, BENCH_BAR, 0);
    /* 28 bits, FUA apart. */
    put_descriptor(bench, TABLE, DATA, 1024, true);
    ata28(bench, PRIMARY, 0xe0, 2000, 2, 0xc8);
    start_dma(bench, 0, TABLE, true);
    assert_done(bench);
    out8(bench, BENCH_BAR, 0);
    ata48(bench, PRIMARY, 0xe0, 2000, 2, 0x3d);
    start_dma(bench, 0, TABLE, false);
    assert_done(bench);
    assert_int_equal(block_get_stats(bench->blocks[0]).flush_ops, 1);
}

static void hostile_tables(void **state)
{
    struct ide_bench *bench = *state;
    /* Too long: the drive ends first, the engine stays active. */
    put_descriptor(bench, TABLE, DATA, 4096, true);
    ata28(bench, PRIMARY, 0xe0, 0, 1, 0xc8);
    start_dma(bench, 0, TABLE, true);
    assert_done(bench);
    assert_int_equal(bus_master_status(bench, 0), 5);
    out8(bench, BENCH_BAR, 0);
    assert_int_equal(bus_master_status(bench, 0), 4);
    /* Too short: no interrupt, not active; a new table goes on where it stood. */
    put_descriptor(bench, TABLE, DATA, 512, true);
    ata28(bench, PRIMARY, 0xe0, 0, 2, 0xc8);
    start_dma(bench, 0, TABLE, true);
    bench_settle(bench);
    assert_false(bench->level[0]);
    assert_int_equal(bus_master_status(bench, 0), 0);
    assert_int_equal(in8(bench, PRIMARY + REG_STATUS), DRDY | DSC | DRQ);
    put_descriptor(bench, TABLE, DATA + 512, 512, true);
    start_dma(bench, 0, TABLE, true);
    assert_done(bench);
    uint8_t data[1024];
    assert_true(mem_read(bench->mem, DATA, data, sizeof(data)));
    assert_pattern(data, 0, sizeof(data));
    /* A table without an end, wrapping in its 64 KiB: bounded by the data. */
    for (uint32_t at = 0x20000; at < 0x30000; at += 8)
        put_descriptor(bench, at, DATA, 2, false);
    ata28(bench, PRIMARY, 0xe0, 0, 0, 0xc8);
    start_dma(bench, 0, 0x2fff8, true);
    assert_done(bench);
    assert_int_equal(bus_master_status(bench, 0), 5);
    /* A table, or data, where nothing answers: the error bit, and the drive waits. */
    static const struct {
        uint32_t table, data;
    } holes[] = {{0xf0000000, DATA}, {TABLE, 0xf0000000}};
    for (int i = 0; i < 2; i++) {
        put_descriptor(bench, TABLE, holes[i].data, 512, true);
        ata28(bench, PRIMARY, 0xe0, 0, 1, 0xc8);
        out8(bench, BENCH_BAR, 0);
        start_dma(bench, 0, holes[i].table, true);
        bench_settle(bench);
        assert_int_equal(bus_master_status(bench, 0), 2);
        assert_false(bench->level[0]);
        out8(bench, PRIMARY + REG_CONTROL, 4);
        out8(bench, PRIMARY + REG_CONTROL, 0);
        assert_int_equal(in8(bench, PRIMARY + REG_STATUS), DRDY | DSC);
    }
    /* The wrong direction moves nothing; mastering off neither. */
    put_descriptor(bench, TABLE, DATA, 512, true);
    ata28(bench, PRIMARY, 0xe0, 0, 1, 0xc8);
    out8(bench, BENCH_BAR, 0);
    start_dma(bench, 0, TABLE, false);
    bench_settle(bench);
    assert_false(bench->level[0]);
    out8(bench, BENCH_BAR, 0);
    pci_config_write(&bench->bus, BENCH_DEVFN, PCI_COMMAND, PCI_COMMAND_IO, 2);
    start_dma(bench, 0, TABLE, true);
    assert_false(bench->level[0]);
}

struct mmio_log {
    unsigned reads, writes;
};

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mmio_log *log = opaque;
    (void)size;
    log->reads++;
    /* Descriptors: to this region itself, 512 bytes, the last one. */
    return offset % 8 == 0 ? 0xe0000100 : 0x80000200;
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mmio_log *log = opaque;
    (void)offset;
    (void)value;
    (void)size;
    log->writes++;
}

static void table_and_data_in_mmio(void **state)
{
    static const struct io_ops ops = {.read = mmio_read, .write = mmio_write};
    struct ide_bench *bench = *state;
    struct mmio_log log = {0};
    struct mem_region region = {.name = "mmio",
                                .kind = MEM_IO,
                                .enabled = true,
                                .base = 0xe0000000,
                                .size = 0x1000,
                                .ops = &ops,
                                .opaque = &log};
    mem_add(bench->mem, &region);
    ata28(bench, PRIMARY, 0xe0, 0, 1, 0xc8);
    start_dma(bench, 0, 0xe0000000, true);
    assert_done(bench);
    assert_true(log.reads > 0);
    assert_true(log.writes >= 64);
    mem_remove(bench->mem, &region);
}

static void resets_in_flight(void **state)
{
    struct ide_bench *bench = *state;
    put_descriptor(bench, TABLE, DATA, 0, true);
    for (int i = 0; i < 60; i++) {
        ata28(bench, PRIMARY, 0xe0, (uint32_t)i, 128, i % 2 ? 0xc8 : 0x20);
        start_dma(bench, 0, TABLE, true);
        if (i % 3 == 0)
            bench_pump(bench);
        out8(bench, PRIMARY + REG_CONTROL, 4);
        assert_int_equal(in8(bench, PRIMARY + REG_CONTROL), BSY);
        out8(bench, PRIMARY + REG_CONTROL, 0);
        assert_int_equal(in8(bench, PRIMARY + REG_STATUS), DRDY | DSC);
        assert_int_equal(in8(bench, PRIMARY + REG_ERROR), 1);
        assert_int_equal(in8(bench, PRIMARY + REG_COUNT), 1);
        assert_int_equal(in8(bench, PRIMARY + REG_LOW), 1);
        assert_int_equal(in8(bench, PRIMARY + REG_MID), 0);
        unsigned before = bench->interrupts[0];
        bench_settle(bench);
        bench_pump(bench);
        assert_int_equal(bench->interrupts[0], before);
        out8(bench, BENCH_BAR, 0);
    }
    ata28(bench, PRIMARY, 0xe0, 0, 128, 0x20);
    bench_enable(bench); /* the machine's reset */
    assert_int_equal(in8(bench, PRIMARY + REG_STATUS), DRDY | DSC);
    ata28(bench, PRIMARY, 0xe0, 0, 128, 0x20);
    bench_settle(bench);
    out8(bench, PRIMARY + REG_CONTROL, 4);
    out8(bench, PRIMARY + REG_CONTROL, 0);
    /* EXECUTE DEVICE DIAGNOSTIC, and the drive is as good as new. */
    ata28(bench, PRIMARY, 0xb0, 0, 0, 0x90);
    assert_int_equal(in8(bench, PRIMARY + REG_ERROR), 1);
    assert_done(bench);
    uint8_t data[512];
    ata28(bench, PRIMARY, 0xe0, 77, 1, 0x20);
    take_blocks(bench, data, 1, 512);
    assert_pattern(data, 77 * 512, 512);
}

static void image_that_shrinks(void **state)
{
    struct ide_bench *bench = *state;
    static uint8_t data[512 * 8];
    assert_int_equal(truncate(bench->path[0], 1005 * 512), 0);
    /* What is good comes first, then the address of what is bad. */
    ata28(bench, PRIMARY, 0xe0, 1000, 8, 0x20);
    for (int i = 0; i < 5; i++) {
        bench_settle(bench);
        assert_int_equal(in8(bench, PRIMARY + REG_STATUS), DRDY | DSC | DRQ);
        read_words(bench, PRIMARY, data + i * 512, 512);
    }
    assert_failed(bench, 0x40);
    assert_pattern(data, 1000 * 512, 5 * 512);
    assert_int_equal(in8(bench, PRIMARY + REG_LOW), 1005 & 0xff);
    assert_int_equal(in8(bench, PRIMARY + REG_MID), 1005 >> 8);
    put_descriptor(bench, TABLE, DATA, 8 * 512, true);
    ata48(bench, PRIMARY, 0xe0, 1000, 8, 0x25);
    start_dma(bench, 0, TABLE, true);
    assert_failed(bench, 0x40);
    assert_int_equal(in8(bench, PRIMARY + REG_LOW), 1005 & 0xff);
    out8(bench, BENCH_BAR, 0);
    ata48(bench, PRIMARY, 0xe0, 1000, 8, 0x35);
    start_dma(bench, 0, TABLE, false);
    assert_failed(bench, 0x40);
    ata28(bench, PRIMARY, 0xe0, 990, 100, 0x40);
    assert_failed(bench, 0x40);
    assert_int_equal(in8(bench, PRIMARY + REG_LOW), 1005 & 0xff);
}

static void read_only_disk(void **state)
{
    struct ide_bench *bench = *state;
    ide_attach_disk(bench->ide, 2, bench_image(bench, 2, 65536, true));
    ata28(bench, SECONDARY, 0xe0, 0, 1, 0x30);
    assert_int_equal(in8(bench, SECONDARY + REG_STATUS), DRDY | DSC | ERR);
    assert_int_equal(in8(bench, SECONDARY + REG_ERROR), 4);
    assert_int_equal(bench->interrupts[1], 1);
    assert_int_equal(bench->interrupts[0], 0);
}

static void geometry(void **state)
{
    struct ide_bench *bench = *state;
    struct ide_geometry geometry;
    assert_true(ide_get_geometry(bench->ide, 0, &geometry));
    assert_int_equal(geometry.cylinders, 4);
    assert_int_equal(geometry.heads, 16);
    assert_int_equal(geometry.sectors, 63);
    assert_int_equal(geometry.translation, 0);
    assert_false(ide_get_geometry(bench->ide, 1, &geometry));
    assert_false(ide_get_geometry(bench->ide, 4, &geometry));
    /* A partition that ends at head 3, sector 17. */
    bench_image(bench, 1, 1 << 20, false);
    uint8_t table[512] = {0};
    table[0x1be + 5] = 3;
    table[0x1be + 6] = 17;
    table[0x1be + 12] = 1;
    table[510] = 0x55;
    table[511] = 0xaa;
    int fd = open(bench->path[1], O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, table, 512, 0), 512);
    close(fd);
    ide_attach_disk(bench->ide, 1, bench->blocks[1]);
    assert_true(ide_get_geometry(bench->ide, 1, &geometry));
    assert_int_equal(geometry.cylinders, 2048 / (4 * 17));
    assert_int_equal(geometry.heads, 4);
    assert_int_equal(geometry.sectors, 17);
    /* A large disk, of holes. */
    bench_image(bench, 3, 512, false);
    block_close(bench->blocks[3]);
    bench->blocks[3] = NULL;
    assert_int_equal(truncate(bench->path[3], (off_t)8 << 30), 0);
    struct block_options options = {.path = bench->path[3], .format = "raw"};
    assert_int_equal(block_open(&bench->blocks[3], bench->loop, &options, NULL), 0);
    ide_attach_disk(bench->ide, 3, bench->blocks[3]);
    assert_true(ide_get_geometry(bench->ide, 3, &geometry));
    assert_int_equal(geometry.cylinders, 16383);
    assert_int_equal(geometry.translation, 1);
}

static void state_is_kept(void **state)
{
    struct ide_bench *bench = *state;
    const struct device *device = &bench->ide->pci.device;
    struct state_buffer buffer = {0};
    uint8_t data[4 * 512];
    size_t used;
    ata28(bench, PRIMARY, 0xe0, 300, 4, 0x20);
    bench_settle(bench);
    read_words(bench, PRIMARY, data, 700); /* in the middle of the second sector */
    assert_int_equal(state_save(device->type->state, device, &buffer), 0);
    bench_enable(bench);
    struct error err;
    if (state_load(device->type->state, bench->ide, buffer.data, buffer.length, &used, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(in8(bench, PRIMARY + REG_CONTROL), DRDY | DSC | DRQ);
    read_words(bench, PRIMARY, data + 700, sizeof(data) - 700);
    assert_pattern(data, 300 * 512, sizeof(data));
    free(buffer.data);
    /* With a request in flight: it is made again. */
    buffer = (struct state_buffer){0};
    ata28(bench, PRIMARY, 0xe0, 40, 1, 0x20);
    assert_int_equal(state_save(device->type->state, device, &buffer), 0);
    bench_settle(bench);
    bench_enable(bench);
    assert_int_equal(
        state_load(device->type->state, bench->ide, buffer.data, buffer.length, &used, &err), 0);
    assert_int_equal(in8(bench, PRIMARY + REG_CONTROL), BSY);
    take_blocks(bench, data, 1, 512);
    assert_pattern(data, 40 * 512, 512);
    free(buffer.data);
}

/* --- The scribbler --- */

/* Random descriptors over random memory, at random places. */
static void scribble_table(struct ide_bench *bench, uint32_t *seed)
{
    uint32_t at = bench_random(seed) % (BENCH_RAM - 0x10000);
    for (unsigned i = bench_random(seed) % 32; i > 0; i--, at += 8)
        put_descriptor(bench, at & ~3u, bench_random(seed) % (BENCH_RAM + (BENCH_RAM >> 3)),
                       bench_random(seed) % 3 ? bench_random(seed) % 4096 : bench_random(seed),
                       bench_random(seed) % 8 == 0);
    out32(bench, BENCH_BAR + 4 + 8 * (bench_random(seed) & 1), at);
}

static void scribble_packet(struct ide_bench *bench, unsigned base, uint32_t *seed)
{
    static const uint8_t opcodes[] = {0x00, 0x03, 0x12, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x28, 0x28,
                                      0x2b, 0x43, 0x46, 0x4a, 0x51, 0x5a, 0xa8, 0xbb, 0xbd, 0xbe};
    uint8_t packet[12];
    for (int i = 0; i < 12; i++)
        packet[i] = (uint8_t)(bench_random(seed) >> (bench_random(seed) % 16));
    if (bench_random(seed) % 8)
        packet[0] = opcodes[bench_random(seed) % sizeof(opcodes)];
    if (bench_random(seed) % 4) /* an address and a count that are there */
        packet[2] = packet[3] = packet[4] = packet[6] = packet[7] = 0;
    if (bench_random(seed) % 4)
        packet[1] &= 3;
    write_words(bench, base, packet, 12);
}

static void scribble_command(struct ide_bench *bench, uint32_t *seed)
{
    static const uint8_t opcodes[] = {0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39,
                                      0x3d, 0x40, 0x42, 0xc4, 0xc5, 0xc6, 0xc8, 0xca,
                                      0xce, 0x91, 0xe7, 0xec, 0xef, 0xf8, 0x90, 0x08,
                                      0xa0, 0xa0, 0xa0, 0xa0, 0xa0, 0xa0, 0xa0, 0xa0};
    unsigned base = bench_random(seed) & 1 ? PRIMARY : SECONDARY;
    if (bench_random(seed) & 1) { /* else it is often in the middle of another one */
        bench_settle(bench);
        out8(bench, base + REG_CONTROL, 4);
        out8(bench, base + REG_CONTROL, 0);
    }
    uint8_t opcode = bench_random(seed) % 8 ? opcodes[bench_random(seed) % sizeof(opcodes)]
                                            : (uint8_t)bench_random(seed);
    out8(bench, base + REG_FEATURES, bench_random(seed) & 3);
    ata48(bench, base, (uint8_t)(bench_random(seed) & (bench_random(seed) % 4 ? 0x50 : 0x5f)),
          bench_random(seed) % 5000,
          (uint16_t)(bench_random(seed) % 3 ? bench_random(seed) % 600 : bench_random(seed)),
          opcode);
    if (opcode == 0xa0)
        scribble_packet(bench, base, seed);
}

static void scribble_step(struct ide_bench *bench, uint32_t *seed)
{
    static const uint16_t bases[] = {PRIMARY, SECONDARY, 0x3f6, 0x376, BENCH_BAR, BENCH_BAR + 8};
    uint16_t base = bases[bench_random(seed) % 6];
    uint16_t port =
        (uint16_t)(base + (base == 0x3f6 || base == 0x376 ? 0 : bench_random(seed) % 8));
    unsigned size = 1u << (bench_random(seed) % 3);
    switch (bench_random(seed) % 12) {
    case 0:
        scribble_table(bench, seed);
        break;
    case 1:
    case 2:
        scribble_command(bench, seed);
        break;
    case 3:
        out8(bench, BENCH_BAR + 8 * (bench_random(seed) & 1), bench_random(seed) & 9);
        break;
    case 4:
        bench_pump(bench);
        break;
    case 5: {
        uint16_t data = bench_random(seed) & 1 ? PRIMARY : SECONDARY;
        for (unsigned i = bench_random(seed) % 3000; i > 0; i--) {
            if (bench_random(seed) & 1)
                pio_read(bench->pio, data, size);
            else
                pio_write(bench->pio, data, i, size);
        }
        break;
    }
    case 6:
        if (bench_random(seed) % 16 == 0)
            bench_enable(bench);
        else
            bench_settle(bench);
        break;
    default:
        if (bench_random(seed) & 1)
            pio_read(bench->pio, port, size);
        else
            pio_write(bench->pio, port, bench_random(seed), size);
        break;
    }
}

static void scribbled(void **state)
{
    struct ide_bench *bench = *state;
    uint32_t seed = 0x20261124;
    ide_attach_cd(bench->ide, 1, NULL);
    ide_attach_cd(bench->ide, 2, bench_image(bench, 2, 2 << 20, true));
    ide_attach_disk(bench->ide, 3, bench_image(bench, 3, 1 << 20, false));
    bench_enable(bench);
    for (int i = 0; i < 300000; i++)
        scribble_step(bench, &seed);
    /* It got somewhere. */
    assert_true(block_get_stats(bench->blocks[0]).read_ops > 500);
    assert_true(block_get_stats(bench->blocks[0]).write_ops > 50);
    assert_true(block_get_stats(bench->blocks[2]).read_ops > 30);
    /* After all that a reset leaves drives that work. */
    bench_settle(bench);
    bench_enable(bench);
    uint8_t words[512];
    ata28(bench, PRIMARY, 0xa0, 0, 0, 0xec);
    take_blocks(bench, words, 1, 512);
    assert_int_equal(load_le64(words + 200), DISK_SECTORS);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(on_the_bus),       CASE(registers_and_selection), CASE(identifies_itself),
        CASE(pio_reads),        CASE(cylinders_heads_sectors), CASE(pio_writes),
        CASE(multiple_blocks),  CASE(small_commands),          CASE(out_of_range),
        CASE(dma_both_ways),    CASE(hostile_tables),          CASE(table_and_data_in_mmio),
        CASE(resets_in_flight), CASE(image_that_shrinks),      CASE(read_only_disk),
        CASE(geometry),         CASE(state_is_kept),           CASE(scribbled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
