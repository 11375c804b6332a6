/* SPDX-License-Identifier: MIT */
/* SIGQUIT writes a dump to the log where that was asked for, whatever the core does as it comes, and the
 * run goes on. (E2, A8) */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "support/child.h"
#include "support/host.h"
#include "support/lines.h"
#include "support/process.h"
#include "weir.h"

enum { HOUR = 3600 };

static struct lines lines;

static int run(weir_fn *fn, void *arg)
{
    lines = (struct lines){0};
    return host_run(
        WEIR_OPTS(.dump_signal = 1, .run_budget = 1, .log = lines_take, .log_user = &lines), fn,
        arg, NULL, NULL);
}

/* Whether a dump of so many tasks was written, with what they wait for. */
static void check_dumped(const char *tasks, const char *waits)
{
    lines_expect(&lines, WEIR_LOG_WARN, tasks);
    lines_expect(&lines, WEIR_LOG_WARN, waits);
}

static bool was_dumped(void)
{
    return lines_find(&lines, WEIR_LOG_WARN, " on uring: ") != NULL ||
           lines_find(&lines, WEIR_LOG_WARN, " on epoll: ") != NULL ||
           lines_find(&lines, WEIR_LOG_WARN, " on sim: ") != NULL;
}

static void quit_the_sleeper(void *arg)
{
    host_wait_asleep(getpid()); /* the first thread, which has the core */
    CHECK_EQ(host_is_simulated() ? host_raise(SIGQUIT) : pthread_kill(*(pthread_t *)arg, SIGQUIT),
             0);
}

/* The dump is written while both are parked; the next signal ends the waits. */
static int wait_parked(void *arg)
{
    struct weir_signal *signal = arg;
    return weir_signal_wait(signal) == 1 ? 0 : 1;
}

static int be_dumped_asleep(void *arg)
{
    struct weir_signal *signal;
    pthread_t self = pthread_self();
    struct host_thread thread;
    (void)arg;
    CHECK_EQ(weir_signal_open(&signal, SIGQUIT), 0);
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    CHECK_EQ(weir_spawn(&scope, wait_parked, signal), 0);
    host_thread_start(&thread, quit_the_sleeper, &self);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    host_thread_join(&thread);
    CHECK_EQ(weir_yield(), 0);
    CHECK(was_dumped());
    return weir_signal_close(signal);
}

CASE(dump_by_signal_comes_when_the_core_sleeps)
{
    CHECK_EQ(run(be_dumped_asleep, NULL), 0);
    check_dumped("2 tasks on ", "for the tasks of a scope");
}

static int be_dumped_busy(void *arg)
{
    (void)arg;
    CHECK(!was_dumped());
    CHECK_EQ(host_raise(SIGQUIT), 0);
    CHECK(!was_dumped()); /* not within the handler */
    CHECK_EQ(weir_yield(), 0);
    CHECK(was_dumped());
    return 3;
}

CASE(dump_by_signal_comes_in_the_next_turn_of_a_busy_core)
{
    CHECK_EQ(run(be_dumped_busy, NULL), 3);
    check_dumped("1 task on ", "1 queued");
}

static int be_dumped_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        lines = (struct lines){0};
        CHECK_EQ(host_raise(SIGQUIT), 0);
        CHECK_EQ(host_raise(SIGQUIT), 0);
        CHECK_EQ(weir_yield(), 0);
        CHECK(was_dumped());
    }
    return 0;
}

CASE(dump_by_signal_comes_each_time)
{
    CHECK_EQ(run(be_dumped_often, NULL), 0);
}

static int quit(void *arg)
{
    (void)arg;
    CHECK_EQ(host_raise(SIGQUIT), 0);
    return weir_sleep(HOUR * WEIR_SEC);
}

static void run_without_the_option(void *arg)
{
    (void)arg;
    _exit(weir_run(WEIR_OPTS(.stop_signals = 1), quit, NULL));
}

static void run_and_quit_afterwards(void *arg)
{
    (void)arg;
    if (run(be_dumped_busy, NULL) == 3)
        (void)host_raise(SIGQUIT);
    _exit(17);
}

CASE(dump_by_signal_is_only_where_it_was_asked_for_and_while_it_runs)
{
    host_need_kernel("a signal that nobody waits for ends no simulated process");
    struct child child;
    child_run(&child, run_without_the_option, NULL);
    CHECK_EQ(child.signal, SIGQUIT);
    child_run(&child, run_and_quit_afterwards, NULL);
    CHECK_EQ(child.signal, SIGQUIT);
}
