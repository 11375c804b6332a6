/* SPDX-License-Identifier: MIT */
/*
 * listen -- listeners of streams, TCP and unix: connections wait there until somebody accepts them.
 */
#include <errno.h>
#include <poll.h>

#include "backend/sim/sock.h"

enum { BACKLOG_MAX = 4096 /* net.core.somaxconn */ };

int wi_sim_listen(struct wi_sim_sock *sock, int backlog)
{
    if (sock->type != SOCK_STREAM)
        return -EOPNOTSUPP;
    bool is_unix = sock->domain == AF_UNIX;
    if (sock->state != WI_SIM_FRESH && sock->state != WI_SIM_LISTENING)
        return -EINVAL;
    if (is_unix && !sock->bound)
        return -EINVAL;
    struct wi_sim_inet any = sock->local;
    int rc = is_unix ? 0 : sock->bound ? wi_sim_port_listen(sock) : wi_sim_port_choose(sock, &any);
    if (rc < 0)
        return rc;
    /* As an unsigned number, so a negative one is large (inet_listen). */
    sock->backlog = (unsigned)backlog < BACKLOG_MAX ? (uint32_t)backlog : BACKLOG_MAX;
    sock->state = WI_SIM_LISTENING;
    sock->file.kind = WI_SIM_LISTENER;
    wi_sim_port_publish(sock);
    return 0;
}

struct wi_sim_sock *wi_sim_listen_new(struct wi_sim_sock *listener)
{
    struct wi_sim_sock *sock =
        wi_sim_sock_new(listener->file.node, listener->domain, listener->type);
    if (sock != NULL && sock->domain != AF_UNIX) /* tcp(7); unix sockets begin anew */
        sock->options = listener->options;
    return sock;
}

void wi_sim_listen_queue(struct wi_sim_sock *listener, struct wi_sim_sock *sock)
{
    sock->listener = listener;
    wi_list_push_back(&listener->queue, &sock->queue_entry);
    listener->queued++;
    wi_sim_sock_kick(listener, POLLIN);
}

static struct wi_sim_sock *first_of(struct wi_sim_sock *listener)
{
    return wi_container_of(listener->queue.next, struct wi_sim_sock, queue_entry);
}

static void unqueue(struct wi_sim_sock *sock)
{
    wi_list_remove(&sock->queue_entry);
    sock->listener->queued--;
    sock->listener = NULL;
}

/* The first connection is reset: nobody has it. */
static void abort_first(struct wi_sim_sock *listener)
{
    struct wi_sim_sock *sock = first_of(listener);
    unqueue(sock);
    if (sock->domain == AF_UNIX)
        wi_sim_unix_abort(sock);
    else
        wi_sim_stream_abort(sock);
    wi_sim_file_drop(&sock->file);
}

/* A connection that is there stays there, but for ECONNABORTED, which comes from the network; who waits
 * hears of it again. */
static int accept_fault(struct wi_sim_sock *listener)
{
    static const int errors[] = {ECONNABORTED, EMFILE, ENFILE, ENOMEM};
    uint64_t first = listener->domain == AF_UNIX;
    uint64_t which = first + wi_choose(&wi_sim_sock_world(listener)->choices, WI_SIM_NETWORK,
                                       sizeof errors / sizeof errors[0] - first);
    if (errors[which] == ECONNABORTED)
        abort_first(listener);
    if (!wi_list_empty(&listener->queue))
        wi_sim_sock_kick(listener, POLLIN);
    return -errors[which];
}

int wi_sim_accept(struct wi_sim_sock *listener)
{
    struct wi_sim_world *world = wi_sim_sock_world(listener);
    if (listener->type != SOCK_STREAM)
        return -EOPNOTSUPP;
    if (listener->state != WI_SIM_LISTENING)
        return -EINVAL;
    if (wi_list_empty(&listener->queue))
        return -EAGAIN;
    if (wi_sim_fault(world, WI_SIM_NETWORK, world->faults.accept_error))
        return accept_fault(listener);
    struct wi_sim_sock *sock = first_of(listener);
    int fd = wi_sim_fd_new(listener->file.node, &sock->file);
    if (fd < 0)
        return fd;
    unqueue(sock);
    if (sock->domain == AF_UNIX)
        wi_sim_unix_room(listener->file.node);
    wi_sim_sock_note(listener, WI_SIM_NOTE_ACCEPTED,
                     sock->domain == AF_UNIX ? 0 : sock->remote.port);
    return fd;
}

void wi_sim_listen_stop(struct wi_sim_sock *listener)
{
    while (!wi_list_empty(&listener->queue))
        abort_first(listener);
    listener->state = WI_SIM_FRESH;
    listener->file.kind = WI_SIM_SOCKET;
    if (listener->domain == AF_UNIX)
        wi_sim_unix_room(listener->file.node);
    wi_list_remove(&listener->entry); /* no longer among those that are found */
    wi_list_push_back(&listener->file.node->sockets, &listener->entry);
    wi_sim_sock_kick(listener, POLLOUT | POLLHUP | POLLIN);
}
