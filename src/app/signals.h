/* SPDX-License-Identifier: MIT */
/*
 * signals -- what signals do to a run: stop_signals and dump_signal.
 *
 *     handler, any thread   note which --> post, unless a post is under way
 *     the core, next turn   SIGINT, SIGTERM: stop with a grace; the second of them: without
 *                           SIGQUIT: the dump
 *
 * Several runs may ask for the same, each on its own thread, and all of them get it. The handlers are
 * the process's (base/signals.h) and ours from wi_run_signals_open to wi_run_signals_close, which come
 * within the core's life: no signal finds a core that is gone.
 */
#ifndef WI_APP_SIGNALS_H
#define WI_APP_SIGNALS_H

#include "base/signals.h"
#include "task/core.h"

struct wi_runtime;

enum { WI_RUN_SIGNALS = 3 };

struct wi_run_signals {
    struct wi_signal_node node[WI_RUN_SIGNALS]; /* SIGINT, SIGTERM, SIGQUIT */
    _Atomic unsigned stops;                     /* not yet seen by the core */
    atomic_bool dump;
    atomic_bool posted; /* the message is under way */
    struct wi_message message;
    bool stopped; /* one was seen */
};

/* Installs what the options ask for. 0, or why a handler cannot be installed, with a line in the log
 * and nothing left. */
int wi_run_signals_open(struct wi_runtime *runtime);

/* A simulated signal has come to the run. */
void wi_run_signals_raise(struct wi_runtime *runtime, int signo);

/* Nothing of ours is called any more; what was posted is ignored. May come twice. */
void wi_run_signals_close(struct wi_runtime *runtime);

#endif /* WI_APP_SIGNALS_H */
