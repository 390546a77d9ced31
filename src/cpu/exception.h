/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Exceptions and interrupts: raising, and delivery through the IDT or the real-mode vector table
 * (SDM 3A chapter 6). On the vcpu's thread, without the VM lock.
 */
#ifndef CPU_EXCEPTION_H
#define CPU_EXCEPTION_H

#include "cpu/vcpu.h"

/* Leaves the current instruction: records the fault and jumps to cpu->fault_exit. cpu->rip must be
 * the faulting instruction's (engines sync it in their slow paths) and no register of the
 * instruction committed. error: pushed for the vectors that have one, ignored for others. */
_Noreturn void cpu_raise(struct vcpu *cpu, int vector, uint32_t error);
_Noreturn void cpu_raise_gp(struct vcpu *cpu, uint32_t error);
_Noreturn void cpu_raise_ud(struct vcpu *cpu);
/* #PF with CR2. */
_Noreturn void cpu_raise_pf(struct vcpu *cpu, gva_t addr, uint32_t error);
_Noreturn void cpu_raise_db(struct vcpu *cpu, uint32_t dr6_bits);

/* The shutdown state, from inside an instruction: as after a triple fault. */
_Noreturn void cpu_shut_down(struct vcpu *cpu);

enum cpu_event_kind {
    EVENT_EXTERNAL, /* an interrupt from the PIC or APIC */
    EVENT_NMI,
    EVENT_EXCEPTION, /* a fault or trap */
    EVENT_SOFTWARE,  /* INT n: privilege of the gate and, in V86 mode, IOPL is checked; rip is the
                        return address */
    EVENT_TRAP,      /* INT3, INTO: as INT n, but not sensitive to IOPL */
    EVENT_ICEBP,     /* INT1: #DB without the gate check */
};

/* Enters the handler: pushes state, loads CS:RIP. cpu->rip must be the address to return to. Merges
 * with an exception under delivery into #DF; a fault during delivery is handled inside, up to the
 * triple fault: false then (the caller leaves with VCPU_EXIT_TRIPLE_FAULT). Sets and uses
 * cpu->fault_exit itself while it runs, and restores it. */
bool cpu_deliver(struct vcpu *cpu, enum cpu_event_kind kind, int vector, uint32_t error);

/* INT n, INT3 (3), INTO (4), INT1 from an instruction handler: as cpu_deliver, but faults leave by
 * cpu_raise with cpu->rip still the instruction's. next_rip is the return address. V86 and VME
 * rules included. */
void cpu_software_interrupt(struct vcpu *cpu, int vector, enum cpu_event_kind kind,
                            uint64_t next_rip);

/* The fault that brought us to fault_exit: valid right after the jump. */
const struct cpu_fault *cpu_fault(const struct vcpu *cpu);

#endif
