/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The list below is what isolation rests on: only what is on it runs on the host, with every memory
 * operand replaced. Anything else is the interpreter's.
 */
#include "engine/dbt/select.h"

#include <string.h>

#include "engine/interp/integer.h"

/* General-purpose instructions without memory operands of their own choosing, without effects
 * beyond registers, flags and their explicit operands, and the same in user mode as everywhere. */
static bool listed(ZydisMnemonic mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_ADC:
    case ZYDIS_MNEMONIC_ADCX:
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_ADOX:
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_ANDN:
    case ZYDIS_MNEMONIC_BEXTR:
    case ZYDIS_MNEMONIC_BLSI:
    case ZYDIS_MNEMONIC_BLSMSK:
    case ZYDIS_MNEMONIC_BLSR:
    case ZYDIS_MNEMONIC_BSF:
    case ZYDIS_MNEMONIC_BSR:
    case ZYDIS_MNEMONIC_BSWAP:
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTC:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BZHI:
    case ZYDIS_MNEMONIC_CBW:
    case ZYDIS_MNEMONIC_CDQ:
    case ZYDIS_MNEMONIC_CDQE:
    case ZYDIS_MNEMONIC_CLC:
    case ZYDIS_MNEMONIC_CMC:
    case ZYDIS_MNEMONIC_CMOVB:
    case ZYDIS_MNEMONIC_CMOVBE:
    case ZYDIS_MNEMONIC_CMOVL:
    case ZYDIS_MNEMONIC_CMOVLE:
    case ZYDIS_MNEMONIC_CMOVNB:
    case ZYDIS_MNEMONIC_CMOVNBE:
    case ZYDIS_MNEMONIC_CMOVNL:
    case ZYDIS_MNEMONIC_CMOVNLE:
    case ZYDIS_MNEMONIC_CMOVNO:
    case ZYDIS_MNEMONIC_CMOVNP:
    case ZYDIS_MNEMONIC_CMOVNS:
    case ZYDIS_MNEMONIC_CMOVNZ:
    case ZYDIS_MNEMONIC_CMOVO:
    case ZYDIS_MNEMONIC_CMOVP:
    case ZYDIS_MNEMONIC_CMOVS:
    case ZYDIS_MNEMONIC_CMOVZ:
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_CMPXCHG:
    case ZYDIS_MNEMONIC_CMPXCHG16B:
    case ZYDIS_MNEMONIC_CMPXCHG8B:
    case ZYDIS_MNEMONIC_CQO:
    case ZYDIS_MNEMONIC_CRC32:
    case ZYDIS_MNEMONIC_CWD:
    case ZYDIS_MNEMONIC_CWDE:
    case ZYDIS_MNEMONIC_DEC:
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV:
    case ZYDIS_MNEMONIC_IMUL:
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_LAHF:
    case ZYDIS_MNEMONIC_LFENCE:
    case ZYDIS_MNEMONIC_LZCNT:
    case ZYDIS_MNEMONIC_MFENCE:
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVBE:
    case ZYDIS_MNEMONIC_MOVNTI:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MUL:
    case ZYDIS_MNEMONIC_MULX:
    case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_NOT:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_PAUSE:
    case ZYDIS_MNEMONIC_PDEP:
    case ZYDIS_MNEMONIC_PEXT:
    case ZYDIS_MNEMONIC_POPCNT:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RORX:
    case ZYDIS_MNEMONIC_SAHF:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_SARX:
    case ZYDIS_MNEMONIC_SBB:
    case ZYDIS_MNEMONIC_SETB:
    case ZYDIS_MNEMONIC_SETBE:
    case ZYDIS_MNEMONIC_SETL:
    case ZYDIS_MNEMONIC_SETLE:
    case ZYDIS_MNEMONIC_SETNB:
    case ZYDIS_MNEMONIC_SETNBE:
    case ZYDIS_MNEMONIC_SETNL:
    case ZYDIS_MNEMONIC_SETNLE:
    case ZYDIS_MNEMONIC_SETNO:
    case ZYDIS_MNEMONIC_SETNP:
    case ZYDIS_MNEMONIC_SETNS:
    case ZYDIS_MNEMONIC_SETNZ:
    case ZYDIS_MNEMONIC_SETO:
    case ZYDIS_MNEMONIC_SETP:
    case ZYDIS_MNEMONIC_SETS:
    case ZYDIS_MNEMONIC_SETZ:
    case ZYDIS_MNEMONIC_SFENCE:
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHLX:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SHRD:
    case ZYDIS_MNEMONIC_SHRX:
    case ZYDIS_MNEMONIC_STC:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_TZCNT:
    case ZYDIS_MNEMONIC_XADD:
    case ZYDIS_MNEMONIC_XCHG:
    case ZYDIS_MNEMONIC_XOR:
        return true;
    default:
        return false;
    }
}

/* Vector instructions that reach memory in ways of their own, or state that is not kept here. */
static bool vector_excluded(ZydisMnemonic mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_EMMS:
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
    case ZYDIS_MNEMONIC_MASKMOVQ:
        return true;
    default:
        return false;
    }
}

static bool is_gpr(ZydisRegister reg)
{
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        return true;
    default:
        return false;
    }
}

static bool is_high(ZydisRegister reg)
{
    return reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
}

static unsigned gpr_number(ZydisRegister reg)
{
    if (is_high(reg))
        return (unsigned)(reg - ZYDIS_REGISTER_AH);
    if (ZydisRegisterGetClass(reg) != ZYDIS_REGCLASS_GPR8)
        return (unsigned)ZydisRegisterGetId(reg);
    if (reg >= ZYDIS_REGISTER_SPL)
        return (unsigned)(reg - ZYDIS_REGISTER_SPL) + 4;
    return (unsigned)(reg - ZYDIS_REGISTER_AL);
}

static bool reads(const ZydisDecodedOperand *operand)
{
    return operand->actions & (ZYDIS_OPERAND_ACTION_MASK_READ | ZYDIS_OPERAND_ACTION_CONDWRITE);
}

static bool writes(const ZydisDecodedOperand *operand)
{
    return operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
}

/* A register of the instruction's encoding. */
static bool add_register(struct plan *plan, const ZydisDecodedOperand *operand)
{
    ZydisRegister reg = operand->reg.value;
    uint8_t place;
    switch (operand->encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        place = PLACE_REG;
        break;
    case ZYDIS_OPERAND_ENCODING_MODRM_RM:
    case ZYDIS_OPERAND_ENCODING_OPCODE:
        place = PLACE_RM;
        break;
    case ZYDIS_OPERAND_ENCODING_NDSNDD:
        place = PLACE_VVVV;
        break;
    case ZYDIS_OPERAND_ENCODING_MASK:
        return !is_gpr(reg);
    case ZYDIS_OPERAND_ENCODING_IS4:
        plan->out.imm[0] = (uint8_t)((plan->out.imm[0] & 15) | (ZydisRegisterGetId(reg) & 15) << 4);
        return !is_gpr(reg);
    default:
        return false;
    }
    if (operand->encoding == ZYDIS_OPERAND_ENCODING_OPCODE)
        plan->out.opcode_register = true;
    if (!is_gpr(reg)) {
        unsigned number = (unsigned)ZydisRegisterGetId(reg) & 31;
        if (place == PLACE_REG)
            plan->out.reg = (uint8_t)number;
        else if (place == PLACE_RM)
            plan->out.rm = (uint8_t)number;
        else
            plan->out.vvvv = (uint8_t)number;
        return true;
    }
    if (plan->count == ARRAY_LEN(plan->registers))
        return false;
    struct guest_register *r = &plan->registers[plan->count++];
    *r = (struct guest_register){.guest = (uint8_t)gpr_number(reg),
                                 .place = place,
                                 .size = (uint8_t)(operand->size / 8),
                                 .high = is_high(reg),
                                 .read = reads(operand),
                                 .write = writes(operand)};
    plan->any_high |= r->high;
    if (r->write)
        plan->written |= (uint16_t)(1u << r->guest);
    return true;
}

static bool compares_strings(ZydisMnemonic mnemonic)
{
    return mnemonic == ZYDIS_MNEMONIC_PCMPISTRI || mnemonic == ZYDIS_MNEMONIC_PCMPESTRI ||
           mnemonic == ZYDIS_MNEMONIC_VPCMPISTRI || mnemonic == ZYDIS_MNEMONIC_VPCMPESTRI;
}

/* An operand that is no part of the encoding. */
static bool implicit_allowed(struct plan *plan, const ZydisDecodedOperand *operand,
                             ZydisMnemonic mnemonic)
{
    if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    ZydisRegister reg = operand->reg.value;
    ZydisRegisterClass class = ZydisRegisterGetClass(reg);
    if (class == ZYDIS_REGCLASS_FLAGS || reg == ZYDIS_REGISTER_MXCSR)
        return true;
    if (class == ZYDIS_REGCLASS_XMM || class == ZYDIS_REGCLASS_YMM || class == ZYDIS_REGCLASS_ZMM)
        return true; /* XMM0 of BLENDV, all of them for VZEROUPPER */
    if (!is_gpr(reg))
        return false;
    if (reg == ZYDIS_REGISTER_CL && !writes(operand)) {
        switch (mnemonic) {
        case ZYDIS_MNEMONIC_SHL:
        case ZYDIS_MNEMONIC_SHR:
        case ZYDIS_MNEMONIC_SAR:
        case ZYDIS_MNEMONIC_ROL:
        case ZYDIS_MNEMONIC_ROR:
        case ZYDIS_MNEMONIC_RCL:
        case ZYDIS_MNEMONIC_RCR:
        case ZYDIS_MNEMONIC_SHLD:
        case ZYDIS_MNEMONIC_SHRD:
            plan->needs_rcx = true;
            return true;
        default:
            return false;
        }
    }
    unsigned number = gpr_number(reg);
    if (mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B || mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B) {
        plan->needs_rcx |= number == RCX;
        if (number == RCX || number == RBX)
            return true;
    }
    if (number == RCX && writes(operand) && compares_strings(mnemonic)) {
        plan->writes_rcx = true;
        plan->written |= 1 << RCX;
        return true;
    }
    /* AH as an implicit operand (8-bit MUL and DIV have AX). */
    if (number != RAX && number != RDX)
        return false;
    if (writes(operand))
        plan->written |= (uint16_t)(1u << number);
    return true;
}

static uint8_t address_register(ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_NONE)
        return GPR_ZERO;
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
        return GPR_RIP;
    return (uint8_t)ZydisRegisterGetId(reg);
}

static bool set_memory(const struct decoded *d, const ZydisDecodedOperand *operand,
                       struct guest_mem *mem)
{
    const ZydisDecodedOperandMem *m = &operand->mem;
    if (m->type != ZYDIS_MEMOP_TYPE_MEM && m->type != ZYDIS_MEMOP_TYPE_AGEN)
        return false;
    *mem = (struct guest_mem){.base = address_register(m->base),
                              .index = address_register(m->index),
                              .shift = m->scale ? (uint8_t)__builtin_ctz(m->scale) : 0,
                              .segment = decode_segment(m->segment),
                              .address_size = (uint8_t)(d->insn->address_width / 8),
                              .disp = m->disp.has_displacement ? m->disp.value : 0,
                              .size = (uint16_t)(operand->size / 8),
                              .write = writes(operand)};
    return mem->address_size >= 4;
}

bool select_memory(const struct decoded *d, struct guest_mem *mem)
{
    for (unsigned i = 0; i < d->insn->operand_count; i++)
        if (d->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            d->operands[i].visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN)
            return set_memory(d, &d->operands[i], mem);
    return false;
}

static bool operands(const struct decoded *d, struct plan *plan)
{
    for (unsigned i = 0; i < d->insn->operand_count; i++) {
        const ZydisDecodedOperand *operand = &d->operands[i];
        bool in_encoding = operand->encoding != ZYDIS_OPERAND_ENCODING_NONE &&
                           operand->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN;
        if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            if (!in_encoding || plan->has_mem || operand->mem.type != ZYDIS_MEMOP_TYPE_MEM ||
                !set_memory(d, operand, &plan->mem))
                return false;
            plan->has_mem = true;
            plan->out.memory = true;
        } else if (operand->type == ZYDIS_OPERAND_TYPE_POINTER) {
            return false;
        } else if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER && in_encoding) {
            if (ZydisRegisterGetClass(operand->reg.value) == ZYDIS_REGCLASS_MMX ||
                ZydisRegisterGetClass(operand->reg.value) == ZYDIS_REGCLASS_SEGMENT ||
                ZydisRegisterGetClass(operand->reg.value) == ZYDIS_REGCLASS_CONTROL ||
                ZydisRegisterGetClass(operand->reg.value) == ZYDIS_REGCLASS_DEBUG ||
                !add_register(plan, operand))
                return false;
        } else if (!in_encoding && !implicit_allowed(plan, operand, d->insn->mnemonic)) {
            return false;
        }
    }
    return true;
}

static bool has_prefix(const ZydisDecodedInstruction *insn, uint8_t value)
{
    for (unsigned i = 0; i < insn->raw.prefix_count; i++)
        if (insn->raw.prefixes[i].value == value &&
            insn->raw.prefixes[i].type != ZYDIS_PREFIX_TYPE_IGNORED)
            return true;
    return false;
}

static bool encoding(const struct decoded *d, struct emit_insn *out)
{
    const ZydisDecodedInstruction *insn = d->insn;
    out->opcode = insn->opcode;
    switch (insn->opcode_map) {
    case ZYDIS_OPCODE_MAP_DEFAULT:
        out->map = 0;
        break;
    case ZYDIS_OPCODE_MAP_0F:
        out->map = 1;
        break;
    case ZYDIS_OPCODE_MAP_0F38:
        out->map = 2;
        break;
    case ZYDIS_OPCODE_MAP_0F3A:
        out->map = 3;
        break;
    default:
        return false;
    }
    out->has_modrm = insn->attributes & ZYDIS_ATTRIB_HAS_MODRM;
    if (out->has_modrm)
        out->reg = insn->raw.modrm.reg;
    unsigned from = 0;
    for (int i = 0; i < 2; i++)
        if (insn->raw.imm[i].size && !from)
            from = insn->raw.imm[i].offset;
    if (from) {
        out->imm_length = (uint8_t)(insn->length - from);
        memcpy(out->imm, d->bytes + from, out->imm_length);
    }
    switch (insn->encoding) {
    case ZYDIS_INSTRUCTION_ENCODING_LEGACY:
        out->encoding = EMIT_LEGACY;
        out->w = d->code64 && insn->raw.rex.W;
        out->prefix66 = has_prefix(insn, 0x66);
        out->lock = insn->attributes & ZYDIS_ATTRIB_HAS_LOCK;
        for (unsigned i = 0; i < insn->raw.prefix_count; i++)
            if (insn->raw.prefixes[i].type == ZYDIS_PREFIX_TYPE_MANDATORY &&
                insn->raw.prefixes[i].value >= 0xf2)
                out->repeat = insn->raw.prefixes[i].value;
        return true;
    case ZYDIS_INSTRUCTION_ENCODING_VEX:
        out->encoding = EMIT_VEX;
        out->w = insn->raw.vex.W;
        out->l = insn->raw.vex.L;
        out->pp = insn->raw.vex.pp;
        return true;
    case ZYDIS_INSTRUCTION_ENCODING_EVEX:
        out->encoding = EMIT_EVEX;
        out->w = insn->raw.evex.W;
        out->l = (uint8_t)(insn->raw.evex.L2 << 1 | insn->raw.evex.L);
        out->pp = insn->raw.evex.pp;
        out->z = insn->raw.evex.z;
        out->b = insn->raw.evex.b;
        out->aaa = insn->raw.evex.aaa;
        return true;
    default:
        return false;
    }
}

/* One-byte opcodes that 64-bit code has not. */
static bool modernise(const struct decoded *d, struct plan *plan)
{
    if (plan->out.encoding != EMIT_LEGACY || plan->out.map != 0 || d->code64)
        return true;
    if ((d->insn->opcode & 0xf0) == 0x40) { /* INC, DEC */
        plan->out.opcode = 0xff;
        plan->out.opcode_register = false;
        plan->out.has_modrm = true;
        plan->out.reg = d->insn->opcode & 8 ? 1 : 0;
    }
    if (d->insn->opcode == 0x82)
        plan->out.opcode = 0x80;
    return true;
}

/* MOV between the accumulator and an address in the instruction. */
static bool offset_move(const struct decoded *d, struct plan *plan)
{
    unsigned opcode = d->insn->opcode;
    if (d->insn->mnemonic != ZYDIS_MNEMONIC_MOV || d->insn->opcode_map || opcode < 0xa0 ||
        opcode > 0xa3)
        return false;
    memset(plan, 0, sizeof(*plan));
    if (!select_memory(d, &plan->mem))
        return false;
    bool store = opcode & 2;
    plan->has_mem = true;
    plan->out = (struct emit_insn){.opcode = (uint8_t)((store ? 0x88 : 0x8a) | (opcode & 1)),
                                   .w = d->code64 && d->insn->raw.rex.W,
                                   .prefix66 = has_prefix(d->insn, 0x66),
                                   .has_modrm = true,
                                   .memory = true,
                                   .reg = H_RAX};
    if (!store)
        plan->written = 1 << RAX;
    return true;
}

static bool bit_string(const struct decoded *d)
{
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTC:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTS:
        return d->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
               d->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
    default:
        return false;
    }
}

/* Outside of 64-bit mode W does not make general operands 64 bits wide: VEX and EVEX instructions
 * ignore it (SDM volume 2, 2.3.5.5). In vector instructions it may mean something else. */
static void ignore_w(const struct decoded *d, struct plan *plan)
{
    if (d->code64 || plan->out.encoding == EMIT_LEGACY || !plan->out.w)
        return;
    bool general = plan->count != 0;
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_VCVTSI2SD:
    case ZYDIS_MNEMONIC_VCVTSI2SS:
    case ZYDIS_MNEMONIC_VCVTUSI2SD:
    case ZYDIS_MNEMONIC_VCVTUSI2SS:
    case ZYDIS_MNEMONIC_VMOVD:
    case ZYDIS_MNEMONIC_VPCMPESTRI: /* lengths in eax and edx */
    case ZYDIS_MNEMONIC_VPCMPESTRM:
    case ZYDIS_MNEMONIC_VPEXTRD:
    case ZYDIS_MNEMONIC_VPINSRD:
        general = true; /* with a memory operand too */
        break;
    default:
        break;
    }
    if (general)
        plan->out.w = false;
}

/* All the vector registers that the mode has. */
static bool clears_all(ZydisMnemonic mnemonic)
{
    return mnemonic == ZYDIS_MNEMONIC_VZEROUPPER || mnemonic == ZYDIS_MNEMONIC_VZEROALL;
}

bool select_copy(const struct decoded *d, struct plan *plan)
{
    memset(plan, 0, sizeof(*plan));
    bool vector = decode_is_vector(d);
    if (vector ? vector_excluded(d->insn->mnemonic) : !listed(d->insn->mnemonic))
        return false;
    if (bit_string(d) || (!d->code64 && clears_all(d->insn->mnemonic)))
        return false;
    if (offset_move(d, plan))
        return true;
    if (!encoding(d, &plan->out) || !operands(d, plan))
        return false;
    if (plan->out.opcode_register)
        plan->out.opcode &= 0xf8;
    ignore_w(d, plan);
    return modernise(d, plan);
}
