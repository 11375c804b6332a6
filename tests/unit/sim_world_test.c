/* SPDX-License-Identifier: MIT */
/* The world of a simulation: events in order, strands that take turns, time that jumps. */
#include "backend/sim/world.h"

#include "backend/backend.h"
#include "backend/sim/node.h"
#include "check.h"
#include "support/net.h"

static struct wi_sim_world *open_world(uint64_t seed, const char *faults)
{
    struct wi_sim_world *world;
    struct wi_sim_source source = {.seed = seed};
    struct wi_why why = {{0}};
    CHECK_EQ(wi_sim_world_open(&world, &source, faults, &why), 0);
    return world;
}

/* ---- events ---- */

enum { EVENTS = 2000 };

static struct {
    struct wi_sim_event event[EVENTS];
    bool dropped[EVENTS];
    weir_ns last_at;
    unsigned ran, last;
} e;

static void ran(struct wi_sim_world *world, struct wi_sim_event *event)
{
    unsigned n = (unsigned)(event - e.event);
    CHECK(!e.dropped[n]);
    CHECK_GE(world->now, event->at);
    CHECK_GE(event->at, e.last_at);
    if (event->at == e.last_at)
        CHECK_GT(n, e.last);
    e.last_at = event->at;
    e.last = n;
    e.ran++;
}

CASE(sim_events_run_in_the_order_of_time_and_of_setting)
{
    struct wi_sim_world *world = open_world(1, NULL);
    uint64_t random = 5;
    unsigned expected = EVENTS;
    for (unsigned i = 0; i < EVENTS; i++) {
        e.event[i].fn = ran;
        wi_sim_event_set(world, &e.event[i],
                         WI_SIM_BIRTH + (weir_ns)(net_random(&random) % 300) * WEIR_US);
    }
    for (unsigned i = 0; i < EVENTS; i++)
        if (net_random(&random) % 3 == 0) {
            wi_sim_event_clear(world, &e.event[i]);
            e.dropped[i] = true;
            expected--;
        }
    CHECK_EQ(wi_sim_wait(world, WI_SIM_BIRTH + WEIR_MS), WI_NEVER_SAID);
    CHECK_EQ(e.ran, expected);
    wi_sim_world_close(world);
}

CASE(sim_time_jumps_to_the_limit_of_a_wait_and_not_beyond)
{
    struct wi_sim_world *world = open_world(1, NULL);
    CHECK_EQ(wi_sim_wait(world, WI_SIM_BIRTH + 3600 * WEIR_SEC), WI_NEVER_SAID);
    CHECK_EQ(world->now, WI_SIM_BIRTH + 3600 * WEIR_SEC);
    wi_sim_world_close(world);
}

CASE(sim_wait_without_anything_to_come_is_told_so)
{
    struct wi_sim_world *world = open_world(1, NULL);
    CHECK_EQ(wi_sim_wait(world, WEIR_FOREVER), WI_NEVER_MORE);
    world->time_max = world->now + WEIR_SEC;
    CHECK_EQ(wi_sim_wait(world, WEIR_FOREVER - 1), WI_NEVER_LATER);
    wi_sim_world_close(world);
}

/* It jumped past its end, to whatever came next, and there deadlines had passed that lay in between. */
CASE(sim_time_ends_when_it_is_up_and_not_with_what_would_come_next)
{
    struct wi_sim_world *world = open_world(1, NULL);
    weir_ns end = world->now + WEIR_SEC;
    world->time_max = end;
    CHECK_EQ(wi_sim_wait(world, end + 3600 * WEIR_SEC), WI_NEVER_LATER);
    CHECK_EQ(world->now, end);
    wi_sim_world_close(world);
}

/* What is further away than any clock goes is never: time ran over there, and began below zero. */
CASE(sim_time_never_comes_to_the_end_of_its_clock)
{
    struct wi_sim_world *world = open_world(1, NULL);
    CHECK_EQ(wi_sim_wait(world, WEIR_FOREVER - 1), WI_NEVER_MORE);
    CHECK_LT(world->now, WI_SIM_BIRTH + WEIR_MS);
    wi_sim_world_close(world);
}

/* ---- strands ---- */

enum { STRANDS = 3, ROUNDS = 100 };

static struct {
    struct wi_sim_world *world;
    struct wi_sim_strand strand[STRANDS];
    char order[STRANDS * ROUNDS + 1];
    unsigned count;
} s;

static void take_turns(void *arg)
{
    char name = *(const char *)arg;
    for (int i = 0; i < ROUNDS; i++) {
        s.order[s.count++] = name;
        CHECK_EQ(wi_sim_wait(s.world, s.world->now), WI_NEVER_SAID);
    }
    wi_sim_leave(s.world);
}

static void run_strands(const char *faults, uint64_t seed)
{
    static char names[] = "abc";
    s.world = open_world(seed, faults);
    s.count = 0;
    for (int i = 0; i < STRANDS; i++)
        CHECK_EQ(wi_sim_strand_open(s.world, &s.strand[i], 65536, take_turns, &names[i]), 0);
    CHECK_EQ(wi_sim_wait(s.world, WI_SIM_BIRTH + WEIR_SEC), WI_NEVER_SAID);
    CHECK_EQ(s.count, STRANDS * ROUNDS);
    wi_sim_world_close(s.world);
}

CASE(sim_strands_take_turns_in_order_while_nothing_is_wrong)
{
    run_strands("calm", 1);
    for (unsigned i = 0; i < s.count; i++)
        CHECK_EQ(s.order[i], "abc"[i % 3]);
}

CASE(sim_strands_are_chosen_by_the_seed_when_preempted)
{
    char first[sizeof s.order] = "";
    unsigned differ = 0;
    run_strands("preempt=0.5", 1);
    for (unsigned i = 0; i < s.count; i++)
        first[i] = s.order[i];
    run_strands("preempt=0.5", 1);
    for (unsigned i = 0; i < s.count; i++)
        CHECK_EQ(first[i], s.order[i]);
    run_strands("preempt=0.5", 2);
    for (unsigned i = 0; i < s.count; i++)
        differ += first[i] != s.order[i];
    CHECK_GT(differ, 0);
}

static void never_go_on(void *arg)
{
    (void)arg;
    (void)wi_sim_wait(s.world, WEIR_FOREVER);
    CHECK(!"a strand that was closed goes on");
}

CASE(sim_strand_is_taken_away_where_it_waits)
{
    s.world = open_world(1, NULL);
    CHECK_EQ(wi_sim_strand_open(s.world, &s.strand[0], 65536, never_go_on, NULL), 0);
    CHECK_EQ(wi_sim_wait(s.world, WI_SIM_BIRTH + WEIR_MS), WI_NEVER_SAID);
    wi_sim_strand_close(&s.strand[0]);
    CHECK_EQ(wi_sim_wait(s.world, WEIR_FOREVER), WI_NEVER_MORE);
    wi_sim_world_close(s.world);
}

/* ---- clocks ---- */

CASE(sim_clock_of_a_node_is_never_early_by_its_own_showing)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct wi_sim_world *world = open_world(seed, "skew_ns=1000000000 drift_ppm=500");
        struct wi_sim_node *node = wi_sim_node_new(world, NULL, 0);
        uint64_t random = seed + 1;
        CHECK_NE(node, NULL);
        for (int i = 0; i < 200; i++) {
            weir_ns at = wi_sim_node_clock(node) + (weir_ns)(net_random(&random) % 5000000);
            world->now = wi_sim_node_when(node, at);
            CHECK_GE(wi_sim_node_clock(node), at);
            world->now--;
            CHECK_LT(wi_sim_node_clock(node), at);
            world->now++;
        }
        wi_sim_world_close(world);
    }
}
