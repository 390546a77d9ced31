/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The log. One mutex makes lines whole and guards the sink and the counters of log_limited; the
 * mask of categories is atomic, so that asking costs a load.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/error.h"

enum { LINE_MAX_BYTES = 1024, LIMIT_PER_SECOND = 100 };

static const struct {
    const char *name;
    unsigned category;
    const char *meaning;
} items[] = {
    {"int", LOG_INT, "interrupts and exceptions the guest takes"},
    {"cpu_reset", LOG_CPU_RESET, "processor state at reset and triple fault"},
    {"guest_errors", LOG_GUEST_ERRORS, "the guest does what the datasheet forbids"},
    {"unimp", LOG_UNIMP, "the guest uses what is not there"},
    {"in_asm", LOG_IN_ASM, "guest code as it is translated"},
    {"out_asm", LOG_OUT_ASM, "what it is translated to, piece by piece below the guest's"},
    {"profile", LOG_PROFILE, "nothing, but info jit shows the hottest blocks (dbt)"},
    {"page", LOG_PAGE, "TLB flushes and changes of the paging mode"},
    {"lockstep", LOG_LOCKSTEP, "the translator beside the interpreter, stopping where they differ"},
    {"io", LOG_IO, "port and MMIO accesses that nobody answers"},
};

/* How much of a category this second has seen. */
struct limit {
    time_t second;
    unsigned lines, left_out;
};

static struct {
    atomic_uint enabled;
    pthread_mutex_t mutex;
    FILE *file; /* NULL: stderr */
    struct limit limits[ARRAY_LEN(items)];
} sink = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static int unknown_item(const char *item, size_t length, struct error *err)
{
    char names[256] = "";
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        strncat(names, items[i].name, sizeof(names) - strlen(names) - 1);
        strncat(names, ", ", sizeof(names) - strlen(names) - 1);
    }
    return error_set(err, EINVAL, "unknown log item '%.*s': the items are %sall", (int)length, item,
                     names);
}

static unsigned find_item(const char *item, size_t length)
{
    unsigned all = 0;
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        if (strlen(items[i].name) == length && !memcmp(items[i].name, item, length))
            return items[i].category;
        all |= items[i].category;
    }
    return length == 3 && !memcmp(item, "all", 3) ? all : 0;
}

int log_enable(const char *list, struct error *err)
{
    unsigned mask = 0;
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ",");
        unsigned category = find_item(at, length);
        if (!category)
            return unknown_item(at, length < 64 ? length : 64, err);
        mask |= category;
        at += length;
        if (!*at)
            break;
    }
    atomic_fetch_or_explicit(&sink.enabled, mask, memory_order_relaxed);
    return 0;
}

char *log_help(void)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        fprintf(out, "%-13s %s\n", items[i].name, items[i].meaning);
    fprintf(out, "%-13s %s\n", "all", "all of these");
    fclose(out);
    return text;
}

int log_to_file(const char *path, struct error *err)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return error_set(err, errno, "cannot write the log to '%s': %s", path, strerror(errno));
    pthread_mutex_lock(&sink.mutex);
    FILE *old = sink.file;
    sink.file = file;
    pthread_mutex_unlock(&sink.mutex);
    if (old)
        fclose(old);
    return 0;
}

bool log_on(unsigned categories)
{
    return atomic_load_explicit(&sink.enabled, memory_order_relaxed) & categories;
}

/* Under the mutex. One fwrite and one flush, so that a crash loses nothing. */
static void put_line(FILE *file, const char *prefix, const char *format, va_list args)
{
    char line[LINE_MAX_BYTES];
    size_t start = strlen(prefix);
    memcpy(line, prefix, start);
    int n = vsnprintf(line + start, sizeof(line) - start - 1, format, args);
    size_t length = strnlen(line, sizeof(line) - 2);
    if (n < 0)
        length = start;
    line[length++] = '\n';
    fwrite(line, 1, length, file);
    fflush(file);
}

__attribute__((format(printf, 2, 3))) static void put_text(FILE *file, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_line(file, "", format, args);
    va_end(args);
}

void log_print(unsigned category, const char *format, ...)
{
    if (!log_on(category))
        return;
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&sink.mutex);
    put_line(sink.file ? sink.file : stderr, "", format, args);
    pthread_mutex_unlock(&sink.mutex);
    va_end(args);
}

/* Under the mutex. May one more line of the category be written this second? */
static bool within_limit(unsigned category, FILE *file)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct limit *limit = &sink.limits[(unsigned)__builtin_ctz(category) % ARRAY_LEN(items)];
    if (limit->second != now.tv_sec) {
        if (limit->left_out)
            put_text(file, "(%u lines of %s left out)", limit->left_out,
                     items[limit - sink.limits].name);
        *limit = (struct limit){.second = now.tv_sec};
    }
    if (limit->lines < LIMIT_PER_SECOND) {
        limit->lines++;
        return true;
    }
    limit->left_out++;
    return false;
}

void log_limited(unsigned category, const char *format, ...)
{
    if (!log_on(category))
        return;
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&sink.mutex);
    FILE *file = sink.file ? sink.file : stderr;
    if (within_limit(category, file))
        put_line(file, "", format, args);
    pthread_mutex_unlock(&sink.mutex);
    va_end(args);
}

void log_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&sink.mutex);
    put_line(stderr, "trapeze: warning: ", format, args);
    pthread_mutex_unlock(&sink.mutex);
    va_end(args);
}

void log_info(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&sink.mutex);
    put_line(stderr, "trapeze: ", format, args);
    pthread_mutex_unlock(&sink.mutex);
    va_end(args);
}
