/* SPDX-License-Identifier: MIT */
/* Cancelling very many tasks, and very deep trees: everybody returns, and nothing is left. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "support/faulty.h"
#include "support/net.h"
#include "task/core.h"

/* What cancelled tasks have left behind: nothing but main. */
static void check_nothing_is_left(void)
{
    const struct wi_core *core = wi_core_self;
    CHECK_EQ(core->tasks.live, 1);
    CHECK_EQ(core->stacks.warm_count + core->stacks.cold_count, core->stacks.carved_count - 1);
    CHECK_EQ(wi_wheel_audit(&core->engine.wheel), 0);
    CHECK(wi_list_empty(&core->engine.unstaged));
    CHECK(wi_list_empty(&core->engine.uncanceled));
}

/* ---- sleeps ---- */

enum { ROUNDS = 3 };

struct crowd {
    int told; /* -ECANCELED */
};

static int sleep_until_told(void *arg)
{
    struct crowd *crowd = arg;
    crowd->told += weir_sleep(1000 * WEIR_SEC) == -ECANCELED;
    return 0;
}

static int cancel_sleepers(void *arg)
{
    int many = NET_TIMES(100000);
    uint32_t headers = 0;
    size_t stacks = 0;
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        struct crowd crowd = {0};
        WEIR_SCOPE(scope, WEIR_ALL);
        for (int i = 0; i < many; i++)
            CHECK_EQ(weir_spawn(&scope, sleep_until_told, &crowd), 0);
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(wi_wheel_audit(&wi_core_self->engine.wheel), many);
        weir_scope_cancel(&scope);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(crowd.told, many);
        check_nothing_is_left();
        if (round > 0) {
            CHECK_EQ(wi_core_self->tasks.made, headers);
            CHECK_EQ(wi_core_self->stacks.carved_count, stacks);
        }
        headers = wi_core_self->tasks.made;
        stacks = wi_core_self->stacks.carved_count;
    }
    return 0;
}

CASE(cancel_of_100000_sleeps_returns_every_task)
{
    CHECK_EQ(net_run(cancel_sleepers, NULL), 0);
}

/* ---- receives ---- */

struct receiver {
    weir_sock sock;
    int fd;
    ssize_t got;
};

static int receive_until_told(void *arg)
{
    struct receiver *receiver = arg;
    char bytes[64];
    receiver->got = weir_recv(receiver->sock, bytes, sizeof bytes);
    return (int)receiver->got;
}

static void open_receivers(struct receiver *receiver, int many)
{
    char at[WEIR_ADDR_TEXT_MAX];
    weir_listener listener = net_listen(NET_UNIX, WEIR_TCP_OPTS(.backlog = 1024), at);
    for (int i = 0; i < many; i++) {
        receiver[i].fd = net_plain_dial(at);
        receiver[i].got = 1;
        CHECK_EQ(weir_accept(listener, &receiver[i].sock), 0);
    }
    CHECK_EQ(weir_listener_close(&listener), 0);
}

/* EX10, RX17: afterwards every socket receives as if nobody had been there. */
static void use_receivers(struct receiver *receiver, int many)
{
    for (int i = 0; i < many; i++) {
        char byte = 0;
        CHECK_EQ(receiver[i].got, -ECANCELED);
        CHECK_EQ(net_plain_send(receiver[i].fd, "z", 1), 0);
        CHECK_EQ(weir_recv(receiver[i].sock, &byte, 1), 1);
        CHECK_EQ(byte, 'z');
        net_plain_close(receiver[i].fd);
        CHECK_EQ(weir_close(&receiver[i].sock), 0);
    }
}

static int cancel_receivers(void *arg)
{
    int many = *(int *)arg;
    struct receiver *receiver = calloc((size_t)many, sizeof *receiver);
    CHECK_NE(receiver, NULL);
    open_receivers(receiver, many);
    for (int round = 0; round < ROUNDS; round++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        for (int i = 0; i < many; i++)
            CHECK_EQ(weir_spawn(&scope, receive_until_told, &receiver[i]), 0);
        net_settle();
        CHECK_EQ(weir_scope_live(&scope), many);
        weir_scope_cancel(&scope);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(wi_core_self->tasks.live, 1);
        CHECK_EQ(wi_core_self->pool.lent, 0);
    }
    use_receivers(receiver, many);
    free(receiver);
    return 0;
}

CASE(cancel_of_9000_receives_returns_every_task)
{
    int many = NET_TIMES(9000);
    net_need_fds(2 * (unsigned)many + 100);
    CHECK_EQ(net_run(cancel_receivers, &many), 0);
}

/* EX11: the cancels do not fit into the submission queue, and some are refused on top. */
CASE(cancel_storm_through_a_ring_of_4_entries_returns_every_task)
{
    int many = 200;
    struct wi_fault_counts counts;
    struct lines lines;
    struct wi_fault_plan plan = {.seed = 11,
                                 .rule = {[WI_FAULT_STAGE] = {.odds = 20000},
                                          [WI_FAULT_CANCEL] = {.odds = 40000},
                                          [WI_FAULT_ENTER] = {.odds = 10000}},
                                 .counts = &counts};
    CHECK_EQ(faulty_run(&plan, WEIR_OPTS(.sq_entries = 4), cancel_receivers, &many, &lines), 0);
    CHECK_GT(counts.injected[WI_FAULT_STAGE], 0);
    CHECK_GT(counts.injected[WI_FAULT_ENTER], 0); /* EX12 */
}

/* ---- deep trees ---- */

enum { PER_TASK = 20, DEEP = 200000 };

struct chain {
    int left;   /* tasks still to be started */
    int told;   /* tasks that were cancelled */
    int bottom; /* the last one sleeps */
};

/* Each task opens a block in a block in a block, and the next one inside of them all. */
static int dig(void *arg)
{
    struct chain *chain = arg;
    struct weir_scope scope[PER_TASK];
    int rc;
    for (int i = 0; i < PER_TASK; i++)
        weir_scope_open(&scope[i], WEIR_ALL);
    if (--chain->left > 0) {
        CHECK_EQ(weir_spawn(&scope[PER_TASK - 1], dig, chain), 0);
        rc = weir_scope_wait(&scope[PER_TASK - 1]);
    } else {
        chain->bottom = 1;
        rc = weir_sleep(WEIR_FOREVER);
    }
    chain->told += rc == -ECANCELED;
    for (int i = PER_TASK - 1; i >= 0; i--)
        weir_scope_close(&scope[i]);
    return rc;
}

static int cancel_a_deep_tree(void *arg)
{
    int tasks = NET_TIMES(DEEP / PER_TASK);
    struct chain chain = {.left = tasks};
    (void)arg;
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, dig, &chain), 0);
        while (!chain.bottom)
            CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_yield(), 0);
        weir_scope_cancel(&scope);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(chain.told, tasks);
    }
    CHECK(wi_list_empty(&wi_core_self->current->base.children));
    check_nothing_is_left();
    return 0;
}

/* EX9, A16: nothing recurses. */
CASE(cancel_reaches_the_bottom_of_a_tree_200000_scopes_deep)
{
    CHECK_EQ(net_run(cancel_a_deep_tree, NULL), 0);
}

static int cancel_one_branch(void *arg)
{
    int tasks = NET_TIMES(1000);
    struct chain chain[2] = {{.left = tasks}, {.left = tasks}};
    weir_task branch[2];
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_spawn_task(&scope, dig, &chain[i], &branch[i]), 0);
    while (!chain[0].bottom || !chain[1].bottom)
        CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_task_cancel(branch[0]), 1);
    CHECK_EQ(weir_task_wait(&branch[0]), -ECANCELED);
    CHECK_EQ(chain[0].told, tasks);
    CHECK_EQ(chain[1].told, 0);
    CHECK_EQ(weir_scope_live(&scope), 1);
    return 0;
}

/* A16: a subsystem is stopped with all that it started, and its neighbour is not. */
CASE(cancel_of_a_task_takes_its_whole_tree_and_no_other)
{
    CHECK_EQ(net_run(cancel_one_branch, NULL), 0);
}
