/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The run loop: find the block at rip, run it, and between blocks look at what others ask.
 */
#include "engine/interp/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "cpu/smm.h"

static gva_t linear_rip(const struct vcpu *cpu, uint64_t rip)
{
    return (cpu->code_mode & CODE_SIZE) == CODE_64 ? rip : (uint32_t)(rip + cpu->seg[SEG_CS].base);
}

struct block *run_lookup(struct vcpu *cpu)
{
    struct interp_vcpu *in = interp_vcpu(cpu);
    gva_t linear = linear_rip(cpu, cpu->rip);
    struct jump *jump = &in->jumps[jump_slot(linear)];
    if (jump->linear == linear && jump->exec_gen == cpu->exec_gen && jump->mode == cpu->code_mode)
        return jump->block;
    cpu->gpr[GPR_RIP] = cpu->rip; /* a fault from here on is no earlier block's: see uncount */
    if (rip_outside(cpu, cpu->rip))
        cpu_raise_gp(cpu, 0);
    gpa_t gpa = tlb_exec(cpu, linear);
    struct block *block = cache_find(in, gpa, cpu->code_mode);
    if (!block) {
        if (in->code_bytes > CODE_LIMIT)
            cache_drop_all(in);
        else if (in->outer && in->queue_bytes > OPS_LIMIT)
            cache_drop_cold(in);
        block = decode_block(in, linear, gpa);
        if (!block)
            return NULL;
        cache_insert(in, gpa, block);
        if (!block->page)
            return block;
    }
    if (block->has_ops) {
        uint16_t slot = (uint16_t)(jump - in->jumps);
        block->cached_more = block->cached_gen == cpu->exec_gen &&
                             (block->cached_more || block->cached_slot != slot);
        block->cached_gen = cpu->exec_gen;
        block->cached_slot = slot;
    }
    *jump = (struct jump){
        .linear = linear, .exec_gen = cpu->exec_gen, .mode = cpu->code_mode, .block = block};
    return block;
}

const struct op *go_link(struct vcpu *cpu, const struct op *op, unsigned way, uint64_t rip)
{
    gva_t from = linear_rip(cpu, cpu->gpr[GPR_RIP]);
    if (way == 0)
        go_check(cpu, op, rip, cpu->gpr[RSP]);
    cpu->rip = rip;
    /* Dropped blocks are freed in the run loop only: they shall not heap up. */
    if (attention(cpu) || interp_vcpu(cpu)->dead)
        return NULL;
    struct block *block = run_lookup(cpu);
    if (!block || !block_fits(cpu, block, rip))
        return NULL;
    /* On one page and without a wrap of IP, the target is where it is wherever the page is mapped.
     */
    bool same_page = ((from ^ linear_rip(cpu, rip)) & PAGE_MASK) == 0;
    if (same_page && (cpu->code_mode & CODE_SIZE) != CODE_16 && block->page)
        ((struct op *)(uintptr_t)op)->next[way] = block;
    return block_enter(cpu, block, rip);
}

static const struct op *op_stop(struct vcpu *cpu, const struct op *op)
{
    op_sync(cpu, op);
    cpu->rip = rip_wrap(cpu, cpu->rip);
    return NULL;
}

static void code_fetch_fault(struct vcpu *cpu)
{
    cpu_raise_gp(cpu, 0);
}

const struct op *run_op(struct vcpu *cpu)
{
    struct interp_vcpu *in = interp_vcpu(cpu);
    gva_t linear = linear_rip(cpu, cpu->rip);
    cpu->gpr[GPR_RIP] = cpu->rip;
    in->in_step = true;
    in->step_rip = ~cpu->rip; /* it does not count yet */
    if (rip_outside(cpu, cpu->rip))
        cpu_raise_gp(cpu, 0);
    gpa_t gpa = tlb_exec(cpu, linear);
    in->in_step = false;
    const struct mem_range *range = cpu_range(cpu, gpa);
    if (!range->region || range->kind == MEM_IO)
        return NULL;
    uint8_t mode = (uint8_t)(cpu->code_mode & CODE_SIZE);
    struct step_op *step = &in->steps[(gpa ^ gpa >> 10) & (STEP_SLOTS - 1)];
    unsigned room = (unsigned)min_u64(PAGE_SIZE - (gpa & (PAGE_SIZE - 1)), sizeof(step->bytes));
    const uint8_t *host = mem_host(range, gpa);
    unsigned length = step->op.length;
    if (length && length <= room && step->mode == mode && memcmp(step->bytes, host, length) == 0)
        return &step->op;
    /* A copy, for another processor may write there. */
    memcpy(step->bytes, host, room);
    step->mode = mode;
    in->statistics.steps_made++;
    if (!decode_step(in, step->bytes, room, &step->op)) {
        step->op.length = 0;
        return NULL;
    }
    return &step->op;
}

/* The ops of the instruction at cpu->rip in in->step_ops; how many. 0: out of memory. */
static unsigned step_begin(struct vcpu *cpu)
{
    struct interp_vcpu *in = interp_vcpu(cpu);
    const struct op *op = run_op(cpu);
    if (op) {
        in->step_ops[0] = *op;
        return 1;
    }
    struct block *block = run_lookup(cpu);
    const struct op *ops = block ? cache_ops(in, block, linear_rip(cpu, cpu->rip)) : NULL;
    if (!ops)
        return 0;
    unsigned n = block_crosses(block) ? 2 : 1;
    memcpy(in->step_ops, ops, n * sizeof(struct op));
    return n;
}

/* One instruction, and no more: for single step, interrupt shadows and the end of a code segment.
 */
static void run_step(struct vcpu *cpu)
{
    struct interp_vcpu *in = interp_vcpu(cpu);
    unsigned n = step_begin(cpu);
    if (!n)
        return;
    const struct op *last = &in->step_ops[n - 1];
    if ((cpu->code_mode & CODE_SIZE) != CODE_64 &&
        cpu->rip + last->offset + last->length - 1 > cpu->seg[SEG_CS].limit)
        code_fetch_fault(cpu);
    memset(&in->step_ops[n], 0, sizeof(struct op));
    in->step_ops[n].fn = op_stop;
    in->step_ops[n].offset = (uint16_t)(last->offset + last->length);
    uint64_t icount = cpu->icount;
    cpu->gpr[GPR_RIP] = in->step_rip = cpu->rip;
    cpu->icount = icount + 1;
    in->in_step = true;
    /* Branches link through in->step_ops, which is ours and overwritten: harmless. A handler may
     * enter another block's first op by itself; it is not run here. */
    const struct op *op = in->step_ops;
    while (op >= in->step_ops && op < in->step_ops + ARRAY_LEN(in->step_ops))
        op = op->fn(cpu, op);
    in->in_step = false;
    if (op)
        cpu->rip = cpu->gpr[GPR_RIP];
    cpu->icount = icount + 1;
}

/* A block's instructions are counted as it is entered: after a fault in its midst, those from
 * cpu->rip on did not retire. */
static void uncount(struct vcpu *cpu)
{
    struct interp_vcpu *in = interp_vcpu(cpu);
    if (in->in_step) {
        in->in_step = false;
        cpu->icount -= cpu->rip == in->step_rip;
        return;
    }
    gva_t linear = linear_rip(cpu, cpu->gpr[GPR_RIP]);
    const struct jump *jump = &in->jumps[jump_slot(linear)];
    if (jump->linear != linear || jump->exec_gen != cpu->exec_gen || jump->mode != cpu->code_mode)
        return;
    const struct block *block = jump->block;
    if (!block->has_ops && in->anew_block != block)
        return;
    const struct op *ops = block->has_ops ? block->ops : in->anew;
    uint64_t offset = cpu->rip - cpu->gpr[GPR_RIP];
    for (unsigned i = block->op_count; i-- > 0 && ops[i].offset >= offset;)
        cpu->icount -= ops[i].length != 0;
}

static void take_pending_code(struct interp_vcpu *in)
{
    gpa_t pages[PENDING_MAX];
    pthread_mutex_lock(&in->pending_lock);
    cpu_unrequest(in->cpu, VCPU_REQ_CODE);
    unsigned count = in->pending_count;
    memcpy(pages, in->pending, sizeof(pages));
    in->pending_count = 0;
    pthread_mutex_unlock(&in->pending_lock);
    if (count > PENDING_MAX) {
        cache_drop_all(in);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        cache_drop_page(in, pages[i]);
}

static void take_new_map(struct interp_vcpu *in)
{
    struct vcpu *cpu = in->cpu;
    cpu_unrequest(cpu, VCPU_REQ_MAP);
    /* All of it: what lies where it lay may have been elsewhere in between, and written there. */
    cache_drop_all(in);
    cpu_take_view(cpu);
}

/* Interrupts, in the order of SDM 3A table 6-2. False: triple fault. */
static bool take_interrupt(struct vcpu *cpu, uint32_t request)
{
    struct interp_vcpu *in = interp_vcpu(cpu);
    if (request & VCPU_REQ_NMI && !cpu->nmi_blocked) {
        cpu_unrequest(cpu, VCPU_REQ_NMI);
        cpu->halted = false;
        return cpu_deliver(cpu, EVENT_NMI, VEC_NMI, 0);
    }
    if (!(request & VCPU_REQ_INTR) || !(cpu->rflags & FLAG_IF))
        return true;
    struct vcpu_world *world = cpu->world;
    world->lock(world->opaque);
    int vector = world->intr_acknowledge(world->board, cpu->index);
    world->unlock(world->opaque);
    if (vector < 0)
        return true;
    in->statistics.interrupts++;
    cpu->halted = false;
    return cpu_deliver(cpu, EVENT_EXTERNAL, vector, 0);
}

static uint32_t heeded(const struct vcpu *cpu)
{
    uint32_t not_now = cpu->rflags & FLAG_IF ? 0 : VCPU_REQ_INTR;
    if (cpu->nmi_blocked)
        not_now |= VCPU_REQ_NMI;
    if (cpu->in_smm) /* both wait for RSM */
        not_now |= VCPU_REQ_SMI | VCPU_REQ_INIT;
    return ~not_now;
}

/* What is asked between blocks. Returns whether to leave, with why. */
static bool attend(struct interp_vcpu *in, uint32_t request, enum vcpu_exit *why)
{
    struct vcpu *cpu = in->cpu;
    if (request & VCPU_REQ_KICK) {
        cpu_unrequest(cpu, VCPU_REQ_KICK);
        *why = VCPU_EXIT_KICKED;
        return true;
    }
    if (request & VCPU_REQ_CODE)
        take_pending_code(in);
    if (request & VCPU_REQ_MAP)
        take_new_map(in);
    if (request & VCPU_REQ_FLUSH) {
        cpu_unrequest(cpu, VCPU_REQ_FLUSH);
        tlb_flush(cpu);
    }
    if (request & VCPU_REQ_DEBUG)
        cpu_unrequest(cpu, VCPU_REQ_DEBUG); /* pending_db says what */
    if (request & VCPU_REQ_SMI && !cpu->shadow && !cpu->pending_db) {
        cpu_unrequest(cpu, VCPU_REQ_SMI);
        cpu_enter_smm(cpu);
        return false; /* what else is asked may have to wait now */
    }
    if (request & VCPU_REQ_INIT) {
        cpu_unrequest(cpu, VCPU_REQ_INIT);
        cpu_init_signal(cpu);
    }
    /* A trap behind the last instruction goes first. */
    if (!cpu->shadow && !cpu->pending_db && !take_interrupt(cpu, request)) {
        *why = VCPU_EXIT_TRIPLE_FAULT;
        return true;
    }
    return false;
}

/* An instruction breakpoint at rip? DR7: enable bits 0-7, type 00 and length 00 in bits 16-31. */
static uint32_t code_breakpoints(const struct vcpu *cpu)
{
    uint32_t hit = 0;
    gva_t linear = linear_rip(cpu, cpu->rip);
    for (unsigned i = 0; i < 4; i++)
        if (cpu->dr[7] & 3u << (2 * i) && !(cpu->dr[7] >> (16 + 4 * i) & 3) && cpu->dr[i] == linear)
            hit |= 1u << i;
    return hit;
}

static void take_debug_trap(struct vcpu *cpu)
{
    uint32_t bits = cpu->pending_db;
    cpu->pending_db = 0;
    cpu->halted = false;
    cpu_raise_db(cpu, bits);
}

/* The slow way: one instruction with everything that surrounds it. */
void run_careful(struct vcpu *cpu)
{
    /* What MOV SS holds back is due behind the next instruction. */
    if (cpu->pending_db && cpu->shadow != 2)
        take_debug_trap(cpu);
    cpu->stepping = cpu->rflags & FLAG_TF;
    if (!(cpu->rflags & FLAG_RF) && cpu->dr[7] & 0xff && cpu->shadow != 2) {
        uint32_t hit = code_breakpoints(cpu);
        if (hit)
            cpu_raise_db(cpu, hit);
    }
    cpu->shadow = 0;
    cpu->rflags &= ~(uint64_t)FLAG_RF;
    run_step(cpu);
    if (cpu->shadow == 2)
        return;
    if (cpu->stepping)
        cpu->pending_db |= 1u << 14;
    if (cpu->pending_db)
        take_debug_trap(cpu);
}

void run_block(struct vcpu *cpu)
{
    struct block *block = run_lookup(cpu);
    if (!block)
        return;
    if (!block_fits(cpu, block, cpu->rip)) {
        run_step(cpu);
        return;
    }
    block->used = true;
    const struct op *op = cache_ops(interp_vcpu(cpu), block, linear_rip(cpu, cpu->rip));
    if (!op)
        return;
    block_enter(cpu, block, cpu->rip);
    do {
        op = op->fn(cpu, op);
    } while (op);
}

bool run_deliver_fault(struct vcpu *cpu)
{
    const struct cpu_fault *fault = cpu_fault(cpu);
    interp_vcpu(cpu)->statistics.faults++;
    uncount(cpu);
    cpu->pending_db = 0; /* of an instruction that was not completed */
    if (fault->vector < 0)
        return false;
    cpu->rip = rip_wrap(cpu, cpu->rip);
    return cpu_deliver(cpu, EVENT_EXCEPTION, fault->vector, fault->error);
}

void run_heed(struct vcpu *cpu)
{
    cpu->heeded = heeded(cpu);
}

enum run_next run_between(struct interp_vcpu *in, enum vcpu_exit *why)
{
    struct vcpu *cpu = in->cpu;
    if (in->dead)
        cache_free_dead(in);
    cpu->heeded = heeded(cpu);
    uint32_t request = atomic_load_explicit(&cpu->request, memory_order_acquire) & cpu->heeded &
                       ~(uint32_t)VCPU_REQ_ENGINE;
    if (request && attend(in, request, why))
        return RUN_LEAVE;
    if (cpu->halted && !cpu->pending_db) {
        *why = VCPU_EXIT_HALTED;
        if (!cpu_has_work(cpu))
            return RUN_LEAVE;
        if (cpu->halted)
            return RUN_AGAIN;
    }
    if (cpu->shadow || cpu->pending_db || cpu->rflags & (FLAG_TF | FLAG_RF) || cpu->dr[7] & 0xff)
        return RUN_CAREFUL;
    return RUN_BLOCK;
}

static enum vcpu_exit interp_run(struct engine *engine, struct vcpu *cpu)
{
    (void)engine;
    struct interp_vcpu *in = interp_vcpu(cpu);
    enum vcpu_exit why;
    if (setjmp(cpu->fault_exit) && !run_deliver_fault(cpu))
        return VCPU_EXIT_TRIPLE_FAULT;
    for (;;) {
        switch (run_between(in, &why)) {
        case RUN_LEAVE:
            return why;
        case RUN_AGAIN:
            break;
        case RUN_CAREFUL:
            run_careful(cpu);
            break;
        case RUN_BLOCK:
            run_block(cpu);
            break;
        }
    }
}

static void map_changed(void *opaque)
{
    struct interp *interp = opaque;
    for (struct interp_vcpu *in = interp->vcpus; in; in = in->next)
        cpu_request(in->cpu, VCPU_REQ_MAP);
}

static void dirty_cleared(void *opaque)
{
    struct interp *interp = opaque;
    for (struct interp_vcpu *in = interp->vcpus; in; in = in->next)
        cpu_request(in->cpu, VCPU_REQ_FLUSH);
}

static void code_written(void *opaque, gpa_t gpa, uint64_t length)
{
    (void)length;
    struct interp *interp = opaque;
    for (struct interp_vcpu *in = interp->vcpus; in; in = in->next) {
        pthread_mutex_lock(&in->pending_lock);
        bool known = in->pending_count && in->pending_count <= PENDING_MAX &&
                     in->pending[in->pending_count - 1] == (gpa & PAGE_MASK);
        if (!known) {
            if (in->pending_count < PENDING_MAX)
                in->pending[in->pending_count] = gpa & PAGE_MASK;
            if (in->pending_count <= PENDING_MAX)
                in->pending_count++;
        }
        pthread_mutex_unlock(&in->pending_lock);
        cpu_request(in->cpu, VCPU_REQ_CODE);
    }
}

static int interp_create(struct engine **engine, struct mem *mem, struct error *err)
{
    struct interp *interp = calloc(1, sizeof(*interp));
    if (!interp)
        return error_set(err, ENOMEM, "cannot start the interpreter: out of memory");
    interp->engine.type = &interp_engine;
    interp->mem = mem;
    static const struct {
        ZydisMachineMode mode;
        ZydisStackWidth stack;
    } modes[3] = {
        /* Real mode and 16-bit protected mode alike: what real mode lacks raises #UD as it runs. */
        {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
        {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
        {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
    };
    for (int i = 0; i < 3; i++) {
        ZydisDecoder *decoder = &interp->decoders[i];
        ZydisDecoderInit(decoder, modes[i].mode, modes[i].stack);
        /* Encodings that are NOPs on processors without the extension, as ours are. */
        ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
        ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
        ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
    }
    interp->listener = (struct mem_listener){.map_changed = map_changed,
                                             .code_written = code_written,
                                             .dirty_cleared = dirty_cleared,
                                             .opaque = interp};
    mem_listen(mem, &interp->listener);
    *engine = &interp->engine;
    return 0;
}

static void interp_destroy(struct engine *engine)
{
    struct interp *interp = CONTAINER_OF(engine, struct interp, engine);
    mem_unlisten(interp->mem, &interp->listener);
    free(interp);
}

static int interp_attach(struct engine *engine, struct vcpu *cpu, struct error *err)
{
    struct interp *interp = CONTAINER_OF(engine, struct interp, engine);
    struct interp_vcpu *in = calloc(1, sizeof(*in));
    if (!in)
        return error_set(err, ENOMEM, "cannot start processor %d: out of memory", cpu->index);
    int rc = hostunit_create(&in->unit, VECTOR_CODE_SIZE, err);
    if (rc) {
        free(in);
        return rc;
    }
    in->hook = (struct vcpu_code_hook){.written = cache_written, .moving = cache_moving};
    in->cpu = cpu;
    in->interp = interp;
    pthread_mutex_init(&in->pending_lock, NULL);
    in->next = interp->vcpus;
    interp->vcpus = in;
    cpu->engine_data = in;
    cpu_request(cpu, VCPU_REQ_MAP);
    return 0;
}

static void interp_detach(struct engine *engine, struct vcpu *cpu)
{
    struct interp *interp = CONTAINER_OF(engine, struct interp, engine);
    struct interp_vcpu *in = interp_vcpu(cpu);
    for (struct interp_vcpu **at = &interp->vcpus; *at; at = &(*at)->next)
        if (*at == in) {
            cache_destroy(in);
            *at = in->next;
            break;
        }
    pthread_mutex_destroy(&in->pending_lock);
    hostunit_destroy(in->unit);
    free(in);
    cpu->engine_data = NULL;
}

static void interp_kick(struct engine *engine, struct vcpu *cpu)
{
    /* Requests are looked at before every block. */
    (void)engine;
    (void)cpu;
}

static void interp_sync_out(struct engine *engine, struct vcpu *cpu)
{
    (void)engine;
    (void)cpu;
}

static void interp_sync_in(struct engine *engine, struct vcpu *cpu)
{
    (void)engine;
    cpu_update_mode(cpu);
    tlb_flush(cpu);
}

static char *interp_statistics(struct engine *engine)
{
    struct interp *interp = CONTAINER_OF(engine, struct interp, engine);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    for (struct interp_vcpu *in = interp->vcpus; in; in = in->next) {
        const struct interp_statistics *s = &in->statistics;
        fprintf(out,
                "cpu %d: %llu instructions, %llu blocks decoded, %zu KiB of them kept, %llu code "
                "pages made, "
                "%llu dropped, %llu writes beside code, %llu cache flushes, %llu faults, %llu "
                "interrupts; %llu instructions decoded to run by themselves, ops given back %llu "
                "times and made anew %llu times, %llu cold blocks dropped\n",
                in->cpu->index, (unsigned long long)in->cpu->icount,
                (unsigned long long)s->blocks_made, in->code_bytes >> 10,
                (unsigned long long)s->pages_made, (unsigned long long)s->pages_dropped,
                (unsigned long long)s->chunk_misses, (unsigned long long)s->flushes,
                (unsigned long long)s->faults, (unsigned long long)s->interrupts,
                (unsigned long long)s->steps_made, (unsigned long long)s->ops_given_back,
                (unsigned long long)s->ops_made_anew, (unsigned long long)s->cold_dropped);
    }
    fclose(out);
    return text;
}

const struct engine_type interp_engine = {
    .name = "interp",
    .summary = "interpreter: emulates each instruction; the reference for the other engines",
    .create = interp_create,
    .destroy = interp_destroy,
    .vcpu_attach = interp_attach,
    .vcpu_detach = interp_detach,
    .vcpu_run = interp_run,
    .kick = interp_kick,
    .sync_out = interp_sync_out,
    .sync_in = interp_sync_in,
    .statistics = interp_statistics,
};
