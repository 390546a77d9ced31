/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Random code from reset in every mode. A machine lives for some ten thousand instructions, until
 * it shuts down or for some milliseconds, then another is made from the next seed. While it lives,
 * devices answer with noise, raise interrupts, write into its memory and change its memory map; a
 * second thread kicks the engine every millisecond. Held: the engine always comes back when kicked
 * and takes the interrupts it may take; what its TLB points to is guest RAM; its code cache keeps
 * to its limit; no lock is left taken; and the sanitizers find nothing.
 *
 * usage: x86-chaos                           as a test: a short run of fixed seeds
 *        x86-chaos INSTRUCTIONS [SEED]       a long one; prints its speed
 *        x86-chaos life SEED                 one machine, for a seed that a failure named
 */
#include "x86/chaos_guest.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/log.h"
#include "cpu/model.h"
#include "engine/interp/internal.h"

#ifdef __SANITIZE_ADDRESS__
#define SHORT_RUN 3000000
#else
#define SHORT_RUN 20000000
#endif

enum {
    ROM_SIZE = 64 * 1024,
    ALIAS_SIZE = 128 * 1024,
    LIFE_KICKS = 30,     /* a life is as many milliseconds at most */
    MACHINE_LIVES = 400, /* the engine and its caches serve as many lives */
    HANG_SECONDS = 100,  /* between a kick and the engine's return */
    GUARD = 1 << 20,
    SMM_RAM = 0x60000, /* what an SMI handler finds at 0x38000 */
};

struct machine {
    struct cpu_model model;
    struct vcpu_world world;
    struct ram *ram, *rom;
    struct mem_region ram_region, alias_region, rom_region, io_region, noise_region, smm_region;
    struct pio_range ports;
    struct engine *engine;
    struct vcpu *cpu;
    struct chaos_random noise;
    uint64_t acknowledged, nmis; /* taken; raised by devices */
    int locked;
    void *guards[2];
};

/* What the second thread sees. */
struct kicker {
    pthread_t thread;
    _Atomic(struct vcpu *) cpu; /* that runs, or NULL */
    _Atomic uint64_t runs;      /* counts returns of the engine */
    _Atomic bool stop;
};

static _Atomic uint64_t seed_now; /* for what is said of a crash */

static void say_seed(void)
{
    char text[80];
    int n = snprintf(text, sizeof(text), "chaos: in the life of seed %llu\n",
                     (unsigned long long)atomic_load(&seed_now));
    if (write(2, text, (size_t)n) < 0)
        _exit(3);
}

static void on_crash(int number)
{
    say_seed();
    signal(number, SIG_DFL);
    raise(number);
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void watch_crashes(void)
{
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(say_seed);
        return;
    }
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (unsigned i = 0; i < ARRAY_LEN(numbers); i++)
        signal(numbers[i], on_crash);
}

static _Noreturn void fail_life(const char *what)
{
    fprintf(stderr, "chaos: %s\n", what);
    say_seed();
    abort();
}

static void *kick_regularly(void *opaque)
{
    struct kicker *kicker = opaque;
    uint64_t last = 0;
    unsigned waited = 0;
    while (!atomic_load(&kicker->stop)) {
        struct timespec ms = {.tv_nsec = 1000000};
        nanosleep(&ms, NULL);
        struct vcpu *cpu = atomic_load(&kicker->cpu);
        uint64_t runs = atomic_load(&kicker->runs);
        waited = cpu && runs == last ? waited + 1 : 0;
        last = runs;
        if (cpu)
            cpu_request(cpu, VCPU_REQ_KICK);
        if (waited > HANG_SECONDS * 1000)
            fail_life("the engine was kicked and does not come back");
    }
    return NULL;
}

static void world_lock(void *opaque)
{
    struct machine *m = opaque;
    m->locked++;
}

static void world_unlock(void *opaque)
{
    struct machine *m = opaque;
    m->locked--;
}

static int acknowledge(void *opaque, int index)
{
    struct machine *m = opaque;
    (void)index;
    m->acknowledged++;
    if (!chaos_one_in(&m->noise, 8))
        cpu_unrequest(m->cpu, VCPU_REQ_INTR);
    return chaos_one_in(&m->noise, 16) ? -1 : (int)chaos_below(&m->noise, 256);
}

static void ferr(void *opaque, bool level)
{
    struct machine *m = opaque;
    if (level)
        cpu_request(m->cpu, VCPU_REQ_INTR);
}

static uint64_t cr8_read(void *opaque, int index)
{
    struct machine *m = opaque;
    (void)index;
    return chaos_below(&m->noise, 16);
}

static void cr8_write(void *opaque, int index, uint64_t value)
{
    (void)opaque;
    (void)index;
    (void)value;
}

static bool msr_read(void *opaque, int index, uint32_t msr, uint64_t *value)
{
    struct machine *m = opaque;
    (void)index;
    (void)msr;
    *value = chaos_next(&m->noise);
    return value != NULL && chaos_one_in(&m->noise, 2);
}

static bool msr_write(void *opaque, int index, uint32_t msr, uint64_t value)
{
    (void)index;
    (void)msr;
    (void)value;
    struct machine *m = opaque;
    return chaos_one_in(&m->noise, 2);
}

static int64_t now(void *opaque)
{
    struct machine *m = opaque;
    return (int64_t)(chaos_next(&m->noise) >> 1);
}

/* An SMI: its handler is what lies there, or returns, or changes a byte of the saved state first.
 */
static void raise_smi(struct machine *m)
{
    struct chaos_random *r = &m->noise;
    uint8_t handler[] = {0x67, 0xc6, 0x05, 0,    0xfe,
                         3,    0,    0,    0x0f, 0xaa}; /* MOV [0x3fe00], 0; RSM */
    store_le16(handler + 3, (uint16_t)(0xfe00 + chaos_below(r, 0x200)));
    handler[7] = (uint8_t)chaos_next(r);
    unsigned skipped = chaos_one_in(r, 2) ? 8 : 0;
    if (!chaos_one_in(r, 4))
        mem_write(m->world.mem, SMM_RAM, handler + skipped, sizeof(handler) - skipped);
    cpu_request(m->cpu, VCPU_REQ_SMI);
}

/* Things that devices do to a processor, on an access to one of them. */
static void device_acts(struct machine *m)
{
    struct chaos_random *r = &m->noise;
    switch (chaos_below(r, 512)) {
    case 0:
    case 1:
    case 2:
    case 3:
        cpu_request(m->cpu, VCPU_REQ_INTR);
        break;
    case 4:
        cpu_request(m->cpu, VCPU_REQ_NMI);
        m->nmis++;
        break;
    case 5:
        raise_smi(m);
        break;
    case 6:
        if (chaos_one_in(r, 16))
            cpu_request(m->cpu, VCPU_REQ_INIT);
        break;
    case 7:
        m->world.a20_mask ^= 1ull << 20;
        cpu_request(m->cpu, VCPU_REQ_FLUSH);
        break;
    case 8: /* a new memory map costs the engine all it has decoded */
        if (chaos_one_in(r, 8))
            mem_set_enabled(m->world.mem, &m->alias_region, !m->alias_region.enabled);
        break;
    case 9:
        if (chaos_one_in(r, 8))
            mem_set_enabled(m->world.mem, &m->noise_region, !m->noise_region.enabled);
        break;
    case 10:
    case 11: { /* DMA, over code as it comes */
        uint64_t bytes[8];
        for (unsigned i = 0; i < ARRAY_LEN(bytes); i++)
            bytes[i] = chaos_next(r);
        mem_write(m->world.mem, chaos_below(r, CHAOS_RAM + 4096), bytes,
                  1 + chaos_below(r, sizeof(bytes)));
        break;
    }
    case 12:
        ram_fetch_flag(m->ram, RAM_DIRTY_DISPLAY, 0, 64, (uint64_t[1]){0});
        cpu_request(m->cpu, VCPU_REQ_FLUSH);
        break;
    default:
        break;
    }
}

static uint64_t noise_read(void *opaque, uint64_t offset, unsigned size)
{
    struct machine *m = opaque;
    (void)offset;
    (void)size;
    if (m->locked != 1)
        fail_life("a device was read without the lock");
    device_acts(m);
    return chaos_next(&m->noise);
}

static void noise_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct machine *m = opaque;
    (void)offset;
    (void)value;
    (void)size;
    if (m->locked != 1)
        fail_life("a device was written without the lock");
    device_acts(m);
}

static const struct io_ops noise_ops = {
    .read = noise_read, .write = noise_write, .min_size = 1, .max_size = 8};

/* An access beside guest RAM shall not hit something else by chance. Best effort: what is in the
 * way stays there. */
static void guard(struct machine *m)
{
    uint8_t *places[2] = {m->ram->mapping - GUARD, m->ram->mapping + m->ram->mapping_size};
    for (int i = 0; i < 2; i++)
        m->guards[i] =
            mmap(places[i], GUARD, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
}

static struct machine *machine_new(uint64_t seed)
{
    static const char *const models[] = {"max", "max", "max", "qemu64", "pentium3", "486"};
    struct machine *m = calloc(1, sizeof(*m));
    struct error err;
    assert_non_null(m);
    m->noise.state = seed;
    const char *model = models[chaos_below(&m->noise, ARRAY_LEN(models))];
    if (cpu_model_create(&m->model, model, &err))
        assert_int_equal(cpu_model_create(&m->model, "max", &err), 0);
    assert_int_equal(mem_create(&m->world.mem, &err), 0);
    assert_int_equal(pio_create(&m->world.pio, &err), 0);
    assert_int_equal(ram_create(&m->ram, "ram", CHAOS_RAM, &err), 0);
    assert_int_equal(ram_create(&m->rom, "rom", ROM_SIZE, &err), 0);
    guard(m);
    /* RAM from 0; some of it again where A20 matters; ROM at the reset vector; devices between and
     * beyond, except where nobody answers. */
    m->ram_region = (struct mem_region){
        .name = "ram", .kind = MEM_RAM, .enabled = true, .size = CHAOS_RAM, .ram = m->ram};
    m->alias_region = (struct mem_region){.name = "alias",
                                          .kind = MEM_RAM,
                                          .enabled = true,
                                          .base = MIB(1),
                                          .size = ALIAS_SIZE,
                                          .ram = m->ram,
                                          .ram_offset = CHAOS_CODE};
    m->rom_region = (struct mem_region){.name = "rom",
                                        .kind = MEM_ROM,
                                        .enabled = true,
                                        .base = 0x100000000 - ROM_SIZE,
                                        .size = ROM_SIZE,
                                        .ram = m->rom};
    m->io_region = (struct mem_region){.name = "io",
                                       .kind = MEM_IO,
                                       .enabled = true,
                                       .base = CHAOS_RAM,
                                       .size = MIB(2) + 0x234, /* ends within a page */
                                       .priority = -1,
                                       .ops = &noise_ops,
                                       .opaque = m};
    m->noise_region = (struct mem_region){.name = "noise",
                                          .kind = MEM_IO,
                                          .enabled = true,
                                          .base = MIB(16),
                                          .size = 1ull << 47,
                                          .priority = -1,
                                          .ops = &noise_ops,
                                          .opaque = m};
    /* Other memory for SMI handlers, where they begin and where their state is saved. */
    m->smm_region = (struct mem_region){.name = "smm",
                                        .kind = MEM_RAM,
                                        .enabled = true,
                                        .smm_only = true,
                                        .base = 0x38000,
                                        .size = 0x8000,
                                        .priority = 1,
                                        .ram = m->ram,
                                        .ram_offset = SMM_RAM};
    struct mem_region *regions[] = {&m->ram_region, &m->alias_region, &m->rom_region,
                                    &m->io_region,  &m->noise_region, &m->smm_region};
    for (unsigned i = 0; i < ARRAY_LEN(regions); i++)
        mem_add(m->world.mem, regions[i]);
    m->ports = (struct pio_range){"noise", 0, 0xfff0, &noise_ops, m};
    assert_int_equal(pio_add(m->world.pio, &m->ports), 0);
    m->world.opaque = m->world.board = m;
    m->world.a20_mask = UINT64_MAX;
    m->world.lock = world_lock;
    m->world.unlock = world_unlock;
    m->world.intr_acknowledge = acknowledge;
    m->world.cr8_read = cr8_read;
    m->world.cr8_write = cr8_write;
    m->world.apic_msr_read = msr_read;
    m->world.apic_msr_write = msr_write;
    m->world.ferr = ferr;
    m->world.now = now;
    assert_int_equal(vcpu_create(&m->cpu, 0, &m->model, &m->world), 0);
    assert_int_equal(interp_engine.create(&m->engine, m->world.mem, &err), 0);
    assert_int_equal(interp_engine.vcpu_attach(m->engine, m->cpu, &err), 0);
    return m;
}

static void machine_free(struct machine *m)
{
    interp_engine.vcpu_detach(m->engine, m->cpu);
    interp_engine.destroy(m->engine);
    vcpu_destroy(m->cpu);
    pio_remove(m->world.pio, &m->ports);
    pio_destroy(m->world.pio);
    struct mem_region *regions[] = {&m->ram_region, &m->alias_region, &m->rom_region,
                                    &m->io_region,  &m->noise_region, &m->smm_region};
    for (unsigned i = 0; i < ARRAY_LEN(regions); i++)
        mem_remove(m->world.mem, regions[i]);
    mem_destroy(m->world.mem);
    for (int i = 0; i < 2; i++)
        if (m->guards[i] != MAP_FAILED)
            munmap(m->guards[i], GUARD);
    ram_destroy(m->ram);
    ram_destroy(m->rom);
    free(m);
}

static bool inside(const struct ram *ram, uintptr_t host)
{
    uintptr_t first = (uintptr_t)ram->mapping;
    return host >= first && host - first <= ram->size - PAGE_SIZE &&
           (host - first) % PAGE_SIZE == 0;
}

/* Whatever an instruction can reach without asking lies in guest RAM, what it can write not in
 * ROM. */
static void check_tlb(const struct machine *m)
{
    const struct vcpu *cpu = m->cpu;
    for (unsigned mmu = 0; mmu < MMU_COUNT; mmu++)
        for (unsigned i = 0; i < TLB_ENTRIES; i++)
            for (unsigned type = ACCESS_READ; type <= ACCESS_EXEC; type++) {
                const struct tlb_entry *entry = &cpu->tlb[mmu][i];
                uint64_t tag = entry->tag[type];
                if ((tag & (PAGE_SIZE - 1)) != cpu->tlb_gen)
                    continue;
                uintptr_t host = (uintptr_t)(tag & PAGE_MASK) + entry->delta;
                if (!inside(m->ram, host) && (type == ACCESS_WRITE || !inside(m->rom, host)))
                    fail_life("the TLB points outside guest RAM");
            }
}

static void check_state(const struct machine *m)
{
    const struct vcpu *cpu = m->cpu;
    const struct interp_vcpu *in = interp_vcpu(cpu);
    if (m->locked)
        fail_life("the lock was left taken");
    if (in->code_bytes > CODE_LIMIT + MIB(1))
        fail_life("the code cache is beyond its limit");
    if (cpu->gpr[GPR_ZERO])
        fail_life("the register that is always 0 is not");
    if (cpu->cpl > 3 || (cpu_v86(cpu) && cpu_protected(cpu) && cpu->cpl != 3))
        fail_life("CPL is impossible");
    if (cpu_long_mode(cpu) && !(cpu->cr0 & CR0_PG && cpu->cr4 & CR4_PAE))
        fail_life("long mode without paging or PAE");
    if (!cpu_code64(cpu) && cpu->rip > UINT32_MAX)
        fail_life("RIP is wider than the code's mode");
}

/* Runs once, until kicked or less. False: this life is over. */
static bool run_once(struct machine *m, struct kicker *kicker)
{
    struct vcpu *cpu = m->cpu;
    uint32_t request = atomic_load(&cpu->request);
    bool other = request & (VCPU_REQ_SMI | VCPU_REQ_INIT) || cpu->shadow || cpu->pending_db;
    bool intr_due =
        request & VCPU_REQ_INTR && cpu->rflags & FLAG_IF && !other && !(request & VCPU_REQ_NMI);
    bool nmi_due = request & VCPU_REQ_NMI && !cpu->nmi_blocked && !other;
    uint64_t instructions = cpu->icount, acknowledged = m->acknowledged, nmis = m->nmis;
    atomic_store(&kicker->cpu, cpu);
    enum vcpu_exit why = interp_engine.vcpu_run(m->engine, cpu);
    atomic_store(&kicker->cpu, NULL);
    atomic_fetch_add(&kicker->runs, 1);
    check_state(m);
    bool ran = cpu->icount != instructions;
    if (ran && intr_due && m->acknowledged == acknowledged)
        fail_life("an interrupt was due and was not taken");
    if (ran && nmi_due && m->nmis == nmis && atomic_load(&cpu->request) & VCPU_REQ_NMI)
        fail_life("an NMI was due and was not taken");
    if (why == VCPU_EXIT_ERROR)
        fail_life("the engine gave up");
    if (why == VCPU_EXIT_TRIPLE_FAULT)
        return false;
    if (why != VCPU_EXIT_HALTED)
        return true;
    /* Out of HLT, if anything can do it. */
    cpu_request(cpu, cpu->rflags & FLAG_IF ? VCPU_REQ_INTR : VCPU_REQ_NMI);
    return cpu_has_work(cpu);
}

extern const uint8_t __executable_start[], etext[];

static void life_begin(struct machine *m, struct chaos_life *life, uint64_t seed)
{
    struct chaos_random *r = &life->random;
    atomic_store(&seed_now, seed);
    r->state = seed;
    m->noise.state = seed ^ 0xc4a05;
    /* Lives with page tables are shorter, so there are more of them. */
    static const uint8_t modes[] = {
        CHAOS_REAL,   CHAOS_UNREAL, CHAOS_PROT16, CHAOS_PROT32, CHAOS_PAGING, CHAOS_PAGING,
        CHAOS_PAGING, CHAOS_PAE,    CHAOS_PAE,    CHAOS_PAE,    CHAOS_V86,    CHAOS_LONG64,
        CHAOS_LONG64, CHAOS_LONG64, CHAOS_LONG64, CHAOS_COMPAT, CHAOS_COMPAT, CHAOS_COMPAT};
    life->mode = (enum chaos_mode)modes[chaos_below(r, ARRAY_LEN(modes))];
    life->user = life->mode >= CHAOS_PROT16 && chaos_one_in(r, 2);
    life->split = chaos_one_in(r, 2);
    life->spoil = 8u << chaos_below(r, 6);
    chaos_fill(life, __executable_start, (size_t)(etext - __executable_start));
    mem_write_rom(m->world.mem, m->rom_region.base, life->ram + CHAOS_CODE, ROM_SIZE);
    /* JMP FAR to somewhere in low RAM, at the reset vector. */
    uint8_t start[5] = {0xea};
    store_le16(start + 1, (uint16_t)chaos_next(r));
    store_le16(start + 3, (uint16_t)chaos_below(r, 0x7000));
    mem_write_rom(m->world.mem, 0xfffffff0, start, sizeof(start));
    chaos_idt(life);
    chaos_tss(life);
    chaos_page_tables(life);
    chaos_gdt(life);
    mem_write(m->world.mem, 0, life->ram, CHAOS_RAM);
    mem_set_enabled(m->world.mem, &m->alias_region, true);
    mem_set_enabled(m->world.mem, &m->noise_region, !chaos_one_in(r, 8));
    m->world.a20_mask = chaos_one_in(r, 8) ? ~(1ull << 20) : UINT64_MAX;
    m->cpu->icount = 0;
    atomic_store(&m->cpu->request, VCPU_REQ_MAP | VCPU_REQ_CODE);
    cpu_reset(m->cpu);
    chaos_enter(life, m->cpu);
    interp_engine.sync_in(m->engine, m->cpu);
}

struct totals {
    uint64_t instructions, lives, shutdowns;
    uint64_t by_mode[CHAOS_MODES];
};

static void life_run(struct machine *m, struct kicker *kicker, struct chaos_life *life,
                     struct totals *totals)
{
    struct vcpu *cpu = m->cpu;
    struct chaos_random *r = &life->random;
    uint64_t longest = 20000 << chaos_below(r, 5);
    bool pressed = chaos_one_in(r, 2); /* by interrupts besides those of the devices */
    bool alive = true;
    for (unsigned i = 0; alive && i < LIFE_KICKS && cpu->icount < longest; i++) {
        alive = run_once(m, kicker);
        if (pressed && chaos_one_in(r, 2))
            cpu_request(cpu, VCPU_REQ_INTR);
        if (pressed && chaos_one_in(r, 4))
            cpu_request(cpu, VCPU_REQ_NMI);
    }
    check_tlb(m);
    gpa_t gpa;
    cpu_translate(cpu, chaos_value(life), &gpa);
    free(cpu_describe(cpu));
    totals->instructions += cpu->icount;
    totals->by_mode[life->mode] += cpu->icount;
    totals->lives++;
    totals->shutdowns += !alive;
}

static void chaos(uint64_t instructions, uint64_t seed, uint64_t lives, struct totals *totals)
{
    struct kicker kicker = {0};
    struct machine *m = NULL;
    struct chaos_life *life = malloc(sizeof(*life));
    assert_non_null(life);
    watch_crashes();
    assert_int_equal(pthread_create(&kicker.thread, NULL, kick_regularly, &kicker), 0);
    while (totals->instructions < instructions && totals->lives < lives) {
        if (totals->lives % MACHINE_LIVES == 0) {
            if (m)
                machine_free(m);
            m = machine_new(seed);
        }
        life_begin(m, life, seed++);
        life_run(m, &kicker, life, totals);
    }
    atomic_store(&kicker.stop, true);
    pthread_join(kicker.thread, NULL);
    machine_free(m);
    free(life);
}

static void short_run(void **state)
{
    struct totals totals = {0};
    (void)state;
    chaos(SHORT_RUN, 1, UINT64_MAX, &totals);
    for (unsigned i = 0; i < CHAOS_MODES; i++)
        assert_true(totals.by_mode[i] > 0);
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int long_run(uint64_t instructions, uint64_t seed, uint64_t lives)
{
    struct totals totals = {0};
    double start = seconds_now();
    chaos(instructions, seed, lives, &totals);
    double seconds = seconds_now() - start;
    printf(
        "%llu instructions in %llu lives (%llu ended by a triple fault), %.0f s, %.2f million/s\n",
        (unsigned long long)totals.instructions, (unsigned long long)totals.lives,
        (unsigned long long)totals.shutdowns, seconds, (double)totals.instructions / seconds / 1e6);
    for (unsigned i = 0; i < CHAOS_MODES; i++)
        printf("%-8s %12llu\n", chaos_mode_names[i], (unsigned long long)totals.by_mode[i]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "life"))
        return long_run(UINT64_MAX, strtoull(argv[2], NULL, 0), 1);
    if (argc > 1)
        return long_run(strtoull(argv[1], NULL, 0), argc > 2 ? strtoull(argv[2], NULL, 0) : 1,
                        UINT64_MAX);
    const struct CMUnitTest tests[] = {cmocka_unit_test(short_run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
