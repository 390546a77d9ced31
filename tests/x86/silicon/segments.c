/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The segments of both sides: the descriptor table that Linux gives to every program, and a local
 * one with a descriptor of each kind that modify_ldt grants. Conforming code it grants only where
 * it is not present; 16-bit code and stacks, limits, expand-down and the rest as one likes.
 */
#include "case.h"

#include <string.h>
#include <unistd.h>

#include <asm/ldt.h>
#include <sys/syscall.h>

enum { READ_ONLY = 1 << 0, ABSENT = 1 << 1, BIG = 1 << 2, PAGES = 1 << 3 };
enum { DATA_UP, DATA_DOWN, CODE_PLAIN, CODE_CONFORMING }; /* struct user_desc's contents */

static const struct {
    uint32_t base, limit;
    uint8_t contents, flags;
} local[] = {
    {0, 0, DATA_UP, ABSENT},
    {CODE_SEGMENT, 0xffff, CODE_PLAIN, 0},
    {CODE_SEGMENT, 0x2fff, CODE_PLAIN, READ_ONLY}, /* execute only */
    {0, 0xfffff, CODE_PLAIN, BIG | PAGES},
    {CODE_SEGMENT, 0x1fff, CODE_PLAIN, BIG | READ_ONLY}, /* ends with the first page of code */
    {DATA_SEGMENT, 0xffff, DATA_UP, 0},
    {DATA, 0x2eff, DATA_UP, BIG},
    {DATA_SEGMENT, 0x8fff, DATA_DOWN, 0},
    {0, (DATA >> 12), DATA_DOWN, BIG | PAGES},
    {0, 0xfffff, DATA_UP, BIG | PAGES | READ_ONLY},
    {DATA, 0xffff, DATA_UP, ABSENT},
    {CODE_SEGMENT, 0xffff, CODE_PLAIN, ABSENT},
    {CODE_SEGMENT, 0xffff, CODE_CONFORMING, ABSENT},
};
_Static_assert(ARRAY_LEN(local) * 8 == LOCAL_LIMIT + 1, "as case.h has it");

/* Linux's, of a program without thread-local segments; the kernel's own as far as their privilege
 * shows. 0x78 has the processor's number for its limit. */
static const uint64_t global[16] = {
    [1] = 0x00cf9b000000ffff, [2] = 0x00af9b000000ffff,  [3] = 0x00cf93000000ffff,
    [4] = 0x00cffb000000ffff, [5] = 0x00cff3000000ffff,  [6] = 0x00affb000000ffff,
    [8] = 0x00008b0000000067, [10] = 0x0000820000000000, [15] = 0x0040f50000000000,
};

static uint64_t local_descriptor(unsigned i)
{
    uint64_t base = local[i].base, limit = local[i].limit, flags = local[i].flags;
    /* As Linux makes it: accessed, level 3, read_exec_only inverted, useable for AVL. */
    uint64_t access =
        0x71 | (flags & READ_ONLY ? 0 : 2) | local[i].contents << 2 | (flags & ABSENT ? 0 : 0x80);
    uint64_t more = 1 | (flags & BIG ? 4 : 0) | (flags & PAGES ? 8 : 0);
    return (limit & 0xffff) | (base & 0xffffff) << 16 | access << 40 | (limit >> 16) << 48 |
           more << 52 | (base >> 24) << 56;
}

uint64_t segments_descriptor(unsigned selector)
{
    unsigned i = selector >> 3;
    if (selector & 4)
        return i && i < ARRAY_LEN(local) ? local_descriptor(i) : 0;
    return i < ARRAY_LEN(global) ? global[i] : 0;
}

bool segments_install(void)
{
    for (unsigned i = 1; i < ARRAY_LEN(local); i++) {
        struct user_desc desc = {
            .entry_number = i,
            .base_addr = local[i].base,
            .limit = local[i].limit,
            .seg_32bit = (local[i].flags & BIG) != 0,
            .contents = local[i].contents,
            .read_exec_only = local[i].flags & READ_ONLY,
            .limit_in_pages = (local[i].flags & PAGES) != 0,
            .seg_not_present = (local[i].flags & ABSENT) != 0,
            .useable = 1,
        };
        if (syscall(SYS_modify_ldt, 0x11, &desc, sizeof(desc)) != 0)
            return false;
    }
    return true;
}

struct segment segments_load(uint16_t selector)
{
    uint64_t raw = selector > 3 ? segments_descriptor(selector) : 0;
    struct segment s = {.selector = selector, .access = SEG_UNUSABLE};
    if (!(raw >> 47 & 1))
        return s;
    s.access = (uint32_t)(raw >> 40) & 0xf0ff;
    s.limit = (uint32_t)(raw & 0xffff) | ((uint32_t)(raw >> 32) & 0xf0000);
    if (s.access & SEG_G)
        s.limit = s.limit << 12 | 0xfff;
    s.base = (raw >> 16 & 0xffffff) | (raw >> 56) << 24;
    return s;
}

bool segment_is_code(const struct segment *s)
{
    return !(s->access & SEG_UNUSABLE) && s->access & SEG_S && s->access & 8;
}

unsigned segment_bits(const struct segment *s)
{
    return s->access & SEG_L ? 64 : s->access & SEG_DB ? 32 : 16;
}

/* Bytes of code from CODE on that the segment reaches. */
unsigned segments_code_room(const struct input *input)
{
    struct segment s = segments_load(input->sel[SEG_CS]);
    uint64_t end = s.base + s.limit + 1;
    return end < CODE + CODE_SIZE_BYTES ? (unsigned)(end - CODE) : CODE_SIZE_BYTES;
}

static uint16_t one_of(struct rng *rng, const uint16_t *table, unsigned count)
{
    return table[rng_next(rng) % count];
}

/* What the instruction runs with. */
void segments_random(struct rng *rng, struct input *input)
{
    static const uint16_t code32[] = {USER_CS32, USER_CS32, USER_CS32, 0x1f, 0x27};
    static const uint16_t code16[] = {0x0f, 0x0f, 0x17};
    static const uint16_t stacks[] = {USER_DS, 0x2f, 0x37, 0x3f, 0x47};
    static const uint16_t data[] = {USER_DS, USER_DS, 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0, 0x0f, 0x1f};
    segments_default(input);
    if (input->bits == 64)
        return;
    if (input->bits == 16 || one_in(rng, 4)) {
        input->sel[SEG_CS] = input->bits == 16 ? one_of(rng, code16, ARRAY_LEN(code16))
                                               : one_of(rng, code32, ARRAY_LEN(code32));
        if (!one_in(rng, 3))
            input->sel[SEG_SS] = one_of(rng, stacks, ARRAY_LEN(stacks));
        static const uint8_t others[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
        for (unsigned i = 0; i < ARRAY_LEN(others); i++)
            if (!one_in(rng, 3))
                input->sel[others[i]] =
                    input->bits == 16 && one_in(rng, 2) ? 0x2f : one_of(rng, data, ARRAY_LEN(data));
    }
}

void segments_default(struct input *input)
{
    input->sel[SEG_CS] = input->bits == 64 ? USER_CS64 : input->bits == 32 ? USER_CS32 : 0x0f;
    input->sel[SEG_SS] = input->sel[SEG_DS] = input->sel[SEG_ES] = USER_DS;
    input->sel[SEG_FS] = input->sel[SEG_GS] = 0;
}

/* What an instruction may load, or ask about: all that is there and some that is not. */
uint16_t choose_selector(struct rng *rng)
{
    static const uint16_t odd[] = {0x08, 0x10, 0x18, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0xffff};
    uint64_t r = rng_next(rng);
    unsigned level = r & 0x700 ? 3 : (unsigned)(r >> 12) & 3;
    switch (r % 8) {
    case 0:
        return USER_DS;
    case 1:
        return (uint16_t)((r & 0x800 ? USER_CS32 & ~3 : USER_CS64 & ~3) | level);
    case 2:
        return (uint16_t)(odd[(r >> 16) % ARRAY_LEN(odd)] | level);
    case 3:
        return (uint16_t)((r >> 16) & 3);
    default:
        return (uint16_t)((r >> 16) % (ARRAY_LEN(local) + 2) << 3 | 4 | level);
    }
}

uint16_t choose_code_selector(struct rng *rng)
{
    static const uint16_t good[] = {USER_CS32, USER_CS64, 0x0f, 0x17, 0x1f, 0x27, 0x5f, 0x67};
    return one_in(rng, 4) ? choose_selector(rng) : one_of(rng, good, ARRAY_LEN(good));
}
