/* SPDX-License-Identifier: MIT */
/* sched -- who runs next on a core; the loop's side of task.h. */
#ifndef WI_TASK_SCHED_H
#define WI_TASK_SCHED_H

struct wi_core;

/* Resumes runnable tasks in the order of the queue, new and re-queued ones included, until it is
 * empty or the turn's budget is spent; the rest stays at the head. */
void wi_sched_run(struct wi_core *core);

#endif /* WI_TASK_SCHED_H */
