/* SPDX-License-Identifier: MIT */
/*
 * close -- the one way a socket ends, whoever ends it.
 *
 *     OPEN --close--> FLUSH    a send under way goes on; writers behind it were sent home
 *                       | all sent                          | budget spent, or torn
 *                       v                                   v
 *                     LINGER   FIN is out; input dropped    (reset: no FIN)
 *                       | peer's FIN or error, or budget    |
 *                       v                                   v
 *                     DISARM   the last completion of `input`; the last parked task leaves
 *                       |
 *                     descriptor closed, object free
 *
 * wi_sock_advance looks at where the socket is and takes every step that can be taken; it is called
 * when anything changed. weir_close returns once FLUSH is over: what follows touches no memory of
 * the caller. The descriptor is closed after `input` has let go of it, since an armed one would keep
 * the connection open and the peer would wait for the end in vain (CL1). What the ring received is
 * given back when the close begins, and from then on as it comes: a RECV that is armed drops the
 * input of LINGER by itself.
 */
#include <errno.h>
#include <poll.h>

#include "base/canary.h"
#include "base/require.h"
#include "net/net.h"

enum {
    DROP_AT_ONCE = 64 * 1024, /* bytes dropped per look, so that a flood cannot keep the core */
    DROP_CHUNK = 4096
};

static int control(struct wi_sock *sock, struct wi_ctl ctl)
{
    struct wi_backend *be = sock->net->core->engine.be;
    ctl.fd = sock->fd;
    return be->ops->ctl(be, &ctl);
}

static bool budget_spent(const struct wi_sock *sock)
{
    return !wi_timer_armed(&sock->linger.timer);
}

enum drop { DROP_EMPTY, DROP_MORE, DROP_ENDED };

/* Reads and drops what is there; ENDED when the peer has ended, one way or the other. */
static enum drop drop_input(struct wi_sock *sock)
{
    struct wi_backend *be = sock->net->core->engine.be;
    char chunk[DROP_CHUNK];
    struct wi_req req = {.opcode = WI_OP_RECV,
                         .fd = sock->fd,
                         .word = sock->word,
                         .mem = chunk,
                         .len = sizeof chunk};
    for (size_t dropped = 0; dropped < DROP_AT_ONCE && !sock->ended;) {
        ssize_t got = sock->heard != 0 ? sock->heard : be->ops->try(be, &req);
        if (got == -EAGAIN)
            return DROP_EMPTY;
        if (got <= 0)
            sock->ended = true;
        else
            dropped += (size_t)got;
    }
    return sock->ended ? DROP_ENDED : DROP_MORE;
}

static void look_again(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    (void)engine;
    (void)res;
    (void)more;
    wi_sock_advance(wi_container_of(op, struct wi_sock, look));
}

/* No edge will tell of input that was left unread: the next turn looks for itself. */
static void look_next_turn(struct wi_sock *sock)
{
    if (!wi_op_idle(&sock->look))
        return;
    sock->look.fn = look_again;
    sock->look.req = (struct wi_req){.opcode = WI_OP_NOP};
    wi_op_start(&sock->net->core->engine, &sock->look);
}

static void finish(struct wi_sock *sock)
{
    struct wi_net *net = sock->net;
    struct wi_backend *be = net->core->engine.be;
    wi_assert(sock->held.total == 0);
    if (sock->torn && sock->is_tcp) {
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        (void)control(sock, (struct wi_ctl){.what = WI_CTL_SETOPT,
                                            .a = SOL_SOCKET,
                                            .b = SO_LINGER,
                                            .mem = &reset,
                                            .len = sizeof reset});
    }
    net->stats.reset += sock->torn;
    wi_alarm_clear(&net->core->engine, &sock->linger);
    be->ops->detach(be, sock->fd, sock->word);
    (void)control(sock, (struct wi_ctl){.what = WI_CTL_CLOSE});
    wi_engine_unreserve(&net->core->engine, 2);
    wi_list_remove(&sock->link);
    wi_slab_free(&net->socks, &sock->node);
}

static void step_flush(struct wi_sock *sock)
{
    if (!wi_list_empty(&sock->writers)) {
        if (budget_spent(sock)) {
            sock->net->stats.unflushed += !sock->torn;
            sock->torn = true;
            wi_sock_cancel_send(sock);
        }
        return;
    }
    if (!sock->torn && !sock->write_shut)
        (void)control(sock, (struct wi_ctl){.what = WI_CTL_SHUTDOWN, .a = SHUT_WR});
    sock->write_shut = true;
    sock->phase = sock->torn ? WI_SOCK_DISARM : WI_SOCK_LINGER;
    if (sock->closer != NULL)
        wi_task_wake(sock->closer);
}

static void step_linger(struct wi_sock *sock)
{
    wi_sock_look_for_end(sock);
    enum drop drop = wi_sock_ring_armed(sock) ? DROP_EMPTY : drop_input(sock);
    if (drop == DROP_ENDED || budget_spent(sock))
        sock->phase = WI_SOCK_DISARM;
    else if (drop == DROP_MORE)
        look_next_turn(sock);
    else
        wi_sock_arm(sock);
}

static void step_disarm(struct wi_sock *sock)
{
    bool idle = wi_op_idle(&sock->input);
    if (!idle)
        wi_op_cancel(&sock->net->core->engine, &sock->input);
    if (!idle && !WI_CANARY(SLOT_AT_CLOSE))
        return;
    if (wi_op_idle(&sock->look) && sock->reader == NULL && sock->closer == NULL)
        finish(sock);
}

void wi_sock_advance(struct wi_sock *sock)
{
    if (sock->phase == WI_SOCK_FLUSH)
        step_flush(sock);
    if (sock->phase == WI_SOCK_LINGER)
        step_linger(sock);
    if (sock->phase == WI_SOCK_DISARM)
        step_disarm(sock);
}

void wi_sock_close(struct wi_sock *sock, weir_ns budget, bool reset)
{
    struct wi_net *net = sock->net;
    struct wi_engine *engine = &net->core->engine;
    wi_assert(sock->phase == WI_SOCK_OPEN);
    sock->phase = WI_SOCK_FLUSH;
    sock->torn |= reset;
    wi_list_remove(&sock->link);
    wi_list_push_back(&net->closing, &sock->link);
    if (!sock->torn && budget > 0 && !net->hurry)
        wi_alarm_set(engine, &sock->linger, wi_engine_after(engine, budget));
    if (sock->reader != NULL)
        wi_task_wake(sock->reader);
    (void)wi_held_take(&sock->held, net->held, engine->be, NULL, sock->held.total);
    wi_sock_send_home(sock);
    wi_sock_advance(sock);
}

struct closer {
    struct wi_wait wait;
    const struct wi_sock *sock;
};

static void tell_close(struct wi_wait *wait, struct wi_wait_about *about)
{
    const struct wi_sock *sock = wi_container_of(wait, struct closer, wait)->sock;
    about->fd = sock->fd;
    about->object = sock;
}

static const struct wi_wait_kind closes = {
    .what = "to close a socket", .outside = true, .tell = tell_close};

int weir_close(weir_sock *handle)
{
    struct wi_core *core = wi_core_self;
    struct wi_slab_node *node;
    if (core == NULL || core->current == NULL)
        return -EPERM;
    if (handle->bits == 0)
        return 0;
    int rc = wi_handle_find(handle->bits, WI_HANDLE_SOCK, &node);
    if (rc == -EXDEV)
        return rc;
    handle->bits = 0;
    struct wi_sock *sock = rc < 0 ? NULL : wi_container_of(node, struct wi_sock, node);
    if (sock == NULL || sock->phase != WI_SOCK_OPEN)
        return -EBADF;
    struct wi_task *task = core->current;
    const struct wi_net_config *config = &core->net->config;
    sock->closer = task;
    wi_sock_close(sock,
                  wi_task_interrupted(task) < 0 ? config->linger_canceled_ns : config->linger_ns,
                  false);
    struct closer closer = {.wait = {.kind = &closes}, .sock = sock};
    while (sock->phase == WI_SOCK_FLUSH)
        wi_task_park(task, &closer.wait);
    sock->closer = NULL;
    wi_sock_advance(sock);
    return 0;
}
