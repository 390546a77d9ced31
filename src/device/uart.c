/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The 16550A. How it is used: a driver sets the line by LCR and the divisor, enables FIFOs by FCR,
 * then sends through THR when LSR says that it is empty, or in its interrupt; IIR says which of
 * five causes is the most urgent one.
 *
 * Sending takes no time: the transmitter is always empty, so writing THR raises its interrupt at
 * once. INTR is not gated by OUT2: boards did that, and hobby systems forget it. Baud rate counts
 * for the receiver's character timeout only. The far end always asserts DCD, DSR and CTS.
 */
#include "device/uart.h"

enum { IER_RDA = 1, IER_THRE = 2, IER_RLS = 4, IER_MS = 8 };
enum { IIR_NONE = 1, IIR_MS = 0, IIR_THRE = 2, IIR_RDA = 4, IIR_RLS = 6, IIR_TIMEOUT = 12 };
enum { IIR_FIFOS = 0xc0 };
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_KEPT = 0xc9 };
enum { LCR_STOP = 4, LCR_PARITY = 8, LCR_BREAK = 0x40, LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 0x10, MCR_WRITABLE = 0x1f };
enum { LSR_DR = 1, LSR_OE = 2, LSR_BI = 0x10, LSR_ERRORS = 0x1e, LSR_THRE = 0x20, LSR_TEMT = 0x40 };
enum { LSR_FIFO_ERROR = 0x80 };
enum { MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };

static bool fifo_mode(const struct uart *u)
{
    return u->fcr & FCR_ENABLE;
}

static unsigned trigger_level(const struct uart *u)
{
    static const uint8_t levels[4] = {1, 4, 8, 14};
    return fifo_mode(u) ? levels[u->fcr >> 6] : 1;
}

static uint8_t interrupt_cause(const struct uart *u)
{
    if ((u->ier & IER_RLS) && (u->lsr & LSR_ERRORS))
        return IIR_RLS;
    if ((u->ier & IER_RDA) && u->fifo_count >= trigger_level(u))
        return IIR_RDA;
    if ((u->ier & IER_RDA) && u->timeout)
        return IIR_TIMEOUT;
    if ((u->ier & IER_THRE) && u->thre_pending)
        return IIR_THRE;
    if ((u->ier & IER_MS) && (u->msr & 0x0f))
        return IIR_MS;
    return IIR_NONE;
}

static void update_irq(struct uart *u)
{
    irq_set(&u->irq, interrupt_cause(u) != IIR_NONE);
}

/* Four character times at the programmed speed; the divisor counts 16 clocks of 1.8432 MHz. */
static int64_t timeout_ns(const struct uart *u)
{
    unsigned bits =
        1 + 5 + (u->lcr & 3) + (u->lcr & LCR_PARITY ? 1 : 0) + (u->lcr & LCR_STOP ? 2 : 1);
    uint64_t divisor = u->divisor ? u->divisor : 1;
    return (int64_t)mul_div(4 * bits * divisor * 16, NS_PER_SECOND, 1843200);
}

/* The clock of the character timeout starts anew with every byte received or read. */
static void restart_timeout(struct uart *u)
{
    u->timeout = false;
    if (fifo_mode(u) && u->fifo_count)
        timer_set(&u->timer, timers_now(u->timer.timers) + timeout_ns(u));
    else
        timer_cancel(&u->timer);
}

static void timed_out(void *opaque)
{
    struct uart *u = opaque;
    u->timeout = u->fifo_count > 0;
    update_irq(u);
}

/* Errors show in LSR when their byte is the next to be read. */
static void reveal_first(struct uart *u)
{
    if (!u->fifo_count) {
        u->lsr &= ~LSR_DR;
        return;
    }
    u->lsr |= LSR_DR | u->fifo_flags[u->fifo_first];
    u->fifo_flags[u->fifo_first] = 0;
}

static void receive(struct uart *u, uint8_t byte, uint8_t flags)
{
    unsigned room = fifo_mode(u) ? UART_FIFO : 1;
    if (u->fifo_count >= room) {
        u->lsr |= LSR_OE;
        if (!fifo_mode(u)) /* the new byte takes the place of the old; a FIFO keeps the old */
            u->fifo[u->fifo_first] = byte;
    } else {
        unsigned at = (u->fifo_first + u->fifo_count) % UART_FIFO;
        u->fifo[at] = byte;
        u->fifo_flags[at] = flags;
        u->fifo_count++;
        reveal_first(u);
    }
    restart_timeout(u);
    update_irq(u);
}

static void clear_fifo(struct uart *u)
{
    u->fifo_first = u->fifo_count = 0;
    memset(u->fifo_flags, 0, sizeof(u->fifo_flags));
    reveal_first(u);
    restart_timeout(u);
}

static size_t uart_can_read(void *opaque)
{
    const struct uart *u = opaque;
    if (u->mcr & MCR_LOOP)
        return 0; /* SIN is disconnected: hold the stream rather than lose it */
    return (fifo_mode(u) ? UART_FIFO : 1u) - u->fifo_count;
}

static void uart_input(void *opaque, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        receive(opaque, bytes[i], 0);
}

static void uart_event(void *opaque, enum chardev_event event)
{
    struct uart *u = opaque;
    if (event == CHARDEV_BREAK && !(u->mcr & MCR_LOOP))
        receive(u, 0, LSR_BI);
}

static void accept_input(struct uart *u)
{
    if (u->chardev && uart_can_read(u))
        chardev_accept_input(u->chardev);
}

/* Levels of the modem inputs: the far end's, or our own outputs in loop-back. */
static void update_modem(struct uart *u)
{
    uint8_t levels = MSR_DCD | MSR_DSR | MSR_CTS;
    if (u->mcr & MCR_LOOP)
        levels = (u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
                 (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
    uint8_t changed = (u->msr ^ levels) & 0xf0;
    if (levels & MSR_RI)
        changed &= ~MSR_RI; /* only its trailing edge counts */
    u->msr = levels | (u->msr & 0x0f) | changed >> 4;
}

static void transmit(struct uart *u, uint8_t byte)
{
    u->thre_pending = false;
    update_irq(u);
    if (u->mcr & MCR_LOOP)
        receive(u, byte, 0);
    else if (u->chardev)
        chardev_write(u->chardev, u->handle, &byte, 1);
    u->thre_pending = true;
}

static void write_ier(struct uart *u, uint8_t value)
{
    uint8_t set = value & ~u->ier;
    u->ier = value & 0x0f;
    if (set & IER_THRE) /* enabling it with an empty transmitter raises it: drivers wait for this */
        u->thre_pending = true;
}

static void write_fcr(struct uart *u, uint8_t value)
{
    bool mode_changes = (value ^ u->fcr) & FCR_ENABLE;
    /* The other bits count only together with bit 0. */
    u->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
    if (mode_changes || ((value & FCR_ENABLE) && (value & FCR_CLEAR_RX)))
        clear_fifo(u);
}

static void write_mcr(struct uart *u, uint8_t value)
{
    bool was_loop = u->mcr & MCR_LOOP;
    u->mcr = value & MCR_WRITABLE;
    update_modem(u);
    if (was_loop && !(u->mcr & MCR_LOOP))
        accept_input(u);
}

static void write_lcr(struct uart *u, uint8_t value)
{
    bool breaks = (value & ~u->lcr) & LCR_BREAK;
    u->lcr = value;
    if (breaks && (u->mcr & MCR_LOOP))
        receive(u, 0, LSR_BI);
}

static void uart_write(void *opaque, uint64_t offset, uint64_t wide, unsigned size)
{
    (void)size;
    struct uart *u = opaque;
    uint8_t value = (uint8_t)wide;
    bool dlab = u->lcr & LCR_DLAB;
    switch (offset) {
    case 0:
        if (dlab)
            u->divisor = (u->divisor & 0xff00) | value;
        else
            transmit(u, value);
        break;
    case 1:
        if (dlab)
            u->divisor = (uint16_t)(value << 8) | (u->divisor & 0xff);
        else
            write_ier(u, value);
        break;
    case 2:
        write_fcr(u, value);
        break;
    case 3:
        write_lcr(u, value);
        break;
    case 4:
        write_mcr(u, value);
        break;
    case 7:
        u->scr = value;
        break;
    default: /* LSR and MSR: writes are for factory tests */
        break;
    }
    update_irq(u);
    if (offset == 2)
        accept_input(u);
}

static uint8_t read_rbr(struct uart *u)
{
    if (u->fifo_count) {
        u->last = u->fifo[u->fifo_first];
        u->fifo_first = (u->fifo_first + 1) % UART_FIFO;
        u->fifo_count--;
        reveal_first(u);
        restart_timeout(u);
        update_irq(u);
        accept_input(u);
    }
    return u->last;
}

static uint8_t read_iir(struct uart *u)
{
    uint8_t cause = interrupt_cause(u);
    if (cause == IIR_THRE) {
        u->thre_pending = false;
        update_irq(u);
    }
    return cause | (fifo_mode(u) ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct uart *u)
{
    uint8_t value = u->lsr | LSR_THRE | LSR_TEMT;
    if (fifo_mode(u)) {
        uint8_t errors = u->lsr & LSR_ERRORS & ~LSR_OE;
        for (unsigned i = 0; i < u->fifo_count; i++)
            errors |= u->fifo_flags[(u->fifo_first + i) % UART_FIFO];
        if (errors)
            value |= LSR_FIFO_ERROR;
    }
    u->lsr &= ~LSR_ERRORS;
    update_irq(u);
    return value;
}

static uint64_t uart_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    struct uart *u = opaque;
    bool dlab = u->lcr & LCR_DLAB;
    uint8_t msr;
    switch (offset) {
    case 0:
        return dlab ? u->divisor & 0xff : read_rbr(u);
    case 1:
        return dlab ? u->divisor >> 8 : u->ier;
    case 2:
        return read_iir(u);
    case 3:
        return u->lcr;
    case 4:
        return u->mcr;
    case 5:
        return read_lsr(u);
    case 6:
        msr = u->msr;
        u->msr &= 0xf0;
        update_irq(u);
        return msr;
    default:
        return u->scr;
    }
}

static const struct io_ops uart_ops = {uart_read, uart_write, 1, 1};

static int uart_loaded(void *object, struct error *err)
{
    (void)err;
    struct uart *u = object;
    u->fifo_first %= UART_FIFO;
    if (u->fifo_count > UART_FIFO)
        u->fifo_count = UART_FIFO;
    bool timeout = u->timeout;
    restart_timeout(u);
    u->timeout = timeout;
    update_irq(u);
    return 0;
}

static const struct state_field uart_fields[] = {
    STATE_FIELD(struct uart, ier),        STATE_FIELD(struct uart, fcr),
    STATE_FIELD(struct uart, lcr),        STATE_FIELD(struct uart, mcr),
    STATE_FIELD(struct uart, lsr),        STATE_FIELD(struct uart, msr),
    STATE_FIELD(struct uart, scr),        STATE_FIELD(struct uart, divisor),
    STATE_ARRAY(struct uart, fifo),       STATE_ARRAY(struct uart, fifo_flags),
    STATE_FIELD(struct uart, fifo_first), STATE_FIELD(struct uart, fifo_count),
    STATE_FIELD(struct uart, last),       STATE_FIELD(struct uart, thre_pending),
    STATE_FIELD(struct uart, timeout),
};
static const struct state_table uart_state = STATE_TABLE("uart", 1, uart_fields, uart_loaded);

static void uart_reset(struct device *device)
{
    struct uart *u = (struct uart *)device;
    u->ier = u->fcr = u->lcr = u->mcr = u->lsr = u->scr = 0;
    u->divisor = 12; /* 9600 baud; the datasheet leaves it undefined */
    u->msr = MSR_DCD | MSR_DSR | MSR_CTS;
    u->thre_pending = false;
    clear_fifo(u);
    update_irq(u);
    accept_input(u);
}

static void uart_fini(struct device *device)
{
    struct uart *u = (struct uart *)device;
    timer_cancel(&u->timer);
    pio_remove(u->pio, &u->ports);
}

static const struct device_type uart_type = {"isa-serial", &uart_state, uart_reset, uart_fini};

int uart_init(struct uart *uart, struct pio *pio, uint16_t base, struct timers *timers,
              struct chardev *chardev, struct irq irq)
{
    *uart = (struct uart){.device = {.type = &uart_type}, .irq = irq, .pio = pio};
    timer_init(&uart->timer, timers, timed_out, uart);
    uart->ports = (struct pio_range){"serial", base, 8, &uart_ops, uart};
    int r = pio_add(pio, &uart->ports);
    if (r < 0)
        return r;
    uart_reset(&uart->device);
    if (chardev) {
        uart->frontend = (struct chardev_frontend){uart_can_read, uart_input, uart_event, uart};
        r = chardev_attach(chardev, &uart->frontend);
        if (r < 0) {
            pio_remove(pio, &uart->ports);
            return r;
        }
        uart->chardev = chardev;
        uart->handle = r;
    }
    return 0;
}
