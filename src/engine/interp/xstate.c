/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Saving and restoring the vector state: FXSAVE, FXRSTOR, XSAVE and its kin, LDMXCSR, STMXCSR.
 * References: Intel SDM volume 1 chapter 10.5 (FXSAVE image) and 13 (XSAVE); volume 2.
 */
#include "engine/interp/vector.h"

#include "cpu/model.h"

enum {
    IMAGE_MXCSR = 24,
    IMAGE_ST = 32,
    IMAGE_XMM = 160,
    IMAGE_END = 416, /* of what FXSAVE writes; to 512 is the system's */
    IMAGE_SIZE = 512,
    HEADER_BV = 512,
    HEADER_COMPACT = 520,
    HEADER_SIZE = 64,
};
#define COMPACT (1ull << 63)

/* Registers 8 to 15 exist in 64-bit code only. */
static unsigned vector_count(const struct op *op)
{
    return op->extra16 & VEC_CODE64 ? 16 : 8;
}

/* The x87 part of an image: bytes 0-23 and 32-159. */
static void put_x87(const struct fpu_state *fpu, uint8_t *image, bool wide)
{
    store_le16(image, fpu->fcw);
    store_le16(image + 2, fpu->fsw);
    store_le16(image + 4, fpu_short_tags(fpu));
    store_le16(image + 6, fpu->fop);
    if (wide) {
        store_le64(image + 8, fpu->fip);
        store_le64(image + 16, fpu->fdp);
    } else {
        store_le32(image + 8, (uint32_t)fpu->fip);
        store_le32(image + 12, fpu->fcs);
        store_le32(image + 16, (uint32_t)fpu->fdp);
        store_le32(image + 20, fpu->fds);
    }
    for (unsigned i = 0; i < 8; i++) {
        uint8_t *to = image + IMAGE_ST + i * 16;
        memcpy(to, fpu->st[(fpu_top(fpu) + i) & 7], 10);
        memset(to + 10, 0, 6);
    }
}

static void get_x87(struct fpu_state *fpu, const uint8_t *image, bool wide)
{
    fpu->fcw = (load_le16(image) & 0x1f7f) | 0x40;
    fpu->fsw = load_le16(image + 2);
    fpu_set_short_tags(fpu, image[4]);
    fpu->fop = load_le16(image + 6) & 0x7ff;
    fpu->fip = wide ? load_le64(image + 8) : load_le32(image + 8);
    fpu->fdp = wide ? load_le64(image + 16) : load_le32(image + 16);
    fpu->fcs = wide ? 0 : load_le16(image + 12);
    fpu->fds = wide ? 0 : load_le16(image + 20);
    for (unsigned i = 0; i < 8; i++)
        memcpy(fpu->st[(fpu_top(fpu) + i) & 7], image + IMAGE_ST + i * 16, 10);
    fpu_summarise(fpu);
}

static void init_x87(struct fpu_state *fpu)
{
    fpu_init(fpu);
    memset(fpu->st, 0, sizeof(fpu->st));
}

static void check_mxcsr(struct vcpu *cpu, uint32_t value)
{
    if (value & ~MXCSR_MASK)
        cpu_raise_gp(cpu, 0);
}

/* Linear address of the image, checked for alignment. */
static gva_t image_address(struct vcpu *cpu, const struct op *op, unsigned size, unsigned align,
                           bool write)
{
    gva_t addr = op_linear(cpu, op, size, write);
    /* #AC may come before #GP, by the model (SDM 2A, FXSAVE): as Intel's do it. */
    tlb_check_alignment(cpu, addr, 4, cpu->mmu);
    if (addr & (align - 1))
        cpu_raise_gp(cpu, 0);
    return addr;
}

static void check_write(struct vcpu *cpu, gva_t addr, unsigned size)
{
    if (!vector_target(cpu, addr, size))
        tlb_check_write(cpu, addr, size, cpu->mmu);
}

static void fetch(struct vcpu *cpu, const struct op *op, gva_t addr, uint8_t *to, unsigned size)
{
    const void *from = vector_source(cpu, op, addr, size, to);
    if (from != to)
        memcpy(to, from, size);
}

/* FXSAVE */

static void check_fxsave(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    if (cpu->cr0 & (CR0_EM | CR0_TS))
        cpu_raise(cpu, VEC_NM, 0);
}

/* EFER.FFXSR: the kernel does without the xmm registers. */
static bool fast_fxsave(const struct vcpu *cpu, const struct op *op)
{
    return cpu->efer & EFER_FFXSR && cpu->cpl == 0 && op->extra16 & VEC_CODE64;
}

static const struct op *do_fxsave(struct vcpu *cpu, const struct op *op)
{
    uint8_t image[IMAGE_END] = {0};
    check_fxsave(cpu, op);
    gva_t addr = image_address(cpu, op, IMAGE_SIZE, 16, true);
    check_write(cpu, addr, IMAGE_SIZE);
    put_x87(&cpu->fpu, image, op->extra16 & VEC_REX_W);
    store_le32(image + IMAGE_MXCSR, cpu->fpu.mxcsr);
    store_le32(image + IMAGE_MXCSR + 4, MXCSR_MASK);
    unsigned count = fast_fxsave(cpu, op) ? 0 : vector_count(op);
    for (unsigned i = 0; i < count; i++)
        memcpy(image + IMAGE_XMM + i * 16, cpu->fpu.zmm[i], 16);
    vector_store(cpu, op, addr, image, IMAGE_XMM + count * 16);
    return op + 1;
}

static const struct op *do_fxrstor(struct vcpu *cpu, const struct op *op)
{
    uint8_t image[IMAGE_SIZE];
    check_fxsave(cpu, op);
    gva_t addr = image_address(cpu, op, IMAGE_SIZE, 16, false);
    fetch(cpu, op, addr, image, IMAGE_SIZE);
    check_mxcsr(cpu, load_le32(image + IMAGE_MXCSR));
    get_x87(&cpu->fpu, image, op->extra16 & VEC_REX_W);
    cpu->fpu.mxcsr = load_le32(image + IMAGE_MXCSR);
    unsigned count = fast_fxsave(cpu, op) ? 0 : vector_count(op);
    for (unsigned i = 0; i < count; i++)
        memcpy(cpu->fpu.zmm[i], image + IMAGE_XMM + i * 16, 16);
    return op + 1;
}

/* MXCSR alone */

static const struct op *do_ldmxcsr(struct vcpu *cpu, const struct op *op)
{
    vector_check(cpu, op, op->reg ? KIND_AVX : KIND_SSE);
    gva_t addr = op_linear(cpu, op, 4, false);
    uint32_t value = (uint32_t)tlb_load(cpu, addr, 4, cpu->mmu);
    check_mxcsr(cpu, value);
    cpu->fpu.mxcsr = value;
    return op + 1;
}

static const struct op *do_stmxcsr(struct vcpu *cpu, const struct op *op)
{
    vector_check(cpu, op, op->reg ? KIND_AVX : KIND_SSE);
    gva_t addr = op_linear(cpu, op, 4, true);
    tlb_store(cpu, addr, cpu->fpu.mxcsr, 4, cpu->mmu);
    return op + 1;
}

/* XSAVE: components beyond the FXSAVE area. */

/* Where component i lies in the registers: `number` pieces of `size` bytes, `stride` apart. */
struct place {
    uint8_t *base;
    unsigned size, stride, number;
};
static struct place place_of(struct fpu_state *fpu, unsigned component, unsigned count)
{
    switch (component) {
    case 1:
        return (struct place){fpu->zmm[0], 16, 64, count};
    case 2:
        return (struct place){fpu->zmm[0] + 16, 16, 64, count};
    case 5:
        return (struct place){(uint8_t *)fpu->opmask, 64, 64, 1};
    case 6:
        return (struct place){fpu->zmm[0] + 32, 32, 64, count};
    default:
        return (struct place){fpu->zmm[16], 64, 64, count == 16 ? 16 : 0};
    }
}

/* One component's bytes from or to the registers: `bytes` is where it lies. By eight bytes: a
 * kernel does this at each change of tasks, and memcpy of so little is slow to begin. */
static void transfer(struct fpu_state *fpu, unsigned component, uint8_t *bytes, bool save,
                     unsigned count)
{
    struct place p = place_of(fpu, component, count);
    if (!save && !bytes) {
        for (unsigned i = 0; i < p.number; i++)
            memset(p.base + i * p.stride, 0, p.size);
        return;
    }
    for (unsigned i = 0; i < p.number; i++) {
        uint8_t *at = p.base + i * p.stride;
        for (unsigned k = 0; k < p.size; k += 8, bytes += 8)
            memcpy(save ? bytes : at + k, save ? at + k : bytes, 8);
    }
}

static bool all_zero(const uint8_t *bytes, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

static bool initial(const struct place *p)
{
    uint64_t any = 0;
    for (unsigned i = 0; i < p->number && !any; i++)
        for (unsigned k = 0; k < p->size; k += 8)
            any |= load_le64(p->base + i * p->stride + k);
    return !any;
}

/* XINUSE: components that are not in their initial configuration. */
static uint64_t in_use(struct fpu_state *fpu, uint64_t wanted)
{
    uint64_t used = wanted & (XSTATE_X87 | XSTATE_SSE);
    for (unsigned i = 2; i < XSTATE_COMPONENTS; i++) {
        if (!(wanted >> i & 1))
            continue;
        struct place place = place_of(fpu, i, 16);
        if (!initial(&place))
            used |= 1ull << i;
    }
    return used;
}

/* Where component i lies in an area that holds those of `held` compactly. */
static unsigned compact_offset(uint64_t held, unsigned component)
{
    unsigned offset = XSTATE_EXTENDED;
    for (unsigned i = 2; i < component; i++)
        if (held >> i & 1)
            offset += xstate_components[i].size;
    return offset;
}

static unsigned area_offset(unsigned component, uint64_t held, bool compact)
{
    if (component < 2 || !compact)
        return xstate_components[component].offset;
    return compact_offset(held, component);
}

static unsigned area_size(uint64_t components, bool compact)
{
    unsigned size = XSTATE_EXTENDED;
    for (unsigned i = 2; i < XSTATE_COMPONENTS; i++) {
        if (!(components >> i & 1))
            continue;
        unsigned end = area_offset(i, components, compact) + xstate_components[i].size;
        if (end > size)
            size = end;
    }
    return size;
}

static uint64_t check_xsave(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    if (!(cpu->cr4 & CR4_OSXSAVE))
        cpu_raise_ud(cpu);
    if (cpu->cr0 & CR0_TS)
        cpu_raise(cpu, VEC_NM, 0);
    uint64_t mask = (uint64_t)(uint32_t)cpu->gpr[RDX] << 32 | (uint32_t)cpu->gpr[RAX];
    return mask & cpu->fpu.xcr0;
}

enum xsave_form { FORM_XSAVE, FORM_XSAVEOPT, FORM_XSAVEC, FORM_XSAVES };

static void check_supervisor(struct vcpu *cpu, const struct op *op)
{
    if (op->reg == FORM_XSAVES && cpu->cpl)
        cpu_raise_gp(cpu, 0);
}

/* Writes the parts of `components` that lie in the FXSAVE area. */
static void save_legacy(struct vcpu *cpu, const struct op *op, gva_t addr, uint64_t components,
                        bool mxcsr)
{
    uint8_t image[IMAGE_END] = {0};
    if (components & XSTATE_X87) {
        put_x87(&cpu->fpu, image, op->extra16 & VEC_REX_W);
        vector_store(cpu, op, addr, image, IMAGE_MXCSR);
        vector_store(cpu, op, addr + IMAGE_ST, image + IMAGE_ST, 128);
    }
    if (mxcsr) {
        uint8_t both[8];
        store_le32(both, cpu->fpu.mxcsr);
        store_le32(both + 4, MXCSR_MASK);
        vector_store(cpu, op, addr + IMAGE_MXCSR, both, 8);
    }
    if (components & XSTATE_SSE) {
        transfer(&cpu->fpu, 1, image, true, vector_count(op));
        vector_store(cpu, op, addr + IMAGE_XMM, image, vector_count(op) * 16);
    }
}

static void save_extended(struct vcpu *cpu, const struct op *op, gva_t addr, uint64_t components,
                          uint64_t held, bool compact)
{
    for (unsigned i = 2; i < XSTATE_COMPONENTS; i++) {
        uint8_t bytes[1024];
        if (!(components >> i & 1) || !xstate_components[i].size)
            continue;
        /* Outside 64-bit code the upper registers' places are not written. */
        unsigned size = xstate_components[i].size;
        if (vector_count(op) == 8 && i != 5)
            size = i == 7 ? 0 : size / 2;
        transfer(&cpu->fpu, i, bytes, true, vector_count(op));
        if (size)
            vector_store(cpu, op, addr + area_offset(i, held, compact), bytes, size);
    }
}

static const struct op *do_xsave(struct vcpu *cpu, const struct op *op)
{
    uint64_t wanted = check_xsave(cpu, op);
    bool compact = op->reg == FORM_XSAVEC || op->reg == FORM_XSAVES;
    check_supervisor(cpu, op);
    unsigned size = area_size(wanted, compact);
    gva_t addr = image_address(cpu, op, size, 64, true);
    check_write(cpu, addr, size);
    uint64_t used = in_use(&cpu->fpu, wanted);
    uint8_t header[16] = {0};
    if (!compact)
        fetch(cpu, op, addr + HEADER_BV, header, 8);
    store_le64(header, compact ? used : (load_le64(header) & ~wanted) | used);
    store_le64(header + 8, wanted | COMPACT);
    uint64_t saved = op->reg == FORM_XSAVE ? wanted : used;
    bool mxcsr = compact ? wanted & XSTATE_SSE : wanted & (XSTATE_SSE | XSTATE_AVX);
    save_legacy(cpu, op, addr, saved, mxcsr);
    save_extended(cpu, op, addr, saved, wanted, compact);
    vector_store(cpu, op, addr + HEADER_BV, header, compact ? 16 : 8);
    return op + 1;
}

/* XRSTOR: the header says what is there; whatever is wrong with it is #GP. */
static void check_header(struct vcpu *cpu, const struct op *op, const uint8_t *header)
{
    uint64_t present = load_le64(header), held = load_le64(header + 8);
    bool bad;
    if (held & COMPACT)
        bad = held & ~COMPACT & ~cpu->fpu.xcr0 || present & ~held ||
              !all_zero(header + 16, HEADER_SIZE - 16) ||
              !cpu_model_has(cpu->model, FEATURE(FEAT_D_1_EAX, 1));
    else
        bad = present & ~cpu->fpu.xcr0 || !all_zero(header + 8, 16) || op->reg == FORM_XSAVES;
    if (bad)
        cpu_raise_gp(cpu, 0);
}

static void restore_component(struct vcpu *cpu, const struct op *op, unsigned i, uint8_t *area)
{
    if (i == 0 && area)
        get_x87(&cpu->fpu, area, op->extra16 & VEC_REX_W);
    else if (i == 0)
        init_x87(&cpu->fpu);
    else if (xstate_components[i].size)
        transfer(&cpu->fpu, i, area, false, vector_count(op));
}

static const struct op *do_xrstor(struct vcpu *cpu, const struct op *op)
{
    uint8_t area[XSTATE_AREA_MAX] = {0};
    uint64_t wanted = check_xsave(cpu, op);
    check_supervisor(cpu, op);
    gva_t addr = image_address(cpu, op, XSTATE_EXTENDED, 64, false);
    fetch(cpu, op, addr, area, XSTATE_EXTENDED);
    check_header(cpu, op, area + HEADER_BV);
    uint64_t present = load_le64(area + HEADER_BV), held = load_le64(area + HEADER_COMPACT);
    bool compact = held & COMPACT;
    held = compact ? held & ~COMPACT : present;
    uint64_t loaded = wanted & present;
    unsigned size = area_size(compact ? held : loaded, compact);
    if (size > XSTATE_EXTENDED)
        fetch(cpu, op, addr + XSTATE_EXTENDED, area + XSTATE_EXTENDED, size - XSTATE_EXTENDED);
    uint32_t mxcsr = load_le32(area + IMAGE_MXCSR);
    bool take = compact ? loaded & XSTATE_SSE : wanted & (XSTATE_SSE | XSTATE_AVX);
    if (take)
        check_mxcsr(cpu, mxcsr);
    for (unsigned i = 0; i < XSTATE_COMPONENTS; i++)
        if (wanted >> i & 1)
            restore_component(cpu, op, i,
                              loaded >> i & 1 ? area + area_offset(i, held, compact) : NULL);
    if (take)
        cpu->fpu.mxcsr = mxcsr;
    else if (compact && wanted & XSTATE_SSE)
        cpu->fpu.mxcsr = MXCSR_RESET;
    return op + 1;
}

/* Decoding */

static bool choose(const struct decoded *d, struct op *op, unsigned feature, op_fn fn, unsigned reg)
{
    op->reg = (uint8_t)reg;
    op->fn = cpu_model_has(d->cpu->model, (enum cpu_feature)feature) ? fn : vector_undefined;
    return true;
}

bool decode_xstate(const struct decoded *d, struct op *op)
{
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
        return choose(d, op, CPU_FXSR, do_fxsave, 0);
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
        return choose(d, op, CPU_FXSR, do_fxrstor, 0);
    case ZYDIS_MNEMONIC_LDMXCSR:
        return choose(d, op, CPU_SSE, do_ldmxcsr, 0);
    case ZYDIS_MNEMONIC_STMXCSR:
        return choose(d, op, CPU_SSE, do_stmxcsr, 0);
    case ZYDIS_MNEMONIC_VLDMXCSR:
        return choose(d, op, CPU_AVX, do_ldmxcsr, 1);
    case ZYDIS_MNEMONIC_VSTMXCSR:
        return choose(d, op, CPU_AVX, do_stmxcsr, 1);
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVE64:
        return choose(d, op, CPU_XSAVE, do_xsave, FORM_XSAVE);
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
        return choose(d, op, FEATURE(FEAT_D_1_EAX, 0), do_xsave, FORM_XSAVEOPT);
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
        return choose(d, op, FEATURE(FEAT_D_1_EAX, 1), do_xsave, FORM_XSAVEC);
    case ZYDIS_MNEMONIC_XSAVES:
    case ZYDIS_MNEMONIC_XSAVES64:
        return choose(d, op, FEATURE(FEAT_D_1_EAX, 3), do_xsave, FORM_XSAVES);
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64:
        return choose(d, op, CPU_XSAVE, do_xrstor, FORM_XSAVE);
    case ZYDIS_MNEMONIC_XRSTORS:
    case ZYDIS_MNEMONIC_XRSTORS64:
        return choose(d, op, FEATURE(FEAT_D_1_EAX, 3), do_xrstor, FORM_XSAVES);
    default:
        return false;
    }
}
