/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What monitors do to a VM, apart from any text front end: typed arguments in, text or a negative
 * errno with a sentence out. Under the VM lock. What looks at registers or guest memory through
 * them wants the VM frozen (vm_freeze).
 */
#ifndef MONITOR_COMMANDS_H
#define MONITOR_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "display/input.h"
#include "display/surface.h"

struct error;
struct vcpu;
struct vm;

/* How x, xp and print show things. */
struct dump_format {
    uint64_t count;
    char letter;   /* x d u o c, or i: instructions */
    unsigned size; /* of an item: 1, 2, 4, 8 bytes */
};

/* memory.c. Frozen. */

/* Lines of memory at addr, virtual as cpu sees it or physical. Where there is none: "Cannot access
 * memory" and the end. -E2BIG beyond 64 KiB. */
int command_dump(struct vm *vm, const struct vcpu *cpu, const struct dump_format *format,
                 uint64_t addr, bool physical, FILE *out, struct error *err);
/* A value as print shows it. */
void command_print(uint64_t value, char letter, FILE *out);
/* [addr, addr + size) into a file that is created or replaced when complete. Physical: bytes that
 * nobody answers for are ff; virtual: -EFAULT if any is not mapped. */
int command_save_memory(struct vm *vm, const struct vcpu *cpu, uint64_t addr, uint64_t size,
                        bool physical, const char *path, struct error *err);

/* commands.c */

int command_cont(struct vm *vm, struct error *err);
int command_screendump(struct vm *vm, const char *path, enum picture_format format,
                       struct error *err);
/* The registers of one processor. Frozen. */
int command_registers(struct vm *vm, uint64_t index, FILE *out, struct error *err);
int command_interrupts(struct vm *vm, FILE *out, struct error *err);
/* The engine's counters. Frozen. */
int command_engine(struct vm *vm, FILE *out, struct error *err);
int command_memory_tree(struct vm *vm, bool flat, FILE *out, struct error *err);
void command_chardevs(struct vm *vm, FILE *out);
void command_status(struct vm *vm, FILE *out);

#endif
