/* SPDX-License-Identifier: MIT */
/*
 * Every interleaving of handlers that look at the list and an owner whose nodes leave it, one after the
 * other (base/signals.c).
 *
 *     handler                                  owner, for each node
 *       READ     the side                        UNLINK   the node
 *       COUNT    itself there                    TURN     to the other side ...
 *       LOOK     at the list                     WAIT     ... until the one before is empty,
 *       USE      the nodes that it saw                    and so once more
 *       LEAVE    the side                        FREE     the node
 *
 * All of these are sequentially consistent there. Wrong is a handler that uses a node that is free, and
 * an owner that never gets through. With one turn instead of two, or a look before the count, the first
 * happens.
 */
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "support/explore.h"

enum { HANDLERS = 3, NODES = 3 };
enum handler_step { READ, COUNT, LOOK, USE, LEAVE, OVER };
enum owner_step { UNLINK, TURN, WAIT, FREE, GONE };

struct rules {
    unsigned turns;
    bool look_first;
};

struct state {
    uint8_t side, inside[2];
    uint8_t linked, freed; /* a bit a node */
    uint8_t used_freed;
    struct {
        uint8_t step, side, saw;
    } handler[HANDLERS];
    struct {
        uint8_t step, node, turn, side;
    } owner;
};

static void step_owner(struct explore *explore, const struct rules *rules, const struct state *now)
{
    struct state next = *now;
    uint8_t bit = (uint8_t)(1u << now->owner.node);
    switch ((enum owner_step)now->owner.step) {
    case UNLINK:
        next.linked &= (uint8_t)~bit;
        next.owner.turn = 0;
        next.owner.step = TURN;
        break;
    case TURN:
        next.owner.side = now->side;
        next.side = 1 - now->side;
        next.owner.step = WAIT;
        break;
    case WAIT:
        if (now->inside[now->owner.side] > 0)
            return;
        next.owner.step = ++next.owner.turn < rules->turns ? TURN : FREE;
        break;
    case FREE:
        next.freed |= bit;
        next.owner.step = ++next.owner.node < NODES ? UNLINK : GONE;
        break;
    case GONE:
        return;
    }
    explore_reach(explore, &next);
}

static void step_handler(struct explore *explore, const struct rules *rules,
                         const struct state *now, unsigned i)
{
    struct state next = *now;
    switch ((enum handler_step)now->handler[i].step) {
    case READ:
        next.handler[i].side = now->side;
        next.handler[i].step = rules->look_first ? LOOK : COUNT;
        break;
    case COUNT:
        next.inside[now->handler[i].side]++;
        next.handler[i].step = rules->look_first ? USE : LOOK;
        break;
    case LOOK:
        next.handler[i].saw = now->linked;
        next.handler[i].step = rules->look_first ? COUNT : USE;
        break;
    case USE:
        next.used_freed |= (now->handler[i].saw & now->freed) != 0;
        next.handler[i].step = LEAVE;
        break;
    case LEAVE:
        next.inside[now->handler[i].side]--;
        next.handler[i].step = OVER;
        break;
    case OVER:
        return;
    }
    explore_reach(explore, &next);
}

static void step(struct explore *explore, const void *rules, const void *now, unsigned thread)
{
    if (thread == 0)
        step_owner(explore, rules, now);
    else
        step_handler(explore, rules, now, thread - 1);
}

static bool wrong(const void *rules, const void *now, bool final)
{
    const struct state *state = now;
    (void)rules;
    return state->used_freed || (final && state->owner.step != GONE);
}

static bool uses_what_is_free(struct rules rules, size_t *states)
{
    struct explore_model model = {.bytes = sizeof(struct state),
                                  .threads = 1 + HANDLERS,
                                  .rules = &rules,
                                  .step = step,
                                  .wrong = wrong};
    struct state first;
    memset(&first, 0, sizeof first);
    first.linked = (1u << NODES) - 1;
    return explore_finds_wrong(&model, &first, states);
}

CASE(signals_model_never_uses_a_node_that_has_left)
{
    size_t states = 0;
    CHECK(!uses_what_is_free((struct rules){.turns = 2}, &states));
    CHECK_GT(states, 1000); /* it did look around */
}

CASE(signals_model_with_one_turn_is_found_to_use_one)
{
    size_t states = 0;
    CHECK(uses_what_is_free((struct rules){.turns = 1}, &states));
}

CASE(signals_model_that_looks_before_it_counts_is_found_to_use_one)
{
    size_t states = 0;
    CHECK(uses_what_is_free((struct rules){.turns = 2, .look_first = true}, &states));
}
