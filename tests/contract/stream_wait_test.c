/* SPDX-License-Identifier: MIT */
/*
 * Every socket call that waits, ended by a scope's cancellation and by a deadline: parked and at
 * entry, sticky, and with nothing lost behind it.
 *
 * A stage is built for each call in which it would wait for ever. What it needs of other tasks runs
 * outside of what is cancelled.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "check.h"
#include "support/host.h"
#include "support/net.h"

#define SMALL_BUFFERS WEIR_TCP_OPTS(.send_buf_bytes = 4096, .recv_buf_bytes = 4096)

static char bulk[8 << 20];

struct stage {
    char at[WEIR_ADDR_TEXT_MAX], deaf_at[2][WEIR_ADDR_TEXT_MAX];
    weir_listener listener;  /* nobody dials it */
    int deaf[2], waiting[2]; /* TCP and unix listeners with a full backlog */
    struct net_half quiet;   /* the peer says nothing and reads nothing */
    struct net_half busy;    /* another task is sending more than it takes */
    struct net_half lender;  /* brings loans */
    weir_sock made;          /* by dial or accept */
    struct weir_buf loan;
};

/* ---- the calls ---- */

static int call_accept(struct stage *stage)
{
    return weir_accept(stage->listener, &stage->made);
}

static int call_dial_tcp(struct stage *stage)
{
    return weir_dial(&stage->made, stage->deaf_at[0], NULL);
}

static int call_dial_unix(struct stage *stage)
{
    return weir_dial(&stage->made, stage->deaf_at[1], NULL);
}

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
    return (int)weir_recv_buf(stage->quiet.sock, &buf);
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

static int call_queued_send(struct stage *stage)
{
    return weir_send(stage->busy.sock, "x", 1);
}

static int call_queued_shutdown(struct stage *stage)
{
    return weir_shutdown_write(stage->busy.sock);
}

/* The loan of the stage is the only buffer there is, and data has come. */
static int call_recv_buf_without_buffers(struct stage *stage)
{
    struct weir_buf buf;
    CHECK_EQ(host_send(stage->quiet.fd, "x", 1, MSG_NOSIGNAL), 1);
    return (int)weir_recv_buf(stage->quiet.sock, &buf);
}

static int (*const calls[])(struct stage *) = {
    call_accept,      call_dial_tcp,        call_dial_unix,
    call_recv,        call_recv_exact,      call_recv_buf,
    call_send,        call_sendv,           call_send_buf,
    call_queued_send, call_queued_shutdown, call_recv_buf_without_buffers,
};

enum { CALLS = sizeof calls / sizeof *calls };

static int send_for_ever(void *arg)
{
    struct stage *stage = arg;
    CHECK_EQ(weir_send(stage->busy.sock, bulk, sizeof bulk), -EBADF); /* ended by the close */
    return 0;
}

/* ---- the stage ---- */

static void stage_open(struct stage *stage, struct weir_scope *scope)
{
    static const enum net_kind kinds[2] = {NET_V4, NET_UNIX};
    *stage = (struct stage){.made = {0}};
    stage->listener = net_listen(NET_V4, NULL, stage->at);
    for (int i = 0; i < 2; i++) {
        stage->deaf[i] = net_plain_listen(kinds[i], 0, stage->deaf_at[i]);
        stage->waiting[i] = net_plain_dial(stage->deaf_at[i]);
    }
    stage->quiet = net_accepted(NET_V4, SMALL_BUFFERS);
    stage->busy = net_accepted(NET_V4, SMALL_BUFFERS);
    stage->lender = net_accepted(NET_UNIX, NULL);
    CHECK_EQ(weir_spawn(scope, send_for_ever, stage), 0);
    net_settle();
    CHECK_EQ(weir_scope_live(scope), 1);
    CHECK_EQ(net_plain_send(stage->lender.fd, bulk, 30000), 0);
    CHECK_EQ(weir_recv_buf(stage->lender.sock, &stage->loan), 30000);
}

static void stage_close(struct stage *stage, struct weir_scope *scope)
{
    struct net_half *const halves[] = {&stage->quiet, &stage->busy, &stage->lender};
    weir_buf_release(&stage->loan);
    CHECK_EQ(stage->made.bits, 0);
    CHECK_EQ(weir_listener_close(&stage->listener), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weir_close(&halves[i]->sock), 0);
        net_plain_close(halves[i]->fd);
    }
    for (int i = 0; i < 2; i++) {
        net_plain_close(stage->waiting[i]);
        net_plain_close(stage->deaf[i]);
    }
    CHECK_EQ(weir_scope_wait(scope), 0);
}

/* Runs one act for each call, each on a stage of its own. */
static int play(void (*act)(struct stage *, int (*)(struct stage *)))
{
    for (int i = 0; i < CALLS; i++) {
        struct stage stage;
        WEIR_SCOPE(scope, WEIR_ALL);
        stage_open(&stage, &scope);
        act(&stage, calls[i]);
        stage_close(&stage, &scope);
    }
    return 0;
}

/* The stage needs one buffer, and there is no other. */
#define STAGE_OPTS WEIR_OPTS(.recv_pool_bytes = 65536, .linger_ns = WEIR_MS)

/* ---- acts ---- */

/* The same error from every further wait. */
static void check_sticky(struct stage *stage, int error)
{
    char byte;
    weir_sock sock;
    CHECK_EQ(weir_yield(), error);
    CHECK_EQ(weir_sleep(1), error);
    CHECK_EQ(weir_recv(stage->lender.sock, &byte, 1), error);
    CHECK_EQ(weir_send(stage->lender.sock, "x", 1), error);
    CHECK_EQ(weir_accept(stage->listener, &sock), error);
    CHECK_EQ(weir_dial(&sock, stage->at, NULL), error);
    CHECK_EQ(weir_shutdown_write(stage->lender.sock), error);
}

struct act {
    struct stage *stage;
    int (*call)(struct stage *);
    int rc;
    bool over;
};

static int play_act(void *arg)
{
    struct act *act = arg;
    act->rc = act->call(act->stage);
    check_sticky(act->stage, -ECANCELED);
    act->over = true;
    return 0;
}

static void cancel_parked(struct stage *stage, int (*call)(struct stage *))
{
    struct act act = {.stage = stage, .call = call};
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, play_act, &act), 0);
        net_settle();
        CHECK(!act.over);
        weir_scope_cancel(&scope);
        CHECK_EQ(weir_yield(), -ECANCELED);
    }
    CHECK(act.over);
    CHECK_EQ(act.rc, -ECANCELED);
}

static int cancel_all_parked(void *arg)
{
    (void)arg;
    return play(cancel_parked);
}

CASE(every_parked_socket_call_ends_when_its_scope_is_canceled)
{
    CHECK_EQ(net_run_with(STAGE_OPTS, cancel_all_parked, NULL), 0);
}

static void expire_parked(struct stage *stage, int (*call)(struct stage *))
{
    weir_ns start = weir_now();
    WEIR_WITHIN(10 * WEIR_MS);
    CHECK_EQ(call(stage), -ETIMEDOUT);
    CHECK_GE(weir_now() - start, 10 * WEIR_MS);
    check_sticky(stage, -ETIMEDOUT);
}

static int expire_all_parked(void *arg)
{
    (void)arg;
    return play(expire_parked);
}

CASE(every_parked_socket_call_ends_with_its_deadline)
{
    CHECK_EQ(net_run_with(STAGE_OPTS, expire_all_parked, NULL), 0);
}

static void enter_canceled(struct stage *stage, int (*call)(struct stage *))
{
    WEIR_SCOPE(scope, WEIR_ALL);
    weir_scope_cancel(&scope);
    CHECK_EQ(call(stage), -ECANCELED);
    CHECK_EQ(weir_done(), 0);
    check_sticky(stage, -ECANCELED);
}

static int enter_all_canceled(void *arg)
{
    (void)arg;
    return play(enter_canceled);
}

CASE(every_socket_call_fails_at_once_in_a_canceled_scope)
{
    CHECK_EQ(net_run_with(STAGE_OPTS, enter_all_canceled, NULL), 0);
}

static void enter_expired(struct stage *stage, int (*call)(struct stage *))
{
    WEIR_WITHIN(0);
    CHECK_EQ(call(stage), -ETIMEDOUT);
    CHECK_EQ(weir_done(), 0);
    check_sticky(stage, -ETIMEDOUT);
}

static int enter_all_expired(void *arg)
{
    (void)arg;
    return play(enter_expired);
}

CASE(every_socket_call_fails_at_once_behind_its_deadline)
{
    CHECK_EQ(net_run_with(STAGE_OPTS, enter_all_expired, NULL), 0);
}

/* A shield's own budget, inside a cancelled scope. */
static void expire_shielded(struct stage *stage, int (*call)(struct stage *))
{
    WEIR_SCOPE(scope, WEIR_ALL);
    weir_scope_cancel(&scope);
    {
        WEIR_SHIELD(10 * WEIR_MS);
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(call(stage), -ETIMEDOUT);
    }
    check_sticky(stage, -ECANCELED);
}

static int expire_all_shielded(void *arg)
{
    (void)arg;
    return play(expire_shielded);
}

CASE(every_shielded_socket_call_ends_with_the_shields_budget)
{
    CHECK_EQ(net_run_with(STAGE_OPTS, expire_all_shielded, NULL), 0);
}

/* ---- nothing is done, nothing is lost ---- */

/* Expired at entry even though everything is ready, and everything is still there afterwards. */
static int ignore_what_is_ready(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX], byte = 0;
    struct net_half half = net_accepted(NET_V4, NULL);
    weir_listener listener = net_listen(NET_V4, NULL, at);
    struct weir_buf buf;
    weir_sock sock;
    (void)arg;
    CHECK_EQ(net_plain_send(half.fd, "!", 1), 0);
    int fd = net_plain_dial(at);
    net_settle();
    {
        WEIR_WITHIN(0);
        CHECK_EQ(weir_recv(half.sock, &byte, 1), -ETIMEDOUT);
        CHECK_EQ(weir_recv_exact(half.sock, &byte, 1), -ETIMEDOUT);
        CHECK_EQ(weir_recv_buf(half.sock, &buf), -ETIMEDOUT);
        CHECK_EQ(weir_send(half.sock, "x", 1), -ETIMEDOUT);
        CHECK_EQ(weir_accept(listener, &sock), -ETIMEDOUT);
        CHECK_EQ(sock.bits, 0);
    }
    CHECK_EQ(weir_recv(half.sock, &byte, 1), 1);
    CHECK_EQ(byte, '!');
    CHECK_EQ(weir_send(half.sock, "y", 1), 0);
    CHECK_EQ(net_take(half.fd, &byte, 1), 1);
    CHECK_EQ(byte, 'y');
    CHECK_EQ(weir_accept(listener, &sock), 0);
    CHECK_EQ(weir_close(&sock), 0);
    net_plain_close(fd);
    net_plain_close(half.fd);
    CHECK_EQ(weir_close(&half.sock), 0);
    return weir_listener_close(&listener);
}

CASE(expired_call_does_nothing_though_everything_is_ready)
{
    CHECK_EQ(net_run(ignore_what_is_ready, NULL), 0);
}

enum { STEPS = 12 };

struct meeting {
    enum net_kind kind;
    int won, lost;
};

/* With many tasks a turn the cancel comes before the kernel is looked at, with one it comes later:
 * together they see every order. */
static void meet_in_every_order(weir_fn *main_fn)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX) {
        struct meeting meeting = {.kind = kind};
        CHECK_EQ(net_run_with(WEIR_OPTS(.run_budget = 1), main_fn, &meeting), 0);
        CHECK_EQ(net_run(main_fn, &meeting), 0);
        CHECK_GT(meeting.won, 0);
        CHECK_GT(meeting.lost, 0);
    }
}

struct accepter {
    weir_listener listener;
    weir_sock sock;
    int rc, after;
};

static int accept_one(void *arg)
{
    struct accepter *accepter = arg;
    accepter->rc = weir_accept(accepter->listener, &accepter->sock);
    accepter->after = weir_yield();
    return 0;
}

/* I3: a connection that came while its accepter was being cancelled is handed over to it, or to the
 * next one; it is never lost. */
static int cancel_accepters_at_every_step(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX], byte;
    struct meeting *meeting = arg;
    weir_listener listener = net_listen(meeting->kind, NULL, at);
    for (int k = 0; k < STEPS; k++) {
        struct accepter accepter = {.listener = listener};
        int fd;
        {
            WEIR_SCOPE(scope, WEIR_ALL);
            CHECK_EQ(weir_spawn(&scope, accept_one, &accepter), 0);
            net_settle();
            fd = net_plain_dial(at);
            for (int i = 0; i < k; i++)
                CHECK_EQ(weir_yield(), 0);
        }
        CHECK(accepter.rc == 0 || accepter.rc == -ECANCELED);
        CHECK_EQ(accepter.sock.bits != 0, accepter.rc == 0);
        meeting->won += accepter.rc == 0 && accepter.after == -ECANCELED;
        meeting->lost += accepter.rc < 0;
        if (accepter.rc < 0)
            CHECK_EQ(weir_accept(listener, &accepter.sock), 0);
        CHECK_EQ(net_plain_send(fd, "!", 1), 0);
        CHECK_EQ(weir_recv(accepter.sock, &byte, 1), 1);
        CHECK_EQ(weir_close(&accepter.sock), 0);
        net_plain_close(fd);
    }
    return weir_listener_close(&listener);
}

CASE(connection_that_meets_a_cancel_is_not_lost)
{
    meet_in_every_order(cancel_accepters_at_every_step);
}

struct reader {
    weir_sock sock;
    ssize_t got;
    char byte;
    int after;
};

static int read_one(void *arg)
{
    struct reader *reader = arg;
    reader->got = weir_recv(reader->sock, &reader->byte, 1);
    reader->after = weir_yield();
    return 0;
}

/* I3: a byte is read by the cancelled reader or by the next one. */
static int cancel_readers_at_every_step(void *arg)
{
    struct meeting *meeting = arg;
    struct net_half half = net_accepted(meeting->kind, NULL);
    for (int k = 0; k < STEPS; k++) {
        struct reader reader = {.sock = half.sock};
        char byte = (char)k;
        {
            WEIR_SCOPE(scope, WEIR_ALL);
            CHECK_EQ(weir_spawn(&scope, read_one, &reader), 0);
            net_settle();
            CHECK_EQ(net_plain_send(half.fd, &byte, 1), 0);
            for (int i = 0; i < k; i++)
                CHECK_EQ(weir_yield(), 0);
        }
        CHECK(reader.got == 1 || reader.got == -ECANCELED);
        meeting->won += reader.got == 1 && reader.after == -ECANCELED;
        meeting->lost += reader.got < 0;
        if (reader.got < 0)
            CHECK_EQ(weir_recv(half.sock, &reader.byte, 1), 1);
        CHECK_EQ(reader.byte, k);
    }
    net_plain_close(half.fd);
    return weir_close(&half.sock);
}

CASE(byte_that_meets_a_cancel_is_not_lost)
{
    meet_in_every_order(cancel_readers_at_every_step);
}
