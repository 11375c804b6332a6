/* SPDX-License-Identifier: MIT */
/*
 * waiters -- the one way in which tasks wait for each other: a line, and grants.
 *
 *     line:  first --> waiter <--> waiter <--> waiter        a ring through `link`, oldest first
 *                        |           |           |
 *                      on the stacks of their parked tasks
 *
 * Whoever makes true what others wait for gives it to the first in line: a grant takes the waiter
 * out, notes the result in it and wakes its task, and that is all it does; no code of users runs
 * (I13), and many grants cost no more than their number. What was granted is its receiver's from then
 * on, whatever happens before he runs: cancelled meanwhile, he returns the result all the same (I3),
 * so nothing that was given to somebody is ever lost with him (R10).
 *
 * An interrupted waiter stays in line until his task runs: a grant may still reach him until then,
 * and an interruption that is taken back costs him nothing. Then he leaves, and nothing of him is
 * left behind. A granted waiter does not look at the object again, which may be gone by then.
 *
 * A zeroed line is empty. Line, waiters and granters are of one core, on its thread.
 */
#ifndef WI_SYNC_WAITERS_H
#define WI_SYNC_WAITERS_H

#include "base/list.h"
#include "task/core.h"

struct wi_waiters {
    struct wi_list *first; /* NULL: nobody waits */
};

/* On the stack of a task. */
struct wi_waiter {
    struct wi_wait wait;
    struct wi_list link; /* in line until granted, or gone */
    struct wi_task *task;
    const void *object; /* what it waits for, as the user knows it */
    int result;         /* once granted */
    bool granted;
};

/* Field by field: the rest is set when it means something. */
static inline void wi_waiter_init(struct wi_waiter *waiter, struct wi_task *task,
                                  const struct wi_wait_kind *kind, const void *object)
{
    waiter->wait.kind = kind;
    waiter->task = task;
    waiter->object = object;
    waiter->granted = false;
}

static inline bool wi_waiters_empty(const struct wi_waiters *line)
{
    return line->first == NULL;
}

/* Whose turn it is; the line is not empty. */
static inline struct wi_waiter *wi_waiters_first(const struct wi_waiters *line)
{
    return wi_container_of(line->first, struct wi_waiter, link);
}

static inline void wi_waiters_leave(struct wi_waiters *line, struct wi_waiter *waiter)
{
    if (line->first == &waiter->link)
        line->first = waiter->link.next == &waiter->link ? NULL : waiter->link.next;
    wi_list_remove(&waiter->link);
}

/* Gives the first in line what he waits for. */
static inline void wi_waiters_grant(struct wi_waiters *line, int result)
{
    struct wi_waiter *waiter = wi_waiters_first(line);
    wi_waiters_leave(line, waiter);
    waiter->granted = true;
    waiter->result = result;
    wi_task_wake(waiter->task);
}

static inline void wi_waiters_grant_all(struct wi_waiters *line, int result)
{
    while (!wi_waiters_empty(line))
        wi_waiters_grant(line, result);
}

static inline void wi_waiters_join(struct wi_waiters *line, struct wi_waiter *waiter)
{
    if (line->first == NULL) {
        wi_list_init(&waiter->link);
        line->first = &waiter->link;
    } else {
        wi_list_push_back(line->first, &waiter->link);
    }
}

/* Parks the waiter's task at the end of the line: the granted result, or its interruption. Inline:
 * each return between the switch and the caller may be mispredicted, at the price of a switch. */
static inline __attribute__((always_inline)) int wi_waiters_wait(struct wi_waiters *line,
                                                                 struct wi_waiter *waiter)
{
    int rc;
    wi_waiters_join(line, waiter);
    do {
        wi_task_park(waiter->task, &waiter->wait);
        if (waiter->granted)
            return waiter->result;
        rc = wi_task_interrupted(waiter->task);
    } while (rc == 0);
    wi_waiters_leave(line, waiter);
    return rc;
}

/* The `tell` of kinds whose waits are a struct wi_waiter. */
void wi_waiter_tell(struct wi_wait *wait, struct wi_wait_about *about);

#endif /* WI_SYNC_WAITERS_H */
