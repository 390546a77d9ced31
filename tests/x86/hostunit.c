/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Random MMX, SSE, AVX, AVX-512 and x87 instructions on random state: run by the processor itself,
 * in this process, and through the interpreter's handlers; registers, flags, status and memory must
 * agree.
 */
#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "cpu/model.h"
#include "engine/interp/vector.h"
#include "x86/hostunit.h"

enum {
    CODE_MAX = 64,
    GUEST_PAGE = 0x10000,
    AREA = 256,
    AREA_MAX = 1024,
    AT = 128,
    IMAGE_MAX = 3072
};

/* The assembly below knows the offsets: gpr 0, flags 128, rsp 136, slot 144, mask 152, xsave 192.
 */
struct native {
    uint64_t gpr[16], flags, rsp, slot;
    uint64_t mask; /* of the components that are loaded and saved */
    uint64_t unused[4];
    uint8_t xsave[XSTATE_AREA_MAX];
};
struct native native __attribute__((aligned(64)));
static sigjmp_buf trapped;

void native_run(void);
void native_back(void);
__asm__(".text\n"
        "native_run:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp, native+136(%rip)\n"
        "mov native+152(%rip), %eax\n xor %edx, %edx\n xrstor native+192(%rip)\n"
        "pushq native+128(%rip)\n popfq\n"
        "mov native(%rip), %rax\n mov native+8(%rip), %rcx\n"
        "mov native+16(%rip), %rdx\n mov native+24(%rip), %rbx\n"
        "mov native+40(%rip), %rbp\n mov native+48(%rip), %rsi\n"
        "mov native+56(%rip), %rdi\n mov native+64(%rip), %r8\n"
        "mov native+72(%rip), %r9\n mov native+80(%rip), %r10\n"
        "mov native+88(%rip), %r11\n mov native+96(%rip), %r12\n"
        "mov native+104(%rip), %r13\n mov native+112(%rip), %r14\n"
        "mov native+120(%rip), %r15\n"
        "jmp *native+144(%rip)\n"
        "native_back:\n"
        "mov %rax, native(%rip)\n mov %rcx, native+8(%rip)\n"
        "mov %rdx, native+16(%rip)\n mov %rbx, native+24(%rip)\n"
        "mov %rbp, native+40(%rip)\n mov %rsi, native+48(%rip)\n"
        "mov %rdi, native+56(%rip)\n mov %r8, native+64(%rip)\n"
        "mov %r9, native+72(%rip)\n mov %r10, native+80(%rip)\n"
        "mov %r11, native+88(%rip)\n mov %r12, native+96(%rip)\n"
        "mov %r13, native+104(%rip)\n mov %r14, native+112(%rip)\n"
        "mov %r15, native+120(%rip)\n"
        "pushfq\n popq native+128(%rip)\n"
        "mov native+152(%rip), %eax\n xor %edx, %edx\n xsave native+192(%rip)\n"
        "vzeroupper\n fninit\n"
        "mov native+136(%rip), %rsp\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
        "ret\n");

static uint64_t seed = 20261124;
static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1dull >> 1;
}
static bool one_in(unsigned n)
{
    return rnd() % n == 0;
}

struct fixture {
    struct vcpu *cpu;
    struct cpu_model model;
    struct vcpu_world world;
    struct hostunit *unit;
    ZydisDecoder decoder;
    uint8_t *code;
    uint8_t *guest, *host; /* a page each, and behind it none that may be touched */
    bool wide;             /* AVX-512 */
};

static void on_signal(int sig)
{
    siglongjmp(trapped, sig);
}

static void no_lock(void *opaque)
{
    (void)opaque;
}

static uint8_t *page_and_guard(void)
{
    uint8_t *page =
        mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    assert_int_equal(mprotect(page + PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
    return page;
}

static int setup(void **state)
{
    struct fixture *f = aligned_alloc(4096, round_up(sizeof(*f), 4096));
    memset(f, 0, sizeof(*f));
    f->cpu = aligned_alloc(64, round_up(sizeof(*f->cpu), 64));
    memset(f->cpu, 0, sizeof(*f->cpu));
    struct hostunit_features host;
    hostunit_features(&host);
    if (!(host.leaf1_ecx >> 28 & 1))
        return -1; /* the comparison wants a host with AVX */
    f->model.features[FEAT_1_EDX] = host.leaf1_edx;
    f->model.features[FEAT_1_ECX] = host.leaf1_ecx;
    f->model.features[FEAT_7_EBX] = host.leaf7_ebx;
    f->model.features[FEAT_7_ECX] = host.leaf7_ecx;
    f->model.features[FEAT_7_EDX] = host.leaf7_edx;
    f->model.features[FEAT_7_1_EAX] = host.leaf7_1_eax;
    f->wide = host.leaf7_ebx >> 16 & 1;
    f->guest = page_and_guard();
    f->host = page_and_guard();
    assert_int_equal(mem_create(&f->world.mem, NULL), 0);
    f->world.lock = f->world.unlock = no_lock;
    f->world.a20_mask = UINT64_MAX;
    f->cpu->view = mem_view_ref(f->world.mem);
    native.mask = f->wide ? 0xe7 : 7;
    f->model.features[FEAT_D_1_EAX] = 2; /* XSAVEC */
    f->cpu->model = &f->model;
    f->cpu->world = &f->world;
    ZydisDecoderInit(&f->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    assert_int_equal(hostunit_create(&f->unit, MIB(8), NULL), 0);
    f->code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(f->code != MAP_FAILED);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    hostunit_destroy(f->unit);
    munmap(f->code, 4096);
    munmap(f->guest, 2 * PAGE_SIZE);
    munmap(f->host, 2 * PAGE_SIZE);
    mem_view_unref(f->cpu->view);
    mem_destroy(f->world.mem);
    free(f->cpu);
    free(f);
    return 0;
}

/* After cmocka has set its own handlers. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER};
    sigaction(SIGFPE, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
}

/* State */

static void fill_random(void *to, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        ((uint8_t *)to)[i] = (uint8_t)rnd();
}

/* Bytes that make interesting numbers of every kind. */
static void fill_values(uint8_t *to, unsigned size)
{
    static const uint64_t doubles[] = {0,
                                       1ull << 63,
                                       0x3ff0000000000000,
                                       0x7ff0000000000000,
                                       0xfff8000000000000,
                                       0x7ff0000000000001,
                                       1,
                                       0x000fffffffffffff,
                                       0x7fefffffffffffff,
                                       0x4330000000000001};
    static const uint32_t singles[] = {0,          0x80000000, 0x3f800000, 0x7f800000, 0xffc00000,
                                       0x7f800001, 1,          0x007fffff, 0x7f7fffff, 0x4b000001};
    fill_random(to, size);
    for (unsigned i = 0; i + 8 <= size; i += 8)
        switch (rnd() % 6) {
        case 0:
            store_le64(to + i, doubles[rnd() % ARRAY_LEN(doubles)]);
            break;
        case 1:
            store_le32(to + i, singles[rnd() % ARRAY_LEN(singles)]);
            store_le32(to + i + 4, singles[rnd() % ARRAY_LEN(singles)]);
            break;
        case 2: { /* ordinary numbers, so that not all is over- and underflow */
            float a = (float)(int)rnd() / 65536, b = (float)(int)rnd() / 7;
            memcpy(to + i, &a, 4);
            memcpy(to + i + 4, &b, 4);
            break;
        }
        case 3: {
            double a = (double)(int64_t)rnd() / 4294967296.0;
            memcpy(to + i, &a, 8);
            break;
        }
        default:
            break;
        }
}

static void random_extended(uint8_t *to)
{
    fill_random(to, 10);
    memset(to + 10, 0, 6);
    switch (rnd() % 10) {
    case 0:
        memset(to, 0, 8);
        store_le16(to + 8, rnd() & 0x8000);
        break;
    case 1:
        store_le64(to, 1ull << 63 | (one_in(2) ? rnd() : 0));
        store_le16(to + 8, rnd() | 0x7fff);
        break;
    case 2:
        store_le16(to + 8, rnd() & 0x8000); /* denormal */
        break;
    case 3: { /* a small whole number */
        long double v = (long double)(int)(rnd() % 64) - 32;
        memcpy(to, &v, 10);
        break;
    }
    case 4:
        break; /* anything, unnormal too */
    default:
        to[7] |= 0x80;
        store_le16(to + 8, (rnd() & 0x8000) | (0x3fff - 40 + rnd() % 80));
        break;
    }
}

static void random_state(struct fixture *f, bool unmask)
{
    struct vcpu *cpu = f->cpu;
    struct fpu_state *fpu = &cpu->fpu;
    /* Pages beyond the one in the TLB are not there. */
    cpu->cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_ET;
    cpu->cr3 = 0;
    cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE | CR4_OSXMMEXCPT;
    cpu->efer = EFER_LMA | EFER_LME;
    cpu->seg[SEG_CS].access = SEG_L | SEG_P | SEG_S | 11;
    cpu->tlb_gen = 1;
    cpu->mmu = MMU_USER;
    struct tlb_entry *entry = &cpu->tlb[MMU_USER][tlb_slot(GUEST_PAGE)];
    entry->tag[ACCESS_READ] = entry->tag[ACCESS_WRITE] = GUEST_PAGE | 1;
    entry->delta = (uintptr_t)f->guest - GUEST_PAGE;
    memset(f->guest, 0, AREA_MAX);
    fill_values(f->guest, AREA);
    fill_values(f->guest + PAGE_SIZE - AREA, AREA);
    memcpy(f->host, f->guest, PAGE_SIZE);
    fpu->xcr0 = native.mask;
    fpu->fip = fpu->fdp = fpu->fop = fpu->fcs = fpu->fds = 0;
    memset(fpu->zmm, 0, sizeof(fpu->zmm));
    for (unsigned i = 0; i < 16; i++) {
        cpu->gpr[i] = rnd();
        fill_values(fpu->zmm[i], f->wide ? 64 : 32);
    }
    memset(fpu->opmask, 0, sizeof(fpu->opmask));
    for (unsigned i = 0; f->wide && i < 8; i++)
        fpu->opmask[i] = one_in(2) ? rnd() & rnd() : one_in(3) ? rnd() & 0xff : rnd() << 1;
    for (unsigned i = 16; f->wide && i < 32; i++)
        fill_values(fpu->zmm[i], 64);
    fpu->mxcsr = (unsigned)(rnd() & 0xe07f) | MXCSR_RESET;
    if (one_in(2))
        fpu->mxcsr = MXCSR_RESET | (fpu->mxcsr & 0x3f);
    /* Flags that are up already and unmasked would not trap by themselves; raised ones do. */
    if (unmask && one_in(3))
        fpu->mxcsr &= (unsigned)rnd() | 0xe000;
    fpu->fcw = 0x37f;
    fpu->fsw = (uint16_t)(rnd() & 0x7f7f);
    if (one_in(2))
        fpu->fcw = (uint16_t)((rnd() & 0xf00) | 0x7f);
    if (unmask && one_in(2))
        fpu->fcw = (uint16_t)((fpu->fcw & ~0x3f) | (rnd() & 0x3f));
    fpu->fsw &= (uint16_t)(fpu->fcw | ~0x3f);
    fpu->ftw = 0;
    for (unsigned i = 0; i < 8; i++) {
        random_extended(fpu->st[i]);
        if (one_in(4))
            fpu->ftw |= (uint16_t)(3 << i * 2);
    }
    cpu->cc = cpu_flags_to_cc(rnd());
}

static void load_native(struct fixture *f)
{
    struct fpu_state *fpu = &f->cpu->fpu;
    memset(native.xsave, 0, sizeof(native.xsave));
    store_le16(native.xsave, fpu->fcw);
    store_le16(native.xsave + 2, fpu->fsw);
    native.xsave[4] = fpu_short_tags(fpu);
    for (unsigned i = 0; i < 8; i++)
        memcpy(native.xsave + 32 + i * 16, fpu->st[(fpu_top(fpu) + i) & 7], 10);
    store_le32(native.xsave + 24, fpu->mxcsr);
    store_le32(native.xsave + 28, 0xffff);
    for (unsigned i = 0; i < 16; i++) {
        memcpy(native.xsave + 160 + i * 16, fpu->zmm[i], 16);
        memcpy(native.xsave + 576 + i * 16, fpu->zmm[i] + 16, 16);
        memcpy(native.xsave + 1152 + i * 32, fpu->zmm[i] + 32, 32);
        memcpy(native.xsave + 1664 + i * 64, fpu->zmm[i + 16], 64);
    }
    memcpy(native.xsave + 1088, fpu->opmask, sizeof(fpu->opmask));
    native.xsave[512] = (uint8_t)native.mask;
    memcpy(native.gpr, f->cpu->gpr, sizeof(native.gpr));
    native.flags = cpu_cc_to_flags(f->cpu->cc) | 0x202;
}

/* The instruction */

struct generated {
    uint8_t bytes[16];
    unsigned length;
    bool memory;
    bool indexed; /* elements lie at indices */
    bool image;   /* the memory operand is a saved state */
};

static void add(struct generated *g, unsigned byte)
{
    g->bytes[g->length++] = (uint8_t)byte;
}

static void add_modrm(struct generated *g, bool x87)
{
    g->memory = one_in(3);
    unsigned reg = rnd() & 7;
    add(g, g->memory ? reg << 3 | RBX : 0xc0 | reg << 3 | (rnd() & 7));
    for (unsigned i = 0; i < (x87 ? 0 : 2); i++)
        add(g, (unsigned)rnd());
}

static void generate_vector(struct generated *g)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf2, 0xf3};
    memset(g, 0, sizeof(*g));
    unsigned map = 1 + rnd() % 3;
    if (one_in(2)) {
        add(g, 0xc4);
        add(g, (unsigned)(rnd() & 0x80) | 0x60 | map);
        if (one_in(2))
            g->bytes[1] &= (uint8_t)~0x20; /* B */
        add(g, (unsigned)rnd());
        if (one_in(4))
            g->bytes[2] |= 0x78;
    } else {
        unsigned prefix = prefixes[rnd() & 3];
        if (prefix)
            add(g, prefix);
        if (one_in(2))
            add(g, 0x40 | (rnd() & 0xf));
        add(g, 0x0f);
        if (map > 1)
            add(g, map == 2 ? 0x38 : 0x3a);
    }
    add(g, (unsigned)rnd());
    add_modrm(g, false);
}

/* EVEX, and a few of VEX on mask registers. */
static void generate_evex(struct generated *g)
{
    static const uint8_t mask_opcodes[] = {0x41, 0x42, 0x44, 0x45, 0x46, 0x47, 0x4a,
                                           0x4b, 0x90, 0x91, 0x92, 0x93, 0x98, 0x99};
    static const uint8_t maps[] = {1, 1, 1, 2, 2, 2, 3, 3};
    memset(g, 0, sizeof(*g));
    if (one_in(12)) {
        unsigned map = one_in(4) ? 3 : 1;
        add(g, 0xc4);
        add(g, 0xe0 | map);
        add(g, (unsigned)(rnd() & 0x87) | (8 | (rnd() & 7)) << 3);
        if (one_in(2))
            g->bytes[2] |= 0x78;
        add(g, map == 3 ? 0x30 | (rnd() & 3) : mask_opcodes[rnd() % sizeof(mask_opcodes)]);
        add_modrm(g, false);
        return;
    }
    add(g, 0x62);
    add(g, (unsigned)(rnd() & 0xf0) | maps[rnd() % sizeof(maps)]);
    add(g, (unsigned)rnd() | 4);
    add(g, (unsigned)rnd());
    if (one_in(3))
        g->bytes[2] |= 0x78, g->bytes[3] |= 8; /* no third register */
    if (one_in(2))
        g->bytes[3] &= 0x6f; /* no zeroing, broadcast, rounding */
    add(g, (unsigned)rnd());
    add_modrm(g, false);
    if (g->memory)
        g->bytes[1] |= 0x60;
}

/* Gathers and scatters at [rbx + index]. */
static void generate_indexed(struct generated *g)
{
    memset(g, 0, sizeof(*g));
    add(g, 0x62);
    add(g, (unsigned)(rnd() & 0xd0) | 0x22);
    add(g, (unsigned)(rnd() & 0x80) | 0x7d);
    add(g, (unsigned)(rnd() & 0x6f));
    add(g, (one_in(2) ? 0x90 : 0xa0) | (rnd() & 3));
    add(g, (unsigned)(rnd() & 7) << 3 | 4);
    add(g, (unsigned)(rnd() & 0xf8) | RBX);
    g->memory = g->indexed = true;
}

static void generate_x87(struct generated *g)
{
    memset(g, 0, sizeof(*g));
    add(g, 0xd8 | (rnd() & 7));
    add_modrm(g, true);
}

static void generate_state(struct generated *g)
{
    static const uint8_t forms[][5] = {
        {0x0f, 0xae, 0x03},                           /* fxsave */
        {0x0f, 0xae, 0x0b},                           /* fxrstor */
        {0x48, 0x0f, 0xae, 0x03},                     /* fxsave64 */
        {0x48, 0x0f, 0xae, 0x0b}, {0x0f, 0xae, 0x23}, /* xsave */
        {0x48, 0x0f, 0xae, 0x23}, {0x0f, 0xae, 0x2b}, /* xrstor */
        {0x48, 0x0f, 0xae, 0x2b}, {0x0f, 0xc7, 0x23}, /* xsavec */
        {0x0f, 0xae, 0x1b},                           /* stmxcsr */
    };
    memset(g, 0, sizeof(*g));
    const uint8_t *form = forms[rnd() % ARRAY_LEN(forms)];
    for (unsigned i = 0; i < 5 && (form[i] || i < 3); i++)
        add(g, form[i]);
    g->memory = g->image = true;
}

static bool is_forbidden(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
                         bool memory)
{
    for (unsigned i = 0; i < insn->operand_count; i++) {
        const ZydisDecodedOperand *o = &operands[i];
        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY &&
            (o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN ||
             o->mem.base != ZYDIS_REGISTER_RBX ||
             (o->mem.index != ZYDIS_REGISTER_NONE && o->mem.type != ZYDIS_MEMOP_TYPE_VSIB)))
            return true;
        if (o->type != ZYDIS_OPERAND_TYPE_REGISTER)
            continue;
        ZydisRegister whole =
            ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, o->reg.value);
        if (whole == ZYDIS_REGISTER_RSP || (memory && whole == ZYDIS_REGISTER_RBX))
            return true;
    }
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_NOP: /* 0F 0D on registers: not every processor has it */
        return true;
    case ZYDIS_MNEMONIC_FNSTENV: /* these store where the instruction was */
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FLDCW:
    case ZYDIS_MNEMONIC_FNSTCW:
    case ZYDIS_MNEMONIC_FNSTSW:
        return memory;
    default:
        return false;
    }
}

static bool is_state(const ZydisDecodedInstruction *insn)
{
    switch (insn->meta.isa_set) {
    case ZYDIS_ISA_SET_FXSAVE:
    case ZYDIS_ISA_SET_FXSAVE64:
    case ZYDIS_ISA_SET_XSAVE:
    case ZYDIS_ISA_SET_XSAVEC:
    case ZYDIS_ISA_SET_SSEMXCSR:
        return true;
    default:
        return insn->mnemonic == ZYDIS_MNEMONIC_VLDMXCSR ||
               insn->mnemonic == ZYDIS_MNEMONIC_VSTMXCSR;
    }
}

static bool prepare(struct fixture *f, const struct generated *g, struct op *op,
                    ZydisDecodedInstruction *insn)
{
    static ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&f->decoder, g->bytes, g->length, insn, operands)) ||
        is_forbidden(insn, operands, g->memory) || insn->raw.modrm.mod != (g->memory ? 0 : 3) ||
        is_state(insn) != g->image)
        return false;
    memset(op, 0, sizeof(*op));
    op->length = insn->length;
    op->size = (uint8_t)(insn->operand_width / 8);
    op->base = g->memory ? RBX : GPR_ZERO;
    op->index = GPR_ZERO;
    op->seg = SEG_DS;
    op->address_size = 8;
    struct decoded d = {.insn = insn,
                        .operands = operands,
                        .bytes = g->bytes,
                        .code64 = true,
                        .code_size = 64,
                        .cpu = f->cpu,
                        .unit = f->unit};
    bool ends = false;
    return decode_is_there(&d) && decode_vector(&d, op, &ends) && op->fn != vector_undefined;
}

/* Signal that stopped it, or 0. */
static int run_native(struct fixture *f, const struct generated *g, unsigned length)
{
    memcpy(f->code, g->bytes, length);
    static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0};
    memcpy(f->code + length, jump, sizeof(jump));
    store_le64(f->code + length + sizeof(jump), (uint64_t)(uintptr_t)native_back);
    native.slot = (uint64_t)(uintptr_t)f->code;
    uint32_t host = __builtin_ia32_stmxcsr();
    int sig = sigsetjmp(trapped, 0);
    if (!sig)
        native_run();
    __asm__ volatile("fninit");
    __builtin_ia32_ldmxcsr(host);
    return sig;
}

static const char *text_of(const struct generated *g, unsigned length)
{
    static char text[160];
    static ZydisDisassembledInstruction insn;
    ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, 0, g->bytes, length, &insn);
    int n = snprintf(text, sizeof(text), "%s:", insn.text);
    for (unsigned i = 0; i < length; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, " %02x", g->bytes[i]);
    return text;
}

static int failures;

static void complain(const struct generated *g, unsigned length, const char *what, uint64_t ours,
                     uint64_t theirs)
{
    if (failures++ < 40)
        print_message("# %s: %s is %llx, the processor has %llx\n", text_of(g, length), what,
                      (unsigned long long)ours, (unsigned long long)theirs);
}

static void compare_bytes(const struct generated *g, unsigned length, const char *what,
                          const uint8_t *ours, const uint8_t *theirs, unsigned size)
{
    if (memcmp(ours, theirs, size) == 0)
        return;
    unsigned at = 0;
    while (ours[at] == theirs[at])
        at++;
    at &= ~7u;
    unsigned n = size - at < 8 ? size - at : 8;
    complain(g, length, what, load_le(ours + at, n), load_le(theirs + at, n));
}

static void compare(struct fixture *f, const struct generated *g,
                    const ZydisDecodedInstruction *insn)
{
    struct vcpu *cpu = f->cpu;
    struct fpu_state *fpu = &cpu->fpu;
    unsigned n = insn->length;
    char what[32];
    for (unsigned i = 0; i < 16; i++) {
        if (i != RSP && i != RBX && cpu->gpr[i] != native.gpr[i])
            complain(g, n, "a general register", cpu->gpr[i], native.gpr[i]);
        snprintf(what, sizeof(what), "xmm%u", i);
        compare_bytes(g, n, what, fpu->zmm[i], native.xsave + 160 + i * 16, 16);
        snprintf(what, sizeof(what), "ymm%u", i);
        compare_bytes(g, n, what, fpu->zmm[i] + 16, native.xsave + 576 + i * 16, 16);
        snprintf(what, sizeof(what), "zmm%u", i);
        compare_bytes(g, n, what, fpu->zmm[i] + 32, native.xsave + 1152 + i * 32, 32);
        snprintf(what, sizeof(what), "zmm%u", i + 16);
        compare_bytes(g, n, what, fpu->zmm[i + 16], native.xsave + 1664 + i * 64, 64);
        if (i < 8 && fpu->opmask[i] != load_le64(native.xsave + 1088 + i * 8))
            complain(g, n, "a mask register", fpu->opmask[i],
                     load_le64(native.xsave + 1088 + i * 8));
    }
    uint64_t defined = FLAGS_ARITH;
    if (insn->cpu_flags)
        defined &= ~(uint64_t)insn->cpu_flags->undefined;
    if ((cpu_cc_to_flags(cpu->cc) ^ native.flags) & defined)
        complain(g, n, "flags", cpu_cc_to_flags(cpu->cc), native.flags & FLAGS_ARITH);
    if (fpu->mxcsr != load_le32(native.xsave + 24))
        complain(g, n, "MXCSR", fpu->mxcsr, load_le32(native.xsave + 24));
    if (fpu->fcw != load_le16(native.xsave))
        complain(g, n, "FCW", fpu->fcw, load_le16(native.xsave));
    if (fpu->fsw != load_le16(native.xsave + 2))
        complain(g, n, "FSW", fpu->fsw, load_le16(native.xsave + 2));
    if (fpu_short_tags(fpu) != native.xsave[4])
        complain(g, n, "tags", fpu_short_tags(fpu), native.xsave[4]);
    for (unsigned i = 0; i < 8; i++) {
        snprintf(what, sizeof(what), "st%u", i);
        compare_bytes(g, n, what, fpu->st[(fpu_top(fpu) + i) & 7], native.xsave + 32 + i * 16, 10);
    }
    if (g->image) /* MXCSR_MASK: AMD's has a bit more, for a feature we do not offer */
        f->host[AT + 30] &= (uint8_t)~2;
    compare_bytes(g, n, "memory", f->guest, f->host, PAGE_SIZE);
}

/* Vector of the exception, or -1. */
static int run_interpreted(struct fixture *f, struct op *op)
{
    int sig = sigsetjmp(trapped, 0);
    if (sig)
        return 1000 + sig;
    if (setjmp(f->cpu->fault_exit))
        return cpu_fault(f->cpu)->vector;
    op->fn(f->cpu, op);
    return -1;
}

/* What the state instructions find in memory: an image of another state. */
static void put_image(struct fixture *f)
{
    random_state(f, false);
    load_native(f);
    memset(f->guest, 0, AREA_MAX);
    memcpy(f->guest + AT, native.xsave, XSTATE_AREA_MAX);
    uint8_t *header = f->guest + AT + 512;
    header[0] = rnd() & native.mask;
    if (one_in(2)) {
        header[8] = header[0] | (rnd() & native.mask);
        header[15] = 0x80;
    }
    memcpy(f->host, f->guest, IMAGE_MAX);
}

/* Elements that lie in the area when they are used as indices. */
static void near_indices(uint8_t *zmm, unsigned size)
{
    for (unsigned i = 0; i < 64; i += size)
        store_le(zmm + i, rnd() % 64, size);
}

/* Which of its elements the processor reads at the end of a page follows no rule for this one. */
static bool has_rule(const ZydisDecodedInstruction *insn)
{
    return insn->mnemonic != ZYDIS_MNEMONIC_VPSHUFBITQMB;
}

static bool try(struct fixture *f, const struct generated *g, bool unmask)
{
    struct op op;
    ZydisDecodedInstruction insn;
    random_state(f, unmask);
    if (g->image) {
        put_image(f);
        uint8_t image[IMAGE_MAX];
        memcpy(image, f->guest, IMAGE_MAX);
        random_state(f, false);
        memcpy(f->guest, image, IMAGE_MAX);
        memcpy(f->host, f->guest, PAGE_SIZE);
        f->cpu->gpr[RAX] = rnd() & native.mask;
        f->cpu->gpr[RDX] = 0;
    }
    if (!prepare(f, g, &op, &insn))
        return false;
    bool aligned = g->image || op.extra16 & (VEC_ALIGN16 | VEC_ALIGN32 | VEC_ALIGN64);
    bool astray = !g->image && one_in(aligned ? 8 : 2);
    unsigned offset = AT + (astray ? rnd() & 15 : 0);
    /* Over the end of the page: what a mask leaves out may lie on the next, which is not there. */
    if (!aligned && !g->indexed && f->wide && has_rule(&insn) && one_in(3))
        offset = PAGE_SIZE - rnd() % 65;
    if (g->indexed)
        for (unsigned i = 0; i < 32; i++)
            near_indices(f->cpu->fpu.zmm[i], g->bytes[4] & 1 ? 8 : 4);
    if (g->memory)
        f->cpu->gpr[RBX] = (uintptr_t)f->host + offset;
    load_native(f);
    if (g->memory)
        f->cpu->gpr[RBX] = GUEST_PAGE + offset;
    struct fpu_state before = f->cpu->fpu;
    int sig = run_native(f, g, insn.length);
    int vector = run_interpreted(f, &op);
    if (sig || vector != -1) {
        bool agree = (sig == SIGFPE && vector == VEC_XM) ||
                     (sig == SIGSEGV && vector == VEC_PF && g->memory) ||
                     (sig == SIGSEGV && vector == VEC_GP && aligned && astray);
        if (!agree)
            complain(g, insn.length, "the exception", (unsigned)vector, (unsigned)sig);
        if (agree && memcmp(before.zmm, f->cpu->fpu.zmm, sizeof(before.zmm)))
            complain(g, insn.length, "a register changed by a fault", 0, 0);
        return true;
    }
    compare(f, g, &insn);
    return true;
}

static void run_many(struct fixture *f, void (*generate)(struct generated *), unsigned count,
                     bool unmask)
{
    failures = 0;
    catch_signals();
    unsigned done = 0;
    for (unsigned i = 0; done < count && i < count * 20; i++) {
        struct generated g;
        generate(&g);
        done += try(f, &g, unmask);
    }
    print_message("# %u instructions\n", done);
    assert_int_equal(failures, 0);
    assert_true(done > count / 4);
}

static void vector_masked(void **state)
{
    run_many(*state, generate_vector, 60000, false);
}

static void vector_unmasked(void **state)
{
    run_many(*state, generate_vector, 15000, true);
}

static bool has_avx512(struct fixture *f)
{
    unsigned a, b = 0, c, d;
    bool compared = f->wide && __get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx;
    if (!compared)
        print_message("# this host has no AVX-512 (F, BW, DQ and VL) to compare with, or is not "
                      "Intel's, whose faults under a mask the comparison knows\n");
    return compared;
}

static void evex_masked(void **state)
{
    if (!has_avx512(*state))
        skip();
    run_many(*state, generate_evex, 60000, false);
}

static void evex_unmasked(void **state)
{
    if (!has_avx512(*state))
        skip();
    run_many(*state, generate_evex, 20000, true);
}

static void evex_indexed(void **state)
{
    if (!has_avx512(*state))
        skip();
    run_many(*state, generate_indexed, 4000, false);
}

/* PSHUFD with each immediate and registers of each number: more than the cache's table begins with.
 * What was compiled is found again, and nothing else in its place. */
static void stubs_are_found_again(void **state)
{
    enum { COUNT = 256 * 16 };
    struct hostunit *unit;
    hostunit_fn *stubs = calloc(COUNT, sizeof(*stubs));
    (void)state;
    assert_non_null(stubs);
    assert_int_equal(hostunit_create(&unit, MIB(1), NULL), 0);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < COUNT; i++) {
            unsigned number = round ? COUNT - 1 - i : i;
            struct hostunit_insn normal = {.bytes = {0x66, 0x0f, 0x70},
                                           .length = 5,
                                           .gpr_reg = HOSTUNIT_NO_GPR,
                                           .gpr_rm = HOSTUNIT_NO_GPR};
            normal.bytes[3] = (uint8_t)(0xc0 | (number >> 8 & 7) << 3 | (number >> 11 ? 1 : 2));
            normal.bytes[4] = (uint8_t)number;
            hostunit_fn stub = hostunit_get(unit, &normal);
            assert_non_null(stub);
            assert_ptr_equal(hostunit_get(unit, &normal), stub);
            if (round)
                assert_ptr_equal(stub, stubs[number]);
            stubs[number] = stub;
        }
    for (unsigned i = 1; i < COUNT; i++)
        assert_ptr_not_equal(stubs[i], stubs[i - 1]);
    hostunit_destroy(unit);
    free(stubs);
}

static void x87_masked(void **state)
{
    run_many(*state, generate_x87, 40000, false);
}

static void x87_unmasked(void **state)
{
    run_many(*state, generate_x87, 20000, true);
}

static void state_images(void **state)
{
    run_many(*state, generate_state, 4000, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stubs_are_found_again),
        cmocka_unit_test_setup_teardown(vector_masked, setup, teardown),
        cmocka_unit_test_setup_teardown(vector_unmasked, setup, teardown),
        cmocka_unit_test_setup_teardown(evex_masked, setup, teardown),
        cmocka_unit_test_setup_teardown(evex_unmasked, setup, teardown),
        cmocka_unit_test_setup_teardown(evex_indexed, setup, teardown),
        cmocka_unit_test_setup_teardown(x87_masked, setup, teardown),
        cmocka_unit_test_setup_teardown(x87_unmasked, setup, teardown),
        cmocka_unit_test_setup_teardown(state_images, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
