/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ELF executables of 32 and 64 bits (System V ABI, "Object Files" and "Program Loading") put at
 * their physical addresses. Every number in the file may lie.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "machine/boot_file.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18 /* Xen, public/elfnote.h */
#define NOTES_MAX                256

/* A program header of either class. */
struct segment {
    uint32_t type;
    uint64_t offset, address, file_size, memory_size, alignment;
};

bool boot_elf_probe(const struct boot_source *source)
{
    return source->size >= sizeof(Elf32_Ehdr) && memcmp(source->kernel, ELFMAG, SELFMAG) == 0;
}

static int check_header(const struct boot_source *source, bool *wide, struct error *err)
{
    const uint8_t *file = source->kernel;
    *wide = file[EI_CLASS] == ELFCLASS64;
    if ((!*wide && file[EI_CLASS] != ELFCLASS32) || file[EI_DATA] != ELFDATA2LSB)
        return error_set(err, ENOEXEC, "an ELF file of another kind than x86's");
    if (*wide && source->size < sizeof(Elf64_Ehdr))
        return error_set(err, ENOEXEC, "cut off inside its ELF header");
    uint16_t machine = load_le16(file + offsetof(Elf32_Ehdr, e_machine));
    if (machine != EM_386 && machine != EM_X86_64)
        return error_set(err, ENOEXEC, "an ELF file for machine %u, not for x86", machine);
    uint16_t type = load_le16(file + offsetof(Elf32_Ehdr, e_type));
    if (type != ET_EXEC && type != ET_DYN)
        return error_set(err, ENOEXEC, "an ELF file of type %u, which is no program", type);
    return 0;
}

static void read_segment(const uint8_t *at, bool wide, struct segment *segment)
{
    if (wide) {
        Elf64_Phdr header;
        memcpy(&header, at, sizeof(header));
        *segment = (struct segment){header.p_type,   header.p_offset, header.p_paddr,
                                    header.p_filesz, header.p_memsz,  header.p_align};
    } else {
        Elf32_Phdr header;
        memcpy(&header, at, sizeof(header));
        *segment = (struct segment){header.p_type,   header.p_offset, header.p_paddr,
                                    header.p_filesz, header.p_memsz,  header.p_align};
    }
}

static int add_load(struct boot_image *image, const struct boot_source *source,
                    const struct segment *segment, struct error *err)
{
    if (segment->file_size > segment->memory_size)
        return error_set(err, ENOEXEC, "an ELF segment larger in the file than in memory");
    int ret = boot_add(image, "ELF segment", segment->address, source->kernel + segment->offset,
                       segment->file_size, err);
    if (ret < 0)
        return ret;
    uint64_t zeros = segment->memory_size - segment->file_size;
    if (zeros && segment->address > UINT64_MAX - segment->file_size)
        return error_set(err, ENOEXEC, "an ELF segment past the end of memory");
    return boot_add(image, "ELF segment's zeros", segment->address + segment->file_size, NULL,
                    zeros, err);
}

/* Name and value of notes are padded to 4 bytes, or to 8 where the segment is aligned so. */
static void look_at_notes(const uint8_t *at, uint64_t left, uint64_t alignment,
                          struct boot_elf *elf)
{
    uint64_t unit = alignment == 8 ? 8 : 4;
    for (unsigned i = 0; i < NOTES_MAX && left >= sizeof(Elf32_Nhdr); i++) {
        uint32_t name_size = load_le32(at), value_size = load_le32(at + 4);
        uint64_t value_at = round_up(sizeof(Elf32_Nhdr) + (uint64_t)name_size, unit);
        uint64_t next = round_up(value_at + value_size, unit);
        if (value_at > left || value_size > left - value_at)
            return;
        if (name_size == 4 && memcmp(at + sizeof(Elf32_Nhdr), "Xen", 4) == 0 &&
            load_le32(at + 8) == XEN_ELFNOTE_PHYS32_ENTRY && (value_size == 4 || value_size == 8)) {
            elf->has_pvh_entry = true;
            elf->pvh_entry = load_le(at + value_at, value_size);
        }
        if (next > left)
            return;
        at += next;
        left -= next;
    }
}

int boot_elf_load(struct boot_image *image, const struct boot_source *source, struct boot_elf *elf,
                  struct error *err)
{
    bool wide;
    memset(elf, 0, sizeof(*elf));
    int ret = check_header(source, &wide, err);
    if (ret < 0)
        return ret;
    const uint8_t *file = source->kernel;
    elf->entry = load_le(file + 24, wide ? 8 : 4); /* e_entry is at 24 in both classes */
    uint64_t table = wide ? load_le64(file + offsetof(Elf64_Ehdr, e_phoff))
                          : load_le32(file + offsetof(Elf32_Ehdr, e_phoff));
    uint64_t count =
        load_le16(file + (wide ? offsetof(Elf64_Ehdr, e_phnum) : offsetof(Elf32_Ehdr, e_phnum)));
    uint64_t each = load_le16(
        file + (wide ? offsetof(Elf64_Ehdr, e_phentsize) : offsetof(Elf32_Ehdr, e_phentsize)));
    if (each != (wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) || count == 0)
        return error_set(err, ENOEXEC, "an ELF file without program headers");
    if (table > source->size || count * each > source->size - table)
        return error_set(err, ENOEXEC, "cut off: its ELF program headers lie past its end");
    for (uint64_t i = 0; i < count; i++) {
        struct segment segment;
        read_segment(file + table + i * each, wide, &segment);
        if (segment.type != PT_LOAD && segment.type != PT_NOTE)
            continue;
        if (segment.offset > source->size || segment.file_size > source->size - segment.offset)
            return error_set(err, ENOEXEC,
                             "cut off: an ELF segment of %" PRIu64 " bytes at %#" PRIx64
                             " lies past its end at %#" PRIx64,
                             segment.file_size, segment.offset, source->size);
        if (segment.type == PT_NOTE)
            look_at_notes(file + segment.offset, segment.file_size, segment.alignment, elf);
        else
            ret = add_load(image, source, &segment, err);
        if (ret < 0)
            return ret;
    }
    if (image->segment_count == 0)
        return error_set(err, ENOEXEC, "an ELF file with nothing to load");
    return 0;
}
