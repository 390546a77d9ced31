/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control and debug registers, MSRs, CPUID, port I/O as instructions see them: all checks, all
 * side effects, #GP by cpu_raise. On the vcpu's thread, without the VM lock. CPL checks included.
 */
#ifndef CPU_CONTROL_H
#define CPU_CONTROL_H

#include "cpu/vcpu.h"

uint64_t cpu_read_cr(struct vcpu *cpu, unsigned n);              /* #UD for 1, 5.. */
void cpu_write_cr(struct vcpu *cpu, unsigned n, uint64_t value); /* flushes, mode changes */
uint64_t cpu_read_dr(struct vcpu *cpu, unsigned n);
void cpu_write_dr(struct vcpu *cpu, unsigned n, uint64_t value);

/* False: the MSR is not there or the value is not allowed (the instruction raises #GP(0)). For
 * RDMSR and WRMSR, and for engines and monitors. */
bool cpu_read_msr(struct vcpu *cpu, uint32_t msr, uint64_t *value);
bool cpu_write_msr(struct vcpu *cpu, uint32_t msr, uint64_t value);

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};
/* What CPUID answers now: the model, plus the bits that mirror CR4 and the APIC. */
struct cpuid_result cpu_cpuid(struct vcpu *cpu, uint32_t leaf, uint32_t subleaf);

/* What may be set in CR0, DR6 and DR7, and what always is; in CR4 and EFER on this model. */
#define CR0_WRITABLE \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define DR6_FIXED    UINT64_C(0xffff0ff0)
#define DR6_WRITABLE UINT64_C(0xe00f)
#define DR7_FIXED    UINT64_C(0x400)
#define DR7_WRITABLE UINT64_C(0xffff2bff)
uint64_t cpu_cr4_allowed(const struct vcpu *cpu);
uint64_t cpu_efer_allowed(const struct vcpu *cpu);

/* The entries of PAE paging from memory again, if CR0, CR4 and EFER say that it is on. False: one
 * of them has reserved bits. */
bool cpu_reload_pdptes(struct vcpu *cpu);

/* CR3 as a task switch loads it: no checks but those of the PDPTEs (#GP), and the flush. */
void cpu_load_cr3(struct vcpu *cpu, uint64_t value);

void cpu_lmsw(struct vcpu *cpu, uint16_t value);
void cpu_invlpg(struct vcpu *cpu, gva_t addr);
void cpu_xsetbv(struct vcpu *cpu, uint32_t index, uint64_t value);

/* IN and OUT after cpu_check_io. Takes the VM lock. */
uint32_t cpu_port_in(struct vcpu *cpu, uint16_t port, unsigned size);
void cpu_port_out(struct vcpu *cpu, uint16_t port, uint32_t value, unsigned size);

/* Breakpoints of DR0-3 on data and ports (SDM 3B 17.2). cpu_update_watch follows every change of a
 * debug register; cpu_watch and cpu_watch_port note a hit in pending_db, for the trap behind the
 * instruction. */
void cpu_update_watch(struct vcpu *cpu);
bool cpu_watched_page(const struct vcpu *cpu, gva_t addr);
void cpu_watch(struct vcpu *cpu, gva_t addr, unsigned size, bool write);
void cpu_watch_port(struct vcpu *cpu, uint16_t port, unsigned size);

#endif
