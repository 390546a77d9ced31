/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ACPI tables of the board "pc" (ACPI 2.0 with the MADT's and the FADT's later bits), given to
 * the firmware by fw_cfg: the bytes in etc/acpi/tables and etc/acpi/rsdp, and in etc/table-loader
 * the steps with which it puts them into memory and links them. The interface is QEMU's; SeaBIOS
 * has it in src/fw/romfile_loader.h.
 *
 * FACS, DSDT (dsdt.asl), FADT, SSDT (acpi_ssdt.c), MADT, HPET, RSDT, XSDT. Set-up time.
 */
#ifndef MACHINE_ACPI_H
#define MACHINE_ACPI_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct fw_cfg;

#define ACPI_CPUS_MAX 255

/* Guest-physical addresses; end is the last one. Both 0: no window. */
struct acpi_window {
    uint64_t start, end;
};

/* What the tables tell of a machine: only what is really there. */
struct acpi_board {
    unsigned cpus; /* 1..ACPI_CPUS_MAX */
    uint8_t apic_ids[ACPI_CPUS_MAX];
    bool apic; /* local APICs and an I/O APIC: there is a MADT */
    bool hpet;
    bool floppy;                     /* the controller at 0x3f0, with a drive */
    bool vga;                        /* a VGA adapter answers at 0xa0000 */
    uint8_t serials;                 /* bit 0: COM1 at 0x3f8 ... bit 3: COM4 at 0x2e8 */
    uint16_t pm_base;                /* PIIX4: PM1 event +0, control +4, timer +8; 64 ports */
    uint16_t gpe_base;               /* PIIX4: 4 ports; 0: none */
    struct acpi_window pci32, pci64; /* for the BARs of PCI devices */
};

/* Adds the three files. -EINVAL for a board that cannot be, -ENOMEM. */
int acpi_tables_add(struct fw_cfg *fw, const struct acpi_board *board, struct error *err);

#endif
