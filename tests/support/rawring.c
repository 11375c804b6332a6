/* SPDX-License-Identifier: MIT */
/* rawring -- mechanism; the contract is in rawring.h. */
#include "support/rawring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

static unsigned *word(char *ring, unsigned offset)
{
    return (unsigned *)(void *)(ring + offset);
}

static void *map(const struct rawring *ring, size_t bytes, off_t what)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, what);
    CHECK_NE(at, MAP_FAILED);
    return at;
}

static size_t sq_bytes(const struct rawring *ring)
{
    return ring->params.sq_off.array + ring->params.sq_entries * sizeof(unsigned);
}

static size_t cq_bytes(const struct rawring *ring)
{
    return ring->params.cq_off.cqes + ring->params.cq_entries * sizeof(struct io_uring_cqe);
}

void rawring_open(struct rawring *ring, unsigned entries, unsigned cq_entries, unsigned flags)
{
    *ring = (struct rawring){.params = {.flags = flags}};
    if (cq_entries > 0) {
        ring->params.flags |= IORING_SETUP_CQSIZE;
        ring->params.cq_entries = cq_entries;
    }
    ring->fd = (int)syscall(__NR_io_uring_setup, entries, &ring->params);
    if (ring->fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL))
        SKIP("the kernel has no such ring");
    CHECK_GE(ring->fd, 0);
    ring->sq = map(ring, sq_bytes(ring), IORING_OFF_SQ_RING);
    ring->cq = map(ring, cq_bytes(ring), IORING_OFF_CQ_RING);
    ring->sqe = map(ring, ring->params.sq_entries * sizeof *ring->sqe, IORING_OFF_SQES);
    for (unsigned i = 0; i < ring->params.sq_entries; i++)
        word(ring->sq, ring->params.sq_off.array)[i] = i;
}

void rawring_close(struct rawring *ring)
{
    CHECK_EQ(munmap(ring->sqe, ring->params.sq_entries * sizeof *ring->sqe), 0);
    CHECK_EQ(munmap(ring->cq, cq_bytes(ring)), 0);
    CHECK_EQ(munmap(ring->sq, sq_bytes(ring)), 0);
    CHECK_EQ(close(ring->fd), 0);
}

struct io_uring_sqe *rawring_add(struct rawring *ring, int opcode, int fd)
{
    unsigned head = __atomic_load_n(word(ring->sq, ring->params.sq_off.head), __ATOMIC_ACQUIRE);
    if (ring->sq_tail - head == ring->params.sq_entries)
        return NULL;
    struct io_uring_sqe *sqe = &ring->sqe[ring->sq_tail++ & (ring->params.sq_entries - 1)];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = (unsigned char)opcode;
    sqe->fd = fd;
    return sqe;
}

int rawring_enter(struct rawring *ring, unsigned wait_for, unsigned flags)
{
    unsigned *tail = word(ring->sq, ring->params.sq_off.tail);
    unsigned head = __atomic_load_n(word(ring->sq, ring->params.sq_off.head), __ATOMIC_ACQUIRE);
    __atomic_store_n(tail, ring->sq_tail, __ATOMIC_RELEASE);
    long n = syscall(__NR_io_uring_enter, ring->fd, ring->sq_tail - head, wait_for,
                     flags | (wait_for > 0 ? IORING_ENTER_GETEVENTS : 0), NULL, 0);
    return n < 0 ? -errno : (int)n;
}

void rawring_run(struct rawring *ring, unsigned wait_for)
{
    CHECK_GE(rawring_enter(ring, wait_for, IORING_ENTER_GETEVENTS), 0);
}

bool rawring_take(struct rawring *ring, struct io_uring_cqe *out)
{
    unsigned *head = word(ring->cq, ring->params.cq_off.head), at = *head;
    if (rawring_ready(ring) == 0)
        return false;
    const struct io_uring_cqe *cqes =
        (const struct io_uring_cqe *)(void *)(ring->cq + ring->params.cq_off.cqes);
    memcpy(out, &cqes[at & (ring->params.cq_entries - 1)], sizeof *out);
    __atomic_store_n(head, at + 1, __ATOMIC_RELEASE);
    return true;
}

struct io_uring_cqe rawring_next(struct rawring *ring)
{
    struct io_uring_cqe cqe;
    while (!rawring_take(ring, &cqe))
        rawring_run(ring, 1);
    return cqe;
}

unsigned rawring_ready(const struct rawring *ring)
{
    return __atomic_load_n(word(ring->cq, ring->params.cq_off.tail), __ATOMIC_ACQUIRE) -
           *word(ring->cq, ring->params.cq_off.head);
}

unsigned rawring_flags(const struct rawring *ring)
{
    return __atomic_load_n(word(ring->sq, ring->params.sq_off.flags), __ATOMIC_ACQUIRE);
}
