/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Scan codes of the 102-key keyboard and the keyboard controller's translation, as tables. Any
 * thread.
 */
#ifndef DEVICE_PS2_KEYS_H
#define DEVICE_PS2_KEYS_H

#include <stdbool.h>
#include <stdint.h>

struct ps2_key {
    uint8_t set2;  /* 0: the keyboard has no such key */
    bool extended; /* preceded by E0 in sets 1 and 2 */
    uint8_t set3;  /* 0: not in set 3 */
};

/* By Linux evdev code; Pause and PrintScreen have sequences of their own (ps2_keyboard.c). */
const struct ps2_key *ps2_key(unsigned evdev_code);

/* What an i8042 makes of a byte of set 2 (F0 prefixes are the caller's). */
uint8_t ps2_translate(uint8_t set2);

#endif
