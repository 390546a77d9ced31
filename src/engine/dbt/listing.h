/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Translations as text: -d in_asm,out_asm, and what lockstep shows.
 */
#ifndef ENGINE_DBT_LISTING_H
#define ENGINE_DBT_LISTING_H

#include <stdio.h>

#include "engine/dbt/internal.h"

/* The guest's instructions. page: the rip of the first byte of their page, or 0. */
void listing_guest(FILE *out, const struct dbt_vcpu *d, const struct translation *t, uint64_t page);

/* The host's, each piece below the guest instruction that it stands for. */
void listing_host(FILE *out, const struct dbt_vcpu *d, const struct translation *t, uint64_t page);

/* To the log, what of it is switched on. */
void listing_log(const struct dbt_vcpu *d, const struct translation *t, uint64_t page);

#endif
