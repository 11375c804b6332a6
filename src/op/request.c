/* SPDX-License-Identifier: MIT */
/* send -- mechanism; the states are drawn in send.h. */
#include "op/send.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "base/require.h"

enum {
    RETRIES = 8,
    ELEMENTS_MAX = IOV_MAX,
    CHUNK_MAX = 1 << 30 /* a request's length is 32 bits and a completion's count is signed */
};

/* Moves past elements that are finished, empty ones too. */
static void skip_finished(struct wi_send *send)
{
    while (send->count > 0 && send->offset == send->iov->iov_len) {
        send->iov++;
        send->count--;
        send->offset = 0;
    }
}

static void advance(struct wi_send *send, size_t bytes)
{
    send->done += bytes;
    while (bytes > 0) {
        wi_assert(send->count > 0); /* else more was sent than asked */
        size_t left = send->iov->iov_len - send->offset;
        size_t step = bytes < left ? bytes : left;
        send->offset += step;
        bytes -= step;
        skip_finished(send);
    }
}

/* The next request: the rest of a cut or lone element, or all the whole elements that follow, which
 * `msg` then lists. */
static struct wi_req describe(const struct wi_send *send, uint32_t msg_flags, struct msghdr *msg)
{
    struct wi_req req = {.fd = send->fd, .word = send->word, .msg_flags = msg_flags};
    if (send->offset > 0 || send->count == 1 || send->iov->iov_len > CHUNK_MAX) {
        size_t left = send->iov->iov_len - send->offset;
        req.opcode = WI_OP_SEND;
        req.mem = (char *)send->iov->iov_base + send->offset;
        req.len = left < CHUNK_MAX ? (uint32_t)left : CHUNK_MAX;
        return req;
    }
    unsigned take = 0;
    for (size_t bytes = 0; take < send->count && take < ELEMENTS_MAX; take++) {
        bytes += send->iov[take].iov_len;
        if (bytes > CHUNK_MAX)
            break;
    }
    *msg = (struct msghdr){
        .msg_iov = (struct iovec *)(uintptr_t)send->iov, // NOLINT: msghdr is not const-correct
        .msg_iovlen = take,
    };
    req.opcode = WI_OP_SENDMSG;
    req.mem = msg;
    req.len = 1;
    return req;
}

static void completed(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more);

static void stage_next(struct wi_engine *engine, struct wi_send *send)
{
    send->op.fn = completed;
    if (send->stuck < RETRIES)
        send->op.req = describe(send, MSG_WAITALL, &send->msg);
    else
        send->op.req = (struct wi_req){
            .opcode = WI_OP_POLL, .events = POLLOUT, .fd = send->fd, .word = send->word};
    wi_op_start(engine, &send->op);
}

static void completed(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    struct wi_send *send = wi_container_of(op, struct wi_send, op);
    wi_assert(!more);
    if (op->req.opcode == WI_OP_POLL) {
        send->stuck = 0;
        res = res < 0 && res != -EINTR ? res : -EAGAIN; /* room or an error: the send will tell */
    } else if (res > 0) {
        send->stuck = 0;
        advance(send, (size_t)res);
    } else {
        send->stuck++;
    }
    if (send->count == 0)
        send->finish(engine, send, 0);
    else if (res < 0 && res != -EAGAIN && res != -EINTR)
        send->finish(engine, send, res);
    else if (send->canceled)
        send->finish(engine, send, -ECANCELED);
    else
        stage_next(engine, send);
}

void wi_send_init(struct wi_send *send, int fd, void *word, const struct iovec *iov, unsigned count,
                  size_t gone)
{
    send->iov = iov;
    send->fd = fd;
    send->word = word;
    send->count = count;
    send->offset = 0;
    send->done = 0;
    send->stuck = 0;
    send->canceled = false;
    send->op.state = WI_OP_IDLE;
    skip_finished(send);
    advance(send, gone);
}

int wi_send_try(struct wi_engine *engine, struct wi_send *send)
{
    struct msghdr msg;
    while (send->count > 0) {
        struct wi_req req = describe(send, 0, &msg);
        size_t asked = req.opcode == WI_OP_SEND ? req.len : 0;
        ssize_t sent = engine->be->ops->try(engine->be, &req);
        if (sent < 0)
            return (int)sent;
        advance(send, (size_t)sent);
        if (asked > 0 && (size_t)sent < asked)
            return -EAGAIN; /* the buffer is full: another attempt now is a wasted call */
    }
    return 0;
}

void wi_send_start(struct wi_engine *engine, struct wi_send *send)
{
    stage_next(engine, send);
}

void wi_send_cancel(struct wi_engine *engine, struct wi_send *send)
{
    send->canceled = true;
    wi_op_cancel(engine, &send->op);
}
