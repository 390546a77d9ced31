/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * chardev: option strings, the side of the front ends, mux, and the backends without a peer that
 * comes and goes: file, pipe, null, ringbuf.
 */
#include "unit/chardev_bench.h"

#include "base/bytes.h"
#include "chardev/internal.h"

/* Option strings */

struct bad {
    const char *text, *says, *also;
};

static void refuses_with_a_reason(void **state)
{
    (void)state;
    static const struct bad longs[] = {
        {"", "no such type", "stdio"},
        {"nothing", "no such type: nothing", "ringbuf"},
        {"udp,host=a", "not supported: udp", "socket"},
        {"mux=on", "no such type", "allowed"},
        {"null,x=1", "null: no such key: x", "mux="},
        {"null,logfile=x", "not supported: logfile", "mux="},
        {"null,mux=perhaps", "mux=perhaps", "on, off"},
        {"stdio,path=x", "no such key: path", "signal="},
        {"file", "path= is missing", "file"},
        {"file,path=", "path= is missing", "file"},
        {"file,path", "path needs a value", "file"},
        {"file,path=/nonexistent/x", "/nonexistent/x", "No such file"},
        {"file,noappend,nopath", "no such key: nopath", "append="},
        {"pipe,path=/nonexistent/x", "/nonexistent/x", "mkfifo"},
        {"ringbuf,size=3", "size=3", "power of two"},
        {"ringbuf,size=0", "size=0", "power of two"},
        {"ringbuf,size=-4", "size=-4", "power of two"},
        {"ringbuf,size=4294967296", "size=", "power of two"},
        {"ringbuf,size=8x", "size=8x", "power of two"},
        {"socket", "path=", "missing"},
        {"socket,path=,server=on", "path= is empty", ""},
        {"socket,path=x,host=127.0.0.1,port=1", "exclude", ""},
        {"socket,host=127.0.0.1", "port= is missing", ""},
        {"socket,port=65536,server=on", "port=65536", "65535"},
        {"socket,port=x,server=on", "port=x", "65535"},
        {"socket,host=0.0.0.0,port=1,server=on", "host=0.0.0.0", "127.0.0.1"},
        {"socket,host=example.org,port=1", "host=example.org", "127.0.0.1"},
        {"socket,host=::,port=1,server=on", "host=::", "::1"},
        {"socket,path=x,wait=off", "wait=", "server=on"},
        {"socket,path=x,telnet=on", "not supported: telnet", "server="},
    };
    static const struct bad shorts[] = {
        {"", "no such character device", "stdio"},
        {"mon:", "no such character device", "mon:"},
        {"mon:mon:stdio", "no such character device", ""},
        {"telnet:127.0.0.1:1,server", "not supported: telnet:", "tcp:127.0.0.1"},
        {"udp::1", "not supported: udp", ""},
        {"vc", "not supported: vc", ""},
        {"/dev/ttyS0", "not supported: /dev/ttyS0", ""},
        {"stdio,mux=on", "stdio takes nothing", "-chardev stdio"},
        {"nullx", "null takes nothing", ""},
        {"file:", "path= is missing", ""},
        {"unix:", "missing", ""},
        {"unix:/tmp/x,nonsense", "no such key: nonsense", "server="},
        {"tcp:", "tcp:127.0.0.1:PORT", ""},
        {"tcp:127.0.0.1", "tcp:127.0.0.1:PORT", ""},
        {"tcp:127.0.0.1:", "tcp:127.0.0.1:PORT", ""},
        {"tcp:[::1", "tcp:127.0.0.1:PORT", ""},
        {"tcp:[", "tcp:127.0.0.1:PORT", ""},
        {"tcp::4444,server,nowait", "host=", "127.0.0.1"},
        {"tcp:127.0.0.1:1,nope", "no such key: nope", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(longs) + ARRAY_LEN(shorts); i++) {
        bool is_long = i < ARRAY_LEN(longs);
        const struct bad *bad = is_long ? &longs[i] : &shorts[i - ARRAY_LEN(longs)];
        struct chardev *chardev = NULL;
        int ret = (is_long ? chardev_open : chardev_open_short)(&chardev, bench.loop, "label",
                                                                bad->text, &bench.err);
        if (ret >= 0 || chardev || !strstr(bench.err.text, bad->says) ||
            !strstr(bench.err.text, bad->also) || !strstr(bench.err.text, "label"))
            fail_msg("%s: %d %s", bad->text, ret, bench.err.text);
    }
}

static void expect_items(const struct spec *spec, const char *backend, const char *text)
{
    char all[256] = "";
    for (size_t i = 0; i < spec->count; i++)
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s=%s ", spec->items[i].key,
                 spec->items[i].value);
    assert_string_equal(spec->ops->name, backend);
    assert_string_equal(all, text);
}

static void both_forms_say_the_same(void **state)
{
    (void)state;
    static const struct {
        bool is_short;
        const char *text, *backend, *items;
    } good[] = {
        {false, "socket,path=a,,b,server,nowait", "socket", "path=a,b server=on wait=off "},
        {false, "socket,path=a,server=on,server=off", "socket", "path=a server=off "},
        {false, "mux=yes,backend=null", "null", "mux=yes "},
        {false, "stdio,mux=on,signal=off", "stdio", "mux=on signal=off "},
        {true, "stdio", "stdio", ""},
        {true, "mon:stdio", "stdio", "mux=on signal=off "},
        {true, "mon:unix:a,server", "socket", "path=a server=on mux=on "},
        {true, "unix:a,,b,server=on,wait=off", "socket", "path=a,b server=on wait=off "},
        {true, "tcp:127.0.0.1:44,server,nowait,nodelay", "socket",
         "host=127.0.0.1 port=44 server=on wait=off nodelay=on "},
        {true, "tcp:[::1]:44", "socket", "host=::1 port=44 "},
        {true, "file:a,b=c", "file", "path=a,b=c "},
        {true, "mon:pipe:p", "pipe", "path=p mux=on "},
        {true, "pty", "pty", ""},
        {true, "null", "null", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct spec spec;
        int ret =
            (good[i].is_short ? spec_parse_short : spec_parse)(&spec, good[i].text, &bench.err);
        if (ret < 0)
            fail_msg("%s: %s", good[i].text, bench.err.text);
        expect_items(&spec, good[i].backend, good[i].items);
        spec_fini(&spec);
    }
}

static void hostile_strings(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "stdio",  "socket", "pty",  "file", "ringbuf", "mon:",    "unix:",  "tcp:",
        "file:",  ",",      ",,",   "=",    ":",       "[",       "]",      "server",
        "no",     "wait",   "mux",  "path", "host",    "port",    "size",   "on",
        "size=4", "%s",     "\xff", "::1",  "0",       "backend", "append", "signal",
    };
    uint64_t seed = 7;
    unsigned parsed = 0;
    for (int i = 0; i < 200000; i++) {
        char text[400] = "";
        unsigned count = test_random(&seed) % 14;
        for (unsigned j = 0; j < count; j++)
            strcat(text, parts[test_random(&seed) % ARRAY_LEN(parts)]);
        struct spec spec;
        parsed += spec_parse(&spec, text, &bench.err) == 0;
        spec_fini(&spec);
        parsed += spec_parse_short(&spec, text, &bench.err) == 0;
        spec_fini(&spec);
    }
    assert_true(parsed > 1000);
    char *huge = malloc(1 << 20);
    memset(huge, 'a', 1 << 20);
    huge[(1 << 20) - 1] = '\0';
    struct chardev *chardev;
    assert_true(chardev_open(&chardev, bench.loop, "x", huge, &bench.err) < 0);
    memcpy(huge, "unix:", 5);
    assert_int_equal(chardev_open_short(&chardev, bench.loop, "x", huge, &bench.err),
                     -ENAMETOOLONG);
    free(huge);
}

/* Front ends */

static void opened_is_told_by_the_loop(void **state)
{
    (void)state;
    struct chardev *chardev;
    assert_int_equal(chardev_open(&chardev, bench.loop, "serial0", "null", &bench.err), 0);
    assert_string_equal(chardev_label(chardev), "serial0");
    assert_string_equal(chardev_filename(chardev), "null");
    assert_false(chardev_is_mux(chardev));
    pump();
    assert_int_equal(chardev_attach(chardev, &bench.a.frontend), 0);
    assert_int_equal(chardev_attach(chardev, &bench.b.frontend), -EBUSY);
    assert_string_equal(bench.a.events, "");
    pump_many();
    assert_string_equal(bench.a.events, "Oi");
    write_text(chardev, 0, "lost");
    chardev_accept_input(chardev);
    chardev_close(chardev);
    assert_string_equal(bench.a.events, "Oi");

    /* Closed before the news was told. */
    assert_int_equal(chardev_open_short(&chardev, bench.loop, "x", "mon:null", &bench.err), 0);
    chardev_attach(chardev, &bench.b.frontend);
    chardev_close(chardev);
    pump();
    assert_string_equal(bench.b.events, "");
    chardev_close(NULL);
}

struct fifo {
    struct chardev *chardev;
    int in, out; /* our ends */
};

static struct fifo open_fifo(const char *options)
{
    struct fifo fifo;
    assert_int_equal(mkfifo(path_in("p.in"), 0600), 0);
    assert_int_equal(mkfifo(path_in("p.out"), 0600), 0);
    char spec[64];
    snprintf(spec, sizeof(spec), "pipe,path=%%s%s", options);
    fifo.chardev = open_named(spec, "p");
    fifo.in = open(path_in("p.in"), O_WRONLY | O_NONBLOCK);
    fifo.out = open(path_in("p.out"), O_RDONLY | O_NONBLOCK);
    assert_true(fifo.in >= 0 && fifo.out >= 0);
    return fifo;
}

static void close_fifo(struct fifo *fifo)
{
    chardev_close(fifo->chardev);
    close(fifo->in);
    close(fifo->out);
}

static void pipes_carry_bytes(void **state)
{
    (void)state;
    struct fifo fifo = open_fifo("");
    send_text(fifo.in, "early"); /* before anybody is attached */
    pump_many();
    chardev_attach(fifo.chardev, &bench.a.frontend);
    UNTIL(has_got(&bench.a, "early"));
    assert_string_equal(bench.a.events, "Oi");
    write_text(fifo.chardev, 0, "answer");
    expect_text(fifo.out, "answer");
    close(fifo.in); /* the peer's coming and going is nothing */
    pump_many();
    fifo.in = open(path_in("p.in"), O_WRONLY | O_NONBLOCK);
    send_text(fifo.in, "\xff");
    UNTIL(has_got(&bench.a, "early\xff"));
    assert_string_equal(bench.a.events, "Oi");
    close_fifo(&fifo);
    assert_int_equal(unlink(path_in("p.in")), 0);
    struct chardev *chardev;
    char spec[80];
    snprintf(spec, sizeof(spec), "pipe:%s", path_in("p"));
    assert_true(chardev_open_short(&chardev, bench.loop, "x", spec, &bench.err) < 0);
    assert_non_null(strstr(bench.err.text, "only one"));
}

static void one_fifo_for_both_ways(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path_in("both"), 0600), 0);
    struct chardev *chardev = open_named("pipe,path=%s", "both");
    chardev_attach(chardev, &bench.a.frontend);
    write_text(chardev, 0, "echo");
    UNTIL(has_got(&bench.a, "echo"));
    chardev_close(chardev);
}

static void input_is_held_and_never_lost(void **state)
{
    (void)state;
    struct fifo fifo = open_fifo("");
    static char sent[9000];
    uint64_t seed = 3;
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)test_random(&seed);
    bench.a.room = 0;
    chardev_attach(fifo.chardev, &bench.a.frontend);
    assert_int_equal(write(fifo.in, sent, sizeof(sent)), sizeof(sent));
    pump_many();
    assert_int_equal(bench.a.length, 0);
    while (bench.a.length < sizeof(sent)) {
        bench.a.room = 1 + test_random(&seed) % 700;
        chardev_accept_input(fifo.chardev);
        pump();
        bench.a.room = 0;
    }
    assert_memory_equal(bench.a.got, sent, sizeof(sent));
    close_fifo(&fifo);
}

static void output_waits_for_a_slow_peer(void **state)
{
    (void)state;
    struct fifo fifo = open_fifo("");
    int capacity = fcntl(fifo.out, F_GETPIPE_SZ);
    size_t total = (size_t)capacity + CHARDEV_QUEUE_MAX;
    uint8_t *got = malloc(total + 1);
    uint8_t chunk[1024]; /* a divisor of a page: the pipe is filled to the last byte */
    uint64_t sent = 0;
    while (sent < total + 500000) {
        for (size_t i = 0; i < sizeof(chunk); i++)
            chunk[i] = (uint8_t)((sent + i) * 7 >> 3);
        chardev_write(fifo.chardev, 0, chunk, sizeof(chunk));
        sent += sizeof(chunk);
    }
    assert_int_equal(count_in("log", "does not read"), 1);
    assert_int_equal(count_in("log", "\n"), 1);
    size_t length = 0;
    while (length < total) {
        ssize_t n = read(fifo.out, got + length, total - length);
        if (n > 0)
            length += (size_t)n;
        else
            pump();
    }
    for (size_t i = 0; i < total; i++)
        if (got[i] != (uint8_t)(i * 7 >> 3))
            fail_msg("byte %zu is wrong", i);
    pump_many();
    assert_true(read(fifo.out, got, 1) < 0); /* the rest was dropped */
    write_text(fifo.chardev, 0, "alive");
    expect_text(fifo.out, "alive");
    free(got);
    close_fifo(&fifo);
}

/* Files and memory */

static void expect_file(const char *name, const char *text)
{
    char got[64] = "";
    int fd = open(path_in(name), O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, got, sizeof(got) - 1), strlen(text));
    assert_string_equal(got, text);
    close(fd);
}

static void files_are_truncated_or_appended_to(void **state)
{
    (void)state;
    struct chardev *chardev = open_named("file,path=%s", "f");
    chardev_attach(chardev, &bench.a.frontend);
    write_text(chardev, 0, "one");
    expect_file("f", "one"); /* at once */
    chardev_close(chardev);
    chardev = open_named("file,path=%s,append=on", "f");
    write_text(chardev, 0, "two");
    chardev_close(chardev);
    expect_file("f", "onetwo");
    chardev = open_named("file,path=%s,append=off", "f");
    chardev_close(chardev);
    expect_file("f", "");
}

static void a_full_disk_is_said_once(void **state)
{
    (void)state;
    struct chardev *chardev;
    assert_int_equal(
        chardev_open_short(&chardev, bench.loop, "serial0", "file:/dev/full", &bench.err), 0);
    for (int i = 0; i < 1000; i++)
        write_text(chardev, 0, "text");
    pump_many();
    chardev_close(chardev);
    assert_int_equal(count_in("log", "serial0"), 1);
    assert_int_equal(count_in("log", "No space left"), 1);
    assert_int_equal(count_in("log", "\n"), 1);
}

static void a_fifo_may_be_the_file(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path_in("f"), 0600), 0);
    char spec[80];
    snprintf(spec, sizeof(spec), "file,path=%s", path_in("f"));
    struct chardev *chardev;
    assert_int_equal(chardev_open(&chardev, bench.loop, "x", spec, &bench.err), -ENXIO);
    assert_non_null(strstr(bench.err.text, "start the reader first"));
    int reader = open(path_in("f"), O_RDONLY | O_NONBLOCK);
    chardev = open_named("file,path=%s", "f");
    write_text(chardev, 0, "text");
    expect_text(reader, "text");
    close(reader);
    signal(SIGPIPE, SIG_IGN);
    write_text(chardev, 0, "text");
    write_text(chardev, 0, "text");
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(count_in("log", "Broken pipe"), 1);
    chardev_close(chardev);
}

static void ringbuf_keeps_the_last(void **state)
{
    (void)state;
    struct chardev *ring, *null;
    uint8_t got[32] = "";
    assert_int_equal(chardev_open(&ring, bench.loop, "r", "ringbuf,size=8", &bench.err), 0);
    assert_int_equal(chardev_ringbuf_read(ring, got, sizeof(got)), 0);
    write_text(ring, 0, "abc");
    assert_int_equal(chardev_ringbuf_read(ring, got, 2), 2);
    assert_memory_equal(got, "ab", 2);
    assert_int_equal(chardev_ringbuf_write(ring, (const uint8_t *)"0123456789", 10), 0);
    assert_int_equal(chardev_ringbuf_read(ring, got, sizeof(got)), 8);
    assert_memory_equal(got, "23456789", 8);
    chardev_close(ring);
    assert_int_equal(chardev_open(&ring, bench.loop, "r", "ringbuf", &bench.err), 0);
    for (int i = 0; i < 70000; i++)
        chardev_write(ring, 0, "x", 1);
    static uint8_t big[100000];
    assert_int_equal(chardev_ringbuf_read(ring, big, sizeof(big)), 65536);
    chardev_close(ring);
    assert_int_equal(chardev_open(&null, bench.loop, "n", "null", &bench.err), 0);
    assert_int_equal(chardev_ringbuf_read(null, got, 1), -EINVAL);
    assert_int_equal(chardev_ringbuf_write(null, got, 1), -EINVAL);
    chardev_close(null);
}

/* Mux */

static void note_quit(void *opaque)
{
    ++*(int *)opaque;
}

static void mux_keys(void **state)
{
    (void)state;
    struct fifo fifo = open_fifo(",mux=on");
    int quits = 0;
    chardev_set_mux_hooks(fifo.chardev, &(struct chardev_mux_hooks){note_quit, &quits});
    assert_true(chardev_is_mux(fifo.chardev));
    assert_int_equal(chardev_attach(fifo.chardev, &bench.a.frontend), 0);
    assert_int_equal(chardev_attach(fifo.chardev, &bench.b.frontend), 1);
    send_text(fifo.in, "to a\x01\x01.");
    UNTIL(has_got(&bench.a, "to a\x01."));
    assert_string_equal(bench.a.events, "Oi");
    assert_string_equal(bench.b.events, "O");
    send_text(fifo.in, "\x01"
                       "b\x01");
    UNTIL(strcmp(bench.a.events, "OiB") == 0);
    send_text(fifo.in, "cto b"); /* the escape came before */
    UNTIL(has_got(&bench.b, "to b"));
    assert_string_equal(bench.a.events, "OiBo");
    assert_string_equal(bench.b.events, "Oi");
    write_text(fifo.chardev, 0, "[a]");
    write_text(fifo.chardev, 1, "[b]");
    expect_text(fifo.out, "[a][b]");
    send_text(fifo.in, "\x01?");
    expect_text(fifo.out, "\r\nC-a h    print this help\r\nC-a x    end the machine\r\n");
    pump_many();
    char rest[1024];
    while (read(fifo.out, rest, sizeof(rest)) > 0)
        ;
    send_text(fifo.in, "\x01s\x01z\x01\r");
    expect_text(fifo.out, "\r\nC-a s is not supported");
    send_text(fifo.in, "\x01xgo on");
    UNTIL(has_got(&bench.b, "to bgo on"));
    assert_int_equal(quits, 1);
    assert_true(has_got(&bench.a, "to a\x01."));
    close_fifo(&fifo);
}

static void mux_takes_four_and_passes_over_the_deaf(void **state)
{
    (void)state;
    struct fifo fifo = open_fifo(",mux=on");
    bench.a.frontend.read = NULL;
    bench.c.frontend.read = NULL;
    assert_int_equal(chardev_attach(fifo.chardev, &bench.a.frontend), 0);
    assert_int_equal(chardev_attach(fifo.chardev, &bench.b.frontend), 1);
    assert_int_equal(chardev_attach(fifo.chardev, &bench.c.frontend), 2);
    assert_int_equal(chardev_attach(fifo.chardev, &bench.d.frontend), 3);
    assert_int_equal(chardev_attach(fifo.chardev, &bench.d.frontend), -EBUSY);
    send_text(fifo.in, "1\x01"
                       "c2\x01"
                       "c3\x01"
                       "c\x01"
                       "c4");
    UNTIL(has_got(&bench.b, "134"));
    assert_true(has_got(&bench.d, "2"));
    assert_string_equal(bench.a.events, "O");
    assert_string_equal(bench.c.events, "O");
    assert_string_equal(bench.d.events, "Oioio");
    assert_string_equal(bench.b.events, "Oioioi");
    close_fifo(&fifo);
}

static void mux_with_none_that_reads(void **state)
{
    (void)state;
    struct fifo fifo = open_fifo(",mux=on");
    int quits = 0;
    chardev_set_mux_hooks(fifo.chardev, &(struct chardev_mux_hooks){note_quit, &quits});
    send_text(fifo.in, "\x01"
                       "c\x01"
                       "b");
    pump_many();
    bench.a.frontend = (struct chardev_frontend){0};
    chardev_attach(fifo.chardev, &bench.a.frontend);
    send_text(fifo.in, "nobody\x01"
                       "c\x01"
                       "b\x01x");
    UNTIL(quits == 1);
    close_fifo(&fifo);
}

/* The keys of a mux work while a guest does not read, and what was typed before them is kept. */
static void mux_keys_pass_held_input(void **state)
{
    (void)state;
    struct fifo fifo = open_fifo(",mux=on");
    bench.a.room = 0;
    chardev_attach(fifo.chardev, &bench.a.frontend);
    chardev_attach(fifo.chardev, &bench.b.frontend);
    send_text(fifo.in, "for the guest\x01"
                       "cinfo\r");
    UNTIL(has_got(&bench.b, "info\r"));
    assert_int_equal(bench.a.length, 0);
    bench.a.room = SIZE_MAX;
    chardev_accept_input(fifo.chardev);
    assert_true(has_got(&bench.a, "for the guest"));
    close_fifo(&fifo);
}

static void mux_stamps_lines(void **state)
{
    (void)state;
    struct fifo fifo = open_fifo(",mux=on");
    chardev_attach(fifo.chardev, &bench.a.frontend);
    send_text(fifo.in, "\x01t");
    pump_many();
    write_text(fifo.chardev, 0, "one\ntw");
    write_text(fifo.chardev, 0, "o\n\n");
    send_text(fifo.in, "\x01t");
    pump_many();
    write_text(fifo.chardev, 0, "plain\n");
    char got[200] = "";
    size_t length = 0;
    while (!strstr(got, "plain\n")) {
        ssize_t n = read(fifo.out, got + length, sizeof(got) - 1 - length);
        length += n > 0 ? (size_t)n : 0;
        pump();
    }
    unsigned h[3], m[3], s[3], ms[3];
    assert_int_equal(
        sscanf(got, "[%2u:%2u:%2u.%3u] one\n[%2u:%2u:%2u.%3u] two\n[%2u:%2u:%2u.%3u] \n", &h[0],
               &m[0], &s[0], &ms[0], &h[1], &m[1], &s[1], &ms[1], &h[2], &m[2], &s[2], &ms[2]),
        12);
    assert_int_equal(length, 3 * strlen("[00:00:00.000] ") + strlen("one\ntwo\n\nplain\n"));
    close_fifo(&fifo);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        CASE(refuses_with_a_reason),
        CASE(both_forms_say_the_same),
        CASE(hostile_strings),
        CASE(opened_is_told_by_the_loop),
        CASE(pipes_carry_bytes),
        CASE(one_fifo_for_both_ways),
        CASE(input_is_held_and_never_lost),
        CASE(output_waits_for_a_slow_peer),
        CASE(files_are_truncated_or_appended_to),
        CASE(a_full_disk_is_said_once),
        CASE(a_fifo_may_be_the_file),
        CASE(ringbuf_keeps_the_last),
        CASE(mux_keys),
        CASE(mux_takes_four_and_passes_over_the_deaf),
        CASE(mux_with_none_that_reads),
        CASE(mux_keys_pass_held_input),
        CASE(mux_stamps_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
