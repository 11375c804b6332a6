/* SPDX-License-Identifier: MIT */
/*
 * unix -- sockets of one node: names, and streams.
 *
 * A stream has no latency: what is sent has arrived. A name is abstract, or a path: then it is an entry
 * on the node's disk (disk.h), which knows the socket by its number and stays when the socket is gone.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP */
#endif
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "backend/sim/disk.h"
#include "backend/sim/sock.h"

enum {
    ALL_EVENTS = POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP,
    AUTOBIND_MAX = 1 << 20 /* five hexadecimal digits; unix(7) */
};

static struct wi_sim_sock *sock_at(struct wi_list *entry)
{
    return wi_container_of(entry, struct wi_sim_sock, entry);
}

/* ---- names ---- */

/* A path as a string. */
struct text {
    char text[sizeof((struct wi_sim_path *)NULL)->text + 1];
};

static const char *text_of(const struct wi_sim_path *path, struct text *out)
{
    memcpy(out->text, path->text, path->len);
    out->text[path->len] = 0;
    return out->text;
}

/* The number of the socket that has this path: 0, -ENOENT, or -ECONNREFUSED where it is no socket's. */
static int number_of(const struct wi_sim_node *node, const struct wi_sim_path *path, uint64_t *out)
{
    struct text text;
    return wi_sim_disk_connect(node->disk, text_of(path, &text), out);
}

static bool is_named(const struct wi_sim_sock *sock)
{
    return sock->domain == AF_UNIX && sock->bound && !sock->gone && !sock->released;
}

struct wi_sim_sock *wi_sim_unix_numbered(struct wi_sim_node *node, uint64_t number)
{
    for (struct wi_list *at = node->sockets.next; at != &node->sockets; at = at->next) {
        struct wi_sim_sock *sock = sock_at(at);
        if (is_named(sock) && sock->number == number)
            return sock;
    }
    return NULL;
}

struct wi_sim_sock *wi_sim_unix_find(struct wi_sim_node *node, const struct wi_sim_path *path)
{
    uint64_t number;
    if (wi_sim_path_is_file(path))
        return number_of(node, path, &number) < 0 ? NULL : wi_sim_unix_numbered(node, number);
    for (struct wi_list *at = node->sockets.next; at != &node->sockets; at = at->next) {
        struct wi_sim_sock *sock = sock_at(at);
        if (is_named(sock) && wi_sim_path_same(&sock->path, path))
            return sock;
    }
    return NULL;
}

int wi_sim_unix_nobody(struct wi_sim_node *node, const struct wi_sim_path *path)
{
    uint64_t number;
    int rc = wi_sim_path_is_file(path) ? number_of(node, path, &number) : 0;
    return rc < 0 ? rc : -ECONNREFUSED;
}

/* An abstract name that nobody has. */
static int autobind(struct wi_sim_sock *sock, struct wi_sim_path *path)
{
    for (unsigned i = 0; i < AUTOBIND_MAX; i++) {
        char text[8];
        path->len = 6;
        (void)snprintf(text, sizeof text, "%05x", i);
        memcpy(path->text + 1, text, 5);
        if (wi_sim_unix_find(sock->file.node, path) == NULL)
            return 0;
    }
    return -ENOSPC;
}

/* The name becomes the socket's. */
static int take_name(struct wi_sim_sock *sock, struct wi_sim_path *path)
{
    struct wi_sim_node *node = sock->file.node;
    struct text text;
    if (path->len == 0)
        return autobind(sock, path);
    if (wi_sim_path_is_file(path))
        return wi_sim_disk_bind(node->disk, text_of(path, &text), sock->number);
    return wi_sim_unix_find(node, path) != NULL ? -EADDRINUSE : 0;
}

int wi_sim_unix_bind(struct wi_sim_sock *sock, const void *mem, uint32_t len)
{
    struct wi_sim_path path;
    int rc = wi_sim_path_read(&path, mem, len);
    if (rc < 0)
        return rc;
    if (sock->bound || sock->state == WI_SIM_LISTENING)
        return -EINVAL;
    sock->number = ++sock->file.node->unix_numbers;
    rc = take_name(sock, &path);
    if (rc < 0)
        return rc;
    sock->path = path;
    sock->bound = true;
    if (sock->type == SOCK_DGRAM)
        wi_sim_port_publish(sock);
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
    if (sock->state != WI_SIM_CONNECTED)
        return -ENOTCONN;
    if (sock->wr_shut)
        return -EPIPE;
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
    if (sock->state != WI_SIM_CONNECTED)
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

const struct wi_sim_sock_kind wi_sim_unix_kind = {
    .ops = {.state = unix_state, .attempt = wi_sim_sock_attempt, .release = unix_release},
    .recv = unix_recv,
    .send = unix_send,
    .connect = wi_sim_unix_connect,
    .accept = wi_sim_accept};
