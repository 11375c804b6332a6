/* SPDX-License-Identifier: MIT */
/*
 * Every interleaving of a core that closes its door and threads that post (R9, EX18).
 *
 *     poster                                       core, asleep when it begins
 *       push    fails on a closed inbox              close   the inbox: takes what is inside
 *       swap    AWAKE in; was not SLEEPING: done     close   the bell; how many are ringing?
 *       count   itself as a ringer; closed: skip     wait    until nobody is
 *       ring    the backend                          end     the backend
 *       uncount                                      drop    the door
 *       drop    the door
 *
 * Push, swap, count and close are read-modify-write operations of one word each, so explore.h's
 * notion of memory is theirs; that the swap sees SLEEPING if it has to is wake_model_test.c's
 * business, and here only makes posters race for the bell.
 *
 * Wrong is: a ring of a backend that has ended; a touch of a door that was freed; a message that was
 * accepted and that nobody takes out; a core that waits for ever.
 */
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "support/explore.h"

enum { POSTERS_MAX = 3 };
enum poster_step { PUSH, SWAP, COUNT, RING, UNCOUNT, POSTER_DROP, POSTER_DONE };
enum core_step { CLOSE_INBOX, CLOSE_BELL, WAIT, END, CORE_DROP, CORE_DONE };

struct rules {
    unsigned posters;
    bool no_count;   /* posters ring without a word */
    bool no_wait;    /* the core does not wait for ringers */
    bool look_first; /* posters look whether it is closed, and count themselves afterwards */
    bool bell_first; /* the core closes the bell before the inbox: harmless */
    bool no_hold;    /* posters do not hold the door */
};

struct state {
    uint8_t core; /* enum core_step */
    uint8_t poster[POSTERS_MAX];
    uint8_t saw_open[POSTERS_MAX]; /* look_first: it looked, and it was open */
    uint8_t inbox, inbox_closed, taken, accepted;
    uint8_t sleeping, ringers, bell_closed, ended;
    uint8_t holders, freed, touched_freed, rang_ended;
};

static void touch(struct state *state)
{
    state->touched_freed |= state->freed;
}

static void drop(struct state *state)
{
    touch(state);
    if (--state->holders == 0)
        state->freed = 1;
}

static void close_inbox(struct state *state)
{
    touch(state);
    state->taken = (uint8_t)(state->taken + state->inbox);
    state->inbox = 0;
    state->inbox_closed = 1;
}

static void step_core(struct explore *explore, const struct rules *rules, const struct state *now)
{
    struct state next = *now;
    switch ((enum core_step)now->core) {
    case CLOSE_INBOX:
    case CLOSE_BELL:
        if ((now->core == CLOSE_INBOX) != rules->bell_first) {
            close_inbox(&next);
        } else {
            touch(&next);
            next.bell_closed = 1;
        }
        break;
    case WAIT:
        touch(&next);
        if (now->ringers > 0 && !rules->no_wait)
            return;
        break;
    case END:
        next.ended = 1;
        break;
    case CORE_DROP:
        drop(&next);
        break;
    case CORE_DONE:
        return;
    }
    next.core++;
    explore_reach(explore, &next);
}

static uint8_t count_or_look(const struct rules *rules, struct state *next, unsigned i)
{
    touch(next);
    if (rules->no_count)
        return RING;
    if (rules->look_first && !next->saw_open[i]) {
        next->saw_open[i] = 1;
        return next->bell_closed ? POSTER_DROP : COUNT;
    }
    next->ringers++;
    return next->bell_closed && !rules->look_first ? UNCOUNT : RING;
}

static void step_poster(struct explore *explore, const struct rules *rules, const struct state *now,
                        unsigned i)
{
    struct state next = *now;
    uint8_t then = (uint8_t)(now->poster[i] + 1);
    switch ((enum poster_step)now->poster[i]) {
    case PUSH:
        touch(&next);
        if (next.inbox_closed) {
            then = POSTER_DROP;
        } else {
            next.inbox++;
            next.accepted++;
        }
        break;
    case SWAP:
        touch(&next);
        then = next.sleeping ? COUNT : POSTER_DROP;
        next.sleeping = 0;
        break;
    case COUNT:
        then = count_or_look(rules, &next, i);
        break;
    case RING:
        touch(&next);
        next.rang_ended |= next.ended;
        then = rules->no_count ? POSTER_DROP : UNCOUNT;
        break;
    case UNCOUNT:
        touch(&next);
        next.ringers--;
        break;
    case POSTER_DROP:
        if (!rules->no_hold)
            drop(&next);
        break;
    case POSTER_DONE:
        return;
    }
    next.poster[i] = then;
    explore_reach(explore, &next);
}

static void step(struct explore *explore, const void *rules, const void *now, unsigned thread)
{
    if (thread == 0)
        step_core(explore, rules, now);
    else
        step_poster(explore, rules, now, thread - 1);
}

static bool wrong(const void *arg, const void *now, bool final)
{
    const struct rules *rules = arg;
    const struct state *state = now;
    if (state->rang_ended || state->touched_freed)
        return true;
    if (!final)
        return false;
    for (unsigned i = 0; i < rules->posters; i++)
        if (state->poster[i] != POSTER_DONE)
            return true;
    return state->core != CORE_DONE || state->taken != state->accepted || !state->freed;
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
    first.sleeping = 1;
    first.holders = (uint8_t)(1 + (rules.no_hold ? 0 : rules.posters));
    bool found = explore_finds_wrong(&model, &first, &states);
    CHECK_GT(states, 10); /* it did look around */
    return found;
}

CASE(door_closes_in_any_order_of_steps_without_harm)
{
    for (unsigned posters = 1; posters <= POSTERS_MAX; posters++) {
        CHECK(!goes_wrong((struct rules){.posters = posters}));
        CHECK(!goes_wrong((struct rules){.posters = posters, .bell_first = true}));
    }
}

CASE(door_whose_posters_do_not_count_themselves_is_found_to_ring_an_ended_backend)
{
    CHECK(goes_wrong((struct rules){.posters = 1, .no_count = true}));
}

CASE(door_whose_core_does_not_wait_is_found_to_ring_an_ended_backend)
{
    CHECK(goes_wrong((struct rules){.posters = 1, .no_wait = true}));
}

CASE(door_whose_posters_look_before_they_count_is_found_to_ring_an_ended_backend)
{
    CHECK(goes_wrong((struct rules){.posters = 1, .look_first = true}));
}

CASE(door_whose_posters_do_not_hold_it_is_found_to_be_touched_when_it_is_gone)
{
    CHECK(goes_wrong((struct rules){.posters = 1, .no_hold = true}));
}
