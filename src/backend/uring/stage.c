/* SPDX-License-Identifier: MIT */
/* stage -- from a request of the seam to a submission entry. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* statx */
#endif
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/uring/uring.h"
#include "base/require.h"

enum { COPY_AT_ONCE = 1 << 20 };

/* Whether the queue has this many places, after a flush if it must be. False when the kernel takes
 * nothing now (out of memory for requests, or a signal): the reason will be seen by the next enter. */
static inline __attribute__((always_inline)) bool make_room(struct wi_ring *ring, unsigned places)
{
    if (__builtin_expect(ring->sq_entries - wi_ring_staged(ring) >= places, 1))
        return true;
    (void)wi_ring_enter(ring, 0, 0);
    return ring->sq_entries - wi_ring_staged(ring) >= places;
}

static struct io_uring_sqe *next_entry(struct wi_ring *ring)
{
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

static void prepare_path(struct io_uring_sqe *sqe, const struct wi_req *req)
{
    switch (req->opcode) {
    case WI_OP_OPEN:
        io_uring_prep_openat(sqe, AT_FDCWD, req->mem, (int)req->msg_flags | O_CLOEXEC,
                             (mode_t)req->len);
        break;
    case WI_OP_CLOSE:
        io_uring_prep_close(sqe, req->fd);
        break;
    case WI_OP_RENAME:
        io_uring_prep_renameat(sqe, AT_FDCWD, req->mem, AT_FDCWD, req->to, 0);
        break;
    case WI_OP_UNLINK:
        io_uring_prep_unlinkat(sqe, AT_FDCWD, req->mem, (int)req->msg_flags);
        break;
    case WI_OP_STAT:
        io_uring_prep_statx(
            sqe, req->path == NULL ? req->fd : AT_FDCWD, req->path == NULL ? "" : req->path,
            req->path == NULL ? AT_EMPTY_PATH : 0, STATX_TYPE | STATX_SIZE, req->mem);
        break;
    default:
        wi_assert(!"an operation of the seam");
    }
}

static void prepare_file(struct io_uring_sqe *sqe, const struct wi_req *req)
{
    switch (req->opcode) {
    case WI_OP_READ:
        io_uring_prep_read(sqe, req->fd, req->mem, req->len, req->off);
        break;
    case WI_OP_WRITE:
        io_uring_prep_write(sqe, req->fd, req->mem, req->len, req->off);
        break;
    case WI_OP_FSYNC:
        io_uring_prep_fsync(sqe, req->fd,
                            (req->msg_flags & WI_SYNC_DATA) != 0 ? IORING_FSYNC_DATASYNC : 0);
        break;
    case WI_OP_RAW:
        memcpy(sqe, req->mem, sizeof *sqe);
        break;
    default:
        prepare_path(sqe, req);
    }
    /* What is in the cache is copied by whoever submits, and a core has more to do than that. */
    if (req->opcode != WI_OP_RAW && req->len > COPY_AT_ONCE)
        sqe->flags |= IOSQE_ASYNC;
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
        prepare_file(sqe, req);
    }
    sqe->user_data = token;
}

int wi_uring_stage(struct wi_backend *be, uint64_t token, const struct wi_req *req)
{
    struct wi_uring *uring = wi_uring_of(be);
    wi_assert((token & WI_TOKEN_CANCEL) == 0);
    if (__builtin_expect(req->opcode == WI_OP_CALL, 0))
        return wi_offload_stage(&uring->offload, token, req);
    if (!make_room(&uring->ring, 1))
        return -EAGAIN;
    prepare(uring, next_entry(&uring->ring), token, req);
    return 0;
}

/* All places are had before the first is filled: a link that was left on a last entry would bind
 * whatever is staged next to this chain. */
int wi_uring_chain(struct wi_backend *be, const uint64_t *token, const struct wi_req *const *req,
                   unsigned count)
{
    struct wi_uring *uring = wi_uring_of(be);
    wi_assert(count > 0 && count <= be->chain_max);
    if (!make_room(&uring->ring, count))
        return -EAGAIN;
    for (unsigned i = 0; i < count; i++) {
        struct io_uring_sqe *sqe = next_entry(&uring->ring);
        prepare(uring, sqe, token[i], req[i]);
        sqe->flags |= i + 1 < count ? IOSQE_IO_LINK : 0;
    }
    return 0;
}

/* A link would bind what others stage next; its token and its buffers are ours to choose; and one
 * that completes in silence would never end. */
int wi_uring_approve(const void *entry)
{
    struct io_uring_sqe sqe;
    const unsigned refused =
        IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
    memcpy(&sqe, entry, sizeof sqe);
    return (sqe.flags & refused) != 0 || sqe.user_data != 0 ? -EINVAL : 0;
}

/* Moving it is silent when it works: a completion would end the wait that it is for. It fails when the
 * alarm is about to complete. */
bool wi_uring_set_alarm(struct wi_uring *uring, weir_ns at)
{
    if (!make_room(&uring->ring, 1))
        return false;
    struct io_uring_sqe *sqe = next_entry(&uring->ring);
    uring->alarm_time =
        (struct __kernel_timespec){.tv_sec = at / WEIR_SEC, .tv_nsec = at % WEIR_SEC};
    if (uring->alarm_flying) {
        io_uring_prep_timeout_update(sqe, &uring->alarm_time, WI_URING_ALARM, IORING_TIMEOUT_ABS);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = WI_URING_ALARM | WI_TOKEN_CANCEL;
    } else {
        io_uring_prep_timeout(sqe, &uring->alarm_time, 0, IORING_TIMEOUT_ABS);
        sqe->user_data = WI_URING_ALARM;
    }
    uring->alarm_flying = true;
    return true;
}

int wi_uring_cancel(struct wi_backend *be, uint64_t token)
{
    struct wi_ring *ring = &wi_uring_of(be)->ring;
    if (wi_offload_cancel(&wi_uring_of(be)->offload, token))
        return 0;
    if (!make_room(ring, 1))
        return -EAGAIN;
    struct io_uring_sqe *sqe = next_entry(ring);
    io_uring_prep_cancel64(sqe, token, 0);
    sqe->user_data = token | WI_TOKEN_CANCEL;
    return 0;
}
