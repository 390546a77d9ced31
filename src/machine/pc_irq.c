/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The wires of the board: interrupt lines from chips to both kinds of controller and on to the
 * processors, A20, reset.
 */
#include "machine/pc_internal.h"

#include "cpu/clock.h"

static void cpu_line(struct pc *pc, unsigned index, uint32_t request, bool level)
{
    if (level) {
        cpu_request(pc->vcpus[index], request);
        pc->host.wake_vcpu(pc->host.opaque, (int)index);
    } else {
        cpu_unrequest(pc->vcpus[index], request);
    }
}

static void apic_intr(void *opaque, unsigned n, bool level)
{
    cpu_line(opaque, n, VCPU_REQ_INTR, level);
}

static void apic_nmi(void *opaque, unsigned n)
{
    cpu_line(opaque, n, VCPU_REQ_NMI, true);
}

static void apic_smi(void *opaque, unsigned n)
{
    cpu_line(opaque, n, VCPU_REQ_SMI, true);
}

static void apic_init(void *opaque, unsigned n)
{
    cpu_line(opaque, n, VCPU_REQ_INIT, true);
}

/* With one processor there is no doubt whose access it is. */
static int apic_current(void *opaque)
{
    (void)opaque;
    return 0;
}

static int64_t apic_tsc_time(void *opaque, unsigned n, uint64_t tsc)
{
    struct pc *pc = opaque;
    if (!pc->tsc_khz)
        pc->tsc_khz = max_u64(clock_tsc_khz(pc->vcpus[n]), 1);
    int64_t now = timers_now(pc->timers);
    int64_t ticks = (int64_t)(tsc - cpu_tsc(pc->vcpus[n]));
    __int128 at = now + (__int128)ticks * 1000000 / (int64_t)pc->tsc_khz;
    return at < 0 ? 0 : at > INT64_MAX ? INT64_MAX : (int64_t)at;
}

/* The local APIC's own interrupts go first; then the 8259A's, when LINT0 lets it through. */
static int intr_acknowledge(void *opaque, int index)
{
    struct pc *pc = opaque;
    int vector = lapic_acknowledge(&pc->lapic, (unsigned)index);
    if (vector < 0 && lapic_takes_extint(&pc->lapic, (unsigned)index))
        vector = pic_acknowledge(&pc->pic);
    return vector;
}

static uint64_t cr8_read(void *opaque, int index)
{
    struct pc *pc = opaque;
    return lapic_cr8_read(&pc->lapic, (unsigned)index);
}

static void cr8_write(void *opaque, int index, uint64_t value)
{
    struct pc *pc = opaque;
    lapic_cr8_write(&pc->lapic, (unsigned)index, value);
}

static bool apic_msr_read(void *opaque, int index, uint32_t msr, uint64_t *value)
{
    struct pc *pc = opaque;
    return lapic_msr_read(&pc->lapic, (unsigned)index, msr, value);
}

static bool apic_msr_write(void *opaque, int index, uint32_t msr, uint64_t value)
{
    struct pc *pc = opaque;
    return lapic_msr_write(&pc->lapic, (unsigned)index, msr, value);
}

static void cpu_ferr(void *opaque, bool level)
{
    struct pc *pc = opaque;
    ferr_set(&pc->ferr, level);
}

static bool line_level(const struct pc *pc, int n)
{
    uint32_t levels = pc->irq_levels;
    if (pc->hpet_legacy)
        levels &= ~(1u << 0 | 1u << 8);
    return levels & (1u << n | 1u << (IRQ_SECOND + n));
}

/* Line 0 is the I/O APIC's pin 2, as on every PC with ACPI. */
static void drive_pin(struct pc *pc, int pin)
{
    bool level = pc->hpet_pins >> pin & 1;
    if (pin == 2)
        level |= line_level(pc, 0);
    else if (pin < IRQ_LINES)
        level |= line_level(pc, pin);
    ioapic_set_irq(&pc->ioapic, pin, level);
}

/* A line goes to both kinds of controller; the guest uses one and masks the other. */
static void drive_line(struct pc *pc, int n)
{
    pic_set_irq(&pc->pic, n, line_level(pc, n));
    drive_pin(pc, n == 0 ? 2 : n);
}

static void irq_line(void *opaque, int n, bool level)
{
    struct pc *pc = opaque;
    uint32_t bit = 1u << n;
    pc->irq_levels = level ? pc->irq_levels | bit : pc->irq_levels & ~bit;
    drive_line(pc, n % IRQ_LINES);
}

static void hpet_pin(void *opaque, int n, bool level)
{
    struct pc *pc = opaque;
    uint32_t bit = 1u << n;
    pc->hpet_pins = level ? pc->hpet_pins | bit : pc->hpet_pins & ~bit;
    drive_pin(pc, n);
}

static void hpet_legacy(void *opaque, bool on)
{
    struct pc *pc = opaque;
    pc->hpet_legacy = on;
    drive_line(pc, 0);
    drive_line(pc, 8);
}

static void set_a20(struct pc *pc)
{
    uint64_t mask = pc->a20_keyboard || pc->a20_port92 ? ~0ull : ~(1ull << 20);
    if (atomic_exchange(&pc->world->a20_mask, mask) == mask)
        return;
    for (unsigned i = 0; i < pc->vcpu_count; i++)
        cpu_request(pc->vcpus[i], VCPU_REQ_FLUSH);
}

static void a20_keyboard(void *opaque, int n, bool level)
{
    (void)n;
    struct pc *pc = opaque;
    pc->a20_keyboard = level;
    set_a20(pc);
}

static void a20_port92(void *opaque, int n, bool level)
{
    (void)n;
    struct pc *pc = opaque;
    pc->a20_port92 = level;
    set_a20(pc);
}

static void reset_line(void *opaque, int n, bool level)
{
    (void)n;
    struct pc *pc = opaque;
    if (level)
        pc->host.reset(pc->host.opaque);
}

void pc_reset_by_chip(void *opaque)
{
    reset_line(opaque, 0, true);
}

/* Before anything that drives an interrupt line. */
static void build_apic(struct pc *pc, const struct machine_parts *parts)
{
    const struct lapic_wires wires = {
        .opaque = pc,
        .intr = apic_intr,
        .nmi = apic_nmi,
        .smi = apic_smi,
        .init = apic_init,
        .current = apic_current,
        .tsc_time = apic_tsc_time,
    };
    lapic_init(&pc->lapic, pc->mem, parts->timers, pc->vcpu_count, &wires);
    pc_add(pc, &pc->lapic.device);
    ioapic_init(&pc->ioapic, pc->mem, &pc->lapic);
    pc_add(pc, &pc->ioapic.device);
    struct vcpu_world *world = pc->world;
    world->board = pc;
    world->intr_acknowledge = intr_acknowledge;
    world->cr8_read = cr8_read;
    world->cr8_write = cr8_write;
    world->apic_msr_read = apic_msr_read;
    world->apic_msr_write = apic_msr_write;
    world->ferr = cpu_ferr;
}

static void build_hpet(struct pc *pc)
{
    struct hpet_wires wires = {
        .irq0 = pc->pci_irq[0], .irq8 = pc->pci_irq[8], .legacy = hpet_legacy, .opaque = pc};
    for (int i = 0; i < HPET_PINS; i++)
        wires.pin[i] = (struct irq){hpet_pin, pc, i};
    hpet_init(&pc->hpet, pc->mem, pc->timers, &wires);
    pc_add(pc, &pc->hpet.device);
}

void pc_build_irqs(struct pc *pc, const struct machine_parts *parts)
{
    for (int i = 0; i < IRQ_LINES; i++) {
        pc->isa_irq[i] = (struct irq){irq_line, pc, i};
        pc->pci_irq[i] = (struct irq){irq_line, pc, IRQ_SECOND + i};
    }
    build_apic(pc, parts);
    if (pc->config->hpet)
        build_hpet(pc);
}

struct irq pc_a20_keyboard(struct pc *pc)
{
    return (struct irq){a20_keyboard, pc, 0};
}

struct irq pc_a20_port92(struct pc *pc)
{
    return (struct irq){a20_port92, pc, 0};
}

/* SMI#. The boot processor's alone: firmware gives no other an SMBASE of its own. */
static void chip_smi(void *opaque, int n, bool level)
{
    (void)n;
    if (level)
        apic_smi(opaque, 0);
}

struct irq pc_smi(struct pc *pc)
{
    return (struct irq){chip_smi, pc, 0};
}

struct irq pc_reset_line(struct pc *pc)
{
    return (struct irq){reset_line, pc, 0};
}
