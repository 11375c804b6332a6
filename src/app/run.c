/* SPDX-License-Identifier: MIT */
/*
 * run -- the runtime from start to end: options, backend, core, main, goodbye.
 *
 *     start   options -> limits -> backend -> core -> net -> main          each step names its failure
 *     run     turns until the root scope has no task left
 *     end     sockets that were forgotten -> engine -> backend             in the reverse order
 *
 * Nothing is left when a step fails: what was done before it is undone.
 */
#include "app/run.h"

#include <errno.h>

#include "app/options.h"
#include "base/limits.h"
#include "net/net.h"
#include "weir/error.h"

struct run {
    struct wi_options options;
    struct wi_log log;
    struct wi_core core;
    struct wi_net net;
    weir_fn *main_fn;
    void *main_arg;
    int result;
};

static int main_task(void *arg)
{
    struct run *run = arg;
    run->result = run->main_fn(run->main_arg);
    return run->result;
}

static weir_ns budget_of(int64_t option)
{
    return option < 0 ? WEIR_FOREVER : option;
}

static int raise_limits(struct run *run)
{
    uint64_t want = (uint64_t)run->options.nofile, hard = 0;
    int rc = want == 0 ? 0 : wi_limit_nofile(want, &hard);
    if (rc < 0)
        wi_log(&run->log, WEIR_LOG_ERROR, "option nofile = %llu: the hard limit is %llu",
               (unsigned long long)want, (unsigned long long)hard);
    return rc;
}

static int open_backend(struct run *run, struct wi_backend **be, wi_wrap_fn *wrap, void *user)
{
    struct wi_backend_config config = {.sq_entries = (unsigned)run->options.sq_entries};
    struct wi_why why = {{0}};
    int rc = wi_backend_open(be, run->options.backend, &config, &why);
    if (rc < 0) {
        wi_log(&run->log, WEIR_LOG_ERROR, "backend %s cannot be used: %s",
               weir_backend_name(run->options.backend), why.text);
        return rc;
    }
    bool fell_back =
        run->options.backend == WEIR_BACKEND_AUTO && (*be)->caps.backend != WEIR_BACKEND_URING;
    wi_log(&run->log, fell_back ? WEIR_LOG_WARN : WEIR_LOG_INFO, "backend %s: %s",
           weir_backend_name((*be)->caps.backend), (*be)->caps.reason);
    rc = wrap != NULL ? wrap(be, user) : 0;
    if (rc < 0)
        (*be)->ops->close(*be);
    return rc;
}

static int open_core(struct run *run, struct wi_backend *be)
{
    const struct wi_options *options = &run->options;
    struct wi_core_config config = {
        .stack = {.stack_bytes = (size_t)options->stack_bytes,
                  .guard_bytes = (size_t)options->guard_bytes},
        .recv_pool_bytes = (size_t)options->recv_pool_bytes,
        .run_budget = (unsigned)options->run_budget,
        .tasks_max = (uint32_t)options->tasks_max,
    };
    int rc = wi_core_open(&run->core, be, &config, &run->log, 0);
    if (rc < 0) {
        wi_log(&run->log, WEIR_LOG_ERROR,
               "the core cannot start: %s (stack_bytes %lld, guard_bytes %lld, recv_pool_bytes "
               "%lld)",
               weir_strerror(rc), (long long)options->stack_bytes, (long long)options->guard_bytes,
               (long long)options->recv_pool_bytes);
        be->ops->close(be);
    }
    return rc;
}

static int run_main(struct run *run)
{
    struct wi_net_config config = {
        .sockets_max = (uint32_t)run->options.sockets_max,
        .linger_ns = budget_of(run->options.linger_ns),
        .linger_canceled_ns = budget_of(run->options.linger_canceled_ns),
    };
    wi_net_open(&run->net, &run->core, &config);
    int rc = wi_core_spawn(&run->core, &run->core.root, main_task, run, 0);
    if (rc < 0)
        wi_log(&run->log, WEIR_LOG_ERROR, "the first task cannot start: %s", weir_strerror(rc));
    while (run->core.root.live > 0)
        wi_core_turn(&run->core, WEIR_FOREVER);
    wi_net_close(&run->net);
    wi_core_close(&run->core);
    return rc < 0 ? rc : run->result;
}

int wi_run(const struct weir_opts *opts, weir_fn *main_fn, void *arg, wi_wrap_fn *wrap, void *user)
{
    struct run run = {.main_fn = main_fn, .main_arg = arg};
    struct wi_backend *be = NULL;
    if (wi_core_self != NULL)
        return -EPERM;
    int rc = wi_options_resolve(&run.options, &run.log, opts);
    if (rc == 0)
        rc = raise_limits(&run);
    if (rc == 0)
        rc = open_backend(&run, &be, wrap, user);
    if (rc == 0)
        rc = open_core(&run, be);
    return rc < 0 ? rc : run_main(&run);
}

int weir_run(const struct weir_opts *opts, weir_fn *main_fn, void *arg)
{
    return wi_run(opts, main_fn, arg, NULL, NULL);
}

int weir_caps(struct weir_caps *out)
{
    struct wi_core *core = wi_core_self;
    if (core == NULL)
        return -EPERM;
    *out = core->engine.be->caps;
    return 0;
}
