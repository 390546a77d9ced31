/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The tables with their headers, and the loader's steps: memory for a file (ALLOCATE), the address
 * of one file added to a field of another (ADD_POINTER, the field holds the offset), a checksum
 * once all pointers of a table are in place (ADD_CHECKSUM, the field holds 0).
 */
#include "machine/acpi.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "device/fw_cfg.h"
#include "device/hpet.h"
#include "device/ioapic.h"
#include "device/lapic.h"
#include "machine/acpi_internal.h"

#define FILE_TABLES "etc/acpi/tables"
#define FILE_RSDP   "etc/acpi/rsdp"
#define FILE_LOADER "etc/table-loader"

enum {
    HEADER_SIZE = 36,
    HEADER_LENGTH = 4,
    HEADER_CHECKSUM = 9,

    LOADER_ENTRY = 128,
    LOADER_NAME = 56,
    LOADER_ALLOCATE = 1,
    LOADER_ADD_POINTER = 2,
    LOADER_ADD_CHECKSUM = 3,
    ZONE_HIGH = 1, /* end of RAM below 4 GiB */
    ZONE_FSEG = 2, /* 0xf0000, where an RSDP is looked for */

    FACS_SIZE = 64,

    /* FADT: ACPI 2.0, 5.2.8; the flags of IA-PC boot architecture in 5.2.8.3 */
    FADT_SIZE = 244,
    FADT_FACS = 36,
    FADT_DSDT = 40,
    FADT_X_DSDT = 140,
    SMI_COMMAND = 0xb2, /* APMC, with what the firmware's handler takes */
    SMI_ACPI_ON = 0xf1,
    SMI_ACPI_OFF = 0xf0,
    NO_C2 = 0xfff,
    NO_C3 = 0xfff,
    CMOS_CENTURY = 0x32,
    BOOT_LEGACY_DEVICES = 1 << 0,
    BOOT_8042 = 1 << 1,
    BOOT_NO_VGA = 1 << 2,
    FLAG_WBINVD = 1 << 0,
    FLAG_PROC_C1 = 1 << 2,
    FLAG_SLEEP_BUTTON = 1 << 5, /* none by fixed registers; the power button is one */
    FLAG_FIX_RTC = 1 << 6,      /* the alarm does not wake */
    FLAG_RESET = 1 << 10,
    RESET_PORT = 0xcf9,
    RESET_VALUE = 6,

    SPACE_MEMORY = 0,
    SPACE_PORTS = 1,

    /* MADT: 5.2.10 */
    MADT_PC_AT = 1, /* there are 8259s too */
    MADT_LOCAL = 0,
    MADT_IO = 1,
    MADT_OVERRIDE = 2,
    MADT_LOCAL_NMI = 4,
    ACTIVE_HIGH_LEVEL = 0x0d,
    ALL_CPUS = 0xff,
};

struct build {
    struct blob tables, rsdp, loader;
};

/* Loader steps */

static void add_file_name(struct build *build, const char *name)
{
    char padded[LOADER_NAME] = {0};
    memcpy(padded, name, strlen(name));
    blob_add(&build->loader, padded, sizeof(padded));
}

static void pad_step(struct build *build)
{
    blob_align(&build->loader, LOADER_ENTRY);
}

static void add_allocate(struct build *build, const char *file, uint32_t align, unsigned zone)
{
    blob_add_le(&build->loader, LOADER_ALLOCATE, 4);
    add_file_name(build, file);
    blob_add_le(&build->loader, align, 4);
    blob_add_le(&build->loader, zone, 1);
    pad_step(build);
}

static void add_pointer(struct build *build, const char *in, size_t offset, unsigned size)
{
    blob_add_le(&build->loader, LOADER_ADD_POINTER, 4);
    add_file_name(build, in);
    add_file_name(build, FILE_TABLES);
    blob_add_le(&build->loader, offset, 4);
    blob_add_le(&build->loader, size, 1);
    pad_step(build);
}

static void add_checksum(struct build *build, const char *file, size_t at, size_t start,
                         size_t length)
{
    blob_add_le(&build->loader, LOADER_ADD_CHECKSUM, 4);
    add_file_name(build, file);
    blob_add_le(&build->loader, at, 4);
    blob_add_le(&build->loader, start, 4);
    blob_add_le(&build->loader, length, 4);
    pad_step(build);
}

/* Tables */

static size_t begin_table(struct build *build, const char *signature, unsigned revision)
{
    struct blob *b = &build->tables;
    blob_align(b, 8);
    size_t start = b->length;
    blob_add(b, signature, 4);
    blob_add_le(b, 0, 4); /* length */
    blob_add_le(b, revision, 1);
    blob_add_le(b, 0, 1); /* checksum */
    blob_add(b, "TRPEZETRPEZEPC", 14);
    blob_add_le(b, 1, 4);
    blob_add(b, "TRPZ", 4);
    blob_add_le(b, 1, 4);
    return start;
}

static void end_table(struct build *build, size_t start)
{
    size_t length = build->tables.length - start;
    blob_set_le(&build->tables, start + HEADER_LENGTH, length, 4);
    add_checksum(build, FILE_TABLES, start + HEADER_CHECKSUM, start, length);
}

/* A pointer in the tables' file to an offset in the same file. */
static void link_table(struct build *build, size_t at, size_t to, unsigned size)
{
    blob_set_le(&build->tables, at, to, size);
    add_pointer(build, FILE_TABLES, at, size);
}

static void add_address(struct blob *b, unsigned space, unsigned bits, uint64_t address)
{
    blob_add_le(b, space, 1);
    blob_add_le(b, bits, 1);
    blob_add_le(b, 0, 2);
    blob_add_le(b, address, 8);
}

static size_t add_facs(struct build *build)
{
    struct blob *b = &build->tables;
    blob_align(b, FACS_SIZE);
    size_t start = b->length;
    blob_add(b, "FACS", 4);
    blob_add_le(b, FACS_SIZE, 4);
    blob_add_zeros(b, FACS_SIZE - 8);
    return start;
}

/* It comes with its header and checksum from iasl. */
static size_t add_dsdt(struct build *build)
{
    blob_align(&build->tables, 8);
    size_t start = build->tables.length;
    blob_add(&build->tables, acpi_dsdt, acpi_dsdt_size);
    return start;
}

static size_t add_fadt(struct build *build, const struct acpi_board *board, size_t facs,
                       size_t dsdt)
{
    struct blob *b = &build->tables;
    size_t start = begin_table(build, "FACP", 3);
    uint16_t pm = board->pm_base, gpe = board->gpe_base;
    blob_add_zeros(b, 8); /* FACS, DSDT */
    blob_add_zeros(b, 2); /* and no preferred profile */
    blob_add_le(b, ACPI_SCI, 2);
    blob_add_le(b, SMI_COMMAND, 4);
    blob_add_le(b, SMI_ACPI_ON, 1);
    blob_add_le(b, SMI_ACPI_OFF, 1);
    blob_add_zeros(b, 2); /* no S4BIOS, no P-states */
    blob_add_le(b, pm, 4);
    blob_add_zeros(b, 4);
    blob_add_le(b, pm + 4u, 4);
    blob_add_zeros(b, 8);
    blob_add_le(b, pm + 8u, 4);
    blob_add_le(b, gpe, 4);
    blob_add_zeros(b, 4);
    blob_add_le(b, 4, 1); /* lengths: PM1 event, */
    blob_add_le(b, 2, 1); /* control, */
    blob_add_le(b, 0, 1);
    blob_add_le(b, 4, 1);           /* timer, */
    blob_add_le(b, gpe ? 4 : 0, 1); /* GPE0 */
    blob_add_zeros(b, 3);
    blob_add_le(b, NO_C2, 2);
    blob_add_le(b, NO_C3, 2);
    blob_add_zeros(b, 8); /* caches are flushed by WBINVD; no duty cycle; no alarm by date */
    blob_add_le(b, CMOS_CENTURY, 1);
    blob_add_le(b, BOOT_LEGACY_DEVICES | BOOT_8042 | (board->vga ? 0 : BOOT_NO_VGA), 2);
    blob_add_zeros(b, 1);
    blob_add_le(b, FLAG_WBINVD | FLAG_PROC_C1 | FLAG_SLEEP_BUTTON | FLAG_FIX_RTC | FLAG_RESET, 4);
    add_address(b, SPACE_PORTS, 8, RESET_PORT);
    blob_add_le(b, RESET_VALUE, 1);
    blob_add_zeros(b, 3);
    blob_add_zeros(b, 16); /* FACS (only one of the two may be set), DSDT */
    add_address(b, SPACE_PORTS, 32, pm);
    blob_add_zeros(b, 12);
    add_address(b, SPACE_PORTS, 16, pm + 4u);
    blob_add_zeros(b, 12);
    blob_add_zeros(b, 12);
    add_address(b, SPACE_PORTS, 32, pm + 8u);
    if (gpe)
        add_address(b, SPACE_PORTS, 32, gpe);
    else
        blob_add_zeros(b, 12);
    blob_add_zeros(b, 12);
    link_table(build, start + FADT_FACS, facs, 4);
    link_table(build, start + FADT_DSDT, dsdt, 4);
    link_table(build, start + FADT_X_DSDT, dsdt, 8);
    end_table(build, start);
    return start;
}

static size_t add_ssdt(struct build *build, const struct acpi_board *board)
{
    size_t start = begin_table(build, "SSDT", 1);
    acpi_ssdt_body(&build->tables, board);
    end_table(build, start);
    return start;
}

static void add_override(struct blob *b, unsigned irq, unsigned pin, unsigned flags)
{
    blob_add_le(b, MADT_OVERRIDE, 1);
    blob_add_le(b, 10, 1);
    blob_add_le(b, 0, 1); /* ISA */
    blob_add_le(b, irq, 1);
    blob_add_le(b, pin, 4);
    blob_add_le(b, flags, 2);
}

static size_t add_madt(struct build *build, const struct acpi_board *board)
{
    struct blob *b = &build->tables;
    size_t start = begin_table(build, "APIC", 1);
    blob_add_le(b, LAPIC_BASE, 4);
    blob_add_le(b, MADT_PC_AT, 4);
    for (unsigned i = 0; i < board->cpus; i++) {
        blob_add_le(b, MADT_LOCAL, 1);
        blob_add_le(b, 8, 1);
        blob_add_le(b, i, 1);
        blob_add_le(b, board->apic_ids[i], 1);
        blob_add_le(b, 1, 4); /* enabled */
    }
    blob_add_le(b, MADT_IO, 1);
    blob_add_le(b, 12, 1);
    blob_add_le(b, 0, 2); /* id */
    blob_add_le(b, IOAPIC_BASE, 4);
    blob_add_le(b, 0, 4); /* first interrupt */
    add_override(b, 0, 2, 0);
    /* Where PCI's lines and the SCI arrive. */
    static const uint8_t shared[] = {5, 9, 10, 11};
    for (unsigned i = 0; i < sizeof(shared); i++)
        add_override(b, shared[i], shared[i], ACTIVE_HIGH_LEVEL);
    blob_add_le(b, MADT_LOCAL_NMI, 1);
    blob_add_le(b, 6, 1);
    blob_add_le(b, ALL_CPUS, 1);
    blob_add_le(b, 0, 2);
    blob_add_le(b, 1, 1); /* LINT1 */
    end_table(build, start);
    return start;
}

/* IA-PC HPET specification 1.0a, 3.2.4. */
static size_t add_hpet(struct build *build)
{
    struct blob *b = &build->tables;
    size_t start = begin_table(build, "HPET", 1);
    blob_add_le(b, HPET_BLOCK_ID, 4);
    add_address(b, SPACE_MEMORY, 0, HPET_BASE);
    blob_add_le(b, 0, 1); /* number */
    blob_add_le(b, 0, 2); /* shortest period */
    blob_add_le(b, 0, 1); /* page protection */
    end_table(build, start);
    return start;
}

/* RSDT and XSDT: addresses of 4 or of 8 bytes. */
static size_t add_root(struct build *build, const char *signature, unsigned size,
                       const size_t *tables, unsigned count)
{
    size_t start = begin_table(build, signature, 1);
    blob_add_zeros(&build->tables, (size_t)size * count);
    for (unsigned i = 0; i < count; i++)
        link_table(build, start + HEADER_SIZE + (size_t)size * i, tables[i], size);
    end_table(build, start);
    return start;
}

static void add_rsdp(struct build *build, size_t rsdt, size_t xsdt)
{
    struct blob *b = &build->rsdp;
    blob_add(b, "RSD PTR ", 8);
    blob_add_le(b, 0, 1);
    blob_add(b, "TRPEZE", 6);
    blob_add_le(b, 2, 1);
    blob_add_le(b, rsdt, 4);
    blob_add_le(b, 36, 4);
    blob_add_le(b, xsdt, 8);
    blob_add_zeros(b, 4);
    add_pointer(build, FILE_RSDP, 16, 4);
    add_pointer(build, FILE_RSDP, 24, 8);
    add_checksum(build, FILE_RSDP, 8, 0, 20); /* the part of revision 0, then the whole */
    add_checksum(build, FILE_RSDP, 32, 0, 36);
}

static void build_all(struct build *build, const struct acpi_board *board)
{
    add_allocate(build, FILE_TABLES, FACS_SIZE, ZONE_HIGH);
    add_allocate(build, FILE_RSDP, 16, ZONE_FSEG);
    size_t tables[4];
    unsigned count = 0;
    size_t facs = add_facs(build);
    size_t dsdt = add_dsdt(build);
    tables[count++] = add_fadt(build, board, facs, dsdt);
    tables[count++] = add_ssdt(build, board);
    if (board->apic)
        tables[count++] = add_madt(build, board);
    if (board->hpet)
        tables[count++] = add_hpet(build);
    size_t rsdt = add_root(build, "RSDT", 4, tables, count);
    size_t xsdt = add_root(build, "XSDT", 8, tables, count);
    add_rsdp(build, rsdt, xsdt);
}

static bool window_good(const struct acpi_window *window)
{
    return window->end >= window->start;
}

int acpi_tables_add(struct fw_cfg *fw, const struct acpi_board *board, struct error *err)
{
    if (board->cpus < 1 || board->cpus > ACPI_CPUS_MAX)
        return error_set(err, EINVAL, "the ACPI tables take 1 to %d processors, not %u",
                         ACPI_CPUS_MAX, board->cpus);
    if (!window_good(&board->pci32) || board->pci32.end > UINT32_MAX || !board->pci32.end ||
        !window_good(&board->pci64))
        return error_set(err, EINVAL, "the ACPI tables need a PCI window below 4 GiB");
    struct build build = {0};
    build_all(&build, board);
    int ret = 0;
    if (build.tables.failed || build.rsdp.failed || build.loader.failed)
        ret = error_set(err, ENOMEM, "no memory for the ACPI tables");
    if (ret == 0)
        ret = fw_cfg_add_file(fw, FILE_TABLES, build.tables.bytes, build.tables.length, err);
    if (ret == 0)
        ret = fw_cfg_add_file(fw, FILE_RSDP, build.rsdp.bytes, build.rsdp.length, err);
    if (ret == 0)
        ret = fw_cfg_add_file(fw, FILE_LOADER, build.loader.bytes, build.loader.length, err);
    blob_free(&build.tables);
    blob_free(&build.rsdp);
    blob_free(&build.loader);
    return ret;
}
