/* SPDX-License-Identifier: MIT */
/*
 * work -- a call that may block, as the seam takes it (WI_OP_CALL): a function for another thread.
 *
 *     init --> staged --begins--> runs --returns--> completion --> release: the caller's again
 *                |                 |
 *                | cancel          | cancel, if there is a `drop`
 *                v                 v
 *          completion         completion --> release: `drop`'s, when the function has returned
 *          (never runs)
 *
 * The record is embedded in its user's object, which holds all that the function uses, as copies: no
 * memory of a run, no descriptor that somebody may close. From stage to the terminal completion it is
 * the backend's; after that one call of wi_work_release says whose it is. So with a `drop` a cancelled
 * request ends at once, however long the function takes, and whoever is last frees the object.
 *
 * Without a `drop` a call that has begun cannot be cancelled, and its result comes.
 */
#ifndef WI_BACKEND_WORK_H
#define WI_BACKEND_WORK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/jobs.h"
#include "base/list.h"

struct wi_work;

enum wi_work_state {
    WI_WORK_IDLE,     /* no worker has it, or will */
    WI_WORK_GIVEN,    /* to a worker, from the stage on */
    WI_WORK_RETURNED, /* its function has */
    WI_WORK_RELEASED
};

struct wi_work {
    int32_t (*fn)(struct wi_work *work); /* on a worker; the completion's result */
    void (*drop)(struct wi_work *work);  /* on a worker, or from abandon; or NULL */
    _Atomic(unsigned) state;             /* enum wi_work_state */
    int32_t returned;                    /* by fn */
    /* The backend's. */
    struct wi_job job;
    struct wi_list tells; /* on its list while it has something to tell */
    uint64_t token;
    int32_t res;    /* once `over` */
    int32_t answer; /* to the cancels */
    uint32_t asked; /* how many of these are not answered */
    bool over;
};

static inline void wi_work_init(struct wi_work *work, int32_t (*fn)(struct wi_work *work),
                                void (*drop)(struct wi_work *work))
{
    *work = (struct wi_work){.fn = fn, .drop = drop};
}

/* After the terminal completion, or instead of a stage. True: the object is the caller's. False: its
 * function still runs, and `drop` gets it. */
static inline bool wi_work_release(struct wi_work *work)
{
    return atomic_exchange_explicit(&work->state, WI_WORK_RELEASED, memory_order_acq_rel) !=
           WI_WORK_GIVEN;
}

#endif /* WI_BACKEND_WORK_H */
