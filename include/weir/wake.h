/* SPDX-License-Identifier: MIT */
/*
 * weir/wake.h -- a task that other threads wake.
 *
 *     task                                    another thread, or a signal handler
 *       weir_wake_open(&wake);
 *       weir_wake_hold(wake);   one for each thread that may outlive the run
 *       ...                                     publish the work
 *       weir_wake_wait(wake);  <--------------  weir_wake_post(wake);
 *       take the work                           weir_wake_drop(wake);
 *       weir_wake_close(wake);
 *
 * A wake carries no data, and posts are coalesced: after each post there is a wait that returns
 * later, and what was written before the post is seen after it. So take all there is after each wait.
 *
 * The memory is counted: it lives until the wake is closed, or its run has ended, and every hold was
 * dropped.
 */
#ifndef WEIR_WAKE_H
#define WEIR_WAKE_H

#include "weir/api.h"

WEIR_BEGIN

struct weir_wake;

/* Makes a wake for the tasks of this core. 0, -ENOMEM, or -EPERM outside the runtime; *out is NULL
 * then. Tasks, and the driver of an embedded core. */
WEIR_API WEIR_MUST_USE int weir_wake_open(struct weir_wake **out);

/* Waits until somebody posts, or returns at once if somebody has since the last wait. One task at a
 * time: -EBUSY. -EBADF: NULL, or closed, also meanwhile; -EXDEV: another core's. [wait] */
WEIR_API WEIR_MUST_USE int weir_wake_wait(struct weir_wake *wake);

/* Lets a wait return. 0; -ESHUTDOWN: it is closed, or its run is over, and nobody will see it. Any
 * thread that holds it, and any signal handler there: it neither locks nor allocates, nor waits for
 * the other side, and leaves errno alone. eventfd(2), signal-safety(7) */
WEIR_API int weir_wake_post(struct weir_wake *wake);

/* One holder more, one less: 0, or -EBADF for NULL. The opener need not hold it. Any thread, but
 * hold only where it is still held or open. */
WEIR_API int weir_wake_hold(struct weir_wake *wake);
WEIR_API int weir_wake_drop(struct weir_wake *wake);

/* Ends it: the task that waits gets -EBADF, and posts fail. Not to be used any more afterwards but by
 * holders. 0, -EBADF for NULL; -EXDEV and -EPERM as above. A wake that is still open at the end of
 * the run is closed then. */
WEIR_API int weir_wake_close(struct weir_wake *wake);

WEIR_END

#endif /* WEIR_WAKE_H */
