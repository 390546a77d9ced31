/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * CPUID: SDM 2A, AMD APM 3 appendix E. The hypervisor leaves are KVM's, since that is what Linux
 * knows a clock by; of KVM's features only the clock and "port 80h needs no delay" are offered.
 */
#include "cpu/clock.h"
#include "cpu/control.h"
#include "cpu/model.h"

/* The APIC's enable bit shows in leaf 1. */
static bool apic_enabled(struct vcpu *cpu)
{
    uint64_t base = 0x800;
    if (cpu->world && cpu->world->apic_msr_read && cpu_model_has(cpu->model, CPU_APIC))
        (void)cpu_read_msr(cpu, 0x1b, &base);
    return base & 0x800;
}

static uint32_t version(const struct cpu_model *model)
{
    uint32_t family = model->family > 15 ? 15 : model->family;
    uint32_t extended = model->family > 15 ? model->family - 15 : 0;
    return model->stepping | (model->model & 15) << 4 | family << 8 | (model->model >> 4) << 16 |
           extended << 20;
}

static struct cpuid_result leaf_vendor(const struct cpu_model *model, uint32_t max)
{
    const char *v = model->vendor;
    return (struct cpuid_result){max, load_le32(v), load_le32(v + 8), load_le32(v + 4)};
}

static struct cpuid_result leaf_1(struct vcpu *cpu)
{
    const struct cpu_model *model = cpu->model;
    struct cpuid_result r = {.eax = version(model),
                             .edx = model->features[FEAT_1_EDX],
                             .ecx = model->features[FEAT_1_ECX]};
    r.ebx = (uint32_t)cpu->index << 24 | 8 << 8; /* CLFLUSH of 64 bytes, told even without it */
    if (cpu->cr4 & CR4_OSXSAVE)
        r.ecx |= 1 << 27;
    if (!apic_enabled(cpu))
        r.edx &= ~(1u << 9);
    return r;
}

/* Leaves 4 and 8000001Dh by subleaf; ECX and EDX of 80000005h and 80000006h. What the plain ones
 * say does not agree with itself, since it is what QEMU's models have said since they were made. */
static const struct cache_leaves {
    struct cpuid_result deterministic[4];
    uint32_t l1d, l1i, l2, l3;
} caches[] = {
    [CACHES_PLAIN] = {{{0x121, 0x1c0003f, 0x3f, 1},
                       {0x122, 0x1c0003f, 0x3f, 1},
                       {0x143, 0x3c0003f, 0xfff, 1},
                       {0x163, 0x3c0003f, 0x3fff, 6}},
                      0x40020140,
                      0x40020140,
                      0x02008140,
                      0x00808140},
    [CACHES_EPYC] = {{{0x121, 0x1c0003f, 0x3f, 1},
                      {0x122, 0x0c0003f, 0xff, 1},
                      {0x043, 0x1c0003f, 0x3ff, 0},
                      {0x163, 0x3c0003f, 0x1fff, 6}},
                     0x20080140,
                     0x40040140,
                     0x02006140,
                     0x00408140},
    [CACHES_EPYC_ROME] = {{{0x121, 0x1c0003f, 0x3f, 1},
                           {0x122, 0x1c0003f, 0x3f, 1},
                           {0x043, 0x1c0003f, 0x3ff, 0},
                           {0x163, 0x3c0003f, 0x3fff, 6}},
                          0x20080140,
                          0x20080140,
                          0x02006140,
                          0x00808140},
    [CACHES_EPYC_MILAN] = {{{0x121, 0x1c0003f, 0x3f, 1},
                            {0x122, 0x1c0003f, 0x3f, 1},
                            {0x043, 0x1c0003f, 0x3ff, 0},
                            {0x163, 0x3c0003f, 0x7fff, 6}},
                           0x20080140,
                           0x20080140,
                           0x02006140,
                           0x01008140},
};

static struct cpuid_result deterministic_cache(const struct cpu_model *model, uint32_t subleaf)
{
    return subleaf < 4 ? caches[model->caches].deterministic[subleaf] : (struct cpuid_result){0};
}

static struct cpuid_result leaf_2(const struct cpu_model *model)
{
    if (model->caches != CACHES_PLAIN)
        return (struct cpuid_result){1, 0, 0x4b, 0x2cff80};
    return (struct cpuid_result){1, 0, 0x4d, 0x2c307d};
}

static struct cpuid_result leaf_7(const struct cpu_model *model, uint32_t subleaf)
{
    if (subleaf == 1)
        return (struct cpuid_result){.eax = model->features[FEAT_7_1_EAX]};
    if (subleaf)
        return (struct cpuid_result){0};
    return (struct cpuid_result){.eax = model->features[FEAT_7_1_EAX] != 0,
                                 .ebx = model->features[FEAT_7_EBX],
                                 .ecx = model->features[FEAT_7_ECX],
                                 .edx = model->features[FEAT_7_EDX]};
}

/* Topology: one thread a core, one core a package. */
static struct cpuid_result leaf_b(const struct vcpu *cpu, uint32_t subleaf)
{
    struct cpuid_result r = {.ecx = subleaf & 0xff, .edx = (uint32_t)cpu->index};
    if (subleaf < 2) {
        r.ebx = 1;
        r.ecx |= (subleaf + 1) << 8;
    }
    return r;
}

/* Bytes of an XSAVE area for these components. */
static uint32_t xsave_size(uint64_t components, bool compact)
{
    uint32_t size = XSTATE_EXTENDED;
    for (unsigned i = 2; i < XSTATE_COMPONENTS; i++) {
        const struct xstate_component *c = &xstate_components[i];
        if (!(components >> i & 1))
            continue;
        if (compact)
            size += c->size;
        else if (c->offset + c->size > (int)size)
            size = c->offset + c->size;
    }
    return size;
}

static struct cpuid_result leaf_d(const struct vcpu *cpu, uint32_t subleaf)
{
    const struct cpu_model *model = cpu->model;
    uint32_t there = XSTATE_X87 | XSTATE_SSE;
    if (cpu_model_has(model, CPU_AVX))
        there |= XSTATE_AVX;
    if (cpu_model_has(model, CPU_AVX512F))
        there |= XSTATE_AVX512;
    if (!cpu_model_has(model, CPU_XSAVE))
        return (struct cpuid_result){0};
    if (subleaf == 0)
        return (struct cpuid_result){
            .eax = there, .ebx = xsave_size(cpu->fpu.xcr0, false), .ecx = xsave_size(there, false)};
    if (subleaf == 1)
        return (struct cpuid_result){
            .eax = model->features[FEAT_D_1_EAX],
            .ebx = xsave_size(cpu->fpu.xcr0, cpu_model_has(model, CPU_XSAVES))};
    if (subleaf < XSTATE_COMPONENTS && there >> subleaf & 1)
        return (struct cpuid_result){xstate_components[subleaf].size,
                                     xstate_components[subleaf].offset, 0, 0};
    return (struct cpuid_result){0};
}

/* TSC frequency over a made-up 24 MHz crystal: ratio in kHz. */
static struct cpuid_result leaf_15(const struct vcpu *cpu)
{
    return (struct cpuid_result){24000, (uint32_t)clock_tsc_khz(cpu), 24000000, 0};
}

static struct cpuid_result leaf_16(const struct vcpu *cpu)
{
    uint32_t mhz = (uint32_t)(clock_tsc_khz(cpu) / 1000);
    return (struct cpuid_result){mhz, mhz, 100, 0};
}

static struct cpuid_result basic(struct vcpu *cpu, uint32_t leaf, uint32_t subleaf)
{
    const struct cpu_model *model = cpu->model;
    static const struct cpuid_result nothing = {0}, no_monitor = {.ecx = 3},
                                     monitor = {64, 64, 3, 0};
    bool amd = !strcmp(model->vendor, "AuthenticAMD");
    switch (leaf) {
    case 0:
        return leaf_vendor(model, model->max_leaf);
    case 1:
        return leaf_1(cpu);
    case 2:
        return amd ? nothing : leaf_2(model);
    case 4:
        return amd ? nothing : deterministic_cache(model, subleaf);
    case 5:
        return cpu_model_has(model, CPU_MONITOR) ? monitor : no_monitor;
    case 6:
        return (struct cpuid_result){.eax = model->features[FEAT_6_EAX]};
    case 7:
        return leaf_7(model, subleaf);
    case 0xb:
        return leaf_b(cpu, subleaf);
    case 0xd:
        return leaf_d(cpu, subleaf);
    case 0x15:
        return leaf_15(cpu);
    case 0x16:
        return leaf_16(cpu);
    default:
        return (struct cpuid_result){0};
    }
}

static struct cpuid_result leaf_ext_1(const struct cpu_model *model)
{
    struct cpuid_result r = {.eax = version(model),
                             .ecx = model->features[FEAT_8_1_ECX],
                             .edx = model->features[FEAT_8_1_EDX]};
    /* AMD repeats what leaf 1 has. */
    if (!strcmp(model->vendor, "AuthenticAMD"))
        r.edx |= model->features[FEAT_1_EDX] & 0x0183f3ff;
    return r;
}

static struct cpuid_result brand(const struct cpu_model *model, uint32_t part)
{
    char text[48] = {0};
    memcpy(text, model->brand, strnlen(model->brand, sizeof(text)));
    const char *p = text + part * 16;
    return (struct cpuid_result){load_le32(p), load_le32(p + 4), load_le32(p + 8),
                                 load_le32(p + 12)};
}

static struct cpuid_result extended(const struct vcpu *cpu, uint32_t leaf, uint32_t subleaf)
{
    const struct cpu_model *model = cpu->model;
    bool amd = strcmp(model->vendor, "GenuineIntel") != 0; /* or Hygon */
    switch (leaf) {
    case 0x80000000:
        return leaf_vendor(model, model->max_extended_leaf);
    case 0x80000001:
        return leaf_ext_1(model);
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        return brand(model, leaf - 0x80000002);
    case 0x80000005: /* L1 and its TLBs */
        return (struct cpuid_result){0x01ff01ff, 0x01ff01ff, caches[model->caches].l1d,
                                     caches[model->caches].l1i};
    case 0x80000006: /* L2, its TLBs, L3 */
        return (struct cpuid_result){0, 0x42004200, caches[model->caches].l2,
                                     caches[model->caches].l3};
    case 0x80000007:
        return (struct cpuid_result){.edx = model->features[FEAT_8_7_EDX]};
    case 0x80000008:
        return (struct cpuid_result){.eax = model->physical_bits |
                                            (cpu_model_has(model, CPU_LM) ? 48u << 8 : 0),
                                     .ebx = model->features[FEAT_8_8_EBX]};
    case 0x8000001d:
        return amd ? deterministic_cache(model, subleaf) : (struct cpuid_result){0};
    case 0x8000001e: /* APIC and core identity: one thread a core, one node */
        return cpu_model_has(model, CPU_TOPOEXT)
                   ? (struct cpuid_result){.eax = (uint32_t)cpu->index, .ebx = (uint32_t)cpu->index}
                   : (struct cpuid_result){0};
    case 0x80000021: /* LFENCE serializes; null selectors clear the base */
        return (struct cpuid_result){.eax = 1 << 2 | 1 << 6};
    default:
        return (struct cpuid_result){0};
    }
}

static struct cpuid_result hypervisor(const struct vcpu *cpu, uint32_t leaf)
{
    if (!cpu->model->kvm) {
        if (leaf == 0x40000000) /* a hypervisor, and no more to say */
            return (struct cpuid_result){leaf, 0x70617254, 0x54657a65, 0x7a706172};
        return (struct cpuid_result){0};
    }
    switch (leaf) {
    case 0x40000000:
        return (struct cpuid_result){0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d};
    case 0x40000001:
        return (struct cpuid_result){.eax = cpu->model->features[FEAT_KVM]};
    default:
        return (struct cpuid_result){0};
    }
}

struct cpuid_result cpu_cpuid(struct vcpu *cpu, uint32_t leaf, uint32_t subleaf)
{
    const struct cpu_model *model = cpu->model;
    if (leaf >> 16 == 0x4000 && cpu_model_has(model, CPU_HYPERVISOR))
        return hypervisor(cpu, leaf);
    if (leaf >> 31)
        return leaf <= model->max_extended_leaf ? extended(cpu, leaf, subleaf)
                                                : (struct cpuid_result){0};
    if (leaf <= model->max_leaf)
        return basic(cpu, leaf, subleaf);
    return (struct cpuid_result){0};
}
