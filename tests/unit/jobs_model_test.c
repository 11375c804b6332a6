/* SPDX-License-Identifier: MIT */
/*
 * Every interleaving of workers that hand in jobs and an owner who sleeps (base/jobs.h; R3, EX3).
 *
 *     worker, once for each job                        owner
 *       push    the job; was the inbox empty?            take    all of the inbox
 *       ring    if it was                                sleep   until there is a ring, and use it up
 *
 * Push and take are read-modify-write operations of one word, and the ring is the kernel's, so
 * explore.h's notion of memory is theirs. Each worker stands for one that pushes by itself: the lock
 * of the pool, which allows fewer orders, is left out.
 *
 * Wrong is an end at which a job lies in the inbox: the owner sleeps on it. The protocol as it is never
 * gets there; with a look at the inbox apart from the push, or the ring before it, it does. And a ring
 * for every job would do as well, but is more of them.
 */
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "support/explore.h"

enum { WORKERS_MAX = 3 };
enum worker_step { LOOK, PUSH, RING, DONE };
enum owner_step { TAKE, SLEEP };

struct rules {
    unsigned workers, jobs; /* jobs of each worker */
    bool look_apart;        /* emptiness is looked up before the push, not told by it */
    bool ring_first;        /* of what was found empty, then push */
};

struct state {
    uint8_t owner; /* enum owner_step */
    uint8_t inbox, taken, rung;
    struct {
        uint8_t step; /* enum worker_step */
        uint8_t left, found_empty;
    } worker[WORKERS_MAX];
};

static void step_owner(struct explore *explore, const struct state *now)
{
    struct state next = *now;
    if (now->owner == TAKE) {
        next.taken = (uint8_t)(now->taken + now->inbox);
        next.inbox = 0;
        next.owner = SLEEP;
    } else if (now->rung) {
        next.rung = 0;
        next.owner = TAKE;
    } else {
        return;
    }
    explore_reach(explore, &next);
}

static uint8_t first_step(const struct rules *rules)
{
    return rules->look_apart || rules->ring_first ? LOOK : PUSH;
}

static void step_worker(struct explore *explore, const struct rules *rules, const struct state *now,
                        unsigned i)
{
    struct state next = *now;
    bool ends = false;
    switch ((enum worker_step)now->worker[i].step) {
    case LOOK:
        next.worker[i].found_empty = now->inbox == 0;
        next.worker[i].step = rules->ring_first && now->inbox == 0 ? RING : PUSH;
        break;
    case PUSH:
        if (first_step(rules) == PUSH)
            next.worker[i].found_empty = now->inbox == 0;
        next.inbox++;
        next.worker[i].step = RING;
        ends = rules->ring_first || !next.worker[i].found_empty;
        break;
    case RING:
        next.rung = 1;
        next.worker[i].step = PUSH;
        ends = !rules->ring_first;
        break;
    case DONE:
        return;
    }
    if (ends) {
        next.worker[i].step = --next.worker[i].left > 0 ? first_step(rules) : DONE;
        next.worker[i].found_empty = 0;
    }
    explore_reach(explore, &next);
}

static void step(struct explore *explore, const void *rules, const void *now, unsigned thread)
{
    if (thread == 0)
        step_owner(explore, now);
    else
        step_worker(explore, rules, now, thread - 1);
}

static bool wrong(const void *rules, const void *now, bool final)
{
    const struct rules *r = rules;
    const struct state *state = now;
    return final && state->taken != r->workers * r->jobs;
}

static bool sleeps_on_a_job(struct rules rules, size_t *states)
{
    struct explore_model model = {.bytes = sizeof(struct state),
                                  .threads = 1 + rules.workers,
                                  .rules = &rules,
                                  .step = step,
                                  .wrong = wrong};
    struct state first;
    memset(&first, 0, sizeof first);
    for (unsigned i = 0; i < WORKERS_MAX; i++) {
        first.worker[i].step = i < rules.workers ? first_step(&rules) : DONE;
        first.worker[i].left = i < rules.workers ? (uint8_t)rules.jobs : 0;
    }
    return explore_finds_wrong(&model, &first, states);
}

CASE(jobs_model_never_sleeps_on_a_finished_job)
{
    for (unsigned workers = 1; workers <= WORKERS_MAX; workers++)
        for (unsigned count = 1; count <= 4; count++) {
            size_t states = 0;
            CHECK(!sleeps_on_a_job((struct rules){.workers = workers, .jobs = count}, &states));
            CHECK_GT(states, 4 * workers * count); /* it did look around */
        }
}

CASE(jobs_model_with_a_look_apart_from_the_push_is_found_to_sleep)
{
    size_t states = 0;
    struct rules rules = {.workers = 2, .jobs = 1, .look_apart = true};
    CHECK(sleeps_on_a_job(rules, &states));
}

CASE(jobs_model_that_rings_before_it_pushes_is_found_to_sleep)
{
    size_t states = 0;
    struct rules rules = {.workers = 1, .jobs = 1, .ring_first = true};
    CHECK(sleeps_on_a_job(rules, &states));
}
