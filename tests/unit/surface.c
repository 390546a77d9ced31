/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * display/surface: sizes, pictures read back, and files that are replaced only by complete ones.
 */
#include "unit/test.h"

#include <errno.h>
#include <png.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "display/surface.h"

struct fixture {
    char folder[32];
    char path[64];
    struct surface surface;
    struct error err;
};

static void fill(struct surface *surface, uint64_t seed)
{
    for (unsigned i = 0; i < surface->width * surface->height; i++)
        surface->pixels[i] = test_random(&seed) & 0xffffff;
}

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){.folder = "/tmp/trapeze-surface-XXXXXX"};
    assert_non_null(mkdtemp(f.folder));
    snprintf(f.path, sizeof(f.path), "%s/picture", f.folder);
    assert_int_equal(surface_resize(&f.surface, 37, 11), 0);
    fill(&f.surface, 1);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    surface_fini(&f->surface);
    unlink(f->path);
    assert_int_equal(rmdir(f->folder), 0); /* nothing else was left in it */
    return 0;
}

static uint8_t *contents(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size + 1);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void assert_rgb(const struct surface *surface, const uint8_t *rgb)
{
    for (unsigned i = 0; i < surface->width * surface->height; i++)
        assert_int_equal(rgb[3 * i] << 16 | rgb[3 * i + 1] << 8 | rgb[3 * i + 2],
                         surface->pixels[i]);
}

static void sizes(void **state)
{
    struct fixture *f = *state;
    struct surface *s = &f->surface;
    assert_int_equal(surface_resize(s, 11, 37), 0); /* as many pixels, and they are black again */
    assert_int_equal(s->width, 11);
    assert_int_equal(s->height, 37);
    for (unsigned i = 0; i < 11 * 37; i++)
        assert_int_equal(s->pixels[i], 0);
    assert_int_equal(surface_resize(s, 16385, 1), -EINVAL);
    assert_int_equal(surface_resize(s, 1, 16385), -EINVAL);
    assert_int_equal(s->width, 11);
    assert_int_equal(surface_resize(s, 16384, 1), 0);
    s->pixels[16383] = 1;
    assert_int_equal(surface_resize(s, 0, 5), 0);
    surface_fini(s);
    assert_null(s->pixels);
    surface_fini(s);
}

static void ppm(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(surface_save(&f->surface, f->path, PICTURE_PPM, &f->err), 0);
    size_t size;
    uint8_t *bytes = contents(f->path, &size);
    const char *header = "P6\n37 11\n255\n";
    assert_int_equal(size, strlen(header) + 37 * 11 * 3);
    assert_memory_equal(bytes, header, strlen(header));
    assert_rgb(&f->surface, bytes + strlen(header));
    free(bytes);
}

static void png(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(surface_save(&f->surface, f->path, PICTURE_PNG, &f->err), 0);
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_file(&image, f->path));
    assert_int_equal(image.width, 37);
    assert_int_equal(image.height, 11);
    assert_int_equal(image.format, PNG_FORMAT_RGB);
    uint8_t *rgb = malloc(PNG_IMAGE_SIZE(image));
    assert_true(png_image_finish_read(&image, NULL, rgb, 0, NULL));
    assert_rgb(&f->surface, rgb);
    free(rgb);
}

static void replaces_what_is_there(void **state)
{
    struct fixture *f = *state;
    char link[80];
    snprintf(link, sizeof(link), "%s/link", f->folder);
    FILE *file = fopen(f->path, "wb");
    fputs("old", file);
    fclose(file);
    assert_int_equal(chmod(f->path, 0640), 0);
    assert_int_equal(symlink(f->path, link), 0);
    assert_int_equal(surface_save(&f->surface, link, PICTURE_PPM, &f->err), 0);
    struct stat st;
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_true(st.st_size > 37 * 11 * 3);
    unlink(link);
}

static void errors_name_the_file(void **state)
{
    struct fixture *f = *state;
    struct surface *s = &f->surface;
    assert_int_equal(surface_save(s, f->folder, PICTURE_PNG, &f->err), -EISDIR);
    assert_non_null(strstr(f->err.text, f->folder));
    assert_int_equal(surface_save(s, "/dev/null", PICTURE_PNG, &f->err), -EINVAL);
    assert_non_null(strstr(f->err.text, "/dev/null"));
    assert_int_equal(surface_save(s, "/nowhere/at/all", PICTURE_PPM, &f->err), -ENOENT);
    assert_non_null(strstr(f->err.text, "/nowhere/at/all"));
    assert_int_equal(surface_save(s, "", PICTURE_PPM, NULL), -ENOENT);
    struct surface none = {0};
    assert_int_equal(surface_save(&none, f->path, PICTURE_PPM, &f->err), -EINVAL);
    assert_non_null(strstr(f->err.text, "no size"));
    assert_int_equal(access(f->path, F_OK), -1);
}

/* A disk that is full, as the file-size limit shows it: the old picture stays. */
static void a_full_disk_keeps_the_old_one(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(surface_save(&f->surface, f->path, PICTURE_PPM, &f->err), 0);
    size_t old_size, size;
    uint8_t *old = contents(f->path, &old_size);
    assert_int_equal(surface_resize(&f->surface, 500, 300), 0);
    fill(&f->surface, 2);
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 10000;
    signal(SIGXFSZ, SIG_IGN);
    for (int format = PICTURE_PPM; format <= PICTURE_PNG; format++) {
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        int ret = surface_save(&f->surface, f->path, (enum picture_format)format, &f->err);
        setrlimit(RLIMIT_FSIZE, &before);
        assert_int_equal(ret, -EFBIG);
        assert_non_null(strstr(f->err.text, f->path));
        uint8_t *now = contents(f->path, &size);
        assert_int_equal(size, old_size);
        assert_memory_equal(now, old, size);
        free(now);
    }
    free(old);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(sizes),
        CASE(ppm),
        CASE(png),
        CASE(replaces_what_is_there),
        CASE(errors_name_the_file),
        CASE(a_full_disk_keeps_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
