/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The paravirtual clock that Linux calls kvmclock, and the frequency of the TSC. On the vcpu's
 * thread.
 */
#ifndef CPU_CLOCK_H
#define CPU_CLOCK_H

#include "cpu/vcpu.h"

/* kHz of the host's (and so the guest's) TSC. */
uint64_t clock_tsc_khz(const struct vcpu *cpu);

/* The clock's MSRs. False: none of its. */
bool clock_msr_read(const struct vcpu *cpu, uint32_t msr, uint64_t *value);
bool clock_msr_write(struct vcpu *cpu, uint32_t msr, uint64_t value);

#endif
