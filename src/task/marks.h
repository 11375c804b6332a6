/* SPDX-License-Identifier: MIT */
/*
 * marks -- how deep the tasks of each place that spawns went on their stacks.
 *
 *     get: the stack is zeros     put: the lowest byte that is not --> the mark of the task's site
 *
 * The stack pool of a core that measures clears each stack before its use and calls back when a task
 * gives it up; a core that does not measure has none of this, and pays nothing. A place is the pair of
 * the address that spawned and the function that it spawned. Marks are of tasks that have ended. The
 * core's thread.
 */
#ifndef WI_TASK_MARKS_H
#define WI_TASK_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "weir/task.h"

struct wi_core;

struct wi_mark {
    const void *site; /* as in a task's header */
    weir_fn *fn;
    uint64_t tasks;
    size_t deepest; /* bytes, weir's own frames included */
    size_t reserve; /* bytes that the one with the least still had */
};

struct wi_marks {
    struct wi_mark *mark; /* by hash of the place; `tasks` 0: a free one */
    size_t count, room;   /* room: 0 or a power of two */
    uint64_t lost;        /* tasks not noted: no memory */
};

/* Makes the core measure; before its first task. NULL: no memory. Freed with the core. */
struct wi_marks *wi_marks_open(struct wi_core *core);

/* Writes what was measured, a line for each of the deepest places, and frees it. NULL is nothing. */
void wi_marks_close(struct wi_marks *marks, struct wi_log *log);

/* Frees it without a word. NULL is nothing. */
void wi_marks_drop(struct wi_marks *marks);

/* Calls `fn` for each place, the deepest first. False: no memory to sort them. */
bool wi_marks_each(const struct wi_marks *marks, void (*fn)(const struct wi_mark *mark, void *arg),
                   void *arg);

#endif /* WI_TASK_MARKS_H */
