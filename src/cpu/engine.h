/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine contract: what makes a vcpu run. Three implementations: interp (emulates each
 * instruction), dbt (rewrites code), kvm (the hardware traps). Callers see only this.
 *
 * An engine keeps the truth in struct vcpu or elsewhere (KVM: in the kernel); sync_in and sync_out
 * move it. Between vcpu_run calls, after sync_out, struct vcpu is complete and any engine can go on
 * from it.
 */
#ifndef CPU_ENGINE_H
#define CPU_ENGINE_H

#include "cpu/vcpu.h"

struct error;
struct engine;

struct engine_type {
    const char *name; /* as -accel names it */
    const char *summary;

    /* Does the host have what the engine takes? err says what is missing. NULL: any host will do.
     */
    int (*usable)(struct error *err);

    /* One engine a VM. Under the VM lock. May fail when the host lacks what it takes; err says what
     * and what the user can do. mem outlives the engine. */
    int (*create)(struct engine **engine, struct mem *mem, struct error *err);
    void (*destroy)(struct engine *engine);

    /* The engine's own properties of -accel, "a=on,b=off"; before the first vcpu_attach. -EINVAL
     * and a sentence that names those there are. NULL: it has none. */
    int (*configure)(struct engine *engine, const char *properties, struct error *err);

    /* The engine's part of a vcpu (cpu->engine_data). Under the VM lock, before its thread runs. */
    int (*vcpu_attach)(struct engine *engine, struct vcpu *cpu, struct error *err);
    void (*vcpu_detach)(struct engine *engine, struct vcpu *cpu);

    /* Runs guest code until there is a reason to leave. On the vcpu's own thread, without the VM
     * lock; takes it for device accesses. Interrupts are taken from cpu->request. */
    enum vcpu_exit (*vcpu_run)(struct engine *engine, struct vcpu *cpu);

    /* The vcpu leaves vcpu_run soon, with VCPU_EXIT_KICKED if VCPU_REQ_KICK is set, or just looks
     * at cpu->request. From any thread, before or during vcpu_run; never lost. */
    void (*kick)(struct engine *engine, struct vcpu *cpu);

    /* Registers engine -> struct vcpu and struct vcpu -> engine; vcpu stopped. sync_in follows any
     * outside change (reset, gdb, loadvm). */
    void (*sync_out)(struct engine *engine, struct vcpu *cpu);
    void (*sync_in)(struct engine *engine, struct vcpu *cpu);

    /* Dirty logging of RAM_DIRTY_MIGRATE and _DISPLAY: interp and dbt mark pages as they are
     * written; an engine whose guest writes unseen (KVM) merges its own log into the ram's flags
     * here. Under the VM lock; NULL when there is nothing to merge. */
    void (*dirty_sync)(struct engine *engine);

    /* Counters and such for `info jit` and -d; appended to text by the caller; NULL: none. Caller
     * frees. */
    char *(*statistics)(struct engine *engine);
};

struct engine {
    const struct engine_type *type;
};

#endif
