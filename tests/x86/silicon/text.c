/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A case as a line of words: "64", "32" or "16", the instruction's bytes, then what is not the
 * default: "rax=1 flags=246 y3=<64 digits> st0=<20 digits> 10100200=<bytes in memory>". Registers
 * are numbers, the others bytes in the order of memory.
 */
#include "case.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

void case_default(struct input *input)
{
    memset(input, 0, sizeof(*input));
    input->bits = 64;
    segments_default(input);
    input->rip = CODE + 0x100;
    input->gpr[RSP] = DATA + 0x1800;
    input->flags = FLAG_IF | 2;
    input->unit.fcw = 0x37f;
    input->unit.mxcsr = MXCSR_RESET;
}

void case_summarise(struct input *input)
{
    struct unit_state *unit = &input->unit;
    unit->fsw &= (uint16_t) ~(FPU_ES | FPU_B);
    if (unit->fsw & ~unit->fcw & FPU_EXCEPTIONS)
        unit->fsw |= FPU_ES | FPU_B;
}

static void print_bytes(FILE *out, const char *name, unsigned number, const uint8_t *bytes,
                        const uint8_t *standard, unsigned size)
{
    if (memcmp(bytes, standard, size) == 0)
        return;
    fprintf(out, " %s%u=", name, number);
    for (unsigned i = 0; i < size; i++)
        fprintf(out, "%02x", bytes[i]);
}

/* The fields that are numbers, by name. */
struct field {
    const char *name;
    size_t offset;
    unsigned size;
};
static const struct field fields[] = {
    {"rip", offsetof(struct input, rip), 4},
    {"flags", offsetof(struct input, flags), 8},
    {"es", offsetof(struct input, sel[SEG_ES]), 2},
    {"cs", offsetof(struct input, sel[SEG_CS]), 2},
    {"ss", offsetof(struct input, sel[SEG_SS]), 2},
    {"ds", offsetof(struct input, sel[SEG_DS]), 2},
    {"fs", offsetof(struct input, sel[SEG_FS]), 2},
    {"gs", offsetof(struct input, sel[SEG_GS]), 2},
    {"fcw", offsetof(struct input, unit.fcw), 2},
    {"fsw", offsetof(struct input, unit.fsw), 2},
    {"ftw", offsetof(struct input, unit.ftw), 1},
    {"mxcsr", offsetof(struct input, unit.mxcsr), 4},
};

static uint64_t get_field(const struct input *input, const struct field *field)
{
    uint64_t value = 0;
    memcpy(&value, (const uint8_t *)input + field->offset, field->size);
    return value;
}

void case_print(const struct input *input, FILE *out)
{
    struct input plain;
    case_default(&plain);
    plain.bits = input->bits;
    segments_default(&plain);
    fprintf(out, "%u ", input->bits);
    for (unsigned i = 0; i < input->length; i++)
        fprintf(out, "%02x", input->bytes[i]);
    for (unsigned r = 0; r < 16; r++)
        if (input->gpr[r] != plain.gpr[r])
            fprintf(out, " %s=%" PRIx64, names[r], input->gpr[r]);
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++)
        if (get_field(input, &fields[i]) != get_field(&plain, &fields[i]))
            fprintf(out, " %s=%" PRIx64, fields[i].name, get_field(input, &fields[i]));
    for (unsigned i = 0; i < 8; i++)
        print_bytes(out, "st", i, input->unit.st[i], plain.unit.st[i], 10);
    for (unsigned i = 0; i < 16; i++)
        print_bytes(out, "y", i, input->unit.ymm[i], plain.unit.ymm[i], 32);
    for (unsigned i = 0; i < input->patches; i++) {
        fprintf(out, " %x=", input->patch[i].address);
        for (unsigned at = 0; at < PATCH_SIZE; at++)
            fprintf(out, "%02x", input->patch[i].bytes[at]);
    }
}

static int parse_bytes(const char *text, uint8_t *bytes, unsigned size)
{
    unsigned n = 0;
    while (n < size && sscanf(text, "%2hhx", &bytes[n]) == 1) {
        n++;
        text += 2;
        if (!text[-1] || !*text)
            break;
    }
    return (int)n;
}

static bool parse_word(struct input *input, const char *name, const char *value)
{
    uint64_t number = strtoull(value, NULL, 16);
    unsigned which;
    for (unsigned r = 0; r < 16; r++)
        if (strcmp(name, names[r]) == 0) {
            input->gpr[r] = number;
            return true;
        }
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++)
        if (strcmp(name, fields[i].name) == 0) {
            memcpy((uint8_t *)input + fields[i].offset, &number, fields[i].size);
            return true;
        }
    if (sscanf(name, "st%u", &which) == 1 && which < 8)
        return parse_bytes(value, input->unit.st[which], 10) > 0;
    if (sscanf(name, "y%u", &which) == 1 && which < 16)
        return parse_bytes(value, input->unit.ymm[which], 32) > 0;
    if (input->patches == PATCHES || sscanf(name, "%x", &which) != 1 || which < DATA ||
        which >= DATA + DATA_SIZE)
        return false;
    struct patch *patch = &input->patch[input->patches++];
    patch->address = which;
    return parse_bytes(value, patch->bytes, PATCH_SIZE) > 0;
}

bool case_parse(struct input *input, const char *line)
{
    char *copy = strdup(line), *rest = NULL;
    case_default(input);
    const char *word = copy ? strtok_r(copy, " \n", &rest) : NULL;
    bool good = word != NULL;
    input->bits = good ? (uint8_t)strtoul(word, NULL, 10) : 0;
    good = input->bits == 16 || input->bits == 32 || input->bits == 64;
    if (good)
        segments_default(input);
    word = good ? strtok_r(NULL, " \n", &rest) : NULL;
    good = word != NULL;
    if (good)
        input->length = (uint8_t)parse_bytes(word, input->bytes, 15);
    while (good && (word = strtok_r(NULL, " \n", &rest)) != NULL) {
        char *equals = strchr(word, '=');
        if (equals)
            *equals = 0;
        good = equals && parse_word(input, word, equals + 1);
    }
    free(copy);
    case_summarise(input);
    return good && input->length > 0;
}
