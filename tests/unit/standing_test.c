/* SPDX-License-Identifier: MIT */
/* When one kernel timer stands in for the limits of waits: the rule, case by case and by chance. */
#include <stdlib.h>

#include "backend/standing.h"
#include "check.h"

#define FAR WI_STANDING_FAR

enum { NONE, LIMIT, SET }; /* what a wait has: nothing of its own, a limit, a new alarm */

/* What a backend does, with a kernel that always obeys. */
static int wait_of(struct wi_standing *standing, weir_ns now, weir_ns until)
{
    if (wi_standing_covers(standing, until))
        return NONE;
    if (!wi_standing_wants(standing, now, until))
        return LIMIT;
    wi_standing_set(standing, until);
    return SET;
}

/* ---- the rule ---- */

struct step {
    weir_ns now, until;
    int wait;
    weir_ns alarm; /* afterwards */
};

static void follow(const struct step *step, unsigned count)
{
    struct wi_standing standing;
    wi_standing_init(&standing);
    for (unsigned i = 0; i < count; i++) {
        CHECK_EQ(wait_of(&standing, step[i].now, step[i].until), step[i].wait);
        CHECK_EQ(standing.alarm, step[i].alarm);
    }
}

#define FOLLOW(...)                                       \
    do {                                                  \
        static const struct step steps[] = {__VA_ARGS__}; \
        follow(steps, sizeof steps / sizeof *steps);      \
    } while (0)

CASE(waits_without_an_end_need_no_alarm)
{
    FOLLOW({0, WEIR_FOREVER, NONE, WEIR_FOREVER}, {5, WEIR_FOREVER, NONE, WEIR_FOREVER});
}

CASE(near_and_past_limits_are_exact)
{
    FOLLOW({0, FAR - 1, LIMIT, WEIR_FOREVER}, {100, 99, LIMIT, WEIR_FOREVER},
           {100, 100, LIMIT, WEIR_FOREVER}, {100, INT64_MIN + 1, LIMIT, WEIR_FOREVER},
           {0, FAR, SET, FAR});
}

CASE(instants_at_the_ends_of_time_do_not_overflow)
{
    FOLLOW({1, INT64_MIN, LIMIT, WEIR_FOREVER}, {1, WEIR_FOREVER - 1, SET, WEIR_FOREVER - 1},
           {2, INT64_MIN, LIMIT, WEIR_FOREVER - 1}, {2, WEIR_FOREVER, NONE, WEIR_FOREVER - 1});
}

/* One around a loop; and one entered and left around each receive. */
CASE(one_alarm_serves_all_waits_that_end_no_earlier)
{
    FOLLOW({0, 50 * FAR, SET, 50 * FAR}, {1, 50 * FAR, NONE, 50 * FAR},
           {2, 50 * FAR + 2, NONE, 50 * FAR}, {3, WEIR_FOREVER, NONE, 50 * FAR},
           {49 * FAR, 99 * FAR, NONE, 50 * FAR});
}

/* The first of the short ones comes at once after the long one, and is exact. */
CASE(short_deadlines_under_a_long_one_move_the_alarm_once)
{
    FOLLOW({0, 9000 * FAR, SET, 9000 * FAR}, {1, 50 * FAR, LIMIT, 9000 * FAR},
           {FAR - 1, 51 * FAR, LIMIT, 9000 * FAR}, {FAR, 51 * FAR, SET, 51 * FAR},
           {FAR + 1, 52 * FAR, NONE, 51 * FAR}, {FAR + 2, 9000 * FAR, NONE, 51 * FAR});
}

CASE(an_alarm_that_has_passed_unseen_still_counts)
{
    FOLLOW({0, 2 * FAR, SET, 2 * FAR}, {3 * FAR, 9 * FAR, NONE, 2 * FAR});
}

CASE(an_alarm_that_was_seen_is_set_again)
{
    struct wi_standing standing;
    wi_standing_init(&standing);
    CHECK_EQ(wait_of(&standing, 0, 2 * FAR), SET);
    wi_standing_over(&standing);
    CHECK_EQ(wait_of(&standing, 2 * FAR, 9 * FAR), SET);
    CHECK_EQ(standing.alarm, 9 * FAR);
}

/* As when there is no descriptor to be had. */
CASE(an_alarm_that_could_not_be_set_is_tried_again_later)
{
    struct wi_standing standing;
    wi_standing_init(&standing);
    CHECK(wi_standing_wants(&standing, 0, 9 * FAR));
    CHECK_EQ(wait_of(&standing, 1, 9 * FAR), LIMIT);
    CHECK_EQ(wait_of(&standing, FAR - 1, 9 * FAR), LIMIT);
    CHECK_EQ(wait_of(&standing, FAR, 9 * FAR + 1), SET);
}

CASE(a_banned_alarm_is_never_set)
{
    struct wi_standing standing;
    wi_standing_ban(&standing);
    CHECK_EQ(wait_of(&standing, 0, 9 * FAR), LIMIT);
    CHECK_EQ(wait_of(&standing, 9 * FAR, WEIR_FOREVER - 1), LIMIT);
    CHECK_EQ(wait_of(&standing, 9 * FAR, WEIR_FOREVER), NONE);
    CHECK_EQ(standing.sets, 0);
}

/* ---- by chance ---- */

/* A kernel with one timer, a core that waits, and what becomes of it. */
struct world {
    struct wi_standing standing;
    uint64_t random;
    weir_ns now;
    weir_ns timer; /* of the kernel: WEIR_FOREVER: off */
    bool rung;     /* it has passed, and nobody saw it */
    uint64_t waits, limits, sets, vain;
};

static uint64_t draw(struct world *w, uint64_t below)
{
    w->random = w->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (w->random >> 33) % below;
}

static void pass(struct world *w, weir_ns to)
{
    w->now = to;
    if (w->timer <= to) {
        w->timer = WEIR_FOREVER;
        w->rung = true;
    }
}

/* The kernel's part: until its timer, the limit, or something else comes, whatever is first. */
static void block(struct world *w, weir_ns limit, weir_ns other, weir_ns until)
{
    weir_ns end = other < limit ? other : limit;
    if (w->timer < end)
        end = w->timer;
    if (w->rung || end < w->now)
        end = w->now;
    pass(w, end);
    if (w->rung) {
        w->vain += w->now < until;
        w->rung = false;
        wi_standing_over(&w->standing);
    }
}

static void wait_until(struct world *w, weir_ns until, weir_ns other, bool obeys)
{
    weir_ns limit = WEIR_FOREVER, latest = until > w->now ? until : w->now;
    w->waits++;
    if (!wi_standing_covers(&w->standing, until)) {
        limit = until;
        if (wi_standing_wants(&w->standing, w->now, until) && obeys) {
            w->sets++;
            w->timer = limit;
            w->rung = false;
            wi_standing_set(&w->standing, until);
            limit = WEIR_FOREVER;
        }
    }
    w->limits += limit != WEIR_FOREVER;
    block(w, limit, other, until);
    CHECK_LE(w->now, latest);
}

static weir_ns any_span(struct world *w)
{
    static const weir_ns span[] = {1,       WEIR_US, WEIR_MS,  FAR - 1,      FAR,
                                   FAR + 1, 2 * FAR, WEIR_SEC, 5 * WEIR_SEC, 3600 * WEIR_SEC};
    return (weir_ns)draw(w, (uint64_t)(2 * span[draw(w, sizeof span / sizeof *span)]));
}

static void check_bounds(const struct world *w)
{
    uint64_t most = 1 + (uint64_t)(w->now / FAR);
    CHECK_LE(w->standing.sets, most);
    CHECK_LE(w->sets, w->standing.sets);
    CHECK_LE(w->vain, w->sets);
}

/* Limits of all kinds, waits that something else ends, and a kernel that sometimes refuses. */
CASE(no_wait_is_late_and_alarms_are_few_whatever_the_limits)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct world w = {.random = seed, .timer = WEIR_FOREVER};
        wi_standing_init(&w.standing);
        for (int i = 0; i < 2000; i++) {
            weir_ns until = draw(&w, 8) == 0 ? WEIR_FOREVER : w.now + any_span(&w);
            weir_ns other =
                until == WEIR_FOREVER || draw(&w, 2) ? w.now + any_span(&w) : WEIR_FOREVER;
            wait_until(&w, until, other, draw(&w, 16) > 0);
            if (draw(&w, 4) == 0)
                pass(&w, w.now + any_span(&w)); /* tasks run */
        }
        check_bounds(&w);
    }
}

/* Waits of 3 us, each with a limit as far away as the one before. How many limits and alarms? */
static struct world steady(weir_ns span, weir_ns around, weir_ns time)
{
    struct world w = {.timer = WEIR_FOREVER};
    wi_standing_init(&w.standing);
    while (w.now < time) {
        weir_ns until = w.now + span < around ? w.now + span : around;
        wait_until(&w, until, w.now + 3 * WEIR_US, true);
    }
    check_bounds(&w);
    return w;
}

CASE(steady_deadlines_set_one_alarm_a_span)
{
    static const weir_ns span[] = {FAR, 20 * WEIR_MS, WEIR_SEC, 3600 * WEIR_SEC};
    for (unsigned i = 0; i < sizeof span / sizeof *span; i++) {
        struct world w = steady(span[i], WEIR_FOREVER, 2 * WEIR_SEC);
        CHECK_GE(w.waits, 600000);
        CHECK_EQ(w.limits, 0);
        CHECK_LE(w.sets, 1 + (uint64_t)(2 * WEIR_SEC / span[i]));
    }
}

/* The worst there is: each limit is earlier than all before, so that no alarm covers the next wait. It
 * costs what limits cost, and one alarm in WI_STANDING_FAR. */
CASE(limits_that_come_nearer_all_the_time_cost_what_limits_cost)
{
    struct world w = {.timer = WEIR_FOREVER};
    wi_standing_init(&w.standing);
    for (weir_ns until = 7200 * WEIR_SEC; w.now < WEIR_SEC; until -= 3 * WEIR_MS)
        wait_until(&w, until, w.now + 3 * WEIR_US, true);
    check_bounds(&w);
    CHECK_EQ(w.limits + w.sets, w.waits);
    CHECK_LE(w.sets, 1 + (uint64_t)(WEIR_SEC / FAR));
    CHECK_EQ(w.vain, 0);
}

CASE(alternating_limits_are_served_by_the_earlier_one)
{
    struct world w = {.timer = WEIR_FOREVER};
    wi_standing_init(&w.standing);
    for (unsigned i = 0; w.now < WEIR_SEC; i++)
        wait_until(&w, w.now + (i % 2 ? 5 * WEIR_SEC : 3600 * WEIR_SEC), w.now + 3 * WEIR_US, true);
    CHECK_EQ(w.sets, 2);
    CHECK_LE(w.limits, (uint64_t)(FAR / (3 * WEIR_US)));
}

CASE(an_alarm_that_is_left_over_wakes_an_idle_core_once)
{
    struct world w = {.timer = WEIR_FOREVER};
    wi_standing_init(&w.standing);
    wait_until(&w, 50 * FAR, 1, true);
    wait_until(&w, WEIR_FOREVER, 9000 * FAR, true);
    CHECK_EQ(w.now, 50 * FAR);
    wait_until(&w, WEIR_FOREVER, 9000 * FAR, true);
    CHECK_EQ(w.now, 9000 * FAR);
    CHECK_EQ(w.vain, 1);
}
