/* SPDX-License-Identifier: MIT */
/*
 * weir/timer.h -- functions and time: one that must be done by then, one that is to run later.
 *
 *     rc = weir_timeout(3 * WEIR_SEC, ask, &question);          this task, now, under a deadline
 *     rc = weir_after(&scope, 30 * WEIR_SEC, complain, &who);   a child, when the delay is over
 */
#ifndef WEIR_TIMER_H
#define WEIR_TIMER_H

#include "weir/task.h"

WEIR_BEGIN

/* Runs fn(arg) in the calling task under a deadline, as a function of its own would after
 * WEIR_WITHIN(duration), and gives its result whatever it is: fn sees -ETIMEDOUT in its [wait]
 * calls, -ECANCELED where the scope was cancelled, and hands on what it likes. So what it finished
 * counts, even late. fn does not run when this call is interrupted on entry, nor when no time is
 * left, which is -ETIMEDOUT. -EPERM outside a task. [wait] */
WEIR_API WEIR_MUST_USE int weir_timeout(weir_ns duration, weir_fn *fn, void *arg);

/* The same, as after WEIR_UNTIL(when). [wait] */
WEIR_API WEIR_MUST_USE int weir_timeout_at(weir_ns when, weir_fn *fn, void *arg);

/* Starts a child of the scope that sleeps until `delay` has passed since this call, then runs
 * fn(arg); with zero or less it runs in its turn. Where the child is interrupted before, fn does not
 * run, and -ECANCELED or -ETIMEDOUT is the child's result: `arg` remains the caller's. Never parks;
 * errors as weir_spawn. */
WEIR_API WEIR_MUST_USE int weir_after(struct weir_scope *scope, weir_ns delay, weir_fn *fn,
                                      void *arg);

/* The same, at an instant of weir_now()'s clock. */
WEIR_API WEIR_MUST_USE int weir_at(struct weir_scope *scope, weir_ns when, weir_fn *fn, void *arg);

WEIR_END

#endif /* WEIR_TIMER_H */
