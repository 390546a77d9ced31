/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The PS/2 keyboard controller: an Intel 8042 with IBM's firmware, its keyboard and its mouse. IBM
 * PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller". Under
 * the VM lock. Ports 0x60 and 0x64; conventions of init: pic.h.
 */
#ifndef DEVICE_I8042_H
#define DEVICE_I8042_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/device.h"
#include "bus/irq.h"
#include "device/ps2.h"
#include "mem/io.h"

enum { I8042_ANSWERS = 4 };

struct i8042 {
    struct device device;
    uint8_t command_byte; /* RAM byte 0: interrupts, disables, translation */
    uint8_t ram[32];      /* the rest of its RAM; [0] unused */
    uint8_t output_port;  /* P2: bit 0 not-reset, bit 1 A20 */
    uint8_t output;       /* the output buffer ... */
    bool full, from_aux;  /* ... OBF, and whose byte it is */
    bool wrote_command;   /* status bit 3 */
    uint8_t pending;      /* the command that waits for its data byte; 0: none */
    bool release_prefix;  /* F0 was swallowed by the translation */
    /* Bytes of the controller itself, before those of devices: bit 8 marks the aux side. */
    uint16_t answer[I8042_ANSWERS];
    uint8_t answer_count;
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
    struct irq irq1, irq12, a20, reset_out;
    struct pio *pio;
    struct pio_range data_port, command_port;
};

/* irq1, irq12: levels, up while the output buffer is full. a20: a level, true lets A20 through; the
 * board ORs it with port92's. reset is pulsed. The board registers keyboard.sink and mouse.sink
 * with its struct input. */
int i8042_init(struct i8042 *kbc, struct pio *pio, struct irq irq1, struct irq irq12,
               struct irq a20, struct irq reset);

#endif
