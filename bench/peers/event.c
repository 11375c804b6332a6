/* SPDX-License-Identifier: MIT */
/*
 * peer-event -- libevent in its best form: persistent level-triggered events, with recv(2) and
 * send(2) called by the callback through one hot buffer. (Its bufferevents, the comfortable form,
 * copy every byte through chains of allocated buffers.)
 */
#include "listener.h"
#include "stream.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>

struct conn {
    struct peer_stream stream;
    struct event *readable, *writable;
};

static unsigned char chunk[PEER_CHUNK_BYTES];

static void drop(struct conn *conn)
{
    event_free(conn->readable);
    event_free(conn->writable);
    peer_stream_close(&conn->stream);
    free(conn);
}

static void check(int rc)
{
    if (rc != 0)
        peer_die("libevent cannot change an event", 0);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;
    (void)what;
    ssize_t got = recv(fd, chunk, sizeof(chunk), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || !peer_stream_send(&conn->stream, chunk, (size_t)got)) {
        drop(conn);
        return;
    }
    if (__builtin_expect(conn->stream.rest != NULL, 0)) {
        check(event_del(conn->readable));
        check(event_add(conn->writable, NULL));
    }
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;
    (void)fd;
    (void)what;
    if (!peer_stream_flush(&conn->stream)) {
        drop(conn);
    } else if (conn->stream.rest == NULL) {
        check(event_del(conn->writable));
        check(event_add(conn->readable, NULL));
    }
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
    struct event_base *base = arg;
    int fd;
    (void)what;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *conn = calloc(1, sizeof(*conn));
        if (conn == NULL)
            peer_die("calloc", ENOMEM);
        conn->stream.fd = fd;
        peer_no_delay(fd);
        conn->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, conn);
        conn->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, conn);
        if (conn->readable == NULL || conn->writable == NULL)
            peer_die("event_new", ENOMEM);
        check(event_add(conn->readable, NULL));
    }
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        peer_die("accept4", errno);
}

int main(int argc, char **argv)
{
    bool formed;
    int listener = peer_listen(peer_arguments(argc, argv, NULL, &formed));
    struct event_base *base = event_base_new();
    if (base == NULL)
        peer_die("event_base_new failed", 0);
    struct event *accepting = event_new(base, listener, EV_READ | EV_PERSIST, on_accept, base);
    if (accepting == NULL)
        peer_die("event_new", ENOMEM);
    check(event_add(accepting, NULL));
    peer_announce(listener, "libevent on epoll, own recv and send in the callback");
    return event_base_dispatch(base);
}
