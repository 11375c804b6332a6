/* SPDX-License-Identifier: MIT */
/* net -- handles, opening and the end of a core's network; the drawing is in net.h. */
#include "net/net.h"

#include <errno.h>

#include "base/require.h"
#include "net/listener.h"
#include "net/resolve.h"

int wi_handle_find(uint64_t bits, enum wi_handle_kind kind, struct wi_slab_node **out)
{
    struct wi_core *core = wi_core_self;
    if (core == NULL)
        return -EPERM;
    const struct wi_slab *slab = kind == WI_HANDLE_SOCK ? &core->net->socks : &core->net->listeners;
    *out = wi_handle_in(slab, core->id, kind, bits);
    return *out != NULL ? 0 : wi_handle_refuse(core->id, bits);
}

int wi_sock_refuse(weir_sock handle)
{
    struct wi_slab_node *node;
    int rc = wi_handle_find(handle.bits, WI_HANDLE_SOCK, &node);
    return rc < 0 ? rc : -EBADF; /* it is closing */
}

void wi_net_open(struct wi_net *net, struct wi_core *core, const struct wi_net_config *config)
{
    uint64_t seed = core->engine.be->ops->entropy(core->engine.be);
    *net = (struct wi_net){.core = core, .config = *config, .lookup = wi_lookup};
    wi_slab_init(&net->socks, sizeof(struct wi_sock), config->sockets_max, seed);
    wi_slab_init(&net->listeners, sizeof(struct wi_listener), config->sockets_max, seed >> 32);
    wi_list_init(&net->open);
    wi_list_init(&net->closing);
    wi_list_init(&net->listening);
    wi_list_init(&net->resolutions);
    net->held = wi_held_table(core->engine.be);
    core->net = net;
}

static void report_forgotten(struct wi_net *net, const char *what, const void *origin)
{
    net->stats.forgotten++;
    wi_log(net->core->log, WEIR_LOG_WARN,
           "a %s made at %p is still open at the end of the run; closed", what, origin);
}

void wi_net_begin_close(struct wi_net *net)
{
    net->stopping = true;
    for (struct wi_list *at; (at = net->listening.next) != &net->listening;) {
        struct wi_listener *listener = wi_container_of(at, struct wi_listener, link);
        report_forgotten(net, "listener", listener->origin);
        wi_listener_close(listener);
    }
    for (struct wi_list *at; (at = net->open.next) != &net->open;) {
        struct wi_sock *sock = wi_container_of(at, struct wi_sock, link);
        report_forgotten(net, "socket", sock->origin);
        wi_sock_close(sock, net->config.linger_ns, false);
    }
}

bool wi_net_ended(const struct wi_net *net)
{
    return net->socks.live == 0 && net->listeners.live == 0;
}

void wi_net_close(struct wi_net *net)
{
    wi_assert(wi_net_ended(net));
    wi_net_discard(net);
}

void wi_net_discard(struct wi_net *net)
{
    wi_slab_discard(&net->socks);
    wi_slab_discard(&net->listeners);
    wi_resolutions_discard(net);
    wi_held_table_free(net->core->engine.be, net->held);
    net->held = NULL; /* a node may lose its power when this was closed, and the core was not */
    net->core->net = NULL;
}

void wi_net_hurry(struct wi_net *net)
{
    struct wi_list batch;
    net->hurry = true;
    wi_list_init(&batch);
    wi_list_splice_back(&batch, &net->closing);
    for (struct wi_list *at; (at = wi_list_pop_front(&batch)) != NULL;) {
        struct wi_sock *sock = wi_container_of(at, struct wi_sock, link);
        wi_list_push_back(&net->closing, at);
        wi_alarm_clear(&net->core->engine, &sock->linger);
        wi_sock_advance(sock);
    }
}

bool wi_net_lingers(struct wi_net *net)
{
    for (struct wi_list *at = net->closing.next; at != &net->closing; at = at->next) {
        struct wi_sock *sock = wi_container_of(at, struct wi_sock, link);
        if (sock->phase != WI_SOCK_DISARM && wi_timer_armed(&sock->linger.timer))
            return true;
    }
    return false;
}

static void give_up(struct wi_slab *slab, int (*fd_of)(struct wi_slab_node *node),
                    struct wi_backend *be)
{
    for (uint32_t i = 0; i < slab->made; i++) {
        struct wi_slab_node *node = wi_slab_at(slab, i);
        struct wi_ctl close = {.what = WI_CTL_ABANDON, .fd = node->live ? fd_of(node) : -1};
        if (close.fd >= 0)
            (void)be->ops->ctl(be, &close);
    }
    wi_slab_keep(slab);
}

static int fd_of_sock(struct wi_slab_node *node)
{
    return wi_container_of(node, struct wi_sock, node)->fd;
}

static int fd_of_listener(struct wi_slab_node *node)
{
    return wi_container_of(node, struct wi_listener, node)->fd;
}

void wi_net_abandon(struct wi_net *net)
{
    struct wi_backend *be = net->core->engine.be;
    give_up(&net->socks, fd_of_sock, be);
    give_up(&net->listeners, fd_of_listener, be);
    net->core->net = NULL;
}
