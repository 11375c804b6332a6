/* SPDX-License-Identifier: MIT */
/*
 * gap -- kernel constants that liburing 2.3 does not know yet, and nothing else.
 *
 * Values are those of include/uapi/linux/io_uring.h in the kernel named beside them; they are ABI
 * and do not change. Each stands aside for a newer liburing. That a constant is here says nothing
 * about the running kernel: whoever uses one tries it first.
 */
#ifndef WI_BACKEND_URING_GAP_H
#define WI_BACKEND_URING_GAP_H

#include <liburing.h>
#include <stdint.h>

/* Linux 6.15: a task that waits here is idle, not waiting for a disk; see io_uring_enter(2). */
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7)
#endif

/* Linux 6.12: the kernel goes on filling this buffer; see io_uring_register_buf_ring(3). */
#ifndef IORING_CQE_F_BUF_MORE
#define IORING_CQE_F_BUF_MORE (1U << 4)
#endif

/* Linux 6.12, too. In later versions an enumerator, which no #ifndef sees: hence names of our own.
 * The struct is io_uring_buf_reg, whose `flags` was `pad`. */
enum { WI_PBUF_RING_INC = 2 };
struct wi_buf_reg {
    uint64_t ring_addr;
    uint32_t ring_entries;
    uint16_t bgid;
    uint16_t flags;
    uint64_t reserved[3];
};
_Static_assert(sizeof(struct wi_buf_reg) == sizeof(struct io_uring_buf_reg), "it is ABI");

#endif /* WI_BACKEND_URING_GAP_H */
