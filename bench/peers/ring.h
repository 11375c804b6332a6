/* SPDX-License-Identifier: MIT */
/*
 * ring -- what both io_uring servers share: set-up, accepting, and the life of a connection.
 *
 *     user_data = pointer to the connection | tag in the low three bits
 *
 * A connection may have one IN (multishot) and one OUT (a poll) armed. It is freed when it is to
 * end and neither is, since their last completions still name it.
 */
#ifndef PEER_RING_H
#define PEER_RING_H

#include "stream.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

enum peer_tag { PEER_ACCEPT, PEER_IN, PEER_OUT, PEER_CANCEL, PEER_TAG_MASK = 7 };

struct peer_conn {
    struct peer_stream stream;
    bool in_armed, out_armed;
    bool ending;            /* to be freed when nothing is armed */
    bool over;              /* the other side has ended its stream, or failed */
    bool unread;            /* ring_poll: data may be there although no event will say so */
    bool pausing;           /* ring_inc: IN is being cancelled */
    struct peer_conn *next; /* ring_inc: in the queue of those that found no buffer */
};

/* SINGLE_ISSUER and DEFER_TASKRUN, registered descriptor, a completion queue four times as long. */
void peer_ring_open(struct io_uring *ring);

/* Never NULL: a full queue is submitted. */
struct io_uring_sqe *peer_ring_sqe(struct io_uring *ring);

void peer_ring_accept(struct io_uring *ring, int listener);

/* The connection of a completion of the accept, which is armed again if that was its last. NULL if
 * there is none. */
struct peer_conn *peer_ring_accepted(struct io_uring *ring, const struct io_uring_cqe *cqe,
                                     int listener);

/* Tells when the socket takes bytes again. */
void peer_ring_arm_out(struct io_uring *ring, struct peer_conn *conn);

void peer_ring_cancel_in(struct io_uring *ring, struct peer_conn *conn);

/* Cancels what is armed; frees the connection at once, or when called after the last completion. */
void peer_ring_end(struct io_uring *ring, struct peer_conn *conn);

/* Submits, waits for a completion, and ends the program if that fails. */
void peer_ring_wait(struct io_uring *ring);

static inline void peer_ring_name(struct io_uring_sqe *sqe, const void *conn, enum peer_tag tag)
{
    io_uring_sqe_set_data64(sqe, (uintptr_t)conn | tag);
}

static inline enum peer_tag peer_ring_tag(const struct io_uring_cqe *cqe)
{
    return (enum peer_tag)(cqe->user_data & PEER_TAG_MASK);
}

static inline struct peer_conn *peer_ring_conn(const struct io_uring_cqe *cqe)
{
    return (struct peer_conn *)(uintptr_t)(cqe->user_data & ~(uint64_t)PEER_TAG_MASK);
}

#endif
