/* SPDX-License-Identifier: MIT */
/* sock -- a socket's life, kicks and buffers; the contract is in sock.h. */
#include "backend/sim/sock.h"

#include <errno.h>
#include <stdlib.h>

#include "base/require.h"

void wi_sim_sock_note(const struct wi_sim_sock *sock, enum wi_sim_net_note what, uint32_t value)
{
    uint64_t port = sock->domain == AF_UNIX ? 0 : sock->local.port;
    uint64_t node = sock->file.node->index;
    wi_sim_note(wi_sim_sock_world(sock), what, node << 48 | port << 32 | value);
}

static void kick_later(struct wi_sim_world *world, struct wi_sim_event *event)
{
    struct wi_sim_sock *sock = wi_container_of(event, struct wi_sim_sock, kick);
    (void)world;
    uint32_t events = sock->kicked;
    sock->kicked = 0;
    wi_sim_sock_kick_now(sock, events);
}

ssize_t wi_sim_sock_attempt(struct wi_sim_file *file, struct wi_sim_core *core,
                            const struct wi_req *req)
{
    const struct wi_sim_sock_kind *kind = (const void *)file->ops;
    struct wi_sim_sock *sock = wi_sim_sock_of(file);
    (void)core;
    if (sock->gone)
        return -EBADF;
    switch (req->opcode) {
    case WI_OP_RECV:
        return kind->recv(sock, req);
    case WI_OP_SEND:
    case WI_OP_SENDMSG:
        return kind->send(sock, req);
    case WI_OP_CONNECT:
        return kind->connect(sock, req);
    case WI_OP_ACCEPT:
        return kind->accept != NULL ? kind->accept(sock) : -EOPNOTSUPP;
    default:
        return -EOPNOTSUPP;
    }
}

struct wi_sim_sock *wi_sim_sock_new(struct wi_sim_node *node, int domain, int type)
{
    struct wi_sim_sock *sock = calloc(1, sizeof *sock);
    if (sock == NULL)
        return NULL;
    const struct wi_sim_sock_kind *kind = type == SOCK_DGRAM  ? &wi_sim_dgram_kind
                                          : domain == AF_UNIX ? &wi_sim_unix_kind
                                                              : &wi_sim_stream_kind;
    wi_sim_file_init(&sock->file, node, &kind->ops, WI_SIM_SOCKET);
    sock->domain = domain;
    sock->type = type;
    if (domain != AF_UNIX)
        sock->local = wi_sim_inet_any(domain);
    sock->kick.fn = kick_later;
    wi_list_init(&sock->queue);
    wi_list_init(&sock->queue_entry);
    wi_list_init(&sock->flights);
    wi_list_init(&sock->arrived);
    wi_sim_options_init(sock);
    wi_list_push_back(&node->sockets, &sock->entry);
    return sock;
}

void wi_sim_sock_free(struct wi_sim_sock *sock)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    wi_assert(wi_list_empty(&sock->queue) && wi_list_empty(&sock->queue_entry));
    wi_assert(wi_list_empty(&sock->arrived));
    wi_sim_event_clear(world, &sock->kick);
    wi_sim_event_clear(world, &sock->arrival);
    wi_sim_event_clear(world, &sock->give_up);
    wi_sim_event_clear(world, &sock->keepalive);
    wi_sim_event_clear(world, &sock->syn);
    wi_sim_pipe_free(&sock->in);
    wi_list_remove(&sock->entry);
    free(sock);
}

void wi_sim_sock_settle(struct wi_sim_sock *sock)
{
    struct wi_sim_sock *peer = sock->peer;
    if (peer != NULL) {
        if (!wi_sim_sock_is_over(sock) || !wi_sim_sock_is_over(peer))
            return;
        if (sock->in.count > 0 || peer->in.count > 0)
            return;
        sock->peer = peer->peer = NULL;
        if (peer->released)
            wi_sim_sock_free(peer);
    }
    if (sock->released && wi_list_empty(&sock->flights))
        wi_sim_sock_free(sock);
}

void wi_sim_sock_kick_now(struct wi_sim_sock *sock, uint32_t events)
{
    if (!sock->released && !sock->gone)
        wi_sim_file_kick(&sock->file, events);
}

void wi_sim_sock_kick(struct wi_sim_sock *sock, uint32_t events)
{
    if (sock->released || sock->gone)
        return;
    sock->kicked |= events;
    if (!wi_sim_event_is_set(&sock->kick))
        wi_sim_event_set(wi_sim_sock_world(sock), &sock->kick, wi_sim_sock_now(sock));
}

int wi_sim_sock_error(struct wi_sim_sock *sock)
{
    int error = sock->error;
    sock->error = 0;
    return -error;
}

uint32_t wi_sim_sock_cut_named(struct wi_sim_sock *sock, uint32_t len, wi_odds odds,
                               const char *name, uint32_t events)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    if (len < 2 || !wi_strikes_named(&world->choices, WI_SIM_NETWORK, odds, name))
        return len;
    wi_sim_sock_kick(sock, events);
    return len - 1 - (uint32_t)wi_choose(&world->choices, WI_SIM_NETWORK, len - 1);
}

void wi_sim_gather_init(struct wi_sim_gather *gather, const struct wi_req *req)
{
    if (req->opcode == WI_OP_SENDMSG) {
        const struct msghdr *message = req->mem;
        gather->iov = message->msg_iov;
        gather->count = message->msg_iovlen;
    } else {
        gather->one = (struct iovec){.iov_base = req->mem, .iov_len = req->len};
        gather->iov = &gather->one;
        gather->count = 1;
    }
    gather->len = 0;
    for (size_t i = 0; i < gather->count; i++)
        gather->len += gather->iov[i].iov_len;
}

void wi_sim_gather_put(const struct wi_sim_gather *gather, size_t at, size_t len,
                       struct wi_sim_sock *to)
{
    struct wi_sim_world *world = wi_sim_sock_world(to);
    for (size_t i = 0; i < gather->count && len > 0; i++) {
        const struct iovec *iov = &gather->iov[i];
        if (at >= iov->iov_len) {
            at -= iov->iov_len;
            continue;
        }
        size_t part = iov->iov_len - at < len ? iov->iov_len - at : len;
        const char *from = (const char *)iov->iov_base + at;
        wi_sim_note(world, WI_SIM_NOTE_SENT, wi_sim_digest(from, part));
        wi_sim_pipe_put(&to->in, from, (uint32_t)part);
        len -= part;
        at = 0;
    }
}
