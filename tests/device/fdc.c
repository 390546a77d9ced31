/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The floppy controller by its registers, with images of known content.
 */
#include "device/fdc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "chip_test.h"
#include "event/loop.h"

enum { DOR = 0x3f2, MSR = 0x3f4, DATA = 0x3f5, DIR = 0x3f7, TRACK_144 = 18 * 512 };

struct fixture {
    struct bench b;
    struct loop *loop;
    struct mem *mem;
    struct ram *ram;
    struct mem_region region;
    struct dma dma;
    struct fdc fdc;
    struct block *block;
    char path[64];
};

static uint8_t pattern(size_t i)
{
    return (uint8_t)((i / 512) * 7 + i % 251);
}

static void open_image(struct fixture *f, size_t bytes, bool read_only)
{
    strcpy(f->path, "/tmp/trapeze-fdc-XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    uint8_t *content = malloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        content[i] = pattern(i);
    assert_int_equal(write(fd, content, bytes), bytes);
    close(fd);
    free(content);
    struct block_options options = {.path = f->path, .format = "raw", .read_only = read_only};
    struct error err;
    if (block_open(&f->block, f->loop, &options, &err) < 0)
        fail_msg("%s", err.text);
}

static struct fixture *start(size_t bytes, bool read_only)
{
    struct fixture *f = calloc(1, sizeof(*f));
    bench_init(&f->b);
    assert_int_equal(loop_create(&f->loop, NULL, NULL), 0);
    assert_int_equal(mem_create(&f->mem, NULL), 0);
    assert_int_equal(ram_create(&f->ram, "ram", MIB(1), NULL), 0);
    f->region = (struct mem_region){
        .name = "ram", .kind = MEM_RAM, .enabled = true, .size = MIB(1), .ram = f->ram};
    mem_add(f->mem, &f->region);
    assert_int_equal(dma_init(&f->dma, f->b.pio, f->mem), 0);
    assert_int_equal(fdc_init(&f->fdc, f->b.pio, &f->b.timers, &f->dma, bench_wire(&f->b, 0)), 0);
    if (bytes)
        open_image(f, bytes, read_only);
    assert_int_equal(fdc_attach(&f->fdc, 0, f->block), 0);
    return f;
}

static void stop(struct fixture *f)
{
    f->fdc.device.type->fini(&f->fdc.device);
    f->dma.device.type->fini(&f->dma.device);
    block_close(f->block);
    if (f->path[0])
        unlink(f->path);
    mem_remove(f->mem, &f->region);
    mem_destroy(f->mem);
    ram_destroy(f->ram);
    loop_destroy(f->loop);
    bench_fini(&f->b);
    free(f);
}

static void quit(void *opaque)
{
    loop_quit(opaque);
}

/* Until the controller waits for nothing but the guest. */
static void settle(struct fixture *f)
{
    timers_advance(&f->b.timers, 1000000);
    while (f->fdc.phase == FDC_BUSY) {
        block_drain(f->block);
        loop_post(f->loop, quit, f->loop);
        loop_run(f->loop);
    }
}

static void command(struct fixture *f, const uint8_t *bytes, unsigned length)
{
    for (unsigned i = 0; i < length; i++) {
        assert_int_equal(in8(&f->b, MSR) & 0xc0, 0x80);
        out8(&f->b, DATA, bytes[i]);
    }
}

#define COMMAND(f, ...) \
    command(f, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void check_result(struct fixture *f, const uint8_t *bytes, unsigned length)
{
    settle(f);
    for (unsigned i = 0; i < length; i++) {
        assert_int_equal(in8(&f->b, MSR) & 0xf0, 0xd0);
        assert_int_equal(in8(&f->b, DATA), bytes[i]);
    }
    assert_int_equal(in8(&f->b, MSR) & 0xf0, 0x80);
}

#define RESULT(f, ...) \
    check_result(f, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* As a BIOS does: out of reset, the four drives' states told, rate and step times set. */
static void bring_up(struct fixture *f)
{
    out8(&f->b, DOR, 0x00);
    assert_int_equal(in8(&f->b, MSR), 0);
    out8(&f->b, DOR, 0x1c);
    assert_int_equal(f->b.wire[0].level, 0);
    settle(f);
    assert_int_equal(f->b.wire[0].level, 1);
    for (uint8_t i = 0; i < 4; i++) {
        COMMAND(f, 0x08);
        RESULT(f, 0xc0 | i, 0);
        assert_int_equal(f->b.wire[0].level, 0);
    }
    out8(&f->b, DIR, 0);
    COMMAND(f, 0x03, 0xaf, 0x02);
    out8(&f->b, 0xd4, 0); /* channel 4 passes the first DMA chip on */
}

/* mode: 0x46 to memory, 0x4a from memory. */
static void program_dma(struct fixture *f, uint8_t mode, uint16_t address, unsigned bytes)
{
    out8(&f->b, 0x0a, 6);
    out8(&f->b, 0x0c, 0);
    out8(&f->b, 0x04, address & 0xff);
    out8(&f->b, 0x04, (uint8_t)(address >> 8));
    out8(&f->b, 0x05, (uint8_t)(bytes - 1));
    out8(&f->b, 0x05, (uint8_t)((bytes - 1) >> 8));
    out8(&f->b, 0x81, 1);
    out8(&f->b, 0x0b, mode);
    out8(&f->b, 0x0a, 2);
}

static void check_memory(struct fixture *f, unsigned address, size_t from, unsigned bytes)
{
    uint8_t *seen = malloc(bytes);
    assert_true(mem_read(f->mem, 0x10000 + address, seen, bytes));
    for (unsigned i = 0; i < bytes; i++)
        assert_int_equal(seen[i], pattern(from + i));
    free(seen);
}

static void check_image(struct fixture *f, size_t from, const uint8_t *bytes, unsigned length)
{
    uint8_t seen[512];
    block_drain(f->block);
    FILE *file = fopen(f->path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)from, SEEK_SET), 0);
    assert_int_equal(fread(seen, 1, length, file), length);
    fclose(file);
    assert_memory_equal(seen, bytes, length);
}

static void identity(void **state)
{
    (void)state;
    struct fixture *f = start(1474560, false);
    bring_up(f);
    COMMAND(f, 0x10); /* VERSION */
    RESULT(f, 0x90);
    COMMAND(f, 0x18); /* PART ID of later chips */
    RESULT(f, 0x80);
    COMMAND(f, 0x08); /* nothing to tell */
    RESULT(f, 0x80);
    COMMAND(f, 0x13, 0, 0x57, 3); /* CONFIGURE */
    COMMAND(f, 0x12, 0x84);       /* PERPENDICULAR: drive 0 */
    COMMAND(f, 0x94);             /* LOCK */
    RESULT(f, 0x10);
    COMMAND(f, 0x0e); /* DUMPREG */
    RESULT(f, 0, 0, 0, 0, 0xaf, 0x02, 0, 0x84, 0x57, 3);
    out8(&f->b, MSR, 0x80); /* reset by the DSR: what is locked stays */
    settle(f);
    for (int i = 0; i < 4; i++) {
        COMMAND(f, 0x08);
        RESULT(f, (uint8_t)(0xc0 | i), 0);
    }
    COMMAND(f, 0x14);
    RESULT(f, 0x00);
    COMMAND(f, 0x0e);
    RESULT(f, 0, 0, 0, 0, 0xaf, 0x02, 0, 0x04, 0x07, 3);
    stop(f);
}

static void seeks(void **state)
{
    (void)state;
    struct fixture *f = start(1474560, false);
    bring_up(f);
    assert_int_equal(in8(&f->b, DIR) & 0x80, 0x80); /* a disk came */
    COMMAND(f, 0x0f, 0, 40);
    assert_int_equal(in8(&f->b, MSR), 0x81);
    assert_int_equal(f->b.wire[0].level, 0);
    settle(f);
    assert_int_equal(f->b.wire[0].level, 1);
    COMMAND(f, 0x08);
    RESULT(f, 0x20, 40);
    assert_int_equal(f->b.wire[0].level, 0);
    assert_int_equal(in8(&f->b, DIR) & 0x80, 0);
    COMMAND(f, 0x04, 0x04);
    RESULT(f, 0x2c);
    COMMAND(f, 0x07, 0);
    settle(f);
    COMMAND(f, 0x08);
    RESULT(f, 0x20, 0);
    COMMAND(f, 0x04, 0x00);
    RESULT(f, 0x38);
    COMMAND(f, 0x07, 1); /* no such drive: its track 0 never comes */
    settle(f);
    COMMAND(f, 0x08);
    RESULT(f, 0x71, 0);
    COMMAND(f, 0x4a, 0x04); /* READ ID */
    RESULT(f, 0x04, 0, 0, 0, 1, 1, 2);
    out8(&f->b, DOR, 0x14); /* the gate is shut */
    COMMAND(f, 0x07, 0);
    settle(f);
    assert_int_equal(f->b.wire[0].level, 0);
    stop(f);
}

static void reads(void **state)
{
    (void)state;
    struct fixture *f = start(1474560, false);
    bring_up(f);
    program_dma(f, 0x46, 0x2000, 1024);
    COMMAND(f, 0xe6, 0x00, 0, 0, 3, 2, 18, 0x1b, 0xff);
    settle(f);
    assert_int_equal(f->b.wire[0].level, 1);
    RESULT(f, 0x00, 0, 0, 0, 0, 5, 2);
    assert_int_equal(f->b.wire[0].level, 0);
    check_memory(f, 0x2000, 2 * 512, 1024);
    /* Both heads in one go, to the cylinder's end: the result is the next cylinder. */
    program_dma(f, 0x46, 0x0000, 2 * TRACK_144);
    COMMAND(f, 0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    RESULT(f, 0x04, 0, 0, 1, 0, 1, 2);
    check_memory(f, 0, 0, 2 * TRACK_144);
    /* Without the DMA controller's word the end is an error. */
    program_dma(f, 0x46, 0x0000, 60000);
    COMMAND(f, 0x46, 0x04, 0, 1, 18, 2, 18, 0x1b, 0xff);
    RESULT(f, 0x44, 0x80, 0, 0, 1, 18, 2);
    /* Implied seek. */
    COMMAND(f, 0x13, 0, 0x57, 0);
    program_dma(f, 0x46, 0x0000, 512);
    COMMAND(f, 0x46, 0x04, 79, 1, 18, 2, 18, 0x1b, 0xff);
    RESULT(f, 0x04, 0, 0, 80, 1, 1, 2);
    check_memory(f, 0, 2879 * 512, 512);
    COMMAND(f, 0xb6, 0x00, 79, 0, 1, 2, 18, 0x1b, 0xff); /* VERIFY without MFM */
    RESULT(f, 0x40, 1, 0, 79, 0, 1, 2);
    COMMAND(f, 0xf6, 0x80, 79, 0, 2, 2, 18, 0x1b, 3); /* VERIFY of three */
    RESULT(f, 0x00, 0, 0, 80, 0, 1, 2);
    stop(f);
}

static void not_found(void **state)
{
    (void)state;
    struct fixture *f = start(1474560, false);
    bring_up(f);
    program_dma(f, 0x46, 0, 512);
    COMMAND(f, 0x46, 0x00, 0, 0, 19, 2, 19, 0x1b, 0xff);
    RESULT(f, 0x40, 0x04, 0, 0, 0, 19, 2);
    COMMAND(f, 0x46, 0x00, 0, 0, 0, 2, 18, 0x1b, 0xff);
    RESULT(f, 0x40, 0x04, 0, 0, 0, 0, 2);
    COMMAND(f, 0x46, 0x00, 5, 0, 1, 2, 18, 0x1b, 0xff);
    RESULT(f, 0x40, 0x04, 0x10, 5, 0, 1, 2);
    COMMAND(f, 0x46, 0x00, 0, 0, 1, 3, 18, 0x1b, 0xff);
    RESULT(f, 0x40, 0x04, 0, 0, 0, 1, 2);
    COMMAND(f, 0x46, 0x01, 0, 0, 1, 2, 18, 0x1b, 0xff); /* B: is not there */
    RESULT(f, 0x41, 0x01, 0, 0, 0, 1, 2);
    out8(&f->b, DIR, 2); /* 250 Kb/s */
    COMMAND(f, 0x4a, 0x00);
    RESULT(f, 0x40, 0x01, 0, 0, 0, 0, 0);
    out8(&f->b, DIR, 0);
    out8(&f->b, 0x0a, 6); /* DMA is masked */
    COMMAND(f, 0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    RESULT(f, 0x40, 0x10, 0, 0, 0, 1, 2);
    stop(f);
    f = start(0, false); /* no disk */
    bring_up(f);
    assert_int_equal(fdc_drive_type(&f->fdc, 0), 4);
    assert_int_equal(fdc_drive_type(&f->fdc, 1), 0);
    COMMAND(f, 0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    RESULT(f, 0x40, 0x01, 0, 0, 0, 1, 2);
    stop(f);
    f = start(700, false); /* a boot sector and a bit */
    bring_up(f);
    program_dma(f, 0x46, 0, 2048);
    COMMAND(f, 0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    RESULT(f, 0x40, 0x04, 0, 0, 0, 3, 2);
    check_memory(f, 0, 0, 700);
    stop(f);
}

static void writes(void **state)
{
    (void)state;
    struct fixture *f = start(1474560, false);
    bring_up(f);
    uint8_t data[1024];
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 3 + 1);
    assert_true(mem_write(f->mem, 0x10000, data, sizeof(data)));
    program_dma(f, 0x4a, 0, 700); /* ends inside the second sector */
    COMMAND(f, 0xc5, 0x04, 0, 1, 18, 2, 18, 0x1b, 0xff);
    RESULT(f, 0x44, 0x80, 0, 0, 1, 18, 2); /* head 1 has no second */
    program_dma(f, 0x4a, 0, 700);
    COMMAND(f, 0xc5, 0x00, 0, 0, 4, 2, 18, 0x1b, 0xff);
    RESULT(f, 0x00, 0, 0, 0, 0, 6, 2);
    memset(data + 700, 0, 1024 - 700);
    check_image(f, 3 * 512, data, 512);
    check_image(f, 4 * 512, data + 512, 512);
    uint8_t ids[18][4];
    for (uint8_t i = 0; i < 18; i++)
        memcpy(ids[i], (const uint8_t[]){0, 1, (uint8_t)(i + 1), 2}, 4);
    assert_true(mem_write(f->mem, 0x10000, ids, sizeof(ids)));
    program_dma(f, 0x4a, 0, sizeof(ids));
    COMMAND(f, 0x4d, 0x04, 2, 18, 0x54, 0xf6);
    settle(f);
    assert_int_equal(in8(&f->b, DATA), 0x04);
    for (int i = 0; i < 6; i++)
        in8(&f->b, DATA);
    memset(data, 0xf6, 512);
    check_image(f, 18 * 512, data, 512);
    check_image(f, 35 * 512, data, 512);
    stop(f);

    f = start(1474560, true);
    bring_up(f);
    COMMAND(f, 0x45, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    RESULT(f, 0x40, 0x02, 0, 0, 0, 1, 2);
    COMMAND(f, 0x04, 0x00);
    RESULT(f, 0x78);
    stop(f);
}

static void without_dma(void **state)
{
    (void)state;
    struct fixture *f = start(368640, false);
    bring_up(f);
    assert_int_equal(fdc_drive_type(&f->fdc, 0), 1);
    out8(&f->b, DIR, 2);
    COMMAND(f, 0x03, 0xaf, 0x03);
    COMMAND(f, 0x46, 0x00, 0, 0, 8, 2, 9, 0x1b, 0xff);
    settle(f);
    assert_int_equal(f->b.wire[0].level, 1);
    for (unsigned i = 0; i < 1024; i++) {
        assert_int_equal(in8(&f->b, MSR), 0xf0);
        assert_int_equal(in8(&f->b, DATA), pattern(7 * 512 + i));
    }
    RESULT(f, 0x40, 0x80, 0, 0, 0, 9, 2);
    COMMAND(f, 0x45, 0x00, 0, 0, 2, 2, 2, 0x1b, 0xff);
    uint8_t data[512];
    for (unsigned i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i ^ 0x5a);
        assert_int_equal(in8(&f->b, MSR), 0xb0);
        out8(&f->b, DATA, data[i]);
    }
    RESULT(f, 0x40, 0x80, 0, 0, 0, 2, 2);
    check_image(f, 512, data, sizeof(data));
    stop(f);
}

static void formats(void **state)
{
    (void)state;
    static const struct {
        size_t bytes;
        uint8_t type, heads, sectors;
    } sizes[] = {
        {163840, 1, 1, 8}, {184320, 1, 1, 9},   {327680, 1, 2, 8},   {368640, 1, 2, 9},
        {737280, 3, 2, 9}, {1228800, 2, 2, 15}, {1474560, 4, 2, 18}, {1720320, 4, 2, 21},
        {512, 4, 2, 18},   {2949120, 5, 2, 36}, {2000000, 5, 2, 36},
    };
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        struct fixture *f = start(sizes[i].bytes, false);
        assert_int_equal(fdc_drive_type(&f->fdc, 0), sizes[i].type);
        assert_int_equal(f->fdc.drives[0].format.heads, sizes[i].heads);
        assert_int_equal(f->fdc.drives[0].format.sectors, sizes[i].sectors);
        stop(f);
    }
    struct fixture *f = start(0, false);
    open_image(f, 3000000, false);
    assert_true(fdc_attach(&f->fdc, 0, f->block) < 0);
    stop(f);
}

/* Saved while the image works and in the middle of a result; loaded into another one. */
static void saved_and_loaded(void **state)
{
    (void)state;
    struct fixture *a = start(1474560, false), *b = start(1474560, false);
    bring_up(a);
    program_dma(a, 0x46, 0x3000, 512);
    program_dma(b, 0x46, 0x3000, 512);
    out8(&b->b, 0xd4, 0);
    COMMAND(a, 0x46, 0x00, 0, 0, 7, 2, 18, 0x1b, 0xff);
    struct state_buffer out = {0};
    size_t used;
    assert_int_equal(state_save(a->fdc.device.type->state, &a->fdc, &out), 0);
    assert_int_equal(
        state_load(b->fdc.device.type->state, &b->fdc, out.data, out.length, &used, NULL), 0);
    settle(b);
    assert_int_equal(b->b.wire[0].level, 1);
    assert_int_equal(in8(&b->b, DATA), 0);
    check_memory(b, 0x3000, 6 * 512, 512);
    free(out.data);
    out = (struct state_buffer){0};
    assert_int_equal(state_save(b->fdc.device.type->state, &b->fdc, &out), 0);
    settle(a);
    assert_int_equal(
        state_load(a->fdc.device.type->state, &a->fdc, out.data, out.length, &used, NULL), 0);
    RESULT(a, 0, 0, 0, 0, 8, 2);
    /* Damaged on the way: refused, or a state like any other. */
    uint32_t seed = 99;
    for (int i = 0; i < 3000; i++) {
        seed = seed * 1664525 + 1013904223;
        size_t at = (seed >> 8) % (out.length - sizeof(b->fdc.buffer));
        uint8_t kept = out.data[at];
        out.data[at] ^= (uint8_t)(1 << (seed >> 5 & 7));
        struct error err;
        state_load(b->fdc.device.type->state, &b->fdc, out.data, out.length, &used, &err);
        settle(b);
        scribble(&b->b, 0x3f2, 6, 20);
        settle(b);
        out.data[at] = kept;
    }
    free(out.data);
    stop(a);
    stop(b);
}

static void hostile(void **state)
{
    (void)state;
    struct fixture *f = start(1474560, false);
    bring_up(f);
    uint32_t seed = 4711;
    for (int i = 0; i < 4000; i++) {
        static const uint8_t starts[] = {0x46, 0xe6, 0x45, 0xc5, 0x4d,
                                         0xf6, 0x4a, 0x0f, 0x03, 0x13};
        seed = seed * 1664525 + 1013904223;
        if (f->fdc.phase == FDC_COMMAND && f->fdc.length == 0 && (f->fdc.dor & 4))
            out8(&f->b, DATA, starts[(seed >> 9) % sizeof(starts)]);
        for (int k = 0; k < 8; k++) {
            seed = seed * 1664525 + 1013904223;
            out8(&f->b, DATA, seed >> 30 ? seed >> 24 & 3 : (uint8_t)(seed >> 16));
        }
        scribble(&f->b, 0x3f2, 4, 3);
        scribble(&f->b, 0x00, 16, (seed >> 20) % 8);
        if (seed >> 29)
            settle(f);
        for (int k = 0; k < 12; k++)
            in8(&f->b, DATA);
        if (seed >> 27 == 1)
            out8(&f->b, DOR, 0x1c);
    }
    stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity), cmocka_unit_test(seeks),
        cmocka_unit_test(reads),    cmocka_unit_test(not_found),
        cmocka_unit_test(writes),   cmocka_unit_test(without_dma),
        cmocka_unit_test(formats),  cmocka_unit_test(saved_and_loaded),
        cmocka_unit_test(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
