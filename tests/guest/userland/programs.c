/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a processor can get wrong, as seen from C: prints the same on every processor that is right.
 */
#include <complex.h>
#include <fenv.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static uint64_t state = 1;

static uint64_t next(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 7 ^ state << 29;
}

static void long_doubles(void)
{
    long double sum = 0;
    for (int i = 1; i < 3000; i++) {
        long double x = (long double)(int64_t)next() / 3e15L;
        sum += sinl(x) / i + expl(-fabsl(x) / 1000) - logl(1 + x * x) + powl(fabsl(x), 1 / 3.0L);
        if (i % 500 == 0)
            printf("%.20Lg %La %Lg\n", sum, x, fmodl(x, 0.3L));
    }
    printf("%.20Lg %.20Lg %d\n", atanl(1) * 4, ldexpl(sqrtl(2), -16400),
           fpclassify(ldexpl(1, -16400)));
    printf("%lld %llu\n", llrintl(1e18L + 0.5L), (unsigned long long)1.8e19L);
}

static void rounding(void)
{
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (int i = 0; i < 4; i++) {
        fesetround(modes[i]);
        volatile double a = 1, b = 3, c = -2.5, tiny = 1e-320;
        volatile float f = 0.1f;
        feclearexcept(FE_ALL_EXCEPT);
        printf("%.17g %.17g %.9g %.17g %ld", a / b, -a / b, (double)(f * f), tiny / 7, lrint(c));
        printf(" %x\n", (unsigned)fetestexcept(FE_ALL_EXCEPT));
    }
    fesetround(FE_TONEAREST);
}

static void vectors(void)
{
    static double a[64 * 64], b[64 * 64], c[64 * 64];
    for (int i = 0; i < 64 * 64; i++) {
        a[i] = (double)(next() % 1000) / 7;
        b[i] = (double)(next() % 1000) - 500;
    }
    for (int i = 0; i < 64; i++)
        for (int k = 0; k < 64; k++)
            for (int j = 0; j < 64; j++)
                c[i * 64 + j] += a[i * 64 + k] * b[k * 64 + j];
    double sum = 0;
    float product = 1;
    uint32_t bits = 0;
    for (int i = 0; i < 64 * 64; i++) {
        sum += c[i];
        product = product * 0.99f + (float)a[i];
        bits = bits * 31 + (uint32_t)(int32_t)c[i];
    }
    double complex z = csqrt(-3 + 4 * I) * cexp(I);
    printf("%.17g %.9g %08x %.17g%+.17gi\n", sum, (double)product, bits, creal(z), cimag(z));
}

static int by_value(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, 4);
    memcpy(&y, b, 4);
    return (x > y) - (x < y);
}

static void sorts(void)
{
    static uint32_t numbers[30000];
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < 30000; i++)
        numbers[i] = (uint32_t)next();
    qsort(numbers, 30000, 4, by_value);
    for (size_t i = 0; i < 30000; i++)
        hash = (hash ^ numbers[i]) * 1099511628211u;
    printf("%016" PRIx64 " %u %u\n", hash, numbers[0], numbers[29999]);
}

static void strings(void)
{
    static char text[9000], copy[9000];
    for (int i = 0; i < 8999; i++)
        text[i] = (char)('a' + next() % 26);
    unsigned found = 0;
    for (int from = 0; from < 200; from++)
        for (int c = 'a'; c <= 'z'; c++) {
            found += (unsigned)(strchr(text + from, c) - text);
            found += (unsigned)strcspn(text + from, "qz") + (unsigned)(strrchr(text, c) - text);
        }
    for (int from = 0; from < 64; from++) {
        memmove(copy + from, text, 8000);
        memmove(copy + from + 3, copy + from, 700 + (size_t)from * 31);
        found += (unsigned)memcmp(copy, text, 500) > 0;
        found +=
            (unsigned)(strstr(copy, "abc") - copy) + (unsigned)strnlen(copy, 6000 + (size_t)from);
    }
    wchar_t wide[100];
    swprintf(wide, 100, L"%ls %.3f %d", L"wide", 2.5, -7);
    printf("%u %.40s %ls %d %ld %g\n", found, copy, wide, strcmp(text, copy) > 0,
           strtol("-0x7fz", NULL, 0), strtod("1.7976931348623157e308", NULL));
}

static void integers(void)
{
    unsigned __int128 product = 1;
    int64_t sum = 0;
    for (int i = 0; i < 20000; i++) {
        uint64_t a = next(), b = next() | 1;
        product = product * a + b;
        sum += (int64_t)(product >> 64) % (int64_t)(b >> 3 | 1);
        sum ^= (int64_t)((product / b) >> (i & 63));
        sum += __builtin_popcountll(a) + __builtin_ctzll(b) - __builtin_clzll(a | 1) +
               (int)(a << (i & 31) >> 60);
        sum = (int64_t)__builtin_bswap64((uint64_t)sum) - (int16_t)a * (int8_t)b;
    }
    printf("%016" PRIx64 "%016" PRIx64 " %" PRId64 "\n", (uint64_t)(product >> 64),
           (uint64_t)product, sum);
}

int main(void)
{
    long_doubles();
    rounding();
    vectors();
    sorts();
    strings();
    integers();
    return 0;
}
