/* SPDX-License-Identifier: MIT */
/*
 * What the timer wheel promises: exact instants, order, cost. Cost is counted in the wheel's own
 * steps, never timed. Rows TM1 to TM5 of the list of known traps are tried here; wheel_random_test
 * compares the wheel with a sorted list.
 */
#include "check.h"
#include "op/wheel.h"

#include <stdlib.h>

enum { MOVES_MAX = 10 }; /* levels that a timer can come down, before it is collected */

static const weir_ns HOUR = 3600 * WEIR_SEC;

static struct wi_timer *first_due(struct wi_list *due)
{
    struct wi_list *link = wi_list_pop_front(due);
    CHECK_NE(link, NULL);
    return wi_container_of(link, struct wi_timer, link);
}

/* Expires in as many portions as it takes. */
static unsigned collect(struct wi_wheel *wheel, weir_ns now, struct wi_list *due)
{
    unsigned count = 0;
    uint64_t before;
    do {
        before = wheel->steps;
        count += wi_wheel_expire(wheel, now, due);
    } while (wi_wheel_next(wheel) <= now && wheel->steps > before);
    return count;
}

/* Expires and forgets what was due. */
static unsigned expire(struct wi_wheel *wheel, weir_ns now)
{
    struct wi_list due;
    wi_list_init(&due);
    unsigned count = collect(wheel, now, &due), seen = 0;
    while (wi_list_pop_front(&due) != NULL)
        seen++;
    CHECK_EQ(count, seen);
    return count;
}

static struct wi_timer *timers_new(size_t count)
{
    struct wi_timer *timers = calloc(count, sizeof *timers);
    CHECK_NE(timers, NULL);
    return timers;
}

CASE(zeroed_and_initialised_timers_are_not_armed)
{
    struct wi_timer zeroed = {0}, initialised;
    wi_timer_init(&initialised);
    CHECK(!wi_timer_armed(&zeroed));
    CHECK(!wi_timer_armed(&initialised));
}

CASE(timer_is_armed_from_adding_until_it_is_taken_from_the_due_list)
{
    struct wi_wheel wheel;
    struct wi_timer timer = {0};
    struct wi_list due;
    wi_list_init(&due);
    wi_wheel_init(&wheel, 0);
    wi_wheel_add(&wheel, &timer, 5);
    CHECK(wi_timer_armed(&timer));
    CHECK_EQ(wi_wheel_expire(&wheel, 5, &due), 1);
    CHECK(wi_timer_armed(&timer));
    CHECK_EQ(first_due(&due), &timer);
    CHECK(!wi_timer_armed(&timer));
}

/* TM1: the grain of no level may round a deadline. Every pair of a distance and a phase of the
 * clock within the slots of its level is tried at the instants around the deadline. */
CASE(timer_fires_at_its_deadline_and_not_a_nanosecond_before)
{
    static const weir_ns phases[] = {0, 1, 63, 64, 4095, 262143, 262144, 999999937};
    for (unsigned bit = 0; bit < 62; bit++) {
        for (unsigned phase = 0; phase < sizeof phases / sizeof *phases; phase++) {
            for (weir_ns shift = -1; shift <= 1; shift++) {
                struct wi_wheel wheel;
                struct wi_timer timer = {0};
                weir_ns deadline = phases[phase] + (INT64_C(1) << bit) + shift;
                wi_wheel_init(&wheel, phases[phase]);
                wi_wheel_add(&wheel, &timer, deadline);
                CHECK_EQ(wi_wheel_next(&wheel), deadline);
                CHECK_EQ(expire(&wheel, deadline - 1), 0);
                CHECK_EQ(wi_wheel_next(&wheel), deadline);
                CHECK_EQ(expire(&wheel, deadline), 1);
                CHECK_EQ(wi_wheel_next(&wheel), WEIR_FOREVER);
            }
        }
    }
}

CASE(due_timers_come_in_the_order_of_their_deadlines)
{
    enum { TIMERS = 1000 };
    static struct wi_timer timers[TIMERS];
    struct wi_wheel wheel;
    struct wi_list due;
    wi_list_init(&due);
    wi_wheel_init(&wheel, 0);
    for (uint64_t i = 0; i < TIMERS; i++) /* 7919 is prime: each residue once, in no order */
        wi_wheel_add(&wheel, &timers[i], (weir_ns)(i * 7919 % TIMERS) * 12345);
    CHECK_EQ(collect(&wheel, HOUR, &due), TIMERS);
    for (weir_ns i = 0; i < TIMERS; i++)
        CHECK_EQ(first_due(&due)->deadline, i * 12345);
}

/* The later ones are added when the deadline is near, which is another level of the wheel. */
CASE(equal_deadlines_keep_the_order_of_adding_whenever_they_were_added)
{
    enum { TIMERS = 60 };
    struct wi_timer timers[TIMERS] = {0};
    struct wi_wheel wheel;
    struct wi_list due;
    wi_list_init(&due);
    weir_ns deadline = (INT64_C(1) << 60) + 12345;
    wi_wheel_init(&wheel, 0);
    for (unsigned i = 0; i < TIMERS; i++) {
        wi_wheel_add(&wheel, &timers[i], deadline);
        CHECK_EQ(expire(&wheel, deadline - (INT64_C(1) << (TIMERS - 1 - i))), 0);
    }
    CHECK_EQ(wi_wheel_expire(&wheel, deadline, &due), TIMERS);
    for (unsigned i = 0; i < TIMERS; i++)
        CHECK_EQ(first_due(&due), &timers[i]);
}

CASE(due_timers_are_appended_to_what_the_list_holds)
{
    struct wi_wheel wheel;
    struct wi_timer a = {0}, b = {0};
    struct wi_list due;
    wi_list_init(&due);
    wi_wheel_init(&wheel, 0);
    wi_wheel_add(&wheel, &a, 10);
    wi_wheel_add(&wheel, &b, 5000);
    CHECK_EQ(wi_wheel_expire(&wheel, 10, &due), 1);
    CHECK_EQ(wi_wheel_expire(&wheel, 5000, &due), 1);
    CHECK_EQ(first_due(&due), &a);
    CHECK_EQ(first_due(&due), &b);
}

CASE(deadlines_in_the_past_are_due_at_once_and_in_order)
{
    enum { TIMERS = 100 };
    static struct wi_timer timers[TIMERS];
    struct wi_wheel wheel;
    struct wi_list due;
    struct wi_timer present = {0};
    wi_list_init(&due);
    wi_wheel_init(&wheel, WEIR_SEC);
    wi_wheel_add(&wheel, &present, WEIR_SEC);
    for (int i = 0; i < TIMERS; i++) /* pairs of equals: 0 and 50, 1 and 51, ... */
        wi_wheel_add(&wheel, &timers[i], -(i % 50));
    CHECK_EQ(wi_wheel_next(&wheel), -49);
    CHECK_EQ(wi_wheel_expire(&wheel, WEIR_SEC, &due), TIMERS + 1);
    for (int i = 49; i >= 0; i--) {
        CHECK_EQ(first_due(&due), &timers[i]);
        CHECK_EQ(first_due(&due), &timers[i + 50]);
    }
    CHECK_EQ(first_due(&due), &present);
}

CASE(removed_timer_never_fires)
{
    struct wi_wheel wheel;
    struct wi_timer removed = {0}, kept = {0}, overdue = {0};
    wi_wheel_init(&wheel, 0);
    wi_wheel_add(&wheel, &removed, WEIR_MS);
    wi_wheel_add(&wheel, &kept, WEIR_MS);
    wi_wheel_add(&wheel, &overdue, -1);
    wi_wheel_remove(&wheel, &removed);
    wi_wheel_remove(&wheel, &overdue);
    CHECK(!wi_timer_armed(&removed));
    CHECK_EQ(expire(&wheel, HOUR), 1);
    CHECK(!wi_timer_armed(&kept));
}

CASE(removing_an_unarmed_timer_is_harmless)
{
    struct wi_wheel wheel;
    struct wi_timer zeroed = {0}, removed = {0}, fired = {0};
    wi_wheel_init(&wheel, 0);
    wi_wheel_remove(&wheel, &zeroed);
    wi_wheel_add(&wheel, &removed, 7);
    wi_wheel_remove(&wheel, &removed);
    wi_wheel_remove(&wheel, &removed);
    wi_wheel_add(&wheel, &fired, 7);
    CHECK_EQ(expire(&wheel, 7), 1);
    wi_wheel_remove(&wheel, &fired);
    CHECK_EQ(wi_wheel_audit(&wheel), 0);
}

/* The handler of one timer may end the wait of another that is due in the same turn, while others
 * are pending in the slot that its deadline now names. */
CASE(collected_timer_can_be_removed_before_it_is_handled)
{
    struct wi_wheel wheel;
    struct wi_timer due_timer[3] = {0}, pending[3] = {0};
    struct wi_list due;
    for (unsigned victim = 0; victim < 3; victim++) {
        wi_list_init(&due);
        wi_wheel_init(&wheel, 0);
        for (unsigned i = 0; i < 3; i++) {
            wi_wheel_add(&wheel, &due_timer[i], 1000);
            wi_wheel_add(&wheel, &pending[i], 1001 + i);
        }
        CHECK_EQ(wi_wheel_expire(&wheel, 1000, &due), 3);
        wi_wheel_remove(&wheel, &due_timer[victim]);
        CHECK(!wi_timer_armed(&due_timer[victim]));
        CHECK_EQ(wi_wheel_audit(&wheel), 3);
        CHECK_EQ(first_due(&due), &due_timer[victim == 0 ? 1 : 0]);
        CHECK_EQ(first_due(&due), &due_timer[victim == 2 ? 1 : 2]);
        CHECK(wi_list_empty(&due));
        CHECK_EQ(wi_wheel_next(&wheel), 1001);
        CHECK_EQ(expire(&wheel, 1003), 3);
    }
}

CASE(timer_can_be_armed_again_while_others_are_handled)
{
    struct wi_wheel wheel;
    struct wi_timer a = {0}, b = {0};
    struct wi_list due;
    wi_list_init(&due);
    wi_wheel_init(&wheel, 0);
    wi_wheel_add(&wheel, &a, 5);
    wi_wheel_add(&wheel, &b, 5);
    CHECK_EQ(wi_wheel_expire(&wheel, 5, &due), 2);
    wi_wheel_add(&wheel, first_due(&due), 5);
    CHECK_EQ(first_due(&due), &b);
    CHECK(wi_list_empty(&due));
    CHECK_EQ(expire(&wheel, 5), 1);
}

/* TM4: no horizon, no overflow, no sign. */
CASE(extreme_deadlines_are_neither_clamped_nor_early)
{
    static const weir_ns years30 = 30 * 365 * INT64_C(86400) * 1000000000;
    const weir_ns deadlines[] = {INT64_MIN, INT64_MIN + 1, -years30,      -1,       0, 1,
                                 years30,   2 * years30,   INT64_MAX - 1, INT64_MAX};
    const weir_ns starts[] = {INT64_MIN, -years30, -1, 0, 12345678901234, years30, INT64_MAX};
    enum { DEADLINES = sizeof deadlines / sizeof *deadlines };
    for (unsigned s = 0; s < sizeof starts / sizeof *starts; s++) {
        struct wi_wheel wheel;
        struct wi_timer timers[DEADLINES] = {0};
        wi_wheel_init(&wheel, starts[s]);
        unsigned past = 0;
        for (unsigned d = 0; d < DEADLINES; d++) {
            wi_wheel_add(&wheel, &timers[d], deadlines[d]);
            past += deadlines[d] <= starts[s];
        }
        CHECK_EQ(wi_wheel_next(&wheel), INT64_MIN);
        CHECK_EQ(expire(&wheel, starts[s]), past);
        for (unsigned d = past; d < DEADLINES; d++) {
            CHECK_EQ(wi_wheel_next(&wheel), deadlines[d]);
            CHECK_EQ(expire(&wheel, deadlines[d] - 1), 0);
            CHECK_EQ(expire(&wheel, deadlines[d]), 1);
        }
        CHECK_EQ(wi_wheel_audit(&wheel), 0);
    }
}

CASE(waiting_for_ever_is_no_reason_to_wake)
{
    struct wi_wheel wheel;
    struct wi_timer timer = {0};
    wi_wheel_init(&wheel, 0);
    CHECK_EQ(wi_wheel_next(&wheel), WEIR_FOREVER);
    wi_wheel_add(&wheel, &timer, WEIR_FOREVER);
    CHECK_EQ(wi_wheel_next(&wheel), WEIR_FOREVER);
    CHECK_EQ(expire(&wheel, WEIR_FOREVER - 1), 0);
    CHECK(wi_timer_armed(&timer));
}

/* TM5: the wheel's idea of the present is hours old when the timer is added. */
CASE(short_deadline_after_a_long_idle_time_is_exact)
{
    for (weir_ns idle = 1; idle < 100 * HOUR; idle = idle * 3 + 1) {
        struct wi_wheel wheel;
        struct wi_timer timer = {0}, far = {0};
        wi_wheel_init(&wheel, 0);
        wi_wheel_add(&wheel, &far, 1000 * HOUR);
        wi_wheel_add(&wheel, &timer, idle + 100);
        CHECK_EQ(wi_wheel_next(&wheel), idle + 100);
        CHECK_EQ(expire(&wheel, idle + 99), 0);
        CHECK_EQ(expire(&wheel, idle + 100), 1);
        wi_wheel_add(&wheel, &timer, idle + 101);
        CHECK_EQ(wi_wheel_next(&wheel), idle + 101);
        CHECK_EQ(expire(&wheel, idle + 101), 1);
    }
}

CASE(clock_that_goes_back_makes_nothing_early)
{
    struct wi_wheel wheel;
    struct wi_timer a = {0}, b = {0}, c = {0};
    wi_wheel_init(&wheel, 1000);
    wi_wheel_add(&wheel, &a, 900);
    wi_wheel_add(&wheel, &b, 800);
    wi_wheel_add(&wheel, &c, 1000);
    CHECK_EQ(expire(&wheel, 799), 0);
    CHECK_EQ(expire(&wheel, 800), 1);
    CHECK_EQ(wi_wheel_next(&wheel), 900);
    CHECK_EQ(wi_wheel_audit(&wheel), 2);
    CHECK_EQ(expire(&wheel, 899), 0);
    CHECK_EQ(expire(&wheel, 1000), 2);
}

CASE(one_timer_in_an_hour_wakes_once)
{
    struct wi_wheel wheel;
    struct wi_timer timer = {0};
    weir_ns start = 987654321012345;
    wi_wheel_init(&wheel, start);
    wi_wheel_add(&wheel, &timer, start + HOUR);
    CHECK_EQ(wi_wheel_next(&wheel), start + HOUR);
    CHECK_EQ(expire(&wheel, start + HOUR), 1);
    CHECK_EQ(wi_wheel_next(&wheel), WEIR_FOREVER);
}

/* A hundred request timeouts in one slot; all but the last two are answered. */
CASE(removals_leave_at_most_one_idle_wake_in_a_slot)
{
    enum { TIMERS = 100 };
    struct wi_timer timers[TIMERS] = {0};
    struct wi_wheel wheel;
    wi_wheel_init(&wheel, 0);
    for (int i = 0; i < TIMERS; i++)
        wi_wheel_add(&wheel, &timers[i], 30 * WEIR_SEC + i * WEIR_US);
    for (int i = 0; i < TIMERS - 2; i++)
        wi_wheel_remove(&wheel, &timers[i]);
    CHECK_EQ(wi_wheel_next(&wheel), 30 * WEIR_SEC);
    CHECK_EQ(expire(&wheel, 30 * WEIR_SEC), 0);
    CHECK_EQ(wi_wheel_next(&wheel), timers[TIMERS - 2].deadline);
    wi_wheel_remove(&wheel, &timers[TIMERS - 2]);
    CHECK_EQ(wi_wheel_next(&wheel), timers[TIMERS - 1].deadline);
}

/* With the base left ten hours behind, a thousand timers would share one slot of 73 minutes and all
 * move when the first of them is due. */
CASE(timers_added_after_a_long_quiet_time_are_spread)
{
    enum { TIMERS = 1000 };
    static struct wi_timer timers[TIMERS];
    struct wi_wheel wheel;
    wi_wheel_init(&wheel, 0);
    CHECK_EQ(expire(&wheel, 1), 0);
    CHECK_EQ(expire(&wheel, 10 * HOUR), 0);
    for (int i = 0; i < TIMERS; i++)
        wi_wheel_add(&wheel, &timers[i], 10 * HOUR + (i + 1) * WEIR_MS);
    CHECK_EQ(expire(&wheel, 10 * HOUR + WEIR_MS), 1);
    CHECK_LE(wheel.steps, 50);
}

/* Sleeps through 2 s with a timer of 1 ms armed all the time, as a busy server does. */
static uint64_t steps_of_short_waits(size_t population)
{
    struct wi_wheel wheel;
    struct wi_timer *pending = timers_new(population + 1), timer = {0};
    wi_wheel_init(&wheel, 0);
    for (size_t i = 0; i < population; i++)
        wi_wheel_add(&wheel, &pending[i], HOUR + (weir_ns)i * 3600 * WEIR_US);
    wi_wheel_add(&wheel, &timer, WEIR_MS);
    for (weir_ns now = 0; now < 2 * WEIR_SEC; now += 10 * WEIR_US) {
        if (expire(&wheel, now) != 0)
            wi_wheel_add(&wheel, &timer, now + WEIR_MS);
    }
    wi_wheel_remove(&wheel, &timer);
    CHECK_EQ(wi_wheel_audit(&wheel), population);
    free(pending);
    return wheel.steps;
}

/* TM2: a poll once cost 2.3 ms with 100 000 timers pending. */
CASE(expiry_costs_the_same_whatever_is_pending)
{
    uint64_t alone = steps_of_short_waits(0);
    CHECK_LE(alone, 2000 * (1 + MOVES_MAX));
    CHECK_EQ(steps_of_short_waits(1000), alone);
    CHECK_EQ(steps_of_short_waits(1000000), alone);
}

/* TM3 */
CASE(removed_timers_leave_nothing_behind)
{
    struct wi_wheel wheel;
    struct wi_timer outer = {0}, wait = {0};
    wi_wheel_init(&wheel, 0);
    wi_wheel_add(&wheel, &outer, HOUR);
    for (weir_ns now = 0; now < 1000000; now++) {
        CHECK_EQ(expire(&wheel, now * WEIR_US), 0);
        wi_wheel_add(&wheel, &wait, now * WEIR_US + 30 * WEIR_SEC);
        wi_wheel_remove(&wheel, &wait);
    }
    CHECK_EQ(wi_wheel_audit(&wheel), 1);
    CHECK_EQ(wi_wheel_next(&wheel), HOUR);
    CHECK_EQ(wheel.steps, 0);
}

/* 100 000 deadlines in 65 us, looked at every microsecond. They come down in portions, and each comes
 * down a few times only; the clock stands still while portions are left, as for a busy core. */
CASE(crowd_comes_down_in_portions_and_in_order)
{
    enum { TIMERS = 100000, SPAN = 65536 };
    struct wi_timer *timers = timers_new(TIMERS);
    struct wi_wheel wheel;
    struct wi_list due;
    wi_list_init(&due);
    wi_wheel_init(&wheel, 0);
    weir_ns start = HOUR / SPAN * SPAN, last = 0;
    for (uint64_t i = 0; i < TIMERS; i++)
        wi_wheel_add(&wheel, &timers[i], start + (weir_ns)(i * 48271 % SPAN));
    unsigned fired = 0;
    for (weir_ns now = start - SPAN; now < start + SPAN + WEIR_US;) {
        uint64_t before = wheel.steps;
        fired += wi_wheel_expire(&wheel, now, &due);
        CHECK_LE(wheel.steps - before, WI_WHEEL_PORTION);
        while (!wi_list_empty(&due)) {
            weir_ns deadline = first_due(&due)->deadline;
            CHECK_LE(deadline, now);
            CHECK_GE(deadline, last);
            last = deadline;
        }
        now += wi_wheel_next(&wheel) > now ? WEIR_US : 0;
    }
    CHECK_EQ(fired, TIMERS);
    CHECK_LE(wheel.steps, 5u * TIMERS);
    free(timers);
}

/* A turn that has room for all of them leaves nothing to the next. */
CASE(crowd_of_half_a_portion_fires_in_one_call)
{
    enum { TIMERS = WI_WHEEL_PORTION / 2 };
    static struct wi_timer timers[TIMERS];
    struct wi_wheel wheel;
    struct wi_list due;
    wi_list_init(&due);
    wi_wheel_init(&wheel, 1);
    for (size_t i = 0; i < TIMERS; i++)
        wi_wheel_add(&wheel, &timers[i], HOUR);
    CHECK_EQ(wi_wheel_expire(&wheel, HOUR, &due), TIMERS);
}

/* The crowd is on its way down when equals come and others leave. */
CASE(timer_added_behind_a_crowd_on_its_way_down_fires_behind_it)
{
    enum { TIMERS = 100 };
    static struct wi_timer timers[TIMERS];
    struct wi_timer equal = {0}, earlier = {0}, outside = {0};
    struct wi_wheel wheel;
    struct wi_list due;
    weir_ns start = INT64_C(1) << 36; /* of a slot of 69 s, which the clock enters */
    wi_list_init(&due);
    wi_wheel_init(&wheel, 0);
    wheel.portion = TIMERS / 10;
    for (size_t i = 0; i < TIMERS; i++)
        wi_wheel_add(&wheel, &timers[i], start + WEIR_SEC);
    CHECK_EQ(wi_wheel_expire(&wheel, start, &due), 0);
    CHECK_EQ(wheel.steps, TIMERS / 10);
    CHECK_LE(wi_wheel_next(&wheel), start); /* no time to block: the rest has yet to come down */
    wi_wheel_add(&wheel, &equal, start + WEIR_SEC);
    wi_wheel_add(&wheel, &earlier, start + WEIR_SEC - 1);
    wi_wheel_add(&wheel, &outside, start * 2);
    wi_wheel_remove(&wheel, &timers[0]);
    wi_wheel_remove(&wheel, &timers[TIMERS - 1]);
    CHECK_EQ(wi_wheel_audit(&wheel), TIMERS + 1);
    CHECK_EQ(collect(&wheel, start + WEIR_SEC, &due), TIMERS);
    CHECK_EQ(first_due(&due), &earlier);
    for (size_t i = 1; i < TIMERS - 1; i++)
        CHECK_EQ(first_due(&due), &timers[i]);
    CHECK_EQ(first_due(&due), &equal);
    CHECK(wi_list_empty(&due));
    CHECK_EQ(wi_wheel_next(&wheel), start * 2);
}

CASE(crowd_that_is_removed_on_its_way_down_leaves_nothing_behind)
{
    enum { TIMERS = 100 };
    static struct wi_timer timers[TIMERS];
    struct wi_timer after = {0};
    struct wi_wheel wheel;
    weir_ns start = INT64_C(1) << 36;
    wi_wheel_init(&wheel, 0);
    wheel.portion = TIMERS / 10;
    for (size_t i = 0; i < TIMERS; i++)
        wi_wheel_add(&wheel, &timers[i], start + WEIR_SEC);
    struct wi_list due;
    wi_list_init(&due);
    CHECK_EQ(wi_wheel_expire(&wheel, start, &due), 0);
    for (size_t i = 0; i < TIMERS; i++)
        wi_wheel_remove(&wheel, &timers[i]);
    CHECK_EQ(wi_wheel_audit(&wheel), 0);
    CHECK_EQ(wi_wheel_next(&wheel), WEIR_FOREVER);
    wi_wheel_add(&wheel, &after, start + 5);
    CHECK_EQ(expire(&wheel, start + 4), 0);
    CHECK_EQ(expire(&wheel, start + 5), 1);
}

CASE(million_timers_of_one_deadline_move_once_and_fire_together)
{
    enum { TIMERS = 1000000 };
    struct wi_timer *timers = timers_new(TIMERS);
    struct wi_wheel wheel;
    wi_wheel_init(&wheel, 1);
    for (size_t i = 0; i < TIMERS; i++)
        wi_wheel_add(&wheel, &timers[i], HOUR);
    CHECK_EQ(wi_wheel_next(&wheel), HOUR);
    CHECK_EQ(expire(&wheel, HOUR), TIMERS);
    CHECK_LE(wheel.steps, 2u * TIMERS);
    free(timers);
}

/* The clock creeps over every boundary that it can meet on the way to the crowd. */
CASE(no_timer_moves_more_often_than_there_are_levels_below)
{
    enum { TIMERS = 1000 };
    static struct wi_timer timers[TIMERS];
    struct wi_wheel wheel;
    weir_ns end = INT64_C(1) << 62;
    wi_wheel_init(&wheel, INT64_MIN);
    for (int i = 0; i < TIMERS; i++)
        wi_wheel_add(&wheel, &timers[i], end);
    for (int bit = 62; bit >= 0; bit--) {
        CHECK_EQ(expire(&wheel, end - (INT64_C(1) << bit)), 0);
        CHECK_EQ(wi_wheel_audit(&wheel), TIMERS);
    }
    CHECK_LE(wheel.steps, MOVES_MAX * TIMERS);
    CHECK_EQ(expire(&wheel, end), TIMERS);
    CHECK_LE(wheel.steps, (MOVES_MAX + 1) * TIMERS);
}

CASE(jump_of_hours_visits_used_slots_only)
{
    enum { TIMERS = 10 };
    struct wi_timer timers[TIMERS] = {0};
    struct wi_wheel wheel;
    wi_wheel_init(&wheel, 0);
    for (int i = 0; i < TIMERS; i++)
        wi_wheel_add(&wheel, &timers[i], i * HOUR + i);
    CHECK_EQ(expire(&wheel, 1000 * HOUR), TIMERS);
    CHECK_LE(wheel.steps, TIMERS * (MOVES_MAX + 1));
}
