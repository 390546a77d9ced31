/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A hostile guest without a processor: the whole board under millions of random port, memory and
 * configuration accesses, commands that are nearly right, jumps of time, resets, and saved states
 * that were tampered with. Nothing may crash, hang or leave its bounds, and files the guest may not
 * write stay as they are.
 *
 * SCRIBBLE_SEED and SCRIBBLE_COUNT (accesses) override what is run; a failure prints both.
 */
#include "board_scribble.h"

#ifdef __SANITIZE_ADDRESS__
#define DEFAULT_COUNT 4000000
#else
#define DEFAULT_COUNT 12000000
#endif
#define DEFAULT_SEED 1

enum {
    FIELDS_MAX = 4096,
};

/* ---- Saved states ---- */

struct span {
    size_t at, length;
};

struct spans {
    struct span small[FIELDS_MAX];
    size_t count;
};

static size_t find_fields(const uint8_t *data, size_t at, struct spans *spans);

/* A field of the format in state/state.c; returns where it ends. */
static size_t find_field(const uint8_t *data, size_t at, struct spans *spans)
{
    at += 1 + data[at];
    uint8_t kind = data[at];
    uint32_t size = load_le32(data + at + 1), length = load_le32(data + at + 9);
    at += 13;
    size_t end = at + length;
    if (kind == STATE_STRUCT) {
        while (at < end)
            at = find_fields(data, at, spans);
        return end;
    }
    for (; at < end && kind == STATE_UINT && spans->count < FIELDS_MAX; at += size)
        spans->small[spans->count++] = (struct span){at, size};
    if (at < end && length <= 256 && spans->count < FIELDS_MAX)
        spans->small[spans->count++] = (struct span){at, length};
    return end;
}

/* The small fields of an object; returns where it ends. */
static size_t find_fields(const uint8_t *data, size_t at, struct spans *spans)
{
    at += 1 + data[at] + 4;
    size_t end = at + 4 + load_le32(data + at);
    at += 4;
    while (at < end)
        at = find_field(data, at, spans);
    return end;
}

static void tamper(struct scribbler *s, struct state_buffer *out)
{
    static struct spans spans;
    spans.count = 0;
    find_fields(out->data, 0, &spans);
    if (one_in(s, 16)) {
        out->length = below(s, out->length);
        return;
    }
    for (unsigned times = 1 + (unsigned)below(s, 4); times > 0; times--) {
        if (spans.count == 0 || one_in(s, 8)) {
            out->data[below(s, out->length)] = (uint8_t)draw(s);
            continue;
        }
        const struct span *span = &spans.small[below(s, spans.count)];
        if (span->length <= 8)
            store_le(out->data + span->at, some_value(s), (unsigned)span->length);
        else
            out->data[span->at + below(s, span->length)] = (uint8_t)some_value(s);
    }
}

static bool is_ide(const struct device *device)
{
    return strcmp(device->type->name, "piix3-ide") == 0;
}

static void save(struct scribbler *s, const struct device *device, struct state_buffer *out)
{
    *out = (struct state_buffer){0};
    expect(s, state_save(device->type->state, device, out) == 0);
}

/* The device is as it was saved. A drive that works on its image goes on meanwhile. */
static void expect_same(struct scribbler *s, const struct device *device,
                        const struct state_buffer *was)
{
    struct state_buffer is;
    save(s, device, &is);
    if (!is_ide(device))
        expect(s, is.length == was->length && memcmp(is.data, was->data, is.length) == 0);
    free(is.data);
}

static void scribble_state(struct scribbler *s)
{
    struct device *device = s->board->machine->devices.first;
    unsigned count = 0;
    for (struct device *d = device; d; d = d->next)
        count++;
    for (uint64_t n = below(s, count); n > 0; n--)
        device = device->next;
    expect(s, device->type->state);
    s->doing = device->type->name;

    struct state_buffer was, bad;
    size_t used = 0;
    struct error err;
    /* Loading what was just saved may let a chip catch up with time, no more. */
    save(s, device, &was);
    expect(s, state_load(device->type->state, device, was.data, was.length, &used, &err) == 0);
    expect(s, used == was.length);
    free(was.data);
    save(s, device, &was);
    save(s, device, &bad);
    if (one_in(s, 4)) {
        expect(s, state_load(device->type->state, device, was.data, was.length, &used, &err) == 0);
        expect(s, used == was.length);
        expect_same(s, device, &was);
    } else {
        tamper(s, &bad);
        if (state_load(device->type->state, device, bad.data, bad.length, &used, &err) < 0)
            expect_same(s, device, &was);
        else
            expect(s, used <= bad.length);
    }
    free(was.data);
    free(bad.data);
}

/* Anything but its size, for the disk; not a byte, for the rest. */
static void assert_files_kept(const struct board *board)
{
    const char *const paths[] = {board->disk_path, board->cd_path, board->firmware_path};
    const size_t sizes[] = {BOARD_DISK, BOARD_CD, BOARD_FIRMWARE};
    for (int i = 0; i < 3; i++) {
        struct stat st;
        assert_int_equal(stat(paths[i], &st), 0);
        assert_int_equal(st.st_size, sizes[i]);
        FILE *file = fopen(paths[i], "rb");
        assert_non_null(file);
        for (size_t at = 0; i > 0 && at < sizes[i]; at++)
            assert_int_equal(fgetc(file), board_pattern(at));
        fclose(file);
    }
}

static void hostile_guest(void **state)
{
    (void)state;
    /* Stays, for reports from beyond the end of a case that failed. */
    static struct scribbler s;
    uint64_t count = scribble_setting("SCRIBBLE_COUNT", DEFAULT_COUNT);
    scribbler_init(&s, scribble_setting("SCRIBBLE_SEED", DEFAULT_SEED));
    watch_for_crashes(&s);
    while (s.accesses < count) {
        scribble(&s);
        if (one_in(&s, 400))
            scribble_state(&s);
    }
    s.doing = "the end";
    board_settle(s.board);
    reset_machine(&s);
    block_drain(s.board->disk);
    assert_files_kept(s.board);
    unwatch();
    board_destroy(s.board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
