/* SPDX-License-Identifier: MIT */
/* Accepting: in order, bounded, in spite of shortages and aborted peers; listeners come and go. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/net.h"

/* ---- order and number ---- */

enum { ACCEPTERS = 6, UNCLAIMED_MAX = 16 };

struct accepters {
    weir_listener listener;
    weir_sock sock[ACCEPTERS];
    int rc[ACCEPTERS];
};

struct accepter {
    struct accepters *all;
    int index;
};

static int accept_one(void *arg)
{
    struct accepter *self = arg;
    self->all->rc[self->index] = weir_accept(self->all->listener, &self->all->sock[self->index]);
    return 0;
}

static void spawn_accepters(struct weir_scope *scope, struct accepters *all)
{
    for (int i = 0; i < ACCEPTERS; i++) {
        struct accepter accepter = {.all = all, .index = i};
        CHECK_EQ(weir_spawn_copy(scope, accept_one, &accepter, sizeof accepter), 0);
        CHECK_EQ(weir_yield(), 0);
    }
    CHECK_EQ(weir_scope_live(scope), ACCEPTERS);
}

/* The accepted socket's peer is this plain one: it says so itself. */
static void check_peers(weir_sock sock, int fd)
{
    char byte = 0;
    CHECK_EQ(net_plain_send(fd, "!", 1), 0);
    CHECK_EQ(weir_recv(sock, &byte, 1), 1);
    CHECK_EQ(byte, '!');
}

static int accept_in_order(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    struct accepters all = {.listener = net_listen(*(enum net_kind *)arg, NULL, at)};
    int fd[ACCEPTERS];
    WEIR_SCOPE(scope, WEIR_ALL);
    spawn_accepters(&scope, &all);
    for (int i = 0; i < ACCEPTERS; i++)
        fd[i] = net_plain_dial(at);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    WEIR_WITHIN(PLAIN_WAIT_S * WEIR_SEC);
    for (int i = 0; i < ACCEPTERS; i++) {
        CHECK_EQ(all.rc[i], 0);
        check_peers(all.sock[i], fd[i]);
        CHECK_EQ(weir_close(&all.sock[i]), 0);
        net_plain_close(fd[i]);
    }
    return weir_listener_close(&all.listener);
}

CASE(accepters_are_served_in_order)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(accept_in_order, &kind), 0);
}

/* I7: what nobody claims stays in the kernel's queue, and nothing is lost there. A burst that is
 * there before anybody looks may be taken in by one turn; after it, nothing more. */
static int leave_unclaimed(void *arg)
{
    enum { CLIENTS = 100 };
    char at[WEIR_ADDR_TEXT_MAX];
    unsigned burst = *(unsigned *)arg;
    weir_listener listener = net_listen(NET_V4, NULL, at);
    int fd[CLIENTS];
    unsigned before = net_open_fds();
    for (unsigned i = 0; i < CLIENTS; i++) {
        fd[i] = net_plain_dial(at);
        if (i + 1 >= burst)
            net_settle();
    }
    unsigned taken = net_open_fds() - before - CLIENTS;
    CHECK_GT(taken, 0);
    CHECK_LE(taken, burst > UNCLAIMED_MAX ? burst : UNCLAIMED_MAX);
    for (int i = 0; i < CLIENTS; i++) {
        weir_sock sock;
        CHECK_EQ(weir_accept(listener, &sock), 0);
        check_peers(sock, fd[i]);
        CHECK_EQ(weir_close(&sock), 0);
        net_plain_close(fd[i]);
    }
    return weir_listener_close(&listener);
}

CASE(accepting_stops_at_sixteen_unclaimed_and_goes_on)
{
    unsigned burst = 1;
    CHECK_EQ(net_run(leave_unclaimed, &burst), 0);
}

CASE(burst_of_unclaimed_connections_stops_accepting_too)
{
    unsigned burst = 60;
    CHECK_EQ(net_run(leave_unclaimed, &burst), 0);
}

/* ---- shortages ---- */

/* CL5: with no descriptor free it waits, asleep, and goes on when there is one. */
static int accept_without_descriptors(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    struct accepters all = {.listener = net_listen(NET_V4, NULL, at)};
    int fd[ACCEPTERS];
    unsigned long before = host_fd_limit();
    (void)arg;
    for (int i = 0; i < ACCEPTERS; i++)
        fd[i] = net_plain_socket(at);
    host_limit_fds((unsigned long)fd[ACCEPTERS - 1] + 1);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        spawn_accepters(&scope, &all);
        for (int i = 0; i < ACCEPTERS; i++)
            CHECK_EQ(net_plain_connect(fd[i], at), 0);
        while (net_logged("accept: EMFILE; again in 20 ms") == 0)
            CHECK_EQ(weir_sleep(WEIR_MS), 0);
        CHECK_EQ(weir_scope_live(&scope), ACCEPTERS);
        weir_ns cpu = net_cpu_time();
        CHECK_EQ(weir_sleep(100 * WEIR_MS), 0);
        CHECK_LT(net_cpu_time() - cpu, 20 * WEIR_MS);
        host_limit_fds(before);
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    for (int i = 0; i < ACCEPTERS; i++) {
        CHECK_EQ(all.rc[i], 0);
        check_peers(all.sock[i], fd[i]);
        CHECK_EQ(weir_close(&all.sock[i]), 0);
        net_plain_close(fd[i]);
    }
    return weir_listener_close(&all.listener);
}

CASE(accept_backs_off_while_descriptors_are_short_and_recovers)
{
    CHECK_EQ(net_run(accept_without_descriptors, NULL), 0);
}

/* At sockets_max newcomers are refused and the rest goes on; a place that is free is used. */
static int fill_the_house(void *arg)
{
    enum { PLACES = 3 };
    char at[WEIR_ADDR_TEXT_MAX];
    weir_listener listener = net_listen(NET_V4, NULL, at);
    weir_sock sock[PLACES], dialled;
    int fd[PLACES + 1];
    (void)arg;
    for (int i = 0; i < PLACES; i++) {
        fd[i] = net_plain_dial(at);
        CHECK_EQ(weir_accept(listener, &sock[i]), 0);
    }
    CHECK_EQ(weir_dial(&dialled, at, NULL), -EMFILE);
    CHECK_EQ(dialled.bits, 0);
    fd[PLACES] = net_plain_dial(at);
    CHECK_EQ(net_take_end(fd[PLACES]), 0);
    net_plain_close(fd[PLACES]);
    CHECK_EQ(net_logged("sockets_max is reached"), 1);
    for (int i = 0; i < PLACES; i++)
        check_peers(sock[i], fd[i]);
    net_plain_close(fd[0]);
    CHECK_EQ(weir_close(&sock[0]), 0);
    net_settle();
    fd[0] = net_plain_dial(at);
    CHECK_EQ(weir_accept(listener, &sock[0]), 0);
    for (int i = 0; i < PLACES; i++) {
        check_peers(sock[i], fd[i]);
        net_plain_close(fd[i]);
        CHECK_EQ(weir_close(&sock[i]), 0);
    }
    return weir_listener_close(&listener);
}

CASE(connections_beyond_sockets_max_are_refused_and_the_rest_goes_on)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.sockets_max = 3), fill_the_house, NULL), 0);
}

/* CL5: a peer that resets before it is accepted is its own trouble. */
static int accept_the_dead(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX], byte;
    weir_listener listener = net_listen(NET_V4, NULL, at);
    weir_sock sock;
    (void)arg;
    for (int i = 0; i < 30; i++)
        net_plain_reset(net_plain_dial(at));
    int fd = net_plain_dial(at);
    CHECK_EQ(net_plain_send(fd, "!", 1), 0);
    ssize_t got = 0;
    while (got != 1) { /* the dead ones are skipped, or are seen as what they are */
        CHECK_EQ(weir_accept(listener, &sock), 0);
        got = weir_recv(sock, &byte, 1);
        if (got != 1)
            CHECK_EQ(got, -ECONNRESET);
        CHECK_EQ(weir_close(&sock), 0);
    }
    net_plain_close(fd);
    return weir_listener_close(&listener);
}

CASE(peers_that_reset_before_accept_do_not_stop_the_listener)
{
    CHECK_EQ(net_run(accept_the_dead, NULL), 0);
}

/* ---- the listener's end ---- */

static int close_under_accepters(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    enum net_kind kind = *(enum net_kind *)arg;
    struct accepters all = {.listener = net_listen(kind, NULL, at)};
    weir_listener copy = all.listener;
    weir_sock sock;
    struct weir_addr addr;
    WEIR_SCOPE(scope, WEIR_ALL);
    spawn_accepters(&scope, &all);
    CHECK_EQ(weir_listener_close(&copy), 0);
    CHECK_EQ(copy.bits, 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    for (int i = 0; i < ACCEPTERS; i++) {
        CHECK_EQ(all.rc[i], -EBADF);
        CHECK_EQ(all.sock[i].bits, 0);
    }
    CHECK_EQ(weir_accept(all.listener, &sock), -EBADF);
    CHECK_EQ(weir_listener_addr(all.listener, &addr), -EBADF);
    CHECK_EQ(weir_listener_close(&all.listener), -EBADF);
    CHECK_EQ(weir_listener_close(&all.listener), 0);
    CHECK_EQ(weir_dial(&sock, at, NULL), -ECONNREFUSED);
    CHECK_EQ(sock.bits, 0);
    return 0;
}

CASE(closing_a_listener_ends_its_accepters)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(close_under_accepters, &kind), 0);
}

static int close_with_unclaimed(void *arg)
{
    enum { CLIENTS = 40 };
    char at[WEIR_ADDR_TEXT_MAX];
    weir_listener listener = net_listen(NET_V4, NULL, at);
    int fd[CLIENTS];
    unsigned before = net_open_fds();
    (void)arg;
    for (int i = 0; i < CLIENTS; i++) {
        fd[i] = net_plain_dial(at);
        if (i % 3 == 0)
            net_settle();
    }
    CHECK_EQ(weir_listener_close(&listener), 0);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_EQ(net_take_end(fd[i]), -ECONNRESET);
        net_plain_close(fd[i]);
    }
    while (net_open_fds() >= before)
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    return 0;
}

CASE(connections_that_nobody_claimed_are_reset_with_the_listener)
{
    CHECK_EQ(net_run(close_with_unclaimed, NULL), 0);
}

/* CL7: connections of the previous run are in TIME_WAIT on this side, which closes first. */
static int serve_one(void *arg)
{
    char *at = arg, byte;
    struct weir_addr addr;
    weir_listener listener;
    weir_sock sock;
    CHECK_EQ(weir_listen(&listener, at, NULL), 0);
    CHECK_EQ(weir_listener_addr(listener, &addr), 0);
    CHECK_GT(weir_addr_format(&addr, at, WEIR_ADDR_TEXT_MAX), 0);
    int fd = net_plain_dial(at);
    CHECK_EQ(weir_accept(listener, &sock), 0);
    CHECK_EQ(weir_close(&sock), 0);
    CHECK_EQ(net_take(fd, &byte, 1), 0);
    net_plain_close(fd);
    return weir_listener_close(&listener);
}

CASE(same_port_is_taken_again_a_hundred_times)
{
    char at[WEIR_ADDR_TEXT_MAX];
    for (enum net_kind kind = NET_V4; kind < NET_UNIX; kind++) {
        net_place(kind, at);
        for (int i = 0; i < 100; i++)
            CHECK_EQ(net_run(serve_one, at), 0);
    }
}

/* ---- what can go wrong at the start ---- */

static int listen_badly(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    weir_listener first = net_listen(NET_V4, NULL, at), second = {.bits = 1};
    unsigned fds = net_open_fds();
    (void)arg;
    CHECK_EQ(weir_listen(&second, at, NULL), -EADDRINUSE);
    CHECK_EQ(second.bits, 0);
    CHECK_EQ(net_logged(at), 1); /* which names the address */
    CHECK_EQ(weir_listen(&second, "192.0.2.1:0", NULL), -EADDRNOTAVAIL); /* RFC 5737: nobody's */
    CHECK_EQ(net_logged("192.0.2.1:0"), 1);
    CHECK_EQ(weir_listen(&second, "127.0.0.1:x", NULL), -EINVAL);
    CHECK_EQ(net_logged("bad address \"127.0.0.1:x\" at position 10"), 1);
    CHECK_EQ(weir_listen(&second, "localhost:80", NULL), -EINVAL);
    CHECK_EQ(weir_listen(&second, "127.0.0.1:0", WEIR_TCP_OPTS(.keepalive_s = 32768)), -EINVAL);
    CHECK_EQ(net_logged("keepalive_s = 32768: at most 32767"), 1);
    CHECK_EQ(weir_listen(&second, "127.0.0.1:0", &(struct weir_tcp_opts){.backlog = 1}), -EINVAL);
    CHECK_EQ(net_logged("options with size 0"), 1);
    CHECK_EQ(net_open_fds(), fds);
    return weir_listener_close(&first);
}

CASE(listening_in_vain_names_its_reason_and_leaves_nothing)
{
    CHECK_EQ(net_run(listen_badly, NULL), 0);
}

static int listen_without_descriptors(void *arg)
{
    weir_listener listener;
    unsigned long before = host_fd_limit();
    (void)arg;
    int lowest = host_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_GE(lowest, 0);
    host_limit_fds((unsigned long)lowest + 1);
    int rc = weir_listen(&listener, "127.0.0.1:0", NULL);
    weir_sock sock;
    int dial_rc = weir_dial(&sock, "127.0.0.1:1", NULL);
    host_limit_fds(before);
    CHECK_EQ(rc, -EMFILE);
    CHECK_EQ(dial_rc, -EMFILE);
    net_plain_close(lowest);
    return 0;
}

CASE(listening_and_dialling_without_descriptors_is_an_error)
{
    CHECK_EQ(net_run(listen_without_descriptors, NULL), 0);
}

/* ---- options ---- */

/* The descriptor whose own address is that of the socket's: found from outside. */
static int fd_of(weir_sock sock)
{
    struct weir_addr local, peer, name;
    CHECK_EQ(weir_sock_local(sock, &local), 0);
    CHECK_EQ(weir_sock_peer(sock, &peer), 0);
    for (int i = 0; i < 100; i++) {
        int fd = host_fd(i);
        socklen_t length = sizeof name.bytes;
        if (host_getpeername(fd, (struct sockaddr *)name.bytes, &length) < 0 ||
            length != peer.len || memcmp(name.bytes, peer.bytes, length) != 0)
            continue;
        length = sizeof name.bytes;
        if (host_getsockname(fd, (struct sockaddr *)name.bytes, &length) == 0 &&
            length == local.len && memcmp(name.bytes, local.bytes, length) == 0)
            return fd;
    }
    CHECK(!"the socket has a descriptor");
    return -1;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    CHECK_EQ(host_getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

static void check_options(weir_sock sock, bool defaults)
{
    int fd = fd_of(sock);
    CHECK_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), defaults);
    CHECK_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), !defaults);
    CHECK_EQ(host_fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    if (defaults)
        return;
    CHECK_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
    CHECK_EQ(option(fd, SOL_SOCKET, SO_SNDBUF), 2 * 10000); /* socket(7): the kernel doubles it */
    CHECK_EQ(option(fd, SOL_SOCKET, SO_RCVBUF), 2 * 12000);
}

static int look_at_options(void *arg)
{
    (void)arg;
    const struct weir_tcp_opts *opts =
        WEIR_TCP_OPTS(.nodelay_off = 1, .keepalive_s = 77, .send_buf_bytes = 10000,
                      .recv_buf_bytes = 12000);
    struct net_pair plain = net_pair(NET_V4, NULL), set = net_pair(NET_V4, opts);
    check_options(plain.near, true);
    check_options(plain.far, true);
    check_options(set.near, false);
    CHECK_EQ(weir_close(&plain.near), 0);
    CHECK_EQ(weir_close(&plain.far), 0);
    CHECK_EQ(weir_close(&set.near), 0);
    return weir_close(&set.far);
}

CASE(accepted_tcp_sockets_have_the_options_of_their_listener)
{
    CHECK_EQ(net_run(look_at_options, NULL), 0);
}

/* unix(7) hands no option on by itself: the accepted end once had the kernel's own buffers. */
static int fill_a_unix_buffer(void *arg)
{
    static char bytes[65536];
    struct net_pair pair = net_pair(NET_UNIX, WEIR_TCP_OPTS(.send_buf_bytes = 8192));
    (void)arg;
    {
        WEIR_WITHIN(10 * WEIR_MS);
        CHECK_EQ(weir_send(pair.near, bytes, sizeof bytes), -ETIMEDOUT);
        CHECK_LE(weir_done(), 2 * 8192);
    }
    CHECK_EQ(weir_close(&pair.near), 0);
    return weir_close(&pair.far);
}

CASE(accepted_unix_sockets_have_the_options_of_their_listener)
{
    CHECK_EQ(net_run(fill_a_unix_buffer, NULL), 0);
}

/* ---- many ---- */

static int echo(void *arg)
{
    weir_sock sock = *(weir_sock *)arg;
    struct weir_buf buf;
    ssize_t n;
    while ((n = weir_recv_buf(sock, &buf)) > 0 && (n = weir_send_buf(sock, &buf)) == 0)
        ;
    CHECK_EQ(weir_close(&sock), 0);
    return (int)n;
}

struct crowd {
    char at[WEIR_ADDR_TEXT_MAX];
    int clients;
};

/* Echoes for that many connections. */
static int serve_crowd(struct crowd *crowd, void (*client)(void *))
{
    weir_listener listener = net_listen(NET_V4, NULL, crowd->at);
    weir_sock sock;
    WEIR_SCOPE(conns, WEIR_ALL);
    net_peer(client, crowd);
    for (int i = 0; i < crowd->clients; i++) {
        CHECK_EQ(weir_accept(listener, &sock), 0);
        CHECK_EQ(weir_spawn_copy(&conns, echo, &sock, sizeof sock), 0);
    }
    CHECK_EQ(weir_scope_wait(&conns), 0);
    CHECK_EQ(weir_scope_result(&conns), 0);
    return weir_listener_close(&listener);
}

static void come_one_by_one(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < crowd->clients; i++) {
        char message[4] = {0}, back[4];
        int fd = net_plain_dial(crowd->at);
        (void)snprintf(message, sizeof message, "%03x", i & 0xFFF);
        CHECK_EQ(net_plain_send(fd, message, sizeof message), 0);
        CHECK_EQ(net_plain_recv(fd, back, sizeof back), (ssize_t)sizeof back);
        CHECK_STR_EQ(back, message);
        net_plain_close(fd);
    }
}

static int serve_one_by_one(void *arg)
{
    return serve_crowd(arg, come_one_by_one);
}

CASE(ten_thousand_short_connections_are_served)
{
    struct crowd crowd = {.clients = NET_TIMES(10000)};
    CHECK_EQ(net_run(serve_one_by_one, &crowd), 0);
}

enum { CROWD = 5000 };

static void come_all_at_once(void *arg)
{
    static int fd[CROWD];
    struct crowd *crowd = arg;
    int back;
    for (int i = 0; i < crowd->clients; i++)
        fd[i] = net_plain_dial(crowd->at);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < crowd->clients; i++)
            CHECK_EQ(net_plain_send(fd[i], &i, sizeof i), 0);
        for (int i = 0; i < crowd->clients; i++) {
            CHECK_EQ(net_plain_recv(fd[i], &back, sizeof back), (ssize_t)sizeof back);
            CHECK_EQ(back, i);
        }
    }
    for (int i = 0; i < crowd->clients; i++)
        net_plain_close(fd[i]);
}

static int serve_all_at_once(void *arg)
{
    return serve_crowd(arg, come_all_at_once);
}

CASE(five_thousand_connections_are_served_at_once)
{
    struct crowd crowd = {.clients = NET_TIMES(CROWD)};
    net_need_fds(2 * (unsigned)crowd.clients + 100);
    CHECK_EQ(net_run(serve_all_at_once, &crowd), 0);
}
