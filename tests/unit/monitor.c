/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * monitor/: commands by their text, and the way of bytes from a stream to them. The VM and the
 * stream are this file's: a machine of RAM, a port and keys that are noted, one processor that
 * stands.
 */
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "chardev/chardev.h"
#include "config/config.h"
#include "cpu/model.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "vm/vm.h"

enum { RAM_SIZE = 2 * 1024 * 1024 };

struct chardev {
    const struct chardev_frontend *frontend;
    char written[1 << 20];
    size_t count;
};

struct fixture {
    struct vm vm;
    struct config config;
    struct cpu_model model;
    struct vcpu *vcpus[1];
    struct machine machine;
    struct keyboard_sink keyboard;
    struct pointer_sink pointer;
    struct pio_range port;
    struct mem_region region;
    struct hmp hmp;
    struct chardev chardev;
    struct monitor *monitor;
    char said[64];        /* by the fake VM: which function was called */
    char events[4096];    /* of keyboard and mouse */
    char answer[1 << 20]; /* of the last command */
    unsigned frozen, freezes;
    char folder[64];
};

static struct fixture *fixture;

/* What the monitor asks of the VM. */

void vm_freeze(struct vm *vm)
{
    assert_ptr_equal(vm, &fixture->vm);
    fixture->frozen++;
    fixture->freezes++;
}

void vm_thaw(struct vm *vm)
{
    (void)vm;
    assert_true(fixture->frozen > 0);
    fixture->frozen--;
}

void vm_stop(struct vm *vm)
{
    vm->state = VM_PAUSED;
}

void vm_cont(struct vm *vm)
{
    vm->state = VM_RUNNING;
}

void vm_reset(struct vm *vm)
{
    (void)vm;
    strcpy(fixture->said, "reset");
}

void vm_power_button(struct vm *vm)
{
    (void)vm;
    strcpy(fixture->said, "power button");
}

void vm_quit(struct vm *vm, int exit_code)
{
    vm->exit_code = exit_code;
    strcpy(fixture->said, "quit");
}

const char *vm_state_name(enum vm_state state)
{
    static const char *const names[] = {"paused", "running", "shutdown", "internal-error"};
    return names[state];
}

void vm_each_chardev(struct vm *vm, void (*fn)(void *opaque, struct chardev *chardev), void *opaque)
{
    (void)vm;
    fn(opaque, &fixture->chardev);
}

/* The stream. */

int chardev_attach(struct chardev *chardev, const struct chardev_frontend *frontend)
{
    chardev->frontend = frontend;
    return 0;
}

void chardev_write(struct chardev *chardev, int handle, const void *bytes, size_t length)
{
    assert_int_equal(handle, 0);
    if (length > sizeof(chardev->written) - 1 - chardev->count)
        length = sizeof(chardev->written) - 1 - chardev->count;
    memcpy(chardev->written + chardev->count, bytes, length);
    chardev->count += length;
    chardev->written[chardev->count] = 0;
}

const char *chardev_label(const struct chardev *chardev)
{
    (void)chardev;
    return "mon0";
}

const char *chardev_filename(const struct chardev *chardev)
{
    (void)chardev;
    return "pty:/dev/pts/3";
}

/* The machine. */

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    size_t length = strlen(fixture->events);
    va_list args;
    va_start(args, format);
    vsnprintf(fixture->events + length, sizeof(fixture->events) - length, format, args);
    va_end(args);
}

static void note_key(void *opaque, unsigned code, bool down)
{
    (void)opaque;
    note("%s%s ", down ? "+" : "-", input_key_name(code));
}

static void note_move(void *opaque, int dx, int dy, int dz)
{
    (void)opaque;
    note("%d,%d,%d ", dx, dy, dz);
}

static void note_buttons(void *opaque, unsigned mask)
{
    (void)opaque;
    note("b%u ", mask);
}

static void draw(void *opaque, struct surface *surface)
{
    (void)opaque;
    assert_int_equal(surface_resize(surface, 4, 2), 0);
    surface->pixels[0] = 0x112233;
}

static char *irqs(struct machine *machine)
{
    (void)machine;
    return strdup("pic0: all quiet\n");
}

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque;
    (void)offset;
    (void)size;
    return 0x55;
}

static const struct io_ops port_ops = {.read = port_read};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    fixture = f;
    *state = f;
    struct vm *vm = &f->vm;
    timers_init(&vm->timers, true);
    assert_int_equal(mem_create(&vm->mem, NULL), 0);
    assert_int_equal(pio_create(&vm->pio, NULL), 0);
    assert_int_equal(ram_create(&vm->ram, "pc.ram", RAM_SIZE, NULL), 0);
    f->region = (struct mem_region){
        .name = "low", .kind = MEM_RAM, .enabled = true, .size = RAM_SIZE, .ram = vm->ram};
    mem_add(vm->mem, &f->region);
    f->port = (struct pio_range){"beeper", 0x61, 2, &port_ops, f};
    assert_int_equal(pio_add(vm->pio, &f->port), 0);
    assert_int_equal(cpu_model_create(&f->model, NULL, NULL), 0);
    vm->world.mem = vm->mem;
    vm->world.a20_mask = ~0ull;
    assert_int_equal(vcpu_create(&f->vcpus[0], 0, &f->model, &vm->world), 0);
    vm->vcpus = f->vcpus;
    vm->vcpu_count = 1;
    f->keyboard = (struct keyboard_sink){note_key, f};
    f->pointer = (struct pointer_sink){note_move, note_buttons, f};
    f->machine = (struct machine){
        .input = {&f->keyboard, &f->pointer}, .display = {draw, f}, .describe_irqs = irqs};
    vm->machine = &f->machine;
    static char name[] = "box";
    f->config.name = name;
    vm->config = &f->config;
    vm->state = VM_RUNNING;
    strcpy(f->folder, "/tmp/trapeze-monitor-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    hmp_init(&f->hmp, vm);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    monitor_destroy(f->monitor);
    hmp_fini(&f->hmp);
    vcpu_destroy(f->vcpus[0]);
    pio_remove(f->vm.pio, &f->port);
    pio_destroy(f->vm.pio);
    mem_destroy(f->vm.mem);
    ram_destroy(f->vm.ram);
    timers_fini(&f->vm.timers);
    rmdir(f->folder);
    free(f);
    return 0;
}

/* What a line is answered with. */
static const char *ask(struct fixture *f, const char *line)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    hmp_execute(&f->hmp, line, out);
    fclose(out);
    assert_true(size < sizeof(f->answer));
    memcpy(f->answer, text, size + 1);
    free(text);
    assert_int_equal(f->frozen, 0);
    return f->answer;
}

#define ASSERT_ANSWER(f, line, expected) assert_string_equal(ask(f, line), expected)

static void assert_holds(struct fixture *f, const char *line, const char *part)
{
    if (!strstr(ask(f, line), part))
        fail_msg("'%s' is answered without '%s': %s", line, part, f->answer);
}

static void put(struct fixture *f, gpa_t gpa, const void *bytes, size_t length)
{
    assert_true(mem_write(f->vm.mem, gpa, bytes, length));
}

/* Running and ending */

static void life(void **state)
{
    struct fixture *f = *state;
    ASSERT_ANSWER(f, "info status", "VM status: running\n");
    ASSERT_ANSWER(f, "stop", "");
    ASSERT_ANSWER(f, "  info \t status  ", "VM status: paused\n");
    ASSERT_ANSWER(f, "c", "");
    ASSERT_ANSWER(f, "info status", "VM status: running\n");
    ASSERT_ANSWER(f, "s", "");
    ASSERT_ANSWER(f, "cont", "");
    ASSERT_ANSWER(f, "system_reset", "");
    assert_string_equal(f->said, "reset");
    ASSERT_ANSWER(f, "system_powerdown", "");
    assert_string_equal(f->said, "power button");
    f->vm.state = VM_SHUTDOWN;
    ASSERT_ANSWER(f, "info status", "VM status: paused (shutdown)\n");
    ASSERT_ANSWER(f, "cont", "Error: Resetting the Virtual Machine is required\n");
    assert_int_equal(f->vm.state, VM_SHUTDOWN);
    f->vm.state = VM_ERROR;
    ASSERT_ANSWER(f, "info status", "VM status: paused (internal-error)\n");
    assert_holds(f, "c", "Error: ");
    assert_false(f->hmp.quit);
    ASSERT_ANSWER(f, "q", "");
    assert_string_equal(f->said, "quit");
    assert_true(f->hmp.quit);
}

static void small_infos(void **state)
{
    struct fixture *f = *state;
    ASSERT_ANSWER(f, "info version", TRAPEZE_VERSION "\n");
    ASSERT_ANSWER(f, "info name", "box\n");
    f->config.name = NULL;
    ASSERT_ANSWER(f, "info name", "");
    ASSERT_ANSWER(f, "info chardev", "mon0: filename=pty:/dev/pts/3\n");
    ASSERT_ANSWER(f, "info pic", "pic0: all quiet\n");
    f->machine.describe_irqs = NULL;
    assert_holds(f, "info pic", "Error: ");
    assert_holds(f, "info mtree", "0000000000000061-0000000000000062 (prio 0, i/o): beeper\n");
    assert_holds(f, "info mtree", "    0000000000000000-00000000001fffff (prio 0, ram): low\n");
    assert_holds(f, "info mtree -f", "    0000000000000000-00000000001fffff (prio 0, ram): low\n");
    assert_holds(f, "info", "info registers [-a|vcpu] -- ");
}

static void registers(void **state)
{
    struct fixture *f = *state;
    static const char reset[] =
        "\nCPU#0\n"
        "EAX=00000000 EBX=00000000 ECX=00000000 EDX=%08x\n"
        "ESI=00000000 EDI=00000000 EBP=00000000 ESP=00000000\n"
        "EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0\n"
        "ES =0000 00000000 0000ffff 00009300\n"
        "CS =f000 ffff0000 0000ffff 00009b00\n"
        "SS =0000 00000000 0000ffff 00009300\n"
        "DS =0000 00000000 0000ffff 00009300\n"
        "FS =0000 00000000 0000ffff 00009300\n"
        "GS =0000 00000000 0000ffff 00009300\n"
        "LDT=0000 00000000 0000ffff 00008200\n"
        "TR =0000 00000000 0000ffff 00008b00\n"
        "GDT=     00000000 0000ffff\n"
        "IDT=     00000000 0000ffff\n"
        "CR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000\n"
        "DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000000000 \n"
        "DR6=00000000ffff0ff0 DR7=0000000000000400\n"
        "EFER=0000000000000000\n"
        "FCW=0040 FSW=0000 [ST=0] FTW=ff MXCSR=00001f80\n"
        "FPR0=0000000000000000 0000 FPR1=0000000000000000 0000\n";
    char expected[2048];
    snprintf(expected, sizeof(expected), reset, (unsigned)f->vcpus[0]->gpr[RDX]);
    assert_memory_equal(ask(f, "info registers"), expected, strlen(expected));
    assert_int_equal(f->freezes, 1);
    assert_holds(f, "info registers -a", "CPU#0\nEAX=");
    assert_holds(f, "info registers 0", "CPU#0\nEAX=");
    assert_holds(f, "info registers 1", "CPU#1 not available");
    assert_holds(f, "info registers -b", "registers: unsupported option -b\n");
    assert_holds(f, "info registers -1", "unsupported option");

    /* 64 bits. */
    struct vcpu *cpu = f->vcpus[0];
    cpu->cr0 |= CR0_PE;
    cpu->efer = EFER_LME | EFER_LMA;
    cpu->seg[SEG_CS].access = SEG_P | SEG_S | SEG_L | SEG_G | 0xb;
    cpu->seg[SEG_DS].access = SEG_P | SEG_S | SEG_DB | SEG_G | 0x3 | 3 << 5;
    cpu->seg[SEG_TR].access = SEG_P | 9;
    cpu->seg[SEG_ES].access = SEG_UNUSABLE;
    cpu->gpr[R15] = 0x1122334455667788;
    cpu->rip = 0xffffffff81000000;
    cpu_set_rflags(cpu, FLAG_CF | FLAG_ZF | FLAG_IF | FLAG_OF | FLAG_DF);
    store_le64(cpu->fpu.zmm[15] + 8, 0xabcd);
    cpu_update_mode(cpu);
    ask(f, "info registers");
    static const char *const parts[] = {
        "R15=1122334455667788\n",
        "RIP=ffffffff81000000 RFL=00000e43 [DO-Z--C] CPL=0 ",
        "CS =f000 00000000ffff0000 0000ffff 00a09b00 DPL=0 CS64 [-RA]\n",
        "DS =0000 0000000000000000 0000ffff 00c0f300 DPL=3 DS   [-WA]\n",
        "TR =0000 0000000000000000 0000ffff 00008900 DPL=0 TSS64-avl\n",
        "ES =0000 0000000000000000 0000ffff 00000000\n",
        "XMM14=0000000000000000 0000000000000000 XMM15=000000000000abcd 0000000000000000\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!strstr(f->answer, parts[i]))
            fail_msg("no '%s' in %s", parts[i], f->answer);
    cpu->fpu.xcr0 |= XSTATE_SSE | XSTATE_AVX;
    assert_holds(f, "info registers",
                 "\nYMM15=0000000000000000 0000000000000000 000000000000abcd 0000000000000000\n");
}

/* Memory */

static void dumps(void **state)
{
    struct fixture *f = *state;
    static const uint8_t bytes[] = {0xea, 0x5b, 0xe0, 0x00, 0xf0, 0x30, 0x36, 0x2f, 0x32, 0x33,
                                    0x2f, 0x39, 0x39, 0x00, 0xfc, 0x00, 0x27, 0x5c, 0x0a, 0x0d};
    put(f, 0xffff0, bytes, sizeof(bytes));
    /* As QEMU 7.2 answers. */
    ASSERT_ANSWER(f, "xp 0xffff0", "00000000000ffff0: 0x00e05bea\n");
    ASSERT_ANSWER(f, "xp/20xb 0xffff0",
                  "00000000000ffff0: 0xea 0x5b 0xe0 0x00 0xf0 0x30 0x36 0x2f\n"
                  "00000000000ffff8: 0x32 0x33 0x2f 0x39 0x39 0x00 0xfc 0x00\n"
                  "0000000000100000: 0x27 0x5c 0x0a 0x0d\n");
    ASSERT_ANSWER(f, "xp 0xffff0", "00000000000ffff0: 0xea\n"); /* the format stays */
    ASSERT_ANSWER(f, "x/20cb 0xffff0",
                  "00000000000ffff0: '\\xea' '[' '\\xe0' '\\x00' '\\xf0' '0' '6' '/'\n"
                  "00000000000ffff8: '2' '3' '/' '9' '9' '\\x00' '\\xfc' '\\x00'\n"
                  "0000000000100000: '\\'' '\\\\' '\\n' '\\r'\n");
    ASSERT_ANSWER(f, "x /4dh 0xffff0", "00000000000ffff0: 23530   224 12528 12086\n");
    ASSERT_ANSWER(f, "x/4oh 0xffff0", "00000000000ffff0: 055752   0340 030360 027466\n");
    ASSERT_ANSWER(f, "x/2ow 0xffff0", "00000000000ffff0:   070055752 05715430360\n");
    ASSERT_ANSWER(f, "x/2og 0xffff0",
                  "00000000000ffff0: 0274661417000070055752   03740003447113631462\n");
    ASSERT_ANSWER(f, "x/1ug 0xffff0", "00000000000ffff0:  3401960375889976298\n");
    ASSERT_ANSWER(f, "x/4db 0xffff0", "00000000000ffff0: 234  91 224   0\n");
    ASSERT_ANSWER(f, "x/2dw 0xffff0", "00000000000ffff0:   14703594  792080624\n");
    ASSERT_ANSWER(f, "x/2cw 0xffff0",
                  "00000000000ffff0: '\\xea' '[' '\\xe0' '\\x00' '\\xf0' '0' '6' '/'\n");
    ASSERT_ANSWER(f, "x/0xw 0", "");
    ASSERT_ANSWER(f, "x/2xw (0xffff0)+ 4 ", "00000000000ffff4: 0x2f3630f0 0x392f3332\n");
    f->vcpus[0]->rip = 0xffff0 - 0xffff0000ull;
    ASSERT_ANSWER(f, "x/xb $pc", "00000000000ffff0: 0xea\n");
    assert_int_equal(f->freezes > 10, true);
}

static void dump_errors(void **state)
{
    struct fixture *f = *state;
    ASSERT_ANSWER(f, "xp/4xw 0x80000000", "0000000080000000: Cannot access memory\n");
    ASSERT_ANSWER(f, "x/4xw 0x80000000", "0000000080000000: Cannot access memory\n");
    ASSERT_ANSWER(f, "xp/8xw 0x1ffff0",
                  "00000000001ffff0: 0x00000000 0x00000000 0x00000000 0x00000000\n"
                  "0000000000200000: Cannot access memory\n");
    ASSERT_ANSWER(f, "x 0x100000000", "0000000100000000: Cannot access memory\n");
    ASSERT_ANSWER(f, "xp/4xg -8", "fffffffffffffff8: Cannot access memory\n");
    ASSERT_ANSWER(f, "x/4xw",
                  "unexpected end of expression\nTry \"help x\" for more information\n");
    ASSERT_ANSWER(f, "x", "unexpected end of expression\nTry \"help x\" for more information\n");
    assert_holds(f, "x/2s 0", "invalid char in format: 's'\n");
    assert_holds(f, "x/-3xw 0", "invalid char in format: '-'\n");
    assert_holds(f, "xp 0 0", "extraneous characters");
    assert_holds(f, "xp/65537xb 0", "count too large");
    assert_holds(f, "xp/99999999999999999999999999xg 0", "count too large");
    assert_holds(f, "xp/18446744073709551617xg 0", "count too large");
    assert_holds(f, "xp/5000i 0", "count too large");
    assert_int_equal(strlen(ask(f, "xp/65536xb 0")), 8192 * (18 + 8 * 5));
    assert_true(strlen(ask(f, "xp/4096i 0")) < sizeof(f->answer));
}

static void disassembly(void **state)
{
    struct fixture *f = *state;
    struct vcpu *cpu = f->vcpus[0];
    static const uint8_t bytes[] = {0xee, 0xc3, 0x8b, 0x0d, 0x6c, 0x04, 0x00, 0x00, 0x48, 0xb8,
                                    1,    2,    3,    4,    5,    6,    7,    8,    0x0f, 0x04};
    put(f, 0xeaba3, bytes, sizeof(bytes));
    cpu->seg[SEG_CS].access |= SEG_DB;
    cpu_update_mode(cpu);
    ASSERT_ANSWER(f, "xp/3i 0xeaba3",
                  "0x000eaba3:  ee                       out      %al, %dx\n"
                  "0x000eaba4:  c3                       ret\n"
                  "0x000eaba5:  8b 0d 6c 04 00 00        mov      0x46c, %ecx\n");
    cpu->efer = EFER_LME | EFER_LMA;
    cpu->seg[SEG_CS].access = (cpu->seg[SEG_CS].access & ~(unsigned)SEG_DB) | SEG_L;
    cpu_update_mode(cpu);
    assert_string_equal(ask(f, "xp/2i 0xeabab"),
                        "0x000eabab:  48 b8 01 02 03 04 05 06  mov      $0x807060504030201, %rax\n"
                        "0x000eabb3:  07 08\n"
                        "0x000eabb5:  0f                       .byte    0x0f\n");
    /* The last instruction before memory ends. */
    put(f, RAM_SIZE - 2, bytes, 2);
    assert_holds(f, "xp/3i 0x1ffffe", "0x00200000: Cannot access memory\n");
    assert_holds(f, "xp/i 0x1fffff", "ret");
}

static void printing(void **state)
{
    struct fixture *f = *state;
    ASSERT_ANSWER(f, "p 0", "0\n");
    ASSERT_ANSWER(f, "p 1+2*3", "0x7\n");
    ASSERT_ANSWER(f, "print/d -1", "-1\n");
    ASSERT_ANSWER(f, "p -1", "-1\n");
    ASSERT_ANSWER(f, "p/u -1", "18446744073709551615\n");
    ASSERT_ANSWER(f, "p/o 64", "0100\n");
    ASSERT_ANSWER(f, "p/c 65", "'A'\n");
    ASSERT_ANSWER(f, "p/x $cs", "0xf000\n");
    ASSERT_ANSWER(f, "p/i 5", "5\n");
    ASSERT_ANSWER(f, "p $foo", "unknown register\nTry \"help p\" for more information\n");
    ASSERT_ANSWER(f, "p 1 2",
                  "print: extraneous characters at the end of line\n"
                  "Try \"help p\" for more information\n");
}

static void read_back(struct fixture *f, const char *name, char *bytes, size_t length)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", f->folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, length, file), length);
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    unlink(path);
}

static void ask_file(struct fixture *f, const char *before, const char *name, const char *behind)
{
    char line[256];
    snprintf(line, sizeof(line), "%s\"%s/%s\"%s", before, f->folder, name, behind);
    ask(f, line);
}

static void saving(void **state)
{
    struct fixture *f = *state;
    put(f, 0x1000, "hello, world", 12);
    char bytes[16], big[RAM_SIZE];
    ask_file(f, "pmemsave 0x1000 12 ", "a file", "");
    assert_string_equal(f->answer, "");
    read_back(f, "a file", bytes, 12);
    assert_memory_equal(bytes, "hello, world", 12);
    ask_file(f, "memsave 0x1000 5 ", "v", "");
    assert_string_equal(f->answer, "");
    read_back(f, "v", bytes, 5);
    assert_memory_equal(bytes, "hello", 5);
    ask_file(f, "pmemsave 0 0x200000 ", "all", "");
    read_back(f, "all", big, sizeof(big));
    assert_memory_equal(big + 0x1000, "hello", 5);
    ask_file(f, "pmemsave 0x1ffffe 4 ", "edge", "");
    read_back(f, "edge", bytes, 4);
    assert_memory_equal(bytes, "\0\0\xff\xff", 4);
    ask_file(f, "pmemsave 0 0 ", "none", "");
    read_back(f, "none", bytes, 0);

    /* Failures leave nothing behind: teardown removes the folder only if it is empty. */
    ask_file(f, "memsave 0x1ff000 0x2000 ", "bad", "");
    assert_string_equal(f->answer, "Error: Invalid addr 0x00000000001ff000/size 8192 specified\n");
    ask_file(f, "pmemsave 0 0xffffffffffffffff ", "bad", "");
    assert_memory_equal(f->answer, "Error: size 18446744073709551615 is larger", 40);
    ask_file(f, "pmemsave 0 1 ", "no/such/folder", "");
    assert_non_null(strstr(f->answer, "No such file or directory"));
    assert_holds(f, "pmemsave 0 1 \"/dev/null\"", "not a regular file");
    assert_holds(f, "memsave 0 16", "memsave: filename expected\n");
    assert_holds(f, "memsave 0 16 \"x", "unterminated string\n");
    assert_holds(f, "memsave 0 16 \"\\q\"", "unsupported escape code: '\\q'\n");
    assert_holds(f, "memsave 0 16 \"\\", "unsupported escape code");
    assert_int_equal(rmdir(f->folder), 0);
    assert_int_equal(mkdir(f->folder, 0700), 0);
}

/* The screen */

static void pictures(void **state)
{
    struct fixture *f = *state;
    char bytes[64];
    static const char ppm[] = "P6\n4 2\n255\n\x11\x22\x33";
    ask_file(f, "screendump ", "s.ppm", "");
    assert_string_equal(f->answer, "");
    read_back(f, "s.ppm", bytes, 11 + 4 * 2 * 3);
    assert_memory_equal(bytes, ppm, sizeof(ppm) - 1);
    ask_file(f, "screendump -f ppm ", "s.ppm", "");
    read_back(f, "s.ppm", bytes, 11 + 4 * 2 * 3);
    static const char *const ways[][2] = {
        {"screendump ", " -f png"}, {"screendump -f png ", ""}, {"screendump ", " -fpng"}};
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        ask_file(f, ways[i][0], "s.png", ways[i][1]);
        assert_string_equal(f->answer, "");
        char path[128];
        snprintf(path, sizeof(path), "%s/s.png", f->folder);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        assert_int_equal(fread(bytes, 1, 8, file), 8);
        assert_memory_equal(bytes, "\x89PNG\r\n\x1a\n", 8);
        fclose(file);
        unlink(path);
    }
    ask_file(f, "screendump ", "s.foo", " -f foo");
    assert_string_equal(f->answer, "Error: invalid parameter value: foo; use ppm or png\n");
    assert_holds(f, "screendump", "screendump: filename expected\n");
    assert_holds(f, "screendump -f", "format expected\n");
    assert_holds(f, "screendump -x a", "unsupported option -x\n");
    assert_holds(f, "screendump a b", "extraneous characters");
    assert_holds(f, "screendump /nonexistent/x", "Error: ");
    f->machine.display.draw = NULL;
    assert_holds(f, "screendump x", "Error: there is no graphics adapter");
}

/* Keyboard and mouse */

static void keys(void **state)
{
    struct fixture *f = *state;
    ASSERT_ANSWER(f, "sendkey ctrl-alt-f1", "");
    assert_string_equal(f->events, "+ctrl +alt +f1 ");
    ASSERT_ANSWER(f, "sendkey 0x1e 20", ""); /* waits */
    timers_advance(&f->vm.timers, 99 * 1000000);
    assert_string_equal(f->events, "+ctrl +alt +f1 ");
    timers_advance(&f->vm.timers, 1000000);
    assert_string_equal(f->events, "+ctrl +alt +f1 -f1 -alt -ctrl ");
    timers_advance(&f->vm.timers, 100 * 1000000);
    assert_string_equal(f->events + 30, "+a ");
    timers_advance(&f->vm.timers, 20 * 1000000);
    assert_string_equal(f->events + 30, "+a -a ");
    timers_advance(&f->vm.timers, 1000000000);
    f->events[0] = 0;
    ASSERT_ANSWER(f, "sendkey < 0", "");
    assert_string_equal(f->events, "+less -less ");
    ASSERT_ANSWER(f, "sendkey foo", "invalid parameter: foo\n");
    ASSERT_ANSWER(f, "sendkey a-b-", "invalid parameter: \n");
    ASSERT_ANSWER(f, "sendkey a-0xzz", "invalid parameter: 0xzz\n");
    ASSERT_ANSWER(f, "sendkey -a", "invalid parameter: \n");
    assert_holds(f, "sendkey", "sendkey: string expected\n");
    assert_holds(f, "sendkey a -5", "Error: hold time -5 ms");
    assert_holds(f, "sendkey a 5000000000", "Error: hold time");
    assert_holds(f, "sendkey a b", "invalid char 'b' in expression\n");
    assert_holds(f, "sendkey a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a", "too many keys");
    assert_holds(f, "sendkey aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                 "invalid parameter: aaaa");
    assert_string_equal(f->events, "+less -less ");
}

static void too_many_keys(void **state)
{
    struct fixture *f = *state;
    unsigned taken = 0;
    while (!*ask(f, "sendkey a 1") && taken < 2000)
        taken++;
    assert_in_range(taken, KEYS_QUEUE / 2, KEYS_QUEUE / 2 + 1);
    assert_holds(f, "sendkey a", "Error: too many keys wait");
    timers_advance(&f->vm.timers, 2000000000);
    assert_int_equal(f->hmp.typist.count, 0);
    ASSERT_ANSWER(f, "sendkey a", "");
}

static void mouse(void **state)
{
    struct fixture *f = *state;
    ASSERT_ANSWER(f, "mouse_move 5 -3", "");
    ASSERT_ANSWER(f, "mouse_move -0x10 0 120", "");
    ASSERT_ANSWER(f, "mouse_move 0 0 -1", "");
    ASSERT_ANSWER(f, "mouse_button 1", "");
    ASSERT_ANSWER(f, "mouse_button 2+4", "");
    ASSERT_ANSWER(f, "mouse_button 8", "");
    assert_string_equal(f->events, "5,-3,0 -16,0,1 0,0,-1 b1 b6 b0 ");
    assert_holds(f, "mouse_move 1", "mouse_move: string expected\n");
    assert_holds(f, "mouse_move a b", "Error: 'a' is not a number");
    assert_holds(f, "mouse_move 1 99999999999", "Error: ");
    assert_holds(f, "mouse_move 1 2 3 4", "extraneous");
    assert_holds(f, "mouse_button", "unexpected end of expression\n");
    assert_holds(f, "mouse_button $eax", "unknown register\n");
}

/* Names and help */

static void names(void **state)
{
    struct fixture *f = *state;
    ASSERT_ANSWER(f, "", "");
    ASSERT_ANSWER(f, "   ", "");
    ASSERT_ANSWER(f, "sendkeys a", "unknown command: 'sendkeys'; did you mean 'sendkey'?\n");
    ASSERT_ANSWER(f, "info statu", "unknown command: 'info statu'; did you mean 'info status'?\n");
    ASSERT_ANSWER(f, "rumpelstiltskin", "unknown command: 'rumpelstiltskin'\n");
    ASSERT_ANSWER(f, "/x", "unknown command: ''\n");
    ASSERT_ANSWER(f, "stop now",
                  "stop: extraneous characters at the end of line\n"
                  "Try \"help stop\" for more information\n");
    ASSERT_ANSWER(f, "info status x",
                  "status: extraneous characters at the end of line\n"
                  "Try \"help info status\" for more information\n");
    ASSERT_ANSWER(f, "help x", "x /fmt addr -- virtual memory dump starting at 'addr'\n");
    ASSERT_ANSWER(f, "? q", "quit|q  -- quit the emulator\n");
    ASSERT_ANSWER(f, "help info name", "info name  -- show the current VM name\n");
    ASSERT_ANSWER(f, "help foobar", "unknown command: 'foobar'\n");
    assert_holds(f, "help info", "info status  -- ");
    ask(f, "help");
    for (const struct hmp_command *command = hmp_commands; command->name; command++) {
        assert_non_null(strstr(f->answer, command->name));
        assert_true(!command->run == !!command->sub);
        assert_true(!command[1].name || strcmp(command->name, command[1].name) < 0);
    }
    char line[5000];
    memset(line, 'a', sizeof(line) - 1);
    line[sizeof(line) - 1] = 0;
    assert_memory_equal(ask(f, line), "unknown command: 'aaaa", 22);
}

static void completions(void **state)
{
    (void)state;
    const char *m[64];
    assert_int_equal(hmp_complete("q", m, 64), 1);
    assert_string_equal(m[0], "quit");
    assert_int_equal(hmp_complete("system_", m, 64), 2);
    assert_int_equal(hmp_complete("info st", m, 64), 1);
    assert_string_equal(m[0], "status");
    assert_int_equal(hmp_complete("help inf", m, 64), 1);
    assert_int_equal(hmp_complete("help info na", m, 64), 1);
    assert_int_equal(hmp_complete("stop q", m, 64), 0);
    assert_int_equal(hmp_complete("nothing q", m, 64), 0);
    assert_int_equal(hmp_complete("x/4i ", m, 64), 0);
    assert_true(hmp_complete("", m, 64) > 10);
    assert_int_equal(hmp_complete("", m, 3), 3);
}

/* The stream */

static void happen(struct fixture *f, enum chardev_event event)
{
    f->chardev.count = 0;
    f->chardev.written[0] = 0;
    f->chardev.frontend->event(f->chardev.frontend->opaque, event);
}

static void connect_monitor(struct fixture *f)
{
    assert_int_equal(monitor_create(&f->monitor, &f->vm, &f->chardev, NULL), 0);
    happen(f, CHARDEV_OPENED);
    assert_int_equal(f->chardev.count, 0); /* not while another of a mux has the focus */
    happen(f, CHARDEV_FOCUS_IN);
}

static void send_bytes(struct fixture *f, const char *bytes, size_t length)
{
    const struct chardev_frontend *frontend = f->chardev.frontend;
    f->chardev.count = 0;
    f->chardev.written[0] = 0;
    while (length) {
        size_t room = frontend->can_read(frontend->opaque);
        assert_true(room > 0);
        size_t piece = length < room ? length : room;
        frontend->read(frontend->opaque, (const uint8_t *)bytes, piece);
        bytes += piece;
        length -= piece;
    }
}

static const char *send_text(struct fixture *f, const char *text)
{
    send_bytes(f, text, strlen(text));
    return f->chardev.written;
}

static void session(void **state)
{
    struct fixture *f = *state;
    connect_monitor(f);
    assert_string_equal(f->chardev.written,
                        "Trapeze " TRAPEZE_VERSION
                        " monitor - type 'help' for more information\r\n(qemu) ");
    assert_string_equal(send_text(f, "info status\n"),
                        "info status\r\nVM status: running\r\n(qemu) ");
    assert_string_equal(send_text(f, "info st"), "info st");
    assert_string_equal(send_text(f, "atus\r"), "atus\r\nVM status: running\r\n(qemu) ");
    assert_string_equal(send_text(f, "stop\ninfo status\n"),
                        "stop\r\n(qemu) info status\r\nVM status: paused\r\n(qemu) ");
    /* Somebody else connects: nothing is left of the line before. */
    send_text(f, "info na");
    happen(f, CHARDEV_CLOSED);
    happen(f, CHARDEV_OPENED);
    happen(f, CHARDEV_FOCUS_IN);
    assert_memory_equal(f->chardev.written, "Trapeze ", 8);
    assert_string_equal(send_text(f, "info name\n"), "info name\r\nbox\r\n(qemu) ");
    /* Ctrl-A c of a mux: away in the middle of a line, and back. */
    send_text(f, "info na");
    happen(f, CHARDEV_FOCUS_OUT);
    assert_string_equal(f->chardev.written, "\r\n");
    happen(f, CHARDEV_FOCUS_IN);
    assert_string_equal(f->chardev.written, "(qemu) ");
    assert_string_equal(send_text(f, "info status\n"),
                        "info status\r\nVM status: paused\r\n(qemu) ");
    /* The last command: no prompt, nothing more is run. */
    f->vm.exit_code = 5;
    assert_string_equal(send_text(f, "quit\nsystem_reset\n"), "quit\r\n");
    assert_string_equal(f->said, "quit");
    assert_int_equal(f->vm.exit_code, 0);
    assert_string_equal(send_text(f, "stop\n"), "");
}

static void hostile_stream(void **state)
{
    struct fixture *f = *state;
    connect_monitor(f);
    char *flood = malloc(1 << 20);
    memset(flood, 'x', 1 << 20);
    flood[(1 << 20) - 1] = '\n';
    send_bytes(f, flood, 1 << 20);
    const char *end = "line too long\r\n(qemu) ";
    assert_string_equal(f->chardev.written + f->chardev.count - strlen(end), end);
    free(flood);

    static const char *const words[] = {"info ", "registers", "x",      "/",     "sendkey ",
                                        "\n",    "\t",        "\x1b[A", "0x100", "\"",
                                        "-a ",   "print ",    "mtree",  "$eip",  "4i",
                                        "help ", "\x80\xff",  "status", "\x17",  "mouse_move "};
    uint64_t seed = 77;
    for (int i = 0; i < 50000; i++) {
        const char *word = words[test_random(&seed) % ARRAY_LEN(words)];
        send_text(f, word);
        assert_int_equal(f->frozen, 0);
    }
    send_text(f, "\x15\n");
    assert_string_equal(send_text(f, "info name\n"), "info name\r\nbox\r\n(qemu) ");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(life),        CASE(small_infos), CASE(registers),     CASE(dumps),
        CASE(dump_errors), CASE(disassembly), CASE(printing),      CASE(saving),
        CASE(pictures),    CASE(keys),        CASE(too_many_keys), CASE(mouse),
        CASE(names),       CASE(completions), CASE(session),       CASE(hostile_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
