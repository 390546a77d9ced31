/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ATAPI CD drives by their registers: identification, packets by PIO and DMA, sense, what Linux and
 * SeaBIOS ask, the tray, and drives without a disc.
 */
#include "device/ide_bench.h"

enum { DISC_SECTORS = 200, TABLE = 0x1000, DATA = 0x100000, DEVICE = 0xa0 };

static int set_up(void **state)
{
    struct ide_bench *bench = bench_create();
    ide_attach_cd(bench->ide, 2, bench_image(bench, 2, DISC_SECTORS * 2048, true));
    ide_attach_cd(bench->ide, 3, NULL);
    bench_enable(bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    bench_destroy(*state);
    return 0;
}

static void send_packet(struct ide_bench *bench, uint8_t device, const uint8_t *packet,
                        unsigned limit, bool dma)
{
    out8(bench, SECONDARY + REG_DEVICE, device);
    out8(bench, SECONDARY + REG_FEATURES, dma);
    out8(bench, SECONDARY + REG_MID, limit);
    out8(bench, SECONDARY + REG_HIGH, limit >> 8);
    unsigned before = bench->interrupts[1];
    out8(bench, SECONDARY + REG_STATUS, 0xa0);
    assert_int_equal(in8(bench, SECONDARY + REG_STATUS), DRDY | DSC | DRQ);
    assert_int_equal(in8(bench, SECONDARY + REG_COUNT), 1);
    assert_int_equal(bench->interrupts[1], before);
    write_words(bench, SECONDARY, packet, 12);
}

/* Runs a packet by PIO; returns how many bytes came. The status is left to be read. */
static unsigned run_packet(struct ide_bench *bench, uint8_t device, const uint8_t *packet, void *to,
                           unsigned limit)
{
    unsigned length = 0;
    send_packet(bench, device, packet, limit, false);
    for (;;) {
        bench_settle(bench);
        assert_true(bench->level[1]);
        if (!(in8(bench, SECONDARY + REG_CONTROL) & DRQ))
            return length;
        assert_int_equal(in8(bench, SECONDARY + REG_STATUS), DRDY | DSC | DRQ);
        assert_int_equal(in8(bench, SECONDARY + REG_COUNT), 2);
        unsigned bytes =
            in8(bench, SECONDARY + REG_MID) | (unsigned)in8(bench, SECONDARY + REG_HIGH) << 8;
        assert_true(bytes > 0 && bytes <= limit);
        assert_int_equal(length % 2, 0); /* only the last block may be odd */
        uint8_t *at = (uint8_t *)to + length;
        for (unsigned i = 0; i < bytes; i += 2) {
            uint32_t word = pio_read(bench->pio, SECONDARY, 2);
            at[i] = (uint8_t)word;
            if (i + 1 < bytes)
                at[i + 1] = (uint8_t)(word >> 8);
        }
        length += bytes;
    }
}

static void assert_good(struct ide_bench *bench)
{
    assert_int_equal(in8(bench, SECONDARY + REG_STATUS), DRDY | DSC);
    assert_int_equal(in8(bench, SECONDARY + REG_COUNT), 3);
    assert_false(bench->level[1]);
}

/* CHECK CONDITION, with this sense. */
static void assert_check(struct ide_bench *bench, uint8_t device, unsigned key, unsigned asc)
{
    assert_int_equal(in8(bench, SECONDARY + REG_STATUS), DRDY | DSC | ERR);
    assert_int_equal(in8(bench, SECONDARY + REG_ERROR) >> 4, key);
    assert_int_equal(in8(bench, SECONDARY + REG_COUNT), 3);
    uint8_t sense[18];
    const uint8_t packet[12] = {0x03, 0, 0, 0, 18};
    assert_int_equal(run_packet(bench, device, packet, sense, 0xfffe), 18);
    assert_good(bench);
    assert_int_equal(sense[0], 0x70);
    assert_int_equal(sense[2], key);
    assert_int_equal(sense[12], asc);
}

/* Takes the unit attention that follows a reset. */
static void attend(struct ide_bench *bench, uint8_t device)
{
    const uint8_t ready[12] = {0};
    run_packet(bench, device, ready, NULL, 0);
    assert_check(bench, device, 6, 0x29);
}

static void identifies_itself(void **state)
{
    struct ide_bench *bench = *state;
    uint8_t words[512];
    /* Not ready, but with a packet device's signature. */
    assert_int_equal(in8(bench, SECONDARY + REG_STATUS), 0);
    assert_int_equal(in8(bench, SECONDARY + REG_MID), 0x14);
    assert_int_equal(in8(bench, SECONDARY + REG_HIGH), 0xeb);
    out8(bench, SECONDARY + REG_MID, 0);
    out8(bench, SECONDARY + REG_STATUS, 0xec); /* refused, with the signature again */
    assert_int_equal(in8(bench, SECONDARY + REG_STATUS), DRDY | DSC | ERR);
    assert_int_equal(in8(bench, SECONDARY + REG_ERROR), 4);
    assert_int_equal(in8(bench, SECONDARY + REG_MID), 0x14);
    out8(bench, SECONDARY + REG_STATUS, 0xa1);
    assert_true(bench->level[1]);
    read_words(bench, SECONDARY, words, 512);
    assert_int_equal(in8(bench, SECONDARY + REG_STATUS), DRDY | DSC);
    assert_int_equal(load_le16(words), 0x85c0);
    assert_memory_equal(words + 54, "RTPAZE EVD-DOR M", 16);
    /* DEVICE RESET works at any time and keeps the selection. */
    out8(bench, SECONDARY + REG_DEVICE, 0xb0);
    out8(bench, SECONDARY + REG_STATUS, 0xa0);
    assert_int_equal(in8(bench, SECONDARY + REG_STATUS), DRDY | DSC | DRQ);
    out8(bench, SECONDARY + REG_STATUS, 0x08);
    assert_int_equal(in8(bench, SECONDARY + REG_STATUS), 0);
    assert_int_equal(in8(bench, SECONDARY + REG_DEVICE), 0xb0);
    assert_int_equal(in8(bench, SECONDARY + REG_HIGH), 0xeb);
}

static void attention_and_sense(void **state)
{
    struct ide_bench *bench = *state;
    const uint8_t ready[12] = {0}, unknown[12] = {0xee};
    uint8_t data[64];
    attend(bench, DEVICE);
    assert_int_equal(run_packet(bench, DEVICE, ready, NULL, 0), 0);
    assert_good(bench);
    run_packet(bench, DEVICE, unknown, data, 64);
    assert_check(bench, DEVICE, 5, 0x20);
    const uint8_t sense[12] = {0x03, 0, 0, 0, 18};
    assert_int_equal(run_packet(bench, DEVICE, sense, data, 64), 18);
    assert_int_equal(data[2], 0); /* told once */
}

static void empty_drive(void **state)
{
    struct ide_bench *bench = *state;
    const uint8_t ready[12] = {0}, read[12] = {0x28, 0, 0, 0, 0, 0, 0, 0, 1}, capacity[12] = {0x25},
                  toc[12] = {0x43, 0, 0, 0, 0, 0, 0, 0, 12},
                  information[12] = {0x51, 0, 0, 0, 0, 0, 0, 0, 34};
    const uint8_t *packets[] = {ready, read, capacity, toc, information};
    uint8_t data[64];
    attend(bench, 0xb0);
    for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
        assert_int_equal(run_packet(bench, 0xb0, packets[i], data, 64), 0);
        assert_check(bench, 0xb0, 2, 0x3a);
    }
    const uint8_t event[12] = {0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8};
    assert_int_equal(run_packet(bench, 0xb0, event, data, 64), 8);
    assert_good(bench);
    assert_int_equal(data[5], 0);
}

static void reads_by_pio(void **state)
{
    struct ide_bench *bench = *state;
    static uint8_t data[DISC_SECTORS * 2048];
    uint8_t read10[12] = {0x28, 0, 0, 0, 0, 17, 0, 0, 3};
    attend(bench, DEVICE);
    assert_int_equal(run_packet(bench, DEVICE, read10, data, 2048), 3 * 2048);
    assert_good(bench);
    assert_pattern(data, 17 * 2048, 3 * 2048);
    /* All of it, more than the buffer, by an odd limit. */
    uint8_t read12[12] = {0xa8, 0, 0, 0, 0, 0, 0, 0, 0, DISC_SECTORS};
    assert_int_equal(run_packet(bench, DEVICE, read12, data, 30001), sizeof(data));
    assert_good(bench);
    assert_pattern(data, 0, sizeof(data));
    assert_int_equal(run_packet(bench, DEVICE, read12, data, 0xffff), sizeof(data));
    assert_good(bench);
    read10[8] = 0;
    assert_int_equal(run_packet(bench, DEVICE, read10, data, 2048), 0);
    assert_good(bench);
    read10[5] = DISC_SECTORS - 1;
    read10[8] = 2;
    assert_int_equal(run_packet(bench, DEVICE, read10, data, 2048), 0);
    assert_check(bench, DEVICE, 5, 0x21);
    memset(read12 + 2, 0xff, 8);
    assert_int_equal(run_packet(bench, DEVICE, read12, data, 2048), 0);
    assert_check(bench, DEVICE, 5, 0x21);
}

static void reads_by_dma(void **state)
{
    struct ide_bench *bench = *state;
    static uint8_t data[100 * 2048];
    uint8_t read[12] = {0x28, 0, 0, 0, 0, 50, 0, 0, 100};
    attend(bench, DEVICE);
    for (uint32_t i = 0; i < 4; i++)
        put_descriptor(bench, TABLE + 8 * i, DATA + 0x10000 * i, i < 3 ? 0 : 100 * 2048 - 0x30000,
                       i == 3);
    unsigned before = bench->interrupts[1];
    send_packet(bench, DEVICE, read, 0, true);
    start_dma(bench, 1, TABLE, true);
    bench_settle(bench);
    assert_int_equal(bench->interrupts[1], before + 1);
    assert_int_equal(bus_master_status(bench, 1), 4);
    assert_int_equal(bus_master_status(bench, 0), 0);
    assert_good(bench);
    assert_true(mem_read(bench->mem, DATA, data, sizeof(data)));
    assert_pattern(data, 50 * 2048, sizeof(data));
    /* A short answer by DMA. */
    const uint8_t inquiry[12] = {0x12, 0, 0, 0, 36};
    out8(bench, BENCH_BAR + 8, 0);
    put_descriptor(bench, TABLE, DATA, 36, true);
    send_packet(bench, DEVICE, inquiry, 0, true);
    start_dma(bench, 1, TABLE, true);
    assert_good(bench);
    assert_true(mem_read(bench->mem, DATA, data, 36));
    assert_memory_equal(data + 8, "TRAPEZE DVD-ROM ", 16);
}

static void describes_itself(void **state)
{
    struct ide_bench *bench = *state;
    uint8_t data[256];
    const uint8_t inquiry[12] = {0x12, 0, 0, 0, 36}, short_inquiry[12] = {0x12, 0, 0, 0, 5};
    assert_int_equal(run_packet(bench, DEVICE, inquiry, data, 256), 36);
    assert_int_equal(data[0], 5);
    assert_int_equal(data[1], 0x80);
    assert_int_equal(run_packet(bench, DEVICE, short_inquiry, data, 256), 5);
    attend(bench, DEVICE);
    const uint8_t capacity[12] = {0x25};
    assert_int_equal(run_packet(bench, DEVICE, capacity, data, 256), 8);
    const uint8_t expected[8] = {0, 0, 0, DISC_SECTORS - 1, 0, 0, 8, 0};
    assert_memory_equal(data, expected, 8);
    const uint8_t mode10[12] = {0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128};
    assert_int_equal(run_packet(bench, DEVICE, mode10, data, 256), 28);
    assert_int_equal(data[1], 26);
    assert_int_equal(data[8], 0x2a);
    const uint8_t mode6[12] = {0x1a, 0, 0x3f, 0, 255};
    assert_int_equal(run_packet(bench, DEVICE, mode6, data, 256), 4 + 8 + 16 + 20);
    assert_int_equal(data[0], 47);
    const uint8_t saved[12] = {0x5a, 0, 0xea, 0, 0, 0, 0, 0, 128};
    run_packet(bench, DEVICE, saved, data, 256);
    assert_check(bench, DEVICE, 5, 0x39);
    const uint8_t no_page[12] = {0x5a, 0, 0x05, 0, 0, 0, 0, 0, 128};
    run_packet(bench, DEVICE, no_page, data, 256);
    assert_check(bench, DEVICE, 5, 0x24);
    const uint8_t configuration[12] = {0x46, 0, 0, 0, 0, 0, 0, 0, 255};
    assert_int_equal(run_packet(bench, DEVICE, configuration, data, 256), 8 + 12 + 12 + 8 + 12);
    assert_int_equal(data[3], 48);
    assert_int_equal(data[7], 8); /* a CD */
    const uint8_t mechanism[12] = {0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8};
    assert_int_equal(run_packet(bench, DEVICE, mechanism, data, 256), 8);
    const uint8_t information[12] = {0x51, 0, 0, 0, 0, 0, 0, 0, 34};
    assert_int_equal(run_packet(bench, DEVICE, information, data, 256), 34);
    assert_int_equal(data[2], 0x0e);
    const uint8_t speed[12] = {0xbb}, seek[12] = {0x2b, 0, 0, 0, 0, DISC_SECTORS};
    run_packet(bench, DEVICE, speed, data, 256);
    assert_good(bench);
    run_packet(bench, DEVICE, seek, data, 256);
    assert_check(bench, DEVICE, 5, 0x21);
}

static void table_of_contents(void **state)
{
    struct ide_bench *bench = *state;
    uint8_t data[64];
    uint8_t toc[12] = {0x43, 0, 0, 0, 0, 0, 0, 0, 64};
    attend(bench, DEVICE);
    assert_int_equal(run_packet(bench, DEVICE, toc, data, 64), 20);
    const uint8_t expected[20] = {0, 18, 1, 1,    0,    0x14, 1, 0, 0, 0,
                                  0, 0,  0, 0x14, 0xaa, 0,    0, 0, 0, DISC_SECTORS};
    assert_memory_equal(data, expected, 20);
    toc[1] = 2; /* minutes, seconds, frames: 350 frames are 4 s and 50 */
    toc[6] = 0xaa;
    assert_int_equal(run_packet(bench, DEVICE, toc, data, 64), 12);
    const uint8_t lead_out[12] = {0, 10, 1, 1, 0, 0x14, 0xaa, 0, 0, 0, 4, 50};
    assert_memory_equal(data, lead_out, 12);
    toc[1] = 0;
    toc[6] = 0;
    toc[9] = 0x40; /* session information, as SFF-8020 asked for it */
    assert_int_equal(run_packet(bench, DEVICE, toc, data, 64), 12);
    assert_int_equal(data[6], 1);
    toc[9] = 0;
    toc[6] = 2; /* no such track */
    run_packet(bench, DEVICE, toc, data, 64);
    assert_check(bench, DEVICE, 5, 0x24);
}

static void tray(void **state)
{
    struct ide_bench *bench = *state;
    uint8_t data[64];
    const uint8_t lock[12] = {0x1e, 0, 0, 0, 1}, unlock[12] = {0x1e}, ready[12] = {0},
                  eject[12] = {0x1b, 0, 0, 0, 2}, load[12] = {0x1b, 0, 0, 0, 3},
                  event[12] = {0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8};
    attend(bench, DEVICE);
    run_packet(bench, DEVICE, lock, NULL, 0);
    assert_good(bench);
    run_packet(bench, DEVICE, eject, NULL, 0);
    assert_check(bench, DEVICE, 5, 0x53);
    run_packet(bench, DEVICE, unlock, NULL, 0);
    run_packet(bench, DEVICE, eject, NULL, 0);
    assert_good(bench);
    run_packet(bench, DEVICE, ready, NULL, 0);
    assert_check(bench, DEVICE, 2, 0x3a);
    assert_int_equal(run_packet(bench, DEVICE, event, data, 64), 8);
    assert_int_equal(data[4], 3);
    assert_int_equal(data[5], 1);
    run_packet(bench, DEVICE, load, NULL, 0);
    assert_good(bench);
    run_packet(bench, DEVICE, ready, NULL, 0);
    assert_check(bench, DEVICE, 6, 0x28);
    assert_int_equal(run_packet(bench, DEVICE, event, data, 64), 8);
    assert_int_equal(data[4], 2);
    assert_int_equal(data[5], 2);
    run_packet(bench, DEVICE, ready, NULL, 0);
    assert_good(bench);
}

static void disc_that_shrinks(void **state)
{
    struct ide_bench *bench = *state;
    static uint8_t data[8 * 2048];
    const uint8_t read[12] = {0x28, 0, 0, 0, 0, 100, 0, 0, 8};
    attend(bench, DEVICE);
    assert_int_equal(truncate(bench->path[2], 103 * 2048), 0);
    assert_int_equal(run_packet(bench, DEVICE, read, data, 0xfffe), 3 * 2048);
    assert_check(bench, DEVICE, 3, 0x11);
    assert_pattern(data, 100 * 2048, 3 * 2048);
}

static void resets_in_flight(void **state)
{
    struct ide_bench *bench = *state;
    const uint8_t read[12] = {0x28, 0, 0, 0, 0, 0, 0, 0, 60}, ready[12] = {0};
    attend(bench, DEVICE);
    for (int i = 0; i < 40; i++) {
        send_packet(bench, DEVICE, read, 2048, i & 1);
        if (i % 3 == 0)
            bench_pump(bench);
        if (i & 2) {
            out8(bench, SECONDARY + REG_STATUS, 0x08);
        } else {
            out8(bench, SECONDARY + REG_CONTROL, 4);
            out8(bench, SECONDARY + REG_CONTROL, 0);
        }
        bench_pump(bench);
        assert_int_equal(in8(bench, SECONDARY + REG_STATUS), 0);
        assert_int_equal(in8(bench, SECONDARY + REG_MID), 0x14);
        run_packet(bench, DEVICE, ready, NULL, 0);
        assert_good(bench);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(identifies_itself), CASE(attention_and_sense),
        CASE(empty_drive),       CASE(reads_by_pio),
        CASE(reads_by_dma),      CASE(describes_itself),
        CASE(table_of_contents), CASE(tray),
        CASE(disc_that_shrinks), CASE(resets_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
