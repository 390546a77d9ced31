/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Segment registers, far transfers, tasks: SDM 3A chapters 3, 5 and 7. Faults leave by cpu_raise
 * before anything is committed. On the vcpu's thread, without the VM lock.
 *
 * Far transfers take the instruction's operand size in bytes (2, 4, 8) and the return address, and
 * end with cpu->rip at the target and cpu_update_mode called.
 */
#ifndef CPU_SEGMENT_H
#define CPU_SEGMENT_H

#include "cpu/vcpu.h"

/* MOV, POP, LDS...: loads ES, SS, DS, FS, GS with all checks of the mode. SEG_CS is #UD's business,
 * the caller's. Does not set the MOV SS shadow. */
void cpu_load_segment(struct vcpu *cpu, enum segment_register seg, uint16_t selector);

void cpu_far_jump(struct vcpu *cpu, uint16_t selector, uint64_t offset, unsigned opsize,
                  uint64_t next_rip);
void cpu_far_call(struct vcpu *cpu, uint16_t selector, uint64_t offset, unsigned opsize,
                  uint64_t next_rip);
void cpu_far_return(struct vcpu *cpu, unsigned opsize, uint16_t pop_bytes);
void cpu_iret(struct vcpu *cpu, unsigned opsize, uint64_t next_rip);

/* Hardware task switch to a TSS selector. */
enum task_switch { TASK_JMP, TASK_CALL, TASK_IRET, TASK_INT };
void cpu_task_switch(struct vcpu *cpu, uint16_t selector, enum task_switch how, uint64_t next_rip,
                     bool has_error, uint32_t error);

void cpu_lldt(struct vcpu *cpu, uint16_t selector);
void cpu_ltr(struct vcpu *cpu, uint16_t selector);
/* LAR, LSL, VERR, VERW: false clears ZF. */
bool cpu_lar(struct vcpu *cpu, uint16_t selector, uint32_t *value);
bool cpu_lsl(struct vcpu *cpu, uint16_t selector, uint32_t *value);
bool cpu_verify(struct vcpu *cpu, uint16_t selector, bool write);

/* What SYSCALL and SYSRET load, as the MSRs are now. wide: SYSRET goes to 64-bit code. */
void segment_syscall(const struct vcpu *cpu, struct segment *cs, struct segment *ss);
void segment_sysret(const struct vcpu *cpu, bool wide, struct segment *cs, struct segment *ss);
enum { SYSRET_FLAGS = 0x3c7fd7 }; /* of R11, in long mode */
void cpu_syscall(struct vcpu *cpu, uint64_t next_rip);
void cpu_sysret(struct vcpu *cpu, unsigned opsize);
void cpu_sysenter(struct vcpu *cpu);
void cpu_sysexit(struct vcpu *cpu, unsigned opsize);

/* I/O permission (IOPL, TSS bitmap): raises #GP(0) if [port, port+size) is not allowed. */
void cpu_check_io(struct vcpu *cpu, uint16_t port, unsigned size);

/* The real-mode way: selector << 4, limit and rights untouched. Also V86. */
void cpu_load_segment_real(struct vcpu *cpu, enum segment_register seg, uint16_t selector);

/* Linear address of seg:offset for an access of size bytes, with the type, limit and canonical
 * checks of the mode: #GP(0), or #SS(0) for SS. */
gva_t cpu_linear(struct vcpu *cpu, enum segment_register seg, uint64_t offset, unsigned size,
                 bool write);

/* Width of the stack pointer now: 2, 4 or 8; and the stack through it. Push of `size` bytes. */
unsigned cpu_stack_width(const struct vcpu *cpu);
void cpu_push(struct vcpu *cpu, uint64_t value, unsigned size);
uint64_t cpu_pop(struct vcpu *cpu, unsigned size);

#endif
