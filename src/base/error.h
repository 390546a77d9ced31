/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Errors of host-side set-up: a negative errno for the program, one sentence for the person. The
 * sentence says what was tried, what went wrong and what can be done. Any thread.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

struct error {
    char text[512];
};

/* Writes the sentence into err (which may be NULL) and returns -errnum. errnum > 0. */
__attribute__((format(printf, 3, 4))) int error_set(struct error *err, int errnum,
                                                    const char *format, ...);

/* Puts "<formatted>: " before the sentence already in err (which may be NULL). */
__attribute__((format(printf, 2, 3))) void error_prefix(struct error *err, const char *format, ...);

#endif
