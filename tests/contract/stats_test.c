/* SPDX-License-Identifier: MIT */
/*
 * What the counters say: each of them moves when what it names happens, during the run and after it.
 * (C8, C4; those of the end are in stop_test.c)
 */
#include "weir/stats.h"

#include <errno.h>
#include <string.h>

#include "check.h"
#include "support/fault.h"
#include "support/host.h"
#include "support/lines.h"
#include "support/net.h"
#include "support/programs.h"
#include "task/core.h"
#include "weir.h"

static struct weir_stats now(void)
{
    struct weir_stats stats = {.size = sizeof stats};
    CHECK_EQ(weir_stats(&stats), 0);
    return stats;
}

/* What always holds. */
static void check_balance(const struct weir_stats *stats)
{
    CHECK_EQ(stats->started, stats->ops_pending + stats->completed + stats->retired);
    CHECK_LE(stats->submitted, stats->started);
    CHECK_LE(stats->canceled + stats->late, stats->completed);
    CHECK_LE(stats->retries + stats->overflows, stats->enters);
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_FOREVER);
}

static int count_tasks(void *arg)
{
    (void)arg;
    struct weir_stats before = now();
    CHECK_EQ(before.tasks_live, 1);
    CHECK_EQ(before.tasks_ready, 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(weir_spawn(&scope, sleep_for_ever, NULL), 0);
    CHECK_EQ(now().tasks_live, 6);
    CHECK_EQ(now().tasks_ready, 5);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(now().tasks_ready, 0);
    CHECK_EQ(now().resumes - before.resumes, 6); /* they, and this one again */
    return 0;
}

CASE(stats_tell_how_many_tasks_live_and_wait_for_their_turn)
{
    CHECK_EQ(weir_run(NULL, count_tasks, NULL), 0);
}

static int receive_in_vain(void *arg)
{
    char byte;
    CHECK_EQ(weir_recv(*(weir_sock *)arg, &byte, 1), -ECANCELED);
    return 0;
}

/* A socket keeps what it armed until it is closed; so the cancelled task's poll is still there. */
static int count_operations(void *arg)
{
    struct net_half half = net_accepted(NET_V4, NULL);
    struct weir_stats before = now();
    (void)arg;
    check_balance(&before);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, receive_in_vain, &half.sock), 0);
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
        struct weir_stats during = now();
        check_balance(&during);
        CHECK_EQ(during.started, before.started + 1);
        CHECK_EQ(during.submitted, before.submitted + 1);
        CHECK_EQ(during.ops_pending, before.ops_pending + 1);
        CHECK_GT(during.enters, before.enters);
    }
    net_plain_close(half.fd);
    CHECK_EQ(weir_close(&half.sock), 0);
    net_settle_ops(before.ops_pending);
    struct weir_stats after = now();
    check_balance(&after);
    CHECK_GE(after.completed, before.completed + 1);
    return 0;
}

CASE(stats_tell_what_is_in_flight_and_what_has_ended)
{
    CHECK_EQ(net_run(count_operations, NULL), 0);
}

struct both {
    weir_sock sock;
    ssize_t got, sent;
};

static char more_than_fits[8 << 20];

static int receive_until_it_is_closed(void *arg)
{
    struct both *both = arg;
    char byte;
    both->got = weir_recv(both->sock, &byte, 1);
    return 0;
}

static int send_until_it_is_closed(void *arg)
{
    struct both *both = arg;
    both->sent = weir_send(both->sock, more_than_fits, sizeof more_than_fits);
    return 0;
}

/* A reader and a writer wait on it, and bytes have come that nobody asks for. */
static void close_a_busy_socket(bool input)
{
    struct net_half half = net_accepted(NET_V4, WEIR_TCP_OPTS(.send_buf_bytes = 4096));
    struct both both = {.sock = half.sock};
    WEIR_SCOPE(scope, WEIR_ALL);
    if (input)
        CHECK_EQ(net_plain_send(half.fd, "abc", 3), 0);
    else
        CHECK_EQ(weir_spawn(&scope, receive_until_it_is_closed, &both), 0);
    CHECK_EQ(weir_spawn(&scope, send_until_it_is_closed, &both), 0);
    net_settle();
    CHECK_EQ(weir_close(&half.sock), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(both.got, input ? 0 : -EBADF);
    CHECK_EQ(both.sent, -EBADF);
    CHECK_EQ(weir_recv(both.sock, more_than_fits, 1), -EBADF);
    net_plain_close(half.fd);
}

static int close_busy_sockets(void *arg)
{
    (void)arg;
    struct weir_stats before = now();
    CHECK_EQ(before.tasks_live, 1);
    CHECK_EQ(before.ops_pending, 0);
    CHECK_EQ(before.started, 0);
    for (int i = 0; i < 4; i++) {
        close_a_busy_socket(i % 2 == 0);
        net_settle_ops(before.ops_pending);
        struct weir_stats after = now();
        check_balance(&after);
        CHECK_EQ(after.tasks_live, before.tasks_live);
        CHECK_EQ(after.tasks_ready, before.tasks_ready);
    }
    return 0;
}

CASE(stats_of_a_fresh_run_are_0_and_a_socket_that_is_closed_leaves_nothing)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.linger_ns = 5 * WEIR_MS), close_busy_sockets, NULL), 0);
}

static int close_an_armed_listener(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    (void)arg;
    weir_listener listener = net_listen(NET_V4, NULL, at);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    struct weir_stats before = now();
    CHECK_EQ(weir_listener_close(&listener), 0);
    struct weir_stats after = now();
    check_balance(&after);
    CHECK_EQ(after.cancels, before.cancels + 1);
    CHECK_EQ(after.canceled, before.canceled + 1);
    CHECK_EQ(after.late, before.late);
    return 0;
}

CASE(stats_tell_what_was_cancelled)
{
    CHECK_EQ(net_run(close_an_armed_listener, NULL), 0);
}

static int close_a_listener_before_it_was_armed(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    (void)arg;
    weir_listener listener = net_listen(NET_V4, NULL, at);
    CHECK_EQ(weir_listener_close(&listener), 0);
    struct weir_stats stats = now();
    check_balance(&stats);
    return 0;
}

static int wrap_in_faults(struct wi_backend **be, void *user)
{
    return wi_fault_wrap(be, user);
}

static struct weir_stats run_faulty(struct wi_fault_plan *plan, weir_fn *fn)
{
    struct weir_stats stats = {.size = sizeof stats};
    CHECK_EQ(host_run(WEIR_OPTS(.stats = &stats), fn, NULL, wrap_in_faults, plan), 0);
    check_balance(&stats);
    CHECK_EQ(stats.ops_pending, 0);
    CHECK_EQ(stats.tasks_live, 0);
    return stats;
}

CASE(stats_tell_what_was_refused_and_what_ended_before_it_was_handed_over)
{
    struct wi_fault_plan plan = {.seed = 1};
    plan.rule[WI_FAULT_STAGE].odds = 65536 * 3 / 4;
    struct weir_stats stats = run_faulty(&plan, close_a_listener_before_it_was_armed);
    CHECK_GE(stats.refused, 1);
    plan.rule[WI_FAULT_STAGE] = (struct wi_fault_rule){.at = 2}; /* the first is the wake-up's */
    stats = run_faulty(&plan, close_a_listener_before_it_was_armed);
    CHECK_EQ(stats.refused, 1);
    CHECK_EQ(stats.retired, 1);
    CHECK_EQ(stats.submitted, stats.started - 1);
}

CASE(stats_tell_how_often_an_exchange_was_tried_again)
{
    struct wi_fault_counts counts = {{0}, {0}};
    struct wi_fault_plan plan = {.seed = 1, .counts = &counts};
    plan.rule[WI_FAULT_ENTER].odds = 30000;
    struct weir_stats stats = run_faulty(&plan, program_echo);
    /* Some are of the time after the last look, when the wake-up is taken down. */
    CHECK_GT(stats.retries, 0);
    CHECK_LE(stats.retries, counts.injected[WI_FAULT_ENTER]);
    CHECK_LE(counts.injected[WI_FAULT_ENTER] - stats.retries, 64);
}

static int be_connected_to_while_closing(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    (void)arg;
    CHECK_EQ(weir_set_run_budget(1), 0); /* a turn for each yield */
    for (int i = 0; i < 20; i++) {
        weir_listener listener = net_listen(NET_V4, NULL, at);
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
        int fd = net_plain_dial(at);
        for (int turn = 0; turn < 10; turn++)
            CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_listener_close(&listener), 0);
        net_plain_close(fd);
    }
    return 0;
}

/* The decorator ends an accept with the connection that it got, and holds that back until after the
 * close has asked for the end. */
CASE(stats_tell_of_results_that_were_faster_than_their_cancel)
{
    struct wi_fault_plan plan = {.seed = 2, .delay_max = 200};
    plan.rule[WI_FAULT_MULTIEND].odds = 65536;
    plan.rule[WI_FAULT_DELAY].odds = 65536;
    struct weir_stats stats = run_faulty(&plan, be_connected_to_while_closing);
    CHECK_GT(stats.late, 0);
}

static int wake_often(void *arg)
{
    struct weir_wake *wake;
    (void)arg;
    CHECK_EQ(weir_wake_open(&wake), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(weir_wake_post(wake), 0);
        CHECK_EQ(weir_wake_wait(wake), 0);
    }
    CHECK_EQ(now().messages, 10);
    CHECK_EQ(now().wakes, 0); /* it was awake: nobody had to kick */
    CHECK_EQ(weir_wake_close(wake), 0);
    return 0;
}

CASE(stats_tell_how_many_messages_came)
{
    CHECK_EQ(net_run(wake_often, NULL), 0);
}

/* ---- more completions than there is room for ---- */

enum { FLOOD = 2000 };

static struct wi_op flood[FLOOD];
static unsigned flooded;

static void count_flood(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    (void)engine;
    (void)op;
    CHECK_EQ(res, 0);
    CHECK(!more);
    flooded++;
}

/* Nothing is fetched meanwhile: a queue of 4 is flushed 500 times, and 256 completions have room. */
static int complete_more_than_there_is_room(void *arg)
{
    struct wi_engine *engine = &wi_core_self->engine;
    struct weir_caps caps;
    (void)arg;
    CHECK_EQ(weir_caps(&caps), 0);
    CHECK_EQ(wi_engine_reserve(engine, FLOOD), 0);
    for (int i = 0; i < FLOOD; i++) {
        flood[i] = (struct wi_op){.fn = count_flood, .req = {.opcode = WI_OP_NOP, .fd = -1}};
        wi_op_start(engine, &flood[i]);
    }
    while (flooded < FLOOD)
        CHECK_EQ(weir_sleep(10 * WEIR_US), 0);
    wi_engine_unreserve(engine, FLOOD);
    struct weir_stats stats = now();
    check_balance(&stats);
    CHECK_EQ(stats.completed, FLOOD);
    CHECK_EQ(stats.overflows > 0, caps.backend != WEIR_BACKEND_EPOLL);
    return 0;
}

/* C4 */
CASE(stats_tell_of_completions_that_had_no_room_and_none_is_lost)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.sq_entries = 4), complete_more_than_there_is_room, NULL), 0);
    CHECK_EQ(flooded, FLOOD);
}

/* ---- sizes ---- */

struct larger {
    struct weir_stats stats;
    uint64_t of_a_later_version;
};

static int ask_with_other_sizes(void *arg)
{
    struct weir_stats stats = {.size = 0};
    (void)arg;
    CHECK_EQ(weir_stats(&stats), -EINVAL);
    stats = (struct weir_stats){.size = offsetof(struct weir_stats, resumes), .resumes = 4711};
    CHECK_EQ(weir_stats(&stats), 0);
    CHECK_EQ(stats.tasks_live, 1);
    CHECK_EQ(stats.resumes, 4711); /* beyond the size: not touched */
    struct larger larger = {.stats.size = sizeof larger, .of_a_later_version = 4711};
    CHECK_EQ(weir_stats(&larger.stats), 0);
    CHECK_EQ(larger.stats.size, sizeof larger);
    CHECK_EQ(larger.stats.tasks_live, 1);
    CHECK_EQ(larger.of_a_later_version, 0);
    return 0;
}

CASE(stats_fill_what_the_caller_knows)
{
    CHECK_EQ(net_run(ask_with_other_sizes, NULL), 0);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

CASE(stats_without_a_size_are_a_wrong_option)
{
    struct lines lines = {0};
    struct weir_stats stats = {.size = 0};
    CHECK_EQ(
        weir_run(WEIR_OPTS(.stats = &stats, .log = lines_take, .log_user = &lines), nothing, NULL),
        -EINVAL);
    CHECK_EQ(lines.count, 1);
    lines_expect(&lines, WEIR_LOG_ERROR, "option stats: its size = 0");
}
