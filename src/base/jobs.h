/* SPDX-License-Identifier: MIT */
/*
 * jobs -- calls that may block, made by a few threads for one that may not.
 *
 *     owner                           workers, 1 to WI_JOBS_WORKERS
 *       submit ----> waiting (FIFO) ----> fn(job)
 *                       |                    |
 *       take back <-----'                  push ----> done (inbox) ----> collect       owner
 *                                            |
 *                                          ring, if it was the first in there
 *
 * A job is embedded in its user's object and belongs to the pool from submit until it is collected
 * or taken back. Nothing is allocated for it, so the queue is as long as the user lets it be: for
 * the epoll backend, what is in flight (ops_max).
 *
 * Whether a job has begun is decided under the lock, so taking it back is exact: either its function
 * never runs, or it was too late and the job will be collected.
 *
 * The ring. The owner collects, and then sleeps on something that `ring` makes ready and that stays
 * ready until it has slept (an eventfd). A worker rings after its push, and only if that push found
 * the inbox empty: the swap itself tells, so that a collect in between is seen. So whenever something
 * lies in the inbox, a ring has come or is to come since the owner's last collect, and it never
 * sleeps on a finished job. The owner's look at the inbox needs no fence, since the sleep that missed
 * a push has its ring before it. Every order of these steps is tried in jobs_model_test.c.
 *
 * A job that runs may be left: nobody collects it then, and once its function has returned the pool
 * does not touch it again. Its worker has no time for others before that, and no end waits for it.
 *
 * Threads start when a job finds none idle, and stay until the end. They have all signals blocked,
 * the name weir-job, and a stack of WI_JOBS_STACK bytes, of which the pages that are touched cost
 * memory.
 *
 * Submitting, taking back, collecting and the end belong to the owner's thread.
 */
#ifndef WI_BASE_JOBS_H
#define WI_BASE_JOBS_H

#include <stdbool.h>

#include "base/list.h"

enum {
    WI_JOBS_WORKERS = 4,
    WI_JOBS_STACK = 256 << 10 /* static TLS of the program lies in it, too */
};

struct wi_job;

/* Runs on a worker; touches the job and what hangs off it, nothing of the owner's else. */
typedef void wi_job_fn(struct wi_job *job);

struct wi_job {
    struct wi_list waiting; /* alone once it has begun */
    union {
        wi_job_fn *fn;             /* set before submit */
        struct wi_queue_node done; /* once it has run */
    };
};

struct wi_jobs;

/* `ring` runs on a worker and must not wait. NULL: no memory. No thread is started yet. */
struct wi_jobs *wi_jobs_open(unsigned workers, void (*ring)(void *user), void *user);

/* False: there is no thread, and none can be had now (pthread_create(3)); nothing has happened. */
bool wi_jobs_submit(struct wi_jobs *jobs, struct wi_job *job);

/* True: the job is the caller's again, its function never ran. False: it has begun. Only for a job
 * that was submitted and not collected. */
bool wi_jobs_take_back(struct wi_jobs *jobs, struct wi_job *job);

/* True: the function runs; the job is the function's alone from now on, and a ring comes when it has
 * returned. False: it has returned, and the job will be collected. Only after a take back in vain. */
bool wi_jobs_leave(struct wi_jobs *jobs, struct wi_job *job);

/* How many that were left still run. */
unsigned wi_jobs_left(struct wi_jobs *jobs);

/* The jobs that have run, in the order in which they ended: nodes for wi_job_of. */
struct wi_queue wi_jobs_collect(struct wi_jobs *jobs);

static inline struct wi_job *wi_job_of(struct wi_queue_node *done)
{
    return wi_container_of(done, struct wi_job, done);
}

/* Takes back what has not begun and waits for what has, but not for what was left; none of it is
 * collected. Threads with jobs that were left are left to themselves, with the pool's memory, which
 * the last of them frees; else no thread is left. Nothing rings any more. */
void wi_jobs_close(struct wi_jobs *jobs);

/* The same, but waits for no function. False: there are others than those left that run on; these
 * jobs, with all their functions use, stay for ever. */
bool wi_jobs_abandon(struct wi_jobs *jobs);

#endif /* WI_BASE_JOBS_H */
