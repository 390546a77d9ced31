/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * chardev: peers that come and go, at sockets and pseudo-terminals.
 */
#include "unit/chardev_bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

#include "chardev/internal.h"

static int connect_unix(const char *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path_in(name));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static struct chardev *serve(const char *name)
{
    struct chardev *chardev = open_named("socket,path=%s,server=on,wait=off", name);
    chardev_attach(chardev, &bench.a.frontend);
    return chardev;
}

static bool exists(const char *name)
{
    struct stat st;
    return lstat(path_in(name), &st) == 0;
}

static void clients_come_one_after_the_other(void **state)
{
    (void)state;
    struct chardev *chardev = serve("s");
    pump_many();
    assert_string_equal(bench.a.events, "");
    char name[128];
    snprintf(name, sizeof(name), "disconnected:unix:%s,server=on", path_in("s"));
    assert_string_equal(chardev_filename(chardev), name);
    write_text(chardev, 0, "nobody hears");
    int first = connect_unix("s");
    send_text(first, "hello");
    UNTIL(has_got(&bench.a, "hello"));
    assert_string_equal(bench.a.events, "Oi");
    assert_string_equal(chardev_filename(chardev), name + strlen("disconnected:"));
    write_text(chardev, 0, "world");
    expect_text(first, "world");
    int second = connect_unix("s"); /* stays in the backlog */
    send_text(second, " again");
    pump_many();
    assert_true(has_got(&bench.a, "hello"));
    close(first);
    UNTIL(has_got(&bench.a, "hello again"));
    assert_string_equal(bench.a.events, "OiCOi");
    write_text(chardev, 0, "you too");
    expect_text(second, "you too");
    close(second);
    UNTIL(strcmp(bench.a.events, "OiCOiC") == 0);
    assert_string_equal(chardev_filename(chardev), name);
    for (int i = 0; i < 8; i++) {
        memset(bench.a.events, 0, sizeof(bench.a.events));
        close(connect_unix("s"));
        UNTIL(strcmp(bench.a.events, "OiC") == 0);
    }
    assert_true(exists("s"));
    chardev_close(chardev);
    assert_false(exists("s"));
    assert_int_equal(count_in("log", "\n"), 0);
}

static void input_outlives_its_client(void **state)
{
    (void)state;
    struct chardev *chardev = serve("s");
    bench.a.room = 2;
    int client = connect_unix("s");
    send_text(client, "one two ");
    close(client);
    UNTIL(strcmp(bench.a.events, "OiC") == 0);
    assert_true(has_got(&bench.a, "on"));
    client = connect_unix("s");
    send_text(client, "three");
    UNTIL(strcmp(bench.a.events, "OiCOi") == 0);
    bench.a.room = 100;
    chardev_accept_input(chardev);
    UNTIL(has_got(&bench.a, "one two three"));
    chardev_close(chardev);
    close(client);
}

/* Its client leaves more behind than is read ahead; writing finds that it is gone. No SIGPIPE. */
static void a_lost_peer_is_noticed_by_writing(void **state)
{
    (void)state;
    struct chardev *chardev = serve("s");
    bench.a.room = 0;
    int client = connect_unix("s");
    static char flood[3 * CHARDEV_INPUT];
    assert_int_equal(write(client, flood, sizeof(flood)), sizeof(flood));
    UNTIL(strcmp(bench.a.events, "Oi") == 0);
    pump_many();
    close(client);
    pump_many();
    assert_string_equal(bench.a.events, "Oi");
    write_text(chardev, 0, "anybody?");
    write_text(chardev, 0, "anybody?");
    UNTIL(strcmp(bench.a.events, "OiC") == 0);
    bench.a.room = SIZE_MAX;
    chardev_accept_input(chardev);
    assert_int_equal(bench.a.length, CHARDEV_INPUT);
    client = connect_unix("s");
    UNTIL(strcmp(bench.a.events, "OiCOi") == 0);
    chardev_close(chardev);
    close(client);
    assert_int_equal(count_in("log", "\n"), 0);
}

static void a_slow_client_gets_the_oldest(void **state)
{
    (void)state;
    struct chardev *chardev = serve("s");
    int client = connect_unix("s");
    UNTIL(strcmp(bench.a.events, "Oi") == 0);
    static char line[1024];
    for (int i = 0; i < 4096; i++) {
        snprintf(line, sizeof(line), "%04d", i);
        chardev_write(chardev, 0, line, sizeof(line));
    }
    assert_int_equal(count_in("log", "does not read"), 1);
    char got[sizeof(line)];
    size_t at = 0;
    int lines = 0;
    for (int quiet = 0; quiet < 100;) {
        ssize_t n = read(client, got + at, sizeof(got) - at);
        quiet = n > 0 ? 0 : quiet + 1;
        at += n > 0 ? (size_t)n : 0;
        if (at == sizeof(got)) {
            assert_int_equal(atoi(got), lines++);
            at = 0;
        }
        pump();
    }
    assert_true(lines > 1024 && lines < 4096);
    /* Another one is told again. */
    close(client);
    UNTIL(strcmp(bench.a.events, "OiC") == 0);
    client = connect_unix("s");
    UNTIL(strcmp(bench.a.events, "OiCOi") == 0);
    write_text(chardev, 0, "fresh");
    expect_text(client, "fresh");
    chardev_close(chardev);
    close(client);
}

/* What a monitor answers to "echo quit | socat - unix:s" still arrives. */
static void the_last_words_are_sent(void **state)
{
    (void)state;
    struct chardev *chardev = serve("s");
    int client = connect_unix("s");
    UNTIL(strcmp(bench.a.events, "Oi") == 0);
    static char text[300000];
    memset(text, 'x', sizeof(text));
    int size = 1 << 20;
    setsockopt(client, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    chardev_write(chardev, 0, text, sizeof(text)); /* more than the socket takes at once */
    size_t length = 0;
    ssize_t n;
    while ((n = read(client, text, 4096)) > 0 && length < 100000)
        length += (size_t)n;
    shutdown(client, SHUT_WR);
    UNTIL(strcmp(bench.a.events, "OiC") == 0);
    while ((n = read(client, text, sizeof(text))) > 0)
        length += (size_t)n;
    assert_int_equal(n, 0);
    assert_true(length > 100000 + 4096);
    chardev_close(chardev);
    close(client);
}

/* Paths */

static int try_to_serve(const char *name, const char *says)
{
    char spec[400];
    struct chardev *chardev = NULL;
    snprintf(spec, sizeof(spec), "unix:%s,server,nowait", path_in(name));
    int ret = chardev_open_short(&chardev, bench.loop, "x", spec, &bench.err);
    if (ret < 0 && !strstr(bench.err.text, says))
        fail_msg("%s", bench.err.text);
    chardev_close(chardev);
    return ret;
}

static void only_dead_sockets_are_replaced(void **state)
{
    (void)state;
    struct chardev *chardev = serve("s");
    assert_int_equal(try_to_serve("s", "another process does"), -EADDRINUSE);
    assert_true(exists("s"));
    chardev_close(chardev);

    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path_in("stale"));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd); /* as a process that was killed */
    assert_true(exists("stale"));
    assert_int_equal(try_to_serve("stale", ""), 0);

    close(open(path_in("file"), O_CREAT | O_WRONLY, 0600));
    assert_int_equal(try_to_serve("file", "no socket"), -EEXIST);
    assert_true(exists("file"));
    assert_int_equal(try_to_serve("no/such/folder", "No such file"), -ENOENT);
    char longer[120];
    memset(longer, 'l', sizeof(longer));
    longer[119] = '\0';
    char spec[400];
    snprintf(spec, sizeof(spec), "unix:/tmp/%s,server,nowait", longer);
    assert_int_equal(chardev_open_short(&chardev, bench.loop, "x", spec, &bench.err),
                     -ENAMETOOLONG);
    assert_non_null(strstr(bench.err.text, "124 bytes"));
    assert_non_null(strstr(bench.err.text, "107"));
}

static void a_path_that_became_anothers_is_left(void **state)
{
    (void)state;
    struct chardev *chardev = serve("s");
    assert_int_equal(unlink(path_in("s")), 0);
    close(open(path_in("s"), O_CREAT | O_WRONLY, 0600));
    chardev_close(chardev);
    assert_true(exists("s"));
}

/* TCP */

static int connect_tcp(const struct chardev *chardev)
{
    const char *filename = chardev_filename(chardev);
    unsigned port;
    assert_int_equal(sscanf(filename, "disconnected:tcp:127.0.0.1:%u,server=on", &port), 1);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void tcp_on_the_loopback(void **state)
{
    (void)state;
    struct chardev *server, *client;
    assert_int_equal(
        chardev_open_short(&server, bench.loop, "x", "tcp:localhost:0,server,nowait", &bench.err),
        0);
    chardev_attach(server, &bench.a.frontend);
    int fd = connect_tcp(server);
    send_text(fd, "over tcp");
    UNTIL(has_got(&bench.a, "over tcp"));
    write_text(server, 0, "back");
    expect_text(fd, "back");
    assert_non_null(strstr(chardev_filename(server), ",server=on <-> 127.0.0.1:"));
    close(fd);
    UNTIL(strcmp(bench.a.events, "OiC") == 0);

    /* Both ends ours. */
    unsigned port;
    char spec[96];
    sscanf(chardev_filename(server), "disconnected:tcp:127.0.0.1:%u", &port);
    snprintf(spec, sizeof(spec), "socket,host=127.0.0.1,port=%u,nodelay=off", port);
    assert_int_equal(chardev_open(&client, bench.loop, "y", spec, &bench.err), 0);
    chardev_attach(client, &bench.b.frontend);
    write_text(client, 0, "!");
    UNTIL(has_got(&bench.a, "over tcp!"));
    UNTIL(strcmp(bench.b.events, "Oi") == 0);
    chardev_close(server);
    UNTIL(strcmp(bench.b.events, "OiC") == 0);
    write_text(client, 0, "anybody?");
    pump_many();
    chardev_close(client);
    assert_true(chardev_open(&client, bench.loop, "y", spec, &bench.err) < 0);
    assert_non_null(strstr(bench.err.text, "start its server first"));
}

static void a_client_connects_once(void **state)
{
    (void)state;
    struct chardev *server = serve("s");
    char spec[96];
    struct chardev *client;
    snprintf(spec, sizeof(spec), "unix:%s", path_in("s"));
    assert_int_equal(chardev_open_short(&client, bench.loop, "y", spec, &bench.err), 0);
    chardev_attach(client, &bench.b.frontend);
    write_text(client, 0, "ping");
    UNTIL(has_got(&bench.a, "ping"));
    write_text(server, 0, "pong");
    UNTIL(has_got(&bench.b, "pong"));
    assert_string_equal(chardev_filename(client), spec);
    /* A peer that does not read stops us no more than a client does. */
    bench.a.room = 0;
    static char text[65536];
    for (int i = 0; i < 64; i++)
        chardev_write(client, 0, text, sizeof(text));
    assert_int_equal(count_in("log", "does not read"), 1);
    chardev_close(server);
    UNTIL(strcmp(bench.b.events, "OiC") == 0);
    chardev_close(client);
    assert_true(chardev_open_short(&client, bench.loop, "y", spec, &bench.err) < 0);
}

/* wait=on */

static void block_signals(void)
{
    sigset_t set;
    sigfillset(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void *come_when_waited_for(void *opaque)
{
    block_signals();
    while (!count_in("log", "waiting for connection on: disconnected:unix:"))
        usleep(1000);
    *(int *)opaque = connect_unix("s");
    return NULL;
}

static void *interrupt_when_waited_for(void *opaque)
{
    block_signals();
    while (!count_in("log", "waiting for connection on: disconnected:unix:"))
        usleep(1000);
    kill(getpid(), *(int *)opaque);
    return NULL;
}

static void a_server_waits_for_its_client(void **state)
{
    (void)state;
    pthread_t thread;
    int client = -1;
    char spec[96];
    struct chardev *chardev;
    snprintf(spec, sizeof(spec), "socket,path=%s,server", path_in("s"));
    pthread_create(&thread, NULL, come_when_waited_for, &client);
    assert_int_equal(chardev_open(&chardev, bench.loop, "x", spec, &bench.err), 0);
    pthread_join(thread, NULL);
    assert_int_equal(strncmp(chardev_filename(chardev), "unix:", 5), 0);
    chardev_attach(chardev, &bench.a.frontend);
    send_text(client, "here");
    UNTIL(has_got(&bench.a, "here"));
    assert_string_equal(bench.a.events, "Oi");
    close(client);
    UNTIL(strcmp(bench.a.events, "OiC") == 0);
    close(connect_unix("s")); /* it goes on listening */
    UNTIL(strcmp(bench.a.events, "OiCOiC") == 0);
    chardev_close(chardev);
}

static void waiting_can_be_interrupted(void **state)
{
    (void)state;
    pthread_t thread;
    int signo = SIGTERM;
    char spec[96];
    struct chardev *chardev;
    snprintf(spec, sizeof(spec), "unix:%s,server", path_in("s"));
    pthread_create(&thread, NULL, interrupt_when_waited_for, &signo);
    assert_int_equal(chardev_open_short(&chardev, bench.loop, "x", spec, &bench.err), -EINTR);
    pthread_join(thread, NULL);
    assert_non_null(strstr(bench.err.text, "interrupted"));
    assert_false(exists("s"));
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    assert_false(sigismember(&set, SIGTERM));
}

static void no_descriptor_for_a_client(void **state)
{
    (void)state;
    struct chardev *chardev = serve("s");
    int client = connect_unix("s"), next = dup(client);
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = (rlim_t)next;
    close(next); /* the lowest that is free */
    setrlimit(RLIMIT_NOFILE, &none);
    pump_many();
    setrlimit(RLIMIT_NOFILE, &before);
    close(client);
    chardev_close(chardev);
    assert_string_equal(bench.a.events, "");
    assert_int_equal(count_in("log", "cannot take a connection: Too many open files"), 1);
}

/* A processor's thread writes and reads under the lock while clients come and go on the loop. */
enum { VISITS = 150 };

struct traffic {
    struct chardev *chardev;
    bool done;
    uint64_t received, opened, closed;
};

static void traffic_read(void *opaque, const uint8_t *bytes, size_t length)
{
    (void)bytes;
    ((struct traffic *)opaque)->received += length;
}

static size_t traffic_can_read(void *opaque)
{
    return ((struct traffic *)opaque)->received % 3; /* at times nothing */
}

static void traffic_event(void *opaque, enum chardev_event event)
{
    struct traffic *traffic = opaque;
    traffic->opened += event == CHARDEV_OPENED;
    traffic->closed += event == CHARDEV_CLOSED;
}

static void *be_a_processor(void *opaque)
{
    struct traffic *traffic = opaque;
    bool done = false;
    while (!done) {
        loop_lock(bench.loop);
        traffic->received++;
        write_text(traffic->chardev, 0, "some output of a guest\n");
        chardev_accept_input(traffic->chardev);
        done = traffic->done;
        loop_unlock(bench.loop);
    }
    return NULL;
}

static void *be_the_visitors(void *opaque)
{
    struct traffic *traffic = opaque;
    char text[512] = "";
    for (int i = 0; i < VISITS; i++) {
        int fd = connect_unix("s");
        for (int j = 0; j < i % 7; j++) {
            while (write(fd, text, sizeof(text)) < 0 && errno == EAGAIN)
                ;
            while (read(fd, text, sizeof(text)) < 0 && errno == EAGAIN)
                ;
        }
        close(fd);
        loop_lock(bench.loop);
        bool seen = traffic->closed > (uint64_t)i;
        loop_unlock(bench.loop);
        while (!seen) {
            usleep(100);
            loop_lock(bench.loop);
            seen = traffic->closed > (uint64_t)i;
            loop_unlock(bench.loop);
        }
    }
    loop_lock(bench.loop);
    traffic->done = true;
    loop_unlock(bench.loop);
    loop_quit(bench.loop);
    return NULL;
}

static void guests_and_clients_at_once(void **state)
{
    (void)state;
    struct traffic traffic = {0};
    struct chardev_frontend frontend = {traffic_can_read, traffic_read, traffic_event, &traffic};
    pthread_t processor, visitors;
    traffic.chardev = open_named("socket,path=%s,server=on,wait=off", "s");
    chardev_attach(traffic.chardev, &frontend);
    pthread_create(&processor, NULL, be_a_processor, &traffic);
    pthread_create(&visitors, NULL, be_the_visitors, &traffic);
    loop_run(bench.loop);
    pthread_join(processor, NULL);
    pthread_join(visitors, NULL);
    assert_int_equal(traffic.closed, VISITS);
    assert_int_equal(traffic.opened, VISITS);
    chardev_close(traffic.chardev);
}

/* pty */

static void pty_clients_come_and_go(void **state)
{
    (void)state;
    struct chardev *chardev;
    assert_int_equal(chardev_open_short(&chardev, bench.loop, "serial0", "pty", &bench.err), 0);
    const char *name = chardev_filename(chardev);
    assert_int_equal(strncmp(name, "pty:/dev/pts/", 13), 0);
    char line[128];
    snprintf(line, sizeof(line), "char device redirected to %s (label serial0)\n", name + 4);
    assert_int_equal(count_in("log", line), 1);
    chardev_attach(chardev, &bench.a.frontend);
    pump_many();
    assert_string_equal(bench.a.events, "");
    write_text(chardev, 0, "nobody hears");
    for (int i = 0; i < 2; i++) {
        recorder_reset(&bench.a);
        int slave = open(name + 4, O_RDWR | O_NOCTTY | O_NONBLOCK);
        assert_true(slave >= 0);
        UNTIL(strcmp(bench.a.events, "Oi") == 0);
        write_text(chardev, 0, "raw\n");
        expect_text(slave, "raw\n"); /* no CR is added */
        send_text(slave, "\x03\r");
        UNTIL(has_got(&bench.a, "\x03\r"));
        close(slave);
        UNTIL(strcmp(bench.a.events, "OiC") == 0);
    }
    static char text[65536];
    int slave = open(name + 4, O_RDWR | O_NOCTTY | O_NONBLOCK);
    UNTIL(strcmp(bench.a.events, "OiCOi") == 0);
    for (int i = 0; i < 64; i++)
        chardev_write(chardev, 0, text, sizeof(text));
    assert_int_equal(count_in("log", "does not read"), 1);
    chardev_close(chardev);
    close(slave);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        CASE(clients_come_one_after_the_other),
        CASE(input_outlives_its_client),
        CASE(a_lost_peer_is_noticed_by_writing),
        CASE(a_slow_client_gets_the_oldest),
        CASE(the_last_words_are_sent),
        CASE(only_dead_sockets_are_replaced),
        CASE(a_path_that_became_anothers_is_left),
        CASE(tcp_on_the_loopback),
        CASE(a_client_connects_once),
        CASE(a_server_waits_for_its_client),
        CASE(waiting_can_be_interrupted),
        CASE(no_descriptor_for_a_client),
        CASE(guests_and_clients_at_once),
        CASE(pty_clients_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
