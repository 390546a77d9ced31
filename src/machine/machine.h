/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A board: which chips, where, wired how. It owns its devices, its address spaces' contents and its
 * firmware. vm/ owns the clock, the loop, the processors and life and death. All under the VM lock.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/device.h"
#include "bus/irq.h"
#include "config/config.h"
#include "cpu/vcpu.h"
#include "display/input.h"
#include "display/surface.h"
#include "event/loop.h"

struct error;
struct block;
struct chardev;
struct machine;

/* What a board asks of the VM. Under the VM lock, from any thread. */
struct machine_host {
    void *opaque;
    void (*reset)(void *opaque);                /* port 0xcf9, keyboard controller, triple fault */
    void (*shutdown)(void *opaque);             /* ACPI S5 */
    void (*suspend)(void *opaque);              /* ACPI S3 */
    void (*debug_exit)(void *opaque, int code); /* isa-debug-exit: the process ends with code */
    void (*wake_vcpu)(void *opaque, int index); /* a request bit was set: leave HLT */
};

/* What the VM gives a board to build from. Everything outlives the board. */
struct machine_parts {
    const struct config *config;
    struct loop *loop;
    struct timers *timers;
    struct mem *mem;
    struct pio *pio;
    struct ram *ram;     /* guest memory, config->memory bytes */
    struct vcpu **vcpus; /* created, not yet running */
    unsigned vcpu_count;
    struct vcpu_world *world;  /* the board fills the interrupt and APIC functions */
    struct block *drives[4];   /* by IDE index; NULL: none */
    bool drive_is_cd[4];       /* a CD drive may be there with drives[i] NULL: empty */
    struct block *floppies[2]; /* NULL: no disk in the drive, or no drive */
    bool floppy_drive[2];
    struct chardev *serials[4]; /* NULL: no port */
    struct chardev *debugcon;   /* NULL: none */
    struct machine_host host;
};

struct machine {
    const char *name;
    struct device_list devices;
    struct input input;
    struct display_source display; /* draw NULL: no adapter */

    void (*reset)(struct machine *machine); /* devices, firmware, boot registers of vcpus */
    void (*power_button)(struct machine *machine);
    char *(*describe_irqs)(struct machine *machine); /* `info pic`; the caller frees */
    void (*destroy)(struct machine *machine);
};

struct machine_type {
    const char *name;
    const char *summary;
    int (*create)(struct machine **machine, const struct machine_parts *parts, struct error *err);
};

/* The boards there are, NULL-ended. */
extern const struct machine_type *const machine_types[];

#endif
