/* SPDX-License-Identifier: MIT */
/*
 * choice -- every decision of a simulation comes from here, and from nowhere else.
 *
 *     seed  --hash with the family's name-->  one stream a family --.
 *     log   --one list a family-------------------------------------+--> a number below n
 *     bytes --in the order of the questions (a fuzzer's)------------'        |
 *                                                                            '--> told to whoever asked
 *
 * Families do not touch each other: a fault more or less in the network leaves the schedule as it is,
 * but not the rest of the network. A question with one answer draws nothing and is in no record, odds
 * of 0 and of 1 included.
 *
 * Zero is the quiet answer of every question: the first in the queue, no fault, nothing added. What
 * a log or the bytes no longer say is therefore 0, and cutting them, or setting them to 0, is how a
 * failure is made smaller.
 *
 * Only integers: equal on every compiler and processor. Belongs to the thread of its world.
 */
#ifndef WI_BACKEND_SIM_CHOICE_H
#define WI_BACKEND_SIM_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wi_sim_family {
    WI_SIM_SCHEDULE, /* who runs next, and for how long */
    WI_SIM_NETWORK,
    WI_SIM_DISK,
    WI_SIM_RING,  /* what the kernel's queues do */
    WI_SIM_WORLD, /* what the seed makes of the world before it begins */
    WI_SIM_USER,  /* weir_random, and the entropy of the seam */
    WI_SIM_FAMILIES
};

/* "schedule", "network", ... */
const char *wi_sim_family_name(enum wi_sim_family family);

/* A probability in 1/2^64; WI_ODDS_ALWAYS is 1, not a little less. */
typedef uint64_t wi_odds;
#define WI_ODDS_ALWAYS UINT64_MAX

/* Of so many in a million, at most all. */
#define WI_ODDS_PPM(n) ((n) >= 1000000 ? WI_ODDS_ALWAYS : (uint64_t)(n)*UINT64_C(18446744073709))

typedef void wi_choice_fn(void *user, enum wi_sim_family family, uint64_t value);

/* Hears of odds that came true, by the expression that they were given as. */
typedef void wi_struck_fn(void *user, const char *odds);

struct wi_choice_list {
    uint64_t *at;
    size_t count, room;
};

struct wi_choices {
    uint64_t state[WI_SIM_FAMILIES];
    uint64_t asked[WI_SIM_FAMILIES];  /* questions with more than one answer */
    uint64_t struck;                  /* odds that came true */
    const struct wi_choice_list *log; /* answers of WI_SIM_FAMILIES lists, or NULL; borrowed */
    const unsigned char *bytes;       /* or answers here; borrowed */
    size_t bytes_left;
    wi_choice_fn *tell; /* or NULL: hears of every answer */
    void *tell_user;
    wi_struck_fn *tell_struck; /* or NULL */
    void *tell_struck_user;
};

void wi_choices_seed(struct wi_choices *choices, uint64_t seed);

/* From now on the answers of `log`, WI_SIM_FAMILIES lists, or the bytes. Both are borrowed. */
void wi_choices_replay(struct wi_choices *choices, const struct wi_choice_list *log);
void wi_choices_bytes(struct wi_choices *choices, const void *bytes, size_t len);

/* Tells every answer from now on, before it is acted upon. */
void wi_choices_tell(struct wi_choices *choices, wi_choice_fn *tell, void *user);

/* Tells of every fault that strikes from now on. */
void wi_choices_tell_struck(struct wi_choices *choices, wi_struck_fn *tell, void *user);

/* Appends to a list. 0 or -ENOMEM. */
int wi_choice_list_add(struct wi_choice_list *list, uint64_t value);

/* A number below n; 0, and nothing is drawn, where n is 0 or 1. */
uint64_t wi_choose(struct wi_choices *choices, enum wi_sim_family family, uint64_t n);

/* 64 bits. */
uint64_t wi_choose_bits(struct wi_choices *choices, enum wi_sim_family family);

/* A number from `low` to `high`, both included; `low` is the quiet one. */
int64_t wi_choose_between(struct wi_choices *choices, enum wi_sim_family family, int64_t low,
                          int64_t high);

__attribute__((cold)) bool wi_choose_chance(struct wi_choices *choices, enum wi_sim_family family,
                                            wi_odds odds);

/* Whether something of these odds happens. */
static inline bool wi_chance(struct wi_choices *choices, enum wi_sim_family family, wi_odds odds)
{
    return __builtin_expect(odds != 0, 0) && wi_choose_chance(choices, family, odds);
}

/* The same of a fault, and whoever wants to know hears of it. */
#define wi_strikes(choices, family, odds) wi_strikes_named(choices, family, odds, #odds)

static inline bool wi_strikes_named(struct wi_choices *choices, enum wi_sim_family family,
                                    wi_odds odds, const char *name)
{
    bool strikes = wi_chance(choices, family, odds);
    if (__builtin_expect(strikes && choices->tell_struck != NULL, 0))
        choices->tell_struck(choices->tell_struck_user, name);
    return strikes;
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014): every input bit moves every output bit. */
static inline uint64_t wi_sim_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

#endif /* WI_BACKEND_SIM_CHOICE_H */
