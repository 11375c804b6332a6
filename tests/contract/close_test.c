/* SPDX-License-Identifier: MIT */
/* Closing: whoever closes, whatever is under way, the peer gets what was sent and learns the end. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "check.h"
#include "support/host.h"
#include "support/net.h"

#define LONG_BEFORE_FOREVER (10 * WEIR_SEC)

#define SMALL_BUFFERS WEIR_TCP_OPTS(.send_buf_bytes = 4096, .recv_buf_bytes = 4096)

static char mib8[8 << 20];

static int close_it(void *arg)
{
    weir_sock sock = *(weir_sock *)arg;
    return weir_close(&sock);
}

/* ---- other tasks' calls ---- */

struct reader {
    weir_sock sock;
    int api;
    ssize_t got;
};

static int read_anything(void *arg)
{
    struct reader *reader = arg;
    struct weir_buf buf;
    char bytes[8];
    if (reader->api == 0)
        reader->got = weir_recv(reader->sock, bytes, sizeof bytes);
    else if (reader->api == 1)
        reader->got = weir_recv_exact(reader->sock, bytes, sizeof bytes);
    else
        reader->got = weir_recv_buf(reader->sock, &buf);
    return 0;
}

static int close_under_readers(void *arg)
{
    enum net_kind kind = *(enum net_kind *)arg;
    for (int api = 0; api < 3; api++) {
        struct net_half half = net_accepted(kind, NULL);
        struct reader reader = {.sock = half.sock, .api = api};
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, read_anything, &reader), 0);
        net_settle();
        CHECK_EQ(weir_close(&half.sock), 0);
        CHECK_EQ(half.sock.bits, 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(reader.got, -EBADF);
        CHECK_EQ(net_take_end(half.fd), 0);
        net_plain_close(half.fd);
    }
    return 0;
}

CASE(close_ends_a_parked_reader)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(close_under_readers, &kind), 0);
}

/* The reader waits for a buffer, not for data. */
static int close_under_a_borrower(void *arg)
{
    struct net_half first = net_accepted(NET_V4, NULL), half = net_accepted(NET_V4, NULL);
    struct reader reader = {.sock = half.sock, .api = 2};
    struct weir_buf buf;
    (void)arg;
    CHECK_EQ(net_plain_send(first.fd, "x", 1), 0);
    CHECK_EQ(weir_recv_buf(first.sock, &buf), 1);
    CHECK_EQ(net_plain_send(half.fd, "x", 1), 0);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, read_anything, &reader), 0);
        net_settle();
        CHECK_EQ(weir_close(&half.sock), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    CHECK_EQ(reader.got, -EBADF);
    weir_buf_release(&buf);
    CHECK_EQ(net_plain_send(first.fd, "y", 1), 0);
    CHECK_EQ(weir_recv_buf(first.sock, &buf), 1); /* nobody kept the only buffer */
    weir_buf_release(&buf);
    net_plain_close(half.fd);
    net_plain_close(first.fd);
    return weir_close(&first.sock);
}

CASE(close_ends_a_reader_that_waits_for_a_buffer)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.recv_pool_bytes = 65536), close_under_a_borrower, NULL), 0);
}

struct writer {
    weir_sock sock;
    size_t len;
    int rc;
    size_t done;
};

static int write_some(void *arg)
{
    struct writer *writer = arg;
    writer->rc = weir_send(writer->sock, mib8, writer->len);
    writer->done = weir_done();
    return 0;
}

static int shut_write(void *arg)
{
    struct writer *writer = arg;
    writer->rc = weir_shutdown_write(writer->sock);
    return 0;
}

struct pattern_reader {
    int fd;
    size_t matched;
    ssize_t end;
};

/* Reads the pattern up to whatever ends it. */
static void read_to_the_end(void *arg)
{
    static char piece[65536];
    struct pattern_reader *reader = arg;
    ssize_t got;
    while ((got = host_recv(reader->fd, piece, sizeof piece, 0)) > 0) {
        CHECK_EQ(net_match(piece, (size_t)got, 1, reader->matched), got);
        reader->matched += (size_t)got;
    }
    reader->end = got < 0 ? -errno : 0;
}

/* TX5, I3: what has begun is flushed, then the end; what has not is sent home. */
static int close_under_writers(void *arg)
{
    struct net_half half = net_accepted(*(enum net_kind *)arg, SMALL_BUFFERS);
    struct writer begun = {.sock = half.sock, .len = sizeof mib8};
    struct writer queued = {.sock = half.sock, .len = 1000}, last = {.sock = half.sock};
    struct pattern_reader reader = {.fd = half.fd};
    net_fill(mib8, sizeof mib8, 1, 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, write_some, &begun), 0);
    CHECK_EQ(weir_spawn(&scope, write_some, &queued), 0);
    CHECK_EQ(weir_spawn(&scope, shut_write, &last), 0);
    net_settle();
    CHECK_EQ(weir_spawn(&scope, close_it, &half.sock), 0);
    net_settle();
    CHECK_EQ(weir_scope_live(&scope), 2); /* the begun writer and the closer */
    CHECK_EQ(queued.rc, -EBADF);
    CHECK_EQ(queued.done, 0);
    CHECK_EQ(last.rc, -EBADF);
    net_peer(read_to_the_end, &reader);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    CHECK_EQ(begun.rc, 0);
    net_join_peers();
    CHECK_EQ(reader.matched, sizeof mib8);
    CHECK_EQ(reader.end, 0);
    net_plain_close(half.fd);
    return 0;
}

CASE(close_flushes_the_send_under_way_and_ends_those_behind_it)
{
    const struct weir_opts *opts = WEIR_OPTS(.linger_ns = 20 * WEIR_SEC);
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run_with(opts, close_under_writers, &kind), 0);
}

/* ---- the end, as the peer sees it ---- */

/* CL1: an armed poll keeps the file alive in the kernel; it must not keep the end from the peer. */
static int close_while_armed(void *arg)
{
    enum net_kind kind = *(enum net_kind *)arg;
    for (int times = 0; times < 20; times++) {
        struct net_half half = times % 2 ? net_accepted(kind, NULL) : net_dialled(kind, NULL);
        char byte;
        CHECK_EQ(weir_send(half.sock, "x", 1), 0);
        CHECK_EQ(net_take(half.fd, &byte, 1), 1);
        {
            WEIR_WITHIN(WEIR_MS); /* leaves the poll armed behind it */
            CHECK_EQ(weir_recv(half.sock, &byte, 1), -ETIMEDOUT);
        }
        weir_ns start = weir_now();
        CHECK_EQ(weir_close(&half.sock), 0);
        CHECK_EQ(net_take_end(half.fd), 0);
        CHECK_LT(weir_now() - start, WEIR_SEC);
        net_plain_close(half.fd);
    }
    return 0;
}

CASE(close_while_armed_tells_the_peer_at_once)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(close_while_armed, &kind), 0);
}

/* RX16 */
static int close_at_once(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    weir_listener listener = net_listen(*(enum net_kind *)arg, NULL, at);
    for (int i = 0; i < 50; i++) {
        weir_sock sock;
        int fd = net_plain_dial(at);
        CHECK_EQ(weir_accept(listener, &sock), 0);
        CHECK_EQ(weir_close(&sock), 0);
        CHECK_EQ(net_take_end(fd), 0);
        net_plain_close(fd);
    }
    return weir_listener_close(&listener);
}

CASE(connection_closed_right_after_accept_ends_cleanly)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(close_at_once, &kind), 0);
}

/* Sends while it reads, and goes on sending after the other side has closed. */
static void chat_and_read(void *arg)
{
    struct pattern_reader *reader = arg;
    static char piece[8192], chatter[512];
    ssize_t got;
    CHECK_EQ(net_plain_send(reader->fd, chatter, sizeof chatter), 0);
    while ((got = host_recv(reader->fd, piece, sizeof piece, 0)) > 0) {
        CHECK_EQ(net_match(piece, (size_t)got, 1, reader->matched), got);
        reader->matched += (size_t)got;
        /* Never waits: nobody reads it before the close. */
        (void)host_send(reader->fd, chatter, sizeof chatter, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    reader->end = got < 0 ? -errno : 0;
    net_plain_close(reader->fd);
}

/* Closing a TCP socket with unread input resets the connection, and once destroyed 2.8 MB that were
 * sent before and on their way. The core has to read and drop until the peer has ended. */
static int close_with_unread_input(void *arg)
{
    enum { BYTES = 2800000 };
    struct net_half half = net_accepted(*(enum net_kind *)arg, NULL);
    struct pattern_reader reader = {.fd = half.fd};
    char unread[512] = {0};
    net_fill(mib8, BYTES, 1, 0);
    CHECK_EQ(net_plain_send(half.fd, unread, sizeof unread), 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    net_peer(chat_and_read, &reader);
    CHECK_EQ(weir_send(half.sock, mib8, BYTES), 0);
    CHECK_EQ(weir_close(&half.sock), 0);
    net_join_peers();
    CHECK_EQ(reader.matched, BYTES);
    CHECK_EQ(reader.end, 0);
    return 0;
}

CASE(close_with_unread_input_destroys_nothing_that_was_sent)
{
    const struct weir_opts *opts = WEIR_OPTS(.linger_ns = 20 * WEIR_SEC);
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run_with(opts, close_with_unread_input, &kind), 0);
}

/* Unread input beyond what one look drops, with the peer's end behind it: no edge is left to tell of
 * the rest, and the close once waited for its whole budget and then reset. */
static int send_much_and_end(void *arg)
{
    enum { BYTES = 300000 };
    int fd = *(int *)arg;
    CHECK_EQ(net_plain_send(fd, mib8, BYTES), 0);
    return host_shutdown(fd, SHUT_WR);
}

static int close_with_much_unread_input(void *arg)
{
    const struct weir_tcp_opts *opts = WEIR_TCP_OPTS(.recv_buf_bytes = 400000);
    struct net_half half = net_accepted(*(enum net_kind *)arg, opts);
    char first;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, send_much_and_end, &half.fd), 0);
    CHECK_EQ(weir_recv(half.sock, &first, 1), 1); /* parks first, so that edges are all it gets */
    net_settle();
    CHECK_EQ(weir_close(&half.sock), 0);
    CHECK_EQ(net_take_end(half.fd), 0);
    net_plain_close(half.fd);
    return 0;
}

CASE(close_drops_more_than_one_look_of_unread_input)
{
    const struct weir_opts *opts = WEIR_OPTS(.linger_ns = 20 * WEIR_SEC);
    enum net_kind kind = NET_V4;
    weir_ns start = weir_now();
    CHECK_EQ(net_run_with(opts, close_with_much_unread_input, &kind), 0);
    CHECK_LT(weir_now() - start, LONG_BEFORE_FOREVER);
}

/* TX5 */
static int shut_and_close(void *arg)
{
    struct net_half half = net_accepted(*(enum net_kind *)arg, NULL);
    struct pattern_reader reader = {.fd = half.fd};
    net_fill(mib8, sizeof mib8, 1, 0);
    net_peer(read_to_the_end, &reader);
    CHECK_EQ(weir_send(half.sock, mib8, sizeof mib8), 0);
    CHECK_EQ(weir_shutdown_write(half.sock), 0);
    CHECK_EQ(weir_close(&half.sock), 0);
    net_join_peers();
    CHECK_EQ(reader.matched, sizeof mib8);
    CHECK_EQ(reader.end, 0);
    net_plain_close(half.fd);
    return 0;
}

CASE(write_shutdown_close_delivers_everything_and_then_the_end)
{
    const struct weir_opts *opts = WEIR_OPTS(.linger_ns = 20 * WEIR_SEC);
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run_with(opts, shut_and_close, &kind), 0);
}

/* ---- budgets ---- */

#define LINGER (200 * WEIR_MS)

/* The peer neither reads nor ends: weir_close does not wait for it, the core does, to the budget. */
static int close_to_a_silent_peer(void *arg)
{
    unsigned fds = net_open_fds();
    struct net_half half = net_accepted(NET_V4, NULL);
    (void)arg;
    CHECK_EQ(weir_send(half.sock, "hello", 5), 0);
    weir_ns start = weir_now();
    CHECK_EQ(weir_close(&half.sock), 0);
    CHECK_LT(weir_now() - start, LINGER);
    while (net_open_fds() > fds + 1)
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    CHECK_GE(weir_now() - start, LINGER); /* the peer has not ended: all of the budget */
    CHECK_LT(weir_now() - start, LONG_BEFORE_FOREVER);
    net_plain_close(half.fd);
    return 0;
}

CASE(lingering_ends_with_its_budget)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.linger_ns = LINGER), close_to_a_silent_peer, NULL), 0);
}

static int linger_until_the_peer_ends(void *arg)
{
    unsigned fds = net_open_fds();
    struct net_half half = net_accepted(NET_V4, NULL);
    (void)arg;
    CHECK_EQ(weir_close(&half.sock), 0);
    net_settle();
    CHECK_EQ(net_open_fds(), fds + 2);
    CHECK_EQ(net_plain_send(half.fd, "unheard", 7), 0);
    net_settle();
    CHECK_EQ(net_open_fds(), fds + 2);
    net_plain_close(half.fd);
    while (net_open_fds() > fds)
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    return 0;
}

CASE(lingering_without_a_limit_ends_when_the_peer_does)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.linger_ns = -1), linger_until_the_peer_ends, NULL), 0);
}

/* A send that the peer will never take: flushing ends with the budget, and the stream with a reset
 * instead of an end, since it is not whole. */
static int close_an_unflushable(void *arg)
{
    struct net_half half = net_accepted(NET_V4, SMALL_BUFFERS);
    struct writer writer = {.sock = half.sock, .len = sizeof mib8};
    struct pattern_reader reader = {.fd = half.fd};
    weir_ns least = *(weir_ns *)arg;
    net_fill(mib8, sizeof mib8, 1, 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, write_some, &writer), 0);
    net_settle();
    weir_ns start = weir_now();
    CHECK_EQ(weir_close(&half.sock), 0);
    CHECK_GE(weir_now() - start, least);
    CHECK_LT(weir_now() - start, LONG_BEFORE_FOREVER);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(writer.rc, -EBADF);
    CHECK_GT(writer.done, 0);
    CHECK_LT(writer.done, writer.len);
    net_peer(read_to_the_end, &reader);
    net_join_peers();
    CHECK_LE(reader.matched, writer.done);
    CHECK_EQ(reader.end, -ECONNRESET);
    net_plain_close(half.fd);
    return 0;
}

CASE(flushing_ends_with_its_budget_and_resets_the_rest)
{
    weir_ns least = LINGER;
    CHECK_EQ(net_run_with(WEIR_OPTS(.linger_ns = LINGER), close_an_unflushable, &least), 0);
}

struct canceled_closer {
    weir_sock sock;
    weir_ns took;
    bool shielded;
};

static int close_canceled(void *arg)
{
    struct canceled_closer *closer = arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    weir_scope_cancel(&scope);
    weir_ns start = weir_now();
    if (closer->shielded) {
        WEIR_SHIELD(WEIR_FOREVER);
        CHECK_EQ(weir_close(&closer->sock), 0);
    } else {
        CHECK_EQ(weir_close(&closer->sock), 0);
    }
    closer->took = weir_now() - start;
    return 0;
}

static int close_while_canceled(void *arg)
{
    struct canceled_closer *closer = arg;
    struct net_half half = net_accepted(NET_V4, SMALL_BUFFERS);
    struct writer writer = {.sock = half.sock, .len = sizeof mib8};
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, write_some, &writer), 0);
    net_settle();
    closer->sock = half.sock;
    CHECK_EQ(weir_spawn(&scope, close_canceled, closer), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(writer.rc, -EBADF);
    net_plain_close(half.fd);
    return 0;
}

CASE(canceled_task_closes_with_the_short_budget)
{
    struct canceled_closer closer = {.shielded = false};
    const struct weir_opts *opts =
        WEIR_OPTS(.linger_ns = 3600 * WEIR_SEC, .linger_canceled_ns = LINGER);
    CHECK_EQ(net_run_with(opts, close_while_canceled, &closer), 0);
    CHECK_GE(closer.took, LINGER);
    CHECK_LT(closer.took, LONG_BEFORE_FOREVER);
}

CASE(shielded_task_closes_with_the_long_budget)
{
    struct canceled_closer closer = {.shielded = true};
    const struct weir_opts *opts =
        WEIR_OPTS(.linger_ns = LINGER, .linger_canceled_ns = 3600 * WEIR_SEC);
    CHECK_EQ(net_run_with(opts, close_while_canceled, &closer), 0);
    CHECK_GE(closer.took, LINGER);
    CHECK_LT(closer.took, LONG_BEFORE_FOREVER);
}

/* Closing is immune: what was sent arrives, and then the end, though the task is long cancelled. */
static int say_goodbye_canceled(void *arg)
{
    struct net_half half = net_accepted(NET_V4, NULL);
    char text[6] = {0};
    (void)arg;
    CHECK_EQ(weir_send(half.sock, "hello", 5), 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_close(&half.sock), 0);
    CHECK_EQ(net_take(half.fd, text, 5), 5);
    CHECK_STR_EQ(text, "hello");
    CHECK_EQ(net_take_end(half.fd), 0);
    net_plain_close(half.fd);
    return 0;
}

CASE(close_is_immune_to_cancellation)
{
    CHECK_EQ(net_run(say_goodbye_canceled, NULL), 0);
}

/* ---- twice, and never ---- */

static int close_twice(void *arg)
{
    struct net_half half = net_accepted(NET_V4, SMALL_BUFFERS);
    struct writer writer = {.sock = half.sock, .len = sizeof mib8};
    struct pattern_reader reader = {.fd = half.fd};
    weir_sock copy = half.sock, other = half.sock;
    (void)arg;
    net_fill(mib8, sizeof mib8, 1, 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, write_some, &writer), 0);
    CHECK_EQ(weir_spawn(&scope, close_it, &half.sock), 0);
    net_settle();
    CHECK_EQ(weir_scope_live(&scope), 2); /* the first close is under way */
    CHECK_EQ(weir_close(&copy), -EBADF);
    CHECK_EQ(copy.bits, 0);
    CHECK_EQ(weir_close(&copy), 0);
    net_peer(read_to_the_end, &reader);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_close(&other), -EBADF);
    net_join_peers();
    net_plain_close(half.fd);
    return 0;
}

CASE(closing_again_is_refused_and_closing_none_is_nothing)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.linger_ns = 20 * WEIR_SEC), close_twice, NULL), 0);
}

struct forgotten {
    int fd;
    char at[WEIR_ADDR_TEXT_MAX];
};

static int forget_everything(void *arg)
{
    struct forgotten *forgotten = arg;
    struct net_half half = net_accepted(NET_V4, NULL);
    (void)net_listen(NET_V4, NULL, forgotten->at);
    CHECK_EQ(weir_send(half.sock, "hello", 5), 0);
    forgotten->fd = half.fd;
    return 0;
}

static void look_at_the_forgotten(void *arg)
{
    struct forgotten *forgotten = arg;
    char text[6] = {0};
    CHECK_EQ(net_plain_recv(forgotten->fd, text, sizeof text), 5);
    CHECK_STR_EQ(text, "hello");
    net_plain_close(forgotten->fd);
}

static int forget_and_watch(void *arg)
{
    int rc = forget_everything(arg);
    net_peer(look_at_the_forgotten, arg);
    return rc;
}

CASE(forgotten_sockets_are_closed_and_reported)
{
    struct forgotten forgotten;
    CHECK_EQ(net_run_careless(NULL, forget_and_watch, &forgotten), 0);
    int fd = net_plain_socket(forgotten.at);
    CHECK_EQ(net_plain_connect(fd, forgotten.at), -ECONNREFUSED);
    net_plain_close(fd);
    CHECK_EQ(net_logged("a socket made at"), 1);
    CHECK_EQ(net_logged("a listener made at"), 1);
}
