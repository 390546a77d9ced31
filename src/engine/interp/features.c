/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which feature of the CPU model an instruction takes. One that is not there is #UD, whatever the
 * decoder knows. What turns into another instruction instead (LZCNT, TZCNT) is not here, nor what
 * a bit of CR4 decides.
 */
#include <string.h>

#include "base/bytes.h"
#include "cpu/model.h"
#include "engine/interp/interp.h"

/* By Zydis's sets of instructions. Feature 0: none; the FPU, which has that number, is asked for
 * in x87.c. */
struct isa_set {
    uint16_t needs[2];
    bool vector; /* decode_vector's */
};
static const struct isa_set isa_sets[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
    [ZYDIS_ISA_SET_ADOX_ADCX] = {{CPU_ADX, 0}, false},
    [ZYDIS_ISA_SET_AES] = {{CPU_AES, 0}, true},
    [ZYDIS_ISA_SET_AVX] = {{CPU_AVX, 0}, true},
    [ZYDIS_ISA_SET_AVX2] = {{CPU_AVX2, 0}, true},
    [ZYDIS_ISA_SET_AVX2GATHER] = {{CPU_AVX2, 0}, true},
    [ZYDIS_ISA_SET_AVX512BW_128] = {{CPU_AVX512BW, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512BW_128N] = {{CPU_AVX512BW, 0}, true},
    [ZYDIS_ISA_SET_AVX512BW_256] = {{CPU_AVX512BW, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512BW_512] = {{CPU_AVX512BW, 0}, true},
    [ZYDIS_ISA_SET_AVX512BW_KOP] = {{CPU_AVX512BW, 0}, true},
    [ZYDIS_ISA_SET_AVX512CD_128] = {{CPU_AVX512CD, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512CD_256] = {{CPU_AVX512CD, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512CD_512] = {{CPU_AVX512CD, 0}, true},
    [ZYDIS_ISA_SET_AVX512DQ_128] = {{CPU_AVX512DQ, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512DQ_128N] = {{CPU_AVX512DQ, 0}, true},
    [ZYDIS_ISA_SET_AVX512DQ_256] = {{CPU_AVX512DQ, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512DQ_512] = {{CPU_AVX512DQ, 0}, true},
    [ZYDIS_ISA_SET_AVX512DQ_KOP] = {{CPU_AVX512DQ, 0}, true},
    [ZYDIS_ISA_SET_AVX512DQ_SCALAR] = {{CPU_AVX512DQ, 0}, true},
    [ZYDIS_ISA_SET_AVX512F_128] = {{CPU_AVX512F, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512F_128N] = {{CPU_AVX512F, 0}, true},
    [ZYDIS_ISA_SET_AVX512F_256] = {{CPU_AVX512F, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512F_512] = {{CPU_AVX512F, 0}, true},
    [ZYDIS_ISA_SET_AVX512F_KOP] = {{CPU_AVX512F, 0}, true},
    [ZYDIS_ISA_SET_AVX512F_SCALAR] = {{CPU_AVX512F, 0}, true},
    [ZYDIS_ISA_SET_AVX512_BF16_128] = {{CPU_AVX512BF16, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_BF16_256] = {{CPU_AVX512BF16, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_BF16_512] = {{CPU_AVX512BF16, 0}, true},
    [ZYDIS_ISA_SET_AVX512_BITALG_128] = {{CPU_AVX512BITALG, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_BITALG_256] = {{CPU_AVX512BITALG, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_BITALG_512] = {{CPU_AVX512BITALG, 0}, true},
    [ZYDIS_ISA_SET_AVX512_FP16_128] = {{CPU_AVX512FP16, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_FP16_128N] = {{CPU_AVX512FP16, 0}, true},
    [ZYDIS_ISA_SET_AVX512_FP16_256] = {{CPU_AVX512FP16, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_FP16_512] = {{CPU_AVX512FP16, 0}, true},
    [ZYDIS_ISA_SET_AVX512_FP16_SCALAR] = {{CPU_AVX512FP16, 0}, true},
    [ZYDIS_ISA_SET_AVX512_GFNI_128] = {{CPU_GFNI, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_GFNI_256] = {{CPU_GFNI, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_GFNI_512] = {{CPU_GFNI, 0}, true},
    [ZYDIS_ISA_SET_AVX512_IFMA_128] = {{CPU_AVX512IFMA, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_IFMA_256] = {{CPU_AVX512IFMA, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_IFMA_512] = {{CPU_AVX512IFMA, 0}, true},
    [ZYDIS_ISA_SET_AVX512_VAES_128] = {{CPU_VAES, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VAES_256] = {{CPU_VAES, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VAES_512] = {{CPU_VAES, 0}, true},
    [ZYDIS_ISA_SET_AVX512_VBMI2_128] = {{CPU_AVX512VBMI2, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VBMI2_256] = {{CPU_AVX512VBMI2, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VBMI2_512] = {{CPU_AVX512VBMI2, 0}, true},
    [ZYDIS_ISA_SET_AVX512_VBMI_128] = {{CPU_AVX512VBMI, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VBMI_256] = {{CPU_AVX512VBMI, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VBMI_512] = {{CPU_AVX512VBMI, 0}, true},
    [ZYDIS_ISA_SET_AVX512_VNNI_128] = {{CPU_AVX512VNNI, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VNNI_256] = {{CPU_AVX512VNNI, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VNNI_512] = {{CPU_AVX512VNNI, 0}, true},
    [ZYDIS_ISA_SET_AVX512_VP2INTERSECT_128] = {{CPU_AVX512VP2INTERSECT, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VP2INTERSECT_256] = {{CPU_AVX512VP2INTERSECT, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VP2INTERSECT_512] = {{CPU_AVX512VP2INTERSECT, 0}, true},
    [ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_128] = {{CPU_VPCLMULQDQ, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_256] = {{CPU_VPCLMULQDQ, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_512] = {{CPU_VPCLMULQDQ, 0}, true},
    [ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_128] = {{CPU_AVX512VPOPCNTDQ, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_256] = {{CPU_AVX512VPOPCNTDQ, CPU_AVX512VL}, true},
    [ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_512] = {{CPU_AVX512VPOPCNTDQ, 0}, true},
    [ZYDIS_ISA_SET_AVXAES] = {{CPU_AES, CPU_AVX}, true},
    [ZYDIS_ISA_SET_AVX_GFNI] = {{CPU_GFNI, CPU_AVX}, true},
    [ZYDIS_ISA_SET_AVX_VNNI] = {{CPU_AVX_VNNI, CPU_AVX}, true},
    [ZYDIS_ISA_SET_BMI1] = {{CPU_BMI1, 0}, false},
    [ZYDIS_ISA_SET_BMI2] = {{CPU_BMI2, 0}, false},
    [ZYDIS_ISA_SET_CLFLUSHOPT] = {{CPU_CLFLUSHOPT, 0}, false},
    [ZYDIS_ISA_SET_CLFSH] = {{CPU_CLFLUSH, 0}, false},
    [ZYDIS_ISA_SET_CLWB] = {{CPU_CLWB, 0}, false},
    [ZYDIS_ISA_SET_CMOV] = {{CPU_CMOV, 0}, false},
    [ZYDIS_ISA_SET_CMPXCHG16B] = {{CPU_CX16, 0}, false},
    [ZYDIS_ISA_SET_F16C] = {{CPU_F16C, CPU_AVX}, true},
    [ZYDIS_ISA_SET_FAT_NOP] = {{CPU_CMOV, 0}, false},
    [ZYDIS_ISA_SET_FCMOV] = {{CPU_CMOV, 0}, false},
    [ZYDIS_ISA_SET_FMA] = {{CPU_FMA, CPU_AVX}, true},
    [ZYDIS_ISA_SET_FXSAVE] = {{CPU_FXSR, 0}, false},
    [ZYDIS_ISA_SET_FXSAVE64] = {{CPU_FXSR, 0}, false},
    [ZYDIS_ISA_SET_GFNI] = {{CPU_GFNI, 0}, true},
    [ZYDIS_ISA_SET_INVPCID] = {{CPU_INVPCID, 0}, false},
    [ZYDIS_ISA_SET_MONITOR] = {{CPU_MONITOR, 0}, false},
    [ZYDIS_ISA_SET_MOVBE] = {{CPU_MOVBE, 0}, false},
    [ZYDIS_ISA_SET_PCLMULQDQ] = {{CPU_PCLMUL, 0}, true},
    [ZYDIS_ISA_SET_PENTIUMMMX] = {{CPU_MMX, 0}, true},
    [ZYDIS_ISA_SET_POPCNT] = {{CPU_POPCNT, 0}, false},
    [ZYDIS_ISA_SET_PPRO] = {{CPU_CMOV, 0}, false}, /* NOPs that later processors use */
    [ZYDIS_ISA_SET_PREFETCH_NOP] = {{0, 0}, true},
    [ZYDIS_ISA_SET_RDPID] = {{CPU_RDPID, 0}, false},
    [ZYDIS_ISA_SET_RDRAND] = {{CPU_RDRAND, 0}, false},
    [ZYDIS_ISA_SET_RDSEED] = {{CPU_RDSEED, 0}, false},
    [ZYDIS_ISA_SET_RDTSCP] = {{CPU_RDTSCP, 0}, false},
    [ZYDIS_ISA_SET_RDWRFSGS] = {{CPU_FSGSBASE, 0}, false},
    [ZYDIS_ISA_SET_SERIALIZE] = {{CPU_SERIALIZE, 0}, false},
    [ZYDIS_ISA_SET_SHA] = {{CPU_SHA, 0}, true},
    [ZYDIS_ISA_SET_SMAP] = {{CPU_SMAP, 0}, false},
    [ZYDIS_ISA_SET_SSE] = {{CPU_SSE, 0}, true},
    [ZYDIS_ISA_SET_SSE2] = {{CPU_SSE2, 0}, true},
    [ZYDIS_ISA_SET_SSE2MMX] = {{CPU_SSE2, 0}, true},
    [ZYDIS_ISA_SET_SSE3] = {{CPU_SSE3, 0}, true},
    [ZYDIS_ISA_SET_SSE3X87] = {{CPU_SSE3, 0}, false},
    [ZYDIS_ISA_SET_SSE4] = {{CPU_SSE41, 0}, true},
    [ZYDIS_ISA_SET_SSE42] = {{CPU_SSE42, 0}, true},
    [ZYDIS_ISA_SET_SSEMXCSR] = {{CPU_SSE, 0}, true},
    /* A NOP of the Pentium Pro's in the first place. */
    [ZYDIS_ISA_SET_SSE_PREFETCH] = {{CPU_CMOV, 0}, true},
    [ZYDIS_ISA_SET_SSSE3] = {{CPU_SSSE3, 0}, true},
    [ZYDIS_ISA_SET_SSSE3MMX] = {{CPU_SSSE3, 0}, true},
    [ZYDIS_ISA_SET_VAES] = {{CPU_VAES, CPU_AVX}, true},
    [ZYDIS_ISA_SET_VPCLMULQDQ] = {{CPU_VPCLMULQDQ, CPU_AVX}, true},
    [ZYDIS_ISA_SET_XSAVE] = {{CPU_XSAVE, 0}, false},
    [ZYDIS_ISA_SET_XSAVEC] = {{CPU_XSAVEC, 0}, false},
    [ZYDIS_ISA_SET_XSAVEOPT] = {{CPU_XSAVEOPT, 0}, false},
};

/* SSE's additions to MMX, which Zydis counts among the latter: 0F and this opcode. */
static bool is_later_mmx(const struct decoded *d)
{
    static const uint8_t opcodes[] = {0x70, 0xc4, 0xc5, 0xd7, 0xda, 0xde, 0xe0,
                                      0xe3, 0xe4, 0xe7, 0xea, 0xee, 0xf6, 0xf7};
    return d->insn->meta.isa_set == ZYDIS_ISA_SET_PENTIUMMMX &&
           memchr(opcodes, d->insn->opcode, sizeof(opcodes));
}

bool decode_is_vector(const struct decoded *d)
{
    return isa_sets[d->insn->meta.isa_set].vector;
}

/* Those that share a set with others. */
static unsigned feature_of_mnemonic(const struct decoded *d)
{
    switch (d->insn->mnemonic) {
    case ZYDIS_MNEMONIC_CMPXCHG8B:
        return CPU_CX8;
    case ZYDIS_MNEMONIC_FCOMI:
    case ZYDIS_MNEMONIC_FCOMIP:
    case ZYDIS_MNEMONIC_FUCOMI:
    case ZYDIS_MNEMONIC_FUCOMIP:
        return CPU_CMOV;
    case ZYDIS_MNEMONIC_LAHF:
    case ZYDIS_MNEMONIC_SAHF:
        return d->code64 ? CPU_LAHF64 : 0;
    default:
        return 0;
    }
}

/* PREFETCHW (0F 0D): every processor with long mode has it, as a NOP at the least. */
static bool has_prefetch(const struct cpu_model *model)
{
    return cpu_model_has(model, CPU_LM) || cpu_model_has(model, CPU_PREFETCHW);
}

bool decode_is_there(const struct decoded *d)
{
    if (d->insn->mnemonic == ZYDIS_MNEMONIC_TZCNT) /* of the set BMI1 */
        return true;
    const struct cpu_model *model = d->cpu->model;
    const struct isa_set *set = &isa_sets[d->insn->meta.isa_set];
    if (d->insn->meta.isa_set == ZYDIS_ISA_SET_PREFETCH_NOP && !has_prefetch(model))
        return false;
    unsigned needs[] = {set->needs[0], set->needs[1], feature_of_mnemonic(d),
                        is_later_mmx(d) ? CPU_SSE : 0,
                        d->insn->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX ? CPU_AVX512F : 0};
    for (unsigned i = 0; i < ARRAY_LEN(needs); i++)
        if (needs[i] && !cpu_model_has(model, (enum cpu_feature)needs[i]))
            return false;
    return true;
}
