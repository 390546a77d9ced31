/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The keyboard controller. How it is used: commands to port 0x64, their data and the keyboard's
 * bytes to port 0x60; bytes come back through port 0x60, one at a time, and status bit 5 tells the
 * mouse's from the rest. Bytes arrive without delay: the next one is there, with its interrupt, as
 * soon as the last was read.
 *
 * After reset it is as a PC's firmware leaves it (translating, both ports open), so that a kernel
 * booted without firmware finds a PC keyboard.
 */
#include "device/i8042.h"

#include "base/log.h"
#include "device/ps2_keys.h"

enum { C_IRQ1 = 1, C_IRQ12 = 2, C_SYSTEM = 4, C_NO_KEYBOARD = 0x10, C_NO_AUX = 0x20 };
enum { C_TRANSLATE = 0x40, C_WRITABLE = 0x77 };
enum { S_FULL = 1, S_SYSTEM = 4, S_COMMAND = 8, S_UNLOCKED = 0x10, S_AUX = 0x20 };
enum { P2_RUN = 1, P2_A20 = 2, P2_IRQ1 = 0x10, P2_IRQ12 = 0x20 };
enum { ANSWER_AUX = 0x100 };

static void update_irqs(struct i8042 *k)
{
    uint8_t c = k->command_byte;
    irq_set(&k->irq1, k->full && !k->from_aux && (c & C_IRQ1) && !(c & C_NO_KEYBOARD));
    irq_set(&k->irq12, k->full && k->from_aux && (c & C_IRQ12));
}

static void fill(struct i8042 *k, uint8_t byte, bool aux)
{
    k->output = byte;
    k->full = true;
    k->from_aux = aux;
}

/* The next byte of the keyboard that is left after translation. */
static bool take_keyboard(struct i8042 *k, uint8_t *byte)
{
    while (!ps2_queue_empty(&k->keyboard.queue)) {
        *byte = ps2_queue_take(&k->keyboard.queue);
        if (!(k->command_byte & C_TRANSLATE))
            return true;
        if (*byte == 0xf0) {
            k->release_prefix = true;
            continue;
        }
        *byte = ps2_translate(*byte) | (k->release_prefix ? 0x80 : 0);
        k->release_prefix = false;
        return true;
    }
    return false;
}

/* Fills the output buffer if it is empty and there is something to fill it with. */
static void refill(struct i8042 *k)
{
    uint8_t byte;
    if (k->full)
        return;
    if (k->answer_count) {
        uint16_t answer = k->answer[0];
        k->answer_count--;
        memmove(k->answer, k->answer + 1, k->answer_count * sizeof(k->answer[0]));
        fill(k, (uint8_t)answer, answer & ANSWER_AUX);
    } else if (!(k->command_byte & C_NO_KEYBOARD) && take_keyboard(k, &byte)) {
        fill(k, byte, false);
    } else if (!(k->command_byte & C_NO_AUX) && !ps2_queue_empty(&k->mouse.queue)) {
        fill(k, ps2_queue_take(&k->mouse.queue), true);
        ps2_mouse_taken(&k->mouse);
    }
    update_irqs(k);
}

/* A device has something: its wire ends here. */
static void device_ready(void *opaque, int n, bool level)
{
    (void)n;
    (void)level;
    refill(opaque);
}

static void answer(struct i8042 *k, uint16_t byte)
{
    if (k->answer_count == I8042_ANSWERS) { /* nobody reads: the oldest goes */
        k->answer_count--;
        memmove(k->answer, k->answer + 1, k->answer_count * sizeof(k->answer[0]));
    }
    k->answer[k->answer_count++] = byte;
    refill(k);
}

static void write_output_port(struct i8042 *k, uint8_t value)
{
    k->output_port = value & (P2_RUN | P2_A20);
    irq_set(&k->a20, value & P2_A20);
    if (!(value & P2_RUN)) {
        k->output_port |= P2_RUN; /* a pulse is enough: nobody could raise it again */
        irq_pulse(&k->reset_out);
    }
}

static uint8_t read_output_port(const struct i8042 *k)
{
    return k->output_port | (k->full ? k->from_aux ? P2_IRQ12 : P2_IRQ1 : 0);
}

static void write_command_byte(struct i8042 *k, uint8_t value)
{
    k->command_byte = value & C_WRITABLE;
    if (!(value & C_TRANSLATE))
        k->release_prefix = false;
    update_irqs(k);
    refill(k);
}

static void run_command(struct i8042 *k, uint8_t command)
{
    switch (command) {
    case 0xa4: /* is there a password? no */
        answer(k, 0xf1);
        break;
    case 0xa7:
        write_command_byte(k, k->command_byte | C_NO_AUX);
        break;
    case 0xa8:
        write_command_byte(k, k->command_byte & ~C_NO_AUX);
        break;
    case 0xaa: /* self-test */
        k->command_byte |= C_SYSTEM;
        answer(k, 0x55);
        break;
    case 0xa9: /* tests of the two interfaces */
    case 0xab:
        answer(k, 0x00);
        break;
    case 0xad:
        write_command_byte(k, k->command_byte | C_NO_KEYBOARD);
        break;
    case 0xae:
        write_command_byte(k, k->command_byte & ~C_NO_KEYBOARD);
        break;
    case 0xc0: /* input port: the keyboard is not locked */
        answer(k, 0x80);
        break;
    case 0xd0:
        answer(k, read_output_port(k));
        break;
    case 0xd1:
    case 0xd2:
    case 0xd3:
    case 0xd4:
        k->pending = command;
        break;
    case 0xdd:
    case 0xdf:
        write_output_port(k, P2_RUN | (command == 0xdf ? P2_A20 : 0));
        break;
    case 0xe0: /* test inputs: both clocks low */
        answer(k, 0x00);
        break;
    default:
        log_limited(LOG_GUEST_ERRORS, "i8042: unknown command %02x", command);
        break;
    }
}

static void command_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)offset;
    (void)size;
    struct i8042 *k = opaque;
    uint8_t command = (uint8_t)value;
    k->wrote_command = true;
    k->pending = 0;
    if (command >= 0xf0) { /* pulse the low bits of P2 that are 0 */
        if (!(command & P2_RUN))
            irq_pulse(&k->reset_out);
    } else if (command >= 0x20 && command < 0x40) {
        answer(k, command == 0x20 ? k->command_byte : k->ram[command & 31]);
    } else if (command >= 0x60 && command < 0x80) {
        k->pending = command;
    } else {
        run_command(k, command);
    }
}

static uint64_t status_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset;
    (void)size;
    const struct i8042 *k = opaque;
    uint8_t status = S_UNLOCKED;
    if (k->full)
        status |= k->from_aux ? S_FULL | S_AUX : S_FULL;
    if (k->command_byte & C_SYSTEM)
        status |= S_SYSTEM;
    if (k->wrote_command)
        status |= S_COMMAND;
    return status;
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)offset;
    (void)size;
    struct i8042 *k = opaque;
    uint8_t byte = (uint8_t)value, command = k->pending;
    k->wrote_command = false;
    k->pending = 0;
    switch (command) {
    case 0: /* for the keyboard; sending opens its interface */
        k->command_byte &= ~C_NO_KEYBOARD;
        ps2_keyboard_write(&k->keyboard, byte);
        break;
    case 0x60:
        write_command_byte(k, byte);
        break;
    case 0xd1:
        write_output_port(k, byte);
        break;
    case 0xd2:
        answer(k, byte);
        break;
    case 0xd3:
        answer(k, byte | ANSWER_AUX);
        break;
    case 0xd4:
        k->command_byte &= ~C_NO_AUX;
        ps2_mouse_write(&k->mouse, byte);
        break;
    default:
        k->ram[command & 31] = byte;
        break;
    }
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset;
    (void)size;
    struct i8042 *k = opaque;
    uint8_t byte = k->output; /* an empty buffer shows its last byte */
    if (k->full) {
        k->full = false;
        update_irqs(k); /* falls, so that the next byte is an edge */
        refill(k);
    }
    return byte;
}

static const struct io_ops data_ops = {data_read, data_write, 1, 1};
static const struct io_ops command_ops = {status_read, command_write, 1, 1};

static int i8042_loaded(void *object, struct error *err)
{
    (void)err;
    struct i8042 *k = object;
    if (k->answer_count > I8042_ANSWERS)
        k->answer_count = I8042_ANSWERS;
    irq_set(&k->a20, k->output_port & P2_A20);
    update_irqs(k);
    refill(k);
    return 0;
}

static const struct state_field i8042_fields[] = {
    STATE_FIELD(struct i8042, command_byte),
    STATE_BLOB(struct i8042, ram),
    STATE_FIELD(struct i8042, output_port),
    STATE_FIELD(struct i8042, output),
    STATE_FIELD(struct i8042, full),
    STATE_FIELD(struct i8042, from_aux),
    STATE_FIELD(struct i8042, wrote_command),
    STATE_FIELD(struct i8042, pending),
    STATE_FIELD(struct i8042, release_prefix),
    STATE_ARRAY(struct i8042, answer),
    STATE_FIELD(struct i8042, answer_count),
    STATE_SUB(struct i8042, keyboard, &ps2_keyboard_state),
    STATE_SUB(struct i8042, mouse, &ps2_mouse_state),
};
static const struct state_table i8042_state = STATE_TABLE("i8042", 1, i8042_fields, i8042_loaded);

static void i8042_reset(struct device *device)
{
    struct i8042 *k = (struct i8042 *)device;
    ps2_keyboard_reset(&k->keyboard);
    ps2_mouse_reset(&k->mouse);
    k->command_byte = C_TRANSLATE | C_SYSTEM | C_IRQ12 | C_IRQ1;
    memset(k->ram, 0, sizeof(k->ram));
    k->output = 0;
    k->full = k->from_aux = k->wrote_command = k->release_prefix = false;
    k->pending = 0;
    k->answer_count = 0;
    update_irqs(k);
    write_output_port(k, P2_RUN | P2_A20); /* the port's pins come up high */
}

static void i8042_fini(struct device *device)
{
    struct i8042 *k = (struct i8042 *)device;
    pio_remove(k->pio, &k->data_port);
    pio_remove(k->pio, &k->command_port);
}

static const struct device_type i8042_type = {"i8042", &i8042_state, i8042_reset, i8042_fini};

int i8042_init(struct i8042 *kbc, struct pio *pio, struct irq irq1, struct irq irq12,
               struct irq a20, struct irq reset)
{
    *kbc = (struct i8042){.device = {.type = &i8042_type},
                          .irq1 = irq1,
                          .irq12 = irq12,
                          .a20 = a20,
                          .reset_out = reset,
                          .pio = pio};
    ps2_keyboard_init(&kbc->keyboard, (struct irq){device_ready, kbc, 0});
    ps2_mouse_init(&kbc->mouse, (struct irq){device_ready, kbc, 1});
    kbc->data_port = (struct pio_range){"i8042-data", 0x60, 1, &data_ops, kbc};
    kbc->command_port = (struct pio_range){"i8042-cmd", 0x64, 1, &command_ops, kbc};
    int r = pio_add(pio, &kbc->data_port);
    if (r < 0)
        return r;
    r = pio_add(pio, &kbc->command_port);
    if (r < 0)
        return r;
    i8042_reset(&kbc->device);
    return 0;
}
