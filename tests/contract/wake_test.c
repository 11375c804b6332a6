/* SPDX-License-Identifier: MIT */
/*
 * Wake handles: a task that other threads wake, whatever it and they are doing, and after all of it
 * is over. (A11, C6; EX3, EX7, EX18, CL9)
 *
 * Nothing here sleeps: a lost wake is a hang, which the watchdog tells from slowness by the lack of
 * progress.
 */
#include "weir/wake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/net.h"
#include "weir.h"

static void post_once(void *arg)
{
    CHECK_EQ(weir_wake_post(arg), 0);
}

static struct host_thread *start(void (*fn)(void *arg), void *arg)
{
    struct host_thread *thread = malloc(sizeof *thread);
    CHECK_NE(thread, NULL);
    host_thread_start(thread, fn, arg);
    return thread;
}

static void join(struct host_thread *thread)
{
    host_thread_join(thread);
    free(thread);
}

/* Waits until somebody else is there. */
static void meet(atomic_uint *there)
{
    (void)atomic_fetch_add(there, 1);
    while (atomic_load(there) < 2)
        host_yield();
}

static void run(weir_fn *fn)
{
    unsigned fds = host_fds();
    CHECK_EQ(host_run(NULL, fn, NULL, NULL, NULL), 0);
    CHECK_EQ(host_fds(), fds);
}

static struct weir_wake *open_wake(void)
{
    struct weir_wake *wake;
    CHECK_EQ(weir_wake_open(&wake), 0);
    CHECK_NE(wake, NULL);
    return wake;
}

/* ---- waiting ---- */

static int wait_for_a_thread(void *arg)
{
    struct weir_wake *wake = open_wake();
    struct host_thread *thread = start(post_once, wake);
    (void)arg;
    CHECK_EQ(weir_wake_wait(wake), 0);
    join(thread);
    CHECK_EQ(weir_wake_close(wake), 0);
    return 0;
}

CASE(wake_posted_by_a_thread_ends_the_wait)
{
    run(wait_for_a_thread);
}

static int post_first(void *arg)
{
    struct weir_wake *wake = open_wake();
    (void)arg;
    join(start(post_once, wake));
    CHECK_EQ(weir_wake_wait(wake), 0);
    CHECK_EQ(weir_wake_post(wake), 0); /* on its own core: the same */
    CHECK_EQ(weir_wake_wait(wake), 0);
    CHECK_EQ(weir_wake_close(wake), 0);
    return 0;
}

CASE(wake_posted_before_the_wait_is_not_lost)
{
    run(post_first);
}

static int post_often(void *arg)
{
    struct weir_wake *wake = open_wake();
    (void)arg;
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(weir_wake_post(wake), 0);
    CHECK_EQ(weir_wake_wait(wake), 0);
    {
        WEIR_WITHIN(5 * WEIR_MS);
        CHECK_EQ(weir_wake_wait(wake), -ETIMEDOUT);
    }
    CHECK_EQ(weir_wake_close(wake), 0);
    return 0;
}

CASE(wake_posts_are_one_until_a_wait_takes_them)
{
    run(post_often);
}

static int wait_and_say(void *arg)
{
    return weir_wake_wait(arg);
}

static int cancel_a_wait(void *arg)
{
    struct weir_wake *wake = open_wake();
    (void)arg;
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, wait_and_say, wake), 0);
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_wake_wait(wake), -EBUSY);
        weir_scope_cancel(&scope);
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    /* EX10: nothing is left of the waiter that went away. */
    CHECK_EQ(weir_wake_post(wake), 0);
    CHECK_EQ(weir_wake_wait(wake), 0);
    CHECK_EQ(weir_wake_close(wake), 0);
    return 0;
}

CASE(wake_has_one_waiter_and_a_cancelled_one_leaves_no_trace)
{
    run(cancel_a_wait);
}

static uint64_t messages(void)
{
    struct weir_stats stats = {.size = sizeof stats};
    CHECK_EQ(weir_stats(&stats), 0);
    return stats.messages;
}

/* I3: when the task goes on, both have happened. It is queued behind this one as the message comes,
 * so it has not run yet when this one sees that it came. */
static int post_while_cancelling(void *arg)
{
    struct weir_wake *wake = open_wake();
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, wait_and_say, wake), 0);
    CHECK_EQ(weir_yield(), 0);
    uint64_t before = messages();
    CHECK_EQ(weir_wake_post(wake), 0);
    while (messages() == before)
        CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_scope_live(&scope), 1);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    CHECK_EQ(weir_wake_close(wake), 0);
    return 0;
}

CASE(wake_that_came_wins_over_a_cancellation)
{
    run(post_while_cancelling);
}

static int close_under_a_waiter(void *arg)
{
    struct weir_wake *wake = open_wake();
    (void)arg;
    CHECK_EQ(weir_wake_hold(wake), 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, wait_and_say, wake), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_wake_close(wake), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), -EBADF);
    CHECK_EQ(weir_wake_post(wake), -ESHUTDOWN);
    CHECK_EQ(weir_wake_wait(wake), -EBADF);
    CHECK_EQ(weir_wake_close(wake), -EBADF);
    CHECK_EQ(weir_wake_drop(wake), 0);
    return 0;
}

CASE(wake_that_is_closed_sends_its_waiter_home_and_refuses_posts)
{
    run(close_under_a_waiter);
}

static int use_none(void *arg)
{
    (void)arg;
    CHECK_EQ(weir_wake_wait(NULL), -EBADF);
    CHECK_EQ(weir_wake_post(NULL), -EBADF);
    CHECK_EQ(weir_wake_close(NULL), -EBADF);
    CHECK_EQ(weir_wake_hold(NULL), -EBADF);
    CHECK_EQ(weir_wake_drop(NULL), -EBADF);
    return 0;
}

CASE(wake_that_is_none_is_refused)
{
    run(use_none);
}

/* ---- another core ---- */

static int use_anothers(void *arg)
{
    CHECK_EQ(weir_wake_wait(arg), -EXDEV);
    CHECK_EQ(weir_wake_close(arg), -EXDEV);
    CHECK_EQ(weir_wake_post(arg), 0);
    return 0;
}

static void run_on_another_core(void *arg)
{
    CHECK_EQ(host_run(NULL, use_anothers, arg, NULL, NULL), 0);
}

static int be_woken_by_another_core(void *arg)
{
    struct weir_wake *wake = open_wake();
    (void)arg;
    struct host_thread *thread = start(run_on_another_core, wake);
    CHECK_EQ(weir_wake_wait(wake), 0);
    join(thread);
    CHECK_EQ(weir_wake_close(wake), 0);
    return 0;
}

/* EX7 */
CASE(wake_is_waited_for_on_its_core_and_posted_from_any)
{
    run(be_woken_by_another_core);
}

/* ---- signals ---- */

static struct weir_wake *of_the_handler;

static void post_from_handler(int signal)
{
    int before = errno;
    (void)signal;
    errno = 4711;
    CHECK_EQ(weir_wake_post(of_the_handler), 0);
    CHECK_EQ(errno, 4711);
    errno = before;
}

static void shoot(void *arg)
{
    CHECK_EQ(pthread_kill(*(pthread_t *)arg, SIGUSR1), 0);
}

static int wait_for_signals(void *arg)
{
    struct sigaction action = {.sa_handler = post_from_handler};
    pthread_t self = pthread_self();
    (void)arg;
    of_the_handler = open_wake();
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    for (int i = 0; i < NET_TIMES(2000); i++) {
        struct host_thread *thread = start(shoot, &self);
        CHECK_EQ(weir_wake_wait(of_the_handler), 0);
        join(thread);
    }
    CHECK_EQ(weir_wake_close(of_the_handler), 0);
    return 0;
}

/* ThreadSanitizer runs a handler when its thread next enters a library call that it knows, and the
 * raw system calls of a waiting core are none. */
#if defined(__SANITIZE_THREAD__)
#define HANDLERS_ARE_PUT_OFF 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HANDLERS_ARE_PUT_OFF 1
#endif
#endif
#ifndef HANDLERS_ARE_PUT_OFF
#define HANDLERS_ARE_PUT_OFF 0
#endif

/* The handler interrupts the core itself, before, in and after its wait. */
CASE(wake_is_posted_from_a_signal_handler)
{
    host_need_kernel("a simulation has no handlers");
    if (HANDLERS_ARE_PUT_OFF)
        SKIP("ThreadSanitizer puts signal handlers off");
    run(wait_for_signals);
}

/* ---- the hook ---- */

static struct {
    unsigned calls, waits;
} hooked;

static void note_a_wake(void *user)
{
    CHECK_EQ(user, &hooked);
    CHECK_EQ(weir_yield(), -EPERM);
    hooked.calls++;
}

/* Once for any number of wakes that came in together, and before the task that one of them wakes. */
static int be_hooked(void *arg)
{
    struct weir_wake *wake[2] = {open_wake(), open_wake()};
    (void)arg;
    for (; hooked.waits < 20; hooked.waits++) {
        CHECK_EQ(hooked.calls, hooked.waits);
        CHECK_EQ(weir_wake_post(wake[0]), 0);
        CHECK_EQ(weir_wake_post(wake[1]), 0);
        CHECK_EQ(weir_wake_wait(wake[0]), 0);
        CHECK_EQ(hooked.calls, hooked.waits + 1);
        CHECK_EQ(weir_wake_wait(wake[1]), 0);
    }
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_wake_close(wake[i]), 0);
    return 0;
}

CASE(wake_hook_is_called_once_for_what_came_before_tasks_run)
{
    CHECK_EQ(host_run(WEIR_OPTS(.on_wake = note_a_wake, .on_wake_user = &hooked), be_hooked, NULL,
                      NULL, NULL),
             0);
    CHECK_EQ(hooked.calls, 20);
}

/* ---- the end of the run ---- */

static struct weir_wake *kept;

static int keep_a_wake(void *arg)
{
    (void)arg;
    kept = open_wake();
    CHECK_EQ(weir_wake_hold(kept), 0);
    return 0;
}

/* CL9 */
CASE(wake_held_beyond_its_run_refuses_posts)
{
    run(keep_a_wake);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weir_wake_post(kept), -ESHUTDOWN);
    CHECK_EQ(weir_wake_drop(kept), 0);
}

enum { POSTERS = 3, ENDS = 150 };

static struct storm {
    struct weir_wake *wake;
    atomic_uint opened;
    unsigned accepted;
} storm[POSTERS];

static void post_until_refused(void *arg)
{
    struct storm *self = arg;
    meet(&self->opened);
    for (; weir_wake_post(self->wake) == 0; self->accepted++)
        if (host_is_simulated())
            host_yield(); /* it has no other processor */
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weir_wake_post(self->wake), -ESHUTDOWN);
    CHECK_EQ(weir_wake_drop(self->wake), 0);
}

static int end_under_fire(void *arg)
{
    unsigned waits = *(unsigned *)arg;
    for (int i = 0; i < POSTERS; i++) {
        storm[i].wake = open_wake();
        CHECK_EQ(weir_wake_hold(storm[i].wake), 0);
        meet(&storm[i].opened);
    }
    for (unsigned i = 0; i < waits; i++)
        CHECK_EQ(weir_wake_wait(storm[i % POSTERS].wake), 0);
    return 0;
}

/* EX18, R9: the run ends at any step of a post, under ASan and TSan too; the memory outlives it. */
CASE(wake_storm_at_the_end_of_a_run_is_refused_and_harms_nothing)
{
    struct host_thread *thread[POSTERS];
    unsigned fds = host_fds();
    for (unsigned end = 0; end < NET_TIMES(ENDS); end++) {
        unsigned waits = end % 7;
        for (int i = 0; i < POSTERS; i++) {
            atomic_init(&storm[i].opened, 0);
            thread[i] = start(post_until_refused, &storm[i]);
        }
        CHECK_EQ(host_run(NULL, end_under_fire, &waits, NULL, NULL), 0);
        for (int i = 0; i < POSTERS; i++) {
            join(thread[i]);
        }
    }
    CHECK_EQ(host_fds(), fds);
}

/* ---- ping-pong ---- */

/* Ends the case if nothing moves for so long, or if it is told to stop. */
enum { WATCH_MS = 50, STUCK_MS = 30000 };

static struct game {
    struct weir_wake *side[2]; /* atomic: set once by its core */
    unsigned trips;
    _Atomic unsigned moves; /* of both: whose turn it is, and progress */
    _Atomic bool over;
    const struct weir_opts *opts;
    atomic_uint opened;
} game;

static void watchdog(void *arg)
{
    unsigned seen = 0, stuck_ms = 0;
    (void)arg;
    while (!atomic_load(&game.over)) {
        host_sleep(WATCH_MS * WEIR_MS);
        unsigned now = atomic_load(&game.moves);
        stuck_ms = now == seen ? stuck_ms + WATCH_MS : 0;
        seen = now;
        CHECK_LT(stuck_ms, STUCK_MS);
    }
}

static int play(void *arg)
{
    unsigned self = *(unsigned *)arg;
    game.side[self] = open_wake();
    CHECK_EQ(weir_wake_hold(game.side[self]), 0);
    meet(&game.opened);
    for (unsigned trip = 0; trip < game.trips; trip++) {
        if (self == 0)
            CHECK_EQ(weir_wake_post(game.side[1]), 0);
        CHECK_EQ(weir_wake_wait(game.side[self]), 0);
        CHECK_EQ(atomic_fetch_add(&game.moves, 1), trip * 2 + (self == 0));
        if (self == 1)
            CHECK_EQ(weir_wake_post(game.side[0]), 0);
    }
    return 0;
}

static void run_a_side(void *arg)
{
    CHECK_EQ(host_run(game.opts, play, arg, NULL, NULL), 0);
}

static void ping_pong(unsigned trips, const struct weir_opts *opts)
{
    unsigned number[2] = {0, 1};
    unsigned fds = host_fds();
    game.trips = trips;
    game.opts = opts;
    atomic_init(&game.opened, 0);
    struct host_thread *dog = start(watchdog, NULL);
    struct host_thread *side[2] = {start(run_a_side, &number[0]), start(run_a_side, &number[1])};
    join(side[0]);
    join(side[1]);
    atomic_store(&game.over, true);
    join(dog);
    CHECK_EQ(atomic_load(&game.moves), 2 * trips);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weir_wake_post(game.side[i]), -ESHUTDOWN);
        CHECK_EQ(weir_wake_drop(game.side[i]), 0);
    }
    CHECK_EQ(host_fds(), fds);
}

/* EX3 */
CASE(wake_ping_pong_between_parked_cores_loses_none_of_100000)
{
    ping_pong(NET_TIMES(100000), NULL);
}

CASE(wake_ping_pong_between_watching_cores_loses_none_of_100000)
{
    ping_pong(NET_TIMES(100000), WEIR_OPTS(.spin_ns = 20 * WEIR_US));
}

CASE(wake_ping_pong_between_busy_cores_loses_none_of_100000)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        SKIP("two cores that never sleep need two processors");
    ping_pong(NET_TIMES(100000), WEIR_OPTS(.busy = 1));
}

/* ---- the long runs: make soak ---- */

enum { SOAK_TRIPS = 10000000 };

static void need_soak(void)
{
    if (getenv("WEIR_SOAK") == NULL) // NOLINT(concurrency-mt-unsafe): nobody sets it meanwhile
        SKIP("takes many minutes: make soak");
}

CASE(soak_wake_ping_pong_between_parked_cores_loses_none_of_10000000)
{
    need_soak();
    ping_pong(SOAK_TRIPS, NULL);
}

CASE(soak_wake_ping_pong_between_busy_cores_loses_none_of_10000000)
{
    need_soak();
    ping_pong(SOAK_TRIPS, WEIR_OPTS(.busy = 1));
}

/* ---- embedded ---- */

/* Between two steps the core counts as asleep: a post makes its descriptor readable. */
CASE(wake_makes_the_descriptor_of_an_embedded_core_readable)
{
    host_need_kernel(
        "nothing real tells what happens in a simulation: its cores have no descriptor");
    struct weir_core *core;
    CHECK_EQ(host_core_open(NULL, &core), 0);
    struct pollfd look = {.fd = weir_core_fd(core), .events = POLLIN};
    struct weir_wake *wake = open_wake();
    CHECK_EQ(weir_spawn(weir_core_root(core), wait_and_say, wake), 0);
    while (poll(&look, 1, 20) == 1)
        CHECK_GE(weir_core_run_once(core, 0), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(poll(&look, 1, 0), 0);
        CHECK_EQ(weir_core_task_count(core), 1);
        join(start(post_once, wake));
        CHECK_EQ(poll(&look, 1, 20000), 1);
        CHECK_GT(weir_core_run_once(core, 0), 0);
        CHECK_EQ(weir_core_task_count(core), 0);
        CHECK_EQ(weir_spawn(weir_core_root(core), wait_and_say, wake), 0);
        while (poll(&look, 1, 5) == 1)
            CHECK_GE(weir_core_run_once(core, 0), 0);
    }
    CHECK_EQ(weir_wake_close(wake), 0);
    CHECK_EQ(weir_core_close(core), 0);
}
