/* SPDX-License-Identifier: MIT */
/* random -- a stream of numbers per core; the contract is in weir/random.h. */
#include "weir/random.h"

#include "task/core.h"

/* splitmix64 (Steele, Lea, Flood 2014): one addition and a mix a number, and any start is good. */
static uint64_t next(struct wi_core *core)
{
    core->random += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t x = core->random;
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

/* In a simulation each number is a choice of its own, that can be replayed and made smaller. */
uint64_t weir_random(void)
{
    struct wi_core *core = wi_core_self;
    WEIR_REQUIRE(core != NULL, "weir_random outside the runtime");
    struct wi_backend *be = core->engine.be;
    if (be->caps.backend == WEIR_BACKEND_SIM)
        return be->ops->entropy(be);
    if (core->random == 0)
        core->random = be->ops->entropy(be);
    return next(core);
}

/* The high half of a product (Lemire 2019). */
uint64_t weir_random_below(uint64_t n)
{
    return (uint64_t)((unsigned __int128)weir_random() * n >> 64);
}
