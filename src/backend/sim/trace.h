/* SPDX-License-Identifier: MIT */
/*
 * trace -- what happens in a world, a line each, for whoever looks for the cause of a failure.
 *
 *     0.000204500  server   begins slot 3: recv on 65539, 4096 bytes
 *     0.000204500  -        fault recv_short
 *     0.000205000  client   goes on
 *
 * Time since the birth of the world, the node, or "-" where it is the world's, and what. A line is out
 * before anything else happens, so the last one is the last thing that did. Writing them draws nothing
 * and changes nothing: a run is the same with a trace and without.
 *
 * Off, which is NULL in the world, it costs a branch.
 */
#ifndef WI_BACKEND_SIM_TRACE_H
#define WI_BACKEND_SIM_TRACE_H

#include <stdio.h>

#include "backend/backend.h"

struct wi_sim_node;
struct wi_sim_world;

/* Opens a file for it, or stderr for "-". 0, or why not, and `why` says it. */
int wi_sim_trace_open(FILE **out, const char *path, struct wi_why *why);

/* Closes what the other one opened; NULL is nothing. 0; -EIO: it is not complete, and `why` says it. */
int wi_sim_trace_close(FILE *file, const char *path, struct wi_why *why);

__attribute__((cold, format(printf, 3, 4))) void wi_sim_trace(const struct wi_sim_world *world,
                                                              const struct wi_sim_node *node,
                                                              const char *format, ...);

#define WI_SIM_TRACE(world, node, ...)                                                        \
    (__builtin_expect((world)->trace != NULL, 0) ? wi_sim_trace((world), (node), __VA_ARGS__) \
                                                 : (void)0)

/* A request begins; a completion is given out, `req` NULL for a cancel's; something was tried. */
__attribute__((cold)) void wi_sim_trace_begin(const struct wi_sim_world *world,
                                              const struct wi_sim_node *node, uint64_t token,
                                              const struct wi_req *req);
__attribute__((cold)) void wi_sim_trace_end(const struct wi_sim_world *world,
                                            const struct wi_sim_node *node,
                                            const struct wi_cqe *cqe, const struct wi_req *req);
__attribute__((cold)) void wi_sim_trace_try(const struct wi_sim_world *world,
                                            const struct wi_sim_node *node,
                                            const struct wi_req *req, ssize_t res);
__attribute__((cold)) void wi_sim_trace_ctl(const struct wi_sim_world *world,
                                            const struct wi_sim_node *node,
                                            const struct wi_ctl *ctl, int res);

/* A fault, by the expression of its odds: "world->faults.loss" is "loss". `world` is a world: this is a
 * wi_struck_fn. */
__attribute__((cold)) void wi_sim_trace_fault(void *world, const char *odds);

#endif /* WI_BACKEND_SIM_TRACE_H */
