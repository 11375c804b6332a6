/* SPDX-License-Identifier: MIT */
/* weir/task.h -- plain functions as tasks: spawning, naming, waiting, yielding. */
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
 * another core, -EPERM outside the runtime; the caller still owns `arg` then. */
WEIR_API WEIR_MUST_USE int weir_spawn(struct weir_scope *scope, weir_fn *fn, void *arg);

/* As weir_spawn, but the child gets its own copy of `size` bytes at `arg`, on its own stack and
 * aligned for every type; with size 0 it gets `arg` itself. -E2BIG: more than a quarter of a
 * stack. */
WEIR_API WEIR_MUST_USE int weir_spawn_copy(struct weir_scope *scope, weir_fn *fn, const void *arg,
                                           size_t size);

/* Names a task of a scope. Zero is none. The name is good until somebody has waited for the task or
 * detached it, and no longer than the scope is open; then every copy gives -EBADF. */
typedef struct weir_task {
    uint64_t bits;
} weir_task;

/* As weir_spawn and weir_spawn_copy, and names the child in *out, which is zeroed on failure. The
 * result counts in the scope as any child's, and is kept besides: until it is waited for, the task
 * counts towards the limit of live tasks even when it has ended. -EPERM outside the runtime. */
WEIR_API WEIR_MUST_USE int weir_spawn_task(struct weir_scope *scope, weir_fn *fn, void *arg,
                                           weir_task *out);
WEIR_API WEIR_MUST_USE int weir_spawn_task_copy(struct weir_scope *scope, weir_fn *fn,
                                                const void *arg, size_t size, weir_task *out);

/* Waits for the task's end: its result, once, and *task is zeroed. As long as *task is not zeroed an
 * error is the call's own: the caller's interruption, -EALREADY while another task waits for it,
 * -EDEADLK for the caller itself, -EBADF, -EXDEV; the handle is then as good as before. [wait] */
WEIR_API WEIR_MUST_USE int weir_task_wait(weir_task *task);

/* Cancels that task alone and all below its scopes, for good: its [wait] calls fail with -ECANCELED
 * wherever it is, but under a shield of its own. Returns at once. 1: it was live. 0: it has ended
 * already. -EBADF, -EXDEV; -EPERM outside the runtime. */
WEIR_API int weir_task_cancel(weir_task task);

/* 1: it has ended, and its result is there. 0: not yet. -EBADF, -EXDEV; -EPERM outside the runtime. */
WEIR_API WEIR_MUST_USE int weir_task_is_finished(weir_task task);

/* Gives the handle up and zeroes it; the task goes on, and its header goes when it ends. With
 * `outer` NULL, or the task's own scope, it stays where it is. Else it becomes a child of `outer`,
 * as if it had been spawned there just now: that scope waits for it, counts its result and gives it
 * an index, and what covers `outer` covers it. A task that has ended has given its result to its own
 * scope, and is forgotten. -EINVAL unless `outer` encloses the task's scope: it was opened around it,
 * by the same task or by one further out. -ECANCELED or -ETIMEDOUT where that covers the children of
 * one of the two scopes: the task stays and the handle too. -EALREADY while another task waits for
 * it. -EBADF, -EXDEV; -EPERM outside the runtime. */
WEIR_API WEIR_MUST_USE int weir_task_detach(weir_task *task, struct weir_scope *outer);

/* Lets every other runnable task run before this one goes on. 0. [wait] */
WEIR_API WEIR_MUST_USE int weir_yield(void);

/* Names the calling task, for dumps and people: copies the first 23 bytes, or fewer, so as not to cut
 * a character of UTF-8. NULL or "" takes the name away. 0, or -EPERM outside a task. */
WEIR_API int weir_set_name(const char *name);

/* The calling task's name, or "" if it has none or there is no task; good until it is named anew or
 * ends. The first task of weir_run is called "main" until it calls itself something else. */
WEIR_API const char *weir_name(void);

/* The calling task's number, which dumps print: no two tasks of a core have the same in a run. 0
 * outside a task. */
WEIR_API uint64_t weir_task_id(void);

/* The bytes that the calling task's last failed all-or-error call completed; valid until its next
 * [wait] call. 0 outside a task. */
WEIR_API size_t weir_done(void);

WEIR_END

#endif /* WEIR_TASK_H */
