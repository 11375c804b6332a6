/* SPDX-License-Identifier: MIT */
/* area -- the memory that RECV with WI_REQ_MULTI receives into; the contract is in core.h. */
#include "backend/sim/core.h"
#include "base/require.h"

uint32_t wi_sim_area_room(struct wi_sim_core *core, uint32_t *at)
{
    for (unsigned tries = 0; tries < WI_SIM_AREA_PARTS; tries++) {
        struct wi_sim_part *part = &core->part[core->filling];
        if (part->filled < WI_SIM_AREA_PART_BYTES) {
            *at = core->filling * WI_SIM_AREA_PART_BYTES + part->filled;
            return WI_SIM_AREA_PART_BYTES - part->filled;
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
}

static void give_to(struct wi_sim_part *part, uint32_t len)
{
    WEIR_REQUIRE(len <= part->out, "simulation: %u received bytes are given back, %u are out", len,
                 part->out);
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
        give_to(&core->part[at / WI_SIM_AREA_PART_BYTES], now);
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
