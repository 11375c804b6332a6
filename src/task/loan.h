/* SPDX-License-Identifier: MIT */
/* loan -- which task holds which buffer of the core's pool, and who waits for one. */
#ifndef WI_TASK_LOAN_H
#define WI_TASK_LOAN_H

#include "weir/buf.h"

struct wi_task;

enum { WI_LOANS_MAX = 8 }; /* per task, so that one of them cannot drain the pool */

/* Borrows a buffer for the running task, which parks while the pool is empty: 0, WEIR_ELOANS at the
 * task's limit, or its interruption. `given_up` is asked after each park; true ends the wait
 * with -EBADF. */
int wi_loan_take(struct wi_task *task, struct weir_buf *out, bool (*given_up)(void *), void *arg);

/* Takes back what a task that ends still holds, and says so. */
void wi_loans_reclaim(struct wi_task *task);

#endif /* WI_TASK_LOAN_H */
