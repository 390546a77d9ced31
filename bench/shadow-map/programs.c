// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Eight small programs whose memory accesses rewrite.py makes go through a shadow map. Prints "NAME
 * MS" for each: processor time, the best of five.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint32_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static void *memory(size_t size)
{
    void *bytes = calloc(1, size);
    if (!bytes)
        exit(1);
    return bytes;
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

static uint64_t sorting(void)
{
    const long count = 1 << 19;
    uint32_t *a = memory((size_t)count * sizeof(*a));
    uint64_t seed = 1;
    for (long i = 0; i < count; i++)
        a[i] = next(&seed);
    quicksort(a, 0, count - 1);
    uint64_t result = a[count / 3];
    free(a);
    return result;
}

/* Loads that wait for one another. */
static uint64_t chasing(void)
{
    const uint64_t count = 1 << 15;
    uint64_t *links = memory(count * sizeof(*links));
    for (uint64_t i = 0; i < count; i++)
        links[i] = (i * 7919 + 1) % count;
    uint64_t at = 0;
    for (int i = 0; i < 15000000; i++)
        at = links[at];
    free(links);
    return at;
}

__attribute__((noinline)) static uint64_t fibonacci(int n)
{
    return n < 2 ? (uint64_t)n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t calling(void)
{
    return fibonacci(34);
}

/* A byte-code machine: its state is in memory, stored and loaded again at once. */
struct machine {
    long regs[16];
    long pc;
    long sum;
    uint8_t *code;
};

__attribute__((noinline)) static void interpret(struct machine *machine, long count)
{
    while (count--) {
        uint8_t op = machine->code[machine->pc++];
        int r = op & 15;
        switch (op >> 4) {
        case 0:
            machine->regs[r] += machine->sum;
            break;
        case 1:
            machine->sum ^= machine->regs[r];
            break;
        case 2:
            machine->sum += r;
            break;
        case 3:
            machine->regs[r] = machine->sum >> 1;
            break;
        case 4:
            machine->pc += machine->sum & 1;
            break;
        default:
            machine->pc = 0;
        }
    }
}

static uint64_t interpreting(void)
{
    static uint8_t code[64];
    for (int i = 0; i < 60; i++)
        code[i] = (uint8_t)((i * 37 + 11) % 80);
    memset(code + 60, 0x50, 4);
    struct machine machine = {.code = code};
    interpret(&machine, 30000000);
    return (uint64_t)machine.sum;
}

struct word {
    struct word *next;
    uint32_t hash;
    int count;
    char key[16];
};

static uint64_t hashing(void)
{
    const uint32_t buckets = 4096, room = 20000;
    struct word **table = memory(buckets * sizeof(struct word *));
    struct word *pool = memory(room * sizeof(*pool));
    uint32_t used = 0;
    uint64_t sum = 0, seed = 3;
    for (int i = 0; i < 700000; i++) {
        char key[16];
        size_t length = 0;
        for (uint32_t number = next(&seed) >> 17; number; number /= 26)
            key[length++] = (char)('a' + number % 26);
        key[length] = 0;
        uint32_t hash = 5381;
        for (const char *c = key; *c; c++)
            hash = hash * 33 + (uint8_t)*c;
        struct word *word = table[hash % buckets];
        while (word && (word->hash != hash || strcmp(word->key, key)))
            word = word->next;
        if (!word && used < room) {
            word = &pool[used++];
            word->hash = hash;
            memcpy(word->key, key, sizeof(key));
            word->next = table[hash % buckets];
            table[hash % buckets] = word;
        }
        if (word)
            sum += (uint64_t)++word->count;
    }
    free(table);
    free(pool);
    return sum;
}

/* Finds repetitions as compressors do. */
static uint64_t compressing(void)
{
    const uint32_t size = 4 << 20;
    uint8_t *in = memory(size), *out = memory(2 * size);
    uint32_t *table = memory(sizeof(*table) << 15);
    uint64_t seed = 1;
    for (uint32_t i = 0; i < size; i++) {
        uint32_t number = next(&seed);
        in[i] = number % 16 < 6 && i > 300 ? in[i - 1 - number / 16 % 300]
                                           : (uint8_t) "etaoin shrdlu\n"[number / 16 % 14];
    }
    uint32_t end = 0;
    for (uint32_t i = 0; i + 8 < size;) {
        uint32_t four, other;
        memcpy(&four, in + i, 4);
        uint32_t slot = four * 2654435761u >> 17, before = table[slot];
        table[slot] = i;
        memcpy(&other, in + before, 4);
        if (!before || i - before > 65535 || other != four) {
            out[end++] = in[i++];
            continue;
        }
        uint32_t length = 4;
        while (i + length < size && length < 255 && in[before + length] == in[i + length])
            length++;
        out[end++] = (uint8_t)length;
        out[end++] = (uint8_t)(i - before);
        out[end++] = (uint8_t)((i - before) >> 8);
        i += length;
    }
    free(in);
    free(out);
    free(table);
    return end;
}

static uint64_t multiplying(void)
{
    enum { N = 256 };
    double *a = memory(N * N * sizeof(*a)), *b = memory(N * N * sizeof(*b));
    for (int i = 0; i < N * N; i++) {
        a[i] = i % 7;
        b[i] = i % 5;
    }
    double all = 0;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++)
                sum += a[i * N + k] * b[k * N + j];
            all += sum * (i + 2 * j);
        }
    }
    free(a);
    free(b);
    return (uint64_t)all;
}

struct leaf {
    struct leaf *left, *right;
    uint32_t key;
};

__attribute__((noinline)) static struct leaf *insert(struct leaf *tree, struct leaf *fresh)
{
    if (!tree)
        return fresh;
    if (fresh->key < tree->key)
        tree->left = insert(tree->left, fresh);
    else
        tree->right = insert(tree->right, fresh);
    return tree;
}

static uint64_t growing(void)
{
    const uint32_t count = 60000;
    struct leaf *pool = memory(count * sizeof(*pool)), *tree = NULL;
    uint64_t seed = 9;
    for (uint32_t i = 0; i < count; i++) {
        pool[i].key = next(&seed);
        tree = insert(tree, &pool[i]);
    }
    uint64_t result = tree->left->key;
    free(pool);
    return result;
}

static double milliseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

int main(void)
{
    static const struct {
        const char *name;
        uint64_t (*run)(void);
    } programs[] = {
        {"quicksort", sorting},      {"chase", chasing}, {"calls", calling},
        {"byte-code", interpreting}, {"hash", hashing},  {"compress", compressing},
        {"matrix", multiplying},     {"tree", growing},
    };
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        double best = 0;
        uint64_t result = 0;
        for (int round = 0; round < 5; round++) {
            double start = milliseconds();
            result = programs[i].run();
            double time = milliseconds() - start;
            if (!round || time < best)
                best = time;
        }
        printf("%s %.2f %016llx\n", programs[i].name, best, (unsigned long long)result);
    }
    return 0;
}
