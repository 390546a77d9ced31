/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -d profile: counts what translations run. Each block in them begins with an addition of its
 * number of instructions, so that `info jit` can say which run most, and how many instructions are
 * not translated at all. What a block leaves undone, because of a fault, counts as done.
 */
#ifndef ENGINE_DBT_PROFILE_H
#define ENGINE_DBT_PROFILE_H

#include <stdio.h>

#include "engine/dbt/translate.h"

struct profile;

struct profile *profile_create(void); /* NULL: no memory */
void profile_destroy(struct profile *profile);

/* Emits the counting of a block, whose number of instructions is not known yet; returns where it
 * goes in. */
uint8_t *profile_begin(struct tr *tr, const struct block *block);
void profile_end(uint8_t *number, unsigned instructions);

/* interpreted: instructions that the interpreter did. */
void profile_print(FILE *out, const struct profile *profile, uint64_t interpreted);

#endif
