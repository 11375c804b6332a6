/* SPDX-License-Identifier: MIT */
/*
 * Every interleaving of the wake word (R3, EX3): a core that goes to sleep and threads that post to
 * it, on a memory whose stores become visible late.
 *
 *     sleeper                                  waker, once for each message
 *       take    all of the inbox                 push    a message
 *       store   SLEEPING                         fence
 *       fence                                    load    the word; not SLEEPING: done
 *       look    at the inbox again               swap    AWAKE in; was not SLEEPING: done
 *       block   unless something was there       kick
 *       store   AWAKE
 *
 * One step of one thread at a time, in every possible order. A store waits in its thread's buffer
 * and reaches memory at any later time; stores to different places may overtake each other, and
 * loads overtake stores, which is weaker than x86 and close to ARM. A fence waits until the
 * thread's buffer is empty; a swap acts on memory itself. A blocked sleeper goes on when there is a
 * kick, or early, for no reason.
 *
 * The kick is lost if the sleeper is blocked without one, a message is in the inbox, and nobody
 * else has a step left. The code as it is never gets there; each part that is taken away does.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { WAKERS_MAX = 3, BUFFER_MAX = 3, TABLE_BITS = 20, TABLE = 1 << TABLE_BITS };
enum { AWAKE, SLEEPING };
enum sleeper_step { TAKE, STORE_SLEEPING, SLEEPER_FENCE, LOOK, BLOCK, STORE_AWAKE, SLEEPER_DONE };
enum waker_step { PUSH, WAKER_FENCE, LOAD, SWAP, KICK, WAKER_DONE };

struct rules {
    unsigned wakers, messages; /* messages of each waker */
    bool no_sleeper_fence, no_waker_fence, no_look, look_first;
};

/* Bytes without padding, so that states compare with memcmp. */
struct state {
    uint8_t sleeper; /* enum sleeper_step */
    uint8_t must_not_block;
    uint8_t delivered;
    uint8_t buffered; /* stores of the word that the sleeper still has in its buffer ... */
    uint8_t buffer[BUFFER_MAX]; /* ... oldest first */
    uint8_t inbox, word, kick;  /* memory */
    struct {
        uint8_t step; /* enum waker_step */
        uint8_t left;
        uint8_t buffered; /* pushes not visible yet */
    } waker[WAKERS_MAX];
};

struct search {
    struct rules rules;
    struct state *table; /* open addressing; `used` tells which are taken */
    uint8_t *used;
    struct state *stack;
    size_t depth, states;
    bool lost;
};

static uint64_t hash_of(const struct state *state)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    const unsigned char *byte = (const unsigned char *)state;
    for (size_t i = 0; i < sizeof *state; i++)
        hash = (hash ^ byte[i]) * UINT64_C(1099511628211);
    return hash ^ hash >> 29;
}

/* Queues a state that was not seen before. */
static void reach(struct search *search, const struct state *state)
{
    size_t at = hash_of(state) % TABLE;
    while (search->used[at] && memcmp(&search->table[at], state, sizeof *state) != 0)
        at = (at + 1) % TABLE;
    if (search->used[at])
        return;
    CHECK_LT(++search->states, TABLE / 2);
    search->used[at] = 1;
    search->table[at] = *state;
    search->stack[search->depth++] = *state;
}

/* ---- the sleeper ---- */

static void store_word(struct search *search, struct state next, uint8_t value, uint8_t then)
{
    if (next.buffered == BUFFER_MAX)
        return; /* the buffer is full: it drains first */
    next.buffer[next.buffered++] = value;
    next.sleeper = then;
    reach(search, &next);
}

static void drain_word(struct search *search, struct state next)
{
    if (next.buffered == 0)
        return;
    next.word = next.buffer[0];
    next.buffered--;
    memmove(next.buffer, next.buffer + 1, BUFFER_MAX - 1);
    next.buffer[BUFFER_MAX - 1] = 0;
    reach(search, &next);
}

static void take(struct search *search, struct state next)
{
    const struct rules *rules = &search->rules;
    next.delivered = (uint8_t)(next.delivered + next.inbox);
    next.inbox = 0;
    next.must_not_block = 0;
    next.sleeper = rules->look_first ? LOOK : STORE_SLEEPING;
    if (next.delivered == rules->wakers * rules->messages)
        next.sleeper = SLEEPER_DONE;
    reach(search, &next);
}

static void look(struct search *search, struct state next)
{
    next.must_not_block = !search->rules.no_look && next.inbox > 0;
    next.sleeper = search->rules.look_first ? STORE_SLEEPING : BLOCK;
    reach(search, &next);
}

/* Back from the kernel with a kick, early, or because it was told not to wait. */
static void leave_kernel(struct search *search, struct state next)
{
    next.kick = 0;
    next.sleeper = STORE_AWAKE;
    reach(search, &next);
}

static void step_sleeper(struct search *search, const struct state *now)
{
    const struct rules *rules = &search->rules;
    struct state next = *now;
    drain_word(search, *now);
    switch ((enum sleeper_step)now->sleeper) {
    case TAKE:
        take(search, next);
        break;
    case STORE_SLEEPING:
        store_word(search, next, SLEEPING, SLEEPER_FENCE);
        break;
    case SLEEPER_FENCE:
        if (now->buffered > 0 && !rules->no_sleeper_fence)
            break;
        next.sleeper = rules->look_first ? BLOCK : LOOK;
        reach(search, &next);
        break;
    case LOOK:
        look(search, next);
        break;
    case BLOCK:
        leave_kernel(search, next);
        break;
    case STORE_AWAKE:
        store_word(search, next, AWAKE, TAKE);
        break;
    case SLEEPER_DONE:
        break;
    }
}

/* ---- a waker ---- */

static void end_post(struct search *search, struct state next, unsigned i)
{
    next.waker[i].step = --next.waker[i].left > 0 ? PUSH : WAKER_DONE;
    reach(search, &next);
}

static void step_waker(struct search *search, const struct state *now, unsigned i)
{
    struct state next = *now;
    if (now->waker[i].buffered > 0) {
        next.waker[i].buffered--;
        next.inbox++;
        reach(search, &next);
        next = *now;
    }
    switch ((enum waker_step)now->waker[i].step) {
    case PUSH:
        next.waker[i].buffered++;
        next.waker[i].step = WAKER_FENCE;
        reach(search, &next);
        break;
    case WAKER_FENCE:
        if (now->waker[i].buffered > 0 && !search->rules.no_waker_fence)
            break;
        next.waker[i].step = LOAD;
        reach(search, &next);
        break;
    case LOAD:
        next.waker[i].step = SWAP;
        if (now->word == SLEEPING)
            reach(search, &next);
        else
            end_post(search, next, i);
        break;
    case SWAP:
        next.word = AWAKE;
        next.waker[i].step = KICK;
        if (now->word == SLEEPING)
            reach(search, &next);
        else
            end_post(search, next, i);
        break;
    case KICK:
        next.kick = 1;
        end_post(search, next, i);
        break;
    case WAKER_DONE:
        break;
    }
}

/* ---- the search ---- */

static bool is_lost(const struct search *search, const struct state *now)
{
    if (now->sleeper != BLOCK || now->must_not_block || now->kick || now->buffered > 0 ||
        now->inbox == 0)
        return false;
    for (unsigned i = 0; i < search->rules.wakers; i++)
        if (now->waker[i].step != WAKER_DONE || now->waker[i].buffered > 0)
            return false;
    return true;
}

/* Whether any order of steps loses the kick. */
static bool loses_a_kick(struct rules rules, size_t *states)
{
    struct search search = {.rules = rules};
    struct state first;
    search.table = calloc(TABLE, sizeof *search.table);
    search.used = calloc(TABLE, 1);
    search.stack = calloc(TABLE, sizeof *search.stack);
    CHECK(search.table != NULL && search.used != NULL && search.stack != NULL);
    memset(&first, 0, sizeof first);
    for (unsigned i = 0; i < rules.wakers; i++)
        first.waker[i].left = (uint8_t)rules.messages;
    reach(&search, &first);
    while (search.depth > 0 && !search.lost) {
        struct state now = search.stack[--search.depth];
        search.lost = is_lost(&search, &now);
        step_sleeper(&search, &now);
        for (unsigned i = 0; i < rules.wakers; i++)
            step_waker(&search, &now, i);
    }
    free(search.table);
    free(search.used);
    free(search.stack);
    *states = search.states;
    return search.lost;
}

/* From one waker with one message to three at once and one that comes again and again. */
static const struct {
    unsigned wakers, messages;
} crowds[] = {{1, 1}, {1, 2}, {1, 4}, {2, 1}, {2, 2}, {3, 1}, {3, 2}};

enum { CROWDS = sizeof crowds / sizeof *crowds };

static struct rules crowd(unsigned i)
{
    return (struct rules){.wakers = crowds[i].wakers, .messages = crowds[i].messages};
}

CASE(wake_word_loses_no_kick_in_any_order_of_steps)
{
    size_t states = 0;
    for (unsigned i = 0; i < CROWDS; i++) {
        CHECK(!loses_a_kick(crowd(i), &states));
        CHECK_GT(states, 50 * crowds[i].wakers * crowds[i].messages); /* it did look around */
    }
}

CASE(wake_word_without_the_sleepers_fence_is_found_to_lose_one)
{
    size_t states = 0;
    for (unsigned i = 0; i < CROWDS; i++) {
        struct rules rules = crowd(i);
        rules.no_sleeper_fence = true;
        CHECK(loses_a_kick(rules, &states));
    }
}

CASE(wake_word_without_the_wakers_fence_is_found_to_lose_one)
{
    size_t states = 0;
    for (unsigned i = 0; i < CROWDS; i++) {
        struct rules rules = crowd(i);
        rules.no_waker_fence = true;
        CHECK(loses_a_kick(rules, &states));
    }
}

CASE(wake_word_without_the_second_look_is_found_to_lose_one)
{
    size_t states = 0;
    for (unsigned i = 0; i < CROWDS; i++) {
        struct rules rules = crowd(i);
        rules.no_look = true;
        CHECK(loses_a_kick(rules, &states));
    }
}

/* The look has to come after SLEEPING is published. */
CASE(wake_word_with_the_second_look_too_early_is_found_to_lose_one)
{
    size_t states = 0;
    for (unsigned i = 0; i < CROWDS; i++) {
        struct rules rules = crowd(i);
        rules.look_first = true;
        CHECK(loses_a_kick(rules, &states));
    }
}
