/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sensitive instructions that kernels use all the time, done in place on struct vcpu: CLI, STI,
 * PUSHF, SWAPGS, RDTSC, RDTSCP, reads of control and segment registers, the bases of FS and GS,
 * SERIALIZE. What changes the level is in level.c, bit strings are in bits.c. All others are the
 * interpreter's. No flag is touched.
 */
#include "cpu/model.h"
#include "engine/dbt/translate.h"

static bool at_level_0(const struct tr *tr)
{
    return !(tr->variant & CODE_USER);
}

static enum control cli(struct tr *tr)
{
    struct emit *e = &tr->e;
    if (!at_level_0(tr))
        return CONTROL_NOT_MINE;
    emit_load(e, SCRATCH, vcpu_mem(FROM_GPR(rflags)));
    emit_keep(e, SCRATCH, frame_mem(FRAME_NOT_IF));
    emit_store(e, vcpu_mem(FROM_GPR(rflags)), SCRATCH);
    return CONTROL_DONE;
}

/* The interpreter does it if something is pending: then the next instruction matters. Else there is
 * nothing to hold back, and the way to the next instruction, on the same page, does not poll. */
static enum control sti(struct tr *tr)
{
    struct emit *e = &tr->e;
    if (!at_level_0(tr) || tr->next >= PAGE_SIZE)
        return CONTROL_NOT_MINE;
    access_forget(tr);
    stub_jumps(tr, 2 * JUMP_ROOM);
    emit_load_sized(e, DELTA, vcpu_mem(FROM_GPR(request)), 4);
    emit_any(e, DELTA, DELTA, frame_mem(FRAME_REQUESTS));
    uint8_t *none = emit_jrcxz(e);
    control_interpret(tr, ZYDIS_MNEMONIC_STI);
    emit_here8(e, none);
    emit_load(e, SCRATCH, vcpu_mem(FROM_GPR(rflags)));
    emit_keep(e, SCRATCH, frame_mem(FRAME_NOT_IF));
    emit_lea(e, SCRATCH, emit_at(SCRATCH, FLAG_IF));
    emit_store(e, vcpu_mem(FROM_GPR(rflags)), SCRATCH);
    control_go(tr, tr->next);
    return CONTROL_ENDS;
}

static enum control pushf(struct tr *tr, const struct decoded *d)
{
    struct emit *e = &tr->e;
    if (d->insn->operand_width != (tr->code64 ? 64 : 32))
        return CONTROL_NOT_MINE;
    access_forget(tr);
    stub_jumps(tr, JUMP_ROOM);
    /* pushfq; pop [value]: FRAME_RETURN is on the way and holds nothing now. */
    emit_byte(e, 0x9c);
    emit_insn(
        e, &(struct emit_insn){
               .opcode = 0x8f, .has_modrm = true, .memory = true, .mem = frame_mem(FRAME_VALUE)});
    emit_load(e, SCRATCH, frame_mem(FRAME_VALUE));
    emit_keep(e, SCRATCH, frame_mem(FRAME_ARITH));
    emit_load(e, DELTA, vcpu_mem(FROM_GPR(rflags)));
    emit_keep(e, DELTA, frame_mem(FRAME_OTHER_FLAGS));
    emit_lea(e, SCRATCH, (struct emit_mem){.base = SCRATCH, .index = DELTA, .disp = 2});
    emit_store(e, frame_mem(FRAME_VALUE), SCRATCH);
    control_push_value(tr);
    return CONTROL_DONE;
}

static enum control swapgs(struct tr *tr)
{
    struct emit *e = &tr->e;
    if (!at_level_0(tr) || !tr->code64)
        return CONTROL_NOT_MINE;
    access_forget(tr);
    emit_load(e, SCRATCH, frame_mem(FRAME_GS_BASE));
    emit_load(e, DELTA, vcpu_mem(FROM_GPR(kernel_gs_base)));
    emit_store(e, vcpu_mem(FROM_GPR(kernel_gs_base)), SCRATCH);
    emit_store(e, frame_mem(FRAME_GS_BASE), DELTA);
    emit_store(e, vcpu_mem(FROM_GPR(seg[SEG_GS].base)), DELTA);
    return CONTROL_DONE;
}

/* edx:eax = the host's counter and the offset; RDTSCP: ecx = TSC_AUX. */
static enum control rdtsc(struct tr *tr, bool p)
{
    struct emit *e = &tr->e;
    if (!at_level_0(tr) || tr->d->lockstep)
        return CONTROL_NOT_MINE; /* CR4.TSD may forbid it; in lockstep two readings would differ */
    emit_byte(e, 0x0f);
    emit_byte(e, 0x31);
    emit_rorx(e, SCRATCH, H_RDX, 32);
    emit_lea(e, H_RAX, (struct emit_mem){.base = H_RAX, .index = SCRATCH});
    emit_load(e, SCRATCH, vcpu_mem(FROM_GPR(tsc_offset)));
    emit_lea(e, H_RAX, (struct emit_mem){.base = H_RAX, .index = SCRATCH});
    emit_rorx(e, H_RDX, H_RAX, 32);
    emit_mov32(e, H_RDX, H_RDX);
    emit_mov32(e, H_RAX, H_RAX);
    if (p)
        emit_load_sized(e, HOST_GUEST_RCX, vcpu_mem(FROM_GPR(tsc_aux)), 4);
    access_changed(tr, 1 << RAX | 1 << RDX | 1 << RCX);
    return CONTROL_DONE;
}

/* A guest register = SCRATCH, whose upper half is 0 if size is 4. */
static void to_guest(struct tr *tr, unsigned guest, unsigned size)
{
    struct emit *e = &tr->e;
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

static unsigned field_reg(const struct decoded *d)
{
    return d->insn->raw.modrm.reg | (unsigned)d->insn->raw.rex.R << 3;
}

static unsigned field_rm(const struct decoded *d)
{
    return d->insn->raw.modrm.rm | (unsigned)d->insn->raw.rex.B << 3;
}

static enum control read_control(struct tr *tr, const struct decoded *d)
{
    static const int32_t at[] = {FROM_GPR(cr0), 0, FROM_GPR(cr2), FROM_GPR(cr3), FROM_GPR(cr4)};
    unsigned number = field_reg(d);
    if (!at_level_0(tr) || number > 4 || number == 1 || d->insn->attributes & ZYDIS_ATTRIB_HAS_LOCK)
        return CONTROL_NOT_MINE;
    emit_load_sized(&tr->e, SCRATCH, vcpu_mem(at[number]), tr->code64 ? 8 : 4);
    to_guest(tr, field_rm(d), 8);
    return CONTROL_DONE;
}

static enum control read_selector(struct tr *tr, const struct decoded *d)
{
    const ZydisDecodedOperand *o = d->operands;
    unsigned segment = d->insn->raw.modrm.reg;
    if (o[0].type != ZYDIS_OPERAND_TYPE_REGISTER || segment > SEG_GS)
        return CONTROL_NOT_MINE;
    int32_t at = FROM_GPR(seg) +
                 (int32_t)(segment * sizeof(struct segment) + offsetof(struct segment, selector));
    emit_load_sized(&tr->e, SCRATCH, vcpu_mem(at), 2);
    to_guest(tr, field_rm(d), o[0].size / 8);
    return CONTROL_DONE;
}

static enum control move(struct tr *tr, const struct decoded *d)
{
    if (d->insn->opcode_map == ZYDIS_OPCODE_MAP_0F && d->insn->opcode == 0x20)
        return read_control(tr, d);
    if (d->insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && d->insn->opcode == 0x8c)
        return read_selector(tr, d);
    return CONTROL_NOT_MINE;
}

/* To the interpreter unless CR4 allows RDFSBASE and its kin. */
static void check_fsgsbase(struct tr *tr)
{
    struct emit *e = &tr->e;
    access_forget(tr);
    stub_jumps(tr, JUMP_ROOM);
    emit_load(e, DELTA, vcpu_mem(FROM_GPR(cr4)));
    emit_pext(e, DELTA, DELTA, frame_mem(FRAME_CR4_FSGSBASE));
    stub_near(tr, emit_jrcxz(e), EXIT_INTERPRET);
}

static enum control read_base(struct tr *tr, const struct decoded *d, bool fs)
{
    unsigned size = d->insn->raw.rex.W ? 8 : 4;
    if (!tr->code64 || !cpu_model_has(tr->d->cpu->model, CPU_FSGSBASE))
        return CONTROL_NOT_MINE;
    check_fsgsbase(tr);
    emit_load_sized(&tr->e, SCRATCH, frame_mem(fs ? FRAME_FS_BASE : FRAME_GS_BASE), size);
    to_guest(tr, field_rm(d), size);
    return CONTROL_DONE;
}

static enum control write_base(struct tr *tr, const struct decoded *d, bool fs)
{
    struct emit *e = &tr->e;
    enum { BITS_SET = 0x1ffff }; /* FRAME_HIGH_BITS has so many */
    unsigned size = d->insn->raw.rex.W ? 8 : 4, guest = field_rm(d);
    if (!tr->code64 || !cpu_model_has(tr->d->cpu->model, CPU_FSGSBASE))
        return CONTROL_NOT_MINE;
    check_fsgsbase(tr);
    if (at_home(guest))
        emit_load_sized(e, SCRATCH, home_mem(guest), size);
    else if (size == 8)
        emit_mov(e, SCRATCH, host_of(guest));
    else
        emit_mov32(e, SCRATCH, host_of(guest));
    if (size == 8) { /* canonical? */
        stub_jumps(tr, JUMP_ROOM);
        emit_pext(e, DELTA, SCRATCH, frame_mem(FRAME_HIGH_BITS));
        uint8_t *low = emit_jrcxz(e);
        emit_lea(e, DELTA, emit_at(DELTA, -BITS_SET));
        uint8_t *high = emit_jrcxz(e);
        control_interpret(tr, d->insn->mnemonic);
        emit_here8(e, low);
        emit_here8(e, high);
    }
    emit_store(e, frame_mem(fs ? FRAME_FS_BASE : FRAME_GS_BASE), SCRATCH);
    emit_store(e, vcpu_mem(fs ? FROM_GPR(seg[SEG_FS].base) : FROM_GPR(seg[SEG_GS].base)), SCRATCH);
    return CONTROL_DONE;
}

enum control privileged_instruction(struct tr *tr, const struct decoded *d)
{
    enum control control = bit_instruction(tr, d);
    if (control == CONTROL_NOT_MINE)
        control = level_instruction(tr, d);
    if (control != CONTROL_NOT_MINE)
        return control;
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_CLI:
        return cli(tr);
    case ZYDIS_MNEMONIC_STI:
        return sti(tr);
    case ZYDIS_MNEMONIC_PUSHFD:
    case ZYDIS_MNEMONIC_PUSHFQ:
        return pushf(tr, d);
    case ZYDIS_MNEMONIC_SWAPGS:
        return swapgs(tr);
    case ZYDIS_MNEMONIC_RDTSC:
        return rdtsc(tr, false);
    case ZYDIS_MNEMONIC_RDTSCP:
        return rdtsc(tr, true);
    case ZYDIS_MNEMONIC_MOV:
        return move(tr, d);
    case ZYDIS_MNEMONIC_RDFSBASE:
        return read_base(tr, d, true);
    case ZYDIS_MNEMONIC_RDGSBASE:
        return read_base(tr, d, false);
    case ZYDIS_MNEMONIC_WRFSBASE:
        return write_base(tr, d, true);
    case ZYDIS_MNEMONIC_WRGSBASE:
        return write_base(tr, d, false);
    case ZYDIS_MNEMONIC_SERIALIZE: /* code that was written is found by other means */
        return cpu_model_has(tr->d->cpu->model, CPU_SERIALIZE) ? CONTROL_DONE : CONTROL_NOT_MINE;
    default:
        return CONTROL_NOT_MINE;
    }
}
