/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command line: finds each option in the table, hands it its argument, and settles at the end
 * what depends on several of them.
 */
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "config/options.h"

static const struct option *find_option(const char *name)
{
    for (const struct option *at = config_options; at->name || at->summary; at++)
        if (at->name && strcmp(at->name, name) == 0)
            return at;
    return NULL;
}

static int unknown_option(const char *word, const char *name, struct error *err)
{
    const char *names[96];
    size_t count = 0;
    if (option_is(name, config_qemu_options))
        return error_set(err, EINVAL, "not supported: -%.60s; -help lists what is", name);
    for (const struct option *at = config_options; at->name || at->summary; at++)
        if (at->name && count < ARRAY_LEN(names) - 1)
            names[count++] = at->name;
    names[count] = NULL;
    const char *near = config_nearest(name, names);
    if (near)
        return error_set(err, EINVAL, "%.60s: no such option; did you mean -%s?", word, near);
    return error_set(err, EINVAL, "%.60s: no such option; -help lists them", word);
}

static int parse_word(struct parse *parse, int argc, char **argv, int *at, struct error *err)
{
    const char *word = argv[*at];
    if (word[0] != '-')
        return option_hda(parse, word, err);
    const char *name = word + (word[1] == '-' ? 2 : 1);
    const struct option *option = find_option(name);
    if (!option)
        return unknown_option(word, name, err);
    if (!option->argument)
        return option->apply(parse, NULL, err);
    if (*at + 1 >= argc)
        return error_set(err, EINVAL, "%s needs an argument: -%s %s", word, name, option->argument);
    return option->apply(parse, argv[++*at], err);
}

static int settle(struct parse *parse, struct error *err)
{
    struct config *config = parse->config;
    if (parse->machine_accel && parse->accel_given)
        return error_set(err, EINVAL, "-machine accel= and -accel exclude each other");
    if (config->initrd && !config->kernel)
        return error_set(err, EINVAL, "-initrd is for -kernel only");
    if (config->append && !config->kernel)
        return error_set(err, EINVAL, "-append is for -kernel only");
    if (!parse->vga_given && parse->no_defaults)
        config->vga = VGA_NONE;
    int ret = parse->no_defaults ? 0 : option_default_cdrom(parse, err);
    for (size_t i = 0; i < config->drive_count; i++)
        config->drives[i].snapshot |= config->snapshot;
    return ret < 0 ? ret : option_settle_chardevs(parse, err);
}

static int parse_all(struct parse *parse, int argc, char **argv, struct error *err)
{
    for (int at = 1; at < argc; at++) {
        int ret = parse_word(parse, argc, argv, &at, err);
        if (ret < 0 || parse->config->action != ACTION_RUN)
            return ret;
    }
    return settle(parse, err);
}

int config_parse(struct config *config, int argc, char **argv, struct error *err)
{
    memset(config, 0, sizeof(*config));
    config->memory = MIB(128);
    config->cpus = 1;
    config->hpet = true;
    config->acpi = true;
    config->debug_exit.iobase = 0x501;
    config->debug_exit.iosize = 2;
    struct parse parse = {.config = config};
    int ret = option_string(&config->machine, "pc", err);
    if (ret == 0)
        ret = parse_all(&parse, argc, argv, err);
    if (ret < 0)
        config_fini(config);
    return ret;
}

static void free_list(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

static void free_drives(struct config *config)
{
    for (size_t i = 0; i < config->drive_count; i++) {
        free(config->drives[i].file);
        free(config->drives[i].format);
        free(config->drives[i].id);
    }
    free(config->drives);
}

void config_fini(struct config *config)
{
    char *const strings[] = {
        config->name,      config->machine,  config->cpu,       config->kernel,
        config->initrd,    config->append,   config->bios,      config->boot_order,
        config->boot_once, config->monitor,  config->debugcon,  config->log_items,
        config->log_file,  config->rtc_base, config->rtc_clock,
    };
    for (size_t i = 0; i < ARRAY_LEN(strings); i++)
        free(strings[i]);
    for (size_t i = 0; i < config->accel_count; i++) {
        free(config->accels[i].name);
        free(config->accels[i].properties);
    }
    free(config->accels);
    for (size_t i = 0; i < config->chardev_count; i++) {
        free(config->chardevs[i].id);
        free(config->chardevs[i].spec);
    }
    free(config->chardevs);
    free_drives(config);
    free_list(config->serials, config->serial_count);
    free_list(config->library_dirs, config->library_dir_count);
    memset(config, 0, sizeof(*config));
}
