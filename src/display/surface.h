/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Pixels. A graphics adapter draws its screen into a surface when somebody wants to look; whoever
 * looks (screendump now; VNC, a window later) is its client. Under the VM lock.
 */
#ifndef DISPLAY_SURFACE_H
#define DISPLAY_SURFACE_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/* 32 bits a pixel, 0x00RRGGBB in host order, rows of `width` pixels. */
struct surface {
    unsigned width, height;
    uint32_t *pixels;
};

/* Changes the size; the contents become black. -EINVAL beyond 16384 x 16384, -ENOMEM. */
int surface_resize(struct surface *surface, unsigned width, unsigned height);
void surface_fini(struct surface *surface);

/* A display adapter's side: draws the whole current screen, resizing the surface to it. */
struct display_source {
    void (*draw)(void *opaque, struct surface *surface);
    void *opaque;
};

enum picture_format { PICTURE_PPM, PICTURE_PNG };
/* Writes path (created or replaced only when complete). */
int surface_save(const struct surface *surface, const char *path, enum picture_format format,
                 struct error *err);

#endif
