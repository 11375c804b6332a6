/* SPDX-License-Identifier: MIT */
/* core -- opening, the turn, closing; the contract is in core.h, tasks are switched in sched.c. */
#include "task/core.h"

#include <errno.h>
#include <limits.h>

#include "base/require.h"
#include "task/claim.h"
#include "task/sched.h"

int wi_core_open(struct wi_core *core, struct wi_backend *be, const struct wi_core_config *config,
                 struct wi_log *log, uint8_t id)
{
    *core =
        (struct wi_core){.run_budget = config->run_budget,
                         .inbox_limit = config->inbox_limit > 0 ? config->inbox_limit : UINT_MAX,
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
    core->door = wi_door_open(be);
    rc = core->door == NULL ? -ENOMEM : wi_engine_open(&core->engine, be);
    if (rc < 0)
        goto no_engine;
    wi_slab_init(&core->tasks, sizeof(struct wi_task), config->tasks_max, be->ops->entropy(be));
    wi_scope_open(&core->root, core, NULL, NULL, WEIR_ALL);
    wi_core_self = core;
    return 0;

no_engine:
    if (core->door != NULL)
        wi_door_drop(core->door);
    wi_pool_close(&core->pool);
no_pool:
    wi_stack_pool_destroy(&core->stacks);
    return rc;
}

/* Gives at most `limit` messages to their functions, what was left behind before first. */
static unsigned deliver(struct wi_core *core, struct wi_queue fresh, unsigned limit)
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
    return count;
}

unsigned wi_core_close(struct wi_core *core)
{
    unsigned late = deliver(core, wi_door_close(core->door), UINT_MAX);
    wi_assert(core->root.live == 0 && wi_queue_empty(&core->ready));
    wi_engine_close(&core->engine);
    wi_pool_close(&core->pool);
    wi_slab_destroy(&core->tasks);
    wi_stack_pool_destroy(&core->stacks);
    wi_door_drop(core->door);
    core->door = NULL;
    wi_core_self = NULL;
    return late;
}

void wi_core_nudge_now(struct wi_core *core)
{
    if (core->nudged)
        return;
    core->nudged = true;
    core->engine.be->ops->wake(core->engine.be);
}

static unsigned sleep_until_kicked(struct wi_core *core, weir_ns until)
{
    if (!wi_door_doze(core->door))
        until = WI_ENTER_NOW;
    unsigned did = wi_engine_turn(&core->engine, until);
    wi_door_awake(core->door);
    return did;
}

unsigned wi_core_turn(struct wi_core *core, weir_ns until)
{
    bool had_tasks = core->root.live > 0;
    unsigned did = 0;
    if (!wi_inbox_empty(&core->door->inbox) || !wi_queue_empty(&core->backlog))
        did = deliver(core, wi_inbox_take(&core->door->inbox), core->inbox_limit);
    did += wi_sched_run(core);
    if (__builtin_expect(core->claims.waiting > 0, 0))
        wi_claims_serve(core); /* only tasks that ran can have made room */
    if (had_tasks && core->root.live == 0)
        until = WI_ENTER_NOW; /* the last task has ended: whoever steps the core has to learn it */
    weir_ns next = wi_engine_next(&core->engine);
    if (next < until)
        until = next;
    if (!wi_queue_empty(&core->ready) || !wi_queue_empty(&core->backlog) || until == WI_ENTER_NOW)
        return did + wi_engine_turn(&core->engine, WI_ENTER_NOW);
    return did + sleep_until_kicked(core, until);
}
