/* SPDX-License-Identifier: MIT */
/*
 * recv -- the receiving calls: one loop of waiting for input and reading, three deliveries.
 *
 * What the ring has brought is read first. A recv(2) is tried at once only if something says that there is data: the first time, after a full
 * read, after a completion. Otherwise the task waits first; trying always costs more than it saves.
 */
#include <errno.h>
#include <string.h>

#include "base/require.h"
#include "net/net.h"
#include "task/loan.h"
#include "weir/error.h"

enum { LEN_MAX = 1 << 30 };

/* Takes the reader's seat; one task at a time. */
static inline __attribute__((always_inline)) int begin(weir_sock handle, struct wi_task **task,
                                                       struct wi_sock **sock)
{
    int rc = wi_sock_begin(handle, task, sock);
    if (rc < 0)
        return rc;
    if ((*sock)->reader != NULL)
        return -EBUSY;
    (*sock)->reader = *task;
    return 0;
}

static void end(struct wi_sock *sock, struct wi_task *task)
{
    sock->reader = NULL;
    if (__builtin_expect(sock->patience.word != 0, 0))
        sock->patience = wi_patience_of(sock->recv_timeout);
    if (sock->phase != WI_SOCK_OPEN)
        wi_sock_advance(sock);
    wi_task_completed_inline(task);
}

/* A read that brought no bytes: the end, an error, or nothing after all. */
static __attribute__((noinline)) ssize_t read_nothing(struct wi_sock *sock, ssize_t got)
{
    wi_sock_note_error(sock, (int)got);
    if (got == 0 || sock->error == got) {
        sock->ended = true; /* an end that was seen stays one, whatever a send hears later */
        sock->end = sock->error;
        return sock->end;
    }
    if (got == -EAGAIN) { /* an error or end that is over: an edge will tell the next one */
        sock->hung_up = false;
        sock->readable = false;
    } /* else more may be there: a read may fail for want of memory */
    return got;
}

/* One read: what an earlier completion has heard, else by recv(2). */
static ssize_t read_socket(struct wi_sock *sock, void *buf, size_t len)
{
    struct wi_net *net = sock->net;
    struct wi_backend *be = net->core->engine.be;
    struct wi_req req = {.opcode = WI_OP_RECV,
                         .fd = sock->fd,
                         .word = sock->word,
                         .mem = buf,
                         .len = len < LEN_MAX ? (uint32_t)len : LEN_MAX};
    ssize_t got = sock->heard;
    sock->heard = 0;
    if (__builtin_expect(got == 0, 1)) {
        wi_assert(!wi_sock_ring_armed(sock)); /* two receives would mix the bytes up (RX5) */
        got = be->ops->try(be, &req);
    }
    if (__builtin_expect(got <= 0, 0))
        return read_nothing(sock, got);
    if (got < (ssize_t)req.len) /* else something may be left */
        sock->readable = false;
    if (net->held != NULL)
        wi_sock_learn(sock, got, req.len);
    return got;
}

/* One read: bytes, 0 at the end, -EAGAIN when there was nothing after all, or the error. */
static ssize_t read_once(struct wi_sock *sock, void *buf, size_t len)
{
    struct wi_net *net = sock->net;
    if (sock->held.total > 0)
        return (ssize_t)wi_held_take(&sock->held, net->held, net->core->engine.be, buf, len);
    return sock->ended ? sock->end : read_socket(sock, buf, len);
}

static ssize_t read_some(struct wi_sock *sock, struct wi_task *task, void *buf, size_t len)
{
    ssize_t got = -EAGAIN;
    while (got == -EAGAIN) {
        int rc = sock->ended ? 0 : wi_sock_wait_readable(sock, task);
        if (rc < 0)
            return rc;
        got = read_once(sock, buf, len);
    }
    return got;
}

ssize_t weir_recv(weir_sock handle, void *buf, size_t len)
{
    struct wi_task *task;
    struct wi_sock *sock;
    ssize_t got = begin(handle, &task, &sock);
    if (got < 0)
        return got;
    got = len == 0 ? -EINVAL : read_some(sock, task, buf, len);
    end(sock, task);
    return got;
}

ssize_t weir_recv_exact(weir_sock handle, void *buf, size_t len)
{
    struct wi_task *task;
    struct wi_sock *sock;
    ssize_t got = begin(handle, &task, &sock);
    if (got < 0)
        return got;
    size_t have = 0;
    while (have < len) {
        got = read_some(sock, task, (char *)buf + have, len - have);
        if (got <= 0)
            break;
        have += (size_t)got;
        if (have < len && (got = wi_task_interrupted(task)) < 0)
            break;
    }
    end(sock, task);
    if (have == len)
        return (ssize_t)len;
    task->done = have;
    return got == 0 ? -ENODATA : got;
}

static bool is_closing(struct wi_patience *patience)
{
    return wi_container_of(patience, struct wi_sock, patience)->phase != WI_SOCK_OPEN;
}

/* Received bytes are lent as they lie, if they lie in one piece. */
static bool lend_held(struct wi_sock *sock, struct wi_task *task, struct weir_buf *out)
{
    struct wi_held *held = &sock->held;
    if (held->total == 0 || held->len != held->total || held->len > WI_RECV_BUF_BYTES ||
        !wi_loan_place(task, held->at, held->len, out))
        return false;
    held->total = 0;
    return true;
}

/* A buffer is borrowed only once there is something to put into it. */
static ssize_t borrow_and_read(struct wi_sock *sock, struct wi_task *task, struct weir_buf *out)
{
    ssize_t got = -EAGAIN;
    while (got == -EAGAIN) {
        int rc = sock->ended ? 0 : wi_sock_wait_readable(sock, task);
        if (rc == 0 && lend_held(sock, task, out))
            return (ssize_t)out->len;
        if (rc == 0)
            rc = wi_loan_take(task, out, &sock->patience, is_closing);
        if (rc < 0)
            return rc;
        got = read_once(sock, (void *)(uintptr_t)out->data, WI_RECV_BUF_BYTES); // NOLINT
        if (got <= 0)
            weir_buf_release(out);
    }
    if (got > 0)
        out->len = (size_t)got;
    return got;
}

ssize_t weir_recv_buf(weir_sock handle, struct weir_buf *out)
{
    struct wi_task *task;
    struct wi_sock *sock;
    *out = (struct weir_buf){0};
    ssize_t got = begin(handle, &task, &sock);
    if (got < 0)
        return got;
    got = borrow_and_read(sock, task, out);
    end(sock, task);
    return got;
}
