/* SPDX-License-Identifier: MIT */
/*
 * core -- one thread's runtime: engine, tasks, run queue, inbox, and the turn that drives them.
 *
 *     turn:  inbox -> run at most run_budget tasks -> publish SLEEPING, re-check -> engine turn
 *            (submit, wait, completions, alarms)
 *
 * A core is opened, stepped and closed on one thread, of which it is wi_core_self meanwhile. Other
 * threads post messages through its door (door.h), which says how no kick is lost (R3). Whatever
 * woke the core, the next turn takes the inbox again (R4), and anything left behind, be it a task
 * beyond the budget or a message beyond the limit, forbids blocking (R5).
 *
 * Before a core sleeps it may watch for a while: a kick costs microseconds, a look nanoseconds. How
 * long adapts: a watch that saw something doubles it, one in vain halves it, and a sleep that was
 * shorter than a watch may be begins it anew.
 *
 * An embedded core is stepped now and then by a loop that is not ours. Between two steps it counts
 * as asleep, so posters ring; whoever makes work for it there says so with wi_core_nudge.
 */
#ifndef WI_TASK_CORE_H
#define WI_TASK_CORE_H

#include <errno.h>

#include "base/log.h"
#include "base/require.h"
#include "base/self.h"
#include "op/engine.h"
#include "op/pool.h"
#include "task/door.h"
#include "task/scope.h"
#include "task/task.h"

struct weir_core;
struct wi_marks;
struct wi_net;
struct wi_fs;

/* A message for a core. `fn` runs on its thread, between tasks, and then owns the message. */
struct wi_message {
    struct wi_queue_node node;
    void (*fn)(struct wi_core *core, struct wi_message *message);
};

struct wi_core_config {
    struct wi_stack_opts stack;
    size_t recv_pool_bytes;
    unsigned run_budget;
    unsigned inbox_limit; /* messages a turn; 0: no limit */
    weir_ns park_ns_max;  /* longest wait; 0: WEIR_FOREVER */
    weir_ns spin_ns;      /* longest watch before a wait */
    bool never_blocks;
    weir_hook_fn *on_wake; /* after messages were handled; may be NULL */
    void *on_wake_user;
    weir_hook_fn *on_turn; /* before the tasks of a turn; may be NULL */
    void *on_turn_user;
    uint32_t tasks_max;
    uint32_t ops_max;    /* 0: WI_OPS_MAX */
    bool measure_stacks; /* see marks.h */
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
    uint64_t resumed;        /* how often tasks were resumed, all told ... */
    uint64_t resumed_end;    /* ... and what it may be at the end of this turn */
    unsigned run_budget;
    unsigned inbox_limit;
    _Atomic uint32_t watchdog; /* WI_WATCHDOG_DOZES: it wants to be woken before a task runs */
    uint32_t
        sources; /* what may wake tasks from outside: their waits that say so, listeners, a driver, hooks */
    unsigned turns; /* that did not wait */
    weir_ns stamp;  /* about now: the clock after the last wait, or of some turn since */
    uint8_t id;
    bool never_blocks;
    bool waits_as_asked; /* a wait is more than to sleep until something happens */
    bool outside;        /* embedded, and its driver has the thread: it may spawn, cancel, start */
    bool nudged;         /* since the last turn */
    bool stuck;          /* nothing can ever wake a task that is left; see wi_core_turn */
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
    struct wi_fs *fs;   /* the files' part, or NULL */
    struct wi_log *log;
    struct wi_list wakes;   /* struct weir_wake, open */
    struct wi_list signals; /* struct weir_signal, open */
    struct wi_door *door;
    struct wi_queue backlog; /* messages beyond the limit of a turn */
    uint64_t messages;       /* handled */
    weir_hook_fn *on_wake;
    void *on_wake_user;
    weir_hook_fn *on_turn;
    void *on_turn_user;
    uint64_t random; /* the state of weir_random; 0: not begun */
    weir_ns park_ns_max;
    weir_ns spin_ns, spin_now; /* watching: at most, and as it pays at present */
    struct wi_marks *marks;    /* of stacks, or NULL */
};

/* Makes a core that owns the backend from now on, and makes it this thread's. On failure the
 * backend is still the caller's. -EINVAL: a size. -ENOMEM. */
int wi_core_open(struct wi_core *core, struct wi_backend *be, const struct wi_core_config *config,
                 struct wi_log *log, uint8_t id);

/* Every task must have ended. Posts fail from here on; messages that were still in the inbox run.
 * How many those were. */
unsigned wi_core_close(struct wi_core *core);

/* Calls `fn` for every task that has not ended, in no particular order. */
void wi_core_each_task(struct wi_core *core, void (*fn)(struct wi_task *task, void *arg),
                       void *arg);

/* Gives the core up with tasks and operations left: they never go on. Stacks, headers and buffers
 * stay for ever, since the kernel may still write there; everything else is closed. Returns how many
 * messages were still in the inbox; they run. */
unsigned wi_core_abandon(struct wi_core *core);

/* Frees a core whose simulated node has lost its power: its tasks never go on, and nobody is told. */
void wi_core_discard(struct wi_core *core);

/* One turn; blocks until `until` at most, if there is nothing to do and the last task did not end in
 * this very turn. Where it would block for ever although tasks are left and nothing can wake them, it
 * returns with `stuck` set. How many completions and alarms it handled; messages and tasks are counted in the
 * core. */
unsigned wi_core_turn(struct wi_core *core, weir_ns until);

/* Whether a turn would find something to do at once, messages from other threads apart. What callbacks
 * staged after the last enter counts: nobody but a turn submits it. */
static inline bool wi_core_busy(struct wi_core *core)
{
    return !wi_queue_empty(&core->ready) || !wi_queue_empty(&core->backlog) ||
           core->engine.unsubmitted || wi_engine_next(&core->engine) == WI_ENTER_NOW;
}

__attribute__((cold)) void wi_core_nudge_now(struct wi_core *core);

/* To be called by whatever makes work for an embedded core while its driver has the thread: makes
 * the descriptor of the core readable. */
static inline void wi_core_nudge(struct wi_core *core)
{
    if (__builtin_expect(core->outside, 0))
        wi_core_nudge_now(core);
}

/* The core of this thread if a call that needs no task may be made now: by a task, or by the driver
 * of an embedded core. NULL on other threads and within hooks. */
static inline struct wi_core *wi_core_callable(void)
{
    struct wi_core *core = wi_core_self;
    if (core == NULL || __builtin_expect(core->current != NULL, 1))
        return core;
    return core->outside ? core : NULL;
}

/* What lies behind the public name. */
static inline struct wi_core *wi_core_inside(struct weir_core *core)
{
    return (struct wi_core *)(void *)core;
}

/* Hands a message to the core from any thread while the core is open; who may be late holds its door
 * instead. False: the core is closing, the message the caller's. */
static inline bool wi_core_post(struct wi_core *core, struct wi_message *message)
{
    return wi_door_post(core->door, &message->node);
}

/* Starts fn(arg) in a scope of this core; `copy` bytes at arg are put on the task's own stack.
 * Errors as weir_spawn. */
int wi_core_spawn(struct wi_core *core, struct wi_scope *scope, weir_fn *fn, const void *arg,
                  size_t copy);

/* For calls that put something into an open scope: the scope, or -EPERM where wi_core_callable gives
 * none, -EXDEV for one of another core. */
static inline int wi_scope_begin(struct weir_scope *storage, const char *call,
                                 struct wi_scope **out)
{
    struct wi_core *core = wi_core_callable();
    if (core == NULL)
        return -EPERM;
    if (__builtin_expect(core->current == NULL, 0))
        wi_core_nudge_now(core);
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

/* Closes every wake handle that is still open; wake.c. */
void wi_wakes_close(struct wi_core *core);

/* Closes every signal that is still open; signal.c. */
void wi_signals_close(struct wi_core *core);

/* Frees signals, and then wakes but for those that others hold; of what its tasks held themselves nobody
 * knows. The door is closed. */
void wi_signals_discard(struct wi_core *core);
void wi_wakes_discard(struct wi_core *core);

/* A simulated signal has come to the core. */
void wi_signals_raise(struct wi_core *core, int signo);

#endif /* WI_TASK_CORE_H */
