/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * monitor/readline: what keys make of a line and what a terminal shows of it.
 */
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/readline.h"

/* A terminal of one endless row, that knows what readline says. */
struct fixture {
    struct readline rl;
    char row[3 * READLINE_MAX];
    size_t column, end;
    char lines[64][READLINE_MAX + 1]; /* that were entered */
    unsigned line_count, too_long;
    bool foreign; /* something was said that a terminal would not take so */
    char sequence[16];
    size_t sequence_length;
};

static void obey(struct fixture *f)
{
    size_t number = (size_t)atoi(f->sequence + 2);
    size_t n = number ? number : 1;
    switch (f->sequence[f->sequence_length - 1]) {
    case 'D':
        f->foreign |= n > f->column;
        f->column -= n > f->column ? 0 : n;
        break;
    case 'C':
        f->column += n;
        f->foreign |= f->column > f->end;
        break;
    case 'K':
        f->end = f->column;
        break;
    default:
        f->foreign = true;
    }
}

static void show(void *opaque, const char *bytes, size_t length)
{
    struct fixture *f = opaque;
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        if (f->sequence_length) {
            f->sequence[f->sequence_length++] = c;
            f->sequence[f->sequence_length] = 0;
            if (f->sequence_length > 2 && ((c >= 'A' && c <= 'Z') || f->sequence_length > 10)) {
                obey(f);
                f->sequence_length = 0;
            }
        } else if (c == '\x1b') {
            f->sequence[f->sequence_length++] = c;
        } else if (c == '\n') {
            f->column = f->end = 0;
        } else {
            assert_true(f->column < sizeof(f->row));
            f->row[f->column++] = c;
            if (f->column > f->end)
                f->end = f->column;
        }
    }
}

static void take(void *opaque, const char *line)
{
    struct fixture *f = opaque;
    if (!line)
        f->too_long++;
    else
        strcpy(f->lines[f->line_count++ % 64], line);
    readline_prompt(&f->rl);
}

static size_t words(void *opaque, const char *line, const char **matches, size_t max)
{
    (void)opaque;
    static const char *const all[] = {"stop", "system_powerdown", "system_reset", "quit"};
    const char *last = strrchr(line, ' ');
    last = last ? last + 1 : line;
    size_t count = 0;
    for (size_t i = 0; i < 4 && count < max; i++)
        if (strncmp(all[i], last, strlen(last)) == 0)
            matches[count++] = all[i];
    return count;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct readline_user user = {show, take, words, f};
    readline_init(&f->rl, "> ", &user);
    readline_prompt(&f->rl);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    readline_fini(&f->rl);
    free(f);
    return 0;
}

static void type(struct fixture *f, const char *keys)
{
    for (; *keys; keys++)
        readline_byte(&f->rl, (uint8_t)*keys);
}

/* The terminal shows the prompt and the line, with the cursor where the line's is. */
static void assert_shown(struct fixture *f)
{
    assert_false(f->foreign);
    assert_int_equal(f->sequence_length, 0);
    assert_int_equal(f->end, 2 + f->rl.length);
    assert_memory_equal(f->row, "> ", 2);
    assert_memory_equal(f->row + 2, f->rl.line, f->rl.length);
    assert_int_equal(f->column, 2 + f->rl.cursor);
}

static void assert_line(struct fixture *f, const char *line, size_t cursor)
{
    assert_string_equal(f->rl.line, line);
    assert_int_equal(f->rl.cursor, cursor);
    assert_shown(f);
}

static void lines(void **state)
{
    struct fixture *f = *state;
    type(f, "info status\nquit\r\n");
    assert_int_equal(f->line_count, 3);
    assert_string_equal(f->lines[0], "info status");
    assert_string_equal(f->lines[1], "quit");
    assert_string_equal(f->lines[2], "");
    type(f, "par");
    assert_int_equal(f->line_count, 3);
    type(f, "tial\n");
    assert_string_equal(f->lines[3], "partial");
    assert_line(f, "", 0);
}

static void editing(void **state)
{
    struct fixture *f = *state;
    type(f, "abcd\x7f\b");
    assert_line(f, "ab", 2);
    type(f, "\x01x");
    assert_line(f, "xab", 1);
    type(f, "\x05y\x02\x02z");
    assert_line(f, "xazby", 3);
    type(f, "\x04");
    assert_line(f, "xazy", 3);
    type(f, "\b");
    assert_line(f, "xay", 2);
    type(f, "\x02\x0b");
    assert_line(f, "x", 1);
    type(f, "\x02\x02\b\x7f\x06\x06\x04");
    assert_line(f, "x", 1);
    type(f, " one  two  \x17");
    assert_line(f, "x one  ", 7);
    type(f, "three\x02\x02\x15");
    assert_line(f, "ee", 0);
    type(f, "thr\n");
    assert_string_equal(f->lines[0], "three");
    type(f, "nonsense\x03");
    assert_line(f, "", 0);
    assert_int_equal(f->line_count, 1);
}

static void sequences(void **state)
{
    struct fixture *f = *state;
    type(f, "abc\x1b[D\x1b[Dx");
    assert_line(f, "axbc", 2);
    type(f, "\x1b[C\x1bOCy");
    assert_line(f, "axbcy", 5);
    type(f, "\x1b[H1\x1b[F2\x1b[1~3\x1b[4~4\x1b[7~5\x1b[8~6");
    assert_line(f, "531axbcy246", 11);
    type(f, "\x1b[1~\x1b[3~");
    assert_line(f, "31axbcy246", 0);
    type(f, "\x1b[1;5C\x1b[5~\x1b[?25hk");
    assert_line(f, "3k1axbcy246", 2);
    /* A line's end is one in the middle of a sequence too. */
    type(f, "\x1b\n");
    type(f, "\x1b[\n");
    type(f, "\x1bO\n");
    type(f, "\x1b[99999999999999999999\n");
    assert_int_equal(f->line_count, 4);
    assert_string_equal(f->lines[0], "3k1axbcy246");
}

static void history(void **state)
{
    struct fixture *f = *state;
    type(f, "\x1b[A");
    assert_line(f, "", 0);
    type(f, "one\ntwo\n\nthree\n");
    type(f, "\x1b[A");
    assert_line(f, "three", 5);
    type(f, "\x10\x1b[A\x1b[A\x1b[A");
    assert_line(f, "one", 3);
    type(f, "\x1b[B");
    assert_line(f, "two", 3);
    type(f, "!\n");
    assert_string_equal(f->lines[4], "two!");
    type(f, "\x10\x10\x10\x10\n"); /* one again: it becomes the latest */
    type(f, "\x10");
    assert_line(f, "one", 3);
    type(f, "\x10");
    assert_line(f, "two!", 4);
    type(f, "\x0e\x0e\x0e");
    assert_line(f, "", 0);
    /* It ends somewhere. */
    for (int i = 0; i < 2 * READLINE_HISTORY; i++) {
        char number[16];
        snprintf(number, sizeof(number), "%d\n", i);
        type(f, number);
    }
    assert_int_equal(f->rl.history_count, READLINE_HISTORY);
    for (int i = 0; i < 3 * READLINE_HISTORY; i++)
        type(f, "\x10");
    assert_line(f, "64", 2);
}

static void completion(void **state)
{
    struct fixture *f = *state;
    type(f, "q\t");
    assert_line(f, "quit ", 5);
    type(f, "\x15s\t");
    assert_line(f, "s", 1);
    type(f, "y\t");
    assert_line(f, "system_", 7);
    type(f, "\t");
    assert_line(f, "system_", 7);
    type(f, "r\t");
    assert_line(f, "system_reset ", 13);
    type(f, "nothing\t");
    assert_line(f, "system_reset nothing", 20);
    type(f, "\x15stx\x02\t"); /* before the cursor only */
    assert_line(f, "stop x", 5);
}

static void long_lines(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < READLINE_MAX; i++)
        type(f, "a");
    assert_shown(f);
    type(f, "\n");
    assert_int_equal(f->line_count, 1);
    assert_int_equal(strlen(f->lines[0]), READLINE_MAX);
    /* Half of a line is not run. */
    for (int i = 0; i < 100000; i++)
        type(f, "b");
    assert_int_equal(f->rl.length, READLINE_MAX);
    assert_shown(f);
    type(f, "\n");
    assert_int_equal(f->line_count, 1);
    assert_int_equal(f->too_long, 1);
    type(f, "ok\n");
    assert_string_equal(f->lines[1], "ok");
}

static void scribbles(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 4711;
    for (int i = 0; i < 300000; i++) {
        uint64_t random = test_random(&seed);
        uint8_t byte = (uint8_t)(random >> 8);
        if (random % 4 == 0) /* more of what means something */
            byte = (uint8_t) "\x1b[ABCDO~3\x01\x05\x0b\x15\x17\x10\x0e\t\n"[random >> 16 & 15];
        if (byte == 0x1b || byte == '\n' || byte >= ' ' || byte == '\t' || random >> 40 & 1)
            readline_byte(&f->rl, byte);
        assert_true(f->rl.cursor <= f->rl.length && f->rl.length <= READLINE_MAX);
        assert_int_equal(strlen(f->rl.line), f->rl.length);
        assert_false(f->foreign);
    }
    assert_shown(f);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(lines),      CASE(editing),    CASE(sequences), CASE(history),
        CASE(completion), CASE(long_lines), CASE(scribbles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
