/* SPDX-License-Identifier: MIT */
/*
 * offload -- WI_OP_CALL on a backend: the same on each that has threads to make calls.
 *
 *     stage --> jobs (base/jobs.h) --collect--> tells --> completions of the next enter
 *                  |                              ^
 *               cancel: taken back, or left ------'
 *
 * The pool is the backend's own, and opened by the first call; those of the epoll backend for files are
 * another one, so that names and disks do not stand in each other's way. Its ring is the wake-up. A
 * backend that has no call under way looks at one number per enter, `busy`, and does nothing else.
 *
 * Who asks for the end of a call knows its token alone; tokens name dense slots, so a table of slots
 * finds the call.
 *
 * All of it belongs to the thread of the backend, but for what a worker does with a work that runs.
 */
#ifndef WI_BACKEND_OFFLOAD_H
#define WI_BACKEND_OFFLOAD_H

#include "backend/backend.h"
#include "backend/work.h"

struct wi_offload {
    struct wi_backend *be;
    struct wi_jobs *jobs;  /* NULL before the first call */
    struct wi_work **slot; /* by the slot of their tokens; NULL: none */
    uint32_t slots;
    struct wi_list tells; /* works with a completion or an answer to a cancel */
    uint32_t busy;        /* staged and not told of, and left and not returned */
};

void wi_offload_init(struct wi_offload *offload, struct wi_backend *be);

/* As `stage`. Where no thread can be had the request completes with -EAGAIN: nobody makes a call that
 * may block on the thread of the core. */
int wi_offload_stage(struct wi_offload *offload, uint64_t token, const struct wi_req *req);

/* True: the token is that of a call, and both will be told of. */
bool wi_offload_cancel(struct wi_offload *offload, uint64_t token);

typedef int wi_enter_fn(struct wi_backend *be, weir_ns until, struct wi_cqe *out, unsigned max);

/* As `enter`, for as long as `busy` is not 0; `enter` is the backend's for all else. */
int wi_offload_enter(struct wi_offload *offload, wi_enter_fn *enter, weir_ns until,
                     struct wi_cqe *out, unsigned max);

/* With no call under way. Those that were left go on. */
void wi_offload_close(struct wi_offload *offload);

/* With calls under way: those that have a `drop` get it, now or when they return. */
void wi_offload_abandon(struct wi_offload *offload);

#endif /* WI_BACKEND_OFFLOAD_H */
