/* SPDX-License-Identifier: MIT */
/* weir/random.h -- random numbers that a simulation can repeat. */
#ifndef WEIR_RANDOM_H
#define WEIR_RANDOM_H

#include <stdint.h>

#include "weir/api.h"

WEIR_BEGIN

/* 64 random bits: for choices, jitter and names, not for secrets (getrandom(2) has those). Every core
 * has a stream of its own, begun by the kernel; in a simulation (weir/sim.h) the seed decides. Must be
 * called within the runtime: by tasks, hooks, callbacks, and the driver of an embedded core. */
WEIR_API uint64_t weir_random(void);

/* A number below n, each as likely as the others to within n in 2^64; 0 if n is 0. As weir_random. */
WEIR_API uint64_t weir_random_below(uint64_t n);

WEIR_END

#endif /* WEIR_RANDOM_H */
