/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs one image of tests/system/ from reset in a machine of its own: 4 MiB of RAM, a reset vector,
 * a few ports, one processor and an engine. The image says what it expects and reports each
 * case as a line of TAP through port 0xe9; this program adds the plan.
 *
 *     x86-system_asm IMAGE MODEL ENGINE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "cpu/model.h"
#include "cpu/vcpu.h"
#include "engine/dbt/dbt.h"
#include "engine/interp/interp.h"

enum { LOAD = 0x8000, RAM_SIZE = MIB(4), ROM_SIZE = 0x10000 };
#define ROM_BASE 0xffff0000u
/* The first megabyte again, above 4 GiB: for page tables with wide addresses. */
#define HIGH_BASE 0x100000000ull
/* Memory that only a processor in system management mode sees, over the RAM that all others see. */
enum { SMRAM_BASE = 0xa0000, SMRAM_SIZE = 0x10000 };

/* Ports, as tests/system/common.inc has them. */
enum {
    PORT_INTR = 0xe0,      /* out: the vector of an external interrupt; 0: withdrawn */
    PORT_NMI = 0xe1,       /* out: an NMI */
    PORT_INIT = 0xe2,      /* out: INIT# */
    PORT_SMI = 0xe3,       /* out: an SMI */
    PORT_HALT_SMI = 0xe4,  /* out: an SMI as soon as the processor halts */
    PORT_HALT_INTR = 0xe5, /* out: the vector of an interrupt that follows when it halts again */
    PORT_TEXT = 0xe9,      /* out: a character of the report */
    PORT_PRESENT = 0xe8,   /* in: 0x5a, so that the image knows that it may use the above */
    PORT_EXIT = 0xf4,      /* out: the report is complete */
    PORT_LATCH = 0x100,    /* in, out: 16 bytes that keep what is written */
    PORT_COUNT = 0x120
};

struct machine {
    struct cpu_model model;
    struct vcpu_world world;
    struct ram *ram, *rom, *smram_ram;
    struct mem_region low, high, reset, smram;
    struct vcpu *cpu;
    const struct engine_type *type;
    char *properties; /* the engine's, or NULL */
    struct engine *engine;
    struct pio_range ports;
    uint8_t latch[16];
    uint64_t cr8, apic_base;
    unsigned vector;
    unsigned halt_vector; /* 0: none */
    bool halt_smi;
    bool done, line_start, case_line;
    unsigned cases, failed;
};

static void nothing(void *opaque)
{
    (void)opaque;
}

/* The interrupt line: up while the vector's class is above the task priority. */
static void update_line(struct machine *m)
{
    if (m->vector && m->vector >> 4 > m->cr8)
        cpu_request(m->cpu, VCPU_REQ_INTR);
    else
        cpu_unrequest(m->cpu, VCPU_REQ_INTR);
}

static int acknowledge(void *board, int index)
{
    struct machine *m = board;
    (void)index;
    int vector = m->vector ? (int)m->vector : -1;
    m->vector = 0;
    update_line(m);
    return vector;
}

static uint64_t cr8_read(void *board, int index)
{
    (void)index;
    return ((struct machine *)board)->cr8;
}

static void cr8_write(void *board, int index, uint64_t value)
{
    struct machine *m = board;
    (void)index;
    m->cr8 = value;
    update_line(m);
}

static bool apic_read(void *board, int index, uint32_t msr, uint64_t *value)
{
    (void)index;
    *value = ((struct machine *)board)->apic_base;
    return msr == 0x1b;
}

static bool apic_write(void *board, int index, uint32_t msr, uint64_t value)
{
    (void)index;
    ((struct machine *)board)->apic_base = value;
    return msr == 0x1b;
}

static int64_t now(void *opaque)
{
    (void)opaque;
    return 0;
}

/* Counts the cases as their lines go by: "ok ..." and "not ok ...". */
static void report(struct machine *m, char c)
{
    if (m->line_start) {
        m->case_line = c == 'o' || c == 'n';
        m->cases += m->case_line;
        m->failed += c == 'n';
    }
    m->line_start = c == '\n';
    putchar(c);
}

static uint64_t port_read(void *opaque, uint64_t port, unsigned size)
{
    struct machine *m = opaque;
    if (port == PORT_PRESENT)
        return 0x5a;
    if (port >= PORT_LATCH && port + size <= PORT_LATCH + sizeof(m->latch))
        return load_le(m->latch + (port - PORT_LATCH), size);
    return UINT64_MAX;
}

static void port_write(void *opaque, uint64_t port, uint64_t value, unsigned size)
{
    struct machine *m = opaque;
    switch (port) {
    case PORT_INTR:
        m->vector = value & 0xff;
        update_line(m);
        break;
    case PORT_NMI:
        cpu_request(m->cpu, VCPU_REQ_NMI);
        break;
    case PORT_INIT:
        cpu_request(m->cpu, VCPU_REQ_INIT);
        break;
    case PORT_SMI:
        cpu_request(m->cpu, VCPU_REQ_SMI);
        break;
    case PORT_HALT_SMI:
        m->halt_smi = true;
        break;
    case PORT_HALT_INTR:
        m->halt_vector = value & 0xff;
        break;
    case PORT_TEXT:
        report(m, (char)value);
        break;
    case PORT_EXIT:
        m->done = true;
        cpu_request(m->cpu, VCPU_REQ_KICK);
        break;
    default:
        if (port >= PORT_LATCH && port + size <= PORT_LATCH + sizeof(m->latch))
            store_le(m->latch + (port - PORT_LATCH), value, size);
    }
}

static const struct io_ops port_ops = {
    .read = port_read, .write = port_write, .min_size = 1, .max_size = 4};

static void need(int rc, const struct error *err)
{
    if (!rc)
        return;
    printf("Bail out! %s\n", err->text);
    exit(1);
}

static void add_region(struct machine *m, struct mem_region *region, const char *name,
                       enum mem_kind kind, gpa_t base, uint64_t size, struct ram *ram)
{
    *region = (struct mem_region){
        .name = name, .kind = kind, .enabled = true, .base = base, .size = size, .ram = ram};
    mem_add(m->world.mem, region);
}

static void load_image(struct machine *m, const char *path)
{
    static uint8_t image[RAM_SIZE];
    /* jmp 0:LOAD */
    static const uint8_t jump[] = {0xea, LOAD & 0xff, LOAD >> 8, 0, 0};
    FILE *file = fopen(path, "rb");
    size_t length = file ? fread(image, 1, sizeof(image) - LOAD, file) : 0;
    if (file)
        fclose(file);
    if (!length || !ram_copy_in(m->ram, LOAD, image, length) ||
        !ram_copy_in(m->rom, 0xfff0, jump, sizeof(jump))) {
        printf("Bail out! cannot read %s\n", path);
        exit(1);
    }
}

static void machine_init(struct machine *m, const char *image, const char *model)
{
    struct error err;
    need(cpu_model_create(&m->model, model, &err), &err);
    need(mem_create(&m->world.mem, &err), &err);
    need(pio_create(&m->world.pio, &err), &err);
    need(ram_create(&m->ram, "ram", RAM_SIZE, &err), &err);
    need(ram_create(&m->rom, "rom", ROM_SIZE, &err), &err);
    add_region(m, &m->low, "low", MEM_RAM, 0, RAM_SIZE, m->ram);
    add_region(m, &m->high, "high", MEM_RAM, HIGH_BASE, MIB(1), m->ram);
    add_region(m, &m->reset, "reset", MEM_ROM, ROM_BASE, ROM_SIZE, m->rom);
    need(ram_create(&m->smram_ram, "smram", SMRAM_SIZE, &err), &err);
    add_region(m, &m->smram, "smram", MEM_RAM, SMRAM_BASE, SMRAM_SIZE, m->smram_ram);
    mem_set_smm_only(m->world.mem, &m->smram, true);
    m->ports = (struct pio_range){"ports", 0, PORT_COUNT, &port_ops, m};
    need(pio_add(m->world.pio, &m->ports), &err);
    m->world.opaque = m->world.board = m;
    m->world.a20_mask = UINT64_MAX;
    m->world.lock = m->world.unlock = nothing;
    m->world.intr_acknowledge = acknowledge;
    m->world.cr8_read = cr8_read;
    m->world.cr8_write = cr8_write;
    m->world.apic_msr_read = apic_read;
    m->world.apic_msr_write = apic_write;
    m->world.now = now;
    m->apic_base = 0xfee00900;
    m->line_start = true;
    need(vcpu_create(&m->cpu, 0, &m->model, &m->world), &err);
    need(m->type->create(&m->engine, m->world.mem, &err), &err);
    if (m->properties)
        need(m->type->configure(m->engine, m->properties, &err), &err);
    need(m->type->vcpu_attach(m->engine, m->cpu, &err), &err);
    load_image(m, image);
}

static void machine_destroy(struct machine *m)
{
    m->type->vcpu_detach(m->engine, m->cpu);
    m->type->destroy(m->engine);
    vcpu_destroy(m->cpu);
    pio_remove(m->world.pio, &m->ports);
    pio_destroy(m->world.pio);
    mem_remove(m->world.mem, &m->smram);
    mem_remove(m->world.mem, &m->reset);
    mem_remove(m->world.mem, &m->high);
    mem_remove(m->world.mem, &m->low);
    mem_destroy(m->world.mem);
    ram_destroy(m->smram_ram);
    ram_destroy(m->rom);
    ram_destroy(m->ram);
}

/* HLT: what the image has asked for, if anything. */
static bool wake(struct machine *m)
{
    if (m->halt_smi) {
        m->halt_smi = false;
        cpu_request(m->cpu, VCPU_REQ_SMI);
        return true;
    }
    if (!m->halt_vector)
        return false;
    m->vector = m->halt_vector;
    m->halt_vector = 0;
    update_line(m);
    return true;
}

/* The translator translates what runs for the first time here; lockstep has it compared with the
 * interpreter block by block. Properties may follow, as in "dbt,bmi2=off". Where the host lacks
 * what it takes, the test is skipped. */
static bool choose_engine(struct machine *m, char *name)
{
    m->properties = name;
    strsep(&m->properties, ",");
    m->type = &interp_engine;
    if (strcmp(name, "interp") == 0)
        return !m->properties;
    m->type = &dbt_engine;
    dbt_hot = 1;
    struct error err;
    if (strcmp(name, "lockstep") == 0)
        need(log_enable("lockstep", &err), &err);
    else if (strcmp(name, "dbt") != 0)
        return false;
    if (dbt_engine.usable(&err)) {
        printf("1..0 # SKIP the translator: %s\n", err.text);
        exit(0);
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct machine m;
    if (argc != 4 || !choose_engine(&m, argv[3])) {
        fprintf(stderr, "usage: %s IMAGE MODEL interp|dbt[,PROPERTY=off...]|lockstep[,...]\n",
                argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* what was reported before a hang */
    machine_init(&m, argv[1], argv[2]);
    while (!m.done) {
        enum vcpu_exit why = m.type->vcpu_run(m.engine, m.cpu);
        if (why == VCPU_EXIT_TRIPLE_FAULT) {
            /* The image finds its memory as it was and knows whether it meant this. */
            cpu_reset(m.cpu);
            m.type->sync_in(m.engine, m.cpu);
        } else if (why == VCPU_EXIT_HALTED && wake(&m)) {
            continue;
        } else if (why != VCPU_EXIT_KICKED) {
            printf("Bail out! the processor stopped at %llx, halted or in error\n",
                   (unsigned long long)m.cpu->rip);
            m.failed++;
            break;
        }
    }
    printf("1..%u\n", m.cases);
    machine_destroy(&m);
    return m.failed != 0;
}
