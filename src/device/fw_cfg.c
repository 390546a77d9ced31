/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fw_cfg, after QEMU's docs/specs/fw_cfg.rst: the traditional port interface and the DMA one.
 * Items are read-only to the guest; a DMA write is answered with the error bit.
 */
#include "device/fw_cfg.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"

enum {
    KEY_WRITE_CHANNEL = 0x4000, /* of old; ignored, as the items it wrote to are */

    DMA_ERROR = 1 << 0,
    DMA_READ = 1 << 1,
    DMA_SKIP = 1 << 2,
    DMA_SELECT = 1 << 3,
    DMA_WRITE = 1 << 4,

    /* Past its end an item reads as zeros. A descriptor asks for up to 4 GiB of them: so many are
     * given, and then the error bit. */
    DMA_ZEROS_MAX = 256 << 20,

    DIRECTORY_ENTRY = 64,
};

static const uint8_t dma_signature[8] = "QEMU CFG";

static struct fw_cfg_item *find_item(struct fw_cfg *fw, unsigned key)
{
    key &= ~(unsigned)KEY_WRITE_CHANNEL;
    if (key < FW_CFG_KEYS)
        return &fw->items[key];
    if (key >= FW_CFG_ARCH_LOCAL && key < FW_CFG_ARCH_LOCAL + FW_CFG_ARCH_KEYS)
        return &fw->items[FW_CFG_KEYS + key - FW_CFG_ARCH_LOCAL];
    return NULL;
}

static void select_item(struct fw_cfg *fw, uint16_t key)
{
    fw->key = key;
    fw->offset = 0;
    const struct fw_cfg_item *item = find_item(fw, key);
    if (!item || !item->data)
        log_limited(LOG_GUEST_ERRORS, "fw_cfg: no item %#x", key);
}

/* What is left of the selected item. */
static const uint8_t *rest_of_item(struct fw_cfg *fw, uint32_t *length)
{
    const struct fw_cfg_item *item = find_item(fw, fw->key);
    *length = 0;
    if (!item || !item->data || fw->offset >= item->length)
        return NULL;
    *length = item->length - fw->offset;
    return item->data + fw->offset;
}

static void advance(struct fw_cfg *fw, uint32_t by)
{
    fw->offset = by > UINT32_MAX - fw->offset ? UINT32_MAX : fw->offset + by;
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    struct fw_cfg *fw = opaque;
    if (size != 1)
        return 0;
    (void)offset;
    uint32_t length;
    const uint8_t *data = rest_of_item(fw, &length);
    uint8_t value = data ? *data : 0;
    if (data)
        advance(fw, 1);
    return value;
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset == 0 && size == 2)
        select_item(opaque, (uint16_t)value);
}

static bool dma_read(struct fw_cfg *fw, gpa_t to, uint32_t length)
{
    uint32_t there;
    const uint8_t *data = rest_of_item(fw, &there);
    uint32_t copied = length < there ? length : there;
    advance(fw, length);
    if (copied && !mem_write(fw->mem, to, data, copied))
        return false;
    uint32_t zeros = length - copied;
    bool whole = zeros <= DMA_ZEROS_MAX;
    if (!whole)
        zeros = DMA_ZEROS_MAX;
    static const uint8_t zero[4096];
    for (uint32_t done = 0; done < zeros;) {
        uint32_t piece = (uint32_t)min_u64(sizeof(zero), zeros - done);
        if (!mem_write(fw->mem, to + copied + done, zero, piece))
            return false;
        done += piece;
    }
    return whole;
}

/* Descriptor: control, length (32 bits), address (64), all big-endian. It is answered by writing
 * control: 0, or the error bit. */
static void dma_run(struct fw_cfg *fw, gpa_t at)
{
    uint8_t descriptor[16];
    uint8_t answer[4] = {0, 0, 0, 0};
    if (!mem_read(fw->mem, at, descriptor, sizeof(descriptor))) {
        log_limited(LOG_GUEST_ERRORS, "fw_cfg: DMA descriptor at %#llx is not in memory",
                    (unsigned long long)at);
        answer[3] = DMA_ERROR;
        mem_write(fw->mem, at, answer, sizeof(answer));
        return;
    }
    uint32_t control = swap32(load_le32(descriptor));
    uint32_t length = swap32(load_le32(descriptor + 4));
    gpa_t address = swap64(load_le64(descriptor + 8));
    if (control & DMA_SELECT)
        select_item(fw, (uint16_t)(control >> 16));
    bool good = true;
    if (control & DMA_READ)
        good = dma_read(fw, address, length);
    else if (control & DMA_WRITE)
        good = false;
    else if (control & DMA_SKIP)
        advance(fw, length);
    if (!good) {
        log_limited(LOG_GUEST_ERRORS, "fw_cfg: DMA %#x of %u bytes at %#llx refused", control,
                    length, (unsigned long long)address);
        answer[3] = DMA_ERROR;
    }
    mem_write(fw->mem, at, answer, sizeof(answer));
}

/* Reads as the signature; writes are the descriptor's address, big-endian: the low half, at offset
 * 4, starts it. */
static uint64_t dma_ports_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque;
    return offset + size <= sizeof(dma_signature) ? load_le(dma_signature + offset, size) : 0;
}

static void dma_ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct fw_cfg *fw = opaque;
    if (size != 4)
        return;
    uint32_t half = swap32((uint32_t)value);
    if (offset == 0) {
        fw->dma_address = (uint64_t)half << 32;
    } else if (offset == 4) {
        gpa_t at = fw->dma_address | half;
        fw->dma_address = 0;
        dma_run(fw, at);
    }
}

static const struct io_ops ports_ops = {ports_read, ports_write, 1, 2};
static const struct io_ops dma_ops = {dma_ports_read, dma_ports_write, 1, 4};

static void reset(struct device *device)
{
    struct fw_cfg *fw = (struct fw_cfg *)device;
    fw->key = FW_CFG_SIGNATURE;
    fw->offset = 0;
    fw->dma_address = 0;
}

static void fini(struct device *device)
{
    struct fw_cfg *fw = (struct fw_cfg *)device;
    pio_remove(fw->pio, &fw->dma_ports);
    pio_remove(fw->pio, &fw->ports);
    for (size_t i = 0; i < ARRAY_LEN(fw->items); i++)
        free(fw->items[i].data);
    memset(fw->items, 0, sizeof(fw->items));
    fw->file_count = 0;
}

/* The items come from the configuration, not from the guest: they are not state. */
static const struct state_field fields[] = {
    STATE_FIELD(struct fw_cfg, key),
    STATE_FIELD(struct fw_cfg, offset),
    STATE_FIELD(struct fw_cfg, dma_address),
};
static const struct state_table table = STATE_TABLE("fw_cfg", 1, fields, NULL);

static const struct device_type type = {
    .name = "fw_cfg", .state = &table, .reset = reset, .fini = fini};

int fw_cfg_add_bytes(struct fw_cfg *fw, unsigned key, const void *data, size_t length,
                     struct error *err)
{
    struct fw_cfg_item *item = (key & KEY_WRITE_CHANNEL) ? NULL : find_item(fw, key);
    if (!item)
        return error_set(err, EINVAL, "fw_cfg has no key %#x", key);
    if (length >= UINT32_MAX)
        return error_set(err, EINVAL, "fw_cfg item %#x: %zu bytes are more than 4 GiB", key,
                         length);
    uint8_t *copy = malloc(length ? length : 1);
    if (!copy)
        return error_set(err, ENOMEM, "fw_cfg item %#x: no memory for %zu bytes", key, length);
    if (length)
        memcpy(copy, data, length);
    free(item->data);
    item->data = copy;
    item->length = (uint32_t)length;
    return 0;
}

int fw_cfg_add_i16(struct fw_cfg *fw, unsigned key, uint16_t value, struct error *err)
{
    uint8_t bytes[2];
    store_le16(bytes, value);
    return fw_cfg_add_bytes(fw, key, bytes, sizeof(bytes), err);
}

int fw_cfg_add_i32(struct fw_cfg *fw, unsigned key, uint32_t value, struct error *err)
{
    uint8_t bytes[4];
    store_le32(bytes, value);
    return fw_cfg_add_bytes(fw, key, bytes, sizeof(bytes), err);
}

int fw_cfg_add_i64(struct fw_cfg *fw, unsigned key, uint64_t value, struct error *err)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    return fw_cfg_add_bytes(fw, key, bytes, sizeof(bytes), err);
}

int fw_cfg_add_string(struct fw_cfg *fw, unsigned key, const char *text, struct error *err)
{
    return fw_cfg_add_bytes(fw, key, text, strlen(text) + 1, err);
}

/* Entry: size (32 bits), key (16), reserved (16), name, all numbers big-endian; before them their
 * count. */
static int update_directory(struct fw_cfg *fw, struct error *err)
{
    uint8_t directory[4 + FW_CFG_FILES * DIRECTORY_ENTRY] = {0};
    store_le32(directory, swap32(fw->file_count));
    for (unsigned i = 0; i < fw->file_count; i++) {
        uint8_t *entry = directory + 4 + i * DIRECTORY_ENTRY;
        store_le32(entry, swap32(fw->items[FW_CFG_FILE_FIRST + i].length));
        store_le16(entry + 4, swap16((uint16_t)(FW_CFG_FILE_FIRST + i)));
        memcpy(entry + 8, fw->names[i], FW_CFG_NAME_SIZE);
    }
    return fw_cfg_add_bytes(fw, FW_CFG_FILE_DIR, directory,
                            4 + (size_t)fw->file_count * DIRECTORY_ENTRY, err);
}

static unsigned file_slot(const struct fw_cfg *fw, const char *name)
{
    unsigned i = 0;
    while (i < fw->file_count && strcmp(fw->names[i], name) != 0)
        i++;
    return i;
}

int fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, size_t length,
                    struct error *err)
{
    size_t name_length = strlen(name);
    if (name_length >= FW_CFG_NAME_SIZE)
        return error_set(err, EINVAL, "fw_cfg file name '%s' is longer than %d", name,
                         FW_CFG_NAME_SIZE - 1);
    unsigned slot = file_slot(fw, name);
    if (slot == FW_CFG_FILES)
        return error_set(err, ENOSPC, "fw_cfg file '%s': all %d slots are taken", name,
                         FW_CFG_FILES);
    int rc = fw_cfg_add_bytes(fw, FW_CFG_FILE_FIRST + slot, data, length, err);
    if (rc < 0)
        return rc;
    if (slot == fw->file_count) {
        memset(fw->names[slot], 0, FW_CFG_NAME_SIZE);
        memcpy(fw->names[slot], name, name_length);
        fw->file_count++;
    }
    return update_directory(fw, err);
}

const struct fw_cfg_item *fw_cfg_find_file(const struct fw_cfg *fw, const char *name)
{
    unsigned slot = file_slot(fw, name);
    return slot < fw->file_count ? &fw->items[FW_CFG_FILE_FIRST + slot] : NULL;
}

int fw_cfg_init(struct fw_cfg *fw, struct pio *pio, struct mem *mem, struct error *err)
{
    memset(fw, 0, sizeof(*fw));
    fw->device.type = &type;
    fw->mem = mem;
    fw->pio = pio;
    int rc = fw_cfg_add_bytes(fw, FW_CFG_SIGNATURE, "QEMU", 4, err);
    if (rc == 0)
        rc = fw_cfg_add_i32(fw, FW_CFG_ID, 3, err); /* ports and DMA */
    if (rc == 0)
        rc = update_directory(fw, err);
    fw->ports = (struct pio_range){"fwcfg", 0x510, 2, &ports_ops, fw};
    fw->dma_ports = (struct pio_range){"fwcfg.dma", 0x514, 8, &dma_ops, fw};
    if (rc == 0 && (rc = pio_add(pio, &fw->ports)) == 0)
        rc = pio_add(pio, &fw->dma_ports);
    if (rc < 0)
        fini(&fw->device);
    return rc;
}
