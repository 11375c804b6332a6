/* SPDX-License-Identifier: MIT */
/*
 * tasks -- taking turns, spawning, joining, deadlines: inside weir_run, with everything that the
 * loop does between, and with the mallocs that it did after warming up.
 */
#include "base/clock.h"
#include "base/require.h"
#include "micro.h"
#include "task/core.h"
#include "weir.h"

#include <string.h>

enum { YIELDS = 400000, SPAWNS = 100000, BATCH = 64, ALARMS = 100000 };

typedef double slice(void *arg); /* runs one slice, gives the nanoseconds of one operation */

static uint64_t mallocs; /* of all slices but the first ones */

static void measure(const char *name, double target, slice *fn, void *arg)
{
    struct micro figure = {.name = name, .unit = "ns", .target = target};
    (void)fn(arg);
    uint64_t before = micro_mallocs();
    for (unsigned run = 0; run < micro_runs; run++)
        micro_add(&figure, fn(arg));
    mallocs += micro_mallocs() - before;
    micro_report(&figure);
}

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
    if (!micro_wanted(name))
        return;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (unsigned i = 1; i < tasks; i++)
        if (weir_spawn(&scope, go_round, &ring) < 0)
            wi_assert(!"spawn");
    measure(name, target, yield_slice, &ring);
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
    for (int i = 0; i < SPAWNS; i += BATCH) {
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

/* With what a sleep and a deadline have in common: the clock and the wheel. */
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

static void single(const char *name, double target, slice *fn)
{
    if (micro_wanted(name))
        measure(name, target, fn, NULL);
}

static int run_all(void *arg)
{
    (void)arg;
    yield_among("yield.16", 16, 8);
    yield_among("yield.4096", 4096, 15);
    single("spawn.run.exit", 20, spawn_slice);
    single("spawn.run.exit.join", 40, join_slice);
    single("sleep.add.remove", 0, alarm_slice);
    single("deadline.enter.leave", 0, deadline_slice);
    return 0;
}

void bench_tasks(void)
{
    mallocs = 0;
    int rc = weir_run(NULL, run_all, NULL);
    wi_assert(rc == 0);
    struct micro figure = {.name = "mallocs.after.warm-up", .unit = "calls", .target = 0.5};
    micro_add(&figure, (double)mallocs);
    if (micro_wanted(figure.name))
        micro_report(&figure);
}
