/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The option -cpu: a model's name and what is to be different, in QEMU's syntax. Items of the form
 * feature=on come into force in their order, then all of the form +feature, then all -feature.
 */
#include "cpu/model.h"

#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/error.h"
#include "cpu/model_internal.h"

/* Names of models that no table has. */
static const char *const special_models[][2] = {
    {"base", "base CPU model type with no features enabled"},
    {"host", "processor with all supported host features"},
    {"max", "Enables all features supported by the accelerator in the current host (default)"},
};

static const struct model_entry *find_entry(const char *name)
{
    for (unsigned i = 0; i < model_alias_count; i++)
        if (!strcmp(model_aliases[i].name, name))
            name = model_aliases[i].meant;
    for (unsigned i = 0; i < model_entry_count; i++)
        if (!strcmp(model_entries[i].name, name))
            return &model_entries[i];
    return NULL;
}

static const char *nearest_model(const char *name)
{
    const char *nearest = "";
    unsigned best = UINT32_MAX;
    unsigned count = model_entry_count + model_alias_count + ARRAY_LEN(special_models);
    for (unsigned i = 0; i < count; i++) {
        const char *candidate = i < model_entry_count ? model_entries[i].name
                                : i < model_entry_count + model_alias_count
                                    ? model_aliases[i - model_entry_count].name
                                    : special_models[i - model_entry_count - model_alias_count][0];
        unsigned d = name_distance(name, candidate);
        if (d < best) {
            best = d;
            nearest = candidate;
        }
    }
    return nearest;
}

/* Filling in */

static void set_bits(uint32_t *words, const uint32_t *mask, bool on)
{
    for (unsigned i = 0; i < FEAT_WORDS; i++)
        words[i] = on ? words[i] | mask[i] : words[i] & ~mask[i];
}

/* A table's list of names. */
static void apply_list(uint32_t *words, const char *list, bool on)
{
    uint32_t mask[FEAT_WORDS];
    while (list && *list) {
        size_t length = strcspn(list, " ");
        if (length && feature_find(list, length, mask))
            set_bits(words, mask, on);
        list += length + (list[length] == ' ');
    }
}

static void fill_from_entry(struct cpu_model *model, const struct model_entry *entry)
{
    if (entry->based_on)
        fill_from_entry(model, find_entry(entry->based_on));
    if (entry->family) {
        model->family = entry->family;
        model->model = entry->model;
        model->stepping = entry->stepping;
    }
    if (entry->level) {
        model->max_leaf = entry->level;
        model->max_extended_leaf = entry->xlevel;
    }
    if (entry->vendor)
        snprintf(model->vendor, sizeof(model->vendor), "%s", entry->vendor);
    if (entry->brand)
        snprintf(model->brand, sizeof(model->brand), "%s", entry->brand);
    model->caches = entry->caches;
    apply_list(model->features, entry->add, true);
    apply_list(model->features, entry->remove, false);
}

static void fill_max(struct cpu_model *model)
{
    model->family = model->model = 6;
    model->stepping = 3;
    model->max_leaf = 0x16;
    model->max_extended_leaf = 0x80000021;
    snprintf(model->vendor, sizeof(model->vendor), "AuthenticAMD");
    snprintf(model->brand, sizeof(model->brand), "Trapeze Virtual CPU");
    features_possible(model->features);
    model->features[FEAT_1_EDX] &= ~(1u << (CPU_HT % 32)); /* of one core with one thread */
    model->features[FEAT_8_1_ECX] &= ~(1u << (CPU_CMP_LEGACY % 32));
}

/* The host's CPUID: who it says it is, and which features it has. */
static void fill_host(struct cpu_model *model)
{
    uint32_t a, b, c, d, eax, host[FEAT_WORDS];
    features_possible(model->features);
    memcpy(host, model->features, sizeof(host));
    __cpuid(0, model->max_leaf, b, c, d);
    store_le32(model->vendor, b);
    store_le32(model->vendor + 4, d);
    store_le32(model->vendor + 8, c);
    __cpuid(1, eax, b, c, d);
    model->family = eax >> 8 & 15;
    model->model = eax >> 4 & 15;
    model->stepping = eax & 15;
    if (model->family == 6 || model->family == 15)
        model->model |= eax >> 12 & 0xf0;
    if (model->family == 15)
        model->family += eax >> 20 & 0xff;
    host[FEAT_1_EDX] = d;
    host[FEAT_1_ECX] = c | 1u << 31;
    if (__get_cpuid_count(7, 0, &a, &host[FEAT_7_EBX], &host[FEAT_7_ECX], &host[FEAT_7_EDX]))
        __get_cpuid_count(7, 1, &host[FEAT_7_1_EAX], &b, &c, &d);
    __get_cpuid_count(0xd, 1, &host[FEAT_D_1_EAX], &b, &c, &d);
    __get_cpuid(6, &host[FEAT_6_EAX], &b, &c, &d);
    __cpuid(0x80000000, model->max_extended_leaf, b, c, d);
    __get_cpuid(0x80000001, &a, &b, &host[FEAT_8_1_ECX], &host[FEAT_8_1_EDX]);
    for (uint32_t i = 0; i < 3; i++)
        if (__get_cpuid(0x80000002 + i, &a, &b, &c, &d)) {
            store_le32(model->brand + i * 16, a);
            store_le32(model->brand + i * 16 + 4, b);
            store_le32(model->brand + i * 16 + 8, c);
            store_le32(model->brand + i * 16 + 12, d);
        }
    __get_cpuid(0x80000008, &a, &host[FEAT_8_8_EBX], &c, &d);
    if (model->max_leaf > 0x16) /* no more than we have something to say of */
        model->max_leaf = 0x16;
    if (model->max_extended_leaf > 0x80000021)
        model->max_extended_leaf = 0x80000021;
    for (unsigned i = 0; i < FEAT_WORDS; i++)
        model->features[i] &= host[i];
}

/* What QEMU gives every model under KVM. */
static const uint32_t always[FEAT_WORDS] = {
    [FEAT_1_ECX] = 1u << 31, /* hypervisor */
    [FEAT_KVM] = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 24,
};

static int fill(struct cpu_model *model, const char *name, struct error *err)
{
    const struct model_entry *entry = find_entry(name);
    *model = (struct cpu_model){.kvm = true, .check = true};
    if (entry)
        fill_from_entry(model, entry);
    else if (!strcmp(name, "max"))
        fill_max(model);
    else if (!strcmp(name, "host"))
        fill_host(model);
    else if (strcmp(name, "base") != 0)
        return error_set(err, EINVAL,
                         "-cpu: there is no model '%s'; the nearest is '%s' (see -cpu help)", name,
                         nearest_model(name));
    for (unsigned i = 0; i < FEAT_WORDS; i++)
        model->features[i] = (model->features[i] & ~features_not_by_default[i]) | always[i];
    snprintf(model->name, sizeof(model->name), "%s", name);
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    model->epoch_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    model->epoch_tsc = __builtin_ia32_rdtsc();
    return 0;
}

/* The items behind the name */

struct parse {
    struct cpu_model *model;
    uint32_t asked[FEAT_WORDS]; /* switched on by hand */
    bool enforce;
};

static int set_feature(struct parse *parse, const char *name, bool on, struct error *err)
{
    uint32_t mask[FEAT_WORDS];
    char plain[64];
    snprintf(plain, sizeof(plain), "%s", name);
    for (char *p = plain; *p; p++)
        if (*p == '_')
            *p = '-';
    bool known = feature_find(plain, strlen(plain), mask);
    if (!known && !strncmp(plain, "vmx-", 4)) { /* details of VMX */
        mask[FEAT_1_ECX] |= 1 << 5;
        known = true;
        if (!on)
            return 0;
    }
    if (!known)
        return error_set(err, EINVAL,
                         "-cpu: there is no feature '%s'; the nearest is '%s' (see -cpu help)",
                         name, feature_nearest(plain));
    set_bits(parse->model->features, mask, on);
    set_bits(parse->asked, mask, on);
    return 0;
}

static int parse_bool(const char *item, const char *value, bool *on, struct error *err)
{
    *on = !value || !strcmp(value, "on") || !strcmp(value, "yes") || !strcmp(value, "true");
    if (!*on && strcmp(value, "off") != 0 && strcmp(value, "no") != 0 &&
        strcmp(value, "false") != 0)
        return error_set(err, EINVAL, "-cpu: '%s' must be on or off, not '%s'", item, value);
    return 0;
}

/* Switches that are no bits of CPUID. */
static bool *find_switch(struct parse *parse, const char *name)
{
    if (!strcmp(name, "check"))
        return &parse->model->check;
    if (!strcmp(name, "enforce"))
        return &parse->enforce;
    if (!strcmp(name, "kvm"))
        return &parse->model->kvm;
    if (!strcmp(name, "ignore-msrs"))
        return &parse->model->ignore_msrs;
    return NULL;
}

static int set_number(struct cpu_model *model, const char *name, const char *value, bool *ours,
                      struct error *err)
{
    struct number {
        const char *name;
        unsigned *to;
        unsigned least, most;
    } numbers[] = {
        {"family", &model->family, 0, 0xff + 0xf},
        {"model", &model->model, 0, 0xff},
        {"stepping", &model->stepping, 0, 15},
        {"phys-bits", &model->physical_bits, 32, 48},
        {"level", &model->max_leaf, 0, 0x20},
        {"min-level", &model->max_leaf, 0, 0x20},
        {"xlevel", &model->max_extended_leaf, 0, 0x80000021},
        {"min-xlevel", &model->max_extended_leaf, 0, 0x80000021},
    };
    for (unsigned i = 0; i < ARRAY_LEN(numbers); i++) {
        const struct number *n = &numbers[i];
        if (strcmp(n->name, name) != 0)
            continue;
        char *end;
        errno = 0;
        unsigned long number = strtoul(value, &end, 0);
        *ours = true;
        if (errno || *end || end == value || *value == '-' || number < n->least || number > n->most)
            return error_set(err, EINVAL, "-cpu: %s must be %u to %u, not '%s'", name, n->least,
                             n->most, value);
        *n->to = (unsigned)number;
        return 0;
    }
    *ours = false;
    return 0;
}

static int set_text(struct cpu_model *model, const char *name, const char *value, bool *ours,
                    struct error *err)
{
    *ours = true;
    if (!strcmp(name, "vendor")) {
        if (strlen(value) != sizeof(model->vendor) - 1)
            return error_set(err, EINVAL, "-cpu: vendor must have 12 characters, not '%s'", value);
        memcpy(model->vendor, value, sizeof(model->vendor));
        return 0;
    }
    if (!strcmp(name, "model-id")) {
        if (strlen(value) >= sizeof(model->brand))
            return error_set(err, EINVAL, "-cpu: model-id has more than 48 characters: '%s'",
                             value);
        snprintf(model->brand, sizeof(model->brand), "%s", value);
        return 0;
    }
    return set_number(model, name, value, ours, err);
}

/* name, name=value */
static int apply_property(struct parse *parse, char *item, struct error *err)
{
    bool on, ours = false;
    char *value = strchr(item, '=');
    if (value) {
        *value++ = 0;
        int ret = set_text(parse->model, item, value, &ours, err);
        if (ret || ours)
            return ret;
    }
    int ret = parse_bool(item, value, &on, err);
    if (ret)
        return ret;
    bool *which = find_switch(parse, item);
    if (!which)
        return set_feature(parse, item, on, err);
    *which = on;
    return 0;
}

enum pass { PASS_PROPERTIES, PASS_PLUS, PASS_MINUS, PASSES };

static enum pass pass_of(const char *item)
{
    return *item == '+' ? PASS_PLUS : *item == '-' ? PASS_MINUS : PASS_PROPERTIES;
}

static int apply_items(struct parse *parse, const char *items, struct error *err)
{
    for (enum pass pass = PASS_PROPERTIES; pass < PASSES; pass++) {
        char *copy = strdup(items), *rest = copy, *item;
        int ret = copy ? 0 : error_set(err, ENOMEM, "-cpu: out of memory");
        while (!ret && (item = strsep(&rest, ","))) {
            if (!*item || pass_of(item) != pass)
                continue;
            ret = pass == PASS_PROPERTIES ? apply_property(parse, item, err)
                                          : set_feature(parse, item + 1, pass == PASS_PLUS, err);
        }
        free(copy);
        if (ret)
            return ret;
    }
    return 0;
}

/* What is asked for against what there is */

static void raise_to(uint32_t *level, uint32_t least, uint32_t features)
{
    if (features && *level < least)
        *level = least;
}

/* The leaves that hold the features are there. */
static void raise_levels(struct cpu_model *model)
{
    const uint32_t *f = model->features;
    raise_to(&model->max_leaf, 6, f[FEAT_6_EAX]);
    raise_to(&model->max_leaf, 7, f[FEAT_7_EBX] | f[FEAT_7_ECX] | f[FEAT_7_EDX] | f[FEAT_7_1_EAX]);
    raise_to(&model->max_leaf, 0xd, f[FEAT_D_1_EAX] | cpu_model_has(model, CPU_XSAVE));
    raise_to(&model->max_extended_leaf, 0x80000001, f[FEAT_8_1_EDX] | f[FEAT_8_1_ECX]);
    raise_to(&model->max_extended_leaf, 0x80000007, f[FEAT_8_7_EDX]);
    raise_to(&model->max_extended_leaf, 0x80000008, f[FEAT_8_8_EBX]);
}

static void settle(struct parse *parse)
{
    struct cpu_model *model = parse->model;
    uint32_t possible[FEAT_WORDS], before[FEAT_WORDS];
    features_possible(possible);
    for (unsigned i = 0; i < FEAT_WORDS; i++) {
        model->missing[i] = model->features[i] & ~possible[i];
        model->features[i] &= possible[i];
    }
    memcpy(before, model->features, sizeof(before));
    features_mend(model->features);
    for (unsigned i = 0; i < FEAT_WORDS; i++)
        model->missing[i] |= before[i] & ~model->features[i] & parse->asked[i];
    if (!cpu_model_has(model, CPU_HYPERVISOR))
        model->kvm = false;
    if (!model->kvm)
        model->features[FEAT_KVM] = 0;
    raise_levels(model);
    if (!model->physical_bits)
        model->physical_bits = cpu_model_has(model, CPU_LM)      ? 40
                               : cpu_model_has(model, CPU_PSE36) ? 36
                                                                 : 32;
}

static int check_enforced(const struct cpu_model *model, struct error *err)
{
    char *lines = cpu_model_warnings(model);
    if (!lines)
        return error_set(err, ENOMEM, "-cpu: out of memory");
    int ret = 0;
    if (*lines) {
        lines[strcspn(lines, "\n")] = 0;
        ret = error_set(err, ENOTSUP, "-cpu: %s, and enforce is on", lines);
    }
    free(lines);
    return ret;
}

int cpu_model_create(struct cpu_model *model, const char *spec, struct error *err)
{
    struct parse parse = {.model = model};
    if (!spec || !*spec)
        spec = "max";
    char *name = strndup(spec, strcspn(spec, ","));
    if (!name)
        return error_set(err, ENOMEM, "-cpu: out of memory");
    int ret = fill(model, name, err);
    if (!ret)
        ret = apply_items(&parse, spec + strlen(name), err);
    free(name);
    if (ret)
        return ret;
    settle(&parse);
    if (parse.enforce) {
        model->check = true;
        ret = check_enforced(model, err);
    }
    return ret;
}

char *cpu_model_warnings(const struct cpu_model *model)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (unsigned i = 0; i < FEAT_WORDS * 32; i++) {
        const struct feature_word_name *word = &feature_words[i / 32];
        if (model->check && model->missing[i / 32] >> (i % 32) & 1)
            fprintf(out, "the interpreter doesn't support requested feature: %s.%s [bit %u]\n",
                    word->where, word->bits[i % 32] ? word->bits[i % 32] : "?", i % 32);
    }
    fclose(out);
    return text;
}

/* Help */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void describe(FILE *out, const char *name)
{
    fprintf(out, "x86 %-20s  ", name);
    for (unsigned i = 0; i < model_alias_count; i++) {
        if (strcmp(model_aliases[i].name, name) != 0)
            continue;
        size_t length = strlen(name);
        bool versions = !strncmp(model_aliases[i].meant, name, length) &&
                        !strcmp(model_aliases[i].meant + length, "-v1");
        if (versions)
            fprintf(out, "(alias configured by machine type)\n");
        else
            fprintf(out, "(alias of %s)\n", model_aliases[i].meant);
        return;
    }
    struct cpu_model model = {0};
    const struct model_entry *entry = find_entry(name);
    fill_from_entry(&model, entry);
    fprintf(out, "%s", model.brand);
    if (entry->note)
        fprintf(out, " [%s]", entry->note);
    fprintf(out, "\n");
}

static void list_models(FILE *out)
{
    const char *names[256];
    unsigned count = 0;
    for (unsigned i = 0; i < model_entry_count && count < ARRAY_LEN(names); i++)
        names[count++] = model_entries[i].name;
    for (unsigned i = 0; i < model_alias_count && count < ARRAY_LEN(names); i++)
        names[count++] = model_aliases[i].name;
    qsort(names, count, sizeof(names[0]), compare_names);
    fprintf(out, "Available CPUs:\n");
    for (unsigned i = 0; i < count; i++)
        describe(out, names[i]);
    for (unsigned i = 0; i < ARRAY_LEN(special_models); i++)
        fprintf(out, "x86 %-20s  %s\n", special_models[i][0], special_models[i][1]);
}

char *cpu_model_help(void)
{
    const char *names[FEAT_WORDS * 32];
    unsigned count = 0, column = 0;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    list_models(out);
    for (unsigned i = 0; i < FEAT_WORDS * 32; i++)
        if (feature_words[i / 32].bits[i % 32])
            names[count++] = feature_words[i / 32].bits[i % 32];
    qsort(names, count, sizeof(names[0]), compare_names);
    fprintf(out, "\nRecognized CPUID flags:\n ");
    for (unsigned i = 0; i < count; i++) {
        if (i && !strcmp(names[i], names[i - 1])) /* kvmclock has two bits */
            continue;
        if (column + strlen(names[i]) + 1 > 75) {
            fprintf(out, "\n ");
            column = 0;
        }
        column += (unsigned)fprintf(out, " %s", names[i]);
    }
    fprintf(
        out,
        "\n\nA model is followed by what is to be different: +FLAG, -FLAG, FLAG=on, FLAG=off, and\n"
        "  check=off          no warning of flags that are not to be had\n"
        "  enforce            flags that are not to be had are an error\n"
        "  kvm=off            no leaves of KVM in CPUID, no kvmclock\n"
        "  ignore-msrs=on     unknown MSRs read as 0 and are written in vain, instead of #GP\n"
        "  family=N model=N stepping=N vendor=TEXT model-id=TEXT\n"
        "  level=N xlevel=N   the last leaves of CPUID\n"
        "  phys-bits=N        of a physical address, 32 to 48\n"
        "docs/cpu-models.md tells more.\n");
    fclose(out);
    return text;
}
