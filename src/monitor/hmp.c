/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/hmp.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "monitor/expression.h"
#include "vm/vm.h"

enum { NAMES_MAX = 64 };

/* A line while its arguments are read. */
struct line {
    struct hmp *hmp;
    const struct hmp_command *command;
    const char *at;
    char *words; /* room for unquoted words: as long as the line and its ends */
    struct error *err;
};

void hmp_init(struct hmp *hmp, struct vm *vm)
{
    hmp->vm = vm;
    hmp->default_letter = 'x';
    hmp->default_size = 4;
    hmp->quit = false;
    keys_init(&hmp->typist, &vm->timers, &vm->machine->input);
}

void hmp_fini(struct hmp *hmp)
{
    keys_fini(&hmp->typist);
}

static const char *skip_blanks(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

static bool name_ends(char c)
{
    return !c || isspace((unsigned char)c) || c == '/';
}

static size_t name_length(const char *at)
{
    size_t length = 0;
    while (!name_ends(at[length]))
        length++;
    return length;
}

static bool is_name(const char *name, const char *at, size_t length)
{
    return name && strlen(name) == length && memcmp(name, at, length) == 0;
}

static const struct hmp_command *find(const struct hmp_command *table, const char *at,
                                      size_t length)
{
    for (; table->name; table++)
        if (is_name(table->name, at, length) || is_name(table->alias, at, length))
            return table;
    return NULL;
}

/* The nearest name in the table, or NULL. */
static const char *nearest(const struct hmp_command *table, const char *at, size_t length)
{
    const char *names[NAMES_MAX + 1];
    size_t count = 0;
    char word[32];
    if (!length || length >= sizeof(word))
        return NULL;
    memcpy(word, at, length);
    word[length] = 0;
    for (; table->name && count < NAMES_MAX; table++)
        names[count++] = table->name;
    names[count] = NULL;
    return config_nearest(word, names);
}

/* Follows names from *at on into subcommands. On success *at is behind them. A table of subcommands
 * is returned itself when no name follows. NULL: unknown, which is said. */
static const struct hmp_command *find_command(const char **at, FILE *out)
{
    const struct hmp_command *table = hmp_commands, *command = NULL;
    const char *line = *at;
    for (;;) {
        const char *word = skip_blanks(*at);
        size_t length = name_length(word);
        if (command && !length)
            return command;
        const struct hmp_command *next = find(table, word, length);
        if (!next) {
            const char *near = nearest(table, word, length);
            fprintf(out, "unknown command: '%.*s'", (int)(word + length - line), line);
            if (near)
                fprintf(out, "; did you mean '%s%s%s'?", command ? command->name : "",
                        command ? " " : "", near);
            fputc('\n', out);
            return NULL;
        }
        *at = word + length;
        if (!next->sub)
            return next;
        command = next;
        table = next->sub;
    }
}

/* Arguments */

static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case '\\':
    case '\'':
    case '"':
        return c;
    default:
        return 0;
    }
}

static int read_quoted(struct line *line)
{
    const char *at = line->at + 1;
    char *to = line->words;
    while (*at != '"') {
        if (!*at)
            return error_set(line->err, EINVAL, "unterminated string");
        if (*at == '\\') {
            at++;
            if (!unescape(*at))
                return error_set(line->err, EINVAL, "unsupported escape code: '\\%c'",
                                 *at ? *at : ' ');
            *to++ = unescape(*at++);
        } else {
            *to++ = *at++;
        }
    }
    *to++ = 0;
    line->words = to;
    line->at = at + 1;
    return 0;
}

static int read_word(struct line *line, const char *expected, const char **word)
{
    line->at = skip_blanks(line->at);
    *word = line->words;
    if (*line->at == '"')
        return read_quoted(line);
    if (!*line->at)
        return error_set(line->err, EINVAL, "%s: %s expected", line->command->name, expected);
    while (*line->at && !isspace((unsigned char)*line->at))
        *line->words++ = *line->at++;
    *line->words++ = 0;
    return 0;
}

static uint64_t read_count(struct line *line)
{
    uint64_t count = 0;
    while (isdigit((unsigned char)*line->at)) {
        unsigned digit = (unsigned)(*line->at++ - '0');
        count = count > UINT32_MAX ? count : count * 10 + digit; /* any more is too much as well */
    }
    return count;
}

static int read_format(struct line *line, struct dump_format *format)
{
    struct hmp *hmp = line->hmp;
    *format = (struct dump_format){1, hmp->default_letter, hmp->default_size};
    line->at = skip_blanks(line->at);
    if (*line->at != '/')
        return 0;
    line->at++;
    if (isdigit((unsigned char)*line->at))
        format->count = read_count(line);
    for (;; line->at++) {
        char c = *line->at;
        if (c && strchr("xduoci", c))
            format->letter = c;
        else if (c == 'b')
            format->size = 1;
        else if (c == 'h')
            format->size = 2;
        else if (c == 'w')
            format->size = 4;
        else if (c == 'g' || c == 'L')
            format->size = 8;
        else
            break;
    }
    if (*line->at && !isspace((unsigned char)*line->at))
        return error_set(line->err, EINVAL, "invalid char in format: '%c'", *line->at);
    hmp->default_letter = format->letter;
    if (format->letter != 'i')
        hmp->default_size = format->size;
    return 0;
}

static bool is_flag(const struct hmp_param *param)
{
    return param->kind == HMP_FLAG || param->kind == HMP_FLAG_WORD;
}

/* -X's at hand, for commands that have any. */
static int read_flags(struct line *line, struct hmp_arg *args)
{
    const struct hmp_param *params = line->command->params;
    bool any = false;
    for (int i = 0; i < HMP_PARAMS; i++)
        any |= is_flag(&params[i]);
    for (;;) {
        line->at = skip_blanks(line->at);
        if (!any || *line->at != '-')
            return 0;
        char flag = line->at[1];
        int i = 0;
        while (i < HMP_PARAMS && !(is_flag(&params[i]) && params[i].flag == flag))
            i++;
        if (!flag || i == HMP_PARAMS)
            return error_set(line->err, EINVAL, "%s: unsupported option -%.1s", line->command->name,
                             line->at + 1);
        line->at += 2;
        args[i].given = true;
        if (params[i].kind == HMP_FLAG_WORD) {
            int ret = read_word(line, params[i].name, &args[i].text);
            if (ret < 0)
                return ret;
        }
    }
}

static int read_param(struct line *line, const struct hmp_param *param, struct hmp_arg *arg)
{
    if (param->kind == HMP_FORMAT) {
        arg->given = true;
        return read_format(line, &arg->format);
    }
    line->at = skip_blanks(line->at);
    if (!*line->at && param->optional)
        return 0;
    arg->given = true;
    switch (param->kind) {
    case HMP_WORD:
        return read_word(line, "string", &arg->text);
    case HMP_FILE:
        return read_word(line, "filename", &arg->text);
    case HMP_REST:
        arg->text = line->at;
        line->at += strlen(line->at);
        return 0;
    default:
        return expression_read(&line->at, line->command->frozen ? line->hmp->vm->vcpus[0] : NULL,
                               &arg->number, line->err);
    }
}

static int read_args(struct line *line, struct hmp_arg *args)
{
    const struct hmp_param *params = line->command->params;
    int ret = 0;
    for (int i = 0; i < HMP_PARAMS && params[i].kind && ret == 0; i++) {
        if (params[i].kind != HMP_FORMAT)
            ret = read_flags(line, args);
        if (ret == 0 && !is_flag(&params[i]))
            ret = read_param(line, &params[i], &args[i]);
    }
    if (ret == 0)
        ret = read_flags(line, args);
    if (ret == 0 && *skip_blanks(line->at))
        ret = error_set(line->err, EINVAL, "%s: extraneous characters at the end of line",
                        line->command->name);
    return ret;
}

static void run(struct hmp *hmp, const struct hmp_command *command, const char *name, int length,
                const char *text, FILE *out)
{
    char *words = malloc(strlen(text) + HMP_PARAMS + 1);
    if (!words) {
        fputs("out of memory\n", out);
        return;
    }
    struct error err = {0};
    struct hmp_arg args[HMP_PARAMS] = {0};
    struct line line = {.hmp = hmp, .command = command, .at = text, .words = words, .err = &err};
    bool frozen = command->frozen;
    if (frozen)
        vm_freeze(hmp->vm);
    if (read_args(&line, args) < 0)
        fprintf(out, "%s\nTry \"help %.*s\" for more information\n", err.text, length, name);
    else if (command->run(hmp, args, out, &err) < 0)
        fprintf(out, "Error: %s\n", err.text);
    if (frozen)
        vm_thaw(hmp->vm);
    free(words);
}

void hmp_execute(struct hmp *hmp, const char *text, FILE *out)
{
    text = skip_blanks(text);
    if (!*text)
        return;
    const char *at = text;
    const struct hmp_command *command = find_command(&at, out);
    if (!command)
        return;
    if (command->sub)
        hmp_help(command->name, out);
    else
        run(hmp, command, text, (int)(at - text), at, out);
}

/* Help and completion */

/* prefix: "info " for its subcommands. */
static void describe(const struct hmp_command *command, const char *prefix, FILE *out)
{
    fprintf(out, "%s%s%s%s %s -- %s\n", prefix, command->name, command->alias ? "|" : "",
            command->alias ? command->alias : "", command->usage, command->help);
}

static void describe_all(const struct hmp_command *table, const char *prefix, FILE *out)
{
    for (; table->name; table++)
        describe(table, prefix, out);
}

void hmp_help(const char *text, FILE *out)
{
    const char *at = skip_blanks(text);
    if (!*at) {
        describe_all(hmp_commands, "", out);
        return;
    }
    const char *first = at;
    const struct hmp_command *command = find_command(&at, out);
    if (!command)
        return;
    const struct hmp_command *top = find(hmp_commands, first, name_length(first));
    char prefix[32] = "";
    if (top->sub)
        snprintf(prefix, sizeof(prefix), "%s ", top->name);
    if (command->sub)
        describe_all(command->sub, prefix, out);
    else
        describe(command, prefix, out);
}

size_t hmp_complete(const char *line, const char **matches, size_t max)
{
    const struct hmp_command *table = hmp_commands;
    for (;;) {
        line = skip_blanks(line);
        size_t length = name_length(line);
        if (!line[length]) {
            size_t count = 0;
            for (; table->name && count < max; table++)
                if (strncmp(table->name, line, length) == 0)
                    matches[count++] = table->name;
            return count;
        }
        const struct hmp_command *command = find(table, line, length);
        if (command && command->sub)
            table = command->sub;
        else if (!command || command->params[0].kind != HMP_REST) /* help: what it is about */
            return 0;
        line += length;
        if (*line == '/')
            return 0;
    }
}
