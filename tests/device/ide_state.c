/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Saved states of IDE drives that no drive was ever in: refused, or carried on from without harm.
 */
#include "ide_bench.h"

enum { ROUNDS = 1500, DISK_BYTES = 1 << 20 };

static uint32_t pick(uint32_t *seed, const uint32_t *values, unsigned count)
{
    return values[bench_random(seed) % count];
}

static uint32_t some_length(uint32_t *seed)
{
    static const uint32_t lengths[] = {
        0, 1, 12, 511, 512, 513, 2048, IDE_BUFFER_BYTES - 1, IDE_BUFFER_BYTES, ~0u, 100000};
    if (bench_random(seed) % 4 == 0)
        return bench_random(seed) % (IDE_BUFFER_BYTES + 2);
    return pick(seed, lengths, ARRAY_LEN(lengths));
}

/* Fields that only mean something together, each of them at random. */
static void make_impossible(struct ide_drive *drive, uint32_t *seed)
{
    static const uint32_t commands[] = {0x20, 0x25, 0x29, 0x30, 0x35, 0x3d, 0x40, 0xa0,
                                        0xa1, 0xc4, 0xc5, 0xc8, 0xca, 0xe7, 0xec, 0x00};
    drive->command = (uint8_t)pick(seed, commands, ARRAY_LEN(commands));
    drive->phase = (uint8_t)(bench_random(seed) % 7);
    drive->io_active = drive->phase == IDE_BUSY;
    drive->io_op = (uint8_t)(bench_random(seed) % 4);
    drive->io_sector = bench_random(seed) % 3000;
    drive->io_count = bench_random(seed) % 3 ? bench_random(seed) % 4 : bench_random(seed) % 300;
    drive->io_offset = bench_random(seed) % 2 ? 0 : some_length(seed);
    drive->position = some_length(seed);
    drive->limit = some_length(seed);
    if (bench_random(seed) % 2)
        drive->limit = drive->position + bench_random(seed) % 1024;
    drive->filled = some_length(seed);
    drive->lba = bench_random(seed) % 3 ? bench_random(seed) % 3000 : ~(uint64_t)0 - 1;
    drive->remaining = bench_random(seed) % 3 ? bench_random(seed) % 600 : bench_random(seed);
    drive->careful = bench_random(seed) & 1;
    drive->byte_limit = (uint16_t)some_length(seed);
    drive->packet_dma = bench_random(seed) & 1;
    drive->packet_expected = bench_random(seed) & 1;
    drive->multiple = (uint8_t)(1u << bench_random(seed) % 6);
    drive->status = (uint8_t)bench_random(seed);
    memset(drive->buffer, (int)(bench_random(seed) % 64), 64);
}

/* What a guest then does: takes, gives, starts the bus master, asks for more. */
static void go_on(struct ide_bench *bench, unsigned base, uint32_t *seed)
{
    static uint8_t data[IDE_BUFFER_BYTES];
    for (int i = 0; i < 3; i++) {
        size_t bytes = bench_random(seed) % 4 ? 600 : sizeof(data);
        if (bench_random(seed) & 1)
            read_words(bench, base, data, bytes);
        else
            write_words(bench, base, data, bytes);
        put_descriptor(bench, 0x1000, 0x100000, 0, false);
        put_descriptor(bench, 0x1008, 0x110000, 0, bench_random(seed) & 1);
        start_dma(bench, base == SECONDARY, 0x1000, bench_random(seed) & 1);
        bench_settle(bench);
    }
}

static void impossible_states(void **state)
{
    (void)state;
    struct ide_bench *bench = bench_create();
    struct device *device = &bench->ide->pci.device;
    uint32_t seed = 0x20261125;
    unsigned taken = 0;
    ide_attach_disk(bench->ide, 0, bench_image(bench, 0, DISK_BYTES, false));
    ide_attach_cd(bench->ide, 2, bench_image(bench, 2, DISK_BYTES, true));
    ide_attach_cd(bench->ide, 3, NULL);
    struct ide_drive *keep = malloc(sizeof(*keep));
    for (int round = 0; round < ROUNDS; round++) {
        bench_enable(bench);
        unsigned n = (bench_random(&seed) & 1) ? 0 : 2 + bench_random(&seed) % 2;
        struct ide_channel *channel = &bench->ide->channels[n / 2];
        struct ide_drive *drive = &channel->drives[n % 2];
        channel->selected = n % 2;
        memcpy(keep, drive, sizeof(*keep));
        make_impossible(drive, &seed);
        struct state_buffer out = {0};
        assert_int_equal(state_save(device->type->state, device, &out), 0);
        memcpy(drive, keep, sizeof(*keep));
        if (state_load(device->type->state, device, out.data, out.length, NULL, NULL) == 0)
            taken++;
        free(out.data);
        go_on(bench, n < 2 ? PRIMARY : SECONDARY, &seed);
    }
    assert_true(taken > ROUNDS / 50); /* else it tried nothing */
    free(keep);
    bench_destroy(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
