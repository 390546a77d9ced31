/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A processor on a bench: a vcpu with 4 MiB of RAM and nothing else, for tests of cpu/. Descriptor
 * tables are laid out by hand at fixed addresses.
 */
#ifndef TESTS_UNIT_CPU_BENCH_H
#define TESTS_UNIT_CPU_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "cpu/control.h"
#include "cpu/exception.h"
#include "cpu/model.h"
#include "cpu/segment.h"
#include "cpu/tlb.h"

enum { BENCH_GDT = 0x1000, BENCH_IDT = 0x2000, BENCH_TSS = 0x3000, BENCH_TSS2 = 0x4000 };

/* What the vcpu's world is made of. */
struct bench {
    struct cpu_model model;
    struct vcpu_world world;
    struct ram *ram;
    struct mem_region region;
    struct vcpu *cpu;
    unsigned locked;
    uint64_t apic_base, cr8;
    int64_t now;
};

/* The vector of the fault that `call` raises, or -1. */
#define FAULT_OF(cpu, call)                           \
    ({                                                \
        volatile int fault_of_vector = -1;            \
        if (_setjmp((cpu)->fault_exit))               \
            fault_of_vector = cpu_fault(cpu)->vector; \
        else                                          \
            call;                                     \
        (int)fault_of_vector;                         \
    })

/* `call` raises vector with this error code. */
#define ASSERT_FAULT(cpu, fault, code, call)           \
    do {                                               \
        assert_int_equal(FAULT_OF(cpu, call), fault);  \
        assert_int_equal(cpu_fault(cpu)->error, code); \
    } while (0)
#define ASSERT_FINE(cpu, call) assert_int_equal(FAULT_OF(cpu, call), -1)

static inline void bench_lock(void *opaque)
{
    struct bench *bench = opaque;
    bench->locked++;
}

static inline void bench_unlock(void *opaque)
{
    struct bench *bench = opaque;
    bench->locked--;
}

static inline uint64_t bench_cr8_read(void *opaque, int index)
{
    struct bench *bench = opaque;
    (void)index;
    return bench->cr8;
}

static inline void bench_cr8_write(void *opaque, int index, uint64_t value)
{
    struct bench *bench = opaque;
    (void)index;
    bench->cr8 = value;
}

static inline bool bench_apic_read(void *opaque, int index, uint32_t msr, uint64_t *value)
{
    struct bench *bench = opaque;
    (void)index;
    *value = bench->apic_base;
    return msr == 0x1b;
}

static inline bool bench_apic_write(void *opaque, int index, uint32_t msr, uint64_t value)
{
    struct bench *bench = opaque;
    (void)index;
    bench->apic_base = value;
    return msr == 0x1b;
}

static inline int64_t bench_now(void *opaque)
{
    struct bench *bench = opaque;
    return bench->now;
}

static inline struct bench *bench_new(const char *model)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct error err;
    assert_non_null(bench);
    assert_int_equal(cpu_model_create(&bench->model, model, &err), 0);
    assert_int_equal(mem_create(&bench->world.mem, &err), 0);
    assert_int_equal(ram_create(&bench->ram, "bench", MIB(4), &err), 0);
    bench->region = (struct mem_region){
        .name = "bench", .kind = MEM_RAM, .enabled = true, .size = MIB(4), .ram = bench->ram};
    mem_add(bench->world.mem, &bench->region);
    bench->world.opaque = bench;
    bench->world.board = bench;
    bench->world.a20_mask = UINT64_MAX;
    bench->world.lock = bench_lock;
    bench->world.unlock = bench_unlock;
    bench->world.cr8_read = bench_cr8_read;
    bench->world.cr8_write = bench_cr8_write;
    bench->world.apic_msr_read = bench_apic_read;
    bench->world.apic_msr_write = bench_apic_write;
    bench->world.now = bench_now;
    bench->apic_base = 0xfee00900;
    assert_int_equal(vcpu_create(&bench->cpu, 0, &bench->model, &bench->world), 0);
    return bench;
}

static inline void bench_free(struct bench *bench)
{
    vcpu_destroy(bench->cpu);
    mem_remove(bench->world.mem, &bench->region);
    mem_destroy(bench->world.mem);
    ram_destroy(bench->ram);
    free(bench);
}

static inline void bench_poke(struct bench *bench, uint64_t at, uint64_t value, unsigned size)
{
    assert_true(ram_copy_in(bench->ram, at, &value, size));
}

static inline uint64_t bench_peek(struct bench *bench, uint64_t at, unsigned size)
{
    uint64_t value = 0;
    assert_true(ram_copy_out(bench->ram, at, &value, size));
    return value;
}

/* A descriptor of the GDT: access as in struct segment. limit is what stands in the descriptor. */
static inline void bench_descriptor(struct bench *bench, unsigned selector, uint32_t base,
                                    uint32_t limit, uint32_t access)
{
    uint64_t raw = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
                   (uint64_t)(access & 0xff) << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
                   (uint64_t)(access >> 12 & 15) << 52 | (uint64_t)(base >> 24) << 56;
    bench_poke(bench, BENCH_GDT + (selector & 0xfff8), raw, 8);
}

/* A gate: type with P and DPL in `access`; parameters for call gates, IST in long mode. */
static inline void bench_gate(struct bench *bench, uint64_t at, unsigned selector, uint64_t offset,
                              unsigned access, unsigned parameters, bool wide)
{
    uint64_t raw = (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)parameters << 32 |
                   (uint64_t)access << 40 | (offset >> 16 & 0xffff) << 48;
    bench_poke(bench, at, raw, 8);
    if (wide)
        bench_poke(bench, at + 8, offset >> 32, 8);
}

#endif
