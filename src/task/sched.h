/* SPDX-License-Identifier: MIT */
/* sched -- who runs next on a core, and how a task comes to be; the loop's side of task.h. */
#ifndef WI_TASK_SCHED_H
#define WI_TASK_SCHED_H

#include <stddef.h>

#include "weir/task.h"

struct wi_core;
struct wi_scope;
struct wi_task;

/* Resumes runnable tasks in the order of the queue, new and re-queued ones included, until it is
 * empty or the turn's budget is spent; the rest stays at the head. */
void wi_sched_run(struct wi_core *core);

/* A header with a stack, counted as a live task, that a handle can name; or NULL and the *error:
 * -EAGAIN at the limit, -ENOMEM. */
struct wi_task *wi_task_reserve(struct wi_core *core, int *error);

/* 0, or -E2BIG: an argument of this size cannot be put on a task's stack. */
int wi_task_copy_check(const struct wi_core *core, size_t copy);

/* Makes a reserved task run fn(arg) in the scope, of the same core; cannot fail. `site`: see task.h. */
void wi_task_start(struct wi_task *task, struct wi_core *core, struct wi_scope *scope, weir_fn *fn,
                   const void *arg, size_t copy, const void *site);

/* Frees a header that is CLAIMED or ENDED, which its scope holds. */
void wi_task_discard(struct wi_task *task);

#endif /* WI_TASK_SCHED_H */
