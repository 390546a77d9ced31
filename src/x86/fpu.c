/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "x86/fpu.h"

#include <string.h>

#include "base/bytes.h"

/* Components 0 and 1 are the FXSAVE area; the offsets of the others are Intel's. */
const struct xstate_component xstate_components[XSTATE_COMPONENTS] = {
    [0] = {0, 160},   [1] = {160, 256},  [2] = {576, 256},
    [5] = {1088, 64}, [6] = {1152, 512}, [7] = {1664, 1024},
};

void fpu_init(struct fpu_state *fpu)
{
    fpu->fcw = 0x37f;
    fpu->fsw = 0;
    fpu->ftw = 0xffff;
    fpu->fop = 0;
    fpu->fip = fpu->fdp = 0;
    fpu->fcs = fpu->fds = 0;
}

void fpu_reset(struct fpu_state *fpu)
{
    memset(fpu, 0, sizeof(*fpu));
    fpu->fcw = 0x40;
    fpu->ftw = 0x5555;
    fpu->mxcsr = MXCSR_RESET;
    fpu->xcr0 = XSTATE_X87;
}

void fpu_summarise(struct fpu_state *fpu)
{
    if (fpu->fsw & ~fpu->fcw & FPU_EXCEPTIONS)
        fpu->fsw |= FPU_ES | FPU_B;
    else
        fpu->fsw &= (uint16_t) ~(FPU_ES | FPU_B);
}

static unsigned classify(const uint8_t *value)
{
    uint64_t mantissa = load_le64(value);
    unsigned exponent = load_le16(value + 8) & 0x7fff;
    if (exponent == 0 && mantissa == 0)
        return FPU_TAG_ZERO;
    if (exponent == 0 || exponent == 0x7fff || !(mantissa >> 63))
        return FPU_TAG_SPECIAL;
    return FPU_TAG_VALID;
}

uint16_t fpu_full_tags(const struct fpu_state *fpu)
{
    unsigned tags = 0;
    for (unsigned i = 0; i < 8; i++)
        tags |= (fpu_empty(fpu, i) ? FPU_TAG_EMPTY : classify(fpu->st[i])) << (i * 2);
    return (uint16_t)tags;
}

uint8_t fpu_short_tags(const struct fpu_state *fpu)
{
    unsigned tags = 0;
    for (unsigned i = 0; i < 8; i++)
        tags |= (unsigned)!fpu_empty(fpu, i) << i;
    return (uint8_t)tags;
}

void fpu_set_short_tags(struct fpu_state *fpu, uint8_t tags)
{
    unsigned full = 0;
    for (unsigned i = 0; i < 8; i++)
        full |= (tags >> i & 1 ? FPU_TAG_VALID : FPU_TAG_EMPTY) << (i * 2);
    fpu->ftw = (uint16_t)full;
}
