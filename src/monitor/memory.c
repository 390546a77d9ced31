/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest memory for people: x, xp, memsave, pmemsave. The layout of lines is QEMU's.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "cpu/tlb.h"
#include "monitor/commands.h"
#include "vm/vm.h"
#include "x86/disassemble.h"

enum { DUMP_MAX = 65536, LINE_BYTES = 16, CHUNK = 65536 };

/* Can the processor form this linear address at all? (cpu_translate wants only such.) */
static bool addressable(const struct vcpu *cpu, uint64_t addr)
{
    if (!cpu_long_mode(cpu))
        return addr <= UINT32_MAX;
    unsigned unused = cpu->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;
    return (int64_t)(addr << unused) >> unused == (int64_t)addr;
}

static bool read_virtual(struct vm *vm, const struct vcpu *cpu, uint64_t addr, uint8_t *bytes,
                         uint64_t length)
{
    while (length) {
        uint64_t piece = min_u64(length, PAGE_SIZE - (addr & (PAGE_SIZE - 1)));
        gpa_t gpa;
        if (!addressable(cpu, addr) || !cpu_translate(cpu, addr, &gpa) ||
            !mem_read(vm->mem, gpa, bytes, piece))
            return false;
        addr += piece;
        bytes += piece;
        length -= piece;
    }
    return true;
}

static bool read_at(struct vm *vm, const struct vcpu *cpu, bool physical, uint64_t addr,
                    uint8_t *bytes, uint64_t length)
{
    return physical ? mem_read(vm->mem, addr, bytes, length)
                    : read_virtual(vm, cpu, addr, bytes, length);
}

/* A character as C would write it. */
static void print_character(uint8_t c, FILE *out)
{
    switch (c) {
    case '\'':
        fputs("'\\''", out);
        break;
    case '\\':
        fputs("'\\\\'", out);
        break;
    case '\n':
        fputs("'\\n'", out);
        break;
    case '\r':
        fputs("'\\r'", out);
        break;
    default:
        fprintf(out, c >= 32 && c < 127 ? "'%c'" : "'\\x%02x'", c);
        break;
    }
}

/* One item, in a column as wide as the widest of its size. */
static void print_item(uint64_t value, char letter, unsigned size, FILE *out)
{
    unsigned bits = size * 8;
    switch (letter) {
    case 'o':
        fprintf(out, " %#*llo", (int)(bits + 2) / 3, (unsigned long long)value);
        break;
    case 'u':
        fprintf(out, " %*llu", (int)(bits * 10 + 32) / 33, (unsigned long long)value);
        break;
    case 'd':
        fprintf(out, " %*lld", (int)(bits * 10 + 32) / 33, (long long)value);
        break;
    case 'c':
        fputc(' ', out);
        print_character((uint8_t)value, out);
        break;
    default:
        fprintf(out, " 0x%0*llx", (int)bits / 4, (unsigned long long)value);
        break;
    }
}

static void dump_items(struct vm *vm, const struct vcpu *cpu, const struct dump_format *format,
                       uint64_t addr, bool physical, FILE *out)
{
    uint64_t left = format->count * format->size;
    unsigned size = format->letter == 'c' ? 1 : format->size; /* characters fill the items */
    uint64_t line = format->size == 1 ? LINE_BYTES / 2 : LINE_BYTES;
    while (left) {
        uint8_t bytes[LINE_BYTES];
        uint64_t length = min_u64(left, line);
        fprintf(out, "%016llx:", (unsigned long long)addr);
        if (!read_at(vm, cpu, physical, addr, bytes, length)) {
            fputs(" Cannot access memory\n", out);
            return;
        }
        for (uint64_t i = 0; i < length; i += size)
            print_item(load_le(bytes + i, size), format->letter, size, out);
        fputc('\n', out);
        addr += length;
        left -= length;
    }
}

static void print_instruction(uint64_t addr, const uint8_t *code, unsigned length, const char *text,
                              FILE *out)
{
    enum { COLUMNS = 8 };
    for (unsigned done = 0; done < length; done += COLUMNS) {
        unsigned long long at = addr + done;
        fprintf(out, "0x%08llx: ", at);
        for (unsigned i = done; i < done + COLUMNS; i++)
            if (i < length)
                fprintf(out, " %02x", code[i]);
            else if (!done)
                fputs("   ", out);
        if (done)
            fputc('\n', out);
        else
            fprintf(out, "  %s\n", text);
    }
}

static unsigned code_bits(const struct vcpu *cpu)
{
    switch (cpu->code_mode & CODE_SIZE) {
    case CODE_64:
        return 64;
    case CODE_32:
        return 32;
    default:
        return 16;
    }
}

static void dump_instructions(struct vm *vm, const struct vcpu *cpu, uint64_t count, uint64_t addr,
                              bool physical, FILE *out)
{
    unsigned bits = code_bits(cpu);
    while (count--) {
        uint8_t code[X86_INSTRUCTION_MAX];
        unsigned known = sizeof(code); /* the last instruction may end where memory does */
        while (known && !read_at(vm, cpu, physical, addr, code, known))
            known--;
        if (!known) {
            fprintf(out, "0x%08llx: Cannot access memory\n", (unsigned long long)addr);
            return;
        }
        char text[160];
        unsigned length = x86_disassemble(code, known, addr, bits, text, sizeof(text));
        print_instruction(addr, code, length, text, out);
        addr += length;
    }
}

int command_dump(struct vm *vm, const struct vcpu *cpu, const struct dump_format *format,
                 uint64_t addr, bool physical, FILE *out, struct error *err)
{
    unsigned each = format->letter == 'i' ? X86_INSTRUCTION_MAX + 1 : format->size;
    if (format->count > DUMP_MAX / each)
        return error_set(err, E2BIG,
                         "count too large: %d bytes at a time; memsave and pmemsave write more",
                         DUMP_MAX);
    if (format->letter == 'i')
        dump_instructions(vm, cpu, format->count, addr, physical, out);
    else
        dump_items(vm, cpu, format, addr, physical, out);
    return 0;
}

void command_print(uint64_t value, char letter, FILE *out)
{
    switch (letter) {
    case 'x':
        fprintf(out, "%#llx\n", (unsigned long long)value);
        break;
    case 'o':
        fprintf(out, "%#llo\n", (unsigned long long)value);
        break;
    case 'u':
        fprintf(out, "%llu\n", (unsigned long long)value);
        break;
    case 'c':
        print_character((uint8_t)value, out);
        fputc('\n', out);
        break;
    default:
        fprintf(out, "%lld\n", (long long)value);
        break;
    }
}

static int save_chunks(struct vm *vm, const struct vcpu *cpu, uint64_t addr, uint64_t size,
                       bool physical, struct new_file *file)
{
    uint8_t *chunk = malloc(CHUNK);
    if (!chunk)
        return -ENOMEM;
    int ret = 0;
    while (size && ret == 0) {
        uint64_t length = min_u64(size, CHUNK);
        if (!read_at(vm, cpu, physical, addr, chunk, length) && !physical)
            ret = -EFAULT;
        else
            ret = new_file_write(file, chunk, length);
        addr += length;
        size -= length;
    }
    free(chunk);
    return ret;
}

int command_save_memory(struct vm *vm, const struct vcpu *cpu, uint64_t addr, uint64_t size,
                        bool physical, const char *path, struct error *err)
{
    /* All of RAM with the holes below 4 GiB fits; more only keeps the machine from running. */
    uint64_t most = vm->ram->size + GIB(4);
    if (size > most)
        return error_set(err, EINVAL, "size %llu is larger than the guest's memory: at most %llu",
                         (unsigned long long)size, (unsigned long long)most);
    struct new_file file;
    int ret = new_file_open(&file, "the memory file", path, err);
    if (ret < 0)
        return ret;
    ret = new_file_close(&file, save_chunks(vm, cpu, addr, size, physical, &file), err);
    if (ret == -EFAULT)
        error_set(err, EFAULT, "Invalid addr 0x%016llx/size %llu specified",
                  (unsigned long long)addr, (unsigned long long)size);
    return ret;
}
