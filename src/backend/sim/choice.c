/* SPDX-License-Identifier: MIT */
/* choice -- mechanism; the contract is in choice.h. */
#include "backend/sim/choice.h"

#include <errno.h>
#include <stdlib.h>

/* 2^64 divided by the golden ratio: the step of splitmix64. */
#define GOLDEN UINT64_C(0x9E3779B97F4A7C15)

enum { ROOM_FIRST = 256 };

static const char *const names[WI_SIM_FAMILIES] = {
    [WI_SIM_SCHEDULE] = "schedule", [WI_SIM_NETWORK] = "network", [WI_SIM_DISK] = "disk",
    [WI_SIM_RING] = "ring",         [WI_SIM_WORLD] = "world",     [WI_SIM_USER] = "user"};

const char *wi_sim_family_name(enum wi_sim_family family)
{
    return names[family];
}

void wi_choices_seed(struct wi_choices *choices, uint64_t seed)
{
    *choices = (struct wi_choices){.log = NULL};
    for (int family = 0; family < WI_SIM_FAMILIES; family++) {
        uint64_t state = wi_sim_mix(seed + GOLDEN);
        for (const char *c = names[family]; *c != 0; c++)
            state = wi_sim_mix(state ^ (unsigned char)*c);
        choices->state[family] = state;
    }
}

void wi_choices_replay(struct wi_choices *choices, const struct wi_choice_list *log)
{
    choices->log = log;
}

void wi_choices_bytes(struct wi_choices *choices, const void *bytes, size_t len)
{
    static const unsigned char none;
    choices->bytes = len > 0 ? bytes : &none;
    choices->bytes_left = len;
}

void wi_choices_tell(struct wi_choices *choices, wi_choice_fn *tell, void *user)
{
    choices->tell = tell;
    choices->tell_user = user;
}

void wi_choices_tell_struck(struct wi_choices *choices, wi_struck_fn *tell, void *user)
{
    choices->tell_struck = tell;
    choices->tell_struck_user = user;
}

int wi_choice_list_add(struct wi_choice_list *list, uint64_t value)
{
    if (list->count == list->room) {
        size_t room = list->room > 0 ? list->room * 2 : ROOM_FIRST;
        uint64_t *at = realloc(list->at, room * sizeof *at);
        if (at == NULL)
            return -ENOMEM;
        list->at = at;
        list->room = room;
    }
    list->at[list->count++] = value;
    return 0;
}

/* As many bytes as an answer below n needs, lowest first; what is missing is 0. */
static uint64_t from_bytes(struct wi_choices *choices, uint64_t n)
{
    uint64_t value = 0;
    unsigned shift = 0;
    for (uint64_t most = n - 1; most > 0 && choices->bytes_left > 0; most >>= 8, shift += 8) {
        value |= (uint64_t)*choices->bytes++ << shift;
        choices->bytes_left--;
    }
    return value;
}

static uint64_t next(struct wi_choices *choices, enum wi_sim_family family)
{
    choices->state[family] += GOLDEN;
    return wi_sim_mix(choices->state[family]);
}

/* The high half of a product: below n, and nearly equal for all of them (Lemire 2019). */
static uint64_t scaled(uint64_t bits, uint64_t n)
{
    return (uint64_t)((unsigned __int128)bits * n >> 64);
}

static uint64_t keep(struct wi_choices *choices, enum wi_sim_family family, uint64_t value)
{
    choices->asked[family]++;
    if (choices->tell != NULL)
        choices->tell(choices->tell_user, family, value);
    return value;
}

/* The next answer of the log; of what it no longer says, 0. */
static uint64_t from_log(struct wi_choices *choices, enum wi_sim_family family)
{
    const struct wi_choice_list *list = &choices->log[family];
    uint64_t at = choices->asked[family];
    return at < list->count ? list->at[at] : 0;
}

uint64_t wi_choose(struct wi_choices *choices, enum wi_sim_family family, uint64_t n)
{
    if (n <= 1)
        return 0;
    if (choices->log != NULL)
        return keep(choices, family, from_log(choices, family) % n);
    if (choices->bytes != NULL)
        return keep(choices, family, from_bytes(choices, n) % n);
    return keep(choices, family, scaled(next(choices, family), n));
}

uint64_t wi_choose_bits(struct wi_choices *choices, enum wi_sim_family family)
{
    if (choices->log != NULL)
        return keep(choices, family, from_log(choices, family));
    if (choices->bytes != NULL)
        return keep(choices, family, from_bytes(choices, UINT64_MAX));
    return keep(choices, family, next(choices, family));
}

int64_t wi_choose_between(struct wi_choices *choices, enum wi_sim_family family, int64_t low,
                          int64_t high)
{
    if (high <= low)
        return low;
    return low + (int64_t)wi_choose(choices, family, (uint64_t)(high - low) + 1);
}

/* Recorded as 0 or 1. A byte of a fuzzer says yes in its upper part: however small the odds, 255
 * does, so that it can reach everything; however large, 0, which is also what follows the last one,
 * does not. */
static bool happens(struct wi_choices *choices, enum wi_sim_family family, wi_odds odds)
{
    if (odds == WI_ODDS_ALWAYS)
        return true;
    if (choices->log != NULL)
        return keep(choices, family, from_log(choices, family) != 0) != 0;
    if (choices->bytes != NULL) {
        uint64_t byte = from_bytes(choices, 256);
        return keep(choices, family, byte > 0 && byte >= 255 - (odds >> 56)) != 0;
    }
    return keep(choices, family, next(choices, family) < odds) != 0;
}

bool wi_choose_chance(struct wi_choices *choices, enum wi_sim_family family, wi_odds odds)
{
    bool does = happens(choices, family, odds);
    choices->struck += does;
    return does;
}
