/* SPDX-License-Identifier: MIT */
/*
 * stall -- tells of tasks that keep the core: that do not come back to the loop for stall_ns.
 *
 *     core's words: current, resumed                   which task runs, and for the how many-th time a
 *                                                      task was resumed: the watchdog's beat
 *     handler on the core's thread                     notes the task and its frames
 *     watchdog's thread                                finds the names, writes to a log of its own
 *
 * Tasks pay nothing: the beat is made of what the scheduler writes anyway. Two resumes never have the
 * same number, so a core that runs many short tasks is never taken for one. Time in the loop, in hooks
 * and between an embedded core's steps is nobody's. What a stall is, and what is none: watchdog.h.
 */
#ifndef WI_APP_STALL_H
#define WI_APP_STALL_H

#include "base/log.h"
#include "base/watchdog.h"
#include "task/core.h"

enum { WI_STALL_FRAMES = 16 };

struct wi_stall {
    struct wi_watchdog dog;
    struct wi_core *core;
    struct wi_log log;
    uint64_t id; /* of what was noted last */
    char name[WI_TASK_NAME];
    const void *fn, *site;
    void *pc[WI_STALL_FRAMES];
    unsigned frames;
};

/* On the core's thread, after it was opened. Errors as wi_watchdog_open. */
int wi_stall_open(struct wi_stall *stall, struct wi_core *core, weir_ns limit,
                  const struct wi_log *log);

/* Before the core is closed. Nothing for one that is not open. */
void wi_stall_close(struct wi_stall *stall);

#endif /* WI_APP_STALL_H */
