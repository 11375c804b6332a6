/* SPDX-License-Identifier: MIT */
/*
 * local -- values by key, bound for a block.
 *
 *     root kids     main          scope           child         scope         grandchild
 *                   locals: c->b  locals: b       locals: e->d  locals: d     locals: none
 *                           |             |               |             |
 *                           c->b->nothing b->nothing      e->d->nothing d->nothing
 *
 * A task has a list of its own bindings, innermost first; a scope has that of its opener as it was when
 * the scope was opened. A look-up walks the task's own, then those of its scope, and goes on with the
 * scope that the opener belongs to. So a task that is moved to another scope, and all below it, have
 * that one's bindings from then on, and nothing else has to change.
 *
 * A binding outlives each scope that was opened inside it: leaving checks both that it is the innermost
 * one of its task and that no scope of the task knows it. Caller's memory; one core's thread.
 */
#include "weir/local.h"

#include "base/require.h"
#include "task/core.h"

struct wi_local {
    struct wi_local *next; /* around this one, of the same task */
    const void *key;
    void *value;
    struct wi_task *task; /* NULL: not in force */
};

_Static_assert(sizeof(struct wi_local) <= sizeof(struct weir_local), "a binding fits its storage");

static struct wi_local *inside(struct weir_local *local)
{
    return (struct wi_local *)(void *)local;
}

void weir_local_enter(struct weir_local *storage, const void *key, void *value)
{
    struct wi_core *core = wi_core_self;
    WEIR_REQUIRE(core != NULL && core->current != NULL, "weir_local_enter outside a task");
    struct wi_task *task = core->current;
    struct wi_local *local = inside(storage);
    *local = (struct wi_local){.next = task->locals, .key = key, .value = value, .task = task};
    task->locals = local;
}

/* Whether a scope that the task has open was opened while this was its innermost binding. */
static bool is_around_a_scope(const struct wi_task *task, const struct wi_local *local)
{
    for (struct wi_cover *at = task->cover; at != &task->base; at = at->parent)
        if (at->kind == WI_COVER_BODY &&
            wi_container_of(at, struct wi_scope, body)->locals == local)
            return true;
    return false;
}

void weir_local_leave(struct weir_local *storage)
{
    struct wi_local *local = inside(storage);
    if (local->task == NULL)
        return;
    struct wi_core *core = wi_core_self;
    WEIR_REQUIRE(core != NULL && core->current == local->task,
                 "weir_local_leave on a binding of another task");
    struct wi_task *task = local->task;
    WEIR_REQUIRE(task->locals == local, "weir_local_leave on a binding that is not the innermost");
    WEIR_REQUIRE(!is_around_a_scope(task, local),
                 "weir_local_leave while a scope that was opened inside is still open");
    task->locals = local->next;
    local->task = NULL;
}

void *weir_local(const void *key)
{
    const struct wi_core *core = wi_core_self;
    const struct wi_task *task = core == NULL ? NULL : core->current;
    const struct wi_local *local = task == NULL ? NULL : task->locals;
    while (task != NULL) {
        for (; local != NULL; local = local->next)
            if (local->key == key)
                return local->value;
        local = task->scope->locals;
        task = task->scope->body.task; /* NULL: the root scope, which nobody opened */
    }
    return NULL;
}
