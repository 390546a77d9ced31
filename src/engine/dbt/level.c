/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What changes the privilege of the code that runs, or of its accesses, without leaving translated
 * code: STAC and CLAC, SYSCALL and SYSRET between 64-bit levels.
 *
 * Accesses go through the map that gs holds, so gs is loaded with another. The C side is told by
 * cpu->mmu, which always names the map in gs, and by cpu->code_mode and cpl: after translated code
 * was left, dbt.c takes map, gs and variant from these. The other map's jump table must hold, and
 * for the variant that goes on: only C code clears it (map_use), as it enters by that map. Until
 * then jumps_stale is not 0 or jump_variant another, the instruction leaves to have the interpreter
 * do it, and what runs next enters that way. Nothing else makes tables stale than C code, and it
 * marks them; so one look before the switch is enough.
 *
 * Entries of a map need no such look: what they say holds as long as they are there.
 *
 * SYSCALL and SYSRET take segments and flags from MSRs; d->syscall and d->sysret have them ready.
 * They are made anew when the MSRs have changed (level_prepare), which only C code does.
 */
#include <string.h>

#include "cpu/model.h"
#include "cpu/segment.h"
#include "engine/dbt/translate.h"

/* mov [at], value */
static void store_constant(struct emit *e, struct emit_mem at, uint32_t value, unsigned size)
{
    struct emit_insn out = {.opcode = size == 1 ? 0xc6 : 0xc7,
                            .has_modrm = true,
                            .memory = true,
                            .mem = at,
                            .imm_length = (uint8_t)size};
    memcpy(out.imm, &value, sizeof(value));
    emit_insn(e, &out);
}

/* The instruction is the interpreter's unless DELTA is 0. */
static void interpret_unless_zero(struct tr *tr, const struct decoded *d)
{
    uint8_t *zero = emit_jrcxz(&tr->e);
    control_interpret(tr, d->insn->mnemonic);
    emit_here8(&tr->e, zero);
}

/* DELTA = the address of the struct map. That of level 3 is another in each address space. */
static void map_address(struct tr *tr, unsigned mmu)
{
    if (mmu == MMU_USER) {
        emit_mov_imm(&tr->e, DELTA, (uintptr_t)&tr->d->user);
        emit_load(&tr->e, DELTA, emit_at(DELTA, 0));
    } else {
        emit_mov_imm(&tr->e, DELTA, (uintptr_t)&tr->d->maps[mmu]);
    }
}

/* May code of this variant go on in the map? */
static void check_map(struct tr *tr, const struct decoded *d, unsigned mmu, uint32_t variant)
{
    struct emit *e = &tr->e;
    _Static_assert(offsetof(struct map, jumps_stale) == offsetof(struct map, jump_variant) + 4,
                   "they are read as one");
    stub_jumps(tr, JUMP_ROOM);
    map_address(tr, mmu);
    emit_load(e, DELTA, emit_at(DELTA, offsetof(struct map, jump_variant)));
    emit_lea(e, DELTA, emit_at(DELTA, -(int32_t)variant));
    interpret_unless_zero(tr, d);
}

static void change_map(struct tr *tr, unsigned mmu)
{
    struct emit *e = &tr->e;
    store_constant(e, vcpu_mem(FROM_GPR(mmu)), mmu, 4);
    map_address(tr, mmu);
    emit_load(e, DELTA, emit_at(DELTA, offsetof(struct map, entries)));
    emit_insn(e, &(struct emit_insn){.map = 1,
                                     .repeat = 0xf3,
                                     .opcode = 0xae, /* WRGSBASE */
                                     .w = true,
                                     .has_modrm = true,
                                     .reg = 3,
                                     .rm = DELTA});
    access_forget(tr);
}

static bool has(const struct tr *tr, enum cpu_feature feature)
{
    return cpu_model_has(tr->d->cpu->model, feature);
}

static enum control set_ac(struct tr *tr, const struct decoded *d, bool on)
{
    struct emit *e = &tr->e;
    if (tr->variant & CODE_USER || !has(tr, CPU_SMAP))
        return CONTROL_NOT_MINE;
    unsigned mmu = on ? MMU_KERNEL : MMU_KERNEL_SMAP;
    access_forget(tr);
    if (tr->variant & VARIANT_SMAP)
        check_map(tr, d, mmu, tr->variant);
    stub_jumps(tr, JUMP_ROOM);
    emit_load(e, SCRATCH, vcpu_mem(FROM_GPR(rflags)));
    emit_keep(e, SCRATCH, frame_mem(FRAME_NOT_AC));
    if (on)
        emit_lea(e, SCRATCH, emit_at(SCRATCH, FLAG_AC));
    emit_store(e, vcpu_mem(FROM_GPR(rflags)), SCRATCH);
    if (tr->variant & VARIANT_SMAP)
        change_map(tr, mmu);
    return CONTROL_DONE;
}

/* DELTA = what SCRATCH, the address of a struct level_change, has there */
static void from_change(struct tr *tr, size_t offset)
{
    emit_load(&tr->e, DELTA, emit_at(SCRATCH, (int32_t)offset));
}

static void load_segment(struct tr *tr, size_t from, int32_t to)
{
    for (int32_t i = 0; i < (int32_t)sizeof(struct segment); i += 8) {
        from_change(tr, from + (size_t)i);
        emit_store(&tr->e, vcpu_mem(to + i), DELTA);
    }
}

/* With the change's address in SCRATCH. */
static void load_level(struct tr *tr, unsigned cpl)
{
    struct emit *e = &tr->e;
    _Static_assert(sizeof(struct segment) % 8 == 0, "copied by 8 bytes");
    load_segment(tr, offsetof(struct level_change, cs), FROM_GPR(seg[SEG_CS]));
    load_segment(tr, offsetof(struct level_change, ss), FROM_GPR(seg[SEG_SS]));
    store_constant(e, vcpu_mem(FROM_GPR(cpl)), cpl, 1);
    store_constant(e, vcpu_mem(FROM_GPR(code_mode)), CODE_64 | (cpl ? CODE_USER : 0), 4);
}

/* SCRATCH = the change; to the interpreter if it cannot be made here. */
static void begin_change(struct tr *tr, const struct decoded *d, const struct level_change *change)
{
    struct emit *e = &tr->e;
    (void)d;
    stub_jumps(tr, tr->room);
    emit_mov_imm(e, SCRATCH, (uintptr_t)change);
    from_change(tr, offsetof(struct level_change, open));
    stub_near(tr, emit_jrcxz(e), EXIT_INTERPRET);
}

/* SCRATCH = the arithmetic flags as in RFLAGS. FRAME_RETURN is on the way and holds nothing now. */
static void read_flags(struct tr *tr)
{
    struct emit *e = &tr->e;
    emit_byte(e, 0x9c); /* pushfq; pop [value] */
    emit_insn(
        e, &(struct emit_insn){
               .opcode = 0x8f, .has_modrm = true, .memory = true, .mem = frame_mem(FRAME_VALUE)});
    emit_load(e, SCRATCH, frame_mem(FRAME_VALUE));
    emit_keep(e, SCRATCH, frame_mem(FRAME_ARITH));
}

static enum control syscall(struct tr *tr, const struct decoded *d)
{
    struct emit *e = &tr->e;
    uint32_t variant = tr->variant & ~(uint32_t)CODE_USER;
    unsigned mmu = variant & VARIANT_SMAP ? MMU_KERNEL_SMAP : MMU_KERNEL;
    const struct level_change *change = &tr->d->syscall;
    if (!tr->code64 || !has(tr, CPU_SYSCALL))
        return CONTROL_NOT_MINE;
    access_forget(tr);
    begin_change(tr, d, change);
    check_map(tr, d, mmu, variant);
    stub_jumps(tr, 2 * JUMP_ROOM);
    read_flags(tr);
    emit_load(e, DELTA, vcpu_mem(FROM_GPR(rflags)));
    emit_keep(e, DELTA, frame_mem(FRAME_OTHER_FLAGS));
    emit_lea(e, H_R11, (struct emit_mem){.base = SCRATCH, .index = DELTA, .disp = 2});
    control_page(tr, e, SCRATCH);
    emit_lea(e, HOST_GUEST_RCX, emit_at(SCRATCH, tr->next));
    stub_jumps(tr, 2 * JUMP_ROOM);
    emit_mov_imm(e, SCRATCH, (uintptr_t)change);
    struct emit_mem keep = emit_at(SCRATCH, offsetof(struct level_change, flags));
    emit_load(e, DELTA, vcpu_mem(FROM_GPR(rflags)));
    emit_keep(e, DELTA, keep);
    emit_store(e, vcpu_mem(FROM_GPR(rflags)), DELTA);
    load_level(tr, 0);
    change_map(tr, mmu);
    stub_jumps(tr, JUMP_ROOM);
    emit_load(e, DELTA, emit_at(SCRATCH, offsetof(struct level_change, target)));
    emit_mov_imm(e, SCRATCH, 1); /* 1 + 0 clears all flags that SFMASK has: level_prepare */
    emit_insn(
        e, &(struct emit_insn){.opcode = 0x83, .has_modrm = true, .rm = SCRATCH, .imm_length = 1});
    emit_mov(e, SCRATCH, DELTA);
    control_go_to_scratch(tr);
    return CONTROL_ENDS;
}

/* The host's arithmetic flags from r11. */
static void write_flags(struct tr *tr)
{
    struct emit *e = &tr->e;
    emit_pext(e, DELTA, H_R11, frame_mem(FRAME_FLAG_OF));
    emit_mov(e, SCRATCH, H_RAX);
    emit_rorx(e, H_RAX, H_R11, 56); /* bits 0 to 7 to AH */
    /* mov al, cl; add al, 127 (OF); sahf */
    static const uint8_t code[] = {0x88, 0xc8, 0x04, 0x7f, 0x9e};
    for (unsigned i = 0; i < ARRAY_LEN(code); i++)
        emit_byte(e, code[i]);
    emit_mov(e, H_RAX, SCRATCH);
}

/* Back to where 64-bit code of the lower half does nothing unusual, with nothing pending that the
 * new IF lets in. */
static enum control sysret(struct tr *tr, const struct decoded *d)
{
    struct emit *e = &tr->e;
    if (!tr->code64 || tr->variant & CODE_USER || !d->insn->raw.rex.W || !has(tr, CPU_SYSCALL))
        return CONTROL_NOT_MINE;
    access_forget(tr);
    begin_change(tr, d, &tr->d->sysret);
    check_map(tr, d, MMU_USER, tr->variant | CODE_USER);
    stub_jumps(tr, JUMP_ROOM);
    emit_pext(e, DELTA, HOST_GUEST_RCX, frame_mem(FRAME_HIGH_BITS));
    interpret_unless_zero(tr, d);
    emit_any(e, DELTA, H_R11, frame_mem(FRAME_SYSRET_RARE));
    interpret_unless_zero(tr, d);
    emit_load_sized(e, DELTA, vcpu_mem(FROM_GPR(request)), 4);
    emit_any(e, DELTA, DELTA, frame_mem(FRAME_REQUESTS));
    interpret_unless_zero(tr, d);
    stub_jumps(tr, 2 * JUMP_ROOM);
    emit_mov(e, DELTA, H_R11);
    emit_keep(e, DELTA, frame_mem(FRAME_SYSRET_KEEP));
    emit_lea(e, DELTA, emit_at(DELTA, 2));
    emit_store(e, vcpu_mem(FROM_GPR(rflags)), DELTA);
    load_level(tr, 3);
    change_map(tr, MMU_USER);
    stub_jumps(tr, JUMP_ROOM);
    write_flags(tr);
    emit_mov(e, SCRATCH, HOST_GUEST_RCX);
    control_go_to_scratch(tr);
    return CONTROL_ENDS;
}

enum control level_instruction(struct tr *tr, const struct decoded *d)
{
    if (!tr->d->dbt->host.fsgsbase) /* WRGSBASE */
        return CONTROL_NOT_MINE;
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_STAC:
        return set_ac(tr, d, true);
    case ZYDIS_MNEMONIC_CLAC:
        return set_ac(tr, d, false);
    case ZYDIS_MNEMONIC_SYSCALL:
        return syscall(tr, d);
    case ZYDIS_MNEMONIC_SYSRET:
        return sysret(tr, d);
    default:
        return CONTROL_NOT_MINE;
    }
}

static bool canonical(uint64_t addr)
{
    return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

void level_prepare(struct dbt_vcpu *d)
{
    const struct vcpu *cpu = d->cpu;
    const uint64_t msrs[4] = {cpu->star, cpu->lstar, cpu->sfmask,
                              (cpu->efer & (EFER_SCE | EFER_LMA)) | (cpu->cr4 & CR4_SMAP) << 32};
    if (memcmp(msrs, d->level_msrs, sizeof(msrs)) == 0)
        return;
    memcpy(d->level_msrs, msrs, sizeof(msrs));
    bool on = (cpu->efer & (EFER_SCE | EFER_LMA)) == (EFER_SCE | EFER_LMA);
    /* Which map follows and which arithmetic flags shall not depend on what they are. */
    bool plain = (cpu->sfmask & FLAGS_ARITH) == FLAGS_ARITH &&
                 (cpu->sfmask & FLAG_AC || !(cpu->cr4 & CR4_SMAP)) && canonical(cpu->lstar);
    d->syscall.open = on && plain;
    d->syscall.target = cpu->lstar;
    d->syscall.flags = ~(cpu->sfmask | FLAG_RF | FLAG_VM) | 2;
    segment_syscall(cpu, &d->syscall.cs, &d->syscall.ss);
    d->sysret.open = on;
    segment_sysret(cpu, true, &d->sysret.cs, &d->sysret.ss);
}
