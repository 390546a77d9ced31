/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Surfaces and pictures of them. A picture is written to a file of its own beside the wanted one
 * and takes its name when it is complete, so that nobody sees half of one.
 */
#include "display/surface.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

enum { SURFACE_MAX = 16384, NAME_TRIES = 100 };

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

/* Writes and closes the file. */
static int write_picture(const struct surface *surface, int fd, enum picture_format format)
{
    FILE *file = fdopen(fd, "wb");
    if (!file) {
        int why = errno;
        close(fd);
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

/* A new file beside path; its name is written to temporary. */
static int open_beside(const char *path, char *temporary, size_t room)
{
    for (int i = 0; i < NAME_TRIES; i++) {
        int length = snprintf(temporary, room, "%s.%d-%d.tmp", path, (int)getpid(), i);
        if (length < 0 || (size_t)length >= room) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

static int save_at(const struct surface *surface, const char *path, const struct stat *old,
                   enum picture_format format, struct error *err)
{
    char temporary[PATH_MAX];
    int fd = open_beside(path, temporary, sizeof(temporary));
    if (fd < 0)
        return error_set(err, errno, "cannot create the picture %s: %s", path, strerror(errno));
    if (old) /* who may read it stays as it was; where that cannot be kept the umask decides */
        (void)!fchmod(fd, old->st_mode & 0777);
    int why = write_picture(surface, fd, format);
    if (!why && rename(temporary, path) < 0)
        why = errno;
    if (!why)
        return 0;
    unlink(temporary);
    return error_set(err, why, "cannot write the picture %s: %s", path, strerror(why));
}

int surface_save(const struct surface *surface, const char *path, enum picture_format format,
                 struct error *err)
{
    if (!surface->width || !surface->height)
        return error_set(err, EINVAL,
                         "cannot write the picture %s: the screen has no size yet; try again when "
                         "the guest has set a mode",
                         path);
    struct stat old;
    bool exists = stat(path, &old) == 0;
    /* Taking the name of a device, a FIFO or a directory would do away with it. */
    if (exists && !S_ISREG(old.st_mode))
        return error_set(err, S_ISDIR(old.st_mode) ? EISDIR : EINVAL,
                         "cannot write the picture %s: it is there and not a regular file; name "
                         "another",
                         path);
    char *target = exists ? realpath(path, NULL) : NULL; /* a link goes on pointing at it */
    int ret = save_at(surface, target ? target : path, exists ? &old : NULL, format, err);
    free(target);
    return ret;
}
