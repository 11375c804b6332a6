/* SPDX-License-Identifier: MIT */
/* stop -- asking, waiting, giving up; the picture is in stop.h. */
#include "app/stop.h"

#include <errno.h>
#include <stdlib.h>

#include "app/dump.h"
#include "app/runtime.h"
#include "app/stats.h"
#include "op/call.h"
#include "weir/core.h"
#include "weir/error.h"

enum { NAMED_MAX = 8 }; /* operations that the log names one by one */

/* ---- asking ---- */

static void count_shielded(struct wi_task *task, void *arg)
{
    if (task->cover->state == 0)
        ++*(uint64_t *)arg;
}

/* The hard limit: goodbyes are cut short, and closes have no budget any more. */
static void pierce(struct wi_runtime *runtime)
{
    struct wi_core *core = &runtime->core;
    struct wi_stop *stop = &runtime->stop;
    stop->pierced = true;
    wi_core_each_task(core, count_shielded, &stop->aborted);
    wi_cover_mark(&core->root.body, WI_PIERCED);
    wi_net_hurry(&runtime->net);
    stop->quiet_since = wi_engine_after(&core->engine, 0);
}

static void limit_reached(struct wi_engine *engine, struct wi_alarm *alarm)
{
    struct wi_stop *stop = wi_container_of(alarm, struct wi_stop, alarm);
    (void)engine;
    pierce(wi_container_of(stop, struct wi_runtime, stop));
}

bool wi_stop_ask(struct wi_runtime *runtime, int value, weir_ns grace)
{
    struct wi_core *core = &runtime->core;
    struct wi_stop *stop = &runtime->stop;
    weir_ns limit = grace > 0 ? wi_engine_after(&core->engine, grace) : WI_ENTER_NOW;
    bool first = !stop->asked;
    if (first) {
        stop->asked = true;
        stop->value = value;
        stop->limit = WEIR_FOREVER;
        stop->alarm.fn = limit_reached;
        wi_cover_mark(&core->root.body, WI_CANCELED);
        wi_calls_stop(&core->engine);
    }
    if (stop->pierced || limit >= stop->limit)
        return first;
    stop->limit = limit;
    if (limit == WI_ENTER_NOW) {
        wi_alarm_clear(&core->engine, &stop->alarm);
        pierce(runtime);
    } else {
        wi_alarm_set(&core->engine, &stop->alarm, limit);
    }
    return first;
}

int weir_stop(int value, weir_ns grace)
{
    struct wi_core *core = wi_core_callable();
    if (core == NULL)
        return -EPERM;
    wi_core_nudge(core);
    return wi_stop_ask(wi_runtime_of(core), value, grace < 0 ? WEIR_FOREVER : grace);
}

/* ---- waiting ---- */

static uint64_t moves_of(const struct wi_core *core)
{
    return core->resumed + core->engine.stats.completed + core->engine.stats.retired;
}

/* Nothing can ever wake the tasks that are left: their waits end as at the hard limit of a stop. */
static void break_deadlock(struct wi_runtime *runtime)
{
    struct wi_stop *stop = &runtime->stop;
    bool late = runtime->core.engine.be->never == WI_NEVER_LATER;
    wi_log(&runtime->log, WEIR_LOG_ERROR,
           late ? "the time of the simulation is up, and %u tasks are left"
                : "deadlock: nothing can ever wake the %u tasks that are left",
           runtime->core.tasks.live);
    wi_dump_to_log(runtime, WEIR_LOG_ERROR);
    (void)wi_stop_ask(runtime, 0, 0);
    stop->value = late ? -ETIME : -EDEADLK;
    runtime->core.stuck = false;
    runtime->core.engine.be->never = WI_NEVER_SAID;
}

/* One turn, no longer than somebody's patience; true if that is at an end. `patient`: something else
 * than the kernel may yet end what is left, so nothing is counted. */
static bool turn_in_vain(struct wi_runtime *runtime, bool patient)
{
    struct wi_core *core = &runtime->core;
    struct wi_stop *stop = &runtime->stop;
    weir_ns settle = runtime->options.stop_settle_ns;
    if (patient || settle < 0) {
        wi_core_turn(core, WEIR_FOREVER);
        stop->quiet_since = wi_engine_after(&core->engine, 0);
        return core->stuck;
    }
    weir_ns end = stop->quiet_since + settle;
    wi_core_turn(core, end);
    weir_ns now = wi_engine_after(&core->engine, 0);
    if (moves_of(core) != stop->moves) {
        stop->moves = moves_of(core);
        stop->quiet_since = now;
        return false;
    }
    return now >= end && wi_queue_empty(&core->ready);
}

static bool tasks_ended(struct wi_runtime *runtime)
{
    const struct wi_core *core = &runtime->core;
    bool in_vain = false;
    while (core->root.live > 0 && !in_vain) {
        if (runtime->stop.pierced)
            in_vain = turn_in_vain(runtime, false);
        else
            wi_core_turn(&runtime->core, WEIR_FOREVER);
        if (runtime->core.stuck && !runtime->stop.pierced)
            break_deadlock(runtime);
    }
    return core->root.live == 0;
}

/* Whether somebody had time given that is not over: closes that linger, writes before the grace is. */
static bool has_time(struct wi_runtime *runtime)
{
    return wi_net_lingers(&runtime->net) ||
           (!runtime->stop.pierced && wi_calls_write(&runtime->core.engine));
}

/* What is left when no task is. */
static bool rest_ended(struct wi_runtime *runtime)
{
    struct wi_core *core = &runtime->core;
    struct wi_net *net = &runtime->net;
    wi_calls_end(&core->engine);
    wi_net_begin_close(net);
    wi_fs_begin_close(&runtime->fs);
    runtime->stop.quiet_since = wi_engine_after(&core->engine, 0);
    while (!wi_net_ended(net) || !wi_fs_ended(&runtime->fs) || !wi_list_empty(&core->engine.calls))
        if (turn_in_vain(runtime, has_time(runtime)))
            return false;
    return true;
}

/* Calls that were cancelled go on in threads of their own; most return soon. */
static void await_orphans(struct wi_runtime *runtime)
{
    struct wi_core *core = &runtime->core;
    const struct wi_backend *be = core->engine.be;
    weir_ns settle = runtime->options.stop_settle_ns;
    weir_ns end = settle < 0 ? WEIR_FOREVER : wi_engine_after(&core->engine, settle);
    while (be->orphans > 0 && wi_engine_after(&core->engine, 0) < end)
        wi_core_turn(core, end);
    runtime->stop.orphaned = be->orphans;
    if (be->orphans > 0)
        wi_log(&runtime->log, WEIR_LOG_WARN,
               "%u calls that were cancelled have not returned; each keeps its thread and its own "
               "memory until it does",
               (unsigned)be->orphans);
}

/* ---- giving up ---- */

struct report {
    struct wi_log *log;
    uint64_t count;
};

static void report_one(const struct wi_op *op, void *arg)
{
    struct report *report = arg;
    if (++report->count <= NAMED_MAX)
        wi_log(report->log, WEIR_LOG_ERROR, "abandoned: %s on descriptor %d, %s",
               wi_opcode_name(op->req.opcode), (int)op->req.fd,
               op->canceled ? "cancelled, never ended" : "never ended");
}

static void count_task(struct wi_task *task, void *arg)
{
    (void)task;
    ++*(uint64_t *)arg;
}

/* Says what is left; or ends the process, if that was asked for. */
static void report_rest(struct wi_runtime *runtime)
{
    struct wi_stop *stop = &runtime->stop;
    struct report report = {.log = &runtime->log};
    wi_core_each_task(&runtime->core, count_task, &stop->quarantined);
    wi_engine_each(&runtime->core.engine, report_one, &report);
    stop->outstanding = report.count;
    wi_log(&runtime->log, WEIR_LOG_ERROR,
           "%llu operations never ended; %llu tasks and all memory that the kernel may still use "
           "stay for ever",
           (unsigned long long)stop->outstanding, (unsigned long long)stop->quarantined);
    if (runtime->options.abandon_aborts != 0)
        abort();
}

static int give_up(struct wi_runtime *runtime)
{
    wi_run_signals_close(runtime);
    runtime->stop.orphaned = runtime->core.engine.be->orphans;
    report_rest(runtime);
    wi_stats_gather(runtime, &runtime->stop.stats);
    wi_net_abandon(&runtime->net);
    wi_fs_abandon(&runtime->fs);
    runtime->stop.inbox_undrained = wi_core_abandon(&runtime->core);
    return WEIR_EABANDONED;
}

int wi_stop_finish(struct wi_runtime *runtime)
{
    int rc = 0;
    bool ended = tasks_ended(runtime) && rest_ended(runtime);
    wi_runtime_unwatch(runtime);
    if (ended) {
        wi_run_signals_close(runtime);
        wi_alarm_clear(&runtime->core.engine, &runtime->stop.alarm);
        await_orphans(runtime);
        wi_stats_gather(runtime, &runtime->stop.stats);
        wi_net_close(&runtime->net);
        wi_fs_close(&runtime->fs);
        runtime->stop.inbox_undrained = wi_core_close(&runtime->core);
    } else {
        rc = give_up(runtime);
    }
    runtime->stop.stats.inbox_undrained = runtime->stop.inbox_undrained;
    wi_pollable_close(&runtime->pollable);
    if (runtime->options.stats != NULL)
        wi_stats_give(&runtime->stop.stats, runtime->options.stats);
    return rc;
}
