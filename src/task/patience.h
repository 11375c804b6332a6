/* SPDX-License-Identifier: MIT */
/*
 * patience -- how long one call may wait in all, however often it parks.
 *
 *     one word:    0         for ever
 *                  -limit    the call has not waited yet; most end so, and pay nothing
 *                  instant   set at the first park, which reads the clock; an alarm lies in the frame
 *                            of each park
 *                  SPENT     the instant is over
 *
 * When it is over, the parked task's wait is interrupted as by a cancellation; but nothing lasts, the
 * next call has a word of its own. Whoever goes on looks for his result first and at
 * wi_task_interrupted next, and learns of a spent patience when he would park again: so a result
 * wins, and what outlasts the call goes before what does not. One core's thread.
 */
#ifndef WI_TASK_PATIENCE_H
#define WI_TASK_PATIENCE_H

#include "task/task.h"

struct wi_patience {
    weir_ns word;
};

#define WI_PATIENCE_SPENT INT64_MIN

/* For a call that has not waited yet; 0: for ever. */
static inline struct wi_patience wi_patience_of(weir_ns limit)
{
    return (struct wi_patience){.word = -limit};
}

int wi_patience_park_timed(struct wi_patience *patience, struct wi_task *task,
                           struct wi_wait *wait);

/* As wi_task_park: 0; or -ETIMEDOUT, without a park, if it is spent. */
static inline int wi_patience_park(struct wi_patience *patience, struct wi_task *task,
                                   struct wi_wait *wait)
{
    if (__builtin_expect(patience->word != 0, 0))
        return wi_patience_park_timed(patience, task, wait);
    wi_task_park(task, wait);
    return 0;
}

#endif /* WI_TASK_PATIENCE_H */
