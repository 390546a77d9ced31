// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Workloads of user mode alone: registers, memory, calls, floating point, vectors.
 */
#include <immintrin.h>
#include <string.h>

#include "work.h"

static uint64_t integer_run(void *data, uint64_t rounds)
{
    (void)data;
    uint64_t a = 88172645463325252u, b = 0, c = 1;
    for (uint64_t i = 0; i < rounds; i++) {
        a ^= a << 13;
        a ^= a >> 7;
        a ^= a << 17;
        b += a & 0xffff;
        if (a & 0x100)
            c = c * 3 + b;
        else
            c -= a >> 32;
    }
    return a ^ b ^ c;
}

#define SORT_COUNT 65536

static void *sort_prepare(void)
{
    return work_memory(SORT_COUNT * sizeof(uint32_t));
}

static void quicksort(uint32_t *a, long low, long high)
{
    while (low < high) {
        uint32_t pivot = a[(low + high) / 2];
        long i = low, j = high;
        while (i <= j) {
            while (a[i] < pivot)
                i++;
            while (a[j] > pivot)
                j--;
            if (i <= j) {
                uint32_t other = a[i];
                a[i++] = a[j];
                a[j--] = other;
            }
        }
        if (j - low < high - i) {
            quicksort(a, low, j);
            low = i;
        } else {
            quicksort(a, i, high);
            high = j;
        }
    }
}

static uint64_t sort_run(void *data, uint64_t rounds)
{
    uint32_t *a = data;
    uint64_t seed = 1;
    uint64_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        for (int i = 0; i < SORT_COUNT; i++)
            a[i] = work_random(&seed);
        quicksort(a, 0, SORT_COUNT - 1);
        for (int i = 0; i < SORT_COUNT; i += 1021)
            sum = sum * 31 + a[i];
    }
    return sum;
}

/* 512 KiB of nodes, a cache line each, in one ring of random order: half of what fills TCG's TLB,
 * beyond which its time depends on luck. */
#define CHASE_COUNT 8192

struct node {
    struct node *next;
    uint64_t number;
    char rest[48];
};

static void *chase_prepare(void)
{
    struct node *nodes = work_memory(CHASE_COUNT * sizeof(*nodes));
    static uint32_t order[CHASE_COUNT];
    uint64_t seed = 7;
    for (uint32_t i = 0; i < CHASE_COUNT; i++) {
        uint32_t at = i ? work_random(&seed) % (i + 1) : 0;
        order[i] = order[at];
        order[at] = i;
    }
    for (uint32_t i = 0; i < CHASE_COUNT; i++) {
        nodes[order[i]].next = &nodes[order[(i + 1) % CHASE_COUNT]];
        nodes[order[i]].number = i;
    }
    return nodes;
}

static uint64_t chase_run(void *data, uint64_t rounds)
{
    struct node *node = data;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        sum += node->number;
        node = node->next;
    }
    return sum;
}

__attribute__((noinline, optimize("no-optimize-sibling-calls"))) static uint64_t fibonacci(int n)
{
    return n < 2 ? (uint64_t)n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t calls_run(void *data, uint64_t rounds)
{
    (void)data;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rounds; i++)
        sum += fibonacci(20 + (int)(i & 1));
    return sum;
}

/* Objects of four kinds in random order, each asked through its table of functions. */
#define SHAPE_COUNT 1024

struct shape;

struct shape_kind {
    uint64_t (*area)(const struct shape *shape);
    void (*grow)(struct shape *shape, uint32_t by);
};

struct shape {
    const struct shape_kind *kind;
    uint32_t a, b;
};

static uint64_t square_area(const struct shape *shape)
{
    return (uint64_t)shape->a * shape->a;
}

static uint64_t box_area(const struct shape *shape)
{
    return (uint64_t)shape->a * shape->b;
}

static uint64_t frame_area(const struct shape *shape)
{
    return 2 * ((uint64_t)shape->a + shape->b);
}

static uint64_t line_area(const struct shape *shape)
{
    return shape->a ^ shape->b;
}

static void grow_first(struct shape *shape, uint32_t by)
{
    shape->a += by;
}

static void grow_second(struct shape *shape, uint32_t by)
{
    shape->b ^= by;
}

static const struct shape_kind shape_kinds[4] = {
    {square_area, grow_first},
    {box_area, grow_second},
    {frame_area, grow_first},
    {line_area, grow_second},
};

static void *virtual_prepare(void)
{
    struct shape *shapes = work_memory(SHAPE_COUNT * sizeof(*shapes));
    uint64_t seed = 3;
    for (int i = 0; i < SHAPE_COUNT; i++) {
        shapes[i].kind = &shape_kinds[work_random(&seed) >> 8 & 3];
        shapes[i].a = work_random(&seed);
        shapes[i].b = work_random(&seed);
    }
    return shapes;
}

static uint64_t virtual_run(void *data, uint64_t rounds)
{
    struct shape *shapes = data;
    uint64_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        for (int i = 0; i < SHAPE_COUNT; i++) {
            sum += shapes[i].kind->area(&shapes[i]);
            shapes[i].kind->grow(&shapes[i], (uint32_t)sum & 15);
        }
    }
    return sum;
}

#define MATRIX 96

struct matrices {
    double a[MATRIX][MATRIX], b[MATRIX][MATRIX], c[MATRIX][MATRIX];
};

static void *matrix_prepare(void)
{
    struct matrices *m = work_memory(sizeof(*m));
    for (int i = 0; i < MATRIX; i++) {
        for (int j = 0; j < MATRIX; j++) {
            m->a[i][j] = (i * 7 + j) % 13 / 8.0;
            m->b[i][j] = (i + j * 5) % 11 / 16.0;
        }
    }
    return m;
}

static uint64_t matrix_run(void *data, uint64_t rounds)
{
    struct matrices *m = data;
    for (uint64_t round = 0; round < rounds; round++) {
        for (int i = 0; i < MATRIX; i++) {
            for (int j = 0; j < MATRIX; j++) {
                double sum = 0;
                for (int k = 0; k < MATRIX; k++)
                    sum += m->a[i][k] * m->b[k][j];
                m->c[i][j] += sum;
            }
        }
        m->a[round % MATRIX][round % 7] += 0.25;
    }
    uint64_t bits = 0, all = 0;
    for (int i = 0; i < MATRIX; i++) {
        memcpy(&bits, &m->c[i][(i * 5) % MATRIX], sizeof(bits));
        all = all * 31 + bits;
    }
    return all;
}

/* Two pictures of 8-bit samples blended into a third, 32 samples at a time. */
#define PICTURE 65536

static void *avx2_prepare(void)
{
    if (!__builtin_cpu_supports("avx2"))
        work_refuse("no AVX2 here");
    uint8_t *data = work_memory(3 * PICTURE);
    uint64_t seed = 5;
    for (int i = 0; i < 2 * PICTURE; i++)
        data[i] = (uint8_t)work_random(&seed);
    return data;
}

__attribute__((target("avx2"))) static uint64_t avx2_run(void *data, uint64_t rounds)
{
    uint8_t *from = data, *to = from + PICTURE, *out = to + PICTURE;
    __m256i total = _mm256_setzero_si256();
    const __m256i zero = _mm256_setzero_si256();
    for (uint64_t round = 0; round < rounds; round++) {
        const __m256i weight = _mm256_set1_epi16((short)(round & 255));
        const __m256i other = _mm256_set1_epi16((short)(256 - (round & 255)));
        for (int i = 0; i < PICTURE; i += 32) {
            __m256i a = _mm256_loadu_si256((const __m256i *)(from + i));
            __m256i b = _mm256_loadu_si256((const __m256i *)(to + i));
            __m256i low =
                _mm256_add_epi16(_mm256_mullo_epi16(_mm256_unpacklo_epi8(a, zero), weight),
                                 _mm256_mullo_epi16(_mm256_unpacklo_epi8(b, zero), other));
            __m256i high =
                _mm256_add_epi16(_mm256_mullo_epi16(_mm256_unpackhi_epi8(a, zero), weight),
                                 _mm256_mullo_epi16(_mm256_unpackhi_epi8(b, zero), other));
            __m256i mixed =
                _mm256_packus_epi16(_mm256_srli_epi16(low, 8), _mm256_srli_epi16(high, 8));
            _mm256_storeu_si256((__m256i *)(out + i), mixed);
            total = _mm256_add_epi64(total, _mm256_sad_epu8(mixed, a));
        }
    }
    uint64_t sums[4];
    _mm256_storeu_si256((__m256i *)sums, total);
    return sums[0] + sums[1] * 3 + sums[2] * 5 + sums[3] * 7;
}

/* Copies as programs make them: many small ones, and now and then a large one. */
#define BLOCK 65536

static void *block_prepare(void)
{
    uint8_t *data = work_memory(2 * BLOCK);
    for (int i = 0; i < BLOCK; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    return data;
}

static const uint16_t small_sizes[8] = {24, 100, 16, 300, 64, 1500, 7, 4096};

static uint64_t memcpy_run(void *data, uint64_t rounds)
{
    uint8_t *from = data, *to = from + BLOCK;
    uint64_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        memcpy(to, from, BLOCK);
        __asm__ volatile("" ::"r"(to) : "memory");
        for (unsigned int i = 0; i < 64; i++) {
            memcpy(to + i * 512, from + i * 700, small_sizes[i & 7]);
            __asm__ volatile("" ::"r"(to) : "memory");
        }
        sum = sum * 31 + to[round % BLOCK];
    }
    return sum;
}

static uint64_t memset_run(void *data, uint64_t rounds)
{
    uint8_t *to = data;
    uint64_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        memset(to, (int)(round & 255), BLOCK);
        __asm__ volatile("" ::"r"(to) : "memory");
        for (unsigned int i = 0; i < 64; i++) {
            memset(to + i * 512, (int)i, small_sizes[i & 7]);
            __asm__ volatile("" ::"r"(to) : "memory");
        }
        sum = sum * 31 + to[round % BLOCK];
    }
    return sum;
}

const struct work work_compute[] = {
    {"integer", NULL, integer_run},
    {"quicksort", sort_prepare, sort_run},
    {"chase", chase_prepare, chase_run},
    {"calls", NULL, calls_run},
    {"virtual", virtual_prepare, virtual_run},
    {"matrix", matrix_prepare, matrix_run},
    {"avx2", avx2_prepare, avx2_run},
    {"memcpy", block_prepare, memcpy_run},
    {"memset", block_prepare, memset_run},
    {NULL, NULL, NULL},
};
