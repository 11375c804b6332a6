/* SPDX-License-Identifier: MIT */
/*
 * Sleeping, and the clock that tasks see. Lower bounds are exact: nothing is over a nanosecond early
 * (I9). There are no upper bounds, because the machine may be busy; what hangs is ended by ctest.
 */
#include <errno.h>
#include <stdio.h>

#include "check.h"
#include "support/net.h"
#include "task/core.h"

static const weir_ns years30 = 30 * 365 * INT64_C(86400) * 1000000000;

static int park_until(void *arg)
{
    return weir_sleep_until(*(weir_ns *)arg);
}

/* ---- never early ---- */

static int sleep_often(void *arg)
{
    static const weir_ns span[] = {1,          2,           63,      64,          65,
                                   999,        4095,        4096,    65537,       262143,
                                   262144,     WEIR_MS - 1, WEIR_MS, WEIR_MS + 1, 2 * WEIR_MS + 7,
                                   3 * WEIR_MS};
    (void)arg;
    for (int round = 0; round < 4; round++) {
        for (unsigned i = 0; i < sizeof span / sizeof *span; i++) {
            weir_ns start = weir_now();
            CHECK_EQ(weir_sleep(span[i]), 0);
            CHECK_GE(weir_now(), start + span[i]);
            weir_ns until = weir_now() + span[i];
            CHECK_EQ(weir_sleep_until(until), 0);
            CHECK_GE(weir_now(), until);
        }
    }
    return 0;
}

/* TM1: a waiter that was woken early found that its time had not come and slept for ever. */
CASE(sleep_is_never_over_early_while_the_core_is_parked)
{
    CHECK_EQ(net_run(sleep_often, NULL), 0);
}

static int never_park(void *arg)
{
    (void)arg;
    int rc = 0;
    while ((rc = weir_yield()) == 0)
        continue;
    return rc;
}

static int sleep_beside_a_busy_task(void *arg)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, never_park, NULL), 0);
    return sleep_often(arg);
}

/* TM1 */
CASE(sleep_is_never_over_early_while_the_core_is_busy)
{
    CHECK_EQ(net_run(sleep_beside_a_busy_task, NULL), 0);
}

static int idle_then_short(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(weir_sleep(20 * WEIR_MS), 0); /* nothing else runs: the core's clock stands */
        weir_ns start = weir_now();
        CHECK_EQ(weir_sleep(100 * WEIR_US), 0);
        CHECK_GE(weir_now(), start + 100 * WEIR_US);
    }
    return 0;
}

/* TM5 */
CASE(sleep_after_a_long_idle_time_counts_from_now)
{
    CHECK_EQ(net_run(idle_then_short, NULL), 0);
}

/* ---- no time, and all the time ---- */

static int count_turns(void *arg)
{
    unsigned *turns = arg;
    int rc = 0;
    for (; rc == 0; rc = weir_yield())
        ++*turns;
    return rc;
}

static int sleep_no_time(void *arg)
{
    static const weir_ns none[] = {0, -1, -WEIR_SEC, INT64_MIN};
    unsigned turns = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, count_turns, &turns), 0);
    for (unsigned i = 0; i < sizeof none / sizeof *none; i++) {
        unsigned before = turns;
        CHECK_EQ(weir_sleep(none[i]), 0);
        CHECK_EQ(turns, before + 1);
    }
    return 0;
}

CASE(sleep_of_no_time_lets_every_other_task_run_once)
{
    CHECK_EQ(net_run(sleep_no_time, NULL), 0);
}

static int sleep_until_past(void *arg)
{
    const weir_ns past[] = {weir_now(), weir_now() - 1, 1, 0, -1, INT64_MIN};
    unsigned turns = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, count_turns, &turns), 0);
    for (unsigned i = 0; i < sizeof past / sizeof *past; i++) {
        unsigned before = turns;
        CHECK_EQ(weir_sleep_until(past[i]), 0);
        CHECK_GT(turns, before);
    }
    return 0;
}

CASE(sleep_until_the_past_lets_others_run)
{
    CHECK_EQ(net_run(sleep_until_past, NULL), 0);
}

static int sleep_for_ever(void *arg)
{
    weir_ns when[] = {WEIR_FOREVER, WEIR_FOREVER - 1, weir_now() + years30};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (unsigned i = 0; i < sizeof when / sizeof *when; i++)
        CHECK_EQ(weir_spawn(&scope, park_until, &when[i]), 0);
    CHECK_EQ(weir_sleep(3 * WEIR_MS), 0);
    CHECK_EQ(weir_scope_live(&scope), 3);
    {
        WEIR_WITHIN(WEIR_MS);
        CHECK_EQ(weir_sleep(WEIR_FOREVER), -ETIMEDOUT);
    }
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_sleep(WEIR_FOREVER), -ECANCELED);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    return 0;
}

/* TM4 */
CASE(sleep_for_ever_or_for_decades_ends_by_cancellation_only)
{
    CHECK_EQ(net_run(sleep_for_ever, NULL), 0);
}

/* ---- order ---- */

enum { SLEEPERS = 600 }; /* more than one portion of the wheel */

struct order {
    weir_ns start;
    unsigned asleep; /* before any was due */
    unsigned ended;
    unsigned place[SLEEPERS]; /* of whoever ended so */
};

struct sleeper {
    struct order *order;
    unsigned place;
};

static int end_in_place(void *arg)
{
    const struct sleeper *mine = arg;
    struct order *order = mine->order;
    order->asleep += weir_now() < order->start;
    CHECK_EQ(weir_sleep_until(order->start + (weir_ns)mine->place), 0);
    order->place[order->ended++] = mine->place;
    return 0;
}

static int sleep_in_order(void *arg)
{
    static struct sleeper sleeper[SLEEPERS];
    struct order *order = arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (unsigned i = 0; i < SLEEPERS; i++) { /* 7 and 600 have no common divisor */
        sleeper[i] = (struct sleeper){order, i * 7 % SLEEPERS};
        CHECK_EQ(weir_spawn(&scope, end_in_place, &sleeper[i]), 0);
    }
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(order->ended, SLEEPERS);
    return 0;
}

/* They lie a nanosecond apart, so that all of them are due in the same turn. On a machine so busy that
 * the first is due before the last sleeps, the next try has more time. */
CASE(sleeps_end_in_the_order_of_their_instants)
{
    static struct order order;
    for (weir_ns lead = 20 * WEIR_MS; order.asleep < SLEEPERS; lead *= 2) {
        CHECK_LE(lead, 30 * WEIR_SEC);
        order = (struct order){.start = weir_now() + lead};
        CHECK_EQ(net_run(sleep_in_order, &order), 0);
    }
    for (unsigned i = 0; i < SLEEPERS; i++)
        CHECK_EQ(order.place[i], i);
}

/* ---- what sleeping leaves behind ---- */

/* Counted page by page; the kernel's running totals may be some hundred pages behind. */
static long resident_kib(void)
{
    char line[256];
    long kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    CHECK_NE(file, NULL);
    while (kib == 0 && fgets(line, sizeof line, file) != NULL)
        (void)sscanf(line, "Rss: %ld", &kib);
    CHECK_EQ(fclose(file), 0);
    CHECK_GT(kib, 0);
    return kib;
}

static int wait_short_under_long(void *arg)
{
    (void)arg;
    long kib = 0;
    WEIR_WITHIN(30 * WEIR_SEC * 1000);
    for (int i = 0; i < NET_TIMES(10000000); i++) {
        WEIR_WITHIN(30 * WEIR_SEC);
        CHECK_EQ(weir_yield(), 0);
        if (i == 1000)
            kib = resident_kib();
    }
    if (!NET_SANITIZED)                      /* their own memory grows with what they watch */
        CHECK_LE(resident_kib(), kib + 512); /* a timer kept for each wait would be 240 MB */
    CHECK_EQ(wi_wheel_audit(&wi_core_self->engine.wheel), 1);
    return 0;
}

/* TM3 */
CASE(short_waits_under_a_long_deadline_take_no_memory)
{
    CHECK_EQ(net_run(wait_short_under_long, NULL), 0);
}

/* ---- the time of the turn ---- */

static int share_turn_time(void *arg)
{
    weir_ns *seen = arg;
    *seen = weir_turn_time();
    return 0;
}

static int tell_turn_time(void *arg)
{
    (void)arg;
    weir_ns seen = 0, last = weir_turn_time();
    for (int i = 0; i < 50; i++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        weir_ns until = weir_now() + 50 * WEIR_US;
        CHECK_EQ(weir_sleep_until(until), 0);
        weir_ns time = weir_turn_time();
        CHECK_GE(time, last);
        CHECK_GE(time, until); /* the sleep was found to be over in this turn */
        CHECK_LE(time, weir_now());
        CHECK_EQ(weir_spawn(&scope, share_turn_time, &seen), 0);
        CHECK_EQ(weir_yield(), 0); /* fewer tasks than a turn may run: the same turn */
        CHECK_EQ(seen, time);
        CHECK_EQ(weir_turn_time(), time);
        last = time;
    }
    return 0;
}

CASE(turn_time_is_one_instant_for_all_tasks_of_a_turn)
{
    CHECK_EQ(net_run(tell_turn_time, NULL), 0);
}

static int never_leave(void *arg)
{
    weir_ns start = weir_turn_time();
    (void)arg;
    while (weir_now() < start + WEIR_MS)
        continue;
    CHECK_EQ(weir_turn_time(), start); /* a task that computes does not see it pass */
    for (int i = 0; i < 1000 && weir_turn_time() == start; i++)
        CHECK_EQ(weir_yield(), 0);
    CHECK_GE(weir_turn_time(), start + WEIR_MS);
    return 0;
}

/* It was refreshed after some thousand tasks, in the runtime that it was taken from. */
CASE(turn_time_is_refreshed_every_turn_of_a_busy_core)
{
    CHECK_EQ(net_run(never_leave, NULL), 0);
}

CASE(turn_time_of_a_thread_without_a_runtime_is_now)
{
    weir_ns before = weir_now(), time = weir_turn_time();
    CHECK_GE(time, before);
    CHECK_LE(time, weir_now());
}

struct nap {
    weir_ns sleep, within;
    int rc;
};

static int take_nap(void *arg)
{
    struct nap *nap = arg;
    WEIR_WITHIN(nap->within);
    nap->rc = weir_sleep(nap->sleep);
    return 0;
}

static int stall(void *arg)
{
    weir_ns until = weir_now() + 6 * WEIR_MS;
    (void)arg;
    while (weir_now() < until)
        continue;
    return 0;
}

static int oversleep(void *arg)
{
    struct nap nap[] = {{.sleep = 2 * WEIR_MS, .within = WEIR_MS, .rc = 1},
                        {.sleep = WEIR_MS, .within = 2 * WEIR_MS, .rc = 1}};
    WEIR_SCOPE(scope, WEIR_ALL);
    (void)arg;
    CHECK_EQ(weir_spawn(&scope, take_nap, &nap[0]), 0);
    CHECK_EQ(weir_spawn(&scope, take_nap, &nap[1]), 0);
    CHECK_EQ(weir_spawn(&scope, stall, NULL), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(nap[0].rc, -ETIMEDOUT);
    CHECK_EQ(nap[1].rc, 0);
    return 0;
}

/* A core under another's load was over a second late, and a sleep of a second within a millisecond
 * came to its end: both were due in one turn, and only that the sleep was over was looked at. */
CASE(the_first_of_a_sleep_and_its_deadline_counts_also_when_both_are_late)
{
    CHECK_EQ(net_run(oversleep, NULL), 0);
}
