/* SPDX-License-Identifier: MIT */
/* weir/task.h -- plain functions as tasks: spawning, yielding. */
#ifndef WEIR_TASK_H
#define WEIR_TASK_H

#include "weir/scope.h"

WEIR_BEGIN

/* A task. Its result is 0 or more, or a negative error. */
typedef int weir_fn(void *arg);

/* Starts fn(arg) as a child of the scope, which any task of the core may do while it is open; it
 * runs later, never inside this call. A spawned task always runs, if only to see its first [wait]
 * fail, so it may own what it is handed. Never parks: -EAGAIN at the limit of live tasks, -ENOMEM,
 * -ECANCELED or -ETIMEDOUT where that covers the scope's children already, -EXDEV for a scope of
 * another core, -EPERM outside a task; the caller still owns `arg` then. */
WEIR_API WEIR_MUST_USE int weir_spawn(struct weir_scope *scope, weir_fn *fn, void *arg);

/* As weir_spawn, but the child gets its own copy of `size` bytes at `arg`, on its own stack and
 * aligned for every type; with size 0 it gets `arg` itself. -E2BIG: more than a quarter of a
 * stack. */
WEIR_API WEIR_MUST_USE int weir_spawn_copy(struct weir_scope *scope, weir_fn *fn, const void *arg,
                                           size_t size);

/* Lets every other runnable task run before this one goes on. 0. [wait] */
WEIR_API WEIR_MUST_USE int weir_yield(void);

/* The bytes that the calling task's last failed all-or-error call completed; valid until its next
 * [wait] call. 0 outside a task. */
WEIR_API size_t weir_done(void);

WEIR_END

#endif /* WEIR_TASK_H */
