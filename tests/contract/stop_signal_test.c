/* SPDX-License-Identifier: MIT */
/* SIGINT and SIGTERM end a run that asks for it, whatever its core does as they come, and the program
 * has its handlers back. (A7, A8) */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "check.h"
#include "support/child.h"
#include "support/host.h"
#include "support/net.h"
#include "support/process.h"
#include "support/stuck.h"
#include "weir.h"

enum { HOUR = 3600 };

static volatile sig_atomic_t mine;

static void count_mine(int signo)
{
    (void)signo;
    mine = mine + 1;
}

static void handle_myself(void)
{
    struct sigaction action = {.sa_handler = count_mine};
    if (host_is_simulated())
        return; /* there are no handlers there */
    mine = 0;
    CHECK_EQ(sigaction(SIGINT, &action, NULL), 0);
    CHECK_EQ(sigaction(SIGTERM, &action, NULL), 0);
}

static void check_mine_again(void)
{
    struct sigaction now;
    if (host_is_simulated())
        return; /* there are no handlers there */
    CHECK_EQ(mine, 0);
    CHECK_EQ(sigaction(SIGTERM, NULL, &now), 0);
    CHECK_EQ((void *)now.sa_handler, (void *)count_mine);
    CHECK_EQ(host_raise(SIGINT), 0);
    CHECK_EQ(mine, 1);
}

/* A run with stop_signals, whose program has handlers of its own. */
static int run(struct weir_opts opts, weir_fn *fn, void *arg)
{
    opts.stop_signals = 1;
    handle_myself();
    int rc = net_run_with(&opts, fn, arg);
    check_mine_again();
    return rc;
}

/* ---- one signal ---- */

struct goodbye {
    int signo, again; /* raised; `again` once more under the shield, 0: not */
    weir_ns work;     /* under the shield */
    int result;
    weir_ns took;
};

static int leave_with_a_goodbye(void *arg)
{
    struct goodbye *bye = arg;
    CHECK_EQ(host_raise(bye->signo), 0);
    CHECK_EQ(weir_sleep(HOUR * WEIR_SEC), -ECANCELED);
    weir_ns began = weir_now();
    WEIR_SHIELD(HOUR * WEIR_SEC);
    if (bye->again != 0)
        CHECK_EQ(host_raise(bye->again), 0);
    bye->result = weir_sleep(bye->work);
    bye->took = weir_now() - began;
    return 7;
}

CASE(stop_by_signal_cancels_and_leaves_time_for_a_goodbye)
{
    static const int signals[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < 2; i++) {
        struct goodbye bye = {.signo = signals[i], .work = 2 * WEIR_MS};
        CHECK_EQ(run(*WEIR_OPTS(.stop_grace_ns = 0), leave_with_a_goodbye, &bye), 0);
        CHECK_EQ(bye.result, 0);
    }
}

CASE(stop_by_a_second_signal_is_at_once)
{
    struct goodbye bye = {.signo = SIGINT, .again = SIGTERM, .work = WEIR_FOREVER};
    CHECK_EQ(run(*WEIR_OPTS(.stop_grace_ns = -1), leave_with_a_goodbye, &bye), 0);
    CHECK_EQ(bye.result, -ECANCELED);
}

CASE(stop_by_signal_has_the_grace_that_was_set)
{
    struct goodbye bye = {.signo = SIGTERM, .work = WEIR_FOREVER};
    CHECK_EQ(run(*WEIR_OPTS(.stop_grace_ns = 20 * WEIR_MS), leave_with_a_goodbye, &bye), 0);
    CHECK_EQ(bye.result, -ECANCELED);
    CHECK_GE(bye.took, 19 * WEIR_MS); /* the grace began a little earlier */
    CHECK_LT(bye.took, 4 * WEIR_SEC); /* and was not the default */
}

static int get_two_at_once(void *arg)
{
    WEIR_SHIELD(HOUR * WEIR_SEC);
    CHECK_EQ(host_raise(SIGINT), 0);
    CHECK_EQ(host_raise(SIGINT), 0);
    *(int *)arg = weir_sleep(WEIR_FOREVER);
    return 0;
}

CASE(stop_by_two_signals_that_come_together_is_at_once)
{
    int result = 0;
    CHECK_EQ(run(*WEIR_OPTS(.stop_grace_ns = -1), get_two_at_once, &result), 0);
    CHECK_EQ(result, -ECANCELED);
}

static int stop_with_a_value(void *arg)
{
    (void)arg;
    WEIR_SHIELD(HOUR * WEIR_SEC);
    CHECK_EQ(weir_stop(42, -1), 1);
    CHECK_EQ(host_raise(SIGINT), 0);
    CHECK_EQ(weir_sleep(WEIR_FOREVER), -ECANCELED);
    return 0;
}

CASE(stop_by_signal_keeps_the_value_of_an_earlier_stop_and_shortens_it)
{
    CHECK_EQ(run(*WEIR_OPTS(.stop_grace_ns = WEIR_MS), stop_with_a_value, NULL), 42);
}

/* ---- whatever the core does ---- */

static void kill_the_sleeper(void *arg)
{
    host_wait_asleep(getpid()); /* the first thread, which has the core */
    CHECK_EQ(host_is_simulated() ? host_raise(SIGINT) : pthread_kill(*(pthread_t *)arg, SIGINT), 0);
}

static int accept_nobody(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    pthread_t self = pthread_self();
    weir_sock sock;
    weir_listener listener = net_listen(NET_V4, NULL, at);
    host_thread_start(arg, kill_the_sleeper, &self);
    CHECK_EQ(weir_accept(listener, &sock), -ECANCELED);
    host_thread_join(arg);
    return weir_listener_close(&listener);
}

CASE(stop_by_signal_reaches_a_core_that_sleeps)
{
    struct host_thread thread;
    CHECK_EQ(run(*WEIR_OPTS(.stop_grace_ns = 0), accept_nobody, &thread), 0);
}

static int never_rest(void *arg)
{
    (void)arg;
    int rc = 0;
    while (rc == 0)
        rc = weir_yield();
    return rc;
}

static int raise_among_the_busy(void *arg)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weir_spawn(&scope, never_rest, NULL), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(host_raise(SIGINT), 0);
    CHECK_EQ(never_rest(arg), -ECANCELED);
    return 0;
}

CASE(stop_by_signal_reaches_a_core_that_never_rests)
{
    CHECK_EQ(run(*WEIR_OPTS(.stop_grace_ns = 0), raise_among_the_busy, NULL), 0);
}

CASE(stop_by_signal_reaches_a_core_that_watches)
{
    struct goodbye bye = {.signo = SIGINT, .work = WEIR_MS};
    CHECK_EQ(run(*WEIR_OPTS(.busy = 1), leave_with_a_goodbye, &bye), 0);
    CHECK_EQ(bye.result, 0);
}

/* ---- several runs, embedding, the program ---- */

enum { RUNS = 3 };

static atomic_uint running;

static int wait_for_the_signal(void *arg)
{
    (void)arg;
    (void)atomic_fetch_add(&running, 1);
    CHECK_EQ(weir_sleep(HOUR * WEIR_SEC), -ECANCELED);
    return 1;
}

static void run_one(void *arg)
{
    (void)arg;
    CHECK_EQ(host_run(WEIR_OPTS(.stop_signals = 1), wait_for_the_signal, NULL, NULL, NULL), 0);
}

CASE(stop_by_signal_reaches_every_run_of_the_process)
{
    struct host_thread threads[RUNS];
    handle_myself();
    for (int i = 0; i < RUNS; i++)
        host_thread_start(&threads[i], run_one, NULL);
    while (atomic_load(&running) < RUNS)
        host_yield();
    CHECK_EQ(host_raise(SIGTERM), 0);
    for (int i = 0; i < RUNS; i++)
        host_thread_join(&threads[i]);
    check_mine_again();
}

CASE(stop_by_signal_reaches_an_embedded_core)
{
    host_need_kernel(
        "nothing real tells what happens in a simulation: its cores have no descriptor");
    struct weir_core *core;
    handle_myself();
    CHECK_EQ(host_core_open(WEIR_OPTS(.stop_signals = 1), &core), 0);
    CHECK_EQ(weir_spawn(weir_core_root(core), wait_for_the_signal, NULL), 0);
    struct pollfd poll_fd = {.fd = weir_core_fd(core), .events = POLLIN};
    while (poll(&poll_fd, 1, 0) > 0)
        CHECK_GE(weir_core_run_once(core, 0), 0);
    CHECK_EQ(weir_core_task_count(core), 1);
    CHECK_EQ(host_raise(SIGINT), 0);
    CHECK_EQ(poll(&poll_fd, 1, 10000), 1);
    for (int i = 0; i < 4 && weir_core_task_count(core) > 0; i++)
        CHECK_GE(weir_core_run_once(core, 0), 0);
    CHECK_EQ(weir_core_task_count(core), 0);
    CHECK_EQ(weir_core_close(core), 0);
    check_mine_again();
}

static int open_and_get_both(void *arg)
{
    struct weir_signal *signal;
    CHECK_EQ(weir_signal_open(&signal, SIGINT), 0);
    CHECK_EQ(host_raise(SIGINT), 0);
    WEIR_SHIELD(HOUR * WEIR_SEC);
    CHECK_EQ(weir_signal_wait(signal), 1);
    CHECK_EQ(weir_signal_close(signal), 0);
    return leave_with_a_goodbye(arg);
}

CASE(stop_by_signal_does_not_keep_it_from_a_task_that_has_it_open)
{
    struct goodbye bye = {.signo = SIGINT, .work = WEIR_FOREVER};
    handle_myself();
    CHECK_EQ(weir_run(WEIR_OPTS(.stop_signals = 1, .stop_grace_ns = -1), open_and_get_both, &bye),
             0);
    check_mine_again();
}

static int kill_yourself(void *arg)
{
    (void)arg;
    CHECK_EQ(host_raise(SIGTERM), 0);
    return weir_sleep(HOUR * WEIR_SEC);
}

static void run_without_the_option(void *arg)
{
    (void)arg;
    _exit(weir_run(NULL, kill_yourself, NULL));
}

CASE(stop_by_signal_is_only_where_it_was_asked_for)
{
    host_need_kernel("a signal that nobody waits for ends no simulated process");
    struct child child;
    child_run(&child, run_without_the_option, NULL);
    CHECK_EQ(child.signal, SIGTERM);
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_FOREVER);
}

CASE(stop_by_signal_hides_no_deadlock)
{
    CHECK_EQ(run(*WEIR_OPTS(.stop_grace_ns = 0), sleep_for_ever, NULL), -EDEADLK);
    CHECK_EQ(net_logged("deadlock"), 1);
}

static int forget_a_listener(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    (void)arg;
    (void)net_listen(NET_V4, NULL, at);
    return 3;
}

CASE(stop_by_signal_gives_the_handlers_back_where_something_is_abandoned)
{
    struct stuck_plan plan = {.ops = 1u << WI_OP_ACCEPT, .on = true};
    handle_myself();
    CHECK_EQ(host_run(WEIR_OPTS(.stop_signals = 1, .stop_settle_ns = WEIR_MS), forget_a_listener,
                      NULL, stuck_wrap, &plan),
             WEIR_EABANDONED);
    check_mine_again();
}
