/* SPDX-License-Identifier: MIT */
/*
 * embed -- a core that somebody else's loop steps; the contract is in weir/core.h.
 *
 *     driver's loop:  poll(fd) --> run_once:  drain fd -> turn (wait, fetch) -> turn (run, submit)
 *                                             -> arm fd for what comes next -> doze
 *
 * Draining comes first: what happens afterwards makes the descriptor readable again, and what
 * happened before is found by the turns. A step ends with a turn that entered the kernel after the
 * last task ran, so nothing that a task staged waits for the next step. Then the core counts as
 * asleep: posters ring. A message that came before is seen by the look after SLEEPING (R3).
 */
#include "weir/core.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "app/runtime.h"

static const struct wi_core *inside(const struct weir_core *core)
{
    return (const struct wi_core *)(const void *)core;
}

/* The runtime if it is its driver's turn, else NULL. */
static struct wi_runtime *driven(struct weir_core *core)
{
    struct wi_core *self = wi_core_self;
    return self != NULL && self == wi_core_inside(core) && self->outside ? wi_runtime_of(self)
                                                                         : NULL;
}

static void begin_step(struct wi_runtime *runtime)
{
    struct wi_core *core = &runtime->core;
    if (runtime->pollable.fd >= 0)
        wi_pollable_drain(&runtime->pollable);
    wi_door_awake(core->door);
    core->outside = core->nudged = false;
}

/* Gives the thread back to the driver. What is left to do makes the descriptor readable at once. */
static void end_step(struct wi_runtime *runtime)
{
    struct wi_core *core = &runtime->core;
    bool asleep = wi_door_doze(core->door);
    core->outside = true;
    if (!asleep || wi_core_busy(core))
        wi_core_nudge(core);
    else if (runtime->pollable.fd >= 0)
        wi_pollable_arm(&runtime->pollable, wi_engine_next(&core->engine));
}

int wi_core_open_as(const struct weir_opts *opts, struct weir_core **out,
                    const struct wi_start *start)
{
    struct wi_runtime *runtime = calloc(1, sizeof *runtime);
    *out = NULL;
    if (runtime == NULL)
        return -ENOMEM;
    int rc = wi_runtime_open(runtime, opts, start);
    if (rc < 0) {
        free(runtime);
        return rc;
    }
    runtime->core.sources++; /* the driver may do anything */
    end_step(runtime);
    *out = (struct weir_core *)(void *)&runtime->core;
    return 0;
}

int weir_core_open(const struct weir_opts *opts, struct weir_core **out)
{
    return wi_core_open_as(opts, out, &(struct wi_start){.wrap = NULL});
}

/* What turns count in the core. Of a wake-up, what it was for counts, not that it came. */
static uint64_t handled(const struct wi_core *core)
{
    return core->resumed + core->messages - core->engine.stats.wakes;
}

int weir_core_run_once(struct weir_core *core, weir_ns max_wait)
{
    struct wi_runtime *runtime = driven(core);
    if (runtime == NULL)
        return -EPERM;
    struct wi_core *self = &runtime->core;
    weir_ns until = max_wait > 0 ? wi_engine_after(&self->engine, max_wait) : WI_ENTER_NOW;
    uint64_t before = handled(self);
    begin_step(runtime);
    uint64_t did = wi_core_turn(self, until);
    if (wi_core_busy(self))
        did += wi_core_turn(self, WI_ENTER_NOW);
    did += handled(self) - before;
    end_step(runtime);
    return did > INT_MAX ? INT_MAX : (int)did;
}

int weir_core_fd(struct weir_core *core)
{
    struct wi_runtime *runtime = driven(core);
    if (runtime == NULL)
        return -EPERM;
    struct wi_backend *be = runtime->core.engine.be;
    struct wi_pollable *pollable = &runtime->pollable;
    if (pollable->fd >= 0)
        return pollable->fd;
    int rc = wi_pollable_open(pollable);
    if (rc == 0 && (rc = be->ops->watch(be, pollable->fd)) < 0)
        wi_pollable_close(pollable);
    if (rc < 0)
        return rc;
    /* What happened before it was watched has made no edge: the first step looks. */
    runtime->core.nudged = false;
    wi_core_nudge(&runtime->core);
    return pollable->fd;
}

int weir_core_close(struct weir_core *core)
{
    if (core == NULL)
        return 0;
    struct wi_runtime *runtime = driven(core);
    if (runtime == NULL)
        return -EPERM;
    begin_step(runtime);
    runtime->core.sources--;
    (void)wi_stop_ask(runtime, 0, WEIR_FOREVER);
    int rc = wi_stop_finish(runtime);
    free(runtime);
    return rc;
}

struct weir_scope *weir_core_root(struct weir_core *core)
{
    return (struct weir_scope *)(void *)&wi_core_inside(core)->root;
}

bool weir_core_has_ready(const struct weir_core *core)
{
    return !wi_queue_empty(&inside(core)->ready);
}

unsigned weir_core_task_count(const struct weir_core *core)
{
    return inside(core)->tasks.live;
}

weir_ns weir_core_next_deadline(struct weir_core *core)
{
    return wi_engine_next(&wi_core_inside(core)->engine);
}
