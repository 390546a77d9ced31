/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Instructions that load CS or another segment register: far jumps, calls and returns, interrupts,
 * fast system calls, MOV/POP/PUSH of segment registers, LDS and its like.
 */
#include "cpu/descriptor.h"
#include "cpu/model.h"
#include "engine/interp/system.h"

static const struct op *op_jump_direct(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_far_jump(cpu, op->extra16, op->imm, op->size, op_next_rip(cpu, op));
    return NULL;
}

static const struct op *op_call_direct(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_far_call(cpu, op->extra16, op->imm, op->size, op_next_rip(cpu, op));
    return NULL;
}

/* The far pointer in memory: offset of op->size bytes, selector. */
static uint16_t load_pointer(struct vcpu *cpu, const struct op *op, uint64_t *offset)
{
    gva_t addr = op_linear(cpu, op, op->size + 2u, false);
    *offset = tlb_load_slow(cpu, addr, op->size, cpu->mmu);
    return (uint16_t)tlb_load(cpu, address_wrap(cpu, addr + op->size), 2, cpu->mmu);
}

static const struct op *op_jump_indirect(struct vcpu *cpu, const struct op *op)
{
    uint64_t offset;
    uint16_t selector = load_pointer(cpu, op, &offset);
    cpu_far_jump(cpu, selector, offset, op->size, op_next_rip(cpu, op));
    return NULL;
}

static const struct op *op_call_indirect(struct vcpu *cpu, const struct op *op)
{
    uint64_t offset;
    uint16_t selector = load_pointer(cpu, op, &offset);
    cpu_far_call(cpu, selector, offset, op->size, op_next_rip(cpu, op));
    return NULL;
}

static const struct op *op_far_return(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_far_return(cpu, op->size, op->extra16);
    return NULL;
}

static const struct op *op_iret(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_iret(cpu, op->size, op_next_rip(cpu, op));
    return NULL;
}

static const struct op *op_int(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_software_interrupt(cpu, op->extra16, (enum cpu_event_kind)op->extra8, op_next_rip(cpu, op));
    return NULL;
}

static const struct op *op_into(struct vcpu *cpu, const struct op *op)
{
    if (!(cpu->cc & 1)) /* OF */
        return op_leave(cpu, op);
    return op_int(cpu, op);
}

static const struct op *op_syscall(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_syscall(cpu, op_next_rip(cpu, op));
    return NULL;
}

static const struct op *op_sysret(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_sysret(cpu, op->size);
    return NULL;
}

static const struct op *op_sysenter(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_sysenter(cpu);
    return NULL;
}

static const struct op *op_sysexit(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_sysexit(cpu, op->size);
    return NULL;
}

/* After a load of SS the next instruction is not interrupted. */
static const struct op *after_load(struct vcpu *cpu, const struct op *op)
{
    if (op->extra8 != SEG_SS)
        return op + 1;
    cpu->shadow = 2;
    return op_leave(cpu, op);
}

static const struct op *op_load_register(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu_load_segment(cpu, (enum segment_register)op->extra8, (uint16_t)cpu->gpr[op->rm]);
    return after_load(cpu, op);
}

static const struct op *op_load_memory(struct vcpu *cpu, const struct op *op)
{
    gva_t addr = op_linear(cpu, op, 2, false);
    uint16_t selector = (uint16_t)tlb_load(cpu, addr, 2, cpu->mmu);
    cpu_load_segment(cpu, (enum segment_register)op->extra8, selector);
    return after_load(cpu, op);
}

static const struct op *op_store_register(struct vcpu *cpu, const struct op *op)
{
    system_set_register(cpu, op->rm, cpu->seg[op->extra8].selector, op->size);
    return op + 1;
}

static const struct op *op_store_memory(struct vcpu *cpu, const struct op *op)
{
    gva_t addr = op_linear(cpu, op, 2, true);
    tlb_store(cpu, addr, cpu->seg[op->extra8].selector, 2, cpu->mmu);
    return op + 1;
}

static const struct op *op_push_segment(struct vcpu *cpu, const struct op *op)
{
    uint16_t selector = cpu->seg[op->extra8].selector;
    op_sync(cpu, op);
    if (op->size != 4) {
        cpu_push(cpu, selector, op->size);
        return op + 1;
    }
    /* As Intel's do it: the upper half of the slot stays (SDM 2B, PUSH). */
    struct stack stack = stack_current(cpu);
    stack_push_selector(&stack, selector, op->size);
    stack_commit(&stack);
    return op + 1;
}

static const struct op *op_pop_segment(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    struct stack stack = stack_current(cpu);
    uint16_t selector = stack_pop_selector(&stack, op->size);
    cpu_load_segment(cpu, (enum segment_register)op->extra8, selector);
    stack_commit(&stack);
    return after_load(cpu, op);
}

/* LDS, LES, LFS, LGS, LSS. */
static const struct op *op_load_pointer(struct vcpu *cpu, const struct op *op)
{
    uint64_t offset;
    uint16_t selector = load_pointer(cpu, op, &offset);
    cpu_load_segment(cpu, (enum segment_register)op->extra8, selector);
    system_set_register(cpu, op->reg, offset, op->size);
    return op + 1;
}

static bool use(struct op *op, op_fn fn, unsigned size)
{
    op->fn = fn;
    op->size = (uint8_t)size;
    return true;
}

static bool use_segment(struct op *op, op_fn fn, unsigned size, unsigned segment, bool *ends)
{
    op->extra8 = (uint8_t)segment;
    *ends = segment == SEG_SS;
    return use(op, fn, size);
}

static bool use_int(struct op *op, op_fn fn, unsigned vector, enum cpu_event_kind kind)
{
    op->extra16 = (uint16_t)vector;
    op->extra8 = (uint8_t)kind;
    return use(op, fn, 0);
}

/* FF /3 and /5, 9A, EA: `call` or jump. */
static bool decode_far_branch(const struct decoded *d, struct op *op, bool call, bool direct)
{
    if (!direct) {
        if (system_is_register(d))
            return use(op, op_system_undefined, 0);
        return use(op, call ? op_call_indirect : op_jump_indirect, system_size(d));
    }
    op->extra16 = d->operands[0].ptr.segment;
    op->imm = (uint32_t)d->operands[0].ptr.offset;
    return use(op, call ? op_call_direct : op_jump_direct, system_size(d));
}

/* The one-byte opcodes that end a block. */
static bool decode_transfer(const struct decoded *d, struct op *op)
{
    switch (d->insn->opcode) {
    case 0x9a:
        return decode_far_branch(d, op, true, true);
    case 0xea:
        return decode_far_branch(d, op, false, true);
    case 0xff:
        if (d->insn->raw.modrm.reg != 3 && d->insn->raw.modrm.reg != 5)
            return false;
        return decode_far_branch(d, op, d->insn->raw.modrm.reg == 3, false);
    case 0xca:
        op->extra16 = (uint16_t)d->insn->raw.imm[0].value.u;
        return use(op, op_far_return, system_size(d));
    case 0xcb:
        return use(op, op_far_return, system_size(d));
    case 0xcc:
        return use_int(op, op_int, VEC_BP, EVENT_TRAP);
    case 0xcd:
        return use_int(op, op_int, (uint8_t)d->insn->raw.imm[0].value.u, EVENT_SOFTWARE);
    case 0xce:
        return use_int(op, op_into, VEC_OF, EVENT_TRAP);
    case 0xf1:
        return use_int(op, op_int, VEC_DB, EVENT_ICEBP);
    case 0xcf:
        return use(op, op_iret, system_size(d));
    default:
        return false;
    }
}

static bool decode_segment(const struct decoded *d, struct op *op, bool *ends)
{
    unsigned opcode = d->insn->opcode, segment = d->insn->raw.modrm.reg;
    switch (opcode) {
    case 0x06:
    case 0x0e:
    case 0x16:
    case 0x1e:
        op->extra8 = (uint8_t)(opcode >> 3);
        return use(op, op_push_segment, system_stack_size(d));
    case 0x07:
    case 0x17:
    case 0x1f:
        return use_segment(op, op_pop_segment, system_stack_size(d), opcode >> 3, ends);
    case 0x8c:
        if (segment > SEG_GS)
            return use(op, op_system_undefined, 0);
        op->extra8 = (uint8_t)segment;
        op->rm = system_rm(d);
        return use(op, system_is_register(d) ? op_store_register : op_store_memory, system_size(d));
    case 0x8e:
        if (segment > SEG_GS || segment == SEG_CS)
            return use(op, op_system_undefined, 0);
        op->rm = system_rm(d);
        return use_segment(op, system_is_register(d) ? op_load_register : op_load_memory, 2,
                           segment, ends);
    case 0xc4:
    case 0xc5:
        op->reg = system_reg(d);
        op->extra8 = opcode == 0xc4 ? SEG_ES : SEG_DS;
        return use(op, op_load_pointer, system_size(d));
    default:
        return false;
    }
}

/* A handler that ends the block and is there if the model has the feature. */
static bool use_featured(const struct decoded *d, struct op *op, op_fn fn, enum cpu_feature feature,
                         bool *ends)
{
    *ends = true;
    return use(op, cpu_model_has(d->cpu->model, feature) ? fn : op_system_undefined,
               d->insn->raw.rex.W ? 8 : 4);
}

static bool decode_two_byte(const struct decoded *d, struct op *op, bool *ends)
{
    unsigned opcode = d->insn->opcode;
    switch (opcode) {
    case 0x05:
        return use_featured(d, op, op_syscall, CPU_SYSCALL, ends);
    case 0x07:
        return use_featured(d, op, op_sysret, CPU_SYSCALL, ends);
    case 0x34:
        return use_featured(d, op, op_sysenter, CPU_SEP, ends);
    case 0x35:
        return use_featured(d, op, op_sysexit, CPU_SEP, ends);
    case 0xa0:
    case 0xa8:
        return use_segment(op, op_push_segment, system_stack_size(d),
                           opcode == 0xa0 ? SEG_FS : SEG_GS, ends);
    case 0xa1:
    case 0xa9:
        return use_segment(op, op_pop_segment, system_stack_size(d),
                           opcode == 0xa1 ? SEG_FS : SEG_GS, ends);
    case 0xb2:
    case 0xb4:
    case 0xb5:
        op->reg = system_reg(d);
        op->extra8 = opcode == 0xb2 ? SEG_SS : opcode == 0xb4 ? SEG_FS : SEG_GS;
        return use(op, op_load_pointer, system_size(d));
    default:
        return false;
    }
}

bool decode_system_far(const struct decoded *d, struct op *op, bool *ends)
{
    if (d->insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return false;
    if (d->insn->opcode_map == ZYDIS_OPCODE_MAP_0F)
        return decode_two_byte(d, op, ends);
    if (d->insn->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
        return false;
    if (decode_transfer(d, op)) {
        *ends = true;
        return true;
    }
    return decode_segment(d, op, ends);
}
