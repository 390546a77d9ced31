/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel 82371AB (PIIX4), function 3: power management and SMBus (datasheet 290562-001, chapter 7).
 * It is the fixed hardware of ACPI: the PM1 event and control registers with the sleep request, the
 * PM timer, the power button and the SCI; and the two APM ports, by which an operating system takes
 * the board over from the firmware.
 *
 * An APM command is an SMI once APMC_EN is set. Some things are the virtual board's and not the
 * chip's, as its firmware has it (SeaBIOS: src/fw/smm.c): the general purpose events (GPE0) lie at
 * fixed ports 0xafe0-0xafe3 instead of in the chip's block, where tables for this board have them;
 * the commands "ACPI enable" and "disable" set and clear SCI_EN by themselves, whatever an SMI
 * handler makes of them; and neither SMI_EN nor EOS of the global control register, which that
 * firmware leaves alone, holds an SMI back. Idle, throttling, device monitor and GPIO registers
 * read as 0.
 *
 * All under the VM lock.
 */
#ifndef DEVICE_ACPI_PM_H
#define DEVICE_ACPI_PM_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/irq.h"
#include "bus/pci.h"
#include "device/smbus.h"
#include "event/timer.h"
#include "mem/io.h"

#define ACPI_PM_TIMER_HZ 3579545
#define ACPI_PM_GPE_BASE 0xafe0

/* What the guest asks for by SLP_EN, called from inside its port write; each may be NULL (the
 * request is logged and nothing happens). SLP_TYP: 0 is S5, 1 is S3, 2 is S4, as this board's _Sx
 * objects say. */
struct acpi_pm_host {
    void (*shutdown)(void *opaque); /* S5; and S4, whose memory the guest has saved by itself */
    void (*suspend)(void *opaque);  /* S3: stop the processors until wake */
    /* Out of S3: the board resets everything but RAM (now or later), device_reset_all included,
     * and lets the processors run. */
    void (*wake)(void *opaque);
    void *opaque;
};

struct acpi_pm {
    struct pci_device pci; /* first */
    uint16_t status;       /* PMSTS; the timer's bit is brought up to date when looked at */
    uint16_t enable;       /* PMEN */
    uint16_t control;      /* PMCNTRL */
    int64_t overflow;      /* tick at which bit 23 of the timer next toggles */
    uint16_t gpe_status, gpe_enable;
    uint8_t apm_command, apm_status; /* ports 0xb2, 0xb3 */
    uint16_t global_status;          /* GLBSTS: APM_STS only */
    bool asleep;                     /* in S3 */
    uint16_t wake_status;            /* PMSTS as the reset of a wake-up leaves it */
    struct smbus smbus;
    struct timer timer; /* the overflow, while it can interrupt */
    struct irq sci, smi;
    struct acpi_pm_host host;
    struct pio_range ports, gpe_ports, apm_ports;
};

/* Puts the function at devfn (the PIIX's slot, function 3). sci: IRQ 9, a level. smi: SMI#, a
 * pulse. host is copied. Negative errno of pio_add. */
int acpi_pm_init(struct acpi_pm *pm, struct pci_bus *bus, uint8_t devfn, struct timers *timers,
                 struct irq sci, struct irq smi, const struct acpi_pm_host *host);

/* The user presses the power button: the guest is told, or woken from S3. */
void acpi_pm_power_button(struct acpi_pm *pm);

/* Wakes the guest from S3 as the button does; false if it is not asleep. */
bool acpi_pm_wake(struct acpi_pm *pm);

/* A general purpose event, 0..15, has happened (hot-plug). */
void acpi_pm_gpe(struct acpi_pm *pm, unsigned event);

#endif
