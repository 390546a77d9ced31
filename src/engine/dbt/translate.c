/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One block: from the interpreter's cache, where it lives and dies, to host code.
 *
 *     poll:      leaves if somebody asks for attention               entered by branches backward
 *     body:      the instructions                                    entered by all else
 *
 * What is seldom run lies in cold memory: stubs, and poll if no loop is seen. The instructions are
 * a trace: where a block ends with a branch, those of the next one follow, if that has been run and
 * has no translation of its own yet. So branches that are hardly taken cost little, and what is
 * known of registers stays known.
 */
#include "engine/dbt/translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/dbt/listing.h"
#include "engine/dbt/perf.h"
#include "engine/dbt/profile.h"
#include "engine/interp/integer.h"

enum {
    BLOCK_CODE_MAX = 16384,
    RETIRED_SIZE = 5 + 6,
};

static void entries(struct tr *tr, struct translation *t)
{
    struct emit *e = &tr->e;
    if (tr->poll_here) {
        t->poll = (int32_t)(e->at - e->start);
        emit_load(e, DELTA, frame_mem(FRAME_POLL));
        stub_near(tr, emit_jrcxz(e), EXIT_POLL);
    }
    t->body = (uint16_t)(e->at - e->start);
}

static void cold_poll(struct tr *tr, struct translation *t)
{
    struct emit *e = &tr->cold;
    t->poll = (int32_t)(e->at - tr->e.start);
    emit_load(e, DELTA, frame_mem(FRAME_POLL));
    uint8_t *asked = emit_jrcxz(e);
    emit_jmp_to(e, tr->e.start + t->body);
    emit_here8(e, asked);
    emit_call_to(e, tr->leave);
    emit_byte(e, EXIT_POLL);
    emit_byte(e, 0);
    emit_u16(e, tr->head->offset);
    emit_u16(e, tr->place);
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
    unsigned mode = tr->variant & CODE_SIZE;
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
    tr->care = care_of(tr->head->page, at);
    tr->sites[tr->site_count - 1].care = tr->care & 3;
    tr->length = insn.length;
    tr->next = (uint16_t)(at + insn.length);
    enum control control = CONTROL_NOT_MINE;
    bool copied = false;
    if (tr->care != CARE_AVOID) {
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
    tr->done = tr->copied + 1;
    if (at > tr->highest)
        tr->highest = (uint16_t)at;
    stub_jumps(tr, tr->room);
    tr->sites[tr->site_count++] =
        (struct site){.host = (tr->e.at - tr->e.start) & (BLOCK_CODE_MAX - 1), .guest = at & 0xfff};
}

/* The block that the trace goes on with; NULL: it ends here. */
static struct block *follow(const struct tr *tr)
{
    if (tr->next >= PAGE_SIZE || tr->block_count == TRACE_BLOCKS ||
        tr->site_count + BLOCK_OPS > TRACE_INSNS)
        return NULL;
    struct block *next = cache_on_page(tr->head->page, tr->next, tr->variant & CODE_SIZE);
    if (!next || block_crosses(next) || translation_find(next, tr->variant))
        return NULL;
    for (unsigned i = 0; i < tr->block_count; i++)
        if (tr->trace[i] == next)
            return NULL;
    return next;
}

/* False: control does not come to the block's end. */
static bool instructions(struct tr *tr, const struct block *block, const uint8_t *page)
{
    unsigned end = block->offset + block->bytes;
    for (unsigned at = block->offset; at < end; at += tr->length) {
        begin(tr, at);
        if (!one(tr, at, page + at, end - at))
            return false;
        if (tr->e.full)
            return false;
    }
    return true;
}

/* On behind the last instruction. Where nothing can be there it is the next one that faults. */
static void run_on(struct tr *tr)
{
    tr->done = tr->copied;
    tr->insn = tr->next;
    control_go(tr, tr->next);
}

/* As instructions, counted: profile.h. */
static bool counted(struct tr *tr, const struct block *block, const uint8_t *page)
{
    unsigned before = tr->copied;
    uint8_t *number = profile_begin(tr, block);
    bool goes_on = instructions(tr, block, page);
    profile_end(number, tr->copied - before);
    return goes_on;
}

static void trace(struct tr *tr, const uint8_t *page)
{
    for (struct block *block = tr->head; block; block = follow(tr)) {
        tr->trace[tr->block_count++] = block;
        if (!(tr->d->profile ? counted(tr, block, page) : instructions(tr, block, page)))
            return;
    }
    run_on(tr);
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
    const struct block *block = tr->head;
    uint8_t bytes[32];
    unsigned count = block_code(tr->d, block, block->offset, bytes);
    uint8_t *number = tr->d->profile ? profile_begin(tr, block) : NULL;
    begin(tr, block->offset);
    access_check_second_page(tr, block->ops[0].data, block->ops[0].extra8);
    bool goes_on = one(tr, block->offset, bytes, count);
    profile_end(number, tr->copied);
    if (!goes_on)
        return;
    run_on(tr);
}

/* The code, at the ends of code memory. */
static void generate(struct tr *tr, struct dbt_vcpu *d, struct block *head, uint32_t variant,
                     struct translation *t, const uint8_t *page, bool poll_here, unsigned room)
{
    struct code_memory *code = &d->code;
    *tr = (struct tr){.d = d, .head = head, .variant = variant, .room = room};
    size_t hot = (code->used + 15) & ~(size_t)15, cold = code->size / 2 + code->cold;
    tr->poll_here = poll_here;
    tr->place = head->page->place;
    tr->leave = code_writable(code, tr->d->leave);
    tr->load_vectors = code_writable(code, d->load_vectors);
    tr->look_up = code_writable(code, d->look_up);
    tr->look_up_second = code_writable(code, d->look_up_second);
    tr->code64 = (tr->variant & CODE_SIZE) == CODE_64;
    tr->insn = tr->next = tr->highest = tr->head->offset;
    tr->delta_base = GPR_ZERO;
    dbt_emit_init(d, &tr->e, code->write + hot, BLOCK_CODE_MAX);
    dbt_emit_init(d, &tr->cold, code->write + cold, BLOCK_CODE_MAX);
    entries(tr, t);
    if (block_crosses(tr->head))
        crossing_instruction(tr);
    else
        trace(tr, page);
    /* Room for what jumps_retire writes. */
    while (tr->e.at - tr->e.start < t->body + RETIRED_SIZE && !tr->e.full)
        emit_byte(&tr->e, 0xcc);
    stub_finish(tr);
    if (!poll_here)
        cold_poll(tr, t);
    t->code = code->run + hot;
    t->size = (uint16_t)(tr->e.at - tr->e.start);
    t->cold = code->run + cold;
    t->cold_size = (uint16_t)(tr->cold.at - tr->cold.start);
}

/* For whoever wants to see it. */
static void note(struct dbt_vcpu *d, const struct translation *t)
{
    uint64_t page = d->cpu->rip & PAGE_MASK;
    if (log_on(LOG_IN_ASM | LOG_OUT_ASM))
        listing_log(d, t, page);
    if (!d->dbt->perf)
        return;
    char name[48];
    snprintf(name, sizeof(name), "guest-%llx", (unsigned long long)(page | t->block->offset));
    perf_note(d->dbt->perf, name, t->code, t->size);
    strcat(name, "-cold");
    perf_note(d->dbt->perf, name, t->cold, t->cold_size);
}

struct translation *translate(struct dbt_vcpu *d, struct block *block, uint32_t variant, bool *full)
{
    struct code_memory *code = &d->code;
    const uint8_t *page;
    *full = false;
    bool crossing = block_crosses(block);
    if (!code_bytes(d, block, &page) || (crossing && block->ops[0].extra8 > 8))
        return NULL;
    if (code_full(code, 2 * BLOCK_CODE_MAX, BLOCK_CODE_MAX) || !jumps_number(d, block->page)) {
        *full = true;
        return NULL;
    }
    struct translation head = {0};
    struct tr tr;
    generate(&tr, d, block, variant, &head, page, false, STUB_ROOM);
    if (tr.loops)
        generate(&tr, d, block, variant, &head, page, true, STUB_ROOM);
    if (tr.e.full)
        generate(&tr, d, block, variant, &head, page, tr.loops, STUB_ROOM_MAX);
    if (tr.e.full || tr.cold.full) {
        d->statistics.failed++;
        return NULL;
    }
    struct translation *t = code_note(code, sizeof(*t) + tr.site_count * sizeof(struct site));
    if (!t) {
        *full = true;
        return NULL;
    }
    *t = head;
    t->block = block;
    t->variant = (uint16_t)variant;
    t->place = block->page->place;
    t->offset = block->offset;
    t->copied = (uint16_t)tr.copied;
    t->epoch = tr.epoch;
    t->pad = tr.pad;
    if (crossing)
        dbt_note_crossing(d, d->cpu->rip + PAGE_SIZE);
    t->site_count = (uint16_t)tr.site_count;
    memcpy(t->sites, tr.sites, tr.site_count * sizeof(struct site));
    if (!code_add(code, t))
        return NULL;
    t->next = block->translations;
    block->translations = t;
    if (t->pad)
        jumps_pad(d, t, tr.pad_to);
    d->statistics.blocks++;
    d->statistics.bytes += t->size + t->cold_size;
    note(d, t);
    return t;
}

struct translation *translation_find(const struct block *block, uint32_t variant)
{
    struct translation *t = block->translations;
    while (t && t->variant != variant)
        t = t->next;
    return t;
}

enum care care_of(const struct code_page *page, unsigned offset)
{
    const struct care_list *list = page->care;
    for (unsigned i = 0; list && i < list->count; i++)
        if (list->insns[i].offset == offset)
            return list->insns[i].care;
    return CARE_BASE;
}

bool care_set(struct code_page *page, unsigned offset, enum care care)
{
    struct care_list *list = page->care;
    for (unsigned i = 0; list && i < list->count; i++)
        if (list->insns[i].offset == offset) {
            list->insns[i].care = (uint8_t)care;
            return true;
        }
    if (!list || list->count == list->limit) {
        unsigned limit = list ? list->limit * 2 : 8;
        struct care_list *more = realloc(list, sizeof(*list) + limit * sizeof(list->insns[0]));
        if (!more)
            return false;
        more->count = list ? more->count : 0;
        more->limit = limit;
        page->care = list = more;
    }
    list->insns[list->count].offset = (uint16_t)offset;
    list->insns[list->count++].care = (uint8_t)care;
    return true;
}
