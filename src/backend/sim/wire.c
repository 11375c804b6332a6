/* SPDX-License-Identifier: MIT */
/* wire -- mechanism; the contract is in wire.h. */
#include "backend/sim/wire.h"

#define CLOG_NS_MIN (10 * WEIR_MS)
#define CLOG_NS_MAX WEIR_SEC

enum wi_sim_passage wi_sim_wire_look(const struct wi_sim_node *from, const struct wi_sim_node *to,
                                     weir_ns *until)
{
    if (to->down)
        return WI_SIM_LOST;
    if (from == to)
        return WI_SIM_PASSES;
    const struct wi_sim_link *link = &from->to[to->index];
    if (link->cut)
        return WI_SIM_LOST;
    if (link->held)
        return WI_SIM_HELD;
    if (link->clogged_until <= from->world->now)
        return WI_SIM_PASSES;
    *until = link->clogged_until;
    return WI_SIM_CLOGGED;
}

weir_ns wi_sim_wire_latency(const struct wi_sim_node *from, const struct wi_sim_node *to)
{
    struct wi_sim_world *world = from->world;
    if (from == to)
        return WI_SIM_LOOPBACK_NS;
    return wi_choose_between(&world->choices, WI_SIM_NETWORK, world->faults.latency_ns_min,
                             world->faults.latency_ns_max);
}

weir_ns wi_sim_wire_send(struct wi_sim_node *from, const struct wi_sim_node *to, uint32_t len)
{
    struct wi_sim_world *world = from->world;
    if (from == to)
        return world->now + WI_SIM_LOOPBACK_NS;
    struct wi_sim_link *link = &from->to[to->index];
    weir_ns gone = world->now;
    if (world->faults.bandwidth > 0) {
        if (gone < link->busy_until)
            gone = link->busy_until;
        gone += (weir_ns)((uint64_t)len * WEIR_SEC / (uint64_t)world->faults.bandwidth);
        link->busy_until = gone;
    }
    if (wi_sim_fault(world, WI_SIM_NETWORK, world->faults.clog)) {
        weir_ns until = world->now + wi_choose_between(&world->choices, WI_SIM_NETWORK, CLOG_NS_MIN,
                                                       CLOG_NS_MAX);
        if (link->clogged_until < until)
            link->clogged_until = until;
    }
    return gone + wi_sim_wire_latency(from, to);
}
