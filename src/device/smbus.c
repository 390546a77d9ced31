/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * 82371AB datasheet, section 7.3. How it is used: a driver clears the status register, writes
 * address, command and data, starts the transaction by a bit of the control register and polls the
 * status until it is not busy.
 */
#include "device/smbus.h"

#include "base/bytes.h"
#include "base/log.h"

enum {
    REG_STATUS = 0x0,
    REG_SLAVE_STATUS = 0x1,
    REG_CONTROL = 0x2,
    REG_COMMAND = 0x3,
    REG_ADDRESS = 0x4,
    REG_DATA0 = 0x5,
    REG_DATA1 = 0x6,
    REG_BLOCK = 0x7,
    REG_SLAVE_CONTROL = 0x8,
    REG_SLAVE_COMMAND = 0x9,
    REG_SLAVE_EVENT = 0xa, /* 16 bits */

    STATUS_DEVICE_ERROR = 0x04,
    STATUS_FAILED = 0x10,
    STATUS_CLEARABLE = 0x1e,

    CONTROL_INTERRUPT = 0x01,
    CONTROL_KILL = 0x02,
    CONTROL_START = 0x40, /* reads as 0 */
    CONTROL_KEPT = 0x1f,
};

static void write_control(struct smbus *smbus, uint8_t value)
{
    smbus->control = value & CONTROL_KEPT;
    if (value & CONTROL_KILL) {
        smbus->status |= STATUS_FAILED;
    } else if (value & CONTROL_START) {
        smbus->status |= STATUS_DEVICE_ERROR;
        if (value & CONTROL_INTERRUPT)
            log_limited(LOG_UNIMP, "smbus: the guest wants an interrupt for a transaction; it has "
                                   "to poll");
    }
}

/* The index goes round, so that a guest that reads on and on stays inside. */
static uint8_t *block_byte(struct smbus *smbus)
{
    uint8_t *byte = &smbus->block[smbus->block_index];
    smbus->block_index = (smbus->block_index + 1) % SMBUS_BLOCK;
    return byte;
}

static uint64_t smbus_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    struct smbus *smbus = opaque;
    switch (offset) {
    case REG_STATUS:
        return smbus->status;
    case REG_CONTROL:
        smbus->block_index = 0; /* 7.3: a read rewinds the block data */
        return smbus->control;
    case REG_COMMAND:
        return smbus->command;
    case REG_ADDRESS:
        return smbus->address;
    case REG_DATA0:
        return smbus->data0;
    case REG_DATA1:
        return smbus->data1;
    case REG_BLOCK:
        return *block_byte(smbus);
    case REG_SLAVE_CONTROL:
        return smbus->slave_control;
    case REG_SLAVE_COMMAND:
        return smbus->slave_command;
    case REG_SLAVE_EVENT:
        return smbus->slave_event & 0xff;
    case REG_SLAVE_EVENT + 1:
        return smbus->slave_event >> 8;
    default: /* slave status and data: nobody ever spoke to us */
        return 0;
    }
}

static void smbus_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    struct smbus *smbus = opaque;
    uint8_t byte = (uint8_t)value;
    switch (offset) {
    case REG_STATUS:
        smbus->status &= (uint8_t) ~(byte & STATUS_CLEARABLE);
        break;
    case REG_CONTROL:
        write_control(smbus, byte);
        break;
    case REG_COMMAND:
        smbus->command = byte;
        break;
    case REG_ADDRESS:
        smbus->address = byte;
        break;
    case REG_DATA0:
        smbus->data0 = byte;
        break;
    case REG_DATA1:
        smbus->data1 = byte;
        break;
    case REG_BLOCK:
        *block_byte(smbus) = byte;
        break;
    case REG_SLAVE_CONTROL:
        smbus->slave_control = byte & 0x0f;
        break;
    case REG_SLAVE_COMMAND:
        smbus->slave_command = byte;
        break;
    case REG_SLAVE_EVENT:
        smbus->slave_event = (uint16_t)((smbus->slave_event & 0xff00) | byte);
        break;
    case REG_SLAVE_EVENT + 1:
        smbus->slave_event = (uint16_t)((smbus->slave_event & 0xff) | byte << 8);
        break;
    default:
        break;
    }
}

static const struct io_ops smbus_ops = {smbus_read, smbus_write, 1, 1};

static const struct state_field fields[] = {
    STATE_FIELD(struct smbus, status),        STATE_FIELD(struct smbus, control),
    STATE_FIELD(struct smbus, command),       STATE_FIELD(struct smbus, address),
    STATE_FIELD(struct smbus, data0),         STATE_FIELD(struct smbus, data1),
    STATE_BLOB(struct smbus, block),          STATE_FIELD(struct smbus, block_index),
    STATE_FIELD(struct smbus, slave_control), STATE_FIELD(struct smbus, slave_command),
    STATE_FIELD(struct smbus, slave_event),
};

static int smbus_loaded(void *object, struct error *err)
{
    (void)err;
    struct smbus *smbus = object;
    smbus->status &= STATUS_CLEARABLE;
    smbus->control &= CONTROL_KEPT;
    smbus->block_index %= SMBUS_BLOCK;
    smbus->slave_control &= 0x0f;
    return 0;
}

const struct state_table smbus_state = STATE_TABLE("smbus", 1, fields, smbus_loaded);

void smbus_init(struct smbus *smbus, struct pio *pio)
{
    *smbus = (struct smbus){.pio = pio};
    smbus->ports = (struct pio_range){"piix4-smbus", 0, SMBUS_PORTS, &smbus_ops, smbus};
}

void smbus_reset(struct smbus *smbus)
{
    smbus->status = smbus->control = smbus->command = smbus->address = 0;
    smbus->data0 = smbus->data1 = smbus->block_index = 0;
    memset(smbus->block, 0, sizeof(smbus->block));
    smbus->slave_control = smbus->slave_command = 0;
    smbus->slave_event = 0;
}

void smbus_map(struct smbus *smbus, uint16_t base)
{
    if (smbus->ports.first == base)
        return;
    if (smbus->ports.first)
        pio_remove(smbus->pio, &smbus->ports);
    smbus->ports.first = base;
    if (!base)
        return;
    int rc = pio_add(smbus->pio, &smbus->ports);
    if (rc < 0) {
        smbus->ports.first = 0;
        log_warn("smbus: cannot map ports 0x%x: error %d", base, -rc);
    }
}
