/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The life of a machine: build, run, pause, reset, power, end. Owns the VM lock's loop, guest time,
 * memory, processors and their threads. Functions are called under the VM lock unless they say
 * otherwise.
 */
#ifndef VM_VM_H
#define VM_VM_H

#include <pthread.h>
#include <stdbool.h>

#include "config/config.h"
#include "cpu/engine.h"
#include "machine/machine.h"

struct error;
struct vm;

enum vm_state {
    VM_PAUSED,   /* "paused" */
    VM_RUNNING,  /* "running" */
    VM_SHUTDOWN, /* "shutdown": the guest powered off under -no-shutdown */
    VM_ERROR,    /* "internal-error": the engine gave up */
};

struct vm {
    const struct config *config;
    struct loop *loop;
    struct timers timers;
    struct mem *mem;
    struct pio *pio;
    struct ram *ram;
    const struct engine_type *engine_type;
    struct engine *engine;
    struct cpu_model *model;
    struct vcpu_world world;
    struct vcpu **vcpus;
    unsigned vcpu_count;
    struct machine *machine;
    enum vm_state state;
    int exit_code;                /* of the process, once the loop has ended */
    struct vm_threads *threads;   /* private to vm.c */
    struct vm_drives *drives;     /* private to vm_backends.c */
    struct vm_chardevs *chardevs; /* likewise */
};

/* Builds everything; nothing runs. properties: the engine's (engine.h), or NULL. Not under the
 * lock.
 */
int vm_create(struct vm **vm, const struct config *config, const struct engine_type *engine,
              const char *properties, struct error *err);
void vm_destroy(struct vm *vm);

/* Starts the vCPU threads (paused with -S), runs the main loop until the end, and stops them.
 * Returns the process's exit code. Not under the lock. */
int vm_run(struct vm *vm);

const char *vm_state_name(enum vm_state state);

void vm_stop(struct vm *vm); /* pauses: vCPUs stand, guest time stands */
void vm_cont(struct vm *vm);
void vm_reset(struct vm *vm); /* asked for now, done soon on the loop */
void vm_power_button(struct vm *vm);
void vm_quit(struct vm *vm, int exit_code);

/* A chardev by id, or NULL. */
struct chardev *vm_chardev(struct vm *vm, const char *id);
/* A chardev of the configuration for -monitor, or NULL. */
struct chardev *vm_monitor_chardev(struct vm *vm);
/* Every chardev once: those of -chardev, then what -serial, -debugcon and -monitor made. */
void vm_each_chardev(struct vm *vm, void (*fn)(void *opaque, struct chardev *chardev),
                     void *opaque);

/* Stops the vCPUs for a look at their registers and lets them go again: for monitors. Must be
 * paired; nests. The lock is let go for a moment inside vm_freeze. */
void vm_freeze(struct vm *vm);
void vm_thaw(struct vm *vm);

#endif
