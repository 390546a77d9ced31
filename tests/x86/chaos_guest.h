/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a machine full of chaos looks like: memory, descriptor and page tables, registers, all from
 * one seed. Tables are mostly sound, so that code runs on through faults and interrupts, and partly
 * garbage. Everything lies in CHAOS_RAM bytes from 0; chaos.c says what answers beyond.
 */
#ifndef TESTS_X86_CHAOS_GUEST_H
#define TESTS_X86_CHAOS_GUEST_H

#include <string.h>

#include "base/bytes.h"
#include "cpu/control.h"
#include "cpu/exception.h"
#include "cpu/segment.h"
#include "cpu/tlb.h"

enum {
    CHAOS_RAM = 512 * 1024,
    CHAOS_GDT = 0x1000,
    CHAOS_IDT = 0x2000,
    CHAOS_TSS = 0x3000,
    CHAOS_PD32 = 0x6000,
    CHAOS_PT32 = 0x7000,
    CHAOS_PDPT_PAE = 0x8000,
    CHAOS_PD = 0x9000,
    CHAOS_PT = 0xa000,
    CHAOS_PML4 = 0xb000,
    CHAOS_PDPT = 0xc000,
    CHAOS_CODE = 0x10000,
    CHAOS_USER = 0x40000, /* from here on user pages, in lives that make a difference */
};

enum chaos_mode {
    CHAOS_REAL,
    CHAOS_UNREAL,
    CHAOS_PROT16,
    CHAOS_PROT32,
    CHAOS_PAGING,
    CHAOS_PAE,
    CHAOS_V86,
    CHAOS_LONG64,
    CHAOS_COMPAT,
    CHAOS_MODES
};
static const char *const chaos_mode_names[CHAOS_MODES] = {
    "real", "unreal", "16-bit", "32-bit", "paging", "PAE", "v86", "64-bit", "compat"};

/* Selectors of the GDT whose entries are sound to begin with. */
enum {
    SEL_CODE32 = 0x08,
    SEL_DATA = 0x10,
    SEL_CODE32_USER = 0x1b,
    SEL_DATA_USER = 0x23,
    SEL_TSS = 0x28, /* and 0x30 */
    SEL_CODE64 = 0x38,
    SEL_CODE64_USER = 0x43,
    SEL_CODE16 = 0x48,
    SEL_DATA16 = 0x50,
    SEL_CODE16_USER = 0x5b,
    SEL_DATA16_USER = 0x63,
    SEL_LDT = 0x68, /* and 0x70 */
};

/* splitmix64: any seed will do, also neighbours. */
struct chaos_random {
    uint64_t state;
};

static inline uint64_t chaos_next(struct chaos_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static inline uint32_t chaos_below(struct chaos_random *r, uint32_t n)
{
    return (uint32_t)((chaos_next(r) >> 32) * n >> 32);
}

static inline bool chaos_one_in(struct chaos_random *r, uint32_t n)
{
    return chaos_below(r, n) == 0;
}

/* One life of the machine. */
struct chaos_life {
    struct chaos_random random;
    enum chaos_mode mode;
    bool user;      /* CPL 3 */
    bool split;     /* user pages from CHAOS_USER on only */
    unsigned spoil; /* one table entry in about as many is not sound */
    uint8_t ram[CHAOS_RAM];
};

static inline uint32_t chaos_code_address(struct chaos_life *life)
{
    return CHAOS_CODE + chaos_below(&life->random, CHAOS_RAM - CHAOS_CODE);
}

/* Where the kernel's code and stacks are. */
static inline uint32_t chaos_kernel_address(struct chaos_life *life)
{
    return CHAOS_CODE +
           chaos_below(&life->random, (life->split ? CHAOS_USER : CHAOS_RAM) - CHAOS_CODE);
}

/* Where the code that runs first is. */
static inline uint32_t chaos_start_address(struct chaos_life *life)
{
    if (!life->user)
        return chaos_kernel_address(life);
    return CHAOS_USER + chaos_below(&life->random, CHAOS_RAM - CHAOS_USER);
}

/* Values that a register, an immediate or a displacement may hold. */
static inline uint64_t chaos_value(struct chaos_life *life)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     0x7f,
                                     0xff,
                                     0x7ffe,
                                     0xfffe,
                                     0xffff,
                                     0x10000,
                                     0xfffff,
                                     0x100000,
                                     0x10ffef,
                                     0x7ffffffc,
                                     0xfffffffc,
                                     0xffffffff,
                                     0x100000000,
                                     0x7ffffffffff8,
                                     0x7fffffffffff,
                                     0x800000000000,
                                     0xffff800000000000,
                                     0xfffffffffffffff8,
                                     UINT64_MAX};
    struct chaos_random *r = &life->random;
    switch (chaos_below(r, 8)) {
    case 0:
        return chaos_next(r);
    case 1:
        return edges[chaos_below(r, ARRAY_LEN(edges))] + chaos_below(r, 3) - 1;
    case 2:
        return chaos_below(r, 0x4000);
    case 3:
        return (chaos_code_address(life) & ~4095u) + 4096 - chaos_below(r, 16); /* across pages */
    default:
        return chaos_code_address(life);
    }
}

/* One instruction that makes sense more often than not; returns its length (at most 24). */
static inline unsigned chaos_instruction(struct chaos_life *life, uint8_t *to)
{
    struct chaos_random *r = &life->random;
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x26, 0x64, 0x65};
    static const uint8_t special[][4] = {
        {0xe2, 0xfe},       /* LOOP to itself */
        {0xeb, 0xfe},       /* JMP to itself */
        {0xf3, 0xaa},       /* REP STOSB */
        {0xf3, 0xa4},       /* REP MOVSB */
        {0xf3, 0x66, 0xa7}, /* REPE CMPSW */
        {0xf2, 0xae},       /* REPNE SCASB */
        {0xf3, 0x6c},       /* REP INSB */
        {0xf3, 0x6f},       /* REP OUTSD */
        {0xc3},
        {0xcb},
        {0xcf},
        {0x9d},
        {0xf4},
        {0xfb},
        {0xfa},
        {0xcc},
        {0x0f, 0x05}, /* SYSCALL */
        {0x0f, 0x07},
        {0x0f, 0x34},
        {0x0f, 0x35},
        {0x0f, 0x30},
        {0x0f, 0x01, 0xf8},
        {0x0f, 0x22, 0xc0}, /* MOV CR0, EAX */
        {0x0f, 0x22, 0xd8}, /* CR3 */
        {0x0f, 0x22, 0xe0}, /* CR4 */
        {0x0f, 0x23, 0xf8}, /* DR7 */
        {0x8e, 0xd0},       /* MOV SS, AX */
        {0x0f, 0xae, 0x00}, /* FXSAVE */
        {0x0f, 0xae, 0x20}, /* XSAVE */
        {0x0f, 0xae, 0x28}, /* XRSTOR */
        {0x0f, 0x01, 0x38}, /* INVLPG */
        {0x0f, 0xc7, 0x08}, /* CMPXCHG8B */
    };
    unsigned n = 0;
    if (chaos_one_in(r, 12)) {
        const uint8_t *bytes = special[chaos_below(r, ARRAY_LEN(special))];
        for (n = 0; n < 4 && (bytes[n] || n == 0 || (n < 3 && bytes[0] == 0x0f && n == 2)); n++)
            to[n] = bytes[n];
        return n;
    }
    while (chaos_one_in(r, 4) && n < 5)
        to[n++] = prefixes[chaos_below(r, ARRAY_LEN(prefixes))];
    bool code64 = life->mode == CHAOS_LONG64;
    if (code64 && chaos_one_in(r, 2))
        to[n++] = 0x40 | chaos_below(r, 16);
    uint32_t kind = chaos_below(r, 32);
    uint8_t opcode = (uint8_t)chaos_next(r);
    if (kind < 18) {
        to[n++] = opcode;
    } else if (kind < 26) {
        to[n++] = 0x0f;
        to[n++] = opcode;
    } else if (kind < 28) {
        to[n++] = 0x0f;
        to[n++] = chaos_one_in(r, 2) ? 0x38 : 0x3a;
        to[n++] = opcode;
    } else if (kind < 30) { /* VEX */
        to[n++] = 0xc4;
        to[n++] = (uint8_t)(chaos_next(r) & 0xe0) | (uint8_t)(1 + chaos_below(r, 3));
        to[n++] = (uint8_t)chaos_next(r);
        to[n++] = opcode;
    } else if (kind < 31) { /* x87 */
        to[n++] = 0xd8 | (opcode & 7);
    } else { /* EVEX */
        to[n++] = 0x62;
        to[n++] = (uint8_t)(chaos_next(r) & 0xf0) | (uint8_t)(1 + chaos_below(r, 3));
        to[n++] = (uint8_t)chaos_next(r) | 4;
        to[n++] = (uint8_t)chaos_next(r);
        to[n++] = opcode;
    }
    to[n++] = (uint8_t)chaos_next(r); /* ModRM, or the first byte of an immediate */
    unsigned more = chaos_below(r, 3);
    if (more == 1)
        to[n++] = (uint8_t)chaos_next(r);
    if (more == 2) {
        store_le32(to + n, (uint32_t)chaos_value(life));
        n += 4;
    }
    return n;
}

/* Fills RAM: page by page random bytes, made-up instructions, or pieces of real code (what this
 * program itself is made of), a little spoilt. */
static inline void chaos_fill(struct chaos_life *life, const uint8_t *corpus, size_t corpus_size)
{
    struct chaos_random *r = &life->random;
    unsigned style = chaos_below(r, 4); /* of this life; 3: mixed */
    for (unsigned at = 0; at < CHAOS_RAM; at += 4096) {
        uint8_t *page = life->ram + at;
        switch (style == 3 ? chaos_below(r, 3) : style) {
        case 0:
            for (unsigned i = 0; i < 4096; i += 8)
                store_le64(page + i, chaos_next(r));
            break;
        case 1:
            for (unsigned i = 0; i < 4096;) {
                uint8_t bytes[32];
                unsigned n = chaos_instruction(life, bytes);
                n = n < 4096 - i ? n : 4096 - i;
                memcpy(page + i, bytes, n);
                i += n;
            }
            break;
        default:
            memcpy(page, corpus + chaos_next(r) % (corpus_size - 4096), 4096);
            for (unsigned k = chaos_below(r, 64); k; k--)
                page[chaos_below(r, 4096)] = (uint8_t)chaos_next(r);
        }
    }
}

static inline void chaos_put(struct chaos_life *life, uint32_t at, uint64_t value)
{
    store_le64(life->ram + at, value);
}

static inline uint64_t chaos_descriptor(uint32_t base, uint32_t limit, uint32_t access)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(access & 0xff) << 40 |
           (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)(access >> 12 & 15) << 52 |
           (uint64_t)(base >> 24) << 56;
}

static inline void chaos_gdt(struct chaos_life *life)
{
    struct chaos_random *r = &life->random;
    static const struct {
        uint16_t selector;
        uint32_t base, limit, access;
    } sound[] = {
        {0, 0, 0, 0},
        {SEL_CODE32, 0, 0xfffff, 0xc09a},
        {SEL_DATA, 0, 0xfffff, 0xc092},
        {SEL_CODE32_USER, 0, 0xfffff, 0xc0fa},
        {SEL_DATA_USER, 0, 0xfffff, 0xc0f2},
        {SEL_TSS, CHAOS_TSS, 0x2fff, 0x0089},
        {0x30, 0, 0, 0},
        {SEL_CODE64, 0, 0xfffff, 0xa09a},
        {SEL_CODE64_USER, 0, 0xfffff, 0xa0fa},
        {SEL_CODE16, 0x10000, 0xffff, 0x009a},
        {SEL_DATA16, 0x10000, 0xffff, 0x0092},
        {SEL_CODE16_USER, 0x10000, 0xffff, 0x00fa},
        {SEL_DATA16_USER, 0x10000, 0xffff, 0x00f2},
        {SEL_LDT, CHAOS_GDT, 0xfff, 0x0082},
        {0x70, 0, 0, 0},
    };
    for (unsigned i = 0; i < 512; i++) {
        uint64_t value = chaos_next(r);
        if (!chaos_one_in(r, 4)) /* a descriptor of any type, not far from sense */
            value = chaos_descriptor((uint32_t)chaos_value(life), (uint32_t)chaos_value(life),
                                     (chaos_one_in(r, 8) ? 0 : 0x80) |
                                         (uint32_t)(chaos_next(r) & 0xf07f));
        chaos_put(life, CHAOS_GDT + i * 8, value);
    }
    for (unsigned i = 0; i < ARRAY_LEN(sound); i++)
        if (!chaos_one_in(r, 4 * life->spoil))
            chaos_put(life, CHAOS_GDT + (sound[i].selector & ~7u),
                      chaos_descriptor(sound[i].base, sound[i].limit, sound[i].access));
}

static inline void chaos_idt(struct chaos_life *life)
{
    struct chaos_random *r = &life->random;
    bool wide = life->mode >= CHAOS_LONG64;
    for (unsigned i = 0; i < 256; i++) {
        uint64_t target = chaos_kernel_address(life);
        if (chaos_one_in(r, life->spoil))
            target = chaos_value(life);
        uint16_t selector = wide ? SEL_CODE64 : chaos_one_in(r, 4) ? SEL_CODE16 : SEL_CODE32;
        if (chaos_one_in(r, life->spoil))
            selector = (uint16_t)chaos_next(r);
        static const uint8_t types[] = {0x8e, 0x8f, 0xee, 0xef};
        static const uint8_t narrow_types[] = {0x86, 0x87, 0xe6, 0xe7, 0x85, 0xe5};
        uint8_t type = types[chaos_below(r, 4)];
        if (!wide && chaos_one_in(r, 8))
            type = narrow_types[chaos_below(r, 6)];
        if ((type & 0x1f) == 5)
            selector = SEL_TSS;
        uint64_t gate = (target & 0xffff) | (uint64_t)selector << 16 | (uint64_t)type << 40 |
                        (target >> 16 & 0xffff) << 48;
        if (wide && chaos_one_in(r, 4))
            gate |= (uint64_t)chaos_below(r, 8) << 32;
        if (chaos_one_in(r, 2 * life->spoil))
            gate = chaos_next(r);
        chaos_put(life, CHAOS_IDT + i * (wide ? 16 : 8), gate);
        if (wide)
            chaos_put(life, CHAOS_IDT + i * 16 + 8,
                      chaos_one_in(r, 2 * life->spoil) ? target : target >> 32);
    }
    for (unsigned i = 0; !wide && life->mode <= CHAOS_UNREAL && i < 256; i++)
        store_le32(life->ram + i * 4, chaos_below(r, 0x10000) | chaos_below(r, 0x7000) << 16);
}

static inline void chaos_tss(struct chaos_life *life)
{
    struct chaos_random *r = &life->random;
    uint8_t *tss = life->ram + CHAOS_TSS;
    if (life->mode >= CHAOS_LONG64) {
        for (unsigned at = 4; at < 0x5c; at += 8)
            store_le64(tss + at, chaos_one_in(r, 2 * life->spoil)
                                     ? chaos_value(life)
                                     : chaos_kernel_address(life) & ~15u);
        store_le16(tss + 0x66, (uint16_t)(0x68 + chaos_below(r, 3) * 0x1000));
        return;
    }
    for (unsigned level = 0; level < 3; level++) {
        store_le32(tss + 4 + level * 8, chaos_kernel_address(life));
        store_le32(tss + 8 + level * 8, SEL_DATA | level);
    }
    store_le32(tss + 28, CHAOS_PD32);
    store_le32(tss + 32, chaos_kernel_address(life));
    store_le32(tss + 36, (uint32_t)chaos_next(r) & 0x3ffff);
    for (unsigned i = 0; i < 6; i++)
        store_le32(tss + 72 + i * 4, i == 1 ? SEL_CODE32 : SEL_DATA);
    store_le32(tss + 96, chaos_one_in(r, 4) ? SEL_LDT : 0);
    store_le16(tss + 102, (uint16_t)(0x88 + chaos_below(r, 3) * 0x1000));
}

/* A page table entry for the page at `frame`, or nearly. */
static inline uint64_t chaos_entry(struct chaos_life *life, uint64_t frame, bool wide)
{
    struct chaos_random *r = &life->random;
    uint64_t entry = frame | 7;
    unsigned spoil = life->spoil;
    if (life->split && frame >= CHAOS_CODE && frame < CHAOS_USER)
        entry &= ~4ull;
    if (chaos_one_in(r, 2 * spoil))
        entry &= ~1ull;
    if (chaos_one_in(r, spoil))
        entry &= ~2ull;
    if (chaos_one_in(r, spoil))
        entry ^= 4;
    if (chaos_one_in(r, spoil))
        entry = (entry & 4095) | (uint64_t)chaos_below(r, 0x300) << 12;
    if (chaos_one_in(r, 2))
        entry |= chaos_next(r) & 0x178; /* PWT PCD A D G */
    if (wide && chaos_one_in(r, 2 * spoil))
        entry |= 1ull << 63;
    if (chaos_one_in(r, 8 * spoil))
        entry = chaos_next(r);
    return entry;
}

static inline void chaos_page_tables(struct chaos_life *life)
{
    struct chaos_random *r = &life->random;
    for (unsigned i = 0; i < 1024; i++) {
        store_le32(life->ram + CHAOS_PT32 + i * 4,
                   (uint32_t)chaos_entry(life, (uint64_t)i << 12, false));
        uint64_t entry = chaos_entry(life, i % 4 ? CHAOS_PT32 : CHAOS_PD32, false);
        if (chaos_one_in(r, 4)) /* a large page */
            entry = (chaos_next(r) & 0xffc000) | 0xe7;
        store_le32(life->ram + CHAOS_PD32 + i * 4, (uint32_t)entry);
    }
    static const uint32_t next[] = {CHAOS_PT, CHAOS_PD, CHAOS_PDPT};
    static const uint32_t tables[] = {CHAOS_PD, CHAOS_PDPT, CHAOS_PML4};
    for (unsigned i = 0; i < 512; i++) {
        chaos_put(life, CHAOS_PT + i * 8, chaos_entry(life, (uint64_t)i << 12, true));
        for (unsigned k = 0; k < 3; k++) {
            uint64_t entry = chaos_entry(life, next[k], true);
            if (k < 2 && chaos_one_in(r, 4))
                entry = (chaos_next(r) & 0x3fe00000) | 0xe7;
            chaos_put(life, tables[k] + i * 8, entry);
        }
    }
    /* The first of each is sound, or little would run. */
    store_le32(life->ram + CHAOS_PD32, CHAOS_PT32 | 7);
    for (unsigned k = 0; k < 3; k++) {
        chaos_put(life, tables[k], next[k] | 7);
        chaos_put(life, tables[k] + 511 * 8, next[k] | 7);
    }
    for (unsigned i = 0; i < 4; i++)
        chaos_put(life, CHAOS_PDPT_PAE + i * 8, CHAOS_PD | 1);
}

/* Raises by longjmp what the value does not allow; the caller goes on without it. */
static inline void chaos_cr(struct vcpu *cpu, unsigned n, uint64_t value)
{
    if (_setjmp(cpu->fault_exit) == 0)
        cpu_write_cr(cpu, n, value);
}

static inline void chaos_segment(struct chaos_life *life, struct vcpu *cpu,
                                 enum segment_register seg, uint16_t selector)
{
    const uint8_t *at = life->ram + CHAOS_GDT + (selector & ~7u);
    uint64_t raw = load_le64(at);
    uint32_t access = (uint32_t)(raw >> 40 & 0xff) | (uint32_t)(raw >> 52 & 15) << 12;
    uint32_t limit = (uint32_t)(raw & 0xffff) | (uint32_t)(raw >> 48 & 15) << 16;
    cpu->seg[seg] = (struct segment){
        .selector = selector,
        .access = access | (access & SEG_S ? 1 : 0),
        .limit = access & SEG_G ? limit << 12 | 0xfff : limit,
        .base = (raw >> 16 & 0xffffff) | raw >> 56 << 24,
    };
}

static inline void chaos_registers(struct chaos_life *life, struct vcpu *cpu)
{
    struct chaos_random *r = &life->random;
    bool narrow = life->mode <= CHAOS_PROT16 || life->mode == CHAOS_V86;
    for (unsigned i = RAX; i <= R15; i++)
        cpu->gpr[i] = life->mode == CHAOS_LONG64 ? chaos_value(life) : (uint32_t)chaos_value(life);
    cpu->gpr[RSP] = chaos_start_address(life) & ~7u;
    cpu->rip = chaos_start_address(life);
    if (narrow) {
        cpu->gpr[RSP] &= 0xffff;
        cpu->rip &= 0xffff;
    }
    cpu->cc = (uint32_t)(chaos_next(r) & 0xd501);
    for (unsigned i = 0; i < 4; i++)
        cpu->dr[i] = chaos_kernel_address(life);
    cpu->star = (uint64_t)SEL_CODE32 << 32 | (uint64_t)SEL_CODE32_USER << 48;
    cpu->lstar = cpu->cstar = chaos_kernel_address(life);
    cpu->sysenter_cs = SEL_CODE32;
    cpu->sysenter_eip = chaos_kernel_address(life);
    cpu->sysenter_esp = chaos_kernel_address(life);
}

/* Puts the processor, fresh from reset, into the life's mode. */
static inline void chaos_enter(struct chaos_life *life, struct vcpu *cpu)
{
    struct chaos_random *r = &life->random;
    enum chaos_mode mode = life->mode;
    static const uint64_t cr0_bits[] = {CR0_MP, CR0_EM, CR0_TS, CR0_NE, CR0_WP, CR0_AM};
    static const uint64_t cr4_bits[] = {
        CR4_VME,  CR4_PVI,  CR4_TSD,  CR4_DE,       CR4_PSE,     CR4_MCE,    CR4_PGE,       CR4_PCE,
        CR4_UMIP, CR4_SMEP, CR4_SMAP, CR4_FSGSBASE, CR4_OSXSAVE, CR4_OSFXSR, CR4_OSXMMEXCPT};
    for (unsigned i = 0; i < ARRAY_LEN(cr4_bits); i++) {
        bool needs_split = cr4_bits[i] & (CR4_SMEP | CR4_SMAP);
        if (chaos_one_in(r, i > 11 ? 1 : 4) && (life->split || !needs_split))
            chaos_cr(cpu, 4, cpu->cr4 | cr4_bits[i]);
    }
    uint64_t cr0 = CR0_ET;
    for (unsigned i = 0; i < ARRAY_LEN(cr0_bits); i++)
        if (chaos_one_in(r, i == 1 || i == 2 ? 16 : 2))
            cr0 |= cr0_bits[i];
    chaos_registers(life, cpu);
    if (mode <= CHAOS_UNREAL) {
        chaos_cr(cpu, 0, cr0);
        if (mode == CHAOS_REAL && chaos_one_in(r, 4)) {
            cpu->rip = 0xfff0; /* the reset vector itself, in ROM */
            return;
        }
        for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++) {
            cpu_load_segment_real(cpu, (enum segment_register)seg,
                                  (uint16_t)chaos_below(r, chaos_one_in(r, 8) ? 0x10000 : 0x7000));
            if (mode == CHAOS_UNREAL && seg != SEG_CS)
                cpu->seg[seg].limit = 0xffffffff;
        }
        return;
    }
    cpu->gdtr = (struct table_register){CHAOS_GDT, 0xfff};
    cpu->idtr = (struct table_register){CHAOS_IDT, mode >= CHAOS_LONG64 ? 0xfff : 256 * 8 - 1};
    bool wide = mode == CHAOS_PAE || mode >= CHAOS_LONG64;
    if (wide)
        chaos_cr(cpu, 4, cpu->cr4 | CR4_PAE);
    chaos_cr(cpu, 3, mode >= CHAOS_LONG64 ? CHAOS_PML4 : wide ? CHAOS_PDPT_PAE : CHAOS_PD32);
    if (mode >= CHAOS_LONG64 || mode == CHAOS_PAE)
        cpu_write_msr(cpu, 0xc0000080, EFER_SCE | EFER_NXE | (mode >= CHAOS_LONG64 ? EFER_LME : 0));
    bool paging = mode == CHAOS_PAGING || wide || (mode == CHAOS_V86 && chaos_one_in(r, 2));
    chaos_cr(cpu, 0, cr0 | CR0_PE | (paging ? CR0_PG : 0));
    if (!cpu_protected(cpu))
        return; /* a model without what it takes: real mode once more */
    bool narrow = mode == CHAOS_PROT16, code64 = mode == CHAOS_LONG64 && cpu_long_mode(cpu);
    uint16_t code, data;
    if (life->user) {
        code = narrow ? SEL_CODE16_USER : code64 ? SEL_CODE64_USER : SEL_CODE32_USER;
        data = narrow ? SEL_DATA16_USER : SEL_DATA_USER;
    } else {
        code = narrow ? SEL_CODE16 : code64 ? SEL_CODE64 : SEL_CODE32;
        data = narrow ? SEL_DATA16 : SEL_DATA;
    }
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++)
        chaos_segment(life, cpu, (enum segment_register)seg, seg == SEG_CS ? code : data);
    chaos_segment(life, cpu, SEG_TR, SEL_TSS);
    cpu->seg[SEG_TR].access |= 2;
    chaos_segment(life, cpu, SEG_LDTR, SEL_LDT);
    cpu->cpl = life->user ? 3 : 0;
    cpu->rflags = (cpu->rflags & ~(uint64_t)FLAG_IOPL) | (chaos_next(r) & FLAG_IOPL);
    if (mode == CHAOS_V86) {
        cpu->rflags |= FLAG_VM;
        cpu->cpl = 3;
        for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++) {
            uint16_t selector = (uint16_t)chaos_below(r, 0x7000);
            cpu->seg[seg] = (struct segment){selector, 0xf3, 0xffff, (uint64_t)selector << 4};
        }
    }
}

#endif
