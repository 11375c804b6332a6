/* SPDX-License-Identifier: MIT */
/*
 * sim -- worlds as a user starts them: a driver on node 0, and processes on the other nodes.
 *
 *     weir_sim_run: world --> node 0, on the caller's stack: wi_run(driver)
 *     weir_sim_node: process { strand, node, wi_run on it } --ends--> waiters
 *     weir_sim_crash: strand and runtime are taken away, the node's files vanish, its disk loses power
 *
 * A process is one node for the whole of the world: it may run, end, crash and be started again. The
 * world is its owner's, on the stack of weir_sim_run. All of it is one thread's.
 */
#ifndef WI_APP_SIM_H
#define WI_APP_SIM_H

#include "app/runtime.h"
#include "backend/sim.h"
#include "weir/sim.h"

enum wi_sim_life { WI_SIM_RUNS, WI_SIM_ENDED, WI_SIM_CRASHED };

struct wi_sim;

struct wi_sim_process {
    struct wi_sim *sim;
    struct wi_sim_node *node;
    struct wi_sim_strand strand; /* while it runs */
    struct wi_runtime *runtime;  /* NULL: not open, or closed */
    struct weir_opts opts;
    weir_fn *main_fn;
    void *main_arg;
    enum wi_sim_life life;
    int result;
    struct wi_list waiters; /* struct waiter of sim_node.c */
    struct wi_list memory;  /* struct wi_sim_block */
};

struct wi_sim_mark {
    const char *name;
    uint64_t count;
};

struct wi_sim {
    struct wi_sim_world *world;
    struct weir_sim_opts opts;
    struct wi_log log;
    weir_fn *main_fn;
    void *main_arg;
    struct wi_sim_process process[WI_SIM_NODES_MAX]; /* by node; [0] is the driver's */
    struct wi_sim_mark *mark;
    size_t marks, marks_room;
};

/* The simulation of the running task, or NULL: it is in none, or in one of weir_run alone. */
struct wi_sim *wi_sim_here(void);

/* The process of the running task; only where there is a simulation. */
struct wi_sim_process *wi_sim_process_here(void);

/* ---- sim_node.c ---- */

/* Stops the nodes that run and waits until they do not; the driver's main task. */
void wi_sim_stop_all(struct wi_sim *sim);

/* All that the node got from weir_sim_alloc. */
void wi_sim_free_memory(struct wi_sim_process *process);

/* The driver's run is over: lets those that still run end, and takes the power from who does not. How
 * many those were. */
unsigned wi_sim_end_all(struct wi_sim *sim);

#endif /* WI_APP_SIM_H */
