/* SPDX-License-Identifier: MIT */
/*
 * socket -- sockets of simulated nodes and the network between them.
 *
 *     sender --copies--> pipe of the receiver: | arrived ... | in flight: segments, each with a time |
 *                                                ^ reads       ^ events: latency, bandwidth, loss
 *
 * What a call gives is what Linux gives: tcp(7), udp(7), unix(7), ip(7). The calls of the seam on
 * sockets come here from the ring (attempts of requests and `try`) and from `ctl`.
 */
#ifndef WI_BACKEND_SIM_SOCKET_H
#define WI_BACKEND_SIM_SOCKET_H

#include "backend/sim/node.h"

/* socket(2): AF_INET, AF_INET6, AF_UNIX; SOCK_STREAM, SOCK_DGRAM. A file with one holder, in *out. */
int wi_sim_socket_new(struct wi_sim_node *node, int domain, int type, int protocol,
                      struct wi_sim_file **out);

/* BIND to SHUTDOWN, as WI_CTL_* of backend.h, on a file of kind SOCKET or LISTENER. */
int wi_sim_socket_ctl(struct wi_sim_file *file, const struct wi_ctl *ctl);

/* Every connection through this link looks at it anew: it was cut, held, released or healed. */
void wi_sim_link_changed(struct wi_sim_world *world, unsigned from, unsigned to);

/* All sockets of a node vanish, as its memory does: no FIN, no reset. Files that are still held are
 * dead, and answer -EBADF to nobody. Before its descriptors go, and before its disk crashes. What a
 * link still carries arrives, and the names of unix sockets stay. */
void wi_sim_sockets_crash(struct wi_sim_node *node);

/* Frees all that is left of them, at the end of their world; nobody holds a file of the node. */
void wi_sim_sockets_free(struct wi_sim_node *node);

/* Which node an address (AF_INET, AF_INET6) leads to from here; -ENETUNREACH. */
int wi_sim_route(const struct wi_sim_node *from, const void *address, uint32_t len);

/* The addresses of a node, for names: 10.0.0.n+1 and fd00::n+1, with port 0. */
void wi_sim_node_address(const struct wi_sim_node *node, int family, struct sockaddr_storage *out);

/* 127.0.0.1 and ::1. */
void wi_sim_loopback_address(int family, struct sockaddr_storage *out);

#endif /* WI_BACKEND_SIM_SOCKET_H */
