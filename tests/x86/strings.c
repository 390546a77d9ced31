/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Repeated string instructions, which go by pages, against a model that goes by elements: over page
 * ends, overlapping, up and down, into a page that is not there. Seeded.
 */
#include "x86/long_bench.h"

#include <stdio.h>

enum {
    AREA = 0x200000, /* pages that lie in another order in RAM */
    AREA_PAGES = 8,
    HOLE = 5, /* the page that is not there */
    TABLE = LONG_TABLES + 0x3000,
    CASES = 30000,
};

enum kind { MOVS, STOS, LODS, SCAS, CMPS };

struct machine {
    uint64_t rax, rcx, rsi, rdi, cr2;
    uint64_t flags;
    int vector;
    uint8_t memory[AREA_PAGES * PAGE_SIZE];
};

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

/* Where page i of the area is. */
static uint64_t frame(unsigned i)
{
    return AREA + ((i * 3 + 1) % AREA_PAGES) * PAGE_SIZE;
}

/* Is all of the element there? If not, its first byte that is not is CR2. */
static bool there(struct machine *m, uint64_t addr, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        if ((addr + i - AREA) / PAGE_SIZE != HOLE)
            continue;
        m->cr2 = addr + i;
        m->vector = VEC_PF;
        return false;
    }
    return true;
}

static uint64_t compare_flags(uint64_t x, uint64_t y, unsigned size)
{
    unsigned top = size * 8 - 1;
    uint64_t mask = size == 8 ? ~0ull : (1ull << size * 8) - 1;
    x &= mask;
    y &= mask;
    uint64_t d = (x - y) & mask;
    return (x < y ? FLAG_CF : 0) | (__builtin_parity(d & 0xff) ? 0 : FLAG_PF) |
           ((x ^ y ^ d) & 16 ? FLAG_AF : 0) | (d ? 0 : FLAG_ZF) | (d >> top & 1 ? FLAG_SF : 0) |
           (((x ^ y) & (x ^ d)) >> top & 1 ? FLAG_OF : 0);
}

/* One element; false if it faults. */
static bool element(struct machine *m, enum kind kind, unsigned size, uint64_t step)
{
    uint8_t *from = m->memory + (m->rsi - AREA), *to = m->memory + (m->rdi - AREA);
    bool reads_from = kind == MOVS || kind == LODS || kind == CMPS, uses_to = kind != LODS;
    if (kind == CMPS && !there(m, m->rdi, size))
        return false;
    if ((reads_from && !there(m, m->rsi, size)) || (uses_to && !there(m, m->rdi, size)))
        return false;
    if (kind == MOVS)
        memmove(to, from, size);
    else if (kind == STOS)
        store_le(to, m->rax, size);
    else if (kind == LODS)
        m->rax = size == 4 ? load_le(from, 4)
                           : (m->rax & ~(size == 8 ? ~0ull : (1ull << size * 8) - 1)) |
                                 load_le(from, size);
    else
        m->flags =
            compare_flags(kind == CMPS ? load_le(from, size) : m->rax, load_le(to, size), size);
    m->rsi += reads_from ? step : 0;
    m->rdi += uses_to ? step : 0;
    m->rcx--;
    return true;
}

static void model(struct machine *m, enum kind kind, unsigned size, bool down, bool repne)
{
    uint64_t step = down ? -(uint64_t)size : size, before = m->flags;
    m->vector = LONG_FINE;
    while (m->rcx) {
        if (!element(m, kind, size, step)) {
            m->flags = before;
            return;
        }
        if (kind >= SCAS && !(m->flags & FLAG_ZF) != repne)
            return;
    }
}

/* Mostly alike, so that comparisons go far. */
static void fill(struct machine *m)
{
    memset(m->memory, 0x41, sizeof(m->memory));
    for (unsigned n = random_below(4); n; n--)
        m->memory[random_below(sizeof(m->memory))] = (uint8_t)random_below(256);
}

/* Somewhere in the area, near a page's end more often than not, with room in both directions. */
static uint64_t place(void)
{
    uint32_t page = 2 + random_below(AREA_PAGES - 4);
    return AREA + page * PAGE_SIZE +
           (random_below(3) ? random_below(48) - 24u : random_below(PAGE_SIZE));
}

static void prepare(struct machine *m)
{
    static const uint64_t counts[] = {0, 1, 2, 7, 40, 700};
    fill(m);
    m->rcx = random_below(2) ? counts[random_below(ARRAY_LEN(counts))] : random_below(60);
    m->rsi = place();
    m->rdi = random_below(3) ? place() : m->rsi + random_below(40) - 20u;
    m->rax = random_below(3) ? 0x4141414141414141 : random_below(UINT32_MAX) * 0x100000001ull;
    m->flags = random_below(2) ? FLAG_CF | FLAG_ZF | FLAG_OF : FLAG_SF | FLAG_AF | FLAG_PF;
}

static void run(struct long_bench *l, struct machine *m, const uint8_t *bytes, unsigned length,
                bool down)
{
    struct vcpu *cpu = l->b->cpu;
    for (unsigned i = 0; i < AREA_PAGES; i++)
        assert_true(ram_copy_in(l->b->ram, frame(i), m->memory + i * PAGE_SIZE, PAGE_SIZE));
    long_enter(l, 0);
    cpu->gpr[RAX] = m->rax;
    cpu->gpr[RCX] = m->rcx;
    cpu->gpr[RSI] = m->rsi;
    cpu->gpr[RDI] = m->rdi;
    cpu->cr2 = m->cr2;
    cpu_set_rflags(cpu, m->flags | (down ? FLAG_DF : 0));
    m->vector = long_run(l, bytes, length);
    m->rax = cpu->gpr[RAX];
    m->rcx = cpu->gpr[RCX];
    m->rsi = cpu->gpr[RSI];
    m->rdi = cpu->gpr[RDI];
    m->cr2 = cpu->cr2;
    m->flags = cpu_rflags(cpu) & FLAGS_ARITH;
    for (unsigned i = 0; i < AREA_PAGES; i++)
        assert_true(ram_copy_out(l->b->ram, frame(i), m->memory + i * PAGE_SIZE, PAGE_SIZE));
}

static void against_model(void **state)
{
    static const uint8_t opcodes[] = {0xa4, 0xaa, 0xac, 0xae, 0xa6};
    static struct machine start, expected, seen;
    struct long_bench l;
    unsigned faults = 0, whole = 0;
    (void)state;
    long_new(&l, "max", &interp_engine);
    bench_poke(l.b, LONG_TABLES + 0x2000 + 8, TABLE | 7, 8);
    for (unsigned i = 0; i < AREA_PAGES; i++)
        bench_poke(l.b, TABLE + i * 8, frame(i) | (i == HOLE ? 6 : 7), 8);
    random_state = 2026;
    for (unsigned i = 0; i < CASES; i++) {
        enum kind kind = random_below(5);
        unsigned power = random_below(4), length = 0;
        bool down = !random_below(4), repne = random_below(2);
        uint8_t bytes[4];
        prepare(&start);
        if (power == 1)
            bytes[length++] = 0x66;
        bytes[length++] = repne ? 0xf2 : 0xf3;
        if (power == 3)
            bytes[length++] = 0x48;
        bytes[length++] = opcodes[kind] | (power != 0);
        expected = seen = start;
        model(&expected, kind, 1u << power, down, repne);
        run(&l, &seen, bytes, length, down);
        faults += expected.vector == VEC_PF;
        whole += expected.vector == LONG_FINE && !expected.rcx;
        if (memcmp(&expected, &seen, sizeof(seen)) != 0) {
            print_message("# case %u: kind %u, size %u, down %d, repne %d, count %llx, %llx to "
                          "%llx: vector %d "
                          "not %d, rcx %llx not %llx, flags %llx not %llx, cr2 %llx not %llx\n",
                          i, kind, 1u << power, down, repne, (unsigned long long)start.rcx,
                          (unsigned long long)start.rsi, (unsigned long long)start.rdi, seen.vector,
                          expected.vector, (unsigned long long)seen.rcx,
                          (unsigned long long)expected.rcx, (unsigned long long)seen.flags,
                          (unsigned long long)expected.flags, (unsigned long long)seen.cr2,
                          (unsigned long long)expected.cr2);
            fail();
        }
    }
    assert_true(faults > 100 && whole > 500);
    long_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
