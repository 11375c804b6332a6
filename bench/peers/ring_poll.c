/* SPDX-License-Identifier: MIT */
/*
 * peer-ring-poll -- the io_uring server without a pool: a multishot poll says that data is there,
 * recv(2) takes it into one hot buffer for everybody, send(2) answers at once.
 *
 * It holds parity with epoll at every message size, because no connection has cold memory of its
 * own. A multishot poll tells edges: whoever does not read until the socket is empty must remember
 * it. A receive that came short has emptied it, but may hide an end of stream that the same event
 * told of; the mask says so.
 */
#include "listener.h"
#include "ring.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

static unsigned char chunk[PEER_CHUNK_BYTES];

static void arm_in(struct io_uring *ring, struct peer_conn *conn)
{
    struct io_uring_sqe *sqe = peer_ring_sqe(ring);
    io_uring_prep_poll_multishot(sqe, conn->stream.fd, POLLIN | POLLRDHUP);
    peer_ring_name(sqe, conn, PEER_IN);
    conn->in_armed = true;
}

/* Gives false when the connection is over. */
static bool receive(struct io_uring *ring, struct peer_conn *conn, bool until_empty)
{
    ssize_t got;
    do {
        got = recv(conn->stream.fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (got <= 0)
            return got < 0 && errno == EAGAIN;
        if (!peer_stream_send(&conn->stream, chunk, (size_t)got))
            return false;
        if (__builtin_expect(conn->stream.rest != NULL, 0)) {
            conn->unread = true;
            peer_ring_arm_out(ring, conn);
            return true;
        }
    } while (got == (ssize_t)sizeof(chunk) || until_empty);
    return true;
}

static void on_in(struct io_uring *ring, struct peer_conn *conn, const struct io_uring_cqe *cqe)
{
    bool hung_up = cqe->res < 0 || (cqe->res & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    conn->in_armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if (conn->ending || cqe->res < 0) {
        peer_ring_end(ring, conn);
        return;
    }
    if (conn->stream.rest != NULL) {
        conn->unread = true;
    } else if (!receive(ring, conn, hung_up)) {
        peer_ring_end(ring, conn);
        return;
    }
    if (!conn->in_armed)
        arm_in(ring, conn);
}

static void on_out(struct io_uring *ring, struct peer_conn *conn)
{
    conn->out_armed = false;
    if (conn->ending || !peer_stream_flush(&conn->stream)) {
        peer_ring_end(ring, conn);
    } else if (conn->stream.rest != NULL) {
        peer_ring_arm_out(ring, conn);
    } else if (conn->unread) {
        conn->unread = false;
        if (!receive(ring, conn, true))
            peer_ring_end(ring, conn);
    }
}

static void dispatch(struct io_uring *ring, const struct io_uring_cqe *cqe, int listener)
{
    struct peer_conn *conn;
    switch (peer_ring_tag(cqe)) {
    case PEER_IN:
        on_in(ring, peer_ring_conn(cqe), cqe);
        break;
    case PEER_OUT:
        on_out(ring, peer_ring_conn(cqe));
        break;
    case PEER_ACCEPT:
        conn = peer_ring_accepted(ring, cqe, listener);
        if (conn != NULL)
            arm_in(ring, conn);
        break;
    default:
        break;
    }
}

int main(int argc, char **argv)
{
    struct io_uring ring;
    bool formed;
    int listener = peer_listen(peer_arguments(argc, argv, NULL, &formed));
    peer_ring_open(&ring);
    peer_ring_accept(&ring, listener);
    peer_announce(listener,
                  "io_uring DEFER_TASKRUN, multishot poll, recv(2) into one buffer, send(2)");
    for (;;) {
        const struct io_uring_cqe *cqe;
        unsigned head, count = 0;
        peer_ring_wait(&ring);
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            dispatch(&ring, cqe, listener);
            count++;
        }
        io_uring_cq_advance(&ring, count);
    }
}
