/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A processor's registers as text, laid out as QEMU's `info registers`, which debuggers' scripts
 * read.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cpu/vcpu.h"

typedef unsigned long long ull;

/* SDM 3A table 3-2: system descriptors; in IA-32e mode most of the 16-bit ones are gone. */
static const char *system_type(unsigned type, bool long_mode)
{
    static const char *const types[2][16] = {
        {"Reserved", "TSS16-avl", "LDT", "TSS16-busy", "CallGate16", "TaskGate", "IntGate16",
         "TrapGate16", "Reserved", "TSS32-avl", "Reserved", "TSS32-busy", "CallGate32", "Reserved",
         "IntGate32", "TrapGate32"},
        {"<hiword>", "Reserved", "LDT", "Reserved", "Reserved", "Reserved", "Reserved", "Reserved",
         "Reserved", "TSS64-avl", "Reserved", "TSS64-busy", "CallGate64", "Reserved", "IntGate64",
         "TrapGate64"},
    };
    return types[long_mode][type & 15];
}

/* What the descriptor's bits mean. Type (SDM 3A table 3-1): 8 code, 4 conforming or expand-down, 2
 * readable or writable, 1 accessed. */
static void describe_access(const struct vcpu *cpu, uint32_t access, FILE *out)
{
    bool long_mode = cpu_long_mode(cpu);
    fprintf(out, " DPL=%u ", access >> 5 & 3);
    if (!(access & SEG_S)) {
        fputs(system_type(access & SEG_TYPE, long_mode), out);
        return;
    }
    bool code = access & 8;
    const char *name;
    if (code)
        name = access & SEG_L ? "CS64" : access & SEG_DB ? "CS32" : "CS16";
    else
        name = access & SEG_DB || long_mode ? "DS  " : "DS16";
    fprintf(out, "%s [%c%c%c]", name, access & 4 ? code ? 'C' : 'E' : '-',
            access & 2 ? code ? 'R' : 'W' : '-', access & 1 ? 'A' : '-');
}

static void describe_segments(const struct vcpu *cpu, int width, FILE *out)
{
    static const char names[SEG_COUNT][4] = {"ES ", "CS ", "SS ", "DS ",
                                             "FS ", "GS ", "LDT", "TR "};
    uint64_t mask = width == 16 ? ~0ull : 0xffffffffull;
    for (int i = 0; i < SEG_COUNT; i++) {
        const struct segment *seg = &cpu->seg[i];
        fprintf(out, "%s=%04x %0*llx %08x %08x", names[i], seg->selector, width,
                (ull)(seg->base & mask), seg->limit, (seg->access & 0xf0ff) << 8);
        if (cpu_protected(cpu) && seg->access & SEG_P && !(seg->access & SEG_UNUSABLE))
            describe_access(cpu, seg->access, out);
        fputc('\n', out);
    }
    fprintf(out, "GDT=     %0*llx %08x\n", width, (ull)(cpu->gdtr.base & mask), cpu->gdtr.limit);
    fprintf(out, "IDT=     %0*llx %08x\n", width, (ull)(cpu->idtr.base & mask), cpu->idtr.limit);
}

static void describe_integer(const struct vcpu *cpu, bool wide, int width, FILE *out)
{
    static const char names[16][4] = {"AX", "BX", "CX", "DX", "SI", "DI", "BP", "SP",
                                      "8 ", "9 ", "10", "11", "12", "13", "14", "15"};
    static const uint8_t order[16] = {RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP,
                                      R8,  R9,  R10, R11, R12, R13, R14, R15};
    uint64_t mask = wide ? ~0ull : 0xffffffffull;
    char letter = wide ? 'R' : 'E';
    for (int i = 0; i < (wide ? 16 : 8); i++)
        fprintf(out, "%c%s=%0*llx%c", letter, names[i], width, (ull)(cpu->gpr[order[i]] & mask),
                i % 4 == 3 ? '\n' : ' ');
    uint64_t flags = cpu_rflags(cpu);
    fprintf(out, "%cIP=%0*llx %cFL=%08llx [%c%c%c%c%c%c%c] ", letter, width, (ull)(cpu->rip & mask),
            letter, (ull)flags, flags & FLAG_DF ? 'D' : '-', flags & FLAG_OF ? 'O' : '-',
            flags & FLAG_SF ? 'S' : '-', flags & FLAG_ZF ? 'Z' : '-', flags & FLAG_AF ? 'A' : '-',
            flags & FLAG_PF ? 'P' : '-', flags & FLAG_CF ? 'C' : '-');
    fprintf(out, "CPL=%d II=%d A20=%d SMM=%d HLT=%d\n", cpu->cpl, cpu->shadow != 0,
            (int)(atomic_load(&cpu->world->a20_mask) >> 20 & 1), cpu->in_smm, cpu->halted);
}

static void describe_control(const struct vcpu *cpu, int width, FILE *out)
{
    uint64_t mask = width == 16 ? ~0ull : 0xffffffffull;
    fprintf(out, "CR0=%08llx CR2=%0*llx CR3=%0*llx CR4=%08llx\n", (ull)cpu->cr0, width,
            (ull)(cpu->cr2 & mask), width, (ull)(cpu->cr3 & mask), (ull)cpu->cr4);
    for (int i = 0; i < 4; i++)
        fprintf(out, "DR%d=%016llx ", i, (ull)cpu->dr[i]);
    fprintf(out, "\nDR6=%016llx DR7=%016llx\nEFER=%016llx\n", (ull)cpu->dr[6], (ull)cpu->dr[7],
            (ull)cpu->efer);
}

/* The lowest `quads` eight-byte parts of vector register n, highest first. */
static void describe_vector(const struct fpu_state *fpu, const char *name, int n, int quads,
                            FILE *out)
{
    fprintf(out, "%s%02d=", name, n);
    for (int i = quads - 1; i >= 0; i--)
        fprintf(out, "%016llx%s", (ull)load_le64(fpu->zmm[n] + 8 * i), i ? " " : "");
}

static void describe_fpu(const struct fpu_state *fpu, bool wide, FILE *out)
{
    fprintf(out, "FCW=%04x FSW=%04x [ST=%u] FTW=%02x MXCSR=%08x\n", fpu->fcw, fpu->fsw,
            fpu_top(fpu), fpu_short_tags(fpu), fpu->mxcsr);
    for (int i = 0; i < 8; i++)
        fprintf(out, "FPR%d=%016llx %04x%c", i, (ull)load_le64(fpu->st[i]),
                load_le16(fpu->st[i] + 8), i % 2 ? '\n' : ' ');
    if ((fpu->xcr0 & XSTATE_AVX512) == XSTATE_AVX512) {
        for (int i = 0; i < 8; i++)
            fprintf(out, "Opmask%02d=%016llx%c", i, (ull)fpu->opmask[i], i % 4 == 3 ? '\n' : ' ');
        for (int i = 0; i < (wide ? 32 : 8); i++) {
            describe_vector(fpu, "ZMM", i, 8, out);
            fputc('\n', out);
        }
    } else if (fpu->xcr0 & XSTATE_AVX) {
        for (int i = 0; i < (wide ? 16 : 8); i++) {
            describe_vector(fpu, "YMM", i, 4, out);
            fputc('\n', out);
        }
    } else {
        for (int i = 0; i < (wide ? 16 : 8); i++) {
            describe_vector(fpu, "XMM", i, 2, out);
            fputc(i % 2 ? '\n' : ' ', out);
        }
    }
}

char *cpu_describe(const struct vcpu *cpu)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    bool wide = cpu_code64(cpu);
    int width = wide ? 16 : 8;
    describe_integer(cpu, wide, width, out);
    describe_segments(cpu, width, out);
    describe_control(cpu, width, out);
    describe_fpu(&cpu->fpu, wide, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
