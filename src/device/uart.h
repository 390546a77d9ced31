/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * National Semiconductor 16550A UART, as "isa-serial". Datasheet: PC16550D (TI SNLS378). A byte
 * stream (chardev/chardev.h) is the line. Under the VM lock; conventions of init: pic.h.
 */
#ifndef DEVICE_UART_H
#define DEVICE_UART_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/device.h"
#include "bus/irq.h"
#include "chardev/chardev.h"
#include "event/timer.h"
#include "mem/io.h"

#define UART_FIFO 16

struct uart {
    struct device device;
    uint8_t ier, fcr, lcr, mcr, lsr, msr, scr;
    uint16_t divisor;
    uint8_t fifo[UART_FIFO];       /* receive; without FIFO mode only one entry is used */
    uint8_t fifo_flags[UART_FIFO]; /* LSR error bits that came with the byte */
    uint8_t fifo_first, fifo_count;
    uint8_t last;       /* what RBR shows when nothing has come */
    bool thre_pending;  /* the transmitter-empty interrupt waits to be seen */
    bool timeout;       /* the character timeout interrupt */
    struct timer timer; /* armed while it may come */
    struct chardev *chardev;
    struct chardev_frontend frontend;
    int handle;
    struct irq irq;
    struct pio *pio;
    struct pio_range ports;
};

/* Eight ports from base (0x3f8, 0x2f8, 0x3e8, 0x2e8). chardev may be NULL: what is sent is lost.
 * Returns the errno of chardev_attach too. */
int uart_init(struct uart *uart, struct pio *pio, uint16_t base, struct timers *timers,
              struct chardev *chardev, struct irq irq);

#endif
