/* SPDX-License-Identifier: MIT */
/*
 * weir/core.h -- weir inside a loop that is not weir's.
 *
 *     weir_core_open(NULL, &core);                    instead of weir_run
 *     add weir_core_fd(core) to your poll, epoll, libuv, glib, ...
 *     weir_spawn(weir_core_root(core), serve, NULL);
 *     whenever the descriptor is readable: weir_core_run_once(core, 0);
 *     weir_core_close(core);
 *
 * The thread that opens a core drives it: all calls here are that thread's, made outside tasks,
 * hooks and callbacks. It has one core at a time. Between two steps the driver may spawn into the
 * root scope, claim places in it, cancel it, and ask for, cancel and detach tasks by their handles, as
 * a task would, but not wait. Tasks, deadlines and sockets do what they do under weir_run. Nothing runs, and no deadline passes, but within a step.
 */
#ifndef WEIR_CORE_H
#define WEIR_CORE_H

#include <stdbool.h>

#include "weir/run.h"

WEIR_BEGIN

struct weir_core;

/* Opens a core on this thread; options and errors as weir_run. *out is NULL on failure. */
WEIR_API WEIR_MUST_USE int weir_core_open(const struct weir_opts *opts, struct weir_core **out);

/* Cancels the root scope, steps until every task and every socket is gone, and frees the core; the
 * thread blocks until then, which weir_stop can bound. NULL is closed already. 0; WEIR_EABANDONED as
 * weir_run; -EPERM: not the driver's turn. */
WEIR_API int weir_core_close(struct weir_core *core);

/* One step: waits at most `max_wait` nanoseconds, 0 not at all, WEIR_FOREVER without a limit, while
 * there is nothing to do; takes messages, completions and alarms in, and runs tasks up to the run
 * budget. All that they asked of the kernel is under way when it returns. How many things it
 * handled, 0 if there were none: work left over makes the descriptor readable at once. -EPERM: not
 * the driver's turn. */
WEIR_API WEIR_MUST_USE int weir_core_run_once(struct weir_core *core, weir_ns max_wait);

/* A descriptor that is readable whenever a step would find something to do, alarms included, and
 * silent while there is nothing; poll it, but neither read nor close it. It lives as long as the
 * core. An error of what could not be had: -EMFILE, -ENFILE, -ENOMEM; -EPERM: not the driver's turn.
 * epoll(7) */
WEIR_API WEIR_MUST_USE int weir_core_fd(struct weir_core *core);

/* The scope in which the driver spawns; open as long as the core, and never to be waited for or
 * closed. */
WEIR_API struct weir_scope *weir_core_root(struct weir_core *core);

/* Whether a step would run a task at once. */
WEIR_API bool weir_core_has_ready(const struct weir_core *core);

/* Tasks that have not ended. */
WEIR_API unsigned weir_core_task_count(const struct weir_core *core);

/* When the next deadline, sleep or other alarm is due, or a little before; in the past if a step has
 * something to do at once; WEIR_FOREVER if there is none. */
WEIR_API weir_ns weir_core_next_deadline(struct weir_core *core);

WEIR_END

#endif /* WEIR_CORE_H */
