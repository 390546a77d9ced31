/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/expression.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cpu/vcpu.h"

/* Parentheses and signs nest no deeper: a hostile line must not eat the stack. */
enum { DEPTH_MAX = 64 };

struct reader {
    const char *at;
    const struct vcpu *cpu;
    unsigned depth;
    struct error *err;
};

static int read_sum(struct reader *reader, uint64_t *value);

static void skip_blanks(struct reader *reader)
{
    while (isspace((unsigned char)*reader->at))
        reader->at++;
}

static int integer_register(const struct vcpu *cpu, const char *name, uint64_t *value)
{
    static const char *const names[16] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di",
                                          "8",  "9",  "10", "11", "12", "13", "14", "15"};
    for (int i = 0; i < 16; i++) {
        bool named = i < 8 ? name[0] == 'e' || name[0] == 'r' : name[0] == 'r';
        if (named && strcmp(name + 1, names[i]) == 0) {
            *value = cpu->gpr[i];
            return 0;
        }
    }
    return -ENOENT;
}

/* "cs", "cs.base", "cs.limit" */
static int segment_register(const struct vcpu *cpu, const char *name, uint64_t *value)
{
    static const char names[6][3] = {"es", "cs", "ss", "ds", "fs", "gs"};
    for (int i = 0; i < 6; i++) {
        if (strncmp(name, names[i], 2) != 0)
            continue;
        const struct segment *segment = &cpu->seg[SEG_ES + i];
        if (name[2] == 0)
            *value = segment->selector;
        else if (strcmp(name + 2, ".base") == 0)
            *value = segment->base;
        else if (strcmp(name + 2, ".limit") == 0)
            *value = segment->limit;
        else
            return -ENOENT;
        return 0;
    }
    return -ENOENT;
}

static int find_register(const struct vcpu *cpu, const char *name, uint64_t *value)
{
    if (!name[0] || integer_register(cpu, name, value) == 0)
        return name[0] ? 0 : -ENOENT;
    if (segment_register(cpu, name, value) == 0)
        return 0;
    const struct {
        const char *name;
        uint64_t value;
    } others[] = {
        {"pc", cpu->seg[SEG_CS].base + cpu->rip},
        {"eip", cpu->rip},
        {"rip", cpu->rip},
        {"eflags", cpu_rflags(cpu)},
        {"rflags", cpu_rflags(cpu)},
        {"cr0", cpu->cr0},
        {"cr2", cpu->cr2},
        {"cr3", cpu->cr3},
        {"cr4", cpu->cr4},
        {"efer", cpu->efer},
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (strcmp(name, others[i].name) == 0) {
            *value = others[i].value;
            return 0;
        }
    return -ENOENT;
}

static int read_register(struct reader *reader, uint64_t *value)
{
    char name[16];
    size_t length = 0;
    reader->at++;
    while (isalnum((unsigned char)*reader->at) || *reader->at == '.' || *reader->at == '_') {
        if (length < sizeof(name) - 1)
            name[length++] = *reader->at;
        reader->at++;
    }
    name[length] = 0;
    if (!reader->cpu || find_register(reader->cpu, name, value) < 0)
        return error_set(reader->err, EINVAL, "unknown register");
    skip_blanks(reader);
    return 0;
}

static int read_character(struct reader *reader, uint64_t *value)
{
    reader->at++;
    if (!*reader->at)
        return error_set(reader->err, EINVAL, "character constant expected");
    *value = (unsigned char)*reader->at++;
    if (*reader->at != '\'')
        return error_set(reader->err, EINVAL, "missing terminating ' character");
    reader->at++;
    skip_blanks(reader);
    return 0;
}

static int read_number(struct reader *reader, uint64_t *value)
{
    if (!*reader->at)
        return error_set(reader->err, EINVAL, "unexpected end of expression");
    if (!isdigit((unsigned char)*reader->at))
        return error_set(reader->err, EINVAL, "invalid char '%c' in expression", *reader->at);
    char *end;
    errno = 0;
    *value = strtoull(reader->at, &end, 0);
    if (errno == ERANGE)
        return error_set(reader->err, EINVAL, "number too large");
    reader->at = end;
    skip_blanks(reader);
    return 0;
}

static int read_unary(struct reader *reader, uint64_t *value)
{
    if (reader->depth == DEPTH_MAX)
        return error_set(reader->err, EINVAL, "expression too deep");
    reader->depth++;
    char sign = *reader->at;
    int ret;
    switch (sign) {
    case '+':
    case '-':
    case '~':
        reader->at++;
        skip_blanks(reader);
        ret = read_unary(reader, value);
        if (ret == 0)
            *value = sign == '-' ? -*value : sign == '~' ? ~*value : *value;
        break;
    case '(':
        reader->at++;
        skip_blanks(reader);
        ret = read_sum(reader, value);
        if (ret == 0 && *reader->at != ')')
            ret = error_set(reader->err, EINVAL, "')' expected");
        if (ret == 0) {
            reader->at++;
            skip_blanks(reader);
        }
        break;
    case '\'':
        ret = read_character(reader, value);
        break;
    case '$':
        ret = read_register(reader, value);
        break;
    default:
        ret = read_number(reader, value);
        break;
    }
    reader->depth--;
    return ret;
}

/* The operator at hand if it is one of these, which is then passed; else 0. */
static char take_operator(struct reader *reader, const char *operators)
{
    char c = *reader->at;
    if (!c || !strchr(operators, c))
        return 0;
    reader->at++;
    skip_blanks(reader);
    return c;
}

static int read_product(struct reader *reader, uint64_t *value)
{
    int ret = read_unary(reader, value);
    char op;
    while (ret == 0 && (op = take_operator(reader, "*/%"))) {
        uint64_t right;
        ret = read_unary(reader, &right);
        if (ret < 0)
            break;
        if (op == '*') {
            *value *= right;
        } else if (!right) {
            ret = error_set(reader->err, EINVAL, "division by zero");
        } else if (right == UINT64_MAX) { /* by -1: the least number has no quotient */
            *value = op == '/' ? -*value : 0;
        } else {
            int64_t a = (int64_t)*value, b = (int64_t)right;
            *value = (uint64_t)(op == '/' ? a / b : a % b);
        }
    }
    return ret;
}

static int read_logic(struct reader *reader, uint64_t *value)
{
    int ret = read_product(reader, value);
    char op;
    while (ret == 0 && (op = take_operator(reader, "&|^"))) {
        uint64_t right;
        ret = read_product(reader, &right);
        if (ret < 0)
            break;
        *value = op == '&' ? *value & right : op == '|' ? *value | right : *value ^ right;
    }
    return ret;
}

static int read_sum(struct reader *reader, uint64_t *value)
{
    int ret = read_logic(reader, value);
    char op;
    while (ret == 0 && (op = take_operator(reader, "+-"))) {
        uint64_t right;
        ret = read_logic(reader, &right);
        if (ret < 0)
            break;
        *value = op == '+' ? *value + right : *value - right;
    }
    return ret;
}

int expression_read(const char **text, const struct vcpu *cpu, uint64_t *value, struct error *err)
{
    struct reader reader = {.at = *text, .cpu = cpu, .err = err};
    skip_blanks(&reader);
    int ret = read_sum(&reader, value);
    if (ret == 0)
        *text = reader.at;
    return ret;
}
