/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cpu/vcpu.h"

#include <errno.h>
#include <stdlib.h>

#include "cpu/model.h"
#include "cpu/smm.h"
#include "cpu/tlb.h"

static void segment_reset(struct segment *seg, uint32_t access)
{
    *seg = (struct segment){.access = access, .limit = 0xffff};
}

/* What RESET and INIT share. */
static void reset_common(struct vcpu *cpu)
{
    memset(cpu->gpr, 0, sizeof(cpu->gpr));
    cpu->gpr[GPR_4G] = 1ull << 32;
    cpu->gpr[RDX] =
        cpu->model->stepping | (cpu->model->model & 15) << 4 | (cpu->model->family & 15) << 8;
    cpu->cc = 0;
    cpu->rflags = 2;
    cpu->rip = 0xfff0;
    for (int i = SEG_ES; i <= SEG_GS; i++)
        segment_reset(&cpu->seg[i], SEG_P | SEG_S | 3);
    cpu->seg[SEG_CS].selector = 0xf000;
    cpu->seg[SEG_CS].base = 0xffff0000;
    cpu->seg[SEG_CS].access = SEG_P | SEG_S | 0xb;
    segment_reset(&cpu->seg[SEG_LDTR], SEG_P | 2);
    segment_reset(&cpu->seg[SEG_TR], SEG_P | 0xb);
    cpu->gdtr = (struct table_register){.limit = 0xffff};
    cpu->idtr = (struct table_register){.limit = 0xffff};
    cpu->cr0 = (cpu->cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
    cpu->cr2 = 0;
    cpu->cr3 = 0;
    cpu->cr4 = 0;
    memset(cpu->dr, 0, sizeof(cpu->dr));
    cpu->dr[6] = 0xffff0ff0;
    cpu->dr[7] = 0x400;
    cpu->efer = 0;
    cpu->cpl = 0;
    cpu->halted = false;
    cpu->nmi_blocked = false;
    if (cpu->in_smm)
        cpu_request(cpu, VCPU_REQ_MAP); /* out of its memory too */
    cpu->in_smm = cpu->smm_in_nmi = false;
    cpu->shadow = 0;
    cpu->pending_db = 0;
    cpu->stepping = cpu->watching = false;
    cpu->fault_vector = -1;
    cpu_unrequest(cpu, VCPU_REQ_NMI | VCPU_REQ_SMI | VCPU_REQ_INIT | VCPU_REQ_DEBUG);
    cpu_update_mode(cpu);
    tlb_flush(cpu);
}

void cpu_reset(struct vcpu *cpu)
{
    cpu->cr0 = CR0_CD | CR0_NW;
    reset_common(cpu);
    fpu_reset(&cpu->fpu);
    cpu->smbase = SMM_BASE_RESET;
    cpu->star = cpu->lstar = cpu->cstar = cpu->sfmask = cpu->kernel_gs_base = 0;
    cpu->sysenter_cs = cpu->sysenter_esp = cpu->sysenter_eip = 0;
    cpu->pat = 0x0007040600070406ull;
    cpu->tsc_aux = 0;
    cpu->misc_enable = 1;
    cpu->mcg_status = 0;
    cpu->mcg_ctl = ~0ull;
    memset(cpu->mce_bank, 0, sizeof(cpu->mce_bank));
    cpu->debugctl = 0;
    cpu->spec_ctrl = 0;
    cpu->mtrr_def_type = 0;
    memset(cpu->mtrr_fixed, 0, sizeof(cpu->mtrr_fixed));
    memset(cpu->mtrr_base, 0, sizeof(cpu->mtrr_base));
    memset(cpu->mtrr_mask, 0, sizeof(cpu->mtrr_mask));
    cpu->feature_control = 0;
    cpu->xss = 0;
    cpu->kvm_system_time = cpu->kvm_wall_clock = 0;
    cpu->tsc_adjust = 0;
    cpu->tsc_offset = -(int64_t)__builtin_ia32_rdtsc();
}

void cpu_init_signal(struct vcpu *cpu)
{
    reset_common(cpu);
}

int vcpu_create(struct vcpu **out, int index, const struct cpu_model *model,
                struct vcpu_world *world)
{
    struct vcpu *cpu = aligned_alloc(64, round_up(sizeof(*cpu), 64));
    if (!cpu)
        return -ENOMEM;
    memset(cpu, 0, sizeof(*cpu));
    cpu->index = index;
    cpu->model = model;
    cpu->world = world;
    cpu->tlb_gen = cpu->tlb_gen_last = 1;
    cpu->spaces[0].used = true;
    cpu->view = mem_view_ref(world->mem);
    cpu_reset(cpu);
    *out = cpu;
    return 0;
}

void vcpu_destroy(struct vcpu *cpu)
{
    if (!cpu)
        return;
    mem_view_unref(cpu->view);
    free(cpu);
}

void cpu_set_rflags(struct vcpu *cpu, uint64_t flags)
{
    uint64_t known = FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF |
                     FLAG_VM | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID;
    flags &= known;
    uint64_t changed = flags ^ cpu->rflags;
    cpu->cc = cpu_flags_to_cc(flags);
    cpu->rflags = (flags & ~(uint64_t)FLAGS_ARITH) | 2;
    if (changed & (FLAG_VM | FLAG_AC))
        cpu_update_mode(cpu);
}

void cpu_update_mode(struct vcpu *cpu)
{
    uint32_t access = cpu->seg[SEG_CS].access;
    uint32_t mode;
    if (cpu->efer & EFER_LMA && access & SEG_L)
        mode = CODE_64;
    else
        mode = access & SEG_DB ? CODE_32 : CODE_16;
    if (cpu->cpl == 3)
        mode |= CODE_USER;
    cpu->code_mode = mode;
    if (cpu->cpl == 3)
        cpu->mmu = cpu->cr0 & CR0_AM && cpu->rflags & FLAG_AC ? MMU_USER_ALIGN : MMU_USER;
    else
        cpu->mmu = cpu->cr4 & CR4_SMAP && !(cpu->rflags & FLAG_AC) ? MMU_KERNEL_SMAP : MMU_KERNEL;
}

bool cpu_has_work(const struct vcpu *cpu)
{
    uint32_t request = atomic_load_explicit(&cpu->request, memory_order_acquire);
    if (request & VCPU_REQ_INTR && cpu->rflags & FLAG_IF)
        return true;
    if (request & VCPU_REQ_NMI && !cpu->nmi_blocked)
        return true;
    uint32_t wakes = VCPU_REQ_KICK;
    if (!cpu->in_smm)
        wakes |= VCPU_REQ_SMI | VCPU_REQ_INIT;
    return request & wakes || !cpu->halted;
}

void cpu_take_view(struct vcpu *cpu)
{
    struct vcpu_world *world = cpu->world;
    world->lock(world->opaque);
    struct mem_view *next = cpu->in_smm ? mem_view_ref_smm(world->mem) : mem_view_ref(world->mem);
    world->unlock(world->opaque);
    struct mem_view *before = cpu->view;
    const struct vcpu_code_hook *hook = cpu->engine_data;
    if (hook)
        hook->moving(cpu, next);
    cpu->view = next;
    cpu->range = NULL;
    mem_view_unref(before);
    tlb_flush(cpu);
}
