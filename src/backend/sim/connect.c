/* SPDX-License-Identifier: MIT */
/*
 * connect -- how a TCP connection begins.
 *
 *     SYN --latency--> a listener with room:   answer --latency--> both ends are connected
 *                      none, or fault refuse:  reset  --latency--> -ECONNREFUSED
 *                      no room, cut, down:     again after 1 s, 3 s, 7 s ...; -ETIMEDOUT after 127 s
 *
 * The listener is looked for again when the answer is back: nothing is kept of it meanwhile, so a
 * connect that is given up needs no word to it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP */
#endif
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "backend/sim/sock.h"
#include "backend/sim/wire.h"

enum { SYN_TRIES = 7 /* net.ipv4.tcp_syn_retries, and the first one */ };

static struct wi_sim_node *target_of(const struct wi_sim_sock *sock)
{
    struct wi_sim_node *node = sock->file.node;
    int to = wi_sim_inet_route(&sock->remote, node);
    return node->world->node[to];
}

static void go(struct wi_sim_sock *sock, enum wi_sim_syn state, weir_ns at)
{
    sock->syn_state = state;
    wi_sim_event_set(wi_sim_sock_world(sock), &sock->syn, at);
}

static void fail(struct wi_sim_sock *sock, int error)
{
    bool refused = error == ECONNREFUSED;
    sock->syn_state = WI_SIM_SYN_OVER;
    sock->error = error;
    sock->rd_shut = sock->wr_shut = true;
    wi_sim_sock_note(sock, refused ? WI_SIM_NOTE_REFUSED : WI_SIM_NOTE_TIMED_OUT,
                     sock->remote.port);
    wi_sim_sock_kick(sock, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
}

/* Nothing came back: again, when twice the time has passed; after the last one no more. */
static void lost(struct wi_sim_sock *sock)
{
    sock->syn_tries++;
    weir_ns at = sock->syn_since + ((1 << sock->syn_tries) - 1) * WEIR_SEC;
    go(sock, sock->syn_tries < SYN_TRIES ? WI_SIM_SYN_AGAIN : WI_SIM_SYN_OVER, at);
}

static struct wi_sim_sock *listener_of(const struct wi_sim_sock *sock)
{
    return wi_sim_port_find(target_of(sock), SOCK_STREAM, &sock->remote, &sock->local);
}

/* The SYN is there. */
static void answer(struct wi_sim_sock *sock)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    const struct wi_sim_node *from = target_of(sock), *to = sock->file.node;
    const struct wi_sim_sock *listener = listener_of(sock);
    weir_ns unused;
    bool refused = listener == NULL || wi_sim_fault(world, WI_SIM_NETWORK, world->faults.refuse);
    if ((!refused && wi_sim_listen_is_full(listener)) ||
        wi_sim_wire_look(from, to, &unused) == WI_SIM_LOST)
        lost(sock);
    else
        go(sock, refused ? WI_SIM_SYN_REFUSED : WI_SIM_SYN_ANSWERED,
           world->now + wi_sim_wire_latency(from, to));
}

/* The answer is back. */
static void establish(struct wi_sim_sock *sock)
{
    struct wi_sim_sock *listener = listener_of(sock), *end = NULL;
    if (listener == NULL && !target_of(sock)->down) {
        fail(sock, ECONNREFUSED);
        return;
    }
    if (listener != NULL && !wi_sim_listen_is_full(listener))
        end = wi_sim_listen_new(listener);
    if (end == NULL) {
        lost(sock);
        return;
    }
    end->local = sock->remote;
    end->remote = sock->local;
    end->bound = true;
    if (wi_sim_stream_pair(sock, end) < 0) {
        wi_sim_file_drop(&end->file);
        lost(sock);
        return;
    }
    end->told = true;
    sock->syn_state = WI_SIM_SYN_OVER;
    wi_sim_sock_note(sock, WI_SIM_NOTE_CONNECTED, sock->remote.port);
    wi_sim_listen_queue(listener, end);
    wi_sim_sock_kick(sock, POLLOUT);
}

static enum wi_sim_passage look(const struct wi_sim_sock *sock, weir_ns *until)
{
    const struct wi_sim_node *here = sock->file.node, *there = target_of(sock);
    return sock->syn_state == WI_SIM_SYN_FLIES ? wi_sim_wire_look(here, there, until)
                                               : wi_sim_wire_look(there, here, until);
}

static void fly(struct wi_sim_sock *sock)
{
    const struct wi_sim_node *there = target_of(sock);
    go(sock, WI_SIM_SYN_FLIES, wi_sim_wire_send(sock->file.node, there, 0));
}

/* Something has arrived, if it passes. Held, it waits without an event. */
static void arrive(struct wi_sim_sock *sock)
{
    weir_ns until = 0;
    switch (look(sock, &until)) {
    case WI_SIM_LOST:
        lost(sock);
        return;
    case WI_SIM_HELD:
        return;
    case WI_SIM_CLOGGED:
        wi_sim_event_set(wi_sim_sock_world(sock), &sock->syn, until);
        return;
    case WI_SIM_PASSES:
        break;
    }
    if (sock->syn_state == WI_SIM_SYN_FLIES)
        answer(sock);
    else if (sock->syn_state == WI_SIM_SYN_ANSWERED)
        establish(sock);
    else
        fail(sock, ECONNREFUSED);
}

static void proceed(struct wi_sim_world *world, struct wi_sim_event *event)
{
    struct wi_sim_sock *sock = wi_container_of(event, struct wi_sim_sock, syn);
    (void)world;
    if (sock->syn_state == WI_SIM_SYN_AGAIN)
        fly(sock);
    else if (sock->syn_state == WI_SIM_SYN_OVER)
        fail(sock, ETIMEDOUT);
    else
        arrive(sock);
}

void wi_sim_connect_link_changed(struct wi_sim_sock *sock)
{
    bool waits = sock->state == WI_SIM_CONNECTING && sock->syn_state != WI_SIM_SYN_OVER &&
                 !wi_sim_event_is_set(&sock->syn);
    if (waits)
        wi_sim_event_set(wi_sim_sock_world(sock), &sock->syn, wi_sim_sock_now(sock));
}

/* As if it had never been called; a port that it chose is free again. */
void wi_sim_connect_forget(struct wi_sim_sock *sock)
{
    wi_sim_event_clear(wi_sim_sock_world(sock), &sock->syn);
    sock->state = WI_SIM_FRESH;
    sock->rd_shut = sock->wr_shut = false;
    if (sock->chosen) {
        sock->local = wi_sim_inet_any(sock->domain);
        sock->bound = sock->chosen = false;
    }
}

static int begin(struct wi_sim_sock *sock, const struct wi_req *req)
{
    struct wi_sim_node *node = sock->file.node;
    struct wi_sim_inet to;
    int rc = wi_sim_inet_read(&to, sock->domain, req->mem, req->len);
    if (rc < 0)
        return rc;
    wi_sim_inet_aim(&to);
    rc = wi_sim_inet_route(&to, node);
    if (rc < 0 || (sock->options.v6_only && wi_sim_inet_is_v4(&to)))
        return -ENETUNREACH;
    struct wi_sim_inet source = wi_sim_inet_source(&to, node);
    if (wi_sim_inet_is_loopback(&sock->local) && rc != (int)node->index)
        return -EINVAL;
    if (!sock->bound)
        rc = wi_sim_port_choose(sock, &source);
    else if (wi_sim_inet_is_any(&sock->local))
        memcpy(sock->local.host, source.host, sizeof source.host);
    if (rc < 0)
        return rc;
    sock->remote = to;
    sock->state = WI_SIM_CONNECTING;
    sock->syn.fn = proceed;
    sock->syn_tries = 0;
    sock->syn_since = wi_sim_sock_now(sock);
    fly(sock);
    return -EINPROGRESS;
}

int wi_sim_connect(struct wi_sim_sock *sock, const struct wi_req *req)
{
    int error;
    switch (sock->state) {
    case WI_SIM_FRESH:
        return begin(sock, req);
    case WI_SIM_CONNECTING:
        if (sock->syn_state != WI_SIM_SYN_OVER || wi_sim_event_is_set(&sock->syn))
            return -EAGAIN;
        error = wi_sim_sock_error(sock);
        wi_sim_connect_forget(sock);
        return error < 0 ? error : -ECONNABORTED; /* SO_ERROR has told */
    case WI_SIM_CONNECTED:
        if (sock->told)
            return -EISCONN;
        sock->told = true;
        return wi_sim_sock_error(sock);
    case WI_SIM_LISTENING:
        break;
    }
    return -EISCONN;
}
