/* SPDX-License-Identifier: MIT */
/* handle -- what the scheduler asks of handle.c when a task with a handle ends. */
#ifndef WI_TASK_HANDLE_H
#define WI_TASK_HANDLE_H

#include <stdbool.h>

struct wi_task;

/* Hands the result to whoever is parked for it, or keeps it for who may come: true if the header has
 * to stay for that. The task has left the tree of covers. */
bool wi_handle_ended(struct wi_task *task, int result);

#endif /* WI_TASK_HANDLE_H */
