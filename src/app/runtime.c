/* SPDX-License-Identifier: MIT */
/* runtime -- opening the parts; the picture is in runtime.h. */
#include "app/runtime.h"

#include <errno.h>

#include "backend/sim.h"
#include "base/limits.h"
#include "weir/error.h"

static weir_ns budget_of(int64_t option)
{
    return option < 0 ? WEIR_FOREVER : option;
}

/* Those of the process are nothing to a node of a simulation: they would decide what no seed does. */
static int raise_limits(struct wi_runtime *runtime, const struct wi_start *start)
{
    uint64_t want = (uint64_t)runtime->options.nofile, hard = 0;
    int rc = want == 0 || start->node != NULL ? 0 : wi_limit_nofile(want, &hard);
    if (rc < 0)
        wi_log(&runtime->log, WEIR_LOG_ERROR, "option nofile = %llu: the hard limit is %llu",
               (unsigned long long)want, (unsigned long long)hard);
    return rc;
}

static int open_backend(struct wi_runtime *runtime, struct wi_backend **be,
                        const struct wi_start *start)
{
    struct wi_backend_config config = {.sq_entries = (unsigned)runtime->options.sq_entries,
                                       .cq_entries = (unsigned)runtime->options.cq_entries,
                                       .sim_node = start->node,
                                       .sim_seed = runtime->options.sim_seed,
                                       .sim_faults = runtime->options.sim_faults};
    struct wi_why why = {{0}};
    int rc = wi_backend_open(be, runtime->options.backend, &config, &why);
    if (rc < 0) {
        wi_log(&runtime->log, WEIR_LOG_ERROR, "backend %s cannot be used: %s",
               weir_backend_name(runtime->options.backend), why.text);
        return rc;
    }
    bool fell_back =
        runtime->options.backend == WEIR_BACKEND_AUTO && (*be)->caps.backend != WEIR_BACKEND_URING;
    wi_log(&runtime->log, fell_back ? WEIR_LOG_WARN : WEIR_LOG_INFO, "backend %s: %s",
           weir_backend_name((*be)->caps.backend), (*be)->caps.reason);
    if ((*be)->caps.backend == WEIR_BACKEND_SIM) {
        runtime->log.now = wi_sim_peek;
        runtime->log.clock = *be; /* of the simulated core itself, whatever is put around it */
    }
    rc = start->wrap != NULL ? start->wrap(be, start->user) : 0;
    if (rc < 0)
        (*be)->ops->close(*be);
    return rc;
}

static int open_core(struct wi_runtime *runtime, struct wi_backend *be)
{
    const struct wi_options *options = &runtime->options;
    struct wi_core_config config = {
        .stack = {.stack_bytes = (size_t)options->stack_bytes,
                  .guard_bytes = (size_t)options->guard_bytes},
        .recv_pool_bytes = (size_t)options->recv_pool_bytes,
        .run_budget = (unsigned)options->run_budget,
        .inbox_limit = (unsigned)options->inbox_limit,
        .park_ns_max = options->park_ns_max,
        .spin_ns = options->spin_ns < 0 ? 0 : options->spin_ns,
        .never_blocks = options->busy != 0,
        .on_wake = options->on_wake,
        .on_wake_user = options->on_wake_user,
        .on_turn = options->on_turn,
        .on_turn_user = options->on_turn_user,
        .tasks_max = (uint32_t)options->tasks_max,
        .ops_max = (uint32_t)options->ops_max,
        .measure_stacks = options->measure_stacks != 0,
    };
    int rc = wi_core_open(&runtime->core, be, &config, &runtime->log, 0);
    if (rc < 0) {
        wi_log(&runtime->log, WEIR_LOG_ERROR,
               "the core cannot start: %s (stack_bytes %lld, guard_bytes %lld, recv_pool_bytes "
               "%lld)",
               weir_strerror(rc), (long long)options->stack_bytes, (long long)options->guard_bytes,
               (long long)options->recv_pool_bytes);
        be->ops->close(be);
    }
    return rc;
}

static void open_net(struct wi_runtime *runtime)
{
    struct wi_net_config config = {
        .sockets_max = (uint32_t)runtime->options.sockets_max,
        .linger_ns = budget_of(runtime->options.linger_ns),
        .linger_canceled_ns = budget_of(runtime->options.linger_canceled_ns),
        .recv_timeout_ns = runtime->options.recv_timeout_ns,
        .send_timeout_ns = runtime->options.send_timeout_ns,
    };
    wi_net_open(&runtime->net, &runtime->core, &config);
}

/* A handler of ours without a stack of its own, because the thread is on its alternate one, is none
 * for overflows. */
static int watch(struct wi_runtime *runtime, const struct wi_start *start)
{
    const struct wi_options *options = &runtime->options;
    struct wi_core *core = &runtime->core;
    int rc = 0;
    if (options->fault_report_off != 0 && options->stall_ns == 0)
        return 0;
    bool can_report =
        start->has_altstack || wi_altstack_open(&runtime->altstack, &core->stacks.pages) == 0;
    if (can_report && options->fault_report_off == 0)
        (void)wi_faults_open(&runtime->faults, core);
    /* In a simulation a task takes no time that a watchdog could measure. */
    if (options->stall_ns > 0 && core->engine.be->caps.backend != WEIR_BACKEND_SIM)
        rc = wi_stall_open(&runtime->stall, core, options->stall_ns, &runtime->log);
    if (rc < 0)
        wi_log(&runtime->log, WEIR_LOG_ERROR, "nobody can watch for stalls (stall_ns): %s",
               weir_strerror(rc));
    return rc;
}

void wi_runtime_unwatch(struct wi_runtime *runtime)
{
    wi_stall_close(&runtime->stall);
    wi_faults_close(&runtime->faults);
    wi_altstack_close(&runtime->altstack);
}

void wi_runtime_discard(struct wi_runtime *runtime)
{
    wi_runtime_unwatch(runtime);
    wi_run_signals_close(runtime);
    wi_net_discard(&runtime->net);
    wi_fs_discard(&runtime->fs);
    wi_core_discard(&runtime->core);
}

int wi_runtime_open(struct wi_runtime *runtime, const struct weir_opts *opts,
                    const struct wi_start *start)
{
    struct wi_backend *be = NULL;
    if (wi_core_self != NULL)
        return -EPERM;
    runtime->pollable.fd = runtime->pollable.timer = -1;
    int rc = wi_options_resolve(&runtime->options, &runtime->log, opts, start->node != NULL);
    if (rc == 0)
        rc = raise_limits(runtime, start);
    if (rc == 0)
        rc = open_backend(runtime, &be, start);
    if (rc == 0)
        rc = open_core(runtime, be);
    if (rc < 0)
        return rc;
    open_net(runtime);
    wi_fs_open(&runtime->fs, &runtime->core);
    rc = wi_run_signals_open(runtime);
    if (rc < 0) {
        wi_net_close(&runtime->net);
        wi_fs_close(&runtime->fs);
        (void)wi_core_close(&runtime->core);
    }
    if (rc == 0 && (rc = watch(runtime, start)) < 0)
        (void)wi_stop_finish(runtime);
    return rc;
}
