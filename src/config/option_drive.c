/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -drive, -fda, -fdb, -hda to -hdd, -cdrom, a bare file name, and the empty CD drive of QEMU's
 * `pc`.
 *
 * IDE places are numbered as in QEMU: index = bus * 2 + unit. A drive without a place takes the
 * first that is free among those given before it.
 */
#include "config/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/keyval.h"

#define CDROM_INDEX 2 /* master of the second channel */

/* What -drive says, before it is settled. */
struct drive_options {
    struct config_drive *drive;
    int index, bus, unit; /* -1: not given */
    bool read_only_given;
};

static int set_file(void *opaque, const char *value, struct error *err)
{
    struct drive_options *options = opaque;
    return option_string(&options->drive->file, value, err);
}

static int set_if(void *opaque, const char *value, struct error *err)
{
    static const char *const allowed[] = {"ide", "floppy", "none", NULL};
    struct drive_options *options = opaque;
    if (!option_is(value, allowed))
        return option_unfit(err, "if", value, allowed);
    options->drive->interface = strcmp(value, "none") == 0     ? DRIVE_NONE
                                : strcmp(value, "floppy") == 0 ? DRIVE_FLOPPY
                                                               : DRIVE_IDE;
    return 0;
}

static int set_media(void *opaque, const char *value, struct error *err)
{
    static const char *const allowed[] = {"disk", "cdrom", NULL};
    struct drive_options *options = opaque;
    if (!option_is(value, allowed))
        return option_unfit(err, "media", value, allowed);
    options->drive->media = strcmp(value, "cdrom") == 0 ? MEDIA_CDROM : MEDIA_DISK;
    return 0;
}

static int set_format(void *opaque, const char *value, struct error *err)
{
    static const char *const allowed[] = {"raw", NULL};
    struct drive_options *options = opaque;
    if (!option_is(value, allowed))
        return option_unfit(err, "format", value, allowed);
    return option_string(&options->drive->format, value, err);
}

static int set_read_only(void *opaque, const char *value, struct error *err)
{
    struct drive_options *options = opaque;
    options->read_only_given = true;
    return keyval_switch("readonly", value, &options->drive->read_only, err);
}

static int set_snapshot(void *opaque, const char *value, struct error *err)
{
    struct drive_options *options = opaque;
    return keyval_switch("snapshot", value, &options->drive->snapshot, err);
}

static int set_place(int *place, const char *name, const char *value, uint64_t max,
                     struct error *err)
{
    uint64_t number;
    int ret = option_number(name, value, 0, max, &number, err);
    if (ret == 0)
        *place = (int)number;
    return ret;
}

static int set_index(void *opaque, const char *value, struct error *err)
{
    struct drive_options *options = opaque;
    return set_place(&options->index, "index", value, CONFIG_IDE_DRIVES - 1, err);
}

static int set_bus(void *opaque, const char *value, struct error *err)
{
    struct drive_options *options = opaque;
    return set_place(&options->bus, "bus", value, 1, err);
}

static int set_unit(void *opaque, const char *value, struct error *err)
{
    struct drive_options *options = opaque;
    return set_place(&options->unit, "unit", value, 1, err);
}

static int set_id(void *opaque, const char *value, struct error *err)
{
    struct drive_options *options = opaque;
    int ret = option_id("id", value, err);
    return ret < 0 ? ret : option_string(&options->drive->id, value, err);
}

/* Writes go to the host's page cache and a guest's flush to the disk: that is "writeback", and
 * more than "unsafe" asks. The others promise what we do not do. */
static int set_cache(void *opaque, const char *value, struct error *err)
{
    static const char *const allowed[] = {"writeback", "unsafe", NULL};
    (void)opaque;
    return option_is(value, allowed) ? 0 : option_unfit(err, "cache", value, allowed);
}

static int set_aio(void *opaque, const char *value, struct error *err)
{
    static const char *const allowed[] = {"threads", NULL};
    (void)opaque;
    return option_is(value, allowed) ? 0 : option_unfit(err, "aio", value, allowed);
}

static int set_discard(void *opaque, const char *value, struct error *err)
{
    static const char *const allowed[] = {"ignore", "off", NULL};
    (void)opaque;
    return option_is(value, allowed) ? 0 : option_unfit(err, "discard", value, allowed);
}

static const struct option_key drive_keys[] = {
    {"file", false, set_file},         {"if", false, set_if},
    {"media", false, set_media},       {"format", false, set_format},
    {"readonly", true, set_read_only}, {"snapshot", true, set_snapshot},
    {"index", false, set_index},       {"bus", false, set_bus},
    {"unit", false, set_unit},         {"id", false, set_id},
    {"cache", false, set_cache},       {"aio", false, set_aio},
    {"discard", false, set_discard},   {NULL, false, NULL},
};

/* The one floppy controller has two places: index= and unit= are the same. */
static int settle_floppy(struct parse *parse, const struct drive_options *options, int *index,
                         struct error *err)
{
    if (options->bus > 0)
        return error_set(err, EINVAL, "if=floppy has no bus=%d, there is one controller",
                         options->bus);
    int asked = options->index >= 0 ? options->index : options->unit;
    if (asked >= CONFIG_FLOPPIES)
        return error_set(err, EINVAL, "if=floppy has no index=%d: allowed: 0, 1", asked);
    int first = asked >= 0 ? asked : 0, last = asked >= 0 ? asked : CONFIG_FLOPPIES - 1;
    for (*index = first; *index <= last; (*index)++) {
        if (!parse->floppy_taken[*index]) {
            parse->floppy_taken[*index] = true;
            return 0;
        }
    }
    if (asked >= 0)
        return error_set(err, EINVAL, "there is a floppy drive with index=%d already", asked);
    return error_set(err, EINVAL, "no room for one more floppy drive; there are two");
}

/* The place asked for, or the first free one; -1 in *index for if=none. */
static int settle_place(struct parse *parse, const struct drive_options *options, int *index,
                        struct error *err)
{
    *index = -1;
    if (options->index >= 0 && (options->bus >= 0 || options->unit >= 0))
        return error_set(err, EINVAL, "index= goes without bus= and unit=");
    if (options->drive->interface == DRIVE_NONE)
        return 0;
    if (options->drive->interface == DRIVE_FLOPPY)
        return settle_floppy(parse, options, index, err);
    int first = 0, last = CONFIG_IDE_DRIVES - 1;
    if (options->index >= 0) {
        first = last = options->index;
    } else if (options->unit >= 0) {
        first = last = (options->bus > 0 ? 2 : 0) + options->unit;
    } else if (options->bus >= 0) {
        first = options->bus * 2;
        last = first + 1;
    }
    for (*index = first; *index <= last; (*index)++) {
        if (!parse->drive_taken[*index]) {
            parse->drive_taken[*index] = true;
            return 0;
        }
    }
    if (first == last)
        return error_set(err, EINVAL, "there is a drive at bus=%d,unit=%d (index=%d) already",
                         first / 2, first % 2, first);
    return error_set(err, EINVAL,
                     "no room for one more drive; there are two IDE buses of two each");
}

/* QEMU's names, which users know from its monitor: ide0-hd0, ide1-cd0, floppy0, none0. */
static int settle_id(struct parse *parse, struct config_drive *drive, struct error *err)
{
    const struct config *config = parse->config;
    if (!drive->id) {
        char id[32];
        if (drive->interface == DRIVE_NONE)
            snprintf(id, sizeof(id), "none%zu", config->drive_count - 1);
        else if (drive->interface == DRIVE_FLOPPY)
            snprintf(id, sizeof(id), "floppy%d", drive->index);
        else
            snprintf(id, sizeof(id), "ide%d-%s%d", drive->index / 2,
                     drive->media == MEDIA_CDROM ? "cd" : "hd", drive->index % 2);
        int ret = option_string(&drive->id, id, err);
        if (ret < 0)
            return ret;
    }
    for (size_t i = 0; i + 1 < config->drive_count; i++)
        if (strcmp(config->drives[i].id, drive->id) == 0)
            return error_set(err, EINVAL, "there is a drive with id=%s already", drive->id);
    return 0;
}

static int settle_drive(struct parse *parse, const struct drive_options *options, struct error *err)
{
    struct config_drive *drive = options->drive;
    if (drive->file && !*drive->file) { /* how QEMU says "no medium" */
        free(drive->file);
        drive->file = NULL;
    }
    if (drive->interface == DRIVE_FLOPPY && drive->media == MEDIA_CDROM)
        return error_set(err, EINVAL, "if=floppy goes without media=cdrom");
    if (drive->interface != DRIVE_FLOPPY && drive->media == MEDIA_DISK && !drive->file)
        return error_set(err, EINVAL, "a disk needs file=...");
    if (drive->media == MEDIA_CDROM) {
        if (options->read_only_given && !drive->read_only)
            return error_set(err, EINVAL, "a CD-ROM cannot be written: leave out readonly=off");
        drive->read_only = true;
    }
    int ret = settle_place(parse, options, &drive->index, err);
    return ret < 0 ? ret : settle_id(parse, drive, err);
}

static struct config_drive *new_drive(struct parse *parse, struct error *err)
{
    struct config *config = parse->config;
    struct config_drive *drive =
        option_grow((void **)&config->drives, &config->drive_count, sizeof(*drive), err);
    if (drive)
        drive->index = -1;
    return drive;
}

int option_drive(struct parse *parse, const char *argument, struct error *err)
{
    struct drive_options options = {new_drive(parse, err), -1, -1, -1, false};
    if (!options.drive)
        return -ENOMEM;
    int ret = option_apply_keys("-drive", argument, NULL, drive_keys, &options, err);
    if (ret < 0)
        return ret;
    ret = settle_drive(parse, &options, err);
    if (ret < 0)
        error_prefix(err, "-drive");
    return ret;
}

static int add_drive(struct parse *parse, const char *option, enum drive_interface interface,
                     int index, enum drive_media media, const char *file, struct error *err)
{
    struct drive_options options = {new_drive(parse, err), index, -1, -1, false};
    if (!options.drive)
        return -ENOMEM;
    options.drive->interface = interface;
    options.drive->media = media;
    int ret = file ? option_path(&options.drive->file, file, err) : 0;
    if (ret == 0)
        ret = settle_drive(parse, &options, err);
    if (ret < 0)
        error_prefix(err, "%s", option);
    return ret;
}

int option_fda(struct parse *parse, const char *argument, struct error *err)
{
    return add_drive(parse, "-fda", DRIVE_FLOPPY, 0, MEDIA_DISK, argument, err);
}

int option_fdb(struct parse *parse, const char *argument, struct error *err)
{
    return add_drive(parse, "-fdb", DRIVE_FLOPPY, 1, MEDIA_DISK, argument, err);
}

int option_hda(struct parse *parse, const char *argument, struct error *err)
{
    return add_drive(parse, "-hda", DRIVE_IDE, 0, MEDIA_DISK, argument, err);
}

int option_hdb(struct parse *parse, const char *argument, struct error *err)
{
    return add_drive(parse, "-hdb", DRIVE_IDE, 1, MEDIA_DISK, argument, err);
}

int option_hdc(struct parse *parse, const char *argument, struct error *err)
{
    return add_drive(parse, "-hdc", DRIVE_IDE, 2, MEDIA_DISK, argument, err);
}

int option_hdd(struct parse *parse, const char *argument, struct error *err)
{
    return add_drive(parse, "-hdd", DRIVE_IDE, 3, MEDIA_DISK, argument, err);
}

int option_cdrom(struct parse *parse, const char *argument, struct error *err)
{
    return add_drive(parse, "-cdrom", DRIVE_IDE, CDROM_INDEX, MEDIA_CDROM, argument, err);
}

int option_default_cdrom(struct parse *parse, struct error *err)
{
    if (parse->drive_taken[CDROM_INDEX])
        return 0;
    return add_drive(parse, "the empty CD drive", DRIVE_IDE, CDROM_INDEX, MEDIA_CDROM, NULL, err);
}
