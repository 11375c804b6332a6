/* SPDX-License-Identifier: MIT */
/*
 * send -- the sending calls: one message at a time, whole, in the order of the calls.
 *
 *     nobody is sending   try inline --all--> done; this touches one cache line of the socket
 *                             | the rest has to wait
 *                             v
 *     writers:            front (its machine runs) -> next -> ...
 *
 * The machine (op/request.h) lies in the writer's frame: its task stays parked until the kernel has let
 * go of it. A message that broke off behind its first byte tears the stream: what follows it would
 * be read as its rest.
 */
#include <errno.h>
#include <limits.h>

#include "base/canary.h"
#include "base/require.h"
#include "net/net.h"
#include "op/request.h"
#include "weir/error.h"

enum { AT_ONCE_MAX = 1 << 30 }; /* bytes: a request's length is 32 bits, a result is signed */

struct writer {
    struct wi_wait wait;
    struct wi_list link; /* in sock->writers */
    struct wi_task *task;
    struct wi_sock *sock;
    bool started; /* the front one, and `send` is in the engine's hands */
    bool finished;
    int rc;
    struct wi_patience patience; /* for its turn and for room together */
    struct wi_request send;
};

static struct writer *front_of(const struct wi_sock *sock)
{
    return wi_container_of(sock->writers.next, struct writer, link);
}

static void tell_send(struct wi_wait *wait, struct wi_wait_about *about)
{
    const struct wi_sock *sock = wi_container_of(wait, struct writer, wait)->sock;
    about->fd = sock->fd;
    about->object = sock;
}

static const struct wi_wait_kind waits_for_turn = {
    .interrupt = wi_wait_wake, .what = "for its turn to send", .tell = tell_send};

/* Task and socket are set. */
static void join(struct writer *writer)
{
    writer->wait.kind = &waits_for_turn;
    writer->started = writer->finished = false;
    writer->patience = wi_patience_of(writer->sock->send_timeout);
    wi_list_push_back(&writer->sock->writers, &writer->link);
}

/* Leaves the queue and lets the next writer have the front. */
static void leave(struct writer *writer)
{
    struct wi_sock *sock = writer->sock;
    bool was_front = front_of(sock) == writer;
    wi_list_remove(&writer->link);
    if (was_front && !wi_list_empty(&sock->writers))
        wi_task_wake(front_of(sock)->task);
    if (sock->phase != WI_SOCK_OPEN)
        wi_sock_advance(sock);
}

void wi_sock_send_home(struct wi_sock *sock)
{
    for (struct wi_list *at = sock->writers.next; at != &sock->writers; at = at->next)
        if (at != sock->writers.next)
            wi_task_wake(wi_container_of(at, struct writer, link)->task);
}

void wi_sock_cancel_send(struct wi_sock *sock)
{
    struct writer *front = front_of(sock);
    if (front->started)
        wi_request_stop(&sock->net->core->engine, &front->send, -ECANCELED);
}

static int wait_for_front(struct writer *writer)
{
    while (front_of(writer->sock) != writer && !WI_CANARY(PARALLEL_SENDS)) {
        int rc = wi_patience_park(&writer->patience, writer->task, &writer->wait);
        if (rc == 0)
            rc = writer->sock->phase != WI_SOCK_OPEN ? -EBADF : wi_task_interrupted(writer->task);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void finished(struct wi_engine *engine, struct wi_request *send, ssize_t result,
                     unsigned flags)
{
    struct writer *writer = wi_container_of(send, struct writer, send);
    (void)engine;
    (void)flags;
    writer->rc = result < 0 ? (int)result : 0;
    wi_sock_note_error(writer->sock, writer->rc); /* a deadline's -ETIMEDOUT is not the kernel's */
    writer->finished = true;
    wi_task_wake(writer->task);
}

static void interrupt_send(struct wi_task *task, struct wi_wait *wait)
{
    struct writer *writer = wi_container_of(wait, struct writer, wait);
    (void)task;
    wi_request_stop(&writer->sock->net->core->engine, &writer->send, -ECANCELED);
}

static const struct wi_wait_kind sends = {
    .interrupt = interrupt_send, .what = "to send", .outside = true, .tell = tell_send};

/* A spent patience ends nothing by itself: the kernel has to let go first. */
static void park_sending(struct writer *writer)
{
    if (wi_patience_park(&writer->patience, writer->task, &writer->wait) == 0)
        return;
    interrupt_send(writer->task, &writer->wait);
    wi_task_park(writer->task, &writer->wait);
}

/* The rest goes through the backend; the kernel has our memory until `finished` ran (I1). */
static int send_rest(struct writer *writer)
{
    writer->wait.kind = &sends;
    writer->send.finish = finished;
    writer->started = true;
    wi_request_start(&writer->sock->net->core->engine, &writer->send);
    while (!writer->finished)
        park_sending(writer);
    if (writer->rc != -ECANCELED)
        return writer->rc;
    int rc = wi_task_interrupted(writer->task);
    if (rc == 0 && writer->patience.word == WI_PATIENCE_SPENT)
        rc = -ETIMEDOUT;
    return rc < 0 ? rc : -EBADF; /* else the close's budget was spent */
}

/* The first attempt, unless the caller has made it: `tried` is what came of that, or 0. */
static int begin_message(struct wi_sock *sock, struct wi_request *send, const struct iovec *iov,
                         unsigned count, ssize_t tried)
{
    wi_request_vector(send, sock->fd, sock->word, iov, count);
    wi_request_skip(send, tried > 0 ? (size_t)tried : 0);
    if (tried != 0)
        return tried > 0 ? -EAGAIN : (int)tried;
    if (sock->torn)
        return WEIR_ETORN;
    if (sock->write_shut)
        return -EPIPE;
    return wi_request_try(&sock->net->core->engine, send);
}

static int send_message(struct writer *writer, bool *queued, const struct iovec *iov,
                        unsigned count, ssize_t tried)
{
    struct wi_sock *sock = writer->sock;
    int rc = begin_message(sock, &writer->send, iov, count, tried);
    if (rc < 0)
        wi_sock_note_error(sock, rc);
    if (rc == -EAGAIN) {
        if (!*queued)
            join(writer);
        *queued = true;
        rc = send_rest(writer);
    }
    if (rc < 0) {
        writer->task->done = writer->send.done;
        sock->torn |= writer->send.done > 0;
    }
    return rc;
}

/* A message that may have to wait: for others, or for room. Apart, so that its frame costs nothing
 * to those that need not. */
static __attribute__((noinline)) int send_in_turn(struct wi_task *task, struct wi_sock *sock,
                                                  const struct iovec *iov, unsigned count,
                                                  ssize_t tried)
{
    struct writer writer;
    bool queued = !wi_list_empty(&sock->writers);
    int rc = 0;
    writer.task = task;
    writer.sock = sock;
    if (queued) {
        join(&writer);
        rc = wait_for_front(&writer);
    }
    if (rc == 0)
        rc = send_message(&writer, &queued, iov, count, tried);
    if (queued)
        leave(&writer);
    if (rc == 0)
        wi_task_completed_inline(task);
    return rc;
}

int weir_send(weir_sock handle, const void *buf, size_t len)
{
    struct wi_task *task;
    struct wi_sock *sock;
    int rc = wi_sock_begin(handle, &task, &sock);
    if (rc < 0)
        return rc;
    ssize_t sent = 0;
    if (__builtin_expect(wi_list_empty(&sock->writers) && !sock->torn && !sock->write_shut &&
                             len > 0 && len <= AT_ONCE_MAX,
                         1)) {
        struct wi_backend *be = sock->net->core->engine.be;
        struct wi_req req = {.opcode = WI_OP_SEND,
                             .fd = sock->fd,
                             .word = sock->word,
                             .mem =
                                 (void *)(uintptr_t)buf, // NOLINT: a request is not const-correct
                             .len = (uint32_t)len};
        sent = be->ops->try(be, &req);
        if (__builtin_expect(sent == (ssize_t)len, 1)) {
            wi_task_completed_inline(task);
            return 0;
        }
    }
    struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len}; // NOLINT
    return send_in_turn(task, sock, &iov, 1, sent);
}

int weir_sendv(weir_sock handle, const struct iovec *iov, int count)
{
    struct wi_task *task;
    struct wi_sock *sock;
    int rc = wi_sock_begin(handle, &task, &sock);
    if (rc == 0 && count < 0)
        rc = -EINVAL;
    return rc < 0 ? rc : send_in_turn(task, sock, iov, (unsigned)count, 0);
}

int weir_send_buf(weir_sock sock, struct weir_buf *buf)
{
    int rc = weir_send(sock, buf->data, buf->len);
    if (wi_core_self != NULL) /* else the loan is of a core that is not here to take it */
        weir_buf_release(buf);
    return rc;
}

int weir_shutdown_write(weir_sock handle)
{
    struct wi_task *task;
    struct wi_sock *sock;
    int rc = wi_sock_begin(handle, &task, &sock);
    if (rc < 0)
        return rc;
    struct writer writer;
    writer.task = task;
    writer.sock = sock;
    join(&writer);
    rc = wait_for_front(&writer);
    if (rc == 0 && !sock->write_shut) {
        struct wi_backend *be = sock->net->core->engine.be;
        struct wi_ctl ctl = {.what = WI_CTL_SHUTDOWN, .fd = sock->fd, .a = SHUT_WR};
        rc = sock->torn ? WEIR_ETORN : be->ops->ctl(be, &ctl);
        sock->write_shut = rc == 0;
    }
    leave(&writer);
    return rc;
}
