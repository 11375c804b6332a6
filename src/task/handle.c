/* SPDX-License-Identifier: MIT */
/*
 * handle -- naming a task: waiting for its result, cancelling it, handing it over.
 *
 *     spawn_task --> live, handled --end, somebody is parked for it--> free
 *                     |         |
 *                  detach      end --> ENDED, held by its scope --wait, detach, scope closes--> free
 *                     v
 *                   live (its end is that of any task)
 *
 * A handle is good while its header has this generation and is `handled`; whoever takes the result
 * or detaches clears the one or moves the other, so that every copy is stale at once. So a header
 * outlives its task only while its handle is neither waited for nor detached and its scope is open.
 * The caller's thread is the core's.
 */
#include "task/handle.h"

#include <errno.h>

#include "base/handle.h"
#include "task/core.h"
#include "task/sched.h"

/* On the stack of the task that is parked for another one's end. */
struct wi_await {
    struct wi_wait wait;
    struct wi_task *task;
    struct wi_task *target;
    bool over;
    int result;
};

static int find(uint64_t bits, struct wi_task **out)
{
    struct wi_core *core = wi_core_callable();
    if (core == NULL)
        return -EPERM;
    struct wi_slab_node *node = wi_handle_in(&core->tasks, core->id, WI_HANDLE_TASK, bits);
    if (node == NULL)
        return wi_handle_refuse(core->id, bits);
    *out = wi_container_of(node, struct wi_task, node);
    return (*out)->handled ? 0 : -EBADF;
}

/* ---- spawning ---- */

static int spawn(struct weir_scope *storage, weir_fn *fn, const void *arg, size_t copy,
                 weir_task *out, const void *site)
{
    struct wi_scope *scope;
    int rc = wi_scope_begin(storage, "weir_spawn_task", &scope);
    out->bits = 0;
    if (rc == 0)
        rc = wi_cover_error(scope->kids.state);
    if (rc == 0)
        rc = wi_task_copy_check(scope->core, copy);
    if (rc < 0)
        return rc;
    struct wi_task *task = wi_task_reserve(scope->core, &rc);
    if (task == NULL)
        return rc;
    wi_task_start(task, scope->core, scope, fn, arg, copy, site);
    task->handled = 1;
    task->await = NULL;
    out->bits = wi_handle_make(scope->core->id, WI_HANDLE_TASK, &task->node);
    return 0;
}

int weir_spawn_task(struct weir_scope *scope, weir_fn *fn, void *arg, weir_task *out)
{
    return spawn(scope, fn, arg, 0, out, __builtin_return_address(0));
}

int weir_spawn_task_copy(struct weir_scope *scope, weir_fn *fn, const void *arg, size_t size,
                         weir_task *out)
{
    return spawn(scope, fn, arg, size, out, __builtin_return_address(0));
}

/* ---- the end ---- */

bool wi_handle_ended(struct wi_task *task, int result)
{
    struct wi_await *await = task->await;
    if (await != NULL) {
        await->result = result;
        await->over = true;
        wi_task_wake(await->task);
        return false;
    }
    task->result = result;
    task->stack = NULL;
    task->state = WI_TASK_ENDED;
    wi_scope_hold(task->scope, task);
    return true;
}

static void tell_await(struct wi_wait *wait, struct wi_wait_about *about)
{
    about->tasks = 1;
    about->task = wi_container_of(wait, struct wi_await, wait)->target;
    about->object = about->task;
}

static const struct wi_wait_kind waits_for_task = {
    .interrupt = wi_wait_wake, .what = "for a task to end", .tell = tell_await};

/* 0 with the result in *await, or the interruption of `task`, and nothing has happened. */
static int wait_for_end(struct wi_task *task, struct wi_task *target, struct wi_await *await)
{
    int rc = 0;
    target->await = await;
    while (!await->over && rc == 0) {
        wi_task_park(task, &await->wait);
        rc = wi_task_interrupted(task);
    }
    if (await->over)
        return 0;
    target->await = NULL;
    return rc;
}

int weir_task_wait(weir_task *handle)
{
    struct wi_task *task, *target;
    int rc = wi_wait_begin(&task);
    if (rc < 0)
        return rc;
    rc = find(handle->bits, &target);
    if (rc < 0)
        return rc;
    if (target == task)
        return -EDEADLK;
    if (target->await != NULL)
        return -EALREADY;
    struct wi_await await = {.wait = {.kind = &waits_for_task}, .task = task, .target = target};
    if (target->state == WI_TASK_ENDED) {
        await.result = target->result;
        wi_task_discard(target);
    } else if ((rc = wait_for_end(task, target, &await)) < 0) {
        return rc;
    }
    handle->bits = 0;
    wi_task_completed_inline(task);
    return await.result;
}

/* ---- while it runs ---- */

int weir_task_is_finished(weir_task handle)
{
    struct wi_task *target;
    int rc = find(handle.bits, &target);
    return rc < 0 ? rc : target->state == WI_TASK_ENDED;
}

int weir_task_cancel(weir_task handle)
{
    struct wi_task *target;
    int rc = find(handle.bits, &target);
    if (rc < 0)
        return rc;
    if (target->state == WI_TASK_ENDED)
        return 0;
    wi_core_nudge(target->core);
    wi_cover_mark(&target->base, WI_CANCELED);
    return 1;
}

static bool encloses(const struct wi_scope *outer, const struct wi_scope *inner)
{
    const struct wi_cover *at = inner->body.parent;
    while (at != NULL && at != &outer->body)
        at = at->parent;
    return at != NULL;
}

/* What keeps a live child from being moved, or 0. */
static int refuse_move(const struct wi_scope *from, const struct wi_scope *outer)
{
    if (!encloses(outer, from))
        return -EINVAL;
    if (from->kids.state != 0)
        return wi_cover_error(from->kids.state);
    return wi_cover_error(outer->kids.state);
}

int weir_task_detach(weir_task *handle, struct weir_scope *storage)
{
    struct wi_task *target;
    struct wi_scope *outer = NULL;
    int rc = find(handle->bits, &target);
    if (rc == 0 && storage != NULL)
        rc = wi_scope_begin(storage, "weir_task_detach", &outer);
    if (rc < 0)
        return rc;
    if (target->await != NULL)
        return -EALREADY;
    bool moves = outer != NULL && outer != target->scope;
    if (target->state == WI_TASK_ENDED) {
        rc = moves && !encloses(outer, target->scope) ? -EINVAL : 0;
        if (rc == 0)
            wi_task_discard(target);
    } else {
        rc = moves ? refuse_move(target->scope, outer) : 0;
        if (rc == 0 && moves)
            wi_scope_child_moved(target, outer);
        if (rc == 0)
            target->handled = 0;
    }
    if (rc == 0)
        handle->bits = 0;
    return rc;
}
