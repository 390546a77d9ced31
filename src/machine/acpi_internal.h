/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Between the files of machine/acpi*. Set-up time.
 */
#ifndef MACHINE_ACPI_INTERNAL_H
#define MACHINE_ACPI_INTERNAL_H

#include <stdint.h>

#include "machine/acpi.h"
#include "machine/blob.h"

enum { ACPI_SCI = 9 };

/* dsdt.asl, compiled during the build. */
extern const uint8_t acpi_dsdt[];
extern const uint32_t acpi_dsdt_size;

/* acpi_ssdt.c: appends the AML of the SSDT, what follows its header. */
void acpi_ssdt_body(struct blob *blob, const struct acpi_board *board);

#endif
