/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Flag instructions of user mode, BCD arithmetic, BOUND, SALC.
 */
#include "engine/interp/integer.h"

enum {
    CC_CF = 1 << 8,
    CC_PF = 1 << 10,
    CC_AF = 1 << 12,
    CC_ZF = 1 << 14,
    CC_SF = 1 << 15,
    CC_OF = 1
};

static const struct op *clc(struct vcpu *cpu, const struct op *op)
{
    cpu->cc &= ~(uint32_t)CC_CF;
    return op + 1;
}
static const struct op *stc(struct vcpu *cpu, const struct op *op)
{
    cpu->cc |= CC_CF;
    return op + 1;
}
static const struct op *cmc(struct vcpu *cpu, const struct op *op)
{
    cpu->cc ^= CC_CF;
    return op + 1;
}
static const struct op *cld(struct vcpu *cpu, const struct op *op)
{
    cpu->rflags &= ~(uint64_t)FLAG_DF;
    return op + 1;
}
static const struct op *std(struct vcpu *cpu, const struct op *op)
{
    cpu->rflags |= FLAG_DF;
    return op + 1;
}
static const struct op *lahf(struct vcpu *cpu, const struct op *op)
{
    *op_reg8(cpu, RAX * 8 + 1) = (uint8_t)(cpu->cc >> 8 | 2);
    return op + 1;
}
static const struct op *sahf(struct vcpu *cpu, const struct op *op)
{
    uint32_t ah = *op_reg8(cpu, RAX * 8 + 1);
    cpu->cc = (ah & 0xd5) << 8 | (cpu->cc & CC_OF);
    return op + 1;
}

/* SF, ZF and PF of a byte. */
static uint32_t byte_flags(uint8_t value)
{
    return (value & 0x80 ? CC_SF : 0) | (value == 0 ? CC_ZF : 0) |
           (__builtin_parity(value) ? 0 : CC_PF);
}

/* DAA (extra8 0) and DAS (1): SDM 2A. */
static const struct op *decimal_adjust(struct vcpu *cpu, const struct op *op)
{
    uint8_t al = (uint8_t)cpu->gpr[RAX], old = al;
    bool carry = cpu->cc & CC_CF, adjust = cpu->cc & CC_AF, new_carry = false;
    bool low = (al & 15) > 9 || adjust;
    if (low) {
        new_carry = carry || (op->extra8 ? al < 6 : al > 0xf9);
        al = (uint8_t)(op->extra8 ? al - 6 : al + 6);
    }
    if (old > 0x99 || carry) {
        al = (uint8_t)(op->extra8 ? al - 0x60 : al + 0x60);
        new_carry = true;
    }
    reg_set(cpu, RAX, al, 1);
    cpu->cc = byte_flags(al) | (new_carry ? CC_CF : 0) | (low ? CC_AF : 0);
    return op + 1;
}

/* AAA (extra8 0) and AAS (1). */
static const struct op *ascii_adjust(struct vcpu *cpu, const struct op *op)
{
    uint16_t ax = (uint16_t)cpu->gpr[RAX];
    bool adjust = (ax & 15) > 9 || cpu->cc & CC_AF;
    if (adjust)
        ax = (uint16_t)(op->extra8 ? ax - 0x106 : ax + 0x106);
    ax &= 0xff0f;
    reg_set(cpu, RAX, ax, 2);
    cpu->cc = byte_flags((uint8_t)ax) | (adjust ? CC_CF | CC_AF : 0);
    return op + 1;
}

static const struct op *aam(struct vcpu *cpu, const struct op *op)
{
    uint8_t base = (uint8_t)op->imm, al = (uint8_t)cpu->gpr[RAX];
    if (base == 0) {
        op_sync(cpu, op);
        cpu_raise(cpu, VEC_DE, 0);
    }
    uint8_t rest = al % base;
    reg_set(cpu, RAX, (uint64_t)(al / base) << 8 | rest, 2);
    cpu->cc = byte_flags(rest);
    return op + 1;
}

static const struct op *aad(struct vcpu *cpu, const struct op *op)
{
    uint16_t ax = (uint16_t)cpu->gpr[RAX];
    uint8_t al = (uint8_t)((ax & 0xff) + (ax >> 8) * (uint8_t)op->imm);
    reg_set(cpu, RAX, al, 2);
    cpu->cc = byte_flags(al);
    return op + 1;
}

static const struct op *salc(struct vcpu *cpu, const struct op *op)
{
    reg_set(cpu, RAX, cpu->cc & CC_CF ? 0xff : 0, 1);
    return op + 1;
}

static const struct op *bound(struct vcpu *cpu, const struct op *op)
{
    unsigned size = op->size, bits = size * 8;
    gva_t addr = op_linear(cpu, op, 2 * size, false);
    int64_t low = (int64_t)(tlb_load(cpu, addr, size, cpu->mmu) << (64 - bits)) >> (64 - bits);
    int64_t index = (int64_t)(cpu->gpr[op->reg] << (64 - bits)) >> (64 - bits);
    if (index < low)
        cpu_raise(cpu, VEC_BR, 0);
    int64_t high =
        (int64_t)(tlb_load(cpu, (uint32_t)(addr + size), size, cpu->mmu) << (64 - bits)) >>
        (64 - bits);
    if (index > high)
        cpu_raise(cpu, VEC_BR, 0);
    return op + 1;
}

bool decode_flags(const struct decoded *d, struct op *op, bool *ends)
{
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_CLC:
        op->fn = clc;
        return true;
    case ZYDIS_MNEMONIC_STC:
        op->fn = stc;
        return true;
    case ZYDIS_MNEMONIC_CMC:
        op->fn = cmc;
        return true;
    case ZYDIS_MNEMONIC_CLD:
        op->fn = cld;
        return true;
    case ZYDIS_MNEMONIC_STD:
        op->fn = std;
        return true;
    case ZYDIS_MNEMONIC_LAHF:
    case ZYDIS_MNEMONIC_SAHF:
        if (!d->code64 || decode_needs(d, op, CPU_LAHF64, ends))
            op->fn = d->insn->mnemonic == ZYDIS_MNEMONIC_LAHF ? lahf : sahf;
        return true;
    case ZYDIS_MNEMONIC_DAA:
    case ZYDIS_MNEMONIC_DAS:
        op->extra8 = d->insn->mnemonic == ZYDIS_MNEMONIC_DAS;
        op->fn = decimal_adjust;
        return true;
    case ZYDIS_MNEMONIC_AAA:
    case ZYDIS_MNEMONIC_AAS:
        op->extra8 = d->insn->mnemonic == ZYDIS_MNEMONIC_AAS;
        op->fn = ascii_adjust;
        return true;
    case ZYDIS_MNEMONIC_AAM:
    case ZYDIS_MNEMONIC_AAD:
        op->imm = d->operands[0].imm.value.u & 0xff;
        op->fn = d->insn->mnemonic == ZYDIS_MNEMONIC_AAM ? aam : aad;
        return true;
    case ZYDIS_MNEMONIC_SALC:
        op->fn = salc;
        return true;
    case ZYDIS_MNEMONIC_BOUND:
        op->reg = (uint8_t)decode_gpr(&d->operands[0]);
        op->size = (uint8_t)(d->operands[0].size / 8);
        op->fn = bound;
        return true;
    default:
        return false;
    }
}
