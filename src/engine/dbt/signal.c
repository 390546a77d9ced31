/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Faults of translated code. Whatever the host's processor says of it - no such address, a guard
 * page, a page that is not for writing, division by zero, a vector exception - means the same: the
 * guest instruction at work has done nothing yet, and the interpreter shall do it. So the handler
 * only finds the instruction and has translated code left by `leave_fault`, with all registers as
 * they are.
 */
#include "engine/dbt/internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { SIGNAL_STACK = 128 * 1024 };

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

static _Thread_local struct dbt_vcpu *current;
static _Thread_local struct exit_info fault_info;

static void give_up(int number)
{
    signal(number, SIG_DFL); /* the instruction faults again, and that is the end */
}

/* Is this the REP of a site that has one? Nothing else there has such prefixes. */
static bool is_rep(const uint8_t *at)
{
    return at[0] == 0xf3 || (at[0] == 0x66 && at[1] == 0xf3);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    struct dbt_vcpu *d = current;
    const uint8_t *at = (const uint8_t *)(uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
    if (!d || !code_has(&d->code, at)) {
        give_up(number);
        return;
    }
    const struct translation *t = code_find(&d->code, at);
    if (!t) {
        give_up(number);
        return;
    }
    unsigned distance = (unsigned)(at - t->code), low = 0, high = t->site_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (t->sites[middle].host <= distance)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low) {
        give_up(number);
        return;
    }
    fault_info =
        (struct exit_info){.kind = EXIT_FAULT, .insn = t->sites[low - 1].guest, .place = t->place};
    d->string_kind = is_rep(at) ? t->sites[low - 1].string : 0;
    *frame(d->cpu, FRAME_INFO) = (uintptr_t)&fault_info;
    *frame(d->cpu, FRAME_VALUE) = (uintptr_t)at;
    bool read_only = number == SIGSEGV && info->si_code == SEGV_ACCERR;
    d->read_only = read_only ? info->si_addr : NULL;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)d->leave_fault;
}

int signals_install(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    for (unsigned i = 0; i < ARRAY_LEN(signals); i++)
        if (sigaction(signals[i], &action, NULL))
            return -errno;
    return 0;
}

/* While translated code runs, rsp is no stack: signals have one of their own, and only those above
 * come. */
static bool bind_thread(void)
{
    stack_t old;
    if (sigaltstack(NULL, &old) == 0 && old.ss_sp && old.ss_size >= SIGNAL_STACK)
        return true;
    stack_t stack = {.ss_sp = malloc(SIGNAL_STACK), .ss_size = SIGNAL_STACK};
    if (!stack.ss_sp || sigaltstack(&stack, NULL))
        return false;
    sigset_t blocked;
    sigfillset(&blocked);
    for (unsigned i = 0; i < ARRAY_LEN(signals); i++)
        sigdelset(&blocked, signals[i]);
    return pthread_sigmask(SIG_BLOCK, &blocked, NULL) == 0;
}

bool signals_bind(struct dbt_vcpu *d)
{
    if (current == d)
        return true;
    if (d && !bind_thread())
        return false;
    current = d;
    return true;
}
