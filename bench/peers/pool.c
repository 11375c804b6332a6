/* SPDX-License-Identifier: MIT */
/* pool -- mechanism, with the kernel's constants that liburing 2.3 does not know. */
#include "pool.h"
#include "listener.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

/* Linux 6.12, include/uapi/linux/io_uring.h. In liburing 2.3 the member `flags` is called `pad`. */
enum { BUF_RING_INC = 2, CQE_F_BUF_MORE = 1 << 4 };

static void *map(size_t size)
{
    void *at =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at == MAP_FAILED)
        peer_die("mmap", errno);
    return at;
}

static int offer_ring(struct peer_pool *pool, struct io_uring *ring, bool incremental)
{
    struct io_uring_buf_reg reg = {.ring_addr = (unsigned long)pool->ring,
                                   .ring_entries = pool->count,
                                   .bgid = PEER_POOL_GROUP,
                                   .pad = incremental ? BUF_RING_INC : 0};
    return io_uring_register_buf_ring(ring, &reg, 0);
}

static void provide(struct peer_pool *pool, unsigned id)
{
    pool->filled[id] = 0;
    io_uring_buf_ring_add(pool->ring, pool->memory + (size_t)id * pool->bytes, pool->bytes,
                          (unsigned short)id, io_uring_buf_ring_mask(pool->count), 0);
    io_uring_buf_ring_advance(pool->ring, 1);
}

bool peer_pool_open(struct peer_pool *pool, struct io_uring *ring, bool incremental)
{
    pool->ring = map(PEER_POOL_COUNT_MAX * sizeof(struct io_uring_buf));
    pool->count = 4;
    pool->bytes = 64 << 10;
    int rc = incremental ? offer_ring(pool, ring, true) : -EINVAL;
    if (rc < 0) {
        if (incremental)
            fprintf(stderr, "%s: no incremental buffers (Linux 6.12): plain ones instead\n",
                    program_invocation_short_name);
        incremental = false;
        pool->count = 32;
        pool->bytes = 16 << 10;
        rc = offer_ring(pool, ring, false);
    }
    if (rc < 0)
        peer_die("registering the buffers", -rc);
    pool->memory = map((size_t)pool->count * pool->bytes);
    io_uring_buf_ring_init(pool->ring);
    for (unsigned id = 0; id < pool->count; id++)
        provide(pool, id);
    return incremental;
}

static unsigned id_of(const struct io_uring_cqe *cqe)
{
    return cqe->flags >> IORING_CQE_BUFFER_SHIFT;
}

const unsigned char *peer_pool_data(const struct peer_pool *pool, const struct io_uring_cqe *cqe)
{
    unsigned id = id_of(cqe);
    return pool->memory + (size_t)id * pool->bytes + pool->filled[id];
}

void peer_pool_done(struct peer_pool *pool, const struct io_uring_cqe *cqe)
{
    unsigned id = id_of(cqe);
    if ((cqe->flags & CQE_F_BUF_MORE) != 0)
        pool->filled[id] += (unsigned)cqe->res;
    else
        provide(pool, id);
}
