/* SPDX-License-Identifier: MIT */
/* Signals that tasks wait for: nothing is lost, everybody gets it, and the program has its handlers back
 * afterwards. (A8) */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/lines.h"
#include "support/net.h"
#include "support/process.h"
#include "weir.h"

static struct weir_signal *open_signal(int signo)
{
    struct weir_signal *signal;
    CHECK_EQ(weir_signal_open(&signal, signo), 0);
    CHECK_NE(signal, NULL);
    return signal;
}

static void run(weir_fn *fn)
{
    unsigned fds = host_fds();
    CHECK_EQ(net_run(fn, NULL), 0);
    CHECK_EQ(host_fds(), fds);
    CHECK_EQ(net_logged("deadlock"), 0);
}

static int wait_and_say(void *arg)
{
    return weir_signal_wait(arg);
}

/* ---- the program's own handler ---- */

static volatile sig_atomic_t mine;

static void count_mine(int signo)
{
    (void)signo;
    mine = mine + 1;
}

static void handle_myself(int signo)
{
    if (host_is_simulated())
        return; /* there are no handlers there */
    struct sigaction action = {.sa_handler = count_mine, .sa_flags = SA_NODEFER};
    mine = 0;
    CHECK_EQ(sigaction(signo, &action, NULL), 0);
}

static void check_mine_again(int signo)
{
    struct sigaction now;
    if (host_is_simulated())
        return; /* there are no handlers there */
    CHECK_EQ(sigaction(signo, NULL, &now), 0);
    CHECK_EQ((void *)now.sa_handler, (void *)count_mine);
    CHECK_EQ(now.sa_flags & (SA_NODEFER | SA_SIGINFO | SA_RESTART), SA_NODEFER);
    CHECK_EQ(mine, 0);
    CHECK_EQ(host_raise(signo), 0);
    CHECK_EQ(mine, 1);
}

/* ---- waiting ---- */

static void signal_the_sleeper(void *arg)
{
    host_wait_asleep(getpid()); /* the first thread, which has the core */
    CHECK_EQ(host_is_simulated() ? host_raise(SIGHUP) : pthread_kill(*(pthread_t *)arg, SIGHUP), 0);
}

/* Only the signal can end the wait, and it is no deadlock. */
static int wait_asleep(void *arg)
{
    struct weir_signal *signal = open_signal(SIGHUP);
    pthread_t self = pthread_self();
    struct host_thread thread;
    (void)arg;
    host_thread_start(&thread, signal_the_sleeper, &self);
    CHECK_EQ(weir_signal_wait(signal), 1);
    host_thread_join(&thread);
    CHECK_EQ(weir_signal_close(signal), 0);
    return 0;
}

CASE(signal_ends_the_wait_of_a_core_that_sleeps)
{
    run(wait_asleep);
}

static void raise_one_late(void *arg)
{
    host_wait_asleep(getpid());
    CHECK_EQ(host_raise(*(const int *)arg), 0);
}

static int wait_for_another_thread(void *arg)
{
    int signo = SIGUSR1;
    struct weir_signal *signal = open_signal(signo);
    struct host_thread thread;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, wait_and_say, signal), 0);
    host_thread_start(&thread, raise_one_late, &signo);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    host_thread_join(&thread);
    CHECK_EQ(weir_signal_close(signal), 0);
    return 0;
}

CASE(signal_on_a_thread_that_is_not_ours_ends_the_wait)
{
    run(wait_for_another_thread);
}

static int count_those_before(void *arg)
{
    struct weir_signal *signal = open_signal(SIGUSR1);
    (void)arg;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(host_raise(SIGUSR1), 0);
    CHECK_EQ(weir_signal_wait(signal), 3);
    CHECK_EQ(host_raise(SIGUSR1), 0);
    CHECK_EQ(weir_sleep(WEIR_MS), 0); /* the post of the first is in, that of the second is not */
    CHECK_EQ(host_raise(SIGUSR1), 0);
    CHECK_EQ(weir_signal_wait(signal), 2);
    {
        WEIR_WITHIN(2 * WEIR_MS);
        CHECK_EQ(weir_signal_wait(signal), -ETIMEDOUT);
    }
    CHECK_EQ(weir_signal_close(signal), 0);
    return 0;
}

CASE(signal_that_came_before_the_wait_counts_once)
{
    run(count_those_before);
}

static int interrupt_a_wait(void *arg)
{
    struct weir_signal *signal = open_signal(SIGUSR1);
    (void)arg;
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, wait_and_say, signal), 0);
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_signal_wait(signal), -EBUSY);
        weir_scope_cancel(&scope);
        CHECK_EQ(host_raise(SIGUSR1), 0); /* the message comes after the cancellation */
        CHECK_EQ(weir_signal_wait(signal), -ECANCELED);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(weir_scope_result(&scope), 0);
    }
    CHECK_EQ(weir_signal_wait(signal), 1);
    CHECK_EQ(weir_signal_close(signal), 0);
    return 0;
}

CASE(signal_is_not_lost_by_a_wait_that_was_cancelled)
{
    run(interrupt_a_wait);
}

enum { WAITERS = 5 };

static int wait_on_its_own(void *arg)
{
    struct weir_signal *signal = open_signal(SIGUSR2);
    int *ready = arg;
    ++*ready;
    int rc = weir_signal_wait(signal);
    --*ready;
    CHECK_EQ(weir_signal_close(signal), 0);
    return rc - 1;
}

static int wait_together(void *arg)
{
    int ready = 0;
    (void)arg;
    handle_myself(SIGUSR2);
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(weir_spawn(&scope, wait_on_its_own, &ready), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(ready, WAITERS);
    CHECK_EQ(host_raise(SIGUSR2), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(ready, 0);
    check_mine_again(SIGUSR2);
    return 0;
}

CASE(signal_reaches_every_task_that_has_it_open)
{
    run(wait_together);
}

static int wait_for_a_child(void *arg)
{
    int status;
    struct weir_signal *signal = open_signal(SIGCHLD);
    (void)arg;
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0)
        _exit(3);
    CHECK_GE(weir_signal_wait(signal), 1);
    CHECK_EQ(waitpid(pid, &status, WNOHANG), pid);
    CHECK_EQ(WEXITSTATUS(status), 3);
    CHECK_EQ(weir_signal_close(signal), 0);
    return 0;
}

CASE(signal_of_a_child_that_ended_is_seen)
{
    host_need_kernel("a simulation has no child processes");
    run(wait_for_a_child);
}

/* ---- several runs, and storms ---- */

static atomic_uint open_runs, done_runs;
enum { RUNS = 3 };

static int wait_in_one_of_several_runs(void *arg)
{
    struct weir_signal *signal = open_signal(SIGUSR1);
    (void)arg;
    (void)atomic_fetch_add(&open_runs, 1);
    CHECK_EQ(weir_signal_wait(signal), 1);
    CHECK_EQ(weir_signal_close(signal), 0);
    (void)atomic_fetch_add(&done_runs, 1);
    return 0;
}

static void run_one(void *arg)
{
    (void)arg;
    CHECK_EQ(host_run(NULL, wait_in_one_of_several_runs, NULL, NULL, NULL), 0);
}

CASE(signal_reaches_every_run_that_has_it_open)
{
    struct host_thread threads[RUNS];
    handle_myself(SIGUSR1);
    for (int i = 0; i < RUNS; i++)
        host_thread_start(&threads[i], run_one, NULL);
    while (atomic_load(&open_runs) < RUNS)
        host_yield();
    CHECK_EQ(host_raise(SIGUSR1), 0);
    for (int i = 0; i < RUNS; i++)
        host_thread_join(&threads[i]);
    CHECK_EQ(atomic_load(&done_runs), RUNS);
    check_mine_again(SIGUSR1);
}

enum { RAISERS = 3, RAISES = 2000 };

static void raise_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < RAISES; i++)
        CHECK_EQ(host_raise(SIGUSR1), 0);
}

/* Each is handled on its own thread, so that none is coalesced by the kernel. */
static int count_a_storm(void *arg)
{
    struct weir_signal *signal = open_signal(SIGUSR1);
    struct host_thread threads[RAISERS];
    int count = 0;
    (void)arg;
    for (int i = 0; i < RAISERS; i++)
        host_thread_start(&threads[i], raise_many, NULL);
    while (count < RAISERS * RAISES) {
        int more = weir_signal_wait(signal);
        CHECK_GE(more, 1);
        count += more;
    }
    CHECK_EQ(count, RAISERS * RAISES);
    for (int i = 0; i < RAISERS; i++)
        host_thread_join(&threads[i]);
    CHECK_EQ(weir_signal_close(signal), 0);
    return 0;
}

CASE(signals_of_many_threads_are_all_counted)
{
    run(count_a_storm);
}

/* ---- opening and closing ---- */

static int open_all(void *arg)
{
    static const int bad[] = {0,       -1,     SIGKILL, SIGSTOP, 32,      33,     65,
                              SIGSEGV, SIGBUS, SIGILL,  SIGFPE,  SIGTRAP, SIGSYS, 1 << 20};
    (void)arg;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct weir_signal *signal = (struct weir_signal *)(void *)&i;
        CHECK_EQ(weir_signal_open(&signal, bad[i]), -EINVAL);
        CHECK_EQ(signal, NULL);
    }
    for (int signo = 1; signo <= SIGRTMAX; signo++) {
        struct weir_signal *signal;
        bool is_bad = signo == 32 || signo == 33;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            is_bad |= bad[i] == signo;
        if (is_bad)
            continue;
        CHECK_EQ(weir_signal_open(&signal, signo), 0);
        CHECK_EQ(host_raise(signo), 0);
        CHECK_EQ(weir_signal_wait(signal), 1);
        CHECK_EQ(weir_signal_close(signal), 0);
    }
    return 0;
}

CASE(signal_that_cannot_be_waited_for_is_refused_and_every_other_works)
{
    static struct lines lines;
    CHECK_EQ(weir_run(WEIR_OPTS(.log = lines_take, .log_user = &lines), open_all, NULL), 0);
    lines_expect(&lines, WEIR_LOG_ERROR, "signal 9 (SIGKILL) cannot be waited for: it cannot be");
    lines_expect(&lines, WEIR_LOG_ERROR, "signal 19 (SIGSTOP) cannot be waited for");
    lines_expect(&lines, WEIR_LOG_ERROR, "signal 0 cannot be waited for");
    lines_expect(&lines, WEIR_LOG_ERROR, "signal 65 cannot be waited for");
    lines_expect(&lines, WEIR_LOG_ERROR,
                 "signal 11 (SIGSEGV) cannot be waited for: it tells a fault");
}

static int close_under_a_waiter(void *arg)
{
    struct weir_signal *signal = open_signal(SIGUSR1);
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, wait_and_say, signal), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_signal_close(signal), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), -EBADF);
    CHECK_EQ(weir_signal_wait(NULL), -EBADF);
    CHECK_EQ(weir_signal_close(NULL), -EBADF);
    return 0;
}

CASE(signal_that_is_closed_sends_its_waiter_home)
{
    run(close_under_a_waiter);
}

/* It has come, and is closed before its waiter runs. */
static int close_after_it_came(void *arg)
{
    struct weir_signal *signal = open_signal(SIGUSR1);
    (void)arg;
    CHECK_EQ(host_raise(SIGUSR1), 0);
    CHECK_EQ(weir_signal_close(signal), 0); /* with its message on the way */
    signal = open_signal(SIGUSR1);
    WEIR_WITHIN(2 * WEIR_MS);
    CHECK_EQ(weir_signal_wait(signal), -ETIMEDOUT);
    CHECK_EQ(weir_signal_close(signal), 0);
    return 0;
}

CASE(signal_that_came_before_the_opening_does_not_count)
{
    run(close_after_it_came);
}

static int forget(void *arg)
{
    (void)arg;
    (void)open_signal(SIGUSR1);
    (void)open_signal(SIGUSR1);
    CHECK_EQ(host_raise(SIGUSR1), 0);
    return 0;
}

CASE(signal_that_was_forgotten_is_closed_at_the_end_of_the_run)
{
    handle_myself(SIGUSR1);
    run(forget);
    check_mine_again(SIGUSR1);
}

static int replace_the_handler(void *arg)
{
    struct weir_signal *signal = open_signal(SIGUSR1);
    (void)arg;
    handle_myself(SIGUSR1);
    CHECK_EQ(weir_signal_close(signal), 0);
    check_mine_again(SIGUSR1);
    return 0;
}

CASE(signal_handler_that_the_program_installed_meanwhile_stays)
{
    host_need_kernel("a simulation has no handlers");
    run(replace_the_handler);
}

static int use_a_foreign_one(void *arg)
{
    CHECK_EQ(weir_signal_wait(arg), -EXDEV);
    CHECK_EQ(weir_signal_close(arg), -EXDEV);
    return 0;
}

static void *use_that_of_another_run(void *arg)
{
    CHECK_EQ(weir_run(NULL, use_a_foreign_one, arg), 0);
    return NULL;
}

static int lend_to_another_run(void *arg)
{
    struct weir_signal *signal = open_signal(SIGUSR1);
    pthread_t thread;
    (void)arg;
    CHECK_EQ(pthread_create(&thread, NULL, use_that_of_another_run, signal), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(weir_signal_close(signal), 0);
    return 0;
}

CASE(signal_of_another_core_is_refused)
{
    run(lend_to_another_run);
}

/* ---- embedded ---- */

CASE(signal_makes_the_descriptor_of_an_embedded_core_readable)
{
    host_need_kernel(
        "nothing real tells what happens in a simulation: its cores have no descriptor");
    struct weir_core *core;
    struct weir_signal *signal;
    CHECK_EQ(host_core_open(NULL, &core), 0);
    CHECK_EQ(weir_signal_open(&signal, SIGUSR1), 0);
    CHECK_EQ(weir_spawn(weir_core_root(core), wait_and_say, signal), 0);
    struct pollfd poll_fd = {.fd = weir_core_fd(core), .events = POLLIN};
    while (poll(&poll_fd, 1, 0) > 0)
        CHECK_GE(weir_core_run_once(core, 0), 0);
    CHECK_EQ(weir_core_task_count(core), 1);
    CHECK_EQ(host_raise(SIGUSR1), 0);
    CHECK_EQ(poll(&poll_fd, 1, 10000), 1);
    for (int i = 0; i < 4 && weir_core_task_count(core) > 0; i++)
        CHECK_GE(weir_core_run_once(core, 0), 0);
    CHECK_EQ(weir_core_task_count(core), 0);
    CHECK_EQ(weir_signal_close(signal), 0);
    CHECK_EQ(weir_core_close(core), 0);
}
