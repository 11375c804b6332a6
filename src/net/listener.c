/* SPDX-License-Identifier: MIT */
/* listener -- mechanism of accepting and closing; the drawing is in listener.h. */
#include "net/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "base/require.h"
#include "net/address.h"
#include "net/options.h"

enum {
    UNCLAIMED_MAX = 16,
    FAILURES_AT_ONCE = 16 /* errors of single connections before it takes a breath */
};

#define BACKOFF_MIN (5 * WEIR_MS)
#define BACKOFF_MAX (500 * WEIR_MS)

struct accepter {
    struct wi_wait wait;
    struct wi_list link; /* in listener->waiters; alone once served */
    struct wi_task *task;
    const struct wi_listener *listener;
    struct wi_sock *sock;
};

static void arm(struct wi_listener *listener)
{
    if (wi_op_idle(&listener->accept) && !listener->closing && listener->error == 0 &&
        !wi_timer_armed(&listener->backoff.timer) && listener->unclaimed_count < UNCLAIMED_MAX)
        wi_op_start(&listener->net->core->engine, &listener->accept);
}

static void fail_waiters(struct wi_listener *listener)
{
    for (struct wi_list *at = listener->waiters.next; at != &listener->waiters; at = at->next)
        wi_task_wake(wi_container_of(at, struct accepter, link)->task);
}

/* Hands a new connection to the first waiter, or keeps it. */
static void take_in(struct wi_listener *listener, int fd)
{
    struct wi_net *net = listener->net;
    struct wi_sock *sock;
    int rc = wi_sock_new(net, fd, listener->is_tcp, listener->origin, &sock);
    if (rc < 0) {
        net->stats.refused++;
        wi_log(net->core->log, WEIR_LOG_WARN, "a connection was refused: %s, %u sockets open",
               rc == -EMFILE ? "sockets_max is reached" : "out of memory", net->socks.live);
        wi_fd_close(net->core, fd);
        return;
    }
    net->stats.accepted++;
    if (!listener
             ->is_tcp) /* TCP hands its options on to what is accepted (tcp(7)), unix does not */
        (void)wi_tcp_opts_apply(net->core, fd, false, &listener->opts);
    sock->readable = true; /* a client that speaks first has often spoken by now */
    struct wi_list *first = wi_list_pop_front(&listener->waiters);
    if (first != NULL) {
        struct accepter *accepter = wi_container_of(first, struct accepter, link);
        accepter->sock = sock;
        wi_task_wake(accepter->task);
        return;
    }
    wi_list_remove(&sock->link);
    wi_list_push_back(&listener->unclaimed, &sock->link);
    if (++listener->unclaimed_count >= UNCLAIMED_MAX)
        wi_op_cancel(&net->core->engine, &listener->accept);
}

/* accept(2) passes on what happened to a connection before it was accepted, and lists which errors
 * to treat like EAGAIN; EPERM is a firewall's. */
static bool is_of_one_connection(int error)
{
    switch (-error) {
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
    case EINTR:
    case EAGAIN:
        return true;
    default:
        return false;
    }
}

static bool is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

static void note_failure(struct wi_listener *listener, int error)
{
    struct wi_core *core = listener->net->core;
    if (is_of_one_connection(error) && ++listener->failures < FAILURES_AT_ONCE)
        return;
    if (!is_of_one_connection(error) && !is_shortage(error)) {
        listener->error = error;
        fail_waiters(listener);
        return;
    }
    listener->backoff_ns = listener->backoff_ns == 0 ? BACKOFF_MIN : listener->backoff_ns * 2;
    if (listener->backoff_ns > BACKOFF_MAX)
        listener->backoff_ns = BACKOFF_MAX;
    wi_log(core->log, WEIR_LOG_WARN, "accept: %s; again in %lld ms", strerrorname_np(-error),
           (long long)(listener->backoff_ns / WEIR_MS));
    wi_alarm_set(&core->engine, &listener->backoff,
                 wi_engine_after(&core->engine, listener->backoff_ns));
}

static void accepted(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    struct wi_listener *listener = wi_container_of(op, struct wi_listener, accept);
    (void)engine;
    if (res >= 0 && listener->closing) {
        wi_fd_close(listener->net->core, res);
    } else if (res >= 0) {
        listener->failures = 0;
        listener->backoff_ns = 0;
        take_in(listener, res);
    } else if (res != -ECANCELED) {
        note_failure(listener, res);
    }
    if (more)
        return;
    if (listener->closing)
        wi_listener_advance(listener);
    else
        arm(listener); /* while a handful may still be taken in, somebody claims them soon */
}

static void breath_taken(struct wi_engine *engine, struct wi_alarm *alarm)
{
    (void)engine;
    arm(wi_container_of(alarm, struct wi_listener, backoff));
}

int wi_listener_new(struct wi_net *net, int fd, bool is_tcp, struct wi_listener **out)
{
    struct wi_engine *engine = &net->core->engine;
    struct wi_slab_node *node = wi_slab_alloc(&net->listeners);
    if (node == NULL)
        return net->listeners.live >= net->listeners.live_max ? -EMFILE : -ENOMEM;
    void *word;
    int rc = wi_engine_reserve(engine, 1);
    if (rc == 0 && (rc = engine->be->ops->attach(engine->be, fd, &word)) < 0)
        wi_engine_unreserve(engine, 1);
    if (rc < 0) {
        wi_slab_free(&net->listeners, node);
        return rc;
    }
    struct wi_listener *listener = wi_container_of(node, struct wi_listener, node);
    struct wi_slab_node name = *node;
    *listener = (struct wi_listener){.node = name,
                                     .net = net,
                                     .fd = fd,
                                     .word = word,
                                     .is_tcp = is_tcp,
                                     .backoff = {.fn = breath_taken}};
    listener->accept.fn = accepted;
    listener->accept.req =
        (struct wi_req){.opcode = WI_OP_ACCEPT, .flags = WI_REQ_MULTI, .fd = fd, .word = word};
    wi_list_init(&listener->unclaimed);
    wi_list_init(&listener->waiters);
    wi_list_push_back(&net->listening, &listener->link);
    net->core->sources++;
    arm(listener);
    *out = listener;
    return 0;
}

static struct wi_sock *claim(struct wi_listener *listener)
{
    struct wi_list *first = wi_list_pop_front(&listener->unclaimed);
    if (first == NULL)
        return NULL;
    struct wi_sock *sock = wi_container_of(first, struct wi_sock, link);
    listener->unclaimed_count--;
    wi_list_push_back(&listener->net->open, &sock->link);
    return sock;
}

static void tell_accept(struct wi_wait *wait, struct wi_wait_about *about)
{
    about->object = wi_container_of(wait, struct accepter, wait)->listener;
    about->fd = wi_container_of(wait, struct accepter, wait)->listener->fd;
}

static const struct wi_wait_kind accepts = {
    .interrupt = wi_wait_wake, .what = "to accept", .outside = true, .tell = tell_accept};

static int wait_for_connection(struct wi_listener *listener, struct wi_task *task,
                               struct wi_sock **out)
{
    struct accepter accepter = {.wait = {.kind = &accepts}, .task = task, .listener = listener};
    int rc = 0;
    wi_list_push_back(&listener->waiters, &accepter.link);
    arm(listener);
    while (rc == 0 && accepter.sock == NULL) {
        wi_task_park(task, &accepter.wait);
        if (accepter.sock != NULL)
            break;
        rc = listener->closing ? -EBADF : listener->error;
        if (rc == 0)
            rc = wi_task_interrupted(task);
    }
    wi_list_remove(&accepter.link);
    *out = accepter.sock;
    if (listener->closing)
        wi_listener_advance(listener);
    return accepter.sock != NULL ? 0 : rc;
}

static int find(weir_listener handle, struct wi_listener **out)
{
    struct wi_slab_node *node;
    int rc = wi_handle_find(handle.bits, WI_HANDLE_LISTENER, &node);
    if (rc < 0)
        return rc;
    *out = wi_container_of(node, struct wi_listener, node);
    return (*out)->closing ? -EBADF : 0;
}

int weir_accept(weir_listener handle, weir_sock *out)
{
    struct wi_task *task;
    struct wi_listener *listener;
    struct wi_sock *sock = NULL;
    out->bits = 0;
    int rc = wi_wait_begin(&task);
    if (rc == 0)
        rc = find(handle, &listener);
    if (rc != 0)
        return rc;
    if (wi_list_empty(&listener->waiters))
        sock = claim(listener);
    if (sock == NULL && listener->error < 0)
        return listener->error;
    if (sock == NULL)
        rc = wait_for_connection(listener, task, &sock);
    if (rc < 0)
        return rc;
    out->bits = wi_handle(task->core, WI_HANDLE_SOCK, &sock->node);
    wi_task_completed_inline(task);
    return 0;
}

int weir_listener_addr(weir_listener handle, struct weir_addr *out)
{
    struct wi_listener *listener;
    int rc = find(handle, &listener);
    if (rc == 0)
        *out = listener->bound;
    return rc;
}

/* ---- closing ---- */

/* Removes the path only while it is still the socket that we made: a successor may have replaced
 * it. */
static void unlink_path(struct wi_listener *listener)
{
    struct sockaddr_un sun;
    uint64_t inode[2];
    if (listener->inode[1] == 0)
        return;
    memcpy(&sun, listener->bound.bytes, sizeof sun);
    struct wi_ctl stat = {.what = WI_CTL_STATPATH, .mem = sun.sun_path, .aux = inode};
    if (wi_control(listener->net->core, stat) == 0 && inode[0] == listener->inode[0] &&
        inode[1] == listener->inode[1])
        (void)wi_control(listener->net->core,
                         (struct wi_ctl){.what = WI_CTL_UNLINK, .mem = sun.sun_path});
}

void wi_listener_close(struct wi_listener *listener)
{
    struct wi_net *net = listener->net;
    listener->closing = true;
    listener->net->core->sources--;
    wi_alarm_clear(&net->core->engine, &listener->backoff);
    wi_list_remove(&listener->link);
    unlink_path(listener);
    for (struct wi_sock *sock; (sock = claim(listener)) != NULL;) {
        net->stats.refused++;
        wi_sock_close(sock, 0, true);
    }
    fail_waiters(listener);
    wi_op_cancel(&net->core->engine, &listener->accept);
    wi_listener_advance(listener);
}

void wi_listener_advance(struct wi_listener *listener)
{
    struct wi_net *net = listener->net;
    struct wi_engine *engine = &net->core->engine;
    if (!wi_op_idle(&listener->accept))
        return;
    if (listener->fd >= 0) {
        engine->be->ops->detach(engine->be, listener->fd, listener->word);
        wi_fd_close(net->core, listener->fd);
        listener->fd = -1;
        wi_engine_unreserve(engine, 1);
        if (listener->closer != NULL)
            wi_task_wake(listener->closer);
    }
    if (wi_list_empty(&listener->waiters) && listener->closer == NULL)
        wi_slab_free(&net->listeners, &listener->node);
}

static const struct wi_wait_kind closes_listener = {.what = "to close a listener", .outside = true};

int weir_listener_close(weir_listener *handle)
{
    struct wi_wait wait = {.kind = &closes_listener};
    struct wi_core *core = wi_core_self;
    struct wi_listener *listener;
    if (core == NULL || core->current == NULL)
        return -EPERM;
    if (handle->bits == 0)
        return 0;
    int rc = find(*handle, &listener);
    if (rc == -EXDEV)
        return rc;
    handle->bits = 0;
    if (rc < 0)
        return rc;
    listener->closer = core->current;
    wi_listener_close(listener);
    while (listener->fd >= 0)
        wi_task_park(core->current, &wait);
    listener->closer = NULL;
    wi_listener_advance(listener);
    return 0;
}
