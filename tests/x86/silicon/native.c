/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The native side. The state is loaded from an area at a fixed low address (so that no register is
 * needed to reach it), the instruction entered by IRET, which takes code and stack segment, flags
 * and stack pointer at once and serialises. After the instruction lies a jump back; control that
 * goes elsewhere meets an INT3 or a fault, and the signal's frame has the state.
 */
#include "case.h"

#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <sys/auxv.h>

#define AREA 0x30000000 /* struct area; the asm below has its offsets */

struct area {
    uint8_t xsave[1024];
    uint64_t gpr[16];                 /* 1024 */
    uint64_t rip, cs, flags, rsp, ss; /* 1152: for IRET */
    uint64_t own_rsp;                 /* 1192 */
    uint64_t back;                    /* 1200: address of native_back */
    uint64_t pad;                     /* 1208 */
    uint8_t far_back[16];             /* 1216: code: jmp *back */
    uint8_t flags_stack[64];          /* 1232 */
    uint16_t sel[8];                  /* 1296: in, by enum segment_register */
    uint16_t sel_out[8];              /* 1312: but for CS */
    uint64_t set_bases;               /* 1328: 64-bit code: FS and GS have these bases */
    uint64_t fs_base, gs_base;        /* 1336 */
    uint64_t fs_out, gs_out;          /* 1352 */
    uint64_t own_fs;                  /* 1368: the C library's */
};

enum { XSAVE_MASK = 7 };

static struct area *area;
static uint8_t *code_alias, *data_alias;
static struct outcome *result;

void native_enter(void);
void native_back(void);
void native_recover(void);
void native_signal(void);
void native_caught(int signo, siginfo_t *info, void *context);

/* The addresses are AREA + the offsets of struct area. */
__asm__(".text\n"
        ".set AREA_AT, 0x30000000\n"
        "native_enter:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp, AREA_AT+1192\n"
        "rdfsbase %rax\n mov %rax, AREA_AT+1368\n"
        "mov AREA_AT+1296, %es\n mov AREA_AT+1302, %ds\n"
        "mov AREA_AT+1304, %fs\n mov AREA_AT+1306, %gs\n"
        "cmpq $0, AREA_AT+1328\n je 1f\n"
        "mov AREA_AT+1336, %rax\n wrfsbase %rax\n"
        "mov AREA_AT+1344, %rax\n wrgsbase %rax\n"
        "1: mov $7, %eax\n xor %edx, %edx\n xrstor64 AREA_AT\n"
        "mov $AREA_AT+1152, %esp\n"
        "mov AREA_AT+1024, %rax\n mov AREA_AT+1032, %rcx\n mov AREA_AT+1040, %rdx\n"
        "mov AREA_AT+1048, %rbx\n mov AREA_AT+1064, %rbp\n mov AREA_AT+1072, %rsi\n"
        "mov AREA_AT+1080, %rdi\n mov AREA_AT+1088, %r8\n mov AREA_AT+1096, %r9\n"
        "mov AREA_AT+1104, %r10\n mov AREA_AT+1112, %r11\n mov AREA_AT+1120, %r12\n"
        "mov AREA_AT+1128, %r13\n mov AREA_AT+1136, %r14\n mov AREA_AT+1144, %r15\n"
        "iretq\n"
        "native_back:\n"
        "mov %rax, AREA_AT+1024\n mov %rcx, AREA_AT+1032\n mov %rdx, AREA_AT+1040\n"
        "mov %rbx, AREA_AT+1048\n mov %rsp, AREA_AT+1056\n mov %rbp, AREA_AT+1064\n"
        "mov %rsi, AREA_AT+1072\n mov %rdi, AREA_AT+1080\n mov %r8, AREA_AT+1088\n"
        "mov %r9, AREA_AT+1096\n mov %r10, AREA_AT+1104\n mov %r11, AREA_AT+1112\n"
        "mov %r12, AREA_AT+1120\n mov %r13, AREA_AT+1128\n mov %r14, AREA_AT+1136\n"
        "mov %r15, AREA_AT+1144\n"
        "mov AREA_AT+1192, %rsp\n"
        "pushfq\n popq AREA_AT+1168\n"
        "pushq $0x202\n popfq\n"
        "call native_segments\n"
        "mov $7, %eax\n xor %edx, %edx\n xsave64 AREA_AT\n"
        "vzeroupper\n fninit\n"
        "movl $0x1f80, AREA_AT+1232\n ldmxcsr AREA_AT+1232\n"
        "native_recover:\n"
        "mov AREA_AT+1192, %rsp\n"
        "mov $0x2b, %eax\n mov %eax, %ss\n mov %eax, %ds\n mov %eax, %es\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
        "ret\n"
        /* The kernel leaves AC as it was, and all segments but CS and SS. */
        "native_signal:\n"
        "pushq $0x202\n popfq\n"
        "call native_segments\n"
        "jmp native_caught\n"
        /* Tells the segments and gives the C library its own again. */
        "native_segments:\n"
        "mov %es, AREA_AT+1312\n mov %ss, AREA_AT+1316\n mov %ds, AREA_AT+1318\n"
        "mov %fs, AREA_AT+1320\n mov %gs, AREA_AT+1322\n"
        "rdfsbase %rax\n mov %rax, AREA_AT+1352\n"
        "rdgsbase %rax\n mov %rax, AREA_AT+1360\n"
        "xor %eax, %eax\n mov %eax, %fs\n mov %eax, %gs\n"
        "mov AREA_AT+1368, %rax\n wrfsbase %rax\n"
        "ret\n");

static void take_unit(struct unit_state *unit, const uint8_t *xsave)
{
    unit->fcw = load_le16(xsave);
    unit->fsw = load_le16(xsave + 2);
    unit->ftw = xsave[4];
    unit->fop = load_le16(xsave + 6);
    unit->fip = load_le64(xsave + 8);
    unit->fdp = load_le64(xsave + 16);
    unit->mxcsr = load_le32(xsave + 24);
    for (unsigned i = 0; i < 8; i++)
        memcpy(unit->st[i], xsave + 32 + i * 16, 10);
    bool upper = xsave[512] & 4;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(unit->ymm[i], xsave + 160 + i * 16, 16);
        if (upper)
            memcpy(unit->ymm[i] + 16, xsave + 576 + i * 16, 16);
        else
            memset(unit->ymm[i] + 16, 0, 16);
    }
}

static void put_unit(const struct unit_state *unit, uint8_t *xsave)
{
    store_le16(xsave, unit->fcw);
    store_le16(xsave + 2, unit->fsw);
    xsave[4] = unit->ftw;
    store_le16(xsave + 6, unit->fop);
    store_le64(xsave + 8, unit->fip);
    store_le64(xsave + 16, unit->fdp);
    store_le32(xsave + 24, unit->mxcsr);
    for (unsigned i = 0; i < 8; i++)
        memcpy(xsave + 32 + i * 16, unit->st[i], 10);
    for (unsigned i = 0; i < 16; i++) {
        memcpy(xsave + 160 + i * 16, unit->ymm[i], 16);
        memcpy(xsave + 576 + i * 16, unit->ymm[i] + 16, 16);
    }
    memset(xsave + 512, 0, 64);
    xsave[512] = XSAVE_MASK;
}

static void take_segments(struct outcome *outcome)
{
    memcpy(outcome->sel, area->sel_out, sizeof(outcome->sel));
    outcome->fs_base = area->fs_out;
    outcome->gs_base = area->gs_out;
}

/* On the signal stack. Leaves by native_recover: a return through the kernel would cost more. */
void native_caught(int signo, siginfo_t *info, void *context)
{
    (void)info;
    const ucontext_t *uc = context;
    const greg_t *regs = uc->uc_mcontext.gregs;
    static const uint8_t order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                      REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                      REG_R12, REG_R13, REG_R14, REG_R15};
    if (!result) {
        dprintf(2, "cpu-fuzz: signal %d at %llx outside of any case\n", signo,
                (unsigned long long)regs[REG_RIP]);
        _exit(1);
    }
    for (unsigned i = 0; i < 16; i++)
        result->gpr[i] = (uint64_t)regs[order[i]];
    result->rip = (uint64_t)regs[REG_RIP];
    result->flags = (uint64_t)regs[REG_EFL];
    result->vector = (int)regs[REG_TRAPNO];
    result->error = (uint32_t)regs[REG_ERR];
    result->cr2 = (uint64_t)regs[REG_CR2];
    take_segments(result);
    result->sel[SEG_CS] = (uint16_t)regs[REG_CSGSFS];
    result->sel[SEG_SS] = (uint16_t)(regs[REG_CSGSFS] >> 48);
    take_unit(&result->unit, (const uint8_t *)uc->uc_mcontext.fpregs);
    __asm__ volatile("jmp native_recover");
}

static uint8_t *map_shared(int fd, uint64_t offset, uint64_t at, size_t size, int prot)
{
    int flags = MAP_SHARED | MAP_POPULATE | (at ? MAP_FIXED : 0);
    return mmap((void *)(uintptr_t)at, size, prot, flags, fd, (off_t)offset);
}

static bool map_sandbox(void)
{
    uint8_t *all = mmap((void *)(uintptr_t)SANDBOX, SANDBOX_SIZE, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
    area = mmap((void *)(uintptr_t)AREA, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    int fd = memfd_create("cpu-fuzz", MFD_CLOEXEC);
    if (all != (void *)(uintptr_t)SANDBOX || area != (void *)(uintptr_t)AREA || fd < 0 ||
        ftruncate(fd, CODE_SIZE_BYTES + DATA_SIZE) != 0)
        return false;
    code_alias = map_shared(fd, 0, 0, CODE_SIZE_BYTES, PROT_READ | PROT_WRITE);
    data_alias = map_shared(fd, CODE_SIZE_BYTES, 0, DATA_SIZE, PROT_READ | PROT_WRITE);
    uint8_t *code = map_shared(fd, 0, CODE, CODE_SIZE_BYTES, PROT_READ | PROT_EXEC);
    uint8_t *data = map_shared(fd, CODE_SIZE_BYTES, DATA, DATA_WRITABLE, PROT_READ | PROT_WRITE);
    uint8_t *rom = map_shared(fd, CODE_SIZE_BYTES + DATA_WRITABLE, DATA + DATA_WRITABLE,
                              DATA_SIZE - DATA_WRITABLE, PROT_READ);
    close(fd);
    return code_alias != MAP_FAILED && data_alias != MAP_FAILED && code != MAP_FAILED &&
           data != MAP_FAILED && rom != MAP_FAILED;
}

static void catch_signals(void)
{
    static uint8_t stack[1 << 16] __attribute__((aligned(64)));
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_flags = SA_NODEFER | SA_ONSTACK | SA_SIGINFO};
    action.sa_sigaction = (void (*)(int, siginfo_t *, void *))native_signal;
    static const int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS};
    for (unsigned i = 0; i < ARRAY_LEN(signals); i++)
        sigaction(signals[i], &action, NULL);
}

/* The segment that Linux has for 32-bit programs. */
static bool has_32bit(void)
{
    unsigned rights = 0;
    __asm__("lar %1, %0" : "+r"(rights) : "r"(USER_CS32) : "cc");
    return (rights & 0x60f800) == 0x40f800; /* present, code, DPL 3, D */
}

/* May user mode write the bases of FS and GS? */
static bool has_fsgsbase(void)
{
    return getauxval(AT_HWCAP2) & 2;
}

bool native_create(const char **why)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_AVX) || !(c & bit_OSXSAVE)) {
        *why = "the comparison wants a host with AVX";
        return false;
    }
    if (!has_fsgsbase() || !has_32bit()) {
        *why = "the comparison wants a kernel that allows FSGSBASE and 32-bit programs";
        return false;
    }
    if (!segments_install()) {
        *why = "the comparison wants a kernel whose modify_ldt grants 16-bit segments";
        return false;
    }
    if (!map_sandbox()) {
        *why = "cannot map the sandbox at its address";
        return false;
    }
    memset(code_alias, 0xcc, CODE_SIZE_BYTES);
    area->back = (uintptr_t)native_back;
    /* jmp *[AREA + 1200] */
    memcpy(area->far_back, "\xff\x24\x25\xb0\x04\x00\x30", 7);
    _Static_assert(offsetof(struct area, back) == 1200, "as the asm has it");
    _Static_assert(offsetof(struct area, far_back) == 1216, "as the asm has it");
    _Static_assert(offsetof(struct area, own_fs) == 1368, "as the asm has it");
    catch_signals();
    return true;
}

uint8_t *native_data(void)
{
    return data_alias;
}

/* The way back, after the instruction. */
static unsigned put_return(uint8_t *at, unsigned bits)
{
    switch (bits) {
    case 64:
        memcpy(at, "\xff\x24\x25\xb0\x04\x00\x30", 7); /* jmp *[AREA + 1200] */
        return 7;
    case 32:
        memcpy(at, "\xea\xc0\x04\x00\x30\x33\x00", 7); /* jmp 0x33:AREA + 1216 */
        return 7;
    default:
        memcpy(at, "\x66\xea\xc0\x04\x00\x30\x33\x00", 8);
        return 8;
    }
}

void native_run(const struct input *input, struct outcome *outcome)
{
    unsigned at = input->rip - CODE, used = input->length;
    uint8_t *code = code_alias + at;
    bool room = at + used + 8 <= segments_code_room(input);
    memcpy(code, input->bytes, used);
    if (room)
        used += put_return(code + used, input->bits);
    put_unit(&input->unit, area->xsave);
    memcpy(area->gpr, input->gpr, sizeof(area->gpr));
    memcpy(area->sel, input->sel, sizeof(input->sel));
    area->set_bases = code64(input);
    area->fs_base = FS_BASE;
    area->gs_base = GS_BASE;
    area->rip = input_ip(input);
    area->cs = input->sel[SEG_CS];
    area->ss = input->sel[SEG_SS];
    area->rsp = input->gpr[RSP];
    area->flags = input->flags;
    outcome->vector = -1;
    outcome->error = 0;
    outcome->cr2 = 0;
    outcome->rip = input_ip(input) + input->length;
    outcome->flags = ~0ull;
    result = outcome;
    __asm__ volatile("" ::: "memory");
    native_enter();
    __asm__ volatile("" ::: "memory");
    result = NULL;
    if (outcome->flags == ~0ull) {
        memcpy(outcome->gpr, area->gpr, sizeof(area->gpr));
        outcome->flags = area->flags;
        take_unit(&outcome->unit, area->xsave);
        take_segments(outcome);
        outcome->sel[SEG_CS] = input->sel[SEG_CS];
    } else if (outcome->vector == VEC_BP) {
        outcome->vector = -1;
        outcome->rip--;
    }
    memset(code, 0xcc, used);
}
