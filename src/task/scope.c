/* SPDX-License-Identifier: MIT */
/* scope -- opening, joining, closing, and what results count; the contract is in weir/scope.h. */
#include "task/scope.h"

#include <errno.h>
#include <string.h>

#include "base/require.h"
#include "task/core.h"
#include "task/sched.h"

static struct wi_scope *inside(struct weir_scope *scope)
{
    return (struct wi_scope *)(void *)scope;
}

static bool is_open(const struct wi_scope *scope)
{
    return scope->body.kind != WI_COVER_NONE;
}

/* The running task, which must be the scope's opener. */
static struct wi_task *opener(const struct wi_scope *scope, const char *call)
{
    struct wi_core *core = wi_core_self;
    WEIR_REQUIRE(core != NULL && core->current != NULL && core->current == scope->body.task,
                 "%s on a scope that another task opened", call);
    return core->current;
}

void wi_scope_open(struct wi_scope *scope, struct wi_core *core, struct wi_cover *parent,
                   struct wi_task *task, enum weir_policy policy)
{
    /* Field by field: gcc clears a whole struct of this size with a string instruction, which takes
     * longer than everything else that opens a scope. */
    scope->core = core;
    scope->live = 0;
    scope->spawned = 0;
    scope->moved = 0;
    scope->winner = -1;
    scope->first_error = 0;
    scope->last_error = 0;
    scope->policy = (uint8_t)policy;
    scope->locals = task == NULL ? NULL : task->locals;
    scope->held = NULL;
    wi_cover_link(&scope->body, parent, WI_COVER_BODY, task);
    wi_cover_link(&scope->kids, &scope->body, WI_COVER_KIDS, NULL);
}

void weir_scope_open(struct weir_scope *storage, enum weir_policy policy)
{
    struct wi_core *core = wi_core_self;
    WEIR_REQUIRE(core != NULL && core->current != NULL, "weir_scope_open outside a task");
    WEIR_REQUIRE((unsigned)policy <= WEIR_FIRST_OK, "unknown scope policy %d", (int)policy);
    struct wi_task *task = core->current;
    struct wi_scope *scope = inside(storage);
    wi_scope_open(scope, core, task->cover, task, policy);
    task->cover = &scope->body;
}

/* Whether the child only says that it was cancelled, as somebody asked for: by us, or by its handle.
 * That is no error of its own. */
static bool is_as_asked(const struct wi_scope *scope, const struct wi_task *child, int result)
{
    uint8_t marks = scope->body.own | scope->kids.own | child->base.own;
    return result == -ECANCELED && (marks & WI_CANCELED) != 0;
}

static void wake_joiner(struct wi_scope *scope)
{
    struct wi_task *task = scope->body.task;
    if (scope->live == 0 && task != NULL && task->joining == &scope->body)
        wi_task_wake(task);
}

void wi_scope_child_ended(struct wi_scope *scope, const struct wi_task *child, int result)
{
    wi_assert(scope->live > 0);
    scope->live--;
    if (result < 0 && !is_as_asked(scope, child, result)) {
        if (scope->first_error == 0)
            scope->first_error = result;
        scope->last_error = result;
        if (scope->policy == WEIR_FAIL_FAST)
            wi_cover_mark(&scope->body, WI_CANCELED);
    } else if (result >= 0 && scope->policy == WEIR_FIRST_OK && scope->winner < 0) {
        scope->winner = (int32_t)child->index;
        wi_cover_mark(&scope->kids, WI_CANCELED);
    }
    wake_joiner(scope);
}

void wi_scope_child_moved(struct wi_task *child, struct wi_scope *outer)
{
    struct wi_scope *scope = child->scope;
    wi_cover_move(&child->base, &outer->kids);
    child->scope = outer;
    child->index = outer->spawned++;
    outer->live++;
    scope->moved++;
    scope->live--;
    wake_joiner(scope);
}

void wi_scope_hold(struct wi_scope *scope, struct wi_task *task)
{
    struct wi_list *node = &task->base.siblings;
    if (scope->held == NULL)
        wi_list_init(node);
    else
        wi_list_push_back(scope->held, node);
    scope->held = node;
}

void wi_scope_let_go(struct wi_scope *scope, struct wi_task *task)
{
    struct wi_list *node = &task->base.siblings;
    if (scope->held == node)
        scope->held = node->next == node ? NULL : node->next;
    wi_list_remove(node);
}

/* What interrupts the opener's wait for this scope: marks between its present node and the scope's
 * body, and, unless a shield lies between, what reaches the scope from outside. The scope's own
 * cancellation does not. `covers`: it reaches the scope's children too. */
static uint8_t join_state(const struct wi_task *task, const struct wi_scope *scope, bool *covers)
{
    uint8_t inner = 0;
    *covers = false;
    for (const struct wi_cover *at = task->cover; at != &scope->body; at = at->parent) {
        wi_assert(at != NULL);
        inner |= at->own;
        if (at->kind == WI_COVER_SHIELD)
            return inner | wi_cover_inherited(at->parent, WI_COVER_SHIELD);
    }
    uint8_t outer = wi_cover_inherited(scope->body.parent, WI_COVER_BODY);
    *covers = outer != 0;
    return inner | outer;
}

struct join {
    struct wi_wait wait;
    const struct wi_scope *scope;
    uint8_t struck; /* what interrupted it and reaches the children too: they may end of it before
                       the waiter runs, and their end is not the result then */
};

static void join_interrupted(struct wi_task *task, struct wi_wait *wait)
{
    struct join *join = wi_container_of(wait, struct join, wait);
    bool covers;
    uint8_t state = join_state(task, join->scope, &covers);
    if (covers)
        join->struck = state;
    if (state != 0)
        wi_task_wake(task);
}

static void tell_join(struct wi_wait *wait, struct wi_wait_about *about)
{
    const struct wi_scope *scope = wi_container_of(wait, struct join, wait)->scope;
    about->tasks = scope->live;
    about->object = scope;
}

static const struct wi_wait_kind waits_for_scope = {
    .interrupt = join_interrupted, .what = "for the tasks of a scope", .tell = tell_join};
static const struct wi_wait_kind closes_scope = {.what = "to close a scope", .tell = tell_join};

static void join_all(struct wi_task *task, struct wi_scope *scope)
{
    struct join join = {.wait = {.kind = &closes_scope}, .scope = scope};
    struct wi_cover *joined_before = task->joining;
    task->joining = &scope->body;
    while (scope->live > 0)
        wi_task_park(task, &join.wait);
    task->joining = joined_before;
}

static int result_of(const struct wi_scope *scope)
{
    if (scope->policy == WEIR_ALL)
        return 0;
    if (scope->policy == WEIR_FAIL_FAST)
        return scope->first_error;
    if (scope->winner >= 0)
        return scope->winner;
    if (scope->last_error != 0)
        return scope->last_error;
    return scope->spawned == scope->moved ? -ECHILD : -ECANCELED;
}

int weir_scope_wait(struct weir_scope *storage)
{
    struct wi_core *core = wi_core_self;
    if (core == NULL || core->current == NULL)
        return -EPERM;
    struct wi_scope *scope = inside(storage);
    WEIR_REQUIRE(is_open(scope), "weir_scope_wait on a scope that is not open");
    struct wi_task *task = opener(scope, "weir_scope_wait");
    struct join join = {.wait = {.kind = &waits_for_scope}, .scope = scope};
    bool covers;
    task->done = 0;
    task->joining = &scope->body;
    uint8_t state = join_state(task, scope, &covers);
    while (state == 0 && scope->live > 0) {
        wi_task_park(task, &join.wait);
        if (join.struck != 0) {
            state = join.struck;
            covers = true;
        } else if (scope->live > 0) { /* else the result is there, and wins */
            state = join_state(task, scope, &covers);
        }
    }
    task->joining = NULL;
    if (state == 0)
        return result_of(scope);
    if (covers)
        join_all(task, scope); /* they are cancelled already: the same marks reach them */
    return wi_cover_error(state);
}

void weir_scope_cancel(struct weir_scope *storage)
{
    struct wi_scope *scope = inside(storage);
    if (!is_open(scope))
        return;
    WEIR_REQUIRE(scope->core == wi_core_self, "weir_scope_cancel from another core");
    wi_core_nudge(scope->core);
    wi_cover_mark(&scope->body, WI_CANCELED);
}

unsigned weir_scope_live(const struct weir_scope *storage)
{
    return ((const struct wi_scope *)(const void *)storage)->live;
}

int weir_scope_result(const struct weir_scope *storage)
{
    return ((const struct wi_scope *)(const void *)storage)->first_error;
}

/* What is left of a scope without children: claims that nobody spent, ended tasks that nobody waited
 * for, and tasks in line for a claim, who are sent away. */
static __attribute__((noinline)) void release_rest(struct wi_scope *scope)
{
    while (scope->held != NULL)
        wi_task_discard(wi_container_of(scope->held, struct wi_task, base.siblings));
    struct wi_list *watches = &scope->kids.children;
    while (!wi_list_empty(watches))
        wi_cover_cut(wi_container_of(watches->next, struct wi_cover, siblings), WI_CANCELED);
}

void weir_scope_close(struct weir_scope *storage)
{
    struct wi_scope *scope = inside(storage);
    if (!is_open(scope))
        return;
    struct wi_task *task = opener(scope, "weir_scope_close");
    wi_cover_mark(&scope->kids, WI_CANCELED);
    join_all(task, scope);
    if (__builtin_expect(scope->held != NULL || !wi_list_empty(&scope->kids.children), 0))
        release_rest(scope);
    wi_cover_unlink(&scope->kids);
    wi_cover_leave(&scope->body, task);
}
