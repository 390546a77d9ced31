/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -kernel: what becomes of kernels made by hand, good and bad, and that nothing in a kernel's
 * headers, changed at random, makes a loader leave the guest's memory. The kernel installed on the
 * host is used too when there is one. That the option ROM starts them is for the guest tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <elf.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "config/config.h"
#include "machine/boot.h"
#include "machine/boot_file.h"
#include "machine/firmware.h"

#define LOW_MEMORY MIB(64)

static char folder[] = "/tmp/trapeze-boot-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static unsigned next;
    char *at = path[next++ % 4];
    snprintf(at, sizeof(path[0]), "%s/%s", folder, name);
    return at;
}

static void write_file(const char *name, const void *bytes, size_t length)
{
    FILE *out = fopen(in_folder(name), "w");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, length, out), length);
    assert_int_equal(fclose(out), 0);
}

/* Kernels made by hand */

#define BZ_SETUP 5 * 512
#define BZ_SIZE  (BZ_SETUP + 8192)

static void make_bzimage(uint8_t *file, uint16_t version)
{
    memset(file, 0, BZ_SIZE);
    file[0x1f1] = 4;
    store_le32(file + 0x1f4, 8192 / 16);
    store_le16(file + 0x1fe, 0xaa55);
    memcpy(file + 0x202, "HdrS", 4);
    store_le16(file + 0x206, version);
    file[0x211] = 1;
    store_le32(file + 0x22c, 0x37ffffff);
    store_le32(file + 0x238, 100);
    store_le64(file + 0x258, MIB(16));
    store_le32(file + 0x260, MIB(8));
    memset(file + BZ_SETUP, 0x5a, 8192);
}

#define ELF_SIZE 0x400

/* A segment of 0x100 bytes from 0x200 at 2 MiB, 0x300 in memory, and the PVH note. */
static void make_elf32(uint8_t *file)
{
    memset(file, 0, ELF_SIZE);
    Elf32_Ehdr header = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_386,
        .e_version = EV_CURRENT,
        .e_entry = MIB(2),
        .e_phoff = sizeof(header),
        .e_ehsize = sizeof(header),
        .e_phentsize = sizeof(Elf32_Phdr),
        .e_phnum = 2,
    };
    Elf32_Phdr headers[2] = {
        {.p_type = PT_LOAD,
         .p_offset = 0x200,
         .p_paddr = MIB(2),
         .p_filesz = 0x100,
         .p_memsz = 0x300},
        {.p_type = PT_NOTE, .p_offset = 0x300, .p_filesz = 20, .p_memsz = 20, .p_align = 4},
    };
    memcpy(file, &header, sizeof(header));
    memcpy(file + sizeof(header), headers, sizeof(headers));
    memset(file + 0x200, 0xa5, 0x100);
    const uint32_t note[] = {4, 4, 18, 0x006e6558, MIB(2) + 0x40};
    memcpy(file + 0x300, note, sizeof(note));
}

static void make_elf64(uint8_t *file)
{
    memset(file, 0, ELF_SIZE);
    Elf64_Ehdr header = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_entry = MIB(2),
        .e_phoff = sizeof(header),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 2,
    };
    Elf64_Phdr headers[2] = {
        {.p_type = PT_LOAD,
         .p_offset = 0x200,
         .p_paddr = MIB(2),
         .p_filesz = 0x100,
         .p_memsz = 0x300},
        {.p_type = PT_NOTE, .p_offset = 0x300, .p_filesz = 24, .p_memsz = 24, .p_align = 4},
    };
    memcpy(file, &header, sizeof(header));
    memcpy(file + sizeof(header), headers, sizeof(headers));
    const uint32_t note[] = {4, 8, 18, 0x006e6558, MIB(2) + 0x80, 0};
    memcpy(file + 0x300, note, sizeof(note));
}

/* A multiboot header of flags at `at`. */
static void put_multiboot(uint8_t *file, size_t at, uint32_t flags)
{
    store_le32(file + at, 0x1badb002);
    store_le32(file + at + 4, flags);
    store_le32(file + at + 8, 0u - 0x1badb002u - flags);
}

/* The header's addresses: the file from its beginning at 1 MiB, 0x400 bytes and 0x1000 zeros. */
static void make_kludge(uint8_t *file)
{
    memset(file, 0x11, ELF_SIZE);
    put_multiboot(file, 0x10, 0x10003);
    store_le32(file + 0x1c, MIB(1) + 0x10);
    store_le32(file + 0x20, MIB(1));
    store_le32(file + 0x24, MIB(1) + 0x400);
    store_le32(file + 0x28, MIB(1) + 0x1400);
    store_le32(file + 0x2c, MIB(1) + 0x30);
}

/* Running a loader and looking at its result */

static struct config config_of(const char *initrd, const char *append)
{
    static char kernel[128], initrd_copy[1024], append_copy[4096];
    struct config config = {0};
    snprintf(kernel, sizeof(kernel), "%s", in_folder("kernel"));
    config.kernel = kernel;
    if (initrd) {
        snprintf(initrd_copy, sizeof(initrd_copy), "%s", initrd);
        config.initrd = initrd_copy;
    }
    if (append) {
        snprintf(append_copy, sizeof(append_copy), "%s", append);
        config.append = append_copy;
    }
    return config;
}

static void prepare(struct boot_files *files, const void *kernel, size_t size, const char *initrd,
                    const char *append)
{
    struct error err;
    struct config config = config_of(initrd, append);
    write_file("kernel", kernel, size);
    if (boot_prepare(files, &config, LOW_MEMORY, &err) < 0)
        fail_msg("%s", err.text);
}

static void refuse(const void *kernel, size_t size, const char *initrd, const char *append,
                   const char *word)
{
    struct error err;
    struct boot_files files;
    struct config config = config_of(initrd, append);
    write_file("kernel", kernel, size);
    if (boot_prepare(&files, &config, LOW_MEMORY, &err) == 0)
        fail_msg("taken, where '%s' should have been said", word);
    if (!strstr(err.text, word))
        fail_msg("no '%s' in: %s", word, err.text);
}

static uint32_t word_at(const struct boot_files *files, uint32_t offset)
{
    assert_true(offset + 4 <= files->file[2].length);
    return load_le32(files->file[2].data + offset);
}

/* The bytes the ROM would put at [address, address+length); NULL: not there or zeros. */
static const uint8_t *loaded(const struct boot_files *files, uint32_t address, uint32_t length)
{
    uint32_t count = word_at(files, 44);
    uint32_t data = BOOT_HEADER_SIZE + count * 8;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = word_at(files, BOOT_HEADER_SIZE + i * 8);
        uint32_t size = word_at(files, BOOT_HEADER_SIZE + i * 8 + 4);
        if (address >= at && address - at < size)
            return length <= size - (address - at) &&
                           data + (address - at) + length <= files->file[2].length
                       ? files->file[2].data + data + (address - at)
                       : NULL;
        data += size;
    }
    return NULL;
}

static void test_rom(void **state)
{
    (void)state;
    struct boot_files files;
    uint8_t kernel[BZ_SIZE];
    make_bzimage(kernel, 0x20f);
    prepare(&files, kernel, sizeof(kernel), NULL, NULL);
    const struct boot_file *rom = &files.file[0];
    assert_string_equal(rom->name, "genroms/trapeze-kernel.rom");
    assert_int_equal(load_le16(rom->data), 0xaa55);
    assert_int_equal(rom->data[2] * 512, rom->length);
    uint8_t sum = 0;
    for (uint32_t i = 0; i < rom->length; i++)
        sum = (uint8_t)(sum + rom->data[i]);
    assert_int_equal(sum, 0);
    const uint8_t *pnp = rom->data + load_le16(rom->data + 0x1a);
    assert_memory_equal(pnp, "$PnP", 4);
    sum = 0;
    for (unsigned i = 0; i < pnp[5] * 16u; i++)
        sum = (uint8_t)(sum + pnp[i]);
    assert_int_equal(sum, 0);
    uint16_t bev = load_le16(pnp + 26);
    assert_true(bev > 0 && bev < rom->length);
    assert_string_equal(files.file[1].name, "bootorder");
    assert_string_equal((char *)files.file[1].data, "/rom@genroms/trapeze-kernel.rom");
    assert_string_equal(files.file[2].name, "etc/trapeze/boot");
    assert_int_equal(word_at(&files, 0), BOOT_MAGIC);
    boot_files_free(&files);
}

static void test_linux(void **state)
{
    (void)state;
    struct boot_files files;
    uint8_t kernel[BZ_SIZE];
    make_bzimage(kernel, 0x20f);
    write_file("initrd", "an initrd", 9);
    prepare(&files, kernel, sizeof(kernel), in_folder("initrd"), "root=x vga=0x317");
    assert_int_equal(word_at(&files, 4), BOOT_REAL);
    assert_int_equal(word_at(&files, 8), 0x1020);
    assert_int_equal(word_at(&files, 16), 0x1000);
    const uint8_t *setup = loaded(&files, 0x10000, BZ_SETUP);
    assert_non_null(setup);
    assert_int_equal(setup[0x210], 0xff);
    assert_int_equal(setup[0x211], 0x81);
    assert_int_equal(load_le16(setup + 0x1fa), 0x317);
    assert_int_equal(load_le32(setup + 0x21c), 9);
    uint32_t initrd = load_le32(setup + 0x218);
    assert_int_equal(initrd, LOW_MEMORY - BOOT_FIRMWARE_RESERVE - 4096);
    assert_memory_equal(loaded(&files, initrd, 9), "an initrd", 9);
    const char *command = (const char *)loaded(&files, load_le32(setup + 0x228), 17);
    assert_non_null(command);
    assert_string_equal(command, "root=x vga=0x317");
    assert_memory_equal(loaded(&files, MIB(1), 8192), kernel + BZ_SETUP, 8192);
    boot_files_free(&files);
}

/* Before 2.02, and zImage: the set-up code and the command line's magic number at 0x90000. */
static void test_old_linux(void **state)
{
    (void)state;
    struct boot_files files;
    uint8_t kernel[BZ_SIZE];
    make_bzimage(kernel, 0x200);
    kernel[0x1f1] = 0; /* means 4 */
    prepare(&files, kernel, sizeof(kernel), NULL, "old");
    const uint8_t *setup = loaded(&files, 0x90000, BZ_SETUP);
    assert_non_null(setup);
    assert_int_equal(load_le16(setup + 0x20), 0xa33f);
    assert_string_equal((char *)loaded(&files, 0x90000u + load_le16(setup + 0x22), 4), "old");
    assert_non_null(loaded(&files, MIB(1), 8192));
    boot_files_free(&files);
    kernel[0x211] = 0;
    prepare(&files, kernel, sizeof(kernel), NULL, NULL);
    assert_non_null(loaded(&files, 0x10000, 8192));
    boot_files_free(&files);
}

static void test_bad_linux(void **state)
{
    (void)state;
    uint8_t kernel[BZ_SIZE];
    make_bzimage(kernel, 0x20f);
    refuse(kernel, BZ_SIZE - 4096, NULL, NULL, "cut off");
    refuse(kernel, BZ_SETUP, NULL, NULL, "cut off");
    refuse(kernel, 0x210, NULL, NULL, "no kernel known");
    refuse(kernel, 1, NULL, NULL, "no kernel known");
    refuse(kernel, 0, NULL, NULL, "empty");
    refuse(kernel, BZ_SIZE, "/nonexistent", NULL, "/nonexistent");
    refuse(kernel, BZ_SIZE, folder, NULL, "directory");
    char append[102];
    memset(append, 'x', 101);
    append[101] = '\0';
    refuse(kernel, BZ_SIZE, NULL, append, "this kernel takes 100");
    make_bzimage(kernel, 0x1ff);
    refuse(kernel, BZ_SIZE, NULL, NULL, "1.255");
    make_bzimage(kernel, 0x20f);
    kernel[0x1f1] = 255;
    refuse(kernel, BZ_SIZE, NULL, NULL, "255 sectors");
    make_bzimage(kernel, 0x20f);
    store_le64(kernel + 0x258, UINT64_MAX - 5);
    refuse(kernel, BZ_SIZE, NULL, NULL, "unpacks itself");
    make_bzimage(kernel, 0x20f);
    store_le32(kernel + 0x260, MIB(60));
    refuse(kernel, BZ_SIZE, NULL, NULL, "raise -m");
}

static void test_large_initrd(void **state)
{
    (void)state;
    uint8_t kernel[BZ_SIZE];
    make_bzimage(kernel, 0x20f);
    write_file("initrd", "x", 1);
    char path[128];
    snprintf(path, sizeof(path), "%s", in_folder("initrd"));
    assert_int_equal(truncate(path, MIB(40)), 0);
    refuse(kernel, BZ_SIZE, path, NULL, "40960 KiB");
    assert_int_equal(truncate(path, MIB(65)), 0);
    refuse(kernel, BZ_SIZE, path, NULL, "larger than guest memory");
    assert_int_equal(truncate(path, GIB(900)), 0);
    refuse(kernel, BZ_SIZE, path, NULL, "larger than guest memory");
    assert_int_equal(truncate(path, MIB(38)), 0);
    struct boot_files files;
    prepare(&files, kernel, sizeof(kernel), path, NULL);
    boot_files_free(&files);
}

static void check_pvh(const uint8_t *kernel, uint32_t entry)
{
    struct boot_files files;
    write_file("initrd", "module", 6);
    prepare(&files, kernel, ELF_SIZE, in_folder("initrd"), "a b");
    assert_int_equal(word_at(&files, 4), BOOT_PROTECTED);
    assert_int_equal(word_at(&files, 8), entry);
    assert_memory_equal(loaded(&files, MIB(2), 0x100), kernel + 0x200, 0x100);
    const uint8_t *info = loaded(&files, word_at(&files, 16), 56);
    assert_non_null(info);
    assert_int_equal(load_le32(info), 0x336ec578);
    assert_int_equal(load_le32(info + 12), 1);
    assert_string_equal((char *)loaded(&files, load_le32(info + 24), 4), "a b");
    const uint8_t *module = loaded(&files, load_le32(info + 16), 32);
    assert_memory_equal(loaded(&files, load_le32(module), 6), "module", 6);
    assert_int_equal(word_at(&files, 20), load_le32(info + 40));
    /* The zeros come last and have no bytes. */
    uint32_t last = BOOT_HEADER_SIZE + (word_at(&files, 44) - 1) * 8;
    assert_int_equal(word_at(&files, last), MIB(2) + 0x100);
    assert_int_equal(word_at(&files, last + 4), 0x200);
    boot_files_free(&files);
}

static void test_pvh(void **state)
{
    (void)state;
    uint8_t kernel[ELF_SIZE];
    make_elf32(kernel);
    check_pvh(kernel, MIB(2) + 0x40);
    make_elf64(kernel);
    check_pvh(kernel, MIB(2) + 0x80);
}

/* More zeros than fw_cfg gives at once come in pieces. */
static void test_many_zeros(void **state)
{
    (void)state;
    struct boot_image *image = calloc(1, sizeof(*image));
    image->memory_end = GIB(3);
    assert_int_equal(boot_add(image, "zeros", MIB(1), NULL, MIB(300), NULL), 0);
    assert_int_equal(image->segment_count, 3);
    assert_int_equal(boot_high_end(image), MIB(301));
    assert_true(boot_add(image, "zeros", MIB(300), NULL, MIB(300), NULL) < 0);
    assert_true(boot_add(image, "zeros", MIB(400), NULL, UINT64_MAX, NULL) < 0);
    free(image);
}

static void test_bad_elf(void **state)
{
    (void)state;
    uint8_t kernel[ELF_SIZE];
    Elf32_Ehdr *header = (Elf32_Ehdr *)kernel;
    Elf32_Phdr *load = (Elf32_Phdr *)(kernel + sizeof(*header)), *note = load + 1;
    static const struct {
        size_t offset;
        uint32_t value;
        const char *word;
    } changes[] = {
        {offsetof(Elf32_Phdr, p_offset), 0xffffff00, "cut off"},
        {offsetof(Elf32_Phdr, p_filesz), 0xffffffff, "cut off"},
        {offsetof(Elf32_Phdr, p_filesz), 0x301, "larger in the file"},
        {offsetof(Elf32_Phdr, p_memsz), 0xffffffff, "do not fit"},
        {offsetof(Elf32_Phdr, p_paddr), 0xffffff80, "do not fit"},
        {offsetof(Elf32_Phdr, p_paddr), 0, "do not fit"},
        {offsetof(Elf32_Phdr, p_paddr), 0xf0000, "do not fit"},
        {offsetof(Elf32_Phdr, p_paddr), 0x10000, "overlap"}, /* what the kernel is told */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        make_elf32(kernel);
        store_le32((uint8_t *)load + changes[i].offset, changes[i].value);
        if (changes[i].offset == offsetof(Elf32_Phdr, p_filesz) && changes[i].value < ELF_SIZE)
            load->p_offset = 0;
        refuse(kernel, ELF_SIZE, NULL, NULL, changes[i].word);
    }
    make_elf32(kernel);
    *note = *load;
    note->p_paddr += 0x2ff;
    refuse(kernel, ELF_SIZE, NULL, NULL, "overlap");
    make_elf32(kernel);
    note->p_type = PT_NULL;
    refuse(kernel, ELF_SIZE, NULL, NULL, "no entry for PVH");
    make_elf32(kernel);
    header->e_phnum = 0xffff;
    refuse(kernel, ELF_SIZE, NULL, NULL, "cut off");
    header->e_phnum = 0;
    refuse(kernel, ELF_SIZE, NULL, NULL, "program headers");
    make_elf32(kernel);
    header->e_machine = EM_ARM;
    refuse(kernel, ELF_SIZE, NULL, NULL, "not for x86");
    make_elf64(kernel);
    refuse(kernel, 60, NULL, NULL, "cut off");
}

static void test_multiboot(void **state)
{
    (void)state;
    struct boot_files files;
    uint8_t kernel[ELF_SIZE];
    make_kludge(kernel);
    write_file("m1", "first", 5);
    write_file("m,2", "second", 6);
    char modules[300];
    snprintf(modules, sizeof(modules), "%s/m1 x y,%s/m,,2", folder, folder);
    prepare(&files, kernel, ELF_SIZE, modules, "arguments");
    assert_int_equal(word_at(&files, 8), MIB(1) + 0x30);
    assert_int_equal(word_at(&files, 12), 0x2badb002);
    assert_memory_equal(loaded(&files, MIB(1), ELF_SIZE), kernel, ELF_SIZE);
    const uint8_t *info = loaded(&files, word_at(&files, 16), 88);
    assert_int_equal(load_le32(info) & 0x4d, 0x4d);
    const char *command = (const char *)loaded(&files, load_le32(info + 16), 20);
    assert_non_null(strstr(command, "/kernel arguments"));
    assert_int_equal(load_le32(info + 20), 2);
    const uint8_t *table = loaded(&files, load_le32(info + 24), 32);
    assert_memory_equal(loaded(&files, load_le32(table), 5), "first", 5);
    assert_int_equal(load_le32(table) & 0xfff, 0);
    assert_int_equal(load_le32(table + 4) - load_le32(table), 5);
    assert_memory_equal(loaded(&files, load_le32(table + 16), 6), "second", 6);
    const char *string = (const char *)loaded(&files, load_le32(table + 24), 5);
    assert_string_equal(string + strlen(string) - 4, "/m,2");
    assert_int_equal(word_at(&files, 20), load_le32(info + 48) + 4);
    boot_files_free(&files);
    /* The same header in an ELF file. */
    make_elf32(kernel);
    put_multiboot(kernel, 0x210, 3);
    prepare(&files, kernel, ELF_SIZE, NULL, NULL);
    assert_int_equal(word_at(&files, 8), MIB(2));
    boot_files_free(&files);
}

static void test_bad_multiboot(void **state)
{
    (void)state;
    uint8_t kernel[ELF_SIZE];
    static const struct {
        size_t offset;
        uint32_t value;
        const char *word;
    } changes[] = {
        {0x20, MIB(1) - 0x100, "load address"},
        {0x20, MIB(2), "load address"},
        {0x24, MIB(1) + 0x401, "load end"},
        {0x24, 1, "load end"},
        {0x28, MIB(1), "bss end"},
        {0x28, 0xffffffff, "do not fit"},
    };
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        make_kludge(kernel);
        store_le32(kernel + changes[i].offset, changes[i].value);
        refuse(kernel, ELF_SIZE, NULL, NULL, changes[i].word);
    }
    make_kludge(kernel);
    refuse(kernel, 0x20, NULL, NULL, "cut off");
    put_multiboot(kernel, 0x10, 0x10008);
    refuse(kernel, ELF_SIZE, NULL, NULL, "flags 0x8");
    put_multiboot(kernel, 0x10, 3);
    refuse(kernel, ELF_SIZE, NULL, NULL, "neither ELF");
    make_kludge(kernel);
    refuse(kernel, ELF_SIZE, "/nonexistent x", NULL, "module /nonexistent:");
    char many[1024] = "";
    write_file("m", "x", 1);
    for (int i = 0; i < 17; i++)
        snprintf(many + strlen(many), 40, "%s%s", i ? "," : "", in_folder("m"));
    refuse(kernel, ELF_SIZE, many, NULL, "more than 16 modules");
}

/* Random headers */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void check_image(const struct boot_image *image, const struct boot_source *source)
{
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct boot_segment *segment = &image->segments[i];
        uint64_t end = (uint64_t)segment->address + segment->length;
        assert_true(segment->length > 0);
        assert_true((segment->address >= BOOT_LOW_START && end <= BOOT_LOW_END) ||
                    (segment->address >= BOOT_HIGH && end <= image->memory_end));
        if (segment->data >= source->kernel && segment->data < source->kernel + source->size)
            assert_true(segment->length <= source->size - (size_t)(segment->data - source->kernel));
        for (size_t j = 0; j < i; j++)
            assert_true(end <= image->segments[j].address ||
                        segment->address >=
                            (uint64_t)image->segments[j].address + image->segments[j].length);
    }
}

/* Changes some bytes among the first `range`, loads, puts them back. Returns how many loaded. */
static unsigned mutate(uint8_t *kernel, size_t size, size_t range, unsigned rounds, uint64_t memory)
{
    uint64_t seed = 0x6b65726e656c2121;
    uint8_t *original = malloc(range);
    unsigned taken = 0;
    assert_non_null(original);
    memcpy(original, kernel, range);
    for (unsigned round = 0; round < rounds; round++) {
        static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
        for (unsigned n = 1 + next_random(&seed) % 4; n > 0; n--)
            kernel[next_random(&seed) % range] = next_random(&seed) & 1
                                                     ? values[next_random(&seed) % 5]
                                                     : (uint8_t)next_random(&seed);
        struct boot_image *image = calloc(1, sizeof(*image));
        struct boot_source source = {"kernel", kernel, size, NULL, "console=ttyS0"};
        struct error err;
        int ret = -1;
        image->memory_end = memory;
        if (boot_linux_probe(&source))
            ret = boot_linux_load(image, &source, &err);
        else if (boot_multiboot_probe(&source))
            ret = boot_multiboot_load(image, &source, &err);
        else if (boot_elf_probe(&source))
            ret = boot_pvh_load(image, &source, &err);
        if (ret == 0) {
            check_image(image, &source);
            taken++;
        }
        for (size_t i = 0; i < image->owned_count; i++)
            free(image->owned[i]);
        free(image);
        memcpy(kernel, original, range);
    }
    free(original);
    return taken;
}

static void test_random_headers(void **state)
{
    (void)state;
    uint8_t kernel[BZ_SIZE];
    make_bzimage(kernel, 0x20f);
    assert_true(mutate(kernel, BZ_SIZE, 0x264, 5000, MIB(63)) > 100);
    make_elf32(kernel);
    assert_true(mutate(kernel, ELF_SIZE, 0x320, 5000, MIB(63)) > 100);
    make_elf64(kernel);
    assert_true(mutate(kernel, ELF_SIZE, 0x320, 5000, MIB(63)) > 100);
    make_kludge(kernel);
    assert_true(mutate(kernel, ELF_SIZE, 0x30, 5000, MIB(63)) > 10);
}

static void test_debian_kernel(void **state)
{
    (void)state;
    uint8_t *kernel = NULL;
    uint64_t size;
    if (file_read("kernel", "cache/vmlinuz", GIB(1), &kernel, &size, NULL) < 0) {
        print_message("no cache/vmlinuz: tools/guest/make-kernel makes it\n");
        skip();
    }
    assert_true(mutate(kernel, size, 0x264, 2000, MIB(255)) > 100);
    free(kernel);
}

static void test_firmware(void **state)
{
    (void)state;
    struct firmware firmware;
    struct error err;
    char path[128];
    uint8_t *bytes = calloc(1, KIB(256));
    bytes[KIB(256) - 16] = 0xea;
    write_file("bios", bytes, KIB(256));
    snprintf(path, sizeof(path), "%s", in_folder("bios"));
    struct config config = {.bios = path};
    assert_int_equal(firmware_load(&firmware, &config, &err), 0);
    assert_int_equal(firmware.high.base, GIB(4) - KIB(256));
    assert_int_equal(firmware.low.base, 0xe0000);
    assert_int_equal(firmware.low.ram_offset, KIB(128));
    uint8_t first;
    assert_true(ram_copy_out(firmware.ram, KIB(256) - 16, &first, 1));
    assert_int_equal(first, 0xea);
    firmware_unload(&firmware);
    /* By -L. */
    char *dirs[] = {folder};
    config = (struct config){.bios = "bios", .library_dirs = dirs, .library_dir_count = 1};
    assert_int_equal(firmware_load(&firmware, &config, &err), 0);
    firmware_unload(&firmware);
    write_file("bios", bytes, KIB(256) - 1);
    assert_true(firmware_load(&firmware, &config, &err) < 0);
    assert_non_null(strstr(err.text, "64 KiB"));
    config.bios = "no-such-bios";
    assert_true(firmware_load(&firmware, &config, &err) < 0);
    assert_non_null(strstr(err.text, "package seabios"));
    free(bytes);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"kernel", "initrd", "m", "m1", "m,2", "bios"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unlink(in_folder(names[i]));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rom),
        cmocka_unit_test(test_linux),
        cmocka_unit_test(test_old_linux),
        cmocka_unit_test(test_bad_linux),
        cmocka_unit_test(test_large_initrd),
        cmocka_unit_test(test_pvh),
        cmocka_unit_test(test_many_zeros),
        cmocka_unit_test(test_bad_elf),
        cmocka_unit_test(test_multiboot),
        cmocka_unit_test(test_bad_multiboot),
        cmocka_unit_test(test_random_headers),
        cmocka_unit_test(test_debian_kernel),
        cmocka_unit_test(test_firmware),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
