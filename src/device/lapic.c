/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Local APICs: which interrupts are accepted, in what order the processor gets them, and the
 * messages between processors. Intel SDM 3A, 11.4 to 11.8.
 *
 * Registers are those of a P4/Xeon: version 0x14, six LVT entries, no EOI-broadcast suppression.
 */
#include "device/lapic_internal.h"

#include <assert.h>

#include "base/log.h"

static int highest(const uint32_t words[8])
{
    for (int i = 7; i >= 0; i--)
        if (words[i])
            return i * 32 + 31 - __builtin_clz(words[i]);
    return -1;
}

static void set_bit(uint32_t words[8], unsigned vector, bool on)
{
    if (on)
        words[vector / 32] |= 1u << vector % 32;
    else
        words[vector / 32] &= ~(1u << vector % 32);
}

static bool test_bit(const uint32_t words[8], unsigned vector)
{
    return words[vector / 32] >> vector % 32 & 1;
}

unsigned lapic_ppr(const struct lapic_cpu *cpu)
{
    int serviced = highest(cpu->isr);
    unsigned class = serviced < 0 ? 0 : (unsigned)serviced & 0xf0;
    return cpu->tpr >= class ? cpu->tpr : class;
}

/* The vector the processor would get now, or -1. */
static int deliverable(const struct lapic_cpu *cpu)
{
    int vector = highest(cpu->irr);
    if (!lapic_enabled(cpu) || vector < 0 || (unsigned)vector >> 4 <= lapic_ppr(cpu) >> 4)
        return -1;
    return vector;
}

static unsigned lvt_mode(uint32_t lvt)
{
    return lvt >> 8 & 7;
}

bool lapic_takes_extint(const struct lapic *lapic, unsigned n)
{
    const struct lapic_cpu *cpu = &lapic->cpu[n];
    if (!cpu->lint0)
        return false;
    if (!lapic_enabled(cpu))
        return n == 0; /* LINT0 is the INTR pin then; only the first processor's is connected */
    uint32_t lvt = cpu->lvt[LVT_LINT0];
    return !(lvt & LVT_MASKED) && lvt_mode(lvt) == LAPIC_EXTINT;
}

void lapic_update(struct lapic_cpu *cpu)
{
    bool level = deliverable(cpu) >= 0 || lapic_takes_extint(cpu->lapic, cpu->index);
    if (level == cpu->intr)
        return;
    cpu->intr = level;
    cpu->lapic->wires.intr(cpu->lapic->wires.opaque, cpu->index, level);
}

int lapic_acknowledge(struct lapic *lapic, unsigned n)
{
    struct lapic_cpu *cpu = &lapic->cpu[n];
    int vector = deliverable(cpu);
    if (vector < 0)
        return -1;
    set_bit(cpu->irr, (unsigned)vector, false);
    set_bit(cpu->isr, (unsigned)vector, true);
    lapic_update(cpu);
    return vector;
}

uint64_t lapic_cr8_read(const struct lapic *lapic, unsigned n)
{
    return lapic->cpu[n].tpr >> 4;
}

void lapic_cr8_write(struct lapic *lapic, unsigned n, uint64_t value)
{
    lapic->cpu[n].tpr = (uint8_t)(value << 4);
    lapic_update(&lapic->cpu[n]);
}

/* The error interrupt itself may have an illegal vector: that is noted, and no more. */
void lapic_error(struct lapic_cpu *cpu, uint32_t error)
{
    cpu->errors |= error;
    uint32_t lvt = cpu->lvt[LVT_ERROR];
    if ((lvt & LVT_MASKED) || !lapic_software_enabled(cpu))
        return;
    if ((lvt & 0xff) < 16)
        cpu->errors |= ERROR_RECEIVE_VECTOR;
    else
        lapic_accept(cpu, (uint8_t)lvt, false);
}

void lapic_accept(struct lapic_cpu *cpu, uint8_t vector, bool level_triggered)
{
    if (vector < 16) {
        lapic_error(cpu, ERROR_RECEIVE_VECTOR);
        return;
    }
    set_bit(cpu->irr, vector, true);
    set_bit(cpu->tmr, vector, level_triggered);
    lapic_update(cpu);
}

/* ---- LINT pins ---- */

static void lvt_message(struct lapic_cpu *cpu, unsigned entry)
{
    struct lapic *lapic = cpu->lapic;
    uint32_t lvt = cpu->lvt[entry];
    switch (lvt_mode(lvt)) {
    case LAPIC_FIXED:
        if (!lapic_software_enabled(cpu) || (lvt & LVT_REMOTE_IRR))
            break;
        if (entry == LVT_LINT0 && (lvt & LVT_LEVEL))
            cpu->lvt[entry] |= LVT_REMOTE_IRR;
        lapic_accept(cpu, (uint8_t)lvt, cpu->lvt[entry] & LVT_REMOTE_IRR);
        break;
    case LAPIC_NMI:
        if (lapic->wires.nmi)
            lapic->wires.nmi(lapic->wires.opaque, cpu->index);
        break;
    case LAPIC_SMI:
        if (lapic->wires.smi)
            lapic->wires.smi(lapic->wires.opaque, cpu->index);
        break;
    case LAPIC_INIT:
        lapic_cpu_init(lapic, cpu->index);
        if (lapic->wires.init)
            lapic->wires.init(lapic->wires.opaque, cpu->index);
        break;
    default: /* ExtINT is a level: lapic_takes_extint */
        break;
    }
}

void lapic_set_lint0(void *opaque, int n, bool level)
{
    struct lapic *lapic = opaque;
    (void)n;
    for (unsigned i = 0; i < lapic->count; i++) {
        struct lapic_cpu *cpu = &lapic->cpu[i];
        bool rise = level && !cpu->lint0;
        cpu->lint0 = level;
        if (rise && lapic_enabled(cpu) && !(cpu->lvt[LVT_LINT0] & LVT_MASKED))
            lvt_message(cpu, LVT_LINT0);
        lapic_update(cpu);
    }
}

void lapic_set_lint1(void *opaque, int n, bool level)
{
    struct lapic *lapic = opaque;
    (void)n;
    for (unsigned i = 0; level && i < lapic->count; i++) {
        struct lapic_cpu *cpu = &lapic->cpu[i];
        if (!lapic_enabled(cpu)) { /* LINT1 is the NMI pin then */
            if (i == 0 && lapic->wires.nmi)
                lapic->wires.nmi(lapic->wires.opaque, i);
        } else if (!(cpu->lvt[LVT_LINT1] & LVT_MASKED)) {
            lvt_message(cpu, LVT_LINT1);
        }
    }
}

void lapic_end_of_interrupt(struct lapic_cpu *cpu)
{
    int vector = highest(cpu->isr);
    if (vector < 0)
        return;
    set_bit(cpu->isr, (unsigned)vector, false);
    if (test_bit(cpu->tmr, (unsigned)vector)) {
        uint32_t *lint0 = &cpu->lvt[LVT_LINT0];
        if ((*lint0 & LVT_REMOTE_IRR) && (*lint0 & 0xff) == (unsigned)vector) {
            *lint0 &= ~(uint32_t)LVT_REMOTE_IRR;
            if (cpu->lint0 && !(*lint0 & LVT_MASKED))
                lvt_message(cpu, LVT_LINT0);
        }
        if (cpu->lapic->eoi)
            cpu->lapic->eoi(cpu->lapic->eoi_opaque, (uint8_t)vector);
    }
    lapic_update(cpu);
}

/* ---- Messages ---- */

static bool logical_match(const struct lapic_cpu *cpu, uint32_t dest)
{
    if (lapic_x2apic(cpu))
        return cpu->ldr >> 16 == dest >> 16 && (cpu->ldr & dest & 0xffff);
    if (dest > 0xff)
        return false;
    uint32_t ldr = cpu->ldr >> 24;
    if (cpu->dfr >> 28 == 0xf) /* flat */
        return ldr & dest;
    return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf);
}

static bool addressed(const struct lapic_cpu *cpu, uint32_t dest, bool wide, bool logical)
{
    if (!lapic_enabled(cpu))
        return false;
    if (dest == (wide ? UINT32_MAX : 0xff))
        return true;
    if (logical)
        return logical_match(cpu, dest);
    return dest == (lapic_x2apic(cpu) ? cpu->index : cpu->id >> 24);
}

/* One processor gets the message; false if it does not take it. */
static bool deliver_to(struct lapic_cpu *cpu, enum lapic_mode mode, uint8_t vector,
                       bool level_triggered)
{
    const struct lapic_wires *wires = &cpu->lapic->wires;
    switch (mode) {
    case LAPIC_FIXED:
    case LAPIC_LOWEST:
        if (!lapic_software_enabled(cpu))
            return false;
        lapic_accept(cpu, vector, level_triggered);
        return true;
    case LAPIC_SMI:
        if (wires->smi)
            wires->smi(wires->opaque, cpu->index);
        return true;
    case LAPIC_NMI:
        if (wires->nmi)
            wires->nmi(wires->opaque, cpu->index);
        return true;
    case LAPIC_INIT:
        lapic_cpu_init(cpu->lapic, cpu->index);
        if (wires->init)
            wires->init(wires->opaque, cpu->index);
        return true;
    case LAPIC_SIPI:
        if (wires->sipi)
            wires->sipi(wires->opaque, cpu->index, vector);
        return true;
    default:
        log_limited(LOG_UNIMP, "lapic: delivery mode %d", (int)mode);
        return false;
    }
}

unsigned lapic_deliver(struct lapic *lapic, uint32_t dest, bool wide, bool logical,
                       enum lapic_mode mode, uint8_t vector, bool level_triggered)
{
    struct lapic_cpu *lowest = NULL;
    unsigned taken = 0;
    for (unsigned i = 0; i < lapic->count; i++) {
        struct lapic_cpu *cpu = &lapic->cpu[i];
        if (!addressed(cpu, dest, wide, logical))
            continue;
        if (mode != LAPIC_LOWEST)
            taken += deliver_to(cpu, mode, vector, level_triggered);
        else if (lapic_software_enabled(cpu) && (!lowest || lapic_ppr(cpu) < lapic_ppr(lowest)))
            lowest = cpu;
    }
    if (lowest)
        taken += deliver_to(lowest, LAPIC_FIXED, vector, level_triggered);
    return taken;
}

/* command is the low half of ICR. Interrupts between processors are edges whatever it says. */
void lapic_send_ipi(struct lapic_cpu *cpu, uint32_t command, uint32_t dest, bool wide)
{
    enum lapic_mode mode = command >> 8 & 7;
    uint8_t vector = (uint8_t)command;
    bool logical = command & 1 << 11, assert_level = command & 1 << 14;
    unsigned shorthand = command >> 18 & 3;

    if (mode == LAPIC_INIT && (command & LVT_LEVEL) && !assert_level)
        return; /* INIT level de-assert: synchronised arbitration ids of old */
    if (mode <= LAPIC_LOWEST && vector < 16) {
        lapic_error(cpu, ERROR_SEND_VECTOR);
        return;
    }
    if (mode == 3 || mode == LAPIC_EXTINT) {
        log_limited(LOG_GUEST_ERRORS, "lapic: ICR with reserved delivery mode %d", (int)mode);
        return;
    }
    if (shorthand == 0) {
        lapic_deliver(cpu->lapic, dest, wide, logical, mode, vector, false);
        return;
    }
    if (shorthand == 1) { /* self */
        if (mode == LAPIC_FIXED)
            deliver_to(cpu, mode, vector, false);
        return;
    }
    if (mode == LAPIC_LOWEST)
        mode = LAPIC_FIXED;
    for (unsigned i = 0; i < cpu->lapic->count; i++) {
        struct lapic_cpu *other = &cpu->lapic->cpu[i];
        if (lapic_enabled(other) && (shorthand == 2 || other != cpu))
            deliver_to(other, mode, vector, false);
    }
}

/* ---- Life ---- */

void lapic_init_state(struct lapic_cpu *cpu)
{
    cpu->ldr = lapic_x2apic(cpu) ? (cpu->index >> 4) << 16 | 1u << (cpu->index & 15) : 0;
    cpu->dfr = UINT32_MAX;
    cpu->svr = 0xff;
    cpu->esr = cpu->errors = 0;
    cpu->icr[0] = cpu->icr[1] = 0;
    for (unsigned i = 0; i < LAPIC_LVTS; i++)
        cpu->lvt[i] = LVT_MASKED;
    memset(cpu->irr, 0, sizeof(cpu->irr));
    memset(cpu->isr, 0, sizeof(cpu->isr));
    memset(cpu->tmr, 0, sizeof(cpu->tmr));
    cpu->tpr = 0;
    cpu->initial_count = cpu->divide = 0;
    cpu->timer_start = 0;
    cpu->tsc_deadline = 0;
    timer_cancel(&cpu->timer);
}

void lapic_cpu_init(struct lapic *lapic, unsigned n)
{
    lapic_init_state(&lapic->cpu[n]);
    lapic_update(&lapic->cpu[n]);
}

/* All processors see the registers at the place the first one has chosen; nobody who runs several
 * moves them. */
void lapic_map(struct lapic *lapic)
{
    bool wanted = false;
    for (unsigned i = 0; i < lapic->count; i++)
        wanted |= lapic_enabled(&lapic->cpu[i]) && !lapic_x2apic(&lapic->cpu[i]);
    gpa_t base = lapic->cpu[0].base & PAGE_MASK;
    mem_begin(lapic->mem);
    if (lapic->region.base != base)
        mem_move(lapic->mem, &lapic->region, base);
    if (lapic->region.enabled != wanted)
        mem_set_enabled(lapic->mem, &lapic->region, wanted);
    mem_commit(lapic->mem);
}

/* LINT0 of the first processor is the virtual wire at reset, as the MP specification (3.6.2.2)
 * wants it and firmware sets it: the 8259A works before anybody looks at the APIC. */
static void reset(struct device *device)
{
    struct lapic *lapic = (struct lapic *)device;
    for (unsigned i = 0; i < lapic->count; i++) {
        struct lapic_cpu *cpu = &lapic->cpu[i];
        cpu->base = LAPIC_BASE | BASE_ENABLE | (i == 0 ? BASE_BSP : 0);
        cpu->id = i << 24;
        lapic_init_state(cpu);
        if (i == 0)
            cpu->lvt[LVT_LINT0] = LAPIC_EXTINT << 8;
        lapic_update(cpu);
    }
    lapic_map(lapic);
}

static void fini(struct device *device)
{
    struct lapic *lapic = (struct lapic *)device;
    for (unsigned i = 0; i < lapic->count; i++)
        timer_cancel(&lapic->cpu[i].timer);
    mem_remove(lapic->mem, &lapic->region);
}

static int loaded(void *object, struct error *err)
{
    (void)err;
    struct lapic *lapic = object;
    for (unsigned i = 0; i < lapic->count; i++) {
        struct lapic_cpu *cpu = &lapic->cpu[i];
        cpu->base &= ((uint64_t)1 << 52) - 1;
        if (cpu->timer_start < 0)
            cpu->timer_start = 0;
        lapic_timer_arm(cpu);
        lapic_update(cpu);
    }
    lapic_map(lapic);
    return 0;
}

static const struct state_field cpu_fields[] = {
    STATE_FIELD(struct lapic_cpu, base),         STATE_FIELD(struct lapic_cpu, id),
    STATE_FIELD(struct lapic_cpu, ldr),          STATE_FIELD(struct lapic_cpu, dfr),
    STATE_FIELD(struct lapic_cpu, svr),          STATE_FIELD(struct lapic_cpu, esr),
    STATE_FIELD(struct lapic_cpu, errors),       STATE_ARRAY(struct lapic_cpu, icr),
    STATE_ARRAY(struct lapic_cpu, lvt),          STATE_ARRAY(struct lapic_cpu, irr),
    STATE_ARRAY(struct lapic_cpu, isr),          STATE_ARRAY(struct lapic_cpu, tmr),
    STATE_FIELD(struct lapic_cpu, tpr),          STATE_FIELD(struct lapic_cpu, initial_count),
    STATE_FIELD(struct lapic_cpu, divide),       STATE_FIELD(struct lapic_cpu, timer_start),
    STATE_FIELD(struct lapic_cpu, tsc_deadline), STATE_FIELD(struct lapic_cpu, lint0),
};
static const struct state_table cpu_table = STATE_TABLE("lapic-cpu", 1, cpu_fields, NULL);
static const struct state_field fields[] = {
    STATE_SUB_ARRAY(struct lapic, cpu, &cpu_table),
};
static const struct state_table table = STATE_TABLE("lapic", 1, fields, loaded);

static const struct device_type type = {
    .name = "lapic", .state = &table, .reset = reset, .fini = fini};

void lapic_init(struct lapic *lapic, struct mem *mem, struct timers *timers, unsigned count,
                const struct lapic_wires *wires)
{
    assert(count >= 1 && count <= LAPIC_MAX);
    memset(lapic, 0, sizeof(*lapic));
    lapic->device.type = &type;
    lapic->mem = mem;
    lapic->wires = *wires;
    lapic->count = count;
    for (unsigned i = 0; i < LAPIC_MAX; i++) {
        struct lapic_cpu *cpu = &lapic->cpu[i];
        cpu->lapic = lapic;
        cpu->index = i;
        timer_init(&cpu->timer, timers, lapic_timer_fire, cpu);
    }
    lapic->region = (struct mem_region){
        .name = "lapic",
        .kind = MEM_IO,
        .priority = 100,
        .base = LAPIC_BASE,
        .size = PAGE_SIZE,
        .ops = &lapic_mmio_ops,
        .opaque = lapic,
    };
    mem_add(mem, &lapic->region);
    reset(&lapic->device);
}
