/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The whole board `pc` on a bench: built as vm/ builds it, with a clock moved by hand, no thread
 * that runs guest code, a disk, a CD and serial lines whose other end is the test.
 */
#ifndef TESTS_DEVICE_BOARD_BENCH_H
#define TESTS_DEVICE_BOARD_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "block/block.h"
#include "chardev/chardev.h"
#include "config/config.h"
#include "cpu/model.h"
#include "device/ide.h"
#include "event/loop.h"
#include "machine/machine.h"
#include "mem/mem.h"

enum {
    BOARD_RAM = 64 << 20,
    BOARD_CPUS = 2,
    BOARD_SERIALS = 2,
    BOARD_DISK = 4 << 20,
    BOARD_CD = 1 << 20,
    BOARD_FIRMWARE = 64 << 10,
    BOARD_PORT_RUNS = 512,
    BOARD_MMIO_RUNS = 128,
    /* Where the tests put the bus-master registers. */
    BOARD_BUS_MASTER = 0xc000,
};

/* The other end of a serial line: bytes written are dropped. */
struct chardev {
    struct chardev_frontend frontend;
};

struct port_run {
    uint16_t first;
    uint32_t count;
};

struct mmio_run {
    gpa_t first, last;
};

struct board {
    struct config config;
    struct loop *loop;
    struct timers timers;
    struct mem *mem;
    struct pio *pio;
    struct ram *ram;
    struct cpu_model model;
    struct vcpu_world world;
    struct vcpu *vcpus[BOARD_CPUS];
    struct block *disk, *cd;
    struct chardev serials[BOARD_SERIALS], debugcon;
    struct machine *machine;
    char firmware_path[64], disk_path[64], cd_path[64];
    bool reset_wanted;

    struct mem_listener listener;
    bool map_changed;
    struct port_run ports[BOARD_PORT_RUNS];
    unsigned port_count;
    struct mmio_run mmio[BOARD_MMIO_RUNS];
    unsigned mmio_count;
};

/* ---- What the devices call ---- */

int chardev_attach(struct chardev *chardev, const struct chardev_frontend *frontend)
{
    chardev->frontend = *frontend;
    return 0;
}

void chardev_write(struct chardev *chardev, int handle, const void *bytes, size_t length)
{
    (void)chardev;
    (void)handle;
    /* Reads what is written, so that a sanitizer sees it too. */
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)bytes)[i]);
}

void chardev_accept_input(struct chardev *chardev)
{
    (void)chardev;
}

static inline void board_wants_reset(void *opaque)
{
    struct board *board = opaque;
    board->reset_wanted = true;
}

static inline void board_ignore(void *opaque)
{
    (void)opaque;
}

static inline void board_ignore_number(void *opaque, int n)
{
    (void)opaque;
    (void)n;
}

static inline int64_t board_now(void *opaque)
{
    struct board *board = opaque;
    return timers_now(&board->timers);
}

static inline void board_map_changed(void *opaque)
{
    struct board *board = opaque;
    board->map_changed = true;
}

/* ---- Building ---- */

/* What byte i of the disk, of the CD and of the firmware is. */
static inline uint8_t board_pattern(uint64_t i)
{
    uint64_t x = (i / 8 + 1) * 0x9e3779b97f4a7c15ull;
    return (uint8_t)(x >> (8 * (i % 8)));
}

static inline void board_file(char *path, size_t bytes)
{
    strcpy(path, "/tmp/trapeze-board-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    uint8_t *content = malloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        content[i] = board_pattern(i);
    assert_int_equal(write(fd, content, bytes), bytes);
    close(fd);
    free(content);
}

static inline struct block *board_image(struct board *board, const char *path, bool read_only)
{
    struct block_options options = {.path = path, .format = "raw", .read_only = read_only};
    struct block *block = NULL;
    struct error err;
    if (block_open(&block, board->loop, &options, &err) < 0)
        fail_msg("%s", err.text);
    return block;
}

static inline void board_create_machine(struct board *board)
{
    struct machine_parts parts = {
        .config = &board->config,
        .loop = board->loop,
        .timers = &board->timers,
        .mem = board->mem,
        .pio = board->pio,
        .ram = board->ram,
        .vcpus = board->vcpus,
        .vcpu_count = BOARD_CPUS,
        .world = &board->world,
        .drives = {board->disk, NULL, board->cd, NULL},
        .drive_is_cd = {false, false, true, true},
        .serials = {&board->serials[0], &board->serials[1]},
        .debugcon = &board->debugcon,
        .host = {.opaque = board,
                 .reset = board_wants_reset,
                 .shutdown = board_ignore,
                 .suspend = board_ignore,
                 .debug_exit = board_ignore_number,
                 .wake_vcpu = board_ignore_number},
    };
    const struct machine_type *type = NULL;
    for (int i = 0; machine_types[i]; i++)
        if (strcmp(machine_types[i]->name, board->config.machine) == 0)
            type = machine_types[i];
    assert_non_null(type);
    struct error err;
    if (type->create(&board->machine, &parts, &err) < 0)
        fail_msg("%s", err.text);
    board->machine->reset(board->machine);
}

static inline struct board *board_create(void)
{
    struct board *board = calloc(1, sizeof(*board));
    struct error err;
    board_file(board->firmware_path, BOARD_FIRMWARE);
    board_file(board->disk_path, BOARD_DISK);
    board_file(board->cd_path, BOARD_CD);
    char *argv[] = {
        "trapeze",
        "-m",
        "64",
        "-bios",
        board->firmware_path,
        "-rtc",
        "base=2006-06-17",
        "-device",
        "isa-debug-exit",
    };
    if (config_parse(&board->config, ARRAY_LEN(argv), argv, &err) < 0)
        fail_msg("%s", err.text);
    board->config.cpus = BOARD_CPUS;

    timers_init(&board->timers, true);
    assert_int_equal(loop_create(&board->loop, NULL, NULL), 0);
    assert_int_equal(mem_create(&board->mem, NULL), 0);
    assert_int_equal(pio_create(&board->pio, NULL), 0);
    assert_int_equal(ram_create(&board->ram, "pc.ram", BOARD_RAM, NULL), 0);
    board->disk = board_image(board, board->disk_path, false);
    board->cd = board_image(board, board->cd_path, true);
    assert_int_equal(cpu_model_create(&board->model, NULL, NULL), 0);
    board->world = (struct vcpu_world){.mem = board->mem,
                                       .pio = board->pio,
                                       .opaque = board,
                                       .a20_mask = ~0ull,
                                       .lock = board_ignore,
                                       .unlock = board_ignore,
                                       .now = board_now};
    for (int i = 0; i < BOARD_CPUS; i++)
        assert_int_equal(vcpu_create(&board->vcpus[i], i, &board->model, &board->world), 0);
    board->listener = (struct mem_listener){.map_changed = board_map_changed, .opaque = board};
    mem_listen(board->mem, &board->listener);
    board_create_machine(board);
    board->map_changed = true;
    return board;
}

static inline void board_destroy(struct board *board)
{
    board->machine->destroy(board->machine);
    for (int i = 0; i < BOARD_CPUS; i++)
        vcpu_destroy(board->vcpus[i]);
    block_close(board->disk);
    block_close(board->cd);
    mem_unlisten(board->mem, &board->listener);
    mem_destroy(board->mem);
    pio_destroy(board->pio);
    ram_destroy(board->ram);
    loop_destroy(board->loop);
    timers_fini(&board->timers);
    config_fini(&board->config);
    unlink(board->firmware_path);
    unlink(board->disk_path);
    unlink(board->cd_path);
    free(board);
}

/* ---- Life ---- */

static inline void board_quit(void *opaque)
{
    loop_quit(opaque);
}

/* One turn of the loop: completions of images. */
static inline void board_turn(struct board *board)
{
    loop_post(board->loop, board_quit, board->loop);
    loop_run(board->loop);
}

/* Lets the images finish what they are at; what follows from it may begin anew. */
static inline void board_settle(struct board *board)
{
    block_drain(board->disk);
    block_drain(board->cd);
    board_turn(board);
}

static inline struct device *board_device(struct board *board, const char *name)
{
    struct device *device = board->machine->devices.first;
    while (device && strcmp(device->type->name, name) != 0)
        device = device->next;
    assert_non_null(device);
    return device;
}

static inline bool board_busy(struct board *board)
{
    const struct ide *ide = (struct ide *)board_device(board, "piix3-ide");
    for (int i = 0; i < 4; i++)
        if (ide->channels[i / 2].drives[i % 2].io_active)
            return true;
    return false;
}

static inline void board_add_run(void *opaque, uint16_t first, uint32_t count, const char *name)
{
    (void)name;
    struct board *board = opaque;
    if (board->port_count < BOARD_PORT_RUNS)
        board->ports[board->port_count++] = (struct port_run){first, count};
}

/* Finds what answers now, by ports and in memory. */
static inline void board_survey(struct board *board)
{
    board->map_changed = false;
    board->port_count = board->mmio_count = 0;
    pio_walk(board->pio, board_add_run, board);
    struct mem_view *view = mem_view_ref(board->mem);
    for (size_t i = 0; i < view->count && board->mmio_count < BOARD_MMIO_RUNS; i++) {
        const struct mem_range *range = &view->ranges[i];
        if (range->kind == MEM_IO && range->region)
            board->mmio[board->mmio_count++] = (struct mmio_run){range->first, range->last};
    }
    mem_view_unref(view);
}

/* ---- What firmware does ---- */

static inline uint32_t board_config_address(unsigned devfn, unsigned offset)
{
    return 0x80000000u | devfn << 8 | (offset & 0xfc);
}

static inline void board_config_write(struct board *board, unsigned devfn, unsigned offset,
                                      uint32_t value, unsigned size)
{
    pio_write(board->pio, 0xcf8, board_config_address(devfn, offset), 4);
    pio_write(board->pio, (uint16_t)(0xcfc + (offset & 3)), value, size);
}

/* IDE channels decoded, the bus master at its ports; power management and SMBus at theirs; video
 * memory and registers above RAM. */
static inline void board_set_up(struct board *board)
{
    unsigned ide = PCI_DEVFN(1, 1), pm = PCI_DEVFN(1, 3), vga = PCI_DEVFN(2, 0);
    board_config_write(board, ide, 0x40, 0x80008000, 4);
    board_config_write(board, ide, 0x20, BOARD_BUS_MASTER, 4);
    board_config_write(board, ide, 0x04, 0x05, 2);
    board_config_write(board, pm, 0x40, 0xb000, 4);
    board_config_write(board, pm, 0x80, 1, 1);
    board_config_write(board, pm, 0x90, 0xb100, 4);
    board_config_write(board, pm, 0xd2, 1, 1);
    board_config_write(board, vga, 0x10, 0xe0000000, 4);
    board_config_write(board, vga, 0x18, 0xfebf0000, 4);
    board_config_write(board, vga, 0x04, 0x07, 2);
}

#endif
