/* SPDX-License-Identifier: MIT */
/*
 * The wheel against the simplest thing that is right: a sorted array. Some millions of random
 * operations from chosen starting points, with distances and clock steps that favour the boundaries
 * of slots and levels. A failure prints the seed of its round; rounds share nothing.
 */
#include "check.h"
#include "op/wheel.h"

#include <stdio.h>
#include <string.h>

enum { TIMERS = 256, OPERATIONS = 200000 };

struct model {
    struct wi_wheel wheel;
    struct wi_timer timer[TIMERS];
    unsigned pending[TIMERS]; /* numbers of timers by deadline, then by order of adding */
    unsigned count;
    weir_ns now;
    uint64_t random;
    uint64_t added, removed, idle_wakes;
    unsigned portion; /* of the wheel, or 0 for its own */
};

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t draw(struct model *m)
{
    uint64_t z = (m->random += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static unsigned draw_below(struct model *m, unsigned limit)
{
    return (unsigned)(draw(m) % limit);
}

static weir_ns add_saturated(weir_ns a, weir_ns b)
{
    weir_ns sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

/* An instant on, just before, just after or anywhere up to a power of two ahead, where a power of
 * 64 is a boundary of levels; some are relative to now and some are aligned. */
static weir_ns draw_instant(struct model *m, unsigned bits_max)
{
    unsigned bit = draw_below(m, bits_max);
    weir_ns span = INT64_C(1) << bit;
    weir_ns nudge = (weir_ns)draw_below(m, 5) - 2;
    switch (draw_below(m, 4)) {
    case 0:
        return add_saturated(add_saturated(m->now, span), nudge);
    case 1:
        return add_saturated(m->now | (span - 1), nudge);
    default:
        return add_saturated(m->now, (weir_ns)(draw(m) & (uint64_t)(span - 1)));
    }
}

static weir_ns draw_deadline(struct model *m)
{
    static const weir_ns extremes[] = {INT64_MIN, INT64_MIN + 1, -1,       0,
                                       1,         INT64_MAX - 1, INT64_MAX};
    unsigned kind = draw_below(m, 32);
    if (kind == 0)
        return extremes[draw_below(m, sizeof extremes / sizeof *extremes)];
    if (kind == 1)
        return add_saturated(m->now, -(weir_ns)(draw(m) >> (1 + draw_below(m, 63))));
    if (kind < 8 && m->count > 0) /* the deadline of another one */
        return m->timer[m->pending[draw_below(m, m->count)]].deadline;
    return draw_instant(m, kind < 16 ? 63 : 36);
}

static void model_arm(struct model *m, unsigned number)
{
    weir_ns deadline = draw_deadline(m);
    unsigned at = m->count++;
    for (; at > 0 && m->timer[m->pending[at - 1]].deadline > deadline; at--)
        m->pending[at] = m->pending[at - 1];
    m->pending[at] = number;
    wi_wheel_add(&m->wheel, &m->timer[number], deadline);
    m->added++;
}

static void model_add(struct model *m)
{
    unsigned number = draw_below(m, TIMERS);
    if (!wi_timer_armed(&m->timer[number]))
        model_arm(m, number);
}

/* Favours the earliest: its removal is what makes a slot inexact. */
static void model_remove(struct model *m)
{
    if (m->count == 0)
        return;
    unsigned at = draw_below(m, 4) == 0 ? 0 : draw_below(m, m->count);
    wi_wheel_remove(&m->wheel, &m->timer[m->pending[at]]);
    CHECK(!wi_timer_armed(&m->timer[m->pending[at]]));
    m->count--;
    memmove(&m->pending[at], &m->pending[at + 1], (m->count - at) * sizeof m->pending[0]);
    m->removed++;
}

/* What handlers do: one timer is disarmed by the handler of another, some are armed again while the
 * rest is still to be handled. */
static void model_handle(struct model *m, const unsigned *collected, unsigned count,
                         struct wi_list *due)
{
    unsigned skipped = draw_below(m, 8);
    if (skipped < count)
        wi_wheel_remove(&m->wheel, &m->timer[collected[skipped]]);
    for (unsigned i = 0; i < count; i++) {
        if (i == skipped)
            continue;
        CHECK_EQ(wi_list_pop_front(due), &m->timer[collected[i]].link);
        if (draw_below(m, 8) == 0)
            model_arm(m, collected[i]);
    }
    CHECK(wi_list_empty(due));
}

/* One portion: the first of those that are due, and all of them unless the portion is used up. */
static void model_expire(struct model *m)
{
    struct wi_list due;
    wi_list_init(&due);
    unsigned expected = 0, overdue = 0;
    uint64_t before = m->wheel.steps;
    for (; expected < m->count && m->timer[m->pending[expected]].deadline <= m->now; expected++)
        overdue += m->timer[m->pending[expected]].deadline < m->wheel.base;
    unsigned count = wi_wheel_expire(&m->wheel, m->now, &due);
    CHECK_LE(count, expected);
    CHECK_LE(m->wheel.steps - before, m->wheel.portion + overdue);
    if (count < expected) {
        CHECK_GE(m->wheel.steps - before, m->wheel.portion);
        CHECK_LE(wi_wheel_next(&m->wheel), m->now);
    }
    unsigned collected[TIMERS];
    memcpy(collected, m->pending, count * sizeof m->pending[0]);
    m->count -= count;
    memmove(m->pending, &m->pending[count], m->count * sizeof m->pending[0]);
    model_handle(m, collected, count, &due);
}

static void model_sleep(struct model *m)
{
    weir_ns next = wi_wheel_next(&m->wheel);
    if (next == WEIR_FOREVER)
        return;
    if (next > m->now) {
        m->now = next;
        m->idle_wakes += m->count == 0 || m->timer[m->pending[0]].deadline != next;
    }
    model_expire(m);
}

static void model_check(struct model *m)
{
    weir_ns earliest = m->count == 0 ? WEIR_FOREVER : m->timer[m->pending[0]].deadline;
    CHECK_LE(wi_wheel_next(&m->wheel), earliest);
    if (m->removed == 0 && earliest > m->now && m->portion == 0)
        CHECK_EQ(wi_wheel_next(&m->wheel), earliest);
    CHECK_LE(m->idle_wakes, m->removed);
    CHECK_LE(m->wheel.steps, 11 * m->added);
    if (draw_below(m, 16) == 0)
        CHECK_EQ(wi_wheel_audit(&m->wheel), m->count);
}

/* Shares of 16; what is left over is expiry after a step of the clock. */
struct mix {
    unsigned add, remove, sleep, step_bits_max, portion;
};

static void run_round(struct model *m, weir_ns start, struct mix mix, uint64_t seed)
{
    printf("seed %llu, start %lld\n", (unsigned long long)seed, (long long)start);
    *m = (struct model){.now = start, .random = seed, .portion = mix.portion};
    wi_wheel_init(&m->wheel, start);
    if (mix.portion > 0)
        m->wheel.portion = mix.portion;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        unsigned kind = draw_below(m, 16);
        if (kind < mix.add) {
            model_add(m);
        } else if (kind < mix.add + mix.remove) {
            model_remove(m);
        } else if (kind < mix.add + mix.remove + mix.sleep) {
            model_sleep(m);
        } else {
            weir_ns now = draw_instant(m, mix.step_bits_max);
            m->now = now > m->now ? now : m->now;
            model_expire(m);
        }
        model_check(m);
    }
}

static void run_rounds(struct mix mix, uint64_t first_seed)
{
    static const weir_ns starts[] = {0,
                                     1,
                                     -1,
                                     12345678901234,
                                     (INT64_C(1) << 42) - 5,
                                     -(INT64_C(1) << 50),
                                     INT64_MIN,
                                     INT64_MAX - (INT64_C(1) << 40)};
    static struct model m;
    for (unsigned i = 0; i < sizeof starts / sizeof *starts; i++)
        run_round(&m, starts[i], mix, first_seed + i);
}

CASE(wheel_agrees_with_a_sorted_list_while_timers_come_and_go)
{
    run_rounds((struct mix){.add = 8, .remove = 4, .sleep = 1, .step_bits_max = 24}, 100);
}

CASE(wheel_agrees_with_a_sorted_list_under_creeping_time)
{
    run_rounds((struct mix){.add = 3, .remove = 1, .sleep = 0, .step_bits_max = 10}, 200);
}

CASE(wheel_agrees_with_a_sorted_list_under_leaping_time)
{
    run_rounds((struct mix){.add = 10, .remove = 2, .sleep = 1, .step_bits_max = 40}, 300);
}

/* Nothing is removed, so each wake-up must find its timer. */
CASE(wheel_agrees_with_a_sorted_list_when_it_alone_wakes_the_loop)
{
    run_rounds((struct mix){.add = 8, .remove = 0, .sleep = 8, .step_bits_max = 1}, 400);
}

/* Timers come and go while a slot is still on its way down. */
CASE(wheel_agrees_with_a_sorted_list_portion_by_portion)
{
    run_rounds((struct mix){.add = 6, .remove = 2, .sleep = 2, .step_bits_max = 40, .portion = 1},
               500);
    run_rounds((struct mix){.add = 6, .remove = 2, .sleep = 4, .step_bits_max = 24, .portion = 3},
               600);
    run_rounds((struct mix){.add = 4, .remove = 0, .sleep = 8, .step_bits_max = 36, .portion = 7},
               700);
}
