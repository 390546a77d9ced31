/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Machine code as text, for people: AT&T's syntax, as QEMU's monitor shows it. Any thread.
 */
#ifndef X86_DISASSEMBLE_H
#define X86_DISASSEMBLE_H

#include <stddef.h>
#include <stdint.h>

enum { X86_INSTRUCTION_MAX = 15 };

/* The instruction at `code`, of which length bytes are known, when it runs at address in a segment
 * of 16, 32 or 64 bits: "mov      %eax, %ebx" into text (always ended), its length returned. A byte
 * that begins none (or too few of them): ".byte    0x.." and 1. length ≥ 1. */
unsigned x86_disassemble(const uint8_t *code, size_t length, uint64_t address, unsigned bits,
                         char *text, size_t room);

#endif
