/* SPDX-License-Identifier: MIT */
/*
 * port -- which socket of a node has which port, and who gets what is sent to one.
 *
 * The list of a node's sockets is the table. What can be found by its name stands at its front, so
 * that a search does not pass all connections.
 */
#include <errno.h>

#include "backend/sim/sock.h"

/* net.ipv4.ip_local_port_range */
enum { PORT_FIRST = 32768, PORT_LAST = 60999 };

static struct wi_sim_sock *sock_at(struct wi_list *entry)
{
    return wi_container_of(entry, struct wi_sim_sock, entry);
}

static bool is_published(const struct wi_sim_sock *sock)
{
    return sock->state == WI_SIM_LISTENING || (sock->type == SOCK_DGRAM && sock->bound);
}

void wi_sim_port_publish(struct wi_sim_sock *sock)
{
    wi_list_remove(&sock->entry);
    wi_list_push_front(&sock->file.node->sockets, &sock->entry);
}

/* Whether a socket with this name is meant by a host: 3 by itself, 2 and 1 by "any". */
static unsigned match(const struct wi_sim_sock *sock, const struct wi_sim_inet *host)
{
    if (wi_sim_inet_same_host(&sock->local, host))
        return 3;
    if (!wi_sim_inet_is_any(&sock->local))
        return 0;
    if (wi_sim_inet_is_v4(&sock->local))
        return wi_sim_inet_is_v4(host) ? 2 : 0;
    return !wi_sim_inet_is_v4(host) || !sock->options.v6_only ? 1 : 0;
}

static bool overlap(const struct wi_sim_sock *a, const struct wi_sim_sock *b)
{
    return match(a, &b->local) > 0 || match(b, &a->local) > 0;
}

static bool is_in_port_table(const struct wi_sim_sock *sock, const struct wi_sim_sock *other)
{
    bool has_port =
        other->bound && !other->gone && (other->type == SOCK_STREAM || !other->released);
    return other != sock && has_port && other->domain != AF_UNIX && other->type == sock->type;
}

/* As inet_csk_bind_conflict of the kernel. */
static bool conflict(const struct wi_sim_sock *sock, const struct wi_sim_sock *other)
{
    bool stands = other->state == WI_SIM_LISTENING && sock->type == SOCK_STREAM;
    if (sock->options.reuse_addr && other->options.reuse_addr && !stands)
        return false;
    if (sock->options.reuse_port && other->options.reuse_port)
        return false;
    return overlap(sock, other);
}

static bool is_free(struct wi_sim_sock *sock, uint16_t port, bool shared)
{
    struct wi_list *head = &sock->file.node->sockets;
    for (struct wi_list *at = head->next; at != head; at = at->next) {
        const struct wi_sim_sock *other = sock_at(at);
        if (!is_in_port_table(sock, other) || other->local.port != port)
            continue;
        if (!shared || conflict(sock, other))
            return false;
    }
    return true;
}

/* A port that nobody has, or 0. */
static uint16_t free_port(struct wi_sim_sock *sock)
{
    struct wi_sim_node *node = sock->file.node;
    for (int tried = PORT_FIRST; tried <= PORT_LAST; tried++) {
        if (node->port_next < PORT_FIRST || node->port_next > PORT_LAST)
            node->port_next = PORT_FIRST;
        uint16_t port = node->port_next++;
        if (is_free(sock, port, false))
            return port;
    }
    return 0;
}

int wi_sim_port_bind(struct wi_sim_sock *sock, const struct wi_sim_inet *name)
{
    if (!wi_sim_inet_is_of(name, sock->file.node))
        return -EADDRNOTAVAIL;
    struct wi_sim_inet before = sock->local;
    sock->local = *name;
    if (name->port == 0)
        sock->local.port = free_port(sock);
    else if (!is_free(sock, name->port, true))
        sock->local.port = 0;
    if (sock->local.port == 0) {
        sock->local = before;
        return -EADDRINUSE;
    }
    sock->bound = true;
    if (sock->type == SOCK_DGRAM)
        wi_sim_port_publish(sock);
    return 0;
}

int wi_sim_port_choose(struct wi_sim_sock *sock, const struct wi_sim_inet *host)
{
    uint16_t port = free_port(sock);
    if (port == 0)
        return -EADDRNOTAVAIL;
    sock->local = *host;
    sock->local.port = port;
    sock->bound = sock->chosen = true;
    if (sock->type == SOCK_DGRAM)
        wi_sim_port_publish(sock);
    return 0;
}

int wi_sim_port_listen(const struct wi_sim_sock *sock)
{
    struct wi_list *head = &sock->file.node->sockets;
    for (struct wi_list *at = head->next; at != head; at = at->next) {
        const struct wi_sim_sock *other = sock_at(at);
        if (!is_published(other))
            break;
        if (is_in_port_table(sock, other) && other->local.port == sock->local.port &&
            conflict(sock, other))
            return -EADDRINUSE;
    }
    return 0;
}

/* How well a socket fits; one that is connected takes from its peer alone. */
static unsigned fit(const struct wi_sim_sock *sock, int type, const struct wi_sim_inet *to,
                    const struct wi_sim_inet *from)
{
    if (sock->gone || sock->released || sock->domain == AF_UNIX || sock->type != type ||
        sock->local.port != to->port)
        return 0;
    unsigned how = match(sock, to);
    if (how == 0 || sock->state != WI_SIM_CONNECTED)
        return how;
    return wi_sim_inet_same(&sock->remote, from) ? how + 4 : 0;
}

/* Of several that fit as well, SO_REUSEPORT, one is chosen. */
struct wi_sim_sock *wi_sim_port_find(struct wi_sim_node *node, int type,
                                     const struct wi_sim_inet *to, const struct wi_sim_inet *from)
{
    struct wi_sim_sock *best = NULL;
    unsigned best_fit = 0, equal = 0;
    for (struct wi_list *at = node->sockets.next; at != &node->sockets; at = at->next) {
        struct wi_sim_sock *sock = sock_at(at);
        if (!is_published(sock))
            break;
        unsigned how = fit(sock, type, to, from);
        if (how > best_fit) {
            best = sock;
            best_fit = how;
            equal = 1;
        } else if (how > 0 && how == best_fit) {
            equal++;
        }
    }
    if (best == NULL)
        return NULL;
    uint64_t skip = wi_choose(&node->world->choices, WI_SIM_NETWORK, equal);
    for (struct wi_list *at = &best->entry; skip > 0; at = at->next) {
        struct wi_sim_sock *sock = sock_at(at->next);
        if (fit(sock, type, to, from) == best_fit) {
            best = sock;
            skip--;
        }
    }
    return best;
}
