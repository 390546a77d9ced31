/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whole files: read into memory (kernels, firmware), and written so that nobody sees half of one
 * (pictures, memory). Any thread.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdint.h>

struct error;

/* Reads a regular file of 1 to max bytes. what names it in the error ("kernel", "initrd"). The
 * caller frees *bytes, which has one zero byte more at its end. A missing, unreadable, empty or
 * larger file, a directory or a device: a negative errno and a sentence. */
int file_read(const char *what, const char *path, uint64_t max, uint8_t **bytes, uint64_t *size,
              struct error *err);

/* A file in the making. It is written beside its path and takes the name when it is complete. */
struct new_file {
    int fd; /* write here */
    char *path, *temporary;
    const char *what;
};

/* what names it in errors ("the picture"). A path that is there and not a regular file is refused;
 * a link goes on pointing at what is written; permissions stay what they were. */
int new_file_open(struct new_file *file, const char *what, const char *path, struct error *err);
/* All of it, or a negative errno; the sentence comes from new_file_close. */
int new_file_write(struct new_file *file, const void *bytes, uint64_t length);
/* Ends it. With result 0 (or more) it takes its name; with the negative errno of a writer it is
 * removed. 0, or a negative errno and a sentence. */
int new_file_close(struct new_file *file, int result, struct error *err);

#endif
