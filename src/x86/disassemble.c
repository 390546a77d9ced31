/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "x86/disassemble.h"

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void init_decoder(ZydisDecoder *decoder, unsigned bits)
{
    if (bits == 64)
        ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    else if (bits == 32)
        ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    else
        ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
}

static bool init_formatter(ZydisFormatter *formatter)
{
    /* Numbers as short as they are, in lower case. */
    return ZYAN_SUCCESS(ZydisFormatterInit(formatter, ZYDIS_FORMATTER_STYLE_ATT)) &&
           ZYAN_SUCCESS(
               ZydisFormatterSetProperty(formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, 0)) &&
           ZYAN_SUCCESS(ZydisFormatterSetProperty(
               formatter, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_PADDING_DISABLED)) &&
           ZYAN_SUCCESS(ZydisFormatterSetProperty(formatter, ZYDIS_FORMATTER_PROP_DISP_PADDING,
                                                  ZYDIS_PADDING_DISABLED)) &&
           ZYAN_SUCCESS(ZydisFormatterSetProperty(formatter, ZYDIS_FORMATTER_PROP_IMM_PADDING,
                                                  ZYDIS_PADDING_DISABLED));
}

unsigned x86_disassemble(const uint8_t *code, size_t length, uint64_t address, unsigned bits,
                         char *text, size_t room)
{
    ZydisDecoder decoder;
    ZydisFormatter formatter;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    char plain[128];
    init_decoder(&decoder, bits);
    if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, code, length, &insn, operands)) ||
        !init_formatter(&formatter) ||
        ZYAN_FAILED(ZydisFormatterFormatInstruction(&formatter, &insn, operands,
                                                    insn.operand_count_visible, plain,
                                                    sizeof(plain), address, NULL))) {
        snprintf(text, room, "%-8s 0x%02x", ".byte", code[0]);
        return 1;
    }
    /* Operands begin in a column of their own. */
    char *operand = strchr(plain, ' ');
    if (operand) {
        *operand++ = 0;
        snprintf(text, room, "%-8s %s", plain, operand);
    } else {
        snprintf(text, room, "%s", plain);
    }
    return insn.length;
}
