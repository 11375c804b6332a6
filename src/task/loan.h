/* SPDX-License-Identifier: MIT */
/*
 * loan -- which task holds which received bytes, and who waits for a buffer.
 *
 *     in a buffer of the core's pool      the usual way; tasks park while there is none
 *     where they lie in the area          spares a copy; only WI_PLACES at a time, since each pins
 *                                         memory that the kernel receives into for everybody
 *
 * A loan's name carries a generation, so that what is given back twice is noticed. One core's thread.
 */
#ifndef WI_TASK_LOAN_H
#define WI_TASK_LOAN_H

#include <stdbool.h>

#include "weir/buf.h"

struct wi_patience;
struct wi_task;

enum { WI_LOANS_MAX = 8 }; /* per task, so that one of them cannot drain the pool */

/* Borrows a buffer for the running task, which parks while the pool is empty: 0, WEIR_ELOANS at the
 * task's limit, its interruption, or -ETIMEDOUT when the patience is spent. `given_up` is asked after
 * each park; true ends the wait with -EBADF. */
int wi_loan_take(struct wi_task *task, struct weir_buf *out, struct wi_patience *patience,
                 bool (*given_up)(struct wi_patience *));

/* Lends bytes of the backend's area as they lie; they go back to it with the loan. False: enough is
 * lent in this way, or the task has its share; nothing has happened then. */
bool wi_loan_place(struct wi_task *task, uint32_t at, uint32_t len, struct weir_buf *out);

/* Takes back what a task that ends still holds, and says so. */
void wi_loans_reclaim(struct wi_task *task);

#endif /* WI_TASK_LOAN_H */
