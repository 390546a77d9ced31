/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * socket: a unix or TCP socket, one peer at a time. A server goes on listening when its client has
 * left; meanwhile others wait in the backlog. A client connects once, when it is opened.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "chardev/internal.h"
#include "event/loop.h"

enum { BACKLOG = 1 }; /* as QEMU: a second client is to notice that it waits */

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
    socklen_t length;
};

struct socket {
    struct chardev chardev;
    struct stream stream;
    bool server, delay;
    struct address address;
    int listener, peer; /* value + 1; 0: none */
    struct watch *listening;
    struct stat bound; /* the unix socket's path, to be removed if it is still this */
    bool is_bound;
    char name[160]; /* "unix:/tmp/x,server=on" */
};

/* Addresses */

static int unix_address(struct address *address, const char *path, struct error *err)
{
    size_t length = strlen(path);
    if (length >= sizeof(address->un.sun_path))
        return error_set(err, ENAMETOOLONG,
                         "socket: the path has %zu bytes, the system takes %zu: %.60s...", length,
                         sizeof(address->un.sun_path) - 1, path);
    address->un = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->un.sun_path, path, length + 1);
    address->length = sizeof(address->un);
    return 0;
}

/* No resolver: a name other than localhost would not be the loopback. */
static int tcp_address(struct address *address, const char *host, const char *port,
                       struct error *err)
{
    char *end;
    unsigned long number = strtoul(port, &end, 10);
    if (port[0] < '0' || port[0] > '9' || *end || number > 65535)
        return error_set(err, EINVAL, "socket: port=%.40s: allowed: a number up to 65535", port);
    uint16_t net_port = htons((uint16_t)number);
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    address->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = net_port};
    address->length = sizeof(address->in);
    if (inet_pton(AF_INET, host, &address->in.sin_addr) == 1 &&
        ntohl(address->in.sin_addr.s_addr) >> 24 == 127)
        return 0;
    address->in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = net_port};
    address->length = sizeof(address->in6);
    if (inet_pton(AF_INET6, host, &address->in6.sin6_addr) == 1 &&
        IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr))
        return 0;
    return error_set(err, EINVAL,
                     "socket: host=%.60s: not supported: only this machine itself, 127.0.0.1, ::1 "
                     "or localhost (nothing would keep others out; use ssh -L)",
                     host);
}

static int parse_address(struct socket *sock, const struct spec *spec, struct error *err)
{
    const char *path = spec_get(spec, "path"), *host = spec_get(spec, "host");
    if (path && (host || spec_get(spec, "port")))
        return error_set(err, EINVAL, "socket: path= and host=, port= exclude each other");
    if (path)
        return *path ? unix_address(&sock->address, path, err)
                     : error_set(err, EINVAL, "socket: path= is empty");
    const char *port = spec_need(spec, "port", err);
    if (!host && !port)
        return error_set(err, EINVAL, "socket: path=, or host= and port=, is missing");
    if (!port)
        return -EINVAL;
    return tcp_address(&sock->address, host ? host : "localhost", port, err);
}

static bool is_unix(const struct address *address)
{
    return address->any.sa_family == AF_UNIX;
}

static void format_tcp(const struct address *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof(host));
        snprintf(text, size, "[%s]:%u", host, ntohs(address->in6.sin6_port));
    } else {
        inet_ntop(AF_INET, &address->in.sin_addr, host, sizeof(host));
        snprintf(text, size, "%s:%u", host, ntohs(address->in.sin_port));
    }
}

/* What `info chardev` shows, in QEMU's words. */
static void make_name(struct socket *sock)
{
    char text[80];
    if (is_unix(&sock->address)) {
        snprintf(sock->name, sizeof(sock->name), "unix:%s", sock->address.un.sun_path);
    } else {
        format_tcp(&sock->address, text, sizeof(text));
        snprintf(sock->name, sizeof(sock->name), "tcp:%s", text);
    }
    size_t at = strlen(sock->name);
    snprintf(sock->name + at, sizeof(sock->name) - at, "%s", sock->server ? ",server=on" : "");
}

static void show(struct socket *sock)
{
    struct address peer = {.length = sizeof(peer.in6)};
    char text[80];
    if (!sock->peer)
        chardev_name(&sock->chardev, "disconnected:%s", sock->name);
    else if (is_unix(&sock->address) || getpeername(sock->peer - 1, &peer.any, &peer.length) < 0)
        chardev_name(&sock->chardev, "%s", sock->name);
    else {
        format_tcp(&peer, text, sizeof(text));
        chardev_name(&sock->chardev, "%s <-> %s", sock->name, text);
    }
}

/* The peer */

static void set_peer(struct socket *sock, int fd)
{
    if (sock->peer)
        close(sock->peer - 1);
    sock->peer = fd + 1;
    if (sock->listening)
        watch_set(sock->listening, fd < 0 ? LOOP_READ : 0);
    show(sock);
}

static void left(struct chardev *chardev)
{
    struct socket *sock = (struct socket *)chardev;
    stream_stop(&sock->stream);
    set_peer(sock, -1);
    chardev_set_open(chardev, false);
}

static int begin(struct socket *sock, int fd, struct error *err)
{
    int on = 1;
    if (!is_unix(&sock->address) && !sock->delay)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    int ret = stream_start(&sock->stream, &sock->chardev, fd, fd, left, err);
    if (ret < 0) {
        close(fd);
        return ret;
    }
    set_peer(sock, fd);
    sock->chardev.open = true;
    return 0;
}

static void somebody_comes(void *opaque, unsigned ready)
{
    (void)ready;
    struct socket *sock = opaque;
    int fd = accept4(sock->listener - 1, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        if (begin(sock, fd, NULL) == 0)
            chardev_set_open(&sock->chardev, true);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        /* The caller would stay in the backlog and the loop spin. */
        log_warn("%s: cannot take a connection: %s; no more are taken", sock->chardev.label,
                 strerror(errno));
        watch_set(sock->listening, 0);
    }
}

/* Opening */

/* The path of a server that is dead may be taken; then connecting is refused. */
static int remove_stale(const struct address *address, struct error *err)
{
    const char *path = address->un.sun_path;
    struct stat st;
    if (lstat(path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, EEXIST, "cannot listen on '%s': it is there and is no socket", path);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return error_set(err, errno, "cannot make a socket: %s", strerror(errno));
    bool dead = connect(probe, &address->any, address->length) < 0 && errno == ECONNREFUSED;
    close(probe);
    if (!dead)
        return error_set(err, EADDRINUSE,
                         "cannot listen on '%s': another process does; use another path", path);
    if (unlink(path) < 0)
        return error_set(err, errno, "cannot remove the old socket '%s': %s", path,
                         strerror(errno));
    return 0;
}

static int new_socket(const struct socket *sock, struct error *err)
{
    int fd = socket(sock->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? error_set(err, errno, "cannot make a socket: %s", strerror(errno)) : fd;
}

static int start_listening(struct socket *sock, struct error *err)
{
    struct address *address = &sock->address;
    int ret = is_unix(address) ? remove_stale(address, err) : 0;
    int fd = ret < 0 ? ret : new_socket(sock, err);
    if (fd < 0)
        return fd;
    sock->listener = fd + 1;
    int on = 1;
    if (!is_unix(address))
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, &address->any, address->length) < 0 || listen(fd, BACKLOG) < 0)
        return error_set(err, errno, "cannot listen on %s: %s", sock->name, strerror(errno));
    if (is_unix(address))
        sock->is_bound = lstat(address->un.sun_path, &sock->bound) == 0;
    else
        getsockname(fd, &address->any, &address->length); /* port 0 has become one */
    make_name(sock);
    return 0;
}

/* The user waits at the terminal and may interrupt; the terminal of a stdio opened before has to be
 * restored then, so signals are not left to kill us. */
static int wait_for_client(struct socket *sock, struct error *err)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    log_info("waiting for connection on: %s", sock->chardev.filename);
    struct pollfd fds[2] = {{.fd = sock->listener - 1, .events = POLLIN},
                            {.fd = signalfd(-1, &set, SFD_CLOEXEC), .events = POLLIN}};
    int fd = -1;
    while (fd < 0 && !fds[1].revents) {
        int ret = poll(fds, 2, -1);
        if (ret > 0 && fds[0].revents)
            fd = accept4(sock->listener - 1, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && ((ret < 0 && errno != EINTR) || errno == EMFILE || errno == ENFILE))
            break;
    }
    struct signalfd_siginfo info;
    bool interrupted = fd < 0 && fds[1].revents && read(fds[1].fd, &info, sizeof(info)) > 0;
    int saved = errno;
    if (fds[1].fd >= 0)
        close(fds[1].fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (interrupted)
        return error_set(err, EINTR, "interrupted while waiting for a connection on %s",
                         sock->name);
    if (fd < 0)
        return error_set(err, saved, "cannot take a connection on %s: %s", sock->name,
                         strerror(saved));
    return begin(sock, fd, err);
}

static int open_server(struct socket *sock, const struct spec *spec, struct error *err)
{
    int ret = start_listening(sock, err);
    if (ret < 0)
        return ret;
    show(sock);
    sock->listening =
        watch_create(sock->chardev.loop, sock->listener - 1, LOOP_READ, somebody_comes, sock);
    if (!sock->listening)
        return error_set(err, ENOMEM, "socket: out of memory or file descriptors (ulimit -n)");
    return spec_switch(spec, "wait", true) ? wait_for_client(sock, err) : 0;
}

static int open_client(struct socket *sock, struct error *err)
{
    int fd = new_socket(sock, err);
    if (fd < 0)
        return fd;
    if (connect(fd, &sock->address.any, sock->address.length) < 0) {
        int saved = errno;
        close(fd);
        return error_set(err, saved,
                         "cannot connect to %s: %s; start its server first, or add "
                         "server=on to be one",
                         sock->name, strerror(saved));
    }
    return begin(sock, fd, err); /* its calls say MSG_DONTWAIT */
}

static int socket_open(struct chardev *chardev, const struct spec *spec, struct error *err)
{
    struct socket *sock = (struct socket *)chardev;
    sock->server = spec_switch(spec, "server", false);
    sock->delay = !spec_switch(spec, "nodelay", true);
    if (!sock->server && spec_get(spec, "wait"))
        return error_set(err, EINVAL, "socket: wait= is for server=on");
    int ret = parse_address(sock, spec, err);
    if (ret < 0)
        return ret;
    make_name(sock);
    return sock->server ? open_server(sock, spec, err) : open_client(sock, err);
}

static void remove_path(const struct socket *sock)
{
    struct stat now;
    const char *path = sock->address.un.sun_path;
    if (sock->is_bound && lstat(path, &now) == 0 && now.st_dev == sock->bound.st_dev &&
        now.st_ino == sock->bound.st_ino)
        unlink(path);
}

static void socket_close(struct chardev *chardev)
{
    struct socket *sock = (struct socket *)chardev;
    stream_stop(&sock->stream);
    watch_destroy(sock->listening);
    remove_path(sock);
    if (sock->listener)
        close(sock->listener - 1);
    if (sock->peer)
        close(sock->peer - 1);
}

static void socket_write(struct chardev *chardev, const uint8_t *bytes, size_t length)
{
    stream_write(&((struct socket *)chardev)->stream, bytes, length);
}

static void socket_resume(struct chardev *chardev)
{
    stream_resume(&((struct socket *)chardev)->stream);
}

static const struct spec_key socket_keys[] = {
    {"path", false}, {"host", false},   {"port", false}, {"server", true},
    {"wait", true},  {"nodelay", true}, {NULL, false},
};

const struct chardev_ops chardev_socket = {
    .name = "socket",
    .size = sizeof(struct socket),
    .keys = socket_keys,
    .open = socket_open,
    .close = socket_close,
    .write = socket_write,
    .resume = socket_resume,
};
