/* SPDX-License-Identifier: MIT */
/*
 * wheel -- what the timer wheel costs.
 *
 * Every timer lies in a cache line of its own, as one embedded in an op or a task does, and the one
 * that is touched next is drawn at random: at a million the figures are mostly cache misses. The
 * heap beside it is a 4-ary one with the deadlines in its array, given the same draws. The floor is
 * what the memory alone takes: a random line is read, and two others that it names are written.
 *
 * The timer figures are the same through the interface of tasks, with so many deadlines of the task
 * pending besides: entering and leaving one more, and one turn of the loop, with its system call, by
 * a sleep of a nanosecond.
 */
#include "base/clock.h"
#include "base/require.h"
#include "micro.h"
#include "op/wheel.h"
#include "weir.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 5, TURNS = 2000000, DRAWS = 200000, MILLION = 1000000 };

struct owner {
    struct wi_timer timer;
    uint32_t at; /* its place in the heap */
} __attribute__((aligned(64)));

struct entry {
    weir_ns deadline;
    struct owner *owner;
};

static struct owner *owners;
static struct entry *heap; /* [0..heap_count), the children of i are 4i+1 .. 4i+4 */
static uint32_t heap_count;
static uint32_t drawn = 1;

/* xorshift32 (Marsaglia 2003): cheaper than what is measured. */
static uint32_t draw(uint32_t limit)
{
    drawn ^= drawn << 13;
    drawn ^= drawn >> 17;
    drawn ^= drawn << 5;
    return (uint32_t)(((uint64_t)drawn * limit) >> 32);
}

/* Within one to sixty seconds, as request and idle timeouts are. */
static weir_ns draw_deadline(weir_ns now)
{
    return now + WEIR_SEC + (weir_ns)draw(UINT32_MAX) * 59 / 4;
}

static double best_of(double best, weir_ns elapsed, double operations)
{
    double each = (double)elapsed / operations;
    return best == 0 || each < best ? each : best;
}

/* The timers stand in the owners' memory, so many bytes apart. */
static struct wi_timer *timer_at(uint32_t i, size_t spacing)
{
    return (struct wi_timer *)(void *)((char *)owners + i * spacing);
}

static void fill(struct wi_wheel *wheel, uint32_t population, size_t spacing)
{
    wi_wheel_init(wheel, 0);
    for (uint32_t i = 0; i < population; i++) {
        wi_timer_init(timer_at(i, spacing));
        wi_wheel_add(wheel, timer_at(i, spacing), draw_deadline(0));
    }
}

/* The first of the runs warms up. */
static void wheel_rearm(struct micro *figure, uint32_t population, size_t spacing)
{
    static struct wi_wheel wheel;
    fill(&wheel, population, spacing);
    for (unsigned run = 0; run <= micro_runs; run++) {
        weir_ns start = wi_clock_now();
        for (int i = 0; i < DRAWS; i++) {
            struct wi_timer *timer = timer_at(draw(population), spacing);
            wi_wheel_remove(&wheel, timer);
            wi_wheel_add(&wheel, timer, draw_deadline(i));
        }
        if (run > 0)
            micro_add(figure, (double)(wi_clock_now() - start) / DRAWS);
    }
}

/* An expiry with nothing due and the question when to wake, as each turn of a busy core asks. */
static double wheel_idle_turn(uint32_t population)
{
    static struct wi_wheel wheel;
    struct wi_list due;
    double best = 0;
    wi_list_init(&due);
    for (int round = 0; round < ROUNDS; round++) {
        fill(&wheel, population, sizeof(struct owner));
        weir_ns start = wi_clock_now(), sum = 0;
        for (int i = 0; i < TURNS; i++) {
            sum += wi_wheel_expire(&wheel, i * INT64_C(100), &due);
            __asm__ volatile("" : : "r"(sum), "r"(wi_wheel_next(&wheel)) : "memory");
        }
        best = best_of(best, wi_clock_now() - start, TURNS);
    }
    return best;
}

struct drain {
    double each;    /* ns for each timer that fired, coming down the levels included */
    double longest; /* ns of the longest call */
};

/* Everything fires, in turns of 50 us. With a thousand timers this is mostly two readings of the
 * clock and whatever interrupted the call. */
static struct drain wheel_drain(uint32_t population)
{
    static struct wi_wheel wheel;
    struct wi_list due;
    struct drain best = {0};
    wi_list_init(&due);
    for (int round = 0; round < ROUNDS; round++) {
        fill(&wheel, population, sizeof(struct owner));
        weir_ns longest = 0, total = 0;
        for (weir_ns now = 0; wi_wheel_next(&wheel) != WEIR_FOREVER; now += 50 * WEIR_US) {
            weir_ns start = wi_clock_now();
            unsigned count = wi_wheel_expire(&wheel, now, &due);
            weir_ns elapsed = wi_clock_now() - start;
            total += count > 0 || elapsed > WEIR_US ? elapsed : 0;
            longest = elapsed > longest ? elapsed : longest;
            while (wi_list_pop_front(&due) != NULL)
                continue;
        }
        best.each = best_of(best.each, total, population);
        best.longest = best_of(best.longest, longest, 1);
    }
    return best;
}

static void heap_put(uint32_t at, struct entry entry)
{
    heap[at] = entry;
    entry.owner->at = at;
}

static void heap_rise(uint32_t at, struct entry entry)
{
    for (; at > 0 && heap[(at - 1) / 4].deadline > entry.deadline; at = (at - 1) / 4)
        heap_put(at, heap[(at - 1) / 4]);
    heap_put(at, entry);
}

static void heap_sink(uint32_t at, struct entry entry)
{
    for (;;) {
        uint32_t least = 4 * at + 1, end = 4 * at + 5;
        if (least >= heap_count)
            break;
        for (uint32_t child = least + 1; child < end && child < heap_count; child++)
            least = heap[child].deadline < heap[least].deadline ? child : least;
        if (heap[least].deadline >= entry.deadline)
            break;
        heap_put(at, heap[least]);
        at = least;
    }
    heap_put(at, entry);
}

static void heap_remove(struct owner *owner)
{
    uint32_t at = owner->at;
    weir_ns removed = heap[at].deadline;
    struct entry last = heap[--heap_count];
    if (last.owner == owner)
        return;
    if (last.deadline < removed)
        heap_rise(at, last);
    else
        heap_sink(at, last);
}

static void heap_add(struct owner *owner, weir_ns deadline)
{
    heap_rise(heap_count++, (struct entry){deadline, owner});
}

static void heap_rearm(struct micro *figure, uint32_t population, size_t spacing)
{
    (void)spacing;
    heap_count = 0;
    for (uint32_t i = 0; i < population; i++)
        heap_add(&owners[i], draw_deadline(0));
    for (unsigned run = 0; run <= micro_runs; run++) {
        weir_ns start = wi_clock_now();
        for (int i = 0; i < DRAWS; i++) {
            struct owner *owner = &owners[draw(population)];
            heap_remove(owner);
            heap_add(owner, draw_deadline(i));
        }
        if (run > 0)
            micro_add(figure, (double)(wi_clock_now() - start) / DRAWS);
    }
}

/* Two stores that depend on a load, three lines that no cache holds. */
static double memory_floor(uint32_t population)
{
    double best = 0;
    for (uint32_t i = 0; i < population; i++) {
        owners[i].timer.link.next = &owners[draw(population)].timer.link;
        owners[i].timer.link.prev = &owners[draw(population)].timer.link;
    }
    for (int round = 0; round < ROUNDS; round++) {
        weir_ns start = wi_clock_now();
        for (int i = 0; i < DRAWS; i++) {
            struct wi_timer *timer = &owners[draw(population)].timer;
            timer->deadline = i;
            wi_container_of(timer->link.next, struct wi_timer, link)->deadline = i;
            wi_container_of(timer->link.prev, struct wi_timer, link)->deadline = i;
        }
        best = best_of(best, wi_clock_now() - start, DRAWS);
    }
    return best;
}

typedef void rearm(struct micro *figure, uint32_t population, size_t spacing);

static bool named(char name[64], const char *what, const char *size)
{
    (void)snprintf(name, 64, "wheel.%s.%s", what, size);
    return micro_wanted(name);
}

static void report_rearm(const char *what, const char *size, double target, rearm *fn,
                         uint32_t population, size_t spacing)
{
    char name[64];
    struct micro figure = {.name = name, .unit = "ns", .target = target, .operations = DRAWS};
    if (!named(name, what, size))
        return;
    fn(&figure, population, spacing);
    micro_report(&figure);
}

static void report(const char *what, const char *size, const char *unit, double value)
{
    char name[64];
    struct micro figure = {.name = name, .unit = unit};
    if (!named(name, what, size))
        return;
    micro_add(&figure, value);
    micro_report(&figure);
}

static void measure(uint32_t population, const char *size, double target)
{
    char name[64];
    report_rearm("add.remove", size, target, wheel_rearm, population, sizeof(struct owner));
    report_rearm("packed.add.remove", size, 0, wheel_rearm, population, sizeof(struct wi_timer));
    report_rearm("heap4.add.remove", size, 0, heap_rearm, population, sizeof(struct owner));
    if (named(name, "memory.floor", size))
        report("memory.floor", size, "ns", memory_floor(population));
    if (named(name, "nothing.due", size))
        report("nothing.due", size, "ns", wheel_idle_turn(population));
    if (!named(name, "expire.each", size) && !named(name, "expire.longest", size))
        return;
    struct drain drain = wheel_drain(population);
    report("expire.each", size, "ns", drain.each);
    report("expire.longest", size, "us", drain.longest / 1000);
}

/* ---- through tasks ---- */

static double deadline_pair(void)
{
    enum { PAIRS = DRAWS / 4 };
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        weir_ns start = weir_now();
        for (int i = 0; i < PAIRS; i++) {
            WEIR_WITHIN(WEIR_SEC + i);
        }
        best = best_of(best, weir_now() - start, PAIRS);
    }
    return best;
}

static double turn(void)
{
    enum { SLEEPS = 20000 };
    double best = 0;
    for (int round = 0; round < 3 * ROUNDS; round++) {
        weir_ns start = weir_now();
        int rc = 0;
        for (int i = 0; i < SLEEPS; i++)
            rc |= weir_sleep(1);
        best = best_of(best, weir_now() - start, SLEEPS);
        wi_assert(rc == 0);
    }
    return best;
}

static void report_timer(const char *what, const char *size, double value)
{
    char name[64];
    (void)snprintf(name, sizeof name, "timer.%s.%s", what, size);
    if (!micro_wanted(name))
        return;
    struct micro figure = {.name = name, .unit = "ns"};
    micro_add(&figure, value);
    micro_report(&figure);
}

/* So many deadlines, none of which passes while this runs. */
static void with_pending(uint32_t population, const char *size)
{
    struct weir_deadline *pending = malloc((population + 1) * sizeof *pending);
    wi_assert(pending != NULL);
    for (uint32_t i = 0; i < population; i++)
        weir_deadline_enter(&pending[i], 1000 * draw_deadline(0));
    report_timer("deadline.pair", size, deadline_pair());
    report_timer("turn", size, turn());
    for (uint32_t i = population; i-- > 0;)
        weir_deadline_leave(&pending[i]);
    free(pending);
}

static int measure_tasks(void *arg)
{
    (void)arg;
    with_pending(0, "0");
    with_pending(1000, "1k");
    with_pending(100000, "100k");
    with_pending(MILLION, "1M");
    return 0;
}

static void bench_timers(void)
{
    if (micro_wanted_any("timer"))
        wi_assert(weir_run(NULL, measure_tasks, NULL) == 0);
}

void bench_wheel(void)
{
    bench_timers();
    if (!micro_wanted_any("wheel"))
        return;
    owners = aligned_alloc(64, MILLION * sizeof *owners);
    heap = malloc(MILLION * sizeof *heap);
    wi_assert(owners != NULL && heap != NULL);
    measure(1000, "1k", 15);
    measure(100000, "100k", 25);
    measure(MILLION, "1M", 50);
    free(heap);
    free(owners);
}
