/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names of translations for Linux' perf: -perfmap writes /tmp/perf-PID.map, which perf report reads
 * by itself; -jitdump writes jit-PID.dump, which holds the code too, for perf inject --jit. One for
 * a process.
 */
#ifndef ENGINE_DBT_PERF_H
#define ENGINE_DBT_PERF_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct perf;

int perf_open(struct perf **perf, bool map, bool dump, struct error *err);
void perf_close(struct perf *perf); /* NULL does nothing */

/* From now on this code is there. From any thread. */
void perf_note(struct perf *perf, const char *name, const void *code, size_t size);

#endif
