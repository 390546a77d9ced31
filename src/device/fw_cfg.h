/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fw_cfg: the box of named and numbered items through which the board tells the firmware what it
 * is (QEMU's docs/specs/fw_cfg.rst, a public interface that SeaBIOS, OVMF and Linux speak). Ports
 * 0x510 (selector) and 0x511 (data), and DMA at 0x514.
 *
 * Items are added by the board at set-up and may be replaced later, before a reset. All under the
 * VM lock.
 */
#ifndef DEVICE_FW_CFG_H
#define DEVICE_FW_CFG_H

#include <stddef.h>
#include <stdint.h>

#include "bus/device.h"
#include "mem/io.h"
#include "mem/mem.h"

struct error;

enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,  /* 64 bits: bytes below 4 GiB */
    FW_CFG_NOGRAPHIC = 0x04, /* 16 bits */
    FW_CFG_NB_CPUS = 0x05,   /* 16 bits */
    FW_CFG_MACHINE_ID = 0x06,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_KERNEL_CMDLINE = 0x09,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e, /* 16 bits */
    FW_CFG_MAX_CPUS = 0x0f,  /* 16 bits: one past the highest APIC id */
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    /* Keys of the PC. */
    FW_CFG_ARCH_LOCAL = 0x8000,
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
    FW_CFG_HPET = 0x8004,
};

enum {
    FW_CFG_FILES = 64,
    FW_CFG_KEYS = FW_CFG_FILE_FIRST + FW_CFG_FILES,
    FW_CFG_ARCH_KEYS = 8,
    FW_CFG_NAME_SIZE = 56, /* of a file, with its NUL */
};

struct fw_cfg_item {
    uint8_t *data; /* a copy of its own */
    uint32_t length;
};

struct fw_cfg {
    struct device device; /* first */
    struct mem *mem;
    struct pio *pio;
    struct pio_range ports, dma_ports;
    struct fw_cfg_item items[FW_CFG_KEYS + FW_CFG_ARCH_KEYS];
    char names[FW_CFG_FILES][FW_CFG_NAME_SIZE];
    unsigned file_count;
    uint16_t key;         /* selected */
    uint32_t offset;      /* of the next byte in it */
    uint64_t dma_address; /* as written so far, high half first */
};

/* Registers the ports; signature, interface version (with DMA) and an empty directory are there. */
int fw_cfg_init(struct fw_cfg *fw, struct pio *pio, struct mem *mem, struct error *err);

/* Puts a copy of data under a key; what was there before is replaced. -ENOMEM; -EINVAL for a key
 * that cannot be or more than 4 GiB - 1. Numbers are stored little-endian. */
int fw_cfg_add_bytes(struct fw_cfg *fw, unsigned key, const void *data, size_t length,
                     struct error *err);
int fw_cfg_add_i16(struct fw_cfg *fw, unsigned key, uint16_t value, struct error *err);
int fw_cfg_add_i32(struct fw_cfg *fw, unsigned key, uint32_t value, struct error *err);
int fw_cfg_add_i64(struct fw_cfg *fw, unsigned key, uint64_t value, struct error *err);
/* With its NUL. */
int fw_cfg_add_string(struct fw_cfg *fw, unsigned key, const char *text, struct error *err);

/* A file of the directory; one of that name is replaced. -ENOSPC when all slots are taken. */
int fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, size_t length,
                    struct error *err);

/* The item as it is, or NULL; for tests and for who builds on what others added. */
const struct fw_cfg_item *fw_cfg_find_file(const struct fw_cfg *fw, const char *name);

#endif
