/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Branches, calls, returns and the stack.
 *
 * A block ends with a branch to another. To a place on the same page the host's jump goes straight,
 * once tied (dbt.c); the page is the same wherever it is mapped, so such ties need no undoing
 * before the page's code goes as a whole. All else goes through the jump table of the address space
 * (map.h): the target is hashed by its low bits and compared, without touching a flag.
 */
#include "engine/dbt/translate.h"

enum { CALL_SIZE = 5 };

static void put_info(struct tr *tr, struct emit *e, enum exit_kind kind, unsigned insn,
                     unsigned done, int32_t extra)
{
    emit_call_to(e, tr->leave);
    emit_byte(e, (uint8_t)kind);
    emit_byte(e, (uint8_t)done);
    emit_u16(e, (uint16_t)insn);
    emit_u16(e, tr->place);
    emit_u32(e, (uint32_t)extra);
}

void control_page(struct tr *tr, struct emit *e, unsigned reg)
{
    emit_load(e, reg,
              (struct emit_mem){.base = H_NONE,
                                .index = H_NONE,
                                .gs = true,
                                .disp = MAP_PLACES + 8 * (int32_t)tr->place});
}

/* DELTA = the slot of the jump table for the rip in SCRATCH. */
static void jump_slot_of(struct emit *e, bool second)
{
    if (second)
        emit_rorx(e, DELTA, SCRATCH, JUMP_SECOND);
    emit_pext(e, DELTA, second ? (unsigned)DELTA : (unsigned)SCRATCH, frame_mem(FRAME_JUMP_MASK));
}

static struct emit_mem jump_table(int32_t part)
{
    return (struct emit_mem){.base = H_NONE, .index = DELTA, .shift = 3, .gs = true, .disp = part};
}

/* Goes on at the returned place if the slot has not the key of the rip in SCRATCH. */
static uint8_t *compare_key(struct emit *e, bool second)
{
    jump_slot_of(e, second);
    emit_load(e, DELTA, jump_table(JUMP_KEYS));
    emit_lea(e, DELTA, (struct emit_mem){.base = DELTA, .index = SCRATCH});
    uint8_t *hit = emit_jrcxz(e);
    uint8_t *other = emit_jmp32(e);
    emit_here8(e, hit);
    return other;
}

/* By RET the host predicts that it goes back to the last pad. */
static void go_by_table(struct emit *e, bool second, bool returns)
{
    struct emit_mem entry = jump_table(JUMP_CODE);
    jump_slot_of(e, second);
    if (!returns) {
        emit_jmp_mem(e, entry);
        return;
    }
    emit_insn(e, &(struct emit_insn){
                     .opcode = 0xff, .has_modrm = true, .reg = 6, .memory = true, .mem = entry});
    emit_byte(e, 0xc3);
}

void control_look_up(struct emit *e)
{
    uint8_t *other = compare_key(e, false);
    go_by_table(e, false, false);
    emit_here32(e, other);
    other = compare_key(e, true);
    go_by_table(e, true, false);
    emit_here32(e, other);
    emit_jmp_mem(e, frame_mem(FRAME_VALUE));
}

void control_look_up_second(struct emit *e)
{
    uint8_t *other = compare_key(e, true);
    go_by_table(e, true, false);
    emit_here32(e, other);
    emit_jmp_mem(e, frame_mem(FRAME_VALUE));
}

/* To one of the two above, which goes on with what follows if it finds nothing. No CALL: the host
 * would take it for one that returns. */
static void jump_to_look_up(struct emit *e, const uint8_t *look_up)
{
    emit_lea_rip(e, DELTA, 5 + 5);
    emit_store(e, frame_mem(FRAME_VALUE), DELTA);
    emit_jmp_to(e, look_up);
}

/* To the guest rip in SCRATCH. */
static void go_indirect(struct tr *tr, int32_t undo, bool returns)
{
    stub_jumps(tr, JUMP_ROOM);
    access_forget(tr);
    struct stub *stub = stub_far(tr, compare_key(&tr->e, false), EXIT_INDIRECT);
    stub->what = STUB_SECOND;
    stub->extra = undo;
    go_by_table(&tr->e, false, returns);
}

void control_second(struct tr *tr, const struct stub *stub)
{
    jump_to_look_up(&tr->cold, tr->look_up_second);
    put_info(tr, &tr->cold, EXIT_INDIRECT, stub->insn, stub->count, stub->extra);
}

void control_go_to_scratch(struct tr *tr)
{
    go_indirect(tr, 0, false);
}

static void lea_native(struct tr *tr, unsigned to, struct emit_mem from)
{
    if (tr->code64)
        emit_lea(&tr->e, to, from);
    else
        emit_lea32(&tr->e, to, from);
}

/* SCRATCH = the rip of a place relative to this page. */
static void rip_of(struct tr *tr, int32_t offset)
{
    control_page(tr, &tr->e, SCRATCH);
    lea_native(tr, SCRATCH, emit_at(SCRATCH, offset));
}

static bool on_page(int32_t target)
{
    return target >= 0 && target < (int32_t)PAGE_SIZE;
}

/* A branch to a place on the page, to be tied when it is first taken. */
static void exit_to(struct tr *tr, uint8_t *branch, int32_t target)
{
    stub_far(tr, branch, EXIT_DIRECT)->insn = (uint16_t)target;
    tr->loops |= target == tr->head->offset;
}

/* A direct branch to another page: straight on if it was tied in this epoch of the map. Whatever
 * goes round in circles goes down somewhere, and polls there; or, in 32-bit code, round at 4 GiB.
 */
static void go_far(struct tr *tr, struct emit *e, int32_t target, struct stub stub)
{
    struct emit_mem epoch = {.base = H_NONE, .index = H_NONE, .gs = true, .disp = MAP_EPOCH};
    uint8_t *asked = NULL;
    if (target < 0 || !tr->code64) {
        emit_load(e, DELTA, frame_mem(FRAME_POLL));
        asked = emit_jrcxz(e);
    }
    emit_load(e, DELTA, epoch);
    emit_lea(e, DELTA, emit_at(DELTA, INT32_MIN)); /* a 4-byte displacement, whatever its value */
    uint8_t *value = e->at - 4;
    if (!e->full)
        memset(value, 0, 4);
    uint8_t *hit = emit_jrcxz(e);
    if (asked)
        emit_here8(e, asked);
    struct stub *miss = stub_far(tr, emit_jmp32(e), EXIT_FAR);
    uint8_t *from = miss->from;
    bool given = stub.count;
    stub.insn = given ? stub.insn : miss->insn;
    stub.count = given ? stub.count : miss->count;
    stub.what = STUB_FAR_MISS;
    stub.kind = EXIT_FAR;
    stub.from = from;
    stub.epoch = value;
    stub.extra = target;
    *miss = stub;
    emit_here8(e, hit);
    emit_here32_at(e, emit_jmp32(e), from - 1);
}

/* undo: what to add to guest rsp if nothing can be there and the branch faults. */
static void branch_to(struct tr *tr, int32_t target, int32_t undo)
{
    if (on_page(target)) {
        exit_to(tr, emit_jmp32(&tr->e), target);
        return;
    }
    stub_jumps(tr, JUMP_ROOM);
    access_forget(tr);
    go_far(tr, &tr->e, target, (struct stub){.undo = (uint8_t)undo});
}

void control_go(struct tr *tr, int32_t target)
{
    branch_to(tr, target, 0);
}

void control_far(struct tr *tr, const struct stub *stub)
{
    go_far(tr, &tr->cold, stub->extra, *stub);
}

/* The way out to be tied; behind it, where the branch leads when it has been tied too often, the
 * look-ups. */
void control_far_miss(struct tr *tr, const struct stub *stub)
{
    struct emit *e = &tr->cold;
    emit_call_to(e, tr->leave);
    uint8_t *info = e->at;
    emit_byte(e, EXIT_FAR);
    emit_byte(e, (uint8_t)stub->count);
    emit_u16(e, stub->insn);
    emit_u16(e, tr->place);
    emit_u32(e, (uint32_t)(stub->epoch - info));
    emit_u16(e, 0);
    emit_u32(e, (uint32_t)stub->extra);
    emit_byte(e, stub->undo);
    control_page(tr, e, SCRATCH);
    struct emit_mem target = emit_at(SCRATCH, stub->extra);
    if (tr->code64)
        emit_lea(e, SCRATCH, target);
    else
        emit_lea32(e, SCRATCH, target);
    jump_to_look_up(e, tr->look_up);
    put_info(tr, e, EXIT_INDIRECT, stub->insn, stub->count, stub->undo);
}

void control_interpret(struct tr *tr, ZydisMnemonic what)
{
    put_info(tr, &tr->e, EXIT_INTERPRET, tr->insn, tr->done, what);
}

/* The stack: `size` bytes at rsp + disp. Afterwards SCRATCH is free. */
static struct emit_mem stack(struct tr *tr, int32_t disp, unsigned size, bool write)
{
    struct guest_mem mem = {.base = RSP,
                            .index = GPR_ZERO,
                            .segment = SEG_SS,
                            .address_size = tr->code64 ? 8 : 4,
                            .disp = disp,
                            .size = (uint16_t)size,
                            .write = write};
    struct emit_mem at = access_memory(tr, &mem);
    if (at.base == SCRATCH) {
        emit_lea(&tr->e, DELTA, at);
        access_forget(tr);
        at = emit_at(DELTA, 0);
    }
    return at;
}

static void move_rsp(struct tr *tr, int32_t by)
{
    lea_native(tr, HOST_GUEST_RSP, emit_at(HOST_GUEST_RSP, by));
    access_moved(tr, RSP, by);
}

static unsigned stack_size(const struct tr *tr)
{
    return tr->code64 ? 8 : 4;
}

/* Pushes what is in host register `from`, or SCRATCH when FRAME_VALUE is to be pushed. */
static void push_register(struct tr *tr, unsigned from)
{
    unsigned size = stack_size(tr);
    struct emit_mem at = stack(tr, -(int32_t)size, size, true);
    emit_store_sized(&tr->e, at, from, size);
    move_rsp(tr, -(int32_t)size);
}

void control_push_value(struct tr *tr)
{
    unsigned size = stack_size(tr);
    struct emit_mem at = stack(tr, -(int32_t)size, size, true);
    emit_load(&tr->e, SCRATCH, frame_mem(FRAME_VALUE));
    emit_store_sized(&tr->e, at, SCRATCH, size);
    move_rsp(tr, -(int32_t)size);
}

static void push_constant(struct tr *tr, uint64_t value)
{
    unsigned size = stack_size(tr);
    struct emit_mem at = stack(tr, -(int32_t)size, size, true);
    emit_mov_imm(&tr->e, SCRATCH, value);
    emit_store_sized(&tr->e, at, SCRATCH, size);
    move_rsp(tr, -(int32_t)size);
}

static void push_return(struct tr *tr)
{
    unsigned size = stack_size(tr);
    struct emit_mem at = stack(tr, -(int32_t)size, size, true);
    rip_of(tr, tr->next);
    emit_store_sized(&tr->e, at, SCRATCH, size);
    move_rsp(tr, -(int32_t)size);
}

/* A CALL for the host's sake, and the pad that it would come back to. Back on the stack, the
 * address is not needed: it goes the way of FRAME_RETURN. True: another translation with this very
 * call goes on from here, for there is one pad only that returns lead to. */
static bool put_pad(struct tr *tr)
{
    struct emit *e = &tr->e;
    if (!on_page(tr->next))
        return false;
    const uint8_t *other = jumps_find_pad(tr->d, tr->head, tr->next, tr->variant);
    if (other) {
        emit_jmp_to(e, code_writable(&tr->d->code, other) - CALL_SIZE);
        return true;
    }
    stub_jumps(tr, tr->room);
    emit_byte(e, 0xe8);
    emit_u32(e, CALL_SIZE);
    tr->pad = (uint16_t)(e->at - e->start);
    stub_far(tr, emit_jmp32(e), EXIT_INDIRECT);
    emit_lea(e, H_RSP, emit_at(H_RSP, 8));
    tr->pad_to = tr->next;
    return false;
}

/* SCRATCH = an explicit register or memory operand of native width. False: not of that kind. */
static bool can_take(const struct tr *tr, const struct decoded *d)
{
    const ZydisDecodedOperand *o = &d->operands[0];
    struct guest_mem mem;
    if (o->size != stack_size(tr) * 8)
        return false;
    if (o->type == ZYDIS_OPERAND_TYPE_REGISTER)
        return ZydisRegisterGetClass(o->reg.value) == ZYDIS_REGCLASS_GPR64 ||
               ZydisRegisterGetClass(o->reg.value) == ZYDIS_REGCLASS_GPR32;
    return o->type == ZYDIS_OPERAND_TYPE_MEMORY && select_memory(d, &mem) &&
           access_allowed(tr, &mem);
}

static void take(struct tr *tr, const struct decoded *d)
{
    const ZydisDecodedOperand *o = &d->operands[0];
    if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        unsigned guest = (unsigned)ZydisRegisterGetId(o->reg.value);
        if (at_home(guest))
            emit_load(&tr->e, SCRATCH, home_mem(guest));
        else
            emit_mov(&tr->e, SCRATCH, host_of(guest));
        return;
    }
    struct guest_mem mem;
    select_memory(d, &mem);
    mem.write = false;
    struct emit_mem at = access_memory(tr, &mem);
    emit_load_sized(&tr->e, SCRATCH, at, stack_size(tr));
}

static enum control push(struct tr *tr, const struct decoded *d)
{
    const ZydisDecodedOperand *o = &d->operands[0];
    if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        if (d->insn->operand_width != stack_size(tr) * 8)
            return CONTROL_NOT_MINE;
        uint64_t value = (uint64_t)o->imm.value.s;
        push_constant(tr, tr->code64 ? value : (uint32_t)value);
        return CONTROL_DONE;
    }
    if (!can_take(tr, d))
        return CONTROL_NOT_MINE;
    if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        unsigned guest = (unsigned)ZydisRegisterGetId(o->reg.value);
        if (!at_home(guest)) {
            push_register(tr, host_of(guest));
            return CONTROL_DONE;
        }
    }
    take(tr, d);
    emit_store(&tr->e, frame_mem(FRAME_VALUE), SCRATCH);
    control_push_value(tr);
    return CONTROL_DONE;
}

static enum control pop(struct tr *tr, const struct decoded *d)
{
    const ZydisDecodedOperand *o = &d->operands[0];
    if (o->type != ZYDIS_OPERAND_TYPE_REGISTER || !can_take(tr, d))
        return CONTROL_NOT_MINE;
    unsigned guest = (unsigned)ZydisRegisterGetId(o->reg.value), size = stack_size(tr);
    struct emit_mem at = stack(tr, 0, size, false);
    if (guest == RSP) {
        emit_load_sized(&tr->e, HOST_GUEST_RSP, at, size);
        access_changed(tr, 1 << RSP);
        return CONTROL_DONE;
    }
    if (at_home(guest)) {
        emit_load(&tr->e, SCRATCH, at);
        emit_store(&tr->e, home_mem(guest), SCRATCH);
    } else {
        emit_load_sized(&tr->e, host_of(guest), at, size);
    }
    access_changed(tr, (uint16_t)(1u << guest));
    move_rsp(tr, (int32_t)size);
    return CONTROL_DONE;
}

static enum control leave(struct tr *tr, const struct decoded *d)
{
    unsigned size = stack_size(tr);
    if (d->insn->operand_width != size * 8)
        return CONTROL_NOT_MINE;
    struct guest_mem mem = {.base = RBP,
                            .index = GPR_ZERO,
                            .segment = SEG_SS,
                            .address_size = (uint8_t)size,
                            .size = (uint16_t)size};
    struct emit_mem at = access_memory(tr, &mem);
    emit_load_sized(&tr->e, SCRATCH, at, size);
    lea_native(tr, HOST_GUEST_RSP, emit_at(H_RBP, (int32_t)size));
    emit_mov(&tr->e, H_RBP, SCRATCH);
    access_forget(tr);
    return CONTROL_DONE;
}

static enum control ret(struct tr *tr, const struct decoded *d)
{
    unsigned size = stack_size(tr);
    bool far = d->insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    if (far || d->insn->operand_width != size * 8)
        return CONTROL_NOT_MINE;
    int32_t by = (int32_t)size;
    if (d->insn->raw.imm[0].size)
        by += (uint16_t)d->insn->raw.imm[0].value.u;
    struct emit_mem at = stack(tr, 0, size, false);
    emit_load_sized(&tr->e, SCRATCH, at, size);
    move_rsp(tr, by);
    go_indirect(tr, -by, true);
    return CONTROL_ENDS;
}

/* Page offset of a relative branch's target; false when it is none that can be used: far, or cut
 * to 16 bits. */
static bool relative(const struct tr *tr, const struct decoded *d, int32_t *target)
{
    const ZydisDecodedOperand *o = &d->operands[0];
    if (o->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !o->imm.is_relative ||
        d->insn->operand_width == 16)
        return false;
    int64_t at = (int64_t)tr->next + o->imm.value.s;
    *target = (int32_t)at;
    return at == *target;
}

static enum control jump(struct tr *tr, const struct decoded *d, bool call)
{
    if (d->insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
        return CONTROL_NOT_MINE;
    int32_t target;
    if (relative(tr, d, &target)) {
        if (call) {
            push_return(tr);
            if (put_pad(tr))
                return CONTROL_ENDS;
        }
        if (!call && on_page(target)) {
            tr->next = (uint16_t)target;
            return CONTROL_DONE;
        }
        branch_to(tr, target, call ? (int32_t)stack_size(tr) : 0);
        return CONTROL_ENDS;
    }
    if (d->operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE || !can_take(tr, d))
        return CONTROL_NOT_MINE;
    take(tr, d);
    if (call) {
        emit_store(&tr->e, frame_mem(FRAME_VALUE), SCRATCH);
        push_return(tr);
        if (put_pad(tr))
            return CONTROL_ENDS;
        emit_load(&tr->e, SCRATCH, frame_mem(FRAME_VALUE));
    }
    go_indirect(tr, call ? (int32_t)stack_size(tr) : 0, false);
    return CONTROL_ENDS;
}

/* The way on, if not taken, is the trace's. */
static enum control conditional(struct tr *tr, const struct decoded *d)
{
    int32_t target;
    if (!relative(tr, d, &target))
        return CONTROL_NOT_MINE;
    uint8_t *branch = emit_jcc32(&tr->e, d->insn->opcode & 15);
    if (on_page(target)) {
        exit_to(tr, branch, target);
    } else {
        struct stub *stub = stub_far(tr, branch, EXIT_INDIRECT);
        stub->what = STUB_FAR;
        stub->extra = target;
    }
    return CONTROL_DONE;
}

/* LOOP, JECXZ, JRCXZ by the width of the code. A LOOP that leaves the page is the interpreter's:
 * the count stays as it was if there is no code at its target. */
static enum control by_count(struct tr *tr, const struct decoded *d)
{
    struct emit *e = &tr->e;
    bool loop = d->insn->mnemonic == ZYDIS_MNEMONIC_LOOP;
    int32_t target;
    if (d->insn->address_width != (tr->code64 ? 64 : 32) || !relative(tr, d, &target) ||
        !on_page(target))
        return CONTROL_NOT_MINE;
    access_forget(tr);
    stub_jumps(tr, JUMP_ROOM);
    if (loop)
        lea_native(tr, HOST_GUEST_RCX, emit_at(HOST_GUEST_RCX, -1));
    if (tr->code64)
        emit_mov(e, DELTA, HOST_GUEST_RCX);
    else
        emit_mov32(e, DELTA, HOST_GUEST_RCX);
    uint8_t *zero = emit_jrcxz(e), *over = loop ? NULL : emit_jmp8(e);
    if (over)
        emit_here8(e, zero);
    exit_to(tr, emit_jmp32(e), target);
    emit_here8(e, over ? over : zero);
    return CONTROL_DONE;
}

enum control control_instruction(struct tr *tr, const struct decoded *d)
{
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_PUSH:
        return push(tr, d);
    case ZYDIS_MNEMONIC_POP:
        return pop(tr, d);
    case ZYDIS_MNEMONIC_LEAVE:
        return leave(tr, d);
    case ZYDIS_MNEMONIC_RET:
        return ret(tr, d);
    case ZYDIS_MNEMONIC_JMP:
        return jump(tr, d, false);
    case ZYDIS_MNEMONIC_CALL:
        return jump(tr, d, true);
    case ZYDIS_MNEMONIC_LOOP:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ:
        return by_count(tr, d);
    default:
        break;
    }
    bool jcc =
        d->insn->meta.category == ZYDIS_CATEGORY_COND_BR &&
        ((d->insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (d->insn->opcode & 0xf0) == 0x70) ||
         (d->insn->opcode_map == ZYDIS_OPCODE_MAP_0F && (d->insn->opcode & 0xf0) == 0x80));
    if (jcc)
        return conditional(tr, d);
    enum control control = string_instruction(tr, d);
    return control == CONTROL_NOT_MINE ? privileged_instruction(tr, d) : control;
}
