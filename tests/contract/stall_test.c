/* SPDX-License-Identifier: MIT */
/*
 * Tasks that keep the core are reported while they do, once each, and others are not. (A15)
 *
 * No case relies on how long anything takes: what stalls goes on until the report has come, and what
 * must not be reported goes on for many times the limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fiber.h"
#include "check.h"
#include "support/host.h"
#include "support/net.h"
#include "support/process.h"
#include "weir.h"
#include "weir/core.h"

#define LIMIT (20 * WEIR_MS)
#define PATIENCE (30 * WEIR_SEC)

/* TSan keeps signals until the next call that it intercepts, unless it knows that the thread blocks. */
#if defined(WI_FIBER_TSAN)
#define DEFERS_SIGNALS true
#else
#define DEFERS_SIGNALS false
#endif

enum { SAID_MAX = 256, LINE_MAX_BYTES = 512 };

/* What a run said about stalls. */
struct said {
    pthread_mutex_t lock;
    atomic_uint begun, ended; /* reports */
    unsigned lines;
    char line[SAID_MAX][LINE_MAX_BYTES];
    int wake_fd;      /* a byte goes there with each report, unless it is -1 */
    sem_t *may_go_on; /* each report waits for this, if there is one */
    atomic_bool left; /* no report is under way */
};

static void take(enum weir_log_level level, const char *msg, void *user)
{
    struct said *said = user;
    if (strncmp(msg, "stall:", 6) != 0)
        return;
    CHECK_EQ(level, WEIR_LOG_WARN);
    atomic_store(&said->left, false);
    CHECK_EQ(pthread_mutex_lock(&said->lock), 0);
    CHECK_LT(said->lines, SAID_MAX);
    (void)snprintf(said->line[said->lines++], LINE_MAX_BYTES, "%s", msg);
    CHECK_EQ(pthread_mutex_unlock(&said->lock), 0);
    if (strstr(msg, "has not come back to the loop") != NULL) {
        (void)atomic_fetch_add(&said->begun, 1);
        if (said->wake_fd >= 0)
            CHECK_EQ(write(said->wake_fd, "x", 1), 1);
        if (said->may_go_on != NULL)
            CHECK_EQ(sem_wait(said->may_go_on), 0);
    }
    if (strstr(msg, "came back after") != NULL)
        (void)atomic_fetch_add(&said->ended, 1);
    atomic_store(&said->left, true);
}

static void listen_to(struct said *said)
{
    *said = (struct said){.wake_fd = -1, .left = true};
    CHECK_EQ(pthread_mutex_init(&said->lock, NULL), 0);
}

static const char *find(const struct said *said, const char *part)
{
    for (unsigned i = 0; i < said->lines; i++)
        if (strstr(said->line[i], part) != NULL)
            return said->line[i];
    return NULL;
}

/* The line exists; else all are shown. */
static const char *expect(const struct said *said, const char *part)
{
    const char *line = find(said, part);
    if (line == NULL)
        for (unsigned i = 0; i < said->lines; i++)
            (void)fprintf(stderr, "    said: %s\n", said->line[i]);
    CHECK(line != NULL);
    return line;
}

static int run(struct said *said, weir_fn *fn)
{
    return weir_run(WEIR_OPTS(.stall_ns = LIMIT, .log = take, .log_user = said), fn, said);
}

/* Keeps the core until so many reports have begun. */
__attribute__((noinline)) static void keep_the_core(const struct said *said, unsigned reports)
{
    weir_ns limit = weir_now() + PATIENCE;
    while (atomic_load(&said->begun) < reports)
        CHECK_LT(weir_now(), limit);
}

/* Lets the core go on until so many stalls are over. */
static void wait_for_ends(const struct said *said, unsigned ends)
{
    weir_ns limit = weir_now() + PATIENCE;
    while (atomic_load(&said->ended) < ends) {
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
        CHECK_LT(weir_now(), limit);
    }
}

static int spin(void *arg)
{
    CHECK_EQ(weir_set_name("spin\ner"), 0);
    keep_the_core(arg, 1);
    return 0;
}

static int spawn_spin(void *arg)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, spin, arg), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    return 0;
}

CASE(stall_of_a_loop_is_reported_while_it_goes_on)
{
    host_need_kernel("in a simulation a task takes no time, and nobody watches it");
    static struct said said;
    listen_to(&said);
    CHECK_EQ(run(&said, spawn_spin), 0);
    CHECK_EQ(atomic_load(&said.begun), 1);
    CHECK_EQ(atomic_load(&said.ended), 1);
    const char *head = expect(&said, "has not come back to the loop for");
    CHECK(strstr(head, "stall: task 2 \"spin?er\" has") != NULL);
    CHECK(strstr(head, "; function spin,") != NULL);
    CHECK(strstr(head, "spawned by spawn_spin+0x") != NULL);
    (void)expect(&said, "keep_the_core+0x");
    (void)expect(&said, " spin+0x");
    const char *end = expect(&said, "came back after");
    CHECK_GE(strtol(strstr(end, "after ") + 6, NULL, 10), LIMIT / WEIR_MS);
}

/* ---- blocking calls ---- */

struct blocked {
    struct said said;
    int fd[2];
};

static int read_in_vain(void *arg)
{
    char byte;
    CHECK_EQ(read(((struct blocked *)arg)->fd[0], &byte, 1), 1);
    return 0;
}

/* The signal that asks where the task is does not end what restarts: signal(7). */
CASE(stall_in_a_read_is_reported_and_the_read_goes_on)
{
    host_need_kernel("in a simulation a task takes no time, and nobody watches it");
    static struct blocked blocked;
    listen_to(&blocked.said);
    CHECK_EQ(pipe2(blocked.fd, O_CLOEXEC), 0);
    blocked.said.wake_fd = blocked.fd[1];
    CHECK_EQ(run(&blocked.said, read_in_vain), 0);
    CHECK_EQ(atomic_load(&blocked.said.begun), 1);
    CHECK_EQ(atomic_load(&blocked.said.ended), 1);
    (void)expect(&blocked.said, DEFERS_SIGNALS ? "takes no signals" : "read_in_vain+0x");
    CHECK_EQ(close(blocked.fd[0]), 0);
    CHECK_EQ(close(blocked.fd[1]), 0);
}

static int poll_in_vain(void *arg)
{
    (void)arg;
    int rc = poll(NULL, 0, (int)(PATIENCE / WEIR_MS));
    CHECK_EQ(rc < 0 ? errno : 0, EINTR); /* it does not restart */
    return 0;
}

CASE(stall_in_a_poll_is_reported)
{
    host_need_kernel("in a simulation a task takes no time, and nobody watches it");
    static struct said said;
    listen_to(&said);
    CHECK_EQ(run(&said, poll_in_vain), 0);
    CHECK_EQ(atomic_load(&said.begun), 1);
    CHECK_EQ(atomic_load(&said.ended), 1);
    (void)expect(&said, "poll_in_vain+0x");
}

static int spin_deaf(void *arg)
{
    sigset_t all, before;
    CHECK_EQ(sigfillset(&all), 0);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &all, &before), 0);
    keep_the_core(arg, 1);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    return 0;
}

/* The answer comes when it has been given up, and later than that when the run has ended. */
CASE(stall_of_a_thread_that_takes_no_signals_is_reported_without_a_backtrace)
{
    host_need_kernel("in a simulation a task takes no time, and nobody watches it");
    static struct said said;
    listen_to(&said);
    CHECK_EQ(run(&said, spin_deaf), 0);
    CHECK_EQ(atomic_load(&said.begun), 1);
    CHECK_EQ(atomic_load(&said.ended), 1);
    (void)expect(&said, "takes no signals");
    CHECK(find(&said, "#0") == NULL);
}

/* ---- how often ---- */

static int stall_twice(void *arg)
{
    for (unsigned i = 1; i <= 2; i++) {
        keep_the_core(arg, i);
        wait_for_ends(arg, i);
    }
    return 0;
}

CASE(stall_that_comes_twice_is_reported_twice)
{
    host_need_kernel("in a simulation a task takes no time, and nobody watches it");
    static struct said said;
    listen_to(&said);
    CHECK_EQ(run(&said, stall_twice), 0);
    CHECK_EQ(atomic_load(&said.begun), 2);
    CHECK_EQ(atomic_load(&said.ended), 2);
}

static int stall_for_long(void *arg)
{
    keep_the_core(arg, 1);
    weir_ns end = weir_now() + 10 * LIMIT;
    while (weir_now() < end)
        ;
    return 0;
}

CASE(stall_that_goes_on_is_reported_once)
{
    host_need_kernel("in a simulation a task takes no time, and nobody watches it");
    static struct said said;
    listen_to(&said);
    CHECK_EQ(run(&said, stall_for_long), 0);
    CHECK_EQ(atomic_load(&said.begun), 1);
    CHECK_EQ(atomic_load(&said.ended), 1);
}

static void *run_one(void *arg)
{
    CHECK_EQ(run(arg, spawn_spin), 0);
    return NULL;
}

CASE(stall_on_each_of_two_threads_is_reported_to_its_own_run)
{
    host_need_kernel("in a simulation a task takes no time, and nobody watches it");
    static struct said said[2];
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) {
        listen_to(&said[i]);
        CHECK_EQ(pthread_create(&thread[i], NULL, run_one, &said[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_join(thread[i], NULL), 0);
        CHECK_EQ(atomic_load(&said[i].begun), 1);
        CHECK_EQ(atomic_load(&said[i].ended), 1);
    }
}

/* ---- what is none ---- */

static int yield_for_long(void *arg)
{
    weir_ns end = weir_now() + 10 * LIMIT;
    while (weir_now() < end)
        CHECK_EQ(weir_yield(), 0);
    (void)arg;
    return 0;
}

static void check_none(weir_fn *fn)
{
    static struct said said;
    listen_to(&said);
    CHECK_EQ(run(&said, fn), 0);
    CHECK_EQ(said.lines, 0);
}

CASE(stall_is_none_where_a_task_yields_in_time)
{
    check_none(yield_for_long);
}

static int do_little(void *arg)
{
    (void)arg;
    return 0;
}

static int spawn_for_long(void *arg)
{
    weir_ns end = weir_now() + 10 * LIMIT;
    (void)arg;
    while (weir_now() < end) {
        WEIR_SCOPE(scope, WEIR_ALL);
        for (int i = 0; i < 8; i++)
            CHECK_EQ(weir_spawn(&scope, do_little, NULL), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    return 0;
}

CASE(stall_is_none_where_many_short_tasks_run)
{
    check_none(spawn_for_long);
}

CASE(stall_is_none_between_the_steps_of_an_embedded_core)
{
    host_need_kernel("in a simulation a task takes no time, and nobody watches it");
    static struct said said;
    struct weir_core *core;
    listen_to(&said);
    CHECK_EQ(host_core_open(WEIR_OPTS(.stall_ns = LIMIT, .log = take, .log_user = &said), &core),
             0);
    CHECK_EQ(weir_spawn(weir_core_root(core), do_little, NULL), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_GE(weir_core_run_once(core, 0), 0);
        CHECK_EQ(poll(NULL, 0, (int)(8 * LIMIT / WEIR_MS)), 0);
    }
    CHECK_EQ(said.lines, 0);
    CHECK_EQ(weir_spawn(weir_core_root(core), spin, &said), 0);
    CHECK_GE(weir_core_run_once(core, 0), 0);
    CHECK_EQ(weir_core_close(core), 0);
    CHECK_EQ(atomic_load(&said.begun), 1);
    CHECK_EQ(atomic_load(&said.ended), 1);
}

CASE(stall_is_none_where_the_process_was_stopped)
{
    for (int i = 0; i < 3; i++) {
        int status;
        pid_t pid = fork();
        CHECK_GE(pid, 0);
        if (pid == 0) {
            check_none(yield_for_long);
            _exit(0);
        }
        CHECK_EQ(poll(NULL, 0, (int)(2 * LIMIT / WEIR_MS)), 0);
        CHECK_EQ(kill(pid, SIGSTOP), 0);
        CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
        if (WIFSTOPPED(status)) {
            CHECK_EQ(poll(NULL, 0, (int)(5 * LIMIT / WEIR_MS)), 0);
            CHECK_EQ(kill(pid, SIGCONT), 0);
            CHECK_EQ(waitpid(pid, &status, 0), pid);
        }
        CHECK_EQ(status, 0);
    }
}

CASE(stall_is_not_looked_for_unless_it_is_asked_for)
{
    static struct said said;
    listen_to(&said);
    CHECK_EQ(weir_run(WEIR_OPTS(.log = take, .log_user = &said), yield_for_long, NULL), 0);
    CHECK_EQ(said.lines, 0);
    process_wait_threads("weir-watch", 0);
}

/* ---- silence ---- */

struct observer {
    unsigned long before, after;
};

static void *observe(void *arg)
{
    struct observer *observer = arg;
    CHECK_EQ(poll(NULL, 0, (int)(10 * LIMIT / WEIR_MS)), 0);
    observer->before = process_switches("weir-watch");
    CHECK_EQ(poll(NULL, 0, (int)(50 * LIMIT / WEIR_MS)), 0);
    observer->after = process_switches("weir-watch");
    return NULL;
}

static int be_idle(void *arg)
{
    (void)arg;
    return weir_sleep(100 * LIMIT);
}

/* Once nothing has happened for a while, nothing wakes the watchdog. (I8) */
CASE(stall_detector_of_an_idle_core_sleeps)
{
    host_need_kernel("in a simulation a task takes no time, and nobody watches it");
    static struct said said;
    struct observer observer = {0};
    pthread_t thread;
    listen_to(&said);
    CHECK_EQ(pthread_create(&thread, NULL, observe, &observer), 0);
    CHECK_EQ(run(&said, be_idle), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(observer.after, observer.before);
    CHECK_EQ(said.lines, 0);
}

/* After its sleep it sees what comes, however often. */
static int idle_then_stall(void *arg)
{
    for (unsigned i = 1; i <= 3; i++) {
        CHECK_EQ(weir_sleep(5 * LIMIT), 0);
        keep_the_core(arg, i);
    }
    return 0;
}

CASE(stall_after_an_idle_time_is_reported)
{
    host_need_kernel("in a simulation a task takes no time, and nobody watches it");
    static struct said said;
    listen_to(&said);
    CHECK_EQ(run(&said, idle_then_stall), 0);
    CHECK_EQ(atomic_load(&said.begun), 3);
    CHECK_EQ(atomic_load(&said.ended), 3);
}

CASE(stall_on_a_core_that_never_sleeps_is_reported)
{
    host_need_kernel("in a simulation a task takes no time, and nobody watches it");
    static struct said said;
    listen_to(&said);
    CHECK_EQ(weir_run(WEIR_OPTS(.stall_ns = LIMIT, .log = take, .log_user = &said, .busy = 1),
                      idle_then_stall, &said),
             0);
    CHECK_EQ(atomic_load(&said.begun), 3);
    CHECK_EQ(atomic_load(&said.ended), 3);
}

/* ---- the end of the run ---- */

static void *let_the_report_go_on(void *arg)
{
    CHECK_EQ(poll(NULL, 0, (int)(2 * LIMIT / WEIR_MS)), 0);
    CHECK_EQ(sem_post(arg), 0);
    return NULL;
}

/* The sink is still in the middle of a report when main returns: the run waits for it. */
CASE(stall_report_that_is_under_way_is_waited_for_by_the_end_of_the_run)
{
    host_need_kernel("in a simulation a task takes no time, and nobody watches it");
    static struct said said;
    sem_t may_go_on;
    pthread_t thread;
    listen_to(&said);
    CHECK_EQ(sem_init(&may_go_on, 0, 0), 0);
    said.may_go_on = &may_go_on;
    CHECK_EQ(pthread_create(&thread, NULL, let_the_report_go_on, &may_go_on), 0);
    CHECK_EQ(run(&said, spin), 0);
    CHECK(atomic_load(&said.left));
    CHECK_EQ(atomic_load(&said.begun), 1);
    CHECK_EQ(atomic_load(&said.ended), 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

CASE(stall_detector_leaves_nothing_behind)
{
    struct sigaction before, after;
    unsigned fds = host_fds();
    CHECK_EQ(sigaction(SIGURG, NULL, &before), 0);
    for (unsigned i = 0; i < NET_TIMES(200U); i++)
        check_none(nothing);
    process_wait_threads("weir-watch", 0);
    CHECK_EQ(sigaction(SIGURG, NULL, &after), 0);
    CHECK_EQ(after.sa_handler, before.sa_handler);
    CHECK_EQ(host_fds(), fds);
}

/* ---- beside the program's own use of the signal ---- */

static atomic_uint urgent;

static void count_urgent(int signo)
{
    CHECK_EQ(signo, SIGURG);
    (void)atomic_fetch_add(&urgent, 1);
}

static int raise_and_spin(void *arg)
{
    CHECK_EQ(raise(SIGURG), 0);
    keep_the_core(arg, 1);
    return 0;
}

CASE(stall_signals_do_not_reach_a_handler_of_the_program)
{
    host_need_kernel("in a simulation a task takes no time, and nobody watches it");
    static struct said said;
    struct sigaction own = {.sa_handler = count_urgent};
    listen_to(&said);
    CHECK_EQ(sigaction(SIGURG, &own, NULL), 0);
    CHECK_EQ(run(&said, raise_and_spin), 0);
    CHECK_EQ(atomic_load(&said.begun), 1);
    CHECK_EQ(atomic_load(&urgent), 1);
}

/* ---- the option ---- */

CASE(stall_ns_of_less_than_a_millisecond_is_refused)
{
    static struct said said;
    listen_to(&said);
    CHECK_EQ(
        weir_run(WEIR_OPTS(.stall_ns = WEIR_MS - 1, .log = take, .log_user = &said), nothing, NULL),
        -EINVAL);
    CHECK_EQ(
        weir_run(WEIR_OPTS(.stall_ns = WEIR_MS, .log = take, .log_user = &said), nothing, NULL), 0);
}
