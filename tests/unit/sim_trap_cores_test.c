/* SPDX-License-Identifier: MIT */
/* EX2, EX3, EX16: two cores of one node that wake each other, whatever becomes of their wake-ups. */
#include <errno.h>

#include "app/run.h"
#include "backend/sim.h"
#include "check.h"
#include "weir.h"

enum { SEEDS = 100, STACK_BYTES = 256 * 1024, TASKS = 6, POSTS = 60, SIDES = 2 };

struct side {
    struct wi_sim_node *node;
    struct wi_sim_strand strand;
    struct side *other;
    struct weir_wake *wake[TASKS];
    unsigned opened, seen[TASKS];
    bool done; /* posts nothing any more */
    unsigned run_budget;
    int result;
};

struct sleeper {
    struct side *side;
    unsigned own;
};

/* Each post that follows a wait ends another one: so every sleeper sees a last one. */
static int sleep_and_count(void *arg)
{
    struct sleeper *self = arg;
    int rc = 0;
    while (rc == 0 && !self->side->other->done) {
        rc = weir_wake_wait(self->side->wake[self->own]);
        self->side->seen[self->own]++;
    }
    return rc;
}

/* A storm: single posts, bursts on one wake and across them, from a core that sleeps in between. */
static int post_storm(struct side *self)
{
    for (unsigned i = 0; i < POSTS; i++) {
        for (uint64_t burst = weir_random_below(4); burst > 0; burst--)
            CHECK_EQ(weir_wake_post(self->other->wake[weir_random_below(TASKS)]), 0);
        if (weir_random_below(2) == 0)
            CHECK_EQ(weir_sleep((weir_ns)weir_random_below(20) * WEIR_US), 0);
        else
            CHECK_EQ(weir_yield(), 0);
    }
    self->done = true;
    for (unsigned i = 0; i < TASKS; i++)
        CHECK_EQ(weir_wake_post(self->other->wake[i]), 0);
    return 0;
}

static int side_main(void *arg)
{
    struct side *self = arg;
    struct sleeper sleeper[TASKS];
    WEIR_SCOPE(sleepers, WEIR_FAIL_FAST);
    for (unsigned i = 0; i < TASKS; i++) {
        sleeper[i] = (struct sleeper){self, i};
        CHECK_EQ(weir_wake_open(&self->wake[i]), 0);
        CHECK_EQ(weir_wake_hold(self->wake[i]), 0); /* for the other side */
        CHECK_EQ(weir_spawn(&sleepers, sleep_and_count, &sleeper[i]), 0);
    }
    self->opened = TASKS;
    while (self->other->opened < TASKS)
        CHECK_EQ(weir_sleep(WEIR_US), 0);
    CHECK_EQ(post_storm(self), 0);
    CHECK_EQ(weir_scope_wait(&sleepers), 0);
    for (unsigned i = 0; i < TASKS; i++)
        CHECK_GT(self->seen[i], 0);
    return 0;
}

static void drop_others(struct side *self)
{
    for (unsigned i = 0; i < TASKS; i++)
        CHECK_EQ(weir_wake_drop(self->other->wake[i]), 0);
}

static int run_side(struct side *side)
{
    struct wi_start start = {.node = side->node};
    int rc = wi_run_as(WEIR_OPTS(.log_level = WEIR_LOG_ERROR, .run_budget = side->run_budget),
                       side_main, side, &start);
    drop_others(side);
    return rc;
}

static void second_core(void *arg)
{
    struct side *side = arg;
    side->result = run_side(side);
    wi_sim_leave(side->node->world);
}

static void storm(uint64_t seed, const char *faults)
{
    struct wi_sim_source source = {.seed = seed};
    struct wi_sim_world *world;
    struct wi_why why = {{0}};
    unsigned budget = seed % 2; /* of 1: most are woken again before they run */
    struct side a = {.result = 1, .run_budget = budget}, b = {.result = 1, .run_budget = budget};
    CHECK_EQ(wi_sim_world_open(&world, &source, faults, &why), 0);
    world->time_max = WI_SIM_BIRTH + 60 * WEIR_SEC;
    a.node = b.node = wi_sim_node_new(world, NULL, 0);
    a.other = &b;
    b.other = &a;
    CHECK_EQ(wi_sim_strand_open(world, &b.strand, STACK_BYTES, second_core, &b), 0);
    a.result = run_side(&a);
    while (wi_sim_wait(world, WEIR_FOREVER) == WI_NEVER_SAID)
        ;
    CHECK_EQ(a.result, 0);
    CHECK_EQ(b.result, 0);
    wi_sim_world_close(world);
}

static void storms(const char *faults)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        storm(seed, faults);
}

CASE(sim_ex2_ex3_wakes_of_another_core_are_neither_lost_nor_doubled)
{
    storms("preempt=0.5 timer_late_ns=100000");
    storms("swarm preempt=0.3");
}

/* The POLL on the wake-up ends each time it tells of one. */
CASE(sim_ex16_core_whose_wake_up_ends_is_not_deaf)
{
    storms("multi_end=1 preempt=0.3");
    storms("multi_end=1 preempt=0.3 late=0.3 reorder=0.5 enter_short=0.3 queue_full=0.3 "
           "enter_error=0.2");
}
