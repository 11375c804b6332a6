/* SPDX-License-Identifier: MIT */
/* socket -- the front of the network: creation, control, links, crashes; contract in socket.h. */
#include "backend/sim/socket.h"

#include <errno.h>
#include <netinet/in.h>

#include "backend/sim/sock.h"

static int check_kind(int domain, int type, int protocol)
{
    if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX)
        return -EAFNOSUPPORT;
    if (type != SOCK_STREAM && type != SOCK_DGRAM)
        return domain == AF_UNIX ? -ESOCKTNOSUPPORT : -EPROTONOSUPPORT;
    int own = domain == AF_UNIX ? PF_UNIX : type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
    return protocol == 0 || protocol == own ? 0 : -EPROTONOSUPPORT;
}

int wi_sim_socket_new(struct wi_sim_node *node, int domain, int type, int protocol,
                      struct wi_sim_file **out)
{
    static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    struct wi_sim_world *world = node->world;
    type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    int rc = check_kind(domain, type, protocol);
    if (rc < 0)
        return rc;
    if (wi_sim_fault(world, WI_SIM_NETWORK, world->faults.socket_error))
        return -errors[wi_choose(&world->choices, WI_SIM_NETWORK,
                                 sizeof errors / sizeof errors[0])];
    struct wi_sim_sock *sock = wi_sim_sock_new(node, domain, type);
    if (sock == NULL)
        return -ENOMEM;
    *out = &sock->file;
    return 0;
}

static int bind_to(struct wi_sim_sock *sock, const struct wi_ctl *ctl)
{
    struct wi_sim_inet name;
    if (sock->domain == AF_UNIX)
        return wi_sim_unix_bind(sock, ctl->mem, ctl->len);
    int rc = wi_sim_inet_read(&name, sock->domain, ctl->mem, ctl->len);
    if (rc < 0)
        return rc;
    return sock->bound ? -EINVAL : wi_sim_port_bind(sock, &name);
}

static int local_name(const struct wi_sim_sock *sock, const struct wi_ctl *ctl)
{
    if (sock->domain == AF_UNIX)
        return wi_sim_path_write(&sock->path, ctl->mem, ctl->len);
    return wi_sim_inet_write(&sock->local, sock->domain, ctl->mem, ctl->len);
}

/* TCP has forgotten it when both have said goodbye. */
static int peer_name(const struct wi_sim_sock *sock, const struct wi_ctl *ctl)
{
    if (sock->state != WI_SIM_CONNECTED)
        return -ENOTCONN;
    if (sock->domain == AF_UNIX)
        return wi_sim_path_write(&sock->remote_path, ctl->mem, ctl->len);
    bool finished = sock->fin && sock->wr_shut && sock->peer != NULL && sock->peer->fin;
    if (sock->dead || finished)
        return -ENOTCONN;
    return wi_sim_inet_write(&sock->remote, sock->domain, ctl->mem, ctl->len);
}

static int shut_down(struct wi_sim_sock *sock, int how)
{
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
        return -EINVAL;
    if (sock->type == SOCK_DGRAM)
        return wi_sim_dgram_shutdown(sock, how);
    return sock->domain == AF_UNIX ? wi_sim_unix_shutdown(sock, how)
                                   : wi_sim_stream_shutdown(sock, how);
}

int wi_sim_socket_ctl(struct wi_sim_file *file, const struct wi_ctl *ctl)
{
    struct wi_sim_sock *sock = wi_sim_sock_of(file);
    if (sock->gone)
        return -EBADF;
    switch (ctl->what) {
    case WI_CTL_BIND:
        return bind_to(sock, ctl);
    case WI_CTL_LISTEN:
        return wi_sim_listen(sock, ctl->a);
    case WI_CTL_SETOPT:
        return wi_sim_option_set(sock, ctl);
    case WI_CTL_GETOPT:
        return wi_sim_option_get(sock, ctl);
    case WI_CTL_LOCALNAME:
        return local_name(sock, ctl);
    case WI_CTL_PEERNAME:
        return peer_name(sock, ctl);
    case WI_CTL_SHUTDOWN:
        return shut_down(sock, ctl->a);
    default:
        return -EINVAL;
    }
}

/* ---- links and crashes ---- */

static struct wi_sim_sock *sock_at(struct wi_list *entry)
{
    return wi_container_of(entry, struct wi_sim_sock, entry);
}

static void look_anew(struct wi_sim_node *node, const struct wi_sim_node *other)
{
    for (struct wi_list *at = node->sockets.next; at != &node->sockets; at = at->next) {
        struct wi_sim_sock *sock = sock_at(at);
        wi_sim_dgram_link_changed(sock, other);
        if (sock->peer != NULL && sock->domain != AF_UNIX && sock->peer->file.node == other)
            wi_sim_stream_link_changed(sock);
        if (sock->state == WI_SIM_CONNECTING)
            wi_sim_connect_link_changed(sock);
    }
}

void wi_sim_link_changed(struct wi_sim_world *world, unsigned from, unsigned to)
{
    look_anew(world->node[to], world->node[from]);
    look_anew(world->node[from], world->node[to]);
}

/* Whoever was at the door of a listener has no descriptor that would close it. */
static void drop_queue(struct wi_sim_sock *listener)
{
    while (!wi_list_empty(&listener->queue)) {
        struct wi_sim_sock *sock =
            wi_container_of(listener->queue.next, struct wi_sim_sock, queue_entry);
        wi_list_remove(&sock->queue_entry);
        sock->listener = NULL;
        wi_sim_file_drop(&sock->file);
    }
    listener->queued = 0;
}

void wi_sim_sockets_crash(struct wi_sim_node *node)
{
    struct wi_list *at, *head = &node->sockets;
    for (at = head->next; at != head; at = at->next) {
        struct wi_sim_sock *sock = sock_at(at);
        if (sock->gone)
            continue;
        sock->gone = true;
        wi_sim_event_clear(node->world, &sock->kick);
        wi_sim_dgram_drop(sock);
        if (sock->domain == AF_UNIX)
            sock->peer = NULL;
        else if (sock->type == SOCK_STREAM)
            wi_sim_stream_crash(sock);
    }
    for (at = head->next; at != head; at = at->next)
        drop_queue(sock_at(at));
    for (struct wi_list *next = head->next; (at = next) != head;) {
        const struct wi_sim_sock *peer = sock_at(at)->peer;
        next = at->next;
        if (peer != NULL && next == &peer->entry) /* that may go as well */
            next = next->next;
        wi_sim_sock_settle(sock_at(at));
    }
}

void wi_sim_sockets_free(struct wi_sim_node *node)
{
    while (!wi_list_empty(&node->sockets)) {
        struct wi_sim_sock *sock = sock_at(node->sockets.next);
        if (sock->peer != NULL)
            sock->peer->peer = NULL;
        wi_sim_dgram_drop(sock);
        wi_sim_dgram_forget_flights(sock);
        wi_sim_sock_free(sock);
    }
}
