/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * BT BTS BTR BTC, BSF BSR TZCNT LZCNT POPCNT, BMI1, BZHI PDEP PEXT, CRC32, BSWAP, MOVBE.
 */
#include <immintrin.h>

#include "engine/interp/integer.h"

enum { CC_CF = 1 << 8, CC_ZF = 1 << 14, CC_SF = 1 << 15 };

/* Bit tests. extra8: what to do with the bit. Only CF changes. */
enum { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

INLINE uint64_t bit_change(struct vcpu *cpu, const struct op *op, uint64_t x, unsigned bit)
{
    cpu->cc = (cpu->cc & ~(uint32_t)CC_CF) | (x >> bit & 1 ? CC_CF : 0);
    switch (op->extra8) {
    case BIT_SET:
        return x | 1ull << bit;
    case BIT_RESET:
        return x & ~(1ull << bit);
    case BIT_COMPLEMENT:
        return x ^ 1ull << bit;
    default:
        return x;
    }
}

/* Memory with a register index: the bit may lie anywhere around the operand. */
INLINE gva_t bit_address(struct vcpu *cpu, const struct op *op, int64_t index, unsigned size)
{
    struct op moved = *op;
    int64_t units = index >> (size == 8 ? 6 : size == 4 ? 5 : 4);
    uint64_t ea = cpu->gpr[op->base] + (cpu->gpr[op->index] << op->shift) +
                  (uint64_t)(int64_t)op->disp + (uint64_t)(units * (int64_t)size);
    return op->direct ? ea : op_address_slow(cpu, &moved, ea, size, op->extra8 != BIT_TEST);
}

INLINE const struct op *bit_memory(struct vcpu *cpu, const struct op *op, gva_t addr, unsigned bit,
                                   unsigned size)
{
    if (op->extra8 == BIT_TEST) {
        bit_change(cpu, op, op_load_at(cpu, op, addr, size), bit);
        return op + 1;
    }
    uint64_t x = op_rmw_slow(cpu, op, addr, size);
    uint32_t cc = cpu->cc;
    uint64_t y = bit_change(cpu, op, x, bit);
    uint32_t new_cc = cpu->cc;
    cpu->cc = cc;
    op_store_at(cpu, op, addr, y, size);
    cpu->cc = new_cc;
    return op + 1;
}

#define BIT_SIZE(size)                                                              \
    static const struct op *bt_rr_##size(struct vcpu *cpu, const struct op *op)     \
    {                                                                               \
        unsigned bit = (unsigned)cpu->gpr[op->reg] & (size * 8 - 1);                \
        uint64_t y = bit_change(cpu, op, reg_get(cpu, op->rm, size), bit);          \
        if (op->extra8 != BIT_TEST)                                                 \
            reg_set(cpu, op->rm, y, size);                                          \
        return op + 1;                                                              \
    }                                                                               \
    static const struct op *bt_ri_##size(struct vcpu *cpu, const struct op *op)     \
    {                                                                               \
        unsigned bit = (unsigned)op->imm & (size * 8 - 1);                          \
        uint64_t y = bit_change(cpu, op, reg_get(cpu, op->rm, size), bit);          \
        if (op->extra8 != BIT_TEST)                                                 \
            reg_set(cpu, op->rm, y, size);                                          \
        return op + 1;                                                              \
    }                                                                               \
    static const struct op *bt_mr_##size(struct vcpu *cpu, const struct op *op)     \
    {                                                                               \
        uint64_t raw = reg_get(cpu, op->reg, size);                                 \
        int64_t index = (int64_t)(raw << (64 - size * 8)) >> (64 - size * 8);       \
        gva_t addr = bit_address(cpu, op, index, size);                             \
        return bit_memory(cpu, op, addr, (unsigned)index & (size * 8 - 1), size);   \
    }                                                                               \
    static const struct op *bt_mi_##size(struct vcpu *cpu, const struct op *op)     \
    {                                                                               \
        gva_t addr = op_address(cpu, op, size, op->extra8 != BIT_TEST);             \
        return bit_memory(cpu, op, addr, (unsigned)op->imm & (size * 8 - 1), size); \
    }
BIT_SIZE(2)
BIT_SIZE(4)
BIT_SIZE(8)

static void decode_bit_test(const struct decoded *d, struct op *op, uint8_t what)
{
    static const op_fn fns[4][3] = {{bt_rr_2, bt_rr_4, bt_rr_8},
                                    {bt_mr_2, bt_mr_4, bt_mr_8},
                                    {bt_ri_2, bt_ri_4, bt_ri_8},
                                    {bt_mi_2, bt_mi_4, bt_mi_8}};
    enum form form = decode_form(d, op);
    unsigned row = form == FORM_RR ? 0 : form == FORM_MR ? 1 : form == FORM_RI ? 2 : 3;
    op->extra8 = what;
    op->fn = fns[row][size_index(d->operands[0].size / 8) - 1];
}

/* Scans and counts: reg = f(rm or memory). Flags as the host leaves them; a BSF or BSR of 0 leaves
 * the destination as it was: all 64 bits of it on processors that do so. */
#define SCAN_SIZE(name, insn, size, mod)                                                      \
    INLINE const struct op *name##_##size(struct vcpu *cpu, const struct op *op, uint64_t y)  \
    {                                                                                         \
        uint64_t x = cpu->gpr[op->reg];                                                       \
        uint32_t cc = cpu->cc;                                                                \
        __asm__("addb $127, %%al\n\t" FLAGS_IN insn " %" mod "[y], %" mod "[x]\n\t" FLAGS_OUT \
                : [x] "+&r"(x), "+&a"(cc)                                                     \
                : [y] "r"(y)                                                                  \
                : "cc");                                                                      \
        cpu->cc = (uint16_t)cc;                                                               \
        reg_set(cpu, op->reg, x, size == 4 ? 8 : size);                                       \
        return op + 1;                                                                        \
    }                                                                                         \
    static const struct op *name##_rr_##size(struct vcpu *cpu, const struct op *op)           \
    {                                                                                         \
        return name##_##size(cpu, op, reg_get(cpu, op->rm, size));                            \
    }                                                                                         \
    static const struct op *name##_rm_##size(struct vcpu *cpu, const struct op *op)           \
    {                                                                                         \
        return name##_##size(cpu, op, op_load(cpu, op, size));                                \
    }
#define SCAN_ALL(name, insn)          \
    SCAN_SIZE(name, insn "w", 2, "w") \
    SCAN_SIZE(name, insn "l", 4, "k") SCAN_SIZE(name, insn "q", 8, "q")
SCAN_ALL(bsf, "bsf")
SCAN_ALL(bsr, "bsr")
SCAN_ALL(tzcnt, "tzcnt")
SCAN_ALL(lzcnt, "lzcnt")
SCAN_ALL(popcnt, "popcnt")

static void decode_scan(const struct decoded *d, struct op *op, unsigned what)
{
#define FORMS(name)                               \
    {                                             \
        {name##_rr_2, name##_rr_4, name##_rr_8},  \
        {                                         \
            name##_rm_2, name##_rm_4, name##_rm_8 \
        }                                         \
    }
    static const op_fn fns[5][2][3] = {FORMS(bsf), FORMS(bsr), FORMS(tzcnt), FORMS(lzcnt),
                                       FORMS(popcnt)};
    bool memory = d->operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
    op->reg = (uint8_t)decode_gpr(&d->operands[0]);
    if (!memory)
        op->rm = (uint8_t)decode_gpr(&d->operands[1]);
    op->fn = fns[what][memory][size_index(d->operands[0].size / 8) - 1];
}

/* BMI1 and the rest of BMI2. extra8: which. reg = destination; x comes from memory or rm; reg3 is
 * the register operand (ANDN's first source, BEXTR's and BZHI's control, PDEP's and PEXT's source).
 */
enum bmi { ANDN, BEXTR, BLSI, BLSMSK, BLSR, BZHI, PDEP, PEXT };

static uint64_t deposit(uint64_t source, uint64_t mask)
{
    uint64_t result = 0;
    for (; mask; mask &= mask - 1, source >>= 1)
        if (source & 1)
            result |= mask & -mask;
    return result;
}

static uint64_t extract(uint64_t source, uint64_t mask)
{
    uint64_t result = 0;
    for (unsigned at = 0; mask; mask &= mask - 1, at++)
        if (source & mask & -mask)
            result |= 1ull << at;
    return result;
}

static const struct op *bmi(struct vcpu *cpu, const struct op *op, uint64_t x, unsigned size)
{
    unsigned bits = size * 8;
    uint64_t y = reg_get(cpu, op->reg3, size);
    uint64_t result = 0, mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
    bool carry = false, flags = true;
    switch ((enum bmi)op->extra8) {
    case ANDN:
        result = ~y & x;
        break;
    case BEXTR: {
        unsigned start = y & 0xff, length = y >> 8 & 0xff;
        result = start < bits ? x >> start : 0;
        if (length < bits)
            result &= (1ull << length) - 1;
        break;
    }
    case BLSI:
        result = x & -x;
        carry = x != 0;
        break;
    case BLSMSK:
        result = x ^ (x - 1);
        carry = x == 0;
        break;
    case BLSR:
        result = x & (x - 1);
        carry = x == 0;
        break;
    case BZHI: {
        unsigned n = y & 0xff;
        result = n < bits ? x & ((1ull << n) - 1) : x;
        carry = n >= bits;
        break;
    }
    case PDEP:
        result = deposit(y, x);
        flags = false;
        break;
    case PEXT:
        result = extract(y, x);
        flags = false;
        break;
    }
    result &= mask;
    if (flags) {
        uint32_t sign = result >> (bits - 1) & 1 ? CC_SF : 0;
        cpu->cc = (cpu->cc & 0x1400) | sign | (result == 0 ? CC_ZF : 0) | (carry ? CC_CF : 0);
    }
    reg_set(cpu, op->reg, result, size);
    return op + 1;
}
static const struct op *bmi_r_4(struct vcpu *cpu, const struct op *op)
{
    return bmi(cpu, op, reg_get(cpu, op->rm, 4), 4);
}
static const struct op *bmi_r_8(struct vcpu *cpu, const struct op *op)
{
    return bmi(cpu, op, reg_get(cpu, op->rm, 8), 8);
}
static const struct op *bmi_m_4(struct vcpu *cpu, const struct op *op)
{
    return bmi(cpu, op, op_load(cpu, op, 4), 4);
}
static const struct op *bmi_m_8(struct vcpu *cpu, const struct op *op)
{
    return bmi(cpu, op, op_load(cpu, op, 8), 8);
}

/* source, control: which visible operands hold x and y; -1: none. */
static bool decode_bmi(const struct decoded *d, struct op *op, bool *ends, enum bmi what,
                       enum cpu_feature feature, int source, int control)
{
    if (!decode_needs(d, op, feature, ends))
        return true;
    const ZydisDecodedOperand *x = &d->operands[source];
    bool memory = x->type == ZYDIS_OPERAND_TYPE_MEMORY;
    op->extra8 = (uint8_t)what;
    op->reg = (uint8_t)decode_gpr(&d->operands[0]);
    if (!memory)
        op->rm = (uint8_t)decode_gpr(x);
    if (control >= 0)
        op->reg3 = (uint8_t)decode_gpr(&d->operands[control]);
    if (d->operands[0].size == 64)
        op->fn = memory ? bmi_m_8 : bmi_r_8;
    else
        op->fn = memory ? bmi_m_4 : bmi_r_4;
    return true;
}

#define BSWAP_SIZE(size, swap)                                                  \
    static const struct op *bswap_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                           \
        reg_set(cpu, op->rm, swap(reg_get(cpu, op->rm, size)), size);           \
        return op + 1;                                                          \
    }
#define MOVBE_SIZE(size, swap)                                                     \
    static const struct op *movbe_rm_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                              \
        reg_set(cpu, op->reg, swap(op_load(cpu, op, size)), size);                 \
        return op + 1;                                                             \
    }                                                                              \
    static const struct op *movbe_mr_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                              \
        op_store(cpu, op, swap(reg_get(cpu, op->reg, size)), size);                \
        return op + 1;                                                             \
    }
#define SWAP16(x) swap16((uint16_t)(x))
#define SWAP32(x) swap32((uint32_t)(x))
BSWAP_SIZE(4, SWAP32)
BSWAP_SIZE(8, swap64)
MOVBE_SIZE(2, SWAP16)
MOVBE_SIZE(4, SWAP32)
MOVBE_SIZE(8, swap64)

/* BSWAP of a 16-bit register is undefined; processors clear it. */
static const struct op *bswap_clears(struct vcpu *cpu, const struct op *op)
{
    reg_set(cpu, op->rm, 0, 2);
    return op + 1;
}

__attribute__((target("sse4.2"))) static const struct op *crc32(struct vcpu *cpu,
                                                                const struct op *op, uint64_t x,
                                                                unsigned size)
{
    uint64_t crc = cpu->gpr[op->reg];
    switch (size) {
    case 1:
        crc = _mm_crc32_u8((uint32_t)crc, (uint8_t)x);
        break;
    case 2:
        crc = _mm_crc32_u16((uint32_t)crc, (uint16_t)x);
        break;
    case 4:
        crc = _mm_crc32_u32((uint32_t)crc, (uint32_t)x);
        break;
    default:
        crc = _mm_crc32_u64(crc, x);
    }
    cpu->gpr[op->reg] = (uint32_t)crc;
    return op + 1;
}
#define CRC_SIZE(size)                                                            \
    static const struct op *crc32_r_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                             \
        return crc32(cpu, op, reg_get(cpu, op->rm, size), size);                  \
    }                                                                             \
    static const struct op *crc32_m_##size(struct vcpu *cpu, const struct op *op) \
    {                                                                             \
        return crc32(cpu, op, op_load(cpu, op, size), size);                      \
    }
CRC_SIZE(1)
CRC_SIZE(2)
CRC_SIZE(4)
CRC_SIZE(8)

static bool decode_crc32(const struct decoded *d, struct op *op, bool *ends)
{
    static const op_fn fns[2][4] = {{crc32_r_1, crc32_r_2, crc32_r_4, crc32_r_8},
                                    {crc32_m_1, crc32_m_2, crc32_m_4, crc32_m_8}};
    if (!decode_needs(d, op, CPU_SSE42, ends))
        return true;
    bool memory = d->operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
    op->reg = (uint8_t)decode_gpr(&d->operands[0]);
    if (!memory)
        op->rm = (uint8_t)decode_gpr(&d->operands[1]);
    op->fn = fns[memory][size_index(d->operands[1].size / 8)];
    return true;
}

static bool decode_movbe(const struct decoded *d, struct op *op, bool *ends)
{
    static const op_fn fns[2][3] = {{movbe_rm_2, movbe_rm_4, movbe_rm_8},
                                    {movbe_mr_2, movbe_mr_4, movbe_mr_8}};
    if (!decode_needs(d, op, CPU_MOVBE, ends))
        return true;
    enum form form = decode_form(d, op);
    op->fn = fns[form == FORM_MR][size_index(d->operands[0].size / 8) - 1];
    return true;
}

/* A model without the instruction runs its older twin: F3 was an ignored prefix. */
static void decode_scan_or(const struct decoded *d, struct op *op, enum cpu_feature feature,
                           unsigned what, unsigned old)
{
    decode_scan(d, op, cpu_model_has(d->cpu->model, feature) ? what : old);
}

bool decode_bits(const struct decoded *d, struct op *op, bool *ends)
{
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_BT:
        decode_bit_test(d, op, BIT_TEST);
        return true;
    case ZYDIS_MNEMONIC_BTS:
        decode_bit_test(d, op, BIT_SET);
        return true;
    case ZYDIS_MNEMONIC_BTR:
        decode_bit_test(d, op, BIT_RESET);
        return true;
    case ZYDIS_MNEMONIC_BTC:
        decode_bit_test(d, op, BIT_COMPLEMENT);
        return true;
    case ZYDIS_MNEMONIC_BSF:
        decode_scan(d, op, 0);
        return true;
    case ZYDIS_MNEMONIC_BSR:
        decode_scan(d, op, 1);
        return true;
    case ZYDIS_MNEMONIC_TZCNT:
        decode_scan_or(d, op, CPU_BMI1, 2, 0);
        return true;
    case ZYDIS_MNEMONIC_LZCNT:
        decode_scan_or(d, op, CPU_ABM, 3, 1);
        return true;
    case ZYDIS_MNEMONIC_POPCNT:
        if (decode_needs(d, op, CPU_POPCNT, ends))
            decode_scan(d, op, 4);
        return true;
    case ZYDIS_MNEMONIC_ANDN:
        return decode_bmi(d, op, ends, ANDN, CPU_BMI1, 2, 1);
    case ZYDIS_MNEMONIC_BEXTR:
        return decode_bmi(d, op, ends, BEXTR, CPU_BMI1, 1, 2);
    case ZYDIS_MNEMONIC_BLSI:
        return decode_bmi(d, op, ends, BLSI, CPU_BMI1, 1, -1);
    case ZYDIS_MNEMONIC_BLSMSK:
        return decode_bmi(d, op, ends, BLSMSK, CPU_BMI1, 1, -1);
    case ZYDIS_MNEMONIC_BLSR:
        return decode_bmi(d, op, ends, BLSR, CPU_BMI1, 1, -1);
    case ZYDIS_MNEMONIC_BZHI:
        return decode_bmi(d, op, ends, BZHI, CPU_BMI2, 1, 2);
    case ZYDIS_MNEMONIC_PDEP:
        return decode_bmi(d, op, ends, PDEP, CPU_BMI2, 2, 1);
    case ZYDIS_MNEMONIC_PEXT:
        return decode_bmi(d, op, ends, PEXT, CPU_BMI2, 2, 1);
    case ZYDIS_MNEMONIC_CRC32:
        return decode_crc32(d, op, ends);
    case ZYDIS_MNEMONIC_MOVBE:
        return decode_movbe(d, op, ends);
    case ZYDIS_MNEMONIC_BSWAP:
        op->rm = (uint8_t)decode_gpr(&d->operands[0]);
        op->fn = d->operands[0].size == 64   ? bswap_8
                 : d->operands[0].size == 32 ? bswap_4
                                             : bswap_clears;
        return true;
    default:
        return false;
    }
}
