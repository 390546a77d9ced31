/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Raising is recording and jumping; delivery is SDM 2A "INT n" pseudo-code with 3A chapter 6. All
 * checks and all pushes come before the first register is committed, so a fault during delivery
 * finds the processor as it was and is delivered in its place, or as a double fault.
 */
#include "cpu/exception.h"

#include "base/log.h"
#include "cpu/descriptor.h"

enum { DR6_BD = 1 << 13, DR7_GD = 1 << 13 };

static bool vector_has_error(int vector)
{
    return vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) || vector == VEC_AC;
}

void cpu_raise(struct vcpu *cpu, int vector, uint32_t error)
{
    bool has_error = vector_has_error(vector);
    cpu->fault = (struct cpu_fault){vector, has_error ? error : 0, has_error};
    longjmp(cpu->fault_exit, 1);
}

void cpu_raise_gp(struct vcpu *cpu, uint32_t error)
{
    cpu_raise(cpu, VEC_GP, error);
}

void cpu_raise_ud(struct vcpu *cpu)
{
    cpu_raise(cpu, VEC_UD, 0);
}

void cpu_raise_pf(struct vcpu *cpu, gva_t addr, uint32_t error)
{
    cpu->cr2 = addr;
    cpu_raise(cpu, VEC_PF, error);
}

void cpu_raise_db(struct vcpu *cpu, uint32_t dr6_bits)
{
    cpu->dr[6] |= dr6_bits;
    cpu_raise(cpu, VEC_DB, 0);
}

void cpu_shut_down(struct vcpu *cpu)
{
    cpu->fault = (struct cpu_fault){.vector = -1};
    longjmp(cpu->fault_exit, 1);
}

const struct cpu_fault *cpu_fault(const struct vcpu *cpu)
{
    return &cpu->fault;
}

/* One event on its way into its handler. */
struct event {
    enum cpu_event_kind kind;
    int vector;
    bool has_error;
    uint32_t error;
    uint64_t rip;   /* pushed */
    uint64_t flags; /* pushed */
};

static bool event_is_int(const struct event *ev)
{
    return ev->kind == EVENT_SOFTWARE || ev->kind == EVENT_TRAP;
}

/* The selector-like error code of a fault over IDT entry `vector`. */
static _Noreturn void raise_idt(struct vcpu *cpu, int fault, int vector)
{
    cpu_raise(cpu, fault, (uint32_t)vector * 8 + 2);
}

static struct event event_make(struct vcpu *cpu, enum cpu_event_kind kind, int vector,
                               uint32_t error, uint64_t rip)
{
    struct event ev = {.kind = kind, .vector = vector, .rip = rip, .flags = cpu_rflags(cpu)};
    if (kind == EVENT_EXCEPTION && vector_has_error(vector)) {
        ev.has_error = true;
        ev.error = error;
    }
    /* A fault's image has RF, so that its instruction's breakpoint is not taken twice. #DB traps
     * and the INT family have it not. */
    bool fault = kind == EVENT_EXCEPTION && vector != VEC_DB && vector != VEC_BP &&
                 vector != VEC_OF && vector != VEC_MC;
    if (fault)
        ev.flags |= FLAG_RF;
    return ev;
}

/* What every delivery does to RFLAGS, beside IF. */
static void flags_entered(struct vcpu *cpu, bool clear_if)
{
    uint64_t clear = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM;
    if (clear_if)
        clear |= FLAG_IF;
    cpu_set_rflags(cpu, cpu_rflags(cpu) & ~clear);
}

static void deliver_real(struct vcpu *cpu, const struct event *ev)
{
    uint32_t at = (uint32_t)ev->vector * 4;
    if (at + 3 > cpu->idtr.limit)
        raise_idt(cpu, VEC_GP, ev->vector);
    uint32_t entry = (uint32_t)system_load(cpu, cpu->idtr.base + at, 4);
    struct stack stack = stack_current(cpu);
    stack_push(&stack, ev->flags, 2);
    stack_push(&stack, cpu->seg[SEG_CS].selector, 2);
    stack_push(&stack, ev->rip, 2);
    if ((entry & 0xffff) > cpu->seg[SEG_CS].limit)
        cpu_raise_gp(cpu, 0);
    stack_commit(&stack);
    cpu_set_rflags(cpu, cpu_rflags(cpu) & ~(uint64_t)(FLAG_TF | FLAG_IF | FLAG_RF | FLAG_AC));
    segment_enter_code(cpu, (uint16_t)(entry >> 16), 0, NULL, entry & 0xffff);
}

/* The gate's code segment: checked for entry from the current level. */
static void gate_code(struct vcpu *cpu, uint16_t selector, struct descriptor *code)
{
    if (selector_null(selector))
        cpu_raise_gp(cpu, 0);
    descriptor_fetch(cpu, selector, VEC_GP, code);
    if (!access_code(code->access) || descriptor_dpl(code) > cpu->cpl)
        raise_selector(cpu, VEC_GP, selector);
    if (!descriptor_present(code))
        raise_selector(cpu, VEC_NP, selector);
}

static bool goes_inner(const struct vcpu *cpu, const struct descriptor *code)
{
    return !(code->access & TYPE_CONFORMING) && descriptor_dpl(code) < cpu->cpl;
}

/* Flags, CS, IP and the error code: the part every frame has. */
static void push_frame(struct vcpu *cpu, struct stack *stack, const struct event *ev, unsigned size)
{
    stack_push(stack, ev->flags, size);
    stack_push(stack, cpu->seg[SEG_CS].selector, size);
    stack_push(stack, ev->rip, size);
    if (ev->has_error)
        stack_push(stack, ev->error, size);
}

/* To an inner level of protected mode, from V86 mode too. */
static void deliver_inner(struct vcpu *cpu, const struct event *ev, struct descriptor *code,
                          uint64_t offset, unsigned size)
{
    static const uint8_t v86_order[] = {SEG_GS, SEG_FS, SEG_DS, SEG_ES};
    unsigned level = descriptor_dpl(code);
    bool v86 = cpu_v86(cpu);
    struct descriptor ss;
    uint64_t sp;
    stack_from_tss(cpu, level, &ss, &sp);
    struct segment segment = {ss.selector, ss.access, ss.limit, ss.base};
    struct stack stack = stack_inner(cpu, &segment, sp, level, false);
    for (unsigned i = 0; v86 && i < ARRAY_LEN(v86_order); i++)
        stack_push(&stack, cpu->seg[v86_order[i]].selector, size);
    stack_push(&stack, cpu->seg[SEG_SS].selector, size);
    stack_push(&stack, cpu->gpr[RSP], size);
    push_frame(cpu, &stack, ev, size);
    descriptor_check_rip(cpu, code, offset);
    descriptor_set_type(cpu, code, TYPE_ACCESSED);
    segment_set(cpu, SEG_SS, ss.selector, &ss);
    for (unsigned i = 0; v86 && i < ARRAY_LEN(v86_order); i++)
        segment_set_null(cpu, v86_order[i], 0);
    stack_commit(&stack);
}

static void deliver_to_task(struct vcpu *cpu, const struct event *ev, uint16_t tss)
{
    task_check(cpu, tss, VEC_GP);
    cpu->rflags |= ev->flags & FLAG_RF; /* into the image in the old task's TSS */
    cpu_task_switch(cpu, tss, TASK_INT, ev->rip, ev->has_error, ev->error);
}

static void deliver_protected(struct vcpu *cpu, const struct event *ev)
{
    uint32_t at = (uint32_t)ev->vector * 8;
    if (at + 7 > cpu->idtr.limit)
        raise_idt(cpu, VEC_GP, ev->vector);
    uint64_t gate = system_load(cpu, cpu->idtr.base + at, 8);
    uint32_t access = (uint32_t)(gate >> 40);
    unsigned type = access & (SEG_TYPE | SEG_S);
    if (type != SYS_TASK_GATE && (type & ~9u) != 6)
        raise_idt(cpu, VEC_GP, ev->vector);
    if (event_is_int(ev) && (access >> 5 & 3) < cpu->cpl)
        raise_idt(cpu, VEC_GP, ev->vector);
    if (!(access & SEG_P))
        raise_idt(cpu, VEC_NP, ev->vector);
    uint16_t selector = (uint16_t)(gate >> 16);
    if (type == SYS_TASK_GATE) {
        deliver_to_task(cpu, ev, selector);
        return;
    }
    unsigned size = type & 8 ? 4 : 2;
    uint64_t offset = (gate & 0xffff) | (size == 4 ? gate >> 48 << 16 : 0);
    struct descriptor code;
    gate_code(cpu, selector, &code);
    unsigned level = cpu->cpl;
    if (goes_inner(cpu, &code)) {
        level = descriptor_dpl(&code);
        if (cpu_v86(cpu) && level)
            raise_selector(cpu, VEC_GP, selector);
        deliver_inner(cpu, ev, &code, offset, size);
    } else {
        if (cpu_v86(cpu))
            raise_selector(cpu, VEC_GP, selector);
        struct stack stack = stack_current(cpu);
        push_frame(cpu, &stack, ev, size);
        descriptor_check_rip(cpu, &code, offset);
        descriptor_set_type(cpu, &code, TYPE_ACCESSED);
        stack_commit(&stack);
    }
    flags_entered(cpu, !(type & 1));
    segment_enter_code(cpu, selector, level, &code, offset);
}

static void deliver_long(struct vcpu *cpu, const struct event *ev)
{
    uint32_t at = (uint32_t)ev->vector * 16;
    if (at + 15 > cpu->idtr.limit)
        raise_idt(cpu, VEC_GP, ev->vector);
    uint64_t gate = system_load(cpu, cpu->idtr.base + at, 8);
    uint64_t upper = system_load(cpu, cpu->idtr.base + at + 8, 8);
    uint32_t access = (uint32_t)(gate >> 40);
    unsigned type = access & (SEG_TYPE | SEG_S);
    if (type != SYS_INT32 && type != SYS_TRAP32)
        raise_idt(cpu, VEC_GP, ev->vector);
    if (event_is_int(ev) && (access >> 5 & 3) < cpu->cpl)
        raise_idt(cpu, VEC_GP, ev->vector);
    if (!(access & SEG_P))
        raise_idt(cpu, VEC_NP, ev->vector);
    uint16_t selector = (uint16_t)(gate >> 16);
    uint64_t offset = (gate & 0xffff) | (gate >> 48 << 16) | upper << 32;
    struct descriptor code;
    gate_code(cpu, selector, &code);
    if ((code.access & (SEG_L | SEG_DB)) != SEG_L)
        raise_selector(cpu, VEC_GP, selector);
    bool inner = goes_inner(cpu, &code);
    unsigned level = inner ? descriptor_dpl(&code) : cpu->cpl;
    unsigned ist = gate >> 32 & 7;
    uint64_t sp = inner || ist ? stack_from_tss64(cpu, level, ist) : cpu->gpr[RSP];
    struct segment null = {.selector = (uint16_t)level};
    struct stack stack = stack_inner(cpu, &null, sp & ~15ull, level, true);
    stack.error = 0;
    stack_push(&stack, cpu->seg[SEG_SS].selector, 8);
    stack_push(&stack, cpu->gpr[RSP], 8);
    push_frame(cpu, &stack, ev, 8);
    descriptor_check_rip(cpu, &code, offset);
    descriptor_set_type(cpu, &code, TYPE_ACCESSED);
    if (inner)
        segment_set_null(cpu, SEG_SS, (uint16_t)level);
    stack_commit(&stack);
    flags_entered(cpu, type == SYS_INT32);
    segment_enter_code(cpu, selector, level, &code, offset);
}

static void deliver(struct vcpu *cpu, const struct event *ev)
{
    if (!cpu_protected(cpu))
        deliver_real(cpu, ev);
    else if (cpu_long_mode(cpu))
        deliver_long(cpu, ev);
    else
        deliver_protected(cpu, ev);
    if (ev->vector == VEC_DB && !event_is_int(ev))
        cpu->dr[7] &= ~(uint64_t)DR7_GD;
    if (ev->kind == EVENT_NMI)
        cpu->nmi_blocked = true;
    cpu->halted = false;
    cpu->shadow = 0;
    cpu->stepping = false;
}

static bool contributory(int vector)
{
    return vector == VEC_DE || (vector >= VEC_TS && vector <= VEC_GP);
}

/* What comes of `second` while `first` (-1: nothing, or benign) was being delivered: SDM 3A table
 * 6-5. -1: shutdown. */
static int combine(int first, int second)
{
    bool bad = contributory(second) || second == VEC_PF;
    if (first == VEC_DF)
        return bad ? -1 : second;
    if (contributory(first) && contributory(second))
        return VEC_DF;
    if (first == VEC_PF && bad)
        return VEC_DF;
    return second;
}

static void log_event(const struct vcpu *cpu, const struct event *ev)
{
    log_print(
        LOG_INT, "v=%02x e=%04x i=%d cpl=%d IP=%04x:%016llx SP=%04x:%016llx %s=%016llx", ev->vector,
        ev->error, event_is_int(ev), cpu->cpl, cpu->seg[SEG_CS].selector,
        (unsigned long long)ev->rip, cpu->seg[SEG_SS].selector, (unsigned long long)cpu->gpr[RSP],
        ev->kind == EVENT_EXCEPTION && ev->vector == VEC_PF ? "CR2" : "EAX",
        (unsigned long long)(ev->kind == EVENT_EXCEPTION && ev->vector == VEC_PF ? cpu->cr2
                                                                                 : cpu->gpr[RAX]));
}

/* The fault in cpu->fault happened while *ev was delivered: *ev becomes what follows. False:
 * shutdown. */
static bool event_after_fault(struct vcpu *cpu, struct event *ev)
{
    int first = ev->kind == EVENT_EXCEPTION ? ev->vector : -1;
    struct cpu_fault fault = cpu->fault;
    int vector = combine(first, fault.vector);
    if (log_on(LOG_INT))
        log_print(LOG_INT, "check_exception old: 0x%x new 0x%x", (unsigned)first,
                  (unsigned)fault.vector);
    if (vector < 0)
        return false;
    /* EXT: the fault is about an event from outside the program. */
    if (!event_is_int(ev) && fault.vector >= VEC_TS && fault.vector <= VEC_GP)
        fault.error |= 1;
    *ev = event_make(cpu, EVENT_EXCEPTION, vector, vector == VEC_DF ? 0 : fault.error, cpu->rip);
    return true;
}

bool cpu_deliver(struct vcpu *cpu, enum cpu_event_kind kind, int vector, uint32_t error)
{
    jmp_buf outer;
    memcpy(outer, cpu->fault_exit, sizeof(outer));
    /* In memory, since it changes between setjmp and longjmp. */
    volatile bool alive = true;
    struct event ev = event_make(cpu, kind, vector, error, cpu->rip);
    struct event *const current = &ev;
    if (_setjmp(cpu->fault_exit))
        alive = event_after_fault(cpu, current);
    if (alive) {
        cpu->fault_vector = current->kind == EVENT_EXCEPTION ? current->vector : -1;
        if (log_on(LOG_INT))
            log_event(cpu, current);
        deliver(cpu, current);
    } else if (log_on(LOG_INT | LOG_CPU_RESET)) {
        log_print(LOG_INT | LOG_CPU_RESET, "Triple fault");
    }
    cpu->fault_vector = -1;
    memcpy(cpu->fault_exit, outer, sizeof(outer));
    return alive;
}

/* INT n in V86 mode with CR4.VME: is it redirected to the program's own handler? */
static bool vme_redirects(struct vcpu *cpu, int vector)
{
    const struct segment *tr = &cpu->seg[SEG_TR];
    if (tr->access & SEG_UNUSABLE || !(tr->access & 8) || tr->limit < 103)
        cpu_raise_gp(cpu, 0);
    /* The 32 bytes below the I/O bitmap; a set bit means the protected-mode handler. */
    uint32_t at = (uint32_t)system_load(cpu, tr->base + 0x66, 2) - 32 + (uint32_t)vector / 8;
    if (at > tr->limit)
        cpu_raise_gp(cpu, 0);
    return !(system_load(cpu, tr->base + at, 1) >> (vector & 7) & 1);
}

/* Through the vector table of the V86 program. */
static void deliver_vme(struct vcpu *cpu, struct event *ev)
{
    bool iopl3 = (cpu->rflags & FLAG_IOPL) == FLAG_IOPL;
    uint64_t flags = ev->flags;
    if (!iopl3) {
        flags = (flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL;
        if (flags & FLAG_VIF)
            flags |= FLAG_IF;
    }
    uint32_t entry = (uint32_t)tlb_load(cpu, (gva_t)ev->vector * 4, 4, cpu->mmu);
    struct stack stack = stack_current(cpu);
    stack_push(&stack, flags, 2);
    stack_push(&stack, cpu->seg[SEG_CS].selector, 2);
    stack_push(&stack, ev->rip, 2);
    stack_commit(&stack);
    uint64_t clear = FLAG_TF | FLAG_NT | FLAG_RF | (iopl3 ? FLAG_IF : FLAG_VIF);
    cpu_set_rflags(cpu, cpu_rflags(cpu) & ~clear);
    segment_enter_code(cpu, (uint16_t)(entry >> 16), 3, NULL, entry & 0xffff);
}

/* INT1 counts as an event from outside the program: faults on the way have EXT. */
static void deliver_icebp(struct vcpu *cpu, const struct event *ev)
{
    jmp_buf outer;
    memcpy(outer, cpu->fault_exit, sizeof(outer));
    bool failed = _setjmp(cpu->fault_exit);
    if (!failed)
        deliver(cpu, ev);
    memcpy(cpu->fault_exit, outer, sizeof(outer));
    if (!failed)
        return;
    if (cpu->fault.vector >= VEC_TS && cpu->fault.vector <= VEC_GP)
        cpu->fault.error |= 1;
    longjmp(cpu->fault_exit, 1);
}

void cpu_software_interrupt(struct vcpu *cpu, int vector, enum cpu_event_kind kind,
                            uint64_t next_rip)
{
    struct event ev = event_make(cpu, kind, vector, 0, next_rip);
    if (cpu_v86(cpu) && kind == EVENT_SOFTWARE) {
        if (cpu->cr4 & CR4_VME && vme_redirects(cpu, vector)) {
            deliver_vme(cpu, &ev);
            return;
        }
        if ((cpu->rflags & FLAG_IOPL) != FLAG_IOPL)
            cpu_raise_gp(cpu, 0);
    }
    if (log_on(LOG_INT))
        log_event(cpu, &ev);
    if (kind == EVENT_ICEBP)
        deliver_icebp(cpu, &ev);
    else
        deliver(cpu, &ev);
}
