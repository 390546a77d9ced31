/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The side of an engine of ours: a processor at privilege level 3, in long mode as Linux sets it
 * up, with the sandbox's pages. Every vector's handler, at level 0, is a HLT whose address tells
 * the vector.
 */
#include "case.h"

#include <cpuid.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cpu/model.h"

/* Guest-physical addresses; KERNEL is where they are seen at level 0. */
enum {
    KERNEL = 0x20000000,
    PML4 = 0x1000,
    PDPT = 0x2000,
    PAGE_DIRECTORY = 0x3000,
    PAGE_TABLE = 0x4000,
    GDT = 0x5000,
    LDT = 0x5800,
    TSS = 0x6000,
    IDT = 0x7000,
    HANDLERS = 0x8000,
    KERNEL_STACK = 0xa000,
    CODE_RAM = 0x10000,
    DATA_RAM = 0x20000,
    RAM_SIZE = 0x40000,
};
enum { GDT_SIZE = 0x80 };
enum { PAGE_PRESENT = 1, PAGE_WRITABLE = 2, PAGE_USER = 4, PAGE_LARGE = 0x80 };
#define PAGE_NX (1ull << 63)

static struct {
    const struct engine_type *type;
    struct mem *mem;
    struct ram *ram;
    struct mem_region region;
    struct vcpu_world world;
    struct cpu_model model;
    struct engine *engine;
    struct vcpu *cpu;
    uint8_t *host;
} guest;

static void no_lock(void *opaque)
{
    (void)opaque;
}

static void put64(uint32_t address, uint64_t value)
{
    store_le64(guest.host + address, value);
}

static void build_tables(void)
{
    put64(PML4, PDPT | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER);
    put64(PDPT, PAGE_DIRECTORY | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER);
    put64(PAGE_DIRECTORY + (KERNEL >> 21) * 8, PAGE_LARGE | PAGE_PRESENT | PAGE_WRITABLE);
    put64(PAGE_DIRECTORY + (SANDBOX >> 21) * 8,
          PAGE_TABLE | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER);
    for (uint32_t at = 0; at < CODE_SIZE_BYTES; at += 4096)
        put64(PAGE_TABLE + (CODE + at - SANDBOX) / 4096 * 8,
              (CODE_RAM + at) | PAGE_PRESENT | PAGE_USER);
    for (uint32_t at = 0; at < DATA_SIZE; at += 4096)
        put64(PAGE_TABLE + (DATA + at - SANDBOX) / 4096 * 8,
              (DATA_RAM + at) | PAGE_NX | PAGE_PRESENT | PAGE_USER |
                  (at < DATA_WRITABLE ? PAGE_WRITABLE : 0));
    for (unsigned at = 0; at < GDT_SIZE; at += 8)
        put64(GDT + at, segments_descriptor(at));
    for (unsigned at = 0; at <= LOCAL_LIMIT; at += 8)
        put64(LDT + at, segments_descriptor(at | 4));
    put64(TSS + 4, KERNEL + KERNEL_STACK);
    store_le16(guest.host + TSS + 0x66, 0x68); /* no I/O map */
    for (unsigned vector = 0; vector < 256; vector++) {
        uint64_t handler = KERNEL + HANDLERS + vector;
        unsigned dpl = vector == VEC_BP || vector == VEC_OF || vector == 0x80 ? 3 : 0;
        put64(IDT + vector * 16, (handler & 0xffff) | 0x10 << 16 | (0x8e00ull | dpl << 13) << 32 |
                                     handler >> 16 << 48);
        guest.host[HANDLERS + vector] = 0xf4; /* hlt */
    }
    memset(guest.host + CODE_RAM, 0xcc, CODE_SIZE_BYTES);
}

void host_vendor(char vendor[13])
{
    unsigned a, b, c, d;
    __cpuid(0, a, b, c, d);
    store_le32(vendor, b);
    store_le32(vendor + 4, d);
    store_le32(vendor + 8, c);
    vendor[12] = 0;
}

/* The translator handles faults of its own by the signals that native.c takes: whoever runs has
 * them. */
static const int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS};
static struct sigaction native_actions[ARRAY_LEN(signals)], engine_actions[ARRAY_LEN(signals)];

static void exchange_signals(const struct sigaction *now, struct sigaction *before)
{
    if (engine_actions[0].sa_sigaction == native_actions[0].sa_sigaction && !before)
        return; /* an engine without */
    for (unsigned i = 0; i < ARRAY_LEN(signals); i++)
        sigaction(signals[i], now ? &now[i] : NULL, before ? &before[i] : NULL);
}

static void fail(const struct error *err)
{
    fprintf(stderr, "cpu-fuzz: %s\n", err->text);
    exit(1);
}

void guest_create(const struct engine_type *type)
{
    struct error err;
    guest.type = type;
    if (mem_create(&guest.mem, &err) || ram_create(&guest.ram, "fuzz", RAM_SIZE, &err) ||
        cpu_model_create(&guest.model, NULL, &err))
        fail(&err);
    host_vendor(guest.model.vendor);
    guest.region = (struct mem_region){.name = "fuzz",
                                       .kind = MEM_RAM,
                                       .enabled = true,
                                       .base = 0,
                                       .size = RAM_SIZE,
                                       .ram = guest.ram};
    mem_add(guest.mem, &guest.region);
    guest.host = ram_host(guest.ram, 0);
    if (ram_host(guest.ram, RAM_SIZE / PAGE_SIZE - 1) != guest.host + RAM_SIZE - PAGE_SIZE)
        abort(); /* mapped in one piece */
    guest.world = (struct vcpu_world){
        .mem = guest.mem, .a20_mask = ~0ull, .lock = no_lock, .unlock = no_lock};
    exchange_signals(NULL, native_actions);
    if (type->create(&guest.engine, guest.mem, &err) ||
        vcpu_create(&guest.cpu, 0, &guest.model, &guest.world) ||
        type->vcpu_attach(guest.engine, guest.cpu, &err))
        fail(&err);
    exchange_signals(native_actions, engine_actions);
    build_tables();
}

uint8_t *guest_data(void)
{
    return guest.host + DATA_RAM;
}

static void put_segments(struct vcpu *cpu, const struct input *input)
{
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++)
        cpu->seg[seg] = segments_load(input->sel[seg]);
    if (code64(input)) {
        cpu->seg[SEG_FS].base = FS_BASE;
        cpu->seg[SEG_GS].base = GS_BASE;
    }
    cpu->seg[SEG_LDTR] = (struct segment){
        .selector = 0x50, .access = 0x82, .limit = LOCAL_LIMIT, .base = KERNEL + LDT};
    cpu->seg[SEG_TR] =
        (struct segment){.selector = 0x40, .access = 0x8b, .limit = 0x67, .base = KERNEL + TSS};
    cpu->cpl = 3;
}

static void put_unit(struct fpu_state *fpu, const struct unit_state *unit)
{
    fpu->fcw = unit->fcw;
    fpu->fsw = unit->fsw;
    fpu_set_short_tags(fpu, unit->ftw);
    fpu->fop = unit->fop;
    fpu->fip = unit->fip;
    fpu->fdp = unit->fdp;
    fpu->fcs = fpu->fds = 0;
    fpu->mxcsr = unit->mxcsr;
    fpu->xcr0 = XSTATE_X87 | XSTATE_SSE | XSTATE_AVX;
    for (unsigned i = 0; i < 8; i++)
        memcpy(fpu->st[(fpu_top(fpu) + i) & 7], unit->st[i], 10);
    for (unsigned i = 0; i < 16; i++)
        memcpy(fpu->zmm[i], unit->ymm[i], 32);
}

static void take_unit(const struct fpu_state *fpu, struct unit_state *unit)
{
    unit->fcw = fpu->fcw;
    unit->fsw = fpu->fsw;
    unit->ftw = fpu_short_tags(fpu);
    unit->fop = fpu->fop;
    unit->fip = fpu->fip;
    unit->fdp = fpu->fdp;
    unit->mxcsr = fpu->mxcsr;
    for (unsigned i = 0; i < 8; i++)
        memcpy(unit->st[i], fpu->st[(fpu_top(fpu) + i) & 7], 10);
    for (unsigned i = 0; i < 16; i++)
        memcpy(unit->ymm[i], fpu->zmm[i], 32);
}

static void put_code(const struct input *input, bool fill)
{
    static const uint8_t filler[16] = {0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
                                       0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc};
    mem_write(guest.mem, CODE_RAM + input->rip - CODE, fill ? filler : input->bytes, input->length);
}

/* The handler has halted: what was pushed tells the rest. */
static void take_frame(struct outcome *outcome)
{
    const struct vcpu *cpu = guest.cpu;
    outcome->vector = (int)(cpu->rip - 1 - KERNEL - HANDLERS);
    const uint8_t *frame = guest.host + (cpu->gpr[RSP] - KERNEL);
    bool has_error = cpu->gpr[RSP] == KERNEL + KERNEL_STACK - 48;
    outcome->error = has_error ? load_le32(frame) : 0;
    frame += has_error ? 8 : 0;
    outcome->rip = load_le64(frame);
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++)
        outcome->sel[seg] = cpu->seg[seg].selector;
    outcome->sel[SEG_CS] = load_le16(frame + 8);
    outcome->sel[SEG_SS] = load_le16(frame + 32);
    outcome->fs_base = cpu->seg[SEG_FS].base;
    outcome->gs_base = cpu->seg[SEG_GS].base;
    outcome->flags = load_le64(frame + 16);
    outcome->gpr[RSP] = load_le64(frame + 24);
    outcome->cr2 = cpu->cr2;
    if (outcome->vector == VEC_BP) {
        outcome->vector = -1;
        outcome->rip--;
    }
}

void guest_run(const struct input *input, struct outcome *outcome)
{
    struct vcpu *cpu = guest.cpu;
    put_code(input, false);
    memcpy(cpu->gpr, input->gpr, sizeof(input->gpr));
    cpu->cr0 = CR0_PE | CR0_MP | CR0_PG | CR0_ET | CR0_NE | CR0_WP | CR0_AM;
    cpu->cr2 = 0;
    cpu->cr3 = PML4;
    cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
    cpu->efer = EFER_LMA | EFER_LME | EFER_NXE | EFER_SCE;
    cpu->gdtr = (struct table_register){KERNEL + GDT, GDT_SIZE - 1};
    cpu->idtr = (struct table_register){KERNEL + IDT, 0xfff};
    put_segments(cpu, input);
    put_unit(&cpu->fpu, &input->unit);
    cpu_set_rflags(cpu, input->flags);
    cpu->rip = input_ip(input);
    cpu->halted = false;
    cpu->shadow = 0;
    cpu->pending_db = 0;
    cpu->fault_vector = -1;
    cpu_update_mode(cpu);
    guest.type->sync_in(guest.engine, cpu);
    sigset_t mask;
    exchange_signals(engine_actions, NULL);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    enum vcpu_exit why = guest.type->vcpu_run(guest.engine, cpu);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    exchange_signals(native_actions, NULL);
    guest.type->sync_out(guest.engine, cpu);
    memcpy(outcome->gpr, cpu->gpr, sizeof(outcome->gpr));
    take_unit(&cpu->fpu, &outcome->unit);
    if (why == VCPU_EXIT_HALTED)
        take_frame(outcome);
    else
        outcome->vector = 1000 + (int)why;
    put_code(input, true);
}
