/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Stubs: the exits of a translation and the rest of what is seldom run. They lie in cold code
 * memory. A JRCXZ does not reach that far: it leads to a jump nearby.
 */
#include "engine/dbt/translate.h"

static struct stub *add(struct tr *tr, uint8_t *from, enum exit_kind kind)
{
    static struct stub spare;
    if (tr->stub_count == STUBS) {
        tr->e.full = true;
        return &spare;
    }
    struct stub *stub = &tr->stubs[tr->stub_count++];
    *stub = (struct stub){.from = from,
                          .kind = kind,
                          .insn = tr->insn,
                          .branch = tr->highest,
                          .count = (uint16_t)tr->done};
    return stub;
}

struct stub *stub_near(struct tr *tr, uint8_t *from, enum exit_kind kind)
{
    struct stub *stub = add(tr, from, kind);
    stub->near = true;
    tr->near_count++;
    return stub;
}

struct stub *stub_far(struct tr *tr, uint8_t *from, enum exit_kind kind)
{
    return add(tr, from, kind);
}

static void put_jumps(struct tr *tr)
{
    for (unsigned i = tr->first_near; i < tr->stub_count; i++) {
        struct stub *stub = &tr->stubs[i];
        if (!stub->near)
            continue;
        emit_here8(&tr->e, stub->from);
        stub->from = emit_jmp32(&tr->e);
        stub->near = false;
    }
    tr->first_near = tr->stub_count;
    tr->near_count = 0;
}

void stub_jumps(struct tr *tr, unsigned room)
{
    if (!tr->near_count)
        return;
    if (tr->e.masks)
        room += 2 * EMIT_MORE;
    while (!tr->stubs[tr->first_near].near)
        tr->first_near++;
    /* The first is the farthest, and its jump comes first; the last may come right behind it. */
    ptrdiff_t distance = tr->e.at - tr->stubs[tr->first_near].from;
    if (distance + (ptrdiff_t)room + (ptrdiff_t)tr->near_count * STUB_SIZE < STUB_REACH)
        return;
    uint8_t *over = emit_jmp8(&tr->e);
    put_jumps(tr);
    emit_here8(&tr->e, over);
}

static void put_exit(struct tr *tr, const struct stub *stub)
{
    struct emit *e = &tr->cold;
    emit_call_to(e, tr->leave);
    uint8_t *info = e->at;
    emit_byte(e, (uint8_t)stub->kind);
    bool counted = stub->kind == EXIT_DIRECT || stub->kind == EXIT_INDIRECT;
    emit_byte(e, counted ? (uint8_t)stub->count : stub->write);
    emit_u16(e, stub->insn);
    emit_u16(e, tr->place);
    switch (stub->kind) {
    case EXIT_DIRECT:
        emit_u32(e, (uint32_t)(stub->from - info));
        emit_u16(e, stub->branch);
        break;
    case EXIT_INDIRECT:
    case EXIT_INTERPRET:
        emit_u32(e, (uint32_t)stub->extra);
        break;
    case EXIT_MISS:
        emit_u16(e, (uint16_t)stub->disp);
        break;
    default:
        break;
    }
}

static void put_stub(struct tr *tr, const struct stub *stub)
{
    struct emit *e = &tr->cold;
    emit_here32(e, stub->from);
    if (stub->has_address)
        emit_lea(e, SCRATCH, stub->address);
    switch (stub->what) {
    case STUB_EXIT:
        put_exit(tr, stub);
        break;
    case STUB_LOAD_VECTORS:
        emit_call_to(e, tr->load_vectors);
        break;
    case STUB_FAR:
        control_far(tr, stub);
        break;
    case STUB_FAR_MISS:
        control_far_miss(tr, stub);
        break;
    case STUB_SECOND:
        control_second(tr, stub);
        break;
    }
    if (stub->back)
        emit_jmp_to(e, stub->back);
}

void stub_finish(struct tr *tr)
{
    put_jumps(tr);
    for (unsigned i = 0; i < tr->stub_count; i++) /* some add others */
        put_stub(tr, &tr->stubs[i]);
}
