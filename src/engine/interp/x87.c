/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * x87: the register stack, its exceptions, and what the instructions do to it. Reference: Intel
 * SDM volume 1 chapter 8. x87_decode.c says which handler an instruction has.
 */
#include "engine/interp/x87.h"

static const uint8_t indefinite[10] = {0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff};

/* Exceptions */

void x87_pending(struct vcpu *cpu, const struct op *op)
{
    if (!(cpu->fpu.fsw & FPU_ES))
        return;
    op_sync(cpu, op);
    if (cpu->cr0 & CR0_NE)
        cpu_raise(cpu, VEC_MF, 0);
    /* The PC's way: the error goes out on FERR# and comes back as IRQ 13. We go on as with IGNNE#
     * asserted. */
    if (cpu->world->ferr) {
        cpu->world->lock(cpu->world->opaque);
        cpu->world->ferr(cpu->world->board, true);
        cpu->world->unlock(cpu->world->opaque);
    }
}

void x87_lower_ferr(struct vcpu *cpu, uint16_t old_fsw)
{
    if (!(old_fsw & FPU_ES) || cpu->fpu.fsw & FPU_ES || cpu->cr0 & CR0_NE || !cpu->world->ferr)
        return;
    cpu->world->lock(cpu->world->opaque);
    cpu->world->ferr(cpu->world->board, false);
    cpu->world->unlock(cpu->world->opaque);
}

void x87_begin(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    if (__builtin_expect(cpu->cr0 & (CR0_EM | CR0_TS) || fpu->fsw & FPU_ES, 0)) {
        op_sync(cpu, op);
        if (cpu->cr0 & (CR0_EM | CR0_TS))
            cpu_raise(cpu, VEC_NM, 0);
        x87_pending(cpu, op);
    }
}

/* Where the last instruction was, for FSTENV; after its last fault. */
static void record(struct vcpu *cpu, const struct op *op)
{
    cpu->fpu.fip = cpu->gpr[GPR_RIP] + op->offset;
    cpu->fpu.fcs = cpu->seg[SEG_CS].selector;
    cpu->fpu.fop = (uint16_t)op->imm;
}

static void record_memory(struct vcpu *cpu, const struct op *op)
{
    record(cpu, op);
    cpu->fpu.fdp = op_offset(cpu, op);
    cpu->fpu.fds = cpu->seg[op->seg].selector;
}

/* Merges the host's status: exceptions, and the condition codes of `mask`. Returns the unmasked
 * exceptions. */
static unsigned merge(struct fpu_state *fpu, uint16_t status, unsigned mask)
{
    unsigned unmasked = status & ~fpu->fcw & FPU_EXCEPTIONS;
    fpu->fsw = (uint16_t)((fpu->fsw & ~mask) | (status & (mask | FPU_EXCEPTIONS)));
    if (unmasked)
        fpu->fsw |= FPU_ES | FPU_B;
    return unmasked;
}

enum { BEFORE_RESULT = FPU_IE | FPU_DE | FPU_ZE };

/* A stack fault; true when it is masked and the instruction goes on with the indefinite value. */
static bool stack_fault(struct fpu_state *fpu, bool overflow)
{
    fpu->fsw &= (uint16_t)~FPU_C1;
    fpu->fsw |= (uint16_t)(FPU_IE | FPU_SF | (overflow ? FPU_C1 : 0));
    if (fpu->fcw & FPU_IE)
        return true;
    fpu->fsw |= FPU_ES | FPU_B;
    return false;
}

static bool empty(const struct fpu_state *fpu, unsigned i)
{
    return fpu_empty(fpu, (fpu_top(fpu) + i) & 7);
}

static void set_tag(struct fpu_state *fpu, unsigned i, unsigned tag)
{
    unsigned shift = ((fpu_top(fpu) + i) & 7) * 2;
    fpu->ftw = (uint16_t)((fpu->ftw & ~(3u << shift)) | tag << shift);
}

static void put(struct fpu_state *fpu, unsigned i, const void *value)
{
    memcpy(x87_st(fpu, i), value, 10);
    set_tag(fpu, i, FPU_TAG_VALID);
}

static void pop(struct fpu_state *fpu)
{
    set_tag(fpu, 0, FPU_TAG_EMPTY);
    fpu_set_top(fpu, fpu_top(fpu) + 1);
}

static void pop_as_said(struct fpu_state *fpu, const struct op *op)
{
    if (op->extra8 & (FORM_POP | FORM_POP2))
        pop(fpu);
    if (op->extra8 & FORM_POP2)
        pop(fpu);
}

static void push(struct fpu_state *fpu, const void *value)
{
    if (!empty(fpu, 7)) {
        if (!stack_fault(fpu, true))
            return;
        value = indefinite;
    }
    fpu_set_top(fpu, fpu_top(fpu) - 1);
    put(fpu, 0, value);
}

/* Arithmetic and comparison */

static bool is_compare(const struct op *op)
{
    return op->reg == 2 || op->reg == 3;
}

static void commit_arithmetic(struct fpu_state *fpu, const struct op *op, const void *value,
                              uint16_t status)
{
    unsigned unmasked = merge(fpu, status, is_compare(op) ? FPU_CC : FPU_C1);
    if (unmasked & BEFORE_RESULT)
        return;
    if (!is_compare(op))
        put(fpu, op->extra8 & FORM_TO_STI ? op->rm : 0, value);
    pop_as_said(fpu, op);
}

static void underflow_arithmetic(struct fpu_state *fpu, const struct op *op)
{
    bool masked = stack_fault(fpu, false);
    if (is_compare(op))
        fpu->fsw |= FPU_C0 | FPU_C2 | FPU_C3;
    if (!masked)
        return;
    if (!is_compare(op))
        put(fpu, op->extra8 & FORM_TO_STI ? op->rm : 0, indefinite);
    pop_as_said(fpu, op);
}

static const struct op *do_arithmetic(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    x87_begin(cpu, op);
    record(cpu, op);
    if (empty(fpu, 0) || empty(fpu, op->rm)) {
        underflow_arithmetic(fpu, op);
        return op + 1;
    }
    uint8_t value[16];
    memcpy(value, x87_st(fpu, 0), 16);
    const uint8_t *other = x87_st(fpu, op->rm);
    uint16_t status = op->extra8 & FORM_QUIET ? x87_host_compare(fpu, value, other, true)
                                              : x87_host_arithmetic(fpu, op->reg, value, other);
    commit_arithmetic(fpu, op, value, status);
    return op + 1;
}

static const uint8_t type_size[] = {
    [X87_F32] = 4, [X87_I32] = 4, [X87_F64] = 8, [X87_I16] = 2, [X87_I64] = 8, [X87_BCD] = 10};

/* SDM 3A table 6-7: 80 bits are aligned to 8 bytes. */
static void check_alignment80(struct vcpu *cpu, const struct op *op, gva_t addr)
{
    op_sync(cpu, op);
    tlb_check_alignment(cpu, addr, 8, cpu->mmu);
}

static const void *fetch(struct vcpu *cpu, const struct op *op, unsigned size, void *buffer)
{
    gva_t addr = vector_linear(cpu, op, size, false);
    if (size == 10)
        check_alignment80(cpu, op, addr);
    return vector_source(cpu, op, addr, size, buffer);
}

static void store(struct vcpu *cpu, const struct op *op, const void *value, unsigned size)
{
    gva_t addr = vector_linear(cpu, op, size, true);
    if (size == 10)
        check_alignment80(cpu, op, addr);
    vector_store(cpu, op, addr, value, size);
}

static const struct op *do_arithmetic_memory(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    enum x87_type type = op->extra8 >> FORM_TYPE_SHIFT;
    uint8_t buffer[16], value[16];
    x87_begin(cpu, op);
    const void *operand = fetch(cpu, op, type_size[type], buffer);
    record_memory(cpu, op);
    if (empty(fpu, 0)) {
        underflow_arithmetic(fpu, op);
        return op + 1;
    }
    memcpy(value, x87_st(fpu, 0), 16);
    uint16_t status = x87_host_arithmetic_memory(fpu, op->reg, value, type, operand);
    commit_arithmetic(fpu, op, value, status);
    return op + 1;
}

/* FCOMI, FUCOMI and their popping forms: the answer in EFLAGS. */
static const struct op *do_compare_flags(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    x87_begin(cpu, op);
    record(cpu, op);
    unsigned codes = FPU_C0 | FPU_C2 | FPU_C3;
    bool pops;
    if (empty(fpu, 0) || empty(fpu, op->rm)) {
        pops = stack_fault(fpu, false);
    } else {
        uint16_t status =
            x87_host_compare(fpu, x87_st(fpu, 0), x87_st(fpu, op->rm), op->extra8 & FORM_QUIET);
        codes &= status;
        pops = !(merge(fpu, status, 0) & BEFORE_RESULT);
    }
    /* C0, C2, C3 have the places of CF, PF, ZF, eight bits up: as in AH. They are set even when the
     * exception is not masked. */
    cpu->cc = codes;
    if (pops)
        pop_as_said(fpu, op);
    return op + 1;
}

/* D9 E0-FF */

static const struct op *do_unary(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    uint8_t value[16];
    bool test = op->reg == 0x04, examine = op->reg == 0x05;
    x87_begin(cpu, op);
    record(cpu, op);
    if (empty(fpu, 0) && examine) {
        unsigned sign = x87_st(fpu, 0)[9] >> 7;
        fpu->fsw = (uint16_t)((fpu->fsw & ~FPU_CC) | FPU_C3 | FPU_C0 | (sign ? FPU_C1 : 0));
        return op + 1;
    }
    if (empty(fpu, 0)) {
        bool masked = stack_fault(fpu, false);
        if (test)
            fpu->fsw |= FPU_C0 | FPU_C2 | FPU_C3;
        else if (masked)
            put(fpu, 0, indefinite);
        if (op->reg >= 0x1e)
            fpu->fsw &= (uint16_t)~FPU_C2;
        return op + 1;
    }
    memcpy(value, x87_st(fpu, 0), 16);
    uint16_t status = x87_host_unary(fpu, op->reg, value);
    bool trigonometric = op->reg >= 0x1e;
    unsigned mask = test || examine ? FPU_CC : trigonometric ? FPU_C1 | FPU_C2 : FPU_C1;
    unsigned unmasked = merge(fpu, status, mask);
    if (!(unmasked & BEFORE_RESULT) && !test && !examine)
        put(fpu, 0, value);
    return op + 1;
}

static const struct op *do_constant(struct vcpu *cpu, const struct op *op)
{
    uint8_t value[16];
    x87_begin(cpu, op);
    record(cpu, op);
    x87_host_unary(&cpu->fpu, op->reg, value);
    cpu->fpu.fsw &= (uint16_t)~FPU_C1;
    push(&cpu->fpu, value);
    return op + 1;
}

static bool is_remainder(const struct op *op)
{
    return op->reg == 0x15 || op->reg == 0x18;
}

static const struct op *do_binary(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    uint8_t a[16], b[16];
    bool pops = op->extra8 & FORM_POP;
    x87_begin(cpu, op);
    record(cpu, op);
    if (empty(fpu, 0) || empty(fpu, 1)) {
        if (is_remainder(op))
            fpu->fsw &= (uint16_t)~FPU_C2;
        if (!stack_fault(fpu, false))
            return op + 1;
        put(fpu, pops ? 1 : 0, indefinite);
        pop_as_said(fpu, op);
        return op + 1;
    }
    memcpy(a, x87_st(fpu, 0), 16);
    memcpy(b, x87_st(fpu, 1), 16);
    uint16_t status = x87_host_binary(fpu, op->reg, a, b);
    /* A remainder that is not computed has no quotient: C0 and C3 stay. */
    bool invalid = status & ~fpu->fcw & BEFORE_RESULT || (load_le16(a + 8) & 0x7fff) == 0x7fff;
    unsigned mask = !is_remainder(op) ? FPU_C1 : invalid ? FPU_C1 | FPU_C2 : FPU_CC;
    if (merge(fpu, status, mask) & BEFORE_RESULT)
        return op + 1;
    put(fpu, pops ? 1 : 0, pops ? b : a);
    pop_as_said(fpu, op);
    return op + 1;
}

/* FPTAN, FXTRACT, FSINCOS */
static const struct op *do_pushing(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    uint8_t a[16], b[16];
    x87_begin(cpu, op);
    record(cpu, op);
    bool under = empty(fpu, 0), over = !empty(fpu, 7);
    if (under || over) {
        if (op->reg != 0x14) /* FXTRACT has no C2 */
            fpu->fsw &= (uint16_t)~FPU_C2;
        if (stack_fault(fpu, !under)) {
            put(fpu, 0, indefinite);
            fpu_set_top(fpu, fpu_top(fpu) - 1);
            put(fpu, 0, indefinite);
        }
        return op + 1;
    }
    memcpy(a, x87_st(fpu, 0), 16);
    bool pushed;
    uint16_t status = x87_host_push(fpu, op->reg, a, b, &pushed);
    unsigned mask = op->reg == 0x14 ? FPU_C1 : FPU_C1 | FPU_C2;
    if (merge(fpu, status, mask) & BEFORE_RESULT)
        return op + 1;
    put(fpu, 0, a);
    if (pushed)
        push(fpu, b);
    return op + 1;
}

/* Loads and stores */

static const struct op *do_load_memory(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    enum x87_type type = op->extra8 >> FORM_TYPE_SHIFT;
    uint8_t buffer[16], value[16];
    x87_begin(cpu, op);
    const void *from = fetch(cpu, op, type_size[type], buffer);
    record_memory(cpu, op);
    if (!empty(fpu, 7)) {
        push(fpu, indefinite);
        return op + 1;
    }
    uint16_t status = x87_host_load(fpu, value, type, from);
    fpu->fsw &= (uint16_t)~FPU_C1;
    /* A denormal is pushed even when its exception is not masked. */
    if (!(merge(fpu, status, 0) & FPU_IE))
        push(fpu, value);
    return op + 1;
}

static const struct op *do_load80(struct vcpu *cpu, const struct op *op)
{
    uint8_t buffer[16], value[16];
    x87_begin(cpu, op);
    memcpy(value, fetch(cpu, op, 10, buffer), 10);
    record_memory(cpu, op);
    cpu->fpu.fsw &= (uint16_t)~FPU_C1;
    push(&cpu->fpu, value);
    return op + 1;
}

static const struct op *do_load_register(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    uint8_t value[16];
    x87_begin(cpu, op);
    record(cpu, op);
    fpu->fsw &= (uint16_t)~FPU_C1;
    memcpy(value, x87_st(fpu, op->rm), 16);
    if (empty(fpu, op->rm)) {
        if (!stack_fault(fpu, false))
            return op + 1;
        memcpy(value, indefinite, sizeof(indefinite));
        fpu_set_top(fpu, fpu_top(fpu) - 1);
        put(fpu, 0, value);
        return op + 1;
    }
    push(fpu, value);
    return op + 1;
}

/* What a masked stack underflow stores. */
static void indefinite_of(enum x87_type type, uint8_t *to)
{
    switch (type) {
    case X87_F32:
        store_le32(to, 0xffc00000);
        break;
    case X87_F64:
        store_le64(to, 0xfff8000000000000);
        break;
    case X87_I16:
        store_le16(to, 0x8000);
        break;
    case X87_I32:
        store_le32(to, 0x80000000);
        break;
    case X87_I64:
        store_le64(to, 1ull << 63);
        break;
    case X87_BCD:
        store_le64(to, 0xc000000000000000);
        store_le16(to + 8, 0xffff);
        break;
    }
}

static const struct op *do_store_memory(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    enum x87_type type = op->extra8 >> FORM_TYPE_SHIFT;
    unsigned size = type_size[type];
    uint8_t value[16];
    x87_begin(cpu, op);
    /* The address matters only if there is something to store. */
    if (empty(fpu, 0)) {
        if (fpu->fcw & FPU_IE) {
            indefinite_of(type, value);
            store(cpu, op, value, size);
        }
        record_memory(cpu, op);
        if (stack_fault(fpu, false))
            pop_as_said(fpu, op);
        return op + 1;
    }
    uint16_t status = x87_host_store(fpu, x87_st(fpu, 0), type, value, op->extra8 & FORM_TRUNCATE);
    bool stores = !(status & ~fpu->fcw & (FPU_IE | FPU_OE | FPU_UE));
    if (stores)
        store(cpu, op, value, size);
    record_memory(cpu, op);
    merge(fpu, status, FPU_C1);
    if (stores)
        pop_as_said(fpu, op);
    return op + 1;
}

static const struct op *do_store80(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    x87_begin(cpu, op);
    bool under = empty(fpu, 0);
    if (!under || fpu->fcw & FPU_IE)
        store(cpu, op, under ? indefinite : x87_st(fpu, 0), 10);
    record_memory(cpu, op);
    fpu->fsw &= (uint16_t)~FPU_C1;
    if (!under || stack_fault(fpu, false))
        pop(fpu);
    return op + 1;
}

static const struct op *do_store_register(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    uint8_t value[16];
    x87_begin(cpu, op);
    record(cpu, op);
    fpu->fsw &= (uint16_t)~FPU_C1;
    memcpy(value, x87_st(fpu, 0), 16);
    if (empty(fpu, 0)) {
        if (!stack_fault(fpu, false))
            return op + 1;
        memcpy(value, indefinite, sizeof(indefinite));
    }
    put(fpu, op->rm, value);
    pop_as_said(fpu, op);
    return op + 1;
}

static const struct op *do_exchange(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    uint8_t a[16], b[16];
    x87_begin(cpu, op);
    record(cpu, op);
    fpu->fsw &= (uint16_t)~FPU_C1;
    if ((empty(fpu, 0) || empty(fpu, op->rm)) && !stack_fault(fpu, false))
        return op + 1;
    memcpy(a, empty(fpu, 0) ? indefinite : x87_st(fpu, 0), 10);
    memcpy(b, empty(fpu, op->rm) ? indefinite : x87_st(fpu, op->rm), 10);
    put(fpu, op->rm, a);
    put(fpu, 0, b);
    return op + 1;
}

/* FCMOVcc: reg 0-3 below, equal, below or equal, unordered; +4 not. */
static const struct op *do_conditional_move(struct vcpu *cpu, const struct op *op)
{
    static const uint64_t conditions[] = {FLAG_CF, FLAG_ZF, FLAG_CF | FLAG_ZF, FLAG_PF};
    struct fpu_state *fpu = &cpu->fpu;
    uint8_t value[16];
    x87_begin(cpu, op);
    record(cpu, op);
    if (empty(fpu, 0) || empty(fpu, op->rm)) {
        if (stack_fault(fpu, false))
            put(fpu, 0, indefinite);
        return op + 1;
    }
    bool holds = cpu_cc_to_flags(cpu->cc) & conditions[op->reg & 3];
    if (holds != (op->reg >= 4)) {
        memcpy(value, x87_st(fpu, op->rm), 16);
        put(fpu, 0, value);
    }
    return op + 1;
}

/* FSTPNCE (D9 D8): as FSTP, but an empty register is popped without a word. */
static const struct op *do_store_quietly(struct vcpu *cpu, const struct op *op)
{
    struct fpu_state *fpu = &cpu->fpu;
    uint8_t value[16];
    x87_begin(cpu, op);
    record(cpu, op);
    fpu->fsw &= (uint16_t)~FPU_C1;
    bool vacant = empty(fpu, 0);
    memcpy(value, x87_st(fpu, 0), 16);
    if (!vacant)
        put(fpu, op->rm, value);
    pop(fpu);
    return op + 1;
}

const op_fn x87_handlers[X87_HANDLERS] = {
    [X87_ARITHMETIC] = do_arithmetic,
    [X87_ARITHMETIC_MEMORY] = do_arithmetic_memory,
    [X87_COMPARE_FLAGS] = do_compare_flags,
    [X87_UNARY] = do_unary,
    [X87_CONSTANT] = do_constant,
    [X87_BINARY] = do_binary,
    [X87_PUSHING] = do_pushing,
    [X87_LOAD_MEMORY] = do_load_memory,
    [X87_LOAD80] = do_load80,
    [X87_LOAD_REGISTER] = do_load_register,
    [X87_STORE_MEMORY] = do_store_memory,
    [X87_STORE80] = do_store80,
    [X87_STORE_REGISTER] = do_store_register,
    [X87_EXCHANGE] = do_exchange,
    [X87_CONDITIONAL_MOVE] = do_conditional_move,
    [X87_STORE_QUIETLY] = do_store_quietly,
};
