/* SPDX-License-Identifier: MIT */
/*
 * wire -- what lies between two nodes: how long it takes, and whether anything passes.
 *
 * Within a node nothing is ever cut, held or clogged. A node that is down is as one that is cut off.
 */
#ifndef WI_BACKEND_SIM_WIRE_H
#define WI_BACKEND_SIM_WIRE_H

#include "backend/sim/node.h"

#define WI_SIM_LOOPBACK_NS 100

enum wi_sim_passage {
    WI_SIM_PASSES,
    WI_SIM_LOST,   /* nothing gets through: cut, or the other side is down */
    WI_SIM_HELD,   /* for now; wi_sim_link_changed will tell */
    WI_SIM_CLOGGED /* the same, up to an instant */
};

/* Whether what arrives now does; `until` is set for CLOGGED. */
enum wi_sim_passage wi_sim_wire_look(const struct wi_sim_node *from, const struct wi_sim_node *to,
                                     weir_ns *until);

/* How long something that has no size takes. */
weir_ns wi_sim_wire_latency(const struct wi_sim_node *from, const struct wi_sim_node *to);

/* When `len` bytes that leave now arrive: latency, and their turn on a line of limited bandwidth. The
 * fault clog strikes here. */
weir_ns wi_sim_wire_send(struct wi_sim_node *from, const struct wi_sim_node *to, uint32_t len);

#endif /* WI_BACKEND_SIM_WIRE_H */
