/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Random integer instructions, natively and interpreted: registers, flags, memory and the divide
 * error must agree. The host's processor is the oracle. 64-bit code.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/error.h"
#include "cpu/model.h"
#include "engine/interp/interp.h"

enum {
    CASES = 200000,
    TABLES = 0x20000000, /* guest-physical and linear are one: page tables, code, data */
    CODE = 0x20010000,
    DATA = 0x20011000,
    RAM_SIZE = 0x20000,
};

/* What both sides start from and end with. */
struct context {
    uint64_t gpr[16];
    uint64_t flags;
};

static uint64_t seed = 20261124;

static uint64_t random64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1dull;
}

/* Edge cases more often than chance would bring them. */
static uint64_t random_value(void)
{
    static const uint64_t edges[] = {0,          1,         0x7f,       0x80,       0xff,
                                     0x7fff,     0x8000,    0xffff,     0x7fffffff, 0x80000000,
                                     0xffffffff, INT64_MAX, 1ull << 63, UINT64_MAX};
    uint64_t r = random64();
    return r % 3 == 0   ? edges[(r >> 8) % ARRAY_LEN(edges)]
           : r % 3 == 1 ? random64() & 0xff
                        : random64();
}

/* The native side. */
static struct context *native; /* below 2 GiB, for absolute addressing */
static uint8_t *stub;
static sigjmp_buf trap;

static void on_fault(int signo)
{
    siglongjmp(trap, signo);
}

static uint8_t *emit(uint8_t *at, const void *bytes, size_t n)
{
    memcpy(at, bytes, n);
    return at + n;
}

/* mov r, [abs] (8b) or mov [abs], r (89). */
static uint8_t *emit_move(uint8_t *at, uint8_t opcode, unsigned reg, uint32_t address)
{
    uint8_t bytes[8] = {(uint8_t)(0x48 | (reg >> 3) << 2), opcode, (uint8_t)((reg & 7) << 3 | 4),
                        0x25};
    memcpy(bytes + 4, &address, 4);
    return emit(at, bytes, 8);
}

static void build_stub(const uint8_t *insn, unsigned length)
{
    static const uint8_t save[] = {0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57};
    static const uint8_t restore[] = {0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d,
                                      0x41, 0x5c, 0x5d, 0x5b, 0xfc, 0xc3};
    uint32_t base = (uint32_t)(uintptr_t)native,
             flags = base + (uint32_t)offsetof(struct context, flags);
    uint8_t push[7] = {0xff, 0x34, 0x25}, pop[7] = {0x8f, 0x04, 0x25};
    memcpy(push + 3, &flags, 4);
    memcpy(pop + 3, &flags, 4);
    uint8_t *at = emit(stub, save, sizeof(save));
    at = emit(at, push, sizeof(push));
    at = emit(at, "\x9d", 1);
    for (unsigned r = 0; r < 16; r++)
        if (r != RSP)
            at = emit_move(at, 0x8b, r, base + r * 8);
    at = emit(at, insn, length);
    for (unsigned r = 0; r < 16; r++)
        if (r != RSP)
            at = emit_move(at, 0x89, r, base + r * 8);
    at = emit(at, "\x9c", 1);
    at = emit(at, pop, sizeof(pop));
    emit(at, restore, sizeof(restore));
}

/* Runs it; the signal it died of, or 0. */
static int run_native(void)
{
    int signo = sigsetjmp(trap, 1);
    if (signo == 0)
        ((void (*)(void))(uintptr_t)stub)();
    return signo;
}

/* The interpreted side. */
struct rig {
    struct mem *mem;
    struct ram *ram;
    struct mem_region region;
    struct vcpu_world world;
    struct cpu_model model;
    struct engine *engine;
    struct vcpu *cpu;
};

static void no_lock(void *opaque)
{
    (void)opaque;
}

static void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    struct error err;
    assert_int_equal(mem_create(&rig->mem, &err), 0);
    assert_int_equal(ram_create(&rig->ram, "test", RAM_SIZE, &err), 0);
    rig->region = (struct mem_region){.name = "test",
                                      .kind = MEM_RAM,
                                      .enabled = true,
                                      .base = TABLES,
                                      .size = RAM_SIZE,
                                      .ram = rig->ram};
    mem_add(rig->mem, &rig->region);
    assert_int_equal(cpu_model_create(&rig->model, NULL, &err), 0);
    rig->world =
        (struct vcpu_world){.mem = rig->mem, .a20_mask = ~0ull, .lock = no_lock, .unlock = no_lock};
    assert_int_equal(interp_engine.create(&rig->engine, rig->mem, &err), 0);
    assert_int_equal(vcpu_create(&rig->cpu, 0, &rig->model, &rig->world), 0);
    assert_int_equal(interp_engine.vcpu_attach(rig->engine, rig->cpu, &err), 0);

    /* PML4, PDPT, PD with the 2 MiB page that holds everything. */
    uint64_t entry = (TABLES + 0x1000) | 7;
    mem_write(rig->mem, TABLES, &entry, 8);
    entry = (TABLES + 0x2000) | 7;
    mem_write(rig->mem, TABLES + 0x1000, &entry, 8);
    entry = TABLES | 0x87;
    mem_write(rig->mem, TABLES + 0x2000 + (TABLES >> 21) * 8, &entry, 8);
    struct vcpu *cpu = rig->cpu;
    cpu->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE;
    cpu->cr3 = TABLES;
    cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    cpu->efer = EFER_LMA | EFER_LME | EFER_NXE;
    cpu->seg[SEG_CS] = (struct segment){.selector = 8, .access = 0xa09b, .limit = ~0u};
    for (int i = 0; i < SEG_COUNT; i++)
        if (i != SEG_CS)
            cpu->seg[i] = (struct segment){.selector = 16, .access = 0xc093, .limit = ~0u};
    cpu_update_mode(cpu);
    tlb_flush(cpu);
}

static void rig_fini(struct rig *rig)
{
    interp_engine.vcpu_detach(rig->engine, rig->cpu);
    vcpu_destroy(rig->cpu);
    interp_engine.destroy(rig->engine);
    mem_remove(rig->mem, &rig->region);
    ram_destroy(rig->ram);
    mem_destroy(rig->mem);
}

/* Runs the one instruction (a HLT follows it); -1 or the exception's vector. There is no IDT, so an
 * exception ends as a triple fault with the first one recorded. */
static int run_interpreted(struct rig *rig, const uint8_t *insn, unsigned length,
                           struct context *context)
{
    struct vcpu *cpu = rig->cpu;
    uint8_t code[16];
    memcpy(code, insn, length);
    code[length] = 0xf4;
    assert_true(mem_write(rig->mem, CODE, code, length + 1));
    for (unsigned r = 0; r < 16; r++)
        if (r != RSP)
            cpu->gpr[r] = context->gpr[r];
    cpu_set_rflags(cpu, context->flags);
    cpu->rip = CODE;
    cpu->halted = false;
    cpu->idtr.limit = 0;
    enum vcpu_exit why = interp_engine.vcpu_run(rig->engine, cpu);
    if (why == VCPU_EXIT_TRIPLE_FAULT)
        return -2;
    assert_int_equal(why, VCPU_EXIT_HALTED);
    for (unsigned r = 0; r < 16; r++)
        if (r != RSP)
            context->gpr[r] = cpu->gpr[r];
    context->flags = cpu_rflags(cpu);
    return -1;
}

/* One random instruction that stays in its place: length, or 0 to try again. */
static unsigned generate(uint8_t *bytes, const ZydisDecoder *decoder, ZydisDecodedInstruction *insn)
{
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    unsigned n = 0;
    uint64_t r = random64();
    if (r % 4 == 0)
        bytes[n++] = 0x66;
    if ((r >> 8) % 8 == 0)
        bytes[n++] = (r >> 12) & 1 ? 0xf3 : 0xf2;
    bool vex = (r >> 16) % 8 == 0;
    if (vex) {
        n = 0;
        bytes[n++] = 0xc4;
        bytes[n++] = (uint8_t)((random64() & 0x80) | 0x60 | (random64() % 2 ? 2 : 3));
        bytes[n++] = (uint8_t)(random64() & 0xfb);
    } else {
        if (random64() % 2)
            bytes[n++] = (uint8_t)(0x40 | random64() % 16);
        unsigned map = random64() % 4;
        if (map >= 1)
            bytes[n++] = 0x0f;
        if (map == 3)
            bytes[n++] = 0x38;
    }
    for (unsigned i = n; i < 15; i++)
        bytes[i] = (uint8_t)random_value();
    bytes[n] = (uint8_t)random64();
    if ((bytes[n + 1] & 0xc0) != 0xc0)
        bytes[n + 1] = (uint8_t)(0x47 | (bytes[n + 1] & 0x38)); /* [rdi + disp8] */
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, bytes, 15, insn, operands)))
        return 0;
    switch (insn->meta.category) {
    case ZYDIS_CATEGORY_BINARY:
    case ZYDIS_CATEGORY_LOGICAL:
    case ZYDIS_CATEGORY_SHIFT:
    case ZYDIS_CATEGORY_ROTATE:
    case ZYDIS_CATEGORY_BITBYTE:
    case ZYDIS_CATEGORY_DATAXFER:
    case ZYDIS_CATEGORY_CMOV:
    case ZYDIS_CATEGORY_SETCC:
    case ZYDIS_CATEGORY_CONVERT:
        if (insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
            insn->meta.category == ZYDIS_CATEGORY_CONVERT)
            return 0;
        break;
    case ZYDIS_CATEGORY_FLAGOP:
    case ZYDIS_CATEGORY_SEMAPHORE:
    case ZYDIS_CATEGORY_BMI1:
    case ZYDIS_CATEGORY_BMI2:
    case ZYDIS_CATEGORY_ADOX_ADCX:
    case ZYDIS_CATEGORY_LZCNT:
    case ZYDIS_CATEGORY_MISC:
        break;
    case ZYDIS_CATEGORY_SSE:
        if (insn->mnemonic != ZYDIS_MNEMONIC_POPCNT && insn->mnemonic != ZYDIS_MNEMONIC_CRC32)
            return 0; /* hostunit.c has the others */
        break;
    default:
        return 0;
    }
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_CLI:
    case ZYDIS_MNEMONIC_STI:
    case ZYDIS_MNEMONIC_LSL:
    case ZYDIS_MNEMONIC_LAR:
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_ENTER:
    case ZYDIS_MNEMONIC_LEAVE:
    case ZYDIS_MNEMONIC_PAUSE:
    case ZYDIS_MNEMONIC_MONITOR:
    case ZYDIS_MNEMONIC_MWAIT:
    case ZYDIS_MNEMONIC_MONITORX:
    case ZYDIS_MNEMONIC_MWAITX:
    case ZYDIS_MNEMONIC_RDPID:
    case ZYDIS_MNEMONIC_CLZERO:
    case ZYDIS_MNEMONIC_SERIALIZE:
    case ZYDIS_MNEMONIC_XTEST: /* hosts with TSX have it, the guest does not */
        return 0;
    default:
        break;
    }
    if (insn->raw.modrm.mod != 3 && insn->attributes & ZYDIS_ATTRIB_HAS_MODRM &&
        insn->meta.category == ZYDIS_CATEGORY_BITBYTE)
        return 0; /* BT with a register index leaves the data page */
    for (unsigned i = 0; i < insn->operand_count; i++) {
        const ZydisDecodedOperand *operand = &operands[i];
        if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            ZydisRegisterClass class = ZydisRegisterGetClass(operand->reg.value);
            bool gpr = class == ZYDIS_REGCLASS_GPR8 || class == ZYDIS_REGCLASS_GPR16 ||
                       class == ZYDIS_REGCLASS_GPR32 || class == ZYDIS_REGCLASS_GPR64;
            if (class != ZYDIS_REGCLASS_FLAGS &&
                (!gpr || ZydisRegisterGetId(operand->reg.value) == RSP))
                if (!(gpr && class == ZYDIS_REGCLASS_GPR8))
                    return 0;
            if (operand->reg.value == ZYDIS_REGISTER_SPL)
                return 0;
        } else if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            if (operand->mem.segment == ZYDIS_REGISTER_FS ||
                operand->mem.segment == ZYDIS_REGISTER_GS ||
                operand->mem.base != ZYDIS_REGISTER_RDI ||
                operand->mem.index != ZYDIS_REGISTER_NONE || operand->mem.disp.value < -128 ||
                operand->mem.disp.value > 127)
                return 0;
        } else if (operand->type == ZYDIS_OPERAND_TYPE_POINTER) {
            return 0;
        }
    }
    return insn->length;
}

/* Flags the manual leaves undefined and that this interpreter does not take from the host. */
static uint64_t undefined_flags(const ZydisDecodedInstruction *insn)
{
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV:
        return FLAGS_ARITH;
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
        /* The interpreter rotates by CL: Intel's set OF then and keep it for C0 and C1. */
        return insn->opcode < 0xd0 ? FLAG_OF : 0;
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
        return FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF;
    default:
        break;
    }
    if (insn->meta.category == ZYDIS_CATEGORY_BMI1 || insn->meta.category == ZYDIS_CATEGORY_BMI2)
        return FLAG_AF | FLAG_PF | (insn->mnemonic == ZYDIS_MNEMONIC_BEXTR ? FLAG_SF : 0);
    return 0;
}

static void describe(const char *what, const uint8_t *bytes, unsigned length,
                     const struct context *before, const struct context *a, const struct context *b)
{
    print_error("%s:", what);
    for (unsigned i = 0; i < length; i++)
        print_error(" %02x", bytes[i]);
    ZydisDisassembledInstruction text;
    if (ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, 0, bytes, length, &text)))
        print_error("  %s", text.text);
    print_error("\n");
    for (unsigned r = 0; r < 16; r++)
        if (a->gpr[r] != b->gpr[r])
            print_error("  r%u before %016llx native %016llx interpreted %016llx\n", r,
                        (unsigned long long)before->gpr[r], (unsigned long long)a->gpr[r],
                        (unsigned long long)b->gpr[r]);
    if (a->flags != b->flags)
        print_error("  flags before %llx native %llx interpreted %llx\n",
                    (unsigned long long)before->flags, (unsigned long long)a->flags,
                    (unsigned long long)b->flags);
    print_error("  rax %llx rcx %llx rdx %llx rbx %llx\n", (unsigned long long)before->gpr[0],
                (unsigned long long)before->gpr[1], (unsigned long long)before->gpr[2],
                (unsigned long long)before->gpr[3]);
}

static void test_random_integer(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    native =
        mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    stub = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *data = mmap((void *)(uintptr_t)DATA, 4096, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_true(native != MAP_FAILED && stub != MAP_FAILED && data != MAP_FAILED);
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    sigaction(SIGFPE, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    unsigned done = 0, traps = 0, wrong = 0;
    while (done < CASES) {
        uint8_t bytes[16];
        ZydisDecodedInstruction insn;
        unsigned length = generate(bytes, &decoder, &insn);
        if (!length)
            continue;
        struct context before;
        for (unsigned r = 0; r < 16; r++)
            before.gpr[r] = random_value();
        before.gpr[RDI] = DATA + 0x800;
        before.gpr[RSP] = 0;
        before.flags = (random64() & FLAGS_ARITH) | 0x202;
        *native = before;
        uint64_t memory[512];
        for (unsigned i = 0; i < 64; i++)
            memory[i] = random_value();
        memcpy(data + 0x700, memory, 512);
        assert_true(mem_write(rig.mem, DATA + 0x700, memory, 512));
        build_stub(bytes, length);
        struct context mine = before;
        int signo = run_native();
        if (signo == SIGILL)
            continue; /* the host does not have it */
        int vector = run_interpreted(&rig, bytes, length, &mine);
        done++;
        traps += signo != 0;
        uint8_t after[512];
        mem_read(rig.mem, DATA + 0x700, after, 512);
        uint64_t ignore = undefined_flags(&insn);
        native->flags &= ~ignore;
        mine.flags &= ~ignore;
        bool same = signo ? vector == -2
                          : vector == -1 && memcmp(native, &mine, sizeof(mine)) == 0 &&
                                memcmp(after, data + 0x700, 512) == 0;
        if (!same && wrong++ < 12) {
            describe(signo          ? "native trap"
                     : vector == -2 ? "interpreted trap"
                                    : "differs",
                     bytes, length, &before, native, &mine);
        }
    }
    print_message("%u cases, %u of them traps, %u wrong\n", done, traps, wrong);
    assert_int_equal(wrong, 0);
    munmap(native, 8192);
    munmap(stub, 4096);
    munmap(data, 4096);
    rig_fini(&rig);
}

/* Encodings that are NOPs where the extension is missing: CET (Xen runs RDSSP without asking), MPX,
 * CLDEMOTE. */
static void test_nops(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[8];
        unsigned length;
    } cases[] = {
        {{0xf3, 0x48, 0x0f, 0x1e, 0xc9}, 5}, /* rdsspq rcx */
        {{0xf3, 0x0f, 0x1e, 0xc9}, 4},       /* rdsspd ecx */
        {{0xf3, 0x0f, 0x1e, 0xfa}, 4},       /* endbr64 */
        {{0xf3, 0x0f, 0x1e, 0xfb}, 4},       /* endbr32 */
        {{0xf3, 0x0f, 0x1b, 0xc1}, 4},       /* bndmk's place */
        {{0x0f, 0x1c, 0x07}, 3},             /* cldemote [rdi] */
        {{0x0f, 0x1f, 0x44, 0x00, 0x00}, 5}, /* nop [rax + rax] */
    };
    struct rig rig;
    rig_init(&rig);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct context before, after;
        for (unsigned r = 0; r < 16; r++)
            before.gpr[r] = random64();
        before.gpr[RSP] = 0;
        before.flags = 0x202;
        after = before;
        assert_int_equal(run_interpreted(&rig, cases[i].bytes, cases[i].length, &after), -1);
        assert_memory_equal(&before, &after, sizeof(before));
    }
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_integer),
                                       cmocka_unit_test(test_nops)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
