/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One block: from the interpreter's cache, where it lives and dies, to host code.
 *
 *     from_jump: takes FRAME_RIP_PAGE from the target in SCRATCH     entered by the jump table
 *     poll:      leaves if somebody asks for attention               entered by branches backward
 *     body:      the instructions                                    entered by all else
 *     stubs, exits
 */
#include "engine/dbt/translate.h"

#include <stdlib.h>
#include <string.h>

#include "engine/interp/integer.h"

enum { BLOCK_CODE_MAX = 16384 };

static void entries(struct tr *tr, struct translation *t)
{
    struct emit *e = &tr->e;
    int32_t offset = tr->block->offset;
    t->from_jump = 0;
    struct emit_mem page = emit_at(SCRATCH, -offset);
    if (tr->code64)
        emit_lea(e, DELTA, page);
    else
        emit_lea32(e, DELTA, page);
    emit_store(e, frame_mem(FRAME_RIP_PAGE), DELTA);
    uint8_t *over = emit_jmp8(e);
    t->poll = (uint16_t)(e->at - e->start);
    emit_load(e, DELTA, frame_mem(FRAME_POLL));
    struct stub *stub = access_stub(tr, EXIT_POLL);
    stub->from = emit_jrcxz(e);
    emit_here8(e, over);
    t->body = (uint16_t)(e->at - e->start);
}

/* The page's bytes as they are now. */
static bool code_bytes(const struct dbt_vcpu *d, const struct block *block, const uint8_t **page)
{
    if (!block->page)
        return false;
    const struct mem_range *range = mem_find(d->cpu->view, block->page->gpa);
    if (!range->region || range->kind == MEM_IO)
        return false;
    *page = mem_host(range, block->page->gpa);
    return true;
}

/* One instruction, of which `available` bytes are there. False: the block ends with it. */
static bool one(struct tr *tr, unsigned at, const uint8_t *bytes, unsigned available)
{
    static const uint8_t code_sizes[3] = {16, 32, 64};
    unsigned mode = tr->variant & CODE_SIZE, number = tr->site_count - 1;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    struct decoded d = {.insn = &insn,
                        .operands = operands,
                        .bytes = bytes,
                        .code64 = tr->code64,
                        .code_size = code_sizes[mode],
                        .cpu = tr->d->cpu};
    if (!decode_bytes(tr->d->in, mode, bytes, available, &insn, operands) || !decode_is_there(&d)) {
        control_interpret(tr, ZYDIS_MNEMONIC_INVALID);
        return false;
    }
    tr->careful = tr->block->careful >> number & 1;
    tr->next = (uint16_t)(at + insn.length);
    enum control control = CONTROL_NOT_MINE;
    bool copied = false;
    if (!(tr->block->avoid >> number & 1)) {
        control = control_instruction(tr, &d);
        copied = control == CONTROL_NOT_MINE && copy_instruction(tr, &d);
    }
    if (control == CONTROL_NOT_MINE && !copied) {
        control_interpret(tr, insn.mnemonic);
        return false;
    }
    tr->copied++;
    return control != CONTROL_ENDS;
}

static void begin(struct tr *tr, unsigned at)
{
    tr->insn = (uint16_t)at;
    access_stubs(tr, STUB_ROOM);
    tr->sites[tr->site_count++] =
        (struct site){.host = (uint16_t)(tr->e.at - tr->e.start), .guest = (uint16_t)at};
}

static void instructions(struct tr *tr, const uint8_t *page)
{
    unsigned end = tr->block->offset + tr->block->bytes;
    for (unsigned at = tr->block->offset; at < end; at = tr->next) {
        begin(tr, at);
        if (!one(tr, at, page + at, end - at))
            return;
        if (tr->e.full || tr->site_count == ARRAY_LEN(tr->sites) - 1)
            break;
    }
    control_go(tr, tr->next);
}

unsigned block_code(const struct dbt_vcpu *d, const struct block *block, unsigned at,
                    uint8_t *bytes)
{
    const uint8_t *page;
    if (!code_bytes(d, block, &page))
        return 0;
    unsigned first = (unsigned)min_u64(PAGE_SIZE - at, 16);
    memcpy(bytes, page + at, first);
    if (!block_crosses(block))
        return first;
    unsigned second = block->ops[0].extra8;
    memcpy(bytes + first, block->ops[0].data, second);
    return first + second;
}

static void crossing_instruction(struct tr *tr)
{
    const struct block *block = tr->block;
    uint8_t bytes[32];
    unsigned count = block_code(tr->d, block, block->offset, bytes);
    begin(tr, block->offset);
    access_check_second_page(tr, block->ops[0].data, block->ops[0].extra8);
    if (one(tr, block->offset, bytes, count))
        control_go(tr, tr->next);
}

struct translation *translate(struct dbt_vcpu *d, struct block *block, uint32_t variant, bool *full)
{
    struct code_memory *code = &d->code;
    const uint8_t *page;
    *full = false;
    bool crossing = block_crosses(block);
    if (!code_bytes(d, block, &page) || (crossing && block->ops[0].extra8 > 8))
        return NULL;
    size_t begin = (code->used + 15) & ~(size_t)15;
    if (begin + BLOCK_CODE_MAX > code->size) {
        *full = true;
        return NULL;
    }
    struct tr tr = {.d = d,
                    .block = block,
                    .variant = variant,
                    .code64 = (variant & CODE_SIZE) == CODE_64,
                    .leave = code_writable(code, d->leave),
                    .load_vectors = code_writable(code, d->load_vectors),
                    .insn = block->offset,
                    .next = block->offset,
                    .delta_base = GPR_ZERO};
    struct translation head = {0};
    dbt_emit_init(d, &tr.e, code->write + begin, BLOCK_CODE_MAX);
    entries(&tr, &head);
    if (crossing)
        crossing_instruction(&tr);
    else
        instructions(&tr, page);
    access_last_stubs(&tr);
    control_finish(&tr);
    if (tr.e.full) {
        d->statistics.failed++;
        return NULL;
    }
    struct translation *t = malloc(sizeof(*t) + tr.site_count * sizeof(struct site));
    if (!t)
        return NULL;
    *t = head;
    t->block = block;
    t->variant = variant;
    t->size = (uint32_t)(tr.e.at - tr.e.start);
    t->code = code->run + begin;
    t->copied = (uint16_t)tr.copied;
    t->epoch = tr.epoch;
    if (crossing)
        dbt_note_crossing(d, d->cpu->rip + PAGE_SIZE);
    t->site_count = (uint16_t)tr.site_count;
    memcpy(t->sites, tr.sites, tr.site_count * sizeof(struct site));
    if (!code_add(code, t)) {
        free(t);
        return NULL;
    }
    t->next = block->translations;
    block->translations = t;
    d->statistics.blocks++;
    d->statistics.bytes += t->size;
    return t;
}
