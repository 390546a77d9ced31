/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MOVS STOS LODS SCAS CMPS, with and without REP. A repeated one goes page by page over host memory
 * where both sides are plain RAM; it can be interrupted between pieces, with RCX, RSI and RDI as
 * far as it got, and resumes at itself.
 */
#include "engine/interp/integer.h"

enum { PIECE = 512 }; /* elements between looks at interrupts on the slow path */

static uint64_t cut(const struct op *op, uint64_t value)
{
    return op->address_size == 8   ? value
           : op->address_size == 4 ? (uint32_t)value
                                   : (uint16_t)value;
}

static gva_t source(struct vcpu *cpu, const struct op *op)
{
    return op_segment_address(cpu, op, op->seg, cpu->gpr[RSI], op->size, false);
}

static gva_t destination(struct vcpu *cpu, const struct op *op, bool write)
{
    return op_segment_address(cpu, op, SEG_ES, cpu->gpr[RDI], op->size, write);
}

static uint64_t load(struct vcpu *cpu, const struct op *op, gva_t addr)
{
    switch (op->size) {
    case 1:
        return op_load_at(cpu, op, addr, 1);
    case 2:
        return op_load_at(cpu, op, addr, 2);
    case 4:
        return op_load_at(cpu, op, addr, 4);
    default:
        return op_load_at(cpu, op, addr, 8);
    }
}

static void store(struct vcpu *cpu, const struct op *op, gva_t addr, uint64_t value)
{
    switch (op->size) {
    case 1:
        op_store_at(cpu, op, addr, value, 1);
        break;
    case 2:
        op_store_at(cpu, op, addr, value, 2);
        break;
    case 4:
        op_store_at(cpu, op, addr, value, 4);
        break;
    default:
        op_store_at(cpu, op, addr, value, 8);
    }
}

/* Moves an index register by n elements in the direction of DF. */
static void advance(struct vcpu *cpu, const struct op *op, unsigned reg, uint64_t n)
{
    uint64_t step = n * op->size;
    reg_set(cpu, reg, cpu->rflags & FLAG_DF ? cpu->gpr[reg] - step : cpu->gpr[reg] + step,
            op->address_size);
}

/* How many elements from reg on, ascending, lie in one page and, as far as offsets go, in order. */
static uint64_t run_length(struct vcpu *cpu, const struct op *op, unsigned segment, unsigned reg,
                           gva_t addr)
{
    uint64_t room = PAGE_SIZE - (addr & (PAGE_SIZE - 1));
    if ((cpu->code_mode & CODE_SIZE) != CODE_64) {
        uint64_t offset = cut(op, cpu->gpr[reg]);
        const struct segment *seg = &cpu->seg[segment];
        bool expand_down = (seg->access & (SEG_S | 0xc)) == (SEG_S | 4);
        if (expand_down || offset > seg->limit)
            return 0;
        uint64_t end = min_u64(seg->limit, op->address_size == 2 ? 0xffff : 0xffffffff);
        room = min_u64(room, end - offset + 1);
    }
    return room >> size_index(op->size); /* a division would take longer than the rest */
}

static uint8_t *host_at(struct vcpu *cpu, gva_t addr, enum access_type type)
{
    const struct tlb_entry *entry = &cpu->tlb[cpu->mmu][tlb_slot(addr)];
    if (!tlb_hit(cpu, entry, addr, 1, type))
        return NULL;
    return (uint8_t *)(uintptr_t)(addr + entry->delta);
}

/* Copies ascending, element by element where the areas overlap so that it shows. */
static void copy_up(uint8_t *to, const uint8_t *from, uint64_t n, unsigned size)
{
    uint64_t bytes = n * size;
    if (to <= from || to >= from + bytes) {
        memmove(to, from, bytes);
        return;
    }
    for (uint64_t i = 0; i < bytes; i += size)
        memmove(to + i, from + i, size);
}

static void fill_up(uint8_t *to, uint64_t value, uint64_t n, unsigned size)
{
    if (size == 1) {
        memset(to, (int)value, n);
        return;
    }
    for (uint64_t i = 0; i < n; i++)
        store_le(to + i * size, value, size);
}

/* One piece of REP MOVS or STOS on host memory: how many elements it did, 0 if it cannot. */
static uint64_t bulk(struct vcpu *cpu, const struct op *op, uint64_t count, bool move)
{
    if (cpu->rflags & FLAG_DF)
        return 0;
    /* Faults of the source come first, and element by element. */
    if (move && !host_at(cpu, source(cpu, op), ACCESS_READ))
        return 0;
    gva_t to = destination(cpu, op, true);
    uint64_t n = min_u64(count, run_length(cpu, op, SEG_ES, RDI, to));
    uint8_t *host_to = host_at(cpu, to, ACCESS_WRITE);
    if (n == 0 || !host_to)
        return 0;
    if (move) {
        gva_t from = source(cpu, op);
        n = min_u64(n, run_length(cpu, op, op->seg, RSI, from));
        const uint8_t *host_from = host_at(cpu, from, ACCESS_READ);
        if (n == 0 || !host_from)
            return 0;
        copy_up(host_to, host_from, n, op->size);
        advance(cpu, op, RSI, n);
    } else {
        fill_up(host_to, cpu->gpr[RAX], n, op->size);
    }
    advance(cpu, op, RDI, n);
    return n;
}

static void movs_one(struct vcpu *cpu, const struct op *op)
{
    uint64_t value = load(cpu, op, source(cpu, op));
    store(cpu, op, destination(cpu, op, true), value);
    advance(cpu, op, RSI, 1);
    advance(cpu, op, RDI, 1);
}

static void stos_one(struct vcpu *cpu, const struct op *op)
{
    store(cpu, op, destination(cpu, op, true), cpu->gpr[RAX]);
    advance(cpu, op, RDI, 1);
}

static void lods_one(struct vcpu *cpu, const struct op *op)
{
    uint64_t value = load(cpu, op, source(cpu, op));
    reg_set(cpu, RAX, value, op->size);
    advance(cpu, op, RSI, 1);
}

static void scas_one(struct vcpu *cpu, const struct op *op)
{
    uint64_t value = load(cpu, op, destination(cpu, op, false));
    flags_compare(cpu, cpu->gpr[RAX], value, op->size);
    advance(cpu, op, RDI, 1);
}

static void cmps_one(struct vcpu *cpu, const struct op *op)
{
    /* Where both would fault, processors tell of the second operand. */
    uint64_t y = load(cpu, op, destination(cpu, op, false));
    uint64_t x = load(cpu, op, source(cpu, op));
    flags_compare(cpu, x, y, op->size);
    advance(cpu, op, RSI, 1);
    advance(cpu, op, RDI, 1);
}

/* Byte LODS writes AL: reg_set's byte slot 0 is RAX's first byte, so RAX (0) serves both. */
#define PLAIN(name)                                                     \
    static const struct op *name(struct vcpu *cpu, const struct op *op) \
    {                                                                   \
        name##_one(cpu, op);                                            \
        return op + 1;                                                  \
    }
PLAIN(movs)
PLAIN(stos)
PLAIN(lods)
PLAIN(scas)
PLAIN(cmps)

static uint64_t rep_count(const struct vcpu *cpu, const struct op *op)
{
    return cut(op, cpu->gpr[RCX]);
}

static void rep_done(struct vcpu *cpu, const struct op *op, uint64_t n)
{
    reg_set(cpu, RCX, cpu->gpr[RCX] - n, op->address_size);
}

/* Is each element followed by a trap? */
static bool trap_between(const struct vcpu *cpu)
{
    return cpu->rflags & FLAG_TF || cpu->pending_db;
}

/* After a piece, with some left: shall somebody else have the processor? */
static bool yield_to_interrupt(struct vcpu *cpu, const struct op *op)
{
    if (!attention_within(cpu) && !trap_between(cpu))
        return false;
    op_sync(cpu, op);
    cpu->rflags |= FLAG_RF; /* the instruction's breakpoint is behind us */
    return true;
}

static const struct op *rep_move(struct vcpu *cpu, const struct op *op,
                                 void (*one)(struct vcpu *, const struct op *), bool move,
                                 bool can_bulk)
{
    unsigned slow = 0;
    for (uint64_t count; (count = rep_count(cpu, op)) != 0;) {
        uint64_t n = can_bulk && !trap_between(cpu) ? bulk(cpu, op, count, move) : 0;
        if (n == 0) {
            one(cpu, op);
            n = 1;
            slow++;
        }
        rep_done(cpu, op, n);
        if ((n > 1 || slow % PIECE == 0 || trap_between(cpu)) && rep_count(cpu, op) &&
            yield_to_interrupt(cpu, op))
            return NULL;
    }
    return op + 1;
}

static const struct op *rep_movs(struct vcpu *cpu, const struct op *op)
{
    return rep_move(cpu, op, movs_one, true, true);
}
static const struct op *rep_stos(struct vcpu *cpu, const struct op *op)
{
    return rep_move(cpu, op, stos_one, false, true);
}
static const struct op *rep_lods(struct vcpu *cpu, const struct op *op)
{
    return rep_move(cpu, op, lods_one, false, false);
}

/* The first of n elements at y that is (or is not) equal to its partner: that at x, or value. */
static inline __attribute__((always_inline)) uint64_t find(const uint8_t *x, uint64_t value,
                                                           const uint8_t *y, uint64_t n,
                                                           unsigned size, bool equal)
{
    uint64_t i = 0;
    while (i < n &&
           ((x ? load_le(x + i * size, size) : value) == load_le(y + i * size, size)) != equal)
        i++;
    return i;
}

static uint64_t find_any(const uint8_t *x, uint64_t value, const uint8_t *y, uint64_t n,
                         unsigned size, bool equal)
{
    const uint8_t *hit;
    switch (size) {
    case 1:
        if (!x && equal) {
            hit = memchr(y, (uint8_t)value, n);
            return hit ? (uint64_t)(hit - y) : n;
        }
        return find(x, (uint8_t)value, y, n, 1, equal);
    case 2:
        return find(x, (uint16_t)value, y, n, 2, equal);
    case 4:
        return find(x, (uint32_t)value, y, n, 4, equal);
    default:
        return find(x, value, y, n, 8, equal);
    }
}

/* One piece of REP SCAS or CMPS on host memory: how many elements it compared, the last of them for
 * the flags; 0 if it cannot. */
static uint64_t bulk_compare(struct vcpu *cpu, const struct op *op, uint64_t count, bool two)
{
    if (cpu->rflags & FLAG_DF)
        return 0;
    bool until_equal = op->flags & OP_REPNE;
    gva_t at = destination(cpu, op, false);
    uint64_t n = min_u64(count, run_length(cpu, op, SEG_ES, RDI, at));
    const uint8_t *x = NULL, *y = host_at(cpu, at, ACCESS_READ);
    if (n == 0 || !y)
        return 0;
    if (two) {
        gva_t from = source(cpu, op);
        n = min_u64(n, run_length(cpu, op, op->seg, RSI, from));
        x = host_at(cpu, from, ACCESS_READ);
        if (n == 0 || !x)
            return 0;
    }
    uint64_t found = find_any(x, cpu->gpr[RAX], y, n, op->size, until_equal);
    uint64_t last = found < n ? found : n - 1;
    flags_compare(cpu, x ? load_le(x + last * op->size, op->size) : cpu->gpr[RAX],
                  load_le(y + last * op->size, op->size), op->size);
    advance(cpu, op, RDI, last + 1);
    if (two)
        advance(cpu, op, RSI, last + 1);
    return last + 1;
}

static const struct op *rep_compare(struct vcpu *cpu, const struct op *op, bool two)
{
    bool until_equal = op->flags & OP_REPNE;
    uint32_t before = cpu->cc;
    unsigned slow = 0;
    for (uint64_t count; (count = rep_count(cpu, op)) != 0;) {
        cpu->cc = before; /* a fault leaves the flags as they were (SDM 2B, REP) */
        uint64_t n = trap_between(cpu) ? 0 : bulk_compare(cpu, op, count, two);
        if (n == 0) {
            if (two)
                cmps_one(cpu, op);
            else
                scas_one(cpu, op);
            n = 1;
            slow++;
        }
        rep_done(cpu, op, n);
        bool equal = cpu->cc >> 14 & 1;
        if (equal == until_equal)
            break;
        if ((n > 1 || slow % PIECE == 0 || trap_between(cpu)) && rep_count(cpu, op) &&
            yield_to_interrupt(cpu, op))
            return NULL;
    }
    return op + 1;
}
static const struct op *rep_scas(struct vcpu *cpu, const struct op *op)
{
    return rep_compare(cpu, op, false);
}
static const struct op *rep_cmps(struct vcpu *cpu, const struct op *op)
{
    return rep_compare(cpu, op, true);
}

bool decode_string(const struct decoded *d, struct op *op, bool *ends)
{
    static const struct {
        ZydisMnemonic mnemonic;
        uint8_t size;
        uint8_t kind;
    } names[] = {
        {ZYDIS_MNEMONIC_MOVSB, 1, 0}, {ZYDIS_MNEMONIC_MOVSW, 2, 0}, {ZYDIS_MNEMONIC_MOVSD, 4, 0},
        {ZYDIS_MNEMONIC_MOVSQ, 8, 0}, {ZYDIS_MNEMONIC_STOSB, 1, 1}, {ZYDIS_MNEMONIC_STOSW, 2, 1},
        {ZYDIS_MNEMONIC_STOSD, 4, 1}, {ZYDIS_MNEMONIC_STOSQ, 8, 1}, {ZYDIS_MNEMONIC_LODSB, 1, 2},
        {ZYDIS_MNEMONIC_LODSW, 2, 2}, {ZYDIS_MNEMONIC_LODSD, 4, 2}, {ZYDIS_MNEMONIC_LODSQ, 8, 2},
        {ZYDIS_MNEMONIC_SCASB, 1, 3}, {ZYDIS_MNEMONIC_SCASW, 2, 3}, {ZYDIS_MNEMONIC_SCASD, 4, 3},
        {ZYDIS_MNEMONIC_SCASQ, 8, 3}, {ZYDIS_MNEMONIC_CMPSB, 1, 4}, {ZYDIS_MNEMONIC_CMPSW, 2, 4},
        {ZYDIS_MNEMONIC_CMPSD, 4, 4}, {ZYDIS_MNEMONIC_CMPSQ, 8, 4},
    };
    static const op_fn plain[5] = {movs, stos, lods, scas, cmps};
    static const op_fn repeated[5] = {rep_movs, rep_stos, rep_lods, rep_scas, rep_cmps};
    /* MOVSD and CMPSD are also names of SSE2 instructions. */
    if (d->insn->meta.category != ZYDIS_CATEGORY_STRINGOP)
        return false;
    (void)ends;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i].mnemonic != d->insn->mnemonic)
            continue;
        op->size = names[i].size;
        op->seg = SEG_DS;
        for (unsigned k = 0; k < d->insn->operand_count; k++) {
            const ZydisDecodedOperand *operand = &d->operands[k];
            if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
                ZydisRegisterGetId(operand->mem.base) == RSI)
                op->seg = decode_segment(operand->mem.segment);
        }
        bool rep = op->flags & (OP_REP | OP_REPNE);
        op->fn = rep ? repeated[names[i].kind] : plain[names[i].kind];
        return true;
    }
    return false;
}
