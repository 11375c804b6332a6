/* SPDX-License-Identifier: MIT */
/*
 * What the engine makes of refusals, cancels, races and completions that nobody asked for. The
 * backend is a script: its log entry 0 is the poll for wake-ups, which every engine arms first.
 */
#include "op/engine.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "check.h"
#include "support/death.h"
#include "support/script.h"

enum { OPS = 200 };

struct probe {
    struct wi_op op;
    unsigned calls;
    int32_t res;
    bool more;
    void (*then)(struct wi_engine *engine, struct probe *probe);
};

struct table {
    struct script script;
    struct wi_engine engine;
    struct probe probe[OPS];
    char order[64]; /* what ran, a letter each */
};

static struct table t;

static void note(char what)
{
    size_t len = strlen(t.order);
    CHECK_LT(len + 1, sizeof t.order);
    t.order[len] = what;
}

static void completed(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    struct probe *probe = wi_container_of(op, struct probe, op);
    probe->calls++;
    probe->res = res;
    probe->more = more;
    if (probe - t.probe < 4)
        note((char)('a' + (probe - t.probe)));
    if (probe->then != NULL)
        probe->then(engine, probe);
}

/* An engine with room for `ops` probes, of which each is a NOP on descriptor 100 + its index. */
static void set_up(unsigned ops)
{
    script_init(&t.script);
    CHECK_EQ(wi_engine_open(&t.engine, &t.script.be), 0);
    CHECK_EQ(wi_engine_reserve(&t.engine, ops), 0);
    for (unsigned i = 0; i < OPS; i++)
        t.probe[i].op = (struct wi_op){.fn = completed, .req = {.fd = 100 + (int)i}};
}

static void tear_down(void)
{
    t.script.stage_room = t.script.cancel_room = UINT32_MAX;
    t.script.answer_cancel = true;
    wi_engine_close(&t.engine);
    CHECK(t.script.closed);
}

static void start(unsigned i)
{
    wi_op_start(&t.engine, &t.probe[i].op);
}

static uint64_t last_token(void)
{
    return script_token(&t.script, t.script.log_count - 1);
}

static void turn(void)
{
    wi_engine_turn(&t.engine, WI_ENTER_NOW);
}

/* ---- opening, waking ---- */

CASE(engine_arms_its_wake_up_first)
{
    set_up(0);
    CHECK_EQ(t.script.log_count, 1);
    CHECK_EQ(t.script.log[0].req.opcode, WI_OP_POLL);
    CHECK_EQ(t.script.log[0].req.flags, WI_REQ_MULTI);
    CHECK_EQ(t.script.log[0].req.events, POLLIN);
    CHECK_EQ(t.script.log[0].req.fd, 77);
    CHECK_EQ(t.script.log[0].req.word, &t.script.be);
    CHECK(wi_engine_idle(&t.engine));
    tear_down();
}

/* EX16 */
CASE(engine_arms_its_wake_up_again_when_the_multishot_ends)
{
    set_up(0);
    for (unsigned i = 0; i < 10; i++) {
        unsigned before = t.script.log_count;
        script_complete(&t.script, last_token(), POLLIN, WI_CQE_MORE);
        turn();
        CHECK_EQ(t.script.log_count, before);
        script_complete(&t.script, last_token(), i % 2 == 0 ? POLLIN : -ENOMEM, 0);
        turn();
        CHECK_EQ(t.script.log_count, before + 1);
        CHECK_EQ(t.script.log[before].req.fd, 77);
    }
    tear_down();
}

CASE(engine_close_waits_for_the_wake_ups_own_end)
{
    set_up(0);
    uint64_t wake = last_token();
    /* The cancel's completion comes first and ends nothing. */
    script_complete(&t.script, wake | WI_TOKEN_CANCEL, 0, 0);
    script_complete(&t.script, wake, POLLIN, WI_CQE_MORE);
    script_complete(&t.script, wake, -ECANCELED, 0);
    wi_engine_close(&t.engine);
    CHECK_EQ(t.script.log_count, 2);
    CHECK_EQ(t.script.log[1].token, wake | WI_TOKEN_CANCEL);
    CHECK_EQ(t.script.due_head, 3);
    CHECK(t.script.closed);
}

/* ---- starting and completing ---- */

CASE(engine_op_is_staged_at_once_and_completes_with_its_result)
{
    set_up(1);
    start(0);
    CHECK_EQ(t.script.log[1].req.fd, 100);
    CHECK(!wi_op_idle(&t.probe[0].op));
    CHECK(!wi_engine_idle(&t.engine));
    script_complete(&t.script, last_token(), 42, 0);
    CHECK_EQ(wi_engine_turn(&t.engine, WEIR_FOREVER), 1);
    CHECK_EQ(t.probe[0].calls, 1);
    CHECK_EQ(t.probe[0].res, 42);
    CHECK(wi_op_idle(&t.probe[0].op));
    CHECK(wi_engine_idle(&t.engine));
    tear_down();
}

CASE(engine_multishot_stays_in_flight_until_its_last_completion)
{
    set_up(1);
    start(0);
    for (int i = 0; i < 3; i++)
        script_complete(&t.script, last_token(), i, WI_CQE_MORE);
    turn();
    CHECK_EQ(t.probe[0].calls, 3);
    CHECK(t.probe[0].more);
    CHECK(!wi_op_idle(&t.probe[0].op));
    script_complete(&t.script, last_token(), 9, 0);
    turn();
    CHECK_EQ(t.probe[0].calls, 4);
    CHECK(!t.probe[0].more);
    CHECK(wi_op_idle(&t.probe[0].op));
    tear_down();
}

/* I2 */
CASE(engine_slot_used_again_has_another_generation)
{
    set_up(1);
    start(0);
    uint64_t first = last_token();
    script_complete(&t.script, first, 0, 0);
    turn();
    start(1);
    CHECK_EQ(wi_token_slot(last_token()), wi_token_slot(first));
    CHECK_NE(wi_token_generation(last_token()), wi_token_generation(first));
    script_complete(&t.script, last_token(), 0, 0);
    turn();
    tear_down();
}

static void start_again(struct wi_engine *engine, struct probe *probe)
{
    if (probe->calls < 5)
        wi_op_start(engine, &probe->op);
}

CASE(engine_op_may_be_started_again_from_its_callback)
{
    set_up(1);
    t.probe[0].then = start_again;
    start(0);
    for (unsigned i = 1; i <= 5; i++) {
        script_complete(&t.script, last_token(), 0, 0);
        turn();
        CHECK_EQ(t.probe[0].calls, i);
    }
    CHECK(wi_op_idle(&t.probe[0].op));
    tear_down();
}

/* ---- refusals: TX3, EX11 ---- */

CASE(engine_refused_ops_wait_and_go_out_in_order)
{
    set_up(4);
    t.script.stage_room = 1;
    for (unsigned i = 0; i < 4; i++)
        start(i);
    CHECK_EQ(t.script.log_count, 2);
    t.script.stage_room = 2;
    turn();
    CHECK_EQ(t.script.log_count, 4);
    t.script.stage_room = 1;
    turn();
    for (int i = 0; i < 4; i++)
        CHECK_EQ(t.script.log[1 + i].req.fd, 100 + i);
    for (unsigned i = 0; i < 4; i++)
        script_complete(&t.script, script_token(&t.script, 1 + i), 0, 0);
    turn();
    CHECK_EQ(wi_engine_idle(&t.engine), true);
    tear_down();
}

/* Room that opens between two starts belongs to the one that waits. */
CASE(engine_op_does_not_overtake_one_that_waits)
{
    set_up(2);
    t.script.stage_room = 0;
    start(0);
    t.script.stage_room = 5;
    start(1);
    CHECK_EQ(t.script.log_count, 1);
    turn();
    CHECK_EQ(t.script.log[1].req.fd, 100);
    CHECK_EQ(t.script.log[2].req.fd, 101);
    script_complete(&t.script, script_token(&t.script, 1), 0, 0);
    script_complete(&t.script, script_token(&t.script, 2), 0, 0);
    turn();
    tear_down();
}

CASE(engine_does_not_block_while_something_waits_for_room)
{
    set_up(1);
    t.script.stage_room = 0;
    start(0);
    CHECK_EQ(wi_engine_next(&t.engine), WI_ENTER_NOW);
    wi_engine_turn(&t.engine, WEIR_FOREVER);
    CHECK_EQ(t.script.until, WI_ENTER_NOW);
    t.script.stage_room = 1;
    turn();
    script_complete(&t.script, last_token(), 0, 0);
    turn();
    CHECK_EQ(wi_engine_next(&t.engine), WEIR_FOREVER);
    tear_down();
}

CASE(engine_refused_cancels_wait_and_go_out_before_requests)
{
    set_up(4);
    for (unsigned i = 0; i < 2; i++)
        start(i);
    t.script.stage_room = t.script.cancel_room = 0;
    CHECK_EQ(wi_op_cancel(&t.engine, &t.probe[1].op), 1);
    CHECK_EQ(wi_op_cancel(&t.engine, &t.probe[0].op), 1);
    start(2);
    CHECK_EQ(t.script.log_count, 3);
    wi_engine_turn(&t.engine, WEIR_FOREVER);
    CHECK_EQ(t.script.until, WI_ENTER_NOW);
    t.script.stage_room = t.script.cancel_room = 4;
    turn();
    CHECK_EQ(t.script.log_count, 6);
    CHECK_EQ(t.script.log[3].token, t.script.log[2].token | WI_TOKEN_CANCEL);
    CHECK_EQ(t.script.log[4].token, t.script.log[1].token | WI_TOKEN_CANCEL);
    CHECK_EQ(t.script.log[5].req.fd, 102);
    script_complete(&t.script, script_token(&t.script, 1), -ECANCELED, 0);
    script_complete(&t.script, script_token(&t.script, 2), -ECANCELED, 0);
    script_complete(&t.script, script_token(&t.script, 5), 0, 0);
    turn();
    tear_down();
}

/* A cancel that still waits for room when its target ends is dropped: sent later, it would hit
 * whoever has the slot then. */
CASE(engine_cancel_that_waits_is_dropped_when_its_target_ends)
{
    set_up(1);
    start(0);
    t.script.cancel_room = 0;
    CHECK_EQ(wi_op_cancel(&t.engine, &t.probe[0].op), 1);
    script_complete(&t.script, last_token(), 5, 0);
    turn();
    CHECK_EQ(t.probe[0].res, 5);
    t.script.cancel_room = 10;
    turn();
    CHECK_EQ(t.script.log_count, 2);
    CHECK_EQ(wi_engine_next(&t.engine), WEIR_FOREVER);
    tear_down();
}

/* ---- cancelling ---- */

CASE(engine_cancel_is_sent_once_and_the_target_ends_by_its_own_completion)
{
    set_up(1);
    start(0);
    uint64_t token = last_token();
    CHECK_EQ(wi_op_cancel(&t.engine, &t.probe[0].op), 1);
    CHECK_EQ(wi_op_cancel(&t.engine, &t.probe[0].op), 0);
    CHECK_EQ(t.script.log_count, 3);
    CHECK_EQ(t.script.log[2].token, token | WI_TOKEN_CANCEL);
    script_complete(&t.script, token | WI_TOKEN_CANCEL, 0, 0);
    turn();
    CHECK_EQ(t.probe[0].calls, 0); /* I1: a cancel's completion ends nothing */
    CHECK(!wi_op_idle(&t.probe[0].op));
    script_complete(&t.script, token, -ECANCELED, 0);
    turn();
    CHECK_EQ(t.probe[0].calls, 1);
    CHECK_EQ(t.probe[0].res, -ECANCELED);
    tear_down();
}

CASE(engine_cancel_of_an_idle_op_does_nothing)
{
    set_up(1);
    CHECK_EQ(wi_op_cancel(&t.engine, &t.probe[0].op), 0);
    CHECK_EQ(t.script.log_count, 1);
    CHECK_EQ(wi_engine_next(&t.engine), WEIR_FOREVER);
    tear_down();
}

CASE(engine_op_cancelled_before_it_was_staged_ends_locally)
{
    set_up(2);
    t.script.stage_room = 0;
    start(0);
    start(1);
    CHECK_EQ(wi_op_cancel(&t.engine, &t.probe[0].op), 1);
    CHECK_EQ(wi_op_cancel(&t.engine, &t.probe[0].op), 0);
    CHECK_EQ(t.probe[0].calls, 0); /* never inside the call */
    t.script.stage_room = 10;
    CHECK_EQ(wi_engine_turn(&t.engine, WEIR_FOREVER), 1);
    CHECK_EQ(t.probe[0].calls, 1);
    CHECK_EQ(t.probe[0].res, -ECANCELED);
    CHECK(!t.probe[0].more);
    CHECK_EQ(t.engine.stats.retired, 1);
    CHECK_EQ(t.script.log_count, 2); /* the wake-up and the other one: no cancel, no request */
    CHECK_EQ(t.script.log[1].req.fd, 101);
    script_complete(&t.script, last_token(), 0, 0);
    turn();
    tear_down();
}

static void start_unstaged_and_cancel(struct wi_engine *engine, struct probe *probe)
{
    if (probe->calls > 1)
        return;
    t.script.stage_room = 0;
    wi_op_start(engine, &probe->op);
    wi_op_cancel(engine, &probe->op);
}

/* Else a callback that starts and cancels would keep the turn for ever. */
CASE(engine_op_retired_in_a_callback_ends_in_the_next_turn)
{
    set_up(1);
    t.probe[0].then = start_unstaged_and_cancel;
    t.script.stage_room = 0;
    start(0);
    CHECK_EQ(wi_op_cancel(&t.engine, &t.probe[0].op), 1);
    wi_engine_turn(&t.engine, WEIR_FOREVER);
    CHECK_EQ(t.probe[0].calls, 1);
    CHECK_EQ(wi_engine_next(&t.engine), WI_ENTER_NOW);
    wi_engine_turn(&t.engine, WEIR_FOREVER);
    CHECK_EQ(t.probe[0].calls, 2);
    CHECK_EQ(t.script.until, WI_ENTER_NOW);
    tear_down();
}

/* CL2: the slot has its next occupant when the answer to the cancel arrives. */
CASE(engine_late_answer_to_a_cancel_touches_nobody)
{
    static const int32_t answer[] = {0, -ENOENT, -EALREADY};
    set_up(1);
    for (unsigned i = 0; i < 3; i++) {
        start(0);
        uint64_t token = last_token();
        CHECK_EQ(wi_op_cancel(&t.engine, &t.probe[0].op), 1);
        script_complete(&t.script, token, 7, 0); /* it won the race */
        turn();
        CHECK_EQ(t.probe[0].res, 7);
        start(1);
        script_complete(&t.script, token | WI_TOKEN_CANCEL, answer[i], 0);
        turn();
        CHECK_EQ(t.probe[1].calls, i);
        script_complete(&t.script, last_token(), 1, 0);
        turn();
        CHECK_EQ(t.probe[1].calls, i + 1);
    }
    CHECK_EQ(t.engine.stats.cancels, 3);
    CHECK_EQ(t.engine.stats.cancels_odd, 0);
    tear_down();
}

CASE(engine_counts_odd_answers_to_a_cancel_and_goes_on)
{
    set_up(1);
    start(0);
    uint64_t token = last_token();
    CHECK_EQ(wi_op_cancel(&t.engine, &t.probe[0].op), 1);
    script_complete(&t.script, token | WI_TOKEN_CANCEL, -ENOMEM, 0);
    turn();
    CHECK_EQ(t.engine.stats.cancels_odd, 1);
    CHECK_EQ(t.probe[0].calls, 0);
    script_complete(&t.script, token, 3, 0);
    turn();
    CHECK_EQ(t.probe[0].res, 3);
    tear_down();
}

static void cancel_is_not_understood(void)
{
    set_up(1);
    start(0);
    script_complete(&t.script, last_token() | WI_TOKEN_CANCEL, -EINVAL, 0);
    turn();
}

CASE(engine_ends_the_process_when_the_kernel_does_not_know_cancels)
{
    check_aborts(cancel_is_not_understood, "weir: bug: cqe->res != -EINVAL");
}

/* ---- completions of nothing: EX17 ---- */

static void complete_unknown_slot(void)
{
    set_up(1);
    script_complete(&t.script, wi_token(123456, 1), 0, 0);
    turn();
}

CASE(engine_ends_the_process_at_a_completion_of_no_slot)
{
    check_aborts(complete_unknown_slot,
                 "completion of no live operation: slot 123456 generation 1");
}

static void complete_old_generation(void)
{
    set_up(1);
    start(0);
    uint64_t old = last_token();
    script_complete(&t.script, old, 0, 0);
    turn();
    start(0);
    script_complete(&t.script, old, 0, 0);
    turn();
}

CASE(engine_ends_the_process_at_a_completion_of_another_generation)
{
    check_aborts(complete_old_generation, "busy now at generation 2, last completion generation 1");
}

static void complete_twice(void)
{
    set_up(1);
    start(0);
    script_complete(&t.script, last_token(), 0, 0);
    script_complete(&t.script, last_token(), 11, 0);
    turn();
}

CASE(engine_ends_the_process_at_a_second_last_completion)
{
    check_aborts(complete_twice, "res 11 flags 0; 64 slots, free now at generation");
}

static void complete_unstaged(void)
{
    set_up(1);
    t.script.stage_room = 0;
    start(0);
    script_complete(&t.script, wi_token(t.probe[0].op.slot, 1), 0, 0);
    turn();
}

CASE(engine_ends_the_process_at_a_completion_of_what_was_not_staged)
{
    check_aborts(complete_unstaged, "completion of no live operation");
}

static void start_twice(void)
{
    set_up(2);
    start(0);
    start(0);
}

CASE(engine_ends_the_process_when_an_op_in_flight_is_started_again)
{
    check_aborts(start_twice, "bug: op->state == WI_OP_IDLE");
}

/* ---- tokens ---- */

CASE(engine_token_keeps_slot_generation_and_cancel_mark_apart)
{
    static const uint32_t slot[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    static const uint32_t generation[] = {0, 1, 0x40000000, 0x7FFFFFFF};
    for (unsigned s = 0; s < 5; s++)
        for (unsigned g = 0; g < 4; g++) {
            uint64_t token = wi_token(slot[s], generation[g]);
            CHECK_EQ(wi_token_slot(token), slot[s]);
            CHECK_EQ(wi_token_generation(token), generation[g]);
            CHECK_EQ(token & WI_TOKEN_CANCEL, 0); /* the one mark that no operation may have */
            CHECK_EQ(wi_token_slot(token | WI_TOKEN_CANCEL), slot[s]);
            CHECK_EQ(wi_token_generation(token | WI_TOKEN_CANCEL), generation[g]);
        }
}

CASE(engine_generation_that_wraps_leaves_its_slot_as_it_is)
{
    set_up(1);
    start(0);
    script_complete(&t.script, last_token(), 0, 0);
    turn();
    uint32_t slot = wi_token_slot(last_token()), last = (UINT32_C(1) << WI_TOKEN_GEN_BITS) - 1;
    t.engine.slot[slot].generation = last;
    for (unsigned i = 0; i < 3; i++) {
        start(0);
        CHECK_EQ(wi_token_slot(last_token()), slot);
        CHECK_EQ(wi_token_generation(last_token()), i == 0 ? last : i - 1);
        CHECK_EQ(last_token() & WI_TOKEN_CANCEL, 0);
        script_complete(&t.script, last_token(), (int32_t)i, 0);
        turn();
        CHECK_EQ(t.probe[0].res, i);
    }
    tear_down();
}

/* What is in flight is known of each operation, whatever becomes of its neighbours, and of none that
 * a stale token names. */
CASE(engine_in_flight_is_exact_for_each_op)
{
    uint64_t token[4];
    set_up(4);
    for (unsigned i = 0; i < 4; i++) {
        CHECK(wi_op_idle(&t.probe[i].op));
        start(i);
        token[i] = last_token();
        CHECK_EQ(wi_engine_pending(&t.engine), i + 1);
    }
    for (unsigned i = 0; i < 4; i++) {
        script_complete(&t.script, token[i], 1, WI_CQE_MORE);
        turn();
        CHECK(!wi_op_idle(&t.probe[i].op));
        script_complete(&t.script, token[i], 1, 0);
        turn();
        script_complete(&t.script, token[i] | WI_TOKEN_CANCEL, -ENOENT, 0); /* of nobody by now */
        turn();
        for (unsigned k = 0; k < 4; k++)
            CHECK_EQ(wi_op_idle(&t.probe[k].op), k <= i);
        CHECK_EQ(wi_engine_pending(&t.engine), 3 - i);
        CHECK_EQ(wi_op_cancel(&t.engine, &t.probe[i].op), 0);
    }
    CHECK(wi_engine_idle(&t.engine));
    tear_down();
}

/* ---- slots ---- */

CASE(engine_has_a_slot_for_every_one_that_is_reserved)
{
    set_up(OPS);
    for (unsigned i = 0; i < OPS; i++)
        start(i);
    CHECK_EQ(t.engine.busy, OPS + 1);
    for (unsigned i = 0; i < OPS; i++)
        for (unsigned k = 0; k < i; k++)
            CHECK_NE(t.probe[i].op.slot, t.probe[k].op.slot);
    for (unsigned i = 0; i < OPS; i++)
        script_complete(&t.script, script_token(&t.script, 1 + i), (int32_t)i, 0);
    turn();
    for (unsigned i = 0; i < OPS; i++)
        CHECK_EQ(t.probe[i].res, i);
    tear_down();
}

/* Ops hold their tokens through a growth of the table. */
CASE(engine_grows_its_slots_under_ops_in_flight)
{
    set_up(1);
    start(0);
    uint64_t token = last_token();
    uint32_t before = t.engine.reserved;
    CHECK_EQ(wi_engine_reserve(&t.engine, 5000), 0);
    CHECK_GE(t.engine.slot_count, 5002);
    script_complete(&t.script, token, 8, 0);
    turn();
    CHECK_EQ(t.probe[0].res, 8);
    wi_engine_unreserve(&t.engine, 5000);
    CHECK_EQ(t.engine.reserved, before);
    tear_down();
}

CASE(engine_refuses_a_reservation_beyond_all_measure)
{
    set_up(0);
    uint32_t before = t.engine.reserved;
    CHECK_EQ(wi_engine_reserve(&t.engine, UINT32_MAX), -ENOMEM);
    CHECK_EQ(wi_engine_reserve(&t.engine, UINT32_MAX / 2 + 1), -ENOMEM);
    CHECK_EQ(t.engine.reserved, before);
    tear_down();
}

static void unreserve_too_much(void)
{
    set_up(3);
    wi_engine_unreserve(&t.engine, 5);
}

CASE(engine_catches_more_slots_given_back_than_reserved)
{
    check_aborts(unreserve_too_much, "bug: engine->reserved >= 1 + engine->counted_slots + count");
}

static void close_with_an_op_in_flight(void)
{
    set_up(1);
    start(0);
    wi_engine_close(&t.engine);
}

CASE(engine_catches_an_op_in_flight_at_its_close)
{
    check_aborts(close_with_an_op_in_flight, "bug: wi_engine_idle(engine)");
}

/* ---- the turn: EX12, I11, R5 ---- */

CASE(engine_lives_through_interrupted_and_busy_enters)
{
    static const int error[] = {-EINTR, -EAGAIN, -EBUSY};
    set_up(1);
    start(0);
    for (unsigned i = 0; i < 3; i++) {
        t.script.enter_error = error[i];
        CHECK_EQ(wi_engine_turn(&t.engine, WEIR_FOREVER), 0);
        CHECK_EQ(t.engine.stats.enter_retries, i + 1);
    }
    script_complete(&t.script, last_token(), 4, 0);
    turn();
    CHECK_EQ(t.probe[0].res, 4);
    tear_down();
}

static void enter_breaks(void)
{
    set_up(0);
    t.script.enter_error = -EBADF;
    turn();
}

CASE(engine_ends_the_process_when_enter_breaks)
{
    check_aborts(enter_breaks, "enter: errno 9");
}

CASE(engine_turn_has_an_end_when_the_backend_has_none)
{
    set_up(1);
    start(5);
    t.script.always_more = true;
    for (unsigned i = 0; i < 10000; i++)
        script_complete(&t.script, last_token(), 0, WI_CQE_MORE);
    turn();
    CHECK_EQ(t.probe[5].calls, 4096);
    CHECK_EQ(wi_engine_next(&t.engine), WI_ENTER_NOW);
    turn();
    turn();
    CHECK_EQ(t.probe[5].calls, 10000);
    t.script.always_more = false;
    script_complete(&t.script, last_token(), 0, 0);
    turn();
    tear_down();
}

struct bell {
    struct wi_alarm alarm;
    char name;
};

static void ring(struct wi_engine *engine, struct wi_alarm *alarm)
{
    (void)engine;
    note(wi_container_of(alarm, struct bell, alarm)->name);
}

CASE(engine_alarms_ring_in_the_order_of_their_deadlines)
{
    struct bell x = {{.fn = ring}, 'x'}, y = {{.fn = ring}, 'y'}, z = {{.fn = ring}, 'z'};
    set_up(0);
    wi_alarm_set(&t.engine, &x.alarm, 3000);
    wi_alarm_set(&t.engine, &y.alarm, 2000);
    wi_alarm_set(&t.engine, &z.alarm, 2500);
    CHECK_EQ(wi_engine_next(&t.engine), 2000);
    wi_engine_turn(&t.engine, wi_engine_next(&t.engine));
    CHECK_STR_EQ(t.order, "y");
    t.script.now = 3000;
    turn();
    CHECK_STR_EQ(t.order, "yzx");
    CHECK_EQ(wi_engine_next(&t.engine), WEIR_FOREVER);
    tear_down();
}

CASE(engine_alarm_never_rings_early)
{
    struct bell x = {{.fn = ring}, 'x'};
    set_up(0);
    wi_alarm_set(&t.engine, &x.alarm, 5000);
    t.script.now = 4999;
    turn();
    CHECK_STR_EQ(t.order, "");
    t.script.now = 5000;
    turn();
    CHECK_STR_EQ(t.order, "x");
    tear_down();
}

CASE(engine_alarm_may_be_moved_and_cleared)
{
    struct bell x = {{.fn = ring}, 'x'}, y = {{.fn = ring}, 'y'};
    set_up(0);
    wi_alarm_set(&t.engine, &x.alarm, 2000);
    wi_alarm_set(&t.engine, &x.alarm, 9000);
    wi_alarm_set(&t.engine, &y.alarm, 2000);
    wi_alarm_clear(&t.engine, &y.alarm);
    wi_alarm_clear(&t.engine, &y.alarm);
    t.script.now = 8000;
    turn();
    CHECK_STR_EQ(t.order, "");
    t.script.now = 9000;
    turn();
    CHECK_STR_EQ(t.order, "x");
    tear_down();
}

/* I11 */
CASE(engine_success_beats_expiry)
{
    struct bell x = {{.fn = ring}, 'x'};
    set_up(1);
    start(0);
    wi_alarm_set(&t.engine, &x.alarm, 2000);
    t.script.now = 2001;
    script_complete(&t.script, last_token(), 0, 0);
    CHECK_EQ(wi_engine_turn(&t.engine, WEIR_FOREVER), 2);
    CHECK_STR_EQ(t.order, "ax");
    tear_down();
}

static void clear_the_other(struct wi_engine *engine, struct wi_alarm *alarm)
{
    struct bell *self = wi_container_of(alarm, struct bell, alarm);
    note(self->name);
    wi_alarm_clear(engine, &(self + 1)->alarm);
}

/* Both are due and collected when the first one runs. */
CASE(engine_alarm_cleared_by_another_of_the_same_turn_stays_silent)
{
    struct bell bell[2] = {{{.fn = clear_the_other}, 'x'}, {{.fn = ring}, 'y'}};
    set_up(0);
    wi_alarm_set(&t.engine, &bell[0].alarm, 2000);
    wi_alarm_set(&t.engine, &bell[1].alarm, 2000);
    t.script.now = 2000;
    turn();
    CHECK_STR_EQ(t.order, "x");
    tear_down();
}

CASE(engine_instant_after_a_duration_saturates)
{
    set_up(0);
    CHECK_EQ(wi_engine_after(&t.engine, 0), 1000);
    CHECK_EQ(wi_engine_after(&t.engine, 5), 1005);
    CHECK_EQ(wi_engine_after(&t.engine, WEIR_FOREVER), WEIR_FOREVER);
    CHECK_EQ(wi_engine_after(&t.engine, WEIR_FOREVER - 1000), WEIR_FOREVER);
    CHECK_EQ(wi_engine_after(&t.engine, WEIR_FOREVER - 1001), WEIR_FOREVER - 1);
    tear_down();
}
