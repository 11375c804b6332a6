/* SPDX-License-Identifier: MIT */
/* weir/time.h -- nanoseconds on the monotonic clock, and sleeping. */
#ifndef WEIR_TIME_H
#define WEIR_TIME_H

#include "weir/api.h"

WEIR_BEGIN

/* Nanoseconds: a point on CLOCK_MONOTONIC, or a duration. The clock stands still while the machine
 * is suspended. */
typedef int64_t weir_ns;

#define WEIR_US ((weir_ns)1000)
#define WEIR_MS ((weir_ns)1000 * WEIR_US)
#define WEIR_SEC ((weir_ns)1000 * WEIR_MS)
#define WEIR_FOREVER INT64_MAX

/* The time now, read afresh. Any thread. clock_gettime(2). */
WEIR_API weir_ns weir_now(void);

/* Parks the task for at least `duration`; zero or less yields once, WEIR_FOREVER sleeps until it is
 * cancelled. 0 when the time is over. [wait] */
WEIR_API WEIR_MUST_USE int weir_sleep(weir_ns duration);

/* Parks the task until `when` or a little later; a time in the past lets others run once. 0 when
 * the time is over. [wait] */
WEIR_API WEIR_MUST_USE int weir_sleep_until(weir_ns when);

WEIR_END

#endif /* WEIR_TIME_H */
