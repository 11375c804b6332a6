/* SPDX-License-Identifier: MIT */
/*
 * meeting -- channels and events, inside weir_run: one item, there and back; one wake of a parked task,
 * with the switch to it.
 */
#include "base/clock.h"
#include "base/require.h"
#include "micro.h"
#include "weir.h"

#include <errno.h>

enum { ITEMS = 200000, MEETINGS = 100000, CAPACITY = 64 };

static uint64_t items[CAPACITY];

static void open_chan(struct weir_chan *chan, size_t capacity)
{
    int rc = weir_chan_open(chan, items, sizeof *items, capacity);
    wi_assert(rc == 0);
}

/* ---- one task: nobody waits ---- */

static double try_slice(void *arg)
{
    struct weir_chan chan;
    int rc = 0;
    uint64_t sum = 0, out = 0;
    (void)arg;
    open_chan(&chan, CAPACITY);
    weir_ns start = wi_clock_now();
    for (uint64_t in = 0; in < ITEMS; in++) {
        rc |= weir_chan_try_send(&chan, &in);
        rc |= weir_chan_try_recv(&chan, &out);
        sum += out;
    }
    double elapsed = (double)(wi_clock_now() - start);
    wi_assert(rc == 0 && sum == (uint64_t)ITEMS * (ITEMS - 1) / 2);
    return elapsed / ITEMS;
}

static double inline_slice(void *arg)
{
    struct weir_chan chan;
    int rc = 0;
    uint64_t sum = 0, out = 0;
    (void)arg;
    open_chan(&chan, CAPACITY);
    weir_ns start = wi_clock_now();
    for (uint64_t in = 0; in < ITEMS; in++) {
        rc |= weir_chan_send(&chan, &in);
        rc |= weir_chan_recv(&chan, &out);
        sum += out;
    }
    double elapsed = (double)(wi_clock_now() - start);
    wi_assert(rc == 0 && sum == (uint64_t)ITEMS * (ITEMS - 1) / 2);
    return elapsed / ITEMS;
}

/* ---- two tasks: both sides wait, every `capacity` items ---- */

static int produce(void *arg)
{
    int rc = 0;
    for (uint64_t in = 0; in < ITEMS; in++)
        rc |= weir_chan_send(arg, &in);
    weir_chan_close(arg);
    return rc;
}

static double pair_slice(void *arg)
{
    struct weir_chan chan;
    uint64_t sum = 0, out = 0;
    int rc;
    open_chan(&chan, *(const size_t *)arg);
    weir_ns start = wi_clock_now();
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        rc = weir_spawn(&scope, produce, &chan);
        wi_assert(rc == 0);
        while ((rc = weir_chan_recv(&chan, &out)) == 0)
            sum += out;
    }
    double elapsed = (double)(wi_clock_now() - start);
    wi_assert(rc == -EPIPE && sum == (uint64_t)ITEMS * (ITEMS - 1) / 2);
    return elapsed / ITEMS;
}

/* ---- two tasks wake each other: each time a set, a clear, a wait that parks, and a switch ---- */

struct pair {
    struct weir_event event[2];
};

static int answer(void *arg)
{
    struct pair *pair = arg;
    int rc = 0;
    while (rc == 0) {
        rc = weir_event_wait(&pair->event[1]);
        weir_event_clear(&pair->event[1]);
        weir_event_set(&pair->event[0]);
    }
    return rc;
}

static double event_slice(void *arg)
{
    struct pair pair = {{{{0}}}};
    int rc = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    rc |= weir_spawn(&scope, answer, &pair);
    rc |= weir_yield();
    weir_ns start = wi_clock_now();
    for (int i = 0; i < MEETINGS / 2; i++) {
        rc |= weir_event_set(&pair.event[1]);
        rc |= weir_event_wait(&pair.event[0]);
        rc |= weir_event_clear(&pair.event[0]);
    }
    double elapsed = (double)(wi_clock_now() - start);
    wi_assert(rc == 0);
    return elapsed / MEETINGS;
}

/* ---- the same, but who sets goes on by yielding: two switches between unlike waits ---- */

static int wait_again_and_again(void *arg)
{
    int rc = 0;
    while (rc == 0) {
        rc = weir_event_wait(arg);
        weir_event_clear(arg);
    }
    return rc;
}

static double yield_slice(void *arg)
{
    struct weir_event event = {{0}};
    int rc = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    rc |= weir_spawn(&scope, wait_again_and_again, &event);
    rc |= weir_yield();
    weir_ns start = wi_clock_now();
    for (int i = 0; i < MEETINGS; i++) {
        rc |= weir_event_set(&event);
        rc |= weir_yield();
    }
    double elapsed = (double)(wi_clock_now() - start);
    wi_assert(rc == 0 && !weir_event_is_set(&event));
    return elapsed / MEETINGS;
}

static int run_all(void *arg)
{
    size_t one = 1, many = CAPACITY;
    (void)arg;
    micro_measure("chan.try", 15, ITEMS, try_slice, NULL);
    micro_measure("chan.inline", 15, ITEMS, inline_slice, NULL);
    micro_measure("chan.tasks.64", 15, ITEMS, pair_slice, &many);
    micro_measure("chan.tasks.1", 0, ITEMS, pair_slice, &one);
    micro_measure("event.set.wait", 30, MEETINGS, event_slice, NULL);
    micro_measure("event.set.yield", 0, MEETINGS, yield_slice, NULL);
    return 0;
}

void bench_meeting(void)
{
    int rc = weir_run(NULL, run_all, NULL);
    wi_assert(rc == 0);
}
