/* SPDX-License-Identifier: MIT */
/*
 * dgram -- datagrams, UDP and unix: each arrives as it was sent, or not at all.
 *
 *     UDP:   sender's flights --latency; loss, dup, reorder--> receiver's queue, or dropped; no port:
 *            back to the sender as -ECONNREFUSED, if it is connected
 *     unix:  at once into the receiver's queue; -EAGAIN where that is full
 *
 * A datagram in flight belongs to the socket that sent it, which lives as long, though closed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP */
#endif
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "backend/sim/sock.h"
#include "backend/sim/wire.h"

#define LATE_NS_MAX (10 * WEIR_MS) /* how much later one comes that others overtake */

enum {
    ALL_EVENTS = POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP,
    UDP_BYTES_MAX = 65507,
    UNIX_QUEUE_MAX = 10, /* net.unix.max_dgram_qlen */
    UNIX_OVERHEAD = 32,  /* of a send buffer, of which one datagram may take the rest: unix(7) */
    OVERHEAD = 256       /* what a datagram takes of a receive buffer besides its bytes */
};

struct dgram {
    struct wi_list link; /* of its sender's flights, or its receiver's queue */
    struct wi_sim_event arrival;
    struct wi_sim_sock *sender;
    struct wi_sim_inet from, to;
    bool unreachable; /* on its way back: nobody has that port */
    uint32_t len;
    char bytes[];
};

static struct dgram *dgram_at(struct wi_list *link)
{
    return wi_container_of(link, struct dgram, link);
}

static struct dgram *dgram_new(const struct wi_sim_gather *gather)
{
    struct dgram *dgram = malloc(sizeof *dgram + gather->len);
    if (dgram == NULL)
        return NULL;
    *dgram = (struct dgram){.len = (uint32_t)gather->len};
    wi_list_init(&dgram->link);
    char *to = dgram->bytes;
    for (size_t i = 0; i < gather->count; to += gather->iov[i++].iov_len)
        if (gather->iov[i].iov_len > 0)
            memcpy(to, gather->iov[i].iov_base, gather->iov[i].iov_len);
    return dgram;
}

static void dgram_free(struct wi_sim_world *world, struct dgram *dgram)
{
    wi_sim_event_clear(world, &dgram->arrival);
    wi_list_remove(&dgram->link);
    free(dgram);
}

/* ---- arriving ---- */

static bool has_room(const struct wi_sim_sock *sock, uint32_t len)
{
    return sock->arrived_bytes + len + OVERHEAD <= sock->options.recv_buf;
}

static void receive(struct wi_sim_sock *sock, struct dgram *dgram)
{
    wi_list_remove(&dgram->link);
    wi_list_push_back(&sock->arrived, &dgram->link);
    sock->arrived_bytes += dgram->len + OVERHEAD;
    sock->arrived_count++;
    wi_sim_sock_note(sock, WI_SIM_NOTE_DGRAM, dgram->len);
    wi_sim_sock_kick(sock, POLLIN);
}

static void lose(struct dgram *dgram)
{
    struct wi_sim_sock *sender = dgram->sender;
    wi_sim_sock_note(sender, WI_SIM_NOTE_DGRAM_LOST, dgram->len);
    dgram_free(wi_sim_sock_world(sender), dgram);
    wi_sim_sock_settle(sender);
}

/* The answer of a host that has nobody at the port (RFC 1122, 4.1.3.3); only one that is connected
 * hears of it. */
static void tell_unreachable(struct dgram *dgram)
{
    struct wi_sim_sock *sender = dgram->sender;
    if (sender->state == WI_SIM_CONNECTED && wi_sim_inet_same(&sender->remote, &dgram->to)) {
        sender->error = ECONNREFUSED;
        wi_sim_sock_kick(sender, POLLIN | POLLOUT | POLLERR);
    }
    dgram_free(wi_sim_sock_world(sender), dgram);
    wi_sim_sock_settle(sender);
}

static struct wi_sim_node *node_of(const struct dgram *dgram)
{
    const struct wi_sim_node *from = dgram->sender->file.node;
    return from->world->node[wi_sim_inet_route(&dgram->to, from)];
}

static void deliver(struct dgram *dgram)
{
    struct wi_sim_sock *sender = dgram->sender;
    struct wi_sim_world *world = wi_sim_sock_world(sender);
    struct wi_sim_node *node = node_of(dgram);
    struct wi_sim_sock *sock = wi_sim_port_find(node, SOCK_DGRAM, &dgram->to, &dgram->from);
    if (sock == NULL) {
        dgram->unreachable = true;
        wi_sim_event_set(world, &dgram->arrival,
                         world->now + wi_sim_wire_latency(node, sender->file.node));
    } else if (!has_room(sock, dgram->len)) {
        lose(dgram);
    } else {
        receive(sock, dgram);
        wi_sim_sock_settle(sender);
    }
}

static enum wi_sim_passage look(const struct dgram *dgram, weir_ns *until)
{
    const struct wi_sim_node *from = dgram->sender->file.node, *to = node_of(dgram);
    return dgram->unreachable ? wi_sim_wire_look(to, from, until)
                              : wi_sim_wire_look(from, to, until);
}

static void arrive(struct wi_sim_world *world, struct wi_sim_event *event)
{
    struct dgram *dgram = wi_container_of(event, struct dgram, arrival);
    weir_ns until = 0;
    switch (look(dgram, &until)) {
    case WI_SIM_LOST:
        lose(dgram);
        return;
    case WI_SIM_HELD:
        return;
    case WI_SIM_CLOGGED:
        wi_sim_event_set(world, event, until);
        return;
    case WI_SIM_PASSES:
        break;
    }
    if (dgram->unreachable)
        tell_unreachable(dgram);
    else
        deliver(dgram);
}

void wi_sim_dgram_link_changed(struct wi_sim_sock *sock, const struct wi_sim_node *to)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    for (struct wi_list *at = sock->flights.next; at != &sock->flights; at = at->next) {
        struct dgram *dgram = dgram_at(at);
        if (node_of(dgram) == to && !wi_sim_event_is_set(&dgram->arrival))
            wi_sim_event_set(world, &dgram->arrival, world->now);
    }
}

/* ---- sending, UDP ---- */

static int fly(struct wi_sim_sock *sock, const struct wi_sim_gather *gather,
               const struct wi_sim_inet *to, struct wi_sim_node *node)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    struct dgram *dgram = dgram_new(gather);
    if (dgram == NULL)
        return -ENOMEM;
    dgram->sender = sock;
    dgram->to = *to;
    dgram->from = sock->local;
    if (wi_sim_inet_is_any(&sock->local)) {
        dgram->from = wi_sim_inet_source(to, sock->file.node);
        dgram->from.port = sock->local.port;
    }
    dgram->arrival.fn = arrive;
    wi_list_push_back(&sock->flights, &dgram->link);
    weir_ns at = wi_sim_wire_send(sock->file.node, node, dgram->len);
    if (wi_sim_fault(world, WI_SIM_NETWORK, world->faults.dgram_reorder))
        at += 1 + (weir_ns)wi_choose(&world->choices, WI_SIM_NETWORK, (uint64_t)LATE_NS_MAX);
    else if (at < sock->in.last) /* else in their order */
        at = sock->in.last;
    else
        sock->in.last = at;
    wi_sim_event_set(world, &dgram->arrival, at);
    return 0;
}

/* Where a send goes; -EDESTADDRREQ. */
static int read_target(struct wi_sim_sock *sock, const struct wi_req *req, struct wi_sim_inet *to)
{
    const struct msghdr *message = req->opcode == WI_OP_SENDMSG ? req->mem : NULL;
    if (message == NULL || message->msg_name == NULL) {
        *to = sock->remote;
        return sock->state == WI_SIM_CONNECTED ? 0 : -EDESTADDRREQ;
    }
    int rc = wi_sim_inet_read(to, sock->domain, message->msg_name, message->msg_namelen);
    if (rc < 0)
        return rc;
    wi_sim_inet_aim(to);
    return to->port == 0 ? -EINVAL : 0;
}

static ssize_t udp_send(struct wi_sim_sock *sock, const struct wi_req *req)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    struct wi_sim_gather gather;
    struct wi_sim_inet to;
    int error = wi_sim_sock_error(sock);
    if (error < 0)
        return error;
    if (sock->wr_shut)
        return -EPIPE;
    wi_sim_gather_init(&gather, req);
    int rc = read_target(sock, req, &to);
    if (rc < 0)
        return rc;
    if (gather.len > UDP_BYTES_MAX || gather.len > (size_t)world->faults.mtu)
        return -EMSGSIZE;
    int route = wi_sim_inet_route(&to, sock->file.node);
    if (route < 0)
        return route;
    struct wi_sim_inet any = sock->local;
    if (!sock->bound && (rc = wi_sim_port_choose(sock, &any)) < 0)
        return rc;
    for (size_t i = 0; i < gather.count; i++)
        wi_sim_note(world, WI_SIM_NOTE_SENT,
                    wi_sim_digest(gather.iov[i].iov_base, gather.iov[i].iov_len));
    if (wi_sim_fault(world, WI_SIM_NETWORK, world->faults.dgram_loss)) {
        wi_sim_sock_note(sock, WI_SIM_NOTE_DGRAM_LOST, (uint32_t)gather.len);
        return (ssize_t)gather.len;
    }
    int copies = 1 + wi_sim_fault(world, WI_SIM_NETWORK, world->faults.dgram_dup);
    for (int i = 0; i < copies && rc == 0; i++)
        rc = fly(sock, &gather, &to, world->node[route]);
    return rc < 0 ? rc : (ssize_t)gather.len;
}

/* ---- sending, unix ---- */

static bool is_full(const struct wi_sim_sock *sock)
{
    return sock->arrived_count > UNIX_QUEUE_MAX;
}

/* Whom a send goes to. One that was connected to has been closed: the connection is gone, once. */
static int find_target(struct wi_sim_sock *sock, const struct wi_req *req, struct wi_sim_sock **out)
{
    const struct msghdr *message = req->opcode == WI_OP_SENDMSG ? req->mem : NULL;
    struct wi_sim_node *node = sock->file.node;
    struct wi_sim_path path;
    if (message == NULL || message->msg_name == NULL) {
        if (sock->state != WI_SIM_CONNECTED)
            return -ENOTCONN;
        *out = wi_sim_unix_numbered(node, sock->peer_number);
        if (*out == NULL)
            sock->state = WI_SIM_FRESH;
        return *out != NULL ? 0 : -ECONNREFUSED;
    }
    int rc = wi_sim_path_read(&path, message->msg_name, message->msg_namelen);
    if (rc < 0)
        return rc;
    *out = wi_sim_unix_find(node, &path);
    if (*out == NULL)
        return wi_sim_unix_nobody(node, &path);
    return (*out)->type == SOCK_DGRAM ? 0 : -EPROTOTYPE;
}

static ssize_t unix_send(struct wi_sim_sock *sock, const struct wi_req *req)
{
    struct wi_sim_gather gather;
    struct wi_sim_sock *to;
    if (sock->wr_shut)
        return -EPIPE;
    wi_sim_gather_init(&gather, req);
    if (gather.len > sock->options.send_buf - UNIX_OVERHEAD)
        return -EMSGSIZE;
    int rc = find_target(sock, req, &to);
    if (rc < 0)
        return rc;
    if (to->rd_shut)
        return -EPIPE;
    if (is_full(to)) {
        sock->starved = true;
        return -EAGAIN;
    }
    struct dgram *dgram = dgram_new(&gather);
    if (dgram == NULL)
        return -ENOMEM;
    dgram->sender = sock;
    receive(to, dgram);
    return (ssize_t)gather.len;
}

/* Somebody's queue has room again. */
static void feed_senders(struct wi_sim_node *node)
{
    for (struct wi_list *at = node->sockets.next; at != &node->sockets; at = at->next) {
        struct wi_sim_sock *sock = wi_container_of(at, struct wi_sim_sock, entry);
        if (sock->domain != AF_UNIX || sock->type != SOCK_DGRAM || !sock->starved)
            continue;
        sock->starved = false;
        wi_sim_sock_kick(sock, POLLOUT);
    }
}

/* ---- receiving ---- */

static void drop_first(struct wi_sim_sock *sock, struct dgram *dgram)
{
    bool was_full = is_full(sock);
    sock->arrived_bytes -= dgram->len + OVERHEAD;
    sock->arrived_count--;
    dgram_free(wi_sim_sock_world(sock), dgram);
    if (sock->domain == AF_UNIX && was_full)
        feed_senders(sock->file.node);
}

static ssize_t dgram_send(struct wi_sim_sock *sock, const struct wi_req *req)
{
    return sock->domain == AF_UNIX ? unix_send(sock, req) : udp_send(sock, req);
}

static ssize_t dgram_recv(struct wi_sim_sock *sock, const struct wi_req *req)
{
    int error = wi_sim_sock_error(sock);
    if (error < 0)
        return error;
    if (wi_list_empty(&sock->arrived))
        return sock->rd_shut && sock->domain == AF_UNIX ? 0 : -EAGAIN;
    struct dgram *dgram = dgram_at(sock->arrived.next);
    uint32_t whole = dgram->len, len = whole < req->len ? whole : req->len;
    if (len > 0)
        memcpy(req->mem, dgram->bytes, len);
    if ((req->msg_flags & MSG_PEEK) == 0)
        drop_first(sock, dgram);
    return (req->msg_flags & MSG_TRUNC) != 0 ? (ssize_t)whole : (ssize_t)len;
}

/* ---- connecting ---- */

static int connect_unix(struct wi_sim_sock *sock, const struct wi_req *req)
{
    struct wi_sim_path path;
    int rc = wi_sim_path_read(&path, req->mem, req->len);
    if (rc < 0)
        return rc;
    if (path.len == 0)
        return -EINVAL;
    const struct wi_sim_sock *to = wi_sim_unix_find(sock->file.node, &path);
    if (to == NULL)
        return wi_sim_unix_nobody(sock->file.node, &path);
    if (to->type != SOCK_DGRAM)
        return -EPROTOTYPE;
    sock->remote_path = path;
    sock->peer_number = to->number;
    sock->state = WI_SIM_CONNECTED;
    return 0;
}

static int dgram_connect(struct wi_sim_sock *sock, const struct wi_req *req)
{
    struct wi_sim_inet to;
    sa_family_t family;
    if (req->len < sizeof family)
        return -EINVAL;
    memcpy(&family, req->mem, sizeof family);
    if (family == AF_UNSPEC) { /* dissolves the association; connect(2) */
        sock->state = WI_SIM_FRESH;
        return 0;
    }
    if (sock->domain == AF_UNIX)
        return connect_unix(sock, req);
    int rc = wi_sim_inet_read(&to, sock->domain, req->mem, req->len);
    if (rc < 0)
        return rc;
    wi_sim_inet_aim(&to);
    rc = wi_sim_inet_route(&to, sock->file.node);
    if (rc < 0)
        return rc;
    struct wi_sim_inet source = wi_sim_inet_source(&to, sock->file.node);
    if (!sock->bound && (rc = wi_sim_port_choose(sock, &source)) < 0)
        return rc;
    if (wi_sim_inet_is_any(&sock->local))
        memcpy(sock->local.host, source.host, sizeof source.host);
    sock->remote = to;
    sock->state = WI_SIM_CONNECTED;
    return 0;
}

/* Whether a connected unix socket could send; all others always can. */
static bool is_writable(struct wi_sim_sock *sock)
{
    if (sock->domain != AF_UNIX || sock->state != WI_SIM_CONNECTED)
        return true;
    const struct wi_sim_sock *to = wi_sim_unix_numbered(sock->file.node, sock->peer_number);
    return to == NULL || !is_full(to);
}

/* As datagram_poll of the kernel. */
static uint32_t dgram_state(struct wi_sim_file *file)
{
    struct wi_sim_sock *sock = wi_sim_sock_of(file);
    uint32_t events = sock->error != 0 ? POLLERR : 0;
    if (sock->gone)
        return POLLHUP | POLLERR;
    if (sock->rd_shut)
        events |= POLLIN | POLLRDHUP;
    if (sock->rd_shut && sock->wr_shut)
        events |= POLLHUP;
    if (!wi_list_empty(&sock->arrived))
        events |= POLLIN;
    if (is_writable(sock))
        return events | POLLOUT;
    sock->starved = true;
    return events;
}

/* ---- ending ---- */

int wi_sim_dgram_shutdown(struct wi_sim_sock *sock, int how)
{
    sock->rd_shut |= how == SHUT_RD || how == SHUT_RDWR;
    sock->wr_shut |= how == SHUT_WR || how == SHUT_RDWR;
    wi_sim_sock_kick(sock, ALL_EVENTS & ~POLLERR);
    /* It is shut all the same: inet_shutdown() of Linux. */
    return sock->domain == AF_UNIX || sock->state == WI_SIM_CONNECTED ? 0 : -ENOTCONN;
}

void wi_sim_dgram_drop(struct wi_sim_sock *sock)
{
    for (struct wi_list *at = sock->arrived.next, *next; at != &sock->arrived; at = next) {
        next = at->next;
        dgram_free(wi_sim_sock_world(sock), dgram_at(at));
    }
    sock->arrived_bytes = sock->arrived_count = 0;
}

void wi_sim_dgram_forget_flights(struct wi_sim_sock *sock)
{
    for (struct wi_list *at = sock->flights.next, *next; at != &sock->flights; at = next) {
        next = at->next;
        dgram_free(wi_sim_sock_world(sock), dgram_at(at));
    }
}

/* A name that goes on leading to a closed socket would be a mistake: port_find skips it. */
static void dgram_release(struct wi_sim_file *file)
{
    struct wi_sim_sock *sock = wi_sim_sock_of(file);
    wi_sim_dgram_drop(sock);
    wi_sim_event_clear(wi_sim_sock_world(sock), &sock->kick);
    sock->released = true;
    if (sock->domain == AF_UNIX)
        feed_senders(sock->file.node);
    wi_sim_sock_settle(sock);
}

const struct wi_sim_sock_kind wi_sim_dgram_kind = {
    .ops = {.state = dgram_state, .attempt = wi_sim_sock_attempt, .release = dgram_release},
    .recv = dgram_recv,
    .send = dgram_send,
    .connect = dgram_connect};
