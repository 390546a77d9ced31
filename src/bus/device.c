/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bus/device.h"

#include <stddef.h>

void device_add(struct device_list *list, struct device *device)
{
    device->next = NULL;
    if (list->last)
        list->last->next = device;
    else
        list->first = device;
    list->last = device;
}

void device_reset_all(struct device_list *list)
{
    for (struct device *device = list->first; device; device = device->next)
        if (device->type->reset)
            device->type->reset(device);
}

void device_fini_all(struct device_list *list)
{
    struct device *reversed = NULL;
    for (struct device *device = list->first; device;) {
        struct device *next = device->next;
        device->next = reversed;
        reversed = device;
        device = next;
    }
    for (struct device *device = reversed; device;) {
        struct device *next = device->next;
        if (device->type->fini)
            device->type->fini(device);
        device = next;
    }
    list->first = NULL;
    list->last = NULL;
}
