/* SPDX-License-Identifier: MIT */
/*
 * The send machine against a peer that takes what the test says: cut at every byte, failed at every
 * step, cancelled at every step. TX2: nothing is lost, repeated or counted wrongly.
 *
 * The peer takes bytes by a plan, one number for each attempt: so many bytes (0: a completion of
 * nothing), or an error. When the plan is over it takes all. What it took is its stream.
 */
#include "op/request.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "support/script.h"

enum { TEXT = 37, PLAN_MAX = 64, STREAM_MAX = 8192 };

struct peer {
    struct script script;
    struct wi_engine engine;
    struct wi_request send;
    const int *plan;
    unsigned steps, step;
    char stream[STREAM_MAX];
    size_t taken;
    unsigned requests, polls;
    int rc; /* of finish */
    unsigned finished;
};

static struct peer p;

/* ---- the peer ---- */

static void take(const void *mem, size_t len, size_t *left)
{
    size_t step = len < *left ? len : *left;
    CHECK_LE(p.taken + step, STREAM_MAX);
    memcpy(p.stream + p.taken, mem, step);
    p.taken += step;
    *left -= step;
}

/* Takes what the plan says out of a request; the result as send(2) and sendmsg(2) give it. */
static int answer(const struct wi_req *req)
{
    int next = p.step < p.steps ? p.plan[p.step++] : INT_MAX;
    if (next < 0)
        return next;
    size_t left = (size_t)next;
    if (req->opcode == WI_OP_SEND) {
        CHECK_GT(req->len, 0);
        take(req->mem, req->len, &left);
    } else {
        const struct msghdr *msg = req->mem;
        CHECK_EQ(req->opcode, WI_OP_SENDMSG);
        CHECK_LE(msg->msg_iovlen, IOV_MAX);
        for (size_t i = 0; i < msg->msg_iovlen; i++)
            take(msg->msg_iov[i].iov_base, msg->msg_iov[i].iov_len, &left);
    }
    return (int)((size_t)next - left);
}

static ssize_t answer_try(struct script *script, const struct wi_req *req)
{
    (void)script;
    CHECK_EQ(req->msg_flags, 0);
    return answer(req);
}

static void finish(struct wi_engine *engine, struct wi_request *send, ssize_t result,
                   unsigned flags)
{
    CHECK_EQ(flags, 0);
    CHECK_EQ(engine, &p.engine);
    CHECK_EQ(send, &p.send);
    CHECK(wi_op_idle(&send->op));
    p.rc = result < 0 ? (int)result : 0;
    CHECK(result < 0 || (size_t)result == send->done);
    p.finished++;
}

static void set_up(const int *plan, unsigned steps)
{
    memset(&p, 0, sizeof p);
    p.plan = plan;
    p.steps = steps;
    script_init(&p.script);
    p.script.try = answer_try;
    CHECK_EQ(wi_engine_open(&p.engine, &p.script.be), 0);
    CHECK_EQ(wi_engine_reserve(&p.engine, 1), 0);
    p.send.finish = finish;
}

static void tear_down(void)
{
    p.script.answer_cancel = true;
    wi_engine_close(&p.engine);
}

static void complete_staged(int res)
{
    script_complete(&p.script, script_token(&p.script, p.script.log_count - 1), res, 0);
    wi_engine_turn(&p.engine, WI_ENTER_NOW);
}

/* Answers the request that was staged last. A poll says that there is room. */
static void serve_one(void)
{
    const struct wi_req *req = &p.script.log[p.script.log_count - 1].req;
    CHECK_EQ(req->fd, 5);
    CHECK_EQ(req->word, &p);
    if (req->opcode == WI_OP_POLL) {
        p.polls++;
        CHECK_EQ(req->events, POLLOUT);
        complete_staged(POLLOUT);
        return;
    }
    p.requests++;
    CHECK_EQ(req->msg_flags, MSG_WAITALL);
    complete_staged(answer(req));
}

/* Sends the vector as weir_send does; gives the result. */
static int send_all(const struct iovec *iov, unsigned count)
{
    wi_request_vector(&p.send, 5, &p, iov, count);
    int rc = wi_request_try(&p.engine, &p.send);
    if (rc != -EAGAIN)
        return rc;
    wi_request_start(&p.engine, &p.send);
    for (unsigned i = 0; i < PLAN_MAX && p.finished == 0; i++)
        serve_one();
    CHECK_EQ(p.finished, 1);
    return p.rc;
}

static char text[TEXT];

static void fill_text(void)
{
    for (unsigned i = 0; i < TEXT; i++)
        text[i] = (char)('A' + i);
}

/* The shapes of vectors: the text in one piece, in many, with empty ones at every place. */
struct shape {
    unsigned count;
    unsigned len[12];
};

static const struct shape shapes[] = {
    {1, {37}},
    {2, {1, 36}},
    {3, {12, 13, 12}},
    {5, {0, 20, 0, 17, 0}},
    {7, {0, 0, 1, 0, 0, 36, 0}},
    {8, {5, 5, 5, 5, 5, 5, 5, 2}},
    {11, {0, 1, 1, 0, 1, 30, 0, 0, 3, 1, 0}},
};

enum { SHAPES = sizeof shapes / sizeof *shapes };

static unsigned lay_out(const struct shape *shape, struct iovec iov[12])
{
    size_t at = 0;
    for (unsigned i = 0; i < shape->count; i++) {
        iov[i] = (struct iovec){text + at, shape->len[i]};
        at += shape->len[i];
    }
    CHECK_EQ(at, TEXT);
    return shape->count;
}

static void check_stream(size_t bytes)
{
    CHECK_EQ(p.taken, bytes);
    CHECK_EQ(p.send.done, bytes);
    CHECK_EQ(memcmp(p.stream, text, bytes), 0);
}

static void expect(const struct shape *shape, const int *plan, unsigned steps, int rc, size_t done)
{
    struct iovec iov[12], before[12];
    unsigned count = lay_out(shape, iov);
    memcpy(before, iov, sizeof iov);
    set_up(plan, steps);
    CHECK_EQ(send_all(iov, count), rc);
    check_stream(done);
    CHECK_EQ(memcmp(before, iov, sizeof *iov * count), 0); /* the caller's array is not changed */
    tear_down();
}

/* ---- short results: TX2 ---- */

CASE(send_goes_out_in_one_attempt_when_there_is_room)
{
    fill_text();
    for (unsigned i = 0; i < SHAPES; i++)
        expect(&shapes[i], NULL, 0, 0, TEXT);
}

CASE(send_of_nothing_asks_nobody)
{
    struct iovec iov[3] = {{text, 0}, {NULL, 0}, {text, 0}};
    set_up(NULL, 0);
    CHECK_EQ(send_all(iov, 3), 0);
    CHECK_EQ(send_all(iov, 0), 0);
    check_stream(0);
    tear_down();
}

CASE(send_cut_at_any_byte_loses_and_repeats_nothing)
{
    fill_text();
    for (unsigned i = 0; i < SHAPES; i++)
        for (int cut = 0; cut <= TEXT; cut++) {
            const int inline_cut[] = {cut}, ring_cut[] = {-EAGAIN, cut};
            if (cut > 0)
                expect(&shapes[i], inline_cut, 1, 0, TEXT);
            expect(&shapes[i], ring_cut, 2, 0, TEXT);
        }
}

CASE(send_cut_at_any_two_bytes_loses_and_repeats_nothing)
{
    fill_text();
    for (unsigned i = 0; i < SHAPES; i++)
        for (int a = 1; a < TEXT; a++)
            for (int b = 1; b < TEXT; b++) {
                const int both[] = {a, -EAGAIN, b}, staged[] = {-EAGAIN, a, b};
                expect(&shapes[i], both, 3, 0, TEXT);
                expect(&shapes[i], staged, 3, 0, TEXT);
            }
}

CASE(send_byte_by_byte_arrives_whole)
{
    int plan[PLAN_MAX];
    fill_text();
    for (unsigned i = 0; i < PLAN_MAX; i++)
        plan[i] = 1;
    for (unsigned i = 0; i < SHAPES; i++)
        expect(&shapes[i], plan, TEXT + 1, 0, TEXT);
}

/* ---- errors at every step ---- */

static const int errors[] = {-EPIPE, -ECONNRESET, -ENOBUFS, -ETIMEDOUT, -ECANCELED};

CASE(send_error_after_any_byte_tells_exactly_what_went_out)
{
    fill_text();
    for (unsigned i = 0; i < SHAPES; i++)
        for (int cut = 1; cut < TEXT; cut++)
            for (unsigned e = 0; e < sizeof errors / sizeof *errors; e++) {
                const int tried[] = {cut, errors[e]}, staged[] = {-EAGAIN, cut, errors[e]};
                expect(&shapes[i], tried, 2, errors[e], (size_t)cut);
                expect(&shapes[i], staged, 3, errors[e], (size_t)cut);
            }
}

CASE(send_error_at_the_first_attempt_sent_nothing)
{
    fill_text();
    for (unsigned i = 0; i < SHAPES; i++)
        for (unsigned e = 0; e < sizeof errors / sizeof *errors; e++) {
            const int tried[] = {errors[e]}, staged[] = {-EAGAIN, errors[e]};
            expect(&shapes[i], tried, 1, errors[e], 0);
            expect(&shapes[i], staged, 2, errors[e], 0);
        }
}

/* TX4: a peer that does not read makes the sender wait for room, not fail and not spin. */
CASE(send_without_progress_waits_for_room_instead_of_asking_again)
{
    int plan[30];
    struct iovec iov[12];
    fill_text();
    for (unsigned i = 0; i < 30; i++)
        plan[i] = i % 2 == 0 ? -EAGAIN : -EINTR;
    set_up(plan, 30);
    plan[0] = -EAGAIN;
    CHECK_EQ(send_all(iov, lay_out(&shapes[2], iov)), 0);
    check_stream(TEXT);
    CHECK_EQ(p.polls, 3); /* one for each eight attempts in vain, of the 29 staged */
    tear_down();
}

CASE(send_progress_starts_the_count_of_vain_attempts_anew)
{
    int plan[PLAN_MAX];
    struct iovec iov[12];
    fill_text();
    for (unsigned i = 0; i < PLAN_MAX; i++)
        plan[i] = i % 8 == 7 ? 1 : -EAGAIN;
    set_up(plan, 50);
    CHECK_EQ(send_all(iov, lay_out(&shapes[0], iov)), 0);
    check_stream(TEXT);
    CHECK_EQ(p.polls, 0);
    tear_down();
}

CASE(send_error_of_the_wait_for_room_is_the_sends)
{
    int plan[9];
    struct iovec iov[12];
    fill_text();
    for (unsigned i = 0; i < 9; i++)
        plan[i] = -EAGAIN;
    set_up(plan, 9);
    wi_request_vector(&p.send, 5, &p, iov, lay_out(&shapes[2], iov));
    CHECK_EQ(wi_request_try(&p.engine, &p.send), -EAGAIN);
    wi_request_start(&p.engine, &p.send);
    for (unsigned i = 0; i < 8; i++)
        serve_one();
    CHECK_EQ(p.script.log[p.script.log_count - 1].req.opcode, WI_OP_POLL);
    complete_staged(-EBADF);
    CHECK_EQ(p.finished, 1);
    CHECK_EQ(p.rc, -EBADF);
    check_stream(0);
    tear_down();
}

/* The poll says only that something is there to see: what it is, the next send tells. */
CASE(send_error_seen_by_the_wait_for_room_is_told_by_the_next_attempt)
{
    int plan[10];
    struct iovec iov[12];
    fill_text();
    for (unsigned i = 0; i < 9; i++)
        plan[i] = -EAGAIN;
    plan[9] = -EPIPE;
    set_up(plan, 10);
    wi_request_vector(&p.send, 5, &p, iov, lay_out(&shapes[2], iov));
    CHECK_EQ(wi_request_try(&p.engine, &p.send), -EAGAIN);
    wi_request_start(&p.engine, &p.send);
    for (unsigned i = 0; i < 8; i++)
        serve_one();
    complete_staged(POLLERR | POLLHUP);
    CHECK_EQ(p.finished, 0);
    serve_one();
    CHECK_EQ(p.rc, -EPIPE);
    tear_down();
}

/* ---- cancelling ---- */

/* Cancels while the k-th staged request is in flight; it ends as `res` says. */
static void cancel_at(unsigned k, const struct shape *shape, int res, int rc, size_t done)
{
    static const int plan[] = {-EAGAIN, 3, 3, 3, 3, 3, 3, 3, 3};
    struct iovec iov[12];
    set_up(plan, 1 + k);
    wi_request_vector(&p.send, 5, &p, iov, lay_out(shape, iov));
    CHECK_EQ(wi_request_try(&p.engine, &p.send), -EAGAIN);
    wi_request_start(&p.engine, &p.send);
    for (unsigned i = 0; i < k; i++)
        serve_one();
    uint64_t token = script_token(&p.script, p.script.log_count - 1);
    struct wi_req req = p.script.log[p.script.log_count - 1].req;
    wi_request_stop(&p.engine, &p.send, -ECANCELED);
    wi_request_stop(&p.engine, &p.send, -ECANCELED);
    CHECK_EQ(p.script.log[p.script.log_count - 1].token, token | WI_TOKEN_CANCEL);
    CHECK_EQ(p.finished, 0);
    if (res > 0) {
        const int last[] = {res};
        p.plan = last;
        p.steps = 1;
        p.step = 0;
        res = answer(&req);
    }
    script_complete(&p.script, token | WI_TOKEN_CANCEL, 0, 0);
    script_complete(&p.script, token, res, 0);
    wi_engine_turn(&p.engine, WI_ENTER_NOW);
    CHECK_EQ(p.finished, 1);
    CHECK_EQ(p.rc, rc);
    check_stream(done);
    tear_down();
}

CASE(send_cancelled_at_any_step_tells_exactly_what_went_out)
{
    fill_text();
    for (unsigned k = 0; k < 8; k++) {
        cancel_at(k, &shapes[0], -ECANCELED, -ECANCELED, 3 * (size_t)k);
        cancel_at(k, &shapes[0], -EINTR, -ECANCELED, 3 * (size_t)k);
        cancel_at(k, &shapes[0], -EAGAIN, -ECANCELED, 3 * (size_t)k);
        cancel_at(k, &shapes[0], -EPIPE, -EPIPE, 3 * (size_t)k);
    }
}

/* I3: what the last request moved counts, and all of it is success. */
CASE(send_result_that_arrives_while_cancelling_wins)
{
    fill_text();
    for (unsigned k = 0; k < 8; k++) {
        cancel_at(k, &shapes[0], 2, -ECANCELED, 3 * (size_t)k + 2);
        cancel_at(k, &shapes[0], INT_MAX, 0, TEXT);
    }
}

CASE(send_cancelled_while_it_waits_for_room_ends)
{
    int plan[9];
    struct iovec iov[12];
    static const int end[] = {-ECANCELED, POLLOUT};
    fill_text();
    for (unsigned i = 0; i < 9; i++)
        plan[i] = -EAGAIN;
    for (unsigned e = 0; e < 2; e++) {
        set_up(plan, 9);
        wi_request_vector(&p.send, 5, &p, iov, lay_out(&shapes[2], iov));
        CHECK_EQ(wi_request_try(&p.engine, &p.send), -EAGAIN);
        wi_request_start(&p.engine, &p.send);
        for (unsigned i = 0; i < 8; i++)
            serve_one();
        uint64_t token = script_token(&p.script, p.script.log_count - 1);
        wi_request_stop(&p.engine, &p.send, -ECANCELED);
        script_complete(&p.script, token, end[e], 0);
        wi_engine_turn(&p.engine, WI_ENTER_NOW);
        CHECK_EQ(p.finished, 1);
        CHECK_EQ(p.rc, -ECANCELED);
        tear_down();
    }
}

CASE(send_cancelled_before_it_was_staged_ends_with_what_was_sent_inline)
{
    static const int plan[] = {10};
    struct iovec iov[12];
    fill_text();
    set_up(plan, 1);
    p.script.stage_room = 0;
    wi_request_vector(&p.send, 5, &p, iov, lay_out(&shapes[0], iov));
    CHECK_EQ(wi_request_try(&p.engine, &p.send), -EAGAIN);
    wi_request_start(&p.engine, &p.send);
    wi_request_stop(&p.engine, &p.send, -ECANCELED);
    wi_engine_turn(&p.engine, WI_ENTER_NOW);
    CHECK_EQ(p.finished, 1);
    CHECK_EQ(p.rc, -ECANCELED);
    check_stream(10);
    p.script.stage_room = 1;
    tear_down();
}

/* TX3 */
CASE(send_refused_by_a_full_ring_goes_out_when_there_is_room)
{
    static const int plan[] = {-EAGAIN, 5};
    struct iovec iov[12];
    fill_text();
    set_up(plan, 2);
    wi_request_vector(&p.send, 5, &p, iov, lay_out(&shapes[3], iov));
    CHECK_EQ(wi_request_try(&p.engine, &p.send), -EAGAIN);
    p.script.stage_room = 0;
    wi_request_start(&p.engine, &p.send);
    for (unsigned i = 0; i < 3; i++)
        wi_engine_turn(&p.engine, WEIR_FOREVER);
    CHECK_EQ(p.script.until, WI_ENTER_NOW);
    CHECK_EQ(p.finished, 0);
    p.script.stage_room = 100;
    wi_engine_turn(&p.engine, WI_ENTER_NOW);
    for (unsigned i = 0; i < PLAN_MAX && p.finished == 0; i++)
        serve_one();
    CHECK_EQ(p.rc, 0);
    check_stream(TEXT);
    tear_down();
}

/* ---- sizes ---- */

CASE(send_of_more_elements_than_a_call_takes_arrives_whole)
{
    enum { MANY = 3 * IOV_MAX + 5 };
    static struct iovec iov[MANY];
    fill_text();
    for (unsigned i = 0; i < MANY; i++)
        iov[i] = (struct iovec){text + i % TEXT, 1};
    set_up(NULL, 0);
    CHECK_EQ(send_all(iov, MANY), 0);
    CHECK_EQ(p.send.done, MANY);
    for (unsigned i = 0; i < MANY; i++)
        CHECK_EQ(p.stream[i], text[i % TEXT]);
    tear_down();
}

static size_t huge_left;

static ssize_t take_huge(struct script *script, const struct wi_req *req)
{
    (void)script;
    CHECK_EQ(req->opcode, WI_OP_SEND);
    CHECK_LE(req->len, 1u << 30);
    huge_left -= req->len;
    return (ssize_t)req->len;
}

/* 5 GiB in one element: lengths have 32 bits in a request. Nothing reads the bytes. */
CASE(send_of_more_than_four_gigabytes_is_cut_into_requests)
{
    struct iovec iov = {text, ((size_t)5 << 30) + 3};
    set_up(NULL, 0);
    huge_left = iov.iov_len;
    p.script.try = take_huge;
    wi_request_vector(&p.send, 5, &p, &iov, 1);
    CHECK_EQ(wi_request_try(&p.engine, &p.send), 0);
    CHECK_EQ(huge_left, 0);
    CHECK_EQ(p.send.done, ((size_t)5 << 30) + 3);
    tear_down();
}
