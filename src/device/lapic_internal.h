/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files of the local APIC share: lapic.c (priorities, delivery, life), lapic_registers.c
 * (MMIO and MSRs), lapic_timer.c. For nobody else.
 */
#ifndef DEVICE_LAPIC_INTERNAL_H
#define DEVICE_LAPIC_INTERNAL_H

#include "device/lapic.h"

enum { LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR };

enum {
    BASE_BSP = 1 << 8,
    BASE_X2APIC = 1 << 10,
    BASE_ENABLE = 1 << 11,

    SVR_ENABLE = 1 << 8,

    LVT_REMOTE_IRR = 1 << 14,
    LVT_LEVEL = 1 << 15,
    LVT_MASKED = 1 << 16,
    LVT_TIMER_PERIODIC = 1 << 17,
    LVT_TIMER_TSC = 1 << 18,
    LVT_TIMER_MODE = 3 << 17,

    ERROR_SEND_VECTOR = 1 << 5,
    ERROR_RECEIVE_VECTOR = 1 << 6,
    ERROR_REGISTER = 1 << 7,
};

static inline bool lapic_enabled(const struct lapic_cpu *cpu)
{
    return cpu->base & BASE_ENABLE;
}

static inline bool lapic_x2apic(const struct lapic_cpu *cpu)
{
    return cpu->base & BASE_X2APIC;
}

static inline bool lapic_software_enabled(const struct lapic_cpu *cpu)
{
    return lapic_enabled(cpu) && (cpu->svr & SVR_ENABLE);
}

/* lapic.c */
unsigned lapic_ppr(const struct lapic_cpu *cpu);
void lapic_update(struct lapic_cpu *cpu);     /* the interrupt line follows the registers */
void lapic_map(struct lapic *lapic);          /* the MMIO region follows IA32_APIC_BASE */
void lapic_init_state(struct lapic_cpu *cpu); /* what INIT leaves (SDM 11.4.7.1) */
void lapic_accept(struct lapic_cpu *cpu, uint8_t vector, bool level_triggered);
void lapic_error(struct lapic_cpu *cpu, uint32_t error);
void lapic_end_of_interrupt(struct lapic_cpu *cpu);
void lapic_send_ipi(struct lapic_cpu *cpu, uint32_t command, uint32_t dest, bool wide);

/* lapic_timer.c */
void lapic_timer_fire(void *opaque);
void lapic_timer_arm(struct lapic_cpu *cpu); /* after any change of what it depends on */
uint32_t lapic_timer_count(const struct lapic_cpu *cpu);
void lapic_timer_set_lvt(struct lapic_cpu *cpu, uint32_t value);

/* lapic_registers.c */
extern const struct io_ops lapic_mmio_ops;

#endif
