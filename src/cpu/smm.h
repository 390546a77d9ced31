/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * System management mode: SDM 3C chapter 34, AMD APM volume 2 chapter 10. An engine calls
 * cpu_enter_smm when it takes an SMI, between two instructions; the handler ends by RSM. On the
 * vcpu's thread, without the VM lock.
 *
 * The state save map is AMD64's (revision 0x64) on models with long mode, else the one that Intel's
 * and AMD's 32-bit processors share (revision 0): firmware tells them apart by the revision. SMBASE
 * can be relocated, I/O instructions are not restarted. What the map does not hold (FPU, CR2,
 * DR0-3, MSRs) is the handler's to keep.
 */
#ifndef CPU_SMM_H
#define CPU_SMM_H

#include "cpu/vcpu.h"

#define SMM_BASE_RESET 0x30000

/* Saves the state at SMBASE + 0xfe00 and goes on at SMBASE + 0x8000 in what is nearly real mode. */
void cpu_enter_smm(struct vcpu *cpu);

/* RSM: back to what was interrupted. #UD outside SMM; a state that no processor can be in shuts the
 * processor down. Leaves with cpu->rip set. */
void cpu_leave_smm(struct vcpu *cpu);

#endif
