/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory operands. A look-up is
 *
 *     lea   r15, [ea]              where the address is more than a register
 *     pext  rcx, r15, [page mask]  the page's number
 *     mov   rcx, gs:[rcx*8]        host address - guest address, or 0
 *     jrcxz miss
 *     op    [r15 + rcx]
 *
 * and touches no flag. For a 64-bit address of one register and a displacement the sum is left to
 * the access itself, [reg + rcx + disp], the page is that of the register, and rcx serves further
 * accesses off the same register, as long as it keeps its value: guard pages around each page of a
 * window catch those that leave the page (window.h), and what they reach together stays below a
 * page. Instructions that are caught often are looked up with more care.
 */
#include "engine/dbt/translate.h"

#include <string.h>

enum { NEAR = 64 }; /* bytes from a pointer that probably lie on its page */

void access_forget(struct tr *tr)
{
    tr->delta_base = GPR_ZERO;
}

void access_changed(struct tr *tr, uint16_t registers)
{
    if (tr->delta_base != GPR_ZERO && registers >> tr->delta_base & 1)
        access_forget(tr);
}

void access_moved(struct tr *tr, unsigned guest, int32_t by)
{
    if (tr->delta_base == guest && __builtin_sub_overflow(tr->delta_disp, by, &tr->delta_disp))
        access_forget(tr);
}

/* lea r15, with the register as wide as addresses are */
static void lea_scratch(struct tr *tr, struct emit_mem from, unsigned address_size)
{
    if (address_size == 8)
        emit_lea(&tr->e, SCRATCH, from);
    else
        emit_lea32(&tr->e, SCRATCH, from);
}

/* A guest register for use in an address, brought into `scratch` if it has no host register. */
static unsigned address_register(struct tr *tr, unsigned guest, unsigned scratch)
{
    if (!at_home(guest))
        return host_of(guest);
    emit_load(&tr->e, scratch, home_mem(guest));
    return scratch;
}

void access_address(struct tr *tr, const struct guest_mem *mem, bool with_segment)
{
    struct emit *e = &tr->e;
    int32_t disp = (int32_t)mem->disp;
    unsigned size = mem->address_size;
    if (mem->base == GPR_RIP) {
        control_page(tr, e, SCRATCH);
        int32_t distance;
        if (__builtin_add_overflow(disp, tr->next, &distance)) {
            emit_lea(e, SCRATCH, emit_at(SCRATCH, tr->next));
            distance = disp;
        }
        lea_scratch(tr, emit_at(SCRATCH, distance), size);
    } else if (mem->base == GPR_ZERO && mem->index == GPR_ZERO) {
        emit_mov_imm(e, SCRATCH, size == 8 ? (uint64_t)mem->disp : (uint32_t)mem->disp);
    } else {
        struct emit_mem from = {.base = H_NONE, .index = H_NONE, .disp = disp};
        if (mem->index != GPR_ZERO) {
            /* DELTA is about to be overwritten anyway. */
            if (at_home(mem->index))
                access_forget(tr);
            from.index = (uint8_t)address_register(tr, mem->index, DELTA);
            from.shift = mem->shift;
        }
        if (mem->base != GPR_ZERO)
            from.base = (uint8_t)address_register(tr, mem->base, SCRATCH);
        lea_scratch(tr, from, size);
    }
    if (!with_segment || (mem->segment != SEG_FS && mem->segment != SEG_GS))
        return;
    access_forget(tr);
    emit_load(e, DELTA, frame_mem(mem->segment == SEG_FS ? FRAME_FS_BASE : FRAME_GS_BASE));
    struct emit_mem sum = {.base = SCRATCH, .index = DELTA};
    lea_scratch(tr, sum, tr->code64 ? 8 : 4);
}

/* DELTA = entry for the address in `reg`; `address` tells a miss how to have it in SCRATCH. */
static struct stub *look_up(struct tr *tr, unsigned reg, bool write, const struct emit_mem *address)
{
    struct emit *e = &tr->e;
    stub_jumps(tr, tr->room);
    emit_pext(e, DELTA, reg, frame_mem(FRAME_PAGE_MASK));
    emit_load(e, DELTA, (struct emit_mem){.base = H_NONE, .index = DELTA, .shift = 3, .gs = true});
    uint8_t *from = emit_jrcxz(e);
    struct stub *stub = stub_near(tr, from, EXIT_MISS);
    stub->back = e->at;
    stub->write = write;
    if (address) {
        stub->has_address = true;
        stub->address = *address;
    }
    return stub;
}

bool access_allowed(const struct tr *tr, const struct guest_mem *mem)
{
    if (tr->code64)
        return true;
    switch (mem->segment) {
    case SEG_CS:
        return false; /* may be readable or not */
    case SEG_FS:
        return tr->variant & VARIANT_FS;
    case SEG_GS:
        return tr->variant & VARIANT_GS;
    default:
        return true;
    }
}

/* Leaves if DELTA is not 0. */
static void leave_unless_zero(struct tr *tr)
{
    struct emit *e = &tr->e;
    uint8_t *same = emit_jrcxz(e);
    stub_far(tr, emit_jmp32(e), EXIT_CROSSING);
    emit_here8(e, same);
}

void access_check_second_page(struct tr *tr, const uint8_t *bytes, unsigned count)
{
    struct emit *e = &tr->e;
    uint64_t expected = 0;
    for (unsigned i = 0; i < count; i++)
        expected |= (uint64_t)bytes[i] << (8 * i);
    stub_jumps(tr, tr->room);
    emit_load(e, DELTA, frame_mem(FRAME_CROSS_EPOCH));
    int32_t epoch = (int32_t)*frame(tr->d->cpu, FRAME_CROSS_EPOCH);
    emit_lea(e, DELTA, emit_at(DELTA, INT32_MIN)); /* a 4-byte displacement, whatever its value */
    tr->epoch = (uint16_t)(e->at - e->start - 4);
    if (!e->full) {
        epoch = -epoch;
        memcpy(e->at - 4, &epoch, 4);
    }
    leave_unless_zero(tr);
    control_page(tr, e, SCRATCH);
    struct emit_mem second = emit_at(SCRATCH, PAGE_SIZE);
    if (tr->code64)
        emit_lea(e, SCRATCH, second);
    else
        emit_lea32(e, SCRATCH, second);
    look_up(tr, SCRATCH, false, NULL);
    emit_load(e, DELTA, (struct emit_mem){.base = SCRATCH, .index = DELTA});
    emit_keep_low(e, DELTA, 8 * count, SCRATCH);
    emit_mov_imm(e, SCRATCH, -expected);
    emit_lea(e, DELTA, (struct emit_mem){.base = DELTA, .index = SCRATCH});
    leave_unless_zero(tr);
    access_forget(tr);
}

void access_look_up(struct tr *tr, const struct guest_mem *mem)
{
    struct emit_mem address = emit_at(host_of(mem->base), 0);
    access_forget(tr);
    look_up(tr, host_of(mem->base), mem->write, &address);
}

/* One register and a displacement, 64-bit, without a segment base? */
static bool is_plain(const struct tr *tr, const struct guest_mem *mem)
{
    return tr->code64 && mem->address_size == 8 && mem->index == GPR_ZERO &&
           mem->base != GPR_ZERO && mem->base != GPR_RIP && mem->segment != SEG_FS &&
           mem->segment != SEG_GS;
}

/* The displacement that a look-up is made for: none, unless the operand may well lie on another
 * page than its base register points to. */
static int32_t look_up_disp(const struct tr *tr, const struct guest_mem *mem)
{
    bool near = mem->disp >= -NEAR && mem->disp + mem->size <= NEAR;
    return tr->care == CARE_BASE && near ? 0 : (int32_t)mem->disp;
}

static bool reusable(const struct tr *tr, const struct guest_mem *mem)
{
    if (tr->delta_base != mem->base)
        return false;
    int64_t apart = mem->disp - tr->delta_disp;
    if (tr->care != CARE_BASE)
        return apart == 0;
    return apart > -(int64_t)PAGE_SIZE && apart + mem->size <= (int64_t)PAGE_SIZE;
}

/* To the interpreter if the access at SCRATCH runs over the end of its page: DELTA = offset + size
 * - 1 - PAGE_SIZE, and its sign bit. */
static void check_crossing(struct tr *tr, unsigned size)
{
    struct emit *e = &tr->e;
    stub_jumps(tr, tr->room);
    emit_pext(e, DELTA, SCRATCH, frame_mem(FRAME_OFFSET_MASK));
    emit_lea(e, DELTA, emit_at(DELTA, (int32_t)size - 1 - (int32_t)PAGE_SIZE));
    emit_pext(e, DELTA, DELTA, frame_mem(FRAME_SIGN_MASK));
    stub_near(tr, emit_jrcxz(e), EXIT_INTERPRET);
}

struct emit_mem access_at_scratch(struct tr *tr, unsigned size, bool write)
{
    access_forget(tr);
    if (tr->care >= CARE_ENDS && size > 1)
        check_crossing(tr, size);
    look_up(tr, SCRATCH, write, NULL);
    return (struct emit_mem){.base = SCRATCH, .index = DELTA};
}

struct emit_mem access_memory(struct tr *tr, const struct guest_mem *mem)
{
    struct emit *e = &tr->e;
    int32_t disp = (int32_t)mem->disp;
    if (tr->care >= CARE_ENDS) {
        access_address(tr, mem, true);
        return access_at_scratch(tr, mem->size, mem->write);
    }
    if (is_plain(tr, mem)) {
        bool reuse = reusable(tr, mem);
        int32_t of = reuse ? tr->delta_disp : look_up_disp(tr, mem);
        bool home = at_home(mem->base);
        unsigned base = home ? (unsigned)SCRATCH : host_of(mem->base);
        if (home)
            emit_load(e, SCRATCH, home_mem(mem->base));
        if (reuse)
            return (struct emit_mem){.base = (uint8_t)base, .index = DELTA, .disp = disp};
        struct emit_mem address = emit_at(base, of);
        if (of)
            emit_lea(e, home ? (unsigned)SCRATCH : (unsigned)DELTA, address);
        struct stub *stub =
            look_up(tr, of && !home ? (unsigned)DELTA : base, mem->write, home ? NULL : &address);
        stub->disp = (int16_t)(disp - of);
        tr->delta_base = mem->base;
        tr->delta_disp = of;
        if (home)
            disp -= of;
        return (struct emit_mem){.base = (uint8_t)base, .index = DELTA, .disp = disp};
    }
    access_address(tr, mem, true);
    return access_at_scratch(tr, mem->size, mem->write);
}
