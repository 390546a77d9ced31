/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Between the parts of -cpu: model.c (the option), model_table.c (the models), model_features.c
 * (names of bits), model_possible.c (what runs here).
 */
#ifndef CPU_MODEL_INTERNAL_H
#define CPU_MODEL_INTERNAL_H

#include <stddef.h>

#include "cpu/model.h"

/* A word of feature bits: where it is found, as messages say it, and the bits' names. */
struct feature_word_name {
    const char *where;
    const char *bits[32];
};
extern const struct feature_word_name feature_words[FEAT_WORDS];

/* The bits of a name (kvmclock has two) into mask[FEAT_WORDS]; false: there is no such name. */
bool feature_find(const char *name, size_t length, uint32_t *mask);
const char *feature_nearest(const char *name);
unsigned name_distance(const char *a, const char *b);

/* A model, told by what it has beyond the one it is based on. What is not set is the base's. */
struct model_entry {
    const char *name, *based_on;
    const char *vendor, *brand;
    const char *note;                /* for help */
    uint8_t family, model, stepping; /* family 0: the base's three */
    uint32_t level, xlevel;          /* the last leaves; level 0: the base's two */
    enum cpu_caches caches;
    const char *add, *remove; /* features, by name */
};
extern const struct model_entry model_entries[];
extern const unsigned model_entry_count;

/* A second name of an entry; without a version it is QEMU's for machine type pc. */
struct model_alias {
    const char *name, *meant;
};
extern const struct model_alias model_aliases[];
extern const unsigned model_alias_count;

/* What our engines run on this host. */
void features_possible(uint32_t *words);
/* What a model gets only when it is asked for by name, though it may run. */
extern const uint32_t features_not_by_default[FEAT_WORDS];
/* Takes out what rests on something that is not there. */
void features_mend(uint32_t *words);

#endif
