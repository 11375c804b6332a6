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

void wi_sim_area_give(struct wi_backend *be, uint32_t at, uint32_t len)
{
    struct wi_sim_core *core = wi_sim_core_of(be);
    WEIR_REQUIRE(at < be->area_bytes, "simulation: bytes at %u are given back to an area of %u", at,
                 be->area_bytes);
    struct wi_sim_part *part = &core->part[at / WI_SIM_AREA_PART_BYTES];
    WEIR_REQUIRE(len <= part->out, "simulation: %u bytes at %u are given back, %u are out", len, at,
                 part->out);
    part->out -= len;
    if (part->out == 0)
        part->filled = 0;
}

bool wi_sim_area_is_whole(const struct wi_sim_core *core)
{
    for (unsigned i = 0; i < WI_SIM_AREA_PARTS; i++)
        if (core->part[i].out > 0)
            return false;
    return true;
}
