/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The local APIC's registers by MMIO (xAPIC) and by MSR (x2APIC): Intel SDM 3A, table 11-1 and
 * section 11.12. A register's number is its offset / 16 = its MSR - 0x800.
 */
#include "device/lapic_internal.h"

#include "base/log.h"

enum {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_APR = 0x09,
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_RRD = 0x0c,
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10,
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR = 0x30,
    REG_ICR_HIGH = 0x31,
    REG_LVT = 0x32,
    REG_INITIAL = 0x38,
    REG_CURRENT = 0x39,
    REG_DIVIDE = 0x3e,
    REG_SELF_IPI = 0x3f,

    VERSION = 0x14 | (LAPIC_LVTS - 1) << 16,
    SVR_WRITABLE = 0x1ff,
    DIVIDE_WRITABLE = 0xb,
    ICR_WRITABLE = 0x000ccfff,

    MSR_APIC_BASE = 0x1b,
    MSR_TSC_DEADLINE = 0x6e0,
    MSR_X2APIC = 0x800,
};

static const uint32_t lvt_writable[LAPIC_LVTS] = {
    [LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERFORMANCE] = 0x107ff,
    [LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff,   [LVT_ERROR] = 0x100ff,
};

/* False: there is no such register to read. */
static bool read_register(const struct lapic_cpu *cpu, unsigned reg, uint32_t *value)
{
    switch (reg) {
    case REG_ID:
        *value = lapic_x2apic(cpu) ? cpu->index : cpu->id;
        return true;
    case REG_VERSION:
        *value = VERSION;
        return true;
    case REG_TPR:
        *value = cpu->tpr;
        return true;
    case REG_APR:
    case REG_PPR:
        *value = lapic_ppr(cpu);
        return true;
    case REG_RRD:
        *value = 0;
        return true;
    case REG_LDR:
        *value = cpu->ldr;
        return true;
    case REG_DFR:
        *value = cpu->dfr;
        return true;
    case REG_SVR:
        *value = cpu->svr;
        return true;
    case REG_ISR ... REG_ISR + 7:
        *value = cpu->isr[reg - REG_ISR];
        return true;
    case REG_TMR ... REG_TMR + 7:
        *value = cpu->tmr[reg - REG_TMR];
        return true;
    case REG_IRR ... REG_IRR + 7:
        *value = cpu->irr[reg - REG_IRR];
        return true;
    case REG_ESR:
        *value = cpu->esr;
        return true;
    case REG_ICR:
    case REG_ICR_HIGH:
        *value = cpu->icr[reg - REG_ICR];
        return true;
    case REG_LVT ... REG_LVT + LAPIC_LVTS - 1:
        *value = cpu->lvt[reg - REG_LVT];
        return true;
    case REG_INITIAL:
        *value = cpu->initial_count;
        return true;
    case REG_CURRENT:
        *value = lapic_timer_count(cpu);
        return true;
    case REG_DIVIDE:
        *value = cpu->divide;
        return true;
    default:
        return false;
    }
}

/* Software disable masks every LVT entry, and they stay masked until it is enabled again. */
static void write_svr(struct lapic_cpu *cpu, uint32_t value)
{
    bool was = cpu->svr & SVR_ENABLE;
    cpu->svr = value & SVR_WRITABLE;
    if (was && !(cpu->svr & SVR_ENABLE)) {
        for (unsigned i = 0; i < LAPIC_LVTS; i++)
            cpu->lvt[i] |= LVT_MASKED;
        lapic_timer_arm(cpu);
    }
    lapic_update(cpu);
}

static void write_lvt(struct lapic_cpu *cpu, unsigned entry, uint32_t value)
{
    value &= lvt_writable[entry];
    if (!(cpu->svr & SVR_ENABLE))
        value |= LVT_MASKED;
    if (entry == LVT_TIMER) {
        lapic_timer_set_lvt(cpu, value);
        return;
    }
    if (value & LVT_LEVEL) /* an edge-triggered entry has no remote IRR */
        value |= cpu->lvt[entry] & LVT_REMOTE_IRR;
    cpu->lvt[entry] = value;
    lapic_update(cpu);
}

/* The registers both modes write alike. False: no such register to write. */
static bool write_register(struct lapic_cpu *cpu, unsigned reg, uint32_t value)
{
    switch (reg) {
    case REG_TPR:
        cpu->tpr = (uint8_t)value;
        lapic_update(cpu);
        return true;
    case REG_EOI:
        lapic_end_of_interrupt(cpu);
        return true;
    case REG_SVR:
        write_svr(cpu, value);
        return true;
    case REG_ESR:
        cpu->esr = cpu->errors;
        cpu->errors = 0;
        return true;
    case REG_LVT ... REG_LVT + LAPIC_LVTS - 1:
        write_lvt(cpu, reg - REG_LVT, value);
        return true;
    case REG_INITIAL:
        if (cpu->lvt[LVT_TIMER] & LVT_TIMER_TSC)
            return true; /* ignored in TSC-deadline mode */
        cpu->initial_count = value;
        cpu->timer_start = timers_now(cpu->timer.timers);
        lapic_timer_arm(cpu);
        return true;
    case REG_DIVIDE:
        cpu->divide = value & DIVIDE_WRITABLE;
        lapic_timer_arm(cpu);
        return true;
    default:
        return false;
    }
}

static bool write_xapic(struct lapic_cpu *cpu, unsigned reg, uint32_t value)
{
    switch (reg) {
    case REG_ID:
        cpu->id = value & 0xff000000;
        return true;
    case REG_LDR:
        cpu->ldr = value & 0xff000000;
        return true;
    case REG_DFR:
        cpu->dfr = value | 0x0fffffff;
        return true;
    case REG_ICR:
        cpu->icr[0] = value & ICR_WRITABLE;
        lapic_send_ipi(cpu, cpu->icr[0], cpu->icr[1] >> 24, false);
        return true;
    case REG_ICR_HIGH:
        cpu->icr[1] = value & 0xff000000;
        return true;
    default:
        return write_register(cpu, reg, value);
    }
}

/* ---- MMIO ---- */

/* Whose registers an access means; NULL: not an xAPIC access. */
static struct lapic_cpu *accessed(struct lapic *lapic, uint64_t offset)
{
    int n = lapic->wires.current(lapic->wires.opaque);
    if (n < 0 || (unsigned)n >= lapic->count) {
        log_limited(LOG_GUEST_ERRORS, "lapic: a device accesses %#llx", (unsigned long long)offset);
        return NULL;
    }
    struct lapic_cpu *cpu = &lapic->cpu[n];
    return lapic_enabled(cpu) && !lapic_x2apic(cpu) ? cpu : NULL;
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    struct lapic_cpu *cpu = accessed(opaque, offset);
    uint32_t value = 0;
    (void)size;
    if (!cpu)
        return UINT64_MAX;
    if (offset & 15)
        return 0;
    if (!read_register(cpu, (unsigned)(offset >> 4), &value))
        lapic_error(cpu, ERROR_REGISTER);
    return value;
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct lapic_cpu *cpu = accessed(opaque, offset);
    (void)size;
    if (!cpu || (offset & 15))
        return;
    if (!write_xapic(cpu, (unsigned)(offset >> 4), (uint32_t)value)) {
        log_limited(LOG_GUEST_ERRORS, "lapic: write of %#x to register %#llx", (uint32_t)value,
                    (unsigned long long)offset);
        lapic_error(cpu, ERROR_REGISTER);
    }
}

const struct io_ops lapic_mmio_ops = {mmio_read, mmio_write, 4, 4};

/* ---- MSRs ---- */

static bool read_x2apic(const struct lapic_cpu *cpu, unsigned reg, uint64_t *value)
{
    uint32_t low = 0;
    if (reg == REG_ICR) {
        *value = cpu->icr[0] | (uint64_t)cpu->icr[1] << 32;
        return true;
    }
    if (reg == REG_APR || reg == REG_RRD || reg == REG_DFR || reg == REG_ICR_HIGH)
        return false;
    bool there = read_register(cpu, reg, &low);
    *value = low;
    return there;
}

/* The bits of a register that may be set; reserved ones are #GP. */
static bool x2apic_value_allowed(unsigned reg, uint64_t value)
{
    switch (reg) {
    case REG_TPR:
    case REG_SELF_IPI:
        return value <= 0xff;
    case REG_EOI:
    case REG_ESR:
        return value == 0;
    case REG_SVR:
        return !(value & ~(uint64_t)SVR_WRITABLE);
    case REG_LVT ... REG_LVT + LAPIC_LVTS - 1:
        return !(value & ~(uint64_t)(lvt_writable[reg - REG_LVT] | 1 << 12 | LVT_REMOTE_IRR));
    case REG_DIVIDE:
        return !(value & ~(uint64_t)DIVIDE_WRITABLE);
    case REG_ICR:
        return !((uint32_t)value & ~(uint32_t)(ICR_WRITABLE | 1 << 12));
    default:
        return value <= UINT32_MAX;
    }
}

static bool write_x2apic(struct lapic_cpu *cpu, unsigned reg, uint64_t value)
{
    if (!x2apic_value_allowed(reg, value))
        return false;
    switch (reg) {
    case REG_ICR:
        cpu->icr[0] = (uint32_t)value & ICR_WRITABLE;
        cpu->icr[1] = (uint32_t)(value >> 32);
        lapic_send_ipi(cpu, cpu->icr[0], cpu->icr[1], true);
        return true;
    case REG_SELF_IPI:
        lapic_send_ipi(cpu, 1u << 18 | (uint32_t)value, 0, true);
        return true;
    default:
        return write_register(cpu, reg, (uint32_t)value);
    }
}

/* SDM 11.12.5: xAPIC to x2APIC, either to disabled, disabled to xAPIC; the rest is #GP. */
static bool write_base(struct lapic_cpu *cpu, uint64_t value)
{
    const uint64_t reserved = 0x2ff | ~(((uint64_t)1 << 52) - 1);
    unsigned was = cpu->base & (BASE_ENABLE | BASE_X2APIC);
    unsigned wanted = value & (BASE_ENABLE | BASE_X2APIC);
    if ((value & reserved) || wanted == BASE_X2APIC)
        return false;
    if (was != wanted &&
        ((was == 0 && wanted != BASE_ENABLE) || (was & BASE_X2APIC && wanted == BASE_ENABLE)))
        return false;
    cpu->base = value;
    if (was != wanted) {
        if (wanted == 0)
            lapic_init_state(cpu);
        else if (wanted & BASE_X2APIC)
            cpu->ldr = (cpu->index >> 4) << 16 | 1u << (cpu->index & 15);
        else
            cpu->id = cpu->index << 24;
    }
    lapic_map(cpu->lapic);
    lapic_update(cpu);
    return true;
}

static bool write_tsc_deadline(struct lapic_cpu *cpu, uint64_t value)
{
    if (!cpu->lapic->wires.tsc_time)
        return false;
    if (cpu->lvt[LVT_TIMER] & LVT_TIMER_TSC) { /* else ignored */
        cpu->tsc_deadline = value;
        lapic_timer_arm(cpu);
    }
    return true;
}

bool lapic_msr_read(struct lapic *lapic, unsigned n, uint32_t msr, uint64_t *value)
{
    struct lapic_cpu *cpu = &lapic->cpu[n];
    if (msr == MSR_APIC_BASE) {
        *value = cpu->base;
        return true;
    }
    if (msr == MSR_TSC_DEADLINE) {
        *value = cpu->tsc_deadline;
        return lapic->wires.tsc_time != NULL;
    }
    return msr >= MSR_X2APIC && msr < MSR_X2APIC + 0x100 && lapic_x2apic(cpu) &&
           read_x2apic(cpu, msr - MSR_X2APIC, value);
}

bool lapic_msr_write(struct lapic *lapic, unsigned n, uint32_t msr, uint64_t value)
{
    struct lapic_cpu *cpu = &lapic->cpu[n];
    if (msr == MSR_APIC_BASE)
        return write_base(cpu, value);
    if (msr == MSR_TSC_DEADLINE)
        return write_tsc_deadline(cpu, value);
    return msr >= MSR_X2APIC && msr < MSR_X2APIC + 0x100 && lapic_x2apic(cpu) &&
           write_x2apic(cpu, msr - MSR_X2APIC, value);
}
