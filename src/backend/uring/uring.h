/* SPDX-License-Identifier: MIT */
/*
 * uring -- the seam of backend.h on a Linux io_uring.
 *
 *     stage, cancel --> submission queue --+
 *                                          | one io_uring_enter: submits, waits, fetches
 *     enter <---------- completion queue <-+
 *             ^
 *             '-- area of received bytes <--give--       (area.h)
 *     try, ctl          plain system calls, shared with epoll (backend/sys.h)
 *
 * The kernel keeps the requests: there is no table here, a token goes in as user_data and comes
 * back. Descriptors need no word. Requests that ask for more than one completion get them where the
 * kernel has proved, at open, that it can; elsewhere their first completion is their last one, as
 * the contract allows.
 *
 * A wait with a far limit has none: a timeout that stays in the ring ends it (backend/standing.h).
 *
 * Invariant: what is staged is in the queue or in the kernel, never elsewhere, so nothing is lost
 * by an enter that fails. `wake` is the only call that another thread may make.
 */
#ifndef WI_BACKEND_URING_URING_H
#define WI_BACKEND_URING_URING_H

#include "backend/backend.h"
#include "backend/offload.h"
#include "backend/uring/area.h"
#include "backend/uring/ring.h"

struct wi_uring {
    struct wi_backend base; /* first: the seam sees only this */
    struct wi_ring ring;
    struct wi_area area; /* with WEIR_CAP_BUFFER_RING */

    /* Only without multishot poll: the wake poll, re-armed on a counter that nobody reads, would
     * report the same kick for ever. So its completion takes the kick along. */
    bool wake_drains;
    uint64_t wake_token;

    /* The alarm is a request of ours, IORING_OP_TIMEOUT, and needs no descriptor. */
    struct __kernel_timespec alarm_time; /* read when it is submitted */
    bool alarm_flying;                   /* staged, and its completion was not seen */

    struct wi_offload offload; /* calls that may block; the kernel sees nothing of them */

    int event_fd; /* which the kernel kicks at each completion, or -1: nobody waits elsewhere */
};

static inline struct wi_uring *wi_uring_of(struct wi_backend *be)
{
    return (struct wi_uring *)be;
}

/* The tokens of the alarm and, with WI_TOKEN_CANCEL, of moving it: of a slot that nobody has. */
#define WI_URING_ALARM ((uint64_t)UINT32_MAX << 32)

/* Stages what sets the alarm, or moves it if it is set. False: there is no room. */
bool wi_uring_set_alarm(struct wi_uring *uring, weir_ns at);

/* stage, chain and cancel of backend.h. */
int wi_uring_stage(struct wi_backend *be, uint64_t token, const struct wi_req *req);
int wi_uring_chain(struct wi_backend *be, const uint64_t *token, const struct wi_req *const *req,
                   unsigned count);
int wi_uring_cancel(struct wi_backend *be, uint64_t token);

/* WI_CTL_RAW of backend.h. */
int wi_uring_approve(const void *entry);

/* enter of backend.h. */
int wi_uring_enter(struct wi_backend *be, weir_ns until, struct wi_cqe *out, unsigned max);

/* Tries, through the three above and under whatever filter is in force, what set-up only promised:
 * that a request comes back, waits with a limit, the alarm, NO_IOWAIT, multishot poll and accept, receives
 * into a ring of buffers, operations on files. Leaves what works in caps.features and nothing in flight. 0, or an error that
 * `why` explains. */
int wi_uring_probe(struct wi_uring *uring, unsigned features_off, struct wi_why *why);

#endif /* WI_BACKEND_URING_URING_H */
