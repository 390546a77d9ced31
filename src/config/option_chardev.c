/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -chardev, and who uses one: -serial, -parallel, -monitor, -mon, -debugcon. What a character
 * device is made of is looked at by chardev/ when it is opened; here only ids are.
 */
#include "config/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* The end of the item at text: its comma or the end. Doubled commas are part of it. */
static const char *item_end(const char *text)
{
    while (*text && (*text != ',' || text[1] == ','))
        text += *text == ',' ? 2 : 1;
    return text;
}

static bool chardev_exists(const struct config *config, const char *id)
{
    for (size_t i = 0; i < config->chardev_count; i++)
        if (config->chardevs[i].id && strcmp(config->chardevs[i].id, id) == 0)
            return true;
    return false;
}

/* Takes "id=..." out of spec and gives it to chardev. */
static int take_id(struct parse *parse, struct config_chardev *chardev, struct error *err)
{
    char *spec = chardev->spec;
    bool was_last = false;
    for (char *item = spec; *item;) {
        char *end = (char *)item_end(item);
        char *next = *end ? end + 1 : end;
        if (strncmp(item, "id=", 3) != 0) {
            item = next;
            continue;
        }
        *end = '\0';
        int ret = option_id("id", item + 3, err);
        if (ret < 0)
            return ret;
        if (chardev->id || chardev_exists(parse->config, item + 3))
            return error_set(err, EINVAL, "id=%s is there already", item + 3);
        ret = option_string(&chardev->id, item + 3, err);
        if (ret < 0)
            return ret;
        was_last = !*next;
        memmove(item, next, strlen(next) + 1);
    }
    size_t length = strlen(spec);
    if (was_last && length && spec[length - 1] == ',')
        spec[length - 1] = '\0';
    if (!chardev->id)
        return error_set(err, EINVAL, "id= is missing: -chardev %.60s,id=NAME", spec);
    return 0;
}

int option_chardev(struct parse *parse, const char *argument, struct error *err)
{
    struct config *config = parse->config;
    struct config_chardev *chardev =
        option_grow((void **)&config->chardevs, &config->chardev_count, sizeof(*chardev), err);
    if (!chardev)
        return -ENOMEM;
    int ret = option_string(&chardev->spec, argument, err);
    if (ret == 0)
        ret = take_id(parse, chardev, err);
    if (ret == 0 && !*chardev->spec)
        ret = error_set(err, EINVAL, "the type is missing: -chardev stdio,id=NAME");
    if (ret < 0)
        error_prefix(err, "-chardev");
    return ret;
}

int option_serial(struct parse *parse, const char *argument, struct error *err)
{
    struct config *config = parse->config;
    if (config->serial_count == CONFIG_SERIALS)
        return error_set(err, EINVAL, "-serial: there are four serial ports, no more");
    if (!*argument)
        return error_set(err, EINVAL, "-serial: empty; for no port use -serial none");
    if (strncmp(argument, "mon:", 4) == 0) /* this is the monitor, so -nographic adds none */
        parse->monitor_given = true;
    return option_append(&config->serials, &config->serial_count, argument, err);
}

int option_parallel(struct parse *parse, const char *argument, struct error *err)
{
    (void)parse;
    if (strcmp(argument, "none") == 0)
        return 0;
    return error_set(err, EINVAL, "not supported: -parallel %.60s; allowed: none", argument);
}

static int set_monitor(struct parse *parse, const char *argument, struct error *err)
{
    struct config *config = parse->config;
    if (config->monitor)
        return error_set(err, EINVAL, "not supported: more than one monitor");
    parse->monitor_given = true;
    if (strcmp(argument, "none") == 0)
        return 0;
    return option_string(&config->monitor, argument, err);
}

int option_monitor(struct parse *parse, const char *argument, struct error *err)
{
    if (!*argument)
        return error_set(err, EINVAL, "-monitor: empty; for no monitor use -monitor none");
    int ret = set_monitor(parse, argument, err);
    if (ret < 0)
        error_prefix(err, "-monitor");
    return ret;
}

static int set_mon_chardev(void *opaque, const char *value, struct error *err)
{
    char name[80];
    int ret = option_id("chardev", value, err);
    if (ret < 0)
        return ret;
    snprintf(name, sizeof(name), "chardev:%s", value);
    return set_monitor(opaque, name, err);
}

static int set_mon_mode(void *opaque, const char *value, struct error *err)
{
    static const char *const allowed[] = {"readline", NULL};
    (void)opaque;
    if (strcmp(value, "control") == 0)
        return error_set(err, EINVAL, "not supported: mode=control (QMP); allowed: readline");
    return option_is(value, allowed) ? 0 : option_unfit(err, "mode", value, allowed);
}

static const struct option_key mon_keys[] = {
    {"chardev", false, set_mon_chardev},
    {"mode", false, set_mon_mode},
    {NULL, false, NULL},
};

int option_mon(struct parse *parse, const char *argument, struct error *err)
{
    return option_apply_keys("-mon", argument, "chardev", mon_keys, parse, err);
}

int option_debugcon(struct parse *parse, const char *argument, struct error *err)
{
    if (!*argument)
        return error_set(err, EINVAL, "-debugcon: empty; try -debugcon stdio");
    return option_string(&parse->config->debugcon, argument, err);
}

static int check_chardev(const struct config *config, const char *option, const char *spec,
                         struct error *err)
{
    if (!spec || strncmp(spec, "chardev:", 8) != 0 || chardev_exists(config, spec + 8))
        return 0;
    return error_set(err, EINVAL, "%s %.60s: there is no -chardev with id=%.60s", option, spec,
                     spec + 8);
}

int option_settle_chardevs(struct parse *parse, struct error *err)
{
    struct config *config = parse->config;
    bool default_serial = config->serial_count == 0 && !parse->no_defaults;
    bool default_monitor = !parse->monitor_given && !parse->no_defaults;
    const char *serial = "null";
    if (parse->no_graphic)
        serial = default_monitor ? "mon:stdio" : "stdio";
    int ret = 0;
    if (default_serial)
        ret = option_append(&config->serials, &config->serial_count, serial, err);
    if (ret == 0 && parse->no_graphic && default_monitor && !default_serial)
        ret = option_string(&config->monitor, "stdio", err);
    for (size_t i = 0; i < config->serial_count && ret == 0; i++)
        ret = check_chardev(config, "-serial", config->serials[i], err);
    if (ret == 0)
        ret = check_chardev(config, "-monitor", config->monitor, err);
    if (ret == 0)
        ret = check_chardev(config, "-debugcon", config->debugcon, err);
    return ret;
}
