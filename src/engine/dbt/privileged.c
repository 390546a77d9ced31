/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sensitive instructions that kernels use all the time, done in place on struct vcpu: CLI, STI,
 * PUSHF, SWAPGS, RDTSC, RDTSCP. All others are the interpreter's. No flag is touched.
 */
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
    access_stubs(tr, STUB_ROOM);
    emit_load_sized(e, DELTA, vcpu_mem(FROM_GPR(request)), 4);
    emit_keep(e, DELTA, frame_mem(FRAME_REQUESTS));
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
    access_stubs(tr, JUMP_ROOM);
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

enum control privileged_instruction(struct tr *tr, const struct decoded *d)
{
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
    default:
        return CONTROL_NOT_MINE;
    }
}
