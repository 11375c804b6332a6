/* SPDX-License-Identifier: MIT */
/* wake -- waiting for a wake on behalf of something else; the rest is in weir/wake.h. */
#ifndef WI_TASK_WAKE_H
#define WI_TASK_WAKE_H

#include "task/task.h"
#include "weir/wake.h"

/* As weir_wake_wait, with a wait that says what it is for. Its kind is interrupted by
 * wi_wait_wake, and comes from outside. */
int wi_wake_wait(struct weir_wake *wake, struct wi_wait *wait);

#endif /* WI_TASK_WAKE_H */
