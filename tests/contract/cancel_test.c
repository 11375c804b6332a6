/* SPDX-License-Identifier: MIT */
/*
 * Cancellation reaches a task wherever it is: every call that waits, times whatever ends the wait,
 * times the moment when it comes.
 *
 *     point     sleep, recv, recv_exact, recv_buf, pool, send, accept, dial, join, handle, claim;
 *               and close and shield, which it must not reach
 *     cause     the scope, the task alone, a sibling's failure, a deadline
 *     moment    before the call; while it is parked; when its result is there and it has not run yet
 *
 * A cell is a run of its own: main spawns a victim into a scope, and does to it what the cell says. To
 * have a result there and the victim not run, main turns the engine itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/handle.h"
#include "check.h"
#include "support/net.h"
#include "task/claim.h"
#include "task/core.h"

enum cause { BY_SCOPE, BY_TASK, BY_SIBLING, BY_DEADLINE, CAUSES };
enum moment { BEFORE, PARKED, WITH_RESULT, MOMENTS };

struct cell;

struct point {
    int (*set_up)(struct cell *cell);    /* main, before all; 0 */
    int (*wait)(struct cell *cell);      /* the victim */
    bool (*is_there)(struct cell *cell); /* parked where it is meant to; NULL: parked at all */
    void (*produce)(struct cell *cell);  /* main: what makes the result */
    void (*clean_up)(struct cell *cell);
    int good;           /* the result */
    bool is_immune;     /* nothing interrupts it */
    bool reusable;      /* the same wait works again, for somebody else */
    bool sibling_later; /* it runs behind whom the victim waits for, and before the victim */
    unsigned tasks_max;
};

struct cell {
    const struct point *point;
    enum cause cause;
    enum moment moment;
    struct weir_deadline deadline;
    int rc, again;
    struct wi_task *victim;
    bool fail_now, go;
    /* what the points wait for */
    struct net_half half, other;
    weir_listener listener;
    weir_sock sock;
    weir_task task;
    struct weir_claim claim[3], got;
    struct weir_scope *claims;
    struct weir_buf loan, buf;
    char at[WEIR_ADDR_TEXT_MAX];
    int fd, waiting;
    char *bytes;
};

enum { BYTES = 4 << 20, HOUR = 3600 };

/* ---- the engine, turned by hand ---- */

static void turn_once(void)
{
    struct wi_engine *engine = &wi_core_self->engine;
    wi_engine_turn(engine, wi_engine_after(engine, WEIR_MS));
}

/* The result is there: somebody has put the victim on the run queue. */
static void turn_until_woken(struct cell *cell)
{
    while (cell->victim->state == WI_TASK_PARKED)
        turn_once();
    CHECK_EQ(cell->victim->state, WI_TASK_QUEUED);
}

/* ---- the points ---- */

static int no_set_up(struct cell *cell)
{
    (void)cell;
    return 0;
}

static void nothing(struct cell *cell)
{
    (void)cell;
}

/* sleep */

static int wait_asleep(struct cell *cell)
{
    return weir_sleep(cell->moment == WITH_RESULT ? 2 * WEIR_MS : WEIR_FOREVER);
}

static const struct point asleep = {
    .set_up = no_set_up, .wait = wait_asleep, .produce = nothing, .clean_up = nothing};

/* the receiving calls */

static int set_up_half(struct cell *cell)
{
    cell->half = net_accepted(NET_V4, NULL);
    return 0;
}

static int wait_recv(struct cell *cell)
{
    char byte;
    return (int)weir_recv(cell->half.sock, &byte, 1);
}

static int wait_recv_exact(struct cell *cell)
{
    char byte;
    return (int)weir_recv_exact(cell->half.sock, &byte, 1);
}

static int wait_recv_buf(struct cell *cell)
{
    struct weir_buf buf;
    ssize_t got = weir_recv_buf(cell->half.sock, &buf);
    CHECK_EQ(buf.loan != 0, got > 0);
    weir_buf_release(&buf);
    return (int)got;
}

static void send_a_byte(struct cell *cell)
{
    CHECK_EQ(net_plain_send(cell->half.fd, "x", 1), 0);
}

static void close_half(struct cell *cell)
{
    CHECK_EQ(weir_close(&cell->half.sock), 0);
    net_plain_close(cell->half.fd);
}

static const struct point in_recv = {.set_up = set_up_half,
                                     .wait = wait_recv,
                                     .produce = send_a_byte,
                                     .clean_up = close_half,
                                     .good = 1,
                                     .reusable = true};
static const struct point in_recv_exact = {.set_up = set_up_half,
                                           .wait = wait_recv_exact,
                                           .produce = send_a_byte,
                                           .clean_up = close_half,
                                           .good = 1,
                                           .reusable = true};
static const struct point in_recv_buf = {.set_up = set_up_half,
                                         .wait = wait_recv_buf,
                                         .produce = send_a_byte,
                                         .clean_up = close_half,
                                         .good = 1,
                                         .reusable = true};

/* recv_buf with data and without a buffer: main has the only one */

static int set_up_pool(struct cell *cell)
{
    (void)set_up_half(cell);
    cell->other = net_accepted(NET_V4, NULL);
    CHECK_EQ(net_plain_send(cell->other.fd, "y", 1), 0);
    CHECK_EQ(weir_recv_buf(cell->other.sock, &cell->loan), 1);
    send_a_byte(cell);
    return 0;
}

static bool waits_for_a_buffer(struct cell *cell)
{
    (void)cell;
    return !wi_list_empty(&wi_core_self->pool.waiters);
}

static void release_the_buffer(struct cell *cell)
{
    weir_buf_release(&cell->loan);
}

static void close_both(struct cell *cell)
{
    weir_buf_release(&cell->loan);
    close_half(cell);
    CHECK_EQ(weir_close(&cell->other.sock), 0);
    net_plain_close(cell->other.fd);
}

static const struct point in_pool = {.set_up = set_up_pool,
                                     .wait = wait_recv_buf,
                                     .is_there = waits_for_a_buffer,
                                     .produce = release_the_buffer,
                                     .clean_up = close_both,
                                     .good = 1,
                                     .reusable = true};

/* send to a peer that does not read */

static int set_up_send(struct cell *cell)
{
    cell->half =
        net_accepted(NET_V4, WEIR_TCP_OPTS(.send_buf_bytes = 4096, .recv_buf_bytes = 4096));
    cell->bytes = calloc(1, BYTES);
    CHECK_NE(cell->bytes, NULL);
    return 0;
}

static int wait_send(struct cell *cell)
{
    return weir_send(cell->half.sock, cell->bytes, BYTES);
}

static void read_all(struct cell *cell)
{
    char sink[4096];
    size_t got = 0;
    while (got < BYTES) {
        ssize_t n = recv(cell->half.fd, sink, sizeof sink, MSG_DONTWAIT);
        CHECK(n > 0 || (n < 0 && errno == EAGAIN));
        got += n > 0 ? (size_t)n : 0;
        if (n < 0)
            turn_once();
    }
}

static void close_send(struct cell *cell)
{
    close_half(cell);
    free(cell->bytes);
}

static const struct point in_send = {
    .set_up = set_up_send, .wait = wait_send, .produce = read_all, .clean_up = close_send};

/* accept and dial */

static int set_up_listener(struct cell *cell)
{
    cell->listener = net_listen(NET_V4, NULL, cell->at);
    cell->fd = -1;
    return 0;
}

static int wait_accept(struct cell *cell)
{
    return weir_accept(cell->listener, &cell->sock);
}

static void dial_plainly(struct cell *cell)
{
    cell->fd = net_plain_dial(cell->at);
}

static void close_listener(struct cell *cell)
{
    CHECK_EQ(weir_close(&cell->sock), 0);
    if (cell->fd >= 0)
        net_plain_close(cell->fd);
    CHECK_EQ(weir_listener_close(&cell->listener), 0);
}

static const struct point in_accept = {.set_up = set_up_listener,
                                       .wait = wait_accept,
                                       .produce = dial_plainly,
                                       .clean_up = close_listener,
                                       .reusable = true};

/* Nobody comes in while the listener's queue is full. */
static int set_up_dial(struct cell *cell)
{
    bool is_deaf = cell->moment != WITH_RESULT;
    cell->fd = net_plain_listen(NET_V4, is_deaf ? 0 : 8, cell->at);
    cell->waiting = net_plain_dial(cell->at);
    return 0;
}

static int wait_dial(struct cell *cell)
{
    return weir_dial(&cell->sock, cell->at, NULL);
}

static void close_dial(struct cell *cell)
{
    CHECK_EQ(cell->sock.bits != 0, cell->rc == 0);
    CHECK_EQ(weir_close(&cell->sock), 0);
    net_plain_close(cell->waiting);
    net_plain_close(cell->fd);
}

static const struct point in_dial = {
    .set_up = set_up_dial, .wait = wait_dial, .produce = nothing, .clean_up = close_dial};

/* other tasks: a scope of the victim's own, and a handle */

static int run_until_told(void *arg)
{
    const struct cell *cell = arg;
    int rc = 0;
    while (!cell->go && rc == 0)
        rc = weir_yield();
    return rc;
}

static int wait_join(struct cell *cell)
{
    WEIR_SCOPE(below, WEIR_FAIL_FAST);
    int rc = weir_spawn(&below, run_until_told, cell);
    CHECK_EQ(rc < 0, cell->moment == BEFORE);
    rc = weir_scope_wait(&below);
    CHECK_EQ(weir_scope_live(&below), 0);
    return rc;
}

/* It runs once and ends: it stands before main in the queue, and whom it wakes behind; a sibling
 * that fails, between the two. */
static void let_it_end(struct cell *cell)
{
    cell->go = true;
    cell->fail_now = cell->cause == BY_SIBLING;
    CHECK_EQ(weir_yield(), 0);
}

static const struct point in_join = {.set_up = no_set_up,
                                     .wait = wait_join,
                                     .produce = let_it_end,
                                     .clean_up = nothing,
                                     .sibling_later = true};

static int set_up_handle(struct cell *cell)
{
    return weir_spawn_task(cell->claims, run_until_told, cell, &cell->task);
}

static int wait_handle(struct cell *cell)
{
    return weir_task_wait(&cell->task);
}

static const struct point in_handle = {.set_up = set_up_handle,
                                       .wait = wait_handle,
                                       .produce = let_it_end,
                                       .clean_up = nothing,
                                       .reusable = true};

/* a claim, with main holding all places */

static int set_up_claim(struct cell *cell)
{
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_try_claim(cell->claims, &cell->claim[i]), 0);
    return 0;
}

static int wait_claim(struct cell *cell)
{
    int rc = weir_claim(cell->claims, &cell->got);
    CHECK_EQ(cell->got.bits != 0, rc == 0);
    CHECK_EQ(weir_claim_release(&cell->got), 0);
    return rc;
}

static void release_a_claim(struct cell *cell)
{
    CHECK_EQ(weir_claim_release(&cell->claim[0]), 0);
    if (wi_core_self->claims.waiting > 0)
        wi_claims_serve(wi_core_self);
}

static const struct point in_claim = {.set_up = set_up_claim,
                                      .wait = wait_claim,
                                      .produce = release_a_claim,
                                      .clean_up = nothing,
                                      .reusable = true,
                                      .tasks_max = 5}; /* main, sibling, victim, two claims */

/* what cannot be interrupted */

static int send_for_ever(void *arg)
{
    (void)wait_send(arg); /* until it is sent, or the close gives up */
    return 0;
}

/* It parks while another task's message is under way. */
static int set_up_close(struct cell *cell)
{
    int rc = set_up_send(cell);
    if (rc == 0)
        rc = weir_spawn(cell->claims, send_for_ever, cell);
    return rc < 0 ? rc : weir_yield();
}

static int wait_close(struct cell *cell)
{
    return weir_close(&cell->half.sock);
}

/* The other task has to leave first; whom it wakes stands behind main. */
static void read_all_and_let_leave(struct cell *cell)
{
    read_all(cell);
    while (cell->victim->state == WI_TASK_PARKED) {
        turn_once();
        CHECK_EQ(weir_yield(), 0);
    }
}

static const struct point in_close = {.set_up = set_up_close,
                                      .wait = wait_close,
                                      .produce = read_all_and_let_leave,
                                      .clean_up = close_send,
                                      .is_immune = true};

static int wait_shielded(struct cell *cell)
{
    (void)cell;
    WEIR_SHIELD(HOUR * WEIR_SEC);
    return weir_sleep(2 * WEIR_MS);
}

static const struct point in_shield = {.set_up = no_set_up,
                                       .wait = wait_shielded,
                                       .produce = nothing,
                                       .clean_up = nothing,
                                       .is_immune = true};

/* ---- the cell ---- */

static int be_the_victim(void *arg)
{
    struct cell *cell = arg;
    bool has_deadline = cell->cause == BY_DEADLINE;
    if (has_deadline)
        weir_deadline_enter(&cell->deadline, cell->moment == BEFORE ? 0 : HOUR * WEIR_SEC);
    cell->rc = cell->point->wait(cell);
    cell->again = weir_yield();
    if (has_deadline)
        weir_deadline_leave(&cell->deadline);
    return 0;
}

static int fail_when_told(void *arg)
{
    const struct cell *cell = arg;
    while (!cell->fail_now)
        if (weir_yield() < 0)
            return -ECANCELED;
    return -EIO;
}

/* The alarm rings now instead of in an hour, by itself. */
static void let_the_deadline_pass(struct cell *cell)
{
    struct wi_engine *engine = &wi_core_self->engine;
    struct wi_deadline *deadline = (struct wi_deadline *)(void *)&cell->deadline;
    wi_alarm_clear(engine, &deadline->alarm);
    wi_alarm_set(engine, &deadline->alarm, wi_engine_after(engine, 0));
    while ((deadline->cover.own & WI_EXPIRED) == 0)
        turn_once();
}

static void strike(struct cell *cell, struct weir_scope *scope, weir_task victim)
{
    switch (cell->cause) {
    case BY_SCOPE:
        weir_scope_cancel(scope);
        break;
    case BY_TASK:
        CHECK_EQ(weir_task_cancel(victim), 1);
        break;
    case BY_SIBLING:
        cell->fail_now = true; /* it stands before the victim in the queue */
        break;
    case BY_DEADLINE:
        if (cell->moment != BEFORE)
            let_the_deadline_pass(cell);
        break;
    default:
        break;
    }
}

static bool has_parked(struct cell *cell)
{
    return cell->victim->state == WI_TASK_PARKED &&
           (cell->point->is_there == NULL || cell->point->is_there(cell));
}

static void check_outcome(const struct cell *cell)
{
    const struct point *point = cell->point;
    int error = cell->cause == BY_DEADLINE ? -ETIMEDOUT : -ECANCELED;
    bool has_result = point->is_immune || cell->moment == WITH_RESULT;
    CHECK_EQ(cell->rc, has_result ? point->good : error);
    CHECK_EQ(cell->again, error);
}

/* By handle, so that its end makes no place for a claim. */
static void spawn_sibling(struct cell *cell, struct weir_scope *scope)
{
    weir_task sibling;
    if (cell->cause == BY_SIBLING)
        CHECK_EQ(weir_spawn_task(scope, fail_when_told, cell, &sibling), 0);
}

static void spawn_and_strike(struct cell *cell)
{
    weir_task victim;
    bool sibling_later = cell->point->sibling_later && cell->moment != BEFORE;
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    if (!sibling_later)
        spawn_sibling(cell, &scope);
    CHECK_EQ(weir_spawn_task(&scope, be_the_victim, cell, &victim), 0);
    cell->victim = wi_container_of(
        wi_handle_in(&wi_core_self->tasks, 0, WI_HANDLE_TASK, victim.bits), struct wi_task, node);
    while (cell->moment != BEFORE && !has_parked(cell))
        CHECK_EQ(weir_yield(), 0);
    if (sibling_later)
        spawn_sibling(cell, &scope);
    if (cell->moment == WITH_RESULT) {
        cell->point->produce(cell);
        turn_until_woken(cell);
    }
    strike(cell, &scope, victim);
    CHECK_EQ(weir_scope_wait(&scope), cell->cause == BY_SIBLING ? -EIO : 0);
}

/* EX10: the next user finds what he would have found without the one who was interrupted. */
static void use_again(struct cell *cell)
{
    cell->point->produce(cell);
    CHECK_EQ(cell->point->wait(cell), cell->point->good);
}

static int play(void *arg)
{
    struct cell *cell = arg;
    WEIR_SCOPE(claims, WEIR_ALL);
    cell->claims = &claims;
    CHECK_EQ(cell->point->set_up(cell), 0);
    spawn_and_strike(cell);
    check_outcome(cell);
    if (cell->point->reusable && cell->moment == PARKED)
        use_again(cell);
    cell->go = true;
    int rc = weir_scope_wait(&claims);
    cell->point->clean_up(cell);
    return rc;
}

/* The most that a cell needs is one buffer, and a close that nobody answers. */
static void play_all(const struct point *point)
{
    for (int cause = 0; cause < CAUSES; cause++)
        for (int moment = 0; moment < MOMENTS; moment++) {
            struct cell cell = {.point = point, .cause = cause, .moment = moment, .rc = 1000};
            struct weir_opts opts;
            weir_opts_init(&opts);
            opts.recv_pool_bytes = 65536;
            opts.linger_ns = moment == WITH_RESULT ? HOUR * WEIR_SEC : 20 * WEIR_MS;
            opts.linger_canceled_ns = 5 * WEIR_MS;
            opts.tasks_max = point->tasks_max == 0 ? 0 : point->tasks_max - (cause != BY_SIBLING);
            CHECK_EQ(net_run_with(&opts, play, &cell), 0);
        }
}

/* EX8, EX14, I3, I5 */

CASE(cancel_reaches_a_sleep)
{
    play_all(&asleep);
}

CASE(cancel_reaches_a_receive)
{
    play_all(&in_recv);
}

CASE(cancel_reaches_an_exact_receive)
{
    play_all(&in_recv_exact);
}

CASE(cancel_reaches_a_receive_into_a_borrowed_buffer)
{
    play_all(&in_recv_buf);
}

CASE(cancel_reaches_a_wait_for_a_buffer)
{
    play_all(&in_pool);
}

CASE(cancel_reaches_a_send)
{
    play_all(&in_send);
}

CASE(cancel_reaches_an_accept)
{
    play_all(&in_accept);
}

CASE(cancel_reaches_a_dial)
{
    play_all(&in_dial);
}

CASE(cancel_reaches_a_wait_for_a_scope)
{
    play_all(&in_join);
}

CASE(cancel_reaches_a_wait_for_a_task)
{
    play_all(&in_handle);
}

CASE(cancel_reaches_a_wait_for_a_claim)
{
    play_all(&in_claim);
}

CASE(cancel_does_not_end_a_close_and_shows_behind_it)
{
    play_all(&in_close);
}

CASE(cancel_does_not_reach_into_a_shield_and_shows_behind_it)
{
    play_all(&in_shield);
}
