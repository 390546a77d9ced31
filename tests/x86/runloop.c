/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The interpreter's run loop and its code cache: interrupts come when they may; what is kept of
 * code stays bounded, and is what memory holds. Small programs in real mode, at 0000:1000.
 */
#include "unit/cpu_bench.h"

#include "engine/interp/internal.h"

enum { START = 0x1000 };

struct machine {
    struct bench *bench;
    struct engine *engine;
    struct pio_range ports;
    unsigned dead_blocks; /* at the last OUT */
};

static void count_dead(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct machine *m = opaque;
    (void)offset;
    (void)value;
    (void)size;
    m->dead_blocks = 0;
    for (const struct block *block = interp_vcpu(m->bench->cpu)->dead; block; block = block->next)
        m->dead_blocks++;
}

static uint64_t read_nothing(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque;
    (void)offset;
    (void)size;
    return 0;
}

static const struct io_ops port_ops = {.read = read_nothing, .write = count_dead};

static void machine_init(struct machine *m, const uint8_t *program, size_t size)
{
    struct error err;
    *m = (struct machine){.bench = bench_new("max"), .ports = {"all", 0, 0xfff0, &port_ops, m}};
    struct bench *b = m->bench;
    assert_int_equal(pio_create(&b->world.pio, &err), 0);
    assert_int_equal(pio_add(b->world.pio, &m->ports), 0);
    assert_int_equal(interp_engine.create(&m->engine, b->world.mem, &err), 0);
    assert_int_equal(interp_engine.vcpu_attach(m->engine, b->cpu, &err), 0);
    assert_true(ram_copy_in(b->ram, START, program, size));
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++)
        cpu_load_segment_real(b->cpu, (enum segment_register)seg, 0);
    b->cpu->gpr[RSP] = 0x800;
    b->cpu->rip = START;
    interp_engine.sync_in(m->engine, b->cpu);
}

static void machine_run(struct machine *m)
{
    assert_int_equal(interp_engine.vcpu_run(m->engine, m->bench->cpu), VCPU_EXIT_HALTED);
}

static void machine_end(struct machine *m)
{
    struct bench *b = m->bench;
    interp_engine.vcpu_detach(m->engine, b->cpu);
    interp_engine.destroy(m->engine);
    pio_remove(b->world.pio, &m->ports);
    pio_destroy(b->world.pio);
    bench_free(b);
}

/* Two pages that jump to each other, one overwriting the other's code: blocks die without the run
 * loop being asked, and must not heap up until an interrupt comes. */
static void dead_blocks_are_freed(void **state)
{
    static const uint8_t program[] = {
        0xb9, 0xff, 0xff,             /* mov cx, 0xffff */
        0xc6, 0x06, 0x00, 0x20, 0x40, /* mov byte [0x2000], 0x40: inc ax */
        0xe9, 0xf5, 0x0f,             /* jmp 0x2000 */
    };
    static const uint8_t other[] = {
        0x40,                   /* inc ax */
        0x49,                   /* dec cx */
        0x0f, 0x85, 0xfd, 0xef, /* jnz 0x1003 */
        0xe6, 0x10,             /* out 0x10, al */
        0xf4,                   /* hlt */
    };
    struct machine m;
    (void)state;
    machine_init(&m, program, sizeof(program));
    assert_true(ram_copy_in(m.bench->ram, 0x2000, other, sizeof(other)));
    m.dead_blocks = 1000;
    machine_run(&m);
    assert_int_equal((uint16_t)m.bench->cpu->gpr[RAX], 0xffff);
    assert_true(m.dead_blocks < 10);
    machine_end(&m);
}

/* Enters 53,000 runs of instructions at every byte: more than the cache may keep. */
static void enter_everywhere(struct machine *m)
{
    static const uint8_t program[] = {
        0xbd, 0x06, 0x10,       /* mov bp, 0x1006 */
        0xbf, 0x00, 0x20,       /* mov di, 0x2000 */
        0x47,                   /* inc di */
        0x81, 0xff, 0x00, 0xf0, /* cmp di, 0xf000 */
        0x73, 0x02,             /* jae + 2 */
        0xff, 0xe7,             /* jmp di */
        0xf4,                   /* hlt */
    };
    uint8_t nops[64];
    machine_init(m, program, sizeof(program));
    memset(nops, 0x90, sizeof(nops));
    store_le16(nops + 62, 0xe5ff); /* jmp bp */
    for (unsigned at = 0x2000; at <= 0xf000; at += sizeof(nops))
        assert_true(ram_copy_in(m->bench->ram, at, nops, sizeof(nops)));
}

static void limit(void **state)
{
    struct machine m;
    (void)state;
    enter_everywhere(&m);
    machine_run(&m);
    const struct interp_vcpu *in = interp_vcpu(m.bench->cpu);
    assert_true(in->statistics.blocks_made > 0xd000);
    /* One for the first memory map, and one each time the limit was reached. */
    assert_in_range(in->statistics.flushes, 2, 4);
    assert_true(in->code_bytes < CODE_LIMIT);
    machine_end(&m);
}

/* As the translator uses the cache: what has not been run for long goes, what runs stays. */
static void cold_code_goes(void **state)
{
    struct machine m;
    (void)state;
    enter_everywhere(&m);
    struct interp_vcpu *in = interp_vcpu(m.bench->cpu);
    in->outer = &m;
    cpu_request(m.bench->cpu, VCPU_REQ_ENGINE); /* nothing is tied */
    machine_run(&m);
    assert_int_equal(in->statistics.flushes, 1);
    assert_true(in->statistics.cold_dropped > 0xb000);
    assert_in_range(in->statistics.blocks_made, 0xd001, 0xd010);
    assert_in_range(in->queue_bytes, OPS_LIMIT / 2, OPS_LIMIT + 2 * BLOCK_OPS * sizeof(struct op));
    assert_true(in->code_bytes < 2 * OPS_LIMIT);
    size_t bytes = 0;
    for (const struct block *block = in->queue_first; block; block = block->next) {
        assert_ptr_equal(cache_find(in, block->page->gpa | block->offset, block->mode), block);
        bytes += sizeof(*block) + block->op_count * sizeof(struct op);
    }
    assert_int_equal(bytes, in->queue_bytes);
    machine_end(&m);
}

/* A block whose ops were given back has them again when it runs, if its code is still the same. */
static void ops_are_made_anew(void **state)
{
    static const uint8_t program[] = {
        0x40, /* inc ax */
        0xf4, /* hlt */
    };
    static const uint8_t other[] = {
        0x40, /* inc ax */
        0x40, /* inc ax */
        0xf4, /* hlt */
    };
    struct machine m;
    (void)state;
    machine_init(&m, program, sizeof(program));
    struct interp_vcpu *in = interp_vcpu(m.bench->cpu);
    machine_run(&m);
    for (unsigned round = 0; round < 2; round++) {
        m.bench->cpu->rip = START;
        m.bench->cpu->halted = false;
        struct block *block = cache_give_back(in, run_lookup(m.bench->cpu));
        assert_false(block->has_ops);
        assert_int_equal(in->queue_bytes, 0);
        assert_ptr_equal(cache_find(in, START, block->mode), block);
        if (round == 1) {
            in->anew_block = NULL; /* as if others had run since */
            assert_true(ram_copy_in(m.bench->ram, START, other, sizeof(other)));
        }
        machine_run(&m);
    }
    assert_int_equal(m.bench->cpu->gpr[RAX], 1 + 1 + 2);
    assert_int_equal(in->statistics.ops_made_anew, 1);
    assert_int_equal(in->statistics.blocks_made, 2);
    assert_null(in->anew_block);
    machine_end(&m);
}

/* Blocks without ops move; what led to them leads to where they are. Those that got no translation
 * go when cache_drop_bare says so, and only those. */
static void bare_blocks_go(void **state)
{
    enum { COUNT = 200 };
    uint8_t nops[COUNT + 1];
    struct machine m;
    (void)state;
    memset(nops, 0x90, sizeof(nops));
    nops[COUNT] = 0xf4; /* hlt */
    machine_init(&m, nops, sizeof(nops));
    struct vcpu *cpu = m.bench->cpu;
    struct interp_vcpu *in = interp_vcpu(cpu);
    machine_run(&m);
    for (unsigned i = 0; i < COUNT; i++) {
        cpu->rip = START + i;
        struct block *block = run_lookup(cpu);
        assert_non_null(block);
        if (i & 1) {
            block = cache_give_back(in, block);
            assert_ptr_equal(run_lookup(cpu), block);
        }
    }
    size_t before = in->code_bytes;
    cache_drop_bare(in);
    assert_int_equal(in->statistics.bare_dropped, COUNT / 2);
    assert_int_equal(in->code_bytes, before - COUNT / 2 * offsetof(struct block, before));
    for (unsigned i = 0; i < COUNT; i++) {
        const struct block *block = cache_find(in, START + i, CODE_16);
        assert_int_equal(block == NULL, i & 1);
        assert_true(!block || (block->has_ops && block->offset == (START + i) % PAGE_SIZE));
    }
    cpu->rip = START + 1;
    cpu->halted = false;
    machine_run(&m);
    machine_end(&m);
}

/* An instruction that is run by itself is the one that is there, whatever was there before. */
static void steps_follow_memory(void **state)
{
    static const uint8_t program[] = {
        0xb8, 0x34, 0x12, /* mov ax, 0x1234 */
        0x40,             /* inc ax */
    };
    static const uint8_t last[] = {0xb8, 0x34}; /* on the page's end, and the page behind: */
    static const uint8_t behind[] = {0x12};
    struct machine m;
    (void)state;
    machine_init(&m, program, sizeof(program));
    struct interp_vcpu *in = interp_vcpu(m.bench->cpu);
    struct vcpu *cpu = m.bench->cpu;
    cpu_take_view(cpu);
    run_careful(cpu);
    assert_int_equal(cpu->gpr[RAX], 0x1234);
    run_careful(cpu);
    assert_int_equal(cpu->gpr[RAX], 0x1235);
    assert_int_equal(in->statistics.steps_made, 2);
    cpu->rip = START;
    run_careful(cpu);
    assert_int_equal(in->statistics.steps_made, 2);
    assert_true(ram_copy_in(m.bench->ram, START + 2, "\x56", 1));
    cpu->rip = START;
    run_careful(cpu);
    assert_int_equal(cpu->gpr[RAX], 0x5634);
    assert_int_equal(in->statistics.steps_made, 3);
    assert_int_equal(in->statistics.blocks_made, 0);
    assert_true(ram_copy_in(m.bench->ram, 0x1ffe, last, sizeof(last)));
    assert_true(ram_copy_in(m.bench->ram, 0x2000, behind, sizeof(behind)));
    cpu->rip = 0x1ffe;
    run_careful(cpu);
    assert_int_equal(cpu->gpr[RAX], 0x1234);
    assert_int_equal(cpu->rip, 0x2001);
    assert_int_equal(in->statistics.blocks_made, 1);
    assert_int_equal(cpu->icount, 5);
    machine_end(&m);
}

/* What could not be decoded hangs on every byte that was looked at, though the instruction counts
 * for one byte: here the second byte, in the next 64-byte piece, makes it valid. */
static void undecodable_is_forgotten(void **state)
{
    static const uint8_t program[] = {
        0xff, 0x26, 0x00, 0x05, /* jmp [0x500] */
    };
    /* At 0x2010: the handler of #UD puts C0 behind the FF at 0x20bf (inc ax) and returns. */
    static const uint8_t handler[] = {
        0xc6, 0x06, 0xc0, 0x20, 0xc0, /* mov byte [0x20c0], 0xc0 */
        0x43,                         /* inc bx */
        0x80, 0xfb, 0x02,             /* cmp bl, 2 */
        0x74, 0x01,                   /* je + 1 */
        0xcf,                         /* iret */
        0xf4,                         /* hlt */
    };
    static const uint8_t undecodable[] = {0xff, 0xff, 0xf4};
    struct machine m;
    (void)state;
    machine_init(&m, program, sizeof(program));
    struct bench *b = m.bench;
    bench_poke(b, 0x500, 0x20bf, 2);
    bench_poke(b, 6 * 4, 0x3010, 4);
    assert_true(ram_copy_in(b->ram, 0x3010, handler, sizeof(handler)));
    assert_true(ram_copy_in(b->ram, 0x20bf, undecodable, sizeof(undecodable)));
    machine_run(&m);
    assert_int_equal((uint16_t)b->cpu->gpr[RBX], 1);
    assert_int_equal((uint16_t)b->cpu->gpr[RAX], 1);
    machine_end(&m);
}

/* A fault in the midst of a block: what did not run was not counted. */
static void instructions_counted(void **state)
{
    static const uint8_t program[] = {
        0x90, 0x90, 0x90, /* nop */
        0x0f, 0x0b,       /* ud2 */
    };
    static const uint8_t fault[] = {
        0x31, 0xd2,       /* xor dx, dx */
        0xf7, 0xf2,       /* div dx: #DE */
        0x90, 0x90, 0x90, /* nop */
    };
    struct machine m;
    (void)state;
    machine_init(&m, program, sizeof(program));
    struct bench *b = m.bench;
    bench_poke(b, 6 * 4, 0x2000, 4);
    bench_poke(b, 0 * 4, 0x2100, 4);
    bench_poke(b, 0x2100, 0xf4, 1); /* hlt */
    assert_true(ram_copy_in(b->ram, 0x2000, fault, sizeof(fault)));
    machine_run(&m);
    assert_int_equal(b->cpu->icount, 3 + 1 + 1);
    machine_end(&m);
}

static int acknowledge(void *opaque, int index)
{
    struct bench *b = opaque;
    (void)index;
    cpu_unrequest(b->cpu, VCPU_REQ_INTR);
    return 0x40;
}

/* An interrupt that waits while IF is off is taken when POPF, STI or IRET lets it, and not before.
 */
static void interrupt_waits(void **state)
{
    static const uint8_t program[] = {
        0xb9, 0xe8, 0x03,       /* mov cx, 1000 */
        0xe2, 0xfe,             /* loop $ */
        0x89, 0x1e, 0x00, 0x05, /* mov [0x500], bx: none so far */
    };
    static const struct {
        uint8_t bytes[12];
        unsigned length;
    } ways[] = {
        {{0x68, 0x02, 0x02, 0x9d}, 4},                               /* push 0x202; popf */
        {{0xfb, 0x90}, 2},                                           /* sti; nop */
        {{0x68, 0x02, 0x02, 0x6a, 0x00, 0x68, 0x00, 0x20, 0xcf}, 9}, /* iret to 0:2000 */
    };
    static const uint8_t end[] = {0x89, 0x1e, 0x02,
                                  0x05, 0xfa, 0xf4}; /* mov [0x502], bx; cli; hlt */
    static const uint8_t handler[] = {0x43, 0xcf};   /* inc bx; iret */
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(ways); i++) {
        struct machine m;
        machine_init(&m, program, sizeof(program));
        struct bench *b = m.bench;
        b->world.intr_acknowledge = acknowledge;
        unsigned at = START + sizeof(program);
        assert_true(ram_copy_in(b->ram, at, ways[i].bytes, ways[i].length));
        assert_true(ram_copy_in(b->ram, at + ways[i].length, end, sizeof(end)));
        assert_true(ram_copy_in(b->ram, 0x2000, end, sizeof(end)));
        assert_true(ram_copy_in(b->ram, 0x3000, handler, sizeof(handler)));
        bench_poke(b, 0x40 * 4, 0x3000, 4);
        bench_poke(b, 0x500, 0xeeee, 2);
        cpu_request(b->cpu, VCPU_REQ_INTR);
        machine_run(&m);
        assert_int_equal(bench_peek(b, 0x500, 2), 0);
        assert_int_equal(bench_peek(b, 0x502, 2), 1);
        machine_end(&m);
    }
}

/* The first 64 KiB of RAM again, at another physical address. */
enum { ALIAS = 0x80000, CALLED = 0x2000 };

static void alias_init(struct machine *m, struct mem_region *alias, const uint8_t *program,
                       size_t size)
{
    static const uint8_t called[] = {0x40, 0xc3}; /* inc ax; ret */
    machine_init(m, program, size);
    *alias = (struct mem_region){.name = "alias",
                                 .kind = MEM_RAM,
                                 .enabled = true,
                                 .priority = 1,
                                 .base = ALIAS,
                                 .size = 0x10000,
                                 .ram = m->bench->ram};
    mem_add(m->bench->world.mem, alias);
    assert_true(ram_copy_in(m->bench->ram, CALLED, called, sizeof(called)));
}

static void alias_end(struct machine *m, struct mem_region *alias)
{
    mem_remove(m->bench->world.mem, alias);
    machine_end(m);
}

/* A store through another physical address of the same RAM changes the code too, though its page
 * was in the TLB as writable before there was code. */
static void store_by_alias(void **state)
{
    static const uint8_t program[] = {
        0xb8, 0x00, 0x80,                   /* mov ax, 0x8000 */
        0x8e, 0xc0,                         /* mov es, ax */
        0x26, 0xc6, 0x06, 0x00, 0x20, 0x40, /* mov byte [es:0x2000], 0x40: inc ax */
        0x31, 0xc0,                         /* xor ax, ax */
        0xe8, 0xf0, 0x0f,                   /* call 0x2000 */
        0x26, 0xc6, 0x06, 0x00, 0x20, 0x48, /* mov byte [es:0x2000], 0x48: dec ax */
        0xe8, 0xe7, 0x0f,                   /* call 0x2000 */
        0xf4,                               /* hlt */
    };
    struct machine m;
    struct mem_region alias;
    (void)state;
    alias_init(&m, &alias, program, sizeof(program));
    machine_run(&m);
    assert_int_equal((uint16_t)m.bench->cpu->gpr[RAX], 0);
    alias_end(&m, &alias);
}

/* So does a device, by each address and by the RAM itself, while the processor has the code. */
static void device_writes_code(void **state)
{
    static const uint8_t program[] = {
        0x31, 0xc0,       /* xor ax, ax */
        0xe8, 0xfb, 0x0f, /* call 0x2000 */
        0xf4,             /* hlt */
        0xe8, 0xf7, 0x0f, /* call 0x2000 */
        0xf4,             /* hlt */
    };
    static const uint8_t decrement = 0x48;
    (void)state;
    for (unsigned way = 0; way < 3; way++) {
        struct machine m;
        struct mem_region alias;
        alias_init(&m, &alias, program, sizeof(program));
        struct mem *mem = m.bench->world.mem;
        machine_run(&m);
        assert_int_equal((uint16_t)m.bench->cpu->gpr[RAX], 1);
        if (way < 2) {
            assert_true(mem_write(mem, way ? ALIAS + CALLED : CALLED, &decrement, 1));
        } else {
            *(ram_host(m.bench->ram, CALLED / PAGE_SIZE)) = decrement;
            mem_ram_written(mem, m.bench->ram, CALLED, 1);
        }
        m.bench->cpu->halted = false;
        machine_run(&m);
        assert_int_equal((uint16_t)m.bench->cpu->gpr[RAX], 0);
        alias_end(&m, &alias);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_by_alias),
        cmocka_unit_test(device_writes_code),
        cmocka_unit_test(interrupt_waits),
        cmocka_unit_test(dead_blocks_are_freed),
        cmocka_unit_test(limit),
        cmocka_unit_test(cold_code_goes),
        cmocka_unit_test(ops_are_made_anew),
        cmocka_unit_test(bare_blocks_go),
        cmocka_unit_test(steps_follow_memory),
        cmocka_unit_test(undecodable_is_forgotten),
        cmocka_unit_test(instructions_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
