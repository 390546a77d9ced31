/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The x87, MMX, SSE, AVX and AVX-512 register state, as facts of the architecture.
 */
#ifndef X86_FPU_H
#define X86_FPU_H

#include <stdbool.h>
#include <stdint.h>

/* st[] is indexed by physical register: ST(i) is st[(top + i) & 7]; MMX register i is the low 8
 * bytes of st[i]. */
struct fpu_state {
    uint16_t fcw, fsw; /* TOP is in fsw bits 11-13 */
    uint16_t ftw;      /* the full tag word: 2 bits each, 3 = empty */
    uint16_t fop;
    uint64_t fip, fdp;
    uint16_t fcs, fds;
    uint8_t st[8][16]; /* 80-bit values, 6 bytes unused */
    uint32_t mxcsr;
    uint64_t xcr0;
    uint64_t opmask[8];
    uint8_t zmm[32][64] __attribute__((aligned(64))); /* xmm and ymm are the low parts */
};

/* FSW and FCW; the exception bits 0-5 have the same places in MXCSR. */
enum {
    FPU_IE = 1 << 0,
    FPU_DE = 1 << 1,
    FPU_ZE = 1 << 2,
    FPU_OE = 1 << 3,
    FPU_UE = 1 << 4,
    FPU_PE = 1 << 5,
    FPU_EXCEPTIONS = 0x3f,
    FPU_SF = 1 << 6,
    FPU_ES = 1 << 7,
    FPU_C0 = 1 << 8,
    FPU_C1 = 1 << 9,
    FPU_C2 = 1 << 10,
    FPU_TOP_SHIFT = 11,
    FPU_TOP = 7 << FPU_TOP_SHIFT,
    FPU_C3 = 1 << 14,
    FPU_B = 1 << 15,
    FPU_CC = FPU_C0 | FPU_C1 | FPU_C2 | FPU_C3,
};

enum { FPU_TAG_VALID, FPU_TAG_ZERO, FPU_TAG_SPECIAL, FPU_TAG_EMPTY };

/* Bits of MXCSR that can be set; the others are #GP. */
#define MXCSR_MASK  0xffffu
#define MXCSR_RESET 0x1f80u

/* State components, bit numbers of XCR0. */
enum {
    XSTATE_X87 = 1 << 0,
    XSTATE_SSE = 1 << 1,
    XSTATE_AVX = 1 << 2,
    XSTATE_OPMASK = 1 << 5,
    XSTATE_ZMM_HI256 = 1 << 6,
    XSTATE_HI16_ZMM = 1 << 7,
    XSTATE_AVX512 = XSTATE_OPMASK | XSTATE_ZMM_HI256 | XSTATE_HI16_ZMM,
};

/* Where a component lies in the standard XSAVE area, by its bit number; size 0: not known here. */
struct xstate_component {
    uint16_t offset, size;
};
enum { XSTATE_COMPONENTS = 8, XSTATE_HEADER = 512, XSTATE_EXTENDED = 576, XSTATE_AREA_MAX = 2688 };
extern const struct xstate_component xstate_components[XSTATE_COMPONENTS];

/* To what RESET# leaves (SDM 3A table 10-1): FCW 0x40, tags zero, MXCSR 0x1f80, XCR0 1. */
void fpu_reset(struct fpu_state *fpu);

/* FNINIT: FCW 0x37f, all empty; the registers stay. */
void fpu_init(struct fpu_state *fpu);

static inline unsigned fpu_top(const struct fpu_state *fpu)
{
    return fpu->fsw >> FPU_TOP_SHIFT & 7;
}

static inline void fpu_set_top(struct fpu_state *fpu, unsigned top)
{
    fpu->fsw = (uint16_t)((fpu->fsw & ~FPU_TOP) | (top & 7) << FPU_TOP_SHIFT);
}

static inline bool fpu_empty(const struct fpu_state *fpu, unsigned physical)
{
    return (fpu->ftw >> (physical * 2) & 3) == FPU_TAG_EMPTY;
}

/* Sets ES and B from the exception flags and masks. */
void fpu_summarise(struct fpu_state *fpu);

/* The tag word as FSTENV stores it: full registers classified by what they hold. */
uint16_t fpu_full_tags(const struct fpu_state *fpu);

/* One bit a register, 1 = not empty, as FXSAVE stores it; and back (full ones become valid). */
uint8_t fpu_short_tags(const struct fpu_state *fpu);
void fpu_set_short_tags(struct fpu_state *fpu, uint8_t tags);

#endif
