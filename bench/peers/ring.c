/* SPDX-License-Identifier: MIT */
/* ring -- mechanism. */
#include "ring.h"
#include "listener.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { SQ_ENTRIES = 512, CQ_ENTRIES = 4 * SQ_ENTRIES };

void peer_ring_open(struct io_uring *ring)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
        .cq_entries = CQ_ENTRIES,
    };
    int rc = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);
    if (rc == 0)
        rc = io_uring_register_ring_fd(ring) == 1 ? 0 : -EINVAL;
    if (rc < 0)
        peer_die("no io_uring with SINGLE_ISSUER and DEFER_TASKRUN here", -rc);
}

struct io_uring_sqe *peer_ring_sqe(struct io_uring *ring)
{
    struct io_uring_sqe *sqe;
    while ((sqe = io_uring_get_sqe(ring)) == NULL) {
        int rc = io_uring_submit(ring);
        if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
            peer_die("io_uring_enter", -rc);
    }
    return sqe;
}

void peer_ring_accept(struct io_uring *ring, int listener)
{
    struct io_uring_sqe *sqe = peer_ring_sqe(ring);
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    peer_ring_name(sqe, NULL, PEER_ACCEPT);
}

struct peer_conn *peer_ring_accepted(struct io_uring *ring, const struct io_uring_cqe *cqe,
                                     int listener)
{
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
        peer_ring_accept(ring, listener);
    if (cqe->res == -ECONNABORTED || cqe->res == -EINTR)
        return NULL;
    struct peer_conn *conn = calloc(1, sizeof(*conn));
    if (cqe->res < 0 || conn == NULL)
        peer_die("accept", cqe->res < 0 ? -cqe->res : ENOMEM);
    conn->stream.fd = cqe->res;
    peer_no_delay(conn->stream.fd);
    return conn;
}

void peer_ring_arm_out(struct io_uring *ring, struct peer_conn *conn)
{
    struct io_uring_sqe *sqe = peer_ring_sqe(ring);
    io_uring_prep_poll_add(sqe, conn->stream.fd, POLLOUT);
    peer_ring_name(sqe, conn, PEER_OUT);
    conn->out_armed = true;
}

static void cancel(struct io_uring *ring, struct peer_conn *conn, enum peer_tag tag)
{
    struct io_uring_sqe *sqe = peer_ring_sqe(ring);
    io_uring_prep_cancel64(sqe, (uintptr_t)conn | tag, 0);
    peer_ring_name(sqe, NULL, PEER_CANCEL);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void peer_ring_cancel_in(struct io_uring *ring, struct peer_conn *conn)
{
    cancel(ring, conn, PEER_IN);
}

void peer_ring_end(struct io_uring *ring, struct peer_conn *conn)
{
    if (!conn->ending) {
        conn->ending = true;
        if (conn->in_armed)
            cancel(ring, conn, PEER_IN);
        if (conn->out_armed)
            cancel(ring, conn, PEER_OUT);
    }
    if (conn->in_armed || conn->out_armed)
        return;
    peer_stream_close(&conn->stream);
    free(conn);
}

void peer_ring_wait(struct io_uring *ring)
{
    int rc = io_uring_submit_and_wait(ring, 1);
    if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
        peer_die("io_uring_enter", -rc);
}
