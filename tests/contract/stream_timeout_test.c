/* SPDX-License-Identifier: MIT */
/*
 * Timeouts of single calls: when they end a receive or a send, what they leave alone, and how they
 * meet deadlines, cancellation, results and each other. The options are in effect_test.c. (C2)
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/handle.h"
#include "check.h"
#include "support/host.h"
#include "support/net.h"
#include "support/process.h"
#include "task/core.h"

static const weir_ns LONG = 1000 * WEIR_SEC, SHORT = 5 * WEIR_MS;

#define SMALL_BUFFERS WEIR_TCP_OPTS(.send_buf_bytes = 4096, .recv_buf_bytes = 4096)

static char bulk[8 << 20];

static void set_both(weir_sock sock, weir_ns timeout)
{
    CHECK_EQ(weir_sock_set_recv_timeout(sock, timeout), 0);
    CHECK_EQ(weir_sock_set_send_timeout(sock, timeout), 0);
}

static void end_half(struct net_half *half)
{
    CHECK_EQ(weir_close(&half->sock), 0);
    net_plain_close(half->fd);
}

/* ---- every call that waits ---- */

struct stage {
    struct net_half quiet;  /* the peer says nothing and reads nothing */
    struct net_half busy;   /* another task is sending more than it takes */
    struct net_half lender; /* has lent the only buffer of the pool */
    struct weir_buf loan;
};

static int call_recv(struct stage *stage)
{
    char byte;
    return (int)weir_recv(stage->quiet.sock, &byte, 1);
}

static int call_recv_exact(struct stage *stage)
{
    char bytes[8];
    return (int)weir_recv_exact(stage->quiet.sock, bytes, sizeof bytes);
}

static int call_recv_buf(struct stage *stage)
{
    struct weir_buf buf;
    int rc = (int)weir_recv_buf(stage->quiet.sock, &buf);
    CHECK_EQ(buf.loan, 0);
    return rc;
}

/* Data has come, and what is missing is a buffer. */
static int call_recv_buf_without_buffers(struct stage *stage)
{
    CHECK_EQ(host_send(stage->quiet.fd, "x", 1, MSG_NOSIGNAL), 1);
    return call_recv_buf(stage);
}

static int call_queued_send(struct stage *stage)
{
    return weir_send(stage->busy.sock, "x", 1);
}

static int call_queued_shutdown(struct stage *stage)
{
    return weir_shutdown_write(stage->busy.sock);
}

static int call_send(struct stage *stage)
{
    return weir_send(stage->quiet.sock, bulk, sizeof bulk);
}

static int call_sendv(struct stage *stage)
{
    const struct iovec iov[] = {{bulk, 1000}, {bulk, 0}, {bulk + 1000, sizeof bulk - 1000}};
    return weir_sendv(stage->quiet.sock, iov, 3);
}

static int call_send_buf(struct stage *stage)
{
    int rc = weir_send_buf(stage->quiet.sock, &stage->loan);
    CHECK_EQ(stage->loan.loan, 0);
    return rc;
}

typedef int call_fn(struct stage *stage);

/* Behind the last that may be repeated come those that tear the stream. */
static call_fn *const calls[] = {
    call_recv,        call_recv_exact,      call_recv_buf, call_recv_buf_without_buffers,
    call_queued_send, call_queued_shutdown, call_send,     call_sendv,
    call_send_buf};

enum { CALLS = sizeof calls / sizeof *calls, REPEATABLE = 6 };

static int send_for_ever(void *arg)
{
    struct stage *stage = arg;
    CHECK_EQ(weir_send(stage->busy.sock, bulk, sizeof bulk), -EBADF); /* ended by the close */
    return 0;
}

/* The one sender there is began before any timeout was set, and has none. */
static void stage_open(struct stage *stage, struct weir_scope *scope, weir_ns timeout)
{
    *stage = (struct stage){.quiet = net_accepted(NET_V4, SMALL_BUFFERS),
                            .busy = net_accepted(NET_V4, SMALL_BUFFERS),
                            .lender = net_accepted(NET_UNIX, NULL)};
    CHECK_EQ(weir_spawn(scope, send_for_ever, stage), 0);
    net_settle();
    CHECK_EQ(weir_scope_live(scope), 1);
    CHECK_EQ(net_plain_send(stage->lender.fd, bulk, 30000), 0);
    CHECK_EQ(weir_recv_buf(stage->lender.sock, &stage->loan), 30000);
    set_both(stage->quiet.sock, timeout);
    set_both(stage->busy.sock, timeout);
}

static void stage_close(struct stage *stage, struct weir_scope *scope)
{
    weir_buf_release(&stage->loan);
    end_half(&stage->quiet);
    end_half(&stage->busy);
    end_half(&stage->lender);
    CHECK_EQ(weir_scope_wait(scope), 0);
}

/* Runs one act for each call, each on a stage of its own. */
static int play(weir_ns timeout, void (*act)(struct stage *, call_fn *call, bool repeatable))
{
    for (int i = 0; i < CALLS; i++) {
        struct stage stage;
        WEIR_SCOPE(scope, WEIR_ALL);
        stage_open(&stage, &scope, timeout);
        act(&stage, calls[i], i < REPEATABLE);
        stage_close(&stage, &scope);
    }
    return 0;
}

/* The stage needs one buffer, and there is no other. */
#define STAGE_OPTS WEIR_OPTS(.recv_pool_bytes = 65536, .linger_ns = WEIR_MS)

static void time_out(struct stage *stage, call_fn *call, bool repeatable)
{
    for (int i = 0; i < (repeatable ? 3 : 1); i++) {
        unsigned alarms = wi_wheel_audit(&wi_core_self->engine.wheel);
        weir_ns start = weir_now();
        CHECK_EQ(call(stage), -ETIMEDOUT);
        CHECK_GE(weir_now() - start, SHORT); /* I9: never early, and anew each time */
        CHECK_EQ(weir_done() > 0, !repeatable);
        CHECK_EQ(wi_wheel_audit(&wi_core_self->engine.wheel), alarms);
        CHECK_EQ(weir_yield(), 0); /* over with the call */
    }
}

static int time_out_all(void *arg)
{
    (void)arg;
    return play(SHORT, time_out);
}

CASE(sock_timeout_ends_every_call_that_waits_and_no_later_one)
{
    CHECK_EQ(net_run_with(STAGE_OPTS, time_out_all, NULL), 0);
}

static void expire(struct stage *stage, call_fn *call, bool repeatable)
{
    (void)repeatable;
    weir_ns start = weir_now();
    WEIR_WITHIN(SHORT);
    CHECK_EQ(call(stage), -ETIMEDOUT);
    CHECK_GE(weir_now() - start, SHORT);
    CHECK_EQ(weir_yield(), -ETIMEDOUT); /* the deadline goes on */
}

static int expire_all(void *arg)
{
    (void)arg;
    return play(LONG, expire);
}

CASE(sock_timeout_behind_a_deadline_leaves_the_end_to_it)
{
    CHECK_EQ(net_run_with(STAGE_OPTS, expire_all, NULL), 0);
}

static void time_out_before_the_deadline(struct stage *stage, call_fn *call, bool repeatable)
{
    WEIR_WITHIN(LONG);
    time_out(stage, call, repeatable);
}

static int time_out_all_before_a_deadline(void *arg)
{
    (void)arg;
    return play(SHORT, time_out_before_the_deadline);
}

CASE(sock_timeout_before_a_deadline_ends_the_call_and_leaves_the_deadline)
{
    CHECK_EQ(net_run_with(STAGE_OPTS, time_out_all_before_a_deadline, NULL), 0);
}

struct caller {
    struct stage *stage;
    call_fn *call;
    int rc;
};

static int make_call(void *arg)
{
    struct caller *caller = arg;
    caller->rc = caller->call(caller->stage);
    return 0;
}

static void cancel(struct stage *stage, call_fn *call, bool repeatable)
{
    struct caller caller = {.stage = stage, .call = call};
    unsigned alarms = wi_wheel_audit(&wi_core_self->engine.wheel);
    (void)repeatable;
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, make_call, &caller), 0);
        net_settle();
        CHECK_EQ(weir_scope_live(&scope), 1);
        CHECK_EQ(wi_wheel_audit(&wi_core_self->engine.wheel), alarms + 1); /* one, while it waits */
    }
    CHECK_EQ(caller.rc, -ECANCELED);
    CHECK_EQ(wi_wheel_audit(&wi_core_self->engine.wheel), alarms); /* TM3 */
}

static int cancel_all(void *arg)
{
    (void)arg;
    return play(LONG, cancel);
}

CASE(sock_timeout_is_one_alarm_that_goes_with_a_canceled_call)
{
    CHECK_EQ(net_run_with(STAGE_OPTS, cancel_all, NULL), 0);
}

static void cancel_and_time_out(struct stage *stage, call_fn *call, bool repeatable)
{
    struct caller caller = {.stage = stage, .call = call};
    (void)repeatable;
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, make_call, &caller), 0);
        CHECK_EQ(weir_yield(), 0);
        for (weir_ns start = weir_now(); weir_now() - start < 2 * SHORT;)
            continue; /* now the time is up, and nobody has been told */
    }
    CHECK_EQ(caller.rc, -ECANCELED);
}

static int cancel_and_time_out_all(void *arg)
{
    (void)arg;
    return play(SHORT, cancel_and_time_out);
}

/* As with deadlines: what outlasts the call goes before what does not. */
CASE(sock_timeout_that_comes_together_with_a_cancellation_is_a_cancellation)
{
    CHECK_EQ(net_run_with(STAGE_OPTS, cancel_and_time_out_all, NULL), 0);
}

/* ---- results go before ---- */

enum api { API_RECV, API_EXACT, API_BUF, APIS };

/* One byte by the given call, or the error. */
static int read_byte(enum api api, weir_sock sock, char *byte)
{
    struct weir_buf buf;
    if (api == API_RECV)
        return (int)weir_recv(sock, byte, 1);
    if (api == API_EXACT)
        return (int)weir_recv_exact(sock, byte, 1);
    int got = (int)weir_recv_buf(sock, &buf);
    if (got > 0)
        *byte = (char)buf.data[0];
    weir_buf_release(&buf);
    return got;
}

struct receiver {
    enum api api;
    weir_sock sock;
    int rc;
    char byte;
};

static int receive(void *arg)
{
    struct receiver *receiver = arg;
    receiver->rc = read_byte(receiver->api, receiver->sock, &receiver->byte);
    return 0;
}

/* The byte came in time, and the core was too busy to look before the time was up. (I3, I11) */
static int come_in_time(void *arg)
{
    const enum net_kind kind = *(enum net_kind *)arg;
    for (enum api api = API_RECV; api < APIS; api++) {
        struct net_half half = net_accepted(kind, NULL);
        struct receiver receiver = {.api = api, .sock = half.sock};
        CHECK_EQ(weir_sock_set_recv_timeout(half.sock, SHORT), 0);
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, receive, &receiver), 0);
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_scope_live(&scope), 1);
        CHECK_EQ(net_plain_send(half.fd, "!", 1), 0);
        for (weir_ns start = weir_now(); weir_now() - start < 2 * SHORT;)
            continue;
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(receiver.rc, 1);
        CHECK_EQ(receiver.byte, '!');
        end_half(&half);
    }
    return 0;
}

CASE(sock_timeout_loses_to_data_that_came_before_it)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(come_in_time, &kind), 0);
}

struct dripper {
    int fd;
    unsigned bytes;
    weir_ns pause;
};

/* Pauses that swing around the timeout, so that bytes come before, after and with it. */
static int drip_around(void *arg)
{
    const struct dripper *dripper = arg;
    uint64_t random = 7;
    for (unsigned i = 0; i < dripper->bytes; i++) {
        char byte = (char)i;
        CHECK_EQ(weir_sleep(dripper->pause - 50 + (weir_ns)(net_random(&random) % 100)), 0);
        CHECK_EQ(net_plain_send(dripper->fd, &byte, 1), 0);
    }
    return 0;
}

static int receive_around(void *arg)
{
    const enum net_kind kind = *(enum net_kind *)arg;
    struct net_half half = net_accepted(kind, NULL);
    struct dripper dripper = {.fd = half.fd, .bytes = NET_TIMES(3000), .pause = 20 * WEIR_US};
    CHECK_EQ(weir_sock_set_recv_timeout(half.sock, dripper.pause), 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, drip_around, &dripper), 0);
    for (unsigned i = 0; i < dripper.bytes;) {
        char byte = 0;
        int rc = read_byte(i % APIS, half.sock, &byte);
        if (rc == -ETIMEDOUT)
            continue;
        CHECK_EQ(rc, 1);
        CHECK_EQ(byte, (char)i);
        i++;
        if (i % 16 == 0) /* a loan of several bytes would hide how they came */
            CHECK_EQ(weir_sleep(WEIR_US), 0);
    }
    CHECK_EQ(weir_scope_wait(&scope), 0);
    end_half(&half);
    return 0;
}

CASE(sock_timeout_at_the_moment_of_arrival_loses_and_repeats_nothing)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(receive_around, &kind), 0);
}

/* What need not wait never times out, whatever the limit and however long it has been set. */
static int need_not_wait(void *arg)
{
    struct net_pair pair = net_pair(*(enum net_kind *)arg, NULL);
    unsigned alarms = wi_wheel_audit(&wi_core_self->engine.wheel);
    set_both(pair.near, 1);
    set_both(pair.far, 1);
    for (int i = 0; i < 60; i++) {
        char byte = 0;
        CHECK_EQ(weir_send(pair.near, "x", 1), 0);
        net_settle();
        CHECK_EQ(read_byte(i % APIS, pair.far, &byte), 1);
        CHECK_EQ(byte, 'x');
        CHECK_EQ(wi_wheel_audit(&wi_core_self->engine.wheel), alarms);
    }
    CHECK_EQ(weir_close(&pair.near), 0);
    CHECK_EQ(weir_close(&pair.far), 0);
    return 0;
}

CASE(sock_timeout_does_not_concern_calls_that_need_not_wait)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(need_not_wait, &kind), 0);
}

/* ---- half of it ---- */

static int receive_a_part(void *arg)
{
    struct net_half half = net_accepted(*(enum net_kind *)arg, NULL);
    char text[9] = {0};
    CHECK_EQ(weir_sock_set_recv_timeout(half.sock, SHORT), 0);
    CHECK_EQ(net_plain_send(half.fd, "abc", 3), 0);
    net_settle();
    CHECK_EQ(weir_recv_exact(half.sock, text, 8), -ETIMEDOUT);
    CHECK_EQ(weir_done(), 3);
    CHECK_EQ(net_plain_send(half.fd, "defgh", 5), 0);
    net_settle();
    CHECK_EQ(weir_recv_exact(half.sock, text + 3, 5), 5);
    CHECK_STR_EQ(text, "abcdefgh");
    end_half(&half);
    return 0;
}

CASE(sock_timeout_of_recv_exact_leaves_what_came_to_weir_done)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(receive_a_part, &kind), 0);
}

static int drip(void *arg)
{
    const struct dripper *dripper = arg;
    int rc = 0;
    for (unsigned i = 0; i < dripper->bytes && rc == 0; i++) {
        CHECK_EQ(host_send(dripper->fd, "x", 1, MSG_NOSIGNAL), 1);
        rc = weir_sleep(dripper->pause);
    }
    return rc;
}

/* Otherwise a peer that sends a byte now and then would hold the call as long as it likes. */
static int receive_drops(void *arg)
{
    struct net_half half = net_accepted(NET_V4, NULL);
    struct dripper dripper = {.fd = half.fd, .bytes = 2000, .pause = WEIR_MS};
    char bytes[2000];
    (void)arg;
    CHECK_EQ(weir_sock_set_recv_timeout(half.sock, 20 * WEIR_MS), 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, drip, &dripper), 0);
    weir_ns start = weir_now();
    CHECK_EQ(weir_recv_exact(half.sock, bytes, sizeof bytes), -ETIMEDOUT);
    CHECK_GE(weir_now() - start, 20 * WEIR_MS);
    CHECK_GT(weir_done(), 0);
    CHECK_LT(weir_done(), sizeof bytes);
    weir_scope_close(&scope);
    end_half(&half);
    return 0;
}

CASE(sock_timeout_of_recv_exact_is_for_all_of_it)
{
    CHECK_EQ(net_run(receive_drops, NULL), 0);
}

/* ---- sending ---- */

static int tear(void *arg)
{
    const enum net_kind kind = *(enum net_kind *)arg;
    struct net_half half = net_accepted(kind, SMALL_BUFFERS);
    struct net_pair other = net_pair(kind, NULL);
    char byte = 0;
    net_fill(bulk, sizeof bulk, 9, 0);
    CHECK_EQ(weir_sock_set_send_timeout(half.sock, SHORT), 0);
    CHECK_EQ(weir_send(half.sock, bulk, sizeof bulk), -ETIMEDOUT);
    size_t done = weir_done();
    CHECK_GT(done, 0);
    CHECK_LT(done, sizeof bulk);
    char *got = malloc(done + 1);
    CHECK(got != NULL);
    CHECK_EQ(net_take(half.fd, got, done), (ssize_t)done);
    CHECK_EQ(net_match(got, done, 9, 0), done);
    net_settle();
    CHECK_EQ(recv(half.fd, got, 1, MSG_DONTWAIT), -1); /* and not a byte more */
    free(got);
    CHECK_EQ(weir_send(half.sock, "x", 1), WEIR_ETORN);
    CHECK_EQ(weir_done(), 0);
    /* what the peer sends comes in as before, and other sockets know nothing of it */
    CHECK_EQ(net_plain_send(half.fd, "!", 1), 0);
    CHECK_EQ(weir_recv(half.sock, &byte, 1), 1);
    CHECK_EQ(weir_send(other.near, "y", 1), 0);
    CHECK_EQ(weir_recv(other.far, &byte, 1), 1);
    CHECK_EQ(byte, 'y');
    CHECK_EQ(weir_close(&other.near), 0);
    CHECK_EQ(weir_close(&other.far), 0);
    end_half(&half);
    return 0;
}

CASE(sock_timeout_of_a_send_says_exactly_what_went_out_and_tears_that_stream_alone)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(tear, &kind), 0);
}

struct taker {
    int fd;
    size_t len;
};

static void take_all(void *arg)
{
    static _Thread_local char piece[65536];
    struct taker *taker = arg;
    for (size_t at = 0; at < taker->len; at += sizeof piece) {
        CHECK_EQ(net_plain_recv(taker->fd, piece, sizeof piece), (ssize_t)sizeof piece);
        CHECK_EQ(net_match(piece, sizeof piece, 9, at), sizeof piece);
    }
}

static int send_bulk(void *arg)
{
    CHECK_EQ(weir_send(*(weir_sock *)arg, bulk, sizeof bulk), 0);
    return 0;
}

/* A message of which nothing went out tears nothing: the one before it and one after it arrive. */
static int time_out_in_the_queue(void *arg)
{
    struct net_half half = net_accepted(NET_V4, SMALL_BUFFERS);
    struct taker taker = {.fd = half.fd, .len = sizeof bulk};
    char byte = 0;
    (void)arg;
    net_fill(bulk, sizeof bulk, 9, 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, send_bulk, &half.sock), 0);
    net_settle();
    CHECK_EQ(weir_sock_set_send_timeout(half.sock, SHORT), 0);
    CHECK_EQ(weir_send(half.sock, "no", 2), -ETIMEDOUT);
    CHECK_EQ(weir_done(), 0);
    CHECK_EQ(weir_shutdown_write(half.sock), -ETIMEDOUT);
    net_peer(take_all, &taker);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    net_join_peers();
    CHECK_EQ(weir_send(half.sock, "+", 1), 0);
    CHECK_EQ(net_take(half.fd, &byte, 1), 1);
    CHECK_EQ(byte, '+');
    end_half(&half);
    return 0;
}

CASE(sock_timeout_of_a_send_that_had_not_begun_leaves_the_stream_whole)
{
    CHECK_EQ(net_run(time_out_in_the_queue, NULL), 0);
}

static int send_a_byte(void *arg)
{
    struct receiver *sender = arg;
    sender->rc = weir_send(sender->sock, "x", 1);
    return 0;
}

/* The turn and the end of the patience come together, and there is no room: so the send begins, is
 * asked back at once, and has moved nothing. */
static int get_the_turn_too_late(void *arg)
{
    struct net_half half = net_accepted(NET_UNIX, SMALL_BUFFERS);
    struct receiver first = {.sock = half.sock}, second = {.sock = half.sock};
    size_t filled = 0;
    (void)arg;
    CHECK_EQ(weir_sock_set_send_timeout(half.sock, SHORT), 0);
    while (weir_send(half.sock, "x", 1) == 0)
        filled++;
    CHECK_EQ(weir_done(), 0);
    CHECK_EQ(weir_sock_set_send_timeout(half.sock, 0), 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    {
        WEIR_SCOPE(doomed, WEIR_ALL);
        CHECK_EQ(weir_spawn(&doomed, send_a_byte, &first), 0);
        net_settle();
        CHECK_EQ(weir_sock_set_send_timeout(half.sock, SHORT), 0);
        CHECK_EQ(weir_spawn(&scope, send_a_byte, &second), 0);
        CHECK_EQ(weir_yield(), 0);
        weir_scope_cancel(&doomed);
        for (weir_ns start = weir_now(); weir_now() - start < 2 * SHORT;)
            continue;
    }
    CHECK_EQ(first.rc, -ECANCELED);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(second.rc, -ETIMEDOUT);
    CHECK_GT(filled, 0);
    CHECK_EQ(net_take(half.fd, bulk, filled), (ssize_t)filled);
    CHECK_EQ(weir_send(half.sock, "y", 1), 0);
    CHECK_EQ(net_take(half.fd, bulk, 1), 1);
    CHECK_EQ(bulk[0], 'y');
    end_half(&half);
    return 0;
}

CASE(sock_timeout_of_a_send_that_gets_its_turn_too_late_moves_nothing)
{
    CHECK_EQ(net_run(get_the_turn_too_late, NULL), 0);
}

static int send_in_time(void *arg)
{
    struct net_half half = net_accepted(NET_V4, SMALL_BUFFERS);
    struct taker taker = {.fd = half.fd, .len = sizeof bulk};
    (void)arg;
    net_fill(bulk, sizeof bulk, 9, 0);
    CHECK_EQ(weir_sock_set_send_timeout(half.sock, LONG), 0);
    net_peer(take_all, &taker);
    CHECK_EQ(weir_send(half.sock, bulk, sizeof bulk), 0);
    net_join_peers();
    CHECK_EQ(wi_wheel_audit(&wi_core_self->engine.wheel), 0);
    end_half(&half);
    return 0;
}

CASE(sock_timeout_does_not_end_a_send_that_gets_through)
{
    CHECK_EQ(net_run(send_in_time, NULL), 0);
}

/* ---- setting ---- */

/* Who waits keeps what he began with, longer or shorter; who comes next has the new value. */
static int change_meanwhile(void *arg)
{
    struct net_half half = net_accepted(NET_V4, NULL);
    struct receiver receiver = {.sock = half.sock};
    char byte;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, receive, &receiver), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_sock_set_recv_timeout(half.sock, WEIR_MS), 0); /* it waits without a limit */
    CHECK_EQ(weir_sleep(SHORT), 0);
    CHECK_EQ(weir_scope_live(&scope), 1);
    CHECK_EQ(net_plain_send(half.fd, "!", 1), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(receiver.rc, 1);
    CHECK_EQ(weir_recv(half.sock, &byte, 1), -ETIMEDOUT);
    CHECK_EQ(weir_spawn(&scope, receive, &receiver), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_sock_set_recv_timeout(half.sock, 0), 0); /* it waits, a millisecond */
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(receiver.rc, -ETIMEDOUT);
    CHECK_EQ(weir_spawn(&scope, receive, &receiver), 0);
    CHECK_EQ(weir_sleep(SHORT), 0);
    CHECK_EQ(weir_scope_live(&scope), 1);
    CHECK_EQ(net_plain_send(half.fd, "?", 1), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(receiver.byte, '?');
    end_half(&half);
    return 0;
}

CASE(sock_timeout_that_is_changed_is_for_the_calls_that_follow)
{
    CHECK_EQ(net_run(change_meanwhile, NULL), 0);
}

static int be_set_apart(void *arg)
{
    struct net_half half = net_accepted(NET_V4, SMALL_BUFFERS);
    char byte;
    (void)arg;
    CHECK_EQ(weir_sock_set_recv_timeout(half.sock, SHORT), 0);
    {
        WEIR_WITHIN(4 * SHORT);
        CHECK_EQ(weir_send(half.sock, bulk, sizeof bulk), -ETIMEDOUT);
        CHECK_EQ(weir_yield(), -ETIMEDOUT); /* by the deadline */
    }
    CHECK_EQ(weir_recv(half.sock, &byte, 1), -ETIMEDOUT);
    CHECK_EQ(weir_sock_set_recv_timeout(half.sock, WEIR_FOREVER), 0);
    {
        WEIR_WITHIN(SHORT);
        CHECK_EQ(weir_recv(half.sock, &byte, 1), -ETIMEDOUT);
        CHECK_EQ(weir_yield(), -ETIMEDOUT);
    }
    end_half(&half);
    return 0;
}

CASE(sock_timeout_of_one_direction_is_none_of_the_other)
{
    CHECK_EQ(net_run(be_set_apart, NULL), 0);
}

static void check_refused(weir_sock sock, weir_ns timeout, int error)
{
    CHECK_EQ(weir_sock_set_recv_timeout(sock, timeout), error);
    CHECK_EQ(weir_sock_set_send_timeout(sock, timeout), error);
}

static int be_refused(void *arg)
{
    struct net_half half = net_accepted(NET_V4, NULL);
    char at[WEIR_ADDR_TEXT_MAX], byte;
    weir_listener listener = net_listen(NET_V4, NULL, at);
    weir_sock stale = half.sock;
    (void)arg;
    set_both(half.sock, SHORT);
    check_refused(half.sock, -1, -EINVAL);
    check_refused(half.sock, INT64_MIN, -EINVAL);
    CHECK_EQ(weir_recv(half.sock, &byte, 1), -ETIMEDOUT); /* the old value is still there */
    check_refused((weir_sock){0}, SHORT, -EBADF);
    check_refused((weir_sock){listener.bits}, SHORT, -EBADF);
    check_refused((weir_sock){stale.bits ^ UINT64_C(3) << 56}, SHORT, -EXDEV);
    end_half(&half);
    check_refused(stale, SHORT, -EBADF);
    check_refused(stale, -1, -EBADF);
    half = net_accepted(NET_V4, NULL); /* in the same place, as a rule */
    check_refused(stale, SHORT, -EBADF);
    end_half(&half);
    return weir_listener_close(&listener);
}

CASE(sock_timeout_refuses_negative_values_and_stale_handles)
{
    CHECK_EQ(net_run(be_refused, NULL), 0);
}

/* Both ends, the dialled one and the accepted one, begin with the option. */
static int override_the_options(void *arg)
{
    struct net_pair pair = net_pair(NET_V4, NULL);
    char byte;
    (void)arg;
    CHECK_EQ(weir_recv(pair.near, &byte, 1), -ETIMEDOUT);
    CHECK_EQ(weir_recv(pair.far, &byte, 1), -ETIMEDOUT);
    CHECK_EQ(weir_sock_set_recv_timeout(pair.near, 0), 0);
    {
        WEIR_WITHIN(2 * SHORT);
        CHECK_EQ(weir_recv(pair.near, &byte, 1), -ETIMEDOUT);
        CHECK_EQ(weir_yield(), -ETIMEDOUT);
    }
    CHECK_EQ(weir_recv(pair.far, &byte, 1), -ETIMEDOUT);
    CHECK_EQ(weir_close(&pair.near), 0);
    CHECK_EQ(weir_close(&pair.far), 0);
    return weir_yield();
}

CASE(sock_timeout_of_a_socket_goes_before_the_options)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.recv_timeout_ns = WEIR_MS), override_the_options, NULL), 0);
}

/* ---- what knows no timeouts ---- */

struct dialler {
    const char *at;
    weir_ns delay;
};

static int dial_late(void *arg)
{
    const struct dialler *dialler = arg;
    weir_sock sock;
    CHECK_EQ(weir_sleep(dialler->delay), 0);
    CHECK_EQ(weir_dial(&sock, dialler->at, NULL), 0);
    return weir_close(&sock);
}

static int make_connections(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX], deaf_at[WEIR_ADDR_TEXT_MAX];
    struct dialler dialler = {.at = at, .delay = 2 * SHORT};
    weir_listener listener = net_listen(NET_UNIX, NULL, at);
    int deaf = net_plain_listen(NET_UNIX, 0, deaf_at), waiting = net_plain_dial(deaf_at);
    weir_sock sock;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, dial_late, &dialler), 0);
    CHECK_EQ(weir_accept(listener, &sock), 0);
    CHECK_EQ(weir_close(&sock), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    {
        WEIR_WITHIN(2 * SHORT);
        CHECK_EQ(weir_dial(&sock, deaf_at, NULL), -ETIMEDOUT);
        CHECK_EQ(weir_yield(), -ETIMEDOUT); /* so it was the deadline */
    }
    net_plain_close(waiting);
    net_plain_close(deaf);
    return weir_listener_close(&listener);
}

CASE(sock_timeout_does_not_end_dialling_and_accepting)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.recv_timeout_ns = WEIR_MS, .send_timeout_ns = WEIR_MS),
                          make_connections, NULL),
             0);
}

static enum weir_op_verdict note_result(struct weir_op *op, ssize_t result, unsigned flags)
{
    (void)flags;
    *(ssize_t *)op->user = result;
    return WEIR_OP_DONE;
}

static int receive_by_operation(void *arg)
{
    struct weir_core *core = weir_core_self();
    ssize_t result = 99;
    struct weir_op op = {.fn = note_result, .user = &result};
    int end[2];
    char byte = 0;
    (void)arg;
    CHECK_EQ(host_socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
    CHECK_EQ(weir_fd_attach(core, end[0]), 0);
    weir_op_recv(core, &op, end[0], &byte, 1);
    CHECK_EQ(weir_sleep(2 * SHORT), 0);
    CHECK_EQ(result, 99); /* it waits on */
    CHECK_EQ(net_plain_send(end[1], "!", 1), 0);
    while (result == 99)
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    CHECK_EQ(result, 1);
    CHECK_EQ(byte, '!');
    net_plain_close(end[1]);
    return weir_fd_close(core, end[0]);
}

CASE(sock_timeout_of_the_options_is_none_of_operations)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.recv_timeout_ns = WEIR_MS), receive_by_operation, NULL), 0);
}

/* ---- memory ---- */

static int wait_often(void *arg)
{
    struct net_half half = net_accepted(NET_V4, NULL);
    struct mallinfo2 before = {0};
    char byte;
    (void)arg;
    CHECK_EQ(weir_sock_set_recv_timeout(half.sock, WEIR_US), 0);
    for (int i = 0; i < NET_TIMES(20000); i++) {
        CHECK_EQ(weir_recv(half.sock, &byte, 1), -ETIMEDOUT);
        if (i == 100)
            before = mallinfo2();
    }
    CHECK_EQ(wi_wheel_audit(&wi_core_self->engine.wheel), 0);
    CHECK_EQ(mallinfo2().uordblks, before.uordblks);
    end_half(&half);
    return 0;
}

CASE(sock_timeout_that_ends_many_waits_leaves_nothing_behind)
{
    if (PROCESS_SANITIZED)
        SKIP("a sanitizer's allocator tells nothing");
    CHECK_EQ(net_run(wait_often, NULL), 0);
}
