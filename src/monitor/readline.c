/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The cursor moves by ECMA-48 sequences within one row; the shown line is always the prompt and
 * `line`, with the cursor at `cursor`.
 */
#include "monitor/readline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CTRL_A = 1, CTRL_B, CTRL_C, CTRL_D, CTRL_E, CTRL_F, BACKSPACE = 8, CTRL_K = 11 };
enum { CTRL_N = 14, CTRL_P = 16, CTRL_U = 21, CTRL_W = 23, ESCAPE = 27, DELETE = 127 };

static void say(struct readline *rl, const char *text)
{
    rl->user.write(rl->user.opaque, text, strlen(text));
}

void readline_init(struct readline *rl, const char *prompt, const struct readline_user *user)
{
    *rl = (struct readline){.user = *user, .prompt = prompt};
}

void readline_fini(struct readline *rl)
{
    for (size_t i = 0; i < rl->history_count; i++)
        free(rl->history[i]);
    rl->history_count = 0;
}

void readline_clear(struct readline *rl)
{
    rl->length = rl->cursor = 0;
    rl->line[0] = 0;
    rl->too_long = false;
    rl->state = READLINE_PLAIN;
    rl->history_at = rl->history_count;
}

void readline_prompt(struct readline *rl)
{
    readline_clear(rl);
    say(rl, rl->prompt);
}

/* Moves the shown cursor. */
static void shift(struct readline *rl, size_t distance, char direction)
{
    char sequence[32];
    if (distance == 1)
        snprintf(sequence, sizeof(sequence), "\x1b[%c", direction);
    else
        snprintf(sequence, sizeof(sequence), "\x1b[%zu%c", distance, direction);
    if (distance)
        say(rl, sequence);
}

static void move_to(struct readline *rl, size_t cursor)
{
    if (cursor < rl->cursor)
        shift(rl, rl->cursor - cursor, 'D');
    else
        shift(rl, cursor - rl->cursor, 'C');
    rl->cursor = cursor;
}

/* Shows the line anew from the cursor on. */
static void redraw_tail(struct readline *rl)
{
    size_t tail = rl->length - rl->cursor;
    rl->user.write(rl->user.opaque, rl->line + rl->cursor, tail);
    say(rl, "\x1b[K");
    shift(rl, tail, 'D');
}

static void insert(struct readline *rl, const char *bytes, size_t count)
{
    if (count > READLINE_MAX - rl->length) {
        rl->too_long = true;
        return;
    }
    memmove(rl->line + rl->cursor + count, rl->line + rl->cursor, rl->length - rl->cursor);
    memcpy(rl->line + rl->cursor, bytes, count);
    rl->length += count;
    rl->line[rl->length] = 0;
    rl->user.write(rl->user.opaque, bytes, count);
    rl->cursor += count;
    if (rl->cursor < rl->length)
        redraw_tail(rl);
}

static void remove_range(struct readline *rl, size_t from, size_t to)
{
    if (from == to)
        return;
    move_to(rl, from);
    memmove(rl->line + from, rl->line + to, rl->length - to);
    rl->length -= to - from;
    rl->line[rl->length] = 0;
    redraw_tail(rl);
}

static size_t word_before(const struct readline *rl)
{
    size_t at = rl->cursor;
    while (at && rl->line[at - 1] == ' ')
        at--;
    while (at && rl->line[at - 1] != ' ')
        at--;
    return at;
}

/* History */

static void remember(struct readline *rl)
{
    size_t same = 0;
    while (same < rl->history_count && strcmp(rl->history[same], rl->line) != 0)
        same++;
    if (same == rl->history_count) {
        char *copy = strdup(rl->line);
        if (!copy)
            return;
        if (rl->history_count < READLINE_HISTORY) {
            rl->history[rl->history_count++] = copy;
            return;
        }
        same = 0; /* the oldest gives way */
        free(rl->history[0]);
        rl->history[0] = copy;
    }
    char *latest = rl->history[same];
    memmove(&rl->history[same], &rl->history[same + 1],
            (rl->history_count - same - 1) * sizeof(rl->history[0]));
    rl->history[rl->history_count - 1] = latest;
}

static void recall(struct readline *rl, size_t at)
{
    const char *text = at < rl->history_count ? rl->history[at] : "";
    remove_range(rl, 0, rl->length);
    insert(rl, text, strlen(text));
    rl->history_at = at;
}

static void recall_older(struct readline *rl)
{
    if (rl->history_at)
        recall(rl, rl->history_at - 1);
}

static void recall_newer(struct readline *rl)
{
    if (rl->history_at < rl->history_count)
        recall(rl, rl->history_at + 1);
}

/* Completion */

static size_t common_prefix(const char *const *words, size_t count)
{
    size_t length = strlen(words[0]);
    for (size_t i = 1; i < count; i++) {
        size_t same = 0;
        while (same < length && words[i][same] == words[0][same])
            same++;
        length = same;
    }
    return length;
}

static void show_matches(struct readline *rl, const char *const *matches, size_t count)
{
    say(rl, "\n");
    for (size_t i = 0; i < count; i++) {
        say(rl, matches[i]);
        say(rl, i + 1 == count ? "\n" : "  ");
    }
    say(rl, rl->prompt);
    rl->user.write(rl->user.opaque, rl->line, rl->length);
    shift(rl, rl->length - rl->cursor, 'D');
}

static void complete(struct readline *rl)
{
    char start[READLINE_MAX + 1];
    const char *matches[READLINE_MATCHES];
    memcpy(start, rl->line, rl->cursor);
    start[rl->cursor] = 0;
    size_t count = rl->user.complete(rl->user.opaque, start, matches, READLINE_MATCHES);
    if (!count)
        return;
    const char *word = strrchr(start, ' ');
    size_t typed = strlen(word ? word + 1 : start);
    size_t common = common_prefix(matches, count);
    if (common > typed)
        insert(rl, matches[0] + typed, common - typed);
    else if (count > 1)
        show_matches(rl, matches, count);
    if (count == 1)
        insert(rl, " ", 1);
}

/* Keys */

static void enter(struct readline *rl)
{
    char line[READLINE_MAX + 1]; /* of its own: the user may clear us meanwhile */
    bool too_long = rl->too_long;
    memcpy(line, rl->line, rl->length + 1);
    if (rl->length && !too_long)
        remember(rl);
    readline_clear(rl);
    say(rl, "\n");
    rl->user.line(rl->user.opaque, too_long ? NULL : line);
}

static void control(struct readline *rl, uint8_t byte)
{
    switch (byte) {
    case '\r':
    case '\n':
        enter(rl);
        break;
    case '\t':
        complete(rl);
        break;
    case CTRL_A:
        move_to(rl, 0);
        break;
    case CTRL_E:
        move_to(rl, rl->length);
        break;
    case CTRL_B:
        move_to(rl, rl->cursor - (rl->cursor > 0));
        break;
    case CTRL_F:
        move_to(rl, rl->cursor + (rl->cursor < rl->length));
        break;
    case CTRL_C:
        say(rl, "\n");
        readline_prompt(rl);
        break;
    case CTRL_D:
        remove_range(rl, rl->cursor, rl->cursor + (rl->cursor < rl->length));
        break;
    case CTRL_K:
        remove_range(rl, rl->cursor, rl->length);
        break;
    case CTRL_U:
        remove_range(rl, 0, rl->cursor);
        rl->too_long = rl->too_long && rl->length;
        break;
    case CTRL_W:
        remove_range(rl, word_before(rl), rl->cursor);
        break;
    case CTRL_N:
        recall_newer(rl);
        break;
    case CTRL_P:
        recall_older(rl);
        break;
    case BACKSPACE:
    case DELETE:
        remove_range(rl, rl->cursor - (rl->cursor > 0), rl->cursor);
        break;
    case ESCAPE:
        rl->state = READLINE_ESCAPE;
        break;
    default:
        break;
    }
}

/* The last byte of ESC [ number byte or ESC O byte. */
static void sequence(struct readline *rl, uint8_t byte)
{
    switch (byte) {
    case 'A':
        recall_older(rl);
        break;
    case 'B':
        recall_newer(rl);
        break;
    case 'C':
        control(rl, CTRL_F);
        break;
    case 'D':
        control(rl, CTRL_B);
        break;
    case 'H':
        control(rl, CTRL_A);
        break;
    case 'F':
        control(rl, CTRL_E);
        break;
    case '~':
        if (rl->number == 1 || rl->number == 7)
            control(rl, CTRL_A);
        else if (rl->number == 4 || rl->number == 8)
            control(rl, CTRL_E);
        else if (rl->number == 3)
            control(rl, CTRL_D);
        break;
    default:
        break;
    }
}

void readline_byte(struct readline *rl, uint8_t byte)
{
    switch (rl->state) {
    case READLINE_PLAIN:
        if (byte >= ' ' && byte != DELETE)
            insert(rl, (const char *)&byte, 1);
        else
            control(rl, byte);
        break;
    case READLINE_ESCAPE:
        rl->number = 0;
        rl->state = byte == '[' ? READLINE_CSI : byte == 'O' ? READLINE_SS3 : READLINE_PLAIN;
        if (byte == '\r' || byte == '\n') /* a line's end is one wherever it comes */
            enter(rl);
        break;
    case READLINE_CSI:
        if (byte >= '0' && byte <= '9') {
            rl->number = (rl->number * 10 + (byte - '0')) % 1000;
            break;
        }
        if (byte >= ' ' && byte < '@') /* other parameters */
            break;
        rl->state = READLINE_PLAIN;
        if (byte < ' ')
            control(rl, byte);
        else
            sequence(rl, byte);
        break;
    case READLINE_SS3:
        rl->state = READLINE_PLAIN;
        if (byte < ' ')
            control(rl, byte);
        else
            sequence(rl, byte);
        break;
    }
}
