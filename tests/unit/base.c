/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * base/: errors, bytes and the log.
 */
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"

static void errors_carry_a_sentence(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(error_set(&err, ENOENT, "no '%s'", "x"), -ENOENT);
    assert_string_equal(err.text, "no 'x'");
    error_prefix(&err, "opening %d", 7);
    assert_string_equal(err.text, "opening 7: no 'x'");
    assert_int_equal(error_set(NULL, EIO, "nobody reads this"), -EIO);
    error_prefix(NULL, "nor this");
}

static void long_errors_are_cut(void **state)
{
    (void)state;
    struct error err;
    char text[2000];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    error_set(&err, EIO, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    error_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void bytes_are_little_endian(void **state)
{
    (void)state;
    uint8_t bytes[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    assert_int_equal(load_le16(bytes + 1), 0x0302);
    assert_int_equal(load_le32(bytes + 1), 0x05040302);
    assert_int_equal(load_le64(bytes + 1), 0x0908070605040302);
    assert_int_equal(load_le(bytes, 3), 0x030201);
    store_le(bytes, 0xaabbcc, 3);
    assert_int_equal(load_le32(bytes), 0x04aabbcc);
    assert_int_equal(round_up(4097, 4096), 8192);
    assert_int_equal(round_up(4096, 4096), 4096);
    assert_int_equal(round_down(8191, 4096), 4096);
    assert_int_equal(swap32(0x01020304), 0x04030201);
}

static void unknown_log_items_are_named(void **state)
{
    (void)state;
    struct error err = {""};
    assert_int_equal(log_enable("io,nonsense", &err), -EINVAL);
    assert_non_null(strstr(err.text, "'nonsense'"));
    assert_non_null(strstr(err.text, "guest_errors"));
    assert_false(log_on(LOG_IO)); /* nothing of a bad list is switched on */
    assert_int_equal(log_enable("", &err), -EINVAL);
    assert_int_equal(log_enable("int,", &err), -EINVAL);
    assert_false(log_on(LOG_INT));
}

static void help_names_every_item(void **state)
{
    (void)state;
    char *help = log_help();
    static const char *const names[] = {"int",    "cpu_reset", "guest_errors", "unimp",
                                        "in_asm", "out_asm",   "page",         "profile"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_non_null(strstr(help, names[i]));
    free(help);
}

static void the_log_writes_whole_lines_and_counts_what_it_leaves_out(void **state)
{
    (void)state;
    char path[] = "/tmp/trapeze-log-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(log_to_file(path, NULL), 0);
    struct error err;
    assert_int_equal(log_to_file("/nonexistent/log", &err), -ENOENT);
    assert_int_equal(log_enable("guest_errors,unimp", &err), 0);
    assert_true(log_on(LOG_UNIMP | LOG_PAGE));
    assert_false(log_on(LOG_PAGE));

    char long_text[5000];
    memset(long_text, 'z', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = 0;
    log_print(LOG_PAGE, "not this");
    log_print(LOG_UNIMP, "%s", long_text);
    for (int i = 0; i < 100000; i++)
        log_limited(LOG_GUEST_ERRORS, "flood %d", i);

    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[6000];
    unsigned floods = 0;
    assert_non_null(fgets(line, sizeof(line), file));
    assert_memory_equal(line, "zzzz", 4);
    assert_int_equal(line[strlen(line) - 1], '\n');
    while (fgets(line, sizeof(line), file))
        floods += strncmp(line, "flood ", 6) == 0;
    fclose(file);
    unlink(path);
    /* The loop may straddle seconds on a slow host, but not a hundred of them. */
    assert_true(floods >= 100 && floods < 10000 && floods % 100 == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_carry_a_sentence),
        cmocka_unit_test(long_errors_are_cut),
        cmocka_unit_test(bytes_are_little_endian),
        cmocka_unit_test(unknown_log_items_are_named),
        cmocka_unit_test(help_names_every_item),
        cmocka_unit_test(the_log_writes_whole_lines_and_counts_what_it_leaves_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
