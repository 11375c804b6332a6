/* SPDX-License-Identifier: MIT */
/* Whole streams: both directions, many at a time, under churn, and what an idle server costs. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "check.h"
#include "support/net.h"

/* The last task of a run once ended inside a turn that then went to sleep for ever: with no socket
 * lingering and no timer set, nothing ever woke it. */
static int return_at_once(void *arg)
{
    return *(int *)arg;
}

CASE(run_ends_although_nothing_else_is_going_on)
{
    int result = 42;
    CHECK_EQ(net_run(return_at_once, &result), 42);
}
