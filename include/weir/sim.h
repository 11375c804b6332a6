/* SPDX-License-Identifier: MIT */
/*
 * weir/sim.h -- whole programs in a world that one seed decides: time, network, disks, schedule, faults.
 *
 *     static int serve(void *arg);                the program, as it runs on a real machine
 *     static int test(void *arg)                  a task, on a node of its own, without faults
 *     {
 *         int server = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "db"), serve, NULL);
 *         ... weir_dial(&s, "db:5432", NULL) ... weir_sim_crash(server) ... weir_sim_heal() ...
 *     }
 *     weir_sim_run(seed, WEIR_SIM_OPTS(.faults = "swarm"), test, NULL);
 *
 * The same seed, options and program give the same run, step by step, on every machine, compiler and
 * processor, as long as the program asks nobody but weir: no other clock, no threads, no descriptors
 * of its own, no order of addresses. Nothing here is for a production run.
 *
 * All calls but weir_sim_run are for tasks of a simulation; elsewhere they are -EPERM.
 */
#ifndef WEIR_SIM_H
#define WEIR_SIM_H

#include <stdbool.h>

#include "weir/run.h"

WEIR_BEGIN

/* What came of a world. */
struct weir_sim_report {
    size_t size;
    uint64_t hash;   /* of everything that could be observed: equal runs have equal ones */
    uint64_t steps;  /* turns of cores */
    uint64_t faults; /* that struck */
    weir_ns time;    /* that passed in the world */
    uint64_t leaks;  /* what tasks had not closed where a node ended; the log names each */
};

/* Zero in any field means its default. */
struct weir_sim_opts {
    size_t size;
    const char *faults; /* "calm", "lossy", "hostile", "swarm", then "name=value"s; see the guide */
    weir_ns time_max;   /* an hour; a longer world ends with -ETIME; WEIR_FOREVER: no limit */
    uint64_t steps_max; /* the same of steps; 0: no limit */
    const char *replay; /* a file of choices to follow instead of the seed */
    const void *bytes;  /* or these: what a fuzzer makes up; */
    size_t bytes_len;   /* what they no longer say is the quiet choice */
    const char *record; /* write the choices to this file, for `replay` */
    struct weir_sim_report *report;
    enum weir_log_level log_level; /* of the driver, and of nodes that say nothing else */
    weir_log_fn *log;
    void *log_user;
    const char *trace; /* write there what happens, line by line; "-" is stderr */
};

#define WEIR_SIM_OPTS(...) \
    (&(struct weir_sim_opts){.size = sizeof(struct weir_sim_opts), __VA_ARGS__})

/* Zero in any field means its default. */
struct weir_sim_node_opts {
    size_t size;
    const char *name;             /* under which it is dialled; "node1", "node2", ... */
    const struct weir_opts *opts; /* of its run; the backend is sim, and nofile is nothing here */
    unsigned fds_max;             /* descriptors it may have open; 1,048,576 */
    uint64_t disk_bytes;          /* 1 GiB */
    const char *dirs;             /* directories on its disk: "/var/lib/x /tmp", parents included */
};

#define WEIR_SIM_NODE_OPTS(...) \
    (&(struct weir_sim_node_opts){.size = sizeof(struct weir_sim_node_opts), __VA_ARGS__})

/*
 * Runs `main_fn` as the first task of node 0, which is there for the test: its clock and its disk
 * are right, whatever the faults; its kernel and its network are as everybody's. When it returns, nodes
 * that still run are stopped as by weir_stop with a grace of 5 s, and the world ends.
 *
 * Seed 0 is WEIR_SIM_SEED of the environment, decimal or 0x, else 1. faults, replay, record, trace and
 * steps_max that are not set are WEIR_SIM_FAULTS, WEIR_SIM_REPLAY (unless there are bytes),
 * WEIR_SIM_RECORD, WEIR_SIM_TRACE and WEIR_SIM_STEPS; WEIR_SIM_MARKS names a file to which the hash and
 * the marks of the world are added.
 * Nodes read no environment. A negative result has a line in the log; that of a world that ran has seed,
 * faults and hash, and only such a world fills `report`.
 *
 * The result of main_fn; -EINVAL: an option or variable, named in the log; -ENOENT and the like of the
 * files to read and write; -ETIME; and what weir_run gives. Any thread that does not run weir.
 */
WEIR_API int weir_sim_run(uint64_t seed, const struct weir_sim_opts *opts, weir_fn *main_fn,
                          void *arg);

/* Starts a node that runs `main_fn` as weir_run would; it has addresses 10.0.0.n+1 and fd00::n+1, its
 * name, and a disk of its own, empty but for `dirs`. Its number, from 1; -EEXIST: there is one of that
 * name, which weir_sim_restart starts again; -EINVAL, named in the log; -ENOMEM; -ENFILE: 63 nodes are
 * there. Options of its run are looked at when it starts: what is wrong with them is its result. `arg` is
 * borrowed. Lines of its log begin with its name and its time, unless it has a log of its own. */
WEIR_API WEIR_MUST_USE int weir_sim_node(const struct weir_sim_node_opts *opts, weir_fn *main_fn,
                                         void *arg);

/* The power of a node fails: its tasks never go on, what was not synced may be lost or torn, nobody is
 * told anything, and what it got from weir_sim_alloc is freed. Other memory of its tasks is leaked, as
 * by a process that is killed. 0; -ESRCH: no such node, or it does not run; -EINVAL: node 0, or
 * the caller's own. */
WEIR_API int weir_sim_crash(int node);

/* Starts a node again that has ended or crashed, with its name, its address and what its disk has. 0;
 * -ESRCH: no such node; -EALREADY: it runs; -ENOMEM. */
WEIR_API WEIR_MUST_USE int weir_sim_restart(int node, weir_fn *main_fn, void *arg);

/* Until the node does not run any more: what its weir_run gave, or -EOWNERDEAD if it crashed;
 * -ESRCH: no such node; -EDEADLK: the caller's own. [wait] */
WEIR_API WEIR_MUST_USE int weir_sim_wait(int node);

/* Whether the node runs: 1 or 0, or -ESRCH. After weir_sim_wait this tells a result of the node from an
 * interruption of the caller's own. */
WEIR_API WEIR_MUST_USE int weir_sim_is_running(int node);

/* A signal comes to the node: to weir_signal_wait, and to the options stop_signals and dump_signal; one
 * that nobody there asked for does nothing, not even SIGKILL, for which there is weir_sim_crash. 0;
 * -ESRCH: no such node, or it does not run, or was started just now and has not begun; -EINVAL: no such
 * signal. */
WEIR_API int weir_sim_signal(int node, int signo);

/* ---- the network ---- */

enum weir_sim_link {
    WEIR_SIM_OPEN, /* passes what is sent */
    WEIR_SIM_CUT,  /* nothing passes: connections try again and give up in the end */
    WEIR_SIM_HELD  /* nothing passes until it is opened, and then all that was sent */
};

#define WEIR_SIM_ALL (-1)

/* What the way from one node to another does from now on; the way back is another one. WEIR_SIM_ALL is
 * every node but the other one named. 0; -ESRCH; -EINVAL: no such way, or a node and itself. */
WEIR_API int weir_sim_link(int from, int to, enum weir_sim_link how);

/* Both ways. */
WEIR_API int weir_sim_partition(int a, int b);

/* ---- faults ---- */

/* From now on other faults, as in the options: NULL is "calm". 0 or -EINVAL, with a line in the log. */
WEIR_API int weir_sim_faults(const char *faults);

/* No faults any more, and all links open: what is left must now come to its end, within whatever
 * deadline the test sets for it. Clocks stay as they are. 0. */
WEIR_API int weir_sim_heal(void);

/* ---- what programs under test may use anywhere ---- */

/* Zeroed memory that goes with the caller's node when it crashes or ends; outside a simulation as calloc
 * and free. NULL: none is left. Whoever gives it back is on the same node. Tasks, callbacks, hooks. */
WEIR_API void *weir_sim_alloc(size_t bytes) __attribute__((malloc));
WEIR_API void weir_sim_free(void *memory);

/* Says that the run came by here, so that a corpus of seeds can be held to reaching it; outside a
 * simulation, nothing. `name` is a string constant. */
#define WEIR_MARK(name) weir_sim_mark("" name)
WEIR_API void weir_sim_mark(const char *name);

/* How often the present world came by. 0 outside a simulation. */
WEIR_API uint64_t weir_sim_marked(const char *name);

/* Whether the caller is in a simulation. */
WEIR_API bool weir_simulated(void);

WEIR_END

#endif /* WEIR_SIM_H */
