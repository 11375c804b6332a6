/* SPDX-License-Identifier: MIT */
/*
 * pool -- the receive buffers that the kernel picks from, in one of two shapes.
 *
 *     incremental    4 x 64 KiB    the kernel fills a buffer bit by bit, small messages share one
 *     plain         32 x 16 KiB    one message a buffer; what kernels before 6.12 have
 *
 * Small on purpose: 256 to 512 KiB stay in the cache, 16 MiB cost 1.2 to 5.7 times the CPU. All
 * bytes are answered or copied aside before the next wait, so a buffer is back within the turn.
 */
#ifndef PEER_POOL_H
#define PEER_POOL_H

#include <liburing.h>
#include <stdbool.h>

enum { PEER_POOL_GROUP = 0, PEER_POOL_COUNT_MAX = 32 };

struct peer_pool {
    struct io_uring_buf_ring *ring;
    unsigned char *memory;
    unsigned count, bytes; /* buffers, and bytes of each */
    unsigned filled[PEER_POOL_COUNT_MAX];
};

/* Gives true if the buffers are incremental: as wanted, or not because the kernel has none. */
bool peer_pool_open(struct peer_pool *pool, struct io_uring *ring, bool incremental);

/* The bytes of a completion that carries a buffer, and their return when they are used. */
const unsigned char *peer_pool_data(const struct peer_pool *pool, const struct io_uring_cqe *cqe);
void peer_pool_done(struct peer_pool *pool, const struct io_uring_cqe *cqe);

#endif
