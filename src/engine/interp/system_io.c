/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * IN, OUT, INS, OUTS. A repeated transfer goes in runs, so that interrupts are taken in between;
 * each element is committed by itself.
 */
#include "cpu/control.h"
#include "engine/interp/internal.h"
#include "engine/interp/system.h"

/* op->imm: the port, or PORT_DX. */
enum { PORT_DX = 0x10000, RUN = 1024 };

static uint16_t port_of(const struct vcpu *cpu, const struct op *op)
{
    return (uint16_t)(op->imm == PORT_DX ? cpu->gpr[RDX] : op->imm);
}

static const struct op *op_in(struct vcpu *cpu, const struct op *op)
{
    uint16_t port = port_of(cpu, op);
    op_sync(cpu, op);
    cpu_check_io(cpu, port, op->size);
    cpu_watch_port(cpu, port, op->size);
    uint32_t value = cpu_port_in(cpu, port, op->size);
    if (op->size == 1)
        cpu->gpr[RAX] = (cpu->gpr[RAX] & ~0xffull) | (value & 0xff);
    else
        system_set_register(cpu, RAX, value, op->size);
    return op + 1;
}

/* Leaves: the write may have changed the memory map, A20, or asked for a reset. */
static const struct op *op_out(struct vcpu *cpu, const struct op *op)
{
    uint16_t port = port_of(cpu, op);
    op_sync(cpu, op);
    cpu_check_io(cpu, port, op->size);
    cpu_watch_port(cpu, port, op->size);
    uint32_t value = (uint32_t)cpu->gpr[RAX];
    if (op->size < 4)
        value &= (1u << op->size * 8) - 1;
    cpu_port_out(cpu, port, value, op->size);
    return op_leave(cpu, op);
}

/* Cuts a register to the address size, and puts the cut value back. */
static uint64_t address_get(const struct vcpu *cpu, const struct op *op, unsigned reg)
{
    uint64_t value = cpu->gpr[reg];
    return op->address_size == 8   ? value
           : op->address_size == 4 ? (uint32_t)value
                                   : (uint16_t)value;
}

static void address_add(struct vcpu *cpu, const struct op *op, unsigned reg, int64_t delta)
{
    system_set_register(cpu, reg, cpu->gpr[reg] + (uint64_t)delta, op->address_size);
}

static void input_one(struct vcpu *cpu, const struct op *op, uint16_t port)
{
    gva_t addr = cpu_linear(cpu, SEG_ES, address_get(cpu, op, RDI), op->size, true);
    tlb_check_write(cpu, addr, op->size, cpu->mmu); /* before the device is asked */
    tlb_store(cpu, addr, cpu_port_in(cpu, port, op->size), op->size, cpu->mmu);
}

static void output_one(struct vcpu *cpu, const struct op *op, uint16_t port)
{
    gva_t addr =
        cpu_linear(cpu, (enum segment_register)op->seg, address_get(cpu, op, RSI), op->size, false);
    uint32_t value = (uint32_t)tlb_load(cpu, addr, op->size, cpu->mmu);
    cpu_port_out(cpu, port, value, op->size);
}

/* extra8: output. */
static const struct op *op_string(struct vcpu *cpu, const struct op *op)
{
    uint16_t port = (uint16_t)cpu->gpr[RDX];
    bool repeat = op->flags & (OP_REP | OP_REPNE);
    int64_t delta = cpu->rflags & FLAG_DF ? -(int64_t)op->size : op->size;
    op_sync(cpu, op);
    cpu_check_io(cpu, port, op->size); /* with nothing to repeat too */
    if (repeat && !address_get(cpu, op, RCX))
        return op_leave(cpu, op);
    cpu_watch_port(cpu, port, op->size);
    for (unsigned i = 0; i < RUN; i++) {
        if (op->extra8)
            output_one(cpu, op, port);
        else
            input_one(cpu, op, port);
        address_add(cpu, op, op->extra8 ? RSI : RDI, delta);
        if (!repeat)
            return op_leave(cpu, op);
        address_add(cpu, op, RCX, -1);
        if (!address_get(cpu, op, RCX))
            return op_leave(cpu, op);
        if (cpu->rflags & FLAG_TF || cpu->pending_db || attention_within(cpu))
            break;
    }
    op_sync(cpu, op);
    cpu->rflags |= FLAG_RF; /* the instruction's breakpoint is behind us */
    return NULL;            /* here again */
}

bool decode_system_io(const struct decoded *d, struct op *op, bool *ends)
{
    const ZydisDecodedInstruction *insn = d->insn;
    if (insn->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT ||
        insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return false;
    unsigned opcode = insn->opcode;
    bool string = opcode >= 0x6c && opcode <= 0x6f;
    bool immediate = opcode >= 0xe4 && opcode <= 0xe7;
    if (!string && !immediate && !(opcode >= 0xec && opcode <= 0xef))
        return false;
    unsigned wide = system_size(d);
    op->size = !(opcode & 1) ? 1 : wide == 8 ? 4 : (uint8_t)wide;
    op->imm = immediate ? insn->raw.imm[0].value.u & 0xff : PORT_DX;
    if (string) {
        op->fn = op_string;
        op->extra8 = opcode >= 0x6e;
        *ends = true;
        return true;
    }
    bool output = opcode & 2;
    op->fn = output ? op_out : op_in;
    *ends = output;
    return true;
}
