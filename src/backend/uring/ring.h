/* SPDX-License-Identifier: MIT */
/*
 * ring -- the two queues shared with the kernel, and the one system call that moves both.
 *
 *     sq   khead ----- ktail ===== tail        [khead, ktail) offered, [ktail, tail) still private
 *     cq   khead ----- ktail                   completions at hand; the kernel moves ktail
 *
 * The kernel reads submissions only inside wi_ring_enter, so `tail` is published there, once for
 * all that was staged. What a short submit leaves stays in the queue and goes with the next one.
 *
 * The ring owns its descriptor and its maps. Kernel memory is read with acquire and written with
 * release. Everything belongs to the thread that opened the ring: the kernel enforces it where
 * SINGLE_ISSUER could be had.
 */
#ifndef WI_BACKEND_URING_RING_H
#define WI_BACKEND_URING_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/backend.h"
#include "backend/uring/gap.h"

enum {
    WI_RING_SQ_DEFAULT = 256,
    WI_RING_SQ_MAX = 16384,
    WI_RING_CQ_MIN = 256,
    WI_RING_CQ_MAX = 65536
};

struct wi_ring {
    /* submissions */
    struct io_uring_sqe *sqes;
    unsigned tail;
    unsigned sq_entries; /* a power of two */
    unsigned *sq_khead, *sq_ktail, *sq_kflags;

    /* completions */
    const struct io_uring_cqe *cqes;
    unsigned cq_entries; /* a power of two */
    unsigned *cq_khead, *cq_ktail;

    /* entering */
    int enter_fd;         /* the descriptor, or its registered index */
    unsigned enter_flags; /* what every enter carries */
    unsigned features;    /* WEIR_CAP_* that set-up won */

    int fd;
    void *rings;
    size_t rings_bytes, sqes_bytes;
};

/* Sets up, maps and registers a ring with at least as many submissions and completions as the
 * config says, in powers of two. 0, or an error that `why` explains; nothing is left open then. */
int wi_ring_open(struct wi_ring *ring, const struct wi_backend_config *config, struct wi_why *why);

/* Unregisters, unmaps and closes, in reverse order. */
void wi_ring_close(struct wi_ring *ring);

/* io_uring_register(2): its result, or the error. */
int wi_ring_register(struct wi_ring *ring, unsigned opcode, void *arg, unsigned count);

/* Offers all that is staged. With `flags` IORING_ENTER_GETEVENTS also makes completions visible,
 * after waiting for one for at most `wait` (0: not at all; WEIR_FOREVER). How many submissions were
 * taken, or the error; -ETIME, -EINTR, -EAGAIN and -EBUSY lose nothing. */
int wi_ring_enter(struct wi_ring *ring, unsigned flags, weir_ns wait);

/* Has the kernel kick the eventfd for each completion, those that wait for an enter included. 0 or
 * an error. */
int wi_ring_notify(struct wi_ring *ring, int event_fd);

/* Explains a failure as "what: ENAME" or "what: ENAME: hint", and returns `err`. */
int wi_uring_refuse(struct wi_why *why, int err, const char *what, const char *hint);

static inline unsigned wi_ring_staged(const struct wi_ring *ring)
{
    return ring->tail - io_uring_smp_load_acquire(ring->sq_khead);
}

static inline unsigned wi_ring_ready(const struct wi_ring *ring)
{
    return io_uring_smp_load_acquire(ring->cq_ktail) - *ring->cq_khead;
}

/* Whether the kernel has completions that only an enter can make visible. */
static inline bool wi_ring_must_fetch(const struct wi_ring *ring)
{
    return (IO_URING_READ_ONCE(*ring->sq_kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) !=
           0;
}

/* Whether completions found no place in the queue; the kernel keeps them until there is room. */
static inline bool wi_ring_overflows(const struct wi_ring *ring)
{
    return (IO_URING_READ_ONCE(*ring->sq_kflags) & IORING_SQ_CQ_OVERFLOW) != 0;
}

#endif /* WI_BACKEND_URING_RING_H */
