/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device/dma.h"

#include "chip_test.h"

struct fixture {
    struct bench b;
    struct mem *mem;
    struct ram *ram;
    struct mem_region region;
    struct dma dma;
};

static int setup(void **state)
{
    static struct fixture f;
    bench_init(&f.b);
    assert_int_equal(mem_create(&f.mem, NULL), 0);
    assert_int_equal(ram_create(&f.ram, "ram", MIB(1), NULL), 0);
    f.region = (struct mem_region){
        .name = "ram", .kind = MEM_RAM, .enabled = true, .size = MIB(1), .ram = f.ram};
    mem_add(f.mem, &f.region);
    assert_int_equal(dma_init(&f.dma, f.b.pio, f.mem), 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->dma.device.type->fini(&f->dma.device);
    mem_remove(f->mem, &f->region);
    mem_destroy(f->mem);
    ram_destroy(f->ram);
    bench_fini(&f->b);
    return 0;
}

/* Channel 2, as a floppy driver does, or 6 by the second chip. */
static void program(struct fixture *f, uint8_t mode, uint8_t page, uint16_t address, uint16_t count)
{
    out8(&f->b, 0x0a, 6);
    out8(&f->b, 0x0c, 0);
    out8(&f->b, 0x04, address & 0xff);
    out8(&f->b, 0x04, (uint8_t)(address >> 8));
    out8(&f->b, 0x05, count & 0xff);
    out8(&f->b, 0x05, (uint8_t)(count >> 8));
    out8(&f->b, 0x81, page);
    out8(&f->b, 0x0b, mode | 2);
    out8(&f->b, 0x0a, 2);
    out8(&f->b, 0xd4, 0); /* channel 4 passes the first chip on */
}

static void registers(void **state)
{
    struct fixture *f = *state;
    program(f, 0x44, 0x12, 0x3456, 0x789a);
    assert_int_equal(in8(&f->b, 0x04), 0x56);
    assert_int_equal(in8(&f->b, 0x04), 0x34);
    assert_int_equal(in8(&f->b, 0x05), 0x9a);
    in8(&f->b, 0x05);
    in8(&f->b, 0x05);
    out8(&f->b, 0x0c, 0); /* the flip-flop is cleared half way */
    assert_int_equal(in8(&f->b, 0x05), 0x9a);
    assert_int_equal(in8(&f->b, 0x81), 0x12);
    out8(&f->b, 0x80, 0x77); /* POST codes */
    assert_int_equal(in8(&f->b, 0x80), 0x77);
    assert_int_equal(in8(&f->b, 0x0f), 0xfb);
    out8(&f->b, 0x0d, 0);
    assert_int_equal(in8(&f->b, 0x0f), 0xff);
    out8(&f->b, 0x0e, 0);
    assert_int_equal(in8(&f->b, 0x0f), 0xf0);
    out8(&f->b, 0xde, 0x05);
    assert_int_equal(in8(&f->b, 0xde), 0xf5);
    dma_request(&f->dma, 2, true);
    assert_int_equal(in8(&f->b, 0x08), 0x40);
}

static void to_memory(void **state)
{
    struct fixture *f = *state;
    char text[8] = "abcdefgh", seen[8] = "";
    bool terminal;
    program(f, 0x44, 0x01, 0x2000, 5);
    assert_int_equal(dma_direction(&f->dma, 2), DMA_TO_MEMORY);
    assert_int_equal(dma_transfer(&f->dma, 2, text, 4, &terminal), 4);
    assert_false(terminal);
    assert_int_equal(dma_transfer(&f->dma, 2, text + 4, 4, &terminal), 2);
    assert_true(terminal);
    assert_true(mem_read(f->mem, 0x12000, seen, 7));
    assert_memory_equal(seen, "abcdef\0", 7);
    assert_int_equal(in8(&f->b, 0x08), 0x04);
    assert_int_equal(in8(&f->b, 0x08), 0x00);
    assert_int_equal(in8(&f->b, 0x0f) & 4, 4); /* masked itself */
    assert_int_equal(dma_transfer(&f->dma, 2, text, 4, NULL), 0);
}

static void from_memory_downwards_and_again(void **state)
{
    struct fixture *f = *state;
    char seen[5] = "";
    assert_true(mem_write(f->mem, 0x3fffe, "xy", 2));
    assert_true(mem_write(f->mem, 0x30000, "z", 1));
    program(f, 0x78, 0x03, 0x0000, 2); /* wraps inside its 64 KiB */
    bool terminal;
    assert_int_equal(dma_transfer(&f->dma, 2, seen, 4, &terminal), 3);
    assert_true(terminal);
    assert_string_equal(seen, "zyx");
    assert_int_equal(dma_transfer(&f->dma, 2, seen, 1, NULL), 1); /* initialised itself */
    assert_int_equal(seen[0], 'z');
}

static void words(void **state)
{
    struct fixture *f = *state;
    char text[8] = "12345678", seen[9] = "";
    out8(&f->b, 0xd8, 0);
    out8(&f->b, 0xc8, 0x00); /* channel 6: word address 0x1000 is byte 0x2000 */
    out8(&f->b, 0xc8, 0x10);
    out8(&f->b, 0xca, 0x02);
    out8(&f->b, 0xca, 0x00);
    out8(&f->b, 0x89, 0x05); /* bit 0 is not used */
    out8(&f->b, 0xd6, 0x46);
    out8(&f->b, 0xd4, 0x02);
    bool terminal;
    assert_int_equal(dma_transfer(&f->dma, 6, text, 5, &terminal), 4);
    assert_false(terminal);
    assert_int_equal(dma_transfer(&f->dma, 6, text + 4, 4, &terminal), 2);
    assert_true(terminal);
    assert_true(mem_read(f->mem, 0x42000, seen, 8));
    assert_string_equal(seen, "123456");
}

static void stopped(void **state)
{
    struct fixture *f = *state;
    char byte = 'x';
    program(f, 0x44, 0x01, 0, 100);
    out8(&f->b, 0xd4, 4);
    assert_int_equal(dma_transfer(&f->dma, 2, &byte, 1, NULL), 0);
    out8(&f->b, 0xd4, 0);
    out8(&f->b, 0x08, 4);
    assert_int_equal(dma_transfer(&f->dma, 2, &byte, 1, NULL), 0);
    out8(&f->b, 0x08, 0);
    assert_int_equal(dma_transfer(&f->dma, 2, &byte, 1, NULL), 1);
    assert_int_equal(dma_transfer(&f->dma, 4, &byte, 1, NULL), 0);
}

static void hostile(void **state)
{
    struct fixture *f = *state;
    uint8_t buffer[64] = {0};
    for (int i = 0; i < 500; i++) {
        scribble(&f->b, 0x00, 16, 40);
        scribble(&f->b, 0x80, 96, 40);
        assert_true(dma_transfer(&f->dma, (unsigned)i, buffer, sizeof(buffer), NULL) <=
                    sizeof(buffer));
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(registers), CASE(to_memory), CASE(from_memory_downwards_and_again),
        CASE(words),     CASE(stopped),   CASE(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
