/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QEMU's "key=value,key=value", as the command line, chardevs and drives have it. Any thread.
 */
#ifndef BASE_KEYVAL_H
#define BASE_KEYVAL_H

#include <stdbool.h>

struct error;

/* Calls fn for each item in turn until one fails; ",," stands for a comma. A bare word is key with
 * value NULL, the first item the value of implied unless that is NULL. fn returns 0 or a negative
 * errno after filling err. key and value live for the time of the call. */
int keyval_split(const char *text, const char *implied,
                 int (*fn)(void *opaque, const char *key, const char *value, struct error *err),
                 void *opaque, struct error *err);

/* "on" or "off" (also yes, no, true, false, y, n, as QEMU takes them); name is for the error. */
int keyval_switch(const char *name, const char *text, bool *value, struct error *err);

#endif
