/* SPDX-License-Identifier: MIT */
/*
 * peer-ring-inc [--plain] -- the io_uring server with a pool: a multishot receive takes buffers
 * from a small ring, incrementally filled where the kernel can, and send(2) answers at once.
 *
 * The best form for small messages. Two things need care. A receive that finds no buffer ends with
 * ENOBUFS: those connections queue first in, first out, and at most as many are armed again as
 * there are buffers, for to arm all would only end most of them again. And a multishot receive
 * cannot be told to wait: while a rest is unsent it is cancelled.
 */
#include "listener.h"
#include "pool.h"
#include "ring.h"

#include <errno.h>
#include <stddef.h>

struct server {
    struct io_uring ring;
    struct peer_pool pool;
    struct peer_conn *starved, **starved_end;
    int listener;
};

static void arm_in(struct server *server, struct peer_conn *conn)
{
    struct io_uring_sqe *sqe = peer_ring_sqe(&server->ring);
    io_uring_prep_recv_multishot(sqe, conn->stream.fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = PEER_POOL_GROUP;
    peer_ring_name(sqe, conn, PEER_IN);
    conn->in_armed = true;
    conn->pausing = false;
}

static void starve(struct server *server, struct peer_conn *conn)
{
    conn->next = NULL;
    *server->starved_end = conn;
    server->starved_end = &conn->next;
}

/* Every buffer is back when this is called. */
static void feed_starved(struct server *server)
{
    for (unsigned i = 0; i < server->pool.count && server->starved != NULL; i++) {
        struct peer_conn *conn = server->starved;
        server->starved = conn->next;
        arm_in(server, conn);
    }
    if (server->starved == NULL)
        server->starved_end = &server->starved;
}

/* With a rest to send the receive is stopped; without one it is armed, or all is over. */
static void go_on(struct server *server, struct peer_conn *conn)
{
    if (conn->stream.rest != NULL) {
        if (!conn->out_armed)
            peer_ring_arm_out(&server->ring, conn);
        if (conn->in_armed && !conn->pausing) {
            conn->pausing = true;
            peer_ring_cancel_in(&server->ring, conn);
        }
    } else if (conn->over) {
        peer_ring_end(&server->ring, conn);
    } else if (!conn->in_armed) {
        arm_in(server, conn);
    }
}

static void on_in(struct server *server, struct peer_conn *conn, const struct io_uring_cqe *cqe)
{
    conn->in_armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
    bool dead = conn->ending;
    if (cqe->res > 0) {
        const unsigned char *data = peer_pool_data(&server->pool, cqe);
        dead = dead || !peer_stream_send(&conn->stream, data, (size_t)cqe->res);
        peer_pool_done(&server->pool, cqe);
        if (!dead && conn->in_armed && conn->stream.rest == NULL)
            return;
    } else if (cqe->res != -ENOBUFS && cqe->res != -ECANCELED) {
        conn->over = true;
    }
    if (dead)
        peer_ring_end(&server->ring, conn);
    else if (cqe->res == -ENOBUFS && conn->stream.rest == NULL)
        starve(server, conn);
    else
        go_on(server, conn);
}

static void on_out(struct server *server, struct peer_conn *conn)
{
    conn->out_armed = false;
    if (conn->ending || !peer_stream_flush(&conn->stream))
        peer_ring_end(&server->ring, conn);
    else
        go_on(server, conn);
}

static void dispatch(struct server *server, const struct io_uring_cqe *cqe)
{
    struct peer_conn *conn;
    switch (peer_ring_tag(cqe)) {
    case PEER_IN:
        on_in(server, peer_ring_conn(cqe), cqe);
        break;
    case PEER_OUT:
        on_out(server, peer_ring_conn(cqe));
        break;
    case PEER_ACCEPT:
        conn = peer_ring_accepted(&server->ring, cqe, server->listener);
        if (conn != NULL)
            arm_in(server, conn);
        break;
    default:
        break;
    }
}

int main(int argc, char **argv)
{
    static struct server server;
    bool plain;
    server.listener = peer_listen(peer_arguments(argc, argv, "--plain", &plain));
    server.starved_end = &server.starved;
    peer_ring_open(&server.ring);
    bool incremental = peer_pool_open(&server.pool, &server.ring, !plain);
    peer_ring_accept(&server.ring, server.listener);
    peer_announce(server.listener,
                  incremental
                      ? "io_uring DEFER_TASKRUN, multishot recv, 4 x 64 KiB incremental, send(2)"
                      : "io_uring DEFER_TASKRUN, multishot recv, 32 x 16 KiB, send(2)");
    for (;;) {
        const struct io_uring_cqe *cqe;
        unsigned head, count = 0;
        peer_ring_wait(&server.ring);
        io_uring_for_each_cqe(&server.ring, head, cqe)
        {
            dispatch(&server, cqe);
            count++;
        }
        io_uring_cq_advance(&server.ring, count);
        if (__builtin_expect(server.starved != NULL, 0))
            feed_starved(&server);
    }
}
