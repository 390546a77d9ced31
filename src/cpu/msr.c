/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Model-specific registers: SDM volume 4, AMD APM 2 appendix A; kvmclock: Linux
 * Documentation/virt/kvm/x86/msr.rst. What Linux, SeaBIOS, memtest and Windows touch on a processor
 * of the families our models claim; anything else is not there.
 */
#include "base/log.h"
#include "cpu/clock.h"
#include "cpu/control.h"
#include "cpu/descriptor.h"
#include "cpu/model.h"

enum msr {
    MSR_TSC = 0x10,
    MSR_PLATFORM_ID = 0x17,
    MSR_APIC_BASE = 0x1b,
    MSR_FEATURE_CONTROL = 0x3a,
    MSR_TSC_ADJUST = 0x3b,
    MSR_SPEC_CTRL = 0x48,
    MSR_PRED_CMD = 0x49,
    MSR_UCODE_WRITE = 0x79,
    MSR_UCODE_REV = 0x8b,
    MSR_MTRR_CAP = 0xfe,
    MSR_ARCH_CAPABILITIES = 0x10a,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_MCG_CAP = 0x179,
    MSR_MCG_STATUS = 0x17a,
    MSR_MCG_CTL = 0x17b,
    MSR_PERF_STATUS = 0x198,
    MSR_MISC_ENABLE = 0x1a0,
    MSR_DEBUGCTL = 0x1d9,
    MSR_MTRR_PHYS = 0x200,
    MSR_MTRR_PHYS_LAST = 0x20f,
    MSR_MTRR_FIX64K = 0x250,
    MSR_MTRR_FIX16K = 0x258,
    MSR_MTRR_FIX4K = 0x268,
    MSR_PAT = 0x277,
    MSR_MTRR_DEF_TYPE = 0x2ff,
    MSR_MC0 = 0x400,
    MSR_MC_LAST = 0x400 + 4 * 10 - 1,
    MSR_TSC_DEADLINE = 0x6e0,
    MSR_X2APIC_FIRST = 0x800,
    MSR_X2APIC_LAST = 0x8ff,
    MSR_XSS = 0xda0,
};

/* 10 banks, MCG_CTL is there. */
static const uint64_t mcg_cap = 10 | 1 << 8;
/* 8 variable ranges, fixed ranges, write combining. */
static const uint64_t mtrr_cap = 8 | 1 << 8 | 1 << 10;
static bool has(const struct vcpu *cpu, enum cpu_feature feature)
{
    return cpu_model_has(cpu->model, feature);
}

static bool memory_type_valid(unsigned type)
{
    return type == 0 || type == 1 || type == 4 || type == 5 || type == 6;
}

static uint64_t *mtrr_fixed(struct vcpu *cpu, uint32_t msr)
{
    if (msr == MSR_MTRR_FIX64K)
        return &cpu->mtrr_fixed[0];
    if (msr == MSR_MTRR_FIX16K || msr == MSR_MTRR_FIX16K + 1)
        return &cpu->mtrr_fixed[1 + msr - MSR_MTRR_FIX16K];
    if (msr >= MSR_MTRR_FIX4K && msr < MSR_MTRR_FIX4K + 8)
        return &cpu->mtrr_fixed[3 + msr - MSR_MTRR_FIX4K];
    return NULL;
}

/* The plain ones, by number: storage that is read and written as it is. The features they hang on
 * are checked by the callers. NULL: not such a one. */
static uint64_t *plain(struct vcpu *cpu, uint32_t msr)
{
    switch (msr) {
    case MSR_FEATURE_CONTROL:
        return &cpu->feature_control;
    case MSR_SYSENTER_CS:
        return &cpu->sysenter_cs;
    case MSR_MCG_STATUS:
        return &cpu->mcg_status;
    case MSR_MCG_CTL:
        return &cpu->mcg_ctl;
    case MSR_MISC_ENABLE:
        return &cpu->misc_enable;
    case MSR_DEBUGCTL:
        return &cpu->debugctl;
    case 0xc0000081:
        return &cpu->star;
    case 0xc0000084:
        return &cpu->sfmask;
    case 0xc0000103:
        return &cpu->tsc_aux;
    default:
        break;
    }
    if (msr >= MSR_MTRR_PHYS && msr <= MSR_MTRR_PHYS_LAST) {
        unsigned i = (msr - MSR_MTRR_PHYS) / 2;
        return msr & 1 ? &cpu->mtrr_mask[i] : &cpu->mtrr_base[i];
    }
    if (msr >= MSR_MC0 && msr <= MSR_MC_LAST)
        return &cpu->mce_bank[msr - MSR_MC0];
    return mtrr_fixed(cpu, msr);
}

/* Those that hold a linear address. */
static uint64_t *address(struct vcpu *cpu, uint32_t msr)
{
    switch (msr) {
    case MSR_SYSENTER_ESP:
        return &cpu->sysenter_esp;
    case MSR_SYSENTER_EIP:
        return &cpu->sysenter_eip;
    case 0xc0000082:
        return &cpu->lstar;
    case 0xc0000083:
        return &cpu->cstar;
    case 0xc0000100:
        return &cpu->seg[SEG_FS].base;
    case 0xc0000101:
        return &cpu->seg[SEG_GS].base;
    case 0xc0000102:
        return &cpu->kernel_gs_base;
    default:
        return NULL;
    }
}

/* The bits of SPEC_CTRL: IBRS, STIBP, SSBD. Those with Intel's IBRS take STIBP even without it (SDM
 * 4, table 2-2). */
static uint64_t spec_ctrl_bits(const struct vcpu *cpu)
{
    uint64_t ibrs = has(cpu, CPU_SPEC_CTRL) || has(cpu, CPU_IBRS);
    uint64_t stibp = has(cpu, CPU_STIBP) || has(cpu, CPU_AMD_STIBP) || has(cpu, CPU_SPEC_CTRL);
    uint64_t ssbd = has(cpu, CPU_SSBD) || has(cpu, CPU_AMD_SSBD);
    return ibrs | stibp << 1 | ssbd << 2;
}

/* Does the model have this one at all? */
static bool exists(const struct vcpu *cpu, uint32_t msr)
{
    if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST)
        return has(cpu, CPU_X2APIC);
    if (msr >= 0xc0000080 && msr <= 0xc0000084)
        return has(cpu, CPU_SYSCALL) || has(cpu, CPU_NX);
    if (msr >= 0xc0000100 && msr <= 0xc0000102)
        return has(cpu, CPU_LM);
    if ((msr >= MSR_MTRR_PHYS && msr < MSR_PAT) || msr == MSR_MTRR_DEF_TYPE || msr == MSR_MTRR_CAP)
        return has(cpu, CPU_MTRR);
    switch (msr) {
    case MSR_APIC_BASE:
        return has(cpu, CPU_APIC);
    case MSR_TSC:
        return has(cpu, CPU_TSC);
    case MSR_TSC_ADJUST:
        return has(cpu, CPU_TSC_ADJUST);
    case MSR_SPEC_CTRL:
        return spec_ctrl_bits(cpu) != 0;
    case MSR_PRED_CMD:
        return has(cpu, CPU_SPEC_CTRL) || has(cpu, CPU_IBPB);
    case MSR_ARCH_CAPABILITIES:
        return has(cpu, CPU_ARCH_CAPABILITIES);
    case MSR_SYSENTER_CS:
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
        return has(cpu, CPU_SEP);
    case MSR_MCG_CAP:
    case MSR_MCG_STATUS:
    case MSR_MCG_CTL:
        return has(cpu, CPU_MCA);
    case MSR_PAT:
        return has(cpu, CPU_PAT);
    case MSR_TSC_DEADLINE:
        return has(cpu, CPU_TSC_DEADLINE);
    case MSR_XSS:
        return has(cpu, CPU_XSAVES);
    case 0xc0000103:
        return has(cpu, CPU_RDTSCP) || has(cpu, CPU_RDPID);
    default:
        return true;
    }
}

static bool is_apic(uint32_t msr)
{
    return msr == MSR_APIC_BASE || msr == MSR_TSC_DEADLINE ||
           (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST);
}

static bool apic_read(struct vcpu *cpu, uint32_t msr, uint64_t *value)
{
    struct vcpu_world *world = cpu->world;
    if (!world->apic_msr_read)
        return false;
    world->lock(world->opaque);
    bool ok = world->apic_msr_read(world->board, cpu->index, msr, value);
    world->unlock(world->opaque);
    return ok;
}

static bool apic_write(struct vcpu *cpu, uint32_t msr, uint64_t value)
{
    struct vcpu_world *world = cpu->world;
    if (!world->apic_msr_write)
        return false;
    world->lock(world->opaque);
    bool ok = world->apic_msr_write(world->board, cpu->index, msr, value);
    world->unlock(world->opaque);
    return ok;
}

/* Registers of AMD's north bridge, power and hardware configuration that system software reads
 * without asking CPUID: zero, and writes are ignored. */
static bool amd_nothing(const struct vcpu *cpu, uint32_t msr)
{
    const char *vendor = cpu->model->vendor;
    if (strcmp(vendor, "AuthenticAMD") != 0 && strcmp(vendor, "HygonGenuine") != 0)
        return false;
    switch (msr) {
    case 0xc0010010: /* SYSCFG */
    case 0xc0010015: /* HWCR */
    case 0xc001001a: /* TOP_MEM */
    case 0xc001001d: /* TOP_MEM2 */
    case 0xc001001f: /* NB_CFG */
    case 0xc0010020: /* PATCH_LOADER */
    case 0xc0010055: /* interrupt pending message */
    case 0xc0010112: /* TSEG address */
    case 0xc0010113: /* TSEG mask */
    case 0xc0010114: /* VM_CR */
    case 0xc0010140: /* OSVW length */
    case 0xc0010141: /* OSVW status */
    case 0xc0011004: /* CPUID features */
    case 0xc0011005:
    case 0xc0011020: /* LS_CFG */
    case 0xc0011022: /* DC_CFG */
    case 0xc0011023: /* BU_CFG */
    case 0xc0011029: /* DE_CFG */
    case 0xc001102a: /* BU_CFG2 */
        return true;
    default:
        /* performance counters of family 6 and 15 */
        return msr >= 0xc0010000 && msr <= 0xc0010007;
    }
}

/* The clock's registers have two sets of numbers, with a feature each. */
static bool has_kvmclock(const struct vcpu *cpu, uint32_t msr)
{
    return has(cpu, msr < 0x4b564d00 ? CPU_KVMCLOCK_OLD : CPU_KVMCLOCK);
}

static bool read_special(struct vcpu *cpu, uint32_t msr, uint64_t *value)
{
    switch (msr) {
    case MSR_TSC:
        *value = cpu_tsc(cpu);
        return true;
    case MSR_TSC_ADJUST:
        *value = cpu->tsc_adjust;
        return true;
    case MSR_SPEC_CTRL:
        *value = cpu->spec_ctrl;
        return true;
    case MSR_ARCH_CAPABILITIES:
        *value = cpu->model->features[FEAT_ARCH_CAP];
        return true;
    case MSR_MCG_CAP:
        *value = mcg_cap;
        return true;
    case MSR_MTRR_CAP:
        *value = mtrr_cap;
        return true;
    case MSR_MTRR_DEF_TYPE:
        *value = cpu->mtrr_def_type;
        return true;
    case MSR_PAT:
        *value = cpu->pat;
        return true;
    case MSR_UCODE_REV:
        *value = cpu->microcode_rev;
        return true;
    case MSR_PERF_STATUS:
        *value = 1000 | 4ull << 40; /* as QEMU: the ratio 4, for those that divide by it */
        return true;
    case MSR_XSS: /* no supervisor components */
    case MSR_PLATFORM_ID:
    case 0x2a:  /* EBL_CR_POWERON */
    case 0xcd:  /* FSB_FREQ */
    case 0xce:  /* PLATFORM_INFO */
    case 0x33:  /* TEST_CTRL */
    case 0x140: /* MISC_FEATURES_ENABLES */
        *value = 0;
        return true;
    case 0xc0000080:
        *value = cpu->efer;
        return true;
    default:
        return false;
    }
}

bool cpu_read_msr(struct vcpu *cpu, uint32_t msr, uint64_t *value)
{
    *value = 0;
    if (exists(cpu, msr)) {
        if (is_apic(msr))
            return apic_read(cpu, msr, value);
        uint64_t *storage = plain(cpu, msr);
        if (!storage)
            storage = address(cpu, msr);
        if (storage) {
            *value = *storage;
            return true;
        }
        if (read_special(cpu, msr, value) || amd_nothing(cpu, msr))
            return true;
        if (has_kvmclock(cpu, msr) && clock_msr_read(cpu, msr, value))
            return true;
    }
    log_limited(LOG_UNIMP, "rdmsr 0x%x: no such register", msr);
    return cpu->model->ignore_msrs;
}

uint64_t cpu_efer_allowed(const struct vcpu *cpu)
{
    uint64_t allowed = 0;
    if (has(cpu, CPU_SYSCALL))
        allowed |= EFER_SCE;
    if (has(cpu, CPU_LM))
        allowed |= EFER_LME | EFER_LMA;
    if (has(cpu, CPU_NX))
        allowed |= EFER_NXE;
    if (has(cpu, CPU_FFXSR))
        allowed |= EFER_FFXSR;
    return allowed;
}

static bool write_efer(struct vcpu *cpu, uint64_t value)
{
    if (value & ~cpu_efer_allowed(cpu))
        return false;
    if (cpu->cr0 & CR0_PG && (value ^ cpu->efer) & EFER_LME)
        return false;
    bool flush = (value ^ cpu->efer) & EFER_NXE;
    cpu->efer = (value & ~(uint64_t)EFER_LMA) | (cpu->efer & EFER_LMA);
    if (flush)
        tlb_flush(cpu);
    cpu_update_mode(cpu);
    return true;
}

static bool write_pat(struct vcpu *cpu, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned type = value >> (i * 8) & 0xff;
        if (type != 7 && !memory_type_valid(type))
            return false;
    }
    cpu->pat = value;
    return true;
}

/* False: reserved bits, or a memory type that is none. */
static bool mtrr_valid(const struct vcpu *cpu, uint32_t msr, uint64_t value)
{
    uint64_t beyond = ~((1ull << cpu->model->physical_bits) - 1);
    if (msr == MSR_MTRR_DEF_TYPE)
        return !(value & ~0xcffull) && memory_type_valid(value & 0xff);
    if (msr > MSR_MTRR_PHYS_LAST) {
        for (unsigned i = 0; i < 8; i++)
            if (!memory_type_valid(value >> (i * 8) & 0xff))
                return false;
        return true;
    }
    if (msr & 1)
        return !(value & (beyond | 0x7ff));
    return !(value & (beyond | 0xf00)) && memory_type_valid(value & 0xff);
}

static void write_tsc(struct vcpu *cpu, uint64_t value)
{
    int64_t offset = (int64_t)(value - __builtin_ia32_rdtsc());
    cpu->tsc_adjust += (uint64_t)(offset - cpu->tsc_offset);
    cpu->tsc_offset = offset;
}

/* What plain storage asks of a value. */
static bool plain_valid(const struct vcpu *cpu, uint32_t msr, uint64_t value)
{
    if (msr >= MSR_MTRR_PHYS && msr < MSR_PAT)
        return mtrr_valid(cpu, msr, value);
    if (msr == MSR_MCG_CTL)
        return value == 0 || value == UINT64_MAX;
    if (msr >= MSR_MC0 && msr <= MSR_MC_LAST && !(msr & 3))
        return true;
    if (msr >= MSR_MC0 && msr <= MSR_MC_LAST)
        return (msr & 3) != 1 || value == 0; /* status: may be cleared only */
    if (msr == 0xc0000103 || msr == 0xc0000084)
        return !(value >> 32);
    return true;
}

static bool write_special(struct vcpu *cpu, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case MSR_TSC:
        write_tsc(cpu, value);
        return true;
    case MSR_TSC_ADJUST:
        cpu->tsc_offset += (int64_t)(value - cpu->tsc_adjust);
        cpu->tsc_adjust = value;
        return true;
    case MSR_SPEC_CTRL:
        if (value & ~spec_ctrl_bits(cpu))
            return false;
        cpu->spec_ctrl = value;
        return true;
    case MSR_XSS:
        return !value;
    case MSR_PRED_CMD:
        return !(value & ~1ull);
    case MSR_MTRR_DEF_TYPE:
        if (!mtrr_valid(cpu, msr, value))
            return false;
        cpu->mtrr_def_type = value;
        return true;
    case MSR_PAT:
        return write_pat(cpu, value);
    case MSR_UCODE_REV:
    case MSR_UCODE_WRITE:
    case 0x2a:
    case 0x33:
    case 0x140:
        return true; /* nothing changes */
    case 0xc0000080:
        return write_efer(cpu, value);
    default:
        return false;
    }
}

bool cpu_write_msr(struct vcpu *cpu, uint32_t msr, uint64_t value)
{
    if (!exists(cpu, msr))
        goto unknown;
    if (is_apic(msr))
        return apic_write(cpu, msr, value);
    uint64_t *storage = plain(cpu, msr);
    if (storage) {
        if (!plain_valid(cpu, msr, value))
            return false;
        *storage = value;
        return true;
    }
    storage = address(cpu, msr);
    if (storage) {
        if (has(cpu, CPU_LM) && !address_canonical(value))
            return false;
        *storage = value;
        return true;
    }
    if (write_special(cpu, msr, value) || amd_nothing(cpu, msr))
        return true;
    if (has_kvmclock(cpu, msr) && clock_msr_write(cpu, msr, value))
        return true;
    if (read_special(cpu, msr, &(uint64_t){0}))
        return false; /* it is there, and does not take this value */
unknown:
    log_limited(LOG_UNIMP, "wrmsr 0x%x: no such register, or not value 0x%llx", msr,
                (unsigned long long)value);
    return cpu->model->ignore_msrs;
}
