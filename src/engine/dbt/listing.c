/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/dbt/listing.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum { BYTES_SHOWN = 11 };

static void print_line(FILE *out, uint64_t addr, const uint8_t *bytes,
                       const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands)
{
    ZydisFormatter formatter;
    char text[128];
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    ZydisFormatterFormatInstruction(&formatter, insn, operands, insn->operand_count_visible, text,
                                    sizeof(text), addr, NULL);
    fprintf(out, "0x%08llx: ", (unsigned long long)addr);
    for (unsigned i = 0; i < BYTES_SHOWN || i < insn->length; i++)
        if (i < insn->length)
            fprintf(out, " %02x", bytes[i]);
        else
            fputs("   ", out);
    fprintf(out, "  %s\n", text);
}

/* The guest instruction at a page offset; its length, or 0. One that runs over the page's end is a
 * block of its own, whose first op keeps the bytes of the second page. */
static unsigned print_guest(FILE *out, const struct dbt_vcpu *d, const struct translation *t,
                            uint64_t page, unsigned at)
{
    uint8_t bytes[32];
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    unsigned count = block_code(d, t->block, at, bytes);
    if (!decode_bytes(d->in, t->variant & CODE_SIZE, bytes, count, &insn, operands))
        return 0;
    print_line(out, page + at, bytes, &insn, operands);
    return insn.length;
}

void listing_guest(FILE *out, const struct dbt_vcpu *d, const struct translation *t, uint64_t page)
{
    for (unsigned i = 0; i < t->site_count; i++)
        if (!print_guest(out, d, t, page, t->sites[i].guest))
            return;
}

/* What follows a call of `leave`: struct exit_info, as far as it is there. Its size. */
static unsigned print_info(FILE *out, const uint8_t *at)
{
    static const struct {
        const char *name;
        unsigned size;
    } kinds[] = {
        [EXIT_DIRECT] = {"branch", 10},      [EXIT_INDIRECT] = {"indirect branch", 8},
        [EXIT_INTERPRET] = {"interpret", 8}, [EXIT_POLL] = {"poll", 4},
        [EXIT_MISS] = {"miss", INFO_MISS},   [EXIT_CROSSING] = {"crossing", 4},
    };
    unsigned kind = at[0], guest = at[2] | at[3] << 8;
    if (kind >= ARRAY_LEN(kinds))
        return 0;
    fprintf(out, "  -- %s, guest %03x\n", kinds[kind].name, guest);
    return kinds[kind].size;
}

/* One instruction of ours and what belongs to it; its length. */
static unsigned print_host(FILE *out, const struct dbt_vcpu *d, const uint8_t *at, size_t size)
{
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (!decode_bytes(d->in, CODE_64, at, (unsigned)min_u64(size, 16), &insn, operands)) {
        fprintf(out, "0x%08llx:  %02x\n", (unsigned long long)(uintptr_t)at, at[0]);
        return 1;
    }
    print_line(out, (uintptr_t)at, at, &insn, operands);
    bool leaves = insn.mnemonic == ZYDIS_MNEMONIC_CALL && insn.raw.imm[0].size == 32 &&
                  at + insn.length + insn.raw.imm[0].value.s == d->leave;
    return insn.length + (leaves ? print_info(out, at + insn.length) : 0);
}

void listing_host(FILE *out, const struct dbt_vcpu *d, const struct translation *t, uint64_t page)
{
    unsigned site = 0;
    for (unsigned at = 0; at < t->size; at += print_host(out, d, t->code + at, t->size - at))
        for (; site < t->site_count && t->sites[site].host <= at; site++) {
            fputs("  -- guest ", out);
            if (!print_guest(out, d, t, page, t->sites[site].guest))
                fputc('\n', out);
        }
    if (t->cold_size)
        fputs("  -- what is seldom run\n", out);
    for (unsigned at = 0; at < t->cold_size;)
        at += print_host(out, d, t->cold + at, t->cold_size - at);
}

static void log_lines(unsigned category, char *text)
{
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")))
        if (*line || rest)
            log_print(category, "%s", line);
}

void listing_log(const struct dbt_vcpu *d, const struct translation *t, uint64_t page)
{
    static const unsigned categories[] = {LOG_IN_ASM, LOG_OUT_ASM};
    for (unsigned i = 0; i < ARRAY_LEN(categories); i++) {
        if (!log_on(categories[i]))
            continue;
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        if (!out)
            return;
        if (categories[i] == LOG_IN_ASM) {
            fputs("----------------\nIN:\n", out);
            listing_guest(out, d, t, page);
        } else {
            fprintf(out, "OUT: [size=%u]\n", t->size + t->cold_size);
            listing_host(out, d, t, page);
        }
        fclose(out);
        log_lines(categories[i], text);
        free(text);
    }
}
