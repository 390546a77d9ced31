/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a hostile guest does to a board, action by action, from a seed: one struct scribbler a
 * board. The same seed does the same to a board that answers the same; the digest is of all it
 * answered.
 */
#ifndef TESTS_DEVICE_BOARD_SCRIBBLE_H
#define TESTS_DEVICE_BOARD_SCRIBBLE_H

#include "board_bench.h"

#include <inttypes.h>
#include <signal.h>

#include "device/dma.h"

enum {
    /* Where the scribbler keeps tables and descriptors for DMA. */
    TABLES = 0x10000,
    TABLES_BYTES = 0x10000,
    /* Turns of timers_run after which a standing clock must have nothing due. */
    TURNS_AT_ONE_TIME = 4,
    /* No timer calls more often: devices round 20 us to their ticks. */
    SHORTEST_NS = 15000,
    SURVEY_EVERY = 4096,
};

struct scribbler {
    struct board *board;
    uint64_t state;
    uint64_t seed;
    uint64_t accesses, surveyed;
    uint64_t digest;
    bool steady; /* images are waited for after each action, so that a seed always does the same */
    const char *doing;
};

/* For the reports of crashes only. */
static struct scribbler *current;

/* ---- Chance ---- */

static inline uint64_t draw(struct scribbler *s)
{
    s->state ^= s->state << 13;
    s->state ^= s->state >> 7;
    s->state ^= s->state << 17;
    return s->state * 0x2545f4914f6cdd1dull;
}

static inline uint64_t below(struct scribbler *s, uint64_t limit)
{
    return (uint64_t)(((unsigned __int128)draw(s) * limit) >> 64);
}

static inline bool one_in(struct scribbler *s, unsigned n)
{
    return below(s, n) == 0;
}

/* An address that means something: RAM, a table, a register, video memory, nothing. */
static inline uint64_t some_address(struct scribbler *s)
{
    const struct board *board = s->board;
    switch (below(s, 6)) {
    case 0:
        return TABLES + (below(s, TABLES_BYTES) & ~7ull);
    case 1:
        if (board->mmio_count) {
            const struct mmio_run *run = &board->mmio[below(s, board->mmio_count)];
            return run->first + (below(s, run->last - run->first + 1) & ~3ull);
        }
        return 0;
    case 2:
        return BOARD_RAM - below(s, 0x2000); /* the end of memory */
    case 3:
        return 0xa0000 + below(s, 0x60000);
    case 4:
        return draw(s);
    default:
        return below(s, BOARD_RAM);
    }
}

static inline uint64_t some_value(struct scribbler *s)
{
    switch (below(s, 8)) {
    case 0:
        return 0;
    case 1:
        return ~0ull;
    case 2:
        return 1ull << below(s, 64);
    case 3:
        return below(s, 16);
    case 4:
        return some_address(s);
    case 5:
        return (1ull << below(s, 64)) - 1;
    default:
        return draw(s);
    }
}

/* ---- Reports ---- */

static inline void report(void)
{
    char line[256];
    int n = snprintf(line, sizeof(line),
                     "# board: SCRIBBLE_SEED=%" PRIu64 " at access %" PRIu64 ", in %s\n",
                     current->seed, current->accesses, current->doing);
    ssize_t written = write(STDOUT_FILENO, line, (size_t)n);
    (void)written;
}

static struct sigaction before[NSIG];
static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM};

/* Says where, then leaves it to whoever was there before us. */
static inline void on_signal(int signo)
{
    report();
    sigaction(signo, &before[signo], NULL);
    raise(signo);
}

/* A sanitizer's: it does not come by a signal. */
extern void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static inline void watch_for_crashes(struct scribbler *s)
{
    current = s;
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(report);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER};
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        sigaction(signals[i], &action, &before[signals[i]]);
}

static inline void unwatch(void)
{
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        sigaction(signals[i], &before[signals[i]], NULL);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(NULL);
}

#define expect(s, condition)                                    \
    do {                                                        \
        if (!(condition)) {                                     \
            report();                                           \
            fail_msg("%s: not so: %s", (s)->doing, #condition); \
        }                                                       \
    } while (0)

/* ---- Single accesses ---- */

static inline void answered(struct scribbler *s, uint64_t value)
{
    s->digest = (s->digest ^ value) * 0x100000001b3ull;
}

static const unsigned port_sizes[] = {1, 1, 2, 4};

static inline void out(struct scribbler *s, unsigned port, uint64_t value, unsigned size)
{
    s->accesses++;
    pio_write(s->board->pio, (uint16_t)port, (uint32_t)value, size);
}

static inline uint32_t in(struct scribbler *s, unsigned port, unsigned size)
{
    s->accesses++;
    uint32_t value = pio_read(s->board->pio, (uint16_t)port, size);
    answered(s, value);
    return value;
}

/* Each run of ports as likely as any other, however long. */
static inline void scribble_port(struct scribbler *s)
{
    s->doing = "a port";
    unsigned port = (unsigned)below(s, 0x10000);
    if (!one_in(s, 64)) {
        const struct port_run *run = &s->board->ports[below(s, s->board->port_count)];
        port = run->first + (unsigned)below(s, run->count);
    }
    unsigned size = port_sizes[below(s, ARRAY_LEN(port_sizes))];
    if (one_in(s, 3))
        in(s, port, size);
    else
        out(s, port, some_value(s), size);
}

static inline void scribble_memory(struct scribbler *s)
{
    s->doing = "memory";
    struct board *board = s->board;
    unsigned size = 1u << below(s, 4);
    gpa_t at = some_address(s);
    if (board->mmio_count && !one_in(s, 8)) {
        const struct mmio_run *run = &board->mmio[below(s, board->mmio_count)];
        at = run->first + below(s, run->last - run->first + 1);
        if (one_in(s, 2)) /* registers tend to be at the beginning */
            at = run->first + (at - run->first) % 0x400;
    }
    if (!one_in(s, 8))
        at &= ~(gpa_t)(size - 1);
    if (!one_in(s, 4))
        at &= ~(gpa_t)15 | 3; /* and APICs' on multiples of 16 */
    s->accesses++;
    if (one_in(s, 3))
        answered(s, mem_load(board->mem, at, size));
    else
        mem_store(board->mem, at, some_value(s), size);
}

/* Tables and descriptors: values that look like them, at random. */
static inline void scribble_tables(struct scribbler *s)
{
    s->doing = "tables";
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof(bytes); i += 8) {
        store_le32(bytes + i, (uint32_t)some_address(s));
        store_le32(bytes + i + 4, (uint32_t)some_value(s) & (one_in(s, 4) ? ~0u : 0x7fffffff));
    }
    s->accesses++;
    mem_write(s->board->mem, TABLES + (below(s, TABLES_BYTES - sizeof(bytes)) & ~7ull), bytes,
              sizeof(bytes));
}

static inline void scribble_config(struct scribbler *s)
{
    s->doing = "configuration space";
    unsigned devfn = (unsigned)below(s, 5) << 3 | (unsigned)below(s, 4);
    unsigned offset = (unsigned)below(s, 256);
    unsigned size = port_sizes[below(s, ARRAY_LEN(port_sizes))];
    uint64_t value = some_value(s);
    if (one_in(s, 2)) {
        offset = 0x10 + 4 * (unsigned)below(s, 6);
        size = 4;
    } else if (one_in(s, 4)) {
        offset = 0x04;
        size = 2;
        value = one_in(s, 2) ? 7 : value;
    }
    out(s, 0xcf8, board_config_address(devfn, offset), 4);
    if (one_in(s, 4))
        in(s, 0xcfc + (offset & 3), size);
    else
        out(s, 0xcfc + (offset & 3), value, size);
}

/* ---- Commands that are nearly right ---- */

static inline unsigned some_channel(struct scribbler *s)
{
    return one_in(s, 2) ? 0x1f0 : 0x170;
}

static inline void start_bus_master(struct scribbler *s, unsigned command_base)
{
    unsigned base = BOARD_BUS_MASTER + (command_base == 0x170 ? 8 : 0);
    out(s, base + 4, TABLES + (below(s, TABLES_BYTES) & ~3ull), 4);
    out(s, base, one_in(s, 2) ? 8 : 0, 1);
    out(s, base + 2, 0x66, 1);
    out(s, base, in(s, base, 1) | 1, 1);
}

static inline void move_data(struct scribbler *s, unsigned base)
{
    unsigned times = (unsigned)below(s, 600);
    for (unsigned i = 0; i < times; i++) {
        if (one_in(s, 2))
            in(s, base, one_in(s, 3) ? 4 : 2);
        else
            out(s, base, draw(s), one_in(s, 3) ? 4 : 2);
    }
}

static inline void scribble_ata(struct scribbler *s)
{
    static const uint8_t opcodes[] = {0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x3d, 0x40,
                                      0x42, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xce, 0xe7, 0xea, 0xec,
                                      0xef, 0x91, 0x90, 0x70, 0xf8, 0x27, 0x08, 0xa0, 0xa1};
    s->doing = "an ATA command";
    unsigned base = some_channel(s);
    if (one_in(s, 4))
        board_set_up(s->board);
    if (one_in(s, 2))
        start_bus_master(s, base);
    for (unsigned i = one_in(s, 2) ? 0 : 4; i < 8; i++)
        out(s, base + 1 + i % 4, one_in(s, 3) ? below(s, 4) : draw(s), 1);
    out(s, base + 5, one_in(s, 4) ? draw(s) : below(s, 2), 1);
    out(s, base + 6, one_in(s, 2) ? 0xe0 | (draw(s) & 0x10) : draw(s), 1);
    out(s, base + 7, opcodes[below(s, ARRAY_LEN(opcodes))], 1);
    if (one_in(s, 4))
        move_data(s, base);
    if (one_in(s, 2))
        start_bus_master(s, base);
    in(s, base + 7, 1);
}

static inline void scribble_packet(struct scribbler *s)
{
    static const uint8_t opcodes[] = {0x00, 0x03, 0x12, 0x1b, 0x1e, 0x25, 0x28, 0x2b, 0x42,
                                      0x43, 0x46, 0x4a, 0x51, 0x5a, 0xa8, 0xbb, 0xbd, 0xbe};
    s->doing = "a packet";
    if (one_in(s, 4))
        board_set_up(s->board);
    out(s, 0x176, one_in(s, 4) ? 0xb0 : 0xa0, 1);
    out(s, 0x171, one_in(s, 2), 1);
    out(s, 0x174, some_value(s), 1);
    out(s, 0x175, some_value(s), 1);
    out(s, 0x177, 0xa0, 1);
    uint8_t packet[12];
    for (unsigned i = 0; i < sizeof(packet); i++)
        packet[i] = (uint8_t)(one_in(s, 3) ? draw(s) : below(s, 3));
    packet[0] = opcodes[below(s, ARRAY_LEN(opcodes))];
    if (packet[0] == 0xbe)
        packet[9] = 0x10;
    for (unsigned i = 0; i < sizeof(packet); i += 2)
        out(s, 0x170, load_le16(packet + i), 2);
    if (one_in(s, 3))
        start_bus_master(s, 0x170);
    if (one_in(s, 4))
        board_settle(s->board);
    if (one_in(s, 2))
        move_data(s, 0x170);
}

/* Commands to the keyboard controller, the keyboard and, behind 0xd4, the mouse. */
static inline void scribble_keyboard(struct scribbler *s)
{
    s->doing = "the keyboard controller";
    for (unsigned i = (unsigned)below(s, 8); i > 0; i--) {
        if (one_in(s, 2))
            out(s, 0x64, 0xd4, 1);
        out(s, 0x60, one_in(s, 3) ? some_value(s) : 0xe0 + below(s, 32), 1);
        if (one_in(s, 2))
            in(s, 0x60, 1);
    }
    if (one_in(s, 8))
        out(s, 0x64, one_in(s, 2) ? 0x60 : some_value(s), 1);
}

/* The APICs as operating systems program them, with odd modes and periods. */
static inline void scribble_apics(struct scribbler *s)
{
    static const uint16_t registers[] = {0x80,  0xb0,  0xd0,  0xe0,  0xf0,  0x280,
                                         0x310, 0x320, 0x330, 0x340, 0x350, 0x360,
                                         0x370, 0x380, 0x390, 0x3e0, 0x300, 0x300};
    struct mem *mem = s->board->mem;
    s->doing = "the APICs";
    s->accesses += 4;
    gpa_t lapic = 0xfee00000, ioapic = 0xfec00000;
    if (one_in(s, 2))
        mem_store(mem, lapic + 0xf0, 0x1ff, 4);
    unsigned reg = registers[below(s, ARRAY_LEN(registers))];
    uint64_t value = below(s, 0x100) | below(s, 8) << 8 | (some_value(s) & 0x3ff << 12);
    mem_store(mem, lapic + reg, one_in(s, 4) ? some_value(s) : value, 4);
    if (one_in(s, 4)) { /* the timer: periodic or not, short or long */
        mem_store(mem, lapic + 0x320, below(s, 0x100) | below(s, 3) << 17, 4);
        mem_store(mem, lapic + 0x380, 1ull << below(s, 33), 4);
    }
    mem_store(mem, ioapic, below(s, 0x40), 4);
    mem_store(mem, ioapic + 0x10, one_in(s, 4) ? some_value(s) : value, 4);
}

/* A descriptor at `at`, its numbers big-endian. */
static inline void put_fw_cfg_descriptor(struct scribbler *s, gpa_t at)
{
    uint8_t descriptor[16];
    uint32_t control = (uint32_t)below(s, 0x40) << 16 | (uint32_t)below(s, 32);
    store_le32(descriptor, swap32(one_in(s, 8) ? (uint32_t)draw(s) : control));
    store_le32(descriptor + 4,
               swap32((uint32_t)(one_in(s, 4) ? some_value(s) : below(s, 0x10000))));
    store_le64(descriptor + 8, swap64(some_address(s)));
    mem_write(s->board->mem, at, descriptor, sizeof(descriptor));
}

static inline void scribble_fw_cfg(struct scribbler *s)
{
    s->doing = "fw_cfg DMA";
    gpa_t at = one_in(s, 4) ? some_address(s) : TABLES + below(s, TABLES_BYTES - 16);
    put_fw_cfg_descriptor(s, at);
    out(s, 0x514, swap32((uint32_t)(at >> 32)), 4);
    out(s, 0x518, swap32((uint32_t)at), 4);
}

/* What a device on the ISA bus would ask, with whatever the channel holds. */
static inline void scribble_isa_dma(struct scribbler *s)
{
    s->doing = "ISA DMA";
    struct dma *dma = (struct dma *)board_device(s->board, "i8237");
    uint8_t buffer[8192];
    memset(buffer, (int)draw(s), sizeof(buffer));
    unsigned channel = (unsigned)below(s, 8);
    size_t length = below(s, sizeof(buffer) + 1);
    bool terminal;
    dma_request(dma, channel, one_in(s, 2));
    s->accesses++;
    size_t moved = dma_transfer(dma, channel, buffer, length, one_in(s, 8) ? NULL : &terminal);
    expect(s, moved <= length);
    for (size_t i = 0; i < moved; i++)
        answered(s, buffer[i]);
}

/* ---- The world around ---- */

static inline void scribble_people(struct scribbler *s)
{
    s->doing = "keys and lines";
    const struct input *input = &s->board->machine->input;
    if (input->keyboard)
        input->keyboard->key(input->keyboard->opaque, (unsigned)below(s, 260), one_in(s, 2));
    if (input->pointer && one_in(s, 2))
        input->pointer->move(input->pointer->opaque, (int)some_value(s), (int)some_value(s),
                             (int)some_value(s));
    if (input->pointer && one_in(s, 2))
        input->pointer->buttons(input->pointer->opaque, (unsigned)draw(s));
    for (int i = 0; i < BOARD_SERIALS; i++) {
        const struct chardev_frontend *line = &s->board->serials[i].frontend;
        uint8_t bytes[64];
        memset(bytes, (int)draw(s), sizeof(bytes));
        size_t room = line->can_read ? line->can_read(line->opaque) : 0;
        if (room && line->read)
            line->read(line->opaque, bytes, 1 + below(s, min_u64(room, sizeof(bytes))));
        if (line->event && one_in(s, 8))
            line->event(line->opaque, (enum chardev_event)below(s, 3));
    }
}

/* Some time goes by. However short the periods are that the guest programs, the loop is called no
 * more often than is healthy. */
static inline void pass_time(struct scribbler *s, int64_t ns)
{
    struct timers *timers = &s->board->timers;
    int64_t end = timers_now(timers) + ns;
    uint64_t rounds = 0, healthy = 0;
    for (int64_t next; (next = timers_next(timers)) <= end; rounds++) {
        healthy = max_u64(healthy, (uint64_t)(ns / SHORTEST_NS + 2) * timers->count);
        expect(s, rounds <= healthy);
        if (next > timers_now(timers))
            clock_set(&timers->clock, next);
        timers_run(timers);
    }
    clock_set(&timers->clock, end);
}

static inline void scribble_time(struct scribbler *s)
{
    struct timers *timers = &s->board->timers;
    s->doing = "time";
    if (!one_in(s, 32)) {
        pass_time(s, (int64_t)below(s, one_in(s, 8) ? 10000000 : 100000));
    } else { /* the host was asleep */
        int64_t jump = (int64_t)below(s, 1ull << (20 + below(s, 30)));
        clock_set(&timers->clock, timers_now(timers) + jump);
    }
    for (int i = 0; i < TURNS_AT_ONE_TIME; i++)
        timers_run(timers);
    /* Whatever is programmed: no timer is due again and again while time stands. */
    expect(s, timers_next(timers) > timers_now(timers));
}

static inline void scribble_processor(struct scribbler *s)
{
    s->doing = "a processor";
    static const uint64_t apic_bases[] = {0xfee00800, 0xfee00900, 0xfee00c00, 0xfee00d00, 0};
    struct vcpu_world *world = &s->board->world;
    int n = (int)below(s, BOARD_CPUS);
    uint64_t value = some_value(s);
    uint32_t msr = 0x800 + (uint32_t)below(s, 0x40);
    if (one_in(s, 16)) {
        msr = 0x1b;
        value = one_in(s, 2) ? apic_bases[below(s, ARRAY_LEN(apic_bases))] : value;
    } else if (one_in(s, 16)) {
        msr = 0x6e0;
    }
    switch (below(s, 5)) {
    case 0:
        if (world->cr8_write)
            world->cr8_write(world->board, n, below(s, 16));
        if (world->cr8_read) {
            value = world->cr8_read(world->board, n);
            expect(s, value < 16);
            answered(s, value);
        }
        break;
    case 1:
        if (world->apic_msr_write)
            world->apic_msr_write(world->board, n, msr, value);
        break;
    case 2:
        if (world->apic_msr_read && world->apic_msr_read(world->board, n, msr, &value))
            answered(s, value);
        break;
    case 3:
        if (world->ferr)
            world->ferr(world->board, one_in(s, 2));
        break;
    default: {
        int vector = world->intr_acknowledge(world->board, n);
        expect(s, vector < 256);
        answered(s, (uint64_t)vector);
        break;
    }
    }
    s->accesses++;
}

static inline void scribble_looks(struct scribbler *s)
{
    s->doing = "what people look at";
    struct machine *machine = s->board->machine;
    if (machine->display.draw) {
        struct surface surface = {0};
        machine->display.draw(machine->display.opaque, &surface);
        expect(s, surface.width <= 16384 && surface.height <= 16384);
        free(surface.pixels);
    }
    if (machine->describe_irqs)
        free(machine->describe_irqs(machine));
    for (struct device *d = machine->devices.first; d; d = d->next)
        if (d->type->state && one_in(s, 4))
            free(state_describe(d->type->state, d));
    if (machine->power_button && one_in(s, 4))
        machine->power_button(machine);
}

static inline void reset_machine(struct scribbler *s)
{
    s->doing = "a reset";
    s->board->reset_wanted = false;
    s->board->machine->reset(s->board->machine);
    for (int i = 0; i < BOARD_CPUS; i++)
        atomic_store(&s->board->vcpus[i]->request, 0);
    if (one_in(s, 2))
        board_set_up(s->board);
}

/* ---- All of it ---- */

static inline void scribble_rarely(struct scribbler *s)
{
    switch (below(s, 16)) {
    case 0:
        if (one_in(s, 8))
            reset_machine(s);
        break;
    case 1:
        if (one_in(s, 8))
            scribble_looks(s);
        break;
    case 2:
    case 3:
        scribble_people(s);
        break;
    case 4:
    case 5:
        scribble_isa_dma(s);
        break;
    case 6:
    case 7:
        scribble_fw_cfg(s);
        break;
    case 8:
    case 9:
        s->doing = "the loop";
        board_turn(s->board);
        break;
    case 10:
        s->doing = "the loop";
        board_settle(s->board);
        break;
    default:
        scribble_time(s);
        break;
    }
}

static inline void scribble(struct scribbler *s)
{
    if (s->accesses - s->surveyed >= SURVEY_EVERY || s->board->map_changed) {
        board_survey(s->board);
        s->surveyed = s->accesses;
    }
    uint64_t what = below(s, 1000);
    if (what < 550)
        scribble_port(s);
    else if (what < 800)
        scribble_memory(s);
    else if (what < 870)
        scribble_config(s);
    else if (what < 900)
        scribble_processor(s);
    else if (what < 940)
        scribble_tables(s);
    else if (what < 950)
        scribble_ata(s);
    else if (what < 955)
        scribble_packet(s);
    else if (what < 960)
        scribble_keyboard(s);
    else if (what < 970)
        scribble_apics(s);
    else
        scribble_rarely(s);
    while (s->steady && board_busy(s->board))
        board_settle(s->board);
    if (s->board->reset_wanted && one_in(s, 100))
        reset_machine(s);
}

static inline uint64_t scribble_setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* A board of its own, as firmware leaves it. Call watch_for_crashes after it. */
static inline void scribbler_init(struct scribbler *s, uint64_t seed)
{
    *s = (struct scribbler){.board = board_create(), .seed = seed, .doing = "the beginning"};
    s->state = seed * 0x9e3779b97f4a7c15ull + 1;
    board_set_up(s->board);
    board_survey(s->board);
}

#endif
