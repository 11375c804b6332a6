/* SPDX-License-Identifier: MIT */
/* conn -- mechanism; the stream's offsets are drawn in conn.h. */
#include "conn.h"
#include "pattern.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* After so many full chunks in a row other connections get their turn. */
enum { CHUNKS_PER_FLUSH = 4 };

static int tell_epoll(struct wl_conn *conn, int epoll, int operation, uint32_t interest)
{
    struct epoll_event event = {.events = interest, .data.ptr = conn};
    if (operation == EPOLL_CTL_MOD && conn->interest == interest)
        return 0;
    conn->interest = interest;
    return epoll_ctl(epoll, operation, conn->fd, &event) == 0 ? 0 : -errno;
}

static int open_socket(const struct wl_address *address)
{
    int family = address->sa.ss_family;
    int on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (family != AF_UNIX && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int wl_conn_connect(struct wl_conn *conn, const struct wl_address *address, int epoll,
                    uint64_t seed)
{
    int fd = open_socket(address);
    if (fd < 0)
        return fd;
    conn->fd = fd;
    conn->seed = seed;
    conn->goal = conn->tx = conn->rx = 0;
    conn->state = WL_CONNECTING;
    int rc = connect(fd, (const struct sockaddr *)&address->sa, address->length);
    /* An interrupted connect goes on in the background, as connect(2) says, like EINPROGRESS. */
    rc = rc == 0 || errno == EINPROGRESS || errno == EINTR ? 0 : -errno;
    if (rc == 0)
        rc = tell_epoll(conn, epoll, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
    if (rc < 0)
        wl_conn_close(conn);
    return rc;
}

int wl_conn_finish_connect(struct wl_conn *conn, int epoll)
{
    int error = 0;
    socklen_t length = sizeof(error);
    int rc = getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? -error : -errno;
    if (rc == 0)
        rc = tell_epoll(conn, epoll, EPOLL_CTL_MOD, EPOLLIN);
    if (rc == 0)
        conn->state = WL_OPEN;
    else
        wl_conn_close(conn);
    return rc;
}

int wl_conn_flush(struct wl_conn *conn, int epoll, struct wl_io *io)
{
    for (int chunks = 0; conn->tx < conn->goal && chunks < CHUNKS_PER_FLUSH; chunks++) {
        uint64_t left = conn->goal - conn->tx;
        size_t length = left < sizeof(io->out) ? (size_t)left : sizeof(io->out);
        wl_pattern_fill(conn->seed, conn->tx, io->out, length);
        ssize_t sent = send(conn->fd, io->out, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (sent > 0)
            conn->tx += (uint64_t)sent;
        if (sent < (ssize_t)length)
            break;
    }
    return tell_epoll(conn, epoll, EPOLL_CTL_MOD,
                      conn->tx < conn->goal ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

ssize_t wl_conn_receive(struct wl_conn *conn, struct wl_io *io)
{
    ssize_t got = recv(conn->fd, io->in, sizeof(io->in), MSG_DONTWAIT);
    if (got < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    size_t length = (size_t)got;
    size_t sent = conn->tx - conn->rx < length ? (size_t)(conn->tx - conn->rx) : length;
    size_t right = wl_pattern_match(conn->seed, conn->rx, io->in, sent);
    conn->rx += right;
    if (right < sent) {
        io->wrong = io->in[right];
        wl_pattern_fill(conn->seed, conn->rx, &io->due, 1);
        return -EBADMSG;
    }
    return sent < length ? -EOVERFLOW : got;
}

int wl_conn_shutdown(struct wl_conn *conn)
{
    conn->state = WL_CLOSING;
    return shutdown(conn->fd, SHUT_WR) == 0 ? 0 : -errno;
}

void wl_conn_close(struct wl_conn *conn)
{
    if (conn->state != WL_CLOSED)
        close(conn->fd);
    conn->state = WL_CLOSED;
    conn->fd = -1;
}
