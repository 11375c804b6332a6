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

/* Linux 6.15: a task that waits here is idle, not waiting for a disk; see io_uring_enter(2). */
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7)
#endif

#endif /* WI_BACKEND_URING_GAP_H */
