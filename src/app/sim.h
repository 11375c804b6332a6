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

/* The variables that options came from, or "": for messages. */
struct wi_sim_prefixes {
    const char *faults, *replay, *record, *trace;
};

struct wi_sim {
    struct wi_sim_world *world;
    uint64_t seed;
    struct weir_sim_opts opts; /* with what the environment says */
    struct wi_sim_prefixes from;
    const char *prefix;     /* of these, that of the step under way */
    const char *marks_file; /* or NULL */
    struct wi_choice_list replay[WI_SIM_FAMILIES];
    FILE *record, *trace; /* or NULL */
    bool has_altstack;    /* while nodes run */
    struct wi_log log;
    weir_fn *main_fn;
    void *main_arg;
    struct wi_sim_process process[WI_SIM_NODES_MAX]; /* by node; [0] is the driver's */
    struct wi_sim_mark *mark;
    size_t marks, marks_room;
    uint64_t leaks; /* of nodes that ended in order */
};

/* The simulation of the running task, or NULL: it is in none, or in one of weir_run alone. */
struct wi_sim *wi_sim_here(void);

/* The same of whoever runs on a core: a callback or a hook is in it as tasks are. */
struct wi_sim *wi_sim_around(void);

/* The process of whoever runs; only where there is a simulation. */
struct wi_sim_process *wi_sim_process_here(void);

/* ---- sim_env.c ---- */

/* Sets what the options leave open: from the environment, and then the defaults. 0, or -EINVAL, and
 * the log names the variable. */
int wi_sim_environment(struct wi_sim *sim);

/* Reads and opens the files that the options name. 0, or why not; then, too, they are to be closed. */
int wi_sim_files_open(struct wi_sim *sim, struct wi_why *why);

/* 0; -EIO: the record or the trace is not complete, and `why` says it. */
int wi_sim_files_close(struct wi_sim *sim, struct wi_why *why);

/* Adds what came of the world to the file that WEIR_SIM_MARKS names. 0 or -EIO, and `why` says it. */
int wi_sim_marks_write(const struct wi_sim *sim, int result, struct wi_why *why);

/* ---- sim_node.c ---- */

/* Stops the nodes that run and waits until they do not; the driver's main task. */
void wi_sim_stop_all(struct wi_sim *sim);

/* All that the node got from weir_sim_alloc. */
void wi_sim_free_memory(struct wi_sim_process *process);

/* The driver's run is over: lets those that still run end, and takes the power from who does not. How
 * many those were. */
unsigned wi_sim_end_all(struct wi_sim *sim);

#endif /* WI_APP_SIM_H */
