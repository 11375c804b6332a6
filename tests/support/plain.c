/* SPDX-License-Identifier: MIT */
/* plain -- the blocking sockets of net.h: peers that know nothing of weir. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/net.h"

static void be_patient_but_not_for_ever(int fd)
{
    struct timeval limit = {.tv_sec = PLAIN_WAIT_S};
    CHECK_EQ(host_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    CHECK_EQ(host_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
}

static int make(const char *text, struct weir_addr *addr)
{
    sa_family_t family;
    CHECK_EQ(weir_addr_parse(addr, text, NULL), 0);
    memcpy(&family, addr->bytes, sizeof family);
    int fd = host_socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_GE(fd, 0);
    be_patient_but_not_for_ever(fd);
    return fd;
}

int net_plain_socket(const char *at)
{
    struct weir_addr addr;
    return make(at, &addr);
}

int net_plain_listen(enum net_kind kind, int backlog, char at[WEIR_ADDR_TEXT_MAX])
{
    struct weir_addr addr;
    net_place(kind, at);
    int fd = make(at, &addr);
    socklen_t length = sizeof addr.bytes;
    CHECK_EQ(host_bind(fd, (const struct sockaddr *)addr.bytes, addr.len), 0);
    CHECK_EQ(host_listen(fd, backlog), 0);
    CHECK_EQ(host_getsockname(fd, (struct sockaddr *)addr.bytes, &length), 0);
    addr.len = length;
    CHECK_GT(weir_addr_format(&addr, at, WEIR_ADDR_TEXT_MAX), 0);
    return fd;
}

/* A ring's end may interrupt its thread's next system calls, and with a time limit set they are not
 * restarted (signal(7)); a connect goes on by itself then. */
static int finish_connect(int fd)
{
    struct pollfd connected = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t length = sizeof error;
    while (host_poll(&connected, 1, PLAIN_WAIT_S * 1000) < 0)
        CHECK_EQ(errno, EINTR);
    CHECK_EQ(host_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
    return -error;
}

int net_plain_connect(int fd, const char *at)
{
    struct weir_addr addr;
    CHECK_EQ(weir_addr_parse(&addr, at, NULL), 0);
    if (host_connect(fd, (const struct sockaddr *)addr.bytes, addr.len) == 0)
        return 0;
    return errno == EINTR ? finish_connect(fd) : -errno;
}

int net_plain_dial(const char *at)
{
    int fd = net_plain_socket(at);
    CHECK_EQ(net_plain_connect(fd, at), 0);
    return fd;
}

static void set_size(int fd, int name, unsigned bytes)
{
    if (bytes != 0)
        CHECK_EQ(host_setsockopt(fd, SOL_SOCKET, name, &bytes, sizeof bytes), 0);
}

void net_plain_buffers(int fd, const struct weir_tcp_opts *opts)
{
    if (opts == NULL)
        return;
    set_size(fd, SO_SNDBUF, opts->send_buf_bytes);
    set_size(fd, SO_RCVBUF, opts->recv_buf_bytes);
}

int net_plain_accept(int listener)
{
    int fd;
    do
        fd = host_accept(listener, SOCK_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        CHECK_EQ(-errno, 0);
    be_patient_but_not_for_ever(fd);
    return fd;
}

int net_plain_send(int fd, const void *buf, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t n = host_send(fd, (const char *)buf + sent, len - sent, MSG_NOSIGNAL);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno != EINTR)
            return -errno;
    }
    return 0;
}

ssize_t net_plain_recv(int fd, void *buf, size_t len)
{
    size_t have = 0;
    while (have < len) {
        ssize_t n = host_recv(fd, (char *)buf + have, len - have, 0);
        if (n == 0)
            break;
        if (n > 0)
            have += (size_t)n;
        else if (errno != EINTR)
            return -errno;
    }
    return (ssize_t)have;
}

void net_plain_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    CHECK_EQ(host_setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    net_plain_close(fd);
}

void net_plain_close(int fd)
{
    CHECK_EQ(host_close(fd), 0);
}
