/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * x86-isolation: guest code under the translator reaches guest RAM and nothing else of the process.
 *
 * Every kind of memory operand is sent, in every mode, to the addresses that matter in this
 * process: what the translator keeps (registers, code, shadow maps, windows), the neighbours of
 * guest RAM, pages that lie powers of two away from where it is mapped, and the sums and
 * differences by which they would be reached if an address were cut or a map's entry used for
 * another page. There are canaries wherever the process has room for them. Each access runs in the
 * interpreter too, which computes no host address from a guest's, and must end alike: so nothing
 * was read. And the canaries are what they were: nothing was written.
 *
 *   x86-isolation [PROPERTIES [SEED [ROUNDS]]]    of the translator, as in bmi2=off; "" for none
 */
#include "blocks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "engine/dbt/dbt.h"
#include "engine/dbt/internal.h"
#include "engine/interp/interp.h"

/* Operands */

enum way {
    BY_BASE,     /* base, and index and displacement perhaps: ModRM behind the opcode */
    BY_PLAIN,    /* VEX and EVEX, with rbx only */
    BY_ELEMENTS, /* rbx + xmm1 * 1 */
    BY_SI,       /* the instruction implies rsi; */
    BY_DI,
    BY_BOTH, /* rsi and rdi */
    BY_SP,
    BY_SP_BELOW, /* what is pushed */
    BY_BP,
    BY_TABLE,  /* XLAT */
    BY_BITS,   /* a bit string's offset, in rax, leads there from the data pages */
    BY_OFFSET, /* the address is in the instruction */
};

enum { ALL, ONLY64, ONLY32, SUPER }; /* SUPER: level 0 */

struct form {
    const char *name;
    uint8_t bytes[7];
    uint8_t length;
    uint8_t reg; /* of ModRM */
    uint8_t way, modes;
    bool rex_w;
};

static const struct form forms[] = {
    {"mov reg, [m]", {0x8b}, 1, 0, BY_BASE, ALL, true},
    {"mov [m], reg", {0x89}, 1, 0, BY_BASE, ALL, true},
    {"mov reg, [m]", {0x8b}, 1, 2, BY_BASE, ALL, false},
    {"mov [m], al", {0x88}, 1, 0, BY_BASE, ALL, false},
    {"mov dl, [m]", {0x8a}, 1, 2, BY_BASE, ALL, false},
    {"movzx", {0x0f, 0xb7}, 2, 2, BY_BASE, ALL, false},
    {"add [m], reg", {0x01}, 1, 0, BY_BASE, ALL, true},
    {"add reg, [m]", {0x03}, 1, 2, BY_BASE, ALL, true},
    {"lock xadd", {0xf0, 0x0f, 0xc1}, 3, 0, BY_BASE, ALL, false},
    {"xchg", {0x87}, 1, 0, BY_BASE, ALL, true},
    {"lock cmpxchg", {0xf0, 0x0f, 0xb1}, 3, 2, BY_BASE, ALL, false},
    {"cmpxchg16b, 8b", {0x0f, 0xc7}, 2, 1, BY_BASE, ALL, true},
    {"inc", {0xfe}, 1, 0, BY_BASE, ALL, false},
    {"cmovne", {0x0f, 0x45}, 2, 2, BY_BASE, ALL, true},
    {"setne", {0x0f, 0x95}, 2, 0, BY_BASE, ALL, false},
    {"movbe", {0x0f, 0x38, 0xf1}, 3, 0, BY_BASE, ALL, true},
    {"movnti", {0x0f, 0xc3}, 2, 0, BY_BASE, ALL, true},
    {"crc32", {0xf2, 0x0f, 0x38, 0xf0}, 4, 2, BY_BASE, ALL, false},
    {"push [m]", {0xff}, 1, 6, BY_BASE, ALL, false},
    {"pop [m]", {0x8f}, 1, 0, BY_BASE, ALL, false},
    {"call [m]", {0xff}, 1, 2, BY_BASE, ALL, false},
    {"jmp [m]", {0xff}, 1, 4, BY_BASE, ALL, false},
    {"movups xmm, [m]", {0x0f, 0x10}, 2, 1, BY_BASE, ALL, false},
    {"movups [m], xmm", {0x0f, 0x11}, 2, 1, BY_BASE, ALL, false},
    {"movaps [m], xmm", {0x0f, 0x29}, 2, 1, BY_BASE, ALL, false},
    {"movss xmm, [m]", {0xf3, 0x0f, 0x10}, 3, 1, BY_BASE, ALL, false},
    {"movntps", {0x0f, 0x2b}, 2, 1, BY_BASE, ALL, false},
    {"fld tword", {0xdb}, 1, 5, BY_BASE, ALL, false},
    {"fstp tword", {0xdb}, 1, 7, BY_BASE, ALL, false},
    {"fnstenv", {0xd9}, 1, 6, BY_BASE, ALL, false},
    {"fxsave", {0x0f, 0xae}, 2, 0, BY_BASE, ALL, false},
    {"fxrstor", {0x0f, 0xae}, 2, 1, BY_BASE, ALL, false},
    {"xsave", {0x0f, 0xae}, 2, 4, BY_BASE, ALL, false},
    {"xrstor", {0x0f, 0xae}, 2, 5, BY_BASE, ALL, false},
    {"stmxcsr", {0x0f, 0xae}, 2, 3, BY_BASE, ALL, false},
    {"sgdt", {0x0f, 0x01}, 2, 0, BY_BASE, SUPER, false},
    {"lfs", {0x0f, 0xb4}, 2, 2, BY_BASE, ALL, false},
    {"prefetch", {0x0f, 0x18}, 2, 1, BY_BASE, ALL, false},
    {"clflush", {0x0f, 0xae}, 2, 7, BY_BASE, ALL, false},
    {"vmovups ymm1, [m]", {0xc5, 0xfc, 0x10}, 3, 1, BY_PLAIN, ALL, false},
    {"vmovups [m], ymm1", {0xc5, 0xfc, 0x11}, 3, 1, BY_PLAIN, ALL, false},
    {"vmaskmovps ymm1, ymm2, [m]", {0xc4, 0xe2, 0x6d, 0x2c}, 4, 1, BY_PLAIN, ALL, false},
    {"vmaskmovps [m], ymm2, ymm1", {0xc4, 0xe2, 0x6d, 0x2e}, 4, 1, BY_PLAIN, ALL, false},
    {"vmovups zmm1, [m]", {0x62, 0xf1, 0x7c, 0x48, 0x10}, 5, 1, BY_PLAIN, ALL, false},
    {"vmovups [m], zmm1", {0x62, 0xf1, 0x7c, 0x48, 0x11}, 5, 1, BY_PLAIN, ALL, false},
    {"vmovups [m] {k1}, zmm1", {0x62, 0xf1, 0x7c, 0x49, 0x11}, 5, 1, BY_PLAIN, ALL, false},
    {"vpcompressd [m] {k1}, zmm1", {0x62, 0xf2, 0x7d, 0x49, 0x8b}, 5, 1, BY_PLAIN, ALL, false},
    {"vbroadcastf32x4", {0x62, 0xf2, 0x7d, 0x48, 0x1a}, 5, 1, BY_PLAIN, ALL, false},
    {"vpgatherdd", {0xc4, 0xe2, 0x69, 0x90, 0x04, 0x0b}, 6, 0, BY_ELEMENTS, ALL, false},
    {"vpgatherdq", {0xc4, 0xe2, 0xe9, 0x90, 0x04, 0x0b}, 6, 0, BY_ELEMENTS, ALL, false},
    {"vpscatterdd", {0x62, 0xf2, 0x7d, 0x49, 0xa0, 0x04, 0x0b}, 7, 0, BY_ELEMENTS, ALL, false},
    {"lodsb", {0xac}, 1, 0, BY_SI, ALL, false},
    {"rep lodsd", {0xf3, 0xad}, 2, 0, BY_SI, ALL, false},
    {"movsd", {0xa5}, 1, 0, BY_BOTH, ALL, false},
    {"rep movsb", {0xf3, 0xa4}, 2, 0, BY_BOTH, ALL, false},
    {"rep movsd", {0xf3, 0xa5}, 2, 0, BY_SI, ALL, false},
    {"rep movsd", {0xf3, 0xa5}, 2, 0, BY_DI, ALL, false},
    {"rep movsq", {0xf3, 0x48, 0xa5}, 3, 0, BY_SI, ONLY64, false},
    {"rep movsq", {0xf3, 0x48, 0xa5}, 3, 0, BY_DI, ONLY64, false},
    {"stosd", {0xab}, 1, 0, BY_DI, ALL, false},
    {"rep stosb", {0xf3, 0xaa}, 2, 0, BY_DI, ALL, false},
    {"rep stosq", {0xf3, 0x48, 0xab}, 3, 0, BY_DI, ONLY64, false},
    {"repe cmpsb", {0xf3, 0xa6}, 2, 0, BY_BOTH, ALL, false},
    {"repne scasb", {0xf2, 0xae}, 2, 0, BY_DI, ALL, false},
    {"maskmovdqu", {0x66, 0x0f, 0xf7, 0xca}, 4, 0, BY_DI, ALL, false},
    {"push", {0x50}, 1, 0, BY_SP_BELOW, ALL, false},
    {"push imm32", {0x68, 1, 2, 3, 4}, 5, 0, BY_SP_BELOW, ALL, false},
    {"pushf", {0x9c}, 1, 0, BY_SP_BELOW, ALL, false},
    {"call", {0xe8, 0, 0, 0, 0}, 5, 0, BY_SP_BELOW, ALL, false},
    {"enter", {0xc8, 16, 0, 1}, 4, 0, BY_SP_BELOW, ALL, false},
    {"pusha", {0x60}, 1, 0, BY_SP_BELOW, ONLY32, false},
    {"pop", {0x5a}, 1, 0, BY_SP, ALL, false},
    {"pop rsp", {0x5c}, 1, 0, BY_SP, ALL, false},
    {"popf", {0x9d}, 1, 0, BY_SP, SUPER, false},
    {"ret", {0xc3}, 1, 0, BY_SP, ALL, false},
    {"retf", {0xcb}, 1, 0, BY_SP, ALL, false},
    {"iret", {0xcf}, 1, 0, BY_SP, ALL, false},
    {"int3", {0xcc}, 1, 0, BY_SP_BELOW, ALL, false},
    {"leave", {0xc9}, 1, 0, BY_BP, ALL, false},
    {"xlat", {0xd7}, 1, 0, BY_TABLE, ALL, false},
    {"bt", {0x0f, 0xa3}, 2, 0, BY_BITS, ALL, true},
    {"bts", {0x0f, 0xab}, 2, 0, BY_BITS, ALL, true},
    {"mov al, [offset]", {0xa0}, 1, 0, BY_OFFSET, ALL, false},
    {"mov eax, [offset]", {0xa1}, 1, 0, BY_OFFSET, ALL, true},
    {"mov [offset], al", {0xa2}, 1, 0, BY_OFFSET, ALL, false},
    {"mov [offset], eax", {0xa3}, 1, 0, BY_OFFSET, ALL, true},
};

/* Where they go */

enum {
    CANARIES = 256,
    CANARY_PAGES = 4,
    TARGETS = 4096,
    NEAR_PAGES = 64,
    FORM_ROUNDS = 120, /* of each form in each mode */
    ASAN_ROUNDS = 6,
};

static const uint64_t canary_word = 0x5ca1ab1e0ddba11c;

/* An address, and one that is there and is accessed before it, so that the map has an entry. */
struct aim {
    uint64_t addr, home;
};

struct sweep {
    struct machine *interp, *dbt;
    struct rng rng;
    uint64_t *canaries[CANARIES];
    unsigned canary_count;
    struct aim targets[TARGETS];
    unsigned target_count;
    uint64_t runs, endless, wrong;
};

static uint64_t *canary_at(struct sweep *s, uint64_t addr)
{
    void *hint = (void *)(uintptr_t)addr;
    size_t size = CANARY_PAGES * PAGE_SIZE;
    int fixed = addr ? MAP_FIXED_NOREPLACE : 0;
    if (s->canary_count == CANARIES)
        return NULL;
    uint64_t *at =
        mmap(hint, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    for (size_t i = 0; i < size / 8; i++)
        at[i] = canary_word;
    s->canaries[s->canary_count++] = at;
    return at;
}

static bool canaries_live(const struct sweep *s)
{
    for (unsigned c = 0; c < s->canary_count; c++)
        for (size_t i = 0; i < CANARY_PAGES * PAGE_SIZE / 8; i++)
            if (s->canaries[c][i] != canary_word)
                return false;
    return true;
}

/* home 0: any */
static void target(struct sweep *s, uint64_t addr, uint64_t home)
{
    if (s->target_count < TARGETS)
        s->targets[s->target_count++] = (struct aim){addr, home};
}

/* The pages of RAM that the guest has at these addresses, and where the translator has them. */
static const uint32_t pages[] = {0, DATA, DATA + 0x1000, DATA + 0x3000, STACK, DATA + 0xf000};

static uint64_t window_of(const struct sweep *s, unsigned page, bool writable)
{
    struct dbt_vcpu *d = dbt_vcpu(machine_cpu(s->dbt));
    return (uintptr_t)window_page(&d->dbt->windows, machine_ram_object(s->dbt), page, writable);
}

/* As near below and above as the process has room, and powers of two away. */
static void surround(struct sweep *s, uint64_t first, uint64_t end)
{
    bool below = false, above = false;
    for (unsigned i = 0; i < NEAR_PAGES; i++) {
        uint64_t by = i * PAGE_SIZE;
        below = below || canary_at(s, first - CANARY_PAGES * PAGE_SIZE - by);
        above = above || canary_at(s, end + by);
    }
    for (unsigned bit = 30; bit < 47; bit++)
        canary_at(s, first ^ UINT64_C(1) << bit);
}

/* Host addresses, and guest addresses from which an entry of another page leads to them. */
static void host_target(struct sweep *s, const void *host)
{
    uint64_t addr = (uintptr_t)host;
    target(s, addr, 0);
    target(s, addr & UINT32_MAX, 0);
    for (unsigned i = 0; i < ARRAY_LEN(pages); i++)
        for (unsigned writable = 0; writable < 2; writable++)
            target(s, addr - (window_of(s, pages[i] / PAGE_SIZE, writable) - pages[i]), pages[i]);
}

static void gather_targets(struct sweep *s)
{
    struct dbt_vcpu *d = dbt_vcpu(machine_cpu(s->dbt));
    const struct vcpu *cpu = machine_cpu(s->dbt);
    uint64_t last = RAM_SIZE / PAGE_SIZE - 1;
    for (unsigned writable = 0; writable < 2; writable++)
        for (unsigned odd = 0; odd < 2; odd++) {
            uint64_t first = window_of(s, odd, writable) - odd * PAGE_SIZE;
            uint64_t end =
                window_of(s, (unsigned)(last & ~1ull) + odd, writable) + (2 - odd) * PAGE_SIZE;
            surround(s, first, end);
            host_target(s, (void *)(uintptr_t)(first - 8));
            host_target(s, (void *)(uintptr_t)end);
        }
    canary_at(s, 0);
    for (unsigned i = 0; i < s->canary_count; i++)
        host_target(s, s->canaries[i] + 64);
    const void *const own[] = {
        cpu,
        cpu->gpr,
        cpu->frame,
        &cpu->fpu,
        d,
        d->code.run,
        d->code.write,
        d->enter,
        d->maps[0].entries,
        d->maps[1].entries,
        d->writable,
        machine_ram(s->dbt),
        machine_ram(s->dbt) + RAM_SIZE,
        &canary_word,
        s,
        d->maps[0].entries + map_index(DATA),
    };
    for (unsigned i = 0; i < ARRAY_LEN(own); i++)
        host_target(s, own[i]);
    for (unsigned i = 0; i < ARRAY_LEN(pages); i++)
        target(s, pages[i], 0);
    target(s, RAM_SIZE - PAGE_SIZE, 0);
    target(s, UINT64_C(1) << 47, 0);
    target(s, UINT64_MAX, 0);
    target(s, UINT32_MAX, 0);
    target(s, UINT64_C(0xffffffffff600000), 0); /* vsyscall */
}

/* One access */

static struct aim any_aim(struct sweep *s)
{
    uint64_t r = rng_next(&s->rng), by = r >> 36 & 63;
    struct aim aim = s->targets[r % s->target_count];
    uint64_t page = pages[1 + (r >> 52) % (ARRAY_LEN(pages) - 1)];
    if (!aim.home)
        aim.home = page;
    switch (r >> 32 & 7) {
    case 0:
    case 1:
        return aim;
    case 2: /* into it, */
        return (struct aim){aim.addr + by, aim.home + by};
    case 3: /* from before it, */
        return (struct aim){aim.addr - by, aim.home};
    case 4: /* over its page's end */
        return (struct aim){(aim.addr | (PAGE_SIZE - 1)) - by, aim.home};
    case 5:
        return (struct aim){aim.addr ^ (r >> 40 & 0xffff) << 48, aim.home};
    case 6: /* less or more than a page from one that is there, the first or last of RAM perhaps */
        if (r >> 56 & 1)
            page = r >> 57 & 1 ? 0 : RAM_SIZE - PAGE_SIZE;
        aim.home = page + (r >> 58 & 1 ? PAGE_SIZE - 64 : 0) + by;
        return (struct aim){aim.home + (r >> 40 & 0x1fff) - 0x1000, aim.home};
    default: /* a power of two from one that is there */
        aim.home = page + by * 8;
        aim.addr = UINT64_C(1) << (12 + (r >> 42) % 52);
        aim.addr = r >> 50 & 1 ? aim.home ^ aim.addr : aim.home - aim.addr;
        return aim;
    }
}

static struct instruction *new_item(struct program *p)
{
    struct instruction *i = &p->insn[p->count++];
    memset(i, 0, sizeof(*i));
    return i;
}

static void add(struct instruction *i, unsigned byte)
{
    instruction_add(i, byte);
}

static void add_value(struct instruction *i, uint64_t value, unsigned size)
{
    store_le(i->bytes + i->length, value, size);
    i->length += (uint8_t)size;
}

/* How one form is written this time. */
struct use {
    const struct form *form;
    bool wide, narrow_address, fs;
    unsigned base, index, scale; /* index 4: none */
    int32_t disp;
    unsigned disp_size;
};

static void put_form(struct program *p, const struct use *u)
{
    const struct form *f = u->form;
    struct instruction *i = new_item(p);
    unsigned skip = 0;
    if (u->fs)
        add(i, 0x64);
    if (u->narrow_address)
        add(i, 0x67);
    if (f->way != BY_BASE && f->way != BY_BITS) {
        memcpy(i->bytes + i->length, f->bytes, f->length);
        i->length = (uint8_t)(i->length + f->length);
        if (f->way == BY_PLAIN)
            add(i, f->reg << 3 | RBX);
        return;
    }
    while (f->bytes[skip] >= 0xf0 && skip + 1 < f->length)
        add(i, f->bytes[skip++]);
    unsigned rex = (u->wide && f->rex_w ? 8 : 0) | (u->index >= 8 ? 2 : 0) | (u->base >= 8 ? 1 : 0);
    if (rex)
        add(i, 0x40 | rex);
    for (; skip < f->length; skip++)
        add(i, f->bytes[skip]);
    unsigned mod = u->disp_size == 0 ? 0 : u->disp_size == 1 ? 1 : 2;
    add(i, mod << 6 | f->reg << 3 | 4);
    add(i, u->scale << 6 | (u->index & 7) << 3 | (u->base & 7));
    add_value(i, (uint32_t)u->disp, u->disp_size);
}

/* cmp al, imm: flags that are defined */
static void put_compare(struct program *p)
{
    struct instruction *i = new_item(p);
    add(i, 0x3c);
    add(i, 7);
}

/* add register, rbp */
static void put_step(struct program *p, unsigned reg, bool wide)
{
    struct instruction *i = new_item(p);
    if (wide)
        add(i, 0x48 | (reg >= 8));
    add(i, 0x01);
    add(i, 0xc0 | RBP << 3 | (reg & 7));
}

/* Index and displacement are chosen; what is left is the base's. */
static uint64_t choose_operand(struct sweep *s, struct program *p, struct use *u, uint64_t addr)
{
    static const uint8_t bases[] = {RBX, RCX, RSP, R12, RSI, R15, RBX, RBX};
    uint64_t r = rng_next(&s->rng);
    u->base = bases[r % (u->wide ? 8 : 3)];
    if (u->base == R12 && !u->wide)
        u->base = RBX;
    u->index = 4;
    if (r >> 8 & 1) {
        u->index = u->wide && r >> 9 & 1 ? R14 : RDI;
        u->scale = r >> 10 & 3;
        p->gpr[u->index] = rng_next(&s->rng) >> (r >> 12 & 63);
        if (!u->wide)
            p->gpr[u->index] = (uint32_t)p->gpr[u->index];
    }
    u->disp_size = (r >> 20) % 3 == 0 ? 0 : (r >> 20) % 3 == 1 ? 1 : 4;
    u->disp = u->disp_size == 0 ? 0 : u->disp_size == 1 ? (int8_t)(r >> 24) : (int32_t)(r >> 24);
    if (u->disp_size == 4 && r >> 60 & 1)
        u->disp = (int32_t)(r >> 24 & 0x1fff) - 0x1000; /* what a reused entry may reach */
    return addr - (uint64_t)(int64_t)u->disp - (u->index == 4 ? 0 : p->gpr[u->index] << u->scale);
}

/* Registers through which the form's address comes; returns how many. */
static unsigned carriers(const struct use *u, unsigned regs[2])
{
    static const uint8_t by_way[] = {
        [BY_PLAIN] = RBX, [BY_ELEMENTS] = RBX, [BY_SI] = RSI,       [BY_DI] = RDI,
        [BY_BOTH] = RSI,  [BY_SP] = RSP,       [BY_SP_BELOW] = RSP, [BY_BP] = RBP,
        [BY_TABLE] = RBX, [BY_BITS] = RAX,     [BY_OFFSET] = RDX};
    regs[0] = u->form->way == BY_BASE ? u->base : by_way[u->form->way];
    regs[1] = RDI;
    return u->form->way == BY_BOTH ? 2 : 1;
}

/* The form at `addr`; perhaps first where memory is, with the register moved in between. */
static void make_program(struct sweep *s, struct program *p, const struct form *form,
                         struct aim aim)
{
    uint64_t r = rng_next(&s->rng), addr = aim.addr, value = addr, home = aim.home,
             mask = UINT64_MAX;
    bool wide = p->mode == LONG64;
    struct use u = {.form = form, .wide = wide, .index = 4};
    if (!wide)
        mask = UINT32_MAX;
    u.fs = wide && r % 8 == 0 && form->way != BY_SP && form->way != BY_SP_BELOW;
    u.narrow_address = wide && (r >> 4) % 8 == 0 && form->way != BY_OFFSET;
    if (u.fs) {
        p->fs_base = rng_next(&s->rng) >> (r >> 32 & 63) | 1;
        if (p->fs_base >> 47)
            p->fs_base = addr - (r >> 40 & 0xffff); /* if it is canonical: what is there is taken */
        value -= p->fs_base;
        home -= p->fs_base;
    }
    uint64_t delta = value - home;
    unsigned regs[2];
    if (form->way == BY_BASE) {
        value = choose_operand(s, p, &u, value);
    } else if (form->way == BY_BITS) {
        u.base = RBX;
        p->gpr[RBX] = home;
        value = delta * 8 + (r >> 32 & 7);
        delta = value;
    } else if (form->way == BY_SP_BELOW) {
        value += wide ? 8 : 4;
    }
    unsigned count = carriers(&u, regs);
    bool primed = r >> 55 & 3 && form->way != BY_BP && form->way != BY_OFFSET;
    p->gpr[RBP] = form->way == BY_BP ? value & mask : delta & mask;
    for (unsigned i = 0; i < count; i++)
        p->gpr[regs[i]] = (primed ? value - delta : value) & mask;
    if (form->way == BY_OFFSET) {
        put_form(p, &u);
        add_value(&p->insn[p->count - 1], value, wide ? 8 : 4);
        put_compare(p);
        return;
    }
    /* Two operands off one register: the map's entry may serve both. */
    int64_t apart = (int64_t)delta;
    if (form->way == BY_BASE && primed && r >> 57 & 1 && apart == (int32_t)apart) {
        u.index = 4;
        u.disp = 0;
        u.disp_size = 0;
        p->gpr[u.base] = home & mask;
        put_form(p, &u);
        put_compare(p);
        u.disp = (int32_t)apart;
        u.disp_size = 4;
        put_form(p, &u);
        put_compare(p);
        return;
    }
    put_form(p, &u);
    put_compare(p);
    if (!primed)
        return;
    for (unsigned i = 0; i < count; i++)
        put_step(p, regs[i], wide);
    put_form(p, &u);
    put_compare(p);
}

/* Both machines, and whether they agree */

static bool same_cpu(const struct vcpu *a, const struct vcpu *b)
{
    if (memcmp(a->gpr, b->gpr, 16 * 8) != 0 || a->rip != b->rip || a->cr2 != b->cr2)
        return false;
    return memcmp(a->fpu.zmm, b->fpu.zmm, sizeof(a->fpu.zmm)) == 0;
}

/* But page tables, where the two may have set other accessed bits. */
static bool same_memory(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, PAGE_TABLES) == 0 &&
           memcmp(a + PAGE_TABLES_END, b + PAGE_TABLES_END, MORE_TABLES - PAGE_TABLES_END) == 0;
}

static void run_one(struct sweep *s, struct program *p, const struct form *form, uint64_t addr)
{
    enum outcome a = machine_run(s->interp, p, false), b = machine_run(s->dbt, p, false);
    s->runs++;
    if (a == OUTCOME_ENDLESS || b == OUTCOME_ENDLESS) {
        s->endless++;
        return;
    }
    if (a == b && same_cpu(machine_cpu(s->interp), machine_cpu(s->dbt)) &&
        same_memory(machine_ram(s->interp), machine_ram(s->dbt)))
        return;
    if (s->wrong++ >= 10)
        return;
    printf(
        "# %s to %llx: interpreter and translator differ; seen: rip %llx / %llx, cr2 %llx / %llx\n",
        form->name, (unsigned long long)addr, (unsigned long long)machine_cpu(s->interp)->rip,
        (unsigned long long)machine_cpu(s->dbt)->rip,
        (unsigned long long)machine_cpu(s->interp)->cr2,
        (unsigned long long)machine_cpu(s->dbt)->cr2);
    program_print(p, stdout);
}

/* A way into memory: 64-bit code at both levels, 32-bit code with long mode and without, without
 * paging. */
struct setting {
    const char *name;
    enum block_mode mode;
    bool user, unpaged;
};
static const struct setting settings[] = {
    {"64-bit code, supervisor", LONG64, false, false},
    {"64-bit code, user", LONG64, true, false},
    {"compatibility mode, user", COMPAT32, true, false},
    {"32-bit code, supervisor", LEGACY32, false, false},
    {"32-bit code, user", LEGACY32, true, false},
    {"32-bit code without paging", LEGACY32, false, true},
};

static bool fits(const struct form *form, const struct setting *setting)
{
    bool wide = setting->mode == LONG64;
    return !((form->modes == ONLY64 && !wide) || (form->modes == ONLY32 && wide) ||
             (form->modes == SUPER && setting->user));
}

static void sweep(struct sweep *s, const struct setting *setting, unsigned rounds)
{
    for (unsigned f = 0; f < ARRAY_LEN(forms); f++) {
        if (!fits(&forms[f], setting))
            continue;
        for (unsigned i = 0; i < rounds; i++) {
            struct program p = {.mode = setting->mode,
                                .user = setting->user,
                                .unpaged = setting->unpaged,
                                .hot = 1,
                                .flags = 2 | (setting->user ? FLAG_IF : 0),
                                .seed = rng_next(&s->rng)};
            p.entry = CODE + (uint32_t)rng_below(&s->rng, 0xf00);
            p.gpr[RAX] = 0x0123456789abcdef;
            p.gpr[RCX] = rng_below(&s->rng, 40);
            p.gpr[RSI] = DATA + 0x100;
            p.gpr[RDI] = DATA + 0x1100;
            p.gpr[RSP] = STACK + 0x800;
            if (setting->mode != LONG64)
                p.gpr[RAX] = (uint32_t)p.gpr[RAX];
            struct aim aim = any_aim(s);
            uint64_t addr = aim.addr;
            if (setting->mode == LONG64 && addr < UINT64_C(1) << 47 && addr >> 39 && i & 1)
                p.also_at = addr & PAGE_MASK; /* it is an address of the guest's own */
            if (setting->mode != LONG64)
                aim.addr = addr = (uint32_t)addr;
            make_program(s, &p, &forms[f], aim);
            run_one(s, &p, &forms[f], addr);
        }
        if (!canaries_live(s)) {
            printf("# %s wrote to a canary\n", forms[f].name);
            s->wrong++;
            return;
        }
    }
}

int main(int argc, char **argv)
{
    static struct sweep s;
    struct error err;
    printf("1..%zu\n", ARRAY_LEN(settings));
    if (dbt_engine.usable(&err)) {
        for (unsigned i = 0; i < ARRAY_LEN(settings); i++)
            printf("ok %u - %s # SKIP %s\n", i + 1, settings[i].name, err.text);
        return 0;
    }
#ifdef __SANITIZE_ADDRESS__
    unsigned rounds = ASAN_ROUNDS;
#else
    unsigned rounds = FORM_ROUNDS;
#endif
    s.rng.state = argc > 2 ? strtoull(argv[2], NULL, 0) : 20261125;
    rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : rounds;
    s.interp = machine_new(&interp_engine, NULL);
    s.dbt = machine_new(&dbt_engine, argc > 1 && *argv[1] ? argv[1] : NULL);
    canary_at(&s, 0);
    gather_targets(&s);
    bool good = true;
    for (unsigned i = 0; i < ARRAY_LEN(settings); i++) {
        s.wrong = 0;
        sweep(&s, &settings[i], rounds);
        good &= s.wrong == 0;
        printf("%sok %u - %s\n", s.wrong ? "not " : "", i + 1, settings[i].name);
        fflush(stdout);
    }
    printf("# %u canaries, %u addresses, %llu programs, %llu of them without end\n", s.canary_count,
           s.target_count, (unsigned long long)s.runs, (unsigned long long)s.endless);
    machine_free(s.interp);
    machine_free(s.dbt);
    return good ? 0 : 1;
}
