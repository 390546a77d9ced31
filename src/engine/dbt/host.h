/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the host's processor and kernel have that the translator likes to use, and can do without:
 *
 *     guard pages   for shared memory, Linux 6.15     else pages are opened one by one (window.h)
 *     BMI2          PEXT, PDEP and RORX at full       else MMX registers pick the bits, without
 *                   speed                             touching flags either (emit_bits.c)
 *     FSGSBASE      programs may set their GS base,   else a system call sets it
 *                   Linux 5.9
 *
 * A property of -accel switches each off, guard-pages=off and so on, so that hosts without can be
 * tried on hosts with. Without address space for the shadow maps there is no way: the interpreter
 * runs instead.
 */
#ifndef ENGINE_DBT_HOST_H
#define ENGINE_DBT_HOST_H

#include <stdbool.h>
#include <stdio.h>

struct error;

struct host {
    bool guard_pages, bmi2, fsgsbase;
};

void host_ask(struct host *host);

/* "bmi2", "off" switches off what is there. -EINVAL: unknown, with a list of those that are known,
 * or not there. */
int host_set(struct host *host, const char *name, const char *value, struct error *err);

/* A line on stderr for each thing that is done without. */
void host_say(const struct host *host);

/* A line for `info jit`. */
void host_print(const struct host *host, FILE *out);

/* Can the shadow maps be had? -ENOMEM and what to do. */
int host_room(struct error *err);

/* Sets the GS base of this thread. */
void host_set_gs(const struct host *host, const void *base);

#endif
