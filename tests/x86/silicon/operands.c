/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where an instruction reaches: for each of its memory operands, seen or implied, and for the
 * target of a branch, an address is chosen and the registers, displacements and pointers in memory
 * made so that it comes out. At the end everything is computed anew and must be safe: this runs in
 * our own address space.
 */
#include "case.h"

#include <string.h>

enum { REACH = 0x8000 }; /* how far from the data pages an access may go astray */

static bool in_data_zone(uint64_t address)
{
    return address >= DATA - REACH && address < DATA + DATA_SIZE + REACH;
}

/* Where nothing of ours is: the first pages, what is not canonical (with 57 bits too), the
 * kernel's half but for the vsyscall page. */
static bool is_nowhere(uint64_t address)
{
    return address < 0x20000 || (address >= 1ull << 60 && address < 0xf000000000000000) ||
           (address >= 0xffffff8000000000 && address < 0xfffffffff0000000) ||
           address >= 0xffffffffffff0000;
}

static uint64_t choose_address(struct rng *rng, const struct insn *insn, bool wide)
{
    uint64_t r = rng_next(rng);
    unsigned fine = r >> 32 & 63;
    uint64_t slot = DATA + 0x200 + 64 * (r >> 8) % 0x1c00;
    slot &= ~63ull;
    if (insn->insn.attributes & ZYDIS_ATTRIB_HAS_LOCK || insn->insn.mnemonic == ZYDIS_MNEMONIC_XCHG)
        return slot + (r & 1 ? 0 : fine % 49); /* not over a cache line: Linux may punish that */
    switch (r % 16) {
    case 9:
    case 10:
        return slot + fine;
    case 11:
        return DATA + 0x1000 - fine % 40;
    case 12:
        return DATA + DATA_WRITABLE - fine % 40;
    case 13:
        return DATA + DATA_WRITABLE + (slot & 0xfc0);
    case 14:
        return DATA + DATA_SIZE - fine;
    case 15:
        if (wide && r >> 40 & 1)
            return r >> 41 & 1 ? (1ull << 60) + (r & 0xffffff) : 0xffffff8000000000 + (r & 0xfff);
        return DATA - fine % 40 + (r >> 42 & 1 ? 0 : 0x3000);
    default:
        return slot;
    }
}

/* Code or not: where control may go. Never into the instruction or the way back behind it. */
static uint64_t choose_target(struct rng *rng, const struct input *input)
{
    uint64_t r = rng_next(rng);
    uint64_t target = CODE + (r >> 8) % CODE_SIZE_BYTES;
    if (r % 16 == 0)
        target = DATA + (r >> 8) % DATA_SIZE;
    else if (r % 16 == 1)
        target = SANDBOX + (r >> 8) % 0x1000;
    else if (r % 16 == 2 && code64(input))
        target = (1ull << 60) + (r >> 8 & 0xffff);
    if (target + 16 > input->rip && target < input->rip + 32u)
        target = input->rip + input->length;
    return target;
}

static bool safe_target(const struct input *input, uint64_t target)
{
    if (target == input->rip + input->length)
        return true;
    if (target + 1 > input->rip && target < input->rip + 32u)
        return false;
    return (target >= SANDBOX && target < SANDBOX + SANDBOX_SIZE) || is_nowhere(target);
}

/* Registers */

static unsigned width_of(ZydisRegister reg)
{
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
        return 8;
    case ZYDIS_REGCLASS_GPR16:
        return 16;
    case ZYDIS_REGCLASS_GPR32:
        return 32;
    case ZYDIS_REGCLASS_GPR64:
        return 64;
    default:
        return 0;
    }
}

static uint64_t get_register(const struct input *input, ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
        return input->rip + input->length;
    unsigned width = width_of(reg);
    if (!width)
        return 0;
    uint64_t value = reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH
                         ? input->gpr[reg - ZYDIS_REGISTER_AH] >> 8
                         : input->gpr[ZydisRegisterGetId(reg) & 15];
    if (width == 8 && reg >= ZYDIS_REGISTER_SPL)
        value = input->gpr[reg - ZYDIS_REGISTER_SPL + 4];
    return width == 64 ? value : value & ((1ull << width) - 1);
}

static void set_register(struct input *input, ZydisRegister reg, uint64_t value)
{
    unsigned width = width_of(reg), number = (unsigned)ZydisRegisterGetId(reg) & 15;
    uint64_t mask = width == 64 ? ~0ull : (1ull << width) - 1;
    input->gpr[number] = (input->gpr[number] & ~mask) | (value & mask);
    if (!code64(input))
        input->gpr[number] = (uint32_t)input->gpr[number];
}

static void set_register16(struct input *input, ZydisRegister reg, uint16_t value)
{
    uint64_t *gpr = &input->gpr[(unsigned)ZydisRegisterGetId(reg) & 15];
    *gpr = (*gpr & ~0xffffull) | value;
}

static uint64_t sign_extended(uint64_t value, unsigned bits)
{
    return bits == 64 ? value : (uint64_t)((int64_t)(value << (64 - bits)) >> (64 - bits));
}

/* Memory operands */

static uint64_t cut(const struct insn *insn, uint64_t address)
{
    unsigned width = insn->insn.address_width;
    return width == 64 ? address : address & ((1ull << width) - 1);
}

static uint64_t segment_base(const struct input *input, const ZydisDecodedOperand *operand)
{
    ZydisRegister reg = operand->mem.segment;
    if (code64(input))
        return reg == ZYDIS_REGISTER_FS ? FS_BASE : reg == ZYDIS_REGISTER_GS ? GS_BASE : 0;
    if (reg < ZYDIS_REGISTER_ES || reg > ZYDIS_REGISTER_GS)
        return 0;
    return segments_load(input->sel[reg - ZYDIS_REGISTER_ES]).base;
}

/* Null, or not one that may be read: #GP or #SS, whatever the offset. */
static bool is_unusable(const struct input *input, const ZydisDecodedOperand *operand)
{
    ZydisRegister reg = operand->mem.segment;
    if (code64(input) || reg < ZYDIS_REGISTER_ES || reg > ZYDIS_REGISTER_GS)
        return false;
    return segments_load(input->sel[reg - ZYDIS_REGISTER_ES]).access & SEG_UNUSABLE;
}

/* The stack pointer has the width of the stack, whatever the address size is. */
static bool is_stack(const ZydisDecodedOperand *operand)
{
    return operand->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
           (operand->mem.base == ZYDIS_REGISTER_SP || operand->mem.base == ZYDIS_REGISTER_ESP ||
            operand->mem.base == ZYDIS_REGISTER_RSP);
}

static uint64_t stack_base(const struct input *input)
{
    return code64(input) ? 0 : segments_load(input->sel[SEG_SS]).base;
}

static uint64_t stack_address(const struct input *input)
{
    unsigned bits = stack_bits(input);
    uint64_t sp = input->gpr[RSP];
    return stack_base(input) + (bits == 64 ? sp : bits == 32 ? (uint32_t)sp : (uint16_t)sp);
}

/* A stack pointer that leads to address. */
static uint64_t stack_pointer(const struct input *input, uint64_t address)
{
    address -= stack_base(input);
    unsigned bits = stack_bits(input);
    return bits == 64 ? address : bits == 32 ? (uint32_t)address : STACK_TOP | (uint16_t)address;
}

static bool is_vector_index(const ZydisDecodedOperand *operand)
{
    ZydisRegisterClass class = ZydisRegisterGetClass(operand->mem.index);
    return class == ZYDIS_REGCLASS_XMM || class == ZYDIS_REGCLASS_YMM;
}

/* BT and its kin take the bit string's address from a register operand. */
static uint64_t bit_offset(const struct input *input, const struct insn *insn)
{
    if (insn->insn.meta.category != ZYDIS_CATEGORY_BITBYTE ||
        insn->operands[1].type != ZYDIS_OPERAND_TYPE_REGISTER)
        return 0;
    unsigned width = insn->insn.operand_width;
    uint64_t offset = sign_extended(get_register(input, insn->operands[1].reg.value), width);
    return (uint64_t)((int64_t)offset >> 3) & ~(uint64_t)(width / 8 - 1);
}

static uint64_t operand_address(const struct input *input, const struct insn *insn,
                                const ZydisDecodedOperand *operand)
{
    if (is_stack(operand))
        return stack_address(input);
    uint64_t address = (uint64_t)operand->mem.disp.value + bit_offset(input, insn);
    address += get_register(input, operand->mem.base);
    if (!is_vector_index(operand))
        address += get_register(input, operand->mem.index) * operand->mem.scale;
    address = segment_base(input, operand) + cut(insn, address);
    return code64(input) ? address : (uint32_t)address;
}

/* The displacement's bytes. */
static void patch_displacement(struct input *input, struct insn *insn, uint64_t value)
{
    unsigned size = insn->insn.raw.disp.size / 8;
    memcpy(input->bytes + insn->insn.raw.disp.offset, &value, size);
}

static bool aim(struct rng *rng, struct input *input, struct insn *insn, unsigned number)
{
    ZydisDecodedOperand *operand = &insn->operands[number];
    uint64_t target = choose_address(rng, insn, code64(input));
    ZydisRegister base = operand->mem.base, index = operand->mem.index;
    if (is_stack(operand) || is_unusable(input, operand))
        return true;
    if (insn->insn.address_width == 16 && segment_base(input, operand) == 0)
        return true; /* all of it is nowhere */
    if (insn->insn.meta.category == ZYDIS_CATEGORY_BITBYTE &&
        insn->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER)
        set_register(input, insn->operands[1].reg.value, rng_next(rng) % 4096 - 2048);
    uint64_t rest = target - segment_base(input, operand) - bit_offset(input, insn);
    bool explicit = operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM ||
                    operand->encoding == ZYDIS_OPERAND_ENCODING_DISP16_32_64;
    if (base == ZYDIS_REGISTER_RIP || base == ZYDIS_REGISTER_EIP) {
        patch_displacement(input, insn, rest - input->rip - input->length);
        return case_decode(input, insn);
    }
    if (is_vector_index(operand)) {
        unsigned reg = (unsigned)ZydisRegisterGetId(index) & 15;
        for (unsigned i = 0; i < 32; i += 4)
            store_le32(input->unit.ymm[reg] + i, (uint32_t)rng_next(rng) % 64);
        if (one_in(rng, 2)) /* for indices of eight bytes */
            for (unsigned i = 4; i < 32; i += 8)
                store_le32(input->unit.ymm[reg] + i, 0);
        index = ZYDIS_REGISTER_NONE;
    }
    if (base == ZYDIS_REGISTER_NONE && index == ZYDIS_REGISTER_NONE) {
        if (!explicit || is_vector_index(operand))
            return false;
        patch_displacement(input, insn, rest);
        return case_decode(input, insn);
    }
    rest -= (uint64_t)operand->mem.disp.value;
    if (base == ZYDIS_REGISTER_NONE) {
        set_register(input, index, cut(insn, rest) / operand->mem.scale);
    } else if (base == index) {
        set_register(input, base, cut(insn, rest) / (operand->mem.scale + 1u));
    } else {
        if (index != ZYDIS_REGISTER_NONE && width_of(index) > 8 && one_in(rng, 2))
            set_register(input, index, rng_next(rng) % 64);
        rest -= get_register(input, index) * operand->mem.scale;
        set_register(input, base, rest);
    }
    return true;
}

static bool is_memory(const ZydisDecodedOperand *operand)
{
    return operand->type == ZYDIS_OPERAND_TYPE_MEMORY && operand->mem.type != ZYDIS_MEMOP_TYPE_AGEN;
}

static bool is_far(const struct insn *insn)
{
    switch (insn->insn.mnemonic) {
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
        return true;
    default:
        return insn->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    }
}

static bool is_branch(const struct insn *insn)
{
    return is_far(insn) || insn->insn.meta.category == ZYDIS_CATEGORY_CALL ||
           insn->insn.meta.category == ZYDIS_CATEGORY_RET ||
           insn->insn.meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
           insn->insn.meta.category == ZYDIS_CATEGORY_COND_BR;
}

static uint64_t near_offset(const struct input *input, uint64_t target)
{
    target -= segments_load(input->sel[SEG_CS]).base;
    return code64(input) ? target : (uint32_t)target;
}

/* Loads a segment register from its operand, or asks about what its operand selects. */
static bool takes_selector(const struct insn *insn)
{
    switch (insn->insn.mnemonic) {
    case ZYDIS_MNEMONIC_LAR:
    case ZYDIS_MNEMONIC_LSL:
    case ZYDIS_MNEMONIC_VERR:
    case ZYDIS_MNEMONIC_VERW:
        return true;
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_POP:
        return insn->operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
               ZydisRegisterGetClass(insn->operands[0].reg.value) == ZYDIS_REGCLASS_SEGMENT;
    default:
        return false;
    }
}

/* Where a far branch leads: true if it faults, or if control may go there. The way back behind the
 * instruction is of this mode. */
static bool safe_far_target(const struct input *input, uint16_t selector, uint64_t offset)
{
    struct segment s = segments_load(selector);
    if (!segment_is_code(&s))
        return true;
    unsigned bits = segment_bits(&s);
    uint64_t target = bits == 64 ? offset : (uint32_t)(s.base + (uint32_t)offset);
    return safe_target(input, target) && target != input->rip + input->length;
}

/* A far pointer in memory, or what IRET pops. */
static void put_far_target(struct rng *rng, const struct input *input, const struct insn *insn,
                           uint8_t *to)
{
    unsigned width = insn->insn.operand_width / 8;
    uint16_t selector;
    uint64_t offset;
    do {
        selector = choose_code_selector(rng);
        struct segment s = segments_load(selector);
        offset = choose_target(rng, input) - s.base;
        if (width < 8)
            offset &= width == 2 ? 0xffff : 0xffffffff;
    } while (!safe_far_target(input, selector, offset));
    store_le(to, offset, width);
    store_le16(to + width, selector);
    if (insn->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
        return;
    uint64_t flags = (rng_next(rng) & (FLAGS_ARITH | FLAG_DF | FLAG_AC | FLAG_ID)) | FLAG_IF | 2;
    /* The frame is read under the new AC, and Linux takes that fault for a split lock. */
    if (stack_address(input) % 8)
        flags &= ~(uint64_t)FLAG_AC;
    uint16_t ss = one_in(rng, 4) ? choose_selector(rng) : USER_DS;
    store_le(to + 2 * width, flags, width);
    store_le(to + 3 * width, choose_address(rng, insn, code64(input)), width);
    store_le(to + 4 * width, one_in(rng, 16) ? rng_next(rng) : ss, width);
}

/* What lies in memory where the operand points. */
static void fill_patch(struct rng *rng, struct input *input, const struct insn *insn,
                       const ZydisDecodedOperand *operand)
{
    uint64_t address = operand_address(input, insn, operand), r = rng_next(rng);
    unsigned width = insn->insn.operand_width / 8;
    if (input->patches == PATCHES || address < DATA || address >= DATA + DATA_SIZE)
        return;
    struct patch *patch = &input->patch[input->patches++];
    patch->address = (uint32_t)address;
    random_bytes(rng, patch->bytes, PATCH_SIZE);
    if (is_far(insn)) {
        put_far_target(rng, input, insn, patch->bytes);
        return;
    }
    switch (insn->insn.mnemonic) {
    case ZYDIS_MNEMONIC_LDS:
    case ZYDIS_MNEMONIC_LES:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS:
    case ZYDIS_MNEMONIC_LSS:
        store_le16(patch->bytes + width, choose_selector(rng));
        break;
    case ZYDIS_MNEMONIC_LAR:
    case ZYDIS_MNEMONIC_LSL:
    case ZYDIS_MNEMONIC_VERR:
    case ZYDIS_MNEMONIC_VERW:
        store_le16(patch->bytes, choose_selector(rng));
        break;
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_POP:
        if (takes_selector(insn))
            store_le16(patch->bytes, choose_selector(rng));
        break;
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPFQ: /* single steps would be ours */
        store_le64(patch->bytes, rng_next(rng) & ~(uint64_t)FLAG_TF);
        break;
    case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_VLDMXCSR:
        if (r & 3)
            store_le32(patch->bytes, (uint32_t)r >> 8 & 0xffff);
        break;
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64:
        if (r & 7)
            store_le32(patch->bytes + 24, (uint32_t)r >> 8 & 0xffff);
        break;
    case ZYDIS_MNEMONIC_FBLD:
        for (unsigned i = 0; i < 9 && r & 1; i++)
            patch->bytes[i] = (uint8_t)(rng_next(rng) % 10 | rng_next(rng) % 10 << 4);
        break;
    case ZYDIS_MNEMONIC_CMPXCHG:
    case ZYDIS_MNEMONIC_CMPXCHG8B:
    case ZYDIS_MNEMONIC_CMPXCHG16B:
        if (r & 1) {
            unsigned half = insn->insn.mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B ? 4 : 8;
            store_le64(patch->bytes, input->gpr[RAX]);
            store_le64(patch->bytes + half, input->gpr[RDX]);
        }
        break;
    default:
        if (is_branch(insn))
            store_le64(patch->bytes, near_offset(input, choose_target(rng, input)));
    }
}

/* Registers whose random values would be of little use, or of harm. */
static void tame_registers(struct rng *rng, struct input *input, const struct insn *insn)
{
    uint64_t r = rng_next(rng);
    if (takes_selector(insn))
        for (unsigned i = 0; i < insn->insn.operand_count_visible; i++)
            if (insn->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                width_of(insn->operands[i].reg.value) >= 16)
                set_register16(input, insn->operands[i].reg.value, choose_selector(rng));
    switch (insn->insn.mnemonic) {
    case ZYDIS_MNEMONIC_XGETBV:
        input->gpr[RCX] = r & 7 ? r >> 8 & 3 : input->gpr[RCX];
        break;
    case ZYDIS_MNEMONIC_DIV:
        if (r & 1)
            input->gpr[RDX] = r >> 8 & 3;
        break;
    case ZYDIS_MNEMONIC_IDIV:
        if (r & 1)
            input->gpr[RDX] = r & 2 ? 0 : code64(input) ? ~0ull : ~0u;
        break;
    default:
        break;
    }
    if (insn->insn.meta.category == ZYDIS_CATEGORY_XSAVE ||
        insn->insn.meta.category == ZYDIS_CATEGORY_XSAVEOPT) {
        input->gpr[RAX] &= 7; /* the components that both sides have */
        input->gpr[RDX] = 0;
    }
    if (insn->insn.attributes &
        (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE))
        if (insn->insn.meta.category == ZYDIS_CATEGORY_STRINGOP && r >> 16 & 7)
            input->gpr[RCX] = (r >> 20) % 24;
}

/* Direct branches: the bytes of the immediate. */
static bool aim_branch(struct rng *rng, struct input *input, struct insn *insn)
{
    if (insn->operands[0].type == ZYDIS_OPERAND_TYPE_POINTER && insn->insn.operand_count_visible) {
        put_far_target(rng, input, insn, input->bytes + insn->insn.raw.imm[0].offset);
        return case_decode(input, insn);
    }
    for (unsigned i = 0; i < insn->insn.operand_count_visible; i++) {
        const ZydisDecodedOperand *operand = &insn->operands[i];
        if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER && is_branch(insn) &&
            operand->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT) {
            set_register(input, operand->reg.value, near_offset(input, choose_target(rng, input)));
        } else if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operand->imm.is_relative) {
            unsigned size = insn->insn.raw.imm[0].size / 8;
            uint64_t r = rng_next(rng);
            int64_t value = (int64_t)(choose_target(rng, input) - input->rip - input->length);
            if (size == 1)
                value = r & 1 ? 32 + (int64_t)(r >> 8) % 96 : -128 + (int64_t)(r >> 8) % 100;
            memcpy(input->bytes + insn->insn.raw.imm[0].offset, &value, size);
            if (!case_decode(input, insn))
                return false;
        }
    }
    return true;
}

static bool safe_branch(const struct input *input, const struct insn *insn)
{
    uint64_t base = segments_load(input->sel[SEG_CS]).base;
    for (unsigned i = 0; i < insn->insn.operand_count; i++) {
        const ZydisDecodedOperand *operand = &insn->operands[i];
        uint64_t target;
        if (operand->type == ZYDIS_OPERAND_TYPE_POINTER) {
            if (!safe_far_target(input, operand->ptr.segment, operand->ptr.offset))
                return false;
            continue;
        }
        if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operand->imm.is_relative)
            target = input->rip - base + input->length + operand->imm.value.u;
        else if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
                 operand->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
            target = get_register(input, operand->reg.value);
        else
            continue;
        if (!code64(input))
            target = (uint32_t)target;
        if (insn->insn.operand_width == 16 && !safe_target(input, base + (target & 0xffff)))
            return false;
        bool narrow = input->bits == 16 && insn->insn.operand_width == 16;
        if (!narrow && !safe_target(input, base + target))
            return false;
    }
    /* Pointers in memory are read from the start of a patch or not at all. */
    for (unsigned i = 0; i + 1 < input->patches; i++) {
        uint32_t a = input->patch[i].address, b = input->patch[i + 1].address;
        if (a < b + PATCH_SIZE && b < a + PATCH_SIZE)
            return false;
    }
    return true;
}

bool operands_safe(const struct input *input, const struct insn *insn)
{
    for (unsigned i = 0; i < insn->insn.operand_count; i++) {
        const ZydisDecodedOperand *operand = &insn->operands[i];
        if (!is_memory(operand))
            continue;
        if (is_unusable(input, operand))
            continue;
        uint64_t address = operand_address(input, insn, operand);
        if (!in_data_zone(address) && !is_nowhere(address))
            return false;
        if (is_vector_index(operand)) {
            const uint8_t *index = input->unit.ymm[ZydisRegisterGetId(operand->mem.index) & 15];
            for (unsigned at = 0; at < 32; at += 4)
                if (load_le32(index + at) >= 64 || !in_data_zone(address))
                    return false;
            if (load_le32(index + 4) | load_le32(index + 12) | load_le32(index + 20) |
                load_le32(index + 28)) {
                ZydisMnemonic m = insn->insn.mnemonic;
                if (m == ZYDIS_MNEMONIC_VGATHERQPS || m == ZYDIS_MNEMONIC_VGATHERQPD ||
                    m == ZYDIS_MNEMONIC_VPGATHERQD || m == ZYDIS_MNEMONIC_VPGATHERQQ)
                    return false;
            }
        }
    }
    if ((insn->insn.meta.category == ZYDIS_CATEGORY_XSAVE ||
         insn->insn.meta.category == ZYDIS_CATEGORY_XSAVEOPT) &&
        ((uint32_t)input->gpr[RAX] > 7 || (uint32_t)input->gpr[RDX]))
        return false; /* components that only the host has */
    /* IRET leaves the upper part as it finds it. */
    if (stack_bits(input) == 16 && input->gpr[RSP] >> 16 != STACK_TOP >> 16)
        return false;
    /* What the stack pointer reaches may not be told by an operand. */
    uint64_t sp = stack_address(input);
    if (!in_data_zone(sp) && !is_nowhere(sp))
        return false;
    return !is_branch(insn) || safe_branch(input, insn);
}

bool aim_operands(struct rng *rng, struct input *input, struct insn *insn)
{
    input->gpr[RSP] = stack_pointer(input, choose_address(rng, insn, code64(input)));
    tame_registers(rng, input, insn);
    if (!aim_branch(rng, input, insn))
        return false;
    for (unsigned i = 0; i < insn->insn.operand_count; i++)
        if (is_memory(&insn->operands[i]) && !aim(rng, input, insn, i))
            return false;
    if (insn->insn.mnemonic == ZYDIS_MNEMONIC_LEAVE || insn->insn.mnemonic == ZYDIS_MNEMONIC_ENTER)
        input->gpr[RBP] = stack_pointer(input, choose_address(rng, insn, code64(input)));
    if (!operands_safe(input, insn))
        return false;
    for (unsigned i = 0; i < insn->insn.operand_count; i++)
        if (is_memory(&insn->operands[i]))
            fill_patch(rng, input, insn, &insn->operands[i]);
    return !is_branch(insn) || safe_branch(input, insn);
}
