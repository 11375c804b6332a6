/* SPDX-License-Identifier: MIT */
/* run -- weir_run: a runtime from start to end, with main as its first task. */
#include "app/run.h"

#include <errno.h>

#include "app/runtime.h"
#include "weir/error.h"

struct run {
    struct wi_runtime runtime;
    weir_fn *main_fn;
    void *main_arg;
    int result;
};

static int main_task(void *arg)
{
    struct run *run = arg;
    (void)weir_set_name("main");
    run->result = run->main_fn(run->main_arg);
    return run->result;
}

static int run_main(struct run *run)
{
    struct wi_core *core = &run->runtime.core;
    int rc = wi_core_spawn(core, &core->root, main_task, run, 0);
    if (rc < 0)
        wi_log(&run->runtime.log, WEIR_LOG_ERROR, "the first task cannot start: %s",
               weir_strerror(rc));
    int end = wi_stop_finish(&run->runtime);
    if (rc < 0 || end < 0)
        return rc < 0 ? rc : end;
    return run->runtime.stop.asked ? run->runtime.stop.value : run->result;
}

int wi_run_as(const struct weir_opts *opts, weir_fn *main_fn, void *arg,
              const struct wi_start *start)
{
    struct run run = {.main_fn = main_fn, .main_arg = arg};
    int rc = wi_runtime_open(&run.runtime, opts, start);
    if (rc < 0)
        return rc;
    if (start->runtime != NULL)
        *start->runtime = &run.runtime;
    rc = run_main(&run);
    if (start->runtime != NULL)
        *start->runtime = NULL;
    if (start->leaks != NULL)
        *start->leaks += run.runtime.net.stats.forgotten + run.runtime.fs.forgotten +
                         run.runtime.core.loans_leaked;
    return rc;
}

int wi_run(const struct weir_opts *opts, weir_fn *main_fn, void *arg, wi_wrap_fn *wrap, void *user)
{
    return wi_run_as(opts, main_fn, arg, &(struct wi_start){.wrap = wrap, .user = user});
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

int weir_set_run_budget(unsigned tasks)
{
    struct wi_core *core = wi_core_callable();
    if (core == NULL)
        return -EPERM;
    int rc = wi_options_check_run_budget(tasks);
    if (rc == 0)
        core->run_budget = tasks;
    return rc;
}
