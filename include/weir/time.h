/* SPDX-License-Identifier: MIT */
/*
 * weir/time.h -- nanoseconds on the monotonic clock, and sleeping.
 *
 * Nothing that waits for an instant is over before it, not by a nanosecond. It is over as soon after
 * it as the core gets round to it: when the tasks that were runnable have had their turn, and, where
 * thousands are due at once, when those before it have had theirs.
 */
#ifndef WEIR_TIME_H
#define WEIR_TIME_H

#include "weir/api.h"

WEIR_BEGIN

/* Nanoseconds: a point on CLOCK_MONOTONIC, or a duration. The clock stands still while the machine
 * is suspended, and so do sleeps and deadlines. */
typedef int64_t weir_ns;

#define WEIR_US ((weir_ns)1000)
#define WEIR_MS ((weir_ns)1000 * WEIR_US)
#define WEIR_SEC ((weir_ns)1000 * WEIR_MS)
#define WEIR_FOREVER INT64_MAX

/* The time now, read afresh. Any thread. clock_gettime(2). */
WEIR_API weir_ns weir_now(void);

/* The instant of the present turn of the core's loop: the clock as it was read once, after the turn
 * began and before the first task of it asked. The same for all tasks of one turn, never later than
 * weir_now(), never earlier than in the turn before; a load, mostly. For time stamps of many things
 * at a time: sleeps, deadlines and intervals count from a fresh reading. On a thread without a
 * runtime, weir_now(). Any thread. */
WEIR_API weir_ns weir_turn_time(void);

/* Parks the task for at least `duration`; zero or less yields once, WEIR_FOREVER sleeps until it is
 * cancelled. 0 when the time is over. [wait] */
WEIR_API WEIR_MUST_USE int weir_sleep(weir_ns duration);

/* Parks the task until `when` or a little later; a time in the past lets others run once. 0 when
 * the time is over. [wait] */
WEIR_API WEIR_MUST_USE int weir_sleep_until(weir_ns when);

WEIR_END

#endif /* WEIR_TIME_H */
