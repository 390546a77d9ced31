/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the machine is: -machine, -accel, -m, -smp, -boot, -rtc, -name, -device.
 */
#include "config/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/keyval.h"

#define PAGE 4096u

/* Where the 40 bits of a physical address end, less the hole below 4 GiB that RAM goes around. */
#define MEMORY_MAX (GIB(1024) - GIB(4))

static const char *const accel_names[] = {"interp", "dbt", "tcg", "kvm", NULL};

static int add_accel(struct config *config, const char *name, struct error *err)
{
    if (!option_is(name, accel_names))
        return option_unfit(err, "accelerator", name, accel_names);
    struct config_accel *accel =
        option_grow((void **)&config->accels, &config->accel_count, sizeof(*accel), err);
    return accel ? option_string(&accel->name, name, err) : -ENOMEM;
}

/* -machine */

/* QEMU's names for the one board: pc, pc-i440fx, pc-i440fx-7.2. */
static int set_machine_type(void *opaque, const char *value, struct error *err)
{
    static const char *const allowed[] = {"pc", "pc-i440fx", NULL};
    struct parse *parse = opaque;
    if (option_is_help(value)) {
        parse->config->action = ACTION_MACHINE_HELP;
        return 0;
    }
    if (!option_is(value, allowed) && strncmp(value, "pc-i440fx-", 10) != 0)
        return option_unfit(err, "machine", value, allowed);
    return option_string(&parse->config->machine, "pc", err);
}

static int set_machine_accel(void *opaque, const char *value, struct error *err)
{
    struct parse *parse = opaque;
    char *list = strdup(value), *save = NULL;
    if (!list)
        return error_set(err, ENOMEM, "no memory for the options");
    int ret = *list ? 0 : option_unfit(err, "accelerator", "", accel_names);
    for (char *name = strtok_r(list, ":", &save); name && ret == 0;
         name = strtok_r(NULL, ":", &save))
        ret = add_accel(parse->config, name, err);
    free(list);
    parse->machine_accel = true;
    return ret;
}

static int set_hpet(void *opaque, const char *value, struct error *err)
{
    struct parse *parse = opaque;
    return keyval_switch("hpet", value, &parse->config->hpet, err);
}

static int set_acpi(void *opaque, const char *value, struct error *err)
{
    struct parse *parse = opaque;
    return keyval_switch("acpi", value, &parse->config->acpi, err);
}

/* What QEMU's users switch off and is not here anyway. */
static int set_absent(void *opaque, const char *value, struct error *err)
{
    bool on;
    (void)opaque;
    int ret = keyval_switch("usb, vmport", value, &on, err);
    if (ret == 0 && on)
        return error_set(err, EINVAL, "not supported: usb=on, vmport=on; allowed: off");
    return ret;
}

static const struct option_key machine_keys[] = {
    {"type", false, set_machine_type},
    {"accel", false, set_machine_accel},
    {"hpet", true, set_hpet},
    {"acpi", true, set_acpi},
    {"usb", true, set_absent},
    {"vmport", true, set_absent},
    {NULL, false, NULL},
};

int option_machine(struct parse *parse, const char *argument, struct error *err)
{
    return option_apply_keys("-machine", argument, "type", machine_keys, parse, err);
}

/* -accel */

struct accel_options {
    struct parse *parse;
    bool named;
    char *properties; /* of the translator */
};

static int set_accel_name(void *opaque, const char *value, struct error *err)
{
    struct accel_options *options = opaque;
    if (option_is_help(value)) {
        options->parse->config->action = ACTION_ACCEL_HELP;
        return 0;
    }
    if (options->named)
        return error_set(err, EINVAL, "one accelerator for each -accel; give -accel twice");
    options->named = true;
    return add_accel(options->parse->config, value, err);
}

/* Tuning of QEMU's accelerators that changes nothing a guest sees: taken, and without effect. */
static int set_accel_tuning(void *opaque, const char *value, struct error *err)
{
    (void)opaque;
    if (*value)
        return 0;
    return error_set(err, EINVAL, "a value is missing");
}

/* What the translator is to do without, though the host has it. */
static int add_property(void *opaque, const char *name, const char *value, struct error *err)
{
    struct accel_options *options = opaque;
    bool on;
    int ret = keyval_switch(name, value, &on, err);
    if (ret < 0)
        return ret;
    char *before = options->properties;
    if (asprintf(&options->properties, "%s%s%s=%s", before ? before : "", before ? "," : "", name,
                 on ? "on" : "off") < 0) {
        options->properties = before;
        return error_set(err, ENOMEM, "no memory for the options");
    }
    free(before);
    return 0;
}

static int set_guard_pages(void *opaque, const char *value, struct error *err)
{
    return add_property(opaque, "guard-pages", value, err);
}

static int set_bmi2(void *opaque, const char *value, struct error *err)
{
    return add_property(opaque, "bmi2", value, err);
}

static int set_fsgsbase(void *opaque, const char *value, struct error *err)
{
    return add_property(opaque, "fsgsbase", value, err);
}

static const struct option_key accel_keys[] = {
    {"accel", false, set_accel_name},
    {"thread", false, set_accel_tuning},
    {"tb-size", false, set_accel_tuning},
    {"split-wx", true, set_accel_tuning},
    {"kernel-irqchip", false, set_accel_tuning},
    {"kvm-shadow-mem", false, set_accel_tuning},
    {"dirty-ring-size", false, set_accel_tuning},
    {"guard-pages", true, set_guard_pages},
    {"bmi2", true, set_bmi2},
    {"fsgsbase", true, set_fsgsbase},
    {NULL, false, NULL},
};

/* The properties go to the accelerator that was named. */
static int settle_accel(struct accel_options *options, struct error *err)
{
    struct config *config = options->parse->config;
    if (!options->named)
        return config->action == ACTION_RUN
                   ? option_unfit(err, "-accel: accelerator", "", accel_names)
                   : 0;
    if (!options->properties)
        return 0;
    struct config_accel *accel = &config->accels[config->accel_count - 1];
    if (strcmp(accel->name, "dbt") != 0 && strcmp(accel->name, "tcg") != 0)
        return error_set(err, EINVAL, "-accel %s: %s is for dbt only", accel->name,
                         options->properties);
    accel->properties = options->properties;
    options->properties = NULL;
    return 0;
}

int option_accel(struct parse *parse, const char *argument, struct error *err)
{
    struct accel_options options = {.parse = parse};
    parse->accel_given = true;
    int ret = option_apply_keys("-accel", argument, "accel", accel_keys, &options, err);
    if (ret == 0)
        ret = settle_accel(&options, err);
    free(options.properties);
    return ret;
}

int option_enable_kvm(struct parse *parse, const char *argument, struct error *err)
{
    (void)argument;
    parse->accel_given = true;
    return add_accel(parse->config, "kvm", err);
}

/* -m */

static int set_memory(void *opaque, const char *value, struct error *err)
{
    struct parse *parse = opaque;
    uint64_t bytes;
    int ret = config_parse_size(value, MIB(1), &bytes, err);
    if (ret < 0 && ret != -ERANGE)
        return ret;
    if (ret == -ERANGE || bytes < MIB(1) || bytes > MEMORY_MAX)
        return error_set(err, EINVAL, "'%.60s': allowed: 1M to %" PRIu64 "G", value,
                         MEMORY_MAX >> 30);
    parse->config->memory = round_up(bytes, PAGE);
    return 0;
}

static int set_hotplug(void *opaque, const char *value, struct error *err)
{
    (void)opaque;
    if (strcmp(value, "0") == 0)
        return 0;
    return error_set(err, EINVAL,
                     "not supported: slots= and maxmem= (memory hot-plug); use -m size=");
}

static const struct option_key memory_keys[] = {
    {"size", false, set_memory},
    {"slots", false, set_hotplug},
    {"maxmem", false, set_hotplug},
    {NULL, false, NULL},
};

int option_memory(struct parse *parse, const char *argument, struct error *err)
{
    if (!*argument)
        return error_set(err, EINVAL, "-m: the size is missing; try -m 512M");
    return option_apply_keys("-m", argument, "size", memory_keys, parse, err);
}

/* -smp */

static int set_cpus(void *opaque, const char *value, struct error *err)
{
    uint64_t number;
    (void)opaque;
    int ret = option_number("cpus", value, 1, 255, &number, err);
    if (ret == 0 && number != 1)
        return error_set(err, EINVAL, "not supported: more than one processor; use -smp 1");
    return ret;
}

static const struct option_key smp_keys[] = {
    {"cpus", false, set_cpus},    {"maxcpus", false, set_cpus},  {"sockets", false, set_cpus},
    {"dies", false, set_cpus},    {"clusters", false, set_cpus}, {"cores", false, set_cpus},
    {"threads", false, set_cpus}, {NULL, false, NULL},
};

int option_smp(struct parse *parse, const char *argument, struct error *err)
{
    if (!*argument)
        return error_set(err, EINVAL, "-smp: the number is missing; use -smp 1");
    return option_apply_keys("-smp", argument, "cpus", smp_keys, parse, err);
}

/* -boot */

static int check_boot_order(const char *name, const char *value, struct error *err)
{
    unsigned seen = 0;
    for (const char *at = value; *at; at++) {
        if (!strchr("acdn", *at))
            return error_set(err, EINVAL,
                             "%s=%.60s: '%c' is not a drive; allowed: a (floppy), c (disk), "
                             "d (CD-ROM), n (network)",
                             name, value, isprint((unsigned char)*at) ? *at : '?');
        unsigned bit = 1u << (*at - 'a');
        if (seen & bit)
            return error_set(err, EINVAL, "%s=%.60s: '%c' is there twice", name, value, *at);
        seen |= bit;
    }
    if (!*value)
        return error_set(err, EINVAL, "%s= needs letters of a, c, d, n", name);
    return 0;
}

static int set_boot_order(void *opaque, const char *value, struct error *err)
{
    struct parse *parse = opaque;
    int ret = check_boot_order("order", value, err);
    return ret < 0 ? ret : option_string(&parse->config->boot_order, value, err);
}

static int set_boot_once(void *opaque, const char *value, struct error *err)
{
    struct parse *parse = opaque;
    int ret = check_boot_order("once", value, err);
    return ret < 0 ? ret : option_string(&parse->config->boot_once, value, err);
}

static int set_boot_menu(void *opaque, const char *value, struct error *err)
{
    struct parse *parse = opaque;
    return keyval_switch("menu", value, &parse->config->boot_menu, err);
}

static int set_boot_strict(void *opaque, const char *value, struct error *err)
{
    bool strict;
    (void)opaque;
    int ret = keyval_switch("strict", value, &strict, err);
    if (ret == 0 && strict)
        return error_set(err, EINVAL, "not supported: strict=on; allowed: off");
    return ret;
}

static const struct option_key boot_keys[] = {
    {"order", false, set_boot_order},
    {"once", false, set_boot_once},
    {"menu", true, set_boot_menu},
    {"strict", true, set_boot_strict},
    {NULL, false, NULL},
};

int option_boot(struct parse *parse, const char *argument, struct error *err)
{
    return option_apply_keys("-boot", argument, "order", boot_keys, parse, err);
}

/* -rtc */

/* "2006-06-17" or "2006-06-17T16:01:21": digits where d stands. The range is checked here. */
static bool is_date(const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    size_t length = strlen(text);
    if (length != 10 && length != 19)
        return false;
    for (size_t i = 0; i < length; i++)
        if (form[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
            return false;
    static const unsigned char days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int month = atoi(text + 5), day = atoi(text + 8);
    if (month < 1 || month > 12 || day < 1 || day > days[month - 1] || atoi(text) < 1970)
        return false;
    return length == 10 || (atoi(text + 11) < 24 && atoi(text + 14) < 60 && atoi(text + 17) < 60);
}

static int set_rtc_base(void *opaque, const char *value, struct error *err)
{
    static const char *const words[] = {"utc", "localtime", NULL};
    struct parse *parse = opaque;
    if (!option_is(value, words) && !is_date(value))
        return error_set(err, EINVAL,
                         "base=%.60s: allowed: utc, localtime, 2006-06-17, 2006-06-17T16:01:21",
                         value);
    return option_string(&parse->config->rtc_base, value, err);
}

static int set_rtc_clock(void *opaque, const char *value, struct error *err)
{
    static const char *const allowed[] = {"host", "vm", NULL};
    struct parse *parse = opaque;
    if (!option_is(value, allowed))
        return option_unfit(err, "clock", value, allowed);
    return option_string(&parse->config->rtc_clock, value, err);
}

static int set_rtc_drift(void *opaque, const char *value, struct error *err)
{
    static const char *const allowed[] = {"none", NULL};
    (void)opaque;
    return option_is(value, allowed) ? 0 : option_unfit(err, "driftfix", value, allowed);
}

static const struct option_key rtc_keys[] = {
    {"base", false, set_rtc_base},
    {"clock", false, set_rtc_clock},
    {"driftfix", false, set_rtc_drift},
    {NULL, false, NULL},
};

int option_rtc(struct parse *parse, const char *argument, struct error *err)
{
    return option_apply_keys("-rtc", argument, NULL, rtc_keys, parse, err);
}

/* -name */

static int set_guest_name(void *opaque, const char *value, struct error *err)
{
    struct parse *parse = opaque;
    return option_string(&parse->config->name, value, err);
}

static int set_thread_names(void *opaque, const char *value, struct error *err)
{
    bool ignored; /* threads have names always */
    (void)opaque;
    return keyval_switch("debug-threads", value, &ignored, err);
}

static const struct option_key name_keys[] = {
    {"guest", false, set_guest_name},
    {"debug-threads", true, set_thread_names},
    {NULL, false, NULL},
};

int option_name(struct parse *parse, const char *argument, struct error *err)
{
    return option_apply_keys("-name", argument, "guest", name_keys, parse, err);
}

/* -device */

static const char *const device_names[] = {"isa-debug-exit", NULL};

static int set_device_driver(void *opaque, const char *value, struct error *err)
{
    struct parse *parse = opaque;
    if (option_is_help(value)) {
        parse->config->action = ACTION_DEVICE_HELP;
        return 0;
    }
    if (!option_is(value, device_names))
        return error_set(err, EINVAL,
                         "not supported: -device %.60s; there is isa-debug-exit, and the board's "
                         "own: disks by -drive, serial ports by -serial, VGA by -vga",
                         value);
    parse->config->debug_exit.present = true;
    return 0;
}

static int set_iobase(void *opaque, const char *value, struct error *err)
{
    struct parse *parse = opaque;
    uint64_t number;
    int ret = option_number("iobase", value, 0, 0xffff, &number, err);
    if (ret == 0)
        parse->config->debug_exit.iobase = (uint16_t)number;
    return ret;
}

static int set_iosize(void *opaque, const char *value, struct error *err)
{
    struct parse *parse = opaque;
    uint64_t number;
    int ret = option_number("iosize", value, 1, 4, &number, err);
    if (ret == 0)
        parse->config->debug_exit.iosize = (uint16_t)number;
    return ret;
}

static int set_device_id(void *opaque, const char *value, struct error *err)
{
    (void)opaque;
    return option_id("id", value, err);
}

static const struct option_key device_keys[] = {
    {"driver", false, set_device_driver},
    {"iobase", false, set_iobase},
    {"iosize", false, set_iosize},
    {"id", false, set_device_id},
    {NULL, false, NULL},
};

int option_device(struct parse *parse, const char *argument, struct error *err)
{
    struct config_debug_exit *exit_device = &parse->config->debug_exit;
    bool was_present = exit_device->present;
    exit_device->present = false;
    /* The driver comes first: what another device's parameters are, nobody here knows. */
    if (!*argument || *argument == ',')
        return error_set(err, EINVAL, "-device: the name is missing; there is isa-debug-exit");
    int ret = option_apply_keys("-device", argument, "driver", device_keys, parse, err);
    if (ret < 0 || parse->config->action != ACTION_RUN)
        return ret;
    if (!exit_device->present)
        return error_set(err, EINVAL, "-device: driver= is missing; there is isa-debug-exit");
    if (was_present)
        return error_set(err, EINVAL, "-device isa-debug-exit: there is one already");
    if (exit_device->iobase + exit_device->iosize > 0x10000)
        return error_set(err, EINVAL,
                         "-device isa-debug-exit: iobase + iosize passes the last port, 0xffff");
    return 0;
}
