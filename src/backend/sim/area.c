/* SPDX-License-Identifier: MIT */
/*
 * area -- the memory that RECV with WI_REQ_MULTI receives into; the contract is in core.h.
 *
 * What nobody was given is poisoned under ASan. What is given back is overwritten everywhere, as the
 * next bytes would do it sooner or later.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/sim/core.h"
#include "base/fiber.h"
#include "base/require.h"

enum { GIVEN_BACK = 0xA5 };

static void poison(const struct wi_sim_core *core, uint32_t at, uint32_t len)
{
#if defined(WI_FIBER_ASAN)
    __asan_poison_memory_region(core->base.area + at, len);
#else
    (void)core, (void)at, (void)len;
#endif
}

static void unpoison(const struct wi_sim_core *core, uint32_t at, uint32_t len)
{
#if defined(WI_FIBER_ASAN)
    __asan_unpoison_memory_region(core->base.area + at, len);
#else
    (void)core, (void)at, (void)len;
#endif
}

void wi_sim_area_open(struct wi_sim_core *core)
{
    poison(core, 0, core->base.area_bytes);
}

void wi_sim_area_drop(struct wi_sim_core *core)
{
    if (core->base.area != NULL)
        unpoison(core, 0, core->base.area_bytes);
    free(core->base.area);
}

uint32_t wi_sim_area_room(struct wi_sim_core *core, uint32_t *at)
{
    for (unsigned tries = 0; tries < WI_SIM_AREA_PARTS; tries++) {
        struct wi_sim_part *part = &core->part[core->filling];
        if (part->filled < WI_SIM_AREA_PART_BYTES) {
            uint32_t len = WI_SIM_AREA_PART_BYTES - part->filled;
            *at = core->filling * WI_SIM_AREA_PART_BYTES + part->filled;
            unpoison(core, *at, len);
            return len;
        }
        core->filling = (core->filling + 1) % WI_SIM_AREA_PARTS;
    }
    return 0;
}

void wi_sim_area_take(struct wi_sim_core *core, uint32_t at, uint32_t len)
{
    struct wi_sim_part *part = &core->part[at / WI_SIM_AREA_PART_BYTES];
    part->filled += len;
    part->out += len;
    wi_assert(part->filled <= WI_SIM_AREA_PART_BYTES);
    poison(core, at + len, WI_SIM_AREA_PART_BYTES - part->filled);
}

static void give_to(struct wi_sim_core *core, uint32_t at, uint32_t len)
{
    struct wi_sim_part *part = &core->part[at / WI_SIM_AREA_PART_BYTES];
    WEIR_REQUIRE(len <= part->out, "simulation: %u received bytes are given back, %u are out", len,
                 part->out);
    unpoison(core, at, len); /* what was given back twice is no longer readable */
    memset(core->base.area + at, GIVEN_BACK, len);
    poison(core, at, len);
    part->out -= len;
    if (part->out == 0)
        part->filled = 0;
}

/* What came one after the other may be given back as one, beyond the end of a part. */
void wi_sim_area_give(struct wi_backend *be, uint32_t at, uint32_t len)
{
    struct wi_sim_core *core = wi_sim_core_of(be);
    WEIR_REQUIRE(at <= be->area_bytes && len <= be->area_bytes - at,
                 "simulation: %u bytes at %u are given back to an area of %u", len, at,
                 be->area_bytes);
    while (len > 0) {
        uint32_t rest = WI_SIM_AREA_PART_BYTES - at % WI_SIM_AREA_PART_BYTES;
        uint32_t now = len < rest ? len : rest;
        give_to(core, at, now);
        at += now;
        len -= now;
    }
}

bool wi_sim_area_is_whole(const struct wi_sim_core *core)
{
    for (unsigned i = 0; i < WI_SIM_AREA_PARTS; i++)
        if (core->part[i].out > 0)
            return false;
    return true;
}
