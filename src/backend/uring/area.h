/* SPDX-License-Identifier: MIT */
/*
 * area -- the memory that the kernel picks from for receives, and who has which bytes of it.
 *
 *     buffer 0   [aaaaBBcccc......]    the kernel appends here: 64 KiB shared by all connections
 *     buffer 1   [................]    is next
 *     buffer 2, 3
 *
 *     provided --filled to the last byte--> full --last byte given back--> provided, at the end
 *
 * One buffer ring, filled incrementally (IOU_PBUF_RING_INC, Linux 6.12). A completion does not say
 * where in a buffer its bytes lie: they follow those of the completion before it, so completions are
 * counted here in the order of the queue. The kernel moves on to the next buffer when one is full,
 * and says so; that its word and the count agree is checked each time.
 *
 * 4 x 64 KiB stay in the cache. A piece that is not given back keeps its buffer from coming round;
 * when all four wait for somebody, receives end with -ENOBUFS and their users go on without.
 *
 * Belongs to its uring, and to that one's thread.
 */
#ifndef WI_BACKEND_URING_AREA_H
#define WI_BACKEND_URING_AREA_H

#include "backend/uring/ring.h"
#include "base/require.h"

enum { WI_AREA_BUFS = 4, WI_AREA_BUF_BYTES = 64 * 1024, WI_AREA_GROUP = 0 };
enum { WI_AREA_BYTES = WI_AREA_BUFS * WI_AREA_BUF_BYTES };

struct wi_area {
    char *memory; /* NULL: there is none */
    struct io_uring_buf_ring *ring;
    size_t mapped;
    struct {
        uint32_t filled; /* by the kernel, since it was provided */
        uint32_t lent;   /* of those bytes: not given back yet */
    } buf[WI_AREA_BUFS];
    bool odd;    /* the kernel's word and our count disagreed */
    bool proved; /* by the probe: from then on that is a bug */
};

/* Maps the memory and registers it with the ring: 0, or why that cannot be had. */
int wi_area_open(struct wi_area *area, struct wi_ring *ring);

/* Everything must have been given back. Harmless when there is none. */
void wi_area_close(struct wi_area *area, struct wi_ring *ring);

/* Counts a completion that names a buffer, `flags` and `res` as the kernel gave them. Returns the
 * seam's flags: WI_CQE_DATA and the place, or 0 if it carries no bytes after all. Without bytes
 * nothing is used up, whatever the kernel says of the buffer: some say at the end of a stream that
 * they are done with one that they go on filling. */
static inline uint32_t wi_area_took(struct wi_area *area, uint32_t flags, int32_t res)
{
    uint32_t id = flags >> IORING_CQE_BUFFER_SHIFT;
    if (res <= 0)
        return 0;
    wi_assert(id < WI_AREA_BUFS && (uint32_t)res <= WI_AREA_BUF_BYTES - area->buf[id].filled);
    uint32_t at = id * WI_AREA_BUF_BYTES + area->buf[id].filled;
    area->buf[id].filled += (uint32_t)res;
    area->buf[id].lent += (uint32_t)res;
    bool full = area->buf[id].filled == WI_AREA_BUF_BYTES;
    if (__builtin_expect(full != ((flags & IORING_CQE_F_BUF_MORE) == 0), 0)) {
        wi_assert(!area->proved);
        area->odd = true;
    }
    return WI_CQE_DATA | at << WI_CQE_AT_SHIFT;
}

/* Takes bytes back; they may be of several completions, and of neighbouring buffers. In a buffer that
 * is not full yet that is all. */
void wi_area_give_slowly(struct wi_area *area, uint32_t at, uint32_t len);

static inline void wi_area_give(struct wi_area *area, uint32_t at, uint32_t len)
{
    uint32_t id = at / WI_AREA_BUF_BYTES;
    if (__builtin_expect(id < WI_AREA_BUFS && len <= area->buf[id].lent &&
                             len <= WI_AREA_BUF_BYTES - at % WI_AREA_BUF_BYTES &&
                             area->buf[id].filled < WI_AREA_BUF_BYTES,
                         1))
        area->buf[id].lent -= len;
    else
        wi_area_give_slowly(area, at, len);
}

#endif /* WI_BACKEND_URING_AREA_H */
