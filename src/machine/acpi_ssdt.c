/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The AML that depends on the machine: the windows of the PCI host bridge, the interrupt table,
 * serial ports, HPET, ports that nobody else may take, processors. AML's bytes are in ACPI 2.0,
 * chapter 17 (opcodes) and section 6.4 (resource descriptors).
 */
#include <string.h>

#include "base/bytes.h"
#include "bus/pci.h"
#include "device/hpet.h"
#include "machine/acpi_internal.h"

enum {
    OP_ZERO = 0x00,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_DWORD = 0x0c,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_EXTENDED = 0x5b,
    EXT_DEVICE = 0x82,
    EXT_PROCESSOR = 0x83,

    /* Address space descriptors: bytes 3 (resource type) and 4 (general flags: producer, fixed
     * minimum and maximum, positive decode) */
    SPACE_MEMORY = 0,
    SPACE_PORTS = 1,
    SPACE_BUSES = 2,
    SPACE_FLAGS = 0x0c,
    PORTS_ENTIRE = 0x03,    /* ISA and non-ISA ranges */
    MEMORY_WRITABLE = 0x01, /* and not cacheable */
    MEMORY_CACHEABLE = 0x03,

    SLOTS = 32,
    PINS = 4,
};

/* Things with a length: begin gives the place, end writes it. A PkgLength of three bytes: four bits
 * in the first, which also says that two follow, then eight and eight. */

static size_t begin_length(struct blob *b)
{
    blob_add_zeros(b, 3);
    return b->length;
}

static void end_length(struct blob *b, size_t start)
{
    size_t length = b->length - start + 3;
    blob_set_le(b, start - 3, 0x80 | (length & 15), 1);
    blob_set_le(b, start - 2, length >> 4, 2);
}

/* A name of one segment of four characters, or a path: "\" and segments with dots between them. */
static void add_name(struct blob *b, const char *path)
{
    if (*path == '\\')
        blob_add(b, path++, 1);
    unsigned segments = (unsigned)(strlen(path) + 1) / 5;
    if (segments == 2) {
        blob_add_le(b, 0x2e, 1);
    } else if (segments > 2) {
        blob_add_le(b, 0x2f, 1);
        blob_add_le(b, segments, 1);
    }
    for (unsigned i = 0; i < segments; i++)
        blob_add(b, path + (size_t)5 * i, 4);
}

static void add_integer(struct blob *b, uint32_t value)
{
    blob_add_le(b, value <= 0xff ? OP_BYTE : OP_DWORD, 1);
    blob_add_le(b, value, value <= 0xff ? 1 : 4);
}

static void add_named(struct blob *b, const char *name)
{
    blob_add_le(b, OP_NAME, 1);
    add_name(b, name);
}

static void add_named_integer(struct blob *b, const char *name, uint32_t value)
{
    add_named(b, name);
    add_integer(b, value);
}

static size_t begin_scope(struct blob *b, const char *path)
{
    blob_add_le(b, OP_SCOPE, 1);
    size_t start = begin_length(b);
    add_name(b, path);
    return start;
}

/* id: the letters and digits of an EISA id in their packed form. */
static size_t begin_device(struct blob *b, const char *name, uint32_t id)
{
    blob_add_le(b, OP_EXTENDED, 1);
    blob_add_le(b, EXT_DEVICE, 1);
    size_t start = begin_length(b);
    add_name(b, name);
    add_named_integer(b, "_HID", id);
    return start;
}

/* "PNPnnnn": three letters of five bits each, then the number, most significant byte first. */
static uint32_t pnp_id(uint16_t number)
{
    uint32_t letters = ('P' - 64) << 10 | ('N' - 64) << 5 | ('P' - 64);
    return swap32(letters << 16 | number);
}

/* Resource templates: a buffer whose size is an integer of its own before its bytes. */

struct template
{
    size_t package, bytes;
};

static struct template begin_resources(struct blob *b)
{
    struct template t;
    add_named(b, "_CRS");
    blob_add_le(b, OP_BUFFER, 1);
    t.package = begin_length(b);
    blob_add_le(b, OP_DWORD, 1);
    blob_add_zeros(b, 4);
    t.bytes = b->length;
    return t;
}

static void end_resources(struct blob *b, struct template t)
{
    blob_add_le(b, 0x79, 1); /* end tag, */
    blob_add_le(b, 0, 1);    /* no checksum */
    blob_set_le(b, t.bytes - 4, b->length - t.bytes, 4);
    end_length(b, t.package);
}

/* Word, double word and quad word address space descriptors (size 2, 4, 8). */
static void add_space(struct blob *b, unsigned size, unsigned type, unsigned flags, uint64_t start,
                      uint64_t end)
{
    static const uint8_t tags[] = {[2] = 0x88, [4] = 0x87, [8] = 0x8a};
    blob_add_le(b, tags[size], 1);
    blob_add_le(b, 3 + 5 * size, 2);
    blob_add_le(b, type, 1);
    blob_add_le(b, SPACE_FLAGS, 1);
    blob_add_le(b, flags, 1);
    blob_add_le(b, 0, size); /* granularity */
    blob_add_le(b, start, size);
    blob_add_le(b, end, size);
    blob_add_le(b, 0, size); /* translation */
    blob_add_le(b, end - start + 1, size);
}

static void add_ports(struct blob *b, uint16_t base, uint8_t length)
{
    blob_add_le(b, 0x47, 1);
    blob_add_le(b, 1, 1); /* 16 bits are decoded */
    blob_add_le(b, base, 2);
    blob_add_le(b, base, 2);
    blob_add_le(b, 1, 1);
    blob_add_le(b, length, 1);
}

static void add_irq(struct blob *b, unsigned irq)
{
    blob_add_le(b, 0x22, 1);
    blob_add_le(b, 1u << irq, 2);
}

/* Buses, ports (the configuration registers are the bridge's own), memory. */
static void add_windows(struct blob *b, const struct acpi_board *board)
{
    struct template t = begin_resources(b);
    add_space(b, 2, SPACE_BUSES, 0, 0, 0xff);
    add_ports(b, 0xcf8, 8);
    add_space(b, 2, SPACE_PORTS, PORTS_ENTIRE, 0, 0xcf7);
    add_space(b, 2, SPACE_PORTS, PORTS_ENTIRE, 0xd00, 0xffff);
    add_space(b, 4, SPACE_MEMORY, MEMORY_CACHEABLE, 0xa0000, 0xbffff);
    add_space(b, 4, SPACE_MEMORY, MEMORY_WRITABLE, board->pci32.start, board->pci32.end);
    if (board->pci64.end)
        add_space(b, 8, SPACE_MEMORY, MEMORY_CACHEABLE, board->pci64.start, board->pci64.end);
    end_resources(b, t);
}

/* Slot 1 is the PIIX itself: its INTA is the power function's SCI, which goes to LNKS and not
 * through the router. */
static const char *link_name(unsigned slot, unsigned pin)
{
    static const char *const links[] = {"LNKA", "LNKB", "LNKC", "LNKD"};
    if (slot == 1 && pin == 1)
        return "LNKS";
    return links[pci_pirq((uint8_t)PCI_DEVFN(slot, 0), (uint8_t)pin)];
}

static void add_routing(struct blob *b)
{
    add_named(b, "_PRT");
    blob_add_le(b, OP_PACKAGE, 1);
    size_t package = begin_length(b);
    blob_add_le(b, SLOTS * PINS, 1);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        for (unsigned pin = 1; pin <= PINS; pin++) {
            blob_add_le(b, OP_PACKAGE, 1);
            size_t entry = begin_length(b);
            blob_add_le(b, 4, 1);
            blob_add_le(b, OP_DWORD, 1);
            blob_add_le(b, slot << 16 | 0xffff, 4); /* any function */
            add_integer(b, pin - 1);
            add_name(b, link_name(slot, pin));
            blob_add_le(b, OP_ZERO, 1);
            end_length(b, entry);
        }
    }
    end_length(b, package);
}

static void add_serials(struct blob *b, const struct acpi_board *board)
{
    static const struct {
        const char *name;
        uint16_t port;
        uint8_t irq;
    } serials[] = {{"COM1", 0x3f8, 4}, {"COM2", 0x2f8, 3}, {"COM3", 0x3e8, 4}, {"COM4", 0x2e8, 3}};
    for (unsigned i = 0; i < ARRAY_LEN(serials); i++) {
        if (!(board->serials >> i & 1))
            continue;
        size_t device = begin_device(b, serials[i].name, pnp_id(0x0501));
        add_named_integer(b, "_UID", i + 1);
        struct template t = begin_resources(b);
        add_ports(b, serials[i].port, 8);
        add_irq(b, serials[i].irq);
        end_resources(b, t);
        end_length(b, device);
    }
}

/* Ports 0x3f2-0x3f5 and 0x3f7, interrupt 6, DMA channel 2. */
static void add_floppy(struct blob *b)
{
    size_t device = begin_device(b, "FDC0", pnp_id(0x0700));
    struct template t = begin_resources(b);
    add_ports(b, 0x3f2, 4);
    add_ports(b, 0x3f7, 1);
    add_irq(b, 6);
    blob_add_le(b, 0x2a, 1); /* DMA: */
    blob_add_le(b, 1u << 2, 1);
    blob_add_le(b, 0, 1); /* bytes, compatible speed, no bus master */
    end_resources(b, t);
    end_length(b, device);
}

/* Ports of the board that no driver claims by a device of its own. */
static void add_motherboard(struct blob *b, const struct acpi_board *board)
{
    size_t device = begin_device(b, "MBRD", pnp_id(0x0c02));
    struct template t = begin_resources(b);
    add_ports(b, 0x92, 1);
    add_ports(b, 0xb2, 2);
    add_ports(b, board->pm_base, 64);
    if (board->gpe_base)
        add_ports(b, board->gpe_base, 4);
    end_resources(b, t);
    end_length(b, device);
}

static void add_hpet(struct blob *b)
{
    size_t device = begin_device(b, "HPET", pnp_id(0x0103));
    struct template t = begin_resources(b);
    blob_add_le(b, 0x86, 1); /* 32-bit fixed memory */
    blob_add_le(b, 9, 2);
    blob_add_le(b, 0, 1); /* read only */
    blob_add_le(b, HPET_BASE, 4);
    blob_add_le(b, HPET_SIZE, 4);
    end_resources(b, t);
    end_length(b, device);
}

static void add_processors(struct blob *b, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        static const char digits[] = "0123456789ABCDEF";
        const char name[] = {'C', 'P', digits[i >> 4 & 15], digits[i & 15], 0};
        blob_add_le(b, OP_EXTENDED, 1);
        blob_add_le(b, EXT_PROCESSOR, 1);
        size_t start = begin_length(b);
        add_name(b, name);
        blob_add_le(b, i, 1); /* as in the MADT */
        blob_add_zeros(b, 5); /* no processor block */
        end_length(b, start);
    }
}

void acpi_ssdt_body(struct blob *b, const struct acpi_board *board)
{
    size_t scope = begin_scope(b, "\\_SB_.PCI0");
    add_windows(b, board);
    add_routing(b);
    end_length(b, scope);

    scope = begin_scope(b, "\\_SB_.PCI0.ISA_");
    add_serials(b, board);
    if (board->floppy)
        add_floppy(b);
    add_motherboard(b, board);
    end_length(b, scope);

    scope = begin_scope(b, "\\_SB_");
    if (board->hpet)
        add_hpet(b);
    add_processors(b, board->cpus);
    end_length(b, scope);
}
