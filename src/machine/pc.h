/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The board "pc": i440FX and PIIX3 with the chips of a PC/AT around them.
 */
#ifndef MACHINE_PC_H
#define MACHINE_PC_H

#include "machine/machine.h"

extern const struct machine_type pc_machine;

#endif
