/* SPDX-License-Identifier: MIT */
/*
 * unix -- sockets of one node: names, and streams.
 *
 * A stream has no latency: what is sent has arrived. A name is a path or abstract; the file that a
 * path makes is the socket's own entry among the node's sockets, which stays for it when the socket
 * is closed, or its node crashes, until it is unlinked.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP */
#endif
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "backend/sim/sock.h"

enum {
    ALL_EVENTS = POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP,
    DEVICE = 1,
    AUTOBIND_MAX = 1 << 20 /* five hexadecimal digits; unix(7) */
};

static struct wi_sim_sock *sock_at(struct wi_list *entry)
{
    return wi_container_of(entry, struct wi_sim_sock, entry);
}

/* ---- names ---- */

/* Whoever has the name: a socket, or only its file. */
static struct wi_sim_sock *owner_of(struct wi_sim_node *node, const struct wi_sim_path *path)
{
    for (struct wi_list *at = node->sockets.next; at != &node->sockets; at = at->next) {
        struct wi_sim_sock *sock = sock_at(at);
        bool alive = !sock->gone && !sock->released;
        if (sock->domain == AF_UNIX && sock->bound && wi_sim_path_same(&sock->path, path) &&
            (wi_sim_path_is_file(path) ? !sock->unlinked : alive))
            return sock;
    }
    return NULL;
}

struct wi_sim_sock *wi_sim_unix_find(struct wi_sim_node *node, const struct wi_sim_path *path)
{
    struct wi_sim_sock *sock = owner_of(node, path);
    return sock != NULL && !sock->gone && !sock->released ? sock : NULL;
}

int wi_sim_unix_nobody(struct wi_sim_node *node, const struct wi_sim_path *path)
{
    return wi_sim_path_is_file(path) && owner_of(node, path) == NULL ? -ENOENT : -ECONNREFUSED;
}

static uint64_t next_inode(const struct wi_sim_node *node)
{
    uint64_t last = 0;
    for (struct wi_list *at = node->sockets.next; at != &node->sockets; at = at->next)
        if (sock_at(at)->inode > last)
            last = sock_at(at)->inode;
    return last + 1;
}

/* An abstract name that nobody has. */
static int autobind(struct wi_sim_sock *sock, struct wi_sim_path *path)
{
    for (unsigned i = 0; i < AUTOBIND_MAX; i++) {
        char text[8];
        path->len = 6;
        (void)snprintf(text, sizeof text, "%05x", i);
        memcpy(path->text + 1, text, 5);
        if (owner_of(sock->file.node, path) == NULL)
            return 0;
    }
    return -ENOSPC;
}

int wi_sim_unix_bind(struct wi_sim_sock *sock, const void *mem, uint32_t len)
{
    struct wi_sim_path path;
    int rc = wi_sim_path_read(&path, mem, len);
    if (rc < 0)
        return rc;
    if (sock->bound || sock->state == WI_SIM_LISTENING)
        return -EINVAL;
    if (path.len == 0)
        rc = autobind(sock, &path);
    else if (owner_of(sock->file.node, &path) != NULL)
        rc = -EADDRINUSE;
    if (rc < 0)
        return rc;
    sock->path = path;
    sock->inode = next_inode(sock->file.node);
    sock->bound = true;
    if (sock->type == SOCK_DGRAM)
        wi_sim_port_publish(sock);
    return 0;
}

static struct wi_sim_sock *file_at(struct wi_sim_node *node, const char *text)
{
    struct wi_sim_path path = {.len = (uint32_t)strlen(text)};
    if (path.len == 0 || path.len > sizeof path.text)
        return NULL;
    memcpy(path.text, text, path.len);
    return owner_of(node, &path);
}

int wi_sim_unix_stat(struct wi_sim_node *node, const char *path, uint64_t *aux)
{
    const struct wi_sim_sock *sock = file_at(node, path);
    if (sock == NULL)
        return -ENOENT;
    aux[0] = DEVICE;
    aux[1] = sock->inode;
    return 0;
}

int wi_sim_unix_unlink(struct wi_sim_node *node, const char *path)
{
    struct wi_sim_sock *sock = file_at(node, path);
    if (sock == NULL)
        return -ENOENT;
    sock->unlinked = true;
    wi_sim_sock_settle(sock);
    return 0;
}

/* ---- connecting ---- */

static void pair(struct wi_sim_sock *a, struct wi_sim_sock *b)
{
    a->peer = b;
    b->peer = a;
    a->state = b->state = WI_SIM_CONNECTED;
}

/* A connect that found a listener full waits, in the kernel too; who it waits for is in its request. */
void wi_sim_unix_room(struct wi_sim_node *node)
{
    for (struct wi_list *at = node->sockets.next; at != &node->sockets; at = at->next) {
        struct wi_sim_sock *sock = sock_at(at);
        if (sock->domain == AF_UNIX && sock->state == WI_SIM_FRESH &&
            !wi_list_empty(&sock->file.writes))
            wi_sim_sock_kick(sock, POLLOUT);
    }
}

int wi_sim_unix_connect(struct wi_sim_sock *sock, const struct wi_req *req)
{
    struct wi_sim_node *node = sock->file.node;
    struct wi_sim_path path;
    int rc = wi_sim_path_read(&path, req->mem, req->len);
    if (rc < 0)
        return rc;
    if (path.len == 0)
        return -EINVAL;
    struct wi_sim_sock *listener = wi_sim_unix_find(node, &path);
    if (listener == NULL)
        return wi_sim_unix_nobody(node, &path);
    if (listener->type != sock->type)
        return -EPROTOTYPE;
    if (listener->state != WI_SIM_LISTENING)
        return -ECONNREFUSED;
    if (wi_sim_listen_is_full(listener))
        return -EAGAIN;
    if (sock->state != WI_SIM_FRESH)
        return sock->state == WI_SIM_CONNECTED ? -EISCONN : -EINVAL;
    if (wi_sim_fault(node->world, WI_SIM_NETWORK, node->world->faults.refuse))
        return -ECONNREFUSED;
    struct wi_sim_sock *end = wi_sim_listen_new(listener);
    if (end == NULL)
        return -ENOMEM;
    end->path = sock->remote_path = path;
    end->remote_path = sock->path;
    pair(sock, end);
    wi_sim_sock_note(sock, WI_SIM_NOTE_CONNECTED, 0);
    wi_sim_listen_queue(listener, end);
    return 0;
}

/* ---- bytes ---- */

static uint32_t used_of(const struct wi_sim_sock *sock)
{
    return sock->peer != NULL ? sock->peer->in.arrived : 0;
}

/* As unix_writable of the kernel: three quarters are free. */
static bool is_writable(const struct wi_sim_sock *sock)
{
    return used_of(sock) <= wi_sim_buf_bytes(sock->options.send_buf) / 4;
}

static ssize_t unix_send(struct wi_sim_sock *sock, const struct wi_req *req)
{
    struct wi_sim_gather gather;
    if (sock->wr_shut)
        return -EPIPE;
    if (sock->state != WI_SIM_CONNECTED)
        return -ENOTCONN;
    wi_sim_gather_init(&gather, req);
    if (gather.len == 0)
        return 0;
    uint32_t used = used_of(sock), limit = wi_sim_buf_bytes(sock->options.send_buf);
    uint32_t room = used < limit ? limit - used : 0;
    uint32_t len = gather.len < room ? (uint32_t)gather.len : room;
    sock->starved |= len < gather.len;
    if (len == 0)
        return -EAGAIN;
    len = wi_sim_sock_cut(sock, len, wi_sim_sock_world(sock)->faults.send_short, POLLOUT);
    if (wi_sim_pipe_reserve(&sock->peer->in, len, 0) < 0)
        return -ENOMEM;
    wi_sim_gather_put(&gather, 0, len, sock->peer);
    wi_sim_pipe_land(&sock->peer->in);
    wi_sim_sock_kick(sock->peer, POLLIN);
    return (ssize_t)len;
}

static void feed(struct wi_sim_sock *sender)
{
    if (sender == NULL || !sender->starved || !is_writable(sender))
        return;
    sender->starved = false;
    wi_sim_sock_kick(sender, POLLOUT);
}

static ssize_t unix_recv(struct wi_sim_sock *sock, const struct wi_req *req)
{
    uint32_t len = req->len < sock->in.arrived ? req->len : sock->in.arrived;
    if (sock->state != WI_SIM_CONNECTED && !sock->rd_shut)
        return -EINVAL;
    if (len > 0) {
        len = wi_sim_sock_cut(sock, len, wi_sim_sock_world(sock)->faults.recv_short, POLLIN);
        len = wi_sim_pipe_take(&sock->in, req->mem, len, (req->msg_flags & MSG_PEEK) != 0);
        feed(sock->peer);
        return (ssize_t)len;
    }
    int error = wi_sim_sock_error(sock);
    if (error < 0)
        return error;
    return sock->rd_shut ? 0 : -EAGAIN;
}

static ssize_t unix_attempt(struct wi_sim_file *file, struct wi_sim_core *core,
                            const struct wi_req *req)
{
    struct wi_sim_sock *sock = wi_sim_sock_of(file);
    (void)core;
    if (sock->gone)
        return -EBADF;
    switch (req->opcode) {
    case WI_OP_RECV:
        return unix_recv(sock, req);
    case WI_OP_SEND:
    case WI_OP_SENDMSG:
        return unix_send(sock, req);
    case WI_OP_ACCEPT:
        return wi_sim_accept(sock);
    case WI_OP_CONNECT:
        return wi_sim_unix_connect(sock, req);
    default:
        return -EOPNOTSUPP;
    }
}

/* As unix_poll of the kernel. */
static uint32_t unix_state(struct wi_sim_file *file)
{
    struct wi_sim_sock *sock = wi_sim_sock_of(file);
    uint32_t events = sock->error != 0 ? POLLERR : 0;
    if (sock->gone)
        return POLLHUP | POLLERR;
    if (sock->state == WI_SIM_LISTENING)
        return events | (wi_list_empty(&sock->queue) ? 0 : POLLIN);
    if (sock->state == WI_SIM_FRESH || (sock->rd_shut && sock->wr_shut))
        events |= POLLHUP;
    if (sock->rd_shut)
        events |= POLLIN | POLLRDHUP;
    if (sock->in.arrived > 0)
        events |= POLLIN;
    if (is_writable(sock))
        return events | POLLOUT;
    sock->starved = true;
    return events;
}

/* ---- ending ---- */

/* What the other end learns of the close of this one. */
static void leave_peer(struct wi_sim_sock *sock, bool reset)
{
    struct wi_sim_sock *peer = sock->peer;
    if (peer == NULL)
        return;
    sock->peer = peer->peer = NULL;
    peer->rd_shut = peer->wr_shut = true;
    if (reset) {
        peer->error = ECONNRESET;
        wi_sim_sock_note(peer, WI_SIM_NOTE_RESET, 0);
    }
    wi_sim_sock_kick(peer, reset ? ALL_EVENTS : ALL_EVENTS & ~POLLERR);
}

void wi_sim_unix_abort(struct wi_sim_sock *sock)
{
    leave_peer(sock, true);
}

int wi_sim_unix_shutdown(struct wi_sim_sock *sock, int how)
{
    bool reads = how == SHUT_RD || how == SHUT_RDWR, writes = how == SHUT_WR || how == SHUT_RDWR;
    sock->rd_shut |= reads;
    sock->wr_shut |= writes;
    wi_sim_sock_kick(sock, ALL_EVENTS & ~POLLERR);
    if (sock->peer == NULL)
        return 0;
    sock->peer->rd_shut |= writes;
    sock->peer->wr_shut |= reads;
    wi_sim_sock_kick(sock->peer, ALL_EVENTS & ~POLLERR);
    return 0;
}

static void unix_release(struct wi_sim_file *file)
{
    struct wi_sim_sock *sock = wi_sim_sock_of(file);
    if (sock->state == WI_SIM_LISTENING)
        wi_sim_listen_stop(sock);
    leave_peer(sock, sock->in.arrived > 0);
    wi_sim_pipe_free(&sock->in);
    wi_sim_event_clear(wi_sim_sock_world(sock), &sock->kick);
    sock->released = true;
    wi_sim_sock_settle(sock);
}

const struct wi_sim_file_ops wi_sim_unix_ops = {
    .state = unix_state, .attempt = unix_attempt, .release = unix_release};
