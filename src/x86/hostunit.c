/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * References: Intel SDM volume 2A, chapter 2 (instruction format, VEX, EVEX).
 */
#include "x86/hostunit.h"

#include <cpuid.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"

enum {
    STUB_MAX = 192,        /* bytes: three loads, three stores, flags, the instruction */
    SLOTS_FIRST = 1 << 10, /* of the hash table, which grows with its use: powers of two */
    SLOTS_MAX = 1 << 17,
    HOST_RAX = 0,
    HOST_RCX = 1,
    HOST_RDX = 2,
    HOST_RSI = 6,
    HOST_RDI = 7,
};

struct slot {
    struct hostunit_insn key;
    uint32_t offset; /* of the stub; 0: free */
};

struct hostunit {
    uint8_t *writable;
    uint8_t *executable;
    size_t size, used; /* the last STUB_MAX bytes are the scratch stub's */
    unsigned count;
    uint32_t slot_count;
    bool wide; /* the host has AVX-512F: VEX instructions clear up to bit 511 */
    ZydisDecoder decoder;
    struct slot *slots;
};

/* The host */

static uint64_t host_xcr0(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* AVX-512 as servers have had it from the first: F with BW, DQ and VL. Stubs rest on all four.
 * FP16 is not for us: unmasked underflow of its exact results cannot be found out by running it
 * masked, since it does not obey MXCSR.FTZ. */
static bool host_wide(void)
{
    unsigned a, b, c, d, all = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((host_xcr0() & 0xe6) != 0xe6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return false;
    return (b & all) == all;
}

/* Do VEX instructions clear up to bit 511? */
static bool host_clears_wide(void)
{
    unsigned a, b, c, d;
    return (host_xcr0() & 0xe6) == 0xe6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           b & bit_AVX512F;
}

static void wide_features(struct hostunit_features *features)
{
    unsigned a, b = 0, c = 0, d = 0;
    __get_cpuid_count(7, 0, &a, &b, &c, &d);
    features->leaf7_ebx |= b & (bit_AVX512F | bit_AVX512DQ | bit_AVX512IFMA | bit_AVX512CD |
                                bit_AVX512BW | bit_AVX512VL);
    features->leaf7_ecx |= c & (bit_AVX512VBMI | bit_AVX512VBMI2 | bit_AVX512VNNI |
                                bit_AVX512BITALG | bit_AVX512VPOPCNTDQ);
    features->leaf7_edx |= d & 1u << 8; /* AVX512_VP2INTERSECT; clang's header has no name */
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d))
        features->leaf7_1_eax |= a & bit_AVX512BF16;
}

void hostunit_features(struct hostunit_features *features)
{
    unsigned a, b = 0, c = 0, d = 0;
    memset(features, 0, sizeof(*features));
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return;
    bool avx = (host_xcr0() & 6) == 6 && c & bit_AVX;
    features->leaf1_edx = d & (1u << 0 | bit_MMX | bit_FXSAVE | bit_SSE | bit_SSE2);
    uint32_t ecx = bit_SSE3 | bit_PCLMUL | bit_SSSE3 | bit_SSE4_1 | bit_SSE4_2 | bit_AES;
    if (avx)
        ecx |= bit_AVX | bit_FMA | bit_F16C;
    features->leaf1_ecx = (c & ecx) | bit_XSAVE; /* XSAVE is ours, in C */
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return;
    features->leaf7_ebx = b & (avx ? bit_SHA | bit_AVX2 : bit_SHA);
    features->leaf7_ecx = c & (avx ? bit_GFNI | bit_VAES | bit_VPCLMULQDQ : bit_GFNI);
    if (avx && __get_cpuid_count(7, 1, &a, &b, &c, &d))
        features->leaf7_1_eax = a & bit_AVXVNNI;
    if (avx && host_wide())
        wide_features(features);
}

/* Normal form */

static bool is_gpr(const ZydisDecodedOperand *operand)
{
    if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return false;
    ZydisRegisterClass class = ZydisRegisterGetClass(operand->reg.value);
    return class == ZYDIS_REGCLASS_GPR32 || class == ZYDIS_REGCLASS_GPR64;
}

/* Where the operands of the guest's instruction go in the encoding. */
struct places {
    unsigned reg, rm, vvvv, is4;
    bool has_rm, memory, immediate, is4_used, gpr, evex;
};

static bool place_operand(const ZydisDecodedOperand *operand, struct places *places,
                          struct hostunit_insn *normal)
{
    if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        places->memory = true;
        return operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM;
    }
    if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        places->immediate = true;
        return true;
    }
    if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return false;
    bool gpr = is_gpr(operand);
    unsigned number = (unsigned)ZydisRegisterGetId(operand->reg.value) & 31;
    places->gpr |= gpr;
    switch (operand->encoding) {
    case ZYDIS_OPERAND_ENCODING_MASK:
        return true;
    case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        if (gpr)
            normal->gpr_reg = (uint8_t)number;
        places->reg = gpr ? HOST_RAX : number;
        break;
    case ZYDIS_OPERAND_ENCODING_MODRM_RM:
        if (gpr)
            normal->gpr_rm = (uint8_t)number;
        places->rm = gpr ? HOST_RCX : number;
        places->has_rm = true;
        break;
    case ZYDIS_OPERAND_ENCODING_NDSNDD:
        places->vvvv = number;
        return !gpr;
    case ZYDIS_OPERAND_ENCODING_IS4:
        places->is4 = number;
        places->is4_used = true;
        break;
    default:
        return operand->visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT;
    }
    return number < (places->evex ? 32 : 16);
}

static void put(struct hostunit_insn *normal, unsigned byte)
{
    normal->bytes[normal->length++] = (uint8_t)byte;
}

static void put_legacy_prefixes(const ZydisDecodedInstruction *insn, const struct places *places,
                                bool code64, struct hostunit_insn *normal)
{
    for (unsigned i = 0; i < insn->raw.prefix_count; i++)
        if (insn->raw.prefixes[i].type == ZYDIS_PREFIX_TYPE_MANDATORY) {
            put(normal, insn->raw.prefixes[i].value);
            break;
        }
    bool w = code64 && insn->attributes & ZYDIS_ATTRIB_HAS_REX && insn->raw.rex.W;
    unsigned rex = 0x40 | w << 3 | (places->reg >> 3) << 2 | places->rm >> 3;
    if (rex != 0x40)
        put(normal, rex);
    put(normal, 0x0f);
    if (insn->opcode_map == ZYDIS_OPCODE_MAP_0F38)
        put(normal, 0x38);
    else if (insn->opcode_map == ZYDIS_OPCODE_MAP_0F3A)
        put(normal, 0x3a);
}

/* Is W the size of a general register, or of memory in its place? Outside 64-bit code there are no
 * 64-bit general registers, whatever W says. */
static bool is_gpr_form(const ZydisDecodedInstruction *insn, const struct places *places,
                        unsigned pp)
{
    if (places->gpr)
        return true;
    if (insn->opcode_map == ZYDIS_OPCODE_MAP_0F3A)
        return insn->opcode == 0x22 || insn->opcode == 0x16 || insn->opcode == 0x60 ||
               insn->opcode == 0x61;
    if (insn->opcode_map != ZYDIS_OPCODE_MAP_0F)
        return false;
    return insn->opcode == 0x6e || (insn->opcode == 0x7e && pp == 1) || insn->opcode == 0x2a ||
           (places->evex && insn->opcode == 0x7b && pp >= 2);
}

static void put_evex_prefix(const ZydisDecodedInstruction *insn, const struct places *places,
                            bool code64, struct hostunit_insn *normal)
{
    unsigned w = code64 || !is_gpr_form(insn, places, insn->raw.evex.pp) ? insn->raw.evex.W : 0;
    unsigned reg = ~places->reg, rm = ~places->rm, vvvv = ~places->vvvv;
    put(normal, 0x62);
    put(normal, (reg >> 3 & 1) << 7 | (rm >> 4 & 1) << 6 | (rm >> 3 & 1) << 5 |
                    (reg >> 4 & 1) << 4 | insn->raw.evex.mmm);
    put(normal, w << 7 | (vvvv & 15) << 3 | 4 | insn->raw.evex.pp);
    put(normal, (unsigned)insn->raw.evex.z << 7 | (unsigned)insn->raw.evex.L2 << 6 |
                    (unsigned)insn->raw.evex.L << 5 | (unsigned)insn->raw.evex.b << 4 |
                    (vvvv >> 4 & 1) << 3 | insn->raw.evex.aaa);
}

static void put_vex_prefix(const ZydisDecodedInstruction *insn, const struct places *places,
                           bool code64, struct hostunit_insn *normal)
{
    unsigned w = code64 || !is_gpr_form(insn, places, insn->raw.vex.pp) ? insn->raw.vex.W : 0;
    put(normal, 0xc4);
    put(normal,
        (places->reg >> 3 ? 0 : 0x80) | 0x40 | (places->rm >> 3 ? 0 : 0x20) | insn->raw.vex.m_mmmm);
    put(normal,
        w << 7 | (~places->vvvv & 15) << 3 | (unsigned)insn->raw.vex.L << 2 | insn->raw.vex.pp);
}

bool hostunit_normalise(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
                        const uint8_t *bytes, bool code64, struct hostunit_insn *normal)
{
    bool vex = insn->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    bool evex = insn->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
    if (!vex && !evex && insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return false;
    if (insn->opcode_map != ZYDIS_OPCODE_MAP_0F && insn->opcode_map != ZYDIS_OPCODE_MAP_0F38 &&
        insn->opcode_map != ZYDIS_OPCODE_MAP_0F3A)
        return false;
    if (!(insn->attributes & ZYDIS_ATTRIB_HAS_MODRM))
        return false;
    memset(normal, 0, sizeof(*normal));
    normal->gpr_reg = normal->gpr_rm = HOSTUNIT_NO_GPR;
    struct places places = {.reg = insn->raw.modrm.reg, .evex = evex};
    for (unsigned i = 0; i < insn->operand_count_visible; i++)
        if (!place_operand(&operands[i], &places, normal))
            return false;
    if (places.memory == places.has_rm)
        return false;
    if (evex)
        put_evex_prefix(insn, &places, code64, normal);
    else if (vex)
        put_vex_prefix(insn, &places, code64, normal);
    else
        put_legacy_prefixes(insn, &places, code64, normal);
    put(normal, insn->opcode);
    unsigned rm = places.memory ? HOST_RDI : places.rm & 7;
    put(normal, (places.memory ? 0 : 0xc0) | (places.reg & 7) << 3 | rm);
    unsigned last = bytes[insn->length - 1];
    if (places.is4_used)
        put(normal, places.is4 << 4 | (last & 15));
    else if (places.immediate)
        put(normal, last);
    return true;
}

/* Stubs */

struct code {
    uint8_t bytes[STUB_MAX];
    unsigned length;
};

static void emit(struct code *code, const void *bytes, unsigned length)
{
    if (code->length + length <= STUB_MAX)
        memcpy(code->bytes + code->length, bytes, length);
    code->length += length;
}

static void emit_byte(struct code *code, unsigned byte)
{
    uint8_t b = (uint8_t)byte;
    emit(code, &b, 1);
}

/* ModRM for [rsi + displacement]. */
static void emit_state_operand(struct code *code, unsigned reg, size_t displacement)
{
    emit_byte(code, 0x80 | (reg & 7) << 3 | HOST_RSI);
    uint32_t disp = (uint32_t)displacement;
    emit(code, &disp, 4);
}

static size_t vector_offset(unsigned number)
{
    return offsetof(struct fpu_state, zmm) + (size_t)number * 64;
}

/* movaps xmm */
static void emit_move_xmm(struct code *code, unsigned number, bool store)
{
    if (number >= 8)
        emit_byte(code, 0x44);
    emit_byte(code, 0x0f);
    emit_byte(code, store ? 0x29 : 0x28);
    emit_state_operand(code, number, vector_offset(number));
}

/* vmovaps ymm */
static void emit_move_vex(struct code *code, unsigned number, bool store)
{
    emit_byte(code, 0xc5);
    emit_byte(code, (number >= 8 ? 0 : 0x80) | 0x7c);
    emit_byte(code, store ? 0x29 : 0x28);
    emit_state_operand(code, number, vector_offset(number));
}

/* vmovaps zmm */
static void emit_move_zmm(struct code *code, unsigned number, bool store)
{
    emit_byte(code, 0x62);
    emit_byte(code, (number & 8 ? 0 : 0x80) | (number & 16 ? 0 : 0x10) | 0x61);
    emit_byte(code, 0x7c);
    emit_byte(code, 0x48);
    emit_byte(code, store ? 0x29 : 0x28);
    emit_state_operand(code, number, vector_offset(number));
}

/* kmovq */
static void emit_move_mask(struct code *code, unsigned number, bool store)
{
    emit(code, "\xc4\xe1\xf8", 3);
    emit_byte(code, store ? 0x91 : 0x90);
    emit_state_operand(code, number, offsetof(struct fpu_state, opmask) + (size_t)number * 8);
}

static void emit_move_mmx(struct code *code, unsigned number, bool store)
{
    emit_byte(code, 0x0f);
    emit_byte(code, store ? 0x7f : 0x6f);
    emit_state_operand(code, number, offsetof(struct fpu_state, st) + (size_t)number * 16);
}

/* mov host, [r8 + 8 * guest], or back */
static void emit_move_gpr(struct code *code, unsigned host, unsigned guest, bool store)
{
    emit_byte(code, 0x49);
    emit_byte(code, store ? 0x89 : 0x8b);
    emit_byte(code, 0x40 | host << 3);
    emit_byte(code, guest * 8);
}

static unsigned guest_gpr(const struct hostunit_insn *normal, const ZydisDecodedOperand *operand,
                          unsigned host)
{
    if (operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG)
        return normal->gpr_reg & 15;
    if (operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM)
        return normal->gpr_rm & 15;
    return host; /* implied registers (PCMPESTRI) stand for themselves */
}

struct compilation {
    const struct hostunit_insn *normal;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    bool vex, wide, gpr, mmx, flags;
    bool avx512; /* EVEX, or VEX with mask registers */
};

static void emit_register(struct code *code, const struct compilation *c,
                          const ZydisDecodedOperand *operand, bool store)
{
    unsigned number = (unsigned)ZydisRegisterGetId(operand->reg.value) & 31;
    switch (ZydisRegisterGetClass(operand->reg.value)) {
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
    case ZYDIS_REGCLASS_ZMM:
        if (c->avx512)
            emit_move_zmm(code, number, store);
        else if (!c->vex)
            emit_move_xmm(code, number, store);
        else if (store && c->wide)
            emit_move_zmm(code, number, true);
        else
            /* The whole of it: the same register may be read as xmm and as ymm. */
            emit_move_vex(code, number, store);
        break;
    case ZYDIS_REGCLASS_MASK:
        emit_move_mask(code, number, store);
        break;
    case ZYDIS_REGCLASS_MMX:
        emit_move_mmx(code, number, store);
        break;
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        emit_move_gpr(code, number, guest_gpr(c->normal, operand, number), store);
        break;
    default:
        break;
    }
}

static void survey(struct compilation *c)
{
    for (unsigned i = 0; i < c->insn.operand_count; i++) {
        if (c->operands[i].type != ZYDIS_OPERAND_TYPE_REGISTER)
            continue;
        c->gpr |= is_gpr(&c->operands[i]);
        ZydisRegisterClass class = ZydisRegisterGetClass(c->operands[i].reg.value);
        c->mmx |= class == ZYDIS_REGCLASS_MMX;
        c->avx512 |= class == ZYDIS_REGCLASS_MASK;
    }
    const ZydisAccessedFlags *flags = c->insn.cpu_flags;
    c->flags = flags && (flags->modified | flags->set_0 | flags->set_1);
}

static void emit_loads(struct code *code, const struct compilation *c)
{
    for (unsigned i = 0; i < c->insn.operand_count; i++) {
        const ZydisDecodedOperand *operand = &c->operands[i];
        if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER)
            continue;
        /* What a legacy or a masked instruction leaves of its destination is not always said: load
         * it too. */
        if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ || !c->vex || c->avx512)
            emit_register(code, c, operand, false);
    }
}

static void emit_stores(struct code *code, const struct compilation *c)
{
    for (unsigned i = 0; i < c->insn.operand_count; i++) {
        const ZydisDecodedOperand *operand = &c->operands[i];
        if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
            operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
            emit_register(code, c, operand, true);
    }
}

static bool compile(const struct hostunit *unit, const struct hostunit_insn *normal,
                    struct code *code)
{
    static const uint8_t get_flags[] = {0x0f, 0x90, 0xc0,             /* seto al */
                                        0x9f,                         /* lahf */
                                        0x25, 0x01, 0xd5, 0x00, 0x00, /* and eax, 0xd501 */
                                        0x41, 0x89, 0x01};            /* mov [r9], eax */
    struct compilation c = {.normal = normal, .wide = unit->wide};
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&unit->decoder, normal->bytes, normal->length, &c.insn,
                                             c.operands)))
        return false;
    c.avx512 = c.insn.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
    c.vex = c.avx512 || c.insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    survey(&c);
    code->length = 0;
    if (c.gpr)
        emit(code, "\x49\x89\xd0", 3); /* mov r8, rdx */
    if (c.flags)
        emit(code, "\x49\x89\xc9", 3); /* mov r9, rcx */
    emit_loads(code, &c);
    emit(code, normal->bytes, normal->length);
    emit_stores(code, &c);
    if (c.flags)
        emit(code, get_flags, sizeof(get_flags));
    if (c.mmx)
        emit(code, "\x0f\x77", 2); /* emms */
    if (c.vex)
        emit(code, "\xc5\xf8\x77", 3); /* vzeroupper */
    emit_byte(code, 0xc3);
    return code->length <= STUB_MAX;
}

/* The cache */

int hostunit_create(struct hostunit **unit, size_t size, struct error *err)
{
    struct hostunit *u = calloc(1, sizeof(*u));
    if (!u)
        return error_set(err, ENOMEM, "out of memory");
    size = round_up(size, 4096);
    u->size = size;
    u->wide = host_clears_wide();
    ZydisDecoderInit(&u->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    u->slot_count = SLOTS_FIRST;
    u->slots = calloc(u->slot_count, sizeof(*u->slots));
    u->writable = u->executable = MAP_FAILED;
    int fd = memfd_create("trapeze-hostunit", MFD_CLOEXEC);
    if (u->slots && fd >= 0 && ftruncate(fd, (off_t)size) == 0) {
        u->writable = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        u->executable = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    }
    int errnum = errno;
    if (fd >= 0)
        close(fd);
    if (u->executable == MAP_FAILED || u->writable == MAP_FAILED) {
        hostunit_destroy(u);
        return error_set(err, errnum ? errnum : ENOMEM,
                         "cannot map %zu bytes of executable memory for vector instructions; "
                         "does a security policy forbid executable mappings?",
                         size);
    }
    u->used = 16; /* offset 0 means free */
    *unit = u;
    return 0;
}

void hostunit_destroy(struct hostunit *unit)
{
    if (!unit)
        return;
    if (unit->writable != MAP_FAILED)
        munmap(unit->writable, unit->size);
    if (unit->executable != MAP_FAILED)
        munmap(unit->executable, unit->size);
    free(unit->slots);
    free(unit);
}

static uint32_t hash(const struct hostunit_insn *normal)
{
    uint64_t h = load_le64(normal->bytes) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 29;
    h = (h + load_le64(&normal->length)) * 0xbf58476d1ce4e5b9ull;
    return (uint32_t)(h >> 40);
}

static hostunit_fn stub_at(const struct hostunit *unit, size_t offset)
{
    return (hostunit_fn)(uintptr_t)(unit->executable + offset);
}

/* Where the normal form is, or the free place for it. */
static struct slot *find(const struct hostunit *unit, const struct hostunit_insn *normal)
{
    _Static_assert(sizeof(*normal) == 16, "compared and hashed whole");
    for (uint32_t i = hash(normal);; i++) {
        struct slot *slot = &unit->slots[i & (unit->slot_count - 1)];
        if (!slot->offset || memcmp(&slot->key, normal, sizeof(*normal)) == 0)
            return slot;
    }
}

/* Is there room for one more? */
static bool make_room(struct hostunit *unit)
{
    if (unit->count < unit->slot_count / 4 * 3)
        return true;
    if (unit->slot_count == SLOTS_MAX)
        return false;
    struct hostunit larger = *unit;
    larger.slot_count *= 2;
    larger.slots = calloc(larger.slot_count, sizeof(*larger.slots));
    if (!larger.slots)
        return false;
    for (uint32_t i = 0; i < unit->slot_count; i++)
        if (unit->slots[i].offset)
            *find(&larger, &unit->slots[i].key) = unit->slots[i];
    free(unit->slots);
    *unit = larger;
    return true;
}

hostunit_fn hostunit_get(struct hostunit *unit, const struct hostunit_insn *normal)
{
    const struct slot *known = find(unit, normal);
    if (known->offset)
        return stub_at(unit, known->offset);
    struct code code;
    if (unit->used + 2 * STUB_MAX > unit->size || !make_room(unit) || !compile(unit, normal, &code))
        return NULL;
    size_t offset = unit->used;
    memcpy(unit->writable + offset, code.bytes, code.length);
    unit->used = round_up(offset + code.length, 16);
    unit->count++;
    *find(unit, normal) = (struct slot){.key = *normal, .offset = (uint32_t)offset};
    return stub_at(unit, offset);
}

hostunit_fn hostunit_scratch(struct hostunit *unit, const struct hostunit_insn *normal)
{
    struct code code;
    if (!compile(unit, normal, &code))
        return NULL;
    size_t offset = unit->size - STUB_MAX;
    memcpy(unit->writable + offset, code.bytes, code.length);
    /* The stub may have been run at this address with other bytes: a serialising instruction, as
     * the SDM (3A 9.1.3) asks for code written through another address. */
    unsigned a, b, c, d;
    __cpuid(0, a, b, c, d);
    return stub_at(unit, offset);
}
