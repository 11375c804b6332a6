/* SPDX-License-Identifier: MIT */
/* waiters -- what a dump says of them; the rules are in waiters.h. */
#include "sync/waiters.h"

void wi_waiter_tell(struct wi_wait *wait, struct wi_wait_about *about)
{
    about->object = wi_container_of(wait, struct wi_waiter, wait)->object;
}
