/* SPDX-License-Identifier: MIT */
/* clock -- the contract is in clock.h. */
#include "base/clock.h"

#include <time.h>

weir_ns wi_clock_now(void)
{
    struct timespec now;
    /* Cannot fail: the clock exists on every kernel and the pointer is ours. */
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (weir_ns)now.tv_sec * WEIR_SEC + (weir_ns)now.tv_nsec;
}
