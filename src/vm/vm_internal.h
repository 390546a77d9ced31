/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What vm.c and vm_backends.c share: the host's side of a machine's drives and streams.
 */
#ifndef VM_VM_INTERNAL_H
#define VM_VM_INTERNAL_H

#include "block/block.h"
#include "chardev/chardev.h"
#include "vm/vm.h"

enum { SERIALS = 4, DRIVES = 4, FLOPPIES = 2 };

struct vm_drives {
    struct block *ide[DRIVES];
    bool is_cd[DRIVES];
    struct block *floppies[FLOPPIES];
    bool floppy_drive[FLOPPIES];
};

struct named_chardev {
    char *id;
    struct chardev *chardev;
};

struct vm_chardevs {
    struct named_chardev *named;
    size_t named_count;
    struct chardev *serials[SERIALS];
    bool serial_owned[SERIALS];
    struct chardev *monitor, *debugcon;
    bool monitor_owned, debugcon_owned;
};

/* As the configuration says. What has been opened when one fails is closed by the functions below.
 */
int vm_open_drives(struct vm *vm, struct error *err);
int vm_open_chardevs(struct vm *vm, struct error *err);
/* NULL is fine. */
void vm_close_drives(struct vm_drives *drives);
void vm_close_chardevs(struct vm_chardevs *chardevs);

#endif
