/* SPDX-License-Identifier: MIT */
/* sock -- making a socket object, readiness, names; sending is in send.c, the end in close.c. */
#include "net/sock.h"

#include <errno.h>
#include <poll.h>

#include "base/require.h"
#include "net/address.h"
#include "net/net.h"

enum { OPS_PER_SOCK = 2 }; /* poll; the front writer's, or after the last of them `look` */

static void polled(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    struct wi_sock *sock = wi_container_of(op, struct wi_sock, poll);
    (void)engine;
    (void)more; /* an ended multishot is armed again by the next wait */
    if (res >= 0) {
        sock->readable = true;
        sock->hung_up |= (res & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    } else if (res != -ECANCELED) {
        sock->poll_error = res;
    }
    if (sock->reader != NULL)
        wi_task_wake(sock->reader);
    if (sock->phase != WI_SOCK_OPEN)
        wi_sock_advance(sock);
}

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
    struct wi_slab_node name = *node;
    *sock = (struct wi_sock){.node = name,
                             .net = net,
                             .fd = fd,
                             .word = word,
                             .is_tcp = is_tcp,
                             .origin = origin,
                             .linger = {.fn = linger_spent}};
    sock->poll.fn = polled;
    sock->poll.req = (struct wi_req){.opcode = WI_OP_POLL,
                                     .flags = WI_REQ_MULTI,
                                     .events = POLLIN | POLLRDHUP,
                                     .fd = fd,
                                     .word = word};
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

void wi_sock_arm(struct wi_sock *sock)
{
    if (wi_op_idle(&sock->poll))
        wi_op_start(&sock->net->core->engine, &sock->poll);
}

int wi_sock_wait_readable(struct wi_sock *sock, struct wi_task *task)
{
    struct wi_wait wait = {.interrupt = wi_wait_wake};
    while (!sock->readable && !sock->hung_up) {
        if (sock->poll_error < 0)
            return sock->poll_error;
        /* Before each park: what came while the task was on its way to look at readiness that
         * turned out stale has been told already, and is not told again. */
        int rc = wi_task_interrupted(task);
        if (rc < 0)
            return rc;
        wi_sock_arm(sock);
        wi_task_park(task, &wait);
        if (sock->phase != WI_SOCK_OPEN)
            return -EBADF;
    }
    return 0;
}

static int name_of(weir_sock handle, enum wi_ctl_what what, struct weir_addr *out)
{
    struct wi_slab_node *node;
    int rc = wi_handle_find(handle.bits, WI_HANDLE_SOCK, &node);
    if (rc < 0)
        return rc;
    struct wi_sock *sock = wi_container_of(node, struct wi_sock, node);
    if (sock->phase != WI_SOCK_OPEN)
        return -EBADF;
    return wi_addr_of_fd(&sock->net->core->engine, sock->fd, what, out);
}

int weir_sock_peer(weir_sock sock, struct weir_addr *out)
{
    return name_of(sock, WI_CTL_PEERNAME, out);
}

int weir_sock_local(weir_sock sock, struct weir_addr *out)
{
    return name_of(sock, WI_CTL_LOCALNAME, out);
}
