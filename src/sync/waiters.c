/* SPDX-License-Identifier: MIT */
/* waiters -- parking in line; the rules are in waiters.h. */
#include "sync/waiters.h"

static void join(struct wi_waiters *line, struct wi_waiter *waiter)
{
    if (line->first == NULL) {
        wi_list_init(&waiter->link);
        line->first = &waiter->link;
    } else {
        wi_list_push_back(line->first, &waiter->link);
    }
}

int wi_waiters_wait(struct wi_waiters *line, struct wi_waiter *waiter)
{
    int rc;
    join(line, waiter);
    do {
        wi_task_park(waiter->task, &waiter->wait);
        if (waiter->granted)
            return waiter->result;
        rc = wi_task_interrupted(waiter->task);
    } while (rc == 0);
    wi_waiters_leave(line, waiter);
    return rc;
}

void wi_waiter_tell(struct wi_wait *wait, struct wi_wait_about *about)
{
    about->object = wi_container_of(wait, struct wi_waiter, wait)->object;
}
