/* SPDX-License-Identifier: MIT */
/* What a watchdog promises to the thread that it watches; one behaviour a case. (A15) */
#include "base/watchdog.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "check.h"
#include "support/process.h"

#define PATIENCE (30 * WEIR_SEC)

/* What the watched thread does, as its watchdog sees it. */
static struct {
    struct wi_watchdog dog;
    _Atomic uint32_t dozes;
    _Atomic uint64_t work; /* odd: busy with it */
    atomic_uint looks, stalls, ends;
    _Atomic uint64_t stalled; /* the work of the last one */
} t;

static struct wi_beat beat(void *user)
{
    uint64_t work = atomic_load(&t.work);
    CHECK_EQ(user, &t);
    return (struct wi_beat){.work = work, .busy = work % 2 == 1};
}

static bool look(void *user, uint64_t work)
{
    CHECK_EQ(user, &t);
    (void)atomic_fetch_add(&t.looks, 1);
    return atomic_load(&t.work) == work;
}

static void stalled(void *user, uint64_t work, weir_ns so_far, bool looked)
{
    CHECK_EQ(user, &t);
    CHECK_GE(so_far, WI_WATCHDOG_LIMIT_MIN);
    (void)looked; /* whether there was time to answer */
    atomic_store(&t.stalled, work);
    (void)atomic_fetch_add(&t.stalls, 1);
}

static void ended(void *user, weir_ns total)
{
    CHECK_EQ(user, &t);
    CHECK_GE(total, WI_WATCHDOG_LIMIT_MIN);
    (void)atomic_fetch_add(&t.ends, 1);
}

static void open_dog(void)
{
    static const struct wi_watchdog_ops ops = {
        .beat = beat, .look = look, .stalled = stalled, .ended = ended};
    CHECK_EQ(wi_watchdog_open(&t.dog, WI_WATCHDOG_LIMIT_MIN, &t.dozes, &ops, &t), 0);
}

static void begin_work(void)
{
    if (wi_watchdog_dozes(&t.dozes))
        wi_watchdog_rouse(&t.dozes);
    (void)atomic_fetch_add(&t.work, 1);
}

static void end_work(void)
{
    (void)atomic_fetch_add(&t.work, 1);
}

static void wait_for(const atomic_uint *count, unsigned value)
{
    weir_ns limit = weir_now() + PATIENCE;
    while (atomic_load(count) < value)
        CHECK_LT(weir_now(), limit);
}

static void be_idle(int ms)
{
    CHECK_EQ(poll(NULL, 0, ms), 0);
}

/* Idle times from none to many beats, so that the work begins at every point of its falling asleep. */
CASE(watchdog_sees_every_stall_however_long_nothing_was_done_before)
{
    open_dog();
    for (unsigned i = 1; i <= 40; i++) {
        be_idle((int)(i % 8));
        begin_work();
        wait_for(&t.stalls, i);
        CHECK_EQ(atomic_load(&t.stalled), atomic_load(&t.work));
        end_work();
        wait_for(&t.ends, i);
    }
    wi_watchdog_close(&t.dog);
    CHECK_EQ(atomic_load(&t.stalls), 40);
    CHECK_EQ(atomic_load(&t.ends), 40);
}

CASE(watchdog_is_asleep_while_nothing_is_done)
{
    open_dog();
    weir_ns limit = weir_now() + PATIENCE;
    while (atomic_load(&t.dozes) != WI_WATCHDOG_DOZES)
        CHECK_LT(weir_now(), limit);
    be_idle(50);
    unsigned long before = process_switches("weir-watch");
    be_idle(200);
    CHECK_EQ(process_switches("weir-watch"), before);
    begin_work();
    limit =
        weir_now() + PATIENCE; /* if it was about to doze off it says so first, and then looks */
    while (atomic_load(&t.dozes) != WI_WATCHDOG_AWAKE)
        CHECK_LT(weir_now(), limit);
    end_work();
    wi_watchdog_close(&t.dog);
}

CASE(watchdog_tells_of_the_end_of_what_it_reported_when_it_is_closed)
{
    open_dog();
    begin_work();
    wait_for(&t.stalls, 1);
    end_work();
    wi_watchdog_close(&t.dog);
    CHECK_EQ(atomic_load(&t.ends), 1);
}

/* At any point of its round: awake, about to sleep, asleep. */
CASE(watchdog_may_be_closed_at_any_time)
{
    for (int i = 0; i < 60; i++) {
        open_dog();
        be_idle(i % 6);
        if (i % 3 == 0)
            begin_work();
        if (i % 3 == 0)
            end_work();
        wi_watchdog_close(&t.dog);
        wi_watchdog_close(&t.dog); /* again is nothing */
    }
    process_wait_threads("weir-watch", 0);
}

/* In a child that leaves by _exit: LeakSanitizer needs a thread, too. */
static void go_without(void *arg)
{
    struct sigaction before, after;
    static const struct wi_watchdog_ops ops = {.beat = beat};
    (void)arg;
    CHECK_EQ(sigaction(SIGURG, NULL, &before), 0);
#ifdef SYS_clone3
    process_refuse(SYS_clone3, EAGAIN);
#endif
    process_refuse(SYS_clone, EAGAIN);
    CHECK_EQ(wi_watchdog_open(&t.dog, WI_WATCHDOG_LIMIT_MIN, &t.dozes, &ops, &t), -EAGAIN);
    CHECK_EQ(sigaction(SIGURG, NULL, &after), 0);
    CHECK_EQ(after.sa_handler, before.sa_handler);
    wi_watchdog_close(&t.dog);
}

CASE(watchdog_without_a_thread_leaves_nothing)
{
    process_in_child(go_without, NULL);
}
