/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/dbt/profile.h"

#include <stdlib.h>

enum { ENTRIES = 1 << 16, PROBES = 16, SHOWN = 20 };

/* Blocks are told by their place in the guest's memory; what it holds may change. */
struct entry {
    uint64_t instructions;
    uint64_t rip; /* where it ran when it was translated first */
    gpa_t gpa;
    uint32_t variant;
    bool used;
};

struct profile {
    struct entry entries[ENTRIES];
    struct entry others; /* that found no place */
};

struct profile *profile_create(void)
{
    return calloc(1, sizeof(struct profile));
}

void profile_destroy(struct profile *profile)
{
    free(profile);
}

static struct entry *entry_for(struct profile *profile, const struct tr *tr,
                               const struct block *block)
{
    gpa_t gpa = block->page->gpa + block->offset;
    uint64_t hash = (gpa ^ (uint64_t)tr->variant << 40) * UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned i = 0; i < PROBES; i++) {
        struct entry *entry = &profile->entries[((hash >> 48) + i) % ENTRIES];
        if (!entry->used)
            *entry = (struct entry){.rip = (tr->d->cpu->rip & PAGE_MASK) | block->offset,
                                    .gpa = gpa,
                                    .variant = tr->variant,
                                    .used = true};
        if (entry->gpa == gpa && entry->variant == tr->variant)
            return entry;
    }
    return &profile->others;
}

uint8_t *profile_begin(struct tr *tr, const struct block *block)
{
    struct emit *e = &tr->e;
    stub_jumps(tr, tr->room);
    access_forget(tr);
    emit_mov_imm(e, SCRATCH, (uintptr_t)&entry_for(tr->d->profile, tr, block)->instructions);
    emit_load(e, DELTA, emit_at(SCRATCH, 0));
    emit_lea(e, DELTA, emit_at(DELTA, 1)); /* a displacement of one byte, the last */
    uint8_t *number = e->at - 1;
    emit_store(e, emit_at(SCRATCH, 0), DELTA);
    return e->full ? NULL : number;
}

void profile_end(uint8_t *number, unsigned instructions)
{
    if (number)
        *number = (uint8_t)instructions; /* of a block: BLOCK_OPS at most */
}

static int by_instructions(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
    return x->instructions < y->instructions ? 1 : x->instructions > y->instructions ? -1 : 0;
}

void profile_print(FILE *out, const struct profile *profile, uint64_t interpreted)
{
    const struct entry **list = malloc(ENTRIES * sizeof(*list));
    unsigned count = 0;
    uint64_t translated = profile->others.instructions;
    if (!list)
        return;
    for (unsigned i = 0; i < ENTRIES; i++)
        if (profile->entries[i].instructions) {
            translated += profile->entries[i].instructions;
            list[count++] = &profile->entries[i];
        }
    qsort(list, count, sizeof(*list), by_instructions);
    double all = (double)translated + (double)interpreted;
    fprintf(out, "  %-36s %14llu\n", "instructions translated code ran",
            (unsigned long long)translated);
    fprintf(out, "  %-36s %14llu\n", "instructions interpreted", (unsigned long long)interpreted);
    fprintf(out, "  %-36s %14.4f\n", "of all, per cent",
            all > 0 ? 100.0 * (double)interpreted / all : 0);
    fprintf(out, "  the hottest blocks: per cent, rip, physical address, instructions\n");
    for (unsigned i = 0; i < count && i < SHOWN; i++)
        fprintf(out, "    %7.3f  %016llx  %09llx  %llu\n",
                100.0 * (double)list[i]->instructions / all, (unsigned long long)list[i]->rip,
                (unsigned long long)list[i]->gpa, (unsigned long long)list[i]->instructions);
    free(list);
}
