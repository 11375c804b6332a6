/* SPDX-License-Identifier: MIT */
/* weir/stats.h -- what a core has done so far, and what its end left behind. */
#ifndef WEIR_STATS_H
#define WEIR_STATS_H

#include "weir/api.h"

WEIR_BEGIN

/*
 * Counts since the start, unless they are said to be of now. An operation is one request to the
 * kernel that may complete later; what succeeds at once is none. weir's own wake-up is not counted.
 * started = ops_pending + completed + retired.
 */
struct weir_stats {
    size_t size; /* sizeof(struct weir_stats), set by the caller */

    uint64_t tasks_live;  /* now: tasks that have not ended */
    uint64_t tasks_ready; /* now: those of them that wait for their turn */
    uint64_t resumes;     /* how often a task was started or resumed */
    uint64_t messages;    /* messages of other threads that were handled */

    uint64_t ops_pending; /* now: operations that have not ended */
    uint64_t started;     /* operations asked for */
    uint64_t submitted;   /* of these, handed to the backend */
    uint64_t completed;   /* ended by the backend */
    uint64_t retired;     /* cancelled before they were handed over; ended here */
    uint64_t canceled;    /* completed as cancelled, because they were asked to end */
    uint64_t late;        /* asked to end, but their own result came first; it counted */
    uint64_t cancels;     /* requests to end one, handed to the backend */
    uint64_t refused;     /* times that the backend had no room, and was asked again later */

    uint64_t enters;    /* exchanges with the backend; not each is a system call */
    uint64_t retries;   /* of these, interrupted or told to come back: EINTR, EAGAIN, EBUSY */
    uint64_t overflows; /* of these, found more completions than the kernel's queue holds */
    uint64_t wakes;     /* kicks by other threads that ended a wait, or would have */

    /* What the end left behind, each 0 after a clean stop. */
    uint64_t aborted;         /* tasks whose shield the hard limit of weir_stop pierced */
    uint64_t quarantined;     /* tasks that never ended; their stacks stay mapped for ever */
    uint64_t outstanding;     /* operations that the kernel never ended */
    uint64_t inbox_undrained; /* messages that came too late for a task to see */
    uint64_t orphaned;        /* cancelled lookups of names that had not returned; a thread each */
};

/* Fills what fits into out->size bytes, for the calling task's core, or for the core that this thread
 * drives. -EINVAL: out->size is too small to hold itself. -EPERM: no core. The end's figures are
 * there when weir_run has returned, through the option `stats`. */
WEIR_API WEIR_MUST_USE int weir_stats(struct weir_stats *out);

WEIR_END

#endif /* WEIR_STATS_H */
