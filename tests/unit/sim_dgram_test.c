/* SPDX-License-Identifier: MIT */
/* Simulated datagrams and unix sockets, ports and options; as on Linux. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>

#include "backend/sim/disk.h"
#include "check.h"
#include "support/simnet.h"

static struct simnet_fd udp(unsigned node)
{
    struct simnet_fd fd = simnet_socket(node, AF_INET, SOCK_DGRAM);
    struct sockaddr_storage any = simnet_address(AF_INET, -2, 0);
    CHECK_EQ(simnet_bind(fd, &any), 0);
    return fd;
}

static ssize_t send_to(struct simnet_fd from, const char *text, struct simnet_fd to)
{
    struct sockaddr_storage name = simnet_address(AF_INET, (int)to.node->index, simnet_port(to));
    return simnet_send_to(from, text, strlen(text), &name, sizeof(struct sockaddr_in));
}

/* ---- UDP ---- */

CASE(datagrams_keep_their_boundaries_and_their_order)
{
    char data[8];
    simnet_open("latency_ns_min=1000 latency_ns_max=1000000", 1, 2);
    struct simnet_fd a = udp(0), b = udp(1);
    CHECK_EQ(send_to(a, "one", b), 3);
    CHECK_EQ(send_to(a, "", b), 0);
    CHECK_EQ(send_to(a, "three", b), 5);
    CHECK_EQ(simnet_recv(b, data, sizeof data, 0), -EAGAIN);
    simnet_pass(10 * WEIR_MS);
    CHECK_EQ(simnet_poll(b), POLLIN | POLLOUT);
    CHECK_EQ(simnet_recv(b, data, sizeof data, MSG_PEEK), 3);
    CHECK_EQ(simnet_recv(b, data, 2, 0), 2); /* the rest of it is gone */
    CHECK_EQ(simnet_recv(b, data, sizeof data, 0), 0);
    CHECK_EQ(simnet_recv(b, data, 2, MSG_TRUNC), 5);
    CHECK_EQ(simnet_recv(b, data, sizeof data, 0), -EAGAIN);
    simnet_close();
}

CASE(datagrams_longer_than_the_mtu_are_refused)
{
    static char data[1600];
    simnet_open("mtu=1500", 1, 2);
    struct simnet_fd a = udp(0), b = udp(1);
    struct sockaddr_storage name = simnet_address(AF_INET, 1, simnet_port(b));
    CHECK_EQ(simnet_send_to(a, data, 1501, &name, sizeof(struct sockaddr_in)), -EMSGSIZE);
    CHECK_EQ(simnet_send_to(a, data, 1500, &name, sizeof(struct sockaddr_in)), 1500);
    CHECK_EQ(simnet_send(a, data, 1), -EDESTADDRREQ);
    simnet_close();
}

CASE(a_connected_socket_hears_that_nobody_has_the_port)
{
    simnet_open(NULL, 1, 2);
    struct simnet_fd a = udp(0);
    struct sockaddr_storage name = simnet_address(AF_INET, 1, 9);
    char byte;
    CHECK_EQ(simnet_connect(a, &name), 0);
    CHECK_EQ(simnet_send(a, "x", 1), 1);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_poll(a) & POLLERR, POLLERR);
    CHECK_EQ(simnet_recv(a, &byte, 1, 0), -ECONNREFUSED);
    CHECK_EQ(simnet_send(a, "x", 1), 1);
    simnet_close();
}

CASE(a_connected_socket_takes_from_its_peer_alone)
{
    char byte;
    simnet_open(NULL, 1, 3);
    struct simnet_fd a = udp(0), b = udp(1), c = udp(2);
    struct sockaddr_storage name = simnet_address(AF_INET, 1, simnet_port(b));
    CHECK_EQ(simnet_connect(a, &name), 0);
    CHECK_EQ(send_to(c, "c", a), 1);
    CHECK_EQ(send_to(b, "b", a), 1);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_recv(a, &byte, 1, 0), 1);
    CHECK_EQ(byte, 'b');
    CHECK_EQ(simnet_recv(a, &byte, 1, 0), -EAGAIN);
    simnet_close();
}

CASE(a_full_receive_buffer_drops_datagrams)
{
    static char data[1000];
    int got = 0;
    simnet_open(NULL, 1, 2);
    struct simnet_fd a = udp(0), b = udp(1);
    struct sockaddr_storage name = simnet_address(AF_INET, 1, simnet_port(b));
    CHECK_EQ(simnet_set(b, SOL_SOCKET, SO_RCVBUF, 5000), 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(simnet_send_to(a, data, sizeof data, &name, sizeof(struct sockaddr_in)),
                 (ssize_t)sizeof data);
    simnet_pass(WEIR_MS);
    while (simnet_recv(b, data, sizeof data, 0) > 0)
        got++;
    CHECK_GT(got, 2);
    CHECK_LT(got, 11);
    simnet_close();
}

static int count_arrivals(const char *faults, int sent)
{
    char byte;
    int got = 0;
    simnet_open(faults, 1, 2);
    struct simnet_fd a = udp(0), b = udp(1);
    for (int i = 0; i < sent; i++)
        CHECK_EQ(send_to(a, "x", b), 1);
    simnet_pass(WEIR_SEC);
    while (simnet_recv(b, &byte, 1, 0) == 1)
        got++;
    simnet_close();
    return got;
}

CASE(datagrams_are_lost_and_doubled)
{
    CHECK_EQ(count_arrivals("calm", 10), 10);
    CHECK_EQ(count_arrivals("dgram_loss=1", 10), 0);
    CHECK_EQ(count_arrivals("dgram_dup=1", 10), 20);
}

CASE(datagrams_overtake_each_other)
{
    int early = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        char byte = 0;
        simnet_open("dgram_reorder=0.5", seed, 2);
        struct simnet_fd a = udp(0), b = udp(1);
        CHECK_EQ(send_to(a, "1", b), 1);
        CHECK_EQ(send_to(a, "2", b), 1);
        simnet_pass(WEIR_SEC);
        CHECK_EQ(simnet_recv(b, &byte, 1, 0), 1);
        early += byte == '2';
        simnet_close();
    }
    CHECK_GT(early, 0);
    CHECK_LT(early, 40);
}

CASE(a_cut_link_loses_datagrams_and_a_held_one_keeps_them)
{
    char byte;
    simnet_open(NULL, 1, 2);
    struct simnet_fd a = udp(0), b = udp(1);
    simnet_cut(0, 1, true);
    CHECK_EQ(send_to(a, "1", b), 1);
    simnet_pass(WEIR_SEC);
    simnet_cut(0, 1, false);
    simnet_hold(0, 1, true);
    CHECK_EQ(send_to(a, "2", b), 1);
    simnet_shut(a);
    simnet_pass(WEIR_SEC);
    CHECK_EQ(simnet_recv(b, &byte, 1, 0), -EAGAIN);
    simnet_hold(0, 1, false);
    simnet_pass(WEIR_SEC);
    CHECK_EQ(simnet_recv(b, &byte, 1, 0), 1);
    CHECK_EQ(byte, '2');
    CHECK(wi_list_empty(&simnet_node(0)->sockets)); /* the sender lived so long */
    simnet_close();
}

CASE(a_closed_socket_has_no_port_though_its_datagrams_are_under_way)
{
    char byte;
    simnet_open(NULL, 1, 2);
    struct simnet_fd a = udp(0), b = udp(1), c = simnet_socket(0, AF_INET, SOCK_DGRAM);
    struct sockaddr_storage name = simnet_address(AF_INET, -2, simnet_port(a));
    simnet_hold(0, 1, true);
    CHECK_EQ(send_to(a, "x", b), 1);
    simnet_shut(a);
    CHECK_EQ(simnet_bind(c, &name), 0);
    simnet_hold(0, 1, false);
    simnet_pass(WEIR_SEC);
    CHECK_EQ(simnet_recv(b, &byte, 1, 0), 1);
    simnet_close();
}

/* ---- unix ---- */

CASE(a_unix_stream_has_no_latency)
{
    struct simnet_fd end[2];
    char data[8];
    simnet_open(NULL, 1, 1);
    simnet_unix_pair(end);
    CHECK_EQ(simnet_send(end[0], "abc", 3), 3);
    CHECK_EQ(simnet_poll(end[1]), POLLIN | POLLOUT);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), 3);
    CHECK_EQ(simnet_send(end[0], "q", 1), 1);
    CHECK_EQ(simnet_send(end[1], "zz", 2), 2);
    simnet_shut(end[1]); /* with unread input */
    CHECK_EQ(simnet_poll(end[0]), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
    CHECK_EQ(simnet_recv(end[0], data, sizeof data, 0), 2);
    CHECK_EQ(simnet_recv(end[0], data, sizeof data, 0), -ECONNRESET);
    CHECK_EQ(simnet_recv(end[0], data, sizeof data, 0), 0);
    CHECK_EQ(simnet_send(end[0], "x", 1), -EPIPE);
    simnet_shut(end[0]);
    CHECK(wi_list_empty(&simnet_node(0)->sockets));
    simnet_close();
}

CASE(a_unix_connect_says_why_not)
{
    simnet_open(NULL, 1, 1);
    struct simnet_fd listener = simnet_socket(0, AF_UNIX, SOCK_STREAM), fd[3];
    for (int i = 0; i < 3; i++)
        fd[i] = simnet_socket(0, AF_UNIX, SOCK_STREAM);
    CHECK_EQ(simnet_connect_path(fd[0], "/a"), -ENOENT);
    CHECK_EQ(simnet_connect_path(fd[0], "@a"), -ECONNREFUSED);
    CHECK_EQ(simnet_listen(listener, 1), -EINVAL);
    CHECK_EQ(simnet_bind_path(listener, "/a"), 0);
    CHECK_EQ(simnet_connect_path(fd[0], "/a"), -ECONNREFUSED);
    CHECK_EQ(simnet_listen(listener, 1), 0);
    CHECK_EQ(simnet_connect_path(fd[0], "/a"), 0);
    CHECK_EQ(simnet_connect_path(fd[0], "/a"), -EISCONN);
    CHECK_EQ(simnet_connect_path(fd[1], "/a"), 0);
    CHECK_EQ(simnet_connect_path(fd[2], "/a"), -EAGAIN);
    CHECK_EQ(simnet_poll(fd[0]), POLLOUT);
    simnet_shut(listener);
    CHECK_EQ(simnet_get(fd[0], SOL_SOCKET, SO_ERROR), ECONNRESET);
    CHECK_EQ(simnet_connect_path(fd[2], "/a"), -ECONNREFUSED);
    simnet_close();
}

CASE(the_file_of_a_unix_socket_stays_until_it_is_unlinked)
{
    uint64_t first[2], second[2];
    simnet_open(NULL, 1, 1);
    struct simnet_fd a = simnet_socket(0, AF_UNIX, SOCK_STREAM);
    struct simnet_fd b = simnet_socket(0, AF_UNIX, SOCK_STREAM);
    CHECK_EQ(simnet_bind_path(a, "/a"), 0);
    CHECK_EQ(wi_sim_disk_stat_socket(simnet_node(0)->disk, "/a", first), 0);
    simnet_shut(a);
    CHECK_EQ(simnet_bind_path(b, "/a"), -EADDRINUSE);
    wi_sim_node_crash(simnet_node(0));
    simnet_node(0)->down = false;
    b = simnet_socket(0, AF_UNIX, SOCK_STREAM);
    CHECK_EQ(simnet_bind_path(b, "/a"), -EADDRINUSE);
    CHECK_EQ(wi_sim_disk_unlink(simnet_node(0)->disk, "/a", false), 0);
    CHECK_EQ(wi_sim_disk_unlink(simnet_node(0)->disk, "/a", false), -ENOENT);
    CHECK_EQ(wi_sim_disk_stat_socket(simnet_node(0)->disk, "/a", second), -ENOENT);
    CHECK_EQ(simnet_bind_path(b, "/a"), 0);
    simnet_close();
}

CASE(unix_datagrams_push_back_when_the_queue_is_full)
{
    char byte;
    int sent = 0;
    simnet_open(NULL, 1, 1);
    struct simnet_fd a = simnet_socket(0, AF_UNIX, SOCK_DGRAM);
    struct simnet_fd b = simnet_socket(0, AF_UNIX, SOCK_DGRAM);
    CHECK_EQ(simnet_send(a, "x", 1), -ENOTCONN);
    CHECK_EQ(simnet_bind_path(b, "@b"), 0);
    CHECK_EQ(simnet_connect_path(a, "@b"), 0);
    while (simnet_send(a, "x", 1) == 1)
        sent++;
    CHECK_EQ(sent, 11);
    CHECK_EQ(simnet_poll(a), 0);
    CHECK_EQ(simnet_recv(b, &byte, 1, 0), 1);
    CHECK_EQ(simnet_poll(a), POLLOUT);
    simnet_shut(b);
    CHECK_EQ(simnet_send(a, "x", 1), -ECONNREFUSED);
    CHECK_EQ(simnet_send(a, "x", 1), -ENOTCONN);
    simnet_close();
}

/* connect(2) has looked the path up: what becomes of it is nothing to the connection. */
CASE(a_connected_unix_datagram_socket_keeps_its_peer_when_the_path_is_unlinked)
{
    char byte;
    simnet_open(NULL, 1, 1);
    struct simnet_fd a = simnet_socket(0, AF_UNIX, SOCK_DGRAM);
    struct simnet_fd b = simnet_socket(0, AF_UNIX, SOCK_DGRAM);
    struct simnet_fd c = simnet_socket(0, AF_UNIX, SOCK_DGRAM);
    CHECK_EQ(simnet_bind_path(b, "/b"), 0);
    CHECK_EQ(simnet_connect_path(a, "/b"), 0);
    CHECK_EQ(wi_sim_disk_unlink(simnet_node(0)->disk, "/b", false), 0);
    CHECK_EQ(simnet_bind_path(c, "/b"), 0);
    CHECK_EQ(simnet_send(a, "x", 1), 1);
    CHECK_EQ(simnet_recv(b, &byte, 1, 0), 1);
    CHECK_EQ(simnet_recv(c, &byte, 1, 0), -EAGAIN);
    simnet_close();
}

CASE(shutting_down_what_is_not_connected_is_an_error_and_works)
{
    char byte;
    simnet_open(NULL, 1, 1);
    struct simnet_fd a = udp(0), un = simnet_socket(0, AF_UNIX, SOCK_STREAM);
    CHECK_EQ(simnet_shutdown(a, SHUT_RDWR), -ENOTCONN);
    CHECK_EQ(simnet_poll(a), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
    CHECK_EQ(send_to(a, "x", a), -EPIPE);
    CHECK_EQ(simnet_shutdown(un, SHUT_RDWR), 0);
    CHECK_EQ(simnet_recv(un, &byte, 1, 0), -EINVAL);
    CHECK_EQ(simnet_send(un, "x", 1), -ENOTCONN);
    simnet_close();
}

CASE(a_unix_datagram_may_take_a_whole_send_buffer)
{
    static char data[1 << 18];
    simnet_open(NULL, 1, 1);
    struct simnet_fd a = simnet_socket(0, AF_UNIX, SOCK_DGRAM);
    struct simnet_fd b = simnet_socket(0, AF_UNIX, SOCK_DGRAM);
    CHECK_EQ(simnet_bind_path(b, "@b"), 0);
    CHECK_EQ(simnet_connect_path(a, "@b"), 0);
    size_t most = (size_t)simnet_get(a, SOL_SOCKET, SO_SNDBUF) - 32;
    CHECK_EQ(simnet_send(a, data, most + 1), -EMSGSIZE);
    CHECK_EQ(simnet_send(a, data, most), (ssize_t)most);
    CHECK_EQ(simnet_recv(b, data, sizeof data, 0), (ssize_t)most);
    simnet_close();
}

/* unix(7), BUGS: the length that is told counts the terminator, for which there is no room. */
CASE(a_path_may_fill_its_address)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct sockaddr_storage name;
    simnet_open(NULL, 1, 1);
    struct simnet_fd fd = simnet_socket(0, AF_UNIX, SOCK_STREAM);
    memset(sun.sun_path, 'x', sizeof sun.sun_path);
    sun.sun_path[0] = '/';
    CHECK_EQ(simnet_ctl(fd, (struct wi_ctl){.what = WI_CTL_BIND, .mem = &sun, .len = sizeof sun}),
             0);
    memset(&name, 1, sizeof name);
    struct wi_ctl ctl = {.what = WI_CTL_LOCALNAME, .mem = &name, .len = sizeof name};
    CHECK_EQ(simnet_ctl(fd, ctl), sizeof sun + 1);
    CHECK_EQ(memcmp(&name, &sun, sizeof sun), 0);
    CHECK_EQ(((char *)&name)[sizeof sun], 0);
    simnet_close();
}

/* Its buffers are not the listener's, as TCP's are: unix_create1() of Linux. */
CASE(an_accepted_unix_socket_has_options_of_its_own)
{
    simnet_open(NULL, 1, 1);
    struct simnet_fd listener = simnet_socket(0, AF_UNIX, SOCK_STREAM),
                     fd = simnet_socket(0, AF_UNIX, SOCK_STREAM);
    CHECK_EQ(simnet_set(listener, SOL_SOCKET, SO_SNDBUF, 10000), 0);
    CHECK_EQ(simnet_bind_path(listener, "@l"), 0);
    CHECK_EQ(simnet_listen(listener, 1), 0);
    CHECK_EQ(simnet_connect_path(fd, "@l"), 0);
    struct simnet_fd end = simnet_accept(listener);
    CHECK_EQ(simnet_get(end, SOL_SOCKET, SO_SNDBUF), simnet_get(fd, SOL_SOCKET, SO_SNDBUF));
    simnet_close();
}

/* ---- ports ---- */

CASE(a_port_is_had_once)
{
    simnet_open(NULL, 1, 1);
    struct simnet_fd a = simnet_listener(0, AF_INET), b = simnet_socket(0, AF_INET, SOCK_STREAM);
    struct simnet_fd six = simnet_socket(0, AF_INET6, SOCK_STREAM);
    struct sockaddr_storage any = simnet_address(AF_INET, -2, simnet_port(a));
    struct sockaddr_storage own = simnet_address(AF_INET, 0, simnet_port(a));
    struct sockaddr_storage any6 = simnet_address(AF_INET6, -2, simnet_port(a));
    struct sockaddr_storage foreign = simnet_address(AF_INET, -2, 0);
    ((struct sockaddr_in *)&foreign)->sin_addr.s_addr = htonl(0x01020304);
    CHECK_EQ(simnet_bind(b, &any), -EADDRINUSE);
    CHECK_EQ(simnet_bind(b, &own), -EADDRINUSE);
    CHECK_EQ(simnet_bind(b, &foreign), -EADDRNOTAVAIL);
    CHECK_EQ(simnet_bind(six, &any6), -EADDRINUSE); /* dual */
    CHECK_EQ(simnet_set(six, IPPROTO_IPV6, IPV6_V6ONLY, 1), 0);
    CHECK_EQ(simnet_bind(six, &any6), 0);
    CHECK_EQ(simnet_bind(six, &any6), -EINVAL);
    simnet_shut(a);
    CHECK_EQ(simnet_bind(b, &any), 0);
    CHECK_GE(simnet_port(simnet_listener(0, AF_INET)), 32768);
    simnet_close();
}

CASE(a_port_can_be_taken_over_from_connections_and_not_from_a_listener)
{
    struct simnet_fd end[2];
    simnet_open(NULL, 1, 2);
    struct simnet_fd a = simnet_socket(1, AF_INET, SOCK_STREAM),
                     b = simnet_socket(1, AF_INET, SOCK_STREAM);
    struct sockaddr_storage any = simnet_address(AF_INET, -2, 4000),
                            to = simnet_address(AF_INET, 1, 4000);
    CHECK_EQ(simnet_set(a, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    CHECK_EQ(simnet_set(b, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    CHECK_EQ(simnet_bind(a, &any), 0);
    CHECK_EQ(simnet_listen(a, 8), 0);
    CHECK_EQ(simnet_bind(b, &any), -EADDRINUSE);
    end[0] = simnet_socket(0, AF_INET, SOCK_STREAM);
    CHECK_EQ(simnet_connect(end[0], &to), -EINPROGRESS);
    simnet_pass(WEIR_MS);
    end[1] = simnet_accept(a);
    CHECK_GE(end[1].fd, 0);
    simnet_shut(a);
    CHECK_EQ(simnet_bind(b, &any), 0);
    CHECK_EQ(simnet_listen(b, 8), 0);
    simnet_close();
}

CASE(a_dual_listener_has_mapped_peers)
{
    struct sockaddr_in6 name;
    simnet_open(NULL, 1, 2);
    struct simnet_fd listener = simnet_listener(1, AF_INET6),
                     fd = simnet_socket(0, AF_INET, SOCK_STREAM);
    struct sockaddr_storage to = simnet_address(AF_INET, 1, simnet_port(listener));
    CHECK_EQ(simnet_connect(fd, &to), -EINPROGRESS);
    simnet_pass(WEIR_MS);
    struct simnet_fd end = simnet_accept(listener);
    CHECK_GE(end.fd, 0);
    struct wi_ctl ctl = {.what = WI_CTL_PEERNAME, .mem = &name, .len = sizeof name};
    CHECK_EQ(simnet_ctl(end, ctl), (int)sizeof name);
    CHECK(IN6_IS_ADDR_V4MAPPED(&name.sin6_addr));
    CHECK_EQ(ntohs(name.sin6_port), simnet_port(fd));
    ctl.len = 4; /* the length is the one it would have had */
    CHECK_EQ(simnet_ctl(end, ctl), (int)sizeof name);
    simnet_close();
}

/* ---- options ---- */

CASE(options_are_what_linux_says)
{
    simnet_open(NULL, 1, 1);
    struct simnet_fd tcp = simnet_socket(0, AF_INET, SOCK_STREAM),
                     un = simnet_socket(0, AF_UNIX, SOCK_STREAM);
    CHECK_EQ(simnet_set(tcp, SOL_SOCKET, SO_SNDBUF, 10000), 0);
    CHECK_EQ(simnet_get(tcp, SOL_SOCKET, SO_SNDBUF), 20000);
    CHECK_EQ(simnet_set(tcp, SOL_SOCKET, SO_RCVBUF, 1), 0);
    CHECK_EQ(simnet_get(tcp, SOL_SOCKET, SO_RCVBUF), 2304);
    CHECK_EQ(simnet_get(tcp, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    CHECK_EQ(simnet_get(tcp, SOL_SOCKET, SO_DOMAIN), AF_INET);
    CHECK_EQ(simnet_get(tcp, SOL_SOCKET, SO_ACCEPTCONN), 0);
    CHECK_EQ(simnet_listen(tcp, 1), 0);
    CHECK_EQ(simnet_get(tcp, SOL_SOCKET, SO_ACCEPTCONN), 1);
    CHECK_EQ(simnet_set(tcp, IPPROTO_TCP, TCP_NODELAY, 5), 0);
    CHECK_EQ(simnet_get(tcp, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_EQ(simnet_set(tcp, IPPROTO_TCP, TCP_KEEPIDLE, 40000), -EINVAL);
    CHECK_EQ(simnet_set(tcp, IPPROTO_TCP, TCP_KEEPIDLE, 30), 0);
    CHECK_EQ(simnet_set(un, IPPROTO_TCP, TCP_NODELAY, 1), -EOPNOTSUPP);
    CHECK_EQ(simnet_get(un, SOL_SOCKET, SO_PEERCRED), -ENOPROTOOPT);
    simnet_close();
}
