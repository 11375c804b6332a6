/* SPDX-License-Identifier: MIT */
/*
 * The request machine and its table, on a backend that answers as the test says: how often it tries
 * again, what it waits for then, and what is left to do for one that nobody wants any more. C2, C3;
 * the waiter table's stage_orphans_closed_requests and orphan_closed_requests_after_….
 */
#include "op/request.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "check.h"
#include "support/script.h"

enum { LEN = 10, RETRIES = 8 };

struct table {
    struct script script;
    struct wi_engine engine;
    struct wi_request request;
    char buf[LEN];
    ssize_t result;
    unsigned finished;
};

static struct table t;

static void finish(struct wi_engine *engine, struct wi_request *request, ssize_t result,
                   unsigned flags)
{
    CHECK_EQ(engine, &t.engine);
    CHECK(wi_op_idle(&request->op) || flags != 0);
    t.result = result;
    t.finished++;
}

static void set_up(enum wi_request_kind kind)
{
    memset(&t, 0, sizeof t);
    script_init(&t.script);
    CHECK_EQ(wi_engine_open(&t.engine, &t.script.be), 0);
    wi_request_init(&t.request, kind, 5, &t, t.buf, LEN);
    t.request.finish = finish;
    t.request.at = 100;
}

static void tear_down(void)
{
    t.script.stage_room = UINT32_MAX;
    t.script.answer_cancel = true;
    wi_engine_close(&t.engine);
}

static const struct wi_req *last(void)
{
    return &t.script.log[t.script.log_count - 1].req;
}

static void turn(void)
{
    wi_engine_turn(&t.engine, WI_ENTER_NOW);
}

static void answer(int32_t res)
{
    script_complete(&t.script, script_token(&t.script, t.script.log_count - 1), res, 0);
    turn();
}

static void check_over(ssize_t result, size_t done)
{
    CHECK_EQ(t.finished, 1);
    CHECK_EQ(t.result, result);
    CHECK_EQ(t.request.done, done);
    CHECK(wi_engine_idle(&t.engine));
    CHECK_EQ(wi_wheel_next(&t.engine.wheel), WEIR_FOREVER);
}

static const enum wi_request_kind stoppable[] = {WI_REQUEST_SEND, WI_REQUEST_RECV,
                                                 WI_REQUEST_RECV_EXACT, WI_REQUEST_READ_AT};
enum { STOPPABLE = 4 };

/* ---- orphans ---- */

CASE(request_stopped_before_it_was_staged_never_is)
{
    for (int i = 0; i < STOPPABLE; i++) {
        set_up(stoppable[i]);
        unsigned logged = t.script.log_count;
        t.script.stage_room = 0;
        wi_request_start(&t.engine, &t.request);
        wi_request_stop(&t.engine, &t.request, -ETIMEDOUT);
        CHECK_EQ(t.finished, 0);
        t.script.stage_room = UINT32_MAX;
        turn();
        check_over(-ETIMEDOUT, 0);
        CHECK_EQ(t.script.log_count, logged);
        CHECK_EQ(t.engine.stats.retired, 1);
        tear_down();
    }
}

CASE(request_stopped_between_two_attempts_makes_no_other)
{
    for (int i = 0; i < STOPPABLE; i++) {
        set_up(stoppable[i]);
        wi_request_start(&t.engine, &t.request);
        t.script.stage_room = 0;
        answer(-EAGAIN);
        unsigned logged = t.script.log_count;
        wi_request_stop(&t.engine, &t.request, -ECANCELED);
        t.script.stage_room = UINT32_MAX;
        turn();
        check_over(-ECANCELED, 0);
        CHECK_EQ(t.script.log_count, logged);
        tear_down();
    }
}

CASE(request_stopped_behind_a_part_says_how_much_it_was)
{
    for (int i = 0; i < STOPPABLE; i++) {
        if (stoppable[i] == WI_REQUEST_RECV)
            continue; /* a part is its result */
        set_up(stoppable[i]);
        wi_request_start(&t.engine, &t.request);
        t.script.stage_room = 0;
        answer(4);
        unsigned logged = t.script.log_count;
        wi_request_stop(&t.engine, &t.request, -ECANCELED);
        t.script.stage_room = UINT32_MAX;
        turn();
        check_over(-ECANCELED, 4);
        CHECK_EQ(t.script.log_count, logged);
        tear_down();
    }
}

/* The result wins, and a cancel in flight ends an attempt that found nothing. */
CASE(request_stopped_in_flight_ends_with_what_comes_first)
{
    static const struct {
        int32_t res;
        ssize_t result;
    } rows[] = {{LEN, LEN},
                {-EAGAIN, -ECANCELED},
                {-EINTR, -ECANCELED},
                {-ECANCELED, -ECANCELED},
                {-EPIPE, -EPIPE}};
    for (int i = 0; i < STOPPABLE; i++)
        for (int k = 0; k < 5; k++) {
            set_up(stoppable[i]);
            wi_request_start(&t.engine, &t.request);
            uint64_t token = script_token(&t.script, t.script.log_count - 1);
            wi_request_stop(&t.engine, &t.request, -ECANCELED);
            CHECK_EQ(t.script.log[t.script.log_count - 1].token, token | WI_TOKEN_CANCEL);
            script_complete(&t.script, token | WI_TOKEN_CANCEL, -EALREADY, 0);
            turn();
            CHECK_EQ(t.finished, 0); /* the cancel's own completion ends nothing */
            script_complete(&t.script, token, rows[k].res, 0);
            turn();
            check_over(rows[k].result, rows[k].res > 0 ? LEN : 0);
            tear_down();
        }
}

CASE(request_that_writes_or_syncs_finishes_though_stopped_before_it_was_staged)
{
    for (enum wi_request_kind kind = WI_REQUEST_WRITE_AT; kind <= WI_REQUEST_SYNC; kind++) {
        set_up(kind);
        unsigned logged = t.script.log_count;
        t.script.stage_room = 0;
        wi_request_start(&t.engine, &t.request);
        wi_request_stop(&t.engine, &t.request, -ECANCELED);
        t.script.stage_room = UINT32_MAX;
        turn();
        CHECK_EQ(t.script.log_count, logged + 1);
        answer(kind == WI_REQUEST_SYNC ? 0 : 3);
        if (kind == WI_REQUEST_WRITE_AT) {
            CHECK_EQ(last()->off, 103);
            answer(LEN - 3);
        }
        check_over(kind == WI_REQUEST_SYNC ? 0 : LEN, kind == WI_REQUEST_SYNC ? 0 : LEN);
        tear_down();
    }
}

/* ---- retries ---- */

CASE(request_polls_after_eight_attempts_without_progress)
{
    static const enum wi_request_kind kinds[] = {WI_REQUEST_SEND, WI_REQUEST_RECV,
                                                 WI_REQUEST_RECV_EXACT, WI_REQUEST_ACCEPT};
    static const int polled[] = {POLLOUT, POLLIN | POLLRDHUP, POLLIN | POLLRDHUP, POLLIN};
    for (int i = 0; i < 4; i++) {
        set_up(kinds[i]);
        wi_request_start(&t.engine, &t.request);
        for (int attempt = 0; attempt < RETRIES; attempt++) {
            CHECK_NE(last()->opcode, WI_OP_POLL);
            answer(attempt % 2 == 0 ? -EAGAIN : -EINTR);
        }
        CHECK_EQ(last()->opcode, WI_OP_POLL);
        CHECK_EQ(last()->events, polled[i]);
        answer(polled[i]);
        CHECK_NE(last()->opcode, WI_OP_POLL);
        CHECK_EQ(t.finished, 0);
        answer(-EIO);
        check_over(-EIO, 0);
        tear_down();
    }
}

CASE(request_pauses_where_there_is_nothing_to_poll_for)
{
    set_up(WI_REQUEST_WRITE_AT);
    wi_request_start(&t.engine, &t.request);
    for (int attempt = 0; attempt < RETRIES; attempt++)
        answer(-EAGAIN);
    unsigned logged = t.script.log_count;
    CHECK_EQ(wi_wheel_next(&t.engine.wheel), t.script.now + WEIR_MS);
    wi_engine_turn(&t.engine, t.script.now + WEIR_MS);
    CHECK_EQ(t.script.log_count, logged + 1);
    answer(LEN);
    check_over(LEN, LEN);
    tear_down();
}

CASE(request_stopped_in_a_pause_takes_its_timer_along)
{
    set_up(WI_REQUEST_READ_AT);
    wi_request_start(&t.engine, &t.request);
    for (int attempt = 0; attempt < RETRIES; attempt++)
        answer(-EAGAIN);
    wi_request_stop(&t.engine, &t.request, -ETIMEDOUT);
    CHECK_EQ(t.finished, 0);
    turn();
    check_over(-ETIMEDOUT, 0);
    tear_down();
}

/* ---- what no bytes mean ---- */

CASE(request_that_finds_the_end_has_the_result_of_its_kind)
{
    static const struct {
        enum wi_request_kind kind;
        int32_t first;
        ssize_t result;
    } rows[] = {{WI_REQUEST_RECV, 0, 0},
                {WI_REQUEST_RECV_EXACT, 0, -ENODATA},
                {WI_REQUEST_RECV_EXACT, 4, -ENODATA},
                {WI_REQUEST_READ_AT, 0, 0},
                {WI_REQUEST_READ_AT, 4, 4}};
    for (int i = 0; i < 5; i++) {
        set_up(rows[i].kind);
        wi_request_start(&t.engine, &t.request);
        if (rows[i].first > 0)
            answer(rows[i].first);
        answer(0);
        check_over(rows[i].result, (size_t)rows[i].first);
        tear_down();
    }
}

/* EX16 */
CASE(request_that_accepts_goes_on_when_the_backend_ends_it)
{
    set_up(WI_REQUEST_ACCEPT);
    wi_request_start(&t.engine, &t.request);
    for (int i = 0; i < 5; i++) {
        unsigned logged = t.script.log_count;
        answer(40 + i); /* without MORE */
        CHECK_EQ(t.result, 40 + i);
        CHECK_EQ(t.script.log_count, logged + 1);
        CHECK_EQ(last()->flags, WI_REQ_MULTI);
    }
    uint64_t token = script_token(&t.script, t.script.log_count - 1);
    wi_request_stop(&t.engine, &t.request, -ECANCELED);
    script_complete(&t.script, token, 50, 0); /* one more comes first, and is handed over */
    turn();
    CHECK_EQ(t.finished, 7);
    CHECK_EQ(t.result, -ECANCELED);
    CHECK(wi_engine_idle(&t.engine));
    tear_down();
}

/* ---- limit and chains in the engine ---- */

static struct wi_op op[6];
static unsigned ran;

static void count(struct wi_engine *engine, struct wi_op *which, int32_t res, bool more)
{
    (void)engine;
    (void)which;
    (void)res;
    (void)more;
    ran++;
}

CASE(engine_takes_a_chain_whole_or_not_at_all)
{
    struct wi_op *const chain[3] = {&op[0], &op[1], &op[2]};
    set_up(WI_REQUEST_NOP);
    ran = 0;
    for (int i = 0; i < 6; i++)
        op[i] = (struct wi_op){.fn = count, .counted = true};
    unsigned logged = t.script.log_count;
    t.script.stage_room = 2;
    wi_op_start_chain(&t.engine, chain, 3);
    CHECK_EQ(t.script.log_count, logged);
    t.script.stage_room = 4;
    turn();
    CHECK_EQ(t.script.log_count, logged + 3);
    CHECK(t.script.log[logged].linked && t.script.log[logged + 1].linked);
    CHECK(!t.script.log[logged + 2].linked); /* EX15 */
    for (unsigned i = 0; i < 3; i++)
        script_complete(&t.script, script_token(&t.script, logged + i), 0, 0);
    turn();
    CHECK_EQ(ran, 3);
    tear_down();
}

CASE(engine_lets_ops_through_in_order_and_cancels_those_that_wait)
{
    set_up(WI_REQUEST_NOP);
    ran = 0;
    wi_engine_limit(&t.engine, 2);
    for (int i = 0; i < 6; i++) {
        op[i] = (struct wi_op){.fn = count, .req = {.fd = 100 + i}, .counted = true};
        wi_op_start(&t.engine, &op[i]);
    }
    CHECK_EQ(last()->fd, 101);
    CHECK_EQ(t.engine.stats.limited, 4);
    CHECK_EQ(wi_op_cancel(&t.engine, &op[3]), 1);
    for (int next = 0; next < 6; next++) {
        if (next == 3)
            continue;
        unsigned at = t.script.log_count - (next == 5 ? 1 : 2);
        CHECK_EQ(t.script.log[at].req.fd, 100 + next);
        script_complete(&t.script, script_token(&t.script, at), 0, 0);
        turn();
        turn();
    }
    CHECK_EQ(ran, 6);
    CHECK_EQ(t.engine.counted, 0);
    CHECK_EQ(t.engine.stats.retired, 1);
    tear_down();
}
