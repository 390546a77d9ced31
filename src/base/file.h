/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whole files read into memory: kernels, firmware. Any thread.
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

#endif
