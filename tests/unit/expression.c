/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * monitor/expression: values, registers, where it stops, what it refuses.
 */
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cpu/vcpu.h"
#include "monitor/expression.h"

static uint64_t value_of(const char *text, const struct vcpu *cpu)
{
    uint64_t value = 0xdead;
    struct error err = {0};
    const char *at = text;
    if (expression_read(&at, cpu, &value, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    if (*at)
        fail_msg("%s: stopped before '%s'", text, at);
    return value;
}

static void values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = {
        {"0", 0},
        {" 0x10 ", 16},
        {"010", 8},
        {"1+2*3", 7},
        {"2+3*4-1", 13},
        {"(2+3)*4", 20},
        {"7 % 3", 1},
        {"7 - 2 - 1", 4},
        {"0x10|1 ^ 3 & 2", 2}, /* one level, from the left */
        {"6&3|8", 10},
        {"1+6&3", 3}, /* & binds before + */
        {"-1", UINT64_MAX},
        {"~0xff & 0xffff", 0xff00},
        {"- -5", 5},
        {"'a'+1", 98},
        {"-7/2", (uint64_t)-3},
        {"-8 % 5", (uint64_t)-3},
        {"0x8000000000000000 / -1", 0x8000000000000000},
        {"0x8000000000000000 % -1", 0},
        {"0xffffffffffffffff+1", 0},
        {"((((1))))", 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (value_of(cases[i].text, NULL) != cases[i].value)
            fail_msg("%s is %#llx", cases[i].text,
                     (unsigned long long)value_of(cases[i].text, NULL));
}

static void registers(void **state)
{
    (void)state;
    struct vcpu *cpu = calloc(1, sizeof(*cpu) + 64);
    struct vcpu *aligned = (struct vcpu *)(((uintptr_t)cpu + 63) & ~(uintptr_t)63);
    aligned->gpr[RAX] = 0x1234567890;
    aligned->gpr[RSI] = 6;
    aligned->gpr[R8] = 8;
    aligned->gpr[R15] = 15;
    aligned->rip = 0x7c00;
    aligned->seg[SEG_CS] = (struct segment){.selector = 0x10, .base = 0x100, .limit = 0xffff};
    aligned->cr3 = 0x5000;
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = {
        {"$eax", 0x1234567890}, {"$rax+1", 0x1234567891}, {"$rsi", 6},     {"$r8", 8},
        {"$r15", 15},           {"$eip", 0x7c00},         {"$pc", 0x7d00}, {"$cs", 0x10},
        {"$cs.base", 0x100},    {"$cs.limit", 0xffff},    {"$eflags", 2},  {"$cr3", 0x5000},
        {"($eip)", 0x7c00},     {"$rip - 0x7c00", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_true(value_of(cases[i].text, aligned) == cases[i].value);
    free(cpu);
}

static void stops(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"1 2", "2"}, {"08", "8"}, {"0x", "x"}, {"5 \"f\"", "\"f\""}, {"1)", ")"}, {"3,4", ",4"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value;
        const char *at = cases[i][0];
        assert_int_equal(expression_read(&at, NULL, &value, NULL), 0);
        assert_string_equal(at, cases[i][1]);
    }
}

static void refusals(void **state)
{
    (void)state;
    char deep[5000];
    memset(deep, '(', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = 0;
    char signs[5000];
    memset(signs, '-', sizeof(signs) - 1);
    signs[sizeof(signs) - 1] = 0;
    const char *const cases[][2] = {
        {"", "unexpected end of expression"},
        {"1+", "unexpected end of expression"},
        {"(1", "')' expected"},
        {"foo", "invalid char 'f' in expression"},
        {"1/0", "division by zero"},
        {"1 % (2-2)", "division by zero"},
        {"99999999999999999999", "number too large"},
        {"'a", "missing terminating ' character"},
        {"'ab'", "missing terminating ' character"},
        {"'", "character constant expected"},
        {"$eax", "unknown register"},
        {"$", "unknown register"},
        {"\xff", "invalid char '\xff' in expression"},
        {deep, "expression too deep"},
        {signs, "expression too deep"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value;
        struct error err = {0};
        const char *at = cases[i][0];
        assert_true(expression_read(&at, NULL, &value, &err) < 0);
        assert_string_equal(err.text, cases[i][1]);
        assert_ptr_equal(at, cases[i][0]);
    }
}

/* Bytes that look like expressions: nothing but an answer comes of them. */
static void scribbles(void **state)
{
    (void)state;
    static const char letters[] = "0123456789abx$()+-*/%&|^~' .eipcs\xff\x01";
    uint64_t seed = 99;
    for (int i = 0; i < 200000; i++) {
        char text[64];
        size_t length = test_random(&seed) % (sizeof(text) - 1);
        for (size_t j = 0; j < length; j++)
            text[j] = letters[test_random(&seed) % (sizeof(letters) - 1)];
        text[length] = 0;
        uint64_t value;
        struct error err;
        const char *at = text;
        if (expression_read(&at, NULL, &value, &err) == 0)
            assert_true(at > text && at <= text + length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),   cmocka_unit_test(registers), cmocka_unit_test(stops),
        cmocka_unit_test(refusals), cmocka_unit_test(scribbles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
