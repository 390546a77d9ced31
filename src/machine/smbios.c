/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine/smbios.h"

#include <errno.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/error.h"
#include "device/fw_cfg.h"
#include "machine/blob.h"

enum {
    ENTRY_SIZE = 0x1f,
    ENTRY_SECOND = 0x10, /* the part from "_DMI_" on has a checksum of its own */
    TABLES_MAX = 0xffff,

    HANDLE_SYSTEM = 0x0100,
    HANDLE_CHASSIS = 0x0300,
    HANDLE_PROCESSOR = 0x0400,
    HANDLE_ARRAY = 0x1000,
    HANDLE_MODULE = 0x1100,
    HANDLE_RANGE = 0x1300,
    HANDLE_BOOT = 0x2000,
    HANDLE_END = 0x7f00,
    NO_HANDLE = 0xffff,
    NO_ERRORS = 0xfffe, /* where a handle of error information would be */

    SOCKETS_MAX = 255,
    MODULES_MAX = 64,

    /* Values of 7.x of the specification */
    OTHER = 1,
    UNKNOWN = 2,
    SAFE = 3,
    WAKE_POWER_SWITCH = 6,
    PROCESSOR_CENTRAL = 3,
    PROCESSOR_ENABLED = 0x41, /* and the socket is taken */
    PROCESSOR_MHZ = 2000,
    MEMORY_SYSTEM = 3,
    MEMORY_MULTI_BIT_ECC = 6,
    MODULE_DIMM = 9,
    MODULE_RAM = 7,
    MODULE_DETAIL_OTHER = 1 << 1,
    SIZE_IS_EXTENDED = 0x7fff,
};

#define MODULE_SIZE GIB(16)
#define MAKER       "Trapeze"

/* The tables as they grow. */
struct build {
    struct blob blob;
    size_t start; /* of the structure at hand */
    size_t largest;
    unsigned count;
    struct blob strings;
    unsigned string_count; /* of the structure at hand */
};

static void begin(struct build *b, unsigned type, unsigned length, unsigned handle)
{
    b->start = b->blob.length;
    b->string_count = 0;
    b->strings.length = 0;
    blob_add_le(&b->blob, type, 1);
    blob_add_le(&b->blob, length, 1);
    blob_add_le(&b->blob, handle, 2);
}

static void add(struct build *b, uint64_t value, unsigned size)
{
    blob_add_le(&b->blob, value, size);
}

/* The number of a string; the strings themselves follow the structure. */
static void add_string(struct build *b, const char *text)
{
    blob_add_string(&b->strings, text);
    add(b, ++b->string_count, 1);
}

static void end(struct build *b)
{
    blob_add(&b->blob, b->strings.bytes, b->strings.length);
    blob_add_zeros(&b->blob, b->string_count ? 1 : 2);
    size_t size = b->blob.length - b->start;
    if (size > b->largest)
        b->largest = size;
    b->count++;
}

/* The first three fields are numbers and stored little-endian (7.2.1). */
static void add_uuid(struct build *b, const uint8_t uuid[16])
{
    add(b, swap32(load_le32(uuid)), 4);
    add(b, swap16(load_le16(uuid + 4)), 2);
    add(b, swap16(load_le16(uuid + 6)), 2);
    blob_add(&b->blob, uuid + 8, 8);
}

static void add_system(struct build *b, const struct smbios_board *board)
{
    begin(b, 1, 0x1b, HANDLE_SYSTEM);
    add_string(b, MAKER);
    add_string(b, board->product);
    add_string(b, TRAPEZE_VERSION);
    add(b, 0, 1); /* no serial number */
    add_uuid(b, board->uuid);
    add(b, WAKE_POWER_SWITCH, 1);
    add(b, 0, 2); /* no stock number, no family */
    end(b);
}

static void add_chassis(struct build *b)
{
    begin(b, 3, 0x16, HANDLE_CHASSIS);
    add_string(b, MAKER);
    add(b, OTHER, 1);
    add_string(b, TRAPEZE_VERSION);
    add(b, 0, 2); /* no serial number, no tag */
    add(b, SAFE, 1);
    add(b, SAFE, 1);
    add(b, SAFE, 1); /* start-up, power supply, temperature */
    add(b, UNKNOWN, 1);
    add(b, 0, 4);
    add(b, 0, 5); /* height, cords, contained elements, stock number */
    end(b);
}

static void add_processor(struct build *b, unsigned index, unsigned cores)
{
    char socket[16];
    snprintf(socket, sizeof(socket), "CPU %u", index);
    begin(b, 4, 0x2a, HANDLE_PROCESSOR + index);
    add_string(b, socket);
    add(b, PROCESSOR_CENTRAL, 1);
    add(b, OTHER, 1);
    add_string(b, MAKER);
    add(b, 0, 8);
    add_string(b, TRAPEZE_VERSION);
    add(b, 0, 3); /* voltage, clock: unknown */
    add(b, PROCESSOR_MHZ, 2);
    add(b, PROCESSOR_MHZ, 2);
    add(b, PROCESSOR_ENABLED, 1);
    add(b, OTHER, 1);
    add(b, NO_HANDLE, 2);
    add(b, NO_HANDLE, 2);
    add(b, NO_HANDLE, 2); /* caches */
    add(b, 0, 3);         /* no serial, asset, part number */
    add(b, cores, 1);
    add(b, cores, 1);
    add(b, cores, 1); /* threads */
    add(b, UNKNOWN, 2);
    add(b, OTHER, 2);
    end(b);
}

static void add_module(struct build *b, unsigned index, uint64_t bytes)
{
    char locator[16];
    snprintf(locator, sizeof(locator), "DIMM %u", index);
    uint64_t mib = round_up(bytes, MIB(1)) >> 20;
    bool extended = mib >= SIZE_IS_EXTENDED;
    begin(b, 17, 0x28, HANDLE_MODULE + index);
    add(b, HANDLE_ARRAY, 2);
    add(b, NO_ERRORS, 2);
    add(b, 0xffff, 2);
    add(b, 0xffff, 2); /* widths: unknown */
    add(b, extended ? SIZE_IS_EXTENDED : mib, 2);
    add(b, MODULE_DIMM, 1);
    add(b, 0, 1);
    add_string(b, locator);
    add(b, 0, 1);
    add(b, MODULE_RAM, 1);
    add(b, MODULE_DETAIL_OTHER, 2);
    add(b, 0, 2);
    add_string(b, MAKER);
    add(b, 0, 4); /* no serial, asset, part number; rank unknown */
    add(b, extended ? mib : 0, 4);
    add(b, 0, 8); /* speed, voltages: unknown */
    end(b);
}

/* A range of addresses. In KiB where they fit, else in bytes in the later fields. */
static void add_range(struct build *b, unsigned index, uint64_t start, uint64_t size)
{
    uint64_t last = (start + size - 1) >> 10;
    bool extended = last >= UINT32_MAX;
    begin(b, 19, 0x1f, HANDLE_RANGE + index);
    add(b, extended ? UINT32_MAX : start >> 10, 4);
    add(b, extended ? UINT32_MAX : last, 4);
    add(b, HANDLE_ARRAY, 2);
    add(b, 1, 1);
    add(b, extended ? start : 0, 8);
    add(b, extended ? start + size - 1 : 0, 8);
    end(b);
}

static void add_memory(struct build *b, const struct smbios_board *board)
{
    uint64_t memory = board->ram_below_4g + board->ram_above_4g;
    uint64_t module = MODULE_SIZE;
    while ((memory - 1) / module >= MODULES_MAX)
        module *= 2;
    unsigned modules = (unsigned)((memory - 1) / module + 1);
    bool extended = memory >= (uint64_t)INT32_MAX << 10;
    begin(b, 16, 0x17, HANDLE_ARRAY);
    add(b, OTHER, 1);
    add(b, MEMORY_SYSTEM, 1);
    add(b, MEMORY_MULTI_BIT_ECC, 1);
    add(b, extended ? 0x80000000u : memory >> 10, 4);
    add(b, NO_ERRORS, 2);
    add(b, modules, 2);
    add(b, extended ? memory : 0, 8);
    end(b);
    for (unsigned i = 0; i < modules; i++)
        add_module(b, i, min_u64(module, memory - i * module));
    add_range(b, 0, 0, board->ram_below_4g);
    if (board->ram_above_4g)
        add_range(b, 1, GIB(4), board->ram_above_4g);
}

static void add_all(struct build *b, const struct smbios_board *board)
{
    add_system(b, board);
    add_chassis(b);
    for (unsigned i = 0; i < board->sockets; i++)
        add_processor(b, i, board->cores);
    add_memory(b, board);
    begin(b, 32, 0x0b, HANDLE_BOOT);
    add(b, 0, 6);
    add(b, 0, 1); /* no errors */
    end(b);
    begin(b, 127, 0x04, HANDLE_END);
    end(b);
}

static uint8_t complement(const uint8_t *bytes, size_t length)
{
    uint8_t sum = 0;
    while (length--)
        sum = (uint8_t)(sum + *bytes++);
    return (uint8_t)-sum;
}

/* With checksums that are right for the address 0 it has now: the firmware adjusts them. */
static void fill_entry(uint8_t entry[ENTRY_SIZE], const struct build *b)
{
    memcpy(entry, "_SM_", 4);
    entry[5] = ENTRY_SIZE;
    entry[6] = 2;
    entry[7] = 8;
    store_le16(entry + 8, (uint16_t)b->largest);
    memcpy(entry + ENTRY_SECOND, "_DMI_", 5);
    store_le16(entry + 0x16, (uint16_t)b->blob.length);
    store_le16(entry + 0x1c, (uint16_t)b->count);
    entry[0x1e] = 0x28;
    entry[0x15] = complement(entry + ENTRY_SECOND, ENTRY_SIZE - ENTRY_SECOND);
    entry[4] = complement(entry, ENTRY_SIZE);
}

int smbios_tables_add(struct fw_cfg *fw, const struct smbios_board *board, struct error *err)
{
    if (board->sockets < 1 || board->sockets > SOCKETS_MAX || board->cores < 1 ||
        board->cores > 255)
        return error_set(err, EINVAL,
                         "the SMBIOS tables take 1 to 255 processors of 1 to 255 cores, not %u "
                         "of %u",
                         board->sockets, board->cores);
    if (!board->ram_below_4g || board->ram_above_4g >> 52)
        return error_set(err, EINVAL, "the SMBIOS tables cannot tell of that much or little RAM");
    struct build build = {0};
    add_all(&build, board);
    uint8_t entry[ENTRY_SIZE] = {0};
    int ret = 0;
    if (build.blob.failed || build.strings.failed)
        ret = error_set(err, ENOMEM, "no memory for the SMBIOS tables");
    else if (build.blob.length > TABLES_MAX)
        ret = error_set(err, EINVAL, "the SMBIOS tables grow beyond 64 KiB");
    else
        fill_entry(entry, &build);
    if (ret == 0)
        ret = fw_cfg_add_file(fw, "etc/smbios/smbios-tables", build.blob.bytes, build.blob.length,
                              err);
    if (ret == 0)
        ret = fw_cfg_add_file(fw, "etc/smbios/smbios-anchor", entry, sizeof(entry), err);
    blob_free(&build.blob);
    blob_free(&build.strings);
    return ret;
}
