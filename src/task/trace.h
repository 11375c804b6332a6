/* SPDX-License-Identifier: MIT */
/*
 * trace -- who called whom on a stack, by the unwind tables that compilers write for every function.
 *
 *     wi_trace_parked                       stack of the task
 *       _Unwind_Backtrace                   | user's function       |
 *         collect, skipping these           | ...                   |
 *       wi_ctx_visit  - - its caller is - ->| wi_task_park          |
 *
 * No frame pointers are needed, nothing of the task is touched, and the walk ends at the stack's end,
 * at code without tables, or when `max` addresses are found. Addresses are return addresses: the
 * call is at the byte before. That byte is what names an interrupted instruction too.
 *
 * The unwinder of libgcc 12 on glibc 2.35, or later, allocates nothing and takes no lock: it may be
 * used in a signal handler there. It takes about 3 KiB of the stack that it runs on.
 */
#ifndef WI_TASK_TRACE_H
#define WI_TASK_TRACE_H

#include <stdbool.h>

struct wi_task;

/* Enough for anything that a person reads to the end. */
enum { WI_TRACE_MAX = 64 };

/* The frames of a task that is parked or queued, innermost first: how many. None for a task that has
 * not run yet. The task's thread, in another task or in the loop. */
unsigned wi_trace_parked(const struct wi_task *task, void **pc, unsigned max);

/* Whether a queued task has run before. */
bool wi_trace_has_run(const struct wi_task *task);

/* The frames of the caller's callers, itself first, as far as the task goes if it is one. In a signal
 * handler, on whatever stack: those of what was interrupted, the interrupted function first. */
unsigned wi_trace_here(void **pc, unsigned max);

/* A stack of any depth by its two ends. */
struct wi_trace_ends {
    void **pc; /* room for both: the innermost frames, behind them the outermost */
    unsigned innermost_max, outermost_max; /* 1 or more */
    unsigned innermost, outermost;         /* found */
    unsigned frames;                       /* all there are */
};

/* The frames that wi_trace_here would find if it had room for all. */
void wi_trace_ends(struct wi_trace_ends *ends);

#endif /* WI_TASK_TRACE_H */
