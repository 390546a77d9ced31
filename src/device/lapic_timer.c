/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The local APIC's timer: Intel SDM 3A, 11.5.4. Counts a bus of 1 GHz through the divider: one
 * count is `divide` ns.
 *
 * A guest may ask for a period of one nanosecond. The count it reads stays right, but it is
 * interrupted no more often than every MIN_PERIOD_NS: expirations in between are one interrupt, as
 * they would be for a processor too slow to take each.
 */
#include "device/lapic_internal.h"

enum { MIN_PERIOD_NS = 20000 };

static bool tsc_mode(const struct lapic_cpu *cpu)
{
    return cpu->lvt[LVT_TIMER] & LVT_TIMER_TSC;
}

static uint32_t divider(const struct lapic_cpu *cpu)
{
    uint32_t code = (cpu->divide & 3) | (cpu->divide >> 1 & 4);
    return code == 7 ? 1 : 2u << code;
}

static int64_t period(const struct lapic_cpu *cpu)
{
    return (int64_t)cpu->initial_count * divider(cpu);
}

static int64_t elapsed(const struct lapic_cpu *cpu)
{
    int64_t ns = timers_now(cpu->timer.timers) - cpu->timer_start;
    return ns > 0 ? ns : 0;
}

uint32_t lapic_timer_count(const struct lapic_cpu *cpu)
{
    if (tsc_mode(cpu) || cpu->initial_count == 0)
        return 0;
    int64_t ns = elapsed(cpu);
    if (cpu->lvt[LVT_TIMER] & LVT_TIMER_PERIODIC)
        ns %= period(cpu);
    else if (ns >= period(cpu))
        return 0;
    return cpu->initial_count - (uint32_t)(ns / divider(cpu));
}

/* The next expiration on the grid of periods, far enough away. */
static int64_t next_periodic(const struct lapic_cpu *cpu)
{
    int64_t length = period(cpu), ns = elapsed(cpu);
    int64_t earliest = length < MIN_PERIOD_NS ? ns + MIN_PERIOD_NS : ns + 1;
    return cpu->timer_start + (earliest + length - 1) / length * length;
}

static void arm_tsc(struct lapic_cpu *cpu)
{
    const struct lapic_wires *wires = &cpu->lapic->wires;
    if (cpu->tsc_deadline && wires->tsc_time)
        timer_set(&cpu->timer, wires->tsc_time(wires->opaque, cpu->index, cpu->tsc_deadline));
    else
        timer_cancel(&cpu->timer);
}

void lapic_timer_arm(struct lapic_cpu *cpu)
{
    uint32_t lvt = cpu->lvt[LVT_TIMER];
    if (tsc_mode(cpu)) {
        arm_tsc(cpu);
        return;
    }
    timer_cancel(&cpu->timer);
    if ((lvt & LVT_MASKED) || cpu->initial_count == 0)
        return; /* counts all the same, with nobody to tell */
    if (lvt & LVT_TIMER_PERIODIC)
        timer_set(&cpu->timer, next_periodic(cpu));
    else if (elapsed(cpu) < period(cpu))
        timer_set(&cpu->timer, cpu->timer_start + period(cpu));
}

void lapic_timer_fire(void *opaque)
{
    struct lapic_cpu *cpu = opaque;
    uint32_t lvt = cpu->lvt[LVT_TIMER];
    if (tsc_mode(cpu))
        cpu->tsc_deadline = 0;
    else if (lvt & LVT_TIMER_PERIODIC)
        timer_set(&cpu->timer, next_periodic(cpu));
    if (!(lvt & LVT_MASKED) && lapic_software_enabled(cpu))
        lapic_accept(cpu, (uint8_t)lvt, false);
}

/* Going into or out of TSC-deadline mode disarms. */
void lapic_timer_set_lvt(struct lapic_cpu *cpu, uint32_t value)
{
    if ((value & LVT_TIMER_TSC) && !cpu->lapic->wires.tsc_time)
        value &= ~(uint32_t)LVT_TIMER_TSC;
    if ((value ^ cpu->lvt[LVT_TIMER]) & LVT_TIMER_TSC) {
        cpu->initial_count = 0;
        cpu->tsc_deadline = 0;
    }
    cpu->lvt[LVT_TIMER] = value;
    lapic_timer_arm(cpu);
}
