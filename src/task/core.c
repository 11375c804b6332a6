/* SPDX-License-Identifier: MIT */
/* core -- opening, the turn, closing; the contract is in core.h, tasks are switched in sched.c. */
#include "task/core.h"

#include <errno.h>

#include "base/require.h"
#include "task/claim.h"
#include "task/sched.h"

int wi_core_open(struct wi_core *core, struct wi_backend *be, const struct wi_core_config *config,
                 struct wi_log *log, uint8_t id)
{
    *core = (struct wi_core){.run_budget = config->run_budget, .log = log, .id = id};
    struct wi_pages pages;
    wi_pages_probe(&pages);
    int rc = wi_stack_pool_init(&core->stacks, &pages, &config->stack);
    if (rc < 0)
        return rc;
    rc = wi_pool_open(&core->pool, &pages, config->recv_pool_bytes, WI_RECV_BUF_BYTES);
    if (rc == 0 && (rc = wi_engine_open(&core->engine, be)) < 0)
        wi_pool_close(&core->pool);
    if (rc < 0) {
        wi_stack_pool_destroy(&core->stacks);
        return rc;
    }
    wi_slab_init(&core->tasks, sizeof(struct wi_task), config->tasks_max, be->ops->entropy(be));
    wi_inbox_init(&core->inbox);
    atomic_init(&core->sleep, WI_CORE_AWAKE);
    wi_scope_open(&core->root, core, NULL, NULL, WEIR_ALL);
    wi_core_self = core;
    return 0;
}

static void deliver(struct wi_core *core, struct wi_queue messages)
{
    for (struct wi_queue_node *node; (node = wi_queue_pop_front(&messages)) != NULL;) {
        struct wi_message *message = wi_container_of(node, struct wi_message, node);
        message->fn(core, message);
    }
}

void wi_core_close(struct wi_core *core)
{
    deliver(core, wi_inbox_close(&core->inbox));
    wi_assert(core->root.live == 0 && wi_queue_empty(&core->ready));
    wi_engine_close(&core->engine);
    wi_pool_close(&core->pool);
    wi_slab_destroy(&core->tasks);
    wi_stack_pool_destroy(&core->stacks);
    wi_core_self = NULL;
}

bool wi_core_post(struct wi_core *core, struct wi_message *message)
{
    if (!wi_inbox_push(&core->inbox, &message->node))
        return false;
    atomic_thread_fence(memory_order_seq_cst); /* R3, with the fence in sleep_until_kicked */
    if (atomic_load_explicit(&core->sleep, memory_order_relaxed) == WI_CORE_SLEEPING &&
        atomic_exchange_explicit(&core->sleep, WI_CORE_AWAKE, memory_order_relaxed) ==
            WI_CORE_SLEEPING)
        core->engine.be->ops->wake(core->engine.be);
    return true;
}

static void sleep_until_kicked(struct wi_core *core, weir_ns until)
{
    atomic_store_explicit(&core->sleep, WI_CORE_SLEEPING, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* R3, with the fence in wi_core_post */
    if (!wi_inbox_empty(&core->inbox))
        until = WI_ENTER_NOW;
    wi_engine_turn(&core->engine, until);
    atomic_store_explicit(&core->sleep, WI_CORE_AWAKE, memory_order_relaxed);
}

void wi_core_turn(struct wi_core *core, weir_ns until)
{
    bool had_tasks = core->root.live > 0;
    deliver(core, wi_inbox_take(&core->inbox));
    wi_sched_run(core);
    if (__builtin_expect(core->claims.waiting > 0, 0))
        wi_claims_serve(core); /* only tasks that ran can have made room */
    if (had_tasks && core->root.live == 0)
        until = WI_ENTER_NOW; /* the last task has ended: whoever steps the core has to learn it */
    weir_ns next = wi_engine_next(&core->engine);
    if (next < until)
        until = next;
    if (!wi_queue_empty(&core->ready) || until == WI_ENTER_NOW)
        wi_engine_turn(&core->engine, WI_ENTER_NOW);
    else
        sleep_until_kicked(core, until);
}
