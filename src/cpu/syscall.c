/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT: AMD APM 2 6.1, SDM 2B. The two makers differ in which modes
 * have which; the model's vendor decides.
 */
#include "cpu/segment.h"

#include "cpu/descriptor.h"
#include "cpu/model.h"

static bool is_intel(const struct vcpu *cpu)
{
    return !strcmp(cpu->model->vendor, "GenuineIntel");
}

/* Flat CS and SS of a level. The code is 64-bit, or 32-bit. */
static void make_flat(uint16_t cs_selector, uint16_t ss_selector, unsigned cpl, bool wide,
                      struct segment *cs, struct segment *ss)
{
    uint32_t common = SEG_P | SEG_S | cpl << 5 | SEG_G;
    *cs = (struct segment){.selector = cs_selector,
                           .access = common | 0xb | (wide ? SEG_L : SEG_DB),
                           .limit = 0xffffffff};
    *ss = (struct segment){
        .selector = ss_selector, .access = common | 3 | SEG_DB, .limit = 0xffffffff};
}

static void enter_flat(struct vcpu *cpu, uint16_t cs, uint16_t ss, unsigned cpl, bool wide)
{
    make_flat(cs, ss, cpl, wide, &cpu->seg[SEG_CS], &cpu->seg[SEG_SS]);
    cpu->cpl = (uint8_t)cpl;
}

void segment_syscall(const struct vcpu *cpu, struct segment *cs, struct segment *ss)
{
    uint16_t selector = (uint16_t)(cpu->star >> 32 & 0xfffc);
    make_flat(selector, (uint16_t)(selector + 8), 0, cpu_long_mode(cpu), cs, ss);
}

void segment_sysret(const struct vcpu *cpu, bool wide, struct segment *cs, struct segment *ss)
{
    uint16_t base = (uint16_t)(cpu->star >> 48);
    make_flat((uint16_t)((base + (wide ? 16 : 0)) | 3), (uint16_t)((base + 8) | 3), 3, wide, cs,
              ss);
}

void cpu_syscall(struct vcpu *cpu, uint64_t next_rip)
{
    bool wide = cpu_long_mode(cpu);
    if (!(cpu->efer & EFER_SCE) || !cpu_protected(cpu) || (is_intel(cpu) && !cpu_code64(cpu)))
        cpu_raise_ud(cpu);
    uint64_t flags = cpu_rflags(cpu);
    cpu->gpr[RCX] = next_rip;
    if (wide) {
        cpu->gpr[R11] = flags & ~(uint64_t)FLAG_RF;
        cpu->rip = cpu_code64(cpu) ? cpu->lstar : cpu->cstar;
        flags &= ~(cpu->sfmask | FLAG_RF | FLAG_VM);
    } else {
        cpu->rip = (uint32_t)cpu->star;
        flags &= ~(uint64_t)(FLAG_IF | FLAG_RF | FLAG_VM);
    }
    segment_syscall(cpu, &cpu->seg[SEG_CS], &cpu->seg[SEG_SS]);
    cpu->cpl = 0;
    cpu_set_rflags(cpu, flags);
    cpu_update_mode(cpu);
    cpu->stepping &= (flags & FLAG_TF) != 0; /* no trap when SFMASK has TF */
}

void cpu_sysret(struct vcpu *cpu, unsigned opsize)
{
    if (!(cpu->efer & EFER_SCE) || !cpu_protected(cpu) || (is_intel(cpu) && !cpu_code64(cpu)))
        cpu_raise_ud(cpu);
    if (cpu->cpl)
        cpu_raise_gp(cpu, 0);
    bool wide = opsize == 8;
    /* Intel's processors fault here, at level 0; AMD's at the target, at level 3. */
    if (wide && is_intel(cpu) && !address_canonical(cpu->gpr[RCX]))
        cpu_raise_gp(cpu, 0);
    uint64_t flags = cpu_rflags(cpu) | FLAG_IF;
    if (cpu_long_mode(cpu))
        flags = cpu->gpr[R11] & SYSRET_FLAGS;
    cpu->rip = wide ? cpu->gpr[RCX] : (uint32_t)cpu->gpr[RCX];
    segment_sysret(cpu, wide, &cpu->seg[SEG_CS], &cpu->seg[SEG_SS]);
    cpu->cpl = 3;
    cpu_set_rflags(cpu, flags);
    cpu_update_mode(cpu);
    /* Unlike IRET's, a TF that SYSRET restores traps before the first instruction. */
    cpu->stepping = false;
    if (flags & FLAG_TF) {
        cpu->pending_db |= 1u << 14;
        cpu_request(cpu, VCPU_REQ_DEBUG);
    }
}

void cpu_sysenter(struct vcpu *cpu)
{
    bool wide = cpu_long_mode(cpu);
    if (wide && !is_intel(cpu))
        cpu_raise_ud(cpu);
    if (!cpu_protected(cpu) || !(cpu->sysenter_cs & 0xfffc))
        cpu_raise_gp(cpu, 0);
    uint64_t flags = cpu_rflags(cpu) & ~(uint64_t)(FLAG_VM | FLAG_IF | FLAG_RF);
    uint16_t cs = (uint16_t)(cpu->sysenter_cs & 0xfffc);
    enter_flat(cpu, cs, (uint16_t)(cs + 8), 0, wide);
    cpu->rip = wide ? cpu->sysenter_eip : (uint32_t)cpu->sysenter_eip;
    cpu->gpr[RSP] = wide ? cpu->sysenter_esp : (uint32_t)cpu->sysenter_esp;
    cpu_set_rflags(cpu, flags);
    cpu_update_mode(cpu);
}

void cpu_sysexit(struct vcpu *cpu, unsigned opsize)
{
    if (cpu_long_mode(cpu) && !is_intel(cpu))
        cpu_raise_ud(cpu);
    if (!cpu_protected(cpu) || !(cpu->sysenter_cs & 0xfffc) || cpu->cpl)
        cpu_raise_gp(cpu, 0);
    bool wide = opsize == 8;
    uint64_t rip = cpu->gpr[RDX], rsp = cpu->gpr[RCX];
    if (wide && (!address_canonical(rip) || !address_canonical(rsp)))
        cpu_raise_gp(cpu, 0);
    uint16_t base = (uint16_t)((cpu->sysenter_cs & 0xfffc) + (wide ? 32 : 16));
    enter_flat(cpu, base | 3, (uint16_t)((base + 8) | 3), 3, wide);
    cpu->rip = wide ? rip : (uint32_t)rip;
    cpu->gpr[RSP] = wide ? rsp : (uint32_t)rsp;
    cpu_update_mode(cpu);
}
