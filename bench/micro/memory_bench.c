/* SPDX-License-Identifier: MIT */
/*
 * memory -- what parked tasks cost: bytes of each at a hundred thousand, all of them at a million.
 *
 * Beside the million stands what the kernel alone takes for a page each: on a virtual machine whose
 * host has yet to find the memory this is most of it.
 */
#include "base/clock.h"
#include "base/pages.h"
#include "base/require.h"
#include "micro.h"
#include "weir.h"

enum { HUNDRED_THOUSAND = 100000, MILLION = 1000000, STACK_BYTES = 65536 };

struct crowd {
    unsigned tasks;
    double bytes;
    double seconds; /* until the last one was parked */
};

static int park(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_FOREVER);
}

static int park_crowd(void *arg)
{
    struct crowd *crowd = arg;
    double before = micro_resident();
    weir_ns start = wi_clock_now();
    WEIR_SCOPE(scope, WEIR_ALL);
    for (unsigned i = 0; i < crowd->tasks; i++)
        if (weir_spawn(&scope, park, NULL) < 0)
            return -1;
    int rc = weir_yield();
    crowd->seconds = (double)(wi_clock_now() - start) / 1e9;
    crowd->bytes = micro_resident() - before;
    weir_scope_cancel(&scope);
    return rc;
}

static struct crowd measure(unsigned tasks)
{
    struct crowd crowd = {.tasks = tasks};
    int rc = weir_run(NULL, park_crowd, &crowd);
    wi_assert(rc == 0);
    return crowd;
}

/* Seconds to touch one page of each of so many stacks that nobody uses. */
static double touch(unsigned stacks)
{
    void *start;
    size_t bytes = (size_t)stacks * STACK_BYTES;
    int rc = wi_pages_reserve(bytes, &start);
    wi_assert(rc == 0);
    weir_ns began = wi_clock_now();
    for (size_t at = 0; at < bytes; at += STACK_BYTES)
        ((volatile char *)start)[at] = 1;
    double seconds = (double)(wi_clock_now() - began) / 1e9;
    wi_pages_release(start, bytes);
    return seconds;
}

static void report(const char *name, const char *unit, double target, double value)
{
    struct micro figure = {.name = name, .unit = unit, .target = target};
    micro_add(&figure, value);
    micro_report(&figure);
}

void bench_memory(void)
{
    if (micro_wanted("parked.100k.each"))
        report("parked.100k.each", "bytes", 4.6 * 1024,
               measure(HUNDRED_THOUSAND).bytes / HUNDRED_THOUSAND);
    if (!micro_wanted_any("parked.1M"))
        return;
    report("parked.1M.pages.alone", "s", 0, touch(MILLION));
    struct crowd million = measure(MILLION);
    report("parked.1M.created", "s", 4, million.seconds);
    report("parked.1M.all", "GB", 4.4, million.bytes / 1e9);
}
