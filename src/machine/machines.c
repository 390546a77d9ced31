/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stddef.h>

#include "machine/machine.h"
#include "machine/pc.h"

const struct machine_type *const machine_types[] = {&pc_machine, NULL};
