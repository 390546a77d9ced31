/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A vCPU thread alternates between standing (paused, frozen, asleep in HLT: waiting on `change`
 * with the VM lock) and running its engine without the lock. What a guest asks for from inside a
 * device access (reset, power off) is only noted and done later by the loop, when no vCPU is
 * running.
 */
#include "vm/vm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "cpu/model.h"
#include "vm/vm_internal.h"

enum wish { WISH_RESET = 1, WISH_SHUTDOWN = 2 };

struct vcpu_thread {
    struct vm *vm;
    struct vcpu *cpu;
    pthread_t thread;
    bool started;
    bool standing; /* not inside the engine */
};

struct vm_threads {
    struct vcpu_thread *vcpus;
    pthread_cond_t change; /* anything below, or a request to a vcpu, changed */
    unsigned frozen;       /* vcpus stand while > 0 */
    bool quit;
    uint64_t tsc_stopped; /* the host's TSC when guest time stopped */
    unsigned wishes;      /* enum wish: posted to the loop, not yet done */
};

const char *vm_state_name(enum vm_state state)
{
    static const char *const names[] = {"paused", "running", "shutdown", "internal-error"};
    return names[state];
}

/* Threads */

static void wake_all(struct vm *vm)
{
    pthread_cond_broadcast(&vm->threads->change);
}

static void kick_all(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        cpu_request(vm->vcpus[i], VCPU_REQ_KICK);
        vm->engine_type->kick(vm->engine, vm->vcpus[i]);
    }
    wake_all(vm);
}

void vm_freeze(struct vm *vm)
{
    struct vm_threads *threads = vm->threads;
    threads->frozen++;
    kick_all(vm);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        while (threads->vcpus[i].started && !threads->vcpus[i].standing)
            loop_wait(vm->loop, &threads->change);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vm->engine_type->sync_out(vm->engine, vm->vcpus[i]);
}

void vm_thaw(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vm->engine_type->sync_in(vm->engine, vm->vcpus[i]);
    vm->threads->frozen--;
    wake_all(vm);
}

/* The guests' TSCs stand with guest time. The processors are not running. */
static void stop_tsc(struct vm *vm)
{
    vm->threads->tsc_stopped = __builtin_ia32_rdtsc();
}

static void triple_fault(struct vcpu_thread *thread)
{
    if (log_on(LOG_CPU_RESET)) {
        char *text = cpu_describe(thread->cpu);
        log_print(LOG_CPU_RESET, "Triple fault\n%s", text ? text : "");
        free(text);
    }
    /* The processor stands in shutdown until the board resets it. */
    thread->cpu->halted = true;
    thread->cpu->rflags &= ~(uint64_t)FLAG_IF;
    vm_reset(thread->vm);
}

static void engine_gave_up(struct vm *vm)
{
    if (vm->state == VM_RUNNING) {
        vm->threads->frozen++;
        clock_stop(&vm->timers.clock);
        stop_tsc(vm);
    }
    vm->state = VM_ERROR;
}

static void *vcpu_main(void *opaque)
{
    struct vcpu_thread *thread = opaque;
    struct vm *vm = thread->vm;
    struct vm_threads *threads = vm->threads;
    loop_lock(vm->loop);
    while (!threads->quit) {
        if (threads->frozen || (thread->cpu->halted && !cpu_has_work(thread->cpu))) {
            if (!thread->standing) {
                thread->standing = true;
                wake_all(vm);
            }
            loop_wait(vm->loop, &threads->change);
            continue;
        }
        thread->standing = false;
        loop_unlock(vm->loop);
        enum vcpu_exit why = vm->engine_type->vcpu_run(vm->engine, thread->cpu);
        loop_lock(vm->loop);
        if (why == VCPU_EXIT_TRIPLE_FAULT) {
            triple_fault(thread);
        } else if (why == VCPU_EXIT_ERROR) {
            engine_gave_up(vm);
        }
    }
    thread->standing = true;
    wake_all(vm);
    loop_unlock(vm->loop);
    return NULL;
}

/* What the guest and the user ask for */

static void start_tsc(struct vm *vm)
{
    int64_t paused = (int64_t)(__builtin_ia32_rdtsc() - vm->threads->tsc_stopped);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vm->vcpus[i]->tsc_offset -= paused;
}

static void do_wishes(void *opaque)
{
    struct vm *vm = opaque;
    unsigned wishes = vm->threads->wishes;
    vm->threads->wishes = 0;
    if (wishes & WISH_RESET && vm->config->no_reboot)
        wishes = WISH_SHUTDOWN;
    if (wishes & WISH_SHUTDOWN) {
        if (vm->config->no_shutdown) {
            vm_stop(vm);
            vm->state = VM_SHUTDOWN;
        } else {
            vm_quit(vm, 0);
        }
        return;
    }
    if (wishes & WISH_RESET) {
        vm_freeze(vm);
        vm->machine->reset(vm->machine);
        stop_tsc(vm); /* if it is paused: TSCs begin at 0 now */
        if (vm->state == VM_SHUTDOWN || vm->state == VM_ERROR)
            vm->state = VM_PAUSED;
        vm_thaw(vm);
    }
}

static void wish(struct vm *vm, unsigned what)
{
    if (!vm->threads->wishes)
        loop_post(vm->loop, do_wishes, vm);
    vm->threads->wishes |= what;
}

void vm_reset(struct vm *vm)
{
    wish(vm, WISH_RESET);
}

void vm_stop(struct vm *vm)
{
    if (vm->state != VM_RUNNING)
        return;
    vm->state = VM_PAUSED;
    vm_freeze(vm);
    clock_stop(&vm->timers.clock);
    stop_tsc(vm);
}

void vm_cont(struct vm *vm)
{
    if (vm->state != VM_PAUSED)
        return;
    vm->state = VM_RUNNING;
    clock_start(&vm->timers.clock);
    start_tsc(vm);
    timers_kick(&vm->timers);
    vm_thaw(vm);
}

void vm_power_button(struct vm *vm)
{
    if (vm->machine->power_button)
        vm->machine->power_button(vm->machine);
}

void vm_quit(struct vm *vm, int exit_code)
{
    vm->exit_code = exit_code;
    loop_quit(vm->loop);
}

static void host_reset(void *opaque)
{
    vm_reset(opaque);
}

static void host_shutdown(void *opaque)
{
    wish(opaque, WISH_SHUTDOWN);
}

static void host_suspend(void *opaque)
{
    (void)opaque;
    log_limited(LOG_UNIMP, "the guest asked for suspend to RAM: not supported; it goes on running");
}

static void host_debug_exit(void *opaque, int code)
{
    vm_quit(opaque, code);
}

static void host_wake(void *opaque, int index)
{
    (void)index;
    wake_all(opaque);
}

static void world_lock(void *opaque)
{
    struct vm *vm = opaque;
    loop_lock(vm->loop);
}

static void world_unlock(void *opaque)
{
    struct vm *vm = opaque;
    loop_unlock(vm->loop);
}

static int64_t world_now(void *opaque)
{
    struct vm *vm = opaque;
    return timers_now(&vm->timers);
}

/* Building */

static int build_processors(struct vm *vm, const struct engine_type *engine, const char *properties,
                            struct error *err)
{
    const struct config *config = vm->config;
    int ret = cpu_model_create(vm->model, config->cpu, err);
    if (ret < 0)
        return ret;
    vm->world = (struct vcpu_world){.mem = vm->mem,
                                    .pio = vm->pio,
                                    .opaque = vm,
                                    .a20_mask = ~0ull,
                                    .lock = world_lock,
                                    .unlock = world_unlock,
                                    .now = world_now};
    vm->engine_type = engine;
    ret = engine->create(&vm->engine, vm->mem, err);
    if (ret == 0 && properties)
        ret = engine->configure(vm->engine, properties, err);
    if (ret < 0)
        return ret;
    vm->vcpus = calloc(config->cpus, sizeof(struct vcpu *));
    vm->threads->vcpus = calloc(config->cpus, sizeof(*vm->threads->vcpus));
    if (!vm->vcpus || !vm->threads->vcpus)
        return error_set(err, ENOMEM, "out of memory");
    for (unsigned i = 0; i < config->cpus; i++) {
        ret = vcpu_create(&vm->vcpus[i], (int)i, vm->model, &vm->world);
        if (ret < 0)
            return error_set(err, -ret, "cannot make processor %u: %s", i, strerror(-ret));
        vm->vcpu_count++;
        vm->threads->vcpus[i] =
            (struct vcpu_thread){.vm = vm, .cpu = vm->vcpus[i], .standing = true};
        ret = engine->vcpu_attach(vm->engine, vm->vcpus[i], err);
        if (ret < 0)
            return ret;
    }
    return 0;
}

static int build_machine(struct vm *vm, struct error *err)
{
    struct machine_parts parts = {
        .config = vm->config,
        .loop = vm->loop,
        .timers = &vm->timers,
        .mem = vm->mem,
        .pio = vm->pio,
        .ram = vm->ram,
        .vcpus = vm->vcpus,
        .vcpu_count = vm->vcpu_count,
        .world = &vm->world,
        .debugcon = vm->chardevs->debugcon,
        .host = {.opaque = vm,
                 .reset = host_reset,
                 .shutdown = host_shutdown,
                 .suspend = host_suspend,
                 .debug_exit = host_debug_exit,
                 .wake_vcpu = host_wake},
    };
    memcpy(parts.drives, vm->drives->ide, sizeof(parts.drives));
    memcpy(parts.floppies, vm->drives->floppies, sizeof(parts.floppies));
    memcpy(parts.floppy_drive, vm->drives->floppy_drive, sizeof(parts.floppy_drive));
    memcpy(parts.drive_is_cd, vm->drives->is_cd, sizeof(parts.drive_is_cd));
    memcpy(parts.serials, vm->chardevs->serials, sizeof(parts.serials));
    for (int i = 0; machine_types[i]; i++)
        if (strcmp(machine_types[i]->name, vm->config->machine) == 0)
            return machine_types[i]->create(&vm->machine, &parts, err);
    return error_set(err, EINVAL, "not supported: machine %s; use %s", vm->config->machine,
                     machine_types[0]->name);
}

static int build(struct vm *vm, const struct engine_type *engine, const char *properties,
                 struct error *err)
{
    vm->threads = calloc(1, sizeof(*vm->threads));
    vm->drives = calloc(1, sizeof(*vm->drives));
    vm->chardevs = calloc(1, sizeof(*vm->chardevs));
    vm->model = calloc(1, sizeof(*vm->model));
    if (!vm->threads || !vm->drives || !vm->chardevs || !vm->model)
        return error_set(err, ENOMEM, "out of memory");
    pthread_cond_init(&vm->threads->change, NULL);
    timers_init(&vm->timers, false);
    int ret = loop_create(&vm->loop, &vm->timers, err);
    if (ret < 0)
        return ret;
    loop_lock(vm->loop);
    if ((ret = mem_create(&vm->mem, err)) == 0 && (ret = pio_create(&vm->pio, err)) == 0 &&
        (ret = ram_create(&vm->ram, "pc.ram", vm->config->memory, err)) == 0 &&
        (ret = vm_open_drives(vm, err)) == 0 && (ret = vm_open_chardevs(vm, err)) == 0 &&
        (ret = build_processors(vm, engine, properties, err)) == 0)
        ret = build_machine(vm, err);
    loop_unlock(vm->loop);
    return ret;
}

int vm_create(struct vm **out, const struct config *config, const struct engine_type *engine,
              const char *properties, struct error *err)
{
    struct vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return error_set(err, ENOMEM, "out of memory");
    vm->config = config;
    int ret = build(vm, engine, properties, err);
    if (ret < 0) {
        vm_destroy(vm);
        return ret;
    }
    *out = vm;
    return 0;
}

void vm_destroy(struct vm *vm)
{
    if (!vm)
        return;
    if (vm->loop)
        loop_lock(vm->loop);
    if (vm->machine)
        vm->machine->destroy(vm->machine);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        if (vm->vcpus[i]->engine_data)
            vm->engine_type->vcpu_detach(vm->engine, vm->vcpus[i]);
        vcpu_destroy(vm->vcpus[i]);
    }
    free(vm->vcpus);
    if (vm->engine)
        vm->engine_type->destroy(vm->engine);
    vm_close_drives(vm->drives);
    vm_close_chardevs(vm->chardevs);
    ram_destroy(vm->ram);
    pio_destroy(vm->pio);
    if (vm->mem)
        mem_destroy(vm->mem);
    if (vm->loop) {
        loop_unlock(vm->loop);
        loop_destroy(vm->loop);
        timers_fini(&vm->timers);
    }
    if (vm->threads) {
        pthread_cond_destroy(&vm->threads->change);
        free(vm->threads->vcpus);
    }
    free(vm->threads);
    free(vm->model);
    free(vm);
}

/* Running */

static void on_signal(void *opaque)
{
    log_info("terminating on a signal");
    vm_quit(opaque, 0);
}

static int start_threads(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        struct vcpu_thread *thread = &vm->threads->vcpus[i];
        int ret = pthread_create(&thread->thread, NULL, vcpu_main, thread);
        if (ret) {
            log_warn("cannot start the thread of processor %u: %s", i, strerror(ret));
            return -ret;
        }
        thread->started = true;
    }
    return 0;
}

static void stop_threads(struct vm *vm)
{
    loop_lock(vm->loop);
    vm->threads->quit = true;
    kick_all(vm);
    loop_unlock(vm->loop);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        if (vm->threads->vcpus[i].started) {
            pthread_join(vm->threads->vcpus[i].thread, NULL);
            vm->threads->vcpus[i].started = false;
        }
}

int vm_run(struct vm *vm)
{
    loop_lock(vm->loop);
    loop_on_signal(vm->loop, SIGTERM, on_signal, vm);
    loop_on_signal(vm->loop, SIGINT, on_signal, vm);
    loop_on_signal(vm->loop, SIGHUP, on_signal, vm);
    vm->machine->reset(vm->machine);
    stop_tsc(vm);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vm->engine_type->sync_in(vm->engine, vm->vcpus[i]);
    vm->state = VM_PAUSED;
    vm->threads->frozen = 1;
    if (!vm->config->start_paused)
        vm_cont(vm);
    int ret = start_threads(vm);
    loop_unlock(vm->loop);
    if (ret == 0)
        loop_run(vm->loop);
    else
        vm->exit_code = 1;
    stop_threads(vm);
    return vm->exit_code;
}
