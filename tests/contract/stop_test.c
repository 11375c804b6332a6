/* SPDX-License-Identifier: MIT */
/*
 * The end of a run that was asked for, and of one whose kernel does not let go: who is told, who gets
 * time, what is given up and what is said of it. (C5, A7; CL8, I4, I5)
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "support/child.h"
#include "support/host.h"
#include "support/lines.h"
#include "support/net.h"
#include "support/stuck.h"
#include "task/core.h"
#include "weir.h"

/* A run whose descriptors are counted; its figures are left in `stats`. */
static struct weir_stats stats;
static struct lines lines;

static int run_with(struct weir_opts opts, weir_fn *fn, void *arg)
{
    unsigned fds = host_fds();
    stats = (struct weir_stats){.size = sizeof stats};
    lines = (struct lines){0};
    opts.stats = &stats;
    opts.log = lines_take;
    opts.log_user = &lines;
    int rc = weir_run(&opts, fn, arg);
    CHECK_EQ(host_fds(), fds);
    return rc;
}

static int run(weir_fn *fn, void *arg)
{
    return run_with(*WEIR_OPTS(.sq_entries = 0), fn, arg);
}

static void check_nothing_left(void)
{
    CHECK_EQ(stats.aborted, 0);
    CHECK_EQ(stats.quarantined, 0);
    CHECK_EQ(stats.outstanding, 0);
    CHECK_EQ(stats.inbox_undrained, 0);
    CHECK_EQ(stats.tasks_live, 0);
    CHECK_EQ(stats.ops_pending, 0);
}

/* ---- asking ---- */

static int sleep_for_ever(void *arg)
{
    *(int *)arg = weir_sleep(WEIR_FOREVER);
    return 0;
}

static int stop_sleepers(void *arg)
{
    int *results = arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weir_spawn(&scope, sleep_for_ever, &results[i]), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_stop(42, WEIR_SEC), 1);
    CHECK_EQ(weir_stop(43, WEIR_SEC), 0);
    CHECK_EQ(weir_yield(), -ECANCELED);
    CHECK_EQ(weir_spawn(&scope, sleep_for_ever, results), -ECANCELED);
    return 7;
}

CASE(stop_cancels_everybody_and_its_first_value_is_the_result)
{
    int results[10] = {0};
    CHECK_EQ(run(stop_sleepers, results), 42);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(results[i], -ECANCELED);
    check_nothing_left();
}

static int stop_with_an_error(void *arg)
{
    (void)arg;
    CHECK_EQ(weir_stop(-EIO, 0), 1);
    return 0;
}

CASE(stop_may_end_a_run_with_an_error)
{
    CHECK_EQ(run(stop_with_an_error, NULL), -EIO);
    check_nothing_left();
}

CASE(stop_outside_the_runtime_is_refused)
{
    CHECK_EQ(weir_stop(1, 0), -EPERM);
    CHECK_EQ(weir_set_run_budget(1), -EPERM);
}

/* ---- time for a goodbye ---- */

struct goodbye {
    weir_ns grace, shield, work;
    weir_ns later; /* a second stop, at once and with this grace; 0: none */
    int result;
    weir_ns took;
};

static int say_goodbye(void *arg)
{
    struct goodbye *bye = arg;
    CHECK_EQ(weir_sleep(WEIR_FOREVER), -ECANCELED);
    weir_ns began = weir_now();
    {
        WEIR_SHIELD(bye->shield);
        bye->result = weir_sleep(bye->work);
    }
    bye->took = weir_now() - began;
    CHECK_EQ(weir_sleep(1), -ECANCELED);
    return 0;
}

static int stop_and_let_go(void *arg)
{
    struct goodbye *bye = arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, say_goodbye, bye), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_stop(0, bye->grace), 1);
    if (bye->later > 0)
        CHECK_EQ(weir_stop(0, bye->later), 0);
    return 0;
}

/* Timers go on while the run ends. */
CASE(stop_lets_a_shielded_task_finish_within_the_grace)
{
    struct goodbye bye = {.grace = 10 * WEIR_SEC, .shield = 5 * WEIR_SEC, .work = 10 * WEIR_MS};
    CHECK_EQ(run(stop_and_let_go, &bye), 0);
    CHECK_EQ(bye.result, 0);
    CHECK_GE(bye.took, 10 * WEIR_MS);
    check_nothing_left();
}

CASE(stop_leaves_a_shields_own_budget_as_it_is)
{
    struct goodbye bye = {.grace = 10 * WEIR_SEC, .shield = 10 * WEIR_MS, .work = WEIR_FOREVER};
    CHECK_EQ(run(stop_and_let_go, &bye), 0);
    CHECK_EQ(bye.result, -ETIMEDOUT);
    check_nothing_left();
}

CASE(stop_pierces_a_shield_when_the_grace_is_over)
{
    struct goodbye bye = {.grace = 20 * WEIR_MS, .shield = 3600 * WEIR_SEC, .work = WEIR_FOREVER};
    CHECK_EQ(run(stop_and_let_go, &bye), 0);
    CHECK_EQ(bye.result, -ECANCELED);
    CHECK_GE(bye.took, 19 * WEIR_MS); /* the grace began a little earlier */
    CHECK_EQ(stats.aborted, 1);
    CHECK_EQ(stats.quarantined, 0);
    CHECK_EQ(stats.outstanding, 0);
}

CASE(stop_without_grace_pierces_at_once)
{
    struct goodbye bye = {.grace = 0, .shield = 3600 * WEIR_SEC, .work = WEIR_FOREVER};
    CHECK_EQ(run(stop_and_let_go, &bye), 0);
    CHECK_EQ(bye.result, -ECANCELED);
    check_nothing_left(); /* there was no shield yet */
}

CASE(stop_with_a_negative_grace_never_pierces)
{
    struct goodbye bye = {.grace = -1, .shield = 3600 * WEIR_SEC, .work = 30 * WEIR_MS};
    CHECK_EQ(run(stop_and_let_go, &bye), 0);
    CHECK_EQ(bye.result, 0);
    check_nothing_left();
}

/* A second signal. */
CASE(stop_again_with_less_grace_shortens_it)
{
    struct goodbye bye = {.grace = 3600 * WEIR_SEC,
                          .shield = 3600 * WEIR_SEC,
                          .work = WEIR_FOREVER,
                          .later = 10 * WEIR_MS};
    CHECK_EQ(run(stop_and_let_go, &bye), 0);
    CHECK_EQ(bye.result, -ECANCELED);
    CHECK_EQ(stats.aborted, 1);
}

CASE(stop_again_with_more_grace_does_not_lengthen_it)
{
    struct goodbye bye = {.grace = 10 * WEIR_MS,
                          .shield = 3600 * WEIR_SEC,
                          .work = WEIR_FOREVER,
                          .later = 3600 * WEIR_SEC};
    CHECK_EQ(run(stop_and_let_go, &bye), 0);
    CHECK_EQ(bye.result, -ECANCELED);
    CHECK_EQ(stats.aborted, 1);
}

/* ---- sockets ---- */

static void read_the_goodbye(void *arg)
{
    char text[4] = "";
    int fd = *(int *)arg;
    CHECK_EQ(net_plain_recv(fd, text, 4), 4);
    CHECK_EQ(memcmp(text, "bye\n", 4), 0);
    CHECK_EQ(net_plain_send(fd, "ok", 2), 0);
    net_plain_close(fd);
}

static int wave(void *arg)
{
    struct net_half *half = arg;
    char byte[2];
    CHECK_EQ(weir_recv(half->sock, byte, 1), -ECANCELED);
    {
        WEIR_SHIELD(10 * WEIR_SEC);
        CHECK_EQ(weir_send(half->sock, "bye\n", 4), 0);
        CHECK_EQ(weir_recv_exact(half->sock, byte, 2), 2);
        CHECK_EQ(weir_recv(half->sock, byte, 1), 0);
    }
    CHECK_EQ(weir_close(&half->sock), 0);
    return 0;
}

static int stop_a_connection(void *arg)
{
    struct net_half half = net_accepted(NET_V4, NULL);
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, wave, &half), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_stop(0, -1), 1);
    net_peer(read_the_goodbye, &half.fd);
    return 0;
}

CASE(stop_lets_input_and_output_go_on_under_a_shield)
{
    CHECK_EQ(net_run(stop_a_connection, NULL), 0);
}

enum { UNREAD = 8 << 20 };

static char unread[UNREAD];

/* The peer reads nothing and never ends: only the budget of an hour ends such a close, or the limit. */
static int stop_a_close(void *arg)
{
    struct net_half half = net_accepted(NET_V4, NULL);
    *(int *)arg = half.fd;
    CHECK_EQ(weir_send(half.sock, "x", 1), 0);
    CHECK_EQ(weir_close(&half.sock), 0);
    CHECK_EQ(weir_stop(5, 20 * WEIR_MS), 1);
    return 0;
}

CASE(stop_ends_the_budgets_of_closes_with_the_grace)
{
    int fd = -1;
    struct weir_opts opts;
    weir_opts_init(&opts);
    opts.linger_ns = 3600 * WEIR_SEC;
    unsigned fds = host_fds();
    CHECK_EQ(host_run(&opts, stop_a_close, &fd, NULL, NULL), 5);
    CHECK_EQ(host_fds(), fds + 1);
    net_plain_close(fd);
}

/* ---- what the kernel never ends ---- */

static int run_stuck(struct stuck_plan *plan, struct weir_opts opts, weir_fn *fn, void *arg)
{
    stats = (struct weir_stats){.size = sizeof stats};
    lines = (struct lines){0};
    opts.stats = &stats;
    opts.log = lines_take;
    opts.log_user = &lines;
    if (opts.stop_settle_ns == 0)
        opts.stop_settle_ns = 20 * WEIR_MS;
    return host_run(&opts, fn, arg, stuck_wrap, plan);
}

struct hostage {
    struct net_half half;
    char *memory;
    bool back;
};

static struct hostage hostage;

static int receive_for_ever(void *arg)
{
    char byte;
    (void)arg;
    CHECK_EQ(weir_recv(hostage.half.sock, &byte, 1), -ECANCELED);
    (void)weir_close(&hostage.half.sock); /* cannot end: the poll is armed */
    hostage.back = weir_yield() != 0;
    return 0;
}

static int send_for_ever(void *arg)
{
    (void)arg;
    int rc = weir_send(hostage.half.sock, unread, UNREAD);
    hostage.back = true;
    return rc;
}

static int stop_with_a_hostage(void *arg)
{
    weir_fn *fn = *(weir_fn **)arg;
    hostage.half = net_accepted(NET_V4, NULL);
    hostage.back = false;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, fn, NULL), 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_stop(0, 5 * WEIR_MS), 1);
    return 0;
}

/* A send under way lies on the stack of its task: it stays there for ever. */
CASE(stop_abandons_a_task_whose_operation_never_ends)
{
    struct stuck_plan plan = {.ops = 1u << WI_OP_SEND | 1u << WI_OP_SENDMSG | 1u << WI_OP_POLL,
                              .on = true};
    weir_fn *fn = send_for_ever;
    unsigned fds = host_fds();
    CHECK_EQ(run_stuck(&plan, *WEIR_OPTS(.sq_entries = 0), stop_with_a_hostage, &fn),
             WEIR_EABANDONED);
    CHECK(!hostage.back);
    CHECK_GE(plan.kept, 1);
    CHECK_EQ(stats.quarantined, 2); /* and main, which waits for it */
    CHECK_GE(stats.outstanding, 1);
    CHECK_EQ(stats.tasks_live, 2);
    CHECK_EQ(host_fds(), fds + 1); /* the peer's */
    lines_expect(&lines, WEIR_LOG_ERROR, "abandoned: send on descriptor");
    lines_expect(&lines, WEIR_LOG_ERROR, "cancelled, never ended");
    lines_expect(&lines, WEIR_LOG_ERROR, "2 tasks");
    net_plain_close(hostage.half.fd);
}

/* No task is left, but its socket's poll is. */
CASE(stop_abandons_a_socket_whose_operation_never_ends)
{
    struct stuck_plan plan = {.ops = 1u << WI_OP_POLL | 1u << WI_OP_RECV, .on = true};
    weir_fn *fn = receive_for_ever;
    unsigned fds = host_fds();
    CHECK_EQ(run_stuck(&plan, *WEIR_OPTS(.sq_entries = 0), stop_with_a_hostage, &fn),
             WEIR_EABANDONED);
    CHECK_EQ(stats.quarantined, 0);
    CHECK_EQ(stats.outstanding, 1);
    CHECK_EQ(host_fds(), fds + 1);
    lines_expect(&lines, WEIR_LOG_ERROR, "abandoned: ");
    net_plain_close(hostage.half.fd);
}

static int forget_a_listener(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    (void)arg;
    (void)net_listen(NET_V4, NULL, at);
    return 3;
}

/* Without any stop: a run that ends by itself gives up in the same way. */
CASE(run_that_ends_by_itself_abandons_what_never_ends)
{
    struct stuck_plan plan = {.ops = 1u << WI_OP_ACCEPT, .on = true};
    unsigned fds = host_fds();
    CHECK_EQ(run_stuck(&plan, *WEIR_OPTS(.sq_entries = 0), forget_a_listener, NULL),
             WEIR_EABANDONED);
    CHECK_EQ(stats.quarantined, 0);
    CHECK_EQ(stats.outstanding, 1);
    CHECK_EQ(host_fds(), fds);
    lines_expect(&lines, WEIR_LOG_ERROR, "abandoned: accept on descriptor");
}

static weir_ns released_at;

static int forget_a_listener_for_long(void *arg)
{
    struct stuck_plan *plan = arg;
    plan->release_at = weir_now() + 60 * WEIR_MS;
    released_at = plan->release_at;
    return forget_a_listener(NULL);
}

CASE(run_waits_as_long_as_settling_may_take_for_what_ends_late)
{
    struct stuck_plan plan = {.ops = 1u << WI_OP_ACCEPT, .on = true};
    CHECK_EQ(run_stuck(&plan, *WEIR_OPTS(.stop_settle_ns = 20 * WEIR_SEC),
                       forget_a_listener_for_long, &plan),
             3);
    CHECK_GE(weir_now(), released_at);
    CHECK_EQ(plan.kept, 1);
    check_nothing_left();
}

CASE(run_that_may_settle_for_ever_waits_for_what_ends_late)
{
    struct stuck_plan plan = {.ops = 1u << WI_OP_ACCEPT, .on = true};
    CHECK_EQ(run_stuck(&plan, *WEIR_OPTS(.stop_settle_ns = -1), forget_a_listener_for_long, &plan),
             3);
    CHECK_EQ(plan.kept, 1);
    check_nothing_left();
}

static int leave_a_socket_lingering(void *arg)
{
    struct net_half half = net_accepted(NET_V4, NULL);
    *(int *)arg = half.fd;
    CHECK_EQ(weir_send(half.sock, "x", 1), 0);
    CHECK_EQ(weir_close(&half.sock), 0);
    return 0;
}

/* A close that waits for its peer is not the kernel's: it has its own budget, however long. */
CASE(run_does_not_take_lingering_for_something_stuck)
{
    int fd = -1;
    struct stuck_plan plan = {.on = false};
    weir_ns began = host_now();
    CHECK_EQ(run_stuck(&plan, *WEIR_OPTS(.linger_ns = 80 * WEIR_MS, .stop_settle_ns = WEIR_MS),
                       leave_a_socket_lingering, &fd),
             0);
    CHECK_GE(host_now() - began, 80 * WEIR_MS);
    check_nothing_left();
    net_plain_close(fd);
}

static void abort_rather_than_abandon(void *arg)
{
    struct stuck_plan plan = {.ops = 1u << WI_OP_ACCEPT, .on = true};
    (void)arg;
    (void)host_run(WEIR_OPTS(.abandon_aborts = 1, .stop_settle_ns = WEIR_MS), forget_a_listener,
                   NULL, stuck_wrap, &plan);
}

CASE(stop_aborts_the_process_where_that_was_asked_for)
{
    struct child child;
    child_run(&child, abort_rather_than_abandon, NULL);
    CHECK_EQ(child.signal, SIGABRT);
    CHECK(child_said(&child, "abandoned: accept on descriptor"));
    CHECK(child_said(&child, "1 operations never ended"));
}

/* ---- operations without a task ---- */

static struct told {
    struct weir_op op;
    unsigned calls;
    ssize_t result;
} told;

static char byte; /* the kernel may have it for ever */

static enum weir_op_verdict hear(struct weir_op *op, ssize_t result, unsigned flags)
{
    CHECK_EQ(op, &told.op);
    CHECK_EQ(flags, 0);
    told.calls++;
    told.result = result;
    return WEIR_OP_DONE;
}

/* On a descriptor that is attached to the core, and then the core's. */
static struct weir_core *begin_telling(int fd)
{
    struct weir_core *core = weir_core_self();
    told = (struct told){.op = {.fn = hear}};
    CHECK_EQ(weir_fd_attach(core, fd), 0);
    return core;
}

static int receive_without_a_task(void *arg)
{
    int *pair = arg;
    CHECK_EQ(host_socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    weir_op_recv(begin_telling(pair[0]), &told.op, pair[0], &byte, 1);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(told.calls, 0);
    return 3;
}

CASE(run_that_ends_stops_its_operations)
{
    int pair[2];
    struct stuck_plan plan = {.on = false};
    unsigned fds = host_fds();
    CHECK_EQ(run_stuck(&plan, *WEIR_OPTS(.sq_entries = 0), receive_without_a_task, pair), 3);
    CHECK_EQ(told.calls, 1);
    CHECK_EQ(told.result, -ECANCELED);
    check_nothing_left();
    CHECK_EQ(host_fds(), fds + 1);
    CHECK_EQ(host_close(pair[1]), 0);
}

/* A7: its callback runs once all the same. */
CASE(run_abandons_an_operation_that_never_ends_and_says_so_to_it_once)
{
    int pair[2];
    struct stuck_plan plan = {.ops = 1u << WI_OP_POLL | 1u << WI_OP_RECV, .on = true};
    unsigned fds = host_fds();
    CHECK_EQ(run_stuck(&plan, *WEIR_OPTS(.sq_entries = 0), receive_without_a_task, pair),
             WEIR_EABANDONED);
    CHECK_EQ(told.calls, 1);
    CHECK_EQ(told.result, WEIR_EABANDONED);
    CHECK_EQ(stats.outstanding, 1);
    CHECK_EQ(stats.quarantined, 0);
    CHECK_EQ(host_fds(), fds + 1); /* the peer's */
    lines_expect(&lines, WEIR_LOG_ERROR, "abandoned: receive on descriptor");
    CHECK_EQ(host_close(pair[1]), 0);
}

static int stop_beside_an_operation(void *arg)
{
    CHECK_EQ(receive_without_a_task(arg), 3);
    CHECK_EQ(weir_stop(4, WEIR_FOREVER), 1);
    WEIR_SHIELD(WEIR_FOREVER);
    while (told.calls == 0)
        CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(told.result, -ECANCELED);
    told.calls = 0;
    told.result = 1;
    weir_op_nop(weir_core_self(), &told.op);
    while (told.calls == 0)
        CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(told.result, 0);
    return 5;
}

CASE(stop_cancels_operations_and_a_goodbye_may_start_others)
{
    int pair[2];
    struct stuck_plan plan = {.on = false};
    CHECK_EQ(run_stuck(&plan, *WEIR_OPTS(.sq_entries = 0), stop_beside_an_operation, pair), 4);
    CHECK_EQ(told.calls, 1);
    check_nothing_left();
    CHECK_EQ(host_close(pair[1]), 0);
}

struct writing {
    struct stuck_plan plan;
    weir_ns release_in; /* 0: never */
    bool stops;
};

static int leave_a_write(void *arg)
{
    struct writing *writing = arg;
    int fd = host_new_file();
    CHECK_GE(fd, 0);
    if (writing->release_in > 0)
        writing->plan.release_at = weir_now() + writing->release_in;
    weir_op_write_at(begin_telling(fd), &told.op, fd, "w", 1, 0);
    if (writing->stops)
        CHECK_EQ(weir_stop(0, 5 * WEIR_MS), 1);
    return 0;
}

/* Longer than settling may take; but what was written is to get there. */
CASE(run_waits_for_a_write_that_takes_long)
{
    struct writing writing = {.plan = {.ops = 1u << WI_OP_WRITE, .on = true},
                              .release_in = 80 * WEIR_MS};
    int rc = run_stuck(&writing.plan, *WEIR_OPTS(.stop_settle_ns = 5 * WEIR_MS), leave_a_write,
                       &writing);
    CHECK_EQ(rc, 0);
    CHECK_GE(weir_now(), writing.plan.release_at);
    CHECK_EQ(writing.plan.kept, 1);
    check_nothing_left();
}

CASE(stop_abandons_a_write_that_outlasts_the_grace)
{
    struct writing writing = {.plan = {.ops = 1u << WI_OP_WRITE, .on = true}, .stops = true};
    int rc = run_stuck(&writing.plan, *WEIR_OPTS(.stop_settle_ns = 5 * WEIR_MS), leave_a_write,
                       &writing);
    CHECK_EQ(rc, WEIR_EABANDONED);
    CHECK_EQ(told.calls, 1);
    CHECK_EQ(told.result, WEIR_EABANDONED);
    CHECK_EQ(stats.outstanding, 1);
    lines_expect(&lines, WEIR_LOG_ERROR, "abandoned: write on descriptor");
}

/* ---- messages that come too late ---- */

static void *post(void *arg)
{
    CHECK_EQ(weir_wake_post(arg), 0);
    return NULL;
}

static int leave_a_message(void *arg)
{
    pthread_t thread;
    struct weir_wake *wake;
    (void)arg;
    CHECK_EQ(weir_wake_open(&wake), 0);
    CHECK_EQ(pthread_create(&thread, NULL, post, wake), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return 0;
}

/* EX18: it is let go of all the same; ASan sees to that. */
CASE(run_counts_messages_that_came_too_late)
{
    CHECK_EQ(run(leave_a_message, NULL), 0);
    CHECK_EQ(stats.inbox_undrained, 1);
}

static struct weir_wake *kept;

static int wait_and_hold(void *arg)
{
    CHECK_EQ(weir_wake_open(&kept), 0);
    CHECK_EQ(weir_wake_hold(kept), 0);
    return stop_with_a_hostage(arg);
}

/* R9 and CL9, after the worst end. */
CASE(wake_of_a_run_that_gave_up_refuses_posts)
{
    struct stuck_plan plan = {.ops = 1u << WI_OP_SEND | 1u << WI_OP_SENDMSG | 1u << WI_OP_POLL,
                              .on = true};
    weir_fn *fn = send_for_ever;
    CHECK_EQ(run_stuck(&plan, *WEIR_OPTS(.sq_entries = 0), wait_and_hold, &fn), WEIR_EABANDONED);
    CHECK_EQ(weir_wake_post(kept), -ESHUTDOWN);
    CHECK_EQ(weir_wake_drop(kept), 0);
    net_plain_close(hostage.half.fd);
}

/* ---- embedded ---- */

CASE(stop_of_an_embedded_core_is_its_drivers_too)
{
    int result = 0;
    struct weir_core *core;
    CHECK_EQ(host_core_open(NULL, &core), 0);
    CHECK_EQ(weir_spawn(weir_core_root(core), sleep_for_ever, &result), 0);
    CHECK_GE(weir_core_run_once(core, 0), 0);
    CHECK_EQ(weir_stop(0, 0), 1);
    CHECK_EQ(weir_stop(0, 0), 0);
    CHECK_GT(weir_core_run_once(core, WEIR_SEC), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(weir_core_task_count(core), 0);
    CHECK_EQ(weir_core_close(core), 0);
}
