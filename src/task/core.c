/* SPDX-License-Identifier: MIT */
/* core -- opening, the turn, closing; the contract is in core.h, tasks are switched in sched.c. */
#include "task/core.h"

#include <errno.h>
#include <limits.h>

#include "base/keep.h"
#include "base/require.h"
#include "op/call.h"
#include "task/claim.h"
#include "task/marks.h"
#include "task/sched.h"

enum {
    SPIN_MIN = 1000, /* a watch shorter than that sees nothing */
    STAMP_TURNS = 64 /* between two looks at the clock, where turns do not wait */
};

int wi_core_open(struct wi_core *core, struct wi_backend *be, const struct wi_core_config *config,
                 struct wi_log *log, uint8_t id)
{
    *core = (struct wi_core){
        .run_budget = config->run_budget,
        .inbox_limit = config->inbox_limit > 0 ? config->inbox_limit : UINT_MAX,
        .park_ns_max = config->park_ns_max > 0 ? config->park_ns_max : WEIR_FOREVER,
        .spin_ns = config->spin_ns,
        .spin_now = config->spin_ns,
        .on_wake = config->on_wake,
        .on_wake_user = config->on_wake_user,
        .on_turn = config->on_turn,
        .on_turn_user = config->on_turn_user,
        .never_blocks = config->never_blocks,
        .waits_as_asked = config->never_blocks || config->spin_ns > 0 || config->park_ns_max > 0,
        /* A hook that is called though nothing happens may make something happen. */
        .sources = config->on_turn != NULL && (config->never_blocks || config->park_ns_max > 0),
        .log = log,
        .id = id};
    struct wi_pages pages;
    wi_pages_probe(&pages);
    int rc = wi_stack_pool_init(&core->stacks, &pages, &config->stack);
    if (rc < 0)
        return rc;
    rc = wi_pool_open(&core->pool, &pages, config->recv_pool_bytes, WI_RECV_BUF_BYTES);
    if (rc < 0)
        goto no_pool;
    if (config->measure_stacks && (core->marks = wi_marks_open(core)) == NULL) {
        rc = -ENOMEM;
        goto no_engine;
    }
    core->door = wi_door_open(be);
    rc = core->door == NULL ? -ENOMEM : wi_engine_open(&core->engine, be);
    if (rc < 0)
        goto no_engine;
    wi_list_init(&core->wakes);
    wi_list_init(&core->signals);
    if (config->ops_max > 0)
        wi_engine_limit(&core->engine, config->ops_max);
    wi_slab_init(&core->tasks, sizeof(struct wi_task), config->tasks_max, be->ops->entropy(be));
    wi_scope_open(&core->root, core, NULL, NULL, WEIR_ALL);
    wi_core_self = core;
    core->stamp = wi_engine_time(&core->engine);
    return 0;

no_engine:
    if (core->door != NULL)
        wi_door_drop(core->door);
    wi_marks_drop(core->marks);
    wi_pool_close(&core->pool);
no_pool:
    wi_stack_pool_destroy(&core->stacks);
    return rc;
}

/* Gives at most `limit` messages to their functions, what was left behind before first. */
static __attribute__((noinline)) unsigned deliver(struct wi_core *core, struct wi_queue fresh,
                                                  unsigned limit)
{
    unsigned count = 0;
    wi_queue_splice_back(&core->backlog, &fresh);
    for (struct wi_queue_node *node; count < limit; count++) {
        node = wi_queue_pop_front(&core->backlog);
        if (node == NULL)
            break;
        struct wi_message *message = wi_container_of(node, struct wi_message, node);
        message->fn(core, message);
    }
    core->messages += count;
    if (count > 0 && core->on_wake != NULL)
        core->on_wake(core->on_wake_user);
    return count;
}

/* Nobody is woken by what comes now; but what is inside has to be let go of. How many messages there
 * were. */
static unsigned close_door(struct wi_core *core)
{
    wi_signals_close(core);
    unsigned late = deliver(core, wi_door_close(core->door), UINT_MAX);
    wi_wakes_close(core);
    return late;
}

unsigned wi_core_close(struct wi_core *core)
{
    unsigned late = close_door(core);
    wi_assert(core->root.live == 0 && core->tasks.live == 0 && wi_queue_empty(&core->ready));
    unsigned attached = wi_calls_close(&core->engine);
    if (attached > 0)
        wi_log(core->log, WEIR_LOG_WARN,
               "%u descriptors are still attached at the end of the run; closed", attached);
    wi_marks_close(core->marks, core->log);
    core->marks =
        NULL; /* other cores of a simulation run meanwhile, and one may discard this one */
    wi_engine_close(&core->engine);
    wi_pool_close(&core->pool);
    wi_slab_destroy(&core->tasks);
    wi_stack_pool_destroy(&core->stacks);
    wi_door_drop(core->door);
    core->door = NULL;
    wi_core_self = NULL;
    return late;
}

void wi_core_each_task(struct wi_core *core, void (*fn)(struct wi_task *task, void *arg), void *arg)
{
    for (uint32_t i = 0; i < core->tasks.made; i++) {
        struct wi_slab_node *node = wi_slab_at(&core->tasks, i);
        struct wi_task *task = wi_container_of(node, struct wi_task, node);
        if (node->live && task->state != WI_TASK_FREE)
            fn(task, arg);
    }
}

static void quarantine(struct wi_task *task, void *arg)
{
    wi_stack_abandon(&((struct wi_core *)arg)->stacks, task->stack);
}

unsigned wi_core_abandon(struct wi_core *core)
{
    wi_core_each_task(core, quarantine, core);
    unsigned late = close_door(core);
    wi_calls_abandon(&core->engine);
    wi_marks_close(core->marks, core->log);
    wi_engine_abandon(&core->engine);
    wi_slab_keep(&core->tasks);
    wi_keep(core->pool.loan);
    wi_stack_pool_destroy(&core->stacks);
    wi_door_drop(core->door);
    core->door = NULL;
    wi_core_self = NULL;
    return late;
}

static void take_stack(struct wi_task *task, void *arg)
{
    wi_stack_put(&((struct wi_core *)arg)->stacks, task->stack);
}

/* Everything that a live task would have let go of is reached from the core itself. */
void wi_core_discard(struct wi_core *core)
{
    wi_core_each_task(core, take_stack, core);
    (void)wi_door_close(core->door); /* it may hold messages of wakes */
    wi_signals_discard(core);
    wi_wakes_discard(core);
    wi_fds_abandon(&core->engine);
    wi_engine_abandon(&core->engine);
    wi_slab_discard(&core->tasks);
    wi_pool_discard(&core->pool);
    wi_marks_drop(core->marks);
    wi_stack_pool_destroy(&core->stacks);
    wi_door_drop(core->door);
}

void wi_core_nudge_now(struct wi_core *core)
{
    if (core->nudged)
        return;
    core->nudged = true;
    core->engine.be->ops->wake(core->engine.be);
}

static inline __attribute__((always_inline)) unsigned sleep_until_kicked(struct wi_core *core,
                                                                         weir_ns until)
{
    if (!wi_door_doze(core->door))
        until = WI_ENTER_NOW;
    unsigned did = wi_engine_turn(&core->engine, until);
    wi_door_awake(core->door);
    core->stamp = wi_engine_time(&core->engine);
    if (__builtin_expect(core->engine.be->never != WI_NEVER_SAID, 0))
        core->stuck = true;
    return did;
}

/* Looks again and again until something is there, true, or until the watch is over at *now. */
static bool watch(struct wi_core *core, weir_ns until, weir_ns *now, unsigned *did)
{
    weir_ns end = *now + core->spin_now;
    do {
        *did = wi_engine_turn(&core->engine, WI_ENTER_NOW);
        if (*did > 0 || !wi_inbox_empty(&core->door->inbox)) {
            core->spin_now =
                core->spin_now > core->spin_ns / 2 ? core->spin_ns : core->spin_now * 2;
            return true;
        }
        *now = wi_engine_after(&core->engine, 0);
    } while (*now < end && *now < until);
    core->spin_now /= 2;
    return false;
}

static inline __attribute__((always_inline)) unsigned turn_at_once(struct wi_core *core)
{
    if (__builtin_expect(++core->turns % STAMP_TURNS == 0, 0)) {
        core->stamp = wi_engine_time(&core->engine);
        core->stuck |= core->engine.be->never != WI_NEVER_SAID;
    }
    return wi_engine_turn(&core->engine, WI_ENTER_NOW);
}

/* Waits as the user asked for: not at all, after a watch, or no longer than so. */
static __attribute__((noinline)) unsigned wait_as_asked(struct wi_core *core, weir_ns until)
{
    unsigned did = 0;
    if (core->never_blocks || !wi_queue_empty(&core->backlog)) /* R5 */
        return turn_at_once(core);
    weir_ns now = wi_engine_after(&core->engine, 0);
    if (core->spin_now >= SPIN_MIN && watch(core, until, &now, &did))
        return did;
    if (until > now && core->park_ns_max < until - now)
        until = now + core->park_ns_max;
    did = sleep_until_kicked(core, until);
    if (core->spin_now < SPIN_MIN && wi_engine_after(&core->engine, 0) - now < core->spin_ns)
        core->spin_now = core->spin_ns;
    return did;
}

/* Whether a wait without an end, with no timer set, would be in vain. */
static __attribute__((cold)) bool is_stuck(const struct wi_core *core)
{
    return core->sources == 0 && core->root.live > 0 && wi_list_empty(&core->wakes) &&
           wi_list_empty(&core->engine.calls) && wi_queue_empty(&core->backlog) &&
           wi_inbox_empty(&core->door->inbox);
}

unsigned wi_core_turn(struct wi_core *core, weir_ns until)
{
    bool had_tasks = core->root.live > 0;
    if (__builtin_expect(!wi_inbox_empty(&core->door->inbox) || !wi_queue_empty(&core->backlog), 0))
        (void)deliver(core, wi_inbox_take(&core->door->inbox), core->inbox_limit);
    if (__builtin_expect(core->on_turn != NULL, 0))
        core->on_turn(core->on_turn_user);
    wi_sched_run(core);
    core->engine.be->resumed = core->resumed;
    if (__builtin_expect(core->claims.waiting > 0, 0))
        wi_claims_serve(core); /* only tasks that ran can have made room */
    if (had_tasks && core->root.live == 0)
        until = WI_ENTER_NOW; /* the last task has ended: whoever steps the core has to learn it */
    weir_ns next = wi_engine_next(&core->engine);
    if (next < until)
        until = next;
    if (!wi_queue_empty(&core->ready) || until == WI_ENTER_NOW)
        return turn_at_once(core);
    if (__builtin_expect(core->sources == 0, 0) && until == WEIR_FOREVER && is_stuck(core)) {
        core->stuck = true;
        return 0;
    }
    if (__builtin_expect(core->waits_as_asked || !wi_queue_empty(&core->backlog), 0))
        return wait_as_asked(core, until);
    return sleep_until_kicked(core, until);
}
