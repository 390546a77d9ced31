/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs an instruction in user mode of this very host: in a child process, whose signals tell of the
 * exception.
 */
#include "sensitive/sensitive.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static void report(int fd, const struct sensitive_outcome *outcome)
{
    ssize_t done = write(fd, outcome, sizeof(*outcome));
    _exit(done == (ssize_t)sizeof(*outcome) ? 0 : 1);
}

/* The child's own: where its handler reports to, where its code is. A child has one instruction to
 * try. */
static int report_fd = -1;
static const uint8_t *code_page;

enum { CODE_PAGE = 4096 };

static void on_signal(int number, siginfo_t *info, void *context)
{
    const ucontext_t *user = context;
    struct sensitive_outcome outcome = {.signal = number,
                                        .vector = (int)user->uc_mcontext.gregs[REG_TRAPNO]};
    uint64_t rip = (uint64_t)user->uc_mcontext.gregs[REG_RIP];
    outcome.strayed = rip - (uint64_t)(uintptr_t)code_page >= CODE_PAGE;
    (void)info;
    report(report_fd, &outcome);
}

static uint64_t call(const void *code)
{
    uint64_t value;
    __asm__ volatile("sub $256, %%rsp\n\tcall *%[code]\n\tadd $256, %%rsp"
                     : "=&a"(value)
                     : [code] "r"(code), "0"(0ull)
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc", "memory");
    return value;
}

static _Noreturn void child(const struct sensitive_instruction *insn, int fd)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS};
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    /* Far pointers of 32 bits must reach it. */
    uint8_t *code = mmap(NULL, CODE_PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    struct sensitive_outcome outcome = {.vector = -1};
    /* SYSENTER comes back with the low half of RSP, if at all. */
    stack_t stack = {.ss_size = 65536};
    stack.ss_sp =
        mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED || stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) != 0)
        _exit(1);
    memcpy(code, insn->code, insn->length);
    code[insn->length] = 0xc3;
    if (mprotect(code, CODE_PAGE, PROT_READ | PROT_EXEC) != 0)
        _exit(1);
    report_fd = fd;
    code_page = code;
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
    alarm(10);
    outcome.value = call(code);
    report(fd, &outcome);
    _exit(1);
}

int sensitive_try(const struct sensitive_instruction *insn, struct sensitive_outcome *outcome)
{
    int ends[2];
    if (pipe(ends) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid < 0) {
        int error = errno;
        close(ends[0]);
        close(ends[1]);
        return -error;
    }
    if (pid == 0)
        child(insn, ends[1]);
    close(ends[1]);
    memset(outcome, 0, sizeof(*outcome));
    ssize_t got = read(ends[0], outcome, sizeof(*outcome));
    close(ends[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (got == (ssize_t)sizeof(*outcome))
        return 0;
    /* Ended by something no handler saw. */
    outcome->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    outcome->vector = -1;
    return outcome->signal ? 0 : -EIO;
}

bool sensitive_is_silent(const struct sensitive_instruction *insn,
                         const struct sensitive_outcome *outcome)
{
    if (outcome->signal)
        return outcome->strayed;
    return !sensitive_answered_by_kernel(insn, outcome);
}

bool sensitive_answered_by_kernel(const struct sensitive_instruction *insn,
                                  const struct sensitive_outcome *outcome)
{
    /* No kernel can have its GDT there. SGDT is the first of the table. */
    const uint64_t made_up = 0xfffffffffffe0000;
    struct sensitive_outcome gdt;
    if (outcome->signal || insn->privilege != PRIVILEGE_UMIP)
        return false;
    return sensitive_try(&sensitive_instructions[0], &gdt) == 0 && !gdt.signal &&
           gdt.value == made_up;
}
