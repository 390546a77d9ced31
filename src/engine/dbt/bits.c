/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * BT, BTS, BTR and BTC of memory with the bit's number in a register, which reaches beyond the
 * operand: the address of the operand that has the bit is computed first, then the host's own
 * instruction works on it with the number cut to the operand.
 */
#include "engine/dbt/translate.h"

/* SARX: to = from >> count as signed numbers of `size` bytes, 4 or 8. from is in memory or a
 * register. */
static void shift_right(struct emit *e, unsigned to, const struct emit_mem *mem, unsigned from,
                        unsigned count, unsigned size)
{
    struct emit_insn out = {.encoding = EMIT_VEX,
                            .map = 2,
                            .pp = 2,
                            .opcode = 0xf7,
                            .w = size == 8,
                            .has_modrm = true,
                            .reg = (uint8_t)to,
                            .rm = (uint8_t)from,
                            .vvvv = (uint8_t)count};
    if (mem) {
        out.memory = true;
        out.mem = *mem;
    }
    emit_insn(e, &out);
}

static void extend(struct emit *e, unsigned to, const struct emit_mem *mem, unsigned from,
                   unsigned size)
{
    struct emit_insn out = {.map = size == 2 ? 1 : 0, /* MOVSX, MOVSXD */
                            .opcode = size == 2 ? 0xbf : 0x63,
                            .w = true,
                            .has_modrm = true,
                            .reg = (uint8_t)to,
                            .rm = (uint8_t)from};
    if (mem) {
        out.memory = true;
        out.mem = *mem;
    }
    emit_insn(e, &out);
}

/* DELTA = the guest register's number of bits in units of the operand, rounded down. */
static void units(struct tr *tr, unsigned guest, unsigned size)
{
    struct emit *e = &tr->e;
    struct emit_mem home = home_mem(guest), value = frame_mem(FRAME_VALUE);
    const struct emit_mem *mem = at_home(guest) ? &home : NULL;
    unsigned from = at_home(guest) ? 0 : host_of(guest);
    if (size != 8) {
        extend(e, DELTA, mem, from, size);
        emit_store(e, value, DELTA);
        mem = &value;
    }
    emit_mov_imm(e, DELTA, size == 8 ? 6 : size == 4 ? 5 : 4);
    shift_right(e, DELTA, mem, from, DELTA, 8);
}

static bool classify(const struct tr *tr, const struct decoded *d, struct guest_mem *mem,
                     uint8_t *opcode)
{
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_BT:
        *opcode = 0xa3;
        break;
    case ZYDIS_MNEMONIC_BTS:
        *opcode = 0xab;
        break;
    case ZYDIS_MNEMONIC_BTR:
        *opcode = 0xb3;
        break;
    case ZYDIS_MNEMONIC_BTC:
        *opcode = 0xbb;
        break;
    default:
        return false;
    }
    return d->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
           d->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER && select_memory(d, mem) &&
           access_allowed(tr, mem) && mem->address_size == (tr->code64 ? 8 : 4);
}

static unsigned mask_slot(unsigned size)
{
    return size == 8 ? FRAME_BIT_NUMBER : size == 4 ? FRAME_BIT_NUMBER_32 : FRAME_BIT_NUMBER_16;
}

enum control bit_instruction(struct tr *tr, const struct decoded *d)
{
    struct emit *e = &tr->e;
    struct guest_mem mem;
    struct emit_insn out = {.map = 1, .has_modrm = true};
    if (e->masks || !classify(tr, d, &mem, &out.opcode)) /* SARX is BMI2's */
        return CONTROL_NOT_MINE;
    unsigned size = d->operands[1].size / 8;
    unsigned guest = (unsigned)ZydisRegisterGetId(d->operands[1].reg.value);
    bool test = out.opcode == 0xa3;
    out.w = size == 8;
    out.prefix66 = size == 2;
    access_forget(tr);
    stub_jumps(tr, JUMP_ROOM);
    access_address(tr, &mem, true);
    units(tr, guest, size);
    struct emit_mem moved = {
        .base = SCRATCH, .index = DELTA, .shift = (uint8_t)__builtin_ctz(size)};
    if (tr->code64)
        emit_lea(e, SCRATCH, moved);
    else
        emit_lea32(e, SCRATCH, moved);
    struct emit_mem at = access_at_scratch(tr, size, !test);
    if (test) {
        emit_load_sized(e, DELTA, at, size);
        unsigned number = at_home(guest) ? (unsigned)SCRATCH : host_of(guest);
        if (at_home(guest))
            emit_load(e, SCRATCH, home_mem(guest));
        out.reg = (uint8_t)number; /* cut to the operand by the host */
        out.rm = DELTA;
    } else {
        emit_lea(e, SCRATCH, at);
        unsigned number = at_home(guest) ? (unsigned)DELTA : host_of(guest);
        if (at_home(guest))
            emit_load(e, DELTA, home_mem(guest));
        emit_pext(e, DELTA, number, frame_mem(mask_slot(size)));
        out.memory = true;
        out.mem = emit_at(SCRATCH, 0);
        out.reg = DELTA;
        out.lock = d->insn->attributes & ZYDIS_ATTRIB_HAS_LOCK && tr->d->dbt->processors > 1;
    }
    emit_insn(e, &out);
    access_forget(tr);
    return CONTROL_DONE;
}
