/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The virtual processor: every register that makes an x86 what it is, held in one struct that the
 * interpreter, the translator and KVM share, so that a running guest can move between them.
 * References: Intel SDM volumes 1 and 3A; AMD APM volume 2.
 *
 * A vcpu belongs to its own thread while its engine runs. Others may touch only what is marked
 * atomic, and the registers while the vcpu is stopped (vm/ sees to that).
 */
#ifndef CPU_VCPU_H
#define CPU_VCPU_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "mem/mem.h"
#include "x86/fpu.h"

enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
enum {
    GPR_ZERO = 16, /* always 0: "no index", "no base" */
    GPR_RIP = 17,  /* engine/interp: rip of the block that runs, base of rip-relative operands */
    GPR_4G = 18,   /* always 1 << 32: what a displacement of 32 bits may lack */
    GPR_SLOTS = 19
};

enum segment_register {
    SEG_ES,
    SEG_CS,
    SEG_SS,
    SEG_DS,
    SEG_FS,
    SEG_GS,
    SEG_LDTR,
    SEG_TR,
    SEG_COUNT
};

/* A segment register with its hidden part. `access` is the descriptor's: type 0-3, S 4, DPL 5-6,
 * P 7, AVL 12, L 13, D/B 14, G 15; SEG_UNUSABLE marks a null selector. limit is in bytes, G
 * applied. */
enum {
    SEG_TYPE = 0xf,
    SEG_S = 1 << 4,
    SEG_P = 1 << 7,
    SEG_L = 1 << 13,
    SEG_DB = 1 << 14,
    SEG_G = 1 << 15,
    SEG_UNUSABLE = 1 << 16,
};
struct segment {
    uint16_t selector;
    uint32_t access;
    uint32_t limit;
    uint64_t base;
};

struct table_register {
    uint64_t base;
    uint16_t limit;
};

enum rflags {
    FLAG_CF = 1 << 0,
    FLAG_PF = 1 << 2,
    FLAG_AF = 1 << 4,
    FLAG_ZF = 1 << 6,
    FLAG_SF = 1 << 7,
    FLAG_TF = 1 << 8,
    FLAG_IF = 1 << 9,
    FLAG_DF = 1 << 10,
    FLAG_OF = 1 << 11,
    FLAG_IOPL = 3 << 12,
    FLAG_NT = 1 << 14,
    FLAG_RF = 1 << 16,
    FLAG_VM = 1 << 17,
    FLAG_AC = 1 << 18,
    FLAG_VIF = 1 << 19,
    FLAG_VIP = 1 << 20,
    FLAG_ID = 1 << 21,
    FLAGS_ARITH = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF,
};

enum {
    CR0_PE = 1 << 0,
    CR0_MP = 1 << 1,
    CR0_EM = 1 << 2,
    CR0_TS = 1 << 3,
    CR0_ET = 1 << 4,
    CR0_NE = 1 << 5,
    CR0_WP = 1 << 16,
    CR0_AM = 1 << 18,
    CR0_NW = 1 << 29,
    CR0_CD = 1 << 30,
};
#define CR0_PG 0x80000000u
enum {
    CR4_VME = 1 << 0,
    CR4_PVI = 1 << 1,
    CR4_TSD = 1 << 2,
    CR4_DE = 1 << 3,
    CR4_PSE = 1 << 4,
    CR4_PAE = 1 << 5,
    CR4_MCE = 1 << 6,
    CR4_PGE = 1 << 7,
    CR4_PCE = 1 << 8,
    CR4_OSFXSR = 1 << 9,
    CR4_OSXMMEXCPT = 1 << 10,
    CR4_UMIP = 1 << 11,
    CR4_LA57 = 1 << 12,
    CR4_FSGSBASE = 1 << 16,
    CR4_PCIDE = 1 << 17,
    CR4_OSXSAVE = 1 << 18,
    CR4_SMEP = 1 << 20,
    CR4_SMAP = 1 << 21,
};
enum {
    EFER_SCE = 1 << 0,
    EFER_LME = 1 << 8,
    EFER_LMA = 1 << 10,
    EFER_NXE = 1 << 11,
    EFER_FFXSR = 1 << 14
};

enum vector {
    VEC_DE = 0,
    VEC_DB = 1,
    VEC_NMI = 2,
    VEC_BP = 3,
    VEC_OF = 4,
    VEC_BR = 5,
    VEC_UD = 6,
    VEC_NM = 7,
    VEC_DF = 8,
    VEC_TS = 10,
    VEC_NP = 11,
    VEC_SS = 12,
    VEC_GP = 13,
    VEC_PF = 14,
    VEC_MF = 16,
    VEC_AC = 17,
    VEC_MC = 18,
    VEC_XM = 19,
};

/* Why vcpu_run came back, and what the thread should do. */
enum vcpu_exit {
    VCPU_EXIT_KICKED,       /* somebody asked for attention (engine_kick) */
    VCPU_EXIT_HALTED,       /* HLT with nothing pending: sleep until vcpu_has_work */
    VCPU_EXIT_TRIPLE_FAULT, /* shutdown cycle: the board resets */
    VCPU_EXIT_ERROR,        /* the engine cannot go on; it has said why */
};

/* Bits of vcpu.request: what the engine looks at between blocks. Atomic. */
enum vcpu_request {
    VCPU_REQ_INTR = 1 << 0, /* the interrupt line (PIC or local APIC) is up: a level, not an edge */
    VCPU_REQ_NMI = 1 << 1,
    VCPU_REQ_SMI = 1 << 2,
    VCPU_REQ_INIT = 1 << 3,
    VCPU_REQ_KICK = 1 << 4,   /* leave vcpu_run with VCPU_EXIT_KICKED */
    VCPU_REQ_MAP = 1 << 5,    /* the memory map changed: take the new view, flush */
    VCPU_REQ_FLUSH = 1 << 6,  /* dirty logging was cleared: flush the TLB */
    VCPU_REQ_CODE = 1 << 7,   /* a device wrote into code: the engine's own list says where */
    VCPU_REQ_ENGINE = 1 << 9, /* engine-private, not a request: the interpreter stops behind each
                                 block */
    VCPU_REQ_DEBUG = 1 << 8,  /* a trap (single step, data breakpoint) is due: cpu->pending_db */
};

/* How the processor reaches the rest of the machine. Set up by the board. Functions are called on
 * the vcpu's thread under the VM lock (the caller takes it by `lock`). */
struct vcpu_world {
    struct mem *mem;
    struct pio *pio;
    void *opaque;
    _Atomic uint64_t a20_mask; /* anded to physical addresses: all ones, or without bit 20 */
    void (*lock)(void *opaque);
    void (*unlock)(void *opaque);
    void *board; /* for the functions below */
    /* Interrupt acknowledge: the vector to take, or -1 if the line fell in the meantime. */
    int (*intr_acknowledge)(void *board, int vcpu_index);
    /* Local APIC: CR8, IA32_APIC_BASE, x2APIC MSRs 0x800-0x8ff. rdmsr and wrmsr return false: #GP.
     */
    uint64_t (*cr8_read)(void *board, int vcpu_index);
    void (*cr8_write)(void *board, int vcpu_index, uint64_t value);
    bool (*apic_msr_read)(void *board, int vcpu_index, uint32_t msr, uint64_t *value);
    bool (*apic_msr_write)(void *board, int vcpu_index, uint32_t msr, uint64_t value);
    /* FERR#: the x87 error line to the board (IRQ 13) while CR0.NE is off. */
    void (*ferr)(void *board, bool level);
    /* Guest ns since power-on, for TSC and kvmclock. Without the lock. */
    int64_t (*now)(void *opaque);
};

struct cpu_model; /* cpu/model.h: what CPUID answers */

/* cpu/tlb.h */
#define TLB_BITS    10
#define TLB_ENTRIES (1u << TLB_BITS)
/* vcpu.code_mode: what decoding and code look-up depend on. */
enum code_mode { CODE_16, CODE_32, CODE_64, CODE_SIZE = 3, CODE_USER = 4 };
/* MMU_USER_ALIGN: level 3 with alignment checks; never hits in the fast TLB. */
enum mmu_index { MMU_USER, MMU_USER_ALIGN, MMU_KERNEL, MMU_KERNEL_SMAP, MMU_COUNT };
struct tlb_entry {
    uint64_t tag[3]; /* enum access_type: page address | generation; other: miss */
    uintptr_t delta; /* host address - linear address */
};
struct tlb_slow {
    uint64_t tag;    /* page address | generation of what follows */
    gpa_t gpa;       /* of the page */
    uint8_t allowed; /* 1 << enum access_type that the page tables allow (writes: dirty bit set) */
    bool io;         /* not RAM or ROM: goes through mem_load/mem_store */
    bool rom;
    bool global;
};

/* Address spaces told apart by PCID (SDM 3A 4.10.1) whose translations are kept. */
enum { TLB_SPACES = 8 };
struct tlb_space {
    bool used;
    uint16_t pcid;
    uint32_t gen; /* while it is not the one that runs: tlb_gen of its entries */
};

/* What cpu_raise recorded (cpu/exception.h). */
struct cpu_fault {
    int vector;
    uint32_t error;
    bool has_error;
};

/* Slots of vcpu.frame, as distances below gpr in 8 bytes; those of engine/dbt are in its
 * internal.h. */
enum { VCPU_FRAME = 48, FRAME_POLL = 3, FRAME_JUMP_MASK = 4 };

struct vcpu {
    /* Engine-private: slots that translated code reaches below gpr. Two of them hold 0 when it
     * shall leave: cpu_request sets them so. */
    uint64_t frame[VCPU_FRAME] __attribute__((aligned(64)));
    /* What runs fast first. */
    uint64_t gpr[GPR_SLOTS];
    uint32_t cc;        /* CF PF AF ZF SF in bits 8-15 (as LAHF puts them in AH), OF in bit 0 */
    uint32_t code_mode; /* engine-private: what decoding depends on (cpu_update_mode) */
    _Atomic uint32_t request;
    uint32_t heeded;       /* engine-private: the requests that can be met as things are */
    uint32_t mmu;          /* enum mmu_index of ordinary accesses now */
    uint32_t tlb_gen;      /* 1..4095: of the space that runs */
    uint32_t tlb_gen_last; /* handed out last */
    struct tlb_space spaces[TLB_SPACES];
    uint8_t space;       /* the one that runs */
    uint8_t space_evict; /* the next to give way */
    uint32_t exec_gen;   /* changes with every flush, of a page too: for what caches rip -> code */
    gva_t large_first, large_last; /* large pages seen since the last full flush lie in here */
    uint64_t icount;               /* instructions retired (interp) */
    struct tlb_entry tlb[MMU_COUNT][TLB_ENTRIES];
    struct tlb_slow tlb_slow[MMU_COUNT][TLB_ENTRIES];

    uint64_t rip;    /* of the instruction that runs, once synced; see engine/interp */
    uint64_t rflags; /* without FLAGS_ARITH, which are in cc: use cpu_rflags */
    struct segment seg[SEG_COUNT];
    struct table_register gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4;
    uint64_t dr[8]; /* 4 and 5 unused */
    uint64_t efer;
    uint64_t pdpte[4]; /* PAE paging: loaded with CR3 */
    uint8_t cpl;
    bool halted;
    bool nmi_blocked;
    bool in_smm;
    bool smm_in_nmi; /* the SMI came while NMIs were blocked: RSM blocks them again */
    uint8_t
        shadow; /* STI, MOV SS: no interrupt (1) or no interrupt and no trap (2) before the next */
    uint32_t pending_db; /* DR6 bits of a debug trap that is due */
    bool stepping; /* the instruction that runs began with TF: a trap follows, unless it says no */
    bool watching; /* DR7 has data breakpoints on: their pages are not in the fast TLB */
    uint64_t smbase;

    struct fpu_state fpu;

    /* MSRs that are plain storage. */
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, tsc_aux, misc_enable, mcg_status, mcg_ctl, mce_bank[10 * 4], debugctl, spec_ctrl;
    uint64_t mtrr_def_type, mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];
    uint64_t feature_control, xss, microcode_rev;
    int64_t tsc_offset; /* guest TSC = host TSC + tsc_offset */
    uint64_t tsc_adjust;
    uint64_t kvm_system_time, kvm_wall_clock;

    int index; /* 0 is the boot processor */
    const struct cpu_model *model;
    struct vcpu_world *world;
    struct mem_view *view;         /* the map it runs on; a counted reference */
    const struct mem_range *range; /* of view, where cpu_range looks first; NULL with a new view */

    /* Faults do not return: cpu_raise leaves to here. The engine sets it before it runs anything.
     */
    jmp_buf fault_exit;
    struct cpu_fault fault; /* vector -1: shutdown */
    int fault_vector;       /* being delivered, -1: none (for double faults) */

    void *engine_data;             /* the engine's own part */
    struct store_journal *journal; /* cpu/tlb.h; NULL: none is kept */
};

/* Registers to what RESET# leaves (SDM 3A table 10-1): CS:EIP = f000:fff0 at ffff0000. Memory
 * untouched. Under the VM lock with the vcpu stopped. */
void cpu_reset(struct vcpu *cpu);

/* INIT#: as reset, but keeps FPU, caches, most MSRs. */
void cpu_init_signal(struct vcpu *cpu);

/* A fresh vcpu of this model in reset state. -ENOMEM. */
int vcpu_create(struct vcpu **cpu, int index, const struct cpu_model *model,
                struct vcpu_world *world);
void vcpu_destroy(struct vcpu *cpu);

/* RFLAGS whole, and back (reserved bits are fixed up; does not check privilege). cpu_set_rflags
 * ends with cpu_update_mode if VM, AC changed. */
static inline uint64_t cpu_cc_to_flags(uint32_t cc)
{
    return ((cc >> 8) & (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF)) | (uint64_t)(cc & 1)
                                                                                 << 11;
}
static inline uint32_t cpu_flags_to_cc(uint64_t flags)
{
    return (uint32_t)(flags & 0xd5) << 8 | (flags >> 11 & 1);
}
static inline uint64_t cpu_rflags(const struct vcpu *cpu)
{
    return (cpu->rflags & ~(uint64_t)FLAGS_ARITH) | cpu_cc_to_flags(cpu->cc) | 2;
}
void cpu_set_rflags(struct vcpu *cpu, uint64_t flags);

/* To be called after any change of CS, SS, CPL, CR0, CR4, EFER, RFLAGS.VM or AC: derives mmu and
 * code_mode. Does not flush the TLB. */
void cpu_update_mode(struct vcpu *cpu);

static inline bool cpu_protected(const struct vcpu *cpu)
{
    return cpu->cr0 & CR0_PE;
}
static inline bool cpu_v86(const struct vcpu *cpu)
{
    return cpu->rflags & FLAG_VM;
}
static inline bool cpu_long_mode(const struct vcpu *cpu)
{
    return cpu->efer & EFER_LMA;
}
static inline bool cpu_code64(const struct vcpu *cpu)
{
    return (cpu->efer & EFER_LMA) && (cpu->seg[SEG_CS].access & SEG_L);
}

/* Requests: set from any thread; a vcpu thread asleep in HLT is woken by vm/, not by this. */
static inline void cpu_request(struct vcpu *cpu, uint32_t bits)
{
    atomic_fetch_or_explicit(&cpu->request, bits, memory_order_release);
    __atomic_store_n(&cpu->frame[VCPU_FRAME - FRAME_POLL], 0, __ATOMIC_RELEASE);
    __atomic_store_n(&cpu->frame[VCPU_FRAME - FRAME_JUMP_MASK], 0, __ATOMIC_RELEASE);
}
static inline void cpu_unrequest(struct vcpu *cpu, uint32_t bits)
{
    atomic_fetch_and_explicit(&cpu->request, ~bits, memory_order_release);
}

/* Takes the memory map as it is now, that of system management mode or the ordinary one, and
 * flushes the TLB. On the vcpu's thread; takes the VM lock. */
void cpu_take_view(struct vcpu *cpu);

/* Would the processor leave HLT now? */
bool cpu_has_work(const struct vcpu *cpu);

static inline uint64_t cpu_tsc(const struct vcpu *cpu)
{
    return __builtin_ia32_rdtsc() + (uint64_t)cpu->tsc_offset;
}

/* "EAX=..." as `info registers` and -d cpu_reset print it; the caller frees. */
char *cpu_describe(const struct vcpu *cpu);

#endif
