/* SPDX-License-Identifier: MIT */
/* When nothing can ever wake the tasks that are left, the run says so and ends (A3); and it does not
 * say so while anything can. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/lines.h"
#include "support/net.h"
#include "support/process.h"
#include "support/programs.h"
#include "weir/core.h"
#include "weir/wake.h"

static void check_said(bool expected)
{
    CHECK_EQ(net_logged("deadlock: nothing can ever wake") > 0, expected);
}

/* ---- what is one ---- */

struct pair {
    weir_task first, second;
    int rc[2];
};

static int wait_for_second(void *arg)
{
    struct pair *pair = arg;
    return pair->rc[0] = weir_task_wait(&pair->second);
}

static int wait_for_first(void *arg)
{
    struct pair *pair = arg;
    return pair->rc[1] = weir_task_wait(&pair->first);
}

static int wait_for_one_another(void *arg)
{
    struct pair *pair = arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&scope, wait_for_second, pair, &pair->first), 0);
    CHECK_EQ(weir_spawn_task(&scope, wait_for_first, pair, &pair->second), 0);
    CHECK_EQ(weir_scope_wait(&scope), -ECANCELED);
    return 7;
}

CASE(deadlock_of_tasks_that_wait_for_each_other_ends_the_run)
{
    struct pair pair = {0};
    CHECK_EQ(net_run(wait_for_one_another, &pair), -EDEADLK);
    CHECK_EQ(pair.rc[0], -ECANCELED);
    CHECK_EQ(pair.rc[1], -ECANCELED);
    check_said(true);
    CHECK_EQ(net_logged("wake the 3 tasks"), 1);
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    CHECK_EQ(weir_sleep(WEIR_FOREVER), -ECANCELED);
    return 0;
}

CASE(deadlock_of_a_sleep_without_an_end)
{
    CHECK_EQ(net_run(sleep_for_ever, NULL), -EDEADLK);
    check_said(true);
}

static int wait_shielded(void *arg)
{
    struct pair *pair = arg;
    WEIR_SHIELD(WEIR_FOREVER);
    return wait_for_one_another(pair);
}

CASE(deadlock_under_a_shield_pierces_it)
{
    struct pair pair = {0};
    CHECK_EQ(net_run(wait_shielded, &pair), -EDEADLK);
    CHECK_EQ(pair.rc[0], -ECANCELED);
    check_said(true);
}

/* The goodbye after the news may use time, input and output as any task that is cancelled may not:
 * but it runs to its end, closes what it has and frees it. */
static int own_a_socket(void *arg)
{
    struct pair *pair = arg;
    weir_sock here, there;
    struct program_port port;
    program_listen(&port, NULL);
    program_connect(&port, &here, &there);
    CHECK_EQ(weir_listener_close(&port.listener), 0);
    CHECK_EQ(wait_for_one_another(pair), 7);
    CHECK_EQ(weir_close(&here), 0);
    CHECK_EQ(weir_close(&there), 0);
    return 0;
}

CASE(deadlock_beside_idle_sockets_is_seen_and_they_are_closed)
{
    struct pair pair = {0};
    CHECK_EQ(net_run(own_a_socket, &pair), -EDEADLK);
    check_said(true);
}

static int stop_then_wait(void *arg)
{
    WEIR_SHIELD(WEIR_FOREVER);
    CHECK_EQ(weir_stop(5, -1), 1);
    return wait_for_one_another(arg);
}

CASE(deadlock_after_a_stop_without_a_limit_ends_the_run)
{
    struct pair pair = {0};
    CHECK_EQ(net_run(stop_then_wait, &pair), -EDEADLK);
    check_said(true);
}

CASE(deadlock_is_seen_by_a_core_that_never_sleeps)
{
    struct pair pair = {0};
    CHECK_EQ(net_run_with(WEIR_OPTS(.busy = 1), wait_for_one_another, &pair), -EDEADLK);
    check_said(true);
}

static int again(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_MS);
}

static int wait_for_nobody(void *arg)
{
    struct weir_event event = {{0}};
    int item = 0;
    (void)arg;
    WEIR_CHAN(chan, int, 1);
    CHECK_EQ(weir_event_wait(&event), -ECANCELED);
    CHECK_EQ(weir_chan_recv(&chan, &item), -ECANCELED);
    return 0;
}

CASE(deadlock_of_a_wait_for_an_event_that_nobody_can_set)
{
    CHECK_EQ(net_run(wait_for_nobody, NULL), -EDEADLK);
    check_said(true);
}

static int receive_only(void *arg)
{
    int item;
    CHECK_EQ(weir_chan_recv(arg, &item), -ECANCELED);
    return 0;
}

static int send_only(void *arg)
{
    int item = 0;
    while (weir_chan_send(arg, &item) == 0)
        item++;
    CHECK_EQ(item, 2);
    return 0;
}

static int wait_for_channels(void *arg)
{
    (void)arg;
    WEIR_CHAN(empty, int, 2);
    WEIR_CHAN(full, int, 2);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, receive_only, &empty), 0);
    CHECK_EQ(weir_spawn(&scope, send_only, &full), 0);
    CHECK_EQ(weir_scope_wait(&scope), -ECANCELED);
    return 0;
}

CASE(deadlock_of_waits_for_channels_that_nobody_else_uses)
{
    CHECK_EQ(net_run(wait_for_channels, NULL), -EDEADLK);
    check_said(true);
}

CASE(deadlock_of_one_run_is_not_of_the_next)
{
    struct pair pair = {0};
    CHECK_EQ(net_run(wait_for_one_another, &pair), -EDEADLK);
    CHECK_EQ(net_run(again, NULL), 0);
    check_said(false);
}

/* ---- what is none ---- */

static int wait_with_a_deadline(void *arg)
{
    struct pair *pair = arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    WEIR_WITHIN(2 * WEIR_MS);
    CHECK_EQ(weir_spawn_task(&scope, wait_for_second, pair, &pair->first), 0);
    CHECK_EQ(weir_spawn_task(&scope, wait_for_first, pair, &pair->second), 0);
    CHECK_EQ(weir_scope_wait(&scope), -ETIMEDOUT);
    weir_scope_cancel(&scope);
    return 0;
}

CASE(deadlock_is_none_while_a_deadline_is_to_come)
{
    struct pair pair = {0};
    CHECK_EQ(net_run(wait_with_a_deadline, &pair), 0);
    check_said(false);
}

static void post_late(void *arg)
{
    host_wait_asleep(getpid()); /* the first thread, which has the core */
    CHECK_EQ(weir_wake_post(arg), 0);
    CHECK_EQ(weir_wake_drop(arg), 0);
}

static int wait_for_wake(void *arg)
{
    return weir_wake_wait(arg);
}

/* The task that is parked on the wake is not the only one that it may help in the end. */
static int wait_for_a_thread(void *arg)
{
    struct weir_wake *wake;
    struct host_thread thread;
    (void)arg;
    CHECK_EQ(weir_wake_open(&wake), 0);
    CHECK_EQ(weir_wake_hold(wake), 0);
    host_thread_start(&thread, post_late, wake);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, wait_for_wake, wake), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    host_thread_join(&thread);
    return weir_wake_close(wake);
}

CASE(deadlock_is_none_while_a_wake_is_open)
{
    CHECK_EQ(net_run(wait_for_a_thread, NULL), 0);
    check_said(false);
}

static void connect_late(void *arg)
{
    host_wait_asleep(getpid());
    net_plain_close(net_plain_dial(arg));
}

static int accept_late(void *arg)
{
    struct program_port port;
    weir_sock sock;
    (void)arg;
    program_listen(&port, NULL);
    net_peer(connect_late, port.addr);
    CHECK_EQ(weir_accept(port.listener, &sock), 0);
    CHECK_EQ(weir_close(&sock), 0);
    return weir_listener_close(&port.listener);
}

CASE(deadlock_is_none_while_a_listener_is_open)
{
    CHECK_EQ(net_run(accept_late, NULL), 0);
    check_said(false);
}

static enum weir_op_verdict set_when_readable(struct weir_op *op, ssize_t result, unsigned flags)
{
    (void)flags;
    CHECK_EQ(result, POLLIN);
    CHECK_EQ(weir_event_set(op->user), 0);
    return WEIR_OP_DONE;
}

static void write_late(void *arg)
{
    host_wait_asleep(getpid());
    CHECK_EQ(host_write(*(int *)arg, "x", 1), 1);
}

/* No timer is set, and no task waits for the kernel: only the operation does. */
static int wait_for_an_operation(void *arg)
{
    struct weir_event event = {{0}};
    struct weir_op op = {.fn = set_when_readable, .user = &event};
    struct weir_core *core = weir_core_self();
    int fd[2];
    (void)arg;
    CHECK_EQ(host_pipe(fd, 0), 0);
    CHECK_EQ(weir_fd_attach(core, fd[0]), 0);
    weir_op_poll(core, &op, fd[0], POLLIN);
    net_peer(write_late, &fd[1]);
    CHECK_EQ(weir_event_wait(&event), 0);
    CHECK_EQ(weir_fd_close(core, fd[0]), 0);
    net_join_peers();
    return host_close(fd[1]);
}

CASE(deadlock_is_none_while_an_operation_is_under_way)
{
    CHECK_EQ(net_run(wait_for_an_operation, NULL), 0);
    check_said(false);
}

CASE(deadlock_is_none_for_a_core_whose_driver_may_act)
{
    static struct lines lines;
    struct weir_core *core;
    struct pair pair = {0};
    CHECK_EQ(host_core_open(WEIR_OPTS(.log = lines_take, .log_user = &lines), &core), 0);
    CHECK_EQ(weir_spawn(weir_core_root(core), wait_for_one_another, &pair), 0);
    for (int i = 0; i < 8; i++)
        CHECK_GE(weir_core_run_once(core, 0), 0);
    CHECK_EQ(weir_core_task_count(core), 3);
    CHECK_EQ(weir_core_close(core), 0);
    CHECK_EQ(pair.rc[0], -ECANCELED);
    CHECK(lines_find(&lines, WEIR_LOG_ERROR, "deadlock") == NULL);
}

/* ---- hooks ---- */

struct hooked {
    struct weir_event event;
    unsigned turns;
};

/* As one that looks at something whose news come in no other way. */
static void set_at_last(void *user)
{
    struct hooked *hooked = user;
    if (++hooked->turns == 20)
        CHECK_EQ(weir_event_set(&hooked->event), 0);
}

static int wait_for_hook(void *arg)
{
    return weir_event_wait(&((struct hooked *)arg)->event);
}

CASE(deadlock_is_none_while_a_hook_is_called_though_nothing_happens)
{
    struct hooked busy = {.turns = 0}, parked = {.turns = 0};
    CHECK_EQ(net_run_with(WEIR_OPTS(.busy = 1, .on_turn = set_at_last, .on_turn_user = &busy),
                          wait_for_hook, &busy),
             0);
    check_said(false);
    CHECK_EQ(net_run_with(
                 WEIR_OPTS(.park_ns_max = WEIR_MS, .on_turn = set_at_last, .on_turn_user = &parked),
                 wait_for_hook, &parked),
             0);
    check_said(false);
}

CASE(deadlock_is_one_although_a_hook_waits_for_a_turn_that_never_comes)
{
    struct hooked hooked = {.turns = 0};
    CHECK_EQ(net_run_with(WEIR_OPTS(.on_turn = set_at_last, .on_turn_user = &hooked), wait_for_hook,
                          &hooked),
             -EDEADLK);
    check_said(true);
}
