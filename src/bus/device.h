/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a device is: a struct that begins with a struct device, a table of its fields, and five
 * functions: init, reset, read, write, fini. init is the chip's own (its arguments are its wires
 * and its clock); read and write are in its struct io_ops and get offsets. Nothing registers
 * itself: the board lists what it has, in order, with device_add.
 *
 * All under the VM lock.
 */
#ifndef BUS_DEVICE_H
#define BUS_DEVICE_H

#include <stdbool.h>

#include "state/state.h"

struct device;

struct device_type {
    const char *name;                     /* as users know it: "pit", "isa-serial", "piix3-ide" */
    const struct state_table *state;      /* offsets are from the struct device */
    void (*reset)(struct device *device); /* to what power-on leaves; NULL if nothing */
    void (*fini)(struct device *device);  /* let go of what init took, not of the struct; or NULL */
};

struct device {
    const struct device_type *type;
    char id[32]; /* "" or the user's id= */
    struct device *next;
};

/* A board's devices in order of adding; reset goes in that order, fini in reverse. */
struct device_list {
    struct device *first, *last;
};

void device_add(struct device_list *list, struct device *device);
void device_reset_all(struct device_list *list);
/* Calls fini on each, last first, and empties the list. */
void device_fini_all(struct device_list *list);

#endif
