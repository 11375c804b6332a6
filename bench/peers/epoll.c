/* SPDX-License-Identifier: MIT */
/*
 * peer-epoll -- the baseline: level-triggered epoll, one recv(2) and one send(2) an event, all
 * through one buffer that stays hot. What a careful programmer writes without any library.
 *
 * Level-triggered and a single recv, because a second one would mostly say EAGAIN: it costs 3 to
 * 10 %, as does edge-triggering with a read until EAGAIN.
 */
#include "listener.h"
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS_PER_TURN = 256 };

struct conn {
    struct peer_stream stream;
    uint32_t interest;
};

static unsigned char chunk[PEER_CHUNK_BYTES];

static void watch(int epoll, int operation, struct conn *conn, uint32_t interest)
{
    struct epoll_event event = {.events = interest, .data.ptr = conn};
    if (operation == EPOLL_CTL_MOD && conn->interest == interest)
        return;
    conn->interest = interest;
    if (epoll_ctl(epoll, operation, conn->stream.fd, &event) != 0)
        peer_die("epoll_ctl", errno);
}

static void accept_all(int epoll, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *conn = calloc(1, sizeof(*conn));
        if (conn == NULL)
            peer_die("calloc", ENOMEM);
        conn->stream.fd = fd;
        peer_no_delay(fd);
        watch(epoll, EPOLL_CTL_ADD, conn, EPOLLIN | EPOLLRDHUP);
    }
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        peer_die("accept4", errno);
}

/* Gives false when the connection is over. */
static bool serve(int epoll, struct conn *conn, uint32_t events)
{
    if (conn->stream.rest != NULL) {
        if (!peer_stream_flush(&conn->stream))
            return false;
        if (conn->stream.rest == NULL)
            watch(epoll, EPOLL_CTL_MOD, conn, EPOLLIN | EPOLLRDHUP);
        return (events & (EPOLLERR | EPOLLHUP)) == 0;
    }
    ssize_t got = recv(conn->stream.fd, chunk, sizeof(chunk), 0);
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    if (!peer_stream_send(&conn->stream, chunk, (size_t)got))
        return false;
    if (__builtin_expect(conn->stream.rest != NULL, 0))
        watch(epoll, EPOLL_CTL_MOD, conn, EPOLLOUT);
    return true;
}

int main(int argc, char **argv)
{
    struct epoll_event event[EVENTS_PER_TURN];
    struct epoll_event accepting = {.events = EPOLLIN, .data.ptr = NULL};
    bool formed;
    int listener = peer_listen(peer_arguments(argc, argv, NULL, &formed));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &accepting) != 0)
        peer_die("epoll", errno);
    peer_announce(listener, "level-triggered epoll, one recv and one send an event");
    for (;;) {
        int count = epoll_wait(epoll, event, EVENTS_PER_TURN, -1);
        if (count < 0 && errno != EINTR)
            peer_die("epoll_wait", errno);
        for (int i = 0; i < count; i++) {
            struct conn *conn = event[i].data.ptr;
            if (conn == NULL) {
                accept_all(epoll, listener);
            } else if (!serve(epoll, conn, event[i].events)) {
                peer_stream_close(&conn->stream);
                free(conn);
            }
        }
    }
}
