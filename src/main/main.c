/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The program: reads the command line, answers what only asks for help, chooses the engine, builds
 * the VM, runs it. Exit codes: 2 for a command line that does not fit, 1 for what failed on the
 * host, else the VM's.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "cpu/model.h"
#include "engine/dbt/dbt.h"
#include "engine/interp/interp.h"
#include "event/loop.h"
#include "machine/machine.h"
#include "monitor/monitor.h"
#include "sensitive/sensitive.h"
#include "vm/vm.h"

enum { EXIT_HOST = 1, EXIT_USAGE = 2 };

/* What -accel may name. An accelerator without an engine is known, and not there yet. */
struct accelerator {
    const char *name;
    const struct engine_type *engine;
    const char *summary;
};

static const struct accelerator accelerators[] = {
    {"dbt", &dbt_engine, "the binary translator (the default where the host lets it run)"},
    {"tcg", &dbt_engine, "QEMU's name for dbt"},
    {"interp", &interp_engine, "the interpreter: slow, the reference"},
    {"kvm", NULL, "the hardware: not there yet"},
};

static const struct accelerator *find_accelerator(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(accelerators); i++)
        if (strcmp(accelerators[i].name, name) == 0)
            return &accelerators[i];
    return NULL; /* config_parse let it through, so this is not reached */
}

/* The first usable of -accel's, in order; the translator when none is asked for, or the interpreter
 * where that is not usable. NULL and err when none can be used. Anything else than what was asked
 * for first is said. *properties: the engine's, or NULL. */
static const struct engine_type *choose_engine(const struct config *config, const char **properties,
                                               struct error *err)
{
    struct error why;
    *properties = NULL;
    if (config->accel_count == 0) {
        if (dbt_engine.usable(&why) == 0)
            return &dbt_engine;
        log_info("%s; running on the interpreter", why.text);
        return &interp_engine;
    }
    const char *first = config->accels[0].name;
    for (size_t i = 0; i < config->accel_count; i++) {
        const struct accelerator *accelerator = find_accelerator(config->accels[i].name);
        if (!accelerator || !accelerator->engine)
            continue;
        if (strcmp(first, "kvm") == 0)
            log_info("-accel kvm: KVM is not supported yet; running on %s",
                     accelerator->engine->name);
        if (!accelerator->engine->usable || accelerator->engine->usable(&why) == 0) {
            *properties = config->accels[i].properties;
            return accelerator->engine;
        }
        log_info("-accel %s: %s; running on the interpreter (interp)", accelerator->name, why.text);
        return &interp_engine;
    }
    error_set(err, ENOSYS, "not supported: %s; use -accel dbt", first);
    return NULL;
}

static int print_and_free(char *text)
{
    if (!text) {
        fputs("trapeze: no memory\n", stderr);
        return EXIT_HOST;
    }
    fputs(text, stdout);
    free(text);
    return 0;
}

static void print_version(void)
{
    puts("Trapeze emulator version " TRAPEZE_VERSION "\n"
         "Its command line is that of qemu-system-x86_64 7.2, as far as -help lists it.");
}

static void print_machines(void)
{
    puts("Supported machines are:");
    for (size_t i = 0; machine_types[i]; i++)
        printf("%-20s %s\n", machine_types[i]->name, machine_types[i]->summary);
    puts("pc-i440fx            alias of pc, also with a version of QEMU's: pc-i440fx-7.2");
}

static void print_accelerators(void)
{
    puts("Accelerators:");
    for (size_t i = 0; i < ARRAY_LEN(accelerators); i++)
        printf("%-8s %s\n", accelerators[i].name, accelerators[i].summary);
    puts("dbt finds out what the host has; to try it without: guard-pages=off, bmi2=off, "
         "fsgsbase=off");
}

/* What was asked for instead of running a VM. */
static int answer(enum config_action action)
{
    switch (action) {
    case ACTION_HELP:
        return print_and_free(config_help());
    case ACTION_VERSION:
        print_version();
        break;
    case ACTION_CPU_HELP:
        return print_and_free(cpu_model_help());
    case ACTION_MACHINE_HELP:
        print_machines();
        break;
    case ACTION_ACCEL_HELP:
        print_accelerators();
        break;
    case ACTION_DEVICE_HELP:
        puts("isa-debug-exit,iobase=0x501,iosize=2\n"
             "       a value v written to its port ends the process with exit code v * 2 + 1");
        break;
    case ACTION_LOG_HELP:
        return print_and_free(log_help());
    case ACTION_VGA_HELP:
        puts("std    standard VGA with Bochs VBE (the default)\n"
             "none   no VGA adapter");
        break;
    case ACTION_RUN:
        break;
    }
    return 0;
}

static int fail(const struct error *err, int exit_code)
{
    fprintf(stderr, "trapeze: %s\n", err->text);
    return exit_code;
}

/* Features of -cpu that are not to be had. */
static void warn_of_missing(const struct cpu_model *model)
{
    char *lines = cpu_model_warnings(model), *rest = lines, *line;
    while ((line = strsep(&rest, "\n")))
        if (*line)
            log_warn("%s", line);
    free(lines);
}

/* 0 or an exit code. -cpu is looked at here so that a bad one is a bad command line. */
static int check_and_log(const struct config *config, struct error *err)
{
    struct cpu_model model;
    if (cpu_model_create(&model, config->cpu, err) < 0)
        return EXIT_USAGE;
    warn_of_missing(&model);
    if (config->log_items && log_enable(config->log_items, err) < 0)
        return EXIT_USAGE;
    if (config->log_file && log_to_file(config->log_file, err) < 0)
        return EXIT_HOST;
    return 0;
}

/* *monitor stays NULL when the configuration has no stream for one. */
static int attach_monitor(struct monitor **monitor, struct vm *vm, struct error *err)
{
    int ret = 0;
    *monitor = NULL;
    loop_lock(vm->loop);
    struct chardev *chardev = vm_monitor_chardev(vm);
    if (chardev)
        ret = monitor_create(monitor, vm, chardev, err);
    loop_unlock(vm->loop);
    return ret;
}

/* What the engine is told: what -accel says and what options of their own say. NULL: nothing, or no
 * memory. The caller frees it. */
static char *join_properties(const struct config *config, const struct engine_type *engine,
                             const char *of_accel)
{
    char *text = NULL;
    bool perf = config->perfmap || config->jitdump;
    if (perf && engine != &dbt_engine)
        log_warn("-perfmap and -jitdump: %s translates nothing", engine->name);
    if (engine != &dbt_engine || (!perf && !of_accel))
        return NULL;
    if (asprintf(&text, "%s%sperfmap=%s,jitdump=%s", of_accel ? of_accel : "", of_accel ? "," : "",
                 config->perfmap ? "on" : "off", config->jitdump ? "on" : "off") < 0)
        return NULL;
    return text;
}

static int run(const struct config *config)
{
    struct error err;
    int exit_code = check_and_log(config, &err);
    if (exit_code)
        return fail(&err, exit_code);
    const char *of_accel;
    const struct engine_type *engine = choose_engine(config, &of_accel, &err);
    if (!engine)
        return fail(&err, EXIT_HOST);
    struct vm *vm;
    char *properties = join_properties(config, engine, of_accel);
    int ret = vm_create(&vm, config, engine, properties, &err);
    free(properties);
    if (ret < 0)
        return fail(&err, EXIT_HOST);
    struct monitor *monitor;
    if (attach_monitor(&monitor, vm, &err) < 0)
        exit_code = fail(&err, EXIT_HOST);
    else
        exit_code = vm_run(vm);
    loop_lock(vm->loop);
    monitor_destroy(monitor);
    loop_unlock(vm->loop);
    vm_destroy(vm);
    return exit_code;
}

/* `trapeze sensitive`: no VM, a report about the host. */
static int print_sensitive(void)
{
    int ret = sensitive_print(stdout);
    if (ret == 0)
        return 0;
    fprintf(stderr, "trapeze: sensitive: cannot run an instruction in a child process: %s\n",
            strerror(-ret));
    return EXIT_HOST;
}

int main(int argc, char **argv)
{
    struct config config;
    struct error err;
    if (argc == 2 && strcmp(argv[1], "sensitive") == 0)
        return print_sensitive();
    signal(SIGPIPE, SIG_IGN); /* a reader of ours that goes away is an error of write() */
    if (config_parse(&config, argc, argv, &err) < 0)
        return fail(&err, EXIT_USAGE);
    int exit_code = config.action == ACTION_RUN ? run(&config) : answer(config.action);
    config_fini(&config);
    return exit_code;
}
