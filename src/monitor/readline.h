/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A line being typed: echo, editing with the keys of a terminal, history, completion. Bytes in, any
 * bytes; echo out. Knows no stream. Whoever sends whole lines without looking at the echo is served
 * as well.
 */
#ifndef MONITOR_READLINE_H
#define MONITOR_READLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { READLINE_MAX = 4095, READLINE_HISTORY = 64, READLINE_MATCHES = 64 };

struct readline_user {
    void (*write)(void *opaque, const char *bytes, size_t length);
    /* A line without its end; the user shows the next prompt (readline_prompt). Lines longer than
     * READLINE_MAX come as NULL. */
    void (*line)(void *opaque, const char *line);
    /* What the last word of line could become. */
    size_t (*complete)(void *opaque, const char *line, const char **matches, size_t max);
    void *opaque;
};

enum readline_state { READLINE_PLAIN, READLINE_ESCAPE, READLINE_CSI, READLINE_SS3 };

struct readline {
    struct readline_user user;
    const char *prompt;
    char line[READLINE_MAX + 1]; /* ended by 0 */
    size_t length, cursor;
    bool too_long; /* more came than there is room for */
    enum readline_state state;
    unsigned number; /* of a CSI sequence */
    char *history[READLINE_HISTORY];
    size_t history_count, history_at; /* at == count: the line is new */
};

void readline_init(struct readline *readline, const char *prompt, const struct readline_user *user);
void readline_fini(struct readline *readline);

/* An empty line and its prompt. */
void readline_prompt(struct readline *readline);
/* Forgets what was typed; says nothing. */
void readline_clear(struct readline *readline);

void readline_byte(struct readline *readline, uint8_t byte);

#endif
