/* SPDX-License-Identifier: MIT */
/*
 * runtime -- the parts of one core, opened in order; stop.h closes them in reverse.
 *
 *     options -> limits -> backend -> core -> net, fs -> signals -> watch
 *     each step names its failure; what was done before it is undone
 *
 * weir_run keeps one on its stack and steps it until the last task has ended; an embedded one lies
 * in the heap, and its driver steps it. Either way the core comes first: its address is what users
 * know as struct weir_core.
 */
#ifndef WI_APP_RUNTIME_H
#define WI_APP_RUNTIME_H

#include "app/options.h"
#include "app/run.h"
#include "app/signals.h"
#include "app/stall.h"
#include "app/stop.h"
#include "base/altstack.h"
#include "base/pollable.h"
#include "fs/fs.h"
#include "net/net.h"
#include "task/core.h"
#include "task/fault.h"

struct wi_runtime {
    struct wi_core core; /* first */
    struct wi_options options;
    struct wi_log log;
    struct wi_net net;
    struct wi_fs fs;
    struct wi_stop stop;
    struct wi_run_signals signals;
    struct wi_pollable pollable; /* fd -1 until it is asked for */
    struct wi_altstack altstack; /* these three: as the options want them */
    struct wi_faults faults;
    struct wi_stall stall;
};

static inline struct wi_runtime *wi_runtime_of(struct wi_core *core)
{
    return wi_container_of(core, struct wi_runtime, core);
}

/* Ends what watches the core: nobody reports anything from then on. Before the core is closed. */
void wi_runtime_unwatch(struct wi_runtime *runtime);

/* Opens everything on the calling thread. Errors as weir_run; -EPERM: the thread has a core
 * already. */
int wi_runtime_open(struct wi_runtime *runtime, const struct weir_opts *opts,
                    const struct wi_start *start);

/* Frees all of a runtime whose simulated node has lost its power: no task goes on, nobody is told.
 * On any stack but those of the runtime. */
void wi_runtime_discard(struct wi_runtime *runtime);

#endif /* WI_APP_RUNTIME_H */
