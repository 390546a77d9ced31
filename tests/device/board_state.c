/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Field tables hold all there is to a board: one in the middle of whatever a hostile guest made of
 * it is saved and loaded into a fresh one, and from there both answer alike, access by access.
 */
#include "board_scribble.h"

#ifdef __SANITIZE_ADDRESS__
enum { ROUNDS = 10 };
#else
enum { ROUNDS = 30 };
#endif
enum { STEPS_BEFORE = 20000, STEPS_AFTER = 40000 };

static void copy_file(const char *from, const char *to, size_t bytes)
{
    uint8_t *content = malloc(bytes);
    FILE *in = fopen(from, "rb"), *out = fopen(to, "r+b");
    assert_true(content && in && out);
    assert_int_equal(fread(content, 1, bytes, in), bytes);
    assert_int_equal(fwrite(content, 1, bytes, out), bytes);
    fclose(in);
    fclose(out);
    free(content);
}

static void copy_memory(const struct board *from, struct board *to)
{
    for (uint64_t page = 0; page < BOARD_RAM / PAGE_SIZE; page++)
        memcpy(ram_host(to->ram, page), ram_host(from->ram, page), PAGE_SIZE);
}

static void copy_devices(const struct board *from, struct board *to)
{
    const struct device *a = from->machine->devices.first;
    struct device *b = to->machine->devices.first;
    for (; a && b; a = a->next, b = b->next) {
        struct state_buffer out = {0};
        struct error err;
        size_t used = 0;
        assert_string_equal(a->type->name, b->type->name);
        assert_non_null(a->type->state);
        assert_int_equal(state_save(a->type->state, a, &out), 0);
        if (state_load(b->type->state, b, out.data, out.length, &used, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(used, out.length);
        free(out.data);
    }
    assert_true(!a && !b);
}

/* Names the device whose state differs. */
static void compare_devices(const struct board *x, const struct board *y)
{
    const struct device *a = x->machine->devices.first, *b = y->machine->devices.first;
    for (; a && b; a = a->next, b = b->next) {
        char *one = state_describe(a->type->state, a), *other = state_describe(b->type->state, b);
        assert_true(one && other);
        char *at = one, *with = other;
        while (*at && *at == *with)
            at++, with++;
        if (*at || *with) {
            while (at > one && at[-1] != '\n')
                at--, with--;
            fail_msg("%s: %.*s in one, %.*s in the other", a->type->name, (int)strcspn(at, "\n"),
                     at, (int)strcspn(with, "\n"), with);
        }
        free(one);
        free(other);
    }
}

static uint32_t requests(const struct board *board)
{
    uint32_t bits = 0;
    for (int i = 0; i < BOARD_CPUS; i++)
        bits |= (atomic_load(&board->vcpus[i]->request) & 0xf) << (4 * i);
    return bits;
}

static bool alike(const struct scribbler *a, const struct scribbler *b)
{
    return a->digest == b->digest && a->state == b->state &&
           requests(a->board) == requests(b->board) &&
           atomic_load(&a->board->world.a20_mask) == atomic_load(&b->board->world.a20_mask);
}

static void one_round(uint64_t seed)
{
    static struct scribbler a, b;
    scribbler_init(&a, seed);
    a.steady = true;
    watch_for_crashes(&a);
    for (int i = 0; i < STEPS_BEFORE; i++)
        scribble(&a);

    scribbler_init(&b, seed);
    struct board *fresh = b.board;
    b = a;
    b.board = fresh;
    clock_set(&fresh->timers.clock, timers_now(&a.board->timers));
    copy_memory(a.board, fresh);
    copy_file(a.board->disk_path, fresh->disk_path, BOARD_DISK);
    copy_devices(a.board, fresh);
    fresh->reset_wanted = a.board->reset_wanted;
    /* Edges that wait are the processor's state. */
    for (int i = 0; i < BOARD_CPUS; i++) {
        atomic_fetch_and(&a.board->vcpus[i]->request, VCPU_REQ_INTR);
        atomic_fetch_and(&fresh->vcpus[i]->request, VCPU_REQ_INTR);
    }
    a.board->map_changed = fresh->map_changed = true;

    a.doing = b.doing = "loading";
    for (int i = 0; i < STEPS_AFTER; i++) {
        if (!alike(&a, &b)) {
            report();
            print_message("after step %d: requests %x and %x, a20 %" PRIx64 " and %" PRIx64
                          ", next deadline %" PRId64 " and %" PRId64 "\n",
                          i, requests(a.board), requests(b.board),
                          atomic_load(&a.board->world.a20_mask),
                          atomic_load(&b.board->world.a20_mask), timers_next(&a.board->timers),
                          timers_next(&b.board->timers));
            compare_devices(a.board, b.board);
            fail_msg("the loaded board does not go on alike");
        }
        scribble(&a);
        scribble(&b);
    }
    unwatch();
    board_destroy(a.board);
    board_destroy(b.board);
}

static void loaded_board_goes_on_alike(void **state)
{
    (void)state;
    uint64_t seed = scribble_setting("SCRIBBLE_SEED", 0);
    if (seed) {
        one_round(seed);
        return;
    }
    for (seed = 1; seed <= ROUNDS; seed++)
        one_round(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loaded_board_goes_on_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
