/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MOVS and STOS in 64- and 32-bit code, going up. What lies within one page at each end runs on the
 * host as one REP: rsi and rdi hold host addresses meanwhile, FRAME_STRING_TO and FRAME_STRING_FROM
 * what was added to them, for string_fault to take off again when a fault comes in between.
 * Everything else is the interpreter's.
 */
#include "engine/dbt/translate.h"

struct string {
    unsigned size;
    bool moves, repeats;
};

static bool classify(const struct tr *tr, const struct decoded *d, struct string *s)
{
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_MOVSB:
    case ZYDIS_MNEMONIC_MOVSW:
    case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVSQ:
        s->moves = true;
        break;
    case ZYDIS_MNEMONIC_STOSB:
    case ZYDIS_MNEMONIC_STOSW:
    case ZYDIS_MNEMONIC_STOSD:
    case ZYDIS_MNEMONIC_STOSQ:
        s->moves = false;
        break;
    default:
        return false;
    }
    uint64_t unusual = ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS |
                       ZYDIS_ATTRIB_HAS_LOCK | ZYDIS_ATTRIB_HAS_REPNE;
    if (!tr->code64)
        unusual |= ZYDIS_ATTRIB_HAS_SEGMENT_CS; /* may not be readable; the others are flat */
    if (d->insn->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT ||
        d->insn->address_width != (tr->code64 ? 64 : 32) || d->insn->attributes & unusual)
        return false;
    s->size = d->insn->operand_width / 8;
    if (!(d->insn->opcode & 1))
        s->size = 1;
    s->repeats = d->insn->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE);
    return true;
}

static struct guest_mem operand(const struct tr *tr, unsigned guest, unsigned size, bool write)
{
    return (struct guest_mem){.base = (uint8_t)guest,
                              .index = GPR_ZERO,
                              .segment = SEG_DS,
                              .address_size = tr->code64 ? 8 : 4,
                              .size = (uint16_t)size,
                              .write = write};
}

static void advance(struct tr *tr, unsigned guest, int32_t by)
{
    unsigned reg = host_of(guest);
    if (tr->code64)
        emit_lea(&tr->e, reg, emit_at(reg, by));
    else
        emit_lea32(&tr->e, reg, emit_at(reg, by));
    access_moved(tr, guest, by);
}

static void one(struct tr *tr, const struct string *s)
{
    struct emit *e = &tr->e;
    int32_t by = (int32_t)s->size;
    struct guest_mem from = operand(tr, RSI, s->size, false), to = operand(tr, RDI, s->size, true);
    if (s->moves) {
        struct emit_mem at = access_memory(tr, &from);
        emit_load_sized(e, SCRATCH, at, s->size);
        emit_store(e, frame_mem(FRAME_VALUE), SCRATCH);
    }
    struct emit_mem at = access_memory(tr, &to);
    if (s->moves) {
        if (at.base == SCRATCH) {
            emit_lea(e, DELTA, at);
            access_forget(tr);
            at = emit_at(DELTA, 0);
        }
        emit_load(e, SCRATCH, frame_mem(FRAME_VALUE));
    }
    emit_store_sized(e, at, s->moves ? (unsigned)SCRATCH : (unsigned)H_RAX, s->size);
    if (s->moves)
        advance(tr, RSI, by);
    advance(tr, RDI, by);
}

/* To the interpreter unless rcx * size bytes from `reg` on lie in one page. rcx is below 2 *
 * PAGE_SIZE.
 */
static void check_room(struct tr *tr, const struct string *s, unsigned reg)
{
    struct emit *e = &tr->e;
    stub_jumps(tr, tr->room);
    emit_pext(e, SCRATCH, reg, frame_mem(FRAME_OFFSET_MASK));
    emit_lea(e, DELTA,
             (struct emit_mem){.base = SCRATCH,
                               .index = HOST_GUEST_RCX,
                               .shift = (uint8_t)__builtin_ctz(s->size),
                               .disp = -(int32_t)PAGE_SIZE - 1});
    emit_pext(e, DELTA, DELTA, frame_mem(FRAME_SIGN_MASK));
    stub_near(tr, emit_jrcxz(e), EXIT_INTERPRET);
}

/* A register that had `slot` added gets it off again: not x = -x - 1. */
static void take_off(struct tr *tr, unsigned reg, unsigned slot)
{
    struct emit *e = &tr->e;
    emit_load(e, SCRATCH, frame_mem(slot));
    emit_insn(e, &(struct emit_insn){
                     .opcode = 0xf7, .w = true, .has_modrm = true, .reg = 2, .rm = SCRATCH});
    struct emit_mem sum = {.base = (uint8_t)reg, .index = SCRATCH, .disp = 1};
    if (tr->code64)
        emit_lea(e, reg, sum);
    else
        emit_lea32(e, reg, sum);
}

/* DELTA = the entry for the page that a pointer leads to, kept in the slot. */
static void look_up(struct tr *tr, const struct string *s, unsigned guest, bool write,
                    unsigned slot)
{
    struct emit *e = &tr->e;
    if (tr->code64) {
        struct guest_mem mem = operand(tr, guest, s->size, write);
        access_look_up(tr, &mem);
    } else {
        emit_mov32(e, SCRATCH, host_of(guest));
        access_at_scratch(tr, 1, write);
    }
    emit_store(e, frame_mem(slot), DELTA);
}

/* A pointer becomes the host's. In 32-bit code its upper half does not count. */
static void to_host(struct tr *tr, unsigned reg, unsigned slot)
{
    struct emit *e = &tr->e;
    if (!tr->code64)
        emit_mov32(e, reg, reg);
    emit_load(e, DELTA, frame_mem(slot));
    emit_lea(e, reg, (struct emit_mem){.base = (uint8_t)reg, .index = DELTA});
}

static void repeat(struct tr *tr, const struct decoded *d, const struct string *s)
{
    struct emit *e = &tr->e;
    access_forget(tr);
    stub_jumps(tr, tr->room);
    emit_pext(e, DELTA, HOST_GUEST_RCX, frame_mem(FRAME_NOT_COUNT));
    uint8_t *small = emit_jrcxz(e);
    control_interpret(tr, d->insn->mnemonic);
    emit_here8(e, small);
    check_room(tr, s, H_RDI);
    if (s->moves)
        check_room(tr, s, H_RSI);
    look_up(tr, s, RDI, true, FRAME_STRING_TO);
    if (s->moves)
        look_up(tr, s, RSI, false, FRAME_STRING_FROM);
    access_forget(tr);
    stub_jumps(tr, 2 * JUMP_ROOM);
    if (s->moves)
        to_host(tr, H_RSI, FRAME_STRING_FROM);
    to_host(tr, H_RDI, FRAME_STRING_TO);
    emit_mov(e, H_RCX, HOST_GUEST_RCX);
    unsigned kind = s->moves ? 2 : 1;
    tr->sites[tr->site_count - 1].string = kind & 3;
    if (s->size == 2)
        emit_byte(e, 0x66);
    emit_byte(e, 0xf3);
    if (s->size == 8)
        emit_byte(e, 0x48);
    emit_byte(e, (uint8_t)((s->moves ? 0xa4 : 0xaa) | (s->size > 1)));
    /* Whatever comes now cannot fault. */
    if (s->moves)
        take_off(tr, H_RSI, FRAME_STRING_FROM);
    take_off(tr, H_RDI, FRAME_STRING_TO);
    emit_mov(e, HOST_GUEST_RCX, H_RCX);
}

enum control string_instruction(struct tr *tr, const struct decoded *d)
{
    struct string s;
    if (!classify(tr, d, &s))
        return CONTROL_NOT_MINE;
    if (!s.repeats) {
        one(tr, &s);
        return CONTROL_DONE;
    }
    repeat(tr, d, &s);
    return CONTROL_DONE;
}

void string_fault(struct vcpu *cpu, unsigned kind)
{
    cpu->gpr[RDI] -= *frame(cpu, FRAME_STRING_TO);
    if (kind == 2)
        cpu->gpr[RSI] -= *frame(cpu, FRAME_STRING_FROM);
    cpu->gpr[RCX] = *frame(cpu, FRAME_DELTA);
}
