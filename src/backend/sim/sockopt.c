/* SPDX-License-Identifier: MIT */
/* sockopt -- options of sockets, as socket(7), tcp(7), ip(7), ipv6(7) and unix(7) have them. */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "backend/sim/sock.h"

enum {
    /* net.ipv4.tcp_rmem, tcp_wmem after its first growth, and net.core.*mem_default */
    TCP_RECV_BUF = 131072,
    TCP_SEND_BUF = 131072,
    BUF = 212992,
    BUF_MAX = 8388608,
    RECV_BUF_MIN = 2304, /* SOCK_MIN_RCVBUF, SOCK_MIN_SNDBUF */
    SEND_BUF_MIN = 4608,
    KEEP_IDLE_S = 7200,
    KEEP_INTERVAL_S = 75,
    KEEP_COUNT = 9
};

void wi_sim_options_init(struct wi_sim_sock *sock)
{
    bool tcp = sock->domain != AF_UNIX && sock->type == SOCK_STREAM;
    sock->options = (struct wi_sim_options){.keep_idle = KEEP_IDLE_S,
                                            .keep_interval = KEEP_INTERVAL_S,
                                            .keep_count = KEEP_COUNT,
                                            .send_buf = tcp ? TCP_SEND_BUF : BUF,
                                            .recv_buf = tcp ? TCP_RECV_BUF : BUF};
}

static uint32_t buffer(int asked, uint32_t min)
{
    uint32_t twice = asked < 0 || asked > BUF_MAX / 2 ? BUF_MAX : (uint32_t)asked * 2;
    return twice > min ? twice : min;
}

/* Where the number of an option is, with its limits; NULL: there is none of that name. */
static int *number_of(struct wi_sim_sock *sock, int level, int name, int *low, int *high)
{
    struct wi_sim_options *options = &sock->options;
    bool tcp = sock->domain != AF_UNIX && sock->type == SOCK_STREAM;
    *low = 0;
    *high = 0; /* a flag */
    if (level == SOL_SOCKET) {
        switch (name) {
        case SO_REUSEADDR:
            return &options->reuse_addr;
        case SO_REUSEPORT:
            return sock->domain == AF_UNIX ? NULL : &options->reuse_port;
        case SO_KEEPALIVE:
            return &options->keep_alive;
        case SO_BROADCAST:
            return &options->broadcast;
        default:
            return NULL;
        }
    }
    if (level == IPPROTO_IPV6)
        return sock->domain == AF_INET6 && name == IPV6_V6ONLY ? &options->v6_only : NULL;
    if (level != IPPROTO_TCP || !tcp)
        return NULL;
    *low = 1;
    switch (name) {
    case TCP_NODELAY:
        *low = 0;
        return &options->no_delay;
    case TCP_KEEPIDLE:
        *high = 32767;
        return &options->keep_idle;
    case TCP_KEEPINTVL:
        *high = 32767;
        return &options->keep_interval;
    case TCP_KEEPCNT:
        *high = 127;
        return &options->keep_count;
    default:
        return NULL;
    }
}

static int unknown(const struct wi_sim_sock *sock, int level)
{
    return sock->domain == AF_UNIX && level != SOL_SOCKET ? -EOPNOTSUPP : -ENOPROTOOPT;
}

int wi_sim_option_set(struct wi_sim_sock *sock, const struct wi_ctl *ctl)
{
    int value, low, high;
    if (ctl->a == SOL_SOCKET && ctl->b == SO_LINGER) {
        if (ctl->len < sizeof sock->options.linger)
            return -EINVAL;
        memcpy(&sock->options.linger, ctl->mem, sizeof sock->options.linger);
        return 0;
    }
    if (ctl->len < sizeof value)
        return -EINVAL;
    memcpy(&value, ctl->mem, sizeof value);
    if (ctl->a == SOL_SOCKET && ctl->b == SO_SNDBUF) {
        sock->options.send_buf = buffer(value, SEND_BUF_MIN);
        return 0;
    }
    if (ctl->a == SOL_SOCKET && ctl->b == SO_RCVBUF) {
        sock->options.recv_buf = buffer(value, RECV_BUF_MIN);
        return 0;
    }
    int *number = number_of(sock, ctl->a, ctl->b, &low, &high);
    if (number == NULL)
        return unknown(sock, ctl->a);
    if (ctl->a == IPPROTO_IPV6 && sock->bound)
        return -EINVAL;
    if (high > 0 && (value < low || value > high))
        return -EINVAL;
    *number = high > 0 ? value : value != 0;
    if (number == &sock->options.keep_alive || number == &sock->options.keep_idle)
        wi_sim_stream_keep_alive(sock);
    return 0;
}

static int write_value(const struct wi_ctl *ctl, const void *value, size_t size)
{
    size_t len = ctl->len < size ? ctl->len : size;
    memcpy(ctl->mem, value, len);
    return (int)len;
}

static bool read_only(struct wi_sim_sock *sock, int name, int *out)
{
    switch (name) {
    case SO_ERROR:
        *out = -wi_sim_sock_error(sock);
        return true;
    case SO_TYPE:
        *out = sock->type;
        return true;
    case SO_DOMAIN:
        *out = sock->domain;
        return true;
    case SO_PROTOCOL:
        *out = sock->domain == AF_UNIX ? 0 : sock->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
        return true;
    case SO_ACCEPTCONN:
        *out = sock->state == WI_SIM_LISTENING;
        return true;
    case SO_SNDBUF:
        *out = (int)sock->options.send_buf;
        return true;
    case SO_RCVBUF:
        *out = (int)sock->options.recv_buf;
        return true;
    default:
        return false;
    }
}

int wi_sim_option_get(struct wi_sim_sock *sock, const struct wi_ctl *ctl)
{
    int value, low, high;
    if (ctl->a == SOL_SOCKET && ctl->b == SO_LINGER)
        return write_value(ctl, &sock->options.linger, sizeof sock->options.linger);
    if (ctl->a == SOL_SOCKET && read_only(sock, ctl->b, &value))
        return write_value(ctl, &value, sizeof value);
    const int *number = number_of(sock, ctl->a, ctl->b, &low, &high);
    return number != NULL ? write_value(ctl, number, sizeof *number) : unknown(sock, ctl->a);
}
