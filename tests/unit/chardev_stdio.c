/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * chardev: stdio on terminals, pipes, sockets and files. Descriptors 0 and 1 are exchanged for the
 * time of a case.
 */
#include "unit/chardev_bench.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>

#include "chardev/internal.h"

static int open_terminal(int *slave)
{
    char name[64];
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    assert_int_equal(ptsname_r(master, name, sizeof(name)), 0);
    *slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*slave >= 0);
    return master;
}

static void take_standard(int in, int out)
{
    fflush(stdout);
    dup2(in, 0);
    dup2(out, 1);
}

static void put_back(void)
{
    dup2(bench.saved[0], 0);
    dup2(bench.saved[1], 1);
}

static struct chardev *open_stdio(const char *text)
{
    struct chardev *chardev = NULL;
    int ret = (strchr(text, ':') ? chardev_open_short : chardev_open)(&chardev, bench.loop, "s",
                                                                      text, &bench.err);
    if (ret < 0) {
        put_back();
        fail_msg("%s: %s", text, bench.err.text);
    }
    return chardev;
}

static bool is_cooked(int fd)
{
    struct termios mode;
    tcgetattr(fd, &mode);
    return (mode.c_lflag & ICANON) && (mode.c_lflag & ECHO) && (mode.c_lflag & ISIG);
}

static bool is_raw(int fd, bool signals)
{
    struct termios mode;
    tcgetattr(fd, &mode);
    return !(mode.c_lflag & (ICANON | ECHO)) && !(mode.c_iflag & (ICRNL | IXON)) &&
           (mode.c_oflag & OPOST) && !!(mode.c_lflag & ISIG) == signals;
}

static void a_terminal_is_raw_while_open(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool signals;
    } forms[] = {{"stdio", true}, {"stdio,signal=off", false}, {"mon:stdio", false}};
    int slave, master = open_terminal(&slave);
    take_standard(slave, slave);
    bool good = true;
    for (int i = 0; i < 3; i++) {
        good = good && is_cooked(0);
        struct chardev *chardev = open_stdio(forms[i].text);
        good = good && is_raw(0, forms[i].signals);
        good = good && !(fcntl(1, F_GETFL) & O_NONBLOCK); /* the shell's, too */
        chardev_close(chardev);
        good = good && is_cooked(0);
    }
    put_back();
    assert_true(good);
    close(master);
    close(slave);
}

static void a_terminal_carries_keys(void **state)
{
    (void)state;
    int slave, master = open_terminal(&slave);
    take_standard(slave, slave);
    struct chardev *chardev = open_stdio("mon:stdio");
    put_back();
    assert_string_equal(chardev_filename(chardev), "stdio");
    chardev_attach(chardev, &bench.a.frontend);
    send_text(master, "\x03\r\n\x11\x7f");
    UNTIL(has_got(&bench.a, "\x03\r\n\x11\x7f"));
    write_text(chardev, 0, "line\n");
    expect_text(master, "line\r\n");
    /* Nobody reads the screen. */
    static char text[65536];
    for (int i = 0; i < 64; i++)
        chardev_write(chardev, 0, text, sizeof(text));
    assert_int_equal(count_in("log", "does not read"), 1);
    fflush(stdout);
    dup2(slave, 0); /* for the mode to be put back */
    chardev_close(chardev);
    put_back();
    close(master);
    close(slave);
}

static void a_terminal_that_goes(void **state)
{
    (void)state;
    int slave, master = open_terminal(&slave);
    take_standard(slave, slave);
    struct chardev *chardev = open_stdio("stdio");
    put_back();
    chardev_attach(chardev, &bench.a.frontend);
    pump_many();
    close(master);
    pump_many();
    write_text(chardev, 0, "lost");
    write_text(chardev, 0, "lost");
    assert_int_equal(count_in("log", "\n"), 1);
    chardev_close(chardev);
    close(slave);
}

static void stdio_is_there_once(void **state)
{
    (void)state;
    int null = open("/dev/null", O_RDWR);
    take_standard(null, null);
    struct chardev *first = open_stdio("stdio"), *second = NULL;
    int again = chardev_open(&second, bench.loop, "b", "stdio,mux=on", &bench.err);
    int third = chardev_open_short(&second, bench.loop, "b", "mon:stdio", &bench.err);
    chardev_close(first);
    chardev_close(open_stdio("stdio"));
    close(0);
    int closed = chardev_open(&second, bench.loop, "b", "stdio", &bench.err);
    put_back();
    assert_int_equal(again, -EBUSY);
    assert_int_equal(third, -EBUSY);
    assert_true(closed < 0);
    assert_null(second);
    close(null);
}

/* Input that cannot be polled, and its end. */
static void a_file_is_read_as_it_is_taken(void **state)
{
    (void)state;
    static char text[10000];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 26);
    int fd = open(path_in("in"), O_RDWR | O_CREAT, 0600);
    assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
    lseek(fd, 0, SEEK_SET);
    int out = open(path_in("out"), O_RDWR | O_CREAT, 0600);
    take_standard(fd, out);
    struct chardev *chardev = open_stdio("stdio");
    bench.a.room = 0;
    chardev_attach(chardev, &bench.a.frontend);
    pump_many();
    while (bench.a.length < sizeof(text)) {
        bench.a.room = 900;
        chardev_accept_input(chardev);
        pump();
    }
    pump_many();
    write_text(chardev, 0, "still here");
    chardev_close(chardev);
    put_back();
    assert_memory_equal(bench.a.got, text, sizeof(text));
    assert_string_equal(bench.a.events, "Oi");
    assert_int_equal(count_in("out", "still here"), 1);
    close(fd);
    close(out);
}

/* /dev/zero has no end; it waits in the file for somebody who reads. */
static void a_file_waits_for_a_reader(void **state)
{
    (void)state;
    int zero = open("/dev/zero", O_RDWR), fd = open(path_in("in"), O_RDWR | O_CREAT, 0600);
    send_text(fd, "text");
    lseek(fd, 0, SEEK_SET);
    take_standard(fd, zero);
    struct chardev *chardev = open_stdio("mon:stdio");
    bench.a.frontend.read = NULL;
    chardev_attach(chardev, &bench.a.frontend);
    pump_many();
    bool unread = lseek(fd, 0, SEEK_CUR) == 0;
    chardev_attach(chardev, &bench.b.frontend);
    UNTIL(has_got(&bench.b, "text"));
    chardev_close(chardev);
    put_back();
    assert_true(unread);
    close(fd);

    take_standard(zero, zero);
    chardev = open_stdio("stdio");
    bench.c.room = sizeof(bench.c.got) - 1;
    chardev_attach(chardev, &bench.c.frontend);
    UNTIL(bench.c.room == 0);
    pump_many();
    chardev_close(chardev);
    put_back();
    close(zero);
}

static void no_input_and_no_output(void **state)
{
    (void)state;
    int null = open("/dev/null", O_RDWR);
    take_standard(null, null);
    struct chardev *chardev = open_stdio("mon:stdio");
    chardev_attach(chardev, &bench.a.frontend);
    pump_many();
    write_text(chardev, 0, "text");
    chardev_close(chardev);
    put_back();
    close(null);
    assert_string_equal(bench.a.events, "Oi");
    assert_int_equal(count_in("log", "\n"), 0);
}

static void pipes_that_are_closed(void **state)
{
    (void)state;
    int in[2], out[2];
    assert_true(pipe(in) == 0 && pipe(out) == 0);
    take_standard(in[0], out[1]);
    struct chardev *chardev = open_stdio("mon:stdio"); /* which opens them again for itself */
    put_back();
    chardev_attach(chardev, &bench.a.frontend);
    close(in[0]);
    close(out[1]);
    send_text(in[1], "last");
    close(in[1]);
    UNTIL(has_got(&bench.a, "last"));
    pump_many();
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    write_text(chardev, 0, "answer");
    expect_text(out[0], "answer");
    /* It never blocks. */
    static char text[65536];
    for (int i = 0; i < 64; i++)
        chardev_write(chardev, 0, text, sizeof(text));
    assert_int_equal(count_in("log", "does not read"), 1);
    close(out[0]);
    signal(SIGPIPE, SIG_IGN); /* as main() */
    pump_many();
    write_text(chardev, 0, "lost");
    signal(SIGPIPE, SIG_DFL);
    chardev_close(chardev);
    assert_int_equal(count_in("log", "\n"), 1);
    assert_string_equal(bench.a.events, "Oi");
}

/* No /proc to open them by again, but no signal either, and no flag that others would feel. */
static void sockets_as_standard_input(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    take_standard(ends[0], ends[0]);
    struct chardev *chardev = open_stdio("stdio");
    chardev_attach(chardev, &bench.a.frontend);
    bool changed = fcntl(ends[0], F_GETFL) & O_NONBLOCK;
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    send_text(ends[1], "question");
    UNTIL(has_got(&bench.a, "question"));
    write_text(chardev, 0, "answer");
    expect_text(ends[1], "answer");
    static char text[65536];
    for (int i = 0; i < 64; i++)
        chardev_write(chardev, 0, text, sizeof(text));
    close(ends[1]);
    pump_many();
    write_text(chardev, 0, "lost"); /* SIGPIPE would end us */
    pump_many();
    chardev_close(chardev);
    put_back();
    assert_false(changed);
    close(ends[0]);
}

/* The master of a pty cannot be opened again; its flag is put back. */
static void a_master_as_standard_input(void **state)
{
    (void)state;
    int slave, master = open_terminal(&slave);
    fcntl(master, F_SETFL, fcntl(master, F_GETFL) & ~O_NONBLOCK);
    fcntl(slave, F_SETFL, O_NONBLOCK);
    take_standard(master, master);
    struct chardev *chardev = open_stdio("stdio");
    bool changed = fcntl(master, F_GETFL) & O_NONBLOCK;
    chardev_attach(chardev, &bench.a.frontend);
    send_text(slave, "text");
    UNTIL(has_got(&bench.a, "text"));
    chardev_close(chardev);
    put_back();
    assert_true(changed);
    assert_false(fcntl(master, F_GETFL) & O_NONBLOCK);
    close(master);
    close(slave);
}

/* Job control: the shell sets its own mode while we are stopped. In a process of its own, since
 * only a session's own terminal can be in the foreground. */
static int be_stopped_and_continued(int slave)
{
    struct termios shell;
    setsid();
    if (ioctl(slave, TIOCSCTTY, 0) < 0)
        return 1;
    take_standard(slave, slave);
    tcgetattr(0, &shell);
    struct chardev *chardev = open_stdio("stdio");
    if (!is_raw(0, true))
        return 2;
    tcsetattr(0, TCSANOW, &shell);
    raise(SIGCONT);
    UNTIL(is_raw(0, true));
    chardev_close(chardev);
    if (!is_cooked(0))
        return 3;
    raise(SIGCONT);
    pump_many();
    return is_cooked(0) ? 0 : 4;
}

static void continuing_makes_it_raw_again(void **state)
{
    (void)state;
    int slave, master = open_terminal(&slave), status;
    pid_t child = fork();
    if (child == 0)
        _exit(be_stopped_and_continued(slave));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(master);
    close(slave);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_terminal_is_raw_while_open),  CASE(a_terminal_carries_keys),
        CASE(a_terminal_that_goes),          CASE(stdio_is_there_once),
        CASE(a_file_is_read_as_it_is_taken), CASE(a_file_waits_for_a_reader),
        CASE(no_input_and_no_output),        CASE(pipes_that_are_closed),
        CASE(sockets_as_standard_input),     CASE(a_master_as_standard_input),
        CASE(continuing_makes_it_raw_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
