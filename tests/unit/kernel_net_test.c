/* SPDX-License-Identifier: MIT */
/*
 * What a simulated network does wrong, the real one does too: each case makes Linux do it, without
 * weir. docs/design/sim-faults.md has the list.
 *
 * Segments are lost by a filter of the receiving socket, which drops them after the way and before
 * TCP, so that TCP sends them again: socket(7), SO_ATTACH_FILTER.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "support/process.h"
#include "weir/time.h"

enum { LONG_MS = 10000, MOMENT_MS = 20, BIG = 1 << 20 };

static char big[BIG];

/* ---- sockets ---- */

static struct sockaddr_in name_of(int fd)
{
    struct sockaddr_in name;
    socklen_t len = sizeof name;
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    return name;
}

static int bound(int type)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    CHECK_GE(fd, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

static int listener(void)
{
    int fd = bound(SOCK_STREAM);
    CHECK_EQ(listen(fd, 8), 0);
    return fd;
}

static int connect_to(int fd)
{
    struct sockaddr_in name = name_of(fd);
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_GE(s, 0);
    if (connect(s, (struct sockaddr *)&name, sizeof name) == 0)
        return s;
    int error = errno;
    close(s);
    return -error;
}

static void set(int fd, int level, int name, int value)
{
    int rc = setsockopt(fd, level, name, &value, sizeof value);
    if (rc < 0 && errno == ENOPROTOOPT)
        SKIP("an emulator that does not know the option");
    CHECK_EQ(rc, 0);
}

/* A connection; the buffers of both ends are small. */
static void pair(int end[2])
{
    int from = listener();
    set(from, SOL_SOCKET, SO_RCVBUF, 8192);
    end[0] = connect_to(from);
    CHECK_GE(end[0], 0);
    set(end[0], SOL_SOCKET, SO_SNDBUF, 8192);
    set(end[0], IPPROTO_TCP, TCP_NODELAY, 1);
    end[1] = accept(from, NULL, NULL);
    CHECK_GE(end[1], 0);
    close(from);
}

static void close_pair(int end[2])
{
    close(end[0]);
    close(end[1]);
}

static int wait_for(int fd, short events, int ms)
{
    struct pollfd one = {.fd = fd, .events = events};
    return poll(&one, 1, ms) > 0 ? one.revents : 0;
}

static ssize_t take(int fd)
{
    ssize_t n = recv(fd, big, sizeof big, MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}

static ssize_t give(int fd, size_t len)
{
    ssize_t n = send(fd, big, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

/* Nothing comes in there any more, or all again. */
static void cut(int fd, bool on)
{
    struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &none};
    if (!on) {
        set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
        return;
    }
    int rc = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    if (rc < 0 && errno == EPERM) /* net.core.bpf_jit_limit is used up */
        SKIP("no socket filters for this user");
    CHECK_EQ(rc, 0);
}

/* ---- streams ---- */

/* All that was sent has come. */
static void wait_for_arrival(int sender)
{
    int left;
    do
        CHECK_EQ(ioctl(sender, TIOCOUTQ, &left), 0);
    while (left > 0);
}

CASE(a_receive_gives_less_than_is_there)
{
    int end[2];
    pair(end);
    CHECK_EQ(give(end[0], 3), 3);
    CHECK_EQ(send(end[0], "!", 1, MSG_OOB), 1);
    CHECK_EQ(give(end[0], 3), 3);
    wait_for_arrival(end[0]);
    CHECK_EQ(take(end[1]), 3); /* as far as the urgent mark */
    CHECK_EQ(take(end[1]), 3);
    close_pair(end);
}

CASE(a_unix_receive_gives_less_than_is_there)
{
    int end[2];
    char room[CMSG_SPACE(sizeof(int))] = "";
    struct iovec data = {.iov_base = big, .iov_len = 2};
    struct msghdr msg = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
    *CMSG_FIRSTHDR(&msg) = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &end[0], sizeof(int));
    CHECK_EQ(sendmsg(end[0], &msg, 0), 2);
    CHECK_EQ(give(end[0], 3), 3);
    CHECK_EQ(take(end[1]), 2);
    CHECK_EQ(take(end[1]), 3);
    close_pair(end);
}

CASE(a_send_takes_less_than_it_is_given)
{
    int end[2];
    pair(end);
    ssize_t n = give(end[0], BIG);
    CHECK_GT(n, 0);
    CHECK_LT(n, BIG);
    close_pair(end);
}

CASE(what_one_send_took_arrives_in_pieces)
{
    int end[2], pieces = 0;
    pair(end);
    set(end[0], SOL_SOCKET, SO_SNDBUF, 4 * BIG);
    ssize_t n, left = give(end[0], BIG / 4), sent = left;
    CHECK_GT(sent, 65536);
    for (; left > 0; left -= n, pieces++) {
        CHECK_EQ(wait_for(end[1], POLLIN, LONG_MS) & POLLIN, POLLIN);
        n = take(end[1]);
        CHECK_GT(n, 0);
    }
    CHECK_GT(pieces, 1);
    close_pair(end);
}

static unsigned retransmitted(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    CHECK_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return info.tcpi_total_retrans;
}

CASE(a_lost_segment_comes_a_retransmission_later)
{
    int end[2];
    pair(end);
    cut(end[1], true);
    CHECK_EQ(give(end[0], 5), 5);
    CHECK_EQ(wait_for(end[1], POLLIN, MOMENT_MS), 0);
    cut(end[1], false);
    CHECK_EQ(wait_for(end[1], POLLIN, LONG_MS), POLLIN);
    CHECK_EQ(take(end[1]), 5);
    CHECK_GE(retransmitted(end[0]), 1);
    close_pair(end);
}

CASE(a_link_stands_still_and_then_all_of_it_comes)
{
    int end[2], sent = 0;
    pair(end);
    cut(end[1], true);
    for (int i = 0; i < 10; i++)
        sent += (int)give(end[0], 10);
    CHECK_EQ(sent, 100);
    CHECK_EQ(wait_for(end[1], POLLIN, MOMENT_MS), 0);
    cut(end[1], false);
    while (sent > 0) {
        CHECK_EQ(wait_for(end[1], POLLIN, LONG_MS), POLLIN);
        sent -= (int)take(end[1]);
    }
    CHECK_EQ(sent, 0);
    close_pair(end);
}

CASE(a_link_that_stays_cut_ends_its_connections)
{
    int end[2];
    pair(end);
    set(end[0], IPPROTO_TCP, TCP_USER_TIMEOUT, 1);
    cut(end[1], true);
    CHECK_EQ(give(end[0], 5), 5);
    CHECK_NE(wait_for(end[0], POLLIN, LONG_MS) & POLLERR, 0);
    CHECK_EQ(take(end[0]), -ETIMEDOUT);
    close_pair(end);
}

CASE(a_closed_end_with_no_lingering_resets)
{
    int end[2];
    struct linger none = {.l_onoff = 1};
    pair(end);
    CHECK_EQ(setsockopt(end[0], SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
    close(end[0]);
    CHECK_NE(wait_for(end[1], POLLIN, LONG_MS) & POLLERR, 0);
    CHECK_EQ(take(end[1]), -ECONNRESET);
    close(end[1]);
}

CASE(a_closed_end_with_unread_bytes_resets)
{
    int end[2];
    pair(end);
    CHECK_EQ(give(end[0], 5), 5);
    CHECK_EQ(wait_for(end[1], POLLIN, LONG_MS), POLLIN);
    close(end[1]);
    CHECK_NE(wait_for(end[0], POLLIN, LONG_MS) & POLLERR, 0);
    CHECK_EQ(take(end[0]), -ECONNRESET);
    close(end[0]);
}

CASE(a_reset_comes_in_place_of_what_was_sent)
{
    int end[2];
    struct linger none = {.l_onoff = 1};
    pair(end);
    cut(end[1], true);
    CHECK_EQ(give(end[0], 5), 5); /* is lost, and will not be sent again */
    cut(end[1], false);
    CHECK_EQ(setsockopt(end[0], SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
    close(end[0]);
    CHECK_NE(wait_for(end[1], POLLIN, LONG_MS) & POLLERR, 0);
    CHECK_EQ(take(end[1]), -ECONNRESET);
    close(end[1]);
}

CASE(a_port_that_will_be_listened_at_refuses)
{
    int fd = bound(SOCK_STREAM);
    CHECK_EQ(connect_to(fd), -ECONNREFUSED);
    CHECK_EQ(listen(fd, 1), 0);
    int s = connect_to(fd);
    CHECK_GE(s, 0);
    close(s);
    close(fd);
}

CASE(a_slow_link_takes_as_long_as_its_rate_says)
{
    enum { RATE = 1 << 20, BYTES = 1 << 18 };
    int end[2];
    struct timespec start, now;
    pair(end);
    set(end[0], SOL_SOCKET, SO_SNDBUF, BIG);
    set(end[1], SOL_SOCKET, SO_RCVBUF, BIG);
    set(end[0], SOL_SOCKET, SO_MAX_PACING_RATE, RATE);
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    for (int sent = 0, got = 0; got < BYTES;) {
        if (sent < BYTES) {
            ssize_t n = give(end[0], (size_t)(BYTES - sent));
            sent += n > 0 ? (int)n : 0;
        }
        if (wait_for(end[1], POLLIN, LONG_MS) & POLLIN)
            got += (int)take(end[1]);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    /* The first segments go out at once: a quarter of what the rate says is enough to see it. */
    long ms = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
    CHECK_GE(ms, BYTES * 1000L / RATE / 4);
    close_pair(end);
}

/* ---- descriptors ---- */

/* No more than those that are open. */
static struct rlimit close_the_table(void)
{
    struct rlimit before;
    int next = dup(0);
    CHECK_GE(next, 0);
    close(next);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    process_limit(RLIMIT_NOFILE, (size_t)next);
    return before;
}

CASE(an_accept_without_a_descriptor_fails_and_its_connection_stays)
{
    int from = listener(), s = connect_to(from);
    CHECK_GE(s, 0);
    struct rlimit before = close_the_table();
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(accept(from, NULL, NULL), -1);
        CHECK_EQ(errno, EMFILE);
        CHECK_EQ(wait_for(from, POLLIN, LONG_MS), POLLIN);
    }
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    int fd = accept(from, NULL, NULL);
    CHECK_GE(fd, 0);
    close(fd);
    close(s);
    close(from);
}

CASE(a_socket_without_a_descriptor_fails)
{
    struct rlimit before = close_the_table();
    CHECK_EQ(socket(AF_INET, SOCK_STREAM, 0), -1);
    CHECK_EQ(errno, EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* ---- datagrams ---- */

CASE(a_datagram_is_lost_though_its_send_succeeded)
{
    enum { SENT = 100 };
    int from = bound(SOCK_DGRAM), to = bound(SOCK_DGRAM), got = 0;
    struct sockaddr_in name = name_of(to);
    set(to, SOL_SOCKET, SO_RCVBUF, 1);
    for (int i = 0; i < SENT; i++)
        CHECK_EQ(sendto(from, big, 1000, 0, (struct sockaddr *)&name, sizeof name), 1000);
    while (wait_for(to, POLLIN, MOMENT_MS) == POLLIN)
        got += take(to) == 1000;
    CHECK_GT(got, 0);
    CHECK_LT(got, SENT);
    close(from);
    close(to);
}

CASE(a_datagram_can_be_too_long)
{
    int from = bound(SOCK_DGRAM), to = bound(SOCK_DGRAM);
    struct sockaddr_in name = name_of(to);
    CHECK_EQ(sendto(from, big, 65508, 0, (struct sockaddr *)&name, sizeof name), -1);
    CHECK_EQ(errno, EMSGSIZE);
    close(from);
    close(to);
}

CASE(a_datagram_can_be_longer_than_its_link_takes)
{
    int from = bound(SOCK_DGRAM), to = bound(SOCK_DGRAM);
    struct sockaddr_in name = name_of(to);
    struct ifreq request = {.ifr_name = "lo", .ifr_mtu = 1500};
    set(from, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
    if (ioctl(from, SIOCSIFMTU, &request) < 0)
        SKIP("no network of its own");
    CHECK_EQ(sendto(from, big, 1500 - 28, 0, (struct sockaddr *)&name, sizeof name), 1500 - 28);
    CHECK_EQ(sendto(from, big, 1500 - 27, 0, (struct sockaddr *)&name, sizeof name), -1);
    CHECK_EQ(errno, EMSGSIZE);
    close(from);
    close(to);
}
