/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Instructions that run on the host as they are, but for where their operands live. A guest
 * register without a host register is loaded into a scratch register before and stored behind;
 * nothing of the guest changes before the instruction itself, so that it can fault.
 */
#include "engine/dbt/translate.h"

#include <string.h>

/* Registers without a home of their own in use by this instruction. */
struct lent {
    unsigned guest[2], scratch[2];
    bool store[2];
    unsigned count;
};

/* The host register for a guest register operand; lends a scratch register when it needs one. */
static unsigned operand_register(struct tr *tr, const struct plan *plan,
                                 const struct guest_register *r, struct lent *lent, bool *ok)
{
    /* With AH and such there is no REX prefix: only the first eight registers can be named. */
    bool must_lend = at_home(r->guest) || (plan->any_high && (r->guest == RCX || r->guest == RSP));
    if (!must_lend)
        return host_of(r->guest);
    for (unsigned i = 0; i < lent->count; i++)
        if (lent->guest[i] == r->guest) {
            lent->store[i] |= r->write;
            return lent->scratch[i];
        }
    /* The address is folded into DELTA, or into SCRATCH when CL is the count. */
    unsigned scratch;
    if (plan->any_high)
        scratch = DELTA;
    else
        scratch = lent->count ? (unsigned)DELTA : (unsigned)SCRATCH;
    bool taken = (scratch == DELTA && (plan->has_mem || plan->needs_rcx)) ||
                 (scratch == SCRATCH && plan->has_mem && plan->needs_rcx) ||
                 (plan->any_high && lent->count) || lent->count == ARRAY_LEN(lent->guest);
    if (taken) {
        *ok = false;
        return 0;
    }
    lent->guest[lent->count] = r->guest;
    lent->scratch[lent->count] = scratch;
    lent->store[lent->count++] = r->write;
    if (tr) {
        if (at_home(r->guest))
            emit_load(&tr->e, scratch, home_mem(r->guest));
        else
            emit_mov(&tr->e, scratch, host_of(r->guest));
    }
    return scratch;
}

static void place(struct emit_insn *out, const struct guest_register *r, unsigned host)
{
    if (r->high)
        host += 4;
    else if (r->size == 1 && host >= 4)
        out->byte_rex = true;
    if (r->place == PLACE_REG)
        out->reg = (uint8_t)host;
    else if (r->place == PLACE_RM)
        out->rm = (uint8_t)host;
    else
        out->vvvv = (uint8_t)host;
}

/* Could all operands be placed? */
static bool placeable(const struct plan *plan)
{
    struct lent lent = {0};
    bool ok = true;
    for (unsigned i = 0; i < plan->count; i++) {
        const struct guest_register *r = &plan->registers[i];
        unsigned host = operand_register(NULL, plan, r, &lent, &ok);
        /* SPL, BPL, SIL, DIL take a REX prefix. */
        if (ok && plan->any_high && !r->high && r->size == 1 && host >= 4)
            ok = false;
        if (ok && plan->any_high && host >= 8)
            ok = false;
    }
    return ok;
}

static void emit_plan(struct tr *tr, const struct plan *plan)
{
    struct emit *e = &tr->e;
    struct emit_insn out = plan->out;
    /* Alone, a processor sees its own instructions whole anyway; QEMU does the same. */
    if (tr->d->dbt->processors == 1)
        out.lock = false;
    bool lends = plan->any_high || plan->needs_rcx;
    for (unsigned i = 0; i < plan->count; i++)
        lends |= at_home(plan->registers[i].guest);
    if (plan->has_mem) {
        out.mem = access_memory(tr, &plan->mem);
        if (lends) { /* the address in one register makes room */
            unsigned to = plan->needs_rcx ? SCRATCH : DELTA;
            emit_lea(e, to, out.mem);
            out.mem = emit_at(to, 0);
            access_forget(tr);
        }
    } else if (lends) {
        access_forget(tr);
    }
    struct lent lent = {0};
    bool ok = true;
    for (unsigned i = 0; i < plan->count; i++)
        place(&out, &plan->registers[i],
              operand_register(tr, plan, &plan->registers[i], &lent, &ok));
    if (plan->needs_rcx)
        emit_mov(e, H_RCX, HOST_GUEST_RCX);
    emit_insn(e, &out);
    if (plan->writes_rcx) {
        emit_mov(e, HOST_GUEST_RCX, H_RCX);
        access_forget(tr);
    }
    for (unsigned i = 0; i < lent.count; i++) {
        if (!lent.store[i])
            continue;
        if (at_home(lent.guest[i]))
            emit_store(e, home_mem(lent.guest[i]), lent.scratch[i]);
        else
            emit_mov(e, host_of(lent.guest[i]), lent.scratch[i]);
    }
}

/* ADD and SUB of a constant keep what is known of the register's page. */
static bool moves_by(const struct decoded *d, unsigned *guest, int32_t *by)
{
    const ZydisDecodedOperand *o = d->operands;
    bool add = d->insn->mnemonic == ZYDIS_MNEMONIC_ADD;
    if ((!add && d->insn->mnemonic != ZYDIS_MNEMONIC_SUB) ||
        o[0].type != ZYDIS_OPERAND_TYPE_REGISTER || o[0].size != 64 ||
        o[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
        return false;
    int64_t value = o[1].imm.value.s;
    if (value < -(1 << 20) || value > 1 << 20)
        return false;
    *guest = (unsigned)ZydisRegisterGetId(o[0].reg.value);
    *by = (int32_t)(add ? value : -value);
    return true;
}

static void copy_lea(struct tr *tr, const struct decoded *d)
{
    struct emit *e = &tr->e;
    struct guest_mem mem;
    select_memory(d, &mem);
    unsigned guest = (unsigned)ZydisRegisterGetId(d->operands[0].reg.value);
    unsigned size = d->operands[0].size / 8;
    bool simple = !at_home(guest) && mem.base != GPR_RIP && !at_home(mem.base) &&
                  !at_home(mem.index) && mem.address_size >= size && size >= 4;
    if (simple) {
        struct emit_mem from = {.base = mem.base == GPR_ZERO ? H_NONE : (uint8_t)host_of(mem.base),
                                .index =
                                    mem.index == GPR_ZERO ? H_NONE : (uint8_t)host_of(mem.index),
                                .shift = mem.shift,
                                .disp = (int32_t)mem.disp};
        if (size == 8)
            emit_lea(e, host_of(guest), from);
        else
            emit_lea32(e, host_of(guest), from);
        if (guest == mem.base && mem.index == GPR_ZERO && size == 8)
            access_moved(tr, guest, (int32_t)mem.disp);
        else
            access_changed(tr, (uint16_t)(1u << guest));
        return;
    }
    access_address(tr, &mem, false);
    if (size == 4)
        emit_mov32(e, SCRATCH, SCRATCH);
    if (at_home(guest))
        emit_store_sized(e, home_mem(guest), SCRATCH, size == 2 ? 2 : 8);
    else if (size == 2)
        emit_insn(e, &(struct emit_insn){.opcode = 0x8b,
                                         .prefix66 = true,
                                         .has_modrm = true,
                                         .reg = (uint8_t)host_of(guest),
                                         .rm = SCRATCH});
    else
        emit_mov(e, host_of(guest), SCRATCH);
    access_changed(tr, (uint16_t)(1u << guest));
}

static bool does_nothing(const struct decoded *d)
{
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_PREFETCH:
    case ZYDIS_MNEMONIC_PREFETCHNTA:
    case ZYDIS_MNEMONIC_PREFETCHT0:
    case ZYDIS_MNEMONIC_PREFETCHT1:
    case ZYDIS_MNEMONIC_PREFETCHT2:
    case ZYDIS_MNEMONIC_PREFETCHW:
        return !(d->insn->attributes & ZYDIS_ATTRIB_HAS_LOCK);
    case ZYDIS_MNEMONIC_CLD: /* code is translated for DF = 0 only: variant_of */
        return true;
    default:
        return false;
    }
}

/* Do the control registers allow it, and are its registers those that are kept? */
static bool vector_allowed(const struct tr *tr, const struct decoded *d)
{
    if (!decode_is_vector(d))
        return true;
    switch (d->insn->encoding) {
    case ZYDIS_INSTRUCTION_ENCODING_LEGACY:
        return tr->variant & VARIANT_SSE;
    case ZYDIS_INSTRUCTION_ENCODING_EVEX:
        return tr->variant & VARIANT_AVX512;
    case ZYDIS_INSTRUCTION_ENCODING_VEX:
        for (unsigned i = 0; i < d->insn->operand_count; i++)
            if (d->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                ZydisRegisterGetClass(d->operands[i].reg.value) == ZYDIS_REGCLASS_MASK)
                return tr->variant & VARIANT_AVX512;
        return tr->variant & VARIANT_AVX;
    default:
        return false;
    }
}

/* The guest's vector registers are in the host's only while code runs that uses them. */
static void need_vectors(struct tr *tr)
{
    if (tr->vectors)
        return;
    tr->vectors = true;
    access_forget(tr);
    stub_jumps(tr, tr->room);
    emit_load(&tr->e, DELTA, frame_mem(FRAME_VECTORS));
    struct stub *stub = stub_near(tr, emit_jrcxz(&tr->e), EXIT_MISS);
    stub->what = STUB_LOAD_VECTORS;
    stub->back = tr->e.at;
}

bool copy_instruction(struct tr *tr, const struct decoded *d)
{
    if (does_nothing(d))
        return true;
    if (!vector_allowed(tr, d))
        return false;
    struct guest_mem mem;
    if (d->insn->mnemonic == ZYDIS_MNEMONIC_LEA) {
        if (!select_memory(d, &mem))
            return false;
        copy_lea(tr, d);
        return true;
    }
    struct plan plan;
    if (!select_copy(d, &plan) || !placeable(&plan))
        return false;
    if (plan.has_mem && (!plan.mem.size || plan.mem.size > 64 || !access_allowed(tr, &plan.mem)))
        return false;
    if (decode_is_vector(d))
        need_vectors(tr);
    emit_plan(tr, &plan);
    unsigned guest;
    int32_t by;
    if (moves_by(d, &guest, &by))
        access_moved(tr, guest, by);
    else
        access_changed(tr, plan.written);
    return true;
}
