/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The run loop: finds the translation at rip, enters it, and does what it was left for.
 */
#include "engine/dbt/dbt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/keyval.h"
#include "base/log.h"
#include "cpu/segment.h"
#include "engine/dbt/internal.h"
#include "engine/dbt/perf.h"
#include "engine/dbt/profile.h"

enum {
    FAULTS_MAX = 2,           /* of an instruction before it is translated in another way */
    CODE_SIZE_MAX = 64 << 20, /* of addresses; code_full says what of it is used */
    WIDE = XSTATE_SSE | XSTATE_AVX | XSTATE_AVX512,
};

unsigned dbt_hot = 2;

static uint32_t variant_of(const struct vcpu *cpu)
{
    uint32_t variant = cpu->code_mode & (CODE_SIZE | CODE_USER);
    if (cpu->cr4 & CR4_SMAP)
        variant |= VARIANT_SMAP;
    if (!(cpu->cr0 & (CR0_TS | CR0_EM)) && cpu->cr4 & CR4_OSFXSR)
        variant |= VARIANT_SSE;
    if (!(cpu->cr0 & CR0_TS) && cpu->cr4 & CR4_OSXSAVE) {
        uint64_t xcr0 = cpu->fpu.xcr0;
        if ((xcr0 & (XSTATE_SSE | XSTATE_AVX)) == (XSTATE_SSE | XSTATE_AVX))
            variant |= VARIANT_AVX;
        if ((xcr0 & WIDE) == WIDE)
            variant |= VARIANT_AVX512;
    }
    return variant;
}

static bool segment_flat(const struct segment *s)
{
    /* A writable data segment that grows up, from 0 to 4 GiB. */
    return s->base == 0 && s->limit == UINT32_MAX &&
           (s->access & (SEG_UNUSABLE | SEG_P | SEG_S | 0xe)) == (SEG_P | SEG_S | 2);
}

static bool segment_whole(const struct segment *s)
{
    return s->limit == UINT32_MAX &&
           (s->access & (SEG_UNUSABLE | SEG_P | SEG_S | 0xe)) == (SEG_P | SEG_S | 2);
}

/* Is the processor in a state that code can be translated for? Sets the variant. */
static bool translatable(const struct vcpu *cpu, uint32_t *variant)
{
    if (cpu->rflags & (FLAG_DF | FLAG_VM) || !cpu_protected(cpu) || cpu->watching ||
        cpu->mmu == MMU_USER_ALIGN || cpu->cpl == 1 || cpu->cpl == 2)
        return false;
    *variant = variant_of(cpu);
    switch (cpu->code_mode & CODE_SIZE) {
    case CODE_64:
        return true;
    case CODE_32:
        if (cpu->seg[SEG_CS].base || cpu->seg[SEG_CS].limit != UINT32_MAX ||
            !(cpu->seg[SEG_SS].access & SEG_DB) || !segment_flat(&cpu->seg[SEG_SS]) ||
            !segment_flat(&cpu->seg[SEG_DS]) || !segment_flat(&cpu->seg[SEG_ES]))
            return false;
        if (segment_whole(&cpu->seg[SEG_FS]))
            *variant |= VARIANT_FS;
        if (segment_whole(&cpu->seg[SEG_GS]))
            *variant |= VARIANT_GS;
        return true;
    default:
        return false;
    }
}

static void jumps_are_stale(struct dbt_vcpu *d)
{
    for (unsigned i = 0; i < MAP_COUNT; i++)
        d->maps[i].jumps_stale = true;
}

/* The interpreter drops a block: its code must not be found any more. It is left where it is. */
static void block_dropped(struct vcpu *cpu, struct block *block)
{
    for (struct translation *t = block->translations; t; t = t->next)
        jumps_retire(dbt_vcpu(cpu), t);
    block->translations = NULL;
}

/* Code memory is full: begin afresh. The interpreter's blocks stay, without translations, for those
 * that go on being run; they are dropped the next time if they have none by then. */
static void flush_code(struct dbt_vcpu *d)
{
    cache_drop_bare(d->in);
    for (size_t i = 0; i < d->code.count; i++)
        if (d->code.list[i]->block) {
            d->code.list[i]->block->translations = NULL;
            free(d->code.list[i]->block->page->targets);
            d->code.list[i]->block->page->targets = NULL;
            d->code.list[i]->block->page->place = 0;
        }
    d->place_count = 0;
    d->epochs = 0;
    code_clear(&d->code);
    jumps_are_stale(d);
    d->statistics.code_flushes++;
}

static unsigned vector_bytes(const struct vcpu *cpu)
{
    if ((cpu->fpu.xcr0 & WIDE) == WIDE)
        return 64;
    return cpu->fpu.xcr0 & XSTATE_AVX ? 32 : 16;
}

static void set_gs(struct dbt_vcpu *d, void *base)
{
    if (d->gs == base)
        return;
    host_set_gs(&d->dbt->host, base);
    d->gs = base;
}

/* Enters code; returns why it was left. */
static const struct exit_info *enter(struct dbt_vcpu *d, const uint8_t *code)
{
    struct vcpu *cpu = d->cpu;
    struct map *map = dbt_map(d);
    set_gs(d, map->entries);
    *frame(cpu, FRAME_TARGET) = (uintptr_t)code;
    *frame(cpu, FRAME_FS_BASE) = cpu->seg[SEG_FS].base;
    *frame(cpu, FRAME_GS_BASE) = cpu->seg[SEG_GS].base;
    d->statistics.enters++;
    void (*go)(uint64_t * gpr) = (void (*)(uint64_t *))(uintptr_t)d->enter;
    go(cpu->gpr);
    d->gs = dbt_map(d)->entries; /* it may have changed: level.c */
    return (const struct exit_info *)*frame(cpu, FRAME_INFO);
}

/* The translation at cpu->rip, made if it is time to; NULL: the interpreter ran the block. Raises
 * what looking for code raises. */
static struct translation *translation_at_rip(struct dbt_vcpu *d, uint32_t variant)
{
    struct vcpu *cpu = d->cpu;
    struct block *block = run_lookup(cpu);
    if (!block)
        return NULL;
    struct translation *t = translation_find(block, variant);
    if (t)
        return t;
    if (block->page && block_fits(cpu, block, cpu->rip) && ++block->heat >= dbt_hot) {
        bool full;
        if (!block->translations)
            block = cache_give_back(d->in, block);
        t = translate(d, block, variant, &full);
        if (t)
            return t;
        if (full)
            flush_code(d);
        else
            block->heat = 0;
    }
    d->statistics.interpreted_blocks++;
    d->statistics.crossing += block_crosses(block);
    run_heed(cpu);
    run_block(cpu);
    return NULL;
}

/* An instruction faults again and again, or its operand is on another page than looked for. It is
 * translated anew with more care; what was there leads to what is new. */
static void note_fault(struct dbt_vcpu *d, struct translation *t, unsigned guest)
{
    struct block *block = t->block;
    for (unsigned i = 0; i < t->site_count && block; i++) {
        struct site *site = &t->sites[i];
        if (site->guest != guest || ++site->faults < FAULTS_MAX)
            continue;
        /* Another translation that has the instruction may have been there before. */
        if (site->care == CARE_AVOID || (care_of(block->page, guest) == site->care &&
                                         !care_set(block->page, guest, site->care + 1)))
            return;
        bool full;
        struct translation *new = translate(d, block, t->variant, &full);
        if (!new)
            return;
        /* The old one stays behind the new one in the block's list: its calls may be in use. */
        jumps_put(d, t->code + t->poll, new->code + new->poll);
        jumps_put(d, t->code + t->body, new->code + new->body);
        d->statistics.retranslated++;
        return;
    }
}

/* An indirect branch to where no code can be: it faults itself. */
static bool branch_faults(struct vcpu *cpu, uint64_t rip, uint64_t here, int32_t undo)
{
    if (!rip_outside(cpu, rip))
        return false;
    cpu->gpr[RSP] += (uint64_t)(int64_t)undo;
    cpu->rip = here;
    return true;
}

static void interpret_one(struct dbt_vcpu *d)
{
    d->statistics.interpreted_insns++;
    run_heed(d->cpu);
    run_careful(d->cpu);
}

/* The instruction at page offset `guest` did not run: how many of the translation's did. */
static unsigned executed(const struct translation *t, unsigned guest)
{
    for (unsigned i = 0; i < t->site_count; i++)
        if (t->sites[i].guest == guest)
            return i;
    return t->copied;
}

/* In lockstep: `ran` instructions of t did. */
static void check(struct dbt_vcpu *d, unsigned ran)
{
    if (d->lockstep)
        lockstep_after(d, ran);
}

/* The operand is on another page than was looked for: nothing is to be marked as accessed there. */
static bool operand_elsewhere(gva_t looked_for, const struct exit_info *info)
{
    gva_t operand = looked_for + (gva_t)(int64_t)(int16_t)info->extra;
    return (looked_for ^ operand) & PAGE_MASK;
}

/* A miss. Returns where code goes on; NULL: the interpreter shall do the instruction. */
static const uint8_t *fill(struct dbt_vcpu *d, const struct exit_info *info)
{
    struct vcpu *cpu = d->cpu;
    gva_t addr = *frame(cpu, FRAME_SCRATCH);
    d->statistics.misses++;
    if (operand_elsewhere(addr, info))
        return NULL;
    if (!dbt_fill(d, addr, info->write))
        return NULL;
    *frame(cpu, FRAME_DELTA) = dbt_map(d)->entries[map_index(addr)];
    return (const uint8_t *)info + INFO_MISS;
}

/* The translation that the signal handler found. */
static struct translation *faulted(struct dbt_vcpu *d)
{
    return code_find(&d->code, (const void *)(uintptr_t)*frame(d->cpu, FRAME_VALUE));
}

/* The interpreter compares the instruction with what is on the second page now, or finds that it
 * may not run, and does it. If it is as it was, that holds until the epoch changes. */
static void look_again(struct dbt_vcpu *d, const struct exit_info *info)
{
    const struct translation *t = code_find(&d->code, info);
    uint64_t flushes = d->statistics.code_flushes;
    dbt_note_crossing(d, d->cpu->rip + PAGE_SIZE);
    int32_t epoch = -(int32_t)*frame(d->cpu, FRAME_CROSS_EPOCH);
    interpret_one(d);
    if (t && flushes == d->statistics.code_flushes && t->block)
        memcpy(code_writable(&d->code, t->code + t->epoch), &epoch, 4);
}

/* An instruction has been interpreted. May translated code go on behind it, or must the run loop
 * look at what it did? */
static bool may_go_on(struct dbt_vcpu *d, uint32_t *variant)
{
    struct vcpu *cpu = d->cpu;
    run_heed(cpu);
    if (attention_within(cpu) || !*frame(cpu, FRAME_POLL) || !*frame(cpu, FRAME_JUMP_MASK) ||
        d->in->dead || cpu->halted || cpu->shadow || cpu->pending_db ||
        cpu->rflags & (FLAG_TF | FLAG_RF) || cpu->dr[7] & 0xff ||
        d->vector_bytes != vector_bytes(cpu))
        return false;
    level_prepare(d);
    return translatable(cpu, variant);
}

/* A miss that could not be filled. */
static void missed(struct dbt_vcpu *d, const struct exit_info *info)
{
    gva_t addr = *frame(d->cpu, FRAME_SCRATCH);
    struct translation *t = code_find(&d->code, info);
    if (t && operand_elsewhere(addr, info))
        note_fault(d, t, info->insn);
    interpret_one(d);
}

/* If the jump table does not lead there, a tie from another page did: no tie holds any more. */
static void came_to_dead(struct dbt_vcpu *d, const struct translation *t)
{
    struct map *map = dbt_map(d);
    if (t && map_find_jump(map, d->cpu->rip) != t->code + t->body)
        map->jumps_stale = true;
}

/* Runs translated code from cpu->rip until something is asked for, or the state is one for the
 * interpreter. */
static void run_translated(struct dbt_vcpu *d, uint32_t variant)
{
    struct vcpu *cpu = d->cpu;
    const struct exit_info *tie_from = NULL;
    level_prepare(d);
    for (;;) {
        if ((variant & (CODE_SIZE | CODE_USER)) != cpu->code_mode && !translatable(cpu, &variant))
            return;
        struct map *map = dbt_map(d);
        uint64_t flushes = d->statistics.code_flushes;
        struct translation *t = translation_at_rip(d, variant);
        if (!t)
            return;
        jumps_place(d, map, variant, t, cpu->rip - t->offset);
        if (d->lockstep) {
            if (!lockstep_before(d, t))
                return;
        } else if (tie_from) {
            if (flushes != d->statistics.code_flushes)
                tie_from = NULL;
            else if (tie_from->kind == EXIT_DIRECT)
                jumps_tie(d, tie_from, t);
            else
                jumps_tie_far(d, map, tie_from, t);
            if (tie_from && tie_from->kind == EXIT_FAR)
                jumps_set(d, map, t);
        } else {
            jumps_set(d, map, t);
        }
        tie_from = NULL;
        const uint8_t *code = t->code + t->body;
        const struct exit_info *info;
        *frame(cpu, FRAME_VECTORS) = 0;
        do {
            info = enter(d, code);
            code = info->kind == EXIT_MISS ? fill(d, info) : NULL;
        } while (code);
        uint64_t here = rip_wrap(cpu, *map_place(map, info->place) + info->insn);
        switch ((enum exit_kind)info->kind) {
        case EXIT_DIRECT:
            cpu->rip = here;
            check(d, info->write);
            if (!*frame(cpu, FRAME_POLL)) /* with nothing tied, nothing else polls */
                return;
            tie_from = info;
            continue;
        case EXIT_FAR:
            cpu->rip =
                rip_wrap(cpu, *map_place(map, info->place) + (uint64_t)(int64_t)info->target);
            if (branch_faults(cpu, cpu->rip, here, info->undo)) {
                interpret_one(d);
                return;
            }
            check(d, info->write);
            if (!*frame(cpu, FRAME_POLL) || !*frame(cpu, FRAME_JUMP_MASK))
                return;
            tie_from = info;
            continue;
        case EXIT_DEAD:
            cpu->rip = here;
            came_to_dead(d, code_find(&d->code, info));
            continue;
        case EXIT_INDIRECT:
            if (branch_faults(cpu, *frame(cpu, FRAME_SCRATCH), here, info->extra)) {
                interpret_one(d);
                return;
            }
            cpu->rip = *frame(cpu, FRAME_SCRATCH);
            check(d, info->write);
            if (!*frame(cpu, FRAME_JUMP_MASK))
                return;
            d->statistics.lookups++;
            continue;
        case EXIT_FAULT:
            d->statistics.faults++;
            cpu->rip = here;
            if (d->string_kind)
                string_fault(cpu, d->string_kind);
            else
                check(d, executed(t, info->insn));
            if (!d->read_only || !dbt_can_write(d, d->read_only))
                note_fault(d, faulted(d), info->insn);
            dbt_forget_operand(d);
            interpret_one(d);
            break;
        case EXIT_CROSSING:
            cpu->rip = here;
            check(d, executed(t, info->insn));
            look_again(d, info);
            break;
        case EXIT_MISS:
            cpu->rip = here;
            check(d, executed(t, info->insn));
            missed(d, info);
            break;
        case EXIT_INTERPRET:
            cpu->rip = here;
            check(d, executed(t, info->insn));
            d->statistics.stops[info->extra]++;
            interpret_one(d);
            break;
        case EXIT_POLL:
            cpu->rip = here;
            return;
        }
        if (!may_go_on(d, &variant))
            return;
    }
}

/* Requests from now on are noticed. Whoever asks sets the request first, then the slots to 0. */
static void arm(struct vcpu *cpu)
{
    if (*frame(cpu, FRAME_POLL) && *frame(cpu, FRAME_JUMP_MASK))
        return;
    *frame(cpu, FRAME_POLL) = 1;
    *frame(cpu, FRAME_JUMP_MASK) = JUMP_INDEX_BITS;
    atomic_thread_fence(memory_order_seq_cst);
}

static enum vcpu_exit dbt_run(struct engine *engine, struct vcpu *cpu)
{
    struct dbt *dbt = CONTAINER_OF(engine, struct dbt, engine);
    struct dbt_vcpu *d = dbt_vcpu(cpu);
    enum vcpu_exit why;
    (void)dbt;
    if (!signals_bind(d)) {
        log_info("processor %d cannot run: out of memory", cpu->index);
        return VCPU_EXIT_ERROR;
    }
    d->gs = NULL;
    if (setjmp(cpu->fault_exit) && !run_deliver_fault(cpu))
        return VCPU_EXIT_TRIPLE_FAULT;
    for (;;) {
        arm(cpu);
        switch (run_between(d->in, &why)) {
        case RUN_LEAVE:
            return why;
        case RUN_AGAIN:
            continue;
        case RUN_CAREFUL:
            run_careful(cpu);
            continue;
        case RUN_BLOCK:
            break;
        }
        uint32_t variant;
        if (!translatable(cpu, &variant)) {
            d->statistics.other_state++;
            run_block(cpu);
            continue;
        }
        if (d->epochs >= INT32_MAX)
            flush_code(d);
        if (d->vector_bytes != vector_bytes(cpu)) {
            flush_code(d);
            d->vector_bytes = vector_bytes(cpu);
            thunks_make(d);
        }
        run_translated(d, variant);
    }
}

static int dbt_usable(struct error *err)
{
    return host_room(err);
}

static int dbt_create(struct engine **engine, struct mem *mem, struct error *err)
{
    struct dbt *dbt = calloc(1, sizeof(*dbt));
    if (!dbt)
        return error_set(err, ENOMEM, "cannot start the translator: out of memory");
    dbt->engine.type = &dbt_engine;
    dbt->mem = mem;
    host_ask(&dbt->host);
    int rc = interp_engine.create(&dbt->interp, mem, err);
    if (rc == 0 && (rc = signals_install()) != 0) {
        interp_engine.destroy(dbt->interp);
        error_set(err, -rc, "cannot handle faults: %s", strerror(-rc));
    }
    if (rc) {
        free(dbt);
        return rc;
    }
    *engine = &dbt->engine;
    return 0;
}

static int set_property(void *opaque, const char *name, const char *value, struct error *err)
{
    struct dbt *dbt = opaque;
    value = value ? value : "on";
    if (strcmp(name, "perfmap") == 0)
        return keyval_switch(name, value, &dbt->perfmap, err);
    if (strcmp(name, "jitdump") == 0)
        return keyval_switch(name, value, &dbt->jitdump, err);
    return host_set(&dbt->host, name, value, err);
}

static int dbt_configure(struct engine *engine, const char *properties, struct error *err)
{
    return keyval_split(properties, NULL, set_property, CONTAINER_OF(engine, struct dbt, engine),
                        err);
}

/* The first processor comes: nothing is configured any more. */
static int begin(struct dbt *dbt, struct error *err)
{
    if (dbt->begun)
        return 0;
    dbt->begun = true;
    windows_create(&dbt->windows, !dbt->host.guard_pages);
    host_say(&dbt->host);
    return dbt->perfmap || dbt->jitdump ? perf_open(&dbt->perf, dbt->perfmap, dbt->jitdump, err)
                                        : 0;
}

static void dbt_destroy(struct engine *engine)
{
    struct dbt *dbt = CONTAINER_OF(engine, struct dbt, engine);
    interp_engine.destroy(dbt->interp);
    windows_destroy(&dbt->windows);
    perf_close(dbt->perf);
    free(dbt);
}

static void vcpu_free(struct dbt_vcpu *d)
{
    profile_destroy(d->profile);
    code_destroy(&d->code);
    for (unsigned i = 0; i < MAP_COUNT; i++)
        map_destroy(&d->maps[i]);
    free(d->writable);
    free(d);
}

static void dbt_detach(struct engine *engine, struct vcpu *cpu)
{
    struct dbt *dbt = CONTAINER_OF(engine, struct dbt, engine);
    struct dbt_vcpu *d = dbt_vcpu(cpu);
    if (cpu->index < (int)ARRAY_LEN(dbt->vcpus))
        dbt->vcpus[cpu->index] = NULL;
    dbt->processors--;
    signals_bind(NULL);
    lockstep_destroy(d);
    interp_engine.vcpu_detach(dbt->interp, cpu);
    vcpu_free(d);
}

static int dbt_attach(struct engine *engine, struct vcpu *cpu, struct error *err)
{
    struct dbt *dbt = CONTAINER_OF(engine, struct dbt, engine);
    struct dbt_vcpu *d = calloc(1, sizeof(*d));
    if (!d)
        return error_set(err, ENOMEM, "cannot start processor %d: out of memory", cpu->index);
    d->dbt = dbt;
    d->cpu = cpu;
    d->vector_bytes = 16;
    d->user = &d->maps[MMU_USER];
    d->writable = calloc(1, dbt_writable_size());
    if (log_on(LOG_PROFILE))
        d->profile = profile_create();
    int rc = code_create(&d->code, CODE_SIZE_MAX, err);
    if (rc == 0)
        rc = begin(dbt, err);
    if (!d->writable || (log_on(LOG_PROFILE) && !d->profile))
        rc = error_set(err, ENOMEM, "cannot start processor %d: out of memory", cpu->index);
    for (unsigned mmu = 0; rc == 0 && mmu < MMU_COUNT; mmu++)
        if (mmu != MMU_USER_ALIGN) {
            rc = map_create(&d->maps[mmu], err);
            if (rc == 0)
                jumps_adopt(d, &d->maps[mmu]);
        }
    if (rc == 0)
        thunks_make(d);
    if (rc == 0 && dbt->perf)
        perf_note(dbt->perf, "translator-thunks", d->code.run, d->code.fixed);
    if (rc == 0)
        rc = interp_engine.vcpu_attach(dbt->interp, cpu, err);
    if (rc) {
        vcpu_free(d);
        return rc;
    }
    d->in = interp_vcpu(cpu);
    d->in->outer = d;
    d->in->block_dropped = block_dropped;
    d->in->hook.flushed = dbt_flushed;
    d->in->hook.flushed_page = dbt_flushed_page;
    d->in->hook.switched = dbt_switched;
    d->in->hook.forget_writes = dbt_forget_writes;
    if (log_on(LOG_LOCKSTEP) && !lockstep_create(d)) {
        dbt_detach(engine, cpu);
        return error_set(err, ENOMEM, "cannot run in lockstep: out of memory");
    }
    *frame(cpu, FRAME_PAGE_MASK) = MAP_PAGE_BITS;
    *frame(cpu, FRAME_HOST_MXCSR) = MXCSR_RESET;
    *frame(cpu, FRAME_OFFSET_MASK) = PAGE_SIZE - 1;
    *frame(cpu, FRAME_SIGN_MASK) = UINT64_C(1) << 63;
    *frame(cpu, FRAME_NOT_IF) = ~(uint64_t)FLAG_IF;
    *frame(cpu, FRAME_ARITH) = FLAGS_ARITH;
    *frame(cpu, FRAME_OTHER_FLAGS) = ~(uint64_t)(FLAGS_ARITH | FLAG_RF | FLAG_VM | 2);
    *frame(cpu, FRAME_REQUESTS) = (uint32_t)~VCPU_REQ_ENGINE;
    *frame(cpu, FRAME_BIT_NUMBER) = 63;
    *frame(cpu, FRAME_BIT_NUMBER_32) = 31;
    *frame(cpu, FRAME_BIT_NUMBER_16) = 15;
    *frame(cpu, FRAME_NOT_AC) = ~(uint64_t)FLAG_AC;
    *frame(cpu, FRAME_FLAG_OF) = FLAG_OF;
    *frame(cpu, FRAME_SYSRET_RARE) = FLAG_TF | FLAG_DF | FLAG_AC;
    *frame(cpu, FRAME_SYSRET_KEEP) = SYSRET_FLAGS & ~(uint64_t)(FLAGS_ARITH | 2);
    *frame(cpu, FRAME_CR4_FSGSBASE) = CR4_FSGSBASE;
    *frame(cpu, FRAME_HIGH_BITS) = ~UINT64_C(0) << 47;
    *frame(cpu, FRAME_CROSS_EPOCH) = 1;
    *frame(cpu, FRAME_NOT_COUNT) = ~(uint64_t)(2 * PAGE_SIZE - 1);
    cpu_request(cpu, VCPU_REQ_ENGINE);
    if (cpu->index < (int)ARRAY_LEN(dbt->vcpus))
        dbt->vcpus[cpu->index] = d;
    dbt->processors++;
    return 0;
}

static void dbt_kick(struct engine *engine, struct vcpu *cpu)
{
    /* cpu_request has set the slots that translated code polls. */
    (void)engine;
    (void)cpu;
}

static void dbt_sync_out(struct engine *engine, struct vcpu *cpu)
{
    (void)engine;
    (void)cpu;
}

static void dbt_sync_in(struct engine *engine, struct vcpu *cpu)
{
    struct dbt *dbt = CONTAINER_OF(engine, struct dbt, engine);
    interp_engine.sync_in(dbt->interp, cpu);
}

/* What kinds of instruction are interpreted most. */
static void print_stops(FILE *out, const struct dbt_statistics *s)
{
    uint64_t below = UINT64_MAX;
    for (unsigned line = 0; line < 16; line++) {
        unsigned most = 0;
        for (unsigned i = 1; i <= ZYDIS_MNEMONIC_MAX_VALUE; i++)
            if (s->stops[i] < below && s->stops[i] > (most ? s->stops[most] : 0))
                most = i;
        if (!most)
            return;
        below = s->stops[most];
        fprintf(out, "    %-34s %14llu\n", ZydisMnemonicGetString((ZydisMnemonic)most),
                (unsigned long long)below);
    }
}

static char *dbt_statistics_text(struct engine *engine)
{
    struct dbt *dbt = CONTAINER_OF(engine, struct dbt, engine);
    char *text = NULL, *interp = interp_engine.statistics(dbt->interp);
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return interp;
    host_print(&dbt->host, out);
    for (unsigned i = 0; i < ARRAY_LEN(dbt->vcpus); i++) {
        if (!dbt->vcpus[i])
            continue;
        const struct dbt_statistics *s = &dbt->vcpus[i]->statistics;
        const struct {
            const char *name;
            uint64_t value;
        } lines[] = {
            {"blocks translated", s->blocks},
            {"bytes of code made", s->bytes},
            {"code memory in use, bytes", dbt->vcpus[i]->code.used},
            {"times code memory was emptied", s->code_flushes},
            {"branches tied", s->links},
            {"times translated code was entered", s->enters},
            {"look-ups of jumps", s->lookups},
            {"misses in the shadow map", s->misses},
            {"entries made in it", s->fills},
            {"times it was emptied", s->flushes},
            {"pages taken out of it", s->page_flushes},
            {"times all pages were closed", s->closed},
            {"faults of translated code", s->faults},
            {"blocks translated anew after faults", s->retranslated},
            {"blocks that could not be translated", s->failed},
            {"blocks interpreted", s->interpreted_blocks},
            {"of them over a page's end", s->crossing},
            {"for the state of the processor", s->other_state},
            {"instructions interpreted between", s->interpreted_insns},
        };
        fprintf(out, "cpu %u, translator:\n", i);
        for (unsigned k = 0; k < ARRAY_LEN(lines); k++)
            fprintf(out, "  %-36s %14llu\n", lines[k].name, (unsigned long long)lines[k].value);
        print_stops(out, s);
        if (dbt->vcpus[i]->profile)
            profile_print(out, dbt->vcpus[i]->profile, dbt->vcpus[i]->cpu->icount);
    }
    if (interp)
        fputs(interp, out);
    free(interp);
    fclose(out);
    return text;
}

const struct engine_type dbt_engine = {
    .name = "dbt",
    .summary = "binary translator: rewrites guest code and runs it",
    .usable = dbt_usable,
    .create = dbt_create,
    .configure = dbt_configure,
    .destroy = dbt_destroy,
    .vcpu_attach = dbt_attach,
    .vcpu_detach = dbt_detach,
    .vcpu_run = dbt_run,
    .kick = dbt_kick,
    .sync_out = dbt_sync_out,
    .sync_in = dbt_sync_in,
    .statistics = dbt_statistics_text,
};
