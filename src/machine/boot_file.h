/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the option ROM of -kernel (rom/kernel_boot.S) is to do, as the loaders of the kernel formats
 * build it: pieces of memory and how to start. boot.c turns it into the fw_cfg file
 * etc/trapeze/boot, little-endian throughout:
 *
 *     0  "TZBT"                       28  count_at
 *     4  mode                         32  bytes_at
 *     8  entry                        36  upper_at
 *    12  eax                          40  rsdp_at
 *    16  ebx                          44  number of segments
 *    20  map_at                       48  zeros up to 64
 *    24  map_max                      64  for each segment: address, length
 *
 * and then the segments' bytes. Segments of zeros come last and have no bytes: fw_cfg reads as
 * zeros past a file's end.
 *
 * Guest memory while the ROM runs: its stack below 0x8000, its scratch at 0x8000 to 0x8fff,
 * BOOT_INFO for what is told to multiboot and PVH kernels. SeaBIOS keeps the end of conventional
 * memory and the end of RAM for itself.
 *
 * Private to machine/boot*.c. Set-up time.
 */
#ifndef MACHINE_BOOT_FILE_H
#define MACHINE_BOOT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define BOOT_MAGIC        0x54425a54u
#define BOOT_HEADER_SIZE  64u
#define BOOT_SEGMENTS_MAX 64
#define BOOT_OWNED_MAX    24

#define BOOT_LOW_START 0x10000u /* conventional memory a kernel may use */
#define BOOT_LOW_END   0x9a000u
#define BOOT_INFO      0x10000u
#define BOOT_INFO_SIZE 0x10000u
#define BOOT_HIGH      0x100000u
/* SeaBIOS puts ACPI tables and the like at the end of RAM below 4 GiB. */
#define BOOT_FIRMWARE_RESERVE 0x100000u

enum boot_mode {
    BOOT_REAL,      /* cs:ip = entry:0; ss, ds, es, fs, gs = ebx; sp = eax */
    BOOT_PROTECTED, /* flat 32 bits, no paging; eip = entry; eax and ebx as given */
};

struct boot_segment {
    uint32_t address;
    uint32_t length;
    const uint8_t *data; /* NULL: zeros. Owned by the image or the source. */
};

struct boot_image {
    enum boot_mode mode;
    uint32_t entry, eax, ebx;
    /* Where the ROM writes what only the firmware knows; all below 1 MiB, 0: nowhere. */
    uint32_t map_at;   /* the E820 map, 20-byte entries 24 bytes apart, map_max at most */
    uint32_t map_max;  /* entries there is room for */
    uint32_t count_at; /* 32 bits: how many entries */
    uint32_t bytes_at; /* 32 bits: the same * 24 */
    uint32_t upper_at; /* 32 bits: KiB of RAM from 1 MiB on */
    uint32_t rsdp_at;  /* 32 bits: address of the ACPI RSDP */

    uint64_t memory_end; /* segments end here: RAM below 4 GiB less the firmware's part */
    struct boot_segment segments[BOOT_SEGMENTS_MAX];
    size_t segment_count;
    void *owned[BOOT_OWNED_MAX]; /* freed with the image */
    size_t owned_count;
};

/* What a loader works on. */
struct boot_source {
    const char *path; /* of the kernel, for messages */
    const uint8_t *kernel;
    uint64_t size;
    const char *initrd; /* -initrd or NULL */
    const char *append; /* -append, "" when not given */
};

/* Adds a segment. Length 0 is nothing. Refused: outside conventional memory's usable part and RAM
 * from 1 MiB to memory_end, overlapping another, too many. what names it in the error. */
int boot_add(struct boot_image *image, const char *what, uint64_t address, const uint8_t *data,
             uint64_t length, struct error *err);

/* Zeroed memory that lives as long as the image. NULL and err when there is none. */
void *boot_alloc(struct boot_image *image, size_t size, struct error *err);

/* Reads an initrd or module; it lives as long as the image. More than memory_end is refused. */
int boot_read(struct boot_image *image, const char *what, const char *path, const uint8_t **bytes,
              uint64_t *size, struct error *err);

/* Reads -initrd and puts it as high as fits, page-aligned, between floor and end. */
int boot_add_initrd(struct boot_image *image, const char *path, uint64_t floor, uint64_t end,
                    uint32_t *address, uint32_t *size, struct error *err);

/* The end of the highest segment, at least BOOT_HIGH. */
uint64_t boot_high_end(const struct boot_image *image);

/* What is told to a multiboot or PVH kernel: a block at BOOT_INFO that grows. */
struct boot_info {
    uint8_t *bytes;
    uint32_t used;
};

int boot_info_start(struct boot_info *info, struct boot_image *image, struct error *err);
/* Room of size bytes, zeroed and aligned to 8: its guest address, and *at where to write; 0 when
 * the block is full. */
uint32_t boot_info_take(struct boot_info *info, size_t size, uint8_t **at);
/* A string's copy: its address or 0. */
uint32_t boot_info_string(struct boot_info *info, const char *text);
int boot_info_full(struct error *err);
int boot_info_finish(struct boot_info *info, struct boot_image *image, struct error *err);

/* boot_linux.c: is it a bzImage or zImage? And load it (Documentation/arch/x86/boot.rst). */
bool boot_linux_probe(const struct boot_source *source);
int boot_linux_load(struct boot_image *image, const struct boot_source *source, struct error *err);

/* boot_multiboot.c: Multiboot Specification 0.6.96. */
bool boot_multiboot_probe(const struct boot_source *source);
int boot_multiboot_load(struct boot_image *image, const struct boot_source *source,
                        struct error *err);

/* boot_pvh.c: an ELF file with Xen's PHYS32_ENTRY note. */
int boot_pvh_load(struct boot_image *image, const struct boot_source *source, struct error *err);

/* boot_elf.c */
struct boot_elf {
    uint64_t entry;
    bool has_pvh_entry;
    uint64_t pvh_entry;
};

bool boot_elf_probe(const struct boot_source *source);
/* Checks the headers, adds the PT_LOAD segments at their physical addresses, looks for the note. */
int boot_elf_load(struct boot_image *image, const struct boot_source *source, struct boot_elf *elf,
                  struct error *err);

#endif
