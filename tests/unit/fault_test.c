/* SPDX-License-Identifier: MIT */
/*
 * The fault decorator does what its rules say, says so in its counts, and stays within the contract
 * of the seam: what it holds back comes, what it ends is over, readiness it denied is told again.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "support/host.h"
#include "support/seam.h"

static struct seam seam;
static struct seam *const s = &seam;

static uint64_t token(uint32_t slot)
{
    return wi_token(slot, 7);
}

static const struct wi_req nop = {.opcode = WI_OP_NOP, .fd = -1};

static void open_with(struct wi_fault_plan plan)
{
    seam_open(s);
    plan.counts = &s->counts;
    CHECK_EQ(wi_fault_wrap(&s->be, &plan), 0);
}

/* A plan whose one rule strikes at the first opportunity. */
static struct wi_fault_plan first(enum wi_fault_kind kind)
{
    struct wi_fault_plan plan = {.seed = 1, .error = ECONNRESET};
    plan.rule[kind].at = 1;
    return plan;
}

static void close_after_one(enum wi_fault_kind kind)
{
    CHECK_EQ(s->counts.injected[kind], 1);
    seam_close(s);
}

CASE(refuses_the_kth_stage)
{
    struct wi_fault_plan plan = {.rule[WI_FAULT_STAGE].at = 2};
    open_with(plan);
    for (uint32_t i = 1; i <= 3; i++)
        CHECK_EQ(s->be->ops->stage(s->be, token(i), &nop), i == 2 ? -EAGAIN : 0);
    CHECK_EQ(seam_end(s, token(1)), 0);
    CHECK_EQ(seam_end(s, token(3)), 0);
    CHECK(!seam_has(s, token(2)));
    CHECK_EQ(s->counts.offered[WI_FAULT_STAGE], 3);
    close_after_one(WI_FAULT_STAGE);
}

CASE(refuses_a_cancel)
{
    open_with(first(WI_FAULT_CANCEL));
    CHECK_EQ(s->be->ops->cancel(s->be, token(1)), -EAGAIN);
    CHECK(!seam_has(s, token(1) | WI_TOKEN_CANCEL));
    seam_cancel(s, token(1));
    CHECK_EQ(seam_end(s, token(1) | WI_TOKEN_CANCEL), -ENOENT);
    close_after_one(WI_FAULT_CANCEL);
}

CASE(has_no_memory_for_a_descriptor)
{
    void *word = NULL;
    open_with(first(WI_FAULT_ATTACH));
    CHECK_EQ(s->be->ops->attach(s->be, STDERR_FILENO, &word), -ENOMEM);
    CHECK_EQ(s->be->ops->attach(s->be, STDERR_FILENO, &word), 0);
    s->be->ops->detach(s->be, STDERR_FILENO, word);
    close_after_one(WI_FAULT_ATTACH);
}

/* Arms a multishot POLL on a pair with eight bytes to read and takes its first report. */
static void armed_pair(int fd[2])
{
    seam_unix_pair(fd);
    seam_stage(s, token(9), seam_poll(s, fd[0], POLLIN, WI_REQ_MULTI));
    CHECK(!seam_has(s, token(9)));
    seam_write(fd[1], "12345678", 8);
    CHECK_EQ(seam_next(s, token(9)).res & POLLIN, POLLIN);
    CHECK(!seam_has(s, token(9)));
}

static void close_pair(int fd[2])
{
    (void)seam_stop(s, token(9));
    CHECK_EQ(host_close(fd[1]), 0);
}

CASE(a_staged_receive_cut_short_is_followed_by_readiness)
{
    int fd[2];
    char data[8];
    open_with(first(WI_FAULT_SHORT));
    armed_pair(fd);
    seam_stage(s, token(1), seam_req(s, WI_OP_RECV, fd[0], data, 8));
    int res = seam_end(s, token(1));
    CHECK_GT(res, 0);
    CHECK_LT(res, 8);
    CHECK_EQ(seam_next(s, token(9)).res & POLLIN, POLLIN);
    CHECK_EQ(seam_try(s, seam_req(s, WI_OP_RECV, fd[0], data, 8)), 8 - res);
    close_pair(fd);
    close_after_one(WI_FAULT_SHORT);
}

CASE(a_tried_message_is_cut_within_its_first_piece)
{
    int fd[2];
    char data[8] = "1234567";
    struct iovec pieces[2] = {{data, 4}, {data + 4, 4}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    open_with(first(WI_FAULT_SHORT));
    seam_unix_pair(fd);
    struct wi_req req = seam_req(s, WI_OP_SENDMSG, fd[0], &message, 0);
    ssize_t sent = s->be->ops->try(s->be, &req);
    CHECK_GT(sent, 0);
    CHECK_LT(sent, 4);
    CHECK_EQ(s->be->ops->try(s->be, &req), 8);
    CHECK_EQ(host_close(fd[1]), 0);
    close_after_one(WI_FAULT_SHORT);
}

CASE(denied_readiness_is_told_to_a_multishot_poll)
{
    int fd[2];
    char data[8];
    open_with(first(WI_FAULT_AGAIN));
    armed_pair(fd);
    struct wi_req recv = seam_req(s, WI_OP_RECV, fd[0], data, 8);
    CHECK_EQ(s->be->ops->try(s->be, &recv), -EAGAIN);
    struct wi_cqe cqe = seam_next(s, token(9));
    CHECK_EQ(cqe.res & POLLIN, POLLIN);
    CHECK_EQ(cqe.flags, WI_CQE_MORE);
    CHECK_EQ(s->be->ops->try(s->be, &recv), 8);
    close_pair(fd);
    close_after_one(WI_FAULT_AGAIN);
}

CASE(denied_readiness_ends_a_oneshot_poll_once)
{
    int fd[2];
    char data[8];
    open_with(first(WI_FAULT_AGAIN));
    seam_unix_pair(fd);
    seam_stage(s, token(1), seam_poll(s, fd[0], POLLIN, 0));
    CHECK(!seam_has(s, token(1)));
    seam_write(fd[1], "12345678", 8);
    struct wi_req recv = seam_req(s, WI_OP_RECV, fd[0], data, 8);
    CHECK_EQ(s->be->ops->try(s->be, &recv), -EAGAIN);
    CHECK_EQ(seam_end(s, token(1)) & POLLIN, POLLIN);
    CHECK(!seam_has(s, token(1)));
    CHECK(!seam_has(s, token(1) | WI_TOKEN_CANCEL));
    CHECK_EQ(host_close(fd[1]), 0);
    close_after_one(WI_FAULT_AGAIN);
}

CASE(an_empty_descriptor_offers_nothing_to_deny)
{
    int fd[2];
    char data[8];
    open_with(first(WI_FAULT_AGAIN));
    seam_unix_pair(fd);
    struct wi_req recv = seam_req(s, WI_OP_RECV, fd[0], data, 8);
    CHECK_EQ(s->be->ops->try(s->be, &recv), -EAGAIN);
    CHECK_EQ(s->counts.offered[WI_FAULT_AGAIN], 0);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

CASE(fails_chosen_requests_and_no_others)
{
    int fd[2];
    char data[8] = "1234567";
    struct wi_fault_plan plan = {.error = ECONNRESET, .error_ops = 1u << WI_OP_RECV};
    plan.rule[WI_FAULT_ERROR].odds = 65536;
    open_with(plan);
    seam_unix_pair(fd);
    seam_write(fd[1], "12345678", 8);
    struct wi_req recv = seam_req(s, WI_OP_RECV, fd[0], data, 8);
    seam_stage(s, token(1), recv);
    CHECK_EQ(seam_end(s, token(1)), -ECONNRESET);
    CHECK_EQ(s->be->ops->try(s->be, &recv), -ECONNRESET);
    CHECK_EQ(seam_try(s, seam_req(s, WI_OP_SEND, fd[0], data, 8)), 8);
    CHECK_EQ(s->counts.injected[WI_FAULT_ERROR], 2);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

CASE(fails_control_calls_but_never_a_close)
{
    struct wi_fault_plan plan = {.error = EMFILE};
    plan.error_ctls = 1u << WI_CTL_SOCKET | 1u << WI_CTL_CLOSE;
    plan.rule[WI_FAULT_CTL].odds = 65536;
    open_with(plan);
    struct wi_ctl make = {.what = WI_CTL_SOCKET, .a = AF_UNIX, .b = SOCK_STREAM};
    CHECK_EQ(s->be->ops->ctl(s->be, &make), -EMFILE);
    struct wi_ctl leave = {.what = WI_CTL_CLOSE, .fd = host_dup(STDERR_FILENO)};
    CHECK_EQ(s->be->ops->ctl(s->be, &leave), 0);
    CHECK_EQ(s->counts.injected[WI_FAULT_CTL], 1);
    seam_close(s);
}

CASE(reorders_what_is_at_hand)
{
    enum { COUNT = 20 };
    struct wi_fault_plan plan = {.seed = 3, .rule[WI_FAULT_REORDER].odds = 65536};
    bool in_order = true;
    open_with(plan);
    for (uint32_t i = 0; i < COUNT; i++)
        seam_stage(s, token(i), nop);
    while (s->kept_count < COUNT)
        (void)seam_enter(s, WI_ENTER_NOW);
    for (uint32_t i = 0; i < COUNT; i++)
        in_order &= s->kept[i].token == token(i);
    CHECK(!in_order);
    for (uint32_t i = 0; i < COUNT; i++)
        CHECK_EQ(seam_end(s, token(i)), 0);
    CHECK_GT(s->counts.injected[WI_FAULT_REORDER], 0);
    seam_close(s);
}

CASE(delayed_completions_are_not_slept_past)
{
    struct wi_fault_plan plan = first(WI_FAULT_DELAY);
    plan.delay_max = 8;
    open_with(plan);
    weir_ns start = wi_clock_now();
    seam_stage(s, token(1), nop);
    CHECK(!seam_enter(s, start + 60 * WEIR_SEC));
    CHECK(s->be->more);
    int enters = 1;
    while (s->kept_count == 0 && enters++ < 20)
        (void)seam_enter(s, start + 60 * WEIR_SEC);
    CHECK_LT(wi_clock_now(), start + 30 * WEIR_SEC);
    CHECK_EQ(seam_end(s, token(1)), 0);
    close_after_one(WI_FAULT_DELAY);
}

CASE(delivers_fewer_than_there_are_and_says_so)
{
    enum { COUNT = 20 };
    open_with(first(WI_FAULT_FEWER));
    for (uint32_t i = 0; i < COUNT; i++)
        seam_stage(s, token(i), nop);
    (void)seam_enter(s, WI_ENTER_NOW);
    CHECK_GT(s->kept_count, 0);
    CHECK_LT(s->kept_count, COUNT);
    CHECK(s->be->more);
    for (uint32_t i = 0; i < COUNT; i++)
        CHECK_EQ(seam_end(s, token(i)), 0);
    close_after_one(WI_FAULT_FEWER);
}

/* What came while the request was being ended is delivered; what comes later is not taken. */
CASE(an_ended_multishot_is_really_over_and_loses_nothing)
{
    struct sockaddr_in address;
    int client[3], accepted = 0;
    open_with(first(WI_FAULT_MULTIEND));
    int listener = seam_listener(&address);
    struct wi_req accept = seam_req(s, WI_OP_ACCEPT, listener, NULL, 0);
    accept.flags = WI_REQ_MULTI;
    seam_stage(s, token(1), accept);
    for (int i = 0; i < 2; i++) {
        client[i] = seam_tcp_socket();
        (void)host_connect(client[i], (struct sockaddr *)&address, sizeof address);
    }
    for (bool more = true; more; accepted++) {
        struct wi_cqe cqe = seam_next(s, token(1));
        more = cqe.flags & WI_CQE_MORE;
        CHECK_GE(cqe.res, 0);
        CHECK_EQ(host_close(cqe.res), 0);
    }
    CHECK(accepted == 1 || accepted == 2);
    client[2] = seam_tcp_socket();
    (void)host_connect(client[2], (struct sockaddr *)&address, sizeof address);
    seam_wait_readable(listener);
    CHECK(!seam_has(s, token(1)));
    CHECK(!seam_has(s, token(1) | WI_TOKEN_CANCEL));
    seam_stage(s, token(1), accept);
    for (; accepted < 3; accepted++)
        CHECK_EQ(host_close(seam_next(s, token(1)).res), 0);
    (void)seam_stop(s, token(1));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(host_close(client[i]), 0);
    close_after_one(WI_FAULT_MULTIEND);
}

CASE(enter_fails_and_loses_nothing)
{
    struct wi_cqe cqe;
    open_with(first(WI_FAULT_ENTER));
    seam_stage(s, token(1), nop);
    int got = s->be->ops->enter(s->be, WEIR_FOREVER, &cqe, 1);
    CHECK(got == -EINTR || got == -EAGAIN || got == -EBUSY);
    CHECK_EQ(seam_end(s, token(1)), 0);
    close_after_one(WI_FAULT_ENTER);
}

/* One script; what happened in it, folded into a number. */
static uint64_t script(uint64_t seed)
{
    struct wi_fault_plan plan = {.seed = seed, .delay_max = 3};
    uint64_t trace = 0;
    for (int kind = 0; kind < WI_FAULT_KINDS; kind++)
        plan.rule[kind].odds = 65536 / 4;
    plan.rule[WI_FAULT_ATTACH].odds = 0;
    open_with(plan);
    for (uint32_t i = 0; i < 200; i++) {
        trace = trace * 31 + (uint64_t)s->be->ops->stage(s->be, token(i), &nop);
        (void)seam_enter(s, WI_ENTER_NOW);
        for (unsigned k = 0; k < s->kept_count; k++)
            trace = trace * 31 + s->kept[k].token;
        s->kept_count = 0;
    }
    while (seam_has(s, token(0)) || s->kept_count > 0)
        s->kept_count = 0;
    seam_close(s);
    return trace;
}

CASE(the_seed_decides_everything)
{
    uint64_t once = script(5);
    CHECK_EQ(script(5), once);
    CHECK_NE(script(6), once);
}

/* ---- received bytes of the backend ---- */

static struct wi_req ring_receive(int fd)
{
    if ((s->be->caps.features & WEIR_CAP_BUFFER_RING) == 0)
        SKIP("this backend receives into memory of its caller only");
    struct wi_req req = seam_req(s, WI_OP_RECV, fd, NULL, 0);
    req.flags = WI_REQ_MULTI;
    return req;
}

static void check_data(struct wi_cqe cqe, char byte, uint32_t more)
{
    CHECK_EQ(cqe.res, 1);
    CHECK_EQ(cqe.flags & (WI_CQE_DATA | WI_CQE_MORE), WI_CQE_DATA | more);
    CHECK_EQ(s->be->area[wi_cqe_at(cqe.flags)], byte);
    s->be->ops->give(s->be, wi_cqe_at(cqe.flags), 1);
}

CASE(a_receive_finds_the_area_full_when_it_is_staged)
{
    int fd[2];
    open_with(first(WI_FAULT_NOBUFS));
    seam_unix_pair(fd);
    struct wi_req req = ring_receive(fd[0]);
    seam_write(fd[1], "a", 1);
    seam_stage(s, token(1), req);
    struct wi_cqe cqe = seam_next(s, token(1));
    CHECK_EQ(cqe.res, -ENOBUFS);
    CHECK_EQ(cqe.flags, 0);
    seam_stage(s, token(1), req);
    check_data(seam_next(s, token(1)), 'a', WI_CQE_MORE);
    CHECK_EQ(seam_stop(s, token(1)), -ECANCELED);
    seam_detach(s, fd[0]);
    CHECK_EQ(host_close(fd[0]) | host_close(fd[1]), 0);
    close_after_one(WI_FAULT_NOBUFS);
}

CASE(a_receive_finds_the_area_full_behind_its_data)
{
    struct wi_fault_plan plan = {.rule[WI_FAULT_NOBUFS].at = 2};
    int fd[2];
    char byte;
    open_with(plan);
    seam_unix_pair(fd);
    seam_stage(s, token(1), ring_receive(fd[0]));
    seam_write(fd[1], "a", 1);
    check_data(seam_next(s, token(1)), 'a', WI_CQE_MORE);
    struct wi_cqe cqe = seam_next(s, token(1));
    CHECK_EQ(cqe.res, -ENOBUFS);
    CHECK_EQ(cqe.flags, 0);
    seam_write(fd[1], "b", 1);
    CHECK(!seam_has(s, token(1))); /* it is really over */
    CHECK_EQ(read(fd[0], &byte, 1), 1);
    CHECK_EQ(byte, 'b');
    seam_detach(s, fd[0]);
    CHECK_EQ(host_close(fd[0]) | host_close(fd[1]), 0);
    close_after_one(WI_FAULT_NOBUFS);
}

/* RX17: delayed, so that the cancel and the data meet. */
CASE(data_that_wins_over_the_cancel_is_the_last_completion)
{
    struct wi_fault_plan plan = first(WI_FAULT_LATEDATA);
    int fd[2];
    plan.rule[WI_FAULT_DELAY].at = 1;
    plan.delay_max = 8;
    plan.seed = 3;
    open_with(plan);
    seam_unix_pair(fd);
    seam_stage(s, token(1), ring_receive(fd[0]));
    seam_write(fd[1], "a", 1);
    (void)seam_enter(s, WI_ENTER_NOW);
    CHECK_EQ(s->kept_count, 0);
    seam_cancel(s, token(1));
    check_data(seam_next(s, token(1)), 'a', 0);
    CHECK_EQ(seam_end(s, token(1) | WI_TOKEN_CANCEL), 0);
    CHECK(!seam_has(s, token(1)));
    seam_detach(s, fd[0]);
    CHECK_EQ(host_close(fd[0]) | host_close(fd[1]), 0);
    close_after_one(WI_FAULT_LATEDATA);
}
