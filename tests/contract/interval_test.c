/* SPDX-License-Identifier: MIT */
/*
 * Intervals: no tick early, none lost, none counted twice, no drift. Late ticks are made by starting
 * the grid in the past, with a period that is far longer than the case; so they are counted exactly,
 * however busy the machine is.
 */
#include <errno.h>

#include "check.h"
#include "support/net.h"

enum { LATE = 10 };

static const weir_ns HOUR = 3600 * WEIR_SEC;

/* An interval whose last LATE ticks and the one at `*base` are due. */
static void start_late(struct weir_interval *interval, enum weir_missed missed, weir_ns *base)
{
    CHECK_EQ(weir_interval_start(interval, HOUR, missed), 0);
    *base = weir_now();
    weir_interval_reset_at(interval, *base - LATE * HOUR);
}

/* ---- ticking ---- */

static int tick_in_time(void *arg)
{
    const enum weir_missed *missed = arg;
    struct weir_interval interval;
    const weir_ns period = 300 * WEIR_US + 7;
    weir_ns start = weir_now();
    CHECK_EQ(weir_interval_start(&interval, period, *missed), 0);
    weir_ns first = weir_interval_next(&interval);
    CHECK_GE(first, start + period);
    CHECK_LE(first, weir_now() + period);
    int64_t ticks = 0;
    for (int i = 0; i < 20; i++) {
        weir_ns due = weir_interval_next(&interval);
        int64_t more = weir_interval_wait(&interval);
        CHECK_GT(more, 0);
        CHECK_GE(weir_now(), due); /* I9 */
        ticks += more;
        if (*missed == WEIR_DELAY)
            CHECK_GE(weir_interval_next(&interval), due + period);
        else
            CHECK_EQ(weir_interval_next(&interval), first + ticks * period);
    }
    return 0;
}

CASE(interval_ticks_on_its_grid_and_never_early)
{
    for (enum weir_missed missed = WEIR_BURST; missed <= WEIR_DELAY; missed++)
        CHECK_EQ(net_run(tick_in_time, &missed), 0);
}

static int tick_at_once(void *arg)
{
    struct weir_interval interval;
    (void)arg;
    CHECK_EQ(weir_interval_start(&interval, HOUR, WEIR_BURST), 0);
    weir_ns first = weir_now();
    weir_interval_reset_at(&interval, first);
    CHECK_EQ(weir_interval_wait(&interval), 1);
    CHECK_EQ(weir_interval_next(&interval), first + HOUR);
    weir_ns soon = weir_now() + WEIR_MS;
    weir_interval_reset_at(&interval, soon);
    CHECK_EQ(weir_interval_wait(&interval), 1);
    CHECK_GE(weir_now(), soon);
    CHECK_EQ(weir_interval_next(&interval), soon + HOUR);
    return 0;
}

CASE(interval_may_have_its_first_tick_at_any_instant)
{
    CHECK_EQ(net_run(tick_at_once, NULL), 0);
}

static int reset(void *arg)
{
    struct weir_interval interval;
    weir_ns base;
    (void)arg;
    start_late(&interval, WEIR_BURST, &base);
    weir_interval_reset(&interval);
    CHECK_GE(weir_interval_next(&interval), base + HOUR);
    WEIR_WITHIN(WEIR_MS);
    CHECK_EQ(weir_interval_wait(&interval), -ETIMEDOUT);
    return 0;
}

CASE(interval_that_is_reset_forgets_what_was_missed)
{
    CHECK_EQ(net_run(reset, NULL), 0);
}

/* ---- missed ticks (TM6) ---- */

static int burst(void *arg)
{
    struct weir_interval interval;
    weir_ns base;
    (void)arg;
    start_late(&interval, WEIR_BURST, &base);
    for (int i = -LATE; i <= 0; i++) {
        CHECK_EQ(weir_interval_next(&interval), base + i * HOUR);
        CHECK_EQ(weir_interval_wait(&interval), 1);
    }
    CHECK_EQ(weir_interval_next(&interval), base + HOUR);
    return 0;
}

CASE(interval_burst_delivers_every_missed_tick)
{
    CHECK_EQ(net_run(burst, NULL), 0);
}

static int skip(void *arg)
{
    struct weir_interval interval;
    weir_ns base;
    (void)arg;
    start_late(&interval, WEIR_SKIP, &base);
    CHECK_EQ(weir_interval_wait(&interval), LATE + 1);
    CHECK_EQ(weir_interval_next(&interval), base + HOUR);
    weir_interval_reset_at(&interval, base - HOUR / 2); /* half a period late: none is missed */
    CHECK_EQ(weir_interval_wait(&interval), 1);
    CHECK_EQ(weir_interval_next(&interval), base + HOUR / 2);
    return 0;
}

CASE(interval_skip_delivers_missed_ticks_as_one_and_keeps_the_grid)
{
    CHECK_EQ(net_run(skip, NULL), 0);
}

static int delay(void *arg)
{
    struct weir_interval interval;
    weir_ns base;
    (void)arg;
    start_late(&interval, WEIR_DELAY, &base);
    CHECK_EQ(weir_interval_wait(&interval), 1);
    CHECK_GE(weir_interval_next(&interval), base + HOUR);
    CHECK_LE(weir_interval_next(&interval), weir_now() + HOUR);
    return 0;
}

CASE(interval_delay_drops_missed_ticks_and_starts_the_grid_anew)
{
    CHECK_EQ(net_run(delay, NULL), 0);
}

static int drift(void *arg)
{
    enum { TICKS = 1000000 };
    const weir_ns period = 1777;
    struct weir_interval interval;
    int64_t ticks = 0, waits = 0;
    (void)arg;
    CHECK_EQ(weir_interval_start(&interval, period, WEIR_BURST), 0);
    weir_ns base = weir_now() - TICKS * period;
    weir_interval_reset_at(&interval, base);
    for (; ticks < TICKS; ticks++)
        CHECK_EQ(weir_interval_wait(&interval), 1);
    CHECK_EQ(weir_interval_next(&interval), base + TICKS * period);

    CHECK_EQ(weir_interval_start(&interval, period, WEIR_SKIP), 0);
    base = weir_now() - TICKS * period;
    weir_interval_reset_at(&interval, base);
    for (ticks = 0; ticks < TICKS + 1000; waits++) {
        int64_t more = weir_interval_wait(&interval);
        CHECK_GT(more, 0);
        ticks += more;
        CHECK_EQ(weir_interval_next(&interval), base + ticks * period);
    }
    CHECK_LE(waits, 1001);
    return 0;
}

CASE(interval_does_not_drift_over_a_million_ticks)
{
    CHECK_EQ(net_run(drift, NULL), 0);
}

/* ---- interruption ---- */

static int interrupt(void *arg)
{
    struct weir_interval interval;
    (void)arg;
    CHECK_EQ(weir_interval_start(&interval, 5 * WEIR_MS, WEIR_SKIP), 0);
    weir_ns due = weir_interval_next(&interval);
    {
        WEIR_WITHIN(WEIR_MS);
        CHECK_EQ(weir_interval_wait(&interval), -ETIMEDOUT);
        CHECK_EQ(weir_interval_next(&interval), due);
        weir_interval_reset_at(&interval, due - 5 * WEIR_MS); /* due, but not for who has no time */
        CHECK_EQ(weir_interval_wait(&interval), -ETIMEDOUT);
        CHECK_EQ(weir_interval_next(&interval), due - 5 * WEIR_MS);
    }
    CHECK_GE(weir_interval_wait(&interval), 1);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        weir_scope_cancel(&scope);
        CHECK_EQ(weir_interval_wait(&interval), -ECANCELED);
    }
    return weir_yield();
}

CASE(interval_wait_that_is_interrupted_leaves_the_tick)
{
    CHECK_EQ(net_run(interrupt, NULL), 0);
}

static int count_turns(void *arg)
{
    unsigned *turns = arg;
    int rc = 0;
    for (; rc == 0; rc = weir_yield())
        ++*turns;
    return rc;
}

static int catch_up(void *arg)
{
    struct weir_interval interval;
    unsigned turns = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, count_turns, &turns), 0);
    CHECK_EQ(weir_interval_start(&interval, 1, WEIR_BURST), 0);
    weir_interval_reset_at(&interval, weir_now() - HOUR);
    for (int i = 0; i < 64 * 10; i++)
        CHECK_EQ(weir_interval_wait(&interval), 1);
    CHECK_GE(turns, 9);
    return 0;
}

CASE(interval_that_catches_up_lets_others_run)
{
    CHECK_EQ(net_run(catch_up, NULL), 0);
}

/* ---- arguments ---- */

static int wait_unstarted(void *arg)
{
    struct weir_interval interval = {{0}};
    (void)arg;
    CHECK_EQ(weir_interval_wait(&interval), -EINVAL);
    CHECK_EQ(weir_interval_start(&interval, HOUR, WEIR_SKIP), 0);
    CHECK_EQ(weir_interval_start(&interval, 0, WEIR_SKIP), -EINVAL);
    CHECK_EQ(weir_interval_wait(&interval), -EINVAL);
    CHECK_EQ(weir_interval_start(&interval, -1, WEIR_SKIP), -EINVAL);
    CHECK_EQ(weir_interval_start(&interval, INT64_MIN, WEIR_BURST), -EINVAL);
    CHECK_EQ(weir_interval_start(&interval, HOUR, (enum weir_missed)(WEIR_DELAY + 1)), -EINVAL);
    CHECK_EQ(weir_interval_start(&interval, HOUR, (enum weir_missed) - 1), -EINVAL);
    CHECK_EQ(weir_interval_wait(&interval), -EINVAL);
    return 0;
}

CASE(interval_without_a_period_is_refused)
{
    CHECK_EQ(net_run(wait_unstarted, NULL), 0);
}

static int be_extreme(void *arg)
{
    struct weir_interval interval;
    (void)arg;
    CHECK_EQ(weir_interval_start(&interval, 1, WEIR_SKIP), 0);
    weir_interval_reset_at(&interval, INT64_MIN);
    CHECK_EQ(weir_interval_wait(&interval), INT64_MAX); /* as many as can be said */
    CHECK_LE(weir_interval_next(&interval), weir_now() + 1);
    for (enum weir_missed missed = WEIR_BURST; missed <= WEIR_DELAY; missed++) {
        CHECK_EQ(weir_interval_start(&interval, WEIR_FOREVER, missed), 0);
        CHECK_EQ(weir_interval_next(&interval), WEIR_FOREVER);
        weir_interval_reset_at(&interval, weir_now());
        CHECK_EQ(weir_interval_wait(&interval), 1);
        CHECK_EQ(weir_interval_next(&interval), WEIR_FOREVER);
        WEIR_WITHIN(WEIR_MS);
        CHECK_EQ(weir_interval_wait(&interval), -ETIMEDOUT);
    }
    return 0;
}

/* TM4 */
CASE(interval_of_extreme_periods_and_instants_neither_overflows_nor_ticks_early)
{
    CHECK_EQ(net_run(be_extreme, NULL), 0);
}
