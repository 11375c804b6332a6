/* SPDX-License-Identifier: MIT */
/*
 * Every interleaving of a wake handle: posters that coalesce, the message, and the task that waits
 * (A11, R1, R10).
 *
 *     poster                                      core and task
 *       publish  some work                          take    the message out of the inbox
 *       set      POSTED; was set: done              clear   POSTED
 *       push     the message                        look    at the work, all of it
 *
 * Set and clear are read-modify-write operations of one word: a poster who finds POSTED set is ordered
 * before the clear, and what he published is seen by the look behind it.
 *
 * Wrong is: the end of everything with work that the task has not seen; the message in the inbox
 * twice, since it has one link.
 */
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "support/explore.h"

enum { POSTERS_MAX = 3 };
enum poster_step { PUBLISH, SET, PUSH, POSTER_DONE };
enum core_step { TAKE, CLEAR, LOOK };

struct rules {
    unsigned posters, posts; /* each posts so often */
    bool clear_last;         /* the core clears after the look */
    bool no_bit;             /* every post pushes */
    bool publish_last;       /* posters publish when all is done */
};

struct state {
    uint8_t poster[POSTERS_MAX], left[POSTERS_MAX];
    uint8_t core;
    uint8_t posted, inbox, twice;
    uint8_t published, seen;
};

static void step_core(struct explore *explore, const struct rules *rules, const struct state *now)
{
    struct state next = *now;
    uint8_t at = now->core;
    if (at != TAKE && rules->clear_last)
        at = at == CLEAR ? LOOK : CLEAR;
    if (at == TAKE) {
        if (now->inbox == 0)
            return;
        next.inbox--;
    } else if (at == CLEAR) {
        next.posted = 0;
    } else {
        next.seen = next.published;
    }
    next.core = (uint8_t)((now->core + 1) % 3);
    explore_reach(explore, &next);
}

static void step_poster(struct explore *explore, const struct rules *rules, const struct state *now,
                        unsigned i)
{
    static const uint8_t in_time[] = {PUBLISH, SET, PUSH}, late[] = {SET, PUSH, PUBLISH};
    struct state next = *now;
    uint8_t at = now->poster[i];
    if (at == POSTER_DONE)
        return;
    next.poster[i]++;
    switch ((enum poster_step)(rules->publish_last ? late : in_time)[at]) {
    case PUBLISH:
        next.published++;
        break;
    case SET:
        next.poster[i] += now->posted && !rules->no_bit; /* the push is not needed */
        next.posted = 1;
        break;
    case PUSH:
        next.inbox++;
        next.twice |= next.inbox > 1;
        break;
    case POSTER_DONE:
        break;
    }
    if (next.poster[i] == POSTER_DONE && --next.left[i] > 0)
        next.poster[i] = 0;
    explore_reach(explore, &next);
}

static void step(struct explore *explore, const void *rules, const void *now, unsigned thread)
{
    if (thread == 0)
        step_core(explore, rules, now);
    else
        step_poster(explore, rules, now, thread - 1);
}

static bool wrong(const void *rules, const void *now, bool final)
{
    const struct state *state = now;
    (void)rules;
    return state->twice || (final && state->seen != state->published);
}

static bool goes_wrong(struct rules rules)
{
    struct explore_model model = {.bytes = sizeof(struct state),
                                  .threads = 1 + rules.posters,
                                  .rules = &rules,
                                  .step = step,
                                  .wrong = wrong};
    struct state first;
    size_t states = 0;
    memset(&first, 0, sizeof first);
    for (unsigned i = 0; i < rules.posters; i++)
        first.left[i] = (uint8_t)rules.posts;
    bool found = explore_finds_wrong(&model, &first, &states);
    CHECK_GT(states, 4); /* it did look around */
    return found;
}

CASE(wake_handle_shows_all_work_in_any_order_of_steps)
{
    for (unsigned posters = 1; posters <= POSTERS_MAX; posters++)
        for (unsigned posts = 1; posts <= 3; posts++)
            CHECK(!goes_wrong((struct rules){.posters = posters, .posts = posts}));
}

CASE(wake_handle_that_clears_after_the_look_is_found_to_lose_work)
{
    CHECK(goes_wrong((struct rules){.posters = 1, .posts = 2, .clear_last = true}));
    CHECK(goes_wrong((struct rules){.posters = 2, .posts = 1, .clear_last = true}));
}

CASE(wake_handle_without_the_bit_is_found_to_push_its_message_twice)
{
    CHECK(goes_wrong((struct rules){.posters = 2, .posts = 1, .no_bit = true}));
}

CASE(wake_handle_whose_posters_publish_too_late_is_found_to_lose_work)
{
    CHECK(goes_wrong((struct rules){.posters = 2, .posts = 1, .publish_last = true}));
}
