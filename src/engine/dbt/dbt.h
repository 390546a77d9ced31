/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The binary translator: rewrites guest code as it runs. Code that runs often is translated, block
 * by block, to host code that does the same to the guest's registers and memory (translate.c);
 * everything else, and every instruction that is not copied, is done by the interpreter, whose code
 * cache the translations belong to. See internal.h for registers, access.c for memory, control.c
 * for branches, signal.c for faults.
 */
#ifndef ENGINE_DBT_DBT_H
#define ENGINE_DBT_DBT_H

#include "cpu/engine.h"

extern const struct engine_type dbt_engine;

/* How often a block is interpreted before it is translated. 2; tests set 1. */
extern unsigned dbt_hot;

#endif
