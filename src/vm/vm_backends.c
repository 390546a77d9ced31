/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The images behind a machine's drives, and the streams behind its serial lines, debug console and
 * monitor: opened as the configuration says.
 */
#include "vm/vm_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

int vm_open_drives(struct vm *vm, struct error *err)
{
    for (size_t i = 0; i < vm->config->drive_count; i++) {
        const struct config_drive *drive = &vm->config->drives[i];
        bool floppy = drive->interface == DRIVE_FLOPPY;
        if (drive->interface == DRIVE_NONE || drive->index < 0 ||
            drive->index >= (floppy ? FLOPPIES : DRIVES))
            continue;
        if (floppy)
            vm->drives->floppy_drive[drive->index] = true;
        else
            vm->drives->is_cd[drive->index] = drive->media == MEDIA_CDROM;
        if (!drive->file)
            continue;
        struct block_options options = {.path = drive->file,
                                        .format = drive->format,
                                        .read_only =
                                            drive->read_only || drive->media == MEDIA_CDROM,
                                        .snapshot = drive->snapshot || vm->config->snapshot};
        struct block **place =
            floppy ? &vm->drives->floppies[drive->index] : &vm->drives->ide[drive->index];
        int ret = block_open(place, vm->loop, &options, err);
        if (ret < 0)
            return ret;
    }
    return 0;
}

void vm_close_drives(struct vm_drives *drives)
{
    if (!drives)
        return;
    for (int i = 0; i < DRIVES; i++)
        block_close(drives->ide[i]);
    for (int i = 0; i < FLOPPIES; i++)
        block_close(drives->floppies[i]);
    free(drives);
}

struct chardev *vm_chardev(struct vm *vm, const char *id)
{
    for (size_t i = 0; i < vm->chardevs->named_count; i++)
        if (strcmp(vm->chardevs->named[i].id, id) == 0)
            return vm->chardevs->named[i].chardev;
    return NULL;
}

/* "chardev:ID", "none" (NULL) or a short form, which makes a chardev of its own. */
static int open_short(struct vm *vm, const char *label, const char *spec, struct chardev **chardev,
                      bool *owned, struct error *err)
{
    *chardev = NULL;
    *owned = false;
    if (!spec || strcmp(spec, "none") == 0)
        return 0;
    if (strncmp(spec, "chardev:", 8) == 0) {
        *chardev = vm_chardev(vm, spec + 8);
        if (!*chardev)
            return error_set(err, ENOENT, "%s: there is no -chardev with id=%s", label, spec + 8);
        return 0;
    }
    *owned = true;
    return chardev_open_short(chardev, vm->loop, label, spec, err);
}

static void mux_quit(void *opaque)
{
    vm_quit(opaque, 0);
}

static void set_hooks(struct vm *vm, struct chardev *chardev)
{
    const struct chardev_mux_hooks hooks = {.quit = mux_quit, .opaque = vm};
    if (chardev && chardev_is_mux(chardev))
        chardev_set_mux_hooks(chardev, &hooks);
}

int vm_open_chardevs(struct vm *vm, struct error *err)
{
    const struct config *config = vm->config;
    struct vm_chardevs *chardevs = vm->chardevs;
    chardevs->named = calloc(config->chardev_count + 1, sizeof(*chardevs->named));
    if (!chardevs->named)
        return error_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; i < config->chardev_count; i++) {
        struct named_chardev *named = &chardevs->named[i];
        int ret = chardev_open(&named->chardev, vm->loop, config->chardevs[i].id,
                               config->chardevs[i].spec, err);
        if (ret < 0)
            return ret;
        named->id = config->chardevs[i].id;
        chardevs->named_count++;
        set_hooks(vm, named->chardev);
    }
    for (size_t i = 0; i < config->serial_count && i < SERIALS; i++) {
        char label[16];
        snprintf(label, sizeof(label), "serial%u", (unsigned)i);
        int ret = open_short(vm, label, config->serials[i], &chardevs->serials[i],
                             &chardevs->serial_owned[i], err);
        if (ret < 0)
            return ret;
        set_hooks(vm, chardevs->serials[i]);
        /* mon:stdio is the monitor's stream too. */
        if (strncmp(config->serials[i], "mon:", 4) == 0 && !chardevs->monitor)
            chardevs->monitor = chardevs->serials[i];
    }
    int ret = open_short(vm, "debugcon", config->debugcon, &chardevs->debugcon,
                         &chardevs->debugcon_owned, err);
    if (ret < 0 || chardevs->monitor)
        return ret;
    ret = open_short(vm, "monitor", config->monitor, &chardevs->monitor, &chardevs->monitor_owned,
                     err);
    if (ret == 0)
        set_hooks(vm, chardevs->monitor);
    return ret;
}

struct chardev *vm_monitor_chardev(struct vm *vm)
{
    return vm->chardevs->monitor;
}

void vm_each_chardev(struct vm *vm, void (*fn)(void *opaque, struct chardev *chardev), void *opaque)
{
    const struct vm_chardevs *chardevs = vm->chardevs;
    for (size_t i = 0; i < chardevs->named_count; i++)
        fn(opaque, chardevs->named[i].chardev);
    for (int i = 0; i < SERIALS; i++)
        if (chardevs->serial_owned[i])
            fn(opaque, chardevs->serials[i]);
    if (chardevs->debugcon_owned)
        fn(opaque, chardevs->debugcon);
    if (chardevs->monitor_owned)
        fn(opaque, chardevs->monitor);
}

void vm_close_chardevs(struct vm_chardevs *chardevs)
{
    if (!chardevs)
        return;
    for (int i = 0; i < SERIALS; i++)
        if (chardevs->serial_owned[i])
            chardev_close(chardevs->serials[i]);
    if (chardevs->monitor_owned)
        chardev_close(chardevs->monitor);
    if (chardevs->debugcon_owned)
        chardev_close(chardevs->debugcon);
    for (size_t i = 0; i < chardevs->named_count; i++)
        chardev_close(chardevs->named[i].chardev);
    free(chardevs->named);
    free(chardevs);
}
