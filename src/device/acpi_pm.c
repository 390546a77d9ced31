/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * 82371AB datasheet: configuration 7.1, PM registers 7.2, SMBus 7.3. How it is used: firmware gives
 * the function its port base and enables it; the operating system writes "ACPI enable" to port
 * 0xb2, finds SCI_EN set, enables the events it wants, reads the PM timer as a clock, and at the
 * end writes SLP_TYP and SLP_EN.
 */
#include "device/acpi_pm.h"

#include "base/bytes.h"
#include "base/log.h"

enum {
    /* Configuration space. */
    CONFIG_PM_BASE = 0x40,
    CONFIG_DEVACTB = 0x58,
    CONFIG_PM_MISC = 0x80,
    CONFIG_SMBUS_BASE = 0x90,
    CONFIG_SMBUS_HOST = 0xd2,
    DEVACTB_APMC = 0x02, /* in byte 3: an SMI for each APM command */

    /* The PM port block. */
    PM_PORTS = 64,
    PM_STATUS = 0x00,
    PM_ENABLE = 0x02,
    PM_CONTROL = 0x04,
    PM_TIMER = 0x08,
    PM_GLOBAL_STATUS = 0x18,

    /* PMSTS, PMEN. */
    TIMER_OVERFLOW = 1 << 0,
    GLOBAL_RELEASE = 1 << 5,
    POWER_BUTTON = 1 << 8,
    RTC_ALARM = 1 << 10,
    BUTTON_OVERRIDE = 1 << 11, /* status only */
    WAKE = 1 << 15,            /* status only */
    EVENTS = TIMER_OVERFLOW | GLOBAL_RELEASE | POWER_BUTTON | RTC_ALARM,
    STATUS_BITS = EVENTS | BUTTON_OVERRIDE | WAKE,

    /* PMCNTRL; SLP_EN and GBL_RLS read as 0; the latter's SMI is not made. */
    SCI_EN = 1 << 0,
    BUS_MASTER_RELOAD = 1 << 1,
    SLEEP_TYPE_SHIFT = 10,
    SLEEP_ENABLE = 1 << 13,
    CONTROL_BITS = SCI_EN | BUS_MASTER_RELOAD | 7 << SLEEP_TYPE_SHIFT,

    APM_SMI = 1 << 5, /* of GLBSTS: an APM command made an SMI */

    SLEEP_S5 = 0,
    SLEEP_S3 = 1,
    SLEEP_S4 = 2,

    GPE_PORTS = 4, /* status, then enable, 16 bits each */
    APM_PORT = 0xb2,
    APM_ACPI_DISABLE = 0xf0, /* the FADT names these two */
    APM_ACPI_ENABLE = 0xf1,

    TIMER_BITS = 0xffffff,
    TIMER_HALF = 0x800000, /* bit 23 toggles this often */
};

static int64_t tick_now(const struct acpi_pm *pm)
{
    return (int64_t)mul_div((uint64_t)timers_now(pm->timer.timers), ACPI_PM_TIMER_HZ,
                            NS_PER_SECOND);
}

/* The first ns that belongs to this tick. */
static int64_t ns_of_tick(int64_t tick)
{
    return (int64_t)mul_div((uint64_t)tick, NS_PER_SECOND, ACPI_PM_TIMER_HZ) + 1;
}

static int64_t next_toggle(int64_t tick)
{
    return (tick | (TIMER_HALF - 1)) + 1;
}

/* PMSTS follows the clock. */
static void catch_up(struct acpi_pm *pm)
{
    int64_t now = tick_now(pm);
    if (now < pm->overflow)
        return;
    pm->status |= TIMER_OVERFLOW;
    pm->overflow = next_toggle(now);
}

/* Everything that drives the SCI ends here. With SCI_EN off events would be SMIs. */
static void update(struct acpi_pm *pm)
{
    catch_up(pm);
    bool event = (pm->status & pm->enable & EVENTS) || (pm->gpe_status & pm->gpe_enable);
    irq_set(&pm->sci, event && (pm->control & SCI_EN));
    /* The overflow needs a call only if it would be news. */
    if ((pm->enable & TIMER_OVERFLOW) && !(pm->status & TIMER_OVERFLOW))
        timer_set(&pm->timer, ns_of_tick(pm->overflow));
    else
        timer_cancel(&pm->timer);
}

static void timer_due(void *opaque)
{
    update(opaque);
}

static void ask(const struct acpi_pm *pm, void (*fn)(void *opaque), const char *what)
{
    if (fn)
        fn(pm->host.opaque);
    else
        log_limited(LOG_UNIMP, "acpi: the guest asks for %s, which this machine cannot do", what);
}

static void sleep_now(struct acpi_pm *pm)
{
    unsigned type = pm->control >> SLEEP_TYPE_SHIFT & 7;
    switch (type) {
    case SLEEP_S5:
        ask(pm, pm->host.shutdown, "power off");
        break;
    case SLEEP_S4:
        ask(pm, pm->host.shutdown, "hibernation");
        break;
    case SLEEP_S3:
        if (pm->asleep)
            break;
        pm->asleep = pm->host.suspend != NULL;
        ask(pm, pm->host.suspend, "suspend to RAM");
        break;
    default:
        log_limited(LOG_GUEST_ERRORS, "acpi: sleep type %u is reserved", type);
        break;
    }
}

/* One byte of a 16-bit register. */
static uint16_t with_byte(uint16_t value, bool high, uint8_t byte)
{
    return high ? (uint16_t)((value & 0x00ff) | byte << 8) : (uint16_t)((value & 0xff00) | byte);
}

static void write_byte(struct acpi_pm *pm, uint64_t offset, uint8_t byte)
{
    bool high = offset & 1;
    switch (offset & ~(uint64_t)1) {
    case PM_STATUS: /* writing 1 clears */
        pm->status &= (uint16_t)~with_byte(0, high, byte);
        break;
    case PM_ENABLE:
        pm->enable = with_byte(pm->enable, high, byte) & EVENTS;
        break;
    case PM_CONTROL:
        pm->control = with_byte(pm->control, high, byte) & CONTROL_BITS;
        if (high && (byte & SLEEP_ENABLE >> 8))
            sleep_now(pm);
        break;
    case PM_GLOBAL_STATUS:
        pm->global_status &= (uint16_t)~with_byte(0, high, byte);
        break;
    default:
        log_limited(LOG_UNIMP, "acpi: a write of 0x%x to PM register 0x%x", byte, (unsigned)offset);
        break;
    }
}

static void pm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct acpi_pm *pm = opaque;
    catch_up(pm); /* an overflow before this write is cleared by it, one after is not */
    for (unsigned i = 0; i < size; i++)
        write_byte(pm, offset + i, (uint8_t)(value >> (8 * i)));
    update(pm);
}

static uint64_t pm_read(void *opaque, uint64_t offset, unsigned size)
{
    struct acpi_pm *pm = opaque;
    if (offset == PM_TIMER && size == 4) /* a clock: often */
        return (uint64_t)tick_now(pm) & TIMER_BITS;
    catch_up(pm);
    uint8_t registers[PM_PORTS + 8] = {0};
    store_le16(registers + PM_STATUS, pm->status);
    store_le16(registers + PM_ENABLE, pm->enable);
    store_le16(registers + PM_CONTROL, pm->control);
    store_le16(registers + PM_GLOBAL_STATUS, pm->global_status);
    store_le32(registers + PM_TIMER, (uint32_t)tick_now(pm) & TIMER_BITS);
    return load_le(registers + (offset & (PM_PORTS - 1)), size);
}

static const struct io_ops pm_ops = {pm_read, pm_write, 1, 4};

static uint64_t gpe_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    const struct acpi_pm *pm = opaque;
    uint16_t value = offset < 2 ? pm->gpe_status : pm->gpe_enable;
    return value >> (8 * (offset & 1)) & 0xff;
}

static void gpe_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    struct acpi_pm *pm = opaque;
    bool high = offset & 1;
    if (offset < 2)
        pm->gpe_status &= (uint16_t)~with_byte(0, high, (uint8_t)value);
    else
        pm->gpe_enable = with_byte(pm->gpe_enable, high, (uint8_t)value);
    update(pm);
}

static const struct io_ops gpe_ops = {gpe_read, gpe_write, 1, 1};

static uint64_t apm_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    const struct acpi_pm *pm = opaque;
    return offset ? pm->apm_status : pm->apm_command;
}

static void apm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    struct acpi_pm *pm = opaque;
    if (offset) {
        pm->apm_status = (uint8_t)value;
        return;
    }
    pm->apm_command = (uint8_t)value;
    if (pm->apm_command == APM_ACPI_ENABLE)
        pm->control |= SCI_EN;
    else if (pm->apm_command == APM_ACPI_DISABLE)
        pm->control &= (uint16_t)~SCI_EN;
    update(pm);
    if (!(pm->pci.config[CONFIG_DEVACTB + 3] & DEVACTB_APMC))
        return;
    pm->global_status |= APM_SMI;
    irq_pulse(&pm->smi);
}

static const struct io_ops apm_ops = {apm_read, apm_write, 1, 1};

/* first 0 says that the block is nowhere; a base of 0 never maps, for the DMA and interrupt
 * controllers live there. */
static void map_ports(struct acpi_pm *pm)
{
    const uint8_t *config = pm->pci.config;
    uint16_t base = 0, smbus = 0;
    if (config[CONFIG_PM_MISC] & 1)
        base = load_le16(&config[CONFIG_PM_BASE]) & 0xffc0;
    if (config[CONFIG_SMBUS_HOST] & 1)
        smbus = load_le16(&config[CONFIG_SMBUS_BASE]) & 0xfff0;
    smbus_map(&pm->smbus, smbus);
    if (pm->ports.first == base)
        return;
    struct pio *pio = pm->pci.bus->pio;
    if (pm->ports.first)
        pio_remove(pio, &pm->ports);
    pm->ports.first = base;
    if (!base)
        return;
    int rc = pio_add(pio, &pm->ports);
    if (rc < 0) {
        pm->ports.first = 0;
        log_warn("acpi: cannot map ports 0x%x: error %d", base, -rc);
    }
}

static void config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
    (void)offset;
    (void)size;
    map_ports((struct acpi_pm *)pci);
}

bool acpi_pm_wake(struct acpi_pm *pm)
{
    if (!pm->asleep)
        return false;
    pm->wake_status = WAKE | POWER_BUTTON;
    ask(pm, pm->host.wake, "waking up");
    return true;
}

void acpi_pm_power_button(struct acpi_pm *pm)
{
    if (acpi_pm_wake(pm))
        return;
    pm->status |= POWER_BUTTON;
    update(pm);
}

void acpi_pm_gpe(struct acpi_pm *pm, unsigned event)
{
    pm->gpe_status |= (uint16_t)(1u << (event & 15));
    update(pm);
}

static void reset(struct device *device)
{
    struct acpi_pm *pm = (struct acpi_pm *)device;
    uint8_t *config = pm->pci.config;
    pci_device_reset(&pm->pci);
    store_le16(&config[PCI_STATUS], 0x0280); /* fast back-to-back, medium DEVSEL */
    memset(&config[0x40], 0, sizeof(pm->pci.config) - 0x40);
    config[CONFIG_PM_BASE] = 1; /* I/O space, hard-wired */
    config[CONFIG_SMBUS_BASE] = 1;
    pm->status = pm->wake_status;
    pm->wake_status = 0;
    pm->asleep = false;
    pm->enable = pm->control = 0;
    pm->gpe_status = pm->gpe_enable = 0;
    pm->apm_command = pm->apm_status = 0;
    pm->global_status = 0;
    pm->overflow = next_toggle(tick_now(pm));
    smbus_reset(&pm->smbus);
    map_ports(pm);
    update(pm);
}

static void fini(struct device *device)
{
    struct acpi_pm *pm = (struct acpi_pm *)device;
    struct pio *pio = pm->pci.bus->pio;
    timer_cancel(&pm->timer);
    smbus_map(&pm->smbus, 0);
    if (pm->ports.first)
        pio_remove(pio, &pm->ports);
    pio_remove(pio, &pm->gpe_ports);
    pio_remove(pio, &pm->apm_ports);
}

static int loaded(void *object, struct error *err)
{
    (void)err;
    struct acpi_pm *pm = object;
    pm->status &= STATUS_BITS;
    pm->wake_status &= STATUS_BITS;
    pm->enable &= EVENTS;
    pm->control &= CONTROL_BITS;
    pm->global_status &= APM_SMI;
    int64_t now = tick_now(pm);
    if (pm->overflow > next_toggle(now))
        pm->overflow = next_toggle(now);
    map_ports(pm);
    update(pm);
    return 0;
}

static const struct state_field fields[] = {
    STATE_SUB(struct acpi_pm, pci, &pci_device_state),
    STATE_FIELD(struct acpi_pm, status),
    STATE_FIELD(struct acpi_pm, enable),
    STATE_FIELD(struct acpi_pm, control),
    STATE_FIELD(struct acpi_pm, overflow),
    STATE_FIELD(struct acpi_pm, gpe_status),
    STATE_FIELD(struct acpi_pm, gpe_enable),
    STATE_FIELD(struct acpi_pm, apm_command),
    STATE_FIELD(struct acpi_pm, apm_status),
    STATE_FIELD(struct acpi_pm, global_status),
    STATE_FIELD(struct acpi_pm, asleep),
    STATE_FIELD(struct acpi_pm, wake_status),
    STATE_SUB(struct acpi_pm, smbus, &smbus_state),
};
static const struct state_table table = STATE_TABLE("piix4-pm", 1, fields, loaded);

static const struct device_type type = {
    .name = "PIIX4_PM", .state = &table, .reset = reset, .fini = fini};

int acpi_pm_init(struct acpi_pm *pm, struct pci_bus *bus, uint8_t devfn, struct timers *timers,
                 struct irq sci, struct irq smi, const struct acpi_pm_host *host)
{
    memset(pm, 0, sizeof(*pm));
    pm->sci = sci;
    pm->smi = smi;
    pm->host = *host;
    timer_init(&pm->timer, timers, timer_due, pm);
    smbus_init(&pm->smbus, bus->pio);

    struct pci_device *pci = &pm->pci;
    pci->device.type = &type;
    pci_device_init(pci, bus, devfn, 0x8086, 0x7113, 0x068000, 3, 1);
    store_le16(&pci->config[PCI_SUBSYSTEM_VENDOR_ID], 0x1af4);
    store_le16(&pci->config[PCI_SUBSYSTEM_ID], 0x1100);
    pci->config_written = config_written;
    pci->writable[CONFIG_PM_BASE] = 0xc0;
    pci->writable[CONFIG_PM_BASE + 1] = 0xff;
    memset(&pci->writable[0x44], 0xff, 0x80 - 0x44); /* timers and device monitors: storage */
    pci->writable[CONFIG_PM_MISC] = 0x01;
    pci->writable[CONFIG_SMBUS_BASE] = 0xf0;
    pci->writable[CONFIG_SMBUS_BASE + 1] = 0xff;
    pci->writable[CONFIG_SMBUS_HOST] = 0x0f;
    memset(&pci->writable[CONFIG_SMBUS_HOST + 1], 0xff, 3); /* slave command, shadow addresses */

    pm->ports = (struct pio_range){"piix4-pm", 0, PM_PORTS, &pm_ops, pm};
    pm->gpe_ports = (struct pio_range){"acpi-gpe0", ACPI_PM_GPE_BASE, GPE_PORTS, &gpe_ops, pm};
    pm->apm_ports = (struct pio_range){"apm", APM_PORT, 2, &apm_ops, pm};
    int rc = pio_add(bus->pio, &pm->gpe_ports);
    if (rc == 0)
        rc = pio_add(bus->pio, &pm->apm_ports);
    reset(&pci->device);
    return rc;
}
