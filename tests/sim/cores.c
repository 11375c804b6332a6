/* SPDX-License-Identifier: MIT */
/*
 * cores -- two cores of one simulated node that wake each other, preempted at every point of their
 * ways into sleep: EX2, EX3, EX6.
 *
 *     cores [COUNT]     0 if every wake arrived, with so many seeds from WEIR_SIM_SEED on
 *
 * Each has a wake of its own and posts to the other's; between two posts it sleeps, spins, or does
 * both. A wake that is lost leaves both asleep for ever, which the world tells them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "app/run.h"
#include "backend/sim.h"
#include "check.h"
#include "weir.h"

enum { ROUNDS = 300, STACK_BYTES = 256 * 1024 };

struct side {
    struct wi_sim_node *node;
    struct wi_sim_strand strand;
    struct weir_wake *wake;
    struct side *other;
    unsigned seen;
    int result;
    bool over;
};

static int be_elsewhere(void)
{
    switch (weir_random_below(4)) {
    case 0:
        return weir_sleep((weir_ns)weir_random_below(3) * WEIR_US);
    case 1:
        return weir_yield();
    default:
        return 0;
    }
}

static int play(struct side *self)
{
    int rc = 0;
    for (unsigned i = 0; i < ROUNDS && rc == 0; i++) {
        rc = weir_wake_post(self->other->wake);
        if (rc == 0)
            rc = be_elsewhere();
        if (rc == 0)
            rc = weir_wake_wait(self->wake);
        self->seen++;
    }
    return rc;
}

static int side_main(void *arg)
{
    struct side *self = arg;
    int rc = weir_wake_open(&self->wake);
    while (rc == 0 && self->other->wake == NULL)
        rc = weir_sleep(WEIR_US);
    if (rc == 0)
        rc = play(self);
    if (rc == 0)
        rc = weir_wake_post(self->other->wake); /* it may still wait for one */
    self->over = true;
    while (!self->other->over) /* its posts need our wake */
        if (weir_sleep(WEIR_US) < 0)
            break;
    return rc;
}

static int run_side(struct side *side)
{
    struct wi_start start = {.node = side->node};
    return wi_run_as(WEIR_OPTS(.log_level = WEIR_LOG_SILENT), side_main, side, &start);
}

static void second_core(void *arg)
{
    struct side *side = arg;
    side->result = run_side(side);
    wi_sim_leave(side->node->world);
}

static int run_world(uint64_t seed)
{
    struct wi_sim_source source = {.seed = seed};
    struct wi_sim_world *world;
    struct wi_why why = {{0}};
    struct side a = {.result = 0}, b = {.result = 0};
    CHECK_EQ(wi_sim_world_open(&world, &source, "swarm preempt=0.3", &why), 0);
    world->time_max = WI_SIM_BIRTH + 60 * WEIR_SEC;
    a.node = b.node = wi_sim_node_new(world, NULL, 0);
    a.other = &b;
    b.other = &a;
    CHECK_NE(a.node, NULL);
    CHECK_EQ(wi_sim_strand_open(world, &b.strand, STACK_BYTES, second_core, &b), 0);
    a.result = run_side(&a);
    while (wi_sim_wait(world, WEIR_FOREVER) == WI_NEVER_SAID)
        ;
    wi_sim_world_close(world);
    if (a.result == 0 && b.result == 0)
        return 0;
    (void)fprintf(stderr, "seed %llu: %s after %u posts seen, %s after %u\n",
                  (unsigned long long)seed, weir_errname(a.result), a.seen, weir_errname(b.result),
                  b.seen);
    return 1;
}

int main(int argc, char **argv)
{
    const char *seed = getenv("WEIR_SIM_SEED"); // NOLINT(concurrency-mt-unsafe)
    uint64_t first = seed != NULL ? strtoull(seed, NULL, 0) : 1;
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    for (uint64_t i = 0; i < count; i++)
        if (run_world(first + i) != 0)
            return 1;
    return 0;
}
