/* SPDX-License-Identifier: MIT */
/*
 * rawring -- io_uring by its three system calls: what a test of the kernel itself needs, no library.
 *
 *     struct rawring ring;
 *     rawring_open(&ring, 8, 0, 0);              or skips: the machine has none
 *     rawring_add(&ring, IORING_OP_NOP, -1)->user_data = 7;
 *     rawring_enter(&ring, 1, 0);                submits all, waits for so many
 *     rawring_take(&ring, &cqe)
 *
 * One thread.
 */
#ifndef SUPPORT_RAWRING_H
#define SUPPORT_RAWRING_H

#include <linux/io_uring.h>
#include <stdbool.h>

struct rawring {
    int fd;
    struct io_uring_params params;
    char *sq, *cq;
    struct io_uring_sqe *sqe;
    unsigned sq_tail; /* of what was added */
};

/* `entries` of the submission queue; of the completion queue cq_entries, unless 0. */
void rawring_open(struct rawring *ring, unsigned entries, unsigned cq_entries, unsigned flags);
void rawring_close(struct rawring *ring);

/* The next entry, zeroed but for these, or NULL: the queue is full. */
struct io_uring_sqe *rawring_add(struct rawring *ring, int opcode, int fd);

/* io_uring_enter(2): how many it submitted, or an error. */
int rawring_enter(struct rawring *ring, unsigned wait_for, unsigned flags);

/* Submits all and waits for so many completions, or fails the case. */
void rawring_run(struct rawring *ring, unsigned wait_for);

/* A completion that is in the queue. False: there is none. */
bool rawring_take(struct rawring *ring, struct io_uring_cqe *out);

/* One that must come, waited for. */
struct io_uring_cqe rawring_next(struct rawring *ring);

/* How many are in the queue; IORING_SQ_CQ_OVERFLOW and its like. */
unsigned rawring_ready(const struct rawring *ring);
unsigned rawring_flags(const struct rawring *ring);

#endif /* SUPPORT_RAWRING_H */
