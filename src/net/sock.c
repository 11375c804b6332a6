/* SPDX-License-Identifier: MIT */
/* sock -- making a socket object, hearing of input, names; sending is in send.c, the end in close.c. */
#include "net/sock.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>

#include "base/require.h"
#include "net/address.h"
#include "net/net.h"

enum { OPS_PER_SOCK = 2 }; /* input; the front writer's, or after the last of them `look` */

enum {
    LARGE = 8 * 1024,   /* more than that at a time is better read by recv(2), or is not read */
    SHORTS_FIRST = 16,  /* short reads in a row before the ring is tried again, the first time */
    SHORTS_MOST = 4096, /* and however often it was in vain */
};

#define LINE_OF(member) (offsetof(struct wi_sock, member) / 64)
_Static_assert(LINE_OF(writers.prev) == 0, "the first line: who sends and receives");
_Static_assert(LINE_OF(held) == 1 && LINE_OF(patience) == 1 && LINE_OF(input.req.opcode) == 1,
               "the second: what comes in");

/* ---- hearing of input ---- */

static void tell(struct wi_sock *sock)
{
    if (sock->reader != NULL)
        wi_task_wake(sock->reader);
    if (sock->phase != WI_SOCK_OPEN)
        wi_sock_advance(sock);
}

static void polled(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    struct wi_sock *sock = wi_container_of(op, struct wi_sock, input);
    (void)engine;
    (void)more; /* an ended multishot is armed again by the next wait */
    if (res >= 0) {
        sock->hung_up |= (res & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
        sock->readable = true;
    } else if (res != -ECANCELED) {
        sock->heard = res;
        sock->readable = true;
    }
    tell(sock);
}

/* Each time it comes to this, coming back takes longer: who is large now and then settles down. */
static void leave_ring(struct wi_sock *sock)
{
    sock->by_ring = false;
    sock->shorts_left = sock->shorts_wanted;
    if (sock->shorts_wanted < SHORTS_MOST)
        sock->shorts_wanted *= 2;
}

void wi_sock_learn(struct wi_sock *sock, ssize_t got, size_t asked)
{
    if (got > LARGE && sock->by_ring)
        leave_ring(sock);
    else if (got > LARGE)
        sock->shorts_left = sock->shorts_wanted;
    else if (!sock->by_ring && sock->shorts_left > 0 && got > 0 && (size_t)got < asked)
        sock->by_ring = --sock->shorts_left == 0;
}

/* Bytes that no task will read any more go back at once. What piles up, in one large message or
 * because nobody reads, stays in the kernel from here on (RX9). */
static void keep(struct wi_sock *sock, uint32_t at, uint32_t len)
{
    struct wi_engine *engine = &sock->net->core->engine;
    if (sock->look_for_end == WI_SOCK_LOOK_LATER)
        sock->look_for_end = WI_SOCK_LOOK_NOW;
    if (sock->phase != WI_SOCK_OPEN) {
        engine->be->ops->give(engine->be, at, len);
        return;
    }
    wi_held_add(&sock->held, sock->net->held, at, len);
    if (sock->held.total > LARGE && sock->by_ring) {
        leave_ring(sock);
        wi_op_cancel(engine, &sock->input);
    }
}

static void received(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    struct wi_sock *sock = wi_container_of(op, struct wi_sock, input);
    if ((engine->flags & WI_CQE_DATA) != 0)
        keep(sock, wi_cqe_at(engine->flags), (uint32_t)res);
    if (!more) {
        sock->readable = true;
        if (res == -ENOBUFS)
            leave_ring(sock);
        else if (res < 0 && res != -ECANCELED)
            sock->heard = res;
    }
    tell(sock);
}

static void start_input(struct wi_sock *sock)
{
    struct wi_req req = {.flags = WI_REQ_MULTI, .fd = sock->fd, .word = sock->word};
    req.opcode = sock->by_ring ? WI_OP_RECV : WI_OP_POLL;
    req.events = sock->by_ring ? 0 : POLLIN | POLLRDHUP;
    sock->look_for_end = sock->by_ring ? WI_SOCK_LOOK_LATER : WI_SOCK_LOOK_NOT;
    sock->input.fn = sock->by_ring ? received : polled;
    sock->input.req = req;
    wi_op_start(&sock->net->core->engine, &sock->input);
}

void wi_sock_arm(struct wi_sock *sock)
{
    if (wi_op_idle(&sock->input))
        start_input(sock);
    else if (sock->by_ring && sock->input.req.opcode == WI_OP_POLL)
        wi_op_cancel(&sock->net->core->engine, &sock->input); /* its end brings us here again */
}

void wi_sock_look_for_end(struct wi_sock *sock)
{
    struct wi_engine *engine = &sock->net->core->engine;
    char byte;
    struct wi_req req = {.opcode = WI_OP_RECV,
                         .fd = sock->fd,
                         .word = sock->word,
                         .mem = &byte,
                         .len = 1,
                         .msg_flags = MSG_PEEK}; /* takes no byte from the RECV */
    if (sock->look_for_end != WI_SOCK_LOOK_NOW || !wi_sock_ring_armed(sock))
        return;
    ssize_t got = engine->be->ops->try(engine->be, &req);
    if (got > 0)
        return; /* the RECV will bring it; then again */
    sock->look_for_end = WI_SOCK_LOOK_NOT;
    if (got == -EAGAIN)
        return;
    sock->heard = (int)got;
    wi_op_cancel(engine, &sock->input);
}

struct reader {
    struct wi_wait wait;
    const struct wi_sock *sock;
};

static void tell_receive(struct wi_wait *wait, struct wi_wait_about *about)
{
    const struct wi_sock *sock = wi_container_of(wait, struct reader, wait)->sock;
    about->fd = sock->fd;
    about->object = sock;
}

static const struct wi_wait_kind receives = {
    .interrupt = wi_wait_wake, .what = "to receive", .outside = true, .tell = tell_receive};

int wi_sock_wait_readable(struct wi_sock *sock, struct wi_task *task)
{
    struct reader reader = {.wait = {.kind = &receives}, .sock = sock};
    while (sock->held.total == 0 && !sock->readable && !sock->hung_up) {
        /* Before each park: what came while the task was on its way to look at readiness that
         * turned out stale has been told already, and is not told again. */
        int rc = wi_task_interrupted(task);
        if (rc < 0)
            return rc;
        if (sock->look_for_end == WI_SOCK_LOOK_NOW)
            wi_sock_look_for_end(sock);
        wi_sock_arm(sock);
        rc = wi_patience_park(&sock->patience, task, &reader.wait);
        if (rc < 0)
            return rc;
        if (sock->phase != WI_SOCK_OPEN)
            return -EBADF;
    }
    return 0;
}

/* ---- the object ---- */

static void linger_spent(struct wi_engine *engine, struct wi_alarm *alarm)
{
    (void)engine;
    wi_sock_advance(wi_container_of(alarm, struct wi_sock, linger));
}

int wi_sock_new(struct wi_net *net, int fd, bool is_tcp, const void *origin, struct wi_sock **out)
{
    struct wi_engine *engine = &net->core->engine;
    struct wi_slab_node *node = wi_slab_alloc(&net->socks);
    if (node == NULL)
        return net->socks.live >= net->socks.live_max ? -EMFILE : -ENOMEM;
    struct wi_sock *sock = wi_container_of(node, struct wi_sock, node);
    void *word;
    int rc = wi_engine_reserve(engine, OPS_PER_SOCK);
    if (rc < 0) {
        wi_slab_free(&net->socks, node);
        return rc;
    }
    rc = engine->be->ops->attach(engine->be, fd, &word);
    if (rc < 0) {
        wi_engine_unreserve(engine, OPS_PER_SOCK);
        wi_slab_free(&net->socks, node);
        return rc;
    }
    /* Of a unix socket the kernel may lose the end behind data: it has no word for "the end is next"
     * there, as TCP has (docs/design/receive.md). */
    bool has_ring = is_tcp && net->held != NULL;
    struct wi_slab_node name = *node;
    *sock = (struct wi_sock){.node = name,
                             .net = net,
                             .fd = fd,
                             .word = word,
                             .is_tcp = is_tcp,
                             .by_ring = has_ring,
                             .shorts_wanted = has_ring ? SHORTS_FIRST : 0,
                             .patience = wi_patience_of(net->config.recv_timeout_ns),
                             .recv_timeout = net->config.recv_timeout_ns,
                             .send_timeout = net->config.send_timeout_ns,
                             .origin = origin,
                             .linger = {.fn = linger_spent}};
    wi_list_init(&sock->writers);
    wi_list_push_back(&net->open, &sock->link);
    *out = sock;
    return 0;
}

/* The others are of the call (out of memory), or repeat themselves (EPIPE). */
void wi_sock_note_error(struct wi_sock *sock, int result)
{
    switch (-result) {
    case ECONNRESET:
    case ECONNABORTED:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
        if (sock->error == 0)
            sock->error = result;
        break;
    default:
        break;
    }
}

/* ---- calls that do not wait ---- */

/* The open socket of a handle: 0, -EBADF, -EXDEV, or -EPERM outside the runtime. */
static int find(weir_sock handle, struct wi_sock **out)
{
    struct wi_slab_node *node;
    int rc = wi_handle_find(handle.bits, WI_HANDLE_SOCK, &node);
    if (rc < 0)
        return rc;
    *out = wi_container_of(node, struct wi_sock, node);
    return (*out)->phase == WI_SOCK_OPEN ? 0 : -EBADF;
}

static int name_of(weir_sock handle, enum wi_ctl_what what, struct weir_addr *out)
{
    struct wi_sock *sock;
    int rc = find(handle, &sock);
    return rc < 0 ? rc : wi_addr_of_fd(&sock->net->core->engine, sock->fd, what, out);
}

int weir_sock_peer(weir_sock sock, struct weir_addr *out)
{
    return name_of(sock, WI_CTL_PEERNAME, out);
}

int weir_sock_local(weir_sock sock, struct weir_addr *out)
{
    return name_of(sock, WI_CTL_LOCALNAME, out);
}

int weir_sock_set_recv_timeout(weir_sock handle, weir_ns timeout)
{
    struct wi_sock *sock;
    int rc = find(handle, &sock);
    if (rc == 0 && timeout < 0)
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    sock->recv_timeout = timeout;
    if (sock->reader == NULL)
        sock->patience = wi_patience_of(timeout);
    else if (sock->patience.word == 0) /* who waits goes on as he began, and then it is renewed */
        sock->patience.word = WEIR_FOREVER;
    return 0;
}

int weir_sock_set_send_timeout(weir_sock handle, weir_ns timeout)
{
    struct wi_sock *sock;
    int rc = find(handle, &sock);
    if (rc == 0 && timeout < 0)
        rc = -EINVAL;
    if (rc == 0)
        sock->send_timeout = timeout;
    return rc;
}
