/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The minimal machine: RAM, one processor, one engine. Exceptions lead to a HLT at level 0 whose
 * address tells the vector; the frame is in memory, which is compared. A watchdog kicks a guest
 * that does not end.
 */
#include "blocks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "cpu/model.h"
#include "cpu/tlb.h"
#include "engine/dbt/dbt.h"
#include "engine/interp/interp.h"

/* Physical addresses, mapped one to one for the supervisor. */
enum {
    PML4 = PAGE_TABLES,
    PDPT = PAGE_TABLES + 0x1000,
    PD = PAGE_TABLES + 0x2000,
    PD32 = PAGE_TABLES + 0x4000,
    GDT = 0x7000,
    IDT = 0x8000,
    TSS = 0x9000,
};
enum { P = 1, W = 2, U = 4 };
enum {
    SEL_CODE64 = 0x08,
    SEL_CODE32 = 0x10,
    SEL_CODE16 = 0x18,
    SEL_DATA = 0x20,
    SEL_DATA16 = 0x28,
    SEL_USER = 0x28, /* of the user's, which follow in the same order: + this */
    SEL_TSS = 0x60,
};
enum { WATCH_MICROSECONDS = 5000, WATCH_TICKS = 8, WATCH_TICKS_LONG = 2000 };

struct machine {
    const struct engine_type *type;
    struct mem *mem;
    struct ram *ram;
    struct pio *pio;
    struct mem_region region;
    struct vcpu_world world;
    struct cpu_model model;
    struct engine *engine;
    struct vcpu *cpu;
    uint8_t *host;
    pthread_t watch;
    _Atomic uint64_t started; /* blocks; odd while one runs */
    _Atomic bool stop, patient;
    uint8_t image[RAM_SIZE];
};

static void no_lock(void *opaque)
{
    (void)opaque;
}

static uint64_t cr8_read(void *board, int index)
{
    (void)board;
    (void)index;
    return 0;
}

static void cr8_write(void *board, int index, uint64_t value)
{
    (void)board;
    (void)index;
    (void)value;
}

static bool no_apic_read(void *board, int index, uint32_t msr, uint64_t *value)
{
    (void)board;
    (void)index;
    (void)msr;
    *value = 0;
    return false;
}

static bool no_apic_write(void *board, int index, uint32_t msr, uint64_t value)
{
    (void)board;
    (void)index;
    (void)msr;
    (void)value;
    return false;
}

static void ferr(void *board, bool level)
{
    (void)board;
    (void)level;
}

static int64_t now(void *opaque)
{
    (void)opaque;
    return 0;
}

/* Kicks a block that runs for many ticks. */
static void *watch(void *opaque)
{
    struct machine *m = opaque;
    uint64_t seen = 0;
    unsigned ticks = 0;
    while (!atomic_load(&m->stop)) {
        usleep(WATCH_MICROSECONDS);
        uint64_t started = atomic_load(&m->started);
        ticks = started == seen && started & 1 ? ticks + 1 : 0;
        seen = started;
        if (ticks >= (atomic_load(&m->patient) ? WATCH_TICKS_LONG : WATCH_TICKS)) {
            cpu_request(m->cpu, VCPU_REQ_KICK);
            m->type->kick(m->engine, m->cpu);
        }
    }
    return NULL;
}

static void need(int rc, const struct error *err)
{
    if (!rc)
        return;
    fprintf(stderr, "x86-blocks: %s\n", err->text);
    exit(1);
}

struct machine *machine_new(const struct engine_type *type, const char *properties)
{
    struct machine *m = calloc(1, sizeof(*m));
    struct error err = {0};
    if (!m)
        abort();
    m->type = type;
    need(cpu_model_create(&m->model, "max", &err), &err);
    need(mem_create(&m->mem, &err), &err);
    need(pio_create(&m->pio, &err), &err);
    need(ram_create(&m->ram, "blocks", RAM_SIZE, &err), &err);
    m->region = (struct mem_region){
        .name = "ram", .kind = MEM_RAM, .enabled = true, .size = RAM_SIZE, .ram = m->ram};
    mem_add(m->mem, &m->region);
    m->host = ram_host(m->ram, 0);
    if (ram_host(m->ram, RAM_SIZE / PAGE_SIZE - 1) != m->host + RAM_SIZE - PAGE_SIZE)
        abort(); /* mapped in one piece */
    m->world = (struct vcpu_world){.mem = m->mem,
                                   .pio = m->pio,
                                   .a20_mask = UINT64_MAX,
                                   .lock = no_lock,
                                   .unlock = no_lock,
                                   .cr8_read = cr8_read,
                                   .cr8_write = cr8_write,
                                   .apic_msr_read = no_apic_read,
                                   .apic_msr_write = no_apic_write,
                                   .ferr = ferr,
                                   .now = now};
    if (vcpu_create(&m->cpu, 0, &m->model, &m->world))
        abort();
    need(type->create(&m->engine, m->mem, &err), &err);
    if (properties)
        need(type->configure(m->engine, properties, &err), &err);
    need(type->vcpu_attach(m->engine, m->cpu, &err), &err);
    if (pthread_create(&m->watch, NULL, watch, m))
        abort();
    return m;
}

void machine_free(struct machine *m)
{
    atomic_store(&m->stop, true);
    pthread_join(m->watch, NULL);
    m->type->vcpu_detach(m->engine, m->cpu);
    m->type->destroy(m->engine);
    vcpu_destroy(m->cpu);
    pio_destroy(m->pio);
    mem_remove(m->mem, &m->region);
    mem_destroy(m->mem);
    ram_destroy(m->ram);
    free(m);
}

const struct vcpu *machine_cpu(const struct machine *m)
{
    return m->cpu;
}

const uint8_t *machine_ram(const struct machine *m)
{
    return m->host;
}

struct ram *machine_ram_object(const struct machine *m)
{
    return m->ram;
}

/* Memory */

static uint32_t code_frame(unsigned page)
{
    return CODE_RAM + page * 2 * PAGE_SIZE;
}

/* The frame and rights of a linear page; 0: not there. */
static uint32_t page_entry(uint32_t linear)
{
    if (linear < CODE)
        return linear | P | W;
    if (linear < CODE + CODE_PAGES * PAGE_SIZE)
        return code_frame((linear - CODE) / PAGE_SIZE) | P | W | U;
    if (linear >= ALIAS && linear < ALIAS + CODE_PAGES * PAGE_SIZE)
        return code_frame((linear - ALIAS) / PAGE_SIZE) | P | W | U;
    if (linear >= SHUFFLED && linear < SHUFFLED + SHUFFLED_PAGES * PAGE_SIZE) {
        static const uint8_t frames[SHUFFLED_PAGES] = {1, 0, 2, 2, 1};
        return code_frame(frames[(linear - SHUFFLED) / PAGE_SIZE]) | P | W | U;
    }
    if (linear < DATA || linear >= DATA + 0x10000 || linear == DATA_ABSENT)
        return 0;
    if (linear == DATA_READ_ONLY)
        return linear | P | U;
    return linear | P | W | (linear == DATA_SUPERVISOR ? 0 : U);
}

static void put_pages(uint8_t *image)
{
    store_le64(image + PML4, PDPT | P | W | U);
    store_le64(image + PDPT, PD | P | W | U);
    store_le64(image + PD, PT | P | W | U);
    store_le32(image + PD32, PT32 | P | W | U);
    for (uint32_t linear = 0; linear < RAM_SIZE; linear += PAGE_SIZE) {
        store_le64(image + PT + linear / PAGE_SIZE * 8, page_entry(linear));
        store_le32(image + PT32 + linear / PAGE_SIZE * 4, page_entry(linear));
    }
}

/* Level 3 is the PML4, 0 the page table. */
static uint64_t table_index(uint64_t linear, unsigned level)
{
    return linear >> (12 + 9 * level) & 511;
}

static void put_more_pages(uint8_t *image, uint64_t linear)
{
    uint32_t tables[] = {PML4, MORE_TABLES, MORE_TABLES + 0x1000, MORE_TABLES + 0x2000};
    for (unsigned i = 0; i < ALSO_PAGES; i++, linear += PAGE_SIZE) {
        uint64_t last = table_index(linear, 0);
        for (unsigned level = 3; level > 0; level--)
            store_le64(image + tables[3 - level] + table_index(linear, level) * 8,
                       tables[4 - level] | P | W | U);
        store_le64(image + tables[3] + last * 8, (DATA + i * PAGE_SIZE) | P | W | U);
        if (last == 511)
            return; /* the next would need another table */
    }
}

static uint64_t descriptor(uint32_t base, uint32_t limit, uint64_t access)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (access & 0xff) << 40 |
           (uint64_t)(limit >> 16 & 15) << 48 | (access >> 12 & 15) << 52 |
           (uint64_t)(base >> 24) << 56;
}

static void put_descriptors(uint8_t *image, bool wide, bool returning)
{
    for (unsigned user = 0; user < 2; user++) {
        uint8_t *at = image + GDT + user * SEL_USER;
        uint64_t dpl = user ? 0x60 : 0;
        store_le64(at + SEL_CODE64, descriptor(0, 0xfffff, 0xa09b | dpl));
        store_le64(at + SEL_CODE32, descriptor(0, 0xfffff, 0xc09b | dpl));
        store_le64(at + SEL_CODE16, descriptor(CODE, 0xffff, 0x009b | dpl));
        store_le64(at + SEL_DATA, descriptor(0, 0xfffff, 0xc093 | dpl));
        store_le64(at + SEL_DATA16, descriptor(DATA, 0xffff, 0x0093 | dpl));
    }
    store_le64(image + GDT + SEL_TSS, descriptor(TSS, 0x67, 0x8b));
    store_le16(image + TSS + 0x66, 0x68);
    if (wide) {
        store_le64(image + TSS + 4, KERNEL_STACK);
        store_le64(image + TSS + 0x24, KERNEL_STACK); /* IST 1 */
    } else {
        store_le32(image + TSS + 4, KERNEL_STACK);
        store_le32(image + TSS + 8, SEL_DATA);
    }
    for (unsigned vector = 0; vector < 256; vector++) {
        uint64_t handler = HANDLERS + vector;
        uint64_t dpl = vector == VEC_BP || vector == VEC_OF || vector == 0x80 ? 3 : 0;
        uint64_t gate = (handler & 0xffff) | (0x8e00 | dpl << 13) << 32 |
                        (uint64_t)(wide ? SEL_CODE64 : SEL_CODE32) << 16;
        if (wide) {
            store_le64(image + IDT + vector * 16, gate | 1ull << 32);
            store_le64(image + IDT + vector * 16 + 8, 0);
        } else {
            store_le64(image + IDT + vector * 8, gate);
        }
        image[HANDLERS + vector] = 0xf4; /* hlt */
    }
    if (returning)
        store_le16(image + HANDLERS + RETURNING_VECTOR, wide ? 0xcf48 : 0xf4cf);
}

static void put_code(const struct program *p, uint8_t *image)
{
    uint8_t bytes[CODE_PAGES * PAGE_SIZE];
    unsigned length = program_layout(p, bytes, sizeof(bytes));
    for (unsigned page = 0; page < CODE_PAGES; page++) {
        uint32_t linear = CODE + page * PAGE_SIZE;
        uint8_t *frame = image + (p->unpaged ? linear : code_frame(page));
        memset(frame, 0xcc, PAGE_SIZE);
        for (uint32_t i = 0; i < PAGE_SIZE; i++)
            if (linear + i - p->entry < length)
                frame[i] = bytes[linear + i - p->entry];
    }
}

/* Every word of the stack and of the table leads to a piece: returns without calls go on. */
static void put_pointers(const struct program *p, uint8_t *image, struct rng *rng)
{
    uint32_t at[INSTRUCTIONS], starts[INSTRUCTIONS];
    unsigned count = 0, word = p->mode == LONG64 ? 8 : 4;
    program_addresses(p, at);
    for (unsigned i = 0; i < p->count; i++)
        if (p->insn[i].starts)
            starts[count++] = at[i];
    for (uint32_t to = TABLE; count && to < STACK_END; to += word) {
        if (to == TABLE + TABLE_ENTRIES * 8)
            to = STACK;
        uint64_t r = rng_next(rng);
        enum mapping by = r % 8 == 0 ? BY_ALIAS : r % 8 < 3 ? BY_SHUFFLED : BY_CODE;
        store_le(image + to, program_mapped(starts[(r >> 8) % count], by), word);
    }
}

/* Pages that are as they shall be stay: an engine keeps what it has of their code. */
static void put_memory(struct machine *m, const struct program *p)
{
    struct rng rng = {.state = p->seed};
    memset(m->image, 0, RAM_SIZE);
    put_pages(m->image);
    if (p->also_at)
        put_more_pages(m->image, p->also_at);
    put_descriptors(m->image, p->mode <= COMPAT16, p->flow);
    for (unsigned at = DATA; at < STACK_END; at += 64)
        store_le64(m->image + at, rng_next(&rng));
    if (p->flow)
        put_pointers(p, m->image, &rng);
    put_code(p, m->image);
    for (uint32_t page = 0; page < RAM_SIZE; page += PAGE_SIZE)
        if (memcmp(m->host + page, m->image + page, PAGE_SIZE) != 0)
            mem_write(m->mem, page, m->image + page, PAGE_SIZE);
}

bool machine_byte(const struct machine *m, uint64_t linear, uint8_t *byte)
{
    if (linear >= RAM_SIZE)
        return false;
    uint32_t entry = page_entry((uint32_t)linear & ~(uint32_t)(PAGE_SIZE - 1));
    *byte = m->host[(entry & ~(uint32_t)(PAGE_SIZE - 1)) + linear % PAGE_SIZE];
    return entry & P;
}

bool machine_tables_written(const struct machine *m)
{
    const uint64_t bits = UINT64_C(0x6000000060); /* accessed, dirty */
    for (uint32_t at = PAGE_TABLES; at < PAGE_TABLES_END; at += 8)
        if ((load_le64(m->host + at) ^ load_le64(m->image + at)) & ~bits)
            return true;
    return false;
}

/* Registers */

static struct segment load(const struct machine *m, uint16_t selector)
{
    uint64_t raw = load_le64(m->image + GDT + (selector & ~7u));
    struct segment s = {.selector = selector};
    s.access = (uint32_t)(raw >> 40) & 0xf0ff;
    s.limit = (uint32_t)(raw & 0xffff) | ((uint32_t)(raw >> 32) & 0xf0000);
    if (s.access & SEG_G)
        s.limit = s.limit << 12 | 0xfff;
    s.base = (raw >> 16 & 0xffffff) | (raw >> 56) << 24;
    return s;
}

static void put_segments(struct machine *m, const struct program *p)
{
    struct vcpu *cpu = m->cpu;
    static const uint16_t codes[BLOCK_MODES] = {SEL_CODE64, SEL_CODE32, SEL_CODE16, SEL_CODE32,
                                                SEL_CODE16};
    bool narrow = p->mode == COMPAT16 || p->mode == LEGACY16;
    uint16_t level = p->user ? SEL_USER | 3 : 0;
    cpu->seg[SEG_CS] = load(m, codes[p->mode] + level);
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++)
        if (seg != SEG_CS)
            cpu->seg[seg] = load(m, (narrow ? SEL_DATA16 : SEL_DATA) + level);
    if (p->mode == LONG64) {
        cpu->seg[SEG_FS].base = p->fs_base ? p->fs_base : DATA;
        cpu->seg[SEG_GS].base = DATA + 0x1000;
    }
    cpu->seg[SEG_TR] = load(m, SEL_TSS);
    cpu->seg[SEG_LDTR] = (struct segment){.access = SEG_UNUSABLE};
    cpu->gdtr = (struct table_register){GDT, SEL_TSS + 15};
    cpu->idtr = (struct table_register){IDT, p->mode <= COMPAT16 ? 0xfff : 0x7ff};
    cpu->cpl = p->user ? 3 : 0;
}

static void put_unit(struct vcpu *cpu, uint64_t seed)
{
    struct fpu_state *fpu = &cpu->fpu;
    struct rng rng = {.state = ~seed};
    fpu->xcr0 = XSTATE_X87 | XSTATE_SSE;
    if (!one_in(&rng, 8))
        fpu->xcr0 |= XSTATE_AVX;
    if (fpu->xcr0 & XSTATE_AVX && one_in(&rng, 2) && cpu_model_has(cpu->model, CPU_AVX512F))
        fpu->xcr0 |= XSTATE_AVX512;
    if (one_in(&rng, 4))
        fpu->mxcsr = MXCSR_RESET & ~(uint32_t)(rng_next(&rng) & 0x1f80);
    if (one_in(&rng, 4))
        fpu->fcw = (uint16_t)(0x37f & ~(rng_next(&rng) & 0x33f));
    /* What XCR0 does not have is never seen, and engines keep it or not. */
    bool all = fpu->xcr0 & XSTATE_AVX512;
    unsigned width = all ? 64 : fpu->xcr0 & XSTATE_AVX ? 32 : 16;
    for (unsigned i = 0; all && i < 8; i++)
        fpu->opmask[i] = rng_next(&rng);
    for (unsigned i = 0; i < (all ? 32 : 16); i++)
        for (unsigned at = 0; at < width; at += 8) {
            double number = (double)(int32_t)rng_next(&rng) / 256;
            uint64_t bits = rng_next(&rng);
            memcpy(fpu->zmm[i] + at, one_in(&rng, 2) ? (void *)&number : (void *)&bits, 8);
        }
    fpu_set_short_tags(fpu, one_in(&rng, 2) ? 0 : 0x7e);
    for (unsigned i = 0; i < 8; i++) {
        long double number = (long double)(int32_t)rng_next(&rng) / 16;
        memcpy(fpu->st[i], &number, 10);
    }
}

static void put_state(struct machine *m, const struct program *p)
{
    struct vcpu *cpu = m->cpu;
    bool wide = p->mode <= COMPAT16;
    cpu_reset(cpu);
    cpu->tsc_offset = 0;
    memcpy(cpu->gpr, p->gpr, sizeof(p->gpr));
    cpu->cr0 = CR0_PE | (p->unpaged ? 0 : CR0_PG) | CR0_ET | CR0_NE | CR0_MP | p->cr0;
    cpu->cr3 = wide ? PML4 : PD32;
    cpu->cr4 =
        (wide ? CR4_PAE : 0) | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE | p->cr4;
    cpu->efer = wide ? EFER_LMA | EFER_LME | EFER_NXE | EFER_SCE : 0;
    cpu->star = UINT64_C(0x001b000800000000);
    cpu->lstar = HANDLERS + 0xff; /* a HLT */
    cpu->sfmask = p->seed & 1 ? 0x47ffd5 : p->seed >> 8 & 0x47ffd5;
    put_segments(m, p);
    put_unit(cpu, p->seed);
    cpu_set_rflags(cpu, p->flags);
    cpu->rip = p->entry - (uint32_t)cpu->seg[SEG_CS].base;
    cpu_unrequest(cpu, VCPU_REQ_KICK);
    m->type->sync_in(m->engine, cpu);
}

struct vcpu *machine_prepare(struct machine *m, const struct program *p)
{
    put_memory(m, p);
    put_state(m, p);
    return m->cpu;
}

enum outcome machine_run(struct machine *m, const struct program *p, bool patient)
{
    atomic_store(&m->patient, patient);
    dbt_hot = p->hot;
    machine_prepare(m, p);
    atomic_fetch_add(&m->started, 1);
    enum vcpu_exit why = m->type->vcpu_run(m->engine, m->cpu);
    atomic_fetch_add(&m->started, 1);
    m->type->sync_out(m->engine, m->cpu);
    if (why == VCPU_EXIT_KICKED)
        return OUTCOME_ENDLESS;
    return why == VCPU_EXIT_HALTED ? OUTCOME_HALTED : OUTCOME_TRIPLE_FAULT;
}

/* Engines that are wrong */

static void not_told(struct vcpu *cpu, gpa_t gpa, unsigned length)
{
    (void)cpu;
    (void)gpa;
    (void)length;
}

/* Is not told of stores into code. */
static int stale_attach(struct engine *engine, struct vcpu *cpu, struct error *err)
{
    int rc = interp_engine.vcpu_attach(engine, cpu, err);
    if (!rc)
        ((struct vcpu_code_hook *)cpu->engine_data)->written = not_told;
    return rc;
}

/* Forgets the carry when SI is odd. */
static enum vcpu_exit wrong_run(struct engine *engine, struct vcpu *cpu)
{
    enum vcpu_exit why = interp_engine.vcpu_run(engine, cpu);
    if (cpu->gpr[RSI] & 1)
        cpu_set_rflags(cpu, cpu_rflags(cpu) ^ FLAG_CF);
    return why;
}

static void interp_detach(struct engine *engine, struct vcpu *cpu)
{
    interp_engine.vcpu_detach(engine, cpu);
}
static int interp_create(struct engine **engine, struct mem *mem, struct error *err)
{
    return interp_engine.create(engine, mem, err);
}
static int interp_attach(struct engine *engine, struct vcpu *cpu, struct error *err)
{
    return interp_engine.vcpu_attach(engine, cpu, err);
}
static void interp_destroy(struct engine *engine)
{
    interp_engine.destroy(engine);
}
static enum vcpu_exit interp_run(struct engine *engine, struct vcpu *cpu)
{
    return interp_engine.vcpu_run(engine, cpu);
}
static void interp_kick(struct engine *engine, struct vcpu *cpu)
{
    interp_engine.kick(engine, cpu);
}
static void interp_sync_out(struct engine *engine, struct vcpu *cpu)
{
    interp_engine.sync_out(engine, cpu);
}
static void interp_sync_in(struct engine *engine, struct vcpu *cpu)
{
    interp_engine.sync_in(engine, cpu);
}

static int lockstep_attach(struct engine *engine, struct vcpu *cpu, struct error *err)
{
    int rc = log_enable("lockstep", err);
    return rc ? rc : dbt_engine.vcpu_attach(engine, cpu, err);
}

static void dbt_detach(struct engine *engine, struct vcpu *cpu)
{
    dbt_engine.vcpu_detach(engine, cpu);
}
static int dbt_create(struct engine **engine, struct mem *mem, struct error *err)
{
    return dbt_engine.create(engine, mem, err);
}
static int dbt_configure(struct engine *engine, const char *properties, struct error *err)
{
    return dbt_engine.configure(engine, properties, err);
}
static void dbt_destroy(struct engine *engine)
{
    dbt_engine.destroy(engine);
}
static enum vcpu_exit dbt_run(struct engine *engine, struct vcpu *cpu)
{
    return dbt_engine.vcpu_run(engine, cpu);
}
static void dbt_kick(struct engine *engine, struct vcpu *cpu)
{
    dbt_engine.kick(engine, cpu);
}
static void dbt_sync_out(struct engine *engine, struct vcpu *cpu)
{
    dbt_engine.sync_out(engine, cpu);
}
static void dbt_sync_in(struct engine *engine, struct vcpu *cpu)
{
    dbt_engine.sync_in(engine, cpu);
}

const struct engine_type lockstep_engine = {
    .name = "lockstep",
    .create = dbt_create,
    .configure = dbt_configure,
    .destroy = dbt_destroy,
    .vcpu_attach = lockstep_attach,
    .vcpu_detach = dbt_detach,
    .vcpu_run = dbt_run,
    .kick = dbt_kick,
    .sync_out = dbt_sync_out,
    .sync_in = dbt_sync_in,
};

const struct engine_type stale_engine = {
    .name = "stale",
    .create = interp_create,
    .destroy = interp_destroy,
    .vcpu_attach = stale_attach,
    .vcpu_detach = interp_detach,
    .vcpu_run = interp_run,
    .kick = interp_kick,
    .sync_out = interp_sync_out,
    .sync_in = interp_sync_in,
};

const struct engine_type wrong_engine = {
    .name = "wrong",
    .create = interp_create,
    .destroy = interp_destroy,
    .vcpu_attach = interp_attach,
    .vcpu_detach = interp_detach,
    .vcpu_run = wrong_run,
    .kick = interp_kick,
    .sync_out = interp_sync_out,
    .sync_in = interp_sync_in,
};
