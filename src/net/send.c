/* SPDX-License-Identifier: MIT */
/*
 * send -- the sending calls: writers queue up, the front one drives the send machine.
 *
 *     writers:  front (owns sock->send) -> next -> ...      whole messages, in the order of the calls
 *
 * A message that broke off behind its first byte tears the stream: what follows it would be read as
 * its rest.
 */
#include <errno.h>
#include <limits.h>

#include "base/require.h"
#include "net/net.h"
#include "weir/error.h"

struct writer {
    struct wi_wait wait;
    struct wi_list link; /* in sock->writers */
    struct wi_task *task;
    struct wi_sock *sock;
    bool finished;
    int rc;
};

static bool is_front(const struct writer *writer)
{
    return writer->sock->writers.next == &writer->link;
}

/* Leaves the queue and lets the next writer have the front. */
static void leave(struct writer *writer)
{
    struct wi_sock *sock = writer->sock;
    bool was_front = is_front(writer);
    wi_list_remove(&writer->link);
    if (was_front && !wi_list_empty(&sock->writers))
        wi_task_wake(wi_container_of(sock->writers.next, struct writer, link)->task);
    if (sock->phase != WI_SOCK_OPEN)
        wi_sock_advance(sock);
}

void wi_sock_send_home(struct wi_sock *sock)
{
    for (struct wi_list *at = sock->writers.next; at != &sock->writers; at = at->next)
        if (at != sock->writers.next)
            wi_task_wake(wi_container_of(at, struct writer, link)->task);
}

static int wait_for_front(struct writer *writer)
{
    while (!is_front(writer)) {
        wi_task_park(writer->task, &writer->wait);
        int rc = writer->sock->phase != WI_SOCK_OPEN ? -EBADF : wi_task_interrupted(writer->task);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void finished(struct wi_engine *engine, struct wi_send *send, int rc)
{
    struct wi_sock *sock = wi_container_of(send, struct wi_sock, send);
    struct writer *writer = wi_container_of(sock->writers.next, struct writer, link);
    (void)engine;
    writer->rc = rc;
    writer->finished = true;
    wi_task_wake(writer->task);
}

static void interrupt_send(struct wi_task *task, struct wi_wait *wait)
{
    struct writer *writer = wi_container_of(wait, struct writer, wait);
    (void)task;
    wi_send_cancel(&writer->sock->net->core->engine, &writer->sock->send);
}

/* The rest goes through the backend; the kernel has our memory until `finished` ran (I1). */
static int send_rest(struct writer *writer)
{
    struct wi_sock *sock = writer->sock;
    writer->wait.interrupt = interrupt_send;
    sock->send.finish = finished;
    wi_send_start(&sock->net->core->engine, &sock->send);
    while (!writer->finished)
        wi_task_park(writer->task, &writer->wait);
    if (writer->rc != -ECANCELED)
        return writer->rc;
    int rc = wi_task_interrupted(writer->task);
    return rc < 0 ? rc : -EBADF; /* else the close's budget was spent */
}

static int send_message(struct writer *writer, const struct iovec *iov, unsigned count)
{
    struct wi_sock *sock = writer->sock;
    if (sock->torn)
        return WEIR_ETORN;
    if (sock->write_shut)
        return -EPIPE;
    wi_send_init(&sock->send, sock->fd, sock->word, iov, count);
    int rc = wi_send_try(&sock->net->core->engine, &sock->send);
    if (rc == -EAGAIN)
        rc = send_rest(writer);
    if (rc < 0) {
        wi_sock_note_error(sock, rc);
        writer->task->done = sock->send.done;
        sock->torn |= sock->send.done > 0;
    }
    return rc;
}

static int send_all(weir_sock handle, const struct iovec *iov, unsigned count)
{
    struct wi_task *task;
    struct wi_sock *sock;
    int rc = wi_sock_begin(handle, &task, &sock);
    if (rc < 0)
        return rc;
    struct writer writer = {.wait = {.interrupt = wi_wait_wake}, .task = task, .sock = sock};
    wi_list_push_back(&sock->writers, &writer.link);
    rc = wait_for_front(&writer);
    if (rc == 0)
        rc = send_message(&writer, iov, count);
    leave(&writer);
    if (rc == 0)
        wi_task_completed_inline(task);
    return rc;
}

int weir_send(weir_sock sock, const void *buf, size_t len)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len}; // NOLINT
    return send_all(sock, &iov, 1);
}

int weir_sendv(weir_sock sock, const struct iovec *iov, int count)
{
    struct wi_task *task;
    if (count >= 0)
        return send_all(sock, iov, (unsigned)count);
    int rc = wi_wait_begin(&task);
    return rc < 0 ? rc : -EINVAL;
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
    struct writer writer = {.wait = {.interrupt = wi_wait_wake}, .task = task, .sock = sock};
    wi_list_push_back(&sock->writers, &writer.link);
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
