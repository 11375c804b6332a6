/* SPDX-License-Identifier: MIT */
/* area -- mechanism; the drawing and the contract are in area.h. */
#include "backend/uring/area.h"

#include <errno.h>
#include <unistd.h>

#include "base/pages.h"

_Static_assert(WI_AREA_BYTES <= 1 << (32 - WI_CQE_AT_SHIFT), "a place fits into the flags");

static void provide(struct wi_area *area, uint32_t id)
{
    area->buf[id].filled = 0;
    io_uring_buf_ring_add(area->ring, area->memory + (size_t)id * WI_AREA_BUF_BYTES,
                          WI_AREA_BUF_BYTES, (unsigned short)id,
                          io_uring_buf_ring_mask(WI_AREA_BUFS), 0);
    io_uring_buf_ring_advance(area->ring, 1);
}

int wi_area_open(struct wi_area *area, struct wi_ring *ring)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *start;
    *area = (struct wi_area){.mapped = WI_AREA_BYTES + page};
    int rc = wi_pages_reserve(area->mapped, &start);
    if (rc < 0)
        return rc;
    area->memory = start;
    area->ring = (void *)(area->memory + WI_AREA_BYTES);
    struct wi_buf_reg reg = {.ring_addr = (uintptr_t)area->ring,
                             .ring_entries = WI_AREA_BUFS,
                             .bgid = WI_AREA_GROUP,
                             .flags = WI_PBUF_RING_INC};
    rc = wi_ring_register(ring, IORING_REGISTER_PBUF_RING, &reg, 1);
    if (rc < 0) {
        wi_pages_release(start, area->mapped);
        *area = (struct wi_area){0};
        return rc;
    }
    io_uring_buf_ring_init(area->ring);
    for (uint32_t id = 0; id < WI_AREA_BUFS; id++)
        provide(area, id);
    return 0;
}

/* Unregistered before it is unmapped: until then the kernel may write here. */
void wi_area_close(struct wi_area *area, struct wi_ring *ring)
{
    struct wi_buf_reg reg = {.bgid = WI_AREA_GROUP};
    if (area->memory == NULL)
        return;
    for (uint32_t id = 0; id < WI_AREA_BUFS; id++)
        wi_assert(area->buf[id].lent == 0);
    (void)wi_ring_register(ring, IORING_UNREGISTER_PBUF_RING, &reg, 1);
    wi_pages_release(area->memory, area->mapped);
    *area = (struct wi_area){0};
}

void wi_area_give_slowly(struct wi_area *area, uint32_t at, uint32_t len)
{
    wi_assert(at < WI_AREA_BYTES && len <= WI_AREA_BYTES - at);
    while (len > 0) {
        uint32_t id = at / WI_AREA_BUF_BYTES, left = WI_AREA_BUF_BYTES - at % WI_AREA_BUF_BYTES;
        uint32_t part = len < left ? len : left;
        wi_assert(part <= area->buf[id].lent); /* else somebody gives back twice */
        area->buf[id].lent -= part;
        if (area->buf[id].lent == 0 && area->buf[id].filled == WI_AREA_BUF_BYTES)
            provide(area, id);
        at += part;
        len -= part;
    }
}
