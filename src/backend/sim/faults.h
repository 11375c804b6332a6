/* SPDX-License-Identifier: MIT */
/*
 * faults -- what a world does wrong, and how often: a preset and settings, read from a text.
 *
 *     "swarm"     "lossy reset=0.01 latency_ns_max=200000000"     "calm"
 *
 * faults.def has the names and what they are in each preset. Probabilities are read digit by digit
 * into 64-bit fixed point; no floating point decides anything, or is even there. A value of its own.
 */
#ifndef WI_BACKEND_SIM_FAULTS_H
#define WI_BACKEND_SIM_FAULTS_H

#include "backend/backend.h"
#include "backend/sim/choice.h"

struct wi_sim_faults {
#define ODDS(name, calm, lossy, hostile, most, text) wi_odds name;
#define AMOUNT(name, unit, calm, lossy, hostile, low, high, limit, text) int64_t name;
#include "backend/sim/faults.def"
#undef ODDS
#undef AMOUNT
};

/* Reads the text; NULL or "" is "calm". Swarm draws from the family WI_SIM_WORLD, zeros among it.
 * -EINVAL, and `why` names what is wrong with it and what would be right. */
int wi_sim_faults_read(struct wi_sim_faults *out, const char *text, struct wi_choices *choices,
                       struct wi_why *why);

/* Odds all zero; amounts as in "calm", but for skew and drift, which are what clocks are. */
void wi_sim_faults_heal(struct wi_sim_faults *faults);

/* Odds from decimal digits: "0", "1", "0.25", ".5". -EINVAL for all else, more than 1 included. */
int wi_odds_read(wi_odds *out, const char *text, size_t len);

#endif /* WI_BACKEND_SIM_FAULTS_H */
