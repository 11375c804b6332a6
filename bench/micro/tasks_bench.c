/* SPDX-License-Identifier: MIT */
/*
 * tasks -- taking turns, spawning, joining, deadlines: inside weir_run, with everything that the
 * loop does between.
 */
#include "base/clock.h"
#include "base/require.h"
#include "micro.h"
#include "task/core.h"
#include "weir.h"

#include <stdlib.h>

enum {
    YIELDS = 400000,
    BATCH = 64,
    BATCHES = 1500,
    SPAWNS = BATCH * BATCHES,
    ALARMS = 100000,
    SLEEPERS = 100000
};

/* ---- a round of yields ---- */

struct ring {
    unsigned tasks; /* the one that measures among them */
    bool over;
};

static int go_round(void *arg)
{
    const struct ring *ring = arg;
    int rc = 0;
    while (rc == 0 && !ring->over)
        rc = weir_yield();
    return rc;
}

static double yield_slice(void *arg)
{
    const struct ring *ring = arg;
    unsigned rounds = YIELDS / ring->tasks;
    int rc = 0;
    weir_ns start = wi_clock_now();
    for (unsigned i = 0; i < rounds; i++)
        rc |= weir_yield();
    double elapsed = (double)(wi_clock_now() - start);
    wi_assert(rc == 0);
    return elapsed / ((double)rounds * ring->tasks);
}

static void yield_among(const char *name, unsigned tasks, double target)
{
    struct ring ring = {.tasks = tasks};
    if (!micro_measures(name))
        return;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (unsigned i = 1; i < tasks; i++)
        if (weir_spawn(&scope, go_round, &ring) < 0)
            wi_assert(!"spawn");
    micro_measure(name, target, YIELDS / tasks * tasks, yield_slice, &ring);
    ring.over = true;
    int rc = weir_scope_wait(&scope);
    wi_assert(rc == 0);
}

/* ---- spawning ---- */

static int end_at_once(void *arg)
{
    return arg != NULL;
}

static double spawn_slice(void *arg)
{
    int rc = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    weir_ns start = wi_clock_now();
    for (int i = 0; i < BATCHES; i++) {
        for (int k = 0; k < BATCH; k++)
            rc |= weir_spawn(&scope, end_at_once, NULL);
        rc |= weir_yield();
    }
    double elapsed = (double)(wi_clock_now() - start);
    wi_assert(rc == 0 && weir_scope_live(&scope) == 0);
    return elapsed / SPAWNS;
}

static double join_slice(void *arg)
{
    int rc = 0;
    (void)arg;
    weir_ns start = wi_clock_now();
    for (int i = 0; i < SPAWNS; i++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        rc |= weir_spawn(&scope, end_at_once, NULL);
        rc |= weir_scope_wait(&scope);
    }
    double elapsed = (double)(wi_clock_now() - start);
    wi_assert(rc == 0);
    return elapsed / SPAWNS;
}

/* ---- time ---- */

/* What a sleep and a deadline have in common: the clock and the wheel. */
static double alarm_slice(void *arg)
{
    struct wi_engine *engine = &wi_core_self->engine;
    struct wi_alarm alarm = {{{0}, 0}, NULL};
    (void)arg;
    weir_ns start = wi_clock_now();
    for (int i = 0; i < ALARMS; i++) {
        wi_alarm_set(engine, &alarm, wi_engine_after(engine, WEIR_SEC));
        wi_alarm_clear(engine, &alarm);
    }
    return (double)(wi_clock_now() - start) / ALARMS;
}

static double deadline_slice(void *arg)
{
    (void)arg;
    weir_ns start = wi_clock_now();
    for (int i = 0; i < ALARMS; i++) {
        WEIR_WITHIN(WEIR_SEC);
    }
    return (double)(wi_clock_now() - start) / ALARMS;
}

/* A task goes to sleep, is told not to wait, and is joined. */
static int sleep_long(void *arg)
{
    (void)arg;
    return weir_sleep(3600 * WEIR_SEC);
}

static double cancel_slice(void *arg)
{
    int rc = 0;
    (void)arg;
    weir_ns start = wi_clock_now();
    for (int i = 0; i < SPAWNS; i++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        rc |= weir_spawn(&scope, sleep_long, NULL);
        rc |= weir_yield();
        weir_scope_cancel(&scope);
        rc |= weir_scope_wait(&scope);
    }
    double elapsed = (double)(wi_clock_now() - start);
    wi_assert(rc == 0);
    return elapsed / SPAWNS;
}

/* So many sleeping tasks are cancelled at once: marked, woken, run, gone. Nothing blocks
 * in between, so what passes is processor time. */
static double cancel_all_slice(void *arg)
{
    int rc = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < SLEEPERS; i++)
        rc |= weir_spawn(&scope, sleep_long, NULL);
    rc |= weir_yield();
    weir_ns start = wi_clock_now();
    weir_scope_cancel(&scope);
    rc |= weir_scope_wait(&scope);
    double elapsed = (double)(wi_clock_now() - start);
    wi_assert(rc == 0);
    return elapsed / SLEEPERS;
}

/* One more deadline comes and goes among those of so many sleepers. Theirs are one to sixty minutes
 * away, so that nothing fires; the ones that come and go one to sixty seconds, as timeouts are. */
struct sleeper {
    struct wi_alarm alarm;
} __attribute__((aligned(64)));

static void overslept(struct wi_engine *engine, struct wi_alarm *alarm)
{
    (void)engine, (void)alarm;
    wi_assert(!"nothing fires here");
}

/* xorshift32 (Marsaglia 2003): cheaper than what is measured. One to sixty. */
static weir_ns draw(void)
{
    static uint32_t drawn = 1;
    drawn ^= drawn << 13;
    drawn ^= drawn >> 17;
    drawn ^= drawn << 5;
    return 1 + (weir_ns)(((uint64_t)drawn * 60) >> 32);
}

static double sleep_slice(void *arg)
{
    (void)arg;
    weir_ns start = wi_clock_now();
    for (int i = 0; i < ALARMS; i++) {
        WEIR_WITHIN(draw() * WEIR_SEC);
    }
    return (double)(wi_clock_now() - start) / ALARMS;
}

static void sleep_among(const char *name, unsigned sleepers)
{
    if (!micro_measures(name))
        return;
    struct wi_engine *engine = &wi_core_self->engine;
    struct sleeper *sleeper = aligned_alloc(64, sleepers * sizeof *sleeper);
    wi_assert(sleeper != NULL);
    for (unsigned i = 0; i < sleepers; i++) {
        sleeper[i].alarm = (struct wi_alarm){{{0}, 0}, overslept};
        weir_ns away = draw() * 60 * WEIR_SEC + (weir_ns)i * WEIR_US;
        wi_alarm_set(engine, &sleeper[i].alarm, wi_engine_after(engine, away));
    }
    micro_measure(name, 0, ALARMS, sleep_slice, NULL);
    for (unsigned i = 0; i < sleepers; i++)
        wi_alarm_clear(engine, &sleeper[i].alarm);
    free(sleeper);
}

static void single(const char *name, double target, unsigned operations, micro_slice *fn)
{
    micro_measure(name, target, operations, fn, NULL);
}

static int run_all(void *arg)
{
    (void)arg;
    yield_among("yield.alone", 1, 20);
    yield_among("yield.16", 16, 8);
    yield_among("yield.64", 64, 20);
    yield_among("yield.4096", 4096, 15);
    single("spawn.run.exit", 20, SPAWNS, spawn_slice);
    single("spawn.join", 40, SPAWNS, join_slice);
    single("alarm.set.clear", 0, ALARMS, alarm_slice);
    single("deadline.enter.leave", 0, ALARMS, deadline_slice);
    single("sleep.cancel.join", 0, SPAWNS, cancel_slice);
    single("cancel.sleeps", 1000, 0, cancel_all_slice);
    sleep_among("sleep.add.remove.1k", 1000);
    sleep_among("sleep.add.remove.100k", 100000);
    sleep_among("sleep.add.remove.1M", 1000000);
    return 0;
}

void bench_tasks(void)
{
    int rc = weir_run(NULL, run_all, NULL);
    wi_assert(rc == 0);
}
