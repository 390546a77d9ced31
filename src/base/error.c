/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int errnum, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
    }
    return -errnum;
}

void error_prefix(struct error *err, const char *format, ...)
{
    if (!err)
        return;
    char tail[sizeof(err->text)];
    memcpy(tail, err->text, sizeof(tail));
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (n < 0)
        n = 0;
    /* What does not fit is cut off. */
    if ((size_t)n < sizeof(err->text) &&
        snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", tail) < 0)
        err->text[n] = 0;
}
