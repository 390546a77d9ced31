/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QEMU's human monitor on a chardev: prompt, line editing, commands. The commands are in
 * hmp_table.c; what they do, apart from any text front end, in commands.h. Under the VM lock.
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

struct chardev;
struct error;
struct monitor;
struct vm;

/* Attaches to the chardev; both outlive the monitor. Destroyed before the VM, when its loop has
 * ended. */
int monitor_create(struct monitor **monitor, struct vm *vm, struct chardev *chardev,
                   struct error *err);
void monitor_destroy(struct monitor *monitor); /* NULL is fine */

#endif
