/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * x87 arithmetic on the host's unit. It is run with the guest's control word, unmasked exceptions
 * and all: x87 exceptions are reported by the next waiting instruction, and FNCLEX, which does not
 * wait, takes them away before there is one. So unmasked responses (operands left alone, biased
 * results) are the processor's own.
 */
#include "engine/interp/x87.h"

enum { HOST_FCW = 0x37f };

/* The host's sticky flags may stay up when they are up in the guest too and masked. */
static inline void clean(const struct fpu_state *fpu)
{
    uint16_t status;
    __asm__ volatile("fnstsw %0" : "=a"(status));
    if (__builtin_expect(status & FPU_EXCEPTIONS & (~fpu->fsw | ~fpu->fcw), 0))
        __asm__ volatile("fnclex");
}

static inline void enter(const struct fpu_state *fpu)
{
    clean(fpu);
    if (__builtin_expect((fpu->fcw | 0x40) != HOST_FCW, 0))
        __asm__ volatile("fldcw %0" : : "m"(fpu->fcw));
}

static inline uint16_t leave(const struct fpu_state *fpu, uint16_t status)
{
    static const uint16_t host = HOST_FCW;
    if (__builtin_expect((fpu->fcw | 0x40) != HOST_FCW, 0))
        __asm__ volatile("fldcw %0" : : "m"(host));
    return status;
}

struct extended {
    uint8_t bytes[10];
};
struct wide_operand {
    uint8_t bytes[16];
};
#define VALUE(p)   (*(struct extended *)(p))
#define OPERAND(p) (*(const struct wide_operand *)(p))
#define STATUS     "fnstsw %%ax\n\ttestb $0x80,%%al\n\tjz 1f\n\tfnclex\n1:\n\t"

#define BINARY(insn)                                                                        \
    __asm__ volatile("fldt %2\n\tfldt %1\n\t" insn "\n\t" STATUS "fstpt %1\n\tfstp %%st(0)" \
                     : "=&a"(status), "+m"(VALUE(a))                                        \
                     : "m"(*(const struct extended *)b)                                     \
                     : "cc");                                                               \
    break

uint16_t x87_host_arithmetic(const struct fpu_state *fpu, unsigned op, void *a, const void *b)
{
    uint16_t status = 0;
    enter(fpu);
    switch (op) {
    case 0:
        BINARY("fadd %%st(1),%%st");
    case 1:
        BINARY("fmul %%st(1),%%st");
    case 4:
        BINARY("fsub %%st(1),%%st");
    case 5:
        BINARY("fsubr %%st(1),%%st");
    case 6:
        BINARY("fdiv %%st(1),%%st");
    case 7:
        BINARY("fdivr %%st(1),%%st");
    default:
        BINARY("fcom %%st(1)");
    }
    return leave(fpu, status);
}

#define MEMORY(insn)                                                \
    __asm__ volatile("fldt %1\n\t" insn " %2\n\t" STATUS "fstpt %1" \
                     : "=&a"(status), "+m"(VALUE(a))                \
                     : "m"(OPERAND(b))                              \
                     : "cc");                                       \
    break
#define MEMORY_TYPE(name, suffix, i)                          \
    static uint16_t name(unsigned op, void *a, const void *b) \
    {                                                         \
        uint16_t status = 0;                                  \
        switch (op) {                                         \
        case 0:                                               \
            MEMORY("f" i "add" suffix);                       \
        case 1:                                               \
            MEMORY("f" i "mul" suffix);                       \
        case 4:                                               \
            MEMORY("f" i "sub" suffix);                       \
        case 5:                                               \
            MEMORY("f" i "subr" suffix);                      \
        case 6:                                               \
            MEMORY("f" i "div" suffix);                       \
        case 7:                                               \
            MEMORY("f" i "divr" suffix);                      \
        default:                                              \
            MEMORY("f" i "com" suffix);                       \
        }                                                     \
        return status;                                        \
    }
MEMORY_TYPE(memory_f32, "s", "")
MEMORY_TYPE(memory_i32, "l", "i")
MEMORY_TYPE(memory_f64, "l", "")
MEMORY_TYPE(memory_i16, "s", "i")

uint16_t x87_host_arithmetic_memory(const struct fpu_state *fpu, unsigned op, void *a,
                                    enum x87_type type, const void *b)
{
    static uint16_t (*const by_type[])(unsigned, void *, const void *) = {[X87_F32] = memory_f32,
                                                                          [X87_I32] = memory_i32,
                                                                          [X87_F64] = memory_f64,
                                                                          [X87_I16] = memory_i16};
    enter(fpu);
    return leave(fpu, by_type[type](op, a, b));
}

#define LOAD(insn)                                    \
    __asm__ volatile(insn " %2\n\t" STATUS "fstpt %1" \
                     : "=&a"(status), "=m"(VALUE(a))  \
                     : "m"(OPERAND(from))             \
                     : "cc");                         \
    break

/* All masked, as the host has it, so that the push always happens; loads do not round. The caller
 * sees in the status whether the guest gets the value. */
uint16_t x87_host_load(const struct fpu_state *fpu, void *a, enum x87_type type, const void *from)
{
    uint16_t status = 0;
    clean(fpu);
    switch (type) {
    case X87_F32:
        LOAD("flds");
    case X87_F64:
        LOAD("fldl");
    case X87_I16:
        LOAD("filds");
    case X87_I32:
        LOAD("fildl");
    case X87_I64:
        LOAD("fildll");
    case X87_BCD:
        LOAD("fbld");
    }
    return status;
}

#define STORE(insn)                                                                     \
    __asm__ volatile("fldt %2\n\t" insn " %1\n\tfnstsw %%ax\n\tfnclex\n\tffree %%st(0)" \
                     : "=&a"(status), "=m"(*(struct wide_operand *)to)                  \
                     : "m"(*(const struct extended *)a)                                 \
                     : "cc");                                                           \
    break

uint16_t x87_host_store(const struct fpu_state *fpu, const void *a, enum x87_type type, void *to,
                        bool truncate)
{
    uint16_t status = 0;
    enter(fpu);
    switch (type + (truncate ? 8u : 0)) {
    case X87_F32:
        STORE("fstps");
    case X87_F64:
        STORE("fstpl");
    case X87_I16:
        STORE("fistps");
    case X87_I32:
        STORE("fistpl");
    case X87_I64:
        STORE("fistpll");
    case X87_BCD:
        STORE("fbstp");
    case X87_I16 + 8:
        STORE("fisttps");
    case X87_I32 + 8:
        STORE("fisttpl");
    default:
        STORE("fisttpll");
    }
    return leave(fpu, status);
}

uint16_t x87_host_compare(const struct fpu_state *fpu, const void *a, const void *b, bool quiet)
{
    uint16_t status = 0;
    enter(fpu);
    if (quiet)
        __asm__ volatile("fldt %2\n\tfldt %1\n\tfucom %%st(1)\n\t" STATUS
                         "fstp %%st(0)\n\tfstp %%st(0)"
                         : "=&a"(status)
                         : "m"(*(const struct extended *)a), "m"(*(const struct extended *)b)
                         : "cc");
    else
        __asm__ volatile("fldt %2\n\tfldt %1\n\tfcom %%st(1)\n\t" STATUS
                         "fstp %%st(0)\n\tfstp %%st(0)"
                         : "=&a"(status)
                         : "m"(*(const struct extended *)a), "m"(*(const struct extended *)b)
                         : "cc");
    return leave(fpu, status);
}

#define UNARY(insn)                                              \
    __asm__ volatile("fldt %1\n\t" insn "\n\t" STATUS "fstpt %1" \
                     : "=&a"(status), "+m"(VALUE(a))             \
                     :                                           \
                     : "cc");                                    \
    break
#define CONSTANT(insn)                                                                        \
    __asm__ volatile(insn "\n\t" STATUS "fstpt %1" : "=&a"(status), "=m"(VALUE(a)) : : "cc"); \
    break

uint16_t x87_host_unary(const struct fpu_state *fpu, unsigned op, void *a)
{
    uint16_t status = 0;
    enter(fpu);
    switch (op) {
    case 0x00:
        UNARY("fchs");
    case 0x01:
        UNARY("fabs");
    case 0x04:
        UNARY("ftst");
    case 0x05:
        UNARY("fxam");
    case 0x08:
        CONSTANT("fld1");
    case 0x09:
        CONSTANT("fldl2t");
    case 0x0a:
        CONSTANT("fldl2e");
    case 0x0b:
        CONSTANT("fldpi");
    case 0x0c:
        CONSTANT("fldlg2");
    case 0x0d:
        CONSTANT("fldln2");
    case 0x0e:
        CONSTANT("fldz");
    case 0x10:
        UNARY("f2xm1");
    case 0x1a:
        UNARY("fsqrt");
    case 0x1c:
        UNARY("frndint");
    case 0x1e:
        UNARY("fsin");
    default:
        UNARY("fcos");
    }
    return leave(fpu, status);
}

#define BOTH(insn)                                                                          \
    __asm__ volatile("fldt %2\n\tfldt %1\n\t" insn "\n\t" STATUS "fstpt %1\n\tfstp %%st(0)" \
                     : "=&a"(status), "+m"(VALUE(a))                                        \
                     : "m"(*(const struct extended *)b)                                     \
                     : "cc");                                                               \
    break
/* These pop unless an unmasked exception comes first; then b is not used. */
#define POPPING(insn)                                                              \
    __asm__ volatile("fldt %1\n\tfldt %2\n\t" insn "\n\tfnstsw %%ax\n\tfnclex\n\t" \
                     "fstpt %1\n\tffree %%st(0)"                                   \
                     : "=&a"(status), "+m"(VALUE(b))                               \
                     : "m"(*(const struct extended *)a)                            \
                     : "cc");                                                      \
    break

uint16_t x87_host_binary(const struct fpu_state *fpu, unsigned op, void *a, void *b)
{
    uint16_t status = 0;
    enter(fpu);
    switch (op) {
    case 0x11:
        POPPING("fyl2x");
    case 0x13:
        POPPING("fpatan");
    case 0x15:
        BOTH("fprem1");
    case 0x18:
        BOTH("fprem");
    case 0x19:
        POPPING("fyl2xp1");
    default:
        BOTH("fscale");
    }
    return leave(fpu, status);
}

#define PUSHING(insn)                                                                              \
    __asm__ volatile("fldt %1\n\tfnstsw %%ax\n\tmovw %%ax,%%dx\n\t" insn "\n\tfnstsw %%ax\n\t"     \
                     "fnclex\n\txorw %%ax,%%dx\n\ttestw $0x3800,%%dx\n\tjz 2f\n\tfstpt %2\n2:\n\t" \
                     "fstpt %1"                                                                    \
                     : "=&a"(status), "+m"(VALUE(a)), "+m"(VALUE(b)), "=&d"(change)                \
                     :                                                                             \
                     : "cc");                                                                      \
    break

uint16_t x87_host_push(const struct fpu_state *fpu, unsigned op, void *a, void *b, bool *pushed)
{
    uint16_t status = 0, change = 0;
    enter(fpu);
    switch (op) {
    case 0x12:
        PUSHING("fptan");
    case 0x14:
        PUSHING("fxtract");
    default:
        PUSHING("fsincos");
    }
    *pushed = change & FPU_TOP;
    return leave(fpu, status);
}
