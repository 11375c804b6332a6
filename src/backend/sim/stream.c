/* SPDX-License-Identifier: MIT */
/*
 * stream -- TCP connections: bytes, windows, ends.
 *
 *     send: peer's pipe, in flight  --latency, bandwidth, loss-->  arrived  --recv-->
 *           <--- SO_SNDBUF, with what was not acknowledged --->    <- SO_RCVBUF ->
 *
 * An acknowledgement is no event of its own: the send buffer is free again when the bytes arrive,
 * unless the way back is cut or held; then when it no longer is. What meets a cut link, or a node
 * that is down, comes again after 200 ms, 400 ms ... 2 min, and after a quarter of an hour the
 * sender has had enough. A connection with SO_KEEPALIVE on which nothing comes is probed; probes and
 * their answers are no segments, but meet links, nodes that are down and losses as those do.
 *
 * What reads here like tcp_recvmsg, tcp_poll or tcp_reset of the kernel is meant to.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP */
#endif
#include <errno.h>
#include <poll.h>

#include "backend/sim/sock.h"
#include "backend/sim/wire.h"

#define RETRANSMIT_MIN (200 * WEIR_MS)
#define RETRANSMIT_MAX (120 * WEIR_SEC)
#define GIVE_UP (900 * WEIR_SEC)
#define PIECE_NS_MAX WEIR_MS

enum {
    ALL_EVENTS = POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP,
    WINDOW_STEP = 1448, /* a window opens again by so much, or half of it */
    LOSSES_MAX = 8,     /* of one segment */
    SPARE_SEGMENTS = 4  /* for a FIN and a reset there is always room */
};

static void arrive(struct wi_sim_world *world, struct wi_sim_event *event);
static void give_up(struct wi_sim_world *world, struct wi_sim_event *event);
static void probe(struct wi_sim_world *world, struct wi_sim_event *event);

int wi_sim_stream_pair(struct wi_sim_sock *a, struct wi_sim_sock *b)
{
    if (wi_sim_pipe_reserve(&a->in, 0, SPARE_SEGMENTS) < 0 ||
        wi_sim_pipe_reserve(&b->in, 0, SPARE_SEGMENTS) < 0)
        return -ENOMEM;
    a->peer = b;
    b->peer = a;
    a->state = b->state = WI_SIM_CONNECTED;
    a->arrival.fn = b->arrival.fn = arrive;
    a->give_up.fn = b->give_up.fn = give_up;
    a->keepalive.fn = b->keepalive.fn = probe;
    a->heard = b->heard = wi_sim_sock_now(a);
    wi_sim_stream_keep_alive(a);
    wi_sim_stream_keep_alive(b);
    return 0;
}

/* ---- sending ---- */

static uint32_t used_of(const struct wi_sim_sock *sock)
{
    return sock->peer->in.flying + sock->unacked;
}

static uint32_t room_of(const struct wi_sim_sock *sock)
{
    uint32_t used = used_of(sock), limit = wi_sim_buf_bytes(sock->options.send_buf);
    return used < limit ? limit - used : 0;
}

/* As sk_stream_is_writeable of the kernel: a third is free. */
static bool is_writable(const struct wi_sim_sock *sock)
{
    return room_of(sock) >= used_of(sock) / 2 && room_of(sock) > 0;
}

static void push(struct wi_sim_sock *to, struct wi_sim_segment segment)
{
    wi_sim_pipe_push(&to->in, segment);
    if (to->in.count == 1 || (segment.flags & WI_SIM_SEG_RST) != 0) /* that is past a window */
        wi_sim_event_set(wi_sim_sock_world(to), &to->arrival, wi_sim_pipe_first(&to->in)->at);
}

static void push_sign(struct wi_sim_sock *from, uint32_t flags)
{
    struct wi_sim_sock *to = from->peer;
    if (wi_sim_pipe_resets(&to->in)) /* nothing matters after that */
        return;
    push(to, (struct wi_sim_segment){.at = wi_sim_wire_send(from->file.node, to->file.node, 0),
                                     .flags = flags});
}

/* Sends a piece of the source on its way. False: a reset takes its place. */
static bool launch(struct wi_sim_sock *from, const struct wi_sim_gather *gather, size_t at,
                   uint32_t len, weir_ns delay)
{
    struct wi_sim_world *world = wi_sim_sock_world(from);
    struct wi_sim_sock *to = from->peer;
    struct wi_sim_segment segment = {.len = len};
    if (wi_sim_fault(world, WI_SIM_NETWORK, world->faults.reset)) {
        push_sign(from, WI_SIM_SEG_RST | WI_SIM_SEG_BOTH);
        return false;
    }
    segment.at = wi_sim_wire_send(from->file.node, to->file.node, len) + delay;
    weir_ns again = RETRANSMIT_MIN;
    for (int i = 0; i < LOSSES_MAX; i++, again *= 2) {
        if (!wi_sim_fault(world, WI_SIM_NETWORK, world->faults.loss))
            break;
        segment.at += again;
        segment.flags = WI_SIM_SEG_LATE;
    }
    wi_sim_gather_put(gather, at, len, to);
    push(to, segment);
    return true;
}

static void launch_all(struct wi_sim_sock *from, const struct wi_sim_gather *gather, uint32_t len)
{
    struct wi_sim_world *world = wi_sim_sock_world(from);
    uint32_t first = len;
    if (wi_sim_pipe_resets(&from->peer->in)) /* nothing gets past it */
        return;
    if (len > 1 && wi_sim_fault(world, WI_SIM_NETWORK, world->faults.segment))
        first = 1 + (uint32_t)wi_choose(&world->choices, WI_SIM_NETWORK, len - 1);
    if (!launch(from, gather, 0, first, 0) || first == len)
        return;
    weir_ns delay = 1 + (weir_ns)wi_choose(&world->choices, WI_SIM_NETWORK, (uint64_t)PIECE_NS_MAX);
    (void)launch(from, gather, first, len - first, delay);
}

static ssize_t send_error(struct wi_sim_sock *sock)
{
    int error = wi_sim_sock_error(sock);
    return error < 0 ? error : -EPIPE;
}

static ssize_t stream_send(struct wi_sim_sock *sock, const struct wi_req *req)
{
    struct wi_sim_gather gather;
    if (sock->state == WI_SIM_CONNECTING && sock->syn_state != WI_SIM_SYN_OVER)
        return -EAGAIN;
    if (sock->state != WI_SIM_CONNECTED || sock->wr_shut)
        return send_error(sock);
    wi_sim_gather_init(&gather, req);
    if (gather.len == 0)
        return 0;
    uint32_t room = room_of(sock), len = gather.len < room ? (uint32_t)gather.len : room;
    sock->starved |= len < gather.len;
    if (len == 0)
        return -EAGAIN;
    len = wi_sim_sock_cut(sock, len, wi_sim_sock_world(sock)->faults.send_short, POLLOUT);
    if (wi_sim_pipe_reserve(&sock->peer->in, len, 2 + SPARE_SEGMENTS) < 0)
        return -ENOMEM;
    launch_all(sock, &gather, len);
    return (ssize_t)len;
}

/* ---- arriving ---- */

static void feed(struct wi_sim_sock *sender)
{
    if (!sender->starved || wi_sim_sock_is_over(sender) || !is_writable(sender))
        return;
    sender->starved = false;
    wi_sim_sock_kick(sender, POLLOUT);
}

/* What came to nothing comes again, each time after a longer pause. */
static void come_again(struct wi_sim_sock *sock)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    weir_ns pause = RETRANSMIT_MIN << (sock->tries < 10 ? sock->tries : 10);
    sock->tries++;
    wi_sim_pipe_first(&sock->in)->flags |= WI_SIM_SEG_LATE;
    wi_sim_event_set(world, &sock->arrival,
                     world->now + (pause < RETRANSMIT_MAX ? pause : RETRANSMIT_MAX));
}

/* An empty segment, for something of which its sender has not heard that it came. */
static void push_unanswered(struct wi_sim_sock *to)
{
    push(to, (struct wi_sim_segment){.at = wi_sim_sock_now(to) + RETRANSMIT_MIN,
                                     .flags = WI_SIM_SEG_LATE});
}

/* Nobody is at this end any more. What its peer has sent without hearing of it will come again until the
 * peer hears of a reset, which may be lost on its way, or gives up. */
static void leave_unanswered(struct wi_sim_sock *sock)
{
    const struct wi_sim_sock *sender = sock->peer;
    sock->blocked = false;
    if (wi_sim_sock_is_over(sender)) {
        wi_sim_pipe_drop(&sock->in);
        wi_sim_event_clear(wi_sim_sock_world(sock), &sock->arrival);
    } else if (sock->in.count == 0 && sender->unacked > 0) {
        push_unanswered(sock);
    } else if (sock->in.count > 0) {
        wi_sim_pipe_first(&sock->in)->flags |= WI_SIM_SEG_LATE;
        if (!wi_sim_event_is_set(&sock->arrival) && !wi_sim_pipe_resets(&sender->in))
            come_again(sock);
    }
}

/* What only a sender had that is no more, or has lost its connection, will not come. */
static void forget_unsent(struct wi_sim_sock *sender)
{
    struct wi_sim_sock *to = sender->peer;
    wi_sim_pipe_drop_late(&to->in);
    if (to->in.count == 0) {
        to->blocked = false;
        wi_sim_event_clear(wi_sim_sock_world(to), &to->arrival);
    }
}

/* It waits for no word of its peer any more. */
static void expect_nothing(struct wi_sim_sock *sock)
{
    wi_sim_event_clear(wi_sim_sock_world(sock), &sock->give_up);
    wi_sim_event_clear(wi_sim_sock_world(sock), &sock->keepalive);
}

/* The connection is over at this end: what has arrived can be read, then the error comes. */
static void die(struct wi_sim_sock *sock, int error)
{
    expect_nothing(sock);
    forget_unsent(sock);
    leave_unanswered(sock);
    if (!sock->dead && !sock->gone) {
        sock->dead = sock->rd_shut = sock->wr_shut = true;
        sock->error = error;
        wi_sim_sock_kick(sock, ALL_EVENTS);
    }
    wi_sim_sock_settle(sock);
}

/* The end of a connection to which both have said goodbye: nothing that comes now matters. */
static bool is_finished(const struct wi_sim_sock *sock)
{
    return sock->fin && sock->wr_shut && sock->peer != NULL && sock->peer->fin;
}

/* Tells the peer of a sock that nothing which it sends is wanted. */
static void refuse(struct wi_sim_sock *sock)
{
    sock->dead = true;
    forget_unsent(sock);
    if (!wi_sim_sock_is_over(sock->peer))
        push_sign(sock, WI_SIM_SEG_RST);
    leave_unanswered(sock);
}

static void take_reset(struct wi_sim_sock *sock, uint32_t flags)
{
    bool both = (flags & WI_SIM_SEG_BOTH) != 0 && !wi_sim_sock_is_over(sock->peer);
    if (both) {
        forget_unsent(sock);
        push_sign(sock, WI_SIM_SEG_RST);
    }
    if (is_finished(sock)) {
        sock->dead = true;
        wi_sim_pipe_drop(&sock->in);
        expect_nothing(sock);
        forget_unsent(sock);
        wi_sim_sock_settle(sock);
        return;
    }
    if (both) /* the bytes in whose place the reset came */
        push_unanswered(sock);
    wi_sim_sock_note(sock, WI_SIM_NOTE_RESET, 0);
    die(sock, sock->fin ? EPIPE : ECONNRESET);
}

/* Nothing gets through: again later. The reset of an end that is dead is not sent again, but what it has
 * answered is; one in place of bytes comes again as those would. */
static void arrive_late(struct wi_sim_sock *sock)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    struct wi_sim_sock *sender = sock->peer;
    if (sender->gone || sender->dead) {
        wi_sim_pipe_drop(&sock->in);
        if (sender->dead && sender->in.count > 0 && !wi_sim_event_is_set(&sender->arrival))
            come_again(sender);
        wi_sim_sock_settle(sock);
        return;
    }
    come_again(sock);
    if (!wi_sim_event_is_set(&sender->give_up))
        wi_sim_event_set(world, &sender->give_up, world->now + GIVE_UP);
}

/* The sender's buffer has these bytes until it hears that they came. */
static void acknowledge(struct wi_sim_sock *sock, uint32_t len)
{
    struct wi_sim_sock *sender = sock->peer;
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    weir_ns until;
    enum wi_sim_passage back = len == 0 || wi_sim_sock_is_over(sender)
                                   ? WI_SIM_PASSES
                                   : wi_sim_wire_look(sock->file.node, sender->file.node, &until);
    sock->tries = 0;
    if (__builtin_expect(back == WI_SIM_LOST || back == WI_SIM_HELD, 0)) {
        sender->unacked += len;
        sock->heard = world->now;
        if (back == WI_SIM_LOST && !wi_sim_event_is_set(&sender->give_up))
            wi_sim_event_set(world, &sender->give_up, world->now + GIVE_UP);
        return;
    }
    sender->heard = sock->heard = world->now;
    if (sender->unacked == 0)
        wi_sim_event_clear(world, &sender->give_up);
    feed(sender);
}

/* What arrives as far as the window lets it. Returns poll(2) bits, or -1 where the sock may be gone. */
static int take_arrivals(struct wi_sim_sock *sock)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    uint32_t window = wi_sim_buf_bytes(sock->options.recv_buf), bytes = 0;
    struct wi_sim_segment *first;
    sock->blocked = false;
    while ((first = wi_sim_pipe_first(&sock->in)) != NULL && first->at <= world->now) {
        uint32_t flags = first->flags,
                 room = window > sock->in.arrived ? window - sock->in.arrived : 0;
        uint32_t len = first->len < room ? first->len : room;
        if ((flags & WI_SIM_SEG_RST) != 0) {
            wi_sim_pipe_pop(&sock->in);
            take_reset(sock, flags);
            return -1;
        }
        if (first->len > len) {
            sock->blocked = true;
            first->flags |= WI_SIM_SEG_LATE; /* the rest of it has not been sent yet */
        }
        wi_sim_pipe_arrive(&sock->in, len);
        bytes += len;
        if (sock->blocked)
            break;
        if ((flags & WI_SIM_SEG_FIN) != 0) {
            wi_sim_pipe_pop(&sock->in);
            sock->fin = true;
            wi_sim_sock_note(sock, WI_SIM_NOTE_FIN, 0);
        }
    }
    acknowledge(sock, bytes);
    if (bytes > 0)
        wi_sim_sock_note(sock, WI_SIM_NOTE_ARRIVED, bytes);
    return (bytes > 0 ? POLLIN : 0) | (sock->fin ? POLLIN | POLLRDHUP : 0) |
           (sock->fin && sock->wr_shut ? POLLHUP : 0);
}

/* Sets the arrival of what comes next. What the window blocks comes when it opens, but for a reset,
 * which comes in spite of it. */
static void expect_next(struct wi_sim_sock *sock)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    const struct wi_sim_segment *first = wi_sim_pipe_first(&sock->in);
    if (first == NULL)
        return;
    if (!sock->blocked)
        wi_sim_event_set(world, &sock->arrival, first->at);
    else if (wi_sim_pipe_resets(&sock->in))
        wi_sim_event_set(world, &sock->arrival, sock->in.last);
}

/* For one that is closed, or was: data is answered with a reset (RFC 9293, 3.10.7.1). */
static void arrive_at_closed(struct wi_sim_sock *sock)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    const struct wi_sim_segment *first = wi_sim_pipe_first(&sock->in);
    uint32_t reset = first->flags & (WI_SIM_SEG_RST | WI_SIM_SEG_BOTH);
    bool goodbye = first->len == 0 && reset == 0 && !sock->dead && !sock->gone;
    weir_ns unused;
    if (reset == WI_SIM_SEG_RST) {
        sock->dead = true;
        wi_sim_pipe_drop(&sock->in);
        forget_unsent(sock);
    } else if (goodbye) {
        sock->fin = sock->fin || (first->flags & WI_SIM_SEG_FIN) != 0;
        wi_sim_pipe_pop(&sock->in);
        wi_sim_event_clear(world, &sock->peer->give_up);
        expect_next(sock);
    } else if (wi_sim_wire_look(sock->file.node, sock->peer->file.node, &unused) == WI_SIM_LOST &&
               !sock->peer->gone) {
        arrive_late(sock);
        return;
    } else {
        refuse(sock);
    }
    wi_sim_sock_settle(sock);
}

static void arrive_in_time(struct wi_sim_sock *sock)
{
    uint32_t reset = sock->blocked ? wi_sim_pipe_resets(&sock->in) : 0;
    if (reset != 0 && sock->in.last <= wi_sim_sock_now(sock)) {
        wi_sim_pipe_drop(&sock->in);
        take_reset(sock, reset);
        return;
    }
    int events = take_arrivals(sock);
    if (events < 0)
        return;
    expect_next(sock);
    if (events > 0)
        wi_sim_sock_kick_now(sock, (uint32_t)events);
}

static void arrive(struct wi_sim_world *world, struct wi_sim_event *event)
{
    struct wi_sim_sock *sock = wi_container_of(event, struct wi_sim_sock, arrival);
    weir_ns until = 0;
    switch (wi_sim_wire_look(sock->peer->file.node, sock->file.node, &until)) {
    case WI_SIM_LOST:
        arrive_late(sock);
        return;
    case WI_SIM_HELD:
        sock->blocked = false; /* the window is open, or is looked at anew */
        return;
    case WI_SIM_CLOGGED:
        wi_sim_event_set(world, event, until);
        return;
    case WI_SIM_PASSES:
        break;
    }
    if (wi_sim_sock_is_over(sock))
        arrive_at_closed(sock);
    else
        arrive_in_time(sock);
}

static void give_up(struct wi_sim_world *world, struct wi_sim_event *event)
{
    struct wi_sim_sock *sock = wi_container_of(event, struct wi_sim_sock, give_up);
    struct wi_sim_sock *to = sock->peer;
    (void)world;
    wi_sim_sock_note(sock, WI_SIM_NOTE_TIMED_OUT, sock->remote.port);
    wi_sim_pipe_drop(&to->in);
    wi_sim_event_clear(wi_sim_sock_world(to), &to->arrival);
    die(sock, ETIMEDOUT);
}

/* ---- idle ---- */

/* Whether a probe, which asks for an acknowledgement, gets through, and the answer back. */
static bool is_answered(const struct wi_sim_sock *sock)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    const struct wi_sim_node *here = sock->file.node, *there = sock->peer->file.node;
    weir_ns until;
    enum wi_sim_passage out = wi_sim_wire_look(here, there, &until),
                        back = wi_sim_wire_look(there, here, &until);
    return out != WI_SIM_LOST && out != WI_SIM_HELD && back != WI_SIM_LOST && back != WI_SIM_HELD &&
           !wi_sim_fault(world, WI_SIM_NETWORK, world->faults.loss);
}

static void probe_again(struct wi_sim_sock *sock, weir_ns at)
{
    wi_sim_event_set(wi_sim_sock_world(sock), &sock->keepalive, at);
}

/* As tcp_keepalive_timer of the kernel. */
static void probe(struct wi_sim_world *world, struct wi_sim_event *event)
{
    struct wi_sim_sock *sock = wi_container_of(event, struct wi_sim_sock, keepalive);
    const struct wi_sim_options *options = &sock->options;
    weir_ns idle = options->keep_idle * WEIR_SEC;
    bool is_mute = sock->peer->gone || sock->peer->dead;
    if (is_finished(sock))
        return;
    if (world->now < sock->heard + idle) {
        sock->probes = 0;
        probe_again(sock, sock->heard + idle);
    } else if (used_of(sock) > 0) { /* what is sent asks as well */
        probe_again(sock, world->now + idle);
    } else if (sock->probes >= options->keep_count) {
        wi_sim_sock_note(sock, WI_SIM_NOTE_TIMED_OUT, sock->remote.port);
        if (!wi_sim_sock_is_over(sock->peer))
            push_sign(sock, WI_SIM_SEG_RST);
        die(sock, ETIMEDOUT);
    } else if (!is_answered(sock)) {
        sock->probes++;
        probe_again(sock, world->now + options->keep_interval * WEIR_SEC);
    } else if (is_mute) { /* whoever is there now knows nothing of it */
        push_sign(sock->peer, WI_SIM_SEG_RST);
        probe_again(sock, world->now + options->keep_interval * WEIR_SEC);
    } else {
        sock->probes = 0;
        sock->heard = world->now;
        probe_again(sock, world->now + idle);
    }
}

void wi_sim_stream_keep_alive(struct wi_sim_sock *sock)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    if (sock->domain == AF_UNIX || sock->peer == NULL || wi_sim_sock_is_over(sock))
        return;
    wi_sim_event_clear(world, &sock->keepalive);
    sock->probes = 0;
    if (sock->options.keep_alive != 0)
        probe_again(sock, world->now + sock->options.keep_idle * WEIR_SEC);
}

/* ---- links ---- */

void wi_sim_stream_link_changed(struct wi_sim_sock *sock)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    const struct wi_sim_node *here = sock->file.node, *there = sock->peer->file.node;
    weir_ns until;
    if (sock->in.count > 0 && !sock->blocked && !wi_sim_event_is_set(&sock->arrival))
        wi_sim_event_set(world, &sock->arrival, world->now);
    enum wi_sim_passage passage = wi_sim_wire_look(there, here, &until);
    if (sock->unacked == 0 || passage == WI_SIM_LOST || passage == WI_SIM_HELD)
        return;
    sock->unacked = 0;
    sock->heard = world->now;
    if (sock->peer->tries == 0)
        wi_sim_event_clear(world, &sock->give_up);
    feed(sock);
}

/* ---- receiving ---- */

/* The sender hears of a window that has opened, and goes on. */
static void open_window(struct wi_sim_sock *sock)
{
    struct wi_sim_world *world = wi_sim_sock_world(sock);
    const struct wi_sim_node *here = sock->file.node, *there = sock->peer->file.node;
    uint32_t window = wi_sim_buf_bytes(sock->options.recv_buf);
    uint32_t step = window / 2 < WINDOW_STEP ? window / 2 : WINDOW_STEP;
    if (sock->in.arrived > window || window - sock->in.arrived < step ||
        wi_sim_event_is_set(&sock->arrival))
        return;
    wi_sim_event_set(world, &sock->arrival,
                     world->now + wi_sim_wire_latency(here, there) +
                         wi_sim_wire_latency(there, here));
}

static ssize_t stream_recv(struct wi_sim_sock *sock, const struct wi_req *req)
{
    uint32_t len = req->len < sock->in.arrived ? req->len : sock->in.arrived;
    if (len > 0) {
        len = wi_sim_sock_cut(sock, len, wi_sim_sock_world(sock)->faults.recv_short, POLLIN);
        len = wi_sim_pipe_take(&sock->in, req->mem, len, (req->msg_flags & MSG_PEEK) != 0);
        if (__builtin_expect(sock->blocked, 0))
            open_window(sock);
        return (ssize_t)len;
    }
    if (sock->fin)
        return 0;
    int error = wi_sim_sock_error(sock);
    if (error < 0)
        return error;
    if (sock->rd_shut || (req->len == 0 && sock->in.arrived > 0))
        return 0;
    bool never = sock->state == WI_SIM_FRESH || sock->state == WI_SIM_LISTENING;
    return never ? -ENOTCONN : -EAGAIN;
}

static uint32_t stream_state(struct wi_sim_file *file)
{
    struct wi_sim_sock *sock = wi_sim_sock_of(file);
    uint32_t events = 0;
    if (sock->gone)
        return POLLHUP | POLLERR;
    if (sock->state == WI_SIM_LISTENING)
        return wi_list_empty(&sock->queue) ? 0 : POLLIN;
    bool silent = sock->state == WI_SIM_CONNECTING && sock->syn_state != WI_SIM_SYN_OVER;
    bool rd_shut = sock->rd_shut || sock->fin;
    if (sock->state == WI_SIM_FRESH || (rd_shut && sock->wr_shut))
        events |= POLLHUP;
    if (rd_shut)
        events |= POLLIN | POLLRDHUP;
    if (sock->in.arrived > 0)
        events |= POLLIN;
    if (!silent && (sock->wr_shut || sock->state != WI_SIM_CONNECTED || is_writable(sock)))
        events |= POLLOUT;
    else
        sock->starved = true;
    return events | (sock->error != 0 ? POLLERR : 0);
}

/* ---- ending ---- */

int wi_sim_stream_shutdown(struct wi_sim_sock *sock, int how)
{
    bool reads = how == SHUT_RD || how == SHUT_RDWR, writes = how == SHUT_WR || how == SHUT_RDWR;
    if (sock->state == WI_SIM_LISTENING) {
        if (reads)
            wi_sim_listen_stop(sock);
        return 0;
    }
    if (sock->state == WI_SIM_CONNECTING && sock->syn_state != WI_SIM_SYN_OVER) {
        wi_sim_connect_forget(sock);
        sock->error = ECONNRESET;
        wi_sim_sock_kick(sock, ALL_EVENTS);
        return 0;
    }
    bool connected = sock->state == WI_SIM_CONNECTED && !sock->dead && !is_finished(sock);
    if (connected && writes && !sock->wr_shut)
        push_sign(sock, WI_SIM_SEG_FIN);
    sock->rd_shut |= reads;
    sock->wr_shut |= writes;
    wi_sim_sock_kick(sock, stream_state(&sock->file) & ALL_EVENTS);
    return connected ? 0 : -ENOTCONN;
}

void wi_sim_stream_abort(struct wi_sim_sock *sock)
{
    if (sock->peer == NULL || sock->dead || sock->gone)
        return;
    refuse(sock);
}

static void close_stream(struct wi_sim_sock *sock)
{
    bool at_once = sock->options.linger.l_onoff != 0 && sock->options.linger.l_linger == 0;
    if (sock->dead || sock->gone || is_finished(sock))
        return;
    if (sock->in.arrived > 0 || at_once)
        wi_sim_stream_abort(sock);
    else if (!sock->wr_shut)
        push_sign(sock, WI_SIM_SEG_FIN);
    sock->wr_shut = true;
}

static void stream_release(struct wi_sim_file *file)
{
    struct wi_sim_sock *sock = wi_sim_sock_of(file);
    if (sock->state == WI_SIM_LISTENING)
        wi_sim_listen_stop(sock);
    if (sock->state == WI_SIM_CONNECTING)
        wi_sim_connect_forget(sock);
    if (sock->peer != NULL)
        close_stream(sock);
    wi_sim_event_clear(wi_sim_sock_world(sock), &sock->kick);
    wi_sim_event_clear(wi_sim_sock_world(sock), &sock->keepalive);
    sock->released = true;
    sock->in.arrived = 0; /* nobody reads it */
    if (sock->in.flying == 0)
        wi_sim_pipe_shrink(&sock->in);
    wi_sim_sock_settle(sock);
}

/* Its memory is gone, and what only it had. What flies to it will not be answered, or with a reset. */
void wi_sim_stream_crash(struct wi_sim_sock *sock)
{
    wi_sim_event_clear(wi_sim_sock_world(sock), &sock->syn);
    expect_nothing(sock);
    if (sock->peer == NULL)
        return;
    forget_unsent(sock);
    leave_unanswered(sock);
}

const struct wi_sim_sock_kind wi_sim_stream_kind = {
    .ops = {.state = stream_state, .attempt = wi_sim_sock_attempt, .release = stream_release},
    .recv = stream_recv,
    .send = stream_send,
    .connect = wi_sim_connect,
    .accept = wi_sim_accept};
