/* SPDX-License-Identifier: MIT */
/*
 * core -- one thread's runtime: engine, tasks, run queue, inbox, and the turn that drives them.
 *
 *     turn:  inbox -> run at most run_budget tasks -> publish SLEEPING, re-check -> engine turn
 *            (submit, wait, completions, alarms)
 *
 * A core is opened, stepped and closed on one thread; only wi_core_post may come from others, who
 * see to it that the core is still open. While it is stepped, wi_core_self is that thread's core.
 *
 * Going to sleep without losing a kick (R3): the core stores SLEEPING, fences, looks at the inbox
 * again, then blocks. A sender pushes, fences, and kicks if it reads SLEEPING; only the first one
 * does, because it puts AWAKE. Whatever woke the core, the next turn empties the inbox (R4), and
 * anything left runnable forbids blocking (R5).
 */
#ifndef WI_TASK_CORE_H
#define WI_TASK_CORE_H

#include <stdatomic.h>

#include <errno.h>

#include "base/inbox.h"
#include "base/log.h"
#include "base/require.h"
#include "base/self.h"
#include "op/engine.h"
#include "op/pool.h"
#include "task/scope.h"
#include "task/task.h"

struct wi_net;

/* A message for a core. `fn` runs on its thread, between tasks, and then owns the message. */
struct wi_message {
    struct wi_queue_node node;
    void (*fn)(struct wi_core *core, struct wi_message *message);
};

struct wi_core_config {
    struct wi_stack_opts stack;
    size_t recv_pool_bytes;
    unsigned run_budget;
    uint32_t tasks_max;
};

/* Bytes lent where they lie in the backend's area; see loan.h. */
struct wi_place {
    uint32_t generation; /* odd while lent */
    uint32_t at, len;
    struct wi_task *owner;
};

/* Each pins one of the area's four buffers while its owner has it. */
enum { WI_PLACES = 2 };

enum { WI_CORE_AWAKE, WI_CORE_SLEEPING };

/* The line of those who wait for a place among the live tasks; see claim.c. */
struct wi_claims {
    uint32_t waiting; /* 0: the rest means nothing */
    uint32_t tasks_max;
    struct wi_list line; /* struct claimer */
};

struct wi_core {
    struct wi_engine engine;
    struct wi_queue ready;
    struct wi_task *current; /* NULL in the loop */
    unsigned run_left;       /* tasks that this turn may still resume */
    unsigned run_budget;
    uint8_t id;
    void *loop_sp;
    struct wi_fiber loop_fiber;
    struct wi_fiber *left_fiber; /* of whoever switched last: the one that arrives names it */
    struct wi_slab tasks;
    struct wi_claims claims; /* tasks in line for a place among them */
    struct wi_stack_pool stacks;
    struct wi_scope root; /* opened by the core itself; main is its child */
    struct wi_pool pool;  /* receive buffers */
    struct wi_place place[WI_PLACES];
    uint64_t loans_leaked;
    struct wi_net *net; /* the network floor's part, or NULL */
    struct wi_log *log;
    struct wi_inbox inbox;
    _Atomic int sleep; /* WI_CORE_AWAKE or WI_CORE_SLEEPING */
};

/* Makes a core that owns the backend from now on, and makes it this thread's. On failure the
 * backend is still the caller's. -EINVAL: a size. -ENOMEM. */
int wi_core_open(struct wi_core *core, struct wi_backend *be, const struct wi_core_config *config,
                 struct wi_log *log, uint8_t id);

/* Every task must have ended. Posts fail from here on; messages that were still in the inbox run.
 */
void wi_core_close(struct wi_core *core);

/* One turn; blocks until `until` at most, if there is nothing to do and the last task did not end in
 * this very turn. */
void wi_core_turn(struct wi_core *core, weir_ns until);

/* Hands a message to the core from any thread. False: the core is closing, the message the
 * caller's. */
bool wi_core_post(struct wi_core *core, struct wi_message *message);

/* Starts fn(arg) in a scope of this core; `copy` bytes at arg are put on the task's own stack.
 * Errors as weir_spawn. */
int wi_core_spawn(struct wi_core *core, struct wi_scope *scope, weir_fn *fn, const void *arg,
                  size_t copy);

/* For calls of tasks that put something into an open scope: the scope, or -EPERM outside a task,
 * -EXDEV for one of another core. */
static inline int wi_scope_begin(struct weir_scope *storage, const char *call,
                                 struct wi_scope **out)
{
    const struct wi_core *core = wi_core_self;
    if (core == NULL || core->current == NULL)
        return -EPERM;
    *out = (struct wi_scope *)(void *)storage;
    WEIR_REQUIRE((*out)->body.kind != WI_COVER_NONE, "%s into a scope that is not open", call);
    return (*out)->core == core ? 0 : -EXDEV;
}

/* The entry of every [wait] call: the running task in *out, or -EPERM outside a task, or the
 * interruption. Nothing has happened if it fails. */
static inline int wi_wait_begin(struct wi_task **out)
{
    const struct wi_core *core = wi_core_self;
    if (__builtin_expect(core == NULL || core->current == NULL, 0))
        return -EPERM;
    struct wi_task *task = core->current;
    task->done = 0;
    *out = task;
    return wi_task_interrupted(task);
}

#endif /* WI_TASK_CORE_H */
