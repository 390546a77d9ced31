/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Surfaces and pictures of them.
 */
#include "display/surface.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

enum { SURFACE_MAX = 16384 };

int surface_resize(struct surface *surface, unsigned width, unsigned height)
{
    if (width > SURFACE_MAX || height > SURFACE_MAX)
        return -EINVAL;
    size_t count = (size_t)width * height;
    if (surface->pixels && (size_t)surface->width * surface->height == count) {
        memset(surface->pixels, 0, count * sizeof(*surface->pixels));
    } else {
        uint32_t *pixels = calloc(count ? count : 1, sizeof(*pixels));
        if (!pixels)
            return -ENOMEM;
        free(surface->pixels);
        surface->pixels = pixels;
    }
    surface->width = width;
    surface->height = height;
    return 0;
}

void surface_fini(struct surface *surface)
{
    free(surface->pixels);
    *surface = (struct surface){0};
}

/* A row as bytes: red, green, blue. */
static void row_bytes(const struct surface *surface, unsigned y, uint8_t *row)
{
    const uint32_t *pixels = surface->pixels + (size_t)y * surface->width;
    for (unsigned x = 0; x < surface->width; x++) {
        row[3 * x] = (uint8_t)(pixels[x] >> 16);
        row[3 * x + 1] = (uint8_t)(pixels[x] >> 8);
        row[3 * x + 2] = (uint8_t)pixels[x];
    }
}

/* The writers return 0 or a positive errno. */

static int write_ppm(const struct surface *surface, FILE *file, uint8_t *row)
{
    errno = 0;
    fprintf(file, "P6\n%u %u\n255\n", surface->width, surface->height);
    for (unsigned y = 0; y < surface->height && !ferror(file); y++) {
        row_bytes(surface, y, row);
        fwrite(row, 3, surface->width, file);
    }
    return !ferror(file) ? 0 : errno ? errno : EIO;
}

static void png_failed(png_structp png, png_const_charp text)
{
    (void)text; /* it is the file that fails: errno says more */
    longjmp(png_jmpbuf(png), 1);
}

static void png_warned(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static int write_png(const struct surface *surface, FILE *file, uint8_t *row)
{
    png_infop info = NULL;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, png_failed, png_warned);
    if (png)
        info = png_create_info_struct(png);
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        return ENOMEM;
    }
    errno = 0;
    if (setjmp(png_jmpbuf(png))) {
        int why = errno ? errno : EIO;
        png_destroy_write_struct(&png, &info);
        return why;
    }
    png_init_io(png, file);
    png_set_IHDR(png, info, surface->width, surface->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (unsigned y = 0; y < surface->height; y++) {
        row_bytes(surface, y, row);
        png_write_row(png, row);
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return 0;
}

/* The stream has a descriptor of its own, so that the file's stays its maker's. */
static int write_picture(const struct surface *surface, int fd, enum picture_format format)
{
    int own = dup(fd);
    FILE *file = own < 0 ? NULL : fdopen(own, "wb");
    if (!file) {
        int why = errno;
        if (own >= 0)
            close(own);
        return why;
    }
    uint8_t *row = malloc(3 * (size_t)surface->width);
    int why = !row                    ? ENOMEM
              : format == PICTURE_PNG ? write_png(surface, file, row)
                                      : write_ppm(surface, file, row);
    free(row);
    if (fclose(file) && !why)
        why = errno;
    return why;
}

int surface_save(const struct surface *surface, const char *path, enum picture_format format,
                 struct error *err)
{
    if (!surface->width || !surface->height)
        return error_set(err, EINVAL,
                         "cannot write the picture %s: the screen has no size yet; try again when "
                         "the guest has set a mode",
                         path);
    struct new_file file;
    int ret = new_file_open(&file, "the picture", path, err);
    if (ret < 0)
        return ret;
    return new_file_close(&file, -write_picture(surface, file.fd, format), err);
}
