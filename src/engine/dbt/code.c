/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/dbt/code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/error.h"
#include "engine/dbt/internal.h"

#define CODE_LIMIT_DBT MIB(25)

/* Memory without a name of its own, so that perf looks for names of what runs in it (perf.h): a
 * second mapping of the same pages is what mremap makes of an old size of 0. */
int code_create(struct code_memory *code, size_t size, struct error *err)
{
    memset(code, 0, sizeof(*code));
    code->size = size;
    void *write =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (write == MAP_FAILED) {
        int why = errno;
        return error_set(err, why, "cannot make memory for translated code: %s", strerror(why));
    }
    code->write = write;
    void *run = mremap(write, 0, size, MREMAP_MAYMOVE);
    code->run = run == MAP_FAILED ? NULL : run;
    if (!code->run || mprotect(run, size, PROT_READ | PROT_EXEC)) {
        int why = errno;
        code_destroy(code);
        return error_set(err, why, "cannot map executable memory for translated code: %s",
                         strerror(why));
    }
    void *notes = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (notes == MAP_FAILED) {
        code_destroy(code);
        return error_set(err, ENOMEM, "cannot make memory for translated code: out of memory");
    }
    code->notes = notes;
    return 0;
}

void code_destroy(struct code_memory *code)
{
    free(code->list);
    if (code->notes)
        munmap(code->notes, code->size);
    if (code->write)
        munmap(code->write, code->size);
    if (code->run)
        munmap(code->run, code->size);
    memset(code, 0, sizeof(*code));
}

bool code_full(const struct code_memory *code, size_t hot, size_t cold)
{
    size_t half = code->size / 2;
    return code->used + code->cold + hot + cold > CODE_LIMIT_DBT || code->used + hot > half ||
           code->cold + cold > half;
}

void *code_note(struct code_memory *code, size_t bytes)
{
    bytes = round_up(bytes, sizeof(void *));
    if (bytes > code->size - code->notes_used)
        return NULL;
    void *note = code->notes + code->notes_used;
    code->notes_used += bytes;
    return memset(note, 0, bytes);
}

bool code_add(struct code_memory *code, struct translation *translation)
{
    if (code->count == code->limit) {
        size_t limit = code->limit ? code->limit * 2 : 1024;
        struct translation **list = realloc(code->list, limit * sizeof(struct translation *));
        if (!list)
            return false;
        code->list = list;
        code->limit = limit;
    }
    code->list[code->count++] = translation;
    code->used = (size_t)(translation->code + translation->size - code->run);
    code->cold = (size_t)(translation->cold + translation->cold_size - code->run) - code->size / 2;
    return true;
}

struct translation *code_find(const struct code_memory *code, const void *run)
{
    const uint8_t *at = run;
    bool cold = (size_t)(at - code->run) >= code->size / 2;
    size_t low = 0, high = code->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct translation *t = code->list[middle];
        if ((cold ? t->cold : t->code) <= at)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return NULL;
    struct translation *t = code->list[low - 1];
    return at < (cold ? t->cold + t->cold_size : t->code + t->size) ? t : NULL;
}

void code_clear(struct code_memory *code)
{
    code->count = code->notes_used = 0;
    code->used = code->fixed;
    code->cold = 0;
}
