/* SPDX-License-Identifier: MIT */
/*
 * claim -- a place among the live tasks, taken before there is anything to run in it.
 *
 *     reserve --> CLAIMED, held by its scope --spawn--> QUEUED
 *        |                                  '-release, scope closes--> free
 *        '-- at the limit: in line, parked
 *
 * A claim is a task's header with its stack, so spawning it needs nothing that could be missing.
 *
 * The line is the core's, first come first served. For everybody else the limit is lower by one for
 * each who waits: a place that becomes free is the first one's, although he gets it only between
 * two rounds of tasks (wi_claims_serve), and nobody who spawns can pass him by. So the hot path of
 * a task's end knows nothing of claims.
 *
 * Who waits also hangs below his scope's kids, by a watch: what would reach a child of the scope, and
 * the scope's end, ends the wait too.
 */
#include "weir/claim.h"

#include <errno.h>

#include "base/handle.h"
#include "task/claim.h"
#include "task/core.h"
#include "task/sched.h"

struct claimer {
    struct wi_wait wait;
    struct wi_list link;   /* in core->claims.line until served */
    struct wi_cover watch; /* below scope->kids; cut when the scope ends */
    struct wi_task *task;
    struct wi_scope *scope; /* good while the watch hangs there */
    bool served;
    int rc; /* once served */
    uint64_t bits;
};

/* ---- places ---- */

static int take_place(struct wi_core *core, struct wi_scope *scope, uint64_t *bits)
{
    int error = 0;
    struct wi_task *task = wi_task_reserve(core, &error);
    if (task == NULL)
        return error;
    task->core = core;
    task->scope = scope;
    task->state = WI_TASK_CLAIMED;
    wi_scope_hold(scope, task);
    *bits = wi_handle_make(core->id, WI_HANDLE_CLAIM, &task->node);
    return 0;
}

/* What others may use while so many wait. */
static void set_limit(struct wi_core *core)
{
    struct wi_claims *claims = &core->claims;
    uint32_t spare = claims->tasks_max > claims->waiting ? claims->tasks_max - claims->waiting : 0;
    core->tasks.live_max = spare;
}

static void join_line(struct wi_core *core, struct claimer *claimer)
{
    struct wi_claims *claims = &core->claims;
    if (claims->waiting++ == 0) {
        claims->tasks_max = core->tasks.live_max;
        wi_list_init(&claims->line);
    }
    wi_list_push_back(&claims->line, &claimer->link);
    set_limit(core);
}

static void leave_line(struct wi_core *core, struct claimer *claimer)
{
    core->claims.waiting--;
    wi_list_remove(&claimer->link);
    set_limit(core);
}

static bool has_place(const struct wi_core *core)
{
    return core->tasks.live < core->claims.tasks_max;
}

/* Gives a free place to one in line, whatever others may use. */
static void serve(struct wi_core *core, struct claimer *claimer)
{
    core->tasks.live_max = core->claims.tasks_max;
    claimer->rc = take_place(core, claimer->scope, &claimer->bits);
    claimer->served = true;
    leave_line(core, claimer);
}

void wi_claims_serve(struct wi_core *core)
{
    struct wi_list *line = &core->claims.line;
    for (struct wi_list *at = line->next, *next; at != line && has_place(core); at = next) {
        next = at->next;
        struct claimer *claimer = wi_container_of(at, struct claimer, link);
        if (claimer->watch.state != 0)
            continue; /* on its way out */
        serve(core, claimer);
        wi_task_wake(claimer->task);
    }
}

/* ---- waiting ---- */

/* Whether it is over for one in line: served, or what ended the wait in rc. */
static bool is_over(struct wi_core *core, struct claimer *claimer)
{
    if (claimer->served)
        return true;
    claimer->rc = wi_cover_error(claimer->watch.state);
    if (claimer->rc == 0)
        claimer->rc = wi_task_interrupted(claimer->task);
    if (claimer->rc == 0)
        return false;
    bool is_first = core->claims.line.next == &claimer->link;
    if (claimer->watch.state == 0 && is_first && has_place(core))
        serve(core, claimer); /* it came at the same time: a result wins */
    else
        leave_line(core, claimer);
    return true;
}

static const struct wi_wait_kind waits_for_place = {.interrupt = wi_wait_wake,
                                                    .what = "for a place among the live tasks"};

static int wait_for_place(struct wi_task *task, struct wi_scope *scope, uint64_t *bits)
{
    struct wi_core *core = task->core;
    struct claimer claimer = {.wait = {.kind = &waits_for_place}, .task = task, .scope = scope};
    join_line(core, &claimer);
    wi_cover_link(&claimer.watch, &scope->kids, WI_COVER_WATCH, task);
    task->joining = &claimer.watch;
    do
        wi_task_park(task, &claimer.wait);
    while (!is_over(core, &claimer));
    task->joining = NULL;
    bool scope_is_open = claimer.watch.kind != WI_COVER_NONE;
    if (scope_is_open)
        wi_cover_unlink(&claimer.watch);
    else if (claimer.rc == 0)
        claimer.rc = -ECANCELED; /* what it was given went with the scope */
    *bits = claimer.rc == 0 ? claimer.bits : 0;
    return claimer.rc;
}

/* ---- public calls ---- */

int weir_try_claim(struct weir_scope *storage, struct weir_claim *out)
{
    struct wi_scope *scope;
    out->bits = 0;
    int rc = wi_scope_begin(storage, "weir_try_claim", &scope);
    if (rc == 0)
        rc = wi_cover_error(scope->kids.state);
    return rc < 0 ? rc : take_place(scope->core, scope, &out->bits);
}

int weir_claim(struct weir_scope *storage, struct weir_claim *out)
{
    struct wi_task *task;
    out->bits = 0;
    int rc = wi_wait_begin(&task);
    if (rc == 0)
        rc = weir_try_claim(storage, out);
    if (rc == -EAGAIN)
        return wait_for_place(task, (struct wi_scope *)(void *)storage, &out->bits);
    if (rc == 0)
        wi_task_completed_inline(task);
    return rc;
}

static int find(const struct weir_claim *claim, struct wi_task **out)
{
    struct wi_core *core = wi_core_callable();
    if (core == NULL)
        return -EPERM;
    struct wi_slab_node *node = wi_handle_in(&core->tasks, core->id, WI_HANDLE_CLAIM, claim->bits);
    if (node == NULL)
        return wi_handle_refuse(core->id, claim->bits);
    *out = wi_container_of(node, struct wi_task, node);
    return (*out)->state == WI_TASK_CLAIMED ? 0 : -EBADF;
}

static int spawn(struct weir_claim *claim, weir_fn *fn, const void *arg, size_t copy,
                 const void *site)
{
    struct wi_task *task;
    int rc = find(claim, &task);
    if (rc == 0)
        rc = wi_task_copy_check(task->core, copy);
    if (rc < 0)
        return rc;
    wi_core_nudge(task->core);
    wi_scope_let_go(task->scope, task);
    wi_task_start(task, task->core, task->scope, fn, arg, copy, site);
    claim->bits = 0;
    return 0;
}

int weir_spawn_claimed(struct weir_claim *claim, weir_fn *fn, void *arg)
{
    return spawn(claim, fn, arg, 0, __builtin_return_address(0));
}

int weir_spawn_claimed_copy(struct weir_claim *claim, weir_fn *fn, const void *arg, size_t size)
{
    return spawn(claim, fn, arg, size, __builtin_return_address(0));
}

int weir_claim_release(struct weir_claim *claim)
{
    struct wi_task *task;
    int rc = find(claim, &task);
    if (rc == -EPERM || rc == -EXDEV)
        return rc;
    bool none = claim->bits == 0;
    claim->bits = 0;
    if (rc == 0) {
        wi_core_nudge(task->core); /* somebody may be in line */
        wi_task_discard(task);
    }
    return none ? 0 : rc;
}
