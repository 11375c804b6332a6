/* SPDX-License-Identifier: MIT */
/* stats -- mechanism; the contract is in stats.h. */
#include "app/stats.h"

#include <errno.h>
#include <string.h>

#include "app/runtime.h"

static uint64_t length_of(const struct wi_list *head)
{
    uint64_t count = 0;
    for (const struct wi_list *at = head->next; at != head; at = at->next)
        count++;
    return count;
}

static uint64_t ready_in(const struct wi_core *core)
{
    uint64_t count = 0;
    for (const struct wi_queue_node *at = core->ready.head; at != NULL; at = at->next)
        count++;
    return count;
}

/* The wake-up is in the engine's counts, but is no operation of anybody's. */
static void gather_ops(const struct wi_engine *engine, struct weir_stats *out)
{
    const struct wi_engine_stats *stats = &engine->stats;
    uint64_t wake_flying = engine->wake.state != WI_OP_IDLE;
    uint64_t wake_waits = engine->wake.state == WI_OP_WAITING;
    uint64_t unsent = length_of(&engine->unstaged) - wake_waits + length_of(&engine->retired);
    out->ops_pending = wi_engine_pending(engine);
    out->started = stats->started - stats->wakes_armed;
    out->submitted = out->started - stats->retired - unsent;
    out->completed = stats->completed - (stats->wakes_armed - wake_flying);
    out->retired = stats->retired;
    out->canceled = stats->canceled;
    out->late = stats->late;
    out->cancels = stats->cancels;
    out->refused = stats->refused;
    out->enters = stats->enters;
    out->retries = stats->enter_retries;
    out->overflows = engine->be->overflows;
    out->wakes = stats->wakes;
}

void wi_stats_gather(const struct wi_runtime *runtime, struct weir_stats *out)
{
    const struct wi_core *core = &runtime->core;
    const struct wi_stop *stop = &runtime->stop;
    *out = (struct weir_stats){.size = sizeof *out};
    out->tasks_live = core->root.live == 0 ? 0 : core->tasks.live;
    out->tasks_ready = ready_in(core);
    out->resumes = core->resumed;
    out->messages = core->messages;
    gather_ops(&core->engine, out);
    out->aborted = stop->aborted;
    out->quarantined = stop->quarantined;
    out->outstanding = stop->outstanding;
    out->inbox_undrained = stop->inbox_undrained;
    out->orphaned = stop->orphaned;
}

void wi_stats_give(const struct weir_stats *stats, struct weir_stats *user)
{
    size_t size = user->size;
    memset(user, 0, size);
    memcpy(user, stats, size < sizeof *stats ? size : sizeof *stats);
    memcpy(user, &size, sizeof size);
}

int weir_stats(struct weir_stats *out)
{
    struct wi_core *core = wi_core_callable();
    struct weir_stats stats;
    if (core == NULL)
        return -EPERM;
    if (out->size < sizeof out->size)
        return -EINVAL;
    wi_stats_gather(wi_runtime_of(core), &stats);
    wi_stats_give(&stats, out);
    return 0;
}
