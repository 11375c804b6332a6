/* SPDX-License-Identifier: MIT */
/* stage -- from a request of the seam to a submission entry. */
#include <errno.h>

#include "backend/uring/uring.h"
#include "base/require.h"

/* A place in the queue, flushed once if it is full. NULL when the kernel takes nothing now (out of
 * memory for requests, or a signal): the reason will be seen by the next enter. */
static struct io_uring_sqe *next_entry(struct wi_ring *ring)
{
    if (wi_ring_staged(ring) == ring->sq_entries) {
        (void)wi_ring_enter(ring, 0, 0);
        if (wi_ring_staged(ring) == ring->sq_entries)
            return NULL;
    }
    return &ring->sqes[ring->tail++ & (ring->sq_entries - 1)];
}

static void prepare_poll(struct wi_uring *uring, struct io_uring_sqe *sqe, uint64_t token,
                         const struct wi_req *req)
{
    if ((req->flags & WI_REQ_MULTI) != 0 &&
        (uring->base.caps.features & WEIR_CAP_MULTISHOT_POLL) != 0) {
        io_uring_prep_poll_multishot(sqe, req->fd, req->events);
        return;
    }
    io_uring_prep_poll_add(sqe, req->fd, req->events);
    if (req->fd == uring->base.wake_fd) {
        uring->wake_drains = true;
        uring->wake_token = token;
    }
}

static void prepare_accept(const struct wi_uring *uring, struct io_uring_sqe *sqe,
                           const struct wi_req *req)
{
    const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    if ((req->flags & WI_REQ_MULTI) != 0 &&
        (uring->base.caps.features & WEIR_CAP_MULTISHOT_ACCEPT) != 0)
        io_uring_prep_multishot_accept(sqe, req->fd, NULL, NULL, flags);
    else
        io_uring_prep_accept(sqe, req->fd, NULL, NULL, flags);
}

static void prepare_recv(const struct wi_uring *uring, struct io_uring_sqe *sqe,
                         const struct wi_req *req)
{
    if ((req->flags & WI_REQ_MULTI) == 0) {
        io_uring_prep_recv(sqe, req->fd, req->mem, req->len, (int)req->msg_flags);
        return;
    }
    wi_assert((uring->base.caps.features & WEIR_CAP_BUFFER_RING) != 0 && req->mem == NULL);
    io_uring_prep_recv_multishot(sqe, req->fd, NULL, 0, (int)req->msg_flags);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = WI_AREA_GROUP;
}

static void prepare(struct wi_uring *uring, struct io_uring_sqe *sqe, uint64_t token,
                    const struct wi_req *req)
{
    const int msg_flags = (int)req->msg_flags;
    switch (req->opcode) {
    case WI_OP_NOP:
        io_uring_prep_nop(sqe);
        break;
    case WI_OP_POLL:
        prepare_poll(uring, sqe, token, req);
        break;
    case WI_OP_ACCEPT:
        prepare_accept(uring, sqe, req);
        break;
    case WI_OP_CONNECT:
        io_uring_prep_connect(sqe, req->fd, req->mem, req->len);
        break;
    case WI_OP_RECV:
        prepare_recv(uring, sqe, req);
        break;
    case WI_OP_SEND:
        io_uring_prep_send(sqe, req->fd, req->mem, req->len, msg_flags | MSG_NOSIGNAL);
        break;
    case WI_OP_SENDMSG:
        /* Never WRITEV: that one raises SIGPIPE. */
        io_uring_prep_sendmsg(sqe, req->fd, req->mem, req->msg_flags | MSG_NOSIGNAL);
        break;
    default:
        wi_assert(!"an operation of the seam");
    }
}

int wi_uring_stage(struct wi_backend *be, uint64_t token, const struct wi_req *req)
{
    struct wi_uring *uring = wi_uring_of(be);
    wi_assert((token & WI_TOKEN_CANCEL) == 0);
    struct io_uring_sqe *sqe = next_entry(&uring->ring);
    if (sqe == NULL)
        return -EAGAIN;
    prepare(uring, sqe, token, req);
    sqe->user_data = token;
    return 0;
}

int wi_uring_cancel(struct wi_backend *be, uint64_t token)
{
    struct io_uring_sqe *sqe = next_entry(&wi_uring_of(be)->ring);
    if (sqe == NULL)
        return -EAGAIN;
    io_uring_prep_cancel64(sqe, token, 0);
    sqe->user_data = token | WI_TOKEN_CANCEL;
    return 0;
}
