/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state goes from the registers into struct state, and from there into the map in memory; and
 * the other way, with checks between, since the handler may have written anything into the map.
 */
#include "cpu/smm.h"

#include "base/log.h"
#include "cpu/control.h"
#include "cpu/exception.h"
#include "cpu/model.h"
#include "cpu/tlb.h"

enum {
    MAP_FIRST = 0xfe00, /* offset from SMBASE */
    MAP_FIRST32 = 0xfef8,
    MAP_END = 0x10000,
    ENTRY = 0x8000,
    REVISION32 = 1 << 17, /* SMBASE can be relocated */
    REVISION64 = REVISION32 | 0x64,
    /* Of a segment's access bits, what a descriptor has. */
    ATTRIBUTES = 0xf0ff,
};

/* What the map holds. */
struct state {
    uint64_t gpr[16], rip, rflags, cr0, cr3, cr4, efer, dr6, dr7;
    struct segment seg[SEG_COUNT];
    struct table_register gdtr, idtr;
    uint32_t smbase;
    bool halted;
};

static void collect(const struct vcpu *cpu, struct state *s)
{
    memcpy(s->gpr, cpu->gpr, sizeof(s->gpr));
    s->rip = cpu->rip;
    s->rflags = cpu_rflags(cpu);
    s->cr0 = cpu->cr0;
    s->cr3 = cpu->cr3;
    s->cr4 = cpu->cr4;
    s->efer = cpu->efer;
    s->dr6 = cpu->dr[6];
    s->dr7 = cpu->dr[7];
    memcpy(s->seg, cpu->seg, sizeof(s->seg));
    /* RSM takes the level from here: the map has no other place for it. */
    if (cpu_protected(cpu))
        s->seg[SEG_SS].access = (s->seg[SEG_SS].access & ~0x60u) | (uint32_t)cpu->cpl << 5;
    s->gdtr = cpu->gdtr;
    s->idtr = cpu->idtr;
    s->smbase = (uint32_t)cpu->smbase;
    s->halted = cpu->halted;
}

static uint32_t attributes(const struct segment *seg)
{
    return seg->access & ATTRIBUTES & (seg->access & SEG_UNUSABLE ? ~(uint32_t)SEG_P : ~0u);
}

static uint32_t access_of(uint32_t attributes)
{
    attributes &= ATTRIBUTES;
    return attributes & SEG_P ? attributes : attributes | SEG_UNUSABLE;
}

/* A place in the map by its offset from SMBASE, as the manuals give it. */
static uint8_t *at(uint8_t *map, unsigned offset)
{
    return map + (offset - MAP_FIRST);
}

/* AMD64: APM volume 2, table 10-1. Segments and tables are 16 bytes each: selector, attributes,
 * limit, base. */
static const uint16_t segments64[SEG_COUNT] = {
    [SEG_ES] = 0xfe00, [SEG_CS] = 0xfe10, [SEG_SS] = 0xfe20,   [SEG_DS] = 0xfe30,
    [SEG_FS] = 0xfe40, [SEG_GS] = 0xfe50, [SEG_LDTR] = 0xfe70, [SEG_TR] = 0xfe90};
enum {
    GDTR64 = 0xfe60,
    IDTR64 = 0xfe80,
    HALT64 = 0xfec9,
    EFER64 = 0xfed0,
    REVISION = 0xfefc, /* of both maps */
    SMBASE64 = 0xff00,
    CR4_64 = 0xff48,
    CR3_64 = 0xff50,
    CR0_64 = 0xff58,
    DR7_64 = 0xff60,
    DR6_64 = 0xff68,
    RFLAGS64 = 0xff70,
    RIP64 = 0xff78,
    RAX64 = 0xfff8, /* the other registers below it */
};

static void pack64(uint8_t *map, const struct state *s)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        uint8_t *to = at(map, segments64[i]);
        store_le16(to, s->seg[i].selector);
        store_le16(to + 2, (uint16_t)attributes(&s->seg[i]));
        store_le32(to + 4, s->seg[i].limit);
        store_le64(to + 8, s->seg[i].base);
    }
    store_le32(at(map, GDTR64 + 4), s->gdtr.limit);
    store_le64(at(map, GDTR64 + 8), s->gdtr.base);
    store_le32(at(map, IDTR64 + 4), s->idtr.limit);
    store_le64(at(map, IDTR64 + 8), s->idtr.base);
    *at(map, HALT64) = s->halted;
    store_le64(at(map, EFER64), s->efer);
    store_le32(at(map, REVISION), REVISION64);
    store_le32(at(map, SMBASE64), s->smbase);
    store_le64(at(map, CR4_64), s->cr4);
    store_le64(at(map, CR3_64), s->cr3);
    store_le64(at(map, CR0_64), s->cr0);
    store_le64(at(map, DR7_64), s->dr7);
    store_le64(at(map, DR6_64), s->dr6);
    store_le64(at(map, RFLAGS64), s->rflags);
    store_le64(at(map, RIP64), s->rip);
    for (unsigned i = 0; i < 16; i++)
        store_le64(at(map, RAX64 - 8 * i), s->gpr[i]);
}

static void unpack64(uint8_t *map, struct state *s)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const uint8_t *from = at(map, segments64[i]);
        s->seg[i] = (struct segment){.selector = load_le16(from),
                                     .access = access_of(load_le16(from + 2)),
                                     .limit = load_le32(from + 4),
                                     .base = load_le64(from + 8)};
    }
    s->gdtr.limit = load_le16(at(map, GDTR64 + 4));
    s->gdtr.base = load_le64(at(map, GDTR64 + 8));
    s->idtr.limit = load_le16(at(map, IDTR64 + 4));
    s->idtr.base = load_le64(at(map, IDTR64 + 8));
    s->halted = *at(map, HALT64) & 1;
    s->efer = load_le64(at(map, EFER64));
    s->smbase = load_le32(at(map, SMBASE64));
    s->cr4 = load_le64(at(map, CR4_64));
    s->cr3 = load_le64(at(map, CR3_64));
    s->cr0 = load_le64(at(map, CR0_64));
    s->dr7 = load_le64(at(map, DR7_64));
    s->dr6 = load_le64(at(map, DR6_64));
    s->rflags = load_le64(at(map, RFLAGS64));
    s->rip = load_le64(at(map, RIP64));
    for (unsigned i = 0; i < 16; i++)
        s->gpr[i] = load_le64(at(map, RAX64 - 8 * i));
}

/* 32 bits: selectors apart from the rest, which is 12 bytes each: attributes, limit, base. SDM 3C
 * table 34-1 for what is documented, the rest as AMD's K6 and its successors have it. */
static const uint16_t selectors32[SEG_COUNT] = {
    [SEG_ES] = 0xffa8, [SEG_CS] = 0xffac, [SEG_SS] = 0xffb0,   [SEG_DS] = 0xffb4,
    [SEG_FS] = 0xffb8, [SEG_GS] = 0xffbc, [SEG_LDTR] = 0xffc0, [SEG_TR] = 0xffc4};
static const uint16_t segments32[SEG_COUNT] = {
    [SEG_ES] = 0xff84, [SEG_CS] = 0xff90, [SEG_SS] = 0xff9c,   [SEG_DS] = 0xff2c,
    [SEG_FS] = 0xff38, [SEG_GS] = 0xff44, [SEG_LDTR] = 0xff78, [SEG_TR] = 0xff5c};
enum {
    SMBASE32 = 0xfef8,
    HALT32 = 0xff02,
    CR4_32 = 0xff14,
    IDTR32 = 0xff54, /* limit, base */
    GDTR32 = 0xff70,
    DR7_32 = 0xffc8,
    DR6_32 = 0xffcc,
    EAX32 = 0xffd0, /* the other registers above it */
    EIP32 = 0xfff0,
    EFLAGS32 = 0xfff4,
    CR3_32 = 0xfff8,
    CR0_32 = 0xfffc,
};

static void pack32(uint8_t *map, const struct state *s)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        uint8_t *to = at(map, segments32[i]);
        store_le32(at(map, selectors32[i]), s->seg[i].selector);
        store_le32(to, attributes(&s->seg[i]));
        store_le32(to + 4, s->seg[i].limit);
        store_le32(to + 8, (uint32_t)s->seg[i].base);
    }
    store_le32(at(map, SMBASE32), s->smbase);
    store_le32(at(map, REVISION), REVISION32);
    store_le16(at(map, HALT32), s->halted);
    store_le32(at(map, CR4_32), (uint32_t)s->cr4);
    store_le32(at(map, IDTR32), s->idtr.limit);
    store_le32(at(map, IDTR32 + 4), (uint32_t)s->idtr.base);
    store_le32(at(map, GDTR32), s->gdtr.limit);
    store_le32(at(map, GDTR32 + 4), (uint32_t)s->gdtr.base);
    store_le32(at(map, DR7_32), (uint32_t)s->dr7);
    store_le32(at(map, DR6_32), (uint32_t)s->dr6);
    for (unsigned i = 0; i < 8; i++)
        store_le32(at(map, EAX32 + 4 * i), (uint32_t)s->gpr[i]);
    store_le32(at(map, EIP32), (uint32_t)s->rip);
    store_le32(at(map, EFLAGS32), (uint32_t)s->rflags);
    store_le32(at(map, CR3_32), (uint32_t)s->cr3);
    store_le32(at(map, CR0_32), (uint32_t)s->cr0);
}

static void unpack32(uint8_t *map, struct state *s)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const uint8_t *from = at(map, segments32[i]);
        s->seg[i] = (struct segment){.selector = load_le16(at(map, selectors32[i])),
                                     .access = access_of(load_le32(from)),
                                     .limit = load_le32(from + 4),
                                     .base = load_le32(from + 8)};
    }
    s->smbase = load_le32(at(map, SMBASE32));
    s->halted = *at(map, HALT32) & 1;
    s->cr4 = load_le32(at(map, CR4_32));
    s->idtr.limit = load_le16(at(map, IDTR32));
    s->idtr.base = load_le32(at(map, IDTR32 + 4));
    s->gdtr.limit = load_le16(at(map, GDTR32));
    s->gdtr.base = load_le32(at(map, GDTR32 + 4));
    s->dr7 = load_le32(at(map, DR7_32));
    s->dr6 = load_le32(at(map, DR6_32));
    for (unsigned i = 0; i < 8; i++)
        s->gpr[i] = load_le32(at(map, EAX32 + 4 * i));
    s->rip = load_le32(at(map, EIP32));
    s->rflags = load_le32(at(map, EFLAGS32));
    s->cr3 = load_le32(at(map, CR3_32));
    s->cr0 = load_le32(at(map, CR0_32));
}

static bool wide_map(const struct vcpu *cpu)
{
    return cpu_model_has(cpu->model, CPU_LM);
}

/* SDM 3C table 34-4: what the handler finds. */
static void set_entry_state(struct vcpu *cpu)
{
    uint32_t access = SEG_P | SEG_S | SEG_G | 3;
    for (int i = SEG_ES; i <= SEG_GS; i++)
        cpu->seg[i] = (struct segment){.access = access, .limit = 0xffffffff};
    cpu->seg[SEG_CS].selector = (uint16_t)(cpu->smbase >> 4);
    cpu->seg[SEG_CS].base = cpu->smbase;
    cpu->seg[SEG_CS].access = access | 8;
    cpu->rip = ENTRY;
    cpu->cr0 &= ~(uint64_t)(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
    cpu->cr4 = 0;
    if (wide_map(cpu)) /* the other one has no place for it: NXE stays, which means nothing here */
        cpu->efer = 0;
    cpu->dr[7] = 0x400;
    cpu->cpl = 0;
    cpu->halted = false;
    cpu->shadow = 0;
    cpu_set_rflags(cpu, 2);
    cpu_update_watch(cpu);
    cpu_update_mode(cpu);
    tlb_flush(cpu);
}

void cpu_enter_smm(struct vcpu *cpu)
{
    uint8_t map[MAP_END - MAP_FIRST] = {0};
    struct state s;
    collect(cpu, &s);
    unsigned first = MAP_FIRST;
    if (wide_map(cpu)) {
        pack64(map, &s);
    } else {
        pack32(map, &s);
        first = MAP_FIRST32;
    }
    cpu->in_smm = true;
    cpu->smm_in_nmi = cpu->nmi_blocked;
    cpu->nmi_blocked = true;
    cpu_take_view(cpu);
    cpu_physical_write(cpu, cpu->smbase + first, at(map, first), MAP_END - first);
    set_entry_state(cpu);
    if (log_on(LOG_INT))
        log_print(LOG_INT, "SMM: enter, SMBASE=%08x IP=%04x:%016llx", s.smbase,
                  s.seg[SEG_CS].selector, (unsigned long long)s.rip);
}

/* The states that RSM refuses: SDM 3C 34.4.1, APM volume 2, 10.4. */
static bool valid(const struct vcpu *cpu, const struct state *s)
{
    bool lma = s->efer & EFER_LME && s->cr0 & CR0_PG;
    if ((s->cr0 | s->dr6 | s->dr7) >> 32)
        return false;
    if ((s->cr0 & CR0_PG && !(s->cr0 & CR0_PE)) || (s->cr0 & CR0_NW && !(s->cr0 & CR0_CD)))
        return false;
    if (s->cr4 & ~cpu_cr4_allowed(cpu) || s->efer & ~cpu_efer_allowed(cpu))
        return false;
    if (lma) {
        uint32_t both = SEG_L | SEG_DB;
        if (!(s->cr4 & CR4_PAE) || s->rflags & FLAG_VM || (s->seg[SEG_CS].access & both) == both ||
            s->cr3 >> cpu->model->physical_bits)
            return false;
    } else if (s->cr4 & CR4_PCIDE) {
        return false;
    }
    /* The Pentium and the 486. */
    return cpu->model->family >= 6 || !(s->smbase & 0x7fff);
}

static unsigned level_of(const struct state *s)
{
    if (!(s->cr0 & CR0_PE))
        return 0;
    return s->rflags & FLAG_VM ? 3 : s->seg[SEG_SS].access >> 5 & 3;
}

static void restore(struct vcpu *cpu, struct state *s)
{
    if (!(s->cr0 & CR0_PE))
        s->rflags &= ~(uint64_t)FLAG_VM;
    s->efer &= ~(uint64_t)EFER_LMA;
    if (s->efer & EFER_LME && s->cr0 & CR0_PG)
        s->efer |= EFER_LMA;
    memcpy(cpu->gpr, s->gpr, sizeof(s->gpr));
    memcpy(cpu->seg, s->seg, sizeof(s->seg));
    cpu->gdtr = s->gdtr;
    cpu->idtr = s->idtr;
    cpu->cr0 = (s->cr0 & CR0_WRITABLE) | CR0_ET;
    cpu->cr3 = s->cr3;
    cpu->cr4 = s->cr4;
    cpu->efer = s->efer;
    cpu->dr[6] = DR6_FIXED | (s->dr6 & DR6_WRITABLE);
    cpu->dr[7] = DR7_FIXED | (s->dr7 & DR7_WRITABLE);
    cpu->smbase = s->smbase;
    cpu->halted = s->halted;
    cpu->cpl = (uint8_t)level_of(s);
    cpu_set_rflags(cpu, s->rflags);
    cpu->rip = cpu_code64(cpu) ? s->rip : (uint32_t)s->rip;
    cpu->shadow = 0;
    cpu->stepping = false; /* RSM's own TF was the handler's */
    cpu->pending_db = 0;
    cpu_update_watch(cpu);
    cpu_update_mode(cpu);
    tlb_flush(cpu);
}

void cpu_leave_smm(struct vcpu *cpu)
{
    if (!cpu->in_smm)
        cpu_raise_ud(cpu);
    uint8_t map[MAP_END - MAP_FIRST];
    struct state s = {.efer = cpu->efer};
    cpu_physical_read(cpu, cpu->smbase + MAP_FIRST, map, sizeof(map));
    if (wide_map(cpu))
        unpack64(map, &s);
    else
        unpack32(map, &s);
    if (!valid(cpu, &s)) {
        log_limited(LOG_GUEST_ERRORS, "RSM with a state that cannot be: shutdown");
        cpu_shut_down(cpu);
    }
    restore(cpu, &s);
    cpu->in_smm = false;
    cpu->nmi_blocked = cpu->smm_in_nmi;
    cpu->smm_in_nmi = false;
    cpu_take_view(cpu);
    if (!cpu_reload_pdptes(cpu))
        cpu_shut_down(cpu);
    if (log_on(LOG_INT))
        log_print(LOG_INT, "SMM: leave, IP=%04x:%016llx", cpu->seg[SEG_CS].selector,
                  (unsigned long long)cpu->rip);
}
