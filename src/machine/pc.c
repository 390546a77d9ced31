/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The board: which chips, in which order. Wires are in pc_irq.c.
 *
 * Memory: RAM from 0 to the PCI hole at 3 GiB (less the 384 KiB below 1 MiB, which the host bridge
 * puts RAM over as it is told), the rest from 4 GiB on; firmware below 4 GiB and below 1 MiB.
 */
#include "machine/pc_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "machine/acpi.h"
#include "machine/boot.h"
#include "machine/fw_items.h"
#include "machine/smbios.h"

#define HOLE_START GIB(3)
#define LOW_RAM    KIB(640)
#define PM_BASE    0x600 /* where SeaBIOS puts the power management ports */

/* Memory */

static void add_ram(struct pc *pc, struct mem_region *region, const char *name, struct ram *ram,
                    gpa_t base, uint64_t from, uint64_t to)
{
    if (from >= to)
        return;
    *region = (struct mem_region){.name = name,
                                  .kind = MEM_RAM,
                                  .enabled = true,
                                  .base = base,
                                  .size = to - from,
                                  .ram = ram,
                                  .ram_offset = from};
    mem_add(pc->mem, region);
}

static int build_memory(struct pc *pc, const struct machine_parts *parts, struct error *err)
{
    struct ram *ram = parts->ram;
    uint64_t below = min_u64(ram->size, HOLE_START);
    add_ram(pc, &pc->low_ram, "ram-below-640k", ram, 0, 0, min_u64(below, LOW_RAM));
    add_ram(pc, &pc->main_ram, "ram-from-1m", ram, MIB(1), MIB(1), below);
    add_ram(pc, &pc->high_ram, "ram-above-4g", ram, GIB(4), HOLE_START, ram->size);
    int ret = firmware_load(&pc->firmware, pc->config, err);
    if (ret < 0)
        return ret;
    mem_add(pc->mem, &pc->firmware.high);
    mem_add(pc->mem, &pc->firmware.low);
    return 0;
}

/* Chips */

static int check(int ret, const char *what, struct error *err)
{
    return ret < 0 ? error_set(err, -ret, "cannot set up %s (errno %d)", what, -ret) : 0;
}

void pc_add(struct pc *pc, struct device *device)
{
    device_add(&pc->machine.devices, device);
}

/* The controller is there when a drive is. */
static int build_floppies(struct pc *pc, const struct machine_parts *parts, struct error *err)
{
    if (!parts->floppy_drive[0] && !parts->floppy_drive[1])
        return 0;
    int ret = fdc_init(&pc->fdc, parts->pio, pc->timers, &pc->dma, pc->isa_irq[6]);
    if ((ret = check(ret, "the floppy controller", err)) < 0)
        return ret;
    pc_add(pc, &pc->fdc.device);
    for (unsigned i = 0; i < FDC_DRIVES; i++)
        if (parts->floppy_drive[i] && fdc_attach(&pc->fdc, i, parts->floppies[i]) < 0)
            return error_set(err, EINVAL,
                             "%s is larger than a floppy disk of 2.88 MB: give it with -hda",
                             block_path(parts->floppies[i]));
    return 0;
}

static int build_isa(struct pc *pc, const struct machine_parts *parts, struct error *err)
{
    struct pio *pio = parts->pio;
    struct timers *timers = parts->timers;
    int64_t seconds;
    int ret = rtc_base_seconds(pc->config->rtc_base, &seconds, err);
    if (ret < 0)
        return ret;
    ret = pic_init(&pc->pic, pio, (struct irq){lapic_set_lint0, &pc->lapic, 0});
    if ((ret = check(ret, "the PIC", err)) < 0)
        return ret;
    pc_add(pc, &pc->pic.device);
    if ((ret = check(ferr_init(&pc->ferr, pio, pc->isa_irq[13]), "port 0xf0", err)) < 0)
        return ret;
    pc_add(pc, &pc->ferr.device);
    if ((ret = check(pit_init(&pc->pit, pio, timers, pc->isa_irq[0]), "the PIT", err)) < 0)
        return ret;
    pc_add(pc, &pc->pit.device);
    if ((ret = check(pcspk_init(&pc->pcspk, pio, timers, &pc->pit), "the speaker", err)) < 0)
        return ret;
    pc_add(pc, &pc->pcspk.device);
    if ((ret = check(rtc_init(&pc->rtc, pio, timers, seconds, pc->isa_irq[8]), "the RTC", err)) < 0)
        return ret;
    pc_add(pc, &pc->rtc.device);
    if ((ret = check(port92_init(&pc->port92, pio, pc_a20_port92(pc), pc_reset_line(pc)), "port 92",
                     err)) < 0)
        return ret;
    pc_add(pc, &pc->port92.device);
    if ((ret = check(dma_init(&pc->dma, pio, pc->mem), "the DMA controllers", err)) < 0)
        return ret;
    pc_add(pc, &pc->dma.device);
    if ((ret = build_floppies(pc, parts, err)) < 0)
        return ret;
    ret = i8042_init(&pc->i8042, pio, pc->isa_irq[1], pc->isa_irq[12], pc_a20_keyboard(pc),
                     pc_reset_line(pc));
    if ((ret = check(ret, "the keyboard controller", err)) < 0)
        return ret;
    pc_add(pc, &pc->i8042.device);
    pc->machine.input.keyboard = &pc->i8042.keyboard.sink;
    pc->machine.input.pointer = &pc->i8042.mouse.sink;
    static const struct {
        uint16_t port;
        uint8_t irq;
    } serials[SERIALS] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};
    for (int i = 0; i < SERIALS; i++) {
        if (!parts->serials[i])
            continue;
        ret = uart_init(&pc->uarts[i], pio, serials[i].port, timers, parts->serials[i],
                        pc->isa_irq[serials[i].irq]);
        if ((ret = check(ret, "a serial port", err)) < 0)
            return ret;
        pc_add(pc, &pc->uarts[i].device);
    }
    if (parts->debugcon) {
        ret = check(debugcon_init(&pc->debugcon, pio, 0xe9, 0x402, parts->debugcon),
                    "the debug console", err);
        if (ret < 0)
            return ret;
        pc_add(pc, &pc->debugcon.device);
    }
    if (pc->config->debug_exit.present) {
        ret = debug_exit_init(&pc->debug_exit, pio, pc->config->debug_exit.iobase,
                              pc->config->debug_exit.iosize, pc->host.debug_exit, pc->host.opaque);
        if ((ret = check(ret, "isa-debug-exit", err)) < 0)
            return ret;
        pc_add(pc, &pc->debug_exit.device);
    }
    return 0;
}

static int build_vga(struct pc *pc, const struct machine_parts *parts, struct error *err)
{
    uint8_t *rom;
    uint64_t size;
    int ret = firmware_read_rom(pc->config, "vgabios-stdvga.bin", MIB(1), &rom, &size, err);
    if (ret < 0)
        return ret;
    ret = vga_init(&pc->vga, &pc->bus, PCI_DEVFN(2, 0), pc->mem, parts->pio, pc->timers, rom, size,
                   err);
    free(rom);
    if (ret < 0)
        return ret;
    pc->machine.display = pc->vga.display;
    pc_add(pc, &pc->vga.pci.device);
    return 0;
}

static int build_pci(struct pc *pc, const struct machine_parts *parts, struct error *err)
{
    pci_bus_init(&pc->bus, pc->mem, parts->pio);
    i440fx_init(&pc->i440fx, &pc->bus, pc->mem, parts->pio, parts->ram);
    pc_add(pc, &pc->i440fx.pci.device);
    piix3_init(&pc->piix3, &pc->bus, PCI_DEVFN(1, 0), &pc->i440fx, pc->pci_irq, pc_reset_by_chip,
               pc);
    pc_add(pc, &pc->piix3.pci.device);
    int ret =
        ide_init(&pc->ide, &pc->bus, PCI_DEVFN(1, 1), parts->pio, pc->isa_irq[14], pc->isa_irq[15]);
    if ((ret = check(ret, "the IDE controller", err)) < 0)
        return ret;
    for (unsigned i = 0; i < ARRAY_LEN(parts->drives); i++) {
        if (parts->drive_is_cd[i])
            ide_attach_cd(&pc->ide, i, parts->drives[i]);
        else if (parts->drives[i])
            ide_attach_disk(&pc->ide, i, parts->drives[i]);
    }
    pc_add(pc, &pc->ide.pci.device);
    if (pc->config->vga != VGA_NONE && (ret = build_vga(pc, parts, err)) < 0)
        return ret;
    if (!pc->config->acpi)
        return 0;
    const struct acpi_pm_host host = {.shutdown = pc->host.shutdown, .opaque = pc->host.opaque};
    ret = acpi_pm_init(&pc->pm, &pc->bus, PCI_DEVFN(1, 3), pc->timers, pc->isa_irq[9], pc_smi(pc),
                       &host);
    if ((ret = check(ret, "power management", err)) < 0)
        return ret;
    pc_add(pc, &pc->pm.pci.device);
    return 0;
}

/* What firmware is told */

/* CMOS boot order nibbles: 1 floppy, 2 disk, 3 CD, 4 network. */
static unsigned boot_nibble(char letter)
{
    switch (letter) {
    case 'a':
    case 'b':
        return 1;
    case 'c':
        return 2;
    case 'd':
        return 3;
    case 'n':
        return 4;
    default:
        return 0;
    }
}

static void set_boot_order(struct pc *pc, const char *order)
{
    unsigned nibbles[3] = {0};
    for (unsigned i = 0; i < 3 && order[i]; i++)
        nibbles[i] = boot_nibble(order[i]);
    rtc_set_cmos(&pc->rtc, 0x3d, (uint8_t)(nibbles[1] << 4 | nibbles[0]));
    rtc_set_cmos(&pc->rtc, 0x38,
                 (uint8_t)(nibbles[2] << 4 | 1)); /* bit 0: no floppy signature check */
}

/* A count in two CMOS bytes, cut to what they hold. */
static void set_cmos_16(struct pc *pc, uint8_t index, uint64_t value)
{
    uint64_t cut = min_u64(value, 0xffff);
    rtc_set_cmos(&pc->rtc, index, (uint8_t)cut);
    rtc_set_cmos(&pc->rtc, (uint8_t)(index + 1), (uint8_t)(cut >> 8));
}

static void fill_disks(struct pc *pc)
{
    uint8_t types = 0, translations = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct ide_geometry geometry;
        if (!ide_get_geometry(&pc->ide, i, &geometry))
            continue;
        translations |= (uint8_t)((geometry.translation & 3) << (2 * i));
        if (i > 1)
            continue;
        types |= i == 0 ? 0xf0 : 0x0f;
        uint8_t at = i == 0 ? 0x1b : 0x24;
        rtc_set_cmos(&pc->rtc, (uint8_t)(0x19 + i), 47); /* "user type" */
        set_cmos_16(pc, at, geometry.cylinders);
        rtc_set_cmos(&pc->rtc, (uint8_t)(at + 2), geometry.heads);
        set_cmos_16(pc, (uint8_t)(at + 3), 0xffff); /* no write precompensation */
        rtc_set_cmos(&pc->rtc, (uint8_t)(at + 5), (uint8_t)(0xc0 | (geometry.heads > 8) << 3));
        set_cmos_16(pc, (uint8_t)(at + 6), geometry.cylinders);
        rtc_set_cmos(&pc->rtc, (uint8_t)(at + 8), geometry.sectors);
    }
    rtc_set_cmos(&pc->rtc, 0x12, types);
    rtc_set_cmos(&pc->rtc, 0x39, translations);
}

static void fill_cmos(struct pc *pc)
{
    uint64_t memory = pc->config->memory, below = min_u64(memory, HOLE_START);
    set_cmos_16(pc, 0x15, min_u64(memory, LOW_RAM) >> 10);
    uint64_t extended = below > MIB(1) ? (below - MIB(1)) >> 10 : 0;
    set_cmos_16(pc, 0x17, extended);
    set_cmos_16(pc, 0x30, extended);
    set_cmos_16(pc, 0x34, below > MIB(16) ? (below - MIB(16)) >> 16 : 0);
    uint64_t above = memory > below ? (memory - below) >> 16 : 0;
    rtc_set_cmos(&pc->rtc, 0x5b, (uint8_t)above);
    rtc_set_cmos(&pc->rtc, 0x5c, (uint8_t)(above >> 8));
    rtc_set_cmos(&pc->rtc, 0x5d, (uint8_t)(above >> 16));
    rtc_set_cmos(&pc->rtc, 0x5f, (uint8_t)(pc->vcpu_count - 1));
    uint8_t equipment = 0x06; /* FPU, PS/2 mouse */
    uint8_t a = fdc_drive_type(&pc->fdc, 0), b = fdc_drive_type(&pc->fdc, 1);
    if (a || b)
        equipment |= a && b ? 0x41 : 0x01; /* floppy drives, less one in bits 6-7 */
    rtc_set_cmos(&pc->rtc, 0x14, equipment);
    rtc_set_cmos(&pc->rtc, 0x10, (uint8_t)(a << 4 | b));
    fill_disks(pc);
}

static int fill_smbios(struct pc *pc, uint64_t below, uint64_t above, struct error *err)
{
    const struct smbios_board board = {
        .product = "Standard PC (i440FX + PIIX, 1996)",
        .sockets = pc->vcpu_count, /* as CPUID has it */
        .cores = 1,
        .ram_below_4g = below,
        .ram_above_4g = above,
    };
    return smbios_tables_add(&pc->fw_cfg, &board, err);
}

static int fill_acpi(struct pc *pc, struct error *err)
{
    if (!pc->config->acpi)
        return 0;
    struct acpi_board board = {
        .cpus = pc->vcpu_count,
        .apic = true,
        .hpet = pc->config->hpet,
        .vga = pc->machine.display.draw != NULL,
        .floppy = pc->fdc.device.type != NULL,
        .pm_base = PM_BASE,
        .gpe_base = ACPI_PM_GPE_BASE,
        .pci32 = {HOLE_START, (uint64_t)IOAPIC_BASE - 1},
    };
    for (unsigned i = 0; i < pc->vcpu_count && i < ACPI_CPUS_MAX; i++)
        board.apic_ids[i] = (uint8_t)i;
    for (unsigned i = 0; i < SERIALS; i++)
        if (pc->uarts[i].device.type)
            board.serials |= (uint8_t)(1u << i);
    return acpi_tables_add(&pc->fw_cfg, &board, err);
}

static int fill_fw_cfg(struct pc *pc, const struct machine_parts *parts, struct error *err)
{
    struct fw_cfg *fw = &pc->fw_cfg;
    int ret = fw_cfg_init(fw, parts->pio, pc->mem, err);
    if (ret < 0)
        return ret;
    pc_add(pc, &fw->device);
    uint64_t below = min_u64(pc->config->memory, HOLE_START);
    uint64_t above = pc->config->memory - below;
    if ((ret = fw_cfg_add_i64(fw, FW_CFG_RAM_SIZE, below, err)) < 0 ||
        (ret = fw_cfg_add_i16(fw, FW_CFG_NB_CPUS, (uint16_t)pc->vcpu_count, err)) < 0 ||
        (ret = fw_cfg_add_i16(fw, FW_CFG_MAX_CPUS, (uint16_t)pc->vcpu_count, err)) < 0 ||
        (ret = fw_cfg_add_i16(fw, FW_CFG_NOGRAPHIC, pc->config->display == DISPLAY_NOGRAPHIC,
                              err)) < 0 ||
        (ret = fw_cfg_add_i16(fw, FW_CFG_BOOT_MENU, pc->config->boot_menu, err)) < 0 ||
        (ret = fw_items_add(fw, below, above, pc->vcpu_count, err)) < 0 ||
        (ret = fill_smbios(pc, below, above, err)) < 0 || (ret = fill_acpi(pc, err)) < 0)
        return ret;
    if (!pc->config->kernel)
        return 0;
    struct boot_files files;
    if ((ret = boot_prepare(&files, pc->config, below, err)) < 0)
        return ret;
    for (int i = 0; i < BOOT_FILES && ret == 0; i++)
        if (files.file[i].name)
            ret = fw_cfg_add_file(fw, files.file[i].name, files.file[i].data, files.file[i].length,
                                  err);
    boot_files_free(&files);
    return ret;
}

/* Life */

static void pc_reset(struct machine *machine)
{
    struct pc *pc = CONTAINER_OF(machine, struct pc, machine);
    device_reset_all(&machine->devices);
    for (unsigned i = 0; i < pc->vcpu_count; i++)
        cpu_reset(pc->vcpus[i]);
}

static void pc_power_button(struct machine *machine)
{
    struct pc *pc = CONTAINER_OF(machine, struct pc, machine);
    if (pc->config->acpi)
        acpi_pm_power_button(&pc->pm);
}

static char *pc_describe_irqs(struct machine *machine)
{
    struct pc *pc = CONTAINER_OF(machine, struct pc, machine);
    return pic_describe(&pc->pic);
}

static void pc_destroy(struct machine *machine)
{
    struct pc *pc = CONTAINER_OF(machine, struct pc, machine);
    device_fini_all(&machine->devices);
    if (pc->firmware.ram) {
        mem_remove(pc->mem, &pc->firmware.high);
        mem_remove(pc->mem, &pc->firmware.low);
        firmware_unload(&pc->firmware);
    }
    free(pc);
}

static int pc_create(struct machine **machine, const struct machine_parts *parts, struct error *err)
{
    struct pc *pc = calloc(1, sizeof(*pc));
    if (!pc)
        return error_set(err, ENOMEM, "out of memory");
    pc->machine = (struct machine){.name = "pc",
                                   .reset = pc_reset,
                                   .power_button = pc_power_button,
                                   .describe_irqs = pc_describe_irqs,
                                   .destroy = pc_destroy};
    pc->config = parts->config;
    pc->host = parts->host;
    pc->vcpus = parts->vcpus;
    pc->vcpu_count = parts->vcpu_count;
    pc->world = parts->world;
    pc->mem = parts->mem;
    pc->timers = parts->timers;

    int ret;
    mem_begin(pc->mem);
    pc_build_irqs(pc, parts);
    if ((ret = build_memory(pc, parts, err)) == 0 && (ret = build_isa(pc, parts, err)) == 0 &&
        (ret = build_pci(pc, parts, err)) == 0 && (ret = fill_fw_cfg(pc, parts, err)) == 0) {
        fill_cmos(pc);
        set_boot_order(pc, pc->config->boot_once    ? pc->config->boot_once
                           : pc->config->boot_order ? pc->config->boot_order
                                                    : "cad");
    }
    mem_commit(pc->mem);
    if (ret < 0) {
        pc_destroy(&pc->machine);
        return ret;
    }
    *machine = &pc->machine;
    return 0;
}

const struct machine_type pc_machine = {
    .name = "pc",
    .summary = "i440FX and PIIX3 (1996)",
    .create = pc_create,
};
