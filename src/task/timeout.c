/* SPDX-License-Identifier: MIT */
/* timeout -- functions under a deadline, and functions later; the contract is in weir/timer.h. */
#include "weir/timer.h"

#include <errno.h>

#include "task/core.h"

/* Runs fn in the deadline that the caller has just entered, and leaves it. */
static int run_within(const struct wi_task *task, struct weir_deadline *deadline, weir_fn *fn,
                      void *arg)
{
    int rc = wi_task_interrupted(task);
    if (rc == 0)
        rc = fn(arg);
    weir_deadline_leave(deadline);
    return rc;
}

int weir_timeout(weir_ns duration, weir_fn *fn, void *arg)
{
    struct weir_deadline deadline;
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc < 0)
        return rc;
    weir_deadline_enter(&deadline, duration);
    return run_within(task, &deadline, fn, arg);
}

int weir_timeout_at(weir_ns when, weir_fn *fn, void *arg)
{
    struct weir_deadline deadline;
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc < 0)
        return rc;
    weir_deadline_enter_at(&deadline, when);
    return run_within(task, &deadline, fn, arg);
}

struct later {
    weir_ns when;
    weir_fn *fn;
    void *arg;
};

static int run_later(void *arg)
{
    const struct later *later = arg;
    int rc = weir_sleep_until(later->when);
    return rc < 0 ? rc : later->fn(later->arg);
}

int weir_at(struct weir_scope *scope, weir_ns when, weir_fn *fn, void *arg)
{
    struct later later = {.when = when, .fn = fn, .arg = arg};
    return weir_spawn_copy(scope, run_later, &later, sizeof later);
}

int weir_after(struct weir_scope *scope, weir_ns delay, weir_fn *fn, void *arg)
{
    struct wi_core *core = wi_core_self;
    if (core == NULL)
        return -EPERM;
    return weir_at(scope, wi_engine_after(&core->engine, delay > 0 ? delay : 0), fn, arg);
}
