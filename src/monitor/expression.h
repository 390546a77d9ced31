/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QEMU's expressions: numbers in C's notation, 'c', $registers, ( ), unary + - ~, binary * / % over
 * & | ^ over + -. 64 bits, wrapping.
 */
#ifndef MONITOR_EXPRESSION_H
#define MONITOR_EXPRESSION_H

#include <stdint.h>

struct error;
struct vcpu;

/* Reads as much of *text as is an expression, and the blanks behind it, and moves *text there. cpu,
 * for registers, stands still; NULL: there are none. -EINVAL and a sentence. */
int expression_read(const char **text, const struct vcpu *cpu, uint64_t *value, struct error *err);

#endif
